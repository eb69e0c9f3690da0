//! At home: seal events. One setup serves many of them, and rides along with each, for nobody knows which process of the skill
//! will open it, nor what that has seen before.

use std::time::Duration;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, Kem, OpModeS, Serializable as _, setup_sender_with_rng};
use macloud_proto::ids::InstanceId;
use macloud_proto::jose::SigningKey;
use macloud_proto::random::Random;
use macloud_proto::time::Millis;

use crate::aead::{DirectionKey, TAG};
use crate::event::{EventLabel, EventTerms, Moment, export_key};
use crate::keys::SkillPublicKey;
use crate::padding::pad;
use crate::setup::HpkeRandom;
use crate::vocabulary::News;
use crate::wire;

/// A setup is renewed after this long: the skill takes none that is much older.
pub(crate) const SETUP_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// Far above a day's events.
const MAX_EVENTS: u64 = 1 << 20;

/// Whose events they are.
pub(crate) struct Sender<'a> {
    pub(crate) instance: &'a InstanceId,
    pub(crate) identity: &'a SigningKey,
}

/// The current setup, if there is one.
#[derive(Default)]
pub(crate) struct EventSealer(Option<Setup>);

struct Setup {
    /// The clear bytes before the sequence number.
    clear: Vec<u8>,
    recipient: [u8; 8],
    made_at: Millis,
    /// When the last event was told.
    told_at: u64,
    key: DirectionKey,
    next: u64,
}

impl EventSealer {
    pub(crate) fn seal(
        &mut self,
        sender: &Sender<'_>,
        recipient: &SkillPublicKey,
        label: &EventLabel<'_>,
        news: &News,
        moment: Moment,
        random: &mut dyn Random,
    ) -> Option<Vec<u8>> {
        let serves = |setup: &Setup| {
            setup.recipient == recipient.id && setup.next < MAX_EVENTS && moment.now.since(setup.made_at) < SETUP_LIFE
        };
        if !self.0.as_ref().is_some_and(serves) {
            self.0 = Some(Setup::new(sender, recipient, moment, random)?);
        }
        let setup = self.0.as_mut()?;
        let sequence = setup.next;
        let mut sealed = setup.clear.clone();
        sealed.extend_from_slice(&sequence.to_be_bytes());
        let aad = label.aad(sender.instance, &sealed);
        // Later events are told later, whatever is done to the clock.
        setup.told_at = setup.told_at.max(moment.unix_millis);
        let mut padded = pad(&wire::encode_news(news, setup.told_at), TAG)?;
        setup.key.seal(sequence, &aad, &mut padded);
        setup.next += 1;
        sealed.extend_from_slice(&padded);
        Some(sealed)
    }
}

impl Setup {
    /// Nothing, when the key is none that anything can be sealed for.
    fn new(sender: &Sender<'_>, recipient: &SkillPublicKey, moment: Moment, random: &mut dyn Random) -> Option<Self> {
        let mut session = [0; 16];
        random.fill(&mut session);
        let terms = EventTerms {
            instance: sender.instance,
            identity: sender.identity.public(),
            recipient: &recipient.public,
            key_id: recipient.id,
            session,
            begun: moment.unix_millis,
        };
        let public = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&recipient.public).ok()?;
        let (encapsulated, context) = setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeS::Base,
            &public,
            &terms.info(),
            &mut HpkeRandom(random),
        )
        .ok()?;
        let mut bytes = [0; 32];
        encapsulated.write_exact(&mut bytes);
        let signature = sender.identity.sign(&terms.signature_message(&bytes));
        let key = export_key(|label, out| context.export(label, out));
        let clear = terms.clear(&bytes, &signature);
        let Moment { now: made_at, unix_millis: told_at } = moment;
        Some(Self { clear, recipient: recipient.id, made_at, told_at, key, next: 0 })
    }
}
