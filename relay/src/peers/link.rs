//! One stream to another node, with the calls that have crossed over on it. Each of them is answered: by the other node; at its
//! deadline, when that is silent; at once, when the stream ends.

use std::collections::{BTreeSet, HashMap};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use macloud_proto::bus::v1::command_bus_client::CommandBusClient;
use macloud_proto::bus::v1::{self, Cancel, FromRelay, ToRelay, call, from_relay, to_relay};
use macloud_proto::ids::CommandId;
use macloud_proto::nodes::v1::nodes_client::NodesClient;
use macloud_proto::time::Micros;
use macloud_service_kit::gather::{Expecting, Gathered};
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep_until, timeout};
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use crate::dispatch::{Ask, NoSession, PendingCall};
use crate::nodes::notice_to;
use crate::presence::Notice;

/// An open stream.
#[derive(Debug)]
pub(crate) struct Link {
    /// Unbounded in type only: calls are bounded by the credit, and there is one message for each and one to cancel it.
    outgoing: mpsc::UnboundedSender<ToRelay>,
    /// For what is not a call.
    channel: Channel,
    /// Calls that the other node takes at a time.
    credit: usize,
    crossed: Mutex<Crossed>,
    /// There is an earlier deadline than before.
    earlier: Notify,
}

#[derive(Debug, Default)]
struct Crossed {
    next: u64,
    calls: HashMap<u64, Box<PendingCall>>,
    deadlines: BTreeSet<(Micros, u64)>,
    over: bool,
}

impl Link {
    /// Open one and read it until it ends.
    pub(super) async fn open(channel: Channel, node_id: &str) -> Result<Arc<Self>, Status> {
        let (outgoing, messages) = mpsc::unbounded_channel();
        let max = macloud_proto::MAX_SEALED_BYTES * 2;
        let mut client = CommandBusClient::new(channel.clone()).max_decoding_message_size(max);
        // The stream must know its link before there is one.
        let link = Arc::new(Mutex::new(Weak::new()));
        let mut incoming = client.link(Gathered::new(Outgoing { messages, link: link.clone() })).await?.into_inner();
        let Some(FromRelay { body: Some(from_relay::Body::Opened(opened)) }) = incoming.message().await? else {
            return Err(Status::internal("the stream did not begin as agreed"));
        };
        if opened.node_id != node_id {
            return Err(Status::failed_precondition("another node has this address now"));
        }
        let opened = Arc::new(Self {
            outgoing,
            channel,
            credit: opened.credit as usize,
            crossed: Mutex::default(),
            earlier: Notify::new(),
        });
        *link.lock().expect("no code panics while holding this lock") = Arc::downgrade(&opened);
        // Ends with the stream, which ends with either node.
        tokio::spawn(opened.clone().read(incoming));
        Ok(opened)
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.crossed().over
    }

    /// Take this call across to a session that is at least this new.
    pub(crate) fn send(self: &Arc<Self>, mut call: Box<PendingCall>, epoch: u64) {
        call.tries.go_to(epoch);
        let remaining = call.deadline.since(call.node.now());
        if remaining.is_zero() {
            return call.answer_without_session(NoSession::TooLate);
        }
        let body = match call.ask.clone() {
            Ask::PreKey { fresh } => call::Body::FetchPreKey(v1::FetchPreKey { fresh }),
            Ask::Command { command_id, sealed, counts } => {
                let class = if counts { v1::dispatch::Class::Command } else { v1::dispatch::Class::Read };
                let command_id = bytes::Bytes::copy_from_slice(command_id.as_bytes());
                call::Body::Dispatch(v1::Dispatch { command_id, sealed, class: class.into() })
            }
        };
        let mut message = v1::Call {
            correlation: 0,
            instance_id: call.instance.to_string(),
            remaining_ms: (remaining.as_millis() as u32).clamp(1, 30_000),
            traceparent: call.traceparent.clone(),
            least_epoch: epoch,
            crossed: true,
            body: Some(body),
        };
        let mut crossed = self.crossed();
        if crossed.over || crossed.calls.len() >= self.credit {
            let over = crossed.over;
            drop(crossed);
            return if over { call.settle_gone() } else { call.refuse_busy() };
        }
        let correlation = crossed.next;
        crossed.next += 1;
        message.correlation = correlation;
        let is_first = crossed.deadlines.first().is_none_or(|(first, _)| call.deadline < *first);
        crossed.deadlines.insert((call.deadline, correlation));
        crossed.calls.insert(correlation, call);
        // While the lock is held, so that the end of the stream comes before or after, not in between.
        let _ = self.outgoing.send(ToRelay { body: Some(to_relay::Body::Call(message)) });
        drop(crossed);
        if is_first {
            self.earlier.notify_one();
        }
    }

    /// Tell the other node that a newer session of a home has begun. Whether it has said that it knows.
    pub(crate) async fn supersede(&self, notice: &Notice) -> bool {
        let mut client = NodesClient::new(self.channel.clone());
        let told = timeout(TELL_LIMIT, client.supersede(notice_to(notice))).await;
        told.is_ok_and(|answer| answer.is_ok())
    }

    /// The caller of this command does not wait any more.
    pub(crate) fn cancel(&self, id: CommandId) {
        let is_it = |call: &PendingCall| matches!(call.ask, Ask::Command { command_id, .. } if command_id == id);
        let found = self.crossed().calls.iter().find(|(_, call)| is_it(call)).map(|(correlation, _)| *correlation);
        if let Some(correlation) = found {
            // An error means that the stream is over, and all calls with it.
            let _ = self.outgoing.send(ToRelay { body: Some(to_relay::Body::Cancel(Cancel { correlation })) });
        }
    }

    async fn read(self: Arc<Self>, mut incoming: Streaming<FromRelay>) {
        loop {
            let first = self.crossed().first();
            tokio::select! {
                // Answers first: one that is here must not be called late. All arms may be cancelled.
                biased;
                message = incoming.message() => match message {
                    Ok(Some(FromRelay { body: Some(from_relay::Body::Answer(answer)) })) => self.answered(answer),
                    // A node that is leaving still has homes; credit comes with the answers.
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => break,
                },
                () = at_deadline(first.as_ref()) => self.expire(),
                () = self.earlier.notified() => {}
            }
        }
        self.end();
    }

    fn answered(&self, answer: v1::Answer) {
        // None: it was answered at its deadline.
        let Some(call) = self.crossed().take(answer.correlation) else { return };
        call.node.metrics.crossing("answered");
        call.settle_elsewhere(answer);
    }

    fn expire(&self) {
        let mut late = Vec::new();
        {
            let mut crossed = self.crossed();
            while let Some((at, correlation)) = crossed.deadlines.first().copied() {
                if crossed.calls.get(&correlation).is_none_or(|call| call.node.now() < at) {
                    break;
                }
                late.extend(crossed.take(correlation));
            }
        }
        for call in late {
            call.node.metrics.crossing("late");
            call.settle_late();
        }
    }

    /// Every call learns at once that the stream is over.
    fn end(&self) {
        let calls = {
            let mut crossed = self.crossed();
            crossed.over = true;
            crossed.deadlines.clear();
            std::mem::take(&mut crossed.calls)
        };
        for call in calls.into_values() {
            call.node.metrics.crossing("lost");
            call.settle_gone();
        }
    }

    fn crossed(&self) -> MutexGuard<'_, Crossed> {
        self.crossed.lock().expect("no code panics while holding this lock")
    }
}

impl Crossed {
    fn take(&mut self, correlation: u64) -> Option<Box<PendingCall>> {
        let call = self.calls.remove(&correlation)?;
        self.deadlines.remove(&(call.deadline, correlation));
        Some(call)
    }

    /// The first deadline, as timers know it.
    fn first(&self) -> Option<tokio::time::Instant> {
        let (at, correlation) = self.deadlines.first()?;
        self.calls.get(correlation).map(|call| call.node.instant(*at))
    }
}

/// It is a table that is looked up and a lock that is taken. Whoever cannot say so in this time finds the word elsewhere.
const TELL_LIMIT: Duration = Duration::from_secs(1);

async fn at_deadline(first: Option<&tokio::time::Instant>) {
    match first {
        Some(first) => sleep_until(*first).await,
        None => std::future::pending().await,
    }
}

/// What goes to the other node. A call counts as sent when it is taken from here.
struct Outgoing {
    messages: mpsc::UnboundedReceiver<ToRelay>,
    link: Arc<Mutex<Weak<Link>>>,
}

impl Stream for Outgoing {
    type Item = ToRelay;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<ToRelay>> {
        let message = std::task::ready!(self.messages.poll_recv(context));
        if let Some(ToRelay { body: Some(to_relay::Body::Call(call)) }) = &message {
            let link = self.link.lock().expect("no code panics while holding this lock").upgrade();
            if let Some(link) = link
                && let Some(crossed) = link.crossed().calls.get_mut(&call.correlation)
            {
                crossed.mark_given();
            }
        }
        Poll::Ready(message)
    }
}

impl Expecting for Outgoing {
    fn expects_more(&self) -> bool {
        let link = self.link.lock().expect("no code panics while holding this lock").upgrade();
        link.is_some_and(|link| link.crossed().calls.len() > 1)
    }
}
