//! What holds for every event: Amazon's message schema and openHAB's continuation of it, where they are at hand, and
//! the rules that no schema states.

use std::collections::{BTreeSet, HashSet};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};

use jsonschema::{Draft, Validator};
use serde_json::Value;

/// Material by third parties that is not part of the project; `None` where it is not at hand.
pub fn shared_text(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(shared_file(path)?).unwrap();
    Some(text.trim_start_matches('\u{feff}').to_owned())
}

/// It stands beside the project; a further checkout may be one folder deeper. With `MACLOUD_REQUIRE_SHARED=1` it must be
/// there; without, what is not checked is at least said.
pub fn shared_file(path: &str) -> Option<PathBuf> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut places = ["../../shared/alexa", "../../../shared/alexa"].iter().map(|root| here.join(root).join(path));
    let found = places.find(|place| place.exists());
    if found.is_none() {
        assert!(std::env::var_os("MACLOUD_REQUIRE_SHARED").is_none_or(|value| value != "1"), "{path} is not at hand");
        say_once(path);
    }
    found
}

/// Past the test harness, which keeps what passing tests print to itself.
fn say_once(path: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if SAID.lock().unwrap().insert(path.to_owned()) {
        let _ = writeln!(std::io::stderr(), "SKIPPED: nothing is checked against {path}, which is not at hand");
    }
}

fn validator(path: &str, draft: Draft) -> Option<Validator> {
    let schema: Value = serde_json::from_str(&shared_text(path)?).unwrap();
    Some(jsonschema::options().with_draft(draft).build(&schema).unwrap())
}

fn amazon() -> Option<&'static Validator> {
    static SCHEMA: OnceLock<Option<Validator>> = OnceLock::new();
    let load = || validator("schemas/amazon/alexa_smart_home_message_schema.2021-01-04.json", Draft::Draft4);
    SCHEMA.get_or_init(load).as_ref()
}

fn openhab() -> Option<&'static Validator> {
    static SCHEMA: OnceLock<Option<Validator>> = OnceLock::new();
    let load = || validator("schemas/openhab/alexa_smart_home_message_schema.openhab-2026.json", Draft::Draft4);
    SCHEMA.get_or_init(load).as_ref()
}

pub fn custom_response() -> Option<&'static Validator> {
    static SCHEMA: OnceLock<Option<Validator>> = OnceLock::new();
    let load = || validator("schemas/ask/AskResponseEnvelope.schema.json", Draft::Draft7);
    SCHEMA.get_or_init(load).as_ref()
}

/// Everything that holds for the event that answers `directive`.
pub fn check(directive: &Value, event: &Value) {
    check_shape(event);
    let asked = &directive["directive"]["header"];
    let header = &event["event"]["header"];
    assert_eq!(header["payloadVersion"], "3");
    assert_ne!(header["messageId"], asked["messageId"], "an answer has an id of its own");
    assert_eq!(header["messageId"].as_str().unwrap().len(), 36);
    let kind = asked["name"].as_str().unwrap_or("");
    if matches!(kind, "AcceptGrant" | "Discover") {
        assert_eq!(header.get("correlationToken"), None);
        assert_eq!(event["event"].get("endpoint"), None);
    } else {
        assert_eq!(header.get("correlationToken"), asked.get("correlationToken"));
        assert_eq!(event["event"]["endpoint"]["endpointId"], directive["directive"]["endpoint"]["endpointId"]);
    }
}

/// What holds whatever was asked.
pub fn check_shape(event: &Value) {
    let known = as_known(event.clone());
    validate(openhab(), &known);
    validate(amazon(), &without_playback_state(known));
    check_properties(event);
    check_endpoints(event, "/event/payload/endpoints");
    let bytes = event.to_string().len();
    let most = if event.pointer("/event/payload/endpoints").is_some() { 256_000 } else { 16_384 };
    assert!(bytes <= most, "{bytes} bytes");
}

/// No schema knows the errors of `Alexa.Video`, which are shaped like all others.
fn as_known(mut event: Value) -> Value {
    if event["event"]["header"]["namespace"] == "Alexa.Video" {
        assert_eq!(event["event"]["header"]["name"], "ErrorResponse");
        assert_eq!(event["event"]["payload"]["type"], "ACTION_NOT_PERMITTED_FOR_CONTENT");
        event["event"]["header"]["namespace"] = "Alexa".into();
        event["event"]["payload"]["type"] = "INVALID_VALUE".into();
    }
    event
}

/// Of endpoints that are there, and of those that are not, which is in no schema.
pub fn check_discovery_report(event: &Value, token: &str) {
    let header = &event["event"]["header"];
    assert!(header["namespace"] == "Alexa.Discovery" && header["payloadVersion"] == "3", "{header}");
    assert_eq!(event["event"]["payload"]["scope"], serde_json::json!({"type": "BearerToken", "token": token}));
    assert!(!event["event"]["payload"]["endpoints"].as_array().unwrap().is_empty());
    assert!(event.to_string().len() <= 256_000);
    if header["name"] == "AddOrUpdateReport" {
        validate(openhab(), event);
        validate(amazon(), &without_playback_state(event.clone()));
        check_endpoints(event, "/event/payload/endpoints");
    } else {
        assert_eq!(header["name"], "DeleteReport");
    }
}

/// What was told and what was not are together what a state report would say.
pub fn check_change_report(event: &Value) {
    validate(openhab(), event);
    let (mut for_amazon, mut all) = (without_playback_state(event.clone()), event.clone());
    if let Some(changed) = for_amazon.pointer_mut("/event/payload/change/properties").and_then(Value::as_array_mut) {
        changed.retain(|property| property["namespace"] != "Alexa.PlaybackStateReporter");
    }
    validate(amazon(), &for_amazon);
    let changed = all["event"]["payload"]["change"]["properties"].as_array().unwrap().clone();
    assert!(!changed.is_empty());
    all["context"]["properties"].as_array_mut().unwrap().extend(changed);
    check_properties(&all);
}

fn validate(schema: Option<&Validator>, event: &Value) {
    let Some(schema) = schema else { return };
    let errors: Vec<String> = schema.iter_errors(event).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{event:#}");
}

/// Amazon's published schema does not know `Alexa.PlaybackStateReporter`.
fn without_playback_state(mut event: Value) -> Value {
    if let Some(properties) = event.pointer_mut("/context/properties").and_then(Value::as_array_mut) {
        properties.retain(|property| property["namespace"] != "Alexa.PlaybackStateReporter");
    }
    if let Some(endpoints) = event.pointer_mut("/event/payload/endpoints").and_then(Value::as_array_mut) {
        for endpoint in endpoints {
            let capabilities = endpoint["capabilities"].as_array_mut().unwrap();
            capabilities.retain(|capability| capability["interface"] != "Alexa.PlaybackStateReporter");
        }
    }
    event
}

fn check_properties(event: &Value) {
    let Some(properties) = event.pointer("/context/properties").and_then(Value::as_array) else { return };
    let mut seen = HashSet::new();
    for property in properties {
        let at = property["timeOfSample"].as_str().unwrap();
        assert_eq!(at.len(), "2026-11-22T00:00:00.000Z".len(), "{at}");
        assert!(at.ends_with('Z') && at.as_bytes()[19] == b'.', "{at}");
        let name = (property["namespace"].to_string(), property["name"].to_string(), property["instance"].to_string());
        assert!(seen.insert(name), "a property stands once");
    }
    assert!(properties.iter().any(|property| property["namespace"] == "Alexa.EndpointHealth"));
}

/// The places in which toggles, modes and ranges have names.
const LOCALES: [&str; 16] = [
    "de-DE", "en-AU", "en-CA", "en-GB", "en-IN", "en-US", "es-ES", "es-MX", "es-US", "fr-CA", "fr-FR", "hi-IN",
    "it-IT", "ja-JP", "nl-NL", "pt-BR",
];

/// Words that Amazon keeps for itself.
const RESERVED: [&str; 22] = [
    "alarm",
    "alarms",
    "all alarms",
    "away mode",
    "bass",
    "camera",
    "date",
    "date today",
    "day",
    "do not disturb",
    "drop in",
    "music",
    "night light",
    "notification",
    "playing",
    "sleep sounds",
    "time",
    "timer",
    "today in music",
    "treble",
    "volume",
    "way f. m.",
];

/// Every name is one that may be had, in a language that there is, and nothing is named in fewer places than the rest.
fn check_names(capability: &Value) {
    let places = |resources: &Value| {
        let names = resources["friendlyNames"].as_array().unwrap();
        let places: BTreeSet<&str> = names.iter().map(|name| name["value"]["locale"].as_str().unwrap()).collect();
        assert_eq!(places.len(), names.len(), "one name in each place: {resources}");
        assert!(places.iter().all(|place| LOCALES.contains(place)), "{places:?}");
        assert!(
            names.iter().all(|name| name["@type"] == "text" && name["value"]["text"].as_str().unwrap().len() <= 512)
        );
        places.len()
    };
    let Some(own) = capability.get("capabilityResources") else {
        assert_eq!(capability.get("instance"), None);
        return;
    };
    assert!(capability["instance"].is_string());
    let count = places(own);
    assert!(count >= 7, "the languages of the custom part at least");
    for name in own["friendlyNames"].as_array().unwrap() {
        let text = name["value"]["text"].as_str().unwrap().to_lowercase();
        assert!(!RESERVED.contains(&text.as_str()), "{text}");
    }
    for (list, resources) in [("supportedModes", "modeResources"), ("presets", "presetResources")] {
        let values = capability["configuration"].get(list).and_then(Value::as_array);
        for value in values.into_iter().flatten() {
            assert_eq!(places(&value[resources]), count);
        }
    }
}

fn check_endpoints(event: &Value, place: &str) {
    let Some(endpoints) = event.pointer(place).and_then(Value::as_array) else { return };
    assert!(endpoints.len() <= 300);
    let (mut ids, mut names) = (HashSet::new(), HashSet::new());
    for endpoint in endpoints {
        let id = endpoint["endpointId"].as_str().unwrap();
        assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') && id.len() <= 256);
        assert!(ids.insert(id), "an endpoint stands once");
        let name = endpoint["friendlyName"].as_str().unwrap();
        assert!(name.chars().all(|c| c.is_alphanumeric() || c == ' '), "{name:?} can be spoken");
        assert!(names.insert(name.to_lowercase()), "no two endpoints are called {name:?}");
        let capabilities = endpoint["capabilities"].as_array().unwrap();
        assert!(capabilities.len() <= 100);
        let interface = |capability: &Value| capability["interface"].as_str().unwrap().to_owned();
        let interfaces: HashSet<(String, String)> =
            capabilities.iter().map(|capability| (interface(capability), capability["instance"].to_string())).collect();
        assert_eq!(interfaces.len(), capabilities.len(), "an interface stands once, or once for each instance");
        let has = |name: &str| capabilities.iter().any(|capability| capability["interface"] == name);
        assert!(has("Alexa"));
        assert!(!(has("Alexa.Speaker") && has("Alexa.StepSpeaker")), "two volumes would fight");
        assert!(capabilities.iter().all(|capability| capability["version"] == "3"));
        capabilities.iter().for_each(check_names);
        assert_eq!(endpoint.get("cookie"), None, "nothing travels through Alexa that we would have to trust");
    }
}
