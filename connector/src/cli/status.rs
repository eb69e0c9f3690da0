//! `status`: how the running connector stands. Without names, unless they are asked for: it is shown to whoever may help.

use std::process::ExitCode;

use macloud_proto::ids::fingerprint;
use macloud_service_kit::clock;
use serde_json::{Value, json};

use super::{NOT_PAIRED, Place, line, players, say};
use crate::link::recent::{Asked, Counts};
use crate::memory::Timer;
use crate::rules::local_time::Zone;
use crate::rules::{HouseRules, Rules};
use crate::state::{StateDir, command};
use crate::status::Status;

/// How it stands, and with `full` also each player.
pub(super) async fn status_verb(place: &Place, full: bool, json: bool) -> anyhow::Result<ExitCode> {
    let state = place.existing_state()?;
    let running = state.is_in_use();
    let status: Option<Status> = state.status()?;
    if json {
        let mut value = as_json(&state, status.as_ref(), running)?;
        if full {
            value["each_player"] = players::listed(place).await?.into_iter().map(|player| player.to_json()).collect();
        }
        line(&value);
    } else {
        say(&as_text(&state, status.as_ref().filter(|_| running))?);
        if full {
            for player in players::listed(place).await? {
                say(&format!("Player:          {player}"));
            }
        }
    }
    let has_trouble = status.is_some_and(|status| status.key_trouble.is_some());
    Ok(match (running, state.is_paired()) {
        (_, false) => ExitCode::from(NOT_PAIRED),
        (true, true) if !has_trouble => ExitCode::SUCCESS,
        (_, true) => ExitCode::FAILURE,
    })
}

fn as_json(state: &StateDir, status: Option<&Status>, running: bool) -> anyhow::Result<Value> {
    let mut value = serde_json::to_value(status)?;
    if !value.is_object() {
        value = json!({});
    }
    value["running"] = running.into();
    if !running {
        // What was true of the process that is gone is not true now.
        for gone in ["relay", "music_assistant", "pid", "key_trouble", "commands", "recent"] {
            value[gone] = Value::Null;
        }
    }
    let now = clock::system().unix_seconds();
    let timers = state.timers()?;
    let timer = |timer: &Timer| json!({ "name": timer.name, "minutes_left": timer.minutes_left(now) });
    value["sleep_timers"] = timers.iter().map(timer).collect();
    value["stopped"] = state.is_stopped().into();
    value["paired"] = state.is_paired().into();
    value["rules"] = match state.rules() {
        Ok(rules) => json!({
            "hidden": rules.hidden_players(), "with_highest_volume": rules.limited_players(),
            "renamed": rules.renamed_players(), "quiet_hours": rules.quiet_hours, "tell_changes": rules.tell_changes,
        }),
        Err(error) => json!({ "error": error.to_string() }),
    };
    Ok(value)
}

fn as_text(state: &StateDir, status: Option<&Status>) -> anyhow::Result<String> {
    let mut lines = match state.pairing()? {
        Some(pairing) => vec![format!("Home:            {} ({})", pairing.home_name, pairing.instance_id)],
        None => vec!["Home:            not paired yet".into()],
    };
    if state.is_stopped() {
        let resume = command("resume", state.path());
        lines.push(format!("Stop switch:     pressed; nothing is carried out until: {resume}"));
    }
    if let Some(key) = state.public_identity()? {
        lines.push(format!("Fingerprint:     {}", fingerprint(&key)));
    }
    match status {
        None => lines.push("Connector:       not running".into()),
        Some(status) => lines.extend(of_running(state, status)?),
    }
    match state.rules() {
        Ok(rules) => lines.extend(of_rules(&rules)),
        Err(error) => lines.push(format!("Rules:           {error}")),
    }
    if let Some(status) = status {
        lines.extend(of_players(state, status));
    }
    Ok(lines.join("\n"))
}

fn of_running(state: &StateDir, status: &Status) -> anyhow::Result<Vec<String>> {
    let mut lines = vec![
        format!("Connector:       running (version {})", status.version),
        format!("Cloud:           {}", status.relay.explanation()),
    ];
    lines.extend(status.key_trouble.iter().map(|trouble| format!("Keys:            {trouble}")));
    let now = clock::system().unix_seconds();
    for timer in state.timers()? {
        lines.push(format!("Sleep timer:     {} stops in {} min", timer.name, timer.minutes_left(now)));
    }
    let Counts { done, refused, last_at } = status.commands;
    if last_at > 0 {
        let ago = match now.saturating_sub(last_at) / 60 {
            0 => "just now".to_owned(),
            minutes => format!("{minutes} min ago"),
        };
        lines.push(format!("Commands:        {done} done, {refused} refused; the last {ago}"));
    }
    let house = house();
    lines.extend(status.recent.iter().map(|asked| {
        let Asked { at, kind, refused } = asked;
        let outcome = refused.as_ref().map_or("done", String::as_str);
        format!("  {}          {kind}: {outcome}", house.time_of(*at))
    }));
    Ok(lines)
}

fn of_rules(rules: &Rules) -> Vec<String> {
    let mut lines = Vec::new();
    let counts = [
        (rules.hidden_players(), "hidden"),
        (rules.renamed_players(), "called otherwise"),
        (rules.limited_players(), "with a highest volume"),
    ];
    let said: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if !said.is_empty() {
        lines.push(format!("Rules:           players: {}", said.join(", ")));
    }
    if let Some(hours) = rules.quiet_hours {
        let now = house().time_of_day();
        lines.push(format!("Quiet hours:     {} to {} (here it is {now} now)", hours.from, hours.to));
    }
    if rules.tell_changes {
        lines.push("Changes:         the cloud is told how players are whenever that changes".into());
    }
    lines
}

fn of_players(state: &StateDir, status: &Status) -> Vec<String> {
    let ma = &status.music_assistant;
    let mut lines = vec![format!("Music Assistant: {}", ma.explanation)];
    if let Some(days) = ma.token_ends_in_days {
        let on = ma.token_ends_on.as_ref().map_or_else(String::new, |day| format!("ends on {day}, "));
        let renew = command("sign-in", state.path());
        lines.push(format!("Token:           {on}ends in {days} days; get another: {renew}"));
    }
    let when = if ma.players_current { "" } else { ", as last seen" };
    lines.push(format!("Players:         {}{when}", ma.players));
    lines
}

/// For what the clock at home shows.
fn house() -> HouseRules {
    HouseRules::new(Rules::default(), clock::system(), Zone::of_this_machine())
}
