//! When a command waits for Music Assistant: from the first thing that it asks to the last answer that it gets.
//!
//! Two moments of this process's clock, and nothing of what was asked. They go beside the sealed reply, so that a command's
//! trace tells Music Assistant's time from the connector's own.

use std::cell::Cell;

use tokio::time::Instant;

tokio::task_local! {
    static WAITED: Cell<Option<Waited>>;
}

/// From the first question to the last answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waited {
    pub(crate) from: Instant,
    pub(crate) until: Instant,
}

/// Run `work`, and note when it waits for Music Assistant; none, when it does not. What it leaves to other tasks is not seen:
/// its reply does not wait for them either.
pub(crate) async fn noting<T>(work: impl Future<Output = T>) -> (T, Option<Waited>) {
    let work = async {
        let done = work.await;
        (done, WAITED.with(Cell::get))
    };
    WAITED.scope(Cell::new(None), work).await
}

/// From here until it is dropped, whoever runs this waits for Music Assistant. Dropped early when a time limit ends the wait.
pub(super) struct Waiting {
    from: Instant,
}

impl Waiting {
    pub(super) fn begin() -> Self {
        Self { from: Instant::now() }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let until = Instant::now();
        let note = |waited: &Cell<Option<Waited>>| {
            let from = waited.get().map_or(self.from, |before| before.from.min(self.from));
            waited.set(Some(Waited { from, until }));
        };
        // An error means that no command is behind it, such as when the library is read.
        let _ = WAITED.try_with(note);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{sleep, timeout};

    use super::*;

    async fn ask(takes: u64) {
        let _waiting = Waiting::begin();
        sleep(Duration::from_millis(takes)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn from_the_first_question_to_the_last_answer() {
        let began = Instant::now();
        let work = async {
            sleep(Duration::from_millis(10)).await;
            ask(20).await;
            sleep(Duration::from_millis(5)).await;
            futures_util::future::join(ask(40), ask(30)).await;
            sleep(Duration::from_millis(7)).await;
        };
        let ((), waited) = noting(work).await;
        let waited = waited.unwrap();
        assert_eq!(waited.from - began, Duration::from_millis(10));
        assert_eq!(waited.until - began, Duration::from_millis(75));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_given_up_counts_until_then() {
        let work = async { timeout(Duration::from_millis(15), ask(1000)).await.is_err() };
        let (given_up, waited) = noting(work).await;
        assert!(given_up);
        let waited = waited.unwrap();
        assert_eq!(waited.until - waited.from, Duration::from_millis(15));
    }

    #[tokio::test(start_paused = true)]
    async fn what_asks_nothing_has_waited_for_nothing() {
        assert_eq!(noting(async { 7 }).await, (7, None));
        // Outside of a command there is nobody to note it.
        ask(1).await;
    }
}
