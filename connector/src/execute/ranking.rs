//! Judging what a search brought: which of these did the person mean?
//!
//! Music Assistant's own search matches neither an artist and a title together nor a slip of the tongue, so the
//! connector searches for parts and ranks the results here.

use macloud_e2ee::vocabulary::{MediaKind, MediaQuery};

use super::words::{alike, normalized, words};
use crate::music_assistant::model::Media;

/// Below this, what was found is something else. Better to say "not found" than to play anything.
pub const ACCEPTABLE: f32 = 0.62;

/// At or above this, nothing better is worth waiting for.
pub const CERTAIN: f32 = 0.9;

/// What was asked for, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The name of it, normalized. Empty when only an artist was named.
    pub title: String,
    /// Its artist, normalized.
    pub artist: Option<String>,
    /// What it is.
    pub kind: Option<MediaKind>,
}

impl Wanted {
    /// The ways in which `query` can be meant, the likeliest first. Empty when nothing was named at all.
    #[must_use]
    pub fn readings(query: &MediaQuery) -> Vec<Self> {
        let text = normalized(&query.text);
        let artist = query.artist.as_deref().map(normalized).filter(|artist| !artist.is_empty());
        let (said_kind, rest) = leading_kind(&text);
        let kind = query.kind.or(said_kind);
        let mut readings = Vec::new();
        match artist {
            Some(artist) if rest.is_empty() || ANYTHING.contains(&rest) => {
                readings.push(Self { title: artist, artist: None, kind: Some(MediaKind::Artist) });
            }
            Some(artist) => readings.push(Self { title: rest.into(), artist: Some(artist), kind }),
            None => readings.extend(Self::split(&text, rest, kind)),
        }
        readings.retain(|reading| !reading.title.is_empty());
        readings
    }

    /// No artist was given apart: it may be inside the text ("… by …"), and a leading word may or may not be a kind.
    fn split(text: &str, rest: &str, kind: Option<MediaKind>) -> Vec<Self> {
        let mut readings = Vec::new();
        for by in BY {
            if let Some((title, artist)) = rest.rsplit_once(by) {
                if ANYTHING.contains(&title) {
                    readings.push(Self { title: artist.into(), artist: None, kind: Some(MediaKind::Artist) });
                } else {
                    readings.push(Self { title: title.into(), artist: Some(artist.into()), kind });
                }
            }
        }
        readings.push(Self { title: rest.into(), artist: None, kind });
        if rest != text {
            readings.push(Self { title: text.into(), artist: None, kind: None });
        }
        readings
    }

    /// The kinds to look through.
    #[must_use]
    pub fn kinds(&self) -> &'static [MediaKind] {
        match self.kind {
            Some(MediaKind::Track) => &[MediaKind::Track],
            Some(MediaKind::Album) => &[MediaKind::Album],
            Some(MediaKind::Artist) => &[MediaKind::Artist],
            Some(MediaKind::Playlist) => &[MediaKind::Playlist],
            Some(MediaKind::Radio) => &[MediaKind::Radio],
            Some(MediaKind::Genre) => &[MediaKind::Genre],
            Some(MediaKind::Audiobook) => &[MediaKind::Audiobook],
            Some(MediaKind::Podcast) => &[MediaKind::Podcast],
            None if self.artist.is_some() => &[MediaKind::Track, MediaKind::Album],
            None => &[MediaKind::Artist, MediaKind::Album, MediaKind::Track, MediaKind::Playlist, MediaKind::Radio],
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
        self.artist.as_deref().map(longer_words).unwrap_or_default()
    }

    /// From 0 to about 1.1: how well `media` fits.
    #[must_use]
    pub fn score(&self, media: &Media) -> f32 {
        if !media.playable || media.uri.is_none() {
            return 0.0;
        }
        if self.kind.is_some() && media.kind != self.kind {
            return 0.0;
        }
        let title = normalized(&media.title);
        let artist = media.artist.as_deref().map(normalized);
        let fit = match (&self.artist, &artist) {
            (Some(wanted), Some(artist)) => {
                let by = likeness(wanted, artist);
                if by < 0.5 { 0.0 } else { 0.7 * likeness(&self.title, &title) + 0.3 * by }
            }
            // Playlists and stations have no artist; for anything else a missing one is a poor sign.
            (Some(_), None) => 0.6 * likeness(&self.title, &title),
            (None, _) => likeness(&self.title, &title).max(self.both(&title, artist.as_deref())),
        };
        if fit < 0.4 { 0.0 } else { fit + self.preference(media) }
    }

    /// Title and artist may both be in what was said, without a word between them: "hyperballad bjork".
    fn both(&self, title: &str, artist: Option<&str>) -> f32 {
        let Some(artist) = artist else { return 0.0 };
        let said = telling(&self.title);
        let (title, artist) = (telling(title), telling(artist));
        let in_title = said.iter().filter(|word| best_of(word, &title) > 0.7).count();
        let in_artist = said.iter().filter(|word| best_of(word, &artist) > 0.7).count();
        let in_either = said.iter().filter(|word| best_of(word, &title).max(best_of(word, &artist)) > 0.7).count();
        // Every word of the title must have been said, and every word that was said must be somewhere.
        let titled = title.iter().all(|word| best_of(word, &said) > 0.7);
        if in_title == 0 || in_artist == 0 || !titled || in_either < said.len() { 0.0 } else { 0.88 }
    }

    /// Small enough never to outweigh a better name.
    fn preference(&self, media: &Media) -> f32 {
        let by_kind = match (media.kind, self.artist.is_some()) {
            (Some(MediaKind::Track), true) => 0.04,
            (Some(MediaKind::Album), true) => 0.03,
            (Some(MediaKind::Artist), _) => 0.04,
            (Some(MediaKind::Playlist), _) => 0.035,
            (Some(MediaKind::Album), false) => 0.03,
            (Some(MediaKind::Track), false) => 0.02,
            (Some(MediaKind::Radio), _) => 0.015,
            (Some(MediaKind::Genre | MediaKind::Audiobook | MediaKind::Podcast), _) => 0.01,
            (None, _) => 0.0,
        };
        let plain = if media.version.is_none() { 0.005 } else { 0.0 };
        let favorite = if media.favorite { 0.01 } else { 0.0 };
        by_kind + plain + favorite
    }
}

/// The best of `found`, all with their scores, the best first; only acceptable ones.
#[must_use]
pub fn ranked(wanted: &Wanted, found: Vec<Media>) -> Vec<(f32, Media)> {
    let mut scored: Vec<(f32, Media)> = found
        .into_iter()
        .map(|media| (wanted.score(&media), media))
        .filter(|(score, _)| *score >= ACCEPTABLE)
        .collect();
    scored.sort_by(|one, other| other.0.total_cmp(&one.0));
    scored
}

/// From 0 to 1: how alike two normalized names are, word by word and in both directions.
fn likeness(said: &str, name: &str) -> f32 {
    if said == name {
        return 1.0;
    }
    if said.replace(' ', "") == name.replace(' ', "") {
        return 0.98;
    }
    let (said, name) = (telling(said), telling(name));
    if said.is_empty() || name.is_empty() {
        return 0.0;
    }
    if said == name {
        return 0.97;
    }
    let part = |some: &[&str], of: &[&str]| some.iter().map(|word| best_of(word, of)).sum::<f32>() / some.len() as f32;
    let heard = part(&said, &name);
    let covered = part(&name, &said);
    // What was said must be in the name; a longer name ("… (Remastered)", "… Quartet") is forgiven to a degree.
    let by_word = 0.95 * heard * heard * (0.7 + 0.3 * covered);
    // "pink noise" is how "P!nk Noise" sounds, whose words are "p nk noise".
    let whole = alike(&said.concat(), &name.concat());
    if whole >= ONE_SLIP { by_word.max(0.95 * whole * whole) } else { by_word }
}

fn longer_words(normalized: &str) -> Vec<&str> {
    let mut all = words(normalized);
    all.retain(|word| word.chars().count() >= 3 && !SMALL.contains(word));
    all.sort_by_key(|word| std::cmp::Reverse(word.chars().count()));
    all.truncate(3);
    all
}

fn best_of(word: &str, of: &[&str]) -> f32 {
    of.iter().map(|other| alike(word, other)).fold(0.0, f32::max)
}

fn telling(normalized: &str) -> Vec<&str> {
    let all = words(normalized);
    let telling: Vec<&str> = all.iter().copied().filter(|word| !SMALL.contains(word)).collect();
    if telling.is_empty() { all } else { telling }
}

/// "the album night standards" → an album, "night standards".
fn leading_kind(text: &str) -> (Option<MediaKind>, &str) {
    let text = ["the ", "my ", "some ", "die ", "das ", "der ", "meine ", "la ", "le ", "el ", "il ", "het ", "de "]
        .iter()
        .find_map(|article| {
            let rest = text.strip_prefix(article)?;
            KIND_WORDS.iter().any(|(word, _)| begins_with(rest, word).is_some()).then_some(rest)
        })
        .unwrap_or(text);
    KIND_WORDS
        .iter()
        .find_map(|(word, kind)| Some((Some(*kind), begins_with(text, word)?)))
        .filter(|(_, rest)| !rest.is_empty())
        .unwrap_or((None, text))
}

fn begins_with<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    text.strip_prefix(word)?.strip_prefix(' ')
}

/// Whole names without spaces may differ by about one letter in nine.
const ONE_SLIP: f32 = 0.87;

/// "… by …" in the languages spoken to the skill.
const BY: [&str; 6] = [" by ", " von ", " de ", " di ", " par ", " van "];

/// Titles that mean "anything".
const ANYTHING: &[&str] =
    &["music", "songs", "some music", "something", "anything", "musik", "musique", "musica", "muziek", "lieder"];

/// Words that tell nothing apart.
const SMALL: &[&str] = &[
    "the", "a", "an", "of", "and", "in", "on", "to", "for", "der", "die", "das", "und", "le", "la", "les", "el", "il",
    "de", "het",
];

const KIND_WORDS: &[(&str, MediaKind)] = &[
    ("album", MediaKind::Album),
    ("record", MediaKind::Album),
    ("playlist", MediaKind::Playlist),
    ("wiedergabeliste", MediaKind::Playlist),
    ("song", MediaKind::Track),
    ("track", MediaKind::Track),
    ("lied", MediaKind::Track),
    ("titel", MediaKind::Track),
    ("chanson", MediaKind::Track),
    ("artist", MediaKind::Artist),
    ("band", MediaKind::Artist),
    ("radio station", MediaKind::Radio),
    ("radio", MediaKind::Radio),
    ("station", MediaKind::Radio),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn media(kind: MediaKind, title: &str, artist: Option<&str>) -> Media {
        Media {
            uri: Some(format!("library://{title}")),
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

    fn best(query: &MediaQuery) -> Option<String> {
        let found = Wanted::readings(query).iter().flat_map(|wanted| ranked(wanted, library())).fold(
            None::<(f32, Media)>,
            |best, next| {
                if best.as_ref().is_none_or(|best| next.0 > best.0) { Some(next) } else { best }
            },
        );
        found.map(|(_, media)| media.title)
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
            assert_eq!(best(&query(text, artist, kind)).as_deref(), Some(title), "{text:?} {artist:?} {kind:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for (text, artist, kind) in [
            ("zzzz nothing", None, None),
            ("thriller", Some("michael jackson"), None),
            ("kitchen nights", None, None),
            ("blue monday morning", Some("miles ahead quartet"), None),
            ("jazz mix", None, Some(MediaKind::Album)),
            ("", None, None),
            ("!!!", None, None),
        ] {
            assert_eq!(best(&query(text, artist, kind)), None, "{text:?} {artist:?} {kind:?}");
        }
    }

    #[test]
    fn what_cannot_be_played_is_not_chosen() {
        let wanted = Wanted { title: "x".into(), artist: None, kind: None };
        let mut gone = media(MediaKind::Track, "x", None);
        gone.playable = false;
        assert!(ranked(&wanted, vec![gone]).is_empty());
    }

    #[test]
    fn the_plain_recording_is_preferred() {
        let wanted = Wanted { title: "x ray".into(), artist: None, kind: None };
        let mut live = media(MediaKind::Track, "X-Ray", Some("A"));
        live.version = Some("Live".into());
        let plain = media(MediaKind::Track, "X-Ray", Some("B"));
        assert_eq!(ranked(&wanted, vec![live, plain])[0].1.artist.as_deref(), Some("B"));
    }
}
