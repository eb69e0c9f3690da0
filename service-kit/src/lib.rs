//! What every MA Cloud program shares.
//!
//! - [`clock`], [`random`], [`stop`]: time, randomness and being told to stop, as values that tests replace.
//! - [`lifecycle`]: saying where a program listens, and stopping it by signals.
//! - [`gather`]: what is ready together leaves together.
//! - [`corked`]: the end of a TLS handshake leaves with what follows it.
//! - [`config`]: one definition of a setting serves flag, environment variable and TOML file.
//! - [`telemetry`]: logs, and with feature `server` traces and metrics.
//! - `memory` (feature `server`): what is freed goes back to the system.
//! - [`places`]: bounds for each of many.
//! - [`socket`]: what a TCP connection is asked beyond the usual.
//! - `prompt`, `grpc` (feature `server`): tasks of HTTP/2 that need no turn of the scheduler, and serving gRPC with them.
//! - `http`, `tls`, `tickets`, `internal`, `health`, `client` (features `server` and `client`): serving and calling, with time limits and bounds everywhere.

#[cfg(feature = "client")]
pub mod client;
pub mod clock;
pub mod config;
pub mod corked;
#[cfg(feature = "server")]
mod expiry;
pub mod gather;
#[cfg(feature = "server")]
pub mod grpc;
#[cfg(feature = "server")]
pub mod health;
#[cfg(feature = "server")]
pub mod http;
#[cfg(feature = "server")]
pub mod internal;
pub mod lifecycle;
#[cfg(feature = "server")]
pub mod memory;
#[cfg(feature = "server")]
pub mod metrics;
pub mod places;
#[cfg(feature = "server")]
mod process;
#[cfg(feature = "server")]
pub mod prompt;
pub mod random;
pub mod socket;
pub mod stop;
pub mod telemetry;
#[cfg(feature = "server")]
pub mod tickets;
pub mod tls;
#[cfg(feature = "server")]
mod watched;
