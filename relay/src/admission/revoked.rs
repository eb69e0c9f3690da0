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
    /// Homes that moved to new hardware: the thumbprint of the key that counts since, and when that was.
    keys: HashMap<InstanceId, (String, u64)>,
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
        state.sweep(now);
    }

    /// The home has this key from now on: tokens of any other are refused, however new, until they have expired in any case.
    pub(crate) fn key_changed(&self, instance: &InstanceId, thumbprint: &str, at: u64, now: u64) {
        let mut state = self.state.lock().expect("no code panics while holding this lock");
        state.keys.insert(instance.clone(), (thumbprint.to_owned(), at));
        state.sweep(now);
    }

    /// Changes were missed until `now`: every home needs a token made after that.
    pub(crate) fn distrust_all(&self, now: u64) {
        self.state.lock().expect("no code panics while holding this lock").distrust_until = Some(now);
    }

    pub(crate) fn refuses(&self, instance: &InstanceId, issued_at: u64, thumbprint: &str) -> bool {
        let state = self.state.lock().expect("no code panics while holding this lock");
        if state.keys.get(instance).is_some_and(|(current, _)| current != thumbprint) {
            return true;
        }
        let ended = state.ended.get(instance).copied();
        ended.into_iter().chain(state.distrust_until).any(|until| issued_at <= until)
    }
}

impl State {
    fn sweep(&mut self, now: u64) {
        if now.saturating_sub(self.last_swept) >= SWEEP_SECONDS {
            self.ended.retain(|_, ended| now.saturating_sub(*ended) <= REVOCATION_MEMORY_SECONDS);
            self.keys.retain(|_, (_, at)| now.saturating_sub(*at) <= REVOCATION_MEMORY_SECONDS);
            self.last_swept = now;
        }
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
        assert!(
            revoked.refuses(&home, 999, "k") && revoked.refuses(&home, 1000, "k") && !revoked.refuses(&home, 1001, "k")
        );
        assert!(!revoked.refuses(&other, 1, "k"));
        // Made just before, a token may live for an hour, and is accepted for a minute more.
        revoked.end(&other, 1000, 1000 + 3600 + 60);
        assert!(revoked.refuses(&home, 1000, "k"), "remembered while such a token may be accepted");
        revoked.end(&other, 1000, 10_000);
        assert!(!revoked.refuses(&home, 1000, "k"), "forgotten once every such token has expired");
        revoked.distrust_all(11_000);
        assert!(revoked.refuses(&home, 10_999, "k") && !revoked.refuses(&home, 11_001, "k"));
    }

    #[test]
    fn after_a_move_only_the_new_keys_tokens_count() {
        let revoked = Revoked::default();
        let home = InstanceId::from_bytes(&[1; 16]);
        revoked.key_changed(&home, "new", 1000, 1000);
        assert!(revoked.refuses(&home, 999, "old") && revoked.refuses(&home, 2000, "old"), "however new");
        assert!(!revoked.refuses(&home, 1000, "new"), "made in the very second of the move");
        revoked.key_changed(&home, "newer", 1100, 1100);
        assert!(revoked.refuses(&home, 1050, "new") && !revoked.refuses(&home, 1100, "newer"));
        // Made just before the move, a token of the old key may be accepted for an hour and a minute.
        revoked.end(&InstanceId::from_bytes(&[2; 16]), 1, 1100 + 3600 + 60);
        assert!(revoked.refuses(&home, 1000, "old"));
        revoked.end(&InstanceId::from_bytes(&[2; 16]), 1, 10_000);
        assert!(!revoked.refuses(&home, 1000, "old"), "forgotten once every such token has expired");
    }
}
