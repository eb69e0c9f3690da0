//! Which homes are paused by their owners in the cloud, and whose plans have changed. A home's token says how it stood when it
//! was made; what was heard since counts for more, and is remembered for as long as an older token may be shown.

use std::collections::HashMap;
use std::sync::Mutex;

use macloud_proto::ids::InstanceId;
use macloud_proto::instance_token::{Claims, REVOCATION_MEMORY_SECONDS};

#[derive(Debug, Default)]
pub(crate) struct Standing {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether each home is paused, for tokens made at or before this, seconds since 1970.
    heard: HashMap<InstanceId, (bool, u64)>,
    /// What tokens made at or before this say of each home's plan is out of date.
    limits: HashMap<InstanceId, u64>,
    last_swept: u64,
}

impl Standing {
    /// The home was paused or resumed; tokens made until then may still say otherwise.
    pub(crate) fn hear(&self, instance: &InstanceId, paused: bool, until: u64, now: u64) {
        let mut state = self.state.lock().expect("no code panics while holding this lock");
        state.heard.insert(instance.clone(), (paused, until));
        state.sweep(now);
    }

    /// The home's plan changed; tokens made until then may still say what it was.
    pub(crate) fn hear_new_limits(&self, instance: &InstanceId, until: u64, now: u64) {
        let mut state = self.state.lock().expect("no code panics while holding this lock");
        let known = state.limits.entry(instance.clone()).or_default();
        *known = until.max(*known);
        state.sweep(now);
    }

    /// From when on a home needs a newer token than one made at `issued_at`, if that one's limits are out of date. Limits are
    /// not worth losing a home for: until another token is sure to be better, this one is good enough. Nor is one ever
    /// refused that was made just now, by an account service whose clock is a little behind: the next one would be no better.
    pub(crate) fn needs_newer_from(&self, instance: &InstanceId, issued_at: u64) -> Option<u64> {
        let state = self.state.lock().expect("no code panics while holding this lock");
        let until = state.limits.get(instance).filter(|until| issued_at <= **until)?;
        Some(until.saturating_add(1).max(issued_at.saturating_add(JUST_NOW_SECONDS)))
    }

    /// Whether a home that shows this token is paused.
    pub(crate) fn is_paused(&self, claims: &Claims) -> bool {
        let state = self.state.lock().expect("no code panics while holding this lock");
        match state.heard.get(&claims.sub) {
            Some((paused, until)) if claims.iat <= *until => *paused,
            Some(_) | None => claims.paused,
        }
    }
}

impl State {
    fn sweep(&mut self, now: u64) {
        if now.saturating_sub(self.last_swept) >= SWEEP_SECONDS {
            let is_needed = |until: u64| now.saturating_sub(until) <= REVOCATION_MEMORY_SECONDS;
            self.heard.retain(|_, (_, until)| is_needed(*until));
            self.limits.retain(|_, until| is_needed(*until));
            self.last_swept = now;
        }
    }
}

const SWEEP_SECONDS: u64 = 60;
/// By how much the account service's clock may be behind this node's, and homes still get their new limits in one step.
const JUST_NOW_SECONDS: u64 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use macloud_proto::instance_token::{Confirmation, Limits};

    #[test]
    fn what_was_heard_counts_until_a_newer_token_says_otherwise() {
        let standing = Standing::default();
        let home = InstanceId::from_bytes(&[1; 16]);
        let is_paused = |iat, paused| {
            standing.is_paused(&Claims {
                iss: String::new(),
                aud: String::new(),
                sub: home.clone(),
                client_id: home.clone(),
                iat,
                exp: iat + 900,
                jti: String::new(),
                cnf: Confirmation { jkt: String::new() },
                limits: Limits { commands_per_minute: 1, day: None },
                paused,
            })
        };
        assert!(is_paused(1000, true) && !is_paused(1000, false), "the token is all there is");
        standing.hear(&home, true, 1003, 1000);
        assert!(is_paused(900, false) && is_paused(1003, false), "a token from before does not know");
        assert!(!is_paused(1004, false), "a token from after it knows better: a resumption was missed");
        standing.hear(&home, false, 1103, 1100);
        assert!(!is_paused(1004, true) && !is_paused(1103, true) && is_paused(1104, true));
        standing.hear(&InstanceId::from_bytes(&[2; 16]), true, 10_000, 10_000);
        assert!(is_paused(1103, true), "forgotten once no such token can be shown any more");
    }

    #[test]
    fn limits_that_changed_ask_for_a_newer_token_once_there_is_one() {
        let standing = Standing::default();
        let home = InstanceId::from_bytes(&[1; 16]);
        assert_eq!(standing.needs_newer_from(&home, 900), None);
        standing.hear_new_limits(&home, 1003, 1000);
        assert_eq!(standing.needs_newer_from(&home, 900), Some(1004));
        assert_eq!(
            standing.needs_newer_from(&home, 1003),
            Some(1008),
            "made just now: not before a newer one is sure to be better"
        );
        assert_eq!(standing.needs_newer_from(&home, 1004), None);
        standing.hear_new_limits(&home, 1001, 1000);
        assert_eq!(
            standing.needs_newer_from(&home, 1002),
            Some(1007),
            "an older change that is heard later takes nothing back"
        );
        standing.hear_new_limits(&InstanceId::from_bytes(&[2; 16]), 1_000_000, 1_000_000);
        assert_eq!(standing.needs_newer_from(&home, 900), None, "no such token can be shown any more");
    }
}
