//! Players as the cloud may know them.

use macloud_e2ee::vocabulary::{
    Capabilities, Item, MAX_TEXT_CHARS, Percent, Playback, Player, PlayerKind, PlayerState,
};

use crate::music_assistant::directory::Directory;
use crate::music_assistant::model::{self, Activity, Media, PlayerType};
use crate::rules::Rules;

/// A player with its state. `connected` is whether Music Assistant can be reached at all. `None` only for players that
/// are not exposed.
#[must_use]
pub fn player(directory: &Directory, rules: &Rules, player: &model::Player, connected: bool) -> Option<Player> {
    let kind = match player.kind {
        PlayerType::Player => PlayerKind::Speaker,
        PlayerType::StereoPair => PlayerKind::StereoPair,
        PlayerType::Group => PlayerKind::Group,
        PlayerType::Other => return None,
    };
    let volume = has_volume(player);
    Some(Player {
        key: directory.key_of(player)?,
        name: cut(rules.name_of(player)),
        kind,
        manufacturer: player.manufacturer.as_deref().map(cut),
        model: player.model.as_deref().map(cut),
        can: Capabilities {
            power: player.power_control,
            volume,
            mute: player.mute_control || volume,
            order: true,
            // Music Assistant's queues can start anywhere in an item that has an end.
            seek: true,
            autoplay: directory.queue(&player.id).is_some_and(|queue| queue.autoplay.is_some()),
            group: kind != PlayerKind::Group && directory.is_sociable(&player.id),
            sleep: true,
            // Whatever has a volume takes a level.
            steps: false,
        },
        state: state(directory, rules, player, connected),
    })
}

/// Whether it has a level that can be set, its own or its members'.
#[must_use]
pub fn has_volume(player: &model::Player) -> bool {
    player.volume_control || player.kind == PlayerType::Group
}

/// Without what Music Assistant does not know: the sleep timer, and the favourite that was started.
fn state(directory: &Directory, rules: &Rules, player: &model::Player, connected: bool) -> PlayerState {
    let playback = playback(directory, player);
    let level = if has_volume(player) { rules.level(directory, player) } else { None };
    let volume = level.and_then(Percent::new);
    let muted = match player.muted {
        Some(muted) if player.mute_control => Some(muted),
        _ => volume.map(|level| level == Percent::ZERO),
    };
    let leader = directory.leader_of(&player.id).unwrap_or(player);
    let queue = directory.queue(&leader.id);
    let position = if playback == Playback::Stopped || directory.plays_own_source(leader) {
        None
    } else {
        directory.position(&leader.id)
    };
    PlayerState {
        available: connected && player.available,
        powered: if player.power_control {
            player.powered.unwrap_or(playback != Playback::Stopped)
        } else {
            playback != Playback::Stopped
        },
        volume,
        muted,
        playback,
        now_playing: if playback == Playback::Stopped { None } else { now_playing(directory, player) },
        shuffle: queue.and_then(|queue| queue.shuffle),
        repeat: queue.and_then(|queue| queue.repeat),
        position: position.map(|seconds| seconds as u32),
        autoplay: queue.and_then(|queue| queue.autoplay).map(|(_, on)| on),
        sleep_timer: None,
        preset: None,
    }
}

/// A player that follows another does what that one does.
fn playback(directory: &Directory, player: &model::Player) -> Playback {
    let leader = directory.leader_of(&player.id).unwrap_or(player);
    let activity = if leader.activity == Activity::Idle { player.activity } else { leader.activity };
    match activity {
        Activity::Playing => Playback::Playing,
        Activity::Paused => Playback::Paused,
        Activity::Idle => Playback::Stopped,
    }
}

/// What is heard on a player, or would be if it went on.
#[must_use]
pub fn now_playing(directory: &Directory, player: &model::Player) -> Option<Item> {
    let leader = directory.leader_of(&player.id).unwrap_or(player);
    // The player names its own inputs and radio titles better; the queue knows albums and artists better.
    let own_source = directory.plays_own_source(leader);
    let queued = directory.queue(&leader.id).filter(|_| !own_source).and_then(|queue| queue.media.as_ref());
    queued.or(leader.media.as_ref()).or(player.media.as_ref()).map(item)
}

/// What was found or plays, without where it comes from.
#[must_use]
pub fn item(media: &Media) -> Item {
    Item {
        title: cut(&media.title),
        artist: media.artist.as_deref().map(cut),
        album: media.album.as_deref().map(cut),
        kind: media.kind,
    }
}

/// The first [`MAX_TEXT_CHARS`] characters.
#[must_use]
pub fn cut(text: &str) -> String {
    text.chars().take(MAX_TEXT_CHARS).collect()
}
