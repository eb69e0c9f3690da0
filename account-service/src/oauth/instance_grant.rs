//! Homes: a home proves its key (RFC 7523 and RFC 9449) and receives the token with which it dials in.

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use macloud_proto::dpop;
use macloud_proto::ids::InstanceId;
use macloud_proto::instance_token::{Claims, Confirmation, RELAY_AUDIENCE};
use macloud_proto::jose::{Unverified, thumbprint};
use macloud_service_kit::random;
use serde_json::{Value, json};

use super::assertion::{self, Assertion};
use super::error::OAuthError;
use super::possession;
use crate::form::Form;
use crate::plans;
use crate::secrets::{self, DPOP_NONCE_SECONDS};
use crate::shared::Shared;
use crate::store::instances::{self, Instance, Touched};
use crate::store::{accounts, seen_proofs};

const REFUSED: OAuthError = OAuthError::InvalidClient("The home is unknown or unlinked, or its assertion is not valid");

/// An instance token for a home that authenticates by assertion.
pub(super) async fn token(shared: &Shared, headers: &HeaderMap, form: &Form) -> Result<Value, OAuthError> {
    if headers.contains_key("authorization") || form.value("client_secret").is_some() {
        return Err(OAuthError::InvalidRequest("The client authenticates in more than one way"));
    }
    if form.value("scope").is_some_and(|scope| scope != "relay") {
        return Err(OAuthError::InvalidScope("Homes can only ask for the scope relay"));
    }
    issue(shared, &proved(shared, headers, form, "/oauth/token").await?).await
}

/// The home that makes a request of another kind, authenticated as at the token endpoint.
pub(super) async fn authenticated(
    shared: &Shared,
    headers: &HeaderMap,
    form: &Form,
    path: &str,
) -> Result<Instance, OAuthError> {
    if form.value("client_assertion").is_none() || headers.contains_key("authorization") {
        return Err(OAuthError::InvalidClient("Homes authenticate with a client_assertion"));
    }
    proved(shared, headers, form, path).await
}

async fn proved(shared: &Shared, headers: &HeaderMap, form: &Form, path: &str) -> Result<Instance, OAuthError> {
    let (instance, assertion) = authenticate(shared, form).await?;
    let proof = prove(shared, headers, &instance.identity_key, path)?;
    // Only now: a request that must be repeated with a nonce may repeat its assertion.
    assertion.use_up(shared).await.map_err(|error| match error {
        // A home would take `invalid_client` for having been unlinked.
        OAuthError::InvalidClient(text) => OAuthError::InvalidRequest(text),
        other => other,
    })?;
    refuse_replay(shared, &proof, shared.now() + DPOP_NONCE_SECONDS as i64 + 60).await?;
    Ok(instance)
}

/// The answer with a fresh instance token. `invalid_client` when the home was unlinked meanwhile; when its account is
/// suspended the home is not to blame, and is told so.
pub(super) async fn issue(shared: &Shared, instance: &Instance) -> Result<Value, OAuthError> {
    // Taken before what the token says is read: whatever changes from here on, the relay hears of as later than the token.
    let now = shared.clock.unix_seconds();
    let Some(Touched { account_id, paused }) = instances::touch(&shared.db, &instance.id, now as i64).await? else {
        let account = accounts::by_id(&shared.db, &instance.account_id).await?;
        let suspended = account.is_some_and(|account| account.suspended);
        return Err(if suspended { OAuthError::AccessDenied("The account is suspended") } else { REFUSED });
    };
    let seconds = shared.config.lives.instance_token_seconds;
    let jti: [u8; 16] = random::bytes();
    let claims = Claims {
        iss: shared.issuer.clone(),
        aud: RELAY_AUDIENCE.into(),
        sub: instance.id.clone(),
        client_id: instance.id.clone(),
        iat: now,
        exp: now + u64::from(seconds),
        jti: URL_SAFE_NO_PAD.encode(jti),
        cnf: Confirmation { jkt: thumbprint(&instance.identity_key) },
        limits: plans::limits(shared, &account_id).await?,
        paused,
    };
    let mut answer = json!({
        "access_token": shared.signing.sign_instance(&claims),
        "token_type": "DPoP",
        "expires_in": seconds,
        "scope": "relay",
        "relay_url": shared.relay_url(),
    });
    if paused {
        // For the home's own `doctor`: what the relay goes by is in the token.
        answer["paused"] = true.into();
    }
    if let Some(key_set) = &shared.config.skill_key_set {
        answer["skill_key_set"] = URL_SAFE_NO_PAD.encode(key_set).into();
    }
    Ok(answer)
}

/// Check the DPoP proof of a request to this path: made by `key`, with a nonce of ours. What to remember it by.
pub(super) fn prove(shared: &Shared, headers: &HeaderMap, key: &[u8; 32], path: &str) -> Result<String, OAuthError> {
    let mut proofs = headers.get_all("dpop").iter();
    let (Some(proof), None) = (proofs.next(), proofs.next()) else {
        return Err(OAuthError::InvalidDpopProof("Exactly one DPoP header is needed"));
    };
    let proof = proof.to_str().map_err(|_| OAuthError::InvalidDpopProof("The DPoP header is malformed"))?;
    let url = shared.url(path);
    let now = shared.clock.unix_seconds();
    let request = dpop::Request { method: "POST", url: &url, access_token: None };
    let fresh = |nonce: &str| shared.master.dpop_nonce_is_current(nonce, now);
    let proof = dpop::verify(proof, request, fresh).map_err(|error| possession::refusal(shared, error))?;
    if proof.key != *key {
        return Err(OAuthError::InvalidDpopProof("The DPoP proof was made with another key than the home's"));
    }
    Ok(format!("dpop\0{}\0{}", proof.thumbprint, proof.jti))
}

/// Refuse what was seen before, on any node.
pub(super) async fn refuse_replay(shared: &Shared, proof: &str, expires_at: i64) -> Result<(), OAuthError> {
    if seen_proofs::is_first(&shared.db, &secrets::hash(proof), expires_at).await? {
        Ok(())
    } else {
        Err(OAuthError::InvalidDpopProof("This proof was used before"))
    }
}

async fn authenticate(shared: &Shared, form: &Form) -> Result<(Instance, Assertion), OAuthError> {
    let sent = form.value("client_assertion").ok_or(REFUSED)?;
    let assertion = Unverified::parse(sent).ok().filter(assertion::is_one).ok_or(REFUSED)?;
    let id: InstanceId = assertion.peek::<Assertion>().ok().and_then(|claimed| claimed.issuer()).ok_or(REFUSED)?;
    let instance = instances::by_id(&shared.db, &id).await?.ok_or(REFUSED)?;
    let by_now = assertion.verify(&instance.identity_key);
    // Only who has the key that it replaced hears that it was replaced.
    let made_by = |key: &[u8; 32]| Unverified::parse(sent).is_ok_and(|sent| sent.verify::<Assertion>(key).is_ok());
    let was_its_key = || instance.replaced.is_some_and(|(key, _)| made_by(&key));
    let claims: Assertion = by_now.map_err(|_| if was_its_key() { OAuthError::HomeMoved } else { REFUSED })?;
    claims.check(shared, id.as_str(), form)?;
    Ok((instance, claims))
}
