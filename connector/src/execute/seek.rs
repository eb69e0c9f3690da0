//! To another place in what plays.
//!
//! Music Assistant refuses a place outside of the item, and any place in what has no end. Who says "go to an hour" means the end.

use std::time::Duration;

use macloud_e2ee::vocabulary::{Refusal, Reply};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{CHANGING, Executor, not_announcing, playing};
use crate::music_assistant::model::Player;

/// What refuses for as long as this cannot do it, unless it has only just been told to play.
const TRIES: usize = 3;
/// A queue that has just begun to play says for up to a second that nothing is loaded, and of an audiobook for up to two and a half.
const TRIES_AT_START: usize = 6;

/// Where to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// So many seconds from the beginning.
    At(u32),
    /// So many seconds from here.
    From(i32),
}

impl Executor {
    pub(super) async fn seek(&self, player: &Player, place: Place, limit: Duration) -> Result<Reply, Refusal> {
        let leader = self.leader(player);
        not_announcing(player, &leader)?;
        let id = &leader.id;
        let (duration, position) = {
            let directory = self.ma.directory();
            if directory.plays_own_source(&leader) {
                return Err(Refusal::NotSupported);
            }
            let queue = directory.queue(id).filter(|queue| queue.current.is_some()).ok_or(Refusal::NothingToPlay)?;
            (queue.duration.ok_or(Refusal::NotSupported)?, directory.position(id))
        };
        // At the very end there is nothing left to hear.
        let last = (duration as i64 - 1).max(0);
        let wanted = match place {
            Place::At(seconds) => Some(i64::from(seconds)),
            Place::From(seconds) => position.map(|position| position as i64 + i64::from(seconds)),
        };
        let target = wanted.map(|wanted| wanted.clamp(0, last));
        let (command, args) = match (place, target) {
            // The server knows best where it is.
            (Place::From(seconds), target) if target == wanted => {
                ("player_queues/skip", json!({ "queue_id": id, "seconds": seconds }))
            }
            (_, target) => ("player_queues/seek", json!({ "queue_id": id, "position": target.unwrap_or(0) })),
        };
        let tries = self.tries(id);
        self.quiet.restarting(id);
        self.paused.told_otherwise(id);
        self.send_within(player, command, args, tries, limit).await?;
        self.done(&player.id, |state| {
            playing(state);
            state.position = target.and_then(|target| u32::try_from(target).ok());
        })
    }

    /// How often it is worth trying to move within what plays at `id`. To be asked before that is noted as a start of its own.
    pub(super) fn tries(&self, id: &str) -> usize {
        if self.quiet.is_starting(id) { TRIES_AT_START } else { TRIES }
    }

    /// Send what moves within the current item.
    pub(super) async fn send_within(
        &self,
        player: &Player,
        command: &'static str,
        args: Value,
        tries: usize,
        limit: Duration,
    ) -> Result<(), Refusal> {
        let deadline = Instant::now() + limit;
        for _ in 1..tries {
            let left = deadline.saturating_duration_since(Instant::now());
            let sent = self.send(player, command, args.clone(), left).await;
            let is_refused = matches!(sent, Err(Refusal::MusicAssistantFailed | Refusal::NotSupported));
            if !is_refused || Instant::now() + 2 * CHANGING > deadline {
                return sent;
            }
            // While an item is being loaded there is none to move within: the server says "failed", and of its queues that it is no
            // command for them.
            tokio::time::sleep(CHANGING).await;
        }
        self.send(player, command, args, deadline.saturating_duration_since(Instant::now())).await
    }
}
