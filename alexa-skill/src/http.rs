//! The two routes that Alexa calls, and one for homes, with bounds on what a stranger can send.
//!
//! A directive is always answered with HTTP 200 and an event, also when it fails; other statuses are for what is no
//! directive. On the custom route, whatever is not believed is answered with 400 and nothing else; what is believed
//! and could not be kept, with 503. Beyond a number of
//! requests at once, everything is answered with 503 before anything of it is read.
//!
//! Who has not sent all of a request is not among these, so that strangers who never do keep nobody out: what Alexa sends comes in
//! one piece. What takes longer than a moment has places of its own, a quarter as many.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use macloud_proto::trial::MAX_STATEMENT_LEN;
use ring::hmac;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::Inner;
use crate::journey::Unanswered;
use crate::trial::{BETWEEN, NotTried};
use crate::verify;

/// Alexa's own limit for a message.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// From the end of the head to the end of the body.
const BODY_TIMEOUT: Duration = Duration::from_secs(3);

/// So long it is waited for without a place.
const MOMENT: Duration = Duration::from_millis(250);

/// Milliseconds that a forwarder still has, so that we answer before it gives up.
const REMAINING: &str = "x-macloud-remaining-ms";

/// HMAC-SHA256 of the body by a key that a forwarder has, in base64.
const SIGNATURE: &str = "x-macloud-signature";

pub(crate) fn router(skill: Arc<Inner>) -> Router {
    Router::new()
        .route("/alexa/v1/smart-home", post(smart_home).fallback(only_post))
        .route("/alexa/v1/custom", post(custom).fallback(only_post))
        // Under the same prefix, so that whatever stands in front of the skill brings it here, too.
        .route("/alexa/v1/trial", post(trial).fallback(only_post))
        .with_state(skill)
}

async fn smart_home(State(skill): State<Arc<Inner>>, request: Request) -> Response {
    let arrived = Instant::now();
    let _token = skill.working.token();
    if skill.is_full() {
        return overloaded();
    }
    let (head, body) = request.into_parts();
    if !is_json(&head.headers) {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return problem(status, "unsupported_media_type", "Send the directive as application/json.");
    }
    if !skill.forwarder_keys.is_empty() && !head.headers.contains_key(SIGNATURE) {
        return unsigned();
    }
    let body = match read(&skill, body, MAX_BODY_BYTES).await {
        Ok(body) => body,
        Err(unread) => return unread.into_response(),
    };
    if !is_signed(&skill.forwarder_keys, &head.headers, &body) {
        return unsigned();
    }
    let Ok(_room) = skill.room.try_acquire() else { return overloaded() };
    match skill.steps.directive(&body, arrived, remaining(&head.headers)).await {
        Ok(event) => answer(&event),
        Err(malformed) => problem(StatusCode::BAD_REQUEST, "malformed_directive", &malformed.to_string()),
    }
}

async fn custom(State(skill): State<Arc<Inner>>, request: Request) -> Response {
    let arrived = Instant::now();
    let _token = skill.working.token();
    if skill.is_full() {
        return overloaded();
    }
    let (head, body) = request.into_parts();
    if !verify::could_be_signed(&head.headers) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let body = match read(&skill, body, MAX_BODY_BYTES).await {
        Ok(body) => body,
        Err(Unread::Crowded) => return overloaded(),
        Err(_) => return StatusCode::BAD_REQUEST.into_response(),
    };
    let Ok(_room) = skill.room.try_acquire() else { return overloaded() };
    match skill.steps.request(&head.headers, &body, arrived).await {
        Ok(response) => answer(&response),
        Err(Unanswered::Refused) => StatusCode::BAD_REQUEST.into_response(),
        Err(Unanswered::NotKept) => {
            problem(StatusCode::SERVICE_UNAVAILABLE, "not_kept", "Tell this again in a minute.")
        }
    }
}

async fn trial(State(skill): State<Arc<Inner>>, request: Request) -> Response {
    let _token = skill.working.token();
    if skill.is_full() {
        return overloaded();
    }
    let statement = read(&skill, request.into_body(), MAX_STATEMENT_LEN).await;
    let Ok(_room) = skill.room.try_acquire() else { return overloaded() };
    let tried = match statement.as_deref().map(std::str::from_utf8) {
        Ok(Ok(statement)) => skill.trials.run(&skill.steps.carrier, statement).await,
        Err(Unread::Crowded) => Err(NotTried::Busy),
        _ => Err(NotTried::Refused),
    };
    match tried {
        Ok(outcome) => {
            ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], axum::Json(outcome)).into_response()
        }
        Err(not_tried) => untried(not_tried),
    }
}

fn untried(why: NotTried) -> Response {
    let (status, error, description) = match why {
        NotTried::Refused => {
            (StatusCode::UNAUTHORIZED, "refused", "Only a home of this cloud can have itself tried, and says so now.")
        }
        NotTried::TooSoon => (StatusCode::TOO_MANY_REQUESTS, "too_soon", "This home was tried a moment ago."),
        NotTried::Busy => return overloaded(),
        NotTried::AccountsAway => (
            StatusCode::SERVICE_UNAVAILABLE,
            "accounts_away",
            "Nobody says whose statement it is. Try again in a minute.",
        ),
    };
    let mut response = problem(status, error, description);
    if why == NotTried::TooSoon {
        response.headers_mut().insert(header::RETRY_AFTER, BETWEEN.as_secs().into());
    }
    response
}

/// The forwarder makes an event of it; Alexa itself says that the skill has a problem.
fn overloaded() -> Response {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let mut response = problem(status, "overloaded", "Too much is being answered at once. Try again in a second.");
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

async fn only_post() -> Response {
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Use POST.");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

/// Why there is no whole body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unread {
    TooLong,
    Incomplete,
    Late,
    /// Too many are being waited for.
    Crowded,
}

impl Unread {
    fn into_response(self) -> Response {
        match self {
            Self::TooLong => {
                problem(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", "A directive has at most 256 KiB.")
            }
            Self::Incomplete => problem(StatusCode::BAD_REQUEST, "incomplete_body", "The body broke off."),
            Self::Late => problem(StatusCode::REQUEST_TIMEOUT, "request_timeout", "The body did not arrive in time."),
            Self::Crowded => overloaded(),
        }
    }
}

async fn read(skill: &Inner, body: Body, most: usize) -> Result<bytes::Bytes, Unread> {
    let mut reading = pin!(to_bytes(body, most));
    let read = match tokio::time::timeout(MOMENT, &mut reading).await {
        Ok(read) => read,
        Err(_) => {
            let _place = skill.slow.try_acquire().map_err(|_| Unread::Crowded)?;
            tokio::time::timeout(BODY_TIMEOUT - MOMENT, reading).await.map_err(|_| Unread::Late)?
        }
    };
    read.map_err(|error| if is_too_long(&error) { Unread::TooLong } else { Unread::Incomplete })
}

fn is_too_long(error: &axum::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        source = error.source();
    }
    false
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = content_type.split(';').next().unwrap_or("").trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// By one of the keys, where there are any. This only keeps strangers away: what a directive may do, its token decides.
fn is_signed(keys: &[hmac::Key], headers: &HeaderMap, body: &[u8]) -> bool {
    let signature = headers.get(SIGNATURE).and_then(|value| STANDARD.decode(value).ok()).unwrap_or_default();
    keys.is_empty() || keys.iter().any(|key| hmac::verify(key, body, &signature).is_ok())
}

fn unsigned() -> Response {
    let description = "Directives must be signed with a key of --forwarder-key-file.";
    problem(StatusCode::UNAUTHORIZED, "unsigned_directive", description)
}

fn remaining(headers: &HeaderMap) -> Duration {
    let millis = headers.get(REMAINING).and_then(|value| value.to_str().ok()?.parse().ok());
    millis.map_or(Duration::MAX, Duration::from_millis)
}

fn answer(body: &Value) -> Response {
    ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], axum::Json(body)).into_response()
}

fn problem(status: StatusCode, error: &str, description: &str) -> Response {
    (status, axum::Json(json!({"error": error, "error_description": description}))).into_response()
}
