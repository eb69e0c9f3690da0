//! Hello, signing in, envelopes, lists, HTTP.

use macloud_simulated_home::{HomeConfig, Library, RunningHome, SimulatedHome, TrackName};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{BEDROOM, Client, Heard, KITCHEN, LIVING_ROOM, fast, patiently, start};

/// A request over a connection of its own; status and body.
pub(crate) async fn http(url: &str, request: &str, token: Option<&str>, body: &str) -> (u16, String) {
    let host = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let bearer = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let head = format!(
        "{request} HTTP/1.1\r\nHost: {host}\r\n{bearer}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    patiently(stream.read_to_string(&mut answer)).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[tokio::test]
async fn hello_comes_first_and_equals_info() {
    let home = start(fast()).await;
    let mut client = Client::signed_in(&home).await;
    let hello = client.hello.clone();
    assert_eq!((&hello["schema_version"], &hello["min_supported_schema_version"]), (&json!(29), &json!(28)));
    assert_eq!((&hello["status"], &hello["onboard_done"]), (&json!("running"), &json!(true)));
    assert_eq!(hello["server_id"], home.server_id());
    assert_eq!(client.result("info", json!({})).await, hello);
    let (status, body) = http(&home.http_url(), "GET /info", None, "").await;
    assert_eq!((status, serde_json::from_str::<Value>(&body).unwrap()), (200, hello));
}

#[tokio::test]
async fn a_server_nobody_set_up_says_so_and_leaves() {
    let home = start(HomeConfig { onboard_done: false, ..fast() }).await;
    let mut client = Client::connect(&home).await;
    assert_eq!(client.hello["onboard_done"], false);
    let setup = json!({"message_id": "connection", "error_code": 503, "details": "Setup required"});
    assert_eq!(client.hear().await, Heard::Frame(setup));
    assert_eq!(client.hear().await, Heard::Closed(Some(1000)));
}

#[tokio::test]
async fn before_auth_nothing_works_and_after_a_failure_one_may_try_again() {
    let home = start(fast()).await;
    let mut client = Client::connect(&home).await;
    let refused = (20, "Authentication required. Please send auth command first.".to_owned());
    assert_eq!(client.failure("players/all", json!({})).await, refused);
    assert_eq!(client.failure("auth", json!({})).await, (20, "token required in args".to_owned()));
    assert_eq!(client.failure("auth", json!({"token": "nonsense"})).await, (23, "Invalid or expired token".to_owned()));
    let user = client.result("auth", json!({"access_token": home.token()})).await["user"].clone();
    assert_eq!((&user["username"], &user["role"]), (&json!("admin"), &json!("admin")));
    assert_eq!(client.result("auth/me", json!({})).await, user);
}

#[tokio::test]
async fn a_password_buys_a_long_lived_token_and_revoking_it_closes_the_socket() {
    let home = start(HomeConfig { login: ("ada".to_owned(), "analytical".to_owned()), ..fast() }).await;
    let mut client = Client::connect(&home).await;
    let credentials = |password: &str| json!({"provider_id": "builtin", "username": "ada", "password": password});
    let nested = json!({"provider_id": "builtin", "credentials": credentials("analytical")});
    let asked_again = json!({"success": false, "error": "Username and password required"});
    assert_eq!(client.result("auth/login", nested).await, asked_again, "that is for HTTP");
    let refused = client.result("auth/login", credentials("wrong")).await;
    assert_eq!(refused, json!({"success": false, "error": "Invalid username or password"}));
    let signed_in = client.result("auth/login", credentials("analytical")).await;
    client.result("auth", json!({"token": signed_in["access_token"]})).await;
    let token = client.result("auth/token/create", json!({"name": "connector"})).await;

    let mut other = Client::connect(&home).await;
    other.result("auth", json!({"token": token})).await;
    let tokens = client.result("auth/tokens", json!({})).await;
    let created = tokens.as_array().unwrap().iter().find(|token| token["name"] == "connector").unwrap();
    assert_eq!(created["is_long_lived"], true);
    assert_eq!(client.result("auth/token/revoke", json!({"token_id": created["token_id"]})).await, Value::Null);
    assert_eq!(other.end().await, Some(1000));
    let mut again = Client::connect(&home).await;
    assert_eq!(again.failure("auth", json!({"token": token})).await.0, 23);
}

#[tokio::test]
async fn an_account_limited_to_one_player_sees_and_steers_only_that() {
    let home = start(fast()).await;
    let mut admin = Client::signed_in(&home).await;
    let wanted =
        json!({"username": "guest", "password": "another-long-pass", "role": "user", "player_filter": [KITCHEN]});
    let user = admin.result("auth/user/create", wanted).await;
    let token = admin.result("auth/token/create", json!({"name": "x", "user_id": user["user_id"]})).await;
    let mut guest = Client::connect(&home).await;
    guest.result("auth", json!({"token": token})).await;
    assert_eq!(guest.result("players/all", json!({})).await.as_array().unwrap().len(), 1);
    assert_eq!(guest.result("player_queues/all", json!({})).await.as_array().unwrap().len(), 3);
    let refused = |what: &str| (22, format!("guest does not have access to player {what}"));
    let volume = json!({"player_id": LIVING_ROOM, "volume_level": 11});
    assert_eq!(guest.failure("players/cmd/volume_set", volume).await, refused("Living Room"));
    assert_eq!(guest.failure("players/get", json!({"player_id": LIVING_ROOM})).await, refused(LIVING_ROOM));
    assert_eq!(guest.failure("player_queues/pause", json!({"queue_id": LIVING_ROOM})).await, refused("Living Room"));
    assert_eq!(guest.failure("auth/users", json!({})).await, (22, "Admin access required".to_owned()));
    // Events about other players are withheld: the first the guest hears is about its own.
    admin.result("players/cmd/volume_set", json!({"player_id": BEDROOM, "volume_level": 1})).await;
    admin.result("players/cmd/volume_set", json!({"player_id": KITCHEN, "volume_level": 1})).await;
    let Heard::Frame(first) = guest.hear().await else { panic!("closed") };
    assert_eq!(first["object_id"], KITCHEN);
}

#[tokio::test]
async fn what_is_no_request_ends_the_connection_without_a_word() {
    let home = start(fast()).await;
    for nonsense in ["{bad", r#"{"command": "players/all"}"#, r#"{"message_id": 1, "command": "players/all"}"#, "[]"] {
        let mut client = Client::signed_in(&home).await;
        client.say(nonsense).await;
        assert_eq!(client.hear().await, Heard::Closed(Some(1000)), "{nonsense}");
    }
}

#[tokio::test]
async fn wrong_commands_and_arguments_have_the_recorded_codes() {
    let home = start(fast()).await;
    let mut client = Client::signed_in(&home).await;
    let unknown = (12, "Invalid command: no/such/command".to_owned());
    assert_eq!(client.failure("no/such/command", json!({})).await, unknown);
    assert_eq!(client.failure("players/cmd/dance", json!({"player_id": KITCHEN})).await.0, 12);
    let missing = (999, "\"`player_id` of type `<class 'str'>` is required.\"".to_owned());
    assert_eq!(client.failure("players/get", json!({})).await, missing);
    assert_eq!(client.failure("players/cmd/volume_set", json!({"player_id": KITCHEN})).await.0, 999);
    assert_eq!(client.result("players/get", json!({"player_id": "nope"})).await, Value::Null);
    let raised = (10, "Player nope is not available".to_owned());
    assert_eq!(client.failure("players/get", json!({"player_id": "nope", "raise_unavailable": true})).await, raised);
}

#[tokio::test]
async fn players_differ_in_what_they_can_do() {
    let home = start(fast()).await;
    let mut client = Client::signed_in(&home).await;
    let players = client.result("players/all", json!({})).await;
    let controls = |index: usize| {
        let player = &players[index];
        let has = |control: &str| player[control] != "none";
        (player["name"].as_str().unwrap(), has("power_control"), has("volume_control"), has("mute_control"))
    };
    assert_eq!(controls(0), ("Kitchen", false, true, false));
    assert_eq!(controls(1), ("Living Room", false, true, true));
    assert_eq!(controls(2), ("Bedroom", true, true, true));
    assert_eq!(players[0]["volume_muted"], Value::Null);
    assert_eq!(players[1]["volume_muted"], false);
}

#[tokio::test]
async fn only_playlist_tracks_come_in_parts() {
    let home = start(fast()).await;
    let mut client = Client::signed_in(&home).await;
    let found = client.result("music/playlists/library_items", json!({"search": "everything"})).await;
    let id = json!({"item_id": found[0]["item_id"], "provider_instance_id_or_domain": "library"});
    let frames = client.frames("music/playlists/playlist_tracks", id).await;
    let parts: Vec<(bool, usize)> = frames
        .iter()
        .map(|frame| (frame["partial"].as_bool().unwrap(), frame["result"].as_array().unwrap().len()))
        .collect();
    assert_eq!(parts, [(true, 500), (true, 500), (false, 300)]);
    assert_eq!(frames[2]["result"][299]["position"], 1299);
}

#[tokio::test]
async fn items_are_found_by_uri_and_errors_say_which_is_missing() {
    let home = start(fast()).await;
    let mut client = Client::signed_in(&home).await;
    let track = client.result("music/item_by_uri", json!({"uri": "library://track/1"})).await;
    assert_eq!((&track["name"], &track["album"]["name"]), (&json!("So What"), &json!("Kind of Blue")));
    assert_eq!(track["artists"][0]["name"], "Miles Davis");
    let missing = (2, "track not found in library: 9999".to_owned());
    assert_eq!(client.failure("music/item_by_uri", json!({"uri": "library://track/9999"})).await, missing);
}

#[tokio::test]
async fn searches_are_remembered_but_listings_are_fresh() {
    let home = start(fast()).await;
    let mut client = Client::signed_in(&home).await;
    let query = json!({"search_query": "rainy day", "media_types": ["playlist"], "limit": 5, "library_only": true});
    assert_eq!(client.result("music/search", query.clone()).await["playlists"], json!([]));
    home.add_playlist("Rainy Day", &[TrackName::from("Björk - Jóga")]).unwrap();
    assert_eq!(client.result("music/search", query.clone()).await["playlists"], json!([]));
    let listed = client.result("music/playlists/library_items", json!({"search": "rainy day"})).await;
    assert_eq!(listed[0]["name"], "Rainy Day");
    home.advance(std::time::Duration::from_secs(601));
    assert_eq!(client.result("music/search", query).await["playlists"][0]["name"], "Rainy Day");
}

#[tokio::test]
async fn favorites_and_recently_played_are_kept() {
    let home = start(fast()).await;
    let mut client = Client::signed_in(&home).await;
    assert_eq!(client.result("music/recently_played_items", json!({"limit": 3})).await, json!([]));
    client.result("music/favorites/add_item", json!({"item": "library://track/1"})).await;
    client.event("media_item_updated", "library://track/1").await;
    let hearts = client.result("music/tracks/library_items", json!({"favorite": true})).await;
    assert!(hearts.as_array().unwrap().iter().any(|track| track["name"] == "So What"));
    let play = json!({"queue_id": KITCHEN, "media": "library://track/1"});
    client.result("player_queues/play_media", play).await;
    assert_eq!(client.result("music/recently_played_items", json!({})).await[0]["name"], "So What");
}

#[tokio::test]
async fn a_library_of_ones_own() {
    let library = r#"{"artists": [{"name": "The Test Tones", "albums": [{"title": "First Frequencies", "year": 2020,
        "tracks": [{"title": "Blue Monday Morning", "seconds": 200}]}]}],
        "players": [{"id": "one", "name": "Only One", "volume": 3, "power": true}]}"#;
    let home = start(HomeConfig { library: Library::from_json(library).unwrap(), ..fast() }).await;
    let mut client = Client::signed_in(&home).await;
    let players = client.result("players/all", json!({})).await;
    assert_eq!((&players[0]["name"], &players[0]["volume_level"]), (&json!("Only One"), &json!(3)));
    let found = client.result("music/search", json!({"search_query": "blue monday"})).await;
    assert_eq!(found["tracks"][0]["uri"], "library://track/1");
}

#[tokio::test]
async fn the_http_api_gives_bare_results_and_swallows_codes() {
    let home = start(fast()).await;
    let url = home.http_url();
    let token = Some(home.token());
    let post = |token, body: &'static str| http(&url, "POST /api", token, body);
    let (status, body) = post(token, r#"{"command": "players/get", "args": {"player_id": "up000420000001"}}"#).await;
    assert_eq!((status, &serde_json::from_str::<Value>(&body).unwrap()["name"]), (200, &json!("Kitchen")));
    let volume =
        r#"{"command": "players/cmd/volume_set", "args": {"player_id": "up000420000001", "volume_level": 22}}"#;
    assert_eq!(post(token, volume).await, (200, "null".to_owned()));
    let unauthorized = (401, "Authentication required".to_owned());
    assert_eq!(post(None, r#"{"command": "players/all"}"#).await, unauthorized);
    assert_eq!(post(Some("nonsense"), r#"{"command": "players/all"}"#).await, unauthorized);
    assert_eq!(post(token, r#"{"command": "nope"}"#).await, (400, "Invalid Command: nope".to_owned()));
    assert_eq!(post(token, "{bad").await, (400, "Invalid JSON: {bad".to_owned()));
    let failed = (500, "Internal server error".to_owned());
    assert_eq!(post(token, r#"{"command": "players/get", "args": {}}"#).await, failed);
    assert_eq!(http(&url, "GET /auth/me", token, "").await.0, 200);
    let sign_in = |password: &str| json!({"credentials": {"username": "admin", "password": password}}).to_string();
    assert_eq!(http(&url, "POST /auth/login", None, &sign_in("wrong")).await.0, 401);
    assert_eq!(http(&url, "POST /auth/login", None, &sign_in("simulated-home")).await.0, 200);
}

#[tokio::test]
async fn two_hundred_commands_at_once_are_all_answered() {
    let home: RunningHome = start(fast()).await;
    let mut client = Client::signed_in(&home).await;
    let mut waiting = std::collections::BTreeSet::new();
    for _ in 0..200 {
        waiting.insert(client.send("players/all", json!({})).await);
    }
    while !waiting.is_empty() {
        let Heard::Frame(frame) = client.hear().await else { panic!("closed") };
        assert!(waiting.remove(frame["message_id"].as_str().unwrap()));
    }
}

#[tokio::test]
async fn a_playlist_file_is_searched_and_played_and_not_in_the_library() {
    let library = json!({
        "artists": [{"name": "A", "albums": [{"title": "B", "tracks": [{"title": "C", "seconds": 60}]}]}],
        "playlists": [{"name": "Dinner Jazz", "tracks": ["A - C"], "file": true}, {"name": "Jazz", "tracks": ["A - C"]}],
    });
    let library = Library::from_json(&library.to_string()).unwrap();
    let home = start(HomeConfig { library, ..fast() }).await;
    let mut client = Client::signed_in(&home).await;
    let listed = client.result("music/playlists/library_items", json!({"search": "jazz"})).await;
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["name"]), (1, &json!("Jazz")));
    let found =
        client.result("music/search", json!({"search_query": "dinner jazz", "media_types": ["playlist"]})).await;
    let uri = &found["playlists"][0]["uri"];
    assert_eq!(uri, "filesystem_local--Sim0home://playlist/Dinner Jazz.m3u");
    assert_eq!(client.result("music/item_by_uri", json!({"uri": uri})).await["name"], "Dinner Jazz");
    client.result("player_queues/play_media", json!({"queue_id": KITCHEN, "media": uri})).await;
    patiently(home.until(|state| state.player(KITCHEN).unwrap().queue.length == 1)).await;
}

#[tokio::test]
async fn tokens_outlive_the_home_where_they_are_kept_until_they_are_revoked() {
    let directory = std::env::temp_dir().join(format!("simulated-home-tokens-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("token.issued");
    let kept = || start(HomeConfig { tokens_file: Some(file.clone()), ..fast() });
    let home = kept().await;
    let mut client = Client::signed_in(&home).await;
    let token = client.result("auth/token/create", json!({"name": "connector"})).await;
    let other = client.result("auth/token/create", json!({"name": "another"})).await;
    let given = home.token().to_owned();
    home.stop().await;

    let home = kept().await;
    let mut client = Client::connect(&home).await;
    assert_eq!(client.ask("auth", json!({"token": given})).await["error_code"], 23, "it was not to be kept");
    let mut client = Client::connect(&home).await;
    assert_eq!(client.ask("auth", json!({"token": token})).await["result"]["authenticated"], true);
    let listed = client.result("auth/tokens", json!({})).await;
    let id = listed.as_array().unwrap().iter().find(|token| token["name"] == "another").unwrap()["token_id"].clone();
    client.result("auth/token/revoke", json!({"token_id": id})).await;
    home.stop().await;

    let home = kept().await;
    for (token, is_good) in [(token, true), (other, false)] {
        let mut client = Client::connect(&home).await;
        let answer = client.ask("auth", json!({"token": token})).await;
        assert_eq!(answer["result"]["authenticated"] == true, is_good, "{answer}");
    }
    home.stop().await;
    std::fs::write(&file, "no tokens").unwrap();
    assert!(SimulatedHome::start(HomeConfig { tokens_file: Some(file.clone()), ..fast() }).await.is_err());
    std::fs::remove_dir_all(directory).unwrap();
}
