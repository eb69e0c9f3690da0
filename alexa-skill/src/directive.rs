//! The border of the smart home side: a JSON text in, a [`Directive`] out that cannot be wrong.
//!
//! Unknown fields are skipped, as Alexa adds some without notice. What is not a directive at all is [`Malformed`] and
//! becomes an HTTP error; what is one that our endpoints do not take is answered with an event like any other failure.

use std::fmt;

use macloud_e2ee::vocabulary::{MAX_SLEEP_MINUTES, Percent, Repeat, Transport};
use macloud_proto::ids::{InstanceId, PlayerKey, PresetKey};
use serde_json::{Map, Value};

use crate::failure::{Failure, TokenFault};
use crate::token::AccessToken;

/// A directive that our endpoints take.
#[derive(Debug)]
pub struct Directive {
    /// What the answer must repeat.
    pub reply_to: ReplyTo,
    /// Whom it speaks for.
    pub token: AccessToken,
    /// What it asks.
    pub ask: Ask,
}

/// What an answer repeats of its directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyTo {
    /// Which kind of answer is due.
    pub kind: Kind,
    /// Opaque; goes back byte for byte. `AcceptGrant` and `Discover` answers carry none.
    pub correlation_token: Option<CorrelationToken>,
    /// The endpoint's id as it came, if it can stand in an event.
    pub endpoint_id: Option<String>,
}

/// Opaque to us; never parsed, cut or logged.
#[derive(Clone, PartialEq, Eq)]
pub struct CorrelationToken(pub String);

impl fmt::Debug for CorrelationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CorrelationToken(…)")
    }
}

/// The kinds of directives, as metrics and traces name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `Alexa.Authorization` `AcceptGrant`.
    AcceptGrant,
    /// `Alexa.Discovery` `Discover`.
    Discover,
    /// `Alexa` `ReportState`.
    ReportState,
    /// `Alexa.PowerController`.
    Power,
    /// `Alexa.Speaker`.
    Speaker,
    /// `Alexa.StepSpeaker`.
    StepSpeaker,
    /// `Alexa.PercentageController`.
    Percentage,
    /// `Alexa.PlaybackController`.
    Playback,
    /// `Alexa.SeekController`.
    Seek,
    /// `Alexa.ToggleController`.
    Toggle,
    /// `Alexa.ModeController`, but for [`PRESET`].
    Mode,
    /// `Alexa.ModeController` with [`PRESET`].
    Preset,
    /// `Alexa.RangeController`.
    Range,
    /// `Alexa.SceneController`.
    Scene,
    /// Everything else.
    Other,
}

impl Kind {
    /// A short fixed word.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::AcceptGrant => "accept_grant",
            Self::Discover => "discover",
            Self::ReportState => "report_state",
            Self::Power => "power",
            Self::Speaker => "speaker",
            Self::StepSpeaker => "step_speaker",
            Self::Percentage => "percentage",
            Self::Playback => "playback",
            Self::Seek => "seek",
            Self::Toggle => "toggle",
            Self::Mode => "mode",
            Self::Preset => "preset",
            Self::Range => "range",
            Self::Scene => "scene",
            Self::Other => "other",
        }
    }
}

/// What a directive asks.
#[derive(Debug)]
pub enum Ask {
    /// Keep a grant for the event gateway.
    AcceptGrant(GrantCode),
    /// List all endpoints.
    Discover,
    /// Do something on one endpoint. `None`: its id is none that we ever gave out.
    OnEndpoint(Option<Endpoint>, Request),
}

/// A Login-with-Amazon authorization code.
pub struct GrantCode(pub String);

impl fmt::Debug for GrantCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GrantCode(…)")
    }
}

/// What our endpoint ids consist of: `{instance}_{player}`, or `{instance}_scene_{preset}`. A player's key has no underscore, so
/// neither is ever taken for the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The home.
    pub instance: InstanceId,
    /// What it is there.
    pub thing: Thing,
}

/// What is an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Thing {
    /// A player.
    Player(PlayerKey),
    /// A favourite that can be played.
    Scene(PresetKey),
}

impl Endpoint {
    /// From its text form, if we could have given it out.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (instance, thing) = text.split_once('_')?;
        let thing = match thing.strip_prefix(SCENE) {
            Some(preset) => Thing::Scene(preset.parse().ok()?),
            None => Thing::Player(thing.parse().ok()?),
        };
        Some(Self { instance: instance.parse().ok()?, thing })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.thing {
            Thing::Player(player) => write!(f, "{}_{player}", self.instance),
            Thing::Scene(preset) => write!(f, "{}_{SCENE}{preset}", self.instance),
        }
    }
}

const SCENE: &str = "scene_";

/// What is asked of an endpoint, in Alexa's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Report all properties.
    ReportState,
    /// On or off.
    Power(bool),
    /// To a level.
    SetVolume(Percent),
    /// By an amount.
    AdjustVolume {
        /// -100 to 100.
        by: i8,
        /// The person gave no amount: only the sign of `by` was said.
        unspecified: bool,
    },
    /// Mute or unmute.
    SetMute(bool),
    /// Playback control.
    Transport(Transport),
    /// Shuffle or not.
    Shuffle(bool),
    /// What to repeat.
    Repeat(Repeat),
    /// So many seconds on or back.
    SeekBy(i32),
    /// Go on with similar music when the queue ends, or not.
    Autoplay(bool),
    /// Stop in so many minutes, or not any more.
    SleepTimer(Option<u16>),
    /// So many minutes later or sooner than it is set to.
    AdjustSleepTimer(i16),
    /// Play this favourite.
    Preset(PresetKey),
    /// Play the favourite that the endpoint is.
    Activate,
}

/// The instances of `Alexa.ToggleController`.
pub const SHUFFLE: &str = "Queue.Shuffle";
/// Likewise.
pub const AUTOPLAY: &str = "Queue.Autoplay";

/// The instances of `Alexa.ModeController`.
pub const REPEAT: &str = "Queue.Repeat";
/// Likewise.
pub const PRESET: &str = "Player.Preset";

/// The instance of `Alexa.RangeController`: minutes, 0 for off.
pub const SLEEP_TIMER: &str = "Player.SleepTimer";

/// A favourite as a mode of [`PRESET`].
#[must_use]
pub fn preset_mode(preset: &PresetKey) -> String {
    format!("{PRESET_MODE}{preset}")
}

const PRESET_MODE: &str = "Preset.";

/// The modes of [`REPEAT`], as Alexa names them.
pub const REPEAT_MODES: [(Repeat, &str); 3] =
    [(Repeat::Off, "Repeat.Off"), (Repeat::One, "Repeat.One"), (Repeat::All, "Repeat.All")];

/// What is no directive at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not JSON.
    #[error("the body is not JSON")]
    NotJson,
    /// JSON, but without a `directive.header`.
    #[error("the body has no directive with a header")]
    NoHeader,
}

/// What came: a directive to carry out, or one to refuse by an event.
#[derive(Debug)]
pub enum Arrived {
    /// To carry out.
    Directive(Directive),
    /// To refuse.
    Refuse(ReplyTo, Failure),
}

/// Read a directive. Never panics, whatever `body` holds.
///
/// # Errors
/// When the body is no directive that an event could answer.
pub fn parse(body: &[u8]) -> Result<Arrived, Malformed> {
    let message: Value = serde_json::from_slice(body).map_err(|_| Malformed::NotJson)?;
    let directive = message.get("directive").and_then(Value::as_object).ok_or(Malformed::NoHeader)?;
    let header = directive.get("header").and_then(Value::as_object).ok_or(Malformed::NoHeader)?;
    let reply_to = reply_to(directive, header);
    Ok(match interpret(directive, header, reply_to.kind) {
        Ok((token, ask)) => Arrived::Directive(Directive { reply_to, token, ask }),
        Err(failure) => Arrived::Refuse(reply_to, failure),
    })
}

type Object = Map<String, Value>;

fn reply_to(directive: &Object, header: &Object) -> ReplyTo {
    let kind =
        kind(text(header, "namespace").unwrap_or(""), text(header, "name").unwrap_or(""), text(header, "instance"));
    let endpoint_id = object(directive, "endpoint").and_then(|endpoint| text(endpoint, "endpointId"));
    let correlation_token = match kind {
        Kind::AcceptGrant | Kind::Discover => None,
        _ => text(header, "correlationToken").filter(|token| !token.is_empty()),
    };
    ReplyTo {
        kind,
        correlation_token: correlation_token.map(|token| CorrelationToken(token.to_owned())),
        endpoint_id: endpoint_id.filter(|id| can_be_repeated(id)).map(str::to_owned),
    }
}

fn kind(namespace: &str, name: &str, instance: Option<&str>) -> Kind {
    match (namespace, name) {
        ("Alexa.Authorization", "AcceptGrant") => Kind::AcceptGrant,
        ("Alexa.Discovery", "Discover") => Kind::Discover,
        ("Alexa", "ReportState") => Kind::ReportState,
        ("Alexa.PowerController", _) => Kind::Power,
        ("Alexa.Speaker", _) => Kind::Speaker,
        ("Alexa.StepSpeaker", _) => Kind::StepSpeaker,
        ("Alexa.PercentageController", _) => Kind::Percentage,
        ("Alexa.PlaybackController", _) => Kind::Playback,
        ("Alexa.SeekController", _) => Kind::Seek,
        ("Alexa.ToggleController", _) => Kind::Toggle,
        ("Alexa.ModeController", _) if instance == Some(PRESET) => Kind::Preset,
        ("Alexa.ModeController", _) => Kind::Mode,
        ("Alexa.RangeController", _) => Kind::Range,
        ("Alexa.SceneController", _) => Kind::Scene,
        _ => Kind::Other,
    }
}

fn interpret(directive: &Object, header: &Object, kind: Kind) -> Result<(AccessToken, Ask), Failure> {
    if text(header, "payloadVersion") != Some("3") {
        return Err(Failure::InvalidDirective("payloadVersion must be 3"));
    }
    let name = text(header, "name").ok_or(Failure::InvalidDirective("header.name is missing"))?;
    let none = Map::new();
    let payload = object(directive, "payload").unwrap_or(&none);
    match kind {
        Kind::AcceptGrant => Ok((bearer(payload, "grantee")?, Ask::AcceptGrant(grant_code(payload)?))),
        Kind::Discover => Ok((bearer(payload, "scope")?, Ask::Discover)),
        Kind::Other => Err(Failure::InvalidDirective("no endpoint of ours takes this directive")),
        Kind::ReportState
        | Kind::Power
        | Kind::Speaker
        | Kind::StepSpeaker
        | Kind::Percentage
        | Kind::Playback
        | Kind::Seek
        | Kind::Toggle
        | Kind::Mode
        | Kind::Preset
        | Kind::Range
        | Kind::Scene => {
            let request = request(kind, name, text(header, "instance"), payload)?;
            let endpoint = object(directive, "endpoint").ok_or(Failure::InvalidDirective("the endpoint is missing"))?;
            let id = text(endpoint, "endpointId").ok_or(Failure::InvalidDirective("endpointId is missing"))?;
            Ok((bearer(endpoint, "scope")?, Ask::OnEndpoint(Endpoint::parse(id), request)))
        }
    }
}

fn request(kind: Kind, name: &str, instance: Option<&str>, payload: &Object) -> Result<Request, Failure> {
    Ok(match (kind, name) {
        (Kind::ReportState, _) => Request::ReportState,
        (Kind::Power, "TurnOn") => Request::Power(true),
        (Kind::Power, "TurnOff") => Request::Power(false),
        (Kind::Speaker, "SetVolume") => Request::SetVolume(level(payload, "volume")?),
        (Kind::Speaker, "AdjustVolume") => adjustment(payload, "volume", "volumeDefault")?,
        (Kind::StepSpeaker, "AdjustVolume") => adjustment(payload, "volumeSteps", "volumeStepsDefault")?,
        (Kind::Percentage, "SetPercentage") => Request::SetVolume(level(payload, "percentage")?),
        (Kind::Percentage, "AdjustPercentage") => adjustment(payload, "percentageDelta", "percentageDeltaDefault")?,
        (Kind::Speaker | Kind::StepSpeaker, "SetMute") => Request::SetMute(flag(payload, "mute")?),
        (Kind::Playback, name) => Request::Transport(transport(name)?),
        (Kind::Seek, "AdjustSeekPosition") => Request::SeekBy(seconds(payload)?),
        (Kind::Toggle, "TurnOn") => toggle(instance, true)?,
        (Kind::Toggle, "TurnOff") => toggle(instance, false)?,
        (Kind::Mode, _) if instance != Some(REPEAT) => return Err(NO_INSTANCE),
        (Kind::Mode, "SetMode") => Request::Repeat(repeat(payload)?),
        (Kind::Preset, "SetMode") => Request::Preset(preset(payload)?),
        (Kind::Range, _) if instance != Some(SLEEP_TIMER) => return Err(NO_INSTANCE),
        (Kind::Range, "SetRangeValue") => Request::SleepTimer(minutes(payload)?),
        (Kind::Range, "AdjustRangeValue") => later(payload)?,
        (Kind::Scene, "Activate") => Request::Activate,
        _ => return Err(Failure::InvalidDirective("the interface has no such directive")),
    })
}

const NO_INSTANCE: Failure = Failure::InvalidDirective("no endpoint of ours has this instance");

fn toggle(instance: Option<&str>, on: bool) -> Result<Request, Failure> {
    match instance {
        Some(SHUFFLE) => Ok(Request::Shuffle(on)),
        Some(AUTOPLAY) => Ok(Request::Autoplay(on)),
        _ => Err(NO_INSTANCE),
    }
}

fn transport(name: &str) -> Result<Transport, Failure> {
    Ok(match name {
        "Play" => Transport::Play,
        "Pause" => Transport::Pause,
        "Stop" => Transport::Stop,
        "Next" => Transport::Next,
        "Previous" => Transport::Previous,
        "StartOver" => Transport::StartOver,
        "FastForward" => Transport::FastForward,
        "Rewind" => Transport::Rewind,
        _ => return Err(Failure::InvalidDirective("the interface has no such directive")),
    })
}

fn repeat(payload: &Object) -> Result<Repeat, Failure> {
    let mode = mode(payload)?;
    let known = REPEAT_MODES.into_iter().find(|(_, name)| *name == mode);
    known.map(|(repeat, _)| repeat).ok_or(Failure::NoSuchMode)
}

fn preset(payload: &Object) -> Result<PresetKey, Failure> {
    let key = mode(payload)?.strip_prefix(PRESET_MODE).and_then(|key| key.parse().ok());
    key.ok_or(Failure::NoSuchMode)
}

fn mode(payload: &Object) -> Result<&str, Failure> {
    text(payload, "mode").ok_or(Failure::InvalidDirective("the mode is missing"))
}

fn level(payload: &Object, name: &str) -> Result<Percent, Failure> {
    let level = u8::try_from(whole(payload, name)?).ok().and_then(Percent::new);
    level.ok_or(Failure::OutOfRange { minimum: 0, maximum: 100 })
}

/// Louder than allowed is clamped, not refused: the person meant "as loud as it goes".
fn adjustment(payload: &Object, name: &str, default: &str) -> Result<Request, Failure> {
    let by = whole(payload, name)?.clamp(-100, 100) as i8;
    Ok(Request::AdjustVolume { by, unspecified: is_default(payload, default) })
}

/// The nearest second; Alexa says it in thousandths, and no more than a day.
fn seconds(payload: &Object) -> Result<i32, Failure> {
    const DAY: i64 = 86_400_000;
    let by = whole(payload, "deltaPositionMilliseconds")?;
    if !(-DAY..=DAY).contains(&by) {
        return Err(Failure::OutOfRange { minimum: -DAY, maximum: DAY });
    }
    Ok(((by + by.signum() * 500) / 1000) as i32)
}

fn minutes(payload: &Object) -> Result<Option<u16>, Failure> {
    let maximum = MAX_SLEEP_MINUTES;
    let minutes = u16::try_from(whole(payload, "rangeValue")?).ok().filter(|minutes| *minutes <= maximum);
    let minutes = minutes.ok_or(Failure::OutOfRange { minimum: 0, maximum: maximum.into() })?;
    Ok((minutes > 0).then_some(minutes))
}

/// As for volumes, more than there is means as much as there is.
fn later(payload: &Object) -> Result<Request, Failure> {
    let most = i64::from(MAX_SLEEP_MINUTES);
    let by = whole(payload, "rangeValueDelta")?.clamp(-most, most) as i16;
    let is_default = is_default(payload, "rangeValueDeltaDefault");
    Ok(Request::AdjustSleepTimer(if is_default { by.signum() * SLEEP_STEP } else { by }))
}

/// "Later" without an amount, in minutes.
const SLEEP_STEP: i16 = 10;

/// The person gave no amount.
fn is_default(payload: &Object, name: &str) -> bool {
    payload.get(name).and_then(Value::as_bool).unwrap_or(false)
}

fn grant_code(payload: &Object) -> Result<GrantCode, Failure> {
    let grant = object(payload, "grant").ok_or(Failure::InvalidDirective("the grant is missing"))?;
    if text(grant, "type") != Some("OAuth2.AuthorizationCode") {
        return Err(Failure::InvalidDirective("the grant is no authorization code"));
    }
    let code = text(grant, "code").filter(|code| !code.is_empty());
    code.map(|code| GrantCode(code.to_owned())).ok_or(Failure::InvalidDirective("the grant has no code"))
}

/// The token in `place.token`; both kinds of bearer scope carry it there.
fn bearer(parent: &Object, place: &str) -> Result<AccessToken, Failure> {
    let scope = object(parent, place).ok_or(Failure::InvalidDirective("the bearer token is missing"))?;
    if !matches!(text(scope, "type"), Some("BearerToken" | "BearerTokenWithPartition")) {
        return Err(Failure::InvalidDirective("the scope is no bearer token"));
    }
    let token = text(scope, "token").ok_or(Failure::InvalidDirective("the bearer token is missing"))?;
    AccessToken::parse(token).ok_or(Failure::Token(TokenFault::Invalid))
}

/// A whole number; `50.0` is one, `50.5` and `"50"` are not.
fn whole(payload: &Object, name: &str) -> Result<i64, Failure> {
    const MISSING: Failure = Failure::InvalidDirective("a whole number is missing in the payload");
    let value = payload.get(name).ok_or(MISSING)?;
    if let Some(whole) = value.as_i64() {
        return Ok(whole);
    }
    let real = value.as_f64().filter(|real| real.fract() == 0.0).ok_or(MISSING)?;
    // `as` saturates, and every use of the result has a range check.
    Ok(real as i64)
}

fn flag(payload: &Object, name: &str) -> Result<bool, Failure> {
    let value = payload.get(name).and_then(Value::as_bool);
    value.ok_or(Failure::InvalidDirective("a true or false is missing in the payload"))
}

fn text<'v>(object: &'v Object, name: &str) -> Option<&'v str> {
    object.get(name).and_then(Value::as_str)
}

fn object<'v>(parent: &'v Object, name: &str) -> Option<&'v Object> {
    parent.get(name).and_then(Value::as_object)
}

/// Amazon's own message schema: 1 to 256 of these characters. Repeating anything else would spoil the answer.
fn can_be_repeated(id: &str) -> bool {
    (1..=256).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-=#;:?@&".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn speaker(name: &str, payload: Value) -> Result<Request, Failure> {
        request(Kind::Speaker, name, None, payload.as_object().unwrap())
    }

    #[test]
    fn shuffle_and_repeat_are_taken_by_their_instances_only() {
        let ask = |kind, name: &str, instance: Option<&str>, mode: &str| {
            request(kind, name, instance, json!({"mode": mode}).as_object().unwrap())
        };
        assert_eq!(ask(Kind::Toggle, "TurnOn", Some(SHUFFLE), ""), Ok(Request::Shuffle(true)));
        assert_eq!(ask(Kind::Mode, "SetMode", Some(REPEAT), "Repeat.One"), Ok(Request::Repeat(Repeat::One)));
        assert_eq!(ask(Kind::Mode, "SetMode", Some(REPEAT), "Repeat.Twice"), Err(Failure::NoSuchMode));
        for (kind, name, instance) in [
            (Kind::Toggle, "TurnOn", Some(REPEAT)),
            (Kind::Toggle, "TurnOn", None),
            (Kind::Toggle, "Turn", Some(SHUFFLE)),
            (Kind::Mode, "SetMode", Some(SHUFFLE)),
            (Kind::Mode, "AdjustMode", Some(REPEAT)),
        ] {
            assert!(matches!(ask(kind, name, instance, "Repeat.One"), Err(Failure::InvalidDirective(_))), "{name}");
        }
        assert_eq!(ask(Kind::Toggle, "TurnOff", Some(AUTOPLAY), ""), Ok(Request::Autoplay(false)));
    }

    #[test]
    fn presets_are_modes_of_their_own() {
        let key = PresetKey::from_bytes(&[3; 15]);
        let ask = |name: &str, mode: &str| {
            let kind = kind("Alexa.ModeController", name, Some(PRESET));
            request(kind, name, Some(PRESET), json!({"mode": mode}).as_object().unwrap())
        };
        assert_eq!(ask("SetMode", &preset_mode(&key)), Ok(Request::Preset(key)));
        for unknown in ["Preset.", "Preset.x", "Repeat.One", ""] {
            assert_eq!(ask("SetMode", unknown), Err(Failure::NoSuchMode), "{unknown}");
        }
        assert!(matches!(ask("AdjustMode", "1"), Err(Failure::InvalidDirective(_))));
    }

    #[test]
    fn sleep_timers_are_whole_minutes_of_half_a_day() {
        let ask =
            |name: &str, payload: Value| request(Kind::Range, name, Some(SLEEP_TIMER), payload.as_object().unwrap());
        let range = Failure::OutOfRange { minimum: 0, maximum: 720 };
        assert_eq!(ask("SetRangeValue", json!({"rangeValue": 20})), Ok(Request::SleepTimer(Some(20))));
        assert_eq!(ask("SetRangeValue", json!({"rangeValue": 720.0})), Ok(Request::SleepTimer(Some(720))));
        assert_eq!(ask("SetRangeValue", json!({"rangeValue": 0})), Ok(Request::SleepTimer(None)));
        for wrong in [-1, 721, 1_000_000] {
            assert_eq!(ask("SetRangeValue", json!({"rangeValue": wrong})), Err(range.clone()));
        }
        let adjust = |by: i64, default: bool| {
            ask("AdjustRangeValue", json!({"rangeValueDelta": by, "rangeValueDeltaDefault": default}))
        };
        assert_eq!(adjust(-5, false), Ok(Request::AdjustSleepTimer(-5)));
        assert_eq!(adjust(9_000, false), Ok(Request::AdjustSleepTimer(720)));
        assert_eq!(adjust(1, true), Ok(Request::AdjustSleepTimer(10)));
        for (name, instance) in [("SetRangeValue", Some(SHUFFLE)), ("SetRangeValue", None), ("Set", Some(SLEEP_TIMER))]
        {
            let wrong = request(Kind::Range, name, instance, json!({"rangeValue": 1}).as_object().unwrap());
            assert!(matches!(wrong, Err(Failure::InvalidDirective(_))), "{name} {instance:?}");
        }
    }

    #[test]
    fn seeking_is_by_whole_seconds_of_a_day() {
        let ask = |by: i64| {
            let payload = json!({"deltaPositionMilliseconds": by});
            request(Kind::Seek, "AdjustSeekPosition", None, payload.as_object().unwrap())
        };
        for (millis, seconds) in [(30_000, 30), (-45_000, -45), (1_499, 1), (-1_500, -2), (86_400_000, 86_400), (0, 0)]
        {
            assert_eq!(ask(millis), Ok(Request::SeekBy(seconds)));
        }
        let range = Failure::OutOfRange { minimum: -86_400_000, maximum: 86_400_000 };
        assert_eq!(ask(86_400_001), Err(range.clone()));
        assert_eq!(ask(i64::MIN), Err(range));
    }

    #[test]
    fn one_volume_has_three_names() {
        let ask = |kind, name: &str, payload: Value| request(kind, name, None, payload.as_object().unwrap());
        let forty = Request::SetVolume(Percent::clamped(40));
        assert_eq!(ask(Kind::Percentage, "SetPercentage", json!({"percentage": 40})), Ok(forty));
        let louder = Request::AdjustVolume { by: 20, unspecified: false };
        assert_eq!(ask(Kind::Percentage, "AdjustPercentage", json!({"percentageDelta": 20})), Ok(louder));
        let a_bit = Request::AdjustVolume { by: -10, unspecified: true };
        let steps = json!({"volumeSteps": -10, "volumeStepsDefault": true});
        assert_eq!(ask(Kind::StepSpeaker, "AdjustVolume", steps), Ok(a_bit));
        assert_eq!(ask(Kind::StepSpeaker, "SetMute", json!({"mute": true})), Ok(Request::SetMute(true)));
        let no_level = ask(Kind::StepSpeaker, "SetVolume", json!({"volume": 3}));
        assert!(matches!(no_level, Err(Failure::InvalidDirective(_))));
    }

    #[test]
    fn volumes_are_whole_and_in_range() {
        let range = Failure::OutOfRange { minimum: 0, maximum: 100 };
        assert_eq!(speaker("SetVolume", json!({"volume": 100})), Ok(Request::SetVolume(Percent::new(100).unwrap())));
        assert_eq!(speaker("SetVolume", json!({"volume": 50.0})), Ok(Request::SetVolume(Percent::new(50).unwrap())));
        assert_eq!(speaker("SetVolume", json!({"volume": 101})), Err(range.clone()));
        assert_eq!(speaker("SetVolume", json!({"volume": -1})), Err(range.clone()));
        assert_eq!(speaker("SetVolume", json!({"volume": 1e300})), Err(range));
        for wrong in [json!({}), json!({"volume": "50"}), json!({"volume": 50.5}), json!({"volume": null})] {
            assert!(matches!(speaker("SetVolume", wrong), Err(Failure::InvalidDirective(_))));
        }
    }

    #[test]
    fn adjustments_are_clamped_rather_than_refused() {
        let louder = speaker("AdjustVolume", json!({"volume": 4000, "volumeDefault": false}));
        assert_eq!(louder, Ok(Request::AdjustVolume { by: 100, unspecified: false }));
        let a_bit = speaker("AdjustVolume", json!({"volume": -10, "volumeDefault": true}));
        assert_eq!(a_bit, Ok(Request::AdjustVolume { by: -10, unspecified: true }));
    }

    #[test]
    fn only_our_own_endpoint_ids_name_an_endpoint() {
        let instance = InstanceId::from_bytes(&[1; 16]);
        let player = Endpoint { instance: instance.clone(), thing: Thing::Player(PlayerKey::from_bytes(&[2; 15])) };
        let scene = Endpoint { instance, thing: Thing::Scene(PresetKey::from_bytes(&[2; 15])) };
        for (ours, length) in [(player, 51), (scene, 57)] {
            let text = ours.to_string();
            assert_eq!(text.len(), length);
            assert_eq!(Endpoint::parse(&text), Some(ours));
            assert_eq!(Endpoint::parse(&text.to_uppercase()), None);
            assert_eq!(Endpoint::parse(&text.replace("scene", "scent").replace("_", "__")), None);
        }
        assert_eq!(Endpoint::parse("endpoint-001"), None);
    }

    #[test]
    fn what_has_no_header_is_no_directive() {
        assert!(matches!(parse(b"{"), Err(Malformed::NotJson)));
        assert!(matches!(parse(b"{\"directive\":{}}"), Err(Malformed::NoHeader)));
        assert!(matches!(parse(b"{\"directive\":{\"header\":{}}}"), Ok(Arrived::Refuse(..))));
    }
}
