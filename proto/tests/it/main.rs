//! Whole-protocol tests: both machines against each other, the wire format, and hostile input.
#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap")]

mod golden_frames;
mod hostile_input;
mod machines;
mod simulated_pair;
mod world;
