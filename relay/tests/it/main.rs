//! The relay in one process: real HTTP, WebSocket and gRPC over in-memory pipes, in virtual time, between an account
//! service and homes that are made of a few lines each.
#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap")]

mod admission;
mod bus;
mod chaos;
mod cloud;
mod drain;
mod events;
mod hostile;
mod hosts;
mod introduction;
mod liveness;
mod load;
mod loopback;
mod namespaces;
mod nodes;
mod presence;
mod process;
mod processes;
mod redis_server;
mod renewal;
mod resumption;
mod revocation;
mod rolling;
mod sessions;
mod standing;
