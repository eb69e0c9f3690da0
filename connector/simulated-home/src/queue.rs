//! A player's queue: items, order, and how far the current one has played.

use serde_json::{Value, json};

use crate::catalog::{Catalog, Item, Kind, PROVIDER_INSTANCE, audio_format};
use crate::player::{Playback, Player};
use crate::random::Dice;

/// What happens at the end of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    Off,
    One,
    All,
    /// What any other word becomes; behaves like off.
    Unknown,
}

impl Repeat {
    pub(crate) fn parse(word: &str) -> Self {
        match word {
            "off" => Self::Off,
            "one" => Self::One,
            "all" => Self::All,
            _ => Self::Unknown,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::One => "one",
            Self::All => "all",
            Self::Unknown => "unknown",
        }
    }
}

/// An entry of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueueItem {
    pub(crate) id: String,
    pub(crate) media: Item,
    /// Its place when nothing is shuffled.
    pub(crate) sort_index: usize,
}

/// A queue.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    pub(crate) items: Vec<QueueItem>,
    pub(crate) current: Option<usize>,
    pub(crate) shuffle: bool,
    pub(crate) repeat: Repeat,
    /// How far the current item was at `since`.
    elapsed: f64,
    since: f64,
    /// What was put in last, to play again when the queue is empty.
    pub(crate) last_media: Vec<Item>,
    pub(crate) active_playlist: String,
    pub(crate) keeps_going: bool,
}

impl Queue {
    pub(crate) fn new(now: f64) -> Self {
        Self {
            items: Vec::new(),
            current: None,
            shuffle: false,
            repeat: Repeat::Off,
            elapsed: 0.0,
            since: now,
            last_media: Vec::new(),
            active_playlist: String::new(),
            keeps_going: false,
        }
    }

    pub(crate) fn current_item(&self) -> Option<&QueueItem> {
        self.items.get(self.current?)
    }

    /// How far the current item has played, in seconds.
    pub(crate) fn position(&self, playback: Playback, now: f64) -> f64 {
        if playback == Playback::Playing { self.elapsed + (now - self.since).max(0.0) } else { self.elapsed }
    }

    /// Puts the needle somewhere.
    pub(crate) fn set_position(&mut self, seconds: f64, now: f64) {
        self.elapsed = seconds.max(0.0);
        self.since = now;
    }

    /// Writes down the position before playback starts or stops.
    pub(crate) fn fix_position(&mut self, playback: Playback, now: f64) {
        self.set_position(self.position(playback, now), now);
    }

    pub(crate) fn clear(&mut self, now: f64) {
        self.items.clear();
        self.current = None;
        self.active_playlist.clear();
        self.set_position(0.0, now);
    }

    /// Makes queue items and puts them at `place`.
    pub(crate) fn insert(&mut self, place: usize, media: &[Item], dice: &mut Dice) {
        let first = self.items.iter().map(|item| item.sort_index + 1).max().unwrap_or(0);
        let mut new: Vec<QueueItem> = media
            .iter()
            .enumerate()
            .map(|(offset, media)| QueueItem { id: dice.hex32(), media: *media, sort_index: first + offset })
            .collect();
        if self.shuffle {
            dice.shuffle(&mut new);
        }
        let place = place.min(self.items.len());
        self.items.splice(place..place, new);
    }

    /// Mixes what has not played yet, or puts it back into order.
    pub(crate) fn set_shuffle(&mut self, on: bool, dice: &mut Dice) {
        self.shuffle = on;
        let from = self.current.map_or(0, |current| current + 1).min(self.items.len());
        if on {
            dice.shuffle(&mut self.items[from..]);
        } else {
            self.items[from..].sort_by_key(|item| item.sort_index);
        }
    }

    /// What comes after the current item; `asked` is a person's "next", which repeat-one does not hold back.
    pub(crate) fn next_index(&self, asked: bool) -> Option<usize> {
        let current = self.current?;
        match self.repeat {
            Repeat::One if !asked => Some(current),
            _ if current + 1 < self.items.len() => Some(current + 1),
            Repeat::All if !self.items.is_empty() => Some(0),
            _ => None,
        }
    }

    /// How long until the current item ends, if it is playing and ends at all.
    pub(crate) fn remaining(&self, playback: Playback, catalog: &Catalog, now: f64) -> Option<f64> {
        let item = self.current_item().filter(|_| playback == Playback::Playing)?;
        Some(f64::from(catalog.duration(item.media)?) - self.position(playback, now))
    }

    /// `current_media` of the player that plays this queue.
    pub(crate) fn current_media(&self, id: &str, playback: Playback, catalog: &Catalog, now: f64) -> Value {
        let Some(item) = self.current_item() else { return Value::Null };
        json!({
            "uri": item.media.uri(),
            "media_type": item.media.kind.name(),
            "title": catalog.name(item.media),
            "artist": catalog.artist_name(item.media),
            "album": catalog.album_name(item.media),
            "image_url": null,
            "duration": catalog.duration(item.media),
            "source_id": id,
            "queue_item_id": item.id,
            "custom_data": null,
            "elapsed_time": self.position(playback, now) as u64,
            "elapsed_time_last_updated": now,
        })
    }
}

/// The object of `player_queues/get`, `player_queues/all` and the queue events.
pub(crate) fn render(player: &Player, active: bool, catalog: &Catalog, now: f64) -> Value {
    let queue = &player.queue;
    let shown = queue.current.filter(|_| player.tells(now));
    let item = |index: Option<usize>| {
        index.filter(|_| !queue.items.is_empty()).map(|index| render_item(player, index, catalog))
    };
    json!({
        "queue_id": player.id,
        "active": active,
        "display_name": player.name,
        "available": player.available,
        "items": queue.items.len(),
        "shuffle_enabled": queue.shuffle,
        "repeat_mode": queue.repeat.name(),
        "dont_stop_the_music_enabled": queue.keeps_going,
        "current_index": shown,
        "index_in_buffer": queue.current.filter(|_| player.playback != Playback::Idle),
        "elapsed_time": queue.position(player.playback, now).floor(),
        "elapsed_time_last_updated": now,
        "state": player.playback.name(),
        "current_item": item(shown),
        "next_item": item(queue.next_index(false)),
        "radio_source": [],
        "flow_mode": false,
        "resume_pos": 0,
        "extra_attributes": {"active_playlist": queue.active_playlist},
    })
}

/// An entry of `player_queues/items`, also the queue's `current_item` and `next_item`.
pub(crate) fn render_item(player: &Player, index: usize, catalog: &Catalog) -> Value {
    let queue = &player.queue;
    let Some(item) = queue.items.get(index) else { return Value::Null };
    let streaming =
        player.playback != Playback::Idle && queue.current.is_some_and(|current| index.abs_diff(current) <= 1);
    let mut media = catalog.listed(item.media);
    if streaming && media.get("album").is_some() {
        // What is streamed has been looked up again, with its album in full.
        media["album"] = catalog.album_listed(item.media);
    }
    json!({
        "queue_id": player.id,
        "queue_item_id": item.id,
        "name": catalog.queue_name(item.media),
        "duration": catalog.duration(item.media),
        "sort_index": item.sort_index,
        "streamdetails": streaming.then(|| stream_details(&player.id, item.media, catalog)),
        "media_item": media,
        "image": null,
        "index": 0,
        "available": true,
        "extra_attributes": {},
    })
}

fn stream_details(player_id: &str, media: Item, catalog: &Catalog) -> Value {
    let file = media.kind == Kind::Track;
    let mut dsp = serde_json::Map::new();
    let disabled = json!({
        "state": "disabled", "input_gain": 0.0, "filters": [], "output_gain": 0.0, "output_limiter": true,
        "output_format": null,
    });
    dsp.insert(player_id.to_owned(), disabled);
    json!({
        "provider": if file { PROVIDER_INSTANCE } else { "builtin" },
        "item_id": catalog.provider_id(media),
        "audio_format": audio_format("flac", "flac"),
        "media_type": media.kind.name(),
        "stream_type": if file { "local_file" } else { "http" },
        "duration": catalog.duration(media),
        "size": catalog.duration(media).map(|seconds| seconds * 12_500),
        "stream_metadata": null,
        "loudness": null,
        "loudness_album": null,
        "prefer_album_loudness": true,
        "volume_normalization_mode": "dynamic",
        "volume_normalization_gain_correct": null,
        "target_loudness": -17.0,
        "dsp": dsp,
        "stream_title": null,
    })
}
