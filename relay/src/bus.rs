//! The command bus, as callers see it: a long-lived stream that carries many calls, and a unary front for one.
//!
//! What is wrong with a call is said in its answer; a stream ends early only for a caller that breaks the stream's own
//! rules. A caller that goes away cancels its calls.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use macloud_proto::MAX_SEALED_BYTES;
use macloud_proto::bus::v1::command_bus_server::CommandBus;
use macloud_proto::bus::v1::{self, FromRelay, ToRelay, call, from_relay, to_relay};
use macloud_proto::ids::{CommandId, InstanceId};
use macloud_service_kit::gather::{Expecting, Gathered};
use tokio::sync::{mpsc, oneshot, watch};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use crate::dispatch::{Ask, PendingCall, not_sent};
use crate::node::{Leaving, Node};
use crate::route::Tries;
use crate::session::Order;

/// The `macloud.bus.v1.CommandBus` service of one node.
#[derive(Debug, Clone)]
pub struct Bus {
    node: Arc<Node>,
}

impl Bus {
    pub(crate) const fn new(node: Arc<Node>) -> Self {
        Self { node }
    }
}

#[tonic::async_trait]
impl CommandBus for Bus {
    type LinkStream = Gathered<Answers>;

    async fn link(&self, request: Request<Streaming<ToRelay>>) -> Result<Response<Gathered<Answers>>, Status> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let caller = Arc::new(Caller { out: sender, open: AtomicU32::new(0), in_flight: Mutex::default() });
        let opened = v1::Opened {
            node_id: self.node.config.node_id.clone(),
            credit: self.node.config.bus_credit,
            sees_all_nodes: self.node.peers.is_some(),
        };
        caller.send(from_relay::Body::Opened(opened));
        let reader = Reader { node: self.node.clone(), caller: caller.clone() };
        // Ends with its caller's stream, or with the answers' when the caller is gone; nobody needs to wait for it.
        tokio::spawn(reader.run(request.into_inner()));
        Ok(Response::new(Gathered::new(Answers { receiver, caller })))
    }

    async fn dispatch(&self, request: Request<v1::Call>) -> Result<Response<v1::Answer>, Status> {
        let limit = grpc_timeout(request.metadata());
        let mut call = Call::check(request.into_inner()).map_err(Status::invalid_argument)?;
        call.remaining = limit.map_or(call.remaining, |limit| limit.min(call.remaining));
        let (sender, receiver) = oneshot::channel();
        // The caller's cancellation drops this future, and with it the guard.
        let cancel = CancelOnDrop { node: &self.node, target: call.target() };
        call.dispatch(&self.node, AnswerTo::Once(sender));
        let answer = receiver.await.map_err(|_| Status::internal("the call was lost"))?;
        cancel.done();
        Ok(Response::new(answer))
    }
}

/// Where a call's answer goes.
#[derive(Debug)]
pub(crate) enum AnswerTo {
    /// The unary caller.
    Once(oneshot::Sender<v1::Answer>),
    /// The stream it came on, under this correlation.
    Stream { caller: Arc<Caller>, correlation: u64 },
}

impl AnswerTo {
    pub(crate) fn give(self, mut answer: v1::Answer) {
        match self {
            // An error means that the caller has gone: nobody is left to be told.
            Self::Once(sender) => drop(sender.send(answer)),
            Self::Stream { caller, correlation } => {
                caller.in_flight().remove(&correlation);
                answer.correlation = correlation;
                caller.send(from_relay::Body::Answer(answer));
            }
        }
    }
}

/// A call whose form is right.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) instance: InstanceId,
    pub(crate) remaining: Duration,
    pub(crate) ask: Ask,
    pub(crate) traceparent: String,
    pub(crate) tries: Tries,
}

impl Call {
    fn check(call: v1::Call) -> Result<Self, &'static str> {
        let instance = call.instance_id.parse().map_err(|_| "instance_id is not an instance id")?;
        if !REMAINING_MS.contains(&call.remaining_ms) {
            return Err("remaining_ms is not between 1 and 30000");
        }
        let ask = match call.body {
            Some(call::Body::Dispatch(dispatch)) => {
                let id = CommandId::try_from(&dispatch.command_id[..]);
                let command_id = id.map_err(|_| "command_id does not have 16 bytes")?;
                if dispatch.sealed.len() > MAX_SEALED_BYTES {
                    return Err("sealed is over 60 KiB");
                }
                let counts = dispatch.class() != v1::dispatch::Class::Read;
                Ask::Command { command_id, sealed: dispatch.sealed, counts }
            }
            Some(call::Body::FetchPreKey(fetch)) => Ask::PreKey { fresh: fetch.fresh },
            None => return Err("the call has no body"),
        };
        let remaining = Duration::from_millis(call.remaining_ms.into());
        let tries = Tries::new(call.crossed, call.least_epoch);
        Ok(Self { instance, remaining, ask, traceparent: call.traceparent, tries })
    }

    /// What a cancellation must name; nothing for what is not worth cancelling.
    fn target(&self) -> Option<(InstanceId, CommandId)> {
        match &self.ask {
            Ask::Command { command_id, .. } => Some((self.instance.clone(), *command_id)),
            Ask::PreKey { .. } => None,
        }
    }

    fn dispatch(self, node: &Arc<Node>, answer_to: AnswerTo) {
        PendingCall::new(node.clone(), self, answer_to).dispatch();
    }
}

fn cancel(node: &Node, (instance, command_id): &(InstanceId, CommandId)) {
    if let Some(session) = node.sessions.find(instance) {
        // A full inbox only means that the command is executed for nobody.
        let _ = session.inbox.try_send(Order::Cancel(*command_id).into());
    }
    if let Some(peers) = &node.peers {
        peers.cancel(*command_id);
    }
}

struct CancelOnDrop<'a> {
    node: &'a Node,
    target: Option<(InstanceId, CommandId)>,
}

impl CancelOnDrop<'_> {
    fn done(mut self) {
        self.target = None;
    }
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(target) = &self.target {
            cancel(self.node, target);
        }
    }
}

/// The caller at the other end of a stream.
#[derive(Debug)]
pub(crate) struct Caller {
    /// Unbounded in type only: every call but those beyond twice the credit gets one message here, and `open` counts them.
    out: mpsc::UnboundedSender<Result<FromRelay, Status>>,
    /// Calls whose answers have not been taken from the stream.
    open: AtomicU32,
    /// What to cancel, by correlation.
    in_flight: Mutex<HashMap<u64, Option<(InstanceId, CommandId)>>>,
}

impl Caller {
    fn send(&self, body: from_relay::Body) {
        // An error means that the answers' stream was dropped: the caller has gone.
        let _ = self.out.send(Ok(FromRelay { body: Some(body) }));
    }

    fn in_flight(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Option<(InstanceId, CommandId)>>> {
        self.in_flight.lock().expect("no code panics while holding this lock")
    }
}

/// Wait for the node to be further on its way out than this.
async fn leave(leaving: &mut watch::Receiver<Leaving>, than: Leaving) -> Leaving {
    let further = leaving.wait_for(|stage| *stage > than).await.ok().map(|stage| *stage);
    match further {
        Some(stage) => stage,
        // The node is gone, and its streams with it.
        None => std::future::pending().await,
    }
}

/// Reads what a caller sends, until it has nothing more to say.
struct Reader {
    node: Arc<Node>,
    caller: Arc<Caller>,
}

impl Reader {
    async fn run(self, mut calls: Streaming<ToRelay>) {
        let mut leaving = self.node.leaving.subscribe();
        let mut told = Leaving::Not;
        loop {
            tokio::select! {
                // All arms may be cancelled: a message is taken whole or not at all.
                message = calls.message() => match message {
                    Ok(Some(message)) => {
                        if let Err(status) = self.take(message) {
                            let _ = self.caller.out.send(Err(status));
                            break;
                        }
                    }
                    // The caller has said everything, and still wants its answers.
                    Ok(None) => return,
                    Err(_) => break,
                },
                stage = leave(&mut leaving, told) => {
                    told = stage;
                    if stage == Leaving::Gone {
                        // Behind the last answers, so that these arrive.
                        let _ = self.caller.out.send(Err(Status::unavailable("the node has left")));
                        return;
                    }
                    self.caller.send(from_relay::Body::Draining(v1::Draining {}));
                }
                () = self.caller.out.closed() => break,
            }
        }
        self.cancel_all();
    }

    fn take(&self, message: ToRelay) -> Result<(), Status> {
        match message.body {
            Some(to_relay::Body::Call(call)) => self.call(call),
            Some(to_relay::Body::Cancel(v1::Cancel { correlation })) => {
                let target = self.caller.in_flight().get(&correlation).cloned();
                if let Some(Some(target)) = target {
                    cancel(&self.node, &target);
                }
                Ok(())
            }
            // A kind this version does not know: a newer caller adds only what may be ignored.
            None => Ok(()),
        }
    }

    fn call(&self, call: v1::Call) -> Result<(), Status> {
        let correlation = call.correlation;
        let credit = self.node.config.bus_credit;
        let open = self.caller.open.fetch_add(1, Ordering::Relaxed) + 1;
        if open > credit.saturating_mul(2) {
            return Err(Status::resource_exhausted("many more calls than credit"));
        }
        let call = Call::check(call);
        let target = call.as_ref().ok().and_then(Call::target);
        if self.caller.in_flight().insert(correlation, target).is_some() {
            return Err(Status::invalid_argument("two calls in flight have the same correlation"));
        }
        let answer_to = AnswerTo::Stream { caller: self.caller.clone(), correlation };
        match call {
            Ok(_) if open > credit => answer_to.give(not_sent(v1::not_sent::Reason::Busy)),
            Ok(call) => call.dispatch(&self.node, answer_to),
            Err(_) => answer_to.give(not_sent(v1::not_sent::Reason::Invalid)),
        }
        Ok(())
    }

    fn cancel_all(&self) {
        let targets: Vec<_> = self.caller.in_flight().values().flatten().cloned().collect();
        for target in targets {
            cancel(&self.node, &target);
        }
    }
}

/// The answers of one stream. Taking one gives its call's credit back.
#[derive(Debug)]
pub struct Answers {
    receiver: mpsc::UnboundedReceiver<Result<FromRelay, Status>>,
    caller: Arc<Caller>,
}

impl Stream for Answers {
    type Item = Result<FromRelay, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(self.receiver.poll_recv(context));
        if let Some(Ok(FromRelay { body: Some(from_relay::Body::Answer(_)) })) = &item {
            self.caller.open.fetch_sub(1, Ordering::Relaxed);
        }
        Poll::Ready(item)
    }
}

impl Expecting for Answers {
    fn expects_more(&self) -> bool {
        self.caller.open.load(Ordering::Relaxed) > 0
    }
}

/// `grpc-timeout`: at most eight digits and a unit.
fn grpc_timeout(metadata: &MetadataMap) -> Option<Duration> {
    let value = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    let amount: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

const REMAINING_MS: std::ops::RangeInclusive<u32> = 1..=30_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_timeouts_are_read_as_the_specification_says() {
        let read = |text: &str| {
            let mut metadata = MetadataMap::new();
            metadata.insert("grpc-timeout", text.parse().unwrap());
            grpc_timeout(&metadata)
        };
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for bad in ["", "m", "10", "-1S", "999999999S", "1.5S", "5s"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
