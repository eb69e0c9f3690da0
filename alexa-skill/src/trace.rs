//! Where the time of a directive went, step by step: for the demo, the benchmark and metrics.
//!
//! Ids, fixed words and durations only; no content, no names, no tokens.

use std::sync::Arc;
use std::time::Duration;

use macloud_proto::bus::v1;
use macloud_proto::ids::{CommandId, InstanceId};
use macloud_service_kit::random;
use tokio::time::Instant;

use crate::answer::discovery::Report;

/// Told of each directive and request after its answer is made. Must be quick: the answer waits for it.
pub type Observer = Arc<dyn Fn(&HopTrace) + Send + Sync>;

/// Which of the two ways in a directive took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Front {
    /// A smart home directive.
    SmartHome,
    /// A request of the custom part.
    Custom,
}

impl Front {
    /// A short fixed word.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::SmartHome => "smart_home",
            Self::Custom => "custom",
        }
    }
}

/// One directive's way.
#[derive(Debug, Clone)]
pub struct HopTrace {
    /// How it came in.
    pub front: Front,
    /// What kind it is, one of few fixed words.
    pub kind: &'static str,
    /// `ok`, or the failure's fixed word.
    pub result: &'static str,
    /// Reading and, for the custom part, checking the signature.
    pub verify: Duration,
    /// Whose token it is.
    pub resolve: Duration,
    /// Into our words.
    pub translate: Duration,
    /// Sealing, with setting a session up where there was none: the longest of `passages`.
    pub seal: Duration,
    /// On the bus and back: the longest of `passages`.
    pub dispatch: Duration,
    /// Into Alexa's words.
    pub answer: Duration,
    /// From the first byte read to the answer made.
    pub total: Duration,
    /// Each command that was sent; several for discovery.
    pub passages: Vec<Passage>,
    /// Names a failure before which nothing was sent, as a command's id names others.
    pub failure_id: Option<CommandId>,
    /// For discovery: what was listed, and what was not and why.
    pub listed: Option<Report>,
}

/// One command's way to a home and back.
#[derive(Debug, Clone)]
pub struct Passage {
    /// Which home.
    pub instance: InstanceId,
    /// Which command.
    pub command_id: CommandId,
    /// Sealing, with setting a session up where there was none.
    pub seal: Duration,
    /// On the bus and back, all attempts.
    pub dispatch: Duration,
    /// Opening the reply.
    pub open: Duration,
    /// Sessions that had to be set up for it: none when one was cached.
    pub sessions_set_up: u32,
    /// How often it was put on the bus.
    pub sends: u32,
    /// The relay node that holds the home.
    pub node: String,
    /// Where the time went from the relay on.
    pub relay: Option<RelayTiming>,
}

/// What the relay measured, with one clock. Zero where a step was not reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayTiming {
    /// From the call's arrival to the frame's write.
    pub queued: Duration,
    /// From the write to the home's receipt.
    pub received: Duration,
    /// From the write to the home's reply.
    pub replied: Duration,
    /// As the home reported it: from receipt to reply.
    pub home: Duration,
}

impl From<v1::Timing> for RelayTiming {
    fn from(timing: v1::Timing) -> Self {
        let micros = |micros: u32| Duration::from_micros(micros.into());
        Self {
            queued: micros(timing.queued_micros),
            received: micros(timing.received_micros),
            replied: micros(timing.replied_micros),
            home: micros(timing.home_micros),
        }
    }
}

impl HopTrace {
    /// Nothing done yet.
    #[must_use]
    pub const fn new(front: Front) -> Self {
        Self {
            front,
            kind: "other",
            result: "ok",
            verify: Duration::ZERO,
            resolve: Duration::ZERO,
            translate: Duration::ZERO,
            seal: Duration::ZERO,
            dispatch: Duration::ZERO,
            answer: Duration::ZERO,
            total: Duration::ZERO,
            passages: Vec::new(),
            failure_id: None,
            listed: None,
        }
    }

    /// What its way is found again by: the beginning of its last command's id, which stands in the logs of all parts; where nothing
    /// was sent, that of its failure, which stands in the skill's only. None where nothing was sent and nothing failed.
    #[must_use]
    pub fn code(&self) -> Option<String> {
        let sent = self.passages.last().map(|passage| passage.command_id);
        sent.or(self.failure_id).map(|id| id.to_string()[..CODE_CHARS].to_owned())
    }

    /// It has failed, and somebody will be told a code of it.
    pub(crate) fn name_failure(&mut self) {
        self.failure_id = Some(CommandId::from_bytes(random::bytes()));
    }

    /// A line with the time of every hop. Of what somebody was given the code of it is always there, since they may ask about it
    /// tomorrow; of the rest for whoever looks for something now.
    pub(crate) fn log(&self) {
        let last = self.passages.last();
        let relay = last.and_then(|passage| passage.relay);
        let link = |relay: RelayTiming| relay.replied.saturating_sub(relay.home);
        macro_rules! line {
            ($level:ident, $said:literal) => {
                tracing::$level!(
                    front = self.front.label(),
                    directive.kind = self.kind,
                    result = self.result,
                    command.code = self.code(),
                    instance.id = last.map(|passage| tracing::field::display(&passage.instance)),
                    relay.node = last.map(|passage| passage.node.as_str()),
                    total_ms = millis(self.total),
                    verify_ms = millis(self.verify),
                    resolve_ms = millis(self.resolve),
                    seal_ms = millis(self.seal),
                    dispatch_ms = millis(self.dispatch),
                    queue_wait_ms = relay.map(|relay| millis(relay.queued)),
                    link_ms = relay.map(|relay| millis(link(relay))),
                    home_ms = relay.map(|relay| millis(relay.home)),
                    $said
                )
            };
        }
        if self.has_told_its_code() {
            line!(info, "a request failed, and its code was told");
        } else {
            line!(debug, "answered");
        }
    }

    /// Whether who asked was given the code: on the card of what failed.
    fn has_told_its_code(&self) -> bool {
        self.front == Front::Custom && self.result != "ok" && self.code().is_some()
    }

    /// A command has come back.
    pub(crate) fn passed(&mut self, passage: Passage) {
        self.seal = self.seal.max(passage.seal);
        self.dispatch = self.dispatch.max(passage.dispatch);
        self.passages.push(passage);
    }
}

impl Passage {
    pub(crate) const fn new(instance: InstanceId, command_id: CommandId) -> Self {
        Self {
            instance,
            command_id,
            seal: Duration::ZERO,
            dispatch: Duration::ZERO,
            open: Duration::ZERO,
            sessions_set_up: 0,
            sends: 0,
            node: String::new(),
            relay: None,
        }
    }
}

const fn millis(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

/// Of an id's 26: short enough to read aloud, and still one in a million million.
const CODE_CHARS: usize = 8;

/// Measures steps that follow one another.
pub(crate) struct Stopwatch {
    started: Instant,
    lap: Instant,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        let now = Instant::now();
        Self { started: now, lap: now }
    }

    /// Time since the last lap.
    pub(crate) fn lap(&mut self) -> Duration {
        let now = Instant::now();
        let lap = now - self.lap;
        self.lap = now;
        lap
    }

    pub(crate) fn total(&self) -> Duration {
        self.started.elapsed()
    }
}
