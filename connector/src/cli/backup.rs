//! `backup` and `restore`: a home in one file, and back.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use macloud_proto::ids::fingerprint;
use macloud_service_kit::clock;
use serde_json::json;
use zeroize::Zeroizing;

use super::{Json, Place, line, say, steps_to_run, terminal};
use crate::backup::{Cost, HomeBackup, MAX_BACKUP};
use crate::state::StateDir;

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The file to write. It must not exist yet.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Take Music Assistant's token along, so that the restored home needs nothing more. Whoever opens the backup can then use
    /// Music Assistant, too.
    #[arg(long)]
    with_ma_token: bool,
    #[command(flatten)]
    passphrase: Passphrase,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// The backup.
    #[arg(long = "in", value_name = "FILE")]
    input: PathBuf,
    #[command(flatten)]
    passphrase: Passphrase,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, Args)]
struct Passphrase {
    /// Read the passphrase from the first line of standard input, instead of asking for it.
    #[arg(long)]
    passphrase_stdin: bool,
    /// Read it from the first line of this file.
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_stdin")]
    passphrase_file: Option<PathBuf>,
}

pub(super) fn backup_verb(args: &BackupArgs) -> anyhow::Result<ExitCode> {
    let BackupArgs { out, with_ma_token, passphrase, place, json } = args;
    let state = place.existing_state()?;
    if out.exists() {
        // Said before anybody chooses a passphrase.
        bail!("{} is there already, and no backup is overwritten: give another --out", out.display());
    }
    let home = HomeBackup::of(&state, *with_ma_token, clock::system().unix_seconds())?;
    let sealed = home.seal(&passphrase.chosen()?, Cost::USUAL)?;
    write_new(out, &sealed).with_context(|| format!("the backup {} cannot be written", out.display()))?;
    if json.json {
        line(
            &json!({ "event": "backup", "file": out.display().to_string(), "home_name": home.home_name(), "with_ma_token": home.has_token() }),
        );
    } else {
        let token = if home.has_token() { "is" } else { "is not" };
        say(&format!(
            "Wrote {}. It opens with the passphrase only: keep that elsewhere. Music Assistant's token {token} in it.",
            out.display()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn restore_verb(args: &RestoreArgs) -> anyhow::Result<ExitCode> {
    let RestoreArgs { input, passphrase, place, json } = args;
    let sealed = read_bounded(input).with_context(|| format!("the backup {} cannot be read", input.display()))?;
    // Whether it is one at all is said before anybody types a passphrase.
    crate::backup::Header::read(&sealed)?;
    let home = HomeBackup::open(&sealed, &passphrase.known()?)?;
    let state = StateDir::open(&place.state_dir)?;
    let lock = state.lock()?;
    home.restore(&state, &place.dialer()?)?;
    // Who gives others knows better than the backup.
    place.keep_authorities()?;
    drop(lock);
    let shown = state.public_identity()?.map(|key| fingerprint(&key));
    if json.json {
        line(
            &json!({ "event": "restored", "home_name": home.home_name(), "fingerprint": shown, "with_ma_token": home.has_token(), "made_at": home.made_at() }),
        );
    } else {
        say(&next_step(&home, &state, place));
    }
    Ok(ExitCode::SUCCESS)
}

fn next_step(home: &HomeBackup, state: &StateDir, place: &Place) -> String {
    format!(
        "Restored \"{}\". First stop the connector where this home was until now, and do not start it there again: two with the same key take each other's place, and commands get lost.\n{}",
        home.home_name(),
        // The address came along, if one was ever needed.
        steps_to_run(state, true, place)
    )
}

impl Passphrase {
    /// One that is being chosen: typed twice.
    fn chosen(&self) -> anyhow::Result<Zeroizing<String>> {
        let chosen = self.asked("Passphrase for the backup: ")?;
        if self.is_typed() && *chosen != *self.asked("The same again: ")? {
            bail!("the two passphrases are not the same");
        }
        Ok(chosen)
    }

    /// One that was chosen before.
    fn known(&self) -> anyhow::Result<Zeroizing<String>> {
        self.asked("Passphrase of the backup: ")
    }

    const fn is_typed(&self) -> bool {
        !self.passphrase_stdin && self.passphrase_file.is_none()
    }

    fn asked(&self, question: &str) -> anyhow::Result<Zeroizing<String>> {
        if self.is_typed() && !io::stdin().is_terminal() {
            bail!(
                "there is no terminal to ask for the passphrase; give it on standard input, with --passphrase-stdin, or with --passphrase-file FILE"
            );
        }
        let passphrase = match &self.passphrase_file {
            Some(file) => {
                first_line(file).with_context(|| format!("the passphrase in {} cannot be read", file.display()))?
            }
            None => terminal::password(question)?,
        };
        if passphrase.is_empty() {
            bail!("no passphrase was given");
        }
        Ok(passphrase)
    }
}

fn first_line(path: &Path) -> io::Result<Zeroizing<String>> {
    let text = Zeroizing::new(std::fs::read_to_string(path)?);
    // As the cloud's backups take it, so that one file serves for both.
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().trim().to_owned()))
}

/// For the owner alone, and never over something else.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a backup is none.
        let _ = std::fs::remove_file(path);
    }
    written
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One more than any backup has, so that what is longer is seen to be.
    File::open(path)?.take(MAX_BACKUP as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
