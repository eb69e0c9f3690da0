//! Discovery.

use axum::http::StatusCode;

use crate::harness::{ISSUER, Kind, World, on_both_databases, send};

#[tokio::test]
async fn both_documents_say_the_same_and_nothing_weak() {
    World::with(Kind::Sqlite, async |world| {
        let mut browser = world.browser();
        let oidc = browser.get("/.well-known/openid-configuration").await;
        let oauth = browser.get("/.well-known/oauth-authorization-server").await;
        assert_eq!((oidc.status, &oidc.text), (StatusCode::OK, &oauth.text));
        assert_eq!(oidc.header("content-type"), "application/json");
        let document = oidc.json();
        assert_eq!(document["issuer"], ISSUER);
        assert_eq!(document["code_challenge_methods_supported"], serde_json::json!(["S256"]));
        assert_eq!(document["response_types_supported"], serde_json::json!(["code"]));
        assert_eq!(document["authorization_response_iss_parameter_supported"], true);
        assert_eq!(document["id_token_signing_alg_values_supported"], serde_json::json!(["EdDSA"]));
        let grants = document["grant_types_supported"].as_array().unwrap();
        assert!(!grants.iter().any(|grant| grant == "password" || grant == "implicit"));
        for (name, value) in document.as_object().unwrap() {
            if name.ends_with("_endpoint") || name.ends_with("_uri") {
                assert!(value.as_str().unwrap().starts_with("https://cloud.example/"), "{name}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn published_keys_have_no_private_half_and_rotate_with_overlap() {
    World::with(Kind::Sqlite, async |world| {
        let mut browser = world.browser();
        let before = browser.get("/oauth/jwks").await.json();
        assert!(before["keys"][0].get("d").is_none());
        world.service.rotate_signing_key().await.unwrap();
        let both = browser.get("/oauth/jwks").await.json();
        let kids: Vec<_> = both["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect();
        assert_eq!(kids.len(), 2);
        assert_ne!(kids[0], kids[1]);
        let client = world.alexa().await;
        let mut person = world.person("ada@example.org").await;
        let signer = async |person: &mut crate::harness::Browser<'_>| {
            let tokens = world.link_as(&client, person).await;
            let token = macloud_proto::jose::Unverified::parse(tokens["id_token"].as_str().unwrap()).unwrap();
            serde_json::Value::from(token.header().kid.clone().unwrap())
        };
        assert_eq!(signer(&mut person).await, kids[0], "the new key is published before it is used");
        world.advance(600);
        assert_eq!(signer(&mut person).await, kids[1]);
        world.advance(3 * 24 * 3600);
        world.service.housekeep().await.unwrap();
        let after = browser.get("/oauth/jwks").await.json();
        assert_eq!(after["keys"].as_array().unwrap().len(), 1);
    })
    .await;
}

on_both_databases! {
    async fn keys_follow_each_other_by_themselves_and_no_token_fails(world: &World) {
        let client = world.alexa().await;
        let tokens = world.link(&client, "ada@example.org").await;
        let second_node = world.second_node().await;
        let mut refresh_token = tokens["refresh_token"].as_str().unwrap().to_owned();
        let mut signers = std::collections::BTreeSet::new();
        for _ in 0..40 {
            // Every six days for eight months; either node may find that a key is due.
            world.advance(6 * 24 * 3600);
            let (one, other) = tokio::join!(world.service.housekeep(), second_node.housekeep());
            assert!(one.is_ok() && other.is_ok());
            let answer = world.refresh(&client, &refresh_token).await.json();
            refresh_token = answer["refresh_token"].as_str().unwrap().to_owned();
            let token = macloud_proto::jose::Unverified::parse(answer["id_token"].as_str().unwrap()).unwrap();
            let set = send(second_node.router(), http::Request::get("/oauth/jwks").body(axum::body::Body::empty()).unwrap()).await.json();
            let kid = token.header().kid.clone().unwrap();
            let key = set["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid.as_str()).unwrap();
            let key: macloud_proto::jose::Jwk = serde_json::from_value(key.clone()).unwrap();
            token.verify::<serde_json::Value>(&key.public_key().unwrap()).unwrap();
            signers.insert(kid);
            assert!(set["keys"].as_array().unwrap().len() <= 2);
        }
        assert_eq!(signers.len(), 3, "one each ninety days");
        second_node.close().await;
    }
}
