//! The few numbers that answer questions at night: how many homes, who was refused, how commands ended, where they waited.

use std::time::Duration;

use macloud_proto::link::relay_side::{Dropped, NotSent, Outcome, Unknown};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, UpDownCounter};

#[derive(Debug)]
pub(crate) struct Metrics {
    connections: UpDownCounter<i64>,
    admissions: Counter<u64>,
    takeovers: Counter<u64>,
    contested: Counter<u64>,
    commands: Counter<u64>,
    dropped: Counter<u64>,
    queue_wait: Histogram<f64>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let meter = opentelemetry::global::meter("macloud.relay");
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
                .with_description("Takeovers by one of two installations that keep displacing each other")
                .build(),
            commands: meter
                .u64_counter("macloud.relay.commands")
                .with_description("Calls of the bus by outcome")
                .build(),
            dropped: meter
                .u64_counter("macloud.relay.dropped")
                .with_description("Frames from homes that nobody waited for, by kind")
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

    pub(crate) fn dropped(&self, what: Dropped) {
        let kind = match what {
            Dropped::LateReply => "late_reply",
            Dropped::StrayReply => "stray_reply",
            Dropped::StrayPreKey => "stray_pre_key",
            Dropped::UnknownFrame => "unknown_frame",
        };
        self.dropped.add(1, &[KeyValue::new("kind", kind)]);
    }

    pub(crate) fn event_dropped(&self) {
        self.dropped.add(1, &[KeyValue::new("kind", "event")]);
    }

    pub(crate) fn queued(&self, wait: Duration) {
        self.queue_wait.record(wait.as_secs_f64(), &[]);
    }
}

/// The `outcome` label.
pub(crate) const fn outcome_label(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Delivered(_) => "delivered",
        Outcome::PreKey(_) => "pre_key",
        Outcome::NotSent(NotSent::Busy) => "not_sent_busy",
        Outcome::NotSent(NotSent::Deadline) => "not_sent_deadline",
        Outcome::NotSent(NotSent::LinkLost) => "not_sent_link_lost",
        Outcome::NotSent(NotSent::Cancelled) => "not_sent_cancelled",
        Outcome::NotSent(NotSent::RateLimited(_)) => "not_sent_rate_limited",
        Outcome::NotSent(NotSent::Paused) => "not_sent_paused",
        Outcome::NotSent(NotSent::Invalid) => "not_sent_invalid",
        Outcome::Unknown(Unknown::Deadline) => "unknown_deadline",
        Outcome::Unknown(Unknown::LinkLost) => "unknown_link_lost",
        Outcome::Unknown(Unknown::Unresponsive) => "unknown_unresponsive",
    }
}
