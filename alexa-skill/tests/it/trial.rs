//! Homes that ask to be tried, and strangers who do.

use axum::http::StatusCode;
use macloud_e2ee::vocabulary::Refusal;
use macloud_proto::accounts::v1::EventAudienceAnswer;
use serde_json::{Value, json};

use super::support::home::FakeHome;
use super::support::{NOW, World, instance};

/// A skill with one home that the account service knows.
async fn world(paused: bool) -> World {
    let world = World::new().await;
    let identity_key = world.home().identity().to_vec().into();
    world.accounts.set_audience(&world.home(), Some(EventAudienceAnswer { identity_key, paused, grants: Vec::new() }));
    world
}

async fn ask(world: &World, statement: &str) -> (StatusCode, Value) {
    world.post("/alexa/v1/trial", statement.as_bytes().to_vec()).await
}

/// Ask as the home does; what came of it.
async fn result_of(world: &World) -> Value {
    let (status, outcome) = ask(world, &world.home().asks_for_a_trial(NOW)).await;
    assert_eq!(status, StatusCode::OK, "{outcome}");
    outcome["result"].clone()
}

#[tokio::test]
async fn a_home_that_asks_gets_a_command_that_grants_nothing() {
    let world = world(false).await;
    let (status, outcome) = ask(&world, &world.home().asks_for_a_trial(NOW)).await;
    assert_eq!((status, &outcome["result"]), (StatusCode::OK, &json!("ok")));
    assert_eq!(outcome["micros"]["home"], 500, "the times of each hop are told: {outcome}");
    assert_eq!((world.home().trials(), world.home().carried_out().len()), (1, 0));
    assert_eq!(world.accounts.reports().len(), 0, "nothing is counted that nobody asked Alexa for");
}

#[tokio::test]
async fn what_keeps_commands_away_is_named() {
    assert_eq!(result_of(&world(true).await).await, "home_paused");
    let stopped = world(false).await;
    stopped.home().refuse_next(Refusal::Stopped);
    assert_eq!(result_of(&stopped).await, "stopped");
    let away = world(false).await;
    let statement = away.home().asks_for_a_trial(NOW);
    away.relay.disconnect(&instance(1));
    assert_eq!(ask(&away, &statement).await.1["result"], "not_sent_not_connected");
}

/// A stranger cannot even find out whether there is such a home, nor keep it from being tried.
#[tokio::test]
async fn nobody_but_the_home_itself_can_have_it_tried() {
    let world = world(false).await;
    let forged = macloud_proto::jose::SigningKey::from_seed(&[0x66; 32]);
    let forged = macloud_proto::trial::ask(&forged, &instance(1), NOW);
    let unknown = FakeHome::new(9).asks_for_a_trial(NOW);
    let old = world.home().asks_for_a_trial(NOW - 600);
    let long = "x".repeat(2000);
    let mut answers = Vec::new();
    for statement in [&forged, &unknown, &old, &long, "", "\u{0}"] {
        answers.push(ask(&world, statement).await);
    }
    assert_eq!(answers[0].0, StatusCode::UNAUTHORIZED);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(world.home().trials(), 0);
    assert_eq!(result_of(&world).await, "ok", "none of that counted as a trial of the home");
}

#[tokio::test]
async fn a_home_is_not_tried_again_at_once() {
    let world = world(false).await;
    assert_eq!(result_of(&world).await, "ok");
    let (status, problem) = ask(&world, &world.home().asks_for_a_trial(NOW)).await;
    assert_eq!((status, &problem["error"]), (StatusCode::TOO_MANY_REQUESTS, &json!("too_soon")));
    assert_eq!(world.home().trials(), 1);
}
