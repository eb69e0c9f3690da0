//! The skill's keys, and how a home comes to trust them.
//!
//! An offline root signs *key sets*: the public keys of a skill deployment under a version that only grows. A home pins
//! the root and the first key set at pairing; later sets must come from the same root and never go back. So a stolen
//! skill key is revoked by a new key set, and an old set cannot be played back to bring it in again.
//!
//! A set names keys of two sorts, which are told apart by their ids: Ed25519 keys that sign sessions, and X25519 keys that
//! homes seal events for. A home that knows no events takes the second sort for signing keys that nobody uses.

use std::fmt;

use hpke::kem::X25519HkdfSha256;
use hpke::{Kem, Serializable as _};
use macloud_proto::ids::AccountId;
use macloud_proto::jose::{SigningKey, verify};
use ring::digest::{SHA256, digest};
use ring::hmac::{self, HMAC_SHA256};
use zeroize::Zeroizing;

use crate::envelope::{EnvelopeError, Kind, Reader, SIGNATURE, VERSION};
use crate::vocabulary::DeviceKey;

/// Most keys in a set: the current one, its successor, and room.
pub const MAX_SKILL_KEYS: usize = 16;

/// A skill deployment's signing key, and the key that homes seal events for. Their private halves are never shown.
pub struct SkillSigner {
    key: SigningKey,
    id: [u8; 8],
    events: EventKey,
    devices: hmac::Key,
}

/// The key that homes seal events for. The private half is erased when this is dropped (by `x25519-dalek`).
pub(crate) struct EventKey {
    pub(crate) id: [u8; 8],
    pub(crate) public: [u8; 32],
    /// Boxed: moving a key would leave a copy behind.
    pub(crate) private: Box<<X25519HkdfSha256 as Kem>::PrivateKey>,
}

impl SkillSigner {
    /// From a 32-byte seed, which the caller should erase. Both keys come from it, and their ids from their public halves.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let key = SigningKey::from_seed(seed);
        let id = key_id(b"macloud/skill-key/1\0", key.public());
        let devices = hmac::sign(&hmac::Key::new(HMAC_SHA256, seed), b"macloud/device-keys/1");
        let devices = hmac::Key::new(HMAC_SHA256, devices.as_ref());
        Self { key, id, events: EventKey::from_seed(seed), devices }
    }

    /// What a key set says about this key. `not_after` is in Unix seconds; zero means that it does not end by itself.
    #[must_use]
    pub const fn public_key(&self, not_after: u64) -> SkillPublicKey {
        SkillPublicKey { id: self.id, public: *self.key.public(), not_after }
    }

    /// What a key set says about the key for events, beside [`public_key`](Self::public_key).
    #[must_use]
    pub const fn event_key(&self, not_after: u64) -> SkillPublicKey {
        SkillPublicKey { id: self.events.id, public: self.events.public, not_after }
    }

    /// How homes of `account` know the voice device that its maker calls `name`: the same for as long as this key is used, and
    /// another one for each account. After a new seed, homes learn their devices anew.
    #[must_use]
    pub fn device_key(&self, account: &AccountId, name: &str) -> DeviceKey {
        let of_account = hmac::sign(&self.devices, account.as_str().as_bytes());
        let hash = hmac::sign(&hmac::Key::new(HMAC_SHA256, of_account.as_ref()), name.as_bytes());
        DeviceKey::from_bytes(hash.as_ref()[..16].try_into().expect("SHA-256 has 32 bytes"))
    }

    pub(crate) const fn events(&self) -> &EventKey {
        &self.events
    }

    pub(crate) const fn id(&self) -> [u8; 8] {
        self.id
    }

    pub(crate) const fn public(&self) -> &[u8; 32] {
        self.key.public()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; SIGNATURE] {
        self.key.sign(message)
    }
}

impl EventKey {
    fn from_seed(seed: &[u8; 32]) -> Self {
        let mut material = Zeroizing::new(b"macloud/e2ee/1 event key pair\0".to_vec());
        material.reserve_exact(seed.len());
        material.extend_from_slice(seed);
        let (private, public) = X25519HkdfSha256::derive_keypair(&material);
        let mut bytes = [0; 32];
        public.write_exact(&mut bytes);
        Self { id: event_key_id(&bytes), public: bytes, private: Box::new(private) }
    }
}

fn event_key_id(public: &[u8; 32]) -> [u8; 8] {
    key_id(b"macloud/skill-event-key/1\0", public)
}

fn key_id(label: &[u8], public: &[u8; 32]) -> [u8; 8] {
    let hash = digest(&SHA256, &[label, public].concat());
    hash.as_ref()[..8].try_into().expect("SHA-256 has 32 bytes")
}

impl fmt::Debug for SkillSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SkillSigner").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A skill's public key, as it stands in a key set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkillPublicKey {
    /// Names the key in a session setup, or in an event.
    pub id: [u8; 8],
    /// The Ed25519 public key, or the X25519 one.
    pub public: [u8; 32],
    /// Unix seconds after which it is no longer accepted; zero for no end.
    pub not_after: u64,
}

impl SkillPublicKey {
    /// Whether events are sealed for it: then it signs nothing.
    #[must_use]
    pub fn is_for_events(&self) -> bool {
        self.id == event_key_id(&self.public)
    }

    const fn ended(&self, unix_seconds: u64) -> bool {
        self.not_after != 0 && unix_seconds > self.not_after
    }
}

/// The offline root of a deployment. Needed only when the skill's keys change.
pub struct KeySetRoot(SigningKey);

impl KeySetRoot {
    /// From a 32-byte seed, which the caller should erase.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_seed(seed))
    }

    /// What homes pin.
    #[must_use]
    pub const fn public(&self) -> &[u8; 32] {
        self.0.public()
    }

    /// A key set. Each new one needs a higher `version`, or homes that have seen the old one refuse it.
    ///
    /// # Errors
    /// [`KeySetError::Keys`] when there are none, more than [`MAX_SKILL_KEYS`], or two with one id.
    pub fn sign_key_set(&self, version: u64, keys: &[SkillPublicKey]) -> Result<Vec<u8>, KeySetError> {
        check_keys(keys)?;
        let count = u8::try_from(keys.len()).map_err(|_| KeySetError::Keys)?;
        let mut signed = vec![VERSION, Kind::KeySet as u8];
        signed.extend_from_slice(self.public());
        signed.extend_from_slice(&version.to_be_bytes());
        signed.push(count);
        for key in keys {
            signed.extend_from_slice(&key.id);
            signed.extend_from_slice(&key.public);
            signed.extend_from_slice(&key.not_after.to_be_bytes());
        }
        let signature = self.0.sign(&signature_message(&signed));
        signed.extend_from_slice(&signature);
        Ok(signed)
    }
}

impl fmt::Debug for KeySetRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySetRoot").finish_non_exhaustive()
    }
}

/// Why a key set is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Not a signed key set, or of an unknown version of the format.
    #[error("the key set is not usable: {0}")]
    Envelope(#[from] EnvelopeError),
    /// No keys, too many, or two with one id.
    #[error("the key set holds no keys, too many, or two with one id")]
    Keys,
    /// The signature does not match.
    #[error("the key set is not signed by its root")]
    Signature,
    /// Signed by a root other than the one pinned at pairing: only pairing again may change that.
    #[error("the key set comes from another root than the one pinned at pairing")]
    OtherRoot,
    /// Older than one seen before: somebody may be playing back a set with a revoked key.
    #[error("the key set is older than one seen before")]
    Older,
    /// The same version as the pinned one, with other contents: the root was used wrongly.
    #[error("two different key sets have the same version")]
    Conflict,
}

/// What a home pins: the root, the highest version seen, and its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedKeySet {
    signed: Vec<u8>,
    root: [u8; 32],
    version: u64,
    keys: Vec<SkillPublicKey>,
}

impl PinnedKeySet {
    /// Pin a root by the first key set received from it, at pairing. Nothing but the pairing vouches for it.
    ///
    /// # Errors
    /// When `signed` is not a key set with a matching signature.
    pub fn pin(signed: &[u8]) -> Result<Self, KeySetError> {
        let mut reader = Reader::of_kind(signed, Kind::KeySet)?;
        let (root, version, [count]) = (reader.take()?, reader.take_u64()?, reader.take()?);
        if usize::from(count) > MAX_SKILL_KEYS {
            return Err(KeySetError::Keys);
        }
        let mut keys = Vec::with_capacity(count.into());
        for _ in 0..count {
            keys.push(SkillPublicKey { id: reader.take()?, public: reader.take()?, not_after: reader.take_u64()? });
        }
        let signature: [u8; SIGNATURE] = reader.take()?;
        reader.end()?;
        check_keys(&keys)?;
        let message = signature_message(&signed[..signed.len() - SIGNATURE]);
        verify(&root, &message, &signature).map_err(|_| KeySetError::Signature)?;
        Ok(Self { signed: signed.to_vec(), root, version, keys })
    }

    /// Take a newer key set of the same root. The one pinned already is accepted again and changes nothing.
    ///
    /// # Errors
    /// When `signed` is not a key set of this root, or goes back. What was pinned then stays.
    pub fn update(&mut self, signed: &[u8]) -> Result<(), KeySetError> {
        let newer = Self::pin(signed)?;
        if newer.root != self.root {
            return Err(KeySetError::OtherRoot);
        }
        match newer.version.cmp(&self.version) {
            std::cmp::Ordering::Less => Err(KeySetError::Older),
            std::cmp::Ordering::Equal if newer.signed != self.signed => Err(KeySetError::Conflict),
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => {
                *self = newer;
                Ok(())
            }
        }
    }

    /// To store it. These bytes carry their own signature, so that a damaged file is noticed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.signed.clone()
    }

    /// From what [`Self::to_bytes`] gave.
    ///
    /// # Errors
    /// When the bytes are damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeySetError> {
        Self::pin(bytes)
    }

    /// The pinned root.
    #[must_use]
    pub const fn root(&self) -> &[u8; 32] {
        &self.root
    }

    /// The highest version seen.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The keys, expired ones included.
    #[must_use]
    pub fn keys(&self) -> &[SkillPublicKey] {
        &self.keys
    }

    /// The signing key with this id, unless it has ended by `unix_seconds`.
    pub(crate) fn in_force(&self, id: [u8; 8], unix_seconds: u64) -> Option<&SkillPublicKey> {
        self.keys.iter().find(|key| key.id == id && !key.ended(unix_seconds) && !key.is_for_events())
    }

    /// The first key for events that has not ended by `unix_seconds`.
    pub(crate) fn for_events(&self, unix_seconds: u64) -> Option<&SkillPublicKey> {
        self.keys.iter().find(|key| key.is_for_events() && !key.ended(unix_seconds))
    }
}

fn check_keys(keys: &[SkillPublicKey]) -> Result<(), KeySetError> {
    let twice = keys.iter().enumerate().any(|(at, key)| keys[..at].iter().any(|other| other.id == key.id));
    if keys.is_empty() || keys.len() > MAX_SKILL_KEYS || twice { Err(KeySetError::Keys) } else { Ok(()) }
}

fn signature_message(unsigned: &[u8]) -> Vec<u8> {
    let mut message = b"macloud/e2ee/1 key set\0".to_vec();
    message.extend_from_slice(unsigned);
    message
}
