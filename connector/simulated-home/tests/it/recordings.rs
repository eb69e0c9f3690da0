//! Compared with recordings of a real server: the same keys, kinds of values and error codes.
//!
//! The recordings lie beside the project (`../shared/music-assistant/transcripts`), not in it; without them these tests pass
//! having compared nothing. The home is furnished like the recorded one: its players, its few artists and titles.

use std::collections::BTreeSet;
use std::path::PathBuf;

use macloud_simulated_home::{HomeConfig, Library, PlayerConfig, Quirks, RunningHome};
use serde_json::{Value, json};

use crate::client::{Client, fast, start};

const KITCHEN: &str = "up000420000001";
const GARDEN: &str = "up000420000003";

/// The exchanges of a recording whose name begins so, in order.
fn recording(number: &str) -> Option<Vec<Value>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/music-assistant/transcripts");
    let mut files = std::fs::read_dir(folder).ok()?.flatten();
    let file = files.find(|file| file.file_name().to_string_lossy().starts_with(number))?;
    let recording: Value = serde_json::from_slice(&std::fs::read(file.path()).ok()?).ok()?;
    Some(recording["transcript"].as_array()?.clone())
}

/// The recorded home's library, as far as its titles are known.
fn furnished() -> HomeConfig {
    let track = |title: &str, seconds: u32| json!({"title": title, "seconds": seconds});
    let artist = |name: &str, genre: &str, album: &str, year: u16, tracks: Value| json!({"name": name, "genres": [genre], "albums": [{"title": album, "year": year, "tracks": tracks}]});
    let library = json!({
        "artists": [
            artist("Björk Guðmundsdóttir Tribute", "Pop", "Jóga Café", 2005, json!([track("Día de Ñandú", 130), track("Hyperballað", 120)])),
            artist("AC-DC Cover Club", "Rock", "Back in Beige", 1980, json!([track("Thunder & Lightning", 100), track("100% Live", 90)])),
            artist("Miles Ahead Quartet", "Jazz", "Night Standards", 1961, json!([
                track("All Greens", 190), track("So Why", 180), track("Blue in Beige", 210)])),
            artist("The Test Tones", "Electronic", "First Frequencies", 2020, json!([
                track("First", 60), track("Second", 60), track("Third", 60), track("Blue Monday Morning", 200)])),
        ],
        "playlists": [{"name": "Evening", "tracks": ["Miles Ahead Quartet - So Why", "Miles Ahead Quartet - Blue in Beige",
            "Miles Ahead Quartet - All Greens"]}],
    });
    HomeConfig {
        library: Library::from_json(&library.to_string()).unwrap(),
        players: vec![
            PlayerConfig::new(KITCHEN, "Kitchen"),
            PlayerConfig::new("up000420000002", "Living Room"),
            PlayerConfig::new(GARDEN, "Garden Späti"),
        ],
        ..fast()
    }
}

/// What kind of JSON a value is. Null fits anything: which of the optional fields are filled differs from home to home.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Objects whose keys are names of things, or come and go, rather than fields.
const NAMED_BY_CONTENT: [&str; 3] = ["dsp", "identifiers", "extra_attributes"];

/// Where `ours` differs in shape from `theirs`.
fn differences(theirs: &Value, ours: &Value, path: &str, found: &mut Vec<String>) {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            let keys = |map: &serde_json::Map<String, Value>| map.keys().cloned().collect::<BTreeSet<_>>();
            for key in keys(theirs).symmetric_difference(&keys(ours)) {
                found.push(format!("{path}.{key} is only {}", if ours.contains_key(key) { "ours" } else { "theirs" }));
            }
            for (key, value) in theirs.iter().filter(|(key, _)| !NAMED_BY_CONTENT.contains(&key.as_str())) {
                if let Some(own) = ours.get(key) {
                    differences(value, own, &format!("{path}.{key}"), found);
                }
            }
        }
        (Value::Array(theirs), Value::Array(ours)) => {
            // Recorded lists are cut short, with a text that says so.
            let theirs = theirs.iter().find(|item| !item.as_str().is_some_and(|text| text.contains("trimmed)")));
            if let (Some(theirs), Some(own)) = (theirs, ours.first()) {
                differences(theirs, own, &format!("{path}[]"), found);
            }
        }
        (Value::Null, _) | (_, Value::Null) => {}
        (theirs, ours) if kind(theirs) != kind(ours) => {
            found.push(format!("{path} is {} there and {} here", kind(theirs), kind(ours)));
        }
        _ => {}
    }
}

/// Asks what was asked and compares the answers. Exchanges of commands in `skip` are left out, for the reason given there.
async fn replay(home: &RunningHome, number: &str, skip: &[&str]) {
    let Some(exchanges) = recording(number) else { return };
    let mut client = Client::signed_in(home).await;
    let mut found = Vec::new();
    for exchange in &exchanges {
        let (request, theirs) = (&exchange["req"], &exchange["resp"]);
        let Some(command) = request["command"].as_str().filter(|command| !skip.contains(command)) else { continue };
        let ours = client.ask(command, request["args"].clone()).await;
        let place = format!("{number} {command} {}", request["args"]);
        match (theirs.get("error_code"), ours.get("error_code")) {
            (None, None) => {
                if theirs["result"].is_null() != ours["result"].is_null() {
                    found.push(format!(
                        "{place}: null is {} there and {} here",
                        theirs["result"].is_null(),
                        ours["result"]
                    ));
                }
                differences(&theirs["result"], &ours["result"], &place, &mut found);
            }
            (theirs_code, ours_code) if theirs_code != ours_code => {
                found.push(format!("{place}: error {theirs_code:?} there and {ours} here"));
            }
            _ if theirs["details"] != ours["details"] => {
                found.push(format!("{place}: {} there and {} here", theirs["details"], ours["details"]));
            }
            _ => {}
        }
    }
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}

#[tokio::test]
async fn lists() {
    // Protocol players inside the wrappers are not simulated.
    replay(&start(furnished()).await, "03", &["players/get_by_name"]).await;
}

#[tokio::test]
async fn search_and_library() {
    // Recommendations and browsing are not simulated.
    replay(&start(furnished()).await, "04", &["music/recommendations", "music/browse"]).await;
}

#[tokio::test]
async fn playing_and_transport() {
    replay(&start(furnished()).await, "05", &[]).await;
}

#[tokio::test]
async fn volume_and_power() {
    replay(&start(furnished()).await, "06", &[]).await;
}

#[tokio::test]
async fn groups() {
    replay(&start(furnished()).await, "07", &[]).await;
}

#[tokio::test]
async fn a_degraded_player() {
    let home = furnished();
    let mut players = home.players.clone();
    players[0].degraded = true;
    replay(&start(HomeConfig { players, ..home }).await, "11", &[]).await;
}

#[tokio::test]
async fn an_unavailable_player() {
    let home = start(furnished()).await;
    let mut client = Client::signed_in(&home).await;
    let play = json!({"queue_id": GARDEN, "media": "library://playlist/1"});
    client.result("player_queues/play_media", play).await;
    client.player_event(GARDEN, |player| player["playback_state"] == "playing").await;
    home.unplug(GARDEN).unwrap();
    client.player_event(GARDEN, |player| player["available"] == false).await;
    replay(&home, "12", &[]).await;
}

#[tokio::test]
async fn players_that_follow_each_other() {
    let quirks = Quirks { cyclic_groups: true, ..Quirks::default() };
    // The recorded tangle of group volumes and transfers depends on what was played before.
    let skip = ["player_queues/transfer", "player_queues/get", "players/cmd/set_members"];
    replay(&start(HomeConfig { quirks, ..furnished() }).await, "14", &skip).await;
}

#[tokio::test]
async fn search_quality() {
    replay(&start(furnished()).await, "15", &[]).await;
}

/// Hello, info, user and the errors around signing in.
#[tokio::test]
async fn hello_and_auth() {
    let Some(exchanges) = recording("01") else { return };
    let home = start(furnished()).await;
    let mut client = Client::connect(&home).await;
    let mut found = Vec::new();
    let hello = exchanges.iter().find(|exchange| exchange["kind"] == "hello").unwrap();
    differences(&hello["msg"], &client.hello, "hello", &mut found);
    for exchange in exchanges.iter().filter(|exchange| exchange["req"].is_object()) {
        let (request, theirs) = (&exchange["req"], &exchange["resp"]);
        let mut args = request["args"].clone();
        if args["token"] == "<JWT>" {
            args["token"] = json!(home.token());
        }
        let command = request["command"].as_str().unwrap();
        let ours = client.ask(command, args).await;
        differences(theirs, &ours, command, &mut found);
        if theirs["error_code"] != ours["error_code"] || theirs["details"] != ours["details"] {
            found.push(format!("{command}: {theirs} there and {ours} here"));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
