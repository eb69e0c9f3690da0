//! What players were asked to do and may not have confirmed yet.
//!
//! Music Assistant answers a command a quarter of a second before its events tell the new state. In between the known
//! state is the old one: told to an assistant, it would show "volume 20" right after "set the volume to 30".

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use macloud_e2ee::vocabulary::{Playback, PlayerState};
use tokio::time::Instant;

/// An event that confirms a change has come by then, or the change did not happen. Slow outputs take a quarter of it, and a group,
/// which tells of itself after its leader and its members have, more than half.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(2);

/// The latest state that each player was asked for.
#[derive(Default)]
pub(super) struct Asked(Mutex<HashMap<String, (Instant, PlayerState)>>);

impl Asked {
    /// Player `id` was asked to be like this.
    pub(super) fn note(&self, id: &str, state: PlayerState) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, (at, _)| at.elapsed() < CONFIRMED_WITHIN);
        all.insert(id.into(), (Instant::now(), state));
    }

    /// What player `id` was asked for so recently that it may not have been confirmed, and how long to wait for that.
    pub(super) fn unconfirmed(&self, id: &str) -> Option<(PlayerState, Duration)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, state) = all.get(id)?;
        let left = CONFIRMED_WITHIN.checked_sub(at.elapsed())?;
        Some((state.clone(), left))
    }
}

/// Whether `now` is as was asked. A player that stops where it was told to pause does what was wanted.
pub(super) fn agrees(now: &PlayerState, asked: &PlayerState) -> bool {
    let plays = |state: &PlayerState| state.playback == Playback::Playing;
    now.volume == asked.volume
        && now.muted == asked.muted
        && now.shuffle == asked.shuffle
        && now.repeat == asked.repeat
        && now.autoplay == asked.autoplay
        && plays(now) == plays(asked)
}

/// Put what was asked over what is known.
pub(super) fn overlay(known: &mut PlayerState, asked: PlayerState) {
    known.volume = asked.volume;
    known.muted = asked.muted;
    known.playback = asked.playback;
    known.powered = asked.powered;
    known.shuffle = asked.shuffle;
    known.repeat = asked.repeat;
    known.autoplay = asked.autoplay;
}
