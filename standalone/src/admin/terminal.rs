//! A person at the terminal: what is asked of them, and what must not be seen there.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use anyhow::Context as _;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// The first line of standard input. A person is asked for it, and does not see it while typing.
///
/// # Errors
/// When it cannot be read.
pub(super) fn password() -> anyhow::Result<String> {
    let _unseen = if std::io::stdin().is_terminal() {
        let unseen = Unseen::begin().context("cannot keep the password from being shown at this terminal")?;
        ask("Password (it is not shown): ");
        Some(unseen)
    } else {
        None
    };
    line().context("cannot read the password from standard input")
}

/// Whether a person agrees to this. Without a person, what was written is meant.
///
/// # Errors
/// When the answer cannot be read.
pub(super) fn agrees(to: &str) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(true);
    }
    ask(&format!("{to} There is no way back. Type yes to go on: "));
    Ok(line().context("cannot read the answer")? == "yes")
}

fn ask(question: &str) {
    let mut err = std::io::stderr().lock();
    // If nobody can read the question, nobody answers it.
    let _ = write!(err, "{question}").and_then(|()| err.flush());
}

fn line() -> std::io::Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// What is typed is not shown until this is dropped.
struct Unseen(Termios);

impl Unseen {
    fn begin() -> std::io::Result<Self> {
        let before = tcgetattr(std::io::stdin())?;
        let mut unseen = before.clone();
        unseen.local_modes.remove(LocalModes::ECHO);
        unseen.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &unseen)?;
        Ok(Self(before))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        // The terminal has gone: nobody types there any more.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}
