//! The border of the smart home side: a JSON text in, a [`Directive`] out that cannot be wrong.
//!
//! Unknown fields are skipped, as Alexa adds some without notice. What is not a directive at all is [`Malformed`] and
//! becomes an HTTP error; what is one that our endpoints do not take is answered with an event like any other failure.

use std::fmt;

use macloud_e2ee::vocabulary::{Percent, Repeat, Transport};
use macloud_proto::ids::{InstanceId, PlayerKey};
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
    /// `Alexa.PlaybackController`.
    Playback,
    /// `Alexa.ToggleController`.
    Toggle,
    /// `Alexa.ModeController`.
    Mode,
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
            Self::Playback => "playback",
            Self::Toggle => "toggle",
            Self::Mode => "mode",
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

/// What our endpoint ids consist of: `{instance}_{player}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The home.
    pub instance: InstanceId,
    /// The player there.
    pub player: PlayerKey,
}

impl Endpoint {
    /// From its text form, if we could have given it out.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (instance, player) = text.split_once('_')?;
        Some(Self { instance: instance.parse().ok()?, player: player.parse().ok()? })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.instance, self.player)
    }
}

/// What is asked of an endpoint, in Alexa's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
}

/// The instance of `Alexa.ToggleController` that every player has.
pub const SHUFFLE: &str = "Queue.Shuffle";

/// The instance of `Alexa.ModeController` that every player has.
pub const REPEAT: &str = "Queue.Repeat";

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
    let kind = kind(text(header, "namespace").unwrap_or(""), text(header, "name").unwrap_or(""));
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

fn kind(namespace: &str, name: &str) -> Kind {
    match (namespace, name) {
        ("Alexa.Authorization", "AcceptGrant") => Kind::AcceptGrant,
        ("Alexa.Discovery", "Discover") => Kind::Discover,
        ("Alexa", "ReportState") => Kind::ReportState,
        ("Alexa.PowerController", _) => Kind::Power,
        ("Alexa.Speaker", _) => Kind::Speaker,
        ("Alexa.PlaybackController", _) => Kind::Playback,
        ("Alexa.ToggleController", _) => Kind::Toggle,
        ("Alexa.ModeController", _) => Kind::Mode,
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
        Kind::ReportState | Kind::Power | Kind::Speaker | Kind::Playback | Kind::Toggle | Kind::Mode => {
            let request = request(kind, name, text(header, "instance"), payload)?;
            let endpoint = object(directive, "endpoint").ok_or(Failure::InvalidDirective("the endpoint is missing"))?;
            let id = text(endpoint, "endpointId").ok_or(Failure::InvalidDirective("endpointId is missing"))?;
            Ok((bearer(endpoint, "scope")?, Ask::OnEndpoint(Endpoint::parse(id), request)))
        }
        Kind::Other => Err(Failure::InvalidDirective("no endpoint of ours takes this directive")),
    }
}

fn request(kind: Kind, name: &str, instance: Option<&str>, payload: &Object) -> Result<Request, Failure> {
    let ours = match kind {
        Kind::Toggle => Some(SHUFFLE),
        Kind::Mode => Some(REPEAT),
        _ => None,
    };
    if ours.is_some() && instance != ours {
        return Err(Failure::InvalidDirective("no endpoint of ours has this instance"));
    }
    Ok(match (kind, name) {
        (Kind::ReportState, _) => Request::ReportState,
        (Kind::Power, "TurnOn") => Request::Power(true),
        (Kind::Power, "TurnOff") => Request::Power(false),
        (Kind::Speaker, "SetVolume") => Request::SetVolume(level(payload)?),
        (Kind::Speaker, "AdjustVolume") => adjustment(payload)?,
        (Kind::Speaker, "SetMute") => Request::SetMute(flag(payload, "mute")?),
        (Kind::Playback, name) => Request::Transport(transport(name)?),
        (Kind::Toggle, "TurnOn") => Request::Shuffle(true),
        (Kind::Toggle, "TurnOff") => Request::Shuffle(false),
        (Kind::Mode, "SetMode") => Request::Repeat(repeat(payload)?),
        _ => return Err(Failure::InvalidDirective("the interface has no such directive")),
    })
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
    let mode = text(payload, "mode").ok_or(Failure::InvalidDirective("the mode is missing"))?;
    let known = REPEAT_MODES.into_iter().find(|(_, name)| *name == mode);
    known.map(|(repeat, _)| repeat).ok_or(Failure::NoSuchMode)
}

fn level(payload: &Object) -> Result<Percent, Failure> {
    let volume = whole(payload, "volume")?;
    let level = u8::try_from(volume).ok().and_then(Percent::new);
    level.ok_or(Failure::OutOfRange { minimum: 0, maximum: 100 })
}

/// Louder than allowed is clamped, not refused: the person meant "as loud as it goes".
fn adjustment(payload: &Object) -> Result<Request, Failure> {
    let by = whole(payload, "volume")?.clamp(-100, 100) as i8;
    let unspecified = payload.get("volumeDefault").and_then(Value::as_bool).unwrap_or(false);
    Ok(Request::AdjustVolume { by, unspecified })
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
        let ours = Endpoint { instance: InstanceId::from_bytes(&[1; 16]), player: PlayerKey::from_bytes(&[2; 15]) };
        let text = ours.to_string();
        assert_eq!(text.len(), 51);
        assert_eq!(Endpoint::parse(&text), Some(ours));
        assert_eq!(Endpoint::parse("endpoint-001"), None);
        assert_eq!(Endpoint::parse(&text.to_uppercase()), None);
    }

    #[test]
    fn what_has_no_header_is_no_directive() {
        assert!(matches!(parse(b"{"), Err(Malformed::NotJson)));
        assert!(matches!(parse(b"{\"directive\":{}}"), Err(Malformed::NoHeader)));
        assert!(matches!(parse(b"{\"directive\":{\"header\":{}}}"), Ok(Arrived::Refuse(..))));
    }
}
