//! Directives written by hand and the exact events that answer them: `fixtures/directives` and `fixtures/events`.
//! With `UPDATE_SNAPSHOTS=1` the events are written anew, to be read before they are committed.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::support::{World, instance, player};

fn fixture(folder: &str, name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder).join(format!("{name}.json"))
}

async fn answers_as_recorded(name: &str) {
    let world = World::new().await;
    let text = std::fs::read_to_string(fixture("directives", name)).unwrap();
    let mut event = world.send(&serde_json::from_str(&text).unwrap()).await;
    event["event"]["header"]["messageId"] = json!("MESSAGE-ID");
    let path = fixture("events", name);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("{event:#}\n")).unwrap();
    }
    let recorded: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(event, recorded, "{name}: got {event:#}");
}

#[tokio::test]
async fn hand_written_directives_are_answered_as_recorded() {
    for name in [
        "accept-grant",
        "adjust-volume-by-default",
        "discover",
        "pause",
        "report-state",
        "set-mute",
        "set-repeat",
        "set-volume",
        "set-volume-out-of-range",
        "turn-off",
        "turn-on-shuffle",
        "unknown-interface",
        "unknown-endpoint",
    ] {
        answers_as_recorded(name).await;
    }
}

#[test]
fn fixtures_name_the_players_that_the_fakes_have() {
    let text = std::fs::read_to_string(fixture("directives", "pause")).unwrap();
    let id = format!("{}_{}", instance(1), player(1, 1));
    assert!(text.contains(&id), "fixtures need the endpoint id {id}");
}
