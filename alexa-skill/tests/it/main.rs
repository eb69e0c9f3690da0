//! The skill backend against a fake account service, a fake relay and homes that use the real sealed sessions.
#![allow(clippy::unwrap_used, unreachable_pub, reason = "tests fail by panicking, and are nobody's interface")]

mod borders;
mod bus;
mod controls;
mod discovery;
mod errors;
mod events;
mod grants;
mod mutations;
mod package;
mod properties;
mod report;
mod resolve;
mod samples;
mod sessions;
mod snapshots;
mod spoken;
mod support;
mod trial;
mod verification;
