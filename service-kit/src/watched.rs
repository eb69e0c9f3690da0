//! Files that are read again while the program runs.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// Call `look` every ten seconds, and at a SIGHUP with `true`: then it must read, changed or not. It is given what it returned
/// last. For ever; cancelling it is safe.
///
/// # Errors
/// When the operating system does not let the signal be caught.
pub(crate) async fn watch<T: Copy + Send + 'static>(
    mut seen: T,
    look: impl Fn(bool, T) -> T + Clone + Send + 'static,
) -> io::Result<()> {
    let mut asked = signal(SignalKind::hangup())?;
    loop {
        let told = tokio::select! {
            _ = asked.recv() => true,
            () = tokio::time::sleep(LOOK_EVERY) => false,
        };
        let (tell, looked) = oneshot::channel();
        let look = look.clone();
        // A thread of its own: a file system that hangs must stop nothing else, nor keep the program from ending.
        std::thread::spawn(move || tell.send(look(told, seen)));
        seen = looked.await.unwrap_or(seen);
    }
}

const LOOK_EVERY: Duration = Duration::from_secs(10);
