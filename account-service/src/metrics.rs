//! What is counted of the account service: requests and how long they took, tokens, sign-ins, pairings, mail, and how the
//! process stands with its database and its passwords.
//!
//! Labels come from short fixed lists: nothing that a stranger sends becomes one.

use std::sync::{Arc, Weak};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use macloud_service_kit::metrics::note_exemplar;
use opentelemetry::metrics::{Counter, Histogram, Meter, UpDownCounter};
use opentelemetry::{KeyValue, global};
use tracing::field::Empty;
use tracing::{Instrument as _, Span, info_span};

use crate::shared::Shared;

/// How tries to sign in end by themselves, by way. What goes wrong otherwise has other results.
const SIGN_INS: [(&str, &[&str]); 4] = [
    ("password", &["ok", "second_step", "wrong", "suspended"]),
    ("passkey", &["ok", "wrong", "suspended"]),
    ("provider", &["ok", "second_step", "refused"]),
    ("second_step", &["ok", "wrong"]),
];

const PAIRINGS: [&str; 6] = ["begun", "refused", "allowed", "declined", "paired", "moved"];

/// The instruments of this service. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Metrics {
    seconds: Histogram<f64>,
    token_requests: Counter<u64>,
    sign_ins: Counter<u64>,
    pairings: Counter<u64>,
    followers: UpDownCounter<i64>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let meter = meter();
        let metrics = Self {
            seconds: meter
                .f64_histogram("macloud.accounts.duration")
                .with_unit("s")
                .with_description("From a request's arrival to its answer, by route, method and kind of answer")
                .with_boundaries(vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.5, 10.0])
                .build(),
            token_requests: meter
                .u64_counter("macloud.accounts.token_requests")
                .with_description("Requests to the token endpoint, by grant and result")
                .build(),
            sign_ins: meter
                .u64_counter("macloud.accounts.sign_ins")
                .with_description("Tries to sign in, by way and result")
                .build(),
            pairings: meter
                .u64_counter("macloud.accounts.pairings")
                .with_description("Pairings by how far they came")
                .build(),
            followers: meter
                .i64_up_down_counter("macloud.accounts.followers")
                .with_description("Parts of the cloud that follow the changes here")
                .build(),
        };
        metrics.begin_at_zero();
        metrics
    }

    /// What happens a few times a day is counted from zero: of a counter that begins at one, no rate tells that it has risen.
    fn begin_at_zero(&self) {
        for (way, results) in SIGN_INS {
            for result in results {
                self.sign_ins.add(0, &[KeyValue::new("way", way), KeyValue::new("result", *result)]);
            }
        }
        for result in PAIRINGS {
            self.pairings.add(0, &[KeyValue::new("result", result)]);
        }
    }

    pub(crate) fn token_request(&self, grant: &'static str, result: &'static str) {
        self.token_requests.add(1, &[KeyValue::new("grant", grant), KeyValue::new("result", result)]);
    }

    pub(crate) fn sign_in(&self, way: &'static str, result: &'static str) {
        self.sign_ins.add(1, &[KeyValue::new("way", way), KeyValue::new("result", result)]);
    }

    pub(crate) fn pairing(&self, result: &'static str) {
        self.pairings.add(1, &[KeyValue::new("result", result)]);
    }

    /// Somebody follows the changes, for as long as this is kept.
    pub(crate) fn follower(&self) -> Follower {
        self.followers.add(1, &[]);
        Follower(self.followers.clone())
    }
}

/// See [`Metrics::follower`].
#[must_use = "when it is dropped, nobody follows any more"]
pub(crate) struct Follower(UpDownCounter<i64>);

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.add(-1, &[]);
    }
}

/// What becomes of mail.
#[derive(Clone)]
pub(crate) struct Mails(Counter<u64>);

impl Mails {
    pub(crate) fn new() -> Self {
        Self(meter().u64_counter("macloud.accounts.mails").with_description("Mails by what became of them").build())
    }

    pub(crate) fn count(&self, result: &'static str, mails: usize) {
        if mails > 0 {
            self.0.add(mails as u64, &[KeyValue::new("result", result)]);
        }
    }
}

/// What becomes of passwords that are to be hashed or compared.
#[derive(Clone)]
pub(crate) struct PasswordWork(Counter<u64>);

impl PasswordWork {
    pub(crate) fn new() -> Self {
        Self(
            meter()
                .u64_counter("macloud.accounts.passwords")
                .with_description("Passwords hashed or compared, and those who were sent away in a crowd")
                .build(),
        )
    }

    pub(crate) fn count(&self, result: &'static str) {
        self.0.add(1, &[KeyValue::new("result", result)]);
    }
}

/// Report how the service stands whenever metrics are read, as long as there is one.
pub(crate) fn observe(shared: &Arc<Shared>) {
    let weak: Weak<Shared> = Arc::downgrade(shared);
    let of_database = weak.clone();
    meter()
        .u64_observable_gauge("macloud.accounts.database_connections")
        .with_description("Connections to the database, by whether somebody uses them")
        .with_callback(move |observer| {
            let Some(shared) = of_database.upgrade() else { return };
            let (in_use, idle) = shared.db.connections();
            observer.observe(in_use, &[KeyValue::new("state", "in_use")]);
            observer.observe(idle, &[KeyValue::new("state", "idle")]);
        })
        .build();
    meter()
        .u64_observable_gauge("macloud.accounts.password_line")
        .with_description("Passwords that wait to be hashed or compared, or are at it")
        .with_callback(move |observer| {
            if let Some(shared) = weak.upgrade() {
                observer.observe(shared.passwords.in_line(), &[]);
            }
        })
        .build();
}

/// Time each request from its arrival to its answer, in a span of its own.
pub(crate) async fn timed(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = method_label(request.method());
    let span = info_span!("request", otel.kind = "server", route, method, status = Empty, otel.status_code = Empty);
    let seconds = &shared.metrics.seconds;
    let mut asked = Asked { seconds, route, method, begun: Instant::now(), status: GONE, span: span.clone() };
    let response = next.run(request).instrument(span.clone()).await;
    asked.status = status_label(response.status());
    span.record("status", response.status().as_u16());
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    response
}

/// A request until it was answered, or until whoever asked went away.
struct Asked<'a> {
    seconds: &'a Histogram<f64>,
    route: String,
    method: &'static str,
    begun: Instant,
    status: &'static str,
    span: Span,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let route = KeyValue::new("route", std::mem::take(&mut self.route));
        let labels = [route, KeyValue::new("method", self.method), KeyValue::new("status", self.status)];
        let took = self.begun.elapsed();
        self.seconds.record(took.as_secs_f64(), &labels);
        note_exemplar("macloud_accounts_duration_seconds", &labels, took, &self.span);
    }
}

/// Strangers make up methods.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

fn status_label(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}

pub(crate) fn meter() -> Meter {
    global::meter("macloud.accounts")
}

/// Whoever asked did not wait for the answer.
const GONE: &str = "gone";
