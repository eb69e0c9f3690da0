//! From a call of the bus to a session of the home, and from the session's word to the call's one answer.
//!
//! "Exactly one answer" is a guard: a [`PendingCall`] that is dropped without one answers for itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use macloud_proto::bus::v1;
use macloud_proto::ids::{CommandId, InstanceId};
use macloud_proto::link::frame::HomeTime;
use macloud_proto::link::relay_side::{NotSent, Outcome, Timing, Unknown};
use macloud_proto::time::Micros;
use macloud_service_kit::telemetry::{self, past_span, tell_past};
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::field::Empty;
use tracing::{Span, info_span};

use crate::bus::{AnswerTo, Call};
use crate::elsewhere;
use crate::meters::{Meter, UsedUp};
use crate::metrics::outcome_label;
use crate::node::Node;
use crate::presence::Location;
use crate::route::{Heard, Tries};
use crate::session::Input;
use crate::sessions::SessionHandle;

/// What a home is asked for.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    Command { command_id: CommandId, sealed: Bytes, counts: bool },
    PreKey { fresh: bool },
}

/// A call on its way.
#[derive(Debug)]
pub(crate) struct PendingCall {
    pub(crate) instance: InstanceId,
    pub(crate) ask: Ask,
    /// Of this call's own span, for the home.
    pub(crate) traceparent: String,
    pub(crate) arrived: Micros,
    pub(crate) deadline: Micros,
    pub(crate) tries: Tries,
    pub(crate) node: Arc<Node>,
    /// Taken by the answer.
    answer_to: Option<AnswerTo>,
    /// It was given to a session, or to another node: if nobody ever says what became of it there, it may have been written.
    given: bool,
    /// What is answered when looking for another session leads nowhere.
    lost: Option<v1::Answer>,
    /// Where it was charged, until it turns out not to have been sent.
    charged: Option<Arc<Meter>>,
    /// A node that leaves waits for it.
    _on_its_way: TaskTrackerToken,
    /// From the call's arrival to its answer.
    span: Span,
}

impl PendingCall {
    pub(crate) fn new(node: Arc<Node>, call: Call, answer_to: AnswerTo) -> Box<Self> {
        let Call { instance, remaining, ask, traceparent, tries } = call;
        let arrived = node.now();
        if let (Some(tap), Ask::Command { command_id, sealed, .. }) = (&node.config.tap, &ask) {
            (tap.0)(*command_id, sealed);
        }
        let span = info_span!(
            "route",
            otel.kind = "server",
            otel.status_code = Empty,
            instance.id = %instance,
            command.id = Empty,
            outcome = Empty,
            queue_wait_ms = Empty,
            link_ms = Empty,
            home_ms = Empty,
        );
        if let Ask::Command { command_id, .. } = &ask {
            span.record("command.id", tracing::field::display(command_id));
        }
        telemetry::continue_trace(&span, &traceparent);
        let own = telemetry::traceparent(&span);
        Box::new(Self {
            _on_its_way: node.calls.token(),
            instance,
            ask,
            // Without traces of its own, this node hands on the caller's.
            traceparent: if own.is_empty() { traceparent } else { own },
            arrived,
            deadline: before(remaining, arrived),
            tries,
            node,
            answer_to: Some(answer_to),
            given: false,
            lost: None,
            charged: None,
            span,
        })
    }

    /// Give the call to the home's session on this node; or take it to the node that holds it; or answer that there is none.
    pub(crate) fn dispatch(self: Box<Self>) {
        let here = self.node.sessions.find(&self.instance);
        let may_use = here.as_ref().is_some_and(|session| self.tries.may_use(session.epoch));
        let node = self.node.clone();
        match (&node.peers, here) {
            (None, Some(session)) if !self.tries.is_lost_by(session.epoch) => self.give_to(session),
            (None, _) if node.is_draining() => self.answer_without_session(NoSession::Draining),
            (None, _) => drop(tokio::spawn(elsewhere::answer_away(self))),
            (Some(peers), Some(session)) if may_use && peers.lease.vouches(node.now()) => self.give_to(session),
            // Its sender looks again. Only a session of a node that has slept is looked up.
            (Some(_), _) if self.tries.crossed && !may_use => {
                self.answer_without_session(NoSession::NotConnected(None));
            }
            (Some(peers), _) => elsewhere::dispatch(self, peers),
        }
    }

    pub(crate) fn give_to(mut self: Box<Self>, session: SessionHandle) {
        self.tries.go_to(session.epoch);
        let Err(error) = session.inbox.try_send(Input::Call(self)) else { return };
        let reason = match &error {
            TrySendError::Full(_) => NotSent::Busy,
            TrySendError::Closed(_) => NotSent::LinkLost,
        };
        if let Input::Call(call) = error.into_inner() {
            call.settle(Outcome::NotSent(reason), Timing::default());
        }
    }

    /// Use one of the day's commands for this call, once however often it is sent.
    pub(crate) fn charge(&mut self, meter: &Arc<Meter>, now: u64) -> Result<(), UsedUp> {
        if self.charged.is_none() {
            meter.take(now)?;
            self.charged = Some(meter.clone());
        }
        Ok(())
    }

    /// Nothing is left of the day: answer so.
    pub(crate) fn refuse_used_up(mut self: Box<Self>, UsedUp { allowed, after }: UsedUp) {
        let reason = v1::not_sent::Reason::UsedUp.into();
        let retry_after_ms = u32::try_from(after.as_millis()).unwrap_or(u32::MAX);
        let outcome = v1::answer::Outcome::NotSent(v1::NotSent {
            reason,
            retry_after_ms,
            commands_per_day: allowed,
            ..v1::NotSent::default()
        });
        let owner_node_id = self.node.config.node_id.clone();
        self.answer(v1::Answer { owner_node_id, session_epoch: self.tries.epoch, ..only(outcome) });
    }

    /// From here on it may be written.
    pub(crate) fn mark_given(&mut self) {
        self.given = true;
    }

    /// The session's word on the call. When the session was lost and a newer one has replaced it, here or elsewhere, the call
    /// is given to that one once more: the home remembers command ids, so nothing is executed twice.
    pub(crate) fn settle(mut self: Box<Self>, outcome: Outcome, timing: Timing) {
        let heard = Heard::from_session(&outcome);
        if matches!(self.ask, Ask::Command { .. }) && matches!(outcome, Outcome::Delivered(_)) {
            self.node.metrics.queued(timing.queued, &self.span);
        }
        if matches!(outcome, Outcome::NotSent(_)) {
            self.give_charge_back();
        }
        self.tell_of_home(&timing);
        let answer = v1::Answer {
            owner_node_id: self.node.config.node_id.clone(),
            session_epoch: self.tries.epoch,
            timing: Some(to_timing(timing)),
            ..only(to_answer(outcome))
        };
        self.settle_with(answer, heard);
    }

    /// The spans of what happened behind this node, from what was measured here and what the home says of itself. The way
    /// there is taken to be as long as the way back: the two clocks are not compared.
    fn tell_of_home(&self, timing: &Timing) {
        if timing.replied.is_zero() {
            return;
        }
        let link = past_span("link", timing.replied, Duration::ZERO);
        let HomeTime { whole, music_after, music } = timing.home;
        if whole.is_zero() {
            return tell_past(&self.span, &[link]);
        }
        let home = link.within("home", timing.replied.saturating_sub(whole) / 2, whole);
        let asked = home.within("music_assistant", music_after, music);
        let chain = [link, home, asked];
        tell_past(&self.span, if asked.took().is_zero() { &chain[..2] } else { &chain });
    }

    /// Another node's word on the call.
    pub(crate) fn settle_elsewhere(self: Box<Self>, answer: v1::Answer) {
        let heard = Heard::from_node(&answer);
        self.settle_with(answer, heard);
    }

    /// The connection to the other node is gone, and whatever it would have said.
    pub(crate) fn settle_gone(self: Box<Self>) {
        let written = self.given;
        let outcome = if written { Outcome::Unknown(Unknown::LinkLost) } else { Outcome::NotSent(NotSent::LinkLost) };
        self.settle_with(only(to_answer(outcome)), Heard::Lost { written });
    }

    /// The other node has as many calls in flight as it takes.
    pub(crate) fn refuse_busy(mut self: Box<Self>) {
        self.answer(not_sent(v1::not_sent::Reason::Busy));
    }

    /// The other node has not answered in time.
    pub(crate) fn settle_late(self: Box<Self>) {
        let outcome =
            if self.given { Outcome::Unknown(Unknown::Deadline) } else { Outcome::NotSent(NotSent::Deadline) };
        self.settle_with(only(to_answer(outcome)), Heard::Final);
    }

    fn settle_with(mut self: Box<Self>, answer: v1::Answer, heard: Heard) {
        if self.node.now() < self.deadline && self.tries.look_again(heard) && self.may_be_elsewhere() {
            self.given = false;
            if matches!(heard, Heard::Lost { .. }) {
                self.lost = Some(answer);
            }
            return self.dispatch();
        }
        self.answer(answer);
    }

    /// Whether there is any session that it was not given to yet, or somebody who would know.
    fn may_be_elsewhere(&self) -> bool {
        let newer = || {
            let here = self.node.sessions.find(&self.instance);
            here.is_some_and(|session| !self.tries.is_lost_by(session.epoch))
        };
        (self.node.peers.is_some() && !self.tries.crossed) || newer()
    }

    /// The node that has the home cannot be reached from here. The caller may fare better.
    pub(crate) fn answer_unreachable(self: Box<Self>, location: &Location) {
        let answer = v1::Answer {
            owner_node_id: location.node.node_id.clone(),
            session_epoch: location.epoch,
            ..not_sent(v1::not_sent::Reason::LinkLost)
        };
        self.answer_last_or(answer);
    }

    pub(crate) fn answer_without_session(self: Box<Self>, why: NoSession) {
        use v1::not_sent::Reason;
        self.answer_last_or(match why {
            NoSession::NotConnected(away) => not_connected(away),
            NoSession::Draining => not_sent(Reason::Draining),
            NoSession::Unlocated => not_sent(Reason::Unlocated),
            NoSession::TooLate => not_sent(Reason::Deadline),
        });
    }

    /// What was said by the session that lost it, if one did: looking further has led nowhere.
    fn answer_last_or(mut self: Box<Self>, answer: v1::Answer) {
        self.give_charge_back();
        let answer = self.lost.take().unwrap_or(answer);
        self.answer(answer);
    }

    /// It was not sent after all.
    fn give_charge_back(&mut self) {
        if !self.tries.was_written()
            && let Some(meter) = self.charged.take()
        {
            meter.give_back();
        }
    }

    fn answer(&mut self, mut answer: v1::Answer) {
        let sent_before = self.tries.was_written();
        if sent_before && matches!(answer.outcome, Some(v1::answer::Outcome::NotSent(_))) {
            answer.outcome = Some(to_answer(Outcome::Unknown(Unknown::LinkLost)));
        }
        answer.sent_before |= sent_before;
        let Some(answer_to) = self.answer_to.take() else { return };
        let label = outcome_label(&answer);
        // The node where it came in from its caller counts it.
        if !self.tries.crossed {
            self.node.metrics.command(label);
        }
        self.log(label, answer.timing.as_ref());
        answer_to.give(answer);
    }

    fn log(&self, outcome: &'static str, timing: Option<&v1::Timing>) {
        self.span.record("outcome", outcome);
        if is_failure(outcome) {
            self.span.record("otel.status_code", "ERROR");
        }
        let millis = |micros: u32| f64::from(micros) / 1000.0;
        if let Some(timing) = timing.filter(|timing| timing.replied_micros > 0) {
            self.span
                .record("queue_wait_ms", millis(timing.queued_micros))
                .record("link_ms", millis(timing.replied_micros.saturating_sub(timing.home_micros)))
                .record("home_ms", millis(timing.home_micros));
        }
        match &self.ask {
            Ask::Command { command_id, .. } => {
                tracing::debug!(instance.id = %self.instance, command.id = %command_id, outcome, "command answered");
            }
            Ask::PreKey { .. } => tracing::debug!(instance.id = %self.instance, outcome, "pre-key fetch answered"),
        }
    }
}

impl Drop for PendingCall {
    /// Its session's task has died: a fault of ours, but the caller waits.
    fn drop(&mut self) {
        if self.answer_to.is_some() {
            let written = self.given || self.tries.was_written();
            let outcome =
                if written { Outcome::Unknown(Unknown::LinkLost) } else { Outcome::NotSent(NotSent::LinkLost) };
            self.answer(only(to_answer(outcome)));
        }
    }
}

/// Why no session has a call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum NoSession {
    /// For so long, if that is known.
    NotConnected(Option<Duration>),
    Draining,
    Unlocated,
    TooLate,
}

/// Whether something of the way is to blame: a home that is not there, or may not be asked, is none.
fn is_failure(outcome: &str) -> bool {
    let fails = outcome.starts_with("not_sent") || outcome.starts_with("unknown") || outcome == "none";
    fails && !matches!(outcome, "not_sent_not_connected" | "not_sent_paused" | "not_sent_used_up")
}

/// An answer for a call that reached no session.
pub(crate) fn not_sent(reason: v1::not_sent::Reason) -> v1::Answer {
    only(v1::answer::Outcome::NotSent(v1::NotSent { reason: reason.into(), ..v1::NotSent::default() }))
}

fn not_connected(away: Option<Duration>) -> v1::Answer {
    let away_seconds = away.map_or(0, |away| u32::try_from(away.as_secs()).unwrap_or(u32::MAX));
    let reason = v1::not_sent::Reason::NotConnected.into();
    only(v1::answer::Outcome::NotSent(v1::NotSent { reason, away_seconds, ..v1::NotSent::default() }))
}

fn only(outcome: v1::answer::Outcome) -> v1::Answer {
    v1::Answer { outcome: Some(outcome), ..v1::Answer::default() }
}

/// When to answer so that the answer arrives before the caller's own deadline: a little earlier, for the way back.
fn before(remaining: Duration, now: Micros) -> Micros {
    now.plus(remaining - (remaining / 10).min(WAY_BACK))
}

fn to_answer(outcome: Outcome) -> v1::answer::Outcome {
    use v1::not_sent::Reason;
    match outcome {
        Outcome::Delivered(sealed) => v1::answer::Outcome::Delivered(v1::Delivered { sealed }),
        Outcome::PreKey(signed_pre_key) => v1::answer::Outcome::PreKey(v1::PreKey { signed_pre_key }),
        Outcome::NotSent(why) => {
            let (reason, retry_after) = match why {
                NotSent::Busy => (Reason::Busy, None),
                NotSent::Deadline => (Reason::Deadline, None),
                NotSent::LinkLost => (Reason::LinkLost, None),
                NotSent::Cancelled => (Reason::Cancelled, None),
                NotSent::RateLimited(after) => (Reason::RateLimited, Some(after)),
                NotSent::Paused => (Reason::Paused, None),
                NotSent::Invalid => (Reason::Invalid, None),
            };
            let retry_after_ms = retry_after.map_or(0, |after| u32::try_from(after.as_millis()).unwrap_or(u32::MAX));
            v1::answer::Outcome::NotSent(v1::NotSent {
                reason: reason.into(),
                retry_after_ms,
                ..v1::NotSent::default()
            })
        }
        Outcome::Unknown(why) => {
            let reason = match why {
                Unknown::Deadline => v1::unknown::Reason::Deadline,
                Unknown::LinkLost => v1::unknown::Reason::LinkLost,
                Unknown::Unresponsive => v1::unknown::Reason::Unresponsive,
            };
            v1::answer::Outcome::Unknown(v1::Unknown { reason: reason.into() })
        }
    }
}

fn to_timing(timing: Timing) -> v1::Timing {
    let micros = |duration: Duration| u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
    v1::Timing {
        queued_micros: micros(timing.queued),
        received_micros: micros(timing.received),
        replied_micros: micros(timing.replied),
        home_micros: micros(timing.home.whole),
    }
}

/// From here to a caller in the same data centre, with room for a busy machine.
const WAY_BACK: Duration = Duration::from_millis(25);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_leave_a_little_before_the_callers_deadline() {
        assert_eq!(before(Duration::from_secs(6), Micros(0)), Micros(5_975_000));
        assert_eq!(before(Duration::from_millis(10), Micros(0)), Micros(9_000));
    }
}
