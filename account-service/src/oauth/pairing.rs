//! Pairing: the device grant (RFC 8628) with the home's identity key in it.
//!
//! The connector names its key and proves that it has it; a person compares the fingerprint and allows it (see
//! `web::pair`); the connector asks until then, proving its key each time, and becomes a home of that person's account.
//! The home is registered only at that last step, with a fresh proof: an old `instance_proof` that somebody recorded
//! can start a pairing, but cannot move the home.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use macloud_proto::ids::{InstanceId, fingerprint};
use macloud_proto::jose::Unverified;
use macloud_service_kit::random;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::OAuthError;
use super::{PAIRING_CLIENT, identity_key, instance_grant};
use crate::form::Form;
use crate::names::clean_name;
use crate::plans;
use crate::rate_limits::{Attempt, address_key};
use crate::secrets::{DPOP_NONCE_SECONDS, Kind, Secret, lookup_hash};
use crate::shared::Shared;
use crate::store::instances::Instance;
use crate::store::pairings::{Allowed, Pairing};
use crate::store::{accounts, activity, instances, pairings};

pub(super) const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// POST `/oauth/device_authorization`.
pub(super) async fn begin(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let limit = shared.config.limits.pairings_per_address;
    let outcome = async {
        let form = Form::read(&parts.headers, body).await?;
        check_client(&form)?;
        let address = address_key(shared.client_address(&parts));
        shared.rate_limits.count(Attempt::Pairing, &address, limit)?;
        begin_pairing(&shared, &form).await
    };
    match outcome.await {
        Ok(answer) => {
            shared.metrics.pairing("begun");
            super::json(&answer)
        }
        Err(refusal) => {
            shared.metrics.pairing("refused");
            refusal.into_response()
        }
    }
}

fn check_client(form: &Form) -> Result<(), OAuthError> {
    match form.value("client_id") {
        Some(PAIRING_CLIENT) if form.value("client_secret").is_none() => Ok(()),
        Some(_) => Err(OAuthError::InvalidClient("Only the connector pairs homes")),
        None => Err(OAuthError::InvalidClient("client_id is missing")),
    }
}

async fn begin_pairing(shared: &Shared, form: &Form) -> Result<Value, OAuthError> {
    if form.value("scope").is_some_and(|scope| scope != "pair") {
        return Err(OAuthError::InvalidScope("Connectors can only ask for the scope pair"));
    }
    let key = parse_key(form.value("instance_key"))?;
    check_proof(shared, form.value("instance_proof"), &key)?;
    let name = clean_name(form.value("instance_name").unwrap_or_default()).unwrap_or_else(|| DEFAULT_NAME.into());
    let device_code = Secret::new(Kind::Device);
    let lives = &shared.config.lives;
    let expires_at = shared.now() + i64::from(lives.pairing_seconds);
    let user_code = loop {
        let user_code = draw_user_code();
        let hash = shared.master.user_code_hash(&normalise_user_code(&user_code).expect("we drew it"));
        let interval = lives.pairing_poll_seconds.into();
        if pairings::insert(&shared.db, &device_code.hash(), &hash, &key, &name, expires_at, interval).await? {
            break user_code;
        }
    };
    let verification_uri = shared.url("/pair");
    Ok(json!({
        "device_code": device_code.as_str(),
        "user_code": user_code,
        "verification_uri_complete": format!("{verification_uri}?user_code={user_code}"),
        "verification_uri": verification_uri,
        "expires_in": lives.pairing_seconds,
        "interval": lives.pairing_poll_seconds,
        "fingerprint": fingerprint(&key),
    }))
}

/// The token request of a connector that waits.
pub(super) async fn poll(shared: &Shared, headers: &HeaderMap, form: &Form) -> Result<Value, OAuthError> {
    check_client(form)?;
    let unknown = || OAuthError::InvalidGrant("The device code is unknown or was used");
    let device_code = form.value("device_code").ok_or(OAuthError::InvalidRequest("device_code is missing"))?;
    let device_code = lookup_hash(Kind::Device, device_code).ok_or_else(unknown)?;
    let pairing = pairings::by_device_code(&shared.db, &device_code).await?.ok_or_else(unknown)?;
    let proof = instance_grant::prove(shared, headers, &pairing.identity_key, "/oauth/token")?;
    let proof_expiry = shared.now() + DPOP_NONCE_SECONDS as i64 + 60;
    instance_grant::refuse_replay(shared, &proof, proof_expiry).await?;
    if pairing.redeemed {
        return again(shared, &pairing).await?.ok_or_else(unknown);
    }
    match pairing.allowed {
        Some(false) => Err(OAuthError::AccessDenied("The pairing was declined")),
        _ if pairing.expires_at <= shared.now() => Err(OAuthError::ExpiredToken),
        // An allowed pairing is handed over even to a hasty connector.
        Some(true) => redeem(shared, &device_code, &pairing).await,
        None if pairings::poll(&shared.db, &device_code, shared.now()).await? => Err(OAuthError::AuthorizationPending),
        None => Err(OAuthError::SlowDown),
    }
}

async fn redeem(shared: &Shared, device_code: &[u8; 32], pairing: &Pairing) -> Result<Value, OAuthError> {
    let (key, now) = (&pairing.identity_key, shared.now());
    let mut tx = shared.db.begin().await?;
    if let Some(account) = &pairing.account_id {
        // Before the pairing, as whoever ends what an account allowed: nobody waits for each other.
        accounts::hold(&mut tx, account).await?;
    }
    let Some(Allowed { account, name, replaces }) = pairings::redeem(&mut tx, device_code, now).await? else {
        return Err(OAuthError::InvalidGrant("The device code is unknown or was used"));
    };
    let is_move = replaces.is_some();
    let id = match replaces {
        // Dropped, the transaction undoes the redeeming as well: nothing was paired.
        Some(home) if !instances::replace(&mut tx, &account, &home, key, now).await? => {
            return Err(OAuthError::AccessDenied("The home to be replaced is gone, or has another owner now"));
        }
        Some(home) => home,
        None => {
            let fresh = InstanceId::from_bytes(&random::bytes());
            let id = instances::register(&mut tx, &account, key, &name, &fresh, now).await?;
            if id == fresh && plans::has_room(shared, &mut tx, &account).await?.is_err() {
                return Err(OAuthError::AccessDenied("The plan allows no further home"));
            }
            id
        }
    };
    let kind = if is_move { activity::Kind::HomeReplaced } else { activity::Kind::HomeLinked };
    activity::note_in(&mut tx, &account, kind, &name, now).await?;
    shared.commit(tx).await?;
    shared.metrics.pairing(if is_move { "moved" } else { "paired" });
    tracing::info!(instance.id = %id, account.id = %account, is_move, "paired");
    let instance = instances::by_id(&shared.db, &id)
        .await?
        .ok_or(OAuthError::InvalidGrant("The home was unlinked at this moment"))?;
    paired(shared, &instance).await
}

/// The last answer once more: it was lost, or could not be given. Who asks has just proved the key of the home that came of
/// the pairing, and could have a token for that home at any time, if it but knew its id.
async fn again(shared: &Shared, pairing: &Pairing) -> Result<Option<Value>, OAuthError> {
    if pairing.expires_at <= shared.now() {
        return Ok(None);
    }
    let home = instances::by_key(&shared.db, &pairing.identity_key).await?;
    match home.filter(|home| Some(&home.account_id) == pairing.account_id.as_ref()) {
        Some(home) => Ok(Some(paired(shared, &home).await?)),
        None => Ok(None),
    }
}

async fn paired(shared: &Shared, home: &Instance) -> Result<Value, OAuthError> {
    let mut answer = instance_grant::issue(shared, home).await?;
    answer["instance_id"] = home.id.as_str().into();
    answer["home_name"] = home.name.as_str().into();
    Ok(answer)
}

fn parse_key(text: Option<&str>) -> Result<[u8; 32], OAuthError> {
    let text = text.ok_or(OAuthError::InvalidRequest("instance_key is missing"))?;
    identity_key::parse(text)
        .ok_or(OAuthError::InvalidRequest("instance_key is not an Ed25519 public key in base64url"))
}

#[derive(Deserialize)]
struct ProofClaims {
    aud: String,
    key: String,
    jti: String,
}

/// The connector has the private half of the key that it names, and means us.
fn check_proof(shared: &Shared, proof: Option<&str>, key: &[u8; 32]) -> Result<(), OAuthError> {
    let wrong = || OAuthError::InvalidRequest("instance_proof is missing or not valid");
    let proof = Unverified::parse(proof.ok_or_else(wrong)?).map_err(|_| wrong())?;
    if proof.header().typ.as_deref() != Some("macloud-pair+jwt") {
        return Err(wrong());
    }
    let claims: ProofClaims = proof.verify(key).map_err(|_| wrong())?;
    let fits = claims.aud == shared.issuer && claims.key == URL_SAFE_NO_PAD.encode(key) && !claims.jti.is_empty();
    if fits { Ok(()) } else { Err(wrong()) }
}

/// Eight of twenty consonants (RFC 8628 section 6.1): no words, no look-alikes, 34 bits.
pub(crate) fn draw_user_code() -> String {
    draw_code(2)
}

/// As people may type it (small letters, blanks, no dash), as it is looked up. `None` when it cannot be a code.
pub(crate) fn normalise_user_code(text: &str) -> Option<String> {
    normalise_code(text, 2)
}

/// So many groups of four letters.
pub(crate) fn draw_code(groups: usize) -> String {
    let letter = |_| char::from(USER_CODE_LETTERS[random::up_to(USER_CODE_LETTERS.len() as u64 - 1) as usize]);
    let groups: Vec<String> = (0..groups).map(|_| (0..4).map(letter).collect()).collect();
    groups.join("-")
}

/// Such a code as people may type it, without its dashes.
pub(crate) fn normalise_code(text: &str, groups: usize) -> Option<String> {
    if text.len() > 64 {
        return None;
    }
    let code: String =
        text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect::<String>().to_ascii_uppercase();
    (code.len() == 4 * groups && code.bytes().all(|b| USER_CODE_LETTERS.contains(&b))).then_some(code)
}

const USER_CODE_LETTERS: &[u8] = b"BCDFGHJKLMNPQRSTVWXZ";
const DEFAULT_NAME: &str = "Home";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn user_codes_are_read_as_people_type_them() {
        let code = draw_user_code();
        assert_eq!((code.len(), code.as_bytes()[4]), (9, b'-'));
        let plain = normalise_user_code(&code).unwrap();
        assert_eq!(normalise_user_code(&format!(" {} ", code.to_lowercase().replace('-', " "))), Some(plain));
        for wrong in ["", "BCDF", "BCDF-GHJA", "BCDF-GHJK-L", &"B".repeat(100)] {
            assert_eq!(normalise_user_code(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_code_or_none(text in "\\PC{0,80}") {
            if let Some(code) = normalise_user_code(&text) {
                prop_assert_eq!(code.len(), 8);
            }
        }
    }
}
