//! What is said to the pretend Alexa, as the simulator page and the script say it: heard, sent, and shown with all that it led to.

use std::collections::HashMap;
use std::time::Instant;

use serde_json::{Value, json};

use super::stage::{Endpoint, Stage};
use super::tour::{property, speech};
use crate::utterance::{self, Utterance};

/// Who speaks, and to what.
#[derive(Debug, Clone, Copy)]
pub struct Voice<'a> {
    /// The language that is spoken.
    pub locale: &'a str,
    /// The device that is spoken to; the empty name is one, too.
    pub device: &'a str,
    /// Whether who speaks has linked the account.
    pub linked: bool,
}

/// The conversations that go on, one with each device, in Alexa's keeping.
#[derive(Default)]
pub struct Talk {
    /// What the last question left open there.
    sessions: HashMap<String, Session>,
}

struct Session {
    id: Value,
    attributes: Value,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    SmartHome,
    Custom,
}

impl Talk {
    /// Say `text`.
    ///
    /// # Errors
    /// When Alexa makes nothing of it, or the skill does not answer.
    pub async fn hear(&mut self, stage: &mut Stage, voice: Voice<'_>, text: &str) -> anyhow::Result<Value> {
        let names: Vec<String> = stage.endpoints.iter().map(|endpoint| endpoint.friendly_name.clone()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        match utterance::parse_in(voice.locale, text, &names)? {
            // Alexa sends no directive for who has not linked: she knows none of their devices.
            Utterance::Discover | Utterance::SmartHome { .. } if !voice.linked => {
                anyhow::bail!(utterance::not_linked(voice.locale))
            }
            Utterance::Discover => {
                let directive = stage.alexa.discover();
                pass_on(stage, text.into(), Kind::SmartHome, directive).await
            }
            Utterance::SmartHome { namespace, name, payload, player } => {
                let Endpoint { endpoint_id, is_scene, .. } = find_endpoint(stage, voice.locale, &player)?;
                let (namespace, name) = if *is_scene && name == "TurnOn" {
                    ("Alexa.SceneController", "Activate")
                } else {
                    (namespace, name)
                };
                let directive = stage.alexa.control(namespace, name, endpoint_id, payload);
                pass_on(stage, text.into(), Kind::SmartHome, directive).await
            }
            Utterance::Launch => {
                let request = stage.alexa.launch();
                self.custom(stage, voice, text, request).await
            }
            Utterance::Custom { intent, slots } => {
                let slots: Vec<(&str, &str)> = slots.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let request = stage.alexa.intent(intent, &slots);
                self.custom(stage, voice, text, request).await
            }
        }
    }

    /// What Alexa makes of something said that no sentence of ours has: this intent.
    ///
    /// # Errors
    /// When the skill does not answer.
    pub async fn intent(
        &mut self,
        stage: &mut Stage,
        voice: Voice<'_>,
        intent: &str,
        slots: &[(&str, &str)],
    ) -> anyhow::Result<Value> {
        let request = stage.alexa.intent(intent, slots);
        self.custom(stage, voice, intent, request).await
    }

    /// Send this directive.
    ///
    /// # Errors
    /// When the skill does not answer.
    pub async fn directive(&mut self, stage: &mut Stage, directive: Value) -> anyhow::Result<Value> {
        pass_on(stage, "a directive".into(), Kind::SmartHome, directive).await
    }

    async fn custom(
        &mut self,
        stage: &mut Stage,
        voice: Voice<'_>,
        heard: &str,
        mut request: Value,
    ) -> anyhow::Result<Value> {
        request["request"]["locale"] = voice.locale.into();
        let device = &mut request["context"]["System"]["device"]["deviceId"];
        *device = format!("{}{}", device.as_str().unwrap_or_default(), voice.device).into();
        if !voice.linked {
            for user in ["/context/System/user", "/session/user"] {
                if let Some(user) = request.pointer_mut(user).and_then(Value::as_object_mut) {
                    user.remove("accessToken");
                }
            }
        }
        // The conversation goes on where a question left it.
        if let Some(Session { id, attributes }) = self.sessions.remove(voice.device) {
            request["session"]["new"] = false.into();
            request["session"]["sessionId"] = id;
            request["session"]["attributes"] = attributes;
        }
        let id = request["session"]["sessionId"].clone();
        let answer = pass_on(stage, heard.into(), Kind::Custom, request).await?;
        if answer["response"]["response"]["shouldEndSession"] == false {
            let attributes = answer["response"].get("sessionAttributes").cloned().unwrap_or_else(|| json!({}));
            self.sessions.insert(voice.device.to_owned(), Session { id, attributes });
        }
        Ok(answer)
    }
}

/// Alexa matches device names herself before she sends a directive. What she does not know, she says in the language of `locale`.
///
/// # Errors
/// When she knows no such device.
pub fn find_endpoint<'s>(stage: &'s Stage, locale: &str, player: &str) -> anyhow::Result<&'s Endpoint> {
    let plain = |name: &str| name.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    let by_name: HashMap<String, &Endpoint> = stage.endpoints.iter().map(|e| (plain(&e.friendly_name), e)).collect();
    let names: Vec<&str> = stage.endpoints.iter().map(|e| e.friendly_name.as_str()).collect();
    by_name
        .get(&plain(player))
        .copied()
        .ok_or_else(|| anyhow::anyhow!(utterance::no_such_device(locale, player, &names)))
}

async fn pass_on(stage: &mut Stage, heard: String, kind: Kind, request: Value) -> anyhow::Result<Value> {
    let started = Instant::now();
    let response = match kind {
        Kind::SmartHome => stage.alexa.send_directive(&request).await?,
        Kind::Custom => stage.alexa.send_custom(&request).await?,
    };
    let names: Vec<String> = stage.endpoints.iter().map(|endpoint| endpoint.friendly_name.clone()).collect();
    let words: Vec<&str> =
        heard.split_whitespace().filter(|word| word.len() > 3).chain(names.iter().map(String::as_str)).collect();
    let step = stage.step(String::new(), started, &words, String::new());
    Ok(json!({
        "heard": heard,
        "kind": if kind == Kind::Custom { "custom" } else { "smart_home" },
        "request": without_tokens(request),
        "speech": speech(&response),
        "response": response,
        "hops": step.hops,
        "total_micros": (step.millis * 1000.0) as u64,
        "relay_saw": step.relay_saw,
    }))
}

/// The page shows the directive, not the keys to the account.
fn without_tokens(mut request: Value) -> Value {
    fn mask(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if matches!(name.as_str(), "token" | "accessToken" | "apiAccessToken") && value.is_string() {
                        *value = "…".into();
                    } else {
                        mask(value);
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(mask),
            _ => {}
        }
    }
    mask(&mut request);
    request
}

/// The home and its players now.
pub async fn picture(stage: &Stage) -> Value {
    json!({
        "home": {
            "name": "Demo home",
            "fingerprint": stage.fingerprint,
            "instance_id": stage.instance_id,
            "online": !stage.endpoints.is_empty(),
        },
        "account": {"email": stage.person.0, "pages": stage.cloud_url.join("/homes").ok()},
        "players": players(stage).await,
        "endpoints": stage.endpoints,
    })
}

/// The players as they are: the truth of the simulated home, or what a real one reports.
pub async fn players(stage: &Stage) -> Vec<Value> {
    match &stage.simulated {
        Some(home) => home.state().players.iter().map(simulated_player).collect(),
        None => reported_players(stage).await,
    }
}

fn simulated_player(player: &macloud_simulated_home::PlayerState) -> Value {
    let now_playing = player
        .now_playing
        .as_ref()
        .map(|item| json!({"title": item.title, "artist": item.artist, "album": item.album}));
    json!({
        "id": player.player_id,
        "name": player.name,
        "available": player.available,
        "state": player.state,
        "volume": player.volume,
        "muted": player.muted,
        "powered": player.powered,
        "now_playing": now_playing,
        "elapsed_s": player.elapsed_s.floor(),
        "duration_s": player.duration_s,
    })
}

/// A real Music Assistant is asked as Alexa would.
async fn reported_players(stage: &Stage) -> Vec<Value> {
    let mut players = Vec::new();
    for endpoint in stage.endpoints.iter().filter(|endpoint| !endpoint.is_scene) {
        let directive = stage.alexa.control("Alexa", "ReportState", &endpoint.endpoint_id, json!({}));
        let report = stage.alexa.send_directive(&directive).await.unwrap_or_default();
        let _ = stage.hops.take_latest();
        let playback =
            property(&report, "playbackState").and_then(|value| value["state"].as_str()).unwrap_or("STOPPED");
        players.push(json!({
            "id": endpoint.endpoint_id,
            "name": endpoint.friendly_name,
            "available": property(&report, "connectivity").is_some_and(|value| value["value"] == "OK"),
            "state": match playback { "PLAYING" => "playing", "PAUSED" => "paused", _ => "idle" },
            "volume": property(&report, "volume"),
            "muted": property(&report, "muted"),
            "powered": property(&report, "powerState").is_some_and(|value| value == "ON"),
            "now_playing": null,
            "elapsed_s": null,
            "duration_s": null,
        }));
    }
    players
}
