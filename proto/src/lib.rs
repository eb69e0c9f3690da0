//! Contracts of MA Cloud and its pure protocol logic.
//!
//! Everything here is a value in, a value out: no socket, no clock, no randomness. Time and random bytes are
//! arguments, so that each rule can be tested without waiting and replayed from a seed.
//!
//! - [`ids`]: the identifiers that cross process borders, each a type that can only hold a valid one.
//! - [`link`]: the link protocol between connector and relay: frames and the state machines of both sides.
//! - [`bus`], [`nodes`], [`accounts`]: the gRPC contracts between the processes of the cloud.
//! - [`jose`], [`dpop`], [`instance_token`]: the few JSON Object Signing rules that identify a home.
//! - [`secret_form`]: how the secrets look that the account service hands out.
//!
//! - [`time`], [`random`]: the two things that are always arguments.
//!
//! The `grpc` feature adds the tonic stubs of these contracts; the connector leaves it off.

pub mod accounts;
pub mod bus;
pub mod dpop;
pub mod ids;
pub mod instance_token;
pub mod jose;
pub mod link;
pub mod nodes;
pub mod random;
pub mod secret_form;
pub mod time;
pub mod trial;

/// The largest WebSocket message of the link protocol, in bytes. A longer one closes the link.
pub const MAX_FRAME_BYTES: usize = 64 * 1024;

/// The largest sealed body of a command, reply or event, in bytes: a frame less its own fields.
pub const MAX_SEALED_BYTES: usize = 60 * 1024;

/// The scope that lets a client read players and their state.
pub const SCOPE_READ: &str = "music_assistant.read";

/// The scope that lets a client control players.
pub const SCOPE_CONTROL: &str = "music_assistant.control";
