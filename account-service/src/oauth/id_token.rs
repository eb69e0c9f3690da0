//! Id tokens (OpenID Connect Core section 2).

use macloud_proto::ids::AccountId;
use serde::Serialize;

use super::scopes;
use crate::shared::Shared;

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a AccountId,
    aud: &'a str,
    iat: i64,
    exp: i64,
    auth_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
}

/// Who signed in, and when.
pub(super) struct Subject<'a> {
    pub(super) account: &'a AccountId,
    pub(super) email: &'a str,
    pub(super) email_verified: bool,
    pub(super) signed_in_at: i64,
    pub(super) nonce: Option<&'a str>,
}

/// The id token for a client.
pub(super) fn sign(shared: &Shared, client_id: &str, granted: &str, subject: &Subject<'_>) -> String {
    let now = shared.now();
    let email = scopes::contains(granted, "email").then_some(subject.email);
    let claims = Claims {
        iss: &shared.issuer,
        sub: subject.account,
        aud: client_id,
        iat: now,
        exp: now + i64::from(shared.config.lives.id_token_seconds),
        auth_time: subject.signed_in_at,
        nonce: subject.nonce,
        email,
        email_verified: email.map(|_| subject.email_verified),
    };
    shared.signing.sign("JWT", &claims)
}
