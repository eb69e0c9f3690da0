//! What Amazon asks of an interaction model that none of its schemas says. The rules are those of the model builder; breaking one
//! makes a build fail that takes minutes, or a certification that takes weeks.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::slots;

/// Each rule that `model` breaks, in words; nothing for a good one.
#[must_use]
pub fn faults(model: &Value) -> Vec<String> {
    let language = &model["interactionModel"]["languageModel"];
    let mut faults = Vec::new();
    invocation(language["invocationName"].as_str().unwrap_or_default(), &mut faults);
    let types = list(&language["types"]);
    let known: BTreeSet<&str> = types.iter().filter_map(|kind| kind["name"].as_str()).chain(BUILT_IN_TYPES).collect();
    let mut sentences: BTreeMap<String, &str> = BTreeMap::new();
    let intents = list(&language["intents"]);
    for intent in intents {
        intent_itself(intent, &known, &mut faults);
        let name = text(&intent["name"]);
        for sample in list(&intent["samples"]).iter().map(text) {
            sentence(name, sample, intent, &mut faults);
            if let Some(other) = sentences.insert(typed(sample, intent), name) {
                faults.push(format!("{sample:?} is in {other} and in {name}"));
            }
        }
    }
    let names: BTreeSet<&str> = intents.iter().map(|intent| text(&intent["name"])).collect();
    for needed in NEEDED_INTENTS.into_iter().filter(|needed| !names.contains(needed)) {
        faults.push(format!("{needed} is missing"));
    }
    if names.len() != intents.len() {
        faults.push("an intent stands twice".into());
    }
    if intents.len() > MOST_INTENTS {
        faults.push("too many intents".into());
    }
    types.iter().for_each(|kind| slot_type(kind, &mut faults));
    if types.iter().map(|kind| list(&kind["values"]).len()).sum::<usize>() > MOST_VALUES {
        faults.push("too many values".into());
    }
    if model.to_string().len() > MOST_BYTES {
        faults.push("the model is too large".into());
    }
    faults
}

fn invocation(name: &str, faults: &mut Vec<String>) {
    let words: Vec<&str> = name.split(' ').collect();
    let is_written_well = name.chars().all(|c| c.is_lowercase() || matches!(c, ' ' | '\'' | '.'));
    if words.len() < 2 || !is_written_well || words.iter().any(|word| word.is_empty() || NOT_IN_A_NAME.contains(word)) {
        faults.push(format!("{name:?} cannot be an invocation name"));
    }
}

fn intent_itself(intent: &Value, known_types: &BTreeSet<&str>, faults: &mut Vec<String>) {
    let name = text(&intent["name"]);
    let is_ours = name.ends_with("Intent") && name.chars().all(|c| c.is_ascii_alphabetic());
    if !is_ours && !BUILT_IN_INTENTS.contains(&name) {
        faults.push(format!("{name:?} is no name for an intent"));
    }
    let samples = list(&intent["samples"]);
    if is_ours && samples.is_empty() {
        faults.push(format!("nobody can say {name}"));
    }
    for slot in list(&intent["slots"]) {
        let (slot, kind) = (text(&slot["name"]), text(&slot["type"]));
        if slot.is_empty() || !slot.chars().all(|c| c.is_ascii_alphabetic() || c == '_') {
            faults.push(format!("{slot:?} of {name} is no name for a slot"));
        }
        if !known_types.contains(kind) {
            faults.push(format!("{kind:?} of {name} is no type"));
        }
        if !samples.iter().any(|sample| slots(text(sample)).any(|used| used == slot)) {
            faults.push(format!("{slot:?} of {name} is in no sentence"));
        }
    }
}

fn sentence(intent: &str, sample: &str, of: &Value, faults: &mut Vec<String>) {
    let mut fault = |what: &str| faults.push(format!("{intent}: {sample:?} {what}"));
    let used: Vec<&str> = slots(sample).collect();
    let words = without_slots(sample);
    if !words.chars().all(|c| c.is_alphabetic() || matches!(c, ' ' | '.' | '\'' | '-' | '_')) {
        fault("has a character that sentences may not have");
    }
    if words.chars().any(char::is_uppercase) {
        fault("has capitals");
    }
    if sample.is_empty() || sample.trim() != sample || sample.contains("  ") || sample.chars().count() > MOST_CHARS {
        fault("is not written well");
    }
    let stands_alone = |part: &str| part.is_empty() || part.starts_with(' ') || part.starts_with("'s");
    let after = sample.split('}').skip(1).all(stands_alone);
    let before = sample.split('{').rev().skip(1).all(|part| part.is_empty() || part.ends_with(' '));
    if !after || !before {
        fault("has a slot that is part of a word");
    }
    if used.iter().collect::<BTreeSet<_>>().len() != used.len() {
        fault("has a slot twice");
    }
    let kinds: Vec<&str> = used.iter().map(|slot| type_of(slot, of)).collect();
    if kinds.contains(&"") {
        fault("has a slot that the intent does not have");
    }
    if kinds.contains(&"AMAZON.SearchQuery") && (kinds.len() > 1 || words.trim().is_empty()) {
        fault("has a phrase beside another slot or without words around it");
    }
}

fn slot_type(kind: &Value, faults: &mut Vec<String>) {
    let name = text(&kind["name"]);
    let mut fault = |what: String| faults.push(format!("{name}: {what}"));
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphabetic() || c == '_') {
        fault("is no name for a type".into());
    }
    let mut seen = BTreeSet::new();
    for value in list(&kind["values"]) {
        let synonyms = list(&value["name"]["synonyms"]);
        if synonyms.is_empty() || synonyms.len() > MOST_SYNONYMS {
            fault(format!("{} has no other words, or too many", value["name"]["value"]));
        }
        for word in [&value["name"]["value"]].into_iter().chain(synonyms).map(text) {
            let is_written_well = word.chars().all(|c| c.is_alphabetic() || matches!(c, ' ' | '.' | '\'' | '-'));
            if word.is_empty() || word.chars().count() > MOST_VALUE_CHARS || !is_written_well {
                fault(format!("{word:?} cannot be a value"));
            }
            if !seen.insert(word.to_lowercase()) {
                fault(format!("{word:?} stands twice"));
            }
        }
    }
    if seen.is_empty() {
        fault("has no values".into());
    }
}

/// A sentence with the types of its slots instead of their names: what Alexa tells sentences apart by.
fn typed(sample: &str, intent: &Value) -> String {
    slots(sample).fold(sample.to_lowercase(), |typed, slot| {
        typed.replace(&format!("{{{}}}", slot.to_lowercase()), &format!("<{}>", type_of(slot, intent)))
    })
}

fn without_slots(sample: &str) -> String {
    let mut parts = sample.split('{');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |words, part| words + part.split_once('}').map_or(part, |(_, rest)| rest))
}

fn type_of<'i>(slot: &str, intent: &'i Value) -> &'i str {
    let of_it = list(&intent["slots"]).iter().find(|known| known["name"] == slot);
    of_it.map_or("", |found| text(&found["type"]))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

const BUILT_IN_TYPES: [&str; 3] = ["AMAZON.NUMBER", "AMAZON.DURATION", "AMAZON.SearchQuery"];

/// Certification asks for these in every skill.
const NEEDED_INTENTS: [&str; 5] = [
    "AMAZON.HelpIntent",
    "AMAZON.StopIntent",
    "AMAZON.CancelIntent",
    "AMAZON.FallbackIntent",
    "AMAZON.NavigateHomeIntent",
];

const BUILT_IN_INTENTS: [&str; 16] = [
    "AMAZON.HelpIntent",
    "AMAZON.StopIntent",
    "AMAZON.CancelIntent",
    "AMAZON.FallbackIntent",
    "AMAZON.NavigateHomeIntent",
    "AMAZON.YesIntent",
    "AMAZON.NoIntent",
    "AMAZON.PauseIntent",
    "AMAZON.ResumeIntent",
    "AMAZON.NextIntent",
    "AMAZON.PreviousIntent",
    "AMAZON.StartOverIntent",
    "AMAZON.ShuffleOnIntent",
    "AMAZON.ShuffleOffIntent",
    "AMAZON.LoopOnIntent",
    "AMAZON.LoopOffIntent",
];

/// Words that wake Alexa, open a skill, or join its name to what is asked.
const NOT_IN_A_NAME: [&str; 23] = [
    "alexa", "amazon", "echo", "computer", "ziggy", "skill", "app", "launch", "open", "ask", "tell", "load", "begin",
    "enable", "start", "to", "from", "by", "if", "and", "whether", "for", "with",
];

const MOST_INTENTS: usize = 250;
const MOST_VALUES: usize = 30_000;
const MOST_SYNONYMS: usize = 100;
const MOST_CHARS: usize = 200;
const MOST_VALUE_CHARS: usize = 140;
/// Amazon's own limit for a model.
const MOST_BYTES: usize = 1_500_000;

#[cfg(test)]
mod tests {
    use super::super::model;
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_wrong_is_named() {
        for (place, wrong, named) in [
            ("/interactionModel/languageModel/invocationName", json!("alexa music"), "invocation name"),
            ("/interactionModel/languageModel/invocationName", json!("music"), "invocation name"),
            ("/interactionModel/languageModel/intents/0/name", json!("Play 2"), "no name for an intent"),
            ("/interactionModel/languageModel/intents/0/samples/0", json!("play 2 {media}"), "may not have"),
            ("/interactionModel/languageModel/intents/0/samples/0", json!("Play {media}"), "capitals"),
            ("/interactionModel/languageModel/intents/0/samples/0", json!("play {nothing}"), "does not have"),
            ("/interactionModel/languageModel/intents/0/samples/0", json!("play x{media}"), "part of a word"),
            ("/interactionModel/languageModel/intents/0/samples/0", json!("louder"), "is in"),
            ("/interactionModel/languageModel/intents/0/samples/0", json!("resume {player}"), "is in"),
            ("/interactionModel/languageModel/intents/4/samples/0", json!("{query}"), "without words"),
            ("/interactionModel/languageModel/types/1/values/0/name/value", json!("2 unlimited"), "cannot be a value"),
            ("/interactionModel/languageModel/types/1/values/0/name/value", json!("thriller"), "stands twice"),
            ("/interactionModel/languageModel/types", json!([]), "is no type"),
            ("/interactionModel/languageModel/intents", json!([]), "AMAZON.HelpIntent is missing"),
        ] {
            let mut broken = model("en-US");
            *broken.pointer_mut(place).unwrap() = wrong;
            let faults = faults(&broken);
            assert!(faults.iter().any(|fault| fault.contains(named)), "{place} {named}: {faults:#?}");
        }
    }
}
