//! What the whole-system tests share.

use std::time::Duration;

use macloud_simulated_home::{HomeConfig, Timing};
use macloud_standalone::demo::gate::Gate;
use macloud_standalone::demo::stage::{Music, Stage, StageConfig};
use serde_json::Value;

/// A stage whose home answers at once, and the gate on its way to the relay.
pub(crate) async fn stage() -> (Stage, Gate) {
    stage_with(HomeConfig::default()).await
}

/// The same with this home.
pub(crate) async fn stage_with(home: HomeConfig) -> (Stage, Gate) {
    macloud_service_kit::tls::install_provider();
    let gate = Gate::open().await.unwrap();
    let home = HomeConfig { timing: Timing::fast(), ..home };
    let config =
        StageConfig { music: Music::Simulated(Box::new(home)), gate: Some(gate.clone()), ..StageConfig::default() };
    let mut stage = Stage::set(config, |_| {}).await.unwrap();
    stage.discover().await.unwrap();
    (stage, gate)
}

/// The event's name, and the error's type if it is one.
pub(crate) fn verdict(event: &Value) -> String {
    let name = event["event"]["header"]["name"].as_str().unwrap_or("nothing");
    match event["event"]["payload"]["type"].as_str() {
        Some(kind) => format!("{name} {kind}"),
        None => name.to_owned(),
    }
}

/// Ask again until the answer is as wanted; the last answer if it never is.
pub(crate) async fn eventually(within: Duration, wanted: &str, mut ask: impl AsyncFnMut() -> Value) -> Value {
    let begun = tokio::time::Instant::now();
    loop {
        let answer = ask().await;
        if verdict(&answer) == wanted || begun.elapsed() > within {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
