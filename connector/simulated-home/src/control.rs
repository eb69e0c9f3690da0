//! Moving a simulated home from outside: what its people do, what breaks, and what is really the case.
//!
//! | request | body | does |
//! |---|---|---|
//! | `GET /state` | | [`HomeState`](crate::HomeState) |
//! | `POST /players` | [`PlayerConfig`] | adds a player |
//! | `POST /players/{id}` | [`PlayerChange`] | changes name, volume, power, mute or availability |
//! | `DELETE /players/{id}` | | removes a player |
//! | `POST /players/{id}/unplug`, `/plug` | | pulls the plug, puts it back |
//! | `POST /restart` | [`RestartPlan`], may be empty | restarts the server |
//! | `GET /faults` | | the faults in force |
//! | `POST /faults` | [`Faults`] | adds faults |
//! | `DELETE /faults` | | takes them all away |
//! | `POST /playlists` | `{"name", "tracks": ["Artist - Title"]}` | adds a playlist |
//! | `POST /tokens` | `{"token": "..."}` | accepts a further token |
//! | `GET /heard` | | the latest commands with their arguments, oldest first; at most a thousand |
//! | `DELETE /heard` | | forgets them |
//! | `GET /script` | | what came of the steps of the [script](crate::script) so far |
//! | `POST /advance` | `{"seconds": 60}` | lets time pass |
//!
//! Success is 200 with the state afterwards (204 for faults). Errors are `{"error": "..."}` with 400, 404 or 409.
//! There is no authentication: whoever reaches the port moves the home. Bind it to loopback.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::commands;
use crate::faults::{ActiveFaults, Faults};
use crate::home::Home;
use crate::library::TrackName;
use crate::player::PlayerConfig;
use crate::world::{Effect, Later, Phase, World};

/// Changes to a player; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlayerChange {
    /// Renamed in Music Assistant.
    pub name: Option<String>,
    /// Turned at the player itself.
    pub volume: Option<i64>,
    /// Switched at the player itself.
    pub powered: Option<bool>,
    /// Muted at the player itself.
    pub muted: Option<bool>,
    /// Reachable or not, noticed at once. [`RunningHome::unplug`](crate::RunningHome::unplug) takes its time.
    pub available: Option<bool>,
    /// Its output fails to load, or loads after all.
    pub degraded: Option<bool>,
}

/// How a restart goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RestartPlan {
    /// How long before that the status is `stopping`, while everything still works.
    pub stopping_ms: u64,
    /// How long connections are refused.
    pub down_ms: u64,
    /// How long the status is `starting`: half of it without players, the rest with players that are unavailable.
    pub starting_ms: u64,
    /// How long after that players become available.
    pub settling_ms: u64,
}

impl Default for RestartPlan {
    /// Quicker than a real server, which was seen to take 4.7, 3.8 and 1.3 seconds.
    fn default() -> Self {
        Self { stopping_ms: 0, down_ms: 500, starting_ms: 1000, settling_ms: 300 }
    }
}

/// Why something could not be done to the home.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// There is no such player.
    #[error("there is no player \"{0}\"")]
    UnknownPlayer(String),
    /// There is one already.
    #[error("there is a player \"{0}\" already")]
    PlayerExists(String),
    /// The server is on its way down or up.
    #[error("the server is restarting already")]
    Restarting,
    /// The request does not make sense.
    #[error("{0}")]
    Invalid(String),
}

impl IntoResponse for ControlError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::UnknownPlayer(_) => StatusCode::NOT_FOUND,
            Self::PlayerExists(_) | Self::Restarting => StatusCode::CONFLICT,
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
        };
        (status, Json(json!({"error": self.to_string()}))).into_response()
    }
}

impl Home {
    /// Changes the machine and tells the clients.
    fn change<T>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut World) -> Result<T, ControlError>,
    ) -> Result<T, ControlError> {
        let mut world = self.world();
        let changed = change(&mut world);
        let (_, later) = world.take_outcome();
        drop(world);
        self.dispatch(later);
        changed
    }

    pub(crate) fn add_player(self: &Arc<Self>, config: &PlayerConfig) -> Result<(), ControlError> {
        commands::usable(config).map_err(|why| ControlError::Invalid(why.to_owned()))?;
        self.change(|world| {
            world.add_player(config).then_some(()).ok_or_else(|| ControlError::PlayerExists(config.id.clone()))
        })
    }

    pub(crate) fn remove_player(self: &Arc<Self>, id: &str) -> Result<(), ControlError> {
        self.change(|world| world.remove_player(id).then_some(()).ok_or_else(|| unknown(id)))
    }

    pub(crate) fn change_player(self: &Arc<Self>, id: &str, change: PlayerChange) -> Result<(), ControlError> {
        if change.name.as_deref() == Some("") {
            return Err(ControlError::Invalid("a player's name cannot be empty".to_owned()));
        }
        self.change(|world| {
            let index = world.index(id).ok_or_else(|| unknown(id))?;
            let player = &mut world.players[index];
            player.name = change.name.unwrap_or_else(|| player.name.clone());
            player.volume = change.volume.unwrap_or(player.volume);
            player.powered = change.powered.unwrap_or(player.powered);
            player.muted = change.muted.unwrap_or(player.muted);
            player.degraded = change.degraded.unwrap_or(player.degraded);
            world.tell_player(index);
            if let Some(available) = change.available {
                world.set_available(index, available);
            }
            Ok(())
        })
    }

    pub(crate) fn set_plugged(self: &Arc<Self>, id: &str, plugged: bool) -> Result<(), ControlError> {
        self.change(|world| {
            let index = world.index(id).ok_or_else(|| unknown(id))?;
            world.set_plugged(index, plugged);
            Ok(())
        })
    }

    pub(crate) fn restart(self: &Arc<Self>, plan: RestartPlan) -> Result<(), ControlError> {
        if self.world().phase != Phase::Running {
            return Err(ControlError::Restarting);
        }
        let millis = Duration::from_millis;
        let down = millis(plan.stopping_ms);
        if down.is_zero() {
            self.go_down();
        } else {
            self.apply(vec![Effect::Phase(Phase::Stopping)]);
            let home = Arc::clone(self);
            self.tasks.spawn(async move {
                tokio::select! {
                    () = tokio::time::sleep(down) => home.go_down(),
                    () = home.stop.cancelled() => {}
                }
            });
        }
        let loading = down + millis(plan.down_ms);
        let waking = loading + millis(plan.starting_ms / 2);
        let settling = loading + millis(plan.starting_ms);
        let running = settling + millis(plan.settling_ms);
        let phases = [
            (loading, Phase::Loading),
            (waking, Phase::Waking),
            (settling, Phase::Settling),
            (running, Phase::Running),
        ];
        self.dispatch(phases.map(|(after, phase)| Later { after, effect: Effect::Phase(phase) }).into());
        Ok(())
    }

    fn go_down(self: &Arc<Self>) {
        self.apply(vec![Effect::Phase(Phase::Down)]);
        self.drop_connections();
    }

    pub(crate) fn fault(&self, faults: &Faults) {
        self.faults().add(faults);
        if let Some(stalled) = faults.stall_reads {
            self.stalled.send_replace(stalled);
        }
        if faults.revoke_tokens {
            self.accounts().revoke_all();
            self.hang_up(|_| true);
        }
        if faults.drop_connections {
            self.drop_connections();
        }
    }

    pub(crate) fn clear_faults(&self) {
        *self.faults() = ActiveFaults::default();
        self.stalled.send_replace(false);
    }

    pub(crate) fn add_playlist(self: &Arc<Self>, name: &str, tracks: &[TrackName]) -> Result<(), ControlError> {
        self.change(|world| {
            let missing = tracks.iter().find(|track| world.catalog.track_named(track).is_none());
            if let Some(missing) = missing {
                let message = format!("no album has the track {missing:?}; write it as \"Artist - Title\"");
                return Err(ControlError::Invalid(message));
            }
            world.catalog.add_playlist(name, tracks, None, true);
            Ok(())
        })
    }
}

fn unknown(id: &str) -> ControlError {
    ControlError::UnknownPlayer(id.to_owned())
}

/// The routes of the control API.
pub(crate) fn router(home: Arc<Home>) -> Router {
    Router::new()
        .route("/state", get(state))
        .route("/players", post(add))
        .route("/players/{id}", post(change).delete(remove))
        .route("/players/{id}/unplug", post(unplug))
        .route("/players/{id}/plug", post(plug))
        .route("/restart", post(restart))
        .route("/faults", get(list_faults).post(add_faults).delete(clear_faults))
        .route("/playlists", post(add_playlist))
        .route("/tokens", post(accept_token))
        .route("/heard", get(heard).delete(forget_heard))
        .route("/script", get(script))
        .route("/advance", post(advance))
        .fallback(async || nothing_here(StatusCode::NOT_FOUND, "no such path; GET /state is a good start"))
        .method_not_allowed_fallback(async || {
            nothing_here(StatusCode::METHOD_NOT_ALLOWED, "this path has other methods")
        })
        .with_state(home)
}

fn nothing_here(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({"error": message}))).into_response()
}

/// The home a request is about.
type Here = State<Arc<Home>>;
type Answered = Result<Response, ControlError>;

/// A body as JSON, whatever its content type; an empty one counts as `{}`.
fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, ControlError> {
    let text: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(text).map_err(|error| ControlError::Invalid(format!("the body does not fit: {error}")))
}

fn afterwards(home: &Home) -> Response {
    Json(home.state()).into_response()
}

async fn state(State(home): Here) -> Response {
    afterwards(&home)
}

async fn add(State(home): Here, body: Bytes) -> Answered {
    home.add_player(&parse(&body)?)?;
    Ok(afterwards(&home))
}

async fn change(State(home): Here, Path(id): Path<String>, body: Bytes) -> Answered {
    home.change_player(&id, parse(&body)?)?;
    Ok(afterwards(&home))
}

async fn remove(State(home): Here, Path(id): Path<String>) -> Answered {
    home.remove_player(&id)?;
    Ok(afterwards(&home))
}

async fn unplug(State(home): Here, Path(id): Path<String>) -> Answered {
    home.set_plugged(&id, false)?;
    Ok(afterwards(&home))
}

async fn plug(State(home): Here, Path(id): Path<String>) -> Answered {
    home.set_plugged(&id, true)?;
    Ok(afterwards(&home))
}

async fn restart(State(home): Here, body: Bytes) -> Answered {
    home.restart(parse(&body)?)?;
    Ok(afterwards(&home))
}

async fn list_faults(State(home): Here) -> Response {
    Json(home.faults().describe()).into_response()
}

async fn add_faults(State(home): Here, body: Bytes) -> Answered {
    home.fault(&parse(&body)?);
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn clear_faults(State(home): Here) -> Response {
    home.clear_faults();
    StatusCode::NO_CONTENT.into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPlaylist {
    name: String,
    #[serde(default)]
    tracks: Vec<TrackName>,
}

async fn add_playlist(State(home): Here, body: Bytes) -> Answered {
    let playlist: NewPlaylist = parse(&body)?;
    home.add_playlist(&playlist.name, &playlist.tracks)?;
    Ok(afterwards(&home))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    token: String,
}

async fn accept_token(State(home): Here, body: Bytes) -> Answered {
    let NewToken { token } = parse(&body)?;
    if token.trim().is_empty() {
        return Err(ControlError::Invalid("a token cannot be empty".to_owned()));
    }
    home.accept_token(&token);
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn script(State(home): Here) -> Response {
    Json(&*home.script()).into_response()
}

async fn heard(State(home): Here) -> Response {
    Json(&*home.heard()).into_response()
}

async fn forget_heard(State(home): Here) -> Response {
    home.heard().clear();
    StatusCode::NO_CONTENT.into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: f64,
}

async fn advance(State(home): Here, body: Bytes) -> Answered {
    let Advance { seconds } = parse(&body)?;
    let by = Duration::try_from_secs_f64(seconds)
        .map_err(|_| ControlError::Invalid("\"seconds\" must be a positive number".to_owned()))?;
    home.clock.skip(by);
    home.apply(Vec::new());
    Ok(afterwards(&home))
}
