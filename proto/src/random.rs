//! Randomness as an argument.

use std::time::Duration;

/// A source of random bytes: cryptographic in programs, seeded in tests. Any `FnMut(&mut [u8])` is one.
pub trait Random {
    /// Fill `out` with random bytes.
    fn fill(&mut self, out: &mut [u8]);

    /// `N` random bytes.
    fn bytes<const N: usize>(&mut self) -> [u8; N]
    where
        Self: Sized,
    {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }
}

impl<F: FnMut(&mut [u8])> Random for F {
    fn fill(&mut self, out: &mut [u8]) {
        self(out);
    }
}

/// A uniformly random time in `from..=to`, to the microsecond: continuous jitter, so that a fleet never meets on a grid.
/// The modulo bias is below one in a million for spans under an hour.
#[must_use]
pub fn between(from: Duration, to: Duration, random: &mut dyn Random) -> Duration {
    let span = to.saturating_sub(from).as_micros() as u64;
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    let drawn = u64::from_le_bytes(bytes);
    from + Duration::from_micros(span.checked_add(1).map_or(drawn, |bound| drawn % bound))
}
