//! `leave`: the connector is being removed.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use serde_json::json;

use super::{Json, Place, line, say, terminal};
use crate::leave::{InTheCloud, Leave, Wish, leave};
use crate::music_assistant::give_back::GivenBack;

#[derive(Debug, Args)]
pub(super) struct LeaveArgs {
    /// Leave the home in the cloud: it can be paired again, with other hardware, and its players stay.
    #[arg(long)]
    keep_cloud: bool,
    /// Go on where the cloud cannot be told. This machine forgets the home then, and it has to be unlinked on the cloud's web page:
    /// without its key nobody can tell the cloud any more.
    #[arg(long, conflicts_with = "keep_cloud")]
    force: bool,
    /// Do not ask. Needed where nobody can be asked: without a terminal, and with `--json`.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    json: Json,
}

pub(super) async fn leave_verb(args: &LeaveArgs) -> anyhow::Result<ExitCode> {
    let LeaveArgs { keep_cloud, force, yes, place, json } = args;
    let state = place.existing_state()?;
    if !yes && (json.json || !terminal::somebody_is_there()) {
        bail!("nothing was changed: this deletes the home's key and rules. Where nobody can be asked, say --yes");
    }
    if !yes && !is_meant(*keep_cloud)? {
        bail!("nothing was changed");
    }
    let wish = match (keep_cloud, force) {
        (true, _) => Wish::KeepInTheCloud,
        (false, true) => Wish::UnlinkIfPossible,
        (false, false) => Wish::Unlink,
    };
    let done = leave(state, &place.options()?, wish).await?;
    if json.json {
        let mut value = json!({ "event": "left" });
        value["cloud"] = serde_json::to_value(&done.cloud)?;
        value["music_assistant_token"] = serde_json::to_value(done.music_assistant_token)?;
        value["by_hand"] = serde_json::to_value(&done.by_hand)?;
        line(&value);
    } else {
        say(&told(&done));
    }
    Ok(if done.by_hand.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn is_meant(keep_cloud: bool) -> anyhow::Result<bool> {
    let what = if keep_cloud { "stays in the cloud" } else { "is unlinked in the cloud, and Alexa loses its players" };
    let question = format!("This home {what}; its key and rules here are deleted. Type \"yes\" to go on: ");
    Ok(terminal::answer(&question)?.as_deref() == Some("yes"))
}

fn told(done: &Leave) -> String {
    let mut lines = vec![match &done.cloud {
        InTheCloud::Unlinked => "The home is unlinked in the cloud.".to_owned(),
        InTheCloud::WasGone => "The home was not in the cloud any more.".to_owned(),
        InTheCloud::Kept => "The home stays in the cloud.".to_owned(),
        InTheCloud::NeverPaired => "No home was paired here.".to_owned(),
        InTheCloud::GoesOnElsewhere | InTheCloud::NotTold(_) => "The home was not unlinked in the cloud.".to_owned(),
    }];
    match done.music_assistant_token {
        Some(GivenBack::Revoked) => lines.push("Music Assistant's token is revoked.".into()),
        Some(GivenBack::WasRefused) => lines.push("Music Assistant's token was no good any more.".into()),
        Some(GivenBack::NotOurs | GivenBack::Failed) | None => {}
    }
    lines.push("Key, pairing and rules are deleted here.".into());
    if !done.by_hand.is_empty() {
        lines.push("Left to do by hand:".into());
        lines.extend(done.by_hand.iter().map(|step| format!("- {step}")));
    }
    lines.join("\n")
}
