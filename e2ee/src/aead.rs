//! ChaCha20-Poly1305 (RFC 8439) by ring, with nonces from sequence numbers.
//!
//! One key serves one direction of one session, and a sequence number is used once per direction, so a nonce never
//! repeats under a key.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Bytes that sealing adds.
pub(crate) const TAG: usize = 16;

/// A key for one direction of one session. Erased when dropped; `Debug` shows nothing of it.
#[derive(Clone)]
pub(crate) struct DirectionKey(Zeroizing<[u8; 32]>);

impl DirectionKey {
    /// Holding `key`, wherever it was derived.
    pub(crate) const fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self(key)
    }

    /// Encrypt `plaintext` in place and append the tag. Give it capacity for [`TAG`] more bytes, or a copy of the
    /// plaintext is left behind in memory.
    pub(crate) fn seal(&self, sequence: u64, aad: &[u8], plaintext: &mut Vec<u8>) {
        self.expand()
            .seal_in_place_append_tag(nonce(sequence), Aad::from(aad), plaintext)
            .expect("only plaintexts beyond 256 GiB are refused");
    }

    /// Decrypt `sealed`, or nothing if it, `aad` or `sequence` is not what was sealed.
    pub(crate) fn open(&self, sequence: u64, aad: &[u8], sealed: &[u8]) -> Option<Secret> {
        let mut buffer = Secret::new(sealed.to_vec());
        let length = self.expand().open_in_place(nonce(sequence), Aad::from(aad), &mut buffer).ok()?.len();
        buffer.truncate(length);
        Some(buffer)
    }

    /// Made for each message: for this cipher it is a copy of 32 bytes, while ring's type is half a kilobyte at rest.
    fn expand(&self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &*self.0).expect("the key has 32 bytes"))
    }
}

impl std::fmt::Debug for DirectionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DirectionKey")
    }
}

fn nonce(sequence: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&sequence.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}
