//! Envelopes: the clear parts around what is sealed, as bytes. `docs/PROTOCOL.md` draws them.
//!
//! Numbers are big-endian, every field has a fixed length, and nothing is optional within a kind, so a byte string has
//! at most one reading. The first byte is the version of the whole construction: it fixes the suite and the HPKE mode,
//! neither of which appears on the wire.

use macloud_proto::MAX_SEALED_BYTES;
use macloud_proto::ids::{CommandId, InstanceId};
use macloud_proto::time::Millis;

use crate::aead::TAG;
use crate::padding::BUCKETS;

/// The only version: X-Wing (for events: X25519), HKDF-SHA256, ChaCha20-Poly1305, HPKE base mode, Ed25519.
pub(crate) const VERSION: u8 = 1;

/// Bytes of an X-Wing public key.
pub(crate) const PUBLIC_KEY: usize = 1216;
/// Bytes of an X-Wing encapsulated key.
pub(crate) const ENCAPSULATED: usize = 1120;
/// Bytes of an Ed25519 signature.
pub(crate) const SIGNATURE: usize = 64;

/// What an envelope is, in its second byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Command = 1,
    CommandWithSetup = 2,
    Reply = 3,
    SetUpAgain = 4,
    PreKey = 5,
    KeySet = 6,
    Event = 7,
    KeyUnknown = 8,
}

/// Why bytes are no envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// The version is not 1: the peer is newer (or the bytes are none of ours). Never answered by guessing.
    #[error("the version is not known")]
    Version,
    /// Of another kind, too short, too long, or otherwise not of the one form it can have.
    #[error("not well formed")]
    Malformed,
}

/// A session's name, drawn by the skill; one of events, by the home.
pub(crate) type SessionId = [u8; 16];

/// Reads fixed-size fields off a byte string.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Behind the version and kind of `bytes`, which must be `kind`.
    pub(crate) fn of_kind(bytes: &'a [u8], kind: Kind) -> Result<Self, EnvelopeError> {
        let (found, reader) = Self::any_kind(bytes)?;
        if found == kind as u8 { Ok(reader) } else { Err(EnvelopeError::Malformed) }
    }

    /// The kind of `bytes`, and the rest of them.
    pub(crate) fn any_kind(bytes: &'a [u8]) -> Result<(u8, Self), EnvelopeError> {
        let mut reader = Self(bytes);
        let [version] = reader.take()?;
        if version != VERSION {
            return Err(EnvelopeError::Version);
        }
        let [kind] = reader.take()?;
        Ok((kind, reader))
    }

    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N], EnvelopeError> {
        let (field, rest) = self.0.split_first_chunk().ok_or(EnvelopeError::Malformed)?;
        self.0 = rest;
        Ok(*field)
    }

    pub(crate) fn take_slice(&mut self, length: usize) -> Result<&'a [u8], EnvelopeError> {
        let (field, rest) = self.0.split_at_checked(length).ok_or(EnvelopeError::Malformed)?;
        self.0 = rest;
        Ok(field)
    }

    pub(crate) fn take_u64(&mut self) -> Result<u64, EnvelopeError> {
        self.take().map(u64::from_be_bytes)
    }

    pub(crate) const fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(crate) const fn end(self) -> Result<(), EnvelopeError> {
        if self.0.is_empty() { Ok(()) } else { Err(EnvelopeError::Malformed) }
    }
}

/// How a session is set up; rides in front of its first commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setup {
    pub(crate) key_id: [u8; 8],
    pub(crate) epoch: u64,
    /// The home's clock reading that came with the pre-key.
    pub(crate) reference: Millis,
    pub(crate) encapsulated: [u8; ENCAPSULATED],
    pub(crate) signature: [u8; SIGNATURE],
}

/// A sealed command, split but not yet authenticated.
#[derive(Debug)]
pub(crate) struct CommandEnvelope<'a> {
    pub(crate) session: SessionId,
    pub(crate) sequence: u64,
    /// By the home's clock.
    pub(crate) deadline: Millis,
    pub(crate) setup: Option<Box<Setup>>,
    /// All clear bytes as they arrived, for the associated data.
    pub(crate) clear: &'a [u8],
    pub(crate) sealed: &'a [u8],
}

impl<'a> CommandEnvelope<'a> {
    /// Split `bytes`.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, EnvelopeError> {
        if bytes.len() > MAX_SEALED_BYTES {
            return Err(EnvelopeError::Malformed);
        }
        let (kind, mut reader) = Reader::any_kind(bytes)?;
        let (session, sequence, deadline) = (reader.take()?, reader.take_u64()?, Millis(reader.take_u64()?));
        let setup = match kind {
            kind if kind == Kind::Command as u8 => None,
            kind if kind == Kind::CommandWithSetup as u8 => Some(Box::new(Setup {
                key_id: reader.take()?,
                epoch: reader.take_u64()?,
                reference: Millis(reader.take_u64()?),
                encapsulated: reader.take()?,
                signature: reader.take()?,
            })),
            _ => return Err(EnvelopeError::Malformed),
        };
        let sealed = reader.rest();
        if !sealed.len().checked_sub(TAG).is_some_and(|length| BUCKETS.contains(&length)) {
            return Err(EnvelopeError::Malformed);
        }
        let clear = &bytes[..bytes.len() - sealed.len()];
        Ok(Self { session, sequence, deadline, setup, clear, sealed })
    }

    /// The clear bytes of a command.
    pub(crate) fn clear(session: &SessionId, sequence: u64, deadline: Millis, setup: Option<&Setup>) -> Vec<u8> {
        let kind = if setup.is_some() { Kind::CommandWithSetup } else { Kind::Command };
        let mut clear = vec![VERSION, kind as u8];
        clear.extend_from_slice(session);
        clear.extend_from_slice(&sequence.to_be_bytes());
        clear.extend_from_slice(&deadline.0.to_be_bytes());
        if let Some(setup) = setup {
            clear.extend_from_slice(&setup.key_id);
            clear.extend_from_slice(&setup.epoch.to_be_bytes());
            clear.extend_from_slice(&setup.reference.0.to_be_bytes());
            clear.extend_from_slice(&setup.encapsulated);
            clear.extend_from_slice(&setup.signature);
        }
        clear
    }
}

/// What a command's tag covers besides its body: the label (and with it the direction), the home, the command id, and
/// every clear byte of the envelope: version, kind, session, sequence number, deadline, and the setup where there is one.
pub(crate) fn command_aad(instance: &InstanceId, command_id: CommandId, clear: &[u8]) -> Vec<u8> {
    let mut aad = b"macloud/e2ee/1 command\0".to_vec();
    aad.extend_from_slice(instance.as_str().as_bytes());
    aad.extend_from_slice(command_id.as_bytes());
    aad.extend_from_slice(clear);
    aad
}

/// What a reply's tag covers besides its body: the label, the home, the command it answers, and where that command stood
/// in its session. Both ends know all of it, so none of it travels.
pub(crate) fn reply_aad(instance: &InstanceId, command_id: CommandId, session: &SessionId, sequence: u64) -> Vec<u8> {
    let mut aad = b"macloud/e2ee/1 reply\0".to_vec();
    aad.extend_from_slice(instance.as_str().as_bytes());
    aad.extend_from_slice(command_id.as_bytes());
    aad.extend_from_slice(session);
    aad.extend_from_slice(&sequence.to_be_bytes());
    aad.extend_from_slice(&[VERSION, Kind::Reply as u8]);
    aad
}

/// What the identity key signs when it answers a command with "your key is not known here": the label, the home, and exactly
/// which sealed command is answered.
pub(crate) fn key_unknown_message(
    instance: &InstanceId,
    command_id: CommandId,
    session: &SessionId,
    sequence: u64,
) -> Vec<u8> {
    let mut message = b"macloud/e2ee/1 key unknown\0".to_vec();
    message.extend_from_slice(instance.as_str().as_bytes());
    message.extend_from_slice(command_id.as_bytes());
    message.extend_from_slice(session);
    message.extend_from_slice(&sequence.to_be_bytes());
    message
}

/// What the identity key signs when it answers a command with "set up again": the label, the home, exactly which sealed
/// command is answered, and the signed pre-key that goes with it.
pub(crate) fn set_up_again_message(
    instance: &InstanceId,
    command_id: CommandId,
    session: &SessionId,
    sequence: u64,
    signed_pre_key: &[u8],
) -> Vec<u8> {
    let mut message = b"macloud/e2ee/1 set up again\0".to_vec();
    message.extend_from_slice(instance.as_str().as_bytes());
    message.extend_from_slice(command_id.as_bytes());
    message.extend_from_slice(session);
    message.extend_from_slice(&sequence.to_be_bytes());
    message.extend_from_slice(signed_pre_key);
    message
}
