//! The state directory: what a connector must still know after a restart, and nothing else.
//!
//! | file | what | who may read it |
//! |---|---|---|
//! | `identity.key` | seed of the home's identity key; never leaves this directory | owner |
//! | `pairing.json` | where and as which home this connector is registered | owner |
//! | `skill-keys` | the pinned key set, signed by its root | owner |
//! | `install.id` | tells two installations with the same key apart | owner |
//! | `music-assistant.json`, `music-assistant.token` | where Music Assistant is, and its token | owner |
//! | `authorities.pem` | certificate authorities to trust beside the usual ones, if some were given | owner |
//! | `rules.json` | what the owner allows; may be edited by hand | owner |
//! | `devices.json` | which player each voice device is used with | owner |
//! | `timers.json` | which players will stop by themselves, and when | owner |
//! | `listed.json` | which players and favourites the cloud was told of, if the owner wants it told | owner |
//! | `status.json` | how it stands, without secrets | owner |
//! | `format` | how all this is written, if otherwise than at first | owner |
//! | `stopped` | the stop-now switch: it is on while this file exists | owner |
//! | `lock` | held while a connector runs or pairs | owner |
//!
//! Every file is replaced as a whole, and all but `status.json` are flushed to the disk first, so that a power cut leaves the
//! old or the new one. Of those that a home cannot do without, what was there before is kept too (`.bak`), should a disk have lost
//! what it was given. The identity key is written once and never replaced.

use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use macloud_e2ee::keys::PinnedKeySet;
use macloud_e2ee::vocabulary::clean_text;
use macloud_proto::ids::InstanceId;
use macloud_proto::jose::SigningKey;
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

use crate::memory::{Device, Timer};
use crate::music_assistant::token::Token;
use crate::network::certificates;
use crate::news::Listed;
use crate::rules::Rules;

const IDENTITY: &str = "identity.key";
const PAIRING: &str = "pairing.json";
const SKILL_KEYS: &str = "skill-keys";
const INSTALL: &str = "install.id";
/// See machine-id(5).
const MACHINE_ID: &str = "/etc/machine-id";
const MUSIC_ASSISTANT: &str = "music-assistant.json";
const AUTHORITIES: &str = "authorities.pem";
const RULES: &str = "rules.json";
const DEVICES: &str = "devices.json";
const TIMERS: &str = "timers.json";
const LISTED: &str = "listed.json";
const TOKEN: &str = "music-assistant.token";
const STATUS: &str = "status.json";
const STOPPED: &str = "stopped";
const FORMAT: &str = "format";
const LOCK: &str = "lock";

/// Everything that is kept here; first what makes it a home.
const FILES: [&str; 14] = [
    PAIRING,
    IDENTITY,
    SKILL_KEYS,
    INSTALL,
    MUSIC_ASSISTANT,
    TOKEN,
    AUTHORITIES,
    RULES,
    DEVICES,
    TIMERS,
    LISTED,
    STATUS,
    STOPPED,
    FORMAT,
];

/// Brings a directory to the next format.
type Migration = fn(&StateDir) -> Result<(), StateError>;

/// The first one is for format 1, which is how everything was written at first. A file that is added needs none: older programs
/// leave alone what they do not know. What an older program would misread does.
const MIGRATIONS: &[Migration] = &[];

/// Nothing here is larger.
pub(crate) const MAX_FILE: u64 = 1 << 20;

/// Why the state directory cannot be used. Says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The system refused.
    #[error("cannot use {path}: {source}. {}", advice(.source))]
    Io {
        /// What was to be used.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another connector runs on this directory.
    #[error("another ma-connector already uses {0}. Stop it first, or give each its own --state-dir.")]
    InUse(PathBuf),
    /// The identity key is gone, and the pairing with it: the cloud knows this home by that key alone.
    #[error(
        "{path} is missing, though this home is paired. Restore it from a backup. If there is none, remove pairing.json beside it and run ma-connector pair again: Alexa then finds new players."
    )]
    IdentityLost {
        /// Where it should be.
        path: PathBuf,
    },
    /// The cloud's keys are gone, which were pinned at pairing: without them no command can be believed.
    #[error(
        "{path} is missing, though this home is paired. Restore it from a backup, or run ma-connector pair again: the home and its players stay."
    )]
    KeysLost {
        /// Where they should be.
        path: PathBuf,
    },
    /// Others can read a secret, and it could not be kept from them.
    #[error("other users of this machine can read {path}: {source}. Run: chmod 600 {path}")]
    Exposed {
        /// Which.
        path: PathBuf,
        /// Why it could not be changed here.
        source: io::Error,
    },
    /// The owner's rules cannot be understood. Nothing is allowed by mistake.
    #[error("{path} cannot be used: {what}. Correct it, or remove it to allow everything.")]
    Rules {
        /// Where they are.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A newer program has written it in a way that this one would misread.
    #[error(
        "{path} was last used by a newer ma-connector: its format is {format}, and this one knows formats up to {known}. Update this ma-connector; or restore a backup into another directory."
    )]
    Newer {
        /// The directory.
        path: PathBuf,
        /// Its format.
        format: u32,
        /// The newest that is known here.
        known: u32,
    },
    /// A file is damaged.
    #[error("{path} is damaged ({what}). Restore it from a backup, or remove it and pair again.")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// In what way.
        what: String,
    },
}

/// What to do about what the system said.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "The disk is full: make room. What was there before is still there."
        }
        io::ErrorKind::ReadOnlyFilesystem => "The file system is read-only.",
        _ => "Check that this user may read and write the state directory.",
    }
}

/// Where and as which home this connector is registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pairing {
    /// The account service that it was paired with.
    #[serde(with = "crate::url_text")]
    pub cloud: Url,
    /// The home's id there.
    pub instance_id: InstanceId,
    /// The home's name as it was at pairing. Others have written it: a cloud, or whoever made a backup.
    #[serde(deserialize_with = "cleaned")]
    pub home_name: String,
    /// The relay to dial, as last told.
    #[serde(with = "crate::url_text")]
    pub relay_url: Url,
}

/// Terminals obey what a name may hold.
fn cleaned<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    String::deserialize(from).map(|text| clean_text(&text))
}

/// Where Music Assistant is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MusicAssistantPlace {
    /// Its address, where one was given.
    #[serde(default, with = "crate::url_text::option")]
    pub url: Option<Url>,
}

/// Where the state is if nobody says otherwise: what systemd gives a service, else `/var/lib` for root, else where the
/// states of a person's programs are.
#[must_use]
pub fn usual_state_dir() -> PathBuf {
    usual_among(&|name| std::env::var_os(name), rustix::process::geteuid().is_root())
}

fn usual_among(variable: &dyn Fn(&str) -> Option<OsString>, is_root: bool) -> PathBuf {
    const NAME: &str = "ma-connector";
    let given = |name| variable(name).filter(|value| Path::new(value).is_absolute()).map(PathBuf::from);
    if let Some(several) = variable("STATE_DIRECTORY").filter(|value| !value.is_empty()) {
        // With several, systemd puts colons between them.
        let bytes = several.as_encoded_bytes();
        let first = bytes.split(|byte| *byte == b':').next().unwrap_or(bytes);
        return PathBuf::from(OsStr::from_bytes(first));
    }
    if is_root {
        return Path::new("/var/lib").join(NAME);
    }
    let states = given("XDG_STATE_HOME").or_else(|| Some(given("HOME")?.join(".local/state")));
    states.map_or_else(|| NAME.into(), |states| states.join(NAME))
}

/// A command to copy into a shell.
#[must_use]
pub(crate) fn command(verb: &str, state_dir: &Path) -> String {
    if state_dir == usual_state_dir() {
        return format!("ma-connector {verb}");
    }
    format!("ma-connector {verb} --state-dir {}", quoted(state_dir))
}

/// A path to copy into a shell.
#[must_use]
pub(crate) fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+:@".contains(c);
    if path.chars().all(plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

/// The directory.
#[derive(Debug, Clone)]
pub struct StateDir {
    path: PathBuf,
}

/// Held while a connector runs or pairs. Released when dropped, also by a crash.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct StateLock {
    _file: File,
}

impl StateDir {
    /// Open, and make if needed.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, StateError> {
        let path = path.into();
        let failed = |source| StateError::Io { path: path.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(failed)?;
        if std::fs::read_dir(&path).map_err(failed)?.next().is_none() {
            // Made for this, though by somebody else: nobody is used to looking into it yet.
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
        }
        Ok(Self { path })
    }

    /// Open if it is there; nothing is made or changed.
    #[must_use]
    pub fn existing(path: impl Into<PathBuf>) -> Option<Self> {
        let path = path.into();
        path.is_dir().then_some(Self { path })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Take the lock, and bring the directory to the newest format.
    ///
    /// # Errors
    /// [`StateError::InUse`] while another process has it; [`StateError::Newer`].
    pub fn lock(&self) -> Result<StateLock, StateError> {
        let lock = self.take_lock()?;
        self.migrate(MIGRATIONS)?;
        Ok(lock)
    }

    fn take_lock(&self) -> Result<StateLock, StateError> {
        let path = self.file(LOCK);
        let failed = |source| StateError::Io { path: path.clone(), source };
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        // What lies outside is neither made nor given away.
        options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
        let file = options.open(&path).map_err(failed)?;
        self.give_to_owner(&file).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(StateLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StateError::InUse(self.path.clone())),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// Whether a connector runs (or pairs) on this directory now.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        // Where none ever ran there is no lock; looking must not make one.
        self.file(LOCK).exists() && matches!(self.take_lock(), Err(StateError::InUse(_)))
    }

    /// In which format everything is written.
    fn format(&self) -> Result<u32, StateError> {
        let Some(bytes) = self.read_any(FORMAT)? else { return Ok(1) };
        let number = std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok());
        number.filter(|number| *number >= 1).ok_or_else(|| self.damaged(FORMAT, "it must be a number"))
    }

    /// Refuse what would be misread.
    fn check_format(&self, migrations: &[Migration]) -> Result<u32, StateError> {
        let (format, known) = (self.format()?, 1 + migrations.len() as u32);
        if format > known {
            return Err(StateError::Newer { path: self.path.clone(), format, known });
        }
        Ok(format)
    }

    /// Step by step, so that one that was cut short is taken up again. Not to be called without the lock.
    fn migrate(&self, migrations: &[Migration]) -> Result<(), StateError> {
        let format = self.check_format(migrations)?;
        for (from, migration) in (1..).zip(migrations).skip(format as usize - 1) {
            migration(self)?;
            self.replace(FORMAT, format!("{}\n", from + 1).as_bytes(), true)?;
        }
        Ok(())
    }

    /// Remove everything that is kept here, and the directory if nobody else has put something in it.
    ///
    /// # Errors
    /// [`StateError::Io`]; some of it is removed then, and the rest can be removed in the same way.
    pub fn clear(self, lock: StateLock) -> Result<(), StateError> {
        let others = FILES
            .iter()
            .flat_map(|name| [(*name).to_owned(), former(name), unfinished(name), unfinished(&former(name))]);
        for name in others.chain([LOCK.to_owned()]) {
            self.remove(&name)?;
        }
        drop(lock);
        // It may be a mount point, or hold what is somebody else's.
        let _ = std::fs::remove_dir(&self.path);
        Ok(())
    }

    /// The home's identity key; made at first use.
    ///
    /// # Errors
    /// [`StateError`]. A damaged or lost key is never replaced silently: the home would become a stranger.
    pub fn identity(&self) -> Result<Arc<SigningKey>, StateError> {
        let seed = match self.existing_identity()? {
            Some(seed) => seed,
            None => {
                let seed = Zeroizing::new(macloud_service_kit::random::bytes::<32>());
                self.write(IDENTITY, &*seed)?;
                seed
            }
        };
        Ok(Arc::new(SigningKey::from_seed(&seed)))
    }

    /// The identity key's seed if there is one, and there must be one where there is a pairing.
    pub(crate) fn existing_identity(&self) -> Result<Option<Zeroizing<[u8; 32]>>, StateError> {
        self.keep_private(IDENTITY)?;
        let bytes = match self.read(IDENTITY)? {
            Some(bytes) => Zeroizing::new(bytes),
            None if self.is_paired() => return Err(StateError::IdentityLost { path: self.file(IDENTITY) }),
            None => return Ok(None),
        };
        let seed: [u8; 32] =
            bytes.as_slice().try_into().map_err(|_| self.damaged(IDENTITY, "it must have 32 bytes"))?;
        Ok(Some(Zeroizing::new(seed)))
    }

    /// Take over the identity key of a home that was elsewhere. For a directory that has none.
    pub(crate) fn adopt_identity(&self, seed: &[u8; 32]) -> Result<(), StateError> {
        self.write(IDENTITY, seed)
    }

    /// The public half of the identity key if there is one already.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn public_identity(&self) -> Result<Option<[u8; 32]>, StateError> {
        Ok(self.existing_identity()?.map(|seed| *SigningKey::from_seed(&seed).public()))
    }

    /// The installation's id. A copy of this directory is another installation, so it comes of what is kept here (made at first use),
    /// of which file that is, and of the machine.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn install_id(&self) -> Result<[u8; 16], StateError> {
        let kept = match self.read(INSTALL)? {
            Some(kept) if kept.len() == 16 => kept,
            _ => {
                let drawn: [u8; 16] = macloud_service_kit::random::bytes();
                self.write(INSTALL, &drawn)?;
                drawn.to_vec()
            }
        };
        let path = self.file(INSTALL);
        let file = path.metadata().map_err(|source| StateError::Io { path, source })?.ino();
        // Not everywhere; a copy on such a machine is another file all the same.
        let machine = std::fs::read(MACHINE_ID).unwrap_or_default();
        let digest = ring::digest::digest(&ring::digest::SHA256, &[&kept[..], &file.to_be_bytes(), &machine].concat());
        Ok(std::array::from_fn(|at| digest.as_ref()[at]))
    }

    /// Where it is registered, if it is.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn pairing(&self) -> Result<Option<Pairing>, StateError> {
        self.read_json(PAIRING)
    }

    /// Whether a pairing is kept here, readable or not.
    #[must_use]
    pub fn is_paired(&self) -> bool {
        self.file(PAIRING).exists()
    }

    /// Whether a home has ever kept its key here, or its pairing.
    pub(crate) fn is_of_a_home(&self) -> bool {
        [IDENTITY, PAIRING].iter().any(|name| self.file(name).exists())
    }

    /// Remember a pairing and what was pinned with it. What another cloud was told of players, or this one of another home, is
    /// forgotten: it is told anew.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn save_pairing(&self, pairing: &Pairing, keys: &PinnedKeySet) -> Result<(), StateError> {
        let is_the_same =
            |before: &Pairing| (&before.cloud, &before.instance_id) == (&pairing.cloud, &pairing.instance_id);
        if !self.pairing().is_ok_and(|before| before.as_ref().is_some_and(is_the_same)) {
            self.remove(LISTED)?;
        }
        self.save_skill_keys(keys)?;
        self.write_json(PAIRING, pairing)
    }

    /// The pinned key set, if there is one.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn skill_keys(&self) -> Result<Option<PinnedKeySet>, StateError> {
        let Some(bytes) = self.read(SKILL_KEYS)? else { return Ok(None) };
        let keys = PinnedKeySet::from_bytes(&bytes).map_err(|error| self.damaged(SKILL_KEYS, &error.to_string()))?;
        Ok(Some(keys))
    }

    /// The pinned key set of a home that is paired.
    ///
    /// # Errors
    /// [`StateError::KeysLost`] when there is none.
    pub fn kept_skill_keys(&self) -> Result<PinnedKeySet, StateError> {
        self.skill_keys()?.ok_or_else(|| StateError::KeysLost { path: self.file(SKILL_KEYS) })
    }

    /// Remember a newer key set.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn save_skill_keys(&self, keys: &PinnedKeySet) -> Result<(), StateError> {
        self.write(SKILL_KEYS, &keys.to_bytes())
    }

    /// Where Music Assistant is, as far as it was told.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn music_assistant(&self) -> Result<MusicAssistantPlace, StateError> {
        Ok(self.read_json(MUSIC_ASSISTANT)?.unwrap_or_default())
    }

    /// Remember where Music Assistant is.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn save_music_assistant(&self, place: &MusicAssistantPlace) -> Result<(), StateError> {
        self.write_json(MUSIC_ASSISTANT, place)
    }

    /// Where the certificate authorities are that are trusted beside the usual ones, if some are kept.
    #[must_use]
    pub fn authorities_file(&self) -> Option<PathBuf> {
        Some(self.file(AUTHORITIES)).filter(|file| file.exists())
    }

    /// These certificate authorities, as PEM.
    pub(crate) fn authorities(&self) -> Result<Option<String>, StateError> {
        let Some(bytes) = self.read(AUTHORITIES)? else { return Ok(None) };
        certificates(&bytes).map(Some).map_err(|error| self.damaged(AUTHORITIES, &error.to_string()))
    }

    /// Remember certificate authorities to trust beside the usual ones; with none, trust no others any more.
    ///
    /// # Errors
    /// [`StateError`]: those are no certificates, or more than can be kept.
    pub fn save_authorities(&self, pem: Option<&[u8]>) -> Result<(), StateError> {
        let Some(pem) = pem else { return self.remove(AUTHORITIES) };
        let refused = |source| StateError::Io { path: self.file(AUTHORITIES), source };
        let kept = certificates(pem).map_err(refused)?;
        if kept.len() as u64 > MAX_FILE {
            return Err(refused(io::ErrorKind::FileTooLarge.into()));
        }
        if self.read_any(AUTHORITIES)?.is_some_and(|before| before == kept.as_bytes()) {
            return Ok(());
        }
        self.write(AUTHORITIES, kept.as_bytes())
    }

    /// What the owner allows. Everything, if nothing is said.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn rules(&self) -> Result<Rules, StateError> {
        let Some(bytes) = self.read(RULES)? else { return Ok(Rules::default()) };
        serde_json::from_slice(&bytes)
            .map_err(|error| StateError::Rules { path: self.file(RULES), what: error.to_string() })
    }

    /// Change what the owner allows, while nobody else does, and keep what has changed. Gives the rules as they are then. A connector
    /// that runs notices within a second.
    ///
    /// # Errors
    /// [`StateError`]; nothing is changed then.
    pub fn change_rules<T>(&self, change: impl FnOnce(&mut Rules) -> T) -> Result<(Rules, T), StateError> {
        let _turn = self.turn().map_err(|source| StateError::Io { path: self.path.clone(), source })?;
        let mut rules = self.rules()?;
        let before = rules.clone();
        let outcome = change(&mut rules);
        if rules != before {
            self.save_rules(&rules)?;
        }
        Ok((rules, outcome))
    }

    /// Wait until no other process, and nobody else in this one, changes what is here. A crash ends it as well.
    fn turn(&self) -> io::Result<File> {
        let directory = File::open(&self.path)?;
        directory.lock()?;
        Ok(directory)
    }

    /// Remember what the owner allows, whatever was allowed before.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn save_rules(&self, rules: &Rules) -> Result<(), StateError> {
        self.write_json(RULES, rules)
    }

    /// What the cloud was told of which players and favourites there are; nothing, if that is not known any more.
    pub(crate) fn listed(&self) -> Listed {
        self.read_json(LISTED).ok().flatten().unwrap_or_default()
    }

    /// Remember what the cloud was told of which players and favourites there are.
    ///
    /// # Errors
    /// [`StateError`].
    pub(crate) fn save_listed(&self, listed: &Listed) -> Result<(), StateError> {
        self.write_json(LISTED, listed)
    }

    /// Differs whenever the rules may have changed.
    #[must_use]
    pub fn rules_stamp(&self) -> Option<(SystemTime, u64)> {
        self.stamp(RULES)
    }

    fn stamp(&self, name: &str) -> Option<(SystemTime, u64)> {
        let metadata = std::fs::metadata(self.file(name)).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    }

    /// Which player each voice device is used with.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn devices(&self) -> Result<Vec<Device>, StateError> {
        Ok(self.read_json(DEVICES)?.unwrap_or_default())
    }

    /// Remember which player each voice device is used with. A connector that runs notices within a second.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn save_devices(&self, devices: &[Device]) -> Result<(), StateError> {
        self.write_json(DEVICES, &devices)
    }

    /// Differs whenever [`Self::devices`] may have changed.
    #[must_use]
    pub fn devices_stamp(&self) -> Option<(SystemTime, u64)> {
        self.stamp(DEVICES)
    }

    /// Which players will stop by themselves.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn timers(&self) -> Result<Vec<Timer>, StateError> {
        Ok(self.read_json(TIMERS)?.unwrap_or_default())
    }

    /// Remember which players will stop by themselves.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn save_timers(&self, timers: &[Timer]) -> Result<(), StateError> {
        self.write_json(TIMERS, &timers)
    }

    /// Where Music Assistant's token is kept.
    #[must_use]
    pub fn token_file(&self) -> PathBuf {
        self.file(TOKEN)
    }

    /// Music Assistant's token, if one is kept.
    #[must_use]
    pub fn token(&self) -> Option<Token> {
        Token::parse(&String::from_utf8(self.read(TOKEN).ok()??).ok()?)
    }

    /// Keep Music Assistant's token.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn save_token(&self, token: &Token) -> Result<(), StateError> {
        self.write(TOKEN, token.as_stored())
    }

    /// Make sure that nobody else reads Music Assistant's token where it is kept here.
    ///
    /// # Errors
    /// [`StateError::Exposed`].
    pub fn keep_token_private(&self) -> Result<(), StateError> {
        self.keep_private(TOKEN)
    }

    /// Whether the owner pressed "stop now".
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.file(STOPPED).exists()
    }

    /// Press or release "stop now". A connector that runs notices within a second.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn set_stopped(&self, stopped: bool) -> Result<(), StateError> {
        // In whatever format the rest is: this must always work.
        if stopped { self.replace(STOPPED, b"", true) } else { self.remove(STOPPED) }
    }

    /// What a running connector last said about itself.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn status<T: for<'de> Deserialize<'de>>(&self) -> Result<Option<T>, StateError> {
        self.read_json(STATUS)
    }

    /// Say how it stands.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn save_status(&self, status: &impl Serialize) -> Result<(), StateError> {
        // Not flushed: it is written on the way of commands, and is of no use after a power cut.
        self.replace(STATUS, &self.json(STATUS, status)?, false)
    }

    /// Write something and remove it again.
    pub(crate) fn try_to_write(&self) -> Result<(), StateError> {
        const TRIAL: &str = "trial";
        self.replace(TRIAL, &[0; 4096], true)?;
        self.remove(TRIAL)
    }

    /// How much may still be written, as far as the system says.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        let system = rustix::fs::statvfs(&self.path).ok()?;
        Some(system.f_bavail.saturating_mul(system.f_frsize))
    }

    /// Whether others than the owner can change what is in the directory. (They cannot read the files in any case.)
    ///
    /// # Errors
    /// [`StateError`].
    pub fn is_open_to_others(&self) -> Result<bool, StateError> {
        let metadata =
            std::fs::metadata(&self.path).map_err(|source| StateError::Io { path: self.path.clone(), source })?;
        Ok(metadata.permissions().mode() & 0o022 != 0)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn damaged(&self, name: &str, what: &str) -> StateError {
        StateError::Damaged { path: self.file(name), what: what.into() }
    }

    /// Secrets are written for the owner alone. Copied from a backup, they may have become readable for everybody.
    fn keep_private(&self, name: &str) -> Result<(), StateError> {
        let path = self.file(name);
        if !is_readable_by_others(&path) {
            return Ok(());
        }
        tracing::warn!("other users of this machine could read {}; now they cannot", path.display());
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&path, private).map_err(|source| StateError::Exposed { path, source })
    }

    /// What is in a file; where that is damaged, what was in it before, if that is known.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        self.check_format(MIGRATIONS)?;
        let bytes = self.read_any(name)?;
        if !bytes.as_deref().is_some_and(|bytes| is_damaged(name, bytes)) {
            return Ok(bytes);
        }
        let before = self.read_any(&former(name))?.filter(|before| !is_damaged(name, before));
        if before.is_some() {
            tracing::warn!("{} is damaged; going on with what was in it before", self.file(name).display());
        }
        Ok(before.or(bytes))
    }

    fn read_any(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        let path = self.file(name);
        let failed = |source| StateError::Io { path: path.clone(), source };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_FILE).read_to_end(&mut bytes).map_err(failed)?;
        Ok(Some(bytes))
    }

    fn read_json<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<Option<T>, StateError> {
        let Some(bytes) = self.read(name)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| self.damaged(name, &error.to_string()))
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), StateError> {
        self.write(name, &self.json(name, value)?)
    }

    fn json(&self, name: &str, value: &impl Serialize) -> Result<Vec<u8>, StateError> {
        let mut bytes = serde_json::to_vec_pretty(value).map_err(|error| self.damaged(name, &error.to_string()))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StateError> {
        self.check_format(MIGRATIONS)?;
        if KEPT_TWICE.contains(&name)
            && let Some(before) = self.read_any(name)?.filter(|before| before != bytes && !is_damaged(name, before))
        {
            self.replace(&former(name), &before, true)?;
        }
        self.replace(name, bytes, true)
    }

    /// What root writes into the directory of a service's user is for that user: a service could not read its own token otherwise.
    fn give_to_owner(&self, file: &File) -> io::Result<()> {
        if !rustix::process::geteuid().is_root() {
            return Ok(());
        }
        let (owner, is) = (std::fs::metadata(&self.path)?, file.metadata()?);
        if (owner.uid(), owner.gid()) == (is.uid(), is.gid()) {
            return Ok(());
        }
        fchown(file, Some(owner.uid()), Some(owner.gid()))
    }

    fn remove(&self, name: &str) -> Result<(), StateError> {
        let path = self.file(name);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(StateError::Io { path, source }),
            _ => Ok(()),
        }
    }

    fn replace(&self, name: &str, bytes: &[u8], flushed: bool) -> Result<(), StateError> {
        let path = self.file(name);
        let unfinished = self.file(&unfinished(name));
        let written = || -> io::Result<()> {
            // What is left over from a write that was cut short may be readable for others by now, or lead elsewhere.
            let _ = std::fs::remove_file(&unfinished);
            let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&unfinished)?;
            self.give_to_owner(&file)?;
            file.write_all(bytes)?;
            if flushed {
                file.sync_all()?;
            }
            std::fs::rename(&unfinished, &path)?;
            if flushed {
                // The rename itself is in the directory.
                File::open(&self.path)?.sync_all()?;
            }
            Ok(())
        };
        written().map_err(|source| {
            // On a full disk it would be in the way of the next attempt.
            let _ = std::fs::remove_file(&unfinished);
            StateError::Io { path: path.clone(), source }
        })
    }
}

/// What a home cannot do without, and what is replaced at times.
const KEPT_TWICE: [&str; 3] = [PAIRING, SKILL_KEYS, MUSIC_ASSISTANT];

/// Whether one of [`KEPT_TWICE`] cannot be understood.
fn is_damaged(name: &str, bytes: &[u8]) -> bool {
    match name {
        PAIRING => serde_json::from_slice::<Pairing>(bytes).is_err(),
        SKILL_KEYS => PinnedKeySet::from_bytes(bytes).is_err(),
        MUSIC_ASSISTANT => serde_json::from_slice::<MusicAssistantPlace>(bytes).is_err(),
        _ => false,
    }
}

/// Where the contents before these are kept.
fn former(name: &str) -> String {
    format!("{name}.bak")
}

/// Where contents are while they are being written.
fn unfinished(name: &str) -> String {
    format!(".{name}.new")
}

/// Whether others than the owner may read this file. A file that is not there is read by nobody.
#[must_use]
pub fn is_readable_by_others(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_word_the_state_is_where_this_kind_of_program_keeps_it() {
        let among = |variables: &[(&str, &str)], is_root| {
            let variable = |name: &str| Some(variables.iter().find(|(known, _)| *known == name)?.1.into());
            usual_among(&variable, is_root).display().to_string()
        };
        let person = [("HOME", "/home/ada")];
        assert_eq!(among(&person, false), "/home/ada/.local/state/ma-connector");
        assert_eq!(among(&[person[0], ("XDG_STATE_HOME", "/states")], false), "/states/ma-connector");
        assert_eq!(among(&[person[0], ("XDG_STATE_HOME", "relative")], false), "/home/ada/.local/state/ma-connector");
        assert_eq!(among(&person, true), "/var/lib/ma-connector");
        assert_eq!(among(&[("STATE_DIRECTORY", "/var/lib/a:/var/lib/b")], false), "/var/lib/a");
        assert_eq!(among(&[], false), "ma-connector");
    }

    fn directory(name: &str) -> StateDir {
        let unique = macloud_service_kit::random::up_to(u64::MAX - 1);
        StateDir::open(std::env::temp_dir().join(format!("ma-connector-state-{name}-{unique}"))).unwrap()
    }

    #[test]
    fn a_directory_is_brought_to_the_newest_format_step_by_step() {
        let state = directory("formats");
        let mark: Migration =
            |state| state.replace("marks", &[&*state.read_any("marks")?.unwrap_or_default(), b"x"].concat(), true);
        let fail: Migration = |state| Err(state.damaged("marks", "for now"));
        let marks = || state.read_any("marks").unwrap().unwrap_or_default().len();
        assert_eq!(state.format().unwrap(), 1);
        // The second step cannot be done, and the first is not done again.
        state.migrate(&[mark, fail]).unwrap_err();
        assert_eq!((state.format().unwrap(), marks()), (2, 1));
        state.migrate(&[mark, mark]).unwrap();
        assert_eq!((state.format().unwrap(), marks()), (3, 2));
        state.migrate(&[mark, mark]).unwrap();
        assert_eq!(marks(), 2);
        assert!(matches!(state.migrate(&[mark]), Err(StateError::Newer { format: 3, known: 2, .. })));
        std::fs::remove_dir_all(state.path()).unwrap();
    }

    #[test]
    fn commands_can_be_copied() {
        assert_eq!(command("run", &usual_state_dir()), "ma-connector run");
        assert_eq!(command("run", Path::new("/a b/it's")), r"ma-connector run --state-dir '/a b/it'\''s'");
    }
}
