//! The link protocol between a connector and a relay: see `proto/macloud/link/v1/link.proto`.

/// Messages of `macloud.link.v1`.
#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, clippy::pedantic)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/macloud.link.v1.rs"));
}

/// The WebSocket subprotocol (RFC 6455 section 1.9) both sides must agree on.
pub const SUBPROTOCOL: &str = "macloud.link.v1";
