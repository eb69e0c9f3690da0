//! What the home owns, by name: so that what was heard is compared with everything there is, however it is spelled.
//!
//! Music Assistant finds names that contain what was said, letter by letter. To find what was misheard, everything has to be
//! looked at, and that is too much to ask of it for each request. So its library is read once, page by page and slowly, kept in
//! a few bytes an item ([`catalogue`]), and followed by events; now and then it is read again, in case an event was missed.
//! What is found here may be gone meanwhile, and library ids are given anew: whoever plays it looks once more.

pub mod catalogue;

mod reader;

use std::sync::{Mutex, MutexGuard, PoisonError};

use macloud_e2ee::vocabulary::MediaKind;
use serde_json::Value;

use crate::execute::words::phrase::Phrase;
use crate::music_assistant::fields::Fields;
use crate::music_assistant::model::Media;
use catalogue::Catalogue;
pub use reader::{Pace, keep};

/// What one way of understanding a request says of the item that is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Clue<'a> {
    /// What it is called, and by whom it is, if that is not known apart.
    pub title: &'a Phrase,
    /// By whom it is.
    pub artist: Option<&'a Phrase>,
    /// What it can be.
    pub kinds: &'a [MediaKind],
}

/// An item that may be the one, and how well the home knows its artist.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The item, as it was when it was last read.
    pub media: Media,
    /// Albums and tracks of its artist in the library.
    pub known: u32,
    /// Its artist is one of the home's favourites.
    pub loved: bool,
}

/// The home's own library. Never locked across an await.
#[derive(Debug, Default)]
pub struct Library(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    server_id: Option<String>,
    catalogue: Catalogue,
    extent: Extent,
}

/// How much of it was read since this server was met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Extent {
    /// Some, and more will follow.
    #[default]
    Part,
    /// As much as is kept. There is more.
    Full,
    /// Everything, at least once.
    Whole,
}

impl Library {
    /// Say which server is spoken to. Another one, or the same with its data wiped, has another library.
    pub fn meet(&self, server_id: &str) {
        let mut state = self.lock();
        if state.server_id.as_deref() != Some(server_id) {
            *state = State { server_id: Some(server_id.into()), ..State::default() };
        }
    }

    /// Take over one event, if it is about an item of the library.
    pub fn apply(&self, event: &str, object: Option<&str>, data: &Value) {
        match event {
            "media_item_added" | "media_item_updated" => {
                if let Some(media) = item(data) {
                    self.lock().catalogue.put(&media);
                }
            }
            "media_item_deleted" => {
                if let Some(uri) = object {
                    self.lock().catalogue.remove(uri);
                }
            }
            _ => {}
        }
    }

    /// Whether everything in it is known here. Until then Music Assistant has to be asked, too.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.lock().extent == Extent::Whole
    }

    /// Whether it has not been read to its end since this server was met: minutes, for a large one. What is not found meanwhile
    /// may be found later.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        self.lock().extent == Extent::Part
    }

    /// How many items are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().catalogue.len()
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How much memory they take, without what the allocator adds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.lock().catalogue.bytes()
    }

    /// The items that any of `clues` may mean, in no order, at most some hundred.
    #[must_use]
    pub fn candidates(&self, clues: &[Clue<'_>]) -> Vec<Candidate> {
        self.lock().catalogue.candidates(clues)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that panics runs under this lock; if it did, an item less or more would be known.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Read an item.
#[must_use]
pub(crate) fn item(value: &Value) -> Option<Media> {
    let mut media = Media::read(value)?;
    if media.artist.is_none() {
        // An audiobook has authors where others have artists.
        let authors = Fields(value).texts(&["authors"]);
        media.artist = (!authors.is_empty()).then(|| authors.join(", "));
    }
    Some(media)
}

/// What Music Assistant calls a kind.
#[must_use]
pub(crate) const fn kind_word(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Track => "track",
        MediaKind::Album => "album",
        MediaKind::Artist => "artist",
        MediaKind::Playlist => "playlist",
        MediaKind::Radio => "radio",
        MediaKind::Genre => "genre",
        MediaKind::Audiobook => "audiobook",
        MediaKind::Podcast => "podcast",
    }
}

/// What Music Assistant calls the list of a kind.
#[must_use]
pub(crate) const fn list_name(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Track => "tracks",
        MediaKind::Album => "albums",
        MediaKind::Artist => "artists",
        MediaKind::Playlist => "playlists",
        MediaKind::Radio => "radios",
        MediaKind::Genre => "genres",
        MediaKind::Audiobook => "audiobooks",
        MediaKind::Podcast => "podcasts",
    }
}

/// All kinds, tracks last: there are so many of them.
pub(crate) const KINDS: [MediaKind; 8] = [
    MediaKind::Artist,
    MediaKind::Album,
    MediaKind::Playlist,
    MediaKind::Radio,
    MediaKind::Genre,
    MediaKind::Audiobook,
    MediaKind::Podcast,
    MediaKind::Track,
];

fn kind_named(word: &str) -> Option<MediaKind> {
    KINDS.into_iter().find(|kind| kind_word(*kind) == word)
}
