//! The other nodes of this cloud, as this one reaches them: a stream of the command bus to each, opened when it is needed.

mod link;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use macloud_proto::ids::{CommandId, InstanceId};
use tokio::time::{Instant, timeout};
use tonic::transport::Channel;

use crate::directory::Directory;
use crate::lease::Lease;
use crate::presence::{Location, NodeAddress, Presence};
pub(crate) use link::Link;

/// How to reach other nodes.
pub trait Connect: Send + Sync + fmt::Debug + 'static {
    /// A channel to the bus at this address, which connects at its first use. None when that is no address.
    fn channel(&self, bus: &str) -> Option<Channel>;
}

/// A node's place among others.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Where the others reach this node's bus.
    pub bus: String,
    /// How to reach theirs.
    pub connect: Arc<dyn Connect>,
}

/// The others, and this node's standing among them.
#[derive(Debug)]
pub(crate) struct Peers {
    pub(crate) lease: Lease,
    pub(crate) routes: Routes,
    pub(crate) directory: Arc<Directory>,
    own: NodeAddress,
    connect: Arc<dyn Connect>,
    ways: Mutex<HashMap<NodeAddress, Arc<WayTo>>>,
}

/// The way to one of them.
#[derive(Debug, Default)]
struct WayTo {
    link: Mutex<Option<Arc<Link>>>,
    /// When opening one failed last. Held while opening: whoever wants one meanwhile waits for that one.
    failed: tokio::sync::Mutex<Option<Instant>>,
}

/// The node is not there, or does not speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreachable;

impl Peers {
    pub(crate) fn new(node_id: &str, cluster: Cluster, presence: Arc<dyn Presence>) -> Self {
        let own = NodeAddress { node_id: node_id.into(), bus: cluster.bus };
        Self {
            lease: Lease::default(),
            routes: Routes::default(),
            directory: Arc::new(Directory::new(own.clone(), presence, cluster.connect.clone())),
            own,
            connect: cluster.connect,
            ways: Mutex::default(),
        }
    }

    pub(crate) const fn own(&self) -> &NodeAddress {
        &self.own
    }

    /// The stream to this node if one is open.
    pub(crate) fn open_link(&self, node: &NodeAddress) -> Option<Arc<Link>> {
        self.ways().get(node)?.open()
    }

    /// The stream to this node.
    pub(crate) async fn link(&self, node: &NodeAddress) -> Result<Arc<Link>, Unreachable> {
        let way = self.way(node);
        if let Some(link) = way.open() {
            return Ok(link);
        }
        let mut failed = way.failed.lock().await;
        if let Some(link) = way.open() {
            return Ok(link);
        }
        if failed.is_some_and(|at| at.elapsed() < PAUSE) {
            return Err(Unreachable);
        }
        let channel = self.connect.channel(&node.bus).ok_or(Unreachable)?;
        match timeout(OPEN_LIMIT, Link::open(channel, &node.node_id)).await {
            Ok(Ok(link)) => {
                *failed = None;
                *way.slot() = Some(link.clone());
                Ok(link)
            }
            Ok(Err(_)) | Err(_) => {
                *failed = Some(Instant::now());
                Err(Unreachable)
            }
        }
    }

    /// Nobody waits for this command any more, if it has crossed.
    pub(crate) fn cancel(&self, id: CommandId) {
        let links: Vec<_> = self.ways().values().filter_map(|way| way.open()).collect();
        for link in links {
            link.cancel(id);
        }
    }

    fn way(&self, node: &NodeAddress) -> Arc<WayTo> {
        let mut ways = self.ways();
        if ways.len() >= MOST_WAYS {
            // Of nodes that have left, mostly.
            ways.retain(|_, way| way.open().is_some());
        }
        ways.entry(node.clone()).or_default().clone()
    }

    fn ways(&self) -> MutexGuard<'_, HashMap<NodeAddress, Arc<WayTo>>> {
        self.ways.lock().expect("no code panics while holding this lock")
    }
}

impl WayTo {
    fn open(&self) -> Option<Arc<Link>> {
        let mut slot = self.slot();
        if slot.as_ref().is_some_and(|link| !link.is_open()) {
            *slot = None;
        }
        slot.clone()
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<Link>>> {
        self.link.lock().expect("no code panics while holding this lock")
    }
}

/// Where homes of other nodes were last time, for callers that cannot go there by themselves. Only a hint: a node that does
/// not have the home says so.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    known: Mutex<HashMap<InstanceId, (Location, Instant)>>,
}

impl Routes {
    pub(crate) fn find(&self, instance: &InstanceId) -> Option<Location> {
        let known = self.known.lock().expect("no code panics while holding this lock");
        let (location, until) = known.get(instance)?;
        (Instant::now() < *until).then(|| location.clone())
    }

    pub(crate) fn learn(&self, instance: &InstanceId, location: &Location) {
        let mut known = self.known.lock().expect("no code panics while holding this lock");
        if known.len() >= MOST_ROUTES {
            // Cheaply learnt again.
            known.clear();
        }
        known.insert(instance.clone(), (location.clone(), Instant::now() + ROUTE_LIFE));
    }
}

const OPEN_LIMIT: Duration = Duration::from_millis(800);
/// A node that could not be reached is not tried again for this long.
const PAUSE: Duration = Duration::from_millis(250);
const MOST_WAYS: usize = 256;
const MOST_ROUTES: usize = 100_000;
const ROUTE_LIFE: Duration = Duration::from_secs(30);
