//! Which homes are paused by their owners in the cloud. A home's token says how it stood when it was made; what was heard
//! since counts for more, and is remembered for as long as an older token may be shown.

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
    last_swept: u64,
}

impl Standing {
    /// The home was paused or resumed; tokens made until then may still say otherwise.
    pub(crate) fn hear(&self, instance: &InstanceId, paused: bool, until: u64, now: u64) {
        let mut state = self.state.lock().expect("no code panics while holding this lock");
        state.heard.insert(instance.clone(), (paused, until));
        if now.saturating_sub(state.last_swept) >= SWEEP_SECONDS {
            state.heard.retain(|_, (_, until)| now.saturating_sub(*until) <= REVOCATION_MEMORY_SECONDS);
            state.last_swept = now;
        }
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

const SWEEP_SECONDS: u64 = 60;

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
}
