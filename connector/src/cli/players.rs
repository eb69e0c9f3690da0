//! `players`: those that Music Assistant has, and what the rules say of each.

use std::fmt;
use std::process::ExitCode;

use anyhow::Context as _;
use macloud_e2ee::vocabulary::clean_text;
use serde_json::{Value, json};

use super::{Place, line, rules, say};
use crate::rules::{Alias, Level};

/// A player with its rules.
pub(super) struct Listed {
    id: String,
    name: String,
    available: bool,
    exposed: bool,
    shares_name: bool,
    unspeakable: bool,
    alias: Option<Alias>,
    max_volume: Option<Level>,
}

/// One a line, in a stable order.
pub(super) async fn run(place: &Place, json: bool) -> anyhow::Result<ExitCode> {
    for player in listed(place).await? {
        if json {
            line(&player.to_json());
        } else {
            say(&player.to_string());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// All of them.
///
/// # Errors
/// When Music Assistant cannot be asked.
pub(super) async fn listed(place: &Place) -> anyhow::Result<Vec<Listed>> {
    let state = place.existing_state()?;
    let rules = state.rules()?;
    let ma = rules::music_assistant(&state, place).await.context("the players cannot be listed")?;
    let directory = ma.directory();
    let namesakes = rules.namesakes(directory.exposed_names());
    let unspeakable = rules.unspeakable(directory.exposed_names());
    let listed = directory.exposed().map(|player| {
        let own = rules.players.get(&player.id);
        Listed {
            id: player.id.clone(),
            name: clean_text(&player.name),
            available: player.available,
            exposed: rules.expose(player),
            shares_name: namesakes.contains(player.id.as_str()),
            unspeakable: unspeakable.contains(player.id.as_str()),
            alias: own.and_then(|own| own.alias.clone()),
            max_volume: own.and_then(|own| own.max_volume),
        }
    });
    Ok(listed.collect())
}

impl Listed {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "id": self.id, "name": self.name, "available": self.available, "exposed": self.exposed,
            "shares_name": self.shares_name, "unspeakable": self.unspeakable,
            "alias": self.alias.as_ref().map(Alias::as_str), "max_volume": self.max_volume.map(Level::value),
        })
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.id)?;
        if let Some(alias) = &self.alias {
            write!(f, ", called {}", alias.as_str())?;
        }
        if !self.exposed {
            f.write_str(", hidden")?;
        }
        if let Some(level) = self.max_volume {
            write!(f, ", no louder than {}", level.value())?;
        }
        if self.shares_name {
            f.write_str(", shares a name with another")?;
        }
        if self.unspeakable {
            f.write_str(", has a name that nobody can say")?;
        }
        if self.available { Ok(()) } else { f.write_str(", not reachable now") }
    }
}
