//! Whole-system tests: the real parts over loopback, with a pretend Alexa in front and a simulated home behind.
#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::print_stdout, reason = "tests may fail loudly")]

mod acme;
mod authorities;
mod backups;
mod bad_input;
mod canary;
mod canary_processes;
mod certificate_authority;
mod chain;
mod cluster;
mod corpus;
mod drills;
mod faults;
mod home_assistant;
mod issued;
mod killed;
mod nodes;
mod pause;
mod plan;
mod processes;
mod programs;
mod sharing;
mod support;
mod watching;
