//! The home's favourites: playlists and radio stations that can be played by a key.
//!
//! They are few, so all of them are known; they are read again when the library has changed, and from time to time. Ids of the
//! library are not durable, so a key is looked up anew whenever it is used.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use macloud_e2ee::vocabulary::{Item, MAX_PRESETS, MediaKind, Placement, Preset, Refusal, Reply};
use macloud_proto::ids::PresetKey;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Executor, not_announcing, refusal_of, report};
use crate::music_assistant::CallError;
use crate::music_assistant::directory::Directory;
use crate::music_assistant::model::{Media, Player};

/// For the lists.
const LIST_LIMIT: Duration = Duration::from_millis(1500);

/// For a last look at one before it replaces the queue.
const RESOLVE_LIMIT: Duration = Duration::from_millis(1200);

/// Servers do not tell of every change.
const READ_AGAIN: Duration = Duration::from_secs(600);

/// After a failure.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// The favourites as last read.
#[derive(Default)]
pub(super) struct Presets(tokio::sync::Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// Nothing, while they have never been read.
    list: Option<Vec<Favourite>>,
    read_again_at: Option<Instant>,
    stamp: u64,
}

#[derive(Clone)]
struct Favourite {
    preset: Preset,
    uri: String,
}

/// Which favourite was started on which player's queue.
#[derive(Default)]
pub(super) struct Started(Mutex<HashMap<String, Favourite>>);

impl Executor {
    /// The home's favourites, by name; nothing, if they could not be read yet. If they must be read, at most for twice `limit`.
    pub(crate) async fn presets(&self, limit: Duration) -> Option<Vec<Preset>> {
        let mut kept = self.presets.0.lock().await;
        let stamp = self.ma.library_stamp();
        let is_fresh = kept.stamp == stamp && kept.read_again_at.is_some_and(|at| Instant::now() < at);
        if !is_fresh && self.ready().is_ok() {
            match self.read_presets(LIST_LIMIT.min(limit)).await {
                Ok(list) => {
                    *kept = Kept { list: Some(list), read_again_at: Some(Instant::now() + READ_AGAIN), stamp };
                }
                Err(error) => {
                    tracing::debug!("the favourites could not be read: {error}");
                    kept.read_again_at = Some(Instant::now() + TRY_AGAIN);
                    kept.stamp = stamp;
                }
            }
        }
        Some(kept.list.as_ref()?.iter().map(|favourite| favourite.preset.clone()).collect())
    }

    pub(super) async fn play_preset(
        &self,
        player: &Player,
        key: &PresetKey,
        limit: Duration,
    ) -> Result<Reply, Refusal> {
        let deadline = Instant::now() + limit;
        not_announcing(player, &self.leader(player))?;
        let stamp = self.ma.library_stamp();
        let list =
            self.read_presets(LIST_LIMIT.min(limit)).await.map_err(|error| refusal_of(error, &self.called(player)))?;
        let favourite = list.iter().find(|favourite| favourite.preset.key == *key).cloned();
        let read_again_at = Some(Instant::now() + READ_AGAIN);
        *self.presets.0.lock().await = Kept { list: Some(list), read_again_at, stamp };
        let favourite = favourite.ok_or(Refusal::UnknownPreset)?;
        if !self.is_still(&favourite, deadline).await {
            return Err(Refusal::UnknownPreset);
        }
        let found = Item {
            title: report::cut(&favourite.preset.name),
            artist: None,
            album: None,
            kind: Some(favourite.preset.kind),
        };
        let args = json!({ "media": favourite.uri });
        let reply = self.put(player, args, Placement::Replace, found, deadline).await?;
        self.started.note(&self.leader(player).id, favourite);
        // What was started is known only now.
        let Reply::Done { player: mut told, found, learned, other, used_here } = reply else { return Ok(reply) };
        told.state.preset = Some(key.clone());
        Ok(Reply::Done { player: told, found, learned, other, used_here })
    }

    /// Marked ones first. Where there is room, those that were played lately.
    async fn read_presets(&self, limit: Duration) -> Result<Vec<Favourite>, CallError> {
        let marked = |list: &'static str| {
            let args = json!({ "favorite": true, "limit": MAX_PRESETS });
            async move { self.ma.call(list, args, limit).await }
        };
        let (playlists, radios) =
            tokio::join!(marked("music/playlists/library_items"), marked("music/radios/library_items"));
        let mut found = match (playlists, radios) {
            (Err(error), Err(_)) => return Err(error),
            // One of them may be no list of that server's.
            (playlists, radios) => [playlists, radios].into_iter().filter_map(Result::ok).collect::<Vec<_>>(),
        };
        if found.iter().filter_map(Value::as_array).map(Vec::len).sum::<usize>() < MAX_PRESETS {
            let args = json!({ "limit": MAX_PRESETS, "media_types": ["playlist", "radio"] });
            found.extend(self.ma.call("music/recently_played_items", args, limit).await);
        }
        let directory = self.ma.directory();
        let items = found.iter().filter_map(Value::as_array).flatten();
        let mut seen = BTreeSet::new();
        let mut list: Vec<Favourite> = items
            .filter_map(|item| favourite(&directory, item))
            .filter(|favourite| seen.insert(favourite.preset.key.clone()))
            .take(MAX_PRESETS)
            .collect();
        list.sort_by_cached_key(|favourite| favourite.preset.name.to_lowercase());
        Ok(list)
    }

    /// "Replace" empties the queue before it notices that there is nothing to play.
    async fn is_still(&self, favourite: &Favourite, deadline: Instant) -> bool {
        let limit = RESOLVE_LIMIT.min(deadline.saturating_duration_since(Instant::now()));
        match self.ma.call("music/item_by_uri", json!({ "uri": favourite.uri }), limit).await {
            Ok(item) => {
                let directory = self.ma.directory();
                self::favourite(&directory, &item).is_some_and(|now| now.preset.key == favourite.preset.key)
            }
            Err(CallError::Refused(_)) => false,
            // Slow is not gone.
            Err(_) => true,
        }
    }
}

/// A playlist or station that can be played.
fn favourite(directory: &Directory, item: &Value) -> Option<Favourite> {
    let media = Media::read(item).filter(|media| media.playable)?;
    let (kind, word) = match media.kind? {
        MediaKind::Playlist => (MediaKind::Playlist, "playlist"),
        MediaKind::Radio => (MediaKind::Radio, "radio"),
        _ => return None,
    };
    let key = directory.preset_key(word, &media.title)?;
    Some(Favourite { preset: Preset { key, name: report::cut(&media.title), kind }, uri: media.uri? })
}

impl Started {
    fn note(&self, id: &str, favourite: Favourite) {
        self.all().insert(id.into(), favourite);
    }

    /// Something else was started in queue `id`.
    pub(super) fn forget(&self, id: &str) {
        self.all().remove(id);
    }

    /// The music went from one queue to another.
    pub(super) fn moved(&self, from: &str, to: &str) {
        let mut all = self.all();
        match all.remove(from) {
            Some(favourite) => drop(all.insert(to.into(), favourite)),
            None => drop(all.remove(to)),
        }
    }

    /// What was started in queue `id`, unless the queue says that it has something else now.
    pub(super) fn playing(&self, directory: &Directory, id: &str) -> Option<PresetKey> {
        let Favourite { preset, uri } = self.all().get(id).cloned()?;
        let queue = directory.queue(id).filter(|queue| queue.items > 0)?;
        let playing = queue.media.as_ref().and_then(|media| media.uri.as_ref());
        let is_still = match preset.kind {
            MediaKind::Radio => playing.is_none_or(|playing| *playing == uri),
            _ => queue.source.as_ref().is_none_or(|source| source.contains(&preset.name)),
        };
        is_still.then_some(preset.key)
    }

    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<String, Favourite>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
