//! `demo --script`: what is said and sent stands in a file, and what must come of it.
//!
//! A file of JSON objects, one a line; empty lines and those that begin with `#` are for people.
//!
//! ```json
//! {"say": "play Kind of Blue in the kitchen", "expect": {"request": "PlayMediaIntent", "speech": ["Kind of Blue"],
//!  "players": {"Kitchen": {"state": "playing"}}}}
//! {"locale": "de-DE", "say": "was läuft", "expect": {"speech": ["Kind of Blue"], "asks": false}}
//! {"intent": "SetVolumeIntent", "slots": {"level": "500"}, "expect": {"asks": false}}
//! {"directive": {"namespace": "Alexa.Speaker", "name": "SetVolume", "player": "Kitchen", "payload": {"volume": 101}},
//!  "expect": {"error": "VALUE_OUT_OF_RANGE"}}
//! ```
//!
//! `device` names the Echo that is spoken to, `linked` is false for who has not linked an account; both, and `locale`, are
//! as they were in the line before where they are left out. (A line of the file is one line; above it is broken for the page.)

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::stage::Stage;
use super::talk::{Talk, Voice, find_endpoint, players};
use super::tour::{PATIENCE, property};

/// Something to say or to send, and what must come of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Which line of the file it is, from 1.
    #[serde(skip)]
    pub number: usize,
    say: Option<String>,
    intent: Option<String>,
    #[serde(default)]
    slots: BTreeMap<String, String>,
    directive: Option<Directive>,
    locale: Option<String>,
    device: Option<String>,
    linked: Option<bool>,
    #[serde(default)]
    expect: Expected,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Directive {
    namespace: String,
    name: String,
    #[serde(default)]
    instance: Option<String>,
    /// Its device's name; without, one that nobody has.
    #[serde(default)]
    player: Option<String>,
    #[serde(default = "empty")]
    payload: Value,
}

fn empty() -> Value {
    json!({})
}

/// What is left out may be anything.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Expected {
    /// What it was understood as: the intent, the type of a request without one, or the directive's name.
    request: Option<String>,
    /// Alexa makes nothing of it.
    not_understood: bool,
    /// Each of these is said.
    speech: Vec<String>,
    /// Whether Alexa listens for an answer.
    asks: Option<bool>,
    /// The event's name.
    event: Option<String>,
    /// The error's type.
    error: Option<String>,
    /// The kind of card in the app.
    card: Option<String>,
    /// Properties that the event reports, by name.
    properties: Map<String, Value>,
    /// How players are soon afterwards, by name. Of what plays, any of its texts.
    players: BTreeMap<String, Map<String, Value>>,
}

/// The lines of a script.
///
/// # Errors
/// When the file cannot be read or a line is not as it should be; the error names it.
pub fn read(file: &Path) -> anyhow::Result<Vec<Line>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let lines = parse(&text).with_context(|| file.display().to_string())?;
    ensure!(!lines.is_empty(), "{} says nothing", file.display());
    Ok(lines)
}

fn parse(text: &str) -> anyhow::Result<Vec<Line>> {
    let written = text.lines().enumerate().map(|(at, text)| (at + 1, text.trim()));
    let meant = written.filter(|(_, text)| !text.is_empty() && !text.starts_with('#'));
    let read = meant.map(|(number, text)| {
        let line: Line = serde_json::from_str(text).with_context(|| format!("line {number}"))?;
        let ways = [line.say.is_some(), line.intent.is_some(), line.directive.is_some()];
        ensure!(
            ways.into_iter().filter(|way| *way).count() == 1,
            "line {number}: it takes one of `say`, `intent` and `directive`"
        );
        Ok(Line { number, ..line })
    });
    read.collect()
}

/// Say and send it all, whatever comes of each. `tell` hears of each line: what was said, what was made of it, the hops, what was
/// answered, the players, and, in `failed`, what is not as it must be. How many of them are not.
pub async fn play(stage: &mut Stage, lines: &[Line], mut tell: impl FnMut(&Value)) -> usize {
    let mut talk = Talk::default();
    let (mut locale, mut device, mut linked) = ("en-US".to_owned(), String::new(), true);
    let mut failures = 0;
    for line in lines {
        locale = line.locale.clone().unwrap_or(locale);
        device = line.device.clone().unwrap_or(device);
        linked = line.linked.unwrap_or(linked);
        let voice = Voice { locale: &locale, device: &device, linked };
        let answered = line.send(stage, &mut talk, voice).await;
        let failed = line.expect.check(stage, &answered).await.err().map(|error| format!("{error:#}"));
        failures += usize::from(failed.is_some());
        let mut told = match answered {
            Ok(answer) => answer,
            Err(error) => json!({"heard": line.words(), "not_understood": format!("{error:#}")}),
        };
        told["line"] = line.number.into();
        told["locale"] = locale.as_str().into();
        told["device"] = device.as_str().into();
        told["ok"] = failed.is_none().into();
        told["failed"] = failed.into();
        told["players"] = players(stage).await.into();
        tell(&told);
    }
    failures
}

impl Line {
    async fn send(&self, stage: &mut Stage, talk: &mut Talk, voice: Voice<'_>) -> anyhow::Result<Value> {
        if let Some(text) = &self.say {
            return talk.hear(stage, voice, text).await;
        }
        if let Some(intent) = &self.intent {
            let slots: Vec<(&str, &str)> =
                self.slots.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            return talk.intent(stage, voice, intent, &slots).await;
        }
        let Some(Directive { namespace, name, instance, player, payload }) = &self.directive else {
            bail!("nothing is said")
        };
        let endpoint = match player {
            Some(player) => find_endpoint(stage, "en-US", player)?.endpoint_id.clone(),
            None => "nobody".to_owned(),
        };
        let mut directive = match name.as_str() {
            "Discover" => stage.alexa.discover(),
            "AcceptGrant" => stage.alexa.accept_grant(),
            _ => stage.alexa.control(namespace, name, &endpoint, payload.clone()),
        };
        if let Some(instance) = instance {
            directive["directive"]["header"]["instance"] = instance.as_str().into();
        }
        talk.directive(stage, directive).await
    }

    fn words(&self) -> &str {
        self.say.as_deref().or(self.intent.as_deref()).unwrap_or("a directive")
    }
}

impl Expected {
    async fn check(&self, stage: &Stage, answered: &anyhow::Result<Value>) -> anyhow::Result<()> {
        let answer = match answered {
            Ok(_) if self.not_understood => bail!("Alexa should have made nothing of it"),
            Ok(answer) => answer,
            Err(_) if self.not_understood => return Ok(()),
            Err(error) => bail!("{error:#}"),
        };
        self.check_answer(answer)?;
        for (name, wanted) in &self.players {
            becomes(stage, name, wanted).await?;
        }
        Ok(())
    }

    fn check_answer(&self, answer: &Value) -> anyhow::Result<()> {
        let (request, response) = (&answer["request"], &answer["response"]);
        let custom = &request["request"];
        let understood = [&custom["intent"]["name"], &custom["type"], &request["directive"]["header"]["name"]];
        let understood = understood.into_iter().find_map(Value::as_str).unwrap_or_default();
        let is = |what: &str, wanted: Option<&String>, found: &str| {
            let wanted = wanted.map_or(found, String::as_str);
            ensure!(wanted == found, "the {what} is {found:?}, not {wanted:?}");
            Ok(())
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        is("request", self.request.as_ref(), understood)?;
        is("event", self.event.as_ref(), &text(&response["event"]["header"]["name"]))?;
        is("error", self.error.as_ref(), &text(&response["event"]["payload"]["type"]))?;
        is("card", self.card.as_ref(), &text(&response["response"]["card"]["type"]))?;
        let speech = text(&answer["speech"]);
        for wanted in &self.speech {
            ensure!(
                speech.to_lowercase().contains(&wanted.to_lowercase()),
                "{wanted:?} is not in what is said: {speech:?}"
            );
        }
        let asks = response["response"]["shouldEndSession"] == false;
        ensure!(self.asks.is_none_or(|wanted| wanted == asks), "whether Alexa listens for an answer: {asks}");
        for (name, wanted) in &self.properties {
            let is = property(response, name);
            ensure!(is == Some(wanted), "{name} is reported as {}, not {wanted}", is.unwrap_or(&Value::Null));
        }
        Ok(())
    }
}

/// A player needs a moment to do what it was told.
async fn becomes(stage: &Stage, name: &str, wanted: &Map<String, Value>) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        let players = players(stage).await;
        let player = players.iter().find(|player| player["name"] == name);
        let player = player.with_context(|| format!("there is no player {name:?}"))?;
        if wanted.iter().all(|(what, wanted)| fits(&player[what], wanted)) {
            return Ok(());
        }
        let is = Map::from_iter(wanted.keys().map(|what| (what.clone(), player[what].clone())));
        ensure!(begun.elapsed() < PATIENCE, "{name} is not {} but {}", Value::from(wanted.clone()), Value::from(is));
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

fn fits(is: &Value, wanted: &Value) -> bool {
    let among = |fields: &Map<String, Value>| fields.values().any(|value| value == wanted);
    is == wanted || is.as_object().is_some_and(among)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read_and_its_mistakes_are_named() {
        let lines =
            parse("# talk\n\n{\"say\": \"stop\", \"expect\": {\"asks\": false}}\n{\"intent\": \"A\"}\n").unwrap();
        assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [3, 4]);
        for (wrong, why) in [
            ("{}", "line 1: it takes one of"),
            ("\n{\"say\": \"a\", \"intent\": \"b\"}", "line 2: it takes one of"),
            ("{\"say\": 1}", "line 1"),
            ("{\"say\": \"a\", \"expects\": {}}", "unknown field `expects`"),
        ] {
            let error = format!("{:#}", parse(wrong).unwrap_err());
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }

    #[test]
    fn what_is_not_as_it_must_be_is_named() {
        let answer = json!({
            "request": {"request": {"type": "IntentRequest", "intent": {"name": "PlayMediaIntent"}}},
            "response": {"response": {"shouldEndSession": true, "card": {"type": "Simple"}}},
            "speech": "Playing Kind of Blue.",
        });
        let event = json!({
            "request": {"directive": {"header": {"name": "SetVolume"}}},
            "response": {
                "context": {"properties": [{"name": "volume", "value": 30}]},
                "event": {"header": {"name": "Response"}, "payload": {}},
            },
        });
        let check = |expected: Value, answer: &Value| {
            let expected: Expected = serde_json::from_value(expected).unwrap();
            expected.check_answer(answer).map_err(|error| error.to_string())
        };
        for (good, answer) in [
            (json!({}), &answer),
            (
                json!({"request": "PlayMediaIntent", "speech": ["kind of blue"], "asks": false, "card": "Simple"}),
                &answer,
            ),
            (json!({"request": "SetVolume", "event": "Response", "properties": {"volume": 30}}), &event),
        ] {
            assert_eq!(check(good, answer), Ok(()));
        }
        for (bad, answer, why) in [
            (json!({"request": "LaunchRequest"}), &answer, "\"PlayMediaIntent\", not \"LaunchRequest\""),
            (json!({"speech": ["Post"]}), &answer, "\"Post\" is not in what is said"),
            (json!({"asks": true}), &answer, "listens for an answer: false"),
            (json!({"card": "LinkAccount"}), &answer, "\"Simple\", not \"LinkAccount\""),
            (json!({"error": "INVALID_VALUE"}), &event, "not \"INVALID_VALUE\""),
            (json!({"properties": {"volume": 31}}), &event, "reported as 30, not 31"),
            (json!({"properties": {"muted": true}}), &event, "reported as null, not true"),
        ] {
            let error = check(bad, answer).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        assert!(fits(&json!({"title": "So What", "album": "Kind of Blue"}), &json!("Kind of Blue")));
        assert!(!fits(&json!(30), &json!(31)) && !fits(&Value::Null, &json!("x")));
    }
}
