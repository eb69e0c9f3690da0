//! POST `/oauth/leave`: a home takes leave, because its connector is being removed.
//!
//! It is unlinked as its owner would unlink it on the web page. Nobody can do that to a home without its key: the request is
//! authenticated as at the token endpoint, by an assertion and a proof that is good for this endpoint alone.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::error::OAuthError;
use super::instance_grant;
use crate::form::Form;
use crate::shared::Shared;
use crate::unlinking::unlink;

/// Where it is, for discovery.
pub(super) const PATH: &str = "/oauth/leave";

pub(super) async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match try_answer(&shared, &parts, body).await {
        Ok(answer) => super::json(&answer),
        Err(refusal) => refusal.into_response(),
    }
}

async fn try_answer(shared: &Shared, parts: &Parts, body: Body) -> Result<Value, OAuthError> {
    let form = Form::read(&parts.headers, body).await?;
    let home = instance_grant::authenticated(shared, &parts.headers, &form, PATH).await?;
    if unlink(shared, &home).await? {
        tracing::info!(instance.id = %home.id, account.id = %home.account_id, "a home took leave");
    }
    // Also for one whose owner was quicker: it is gone, which is what it wants to hear.
    Ok(json!({ "left": true }))
}
