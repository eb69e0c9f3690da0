//! Music that goes from one player to another, and players that play together.
//!
//! Music Assistant leaves out whom it cannot group, and of several that are to part now and then one, and says "success". So
//! whether it can is looked up first, and whether it did afterwards.

use std::time::Duration;

use macloud_e2ee::vocabulary::{Playback, PlayerState, Refusal, Reply};
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::{Executor, not_announcing, playing, report, stopped};
use crate::music_assistant::directory::Directory;
use crate::music_assistant::model::{Activity, Player, PlayerType};

/// Players are together, or apart, within this time: it is a third of a second, and more where they speak different protocols.
const TOGETHER_LIMIT: Duration = Duration::from_secs(2);

/// Music that is started anew is silent by then, and heard again by then.
const SILENT_WITHIN: Duration = Duration::from_millis(700);
const HEARD_WITHIN: Duration = Duration::from_millis(2500);

/// Who has not parted by then was forgotten, and is told again: the others have within a third of this.
const FORGOTTEN_AFTER: Duration = Duration::from_millis(900);

impl Executor {
    /// Let what is heard on `player` go on at `other`, and stop here.
    pub(super) async fn move_to(&self, player: &Player, other: &Player, limit: Duration) -> Result<Reply, Refusal> {
        let deadline = Instant::now() + limit;
        let source = self.leader(player);
        let led = self.leader(other);
        // Who plays along with the source already is taken out of its group by Music Assistant, and goes on alone; not out of a group
        // that is a player of its own, while that plays.
        let led_by_group = led.id == source.id && source.kind == PlayerType::Group;
        let target = if led.id == source.id { other.clone() } else { led };
        not_announcing(player, &source)?;
        not_announcing(other, &target)?;
        {
            let directory = self.ma.directory();
            let queue = directory.queue(&source.id).filter(|queue| queue.items > 0);
            let is_on =
                source.activity != Activity::Idle || queue.is_some_and(|queue| queue.activity != Activity::Idle);
            match queue {
                _ if is_on && directory.plays_own_source(&source) => return Err(Refusal::NotSupported),
                Some(_) if is_on => {}
                _ => return Err(Refusal::NothingPlays),
            }
        }
        if target.id == source.id {
            // It plays there.
            return self.done_at(player, other, |_| {}, |_| {});
        }
        let heard = report::now_playing(&self.ma.directory(), &source);
        if led_by_group {
            self.send(&source, "players/cmd/stop", json!({ "player_id": source.id }), limit).await?;
        } else {
            self.stop_before_replacing(&target.id).await;
        }
        self.quiet.restarting(&target.id);
        self.paused.told_otherwise(&target.id);
        self.paused.told_otherwise(&source.id);
        let args = json!({ "source_queue_id": source.id, "target_queue_id": target.id, "auto_play": true });
        let left = deadline.saturating_duration_since(Instant::now());
        self.send(other, "player_queues/transfer", args, left).await?;
        self.started.moved(&source.id, &target.id);
        self.move_sleep_timer(&source, &target);
        self.done_at(
            player,
            other,
            |state| stopped(state, Playback::Stopped),
            |state| {
                playing(state);
                state.now_playing = heard;
            },
        )
    }

    /// Wait until the music of `lead` is heard that was started anew a moment ago: who joins begins it anew, and one that begins while
    /// another does is silent for up to nine seconds.
    async fn heard_again(&self, lead: &Player, deadline: Instant) {
        let Some(restarted) = self.quiet.restarted(&lead.id) else { return };
        let until = (restarted + HEARD_WITHIN).min(deadline);
        tokio::time::sleep_until((restarted + SILENT_WITHIN).min(until)).await;
        let plays =
            |directory: &Directory| directory.player(&lead.id).is_some_and(|lead| lead.activity == Activity::Playing);
        self.ma.wait_until(until.saturating_duration_since(Instant::now()), plays).await;
    }

    /// Let `player` play along with `other`.
    pub(super) async fn join_to(&self, player: &Player, other: &Player, limit: Duration) -> Result<Reply, Refusal> {
        let lead = self.leader(other);
        if self.leader(player).id == lead.id {
            return if player.id == other.id {
                Err(Refusal::CannotGroup(self.called(other)))
            } else {
                self.done_at(player, other, |_| {}, |_| {})
            };
        }
        not_announcing(player, &lead)?;
        if !lead.takes(player) {
            return Err(Refusal::CannotGroup(self.called(other)));
        }
        let deadline = Instant::now() + limit;
        let until = Instant::now() + limit.saturating_sub(TOGETHER_LIMIT);
        let Ok(turn) = timeout_at(until, self.joining.lock()).await else { return Err(Refusal::Busy) };
        self.heard_again(&lead, until).await;
        self.quiet.told_otherwise(&player.id);
        let args = json!({ "player_id": player.id, "target_player": lead.id });
        let left = deadline.saturating_duration_since(Instant::now());
        self.send(player, "players/cmd/group", args, left).await?;
        if lead.activity == Activity::Playing {
            self.quiet.restarting(&lead.id);
        }
        drop(turn);
        let joined = |directory: &Directory| {
            directory.leader_of(&player.id).is_some_and(|leader| leader.id == lead.id)
                || directory.player(&lead.id).is_some_and(|lead| lead.members.contains(&player.id))
        };
        self.confirmed(deadline, joined).await?;
        // It is told later that it plays than that it belongs there.
        let heard = report::now_playing(&self.ma.directory(), &lead).filter(|_| lead.activity == Activity::Playing);
        let plays_along = |state: &mut PlayerState| {
            if lead.activity == Activity::Playing {
                playing(state);
                state.now_playing = heard;
            }
        };
        self.done_at(player, other, plays_along, |_| {})
    }

    /// Let `player` play alone again. Whoever leads others goes on, and they fall silent.
    pub(super) async fn unjoin(&self, player: &Player, limit: Duration) -> Result<Reply, Refusal> {
        if player.kind == PlayerType::Group {
            return Err(Refusal::NotSupported);
        }
        let (follows, followers) = {
            let directory = self.ma.directory();
            let rules = self.house.current();
            let followers: Vec<String> = directory.followers(&player.id).map(|player| player.id.clone()).collect();
            let hidden = directory.followers(&player.id).any(|player| !rules.expose(player));
            if hidden {
                // Not to be moved from here; and without that it would not be alone.
                return Err(Refusal::NotSupported);
            }
            (directory.leader_of(&player.id).is_some_and(|leader| leader.id != player.id), followers)
        };
        let parting = if follows { vec![player.id.clone()] } else { followers };
        if !parting.is_empty() {
            self.part(player, parting, Instant::now() + limit).await?;
        }
        self.done(&player.id, |_| {})
    }

    /// Take these players out of the group that `player` plays in. Those that are forgotten are told a second time.
    async fn part(&self, player: &Player, ids: Vec<String>, deadline: Instant) -> Result<(), Refusal> {
        let left = || deadline.saturating_duration_since(Instant::now());
        self.send(player, "players/cmd/ungroup_many", json!({ "player_ids": ids }), left()).await?;
        let apart = |directory: &Directory| ids.iter().all(|id| is_alone(directory, id));
        if self.ma.wait_until(FORGOTTEN_AFTER.min(left()), apart).await {
            return Ok(());
        }
        let forgotten: Vec<&String> = {
            let directory = self.ma.directory();
            ids.iter().filter(|id| !is_alone(&directory, id)).collect()
        };
        self.send(player, "players/cmd/ungroup_many", json!({ "player_ids": forgotten }), left()).await?;
        self.confirmed(deadline, apart).await
    }

    async fn confirmed(&self, deadline: Instant, done: impl FnMut(&Directory) -> bool) -> Result<(), Refusal> {
        let limit = TOGETHER_LIMIT.min(deadline.saturating_duration_since(Instant::now()));
        if self.ma.wait_until(limit, done).await { Ok(()) } else { Err(Refusal::OutcomeUnknown) }
    }
}

/// Whether player `id` follows nobody, and nobody says that it does.
fn is_alone(directory: &Directory, id: &str) -> bool {
    let leads_itself = directory.leader_of(id).is_none_or(|leader| leader.id == id);
    leads_itself && !directory.is_member(id)
}
