//! `ma-cloud`: all of MA Cloud in one process, the simulated home, the demo, and the whole-system tests.
//!
//! - [`cloud`]: accounts, relay and skill as one value over one data directory, wired over in-process gRPC.
//! - [`serve`], [`admin`], [`home`], [`demo`], [`canary`]: the verbs of the command line ([`cli`]).
//! - [`demo::stage`]: a cloud with a signed-up person, a paired home and a linked pretend Alexa, for tests and benchmarks too.

pub mod admin;
mod admin_plans;
mod backup;
pub mod canary;
pub mod cli;
pub mod cloud;
pub mod demo;
pub mod home;
pub mod in_process;
pub mod serve;
pub mod skill_keys;
pub mod utterance;
