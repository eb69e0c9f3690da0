//! Proof of possession by DPoP (RFC 9449): a signed statement "I, the holder of this key, make this request now".
//!
//! "Now" is proved by a nonce that the server handed out, not by the prover's clock: a home whose clock is wrong by
//! years still gets in, and a recorded proof is useless once its nonce has aged out. `iat` is therefore not judged.
//!
//! Homes prove with Ed25519 ([`verify`]); OAuth clients may also bring a P-256 key ([`verify_of_client`]).

use serde::{Deserialize, Serialize};

use crate::jose::{Header, JoseError, Jwk, PublicKey, SigningKey, Unverified, sha256_base64url};

/// The claims of a proof.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
}

/// What a proof is made for, and what the verifier compares it with.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The URL without query and fragment.
    pub url: &'a str,
    /// The access token presented beside the proof, if any.
    pub access_token: Option<&'a str>,
}

/// Make a proof. `jti` is random text from the caller (at least 96 bits), `now` is seconds since 1970 by any clock.
#[must_use]
pub fn prove(key: &SigningKey, request: Request<'_>, nonce: Option<&str>, jti: &str, now: u64) -> String {
    let header = Header { typ: Some("dpop+jwt".into()), jwk: Some(Jwk::ed25519(key.public())), ..Header::default() };
    let claims = Claims {
        jti: jti.into(),
        htm: request.method.into(),
        htu: request.url.into(),
        iat: now,
        nonce: nonce.map(Into::into),
        ath: request.access_token.map(|token| sha256_base64url(token.as_bytes())),
    };
    key.sign_jws(header, &claims)
}

/// Why a proof is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DpopError {
    /// Not a proof at all, or its signature is wrong.
    #[error("the DPoP proof is invalid: {0}")]
    Jose(#[from] JoseError),
    /// `typ` is not `dpop+jwt`, or no key is embedded.
    #[error("the DPoP proof lacks typ dpop+jwt or its jwk")]
    Header,
    /// Made for another method or URL.
    #[error("the DPoP proof was made for another method or URL")]
    Request,
    /// Made for another access token, or for none.
    #[error("the DPoP proof was made for another access token")]
    AccessToken,
    /// No nonce, or not one that the server accepts now: answer `use_dpop_nonce` with a fresh one.
    #[error("the DPoP proof needs a current nonce")]
    Nonce,
    /// `jti` is empty or over 128 characters.
    #[error("the DPoP proof's jti is empty or too long")]
    Jti,
}

/// A proof that holds. `K` is the kind of key that was accepted.
#[derive(Debug, Clone)]
pub struct Proof<K = [u8; 32]> {
    /// The prover's public key.
    pub key: K,
    /// Its thumbprint, to compare with `cnf.jkt`.
    pub thumbprint: String,
    /// The proof's id. The verifier refuses a second use for as long as its nonce is accepted.
    pub jti: String,
}

/// A home's proof that was read and NOT verified: only its nonce may be looked at, since a stale one is cheaper to find than a wrong
/// signature.
#[must_use = "an unverified proof proves nothing"]
#[derive(Debug)]
pub struct UnverifiedProof<'a> {
    token: Unverified<'a>,
    claims: Claims,
}

impl<'a> UnverifiedProof<'a> {
    /// Read it.
    ///
    /// # Errors
    /// [`DpopError::Jose`] when it is not a JWS signed with Ed25519, or its claims are not those of a proof; [`DpopError::Header`] when it
    /// does not say that it is one.
    pub fn parse(proof: &'a str) -> Result<Self, DpopError> {
        let token = Unverified::parse(proof)?;
        let claims = claims_of(&token)?;
        Ok(Self { token, claims })
    }

    /// For which nonce it was made, if for any.
    #[must_use]
    pub fn nonce(&self) -> Option<&str> {
        self.claims.nonce.as_deref()
    }

    /// Check it against the request it came with. `nonce_is_current` says whether a nonce is one the server accepts now.
    ///
    /// # Errors
    /// The first rule of RFC 9449 section 4.3 that does not hold.
    pub fn verify(
        &self,
        request: Request<'_>,
        nonce_is_current: impl FnOnce(&str) -> bool,
    ) -> Result<Proof, DpopError> {
        let proof = check(&self.token, self.claims.clone(), request, nonce_is_current)?;
        match proof.key {
            PublicKey::Ed25519(key) => Ok(Proof { key, thumbprint: proof.thumbprint, jti: proof.jti }),
            PublicKey::P256 { .. } | PublicKey::Rsa { .. } => Err(JoseError::Key.into()),
        }
    }
}

/// Read a home's proof and check it: see [`UnverifiedProof::verify`].
///
/// # Errors
/// The first rule of RFC 9449 section 4.3 that does not hold.
pub fn verify(
    proof: &str,
    request: Request<'_>,
    nonce_is_current: impl FnOnce(&str) -> bool,
) -> Result<Proof, DpopError> {
    UnverifiedProof::parse(proof)?.verify(request, nonce_is_current)
}

/// The same for a proof that an OAuth client made: also with ES256, which is what most libraries have.
///
/// # Errors
/// The first rule of RFC 9449 section 4.3 that does not hold.
pub fn verify_of_client(
    proof: &str,
    request: Request<'_>,
    nonce_is_current: impl FnOnce(&str) -> bool,
) -> Result<Proof<PublicKey>, DpopError> {
    let token = Unverified::parse_of_client(proof)?;
    if !CLIENT_ALGORITHMS.contains(&token.header().alg.as_str()) {
        return Err(JoseError::Algorithm.into());
    }
    check(&token, claims_of(&token)?, request, nonce_is_current)
}

/// What clients may prove with. Not RSA: its keys and proofs are long, and come with every request.
pub const CLIENT_ALGORITHMS: [&str; 3] = ["ES256", "EdDSA", "Ed25519"];

/// Unverified.
fn claims_of(token: &Unverified<'_>) -> Result<Claims, DpopError> {
    if token.header().typ.as_deref() != Some("dpop+jwt") {
        return Err(DpopError::Header);
    }
    Ok(token.peek()?)
}

fn check(
    token: &Unverified<'_>,
    claims: Claims,
    request: Request<'_>,
    nonce_is_current: impl FnOnce(&str) -> bool,
) -> Result<Proof<PublicKey>, DpopError> {
    let key = PublicKey::from_jwk(token.header().jwk.as_ref().ok_or(DpopError::Header)?)?;
    token.verify_signature(&key)?;
    if claims.htm != request.method || without_query(&claims.htu) != without_query(request.url) {
        return Err(DpopError::Request);
    }
    if claims.ath != request.access_token.map(|token| sha256_base64url(token.as_bytes())) {
        return Err(DpopError::AccessToken);
    }
    if claims.jti.is_empty() || claims.jti.len() > 128 {
        return Err(DpopError::Jti);
    }
    match &claims.nonce {
        Some(nonce) if nonce_is_current(nonce) => {}
        _ => return Err(DpopError::Nonce),
    }
    Ok(Proof { thumbprint: key.thumbprint(), key, jti: claims.jti })
}

fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

    use super::*;
    use crate::jose::thumbprint;

    const URL: &str = "https://relay.example/relay/v1/connect";
    const REQUEST: Request<'_> = Request { method: "GET", url: URL, access_token: Some("token") };

    fn proof_for(request: Request<'_>, nonce: Option<&str>) -> String {
        prove(&SigningKey::from_seed(&[5; 32]), request, nonce, "jti-1", 1_700_000_000)
    }

    #[test]
    fn a_fresh_proof_holds() {
        let proof = verify(&proof_for(REQUEST, Some("n")), REQUEST, |nonce| nonce == "n").unwrap();
        assert_eq!(proof.thumbprint, thumbprint(SigningKey::from_seed(&[5; 32]).public()));
    }

    #[test]
    fn each_bound_value_is_checked() {
        let made = proof_for(REQUEST, Some("n"));
        let accept = |_: &str| true;
        let other = |request| verify(&made, request, accept).unwrap_err();
        assert_eq!(other(Request { method: "POST", ..REQUEST }), DpopError::Request);
        assert_eq!(other(Request { url: "https://evil.example/relay/v1/connect", ..REQUEST }), DpopError::Request);
        assert_eq!(other(Request { access_token: Some("stolen"), ..REQUEST }), DpopError::AccessToken);
        assert_eq!(other(Request { access_token: None, ..REQUEST }), DpopError::AccessToken);
        assert_eq!(verify(&made, REQUEST, |_| false).unwrap_err(), DpopError::Nonce);
        assert_eq!(verify(&proof_for(REQUEST, None), REQUEST, accept).unwrap_err(), DpopError::Nonce);
    }

    #[test]
    fn a_key_that_shows_its_private_half_proves_nothing() {
        let made = proof_for(REQUEST, Some("n"));
        let (header, rest) = made.split_once('.').unwrap();
        let decoded = URL_SAFE_NO_PAD.decode(header).unwrap();
        let mut header: serde_json::Value = serde_json::from_slice(&decoded).unwrap();
        let (claims, _) = rest.split_once('.').unwrap();
        for private in ["BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU", ""] {
            header["jwk"]["d"] = private.into();
            let signed = format!("{}.{claims}", URL_SAFE_NO_PAD.encode(header.to_string()));
            let signature = SigningKey::from_seed(&[5; 32]).sign(signed.as_bytes());
            let proof = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
            assert_eq!(verify(&proof, REQUEST, |_| true).unwrap_err(), DpopError::Jose(JoseError::Key));
        }
    }

    #[test]
    fn clients_may_prove_with_p256_and_homes_may_not() {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &SystemRandom::new())
            .unwrap();
        let point = pair.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        let header = serde_json::json!({
            "typ": "dpop+jwt", "alg": "ES256", "jwk": { "kty": "EC", "crv": "P-256", "x": x, "y": y },
        });
        let claims = serde_json::json!({
            "jti": "a", "htm": "GET", "htu": URL, "iat": 1, "nonce": "n", "ath": sha256_base64url(b"token"),
        });
        let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        let made = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
        let proof = verify_of_client(&made, REQUEST, |nonce| nonce == "n").unwrap();
        assert_eq!(proof.thumbprint, proof.key.thumbprint());
        assert_eq!(verify(&made, REQUEST, |_| true).unwrap_err(), DpopError::Jose(JoseError::Algorithm));
        // The key says which algorithm, not the token.
        let mut lying = header.clone();
        lying["alg"] = "EdDSA".into();
        let signed = format!("{}.{}", encode(&lying), encode(&claims));
        let signature = pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        let made = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
        assert_eq!(verify_of_client(&made, REQUEST, |_| true).unwrap_err(), DpopError::Jose(JoseError::Algorithm));
        assert!(verify_of_client(&proof_for(REQUEST, Some("n")), REQUEST, |_| true).is_ok(), "Ed25519 too");
    }

    #[test]
    fn an_access_token_is_not_a_proof() {
        let key = SigningKey::from_seed(&[5; 32]);
        let jws = key.sign_jws(Header { typ: Some("at+jwt".into()), ..Header::default() }, &serde_json::json!({}));
        assert_eq!(verify(&jws, REQUEST, |_| true).unwrap_err(), DpopError::Header);
    }
}
