//! What must not stay in memory once it is not needed.

use std::ops::{Deref, DerefMut};

use zeroize::optimization_barrier;

/// Bytes that are erased when dropped, with all the room behind them.
///
/// `Zeroizing<Vec<u8>>` promises the same and writes byte by byte, which was half of all that a command's sealing and opening
/// took at both ends. This is one call of `memset`, which the barrier behind it keeps the compiler from leaving out.
pub(crate) struct Secret(Vec<u8>);

impl Secret {
    /// Holding `bytes`, which must not have been moved to a larger place since they were secret.
    pub(crate) const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for Secret {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Secret {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        erase(&mut self.0);
    }
}

/// Zeros, as many as there is room for.
fn erase(bytes: &mut Vec<u8>) {
    bytes.clear();
    // As much as it has: nothing moves.
    bytes.resize(bytes.capacity(), 0);
    optimization_barrier(bytes.as_slice());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_erased_where_it_is() {
        let mut bytes = Vec::with_capacity(100);
        bytes.extend_from_slice(&[7; 80]);
        bytes.truncate(3);
        let (place, room) = (bytes.as_ptr(), bytes.capacity());
        erase(&mut bytes);
        assert_eq!(bytes, vec![0; room], "also what was cut off");
        assert_eq!(bytes.as_ptr(), place);
        erase(&mut Vec::new());
    }
}
