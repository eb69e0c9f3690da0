//! The skill package that is uploaded to Amazon: valid by Amazon's own definitions, where they are at hand, and in step
//! with what this crate understands.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jsonschema::Draft;
use macloud_alexa_skill::request::{self, Ask, Intent, Wish};
use serde_json::{Value, json};

use super::support::schemas::shared_text;
use super::support::signing::intent;

fn package(file: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../infra/skill-package").join(file);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn check(definition: &str, value: &Value) {
    let Some(text) = shared_text("schemas/ask/ask-smapi-spec.swagger2.json") else { return };
    let mut schema: Value = serde_json::from_str(&text).unwrap();
    let definitions = schema["definitions"].take();
    let schema = json!({"$ref": format!("#/definitions/{definition}"), "definitions": definitions});
    let validator = jsonschema::options().with_draft(Draft::Draft4).build(&schema).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(value).map(|error| format!("{error} at {}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

/// The slot types of Amazon's own that the model uses.
const BUILT_IN: [&str; 2] = ["AMAZON.NUMBER", "AMAZON.SearchQuery"];

const MODEL: &str = "interactionModels/custom/en-US.json";

#[test]
fn model_and_manifest_are_valid_by_amazons_definitions() {
    check("v1.skill.interactionModel.InteractionModelData", &package(MODEL));
    check("v1.skill.Manifest.SkillManifestEnvelope", &package("skill.json"));
}

#[test]
fn the_model_speaks_of_what_is_understood_and_nothing_else() {
    let model = package(MODEL);
    let language = &model["interactionModel"]["languageModel"];
    assert_eq!(language["invocationName"], "music assistant");
    let types: BTreeSet<&str> = names(&language["types"]);
    for modelled in language["intents"].as_array().unwrap() {
        let name = modelled["name"].as_str().unwrap();
        let ask = request::parse(intent(name, &[]).to_string().as_bytes()).unwrap().ask;
        assert_eq!(ask == Ask::Intent(Intent::Fallback), name == "AMAZON.FallbackIntent", "{name} is understood");
        let slots = modelled.get("slots").map(names).unwrap_or_default();
        for slot in modelled["slots"].as_array().into_iter().flatten() {
            let kind = slot["type"].as_str().unwrap();
            assert!(types.contains(kind) || BUILT_IN.contains(&kind), "{kind}");
        }
        let mut seen = BTreeSet::new();
        for sample in modelled["samples"].as_array().unwrap() {
            let sample = sample.as_str().unwrap();
            assert!(seen.insert(sample), "{sample:?} stands twice");
            assert_eq!(sample, sample.to_lowercase().replace("mediatype", "mediaType"), "samples are lower case");
            for slot in sample.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()) {
                assert!(slots.contains(slot), "{sample:?} has a slot that {name} does not have");
            }
        }
    }
}

/// A slot that is in the model and not in the parser would be heard and forgotten.
#[test]
fn every_slot_of_the_model_is_read() {
    let model = package(MODEL);
    for modelled in model["interactionModel"]["languageModel"]["intents"].as_array().unwrap() {
        let name = modelled["name"].as_str().unwrap();
        let slots = modelled.get("slots").map(names).unwrap_or_default();
        let value = |slot: &str| match slot {
            "mediaType" => "album",
            "level" => "30",
            _ => "something",
        };
        let all: Vec<(&str, &str)> = slots.iter().map(|&slot| (slot, value(slot))).collect();
        let read = |slots: &[(&str, &str)]| request::parse(intent(name, slots).to_string().as_bytes()).unwrap().ask;
        for left_out in &slots {
            let without: Vec<(&str, &str)> = all.iter().copied().filter(|(slot, _)| slot != left_out).collect();
            assert_ne!(read(&without), read(&all), "{name} does not read {left_out}");
        }
    }
}

/// Certification says each example phrase aloud.
#[test]
fn the_example_phrases_are_in_the_model() {
    let (model, manifest) = (package(MODEL), package("skill.json"));
    let language = &model["interactionModel"]["languageModel"];
    let invocation = language["invocationName"].as_str().unwrap();
    let intents = language["intents"].as_array().unwrap();
    let locale = &manifest["manifest"]["publishingInformation"]["locales"]["en-US"];
    let phrases = locale["examplePhrases"].as_array().unwrap();
    assert_eq!(phrases.len(), 3);
    for phrase in phrases {
        let phrase = phrase.as_str().unwrap().to_lowercase();
        let said = phrase.strip_prefix("alexa, ").unwrap();
        if said == format!("open {invocation}") {
            continue;
        }
        let asked = said.strip_prefix(&format!("ask {invocation} ")).unwrap();
        let asked: Vec<&str> = asked.strip_prefix("to ").unwrap_or(asked).split(' ').collect();
        let is_modelled = intents.iter().any(|modelled| {
            let samples = modelled["samples"].as_array().unwrap().iter().map(|sample| sample.as_str().unwrap());
            samples.into_iter().any(|sample| fits(&sample.split(' ').collect::<Vec<_>>(), &asked, modelled, language))
        });
        assert!(is_modelled, "{phrase:?} is not in the model");
    }
}

/// Whether `said` is `sample` with a value of the model in each of its slots.
fn fits(sample: &[&str], said: &[&str], modelled: &Value, language: &Value) -> bool {
    let Some((first, rest)) = sample.split_first() else { return said.is_empty() };
    let Some(slot) = first.strip_prefix('{').and_then(|first| first.strip_suffix('}')) else {
        return said.first() == Some(first) && fits(rest, &said[1..], modelled, language);
    };
    (1..=said.len()).any(|words| {
        is_value(slot, &said[..words].join(" "), modelled, language) && fits(rest, &said[words..], modelled, language)
    })
}

fn is_value(slot: &str, said: &str, modelled: &Value, language: &Value) -> bool {
    let slots = modelled["slots"].as_array().unwrap();
    let kind = &slots.iter().find(|found| found["name"] == slot).unwrap()["type"];
    let kinds = language["types"].as_array().unwrap();
    let values = kinds.iter().find(|found| found["name"] == *kind).and_then(|found| found["values"].as_array());
    values.into_iter().flatten().any(|value| {
        let synonyms = value["name"]["synonyms"].as_array().into_iter().flatten();
        synonyms.chain([&value["name"]["value"]]).any(|known| known == said)
    })
}

#[test]
fn no_sample_means_two_intents() {
    let model = package(MODEL);
    let mut seen = BTreeSet::new();
    for modelled in model["interactionModel"]["languageModel"]["intents"].as_array().unwrap() {
        for sample in modelled["samples"].as_array().unwrap() {
            assert!(seen.insert(sample.as_str().unwrap().to_owned()), "{sample}");
        }
    }
}

#[test]
fn every_media_type_of_the_model_is_understood() {
    let model = package(MODEL);
    let types = model["interactionModel"]["languageModel"]["types"].as_array().unwrap();
    let media = types.iter().find(|found| found["name"] == "MEDIA_TYPE").unwrap();
    for value in media["values"].as_array().unwrap() {
        let id = value["id"].as_str().unwrap();
        let mut said = intent("PlayMediaIntent", &[("media", "x"), ("mediaType", "whatever")]);
        said["request"]["intent"]["slots"]["mediaType"]["resolutions"] =
            json!({"resolutionsPerAuthority": [{"values": [{"value": {"id": id}}]}]});
        let ask = request::parse(said.to_string().as_bytes()).unwrap().ask;
        assert!(matches!(ask, Ask::Intent(Intent::Play(Wish { kind: Some(_), .. }))), "{id}");
    }
}

fn names(list: &Value) -> BTreeSet<&str> {
    list.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}
