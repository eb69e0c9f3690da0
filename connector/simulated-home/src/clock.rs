//! The home's clock: real time that a test can skip ahead.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Unix time as the simulated server sees it.
///
/// It runs with tokio's time, so a paused runtime pauses the music, and [`HomeClock::skip`] moves it ahead: an hour of
/// playback costs a test no time.
#[derive(Debug)]
pub struct HomeClock {
    unix_at_start: f64,
    started: Instant,
    skipped_micros: AtomicU64,
}

impl HomeClock {
    /// The machine's time from now on.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this crate leans on none of ours, and this is its one look at the wall clock"
    )]
    pub fn system() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::starting_at(since.as_secs_f64())
    }

    /// A clock that shows `unix_seconds` now. A value far from the machine's own plays a home whose clock is wrong.
    #[must_use]
    pub fn starting_at(unix_seconds: f64) -> Self {
        Self { unix_at_start: unix_seconds, started: Instant::now(), skipped_micros: AtomicU64::new(0) }
    }

    /// Seconds since 1970 as the home believes.
    #[must_use]
    pub fn now(&self) -> f64 {
        let skipped = self.skipped_micros.load(Ordering::Relaxed) as f64 / 1e6;
        self.unix_at_start + self.started.elapsed().as_secs_f64() + skipped
    }

    /// Moves the clock ahead. Use [`crate::RunningHome::advance`], which also lets the players notice.
    pub fn skip(&self, by: Duration) {
        self.skipped_micros.fetch_add(by.as_micros() as u64, Ordering::Relaxed);
    }
}

impl Default for HomeClock {
    fn default() -> Self {
        Self::system()
    }
}
