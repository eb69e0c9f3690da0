//! A name or a title in the forms in which it is compared, and how alike two of them are.

use std::borrow::Cow;

use super::sound::sound;
use super::{edits, normalized, numbers, words};

/// What somebody said, or what something is called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Phrase {
    /// Normalized: see [`super::normalized`].
    pub text: String,
    /// The same without spaces: "ac dc" is "acdc".
    joined: String,
    /// With numbers in digits, words that mean the same as one word, and without a leading article.
    plain: String,
    /// The words that tell it from others, of `plain`. All of them, if none do.
    words: Vec<Word>,
    /// How the telling words sound, one after the other.
    sound: String,
    /// Letters of `plain`, and of those words that do not tell.
    letters: usize,
    small: usize,
}

/// A word that tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// As it is spelled.
    pub text: String,
    /// As it sounds.
    pub sound: String,
    is_number: bool,
}

impl Word {
    /// This word.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        Self { text: text.into(), sound: sound(text), is_number }
    }

    /// From 0 to 1: how likely one was said and the other meant.
    #[must_use]
    pub fn alike(&self, other: &Self) -> f32 {
        if self.text == other.text {
            return 1.0;
        }
        if self.is_number || other.is_number {
            return 0.0;
        }
        if self.is_plural_of(other) || other.is_plural_of(self) {
            return 0.93;
        }
        let letters = similarity(&self.text, &other.text);
        // Most pairs of words have nothing in common; the rest is worth a closer look.
        if letters < 0.3 {
            return 0.0;
        }
        let alike = 0.4 * letters + 0.6 * similarity(&self.sound, &other.sound);
        let shortest = self.text.len().min(other.text.len());
        let enough = if shortest <= 3 { 0.74 } else { 0.6 };
        if alike < enough { 0.0 } else { alike.min(0.97) }
    }

    fn is_plural_of(&self, other: &Self) -> bool {
        other.text.len() >= 3 && self.text.strip_suffix('s').is_some_and(|one| one == other.text)
    }

    /// Longer words tell more, and a number tells as much as a long word.
    fn weight(&self) -> f32 {
        if self.is_number { 6.0 } else { 1.0 + self.text.chars().count().min(9) as f32 }
    }
}

impl Phrase {
    /// Of any text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self::of_normalized(normalized(text))
    }

    /// Of a text that is normalized already.
    #[must_use]
    pub fn of_normalized(text: String) -> Self {
        let spelled = letters_together(words(&text));
        let spelled: Vec<&str> = spelled.iter().map(AsRef::as_ref).collect();
        let mut plain: Vec<String> = Vec::with_capacity(spelled.len());
        for word in numbers::in_digits(&spelled) {
            match one_of_several(&word) {
                Some(words) => plain.extend(words.split(' ').map(Into::into)),
                None => plain.push(word),
            }
        }
        if plain.len() > 1 && ARTICLES.contains(&plain[0].as_str()) {
            plain.remove(0);
        }
        let tells = |at: usize, word: &str| {
            let counts_next = plain.get(at + 1).is_some_and(|next| next.bytes().all(|byte| byte.is_ascii_digit()));
            !(SMALL.contains(&word) || counts_next && COUNTERS.contains(&word))
        };
        let mut telling: Vec<Word> =
            plain.iter().enumerate().filter(|(at, word)| tells(*at, word)).map(|(_, word)| Word::of(word)).collect();
        if telling.is_empty() {
            telling = plain.iter().map(|word| Word::of(word)).collect();
        }
        let letters = plain.iter().map(String::len).sum();
        let told: usize = telling.iter().map(|word| word.text.len()).sum();
        Self {
            joined: text.replace(' ', ""),
            plain: plain.join(" "),
            sound: telling.iter().map(|word| word.sound.as_str()).collect(),
            words: telling,
            letters,
            small: letters - told,
            text,
        }
    }

    /// Whether it says nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Whether both say the same, but for articles and the way numbers are written.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.plain == other.plain
    }

    /// Whether it names a part by its number: "Folge 12".
    #[must_use]
    pub fn counts(&self) -> bool {
        let words = words(&self.plain);
        words.windows(2).any(|pair| COUNTERS.contains(&pair[0]) && pair[1].bytes().all(|byte| byte.is_ascii_digit()))
    }

    /// The words that tell it from others.
    #[must_use]
    pub fn words(&self) -> &[Word] {
        &self.words
    }

    /// From 0 to 1: how likely `self` was said and `name` meant.
    #[must_use]
    pub fn likeness(&self, name: &Self) -> f32 {
        if self.is_empty() || name.is_empty() {
            return 0.0;
        }
        if self.text == name.text {
            return 1.0;
        }
        if self.joined == name.joined {
            return 0.99;
        }
        if self.plain == name.plain {
            return 0.98;
        }
        if self.plain.len() == name.plain.len() || self.letters == name.letters {
            let letters = |plain: &str| plain.bytes().filter(|byte| *byte != b' ').collect::<Vec<u8>>();
            if letters(&self.plain) == letters(&name.plain) {
                return 0.975;
            }
        }
        let by_word = self.by_word(name);
        let whole = self.whole(name);
        by_word.max(whole) * self.numbers_agree(name)
    }

    /// How much of `self` is in `name`: from 0 to 1.
    #[must_use]
    pub fn heard_in(&self, name: &Self) -> f32 {
        part(&self.words, |word| best(word, &name.words))
    }

    /// Like [`Self::heard_in`], with two names for it to be in.
    #[must_use]
    pub fn heard_in_either(&self, one: &Self, other: &Self) -> f32 {
        part(&self.words, |word| best(word, &one.words).max(best(word, &other.words)))
    }

    /// Whether the telling words of `self` are the last ones of `name`, as a family name is.
    #[must_use]
    pub fn ends(&self, name: &Self) -> bool {
        self.words.len() < name.words.len()
            && name.words.iter().rev().zip(self.words.iter().rev()).all(|(one, other)| one.text == other.text)
    }

    /// Whether the telling words of `self` are the first ones of `name`.
    #[must_use]
    pub fn begins(&self, name: &Self) -> bool {
        self.words.len() < name.words.len()
            && self.words.iter().zip(&name.words).all(|(one, other)| one.text == other.text)
    }

    /// Word by word, in both directions: what was said must be in the name; a longer name is forgiven to a degree.
    fn by_word(&self, name: &Self) -> f32 {
        if self.words.len() == name.words.len() && self.words.iter().zip(&name.words).all(|(a, b)| a.text == b.text) {
            let unsaid = self.small.abs_diff(name.small) as f32 / self.letters.max(name.letters).max(1) as f32;
            return 0.97 - 0.6 * unsaid;
        }
        let heard = self.heard_in(name);
        if heard < 0.5 {
            return 0.0;
        }
        let covered = name.heard_in(self);
        0.95 * heard * heard * (0.35 + 0.65 * covered)
    }

    /// Without regard to where words begin and end: "pink floyd" and "ping float", "hyper ballad" and "Hyperballad".
    fn whole(&self, name: &Self) -> f32 {
        let spelled = similarity(&self.joined, &name.joined);
        if spelled < 0.5 {
            return 0.0;
        }
        let sounds = similarity(&self.sound, &name.sound);
        let short = self.sound.len().min(name.sound.len()) < 5;
        let by_sound = if short { 0.93 * sounds * (0.4 + 0.6 * spelled) } else { 0.93 * sounds * sounds.sqrt() };
        by_sound.max(0.95 * spelled * spelled)
    }

    /// "Folge 12" is not "Folge 13", however alike they look.
    fn numbers_agree(&self, name: &Self) -> f32 {
        let missing = self.words.iter().any(|word| word.is_number && !name.words.iter().any(|other| other == word));
        if missing { 0.7 } else { 1.0 }
    }
}

/// "u s a" is a word, "usa". A letter alone stays alone.
fn letters_together(words: Vec<&str>) -> Vec<Cow<'_, str>> {
    let mut out: Vec<Cow<'_, str>> = Vec::with_capacity(words.len());
    let mut before = false;
    for word in words {
        let letter = word.len() == 1 && word.bytes().all(|byte| byte.is_ascii_alphabetic());
        match out.last_mut() {
            Some(last) if letter && before => last.to_mut().push_str(word),
            _ => out.push(Cow::Borrowed(word)),
        }
        before = letter;
    }
    out
}

/// From 0 to 1 by the letters to change.
fn similarity(one: &str, other: &str) -> f32 {
    let (short, long) = (one.chars().count(), other.chars().count());
    let (short, long) = (short.min(long), short.max(long));
    // So many have to be inserted that the rest does not matter.
    if long == 0 || short * 2 < long {
        return 0.0;
    }
    1.0 - (edits(one, other).min(long) as f32 / long as f32)
}

fn best(word: &Word, of: &[Word]) -> f32 {
    let mut best = 0.0;
    for other in of {
        let alike = word.alike(other);
        if alike > best {
            best = alike;
        }
        if best >= 1.0 {
            break;
        }
    }
    best
}

fn part(words: &[Word], of: impl Fn(&Word) -> f32) -> f32 {
    let all: f32 = words.iter().map(Word::weight).sum();
    if all == 0.0 {
        return 0.0;
    }
    words.iter().map(|word| word.weight() * of(word)).sum::<f32>() / all
}

/// The one word for several that mean the same in titles. They are compared only, never spoken.
fn one_of_several(word: &str) -> Option<&'static str> {
    SAME.iter().find(|(_, words)| words.contains(&word)).map(|(one, _)| *one)
}

#[rustfmt::skip]
const SAME: &[(&str, &[&str])] = &[
    // Classical works are called in the language of the label.
    ("symphony", &["sinfonie", "symphonie", "sinfonia", "symfonie", "sinfonien", "symphonien", "symphonies"]),
    ("concerto", &["konzert", "concierto", "concerti", "concertos", "konzerte", "conciertos"]),
    ("piano concerto", &["klavierkonzert", "klavierkonzerte", "pianoconcert"]),
    ("violin concerto", &["violinkonzert", "violinkonzerte", "vioolconcert"]),
    ("piano sonata", &["klaviersonate", "klaviersonaten", "pianosonate"]),
    ("cello suite", &["cellosuite", "cellosuiten"]),
    ("string quartet", &["streichquartett", "streichquartette", "strijkkwartet"]),
    ("piano", &["klavier"]),
    ("violin", &["violine", "violon", "violino", "viool"]),
    ("quartet", &["quartett", "quatuor", "cuarteto", "quartetto", "kwartet", "quartets"]),
    ("sonata", &["sonate", "sonaten", "sonates", "sonatas"]),
    ("suite", &["suiten", "suites"]),
    ("major", &["dur", "majeur", "mayor", "maggiore"]),
    ("minor", &["moll", "mineur", "menor", "minore"]),
    ("op", &["opus"]),
    ("k", &["kv", "kochel", "koechel", "kochelverzeichnis"]),
    ("variations", &["variationen", "variaciones", "variazioni", "variaties"]),
    ("seasons", &["jahreszeiten", "saisons", "estaciones", "stagioni", "seizoenen"]),
    ("waltz", &["walzer", "valse", "vals", "wals", "valzer"]),
    ("orchestra", &["orchester", "orchestre", "orquesta", "orkest"]),
    ("classical", &["klassik", "klassische", "classique", "clasica", "classica", "klassiek", "klassieke"]),
    // Parts that are counted.
    ("episode", &["folge", "folgen", "episodio", "aflevering"]),
    ("part", &["teil", "pt", "partie", "parte", "deel"]),
    ("volume", &["vol", "volumen"]),
    ("chapter", &["kapitel", "chapitre", "capitulo", "capitolo", "hoofdstuk"]),
    // As people write.
    ("mister", &["mr"]),
    ("saint", &["st", "sankt"]),
    ("doctor", &["dr", "doktor", "docteur"]),
    ("you", &["u", "ya"]),
    ("are", &["r"]),
    ("are you", &["ru"]),
    ("okay", &["ok"]),
    ("versus", &["vs"]),
    ("deejay", &["dj"]),
    ("percent", &["prozent", "procent"]),
    ("question marks", &["fragezeichen"]),
    ("exclamation marks", &["ausrufezeichen"]),
];

/// They begin many names, and are left out by many.
const ARTICLES: &[&str] = &[
    "the", "a", "an", "der", "die", "das", "den", "ein", "eine", "le", "la", "les", "l", "un", "une", "el", "los",
    "las", "una", "il", "lo", "i", "gli", "uno", "de", "het", "een",
];

/// Words that tell nothing apart, in the languages that are spoken to the skill.
#[rustfmt::skip]
const SMALL: &[&str] = &[
    "the", "a", "an", "of", "and", "in", "on", "to", "for", "n", "no", "number", "my",
    "der", "die", "das", "den", "dem", "des", "ein", "eine", "und", "im", "am", "nr", "nummer",
    "le", "la", "les", "l", "un", "une", "et", "du", "numero", "en",
    "el", "los", "las", "una", "y", "del",
    "il", "lo", "gli", "e", "di",
    "de", "het", "een", "van",
];

/// They tell nothing apart before a number.
const COUNTERS: &[&str] = &["episode", "part", "volume", "chapter", "cd", "nos"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn likeness(said: &str, name: &str) -> f32 {
        Phrase::of(said).likeness(&Phrase::of(name))
    }

    #[test]
    fn ways_to_say_a_name_are_that_name() {
        for (said, name) in [
            ("acdc", "AC/DC"),
            ("a. c. d. c.", "AC/DC"),
            ("the beatles", "Beatles"),
            ("beatles", "The Beatles"),
            ("simon und garfunkel", "Simon & Garfunkel"),
            ("guns and roses", "Guns N' Roses"),
            ("blink one eighty two", "blink-182"),
            ("swr drei", "SWR3"),
            ("eins live", "1LIVE"),
            ("neunundneunzig luftballons", "99 Luftballons"),
            ("part two", "Part II"),
            ("fifth symphony", "Symphony No. 5"),
            ("fünfte sinfonie", "Symphony No. 5"),
            ("die drei fragezeichen", "Die drei ???"),
            ("p!nk", "Pink"),
        ] {
            assert!(likeness(said, name) >= 0.9, "{said:?} {name:?}: {}", likeness(said, name));
        }
    }

    #[test]
    fn what_was_misheard_is_still_like_it() {
        for (said, name) in [
            ("hyperbalad", "Hyperballad"),
            ("kitchen lights", "Kitchen Light"),
            ("ed shearin", "Ed Sheeran"),
            ("cold play", "Coldplay"),
            ("metalica", "Metallica"),
            ("smells like teen spirits", "Smells Like Teen Spirit"),
        ] {
            assert!(likeness(said, name) >= 0.7, "{said:?} {name:?}: {}", likeness(said, name));
        }
    }

    #[test]
    fn other_names_are_other_names() {
        for (said, name) in [
            ("folge 12", "Folge 13"),
            ("bad", "Pat"),
            ("soul", "De La Soul"),
            ("first love", "One Love"),
            ("thriller", "Killer"),
            ("zzzz nothing", "Nothing Else Matters"),
            ("", "x"),
        ] {
            assert!(likeness(said, name) < 0.8, "{said:?} {name:?}: {}", likeness(said, name));
        }
    }

    proptest! {
        #[test]
        fn likeness_is_a_part(said in ".{0,40}", name in ".{0,40}") {
            let likeness = likeness(&said, &name);
            prop_assert!((0.0..=1.0).contains(&likeness));
        }
    }
}
