//! Asking about tokens and ending them: revocation (RFC 7009), introspection (RFC 7662) and userinfo (OpenID Connect).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::error::OAuthError;
use super::resource::{self, Refusal};
use super::{client_auth, scopes};
use crate::form::Form;
use crate::secrets::{Kind, lookup_hash};
use crate::shared::Shared;
use crate::store::changes::{self, Subject};
use crate::store::clients::Rotation;
use crate::store::operator_tokens::{self, OperatorToken};
use crate::store::tokens::{self, TokenState};
use crate::store::{activity, grants, tokens as store_tokens};

/// A token of a person's grant, of either kind. The prefix says which, so a `token_type_hint` adds nothing.
async fn find(shared: &Shared, text: &str) -> Result<Option<(Kind, TokenState)>, OAuthError> {
    if let Some(hash) = lookup_hash(Kind::Access, text) {
        return Ok(tokens::by_access(&shared.db, &hash).await?.map(|state| (Kind::Access, state)));
    }
    if let Some(hash) = lookup_hash(Kind::Refresh, text) {
        return Ok(tokens::by_refresh(&shared.db, &hash).await?.map(|state| (Kind::Refresh, state)));
    }
    Ok(None)
}

/// POST `/oauth/revoke`. A refresh token ends its whole grant, an access token only itself. Unknown tokens are no error.
pub(super) async fn revoke(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    match try_revoke(&shared, request).await {
        Ok(()) => super::json(&json!({})),
        Err(refusal) => refusal.into_response(),
    }
}

async fn try_revoke(shared: &Shared, request: Request) -> Result<(), OAuthError> {
    let (parts, body) = request.into_parts();
    let form = Form::read(&parts.headers, body).await?;
    let client = client_auth::authenticate(shared, &parts.headers, &form).await?;
    let text = form.value("token").ok_or(OAuthError::InvalidRequest("token is missing"))?;
    if let Some(hash) = lookup_hash(Kind::Operator, text) {
        operator_tokens::end(&shared.db, &hash, &client.id, shared.now()).await?;
        return Ok(());
    }
    let Some((kind, state)) = find(shared, text).await?.filter(|(_, state)| state.client_id == client.id) else {
        return Ok(());
    };
    let now = shared.now();
    let mut tx = shared.db.begin().await?;
    if kind == Kind::Refresh {
        grants::end(&mut tx, &state.grant_id, now).await?;
        tracing::info!(grant.id = %state.grant_id, client.id = %client.id, "the client revoked its grant");
    } else if let Some(hash) = lookup_hash(Kind::Access, text)
        && store_tokens::end_access(&mut tx, &hash, now).await?
    {
        // The grant lives on; this only makes everyone ask again about its tokens.
        changes::append(&mut tx, &Subject::GrantEnded(state.grant_id.clone()), now).await?;
    }
    shared.commit(tx).await?;
    if kind == Kind::Refresh {
        activity::note(&shared.db, &state.account_id, activity::Kind::AppUnlinked, &client.name, now).await;
    }
    Ok(())
}

/// POST `/oauth/introspect`, for the client that the token was issued to.
pub(super) async fn introspect(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    match try_introspect(&shared, request).await {
        Ok(answer) => super::json(&answer),
        Err(refusal) => refusal.into_response(),
    }
}

async fn try_introspect(shared: &Shared, request: Request) -> Result<Value, OAuthError> {
    let (parts, body) = request.into_parts();
    let form = Form::read(&parts.headers, body).await?;
    let client = client_auth::authenticate(shared, &parts.headers, &form).await?;
    if client.is_public() {
        return Err(OAuthError::InvalidClient("Introspection needs a client with a secret"));
    }
    let text = form.value("token").ok_or(OAuthError::InvalidRequest("token is missing"))?;
    let inactive = json!({ "active": false });
    if let Some(hash) = lookup_hash(Kind::Operator, text) {
        let token = operator_tokens::by_hash(&shared.db, &hash).await?;
        let works = |token: &OperatorToken| token.is_active(shared.now()) && !token.allowed().is_empty();
        let token = token.filter(|token| token.client_id == client.id && works(token));
        return Ok(token.map_or(inactive, |token| describe_operators(shared, &token)));
    }
    let Some((kind, state)) = find(shared, text).await? else { return Ok(inactive) };
    if state.client_id != client.id || !is_active(shared, kind, text, &state).await? {
        return Ok(inactive);
    }
    let (expires_at, scope, token_type) = match kind {
        Kind::Access if state.dpop_jkt.is_some() => (state.access_expires_at, &state.scopes, "DPoP"),
        Kind::Access => (state.access_expires_at, &state.scopes, "Bearer"),
        _ => (state.refresh_expires_at, &state.grant_scopes, "refresh_token"),
    };
    let mut answer = json!({
        "active": true,
        "client_id": state.client_id,
        "sub": state.account_id,
        "scope": scope,
        "exp": expires_at,
        "iat": state.issued_at,
        "iss": shared.issuer,
        "token_type": token_type,
    });
    // Of refresh tokens, only those of public clients are bound (RFC 9449 section 5).
    if let Some(jkt) = state.dpop_jkt.filter(|_| kind == Kind::Access || client.rotation == Rotation::Strict) {
        answer["cnf"] = json!({ "jkt": jkt });
    }
    Ok(answer)
}

fn describe_operators(shared: &Shared, token: &OperatorToken) -> Value {
    let mut answer = json!({
        "active": true,
        "client_id": token.client_id,
        "sub": token.client_id,
        "scope": token.allowed().join(" "),
        "exp": token.expires_at,
        "iat": token.issued_at,
        "iss": shared.issuer,
        "token_type": if token.dpop_jkt.is_some() { "DPoP" } else { "Bearer" },
    });
    if let Some(jkt) = &token.dpop_jkt {
        answer["cnf"] = json!({ "jkt": jkt });
    }
    answer
}

async fn is_active(shared: &Shared, kind: Kind, text: &str, state: &TokenState) -> Result<bool, OAuthError> {
    let now = shared.now();
    if state.grant_ended || state.suspended {
        return Ok(false);
    }
    if kind == Kind::Access {
        return Ok(!state.access_ended && state.access_expires_at > now);
    }
    let Some(hash) = lookup_hash(Kind::Refresh, text) else { return Ok(false) };
    let cut = now - i64::from(shared.config.lives.rotation_overlap_seconds);
    Ok(!state.used && state.refresh_expires_at > now && !tokens::is_superseded(&shared.db, &hash, cut).await?)
}

/// GET or POST `/oauth/userinfo`.
pub(super) async fn userinfo(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    match try_userinfo(&shared, &parts).await {
        Ok(answer) => super::json(&answer),
        Err(refusal) => refusal.into_response(),
    }
}

async fn try_userinfo(shared: &Shared, parts: &Parts) -> Result<Value, Refusal> {
    let shown = resource::shown(parts)?;
    let hash = lookup_hash(Kind::Access, shown.token).ok_or(Refusal::Invalid)?;
    let state = tokens::by_access(&shared.db, &hash).await?.ok_or(Refusal::Invalid)?;
    if !is_active(shared, Kind::Access, shown.token, &state).await.map_err(Refusal::Other)? {
        return Err(Refusal::Invalid);
    }
    shown.check_possession(shared, parts, &[&shared.issuer], state.dpop_jkt.as_deref()).await?;
    if !scopes::contains(&state.scopes, "openid") {
        return Err(Refusal::Insufficient("openid"));
    }
    let mut answer = json!({ "sub": state.account_id });
    if scopes::contains(&state.scopes, "email") {
        let identity = grants::identity(&shared.db, &state.grant_id).await?.ok_or(Refusal::Invalid)?;
        answer["email"] = identity.email.into();
        answer["email_verified"] = identity.email_verified.into();
    }
    Ok(answer)
}
