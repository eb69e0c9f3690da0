//! The OAuth 2.0 / OpenID Connect endpoints. Each file is one endpoint or one grant, from request to answer.

mod assertion;
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
mod leave;
mod logout;
mod metadata;
mod own_grant;
mod pairing;
mod possession;
mod pushed;
mod refresh_grant;
pub(crate) mod resource;
mod scopes;
mod token;

use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

pub(crate) use self::assertion::fuzz as fuzz_assertion;
pub(crate) use self::authorize::fuzz as fuzz_authorize;
pub(crate) use self::client_auth::basic;
pub(crate) use self::home_assistant::place_of as home_assistant_place;
pub(crate) use self::identity_key::is_honest as is_honest_key;
pub(crate) use self::own_grant::{SCOPE_ADMIN, SCOPE_ADMIN_READ, SCOPES as OWN_SCOPES};
pub(crate) use self::pairing::{draw_code, draw_user_code, normalise_code, normalise_user_code};
pub(crate) use self::scopes::explain as explain_scopes;
use crate::routes::Routes;

/// The built-in public client with which connectors pair.
pub(crate) const PAIRING_CLIENT: &str = "ma-connector";

/// What is opened in a browser; the others are asked by programs.
pub(crate) const PAGES: [&str; 4] = ["/oauth/authorize", "/oauth/consent", "/oauth/logout", "/oauth/logout/confirm"];

pub(crate) fn routes() -> Routes {
    Routes::new()
        .route("/openapi.json", get(metadata::description))
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
        .route(leave::PATH, post(leave::answer))
        .route("/oauth/device_authorization", post(pairing::begin))
        .route("/oauth/revoke", post(inspect::revoke))
        .route("/oauth/introspect", post(inspect::introspect))
        .route("/oauth/userinfo", get(inspect::userinfo).post(inspect::userinfo))
}

/// What a program is told when nothing came of its request in time.
pub(crate) fn unavailable() -> Response {
    error::OAuthError::Unavailable.into_response()
}

/// An answer that nobody may keep.
fn json(body: &serde_json::Value) -> Response {
    let headers = [("content-type", "application/json"), ("cache-control", "no-store"), ("pragma", "no-cache")];
    (headers, body.to_string()).into_response()
}
