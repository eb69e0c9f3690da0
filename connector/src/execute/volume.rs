//! Levels and mute, where Music Assistant needs help: relative steps that come faster than it takes them, and mute for
//! players that have none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A level that was set is taken as the present one for this long: the event that confirms it comes 0.2 to 0.3 s later,
/// and more under load.
const REMEMBERED: Duration = Duration::from_millis(1500);

/// Unmuting a player whose level before nobody knows.
const UNKNOWN_LEVEL: u8 = 25;

/// What is remembered of each player's level.
#[derive(Debug, Default)]
pub struct Volumes {
    lanes: Mutex<HashMap<String, Lane>>,
}

#[derive(Debug, Default)]
struct Lane {
    /// Counts what was asked, so that a request can tell whether a later one has overtaken it.
    asked: u64,
    level: u8,
    at: Option<Instant>,
    /// The level before an emulated mute.
    before_mute: Option<u8>,
    /// One request at a time per player: Music Assistant takes one per 50 ms.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// A change of level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// To this.
    To(u8),
    /// By this much.
    By(i8),
    /// To silence, remembering.
    Silence,
    /// Back to what was remembered.
    Restore,
}

impl Change {
    /// To silence, or back from it.
    #[must_use]
    pub const fn is_about_silence(self) -> bool {
        matches!(self, Self::Silence | Self::Restore | Self::To(0))
    }
}

/// A place in the line of requests to one player.
#[derive(Debug)]
pub struct Ticket {
    number: u64,
    /// The level that results.
    pub level: u8,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Volumes {
    /// Note a change asked of `player`, whose level Music Assistant says is `known`, and which is not to be made louder than
    /// `ceiling`. A step ends there; `None` for what asks for more.
    pub fn ask(&self, player: &str, change: Change, known: Option<u8>, ceiling: u8) -> Option<Ticket> {
        let mut lanes = self.lanes();
        let lane = lanes.entry(player.into()).or_default();
        let present = lane.present(known);
        // Who is known to be above the ceiling already may become quieter in steps.
        let loudest = known.unwrap_or_default().max(ceiling);
        let level = match change {
            Change::To(level) if level.min(100) > ceiling => return None,
            Change::To(level) => {
                lane.before_mute = None;
                level.min(100)
            }
            Change::By(step) if step > 0 && present >= ceiling && ceiling < 100 => return None,
            Change::By(step) => {
                // Turned up while muted, it goes on from the level before; turned down, it stays silent.
                let base = lane.before_mute.filter(|_| step > 0 && present == 0).unwrap_or(present);
                if step > 0 || present > 0 {
                    lane.before_mute = None;
                }
                let most = if step > 0 { ceiling } else { loudest };
                (i16::from(base) + i16::from(step)).clamp(0, most.into()) as u8
            }
            Change::Silence => {
                if present > 0 {
                    lane.before_mute = Some(present);
                }
                0
            }
            Change::Restore if present > 0 => present.min(loudest),
            Change::Restore => lane.before_mute.take().unwrap_or(UNKNOWN_LEVEL).min(ceiling),
        };
        lane.asked += 1;
        lane.level = level;
        lane.at = Some(Instant::now());
        Some(Ticket { number: lane.asked, level, turn: Arc::clone(&lane.turn) })
    }

    /// The level of `player` now, of whom Music Assistant says that it is `known`.
    #[must_use]
    pub fn present(&self, player: &str, known: Option<u8>) -> Option<u8> {
        let lanes = self.lanes();
        lanes.get(player).filter(|lane| lane.was_just_set()).map(|lane| lane.level).or(known)
    }

    /// Wait for the turn of `ticket`. `None` when a later request has overtaken it, so that there is nothing to send.
    pub async fn turn(&self, player: &str, ticket: &Ticket) -> Option<tokio::sync::OwnedMutexGuard<()>> {
        let turn = Arc::clone(&ticket.turn).lock_owned().await;
        let newest = self.lanes().get(player).map_or(0, |lane| lane.asked);
        (newest == ticket.number).then_some(turn)
    }

    /// What was asked failed: Music Assistant's own word counts again.
    pub fn failed(&self, player: &str) {
        if let Some(lane) = self.lanes().get_mut(player) {
            lane.at = None;
        }
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<String, Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lane {
    fn was_just_set(&self) -> bool {
        self.at.is_some_and(|at| at.elapsed() < REMEMBERED)
    }

    fn present(&self, known: Option<u8>) -> u8 {
        if self.was_just_set() { self.level } else { known.unwrap_or(self.level) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(volumes: &Volumes, player: &str, change: Change, known: Option<u8>) -> Ticket {
        volumes.ask(player, change, known, 100).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_goes_over_the_ceiling() {
        let volumes = Volumes::default();
        let level = |change, known| volumes.ask("a", change, known, 60).map(|ticket| ticket.level);
        assert_eq!(level(Change::To(61), Some(20)), None);
        assert_eq!(level(Change::By(10), Some(20)), Some(30), "what was refused changed nothing");
        assert_eq!(level(Change::To(60), Some(20)), Some(60));
        assert_eq!(level(Change::By(1), Some(60)), None);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(level(Change::By(50), Some(50)), Some(60), "a step ends at the ceiling");
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(level(Change::By(-10), Some(95)), Some(85), "somebody turned the knob");
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(level(Change::Silence, Some(95)), Some(0));
        assert_eq!(level(Change::Restore, Some(0)), Some(60));
        tokio::time::advance(Duration::from_secs(5)).await;
        let lower = volumes.ask("a", Change::By(-10), None, 30).map(|ticket| ticket.level);
        assert_eq!(lower, Some(30), "nobody knows how loud it is, and it was louder once");
    }

    #[tokio::test(start_paused = true)]
    async fn steps_add_up_before_the_first_is_confirmed() {
        let volumes = Volumes::default();
        let levels: Vec<u8> = (0..4).map(|_| ask(&volumes, "a", Change::By(10), Some(20)).level).collect();
        assert_eq!(levels, [30, 40, 50, 60]);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(ask(&volumes, "a", Change::By(10), Some(35)).level, 45, "somebody turned the knob");
    }

    #[tokio::test]
    async fn only_the_newest_of_those_that_wait_is_sent() {
        let volumes = Volumes::default();
        let first = ask(&volumes, "a", Change::To(10), None);
        let sending = volumes.turn("a", &first).await.unwrap();
        let second = ask(&volumes, "a", Change::To(20), None);
        let third = ask(&volumes, "a", Change::To(30), None);
        drop(sending);
        assert!(volumes.turn("a", &second).await.is_none());
        assert!(volumes.turn("a", &third).await.is_some());
    }

    #[test]
    fn levels_stay_on_the_scale() {
        let volumes = Volumes::default();
        assert_eq!(ask(&volumes, "a", Change::By(-50), Some(20)).level, 0);
        assert_eq!(ask(&volumes, "b", Change::By(100), Some(20)).level, 100);
        assert_eq!(ask(&volumes, "c", Change::To(200), Some(20)).level, 100);
    }

    #[tokio::test(start_paused = true)]
    async fn mute_is_undone_to_the_level_before() {
        let volumes = Volumes::default();
        assert_eq!(ask(&volumes, "a", Change::Silence, Some(40)).level, 0);
        assert_eq!(ask(&volumes, "a", Change::Silence, Some(40)).level, 0);
        assert_eq!(ask(&volumes, "a", Change::Restore, Some(40)).level, 40);
        assert_eq!(ask(&volumes, "a", Change::Restore, Some(40)).level, 40, "not muted: nothing changes");
        assert_eq!(ask(&volumes, "b", Change::Restore, Some(0)).level, UNKNOWN_LEVEL);
        tokio::time::advance(Duration::from_secs(5)).await;
        ask(&volumes, "a", Change::Silence, Some(40));
        assert_eq!(ask(&volumes, "a", Change::By(-10), None).level, 0, "turned down while muted it stays silent");
        assert_eq!(
            ask(&volumes, "a", Change::By(10), None).level,
            50,
            "turned up while muted it starts from the level before"
        );
    }
}
