//! The skill's side: set up a session to a home's pre-key, seal commands, open replies.
//!
//! A [`Session`] belongs to one skill process and one home, and is shared by all commands between them. Until a first
//! reply proves that the home has the session, each command carries the setup, so any of several first commands may
//! arrive first.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use macloud_proto::ids::{CommandId, InstanceId};
use macloud_proto::jose::verify;
use macloud_proto::random::Random;
use macloud_proto::time::Millis;

use crate::aead::TAG;
pub use crate::envelope::EnvelopeError;
use crate::envelope::{
    CommandEnvelope, Kind, Reader, SIGNATURE, SessionId, Setup, command_aad, key_unknown_message, reply_aad,
    set_up_again_message,
};
use crate::home::{MAX_COMMANDS, MAX_REMAINING, PRE_KEY_LIFETIME};
use crate::keys::SkillSigner;
use crate::padding::{pad, unpad};
pub use crate::pre_key::PreKeyError;
use crate::pre_key::{SIGNED_PRE_KEY, VerifiedPreKey};
use crate::setup::{SessionKeys, Terms};
use crate::vocabulary::{Command, Reply, Scopes};
use crate::wire;

/// A sealed session with one home. To be shared; sealing takes no lock.
pub struct Session {
    shared: Arc<Shared>,
    setup: Setup,
    established_at: Millis,
}

/// What a session and the openers of its replies share.
struct Shared {
    instance: InstanceId,
    identity: [u8; 32],
    session: SessionId,
    keys: SessionKeys,
    next_sequence: AtomicU64,
    /// A reply has come, so the home has the session.
    confirmed: AtomicBool,
    /// The home has said that it does not have the session (any more).
    ended: AtomicBool,
    /// The home's clock less ours, as far as it is known; see [`Shared::learn_clock`].
    clock_offset: AtomicI64,
}

/// Why no session was established.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EstablishError {
    /// The pre-key cannot be used.
    #[error(transparent)]
    PreKey(#[from] PreKeyError),
    /// Encapsulation failed, which it does not do for a checked public key.
    #[error("the session keys could not be made")]
    Encapsulation,
}

/// Why a command was not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The session has had its commands or its time, or the home has ended it: establish another.
    #[error("the session is over")]
    Exhausted,
    /// Longer than can be sealed, which no cleaned command is.
    #[error("the command is too long")]
    TooLong,
}

/// What came back for a command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "made once per command and taken apart at once; never kept in numbers")]
pub enum Answer {
    /// The home's reply.
    Reply(Reply),
    /// The home does not have the session (any more), and did not open these bytes. Establish another with this pre-key
    /// and seal the command once more; if that is answered so again, give up. Bytes that had been sent before without
    /// an answer may have been carried out then, before the home restarted: do not repeat those blindly.
    SetUpAgain {
        /// For [`Session::establish`].
        signed_pre_key: Vec<u8>,
    },
    /// The home does not know the key that set the session up, and did not open these bytes. Trying again will not help before
    /// the home has another key set.
    KeyUnknown,
}

/// Why an answer was not opened. The command may have been carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// Neither a sealed reply nor "set up again".
    #[error("the answer is not usable: {0}")]
    Envelope(#[from] EnvelopeError),
    /// Changed on the way, or the answer to something else.
    #[error("the answer is not authentic")]
    NotAuthentic,
}

impl Session {
    /// Set up a session to the pre-key of `instance`. `home_identity` is the identity key that the account service
    /// knows for it; `now` is when the pre-key came, by this process's clock.
    ///
    /// # Errors
    /// When the pre-key is not one of this home.
    pub fn establish(
        instance: &InstanceId,
        home_identity: &[u8; 32],
        signed_pre_key: &[u8],
        signer: &SkillSigner,
        now: Millis,
        random: &mut dyn Random,
    ) -> Result<Self, EstablishError> {
        let pre_key = VerifiedPreKey::verify(instance, home_identity, signed_pre_key)?;
        let mut session = [0; 16];
        random.fill(&mut session);
        let terms = Terms {
            instance,
            identity: home_identity,
            skill: signer.public(),
            key_id: signer.id(),
            epoch: pre_key.epoch,
            session,
            reference: pre_key.reading,
        };
        let (encapsulated, keys) = terms.encapsulate(&pre_key.public, random).ok_or(EstablishError::Encapsulation)?;
        let signature = signer.sign(&terms.signature_message(&encapsulated));
        let shared = Shared {
            instance: instance.clone(),
            identity: *home_identity,
            session,
            keys,
            next_sequence: AtomicU64::new(0),
            confirmed: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            // Too early by as long as the pre-key took to get here, and never too late.
            clock_offset: AtomicI64::new(difference(pre_key.reading, now)),
        };
        let setup =
            Setup { key_id: signer.id(), epoch: pre_key.epoch, reference: pre_key.reading, encapsulated, signature };
        Ok(Self { shared: Arc::new(shared), setup, established_at: now })
    }

    /// Seal `command`, to be carried out within `remaining` from `now`. The bytes may be sent again as they are if it is
    /// not known whether they arrived; a home opens them once.
    ///
    /// # Errors
    /// [`SealError::Exhausted`] when another session is needed.
    pub fn seal(
        &self,
        command_id: CommandId,
        command: &Command,
        scopes: Scopes,
        remaining: Duration,
        now: Millis,
    ) -> Result<(Vec<u8>, ReplyOpener), SealError> {
        let shared = &self.shared;
        if self.is_over(now) {
            return Err(SealError::Exhausted);
        }
        let mut padded = pad(&wire::encode_command(command, scopes), TAG).ok_or(SealError::TooLong)?;
        let sequence = shared.next_sequence.fetch_add(1, Ordering::Relaxed);
        if sequence >= MAX_COMMANDS {
            return Err(SealError::Exhausted);
        }
        let deadline = shared.home_clock(now).plus(remaining.min(MAX_REMAINING));
        let setup = (!shared.confirmed.load(Ordering::Acquire)).then_some(&self.setup);
        let clear = CommandEnvelope::clear(&shared.session, sequence, deadline, setup);
        let aad = command_aad(&shared.instance, command_id, &clear);
        shared.keys.command.seal(sequence, &aad, &mut padded);
        let mut sealed = clear;
        sealed.extend_from_slice(&padded);
        let opener = ReplyOpener { shared: Arc::clone(shared), command_id, sequence, sealed_at: now };
        Ok((sealed, opener))
    }

    /// Whether [`Self::seal`] would say [`SealError::Exhausted`]: to replace the session before it is needed.
    #[must_use]
    pub fn is_over(&self, now: Millis) -> bool {
        self.shared.ended.load(Ordering::Acquire)
            || self.shared.next_sequence.load(Ordering::Relaxed) >= MAX_COMMANDS
            || now.since(self.established_at) >= PRE_KEY_LIFETIME
    }
}

impl Shared {
    /// The home's clock at `now`, as far as it is known: early by at most the way of one message, never late but by
    /// what the clocks drift apart between two replies.
    fn home_clock(&self, now: Millis) -> Millis {
        let clock = i128::from(now.0) + i128::from(self.clock_offset.load(Ordering::Relaxed));
        Millis(clock.clamp(0, i128::from(u64::MAX)) as u64)
    }

    /// The home's clock showed `reading` at some time between `sealed_at` and `now` by ours, which bounds the offset from
    /// both sides: move what was known as little as fits. So a pre-key that lay in a cache, and drift, are
    /// corrected, while whoever delays messages can only widen the bounds and so change nothing.
    fn learn_clock(&self, reading: Millis, sealed_at: Millis, now: Millis) {
        let (low, high) = (difference(reading, now), difference(reading, sealed_at));
        let within = |offset: i64| Some(offset.min(high).max(low));
        // Always stored, so the result tells nothing.
        let _ = self.clock_offset.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within);
    }
}

/// `home - ours`, saturating: clocks that far apart make every command late, and nothing worse.
fn difference(home: Millis, ours: Millis) -> i64 {
    let difference = i128::from(home.0) - i128::from(ours.0);
    difference.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

/// Opens the answer to one command.
pub struct ReplyOpener {
    shared: Arc<Shared>,
    command_id: CommandId,
    sequence: u64,
    sealed_at: Millis,
}

impl ReplyOpener {
    /// Open `sealed`, which came back for the command at `now`.
    ///
    /// # Errors
    /// When it is not the home's answer to exactly that sealed command.
    pub fn open(self, sealed: &[u8], now: Millis) -> Result<Answer, ReplyError> {
        let (kind, reader) = Reader::any_kind(sealed)?;
        match kind {
            kind if kind == Kind::Reply as u8 => self.open_reply(reader.rest(), now),
            kind if kind == Kind::SetUpAgain as u8 => self.open_set_up_again(reader),
            kind if kind == Kind::KeyUnknown as u8 => self.open_key_unknown(reader),
            _ => Err(EnvelopeError::Malformed.into()),
        }
    }

    fn open_reply(&self, sealed: &[u8], now: Millis) -> Result<Answer, ReplyError> {
        let shared = &self.shared;
        let aad = reply_aad(&shared.instance, self.command_id, &shared.session, self.sequence);
        let padded = shared.keys.reply.open(self.sequence, &aad, sealed).ok_or(ReplyError::NotAuthentic)?;
        let body = unpad(&padded).ok_or(EnvelopeError::Malformed)?;
        let (reading, reply) = wire::decode_reply(body).ok_or(EnvelopeError::Malformed)?;
        shared.confirmed.store(true, Ordering::Release);
        shared.learn_clock(reading, self.sealed_at, now);
        Ok(Answer::Reply(reply))
    }

    fn open_key_unknown(&self, mut reader: Reader<'_>) -> Result<Answer, ReplyError> {
        let shared = &self.shared;
        let signature: [u8; SIGNATURE] = reader.take()?;
        reader.end()?;
        let message = key_unknown_message(&shared.instance, self.command_id, &shared.session, self.sequence);
        verify(&shared.identity, &message, &signature).map_err(|_| ReplyError::NotAuthentic)?;
        shared.ended.store(true, Ordering::Release);
        Ok(Answer::KeyUnknown)
    }

    fn open_set_up_again(&self, mut reader: Reader<'_>) -> Result<Answer, ReplyError> {
        let shared = &self.shared;
        let signed_pre_key = reader.take_slice(SIGNED_PRE_KEY)?.to_vec();
        let signature: [u8; SIGNATURE] = reader.take()?;
        reader.end()?;
        let message =
            set_up_again_message(&shared.instance, self.command_id, &shared.session, self.sequence, &signed_pre_key);
        verify(&shared.identity, &message, &signature).map_err(|_| ReplyError::NotAuthentic)?;
        shared.ended.store(true, Ordering::Release);
        Ok(Answer::SetUpAgain { signed_pre_key })
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("instance", &self.shared.instance).finish_non_exhaustive()
    }
}

impl fmt::Debug for ReplyOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyOpener").field("command_id", &self.command_id).finish_non_exhaustive()
    }
}

const _: () = {
    const fn shared_between_threads<T: Send + Sync>() {}
    shared_between_threads::<Session>();
    shared_between_threads::<ReplyOpener>();
};
