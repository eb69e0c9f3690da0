//! POST `/billing/v1/webhook`: the payment provider's messages.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;

use super::Refused;
use crate::form::is_length_limit;
use crate::routes::Routes;
use crate::shared::Shared;

pub(crate) fn routes() -> Routes {
    Routes::new().route("/billing/v1/webhook", post(take))
}

async fn take(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let Some(provider) = &shared.billing else { return say(StatusCode::NOT_FOUND, "billing is off") };
    let (parts, body) = request.into_parts();
    let Ok(read) = tokio::time::timeout(PATIENCE, to_bytes(body, MOST_BYTES)).await else {
        return say(StatusCode::REQUEST_TIMEOUT, "the message did not arrive in time");
    };
    let body = match read {
        Ok(body) => body,
        Err(error) if is_length_limit(&error) => return say(StatusCode::PAYLOAD_TOO_LARGE, "the message is too long"),
        Err(_) => return say(StatusCode::BAD_REQUEST, "the message was cut off"),
    };
    let event = match provider.read(&parts.headers, &body, shared.now()) {
        Ok(event) => event,
        Err(Refused::Signature) => {
            // Anybody can send such a one, without end; the provider shows this answer to whoever set the secret up.
            tracing::debug!("a message to the billing webhook is refused: its signature does not hold");
            return say(StatusCode::BAD_REQUEST, "the signature does not hold");
        }
        Err(Refused::Malformed) => {
            tracing::warn!("a message of the payment provider is not understood");
            return say(StatusCode::BAD_REQUEST, "the message is not understood");
        }
    };
    match super::count(&shared, &event).await {
        Ok(()) => say(StatusCode::OK, "counted"),
        Err(error) => {
            // The provider sends it again, for days.
            tracing::warn!(%error, "the database did not answer the billing webhook");
            let mut response = say(StatusCode::SERVICE_UNAVAILABLE, "try again in a moment");
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("30"));
            response
        }
    }
}

fn say(status: StatusCode, text: &'static str) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], format!("{text}\n")).into_response()
}

/// Their messages are a few kilobytes.
const MOST_BYTES: usize = 256 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);
