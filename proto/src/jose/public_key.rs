//! Public keys that OAuth clients bring: Ed25519, P-256 and RSA. Each fixes the one algorithm it is used with.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};

use super::{JoseError, Jwk};

/// A client's public key, and with it the algorithm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// `EdDSA`.
    Ed25519([u8; 32]),
    /// `ES256`: the two coordinates of the point.
    P256 {
        /// The first.
        x: [u8; 32],
        /// The second.
        y: [u8; 32],
    },
    /// `RS256`: modulus and exponent, big-endian and without leading zeros.
    Rsa {
        /// The modulus, 2048 to 8192 bits.
        n: Vec<u8>,
        /// The exponent.
        e: Vec<u8>,
    },
}

impl PublicKey {
    /// Every algorithm there is a key for.
    pub const ALGORITHMS: [&'static str; 4] = ["ES256", "EdDSA", "Ed25519", "RS256"];

    /// From a JWK.
    ///
    /// # Errors
    /// [`JoseError::Key`] when it is of another kind, malformed, too short or too long, says another algorithm or use than
    /// ours, or shows its private half.
    pub fn from_jwk(jwk: &Jwk) -> Result<Self, JoseError> {
        if jwk.private || jwk.usage.as_ref().is_some_and(|usage| usage != "sig") {
            return Err(JoseError::Key);
        }
        let key = match (jwk.kty.as_str(), jwk.crv.as_str()) {
            ("OKP", "Ed25519") => Self::Ed25519(jwk.public_key()?),
            ("EC", "P-256") => Self::P256 { x: bytes_of(&jwk.x)?, y: bytes_of(jwk.y.as_deref().unwrap_or_default())? },
            ("RSA", "") => {
                let number = |text: &Option<String>| decode(text.as_deref().unwrap_or_default());
                Self::rsa(number(&jwk.n)?, number(&jwk.e)?)?
            }
            _ => return Err(JoseError::Key),
        };
        if jwk.alg.as_deref().is_some_and(|alg| !key.accepts(alg)) {
            return Err(JoseError::Key);
        }
        Ok(key)
    }

    fn rsa(n: Vec<u8>, e: Vec<u8>) -> Result<Self, JoseError> {
        let well_formed = (256..=1024).contains(&n.len())
            && n.first().is_some_and(|first| *first >= 0x80)
            && (1..=8).contains(&e.len())
            && e.first().is_some_and(|first| *first != 0);
        if well_formed { Ok(Self::Rsa { n, e }) } else { Err(JoseError::Key) }
    }

    /// The one algorithm that this key is used with.
    #[must_use]
    pub const fn algorithm(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "EdDSA",
            Self::P256 { .. } => "ES256",
            Self::Rsa { .. } => "RS256",
        }
    }

    /// Whether a token may name its algorithm so. RFC 9864 gives EdDSA with Ed25519 a second name.
    #[must_use]
    pub fn accepts(&self, alg: &str) -> bool {
        alg == self.algorithm() || matches!(self, Self::Ed25519(_)) && super::ALGORITHMS.contains(&alg)
    }

    /// The JWK thumbprint (RFC 7638) in base64url.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let canonical = match self {
            Self::Ed25519(x) => return super::thumbprint(x),
            Self::P256 { x, y } => format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, text(x), text(y)),
            Self::Rsa { n, e } => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, text(e), text(n)),
        };
        text(digest(&SHA256, canonical.as_bytes()).as_ref())
    }

    /// Verify raw bytes. A point that is not on the curve verifies nothing.
    ///
    /// # Errors
    /// [`JoseError::Signature`].
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), JoseError> {
        let outcome = match self {
            Self::Ed25519(key) => return super::verify(key, message, signature),
            Self::P256 { x, y } => {
                let point = [&[4], x.as_slice(), y.as_slice()].concat();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            Self::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
        };
        outcome.map_err(|_| JoseError::Signature)
    }
}

fn decode(text: &str) -> Result<Vec<u8>, JoseError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| JoseError::Key)
}

fn bytes_of<const N: usize>(text: &str) -> Result<[u8; N], JoseError> {
    decode(text)?.try_into().map_err(|_| JoseError::Key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::jose::Unverified;

    fn key(jwk: &Value) -> Result<PublicKey, JoseError> {
        PublicKey::from_jwk(&serde_json::from_value(jwk.clone()).map_err(|_| JoseError::Json)?)
    }

    /// RFC 7515 appendix A.3.
    fn rfc_7515_es256() -> (Value, String) {
        let jwk = json!({
            "kty": "EC", "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        });
        let jws = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        (jwk, jws.into())
    }

    /// RFC 7515 appendix A.2.
    fn rfc_7515_rs256() -> (Value, String) {
        let jwk = json!({
            "kty": "RSA", "e": "AQAB",
            "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
        });
        let jws = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
        (jwk, jws.into())
    }

    #[test]
    fn published_examples_verify_and_changed_ones_do_not() {
        for (jwk, jws) in [rfc_7515_es256(), rfc_7515_rs256()] {
            let key = key(&jwk).unwrap();
            let claims: Value = Unverified::parse_of_client(&jws).unwrap().verify_of_client(&key).unwrap();
            assert_eq!(claims["iss"], "joe");
            assert_eq!(Unverified::parse(&jws).unwrap_err(), JoseError::Algorithm, "what is ours is Ed25519");
            let changed = jws.replacen("pc3M", "pc3N", 1);
            let verdict = Unverified::parse_of_client(&changed).unwrap().verify_of_client::<Value>(&key);
            assert_eq!(verdict.unwrap_err(), JoseError::Signature);
        }
        let (es256, _) = rfc_7515_es256();
        let (_, rs256) = rfc_7515_rs256();
        let verdict = Unverified::parse_of_client(&rs256).unwrap().verify_of_client::<Value>(&key(&es256).unwrap());
        assert_eq!(verdict.unwrap_err(), JoseError::Algorithm, "the key says which algorithm");
    }

    #[test]
    fn thumbprint_matches_rfc_7638_section_3_1() {
        let jwk = json!({
            "kty": "RSA", "e": "AQAB", "alg": "RS256",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        });
        assert_eq!(key(&jwk).unwrap().thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn what_is_no_key_for_us_is_refused() {
        let (es256, _) = rfc_7515_es256();
        let (rs256, _) = rfc_7515_rs256();
        let with = |jwk: &Value, name: &str, value: &str| {
            let mut jwk = jwk.clone();
            jwk[name] = value.into();
            key(&jwk)
        };
        assert!(key(&es256).is_ok() && key(&rs256).is_ok());
        for (name, value) in [
            ("crv", "P-384"),
            ("kty", "RSA"),
            ("y", "AA"),
            ("d", "AA"),
            ("use", "enc"),
            ("alg", "RS256"),
            ("alg", "none"),
        ] {
            assert_eq!(with(&es256, name, value), Err(JoseError::Key), "{name}={value}");
        }
        for (name, value) in [("n", "AQAB"), ("n", ""), ("e", ""), ("e", "AAEAAQ"), ("d", "AA"), ("alg", "HS256")] {
            assert_eq!(with(&rs256, name, value), Err(JoseError::Key), "{name}={value}");
        }
    }

    #[test]
    fn a_point_beside_the_curve_verifies_nothing() {
        let (mut jwk, jws) = rfc_7515_es256();
        jwk["y"] = URL_SAFE_NO_PAD.encode([7; 32]).into();
        let verdict = Unverified::parse_of_client(&jws).unwrap().verify_of_client::<Value>(&key(&jwk).unwrap());
        assert_eq!(verdict.unwrap_err(), JoseError::Signature);
    }

    proptest! {
        #[test]
        fn any_jwk_is_a_key_or_none(
            kty in prop::sample::select(&["EC", "OKP", "RSA", "oct", ""][..]),
            crv in prop::sample::select(&["P-256", "Ed25519", "", "x"][..]),
            x in prop::collection::vec(any::<u8>(), 0..40), y in prop::collection::vec(any::<u8>(), 30..34),
            n in prop::collection::vec(any::<u8>(), 250..260), message in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            let jwk = json!({ "kty": kty, "crv": crv, "x": text(&x), "y": text(&y), "n": text(&n), "e": "AQAB" });
            if let Ok(key) = key(&jwk) {
                prop_assert_eq!(key.thumbprint().len(), 43);
                prop_assert!(key.verify(&message, &y).is_err());
                prop_assert!(key.verify(&message, &[0; 64]).is_err() || matches!(key, PublicKey::Ed25519(_)));
            }
        }
    }
}
