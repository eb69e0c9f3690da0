//! Sleep timers: players that stop by themselves.
//!
//! They are kept here and go by the clock of this machine, so that they hold through a restart of either program, and mean the
//! same on every version of Music Assistant.

use std::time::Duration;

use macloud_e2ee::vocabulary::{MAX_SLEEP_MINUTES, Refusal, Reply, Transport, clean_text};
use macloud_service_kit::stop::Stop;

use super::Executor;
use crate::memory::Timer;
use crate::music_assistant::CONTROL_LIMIT;
use crate::music_assistant::directory::Directory;
use crate::music_assistant::model::Player;

/// While there are timers they are looked at this often: the clock may be set.
const TICK: Duration = Duration::from_secs(1);

/// Music Assistant may be away when a timer ends. After this many seconds it would stop what somebody has started since.
const OVERDUE: u64 = 900;

impl Executor {
    pub(super) fn set_sleep_timer(&self, player: &Player, minutes: Option<u16>) -> Result<Reply, Refusal> {
        let keys = {
            let directory = self.ma.directory();
            let leader = directory.leader_of(&player.id).unwrap_or(player);
            [directory.key_of(player), directory.key_of(leader)]
        };
        let [Some(key), Some(leader)] = keys else { return Err(Refusal::UnknownPlayer) };
        // What it shows may be the timer of the one that it follows.
        self.memory.clear_timer(&leader);
        self.memory.clear_timer(&key);
        if let Some(minutes) = minutes {
            let minutes = minutes.clamp(1, MAX_SLEEP_MINUTES);
            let ends_at = self.house.unix_seconds() + u64::from(minutes) * 60;
            self.memory.set_timer(Timer { player: key, name: clean_text(&self.called(player)), ends_at });
        }
        self.done(&player.id, |_| {})
    }

    /// In how many minutes `player` will stop: it, or the one that it follows.
    pub(super) fn sleep_minutes(&self, directory: &Directory, player: &Player) -> Option<u16> {
        if !self.memory.has_timers() {
            return None;
        }
        let leader = directory.leader_of(&player.id).unwrap_or(player);
        let timers = [player, leader].into_iter().filter_map(|player| self.memory.timer(&directory.key_of(player)?));
        let now = self.house.unix_seconds();
        timers.map(|timer| timer.minutes_left(now).min(MAX_SLEEP_MINUTES)).min()
    }

    /// The timer goes where the music goes.
    pub(super) fn move_sleep_timer(&self, from: &Player, to: &Player) {
        let directory = self.ma.directory();
        let (Some(from), Some(key)) = (directory.key_of(from), directory.key_of(to)) else { return };
        if let Some(timer) = self.memory.clear_timer(&from) {
            self.memory.set_timer(Timer { player: key, name: clean_text(&self.called(to)), ..timer });
        }
    }

    /// Stop players whose time has come, until told to stop. `is_stopped` is whether nothing is to be carried out.
    pub async fn keep_timers(&self, stop: &Stop, is_stopped: impl Fn() -> bool) {
        loop {
            let tick = async {
                if self.memory.has_timers() {
                    tokio::time::sleep(TICK).await;
                } else {
                    self.memory.timer_set().await;
                }
            };
            tokio::select! {
                () = stop.soft() => return,
                () = tick => {}
            }
            for timer in self.memory.due(self.house.unix_seconds()) {
                let overdue = self.house.unix_seconds().saturating_sub(timer.ends_at) > OVERDUE;
                if overdue || is_stopped() || self.stop_for(&timer).await {
                    self.memory.timer_is_over(&timer);
                }
            }
        }
    }

    /// Stop the player of a timer. Whether that is done with.
    async fn stop_for(&self, timer: &Timer) -> bool {
        if self.ready().is_err() {
            return false;
        }
        let Some(player) = self.ma.directory().by_key(&timer.player).cloned() else { return !self.ma.is_settling() };
        match self.transport(&player, Transport::Stop, CONTROL_LIMIT).await {
            Err(
                Refusal::MusicAssistantAway(_) | Refusal::MusicAssistantStarting | Refusal::Busy | Refusal::PlayerBusy,
            ) => false,
            Ok(_) => {
                tracing::info!(player.id = %player.id, "a sleep timer has ended");
                true
            }
            // It was told, or cannot be.
            Err(_) => true,
        }
    }
}
