//! `backup` and `restore`: a home in one file, and back.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use macloud_proto::ids::fingerprint;
use macloud_service_kit::clock;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use serde_json::json;
use zeroize::Zeroizing;

use super::{Json, Place, line, say};
use crate::backup::{Cost, HomeBackup, MAX_BACKUP};
use crate::state::{StateDir, command};

/// No passphrase is longer.
const MAX_PASSPHRASE: u64 = 4096;

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
}

pub(super) fn backup_verb(args: &BackupArgs) -> anyhow::Result<ExitCode> {
    let BackupArgs { out, with_ma_token, passphrase, place, json } = args;
    let state = place.existing_state()?;
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
    home.restore(&state)?;
    drop(lock);
    let shown = state.public_identity()?.map(|key| fingerprint(&key));
    if json.json {
        line(
            &json!({ "event": "restored", "home_name": home.home_name(), "fingerprint": shown, "with_ma_token": home.has_token(), "made_at": home.made_at() }),
        );
    } else {
        say(&next_step(&home, &state));
    }
    Ok(ExitCode::SUCCESS)
}

fn next_step(home: &HomeBackup, state: &StateDir) -> String {
    let mut step = format!(
        "Restored \"{}\". First stop the connector where this home was until now, and do not start it there again: two with the same key take each other's place, and commands get lost.\nNext: {}",
        home.home_name(),
        command("run", state.path())
    );
    if !home.has_token() {
        step.push_str(" --ma-token-file FILE\nFILE holds a token of Music Assistant: create one in its web page under Settings, Profile, long-lived access tokens.");
    }
    step
}

impl Passphrase {
    /// One that is being chosen: typed twice.
    fn chosen(&self) -> anyhow::Result<Zeroizing<String>> {
        let chosen = self.asked("Passphrase for the backup: ")?;
        if !self.passphrase_stdin && *chosen != *self.asked("The same again: ")? {
            bail!("the two passphrases are not the same");
        }
        Ok(chosen)
    }

    /// One that was chosen before.
    fn known(&self) -> anyhow::Result<Zeroizing<String>> {
        self.asked("Passphrase of the backup: ")
    }

    fn asked(&self, question: &str) -> anyhow::Result<Zeroizing<String>> {
        let stdin = io::stdin();
        if self.passphrase_stdin {
            return first_line(stdin.lock()).context("no passphrase came on standard input");
        }
        if !stdin.is_terminal() {
            bail!("there is no terminal to ask for the passphrase; give it on standard input, with --passphrase-stdin");
        }
        let mut terminal = io::stderr().lock();
        let _ = write!(terminal, "{question}").and_then(|()| terminal.flush());
        let hidden = Hidden::begin();
        let typed = first_line(stdin.lock());
        drop(hidden);
        let _ = writeln!(terminal);
        typed.context("no passphrase was typed")
    }
}

/// What is typed is not shown, as long as this lives.
struct Hidden(Option<Termios>);

impl Hidden {
    fn begin() -> Self {
        let Ok(shown) = tcgetattr(io::stdin()) else { return Self(None) };
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        // Where it cannot be hidden it is seen, as every other line is.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &hidden);
        Self(Some(shown))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some(shown) = &self.0 {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, shown);
        }
    }
}

fn first_line(input: impl io::BufRead) -> io::Result<Zeroizing<String>> {
    let mut typed = Zeroizing::new(String::new());
    input.take(MAX_PASSPHRASE).read_line(&mut typed)?;
    let line = Zeroizing::new(typed.trim_end_matches(['\r', '\n']).to_owned());
    if line.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(line) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_the_first_line() {
        for (given, line) in [("words\n", "words"), ("words\r\nmore\n", "words"), (" words ", " words ")] {
            assert_eq!(first_line(given.as_bytes()).unwrap().as_str(), line);
        }
        assert!(first_line(&b""[..]).is_err() && first_line(&b"\n"[..]).is_err());
    }
}
