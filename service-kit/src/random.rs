//! Cryptographic randomness from the operating system.

use ring::rand::{SecureRandom as _, SystemRandom};

/// Fill `out` with random bytes.
///
/// # Panics
/// When the operating system has no randomness to give: nothing safe can be done then.
pub fn fill(out: &mut [u8]) {
    SystemRandom::new().fill(out).expect("the operating system gives random bytes");
}

/// `N` random bytes.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    fill(&mut out);
    out
}

/// A uniformly random whole number in `0..=max`, for jitter. Not for secrets: the modulo bias is below 2^-32 for `max` under 2^32.
#[must_use]
pub fn up_to(max: u64) -> u64 {
    let value = u64::from_le_bytes(bytes());
    max.checked_add(1).map_or(value, |bound| value % bound)
}
