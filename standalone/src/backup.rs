//! `ma-cloud admin backup`: everything that a data directory must not lose as one sealed file, and the way back.
//!
//! A backup holds the database as it is at one moment, the key file without which it cannot be opened, and the skill's keys
//! without which every home must be paired anew. It is made beside a running `serve`, and read back before it counts as made.
//! A restored database is older than what people and apps hold: [`macloud_account_service::AccountService::mark_restored`].

mod sealed;

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use macloud_account_service::{AccountService, Actor, Config, DatabaseSettings, Holdings, snapshot};
use macloud_proto::ids::base32;
use macloud_service_kit::{clock, random};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::sealed::{Opener, Sealer};
use crate::cloud;
use crate::skill_keys::SkillKeys;

/// What a backup says of itself, inside the seal.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    made_at: u64,
    /// The version of the program that made it.
    made_by: String,
    /// In this order, one after the other.
    files: Vec<Held>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Held {
    name: String,
    bytes: u64,
}

/// Make a backup of `data_dir`. What it is, and what it holds.
///
/// # Errors
/// When something cannot be read or written, or what was written does not read back.
pub(crate) async fn create(data_dir: &Path, out: &Path, passphrase_file: &Path) -> anyhow::Result<Value> {
    let passphrase = passphrase(passphrase_file)?;
    ensure!(
        cloud::has_database(data_dir)?,
        "there is no MA Cloud database in {}: check --data-dir",
        data_dir.display()
    );
    ensure!(!out.exists(), "{} is there already, and no backup is overwritten: give another --out", out.display());
    let scratch = Scratch::beside(out)?;
    let copies = scratch.directory("copies")?;
    let copy = cloud::database_file(&copies);
    new_file(&copy)?;
    let from = cloud::database_file(data_dir);
    snapshot(&from, &copy).await.with_context(|| format!("cannot copy {}", from.display()))?;
    // After the database: a key is added before anything is sealed with it.
    for (from, to) in files(data_dir).into_iter().zip(files(&copies)) {
        if !to.exists() && from.exists() {
            std::fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
        }
    }
    if !SkillKeys::file(&copies).exists() {
        tracing::warn!("the skill's keys are not in this data directory: homes must be paired anew after a restore");
    }
    let unfinished = scratch.0.join("backup");
    pack(&copies, &unfinished, &passphrase).context("cannot write the backup")?;
    let mut told = look_into(&unfinished, &passphrase).await.context("the backup that was made is not good")?;
    std::fs::rename(&unfinished, out).with_context(|| format!("cannot write {}", out.display()))?;
    make_last(directory_of(out))?;
    told["backup"] = out.display().to_string().into();
    Ok(told)
}

/// Read a backup as a restore would, and say what it holds.
///
/// # Errors
/// When it does not open, or nothing should be restored from it.
pub(crate) async fn verify(backup: &Path, passphrase_file: &Path) -> anyhow::Result<Value> {
    look_into(backup, &passphrase(passphrase_file)?).await
}

/// Put a backup into a data directory that holds no cloud.
///
/// # Errors
/// When there is one, or the backup does not open. Then the directory is as it was.
pub(crate) async fn restore(
    backup: &Path,
    data_dir: &Path,
    passphrase_file: &Path,
    actor: Actor,
) -> anyhow::Result<Value> {
    let passphrase = passphrase(passphrase_file)?;
    private_directory(data_dir)?;
    let journal = |directory: &Path| with_suffix(&cloud::database_file(directory), "-wal");
    let there = files(data_dir).into_iter().chain([journal(data_dir)]).find(|path| path.exists());
    if let Some(there) = there {
        bail!(
            "{} is there: nothing is restored over a cloud. Stop it and move its files away, or give another --data-dir",
            there.display()
        );
    }
    let _lock = cloud::lock_data_dir(data_dir)?;
    let scratch = Scratch::in_directory(data_dir)?;
    let manifest = unpack(backup, &passphrase, &scratch.0)?;
    let accounts = open(&scratch.0).await?.acting_as(actor);
    let restored = async {
        let holdings = accounts.examine().await?;
        anyhow::Ok((holdings, accounts.mark_restored().await?))
    };
    let restored = restored.await;
    accounts.close().await;
    let (holdings, restored) = restored?;
    // The database last: without it the directory still counts as empty.
    let journals = [(journal(&scratch.0), journal(data_dir))];
    for (from, to) in journals.into_iter().chain(files(&scratch.0).into_iter().zip(files(data_dir))) {
        if from.exists() {
            std::fs::rename(&from, &to).with_context(|| format!("cannot make {}", to.display()))?;
        }
    }
    make_last(data_dir)?;
    let mut told = tell(&manifest, &holdings)?;
    told["data_dir"] = data_dir.display().to_string().into();
    told["sessions_ended"] = restored.sessions_ended.into();
    told["invitations_ended"] = restored.invitations_ended.into();
    Ok(told)
}

/// What a data directory must not lose; the database last.
fn files(directory: &Path) -> [PathBuf; 3] {
    [cloud::key_file(directory), SkillKeys::file(directory), cloud::database_file(directory)]
}

/// What a backup holds, by doing all of a restore but for the last step.
async fn look_into(backup: &Path, passphrase: &str) -> anyhow::Result<Value> {
    let scratch = Scratch::beside(backup)?;
    let manifest = unpack(backup, passphrase, &scratch.0)?;
    let accounts = open(&scratch.0).await?;
    let holdings = accounts.examine().await;
    accounts.close().await;
    let mut told = tell(&manifest, &holdings?)?;
    told["bytes"] = std::fs::metadata(backup)?.len().into();
    Ok(told)
}

fn tell(manifest: &Manifest, holdings: &Holdings) -> anyhow::Result<Value> {
    let mut told = serde_json::to_value(holdings)?;
    told["made_at"] = manifest.made_at.into();
    told["made_by"] = manifest.made_by.as_str().into();
    let names: Vec<&str> = manifest.files.iter().map(|held| held.name.as_str()).collect();
    told["files"] = json!(names.join(", "));
    Ok(told)
}

/// The copy's database, brought up to this version's schema.
async fn open(directory: &Path) -> anyhow::Result<AccountService> {
    let config = Config::new("http://localhost", cloud::key_file(directory));
    let database = DatabaseSettings::Sqlite(cloud::database_file(directory));
    AccountService::open(config, &database, clock::system())
        .await
        .context("the database in the backup cannot be opened")
}

fn pack(directory: &Path, out: &Path, passphrase: &str) -> anyhow::Result<()> {
    let there: Vec<PathBuf> = files(directory).into_iter().filter(|path| path.exists()).collect();
    let held = there.iter().map(|path| -> io::Result<Held> {
        Ok(Held { name: name(path).to_owned(), bytes: std::fs::metadata(path)?.len() })
    });
    let manifest = Manifest {
        made_at: clock::system().unix_seconds(),
        made_by: env!("CARGO_PKG_VERSION").into(),
        files: held.collect::<io::Result<_>>()?,
    };
    let manifest = serde_json::to_vec(&manifest)?;
    let mut sealer = Sealer::begin(BufWriter::new(new_file(out)?), passphrase)?;
    sealer.write_all(&u32::try_from(manifest.len())?.to_be_bytes())?;
    sealer.write_all(&manifest)?;
    for path in &there {
        io::copy(&mut File::open(path)?, &mut sealer)?;
    }
    let file = sealer.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(file.sync_all()?)
}

fn unpack(backup: &Path, passphrase: &str, into: &Path) -> anyhow::Result<Manifest> {
    let context = || format!("{} cannot be read", backup.display());
    let mut opener =
        Opener::begin(BufReader::new(File::open(backup).with_context(context)?), passphrase).with_context(context)?;
    let mut length = [0; 4];
    opener.read_exact(&mut length).with_context(context)?;
    let mut manifest = Vec::new();
    opener.by_ref().take(u32::from_be_bytes(length).into()).read_to_end(&mut manifest).with_context(context)?;
    let manifest: Manifest = serde_json::from_slice(&manifest).with_context(context)?;
    for held in &manifest.files {
        let known = files(into).into_iter().find(|path| name(path) == held.name);
        let path = known.with_context(|| format!("it holds {:?}, of which this version knows nothing", held.name))?;
        let mut file = new_file(&path)?;
        let bytes = io::copy(&mut opener.by_ref().take(held.bytes), &mut file).with_context(context)?;
        ensure!(bytes == held.bytes, "{} holds less of {:?} than it says", backup.display(), held.name);
        file.sync_all()?;
    }
    ensure!(opener.read(&mut [0]).with_context(context)? == 0, "{} holds more than it says", backup.display());
    let lacks = [cloud::key_file(into), cloud::database_file(into)].into_iter().find(|path| !path.exists());
    if let Some(lacks) = lacks {
        bail!("{} holds no {}", backup.display(), name(&lacks));
    }
    Ok(manifest)
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

fn passphrase(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let passphrase = text.lines().next().unwrap_or_default().trim().to_owned();
    ensure!(
        passphrase.chars().count() >= SHORTEST_PASSPHRASE,
        "the passphrase in {} is too short: {SHORTEST_PASSPHRASE} characters at least, such as \"openssl rand -base64 24\" makes",
        file.display()
    );
    Ok(passphrase)
}

fn new_file(path: &Path) -> anyhow::Result<File> {
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.with_context(|| format!("cannot make {}", path.display()))
}

fn private_directory(path: &Path) -> anyhow::Result<()> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("cannot make {}", path.display()))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Only that makes what was renamed last.
fn make_last(directory: &Path) -> anyhow::Result<()> {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.with_context(|| format!("cannot write to {}", directory.display()))
}

/// A directory for what is not sealed, that goes when this does.
struct Scratch(PathBuf);

impl Scratch {
    /// Where the file is, so that there is room for it and it can be moved.
    fn beside(file: &Path) -> anyhow::Result<Self> {
        Self::in_directory(directory_of(file))
    }

    fn in_directory(directory: &Path) -> anyhow::Result<Self> {
        let path = directory.join(format!(".ma-cloud-backup-{}", base32(&random::bytes::<10>())));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    fn directory(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.0.join(name);
        private_directory(&path)?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "what is in this directory is not sealed, and it cannot be removed: do so");
        }
    }
}

/// Whoever has the file can try as often as they like.
const SHORTEST_PASSPHRASE: usize = 16;
