//! Serving and calling, over real sockets.
#![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

mod challenges;
mod internal;
mod otlp;
mod serving;
