//! Events: what a home tells without being asked.
//!
//! Nobody answers an event, and whichever process of the skill deployment gets it must be able to open it, also after a restart. So
//! events are sealed for a long-term key of the deployment (HPKE base mode with X25519), under a setup that the home's identity key
//! signs and that rides along with each event. One setup serves a day; what costs is done once for it at each end.
//!
//! A long-term key means: who gets hold of it later opens what was recorded, which commands and replies are safe from.
//! `docs/SECURITY-MODEL.md` says what follows.
//!
//! Events come at least once and in any order. [`EventOpener::settle`] says that one has been dealt with; from then on nothing that
//! is not later is opened for the same key of the same home. So nothing is done twice, and nothing that was recorded comes back.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::time::Duration;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, HpkeError, Kem, OpModeR, setup_receiver};
use macloud_proto::ids::InstanceId;
use macloud_proto::jose::verify;
use macloud_proto::time::Millis;
use zeroize::Zeroizing;

use crate::aead::{DirectionKey, TAG};
use crate::envelope::{EnvelopeError, Kind, Reader, SIGNATURE, SessionId, VERSION};
use crate::event_sealer::SETUP_LIFE;
use crate::keys::SkillSigner;
use crate::padding::{BUCKETS, unpad};
use crate::vocabulary::News;
use crate::wire;

/// What an event says about itself outside of what is sealed. Bound into it, so that nobody can change it on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventLabel<'a> {
    /// Names the event; the same whenever it is sent again.
    pub event_id: &'a [u8; 16],
    /// Of events with one key only the latest counts. At most 16 bytes.
    pub key: &'a [u8],
}

/// An event that was opened: authentic, of this home, and later than everything that was settled under its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedEvent {
    /// What the home tells.
    pub news: News,
    /// For [`EventOpener::settle`].
    pub position: Position,
}

/// Where an event stands among those of its home.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// When the home told it: milliseconds since 1970, by its own clock.
    pub told_at: u64,
    sequence: u64,
}

/// A moment by a home's two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Its monotonic clock.
    pub now: Millis,
    /// Milliseconds since 1970, as near to the truth as the home can.
    pub unix_millis: u64,
}

/// Why an event was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Not a sealed event.
    #[error("the sealed event is not usable: {0}")]
    Envelope(#[from] EnvelopeError),
    /// Sealed for another deployment's key, or one that was replaced.
    #[error("the event is sealed for another key")]
    OtherKey,
    /// The setup was not made lately, by the home's clock and this one.
    #[error("the event's setup is too old, or of the future")]
    Age,
    /// The setup's signature does not match.
    #[error("the event's setup is not signed by this home's identity key")]
    Signature,
    /// Changed on the way, or sealed for something else.
    #[error("the event is not authentic")]
    NotAuthentic,
    /// This one, or a later one under the same key, was settled.
    #[error("something later was settled")]
    Outdated,
    /// Authentic, but of a newer home: nothing that this version knows.
    #[error("the event is not known to this version")]
    Unknown,
}

/// Opens events of any home, at the skill.
#[derive(Default)]
pub struct EventOpener {
    homes: HashMap<InstanceId, OfHome>,
    /// Oldest first.
    order: VecDeque<InstanceId>,
}

#[derive(Default)]
struct OfHome {
    /// The setup that was opened last, in all its clear bytes, and whose signature on it was checked.
    known: Option<(Vec<u8>, [u8; 32], DirectionKey)>,
    settled: HashMap<Vec<u8>, Position>,
}

impl EventOpener {
    /// Open `sealed`, which came from `instance` under `label`. `identity` is the key that the caller trusts for that home.
    ///
    /// # Errors
    /// [`EventError`]. Whatever it is, the same bytes will fail again, but for [`EventError::OtherKey`] at another process.
    pub fn open(
        &mut self,
        signer: &SkillSigner,
        instance: &InstanceId,
        identity: &[u8; 32],
        label: &EventLabel<'_>,
        sealed: &[u8],
        unix_seconds: u64,
    ) -> Result<OpenedEvent, EventError> {
        let envelope = Envelope::parse(sealed)?;
        if envelope.key_id != signer.events().id {
            return Err(EventError::OtherKey);
        }
        let now = Duration::from_secs(unix_seconds);
        if Duration::from_millis(envelope.begun).abs_diff(now) > MAX_AGE {
            return Err(EventError::Age);
        }
        let home = self.home(instance);
        let key = match &home.known {
            Some((setup, by, key)) if setup == envelope.setup && by == identity => key.clone(),
            _ => {
                let key = envelope.accept(signer, instance, identity)?;
                home.known = Some((envelope.setup.to_vec(), *identity, key.clone()));
                key
            }
        };
        let aad = label.aad(instance, envelope.clear);
        let padded = key.open(envelope.sequence, &aad, envelope.body).ok_or(EventError::NotAuthentic)?;
        let (told_at, news) = unpad(&padded).and_then(wire::decode_news).ok_or(EventError::Unknown)?;
        let position = Position { told_at, sequence: envelope.sequence };
        if home.settled.get(label.key).is_some_and(|settled| *settled >= position) {
            return Err(EventError::Outdated);
        }
        Ok(OpenedEvent { news, position })
    }

    /// An event under this key of this home was dealt with: nothing that is not later is opened again.
    pub fn settle(&mut self, instance: &InstanceId, key: &[u8], position: Position) {
        let settled = &mut self.home(instance).settled;
        if settled.len() >= MAX_KEYS && !settled.contains_key(key) {
            // More than any home has use for: it may hear of some of its own events twice.
            settled.clear();
        }
        let latest = settled.entry(key.to_vec()).or_insert(position);
        *latest = position.max(*latest);
    }

    fn home(&mut self, instance: &InstanceId) -> &mut OfHome {
        if !self.homes.contains_key(instance) {
            if self.homes.len() >= MAX_HOMES
                && let Some(oldest) = self.order.pop_front()
            {
                self.homes.remove(&oldest);
            }
            self.order.push_back(instance.clone());
        }
        self.homes.entry(instance.clone()).or_default()
    }
}

impl fmt::Debug for EventOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventOpener").field("homes", &self.homes.len()).finish_non_exhaustive()
    }
}

/// A sealed event, split but not yet authenticated.
struct Envelope<'a> {
    key_id: [u8; 8],
    session: SessionId,
    begun: u64,
    encapsulated: [u8; 32],
    signature: [u8; SIGNATURE],
    sequence: u64,
    /// All clear bytes before the sequence number: the same in every event of one setup.
    setup: &'a [u8],
    clear: &'a [u8],
    body: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, EnvelopeError> {
        let mut reader = Reader::of_kind(bytes, Kind::Event)?;
        let (key_id, session, begun) = (reader.take()?, reader.take()?, reader.take_u64()?);
        let (encapsulated, signature, sequence) = (reader.take()?, reader.take()?, reader.take_u64()?);
        let body = reader.rest();
        if !body.len().checked_sub(TAG).is_some_and(|length| BUCKETS.contains(&length)) {
            return Err(EnvelopeError::Malformed);
        }
        let clear = &bytes[..bytes.len() - body.len()];
        let setup = &clear[..clear.len() - size_of::<u64>()];
        Ok(Self { key_id, session, begun, encapsulated, signature, sequence, setup, clear, body })
    }

    /// The key of a setup, if the home has made it.
    fn accept(
        &self,
        signer: &SkillSigner,
        instance: &InstanceId,
        identity: &[u8; 32],
    ) -> Result<DirectionKey, EventError> {
        let recipient = signer.events();
        let terms = EventTerms {
            instance,
            identity,
            recipient: &recipient.public,
            key_id: self.key_id,
            session: self.session,
            begun: self.begun,
        };
        verify(identity, &terms.signature_message(&self.encapsulated), &self.signature)
            .map_err(|_| EventError::Signature)?;
        let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(&self.encapsulated);
        let context = setup_receiver::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &recipient.private,
            &encapsulated.map_err(|_| EventError::NotAuthentic)?,
            &terms.info(),
        );
        let context = context.map_err(|_| EventError::NotAuthentic)?;
        Ok(export_key(|label, out| context.export(label, out)))
    }
}

/// Everything that identifies a setup of events, apart from the encapsulated key.
pub(crate) struct EventTerms<'a> {
    pub(crate) instance: &'a InstanceId,
    pub(crate) identity: &'a [u8; 32],
    pub(crate) recipient: &'a [u8; 32],
    pub(crate) key_id: [u8; 8],
    pub(crate) session: SessionId,
    /// Milliseconds since 1970, by the home's clock.
    pub(crate) begun: u64,
}

impl EventTerms<'_> {
    pub(crate) fn info(&self) -> Vec<u8> {
        let mut info = b"macloud/e2ee/1 event setup\0".to_vec();
        self.append_to(&mut info);
        info
    }

    /// What the home signs.
    pub(crate) fn signature_message(&self, encapsulated: &[u8; 32]) -> Vec<u8> {
        let mut message = b"macloud/e2ee/1 event setup signature\0".to_vec();
        self.append_to(&mut message);
        message.extend_from_slice(encapsulated);
        message
    }

    /// The clear bytes of an event before its sequence number.
    pub(crate) fn clear(&self, encapsulated: &[u8; 32], signature: &[u8; SIGNATURE]) -> Vec<u8> {
        let mut clear = vec![VERSION, Kind::Event as u8];
        clear.extend_from_slice(&self.key_id);
        clear.extend_from_slice(&self.session);
        clear.extend_from_slice(&self.begun.to_be_bytes());
        clear.extend_from_slice(encapsulated);
        clear.extend_from_slice(signature);
        clear
    }

    /// Every field has a fixed length, so that no two terms share their bytes.
    fn append_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.instance.as_str().as_bytes());
        out.extend_from_slice(self.identity);
        out.extend_from_slice(self.recipient);
        out.extend_from_slice(&self.key_id);
        out.extend_from_slice(&self.session);
        out.extend_from_slice(&self.begun.to_be_bytes());
    }
}

impl EventLabel<'_> {
    /// What an event's tag covers besides its body. The key is the only field of its own length, and stands last.
    pub(crate) fn aad(&self, instance: &InstanceId, clear: &[u8]) -> Vec<u8> {
        let mut aad = b"macloud/e2ee/1 event\0".to_vec();
        aad.extend_from_slice(instance.as_str().as_bytes());
        aad.extend_from_slice(self.event_id);
        aad.extend_from_slice(clear);
        aad.extend_from_slice(self.key);
        aad
    }
}

pub(crate) fn export_key(export: impl Fn(&[u8], &mut [u8]) -> Result<(), HpkeError>) -> DirectionKey {
    let mut key = Zeroizing::new([0; 32]);
    export(b"macloud/e2ee/1 event key", &mut key[..]).expect("HKDF-SHA256 gives up to 8160 bytes");
    DirectionKey::new(key)
}

/// The life of a setup, and an hour for clocks that differ and events that wait.
const MAX_AGE: Duration = Duration::from_secs(SETUP_LIFE.as_secs() + 3600);
/// Homes remembered at a time; about 300 bytes each, and 100 for each of their keys.
const MAX_HOMES: usize = 50_000;
/// Keys remembered of one home: more than it can have players.
const MAX_KEYS: usize = 512;
