zip      = "../../dist/forwarder.zip"
skill_id = "amzn1.ask.skill.00000000-0000-0000-0000-000000000000"
skill_urls = {
  north_america = "https://music.example.org"
  europe        = "https://music.example.org"
  far_east      = "https://music.example.org"
}
