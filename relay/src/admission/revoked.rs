//! Homes whose tokens are refused although they verify: unlinked since the token was made, or what it says is not true any more.

use std::collections::HashMap;
use std::sync::Mutex;

use macloud_proto::ids::InstanceId;
use macloud_proto::instance_token::REVOCATION_MEMORY_SECONDS;

#[derive(Debug, Default)]
pub(crate) struct Revoked {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Each home's tokens made at or before this are refused, seconds since 1970.
    ended: HashMap<InstanceId, u64>,
    /// Those of any home: changes were missed.
    distrust_until: Option<u64>,
    last_swept: u64,
}

impl Revoked {
    /// The home's tokens made until then (seconds since 1970) are refused, until at `now` they have expired in any case. An
    /// unlinked home never comes back under its id; one that was let in again has a newer token.
    pub(crate) fn end(&self, instance: &InstanceId, until: u64, now: u64) {
        let mut state = self.state.lock().expect("no code panics while holding this lock");
        let ended = state.ended.entry(instance.clone()).or_default();
        *ended = until.max(*ended);
        if now.saturating_sub(state.last_swept) >= SWEEP_SECONDS {
            state.ended.retain(|_, ended| now.saturating_sub(*ended) <= REVOCATION_MEMORY_SECONDS);
            state.last_swept = now;
        }
    }

    /// Changes were missed until `now`: every home needs a token made after that.
    pub(crate) fn distrust_all(&self, now: u64) {
        self.state.lock().expect("no code panics while holding this lock").distrust_until = Some(now);
    }

    pub(crate) fn refuses(&self, instance: &InstanceId, issued_at: u64) -> bool {
        let state = self.state.lock().expect("no code panics while holding this lock");
        let ended = state.ended.get(instance).copied();
        ended.into_iter().chain(state.distrust_until).any(|until| issued_at <= until)
    }
}

const SWEEP_SECONDS: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_tokens_are_refused_newer_ones_not() {
        let revoked = Revoked::default();
        let (home, other) = (InstanceId::from_bytes(&[1; 16]), InstanceId::from_bytes(&[2; 16]));
        revoked.end(&home, 1000, 1000);
        revoked.end(&home, 900, 1000);
        assert!(revoked.refuses(&home, 999) && revoked.refuses(&home, 1000) && !revoked.refuses(&home, 1001));
        assert!(!revoked.refuses(&other, 1));
        // Made just before, a token may live for an hour, and is accepted for a minute more.
        revoked.end(&other, 1000, 1000 + 3600 + 60);
        assert!(revoked.refuses(&home, 1000), "remembered while such a token may be accepted");
        revoked.end(&other, 1000, 10_000);
        assert!(!revoked.refuses(&home, 1000), "forgotten once every such token has expired");
        revoked.distrust_all(11_000);
        assert!(revoked.refuses(&home, 10_999) && !revoked.refuses(&home, 11_001));
    }
}
