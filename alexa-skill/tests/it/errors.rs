//! The error map as a table, and what a directive that goes wrong looks like from outside.

use macloud_alexa_skill::answer::error::alexa;
use macloud_alexa_skill::answer::speech::{Locale, Say};
use macloud_alexa_skill::failure::{Failure, TokenFault};
use macloud_e2ee::vocabulary::{Percent, Playback, Refusal, Reply};
use macloud_proto::bus::v1::{not_sent, unknown};
use serde_json::json;

use super::support::{World, directive, error_type, property};

/// Every failure there is, with the type that Alexa gets.
fn table() -> Vec<(Failure, &'static str)> {
    use Refusal as R;
    use not_sent::Reason as N;
    use unknown::Reason as U;
    let names = || vec!["Kitchen".to_owned(), "Rock & Roll".to_owned()];
    let mut table = vec![
        (Failure::InvalidDirective("a rule"), "INVALID_DIRECTIVE"),
        (Failure::OutOfRange { minimum: 0, maximum: 100 }, "VALUE_OUT_OF_RANGE"),
        (Failure::Token(TokenFault::Expired), "EXPIRED_AUTHORIZATION_CREDENTIAL"),
        (Failure::Token(TokenFault::Invalid), "INVALID_AUTHORIZATION_CREDENTIAL"),
        (Failure::Token(TokenFault::Suspended), "INSUFFICIENT_PERMISSIONS"),
        (Failure::ScopeMissing, "INSUFFICIENT_PERMISSIONS"),
        (Failure::NoSuchEndpoint, "NO_SUCH_ENDPOINT"),
        (Failure::NoHome, "BRIDGE_UNREACHABLE"),
        (Failure::HomePaused, "INSUFFICIENT_PERMISSIONS"),
        (Failure::AccountsAway, "INTERNAL_ERROR"),
        (Failure::BusAway, "INTERNAL_ERROR"),
        (Failure::TimeUp, "BRIDGE_UNREACHABLE"),
        (Failure::HomeUntrusted, "BRIDGE_UNREACHABLE"),
        (Failure::SessionBroken, "BRIDGE_UNREACHABLE"),
        (Failure::UnexpectedReply, "INTERNAL_ERROR"),
        (Failure::GrantNotAccepted, "INTERNAL_ERROR"),
    ];
    let not_sent = [
        (N::NotConnected, "BRIDGE_UNREACHABLE"),
        (N::Busy, "ENDPOINT_BUSY"),
        (N::Draining, "BRIDGE_UNREACHABLE"),
        (N::Deadline, "BRIDGE_UNREACHABLE"),
        (N::LinkLost, "BRIDGE_UNREACHABLE"),
        (N::Cancelled, "INTERNAL_ERROR"),
        (N::RateLimited, "RATE_LIMIT_EXCEEDED"),
        (N::Invalid, "INTERNAL_ERROR"),
        (N::Unspecified, "INTERNAL_ERROR"),
    ];
    table.extend(not_sent.map(|(reason, kind)| (Failure::NotSent(reason), kind)));
    let unknown = [U::Deadline, U::LinkLost, U::Unresponsive, U::Unspecified];
    table.extend(unknown.map(|reason| (Failure::Unknown(reason), "BRIDGE_UNREACHABLE")));
    let refused = [
        (R::UnknownPlayer, "NO_SUCH_ENDPOINT"),
        (R::NoPlayerNamed(names()), "NO_SUCH_ENDPOINT"),
        (R::NoPlayerNamed(Vec::new()), "NO_SUCH_ENDPOINT"),
        (R::WhichPlayer(names()), "NO_SUCH_ENDPOINT"),
        (R::PlayerUnavailable("Kitchen".into()), "ENDPOINT_UNREACHABLE"),
        (R::MediaNotFound, "INVALID_VALUE"),
        (R::NothingToPlay, "NOT_IN_OPERATION"),
        (R::NotSupported, "INVALID_DIRECTIVE"),
        (R::PlayerBusy, "ENDPOINT_BUSY"),
        (R::MusicAssistantAway, "BRIDGE_UNREACHABLE"),
        (R::MusicAssistantStarting, "BRIDGE_UNREACHABLE"),
        (R::MusicAssistantRefusesToken, "BRIDGE_UNREACHABLE"),
        (R::MusicAssistantFailed, "INTERNAL_ERROR"),
        (R::Late, "BRIDGE_UNREACHABLE"),
        (R::NotGranted, "INSUFFICIENT_PERMISSIONS"),
        (R::Stopped, "INSUFFICIENT_PERMISSIONS"),
        (R::Busy, "ENDPOINT_BUSY"),
        (R::UnknownCommand, "FIRMWARE_OUT_OF_DATE"),
        (R::Internal, "INTERNAL_ERROR"),
        (R::OutcomeUnknown, "ENDPOINT_UNREACHABLE"),
    ];
    table.extend(refused.map(|(refusal, kind)| (Failure::Refused(refusal), kind)));
    table
}

#[test]
fn every_failure_has_its_error_and_only_bad_tokens_are_authentication_errors() {
    for (failure, expected) in table() {
        let error = alexa(&failure);
        assert_eq!(error.kind, expected, "{failure:?}");
        assert!(!error.message.contains("Kitchen"), "messages are fixed text");
        let is_authentication = error.kind.ends_with("_AUTHORIZATION_CREDENTIAL");
        assert_eq!(is_authentication, matches!(failure, Failure::Token(TokenFault::Expired | TokenFault::Invalid)));
    }
}

#[test]
fn every_failure_has_words_that_end_as_a_sentence_and_are_safe_to_speak() {
    for (failure, _) in table() {
        let spoken = Locale::English.speak(&Say::Failed(failure.clone()));
        assert!(spoken.text.ends_with(['.', '?']), "{failure:?}: {}", spoken.text);
        assert!(spoken.text.len() > 20 && spoken.text.len() < 400, "{failure:?}: {}", spoken.text);
        assert!(!spoken.text.contains("Rock & Roll"), "names are escaped");
    }
}

#[tokio::test]
async fn refusals_of_a_home_become_schema_valid_error_events() {
    let world = World::new().await;
    let pause = directive("Alexa.PlaybackController", "Pause", json!({}));
    for (failure, expected) in table() {
        let Failure::Refused(refusal) = failure else { continue };
        world.home().refuse_next(refusal);
        assert_eq!(error_type(&world.send(&pause).await), expected);
    }
}

#[tokio::test]
async fn out_of_range_names_the_range() {
    let world = World::new().await;
    let event = world.send(&directive("Alexa.Speaker", "SetVolume", json!({"volume": 150}))).await;
    assert_eq!(error_type(&event), "VALUE_OUT_OF_RANGE");
    assert_eq!(event["event"]["payload"]["validRange"], json!({"minimumValue": 0, "maximumValue": 100}));
    assert!(world.relay.dispatches().is_empty());
}

#[tokio::test]
async fn an_answer_of_another_kind_is_an_internal_error() {
    let world = World::new().await;
    world.home().reply_next(Reply::Players(Vec::new()));
    let event = world.send(&directive("Alexa.PlaybackController", "Pause", json!({}))).await;
    assert_eq!(error_type(&event), "INTERNAL_ERROR");
}

#[tokio::test]
async fn a_player_that_cannot_be_reached_is_reported_as_such_with_what_is_known() {
    let world = World::new().await;
    world.home().change_players(|players| {
        players[0].state.available = false;
        players[0].state.volume = None;
        players[0].state.playback = Playback::Paused;
    });
    let event = world.send(&directive("Alexa", "ReportState", json!({}))).await;
    assert_eq!(event["event"]["header"]["name"], "StateReport");
    assert_eq!(property(&event, "Alexa.EndpointHealth", "connectivity"), &json!({"value": "UNREACHABLE"}));
    assert_eq!(property(&event, "Alexa.PlaybackStateReporter", "playbackState"), &json!({"state": "PAUSED"}));
    let properties = event["context"]["properties"].as_array().unwrap();
    assert!(!properties.iter().any(|property| property["name"] == "volume"), "not known, so not made up");
}

#[tokio::test]
async fn every_control_answer_carries_all_properties() {
    let world = World::new().await;
    let event = world.send(&directive("Alexa.Speaker", "AdjustVolume", json!({"volume": 100}))).await;
    assert_eq!(property(&event, "Alexa.Speaker", "volume"), &json!(100));
    assert_eq!(property(&event, "Alexa.Speaker", "muted"), &json!(false));
    assert_eq!(property(&event, "Alexa.PowerController", "powerState"), &json!("ON"));
    assert_eq!(property(&event, "Alexa.PlaybackStateReporter", "playbackState"), &json!({"state": "STOPPED"}));
    assert_eq!(property(&event, "Alexa.EndpointHealth", "connectivity"), &json!({"value": "OK"}));
    assert_eq!(world.home().player(1).state.volume, Percent::new(100));
}
