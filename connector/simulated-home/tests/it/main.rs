//! The simulated home as its clients meet it: over real sockets, compared with hand-written expectations and, where the
//! recordings of a real server lie beside the project, with those.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

mod client;
mod control;
mod misbehaviour;
mod playing;
mod protocol;
mod recordings;
mod within;
