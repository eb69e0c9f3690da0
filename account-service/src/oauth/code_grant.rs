//! Redeeming an authorization code.

use macloud_proto::ids::GrantId;
use macloud_proto::jose::sha256_base64url;
use serde_json::Value;

use super::error::OAuthError;
use super::id_token;
use super::issue::Issue;
use super::scopes;
use super::token::Spending;
use crate::form::Form;
use crate::link_doctor;
use crate::secrets::{Kind, lookup_hash};
use crate::shared::Shared;
use crate::store::clients::Client;
use crate::store::codes::{self, Code};
use crate::store::grants::Identity;
use crate::store::link_attempts::Cause;
use crate::store::{activity, grants, link_attempts, tokens};

const REFUSED: OAuthError = OAuthError::InvalidGrant("The code is unknown, expired, used, or another client's");

/// The tokens for `code`, once, bound to the key `jkt`.
pub(super) async fn redeem(
    shared: &Shared,
    client: &Client,
    jkt: Option<String>,
    form: &Form,
    spending: &Spending,
) -> Result<Value, OAuthError> {
    let code = form.value("code").ok_or(OAuthError::InvalidRequest("code is missing"))?;
    let hash = lookup_hash(Kind::Code, code).ok_or(REFUSED)?;
    let mut tx = shared.db.begin().await?;
    let Some(code) = codes::redeem(&mut tx, &hash, &client.id, shared.now()).await? else {
        drop(tx);
        if revoke_if_reused(shared, &hash, client).await? {
            return Err(REFUSED);
        }
        if let Some((grant, client_id)) = link_attempts::grant_of_code(&shared.db, &hash).await? {
            let cause = if client_id == client.id { Cause::CodeExpired } else { Cause::CodeOfAnother };
            link_doctor::code_refused(shared, &grant, cause).await;
        }
        return Err(REFUSED);
    };
    if let Err((refusal, cause)) = check(&code, jkt.as_deref(), form) {
        // The code is spent all the same: whoever holds it without its verifier must not try again.
        tx.commit().await?;
        link_doctor::code_refused(shared, &code.grant_id, cause).await;
        return Err(refusal);
    }
    let issue = Issue::new(shared, client, &code.grant_id, jkt);
    grants::insert(
        &mut tx,
        &code.grant_id,
        &code.account_id,
        &client.id,
        &code.scopes,
        code.signed_in_at,
        shared.now(),
    )
    .await?;
    tokens::insert(&mut tx, &issue.pair, &code.grant_id, None, &code.scopes).await?;
    activity::note_in(&mut tx, &code.account_id, activity::Kind::AppLinked, &client.name, shared.now()).await?;
    let identity = grants::identity_in(&mut tx, &code.grant_id).await?.ok_or(REFUSED)?;
    spending.begin();
    tx.commit().await?;
    tracing::info!(grant.id = %code.grant_id, client.id = %client.id, "linked");
    let id_token = id_token_for(shared, client, &code, &identity);
    Ok(issue.into_answer(&code.scopes, id_token))
}

/// What the code was bound to when it was asked for.
fn check(code: &Code, jkt: Option<&str>, form: &Form) -> Result<(), (OAuthError, Cause)> {
    if form.value("redirect_uri") != Some(&code.redirect_uri) {
        let refusal = OAuthError::InvalidGrant("redirect_uri is not the one of the authorization request");
        return Err((refusal, Cause::CodeRedirect));
    }
    if code.dpop_jkt.is_some() && code.dpop_jkt.as_deref() != jkt {
        let refusal = OAuthError::InvalidGrant("The code was asked for with another DPoP key");
        return Err((refusal, Cause::Verifier));
    }
    match (&code.challenge, form.value("code_verifier")) {
        (None, None) => Ok(()),
        (Some(challenge), Some(verifier)) if verifier_matches(verifier, challenge) => Ok(()),
        (Some(_), _) => Err((OAuthError::InvalidGrant("code_verifier is missing or wrong"), Cause::Verifier)),
        (None, Some(_)) => {
            Err((OAuthError::InvalidGrant("The authorization request had no code_challenge"), Cause::Verifier))
        }
    }
}

fn verifier_matches(verifier: &str, challenge: &str) -> bool {
    let well_formed = (43..=128).contains(&verifier.len())
        && verifier.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
    well_formed && sha256_base64url(verifier.as_bytes()) == challenge
}

/// A second use of a code means that two parties have it: end what the first use gave (RFC 6749 section 4.1.2).
async fn revoke_if_reused(shared: &Shared, hash: &[u8; 32], client: &Client) -> Result<bool, OAuthError> {
    let Some(grant) = codes::grant_of_spent(&shared.db, hash, &client.id).await? else { return Ok(false) };
    tracing::warn!(grant.id = %grant, client.id = %client.id, "a code was used twice: what it gave is revoked");
    // An attempt that a wrong verifier stopped stays known for that: no tokens were given that a second use could betray.
    if grants::identity(&shared.db, &grant).await?.is_some() {
        link_doctor::code_refused(shared, &grant, Cause::CodeUsedTwice).await;
    }
    end_grant(shared, &grant).await?;
    Ok(true)
}

/// End a grant and tell those who cache its tokens.
pub(super) async fn end_grant(shared: &Shared, grant: &GrantId) -> Result<(), OAuthError> {
    let mut tx = shared.db.begin().await?;
    grants::end(&mut tx, grant, shared.now()).await?;
    Ok(shared.commit(tx).await?)
}

fn id_token_for(shared: &Shared, client: &Client, code: &Code, identity: &Identity) -> Option<String> {
    scopes::contains(&code.scopes, "openid").then(|| {
        let subject = id_token::Subject {
            account: &identity.account_id,
            email: &identity.email,
            email_verified: identity.email_verified,
            signed_in_at: identity.signed_in_at,
            nonce: code.nonce.as_deref(),
        };
        id_token::sign(shared, &client.id, &code.scopes, &subject)
    })
}
