//! Reading: the queue as those see it who read it over the command bus's listener.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::poll_fn;
use macloud_proto::bus::v1::events_server::Events;
use macloud_proto::bus::v1::{self, FromReader, from_reader};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};
use tonic::{Request, Response, Status, Streaming};

use super::{Delivery, EventQueue, Reader};
use crate::node::{Leaving, Node};

/// The `macloud.bus.v1.Events` service of one node.
#[derive(Debug, Clone)]
pub struct Reading {
    node: Arc<Node>,
}

impl Reading {
    pub(crate) const fn new(node: Arc<Node>) -> Self {
        Self { node }
    }
}

#[tonic::async_trait]
impl Events for Reading {
    type ReadStream = Pin<Box<dyn Stream<Item = Result<v1::HomeEvent, Status>> + Send>>;

    async fn read(&self, request: Request<Streaming<FromReader>>) -> Result<Response<Self::ReadStream>, Status> {
        let Some(queue) = self.node.config.events.clone() else {
            return Err(Status::unimplemented("this node takes no events"));
        };
        let said = request.into_inner();
        let (out, mut given) = mpsc::channel(MAX_OPEN);
        let node = self.node.clone();
        // Ends with its reader's stream, or with the node; nobody needs to wait for it.
        tokio::spawn(async move {
            if let Err(status) = read(&node, &*queue, said, &out).await {
                let _ = out.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(poll_fn(move |context| given.poll_recv(context)))))
    }
}

type Out = mpsc::Sender<Result<v1::HomeEvent, Status>>;

/// Give a reader what there is, until it has enough or the node is gone.
async fn read(node: &Node, queue: &dyn EventQueue, mut said: Streaming<FromReader>, out: &Out) -> Result<(), Status> {
    let Ok(Ok(Some(FromReader { body: Some(from_reader::Body::Open(open)) }))) =
        timeout(OPEN_LIMIT, said.message()).await
    else {
        return Err(Status::invalid_argument("Open is the first message"));
    };
    if !(1..=64).contains(&open.group.len()) || !open.group.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Status::invalid_argument("group is not 1 to 64 printable characters"));
    }
    // Of one name for all that read here, so that names do not pile up in the queue.
    let reader = Reader { group: open.group, name: node.config.node_id.clone() };
    let mut leaving = node.leaving.subscribe();
    let mut out_there = 0;
    let mut left_behind_at = Instant::now();
    let mut wait = Duration::ZERO;
    loop {
        let room = MAX_OPEN.saturating_sub(out_there);
        tokio::select! {
            // All arms may be cancelled: a message is taken whole or not at all.
            message = said.message() => match message {
                Ok(Some(FromReader { body: Some(from_reader::Body::Done(done)) })) => {
                    out_there = out_there.saturating_sub(done.marks.len());
                    // What stays undone is given again, and known by its id.
                    let _ = queue.done(&reader, done.marks).await;
                }
                // A kind this version does not know.
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return Ok(()),
            },
            () = gone(&mut leaving) => {
                return Err(Status::unavailable("the node has left"));
            }
            () = out.closed() => return Ok(()),
            () = something(node, wait), if room > 0 => {
                let mut deliveries = Vec::new();
                if left_behind_at <= Instant::now() {
                    left_behind_at = Instant::now() + LOOK_LEFT_BEHIND_EVERY;
                    deliveries = queue.read_left_behind(&reader, room, GIVEN_FOR).await.unwrap_or_default();
                }
                let room = room - deliveries.len().min(room);
                if room > 0 {
                    let new = queue.read(&reader, room).await.unwrap_or_default();
                    for delivery in &new {
                        node.metrics.event_lag(delivery.waited);
                    }
                    deliveries.extend(new);
                }
                wait = if deliveries.is_empty() { LOOK_EVERY } else { Duration::ZERO };
                out_there += deliveries.len();
                for delivery in deliveries {
                    // It has room for as many as may be open, so that this waits only for a reader that does not count.
                    if out.send(Ok(to_reader(delivery))).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }
}

async fn gone(leaving: &mut watch::Receiver<Leaving>) {
    // An error means the same: nothing is left of the node.
    let _ = leaving.wait_for(|stage| *stage == Leaving::Gone).await;
}

/// Until something has come in here, or it is time to look for what came in elsewhere.
async fn something(node: &Node, wait: Duration) {
    if wait > Duration::ZERO {
        tokio::select! {
            () = node.intake.stirred.notified() => {}
            () = sleep(wait) => {}
        }
    }
}

fn to_reader(delivery: Delivery) -> v1::HomeEvent {
    let Delivery { mark, event, waited } = delivery;
    v1::HomeEvent {
        mark,
        instance_id: event.instance.to_string(),
        event_id: bytes::Bytes::copy_from_slice(&event.event.event_id),
        key: event.event.key,
        sealed: event.event.sealed,
        waited_ms: u32::try_from(waited.as_millis()).unwrap_or(u32::MAX),
    }
}

const OPEN_LIMIT: Duration = Duration::from_secs(5);
/// Events that a reader may have at a time.
const MAX_OPEN: usize = 256;
/// What came in on another node is found so late at most; on an idle node it costs four small questions a second.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const LOOK_LEFT_BEHIND_EVERY: Duration = Duration::from_secs(10);
/// Longer than any reader needs for an event, its retries included.
const GIVEN_FOR: Duration = Duration::from_secs(60);
