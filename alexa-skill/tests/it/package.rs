//! The skill package that is uploaded to Amazon: what the generator writes, valid by our rules and (where they are at hand) by
//! Amazon's own definitions, and in step with what this crate understands.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jsonschema::Draft;
use macloud_alexa_skill::package::{Deployment, Function, LOCALES, check, files, model, sentences, slots};
use macloud_alexa_skill::request::{self, Ask, Intent, Wish};
use serde_json::{Value, json};

use super::support::schemas::shared_text;
use super::support::signing::intent;

fn committed(file: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../infra/alexa").join(file);
    std::fs::read_to_string(path).ok()
}

#[test]
fn the_committed_files_are_what_the_generator_writes() {
    for (path, value) in files(&Deployment::default()) {
        let written = serde_json::to_string_pretty(&value).unwrap() + "\n";
        let remedy = "run: cargo run -p macloud-alexa-skill --example skill-package";
        assert!(committed(&path).as_deref() == Some(&written), "infra/alexa/{path} is not up to date: {remedy}");
    }
}

#[test]
fn every_model_keeps_the_rules() {
    for locale in LOCALES {
        let faults = check::faults(&model(locale));
        assert!(faults.is_empty(), "{locale}: {faults:#?}");
    }
}

fn by_amazon(definition: &str, value: &Value) {
    let Some(text) = shared_text("schemas/ask/ask-smapi-spec.swagger2.json") else { return };
    let mut schema: Value = serde_json::from_str(&text).unwrap();
    let definitions = schema["definitions"].take();
    let schema = json!({"$ref": format!("#/definitions/{definition}"), "definitions": definitions});
    let validator = jsonschema::options().with_draft(Draft::Draft4).build(&schema).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(value).map(|error| format!("{error} at {}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn all_files_are_valid_by_amazons_definitions() {
    let function = Function { region: "EU", arn: "arn:aws:lambda:eu-west-1:123456789012:function:mine".into() };
    let own = Deployment { functions: vec![function], events: true, ..Deployment::default() };
    for (path, value) in files(&Deployment::default()).into_iter().chain(files(&own)) {
        by_amazon(
            match path.as_str() {
                "skill.json" => "v1.skill.Manifest.SkillManifestEnvelope",
                "accountLinking.json" => "v1.skill.accountLinking.AccountLinkingRequest",
                _ => "v1.skill.interactionModel.InteractionModelData",
            },
            &value,
        );
    }
}

#[test]
fn what_stands_in_the_store_fits_there() {
    let (_, manifest) = files(&Deployment::default()).into_iter().find(|(path, _)| path == "skill.json").unwrap();
    let publishing = &manifest["manifest"]["publishingInformation"];
    let locales = publishing["locales"].as_object().unwrap();
    assert_eq!(locales.keys().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(LOCALES));
    for (locale, published) in locales {
        let chars = |field: &str| published[field].as_str().unwrap().chars().count();
        assert!(chars("summary") <= 160 && chars("description") <= 4000, "{locale}");
        assert!(published["keywords"].as_array().unwrap().len() <= 30);
        assert!(published["description"].as_str().unwrap().contains("\n\n"), "{locale} has paragraphs");
    }
    let privacy = manifest["manifest"]["privacyAndCompliance"]["locales"].as_object().unwrap();
    assert!(privacy.keys().eq(locales.keys()));
    assert!(!manifest.to_string().contains("\"clientSecret\""));
}

fn intents(locale: &str) -> Vec<Value> {
    model(locale)["interactionModel"]["languageModel"]["intents"].as_array().unwrap().clone()
}

fn names(list: &Value) -> BTreeSet<&str> {
    list.as_array().into_iter().flatten().map(|item| item["name"].as_str().unwrap()).collect()
}

fn read(name: &str, slots: &[(&str, &str)]) -> Ask {
    request::parse(intent(name, slots).to_string().as_bytes()).unwrap().ask
}

/// Something that can stand in a slot.
fn value(slot: &str) -> &'static str {
    match slot {
        "mediaType" => "album",
        "level" => "30",
        "time" => "PT2M",
        "other" => "bathroom",
        "all" => "everywhere",
        _ => "something",
    }
}

#[test]
fn the_models_speak_of_what_is_understood_and_nothing_else() {
    for locale in LOCALES {
        for modelled in intents(locale) {
            let name = modelled["name"].as_str().unwrap();
            let all: Vec<(&str, &str)> =
                names(&modelled["slots"]).into_iter().map(|slot| (slot, value(slot))).collect();
            let is_unknown = read(name, &all) == Ask::Intent(Intent::Fallback);
            assert_eq!(is_unknown, name == "AMAZON.FallbackIntent", "{name} is understood");
        }
    }
}

/// A slot that is in the model and not in the parser would be heard and forgotten.
#[test]
fn every_slot_of_the_models_is_read() {
    for modelled in intents("en-US") {
        let name = modelled["name"].as_str().unwrap();
        let slots = names(&modelled["slots"]);
        for left_out in &slots {
            // No sentence names a player and all of them.
            let never_beside = if *left_out == "all" { "player" } else { "all" };
            let said = slots.iter().filter(|slot| **slot != never_beside);
            let all: Vec<(&str, &str)> = said.map(|&slot| (slot, value(slot))).collect();
            let without: Vec<(&str, &str)> = all.iter().copied().filter(|(slot, _)| slot != left_out).collect();
            assert_ne!(read(name, &without), read(name, &all), "{name} does not read {left_out}");
        }
    }
}

/// How the example phrases lead to their sentence.
const ASKING: [(&str, &[&str]); 7] = [
    ("en-US", &["alexa, ask music assistant to ", "alexa, ask music assistant "]),
    ("en-GB", &["alexa, ask music assistant to ", "alexa, ask music assistant "]),
    ("de-DE", &["alexa, sage music assistant ", "alexa, frage music assistant "]),
    ("fr-FR", &["alexa, demande à music assistant "]),
    ("es-ES", &["alexa, dile a music assistant ", "alexa, pregunta a music assistant "]),
    ("it-IT", &["alexa, chiedi a music assistant "]),
    ("nl-NL", &["alexa, vraag music assistant "]),
];

/// Certification says each example phrase aloud.
#[test]
fn the_example_phrases_are_in_the_models() {
    let (_, manifest) = files(&Deployment::default()).into_iter().find(|(path, _)| path == "skill.json").unwrap();
    for (locale, asking) in ASKING {
        let published = &manifest["manifest"]["publishingInformation"]["locales"][locale];
        let phrases = published["examplePhrases"].as_array().unwrap();
        let [opening, others @ ..] = phrases.as_slice() else { panic!("{locale} has no examples") };
        assert!(opening.as_str().unwrap().ends_with(" music assistant"), "{opening}");
        assert_eq!(others.len(), 2);
        let language = &model(locale)["interactionModel"]["languageModel"];
        let (intents, sentences) = (intents(locale), sentences(locale));
        for phrase in others {
            let phrase = phrase.as_str().unwrap().to_lowercase();
            let asked = asking.iter().find_map(|start| phrase.strip_prefix(start)).unwrap();
            let asked: Vec<&str> = asked.split(' ').collect();
            let is_modelled = sentences.iter().any(|(name, sample)| {
                let modelled = intents.iter().find(|found| found["name"] == *name).unwrap();
                fits(&sample.split(' ').collect::<Vec<_>>(), &asked, modelled, language)
            });
            assert!(is_modelled, "{locale}: {phrase:?} is not in the model");
        }
    }
}

/// Whether `said` is `sample` with a value of the model in each of its slots.
fn fits(sample: &[&str], said: &[&str], modelled: &Value, language: &Value) -> bool {
    let Some((first, rest)) = sample.split_first() else { return said.is_empty() };
    let Some(slot) = slots(first).next() else {
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
fn every_media_type_of_the_models_is_understood() {
    for locale in LOCALES {
        let model = model(locale);
        let types = model["interactionModel"]["languageModel"]["types"].as_array().unwrap();
        let media = types.iter().find(|found| found["name"] == "MEDIA_TYPE").unwrap();
        for value in media["values"].as_array().unwrap() {
            let id = value["id"].as_str().unwrap();
            let mut said = intent("PlayMediaIntent", &[("media", "x"), ("mediaType", "whatever")]);
            said["request"]["intent"]["slots"]["mediaType"]["resolutions"] =
                json!({"resolutionsPerAuthority": [{"values": [{"value": {"id": id}}]}]});
            let ask = request::parse(said.to_string().as_bytes()).unwrap().ask;
            let Ask::Intent(Intent::Play(Wish { kind: Some(resolved), .. })) = ask else { panic!("{id}") };
            // Without a resolution, by the word itself.
            let word = value["name"]["value"].as_str().unwrap();
            let Ask::Intent(Intent::Play(Wish { kind, .. })) =
                read("PlayMediaIntent", &[("media", "x"), ("mediaType", word)])
            else {
                panic!("{word}")
            };
            assert_eq!(kind, Some(resolved), "{locale} {word}");
        }
    }
}
