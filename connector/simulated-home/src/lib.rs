//! A simulated Music Assistant: the API of a real server over invented speakers whose state really moves.
//!
//! Tests, benchmarks and the demo talk to it as they would to a server in somebody's home. It answers as a recorded server
//! did (development tree of February 2026, API schema 29), the unhelpful answers included: success for players that are
//! not there, volumes that are not clamped, a queue that is emptied before it turns out that there is nothing to play.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use macloud_simulated_home::{HomeConfig, SimulatedHome, Timing};
//!
//! let home = SimulatedHome::start(HomeConfig { timing: Timing::fast(), ..HomeConfig::default() }).await?;
//! println!("connect to {} with {}", home.ws_url(), home.token());
//! let kitchen = home.until(|state| state.named("Kitchen").is_some_and(|kitchen| kitchen.volume == 30)).await;
//! home.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What it speaks
//!
//! On one port: `GET /info`, `GET /ws` (hello, `auth`, commands, events), `POST /api`, `POST /auth/login`. Players, queues
//! and music as far as a remote control needs them; configuration of the server is left out and answers error 12.
//!
//! # How it moves
//!
//! A command is executed at once and its reply comes before the state changes it causes; how much later is [`Timing`].
//! Elapsed time follows [`HomeClock`], which runs with tokio's time and can be moved ahead with [`RunningHome::advance`].
//! [`RunningHome::state`] is the truth to compare with what a client believes.
//!
//! # What can go wrong
//!
//! Players can be unplugged, renamed, removed and degraded; the server can restart ([`RunningHome::restart`]) and misbehave
//! ([`Faults`]). The same can be done over HTTP: see [`control`]; and at times that are written down beforehand: see [`script`].

mod accounts;
mod args;
mod catalog;
mod clock;
mod commands;
pub mod control;
mod faults;
mod home;
pub mod library;
mod player;
mod queue;
mod random;
mod running;
pub mod script;
mod search;
mod server;
mod session;
mod state;
mod timing;
mod wire;
mod world;

pub use self::clock::HomeClock;
pub use self::control::{ControlError, PlayerChange, RestartPlan};
pub use self::faults::{FailNext, Faults};
pub use self::library::{Library, LibraryError, TrackName};
pub use self::player::{Playback, PlayerConfig};
pub use self::running::{HomeConfig, NEWEST_SCHEMA, RunningHome, SimulatedHome};
pub use self::script::{Script, ScriptError};
pub use self::state::{Heard, HomeState, NowPlaying, PlayerState, QueueState};
pub use self::timing::Timing;
pub use self::world::Quirks;
