//! How many of today's commands are used: one meter for all homes of an account on this node.
//!
//! The meters live in memory. What was used before, on this node or another, comes with each home's token, as the account
//! service knew it when it made the token; so a restart gives back at most what was used in the life of one token.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use macloud_proto::instance_token::{Claims, DayLimit};

/// All meters of this node.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    by_account: HashMap<String, Arc<Meter>>,
    last_swept: u64,
}

/// One account's.
#[derive(Debug)]
pub(crate) struct Meter {
    day: Mutex<Day>,
}

#[derive(Debug, Clone, Copy)]
struct Day {
    /// The limit is that of the newest token.
    allowed: u32,
    allowed_since: u64,
    used: u32,
    ends_at: u64,
}

/// Nothing is left for today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UsedUp {
    /// So many a day.
    pub(crate) allowed: u32,
    /// It goes on after this long.
    pub(crate) after: Duration,
}

impl Meters {
    /// The meter for a home that shows this token; none when its plan has no such limit.
    pub(crate) fn of(&self, claims: &Claims, now: u64) -> Option<Arc<Meter>> {
        let limit = claims.limits.day.as_ref()?;
        let mut state = self.state.lock().expect("no code panics while holding this lock");
        if now.saturating_sub(state.last_swept) >= SWEEP_SECONDS {
            // A meter whose homes are all gone is kept to the end of its day, or going away would fill it again.
            state.by_account.retain(|_, meter| Arc::strong_count(meter) > 1 || now < meter.day().ends_at);
            state.last_swept = now;
        }
        let fresh =
            || Day { allowed: limit.commands, allowed_since: claims.iat, used: limit.used, ends_at: limit.ends_at };
        let meter = state
            .by_account
            .entry(limit.shared_by.clone())
            .or_insert_with(|| Arc::new(Meter { day: Mutex::new(fresh()) }));
        meter.learn(limit, claims.iat);
        Some(meter.clone())
    }
}

impl Meter {
    /// What a token says. One that is older, or of yesterday, lowers nothing.
    fn learn(&self, limit: &DayLimit, issued_at: u64) {
        let mut day = self.day();
        if limit.ends_at > day.ends_at {
            (day.used, day.ends_at) = (limit.used, limit.ends_at);
        } else if limit.ends_at == day.ends_at {
            day.used = day.used.max(limit.used);
        }
        if issued_at >= day.allowed_since {
            (day.allowed, day.allowed_since) = (limit.commands, issued_at);
        }
    }

    /// Use one of today's, at `now` in seconds since 1970.
    pub(crate) fn take(&self, now: u64) -> Result<(), UsedUp> {
        let mut day = self.day();
        if now >= day.ends_at {
            day.used = 0;
            day.ends_at += (now - day.ends_at) / DAY_SECONDS * DAY_SECONDS + DAY_SECONDS;
        }
        if day.used >= day.allowed {
            return Err(UsedUp { allowed: day.allowed, after: Duration::from_secs(day.ends_at - now) });
        }
        day.used += 1;
        Ok(())
    }

    /// It was not sent after all.
    pub(crate) fn give_back(&self) {
        let mut day = self.day();
        day.used = day.used.saturating_sub(1);
    }

    fn day(&self) -> std::sync::MutexGuard<'_, Day> {
        self.day.lock().expect("no code panics while holding this lock")
    }
}

const DAY_SECONDS: u64 = 86_400;
const SWEEP_SECONDS: u64 = 600;

#[cfg(test)]
mod tests {
    use super::*;
    use macloud_proto::ids::InstanceId;
    use macloud_proto::instance_token::{Confirmation, Limits};

    const NOON: u64 = 1_800_000_000 / DAY_SECONDS * DAY_SECONDS + 43_200;
    const MIDNIGHT: u64 = NOON + 43_200;

    fn token(home: u8, commands: u32, used: u32, iat: u64, ends_at: u64) -> Claims {
        let home = InstanceId::from_bytes(&[home; 16]);
        Claims {
            iss: String::new(),
            aud: String::new(),
            sub: home.clone(),
            client_id: home,
            iat,
            exp: iat + 900,
            jti: String::new(),
            cnf: Confirmation { jkt: String::new() },
            limits: Limits {
                commands_per_minute: 1,
                day: Some(DayLimit { shared_by: "a".into(), commands, used, ends_at }),
            },
            paused: false,
        }
    }

    #[test]
    fn a_day_has_so_many_commands_and_the_next_has_as_many() {
        let meters = Meters::default();
        let meter = meters.of(&token(1, 3, 1, NOON, MIDNIGHT), NOON).unwrap();
        assert!(meter.take(NOON).is_ok() && meter.take(NOON).is_ok());
        let used_up = UsedUp { allowed: 3, after: Duration::from_secs(43_200) };
        assert_eq!(meter.take(NOON), Err(used_up));
        meter.give_back();
        assert!(meter.take(NOON).is_ok());
        assert!(meter.take(MIDNIGHT - 1).is_err());
        for _ in 0..3 {
            assert!(meter.take(MIDNIGHT).is_ok());
        }
        assert_eq!(meter.take(MIDNIGHT), Err(UsedUp { allowed: 3, after: Duration::from_secs(86_400) }));
        // Nobody asked for a week.
        assert!(meter.take(MIDNIGHT + 7 * DAY_SECONDS + 5).is_ok());
    }

    #[test]
    fn neither_reconnecting_nor_a_second_home_nor_an_old_token_fills_it_again() {
        let meters = Meters::default();
        let meter = meters.of(&token(1, 2, 0, NOON, MIDNIGHT), NOON).unwrap();
        assert!(meter.take(NOON).is_ok() && meter.take(NOON).is_ok());
        drop(meter);
        let again = meters.of(&token(1, 2, 0, NOON, MIDNIGHT), NOON + 1000).unwrap();
        assert!(again.take(NOON + 1000).is_err());
        let second = meters.of(&token(2, 2, 1, NOON + 1, MIDNIGHT), NOON + 1000).unwrap();
        assert!(second.take(NOON + 1000).is_err());
        let more = meters.of(&token(2, 5, 2, NOON + 1100, MIDNIGHT), NOON + 1100).unwrap();
        assert!(again.take(NOON + 1100).is_ok(), "a greater plan counts at once, for all homes");
        let _old = meters.of(&token(1, 2, 0, NOON, MIDNIGHT), NOON + 1200).unwrap();
        assert!(more.take(NOON + 1200).is_ok(), "an old token does not bring the old plan back");
        assert!(
            meters
                .of(&Claims { limits: Limits { commands_per_minute: 1, day: None }, ..token(1, 0, 0, 0, 0) }, NOON)
                .is_none()
        );
    }

    #[test]
    fn what_was_used_on_another_node_counts() {
        let meters = Meters::default();
        let meter = meters.of(&token(1, 10, 9, NOON, MIDNIGHT), NOON).unwrap();
        assert!(meter.take(NOON).is_ok() && meter.take(NOON).is_err());
        let _fresher = meters.of(&token(1, 20, 19, NOON + 10, MIDNIGHT), NOON + 10);
        assert!(meter.take(NOON + 10).is_ok() && meter.take(NOON + 10).is_err());
    }
}
