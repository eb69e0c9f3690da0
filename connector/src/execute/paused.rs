//! Players that stop where they were told to pause.
//!
//! Some outputs cannot pause, and others do not within the first seconds of a stream: Music Assistant then stops them, keeps
//! the place in the queue, and says "idle". For the person who paused it, it is paused: "what's playing?" is answered with
//! what would go on, and not with "nothing".

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// After this it is no longer paused in anybody's mind.
const REMEMBERED: Duration = Duration::from_secs(1800);

/// A pause that has not taken effect by then was undone by somebody.
const EFFECT: Duration = Duration::from_secs(5);

/// When each player was last told to pause, if nothing else since.
#[derive(Default)]
pub(super) struct Paused(Mutex<HashMap<String, Instant>>);

impl Paused {
    /// Player `id` was told to pause while it played.
    pub(super) fn told(&self, id: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, at| at.elapsed() < REMEMBERED);
        all.insert(id.into(), Instant::now());
    }

    /// Player `id` was told something else.
    pub(super) fn told_otherwise(&self, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// Player `id` was seen playing. Whether it was told to pause comes to nothing, unless that was only just now.
    pub(super) fn seen_playing(&self, id: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|known, at| known != id || at.elapsed() < EFFECT);
    }

    /// Whether player `id`, which is idle, was told to pause.
    pub(super) fn holds(&self, id: &str) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(id).is_some_and(|at| at.elapsed() < REMEMBERED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_until_something_else_happens() {
        let paused = Paused::default();
        paused.told("a");
        paused.seen_playing("a");
        assert!(paused.holds("a") && !paused.holds("b"), "it plays for a moment after it was told");
        tokio::time::advance(EFFECT).await;
        paused.seen_playing("a");
        assert!(!paused.holds("a"), "somebody pressed play");
        paused.told("a");
        paused.told_otherwise("a");
        assert!(!paused.holds("a"));
        paused.told("a");
        tokio::time::advance(REMEMBERED).await;
        assert!(!paused.holds("a"), "long ago");
    }
}
