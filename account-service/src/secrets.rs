//! Random secrets that this service hands out and keeps only as hashes, and the keys that stand behind keyed hashes.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use macloud_proto::ids::GrantId;
use macloud_proto::secret_form::{ACCESS_TOKEN_PREFIX, is_well_formed};
use macloud_service_kit::clock::SharedClock;
use macloud_service_kit::random;
use ring::digest::{SHA256, digest};
use ring::hmac;

use crate::key_ring::{KeyFileError, KeyRing};
use crate::store::{Db, StoreError, sealed};

/// What a secret is for: the visible prefix, by which people and secret scanners recognise it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Access,
    Refresh,
    Code,
    Device,
    Client,
    PushedRequest,
    /// What a way to another provider is known by (`state`).
    Trip,
    /// What a home asks with whether its owner is back from its Home Assistant.
    HomeTicket,
    /// What a page that asked for a code by mail knows it by.
    MailTicket,
    Cookie,
    /// An access token of a client in its own name.
    Operator,
}

impl Kind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Access => ACCESS_TOKEN_PREFIX,
            Self::Refresh => "mcr_",
            Self::Code => "mcc_",
            Self::Device => "mcd_",
            Self::Client => "mcs_",
            // The form that RFC 9126 gives it.
            Self::PushedRequest => "urn:ietf:params:oauth:request_uri:",
            Self::Trip => "mst_",
            Self::HomeTicket => "mch_",
            Self::MailTicket => "mct_",
            Self::Cookie => "",
            Self::Operator => "mco_",
        }
    }
}

/// A secret of 256 random bits as text. Shown to whom it was made for, never logged.
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(kind: Kind) -> Self {
        let random: [u8; 32] = random::bytes();
        Self(format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(random)))
    }

    /// A cookie's value as a browser sent it, if we could have made it.
    pub(crate) fn parse_cookie(text: &str) -> Option<Self> {
        lookup_hash(Kind::Cookie, text).map(|_| Self(text.to_owned()))
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        hash(&self.0)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The hash to look `text` up by, if it has the form of a secret of this kind. Nothing else reaches the database.
pub(crate) fn lookup_hash(kind: Kind, text: &str) -> Option<[u8; 32]> {
    let is_one = is_well_formed(kind.prefix(), text) || kind == Kind::Refresh && proof_bytes(text).is_some();
    is_one.then(|| hash(text))
}

/// What a refresh token says of itself, under our seal: a database that was restored, and does not know it, can still tell
/// that it was given out. It decides nothing while the database knows the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefreshProof {
    /// The grant that it belongs to.
    pub(crate) grant: GrantId,
    /// When it was issued, in seconds since 1970.
    pub(crate) issued_at: i64,
}

/// A refresh token's bytes: random ones as in every secret, the grant, the time, and the seal on all of it.
type ProofBytes = [u8; 32 + GrantId::LEN + 8 + SEAL_LEN];

const SEAL_LEN: usize = 16;

fn proof_bytes(text: &str) -> Option<ProofBytes> {
    let text = text.strip_prefix(Kind::Refresh.prefix())?;
    // Before decoding: its length is a stranger's choice.
    (text.len() == size_of::<ProofBytes>().div_ceil(3) * 4 - 2).then_some(())?;
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// SHA-256. Enough for 256 random bits: there is nothing to guess.
pub(crate) fn hash(text: &str) -> [u8; 32] {
    digest(&SHA256, text.as_bytes()).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// The keys of the key file, and those for keyed hashes that they guard. No `Debug`.
pub(crate) struct MasterKeys {
    ring: KeyRing,
    form: hmac::Key,
    user_code: hmac::Key,
    nonce: hmac::Key,
    refresh: hmac::Key,
}

impl MasterKeys {
    /// Read the key file, or make it when there is none.
    pub(crate) fn load_or_create(path: &Path, clock: SharedClock) -> Result<Self, KeyFileError> {
        Ok(Self::with(KeyRing::load_or_create(path, clock)?))
    }

    fn with(ring: KeyRing) -> Self {
        let mac = |label| hmac::Key::new(hmac::HMAC_SHA256, &ring.derive(label));
        let (form, user_code, nonce, refresh) = (mac(b"form"), mac(b"user-code"), mac(b"nonce"), mac(b"refresh"));
        Self { form, user_code, nonce, refresh, ring }
    }

    /// Take the keys for hashes from the database, where they are the same for every process and outlive the keys of the
    /// file. The first process puts there what the first key gave. Whether they open.
    pub(crate) async fn share(&mut self, db: &Db) -> Result<bool, StoreError> {
        let labels: [(&str, &[u8]); 4] =
            [("form", b"form"), ("user_code", b"user-code"), ("nonce", b"nonce"), ("refresh", b"refresh")];
        for (name, label) in labels {
            let place = format!("hash_keys/{name}");
            let fresh = self.ring.seal(&place, &self.ring.derive(label));
            let sealed = sealed::hash_key(db, name, &fresh).await?;
            let Some(key) = self.ring.open(&place, &sealed) else { return Ok(false) };
            let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
            match name {
                "form" => self.form = key,
                "user_code" => self.user_code = key,
                "refresh" => self.refresh = key,
                _ => self.nonce = key,
            }
        }
        Ok(true)
    }

    /// The keys of the file.
    pub(crate) const fn ring(&self) -> &KeyRing {
        &self.ring
    }

    /// Encrypt for the database; `place` says where it is kept, so that it cannot be moved elsewhere.
    pub(crate) fn seal(&self, place: &str, plain: &[u8]) -> Vec<u8> {
        self.ring.seal(place, plain)
    }

    /// Decrypt what [`Self::seal`] gave; `None` when it was made with another key file, or for another place.
    pub(crate) fn open(&self, place: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        self.ring.open(place, sealed)
    }

    /// The token that proves a form was served by us to the browser with this cookie.
    pub(crate) fn form_token(&self, cookie: &str, form: &str) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.form, format!("{form}\0{cookie}").as_bytes()))
    }

    /// Whether `token` is that token.
    pub(crate) fn form_token_matches(&self, cookie: &str, form: &str, token: &str) -> bool {
        let Ok(token) = URL_SAFE_NO_PAD.decode(token) else { return false };
        hmac::verify(&self.form, format!("{form}\0{cookie}").as_bytes(), &token).is_ok()
    }

    /// The hash under which a user code is kept: keyed, because 34 bits can be guessed from a plain hash.
    pub(crate) fn user_code_hash(&self, normalised: &str) -> [u8; 32] {
        hmac::sign(&self.user_code, normalised.as_bytes()).as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes")
    }

    /// The hash under which a recovery code of an account is kept.
    pub(crate) fn recovery_code_hash(&self, account: &str, normalised: &str) -> [u8; 32] {
        self.user_code_hash(&format!("recovery\0{account}\0{normalised}"))
    }

    /// The hash under which a mailed code is kept.
    pub(crate) fn mailed_code_hash(&self, purpose: &str, account: &str, normalised: &str) -> [u8; 32] {
        self.user_code_hash(&format!("mailed\0{purpose}\0{account}\0{normalised}"))
    }

    /// The hash under which an invitation's code is kept.
    pub(crate) fn invitation_hash(&self, normalised: &str) -> [u8; 32] {
        self.user_code_hash(&format!("invitation\0{normalised}"))
    }

    /// A refresh token of this grant, issued at `issued_at`.
    pub(crate) fn refresh_token(&self, grant: &GrantId, issued_at: i64) -> Secret {
        let random: [u8; 32] = random::bytes();
        let said = [&random, grant.as_str().as_bytes(), &issued_at.to_be_bytes()].concat();
        let seal = hmac::sign(&self.refresh, &said);
        let sealed = [said.as_slice(), &seal.as_ref()[..SEAL_LEN]].concat();
        Secret(format!("{}{}", Kind::Refresh.prefix(), URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// What a refresh token says of itself, if it is one of ours.
    pub(crate) fn refresh_proof(&self, token: &str) -> Option<RefreshProof> {
        let bytes = proof_bytes(token)?;
        let (said, seal) = bytes.split_last_chunk::<SEAL_LEN>()?;
        let genuine = hmac::sign(&self.refresh, said);
        if !bool::from(subtle::ConstantTimeEq::ct_eq(&genuine.as_ref()[..SEAL_LEN], &seal[..])) {
            return None;
        }
        let (grant, issued_at) = said.get(32..)?.split_last_chunk::<8>()?;
        let grant = std::str::from_utf8(grant).ok()?.parse().ok()?;
        Some(RefreshProof { grant, issued_at: i64::from_be_bytes(*issued_at) })
    }

    /// A DPoP nonce for `now`: the time and a seal on it, so that every node accepts every node's.
    pub(crate) fn dpop_nonce(&self, now: u64) -> String {
        let time = now.to_be_bytes();
        let tag = hmac::sign(&self.nonce, &time);
        URL_SAFE_NO_PAD.encode([&time, &tag.as_ref()[..16]].concat())
    }

    /// Whether `nonce` is ours and at most [`DPOP_NONCE_SECONDS`] old.
    pub(crate) fn dpop_nonce_is_current(&self, nonce: &str, now: u64) -> bool {
        let Some(time) = URL_SAFE_NO_PAD.decode(nonce).ok().and_then(|bytes| bytes.get(..8)?.try_into().ok()) else {
            return false;
        };
        let time = u64::from_be_bytes(time);
        let genuine = subtle::ConstantTimeEq::ct_eq(nonce.as_bytes(), self.dpop_nonce(time).as_bytes());
        // Nodes' clocks may differ a little, so a nonce may also be from the near future.
        bool::from(genuine) && time <= now.saturating_add(60) && now <= time.saturating_add(DPOP_NONCE_SECONDS)
    }
}

/// How long a DPoP nonce is accepted.
pub(crate) const DPOP_NONCE_SECONDS: u64 = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_secrets_are_looked_up() {
        let secret = Secret::new(Kind::Access);
        assert_eq!(lookup_hash(Kind::Access, secret.as_str()), Some(secret.hash()));
        for wrong in ["", "mca_", "mca_short", "mca_\0", &format!("{}x", secret.as_str()), &secret.as_str()[1..]] {
            assert_eq!(lookup_hash(Kind::Access, wrong), None);
        }
        assert_eq!(lookup_hash(Kind::Refresh, secret.as_str()), None);
        assert!(!format!("{secret:?}").contains("mca_"));
    }

    #[test]
    fn a_refresh_token_says_whose_it_is_and_nobody_else_can_say_so() {
        let keys = MasterKeys::with(KeyRing::of_one([1; 32]));
        let grant = GrantId::from_bytes(&[7; 16]);
        let token = keys.refresh_token(&grant, 1_700_000_000).into_string();
        assert_eq!(keys.refresh_proof(&token), Some(RefreshProof { grant: grant.clone(), issued_at: 1_700_000_000 }));
        assert_eq!(lookup_hash(Kind::Refresh, &token), Some(hash(&token)));
        assert_ne!(keys.refresh_token(&grant, 1_700_000_000).into_string(), token);
        assert_eq!(MasterKeys::with(KeyRing::of_one([2; 32])).refresh_proof(&token), None);
        for at in Kind::Refresh.prefix().len()..token.len() - 1 {
            let other = if &token[at..=at] == "A" { "B" } else { "A" };
            let changed = format!("{}{other}{}", &token[..at], &token[at + 1..]);
            assert_eq!(keys.refresh_proof(&changed), None, "{at}");
        }
        for wrong in ["", "mcr_", &token[1..], &format!("{token}A"), &token[..token.len() - 1]] {
            assert_eq!((keys.refresh_proof(wrong), lookup_hash(Kind::Refresh, wrong)), (None, None));
        }
    }

    #[test]
    fn a_nonce_ages_and_cannot_be_made_up() {
        let keys = MasterKeys::with(KeyRing::of_one([1; 32]));
        let nonce = keys.dpop_nonce(1_000);
        assert!(keys.dpop_nonce_is_current(&nonce, 1_000) && keys.dpop_nonce_is_current(&nonce, 1_300));
        assert!(!keys.dpop_nonce_is_current(&nonce, 1_301));
        assert!(!keys.dpop_nonce_is_current(&MasterKeys::with(KeyRing::of_one([2; 32])).dpop_nonce(1_000), 1_000));
        for wrong in ["", "AAAA", "*", &nonce[1..]] {
            assert!(!keys.dpop_nonce_is_current(wrong, 1_000));
        }
    }
}
