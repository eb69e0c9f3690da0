//! Refreshing, under one of two rules.
//!
//! *Overlap*, for confidential clients such as Alexa, which refresh in parallel and sometimes lose an answer: a refresh
//! token stays good until a successor of it has been used, and for a while after. One that is older is refused for
//! itself alone. Who refreshes has proved itself with the client secret, so RFC 9700 does not ask for rotation at all here.
//! A token that a restored database has lost is taken for what it says of itself (see [`crate::store::restores`]).
//!
//! *Strict*, for public clients: a refresh token is spent by its use, and a second use ends the whole authorization
//! (RFC 9700 section 4.14).

use serde_json::Value;

use super::code_grant::end_grant;
use super::error::OAuthError;
use super::issue::Issue;
use super::token::Spending;
use super::{id_token, scopes};
use crate::form::Form;
use crate::link_doctor;
use crate::rate_limits::TooMany;
use crate::secrets::{Kind, RefreshProof, lookup_hash};
use crate::shared::Shared;
use crate::store::clients::{Client, Rotation};
use crate::store::link_attempts::Cause;
use crate::store::restores::{self, Lost};
use crate::store::rotations::{Rotated, Wish};
use crate::store::{grants, tokens};

const REFUSED: OAuthError = OAuthError::InvalidGrant("The refresh token is unknown, expired or revoked");

/// The next pair of tokens, bound to the key `jkt`.
pub(super) async fn refresh(
    shared: &Shared,
    client: &Client,
    jkt: Option<String>,
    form: &Form,
    spending: &Spending,
) -> Result<Value, OAuthError> {
    let token = form.value("refresh_token").ok_or(OAuthError::InvalidRequest("refresh_token is missing"))?;
    let used = lookup_hash(Kind::Refresh, token).ok_or(REFUSED)?;
    let proof = shared.master.refresh_proof(token);
    let grant = match &proof {
        Some(proof) => proof.grant.clone(),
        // Of a version that gave out nothing but random bytes.
        None => tokens::by_refresh(&shared.db, &used).await?.ok_or(REFUSED)?.grant_id,
    };
    let narrowed = match form.value("scope") {
        Some(asked) => Some(narrow(shared, client, &used, proof.as_ref(), asked).await?),
        None => None,
    };
    let issue = Issue::new(shared, client, &grant, jkt);
    let outcome = match client.rotation {
        Rotation::Overlap => {
            let wish = Wish {
                used,
                client_id: client.id.clone(),
                pair: issue.pair.clone(),
                narrowed,
                overlap_seconds: shared.config.lives.rotation_overlap_seconds.into(),
            };
            match shared.rotations.rotate(wish.clone()).await? {
                None if make_room(shared, client, &used).await? => shared.rotations.rotate(wish).await?,
                None if is_taken_back(shared, client, &used, proof.as_ref()).await? => {
                    shared.rotations.rotate(wish).await?
                }
                outcome => outcome,
            }
        }
        Rotation::Strict => rotate_strictly(shared, client, &used, &issue, narrowed, spending).await?,
    };
    let Some(rotated) = outcome else {
        return Err(refusal(shared, client, issue.pair.dpop_jkt.as_deref(), &used).await?);
    };
    let id_token = id_token_for(shared, client, &rotated);
    Ok(issue.into_answer(&rotated.scopes, id_token))
}

/// Somebody came with a refresh token and did not prove who they are: that is why the first refresh of a new link fails.
pub(super) async fn note_unproved(shared: &Shared, form: &Form) {
    let Some(hash) = form.value("refresh_token").and_then(|token| lookup_hash(Kind::Refresh, token)) else { return };
    if let Ok(Some(state)) = tokens::by_refresh(&shared.db, &hash).await {
        link_doctor::code_refused(shared, &state.grant_id, Cause::RefreshClientAuth).await;
    }
}

/// Whether there were too many answers to one refresh token and there is room again. A link must not end by it, so a
/// client that really asks that often is only slowed down.
async fn make_room(shared: &Shared, client: &Client, used: &[u8; 32]) -> Result<bool, OAuthError> {
    if !tokens::has_too_many_siblings(&shared.db, used).await? {
        return Ok(false);
    }
    if tokens::drop_lost_siblings(&shared.db, used, shared.now()).await? > 0 {
        return Ok(true);
    }
    tracing::warn!(client.id = %client.id, "a client refreshes with one token again and again, and uses no answer");
    Err(TooMany { retry_after_seconds: 60 }.into())
}

/// Whether it is one of those that a restored database had lost, and is known again.
async fn is_taken_back(
    shared: &Shared,
    client: &Client,
    used: &[u8; 32],
    proof: Option<&RefreshProof>,
) -> Result<bool, OAuthError> {
    let Some(RefreshProof { grant, issued_at }) = proof else { return Ok(false) };
    let lives = &shared.config.lives;
    let lost = Lost {
        refresh_hash: used,
        grant,
        client_id: &client.id,
        issued_at: *issued_at,
        expires_at: issued_at + i64::from(lives.refresh_idle_seconds),
    };
    let overlap_seconds = i64::from(lives.rotation_overlap_seconds);
    let taken = restores::take_back(&shared.db, &lost, shared.now(), overlap_seconds).await?;
    if taken {
        tracing::info!(grant.id = %grant, client.id = %client.id, "a refresh token that the restored database had lost is known again");
    }
    Ok(taken)
}

/// A refresh may ask for less than was granted, never for more.
async fn narrow(
    shared: &Shared,
    client: &Client,
    used: &[u8; 32],
    proof: Option<&RefreshProof>,
    asked: &str,
) -> Result<String, OAuthError> {
    let mut state = tokens::by_refresh(&shared.db, used).await?;
    if state.is_none() && is_taken_back(shared, client, used, proof).await? {
        state = tokens::by_refresh(&shared.db, used).await?;
    }
    let state = state.filter(|state| state.client_id == client.id);
    let granted = state.ok_or(REFUSED)?.grant_scopes;
    if !scopes::covers(&granted, asked) {
        return Err(OAuthError::InvalidScope("More was asked for than was granted"));
    }
    scopes::grantable(asked).ok_or(OAuthError::InvalidScope("No known scope was asked for"))
}

async fn rotate_strictly(
    shared: &Shared,
    client: &Client,
    used: &[u8; 32],
    issue: &Issue,
    narrowed: Option<String>,
    spending: &Spending,
) -> Result<Option<Rotated>, OAuthError> {
    // What was granted never changes, so this read decides nothing that the statement below must decide.
    let Some(state) = tokens::by_refresh(&shared.db, used).await? else { return Ok(None) };
    let scopes = narrowed.unwrap_or(state.grant_scopes);
    let mut tx = shared.db.begin().await?;
    let jkt = issue.pair.dpop_jkt.as_deref();
    let Some(grant_id) = tokens::spend(&mut tx, used, &client.id, jkt, shared.now()).await? else { return Ok(None) };
    tokens::insert(&mut tx, &issue.pair, &grant_id, Some(used), &scopes).await?;
    let identity = grants::identity_in(&mut tx, &grant_id).await?.ok_or(REFUSED)?;
    spending.begin();
    tx.commit().await?;
    Ok(Some(Rotated { scopes, identity }))
}

/// Why a token was not good. Decided after the fact, for the log and for strict rotation's revocation.
async fn refusal(
    shared: &Shared,
    client: &Client,
    jkt: Option<&str>,
    used: &[u8; 32],
) -> Result<OAuthError, OAuthError> {
    let Some(state) = tokens::by_refresh(&shared.db, used).await? else { return Ok(REFUSED) };
    let grant = &state.grant_id;
    let cut = shared.now() - i64::from(shared.config.lives.rotation_overlap_seconds);
    if state.client_id != client.id {
        tracing::warn!(grant.id = %grant, client.id = %client.id, "a client presented another client's refresh token");
    } else if state.grant_ended {
        tracing::info!(grant.id = %grant, "refused a refresh: the grant has ended");
    } else if state.suspended {
        // Not `invalid_grant`: that would unlink for good, and a suspension may be lifted.
        return Ok(OAuthError::AccessDenied("The account is suspended"));
    } else if state.refresh_expires_at <= shared.now() {
        tracing::info!(grant.id = %grant, "refused a refresh: the token was not used for too long");
    } else if client.rotation == Rotation::Strict && state.dpop_jkt.is_some() && state.dpop_jkt.as_deref() != jkt {
        // Whoever has the token without its key got it from somewhere else: its owner loses nothing by that.
        tracing::warn!(grant.id = %grant, client.id = %client.id, "a refresh token came without the key that it is bound to");
    } else if state.used {
        tracing::warn!(grant.id = %grant, client.id = %client.id, "a spent refresh token came back: the grant is revoked");
        end_grant(shared, grant).await?;
    } else if tokens::is_superseded(&shared.db, used, cut).await? {
        tracing::warn!(grant.id = %grant, client.id = %client.id, "an old refresh token came back: it alone is refused");
    } else {
        // Good after all: something of ours went wrong between the two looks, and that must not unlink anybody.
        return Ok(OAuthError::Unavailable);
    }
    Ok(REFUSED)
}

fn id_token_for(shared: &Shared, client: &Client, rotated: &Rotated) -> Option<String> {
    let Rotated { scopes, identity } = rotated;
    scopes::contains(scopes, "openid").then(|| {
        let subject = id_token::Subject {
            account: &identity.account_id,
            email: &identity.email,
            email_verified: identity.email_verified,
            signed_in_at: identity.signed_in_at,
            nonce: None,
        };
        id_token::sign(shared, &client.id, scopes, &subject)
    })
}
