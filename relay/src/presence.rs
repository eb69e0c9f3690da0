//! Which session of a home is the newest, over all nodes. The newest authenticated session wins; every change compares
//! before it sets, so that the late goodbye of an old session never erases a new one.
//!
//! A node holds one lease that it renews all the time, however many homes it has. What is said of homes counts only while their
//! node's lease does: a node that has died is nowhere within seconds, and nobody has to tidy up after it.

mod lately;
mod memory;
mod redis;
mod takeovers;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use macloud_proto::ids::InstanceId;

pub use self::memory::MemoryPresence;
pub use self::redis::RedisPresence;
pub use crate::store::{InvalidUrl, Servers, StoreSettings, Unavailable};

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

/// What is known of where a home is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whereabouts {
    /// Its newest session is there.
    At(Location),
    /// It is nowhere, for so long. `None` where that is not known: it was never there, or longer than [`REMEMBERED`] ago, or its node
    /// died with it.
    Away(Option<Duration>),
}

impl Whereabouts {
    /// The place, if it is somewhere.
    #[must_use]
    pub fn location(self) -> Option<Location> {
        match self {
            Self::At(location) => Some(location),
            Self::Away(_) => None,
        }
    }
}

/// A session that wants to begin.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The home.
    pub instance: &'a InstanceId,
    /// Where it has dialled in.
    pub node_id: &'a str,
    /// Which of the programs that may hold the home's key it is.
    pub install_id: [u8; 16],
    /// The session must be newer than this one, which another clock may have numbered.
    pub above: u64,
}

/// A session that has been held for some time.
#[derive(Debug, Clone, Copy)]
pub struct Held<'a> {
    /// The home.
    pub instance: &'a InstanceId,
    /// Where it is.
    pub node_id: &'a str,
    /// Which installation's it is.
    pub install_id: [u8; 16],
    /// As it was claimed, or made up by its node while the store was away.
    pub epoch: u64,
}

/// A session has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Its epoch.
    pub epoch: u64,
    /// The other node that held the home until now, if its lease counts or did a moment ago: it must be told.
    pub before: Option<NodeAddress>,
    /// The session before was another installation's.
    pub other_installation: bool,
    /// Two installations keep displacing each other, or have done so until a moment ago, whether or not this session displaced one.
    pub contested: bool,
}

/// What became of a session that was held for some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restored {
    /// It is the newest.
    Newest {
        /// The other node that held the home until now, as far as the store knew, if its lease counts or did a moment ago: it must be
        /// told.
        before: Option<NodeAddress>,
    },
    /// Another is newer.
    Outdated {
        /// And is there now, and another installation's.
        other_installation: bool,
        /// As in [`Claimed`].
        contested: bool,
    },
}

/// A newer session has begun elsewhere: the word to the node that held the home until then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The home.
    pub instance: InstanceId,
    /// The newer session.
    pub epoch: u64,
    /// It is another installation's.
    pub other_installation: bool,
    /// As in [`Claimed`].
    pub contested: bool,
}

/// The directory of sessions. Implementations: [`MemoryPresence`] within one process, [`RedisPresence`] for several.
///
/// All methods may be cancelled; what was asked for may or may not have taken effect then.
pub trait Presence: Send + Sync + fmt::Debug + 'static {
    /// A session begins: gives its epoch, greater than `above` and than that of every session that is known here.
    fn claim<'a>(&'a self, claim: Claim<'a>) -> BoxFuture<'a, Result<Claimed, Unavailable>>;

    /// The session `epoch` is over. Changes nothing when a newer one has begun; says whether it was the newest.
    fn release<'a>(&'a self, instance: &'a InstanceId, epoch: u64) -> BoxFuture<'a, Result<bool, Unavailable>>;

    /// This session is here and has been: the store has lost it, or was away when it began. Changes nothing when another is newer.
    fn restore<'a>(&'a self, session: Held<'a>) -> BoxFuture<'a, Result<Restored, Unavailable>>;

    /// Where the newest session is, or since when there is none.
    fn locate<'a>(&'a self, instance: &'a InstanceId) -> BoxFuture<'a, Result<Whereabouts, Unavailable>>;

    /// The node is there for another [`LEASE`]. Whether its lease counted until now; if not, the store may have lost its homes
    /// too.
    fn renew_lease<'a>(&'a self, node: &'a NodeAddress) -> BoxFuture<'a, Result<bool, Unavailable>>;

    /// The node leaves: whatever is said of it does not count any more. Changes nothing when another process has taken its name
    /// since.
    fn end_lease<'a>(&'a self, node: &'a NodeAddress) -> BoxFuture<'a, Result<(), Unavailable>>;

    /// Leave word for a node that cannot be told. It looks whenever it renews its lease, and without a lease it asks about each of
    /// its homes; so it learns this within one renewal, or does not believe its session any more.
    fn leave_notice<'a>(&'a self, node_id: &'a str, notice: &'a Notice) -> BoxFuture<'a, Result<(), Unavailable>>;

    /// What was left for this node. Each is given once: whoever does not get the answer does not know what there was.
    fn take_notices<'a>(&'a self, node_id: &'a str) -> BoxFuture<'a, Result<Vec<Notice>, Unavailable>>;

    /// The nodes whose leases count.
    fn nodes(&self) -> BoxFuture<'_, Result<Vec<NodeAddress>, Unavailable>>;
}

/// How long a lease counts after it was renewed: so long is a node that has died taken for one that is busy. It survives two
/// lost renewals.
pub const LEASE: Duration = Duration::from_secs(10);

/// How long it is remembered when a home's last session ended, so that people can be told since when it is away.
pub const REMEMBERED: Duration = Duration::from_hours(31 * 24);
