//! The relay of MA Cloud: holds the connectors' WebSockets and forwards sealed payloads that it cannot read.
//!
//! The way of a home: it dials in and is *admitted* before anything is spent on it ([`admission`]), its *session* obeys
//! the link protocol's machine ([`session`]), and *sessions* are found by the home's id (`sessions`). The way of a
//! command: it arrives on the *bus*, is *dispatched* to the session, and gets exactly one answer before its deadline.
//! What the account service revokes or pauses is *followed* and done at once, and what a plan allows is *metered*; sessions are *renewed* now and then all the same; a
//! node that stops *drains* first.
//!
//! The relay holds no key of any home, reads no database, and does not know `macloud-e2ee`.

mod admission;
mod bus;
mod changes;
mod config;
mod dispatch;
mod drain;
mod handshake;
mod meters;
mod metrics;
mod node;
pub mod presence;
mod renewal;
mod session;
mod sessions;
mod standing;
mod takeovers;

pub use bus::Bus;
pub use config::{NonceKey, RelayConfig, Tap, TapFn};
pub use node::Relay;

/// Where connectors dial in.
pub const CONNECT_PATH: &str = "/relay/v1/connect";
