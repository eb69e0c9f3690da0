//! Wall and monotonic time behind one trait, so that tests can move both.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// A clock that programs read and tests set.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since 1970 (UTC). May jump.
    fn unix_millis(&self) -> u64;

    /// Milliseconds from an arbitrary start of this process. Never goes back.
    fn monotonic_millis(&self) -> u64;

    /// Seconds since 1970 (UTC).
    fn unix_seconds(&self) -> u64 {
        self.unix_millis() / 1000
    }
}

/// A shared clock.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
    fn unix_millis(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |elapsed| elapsed.as_millis() as u64)
    }

    fn monotonic_millis(&self) -> u64 {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed().as_millis() as u64
    }
}

/// The machine's clock as a shared one.
#[must_use]
pub fn system() -> SharedClock {
    Arc::new(SystemClock)
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    unix_millis: AtomicU64,
    monotonic_millis: AtomicU64,
}

impl ManualClock {
    /// Standing at this many seconds since 1970.
    #[must_use]
    pub fn at(unix_seconds: u64) -> Arc<Self> {
        Arc::new(Self { unix_millis: AtomicU64::new(unix_seconds * 1000), monotonic_millis: AtomicU64::new(0) })
    }

    /// Move both times on.
    pub fn advance(&self, by: Duration) {
        let by = by.as_millis() as u64;
        self.unix_millis.fetch_add(by, Ordering::SeqCst);
        self.monotonic_millis.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn unix_millis(&self) -> u64 {
        self.unix_millis.load(Ordering::SeqCst)
    }

    fn monotonic_millis(&self) -> u64 {
        self.monotonic_millis.load(Ordering::SeqCst)
    }
}
