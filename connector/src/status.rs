//! How it stands, for people and for `doctor`: kept in memory, told to an observer, and written to the state directory.
//!
//! No secrets and no contents: neither tokens nor names of players or music. Whoever watches is told of every change, so the
//! log mentions these only at level debug.

use std::sync::{Arc, Mutex, PoisonError};

use macloud_e2ee::keys::KeySetError;
use macloud_proto::ids::InstanceId;
use serde::{Deserialize, Serialize};

use crate::link::recent::{Asked, Counts};

/// How it stands with the relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum LinkState {
    /// A connection is being opened.
    Connecting,
    /// The home can be reached.
    Online {
        /// The relay node.
        node: String,
        /// The session's number; grows with each.
        epoch: u64,
        /// The owner has paused the home on the cloud's web page: no commands come.
        #[serde(default)]
        paused: bool,
        /// Another connector keeps taking over with this home's key, and this one from it.
        #[serde(default)]
        contested: bool,
    },
    /// Not connected; the next attempt comes after a while.
    Waiting {
        /// Why, and what to do about it, if anything.
        explanation: String,
        /// Seconds until the next attempt.
        retry_in_seconds: u64,
    },
    /// Another connector took over with this home's key.
    Replaced {
        /// What that means.
        explanation: String,
        /// Seconds until the next attempt.
        retry_in_seconds: u64,
    },
    /// The cloud does not accept this home.
    Unauthorized {
        /// What to do.
        explanation: String,
        /// Seconds until the next attempt.
        retry_in_seconds: u64,
    },
}

impl LinkState {
    /// Whether the home can be reached.
    #[must_use]
    pub const fn is_online(&self) -> bool {
        matches!(self, Self::Online { .. })
    }

    /// What a person should know.
    #[must_use]
    pub fn explanation(&self) -> &str {
        match self {
            Self::Connecting => "Connecting to the cloud.",
            Self::Online { contested: true, .. } => CONTESTED,
            Self::Online { paused: true, .. } => PAUSED,
            Self::Online { .. } => "Connected to the cloud.",
            Self::Waiting { explanation, .. }
            | Self::Replaced { explanation, .. }
            | Self::Unauthorized { explanation, .. } => explanation,
        }
    }
}

const CONTESTED: &str = "Connected to the cloud, but another connector keeps connecting with this home's key, and each takes the other's place: commands get lost. Stop one of the two; if you did not copy this one's state directory, pair this home again with a new one.";

const PAUSED: &str = "Connected to the cloud, but paused there, by you or by who runs it: no commands come until this home is resumed on the cloud's web page, under Homes.";

/// What it means that the cloud's key set is not accepted, and what to do then.
pub(crate) const fn key_trouble(error: KeySetError) -> (&'static str, &'static str) {
    match error {
        KeySetError::OtherRoot => (
            "The cloud has other keys than at pairing: none of its commands can be opened.",
            "If whoever runs it set it up anew, run ma-connector pair again. If nobody did, ask first: something may be pretending to be your cloud.",
        ),
        KeySetError::Older | KeySetError::Conflict => (
            "The cloud came back with older keys than this home has seen: its commands may not open.",
            "Ask whoever runs the cloud to restore its newest skill keys; otherwise run ma-connector pair again.",
        ),
        KeySetError::Envelope(_) | KeySetError::Keys | KeySetError::Signature => (
            "The cloud's keys are not understood: its commands may not open.",
            "Update this connector, or ask whoever runs the cloud.",
        ),
    }
}

/// How it stands with Music Assistant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MusicAssistantState {
    /// One word: see [`crate::music_assistant::Condition::word`].
    pub state: String,
    /// What a person should know.
    pub explanation: String,
    /// Players that can be spoken to.
    pub players: usize,
    /// Whether there are so many now. While Music Assistant is away, they are those that were last seen.
    #[serde(default)]
    pub players_current: bool,
    /// Those of them that share a name with another.
    #[serde(default)]
    pub namesakes: usize,
    /// Those of them whose names cannot be said.
    #[serde(default)]
    pub unspeakable: usize,
    /// Whole days until the token ends, in its last month.
    pub token_ends_in_days: Option<u64>,
    /// The day on which it ends, in its last month.
    #[serde(default)]
    pub token_ends_on: Option<String>,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Seconds since 1970 of the last change.
    pub updated_at: u64,
    /// The process.
    pub pid: u32,
    /// The program's version.
    pub version: String,
    /// The home's id.
    pub instance_id: InstanceId,
    /// The home's name.
    pub home_name: String,
    /// The home's key in short, to compare with the web page.
    pub fingerprint: String,
    /// Whether the owner pressed "stop now".
    pub stopped: bool,
    /// What it means that the cloud has other keys than this home accepts, where it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_trouble: Option<String>,
    /// Commands since it was started.
    #[serde(default)]
    pub commands: Counts,
    /// The latest few of them, the last one first: when, what kind, and why not. Never of which player, or what was said.
    #[serde(default)]
    pub recent: Vec<Asked>,
    /// The relay.
    pub relay: LinkState,
    /// Music Assistant.
    pub music_assistant: MusicAssistantState,
}

/// Something that happened, for whoever watches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The home can be reached.
    Online {
        /// The relay node.
        node: String,
        /// The session's number.
        epoch: u64,
        /// The owner has paused the home on the cloud's web page.
        paused: bool,
        /// Another connector keeps taking over with this home's key.
        contested: bool,
    },
    /// The home cannot be reached (any more).
    Offline {
        /// Why, and what to do.
        explanation: String,
        /// Seconds until the next attempt.
        retry_in_seconds: u64,
    },
    /// It stands differently with Music Assistant.
    MusicAssistant {
        /// One word.
        state: String,
        /// What a person should know.
        explanation: String,
        /// Players that can be spoken to.
        players: usize,
    },
    /// The owner pressed "stop now": nothing is carried out any more.
    Stopped,
    /// The owner released it.
    Resumed,
    /// A command was carried out or refused.
    Command {
        /// Its id.
        id: String,
        /// Whether it was carried out.
        done: bool,
        /// From arrival to the sealed reply.
        micros: u64,
    },
}

/// Told of every event, in order. Must not wait.
pub type Observer = Arc<dyn Fn(&Event) + Send + Sync>;

/// Events reach the observer and the log from here.
#[derive(Clone, Default)]
pub(crate) struct Events {
    observer: Arc<Mutex<Option<Observer>>>,
}

impl Events {
    pub(crate) fn observe(&self, observer: Observer) {
        *self.observer.lock().unwrap_or_else(PoisonError::into_inner) = Some(observer);
    }

    pub(crate) fn tell(&self, event: &Event) {
        let observer = self.observer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(observer) = observer {
            observer(event);
        }
    }
}
