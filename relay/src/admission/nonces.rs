//! Nonces for proofs of possession, without remembering any: a keyed hash over the current period's number.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use macloud_service_kit::clock::SharedClock;
use macloud_service_kit::random;
use ring::hmac;

/// Makes and recognises nonces. The key lives as long as the process: after a restart each home asks once more.
pub(crate) struct Nonces {
    key: hmac::Key,
    clock: SharedClock,
    period_millis: u64,
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nonces").field("period_millis", &self.period_millis).finish_non_exhaustive()
    }
}

impl Nonces {
    pub(crate) fn new(clock: SharedClock, period: Duration) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &random::bytes::<32>());
        Self { key, clock, period_millis: (period.as_millis() as u64).max(1) }
    }

    /// The number of the current period. Nonces of this one and the one before are accepted.
    pub(crate) fn period(&self) -> u64 {
        self.clock.monotonic_millis() / self.period_millis
    }

    pub(crate) fn newest(&self) -> String {
        self.of(self.period())
    }

    pub(crate) fn accepts(&self, nonce: &str) -> bool {
        let period = self.period();
        // Compared as text and not in constant time: whoever can learn a nonce by timing can simply ask for one.
        nonce == self.of(period) || period.checked_sub(1).is_some_and(|before| nonce == self.of(before))
    }

    fn of(&self, period: u64) -> String {
        let mut text = LABEL.to_vec();
        text.extend_from_slice(&period.to_be_bytes());
        URL_SAFE_NO_PAD.encode(&hmac::sign(&self.key, &text).as_ref()[..18])
    }
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
        let nonces = Nonces::new(clock.clone(), period);
        let nonce = nonces.newest();
        assert!(nonces.accepts(&nonce) && !nonces.accepts("") && !nonces.accepts("x"));
        clock.advance(period);
        assert!(nonces.accepts(&nonce) && nonces.newest() != nonce);
        clock.advance(period);
        assert!(!nonces.accepts(&nonce));
        assert!(!Nonces::new(clock, period).accepts(&nonces.newest()), "another process has another key");
    }
}
