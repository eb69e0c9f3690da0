//! What people call a player's toggles, modes and ranges, in every language that Alexa takes such names in. Discovery carries no
//! language, so all are given at once, or as many as there is room for.
//!
//! Amazon keeps some words for itself ("music", "volume", "playing", "timer" and more): none of them may stand alone as the name
//! of a toggle, mode or range. What a mode or a number is called is free.

use serde_json::{Value, json};

/// One name for each language, in the order of [`Language`].
pub(super) type Words = [&'static str; 9];

/// The languages of toggles, modes and ranges. Alexa has none of these in Arabic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    English,
    German,
    French,
    Spanish,
    Italian,
    Dutch,
    Portuguese,
    Japanese,
    Hindi,
}

/// A place where a language is spoken, as Alexa names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Locale {
    pub(super) tag: &'static str,
    language: Language,
}

const fn locale(tag: &'static str, language: Language) -> Locale {
    Locale { tag, language }
}

/// All of them; those that the custom part speaks come first.
pub(super) const LOCALES: [Locale; 16] = [
    locale("en-US", Language::English),
    locale("en-GB", Language::English),
    locale("de-DE", Language::German),
    locale("fr-FR", Language::French),
    locale("es-ES", Language::Spanish),
    locale("it-IT", Language::Italian),
    locale("nl-NL", Language::Dutch),
    locale("en-CA", Language::English),
    locale("en-AU", Language::English),
    locale("en-IN", Language::English),
    locale("fr-CA", Language::French),
    locale("es-MX", Language::Spanish),
    locale("es-US", Language::Spanish),
    locale("pt-BR", Language::Portuguese),
    locale("ja-JP", Language::Japanese),
    locale("hi-IN", Language::Hindi),
];

/// So many of [`LOCALES`] are those that the custom part speaks.
pub(super) const MAIN: usize = 7;

pub(super) const SHUFFLE: Words = [
    "shuffle",
    "Zufallswiedergabe",
    "lecture aléatoire",
    "reproducción aleatoria",
    "riproduzione casuale",
    "shuffle",
    "modo aleatório",
    "シャッフル",
    "शफ़ल",
];
pub(super) const AUTOPLAY: Words = [
    "autoplay",
    "automatische Wiedergabe",
    "lecture automatique",
    "reproducción automática",
    "riproduzione automatica",
    "automatisch afspelen",
    "reprodução automática",
    "自動再生",
    "ऑटोप्ले",
];
pub(super) const REPEAT: Words = [
    "repeat",
    "Wiederholung",
    "répétition",
    "repetición",
    "ripetizione",
    "herhaling",
    "repetição",
    "リピート",
    "रिपीट",
];
pub(super) const REPEAT_OFF: Words =
    ["off", "aus", "désactivée", "desactivada", "disattivata", "uit", "desativada", "オフ", "बंद"];
pub(super) const REPEAT_ONE: Words =
    ["one song", "ein Titel", "un titre", "una canción", "un brano", "één nummer", "uma música", "一曲", "एक गाना"];
pub(super) const REPEAT_ALL: Words =
    ["everything", "alle Titel", "tous les titres", "todas", "tutti i brani", "alles", "todas", "全曲", "सभी गाने"];
pub(super) const PRESET: Words =
    ["preset", "Favorit", "favori", "favorito", "preferito", "favoriet", "favorito", "お気に入り", "पसंदीदा"];
pub(super) const SLEEP_TIMER: Words = [
    "sleep timer",
    "Einschlaftimer",
    "minuterie de sommeil",
    "temporizador de apagado",
    "timer di spegnimento",
    "slaaptimer",
    "temporizador de sono",
    "スリープタイマー",
    "स्लीप टाइमर",
];
pub(super) const SLEEP_OFF: Words =
    ["off", "aus", "désactivée", "desactivado", "disattivato", "uit", "desativado", "オフ", "बंद"];
pub(super) const SLEEP_15: Words = [
    "fifteen minutes",
    "fünfzehn Minuten",
    "quinze minutes",
    "quince minutos",
    "quindici minuti",
    "vijftien minuten",
    "quinze minutos",
    "十五分",
    "पंद्रह मिनट",
];
pub(super) const SLEEP_30: Words = [
    "half an hour",
    "eine halbe Stunde",
    "une demi heure",
    "media hora",
    "mezza ora",
    "een half uur",
    "meia hora",
    "三十分",
    "आधा घंटा",
];
pub(super) const SLEEP_60: Words =
    ["one hour", "eine Stunde", "une heure", "una hora", "sessanta minuti", "een uur", "uma hora", "一時間", "एक घंटा"];

/// As `capabilityResources`, `modeResources` and `presetResources` have them.
pub(super) fn resources(words: &Words, locales: &[Locale]) -> Value {
    friendly_names(locales.iter().map(|locale| (words[locale.language as usize], locale.tag)))
}

/// Of something that has one name wherever it is.
pub(super) fn same_everywhere(name: &str, locales: &[Locale]) -> Value {
    friendly_names(locales.iter().map(|locale| (name, locale.tag)))
}

fn friendly_names<'n>(names: impl Iterator<Item = (&'n str, &'static str)>) -> Value {
    let named = |(text, locale): (&str, &str)| json!({"@type": "text", "value": {"text": text, "locale": locale}});
    json!({"friendlyNames": names.map(named).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const NAMES: [(&str, Words); 5] = [
        ("shuffle", SHUFFLE),
        ("autoplay", AUTOPLAY),
        ("repeat", REPEAT),
        ("preset", PRESET),
        ("sleep timer", SLEEP_TIMER),
    ];

    /// Amazon's list, which is English; the same words in other languages are avoided too.
    const RESERVED: &[&str] = &[
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
        "musik",
        "musique",
        "música",
        "musica",
        "muziek",
        "音楽",
        "संगीत",
        "lautstärke",
        "volumen",
        "音量",
        "आवाज़",
        "wecker",
        "alarme",
        "alarma",
        "sveglia",
        "アラーム",
        "अलार्म",
        "minuteur",
        "minuterie",
        "temporizador",
        "タイマー",
        "टाइमर",
        "zeit",
        "heure",
        "hora",
        "ora",
        "tijd",
        "tag",
        "datum",
        "jour",
        "día",
        "giorno",
    ];

    #[test]
    fn no_name_is_one_that_alexa_keeps_for_itself() {
        for (name, words) in NAMES {
            for word in words {
                assert!(!RESERVED.contains(&word.to_lowercase().as_str()), "{name}: {word}");
            }
        }
    }

    #[test]
    fn everything_is_named_once_in_every_language_and_place() {
        let values = [REPEAT_OFF, REPEAT_ONE, REPEAT_ALL, SLEEP_OFF, SLEEP_15, SLEEP_30, SLEEP_60]
            .map(|words| ("a value", words));
        for (name, words) in NAMES.into_iter().chain(values) {
            let resources = resources(&words, &LOCALES);
            let named = resources["friendlyNames"].as_array().unwrap();
            let places: HashSet<&str> = named.iter().map(|one| one["value"]["locale"].as_str().unwrap()).collect();
            assert_eq!((named.len(), places.len()), (16, 16), "{name}");
            for one in named {
                let text = one["value"]["text"].as_str().unwrap();
                let is_speakable = text.chars().all(|c| c.is_alphabetic() || c == ' ' || "़ंि्ॉ".contains(c));
                assert!(!text.is_empty() && text.trim() == text && is_speakable, "{name}: {text}");
            }
        }
    }

    #[test]
    fn no_two_toggles_modes_and_ranges_and_no_two_values_of_one_are_called_the_same() {
        let together = [
            NAMES.map(|(_, words)| words).to_vec(),
            vec![REPEAT_OFF, REPEAT_ONE, REPEAT_ALL],
            vec![SLEEP_OFF, SLEEP_15, SLEEP_30, SLEEP_60],
        ];
        for group in together {
            for language in 0..9 {
                let names: HashSet<String> = group.iter().map(|words| words[language].to_lowercase()).collect();
                assert_eq!(names.len(), group.len(), "{names:?}");
            }
        }
    }

    #[test]
    fn the_places_of_the_custom_part_come_first() {
        let main: Vec<&str> = LOCALES[..MAIN].iter().map(|locale| locale.tag).collect();
        assert_eq!(main, ["en-US", "en-GB", "de-DE", "fr-FR", "es-ES", "it-IT", "nl-NL"]);
    }
}
