//! What every long-running program does: take the open files it may have, say where it listens, and stop when told to.

use std::io::{self, Write as _};

use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use crate::stop::Stop;

/// One JSON line on standard output, for whoever started this program (with port 0, say).
pub fn announce(event: &Value) {
    let mut out = io::stdout().lock();
    // Nobody may be listening any more; that is no reason to end.
    let _ = writeln!(out, "{event}").and_then(|()| out.flush());
}

/// Raise this process's limit of open files as far as it may, and say what it is then. Most systems start programs with 1024,
/// for the sake of old ones, and let them ask for more.
#[cfg(feature = "server")]
#[must_use]
pub fn raise_open_file_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    current.unwrap_or(u64::MAX)
}

/// A stop that SIGTERM or SIGINT asks for: once to finish what is held, a second time to leave now. From the return of this on
/// no such signal kills the process.
///
/// # Errors
/// When the operating system does not let signals be caught.
pub fn stop_on_signals() -> io::Result<Stop> {
    let stop = Stop::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let told = stop.clone();
    tokio::spawn(async move {
        for asked in [Stop::stop_soft, Stop::stop_hard] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("told to stop (once: finish what is in flight; twice: leave now)");
            asked(&told);
        }
    });
    Ok(stop)
}

#[cfg(all(test, feature = "server"))]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_open_files_is_raised_as_far_as_it_may() {
        let raised = raise_open_file_limit();
        let now = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        assert_eq!((now.current, now.maximum.unwrap_or(u64::MAX)), (now.maximum, raised));
    }
}
