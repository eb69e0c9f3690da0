//! The error map as a table, and what a directive that goes wrong looks like from outside.

use std::time::Duration;

use macloud_alexa_skill::answer::error::alexa;
use macloud_alexa_skill::answer::speech::{Locale, Say};
use macloud_alexa_skill::directive::Kind;
use macloud_alexa_skill::dispatch::UsedUp;
use macloud_alexa_skill::failure::{Failure, TokenFault};
use macloud_e2ee::vocabulary::{Item, Percent, Playback, Refusal, Reply};
use macloud_proto::bus::v1::{not_sent, unknown};
use serde_json::json;

use super::support::{World, directive, error_type, property};

/// Every failure there is, with the type that Alexa gets. A new variant does not compile before it stands here.
fn table() -> Vec<(Failure, &'static str)> {
    let mut table = Vec::new();
    let mut next = after(None);
    while let Some(failure) = next {
        next = after(Some(&failure));
        let expected = expected(&failure);
        table.push((failure, expected));
    }
    table.push((Failure::Refused(Refusal::NoPlayerNamed(Vec::new())), "NO_SUCH_ENDPOINT"));
    table.push((Failure::Refused(Refusal::WhichPlayer(Vec::new())), "NO_SUCH_ENDPOINT"));
    table
}

fn expected(failure: &Failure) -> &'static str {
    use Refusal as R;
    use not_sent::Reason as N;
    match failure {
        Failure::InvalidDirective(_) | Failure::Refused(R::NotSupported | R::CannotGroup(_)) => "INVALID_DIRECTIVE",
        Failure::OutOfRange { .. } | Failure::Refused(R::VolumeLimited(_)) => "VALUE_OUT_OF_RANGE",
        Failure::Token(TokenFault::Expired) => "EXPIRED_AUTHORIZATION_CREDENTIAL",
        Failure::Token(TokenFault::Invalid) => "INVALID_AUTHORIZATION_CREDENTIAL",
        Failure::Token(TokenFault::Suspended)
        | Failure::ScopeMissing
        | Failure::HomePaused
        | Failure::NotSent(N::Paused)
        | Failure::Refused(R::NotGranted | R::Stopped | R::QuietHours(_)) => "INSUFFICIENT_PERMISSIONS",
        Failure::NoSuchEndpoint
        | Failure::SameName(_)
        | Failure::Refused(R::UnknownPlayer | R::NoPlayerNamed(_) | R::WhichPlayer(_)) => "NO_SUCH_ENDPOINT",
        Failure::NoHome
        | Failure::AccountsAway
        | Failure::BusAway
        | Failure::TimeUp
        | Failure::HomeUntrusted
        | Failure::SessionBroken
        | Failure::Away(_)
        | Failure::NotSent(N::NotConnected | N::Draining | N::Deadline | N::LinkLost | N::Unlocated)
        | Failure::Unknown(_)
        | Failure::Refused(
            R::MusicAssistantAway(_) | R::MusicAssistantStarting | R::MusicAssistantRefusesToken | R::Late,
        ) => "BRIDGE_UNREACHABLE",
        Failure::NotSent(N::Busy) | Failure::Refused(R::PlayerBusy | R::Busy) => "ENDPOINT_BUSY",
        Failure::UsedUp(_) | Failure::NotSent(N::RateLimited | N::UsedUp) => "RATE_LIMIT_EXCEEDED",
        Failure::Refused(R::PlayerUnavailable(_) | R::OutcomeUnknown) => "ENDPOINT_UNREACHABLE",
        Failure::NoSuchMode
        | Failure::Refused(R::MediaNotFound | R::MediaNotFoundYet | R::DidYouMean(_) | R::UnknownPreset) => {
            "INVALID_VALUE"
        }
        Failure::Refused(R::NothingToPlay | R::NothingPlays) => "NOT_IN_OPERATION",
        Failure::Refused(R::UnknownCommand) => "FIRMWARE_OUT_OF_DATE",
        Failure::UnexpectedReply
        | Failure::GrantNotAccepted
        | Failure::NotSent(N::Cancelled | N::Invalid | N::Unspecified)
        | Failure::Refused(R::MusicAssistantFailed | R::Internal) => "INTERNAL_ERROR",
    }
}

/// One after the other, through all there are.
fn after(failure: Option<&Failure>) -> Option<Failure> {
    use Failure as F;
    Some(match failure {
        None => F::InvalidDirective("a rule"),
        Some(F::InvalidDirective(_)) => F::OutOfRange { minimum: 0, maximum: 100 },
        Some(F::OutOfRange { .. }) => F::NoSuchMode,
        Some(F::NoSuchMode) => F::Token(TokenFault::Expired),
        Some(F::Token(TokenFault::Expired)) => F::Token(TokenFault::Invalid),
        Some(F::Token(TokenFault::Invalid)) => F::Token(TokenFault::Suspended),
        Some(F::Token(TokenFault::Suspended)) => F::ScopeMissing,
        Some(F::ScopeMissing) => F::NoSuchEndpoint,
        Some(F::NoSuchEndpoint) => F::NoHome,
        Some(F::NoHome) => F::HomePaused,
        Some(F::HomePaused) => F::UsedUp(UsedUp { commands_per_day: 200, after: Duration::from_secs(17_000) }),
        Some(F::UsedUp(_)) => F::AccountsAway,
        Some(F::AccountsAway) => F::Away(Duration::from_hours(3)),
        Some(F::Away(_)) => F::BusAway,
        Some(F::BusAway) => F::TimeUp,
        Some(F::TimeUp) => F::HomeUntrusted,
        Some(F::HomeUntrusted) => F::SessionBroken,
        Some(F::SessionBroken) => F::UnexpectedReply,
        Some(F::UnexpectedReply) => F::GrantNotAccepted,
        Some(F::GrantNotAccepted) => F::SameName("Kitchen".into()),
        Some(F::SameName(_)) => F::NotSent(not_sent::Reason::Unspecified),
        Some(F::NotSent(reason)) => match not_sent::Reason::try_from(*reason as i32 + 1) {
            Ok(reason) => F::NotSent(reason),
            Err(_) => F::Unknown(unknown::Reason::Unspecified),
        },
        Some(F::Unknown(reason)) => match unknown::Reason::try_from(*reason as i32 + 1) {
            Ok(reason) => F::Unknown(reason),
            Err(_) => F::Refused(Refusal::UnknownPlayer),
        },
        Some(F::Refused(refusal)) => F::Refused(refusal_after(refusal)?),
    })
}

fn refusal_after(refusal: &Refusal) -> Option<Refusal> {
    use Refusal as R;
    let names = || vec!["Kitchen".to_owned(), "Rock & Roll".to_owned()];
    Some(match refusal {
        R::UnknownPlayer => R::NoPlayerNamed(names()),
        R::NoPlayerNamed(_) => R::WhichPlayer(names()),
        R::WhichPlayer(_) => R::PlayerUnavailable("Kitchen".into()),
        R::PlayerUnavailable(_) => R::MediaNotFound,
        R::MediaNotFound => R::MediaNotFoundYet,
        R::MediaNotFoundYet => R::NothingToPlay,
        R::NothingToPlay => R::NotSupported,
        R::NotSupported => R::PlayerBusy,
        R::PlayerBusy => R::MusicAssistantAway(None),
        R::MusicAssistantAway(_) => R::MusicAssistantStarting,
        R::MusicAssistantStarting => R::MusicAssistantRefusesToken,
        R::MusicAssistantRefusesToken => R::MusicAssistantFailed,
        R::MusicAssistantFailed => R::OutcomeUnknown,
        R::OutcomeUnknown => R::VolumeLimited(Percent::clamped(60)),
        R::VolumeLimited(_) => R::QuietHours(None),
        R::QuietHours(_) => R::Late,
        R::Late => R::NotGranted,
        R::NotGranted => R::Stopped,
        R::Stopped => R::Busy,
        R::Busy => R::UnknownCommand,
        R::UnknownCommand => R::Internal,
        R::Internal => R::DidYouMean(Item { title: "Kitchen".into(), artist: None, album: None, kind: None }),
        R::DidYouMean(_) => R::CannotGroup("Kitchen".into()),
        R::CannotGroup(_) => R::UnknownPreset,
        R::UnknownPreset => R::NothingPlays,
        R::NothingPlays => return None,
    })
}

#[test]
fn every_failure_has_its_error_and_only_bad_tokens_are_authentication_errors() {
    for (failure, expected) in table() {
        let error = alexa(&failure);
        assert_eq!(error.kind, expected, "{failure:?}");
        assert!(!error.message.contains("Kitchen"), "messages are fixed text");
        assert_eq!(error.namespace, "Alexa");
        let is_authentication = error.kind.ends_with("_AUTHORIZATION_CREDENTIAL");
        assert_eq!(is_authentication, matches!(failure, Failure::Token(TokenFault::Expired | TokenFault::Invalid)));
    }
}

#[test]
fn what_a_failure_means_can_depend_on_what_was_asked() {
    use macloud_alexa_skill::answer::error::to;
    let named = |asked, refusal: &Refusal| {
        let error = to(asked, &Failure::Refused(refusal.clone()));
        (error.namespace, error.kind)
    };
    let general =
        [Kind::ReportState, Kind::Power, Kind::Speaker, Kind::Percentage, Kind::Playback, Kind::Preset, Kind::Range];
    for (refusal, expected) in [
        (Refusal::NotSupported, "INVALID_DIRECTIVE"),
        (Refusal::NothingToPlay, "NOT_IN_OPERATION"),
        (Refusal::NothingPlays, "NOT_IN_OPERATION"),
    ] {
        assert_eq!(named(Kind::Seek, &refusal), ("Alexa.Video", "ACTION_NOT_PERMITTED_FOR_CONTENT"));
        assert!(general.iter().all(|asked| named(*asked, &refusal) == ("Alexa", expected)));
    }
    assert_eq!(named(Kind::Preset, &Refusal::UnknownPreset), ("Alexa", "INVALID_VALUE"));
    assert_eq!(named(Kind::Scene, &Refusal::UnknownPreset), ("Alexa", "NO_SUCH_ENDPOINT"));
    assert_eq!(named(Kind::Scene, &Refusal::WhichPlayer(Vec::new())), ("Alexa", "NOT_IN_OPERATION"));
    let grant = to(Kind::AcceptGrant, &Failure::AccountsAway);
    assert_eq!((grant.namespace, grant.kind), ("Alexa.Authorization", "ACCEPT_GRANT_FAILED"));
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

#[test]
fn a_used_up_plan_says_how_much_it_was_and_when_it_goes_on() {
    let said = |commands_per_day, seconds| {
        let used_up = UsedUp { commands_per_day, after: Duration::from_secs(seconds) };
        Locale::English.speak(&Say::Failed(Failure::UsedUp(used_up))).text
    };
    let ending = " What your plan allows is on the website, under plan.";
    for (most, seconds, start) in [
        (200, 17_000, "Today's 200 commands of your plan are used up. It goes on in about 5 hours."),
        (200, 1790, "Today's 200 commands of your plan are used up. It goes on in 30 minutes."),
        (1, 30, "The one command a day of your plan is used up for today. It goes on in a minute."),
        (0, 0, "Today's commands of your plan are used up."),
    ] {
        assert_eq!(said(most, seconds), format!("{start}{ending}"));
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
    world.home().refuse_next(Refusal::VolumeLimited(Percent::clamped(60)));
    let event = world.send(&directive("Alexa.Speaker", "SetVolume", json!({"volume": 80}))).await;
    assert_eq!(event["event"]["payload"]["validRange"], json!({"minimumValue": 0, "maximumValue": 60}));
}

#[tokio::test]
async fn an_answer_of_another_kind_is_an_internal_error() {
    let world = World::new().await;
    world.home().reply_next(Reply::Players { players: Vec::new(), presets: Vec::new(), locale: None });
    let event = world.send(&directive("Alexa.PlaybackController", "Pause", json!({}))).await;
    assert_eq!(error_type(&event), "INTERNAL_ERROR");
}

#[tokio::test]
async fn a_player_that_cannot_be_reached_is_reported_as_such_with_what_is_known() {
    let world = World::new().await;
    world.home().change_players(|players| {
        players[0].state.available = false;
        players[0].state.volume = None;
        players[0].state.muted = None;
        players[0].state.playback = Playback::Paused;
    });
    let event = world.send(&directive("Alexa", "ReportState", json!({}))).await;
    assert_eq!(event["event"]["header"]["name"], "StateReport");
    assert_eq!(property(&event, "Alexa.EndpointHealth", "connectivity"), &json!({"value": "UNREACHABLE"}));
    assert_eq!(property(&event, "Alexa.PlaybackStateReporter", "playbackState"), &json!({"state": "PAUSED"}));
    let properties = event["context"]["properties"].as_array().unwrap();
    let made_up = properties.iter().find(|property| property["name"] == "volume" || property["name"] == "muted");
    assert_eq!(made_up, None, "not known, so not made up");
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
