//! Which proofs were used: each may open one socket. A proof is only good while its nonce is, so what was proved with the
//! nonces of a period is remembered for as long as those are accepted.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;

use ring::digest::{SHA256, digest};

#[derive(Debug)]
pub(crate) struct Replays {
    max_each: usize,
    /// By the period of the nonce.
    used: Mutex<BTreeMap<u64, HashSet<[u8; 16]>>>,
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
        Self { max_each, used: Mutex::default() }
    }

    /// `nonce_period` is that of the proof's nonce, `now` the current one.
    pub(crate) fn first_use(&self, key: &[u8; 32], jti: &str, nonce_period: u64, now: u64) -> Replay {
        let mut used = self.used.lock().expect("no code panics while holding this lock");
        // Nonces of the period before the last are not accepted any more.
        used.retain(|period, _| *period + 1 >= now);
        let used = used.entry(nonce_period).or_default();
        let mark = mark(key, jti);
        if used.contains(&mark) {
            return Replay::Again;
        }
        if used.len() >= self.max_each {
            return Replay::Full;
        }
        used.insert(mark);
        Replay::First
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
        let first = |key: u8, jti, nonce, now| replays.first_use(&[key; 32], jti, nonce, now);
        assert_eq!(first(1, "a", 5, 5), Replay::First);
        assert_eq!(first(1, "a", 5, 5), Replay::Again);
        assert_eq!(first(2, "a", 5, 5), Replay::First, "another key's jti is another proof");
        assert_eq!(first(1, "b", 5, 5), Replay::Full);
        assert_eq!(first(1, "b", 4, 5), Replay::First, "with a nonce of the period before");
        assert_eq!(first(1, "c", 6, 5), Replay::First, "with one of a node whose clock is ahead");
        assert_eq!(first(1, "a", 5, 6), Replay::Again);
        assert_eq!(first(1, "c", 6, 7), Replay::Again);
        assert_eq!(replays.used.lock().unwrap().len(), 1, "what cannot be used again is forgotten");
    }
}
