//! The accounts contract: see `proto/macloud/accounts/v1/accounts.proto`.

/// Messages and, with feature `grpc`, the stubs of `macloud.accounts.v1`.
#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, clippy::pedantic)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/macloud.accounts.v1.rs"));
}
