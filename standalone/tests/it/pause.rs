//! "Stop now" on the web page, through the whole chain: also against a caller of the bus that takes no notice of it.

use std::time::{Duration, Instant};

use macloud_alexa_skill::dispatch::{Bus, BusConfig, Outcome};
use macloud_connector::state::StateDir;
use macloud_connector::status::{LinkState, Status};
use macloud_proto::bus::v1::dispatch::Class;
use macloud_proto::bus::v1::not_sent;
use macloud_proto::ids::{CommandId, InstanceId};
use macloud_service_kit::random;
use macloud_service_kit::stop::Stop;
use macloud_standalone::demo::stage::Stage;
use serde_json::json;

use crate::support::{eventually, stage, verdict};

/// Press a button on the home's page; how long ago that was answered.
async fn press(stage: &mut Stage, button: &str) -> Instant {
    let page =
        stage.browser.page(&stage.cloud_url.join(&format!("/homes/{}", stage.instance_id)).unwrap()).await.unwrap();
    let form = page.form_to(&format!("/homes/{}/{button}", stage.instance_id)).unwrap();
    stage.browser.submit(&form, &[]).await.unwrap();
    Instant::now()
}

/// What a caller gets who sends straight to the bus.
async fn straight(bus: &Bus, home: &InstanceId) -> Outcome {
    let id = CommandId::from_bytes(random::bytes());
    let deadline = tokio::time::Instant::now() + Duration::from_secs(2);
    bus.dispatch(home, id, Class::Command, vec![7; 100].into(), deadline).await.unwrap().outcome
}

async fn within_a_second(pressed: Instant, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    while !holds().await {
        assert!(pressed.elapsed() < Duration::from_secs(1), "{what}, a second after the button");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_on_the_web_stops_the_relay_too_and_the_home_says_so() {
    let (mut stage, gate) = stage().await;
    let home: InstanceId = stage.instance_id.parse().unwrap();
    let bus = Bus::new(stage.cloud().unwrap().bus(), BusConfig::default());
    let stop = Stop::new();
    let running = tokio::spawn({
        let (bus, stop) = (bus.clone(), stop.clone());
        async move { bus.run(stop).await }
    });
    let is_refused = async |bus: &Bus| straight(bus, &home).await == Outcome::NotSent(not_sent::Reason::Paused);
    assert!(!is_refused(&bus).await);
    let state = StateDir::existing(&stage.state_dir).unwrap();
    let told_paused = || {
        let status: Option<Status> = state.status().unwrap();
        status.is_some_and(|status| matches!(status.relay, LinkState::Online { paused: true, .. }))
    };

    let pressed = press(&mut stage, "pause").await;
    within_a_second(pressed, "the relay still sends", async || is_refused(&bus).await).await;
    within_a_second(pressed, "the home has not been told", async || told_paused()).await;
    // A link that breaks comes back as paused.
    gate.set(macloud_standalone::demo::gate::Mood::Cut);
    gate.set(macloud_standalone::demo::gate::Mood::Open);
    let begun = Instant::now();
    while !is_refused(&bus).await {
        assert!(begun.elapsed() < Duration::from_secs(10), "the home came back and is not paused");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    let pressed = press(&mut stage, "resume").await;
    within_a_second(pressed, "the relay still refuses", async || {
        matches!(straight(&bus, &home).await, Outcome::Delivered(_) | Outcome::Unknown(_))
    })
    .await;
    within_a_second(pressed, "the home still says paused", async || !told_paused()).await;
    let volume = eventually(Duration::from_secs(5), "Response", async || {
        let kitchen = stage.endpoint("Kitchen").unwrap();
        let directive = stage.alexa.control("Alexa.Speaker", "SetVolume", kitchen, json!({"volume": 31}));
        stage.alexa.send_directive(&directive).await.unwrap()
    })
    .await;
    assert_eq!(verdict(&volume), "Response");
    stop.stop_soft();
    running.await.unwrap();
    stage.strike().await;
}
