//! Making a pause stay one.
//!
//! Seeking and skipping restart the stream a second or two after Music Assistant has answered them. A pause in between
//! is answered with success, takes effect, and is undone by the stream that starts (seen on a live server: seek, pause
//! after 0.15 s, paused at 0.5 s, playing again at 2 s), or has no effect at all (play, pause 0.3 s after the first sound). So a
//! pause or stop that follows such a command is watched, and repeated if the player goes on, or starts again, without having been
//! told to. Both may be repeated: twice quiet is quiet.
//!
//! In the other direction, a player that was told to play is silent for up to two seconds: it is [starting](Quiet::is_starting), and
//! "pause everything" means it, too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::music_assistant::directory::Directory;
use crate::music_assistant::model::Activity;
use crate::music_assistant::{CONTROL_LIMIT, MusicAssistant};

/// A restarted stream plays within this time.
const RESTART: Duration = Duration::from_secs(4);

/// A pause takes effect within this time: it is a quarter of a second, and half of one for slow outputs.
const EFFECT: Duration = Duration::from_secs(1);

/// More repeats than this would be a quarrel with somebody.
const REPEATS: u32 = 3;

/// Remembers when which player was told to play something, and watches those that were then told to be quiet.
#[derive(Default)]
pub(super) struct Quiet {
    told: Arc<Mutex<HashMap<String, Told>>>,
    watches: Mutex<JoinSet<()>>,
}

#[derive(Clone, Copy)]
struct Told {
    /// Counts what a player was told, so that a watch notices that its pause is not the latest word.
    number: u64,
    /// When its stream was last told to start anew.
    restarted: Option<Instant>,
    /// Whether that was its latest word.
    is_to_play: bool,
}

impl Quiet {
    /// Player `id` was told something that starts its stream anew.
    pub(super) fn restarting(&self, id: &str) {
        let mut told = lock(&self.told);
        let told = told.entry(id.into()).or_insert(Told { number: 0, restarted: None, is_to_play: true });
        told.number += 1;
        told.restarted = Some(Instant::now());
        told.is_to_play = true;
    }

    /// Player `id` was told something else: whether it plays or not from now on, that is not watched any more.
    pub(super) fn told_otherwise(&self, id: &str) {
        self.next_word(id);
    }

    /// Whether player `id` was told to play, and nothing else since, so recently that it may be silent still.
    pub(super) fn is_starting(&self, id: &str) -> bool {
        self.restarted(id).is_some()
    }

    /// When the stream of player `id` was last told to start anew, if that is its latest word and may not have happened yet.
    pub(super) fn restarted(&self, id: &str) -> Option<Instant> {
        let told = lock(&self.told).get(id).copied().filter(|told| told.is_to_play)?;
        told.restarted.filter(|at| at.elapsed() < RESTART)
    }

    /// Player `id` was told to be quiet, by this command. Watch it if a stream may still be starting.
    pub(super) fn asked(&self, ma: &MusicAssistant, id: &str, command: &'static str, args: Value) {
        let Some(told) = self.next_word(id) else { return };
        if told.restarted.is_none_or(|at| at.elapsed() >= RESTART) {
            return;
        }
        let (ma, id, all) = (ma.clone(), id.to_owned(), Arc::clone(&self.told));
        let mut watches = lock(&self.watches);
        while watches.try_join_next().is_some() {}
        watches.spawn(async move {
            let latest = || lock(&all).get(&id).is_some_and(|now| now.number == told.number);
            let until = Instant::now() + RESTART;
            for _ in 0..REPEATS {
                let became_quiet = ma.wait_until(EFFECT, |d| !plays(d, &id)).await;
                let plays_again = became_quiet && ma.wait_until(until - Instant::now(), |d| plays(d, &id)).await;
                if !latest() || (became_quiet && !plays_again) {
                    return;
                }
                tracing::info!(player.id = %id, "the player went on after it was told to be quiet; telling it again");
                // A failure here changes nothing about the answer that was given.
                let _ = ma.call(command, args.clone(), CONTROL_LIMIT).await;
                if Instant::now() >= until {
                    return;
                }
            }
        });
    }

    fn next_word(&self, id: &str) -> Option<Told> {
        let mut all = lock(&self.told);
        let told = all.get_mut(id)?;
        told.number += 1;
        told.is_to_play = false;
        Some(*told)
    }
}

/// Whether player `id` plays what is its own. Who plays along with another is not the one to be told: the pause would end the
/// other's music.
fn plays(directory: &Directory, id: &str) -> bool {
    directory.leader_of(id).is_some_and(|leader| leader.id == id && leader.activity == Activity::Playing)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
