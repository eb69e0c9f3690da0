//! The skill deployment's keys in the data directory: the root that homes pin at pairing, and the key that signs sessions.
//!
//! The hosted service keeps the root offline. A self-hosted cloud is one machine with one owner, so both lie in one file,
//! readable by that owner only; whoever takes the machine over has the skill process anyway.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use macloud_e2ee::keys::{KeySetRoot, PinnedKeySet, SkillPublicKey, SkillSigner};
use macloud_service_kit::random;
use serde::{Deserialize, Serialize};

const FILE: &str = "skill-keys.json";
/// What `create_files` and the verbs after it call their files.
const SIGNING_FILE: &str = "skill-signing.seed";
const KEY_SET_FILE: &str = "skill-key-set";

/// The keys, loaded.
#[derive(Debug)]
pub struct SkillKeys {
    /// Signs sealed sessions.
    pub signer: SkillSigner,
    /// The key set, signed by the root: handed to homes at pairing and with each instance token.
    pub signed_key_set: Vec<u8>,
    /// Seals event grants for the account service to keep.
    pub vault_key: [u8; 32],
}

#[derive(Serialize, Deserialize)]
struct Stored {
    root_seed: String,
    signing_seed: String,
    vault_key: String,
    key_set_version: u64,
}

impl Stored {
    /// Sets of the versions before had no key for events, and homes take no other set of the same version.
    const fn set_version(&self) -> u64 {
        self.key_set_version + 1
    }
}

impl SkillKeys {
    /// Where they lie in `data_dir`.
    #[must_use]
    pub fn file(data_dir: &Path) -> PathBuf {
        data_dir.join(FILE)
    }

    /// Load the keys of `data_dir`, or make them.
    ///
    /// # Errors
    /// When the file cannot be read or written, or is not ours.
    pub fn load_or_create(data_dir: &Path) -> anyhow::Result<Self> {
        let path = Self::file(data_dir);
        let stored = if path.try_exists().with_context(|| format!("cannot read {}", path.display()))? {
            read(&path)?
        } else {
            create(&path)?
        };
        let root = KeySetRoot::from_seed(&seed(&stored.root_seed)?);
        let signer = SkillSigner::from_seed(&seed(&stored.signing_seed)?);
        let signed_key_set = root.sign_key_set(stored.set_version(), &[signer.public_key(0), signer.event_key(0)])?;
        Ok(Self { signer, signed_key_set, vault_key: seed(&stored.vault_key)? })
    }
}

/// Put another signing key in the place of the one in `data_dir`, in a key set that has it alone: homes that have the set refuse
/// what the old key signs. `serve` takes both at its next start, and as homes dial in again then, they get the set at once; that is why
/// there is no time with both keys, as [`add_key`] gives. Root and vault key stay: no home is paired anew, no grant is lost.
///
/// # Errors
/// When there are no keys yet, the file is not ours, or it cannot be written. Then the old key stays.
pub fn replace(data_dir: &Path) -> anyhow::Result<serde_json::Value> {
    let path = SkillKeys::file(data_dir);
    let stored = read(&path)?;
    let stored = Stored {
        signing_seed: STANDARD.encode(random::bytes::<32>()),
        key_set_version: stored.key_set_version + 1,
        ..stored
    };
    write(&path, &stored)?;
    let version = stored.set_version();
    Ok(serde_json::json!({ "key_set_version": version, "next": "restart ma-cloud serve, then make a backup" }))
}

/// Make the keys of a deployment whose parts are processes of their own, as one file each in `dir`, and say which is for whom.
/// The root signs only: after this, it belongs somewhere safe and away from the cloud.
///
/// # Errors
/// When a file is there already or cannot be written.
pub fn create_files(dir: &Path) -> anyhow::Result<serde_json::Value> {
    let [root, signing, vault] = [(); 3].map(|()| random::bytes::<32>());
    let signer = SkillSigner::from_seed(&signing);
    let keys = [signer.public_key(0), signer.event_key(0)];
    let key_set = KeySetRoot::from_seed(&root).sign_key_set(1, &keys)?;
    Ok(serde_json::json!({
        "root_seed_file": write_new(dir, "skill-root.seed", &STANDARD.encode(root))?,
        "signing_key_file": write_new(dir, SIGNING_FILE, &STANDARD.encode(signing))?,
        "vault_key_file": write_new(dir, "skill-vault.key", &STANDARD.encode(vault))?,
        "skill_key_set_file": write_new(dir, KEY_SET_FILE, &URL_SAFE_NO_PAD.encode(key_set))?,
    }))
}

/// Make another signing key, and a key set in which it stands after those that are there: homes then take what either signs.
///
/// # Errors
/// When a file cannot be read, the root is another than the set's, or `out` holds such files already.
pub fn add_key(root_seed_file: &Path, key_set_file: &Path, out: &Path) -> anyhow::Result<serde_json::Value> {
    let seed = random::bytes::<32>();
    let signer = SkillSigner::from_seed(&seed);
    let fresh = [signer.public_key(0), signer.event_key(0)];
    let (version, key_set) = next_key_set(root_seed_file, key_set_file, |current| [current, &fresh].concat())?;
    Ok(serde_json::json!({
        "key_set_version": version,
        "skill_key_set_file": write_new(out, KEY_SET_FILE, &URL_SAFE_NO_PAD.encode(key_set))?,
        "signing_key_file": write_new(out, SIGNING_FILE, &STANDARD.encode(seed))?,
    }))
}

/// Make a key set in which this signing key stands alone: homes that have it refuse what any other signs.
///
/// # Errors
/// As for [`add_key`], and when the key is not in the current set: homes would never have heard of it.
pub fn keep_only(
    root_seed_file: &Path,
    key_set_file: &Path,
    signing_key_file: &Path,
    out: &Path,
) -> anyhow::Result<serde_json::Value> {
    let signer = SkillSigner::from_seed(&read_seed(signing_key_file)?);
    let kept = [signer.public_key(0), signer.event_key(0)];
    let (version, key_set) = next_key_set(root_seed_file, key_set_file, |current| {
        let of_this = |key: &SkillPublicKey| kept.iter().any(|kept| kept.id == key.id);
        current.iter().copied().filter(of_this).collect()
    })?;
    Ok(serde_json::json!({
        "key_set_version": version,
        "skill_key_set_file": write_new(out, KEY_SET_FILE, &URL_SAFE_NO_PAD.encode(key_set))?,
    }))
}

/// The set that follows the one in the file: its version, and the whole of it.
fn next_key_set(
    root_seed_file: &Path,
    key_set_file: &Path,
    change: impl FnOnce(&[SkillPublicKey]) -> Vec<SkillPublicKey>,
) -> anyhow::Result<(u64, Vec<u8>)> {
    let text = std::fs::read_to_string(key_set_file);
    let text = text.with_context(|| format!("cannot read {}", key_set_file.display()))?;
    let signed = URL_SAFE_NO_PAD.decode(text.trim());
    let signed = signed.with_context(|| format!("{} is not base64url", key_set_file.display()))?;
    let current = PinnedKeySet::pin(&signed).with_context(|| format!("{} is no key set", key_set_file.display()))?;
    let root = KeySetRoot::from_seed(&read_seed(root_seed_file)?);
    ensure!(
        root.public() == current.root(),
        "{} is not the root that signed {}: homes would refuse the new set",
        root_seed_file.display(),
        key_set_file.display()
    );
    let version = current.version() + 1;
    let keys = change(current.keys());
    ensure!(!keys.is_empty(), "this signing key is not in {}: add it first", key_set_file.display());
    Ok((version, root.sign_key_set(version, &keys)?))
}

fn read_seed(path: &Path) -> anyhow::Result<[u8; 32]> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    seed(text.trim()).with_context(|| format!("{} is not a seed", path.display()))
}

fn write_new(dir: &Path, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("cannot make {}", dir.display()))?;
    let path = dir.join(name);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("cannot make {}", path.display()))?;
    writeln!(file, "{text}").with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn read(path: &Path) -> anyhow::Result<Stored> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{} is not a key file", path.display()))
}

fn create(path: &Path) -> anyhow::Result<Stored> {
    let fresh = || STANDARD.encode(random::bytes::<32>());
    let stored = Stored { root_seed: fresh(), signing_seed: fresh(), vault_key: fresh(), key_set_version: 1 };
    write(path, &stored)?;
    Ok(stored)
}

/// Whoever reads meanwhile, a backup for instance, sees the old keys or the new ones. The file's owner stays the same: who does
/// this may be another user than the one that the service runs as.
fn write(path: &Path, stored: &Stored) -> anyhow::Result<()> {
    let unfinished = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file =
            std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(&serde_json::to_vec_pretty(stored)?)?;
        if let Ok(before) = std::fs::metadata(path) {
            fchown(&file, Some(before.uid()), Some(before.gid()))?;
        }
        file.sync_all()?;
        std::fs::rename(&unfinished, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

fn seed(text: &str) -> anyhow::Result<[u8; 32]> {
    let bytes = STANDARD.decode(text).context("a key in the key file is not base64")?;
    ensure!(bytes.len() == 32, "a key in the key file has {} bytes instead of 32", bytes.len());
    Ok(bytes.try_into().expect("length checked above"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn keys_are_made_once_and_readable_by_their_owner_only() {
        let dir = std::env::temp_dir().join(format!("macloud-keys-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let first = SkillKeys::load_or_create(&dir).unwrap();
        let second = SkillKeys::load_or_create(&dir).unwrap();
        assert_eq!(first.signed_key_set, second.signed_key_set);
        let mode = std::fs::metadata(dir.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(dir.join(FILE), "{}").unwrap();
        assert!(SkillKeys::load_or_create(&dir).unwrap_err().to_string().contains("is not a key file"));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn serves_own_signing_key_is_replaced_and_homes_stay_paired() {
        let dir = std::env::temp_dir().join(format!("macloud-own-keys-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        assert!(replace(&dir).unwrap_err().to_string().contains("cannot read"), "there is nothing to replace");
        let before = SkillKeys::load_or_create(&dir).unwrap();
        let mut home = PinnedKeySet::pin(&before.signed_key_set).unwrap();
        let told = replace(&dir).unwrap();
        let after = SkillKeys::load_or_create(&dir).unwrap();
        home.update(&after.signed_key_set).unwrap();
        assert_eq!(home.keys(), [after.signer.public_key(0), after.signer.event_key(0)]);
        assert_eq!(told["key_set_version"], home.version());
        assert_ne!(after.signer.public_key(0).public, before.signer.public_key(0).public);
        assert_eq!(after.vault_key, before.vault_key, "grants for events stay");
        assert!(home.update(&before.signed_key_set).is_err(), "the old key cannot be brought in again");
        let mode = std::fs::metadata(dir.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_signing_key_is_replaced_by_sets_that_homes_take_one_after_the_other() {
        let dir = std::env::temp_dir().join(format!("macloud-skill-keys-{}", std::process::id()));
        let [first, second, third, other] = ["first", "second", "third", "other"].map(|name| dir.join(name));
        create_files(&first).unwrap();
        create_files(&other).unwrap();
        let set = |dir: &Path| {
            let text = std::fs::read_to_string(dir.join(KEY_SET_FILE)).unwrap();
            URL_SAFE_NO_PAD.decode(text.trim()).unwrap()
        };
        let keys = |dir: &Path| {
            let signer = SkillSigner::from_seed(&read_seed(&dir.join(SIGNING_FILE)).unwrap());
            [signer.public_key(0), signer.event_key(0)]
        };
        let root = first.join("skill-root.seed");
        let mut home = PinnedKeySet::pin(&set(&first)).unwrap();

        add_key(&root, &first.join(KEY_SET_FILE), &second).unwrap();
        home.update(&set(&second)).unwrap();
        // Events go on to the key that runs; whatever signs, homes take it.
        assert_eq!(home.keys(), [keys(&first), keys(&second)].concat());
        keep_only(&root, &second.join(KEY_SET_FILE), &second.join(SIGNING_FILE), &third).unwrap();
        home.update(&set(&third)).unwrap();
        assert_eq!((home.keys(), home.version()), (&keys(&second)[..], 3));
        assert!(home.update(&set(&second)).is_err(), "the old key cannot be brought in again");

        let told = |error: anyhow::Error| error.to_string();
        let foreign = add_key(&other.join("skill-root.seed"), &third.join(KEY_SET_FILE), &dir.join("fourth"));
        assert!(told(foreign.unwrap_err()).contains("is not the root"));
        let strange = keep_only(&root, &third.join(KEY_SET_FILE), &other.join(SIGNING_FILE), &dir.join("fourth"));
        assert!(told(strange.unwrap_err()).contains("add it first"));
        assert!(told(add_key(&root, &third.join(KEY_SET_FILE), &second).unwrap_err()).contains("cannot make"));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
