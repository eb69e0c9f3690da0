//! Ids, shuffles and tokens. None of it guards anything: this is a stand-in with invented music in it.

use std::hash::{BuildHasher, RandomState};

/// A small generator (xorshift64*), seeded so that a shuffled queue is the same in every run of a test.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed.max(1))
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `bound`, which must not be zero.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound as u64) as usize
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end + 1));
        }
    }

    /// 32 hex digits, the shape of a queue item's id.
    pub(crate) fn hex32(&mut self) -> String {
        format!("{:016x}{:016x}", self.roll(), self.roll())
    }
}

/// A word nobody else in this process or the next has: from the keys that the standard library draws for its hash maps.
pub(crate) fn unique(label: &str) -> u64 {
    RandomState::new().hash_one(label)
}
