//! Keys for TLS session tickets that all nodes behind one address share: a home that dials in at another node than last time resumes
//! there as well, which saves both sides a signature.
//!
//! They lie in a file, a line each: 32 random bytes in base64. The first seals, all open; so a new one is first put second, and first
//! when every node has read it. The file is read again when it has changed, and on SIGHUP. What a ticket is sealed with follows from
//! the key and the day, and is used for a day: the file's own key seals nothing.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use rustls::server::ProducesTickets;
use zeroize::Zeroizing;

use crate::clock::SharedClock;
use crate::random;
use crate::watched;

/// The keys in a file, as it is now.
pub struct TicketKeys {
    file: PathBuf,
    clock: SharedClock,
    current: RwLock<Arc<Vec<Key>>>,
}

/// Why a file of ticket keys is not taken. Says nothing of what is in it.
#[derive(Debug, thiserror::Error)]
pub enum TicketKeysError {
    /// It cannot be read.
    #[error("cannot read {0}: {1}")]
    Read(PathBuf, io::Error),
    /// It holds something else.
    #[error("{0} does not hold 1 to 8 lines of 32 bytes in base64")]
    Form(PathBuf),
}

struct Key {
    /// In front of each ticket, so that it is found again.
    id: [u8; ID],
    secret: Zeroizing<[u8; 32]>,
}

impl TicketKeys {
    /// Read the file.
    ///
    /// # Errors
    /// When it cannot be read, or holds no keys.
    pub fn load(file: &Path, clock: SharedClock) -> Result<Arc<Self>, TicketKeysError> {
        let current = RwLock::new(Arc::new(read(file)?));
        Ok(Arc::new(Self { file: file.into(), clock, current }))
    }

    /// Read it again; new handshakes use it at once. On error the old keys stay.
    ///
    /// # Errors
    /// As [`TicketKeys::load`].
    pub fn reload(&self) -> Result<(), TicketKeysError> {
        let fresh = Arc::new(read(&self.file)?);
        *self.current.write().expect("no code panics while holding this lock") = fresh;
        Ok(())
    }

    /// Read it again whenever it changes, or a SIGHUP asks for it. For ever; cancelling it is safe.
    ///
    /// # Errors
    /// When the operating system does not let the signal be caught.
    pub async fn keep_fresh(self: &Arc<Self>) -> io::Result<()> {
        let keys = self.clone();
        watched::watch(self.changed_at(), move |told, seen| keys.look(told, seen)).await
    }

    fn look(&self, must: bool, seen: Option<SystemTime>) -> Option<SystemTime> {
        let now = self.changed_at();
        if must || now != seen {
            match self.reload() {
                Ok(()) => tracing::info!("the ticket keys were read again"),
                Err(error) => tracing::error!(%error, "cannot read the ticket keys again: the old ones stay"),
            }
        }
        now
    }

    fn changed_at(&self) -> Option<SystemTime> {
        std::fs::metadata(&self.file).and_then(|file| file.modified()).ok()
    }

    fn current(&self) -> Arc<Vec<Key>> {
        self.current.read().expect("no code panics while holding this lock").clone()
    }

    fn period(&self) -> u32 {
        u32::try_from(self.clock.unix_seconds() / PERIOD_SECONDS).unwrap_or(u32::MAX)
    }
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketKeys").field("file", &self.file).finish_non_exhaustive()
    }
}

impl ProducesTickets for TicketKeys {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        // That of the oldest ticket that is still opened, at least.
        PERIOD_SECONDS as u32
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let keys = self.current();
        let key = keys.first()?;
        let (period, salt) = (self.period(), random::bytes::<SALT>());
        let mut ticket = [&key.id[..], &period.to_be_bytes(), &salt].concat();
        let mut sealed = plain.to_vec();
        key.of(period, &salt)?.seal_in_place_append_tag(nonce(), Aad::from(&ticket), &mut sealed).ok()?;
        ticket.append(&mut sealed);
        Some(ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        if ticket.len() > LONGEST {
            return None;
        }
        let (head, sealed) = ticket.split_at_checked(HEAD)?;
        let (id, rest) = head.split_first_chunk::<ID>()?;
        let (period, salt) = rest.split_first_chunk::<4>()?;
        let (period, now) = (u32::from_be_bytes(*period), self.period());
        // The clocks of two nodes may differ.
        if period.abs_diff(now) > 1 {
            return None;
        }
        let keys = self.current();
        // The id is no secret.
        let key = keys.iter().find(|key| key.id == *id)?;
        let mut opened = sealed.to_vec();
        let length = key.of(period, salt)?.open_in_place(nonce(), Aad::from(head), &mut opened).ok()?.len();
        opened.truncate(length);
        Some(opened)
    }
}

impl Key {
    fn new(secret: Zeroizing<[u8; 32]>) -> Self {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret[..]), b"macloud/ticket-key-id/1");
        let id = *tag.as_ref().first_chunk().expect("a tag of SHA-256 is longer");
        Self { id, secret }
    }

    /// A key of its own for each ticket, so that no nonce is ever used twice however many nodes there are.
    fn of(&self, period: u32, salt: &[u8]) -> Option<LessSafeKey> {
        let mut derive = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.secret[..]));
        for part in [&b"macloud/ticket/1\0"[..], &period.to_be_bytes(), salt] {
            derive.update(part);
        }
        UnboundKey::new(&CHACHA20_POLY1305, derive.sign().as_ref()).ok().map(LessSafeKey::new)
    }
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

fn read(file: &Path) -> Result<Vec<Key>, TicketKeysError> {
    let text = std::fs::read_to_string(file).map_err(|error| TicketKeysError::Read(file.into(), error))?;
    let text = Zeroizing::new(text);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let keys: Option<Vec<Key>> = lines.map(|line| key(line).map(Key::new)).collect();
    keys.filter(|keys| (1..=MOST).contains(&keys.len())).ok_or_else(|| TicketKeysError::Form(file.into()))
}

fn key(line: &str) -> Option<Zeroizing<[u8; 32]>> {
    let bytes = Zeroizing::new(STANDARD.decode(line).ok()?);
    let mut secret = Zeroizing::new([0; 32]);
    (bytes.len() == secret.len()).then(|| secret.copy_from_slice(&bytes))?;
    Some(secret)
}

/// As long as a relay keeps a session without asking the home to dial in anew: whenever a node vanishes, its homes hold tickets that
/// others take. A ticket is opened for twice as long at most, but for the clocks' difference; RFC 8446 section 4.6.1 allows a week.
const PERIOD_SECONDS: u64 = 24 * 3600;
const MOST: usize = 8;
const ID: usize = 8;
const SALT: usize = 32;
const HEAD: usize = ID + 4 + SALT;
/// A session's state is some hundred bytes, and a client's certificate would come on top.
const LONGEST: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::ManualClock;

    struct File(PathBuf);

    impl File {
        fn with(name: &str, keys: &[u8]) -> Self {
            let path = std::env::temp_dir().join(format!("macloud-tickets-{name}-{}", std::process::id()));
            let file = Self(path);
            file.write(keys);
            file
        }

        fn write(&self, keys: &[u8]) {
            let lines: Vec<String> = keys.iter().map(|key| STANDARD.encode([*key; 32])).collect();
            std::fs::write(&self.0, lines.join("\n")).unwrap();
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn nodes_with_one_file_open_each_others_tickets_also_while_it_changes() {
        let (clock, file) = (ManualClock::at(1_795_000_000), File::with("shared", &[1]));
        let node = || TicketKeys::load(&file.0, clock.clone()).unwrap();
        let (one, other) = (node(), node());
        let ticket = one.encrypt(b"session").unwrap();
        assert_eq!(other.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        assert_ne!(one.encrypt(b"session").unwrap(), ticket);
        // The next key is known everywhere before it seals, and the last one until nobody has a ticket of it.
        for (keys, opens) in [(&[1, 2][..], true), (&[2, 1], true), (&[2], false)] {
            file.write(keys);
            one.reload().unwrap();
            let fresh = one.encrypt(b"new").unwrap();
            assert!(other.decrypt(&fresh).is_some(), "{keys:?}: a node that is a step behind");
            other.reload().unwrap();
            assert_eq!(other.decrypt(&ticket).is_some(), opens, "{keys:?}");
            assert!(other.decrypt(&fresh).is_some());
        }
        file.write(&[3]);
        assert!(node().decrypt(&one.encrypt(b"x").unwrap()).is_none(), "another cloud");
    }

    #[test]
    fn a_ticket_is_good_for_a_day_at_least_and_two_at_most() {
        let (clock, file) = (ManualClock::at(1_795_000_000), File::with("time", &[1]));
        let keys = TicketKeys::load(&file.0, clock.clone()).unwrap();
        let ticket = keys.encrypt(b"session").unwrap();
        clock.advance(Duration::from_secs(PERIOD_SECONDS));
        assert!(keys.decrypt(&ticket).is_some());
        clock.advance(Duration::from_secs(PERIOD_SECONDS));
        assert!(keys.decrypt(&ticket).is_none());
    }

    #[test]
    fn what_is_no_ticket_is_nothing() {
        let (clock, file) = (ManualClock::at(1_795_000_000), File::with("hostile", &[1]));
        let keys = TicketKeys::load(&file.0, clock).unwrap();
        let ticket = keys.encrypt(b"session").unwrap();
        for at in 0..ticket.len() {
            let mut spoilt = ticket.clone();
            spoilt[at] ^= 1;
            assert!(keys.decrypt(&spoilt).is_none(), "bit of byte {at}");
            assert!(keys.decrypt(&ticket[..at]).is_none(), "cut at {at}");
        }
        assert!(keys.decrypt(&vec![0; LONGEST + 1]).is_none());
    }

    #[test]
    fn only_a_file_of_keys_is_taken_and_never_repeated() {
        let (clock, file) = (ManualClock::at(1_795_000_000), File::with("form", &[]));
        let load = |text: &str| {
            std::fs::write(&file.0, text).unwrap();
            TicketKeys::load(&file.0, clock.clone()).map(drop).map_err(|error| error.to_string())
        };
        let short = STANDARD.encode([7; 31]);
        let many = format!("{}\n", STANDARD.encode([7; 32])).repeat(MOST + 1);
        for text in ["", "\n", "rubbish", &short, &many] {
            let said = load(text).unwrap_err();
            assert!(text.trim().is_empty() || !said.contains(text), "{said}");
        }
        assert_eq!(load(&format!("{}\n\n", STANDARD.encode([7; 32]))), Ok(()));
        assert!(TicketKeys::load(Path::new("/nowhere"), clock.clone()).is_err());
    }
}
