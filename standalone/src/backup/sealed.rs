//! A file that only a passphrase opens, written and read as a stream.
//!
//! Version 1 is the line [`MAGIC`], a salt, and pieces of 64 KiB (the last may be shorter), each sealed with
//! ChaCha20-Poly1305 under the key that Argon2id makes of passphrase and salt. The nonce is a piece's number and whether it is
//! the last: pieces that are changed, swapped, left out or cut off do not open, and what does not open is never passed on.

use std::io::{self, Read, Write};

use argon2::{Algorithm, Argon2, Params, Version};
use macloud_service_kit::random;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// Takes what is to be sealed. [`Self::finish`] seals the last piece: a file without it does not open.
pub(super) struct Sealer<W> {
    out: W,
    key: LessSafeKey,
    piece: Vec<u8>,
    number: u64,
}

impl<W: Write> Sealer<W> {
    pub(super) fn begin(mut out: W, passphrase: &str) -> io::Result<Self> {
        let salt: [u8; SALT_LEN] = random::bytes();
        out.write_all(MAGIC)?;
        out.write_all(&salt)?;
        Ok(Self { out, key: key(passphrase, &salt)?, piece: Vec::new(), number: 0 })
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn seal(&mut self, is_last: bool) -> io::Result<()> {
        let mut piece = std::mem::take(&mut self.piece);
        let nonce = nonce(self.number, is_last);
        let sealed = self.key.seal_in_place_append_tag(nonce, Aad::from(MAGIC), &mut piece);
        sealed.map_err(|_| io::Error::other("a piece of the backup cannot be sealed"))?;
        self.number += 1;
        self.out.write_all(&piece)
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.len() == PIECE {
            self.seal(false)?;
        }
        let taken = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    /// Nothing leaves before its piece is full.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Gives what was sealed. Only when it says that nothing more comes was the file whole.
pub(super) struct Opener<R> {
    from: R,
    key: LessSafeKey,
    piece: Vec<u8>,
    /// So much of the piece was given.
    given: usize,
    /// Still sealed. Empty once the piece is the last.
    next: Vec<u8>,
    number: u64,
    is_over: bool,
}

impl<R: Read> Opener<R> {
    pub(super) fn begin(mut from: R, passphrase: &str) -> io::Result<Self> {
        let mut head = Vec::new();
        from.by_ref().take((MAGIC.len() + SALT_LEN) as u64).read_to_end(&mut head)?;
        let salt = head.strip_prefix(MAGIC).filter(|salt| salt.len() == SALT_LEN);
        let salt = salt.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is not a backup of MA Cloud"))?;
        let key = key(passphrase, salt)?;
        let next = sealed_piece(&mut from)?;
        Ok(Self { from, key, piece: Vec::new(), given: 0, next, number: 0, is_over: false })
    }

    fn open_next(&mut self) -> io::Result<()> {
        let after = sealed_piece(&mut self.from)?;
        let mut piece = std::mem::replace(&mut self.next, after);
        self.is_over = self.next.is_empty();
        let nonce = nonce(self.number, self.is_over);
        let opened = self.key.open_in_place(nonce, Aad::from(MAGIC), &mut piece);
        let length = opened.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, DOES_NOT_OPEN))?.len();
        piece.truncate(length);
        (self.piece, self.given) = (piece, 0);
        self.number += 1;
        Ok(())
    }
}

impl<R: Read> Read for Opener<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.given == self.piece.len() && !self.is_over {
            self.open_next()?;
        }
        let rest = &self.piece[self.given..];
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        self.given += count;
        Ok(count)
    }
}

fn sealed_piece(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut piece = Vec::new();
    from.take((PIECE + CHACHA20_POLY1305.tag_len()) as u64).read_to_end(&mut piece)?;
    Ok(piece)
}

fn nonce(number: u64, is_last: bool) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[..8].copy_from_slice(&number.to_be_bytes());
    nonce[8] = u8::from(is_last);
    Nonce::assume_unique_for_key(nonce)
}

/// The second recommendation of RFC 9106: whoever has the file can try passphrases for years.
fn key(passphrase: &str, salt: &[u8]) -> io::Result<LessSafeKey> {
    let params = Params::new(64 * 1024, 3, 4, None).expect("constants within the bounds");
    let mut key = [0; 32];
    let made = Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(
        passphrase.as_bytes(),
        salt,
        &mut key,
    );
    made.map_err(|_| io::Error::other("the passphrase cannot be used"))?;
    Ok(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &key).expect("the key has 32 bytes")))
}

const MAGIC: &[u8] = b"ma-cloud backup 1\n";
const SALT_LEN: usize = 16;
const PIECE: usize = 64 * 1024;
const DOES_NOT_OPEN: &str = "the passphrase is another, or the file was changed or cut short";

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(plain: &[u8]) -> Vec<u8> {
        let mut sealer = Sealer::begin(Vec::new(), "correct horse battery").unwrap();
        sealer.write_all(plain).unwrap();
        sealer.finish().unwrap()
    }

    fn opened(sealed: &[u8], passphrase: &str) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        Opener::begin(sealed, passphrase)?.read_to_end(&mut plain)?;
        Ok(plain)
    }

    #[test]
    fn what_was_sealed_opens_whatever_its_length() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 7] {
            let plain: Vec<u8> = (0..length).map(|at| (at / 3) as u8).collect();
            let sealed = sealed(&plain);
            assert_eq!(opened(&sealed, "correct horse battery").unwrap(), plain, "{length}");
        }
    }

    #[test]
    fn nothing_opens_with_another_passphrase_or_when_it_was_changed() {
        let sealed = sealed(&[7; 2 * PIECE + 100]);
        let passphrase = "correct horse battery";
        assert!(opened(&sealed, "wrong horse battery").unwrap_err().to_string().contains("passphrase"));
        let first = MAGIC.len() + SALT_LEN;
        let whole = PIECE + CHACHA20_POLY1305.tag_len();
        // Cut in a piece, between pieces, before the first, and within the head.
        for length in [sealed.len() - 1, first + 2 * whole, first + whole, first, first - 1, 3, 0] {
            assert!(opened(&sealed[..length], passphrase).is_err(), "{length}");
        }
        for at in [0, MAGIC.len(), first, first + whole + 5, sealed.len() - 1] {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(opened(&changed, passphrase).is_err(), "{at}");
        }
        let mut swapped = sealed.clone();
        let (one, two) = (first..first + whole, first + whole..first + 2 * whole);
        swapped[one.clone()].copy_from_slice(&sealed[two.clone()]);
        swapped[two].copy_from_slice(&sealed[one]);
        assert!(opened(&swapped, passphrase).is_err());
        assert!(opened(&[sealed.as_slice(), b"more"].concat(), passphrase).is_err());
    }
}
