//! Putting music into queues.

use super::{RADIO_PLAYLISTS, Signal, World};
use crate::catalog::{Item, Kind};
use crate::player::Playback;
use crate::wire::{Failure, code};

/// How many tracks "radio mode" puts into a queue.
const SIMILAR_TRACKS: usize = 25;

/// What `player_queues/play_media` asks for.
#[derive(Debug)]
pub(crate) struct PlayMedia {
    pub(crate) uris: Vec<String>,
    pub(crate) option: Option<String>,
    pub(crate) radio_mode: bool,
    /// URI or item id of the track to begin with.
    pub(crate) start_item: Option<String>,
}

impl World {
    /// `player_queues/play_media`. `replace` empties the queue before it looks whether there is anything to play. If the queue
    /// plays, emptying it also stops the player, in a task of its own that comes after the start of the new music: all is
    /// answered with success, and nothing is heard.
    pub(crate) fn play_media(&mut self, index: usize, wanted: &PlayMedia) -> Result<(), Failure> {
        self.occupy(index, self.timing.play_media_reply);
        let seed = |uri: &String| uri.strip_prefix("radio_playlist://playlist/").map(str::to_owned);
        let seeds: Vec<String> =
            if self.schema >= RADIO_PLAYLISTS { wanted.uris.iter().filter_map(seed).collect() } else { Vec::new() };
        let (uris, radio_mode) = if seeds.is_empty() { (&wanted.uris, wanted.radio_mode) } else { (&seeds, true) };
        let found: Vec<Item> = uris.iter().filter_map(|uri| self.catalog.by_uri(uri)).collect();
        let option = match wanted.option.as_deref() {
            Some(option) => option,
            None if found.first().is_some_and(|item| item.kind != Kind::Track) => "replace",
            None => "play",
        };
        let was_playing = self.players[index].playback == Playback::Playing;
        if option == "replace" {
            self.clear_queue(index);
        }
        let media = self.media_of(&found, radio_mode)?;
        if media.is_empty() {
            return Err(Failure::new(code::MEDIA_NOT_FOUND, "No playable items found"));
        }
        let start = wanted.start_item.as_deref().and_then(|start| self.start_at(&media, start)).unwrap_or(0);
        if let [Item { kind: Kind::Album | Kind::Playlist | Kind::Artist, .. }] = found[..] {
            self.players[index].queue.active_playlist = self.catalog.name(found[0]).to_owned();
        }
        for playlist in found.iter().filter(|item| item.kind == Kind::Playlist) {
            self.remember(*playlist);
        }
        self.put(index, option, &media, start);
        if option == "replace" && was_playing {
            self.stop(index);
        }
        if self.leader(index).is_err() {
            return Err(Failure::player_command("A synced player cannot receive play commands directly"));
        }
        Ok(())
    }

    fn media_of(&mut self, found: &[Item], radio_mode: bool) -> Result<Vec<Item>, Failure> {
        if !radio_mode {
            return Ok(found.iter().flat_map(|item| self.catalog.playable(*item)).collect());
        }
        if !self.quirks.similar_tracks {
            let details = "No Music Provider found that supports requesting similar tracks.";
            return Err(Failure::new(code::UNSUPPORTED, details));
        }
        let mut similar: Vec<Item> = found.iter().flat_map(|item| self.catalog.similar(*item)).collect();
        let first = usize::from(found.first().is_some_and(|item| item.kind == Kind::Track)).min(similar.len());
        self.dice.shuffle(&mut similar[first..]);
        similar.truncate(SIMILAR_TRACKS);
        Ok(similar)
    }

    fn start_at(&self, media: &[Item], start: &str) -> Option<usize> {
        media.iter().position(|item| item.uri() == start || (item.index + 1).to_string() == start)
    }

    /// Puts media into the queue the way `option` says. Words it does not know are accepted and put nothing.
    fn put(&mut self, index: usize, option: &str, media: &[Item], start: usize) {
        let queue = &self.players[index].queue;
        let after_current = queue.current.map_or(0, |current| current + 1).min(queue.items.len());
        let end = queue.items.len();
        match option {
            "replace" => {
                self.fill(index, 0, media);
                self.start(index, start);
            }
            "play" => {
                self.fill(index, after_current, media);
                self.start(index, after_current + start);
            }
            "next" => self.fill(index, after_current, media),
            "replace_next" => {
                self.players[index].queue.items.truncate(after_current);
                self.fill(index, after_current, media);
            }
            "add" => self.fill(index, end, media),
            _ => {
                let id = self.players[index].id.clone();
                self.tell_now(Signal::QueueUpdated(id));
            }
        }
    }

    /// A follower that is given its own music leaves its group first.
    fn start(&mut self, index: usize, at: usize) {
        if self.leader(index).is_err() {
            self.players[index].queue.current = Some(at);
            return;
        }
        if self.players[index].synced_to.is_some() {
            self.ungroup(index);
        }
        self.play_index(index, at, 0.0);
    }

    pub(super) fn fill(&mut self, index: usize, place: usize, media: &[Item]) {
        let player = &mut self.players[index];
        player.queue.insert(place, media, &mut self.dice);
        media.clone_into(&mut player.queue.last_media);
        let id = player.id.clone();
        self.tell_now(Signal::QueueItemsUpdated(id.clone()));
        self.tell_now(Signal::QueueUpdated(id));
    }

    /// `player_queues/clear`: the music stops as well.
    pub(crate) fn clear_queue(&mut self, index: usize) {
        let now = self.now;
        self.players[index].queue.clear(now);
        let id = self.players[index].id.clone();
        self.tell_now(Signal::QueueUpdated(id.clone()));
        self.tell_now(Signal::QueueItemsUpdated(id));
        self.stop(index);
    }

    /// `player_queues/delete_item`: by place or id; the one that plays stays.
    pub(crate) fn delete_item(&mut self, index: usize, wanted: &str) {
        let queue = &mut self.players[index].queue;
        let named = queue.items.iter().position(|item| item.id == wanted);
        let place = named.or_else(|| wanted.parse().ok()).filter(|place| *place < queue.items.len());
        let Some(place) = place.filter(|place| Some(*place) != queue.current) else { return };
        queue.items.remove(place);
        queue.current = queue.current.map(|current| if place < current { current - 1 } else { current });
        let id = self.players[index].id.clone();
        self.tell_now(Signal::QueueItemsUpdated(id.clone()));
        self.tell_now(Signal::QueueUpdated(id));
    }

    /// `player_queues/shuffle`.
    pub(crate) fn shuffle(&mut self, index: usize, on: bool) {
        self.players[index].queue.set_shuffle(on, &mut self.dice);
        let id = self.players[index].id.clone();
        self.tell_now(Signal::QueueItemsUpdated(id.clone()));
        self.tell_now(Signal::QueueUpdated(id));
    }

    /// `player_queues/transfer`: items, place and position move; the target plays if the source did.
    pub(crate) fn transfer(&mut self, source: usize, target: usize, auto_play: Option<bool>) -> Result<(), Failure> {
        let now = self.now;
        if let Some(group) = self.active_group(&self.players[target]).and_then(|id| self.index(&id)) {
            // Nobody is taken out of a permanent group that plays.
            let name = &self.players[group].name;
            return Err(Failure::player_command(format!("Player {name} does not support group commands")));
        }
        let playback = self.players[source].intended;
        if let Some(leader) = self.players[target].synced_to.as_deref().and_then(|leader| self.index(leader)) {
            // Whoever follows another leaves it first: the whole group is dissolved.
            self.ungroup(leader);
        }
        let mut queue = self.players[source].queue.clone();
        queue.fix_position(self.players[source].playback, now);
        let (at, position) = (queue.current, queue.position(Playback::Idle, now));
        self.clear_queue(source);
        self.players[target].queue = queue;
        let id = self.players[target].id.clone();
        self.tell_now(Signal::QueueItemsUpdated(id.clone()));
        self.tell_now(Signal::QueueUpdated(id));
        if let Some(at) = at.filter(|_| auto_play.unwrap_or(playback == Playback::Playing)) {
            self.play_index(target, at, position);
        }
        Ok(())
    }
}
