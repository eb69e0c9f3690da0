//! `players`: those that Music Assistant has, and what the rules say of each.

use std::process::ExitCode;

use anyhow::Context as _;
use macloud_e2ee::vocabulary::clean_text;
use serde_json::json;

use super::{Place, line, rules, say};
use crate::music_assistant::model::Player;
use crate::rules::{Alias, Level, Rules};
use crate::state::StateDir;

/// One a line, in a stable order.
pub(super) async fn run(place: &Place, json: bool) -> anyhow::Result<ExitCode> {
    let state: StateDir = place.existing_state()?;
    let rules = state.rules()?;
    let ma = rules::music_assistant(&state, place).await.context("the players cannot be listed")?;
    let directory = ma.directory();
    let namesakes = rules.namesakes(directory.exposed_names());
    for player in directory.exposed() {
        let own = rules.players.get(&player.id);
        let shares_name = namesakes.contains(player.id.as_str());
        if json {
            line(&json!({
                "id": player.id, "name": clean_text(&player.name), "available": player.available,
                "exposed": rules.expose(player), "shares_name": shares_name,
                "alias": own.and_then(|own| own.alias.as_ref()).map(Alias::as_str),
                "max_volume": own.and_then(|own| own.max_volume).map(Level::value),
            }));
        } else {
            say(&text(player, &rules, shares_name));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn text(player: &Player, rules: &Rules, shares_name: bool) -> String {
    let own = rules.players.get(&player.id);
    let mut text = format!("{} ({})", clean_text(&player.name), player.id);
    if let Some(alias) = own.and_then(|own| own.alias.as_ref()) {
        text.push_str(&format!(", called {}", alias.as_str()));
    }
    if !rules.expose(player) {
        text.push_str(", hidden");
    }
    if let Some(level) = own.and_then(|own| own.max_volume) {
        text.push_str(&format!(", no louder than {}", level.value()));
    }
    if shares_name {
        text.push_str(", shares a name with another");
    }
    if !player.available {
        text.push_str(", not reachable now");
    }
    text
}
