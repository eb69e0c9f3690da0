//! What a home has to tell without being asked, until the cloud has taken it: the reason why no event is lost with a session.
//!
//! It outlives sessions. Of the events with one key only the latest is kept, wherever the earlier one has got to. An event stays
//! until a relay says that it is taken. On another session it is sent again at once; on the same one after [`AGAIN_AFTER`], for
//! a relay that cannot take an event now says nothing. So an event arrives at least once, and its id tells that it arrives again.

use std::collections::VecDeque;
use std::time::Duration;

use super::frame::{Event, MAX_EVENT_BYTES, MAX_EVENT_KEY};
use crate::time::Millis;

/// An event that is on its way for this long is sent again.
pub const AGAIN_AFTER: Duration = Duration::from_secs(30);

/// Most events on their way in one session. What waits behind them can still be replaced by something later.
pub const MAX_ON_THE_WAY: usize = 16;

/// The outbox of one home.
#[derive(Debug, Default)]
pub struct EventOutbox {
    /// In the order in which they are sent.
    kept: VecDeque<Kept>,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    event: Event,
    /// In which session it was sent last, and when.
    sent: Option<(u64, Millis)>,
}

/// What became of events that were put into the outbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Put {
    /// An earlier one with the same key was replaced.
    pub replaced: bool,
    /// So many of the oldest had to go, for want of room.
    pub dropped: usize,
}

/// An event that no frame may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the event is too large for a frame")]
pub struct TooLarge;

impl EventOutbox {
    /// Keep `event` until it is taken. It comes last, also when it replaces one.
    ///
    /// # Errors
    /// [`TooLarge`], when its body or key is.
    pub fn put(&mut self, event: Event) -> Result<Put, TooLarge> {
        if event.sealed.len() > MAX_EVENT_BYTES || event.key.len() > MAX_EVENT_KEY {
            return Err(TooLarge);
        }
        let earlier = self.kept.iter().position(|kept| !event.key.is_empty() && kept.event.key == event.key);
        let replaced = earlier.is_some_and(|at| self.remove(at));
        self.bytes += event.sealed.len();
        self.kept.push_back(Kept { event, sent: None });
        let mut dropped = 0;
        // The newest stays: how things are now matters more than how they were.
        while (self.kept.len() > MAX_EVENTS || self.bytes > MAX_BYTES) && self.remove(0) {
            dropped += 1;
        }
        Ok(Put { replaced, dropped })
    }

    /// The next event for `session`, which is on its way from now on. None while there is nothing, or enough on its way.
    pub fn next(&mut self, session: u64, now: Millis) -> Option<Event> {
        let on_the_way = self.kept.iter().filter(|kept| !kept.is_due(session, now)).count();
        if on_the_way >= MAX_ON_THE_WAY {
            return None;
        }
        let next = self.kept.iter_mut().find(|kept| kept.is_due(session, now))?;
        next.sent = Some((session, now));
        Some(next.event.clone())
    }

    /// When [`next`](Self::next) may have something for `session` by itself.
    #[must_use]
    pub fn due(&self, session: u64) -> Option<Millis> {
        let again = |kept: &Kept| kept.sent.filter(|(sent, _)| *sent == session).map(|(_, at)| at.plus(AGAIN_AFTER));
        self.kept.iter().filter_map(again).min()
    }

    /// The cloud has the event of this id. Whether it was still kept.
    pub fn taken(&mut self, event_id: [u8; 16]) -> bool {
        self.kept.iter().position(|kept| kept.event.event_id == event_id).is_some_and(|at| self.remove(at))
    }

    /// Forget everything: nobody is to be told any more.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Events that are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    fn remove(&mut self, at: usize) -> bool {
        let removed = self.kept.remove(at);
        self.bytes -= removed.as_ref().map_or(0, |kept| kept.event.sealed.len());
        removed.is_some()
    }
}

impl Kept {
    fn is_due(&self, session: u64, now: Millis) -> bool {
        self.sent.is_none_or(|(sent, at)| sent != session || now.since(at) >= AGAIN_AFTER)
    }
}

/// Sixty players with four properties each that change at the same time.
const MAX_EVENTS: usize = 256;
/// As many of the usual size.
const MAX_BYTES: usize = 512 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: u8, key: &'static [u8]) -> Event {
        Event { event_id: [id; 16], key: key.into(), sealed: vec![id; 100].into() }
    }

    fn ids(outbox: &mut EventOutbox, session: u64, now: u64) -> Vec<u8> {
        std::iter::from_fn(|| outbox.next(session, Millis(now))).map(|event| event.event_id[0]).collect()
    }

    #[test]
    fn only_the_latest_of_a_key_is_kept_wherever_the_earlier_one_is() {
        let mut outbox = EventOutbox::default();
        for (id, key) in [(1, b"volume"), (2, b"muted "), (3, b"volume")] {
            outbox.put(event(id, key)).unwrap();
        }
        assert_eq!(ids(&mut outbox, 1, 0), [2, 3]);
        assert_eq!(outbox.put(event(4, b"muted ")), Ok(Put { replaced: true, dropped: 0 }), "it was on its way");
        assert!(!outbox.taken([2; 16]), "what was replaced is not waited for");
        assert_eq!(ids(&mut outbox, 1, 0), [4]);
        assert_eq!(outbox.len(), 2);
        outbox.put(event(5, b"")).unwrap();
        outbox.put(event(6, b"")).unwrap();
        assert_eq!(ids(&mut outbox, 1, 0), [5, 6], "without a key each stands for itself");
    }

    #[test]
    fn an_event_is_sent_until_it_is_taken() {
        let mut outbox = EventOutbox::default();
        outbox.put(event(1, b"a")).unwrap();
        outbox.put(event(2, b"b")).unwrap();
        assert_eq!(outbox.due(7), None);
        assert_eq!(ids(&mut outbox, 7, 1_000), [1, 2]);
        assert!(outbox.taken([1; 16]));
        assert!(!outbox.taken([1; 16]));
        assert_eq!(outbox.due(7), Some(Millis(31_000)));
        assert!(ids(&mut outbox, 7, 30_999).is_empty());
        assert_eq!(ids(&mut outbox, 7, 31_000), [2], "the relay said nothing");
        assert_eq!(ids(&mut outbox, 8, 31_001), [2], "the session has ended");
        assert!(outbox.taken([2; 16]));
        assert!(outbox.is_empty() && outbox.bytes == 0);
    }

    #[test]
    fn few_are_on_their_way_at_a_time() {
        let mut outbox = EventOutbox::default();
        for id in 0..40 {
            outbox.put(event(id, b"")).unwrap();
        }
        assert_eq!(ids(&mut outbox, 1, 0).len(), MAX_ON_THE_WAY);
        assert!(outbox.taken([3; 16]));
        assert_eq!(ids(&mut outbox, 1, 1), [16]);
    }

    #[test]
    fn the_oldest_go_when_there_is_no_room() {
        let mut outbox = EventOutbox::default();
        let large = |id: u32| Event { sealed: vec![0; MAX_EVENT_BYTES].into(), ..event(id as u8, b"") };
        let dropped: usize = (0..70).map(|id| outbox.put(large(id)).unwrap().dropped).sum();
        assert_eq!((dropped, outbox.len(), outbox.bytes), (6, 64, MAX_BYTES));
        let dropped: usize = (0..=255).map(|id| outbox.put(event(id, b"")).unwrap().dropped).sum();
        assert_eq!((dropped, outbox.len()), (64, MAX_EVENTS));
        assert_eq!(ids(&mut outbox, 1, 0)[0], 0, "the large ones are gone");
        let too_large = Event { sealed: vec![0; MAX_EVENT_BYTES + 1].into(), ..event(0, b"") };
        assert_eq!(outbox.put(too_large), Err(TooLarge));
        assert_eq!(outbox.put(event(0, b"seventeen letters")), Err(TooLarge));
    }
}
