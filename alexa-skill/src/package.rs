//! The package that makes the skill known to Amazon: what each language says to it, the manifest, and account linking.
//!
//! One source for all files under `infra/alexa`: a file per language beside this one holds its sentences and texts; the example
//! program `skill-package` writes the files, for the addresses of whoever runs a cloud, and a test says that the committed ones are
//! what it writes. Sentences are patterns (`(play|put on) {media}( @at|)`), because people say the same in so many ways
//! that lists of them would hide what is missing.

pub mod check;
mod de;
mod en;
mod es;
mod fr;
mod it;
mod manifest;
mod nl;

use std::collections::BTreeSet;

use macloud_e2ee::vocabulary::MediaKind;
use serde_json::{Value, json};

pub use manifest::{Deployment, Function};

/// What people call the skill, in every language: it is the product's name.
pub const INVOCATION_NAME: &str = "music assistant";

/// The locales that the skill is published in.
pub const LOCALES: [&str; 7] = ["en-US", "en-GB", "de-DE", "fr-FR", "es-ES", "it-IT", "nl-NL"];

/// What people say in a language, and what they read about the skill.
struct Language {
    /// Parts of sentences that recur, by name (`@at`).
    parts: &'static [(&'static str, &'static str)],
    /// Each intent with the patterns of its sentences, but for [`SAID_ANYWAY`].
    intents: &'static [Intent],
    /// What stands for the player in use ("turn it off"), where a name could stand.
    pronouns: &'static [&'static str],
    /// The words for kinds of media, the usual one first.
    kinds: &'static [(MediaKind, &'static str)],
    /// Examples of what can stand in a slot, each with other words for it. Alexa takes words that are not listed, too.
    types: &'static [(&'static str, &'static [&'static str])],
    published: Published,
}

/// An intent with the patterns of its sentences.
type Intent = (&'static str, &'static [&'static str]);

impl Language {
    fn all_intents(&self) -> impl Iterator<Item = Intent> + use<> {
        self.intents.iter().copied().chain(SAID_ANYWAY.map(|name| (name, NO_SENTENCES)))
    }
}

const NO_SENTENCES: &[&str] = &[];

/// What Alexa understands in every language without sentences of ours.
const SAID_ANYWAY: [&str; 7] = [
    "AMAZON.YesIntent",
    "AMAZON.NoIntent",
    "AMAZON.HelpIntent",
    "AMAZON.StopIntent",
    "AMAZON.CancelIntent",
    "AMAZON.FallbackIntent",
    "AMAZON.NavigateHomeIntent",
];

/// What stands in the skill store.
struct Published {
    summary: &'static str,
    description: &'static str,
    example_phrases: [&'static str; 3],
    keywords: &'static [&'static str],
}

/// All files of the package by their path, for this deployment.
#[must_use]
pub fn files(deployment: &Deployment) -> Vec<(String, Value)> {
    let models = LOCALES.map(|locale| (format!("interactionModels/custom/{locale}.json"), model(locale)));
    let others = [
        ("skill.json".to_owned(), manifest::manifest(deployment)),
        ("accountLinking.json".to_owned(), manifest::account_linking(deployment)),
    ];
    others.into_iter().chain(models).collect()
}

/// The interaction model of one of [`LOCALES`]; of the first one for any other.
#[must_use]
pub fn model(locale: &str) -> Value {
    let (language, spelling) = language(locale);
    let intents: Vec<Value> = language
        .all_intents()
        .map(|(name, patterns)| {
            let samples: Vec<String> =
                samples(language, patterns).iter().map(|sample| spell(sample, spelling)).collect();
            let slots: BTreeSet<&str> = samples.iter().flat_map(|sample| slots(sample)).collect();
            let slots: Vec<Value> = slots.iter().map(|slot| json!({"name": slot, "type": slot_type(slot)})).collect();
            let mut intent = json!({"name": name, "samples": samples});
            if !slots.is_empty() {
                intent["slots"] = slots.into();
            }
            intent
        })
        .collect();
    let values = |list: &[&str]| list.iter().map(|words| value(None, &spell(words, spelling))).collect::<Vec<_>>();
    let kinds: Vec<Value> = language.kinds.iter().map(|(kind, words)| value(Some(*kind), words)).collect();
    let types = language.types.iter().map(|(name, list)| json!({"name": name, "values": values(list)}));
    let types: Vec<Value> = types.chain([json!({"name": KINDS_TYPE, "values": kinds})]).collect();
    let mut model = json!({"invocationName": INVOCATION_NAME, "intents": intents, "types": types});
    // How easily it is said that nothing was understood can be set for English only.
    if locale.starts_with("en-") {
        model["modelConfiguration"] = json!({"fallbackIntentSensitivity": {"level": "LOW"}});
    }
    json!({"interactionModel": {"languageModel": model}})
}

/// Every sentence of the model of a locale, with the name of its intent.
#[must_use]
pub fn sentences(locale: &str) -> Vec<(&'static str, String)> {
    let (language, spelling) = language(locale);
    let of_intent = |(name, patterns): Intent| {
        samples(language, patterns).into_iter().map(move |sample| (name, spell(&sample, spelling))).collect::<Vec<_>>()
    };
    language.all_intents().flat_map(of_intent).collect()
}

/// The type of a slot, which its name says.
#[must_use]
pub fn slot_type(slot: &str) -> &'static str {
    match slot {
        "media" => "MEDIA",
        "artist" => "ARTIST",
        "player" | "other" => "PLAYER",
        "all" => ALL_PLAYERS_TYPE,
        "home" => "HOME",
        "genre" => "GENRE",
        "mediaType" => KINDS_TYPE,
        "level" => "AMAZON.NUMBER",
        "time" => "AMAZON.DURATION",
        _ => "AMAZON.SearchQuery",
    }
}

/// The slots of a sentence.
pub fn slots(sample: &str) -> impl Iterator<Item = &str> {
    sample.split('{').skip(1).filter_map(|rest| rest.split('}').next())
}

/// A kind's word where it is written down: session attributes, and (in capitals) the models.
#[must_use]
pub const fn kind_word(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Track => "track",
        MediaKind::Album => "album",
        MediaKind::Artist => "artist",
        MediaKind::Playlist => "playlist",
        MediaKind::Radio => "radio",
        MediaKind::Genre => "genre",
        MediaKind::Audiobook => "audiobook",
        MediaKind::Podcast => "podcast",
    }
}

/// The kind that was written down as this word.
#[must_use]
pub fn kind_of_word(word: &str) -> Option<MediaKind> {
    KINDS.into_iter().find(|kind| kind_word(*kind).eq_ignore_ascii_case(word))
}

/// The kind that a word means that somebody says, in any language.
#[must_use]
pub fn kind_said(said: &str) -> Option<MediaKind> {
    let said = said.to_lowercase();
    let all = LANGUAGES.iter().flat_map(|language| language.kinds);
    let mut means = all.filter(|(_, words)| words.split('|').any(|word| word == said)).map(|(kind, _)| *kind);
    means.next().or_else(|| kind_of_word(&said))
}

/// Whether what was said for a player means all of a home, in any language ("everywhere", "alles").
#[must_use]
pub fn means_all(said: &str) -> bool {
    let said = words_of(said);
    let types = LANGUAGES.iter().flat_map(|language| language.types);
    let values = types.filter(|(name, _)| *name == ALL_PLAYERS_TYPE).flat_map(|(_, values)| *values);
    values.flat_map(|words| words.split('|')).any(|words| words_of(words) == said)
}

/// Whether what was said for a player means the one in use, in any language ("it").
#[must_use]
pub fn means_it(said: &str) -> bool {
    let said = words_of(said);
    LANGUAGES.iter().flat_map(|language| language.pronouns).any(|pronoun| *pronoun == said)
}

/// In small letters, without punctuation.
fn words_of(text: &str) -> String {
    let text = text.to_lowercase();
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

const ALL_PLAYERS_TYPE: &str = "ALL_PLAYERS";

const KINDS: [MediaKind; 8] = [
    MediaKind::Track,
    MediaKind::Album,
    MediaKind::Artist,
    MediaKind::Playlist,
    MediaKind::Radio,
    MediaKind::Genre,
    MediaKind::Audiobook,
    MediaKind::Podcast,
];

const KINDS_TYPE: &str = "MEDIA_TYPE";

const LANGUAGES: [&Language; 6] = [&en::ENGLISH, &de::GERMAN, &fr::FRENCH, &es::SPANISH, &it::ITALIAN, &nl::DUTCH];

/// The language of a locale, and what is written otherwise there.
fn language(locale: &str) -> (&'static Language, &'static [(&'static str, &'static str)]) {
    match locale {
        "en-GB" => (&en::ENGLISH, en::BRITISH),
        "de-DE" => (&de::GERMAN, &[]),
        "fr-FR" => (&fr::FRENCH, &[]),
        "es-ES" => (&es::SPANISH, &[]),
        "it-IT" => (&it::ITALIAN, &[]),
        "nl-NL" => (&nl::DUTCH, &[]),
        _ => (&en::ENGLISH, &[]),
    }
}

fn spell(text: &str, spelling: &[(&str, &str)]) -> String {
    spelling.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// All sentences of some patterns, in their order.
fn samples(language: &Language, patterns: &[&str]) -> Vec<String> {
    let whole = |pattern: &&str| {
        language.parts.iter().fold((*pattern).to_owned(), |pattern, (name, part)| pattern.replace(name, part))
    };
    patterns.iter().map(whole).flat_map(|pattern| expand(&pattern)).collect()
}

/// Every sentence that a pattern stands for: `(a|b|)` is one of these.
fn expand(pattern: &str) -> Vec<String> {
    let tidy = |sentence: String| sentence.split_whitespace().collect::<Vec<_>>().join(" ");
    choices(&mut pattern.chars()).into_iter().map(tidy).collect()
}

/// Up to the end or the closing bracket.
fn choices(text: &mut std::str::Chars<'_>) -> Vec<String> {
    let (mut done, mut current) = (Vec::new(), vec![String::new()]);
    loop {
        match text.next() {
            None | Some(')') => {
                done.append(&mut current);
                return done;
            }
            Some('|') => done.append(&mut std::mem::replace(&mut current, vec![String::new()])),
            Some('(') => {
                let inner = choices(text);
                let joined = |start: &String| inner.iter().map(|end| format!("{start}{end}")).collect::<Vec<_>>();
                current = current.iter().flat_map(joined).collect();
            }
            Some(c) => current.iter_mut().for_each(|sentence| sentence.push(c)),
        }
    }
}

/// `words`: the value, and other words for it.
fn value(id: Option<MediaKind>, words: &str) -> Value {
    let mut words = words.split('|');
    let mut value = json!({"name": {"value": words.next(), "synonyms": words.collect::<Vec<_>>()}});
    if let Some(kind) = id {
        value["id"] = kind_word(kind).to_uppercase().into();
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_each_choice() {
        assert_eq!(expand("stop"), ["stop"]);
        assert_eq!(
            expand("(play|put on) {media}( in (the |){player}|)"),
            [
                "play {media} in the {player}",
                "play {media} in {player}",
                "play {media}",
                "put on {media} in the {player}",
                "put on {media} in {player}",
                "put on {media}"
            ]
        );
    }

    #[test]
    fn every_language_has_the_same_intents_and_types() {
        let shape = |language: &Language| {
            let intents: Vec<&str> = language.intents.iter().map(|(name, _)| *name).collect();
            let types: Vec<&str> = language.types.iter().map(|(name, _)| *name).collect();
            let kinds: Vec<MediaKind> = language.kinds.iter().map(|(kind, _)| *kind).collect();
            (intents, types, kinds)
        };
        for language in LANGUAGES {
            assert_eq!(shape(language), shape(&en::ENGLISH), "{}", language.published.summary);
        }
    }

    /// A slot that only one language fills would be a feature that the others lack.
    #[test]
    fn every_language_fills_the_same_slots() {
        for locale in LOCALES {
            for (intent, english) in model(locale)["interactionModel"]["languageModel"]["intents"]
                .as_array()
                .unwrap()
                .iter()
                .zip(model("en-US")["interactionModel"]["languageModel"]["intents"].as_array().unwrap())
            {
                assert_eq!(intent.get("slots"), english.get("slots"), "{locale} {}", intent["name"]);
            }
        }
    }

    #[test]
    fn kinds_are_known_by_the_words_of_every_language() {
        for (said, kind) in [
            ("record", MediaKind::Album),
            ("Hörbuch", MediaKind::Audiobook),
            ("émission", MediaKind::Podcast),
            ("emisora", MediaKind::Radio),
            ("brano", MediaKind::Track),
            ("afspeellijst", MediaKind::Playlist),
            ("ARTIST", MediaKind::Artist),
        ] {
            assert_eq!(kind_said(said), Some(kind), "{said}");
        }
        assert_eq!(kind_said("sandwich"), None);
        for kind in KINDS {
            assert_eq!(kind_of_word(kind_word(kind)), Some(kind));
        }
    }

    #[test]
    fn all_players_and_the_one_in_use_are_known_by_the_words_of_every_language() {
        for all in
            ["everywhere", "Everything", "überall", "alle Räume", "partout", "en todas partes", "dappertutto", "overal"]
        {
            assert!(means_all(all) && !means_it(all), "{all}");
        }
        for it in ["it", "es", "ça", "lo", "hem"] {
            assert!(means_it(it) && !means_all(it), "{it}");
        }
        for name in ["kitchen", "", "all saints", "das Bad"] {
            assert!(!means_all(name) && !means_it(name), "{name}");
        }
    }
}
