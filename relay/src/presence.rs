//! Which session of a home is the newest, over all nodes. The newest authenticated session wins; every change compares
//! before it sets, so that the late goodbye of an old session never erases a new one.
//!
//! A node holds one lease that it renews all the time, however many homes it has. What is said of homes counts only while their
//! node's lease does: a node that has died is nowhere within seconds, and nobody has to tidy up after it.

mod memory;
#[cfg(feature = "redis")]
mod redis;

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use macloud_proto::ids::InstanceId;

pub use self::memory::MemoryPresence;
#[cfg(feature = "redis")]
pub use self::redis::{InvalidUrl, RedisPresence};

/// A future behind the trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A node of this cloud.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NodeAddress {
    /// Its name: unique, at most 64 printable ASCII characters without spaces.
    pub node_id: String,
    /// Where the other nodes reach its command bus; empty when there are no others.
    pub bus: String,
}

/// Where a home is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The node that holds its session.
    pub node: NodeAddress,
    /// The session.
    pub epoch: u64,
}

/// A session has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Its epoch.
    pub epoch: u64,
    /// The node that held the home until now, if its lease counts.
    pub before: Option<NodeAddress>,
}

/// The shared store cannot be asked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the presence store is unavailable")]
pub struct Unavailable;

/// The directory of sessions. Implementations: [`MemoryPresence`] within one process; `RedisPresence`
/// (feature `redis`) for several.
///
/// All methods may be cancelled; what was asked for may or may not have taken effect then.
pub trait Presence: Send + Sync + fmt::Debug + 'static {
    /// A session of `instance` begins at `node_id`: gives its epoch, greater than `above` and than that of every session that
    /// is known here.
    fn claim<'a>(
        &'a self,
        instance: &'a InstanceId,
        node_id: &'a str,
        above: u64,
    ) -> BoxFuture<'a, Result<Claimed, Unavailable>>;

    /// The session `epoch` is over. Changes nothing when a newer one has begun; says whether it was the newest.
    fn release<'a>(&'a self, instance: &'a InstanceId, epoch: u64) -> BoxFuture<'a, Result<bool, Unavailable>>;

    /// The session `epoch` is at `node_id` and has been: the store has lost it, or was away when it began. Changes nothing when
    /// another is newer; says whether it is the newest now.
    fn restore<'a>(
        &'a self,
        instance: &'a InstanceId,
        node_id: &'a str,
        epoch: u64,
    ) -> BoxFuture<'a, Result<bool, Unavailable>>;

    /// Where the newest session is.
    fn locate<'a>(&'a self, instance: &'a InstanceId) -> BoxFuture<'a, Result<Option<Location>, Unavailable>>;

    /// The node is there for another [`LEASE`]. Whether its lease counted until now; if not, the store may have lost its homes
    /// too.
    fn renew_lease<'a>(&'a self, node: &'a NodeAddress) -> BoxFuture<'a, Result<bool, Unavailable>>;

    /// The node leaves: whatever is said of it does not count any more.
    fn end_lease<'a>(&'a self, node_id: &'a str) -> BoxFuture<'a, Result<(), Unavailable>>;
}

/// How long a lease counts after it was renewed: so long is a node that has died taken for one that is busy. It survives two
/// lost renewals.
pub const LEASE: std::time::Duration = std::time::Duration::from_secs(10);
