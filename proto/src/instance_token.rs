//! The access token with which a home dials a relay: a JWT (RFC 9068) bound to the home's key (RFC 7800 `cnf`, RFC 9449).
//!
//! The relay verifies it with cached public keys and no look-up, before it spends anything on the socket.

use serde::{Deserialize, Serialize};

use crate::ids::InstanceId;
use crate::jose::{Ed25519Key, Header, JoseError, Jwk, SigningKey, Unverified};

/// The audience of instance tokens.
pub const RELAY_AUDIENCE: &str = "urn:macloud:relay";

/// No instance token lives longer than this, in seconds. Relays remember what was revoked for as long as a token may
/// live, so one that lives longer would outlive its own revocation: it is refused, and the issuer does not make it.
pub const MAX_LIFE_SECONDS: u64 = 3600;

/// For this long, in seconds, after something was revoked a token made before may still be within its time: its life, and
/// what the clocks of issuer and relay may differ by, at both of its ends.
pub const REVOCATION_MEMORY_SECONDS: u64 = MAX_LIFE_SECONDS + 2 * LEEWAY_SECONDS;

/// The clocks of issuer and relay may differ by this much, in seconds.
const LEEWAY_SECONDS: u64 = 60;

/// The claims.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    /// The account service's issuer URL.
    pub iss: String,
    /// [`RELAY_AUDIENCE`].
    pub aud: String,
    /// The home.
    pub sub: InstanceId,
    /// The home again: it is its own OAuth client.
    pub client_id: InstanceId,
    /// Issued at, seconds since 1970.
    pub iat: u64,
    /// Expires at, seconds since 1970.
    pub exp: u64,
    /// Unique id.
    pub jti: String,
    /// The key that must be proved beside the token.
    pub cnf: Confirmation,
    /// What the home's plan allows, enforced by the relay.
    pub limits: Limits,
    /// The home's owner has paused it: it may dial in, and nothing is sent to it until it is resumed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
}

/// Key confirmation (RFC 7800).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// JWK thumbprint (RFC 7638) of the home's identity key.
    pub jkt: String,
}

/// Plan limits of a home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Commands that may arrive per minute, averaged; the relay allows a burst of the same size. Reads do not count.
    pub commands_per_minute: u32,
    /// What may arrive in a day. None for no such limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<DayLimit>,
}

/// How many commands a day a plan allows, and how many of today's were used when the token was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayLimit {
    /// Homes with the same text here share the limit: an opaque name of their owner's account.
    pub shared_by: String,
    /// So many a day.
    pub commands: u32,
    /// So many of them were used.
    pub used: u32,
    /// When the day ends that this is about, seconds since 1970. Days are 86400 seconds long.
    pub ends_at: u64,
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InstanceTokenError {
    /// Malformed, unsigned, or signed wrongly.
    #[error("the instance token is invalid: {0}")]
    Jose(#[from] JoseError),
    /// Signed by a key that is not in the set: the caller may refresh the set once and try again.
    #[error("the instance token names an unknown key")]
    UnknownKey,
    /// Another kind of token, for another audience, or by another issuer.
    #[error("the token is not an instance token of this service")]
    NotOurs,
    /// Expired or not yet valid.
    #[error("the instance token has expired")]
    Expired,
    /// Made to live longer than [`MAX_LIFE_SECONDS`].
    #[error("the instance token lives longer than its revocation would be remembered")]
    TooLong,
}

/// Sign `claims`; `kid` names the key in the published set.
#[must_use]
pub fn sign(key: &SigningKey, kid: &str, claims: &Claims) -> String {
    key.sign_jws(Header { typ: Some("at+jwt".into()), kid: Some(kid.into()), ..Header::default() }, claims)
}

/// The keys of a JWK Set (RFC 7517) that can sign instance tokens; others in the set are ignored. They verify every token there is,
/// so they are kept decoded.
#[derive(Debug, Clone, Default)]
pub struct KeySet(Vec<(String, Ed25519Key)>);

#[derive(Deserialize)]
struct RawKeySet {
    keys: Vec<serde_json::Value>,
}

impl KeySet {
    /// Read a JWK Set.
    ///
    /// # Errors
    /// [`JoseError::Json`] when it is not one.
    pub fn parse(jwk_set: &str) -> Result<Self, JoseError> {
        let raw: RawKeySet = serde_json::from_str(jwk_set).map_err(|_| JoseError::Json)?;
        let keys = raw.keys.into_iter().filter_map(|value| {
            let jwk: Jwk = serde_json::from_value(value).ok()?;
            Some((jwk.kid.clone()?, Ed25519Key::new(&jwk.public_key().ok()?).ok()?))
        });
        Ok(Self(keys.collect()))
    }

    fn find(&self, kid: &str) -> Option<&Ed25519Key> {
        self.0.iter().find(|(id, _)| id == kid).map(|(_, key)| key)
    }
}

/// Verify a token at `now` (seconds since 1970).
///
/// # Errors
/// See [`InstanceTokenError`].
pub fn verify(token: &str, keys: &KeySet, issuer: &str, now: u64) -> Result<Claims, InstanceTokenError> {
    let token = Unverified::parse(token)?;
    if token.header().typ.as_deref() != Some("at+jwt") {
        return Err(InstanceTokenError::NotOurs);
    }
    let kid = token.header().kid.as_deref().ok_or(InstanceTokenError::UnknownKey)?;
    let key = keys.find(kid).ok_or(InstanceTokenError::UnknownKey)?;
    let claims: Claims = token.verify_with(key)?;
    if claims.aud != RELAY_AUDIENCE || claims.iss != issuer {
        return Err(InstanceTokenError::NotOurs);
    }
    if claims.exp.saturating_add(LEEWAY_SECONDS) <= now || claims.iat > now.saturating_add(LEEWAY_SECONDS) {
        return Err(InstanceTokenError::Expired);
    }
    if claims.exp.saturating_sub(claims.iat) > MAX_LIFE_SECONDS {
        return Err(InstanceTokenError::TooLong);
    }
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn claims() -> Claims {
        let home = InstanceId::from_bytes(&[9; 16]);
        Claims {
            iss: "https://cloud.example".into(),
            aud: RELAY_AUDIENCE.into(),
            sub: home.clone(),
            client_id: home,
            iat: NOW,
            exp: NOW + 600,
            jti: "j".into(),
            cnf: Confirmation { jkt: "t".into() },
            limits: Limits { commands_per_minute: 120, day: None },
            paused: false,
        }
    }

    fn keys(key: &SigningKey) -> KeySet {
        let mut jwk = Jwk::ed25519(key.public());
        jwk.kid = Some("k1".into());
        let foreign = serde_json::json!({"kty": "RSA", "kid": "r", "n": "AQAB", "e": "AQAB"});
        KeySet::parse(&serde_json::json!({ "keys": [foreign, jwk] }).to_string()).unwrap()
    }

    #[test]
    fn a_good_token_is_accepted_until_it_expires() {
        let key = SigningKey::from_seed(&[1; 32]);
        let token = sign(&key, "k1", &claims());
        let at = |now| verify(&token, &keys(&key), "https://cloud.example", now);
        assert_eq!(at(NOW).unwrap(), claims());
        assert_eq!(at(NOW + 700).unwrap_err(), InstanceTokenError::Expired);
        assert_eq!(at(NOW - 700).unwrap_err(), InstanceTokenError::Expired);
    }

    #[test]
    fn a_token_that_would_outlive_its_revocation_is_refused() {
        let key = SigningKey::from_seed(&[1; 32]);
        let verdict = |exp| {
            let token = sign(&key, "k1", &Claims { exp, ..claims() });
            verify(&token, &keys(&key), "https://cloud.example", NOW)
        };
        assert!(verdict(NOW + MAX_LIFE_SECONDS).is_ok());
        assert_eq!(verdict(NOW + MAX_LIFE_SECONDS + 1).unwrap_err(), InstanceTokenError::TooLong);
        assert_eq!(verdict(u64::MAX).unwrap_err(), InstanceTokenError::TooLong);
    }

    #[test]
    fn foreign_tokens_are_refused() {
        let key = SigningKey::from_seed(&[1; 32]);
        let verdict = |kid: &str, claims: &Claims, issuer: &str| {
            verify(&sign(&key, kid, claims), &keys(&key), issuer, NOW).unwrap_err()
        };
        assert_eq!(verdict("k2", &claims(), "https://cloud.example"), InstanceTokenError::UnknownKey);
        assert_eq!(verdict("k1", &claims(), "https://other.example"), InstanceTokenError::NotOurs);
        let other_audience = Claims { aud: "alexa".into(), ..claims() };
        assert_eq!(verdict("k1", &other_audience, "https://cloud.example"), InstanceTokenError::NotOurs);
        let forged = sign(&SigningKey::from_seed(&[2; 32]), "k1", &claims());
        let refused = verify(&forged, &keys(&key), "https://cloud.example", NOW).unwrap_err();
        assert_eq!(refused, InstanceTokenError::Jose(JoseError::Signature));
    }
}
