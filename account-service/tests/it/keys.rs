//! Keys of clients: what signs assertions and proofs.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use macloud_proto::jose::{Header, Jwk, SigningKey, sha256_base64url};
use macloud_service_kit::random;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::harness::unique;

/// A key pair of either kind that clients have.
pub enum ClientKey {
    Ed25519(SigningKey),
    P256(EcdsaKeyPair),
}

impl ClientKey {
    pub fn ed25519() -> Self {
        Self::Ed25519(SigningKey::from_seed(&random::bytes()))
    }

    pub fn p256() -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self::P256(EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap())
    }

    pub fn jwk(&self) -> Value {
        match self {
            Self::Ed25519(key) => json!(Jwk::ed25519(key.public())),
            Self::P256(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
                json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y })
            }
        }
    }

    pub fn thumbprint(&self) -> String {
        let jwk = self.jwk();
        let text = |name: &str| jwk[name].as_str().unwrap();
        let canonical = match self {
            Self::Ed25519(_) => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, text("x")),
            Self::P256(_) => format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, text("x"), text("y")),
        };
        sha256_base64url(canonical.as_bytes())
    }

    /// A JWS with this header (without `alg`) and these claims.
    pub fn sign(&self, mut header: Value, claims: &Value) -> String {
        match self {
            Self::Ed25519(key) => {
                key.sign_jws(serde_json::from_value::<Header>(with_alg(header, "EdDSA")).unwrap(), claims)
            }
            Self::P256(pair) => {
                header = with_alg(header, "ES256");
                let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
                let signed = format!("{}.{}", encode(&header), encode(claims));
                let signature = pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
                format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
            }
        }
    }

    /// A DPoP proof.
    pub fn prove(&self, method: &str, url: &str, nonce: Option<&str>, access_token: Option<&str>) -> String {
        let mut claims = json!({ "jti": unique(), "htm": method, "htu": url, "iat": 0 });
        if let Some(nonce) = nonce {
            claims["nonce"] = nonce.into();
        }
        if let Some(token) = access_token {
            claims["ath"] = sha256_base64url(token.as_bytes()).into();
        }
        self.sign(json!({ "typ": "dpop+jwt", "jwk": self.jwk() }), &claims)
    }
}

fn with_alg(mut header: Value, alg: &str) -> Value {
    header["alg"] = alg.into();
    header
}
