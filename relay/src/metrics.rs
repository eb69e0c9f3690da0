//! The few numbers that answer questions at night: how many homes, who was refused, how commands ended, where they waited.

use std::time::Duration;

use macloud_proto::bus::v1;
use macloud_proto::link::relay_side::Dropped;
use macloud_service_kit::metrics::note_exemplar;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, UpDownCounter};
use tracing::Span;

#[derive(Debug)]
pub(crate) struct Metrics {
    connections: UpDownCounter<i64>,
    admissions: Counter<u64>,
    takeovers: Counter<u64>,
    contested: Counter<u64>,
    commands: Counter<u64>,
    dropped: Counter<u64>,
    events: Counter<u64>,
    event_wait: Histogram<f64>,
    event_lag: Histogram<f64>,
    queue_wait: Histogram<f64>,
    crossings: Counter<u64>,
    lookups: Counter<u64>,
    presence: Gauge<u64>,
    presence_wait: Histogram<f64>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let metrics = Self::of(&opentelemetry::global::meter("macloud.relay"));
        metrics.begin_at_zero();
        metrics
    }

    /// What is rare: the first one of a counter that was not there before has no rate.
    fn begin_at_zero(&self) {
        for same_installation in [true, false] {
            self.takeovers.add(0, &[KeyValue::new("same_installation", same_installation)]);
        }
        self.contested.add(0, &[]);
    }

    fn of(meter: &Meter) -> Self {
        Self {
            connections: meter
                .i64_up_down_counter("macloud.relay.connections")
                .with_description("Homes connected to this node")
                .build(),
            admissions: meter.u64_counter("macloud.relay.admissions").with_description("Dial-ins by result").build(),
            takeovers: meter
                .u64_counter("macloud.relay.takeovers")
                .with_description("Sessions replaced by a newer one, by whether it is the same installation")
                .build(),
            contested: meter
                .u64_counter("macloud.relay.contested")
                .with_description("Sessions that began while two installations kept displacing each other")
                .build(),
            commands: meter
                .u64_counter("macloud.relay.commands")
                .with_description("Calls of the bus by outcome")
                .build(),
            dropped: meter
                .u64_counter("macloud.relay.dropped")
                .with_description("Frames from homes that nobody waited for, by kind")
                .build(),
            events: meter
                .u64_counter("macloud.relay.events")
                .with_description("Events from homes by what became of them")
                .build(),
            event_wait: meter
                .f64_histogram("macloud.relay.event_wait")
                .with_unit("s")
                .with_description("From an event's arrival to its place in the queue")
                .with_boundaries(vec![0.001, 0.01, 0.1, 1.0])
                .build(),
            event_lag: meter
                .f64_histogram("macloud.relay.event_lag")
                .with_unit("s")
                .with_description("From an event's place in the queue to its first reader")
                .with_boundaries(vec![0.01, 0.1, 1.0, 10.0, 100.0, 1000.0])
                .build(),
            crossings: meter
                .u64_counter("macloud.relay.crossings")
                .with_description("Calls taken to another node, by what became of that")
                .build(),
            lookups: meter
                .u64_counter("macloud.relay.lookups")
                .with_description("Homes looked for in the directory of all nodes, by result")
                .build(),
            presence: meter
                .u64_gauge("macloud.relay.presence_reached")
                .with_description("1 while the directory of all nodes answers")
                .build(),
            presence_wait: meter
                .f64_histogram("macloud.relay.presence_wait")
                .with_unit("s")
                .with_description(
                    "How long the directory of all nodes takes to renew this node's lease, every few seconds",
                )
                .with_boundaries(vec![0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0])
                .build(),
            queue_wait: meter
                .f64_histogram("macloud.relay.queue_wait")
                .with_unit("s")
                .with_description("From a command's arrival to its frame's write")
                .with_boundaries(vec![0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0])
                .build(),
        }
    }

    pub(crate) fn connected(&self, change: i64) {
        self.connections.add(change, &[]);
    }

    pub(crate) fn admission(&self, result: &'static str) {
        self.admissions.add(1, &[KeyValue::new("result", result)]);
    }

    pub(crate) fn takeover(&self, same_installation: bool) {
        self.takeovers.add(1, &[KeyValue::new("same_installation", same_installation)]);
    }

    pub(crate) fn contested(&self) {
        self.contested.add(1, &[]);
    }

    pub(crate) fn command(&self, outcome: &'static str) {
        self.commands.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    pub(crate) fn crossing(&self, result: &'static str) {
        self.crossings.add(1, &[KeyValue::new("result", result)]);
    }

    pub(crate) fn lookup(&self, result: &'static str) {
        self.lookups.add(1, &[KeyValue::new("result", result)]);
    }

    pub(crate) fn presence(&self, reached: bool) {
        self.presence.record(reached.into(), &[]);
    }

    pub(crate) fn presence_wait(&self, wait: Duration) {
        self.presence_wait.record(wait.as_secs_f64(), &[]);
    }

    pub(crate) fn dropped(&self, what: Dropped) {
        let kind = match what {
            Dropped::LateReply => "late_reply",
            Dropped::StrayReply => "stray_reply",
            Dropped::StrayPreKey => "stray_pre_key",
            Dropped::UnknownFrame => "unknown_frame",
            Dropped::UnwantedEvent => "unwanted_event",
            Dropped::EventOverRate => "event_over_rate",
        };
        self.dropped.add(1, &[KeyValue::new("kind", kind)]);
    }

    pub(crate) fn events(&self, result: &'static str, count: usize) {
        if count > 0 {
            self.events.add(count as u64, &[KeyValue::new("result", result)]);
        }
    }

    pub(crate) fn event_wait(&self, wait: Duration) {
        self.event_wait.record(wait.as_secs_f64(), &[]);
    }

    pub(crate) fn event_lag(&self, lag: Duration) {
        self.event_lag.record(lag.as_secs_f64(), &[]);
    }

    /// `span`: of the call that waited.
    pub(crate) fn queued(&self, wait: Duration, span: &Span) {
        self.queue_wait.record(wait.as_secs_f64(), &[]);
        note_exemplar("macloud_relay_queue_wait_seconds", &[], wait, span);
    }
}

/// The `outcome` label.
pub(crate) fn outcome_label(answer: &v1::Answer) -> &'static str {
    use v1::answer::Outcome;
    use v1::{not_sent, unknown};
    match &answer.outcome {
        Some(Outcome::Delivered(_)) => "delivered",
        Some(Outcome::PreKey(_)) => "pre_key",
        Some(Outcome::NotSent(refused)) => match refused.reason() {
            not_sent::Reason::Unspecified => "not_sent",
            not_sent::Reason::NotConnected => "not_sent_not_connected",
            not_sent::Reason::Busy => "not_sent_busy",
            not_sent::Reason::Draining => "not_sent_draining",
            not_sent::Reason::Deadline => "not_sent_deadline",
            not_sent::Reason::LinkLost => "not_sent_link_lost",
            not_sent::Reason::Cancelled => "not_sent_cancelled",
            not_sent::Reason::RateLimited => "not_sent_rate_limited",
            not_sent::Reason::Invalid => "not_sent_invalid",
            not_sent::Reason::Paused => "not_sent_paused",
            not_sent::Reason::UsedUp => "not_sent_used_up",
            not_sent::Reason::Unlocated => "not_sent_unlocated",
        },
        Some(Outcome::Unknown(unknown)) => match unknown.reason() {
            unknown::Reason::Unspecified => "unknown",
            unknown::Reason::Deadline => "unknown_deadline",
            unknown::Reason::LinkLost => "unknown_link_lost",
            unknown::Reason::Unresponsive => "unknown_unresponsive",
        },
        None => "none",
    }
}
