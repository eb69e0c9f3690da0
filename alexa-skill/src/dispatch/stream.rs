//! One open stream to a relay node, with the calls that are in flight on it.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use macloud_proto::bus::v1::{self, Call, Cancel, ToRelay, answer, call, not_sent, to_relay, unknown};
use macloud_proto::ids::InstanceId;
use macloud_service_kit::gather::Expecting;
use macloud_service_kit::telemetry;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::{Answer, Outcome, UsedUp};

pub(super) struct Stream {
    node: String,
    /// The node finds homes that others hold.
    sees_all_nodes: bool,
    outgoing: mpsc::Sender<ToRelay>,
    /// Calls that the relay is ready to take.
    credit: Semaphore,
    in_flight: Arc<Mutex<InFlight>>,
    draining: AtomicBool,
}

#[derive(Default)]
pub(super) struct InFlight {
    next: u64,
    calls: HashMap<u64, oneshot::Sender<Answer>>,
    broken: bool,
}

/// The relay keeps the deadline; this is for the way back, and for a relay that does not.
const GRACE: Duration = Duration::from_millis(150);

impl Stream {
    pub(super) fn new(opened: v1::Opened, outgoing: mpsc::Sender<ToRelay>, in_flight: Arc<Mutex<InFlight>>) -> Self {
        Self {
            node: opened.node_id,
            sees_all_nodes: opened.sees_all_nodes,
            outgoing,
            credit: Semaphore::new((opened.credit as usize).min(Semaphore::MAX_PERMITS)),
            in_flight,
            draining: AtomicBool::new(false),
        }
    }

    pub(super) fn node(&self) -> &str {
        &self.node
    }

    pub(super) const fn sees_all_nodes(&self) -> bool {
        self.sees_all_nodes
    }

    pub(super) fn takes_calls(&self) -> bool {
        !self.draining.load(Ordering::Acquire)
    }

    pub(super) fn has_room(&self) -> bool {
        self.credit.available_permits() > 0
    }

    /// One call, one answer, whatever happens to the stream. No session older than `least_epoch` is used unless the relay is sure.
    pub(super) async fn call(
        &self,
        instance: &InstanceId,
        body: call::Body,
        least_epoch: u64,
        deadline: Instant,
    ) -> Answer {
        let credit = match timeout_at(deadline, self.credit.acquire()).await {
            Ok(Ok(credit)) => credit,
            Ok(Err(_)) => return Answer::not_sent(not_sent::Reason::LinkLost),
            Err(_) => return Answer::not_sent(not_sent::Reason::Busy),
        };
        let Some((call, answer)) = self.register() else { return Answer::not_sent(not_sent::Reason::LinkLost) };
        let remaining = deadline.saturating_duration_since(Instant::now()).as_millis();
        let message = to_relay::Body::Call(Call {
            correlation: call.correlation,
            instance_id: instance.to_string(),
            remaining_ms: remaining.clamp(1, 30_000) as u32,
            body: Some(body),
            traceparent: telemetry::traceparent(&tracing::Span::current()),
            least_epoch,
            crossed: false,
        });
        match timeout_at(deadline, self.outgoing.send(ToRelay { body: Some(message) })).await {
            // On its way: from here on, its answer brings the credit back.
            Ok(Ok(())) => credit.forget(),
            Ok(Err(_)) => return Answer::not_sent(not_sent::Reason::LinkLost),
            Err(_) => return Answer::not_sent(not_sent::Reason::Deadline),
        }
        match timeout_at(deadline + GRACE, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Answer::unknown(unknown::Reason::LinkLost),
            Err(_) => Answer::unknown(unknown::Reason::Deadline),
        }
    }

    pub(super) fn answered(&self, answer: v1::Answer) {
        self.credit.add_permits(1);
        // None: its caller went away.
        if let Some(caller) = self.in_flight().calls.remove(&answer.correlation) {
            let _ = caller.send(answer.into());
        }
    }

    pub(super) fn credited(&self, calls: u32) {
        // More than the semaphore holds would panic, and no relay has that much room.
        let room = Semaphore::MAX_PERMITS - self.credit.available_permits();
        self.credit.add_permits((calls as usize).min(room));
    }

    /// No new calls.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.in_flight().calls.is_empty()
    }

    /// Every caller learns at once that no answer will come.
    pub(super) fn broke(&self) {
        self.drain();
        self.credit.close();
        let mut in_flight = self.in_flight();
        in_flight.broken = true;
        in_flight.calls.clear();
    }

    fn register(&self) -> Option<(InFlightCall<'_>, oneshot::Receiver<Answer>)> {
        let mut in_flight = self.in_flight();
        if in_flight.broken {
            return None;
        }
        let (caller, answer) = oneshot::channel();
        let correlation = in_flight.next;
        in_flight.next += 1;
        in_flight.calls.insert(correlation, caller);
        Some((InFlightCall { stream: self, correlation }, answer))
    }

    fn in_flight(&self) -> MutexGuard<'_, InFlight> {
        lock(&self.in_flight)
    }
}

fn lock(in_flight: &Mutex<InFlight>) -> MutexGuard<'_, InFlight> {
    in_flight.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What goes to the relay.
pub(super) struct Outgoing {
    pub(super) messages: mpsc::Receiver<ToRelay>,
    pub(super) in_flight: Arc<Mutex<InFlight>>,
}

impl futures_util::Stream for Outgoing {
    type Item = ToRelay;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<ToRelay>> {
        self.messages.poll_recv(context)
    }
}

impl Expecting for Outgoing {
    fn expects_more(&self) -> bool {
        lock(&self.in_flight).calls.len() > 1
    }
}

/// A call that somebody waits for. Dropped without an answer, it is cancelled at the relay.
struct InFlightCall<'s> {
    stream: &'s Stream,
    correlation: u64,
}

impl Drop for InFlightCall<'_> {
    fn drop(&mut self) {
        if self.stream.in_flight().calls.remove(&self.correlation).is_some() {
            let cancel = to_relay::Body::Cancel(Cancel { correlation: self.correlation });
            // Full or closed: the deadline ends the call all the same.
            let _ = self.stream.outgoing.try_send(ToRelay { body: Some(cancel) });
        }
    }
}

impl Answer {
    fn not_sent(reason: not_sent::Reason) -> Self {
        Self::of_our_own(Outcome::NotSent(reason))
    }

    fn unknown(reason: unknown::Reason) -> Self {
        Self::of_our_own(Outcome::Unknown(reason))
    }

    fn of_our_own(outcome: Outcome) -> Self {
        Self { outcome, node: String::new(), epoch: 0, timing: None, sent_before: false, by_relay: false }
    }
}

fn refusal(not_sent: &v1::NotSent) -> Outcome {
    match not_sent.reason() {
        not_sent::Reason::UsedUp => Outcome::UsedUp(UsedUp {
            commands_per_day: not_sent.commands_per_day,
            after: Duration::from_millis(not_sent.retry_after_ms.into()),
        }),
        not_sent::Reason::NotConnected if not_sent.away_seconds > 0 => {
            Outcome::Away(Duration::from_secs(not_sent.away_seconds.into()))
        }
        reason => Outcome::NotSent(reason),
    }
}

impl From<v1::Answer> for Answer {
    fn from(answer: v1::Answer) -> Self {
        let outcome = match answer.outcome {
            Some(answer::Outcome::Delivered(delivered)) => Outcome::Delivered(delivered.sealed),
            Some(answer::Outcome::PreKey(pre_key)) => Outcome::PreKey(pre_key.signed_pre_key),
            Some(answer::Outcome::NotSent(not_sent)) => refusal(&not_sent),
            Some(answer::Outcome::Unknown(unknown)) => Outcome::Unknown(unknown.reason()),
            // Of a newer relay: whether anything was written is not known.
            None => Outcome::Unknown(unknown::Reason::Unspecified),
        };
        Self {
            outcome,
            node: answer.owner_node_id,
            epoch: answer.session_epoch,
            timing: answer.timing.map(Into::into),
            sent_before: answer.sent_before,
            by_relay: true,
        }
    }
}
