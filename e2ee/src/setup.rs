//! Session setup: HPKE (RFC 9180) in base mode from the skill to a home's pre-key, and the two keys that come of it.
//!
//! Base mode says nothing about who the sender is (X-Wing has no authenticated mode), so the skill signs the setup.
//! Everything that identifies the session goes into HPKE's `info` and under that signature: whoever holds another view
//! of any of it derives other keys.

use std::convert::Infallible;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable as _, OpModeR, OpModeS, Serializable as _, setup_receiver, setup_sender_with_rng};
use macloud_proto::ids::InstanceId;
use macloud_proto::random::Random;
use macloud_proto::time::Millis;
use zeroize::Zeroizing;

use crate::aead::DirectionKey;
use crate::envelope::{ENCAPSULATED, SessionId};

/// Everything that identifies a session, apart from the encapsulated key.
pub(crate) struct Terms<'a> {
    pub(crate) instance: &'a InstanceId,
    pub(crate) identity: &'a [u8; 32],
    pub(crate) skill: &'a [u8; 32],
    pub(crate) key_id: [u8; 8],
    pub(crate) epoch: u64,
    pub(crate) session: SessionId,
    pub(crate) reference: Millis,
}

/// The keys of a session, one per direction.
pub(crate) struct SessionKeys {
    pub(crate) command: DirectionKey,
    pub(crate) reply: DirectionKey,
}

impl Terms<'_> {
    /// At the skill: a fresh encapsulated key, and the session's keys.
    pub(crate) fn encapsulate(
        &self,
        pre_key: &<XWing as hpke::Kem>::PublicKey,
        random: &mut dyn Random,
    ) -> Option<([u8; ENCAPSULATED], SessionKeys)> {
        let (encapsulated, context) = setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeS::Base,
            pre_key,
            &self.info(),
            &mut HpkeRandom(random),
        )
        .ok()?;
        let mut bytes = [0; ENCAPSULATED];
        encapsulated.write_exact(&mut bytes);
        Some((bytes, SessionKeys::export(|label, out| context.export(label, out))))
    }

    /// At home: the same keys, from the private half of the pre-key. X-Wing does not fail on a wrong encapsulated key:
    /// it gives keys that open nothing.
    pub(crate) fn decapsulate(
        &self,
        private: &<XWing as hpke::Kem>::PrivateKey,
        encapsulated: &[u8; ENCAPSULATED],
    ) -> Option<SessionKeys> {
        let encapsulated = <XWing as hpke::Kem>::EncappedKey::from_bytes(encapsulated).ok()?;
        let context =
            setup_receiver::<ChaCha20Poly1305, HkdfSha256, XWing>(&OpModeR::Base, private, &encapsulated, &self.info())
                .ok()?;
        Some(SessionKeys::export(|label, out| context.export(label, out)))
    }

    /// What the skill signs.
    pub(crate) fn signature_message(&self, encapsulated: &[u8; ENCAPSULATED]) -> Vec<u8> {
        let mut message = b"macloud/e2ee/1 setup signature\0".to_vec();
        self.append_to(&mut message);
        message.extend_from_slice(encapsulated);
        message
    }

    fn info(&self) -> Vec<u8> {
        let mut info = b"macloud/e2ee/1 setup\0".to_vec();
        self.append_to(&mut info);
        info
    }

    /// Every field has a fixed length, so that no two terms share their bytes.
    fn append_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.instance.as_str().as_bytes());
        out.extend_from_slice(self.identity);
        out.extend_from_slice(self.skill);
        out.extend_from_slice(&self.key_id);
        out.extend_from_slice(&self.epoch.to_be_bytes());
        out.extend_from_slice(&self.session);
        out.extend_from_slice(&self.reference.0.to_be_bytes());
    }
}

impl SessionKeys {
    fn export(export: impl Fn(&[u8], &mut [u8]) -> Result<(), hpke::HpkeError>) -> Self {
        let key = |label: &[u8]| {
            let mut key = Zeroizing::new([0; 32]);
            export(label, &mut key[..]).expect("HKDF-SHA256 gives up to 8160 bytes");
            DirectionKey::new(key)
        };
        Self { command: key(b"macloud/e2ee/1 command key"), reply: key(b"macloud/e2ee/1 reply key") }
    }
}

/// Our source of randomness in the shape that `hpke` wants.
pub(crate) struct HpkeRandom<'a>(pub(crate) &'a mut dyn Random);

impl TryRng for HpkeRandom<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(out);
        Ok(())
    }
}

impl TryCryptoRng for HpkeRandom<'_> {}
