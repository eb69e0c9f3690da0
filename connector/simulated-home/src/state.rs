//! The truth about a home: what its players really do, whatever the protocol says at the moment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::catalog::Catalog;
use crate::player::{Playback, Player};
use crate::world::World;

/// A home as it is now. The body of the control API's `GET /state`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HomeState {
    /// `starting`, `running` or `stopping`, as the hello says.
    pub status: String,
    /// Unix time by the home's clock.
    pub now: f64,
    /// How many clients are connected and signed in.
    pub clients: usize,
    /// How often each command arrived since the start, executed or not.
    pub commands: BTreeMap<String, u64>,
    /// The players in the order they were added.
    pub players: Vec<PlayerState>,
}

impl HomeState {
    /// The player with this id.
    #[must_use]
    pub fn player(&self, id: &str) -> Option<&PlayerState> {
        self.players.iter().find(|player| player.player_id == id)
    }

    /// The first player with this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&PlayerState> {
        self.players.iter().find(|player| player.name == name)
    }
}

/// A command that arrived from somebody who had signed in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heard {
    /// Unix time by the home's clock.
    pub at: f64,
    /// Its name.
    pub command: String,
    /// Its arguments.
    pub args: serde_json::Map<String, serde_json::Value>,
}

/// A player as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlayerState {
    /// Its id.
    pub player_id: String,
    /// Its name.
    pub name: String,
    /// Whether the server can reach it.
    pub available: bool,
    /// Whether its plug is out; availability follows a moment later.
    pub unplugged: bool,
    /// Switched on.
    pub powered: bool,
    /// What is heard from it: a follower plays what its leader plays.
    pub state: Playback,
    /// As stored, even outside 0 to 100.
    pub volume: i64,
    /// Muted.
    pub muted: bool,
    /// Whom it follows.
    pub synced_to: Option<String>,
    /// Itself and its followers, if it leads any.
    pub group_members: Vec<String>,
    /// What is heard, or would be after "play".
    pub now_playing: Option<NowPlaying>,
    /// Seconds into it.
    pub elapsed_s: f64,
    /// Its length in seconds; radio has none.
    pub duration_s: Option<u32>,
    /// Its own queue, also while it follows another.
    pub queue: QueueState,
}

/// A track or station.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NowPlaying {
    /// Title of the track or name of the station.
    pub title: String,
    /// Of the track.
    pub artist: Option<String>,
    /// Of the track.
    pub album: Option<String>,
    /// In Music Assistant's form, `library://track/1`.
    pub uri: String,
}

/// A queue as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueState {
    /// How many items it holds.
    pub length: usize,
    /// Place of the current item.
    pub current_index: Option<usize>,
    /// Mixed.
    pub shuffle: bool,
    /// `off`, `one`, `all` or `unknown`.
    pub repeat: String,
    /// The first hundred items' URIs, in playing order.
    pub items: Vec<String>,
}

impl QueueState {
    fn of(player: &Player) -> Self {
        let queue = &player.queue;
        Self {
            length: queue.items.len(),
            current_index: queue.current,
            shuffle: queue.shuffle,
            repeat: queue.repeat.name().to_owned(),
            items: queue.items.iter().take(100).map(|item| item.media.uri()).collect(),
        }
    }
}

/// Takes the picture.
pub(crate) fn picture(world: &World, clients: usize, commands: BTreeMap<String, u64>) -> HomeState {
    let players = (0..world.players.len()).map(|index| player(world, index)).collect();
    HomeState { status: world.phase.status().to_owned(), now: world.now, clients, commands, players }
}

fn player(world: &World, index: usize) -> PlayerState {
    let player = &world.players[index];
    let source = &world.players[world.leader(index).unwrap_or(index)];
    let media = source.queue.current_item().map(|item| item.media);
    PlayerState {
        player_id: player.id.clone(),
        name: player.name.clone(),
        available: player.available,
        unplugged: player.unplugged,
        powered: player.powered,
        state: source.playback,
        volume: player.volume,
        muted: player.muted,
        synced_to: player.synced_to.clone(),
        group_members: player.group_members.clone(),
        now_playing: media.map(|media| now_playing(&world.catalog, media)),
        elapsed_s: source.queue.position(source.playback, world.now),
        duration_s: media.and_then(|media| world.catalog.duration(media)),
        queue: QueueState::of(player),
    }
}

fn now_playing(catalog: &Catalog, media: crate::catalog::Item) -> NowPlaying {
    NowPlaying {
        title: catalog.name(media).to_owned(),
        artist: catalog.artist_name(media).map(str::to_owned),
        album: catalog.album_name(media).map(str::to_owned),
        uri: media.uri(),
    }
}
