//! The connector: the small program beside Music Assistant.
//!
//! It dials out to the relay, holds the home's keys, opens what is sealed for the home, and alone talks to Music
//! Assistant. The way of a command: [`link`] receives it and confirms it, [`link::commands`] opens and judges it,
//! [`execute`] carries it out on [`music_assistant`], and the sealed reply goes back. What is to be played is found in
//! [`library`], as far as it is the home's own.
//!
//! What the owner allows is in [`rules`], and [`execute`] obeys it.
//!
//! Its life as a program: [`backup`] to go on elsewhere as the same home, and [`leave`] to end.
//! Around it: [`discovery`] of Music Assistant and [`pairing`] once, [`cloud`] for the tokens that let it in, [`state`] for what must survive a restart,
//! [`memory`] for what is learned by being used,
//! [`status`], [`doctor`] and the [`page`] for people, [`watchdog`] in case that any of this does not go on, [`home_assistant`] to find out who the owner is there. [`connector`] puts it together; [`cli`] is the program.

pub mod backup;
pub mod cli;
pub mod cloud;
pub mod connector;
pub mod discovery;
pub mod doctor;
pub mod execute;
pub mod home_assistant;
pub mod leave;
pub mod library;
pub mod link;
pub mod memory;
pub mod music_assistant;
pub mod network;
mod news;
pub mod page;
pub mod pairing;
pub mod rules;
pub mod state;
pub mod status;
pub mod watchdog;

mod url_text;

pub use connector::{Connector, ConnectorOptions};
pub use pairing::{DeviceCode, PairOptions, Paired, pair};
