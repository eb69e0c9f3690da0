//! Which traces are sent: all that failed or were slow, and a part of the others.
//!
//! Whether a command fails is known at its end. So every span is recorded, those of one trace wait here together, and when the
//! last one that is open in this process has ended, all of them go to the collector or none. What is kept of the others is decided by
//! the trace's id: every process that is told the same part keeps the same traces.
//!
//! Each process decides for itself about failures, as none knows how the others fare. A failure of the way is one at each process that
//! the answer passes on its way back; but of a command that was well at the relay and failed only at the skill, the relay's spans
//! are kept like those of any other.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::{Span as _, Status, TraceId};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

/// A span that took this long is kept, whatever came of it: people notice, and Alexa gives up at eight seconds.
pub const SLOW: Duration = Duration::from_secs(2);

/// Traces that may wait at once. Beyond, a span is judged alone.
const MAX_TRACES: usize = 4096;

/// Spans of one trace that may wait. Discovery of many homes has a few for each; beyond, a span is judged alone.
const MAX_SPANS: usize = 256;

/// How many of the traces that went well are sent, from 0 (none) to 1 (all).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part(f64);

impl Part {
    /// All of them.
    pub const ALL: Self = Self(1.0);

    /// Whether this trace is among them. The same at every process that has the same part.
    #[must_use]
    pub fn has(self, trace: TraceId) -> bool {
        // The right half of an id is random (W3C Trace Context, section 5); 53 bits of it are a number below 1.
        let random = u128::from_be_bytes(trace.to_bytes()) as u64 >> 11;
        (random as f64) < self.0 * (1_u64 << 53) as f64
    }
}

impl std::str::FromStr for Part {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let part = text.parse().ok().filter(|part| (0.0..=1.0).contains(part));
        part.map(Self).ok_or("not a number from 0 to 1")
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

static SENT: OnceLock<Part> = OnceLock::new();

/// Traces are sent from this process, of those that went well this part.
pub(super) fn set_sent(part: Part) {
    // Set once, as logging is started once.
    let _ = SENT.set(part);
}

/// What is sent from this process; none, where no traces are.
pub(super) fn sent() -> Option<Part> {
    SENT.get().copied()
}

/// Hands on to `inner` what is worth it.
#[derive(Debug)]
pub(super) struct Keep<P> {
    inner: P,
    part: Part,
    waiting: Mutex<HashMap<TraceId, Waiting>>,
}

/// A trace with spans that are open in this process.
#[derive(Debug, Default)]
struct Waiting {
    open: usize,
    ended: Vec<SpanData>,
    keep: bool,
}

impl<P> Keep<P> {
    pub(super) fn new(inner: P, part: Part) -> Self {
        Self { inner, part, waiting: Mutex::default() }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<TraceId, Waiting>> {
        // Each use leaves it consistent.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened(&self, trace: TraceId) {
        let mut waiting = self.waiting();
        if waiting.len() < MAX_TRACES || waiting.contains_key(&trace) {
            waiting.entry(trace).or_default().open += 1;
        }
    }

    /// What is to be sent, now that `span` has ended.
    fn ended(&self, span: SpanData) -> Vec<SpanData> {
        let trace = span.span_context.trace_id();
        let keep = self.part.has(trace) || is_telling(&span);
        let mut waiting = self.waiting();
        let Some(known) = waiting.get_mut(&trace) else { return if keep { vec![span] } else { Vec::new() } };
        known.keep |= keep;
        known.open = known.open.saturating_sub(1);
        if known.ended.len() < MAX_SPANS {
            known.ended.push(span);
        } else if keep {
            return vec![span];
        }
        if known.open > 0 {
            return Vec::new();
        }
        waiting.remove(&trace).filter(|known| known.keep).map(|known| known.ended).unwrap_or_default()
    }

    /// What is worth it of everything that waits, at the end of the process.
    fn take_all(&self) -> Vec<SpanData> {
        let all = std::mem::take(&mut *self.waiting());
        all.into_values().filter(|known| known.keep).flat_map(|known| known.ended).collect()
    }
}

impl<P: SpanProcessor> SpanProcessor for Keep<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.opened(span.span_context().trace_id());
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        for span in self.ended(span) {
            self.inner.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        for span in self.take_all() {
            self.inner.on_end(span);
        }
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// Whether somebody will look for it.
fn is_telling(span: &SpanData) -> bool {
    let failed = matches!(span.status, Status::Error { .. });
    failed || span.end_time.duration_since(span.start_time).is_ok_and(|took| took >= SLOW)
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{TraceContextExt as _, Tracer as _, TracerProvider as _};
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;

    /// The names of the spans that would be sent.
    #[derive(Debug, Clone, Default)]
    struct Collector(std::sync::Arc<Mutex<Vec<String>>>);

    impl SpanProcessor for Collector {
        fn on_start(&self, _: &mut Span, _: &Context) {}

        fn on_end(&self, span: SpanData) {
            self.0.lock().unwrap().push(span.name.to_string());
        }

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }
    }

    /// A process that keeps `part`, and what its collector gets.
    fn process(part: &str) -> (SdkTracerProvider, Collector) {
        let collector = Collector::default();
        let keep = Keep::new(collector.clone(), part.parse().unwrap());
        (SdkTracerProvider::builder().with_span_processor(keep).build(), collector)
    }

    fn names(collector: &Collector) -> Vec<String> {
        collector.0.lock().unwrap().clone()
    }

    /// `journey` with `call` in it, which ends first and as `status` says.
    fn journey(process: &SdkTracerProvider, status: Status) {
        let tracer = process.tracer("test");
        let journey = Context::new().with_span(tracer.start_with_context("journey", &Context::new()));
        let mut call = tracer.start_with_context("call", &journey);
        call.set_status(status);
        call.end();
        journey.span().end();
    }

    #[test]
    fn what_went_well_is_not_kept_and_what_failed_is_kept_whole() {
        let (process, collector) = process("0");
        journey(&process, Status::Unset);
        assert_eq!(names(&collector), [""; 0]);
        journey(&process, Status::error("late"));
        assert_eq!(names(&collector), ["call", "journey"]);
    }

    #[test]
    fn a_failure_that_comes_last_keeps_what_ended_before() {
        let (process, collector) = process("0");
        let tracer = process.tracer("test");
        let journey = Context::new().with_span(tracer.start_with_context("journey", &Context::new()));
        tracer.start_with_context("call", &journey).end();
        assert_eq!(names(&collector), [""; 0], "decided before the end");
        journey.span().set_status(Status::error("no answer"));
        journey.span().end();
        assert_eq!(names(&collector), ["call", "journey"]);
    }

    #[test]
    fn what_was_slow_is_kept() {
        let (process, collector) = process("0");
        let tracer = process.tracer("test");
        let began = std::time::UNIX_EPOCH;
        let took = |name: &'static str, took: Duration| {
            let mut span = tracer.build_with_context(tracer.span_builder(name).with_start_time(began), &Context::new());
            span.end_with_timestamp(began + took);
        };
        took("quick", SLOW - Duration::from_millis(1));
        took("slow", SLOW);
        assert_eq!(names(&collector), ["slow"]);
    }

    #[test]
    fn a_part_is_the_same_traces_everywhere_and_as_many_as_it_says() {
        let half: Part = "0.5".parse().unwrap();
        let ids = (1..=1000_u128).map(|n| TraceId::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)));
        let kept = ids.clone().filter(|id| half.has(*id)).count();
        assert!((400..600).contains(&kept), "{kept} of 1000");
        assert!(ids.clone().all(|id| Part::ALL.has(id)));
        let none: Part = "0".parse().unwrap();
        assert!(!ids.clone().any(|id| none.has(id)));
        // Who keeps a tenth has nothing that the half does not have.
        let tenth: Part = "0.1".parse().unwrap();
        assert!(ids.filter(|id| tenth.has(*id)).all(|id| half.has(id)));
        for wrong in ["-0.1", "1.1", "NaN", "all", ""] {
            wrong.parse::<Part>().unwrap_err();
        }
    }

    #[test]
    fn too_many_open_traces_are_judged_alone() {
        let keep = Keep::new(Collector::default(), "0".parse().unwrap());
        for n in 0..MAX_TRACES + 10 {
            keep.opened(TraceId::from(n as u128 + 1));
        }
        assert_eq!(keep.waiting().len(), MAX_TRACES);
        // Known ones still count.
        keep.opened(TraceId::from(1));
        assert_eq!(keep.waiting()[&TraceId::from(1)].open, 2);
    }
}
