//! The home's rate: a token bucket counted in microseconds, so that nothing is rounded away.

use std::time::Duration;

use crate::time::Micros;

#[derive(Debug)]
pub(super) struct Rate {
    micros_per_command: u64,
    burst_micros: u64,
    /// The bucket is full again at this time.
    full_at: Micros,
}

impl Rate {
    /// A full bucket of `per_minute` commands. Zero means none ever.
    pub(super) fn full(per_minute: u32, now: Micros) -> Self {
        let micros_per_command = MINUTE_MICROS.checked_div(per_minute.into()).unwrap_or(u64::MAX);
        Self { micros_per_command, burst_micros: MINUTE_MICROS, full_at: now }
    }

    /// Take one, or say after how long there is one.
    pub(super) fn take(&mut self, now: Micros) -> Result<(), Duration> {
        let after = Micros(self.full_at.max(now).0.saturating_add(self.micros_per_command));
        let owed = after.since(now);
        let burst = Duration::from_micros(self.burst_micros);
        if owed > burst {
            return Err(owed - burst);
        }
        self.full_at = after;
        Ok(())
    }
}

const MINUTE_MICROS: u64 = 60_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_bucket_is_one_minute_of_commands_and_refills_evenly() {
        let mut rate = Rate::full(6, Micros(0));
        for _ in 0..6 {
            assert_eq!(rate.take(Micros(0)), Ok(()));
        }
        assert_eq!(rate.take(Micros(0)), Err(Duration::from_secs(10)));
        assert_eq!(rate.take(Micros(10_000_000)), Ok(()));
        assert_eq!(rate.take(Micros(10_000_000)), Err(Duration::from_secs(10)));
    }

    #[test]
    fn a_limit_of_zero_lets_nothing_through() {
        assert!(Rate::full(0, Micros(0)).take(Micros(u64::MAX / 2)).is_err());
    }
}
