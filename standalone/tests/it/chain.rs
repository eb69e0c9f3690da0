//! The happy way, and what people do on it.

use macloud_standalone::demo::stage::{Stage, StageConfig};
use macloud_standalone::demo::tour::{property, speech, tour};
use serde_json::{Value, json};

use crate::support::{stage, verdict};

#[tokio::test(flavor = "multi_thread")]
async fn the_tour_of_the_demo_works_and_the_relay_sees_no_word_of_it() {
    macloud_service_kit::tls::install_provider();
    let mut stage = Stage::set(StageConfig::default(), |_| {}).await.unwrap();
    let summary = tour(&mut stage, "Kind of Blue", |_| {}).await;
    stage.strike().await;
    assert!(summary.ok, "{:?}", summary.failed);
    let sealed: Vec<_> = summary.steps.iter().filter_map(|step| step.relay_saw.as_ref()).collect();
    assert!(sealed.len() >= 4, "the relay saw {} commands", sealed.len());
    assert!(sealed.iter().all(|saw| saw.bytes >= 256 && !saw.plaintext_found));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_control_answers_with_all_properties_and_moves_the_player() {
    let (stage, _gate) = stage().await;
    let kitchen = stage.endpoint("Kitchen").unwrap();
    // Something to resume, for "turn on".
    let wish = stage.alexa.intent("PlayMediaIntent", &[("media", "Kind of Blue"), ("player", "Kitchen")]);
    stage.alexa.send_custom(&wish).await.unwrap();
    stage.player_becomes("Kitchen", "playing", |room| room.playing).await.unwrap();
    let controls = [
        ("Alexa.Speaker", "SetVolume", json!({"volume": 42})),
        ("Alexa.Speaker", "AdjustVolume", json!({"volume": -12, "volumeDefault": false})),
        ("Alexa.Speaker", "SetMute", json!({"mute": true})),
        ("Alexa.Speaker", "SetMute", json!({"mute": false})),
        ("Alexa.PowerController", "TurnOff", json!({})),
        ("Alexa.PowerController", "TurnOn", json!({})),
        ("Alexa.PlaybackController", "Pause", json!({})),
        ("Alexa.PlaybackController", "Next", json!({})),
    ];
    for (namespace, name, payload) in controls {
        let directive = stage.alexa.control(namespace, name, kitchen, payload);
        let event = stage.alexa.send_directive(&directive).await.unwrap();
        assert_eq!(verdict(&event), "Response", "{namespace} {name}: {event}");
        let token = &directive["directive"]["header"]["correlationToken"];
        assert_eq!(&event["event"]["header"]["correlationToken"], token);
        for expected in ["powerState", "volume", "muted", "playbackState", "connectivity"] {
            assert!(property(&event, expected).is_some(), "{name} does not report {expected}: {event}");
        }
    }
    stage.player_becomes("Kitchen", "at 30", |room| room.volume == Some(30)).await.unwrap();
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoken_wish_plays_and_can_be_asked_about() {
    let (stage, _gate) = stage().await;
    let say = async |intent: &str, slots: &[(&str, &str)]| -> String {
        let response = stage.alexa.send_custom(&stage.alexa.intent(intent, slots)).await.unwrap();
        speech(&response).unwrap_or_default()
    };
    let playing =
        say("PlayMediaIntent", &[("media", "Kind of Blue"), ("artist", "Miles Davis"), ("player", "bedroom")]).await;
    assert!(playing.contains("Kind of Blue"), "{playing}");
    stage.player_becomes("Bedroom", "playing", |room| room.playing).await.unwrap();
    let what = say("WhatsPlayingIntent", &[("player", "the bedroom")]).await;
    assert!(what.contains("Miles Davis"), "{what}");
    say("AMAZON.PauseIntent", &[]).await;
    stage.player_becomes("Bedroom", "paused", |room| !room.playing).await.unwrap();
    let nowhere = say("PlayMediaIntent", &[("media", "Kind of Blue"), ("player", "garage")]).await;
    assert!(nowhere.contains("Kitchen"), "the speech should name the players there are: {nowhere}");
    let nothing = say("PlayMediaIntent", &[("media", "Zxqy Vwpt"), ("player", "kitchen")]).await;
    assert!(!nothing.is_empty() && !nothing.contains("Playing"), "{nothing}");
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_report_right_after_a_change_tells_the_new_state() {
    // With a real server's delays: it answers a quarter of a second before it tells the new state.
    macloud_service_kit::tls::install_provider();
    let mut stage = Stage::set(StageConfig::default(), |_| {}).await.unwrap();
    stage.discover().await.unwrap();
    let kitchen = stage.endpoint("Kitchen").unwrap();
    for level in [30, 55, 12] {
        let set = stage.alexa.control("Alexa.Speaker", "SetVolume", kitchen, json!({"volume": level}));
        assert_eq!(verdict(&stage.alexa.send_directive(&set).await.unwrap()), "Response");
        let report = stage.alexa.control("Alexa", "ReportState", kitchen, json!({}));
        let report = stage.alexa.send_directive(&report).await.unwrap();
        assert_eq!(property(&report, "volume"), Some(&json!(level)), "{report}");
    }
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn someone_who_has_not_linked_is_told_how() {
    let (stage, _gate) = stage().await;
    let mut request = stage.alexa.launch();
    for user in ["/session/user", "/context/System/user"] {
        request.pointer_mut(user).and_then(Value::as_object_mut).unwrap().remove("accessToken");
    }
    let response = stage.alexa.send_custom(&request).await.unwrap();
    assert_eq!(response["response"]["card"]["type"], "LinkAccount");
    assert_eq!(response["response"]["shouldEndSession"], true);
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_refresh_and_the_new_ones_work() {
    let (mut stage, _gate) = stage().await;
    let known = stage.endpoints.len();
    let before = stage.alexa.tokens().unwrap().access_token.clone();
    stage.alexa.refresh().await.unwrap();
    assert_ne!(before, stage.alexa.tokens().unwrap().access_token);
    let (event, _) = stage.discover().await.unwrap();
    assert_eq!(verdict(&event), "Discover.Response");
    assert!(known > 0);
    assert_eq!(stage.endpoints.len(), known);
    stage.strike().await;
}
