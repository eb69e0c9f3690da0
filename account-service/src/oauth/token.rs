//! POST `/oauth/token`: one door, four grants.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

use super::error::OAuthError;
use super::{client_auth, code_grant, instance_grant, json, pairing, refresh_grant};
use crate::form::Form;
use crate::shared::Shared;

pub(super) async fn token(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    // Boxed: the four grants together make a large future, and each request runs only one of them.
    let outcome = tokio::time::timeout(DEADLINE, Box::pin(answer(&shared, &parts, body))).await;
    match outcome.unwrap_or(Err(OAuthError::Unavailable)) {
        Ok(answer) => json(&answer),
        Err(refusal) => refusal.into_response(),
    }
}

async fn answer(shared: &Shared, parts: &Parts, body: Body) -> Result<Value, OAuthError> {
    let form = Form::read(&parts.headers, body).await?;
    let grant_type = form.value("grant_type").ok_or(OAuthError::InvalidRequest("grant_type is missing"))?;
    match grant_type {
        "authorization_code" => {
            let client = client_auth::authenticate(shared, &parts.headers, &form).await?;
            code_grant::redeem(shared, &client, &form).await
        }
        "refresh_token" => {
            let client = client_auth::authenticate(shared, &parts.headers, &form).await?;
            refresh_grant::refresh(shared, &client, &form).await
        }
        "client_credentials" => instance_grant::token(shared, &parts.headers, &form).await,
        pairing::GRANT_TYPE => pairing::poll(shared, &parts.headers, &form).await,
        _ => Err(OAuthError::UnsupportedGrantType),
    }
}

/// Alexa gives up after 4.5 s. Cut off earlier, a refresh can simply be repeated.
const DEADLINE: Duration = Duration::from_secs(3);
