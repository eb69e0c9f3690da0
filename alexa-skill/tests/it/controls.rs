//! What Alexa can do with a player beside power, volume and playback, and with a favourite.

use macloud_e2ee::vocabulary::{Action, Capabilities, Command, Percent, Refusal, Target};
use serde_json::{Value, json};

use super::support::home::some_preset;
use super::support::{NOW, World, directive, directive_to, error_type, instance, player, property, scene};

/// To a toggle, mode or range of the kitchen.
fn with_instance(instance: &str, namespace: &str, name: &str, payload: Value) -> Value {
    let mut directive = directive(namespace, name, payload);
    directive["directive"]["header"]["instance"] = instance.into();
    directive
}

fn value<'e>(event: &'e Value, instance: &str) -> Option<&'e Value> {
    let properties = event["context"]["properties"].as_array().unwrap();
    properties.iter().find(|property| property["instance"] == instance).map(|property| &property["value"])
}

fn seek(millis: i64) -> Value {
    directive("Alexa.SeekController", "AdjustSeekPosition", json!({"deltaPositionMilliseconds": millis}))
}

#[tokio::test]
async fn seeking_says_where_it_is_now() {
    let world = World::new().await;
    world.home().change_players(|players| players[0].state.position = Some(100));
    let event = world.send(&seek(-45_000)).await;
    let header = &event["event"]["header"];
    assert_eq!(
        (header["namespace"].as_str(), header["name"].as_str()),
        (Some("Alexa.SeekController"), Some("StateReport"))
    );
    let position = json!({"properties": [{"name": "positionMilliseconds", "value": 55_000}]});
    assert_eq!(event["event"]["payload"], position);
    assert_eq!(world.home().changes(), [Action::SeekBy(-45)]);
    let event = world.send(&seek(86_400_001)).await;
    assert_eq!(error_type(&event), "VALUE_OUT_OF_RANGE");
    assert_eq!(event["event"]["payload"]["validRange"]["minimumValue"], -86_400_000);
    let report = world.send(&directive("Alexa", "ReportState", json!({}))).await;
    assert!(!report.to_string().contains("positionMilliseconds"), "nobody asked for it");
}

#[tokio::test]
async fn what_has_no_places_to_go_to_is_not_permitted_for_the_content() {
    let world = World::new().await;
    for refusal in [Refusal::NotSupported, Refusal::NothingToPlay, Refusal::NothingPlays] {
        world.home().refuse_next(refusal);
        let event = world.send(&seek(30_000)).await;
        assert_eq!(event["event"]["header"]["namespace"], "Alexa.Video");
        assert_eq!(error_type(&event), "ACTION_NOT_PERMITTED_FOR_CONTENT");
    }
    world.home().refuse_next(Refusal::PlayerUnavailable("Kitchen".into()));
    let event = world.send(&seek(30_000)).await;
    assert_eq!((&event["event"]["header"]["namespace"], error_type(&event)), (&json!("Alexa"), "ENDPOINT_UNREACHABLE"));
}

#[tokio::test]
async fn autoplay_is_a_toggle_of_its_own() {
    let world = World::new().await;
    let event = world.send(&with_instance("Queue.Autoplay", "Alexa.ToggleController", "TurnOn", json!({}))).await;
    assert_eq!(
        (value(&event, "Queue.Autoplay"), value(&event, "Queue.Shuffle")),
        (Some(&json!("ON")), Some(&json!("OFF")))
    );
    assert_eq!(world.home().changes(), [Action::SetAutoplay(true)]);
    world.home().change_players(|players| players[0].can.autoplay = false);
    let report = world.send(&directive("Alexa", "ReportState", json!({}))).await;
    assert_eq!(value(&report, "Queue.Autoplay"), None);
}

#[tokio::test]
async fn a_sleep_timer_is_set_adjusted_and_ended() {
    let world = World::new().await;
    let range = |name: &str, payload| with_instance("Player.SleepTimer", "Alexa.RangeController", name, payload);
    let event = world.send(&range("SetRangeValue", json!({"rangeValue": 20}))).await;
    assert_eq!(value(&event, "Player.SleepTimer"), Some(&json!(20)));
    let by = |by: i32, default: bool| json!({"rangeValueDelta": by, "rangeValueDeltaDefault": default});
    let event = world.send(&range("AdjustRangeValue", by(15, false))).await;
    assert_eq!(value(&event, "Player.SleepTimer"), Some(&json!(35)));
    let event = world.send(&range("AdjustRangeValue", by(-1, true))).await;
    assert_eq!(value(&event, "Player.SleepTimer"), Some(&json!(25)));
    let event = world.send(&range("SetRangeValue", json!({"rangeValue": 0}))).await;
    assert_eq!(value(&event, "Player.SleepTimer"), Some(&json!(0)));
    let timers = [Some(20), Some(35), Some(25), None].map(Action::SetSleepTimer);
    assert_eq!(world.home().changes(), timers);
    let event = world.send(&range("SetRangeValue", json!({"rangeValue": 721}))).await;
    assert_eq!(error_type(&event), "VALUE_OUT_OF_RANGE");
    assert_eq!(event["event"]["payload"]["validRange"], json!({"minimumValue": 0, "maximumValue": 720}));
}

#[tokio::test]
async fn a_preset_is_played_on_the_player_and_told_only_where_it_was_asked_of() {
    let world = World::new().await;
    let jazz = world.home().add_preset("Jazz Evening");
    let set = |mode: String| with_instance("Player.Preset", "Alexa.ModeController", "SetMode", json!({"mode": mode}));
    let event = world.send(&set(format!("Preset.{jazz}"))).await;
    assert_eq!(value(&event, "Player.Preset"), Some(&json!(format!("Preset.{jazz}"))));
    assert_eq!(world.home().changes(), [Action::PlayPreset(jazz)]);
    assert_eq!(world.last_trace().kind, "preset");
    let report = world.send(&directive("Alexa", "ReportState", json!({}))).await;
    assert_eq!(value(&report, "Player.Preset"), None, "it is not retrievable");
    let gone = world.send(&set(format!("Preset.{}", some_preset("Gone")))).await;
    assert_eq!(error_type(&gone), "INVALID_VALUE");
    assert_eq!(error_type(&world.send(&set("Preset.Jazz".into())).await), "INVALID_VALUE");
}

#[tokio::test]
async fn a_favourite_is_a_scene_that_plays_where_music_plays() {
    let world = World::new().await;
    let jazz = world.home().add_preset("Jazz Evening");
    let to = |name: &str| directive_to(&scene(1, &jazz), "Alexa.SceneController", name, json!({}));
    let event = world.send(&to("Activate")).await;
    let header = &event["event"]["header"];
    let named = (header["namespace"].as_str(), header["name"].as_str());
    assert_eq!(named, (Some("Alexa.SceneController"), Some("ActivationStarted")));
    let payload = json!({"cause": {"type": "VOICE_INTERACTION"}, "timestamp": "2026-11-22T00:00:00.000Z"});
    assert_eq!((&event["event"]["payload"], NOW), (&payload, 1_795_305_600));
    let action = Action::PlayPreset(jazz.clone());
    let command = Command::OnPlayer { target: Target::Unnamed, action, device: None };
    assert_eq!(world.home().carried_out(), [command]);

    assert_eq!(error_type(&world.send(&to("Deactivate")).await), "INVALID_DIRECTIVE");
    let power = directive_to(&scene(1, &jazz), "Alexa.PowerController", "TurnOn", json!({}));
    assert_eq!(error_type(&world.send(&power).await), "INVALID_DIRECTIVE");
    let on_player = directive("Alexa.SceneController", "Activate", json!({}));
    assert_eq!(error_type(&world.send(&on_player).await), "INVALID_DIRECTIVE");
    for (refusal, expected) in [
        (Refusal::UnknownPreset, "NO_SUCH_ENDPOINT"),
        (Refusal::WhichPlayer(vec!["Kitchen".into(), "Bathroom".into()]), "NOT_IN_OPERATION"),
        (Refusal::MusicAssistantAway(None), "BRIDGE_UNREACHABLE"),
        (Refusal::QuietHours(None), "INSUFFICIENT_PERMISSIONS"),
    ] {
        world.home().refuse_next(refusal);
        assert_eq!(error_type(&world.send(&to("Activate")).await), expected);
    }
    let elsewhere = directive_to(&scene(2, &jazz), "Alexa.SceneController", "Activate", json!({}));
    assert_eq!(error_type(&world.send(&elsewhere).await), "NO_SUCH_ENDPOINT");
}

#[tokio::test]
async fn a_volume_is_a_percentage_too_where_alexa_knows_no_speaker() {
    let world = World::new().await;
    let set = directive("Alexa.PercentageController", "SetPercentage", json!({"percentage": 40}));
    let event = world.send(&set).await;
    assert_eq!(property(&event, "Alexa.PercentageController", "percentage"), &json!(40));
    assert_eq!(property(&event, "Alexa.Speaker", "volume"), &json!(40));
    let adjust = directive("Alexa.PercentageController", "AdjustPercentage", json!({"percentageDelta": -15}));
    assert_eq!(property(&world.send(&adjust).await, "Alexa.Speaker", "volume"), &json!(25));
    assert_eq!(world.home().changes(), [Action::SetVolume(Percent::clamped(40)), Action::AdjustVolume(-15)]);
    let too_much = directive("Alexa.PercentageController", "SetPercentage", json!({"percentage": 101}));
    assert_eq!(error_type(&world.send(&too_much).await), "VALUE_OUT_OF_RANGE");
}

#[tokio::test]
async fn a_player_without_levels_is_turned_up_by_steps() {
    let world = World::new().await;
    world.home().change_players(|players| {
        players[0].can = Capabilities { steps: true, ..Capabilities::default() };
        players[0].state.volume = None;
        players[0].state.muted = None;
    });
    let steps = |by: i32, default: bool| {
        directive("Alexa.StepSpeaker", "AdjustVolume", json!({"volumeSteps": by, "volumeStepsDefault": default}))
    };
    let event = world.send(&steps(-10, true)).await;
    assert_eq!(error_type(&event), "none");
    world.send(&steps(3, false)).await;
    world.send(&directive("Alexa.StepSpeaker", "SetMute", json!({"mute": true}))).await;
    let changes = [Action::AdjustVolume(-10), Action::AdjustVolume(3), Action::SetMute(true)];
    assert_eq!(world.home().changes(), changes);
    let key = player(1, 1);
    assert!(world.home().carried_out().iter().all(
        |command| matches!(command, Command::OnPlayer { target: Target::Key(target), device: None, .. } if *target == key)
    ));
    assert_eq!(world.home().instance, instance(1));
}
