//! Client credentials (RFC 6749 section 4.4): a client in its own name. Only for operators' programs, which an operator
//! gave something that they may do so; short-lived, and without a refresh token.

use serde_json::{Value, json};

use super::error::OAuthError;
use super::scopes;
use crate::form::Form;
use crate::secrets::{Kind, Secret};
use crate::shared::Shared;
use crate::store::clients::Client;
use crate::store::operator_tokens::{self, NewToken};

/// Everything an operator can do.
pub(crate) const SCOPE_ADMIN: &str = "ma_cloud.admin";
/// Looking only.
pub(crate) const SCOPE_ADMIN_READ: &str = "ma_cloud.admin.read";
/// All that a client can have in its own name.
pub(crate) const SCOPES: [&str; 2] = [SCOPE_ADMIN, SCOPE_ADMIN_READ];

/// However long a client's tokens live otherwise.
const MAX_SECONDS: i64 = 3600;

/// A token for the client itself.
pub(super) async fn token(
    shared: &Shared,
    client: &Client,
    jkt: Option<&str>,
    form: &Form,
) -> Result<Value, OAuthError> {
    if client.own_scopes.is_empty() || client.is_public() {
        return Err(OAuthError::UnauthorizedClient("This client acts for people only"));
    }
    let asked = form.value("scope").unwrap_or(&client.own_scopes);
    if !scopes::covers(&client.own_scopes, asked) {
        return Err(OAuthError::InvalidScope("More was asked for than the client may have"));
    }
    let granted: Vec<&str> = SCOPES.into_iter().filter(|scope| scopes::contains(asked, scope)).collect();
    if granted.is_empty() {
        return Err(OAuthError::InvalidScope("No known scope was asked for"));
    }
    let granted = granted.join(" ");
    let secret = Secret::new(Kind::Operator);
    let seconds = client.access_token_seconds.min(MAX_SECONDS);
    let now = shared.now();
    let token = NewToken {
        hash: secret.hash(),
        client_id: &client.id,
        scopes: &granted,
        issued_at: now,
        expires_at: now + seconds,
        dpop_jkt: jkt,
    };
    operator_tokens::insert(&shared.db, &token).await?;
    tracing::info!(client.id = %client.id, scopes = %granted, "an operator's program has a token");
    Ok(json!({
        "access_token": secret.as_str(),
        "token_type": if jkt.is_some() { "DPoP" } else { "Bearer" },
        "expires_in": seconds,
        "scope": granted,
    }))
}
