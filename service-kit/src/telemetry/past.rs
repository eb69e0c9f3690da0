//! Spans of what another process did, made from the durations that it reports.
//!
//! A home sends no traces anywhere: it is its owner's, and an exporter there would have to be told where to. It says how long it
//! took, and whoever asked it makes the spans. Only durations cross over, so that clocks need not agree.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanKind, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, global};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Something that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    name: &'static str,
    began_ago: Duration,
    ended_ago: Duration,
}

/// Something called `name` took `took`, and ended `ended_ago`.
#[must_use]
pub const fn past_span(name: &'static str, took: Duration, ended_ago: Duration) -> Past {
    Past { name, began_ago: ended_ago.saturating_add(took), ended_ago }
}

impl Past {
    /// It, and what happened within it at the earliest `after` its begin, for `took`. A report that does not fit is cut to fit: a
    /// span never sticks out of the one around it.
    #[must_use]
    pub fn within(&self, name: &'static str, after: Duration, took: Duration) -> Self {
        let began_ago = self.began_ago.saturating_sub(after).max(self.ended_ago);
        let ended_ago = began_ago.saturating_sub(took).max(self.ended_ago);
        Self { name, began_ago, ended_ago }
    }

    /// How long it took.
    #[must_use]
    pub const fn took(&self) -> Duration {
        self.began_ago.saturating_sub(self.ended_ago)
    }
}

/// Send `chain` as spans, the first below `parent` and each below the one before it. Nothing happens where no traces are sent.
pub fn tell_past(parent: &Span, chain: &[Past]) {
    let context = parent.context();
    if context.span().span_context().is_sampled() {
        tell_at(now(), &context, chain);
    }
}

fn tell_at(now: SystemTime, parent: &Context, chain: &[Past]) {
    let Some((past, within)) = chain.split_first() else { return };
    let tracer = global::tracer(SCOPE);
    let began = now - past.began_ago;
    let builder = tracer.span_builder(past.name).with_kind(SpanKind::Internal).with_start_time(began);
    let context = parent.with_span(tracer.build_with_context(builder, parent));
    tell_at(now, &context, within);
    context.span().end_with_timestamp(now - past.ended_ago);
}

#[expect(clippy::disallowed_methods, reason = "spans are stamped by the same clock as those of the tracing layer")]
fn now() -> SystemTime {
    SystemTime::now()
}

const SCOPE: &str = "macloud";

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn what_happened_within_has_its_place() {
        let link = past_span("link", ms(100), ms(5));
        let home = link.within("home", ms(10), ms(80));
        assert_eq!((home.began_ago, home.ended_ago), (ms(95), ms(15)));
        assert_eq!(home.took(), ms(80));
    }

    #[test]
    fn a_report_that_does_not_fit_is_cut() {
        let link = past_span("link", ms(100), ms(5));
        let endless = link.within("home", ms(40), Duration::MAX);
        assert_eq!((endless.began_ago, endless.ended_ago), (ms(65), ms(5)));
        let later = link.within("home", Duration::MAX, ms(1));
        assert_eq!((later.began_ago, later.ended_ago), (ms(5), ms(5)));
    }
}
