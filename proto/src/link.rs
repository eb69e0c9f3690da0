//! The link protocol between a connector and a relay: see `proto/macloud/link/v1/link.proto`.
//!
//! Both sides are state machines without a socket or a clock. A driver feeds them what arrived (`handle_*`), sends
//! what they hand out (`poll_transmit`), acts on what they report (`poll_event`) and wakes them when they ask for it
//! (`poll_timeout`). The driver decides nothing, so a simulated pair tests every rule in virtual time.
//!
//! - [`frame`]: one message in, one checked value out, and back.
//! - [`relay_side`]: one session of a home, as the relay holds it.
//! - [`connector_side`]: the same session, as the home holds it.
//! - [`introduction`]: how it says hello within the upgrade.
//! - [`redial`]: when a connector dials again.
//! - [`resumption`]: how it dials again without signatures.
//! - [`event_outbox`]: what a home has to tell without being asked, until the relay has taken it.
//! - [`command_memory`]: which commands a home has executed lately, so that a retry never executes twice.

pub mod command_memory;
pub mod connector_side;
pub mod event_outbox;
pub mod frame;
pub mod introduction;
pub mod redial;
pub mod relay_side;
pub mod resumption;

/// Messages of `macloud.link.v1`.
#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, clippy::pedantic)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/macloud.link.v1.rs"));
}

pub use v1::goodbye::Reason as GoodbyeReason;

/// The WebSocket subprotocol (RFC 6455 section 1.9) both sides must agree on.
pub const SUBPROTOCOL: &str = "macloud.link.v1";

/// The lowest link version this code speaks.
pub const VERSION_MIN: u32 = 1;

/// The highest link version this code speaks.
pub const VERSION_MAX: u32 = 1;

/// What a machine wants sent over the WebSocket, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transmit {
    /// A binary message.
    Binary(bytes::Bytes),
    /// A WebSocket ping with an empty payload.
    Ping,
    /// A WebSocket close frame with this code (RFC 6455 section 7.4). Nothing follows it.
    Close(u16),
}

/// WebSocket close code: the purpose is fulfilled.
pub const CLOSE_NORMAL: u16 = 1000;
/// WebSocket close code: the endpoint is going away.
pub const CLOSE_GOING_AWAY: u16 = 1001;
/// WebSocket close code: protocol error.
pub const CLOSE_PROTOCOL: u16 = 1002;
/// WebSocket close code: the policy of the server is violated, such as by not answering.
pub const CLOSE_POLICY: u16 = 1008;

/// The WebSocket close code that goes with a reason. Peers decide by the reason; the code is for what stands between.
#[must_use]
pub const fn close_code(reason: GoodbyeReason) -> u16 {
    match reason {
        GoodbyeReason::Unspecified => CLOSE_NORMAL,
        GoodbyeReason::Shutdown | GoodbyeReason::Drained => CLOSE_GOING_AWAY,
        GoodbyeReason::Protocol | GoodbyeReason::Version => CLOSE_PROTOCOL,
        GoodbyeReason::Replaced | GoodbyeReason::Revoked | GoodbyeReason::Unresponsive | GoodbyeReason::Slow => {
            CLOSE_POLICY
        }
    }
}
