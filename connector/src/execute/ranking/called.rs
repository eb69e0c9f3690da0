//! All names that an item goes by: as it is filed, and as people say it.
//!
//! "Bohemian Rhapsody - Remastered 2011" is "bohemian rhapsody", "Symphony No. 5 in C minor, Op. 67: I. Allegro" is the fifth
//! symphony, and "Folge 12: Der seltsame Wecker" has two names. What stands in brackets or behind a dash also tells which
//! recording it is.

use macloud_e2ee::vocabulary::MediaKind;

use crate::execute::words::phrase::Phrase;
use crate::execute::words::{normalized, words};
use crate::music_assistant::model::Media;

/// One name, and what is lost by saying it instead of the whole.
#[derive(Debug, Clone)]
pub(super) struct Called {
    pub(super) phrase: Phrase,
    pub(super) less: f32,
}

/// What recording it is, other than the one that everybody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Traits(u8);

impl Traits {
    pub(super) const NONE: Self = Self(0);

    /// Whether all of `wanted` are among them.
    pub(super) const fn has(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    pub(super) const fn and(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    /// What is lost by those that were not `said`. Whoever names an artist who plays covers wants no others.
    pub(super) fn unwanted(self, said: Self, by_name: bool) -> f32 {
        TRAITS
            .iter()
            .filter(|known| self.has(known.bit) && !said.has(known.bit) && !(known.bit == COVER && by_name))
            .map(|known| known.less)
            .fold(0.0, f32::max)
    }
}

struct Trait {
    bit: Traits,
    less: f32,
    /// In brackets, behind a dash, or as the version.
    words: &'static [&'static str],
    /// In what a person says, at the end of it.
    said: &'static [&'static str],
}

const COVER: Traits = Traits(1 << 2);

#[rustfmt::skip]
const TRAITS: [Trait; 5] = [
    Trait {
        bit: Traits(1 << 0),
        less: 0.05,
        words: &["live", "concert", "konzert", "concierto", "concerto", "vivo", "directo", "liveversion"],
        said: &["live", "en vivo", "en directo", "dal vivo", "en concert", "im konzert", "in concert", "liveversion"],
    },
    Trait {
        bit: Traits(1 << 1),
        less: 0.06,
        words: &["remix", "remixed", "rmx", "mix", "rework", "bootleg", "mashup", "dub", "sped", "slowed", "nightcore"],
        said: &["remix", "mix"],
    },
    Trait {
        bit: COVER,
        less: 0.13,
        words: &["karaoke", "cover", "covers", "tribute", "instrumental", "lullaby", "originally", "style", "backing", "ringtone",
            "parody", "8bit"],
        said: &["karaoke", "cover", "instrumental", "tribute", "instrumentalversion", "karaokeversion"],
    },
    Trait {
        bit: Traits(1 << 3),
        less: 0.05,
        words: &["acoustic", "akustik", "akustisch", "acustico", "acustica", "acoustique", "akoestisch", "unplugged", "demo",
            "orchestral", "rehearsal", "outtake", "alternate", "take", "commentary", "interview", "session", "sessions", "cappella",
            "piano", "strings"],
        said: &["acoustic", "akustik", "acustico", "acustica", "acoustique", "akoestisch", "unplugged", "demo", "akustikversion"],
    },
    Trait {
        bit: Traits(1 << 4),
        less: 0.006,
        words: &["remaster", "remastered", "remasterisado", "deluxe", "edition", "edit", "version", "mono", "stereo", "bonus",
            "anniversary", "single", "explicit", "clean", "feat", "featuring", "ft", "with", "soundtrack", "expanded", "original"],
        said: &["remastered", "deluxe"],
    },
];

/// The whole name first.
pub(super) fn names_of(media: &Media) -> (Vec<Called>, Traits) {
    let whole = match &media.version {
        Some(version) if !media.title.contains(version.as_str()) => format!("{} {version}", media.title),
        _ => media.title.clone(),
    };
    let mut names = Names(Vec::with_capacity(3));
    names.add(&whole, 0.0);
    let (bare, beside) = apart(&media.title);
    let is_part = beside.iter().any(|text| Phrase::of(text).counts());
    names.add(&bare, if is_part { PART_OF_TRACK } else { BARE });
    match media.kind {
        Some(MediaKind::Track | MediaKind::Album | MediaKind::Audiobook) | None => {}
        Some(MediaKind::Radio) => {
            names.add(without_frequency(&bare), PART);
            return (names.0, Traits::NONE);
        }
        Some(_) => return (names.0, Traits::NONE),
    }
    let part = if media.kind == Some(MediaKind::Track) { PART_OF_TRACK } else { PART };
    let halves = [": ", " - ", " / "].into_iter().flat_map(|between| bare.splitn(2, between));
    let mut parts: Vec<&str> = halves.chain(after_number(&bare)).collect();
    parts.retain(|part| part.len() < bare.len());
    for name in parts {
        names.add(name, part);
    }
    // The number of the work is enough of its name: no key, no opus. Or what everybody calls it, or its number in a list.
    let work = bare.split(": ").next().unwrap_or_default();
    let short = without_key(work);
    if let Some(short) = short {
        names.add(short, part);
    }
    if let Some(nickname) = quoted(&media.title) {
        names.add(nickname, part);
        names.add(&format!("{nickname} {}", short.unwrap_or(work)), part);
    }
    if let Some(listed) = work.split(", ").skip(1).find(|part| is_listed(part)) {
        names.add(listed, part);
    }
    let mut traits = Traits::NONE;
    for text in beside.iter().map(String::as_str).chain(media.version.as_deref()) {
        traits = traits.and(filed_as(&normalized(text)));
    }
    let by = media.artist.as_deref().map(normalized).unwrap_or_default();
    if words(&by).iter().any(|word| ["karaoke", "tribute", "cover", "covers", "lullaby"].contains(word)) {
        traits = traits.and(COVER);
    }
    (names.0, traits)
}

struct Names(Vec<Called>);

impl Names {
    fn add(&mut self, text: &str, less: f32) {
        let phrase = Phrase::of(text);
        if !phrase.is_empty() && self.0.iter().all(|called| called.phrase.text != phrase.text) {
            self.0.push(Called { phrase, less });
        }
    }
}

/// The artists of "Simon & Garfunkel", "Queen, David Bowie", "A feat. B": all together first.
pub(super) fn artists_in(credit: &str) -> Vec<Phrase> {
    let mut all = vec![Phrase::of(credit)];
    let mut parts = vec![credit];
    for between in [", ", " & ", " feat. ", " ft. ", " featuring ", "; ", " / ", " x ", " with "] {
        parts = parts.into_iter().flat_map(|part| part.split(between)).collect();
    }
    if parts.len() > 1 {
        all.extend(parts.into_iter().take(MOST_ARTISTS).map(Phrase::of).filter(|part| !part.is_empty()));
    }
    all
}

/// The traits that are named at the end of what was said, or anywhere as one word.
pub(super) fn traits_in(said: &str) -> Traits {
    let spoken = words(said);
    let named = |known: &&Trait| known.words.iter().any(|word| spoken.contains(word));
    TRAITS.iter().filter(named).fold(Traits::NONE, |all, known| all.and(known.bit))
}

/// "hotel california live", "live version of hotel california": what is left without, if anything was named.
pub(super) fn without_traits(said: &str) -> Option<(String, Traits)> {
    let mut left = said;
    for filler in VERSION_WORDS {
        left = left.strip_suffix(filler).unwrap_or(left);
    }
    for known in &TRAITS {
        for word in known.said {
            let behind = left.strip_suffix(word).and_then(|left| left.strip_suffix(' '));
            let before = || {
                let rest = left.strip_prefix(word)?;
                VERSION_OF.iter().find_map(|of| rest.strip_prefix(of))
            };
            let Some(title) = behind.or_else(before).filter(|title| !title.is_empty()) else { continue };
            let title = VERSION_WORDS.iter().find_map(|filler| title.strip_suffix(filler)).unwrap_or(title);
            return Some((title.to_owned(), known.bit));
        }
    }
    None
}

fn filed_as(beside: &str) -> Traits {
    let all = words(beside);
    // "Original Mix" is the original.
    if all.contains(&"original") && all.contains(&"mix") {
        return Traits::NONE;
    }
    traits_in(beside)
}

/// The name without what stands in brackets, behind " - " or "feat.", if that tells which recording it is; and these.
fn apart(title: &str) -> (String, Vec<String>) {
    let mut bare = String::with_capacity(title.len());
    let mut beside = Vec::new();
    let mut depth = 0_usize;
    for letter in title.chars() {
        match letter {
            '(' | '[' | '{' => {
                if depth == 0 {
                    beside.push(String::new());
                }
                depth += 1;
            }
            ')' | ']' | '}' if depth > 0 => depth -= 1,
            _ if depth > 0 => beside.last_mut().expect("pushed when the bracket opened").push(letter),
            _ => bare.push(letter),
        }
    }
    while let Some((name, tail)) = bare.rsplit_once(" - ") {
        if filed_as(&normalized(tail)) == Traits::NONE {
            break;
        }
        beside.push(tail.to_owned());
        bare = name.to_owned();
    }
    for mark in [" feat. ", " ft. ", " featuring "] {
        if let Some(at) = bare.find(mark) {
            bare.truncate(at);
        }
    }
    let bare = bare.trim();
    if bare.is_empty() { (title.to_owned(), beside) } else { (bare.to_owned(), beside) }
}

/// "012/und der seltsame Wecker", "12. Der seltsame Wecker"
fn after_number(name: &str) -> Vec<&str> {
    let digits = name.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 || digits > 4 {
        return Vec::new();
    }
    let (number, rest) = name.split_at(digits);
    match rest.strip_prefix('/').or_else(|| rest.strip_prefix(". ")) {
        Some(name) => vec![number, name],
        None => Vec::new(),
    }
}

/// "Symphony No. 5 in C minor, Op. 67" without its key and opus; "Sinfonie Nr. 5 c-Moll op. 67" likewise.
fn without_key(work: &str) -> Option<&str> {
    let comma = work.find(", ");
    let in_key = work.match_indices(" in ").map(|(at, _)| at).find(|at| is_key(&work[at + 4..]));
    let lower = work.to_ascii_lowercase();
    let hyphened = ["-moll", "-dur"].iter().find_map(|mode| lower.find(mode)).and_then(|at| lower[..at].rfind(' '));
    let end = [comma, in_key, hyphened].into_iter().flatten().min()?;
    work.get(..end)
}

fn is_key(text: &str) -> bool {
    let key = text.split([' ', ',', '-']).next().unwrap_or_default();
    key.len() <= 2 && key.starts_with(|letter: char| matches!(letter, 'A'..='H'))
}

/// "Moonlight", "Für Elise"
fn quoted(title: &str) -> Option<&str> {
    let (_, rest) = title.split_once(QUOTES)?;
    let (name, _) = rest.split_once(QUOTES)?;
    Some(name).filter(|name| name.len() > 2)
}

/// "K. 525", "BWV 988", "Op. 67"
fn is_listed(part: &str) -> bool {
    let mut words = part.split([' ', '.']).filter(|word| !word.is_empty());
    let by_letters = words.next().is_some_and(|word| word.len() <= 4 && word.starts_with(char::is_alphabetic));
    by_letters && words.next().is_some_and(|word| word.starts_with(|digit: char| digit.is_ascii_digit()))
}

/// "KEXP 90.3 FM"
fn without_frequency(station: &str) -> &str {
    let is_frequency = |word: &&str| {
        word.contains(['.', ',']) && word.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b','))
    };
    let Some(frequency) = station.split(' ').find(is_frequency) else { return station };
    station.split_once(frequency).map_or(station, |(name, _)| name.trim())
}

const QUOTES: [char; 7] = ['"', '“', '”', '„', '«', '»', '‟'];

/// Not to stand above the whole name when that was said.
const BARE: f32 = 0.004;

/// Half of a name may be the whole name of something else.
const PART: f32 = 0.03;

/// All of a work is meant before its first movement, and all of a play before its first part.
const PART_OF_TRACK: f32 = 0.05;

/// An orchestra's credits can be long.
const MOST_ARTISTS: usize = 6;

const VERSION_WORDS: [&str; 4] = [" version", " fassung", " versie", " versione"];
const VERSION_OF: [&str; 8] =
    [" version of ", " version von ", " version de ", " version di ", " versie van ", " versione di ", " of ", " von "];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn track(title: &str, version: Option<&str>) -> Media {
        Media {
            uri: Some("library://track/1".into()),
            title: title.into(),
            version: version.map(Into::into),
            artist: None,
            album: None,
            kind: Some(MediaKind::Track),
            favorite: false,
            playable: true,
        }
    }

    #[test]
    fn names_as_people_say_them_are_among_all_names() {
        for (title, name) in [
            ("Bohemian Rhapsody - Remastered 2011", "bohemian rhapsody"),
            ("(I Can't Get No) Satisfaction", "satisfaction"),
            ("Umbrella (feat. JAY-Z)", "umbrella"),
            ("Symphony No. 5 in C minor, Op. 67: I. Allegro con brio", "symphony no 5"),
            ("Sinfonie Nr. 5 c-Moll op. 67", "sinfonie nr 5"),
            ("Folge 12: Der seltsame Wecker", "folge 12"),
            ("Folge 12: Der seltsame Wecker", "der seltsame wecker"),
            ("012/und der seltsame Wecker", "012"),
            ("Die drei ??? - Folge 12", "folge 12"),
            ("Piano Sonata No. 14 in C-Sharp Minor, Op. 27 No. 2 \"Moonlight\": I. Adagio", "moonlight"),
            ("Symphony No. 40 in G Minor, K. 550", "k 550"),
            ("(((", ""),
        ] {
            let (names, _) = names_of(&track(title, None));
            assert!(name.is_empty() || names.iter().any(|called| called.phrase.text == name), "{title}: {names:?}");
        }
    }

    #[test]
    fn recordings_are_told_apart() {
        let traits = |title: &str, version| names_of(&track(title, version)).1;
        let live = traits_in("live");
        assert_eq!(traits("Creep", Some("Live")), live);
        assert_eq!(traits("Creep (Live at Glastonbury)", None), live);
        assert_eq!(traits("Creep - Live", None), live);
        assert_eq!(traits("Live and Let Die", None), Traits::NONE);
        assert_eq!(traits("Strobe (Original Mix)", None), Traits::NONE);
        assert!(traits("Creep (Karaoke Version)", None).has(COVER));
        assert_eq!(without_traits("hotel california live"), Some(("hotel california".into(), live)));
        assert_eq!(without_traits("live version of hotel california"), Some(("hotel california".into(), live)));
        assert_eq!(without_traits("hotel california live version"), Some(("hotel california".into(), live)));
        assert_eq!(without_traits("live"), None);
    }

    #[test]
    fn artists_are_found_together_and_alone() {
        let names: Vec<String> = artists_in("Queen, David Bowie").into_iter().map(|phrase| phrase.text).collect();
        assert_eq!(names, ["queen david bowie", "queen", "david bowie"]);
        assert_eq!(artists_in("Björk").len(), 1);
    }

    proptest! {
        #[test]
        fn any_title_is_taken_apart(title in ".{0,60}", version in proptest::option::of(".{0,20}")) {
            let (names, _) = names_of(&track(&title, version.as_deref()));
            prop_assert!(names.len() <= 16);
            let _ = without_traits(&normalized(&title));
            let _ = artists_in(&title);
        }
    }
}
