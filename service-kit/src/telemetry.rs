//! Logs to standard error (standard output belongs to machine-readable events); and traces, metrics and logs to an OTLP collector if
//! one is named.

#[cfg(feature = "server")]
mod keep;
#[cfg(feature = "server")]
pub(crate) mod otlp;
#[cfg(feature = "server")]
mod past;

#[cfg(feature = "server")]
use std::collections::HashMap;
use std::io::IsTerminal as _;

#[cfg(feature = "server")]
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

#[cfg(feature = "server")]
pub use self::keep::{Part, SLOW};
#[cfg(feature = "server")]
pub use self::past::{Past, past_span, tell_past};

/// What is logged if nobody says otherwise.
pub const USUAL_LOG: &str = "info,opentelemetry=warn";

/// How to log.
#[derive(Debug, Clone, clap::Args)]
pub struct TelemetryArgs {
    /// What to log: `error`, `warn`, `info`, `debug`, or per module such as `warn,macloud_relay=debug`.
    #[arg(long, default_value = USUAL_LOG, global = true)]
    pub log: String,

    /// Form of the log lines.
    #[arg(long, value_enum, default_value = "text", global = true)]
    pub log_format: LogFormat,

    /// Send traces, metrics and logs to this OTLP collector over gRPC, such as http://127.0.0.1:4317. Only programs built with
    /// serving support do.
    #[arg(long, global = true, hide = !cfg!(feature = "server"))]
    pub otlp_endpoint: Option<String>,

    /// Of the traces in which all went well, send this part: 0 none, 1 all. Give all programs of a cloud the same. Traces with a
    /// failure, or with a span of two seconds or more, are sent in any case.
    #[cfg(feature = "server")]
    #[arg(long, default_value_t = Part::ALL, global = true)]
    pub trace_part: Part,
}

/// Form of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What must live until the program ends, so that the last spans, counts and log lines are sent. Dropping it waits for that, at most
/// three seconds; the runtime that it was started on must be running still, with a thread beside the one that waits.
#[derive(Debug, Default)]
#[must_use = "dropping this ends the sending of telemetry"]
pub struct Telemetry {
    #[cfg(feature = "server")]
    traces: Option<opentelemetry_sdk::trace::SdkTracerProvider>,
    #[cfg(feature = "server")]
    logs: Option<opentelemetry_sdk::logs::SdkLoggerProvider>,
}

/// Start logging for this process. Metrics that are installed afterwards go where this says, too.
///
/// # Errors
/// When the filter cannot be parsed, the collector's address is unusable, or logging was started before.
pub fn init(args: &TelemetryArgs, service: &'static str) -> anyhow::Result<Telemetry> {
    let filter = EnvFilter::try_new(&args.log)
        .map_err(|error| anyhow::anyhow!("--log {:?} is not a valid filter: {error}", args.log))?;
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let text = (args.log_format == LogFormat::Text)
        .then(|| tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false).with_ansi(colours));
    let json = (args.log_format == LogFormat::Json)
        .then(|| tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(std::io::stderr));
    let registry = tracing_subscriber::registry().with(filter).with(text).with(json);
    #[cfg(feature = "server")]
    {
        let to = otlp::Endpoints::new(args.otlp_endpoint.as_deref(), |name| std::env::var(name).ok());
        let traces = to.traces.map(|endpoint| otlp::traces(&endpoint, args.trace_part, service)).transpose()?;
        let logs = to.logs.map(|endpoint| otlp::logs(&endpoint, service)).transpose()?;
        let spans = traces.as_ref().map(|provider| {
            use opentelemetry::trace::TracerProvider as _;
            tracing_opentelemetry::layer().with_tracer(provider.tracer(service))
        });
        let lines = logs.as_ref().map(otlp::log_layer);
        registry.with(spans).with(lines).try_init()?;
        if let Some(provider) = &traces {
            // For spans that are made after the fact, which the layer above cannot.
            opentelemetry::global::set_tracer_provider(provider.clone());
            keep::set_sent(args.trace_part);
        }
        if let Some(endpoint) = to.metrics {
            otlp::set_metrics_endpoint(endpoint);
        }
        Ok(Telemetry { traces, logs })
    }
    #[cfg(not(feature = "server"))]
    {
        let _ = service;
        registry.try_init()?;
        Ok(Telemetry::default())
    }
}

/// The trace that `span` belongs to, if it is certain now that it is sent: one of the part that is, or slow by `took`. For exemplars.
#[cfg(feature = "server")]
#[must_use]
pub(crate) fn sent_trace(span: &tracing::Span, took: std::time::Duration) -> Option<opentelemetry::trace::TraceId> {
    use opentelemetry::trace::TraceContextExt as _;
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;
    let part = keep::sent()?;
    let trace = span.context().span().span_context().trace_id();
    (trace != opentelemetry::trace::TraceId::INVALID && (part.has(trace) || took >= SLOW)).then_some(trace)
}

/// This span as a W3C Trace Context `traceparent`, to be sent to the next process. Empty where no traces are sent.
#[cfg(feature = "server")]
#[must_use]
pub fn traceparent(span: &tracing::Span) -> String {
    use opentelemetry::propagation::TextMapPropagator as _;
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;
    let mut fields = HashMap::new();
    TraceContextPropagator::new().inject_context(&span.context(), &mut fields);
    fields.remove(TRACEPARENT).unwrap_or_default()
}

/// Make `span` a child of the span that another process named in a `traceparent`. What cannot be read is left out.
#[cfg(feature = "server")]
pub fn continue_trace(span: &tracing::Span, traceparent: &str) {
    use opentelemetry::propagation::TextMapPropagator as _;
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;
    if traceparent.is_empty() {
        return;
    }
    let fields = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    // An error means that no traces are sent from here.
    let _ = span.set_parent(TraceContextPropagator::new().extract(&fields));
}

#[cfg(feature = "server")]
const TRACEPARENT: &str = "traceparent";

#[cfg(feature = "server")]
impl Drop for Telemetry {
    fn drop(&mut self) {
        otlp::finish(self.traces.take(), self.logs.take());
    }
}
