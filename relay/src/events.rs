//! What homes tell without being asked, on its way to whoever reads it.
//!
//! A home's session hands what its machine lets through to the *intake*; the intake puts it into the *queue*, and tells the home that
//! it is taken. Until then the home keeps it: when the queue is full, slow or away the relay says nothing, and the home sends
//! again. So whatever a home has told arrives at least once, unless something later takes its place, or the queue is not read for so
//! long that the oldest fall off.
//!
//! Readers come in *groups*: each event goes to one reader of each group, and to another one when that one has vanished with it.
//! The relay sees ids, keys that tell nothing, and sizes. What is sealed is in no log.

mod memory;
mod reading;
mod redis;

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use macloud_proto::ids::InstanceId;
use macloud_proto::link::frame::Event;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

pub use self::memory::MemoryEvents;
pub use self::reading::Reading;
pub use self::redis::RedisEvents;
use crate::node::Node;
use crate::presence::BoxFuture;
use crate::session::Order;
use crate::store::Unavailable;

/// An event, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeEvent {
    /// The home.
    pub instance: InstanceId,
    /// What it told.
    pub event: Event,
}

/// Someone who reads events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// Which group: each event goes to one of its readers.
    pub group: String,
    /// Who it is in the group. Two with one name are one.
    pub name: String,
}

/// An event that was given to a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// To say that it is [done](EventQueue::done).
    pub mark: String,
    /// The event.
    pub event: HomeEvent,
    /// How long it has been in the queue.
    pub waited: Duration,
}

/// What became of events that were put into a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Put {
    /// Earlier ones that need not be read any more.
    pub coalesced: usize,
    /// The oldest, for which there was no room.
    pub fell_off: usize,
}

/// Events on their way from all homes to all readers. Implementations: [`MemoryEvents`] within one process, [`RedisEvents`] for
/// several.
///
/// All methods may be cancelled; what was asked for may or may not have taken effect then.
pub trait EventQueue: Send + Sync + fmt::Debug + 'static {
    /// Keep these, in this order. Of a home's events with one key only the latest need be kept.
    fn put(&self, events: Vec<HomeEvent>) -> BoxFuture<'_, Result<Put, Unavailable>>;

    /// At most `most` that no reader of the group was given before, now, in order. A group that is new begins with the oldest
    /// that there is.
    fn read<'a>(&'a self, reader: &'a Reader, most: usize) -> BoxFuture<'a, Result<Vec<Delivery>, Unavailable>>;

    /// At most `most` that a reader of the group was given for so long that it must have vanished with them. They are this
    /// reader's now.
    fn read_left_behind<'a>(
        &'a self,
        reader: &'a Reader,
        most: usize,
        given_for: Duration,
    ) -> BoxFuture<'a, Result<Vec<Delivery>, Unavailable>>;

    /// The group need not be given these again.
    fn done<'a>(&'a self, reader: &'a Reader, marks: Vec<String>) -> BoxFuture<'a, Result<(), Unavailable>>;
}

/// Where sessions leave events for the queue.
#[derive(Debug)]
pub(crate) struct Intake {
    sender: mpsc::Sender<Arrived>,
    /// Taken by [`take`].
    arrived: Mutex<Option<mpsc::Receiver<Arrived>>>,
    /// Told when something has come into the queue here, so that nobody here needs to look for it.
    stirred: Notify,
}

#[derive(Debug)]
struct Arrived {
    event: HomeEvent,
    at: Instant,
}

impl Default for Intake {
    fn default() -> Self {
        let (sender, arrived) = mpsc::channel(MAX_ARRIVED);
        Self { sender, arrived: Mutex::new(Some(arrived)), stirred: Notify::new() }
    }
}

/// A home has told something. It is told in turn once that is in the queue; what finds no room here, it will send again.
pub(crate) fn arrived(node: &Node, instance: &InstanceId, event: Event) {
    let event = HomeEvent { instance: instance.clone(), event };
    if node.intake.sender.try_send(Arrived { event, at: Instant::now() }).is_err() {
        node.metrics.events("refused_busy", 1);
    }
}

/// Put what arrives into the queue, for as long as the node runs. To be run once.
pub(crate) async fn take(node: &Node) {
    let arrived = node.intake.arrived.lock().unwrap_or_else(PoisonError::into_inner).take();
    let (Some(queue), Some(mut arrived)) = (node.config.events.clone(), arrived) else {
        return std::future::pending().await;
    };
    let mut batch = Vec::with_capacity(BATCH);
    while arrived.recv_many(&mut batch, BATCH).await > 0 {
        take_batch(node, &queue, &mut batch).await;
    }
}

async fn take_batch(node: &Node, queue: &Arc<dyn EventQueue>, batch: &mut Vec<Arrived>) {
    let arrived = batch.len();
    for Arrived { at, .. } in &*batch {
        node.metrics.event_wait(at.elapsed());
    }
    let told: Vec<_> =
        batch.iter().map(|Arrived { event, .. }| (event.instance.clone(), event.event.event_id)).collect();
    let latest = latest(batch.drain(..).map(|Arrived { event, .. }| event).collect());
    let coalesced = arrived - latest.len();
    match queue.put(latest).await {
        Ok(put) => {
            node.intake.stirred.notify_waiters();
            node.metrics.events("taken", arrived);
            node.metrics.events("coalesced", coalesced + put.coalesced);
            node.metrics.events("fell_off", put.fell_off);
            for (instance, event_id) in told {
                if let Some(session) = node.sessions.find(&instance) {
                    // A session that is that far behind sends the event again.
                    let _ = session.inbox.try_send(Order::EventTaken(event_id).into());
                }
            }
        }
        Err(Unavailable) => {
            tracing::debug!(events = arrived, "the queue of events is away: the homes keep theirs");
            node.metrics.events("refused_unavailable", arrived);
        }
    }
}

/// Without those that something later in the same batch takes the place of.
fn latest(mut batch: Vec<HomeEvent>) -> Vec<HomeEvent> {
    let mut seen = HashSet::new();
    batch.reverse();
    batch.retain(|told| told.event.key.is_empty() || seen.insert((told.instance.clone(), told.event.key.clone())));
    batch.reverse();
    batch
}

/// A tenth of a second's worth of a fleet that is louder than any should be.
const MAX_ARRIVED: usize = 4096;
/// Events that share a round trip to the queue.
const BATCH: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_batch_only_the_latest_of_each_homes_key_is_kept() {
        let told = |home: u8, key: &'static [u8], id: u8| HomeEvent {
            instance: InstanceId::from_bytes(&[home; 16]),
            event: Event { event_id: [id; 16], key: key.into(), sealed: bytes::Bytes::new() },
        };
        let batch = vec![told(1, b"k", 1), told(2, b"k", 2), told(1, b"", 3), told(1, b"k", 4), told(1, b"", 5)];
        let ids: Vec<_> = latest(batch).iter().map(|told| told.event.event_id[0]).collect();
        assert_eq!(ids, [2, 3, 4, 5]);
    }
}
