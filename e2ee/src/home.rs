//! The home's side: hand out pre-keys, open commands, seal replies and events.
//!
//! [`Home`] holds one pre-key and the sessions that were set up to it. Both live at most [`PRE_KEY_LIFETIME`]; with the
//! pre-key's private half gone, nothing recorded before can be opened by anyone who takes the home over later, and
//! nothing recorded can be replayed, for the sessions are gone with it. A restart has the same effect.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use macloud_proto::ids::{CommandId, InstanceId, PlayerKey};
use macloud_proto::jose::{SigningKey, verify};
use macloud_proto::random::Random;
use macloud_proto::time::Millis;
use ring::digest::{SHA256, digest};

use crate::aead::{DirectionKey, TAG};
pub use crate::envelope::EnvelopeError;
use crate::envelope::{
    CommandEnvelope, Kind, SessionId, Setup, VERSION, command_aad, key_unknown_message, reply_aad, set_up_again_message,
};
use crate::event::{EventLabel, Moment};
use crate::event_sealer::{EventSealer, Sender};
use crate::keys::{KeySetError, PinnedKeySet};
use crate::padding::{pad, unpad};
use crate::pre_key::PreKey;
use crate::setup::{SessionKeys, Terms};
use crate::vocabulary::{Command, News, Refusal, Reply, Scopes, UnknownCommand};
use crate::window::ReplayWindow;
use crate::wire;

/// How long a pre-key, and so every session, lives.
pub const PRE_KEY_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Most sessions for one pre-key. Each skill process has one session a day; about 250 bytes each. When they are all
/// taken the pre-key is rotated, so that a session id never has to be forgotten while it could be replayed.
pub const MAX_SESSIONS: usize = 512;

/// Most commands in one session: far below what ChaCha20-Poly1305 bears (2^62 messages of this size), far above a day's
/// use.
pub const MAX_COMMANDS: u64 = 1 << 20;

/// No command is given longer than this, whatever its caller says.
pub const MAX_REMAINING: Duration = Duration::from_secs(30);

/// All sealed sessions of one home.
pub struct Home {
    instance: InstanceId,
    identity: Arc<SigningKey>,
    skill_keys: PinnedKeySet,
    /// The latest Unix time that was told; zero before. Never goes back, so that an expired key stays expired.
    wall_clock: u64,
    pre_key: PreKey,
    sessions: HashMap<SessionId, Session>,
    events: EventSealer,
}

struct Session {
    skill: ([u8; 8], [u8; 32]),
    keys: SessionKeys,
    window: ReplayWindow,
}

/// A command that was opened: authentic, for this home, and for the first time.
pub struct Opened {
    /// What is asked.
    pub command: Result<Command, UnknownCommand>,
    /// What the caller was granted. Whether that covers the command is for the connector to check.
    pub scopes: Scopes,
    /// Time left to carry it out, judged by this home's own clock; zero when it is late, and then it must not be carried
    /// out but answered with [`Refusal::Late`].
    pub remaining: Duration,
    /// Seals the one reply to it.
    pub reply: ReplySealer,
}

/// A command that was not opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenFailure {
    /// Why, for this home's own log. Nothing of it is told to the sender.
    pub reason: OpenError,
    /// What to send back as the reply: "set up again, here is the current pre-key", signed but not sealed. Where there
    /// is none, nothing should be sent back. Either way nothing was carried out, so the command's id must not be
    /// remembered as answered: the skill seals the same command anew, usually under the same id.
    pub answer: Option<Vec<u8>>,
}

/// Why a command was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not a sealed command.
    #[error("the sealed command is not usable: {0}")]
    Envelope(#[from] EnvelopeError),
    /// No such session, and no setup with it: this home has restarted or rotated its pre-key since.
    #[error("the session is not known (any more)")]
    UnknownSession,
    /// Set up to a pre-key that this home does not have (any more).
    #[error("the pre-key is not known (any more)")]
    UnknownPreKey,
    /// All sessions were taken. There is a new pre-key now, and room.
    #[error("all sessions were taken; the pre-key has been rotated")]
    Full,
    /// The session has had [`MAX_COMMANDS`].
    #[error("the session is used up")]
    SessionUsedUp,
    /// Signed by no key of the pinned set, or by one that has ended. If the key set may have changed, update it and
    /// open the same bytes again.
    #[error("the skill key is not in the pinned key set")]
    UnknownSkillKey,
    /// The setup's signature does not match.
    #[error("the setup is not signed by the skill key it names")]
    Signature,
    /// The setup names a clock reading that this home cannot have given with that pre-key.
    #[error("the setup names an impossible clock reading")]
    Reference,
    /// This sequence number was opened before, or is too old to tell.
    #[error("the command was replayed")]
    Replayed,
    /// Changed on the way, or sealed for something else.
    #[error("the command is not authentic")]
    NotAuthentic,
}

impl Home {
    /// With a fresh pre-key and no sessions.
    #[must_use]
    pub fn new(
        instance: InstanceId,
        identity: Arc<SigningKey>,
        skill_keys: PinnedKeySet,
        now: Millis,
        random: &mut dyn Random,
    ) -> Self {
        let pre_key = PreKey::generate(now, random);
        let events = EventSealer::default();
        Self { instance, identity, skill_keys, wall_clock: 0, pre_key, sessions: HashMap::new(), events }
    }

    /// The current pre-key, signed together with this home's clock: the answer to a pre-key request.
    pub fn signed_pre_key(&mut self, now: Millis, random: &mut dyn Random) -> Vec<u8> {
        self.rotate_if_due(now, random);
        self.pre_key.sign(&self.instance, &self.identity, now)
    }

    /// Open `sealed`, which came with `command_id`. When it fails, nothing has changed but what rotating changes.
    ///
    /// # Errors
    /// [`OpenFailure`], with an answer when setting up again would help, or when no waiting would.
    pub fn open(
        &mut self,
        command_id: CommandId,
        sealed: &[u8],
        now: Millis,
        random: &mut dyn Random,
    ) -> Result<Opened, OpenFailure> {
        self.rotate_if_due(now, random);
        let envelope =
            CommandEnvelope::parse(sealed).map_err(|error| OpenFailure { reason: error.into(), answer: None })?;
        let opened = self.open_envelope(command_id, &envelope, now);
        opened.map_err(|reason| {
            if reason == OpenError::Full {
                self.rotate(now, random);
            }
            let answer = match reason {
                OpenError::UnknownSkillKey => Some(self.key_unknown(command_id, &envelope)),
                reason => reason.helped_by_new_setup().then(|| self.set_up_again(command_id, &envelope, now)),
            };
            OpenFailure { reason, answer }
        })
    }

    /// Replace the pre-key and end its sessions if it is older than [`PRE_KEY_LIFETIME`]. Done by every other method,
    /// too; call it now and then (hourly) so that a home that nobody talks to erases its keys as well.
    pub fn rotate_if_due(&mut self, now: Millis, random: &mut dyn Random) -> bool {
        let due = now.since(self.pre_key.made_at) >= PRE_KEY_LIFETIME;
        if due {
            self.rotate(now, random);
        }
        due
    }

    /// What stands for a player outside of what is sealed: always the same, and telling nothing to anyone without the identity
    /// key (a hash of a deterministic signature).
    #[must_use]
    pub fn event_key(&self, player: &PlayerKey) -> [u8; 16] {
        self.event_key_of(player.as_str())
    }

    fn event_key_of(&self, subject: &str) -> [u8; 16] {
        let signature = self.identity.sign(&[b"macloud/e2ee/1 event key\0", subject.as_bytes()].concat());
        let hash = digest(&SHA256, &signature);
        hash.as_ref()[..16].try_into().expect("SHA-256 has 32 bytes")
    }

    /// What stands for the list of players outside of what is sealed; see [`Self::event_key`].
    #[must_use]
    pub fn event_key_of_players(&self) -> [u8; 16] {
        // No player has such a key.
        self.event_key_of("*")
    }

    /// Seal what this home tells without being asked, for every process of the skill deployment. Nothing, while its key set has no
    /// key for events.
    pub fn seal_event(
        &mut self,
        label: &EventLabel<'_>,
        news: &News,
        moment: Moment,
        random: &mut dyn Random,
    ) -> Option<Vec<u8>> {
        let key = self.skill_keys.for_events(self.wall_clock)?;
        let sender = Sender { instance: &self.instance, identity: &self.identity };
        self.events.seal(&sender, key, label, news, moment, random)
    }

    /// Take a newer skill key set, as pairing and each instance token bring it. Sessions of a key that is no longer in it
    /// end at once. Store [`Self::skill_keys`] afterwards.
    ///
    /// # Errors
    /// See [`PinnedKeySet::update`].
    pub fn update_skill_keys(&mut self, signed: &[u8]) -> Result<(), KeySetError> {
        self.skill_keys.update(signed)
    }

    /// The pinned key set, to store it.
    #[must_use]
    pub const fn skill_keys(&self) -> &PinnedKeySet {
        &self.skill_keys
    }

    /// Tell the Unix time, for the ends of skill keys only; without it they do not end by themselves. A time before one
    /// that was told already is ignored.
    pub fn note_wall_clock(&mut self, unix_seconds: u64) {
        self.wall_clock = self.wall_clock.max(unix_seconds);
    }

    fn rotate(&mut self, now: Millis, random: &mut dyn Random) {
        self.sessions.clear();
        self.pre_key = PreKey::generate(now, random);
    }

    fn open_envelope(
        &mut self,
        command_id: CommandId,
        envelope: &CommandEnvelope<'_>,
        now: Millis,
    ) -> Result<Opened, OpenError> {
        if envelope.sequence >= MAX_COMMANDS {
            return Err(OpenError::SessionUsedUp);
        }
        if let Some(session) = self.sessions.get_mut(&envelope.session) {
            let (key_id, public) = session.skill;
            if self.skill_keys.in_force(key_id, self.wall_clock).is_none_or(|key| key.public != public) {
                return Err(OpenError::UnknownSkillKey);
            }
            return session.open(&self.instance, command_id, envelope, now);
        }
        let setup = envelope.setup.as_deref().ok_or(OpenError::UnknownSession)?;
        let mut session = self.accept(envelope.session, setup, now)?;
        let opened = session.open(&self.instance, command_id, envelope, now)?;
        // Only now: a copied setup with a spoilt command must not use up the session's name.
        self.sessions.insert(envelope.session, session);
        Ok(opened)
    }

    /// The session that `setup` asks for, if it may be.
    fn accept(&self, id: SessionId, setup: &Setup, now: Millis) -> Result<Session, OpenError> {
        if setup.epoch != self.pre_key.epoch {
            return Err(OpenError::UnknownPreKey);
        }
        let key = self.skill_keys.in_force(setup.key_id, self.wall_clock).ok_or(OpenError::UnknownSkillKey)?;
        let terms = Terms {
            instance: &self.instance,
            identity: self.identity.public(),
            skill: &key.public,
            key_id: key.id,
            epoch: setup.epoch,
            session: id,
            reference: setup.reference,
        };
        verify(&key.public, &terms.signature_message(&setup.encapsulated), &setup.signature)
            .map_err(|_| OpenError::Signature)?;
        if setup.reference < self.pre_key.made_at || setup.reference > now {
            return Err(OpenError::Reference);
        }
        if self.sessions.len() >= MAX_SESSIONS {
            return Err(OpenError::Full);
        }
        let keys = terms.decapsulate(&self.pre_key.private, &setup.encapsulated).ok_or(OpenError::NotAuthentic)?;
        Ok(Session { skill: (key.id, key.public), keys, window: ReplayWindow::default() })
    }

    fn key_unknown(&self, command_id: CommandId, envelope: &CommandEnvelope<'_>) -> Vec<u8> {
        let message = key_unknown_message(&self.instance, command_id, &envelope.session, envelope.sequence);
        let mut answer = vec![VERSION, Kind::KeyUnknown as u8];
        answer.extend_from_slice(&self.identity.sign(&message));
        answer
    }

    fn set_up_again(&self, command_id: CommandId, envelope: &CommandEnvelope<'_>, now: Millis) -> Vec<u8> {
        let pre_key = self.pre_key.sign(&self.instance, &self.identity, now);
        let message = set_up_again_message(&self.instance, command_id, &envelope.session, envelope.sequence, &pre_key);
        let mut answer = vec![VERSION, Kind::SetUpAgain as u8];
        answer.extend_from_slice(&pre_key);
        answer.extend_from_slice(&self.identity.sign(&message));
        answer
    }
}

impl Session {
    fn open(
        &mut self,
        instance: &InstanceId,
        command_id: CommandId,
        envelope: &CommandEnvelope<'_>,
        now: Millis,
    ) -> Result<Opened, OpenError> {
        let sequence = envelope.sequence;
        if !self.window.is_new(sequence) {
            return Err(OpenError::Replayed);
        }
        let aad = command_aad(instance, command_id, envelope.clear);
        let padded = self.keys.command.open(sequence, &aad, envelope.sealed).ok_or(OpenError::NotAuthentic)?;
        self.window.mark(sequence);
        let (scopes, command) = unpad(&padded).map_or((Scopes::default(), Err(UnknownCommand)), wire::decode_command);
        let reply = ReplySealer {
            key: self.keys.reply.clone(),
            sequence,
            aad: reply_aad(instance, command_id, &envelope.session, sequence),
        };
        Ok(Opened { command, scopes, remaining: envelope.deadline.since(now).min(MAX_REMAINING), reply })
    }
}

impl OpenError {
    /// Whether the skill would get through with a new session.
    const fn helped_by_new_setup(self) -> bool {
        match self {
            Self::UnknownSession | Self::UnknownPreKey | Self::Full | Self::SessionUsedUp => true,
            Self::Envelope(_)
            | Self::UnknownSkillKey
            | Self::Signature
            | Self::Reference
            | Self::Replayed
            | Self::NotAuthentic => false,
        }
    }
}

/// Seals the one reply to one command. Works also after its session has ended.
pub struct ReplySealer {
    key: DirectionKey,
    sequence: u64,
    aad: Vec<u8>,
}

impl ReplySealer {
    /// The reply, sealed for whoever sealed the command. `now` is this home's clock, which tells the skill how late it
    /// is here. To answer a retry of the same command, keep these bytes and send them again.
    #[must_use]
    pub fn seal(self, reply: &Reply, now: Millis) -> Vec<u8> {
        let mut padded = pad(&wire::encode_reply(reply, now), TAG)
            .or_else(|| pad(&wire::encode_reply(&Reply::Refused(Refusal::Internal), now), TAG))
            .expect("a refusal without names fits the smallest size");
        self.key.seal(self.sequence, &self.aad, &mut padded);
        let mut sealed = Vec::with_capacity(2 + padded.len());
        sealed.extend_from_slice(&[VERSION, Kind::Reply as u8]);
        sealed.extend_from_slice(&padded);
        sealed
    }
}

const _: () = {
    const fn moved_between_threads<T: Send>() {}
    moved_between_threads::<Home>();
    moved_between_threads::<ReplySealer>();
};

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Home")
            .field("instance", &self.instance)
            .field("sessions", &self.sessions.len())
            .finish_non_exhaustive()
    }
}

/// Without the command: what people say stays out of logs.
impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("scopes", &self.scopes)
            .field("remaining", &self.remaining)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ReplySealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplySealer").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}
