//! Grants for the event gateway: accepted without a trace while events are off, exchanged and sealed while they are on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use macloud_alexa_skill::SkillConfig;
use macloud_alexa_skill::grant::{EventsConfig, Gateways, Region, unseal};
use macloud_proto::accounts::v1::resolve_access_answer::Status;
use serde_json::{Value, json};

use super::support::{TOKEN, World, accounts};

pub(crate) fn accept_grant() -> Value {
    json!({"directive": {
        "header": {
            "namespace": "Alexa.Authorization", "name": "AcceptGrant", "payloadVersion": "3",
            "messageId": "1bd5d003-31b9-476f-ad03-71d471922820", "correlationToken": "is not repeated"
        },
        "payload": {
            "grant": {"type": "OAuth2.AuthorizationCode", "code": "a code"},
            "grantee": {"type": "BearerToken", "token": TOKEN}
        }
    }})
}

fn is_accepted(event: &Value) -> bool {
    let header = &event["event"]["header"];
    assert_eq!(header["namespace"], "Alexa.Authorization");
    let accepted = header["name"] == "AcceptGrant.Response";
    if !accepted {
        assert_eq!(event["event"]["payload"]["type"], "ACCEPT_GRANT_FAILED");
    }
    accepted
}

#[tokio::test]
async fn while_events_are_off_a_grant_is_accepted_and_not_kept() {
    let world = World::new().await;
    assert!(is_accepted(&world.send(&accept_grant()).await));
    world.relay.disconnect(&super::support::instance(1));
    world.accounts.fail(u64::MAX);
    world.clock.advance(std::time::Duration::from_secs(301));
    assert!(is_accepted(&world.send(&accept_grant()).await), "linking does not depend on anything else");
    world.accounts.fail(0);
    world.accounts.deny(TOKEN, Status::Invalid);
    assert!(!is_accepted(&world.send(&accept_grant()).await), "but the token must be one of ours");
    assert!(world.accounts.grants().is_empty());
}

/// Login with Amazon, which first fails as often as it is told.
struct FakeLogin {
    failures: AtomicU64,
    status: Mutex<StatusCode>,
    forms: Mutex<Vec<String>>,
}

async fn with_events() -> (World, Arc<FakeLogin>) {
    let login = Arc::new(FakeLogin {
        failures: AtomicU64::new(0),
        status: Mutex::new(StatusCode::SERVICE_UNAVAILABLE),
        forms: Mutex::default(),
    });
    let state = Arc::clone(&login);
    let token = move |form: String| async move {
        state.forms.lock().unwrap().push(form);
        if state.failures.load(Ordering::SeqCst) > 0 {
            state.failures.fetch_sub(1, Ordering::SeqCst);
            return Err(*state.status.lock().unwrap());
        }
        let tokens =
            json!({"access_token": "Atza|a", "refresh_token": "Atzr|r", "token_type": "bearer", "expires_in": 3600});
        Ok(axum::Json(tokens))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let token_url = format!("http://{}/auth/o2/token", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/auth/o2/token", post(token))).await });
    let events = EventsConfig {
        token_url,
        client_id: "amzn1.application-oa2-client.1".into(),
        client_secret: "a secret".into(),
        region: Region::Europe,
        gateways: Gateways::amazon(),
        seal_key: [9; 32],
    };
    (World::with(SkillConfig { events: Some(events), ..SkillConfig::default() }).await, login)
}

#[tokio::test]
async fn while_events_are_on_the_code_is_exchanged_and_the_tokens_kept_sealed() {
    let (world, login) = with_events().await;
    login.failures.store(1, Ordering::SeqCst);
    assert!(is_accepted(&world.send(&accept_grant()).await), "the exchange is tried twice");
    let form = login.forms.lock().unwrap()[0].clone();
    assert_eq!(
        form,
        "grant_type=authorization_code&code=a+code&client_id=amzn1.application-oa2-client.1&client_secret=a+secret"
    );
    let kept = world.accounts.grants();
    assert_eq!((kept[0].account_id.as_str(), kept[0].region.as_str()), (accounts::account().as_str(), "EU"));
    let tokens = unseal(&[9; 32], &accounts::account(), Region::Europe, &kept[0].sealed).unwrap();
    assert_eq!(tokens.refresh_token, "Atzr|r");
    assert!(is_accepted(&world.send(&accept_grant()).await), "repeating replaces");
    assert_eq!(world.accounts.grants().len(), 2);
}

#[tokio::test]
async fn a_code_that_cannot_be_exchanged_is_refused() {
    let (world, login) = with_events().await;
    login.failures.store(2, Ordering::SeqCst);
    assert!(!is_accepted(&world.send(&accept_grant()).await));
    assert_eq!(login.forms.lock().unwrap().len(), 2);
    *login.status.lock().unwrap() = StatusCode::BAD_REQUEST;
    login.failures.store(1, Ordering::SeqCst);
    assert!(!is_accepted(&world.send(&accept_grant()).await));
    assert_eq!(login.forms.lock().unwrap().len(), 3, "a refused code is not tried again");
    for passing in [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT] {
        *login.status.lock().unwrap() = passing;
        login.failures.store(1, Ordering::SeqCst);
        assert!(is_accepted(&world.send(&accept_grant()).await), "{passing} passes");
    }
    let kept = world.accounts.grants().len();
    world.accounts.lose_grants();
    assert!(!is_accepted(&world.send(&accept_grant()).await), "what is not kept would be waited for in vain");
    assert_eq!(world.accounts.grants().len(), kept);
    world.accounts.fail(u64::MAX);
    world.clock.advance(std::time::Duration::from_secs(301));
    assert!(!is_accepted(&world.send(&accept_grant()).await), "nothing can be kept without an account");
}
