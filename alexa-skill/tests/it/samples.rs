//! Amazon's own sample directives, where they are at hand: those that our players can get are carried out, all others
//! are refused as directives that we do not take.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::support::schemas::shared_file;
use super::support::{TOKEN, World, endpoint, error_type, scene};

const OURS: [&str; 9] = [
    "Alexa",
    "Alexa.Authorization",
    "Alexa.Discovery",
    "Alexa.PowerController",
    "Alexa.Speaker",
    "Alexa.StepSpeaker",
    "Alexa.PercentageController",
    "Alexa.PlaybackController",
    "Alexa.EndpointHealth",
];

fn directives(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            directives(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
}

/// With our token and a player or a favourite of ours, otherwise as it is.
fn adapted(mut sample: Value, scene: &str) -> Value {
    let directive = &mut sample["directive"];
    let is_scene = directive["header"]["namespace"] == "Alexa.SceneController";
    if directive.get("endpoint").is_some() {
        directive["endpoint"]["endpointId"] = json!(if is_scene { scene.to_owned() } else { endpoint(1, 1) });
        directive["endpoint"]["scope"] = json!({"type": "BearerToken", "token": TOKEN});
    }
    for place in ["/payload/scope/token", "/payload/grantee/token"] {
        if let Some(token) = directive.pointer_mut(place) {
            *token = json!(TOKEN);
        }
    }
    sample
}

#[tokio::test]
async fn every_sample_directive_is_answered_as_it_should_be() {
    let Some(folder) = shared_file("samples/amazon-smarthome") else { return };
    let world = World::new().await;
    let scene = scene(1, &world.home().add_preset("Jazz"));
    let mut paths = Vec::new();
    directives(&folder, &mut paths);
    paths.push(shared_file("samples/homebridge-alexa/captured-SelectInput-directive.json").unwrap());
    paths.sort();
    let mut answered = 0;
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let Ok(sample) = serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}')) else { continue };
        if sample.get("directive").is_none() {
            continue;
        }
        let directive = adapted(sample, &scene);
        let event = world.send(&directive).await;
        let header = &directive["directive"]["header"];
        let is_ours = OURS.contains(&header["namespace"].as_str().unwrap()) || header["name"] == "Activate";
        let expected = if is_ours { "none" } else { "INVALID_DIRECTIVE" };
        assert_eq!(error_type(&event), expected, "{}", path.display());
        answered += 1;
    }
    assert!(answered >= 41, "only {answered} directives were found");
}

#[tokio::test]
async fn sample_directives_as_they_are_have_no_valid_token() {
    let Some(folder) = shared_file("samples/amazon-smarthome/Speaker") else { return };
    let world = World::new().await;
    let text = std::fs::read_to_string(folder.join("Speaker.SetVolume.request.json")).unwrap();
    let event = world.send(&serde_json::from_str(&text).unwrap()).await;
    assert_eq!(error_type(&event), "INVALID_AUTHORIZATION_CREDENTIAL");
    assert!(world.relay.dispatches().is_empty());
}
