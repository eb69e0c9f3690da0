//! POST `/oauth/par` (RFC 9126): a client hands in its authorization request itself, authenticated and out of the
//! browser's sight, and sends the browser with a reference to it.
//!
//! What is wrong with the request is told to the client at once. The reference is good for one decision; until then the
//! person may reload, sign in or sign up on the way.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::error::OAuthError;
use super::{authorize, client_auth, possession};
use crate::form::{Form, encode};
use crate::rate_limits::{Attempt, address_key};
use crate::secrets::{Kind, Secret};
use crate::shared::Shared;
use crate::store::pushed_requests;

pub(super) async fn push(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match try_push(&shared, &parts, body).await {
        Ok(answer) => (StatusCode::CREATED, super::json(&answer)).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn try_push(shared: &Shared, parts: &Parts, body: Body) -> Result<Value, OAuthError> {
    let form = Form::read(&parts.headers, body).await?;
    let proof = possession::shown(shared, &parts.headers, "POST", "/oauth/par")?;
    let client = client_auth::authenticate(shared, &parts.headers, &form).await?;
    if client.is_public() {
        let address = address_key(shared.client_address(parts));
        shared.rate_limits.count(Attempt::PushedRequest, &address, shared.config.limits.pushed_requests_per_address)?;
    }
    if form.value("request_uri").is_some() {
        return Err(OAuthError::InvalidRequest("A reference cannot be pushed"));
    }
    // How the client proved itself was for us alone, and is not kept. A proof says the same as the parameter (RFC 9449
    // section 10.1), and stands in its place.
    let mut request =
        form.to_query_without(&["client_secret", "client_assertion", "client_assertion_type", "dpop_jkt"]);
    match (form.value("dpop_jkt"), proof.as_ref().map(|proof| proof.jkt.as_str())) {
        (Some(named), Some(proved)) if named != proved => {
            return Err(OAuthError::InvalidDpopProof("dpop_jkt is not the key of the DPoP proof"));
        }
        (named, proved) => request.extend(proved.or(named).map(|jkt| format!("&dpop_jkt={}", encode(jkt)))),
    }
    if request.len() > MAX_REQUEST {
        return Err(OAuthError::TooLong);
    }
    authorize::check_pushed(shared, client.clone(), form).await?;
    if let Some(proof) = proof {
        proof.use_up(shared).await?;
    }
    let reference = Secret::new(Kind::PushedRequest);
    let expires_at = shared.now() + SECONDS;
    if let Err(error) = pushed_requests::insert(&shared.db, &reference.hash(), &client.id, &request, expires_at).await {
        return Err(client_auth::unless_deleted(shared, &client, error.into()).await);
    }
    Ok(json!({ "request_uri": reference.as_str(), "expires_in": SECONDS }))
}

/// The longest that RFC 9126 suggests: somebody may have to sign up on the way.
pub(super) const SECONDS: i64 = 600;
/// Clients without a secret can push too: what they leave with us is bounded.
const MAX_REQUEST: usize = 8 * 1024;
