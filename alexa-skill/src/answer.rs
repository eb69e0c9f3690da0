//! Answer: from our words back to Alexa's. Pure: replies and failures in, JSON out.
//!
//! - [`event`]: the events of the smart home side.
//! - [`discovery`]: the endpoints in the answer to `Discover`.
//! - [`error`]: which Alexa error type stands for which failure.
//! - [`speech`]: what the custom part says, and [`response`]: how it is wrapped.

pub mod discovery;
pub mod error;
pub mod event;
pub mod response;
pub mod speech;
