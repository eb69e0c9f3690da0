//! Traces, metrics and logs for an OpenTelemetry collector, over OTLP.
//!
//! Whoever traces, counts or logs never waits for the collector: spans and log lines go into bounded queues, and what finds no room
//! is left out; metrics are sums that are read once a minute. Each kind has a thread that sends, and a failure of its is said once a
//! minute on standard error, never to the collector itself. At the end of the process what waits is sent, for at most [`LAST_SEND`].

use std::sync::{Mutex, OnceLock, PoisonError, mpsc};
use std::time::{Duration, Instant};

use opentelemetry::{Key, KeyValue};
use opentelemetry_appender_tracing::layer::{OpenTelemetryTracingBridge, TracingSpanAttributes};
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{BatchLogProcessor, LogBatch, SdkLogger, SdkLoggerProvider};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use opentelemetry_sdk::trace::{BatchSpanProcessor, SdkTracerProvider, SpanData};

use super::keep::{Keep, Part};
use crate::random;

/// Where each kind goes; `None`: nowhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Endpoints {
    pub(super) traces: Option<String>,
    pub(super) metrics: Option<String>,
    pub(super) logs: Option<String>,
}

impl Endpoints {
    /// What `--otlp-endpoint` says, where `environment` has no endpoint for one kind alone. Its names are those of OpenTelemetry's
    /// specification (OTLP exporter, configuration options); an empty value counts as none there.
    pub(super) fn new(option: Option<&str>, environment: impl Fn(&str) -> Option<String>) -> Self {
        let said = |name: &str| environment(name).filter(|endpoint| !endpoint.is_empty());
        let common = option.map(str::to_owned).or_else(|| said("OTEL_EXPORTER_OTLP_ENDPOINT"));
        let of = |name: &str| said(name).or_else(|| common.clone());
        Self {
            traces: of("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
            metrics: of("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"),
            logs: of("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"),
        }
    }
}

/// Who it is that tells: the program, its version, and which of its processes. `OTEL_RESOURCE_ATTRIBUTES` may add to it, and name the
/// process better than by the random id that it has else.
pub(crate) fn resource(service: &'static str) -> Resource {
    let said = Resource::builder().build();
    let instance = said.get(&Key::new(INSTANCE)).map_or_else(|| random_instance().to_owned(), |said| said.to_string());
    Resource::builder()
        .with_service_name(service)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new(INSTANCE, instance))
        .build()
}

/// The same for all that this process sends.
fn random_instance() -> &'static str {
    static INSTANCE_ID: OnceLock<String> = OnceLock::new();
    INSTANCE_ID.get_or_init(|| format!("{:032x}", u128::from_be_bytes(random::bytes())))
}

/// Spans that are sent to `endpoint`, all that is worth it and `part` of the others.
pub(super) fn traces(endpoint: &str, part: Part, service: &'static str) -> anyhow::Result<SdkTracerProvider> {
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
    let sender = BatchSpanProcessor::builder(Observed::new(exporter, "traces")).build();
    Ok(SdkTracerProvider::builder()
        .with_span_processor(Keep::new(sender, part))
        .with_resource(resource(service))
        .build())
}

/// Log lines that are sent to `endpoint`.
pub(super) fn logs(endpoint: &str, service: &'static str) -> anyhow::Result<SdkLoggerProvider> {
    let exporter = LogExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
    let sender = BatchLogProcessor::builder(Observed::new(exporter, "logs")).build();
    Ok(SdkLoggerProvider::builder().with_log_processor(sender).with_resource(resource(service)).build())
}

/// What hands log lines to `logs`, with the fields of the spans that they are in, as standard error has them.
pub(super) fn log_layer<S>(logs: &SdkLoggerProvider) -> impl tracing_subscriber::Layer<S> + use<S>
where
    S: tracing::Subscriber + for<'span> tracing_subscriber::registry::LookupSpan<'span>,
{
    use tracing_subscriber::Layer as _;
    let bridge: OpenTelemetryTracingBridge<SdkLoggerProvider, SdkLogger> =
        OpenTelemetryTracingBridge::builder(logs).with_tracing_span_attributes(TracingSpanAttributes::all()).build();
    bridge.with_filter(tracing_subscriber::filter::filter_fn(|about| !is_of_sending(about.target())))
}

/// Whether it comes from what carries telemetry to the collector. Sent there, it would beget more of itself.
fn is_of_sending(target: &str) -> bool {
    let from = target.split("::").next().unwrap_or_default();
    from.starts_with("opentelemetry") || CARRIERS.contains(&from)
}

/// The crates that OTLP's client rests upon. They serve the programs' own connections too; nobody sees from a line of theirs whose
/// it is, so all of them stay on standard error.
const CARRIERS: [&str; 7] = ["h2", "hyper", "hyper_util", "tonic", "tower", "tracing_opentelemetry", "tokio"];

/// From now on this process's metrics are to be sent to `endpoint`, too.
pub(super) fn set_metrics_endpoint(endpoint: String) {
    // Set once, as logging is started once.
    let _ = METRICS_ENDPOINT.set(endpoint);
}

/// What reads the metrics and sends them, if they are to be sent.
pub(crate) fn metrics_reader() -> anyhow::Result<Option<impl opentelemetry_sdk::metrics::reader::MetricReader>> {
    METRICS_ENDPOINT.get().map(|endpoint| metrics(endpoint)).transpose()
}

fn metrics(endpoint: &str) -> anyhow::Result<PeriodicReader<Observed<MetricExporter>>> {
    let exporter = MetricExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
    Ok(PeriodicReader::builder(Observed::new(exporter, "metrics")).build())
}

/// Have what `meters` counted sent at the end of the process.
pub(crate) fn send_at_end(meters: SdkMeterProvider) {
    // The first one is the process's.
    let _ = METERS.set(meters);
}

static METRICS_ENDPOINT: OnceLock<String> = OnceLock::new();
static METERS: OnceLock<SdkMeterProvider> = OnceLock::new();

/// Send what waits, all kinds at once, and end the sending. Returns after [`LAST_SEND`] at the latest: a collector that is away or
/// hangs keeps no process from its end.
pub(super) fn finish(traces: Option<SdkTracerProvider>, logs: Option<SdkLoggerProvider>) {
    let meters = METERS.get().filter(|_| METRICS_ENDPOINT.get().is_some());
    let (done, all_done) = mpsc::channel();
    if let Some(traces) = traces {
        finish_one(&done, move || traces.shutdown_with_timeout(LAST_SEND));
    }
    if let Some(logs) = logs {
        finish_one(&done, move || logs.shutdown_with_timeout(LAST_SEND));
    }
    if let Some(meters) = meters {
        finish_one(&done, || meters.shutdown_with_timeout(LAST_SEND));
    }
    drop(done);
    let until = Instant::now() + LAST_SEND;
    // Ends when the last thread has dropped its sender, or the time is up.
    while all_done.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok() {}
}

/// On a thread of its own, as some of the SDK's ends wait longer than they are told.
fn finish_one(done: &mpsc::Sender<()>, end: impl FnOnce() -> OTelSdkResult + Send + 'static) {
    let done = done.clone();
    std::thread::spawn(move || {
        // The collector may be away: its `Observed` has said so.
        let _ = end();
        let _ = done.send(());
    });
}

/// For what waits at the end. The tightest is `ma-cloud serve`, which stops within 15 s, and is killed after 20.
pub(super) const LAST_SEND: Duration = Duration::from_secs(3);

/// An exporter whose failures are said.
#[derive(Debug)]
struct Observed<E> {
    exporter: E,
    kind: &'static str,
    said: Once,
}

impl<E> Observed<E> {
    fn new(exporter: E, kind: &'static str) -> Self {
        Self { exporter, kind, said: Once::default() }
    }

    /// Runs on the SDK's thread for sending, in which nothing that is logged is sent.
    fn say(&self, result: OTelSdkResult) -> OTelSdkResult {
        if let Err(error) = &result
            && self.said.now(Instant::now())
        {
            tracing::warn!(kind = self.kind, %error, "the OpenTelemetry collector did not take what was sent; it is left out");
        }
        result
    }
}

/// Once a minute.
#[derive(Debug, Default)]
struct Once(Mutex<Option<Instant>>);

impl Once {
    /// Whether it is time.
    fn now(&self, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| now.saturating_duration_since(last) >= BETWEEN_FAILURES);
        if due {
            *last = Some(now);
        }
        due
    }
}

const BETWEEN_FAILURES: Duration = Duration::from_secs(60);
const INSTANCE: &str = "service.instance.id";

impl<E: opentelemetry_sdk::trace::SpanExporter> opentelemetry_sdk::trace::SpanExporter for Observed<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.say(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: opentelemetry_sdk::logs::LogExporter> opentelemetry_sdk::logs::LogExporter for Observed<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.say(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Observed<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.say(self.exporter.export(metrics).await)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_kind_may_have_another_endpoint() {
        let environment = |name: &str| match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some("http://common".to_owned()),
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT" => Some("http://logs".to_owned()),
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT" => Some(String::new()),
            _ => None,
        };
        let endpoints = |traces: &str, metrics: &str, logs: &str| Endpoints {
            traces: Some(traces.to_owned()),
            metrics: Some(metrics.to_owned()),
            logs: Some(logs.to_owned()),
        };
        assert_eq!(Endpoints::new(None, environment), endpoints("http://common", "http://common", "http://logs"));
        let option = Some("http://option");
        assert_eq!(Endpoints::new(option, environment), endpoints("http://option", "http://option", "http://logs"));
        assert_eq!(Endpoints::new(None, |_| None), Endpoints::default());
    }

    #[test]
    fn a_failure_is_said_once_a_minute() {
        let once = Once::default();
        let start = Instant::now();
        let said = [0, 1, 59, 60, 61, 119, 120].map(|seconds| once.now(start + Duration::from_secs(seconds)));
        assert_eq!(said, [true, false, false, true, false, false, true]);
    }

    #[test]
    fn what_carries_telemetry_is_told_from_what_has_a_similar_name() {
        for of_sending in ["opentelemetry_sdk", "opentelemetry-otlp", "h2::codec", "hyper_util::client", "tonic"] {
            assert!(is_of_sending(of_sending), "{of_sending}");
        }
        for other in ["macloud_relay", "macloud_service_kit::tower", "h2o", "sqlx::query", "towering"] {
            assert!(!is_of_sending(other), "{other}");
        }
    }

    #[test]
    fn a_resource_names_program_version_and_process() {
        let one = resource("test");
        let said = |key: &'static str| one.get(&Key::new(key)).map(|value| value.to_string());
        assert_eq!(said("service.name").as_deref(), Some("test"));
        assert_eq!(said("service.version").as_deref(), Some(env!("CARGO_PKG_VERSION")));
        assert_eq!(said(INSTANCE), resource("other").get(&Key::new(INSTANCE)).map(|value| value.to_string()));
    }
}
