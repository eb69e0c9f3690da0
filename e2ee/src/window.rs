//! Which sequence numbers of a session have been seen: each is accepted once, in any order within a window.
//!
//! Commands of one session are sent concurrently and may arrive in any order, so the newest number alone cannot decide.
//! The scheme is that of IPsec and DTLS (RFC 6479): a ring of bits that slides with the highest number seen.

/// How far behind the highest number a late arrival is still accepted. A home takes a few dozen commands at once, so
/// this is far more than can be in flight.
pub(crate) const WINDOW: u64 = 1024;

const WORDS: u64 = WINDOW / 64;

/// The numbers seen so far, in constant memory.
#[derive(Debug, Default)]
pub(crate) struct ReplayWindow {
    /// One more than the highest number seen; zero before any.
    next: u64,
    seen: [u64; WORDS as usize],
}

impl ReplayWindow {
    /// Whether `sequence` is new: not seen, and not so old that it cannot be told any more.
    pub(crate) fn is_new(&self, sequence: u64) -> bool {
        if sequence >= self.next {
            return true;
        }
        let behind = self.next - 1 - sequence;
        behind < WINDOW && self.seen[word(sequence)] & bit(sequence) == 0
    }

    /// Remember `sequence`. To be called only once the message under it has proved authentic: a forged number must not
    /// move the window.
    pub(crate) fn mark(&mut self, sequence: u64) {
        if sequence >= self.next {
            let skipped = (sequence - self.next).min(WINDOW);
            for passed in sequence - skipped..sequence {
                self.seen[word(passed)] &= !bit(passed);
            }
            self.next = sequence.saturating_add(1);
            self.seen[word(sequence)] &= !bit(sequence);
        }
        self.seen[word(sequence)] |= bit(sequence);
    }
}

const fn word(sequence: u64) -> usize {
    (sequence / 64 % WORDS) as usize
}

const fn bit(sequence: u64) -> u64 {
    1 << (sequence % 64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn accept(window: &mut ReplayWindow, sequence: u64) -> bool {
        let new = window.is_new(sequence);
        if new {
            window.mark(sequence);
        }
        new
    }

    #[test]
    fn each_number_is_new_once_in_any_order() {
        let mut window = ReplayWindow::default();
        for sequence in [5, 3, 4, 0, 1023, 2, 1] {
            assert!(accept(&mut window, sequence), "{sequence} is new");
            assert!(!accept(&mut window, sequence), "{sequence} is seen");
        }
    }

    #[test]
    fn the_window_ends_exactly_where_it_says() {
        let mut window = ReplayWindow::default();
        assert!(accept(&mut window, 5000));
        assert!(accept(&mut window, 5000 - (WINDOW - 1)), "the oldest in the window");
        assert!(!accept(&mut window, 5000 - WINDOW), "one older");
        assert!(!accept(&mut window, 0));
        assert!(accept(&mut window, 5001));
        assert!(!accept(&mut window, 5001 - WINDOW), "moved out with the slide, though never seen");
    }

    #[test]
    fn a_great_leap_forgets_nothing_that_could_be_replayed() {
        let mut window = ReplayWindow::default();
        assert!(accept(&mut window, 7));
        assert!(accept(&mut window, 7 + 10 * WINDOW));
        assert!(!accept(&mut window, 7));
        assert!(accept(&mut window, 6 + 10 * WINDOW));
        assert!(accept(&mut window, u64::MAX - 1));
        assert!(!accept(&mut window, u64::MAX - 1));
    }

    proptest! {
        #[test]
        fn agrees_with_a_set(numbers in prop::collection::vec(0u64..3000, 1..600)) {
            let (mut window, mut set) = (ReplayWindow::default(), BTreeSet::new());
            for number in numbers {
                let highest = set.last().copied().unwrap_or(0);
                let expected = !set.contains(&number) && (set.is_empty() || number + WINDOW > highest);
                prop_assert_eq!(accept(&mut window, number), expected);
                if expected {
                    set.insert(number);
                }
            }
        }
    }
}
