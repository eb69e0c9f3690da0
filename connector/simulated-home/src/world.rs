//! The home itself: players, queues, library and the phase of the server, as one machine without sockets or timers.
//!
//! Commands change it at once or leave *effects* behind: things that will be true a moment later, as with real speakers. Whoever
//! drives the machine waits as long as an effect says and hands it back to [`World::apply`], which returns the events to
//! tell. Time is an argument everywhere.

mod groups;
mod media;
mod transport;

pub(crate) use self::media::PlayMedia;
pub(crate) use self::transport::Transport;

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};

use crate::catalog::{Catalog, Item};
use crate::library::Library;
use crate::player::{self, Playback, Player, PlayerConfig, Role, Surroundings};
use crate::queue;
use crate::random::Dice;
use crate::search::SearchCache;
use crate::timing::Timing;
use crate::wire::Failure;

/// From this schema on, "don't stop the music" is called "autoplay".
pub(crate) const AUTOPLAY: u32 = 32;

/// From this schema on, music like something is a playlist of its own.
pub(crate) const RADIO_PLAYLISTS: u32 = 34;

/// How far the server is in starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing answers.
    Down,
    /// `starting`; commands work, but no player is known yet.
    Loading,
    /// `starting`; players are known and unavailable.
    Waking,
    /// `running`; players are still unavailable.
    Settling,
    /// `running`.
    Running,
    /// `stopping`, and everything still works: a server that waits for its players to leave, which they do not do.
    Stopping,
}

impl Phase {
    pub(crate) const fn status(self) -> &'static str {
        match self {
            Self::Down | Self::Loading | Self::Waking => "starting",
            Self::Settling | Self::Running => "running",
            Self::Stopping => "stopping",
        }
    }
}

/// Departures from the plain server that a test may ask for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quirks {
    /// Grouping makes two players follow each other, as one recorded server did: whoever looks for the leader never ends.
    pub cyclic_groups: bool,
    /// Players stop where they are told to pause, as those do that cannot pause.
    pub pause_stops: bool,
    /// Of several players that are to part at once, the last one is forgotten, as happens where they have joined just before.
    pub forgets_to_part: bool,
    /// A provider offers similar tracks, so `radio_mode` works instead of failing with error 9.
    pub similar_tracks: bool,
}

/// An event to render and send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Signal {
    PlayerAdded(String),
    PlayerUpdated(String),
    PlayerRemoved(String),
    QueueAdded(String),
    QueueUpdated(String),
    QueueItemsUpdated(String),
    QueueTimeUpdated(String),
    MediaPlayed(String),
    MediaItemUpdated(Item),
}

/// Something that becomes true later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    Tell(Signal),
    /// A player starts, pauses or stops, unless a later order came in between.
    Playback {
        player: String,
        to: Playback,
        order: u64,
    },
    /// The stream that was started at another place of the track is there.
    StreamStarts {
        player: String,
        stream: u64,
    },
    Available {
        player: String,
        yes: bool,
    },
    /// A player that came back remembers its volume.
    VolumeRecalled {
        player: String,
    },
    Phase(Phase),
}

/// An effect and how long it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Later {
    pub(crate) after: Duration,
    pub(crate) effect: Effect,
}

/// A rendered event.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) name: &'static str,
    pub(crate) object_id: String,
    pub(crate) data: Value,
    /// The player it is about; accounts limited to other players do not get it.
    pub(crate) player: Option<String>,
}

/// The machine.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) players: Vec<Player>,
    pub(crate) catalog: Catalog,
    pub(crate) searches: SearchCache,
    pub(crate) recent: VecDeque<Item>,
    pub(crate) phase: Phase,
    pub(crate) timing: Timing,
    pub(crate) quirks: Quirks,
    /// The API schema: newer servers have other names for some things.
    pub(crate) schema: u32,
    pub(crate) dice: Dice,
    pub(crate) now: f64,
    next_number: usize,
    later: Vec<Later>,
    reply_after: f64,
}

impl World {
    pub(crate) fn new(library: &Library, players: &[PlayerConfig], timing: Timing, quirks: Quirks, now: f64) -> Self {
        let mut world = Self {
            players: Vec::new(),
            catalog: Catalog::new(library),
            searches: SearchCache::default(),
            recent: VecDeque::new(),
            phase: Phase::Running,
            timing,
            quirks,
            schema: 29,
            dice: Dice::seeded(42),
            now,
            next_number: 1,
            later: Vec::new(),
            reply_after: 0.0,
        };
        for player in players {
            world.push_player(player);
        }
        world
    }

    fn push_player(&mut self, config: &PlayerConfig) {
        self.players.push(Player::new(config, self.next_number, self.now));
        self.next_number += 1;
    }

    /// Lets time pass: tracks end, the next ones begin.
    pub(crate) fn advance(&mut self, now: f64) {
        for index in 0..self.players.len() {
            self.finish_tracks(index, now);
        }
        self.now = now;
    }

    /// Until the next track ends, if any is playing.
    pub(crate) fn next_end(&self) -> Option<f64> {
        let ends =
            self.players.iter().filter_map(|player| player.queue.remaining(player.playback, &self.catalog, self.now));
        ends.min_by(f64::total_cmp)
    }

    pub(crate) fn playing_queues(&self) -> Vec<String> {
        let playing = self.players.iter().filter(|player| player.playback == Playback::Playing);
        playing.map(|player| player.id.clone()).collect()
    }

    /// What the last command left behind, and how long its reply takes. Effects count from the reply.
    pub(crate) fn take_outcome(&mut self) -> (Duration, Vec<Later>) {
        let reply_after = Duration::try_from_secs_f64(std::mem::take(&mut self.reply_after)).unwrap_or_default();
        (reply_after, std::mem::take(&mut self.later))
    }

    /// Makes an effect true. The events it causes are added to `signals`; followers of a player may be told later.
    pub(crate) fn apply(&mut self, effect: Effect, signals: &mut Vec<Signal>) {
        match effect {
            Effect::Tell(signal) => signals.push(signal),
            Effect::Playback { player, to, order } => self.apply_playback(&player, to, order, signals),
            Effect::StreamStarts { player, stream } => self.apply_stream(&player, stream, signals),
            Effect::Available { player, yes } => self.apply_available(&player, yes, signals),
            Effect::VolumeRecalled { player } => {
                if let Some(index) = self.index(&player) {
                    self.players[index].volume_forgotten = false;
                    signals.push(Signal::PlayerUpdated(player));
                }
            }
            Effect::Phase(phase) => self.apply_phase(phase, signals),
        }
    }

    pub(crate) fn index(&self, id: &str) -> Option<usize> {
        self.players.iter().position(|player| player.id == id)
    }

    /// Players as clients may see them: none while the server loads.
    pub(crate) fn visible(&self) -> &[Player] {
        if self.phase == Phase::Loading { &[] } else { &self.players }
    }

    /// The player that leads this one, itself if it follows nobody. Followers that follow each other have no leader.
    pub(crate) fn leader(&self, index: usize) -> Result<usize, Failure> {
        let mut at = index;
        for _ in 0..=self.players.len() {
            match self.players[at].synced_to.as_deref().and_then(|leader| self.index(leader)) {
                Some(leader) => at = leader,
                None => return Ok(at),
            }
        }
        Err(Failure::recursion())
    }

    pub(crate) fn render_player(&self, index: usize) -> Value {
        let player = &self.players[index];
        let around = Surroundings {
            source: &self.players[self.leader(index).unwrap_or(index)],
            can_group_with: self.can_group_with(player),
            group_volume: self.group_volume(player),
            active_group: self.active_group(player),
        };
        player::render(player, &around, &self.catalog, self.now)
    }

    pub(crate) fn can_group_with(&self, player: &Player) -> Vec<String> {
        if !player.works() || !player.is_speaker() || player.synced_to.is_some() {
            return Vec::new();
        }
        let others = self.players.iter().filter(|other| other.id != player.id && other.works() && other.is_speaker());
        others.map(|other| other.id.clone()).collect()
    }

    pub(crate) fn render_queue(&self, index: usize) -> Value {
        let player = &self.players[index];
        let mut queue = queue::render(player, player.synced_to.is_none(), &self.catalog, self.now);
        if self.schema >= AUTOPLAY
            && let Some(queue) = queue.as_object_mut()
            && let Some(on) = queue.remove("dont_stop_the_music_enabled")
        {
            queue.insert("autoplay_enabled".to_owned(), on);
        }
        queue
    }

    /// Renders an event; `None` if what it was about is gone.
    pub(crate) fn event(&self, signal: &Signal) -> Option<Event> {
        let of = |name, id: &str, render: &dyn Fn(usize) -> Value| {
            let data = render(self.index(id)?);
            Some(Event { name, object_id: id.to_owned(), data, player: Some(id.to_owned()) })
        };
        let player = |index| self.render_player(index);
        let queue = |index| self.render_queue(index);
        match signal {
            Signal::PlayerAdded(id) => of("player_added", id, &player),
            Signal::PlayerUpdated(id) => of("player_updated", id, &player),
            Signal::QueueAdded(id) => of("queue_added", id, &queue),
            Signal::QueueUpdated(id) => of("queue_updated", id, &queue),
            Signal::QueueItemsUpdated(id) => of("queue_items_updated", id, &queue),
            Signal::QueueTimeUpdated(id) => of("queue_time_updated", id, &|index| {
                let player = &self.players[index];
                json!(player.queue.position(player.playback, self.now) as u64)
            }),
            Signal::MediaPlayed(id) => self.media_played(id),
            Signal::PlayerRemoved(id) => Some(Event {
                name: "player_removed",
                object_id: id.clone(),
                data: Value::Null,
                player: Some(id.clone()),
            }),
            Signal::MediaItemUpdated(item) => Some(Event {
                name: "media_item_updated",
                object_id: item.uri(),
                data: self.catalog.listed(*item),
                player: None,
            }),
        }
    }

    fn media_played(&self, id: &str) -> Option<Event> {
        let player = &self.players[self.index(id)?];
        let media = player.queue.current_item()?.media;
        let artist = self.catalog.artist_name(media);
        let seconds = player.queue.position(player.playback, self.now) as u32;
        let data = json!({
            "uri": media.uri(), "media_type": media.kind.name(), "name": self.catalog.name(media),
            "duration": self.catalog.duration(media), "seconds_played": seconds,
            "fully_played": self.catalog.duration(media).is_some_and(|duration| seconds + 3 >= duration),
            "is_playing": player.playback == Playback::Playing, "mbid": null, "artist": artist,
            "artists": artist.into_iter().collect::<Vec<_>>(), "artist_mbids": [], "album": self.catalog.album_name(media),
            "album_mbid": null, "album_artist": artist, "album_artist_mbids": [], "image_url": null, "version": "",
            "userid": null,
        });
        Some(Event { name: "media_item_played", object_id: media.uri(), data, player: Some(id.to_owned()) })
    }

    /// Leaves an effect behind.
    fn later(&mut self, after: Duration, effect: Effect) {
        self.later.push(Later { after, effect });
    }

    fn tell(&mut self, after: Duration, signal: Signal) {
        self.later(after, Effect::Tell(signal));
    }

    fn tell_now(&mut self, signal: Signal) {
        self.tell(Duration::ZERO, signal);
    }

    /// The reply waits for the player: it takes one command at a time, and this long for it.
    fn occupy(&mut self, index: usize, reply: Duration) {
        let player = &mut self.players[index];
        let start = player.free_at.max(self.now);
        player.free_at = start + self.timing.throttle.as_secs_f64();
        self.reply_after = self.reply_after.max(start - self.now + reply.as_secs_f64());
    }

    fn apply_available(&mut self, id: &str, yes: bool, signals: &mut Vec<Signal>) {
        let Some(index) = self.index(id) else { return };
        if yes == self.players[index].available || (yes && self.players[index].unplugged) {
            return;
        }
        if !yes {
            self.leave_group(index, signals);
            self.halt(index);
        }
        self.players[index].available = yes;
        if yes {
            self.forget_volume(index);
        }
        signals.push(Signal::QueueUpdated(id.to_owned()));
        signals.push(Signal::PlayerUpdated(id.to_owned()));
    }

    fn forget_volume(&mut self, index: usize) {
        if !self.timing.volume_recall.is_zero() {
            self.players[index].volume_forgotten = true;
            let player = self.players[index].id.clone();
            self.later(self.timing.volume_recall, Effect::VolumeRecalled { player });
        }
    }

    /// Stops at once, without an order.
    fn halt(&mut self, index: usize) {
        let now = self.now;
        let player = &mut self.players[index];
        player.orders += 1;
        player.playback = Playback::Idle;
        player.intended = Playback::Idle;
        player.streams += 1;
        player.queue.set_position(0.0, now);
    }

    fn apply_phase(&mut self, phase: Phase, signals: &mut Vec<Signal>) {
        self.phase = phase;
        match phase {
            Phase::Down => self.go_down(),
            Phase::Loading | Phase::Settling | Phase::Stopping => {}
            Phase::Waking => {
                for player in &self.players {
                    signals.push(Signal::PlayerAdded(player.id.clone()));
                    signals.push(Signal::QueueAdded(player.id.clone()));
                }
            }
            Phase::Running => {
                for index in 0..self.players.len() {
                    let there = !self.players[index].unplugged;
                    self.players[index].available = there;
                    if there {
                        self.forget_volume(index);
                    }
                    signals.push(Signal::PlayerUpdated(self.players[index].id.clone()));
                }
            }
        }
    }

    /// What a restart forgets: playback, positions and groups. Queues, shuffle and repeat survive, as do cached searches.
    fn go_down(&mut self) {
        for index in 0..self.players.len() {
            self.halt(index);
            let player = &mut self.players[index];
            player.available = false;
            player.output_used = false;
            player.synced_to = None;
            player.group_members.clear();
        }
    }

    // What happens to players outside the protocol: somebody buys, renames, unplugs or throws away a speaker.

    /// Adds a player. `false` if the id is taken.
    pub(crate) fn add_player(&mut self, config: &PlayerConfig) -> bool {
        if self.index(&config.id).is_some() {
            return false;
        }
        self.push_player(config);
        self.tell_now(Signal::PlayerAdded(config.id.clone()));
        self.tell_now(Signal::QueueAdded(config.id.clone()));
        true
    }

    pub(crate) fn add_sync_group(&mut self, name: &str, members: Vec<String>) -> usize {
        let id = format!("syncgroup_{}", &self.dice.hex32()[..8]);
        self.add_player(&PlayerConfig::new(id, name));
        let index = self.players.len() - 1;
        self.players[index].role = Role::SyncGroup { members };
        index
    }

    /// Removes a player for good. `false` if there is none.
    pub(crate) fn remove_player(&mut self, id: &str) -> bool {
        let Some(index) = self.index(id) else { return false };
        let mut signals = Vec::new();
        self.leave_group(index, &mut signals);
        self.players.remove(index);
        self.tell_now(Signal::PlayerRemoved(id.to_owned()));
        for signal in signals {
            self.tell_now(signal);
        }
        true
    }

    /// Pulls a player's plug or puts it back. The server notices a little later.
    pub(crate) fn set_plugged(&mut self, index: usize, plugged: bool) {
        let id = self.players[index].id.clone();
        self.players[index].unplugged = !plugged;
        let after = if plugged { self.timing.notice_back } else { self.timing.notice_lost };
        self.later(after, Effect::Available { player: id, yes: plugged });
    }

    /// As unplugging or plugging in, but noticed at once.
    pub(crate) fn set_available(&mut self, index: usize, yes: bool) {
        let player = &mut self.players[index];
        player.unplugged = !yes;
        let id = player.id.clone();
        self.later(Duration::ZERO, Effect::Available { player: id, yes });
    }

    pub(crate) fn tell_signal(&mut self, signal: Signal) {
        self.tell_now(signal);
    }

    pub(crate) fn tell_queue(&mut self, index: usize) {
        let id = self.players[index].id.clone();
        self.tell_now(Signal::QueueUpdated(id));
    }

    /// Somebody changed something at the player itself or in Music Assistant's settings: told at once.
    pub(crate) fn tell_player(&mut self, index: usize) {
        let id = self.players[index].id.clone();
        self.tell_now(Signal::PlayerUpdated(id.clone()));
        self.tell_now(Signal::QueueUpdated(id));
    }
}
