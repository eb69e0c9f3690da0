//! A plan that is used up, through the whole chain: what people hear and see, and that looking goes on.

use std::time::Duration;

use macloud_account_service::PlanArgs;
use macloud_simulated_home::{HomeConfig, Timing};
use macloud_standalone::demo::stage::{Music, Stage, StageConfig};
use serde_json::{Value, json};

use crate::support::verdict;

async fn control(stage: &Stage, namespace: &str, name: &str, payload: Value) -> Value {
    let kitchen = stage.endpoint("Kitchen").unwrap();
    stage.alexa.send_directive(&stage.alexa.control(namespace, name, kitchen, payload)).await.unwrap()
}

async fn page(stage: &mut Stage, path: &str) -> String {
    let url = stage.cloud_url.join(path).unwrap();
    stage.browser.page(&url).await.unwrap().html
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_up_plan_is_told_and_looking_goes_on() {
    macloud_service_kit::tls::install_provider();
    let home = HomeConfig { timing: Timing::fast(), ..HomeConfig::default() };
    let plans = PlanArgs { plans: vec!["free,commands-per-day=3".parse().unwrap()] };
    let config = StageConfig { music: Music::Simulated(Box::new(home)), plans, ..StageConfig::default() };
    let mut stage = Stage::set(config, |_| {}).await.unwrap();
    for _ in 0..3 {
        stage.discover().await.unwrap();
        assert_eq!(verdict(&control(&stage, "Alexa", "ReportState", json!({})).await), "StateReport");
        let set = control(&stage, "Alexa.Speaker", "SetVolume", json!({"volume": 20})).await;
        assert_eq!(verdict(&set), "Response");
    }
    let refused = control(&stage, "Alexa.Speaker", "SetVolume", json!({"volume": 90})).await;
    assert_eq!(verdict(&refused), "ErrorResponse RATE_LIMIT_EXCEEDED");
    assert_eq!(stage.room("Kitchen").await.unwrap().volume, Some(20), "nothing reached the home");
    let said = stage.alexa.send_custom(&stage.alexa.intent("AMAZON.PauseIntent", &[])).await.unwrap().to_string();
    assert!(
        said.contains("Today's 3 commands of your plan are used up") || said.contains("Today&apos;s 3 commands"),
        "{said}"
    );
    assert_eq!(
        verdict(&control(&stage, "Alexa", "ReportState", json!({})).await),
        "StateReport",
        "looking costs nothing"
    );
    // What was done is reported about once a second.
    let begun = tokio::time::Instant::now();
    loop {
        let plan = page(&mut stage, "/plan").await;
        let activity = page(&mut stage, "/activity").await;
        if plan.contains("0 of 3 commands left") && activity.contains("too many commands for the plan") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{plan}\n{activity}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let home = format!("/homes/{}", stage.instance_id);
    let home = page(&mut stage, &home).await;
    assert!(home.contains("Last command that worked"), "{home}");
    stage.strike().await;
}
