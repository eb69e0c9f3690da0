//! Judging what a search brought: which of these did the person mean, and how sure is that?
//!
//! Music Assistant's own search matches neither an artist and a title together nor a slip of the tongue, so the
//! connector searches for parts and ranks the results here. What was said may be understood in several ways; each is a
//! [`Wanted`]. What was found may be called by several names; [`Found`] has them all.

mod called;

use macloud_e2ee::vocabulary::{MediaKind, MediaQuery};

use super::words::normalized;
use super::words::phrase::Phrase;
use crate::library::{Candidate, Clue, Library};
use crate::music_assistant::model::Media;
use called::{Called, Traits};

/// Below this, what was found is something else. Better to say "not found" than to ask about anything.
pub const ACCEPTABLE: f32 = 0.66;

/// At or above this, it is played without asking.
pub const SURE: f32 = 0.8;

/// At or above this, nothing better is worth waiting for.
pub const CERTAIN: f32 = 0.9;

/// Not quite [`SURE`] is sure enough if nothing else comes near.
const ALONE: f32 = 0.77;

/// Below that, however alone: what comes near in a part of a library.
const NEAR: f32 = 0.74;

/// How much better than the next [`ALONE`] has to be.
const LEAD: f32 = 0.1;

/// Of two things with different names that fit about equally well, and not very well, neither is sure.
const TOSS_UP: f32 = 0.03;

/// Above this the name was said as it is, and no other comes into question.
const SAID_EXACTLY: f32 = 0.95;

/// What was asked for, taken apart in one of the ways in which it can be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The name of it.
    pub title: Phrase,
    /// Its artist.
    pub artist: Option<Phrase>,
    /// Its album.
    pub album: Option<Phrase>,
    /// What it is.
    pub kind: Option<MediaKind>,
    /// The recording: live, a remix …
    traits: Traits,
}

impl Wanted {
    /// The ways in which `query` can be meant, the likeliest first. Empty when nothing was named at all.
    #[must_use]
    pub fn readings(query: &MediaQuery) -> Vec<Self> {
        let text = normalized(&query.text);
        let artist = query.artist.as_deref().map(normalized).filter(|artist| !artist.is_empty());
        let (said_kind, rest) = kind_said(&text);
        let kind = query.kind.or(said_kind);
        let mut readings = Vec::new();
        match artist {
            Some(artist) if means_anything(rest) => readings.push(Self::of(&artist, None, Some(MediaKind::Artist))),
            // "an album by queen": any. But there may be one of that name.
            Some(artist) if is_kind_word(rest) => {
                readings.push(Self::of(rest, Some(&artist), query.kind));
                readings.push(Self::of(&artist, None, Some(MediaKind::Artist)));
            }
            Some(artist) => {
                readings.push(Self::of(rest, Some(&artist), kind));
                if rest != text {
                    readings.push(Self::of(&text, Some(&artist), query.kind));
                }
            }
            None => readings.extend(Self::split(&text, rest, kind, query.kind)),
        }
        let recordings: Vec<Self> = readings.iter().filter_map(Self::as_recording).collect();
        let on_albums: Vec<Self> = readings.iter().filter_map(Self::on_album).collect();
        readings.extend(recordings);
        readings.extend(on_albums);
        let mut distinct: Vec<Self> = Vec::with_capacity(readings.len());
        for reading in readings {
            if !reading.title.is_empty() && !distinct.iter().any(|earlier| earlier.means_the_same(&reading)) {
                distinct.push(reading);
            }
        }
        distinct.truncate(MOST_READINGS);
        distinct
    }

    fn means_the_same(&self, other: &Self) -> bool {
        let names = |wanted: &Self| (wanted.artist.clone(), wanted.album.clone(), wanted.kind, wanted.traits);
        self.title.is_same(&other.title) && names(self) == names(other)
    }

    /// The artist of this name.
    #[must_use]
    pub fn artist(name: &Phrase) -> Self {
        Self::of(&name.text, None, Some(MediaKind::Artist))
    }

    /// Of normalized texts.
    fn of(title: &str, artist: Option<&str>, kind: Option<MediaKind>) -> Self {
        Self {
            title: Phrase::of_normalized(title.trim().into()),
            artist: artist.map(|artist| Phrase::of_normalized(artist.trim().into())),
            album: None,
            kind,
            traits: Traits::NONE,
        }
    }

    /// No artist was given apart: it may be inside the text ("… by …"), and a word for a kind may or may not be one.
    fn split(text: &str, rest: &str, kind: Option<MediaKind>, given: Option<MediaKind>) -> Vec<Self> {
        let mut readings = Vec::new();
        for by in BY {
            // The words may be part of the title, too ("Stand by Me", "Bridge over …"): the last one is the likeliest.
            // "an audio play by …": the kind is all that was said of it.
            if let Some(artist) = rest.strip_prefix(by.trim_start()).filter(|_| rest != text) {
                readings.push(Self::of(artist, None, Some(MediaKind::Artist)));
            }
            if let Some((title, artist)) = rest.rsplit_once(by) {
                if means_anything(title) {
                    readings.push(Self::of(artist, None, Some(MediaKind::Artist)));
                } else {
                    readings.push(Self::of(title, Some(artist), kind));
                    if is_kind_word(title) {
                        readings.push(Self::of(artist, None, Some(MediaKind::Artist)));
                    }
                }
            }
        }
        readings.push(Self::of(rest, None, kind));
        if rest != text {
            readings.push(Self::of(text, None, given));
        }
        if let Some(bare) = without_filler(rest) {
            readings.push(Self::of(bare, None, kind));
        }
        readings
    }

    /// "hotel california live": a recording of "hotel california".
    fn as_recording(&self) -> Option<Self> {
        let (title, traits) = called::without_traits(&self.title.text)?;
        Some(Self { title: Phrase::of_normalized(title), traits, ..self.clone() })
    }

    /// "come together from abbey road", "… vom album …".
    fn on_album(&self) -> Option<Self> {
        let (title, album) = FROM_ALBUM.iter().find_map(|from| self.title.text.rsplit_once(from))?;
        let (title, album) = (Phrase::of_normalized(title.into()), Phrase::of_normalized(album.into()));
        (!title.is_empty() && !album.is_empty()).then(|| Self { title, album: Some(album), ..self.clone() })
    }

    /// The kinds to look through.
    #[must_use]
    pub fn kinds(&self) -> &'static [MediaKind] {
        use MediaKind::{Album, Artist, Audiobook, Genre, Playlist, Podcast, Radio, Track};
        match self.kind {
            Some(Track) => &[Track],
            Some(Album) => &[Album],
            Some(Artist) => &[Artist],
            Some(Playlist) => &[Playlist],
            Some(Radio) => &[Radio],
            // A server that has no list of genres may have a playlist or a station of that name.
            Some(Genre) => &[Genre, Playlist, Radio],
            Some(Audiobook) => &[Audiobook],
            Some(Podcast) => &[Podcast],
            None if self.artist.is_some() => &[Track, Album, Audiobook],
            None => &[Artist, Album, Track, Playlist, Radio, Genre, Audiobook, Podcast],
        }
    }

    /// The longer words of it, to search for one by one when the whole finds nothing.
    #[must_use]
    pub fn search_words(&self) -> Vec<&str> {
        longer_words(&self.title)
    }

    /// The same of its artist.
    #[must_use]
    pub fn artist_words(&self) -> Vec<&str> {
        self.artist.as_ref().map(longer_words).unwrap_or_default()
    }

    /// From 0 to about 1.1: how well `found` fits.
    #[must_use]
    pub fn score(&self, found: &Found) -> f32 {
        let media = &found.media;
        if !media.playable || media.uri.is_none() {
            return 0.0;
        }
        let other_kind = match self.kind {
            None => 0.0,
            wanted if wanted == media.kind => 0.0,
            Some(MediaKind::Genre) if matches!(media.kind, Some(MediaKind::Playlist | MediaKind::Radio)) => 0.1,
            Some(_) => return 0.0,
        };
        let fit = found.names.iter().map(|called| self.fit(called, found) - called.less).fold(0.0, f32::max);
        let fit = fit - other_kind - self.other_recording(found);
        if fit < 0.4 { 0.0 } else { fit + self.preference(found) }
    }

    /// Whether `found` is called so, and is by whoever was named: but for accents, articles and the like, letter by letter.
    fn is_of(&self, found: &Found) -> bool {
        let is = |said: &Phrase, name: &Phrase| said.likeness(name) >= SAID_EXACTLY;
        let by = |artist: &Phrase| found.artists.iter().any(|name| is(artist, name));
        let together = |called: &Called| {
            let of = |name: &Phrase| Phrase::of_normalized(format!("{} {}", called.phrase.text, name.text));
            found.artists.iter().any(|name| is(&self.title, &of(name)))
        };
        found.names.iter().any(|called| match &self.artist {
            Some(artist) => is(&self.title, &called.phrase) && by(artist),
            None => is(&self.title, &called.phrase) || together(called),
        })
    }

    fn fit(&self, called: &Called, found: &Found) -> f32 {
        let title = self.title.likeness(&called.phrase);
        let fit = match (&self.artist, found.by(self)) {
            (Some(_), Some(by)) if by < OTHER_ARTIST => {
                // Of that name, by somebody else: worth a question, and never played without one.
                if title >= SAID_EXACTLY { 0.68 * title } else { 0.0 }
            }
            (Some(_), Some(_)) if title < 0.6 => 0.0,
            (Some(_), Some(by)) => 0.7 * title + 0.3 * by,
            // Playlists and stations have no artist; for anything else a missing one is a poor sign.
            (Some(_), None) => 0.6 * title,
            (None, _) => title.max(self.short_name(called)).max(self.both(called, found)),
        };
        match &self.album {
            None => fit,
            Some(album) => match found.album.as_ref().map(|name| album.likeness(name)) {
                Some(on) if on >= 0.6 => 0.75 * fit + 0.25 * on,
                _ => 0.0,
            },
        }
    }

    /// "beethoven", where an artist was asked for; "swr one", where a station was.
    fn short_name(&self, called: &Called) -> f32 {
        match self.kind {
            Some(MediaKind::Artist) if self.title.ends(&called.phrase) => FAMILY_NAME,
            Some(MediaKind::Radio) if self.title.begins(&called.phrase) => STATION,
            _ => 0.0,
        }
    }

    /// Title and artist may both be in what was said, without a word between them: "hyperballad bjork".
    fn both(&self, called: &Called, found: &Found) -> f32 {
        if self.title.words().len() < 2 || self.title.heard_in(&called.phrase) > 0.97 {
            return 0.0;
        }
        // Every word of the title must have been said, and every word that was said must be somewhere.
        let titled = called.phrase.heard_in(&self.title);
        if titled < 0.8 {
            return 0.0;
        }
        let by = |artist: &Phrase| {
            let named = artist.heard_in(&self.title);
            if named < 0.2 {
                return 0.0;
            }
            let heard = self.title.heard_in_either(&called.phrase, artist);
            0.94 * heard * heard * (0.5 + 0.5 * titled) * (0.9 + 0.1 * named)
        };
        found.artists.iter().map(by).fold(0.0, f32::max)
    }

    /// What a recording loses that is live, a remix or a cover, and was not asked for as such; or that was, and is not.
    fn other_recording(&self, found: &Found) -> f32 {
        if !found.traits.has(self.traits) {
            return 0.22;
        }
        let said = self.traits.and(called::traits_in(&self.title.text));
        let by_name = self.artist.is_some() || found.artists.iter().any(|artist| artist.heard_in(&self.title) >= 0.2);
        found.traits.unwanted(said, by_name)
    }

    /// Small enough never to outweigh a better name.
    fn preference(&self, found: &Found) -> f32 {
        let media = &found.media;
        let by_kind = match (media.kind, self.artist.is_some()) {
            // All of a play, not its first part.
            (Some(MediaKind::Album), _) if self.title.counts() => 0.05,
            (Some(MediaKind::Track), true) => 0.04,
            (Some(MediaKind::Album), true) => 0.03,
            (Some(MediaKind::Artist), _) => 0.04,
            (Some(MediaKind::Playlist), _) => 0.035,
            (Some(MediaKind::Album), false) => 0.03,
            (Some(MediaKind::Track), false) => 0.02,
            (Some(MediaKind::Radio), _) if self.title.text.contains("radio") => 0.04,
            (Some(MediaKind::Audiobook), _) => 0.018,
            (Some(MediaKind::Radio | MediaKind::Podcast), _) => 0.015,
            (Some(MediaKind::Genre), _) => 0.01,
            (None, _) => 0.0,
        };
        let favorite = if media.favorite { 0.012 } else { 0.0 };
        let loved = if found.loved { 0.006 } else { 0.0 };
        // 0.01 from a hundred items on.
        let known = 0.002 * ((1 + found.known) as f32).log2().min(6.0);
        by_kind + favorite + loved + known
    }
}

/// Something that was found, with all that is needed to compare it.
#[derive(Debug, Clone)]
pub struct Found {
    /// It.
    pub media: Media,
    names: Vec<Called>,
    traits: Traits,
    artists: Vec<Phrase>,
    album: Option<Phrase>,
    known: u32,
    loved: bool,
}

impl Found {
    /// Taken apart.
    #[must_use]
    pub fn of(candidate: Candidate) -> Self {
        let Candidate { media, known, loved } = candidate;
        let (names, traits) = called::names_of(&media);
        Self {
            artists: media.artist.as_deref().map(called::artists_in).unwrap_or_default(),
            album: media.album.as_deref().map(Phrase::of),
            names,
            traits,
            known,
            loved,
            media,
        }
    }

    /// How likely it is by the artist that is wanted. `None` if it has none.
    fn by(&self, wanted: &Wanted) -> Option<f32> {
        let artist = wanted.artist.as_ref()?;
        let by = |name: &Phrase| {
            let likeness = artist.likeness(name);
            if artist.ends(name) {
                likeness.max(FAMILY_NAME)
            } else if artist.begins(name) {
                likeness.max(FIRST_NAME)
            } else {
                likeness
            }
        };
        let best = self.artists.iter().map(by).reduce(f32::max)?;
        // "Bach: Goldberg Variations" by a pianist is by Bach.
        let composed = |name: &Phrase| artist.heard_in(name) > 0.97 && wanted.title.heard_in(name) > 0.5;
        let titles = self.names.iter().map(|called| &called.phrase).chain(&self.album);
        let composed = best < COMPOSER && titles.into_iter().any(composed);
        Some(if composed { COMPOSER } else { best })
    }

    /// Whether both are called the same, whoever they are by.
    fn is_namesake(&self, other: &Self) -> bool {
        let names = |found: &Self| found.names.iter().map(|called| called.phrase.text.clone()).collect::<Vec<_>>();
        let others = names(other);
        names(self).iter().any(|name| others.contains(name))
    }
}

impl From<Media> for Found {
    fn from(media: Media) -> Self {
        Self::of(Candidate { media, known: 0, loved: false })
    }
}

/// What was found, with scores, the best first; only acceptable ones.
pub type Ranked = Vec<(f32, Found)>;

/// How sure it is that the first one is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It can be played.
    Sure,
    /// It is worth a question.
    Unsure,
    /// There is none.
    Nothing,
}

/// The items of the home's own library that fit, as far as it is known.
#[must_use]
pub fn in_library(library: &Library, readings: &[Wanted]) -> Ranked {
    let clues: Vec<Clue<'_>> = readings
        .iter()
        .map(|wanted| Clue { title: &wanted.title, artist: wanted.artist.as_ref(), kinds: wanted.kinds() })
        .collect();
    rank(readings, library.candidates(&clues).into_iter().map(Found::of).collect())
}

/// The best score that any reading gives; a later reading counts a little less.
#[must_use]
pub fn rank(readings: &[Wanted], found: Vec<Found>) -> Ranked {
    let best = |found: &Found| {
        readings.iter().enumerate().map(|(at, wanted)| wanted.score(found) - 0.01 * at as f32).fold(0.0, f32::max)
    };
    let mut ranked: Ranked = found.into_iter().map(|found| (best(&found), found)).collect();
    ranked.retain(|(score, _)| *score >= ACCEPTABLE);
    // Of equals, always the same.
    ranked.sort_by(|one, other| other.0.total_cmp(&one.0).then_with(|| one.1.media.uri.cmp(&other.1.media.uri)));
    ranked.dedup_by(|later, earlier| later.1.media.uri == earlier.1.media.uri);
    ranked
}

/// Of a part of a library, what is like the thing that was named may not be that thing, which may be in the rest: at most it is
/// worth a question, and whatever else fits comes first.
#[must_use]
pub fn of_a_part(readings: &[Wanted], found: Ranked) -> Ranked {
    let is_named = |found: &Found| readings.iter().any(|wanted| wanted.is_of(found));
    found.into_iter().map(|(score, found)| (if is_named(&found) { score } else { score.min(NEAR) }, found)).collect()
}

/// Judge the first one beside the others.
#[must_use]
pub fn judge(ranked: &[(f32, Found)]) -> Verdict {
    let Some((best, first)) = ranked.first() else { return Verdict::Nothing };
    let rival = ranked.iter().skip(1).find(|(_, other)| !other.is_namesake(first)).map_or(0.0, |(score, _)| *score);
    let sure = *best >= SURE || (*best >= ALONE && best - rival >= LEAD);
    let toss_up = *best < SAID_EXACTLY && best - rival < TOSS_UP;
    if sure && !toss_up { Verdict::Sure } else { Verdict::Unsure }
}

/// The best of `found` for one reading.
#[must_use]
pub fn ranked(wanted: &Wanted, found: Vec<Media>) -> Vec<(f32, Media)> {
    let found = found.into_iter().map(Found::from).collect();
    rank(std::slice::from_ref(wanted), found).into_iter().map(|(score, found)| (score, found.media)).collect()
}

fn longer_words(phrase: &Phrase) -> Vec<&str> {
    let mut all: Vec<&str> = phrase.words().iter().map(|word| word.text.as_str()).collect();
    all.retain(|word| word.chars().count() >= 3);
    all.sort_by_key(|word| std::cmp::Reverse(word.chars().count()));
    all.truncate(3);
    all
}

fn means_anything(text: &str) -> bool {
    let anything = |text: &str| text.is_empty() || ANYTHING.contains(&text);
    anything(text) || without_filler(text).is_some_and(anything)
}

fn is_kind_word(text: &str) -> bool {
    let text = without_filler(text).unwrap_or(text);
    KIND_WORDS.iter().any(|(word, _)| *word == text)
}

/// "the album night standards" → an album, "night standards"; "jazz mix playlist" → a playlist, "jazz mix".
fn kind_said(text: &str) -> (Option<MediaKind>, &str) {
    let bare = without_filler(text).unwrap_or(text);
    let first = KIND_WORDS.iter().find_map(|(word, kind)| Some((Some(*kind), begins_with(bare, word)?)));
    if let Some(said) = first.filter(|(_, rest)| !rest.is_empty()) {
        return said;
    }
    let last = KIND_WORDS.iter().find_map(|(word, kind)| {
        // "x radio" and "x band" are names.
        let tells = !matches!(*word, "radio" | "band" | "record" | "nummer" | "disco" | "cd" | "tema");
        Some((Some(*kind), text.strip_suffix(word)?.strip_suffix(' ')?)).filter(|_| tells)
    });
    last.filter(|(_, rest)| !rest.is_empty()).unwrap_or((None, text))
}

/// What is said before a name without being part of it.
fn without_filler(text: &str) -> Option<&str> {
    FILLERS.iter().find_map(|filler| begins_with(text, filler))
}

fn begins_with<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    text.strip_prefix(word)?.strip_prefix(' ')
}

/// Each costs about as much as the first.
const MOST_READINGS: usize = 8;

/// Below this an artist is another one.
const OTHER_ARTIST: f32 = 0.55;

/// A family name stands for its bearer, but there may be several.
const FAMILY_NAME: f32 = 0.88;

/// The beginning of a name, beside a title: the title has to fit, too.
const FIRST_NAME: f32 = 0.7;

/// Stations say more in their names than people do, but several may begin alike.
const STATION: f32 = 0.84;

/// Named in the title, not among the artists.
const COMPOSER: f32 = 0.85;

/// "… by …" in the languages spoken to the skill.
const BY: [&str; 10] = [" by ", " von ", " de ", " di ", " par ", " van ", " dei ", " del ", " du ", " des "];

/// "… from the album …". Longer ones first.
const FROM_ALBUM: [&str; 13] = [
    " from the album ",
    " off the album ",
    " vom album ",
    " aus dem album ",
    " de l album ",
    " de lalbum ",
    " del album ",
    " dallalbum ",
    " dall album ",
    " van het album ",
    " from ",
    " aus ",
    " uit ",
];

/// Titles that mean "anything".
const ANYTHING: &[&str] = &[
    "music",
    "songs",
    "some music",
    "some songs",
    "the songs",
    "something",
    "anything",
    "musik",
    "etwas",
    "irgendwas",
    "lieder",
    "musique",
    "de la musique",
    "des chansons",
    "les chansons",
    "quelque chose",
    "musica",
    "canciones",
    "algo",
    "la musica",
    "canzoni",
    "le canzoni",
    "qualcosa",
    "muziek",
    "liedjes",
    "nummers",
    "iets",
];

/// Longer ones first.
#[rustfmt::skip]
const FILLERS: &[&str] = &[
    "me some", "un peu de", "de la", "algo de", "un po di", "il mio", "la mia",
    "the", "my", "some", "a", "an",
    "die", "das", "der", "den", "meine", "mein", "meinen", "etwas", "ein", "eine",
    "la", "le", "les", "l", "ma", "mon", "mes", "du", "une", "un",
    "el", "los", "las", "mi", "mis", "una",
    "il", "lo", "i", "gli",
    "het", "de", "mijn", "wat", "een",
];

#[rustfmt::skip]
const KIND_WORDS: &[(&str, MediaKind)] = &[
    ("album", MediaKind::Album), ("record", MediaKind::Album), ("horspiel", MediaKind::Album), ("horspiele", MediaKind::Album),
    ("disco", MediaKind::Album), ("cd", MediaKind::Album), ("plaat", MediaKind::Album), ("lalbum", MediaKind::Album),
    ("playlist", MediaKind::Playlist), ("wiedergabeliste", MediaKind::Playlist), ("liste de lecture", MediaKind::Playlist),
    ("lista de reproduccion", MediaKind::Playlist), ("afspeellijst", MediaKind::Playlist), ("speellijst", MediaKind::Playlist),
    ("song", MediaKind::Track), ("track", MediaKind::Track), ("lied", MediaKind::Track), ("titel", MediaKind::Track),
    ("chanson", MediaKind::Track), ("cancion", MediaKind::Track), ("canzone", MediaKind::Track), ("brano", MediaKind::Track),
    ("tema", MediaKind::Track), ("liedje", MediaKind::Track), ("nummer", MediaKind::Track), ("morceau", MediaKind::Track),
    ("artist", MediaKind::Artist), ("band", MediaKind::Artist), ("kunstler", MediaKind::Artist), ("artiste", MediaKind::Artist),
    ("artista", MediaKind::Artist), ("artiest", MediaKind::Artist), ("groupe", MediaKind::Artist), ("gruppo", MediaKind::Artist),
    ("grupo", MediaKind::Artist), ("lartiste", MediaKind::Artist),
    ("radio station", MediaKind::Radio), ("radio", MediaKind::Radio), ("station", MediaKind::Radio),
    ("radiosender", MediaKind::Radio), ("sender", MediaKind::Radio), ("emisora", MediaKind::Radio), ("zender", MediaKind::Radio),
    ("stazione", MediaKind::Radio), ("radiozender", MediaKind::Radio),
    ("genre", MediaKind::Genre), ("genere", MediaKind::Genre), ("genero", MediaKind::Genre),
    ("audiobook", MediaKind::Audiobook), ("horbuch", MediaKind::Audiobook), ("livre audio", MediaKind::Audiobook),
    ("audiolibro", MediaKind::Audiobook), ("luisterboek", MediaKind::Audiobook),
    ("podcast", MediaKind::Podcast),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn media(kind: MediaKind, title: &str, artist: Option<&str>) -> Media {
        Media {
            uri: Some(format!("library://{title}/{artist:?}")),
            title: title.into(),
            version: None,
            artist: artist.map(Into::into),
            album: None,
            kind: Some(kind),
            favorite: false,
            playable: true,
        }
    }

    fn library() -> Vec<Media> {
        use MediaKind::{Album, Artist, Playlist, Track};
        vec![
            media(Artist, "AC-DC Cover Club", None),
            media(Artist, "Björk Guðmundsdóttir Tribute", None),
            media(Artist, "The Test Tones", None),
            media(Artist, "Miles Ahead Quartet", None),
            media(Album, "First Frequencies", Some("The Test Tones")),
            media(Album, "Night Standards", Some("Miles Ahead Quartet")),
            media(Album, "Kind of Blue", Some("Miles Ahead Quartet")),
            media(Track, "Blue in Beige", Some("Miles Ahead Quartet")),
            media(Track, "All Greens", Some("Miles Ahead Quartet")),
            media(Track, "Blue Monday Morning", Some("The Test Tones")),
            media(Track, "Hyperballað", Some("Björk Guðmundsdóttir Tribute")),
            media(Track, "Kitchen Light", Some("The Test Tones")),
            media(Playlist, "Jazz Mix", None),
            media(Artist, "P!nk Noise", None),
            media(Track, "Just Like a Hill", Some("P!nk Noise")),
        ]
    }

    fn query(text: &str, artist: Option<&str>, kind: Option<MediaKind>) -> MediaQuery {
        MediaQuery { text: text.into(), artist: artist.map(Into::into), kind, sure: false }
    }

    fn best(query: &MediaQuery) -> (Verdict, Option<String>) {
        let ranked = rank(&Wanted::readings(query), library().into_iter().map(Found::from).collect());
        (judge(&ranked), ranked.into_iter().next().map(|(_, found)| found.media.title))
    }

    #[test]
    fn what_people_say_finds_what_they_mean() {
        use MediaKind::{Album, Artist, Playlist, Track};
        for (text, artist, kind, title) in [
            ("kind of blue", None, None, "Kind of Blue"),
            ("the album night standards", None, None, "Night Standards"),
            ("night standards", None, Some(Album), "Night Standards"),
            ("blue monday morning by the test tones", None, None, "Blue Monday Morning"),
            ("blue monday morning", Some("test tones"), None, "Blue Monday Morning"),
            ("hyperballad bjork", None, None, "Hyperballað"),
            ("hyperballad", None, Some(Track), "Hyperballað"),
            ("hyperbalad", Some("björk"), Some(Track), "Hyperballað"),
            ("kitchen lights", None, None, "Kitchen Light"),
            ("acdc cover club", None, None, "AC-DC Cover Club"),
            ("all green", None, None, "All Greens"),
            ("jazz mix", None, Some(Playlist), "Jazz Mix"),
            ("my playlist jazz mix", None, None, "Jazz Mix"),
            ("test tones", None, Some(Artist), "The Test Tones"),
            ("music by the test tones", None, None, "The Test Tones"),
            ("some music", Some("the test tones"), None, "The Test Tones"),
            ("", Some("miles ahead quartet"), None, "Miles Ahead Quartet"),
            ("pink noise", None, None, "P!nk Noise"),
            ("just like a hill", Some("pink noise"), None, "Just Like a Hill"),
            ("first frequencies test tones", None, None, "First Frequencies"),
        ] {
            let found = best(&query(text, artist, kind));
            assert_eq!(found, (Verdict::Sure, Some(title.to_owned())), "{text:?} {artist:?} {kind:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for (text, artist, kind) in [
            ("zzzz nothing", None, None),
            ("thriller", Some("michael jackson"), None),
            ("jazz mix", None, Some(MediaKind::Album)),
            ("", None, None),
            ("!!!", None, None),
        ] {
            assert_eq!(best(&query(text, artist, kind)), (Verdict::Nothing, None), "{text:?} {artist:?} {kind:?}");
        }
    }

    #[test]
    fn what_may_be_something_else_is_asked_about() {
        for (text, artist, title) in [
            ("kitchen nights", None, "Kitchen Light"),
            ("blue monday morning", Some("miles ahead quartet"), "Blue Monday Morning"),
            ("standards", None, "Night Standards"),
        ] {
            let found = best(&query(text, artist, None));
            assert_eq!(found, (Verdict::Unsure, Some(title.to_owned())), "{text:?} {artist:?}");
        }
    }

    #[test]
    fn what_cannot_be_played_is_not_chosen() {
        let wanted = &Wanted::readings(&query("x", None, None))[0];
        let mut gone = media(MediaKind::Track, "x", None);
        gone.playable = false;
        assert!(ranked(wanted, vec![gone]).is_empty());
    }

    #[test]
    fn the_plain_recording_is_preferred_unless_another_was_asked_for() {
        let mut live = media(MediaKind::Track, "X-Ray Night", Some("A"));
        live.version = Some("Live".into());
        let plain = media(MediaKind::Track, "X-Ray Night", Some("B"));
        let remix = media(MediaKind::Track, "X-Ray Night (Somebody's Remix)", Some("C"));
        let karaoke = media(MediaKind::Track, "X-Ray Night - Karaoke Version", Some("D"));
        for (text, artist) in [
            ("x ray night", "B"),
            ("x ray night live", "A"),
            ("live version of x ray night", "A"),
            ("x ray night remix", "C"),
            ("x ray night karaoke", "D"),
        ] {
            let all = [&live, &plain, &remix, &karaoke].map(|media| Found::from(media.clone()));
            let ranked = rank(&Wanted::readings(&query(text, None, None)), all.to_vec());
            assert_eq!(ranked[0].1.media.artist.as_deref(), Some(artist), "{text:?}");
        }
    }

    #[test]
    fn all_of_a_play_is_preferred_to_its_first_part() {
        let album = media(MediaKind::Album, "Folge 12: Der seltsame Wecker", Some("Die drei ???"));
        let part = media(MediaKind::Track, "Folge 12 - Teil 1", Some("Die drei ???"));
        let other = media(MediaKind::Album, "Folge 13: Der lachende Schatten", Some("Die drei ???"));
        for text in ["die drei fragezeichen folge zwölf", "folge 12 von die drei fragezeichen", "der seltsame wecker"]
        {
            let all = [&album, &part, &other].map(|media| Found::from(media.clone()));
            let ranked = rank(&Wanted::readings(&query(text, None, None)), all.to_vec());
            assert_eq!(ranked[0].1.media.title, album.title, "{text:?}");
            assert_eq!(judge(&ranked), Verdict::Sure, "{text:?}");
        }
    }

    #[test]
    fn of_namesakes_the_better_known_one_is_meant() {
        let tracks = [("A", 3, false), ("B", 40, false), ("C", 2, true)].map(|(artist, known, favorite)| {
            let mut media = media(MediaKind::Track, "Hallelujah", Some(artist));
            media.uri = Some(format!("library://track/{known}"));
            media.favorite = favorite;
            Found::of(Candidate { media, known, loved: false })
        });
        let readings = Wanted::readings(&query("hallelujah", None, None));
        let artist = |ranked: &Ranked| ranked[0].1.media.artist.clone().unwrap();
        let ranked = rank(&readings, tracks.to_vec());
        assert_eq!((artist(&ranked).as_str(), judge(&ranked)), ("C", Verdict::Sure));
        assert_eq!(artist(&rank(&readings, tracks[..2].to_vec())), "B");
    }
}
