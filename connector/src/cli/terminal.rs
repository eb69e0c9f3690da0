//! A person at the terminal: what is asked of them, and what must not be seen there.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use anyhow::Context as _;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// Whether somebody is there to be asked.
pub(super) fn somebody_is_there() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// What a person answers to this. Nothing, if they only press Enter.
///
/// # Errors
/// When the answer cannot be read.
pub(super) fn answer(question: &str) -> anyhow::Result<Option<String>> {
    ask(question);
    let line = line().context("cannot read the answer")?;
    Ok(Some(line.trim().to_owned()).filter(|answer| !answer.is_empty()))
}

/// The next line of standard input. A person is asked for it, and does not see it while typing.
///
/// # Errors
/// When it cannot be read.
pub(super) fn password(question: &str) -> anyhow::Result<Zeroizing<String>> {
    let _unseen = if std::io::stdin().is_terminal() {
        let unseen = Unseen::begin().context("cannot keep the password from being shown at this terminal")?;
        ask(question);
        Some(unseen)
    } else {
        None
    };
    line().context("cannot read the password from standard input")
}

fn ask(question: &str) {
    let mut err = std::io::stderr().lock();
    // If nobody can read the question, nobody answers it.
    let _ = write!(err, "{question}").and_then(|()| err.flush());
}

fn line() -> std::io::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    std::io::stdin().lock().read_line(&mut line)?;
    let length = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(length);
    Ok(line)
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
