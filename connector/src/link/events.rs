//! What the home has to tell without being asked, as sessions and those who have something to tell share it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use macloud_proto::link::event_outbox::EventOutbox;
use macloud_proto::link::frame::Event;
use tokio::sync::watch;

/// The home's outbox. Outlives sessions.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    kept: Mutex<EventOutbox>,
    /// Sent to whenever something was put in.
    stirred: watch::Sender<()>,
}

impl Outbox {
    /// Tell the cloud this, as soon as there is a session whose cloud takes events. Of those with one key only the latest.
    pub(crate) fn tell(&self, event: Event) {
        match self.kept().put(event) {
            Ok(put) if put.dropped > 0 => {
                tracing::debug!(dropped = put.dropped, "more to tell than the cloud takes: the oldest is left out");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!("an event was not sent: {error}"),
        }
        self.stirred.send_replace(());
    }

    /// Forget what has not left yet.
    pub(crate) fn clear(&self) {
        self.kept().clear();
    }

    /// What waits, for a moment.
    pub(super) fn kept(&self) -> MutexGuard<'_, EventOutbox> {
        // What is behind this lock is consistent between its own calls.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stirred(&self) -> watch::Receiver<()> {
        self.stirred.subscribe()
    }
}
