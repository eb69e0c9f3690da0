//! The connector: the small program beside Music Assistant.
//!
//! It dials out to the relay, holds the home's keys, opens what is sealed for the home, and alone talks to Music
//! Assistant. The way of a command: [`link`](crate) receives it, it is opened, [`execute`] carries it out on
//! [`music_assistant`], and the sealed reply goes back.

pub mod execute;
pub mod music_assistant;
pub mod network;
