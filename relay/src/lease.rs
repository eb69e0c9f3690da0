//! A node's place among the others: a lease in the directory, renewed all the time. While it counts, the sessions of this node
//! are the newest of their homes, since whoever takes one over tells this node so.
//!
//! A node that could not renew it in time, because it has slept or was cut off, does not know that any more: until it has said
//! again which homes are here, each call asks the directory first. While the directory is away, connected homes keep working.
//!
//! Whoever takes a home over says so to the node itself, or leaves word for it; and in long rounds a node says again of all its homes
//! that they are here. So whatever was lost on the way, it is found.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use macloud_proto::random::between;
use macloud_proto::time::Micros;
use macloud_service_kit::random;
use tokio::time::timeout;

use crate::elsewhere;
use crate::node::Node;
use crate::peers::Peers;
use crate::presence::{Held, LEASE, Restored, Unavailable};
use crate::session::Order;
use crate::sessions::SessionHandle;

/// How the lease stands, by [`Node::now`].
#[derive(Debug, Default)]
pub(crate) struct Lease {
    /// In microseconds; from before it was asked for, so that it ends here first.
    held_until: AtomicU64,
    /// The directory has just been found to be away. A node that has slept must not go on believing that.
    away_until: AtomicU64,
    /// The directory may lack a session of this node.
    incomplete: AtomicBool,
}

impl Lease {
    /// Whether this node's sessions may be used without asking: its lease counts, or nobody could be asked.
    pub(crate) fn vouches(&self, now: Micros) -> bool {
        now.0 < self.held_until.load(Ordering::Relaxed) || self.is_directory_away(now)
    }

    /// Whether asking the directory is of no use now.
    pub(crate) fn is_directory_away(&self, now: Micros) -> bool {
        now.0 < self.away_until.load(Ordering::Relaxed)
    }

    /// A session has begun, or gone, that the directory could not be told of.
    pub(crate) fn missed_one(&self) {
        self.incomplete.store(true, Ordering::Relaxed);
    }

    fn held(&self, since: Micros) {
        self.held_until.store(since.plus(LEASE).0, Ordering::Relaxed);
        self.away_until.store(0, Ordering::Relaxed);
    }

    fn directory_is_away(&self, now: Micros) {
        self.missed_one();
        self.away_until.store(now.plus(BELIEVED_AWAY).0, Ordering::Relaxed);
    }
}

/// Keep the lease, for ever. After the directory has been away, or has lost what it knew, say again which homes are here.
pub(crate) async fn keep(node: &Arc<Node>) {
    let Some(peers) = &node.peers else { return std::future::pending().await };
    let mut was_away = false;
    for round in 0u64.. {
        let asked = node.now();
        let renewed = renew(node, peers, round).await;
        match renewed {
            Ok(()) => peers.lease.held(asked),
            Err(Unavailable) => peers.lease.directory_is_away(node.now()),
        }
        node.metrics.presence(renewed.is_ok());
        if was_away != renewed.is_err() {
            was_away = renewed.is_err();
            if was_away {
                tracing::warn!("the presence store is away: each node finds its own homes only");
            } else {
                tracing::info!("the presence store is there");
            }
        }
        if !was_away {
            peers.directory.look_around().await;
        }
        tokio::time::sleep(if was_away { RETRY_EVERY } else { RENEW_EVERY }).await;
    }
}

/// Renew the lease, and learn what others could not tell. Without all of this it does not count.
async fn renew(node: &Arc<Node>, peers: &Peers, round: u64) -> Result<(), Unavailable> {
    let asked = node.now();
    let counted = limited(node.presence.renew_lease(peers.own())).await?;
    node.metrics.presence_wait(node.now().since(asked));
    for notice in limited(node.presence.take_notices(&peers.own().node_id)).await? {
        elsewhere::superseded(node, &notice);
    }
    // Before looking: whatever begins from here on and cannot be told is for the next time.
    let all = peers.lease.incomplete.swap(false, Ordering::Relaxed) || !counted;
    say_who_is_here(node, peers, |number| all || number % ROUND == round % ROUND).await
}

/// Whether the directory answers, and this node is in it.
pub(crate) fn is_held(node: &Node) -> bool {
    node.peers.as_ref().is_none_or(|peers| node.now().0 < peers.lease.held_until.load(Ordering::Relaxed))
}

/// This node leaves: nobody is sent here any more.
pub(crate) async fn end(node: &Node) {
    if let Some(peers) = &node.peers {
        let _ = limited(node.presence.end_lease(peers.own())).await;
    }
}

async fn say_who_is_here(node: &Arc<Node>, peers: &Peers, which: impl Fn(u64) -> bool) -> Result<(), Unavailable> {
    let told = stream::iter(node.sessions.some_with_homes(which))
        .map(|(instance, session)| async move {
            let held = Held {
                instance: &instance,
                node_id: &peers.own().node_id,
                install_id: session.install_id,
                epoch: session.epoch,
            };
            match limited(node.presence.restore(held)).await? {
                Restored::Outdated { other_installation: true, contested } => {
                    tracing::info!(instance.id = %instance, "another installation of this home is elsewhere");
                    elsewhere::end_replaced(node, &instance, session, elsewhere::replaced_by(true, contested));
                }
                Restored::Outdated { .. } => move_on(node, &instance, session).await,
                Restored::Newest { before } => {
                    elsewhere::supersede(node, &instance, session.epoch, before, None);
                    if node.sessions.find(&instance).is_none() {
                        // It has left meanwhile, and its goodbye may have come first.
                        limited(node.presence.release(&instance, session.epoch)).await?;
                    }
                }
            }
            Ok(())
        })
        .buffer_unordered(AT_ONCE);
    let mut told = std::pin::pin!(told);
    while let Some(result) = told.next().await {
        if let Err(Unavailable) = result {
            peers.lease.missed_one();
            return Err(Unavailable);
        }
    }
    Ok(())
}

/// The directory knows of a newer session: nothing is sent to this one any more. If it is the one that lives after all, since
/// nodes that cannot ask anybody number their sessions by clocks of their own, the home dials in anew and all is well.
async fn move_on(node: &Node, instance: &macloud_proto::ids::InstanceId, session: SessionHandle) {
    tracing::info!(instance.id = %instance, session.epoch = session.epoch, "a newer session of this home is elsewhere");
    node.sessions.leave(instance, session.epoch);
    let reconnect_after = between(Duration::ZERO, MOVE_WITHIN, &mut random::fill);
    let _ = session.inbox.send(Order::Drain { reconnect_after, leaving_in: MOVE_WITHIN * 5 }.into()).await;
}

/// Ask the directory, but not for long: an answer takes a fraction of a millisecond, and one that needs longer is away.
pub(crate) async fn limited<T>(asked: impl Future<Output = Result<T, Unavailable>>) -> Result<T, Unavailable> {
    timeout(LIMIT, asked).await.unwrap_or(Err(Unavailable))
}

/// Three times within a lease.
const RENEW_EVERY: Duration = Duration::from_millis(LEASE.as_millis() as u64 / 3);
/// While the directory is away: so long are new homes known to their own node only after it is back.
const RETRY_EVERY: Duration = Duration::from_millis(500);
const BELIEVED_AWAY: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_millis(800);
/// Of this many renewals each says another part of the homes again, so that all were said in ten minutes.
const ROUND: u64 = 180;
/// Homes named to the directory at a time.
const AT_ONCE: usize = 64;
const MOVE_WITHIN: Duration = Duration::from_secs(2);
