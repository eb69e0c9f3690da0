//! Amazon's own sample directives, where they are at hand.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::support::backend::How;
use super::support::{World, answer_to, error_type};

/// They stand beside the project; a further checkout may be one folder deeper.
fn samples() -> Option<PathBuf> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut places =
        ["../../../shared", "../../../../shared"].iter().map(|shared| here.join(shared).join("alexa/samples"));
    places.find(|place| place.exists())
}

fn directives(folder: &Path, found: &mut Vec<(PathBuf, Value)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            directives(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            let text = std::fs::read_to_string(&path).unwrap();
            let Ok(sample) = serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}')) else { continue };
            if sample.get("directive").is_some() {
                found.push((path, sample));
            }
        }
    }
}

#[tokio::test]
async fn every_sample_directive_is_passed_on_and_has_an_error_for_bad_days() {
    let Some(folder) = samples() else {
        assert!(
            std::env::var_os("MACLOUD_REQUIRE_SHARED").is_none_or(|value| value != "1"),
            "the samples are not at hand"
        );
        let _ = writeln!(std::io::stderr(), "SKIPPED: Amazon's sample directives are not at hand");
        return;
    };
    let mut samples = Vec::new();
    directives(&folder, &mut samples);
    assert!(samples.len() >= 40, "{}", samples.len());
    let world = World::new().await;
    for (path, sample) in &samples {
        let text = sample.to_string();
        let told = world.lambda.invoke(text.as_bytes(), Duration::from_secs(8)).await;
        let event: Value = serde_json::from_slice(&told.body).unwrap();
        if sample["directive"]["header"]["payloadVersion"] != "3" {
            assert_eq!(event["event"]["payload"]["type"], "INVALID_DIRECTIVE", "{}", path.display());
            continue;
        }
        assert_eq!(event, answer_to(sample), "{}", path.display());
        assert_eq!(world.backend.requests().last().unwrap().body, text.as_bytes());
        world.backend.does(How::Say(500, Vec::new(), Vec::new()));
        let granting = sample["directive"]["header"]["name"] == "AcceptGrant";
        let expected = if granting { "ACCEPT_GRANT_FAILED" } else { "INTERNAL_ERROR" };
        assert_eq!(error_type(sample, &world.lambda.send(sample).await), expected, "{}", path.display());
        world.backend.does(How::Answer);
    }
}
