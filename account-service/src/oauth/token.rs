//! POST `/oauth/token`: one door, four grants.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

use super::error::OAuthError;
use super::{client_auth, code_grant, instance_grant, json, pairing, refresh_grant};
use crate::form::Form;
use crate::link_doctor;
use crate::shared::Shared;
use crate::store::link_attempts::Cause;

pub(super) async fn token(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    // Outside the deadline: that one is for our own work, and how fast a body arrives is not ours.
    let outcome = match Form::read(&parts.headers, body).await {
        // Boxed: the four grants together make a large future, and each request runs only one of them.
        Ok(form) => tokio::time::timeout(DEADLINE, Box::pin(answer(&shared, &parts, form))).await,
        Err(error) => Ok(Err(error.into())),
    };
    match outcome.unwrap_or(Err(OAuthError::Unavailable)) {
        Ok(answer) => json(&answer),
        Err(refusal) => refusal.into_response(),
    }
}

async fn answer(shared: &Shared, parts: &Parts, form: Form) -> Result<Value, OAuthError> {
    let grant_type = form.value("grant_type").ok_or(OAuthError::InvalidRequest("grant_type is missing"))?;
    match grant_type {
        "authorization_code" => {
            let outcome = async {
                let client = client_auth::authenticate(shared, &parts.headers, &form).await?;
                code_grant::redeem(shared, &client, &form).await
            };
            let outcome = outcome.await;
            match &outcome {
                Err(OAuthError::InvalidClient(_)) => link_doctor::token_refused(shared, &form, Cause::ClientAuth).await,
                Err(OAuthError::Unavailable) => link_doctor::token_refused(shared, &form, Cause::Database).await,
                // What is wrong with the code is noted where it is found.
                Ok(_) | Err(_) => {}
            }
            outcome
        }
        "refresh_token" => {
            let client = client_auth::authenticate(shared, &parts.headers, &form).await;
            if let Err(OAuthError::InvalidClient(_)) = &client {
                refresh_grant::note_unproved(shared, &form).await;
            }
            let client = client?;
            refresh_grant::refresh(shared, &client, &form).await
        }
        "client_credentials" => instance_grant::token(shared, &parts.headers, &form).await,
        pairing::GRANT_TYPE => pairing::poll(shared, &parts.headers, &form).await,
        _ => Err(OAuthError::UnsupportedGrantType),
    }
}

/// Alexa gives up after 4.5 s. Cut off earlier, a refresh can simply be repeated.
const DEADLINE: Duration = Duration::from_secs(3);
