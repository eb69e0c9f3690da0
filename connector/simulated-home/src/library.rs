//! The music of a simulated home, and the JSON file one can write it in.
//!
//! # The file
//!
//! ```json
//! {
//!   "artists": [
//!     {"name": "Miles Davis", "genres": ["Jazz"], "albums": [
//!       {"title": "Kind of Blue", "year": 1959, "favorite": true, "tracks": [
//!         {"title": "So What", "seconds": 562},
//!         {"title": "Blue in Green", "seconds": 337, "favorite": true}
//!       ]}
//!     ]}
//!   ],
//!   "playlists": [
//!     {"name": "Quiet evening", "tracks": ["Miles Davis - So What", {"artist": "Miles Davis", "title": "Blue in Green"}]},
//!     {"name": "All day long", "tracks": ["Miles Davis - So What"], "repeat_to": 1300}
//!   ],
//!   "radios": [{"name": "Example FM", "url": "https://radio.example/stream"}],
//!   "players": [{"id": "up000420000001", "name": "Kitchen", "volume": 20, "power": true, "mute": true}]
//! }
//! ```
//!
//! Everything but the names may be left out. A playlist names its tracks as `"Artist - Title"` or as an object (for names
//! that contain ` - `); `repeat_to` repeats them until the playlist has that many entries; `"file": true` makes it a `.m3u` that
//! can be searched for but is not in the library. `players` are those of
//! [`PlayerConfig`]. Unknown fields are errors, so that a typing mistake is not silently ignored.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::player::PlayerConfig;
use crate::random::Dice;

/// Everything a simulated home can play.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Library {
    /// Artists with their albums.
    pub artists: Vec<Artist>,
    /// Playlists of tracks of those artists.
    pub playlists: Vec<Playlist>,
    /// Radio stations.
    pub radios: Vec<Radio>,
    /// The home's players, if the file names them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub players: Vec<PlayerConfig>,
}

/// An artist and the albums the home has of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artist {
    /// The name as people write it.
    pub name: String,
    /// Genres of all their tracks.
    #[serde(default)]
    pub genres: Vec<String>,
    /// Marked with a heart.
    #[serde(default)]
    pub favorite: bool,
    /// In the order of the file.
    #[serde(default)]
    pub albums: Vec<Album>,
}

/// An album.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Album {
    /// Its title.
    pub title: String,
    /// Year of release.
    #[serde(default)]
    pub year: Option<u16>,
    /// Marked with a heart.
    #[serde(default)]
    pub favorite: bool,
    /// In playing order.
    #[serde(default)]
    pub tracks: Vec<Track>,
}

/// A track.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Track {
    /// Its title.
    pub title: String,
    /// How long it plays.
    pub seconds: u32,
    /// Marked with a heart.
    #[serde(default)]
    pub favorite: bool,
}

/// A playlist.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Playlist {
    /// Its name.
    pub name: String,
    /// Marked with a heart.
    #[serde(default)]
    pub favorite: bool,
    /// What it plays, in order.
    #[serde(default)]
    pub tracks: Vec<TrackName>,
    /// Repeat the tracks until there are this many.
    #[serde(default)]
    pub repeat_to: Option<usize>,
    /// A playlist file (`.m3u`) that lies among the music. It can be searched for and played, but is not in the library.
    #[serde(default)]
    pub file: bool,
}

/// Names a track from a playlist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TrackName {
    /// `"Artist - Title"`.
    Text(String),
    /// For names that contain ` - ` themselves.
    Parts {
        /// The artist's name.
        artist: String,
        /// The track's title.
        title: String,
    },
}

impl TrackName {
    /// Artist and title, or `None` for a text without ` - `.
    #[must_use]
    pub fn parts(&self) -> Option<(&str, &str)> {
        match self {
            Self::Text(text) => text.split_once(" - ").map(|(artist, title)| (artist.trim(), title.trim())),
            Self::Parts { artist, title } => Some((artist, title)),
        }
    }
}

impl From<&str> for TrackName {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// A radio station.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Radio {
    /// Its name.
    pub name: String,
    /// Where its stream would be.
    #[serde(default)]
    pub url: Option<String>,
    /// Marked with a heart.
    #[serde(default)]
    pub favorite: bool,
}

/// Why a library cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// The file could not be read.
    #[error("cannot read the library file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not the JSON described in [`crate::library`].
    #[error("{place}: {source}")]
    Json {
        /// The file, or "the library".
        place: String,
        /// Line, column and complaint.
        source: serde_json::Error,
    },
    /// A playlist names a track no artist has.
    #[error("the playlist \"{playlist}\" names \"{entry}\", which no album has; write it as \"Artist - Title\"")]
    UnknownTrack {
        /// The playlist.
        playlist: String,
        /// What it names.
        entry: String,
    },
    /// A playlist shall be repeated but has nothing in it.
    #[error("the playlist \"{0}\" has repeat_to but no tracks to repeat")]
    NothingToRepeat(String),
    /// Two players have the same id.
    #[error("two players have the id \"{0}\"; ids must differ")]
    DuplicatePlayer(String),
}

impl Library {
    /// Reads the file described in [`crate::library`].
    ///
    /// # Errors
    /// Says what is wrong and where, in words for whoever wrote the file.
    pub fn load(path: &Path) -> Result<Self, LibraryError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| LibraryError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads the same from a text.
    ///
    /// # Errors
    /// As [`Library::load`].
    pub fn from_json(text: &str) -> Result<Self, LibraryError> {
        Self::parse(text, "the library")
    }

    fn parse(text: &str, place: &str) -> Result<Self, LibraryError> {
        let library: Self =
            serde_json::from_str(text).map_err(|source| LibraryError::Json { place: place.to_owned(), source })?;
        library.check()?;
        Ok(library)
    }

    /// Whether every playlist entry exists and every player id is its own.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn check(&self) -> Result<(), LibraryError> {
        for playlist in &self.playlists {
            if playlist.repeat_to.is_some() && playlist.tracks.is_empty() {
                return Err(LibraryError::NothingToRepeat(playlist.name.clone()));
            }
            if let Some(entry) = playlist.tracks.iter().find(|entry| !self.has(entry)) {
                let entry = match entry {
                    TrackName::Text(text) => text.clone(),
                    TrackName::Parts { artist, title } => format!("{artist} - {title}"),
                };
                return Err(LibraryError::UnknownTrack { playlist: playlist.name.clone(), entry });
            }
        }
        for (index, player) in self.players.iter().enumerate() {
            if self.players[..index].iter().any(|other| other.id == player.id) {
                return Err(LibraryError::DuplicatePlayer(player.id.clone()));
            }
        }
        Ok(())
    }

    fn has(&self, entry: &TrackName) -> bool {
        entry.parts().is_some_and(|(artist, title)| {
            let albums =
                self.artists.iter().filter(|candidate| candidate.name == artist).flat_map(|found| &found.albums);
            albums.flat_map(|album| &album.tracks).any(|track| track.title == title)
        })
    }

    /// This many invented tracks, ten on an album and some albums by each artist; the same for the same seed.
    #[must_use]
    pub fn generated(tracks: usize, seed: u64) -> Self {
        let mut dice = Dice::seeded(seed);
        let mut artists = Vec::new();
        let mut left = tracks;
        while left > 0 {
            let albums = 1 + dice.below(12);
            let mut artist = Artist {
                name: format!("{} {}", invented(&mut dice), invented(&mut dice)),
                genres: vec![GENRES[dice.below(GENRES.len())].to_owned()],
                favorite: dice.below(20) == 0,
                albums: Vec::new(),
            };
            for _ in 0..albums {
                let count = left.min(10);
                let tracks = (0..count).map(|_| Track {
                    title: title(&mut dice),
                    seconds: 120 + dice.below(240) as u32,
                    favorite: dice.below(50) == 0,
                });
                let tracks = tracks.collect();
                left -= count;
                if count > 0 {
                    let (title, year) = (title(&mut dice), Some(1950 + dice.below(76) as u16));
                    artist.albums.push(Album { title, year, favorite: dice.below(30) == 0, tracks });
                }
            }
            artists.push(artist);
        }
        Self { artists, ..Self::default() }
    }

    /// The library of the demo: well-known music, names with accents, one playlist longer than a frame.
    #[must_use]
    pub fn demo() -> Self {
        Self::from_json(DEMO).expect("a test reads this very text")
    }
}

/// A word that can be spoken.
fn invented(dice: &mut Dice) -> String {
    const ONSETS: [&str; 20] =
        ["b", "br", "d", "dr", "f", "fl", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "st", "t", "v", "w"];
    const VOWELS: [&str; 8] = ["a", "e", "i", "o", "u", "ai", "ee", "ou"];
    const CODAS: [&str; 8] = ["", "", "n", "r", "l", "s", "nd", "ck"];
    let mut word = String::new();
    for _ in 0..=dice.below(3) {
        for part in [ONSETS[dice.below(20)], VOWELS[dice.below(8)], CODAS[dice.below(8)]] {
            word.push_str(part);
        }
    }
    word[..1].to_uppercase() + &word[1..]
}

fn title(dice: &mut Dice) -> String {
    let words: Vec<String> = (0..=dice.below(4)).map(|_| invented(dice)).collect();
    words.join(" ")
}

const GENRES: [&str; 8] = ["Jazz", "Rock", "Pop", "Classical", "Folk", "Electronic", "Soul", "Blues"];

const DEMO: &str = include_str!("demo-library.json");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_library_is_what_it_promises() {
        let library = Library::demo();
        let albums: Vec<&Album> = library.artists.iter().flat_map(|artist| &artist.albums).collect();
        let tracks: usize = albums.iter().map(|album| album.tracks.len()).sum();
        assert!(library.artists.len() >= 8 && albums.len() >= 12 && tracks >= 60, "{} {}", albums.len(), tracks);
        assert_eq!((library.playlists.len(), library.radios.len()), (5, 3));
        assert!(library.playlists.iter().any(|playlist| playlist.repeat_to > Some(500)));
    }

    #[test]
    fn a_generated_library_has_as_many_tracks_as_asked_for_and_is_the_same_for_the_same_seed() {
        let tracks = |library: &Library| {
            let albums = library.artists.iter().flat_map(|artist| &artist.albums);
            albums.map(|album| album.tracks.len()).sum::<usize>()
        };
        for wanted in [0, 1, 9, 5003] {
            assert_eq!(tracks(&Library::generated(wanted, 1)), wanted);
        }
        assert_eq!(Library::generated(500, 7), Library::generated(500, 7));
        assert_ne!(Library::generated(500, 7), Library::generated(500, 8));
    }

    #[test]
    fn mistakes_are_named() {
        let unknown = Library::from_json(r#"{"playlists": [{"name": "Mix", "tracks": ["Nobody - Nothing"]}]}"#);
        assert!(unknown.unwrap_err().to_string().contains("\"Mix\" names \"Nobody - Nothing\""));
        let typo = Library::from_json("{\n \"artist\": []}").unwrap_err().to_string();
        assert!(typo.contains("unknown field `artist`") && typo.contains("line 2"), "{typo}");
        let empty = Library::from_json(r#"{"playlists": [{"name": "Mix", "repeat_to": 600}]}"#);
        assert!(empty.unwrap_err().to_string().contains("no tracks to repeat"));
        let twice = r#"{"players": [{"id": "a", "name": "A"}, {"id": "a", "name": "B"}]}"#;
        assert!(Library::from_json(twice).unwrap_err().to_string().contains("ids must differ"));
        let missing = Library::load(Path::new("/nowhere/library.json")).unwrap_err().to_string();
        assert!(missing.contains("/nowhere/library.json"), "{missing}");
    }

    #[test]
    fn what_is_written_can_be_read_again() {
        let library = Library::demo();
        let text = serde_json::to_string(&library).unwrap();
        assert_eq!(Library::from_json(&text).unwrap(), library);
    }
}
