//! What a home learns by being used, and must still know after a restart: which player each voice device is used with, and which
//! players will stop by themselves.
//!
//! Of a device nothing is known but its [`DeviceKey`], which only the skill can trace back to one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use macloud_e2ee::vocabulary::DeviceKey;
use macloud_proto::ids::{PlayerKey, base32};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::state::{StateDir, StateError};

/// More devices than any household has. The one that was not used for the longest time makes room.
pub const MAX_DEVICES: usize = 200;

/// That a device was used is written down at most this often.
const USED_EVERY: u64 = 86_400;

/// A voice device and the player that it is used with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its key, as text.
    pub device: String,
    /// The player.
    pub player: PlayerKey,
    /// The player's name when this was learned: for whoever reads the file.
    #[serde(default)]
    pub name: String,
    /// Seconds since 1970 when it was last used, to the day.
    #[serde(default)]
    pub used_at: u64,
}

/// A player that will stop by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    /// The player.
    pub player: PlayerKey,
    /// Its name when the timer was set: for whoever reads the file.
    #[serde(default)]
    pub name: String,
    /// Seconds since 1970 when it will stop.
    pub ends_at: u64,
}

impl Timer {
    /// The minutes that are left at `now`, rounded up.
    #[must_use]
    pub fn minutes_left(&self, now: u64) -> u16 {
        u16::try_from(self.ends_at.saturating_sub(now).div_ceil(60)).unwrap_or(u16::MAX)
    }
}

/// What is remembered. Cheap to clone; without a state directory it ends with the process.
#[derive(Clone, Default)]
pub struct Memory(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Option<StateDir>,
    kept: Mutex<Kept>,
    timer_set: Notify,
}

#[derive(Default)]
struct Kept {
    devices: Vec<Device>,
    timers: Vec<Timer>,
    devices_stamp: Option<(SystemTime, u64)>,
}

impl Memory {
    /// What is kept in `state`. Whatever is damaged there is forgotten: it is learned again.
    #[must_use]
    pub fn open(state: StateDir) -> Self {
        let devices = known(state.devices());
        let timers = known(state.timers());
        let devices_stamp = state.devices_stamp();
        let kept = Mutex::new(Kept { devices, timers, devices_stamp });
        Self(Arc::new(Shared { state: Some(state), kept, timer_set: Notify::new() }))
    }

    /// The player that this device is used with. Notes that it is used now.
    #[must_use]
    pub fn player_of(&self, device: &DeviceKey, now: u64) -> Option<PlayerKey> {
        let name = text(device);
        let mut kept = self.kept();
        let known = kept.devices.iter_mut().find(|known| known.device == name)?;
        let player = known.player.clone();
        if now.saturating_sub(known.used_at) >= USED_EVERY {
            known.used_at = now;
            self.save_devices(&mut kept);
        }
        Some(player)
    }

    /// From now on this device is used with this player.
    pub fn learn(&self, device: &DeviceKey, player: PlayerKey, name: &str, now: u64) {
        let device = text(device);
        let mut kept = self.kept();
        kept.devices.retain(|known| known.device != device);
        while kept.devices.len() >= MAX_DEVICES {
            let oldest = (0..kept.devices.len()).min_by_key(|at| kept.devices[*at].used_at).unwrap_or(0);
            kept.devices.remove(oldest);
        }
        kept.devices.push(Device { device, player, name: name.into(), used_at: now });
        self.save_devices(&mut kept);
    }

    /// This device is used with no player in particular any more. The one that it was used with.
    pub fn forget(&self, device: &DeviceKey) -> Option<PlayerKey> {
        let device = text(device);
        let mut kept = self.kept();
        let at = kept.devices.iter().position(|known| known.device == device)?;
        let forgotten = kept.devices.remove(at);
        self.save_devices(&mut kept);
        Some(forgotten.player)
    }

    /// Take over what the owner has changed in the state directory.
    pub fn take_changes(&self) {
        let Some(state) = &self.0.state else { return };
        let stamp = state.devices_stamp();
        let mut kept = self.kept();
        if kept.devices_stamp != stamp {
            kept.devices_stamp = stamp;
            match state.devices() {
                Ok(devices) => kept.devices = devices,
                Err(error) => tracing::error!("{error} Until then the former devices are known."),
            }
        }
    }

    /// This player will stop then, instead of when it was going to.
    pub fn set_timer(&self, timer: Timer) {
        let mut kept = self.kept();
        kept.timers.retain(|known| known.player != timer.player);
        kept.timers.push(timer);
        self.save_timers(&kept);
        drop(kept);
        self.0.timer_set.notify_one();
    }

    /// This player will not stop by itself any more. The timer that it had.
    pub fn clear_timer(&self, player: &PlayerKey) -> Option<Timer> {
        let mut kept = self.kept();
        let at = kept.timers.iter().position(|known| known.player == *player)?;
        let timer = kept.timers.remove(at);
        self.save_timers(&kept);
        Some(timer)
    }

    /// This timer has done its work, unless it was set anew meanwhile.
    pub fn timer_is_over(&self, timer: &Timer) {
        let mut kept = self.kept();
        let count = kept.timers.len();
        kept.timers.retain(|known| known != timer);
        if kept.timers.len() != count {
            self.save_timers(&kept);
        }
    }

    /// The timer of this player.
    #[must_use]
    pub fn timer(&self, player: &PlayerKey) -> Option<Timer> {
        self.kept().timers.iter().find(|timer| timer.player == *player).cloned()
    }

    /// All timers that end by `now`.
    #[must_use]
    pub fn due(&self, now: u64) -> Vec<Timer> {
        self.kept().timers.iter().filter(|timer| timer.ends_at <= now).cloned().collect()
    }

    /// Whether any timer is set.
    #[must_use]
    pub fn has_timers(&self) -> bool {
        !self.kept().timers.is_empty()
    }

    /// Wait until a timer is set. For one who waits.
    pub async fn timer_set(&self) {
        self.0.timer_set.notified().await;
    }

    fn save_devices(&self, kept: &mut Kept) {
        let Some(state) = &self.0.state else { return };
        if let Err(error) = state.save_devices(&kept.devices) {
            tracing::warn!("which player a device is used with could not be kept: {error}");
        }
        kept.devices_stamp = state.devices_stamp();
    }

    fn save_timers(&self, kept: &Kept) {
        let Some(state) = &self.0.state else { return };
        if let Err(error) = state.save_timers(&kept.timers) {
            tracing::warn!("a sleep timer could not be kept: {error}");
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // What is behind this lock is consistent between its own calls.
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn text(device: &DeviceKey) -> String {
    base32(device.as_bytes())
}

fn known<T>(read: Result<Vec<T>, StateError>) -> Vec<T> {
    read.unwrap_or_else(|error| {
        tracing::warn!("{error} It is forgotten.");
        Vec::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_000_000;

    fn device(number: u8) -> DeviceKey {
        DeviceKey::from_bytes([number; 16])
    }

    fn player(number: u8) -> PlayerKey {
        PlayerKey::from_bytes(&[number; 15])
    }

    #[test]
    fn the_device_not_used_for_the_longest_time_makes_room() {
        let memory = Memory::default();
        for number in 0..MAX_DEVICES as u8 {
            memory.learn(&device(number), player(number), "", NOW + u64::from(number));
        }
        assert_eq!(memory.player_of(&device(0), NOW + USED_EVERY), Some(player(0)), "used again");
        memory.learn(&device(250), player(250), "", NOW + USED_EVERY);
        let known = |number| memory.player_of(&device(number), NOW).is_some();
        assert!(known(0) && !known(1) && known(2) && known(250));
    }

    #[test]
    fn a_device_is_used_with_one_player() {
        let memory = Memory::default();
        memory.learn(&device(1), player(1), "Kitchen", NOW);
        memory.learn(&device(1), player(2), "Bath", NOW);
        assert_eq!(memory.player_of(&device(1), NOW), Some(player(2)));
        assert_eq!((memory.forget(&device(1)), memory.forget(&device(1))), (Some(player(2)), None));
        assert_eq!(memory.player_of(&device(1), NOW), None);
    }

    #[test]
    fn a_timer_that_was_set_anew_is_not_over() {
        let memory = Memory::default();
        let timer = |ends_at| Timer { player: player(1), name: "Kitchen".into(), ends_at };
        memory.set_timer(timer(NOW));
        let due = memory.due(NOW).remove(0);
        memory.set_timer(timer(NOW + 90));
        memory.timer_is_over(&due);
        assert_eq!(memory.timer(&player(1)).map(|timer| timer.minutes_left(NOW)), Some(2));
        assert!(memory.due(NOW + 89).is_empty() && memory.due(NOW + 90).len() == 1);
        assert!(memory.clear_timer(&player(1)).is_some() && !memory.has_timers());
    }
}
