//! How clients prove who they are.

use axum::http::StatusCode;
use macloud_account_service::{AdminError, CreatedClient, NewClient};
use macloud_service_kit::clock::Clock as _;
use serde_json::{Value, json};

use crate::harness::{Answer, Authorization, ISSUER, REDIRECT, World, basic, on_both_databases, text, unique};
use crate::keys::ClientKey;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

async fn with_keys(world: &World, id: &str, keys: &[&ClientKey]) -> CreatedClient {
    let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
    let new = NewClient {
        client_id: id.into(),
        redirect_uris: vec![REDIRECT.into()],
        jwks: Some(json!({ "keys": keys })),
        ..NewClient::default()
    };
    world.service.create_client(new).await.unwrap()
}

fn claims(world: &World, client: &str) -> Value {
    let now = world.clock.unix_seconds();
    json!({ "iss": client, "sub": client, "aud": ISSUER, "iat": now, "exp": now + 60, "jti": unique() })
}

fn assertion(world: &World, key: &ClientKey, client: &str) -> String {
    key.sign(json!({}), &claims(world, client))
}

async fn introspect(world: &World, assertion: &str, more: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
    let mut form = vec![("token", "x"), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion)];
    form.extend(more);
    world.post("/oauth/introspect", headers, &form).await
}

on_both_databases! {
    async fn a_client_with_keys_links_and_refreshes(world: &World) {
        for (id, key) in [("with-ed25519", ClientKey::ed25519()), ("with-p256", ClientKey::p256())] {
            let client = with_keys(world, id, &[&ClientKey::p256(), &key]).await;
            assert!(client.client_secret.is_none() && !client.client.is_public());
            let mut browser = world.person(&format!("{id}@example.org")).await;
            let asked = Authorization::new(id);
            let code = browser.allow(&asked).await;
            let proof = assertion(world, &key, id);
            let mut form = asked.redemption(&code);
            form.extend([("client_assertion_type", ASSERTION_TYPE.to_owned()), ("client_assertion", proof)]);
            let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let tokens = world.post("/oauth/token", &[], &form).await;
            assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.text);
            let proof = assertion(world, &key, id);
            let tokens = tokens.json();
            let form = [
                ("grant_type", "refresh_token"), ("refresh_token", text(&tokens, "refresh_token")),
                ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", &proof),
            ];
            assert_eq!(world.post("/oauth/token", &[], &form).await.status, StatusCode::OK);
            // The same assertion again, at another endpoint and on another node.
            let second_node = world.second_node().await;
            let form = [("token", "x"), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", &proof)];
            let request = crate::harness::form_request("/oauth/introspect", &[], &form);
            let answer = crate::harness::send(second_node.router(), request).await;
            assert_eq!((answer.status, answer.error()), (StatusCode::UNAUTHORIZED, "invalid_client".into()));
            second_node.close().await;
        }
    }

    async fn assertions_must_be_whole(world: &World) {
        let key = ClientKey::p256();
        with_keys(world, "robot", &[&key]).await;
        let alexa = world.alexa().await;
        world.client("public", true).await;
        let now = world.clock.unix_seconds();
        let good = introspect(world, &assertion(world, &key, "robot"), &[], &[]).await;
        assert_eq!(good.text, r#"{"active":false}"#);
        for (name, value) in [
            ("aud", json!("https://elsewhere.example")), ("aud", json!([ISSUER, "https://elsewhere.example"])), ("aud", json!([])),
            ("iss", json!("alexa")), ("sub", json!("alexa")), ("jti", json!("")), ("jti", json!("x".repeat(129))),
            ("exp", json!(now - 61)), ("exp", json!(now + 500)), ("iat", json!(now + 100)), ("nbf", json!(now + 100)),
            ("exp", json!(i64::MAX)), ("exp", json!("soon")), ("aud", Value::Null),
        ] {
            let mut claims = claims(world, "robot");
            claims[name] = value.clone();
            let answer = introspect(world, &key.sign(json!({}), &claims), &[], &[]).await;
            assert_eq!((answer.status, answer.error()), (StatusCode::UNAUTHORIZED, "invalid_client".into()), "{name}: {value}");
        }
        for header in [json!({ "typ": "dpop+jwt" }), json!({ "kid": "x", "typ": "at+jwt" }), json!({ "crit": ["x"] })] {
            let answer = introspect(world, &key.sign(header.clone(), &claims(world, "robot")), &[], &[]).await;
            assert_eq!(answer.error(), "invalid_client", "{header}");
        }
        let stranger = introspect(world, &assertion(world, &ClientKey::p256(), "robot"), &[], &[]).await;
        assert_eq!(stranger.error(), "invalid_client");
        let token_endpoint = key.sign(json!({ "typ": "JWT" }), &{
            let mut claims = claims(world, "robot");
            claims["aud"] = json!(["https://cloud.example/oauth/token"]);
            claims
        });
        assert_eq!(introspect(world, &token_endpoint, &[("client_id", "robot")], &[]).await.status, StatusCode::OK);
        // Exactly one way, and the way that the client has.
        let header = basic(&alexa);
        let two_ways = introspect(world, &assertion(world, &key, "robot"), &[], &[("authorization", &header)]).await;
        assert_eq!((two_ways.status, two_ways.error()), (StatusCode::BAD_REQUEST, "invalid_request".into()));
        let two_ways = introspect(world, &assertion(world, &key, "robot"), &[("client_secret", "x")], &[]).await;
        assert_eq!(two_ways.error(), "invalid_request");
        let two_ways = world.post("/oauth/introspect", &[("authorization", &header)], &[("token", "x"), ("client_secret", "x")]).await;
        assert_eq!(two_ways.error(), "invalid_request");
        for form in [
            vec![("client_id", "robot")], vec![("client_id", "robot"), ("client_secret", "x")], vec![("client_id", "alexa")],
            vec![("client_id", "public"), ("client_secret", "x")], vec![],
        ] {
            let form: Vec<_> = form.into_iter().chain([("token", "x")]).collect();
            assert_eq!(world.post("/oauth/introspect", &[], &form).await.status, StatusCode::UNAUTHORIZED, "{form:?}");
        }
        let half = [("token", "x"), ("client_assertion", "x")];
        assert_eq!(world.post("/oauth/introspect", &[], &half).await.error(), "invalid_request");
        assert_eq!(introspect(world, &assertion(world, &key, "robot"), &[("client_id", "alexa")], &[]).await.error(), "invalid_client");
        assert_eq!(introspect(world, &assertion(world, &key, "alexa"), &[], &[]).await.error(), "invalid_client");
    }

    async fn a_replaced_secret_stays_good_for_as_long_as_was_said(world: &World) {
        let first = world.alexa().await;
        let tokens = world.link(&first, "ada@example.org").await;
        let refresh_token = text(&tokens, "refresh_token");
        let with = |secret: String| CreatedClient { client: first.client.clone(), client_secret: Some(secret) };
        // By another process: this one must believe the new secret at once.
        let operator = world.second_node().await;
        let second = with(operator.rotate_client_secret("alexa", 3600).await.unwrap());
        for client in [&first, &second] {
            assert_eq!(world.refresh(client, refresh_token).await.status, StatusCode::OK);
        }
        world.advance(3600);
        assert_eq!(world.refresh(&first, refresh_token).await.error(), "invalid_client");
        assert_eq!(world.refresh(&second, refresh_token).await.status, StatusCode::OK);
        // The one before the one before is gone, however long it was promised.
        let third = with(world.service.rotate_client_secret("alexa", 3600).await.unwrap());
        let fourth = with(world.service.rotate_client_secret("alexa", 3600).await.unwrap());
        assert_eq!(world.refresh(&second, refresh_token).await.error(), "invalid_client");
        for client in [&third, &fourth] {
            assert_eq!(world.refresh(client, refresh_token).await.status, StatusCode::OK);
        }
        let fifth = with(world.service.rotate_client_secret("alexa", 0).await.unwrap());
        assert_eq!(world.refresh(&fourth, refresh_token).await.error(), "invalid_client");
        assert_eq!(world.refresh(&fifth, refresh_token).await.status, StatusCode::OK);
        assert!(matches!(world.service.rotate_client_secret("nobody", 0).await, Err(AdminError::Unknown(_))));
        assert!(matches!(world.service.rotate_client_secret("alexa", u32::MAX).await, Err(AdminError::SecretOverlap)));
        world.client("public", true).await;
        assert!(matches!(world.service.rotate_client_secret("public", 0).await, Err(AdminError::NoSecret(_))));
        operator.close().await;
    }

    async fn keys_that_prove_nothing_are_not_registered(world: &World) {
        let private = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A" });
        let everybodys = json!({ "kty": "OKP", "crv": "Ed25519", "x": "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" });
        let symmetric = json!({ "kty": "oct", "k": "AAAA" });
        let many = json!({ "keys": vec![ClientKey::p256().jwk(); 17] });
        for jwks in [private, everybodys, symmetric, many, json!({ "keys": [] }), json!("x"), json!({})] {
            let new = NewClient { client_id: "robot".into(), redirect_uris: vec![REDIRECT.into()], jwks: Some(jwks.clone()), ..NewClient::default() };
            let refused = world.service.create_client(new).await.err();
            assert!(matches!(refused, Some(AdminError::Keys(_))), "{jwks}");
        }
    }

    async fn a_client_in_its_own_name_needs_leave(world: &World) {
        let alexa = world.alexa().await;
        world.client("public", true).await;
        let form = [("grant_type", "client_credentials")];
        assert_eq!(world.token(&alexa, &form).await.error(), "unauthorized_client");
        let public = [form[0], ("client_id", "public")];
        assert_eq!(world.post("/oauth/token", &[], &public).await.error(), "unauthorized_client");
        let robot = crate::operators::robot(world, &["ma_cloud.admin.read"]).await;
        let answer = world.token(&robot, &form).await;
        let tokens = answer.json();
        assert_eq!((text(&tokens, "scope"), text(&tokens, "token_type")), ("ma_cloud.admin.read", "Bearer"));
        assert!(tokens.get("refresh_token").is_none() && tokens["expires_in"] == 600, "{tokens}");
        let widened = [form[0], ("scope", "ma_cloud.admin")];
        assert_eq!(world.token(&robot, &widened).await.error(), "invalid_scope");
        assert_eq!(world.token(&robot, &[form[0], ("scope", " ")]).await.error(), "invalid_scope");
        // It is a token like others, but no person's.
        let token = text(&tokens, "access_token");
        assert!(world.is_active(&robot, token).await && !world.is_active(&alexa, token).await);
        let authorization = format!("Bearer {token}");
        assert_eq!(world.send(http::Request::get("/oauth/userinfo").header("authorization", &authorization).body(axum::body::Body::empty()).unwrap()).await.status, StatusCode::UNAUTHORIZED);
        let header = basic(&alexa);
        world.post("/oauth/revoke", &[("authorization", &header)], &[("token", token)]).await;
        assert!(world.is_active(&robot, token).await, "another client's revocation is of no effect");
        let header = basic(&robot);
        world.post("/oauth/revoke", &[("authorization", &header)], &[("token", token)]).await;
        assert!(!world.is_active(&robot, token).await);
        let token = world.token(&robot, &form).await.json();
        world.advance(600);
        assert!(!world.is_active(&robot, text(&token, "access_token")).await);
        // Nobody can be sent to it, and nobody can be it.
        let asked = Authorization::new("robot");
        assert_eq!(world.browser().get(&asked.path()).await.status, StatusCode::BAD_REQUEST);
        let new = NewClient { client_id: "x".into(), public: true, own_scopes: vec!["ma_cloud.admin".into()], ..NewClient::default() };
        assert!(matches!(world.service.create_client(new).await, Err(AdminError::Combination(_))));
        let new = NewClient { client_id: "x".into(), own_scopes: vec!["music_assistant.read".into()], ..NewClient::default() };
        assert!(matches!(world.service.create_client(new).await, Err(AdminError::OwnScopes)));
    }
}
