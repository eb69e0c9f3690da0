//! The connector against a scripted Music Assistant, account service and relay.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod chain;
mod cloud;
mod discovery;
mod doctor;
mod execution;
mod further;
mod hours;
mod leave;
mod library;
mod moving_house;
mod music_assistant;
mod page;
mod program;
mod proxy;
mod real;
mod schemas;
mod scripted;
mod service;
mod simulated;
mod state;
mod understanding;
mod weight;
