//! What people hear when something is broken, and how soon.
//!
//! Times are those promised to people, with room for a loaded machine where the promise is tight.

use std::time::{Duration, Instant};

use macloud_simulated_home::{Faults, RestartPlan};
use macloud_standalone::demo::gate::Mood;
use macloud_standalone::demo::stage::Stage;
use serde_json::{Value, json};

use crate::support::{eventually, stage, verdict};

async fn set_volume(stage: &Stage, level: u8) -> Value {
    let kitchen = stage.endpoint("Kitchen").unwrap();
    let directive = stage.alexa.control("Alexa.Speaker", "SetVolume", kitchen, json!({"volume": level}));
    stage.alexa.send_directive(&directive).await.unwrap()
}

async fn timed(stage: &Stage) -> (String, Duration) {
    let started = Instant::now();
    let event = set_volume(stage, 33).await;
    (verdict(&event), started.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_that_is_offline_is_named_within_a_second() {
    let (mut stage, _gate) = stage().await;
    stage.stop_connector().await;
    let (verdict, took) = timed(&stage).await;
    assert_eq!(verdict, "ErrorResponse BRIDGE_UNREACHABLE");
    assert!(took < Duration::from_secs(1), "{took:?}");
    stage.start_connector().unwrap();
    stage.until_online().await.unwrap();
    let kitchen = set_volume(&stage, 21).await;
    assert_eq!(crate::support::verdict(&kitchen), "Response");
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_home_that_nobody_noticed_is_named_within_three_seconds() {
    let (stage, gate) = stage().await;
    gate.set(Mood::Silent);
    let (verdict, took) = timed(&stage).await;
    assert!(verdict.starts_with("ErrorResponse") && verdict.ends_with("UNREACHABLE"), "{verdict}");
    assert!(took < Duration::from_secs(3), "{took:?}");
    gate.set(Mood::Cut);
    gate.set(Mood::Open);
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_killed_in_mid_command_is_answered_within_a_second_and_does_nothing_twice() {
    let (mut stage, _gate) = stage().await;
    let home = stage.simulated.as_ref().unwrap();
    home.fault(&Faults { delay_ms: [("players/cmd/volume_set".to_owned(), 5000)].into(), ..Faults::default() });
    let kitchen = stage.endpoint("Kitchen").unwrap().to_owned();
    let directive = stage.alexa.control("Alexa.Speaker", "SetVolume", &kitchen, json!({"volume": 44}));
    let sent = {
        let cloud = stage.cloud_url.clone();
        tokio::spawn(async move {
            let client = macloud_service_kit::client::client(Duration::from_secs(10));
            let url = cloud.join("/alexa/v1/smart-home").unwrap();
            let event: Value = client.post(url).json(&directive).send().await.unwrap().json().await.unwrap();
            (event, Instant::now())
        })
    };
    let arrived = |state: &macloud_simulated_home::HomeState| state.commands.contains_key("players/cmd/volume_set");
    stage.simulated.as_ref().unwrap().until(arrived).await;
    let killed = Instant::now();
    stage.kill_connector().await;
    let (event, answered) = sent.await.unwrap();
    assert!(verdict(&event).starts_with("ErrorResponse"), "{event}");
    assert!(answered - killed < Duration::from_secs(1), "{:?}", answered - killed);
    let count = stage.simulated.as_ref().unwrap().state().commands["players/cmd/volume_set"];
    assert_eq!(count, 1);
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_stay_through_a_restart_of_music_assistant_and_work_again_soon_after() {
    let (mut stage, _gate) = stage().await;
    let before: Vec<String> = stage.endpoints.iter().map(|endpoint| endpoint.endpoint_id.clone()).collect();
    let home = stage.simulated.as_ref().unwrap();
    home.restart(RestartPlan::default()).unwrap();
    let mut ready = None;
    let begun = Instant::now();
    loop {
        // Whatever Music Assistant is doing, discovery must not lose or change an endpoint.
        let (event, _) = stage.discover().await.unwrap();
        assert_eq!(verdict(&event), "Discover.Response", "{event}");
        let now: Vec<String> = stage.endpoints.iter().map(|endpoint| endpoint.endpoint_id.clone()).collect();
        assert_eq!(now, before);
        let state = stage.simulated.as_ref().unwrap().state();
        if ready.is_none() && state.status == "running" && state.players.iter().all(|player| player.available) {
            ready = Some(Instant::now());
        }
        if verdict(&set_volume(&stage, 27).await) == "Response" && ready.is_some() {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "Music Assistant never came back for us");
        assert!(
            ready.is_none_or(|ready| ready.elapsed() < Duration::from_secs(5)),
            "commands do not work five seconds after Music Assistant was ready"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unplugged_player_is_unreachable_while_the_others_work() {
    let (stage, _gate) = stage().await;
    let home = stage.simulated.as_ref().unwrap();
    let id = home.state().named("Kitchen").unwrap().player_id.clone();
    home.unplug(&id).unwrap();
    let answer =
        eventually(Duration::from_secs(5), "ErrorResponse ENDPOINT_UNREACHABLE", async || set_volume(&stage, 30).await)
            .await;
    assert_eq!(verdict(&answer), "ErrorResponse ENDPOINT_UNREACHABLE");
    let bedroom = stage.endpoint("Bedroom").unwrap();
    let directive = stage.alexa.control("Alexa.Speaker", "SetVolume", bedroom, json!({"volume": 31}));
    assert_eq!(verdict(&stage.alexa.send_directive(&directive).await.unwrap()), "Response");
    stage.strike().await;
}

/// Open a page that asks "are you sure?", and say yes.
async fn confirm(stage: &mut Stage, path: &str) {
    let page = stage.browser.page(&stage.cloud_url.join(path).unwrap()).await.unwrap();
    let form = page.form_to(path).unwrap();
    stage.browser.submit(&form, &[]).await.unwrap().page().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unlinked_home_is_gone_within_a_second() {
    let (mut stage, _gate) = stage().await;
    let path = format!("/homes/{}/unlink", stage.instance_id);
    confirm(&mut stage, &path).await;
    let unlinked = Instant::now();
    let gone = "ErrorResponse NO_SUCH_ENDPOINT";
    let answer = eventually(Duration::from_secs(2), gone, async || set_volume(&stage, 35).await).await;
    assert_eq!(verdict(&answer), gone);
    assert!(unlinked.elapsed() < Duration::from_secs(1), "{:?}", unlinked.elapsed());
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unlinked_alexa_is_refused_within_a_second_and_cannot_refresh() {
    let (mut stage, _gate) = stage().await;
    confirm(&mut stage, "/apps/pretend-alexa/unlink").await;
    let unlinked = Instant::now();
    let refused = "ErrorResponse INVALID_AUTHORIZATION_CREDENTIAL";
    let answer = eventually(Duration::from_secs(2), refused, async || set_volume(&stage, 35).await).await;
    assert_eq!(verdict(&answer), refused);
    assert!(unlinked.elapsed() < Duration::from_secs(1), "{:?}", unlinked.elapsed());
    let error = stage.alexa.refresh().await.unwrap_err().to_string();
    assert!(error.contains("invalid_grant"), "{error}");
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_home_refuses_within_a_second_and_works_as_soon_as_it_is_resumed() {
    let (mut stage, _gate) = stage().await;
    for (action, wanted) in [("pause", "ErrorResponse INSUFFICIENT_PERMISSIONS"), ("resume", "Response")] {
        let path = format!("/homes/{}/{action}", stage.instance_id);
        let page =
            stage.browser.page(&stage.cloud_url.join(&format!("/homes/{}", stage.instance_id)).unwrap()).await.unwrap();
        let form = page.form_to(&path).unwrap();
        stage.browser.submit(&form, &[]).await.unwrap().page().unwrap();
        let pressed = Instant::now();
        let answer = eventually(Duration::from_secs(2), wanted, async || set_volume(&stage, 29).await).await;
        assert_eq!(verdict(&answer), wanted, "after {action}");
        assert!(pressed.elapsed() < Duration::from_secs(1), "{action} took {:?}", pressed.elapsed());
    }
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_is_stopped_answers_what_it_has_begun() {
    let (mut stage, _gate) = stage().await;
    let home = stage.simulated.as_ref().unwrap();
    home.fault(&Faults { delay_ms: [("players/cmd/volume_set".to_owned(), 600)].into(), ..Faults::default() });
    let kitchen = stage.endpoint("Kitchen").unwrap().to_owned();
    let directive = stage.alexa.control("Alexa.Speaker", "SetVolume", &kitchen, json!({"volume": 55}));
    let url = stage.cloud_url.join("/alexa/v1/smart-home").unwrap();
    let sent = tokio::spawn(async move {
        let client = macloud_service_kit::client::client(Duration::from_secs(10));
        client.post(url).json(&directive).send().await.unwrap().json::<Value>().await.unwrap()
    });
    stage.simulated.as_ref().unwrap().until(|state| state.commands.contains_key("players/cmd/volume_set")).await;
    stage.stop_connector().await;
    assert_eq!(verdict(&sent.await.unwrap()), "Response");
    stage.strike().await;
}
