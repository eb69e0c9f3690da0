//! The relay of MA Cloud: holds the connectors' WebSockets and forwards sealed payloads that it cannot read.
//!
//! The way of a home: it dials in and is *admitted* before anything is spent on it ([`admission`]), its *session* obeys
//! the link protocol's machine ([`session`]), and *sessions* are found by the home's id (`sessions`). The way of a
//! command: it arrives on the *bus*, is *dispatched* to the session, or *elsewhere* when another node holds the home, and gets
//! exactly one answer before its deadline. Which node holds which home is in the directory ([`presence`]), in which each node
//! has a *lease*; a node that is cut off from it alone asks other *nodes* for it (`directory`). Where a call goes when things change
//! under it is decided in [`route`].
//! What homes tell without being asked goes into a queue of [`events`].
//! What the account service revokes or pauses is *followed* and done at once, and what a plan allows is *metered*; sessions are *renewed* now and then all the same; a
//! node that stops *drains* first.
//!
//! The relay holds no key of any home, reads no database, and does not know `macloud-e2ee`.

mod admission;
mod bus;
mod changes;
mod config;
mod directory;
mod dispatch;
mod drain;
mod elsewhere;
pub mod events;
mod handshake;
mod lease;
mod meters;
mod metrics;
mod node;
mod nodes;
mod peers;
pub mod presence;
mod renewal;
pub mod route;
mod session;
mod sessions;
mod standing;
mod store;

pub use bus::Bus;
pub use config::{NonceKey, RelayConfig, Tap, TapFn};
pub use node::Relay;
pub use nodes::Nodes;
pub use peers::{Cluster, Connect};

/// Where connectors dial in.
pub const CONNECT_PATH: &str = "/relay/v1/connect";
