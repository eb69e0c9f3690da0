//! The OAuth 2.0 / OpenID Connect endpoints. Each file is one endpoint or one grant, from request to answer.

mod authorize;
mod client_auth;
mod code_grant;
mod error;
mod home_assistant;
mod id_token;
mod identity_key;
mod inspect;
mod instance_grant;
mod issue;
mod logout;
mod metadata;
mod pairing;
mod pushed;
mod refresh_grant;
mod scopes;
mod token;

use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

pub(crate) use self::authorize::fuzz as fuzz_authorize;
pub(crate) use self::client_auth::basic;
pub(crate) use self::home_assistant::place_of as home_assistant_place;
pub(crate) use self::pairing::{draw_code, draw_user_code, normalise_code, normalise_user_code};
pub(crate) use self::scopes::explain as explain_scopes;
use crate::shared::Shared;

/// The built-in public client with which connectors pair.
pub(crate) const PAIRING_CLIENT: &str = "ma-connector";

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(metadata::document))
        .route("/.well-known/oauth-authorization-server", get(metadata::document))
        .route("/oauth/jwks", get(metadata::jwks))
        .route("/oauth/authorize", get(authorize::by_link).post(authorize::by_form))
        .route("/oauth/par", post(pushed::push))
        .route("/oauth/consent", post(authorize::decide))
        .route("/oauth/logout", get(logout::by_link).post(logout::by_form))
        .route("/oauth/logout/confirm", post(logout::confirmed))
        .route("/oauth/token", post(token::token))
        .route(home_assistant::PATH, post(home_assistant::answer))
        .route("/oauth/device_authorization", post(pairing::begin))
        .route("/oauth/revoke", post(inspect::revoke))
        .route("/oauth/introspect", post(inspect::introspect))
        .route("/oauth/userinfo", get(inspect::userinfo).post(inspect::userinfo))
        .with_state(shared)
}

/// An answer that nobody may keep.
fn json(body: &serde_json::Value) -> Response {
    let headers = [("content-type", "application/json"), ("cache-control", "no-store"), ("pragma", "no-cache")];
    (headers, body.to_string()).into_response()
}
