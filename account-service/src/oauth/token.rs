//! POST `/oauth/token`: one door, five grants.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use macloud_proto::ids::InstanceId;
use serde_json::Value;

use super::error::OAuthError;
use super::{assertion, client_auth, code_grant, instance_grant, json, own_grant, pairing, possession, refresh_grant};
use crate::form::Form;
use crate::link_doctor;
use crate::shared::Shared;
use crate::store::link_attempts::Cause;

pub(super) async fn token(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    // Outside the deadline: that one is for our own work, and how fast a body arrives is not ours.
    let mut grant = "none";
    let outcome = match Form::read(&parts.headers, body).await {
        // Boxed: the grants together make a large future, and each request runs only one of them.
        Ok(form) => {
            grant = grant_label(&form);
            let spending = Spending::default();
            let mut answer = Box::pin(answer(&shared, &parts, form, &spending));
            match tokio::time::timeout(DEADLINE, &mut answer).await {
                Ok(outcome) => outcome,
                Err(_) if spending.has_begun() => answer.await,
                Err(_) => Err(OAuthError::Unavailable),
            }
        }
        Err(error) => Err(error.into()),
    };
    shared.metrics.token_request(grant, outcome.as_ref().map_or_else(OAuthError::label, |_| "ok"));
    match outcome {
        Ok(answer) => json(&answer),
        Err(refusal) => refusal.into_response(),
    }
}

/// Whether that is being committed which can be had only once. From then on the deadline does not count: to come again would
/// look like a theft, and end the whole grant.
#[derive(Default)]
pub(super) struct Spending(AtomicBool);

impl Spending {
    /// Nothing may be asked of the database after this commit.
    pub(super) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

async fn answer(shared: &Shared, parts: &Parts, form: Form, spending: &Spending) -> Result<Value, OAuthError> {
    let grant_type = form.value("grant_type").ok_or(OAuthError::InvalidRequest("grant_type is missing"))?;
    match grant_type {
        "client_credentials" if is_home(&form) => return instance_grant::token(shared, &parts.headers, &form).await,
        pairing::GRANT_TYPE => return pairing::poll(shared, &parts.headers, &form).await,
        "authorization_code" | "refresh_token" | "client_credentials" => {}
        _ => return Err(OAuthError::UnsupportedGrantType),
    }
    // Looked at first: a request that must be repeated with a nonce may repeat its assertion, and has used nothing up.
    let proof = possession::shown(shared, &parts.headers, "POST", PATH)?;
    let client = client_auth::authenticate(shared, &parts.headers, &form).await;
    match (&client, grant_type) {
        (Err(OAuthError::InvalidClient(_)), "authorization_code") => {
            link_doctor::token_refused(shared, &form, Cause::ClientAuth).await;
        }
        (Err(OAuthError::InvalidClient(_)), "refresh_token") => refresh_grant::note_unproved(shared, &form).await,
        (Err(OAuthError::Unavailable), "authorization_code") => {
            link_doctor::token_refused(shared, &form, Cause::Database).await;
        }
        (Ok(_) | Err(_), _) => {}
    }
    let client = client?;
    let jkt = possession::key_for(shared, &client, proof).await?;
    let outcome = match grant_type {
        "authorization_code" => {
            let outcome = code_grant::redeem(shared, &client, jkt, &form, spending).await;
            // What is wrong with the code is noted where it is found.
            if matches!(outcome, Err(OAuthError::Unavailable)) {
                link_doctor::token_refused(shared, &form, Cause::Database).await;
            }
            outcome
        }
        "refresh_token" => refresh_grant::refresh(shared, &client, jkt, &form, spending).await,
        _ => own_grant::token(shared, &client, jkt.as_deref(), &form).await,
    };
    match outcome {
        Err(error) => Err(client_auth::unless_deleted(shared, &client, error).await),
        answer => answer,
    }
}

/// What was asked for, as it is counted.
fn grant_label(form: &Form) -> &'static str {
    match form.value("grant_type") {
        Some("client_credentials") if is_home(form) => "home",
        Some("client_credentials") => "client_credentials",
        Some("authorization_code") => "authorization_code",
        Some("refresh_token") => "refresh_token",
        Some(pairing::GRANT_TYPE) => "device_code",
        Some(_) => "other",
        None => "none",
    }
}

/// Homes are clients too: their ids say so.
fn is_home(form: &Form) -> bool {
    let issuer = form.value("client_assertion").and_then(assertion::issuer);
    issuer.is_some_and(|issuer| issuer.parse::<InstanceId>().is_ok())
}

const PATH: &str = "/oauth/token";
/// Alexa gives up after 4.5 s. Cut off earlier, its refresh can simply be repeated; what cannot, see [`Spending`].
const DEADLINE: Duration = Duration::from_secs(3);
