//! From a number to a trace: for each bucket of a histogram the latest command whose trace is sent, in OpenMetrics' words.
//!
//! The libraries that make the metrics record no exemplars, so they are noted here beside them, and written into their text when
//! it is read. Only ids and numbers, and only of traces that certainly are sent: a link that leads nowhere is worse than none.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TraceId;

use crate::telemetry;

static NOTED: LazyLock<Mutex<Noted>> = LazyLock::new(Mutex::default);

/// Exemplars that are kept. The labels of our histograms have some hundred combinations, of which a process uses a part.
const MAX_NOTED: usize = 1024;

/// Note that `span` took `took`, as the histogram `metric` (its name for Prometheus, with the unit) records with `labels`. Does
/// nothing where its trace is not sent, or not certain to be.
pub fn note(metric: &'static str, labels: &[KeyValue], took: Duration, span: &tracing::Span) {
    if let Some(trace) = telemetry::sent_trace(span, took) {
        noted().note(metric, labels, took.as_secs_f64(), trace);
    }
}

/// Prometheus's text format `text` as OpenMetrics 1.0, with exemplars.
pub(super) fn openmetrics(text: &str) -> String {
    noted().openmetrics(text)
}

fn noted() -> MutexGuard<'static, Noted> {
    // Each use leaves it consistent.
    NOTED.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Default)]
struct Noted {
    exemplars: HashMap<Place, Exemplar>,
    next: u64,
}

/// Where an exemplar belongs. The buckets' bounds are not known here; no two values that differ by less than a factor of two are
/// kept for the same labels, and so each bucket that spans as much has its own.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Place {
    metric: &'static str,
    labels: Vec<String>,
    magnitude: i32,
}

#[derive(Debug)]
struct Exemplar {
    value: f64,
    trace: TraceId,
    /// Greater for the later ones.
    order: u64,
}

impl Noted {
    fn note(&mut self, metric: &'static str, labels: &[KeyValue], value: f64, trace: TraceId) {
        let labels = labels.iter().map(|label| format!("{}=\"{}\"", label.key, label.value)).collect();
        let place = Place { metric, labels, magnitude: value.log2().floor() as i32 };
        if self.exemplars.len() < MAX_NOTED || self.exemplars.contains_key(&place) {
            self.exemplars.insert(place, Exemplar { value, trace, order: self.next });
            self.next += 1;
        }
    }

    fn openmetrics(&self, text: &str) -> String {
        let mut written = String::with_capacity(text.len() + 64 * self.exemplars.len());
        let mut below = f64::NEG_INFINITY;
        for line in text.lines() {
            let Some(bucket) = Bucket::read(line) else {
                below = f64::NEG_INFINITY;
                written.push_str(&header(line, counter_of(text, line)));
                written.push('\n');
                continue;
            };
            // Buckets of one histogram follow one another, from the lowest.
            let lowest = if bucket.bound > below { below } else { f64::NEG_INFINITY };
            below = bucket.bound;
            written.push_str(line);
            if let Some(Exemplar { value, trace, .. }) = self.latest(&bucket, lowest) {
                // Writing to a string does not fail.
                let _ = write!(written, " # {{trace_id=\"{trace}\"}} {value}");
            }
            written.push('\n');
        }
        written.push_str("# EOF\n");
        written
    }

    fn latest(&self, bucket: &Bucket<'_>, above: f64) -> Option<&Exemplar> {
        let is_of = |place: &Place| {
            place.metric == bucket.metric && place.labels.iter().all(|label| bucket.labels.contains(label.as_str()))
        };
        let within = |exemplar: &Exemplar| exemplar.value > above && exemplar.value <= bucket.bound;
        let fitting = self.exemplars.iter().filter(|(place, exemplar)| is_of(place) && within(exemplar));
        fitting.map(|(_, exemplar)| exemplar).max_by_key(|exemplar| exemplar.order)
    }
}

/// A line such as `macloud_x_seconds_bucket{kind="power",le="0.5"} 7`.
struct Bucket<'t> {
    metric: &'t str,
    labels: &'t str,
    bound: f64,
}

impl<'t> Bucket<'t> {
    fn read(line: &'t str) -> Option<Self> {
        let (name, rest) = line.split_once('{')?;
        let metric = name.strip_suffix("_bucket")?;
        let (labels, _) = rest.rsplit_once('}')?;
        let (_, bound) = labels.rsplit_once("le=\"")?;
        let bound = bound.split_once('"')?.0.parse().ok()?;
        Some(Self { metric, labels, bound })
    }
}

/// The counter that a `# TYPE` or `# HELP` line is about.
fn counter_of<'t>(text: &'t str, line: &'t str) -> Option<&'t str> {
    let name = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE "))?.split(' ').next()?;
    let is_counter = text.contains(&format!("# TYPE {name} counter\n"));
    is_counter.then_some(name)
}

/// OpenMetrics names a family of counters without the `_total` of its samples.
fn header(line: &str, counter: Option<&str>) -> String {
    let short = counter.and_then(|name| Some((name, name.strip_suffix("_total")?)));
    match short {
        Some((name, family)) => line.replacen(name, family, 1),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# HELP macloud_skill_directives_total Directives
# TYPE macloud_skill_directives_total counter
macloud_skill_directives_total{kind=\"power\"} 4
# HELP macloud_skill_duration_seconds Time
# TYPE macloud_skill_duration_seconds histogram
macloud_skill_duration_seconds_bucket{front=\"custom\",kind=\"do\",le=\"0.1\"} 1
macloud_skill_duration_seconds_bucket{front=\"custom\",kind=\"do\",le=\"0.5\"} 3
macloud_skill_duration_seconds_bucket{front=\"custom\",kind=\"do\",le=\"+Inf\"} 3
macloud_skill_duration_seconds_sum{front=\"custom\",kind=\"do\"} 1.5
macloud_skill_duration_seconds_bucket{front=\"custom\",kind=\"talk\",le=\"0.1\"} 0
macloud_skill_duration_seconds_bucket{front=\"custom\",kind=\"talk\",le=\"+Inf\"} 0
";
    const METRIC: &str = "macloud_skill_duration_seconds";

    fn spoken(kind: &'static str) -> [KeyValue; 2] {
        [KeyValue::new("front", "custom"), KeyValue::new("kind", kind)]
    }

    fn linked(text: &str) -> Vec<&str> {
        text.lines().filter(|line| line.contains(" # {")).collect()
    }

    #[test]
    fn a_bucket_has_the_latest_command_in_it() {
        let mut noted = Noted::default();
        noted.note(METRIC, &spoken("do"), 0.3, TraceId::from(1));
        noted.note(METRIC, &spoken("do"), 0.4, TraceId::from(2));
        noted.note(METRIC, &spoken("do"), 0.04, TraceId::from(3));
        let text = noted.openmetrics(TEXT);
        assert_eq!(
            linked(&text),
            [
                "macloud_skill_duration_seconds_bucket{front=\"custom\",kind=\"do\",le=\"0.1\"} 1 # {trace_id=\"00000000000000000000000000000003\"} 0.04",
                "macloud_skill_duration_seconds_bucket{front=\"custom\",kind=\"do\",le=\"0.5\"} 3 # {trace_id=\"00000000000000000000000000000002\"} 0.4",
            ]
        );
    }

    #[test]
    fn a_slow_command_is_not_pushed_out_by_quick_ones() {
        let mut noted = Noted::default();
        noted.note(METRIC, &spoken("do"), 3.0, TraceId::from(1));
        for n in 2..500_u128 {
            noted.note(METRIC, &spoken("do"), 0.03, TraceId::from(n));
        }
        assert_eq!(noted.exemplars.len(), 2);
        let text = noted.openmetrics(TEXT);
        assert!(linked(&text).iter().any(|line| line.contains("+Inf") && line.ends_with("} 3")), "{text}");
    }

    #[test]
    fn there_is_a_bound() {
        let mut noted = Noted::default();
        for n in 0..MAX_NOTED as i64 + 50 {
            noted.note(METRIC, &[KeyValue::new("n", n)], 1.0, TraceId::from(1));
        }
        assert_eq!(noted.exemplars.len(), MAX_NOTED);
    }

    #[test]
    fn families_of_counters_lose_their_total_and_the_text_ends() {
        let text = Noted::default().openmetrics(TEXT);
        assert!(
            text.starts_with("# HELP macloud_skill_directives Directives\n# TYPE macloud_skill_directives counter\n")
        );
        assert!(text.contains("\nmacloud_skill_directives_total{kind=\"power\"} 4\n"));
        assert!(text.contains("# TYPE macloud_skill_duration_seconds histogram\n"));
        assert!(text.ends_with("\n# EOF\n"));
        assert!(linked(&text).is_empty());
    }
}
