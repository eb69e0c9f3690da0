//! Pre-keys: what a home hands out so that a skill can set up a session with it.
//!
//! The public half, an epoch that names the key, and the home's clock at this moment, signed by the home's identity key.
//! Signed anew for every request, because of the clock.

use hpke::kem::XWing;
use hpke::{Deserializable as _, Kem as _, Serializable as _};
use macloud_proto::ids::InstanceId;
use macloud_proto::jose::{SigningKey, verify};
use macloud_proto::random::Random;
use macloud_proto::time::Millis;

use crate::envelope::{EnvelopeError, Kind, PUBLIC_KEY, Reader, SIGNATURE, VERSION};
use crate::setup::HpkeRandom;

/// Bytes of a signed pre-key.
pub(crate) const SIGNED_PRE_KEY: usize = 2 + 8 + 8 + PUBLIC_KEY + SIGNATURE;

/// A pre-key with its private half, at home. The private half is erased when this is dropped (by `x-wing`).
pub(crate) struct PreKey {
    /// Random, so that no two pre-keys of a home share one, restarts included.
    pub(crate) epoch: u64,
    pub(crate) made_at: Millis,
    /// Boxed: moving a key would leave a copy behind.
    pub(crate) private: Box<<XWing as hpke::Kem>::PrivateKey>,
    public: Box<[u8; PUBLIC_KEY]>,
}

impl PreKey {
    /// A new pair.
    pub(crate) fn generate(now: Millis, random: &mut dyn Random) -> Self {
        let mut epoch = [0; 8];
        random.fill(&mut epoch);
        let (private, public_key) = XWing::gen_keypair_with_rng(&mut HpkeRandom(random));
        let mut public = Box::new([0; PUBLIC_KEY]);
        public_key.write_exact(&mut public[..]);
        Self { epoch: u64::from_be_bytes(epoch), made_at: now, private: Box::new(private), public }
    }

    /// The public half as handed out at `now`.
    pub(crate) fn sign(&self, instance: &InstanceId, identity: &SigningKey, now: Millis) -> Vec<u8> {
        let mut signed = Vec::with_capacity(SIGNED_PRE_KEY);
        signed.extend_from_slice(&[VERSION, Kind::PreKey as u8]);
        signed.extend_from_slice(&self.epoch.to_be_bytes());
        signed.extend_from_slice(&now.0.to_be_bytes());
        signed.extend_from_slice(&self.public[..]);
        let signature = identity.sign(&signature_message(instance, &signed));
        signed.extend_from_slice(&signature);
        signed
    }
}

/// A pre-key whose signature has been checked, at the skill.
pub(crate) struct VerifiedPreKey {
    pub(crate) epoch: u64,
    /// The home's clock when it signed.
    pub(crate) reading: Millis,
    pub(crate) public: <XWing as hpke::Kem>::PublicKey,
}

/// Why a pre-key is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PreKeyError {
    /// Not a signed pre-key, or of an unknown version.
    #[error("the pre-key is not usable: {0}")]
    Envelope(#[from] EnvelopeError),
    /// Not signed by this home's identity key for this home: forged, or the wrong identity key is known for it.
    #[error("the pre-key is not signed by this home's identity key")]
    Signature,
    /// Signed, but not an X-Wing public key.
    #[error("the pre-key holds no X-Wing public key")]
    Key,
}

impl VerifiedPreKey {
    /// Check `signed` against the identity key that the caller trusts for `instance`.
    pub(crate) fn verify(instance: &InstanceId, identity: &[u8; 32], signed: &[u8]) -> Result<Self, PreKeyError> {
        let mut reader = Reader::of_kind(signed, Kind::PreKey)?;
        let (epoch, reading) = (reader.take_u64()?, Millis(reader.take_u64()?));
        let public: [u8; PUBLIC_KEY] = reader.take()?;
        let signature: [u8; SIGNATURE] = reader.take()?;
        reader.end()?;
        let message = signature_message(instance, &signed[..signed.len() - SIGNATURE]);
        verify(identity, &message, &signature).map_err(|_| PreKeyError::Signature)?;
        let public = <XWing as hpke::Kem>::PublicKey::from_bytes(&public).map_err(|_| PreKeyError::Key)?;
        Ok(Self { epoch, reading, public })
    }
}

fn signature_message(instance: &InstanceId, unsigned: &[u8]) -> Vec<u8> {
    let mut message = b"macloud/e2ee/1 pre-key\0".to_vec();
    message.extend_from_slice(instance.as_str().as_bytes());
    message.extend_from_slice(unsigned);
    message
}
