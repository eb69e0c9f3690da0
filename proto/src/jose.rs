//! The part of JOSE that identifies homes and clients: compact JWS (RFC 7515).
//!
//! The algorithm is fixed by the key that the caller verifies with, never by the token (RFC 8725). Everything of our own
//! is Ed25519 (RFC 8037): [`Unverified::parse`] takes `EdDSA`, or `Ed25519` as RFC 9864 calls the same, and nothing else.
//! OAuth clients of other people's make bring other keys: [`Unverified::parse_of_client`] and [`PublicKey`] are for
//! those. Signatures are ring's, their verification ed25519-dalek's and ring's; this module only frames them.

mod public_key;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, SignatureError, Verifier as _, VerifyingKey};
use ring::digest::{SHA256, digest};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde::{Deserialize, Serialize};

pub use self::public_key::PublicKey;

/// The longest compact JWS accepted, in characters. Ours are below 1,200.
pub const MAX_JWS_LEN: usize = 8 * 1024;

/// What `alg` may say: two names of one algorithm. The first is the one that everybody reads, so we sign with it; newer
/// clients write the second (RFC 9864).
pub const ALGORITHMS: [&str; 2] = ["EdDSA", "Ed25519"];

/// Why a JWS is refused. Carries nothing of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoseError {
    /// Not three base64url parts, or too long.
    #[error("not a compact JWS")]
    Malformed,
    /// The header or payload is not the JSON that was expected.
    #[error("the JWS header or payload is not what was expected")]
    Json,
    /// `alg` is not one that is accepted here, or `crit` asks for something unknown.
    #[error("the JWS algorithm is not accepted")]
    Algorithm,
    /// The embedded or named key is not a public key of a kind that is accepted here.
    #[error("the key is not a public key that is accepted")]
    Key,
    /// The signature does not match.
    #[error("the JWS signature does not match")]
    Signature,
}

/// A JOSE header, as far as these rules use it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Header {
    /// `EdDSA` for everything of our own.
    pub alg: String,
    /// What kind of token this is, such as `at+jwt` or `dpop+jwt`; callers compare it (RFC 8725 section 3.11).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typ: Option<String>,
    /// Which key of a set signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The public key itself, in DPoP proofs only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwk: Option<Jwk>,
    /// Critical extensions: none are understood, so any is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crit: Option<serde_json::Value>,
}

/// A public key as a JWK (RFC 7517). Ours are Ed25519 (RFC 8037); those of clients may be of another kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// `OKP` for Ed25519; `EC` or `RSA`.
    pub kty: String,
    /// `Ed25519`; `P-256` of an EC key, nothing of an RSA key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub crv: String,
    /// The 32-byte key in base64url, or the first coordinate of an EC key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub x: String,
    /// The second coordinate of an EC key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// The modulus of an RSA key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// The exponent of an RSA key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    /// Key id, in key sets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// `sig`, in key sets.
    #[serde(rename = "use", default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
    /// `EdDSA`, in key sets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// Whether a private half (`d`) came along. Never kept, never written: such a key belongs to everybody who read it.
    #[serde(rename = "d", default, skip_serializing, deserialize_with = "is_present")]
    pub private: bool,
}

fn is_present<'de, D: serde::Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(value).map(|_| true)
}

impl Jwk {
    /// The JWK of an Ed25519 public key.
    #[must_use]
    pub fn ed25519(public: &[u8; 32]) -> Self {
        Self {
            kty: "OKP".into(),
            crv: "Ed25519".into(),
            x: URL_SAFE_NO_PAD.encode(public),
            y: None,
            n: None,
            e: None,
            kid: None,
            usage: None,
            alg: None,
            private: false,
        }
    }

    /// The raw Ed25519 public key.
    ///
    /// # Errors
    /// [`JoseError::Key`] when this is any other kind of key, or shows its private half (RFC 9449 section 4.3).
    pub fn public_key(&self) -> Result<[u8; 32], JoseError> {
        if self.kty != "OKP" || self.crv != "Ed25519" || self.private {
            return Err(JoseError::Key);
        }
        let bytes = URL_SAFE_NO_PAD.decode(&self.x).map_err(|_| JoseError::Key)?;
        bytes.try_into().map_err(|_| JoseError::Key)
    }
}

/// The JWK thumbprint (RFC 7638) of an Ed25519 public key, in base64url: what `cnf.jkt` holds.
#[must_use]
pub fn thumbprint(public: &[u8; 32]) -> String {
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, URL_SAFE_NO_PAD.encode(public));
    URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes()))
}

/// SHA-256 in base64url, as `ath` (RFC 9449) and PKCE's S256 (RFC 7636) want it.
#[must_use]
pub fn sha256_base64url(text: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, text))
}

/// An Ed25519 key that signs. Its private half is never shown: no `Debug`, no accessor.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: [u8; 32],
}

impl SigningKey {
    /// From a 32-byte seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("any 32 bytes are an Ed25519 seed");
        let public = pair.public_key().as_ref().try_into().expect("an Ed25519 public key has 32 bytes");
        Self { pair, public }
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// Sign raw bytes.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.pair.sign(message).as_ref().try_into().expect("an Ed25519 signature has 64 bytes")
    }

    /// A compact JWS over `claims`. `header.alg` is set here.
    #[must_use]
    pub fn sign_jws(&self, mut header: Header, claims: &impl Serialize) -> String {
        header.alg = ALGORITHMS[0].into();
        let mut jws = encode_json(&header);
        jws.push('.');
        jws.push_str(&encode_json(claims));
        let signature = self.sign(jws.as_bytes());
        jws.push('.');
        jws.push_str(&URL_SAFE_NO_PAD.encode(signature));
        jws
    }
}

fn encode_json(value: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).expect("claims are plain structs, which always serialise"))
}

/// An Ed25519 public key, decoded: whoever verifies much under one key decodes it once.
#[derive(Debug, Clone, Copy)]
pub struct Ed25519Key(VerifyingKey);

impl Ed25519Key {
    /// Decode it.
    ///
    /// # Errors
    /// [`JoseError::Key`] when it is no point of the curve, or one of small order.
    pub fn new(public: &[u8; 32]) -> Result<Self, JoseError> {
        let key = VerifyingKey::from_bytes(public).ok().filter(|key| !key.is_weak());
        key.map(Self).ok_or(JoseError::Key)
    }

    /// Verify raw bytes (RFC 8032). An `R` of small order verifies nothing: with such, one signature fits many messages.
    ///
    /// # Errors
    /// [`JoseError::Signature`].
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), JoseError> {
        let verified = Signature::from_slice(signature).and_then(|signature| {
            self.0.verify(message, &signature)?;
            if is_of_small_order(signature.r_bytes()) { Err(SignatureError::new()) } else { Ok(()) }
        });
        verified.map_err(|_| JoseError::Signature)
    }
}

/// Whether an `R` that has verified is a point of small order. Such an `R` is the one canonical encoding of its point, since it was
/// compared with one that was computed; so it is known by its bytes, and need not be decoded. The last bit is a sign.
fn is_of_small_order(r: &[u8; 32]) -> bool {
    let mut y = *r;
    y[31] &= 0x7f;
    SMALL_ORDER_Y.contains(&y)
}

/// The `y` of the eight points whose order divides 8: those of order 1, 2 and 4, and the two of order 8.
const SMALL_ORDER_Y: [[u8; 32]; 5] = [
    hex32("0100000000000000000000000000000000000000000000000000000000000000"),
    hex32("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    hex32("0000000000000000000000000000000000000000000000000000000000000000"),
    hex32("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    hex32("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
];

const fn hex32(text: &str) -> [u8; 32] {
    let (digits, mut bytes, mut at) = (text.as_bytes(), [0; 32], 0);
    while at < 64 {
        let digit = digits[at];
        bytes[at / 2] = bytes[at / 2] << 4 | if digit < b'a' { digit - b'0' } else { digit - b'a' + 10 };
        at += 1;
    }
    bytes
}

/// Verify raw bytes (RFC 8032) under a key that is used this once. A key or an `R` of small order verifies nothing.
///
/// # Errors
/// [`JoseError::Signature`].
pub fn verify(public: &[u8; 32], message: &[u8], signature: &[u8]) -> Result<(), JoseError> {
    Ed25519Key::new(public).map_err(|_| JoseError::Signature)?.verify(message, signature)
}

/// A compact JWS, split and decoded but NOT yet verified: only its header may be looked at, to find the key.
#[must_use = "an unverified token proves nothing"]
#[derive(Debug)]
pub struct Unverified<'a> {
    header: Header,
    signed: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'a> Unverified<'a> {
    /// Split `jws`.
    ///
    /// # Errors
    /// When it is malformed, too long, or not EdDSA.
    pub fn parse(jws: &'a str) -> Result<Self, JoseError> {
        Self::parse_as(jws, &ALGORITHMS)
    }

    /// Split a `jws` that an OAuth client made: any algorithm of [`PublicKey`].
    ///
    /// # Errors
    /// When it is malformed, too long, or of another algorithm.
    pub fn parse_of_client(jws: &'a str) -> Result<Self, JoseError> {
        Self::parse_as(jws, &PublicKey::ALGORITHMS)
    }

    fn parse_as(jws: &'a str, algorithms: &[&str]) -> Result<Self, JoseError> {
        if jws.len() > MAX_JWS_LEN {
            return Err(JoseError::Malformed);
        }
        let (signed, signature) = jws.rsplit_once('.').ok_or(JoseError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(JoseError::Malformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| JoseError::Malformed);
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| JoseError::Json)?;
        if !algorithms.contains(&header.alg.as_str()) || header.crit.is_some() {
            return Err(JoseError::Algorithm);
        }
        Ok(Self { header, signed, payload: decode(payload)?, signature: decode(signature)? })
    }

    /// The header, to choose a key by.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The claims, unverified: to choose a key by, as `iss` of a client assertion does, or to
    /// refuse what is not worth a verification.
    ///
    /// # Errors
    /// [`JoseError::Json`].
    pub fn peek<T: for<'de> Deserialize<'de>>(&self) -> Result<T, JoseError> {
        serde_json::from_slice(&self.payload).map_err(|_| JoseError::Json)
    }

    /// Verify under `public` and hand out the claims.
    ///
    /// # Errors
    /// [`JoseError::Signature`], or [`JoseError::Json`] when the payload is not `T`.
    pub fn verify<T: for<'de> Deserialize<'de>>(self, public: &[u8; 32]) -> Result<T, JoseError> {
        self.verify_of_client(&PublicKey::Ed25519(*public))
    }

    /// Verify under a key that was decoded before, and hand out the claims.
    ///
    /// # Errors
    /// [`JoseError::Algorithm`] when the token names another algorithm than EdDSA, [`JoseError::Signature`], or [`JoseError::Json`]
    /// when the payload is not `T`.
    pub fn verify_with<T: for<'de> Deserialize<'de>>(&self, key: &Ed25519Key) -> Result<T, JoseError> {
        if !ALGORITHMS.contains(&self.header.alg.as_str()) {
            return Err(JoseError::Algorithm);
        }
        key.verify(self.signed.as_bytes(), &self.signature)?;
        self.peek()
    }

    /// Verify under a client's key and hand out the claims.
    ///
    /// # Errors
    /// [`JoseError::Algorithm`] when the token names another algorithm than the key's, [`JoseError::Signature`], or
    /// [`JoseError::Json`] when the payload is not `T`.
    pub fn verify_of_client<T: for<'de> Deserialize<'de>>(&self, key: &PublicKey) -> Result<T, JoseError> {
        self.verify_signature(key)?;
        self.peek()
    }

    /// Verify under a client's key, where the claims were [peeked](Self::peek) at before.
    ///
    /// # Errors
    /// [`JoseError::Algorithm`] when the token names another algorithm than the key's, or [`JoseError::Signature`].
    pub fn verify_signature(&self, key: &PublicKey) -> Result<(), JoseError> {
        if !key.accepts(&self.header.alg) {
            return Err(JoseError::Algorithm);
        }
        key.verify(self.signed.as_bytes(), &self.signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Claims {
        sub: String,
    }

    fn signed() -> (SigningKey, String) {
        let key = SigningKey::from_seed(&[3; 32]);
        let jws = key.sign_jws(Header { typ: Some("at+jwt".into()), ..Header::default() }, &Claims { sub: "x".into() });
        (key, jws)
    }

    #[test]
    fn what_was_signed_verifies() {
        let (key, jws) = signed();
        let claims: Claims = Unverified::parse(&jws).unwrap().verify(key.public()).unwrap();
        assert_eq!(claims, Claims { sub: "x".into() });
    }

    #[test]
    fn the_newer_name_of_the_algorithm_is_as_good() {
        let key = SigningKey::from_seed(&[3; 32]);
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"Ed25519"}"#);
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(r#"{"sub":"x"}"#));
        let jws = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes())));
        let claims: Claims = Unverified::parse(&jws).unwrap().verify(key.public()).unwrap();
        assert_eq!(claims, Claims { sub: "x".into() });
    }

    #[test]
    fn every_changed_character_is_refused() {
        let (key, jws) = signed();
        for at in 0..jws.len() {
            let mut changed = jws.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            let verdict = Unverified::parse(&changed).and_then(|t| t.verify::<Claims>(key.public()));
            assert!(verdict.is_err(), "a change at {at} went unnoticed");
        }
    }

    #[test]
    fn other_algorithms_are_refused_before_any_key_is_used() {
        for alg in ["none", "HS256", "ES256", "eddsa", "Ed448", "ed25519"] {
            let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{alg}"}}"#));
            assert_eq!(Unverified::parse(&format!("{header}.e30.AA")).unwrap_err(), JoseError::Algorithm);
        }
    }

    /// A key with a part of order 8, and for each point of small order a text and the rest of a signature whose `R` is that point. They
    /// satisfy the equation of RFC 8032, and were computed from it with Python's integers.
    const OF_SMALL_ORDER: [(&str, &str, &str); 8] = [
        (
            "whatever 17",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "f7dbf29e65734eecfd7562d6efe68a342671c9312c5a6f8e5a9bbeeec3f0ca05",
        ),
        (
            "whatever 2",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "a34b20239ce8cb9463021dbd78fda89e9002e7c127e41413e441ec3c4d11a00d",
        ),
        (
            "whatever 4",
            "0000000000000000000000000000000000000000000000000000000000000080",
            "bfc713bdb30cacc9a9bd273389b8f17b727d4e35d41fb6dd9385aab2001ca604",
        ),
        (
            "whatever 0",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "034013bb89cbd8a6dffbb1b6621af9bf850244aca7c279707a1c5f1d368dbe00",
        ),
        (
            "whatever 8",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "d34abc64689c32da313e7fe131af0dc95f5da750144fbfa44c7d2abed33a6001",
        ),
        (
            "whatever 3",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
            "bdcf1e8611bad7636f84d56d354bd018d17a8cacc1a07e6f0ee9f2152e46ca0b",
        ),
        (
            "whatever 12",
            "0000000000000000000000000000000000000000000000000000000000000000",
            "b69b0134a829d1f6a7fc95758ecfd3826395d79f5f39742550a777e9f3ff520f",
        ),
        (
            "whatever 3",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
            "944df5faa3280f29050d0aa89fb865a5b93636cd3d65fcd6d1593a02fded2402",
        ),
    ];

    #[test]
    fn an_r_of_small_order_verifies_nothing() {
        let public = hex32("801815e70ffa607a3956a51f94ba587a587e203b36255974040c54d591c90949");
        let key = VerifyingKey::from_bytes(&public).unwrap();
        assert!(!key.is_weak());
        for (text, r, s) in OF_SMALL_ORDER {
            let signature = [hex32(r), hex32(s)].concat();
            let decoded = Signature::from_slice(&signature).unwrap();
            assert!(key.verify(text.as_bytes(), &decoded).is_ok(), "the equation holds: {r}");
            assert!(key.verify_strict(text.as_bytes(), &decoded).is_err());
            assert_eq!(verify(&public, text.as_bytes(), &signature), Err(JoseError::Signature), "{r}");
        }
    }

    #[test]
    fn a_key_of_small_order_is_none() {
        for (_, point, _) in OF_SMALL_ORDER {
            assert_eq!(Ed25519Key::new(&hex32(point)).map(|_| ()), Err(JoseError::Key), "{point}");
        }
    }

    #[test]
    fn thumbprint_matches_rfc_8037_appendix_a3() {
        let public = URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        let public: [u8; 32] = public.try_into().unwrap();
        assert_eq!(thumbprint(&public), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
