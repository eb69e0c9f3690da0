//! Tests of the sealed sessions from outside: what the two ends can do through the public interface, and what nobody can.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod construction;
mod events;
mod garbage;
mod key_sets;
mod lateness;
mod published;
mod replay;
mod sealing;
mod support;
mod tampering;
mod vocabulary;
