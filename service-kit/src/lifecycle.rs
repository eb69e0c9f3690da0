//! What every long-running program does: say where it listens, and stop when told to.

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
