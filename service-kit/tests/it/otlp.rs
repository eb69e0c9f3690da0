//! What an OpenTelemetry collector gets, and what becomes of a program whose collector is away. Telemetry is the process's, so each
//! test has one of its own.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::routing::post;
use http_body_util::StreamBody;
use hyper::body::Frame;
use macloud_service_kit::http::Server;
use macloud_service_kit::metrics::Metrics;
use macloud_service_kit::stop::Stop;
use macloud_service_kit::telemetry::{self, LogFormat, Part, Telemetry, TelemetryArgs};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use tokio::net::TcpListener;

#[test]
fn spans_counts_and_lines_arrive_and_belong_together() {
    alone("otlp::spans_counts_and_lines_arrive_and_belong_together", spans_counts_and_lines());
}

async fn spans_counts_and_lines() {
    let stop = Stop::new();
    let collector = Collector::start(&stop).await;
    let telemetry = sending_to(&collector.url, "info");
    let metrics = Metrics::install("test").unwrap();
    opentelemetry::global::meter("macloud.test").u64_counter("macloud.test.things").build().add(3, &[]);
    tracing::info_span!("journey", instance.id = "home-1").in_scope(|| tracing::info!(kind = "one", "it happened"));
    let shown = metrics.render().unwrap();
    // Nothing was due yet: all of it is sent now.
    drop(telemetry);

    let spans = collector.received::<ExportTraceServiceRequest>("TraceService");
    let lines = collector.received::<ExportLogsServiceRequest>("LogsService");
    let counts = collector.received::<ExportMetricsServiceRequest>("MetricsService");
    let journey = &spans[0].resource_spans[0].scope_spans[0].spans[0];
    let line = records(&lines).into_iter().find(|line| said(line) == Some("it happened")).expect("the line");
    assert_eq!((&line.trace_id, &line.span_id), (&journey.trace_id, &journey.span_id));
    assert_eq!(line.severity_text, "INFO");
    assert_eq!(text(&line.attributes, "kind"), Some("one"), "its own field");
    assert_eq!(text(&line.attributes, "instance.id"), Some("home-1"), "its span's field");

    let scopes = counts.iter().flat_map(|sent| &sent.resource_metrics).flat_map(|resource| &resource.scope_metrics);
    let names: Vec<_> = scopes.flat_map(|scope| &scope.metrics).map(|metric| metric.name.as_str()).collect();
    assert!(names.contains(&"macloud.test.things"), "{names:?}");
    assert!(shown.contains("macloud_test_things_total"), "Prometheus still has it: {shown}");

    let resources = [
        spans[0].resource_spans[0].resource.as_ref(),
        lines[0].resource_logs[0].resource.as_ref(),
        counts[0].resource_metrics[0].resource.as_ref(),
    ];
    let resources = resources.map(|resource| identity(resource.expect("a resource")));
    assert_eq!(resources[0][..2], [Some("test"), Some(env!("CARGO_PKG_VERSION"))]);
    assert!(resources[0][2].is_some_and(|instance| !instance.is_empty()));
    assert!(resources.iter().all(|one| *one == resources[0]), "{resources:?}");
    stop.stop_hard();
}

#[test]
fn nothing_of_the_sending_is_sent() {
    alone("otlp::nothing_of_the_sending_is_sent", nothing_of_the_sending());
}

async fn nothing_of_the_sending() {
    let stop = Stop::new();
    let collector = Collector::start(&stop).await;
    let telemetry = sending_to(&collector.url, "trace");
    tracing::info!("first");
    // Sending it makes lines of the HTTP/2 client, which are there when the rest is sent.
    collector.until_it_has("LogsService").await;
    tracing::info!("last");
    drop(telemetry);
    let sent = collector.received::<ExportLogsServiceRequest>("LogsService");
    let lines: Vec<_> = records(&sent).into_iter().filter_map(said).collect();
    assert!(lines.contains(&"first") && lines.contains(&"last"), "{lines:?}");
    let scopes = sent.iter().flat_map(|sent| &sent.resource_logs).flat_map(|resource| &resource.scope_logs);
    for scope in scopes.filter_map(|logs| logs.scope.as_ref()) {
        let of_sending = ["h2", "hyper", "tonic", "tower", "opentelemetry"];
        assert!(!of_sending.iter().any(|one| scope.name.starts_with(one)), "{}", scope.name);
    }
    stop.stop_hard();
}

#[test]
fn a_collector_that_hangs_slows_nothing_and_stops_no_end() {
    alone("otlp::a_collector_that_hangs_slows_nothing_and_stops_no_end", a_collector_that_hangs());
}

async fn a_collector_that_hangs() {
    // The system accepts its connections; it never answers.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    does_not_wait_for(&format!("http://{}", silent.local_addr().unwrap()));
}

#[test]
fn a_collector_that_is_away_slows_nothing_and_stops_no_end() {
    alone("otlp::a_collector_that_is_away_slows_nothing_and_stops_no_end", a_collector_that_is_away());
}

async fn a_collector_that_is_away() {
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    does_not_wait_for(&format!("http://{gone}"));
}

/// Runs `test`, which is that of this name, in a process of its own: here if nextest has made one for it, else in another one.
fn alone(name: &str, test: impl Future<Output = ()>) {
    let is_alone = std::env::var("NEXTEST_EXECUTION_MODE").is_ok_and(|mode| mode == "process-per-test");
    if is_alone || std::env::var_os(ALONE).is_some() {
        return tokio::runtime::Runtime::new().unwrap().block_on(test);
    }
    let own = std::env::current_exe().unwrap();
    let ran = Command::new(own).args(["--exact", name, "--nocapture"]).env(ALONE, "").output().unwrap();
    let [said, complained] = [ran.stdout, ran.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    // No test at all passes, too, where the name is wrong.
    assert!(ran.status.success() && said.contains("1 passed"), "{said}{complained}");
}

const ALONE: &str = "MACLOUD_TEST_ALONE";

/// Tells far more than the queues hold.
fn does_not_wait_for(url: &str) {
    let telemetry = sending_to(url, "info");
    let _metrics = Metrics::install("test").unwrap();
    let counter = opentelemetry::global::meter("macloud.test").u64_counter("macloud.test.things").build();
    let begun = Instant::now();
    for _ in 0..10_000 {
        counter.add(1, &[]);
        tracing::info_span!("journey").in_scope(|| tracing::info!("it happened"));
    }
    let told = begun.elapsed();
    // One export alone waits ten seconds for its answer.
    assert!(told < Duration::from_secs(5), "{told:?}");
    let begun = Instant::now();
    drop(telemetry);
    let ended = begun.elapsed();
    // Three of them; the SDK alone waits five seconds for each kind.
    assert!(ended < Duration::from_millis(4900), "{ended:?}");
}

fn sending_to(url: &str, log: &str) -> Telemetry {
    let args = TelemetryArgs {
        log: log.to_owned(),
        log_format: LogFormat::Text,
        otlp_endpoint: Some(url.to_owned()),
        trace_part: Part::ALL,
    };
    telemetry::init(&args, "test").unwrap()
}

fn records(sent: &[ExportLogsServiceRequest]) -> Vec<&LogRecord> {
    let scopes = sent.iter().flat_map(|sent| &sent.resource_logs).flat_map(|resource| &resource.scope_logs);
    scopes.flat_map(|scope| &scope.log_records).collect()
}

fn said(line: &LogRecord) -> Option<&str> {
    match line.body.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(text),
        _ => None,
    }
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(text),
        _ => None,
    }
}

fn identity(resource: &Resource) -> [Option<&str>; 3] {
    ["service.name", "service.version", "service.instance.id"].map(|key| text(&resource.attributes, key))
}

/// Takes whatever an OTLP exporter sends, over gRPC.
struct Collector {
    url: String,
    seen: Seen,
    news: tokio::sync::watch::Receiver<()>,
}

/// What came to each path.
type Seen = Arc<Mutex<HashMap<String, Vec<u8>>>>;

impl Collector {
    async fn start(stop: &Stop) -> Self {
        let seen = Seen::default();
        let (told, news) = tokio::sync::watch::channel(());
        let server = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), None).await.unwrap();
        let url = format!("http://{}", server.local_addr().unwrap());
        let taken = seen.clone();
        let take = move |service: Uri, body: Bytes| {
            taken.lock().unwrap().entry(service.path().to_owned()).or_default().extend_from_slice(&body);
            told.send_replace(());
            async { ([("content-type", "application/grpc")], taken_well()) }
        };
        tokio::spawn(server.serve(Router::new().fallback(post(take)), stop.clone()));
        Self { url, seen, news }
    }

    /// Wait until something came to `service`.
    async fn until_it_has(&self, service: &str) {
        let mut news = self.news.clone();
        let has = || self.seen.lock().unwrap().keys().any(|path| path.contains(service));
        tokio::time::timeout(Duration::from_secs(20), news.wait_for(|()| has())).await.unwrap().unwrap();
    }

    /// The messages that came to `service`.
    fn received<M: Message + Default>(&self, service: &str) -> Vec<M> {
        let seen = self.seen.lock().unwrap();
        let mut rest = seen.iter().find(|(path, _)| path.contains(service)).map_or(&[][..], |(_, seen)| seen);
        let mut messages = Vec::new();
        // Each has five bytes before it: a flag, and its length.
        while let Some((prefix, after)) = rest.split_first_chunk::<5>() {
            assert_eq!(prefix[0], 0, "compressed");
            let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
            let (message, next) = after.split_at(length);
            messages.push(M::decode(message).unwrap());
            rest = next;
        }
        messages
    }
}

/// An empty message, and "OK".
fn taken_well() -> Body {
    let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static("0"))]);
    let frames: [Result<_, Infallible>; 2] =
        [Ok(Frame::data(Bytes::from_static(&[0; 5]))), Ok(Frame::trailers(trailers))];
    Body::new(StreamBody::new(futures_util::stream::iter(frames)))
}
