//! A great many directives and requests, each changed from one that is right, through the whole way to a home and back: no panic,
//! and every answer holds to the rules, whatever was asked.
//!
//! `MACLOUD_MUTATIONS` says how many of each kind; the usual run has few. A million of each is meant for an optimised build:
//! `MACLOUD_MUTATIONS=1000000 cargo test --release -p macloud-alexa-skill --test it mutations -- --nocapture`.
//! A case is its number: with `MACLOUD_MUTATIONS_FROM` a run begins with that one.

#![expect(
    clippy::print_stderr,
    reason = "the figures are what a long run is read for, and the case is what a failure is"
)]

use std::collections::BTreeMap;
use std::time::Instant;

use axum::http::StatusCode;
use macloud_alexa_skill::{SkillConfig, package};
use macloud_e2ee::vocabulary::{Item, MinuteOfDay, Percent, Refusal};
use macloud_proto::bus::v1::{not_sent, unknown};
use serde_json::{Value, json};

use super::support::mutate::{Dice, mutated};
use super::support::relay::Trouble;
use super::support::schemas::{self, custom_response};
use super::support::signing::{self, Authority, CERT_URL};
use super::support::{TOKEN, World, directive_to, discover, endpoint, error_type, scene};

#[test]
fn no_directive_panics_and_each_event_holds_to_the_rules() {
    block_on(Run::begin("directives", SkillConfig::default).with(directives));
}

#[test]
fn no_request_panics_and_each_response_holds_to_the_rules() {
    let runtime = runtime();
    let authority = runtime.block_on(Authority::new());
    runtime.block_on(Run::begin("requests", || authority.config()).with(requests));
}

/// One thread: what panics in a task would else be lost, and a case would depend on more than its number.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn block_on(run: impl Future<Output = ()>) {
    runtime().block_on(run);
}

struct Run<C> {
    what: &'static str,
    config: C,
    from: u64,
    count: u64,
    answers: BTreeMap<String, u64>,
    began: Instant,
}

impl<C: Fn() -> SkillConfig> Run<C> {
    fn begin(what: &'static str, config: C) -> Self {
        let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect("a number of cases"));
        let count = number("MACLOUD_MUTATIONS").unwrap_or(USUALLY);
        let from = number("MACLOUD_MUTATIONS_FROM").unwrap_or(0);
        Self { what, config, from, count, answers: BTreeMap::new(), began: Instant::now() }
    }

    /// All cases. A world of fakes remembers everything that passes, so each has its share only; in every other one things go wrong.
    async fn with(mut self, cases: impl AsyncFn(&Stage, &mut Dice, &mut Conversation) -> String) {
        let end = self.from + self.count;
        let mut at = self.from;
        while at < end {
            let share = end.min((at / SHARE + 1) * SHARE);
            let stage = Stage::set((self.config)(), (at / SHARE) % 2 == 1).await;
            let mut conversation = Conversation::default();
            for number in at..share {
                let case = Case { number, what: self.what };
                let mut dice = Dice::new(number.wrapping_mul(0x1000_0000_0000_003f));
                let answer = cases(&stage, &mut dice, &mut conversation).await;
                *self.answers.entry(answer).or_default() += 1;
                drop(case);
            }
            stage.strike().await;
            at = share;
        }
        let seconds = self.began.elapsed().as_secs_f64();
        eprintln!("{} {} in {seconds:.1} s without a panic: {:?}", self.count, self.what, self.answers);
        assert!(self.answers.contains_key("done"), "some of them must have reached the home");
    }
}

/// Said when what is done in its life panics.
struct Case {
    number: u64,
    what: &'static str,
}

impl Drop for Case {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("case {} of {}: MACLOUD_MUTATIONS_FROM={} repeats it", self.number, self.what, self.number);
        }
    }
}

/// What Alexa keeps between two turns.
#[derive(Default)]
struct Conversation(Vec<Value>);

impl Conversation {
    fn goes_on(&mut self, response: &Value) {
        if let Some(attributes) = response.get("sessionAttributes") {
            self.0.truncate(63);
            self.0.insert(0, attributes.clone());
        }
    }
}

struct Stage {
    world: World,
    /// Homes refuse and relays fail.
    is_troubled: bool,
    directives: Vec<Value>,
    requests: Vec<Value>,
}

impl Stage {
    async fn set(config: SkillConfig, is_troubled: bool) -> Self {
        let world = World::with(config).await;
        let preset = world.home().add_preset("Jazz");
        let directives = right_directives(&scene(1, &preset), &preset.to_string());
        Self { world, is_troubled, directives, requests: right_requests() }
    }

    async fn strike(self) {
        self.world.stop.stop_hard();
        self.world.running.await.expect("nothing that runs in the background panics either");
    }

    fn trouble(&self, dice: &mut Dice) {
        if !self.is_troubled || !dice.is_one_in(4) {
            return;
        }
        match dice.roll(4) {
            0 => self.world.accounts.fail(1),
            1 => self.world.relay.trouble(some_trouble(dice)),
            _ => self.world.home().refuse_next(some_refusal(dice)),
        }
    }
}

fn some_trouble(dice: &mut Dice) -> Trouble {
    use not_sent::Reason;
    match dice.roll(4) {
        0 => Trouble::Spoil,
        1 => Trouble::Unknown(unknown::Reason::Deadline, dice.is_one_in(2)),
        2 => Trouble::SentAgainAfterRestart,
        _ => Trouble::NotSent(*dice.pick(&[
            Reason::NotConnected,
            Reason::Busy,
            Reason::Deadline,
            Reason::RateLimited,
            Reason::Paused,
            Reason::UsedUp,
            Reason::Invalid,
        ])),
    }
}

fn some_refusal(dice: &mut Dice) -> Refusal {
    let names = || vec!["Kitchen".to_owned(), "</speak> & \u{202e}".into(), String::new()];
    let item = Item { title: "A & B <x>".into(), artist: Some("?".into()), album: None, kind: None };
    match dice.roll(16) {
        0 => Refusal::UnknownPlayer,
        1 => Refusal::NoPlayerNamed(names()),
        2 => Refusal::WhichPlayer(names()),
        3 => Refusal::PlayerUnavailable("<b>".into()),
        4 => Refusal::MediaNotFound,
        5 => Refusal::NothingToPlay,
        6 => Refusal::NotSupported,
        7 => Refusal::MusicAssistantAway(None),
        8 => Refusal::MusicAssistantRefusesToken,
        9 => Refusal::QuietHours(MinuteOfDay::new(60)),
        10 => Refusal::VolumeLimited(Percent::clamped(40)),
        11 => Refusal::CannotGroup("&".into()),
        12 => Refusal::OutcomeUnknown,
        13 => Refusal::Internal,
        14 => Refusal::UnknownCommand,
        _ => Refusal::DidYouMean(item),
    }
}

// --- directives ----------------------------------------------------------------------------------------------------------

async fn directives(stage: &Stage, dice: &mut Dice, _: &mut Conversation) -> String {
    stage.trouble(dice);
    let body = mutated(dice.pick(&stage.directives), &stage.directives, dice);
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let is_too_long = body.len() > LONGEST_MESSAGE;
    let (status, event) = stage.world.post("/alexa/v1/smart-home", body).await;
    match status {
        StatusCode::OK => check_event(&asked, &event, stage.is_troubled),
        StatusCode::BAD_REQUEST => "no directive".into(),
        status => {
            assert!(is_too_long && status == StatusCode::PAYLOAD_TOO_LARGE, "{status} {asked}");
            "too long".into()
        }
    }
}

/// What came of it, in a word.
fn check_event(asked: &Value, event: &Value, is_troubled: bool) -> String {
    let (directive, header) = (&asked["directive"], &event["event"]["header"]);
    // Alexa's are some hundred bytes, and come back as they are, however long: only then is an answer ever longer than it may be.
    let correlation = directive["header"]["correlationToken"].as_str().unwrap_or_default();
    if correlation.len() < 4096 {
        schemas::check_shape(event);
    }
    assert_eq!((header["payloadVersion"].as_str(), header["messageId"].as_str().map(str::len)), (Some("3"), Some(36)));
    assert!(header.get("correlationToken").is_none_or(|token| *token == correlation), "{header} answers {asked}");
    let Value::String(error) = &event["event"]["payload"]["type"] else { return "done".into() };
    assert_eq!(error_type(event), error, "an error is told as one");
    if token_of(directive) == TOKEN {
        assert!(!error.contains("AUTHORIZATION_CREDENTIAL"), "a good token is believed: {asked} {event}");
    }
    assert!(
        is_troubled || !matches!(error.as_str(), "BRIDGE_UNREACHABLE" | "INTERNAL_ERROR" | "ENDPOINT_UNREACHABLE"),
        "a home that is there is answered for: {asked} {event}"
    );
    error.clone()
}

fn token_of(directive: &Value) -> &str {
    let place = if directive["header"]["namespace"] == "Alexa.Discovery" { "payload" } else { "endpoint" };
    directive[place]["scope"]["token"].as_str().unwrap_or_default()
}

/// At least one of each that our endpoints take.
fn right_directives(scene: &str, preset: &str) -> Vec<Value> {
    let instances = [
        ("Alexa.ToggleController", "TurnOn", "Queue.Shuffle", json!({})),
        ("Alexa.ToggleController", "TurnOff", "Queue.Autoplay", json!({})),
        ("Alexa.ModeController", "SetMode", "Queue.Repeat", json!({"mode": "Repeat.All"})),
        ("Alexa.ModeController", "SetMode", "Player.Preset", json!({"mode": format!("Preset.{preset}")})),
        ("Alexa.RangeController", "SetRangeValue", "Player.SleepTimer", json!({"rangeValue": 20})),
        (
            "Alexa.RangeController",
            "AdjustRangeValue",
            "Player.SleepTimer",
            json!({"rangeValueDelta": 1, "rangeValueDeltaDefault": true}),
        ),
    ];
    let instances = instances.map(|(namespace, name, instance, payload)| {
        let mut directive = directive_to(&endpoint(1, 1), namespace, name, payload);
        directive["directive"]["header"]["instance"] = instance.into();
        directive
    });
    let controls = [
        ("Alexa", "ReportState", json!({})),
        ("Alexa.PowerController", "TurnOn", json!({})),
        ("Alexa.PowerController", "TurnOff", json!({})),
        ("Alexa.Speaker", "SetVolume", json!({"volume": 50})),
        ("Alexa.Speaker", "AdjustVolume", json!({"volume": -20, "volumeDefault": false})),
        ("Alexa.Speaker", "SetMute", json!({"mute": true})),
        ("Alexa.StepSpeaker", "AdjustVolume", json!({"volumeSteps": 3, "volumeStepsDefault": true})),
        ("Alexa.PercentageController", "SetPercentage", json!({"percentage": 40})),
        ("Alexa.PercentageController", "AdjustPercentage", json!({"percentageDelta": -10})),
        ("Alexa.SeekController", "AdjustSeekPosition", json!({"deltaPositionMilliseconds": -15000})),
        ("Alexa.InputController", "SelectInput", json!({"input": "HDMI 1"})),
    ];
    let transport = ["Play", "Pause", "Stop", "Next", "Previous", "StartOver", "FastForward", "Rewind"];
    let transport = transport.map(|name| ("Alexa.PlaybackController", name, json!({})));
    let controls = controls.into_iter().chain(transport).enumerate().map(|(at, (namespace, name, payload))| {
        directive_to(&endpoint(1, 1 + (at % 2) as u8), namespace, name, payload)
    });
    let grant = json!({"directive": {
        "header": {"namespace": "Alexa.Authorization", "name": "AcceptGrant", "messageId": "m", "payloadVersion": "3"},
        "payload": {
            "grant": {"type": "OAuth2.AuthorizationCode", "code": "a code"},
            "grantee": {"type": "BearerToken", "token": TOKEN}
        }
    }});
    let scene = directive_to(scene, "Alexa.SceneController", "Activate", json!({}));
    controls.chain(instances).chain([grant, scene, discover()]).collect()
}

// --- requests ------------------------------------------------------------------------------------------------------------

async fn requests(stage: &Stage, dice: &mut Dice, conversation: &mut Conversation) -> String {
    stage.trouble(dice);
    let mut request = dice.pick(&stage.requests).clone();
    if !conversation.0.is_empty() && dice.is_one_in(3) {
        request["session"]["new"] = json!(false);
        request["session"]["attributes"] = dice.pick(&conversation.0).clone();
    }
    let body = mutated(&request, &stage.requests, dice);
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (status, response) = stage.world.call(signing::post(CERT_URL, &signing::sign(&body), &body)).await;
    if status == StatusCode::BAD_REQUEST {
        assert_eq!(response, Value::Null, "whoever is not believed is told nothing");
        return "not believed".into();
    }
    assert_eq!(status, StatusCode::OK, "{asked}");
    conversation.goes_on(&response);
    check_response(&asked, &response)
}

/// What came of it, in a word.
fn check_response(asked: &Value, response: &Value) -> String {
    if let Some(schema) = custom_response() {
        let errors: Vec<String> = schema.iter_errors(response).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?} {response:#} answers {asked}");
    }
    assert!(response.to_string().len() <= LONGEST_RESPONSE, "{response}");
    let inner = &response["response"];
    let listens = inner["shouldEndSession"] == false;
    assert_eq!(listens, inner.get("reprompt").is_some(), "the microphone opens for a question only: {response}");
    assert!(listens || response.get("sessionAttributes").is_none(), "nobody answers that: {response}");
    for place in ["/outputSpeech/ssml", "/reprompt/outputSpeech/ssml"] {
        inner.pointer(place).and_then(Value::as_str).into_iter().for_each(check_ssml);
    }
    let is_linked = asked.pointer("/context/System/user/accessToken") == Some(&json!(TOKEN));
    let links = inner["card"]["type"] == "LinkAccount";
    assert!(!(is_linked && links), "a good token is believed: {asked} {response}");
    let word = match (inner.get("outputSpeech"), listens, links) {
        (None, ..) => "silence",
        (_, _, true) => "link first",
        (_, true, _) => "asked back",
        _ => "done",
    };
    word.into()
}

/// No markup but the outermost, no ampersand that begins nothing, no character that XML does not have, and no more than Alexa speaks.
fn check_ssml(ssml: &str) {
    let text = ssml.strip_prefix("<speak>").and_then(|text| text.strip_suffix("</speak>")).unwrap();
    assert!(!text.contains(['<', '>']), "{ssml}");
    let entities = ["amp;", "lt;", "gt;", "quot;", "apos;"];
    assert!(text.split('&').skip(1).all(|rest| entities.iter().any(|entity| rest.starts_with(entity))), "{ssml}");
    assert!(text.chars().all(|c| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}')), "{ssml:?}");
    assert!(text.chars().count() <= LONGEST_SPEECH, "{} characters", text.chars().count());
}

/// Every intent of every language, and what is no intent.
fn right_requests() -> Vec<Value> {
    let mut requests = Vec::new();
    for (at, locale) in package::LOCALES.into_iter().enumerate() {
        let model = package::model(locale);
        for intent in model["interactionModel"]["languageModel"]["intents"].as_array().unwrap() {
            let slots = intent["slots"].as_array().into_iter().flatten().map(|slot| slot["name"].as_str().unwrap());
            let slots: Vec<(&str, &str)> = slots.map(|slot| (slot, said_for(slot, at))).collect();
            let mut request = signing::intent(intent["name"].as_str().unwrap(), &slots);
            request["request"]["locale"] = locale.into();
            requests.push(request);
        }
        for kind in ["LaunchRequest", "SessionEndedRequest"] {
            let mut request = signing::request(kind, Value::Null);
            request["request"]["locale"] = locale.into();
            requests.push(request);
        }
    }
    for event in ["SkillEnabled", "SkillDisabled", "SkillAccountLinked", "SkillPermissionChanged"] {
        requests.push(signing::request(&format!("AlexaSkillEvent.{event}"), Value::Null));
    }
    requests.iter_mut().for_each(resolve_kind);
    requests
}

fn said_for(slot: &str, at: usize) -> &'static str {
    match slot {
        "player" => ["kitchen", "bathroom", "attic"][at % 3],
        "other" => "bathroom",
        "home" => "home",
        "artist" => "miles davis",
        "mediaType" => "album",
        "level" => "30",
        "time" => "PT5M",
        _ => "kind of blue",
    }
}

/// As Alexa does with a word that is in the model's list.
fn resolve_kind(request: &mut Value) {
    if let Some(slot) = request.pointer_mut("/request/intent/slots/mediaType") {
        slot["resolutions"] = json!({"resolutionsPerAuthority": [{
            "authority": "amzn1.er-authority.echo-sdk.KIND", "status": {"code": "ER_SUCCESS_MATCH"},
            "values": [{"value": {"name": "album", "id": "ALBUM"}}]
        }]});
    }
}

/// Of each kind, in a run that nobody asked to be longer: some seconds, unoptimised.
const USUALLY: u64 = 2_000;
/// Cases in one world.
const SHARE: u64 = 1_000;

/// Of what Alexa sends, and of what it takes.
const LONGEST_MESSAGE: usize = 256 * 1024;
const LONGEST_RESPONSE: usize = 24 * 1024;
const LONGEST_SPEECH: usize = 8_000;
