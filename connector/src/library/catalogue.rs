//! Names, and what is called by them, in columns.
//!
//! Each distinct name is kept once, with the numbers of its telling words; each distinct word is kept once. Nothing points
//! from a word to the names with it: to look at all words, then at all names, then at all items, each in one go through
//! memory, takes a few milliseconds for 50,000 tracks and needs nothing that would have to be kept sorted.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use macloud_e2ee::vocabulary::MediaKind;

use super::{Candidate, Clue, kind_named, kind_word};
use crate::execute::words::edits;
use crate::execute::words::phrase::{Phrase, Word};
use crate::execute::words::sound;
use crate::execute::words::words;
use crate::music_assistant::model::Media;

/// Most items that are kept: some 12 MiB. What a larger library has beyond is asked of Music Assistant.
pub const MAX_ITEMS: usize = 120_000;

/// Most candidates for one clue. They are judged one by one.
const MOST: usize = 64;

/// Names are cut at this length, at a character border.
const MAX_NAME: usize = 250;

/// All items that are known.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// Sorted by kind and id.
    entries: Vec<Entry>,
    names: Names,
    /// Of the present reading.
    reading: u8,
    full: bool,
}

/// An item of the library: 24 bytes.
#[derive(Debug, Clone, Copy)]
struct Entry {
    id: u32,
    name: u32,
    version: u32,
    artist: u32,
    album: u32,
    kind: MediaKind,
    favorite: bool,
    playable: bool,
    /// The reading in which it was seen last.
    seen: u8,
}

impl Entry {
    const fn place(&self) -> (MediaKind, u32) {
        (self.kind, self.id)
    }
}

impl Catalogue {
    /// Know this item, or know it better. Items that are not of the library are left out.
    pub fn put(&mut self, media: &Media) {
        let Some((kind, id)) = media.uri.as_deref().and_then(place_of) else { return };
        let found = self.entries.binary_search_by_key(&(kind, id), Entry::place);
        if found.is_err() && self.entries.len() >= MAX_ITEMS {
            self.full = true;
            return;
        }
        let mut name = |text: Option<&str>| self.names.number(text.unwrap_or_default());
        let entry = Entry {
            id,
            name: name(Some(&media.title)),
            version: name(media.version.as_deref()),
            artist: name(media.artist.as_deref()),
            album: name(media.album.as_deref()),
            kind,
            favorite: media.favorite,
            playable: media.playable,
            seen: self.reading,
        };
        match found {
            Ok(at) => self.entries[at] = entry,
            Err(at) => self.entries.insert(at, entry),
        }
    }

    /// Know the item of this URI no more.
    pub fn remove(&mut self, uri: &str) {
        let Some(place) = place_of(uri) else { return };
        if let Ok(at) = self.entries.binary_search_by_key(&place, Entry::place) {
            self.entries.remove(at);
        }
    }

    /// Everything will now be put once more.
    pub fn begin(&mut self) {
        self.reading = self.reading.wrapping_add(1);
        self.full = false;
    }

    /// All items of a kind were put. What was not there twice is gone: once may be an accident of turning pages.
    pub fn all_read(&mut self, kind: MediaKind) {
        let reading = self.reading;
        self.entries.retain(|entry| entry.kind != kind || reading.wrapping_sub(entry.seen) < 2);
    }

    /// Everything was put: take as little room as it needs.
    pub fn end(&mut self) {
        let mut used = vec![false; self.names.len()];
        for entry in &self.entries {
            for name in [entry.name, entry.version, entry.artist, entry.album] {
                used[name as usize] = true;
            }
        }
        let unused = used.iter().filter(|used| !**used).count();
        // Names of what is gone stay until it is worth the work.
        if unused > 100 && unused > self.names.len() / 5 {
            let old = std::mem::take(&mut self.names);
            for entry in &mut self.entries {
                for name in [&mut entry.name, &mut entry.version, &mut entry.artist, &mut entry.album] {
                    *name = self.names.number(old.text(*name));
                }
            }
        }
        self.entries.shrink_to_fit();
        self.names.shrink();
    }

    /// Whether there were more items than are kept.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.full
    }

    /// How many items are known.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How much memory it takes, without what the allocator adds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>() + self.names.bytes()
    }

    /// The items that any of `clues` may mean.
    #[must_use]
    pub fn candidates(&self, clues: &[Clue<'_>]) -> Vec<Candidate> {
        let mut terms = Terms::default();
        let traces: Vec<Trace<'_>> = clues.iter().map(|clue| Trace::of(clue, &mut terms)).collect();
        let found = self.names.look_for(&terms);
        let mut all: Vec<u32> = traces.iter().flat_map(|trace| self.follow(trace, &found)).collect();
        all.sort_unstable();
        all.dedup();
        let (known, loved) = self.fame();
        let candidate = |at: u32| {
            let entry = &self.entries[at as usize];
            let artist = if entry.kind == MediaKind::Artist { entry.name } else { entry.artist };
            let artist = artist as usize;
            Candidate { media: self.media(entry), known: known[artist].into(), loved: loved[artist] }
        };
        all.into_iter().map(candidate).collect()
    }

    /// The best items for one clue, by how many of its words they have and how telling these are.
    fn follow(&self, trace: &Trace<'_>, found: &Found) -> Vec<u32> {
        let weight = |bits: u64| found.weight(bits);
        let (in_title, in_artist) = (weight(trace.title).max(0.1), weight(trace.artist).max(0.1));
        let mut scored: Vec<(f32, u32)> = Vec::new();
        for (at, entry) in (0..).zip(&self.entries) {
            let title = found.names[entry.name as usize] & trace.title;
            if title == 0 || !entry.playable || !trace.kinds.contains(&entry.kind) {
                continue;
            }
            let title = title | found.names[entry.version as usize] & trace.title;
            let by = found.names[entry.artist as usize];
            let score = if trace.artist == 0 {
                weight(title | by & trace.title) / in_title
            } else {
                weight(title) / in_title + 0.7 * weight(by & trace.artist) / in_artist
            };
            let words = self.names.words(entry.name);
            let said = words.iter().filter(|word| found.words[**word as usize] & trace.title != 0).count();
            let covered = said as f32 / words.len().max(1) as f32;
            let favorite = if entry.favorite { 0.02 } else { 0.0 };
            scored.push((score + 0.35 * covered + favorite, at));
        }
        if scored.len() > MOST {
            scored.select_nth_unstable_by(MOST, |one, other| other.0.total_cmp(&one.0));
            scored.truncate(MOST);
        }
        scored.into_iter().map(|(_, at)| at).collect()
    }

    /// By number of name: how many items an artist of that name has, and whether it is a favourite.
    fn fame(&self) -> (Vec<u16>, Vec<bool>) {
        let mut known = vec![0_u16; self.names.len()];
        let mut loved = vec![false; self.names.len()];
        for entry in &self.entries {
            let count = &mut known[entry.artist as usize];
            *count = count.saturating_add(1);
            if entry.kind == MediaKind::Artist {
                loved[entry.name as usize] |= entry.favorite;
            }
        }
        // The name that nobody has.
        known[0] = 0;
        (known, loved)
    }

    fn media(&self, entry: &Entry) -> Media {
        let text = |name: u32| Some(self.names.text(name)).filter(|text| !text.is_empty()).map(str::to_owned);
        Media {
            uri: Some(format!("library://{}/{}", kind_word(entry.kind), entry.id)),
            title: self.names.text(entry.name).to_owned(),
            version: text(entry.version),
            artist: text(entry.artist),
            album: text(entry.album),
            kind: Some(entry.kind),
            favorite: entry.favorite,
            playable: entry.playable,
        }
    }
}

/// Kind and id of `library://track/12`.
fn place_of(uri: &str) -> Option<(MediaKind, u32)> {
    let (kind, id) = uri.strip_prefix("library://")?.split_once('/')?;
    Some((kind_named(kind)?, id.parse().ok()?))
}

/// Distinct names. The first one is the empty one.
#[derive(Debug)]
struct Names {
    text: String,
    ends: Vec<u32>,
    /// Numbers of the telling words of all names, one after the other.
    words: Vec<u32>,
    word_ends: Vec<u32>,
    known: HashMap<u32, u32>,
    vocabulary: Vocabulary,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            text: String::new(),
            ends: vec![0],
            words: Vec::new(),
            word_ends: vec![0],
            known: HashMap::new(),
            vocabulary: Vocabulary::default(),
        }
    }
}

impl Names {
    /// The number of this name, new or not.
    fn number(&mut self, text: &str) -> u32 {
        let text = cut(text);
        if text.is_empty() {
            return 0;
        }
        let hash = hash(text);
        if let Some(number) = self.known.get(&hash)
            && self.text(*number) == text
        {
            return *number;
        }
        let number = self.ends.len() as u32;
        self.text.push_str(text);
        self.ends.push(self.text.len() as u32);
        for word in Phrase::of(text).words() {
            self.words.push(self.vocabulary.count(word));
        }
        self.word_ends.push(self.words.len() as u32);
        // Of two names with the same hash the later one may be kept more than once.
        self.known.entry(hash).or_insert(number);
        number
    }

    const fn len(&self) -> usize {
        self.ends.len()
    }

    fn text(&self, number: u32) -> &str {
        &self.text[range(&self.ends, number)]
    }

    fn words(&self, number: u32) -> &[u32] {
        &self.words[range(&self.word_ends, number)]
    }

    /// Which of `terms` are in which words and names.
    fn look_for(&self, terms: &Terms) -> Found {
        let mut found = self.vocabulary.look_for(terms);
        let mut names = vec![0_u64; self.len()];
        let mut counts = [0_u32; 32];
        for (number, bits) in (0_u32..).zip(&mut names) {
            for word in self.words(number) {
                *bits |= found.words[*word as usize];
            }
            let mut left = Found::terms(*bits);
            while left != 0 {
                counts[left.trailing_zeros() as usize] += 1;
                left &= left - 1;
            }
        }
        for (weight, count) in found.weights.iter_mut().zip(counts) {
            if count > 0 {
                *weight = (1.0 + self.len() as f32 / count as f32).ln();
            }
        }
        found.names = names;
        found
    }

    fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.words.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.word_ends.shrink_to_fit();
        self.vocabulary.shrink();
    }

    fn bytes(&self) -> usize {
        let numbers = self.ends.capacity() + self.words.capacity() + self.word_ends.capacity();
        self.text.capacity() + 4 * numbers + map_bytes(&self.known) + self.vocabulary.bytes()
    }
}

/// Distinct telling words of all names.
#[derive(Debug, Default)]
struct Vocabulary {
    text: String,
    ends: Vec<u32>,
    /// Which letters are in it: tells most words apart at once.
    letters: Vec<u32>,
    /// [`sound::key`].
    keys: Vec<u32>,
    /// How it sounds, and which letters are in that.
    sounds: String,
    sound_ends: Vec<u32>,
    sound_letters: Vec<u32>,
    known: HashMap<u32, u32>,
}

impl Vocabulary {
    /// The number of this word, new or not.
    fn count(&mut self, word: &Word) -> u32 {
        let hash = hash(&word.text);
        if let Some(number) = self.known.get(&hash)
            && self.word(*number) == word.text
        {
            return *number;
        }
        let number = self.letters.len() as u32;
        self.text.push_str(&word.text);
        self.ends.push(self.text.len() as u32);
        self.letters.push(letters(&word.text));
        self.keys.push(sound::key(&word.sound));
        self.sounds.push_str(&word.sound);
        self.sound_ends.push(self.sounds.len() as u32);
        self.sound_letters.push(letters(&word.sound));
        self.known.entry(hash).or_insert(number);
        number
    }

    fn find(&self, word: &str) -> Option<u32> {
        self.known.get(&hash(word)).copied().filter(|number| self.word(*number) == word)
    }

    fn word(&self, number: u32) -> &str {
        &self.text[range(&self.ends, number)]
    }

    fn sound(&self, number: u32) -> &str {
        &self.sounds[range(&self.sound_ends, number)]
    }

    fn look_for(&self, terms: &Terms) -> Found {
        let mut words = vec![0_u64; self.letters.len()];
        let mut exact = 0_u32;
        for (number, bits) in (0_u32..).zip(&mut words) {
            let (word, letters, key) = (self.word(number), self.letters[number as usize], self.keys[number as usize]);
            let (sound, sound_letters) = (self.sound(number), self.sound_letters[number as usize]);
            for (bit, term) in terms.0.iter().enumerate() {
                if term.text == word {
                    *bits |= 1 << bit;
                    exact |= 1 << bit;
                } else if term.is_near(word, letters, key) || term.sounds_like(sound, sound_letters) {
                    *bits |= 1 << (bit + 32);
                }
            }
        }
        // "acdc" for "AC/DC": a word that nothing is called may be two.
        for (bit, term) in terms.0.iter().enumerate().filter(|(bit, _)| exact & (1 << bit) == 0) {
            for (at, _) in term.text.char_indices().skip(1) {
                let (before, after) = term.text.split_at(at);
                if let (Some(before), Some(after)) = (self.find(before), self.find(after)) {
                    words[before as usize] |= 1 << (bit + 32);
                    words[after as usize] |= 1 << (bit + 32);
                }
            }
        }
        Found { words, ..Found::default() }
    }

    fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.letters.shrink_to_fit();
        self.keys.shrink_to_fit();
        self.sounds.shrink_to_fit();
        self.sound_ends.shrink_to_fit();
        self.sound_letters.shrink_to_fit();
    }

    fn bytes(&self) -> usize {
        let columns = [&self.ends, &self.letters, &self.keys, &self.sound_ends, &self.sound_letters];
        let numbers: usize = columns.into_iter().map(Vec::capacity).sum();
        self.text.capacity() + self.sounds.capacity() + 4 * numbers + map_bytes(&self.known)
    }
}

/// Words to look for, at most 32.
#[derive(Debug, Default)]
struct Terms(Vec<Term>);

#[derive(Debug)]
struct Term {
    text: String,
    letters: u32,
    key: u32,
    /// Empty if it is too short to go by.
    sound: String,
    sound_letters: u32,
    /// So many letters may differ.
    slips: usize,
}

impl Terms {
    /// The bits of this word: one for the word itself, one for what is near it.
    fn bits(&mut self, word: &Word) -> u64 {
        let at = self.0.iter().position(|term| term.text == word.text).unwrap_or_else(|| {
            let letter_count = word.text.chars().count();
            let is_number = word.text.bytes().all(|byte| byte.is_ascii_digit());
            self.0.push(Term {
                text: word.text.clone(),
                letters: letters(&word.text),
                key: if is_number { 0 } else { sound::key(&word.sound) },
                sound_letters: letters(&word.sound),
                sound: if is_number || word.sound.len() < 5 { String::new() } else { word.sound.clone() },
                slips: match letter_count {
                    _ if is_number => 0,
                    0..=3 => 0,
                    4..=7 => 1,
                    _ => 2,
                },
            });
            self.0.len() - 1
        });
        if at < 32 { (1 << at) | (1 << (at + 32)) } else { 0 }
    }

    fn bits_of(&mut self, phrase: &Phrase) -> u64 {
        let mut bits = 0;
        for word in phrase.words() {
            bits |= self.bits(word);
        }
        // "hyper ballad" for "Hyperballad", "annen may kantereit" for "AnnenMayKantereit".
        let spelled = words(&phrase.text);
        let all_in_one = Some(spelled.concat()).filter(|all| (3..6).contains(&spelled.len()) && all.len() < 25);
        for joined in spelled.windows(2).map(<[&str]>::concat).chain(all_in_one) {
            if self.0.len() < 24 {
                bits |= self.bits(&Word::of(&joined));
            }
        }
        self.0.truncate(32);
        bits
    }
}

impl Term {
    fn is_near(&self, word: &str, letters: u32, key: u32) -> bool {
        if self.key != 0 && self.key == key {
            return true;
        }
        if self.slips == 0 || self.text.len().abs_diff(word.len()) > self.slips {
            return false;
        }
        // A letter that is replaced changes at most two of them.
        (self.letters ^ letters).count_ones() as usize <= 2 * self.slips && edits(&self.text, word) <= self.slips
    }

    /// One sound more, less or another. Words that begin with another sound are others: it is the clearest one.
    fn sounds_like(&self, sound: &str, letters: u32) -> bool {
        !self.sound.is_empty()
            && (self.sound_letters ^ letters).count_ones() <= 2
            && self.sound.len().abs_diff(sound.len()) <= 1
            && self.sound.as_bytes().first() == sound.as_bytes().first()
            && edits(&self.sound, sound) <= 1
    }
}

/// The terms of one clue.
struct Trace<'a> {
    title: u64,
    /// None: the artist may be in the title.
    artist: u64,
    kinds: &'a [MediaKind],
}

impl<'a> Trace<'a> {
    fn of(clue: &Clue<'a>, terms: &mut Terms) -> Self {
        let title = terms.bits_of(clue.title);
        let artist = clue.artist.map_or(0, |artist| terms.bits_of(artist));
        Self { title, artist, kinds: clue.kinds }
    }
}

/// Where the terms were found: a bit each for itself, and 32 further on one for what is near it.
#[derive(Debug, Default)]
struct Found {
    words: Vec<u64>,
    names: Vec<u64>,
    weights: [f32; 32],
}

impl Found {
    /// A rare word tells more than a frequent one, and one that is only near tells less.
    fn weight(&self, bits: u64) -> f32 {
        let exact = bits as u32;
        let near = (bits >> 32) as u32 & !exact;
        self.sum(exact) + 0.6 * self.sum(near)
    }

    fn sum(&self, mut bits: u32) -> f32 {
        let mut sum = 0.0;
        while bits != 0 {
            sum += self.weights[bits.trailing_zeros() as usize];
            bits &= bits - 1;
        }
        sum
    }

    /// The terms that are there, or near.
    const fn terms(bits: u64) -> u32 {
        bits as u32 | (bits >> 32) as u32
    }
}

fn range(ends: &[u32], number: u32) -> std::ops::Range<usize> {
    let end = ends[number as usize] as usize;
    if number == 0 { 0..end } else { ends[number as usize - 1] as usize..end }
}

/// A bit for each letter, one for digits, and four for everything else.
fn letters(word: &str) -> u32 {
    word.chars().fold(0, |bits, letter| {
        bits | match letter {
            'a'..='z' => 1 << (letter as u32 - 'a' as u32),
            '0'..='9' => 1 << 26,
            other => 1 << (27 + other as u32 % 4),
        }
    })
}

fn hash(text: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish() as u32
}

fn cut(text: &str) -> &str {
    let text = text.trim();
    let mut end = text.len().min(MAX_NAME);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Buckets are powers of two, at most seven eighths full, with one byte more each.
fn map_bytes(map: &HashMap<u32, u32>) -> usize {
    (map.capacity() * 8 / 7).next_power_of_two() * 9
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: &[MediaKind] = &[MediaKind::Artist, MediaKind::Album, MediaKind::Track, MediaKind::Playlist];

    fn media(kind: MediaKind, id: u32, title: &str, artist: Option<&str>) -> Media {
        Media {
            uri: Some(format!("library://{}/{id}", kind_word(kind))),
            title: title.into(),
            version: None,
            artist: artist.map(Into::into),
            album: None,
            kind: Some(kind),
            favorite: false,
            playable: true,
        }
    }

    fn catalogue() -> Catalogue {
        let mut catalogue = Catalogue::default();
        catalogue.put(&media(MediaKind::Artist, 1, "AC/DC", None));
        catalogue.put(&media(MediaKind::Track, 7, "Hyperballad", Some("Björk")));
        catalogue.put(&media(MediaKind::Track, 3, "Sinnerman", Some("Nina Simone")));
        catalogue.put(&media(MediaKind::Album, 3, "Kind of Blue", Some("Miles Davis")));
        catalogue.put(&media(MediaKind::Track, 4, "Folge 12", Some("Die drei ???")));
        catalogue
    }

    fn titles(catalogue: &Catalogue, said: &str) -> Vec<String> {
        let phrase = Phrase::of(said);
        let found = catalogue.candidates(&[Clue { title: &phrase, artist: None, kinds: ALL }]);
        found.into_iter().map(|candidate| candidate.media.title).collect()
    }

    #[test]
    fn what_may_be_meant_is_found() {
        let catalogue = catalogue();
        for (said, title) in [
            ("acdc", "AC/DC"),
            ("ac dc", "AC/DC"),
            ("hyper ballad", "Hyperballad"),
            ("hiperbalat", "Hyperballad"),
            ("sinnerman nina simone", "Sinnerman"),
            ("kind of blue", "Kind of Blue"),
            ("folge zwölf", "Folge 12"),
        ] {
            assert!(titles(&catalogue, said).contains(&title.to_owned()), "{said:?}: {:?}", titles(&catalogue, said));
        }
        assert!(titles(&catalogue, "xyzzy").is_empty());
        assert!(titles(&catalogue, "").is_empty());
    }

    #[test]
    fn items_are_renamed_and_removed() {
        let mut catalogue = catalogue();
        catalogue.put(&media(MediaKind::Track, 3, "Feeling Good", Some("Nina Simone")));
        assert_eq!(catalogue.len(), 5);
        assert!(titles(&catalogue, "sinnerman").is_empty());
        assert_eq!(titles(&catalogue, "feeling good"), ["Feeling Good"]);
        catalogue.remove("library://track/3");
        catalogue.remove("library://track/999");
        catalogue.remove("nonsense");
        assert_eq!(catalogue.len(), 4);
        assert!(titles(&catalogue, "feeling good").is_empty());
    }

    #[test]
    fn what_was_missing_twice_is_gone() {
        let mut catalogue = catalogue();
        for gone in [false, true] {
            catalogue.begin();
            catalogue.put(&media(MediaKind::Track, 7, "Hyperballad", Some("Björk")));
            catalogue.all_read(MediaKind::Track);
            catalogue.end();
            assert_eq!(titles(&catalogue, "sinnerman").is_empty(), gone);
            assert_eq!(titles(&catalogue, "kind of blue").len(), 1, "albums were not read");
        }
        assert_eq!(titles(&catalogue, "hyperballad"), ["Hyperballad"]);
    }

    #[test]
    fn names_that_nothing_has_any_more_are_forgotten() {
        let mut catalogue = Catalogue::default();
        let all = |catalogue: &mut Catalogue, word: &str| {
            for id in 0..500 {
                catalogue.put(&media(MediaKind::Track, id, &format!("{word} {id}"), Some("Somebody")));
            }
            catalogue.end();
        };
        all(&mut catalogue, "alpha");
        let before = catalogue.names.len();
        all(&mut catalogue, "beta");
        assert_eq!(catalogue.names.len(), before);
        assert!(titles(&catalogue, "beta 77").contains(&"beta 77".to_owned()));
    }

    #[test]
    fn fame_is_counted() {
        let mut catalogue = catalogue();
        catalogue.put(&media(MediaKind::Track, 8, "Jóga", Some("Björk")));
        let phrase = Phrase::of("hyperballad");
        let found = catalogue.candidates(&[Clue { title: &phrase, artist: None, kinds: ALL }]);
        assert_eq!(found[0].known, 2);
    }

    #[test]
    fn what_is_elsewhere_or_without_a_number_is_left_out() {
        let mut catalogue = Catalogue::default();
        let mut elsewhere = media(MediaKind::Track, 1, "x", None);
        for uri in [Some("stream://track/1"), Some("library://track/one"), Some("library://hologram/1"), None] {
            elsewhere.uri = uri.map(Into::into);
            catalogue.put(&elsewhere);
        }
        assert!(catalogue.is_empty());
    }

    proptest! {
        #[test]
        fn any_names_are_kept_and_looked_for_without_panic(
            names in prop::collection::vec(".{0,40}", 0..12),
            said in ".{0,60}",
        ) {
            let mut catalogue = Catalogue::default();
            for (id, name) in (0..).zip(&names) {
                catalogue.put(&media(MediaKind::Track, id, name, Some(name)));
            }
            let _ = titles(&catalogue, &said);
            for name in &names {
                let phrase = Phrase::of(name);
                if !phrase.is_empty() && !phrase.words().is_empty() {
                    let artist = Clue { title: &phrase, artist: Some(&phrase), kinds: ALL };
                    prop_assert!(!catalogue.candidates(&[artist]).is_empty());
                }
            }
        }
    }
}
