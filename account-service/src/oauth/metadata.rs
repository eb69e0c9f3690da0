//! What this server offers, for programs: one document under two names (OpenID Connect Discovery, RFC 8414), and the keys.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use macloud_proto::dpop;
use macloud_proto::jose::PublicKey;
use serde_json::json;

use super::{client_auth, scopes};
use crate::shared::Shared;
use crate::words::Language;

pub(super) async fn document(State(shared): State<Arc<Shared>>) -> Response {
    // Wherever clients authenticate they may do so in the same ways; introspection is not for clients that cannot.
    let auth_methods = client_auth::METHODS;
    let confidential: Vec<&str> = auth_methods.into_iter().filter(|method| *method != "none").collect();
    let auth_algorithms = PublicKey::ALGORITHMS;
    let document = json!({
        "issuer": shared.issuer,
        "authorization_endpoint": shared.url("/oauth/authorize"),
        "token_endpoint": shared.url("/oauth/token"),
        "jwks_uri": shared.url("/oauth/jwks"),
        "end_session_endpoint": shared.url("/oauth/logout"),
        "userinfo_endpoint": shared.url("/oauth/userinfo"),
        "revocation_endpoint": shared.url("/oauth/revoke"),
        "introspection_endpoint": shared.url("/oauth/introspect"),
        "device_authorization_endpoint": shared.url("/oauth/device_authorization"),
        "pushed_authorization_request_endpoint": shared.url("/oauth/par"),
        // Our own: where homes find out who their owner is in the Home Assistant beside them.
        "home_assistant_endpoint": shared.url(super::home_assistant::PATH),
        // And where they take leave.
        "leave_endpoint": shared.url(super::leave::PATH),
        // And where they ask for a command that does nothing. The skill answers, whose paths are all of this origin.
        "trial_endpoint": shared.url("/alexa/v1/trial"),
        "require_pushed_authorization_requests": false,
        "account_management_uri": shared.url("/apps"),
        "scopes_supported": scopes::known(),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [
            "authorization_code",
            "refresh_token",
            "client_credentials",
            super::pairing::GRANT_TYPE,
        ],
        "token_endpoint_auth_methods_supported": auth_methods,
        "token_endpoint_auth_signing_alg_values_supported": auth_algorithms,
        "revocation_endpoint_auth_methods_supported": auth_methods,
        "revocation_endpoint_auth_signing_alg_values_supported": auth_algorithms,
        "introspection_endpoint_auth_methods_supported": confidential,
        "introspection_endpoint_auth_signing_alg_values_supported": auth_algorithms,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "dpop_signing_alg_values_supported": dpop::CLIENT_ALGORITHMS,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "email", "email_verified"],
        "prompt_values_supported": ["none", "login", "consent"],
        "ui_locales_supported": Language::ALL.map(Language::tag),
        "claims_parameter_supported": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
    });
    public(&document.to_string(), "application/json")
}

/// What each endpoint accepts and answers, in OpenAPI. Tests hold it against every answer that they get.
pub(super) async fn description() -> Response {
    public(include_str!("../../openapi/public.json"), "application/json")
}

pub(super) async fn jwks(State(shared): State<Arc<Shared>>) -> Response {
    public(&shared.signing.jwk_set(), "application/jwk-set+json")
}

/// Readable by programs of any origin; kept for a minute, well below the time a key is published before its use.
fn public(body: &str, content_type: &'static str) -> Response {
    let headers =
        [("content-type", content_type), ("cache-control", "public, max-age=60"), ("access-control-allow-origin", "*")];
    (headers, body.to_owned()).into_response()
}
