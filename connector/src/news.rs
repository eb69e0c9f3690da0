//! Tell the cloud how players are whenever that changes, and which there are, if the owner wants it so.
//!
//! An event says how one player is now, as a whole, so that only the latest of each player matters. Bursts are waited out, what
//! plays is not told, and no more is told in a minute than any home needs: what is left over is told later, as it is then.

mod listing;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use macloud_e2ee::event::{EventLabel, Moment};
use macloud_e2ee::vocabulary::{Capabilities, News, Player, PlayerState};
use macloud_proto::ids::PlayerKey;
use macloud_proto::link::frame::Event;
use macloud_service_kit::random;
use macloud_service_kit::stop::Stop;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::link::Link;
use crate::link::commands::Commands;
use crate::link::events::Outbox;
use crate::music_assistant::MusicAssistant;
use crate::rules::HouseRules;
use crate::state::StateDir;
pub(crate) use listing::Listed;
use listing::Listing;

/// Tells.
pub(crate) struct Teller {
    pub(crate) ma: MusicAssistant,
    pub(crate) house: HouseRules,
    pub(crate) commands: Arc<Commands>,
    pub(crate) link: Arc<Link>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) state: StateDir,
}

/// What is told of a player.
type Told = (Capabilities, PlayerState);

/// What was told, and how much more may be.
#[derive(Default)]
struct Memory {
    told: HashMap<PlayerKey, Told>,
    /// Since when Music Assistant is not ready.
    away_since: Option<Instant>,
    minute: Option<(Instant, u32)>,
}

impl Teller {
    /// Tell what changes until told to stop.
    pub(crate) async fn run(&self, stop: Stop) {
        let mut changes = self.ma.changes();
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut memory = Memory::default();
        let mut listing = Listing::after(self.state.listed());
        loop {
            tokio::select! {
                () = stop.soft() => return,
                // What changes without a word from Music Assistant: the owner's rules, its absence, and the next minute.
                _ = look.tick() => {}
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    tokio::select! {
                        () = stop.soft() => return,
                        () = sleep(BURST) => {}
                    }
                    changes.mark_unchanged();
                }
            }
            self.look(&mut memory, Instant::now());
            self.list(&mut memory, &mut listing).await;
        }
    }

    /// Tell which players and favourites there are, when others have been for a while.
    async fn list(&self, memory: &mut Memory, listing: &mut Listing) {
        if !self.may_tell() {
            if listing.told != Listed::default() {
                // Told again, all of it, should the owner want it again.
                *listing = Listing::default();
                self.keep(&listing.told);
            }
            return;
        }
        // What Music Assistant has not found again yet has not gone.
        if !self.ma.condition().is_ready() || self.ma.is_settling() {
            return;
        }
        let Some(presets) = self.commands.presets().await else { return };
        let Some((news, told)) = listing.due(self.commands.exposed_players(), presets, Instant::now()) else { return };
        let key = self.commands.home().event_key_of_players();
        if memory.may_tell(Instant::now()) && self.tell(key, &news) {
            listing.told = told;
            self.keep(&listing.told);
        }
    }

    fn may_tell(&self) -> bool {
        self.house.current().tell_changes && !self.commands.is_stopped()
    }

    fn keep(&self, told: &Listed) {
        if let Err(error) = self.state.save_listed(told) {
            tracing::warn!(%error, "what the cloud was told of players is not kept: after a restart it is told again");
        }
    }

    fn look(&self, memory: &mut Memory, now: Instant) {
        if !self.may_tell() {
            if !memory.told.is_empty() {
                // Whoever turns it off means what has not left yet, too.
                *memory = Memory::default();
                self.outbox.clear();
            }
            return;
        }
        if self.ma.condition().is_ready() {
            memory.away_since = None;
        } else if now - *memory.away_since.get_or_insert(now) < AWAY_FOR {
            return;
        }
        let players = self.commands.exposed_players();
        memory.told.retain(|key, _| players.iter().any(|player| player.key == *key));
        for Player { key, can, state, .. } in players {
            let is = (can, PlayerState { now_playing: None, position: None, ..state });
            if memory.told.get(&key).is_some_and(|told| says_it_all(told, &is)) {
                continue;
            }
            if !memory.may_tell(now) || !self.tell_player(&key, &is) {
                return;
            }
            memory.told.insert(key, is);
        }
    }

    fn tell_player(&self, player: &PlayerKey, (can, state): &Told) -> bool {
        let key = self.commands.home().event_key(player);
        self.tell(key, &News::Player { key: player.clone(), can: *can, state: state.clone() })
    }

    /// Whether it is in the outbox: not while the cloud has no key for events.
    fn tell(&self, key: [u8; 16], news: &News) -> bool {
        let event_id: [u8; 16] = random::bytes();
        let moment = Moment { now: self.commands.now(), unix_millis: self.link.unix_millis() };
        let label = EventLabel { event_id: &event_id, key: &key };
        let sealed = self.commands.home().seal_event(&label, news, moment, &mut random::fill);
        let Some(sealed) = sealed else { return false };
        self.outbox.tell(Event { event_id, key: bytes::Bytes::copy_from_slice(&key), sealed: sealed.into() });
        true
    }
}

impl Memory {
    fn may_tell(&mut self, now: Instant) -> bool {
        let (began, told) = self.minute.get_or_insert((now, 0));
        if now - *began >= MINUTE {
            (*began, *told) = (now, 0);
        }
        *told += 1;
        *told <= MOST_A_MINUTE
    }
}

/// Whether what was told says how it is. That a sleep timer counts down is no news.
fn says_it_all(told: &Told, is: &Told) -> bool {
    let counts_down = told.1.sleep_timer.zip(is.1.sleep_timer).is_some_and(|(told, is)| is <= told);
    let sleep_timer = if counts_down { is.1.sleep_timer } else { told.1.sleep_timer };
    (told.0, PlayerState { sleep_timer, ..told.1.clone() }) == *is
}

/// Music Assistant tells one change in several parts, and a volume on its way in many.
const BURST: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Music Assistant restarts within this time, and its players are then as they were.
const AWAY_FOR: Duration = Duration::from_secs(60);
const MINUTE: Duration = Duration::from_secs(60);
/// Half of what a relay lets through.
const MOST_A_MINUTE: u32 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_timer_is_told_when_it_is_set_and_gone_and_not_every_minute() {
        let with = |sleep_timer| (Capabilities::default(), PlayerState { sleep_timer, ..PlayerState::default() });
        let same = |told, is| says_it_all(&with(told), &with(is));
        assert!(same(None, None) && same(Some(20), Some(20)) && same(Some(20), Some(19)));
        assert!(!same(None, Some(20)) && !same(Some(1), None) && !same(Some(19), Some(45)));
        let louder = (Capabilities { volume: true, ..Capabilities::default() }, with(Some(19)).1);
        assert!(!says_it_all(&with(Some(20)), &louder), "anything else is");
    }

    #[test]
    fn no_more_than_so_many_are_told_in_a_minute() {
        let (mut memory, start) = (Memory::default(), Instant::now());
        let told = |memory: &mut Memory, at| (0..100).filter(|_| memory.may_tell(at)).count();
        assert_eq!(told(&mut memory, start), 60);
        assert_eq!(told(&mut memory, start + Duration::from_secs(59)), 0);
        assert_eq!(told(&mut memory, start + MINUTE), 60);
    }
}
