//! What people say to a device in other languages than English, with no invocation name: Alexa makes a smart home directive of it,
//! and no interaction model of ours has the sentence.
//!
//! Her own sentences are many more. These are the common ones, in her documentation's words and in everyday ones: on and off, how loud,
//! mute, and what plays. Where she has no `Speaker` (French), there are only the sentences that she has for percentages.

use serde_json::{Value, json};

use super::{Said, Utterance, is_no_name, words};

/// The device and what it is told, if `said` is such a sentence: about one of `players`, if any reading is.
pub(super) fn heard(locale: &str, said: Said<'_>, players: &[&str]) -> Option<Heard> {
    let language = Language::of(locale)?;
    if language.discover.iter().any(|sentence| reads(sentence, said).is_some()) {
        return Some(Heard { meant: Utterance::Discover, is_known: true });
    }
    let readings = language.sentences.iter().flat_map(|(order, sentences)| {
        sentences.iter().filter_map(move |sentence| {
            let (player, level) = reads(sentence, said)?;
            let (player, is_known) = language.device(player?, players)?;
            let own_words = sentence.split(' ').filter(|word| !word.starts_with('{')).count();
            Some((is_known, own_words, order.directive(player, level)))
        })
    });
    let (is_known, _, meant) = readings.max_by_key(|(is_known, own_words, _)| (*is_known, *own_words))?;
    Some(Heard { meant, is_known })
}

/// What a sentence about a device means.
pub(super) struct Heard {
    pub(super) meant: Utterance,
    /// Alexa has a device of that name. If not, the sentence may be none about a device.
    pub(super) is_known: bool,
}

/// What a device is told.
#[derive(Clone, Copy)]
enum Order {
    SetVolume,
    Louder,
    Quieter,
    Mute,
    Unmute,
    /// Where Alexa has no volume.
    SetPercentage,
    MorePercent,
    LessPercent,
    On,
    Off,
    Play,
    Pause,
    Stop,
    Next,
    Previous,
}

impl Order {
    fn directive(self, player: String, level: Option<u16>) -> Utterance {
        let (namespace, name, payload) = self.parts(level);
        Utterance::SmartHome { namespace, name, payload, player }
    }

    fn parts(self, level: Option<u16>) -> (&'static str, &'static str, Value) {
        const SPEAKER: &str = "Alexa.Speaker";
        const PERCENTAGE: &str = "Alexa.PercentageController";
        const PLAYBACK: &str = "Alexa.PlaybackController";
        // Without an amount, Alexa says so, and takes ten.
        let by = |sign: i32| sign * i32::from(level.unwrap_or(10));
        let volume = |sign| json!({"volume": by(sign), "volumeDefault": level.is_none()});
        match self {
            Self::SetVolume => (SPEAKER, "SetVolume", json!({"volume": level})),
            Self::Louder => (SPEAKER, "AdjustVolume", volume(1)),
            Self::Quieter => (SPEAKER, "AdjustVolume", volume(-1)),
            Self::Mute => (SPEAKER, "SetMute", json!({"mute": true})),
            Self::Unmute => (SPEAKER, "SetMute", json!({"mute": false})),
            Self::SetPercentage => (PERCENTAGE, "SetPercentage", json!({"percentage": level})),
            Self::MorePercent => (PERCENTAGE, "AdjustPercentage", json!({"percentageDelta": by(1)})),
            Self::LessPercent => (PERCENTAGE, "AdjustPercentage", json!({"percentageDelta": by(-1)})),
            Self::On => ("Alexa.PowerController", "TurnOn", json!({})),
            Self::Off => ("Alexa.PowerController", "TurnOff", json!({})),
            Self::Play => (PLAYBACK, "Play", json!({})),
            Self::Pause => (PLAYBACK, "Pause", json!({})),
            Self::Stop => (PLAYBACK, "Stop", json!({})),
            Self::Next => (PLAYBACK, "Next", json!({})),
            Self::Previous => (PLAYBACK, "Previous", json!({})),
        }
    }
}

/// The device and the level in `said`, if it reads as `sentence` does: words, of which one of several divided by `|` is said,
/// `{device}` for one word or more, `{level}` for a number of 0 to 100.
fn reads<'s>(sentence: &str, said: Said<'s>) -> Option<(Option<Said<'s>>, Option<u16>)> {
    let (word, sentence) = match sentence.split_once(' ') {
        Some((word, rest)) => (word, rest),
        None if sentence.is_empty() => return said.words.is_empty().then_some((None, None)),
        None => (sentence, ""),
    };
    match word {
        "{device}" => (1..=said.words.len()).find_map(|taken| {
            let (device, rest) = said.words.split_at(taken);
            let (_, level) = reads(sentence, Said { words: rest })?;
            Some((Some(Said { words: device }), level))
        }),
        "{level}" => {
            let (level, rest) = said.number().filter(|(level, _)| *level <= 100)?;
            let (device, _) = reads(sentence, rest.after_any(PERCENT).unwrap_or(rest))?;
            Some((device, Some(level)))
        }
        word => {
            let (first, rest) = said.words.split_first()?;
            word.split('|').any(|word| word == first.plain).then(|| reads(sentence, Said { words: rest }))?
        }
    }
}

const PERCENT: &[&str] = &["%", "prozent", "pour cent", "pourcent", "por ciento", "per cento", "percento", "procent"];

/// How devices are spoken to in a language.
struct Language {
    locale: &'static str,
    /// "Find my devices".
    discover: &'static [&'static str],
    /// What stands before a device's name.
    leads: &'static [&'static str],
    sentences: &'static [(Order, &'static [&'static str])],
}

impl Language {
    fn of(locale: &str) -> Option<&'static Self> {
        LANGUAGES.iter().find(|language| locale.starts_with(language.locale))
    }

    /// The device's name, and whether it is one of `players`. None where no name is said.
    fn device(&self, said: Said<'_>, players: &[&str]) -> Option<(String, bool)> {
        let mut name = said.typed();
        loop {
            if is_no_name(&name) {
                return None;
            }
            if let Some(player) = players.iter().find(|player| player.to_lowercase() == name.to_lowercase()) {
                return Some(((*player).to_owned(), true));
            }
            match self.without_lead(&name) {
                Some(rest) => name = rest,
                None => return Some((name, false)),
            }
        }
    }

    fn without_lead(&self, name: &str) -> Option<String> {
        let said = words(name);
        let said = Said { words: &said };
        let parted = said.after_any(self.leads).filter(|rest| !rest.words.is_empty()).map(Said::typed);
        parted.or_else(|| {
            // "l'ingresso".
            let (lead, rest) = name.split_once(['\'', '’'])?;
            (ELIDED.contains(&lead.to_lowercase().as_str()) && !rest.is_empty()).then(|| rest.to_owned())
        })
    }
}

const ELIDED: [&str; 6] = ["l", "d", "dell", "nell", "all", "sull"];

const LANGUAGES: [Language; 5] = [
    Language {
        locale: "de",
        discover: &["suche|finde|entdecke geräte", "suche|finde|entdecke meine|neue geräte"],
        leads: &["in", "im", "auf", "am", "an", "von", "vom", "der", "die", "das", "den", "dem", "des"],
        sentences: &[
            (
                Order::SetVolume,
                &[
                    "stelle|stell|setze|setz|mach|mache|dreh|drehe|regle {device} auf {level}",
                    "stelle|stell|setze|setz|mach|mache|dreh|drehe|regle die lautstärke {device} auf {level}",
                    "stelle|stell|setze|setz|mach|mache|dreh|drehe|regle die lautstärke auf {level} {device}",
                    "lautstärke {device} {level}",
                    "lautstärke {device} auf {level}",
                    "lautstärke {level} {device}",
                ],
            ),
            (
                Order::Louder,
                &[
                    "mach|mache|stelle|stell|dreh|drehe {device} lauter",
                    "mach|mache|stelle|stell|dreh|drehe {device} um {level} lauter",
                    "erhöhe die lautstärke {device}",
                    "erhöhe die lautstärke {device} um {level}",
                    "lauter {device}",
                    "{device} lauter",
                ],
            ),
            (
                Order::Quieter,
                &[
                    "mach|mache|stelle|stell|dreh|drehe {device} leiser",
                    "mach|mache|stelle|stell|dreh|drehe {device} um {level} leiser",
                    "verringere|reduziere|senke die lautstärke {device}",
                    "verringere|reduziere|senke die lautstärke {device} um {level}",
                    "leiser {device}",
                    "{device} leiser",
                ],
            ),
            (
                Order::Mute,
                &["schalte|schalt|stelle|stell|mach|mache {device} stumm", "schalte den ton {device} aus|ab"],
            ),
            (
                Order::Unmute,
                &[
                    "hebe|heb die stummschaltung {device} auf",
                    "schalte den ton {device} an|ein",
                    "schalte den ton {device} wieder an|ein",
                ],
            ),
            (Order::On, &["schalte|schalt|mach|mache {device} an|ein"]),
            (Order::Off, &["schalte|schalt|mach|mache {device} aus"]),
            (
                Order::Play,
                &[
                    "setze|setz {device} fort",
                    "setze|setz die musik|wiedergabe {device} fort",
                    "spiele|spiel {device} weiter",
                    "starte die musik|wiedergabe {device}",
                ],
            ),
            (
                Order::Pause,
                &[
                    "pausiere|pausier|pause {device}",
                    "pausiere|pausier die musik|wiedergabe {device}",
                    "halte|halt {device} an",
                    "halte|halt die musik|wiedergabe {device} an",
                ],
            ),
            (Order::Stop, &["stoppe|stopp {device}", "stoppe|stopp|beende die musik|wiedergabe {device}"]),
            (
                Order::Next,
                &[
                    "nächstes|nächster|nächste lied|titel|song|stück {device}",
                    "spiele|spiel das|den nächste|nächsten lied|titel|song|stück {device}",
                    "überspringe|überspring das|den|dieses|diesen lied|titel|song|stück {device}",
                ],
            ),
            (
                Order::Previous,
                &[
                    "voriges|vorheriges|vorheriger|letztes lied|titel|song|stück {device}",
                    "spiele|spiel das|den vorige|vorherige|vorherigen|letzte|letzten lied|titel|song|stück {device}",
                ],
            ),
        ],
    },
    Language {
        locale: "fr",
        discover: &["détecte|recherche|découvre mes|les appareils"],
        leads: &["dans", "sur", "de", "du", "des", "à", "au", "la", "le", "les"],
        sentences: &[
            (
                Order::SetPercentage,
                &[
                    "règle|mets|met|passe {device} sur|à {level}",
                    "règle|mets|met|passe le volume|son {device} sur|à {level}",
                ],
            ),
            (
                Order::MorePercent,
                &["augmente|monte {device} de {level}", "augmente|monte le volume|son {device} de {level}"],
            ),
            (
                Order::LessPercent,
                &[
                    "baisse|diminue|réduis {device} de {level}",
                    "baisse|diminue|réduis le volume|son {device} de {level}",
                ],
            ),
            (Order::On, &["allume {device}"]),
            (Order::Off, &["éteins|éteint {device}"]),
            (Order::Play, &["reprends|reprend {device}", "reprends|reprend|relance la musique|lecture {device}"]),
            (
                Order::Pause,
                &[
                    "pause {device}",
                    "mets|met {device} en pause",
                    "mets|met en pause {device}",
                    "mets|met la musique|lecture {device} en pause",
                ],
            ),
            (Order::Stop, &["arrête|stoppe {device}", "arrête|stoppe la musique|lecture {device}"]),
            (
                Order::Next,
                &[
                    "chanson|piste|titre|morceau suivante|suivant {device}",
                    "passe|passer à|au la chanson|piste suivante {device}",
                    "passe au titre|morceau suivant {device}",
                    "passe à la chanson|piste suivante {device}",
                ],
            ),
            (
                Order::Previous,
                &[
                    "chanson|piste|titre|morceau précédente|précédent {device}",
                    "reviens à la chanson|piste précédente {device}",
                    "reviens au titre|morceau précédent {device}",
                ],
            ),
        ],
    },
    Language {
        locale: "es",
        discover: &["detecta|descubre|busca dispositivos", "detecta|descubre|busca mis|los dispositivos"],
        leads: &["en", "de", "del", "la", "el", "los", "las", "a", "al"],
        sentences: &[
            (
                Order::SetVolume,
                &[
                    "pon|ajusta|establece|sube|baja {device} al|a {level}",
                    "pon|ajusta|establece|sube|baja el volumen {device} al|a {level}",
                    "pon|ajusta|establece|sube|baja el volumen al|a {level} {device}",
                    "volumen {device} al|a {level}",
                    "volumen {level} {device}",
                ],
            ),
            (
                Order::Louder,
                &[
                    "sube {device}",
                    "sube|aumenta el volumen {device}",
                    "sube|aumenta el volumen {device} en|un {level}",
                    "más alto {device}",
                ],
            ),
            (
                Order::Quieter,
                &[
                    "baja {device}",
                    "baja|reduce el volumen {device}",
                    "baja|reduce el volumen {device} en|un {level}",
                    "más bajo {device}",
                ],
            ),
            (Order::Mute, &["silencia {device}", "quita el sonido {device}"]),
            (Order::Unmute, &["activa|reactiva el sonido {device}", "quita el silencio {device}"]),
            (Order::On, &["enciende {device}"]),
            (Order::Off, &["apaga {device}"]),
            (Order::Play, &["reanuda|continúa {device}", "reanuda|continúa la música|reproducción {device}"]),
            (
                Order::Pause,
                &[
                    "pausa {device}",
                    "pausa la música|reproducción {device}",
                    "pon {device} en pausa",
                    "pon en pausa {device}",
                ],
            ),
            (Order::Stop, &["para|detén {device}", "para|detén la música|reproducción {device}"]),
            (
                Order::Next,
                &[
                    "siguiente canción|pista|tema {device}",
                    "pon|pasa la|el siguiente canción|pista|tema {device}",
                    "pasa a la siguiente canción|pista {device}",
                ],
            ),
            (
                Order::Previous,
                &[
                    "canción|pista|tema anterior {device}",
                    "pon la|el canción|pista|tema anterior {device}",
                    "vuelve a la canción|pista anterior {device}",
                ],
            ),
        ],
    },
    Language {
        locale: "it",
        discover: &[
            "trova|rileva|cerca dispositivi",
            "trova|rileva|cerca i dispositivi",
            "trova|rileva|cerca i miei dispositivi",
        ],
        leads: &["in", "nella", "nel", "su", "sul", "sulla", "di", "della", "del", "la", "il", "lo", "i", "le"],
        sentences: &[
            (
                Order::SetVolume,
                &[
                    "imposta|metti|porta|regola|alza|abbassa {device} a|al {level}",
                    "imposta|metti|porta|regola|alza|abbassa il volume {device} a|al {level}",
                    "imposta|metti|porta|regola|alza|abbassa il volume a|al {level} {device}",
                    "volume {device} a|al {level}",
                    "volume {level} {device}",
                ],
            ),
            (
                Order::Louder,
                &["alza {device}", "alza|aumenta il volume {device}", "alza|aumenta il volume {device} di|del {level}"],
            ),
            (
                Order::Quieter,
                &[
                    "abbassa {device}",
                    "abbassa|riduci|diminuisci il volume {device}",
                    "abbassa|riduci|diminuisci il volume {device} di|del {level}",
                ],
            ),
            (Order::Mute, &["silenzia {device}", "disattiva|togli l'audio {device}"]),
            (Order::Unmute, &["riattiva|attiva l'audio {device}"]),
            (Order::On, &["accendi {device}"]),
            (Order::Off, &["spegni {device}"]),
            (Order::Play, &["riprendi {device}", "riprendi|continua la musica|riproduzione {device}"]),
            (
                Order::Pause,
                &[
                    "pausa {device}",
                    "metti in pausa {device}",
                    "metti in pausa la musica|riproduzione {device}",
                    "metti {device} in pausa",
                ],
            ),
            (Order::Stop, &["ferma|interrompi {device}", "ferma|interrompi la musica|riproduzione {device}"]),
            (
                Order::Next,
                &[
                    "prossima|prossimo canzone|brano|traccia {device}",
                    "canzone|brano|traccia successiva|successivo {device}",
                    "passa alla|al prossima|prossimo canzone|brano|traccia {device}",
                    "passa alla|al canzone|brano|traccia successiva|successivo {device}",
                ],
            ),
            (
                Order::Previous,
                &[
                    "canzone|brano|traccia precedente {device}",
                    "torna|passa alla|al canzone|brano|traccia precedente {device}",
                ],
            ),
        ],
    },
    Language {
        locale: "nl",
        discover: &["zoek|vind|ontdek apparaten", "zoek|vind|ontdek mijn|nieuwe apparaten"],
        leads: &["in", "op", "van", "de", "het"],
        sentences: &[
            (
                Order::SetVolume,
                &[
                    "zet|stel|doe {device} op {level}",
                    "zet|stel|doe het volume|geluid {device} op {level}",
                    "zet|stel|doe het volume|geluid op {level} {device}",
                    "volume {device} op {level}",
                    "volume {level} {device}",
                ],
            ),
            (
                Order::Louder,
                &[
                    "zet|maak|doe {device} harder|luider",
                    "zet het volume|geluid {device} harder|luider|hoger|omhoog",
                    "verhoog het volume {device}",
                    "verhoog het volume {device} met {level}",
                    "harder|luider {device}",
                    "{device} harder|luider",
                ],
            ),
            (
                Order::Quieter,
                &[
                    "zet|maak|doe {device} zachter",
                    "zet het volume|geluid {device} zachter|lager|omlaag",
                    "verlaag het volume {device}",
                    "verlaag het volume {device} met {level}",
                    "zachter {device}",
                    "{device} zachter",
                ],
            ),
            (Order::Mute, &["demp {device}", "zet het geluid {device} uit"]),
            (
                Order::Unmute,
                &["demp {device} niet meer", "zet het geluid {device} aan", "zet het geluid {device} weer aan"],
            ),
            (Order::On, &["zet|doe|schakel {device} aan|in"]),
            (Order::Off, &["zet|doe|schakel {device} uit"]),
            (Order::Play, &["hervat {device}", "hervat de|het muziek|afspelen {device}", "ga verder {device}"]),
            (Order::Pause, &["pauzeer {device}", "pauzeer de|het muziek|afspelen {device}", "zet {device} op pauze"]),
            (Order::Stop, &["stop {device}", "stop de|het muziek|afspelen {device}"]),
            (
                Order::Next,
                &[
                    "volgend|volgende nummer|liedje {device}",
                    "speel het volgende nummer|liedje {device}",
                    "sla dit|het nummer|liedje {device} over",
                ],
            ),
            (Order::Previous, &["vorig|vorige nummer|liedje {device}", "speel het vorige nummer|liedje {device}"]),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::super::parse_in;
    use super::*;

    /// The directive's name, the device, and the payload, of a sentence said where there are these devices.
    fn told(locale: &str, text: &str) -> (&'static str, String, Value) {
        match parse_in(locale, text, &["Kitchen", "Küche", "L'entrée", "Ingresso", "De Zolder"]) {
            Ok(Utterance::SmartHome { name, player, payload, .. }) => (name, player, payload),
            other => panic!("{locale} {text}: {other:?}"),
        }
    }

    #[test]
    fn devices_are_spoken_to_in_each_language() {
        for (locale, text, name, device) in [
            ("de-DE", "Alexa, stelle die Küche auf 30 Prozent", "SetVolume", "Küche"),
            ("de-DE", "stell die lautstärke in der kitchen auf 30%", "SetVolume", "Kitchen"),
            ("de-DE", "mach Kitchen lauter", "AdjustVolume", "Kitchen"),
            ("de-DE", "Küche leiser", "AdjustVolume", "Küche"),
            ("de-DE", "schalte die Küche stumm", "SetMute", "Küche"),
            ("de-DE", "hebe die Stummschaltung in der Küche auf", "SetMute", "Küche"),
            ("de-DE", "schalte Kitchen aus", "TurnOff", "Kitchen"),
            ("de-DE", "mach die Küche an", "TurnOn", "Küche"),
            ("de-DE", "pausiere die Küche", "Pause", "Küche"),
            ("de-DE", "setze die Musik in der Küche fort", "Play", "Küche"),
            ("de-DE", "nächstes Lied in der Küche", "Next", "Küche"),
            ("de-DE", "spiele das vorherige Lied auf Kitchen", "Previous", "Kitchen"),
            ("de-DE", "stoppe die Musik in der Küche", "Stop", "Küche"),
            ("fr-FR", "règle Kitchen sur 40 pour cent", "SetPercentage", "Kitchen"),
            ("fr-FR", "baisse Kitchen de 15 %", "AdjustPercentage", "Kitchen"),
            ("fr-FR", "mets Kitchen en pause", "Pause", "Kitchen"),
            ("fr-FR", "allume Kitchen", "TurnOn", "Kitchen"),
            ("fr-FR", "éteins l'entrée", "TurnOff", "L'entrée"),
            ("fr-FR", "reprends la lecture dans la Kitchen", "Play", "Kitchen"),
            ("fr-FR", "chanson suivante dans la Kitchen", "Next", "Kitchen"),
            ("fr-FR", "passe à la chanson suivante sur Kitchen", "Next", "Kitchen"),
            ("fr-FR", "titre précédent sur Kitchen", "Previous", "Kitchen"),
            ("es-ES", "pausa Kitchen", "Pause", "Kitchen"),
            ("es-ES", "pon el volumen de la Kitchen al 45 por ciento", "SetVolume", "Kitchen"),
            ("es-ES", "sube el volumen en la Kitchen", "AdjustVolume", "Kitchen"),
            ("es-ES", "silencia Kitchen", "SetMute", "Kitchen"),
            ("es-ES", "enciende Kitchen", "TurnOn", "Kitchen"),
            ("es-ES", "apaga Kitchen", "TurnOff", "Kitchen"),
            ("es-ES", "reanuda Kitchen", "Play", "Kitchen"),
            ("es-ES", "siguiente canción en Kitchen", "Next", "Kitchen"),
            ("es-ES", "canción anterior en Kitchen", "Previous", "Kitchen"),
            ("it-IT", "imposta il volume di Kitchen a 50", "SetVolume", "Kitchen"),
            ("it-IT", "abbassa il volume della Kitchen di 5", "AdjustVolume", "Kitchen"),
            ("it-IT", "silenzia l'ingresso", "SetMute", "Ingresso"),
            ("it-IT", "accendi Kitchen", "TurnOn", "Kitchen"),
            ("it-IT", "spegni Kitchen", "TurnOff", "Kitchen"),
            ("it-IT", "metti in pausa Kitchen", "Pause", "Kitchen"),
            ("it-IT", "riprendi Kitchen", "Play", "Kitchen"),
            ("it-IT", "prossima canzone in Kitchen", "Next", "Kitchen"),
            ("it-IT", "torna alla canzone precedente su Kitchen", "Previous", "Kitchen"),
            ("nl-NL", "zet Kitchen op 40", "SetVolume", "Kitchen"),
            ("nl-NL", "zet het volume in de Kitchen op 40 procent", "SetVolume", "Kitchen"),
            ("nl-NL", "zet Kitchen zachter", "AdjustVolume", "Kitchen"),
            ("nl-NL", "demp Kitchen", "SetMute", "Kitchen"),
            ("nl-NL", "zet De Zolder aan", "TurnOn", "De Zolder"),
            ("nl-NL", "doe Kitchen uit", "TurnOff", "Kitchen"),
            ("nl-NL", "pauzeer Kitchen", "Pause", "Kitchen"),
            ("nl-NL", "hervat Kitchen", "Play", "Kitchen"),
            ("nl-NL", "volgende nummer op Kitchen", "Next", "Kitchen"),
            ("nl-NL", "speel het vorige nummer in de Kitchen", "Previous", "Kitchen"),
        ] {
            let (heard, player, _) = told(locale, text);
            assert_eq!((heard, player.as_str()), (name, device), "{locale} {text}");
        }
    }

    #[test]
    fn levels_and_amounts_are_what_was_said() {
        for (locale, text, payload) in [
            ("de-DE", "stelle die Küche auf 30 Prozent", json!({"volume": 30})),
            ("de-DE", "mach die Küche um 20 leiser", json!({"volume": -20, "volumeDefault": false})),
            ("de-DE", "mach die Küche lauter", json!({"volume": 10, "volumeDefault": true})),
            ("fr-FR", "baisse Kitchen de 15 %", json!({"percentageDelta": -15})),
            ("es-ES", "activa el sonido en Kitchen", json!({"mute": false})),
            ("nl-NL", "demp Kitchen", json!({"mute": true})),
        ] {
            assert_eq!(told(locale, text).2, payload, "{locale} {text}");
        }
    }

    /// Every sentence of the table is understood as what it stands for, with a device that is known.
    #[test]
    fn no_sentence_hides_another() {
        for language in &LANGUAGES {
            for (order, sentences) in language.sentences {
                for sentence in *sentences {
                    let first = |word: &str| word.split('|').next().unwrap_or_default().to_owned();
                    let said: Vec<String> = sentence.split(' ').map(first).collect();
                    let said = said.join(" ").replace("{device}", "kitchen").replace("{level}", "30");
                    let level = sentence.contains("{level}").then_some(30);
                    let wanted = order.directive("Kitchen".into(), level);
                    let heard = words(&said);
                    let heard = heard_in(language.locale, &heard);
                    assert_eq!(heard, Some(wanted), "{} {said}", language.locale);
                }
            }
        }
    }

    fn heard_in(locale: &str, words: &[super::super::Word]) -> Option<Utterance> {
        heard(locale, Said { words }, &["Kitchen"]).map(|heard| heard.meant)
    }

    #[test]
    fn what_is_for_the_skill_stays_the_skills() {
        for (locale, text) in [
            ("de-DE", "spiele Kind of Blue in der Kitchen"),
            ("de-DE", "stelle die Lautstärke auf 35 Prozent"),
            ("de-DE", "schalte alles aus"),
            ("de-DE", "sage Music Assistant pausiere die Kitchen"),
            ("fr-FR", "mets le volume à 40"),
            ("fr-FR", "arrête la musique"),
            ("es-ES", "pon el volumen al 45"),
            ("es-ES", "bájalo"),
            ("it-IT", "metti Homogenic in Kitchen"),
            ("it-IT", "ferma la musica"),
            ("nl-NL", "zet het uit"),
            ("nl-NL", "stop de muziek"),
            ("nl-NL", "zet het volume op 55"),
        ] {
            let heard = parse_in(locale, text, &["Kitchen"]);
            assert!(matches!(heard, Ok(Utterance::Custom { .. })), "{locale} {text}: {heard:?}");
        }
    }

    #[test]
    fn a_device_that_alexa_does_not_know_is_named_as_it_was_said() {
        for (locale, text, device) in [
            ("de-DE", "stelle die Werkstatt auf 30", "Werkstatt"),
            ("it-IT", "accendi l'ufficio", "ufficio"),
            ("nl-NL", "zet de schuur op 40", "schuur"),
        ] {
            let heard = parse_in(locale, text, &["Kitchen"]);
            let Ok(Utterance::SmartHome { player, .. }) = heard else { panic!("{text}: {heard:?}") };
            assert_eq!(player, device, "{text}");
        }
        assert_eq!(parse_in("de-DE", "Alexa, suche meine Geräte", &[]), Ok(Utterance::Discover));
    }
}
