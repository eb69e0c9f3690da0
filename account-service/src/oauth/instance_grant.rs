//! Homes: a home proves its key (RFC 7523 and RFC 9449) and receives the token with which it dials in.

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use macloud_proto::dpop::{self, DpopError};
use macloud_proto::ids::InstanceId;
use macloud_proto::instance_token::{Claims, Confirmation, RELAY_AUDIENCE};
use macloud_proto::jose::{Unverified, thumbprint};
use macloud_service_kit::random;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::OAuthError;
use crate::form::Form;
use crate::plans;
use crate::secrets::{self, DPOP_NONCE_SECONDS};
use crate::shared::Shared;
use crate::store::instances::{self, Instance};
use crate::store::seen_proofs;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Longer-lived assertions are refused, so that their ids need not be remembered for long.
const MAX_ASSERTION_SECONDS: i64 = 300;
const LEEWAY_SECONDS: i64 = 60;

const REFUSED: OAuthError = OAuthError::InvalidClient("The home is unknown or unlinked, or its assertion is not valid");

/// An instance token for a home that authenticates by assertion.
pub(super) async fn token(shared: &Shared, headers: &HeaderMap, form: &Form) -> Result<Value, OAuthError> {
    if form.value("client_assertion").is_none() {
        return Err(OAuthError::InvalidClient("Homes authenticate with a client_assertion"));
    }
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
    refuse_replay(shared, &format!("assertion\0{}\0{}", instance.id, assertion.jti), assertion.exp + LEEWAY_SECONDS)
        .await?;
    refuse_replay(shared, &proof, shared.now() + DPOP_NONCE_SECONDS as i64 + LEEWAY_SECONDS).await?;
    Ok(instance)
}

/// The answer with a fresh instance token. `invalid_client` when the home was unlinked meanwhile.
pub(super) async fn issue(shared: &Shared, instance: &Instance) -> Result<Value, OAuthError> {
    if !instances::touch(&shared.db, &instance.id, shared.now()).await? {
        return Err(REFUSED);
    }
    let now = shared.clock.unix_seconds();
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
        limits: plans::limits(shared, &instance.account_id).await?,
        paused: instance.paused,
    };
    let mut answer = json!({
        "access_token": shared.signing.sign_instance(&claims),
        "token_type": "DPoP",
        "expires_in": seconds,
        "scope": "relay",
        "relay_url": shared.relay_url(),
    });
    if instance.paused {
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
    let proof =
        dpop::verify(proof, request, |nonce| shared.master.dpop_nonce_is_current(nonce, now)).map_err(|error| {
            match error {
                DpopError::Nonce => OAuthError::UseDpopNonce(shared.master.dpop_nonce(now)),
                DpopError::Jose(_) | DpopError::Header | DpopError::Jti => {
                    OAuthError::InvalidDpopProof("The DPoP proof is not valid")
                }
                DpopError::Request => OAuthError::InvalidDpopProof("The DPoP proof is for another method or URL"),
                DpopError::AccessToken => OAuthError::InvalidDpopProof("The DPoP proof must not carry ath here"),
            }
        })?;
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
        Err(OAuthError::InvalidDpopProof("This proof or assertion was used before"))
    }
}

#[derive(Deserialize)]
struct AssertionClaims {
    iss: String,
    sub: String,
    aud: Audience,
    #[serde(default)]
    iat: Option<i64>,
    exp: i64,
    jti: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

async fn authenticate(shared: &Shared, form: &Form) -> Result<(Instance, AssertionClaims), OAuthError> {
    if form.value("client_assertion_type") != Some(ASSERTION_TYPE) {
        return Err(OAuthError::InvalidClient("client_assertion_type is missing or unknown"));
    }
    let sent = form.value("client_assertion").ok_or(REFUSED)?;
    let assertion = Unverified::parse(sent).map_err(|_| REFUSED)?;
    if !matches!(assertion.header().typ.as_deref(), None | Some("client-authentication+jwt")) {
        return Err(REFUSED);
    }
    let claimed: AssertionClaims = assertion.peek().map_err(|_| REFUSED)?;
    let id: InstanceId = claimed.iss.parse().map_err(|_| REFUSED)?;
    let instance = instances::by_id(&shared.db, &id).await?.ok_or(REFUSED)?;
    let by_now = assertion.verify(&instance.identity_key);
    // Only who has the key that it replaced hears that it was replaced.
    let made_by =
        |key: &[u8; 32]| Unverified::parse(sent).is_ok_and(|sent| sent.verify::<AssertionClaims>(key).is_ok());
    let was_its_key = || instance.replaced.is_some_and(|(key, _)| made_by(&key));
    let claims: AssertionClaims = by_now.map_err(|_| if was_its_key() { OAuthError::HomeMoved } else { REFUSED })?;
    let client_id = form.value("client_id").unwrap_or(id.as_str());
    if claims.sub != claims.iss || client_id != id.as_str() || !is_for_us(shared, &claims.aud) {
        return Err(REFUSED);
    }
    check_times(&claims, shared.now())?;
    if claims.jti.is_empty() || claims.jti.len() > 128 {
        return Err(REFUSED);
    }
    Ok((instance, claims))
}

fn is_for_us(shared: &Shared, audience: &Audience) -> bool {
    let ours = |aud: &String| *aud == shared.issuer || *aud == shared.url("/oauth/token");
    match audience {
        Audience::One(aud) => ours(aud),
        Audience::Many(all) => all.iter().any(ours),
    }
}

/// A home whose clock is wrong learns the time from the answer's `Date` and tries again.
fn check_times(claims: &AssertionClaims, now: i64) -> Result<(), OAuthError> {
    let wrong = Err(OAuthError::InvalidClient("The assertion is expired, from the future, or lives too long"));
    let issued = claims.iat.unwrap_or(now);
    // Saturating: these numbers are a stranger's.
    if claims.exp.saturating_add(LEEWAY_SECONDS) <= now || issued > now.saturating_add(LEEWAY_SECONDS) {
        return wrong;
    }
    if claims.exp > issued.saturating_add(MAX_ASSERTION_SECONDS)
        || claims.exp > now.saturating_add(MAX_ASSERTION_SECONDS + LEEWAY_SECONDS)
    {
        return wrong;
    }
    Ok(())
}
