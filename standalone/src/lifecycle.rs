//! What every long-running verb does: say where it listens, and stop when told to.

use std::io::Write as _;

use macloud_service_kit::stop::Stop;
use serde_json::Value;

/// One JSON line on standard output, for whoever started this program.
pub fn announce(event: &Value) {
    let mut out = std::io::stdout().lock();
    // Nobody may be listening any more; that is no reason to end.
    let _ = writeln!(out, "{event}").and_then(|()| out.flush());
}

/// SIGTERM or Ctrl-C asks to finish what is held; a second one to leave now.
pub fn stop_on_signals(stop: &Stop) {
    let stop = stop.clone();
    tokio::spawn(async move {
        next_signal().await;
        tracing::info!("stopping: finishing what is in flight (once more to leave at once)");
        stop.stop_soft();
        next_signal().await;
        stop.stop_hard();
    });
}

async fn next_signal() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = terminated => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
