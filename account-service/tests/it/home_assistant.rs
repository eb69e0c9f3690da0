//! Who one is in the Home Assistant of one's home: a home asks, a browser brings, the home gives its word.

use axum::http::StatusCode;
use macloud_proto::jose::{Header, SigningKey};
use macloud_service_kit::clock::Clock as _;
use serde_json::{Value, json};

use crate::harness::{Answer, Browser, ISSUER, PASSWORD, World, on_both_databases, text};
use crate::pairing::Connector;

const PATH: &str = "/oauth/home-assistant";
const CODE: &str = "a-code-of-home-assistant.1";

/// A home that is paired.
struct Home {
    connector: Connector,
    id: String,
}

impl Home {
    async fn pair(world: &World, browser: &mut Browser<'_>) -> Self {
        let connector = Connector::new();
        let paired = connector.pair(world, browser, "My house").await;
        Self { id: text(&paired, "instance_id").to_owned(), connector }
    }

    async fn ask(&self, world: &World, more: &[(&str, &str)]) -> Answer {
        let assertion = self.connector.assertion(&self.id, world.clock.unix_seconds());
        let mut form = vec![
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion.as_str()),
        ];
        form.extend(more);
        self.connector.ask_at(world, PATH, &form).await
    }

    async fn begin(&self, world: &World) -> Value {
        let begun = self.ask(world, &[("step", "begin"), ("url", "http://homeassistant.local:8123")]).await;
        assert_eq!(begun.status, StatusCode::OK, "{}", begun.text);
        begun.json()
    }

    async fn poll(&self, world: &World, begun: &Value) -> Answer {
        self.ask(world, &[("step", "poll"), ("ticket", text(begun, "ticket"))]).await
    }

    async fn state(&self, world: &World, begun: &Value, statement: &str) -> Answer {
        self.ask(world, &[("step", "state"), ("ticket", text(begun, "ticket")), ("statement", statement)]).await
    }

    fn word(&self, nonce: &str) -> Value {
        json!({ "iss": self.id, "aud": ISSUER, "nonce": nonce, "ha_user_id": "0123abcd", "name": "Ada", "is_owner": true })
    }

    fn sign(&self, claims: &Value) -> String {
        sign(&self.connector.key, "macloud-home-assistant+jwt", claims)
    }
}

fn sign(key: &SigningKey, typ: &str, claims: &Value) -> String {
    key.sign_jws(Header { typ: Some(typ.into()), ..Header::default() }, claims)
}

fn back(begun: &Value) -> String {
    format!("/home-assistant/callback?code={CODE}&state={}", text(begun, "state"))
}

/// A browser comes back, and its person says yes.
async fn bring(browser: &mut Browser<'_>, begun: &Value) -> Answer {
    let page = browser.get(&back(begun)).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    browser.submit(&page, "/home-assistant/callback", &[]).await
}

on_both_databases! {
    async fn a_home_learns_who_its_owner_is_and_gives_its_word(world: &World) {
        let mut browser = world.person("ada@example.org").await;
        let home = Home::pair(world, &mut browser).await;
        let begun = home.begin(world).await;
        assert_eq!((text(&begun, "client_id"), text(&begun, "redirect_uri")), ("https://cloud.example/", "https://cloud.example/home-assistant/callback"));
        assert_eq!(home.poll(world, &begun).await.error(), "authorization_pending");
        // Signed out on the way: comes back to it.
        let mut phone = world.browser();
        let sign_in = phone.get(&back(&begun)).await.location().to_owned();
        let form = phone.get(&sign_in).await;
        let landed = phone.submit(&form, "/sign-in", &[("email", "ada@example.org"), ("password", PASSWORD)]).await;
        let page = phone.get(landed.location()).await;
        assert!(page.text.contains("homeassistant.local") && page.text.contains("My house"), "{}", page.text);
        assert_eq!(home.poll(world, &begun).await.error(), "authorization_pending", "opening the page decides nothing");
        let done = phone.submit(&page, "/home-assistant/callback", &[]).await;
        assert_eq!(done.status, StatusCode::OK, "{}", done.text);
        let brought = home.poll(world, &begun).await.json();
        assert_eq!(text(&brought, "code"), CODE);
        let again = home.poll(world, &begun).await.json();
        assert_eq!(again, brought, "a home that did not hear it asks again");
        let word = home.sign(&home.word(text(&brought, "nonce")));
        assert_eq!(home.state(world, &begun, &word).await.json()["bound"], true);
        assert_eq!(home.state(world, &begun, &word).await.error(), "expired_token", "counts once");
        assert_eq!(home.poll(world, &begun).await.error(), "expired_token", "over");
        let at = format!("/homes/{}", home.id);
        let homes = browser.get(&at).await;
        assert!(homes.text.contains("Home Assistant: Ada (owner)"), "{}", homes.text);
        let security = browser.get("/security").await;
        let exported = browser.submit(&security, "/account/export", &[]).await.json();
        assert_eq!(exported["home_assistant_users"][0]["ha_user_id"], "0123abcd");
        let remove = format!("/homes/{}/home-assistant/remove", home.id);
        browser.submit(&homes, &remove, &[]).await;
        assert!(!browser.get(&at).await.text.contains("Home Assistant: Ada"));
    }

    async fn only_the_homes_own_owner_brings_a_code(world: &World) {
        let mut browser = world.person("ada@example.org").await;
        let home = Home::pair(world, &mut browser).await;
        let begun = home.begin(world).await;
        let mut eve = world.person("eve@example.org").await;
        let page = eve.get(&back(&begun)).await;
        assert!(page.status == StatusCode::UNPROCESSABLE_ENTITY && !page.text.contains("My house"), "{}", page.text);
        let others = Home::pair(world, &mut eve).await;
        let own = others.begin(world).await;
        let form = eve.get(&back(&own)).await.hidden_fields("/home-assistant/callback");
        let state = text(&begun, "state").to_owned();
        let forged: Vec<_> = form.into_iter().map(|(name, value)| if name == "state" { (name, state.clone()) } else { (name, value) }).collect();
        assert_eq!(eve.post("/home-assistant/callback", &forged).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(home.poll(world, &begun).await.error(), "authorization_pending");
        // Nor does another home fetch it.
        bring(&mut browser, &begun).await;
        let stolen = others.ask(world, &[("step", "poll"), ("ticket", text(&begun, "ticket"))]).await;
        assert_eq!(stolen.error(), "expired_token");
        assert_eq!(home.poll(world, &begun).await.status, StatusCode::OK);
        let twice = browser.get(&back(&begun)).await;
        assert_eq!(twice.status, StatusCode::UNPROCESSABLE_ENTITY, "one code a way");
    }

    async fn a_word_that_is_not_the_homes_own_does_not_count(world: &World) {
        let mut browser = world.person("ada@example.org").await;
        let home = Home::pair(world, &mut browser).await;
        let begun = home.begin(world).await;
        let early = home.sign(&home.word("x"));
        assert_eq!(home.state(world, &begun, &early).await.error(), "expired_token", "nobody came yet");
        bring(&mut browser, &begun).await;
        let nonce = home.poll(world, &begun).await.json()["nonce"].as_str().unwrap().to_owned();
        let word = home.word(&nonce);
        let bent = |name: &str, value: Value| {
            let mut word = word.clone();
            word[name] = value;
            word
        };
        for claims in [
            bent("iss", json!("another")),
            bent("aud", json!("https://evil.example")),
            bent("nonce", json!("another")),
            bent("ha_user_id", json!("")),
            bent("ha_user_id", json!("a<b")),
            bent("ha_user_id", json!("x".repeat(65))),
            json!({}),
        ] {
            let refused = home.state(world, &begun, &home.sign(&claims)).await;
            assert!(refused.status == StatusCode::BAD_REQUEST, "{claims}: {}", refused.text);
        }
        let stranger = Connector::new();
        for statement in [
            sign(&stranger.key, "macloud-home-assistant+jwt", &word),
            sign(&home.connector.key, "client-authentication+jwt", &word),
            "x".to_owned(),
            String::new(),
        ] {
            assert_eq!(home.state(world, &begun, &statement).await.error(), "invalid_request");
        }
        assert_eq!(home.state(world, &begun, &home.sign(&word)).await.status, StatusCode::OK);
    }

    async fn a_way_that_takes_too_long_ends(world: &World) {
        let mut browser = world.person("ada@example.org").await;
        let home = Home::pair(world, &mut browser).await;
        let begun = home.begin(world).await;
        world.advance(900);
        assert_eq!(home.poll(world, &begun).await.error(), "expired_token");
        assert_eq!(browser.get(&back(&begun)).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(world.service.housekeep().await.unwrap() > 0);
        for (url, good) in [("http://10.0.0.2:8123", true), ("https://ha.example/x", true), ("ftp://x", false), ("javascript:alert(1)", false), ("http://u@x", false), ("", false)] {
            let begun = home.ask(world, &[("step", "begin"), ("url", url)]).await;
            assert_eq!(begun.status == StatusCode::OK, good, "{url}: {}", begun.text);
        }
        assert_eq!(home.ask(world, &[("step", "dance")]).await.error(), "invalid_request");
        // Without proof of the key, nothing.
        let bare = world.post(PATH, &[], &[("step", "begin"), ("url", "http://x")]).await;
        assert_eq!(bare.status, StatusCode::UNAUTHORIZED);
        // A proof for the token endpoint is none for here.
        let assertion = home.connector.assertion(&home.id, world.clock.unix_seconds());
        let form = [("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), ("client_assertion", &assertion), ("step", "begin"), ("url", "http://x")];
        let elsewhere = macloud_proto::dpop::Request { method: "POST", url: "https://cloud.example/oauth/token", access_token: None };
        let proof = macloud_proto::dpop::prove(&home.connector.key, elsewhere, None, "jti", 0);
        assert_eq!(world.post(PATH, &[("dpop", &proof)], &form).await.error(), "invalid_dpop_proof");
    }
}
