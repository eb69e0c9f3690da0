//! What is counted: directives by kind and result, and how long they took; and how this process is.

use macloud_service_kit::metrics::note_exemplar;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram};

use crate::answer::discovery::Report;
use crate::trace::HopTrace;

/// The instruments of this crate.
pub(crate) struct Metrics {
    directives: Counter<u64>,
    seconds: Histogram<f64>,
    set_ups: Counter<u64>,
    refused: Counter<u64>,
    not_listed: Counter<u64>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let meter = opentelemetry::global::meter("macloud.skill");
        Self {
            directives: meter
                .u64_counter("macloud.skill.directives")
                .with_description("Directives and requests answered, by way in, kind and result")
                .build(),
            seconds: meter
                .f64_histogram("macloud.skill.duration")
                .with_unit("s")
                .with_description("From a directive's arrival to its answer")
                .with_boundaries(vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 6.5])
                .build(),
            set_ups: meter
                .u64_counter("macloud.skill.session_set_ups")
                .with_description("Sealed sessions set up with homes")
                .build(),
            refused: meter
                .u64_counter("macloud.skill.refused_requests")
                .with_description("Requests of the custom part that failed verification")
                .build(),
            not_listed: meter
                .u64_counter("macloud.skill.not_listed")
                .with_description(
                    "Players and favourites that discovery left out or renamed, and settings it left out, by why",
                )
                .build(),
        }
    }

    pub(crate) fn answered(&self, trace: &HopTrace) {
        let kind = [KeyValue::new("front", trace.front.label()), KeyValue::new("kind", trace.kind)];
        self.seconds.record(trace.total.as_secs_f64(), &kind);
        note_exemplar("macloud_skill_duration_seconds", &kind, trace.total, &tracing::Span::current());
        let [front, kind] = kind;
        self.directives.add(1, &[front, kind, KeyValue::new("result", trace.result)]);
        let set_ups: u32 = trace.passages.iter().map(|passage| passage.sessions_set_up).sum();
        if set_ups > 0 {
            self.set_ups.add(set_ups.into(), &[]);
        }
        if let Some(report) = &trace.listed {
            self.listed(report);
        }
    }

    fn listed(&self, report: &Report) {
        let counts = [
            ("unspeakable", report.unspeakable),
            ("renamed", report.renamed),
            ("no_room", report.no_room),
            ("no_room_for_mode", report.modes_left_out),
        ];
        for (why, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            self.not_listed.add(count as u64, &[KeyValue::new("why", why)]);
        }
    }

    pub(crate) fn refused(&self) {
        self.refused.add(1, &[]);
    }
}

/// How a process is, for operators.
pub(crate) struct Condition {
    pub(crate) streams: u64,
    pub(crate) follows_changes: bool,
    pub(crate) sessions: u64,
}

/// Report `condition` whenever metrics are read, as long as there is one.
pub(crate) fn observe(condition: impl Fn() -> Option<Condition> + Clone + Send + Sync + 'static) {
    let gauge = |name: &'static str, description: &'static str, value: fn(&Condition) -> u64| {
        let condition = condition.clone();
        opentelemetry::global::meter("macloud.skill")
            .u64_observable_gauge(name)
            .with_description(description)
            .with_callback(move |observer| {
                if let Some(condition) = condition() {
                    observer.observe(value(&condition), &[]);
                }
            })
            .build();
    };
    gauge("macloud.skill.bus_streams", "Streams to relays that are open", |condition| condition.streams);
    gauge("macloud.skill.follows_changes", "1 while the account service's changes arrive", |condition| {
        condition.follows_changes.into()
    });
    gauge("macloud.skill.sessions", "Homes that sealed sessions are kept with", |condition| condition.sessions);
}
