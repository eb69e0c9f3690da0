//! What somebody types on the simulator page, read as Alexa would hear it.
//!
//! Alexa's own understanding of speech is hers; this is a small English grammar of the sentences that matter here, so that the
//! demo can be talked to. Smart home sentences name a device and need no invocation name; everything else is for the custom
//! skill, with "ask Music Assistant to" in front or without. Whatever else the custom skill understands, and all of it in other
//! languages, is read by the sentences of its interaction models; their smart home sentences are in `utterance/devices.rs`.

mod devices;

use std::fmt;

use macloud_alexa_skill::package;
use serde_json::{Value, json};

/// What was said, as the directive or request to make of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Utterance {
    /// "discover devices".
    Discover,
    /// Something about one device.
    SmartHome {
        /// The interface, `Alexa.Speaker` for example.
        namespace: &'static str,
        /// The directive.
        name: &'static str,
        /// Its payload.
        payload: Value,
        /// The device's name as it was typed.
        player: String,
    },
    /// "open Music Assistant".
    Launch,
    /// A request to the custom skill.
    Custom {
        /// The intent of the interaction model.
        intent: &'static str,
        /// Slots that were filled.
        slots: Vec<(&'static str, String)>,
    },
}

/// A sentence that means nothing here, with some that do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotUnderstood {
    why: String,
    hints: &'static Hints,
}

impl NotUnderstood {
    /// Sentences that would have been understood.
    #[must_use]
    pub const fn suggestions(&self) -> &'static [&'static str; 4] {
        &self.hints.suggestions
    }
}

impl fmt::Display for NotUnderstood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} “{}”.", self.why, self.hints.instead, self.hints.suggestions.join("”, “"))
    }
}

impl std::error::Error for NotUnderstood {}

/// Why nothing comes of a sentence about `device`, with what Alexa calls those that she knows.
#[must_use]
pub fn no_such_device(locale: &str, device: &str, known: &[&str]) -> String {
    let hints = Hints::of(locale);
    format!("{} {}", hints.no_device.replace("{}", device), hints.devices.replace("{}", &known.join(", ")))
}

/// Reads a sentence without knowing the players.
///
/// # Errors
/// When the sentence is not one of ours; the error says what would be.
pub fn parse(text: &str) -> Result<Utterance, NotUnderstood> {
    parse_for(text, &[])
}

/// Reads a sentence. Knowing the players' names decides whether "play Back in Black" ends in a room.
///
/// # Errors
/// As [`parse`].
pub fn parse_for(text: &str, players: &[&str]) -> Result<Utterance, NotUnderstood> {
    let words = words(text);
    let said = Said { words: &words };
    let said = strip_politeness(said);
    if said.words.is_empty() {
        return Err(not_understood("Say something first.".to_owned()));
    }
    if said.one_of(&["discover", "discover devices", "discover my devices", "find my devices", "find devices"]) {
        return Ok(Utterance::Discover);
    }
    if let Some(rest) = said.after_any(&["open", "start", "launch"])
        && rest.one_of(&["music assistant"])
    {
        return Ok(Utterance::Launch);
    }
    if let Some(request) = said.after_any(&["ask music assistant", "tell music assistant", "use music assistant"]) {
        let request = request.after_any(&["to", "for"]).unwrap_or(request);
        return custom(request, players).ok_or_else(|| {
            not_understood(format!("Music Assistant can be asked to play something, not “{}”.", request.typed()))
        });
    }
    if let Some(heard) = smart_home(said)? {
        return Ok(heard);
    }
    custom(said, players).ok_or_else(|| means_nothing("en-US", &said.typed()))
}

fn not_understood(why: String) -> NotUnderstood {
    NotUnderstood { why, hints: Hints::of("en-US") }
}

fn means_nothing(locale: &str, said: &str) -> NotUnderstood {
    let hints = Hints::of(locale);
    NotUnderstood { why: hints.means_nothing.replace("{}", said), hints }
}

/// Why there are no devices for who has not linked an account, and what to say instead.
#[must_use]
pub fn not_linked(locale: &str) -> &'static str {
    Hints::of(locale).not_linked
}

/// What is said to whom Alexa does not understand.
#[derive(Debug, PartialEq, Eq)]
struct Hints {
    language: &'static str,
    means_nothing: &'static str,
    no_device: &'static str,
    devices: &'static str,
    not_linked: &'static str,
    instead: &'static str,
    suggestions: [&'static str; 4],
}

impl Hints {
    fn of(locale: &str) -> &'static Self {
        HINTS.iter().find(|hints| locale.starts_with(hints.language)).unwrap_or(&HINTS[0])
    }
}

static HINTS: [Hints; 6] = [
    Hints {
        language: "en",
        means_nothing: "“{}” means nothing to Alexa here.",
        no_device: "Alexa knows no device called “{}”.",
        devices: "She knows: {}.",
        not_linked: "Nobody has linked an account here, so Alexa knows no devices. Try “open Music Assistant”.",
        instead: "Try",
        suggestions: [
            "set kitchen volume to 30",
            "pause the kitchen",
            "ask Music Assistant to play Kind of Blue in the kitchen",
            "what's playing in the living room",
        ],
    },
    Hints {
        language: "de",
        means_nothing: "Mit „{}“ kann Alexa hier nichts anfangen.",
        no_device: "Alexa kennt kein Gerät namens „{}“.",
        devices: "Sie kennt: {}.",
        not_linked: "Hier hat niemand ein Konto verknüpft, also kennt Alexa keine Geräte. Versuche: „öffne Music Assistant“.",
        instead: "Versuche:",
        suggestions: [
            "spiele Kind of Blue in der Kitchen",
            "pausiere die Kitchen",
            "stelle die Kitchen auf 35 Prozent",
            "was läuft",
        ],
    },
    Hints {
        language: "fr",
        means_nothing: "Alexa ne comprend pas « {} » ici.",
        no_device: "Alexa ne connaît aucun appareil nommé « {} ».",
        devices: "Elle connaît : {}.",
        not_linked: "Personne n'a associé de compte ici, Alexa ne connaît donc aucun appareil. Essayez : « ouvre Music Assistant ».",
        instead: "Essayez :",
        suggestions: [
            "joue Homogenic dans la Kitchen",
            "mets la Kitchen en pause",
            "règle la Kitchen sur 40 pour cent",
            "qu'est-ce qui passe",
        ],
    },
    Hints {
        language: "es",
        means_nothing: "Alexa no entiende «{}» aquí.",
        no_device: "Alexa no conoce ningún dispositivo llamado «{}».",
        devices: "Conoce: {}.",
        not_linked: "Aquí nadie ha vinculado una cuenta, así que Alexa no conoce ningún dispositivo. Prueba con: «abre Music Assistant».",
        instead: "Prueba con:",
        suggestions: [
            "pon Kind of Blue en la Kitchen",
            "pausa la Kitchen",
            "pon el volumen de la Kitchen al 45",
            "qué suena",
        ],
    },
    Hints {
        language: "it",
        means_nothing: "Alexa qui non capisce «{}».",
        no_device: "Alexa non conosce nessun dispositivo chiamato «{}».",
        devices: "Conosce: {}.",
        not_linked: "Qui nessuno ha collegato un account, quindi Alexa non conosce nessun dispositivo. Prova con: «apri Music Assistant».",
        instead: "Prova con:",
        suggestions: [
            "metti Homogenic in Kitchen",
            "metti in pausa Kitchen",
            "imposta il volume di Kitchen a 50",
            "cosa sta suonando",
        ],
    },
    Hints {
        language: "nl",
        means_nothing: "Alexa kan hier niets met ‘{}’.",
        no_device: "Alexa kent geen apparaat met de naam ‘{}’.",
        devices: "Ze kent: {}.",
        not_linked: "Niemand heeft hier een account gekoppeld, dus Alexa kent geen apparaten. Probeer: ‘open Music Assistant’.",
        instead: "Probeer:",
        suggestions: [
            "speel Kind of Blue in de Kitchen",
            "pauzeer de Kitchen",
            "zet de Kitchen op 55",
            "wat speelt er",
        ],
    },
];

fn strip_politeness(said: Said<'_>) -> Said<'_> {
    let said = said.after_any(&["hey alexa", "alexa"]).unwrap_or(said);
    let said = said.after_any(&["please", "can you", "could you", "bitte"]).unwrap_or(said);
    let please = ["please", "bitte", "s'il te plaît", "por favor", "per favore", "alsjeblieft"];
    please.iter().find_map(|please| said.before(please)).unwrap_or(said)
}

// By the interaction models.

/// Reads a sentence as someone would say it in the language of `locale`.
///
/// # Errors
/// As [`parse`].
pub fn parse_in(locale: &str, text: &str, players: &[&str]) -> Result<Utterance, NotUnderstood> {
    if !locale.starts_with("en-") {
        return elsewhere(locale, text, players);
    }
    let heard = set_device(text, players).map_or_else(|| parse_for(text, players), Ok);
    // A device that Alexa knows is hers, whatever else the words could be.
    if let Ok(Utterance::SmartHome { player, .. }) = &heard
        && players.iter().any(|known| known.eq_ignore_ascii_case(player))
    {
        return heard;
    }
    match by_model(locale, text) {
        // What the grammar above does not know.
        Some(Utterance::Custom { intent, slots })
            if !KNOWN_TO_THE_GRAMMAR.contains(&intent) || slots.iter().any(|(slot, _)| *slot == "all") =>
        {
            Ok(Utterance::Custom { intent, slots })
        }
        other => match heard {
            // Alexa knows devices by name. Which one is used here, or all of them, the skill knows.
            Ok(Utterance::SmartHome { player, .. }) if is_no_name(&player) => {
                other.ok_or_else(|| not_understood(format!("Alexa knows no device called “{player}”.")))
            }
            heard => heard.or_else(|error| other.ok_or(error)),
        },
    }
}

/// "Set the kitchen to 30 percent", of a device that Alexa knows.
fn set_device(text: &str, players: &[&str]) -> Option<Utterance> {
    let words = words(text);
    let said = strip_politeness(Said { words: &words });
    let (what, level) = said.after_any(SETTING)?.split_last(&["to"])?;
    let (level, rest) = level.number().filter(|(level, _)| *level <= 100)?;
    let player = what.name().filter(|name| players.iter().any(|known| known.eq_ignore_ascii_case(name)))?;
    let is_all = rest.words.is_empty() || rest.one_of(&["percent", "%"]);
    is_all.then(|| device("Alexa.Speaker", "SetVolume", json!({"volume": level}), player))
}

/// In another language. A device that Alexa knows is hers, without the invocation name; of what she does not know, the skill has the
/// first say.
fn elsewhere(locale: &str, text: &str, players: &[&str]) -> Result<Utterance, NotUnderstood> {
    let words = words(text);
    let said = strip_politeness(Said { words: &words });
    match devices::heard(locale, said, players) {
        Some(heard) if heard.is_known => Ok(heard.meant),
        about_a_device => {
            let heard = by_model(locale, text).or_else(|| about_a_device.map(|heard| heard.meant));
            heard.ok_or_else(|| means_nothing(locale, &said.typed()))
        }
    }
}

fn is_no_name(player: &str) -> bool {
    package::means_it(player) || package::means_all(player)
}

/// The sentence of the model that has most of the words itself.
fn by_model(locale: &str, text: &str) -> Option<Utterance> {
    let words = words(text);
    let said = strip_politeness(Said { words: &words });
    let asked = match said.split_after("music assistant") {
        Some((_, rest)) if rest.words.is_empty() => return Some(Utterance::Launch),
        Some((_, rest)) => rest,
        None => said,
    };
    let asked = asked.after("to").unwrap_or(asked);
    if let Some((_, intent)) = SHORT_ANSWERS.iter().find(|(answers, _)| asked.one_of(answers)) {
        return Some(Utterance::Custom { intent, slots: Vec::new() });
    }
    let sentences = package::sentences(locale);
    let heard = sentences.iter().filter_map(|(intent, sentence)| {
        let sentence: Vec<&str> = sentence.split(' ').collect();
        let slots = fill(&sentence, asked)?;
        // A sentence that is all slot would fit anything. The words for all players are as fixed as the sentence's own.
        let all: usize =
            slots.iter().filter(|(slot, _)| *slot == "all").map(|(_, words)| words.split(' ').count()).sum();
        let literal = sentence.len() - slots.len() + all;
        (literal > 0).then_some((literal, std::cmp::Reverse(slots.len()), *intent, slots))
    });
    let (_, _, intent, slots) = heard.max_by_key(|(literal, slots, ..)| (*literal, *slots))?;
    Some(Utterance::Custom { intent, slots })
}

/// What stands in the slots of `sentence` if `said` is one like it. The first slots take as much as they can, but for what may be
/// words for all players.
fn fill(sentence: &[&str], said: Said<'_>) -> Option<Vec<(&'static str, String)>> {
    let Some((first, rest)) = sentence.split_first() else { return said.words.is_empty().then(Vec::new) };
    let Some(slot) = package::slots(first).next() else { return fill(rest, said.after(first)?) };
    let slot = SLOTS.into_iter().find(|known| *known == slot)?;
    let taking = |taken| {
        let (value, after) = said.words.split_at(taken);
        let value = slot_value(slot, Said { words: value })?;
        let mut slots = vec![(slot, value)];
        slots.extend(fill(rest, Said { words: after })?);
        Some(slots)
    };
    let mut lengths = 1..=said.words.len();
    if rest.first() == Some(&"{all}") { lengths.find_map(taking) } else { lengths.rev().find_map(taking) }
}

/// Alexa gives numbers in digits and times as ISO 8601 has them.
fn slot_value(slot: &str, said: Said<'_>) -> Option<String> {
    match package::slot_type(slot) {
        "AMAZON.NUMBER" => {
            said.number().filter(|(_, rest)| rest.words.is_empty()).map(|(number, _)| number.to_string())
        }
        "AMAZON.DURATION" => duration(said),
        "ALL_PLAYERS" => Some(said.typed()).filter(|typed| package::means_all(typed)),
        _ => Some(said.typed()),
    }
}

/// "2 minutes and 30 seconds".
fn duration(said: Said<'_>) -> Option<String> {
    let (mut rest, mut time) = (said, "PT".to_owned());
    while !rest.words.is_empty() {
        let (number, after) = rest.after_any(&["and", "und", "et", "y", "e", "en"]).unwrap_or(rest).number()?;
        let (unit, after) = after.words.split_first()?;
        let (_, letter) = UNITS.iter().find(|(starts, _)| starts.iter().any(|start| unit.plain.starts_with(start)))?;
        time.push_str(&format!("{number}{letter}"));
        rest = Said { words: after };
    }
    (time.len() > 2).then_some(time)
}

const UNITS: [(&[&str], char); 3] =
    [(&["hour", "stunde", "heure", "hora", "or", "uur"], 'H'), (&["min"], 'M'), (&["sec", "sek", "seg"], 'S')];

const SLOTS: [&str; 11] =
    ["media", "artist", "player", "other", "home", "genre", "mediaType", "level", "time", "query", "all"];

/// What the models leave to Alexa.
const SHORT_ANSWERS: [(&[&str], &str); 6] = [
    (&["shuffle on", "turn shuffle on", "turn on shuffle"], "AMAZON.ShuffleOnIntent"),
    (&["shuffle off", "turn shuffle off", "turn off shuffle"], "AMAZON.ShuffleOffIntent"),
    (&["yes", "ja", "oui", "sí", "si", "sì"], "AMAZON.YesIntent"),
    (&["no", "nein", "non", "nee"], "AMAZON.NoIntent"),
    (&["help", "hilfe", "aide", "ayuda", "aiuto", "hulp"], "AMAZON.HelpIntent"),
    (&["stop", "stopp", "arrête", "para", "basta"], "AMAZON.StopIntent"),
];

const KNOWN_TO_THE_GRAMMAR: [&str; 13] = [
    "PlayMediaIntent",
    "WhatsPlayingIntent",
    "PausePlayerIntent",
    "ResumePlayerIntent",
    "StopPlayerIntent",
    "SkipPlayerIntent",
    "SetVolumeIntent",
    "VolumeUpIntent",
    "VolumeDownIntent",
    "MuteIntent",
    "UnmuteIntent",
    "AMAZON.StopIntent",
    "AMAZON.HelpIntent",
];

// Smart home.

fn smart_home(said: Said<'_>) -> Result<Option<Utterance>, NotUnderstood> {
    if let Some(heard) = set_volume(said)? {
        return Ok(Some(heard));
    }
    Ok(adjust_volume(said).or_else(|| mute(said)).or_else(|| power(said)).or_else(|| playback(said)))
}

const SETTING: &[&str] = &["set", "change", "put", "turn"];

fn device(namespace: &'static str, name: &'static str, payload: Value, player: String) -> Utterance {
    Utterance::SmartHome { namespace, name, payload, player }
}

/// "set kitchen volume to 30", "set the volume in the kitchen to 30", "volume 30 in the kitchen".
fn set_volume(said: Said<'_>) -> Result<Option<Utterance>, NotUnderstood> {
    let plain = said.after_any(SETTING).unwrap_or(said);
    let forms = plain.split_last(&["to"]).or_else(|| plain.split_after_last("volume"));
    let Some((what, level)) = forms else { return Ok(None) };
    let Some((level, rest)) = level.number() else { return Ok(None) };
    let rest = rest.after_any(&["percent", "%"]).unwrap_or(rest);
    let player = match rest.after_any(PLACES) {
        Some(place) if what.one_of(&["volume", "the volume"]) => place.name(),
        _ if rest.words.is_empty() => what.whose_volume(),
        _ => None,
    };
    let Some(player) = player else { return Ok(None) };
    if level > 100 {
        return Err(not_understood("The volume goes from 0 to 100.".to_owned()));
    }
    Ok(Some(device("Alexa.Speaker", "SetVolume", json!({"volume": level}), player)))
}

/// "turn up the kitchen", "turn the volume down in the kitchen by 20", "make the kitchen louder".
fn adjust_volume(said: Said<'_>) -> Option<Utterance> {
    let (said, amount) = match said.split_last(&["by"]) {
        Some((said, amount)) => (said, Some(amount.number()?.0)),
        None => (said, None),
    };
    let (up, what) = louder(said)?;
    let player = what.whose_volume().or_else(|| what.after_any(PLACES)?.name()).or_else(|| what.name())?;
    let change = i32::from(amount.unwrap_or(10).min(100)) * if up { 1 } else { -1 };
    let payload = json!({"volume": change, "volumeDefault": amount.is_none()});
    Some(device("Alexa.Speaker", "AdjustVolume", payload, player))
}

/// Whether it should be louder, and what.
fn louder(said: Said<'_>) -> Option<(bool, Said<'_>)> {
    for (up, verbs, word, feel) in [
        (
            true,
            &["turn up", "raise", "increase", "turn the volume up", "turn up the volume", "volume up"][..],
            "up",
            "louder",
        ),
        (
            false,
            &[
                "turn down",
                "lower",
                "decrease",
                "reduce",
                "turn the volume down",
                "turn down the volume",
                "volume down",
            ][..],
            "down",
            "quieter",
        ),
    ] {
        // The longest form first, or "turn up the volume in …" would look for a device "the volume in …".
        let longest = verbs.iter().filter_map(|verb| said.after(verb)).min_by_key(|rest| rest.words.len());
        let around = || said.after("turn")?.before(word);
        let made = || said.after("make")?.before(feel);
        if let Some(what) = longest.or_else(around).or_else(made).or_else(|| said.before(&format!("volume {word}"))) {
            return Some((up, what));
        }
    }
    None
}

fn mute(said: Said<'_>) -> Option<Utterance> {
    for (verb, mute) in [("mute", true), ("unmute", false)] {
        if let Some(player) = said.after(verb).and_then(Said::name) {
            return Some(device("Alexa.Speaker", "SetMute", json!({"mute": mute}), player));
        }
    }
    None
}

/// "turn off the bedroom", "switch the bedroom on".
fn power(said: Said<'_>) -> Option<Utterance> {
    let rest = said.after_any(&["turn", "switch"])?;
    for (word, name) in [("on", "TurnOn"), ("off", "TurnOff")] {
        if let Some(player) = rest.after(word).or_else(|| rest.before(word)).and_then(Said::name) {
            return Some(device("Alexa.PowerController", name, json!({}), player));
        }
    }
    None
}

/// "pause the kitchen", "next song in the kitchen", "play on the kitchen". Bare "play …" is about music, not a device.
fn playback(said: Said<'_>) -> Option<Utterance> {
    for (verbs, name, takes_name) in [
        (&["pause"][..], "Pause", true),
        (&["stop"][..], "Stop", true),
        (&["resume", "continue", "unpause"][..], "Play", true),
        (&["play"][..], "Play", false),
        (&["next", "skip"][..], "Next", false),
        (&["previous", "go back"][..], "Previous", false),
    ] {
        let Some(rest) = said.after_any(verbs) else { continue };
        let rest = rest
            .after_any(&["the music", "music", "track", "song", "the track", "the song", "it", "one"])
            .unwrap_or(rest);
        let player = match rest.after_any(PLACES) {
            Some(place) => place.name(),
            None if takes_name => rest.name(),
            None => None,
        };
        if let Some(player) = player {
            return Some(device("Alexa.PlaybackController", name, json!({}), player));
        }
    }
    None
}

// The custom skill.

fn custom(said: Said<'_>, players: &[&str]) -> Option<Utterance> {
    let intent = |intent| Some(Utterance::Custom { intent, slots: Vec::new() });
    if let Some(rest) = said.after("play").filter(|rest| !rest.words.is_empty()) {
        return Some(play(rest, players));
    }
    for asked in
        ["what's playing", "what is playing", "whats playing", "what song is this", "what is this", "what's on"]
    {
        if let Some(rest) = said.after(asked) {
            return whats_playing(rest);
        }
    }
    match said {
        _ if said.one_of(&["help", "what can you do"]) => intent("AMAZON.HelpIntent"),
        _ if said.one_of(&["pause", "pause the music", "pause music"]) => intent("AMAZON.PauseIntent"),
        _ if said.one_of(&["stop", "cancel", "exit"]) => intent("AMAZON.StopIntent"),
        _ if said.one_of(&["resume", "continue", "go on", "play"]) => intent("AMAZON.ResumeIntent"),
        _ if said.one_of(&["next", "skip", "next song", "next track", "skip this song"]) => intent("AMAZON.NextIntent"),
        _ if said.one_of(&["previous", "go back", "previous song", "previous track"]) => {
            intent("AMAZON.PreviousIntent")
        }
        _ => None,
    }
}

fn whats_playing(rest: Said<'_>) -> Option<Utterance> {
    let rest = rest.before("now").or_else(|| rest.before("right now")).unwrap_or(rest);
    let place = rest.after_any(PLACES).and_then(Said::name);
    if place.is_none() && !rest.words.is_empty() {
        return None;
    }
    let slots = place.into_iter().map(|player| ("player", player)).collect();
    Some(Utterance::Custom { intent: "WhatsPlayingIntent", slots })
}

/// "\[the album\] X \[by Y\] \[in the Z\]".
fn play(said: Said<'_>, players: &[&str]) -> Utterance {
    let (what, player) = room(said, players);
    let (what, artist) = match what.split_last(&["by"]) {
        Some((what, artist)) if !artist.one_of(&["me", "you"]) => (what, Some(artist.typed())),
        _ => (what, None),
    };
    let (kind, media) = media_kind(what);
    let anything = media.one_of(&["something", "some music", "music", "some songs", "songs", "anything", "tracks"]);
    let named = !media.words.is_empty() && (!anything || artist.is_none());
    let media = named.then(|| media.typed());
    let slots = [("media", media), ("artist", artist), ("player", player), ("mediaType", kind.map(str::to_owned))];
    let slots = slots.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    Utterance::Custom { intent: "PlayMediaIntent", slots }
}

/// "the album Kind of Blue": the kind and the rest. A kind alone ("play radio") is a name.
fn media_kind(said: Said<'_>) -> (Option<&'static str>, Said<'_>) {
    let plain = said.after("the").unwrap_or(said);
    for (word, kind) in [
        ("album", "album"),
        ("record", "album"),
        ("song", "song"),
        ("track", "song"),
        ("artist", "artist"),
        ("band", "artist"),
        ("playlist", "playlist"),
        ("radio station", "radio station"),
        ("station", "radio station"),
    ] {
        if let Some(rest) = plain.after(word).filter(|rest| !rest.words.is_empty()) {
            return (Some(kind), rest);
        }
    }
    (None, said)
}

/// Cuts "in the kitchen" off the end, if it is a place: a known player, a word for a room, or anything with "the" before it.
fn room<'a>(said: Said<'a>, players: &[&str]) -> (Said<'a>, Option<String>) {
    let Some((what, place)) = said.split_last(PLACES).filter(|(what, _)| !what.words.is_empty()) else {
        return (said, None);
    };
    let name = place.name();
    let known = name.as_ref().is_some_and(|name| players.iter().any(|player| player.eq_ignore_ascii_case(name)));
    let sounds_like_one =
        place.after("the").is_some() || place.words.iter().any(|word| ROOMS.contains(&word.plain.as_str()));
    match name {
        Some(name) if known || sounds_like_one => (what, Some(name)),
        _ => (said, None),
    }
}

const PLACES: &[&str] = &["in", "on", "of", "at"];

const ROOMS: &[&str] = &[
    "kitchen",
    "bedroom",
    "bathroom",
    "living",
    "dining",
    "office",
    "study",
    "garden",
    "hall",
    "hallway",
    "garage",
    "terrace",
    "balcony",
    "nursery",
    "attic",
    "basement",
    "cellar",
    "everywhere",
    "downstairs",
    "upstairs",
    "room",
];

// Words.

#[derive(Debug, Clone)]
struct Word {
    plain: String,
    typed: String,
}

/// The words of a text without the punctuation around them. Typographic apostrophes become plain ones for matching.
fn words(text: &str) -> Vec<Word> {
    text.split_whitespace()
        .map(|word| word.trim_matches(|c: char| matches!(c, ',' | '.' | '!' | '?' | ';' | ':' | '"' | '“' | '”')))
        .filter(|word| !word.is_empty())
        .map(|typed| Word { plain: typed.to_lowercase().replace('’', "'"), typed: typed.to_owned() })
        .collect()
}

/// A run of words.
#[derive(Debug, Clone, Copy)]
struct Said<'a> {
    words: &'a [Word],
}

impl<'a> Said<'a> {
    fn typed(self) -> String {
        self.words.iter().map(|word| word.typed.as_str()).collect::<Vec<_>>().join(" ")
    }

    fn is(self, phrase: &str) -> bool {
        self.words.iter().map(|word| word.plain.as_str()).eq(phrase.split(' '))
    }

    fn one_of(self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.is(phrase))
    }

    /// What follows a phrase at the beginning.
    fn after(self, phrase: &str) -> Option<Self> {
        let length = phrase.split(' ').count();
        let (start, rest) = self.words.split_at_checked(length)?;
        Said { words: start }.is(phrase).then_some(Said { words: rest })
    }

    fn after_any(self, phrases: &[&str]) -> Option<Self> {
        phrases.iter().find_map(|phrase| self.after(phrase))
    }

    /// What stands before a phrase at the end.
    fn before(self, phrase: &str) -> Option<Self> {
        let start = self.words.len().checked_sub(phrase.split(' ').count())?;
        let (rest, end) = self.words.split_at(start);
        Said { words: end }.is(phrase).then_some(Said { words: rest })
    }

    /// Behind the first such phrase, which stays with the first part.
    fn split_after(self, phrase: &str) -> Option<(Self, Self)> {
        let place = (0..self.words.len()).find(|at| Said { words: &self.words[*at..] }.after(phrase).is_some())?;
        let (first, rest) = self.words.split_at(place + phrase.split(' ').count());
        Some((Said { words: first }, Said { words: rest }))
    }

    /// Around the last of these words.
    fn split_last(self, separators: &[&str]) -> Option<(Self, Self)> {
        let place = self.words.iter().rposition(|word| separators.contains(&word.plain.as_str()))?;
        Some((Said { words: &self.words[..place] }, Said { words: &self.words[place + 1..] }))
    }

    /// Behind the last such word, which stays with the first part.
    fn split_after_last(self, word: &str) -> Option<(Self, Self)> {
        let place = self.words.iter().rposition(|found| found.plain == word)?;
        let (first, rest) = self.words.split_at(place + 1);
        Some((Said { words: first }, Said { words: rest }))
    }

    /// A device's name: without "the" in front and "speaker" behind.
    fn name(self) -> Option<String> {
        let name = self.after_any(&["the", "my"]).unwrap_or(self);
        let name = name
            .before("speaker")
            .or_else(|| name.before("player"))
            .filter(|name| !name.words.is_empty())
            .unwrap_or(name);
        (!name.words.is_empty()).then(|| name.typed())
    }

    /// The device of "the volume of the kitchen", "kitchen volume", "the kitchen's volume".
    fn whose_volume(self) -> Option<String> {
        let plain = self.after("the").unwrap_or(self);
        if let Some(rest) = plain.after("volume") {
            return rest.after_any(PLACES)?.name();
        }
        let name = plain.before("volume")?.name()?;
        Some(name.strip_suffix("'s").or_else(|| name.strip_suffix("’s")).unwrap_or(&name).to_owned())
    }

    /// A number at the beginning, in digits or words, and what follows it.
    fn number(self) -> Option<(u16, Self)> {
        let (first, rest) = self.words.split_first()?;
        let rest = Said { words: rest };
        let digits = first.plain.trim_end_matches('%');
        if let Ok(number) = digits.parse() {
            return Some((number, rest));
        }
        let (tens, ones) = digits.split_once('-').unwrap_or((digits, ""));
        let number = number_word(tens)?;
        if !ones.is_empty() {
            return Some((number + number_word(ones)?, rest));
        }
        let following =
            rest.words.first().and_then(|word| number_word(&word.plain)).filter(|ones| (1..10).contains(ones));
        match following.filter(|_| (20..100).contains(&number)) {
            Some(ones) => Some((number + ones, Said { words: &rest.words[1..] })),
            None => Some((number, rest)),
        }
    }
}

fn number_word(word: &str) -> Option<u16> {
    const ONES: [&str; 20] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const TENS: [&str; 9] = ["ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    let place =
        |list: &[&str]| list.iter().position(|known| *known == word).and_then(|place| u16::try_from(place).ok());
    match word {
        "hundred" | "maximum" | "max" => Some(100),
        "half" => Some(50),
        _ => place(&ONES).or_else(|| place(&TENS).map(|tens| (tens + 1) * 10)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smart(text: &str) -> (String, String, Value) {
        match parse(text) {
            Ok(Utterance::SmartHome { name, payload, player, .. }) => (name.to_owned(), player, payload),
            other => panic!("{text}: {other:?}"),
        }
    }

    fn asked(text: &str) -> (&'static str, Vec<(&'static str, String)>) {
        match parse(text) {
            Ok(Utterance::Custom { intent, slots }) => (intent, slots),
            other => panic!("{text}: {other:?}"),
        }
    }

    fn slots(text: &str) -> String {
        let (intent, slots) = asked(text);
        assert_eq!(intent, "PlayMediaIntent", "{text}");
        slots.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn volumes_are_set_however_one_puts_it() {
        for text in [
            "set kitchen volume to 30",
            "Alexa, set the kitchen volume to thirty percent.",
            "set the volume of the kitchen to 30%",
            "set the volume in the kitchen to 30",
            "set the volume to 30 in the kitchen",
            "set the kitchen's volume to 30 please",
            "volume 30 in the kitchen",
            "kitchen volume 30",
        ] {
            let (name, player, payload) = smart(text);
            assert_eq!((name.as_str(), player.to_lowercase().as_str()), ("SetVolume", "kitchen"), "{text}");
            assert_eq!(payload, json!({"volume": 30}), "{text}");
        }
        assert_eq!(smart("set living room volume to twenty five").2, json!({"volume": 25}));
        assert!(parse("set kitchen volume to 130").unwrap_err().to_string().contains("0 to 100"));
    }

    #[test]
    fn volumes_go_up_and_down_by_what_was_said_or_by_ten() {
        for (text, player, volume, default) in [
            ("turn up the kitchen", "kitchen", 10, true),
            ("turn down the living room by 20", "living room", -20, false),
            ("turn the kitchen up", "kitchen", 10, true),
            ("turn the volume down in the bedroom", "bedroom", -10, true),
            ("turn up the volume on kitchen by five", "kitchen", 5, false),
            ("lower the bedroom volume by 15 percent", "bedroom", -15, false),
            ("make the kitchen louder", "kitchen", 10, true),
            ("kitchen volume down", "kitchen", -10, true),
        ] {
            let (name, heard, payload) = smart(text);
            assert_eq!((name.as_str(), heard.as_str()), ("AdjustVolume", player), "{text}");
            assert_eq!(payload, json!({"volume": volume, "volumeDefault": default}), "{text}");
        }
    }

    #[test]
    fn devices_are_muted_switched_and_steered() {
        for (text, name, player) in [
            ("mute the living room", "SetMute", "living room"),
            ("unmute bedroom", "SetMute", "bedroom"),
            ("turn off bedroom", "TurnOff", "bedroom"),
            ("switch the Bedroom speaker on", "TurnOn", "Bedroom"),
            ("pause the kitchen", "Pause", "kitchen"),
            ("stop the music in the kitchen", "Stop", "kitchen"),
            ("resume the kitchen", "Play", "kitchen"),
            ("play on the kitchen", "Play", "kitchen"),
            ("next song in the living room", "Next", "living room"),
            ("skip on the kitchen", "Next", "kitchen"),
            ("Alexa, previous track on kitchen", "Previous", "kitchen"),
        ] {
            let (heard, device, _) = smart(text);
            assert_eq!((heard.as_str(), device.as_str()), (name, player), "{text}");
        }
        assert_eq!(smart("unmute bedroom").2, json!({"mute": false}));
    }

    #[test]
    fn music_is_asked_for_with_and_without_the_invocation_name() {
        for (text, expected) in [
            ("alexa, ask music assistant to play kind of blue in the kitchen", "media=kind of blue; player=kitchen"),
            ("play Kind of Blue in the kitchen", "media=Kind of Blue; player=kitchen"),
            (
                "play Kind of Blue by Miles Davis on the living room",
                "media=Kind of Blue; artist=Miles Davis; player=living room",
            ),
            ("play Hyperballad by Björk", "media=Hyperballad; artist=Björk"),
            ("play back in black", "media=back in black"),
            ("play back in black in the kitchen", "media=back in black; player=kitchen"),
            ("play stand by me", "media=stand by me"),
            ("play something by Nina Simone in the bedroom", "artist=Nina Simone; player=bedroom"),
            ("play the album Post by Björk", "media=Post; artist=Björk; mediaType=album"),
            ("play the playlist Dinner Jazz in kitchen", "media=Dinner Jazz; player=kitchen; mediaType=playlist"),
            ("play some jazz", "media=some jazz"),
        ] {
            assert_eq!(slots(text), expected, "{text}");
        }
    }

    #[test]
    fn knowing_the_players_settles_what_is_a_place() {
        let Ok(Utterance::Custom { slots, .. }) = parse_for("play Joga on Boombox", &["Boombox"]) else { panic!() };
        assert_eq!(slots, [("media", "Joga".to_owned()), ("player", "Boombox".to_owned())]);
        assert_eq!(self::slots("play Joga on Boombox"), "media=Joga on Boombox");
    }

    #[test]
    fn the_other_intents() {
        assert_eq!(
            asked("what's playing in the living room"),
            ("WhatsPlayingIntent", vec![("player", "living room".to_owned())])
        );
        assert_eq!(asked("ask music assistant what’s playing"), ("WhatsPlayingIntent", vec![]));
        assert_eq!(asked("ask music assistant to pause").0, "AMAZON.PauseIntent");
        assert_eq!(asked("ask music assistant for help").0, "AMAZON.HelpIntent");
        assert_eq!(asked("tell Music Assistant to skip").0, "AMAZON.NextIntent");
        assert_eq!(parse("open Music Assistant"), Ok(Utterance::Launch));
        assert_eq!(parse("Alexa, discover my devices"), Ok(Utterance::Discover));
    }

    #[test]
    fn other_languages_are_read_by_their_sentences() {
        for (locale, text, intent, slots) in [
            (
                "de-DE",
                "Alexa, sage Music Assistant spiele Kind of Blue in der Küche",
                "PlayMediaIntent",
                "media=Kind of Blue; player=Küche",
            ),
            ("de-DE", "stoppe in 20 Minuten", "SleepTimerIntent", "time=PT20M"),
            ("de-DE", "springe 30 Sekunden vor", "SeekForwardIntent", "time=PT30S"),
            (
                "fr-FR",
                "demande à music assistant de jouer La Mer dans la cuisine",
                "PlayMediaIntent",
                "media=La Mer; player=cuisine",
            ),
            ("es-ES", "pasa la música a la cocina", "MovePlayerIntent", "other=cocina"),
            ("it-IT", "metti un po' di jazz in cucina", "PlayGenreIntent", "genre=jazz; player=cucina"),
            ("nl-NL", "wat speelt er in de keuken?", "WhatsPlayingIntent", "player=keuken"),
            ("nl-NL", "ja", "AMAZON.YesIntent", ""),
            ("en-US", "stop in 1 hour and 30 minutes", "SleepTimerIntent", "time=PT1H30M"),
            ("en-US", "ask music assistant to move the music to the kitchen", "MovePlayerIntent", "other=kitchen"),
            (
                "en-US",
                "play the kitchen together with the bathroom",
                "JoinPlayersIntent",
                "player=kitchen; other=bathroom",
            ),
            ("en-US", "save this song", "SaveCurrentIntent", ""),
            ("en-US", "play Kind of Blue by Miles Davis", "PlayMediaIntent", "media=Kind of Blue; artist=Miles Davis"),
        ] {
            let Ok(Utterance::Custom { intent: heard, slots: filled }) = parse_in(locale, text, &[]) else {
                panic!("{text}")
            };
            let filled: Vec<String> = filled.iter().map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!((heard, filled.join("; ").as_str()), (intent, slots), "{text}");
        }
        assert_eq!(parse_in("de-DE", "Alexa, öffne Music Assistant", &[]), Ok(Utterance::Launch));
        assert!(parse_in("de-DE", "mach mir ein Brot mit Käse", &[]).is_err());
        // What the grammar knows better.
        assert!(matches!(parse_in("en-US", "set kitchen volume to 30", &[]), Ok(Utterance::SmartHome { .. })));
    }

    #[test]
    fn what_is_not_understood_comes_back_with_suggestions() {
        for text in [
            "",
            "alexa",
            "make me a sandwich",
            "ask music assistant to dance",
            "set volume",
            "by",
            "turn",
            "pause pause by",
        ] {
            match parse(text) {
                Err(error) => assert!(error.to_string().contains("set kitchen volume to 30"), "{text}: {error}"),
                Ok(heard) => assert!(text == "pause pause by", "{text}: {heard:?}"),
            }
        }
    }

    #[test]
    fn it_and_everything_are_no_devices_of_alexas() {
        for (locale, text, intent, slots) in [
            ("en-US", "turn it down", "VolumeDownIntent", ""),
            ("en-US", "turn it off", "StopPlayerIntent", ""),
            ("en-US", "pause it", "PausePlayerIntent", ""),
            ("en-US", "mute it", "MuteIntent", ""),
            ("en-US", "pause everything", "PausePlayerIntent", "all=everything"),
            ("en-US", "stop everywhere", "StopPlayerIntent", "all=everywhere"),
            ("en-US", "turn everything off", "StopPlayerIntent", "all=everything"),
            ("en-US", "turn it up everywhere", "VolumeUpIntent", "all=everywhere"),
            ("en-US", "set the volume everywhere to 20", "SetVolumeIntent", "all=everywhere; level=20"),
            ("en-GB", "play Homogenic everywhere", "PlayMediaIntent", "media=Homogenic; all=everywhere"),
            (
                "en-US",
                "play Homogenic in the whole house",
                "PlayMediaIntent",
                "media=Homogenic; all=in the whole house",
            ),
            ("de-DE", "spiele Homogenic überall", "PlayMediaIntent", "media=Homogenic; all=überall"),
            ("de-DE", "pausiere alles", "PausePlayerIntent", "all=alles"),
            ("de-DE", "mach es aus", "StopPlayerIntent", ""),
            ("fr-FR", "joue Homogenic partout", "PlayMediaIntent", "media=Homogenic; all=partout"),
            ("fr-FR", "arrête tout", "StopPlayerIntent", "all=tout"),
            ("es-ES", "pon Homogenic en todas partes", "PlayMediaIntent", "media=Homogenic; all=en todas partes"),
            ("es-ES", "apaga todo", "StopPlayerIntent", "all=todo"),
            ("es-ES", "bájalo", "VolumeDownIntent", ""),
            ("it-IT", "metti Homogenic dappertutto", "PlayMediaIntent", "media=Homogenic; all=dappertutto"),
            ("it-IT", "spegni tutto", "StopPlayerIntent", "all=tutto"),
            ("nl-NL", "speel Homogenic overal", "PlayMediaIntent", "media=Homogenic; all=overal"),
            ("nl-NL", "zet het uit", "StopPlayerIntent", ""),
        ] {
            let heard = parse_in(locale, text, &["Kitchen"]);
            let Ok(Utterance::Custom { intent: heard, slots: filled }) = heard else { panic!("{text}: {heard:?}") };
            let filled: Vec<String> = filled.iter().map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!((heard, filled.join("; ").as_str()), (intent, slots), "{text}");
        }
    }

    /// Whatever the suggestions promise must work.
    #[test]
    fn the_suggestions_are_understood() {
        for suggestion in not_understood(String::new()).suggestions() {
            assert!(parse(suggestion).is_ok(), "{suggestion}");
        }
        for locale in ["de-DE", "fr-FR", "es-ES", "it-IT", "nl-NL"] {
            let why = parse_in(locale, "zzyzx", &[]).unwrap_err();
            let english = parse_in("en-US", "zzyzx", &[]).unwrap_err();
            assert!(why.suggestions() != english.suggestions() && !why.to_string().contains(locale), "{why}");
            assert_eq!(why.to_string().matches("Try").count(), 0, "{why}");
            for suggestion in why.suggestions() {
                assert!(parse_in(locale, suggestion, &["Kitchen"]).is_ok(), "{locale}: {suggestion}");
            }
            let (_, open) = not_linked(locale).rsplit_once(['„', '«', '‘']).expect("it quotes what to say");
            let open = open.trim_matches(|c: char| !c.is_alphabetic());
            assert_eq!(parse_in(locale, open, &[]), Ok(Utterance::Launch), "{locale}: {open}");
            let unknown = no_such_device(locale, "Q7", &["Kitchen"]);
            assert!(unknown.contains("Q7") && unknown.contains("Kitchen") && !unknown.contains("{}"), "{unknown}");
        }
    }

    #[test]
    fn a_device_that_alexa_knows_is_hers_before_a_models_sentence_fits() {
        // It could be an answer: the player "previous track" in the home "kitchen".
        let heard = parse_in("en-US", "previous track in the kitchen", &["Kitchen"]);
        assert!(matches!(heard, Ok(Utterance::SmartHome { name: "Previous", .. })), "{heard:?}");
    }

    #[test]
    fn a_device_that_alexa_knows_is_set_by_its_name_alone() {
        for text in ["set Kitchen to thirty percent", "Alexa, set the kitchen to 30%", "please turn the kitchen to 30"]
        {
            let Ok(Utterance::SmartHome { name: "SetVolume", payload, .. }) = parse_in("en-GB", text, &["Kitchen"])
            else {
                panic!("{text}")
            };
            assert_eq!(payload, json!({"volume": 30}), "{text}");
        }
        for text in ["set the volume to 30", "set sleep timer to 30", "set the shed to 30", "set kitchen to 30 minutes"]
        {
            let heard = parse_in("en-GB", text, &["Kitchen"]);
            assert!(!matches!(heard, Ok(Utterance::SmartHome { name: "SetVolume", .. })), "{text}: {heard:?}");
        }
    }

    #[test]
    fn on_and_off_are_no_players() {
        for (said, meant) in [("shuffle on", "AMAZON.ShuffleOnIntent"), ("turn shuffle off", "AMAZON.ShuffleOffIntent")]
        {
            let heard = parse_in("en-US", said, &[]).unwrap();
            assert_eq!(heard, Utterance::Custom { intent: meant, slots: Vec::new() });
        }
    }
}
