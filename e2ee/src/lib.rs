//! What only the two ends of MA Cloud know.
//!
//! - [`vocabulary`]: the commands and replies, in our own words. The skill knows Alexa, the connector knows Music
//!   Assistant, neither knows the other; both know this.
//!
//! The relay must never depend on this crate: it cannot read what it cannot parse, and CI proves that it does not.

pub mod vocabulary;
