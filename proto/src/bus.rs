//! The command bus contract: see `proto/macloud/bus/v1/bus.proto`.

/// Messages and, with feature `grpc`, the stubs of `macloud.bus.v1`.
#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, clippy::pedantic)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/macloud.bus.v1.rs"));
}
