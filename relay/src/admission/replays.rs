//! Which proofs were used: each may open one socket. A proof is only good while its nonce is, so two periods of memory
//! are enough.

use std::collections::HashSet;
use std::sync::Mutex;

use ring::digest::{SHA256, digest};

#[derive(Debug)]
pub(crate) struct Replays {
    max_each: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    period: u64,
    current: HashSet<[u8; 16]>,
    before: HashSet<[u8; 16]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replay {
    First,
    Again,
    /// Too many to remember: a proof that cannot be remembered must not be accepted.
    Full,
}

impl Replays {
    pub(crate) fn new(max_each: usize) -> Self {
        Self { max_each, state: Mutex::default() }
    }

    pub(crate) fn first_use(&self, key: &[u8; 32], jti: &str, period: u64) -> Replay {
        let mark = mark(key, jti);
        let mut state = self.state.lock().expect("no code panics while holding this lock");
        state.turn_to(period);
        if state.current.contains(&mark) || state.before.contains(&mark) {
            return Replay::Again;
        }
        if state.current.len() >= self.max_each {
            return Replay::Full;
        }
        state.current.insert(mark);
        Replay::First
    }
}

impl State {
    fn turn_to(&mut self, period: u64) {
        if period > self.period {
            let last = std::mem::take(&mut self.current);
            // A proof of the period before the last cannot have a nonce that is still accepted.
            self.before = if period == self.period + 1 { last } else { HashSet::new() };
            self.period = period;
        }
    }
}

/// Half a hash is enough: finding two proofs of one key that share it gains nothing.
fn mark(key: &[u8; 32], jti: &str) -> [u8; 16] {
    let hash = digest(&SHA256, &[key, jti.as_bytes()].concat());
    hash.as_ref()[..16].try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_proof_is_used_once_while_its_nonce_lives() {
        let replays = Replays::new(2);
        assert_eq!(replays.first_use(&[1; 32], "a", 0), Replay::First);
        assert_eq!(replays.first_use(&[1; 32], "a", 0), Replay::Again);
        assert_eq!(replays.first_use(&[2; 32], "a", 0), Replay::First, "another key's jti is another proof");
        assert_eq!(replays.first_use(&[1; 32], "b", 0), Replay::Full);
        assert_eq!(replays.first_use(&[1; 32], "a", 1), Replay::Again);
        assert_eq!(replays.first_use(&[1; 32], "b", 1), Replay::First);
        assert_eq!(replays.first_use(&[1; 32], "a", 2), Replay::First);
        assert_eq!(replays.first_use(&[1; 32], "b", 4), Replay::First);
    }
}
