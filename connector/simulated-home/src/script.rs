//! Things that happen to a home by themselves, at times that are written down beforehand.
//!
//! # The file
//!
//! A JSON list of steps. `at_s` is in seconds since the start of the home; steps of one time happen in the order of the file. A
//! step says what the [control API](crate::control) would be told:
//!
//! ```json
//! [
//!   {"at_s": 10,  "restart": {"down_ms": 5000, "starting_ms": 5000, "settling_ms": 2000}},
//!   {"at_s": 30,  "faults": {"delay_ms": {"*": 8000}}},
//!   {"at_s": 60,  "clear_faults": true},
//!   {"at_s": 70,  "unplug": "up000420000001"},
//!   {"at_s": 90,  "plug": "up000420000001"},
//!   {"at_s": 100, "change_player": {"id": "up000420000001", "to": {"volume": 80}}},
//!   {"at_s": 110, "remove_player": "up000420000003"},
//!   {"at_s": 120, "add_player": {"id": "up000420000009", "name": "Attic"}},
//!   {"at_s": 130, "accept_token": "another-token"},
//!   {"at_s": 140, "advance_s": 60}
//! ]
//! ```
//!
//! Unknown fields are errors. What came of each step is at `GET /script`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};

use crate::control::{ControlError, PlayerChange, RestartPlan};
use crate::faults::Faults;
use crate::home::Home;
use crate::player::PlayerConfig;

/// Steps by their time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Script(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    at_s: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    restart: Option<RestartPlan>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    faults: Option<Faults>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    clear_faults: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unplug: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plug: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    change_player: Option<Change>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    remove_player: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    add_player: Option<PlayerConfig>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    accept_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    advance_s: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    id: String,
    to: PlayerChange,
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Done {
    at_s: f64,
    /// Nothing, if it was done.
    error: Option<String>,
}

/// Why a script cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The file.
    #[error("{path}: {source}")]
    Io {
        /// Which one.
        path: std::path::PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// What is in it.
    #[error("the script does not fit: {0}")]
    Json(#[from] serde_json::Error),
    /// A time that is none.
    #[error("\"at_s\" and \"advance_s\" are numbers of seconds, 0 or more")]
    Time,
}

impl Script {
    /// Read a script from a file.
    ///
    /// # Errors
    /// [`ScriptError`].
    pub fn load(path: &Path) -> Result<Self, ScriptError> {
        let text = std::fs::read_to_string(path).map_err(|source| ScriptError::Io { path: path.to_owned(), source })?;
        Self::from_json(&text)
    }

    /// Read a script.
    ///
    /// # Errors
    /// [`ScriptError`].
    pub fn from_json(text: &str) -> Result<Self, ScriptError> {
        let mut script: Self = serde_json::from_str(text)?;
        let times = script.0.iter().flat_map(|step| [Some(step.at_s), step.advance_s]).flatten();
        for seconds in times {
            Duration::try_from_secs_f64(seconds).map_err(|_| ScriptError::Time)?;
        }
        script.0.sort_by(|one, other| one.at_s.total_cmp(&other.at_s));
        Ok(script)
    }

    /// Do what is written, until the end of the script or of the home.
    pub(crate) async fn play(self, home: Arc<Home>) {
        let started = Instant::now();
        for step in self.0 {
            let at = started + seconds(step.at_s);
            tokio::select! {
                () = home.stop.cancelled() => return,
                () = sleep_until(at) => {}
            }
            let at_s = step.at_s;
            let error = step.take(&home).err().map(|error| error.to_string());
            home.script().push(Done { at_s, error });
        }
    }
}

impl Step {
    fn take(self, home: &Arc<Home>) -> Result<(), ControlError> {
        if let Some(plan) = self.restart {
            home.restart(plan)?;
        }
        if self.clear_faults {
            home.clear_faults();
        }
        if let Some(faults) = &self.faults {
            home.fault(faults);
        }
        for (id, plugged) in [(&self.unplug, false), (&self.plug, true)] {
            if let Some(id) = id {
                home.set_plugged(id, plugged)?;
            }
        }
        if let Some(Change { id, to }) = self.change_player {
            home.change_player(&id, to)?;
        }
        if let Some(id) = &self.remove_player {
            home.remove_player(id)?;
        }
        if let Some(player) = &self.add_player {
            home.add_player(player)?;
        }
        if let Some(token) = &self.accept_token {
            home.accept_token(token);
        }
        if let Some(by) = self.advance_s {
            home.clock.skip(seconds(by));
            home.apply(Vec::new());
        }
        Ok(())
    }
}

/// Checked when the script was read.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_of_the_documentation_is_one() {
        let text = include_str!("script.rs").lines().filter_map(|line| line.strip_prefix("//! "));
        let example: String = text
            .skip_while(|line| !line.starts_with("```json"))
            .skip(1)
            .take_while(|line| !line.starts_with("```"))
            .collect();
        let script = Script::from_json(&example).unwrap();
        assert_eq!(script.0.len(), 10);
        assert_eq!(script.0[5].change_player.as_ref().unwrap().to.volume, Some(80));
    }

    #[test]
    fn steps_are_in_the_order_of_their_times_and_mistakes_are_errors() {
        let script = Script::from_json(r#"[{"at_s": 2, "plug": "b"}, {"at_s": 1, "unplug": "b"}]"#).unwrap();
        assert_eq!(script.0[0].unplug.as_deref(), Some("b"));
        for wrong in [r#"[{"at_s": -1}]"#, r#"[{"at_s": 1, "unplugg": "b"}]"#, r#"[{"plug": "b"}]"#, "{}"] {
            assert!(Script::from_json(wrong).is_err(), "{wrong}");
        }
    }
}
