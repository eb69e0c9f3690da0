//! What only the two ends of MA Cloud know: the skill that seals a command, and the home that opens it.
//!
//! - [`vocabulary`]: the commands and replies, in our own words. The skill knows Alexa, the connector knows Music
//!   Assistant, neither knows the other; both know this.
//! - [`keys`]: the skill's signing keys, the offline root that vouches for them, and what a home pins of it.
//! - [`skill`]: the caller's side of a sealed session: set up to a home's pre-key, seal commands, open replies.
//! - [`home`]: the home's side: hand out pre-keys, open commands, seal replies.
//! - [`event`]: what a home tells without being asked, sealed for the skill's long-term key.
//!
//! A command is *sealed* in [`skill::Session::seal`], *opened* in [`home::Home::open`], and its reply goes back through
//! [`home::ReplySealer::seal`] and [`skill::ReplyOpener::open`]. The bytes are described in `docs/PROTOCOL.md`, what
//! they protect and what not in `docs/SECURITY-MODEL.md`.
//!
//! Nothing here opens a socket, reads a clock or draws randomness: `now` and the random source are arguments.
//! The relay must never depend on this crate: it cannot read what it cannot parse, and CI proves that it does not.

pub mod event;
pub mod home;
pub mod keys;
pub mod skill;
pub mod vocabulary;

mod aead;
mod envelope;
mod event_sealer;
mod padding;
mod pre_key;
mod secret;
mod setup;
mod window;
mod wire;

#[doc(hidden)]
pub mod fuzzing;
