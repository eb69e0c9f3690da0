//! The state directory: what a connector must still know after a restart, and nothing else.
//!
//! | file | what | who may read it |
//! |---|---|---|
//! | `identity.key` | seed of the home's identity key; never leaves this directory | owner |
//! | `pairing.json` | where and as which home this connector is registered | owner |
//! | `skill-keys` | the pinned key set, signed by its root | owner |
//! | `install.id` | tells two installations with the same key apart | owner |
//! | `music-assistant.json`, `music-assistant.token` | where Music Assistant is, and its token | owner |
//! | `rules.json` | what the owner allows; may be edited by hand | owner |
//! | `devices.json` | which player each voice device is used with | owner |
//! | `timers.json` | which players will stop by themselves, and when | owner |
//! | `listed.json` | which players and favourites the cloud was told of, if the owner wants it told | owner |
//! | `status.json` | how it stands, without secrets | owner |
//! | `stopped` | the stop-now switch: it is on while this file exists | owner |
//! | `lock` | held while a connector runs or pairs | owner |
//!
//! Every file is replaced as a whole, and all but `status.json` are flushed to the disk first, so that a power cut leaves the
//! old or the new one.

use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use macloud_e2ee::keys::PinnedKeySet;
use macloud_proto::ids::InstanceId;
use macloud_proto::jose::SigningKey;
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

use crate::memory::{Device, Timer};
use crate::music_assistant::token::Token;
use crate::news::Listed;
use crate::rules::Rules;

const RULES: &str = "rules.json";
const DEVICES: &str = "devices.json";
const TIMERS: &str = "timers.json";
const LISTED: &str = "listed.json";
const TOKEN: &str = "music-assistant.token";

/// Nothing here is larger.
const MAX_FILE: u64 = 1 << 20;

/// Why the state directory cannot be used. Says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The system refused.
    #[error("cannot use {path}: {source}. Check that this user may read and write the state directory.")]
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
    /// A file is damaged.
    #[error("{path} is damaged ({what}). Restore it from a backup, or remove it and pair again.")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// In what way.
        what: String,
    },
}

/// Where and as which home this connector is registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pairing {
    /// The account service that it was paired with.
    #[serde(with = "crate::url_text")]
    pub cloud: Url,
    /// The home's id there.
    pub instance_id: InstanceId,
    /// The home's name as it was at pairing.
    pub home_name: String,
    /// The relay to dial, as last told.
    #[serde(with = "crate::url_text")]
    pub relay_url: Url,
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

    /// Take the lock.
    ///
    /// # Errors
    /// [`StateError::InUse`] while another process has it.
    pub fn lock(&self) -> Result<StateLock, StateError> {
        let path = self.file("lock");
        let failed = |source| StateError::Io { path: path.clone(), source };
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(failed)?;
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
        self.file("lock").exists() && matches!(self.lock(), Err(StateError::InUse(_)))
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
                self.write("identity.key", &*seed)?;
                seed
            }
        };
        Ok(Arc::new(SigningKey::from_seed(&seed)))
    }

    /// The identity key's seed if there is one, and there must be one where there is a pairing.
    fn existing_identity(&self) -> Result<Option<Zeroizing<[u8; 32]>>, StateError> {
        self.keep_private("identity.key")?;
        let bytes = match self.read("identity.key")? {
            Some(bytes) => Zeroizing::new(bytes),
            None if self.is_paired() => return Err(StateError::IdentityLost { path: self.file("identity.key") }),
            None => return Ok(None),
        };
        let seed: [u8; 32] =
            bytes.as_slice().try_into().map_err(|_| self.damaged("identity.key", "it must have 32 bytes"))?;
        Ok(Some(Zeroizing::new(seed)))
    }

    /// The public half of the identity key if there is one already.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn public_identity(&self) -> Result<Option<[u8; 32]>, StateError> {
        Ok(self.existing_identity()?.map(|seed| *SigningKey::from_seed(&seed).public()))
    }

    /// The installation's id; made at first use.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn install_id(&self) -> Result<[u8; 16], StateError> {
        if let Some(bytes) = self.read("install.id")?
            && let Ok(id) = bytes.try_into()
        {
            return Ok(id);
        }
        let id = macloud_service_kit::random::bytes();
        self.write("install.id", &id)?;
        Ok(id)
    }

    /// Where it is registered, if it is.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn pairing(&self) -> Result<Option<Pairing>, StateError> {
        self.read_json("pairing.json")
    }

    /// Whether a pairing is kept here, readable or not.
    #[must_use]
    pub fn is_paired(&self) -> bool {
        self.file("pairing.json").exists()
    }

    /// Remember a pairing and what was pinned with it.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn save_pairing(&self, pairing: &Pairing, keys: &PinnedKeySet) -> Result<(), StateError> {
        self.save_skill_keys(keys)?;
        self.write_json("pairing.json", pairing)
    }

    /// The pinned key set, if there is one.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn skill_keys(&self) -> Result<Option<PinnedKeySet>, StateError> {
        let Some(bytes) = self.read("skill-keys")? else { return Ok(None) };
        let keys = PinnedKeySet::from_bytes(&bytes).map_err(|error| self.damaged("skill-keys", &error.to_string()))?;
        Ok(Some(keys))
    }

    /// The pinned key set of a home that is paired.
    ///
    /// # Errors
    /// [`StateError::KeysLost`] when there is none.
    pub fn kept_skill_keys(&self) -> Result<PinnedKeySet, StateError> {
        self.skill_keys()?.ok_or_else(|| StateError::KeysLost { path: self.file("skill-keys") })
    }

    /// Remember a newer key set.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn save_skill_keys(&self, keys: &PinnedKeySet) -> Result<(), StateError> {
        self.write("skill-keys", &keys.to_bytes())
    }

    /// Where Music Assistant is, as far as it was told.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn music_assistant(&self) -> Result<MusicAssistantPlace, StateError> {
        Ok(self.read_json("music-assistant.json")?.unwrap_or_default())
    }

    /// Remember where Music Assistant is.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn save_music_assistant(&self, place: &MusicAssistantPlace) -> Result<(), StateError> {
        self.write_json("music-assistant.json", place)
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

    /// Remember what the owner allows. A connector that runs notices within a second.
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
        self.file("stopped").exists()
    }

    /// Press or release "stop now". A connector that runs notices within a second.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn set_stopped(&self, stopped: bool) -> Result<(), StateError> {
        if stopped {
            return self.write("stopped", b"");
        }
        let path = self.file("stopped");
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(StateError::Io { path, source }),
            _ => Ok(()),
        }
    }

    /// What a running connector last said about itself.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn status<T: for<'de> Deserialize<'de>>(&self) -> Result<Option<T>, StateError> {
        self.read_json("status.json")
    }

    /// Say how it stands.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn save_status(&self, status: &impl Serialize) -> Result<(), StateError> {
        // Not flushed: it is written on the way of commands, and is of no use after a power cut.
        self.replace("status.json", &self.json("status.json", status)?, false)
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

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
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
        self.replace(name, bytes, true)
    }

    fn replace(&self, name: &str, bytes: &[u8], flushed: bool) -> Result<(), StateError> {
        let path = self.file(name);
        let unfinished = self.file(&format!(".{name}.new"));
        let written = || -> io::Result<()> {
            let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&unfinished)?;
            // Also if it is left over from a write that was cut short, whoever copied it since.
            file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
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
        written().map_err(|source| StateError::Io { path: path.clone(), source })
    }
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

    #[test]
    fn commands_can_be_copied() {
        assert_eq!(command("run", &usual_state_dir()), "ma-connector run");
        assert_eq!(command("run", Path::new("/a b/it's")), r"ma-connector run --state-dir '/a b/it'\''s'");
    }
}
