//! The account service from outside: every behaviour on both databases, over HTTP requests and RPC calls.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "helpers of tests are tests, and nobody outside sees them")]

mod alexa;
mod authorize;
mod billing;
mod client_auth;
mod contract;
mod counted;
mod crowd;
mod doctor;
mod harness;
mod held;
mod home_assistant;
mod home_leaves;
mod hostile;
mod inspect;
mod key_file;
mod keys;
mod known;
mod language;
mod leaving;
mod linking;
mod logout;
mod mailed;
mod members;
mod metadata;
mod migrations;
mod moving;
mod operators;
mod outage;
mod pairing;
mod passkeys;
mod plans;
mod possession;
mod providers;
mod pushed;
mod refresh;
mod restored;
mod rpc;
mod schema;
mod second_step;
mod secrecy;
mod statements;
mod token;
mod used;
mod web;
