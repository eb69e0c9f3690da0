//! From a call of the bus to a session of the home, and from the session's word to the call's one answer.
//!
//! "Exactly one answer" is a guard: a [`PendingCall`] that is dropped without one answers for itself.

use std::sync::Arc;

use bytes::Bytes;
use macloud_proto::bus::v1;
use macloud_proto::ids::{CommandId, InstanceId};
use macloud_proto::link::relay_side::{NotSent, Outcome, Timing, Unknown};
use macloud_proto::time::Micros;
use macloud_service_kit::telemetry;
use tokio::sync::mpsc::error::TrySendError;
use tracing::field::Empty;
use tracing::{Span, info_span};

use crate::bus::AnswerTo;
use crate::meters::{Meter, UsedUp};
use crate::metrics::outcome_label;
use crate::node::Node;
use crate::session::Input;

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
    node: Arc<Node>,
    /// Taken by the answer.
    answer_to: Option<AnswerTo>,
    /// The session that has it now, or had it last.
    epoch: u64,
    /// It was given to a session: if nobody ever says what became of it there, it may have been written.
    given: bool,
    /// An earlier session wrote it and ended: from then on "not sent" would be a lie.
    written_before: bool,
    retried: bool,
    /// Where it was charged, until it turns out not to have been sent.
    charged: Option<Arc<Meter>>,
    /// From the call's arrival to its answer.
    span: Span,
}

impl PendingCall {
    pub(crate) fn new(
        node: Arc<Node>,
        instance: InstanceId,
        ask: Ask,
        traceparent: String,
        deadline: Micros,
        answer_to: AnswerTo,
    ) -> Box<Self> {
        let arrived = node.now();
        if let (Some(tap), Ask::Command { command_id, sealed, .. }) = (&node.config.tap, &ask) {
            (tap.0)(*command_id, sealed);
        }
        let span = info_span!("route", otel.kind = "server", instance.id = %instance, outcome = Empty);
        telemetry::continue_trace(&span, &traceparent);
        let own = telemetry::traceparent(&span);
        Box::new(Self {
            instance,
            ask,
            // Without traces of its own, this node hands on the caller's.
            traceparent: if own.is_empty() { traceparent } else { own },
            arrived,
            deadline,
            node,
            answer_to: Some(answer_to),
            epoch: 0,
            given: false,
            written_before: false,
            retried: false,
            charged: None,
            span,
        })
    }

    /// Give the call to the home's session on this node, or answer that there is none.
    pub(crate) fn dispatch(mut self: Box<Self>) {
        let Some(session) = self.node.sessions.find(&self.instance) else {
            let elsewhere = if self.node.is_draining() { NoSession::Draining } else { NoSession::NotConnected };
            return self.answer_without_session(elsewhere);
        };
        self.epoch = session.epoch;
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
        let outcome = v1::answer::Outcome::NotSent(v1::NotSent { reason, retry_after_ms, commands_per_day: allowed });
        self.give(outcome, Timing::default(), "not_sent_used_up");
    }

    /// The session has taken the call into its machine.
    pub(crate) fn mark_given(&mut self) {
        self.given = true;
    }

    /// The session's word on the call. When the session was lost and a newer one has replaced it, the call is given to
    /// that one once more: the home remembers command ids, so nothing is executed twice.
    pub(crate) fn settle(mut self: Box<Self>, outcome: Outcome, timing: Timing) {
        if self.is_worth_a_retry(&outcome) {
            self.retried = true;
            self.given = false;
            self.written_before |= matches!(outcome, Outcome::Unknown(_));
            return self.dispatch();
        }
        let outcome = match outcome {
            Outcome::NotSent(_) if self.written_before => Outcome::Unknown(Unknown::LinkLost),
            outcome => outcome,
        };
        self.answer(outcome, timing);
    }

    fn is_worth_a_retry(&self, outcome: &Outcome) -> bool {
        let lost = matches!(
            outcome,
            Outcome::NotSent(NotSent::LinkLost) | Outcome::Unknown(Unknown::LinkLost | Unknown::Unresponsive)
        );
        let newer = || self.node.sessions.find(&self.instance).is_some_and(|session| session.epoch > self.epoch);
        lost && !self.retried && self.node.now() < self.deadline && newer()
    }

    fn answer(&mut self, outcome: Outcome, timing: Timing) {
        if matches!(self.ask, Ask::Command { .. }) && matches!(outcome, Outcome::Delivered(_)) {
            self.node.metrics.queued(timing.queued);
        }
        if matches!(outcome, Outcome::NotSent(_))
            && let Some(meter) = self.charged.take()
        {
            meter.give_back();
        }
        let label = outcome_label(&outcome);
        self.give(to_answer(outcome), timing, label);
    }

    fn give(&mut self, outcome: v1::answer::Outcome, timing: Timing, label: &'static str) {
        let Some(answer_to) = self.answer_to.take() else { return };
        self.node.metrics.command(label);
        self.log(label);
        answer_to.give(v1::Answer {
            correlation: 0,
            owner_node_id: if self.epoch == 0 { String::new() } else { self.node.config.node_id.clone() },
            session_epoch: self.epoch,
            outcome: Some(outcome),
            timing: Some(to_timing(timing)),
            sent_before: self.written_before,
        });
    }

    fn answer_without_session(&mut self, why: NoSession) {
        if self.written_before {
            return self.answer(Outcome::Unknown(Unknown::LinkLost), Timing::default());
        }
        if let Some(meter) = self.charged.take() {
            meter.give_back();
        }
        let Some(answer_to) = self.answer_to.take() else { return };
        let (reason, label) = match why {
            NoSession::NotConnected => (v1::not_sent::Reason::NotConnected, "not_sent_not_connected"),
            NoSession::Draining => (v1::not_sent::Reason::Draining, "not_sent_draining"),
        };
        self.node.metrics.command(label);
        self.log(label);
        answer_to.give(not_sent(reason));
    }

    fn log(&self, outcome: &'static str) {
        self.span.record("outcome", outcome);
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
            let outcome = if self.given || self.written_before {
                Outcome::Unknown(Unknown::LinkLost)
            } else {
                Outcome::NotSent(NotSent::LinkLost)
            };
            self.answer(outcome, Timing::default());
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum NoSession {
    NotConnected,
    Draining,
}

/// An answer for a call that reached no session.
pub(crate) fn not_sent(reason: v1::not_sent::Reason) -> v1::Answer {
    let outcome = v1::answer::Outcome::NotSent(v1::NotSent { reason: reason.into(), ..v1::NotSent::default() });
    v1::Answer { outcome: Some(outcome), ..v1::Answer::default() }
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
            v1::answer::Outcome::NotSent(v1::NotSent { reason: reason.into(), retry_after_ms, commands_per_day: 0 })
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
    let micros = |duration: std::time::Duration| u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
    v1::Timing {
        queued_micros: micros(timing.queued),
        received_micros: micros(timing.received),
        replied_micros: micros(timing.replied),
        home_micros: micros(timing.home),
    }
}
