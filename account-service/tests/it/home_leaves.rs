//! A home takes leave: it, and nobody else, with the key that it has now.

use axum::http::StatusCode;
use macloud_proto::accounts::v1::change::Subject;
use macloud_proto::dpop;
use macloud_service_kit::clock::Clock as _;
use serde_json::json;

use crate::harness::{Answer, ISSUER, World, on_both_databases, text, unique};
use crate::members::{ADA, BEN, homes, share, told_since};
use crate::pairing::Connector;

const PATH: &str = "/oauth/leave";

async fn leave(world: &World, connector: &Connector, id: &str) -> Answer {
    let assertion = connector.assertion(id, world.clock.unix_seconds());
    connector.ask_at(world, PATH, &form(&assertion)).await
}

fn form(assertion: &str) -> [(&str, &str); 2] {
    [
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion),
    ]
}

on_both_databases! {
    async fn a_home_that_takes_leave_is_unlinked_for_everybody(world: &World) {
        let client = world.alexa().await;
        let (mut ada, mut ben) = (world.person(ADA).await, world.person(BEN).await);
        let connector = Connector::new();
        let home = text(&connector.pair(world, &mut ada, "My house").await, "instance_id").to_owned();
        share(&mut ada, &home, &mut ben, "Ben", "member").await;
        let tokens = [world.link_as(&client, &mut ada).await, world.link_as(&client, &mut ben).await];
        assert_eq!(homes(world, &tokens[1]).await, [home.as_str()]);
        let before = told_since(world, 0).await.1;
        let left = leave(world, &connector, &home).await;
        assert_eq!((left.status, &left.json()["left"]), (StatusCode::OK, &true.into()), "{}", left.text);
        for tokens in &tokens {
            assert_eq!(homes(world, tokens).await, [""; 0]);
        }
        let told = told_since(world, before).await.0;
        assert!(told.iter().any(|change| matches!(change, Subject::InstanceEnded(_))), "the relay hears of it: {told:?}");
        assert!(ada.get("/activity").await.text.contains("My house was unlinked"));
        assert!(ben.get("/activity").await.text.contains("My house is no longer shared with you"));
        // It has left: there is no way in any more, and nothing left to end.
        assert_eq!(leave(world, &connector, &home).await.status, StatusCode::UNAUTHORIZED);
        let assertion = connector.assertion(&home, world.clock.unix_seconds());
        let [kind, assertion] = form(&assertion);
        let form = [("grant_type", "client_credentials"), ("scope", "relay"), kind, assertion];
        assert_eq!(connector.ask(world, &form).await.error(), "invalid_client");
    }

    async fn nobody_else_makes_a_home_leave(world: &World) {
        let client = world.alexa().await;
        let (mut ada, mut eve) = (world.person(ADA).await, world.person("eve@example.org").await);
        let (connector, stranger) = (Connector::new(), Connector::new());
        let home = text(&connector.pair(world, &mut ada, "My house").await, "instance_id").to_owned();
        stranger.pair(world, &mut eve, "Hers").await;
        let tokens = world.link_as(&client, &mut ada).await;
        assert_eq!(leave(world, &stranger, &home).await.error(), "invalid_client");
        assert_eq!(leave(world, &connector, "x").await.error(), "invalid_client");
        // Without a proof of the key, or with one for another endpoint.
        let assertion = connector.assertion(&home, world.clock.unix_seconds());
        assert_eq!(world.post(PATH, &[], &form(&assertion)).await.error(), "invalid_dpop_proof");
        let at = format!("{ISSUER}/oauth/token");
        let elsewhere = dpop::Request { method: "POST", url: &at, access_token: None };
        let proof = dpop::prove(&connector.key, elsewhere, None, &unique(), 0);
        assert_eq!(world.post(PATH, &[("dpop", &proof)], &form(&assertion)).await.error(), "invalid_dpop_proof");
        assert_eq!(world.post(PATH, &[], &[]).await.error(), "invalid_client");
        assert_eq!(homes(world, &tokens).await, [home.as_str()]);
    }

    async fn nothing_made_for_another_purpose_makes_a_home_leave(world: &World) {
        let client = world.alexa().await;
        let mut ada = world.person(ADA).await;
        let (connector, thief) = (Connector::new(), Connector::new());
        let home = text(&connector.pair(world, &mut ada, "My house").await, "instance_id").to_owned();
        let tokens = world.link_as(&client, &mut ada).await;
        let now = world.clock.unix_seconds();
        // One that was recorded at the token endpoint, with its owner's key and with another's.
        let assertion = connector.assertion(&home, now);
        assert_eq!(thief.ask_at(world, PATH, &form(&assertion)).await.error(), "invalid_dpop_proof");
        assert_eq!(connector.dial_in_token(world, &assertion).await.status, StatusCode::OK);
        assert_eq!(connector.ask_at(world, PATH, &form(&assertion)).await.error(), "invalid_request");
        // For another server, or beside us for another server, or too old.
        let elsewhere = "https://elsewhere.example";
        for (aud, exp) in [(json!(elsewhere), now + 60), (json!([ISSUER, elsewhere]), now + 60), (json!([]), now + 60), (json!(ISSUER), now - 60)] {
            let claims = json!({ "iss": home, "sub": home, "aud": aud, "iat": now - 120, "exp": exp, "jti": unique() });
            let assertion = connector.sign_assertion(&claims);
            assert_eq!(connector.ask_at(world, PATH, &form(&assertion)).await.error(), "invalid_client", "{claims}");
        }
        let pairing = connector.pairing_proof(ISSUER, "macloud-pair+jwt");
        assert_eq!(connector.ask_at(world, PATH, &form(&pairing)).await.error(), "invalid_client");
        assert_eq!(homes(world, &tokens).await, [home.as_str()]);
    }

    async fn a_home_of_a_suspended_account_may_leave(world: &World) {
        let mut ada = world.person(ADA).await;
        let connector = Connector::new();
        let home = text(&connector.pair(world, &mut ada, "My house").await, "instance_id").to_owned();
        world.service.set_user_suspended(ADA, true).await.unwrap();
        assert_eq!(leave(world, &connector, &home).await.status, StatusCode::OK);
        assert_eq!(world.look_up("SELECT CAST(COUNT(*) AS TEXT) FROM instances WHERE ended_at IS NULL").await, "0");
    }
}
