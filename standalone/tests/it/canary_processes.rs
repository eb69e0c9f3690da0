//! The cloud as a process of its own, logging and tracing all it can: a title that is sung at home is in none of it.
//!
//! Beside the test within one process, which must leave the simulated home's own connection out of the log, here the log
//! of the cloud is whole, and the spans that go to a collector are looked at too.

use std::net::Ipv4Addr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::Uri;
use axum::routing::{get, post};
use http_body_util::StreamBody;
use hyper::body::Frame;
use macloud_service_kit::http::Server;
use macloud_service_kit::stop::Stop;
use macloud_standalone::demo::pretend_alexa::{CHAIN_PATH, SIGNING_CHAIN, SIGNING_ROOT, SKILL_ID};
use macloud_standalone::demo::tour::speech;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::json;

use crate::processes::{EMAIL, PASSWORD, PairedHome, REDIRECT_URI, Running, Scratch, json, ma_cloud, run};

const CANARY: &str = "Quartzcanary Vexillology";
#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_that_logs_and_traces_everything_never_tells_a_title() {
    macloud_service_kit::tls::install_provider();
    let scratch = Scratch::new();
    let path = |name: &str| scratch.0.join(name);
    let stop = Stop::new();
    let collector = Collector::start(&stop).await;
    let certificates = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), None).await.unwrap();
    let certificate_base = format!("http://{}", certificates.local_addr().unwrap());
    let chain = Router::new().route(CHAIN_PATH, get(|| async { SIGNING_CHAIN }));
    tokio::spawn(certificates.serve(chain, stop.clone()));

    let library = json!({"artists": [{"name": CANARY, "albums": [{"title": "Plain album", "tracks": [{"title": CANARY, "seconds": 200}]}]}]});
    std::fs::write(path("library"), library.to_string()).unwrap();
    std::fs::write(path("roots"), SIGNING_ROOT).unwrap();
    let log = std::fs::File::create(path("cloud.log")).unwrap();
    let mut cloud = Running::logging(
        ma_cloud()
            .args(["serve", "--listen", "127.0.0.1:0", "--pairing-poll-seconds", "1", "--alexa-skill-id", SKILL_ID])
            .args([
                "--log",
                "trace",
                "--otlp-endpoint",
                &collector.url,
                "--dangerous-certificate-base",
                &certificate_base,
            ])
            .arg("--dangerous-request-roots")
            .arg(path("roots"))
            .arg("--data-dir")
            .arg(path("data")),
        Stdio::from(log),
    );
    let listening = cloud.until("listening");
    let url = listening["public_url"].as_str().unwrap().to_owned();

    let admin = |args: &[&str], stdin: &str| {
        json(&run(ma_cloud().arg("admin").args(args).args(["--json", "--data-dir"]).arg(path("data")), stdin))
    };
    admin(&["user", "create", "--email", EMAIL, "--password-stdin"], &format!("{PASSWORD}\n"));
    let client = admin(&["client", "create", "--client-id", "alexa", "--redirect-uri", REDIRECT_URI], "");
    let connector_log = Stdio::from(std::fs::File::create(path("connector.log")).unwrap());
    let mut home = PairedHome::new(&scratch.0, &url, Some(&path("library")), connector_log).await;

    let alexa = home.link(&url, &client).await;
    let mut said = String::new();
    for _ in 0..100 {
        let request = alexa.intent("PlayMediaIntent", &[("media", CANARY), ("player", "Kitchen")]);
        said = speech(&alexa.send_custom(&request).await.unwrap()).unwrap();
        if said.contains(CANARY) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(said.contains(CANARY), "the canary must really have been sung: {said}");
    let metrics = format!("http://{}/metrics", listening["admin_address"].as_str().unwrap());
    let client = macloud_service_kit::client::client(Duration::from_secs(10));
    let accept = (http::header::ACCEPT, "application/openmetrics-text; version=1.0.0");
    let metrics = client.get(metrics).header(accept.0, accept.1).send().await.unwrap().bytes().await.unwrap();

    assert!(home.connector.terminate().success());
    assert!(cloud.terminate().success());
    let places = [
        ("the cloud's log", std::fs::read(path("cloud.log")).unwrap(), "received frame"),
        ("the connector's log", std::fs::read(path("connector.log")).unwrap(), "command answered"),
        ("the spans", collector.seen(), "journey"),
        ("the metrics", metrics.to_vec(), "macloud_relay"),
    ];
    let tokens = alexa.tokens().unwrap();
    let secrets = [CANARY, "Vexillology", EMAIL, PASSWORD, &tokens.access_token, &tokens.refresh_token];
    for (place, content, witness) in places {
        let content = String::from_utf8_lossy(&content).to_lowercase();
        assert!(content.contains(witness), "{place} was not captured: {} bytes without {witness}", content.len());
        for secret in secrets {
            assert!(!content.contains(&secret.to_lowercase()), "{place} holds {secret:?}");
        }
    }
    // One trace leads from the skill over the bus into the relay.
    let spans = collector.spans();
    let routed = spans.iter().filter(|span| span.name == "route");
    let parents = routed.filter_map(|route| spans.iter().find(|span| span.span_id == route.parent_span_id));
    let calls: Vec<_> = parents.filter(|parent| parent.name == "call").collect();
    assert!(!calls.is_empty(), "no call has a route");
    for call in calls {
        let journey = spans.iter().find(|span| span.span_id == call.parent_span_id).expect("a call has a parent");
        assert_eq!((&*journey.name, &journey.trace_id), ("journey", &call.trace_id));
    }
    // And it says where the time went: in the relay, on the link, and in the home.
    let with_times = spans.iter().filter(|span| span.name == "route" && has(span, "home_ms"));
    let timed: Vec<_> = with_times.filter(|span| has(span, "link_ms") && has(span, "queue_wait_ms")).collect();
    assert!(!timed.is_empty(), "no route says how long the home took");
    let sung =
        spans.iter().find(|span| span.name == "journey" && has(span, "command.code")).expect("a journey with a code");
    assert!(timed.iter().any(|route| route.trace_id == sung.trace_id && has(route, "command.id")));
    // From there on into the home, and on to Music Assistant: each step within the one that it is part of.
    let asked: Vec<_> = spans.iter().filter(|span| span.name == "music_assistant").collect();
    assert!(asked.iter().any(|span| span.trace_id == sung.trace_id), "no trace of the song leads to Music Assistant");
    for span in asked {
        let way = ["journey", "call", "route", "link", "home", "music_assistant"];
        assert_eq!(way_to(span, &spans).iter().map(|step| &*step.name).collect::<Vec<_>>(), way);
        for (around, within) in way_to(span, &spans).iter().zip(&way_to(span, &spans)[1..]) {
            assert!(is_within(within, around), "{} sticks out of {}", within.name, around.name);
        }
    }
    // From the numbers a link leads to it.
    let metrics = String::from_utf8_lossy(&metrics);
    let hex = |span: &Span| span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let traces: Vec<_> = spans.iter().filter(|span| span.name == "journey").map(hex).collect();
    let buckets = metrics.lines().filter(|line| line.starts_with("macloud_skill_duration_seconds_bucket{"));
    let linked: Vec<_> =
        buckets.filter_map(|line| Some(line.split_once(" # {trace_id=\"")?.1.split_once('"')?.0)).collect();
    assert!(!linked.is_empty() && linked.iter().all(|trace| traces.iter().any(|one| one == trace)), "{linked:?}");
    // The account service's requests are spans of their own.
    assert!(spans.iter().any(|span| span.name == "request" && has(span, "route") && has(span, "status")));
    stop.stop_hard();
}

/// The spans from the first one of its trace down to `span`.
fn way_to<'s>(span: &'s Span, spans: &'s [Span]) -> Vec<&'s Span> {
    let parent = |span: &&'s Span| spans.iter().find(|one| one.span_id == span.parent_span_id);
    let mut way: Vec<_> = std::iter::successors(Some(span), parent).collect();
    way.reverse();
    way
}

/// All of them are stamped by one machine's clock; the relay's own count in whole microseconds.
fn is_within(within: &Span, around: &Span) -> bool {
    let (begins, ends) = (within.start_time_unix_nano, within.end_time_unix_nano);
    let precision = 2_000;
    around.start_time_unix_nano <= begins + precision && begins <= ends && ends <= around.end_time_unix_nano + precision
}

fn has(span: &Span, attribute: &str) -> bool {
    span.attributes.iter().any(|one| one.key == attribute)
}

/// Takes whatever an OTLP exporter sends, over gRPC.
pub(crate) struct Collector {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<u8>>>,
    traces: Arc<Mutex<Vec<u8>>>,
}

impl Collector {
    pub(crate) async fn start(stop: &Stop) -> Self {
        let seen = Arc::<Mutex<Vec<u8>>>::default();
        let server = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), None).await.unwrap();
        let url = format!("http://{}", server.local_addr().unwrap());
        let traces = Arc::<Mutex<Vec<u8>>>::default();
        let (taken, traces_taken) = (seen.clone(), traces.clone());
        let take = move |service: Uri, body: Bytes| {
            taken.lock().unwrap().extend_from_slice(&body);
            if service.path().contains("TraceService") {
                traces_taken.lock().unwrap().extend_from_slice(&body);
            }
            // An empty message, and "OK".
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
            let frames: [Result<_, std::convert::Infallible>; 2] =
                [Ok(Frame::data(Bytes::from_static(&[0; 5]))), Ok(Frame::trailers(trailers))];
            let answer = Body::new(StreamBody::new(futures_util::stream::iter(frames)));
            async move { ([("content-type", "application/grpc")], answer) }
        };
        tokio::spawn(server.serve(Router::new().fallback(post(take)), stop.clone()));
        Self { url, seen, traces }
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        let traces = self.traces.lock().unwrap();
        let mut rest = &traces[..];
        let mut spans = Vec::new();
        // Each message has five bytes before it: a flag, and its length.
        while let Some((prefix, after)) = rest.split_first_chunk::<5>() {
            assert_eq!(prefix[0], 0, "compressed");
            let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
            let (message, next) = after.split_at(length);
            let request = ExportTraceServiceRequest::decode(message).unwrap();
            let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
            spans.extend(scopes.flat_map(|scope| scope.spans));
            rest = next;
        }
        spans
    }

    /// Spans, metrics and log lines, as they were sent.
    pub(crate) fn seen(&self) -> Vec<u8> {
        self.seen.lock().unwrap().clone()
    }
}
