//! Playing, pausing, skipping and seeking; volume, mute and power.

use std::time::Duration;

use super::{Effect, Signal, World};
use crate::catalog::Item;
use crate::player::Playback;
use crate::wire::{Failure, code};

/// What a transport command asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Play,
    Pause,
    Stop,
    PlayPause,
    Next,
    Previous,
    /// To this second.
    Seek(i64),
}

impl Transport {
    /// What a degraded player answers: a wrapper whose output protocol is not loaded.
    fn refusal(self, name: &str) -> Failure {
        Failure::player_command(match self {
            Self::Play | Self::PlayPause => format!("Player {name} does not support source selection"),
            Self::Pause | Self::Stop => "stop needs to be implemented when PlayerFeature.PLAY_MEDIA is set".to_owned(),
            Self::Next => format!("Player {name} does not support skipping to the next track."),
            Self::Previous => format!("Player {name} does not support skipping to the previous track."),
            Self::Seek(_) => format!("Player {name} does not support seeking"),
        })
    }
}

impl World {
    /// `players/cmd/<transport>`. Unknown and unavailable players succeed silently; followers hand over to their leader.
    pub(crate) fn player_transport(&mut self, id: &str, what: Transport) -> Result<(), Failure> {
        let Some(index) = self.index(id).filter(|index| self.players[*index].available) else { return Ok(()) };
        if self.players[index].degraded {
            return Err(what.refusal(&self.players[index].name));
        }
        if what == Transport::Play && self.leader(index).is_err() {
            return self.resume(index);
        }
        let leader = self.leader(index)?;
        self.transport(leader, what)
    }

    /// The same on a player that leads itself.
    pub(crate) fn transport(&mut self, index: usize, what: Transport) -> Result<(), Failure> {
        self.occupy(index, self.timing.transport_reply);
        let intended = self.players[index].intended;
        match what {
            Transport::PlayPause if intended == Playback::Playing => self.pause(index),
            Transport::Play | Transport::PlayPause => return self.play(index),
            Transport::Pause => self.pause(index),
            Transport::Stop => self.stop(index),
            Transport::Next => self.step(index, true),
            Transport::Previous => self.step(index, false),
            Transport::Seek(second) => return self.seek(index, second),
        }
        Ok(())
    }

    fn play(&mut self, index: usize) -> Result<(), Failure> {
        match self.players[index].intended {
            Playback::Playing => Ok(()),
            Playback::Paused => {
                self.order(index, Playback::Playing, self.timing.player_update);
                Ok(())
            }
            Playback::Idle => self.resume(index),
        }
    }

    fn pause(&mut self, index: usize) {
        if self.players[index].intended == Playback::Playing {
            let to = if self.quirks.pause_stops { Playback::Idle } else { Playback::Paused };
            self.order(index, to, self.timing.player_update);
        }
    }

    pub(super) fn stop(&mut self, index: usize) {
        if self.players[index].intended != Playback::Idle {
            self.order(index, Playback::Idle, self.timing.player_update);
        }
    }

    /// Plays what the queue has. An empty queue plays again what was last put into it.
    pub(crate) fn resume(&mut self, index: usize) -> Result<(), Failure> {
        if self.players[index].intended == Playback::Paused {
            self.order(index, Playback::Playing, self.timing.player_update);
            return Ok(());
        }
        if self.players[index].queue.items.is_empty() {
            let media = self.players[index].queue.last_media.clone();
            if media.is_empty() {
                let name = &self.players[index].name;
                let details = format!("Resume queue requested but queue {name} is empty");
                return Err(Failure::new(code::QUEUE_EMPTY, details));
            }
            self.fill(index, 0, &media);
        }
        let queue = &self.players[index].queue;
        let (at, position) = (queue.current.unwrap_or(0), queue.position(Playback::Idle, self.now));
        self.play_index(index, at, position);
        Ok(())
    }

    fn step(&mut self, index: usize, forward: bool) {
        let queue = &self.players[index].queue;
        let Some(current) = queue.current else { return };
        let target = if forward { queue.next_index(true) } else { Some(current.saturating_sub(1)) };
        if let Some(target) = target {
            self.play_index(index, target, 0.0);
            self.players[index].load_until(self.now + self.timing.settle.as_secs_f64(), 1);
        }
    }

    fn seek(&mut self, index: usize, second: i64) -> Result<(), Failure> {
        let queue = &self.players[index].queue;
        let refuse = |why: &str| Err(Failure::invalid_command(why));
        let (Some(at), Some(item)) = (queue.current, queue.current_item()) else {
            return refuse("Queue has no current item to seek in.");
        };
        let Some(duration) = self.catalog.duration(item.media) else {
            return refuse("Can not seek items without duration.");
        };
        if second > i64::from(duration) {
            return refuse("Can not seek outside of duration range.");
        }
        if self.players[index].refuses_while_loading(self.now) {
            let name = &self.players[index].name;
            return Err(Failure::invalid_command(format!("Queue {name} has no item(s) loaded.")));
        }
        self.play_index(index, at, second.max(0) as f64);
        self.restart_stream(index);
        Ok(())
    }

    /// A new stream is on its way. Until it is there the old one can be paused, and that is all a pause then does.
    fn restart_stream(&mut self, index: usize) {
        let player = &mut self.players[index];
        player.streams += 1;
        if !self.timing.stream_restart.is_zero() {
            let (player, stream) = (player.id.clone(), player.streams);
            self.later(self.timing.stream_restart, Effect::StreamStarts { player, stream });
        }
    }

    pub(super) fn apply_stream(&mut self, id: &str, stream: u64, signals: &mut Vec<Signal>) {
        let Some(index) = self.index(id) else { return };
        let player = &mut self.players[index];
        if player.streams != stream || player.playback != Playback::Paused {
            return;
        }
        player.orders += 1;
        player.intended = Playback::Playing;
        let order = player.orders;
        self.apply_playback(id, Playback::Playing, order, signals);
    }

    /// `player_queues/skip`: by seconds, also backwards, never beyond the track.
    pub(crate) fn skip(&mut self, index: usize, seconds: i64) -> Result<(), Failure> {
        let player = &self.players[index];
        let at = player.queue.position(player.playback, self.now) as i64;
        let duration = player.queue.current_item().and_then(|item| self.catalog.duration(item.media));
        let target = (at + seconds).clamp(0, duration.map_or(i64::MAX, i64::from));
        self.transport(index, Transport::Seek(target))
    }

    /// Plays an item of the queue: the new item shows at once, the sound follows.
    pub(crate) fn play_index(&mut self, index: usize, at: usize, position: f64) {
        let now = self.now;
        let starts_in = match self.players[index].playback {
            Playback::Playing => Duration::ZERO,
            _ => self.timing.start_playing,
        };
        let player = &mut self.players[index];
        player.streams += 1;
        player.load_until(0.0, 0);
        if player.playback != Playback::Playing {
            player.untold_until = now + (starts_in + self.timing.settle).as_secs_f64();
            player.load_until(player.untold_until, 2);
        }
        player.queue.current = Some(at);
        player.queue.set_position(position, now);
        if let Some(media) = player.queue.current_item().map(|item| item.media) {
            self.remember(media);
        }
        let id = self.players[index].id.clone();
        self.tell_now(Signal::QueueUpdated(id.clone()));
        self.tell_now(Signal::PlayerUpdated(id.clone()));
        self.order(index, Playback::Playing, starts_in);
        if self.timing.settle > starts_in {
            self.tell(self.timing.settle, Signal::QueueUpdated(id.clone()));
            self.tell(self.timing.settle, Signal::PlayerUpdated(id));
        }
    }

    pub(crate) fn remember(&mut self, media: Item) {
        self.recent.retain(|item| *item != media);
        self.recent.push_front(media);
        self.recent.truncate(50);
    }

    /// Tells a player what to do; it does so `after` a while, unless told otherwise until then.
    fn order(&mut self, index: usize, to: Playback, after: Duration) {
        let player = &mut self.players[index];
        player.orders += 1;
        player.intended = to;
        let (id, order) = (player.id.clone(), player.orders);
        self.later(after, Effect::Playback { player: id, to, order });
    }

    pub(super) fn apply_playback(&mut self, id: &str, to: Playback, order: u64, signals: &mut Vec<Signal>) {
        let now = self.now;
        let Some(index) = self.index(id) else { return };
        let player = &mut self.players[index];
        if player.orders != order || !player.available {
            return;
        }
        player.queue.fix_position(player.playback, now);
        player.playback = to;
        if to == Playback::Playing {
            player.output_used = true;
            player.powered = true;
        }
        signals.push(Signal::QueueUpdated(id.to_owned()));
        signals.push(Signal::MediaPlayed(id.to_owned()));
        signals.push(Signal::PlayerUpdated(id.to_owned()));
        signals.extend(self.followers(index).map(|follower| Signal::PlayerUpdated(follower.to_owned())));
    }

    /// Moves a playing queue on over the ends of its tracks.
    pub(super) fn finish_tracks(&mut self, index: usize, now: f64) {
        let mut ended = false;
        while let Some(remaining) =
            self.players[index].queue.remaining(self.players[index].playback, &self.catalog, now)
        {
            if remaining > 0.0 {
                break;
            }
            ended = true;
            let next = self.players[index].queue.next_index(false);
            let player = &mut self.players[index];
            match next {
                Some(next) => {
                    player.queue.current = Some(next);
                    player.queue.set_position(0.0, now + remaining);
                }
                None => {
                    player.playback = Playback::Idle;
                    player.intended = Playback::Idle;
                    player.queue.set_position(0.0, now);
                }
            }
            if let Some(media) = self.players[index].queue.current_item().map(|item| item.media) {
                self.remember(media);
            }
        }
        if ended {
            let id = self.players[index].id.clone();
            self.tell_now(Signal::QueueUpdated(id.clone()));
            self.tell_now(Signal::PlayerUpdated(id));
        }
    }

    /// `players/cmd/volume_set`: not clamped, and beyond 100 the provider stumbles, as recorded. A group's is that of its members.
    pub(crate) fn set_volume(&mut self, id: &str, level: i64) -> Result<(), Failure> {
        let Some(index) = self.index(id).filter(|index| self.players[*index].available) else { return Ok(()) };
        let player = &self.players[index];
        if !player.is_speaker() {
            self.set_group_volume(id, level);
            return Ok(());
        }
        if player.degraded {
            return Err(Failure::player_command(format!("Player {} does not support volume control", player.name)));
        }
        if level > 100 {
            return Err(Failure::player_command("list index out of range"));
        }
        self.occupy(index, self.timing.transport_reply);
        self.change_volume(index, level);
        Ok(())
    }

    pub(super) fn change_volume(&mut self, index: usize, level: i64) {
        let player = &mut self.players[index];
        let shown = player.shown_volume();
        player.volume_forgotten = false;
        if player.volume != level || shown != level {
            player.volume = level;
            let id = player.id.clone();
            self.tell(self.timing.player_update, Signal::PlayerUpdated(id));
        }
    }

    /// `players/cmd/volume_up` and `volume_down`: smaller steps near both ends.
    pub(crate) fn step_volume(&mut self, id: &str, up: bool) -> Result<(), Failure> {
        let Some(index) = self.index(id) else { return Ok(()) };
        let level = self.players[index].volume;
        let step = match level {
            ..5 | 96.. => 1,
            ..20 | 81.. => 2,
            _ => 5,
        };
        self.set_volume(id, if up { (level + step).min(100) } else { (level - step).max(0) })
    }

    /// `players/cmd/volume_mute`: without mute control it succeeds and nothing happens.
    pub(crate) fn set_muted(&mut self, id: &str, muted: bool) {
        let Some(index) = self.index(id).filter(|index| self.players[*index].works()) else { return };
        self.occupy(index, self.timing.transport_reply);
        let player = &mut self.players[index];
        if player.has_mute && player.muted != muted {
            player.muted = muted;
            let id = player.id.clone();
            self.tell(self.timing.player_update, Signal::PlayerUpdated(id));
        }
    }

    /// `players/cmd/power`: without power control "off" only stops the music. A follower that goes off leaves its group.
    pub(crate) fn set_power(&mut self, id: &str, powered: bool) {
        let Some(index) = self.index(id).filter(|index| self.players[*index].works()) else { return };
        self.occupy(index, self.timing.transport_reply);
        if !powered {
            if self.players[index].synced_to.is_some() {
                self.ungroup(index);
            }
            self.stop(index);
        }
        let player = &mut self.players[index];
        if player.has_power && player.powered != powered {
            player.powered = powered;
            let id = player.id.clone();
            self.tell(self.timing.player_update, Signal::PlayerUpdated(id));
        }
    }
}
