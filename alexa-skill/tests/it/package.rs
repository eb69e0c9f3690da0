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
