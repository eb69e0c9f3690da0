//! Nonces for proofs of possession, without remembering any: a keyed hash over the current period's number. Nodes behind
//! one address share the key, so that a home may be given its nonce by one and show it to another.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use macloud_service_kit::clock::SharedClock;
use macloud_service_kit::random;
use ring::hmac;

use crate::config::NonceKey;

/// Makes and recognises nonces.
pub(crate) struct Nonces {
    key: hmac::Key,
    clock: SharedClock,
    period_millis: u64,
    /// Of the period in which one was asked for last.
    current: RwLock<(u64, Arc<str>)>,
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nonces").field("period_millis", &self.period_millis).finish_non_exhaustive()
    }
}

impl Nonces {
    /// With a `key` of its own (`None`), nonces live as long as the process: after a restart each home asks once more.
    pub(crate) fn new(clock: SharedClock, period: Duration, key: Option<NonceKey>) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key.map_or_else(random::bytes, |NonceKey(key)| key));
        let period_millis = (period.as_millis() as u64).max(1);
        let now = clock.unix_millis() / period_millis;
        Self { current: RwLock::new((now, nonce(&key, now).into())), key, clock, period_millis }
    }

    /// The number of the current period, equal on all nodes but for the difference of their clocks.
    pub(crate) fn period(&self) -> u64 {
        self.clock.unix_millis() / self.period_millis
    }

    pub(crate) fn newest(&self) -> Arc<str> {
        self.of(self.period())
    }

    /// The period of a nonce that is accepted: this one, the one before, or the next, which a node whose clock is ahead has
    /// begun.
    pub(crate) fn accepts(&self, nonce: &str) -> Option<u64> {
        let now = self.period();
        // Compared as text and not in constant time: whoever can learn a nonce by timing can simply ask for one.
        // Most are of this one.
        if nonce == &*self.of(now) {
            return Some(now);
        }
        [now.saturating_sub(1), now + 1].into_iter().find(|period| nonce == self::nonce(&self.key, *period))
    }

    /// That of the current period, which every dial-in asks for more than once.
    fn of(&self, now: u64) -> Arc<str> {
        let current = self.current.read().expect("no code panics while holding this lock").clone();
        if current.0 == now {
            return current.1;
        }
        let made: Arc<str> = nonce(&self.key, now).into();
        *self.current.write().expect("no code panics while holding this lock") = (now, made.clone());
        made
    }
}

fn nonce(key: &hmac::Key, period: u64) -> String {
    let mut text = LABEL.to_vec();
    text.extend_from_slice(&period.to_be_bytes());
    URL_SAFE_NO_PAD.encode(&hmac::sign(key, &text).as_ref()[..18])
}

const LABEL: &[u8] = b"macloud/relay/nonce/1\0";

#[cfg(test)]
mod tests {
    use super::*;
    use macloud_service_kit::clock::ManualClock;

    #[test]
    fn a_nonce_is_accepted_in_its_period_and_the_next() {
        let clock = ManualClock::at(0);
        let period = Duration::from_secs(60);
        let nonces = Nonces::new(clock.clone(), period, None);
        let nonce = nonces.newest();
        let first = nonces.accepts(&nonce);
        assert!(first.is_some() && nonces.accepts("").is_none() && nonces.accepts("x").is_none());
        clock.advance(period);
        assert!(nonces.accepts(&nonce) == first && nonces.newest() != nonce);
        clock.advance(period);
        assert_eq!(nonces.accepts(&nonce), None);
        assert_eq!(Nonces::new(clock, period, None).accepts(&nonces.newest()), None, "another process has another key");
    }

    #[test]
    fn nodes_that_share_a_key_accept_each_others_nonces_though_their_clocks_differ() {
        let period = Duration::from_secs(60);
        let node = |at| Nonces::new(ManualClock::at(at), period, Some(NonceKey([7; 32])));
        let (behind, ahead) = (node(119), node(121));
        assert_ne!(behind.newest(), ahead.newest());
        assert_eq!((behind.accepts(&ahead.newest()), ahead.accepts(&behind.newest())), (Some(2), Some(1)));
        assert_eq!(behind.accepts(&node(300).newest()), None);
    }
}
