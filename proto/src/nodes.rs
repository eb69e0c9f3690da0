//! The contract among relay nodes: see `proto/macloud/nodes/v1/nodes.proto`.

/// Messages and, with feature `grpc`, the stubs of `macloud.nodes.v1`.
#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, clippy::pedantic)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/macloud.nodes.v1.rs"));
}
