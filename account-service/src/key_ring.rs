//! The key file: one key or several. The newest that is in use seals what must be kept secret in the database; all of them
//! open it. So a key can be replaced while everything runs: add one (`ma-cloud admin keys rotate-file`), let every process
//! have the file, seal everything anew (`re-encrypt`), and drop the old one (`drop-old`).
//!
//! A line is `KEY`, or `KEY SECONDS` with the time (seconds since 1970) from which on it seals: until then every process has
//! had time to read it. The file is read again when it has changed: every minute, and at once when something does not open.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use macloud_proto::ids::base32;
use macloud_service_kit::clock::SharedClock;
use macloud_service_kit::random;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf;

/// Why the key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Reading or making it failed.
    #[error("the key file {path} cannot be used: {reason}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What went wrong. Part of the message, so not a source: whoever prints all causes would say it twice.
        reason: std::io::Error,
    },
    /// It holds something else.
    #[error("the key file {0} does not hold keys (lines of 43 characters of base64url)")]
    Content(PathBuf),
    /// There is an end to how many keys make sense.
    #[error("the key file holds {MAX_KEYS} keys already: seal everything anew and drop the old ones first")]
    Full,
}

/// A key of the file, as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FileKey {
    /// Derived from the key; says nothing about it.
    pub id: String,
    /// From when on it seals, in seconds since 1970.
    pub use_from: i64,
    /// Whether it is the one that seals now.
    pub seals: bool,
}

/// The keys of the file. No `Debug`.
pub(crate) struct KeyRing {
    path: PathBuf,
    clock: SharedClock,
    /// Oldest first; never empty.
    keys: RwLock<Arc<[RingKey]>>,
}

struct RingKey {
    secret: [u8; 32],
    id: String,
    seal: LessSafeKey,
    use_from: i64,
}

impl KeyRing {
    /// Read the key file, or make it when there is none.
    pub(crate) fn load_or_create(path: &Path, clock: SharedClock) -> Result<Self, KeyFileError> {
        let io = |reason| KeyFileError::Io { path: path.into(), reason };
        if !path.try_exists().map_err(io)? {
            create(path, &line(&random::bytes(), 0)).map_err(io)?;
        }
        Ok(Self { path: path.into(), clock, keys: RwLock::new(read(path)?) })
    }

    /// Read the file again; what was read stays when it cannot be. Whether other keys are there now.
    pub(crate) fn reload(&self) -> bool {
        match read(&self.path) {
            Ok(fresh) => {
                let ids = |keys: &[RingKey]| keys.iter().map(|key| (key.id.clone(), key.use_from)).collect::<Vec<_>>();
                let changed = ids(&fresh) != ids(&self.current());
                if changed {
                    tracing::info!(keys = fresh.len(), "read the changed key file");
                    *self.keys.write().expect("no code panics while holding this lock") = fresh;
                }
                changed
            }
            Err(error) => {
                tracing::error!(%error, "the key file cannot be read again: what is known of it stays");
                false
            }
        }
    }

    /// Encrypt for `place`, so that it opens nowhere else.
    pub(crate) fn seal(&self, place: &str, plain: &[u8]) -> Vec<u8> {
        let keys = self.current();
        let nonce: [u8; NONCE_LEN] = random::bytes();
        let mut sealed = plain.to_vec();
        self.newest(&keys)
            .seal
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place.as_bytes()), &mut sealed)
            .expect("short texts can be sealed");
        [&nonce, sealed.as_slice()].concat()
    }

    /// Decrypt what [`Self::seal`] gave, of this process or of one with another state of the file. `None` when it was made
    /// with a key that is not in the file, or for another place.
    pub(crate) fn open(&self, place: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let open = || self.current().iter().rev().find_map(|key| key.open(place, sealed));
        open().or_else(|| if self.reload() { open() } else { None })
    }

    /// What is sealed with anything but the newest key, sealed with that one; `None` when it does not open at all.
    pub(crate) fn renew(&self, place: &str, sealed: &[u8]) -> Option<Renewed> {
        let keys = self.current();
        if self.newest(&keys).open(place, sealed).is_some() {
            return Some(Renewed::Newest);
        }
        self.open(place, sealed).map(|plain| Renewed::Again(self.seal(place, &plain)))
    }

    /// The keys, oldest first.
    pub(crate) fn list(&self) -> Vec<FileKey> {
        let keys = self.current();
        let newest = &self.newest(&keys).id;
        keys.iter()
            .map(|key| FileKey { id: key.id.clone(), use_from: key.use_from, seals: key.id == *newest })
            .collect()
    }

    /// Add a key that seals in `after_seconds`. Its id.
    pub(crate) fn add(&self, after_seconds: u32) -> Result<FileKey, KeyFileError> {
        let io = |reason| KeyFileError::Io { path: self.path.clone(), reason };
        let mut text = std::fs::read_to_string(&self.path).map_err(io)?;
        if parse(&text).ok_or_else(|| KeyFileError::Content(self.path.clone()))?.len() >= MAX_KEYS {
            return Err(KeyFileError::Full);
        }
        let use_from = self.now() + i64::from(after_seconds);
        let secret = random::bytes();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&line(&secret, use_from));
        replace(&self.path, &text).map_err(io)?;
        self.reload();
        let id = RingKey::new(secret, use_from).id;
        Ok(FileKey { id, use_from, seals: after_seconds == 0 })
    }

    /// Whether every process has had time to notice that the newest key seals now. Until then one may still seal with an older.
    pub(crate) fn has_settled(&self) -> bool {
        let keys = self.current();
        let newest = self.newest(&keys);
        newest.use_from == 0 || self.now() >= newest.use_from + SETTLE_SECONDS
    }

    /// Forget every key but the one that seals and those that follow it. The ids of those that went.
    pub(crate) fn drop_old(&self) -> Result<Vec<String>, KeyFileError> {
        let keys = self.current();
        let at = keys.iter().position(|key| key.id == self.newest(&keys).id).unwrap_or_default();
        let text: String = keys[at..].iter().map(|key| line(&key.secret, key.use_from)).collect();
        replace(&self.path, &text).map_err(|reason| KeyFileError::Io { path: self.path.clone(), reason })?;
        self.reload();
        Ok(keys[..at].iter().map(|key| key.id.clone()).collect())
    }

    /// Key material for `label`, derived from the oldest key.
    pub(crate) fn derive(&self, label: &[u8]) -> [u8; 32] {
        derive(&self.current()[0].secret, label)
    }

    fn current(&self) -> Arc<[RingKey]> {
        self.keys.read().expect("no code panics while holding this lock").clone()
    }

    /// The newest key that is in use.
    fn newest<'a>(&self, keys: &'a [RingKey]) -> &'a RingKey {
        let now = self.now();
        keys.iter().rev().find(|key| key.use_from <= now).unwrap_or(&keys[0])
    }

    fn now(&self) -> i64 {
        self.clock.unix_seconds() as i64
    }

    /// A ring that no file stands behind.
    #[cfg(test)]
    pub(crate) fn of_one(secret: [u8; 32]) -> Self {
        let clock = macloud_service_kit::clock::ManualClock::at(1_000);
        Self { path: PathBuf::new(), clock, keys: RwLock::new(Arc::new([RingKey::new(secret, 0)])) }
    }
}

/// What [`KeyRing::renew`] found.
pub(crate) enum Renewed {
    /// It is sealed with the newest key.
    Newest,
    /// Sealed anew.
    Again(Vec<u8>),
}

impl RingKey {
    fn new(secret: [u8; 32], use_from: i64) -> Self {
        let seal = UnboundKey::new(&CHACHA20_POLY1305, &derive(&secret, b"seal")).expect("the key has 32 bytes");
        let id = base32(&derive(&secret, b"id")[..5]);
        Self { secret, id, seal: LessSafeKey::new(seal), use_from }
    }

    fn open(&self, place: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut body = body.to_vec();
        let plain = self.seal.open_in_place(nonce, Aad::from(place.as_bytes()), &mut body).ok()?;
        Some(plain.to_vec())
    }
}

fn derive(secret: &[u8], label: &[u8]) -> [u8; 32] {
    let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"macloud/account-service/1").extract(secret);
    let mut out = [0; 32];
    let label = [label];
    let okm = root.expand(&label, hkdf::HKDF_SHA256).expect("32 bytes is one block");
    okm.fill(&mut out).expect("the length is that of the hash");
    out
}

fn read(path: &Path) -> Result<Arc<[RingKey]>, KeyFileError> {
    let text = std::fs::read_to_string(path).map_err(|reason| KeyFileError::Io { path: path.into(), reason })?;
    parse(&text).map(Into::into).ok_or_else(|| KeyFileError::Content(path.into()))
}

/// The keys of a file's text, oldest first.
fn parse(text: &str) -> Option<Vec<RingKey>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut keys: Vec<RingKey> = lines.map(parse_line).collect::<Option<_>>()?;
    keys.sort_by_key(|key| key.use_from);
    (1..=MAX_KEYS).contains(&keys.len()).then_some(keys)
}

fn parse_line(line: &str) -> Option<RingKey> {
    let (key, seconds) = line.split_once(' ').unwrap_or((line, "0"));
    let key: [u8; 32] = URL_SAFE_NO_PAD.decode(key).ok()?.try_into().ok()?;
    Some(RingKey::new(key, seconds.trim().parse().ok()?))
}

fn line(secret: &[u8; 32], use_from: i64) -> String {
    let key = URL_SAFE_NO_PAD.encode(secret);
    if use_from == 0 { format!("{key}\n") } else { format!("{key} {use_from}\n") }
}

fn create(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory)?;
    }
    write_new(path, text).map(drop)
}

/// Whoever reads meanwhile sees the old file or the new one, never a part. Its owner stays the same: an operator may do this
/// as another user than the one that the service runs as.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let suffix: [u8; 8] = random::bytes();
    let beside = path.with_extension(format!("new-{}", base32(&suffix)));
    let written = write_new(&beside, text).and_then(|file| give_to_owner_of(path, &file));
    written.and_then(|()| std::fs::rename(&beside, path)).inspect_err(|_| drop(std::fs::remove_file(&beside)))?;
    // Only that makes a rename last.
    #[cfg(unix)]
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        std::fs::File::open(directory)?.sync_all()?;
    }
    Ok(())
}

/// Fails for whoever may not do that: better no new key than one that the service cannot read.
#[cfg(unix)]
fn give_to_owner_of(path: &Path, file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let (before, now) = (std::fs::metadata(path)?, file.metadata()?);
    let same = (before.uid(), before.gid()) == (now.uid(), now.gid());
    if same { Ok(()) } else { fchown(file, Some(before.uid()), Some(before.gid())) }
}

#[cfg(not(unix))]
fn give_to_owner_of(_: &Path, _: &std::fs::File) -> std::io::Result<()> {
    Ok(())
}

fn write_new(path: &Path, text: &str) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(file)
}

/// More would only be forgotten rotations.
const MAX_KEYS: usize = 16;
/// Every process looks at the file once a minute; this allows for one that was busy, and for clocks that differ.
const SETTLE_SECONDS: i64 = 180;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use macloud_service_kit::clock::ManualClock;
    use proptest::prelude::*;

    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Self {
            let name: [u8; 8] = random::bytes();
            Self(std::env::temp_dir().join(format!("macloud-keys-{}", base32(&name))))
        }

        fn ring(&self, clock: &Arc<ManualClock>) -> KeyRing {
            KeyRing::load_or_create(&self.0.join("account.key"), clock.clone()).unwrap()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn sealed_bytes_open_only_in_their_place_and_with_their_key() {
        let keys = KeyRing::of_one([1; 32]);
        let sealed = keys.seal("signing_keys/k1", b"seed");
        assert_eq!(keys.open("signing_keys/k1", &sealed).as_deref(), Some(&b"seed"[..]));
        assert_eq!(keys.open("signing_keys/k2", &sealed), None);
        assert_eq!(KeyRing::of_one([2; 32]).open("signing_keys/k1", &sealed), None);
        assert_eq!(keys.open("signing_keys/k1", &sealed[..5]), None);
    }

    #[test]
    fn a_file_of_the_first_form_still_opens_what_it_sealed() {
        // Made by the first version: a single line without its end.
        let (scratch, clock) = (Scratch::new(), ManualClock::at(1_000));
        create(&scratch.0.join("account.key"), &URL_SAFE_NO_PAD.encode([7; 32])).unwrap();
        let ring = scratch.ring(&clock);
        let sealed = KeyRing::of_one([7; 32]).seal("a/b", b"x");
        assert!(ring.open("a/b", &sealed).is_some());
        ring.add(0).unwrap();
        assert!(ring.open("a/b", &sealed).is_some());
        assert_eq!(ring.derive(b"form"), derive(&[7; 32], b"form"));
    }

    #[test]
    fn a_new_key_seals_once_everybody_had_time_to_read_it() {
        let (scratch, clock) = (Scratch::new(), ManualClock::at(1_000));
        let (here, there) = (scratch.ring(&clock), scratch.ring(&clock));
        let old = here.seal("a/b", b"x");
        let added = here.add(600).unwrap();
        assert_eq!((added.use_from, added.seals), (1_600, false));
        assert!(matches!(here.renew("a/b", &old), Some(Renewed::Newest)), "not yet in use");
        clock.advance(Duration::from_secs(600));
        let Some(Renewed::Again(new)) = here.renew("a/b", &old) else { panic!("the new key seals now") };
        // A process that has not looked at the file for a while finds the key when it needs it.
        assert_eq!(there.list().len(), 1);
        assert_eq!(there.open("a/b", &new).as_deref(), Some(&b"x"[..]));
        assert_eq!(there.list().len(), 2);
        assert_eq!(here.drop_old().unwrap().len(), 1);
        assert!(here.open("a/b", &old).is_none() && here.open("a/b", &new).is_some());
        assert_eq!(here.list(), [FileKey { id: added.id, use_from: 1_600, seals: true }]);
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(scratch.0.join("account.key")).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_key_has_settled_when_everybody_had_time_to_notice_it() {
        let (scratch, clock) = (Scratch::new(), ManualClock::at(1_000));
        let ring = scratch.ring(&clock);
        assert!(ring.has_settled(), "the first key has no other before it");
        ring.add(0).unwrap();
        assert!(!ring.has_settled());
        clock.advance(Duration::from_secs(SETTLE_SECONDS as u64));
        assert!(ring.has_settled());
    }

    #[test]
    fn a_replaced_file_keeps_its_owner() {
        use std::os::unix::fs::{MetadataExt as _, chown};
        let (scratch, clock) = (Scratch::new(), ManualClock::at(1_000));
        let ring = scratch.ring(&clock);
        let path = scratch.0.join("account.key");
        // Only root can give a file away.
        if chown(&path, Some(12_345), Some(12_346)).is_ok() {
            ring.add(0).unwrap();
            let now = std::fs::metadata(&path).unwrap();
            assert_eq!((now.uid(), now.gid()), (12_345, 12_346));
        }
        assert_eq!(std::fs::read_dir(&scratch.0).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_file_that_was_damaged_meanwhile_does_not_stop_what_runs() {
        let (scratch, clock) = (Scratch::new(), ManualClock::at(1_000));
        let ring = scratch.ring(&clock);
        let sealed = ring.seal("a/b", b"x");
        std::fs::write(scratch.0.join("account.key"), "nonsense").unwrap();
        assert!(!ring.reload() && ring.open("a/b", &sealed).is_some());
        assert!(matches!(ring.add(0), Err(KeyFileError::Content(_))));
        assert!(KeyRing::load_or_create(&scratch.0.join("account.key"), clock).is_err());
    }

    #[test]
    fn there_is_an_end_to_keys() {
        let (scratch, clock) = (Scratch::new(), ManualClock::at(1_000));
        let ring = scratch.ring(&clock);
        for _ in 1..MAX_KEYS {
            ring.add(0).unwrap();
        }
        assert!(matches!(ring.add(0), Err(KeyFileError::Full)));
        assert_eq!(ring.list().len(), MAX_KEYS);
    }

    proptest! {
        #[test]
        fn any_text_is_a_key_file_or_none(text in "\\PC{0,100}") {
            let _ = parse(&text);
            let _ = parse(&format!("{}\n{text}", URL_SAFE_NO_PAD.encode([1; 32])));
        }
    }
}
