//! What people call a player's toggles and modes, in the languages that Alexa may be spoken to in. Discovery carries no
//! language, so all are given at once.
//!
//! Amazon keeps some words for itself ("music", "volume", "playing", "time" and more): none of them may stand alone
//! here.

use serde_json::{Value, json};

/// One name for each of [`LOCALES`], in their order of languages.
pub(super) type Words = [&'static str; 6];

/// Each language, with its locales. Every locale costs each endpoint some 300 bytes, and there may be 300 of those.
const LOCALES: [&[&str]; 6] = [&["en-US", "en-GB"], &["de-DE"], &["fr-FR"], &["es-ES"], &["it-IT"], &["nl-NL"]];

pub(super) const SHUFFLE: Words =
    ["shuffle", "Zufallswiedergabe", "lecture aléatoire", "reproducción aleatoria", "riproduzione casuale", "shuffle"];
pub(super) const REPEAT: Words = ["repeat", "Wiederholung", "répétition", "repetición", "ripetizione", "herhaling"];
pub(super) const REPEAT_OFF: Words = ["off", "aus", "désactivée", "desactivada", "disattivata", "uit"];
pub(super) const REPEAT_ONE: Words = ["one song", "ein Titel", "un titre", "una canción", "un brano", "één nummer"];
pub(super) const REPEAT_ALL: Words = ["everything", "alle Titel", "tous les titres", "todas", "tutti i brani", "alles"];

/// As `capabilityResources` and `modeResources` have them.
pub(super) fn resources(words: &Words) -> Value {
    let name = |(text, locale): (&str, &str)| json!({"@type": "text", "value": {"text": text, "locale": locale}});
    let all = words.iter().zip(LOCALES).flat_map(|(word, locales)| locales.iter().map(|&locale| (*word, locale)));
    json!({"friendlyNames": all.map(name).collect::<Vec<_>>()})
}
