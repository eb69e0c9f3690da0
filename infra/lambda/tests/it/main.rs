//! The function between a stand-in of Lambda's runtime API and a stand-in of the skill backend.
#![allow(clippy::unwrap_used, unreachable_pub, reason = "tests fail by panicking, and are nobody's interface")]
#![allow(clippy::disallowed_methods, reason = "Lambda tells its deadlines by the wall clock")]

mod answers;
mod failures;
mod samples;
mod support;
mod tls;
