//! What every MA Cloud program shares: clock, randomness, lifecycle, configuration layering, telemetry, health, HTTP
//! and TLS serving.

pub mod clock;
pub mod random;
pub mod stop;
