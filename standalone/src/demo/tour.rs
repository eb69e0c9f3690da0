//! The tour: what a person would do on the first evening, once through, with each step checked against the truth.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde::Serialize;
use serde_json::{Value, json};

use super::hops::{Hop, RelaySaw, hops};
use super::stage::Stage;

/// How the tour went. Printed as it is by `demo --once --json`.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Whether every step worked.
    pub ok: bool,
    /// The first step that did not, and why.
    pub failed: Option<String>,
    /// Where the cloud listens.
    pub cloud_url: String,
    /// The home's fingerprint, equal at both ends.
    pub fingerprint: String,
    /// The steps in order.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Serialize)]
pub struct Step {
    /// What was done.
    pub name: String,
    /// Whether it worked.
    pub ok: bool,
    /// How long it took, as the outside saw it.
    pub millis: f64,
    /// What came of it.
    pub detail: String,
    /// For directives: where the time went.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hops: Vec<Hop>,
    /// For directives: what the relay could see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay_saw: Option<RelaySaw>,
}

/// Do the tour on a stage that is set up. `tell` hears of each step as it ends.
pub async fn tour(stage: &mut Stage, play: &str, mut tell: impl FnMut(&Step)) -> Summary {
    let mut steps = std::mem::take(&mut stage.set_up_steps);
    let failed = walk(stage, play, &mut steps, &mut tell).await.err().map(|error| format!("{error:#}"));
    Summary {
        ok: failed.is_none(),
        failed,
        cloud_url: stage.cloud_url.to_string(),
        fingerprint: stage.fingerprint.clone(),
        steps,
    }
}

async fn walk(
    stage: &mut Stage,
    play: &str,
    steps: &mut Vec<Step>,
    tell: &mut impl FnMut(&Step),
) -> anyhow::Result<()> {
    let mut done = |step: Step| {
        tell(&step);
        steps.push(step);
    };
    done(accept_grant(stage).await?);
    done(discover(stage).await?);
    // The kitchen, which all examples speak of, where there is one.
    let kitchen = stage.endpoints.iter().find(|endpoint| endpoint.friendly_name == "Kitchen");
    let room = kitchen.or(stage.endpoints.first()).context("discovery found no player")?.clone();
    done(play_by_voice(stage, play, &room.friendly_name).await?);
    done(set_volume(stage, &room.endpoint_id, &room.friendly_name, 30).await?);
    done(report_state(stage, &room.endpoint_id, &room.friendly_name).await?);
    done(pause(stage, &room.endpoint_id, &room.friendly_name).await?);
    Ok(())
}

async fn accept_grant(stage: &Stage) -> anyhow::Result<Step> {
    let directive = stage.alexa.accept_grant();
    let (event, step) = smart_home(stage, "Alexa.Authorization AcceptGrant", &directive, &[]).await?;
    expect_name(&event, "AcceptGrant.Response")?;
    Ok(Step { detail: "granted".into(), ..step })
}

async fn discover(stage: &mut Stage) -> anyhow::Result<Step> {
    let (event, step) = stage.discover().await?;
    expect_name(&event, "Discover.Response")?;
    let names: Vec<&str> = stage.endpoints.iter().map(|endpoint| endpoint.friendly_name.as_str()).collect();
    Ok(Step { detail: format!("{} players: {}", names.len(), names.join(", ")), ..step })
}

async fn play_by_voice(stage: &Stage, play: &str, room: &str) -> anyhow::Result<Step> {
    let said = format!("“Alexa, ask Music Assistant to play {play} in the {room}”");
    let request = stage.alexa.intent("PlayMediaIntent", &[("media", play), ("player", room)]);
    let started = Instant::now();
    let response = stage.alexa.send_custom(&request).await?;
    let speech = speech(&response).context("the skill said nothing")?;
    let step = stage.step(said, started, &[play, room], format!("Alexa says: “{speech}”"));
    stage.player_becomes(room, "playing", |player| player.playing).await.with_context(|| {
        format!("the skill said {speech:?}, but the player does not play (another title: --play TITLE)")
    })?;
    Ok(step)
}

async fn set_volume(stage: &Stage, endpoint: &str, room: &str, level: u8) -> anyhow::Result<Step> {
    let directive = stage.alexa.control("Alexa.Speaker", "SetVolume", endpoint, json!({"volume": level}));
    let said = format!("“Alexa, set the {room} volume to {level}”");
    let (event, step) = smart_home(stage, &said, &directive, &[room, "volume"]).await?;
    ensure!(property(&event, "volume") == Some(&json!(level)), "the event does not report volume {level}: {event}");
    stage.player_becomes(room, "at the new volume", |player| player.volume == Some(level)).await?;
    Ok(Step { detail: format!("volume is {level}"), ..step })
}

async fn report_state(stage: &Stage, endpoint: &str, room: &str) -> anyhow::Result<Step> {
    let directive = stage.alexa.control("Alexa", "ReportState", endpoint, json!({}));
    let (event, step) =
        smart_home(stage, &format!("the Alexa app opens the page of {room}"), &directive, &[room]).await?;
    expect_name(&event, "StateReport")?;
    let playback =
        property(&event, "playbackState").map_or("unknown", |value| value["state"].as_str().unwrap_or("unknown"));
    Ok(Step {
        detail: format!("playback {playback}, volume {}", property(&event, "volume").unwrap_or(&Value::Null)),
        ..step
    })
}

async fn pause(stage: &Stage, endpoint: &str, room: &str) -> anyhow::Result<Step> {
    let directive = stage.alexa.control("Alexa.PlaybackController", "Pause", endpoint, json!({}));
    let (event, step) = smart_home(stage, &format!("“Alexa, pause the {room}”"), &directive, &[room, "pause"]).await?;
    expect_name(&event, "Response")?;
    stage.player_becomes(room, "paused or stopped", |player| !player.playing).await?;
    Ok(Step { detail: "paused".into(), ..step })
}

async fn smart_home(stage: &Stage, name: &str, directive: &Value, words: &[&str]) -> anyhow::Result<(Value, Step)> {
    let started = Instant::now();
    let event = stage.alexa.send_directive(directive).await?;
    Ok((event, stage.step(name.to_owned(), started, words, String::new())))
}

fn expect_name(event: &Value, name: &str) -> anyhow::Result<()> {
    let header = &event["event"]["header"];
    if header["name"] == name {
        return Ok(());
    }
    let payload = &event["event"]["payload"];
    bail!("expected {name}, got {} ({} {})", header["name"], payload["type"], payload["message"])
}

/// A property's value in the event's context.
#[must_use]
pub fn property<'a>(event: &'a Value, name: &str) -> Option<&'a Value> {
    event["context"]["properties"]
        .as_array()?
        .iter()
        .find(|property| property["name"] == name)
        .map(|property| &property["value"])
}

/// What a custom response says, without markup.
#[must_use]
pub fn speech(response: &Value) -> Option<String> {
    let speech = &response["response"]["outputSpeech"];
    let text = speech["text"].as_str().or_else(|| speech["ssml"].as_str())?;
    let mut plain = String::new();
    let mut in_tag = false;
    for character in text.chars() {
        match character {
            '<' => in_tag = true,
            '>' => in_tag = false,
            character if !in_tag => plain.push(character),
            _ => {}
        }
    }
    let plain = plain.replace("&apos;", "'").replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">");
    Some(plain.replace("&amp;", "&"))
}

impl Stage {
    /// A step that began at `started` and has just ended, with the hops that the skill reported for it.
    pub(super) fn step(&self, name: String, started: Instant, words: &[&str], detail: String) -> Step {
        let millis = started.elapsed().as_secs_f64() * 1000.0;
        let trace = self.hops.take_latest();
        Step {
            name,
            ok: true,
            millis,
            detail,
            hops: trace.as_ref().map(hops).unwrap_or_default(),
            relay_saw: trace.as_ref().and_then(|trace| self.hops.relay_saw(trace, words)),
        }
    }
}

/// A player needs a moment to do what it was told; streaming services need more than one.
pub(super) const PATIENCE: Duration = Duration::from_secs(8);
