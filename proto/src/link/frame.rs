//! One WebSocket message, one [`FromConnector`] or [`FromRelay`]: the border of the link protocol.
//!
//! Decoding checks every bound, so that what is behind it has nothing left to validate: ids are ids, bodies fit,
//! texts are short and printable. Unknown fields are skipped; an unknown kind becomes `Unknown`, and the machine
//! decides by the version rule whether that is an error. A message of the other direction is always one.

use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;

use super::GoodbyeReason;
use super::resumption::Credential;
use super::v1::{self, frame::Body};
use crate::ids::CommandId;
use crate::{MAX_FRAME_BYTES, MAX_SEALED_BYTES};

/// Why a message is not a frame. The text may be shown to the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than [`MAX_FRAME_BYTES`].
    #[error("the message is longer than a frame may be")]
    TooLong,
    /// Not protobuf, or not of this schema.
    #[error("the message is not a frame")]
    Malformed,
    /// A kind that only the other side may send.
    #[error("this kind of frame goes the other way")]
    WrongDirection,
    /// A field is outside its bounds; names the field.
    #[error("a field of the frame is out of bounds: {0}")]
    Field(&'static str),
}

/// A frame that a connector sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromConnector {
    /// The first frame.
    Hello(Hello),
    /// The command has arrived and is not yet executed.
    Received(CommandId),
    /// The sealed reply to a command.
    Reply(Reply),
    /// The current signed pre-key.
    PreKeyAnswer(PreKeyAnswer),
    /// A sealed state change.
    Event(Event),
    /// Room for this many more commands.
    Credit(u32),
    /// The last frame.
    Goodbye(Goodbye),
    /// A kind this version does not know.
    Unknown,
}

/// A frame that a relay sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromRelay {
    /// The answer to Hello.
    Welcome(Welcome),
    /// A sealed command.
    Command(Command),
    /// Hand out the current signed pre-key, under this request id.
    PreKeyRequest(u64),
    /// Nobody waits for this command any more.
    Cancel(CommandId),
    /// The node is leaving.
    Drain(Drain),
    /// How the home stands in the cloud has changed.
    Standing(Standing),
    /// The next reconnect is to be spread over this window, instead of the one in Welcome.
    Spread(Duration),
    /// The event of this id is taken, and need not be kept any more.
    EventTaken([u8; 16]),
    /// The last frame.
    Goodbye(Goodbye),
    /// A kind this version does not know.
    Unknown,
}

/// What a connector introduces itself with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Lowest link version it speaks.
    pub version_min: u32,
    /// Highest link version it speaks; never below `version_min`.
    pub version_max: u32,
    /// Tells two installations apart that share one home's key.
    pub install_id: [u8; 16],
    /// The program's version, at most [`MAX_SOFTWARE`] printable ASCII characters.
    pub software: String,
    /// Commands it takes at once.
    pub credit: u32,
}

/// What a relay answers to [`Hello`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The agreed link version.
    pub version: u32,
    /// Grows with every session of this home.
    pub session_epoch: u64,
    /// The relay pings after about this much silence.
    pub ping_interval: Duration,
    /// The next reconnect is spread over this much unless a drain says otherwise.
    pub reconnect_window: Duration,
    /// For the next proof of possession; empty when the relay gives none.
    pub dpop_nonce: String,
    /// The relay node.
    pub node_id: String,
    /// Another installation holds the home's key too, and the two keep displacing each other.
    pub contested: bool,
    /// The home's owner has paused it in the cloud.
    pub paused: bool,
    /// The cloud takes events.
    pub events: bool,
    /// For the next dial-in; none where the relay gives none.
    pub resumption: Option<Credential>,
}

/// How a home stands in the cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its owner has paused it: no commands will come.
    pub paused: bool,
}

/// A sealed command on its way to the home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The same on every retry.
    pub command_id: CommandId,
    /// Time left to answer: a hint, the sealed deadline decides.
    pub remaining: Duration,
    /// Opaque here.
    pub sealed: Bytes,
    /// W3C trace context, or empty.
    pub traceparent: String,
}

/// A sealed reply on its way from the home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The command it answers.
    pub command_id: CommandId,
    /// Opaque here.
    pub sealed: Bytes,
    /// How long the home says it took.
    pub home: HomeTime,
}

/// How long a home says that it took over a command. For people who look where time goes; nothing is decided by it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HomeTime {
    /// From the receipt to the reply.
    pub whole: Duration,
    /// Of that: from the receipt until Music Assistant was first asked.
    pub music_after: Duration,
    /// From there to its last answer; zero when it was not asked.
    pub music: Duration,
}

/// The home's current signed pre-key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreKeyAnswer {
    /// From the request.
    pub request_id: u64,
    /// Opaque here.
    pub signed_pre_key: Bytes,
}

/// A sealed state change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// For removing duplicates at the receiver.
    pub event_id: [u8; 16],
    /// Of a home's events with one key only the latest counts. Tells nothing; when empty, the event stands for itself.
    pub key: Bytes,
    /// Opaque here.
    pub sealed: Bytes,
}

/// The relay node is leaving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// Dial this much later.
    pub reconnect_after: Duration,
    /// The old socket ends at the latest after this long.
    pub leaving_in: Duration,
}

/// Why the other side ends the link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goodbye {
    /// For deciding.
    pub reason: GoodbyeReason,
    /// For people and logs.
    pub detail: String,
}

/// Longest [`Hello::software`].
pub const MAX_SOFTWARE: usize = 64;
/// Longest node id.
pub const MAX_NODE_ID: usize = 64;
/// Longest DPoP nonce.
pub const MAX_NONCE: usize = 256;
/// Longest trace context kept; a longer or unprintable one is dropped rather than breaking the link over telemetry.
pub const MAX_TRACEPARENT: usize = 64;
/// Longest goodbye detail kept; the rest is cut off.
pub const MAX_DETAIL: usize = 200;
/// Largest signed pre-key. An X-Wing public key has 1216 bytes, a signature 64.
pub const MAX_PRE_KEY_BYTES: usize = 4 * 1024;
/// Largest sealed event: a state change and what it takes to open it.
pub const MAX_EVENT_BYTES: usize = 8 * 1024;
/// Longest key of an event.
pub const MAX_EVENT_KEY: usize = 16;
/// More credit than this at once counts as this much.
pub const MAX_CREDIT: u32 = 1024;

impl FromConnector {
    /// Read a message that a connector sent. `sealed` bodies share the message's memory.
    ///
    /// # Errors
    /// See [`FrameError`]; the link ends with it.
    pub fn decode(message: Bytes) -> Result<Self, FrameError> {
        Ok(match decode_body(message)? {
            None => Self::Unknown,
            Some(Body::Hello(hello)) => Self::Hello(Hello::check(hello)?),
            Some(Body::Received(received)) => Self::Received(command_id(&received.command_id)?),
            Some(Body::Reply(reply)) => Self::Reply(Reply {
                command_id: command_id(&reply.command_id)?,
                home: HomeTime::read(&reply),
                sealed: sealed(reply.sealed)?,
            }),
            Some(Body::PreKeyAnswer(answer)) => Self::PreKeyAnswer(PreKeyAnswer {
                request_id: answer.request_id,
                signed_pre_key: at_most(answer.signed_pre_key, MAX_PRE_KEY_BYTES, "signed_pre_key")?,
            }),
            Some(Body::Event(event)) => Self::Event(Event {
                event_id: sixteen(&event.event_id, "event_id")?,
                key: at_most(event.key, MAX_EVENT_KEY, "key")?,
                sealed: at_most(event.sealed, MAX_EVENT_BYTES, "sealed")?,
            }),
            Some(Body::Credit(credit)) => Self::Credit(credit.commands.min(MAX_CREDIT)),
            Some(Body::Goodbye(goodbye)) => Self::Goodbye(Goodbye::check(goodbye)),
            Some(
                Body::Welcome(_)
                | Body::Command(_)
                | Body::PreKeyRequest(_)
                | Body::Cancel(_)
                | Body::Drain(_)
                | Body::Standing(_)
                | Body::Spread(_)
                | Body::EventTaken(_),
            ) => return Err(FrameError::WrongDirection),
        })
    }

    /// Write it as one message.
    #[must_use]
    pub fn encode(self) -> Bytes {
        encode_body(match self {
            Self::Hello(hello) => Some(Body::Hello(v1::Hello {
                version_min: hello.version_min,
                version_max: hello.version_max,
                install_id: Bytes::copy_from_slice(&hello.install_id),
                software: hello.software,
                credit: hello.credit,
            })),
            Self::Received(id) => Some(Body::Received(v1::Received { command_id: id_bytes(id) })),
            Self::Reply(reply) => Some(Body::Reply(v1::Reply {
                command_id: id_bytes(reply.command_id),
                sealed: reply.sealed,
                home_micros: whole_micros(reply.home.whole),
                music_after_micros: whole_micros(reply.home.music_after),
                music_micros: whole_micros(reply.home.music),
            })),
            Self::PreKeyAnswer(answer) => Some(Body::PreKeyAnswer(v1::PreKeyAnswer {
                request_id: answer.request_id,
                signed_pre_key: answer.signed_pre_key,
            })),
            Self::Event(Event { event_id, key, sealed }) => {
                Some(Body::Event(v1::Event { event_id: Bytes::copy_from_slice(&event_id), key, sealed }))
            }
            Self::Credit(commands) => Some(Body::Credit(v1::Credit { commands })),
            Self::Goodbye(goodbye) => Some(goodbye.into_body()),
            Self::Unknown => None,
        })
    }
}

impl FromRelay {
    /// Read a message that a relay sent. `sealed` bodies share the message's memory.
    ///
    /// # Errors
    /// See [`FrameError`]; the link ends with it.
    pub fn decode(message: Bytes) -> Result<Self, FrameError> {
        Ok(match decode_body(message)? {
            None => Self::Unknown,
            Some(Body::Welcome(welcome)) => Self::Welcome(Welcome::check(welcome)?),
            Some(Body::Command(command)) => Self::Command(Command {
                command_id: command_id(&command.command_id)?,
                remaining: millis(command.remaining_ms),
                sealed: sealed(command.sealed)?,
                traceparent: trace_context(command.traceparent),
            }),
            Some(Body::PreKeyRequest(request)) => Self::PreKeyRequest(request.request_id),
            Some(Body::Cancel(cancel)) => Self::Cancel(command_id(&cancel.command_id)?),
            Some(Body::Drain(drain)) => Self::Drain(Drain {
                reconnect_after: millis(drain.reconnect_after_ms),
                leaving_in: millis(drain.leaving_in_ms),
            }),
            Some(Body::Standing(standing)) => Self::Standing(Standing { paused: standing.paused }),
            Some(Body::Spread(spread)) => Self::Spread(millis(spread.reconnect_window_ms)),
            Some(Body::EventTaken(taken)) => Self::EventTaken(sixteen(&taken.event_id, "event_id")?),
            Some(Body::Goodbye(goodbye)) => Self::Goodbye(Goodbye::check(goodbye)),
            Some(
                Body::Hello(_)
                | Body::Received(_)
                | Body::Reply(_)
                | Body::PreKeyAnswer(_)
                | Body::Event(_)
                | Body::Credit(_),
            ) => return Err(FrameError::WrongDirection),
        })
    }

    /// Write it as one message.
    #[must_use]
    pub fn encode(self) -> Bytes {
        encode_body(match self {
            Self::Welcome(welcome) => Some(Body::Welcome(welcome.into_body())),
            Self::Command(command) => Some(Body::Command(v1::Command {
                command_id: id_bytes(command.command_id),
                remaining_ms: whole_millis(command.remaining),
                sealed: command.sealed,
                traceparent: command.traceparent,
            })),
            Self::PreKeyRequest(request_id) => Some(Body::PreKeyRequest(v1::PreKeyRequest { request_id })),
            Self::Cancel(id) => Some(Body::Cancel(v1::Cancel { command_id: id_bytes(id) })),
            Self::Drain(drain) => Some(Body::Drain(v1::Drain {
                reconnect_after_ms: whole_millis(drain.reconnect_after),
                leaving_in_ms: whole_millis(drain.leaving_in),
            })),
            Self::Standing(Standing { paused }) => Some(Body::Standing(v1::Standing { paused })),
            Self::Spread(window) => Some(Body::Spread(v1::Spread { reconnect_window_ms: whole_millis(window) })),
            Self::EventTaken(event_id) => {
                Some(Body::EventTaken(v1::EventTaken { event_id: Bytes::copy_from_slice(&event_id) }))
            }
            Self::Goodbye(goodbye) => Some(goodbye.into_body()),
            Self::Unknown => None,
        })
    }
}

impl HomeTime {
    fn read(raw: &v1::Reply) -> Self {
        let micros = |micros: u32| Duration::from_micros(micros.into());
        Self {
            whole: micros(raw.home_micros),
            music_after: micros(raw.music_after_micros),
            music: micros(raw.music_micros),
        }
    }
}

impl From<Duration> for HomeTime {
    /// Without a word of Music Assistant.
    fn from(whole: Duration) -> Self {
        Self { whole, ..Self::default() }
    }
}

impl Hello {
    fn check(raw: v1::Hello) -> Result<Self, FrameError> {
        if raw.version_min > raw.version_max {
            return Err(FrameError::Field("version_min"));
        }
        Ok(Self {
            version_min: raw.version_min,
            version_max: raw.version_max,
            install_id: sixteen(&raw.install_id, "install_id")?,
            software: printable(raw.software, MAX_SOFTWARE, "software")?,
            credit: raw.credit.min(MAX_CREDIT),
        })
    }
}

impl Welcome {
    fn check(raw: v1::Welcome) -> Result<Self, FrameError> {
        if !SANE_PING_INTERVAL_MS.contains(&raw.ping_interval_ms) {
            return Err(FrameError::Field("ping_interval_ms"));
        }
        Ok(Self {
            version: raw.version,
            session_epoch: raw.session_epoch,
            ping_interval: millis(raw.ping_interval_ms),
            reconnect_window: millis(raw.reconnect_window_ms),
            dpop_nonce: printable(raw.dpop_nonce, MAX_NONCE, "dpop_nonce")?,
            node_id: printable(raw.node_id, MAX_NODE_ID, "node_id")?,
            contested: raw.contested,
            paused: raw.paused,
            events: raw.events,
            resumption: Credential::from_parts(raw.resumption_ticket, &raw.resumption_secret),
        })
    }

    fn into_body(self) -> v1::Welcome {
        let (resumption_ticket, resumption_secret) = self.resumption.map_or_else(Default::default, |credential| {
            (credential.ticket, Bytes::copy_from_slice(&credential.secret))
        });
        v1::Welcome {
            version: self.version,
            session_epoch: self.session_epoch,
            ping_interval_ms: whole_millis(self.ping_interval),
            reconnect_window_ms: whole_millis(self.reconnect_window),
            dpop_nonce: self.dpop_nonce,
            node_id: self.node_id,
            contested: self.contested,
            paused: self.paused,
            events: self.events,
            resumption_ticket,
            resumption_secret,
        }
    }
}

impl Goodbye {
    /// An unknown reason is kept as unspecified: the link ends either way.
    fn check(raw: v1::Goodbye) -> Self {
        let reason = GoodbyeReason::try_from(raw.reason).unwrap_or(GoodbyeReason::Unspecified);
        let detail = raw.detail.chars().take(MAX_DETAIL).filter(|c| is_printable(*c)).collect();
        Self { reason, detail }
    }

    fn into_body(self) -> Body {
        Body::Goodbye(v1::Goodbye { reason: self.reason.into(), detail: self.detail })
    }
}

fn decode_body(message: Bytes) -> Result<Option<Body>, FrameError> {
    if message.len() > MAX_FRAME_BYTES {
        return Err(FrameError::TooLong);
    }
    v1::Frame::decode(message).map(|frame| frame.body).map_err(|_| FrameError::Malformed)
}

fn encode_body(body: Option<Body>) -> Bytes {
    v1::Frame { body }.encode_to_vec().into()
}

fn command_id(bytes: &Bytes) -> Result<CommandId, FrameError> {
    CommandId::try_from(&bytes[..]).map_err(|_| FrameError::Field("command_id"))
}

fn id_bytes(id: CommandId) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}

fn sixteen(bytes: &Bytes, field: &'static str) -> Result<[u8; 16], FrameError> {
    bytes[..].try_into().map_err(|_| FrameError::Field(field))
}

fn sealed(bytes: Bytes) -> Result<Bytes, FrameError> {
    at_most(bytes, MAX_SEALED_BYTES, "sealed")
}

fn at_most(bytes: Bytes, max: usize, field: &'static str) -> Result<Bytes, FrameError> {
    if bytes.len() > max { Err(FrameError::Field(field)) } else { Ok(bytes) }
}

fn printable(text: String, max: usize, field: &'static str) -> Result<String, FrameError> {
    if text.len() <= max && text.chars().all(is_printable) { Ok(text) } else { Err(FrameError::Field(field)) }
}

fn trace_context(text: String) -> String {
    printable(text, MAX_TRACEPARENT, "traceparent").unwrap_or_default()
}

const fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~')
}

const fn millis(value: u32) -> Duration {
    Duration::from_millis(value as u64)
}

fn whole_millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

fn whole_micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

/// A relay that asks for pings outside this range is broken: the connector would redial without end, or never.
const SANE_PING_INTERVAL_MS: std::ops::RangeInclusive<u32> = 1_000..=600_000;
