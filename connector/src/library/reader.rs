//! Reading the library in the background, so slowly that nobody notices.

use std::time::Duration;

use macloud_service_kit::stop::Stop;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::{Extent, KINDS, item, list_name};
use crate::music_assistant::{CallError, Condition, MusicAssistant};

/// Waits of the reader. The defaults are for homes; tests are quicker.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// After connecting: players and commands come first.
    pub first: Duration,
    /// Between pages, at least. Three times as long as the page took, if that is more: then this is at most a quarter of what
    /// Music Assistant does.
    pub between_pages: Duration,
    /// Between two times of reading everything.
    pub refresh: Duration,
    /// After a connection was lost, events may have been missed: everything is read again, but not more often than this.
    pub again: Duration,
    /// After a failure.
    pub retry: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(5),
            between_pages: Duration::from_millis(100),
            refresh: Duration::from_secs(12 * 3600),
            again: Duration::from_secs(900),
            retry: Duration::from_secs(60),
        }
    }
}

/// Keep `ma`'s library known until told to stop. To be run once.
pub async fn keep(ma: &MusicAssistant, pace: Pace, stop: Stop) {
    tokio::select! {
        () = stop.soft() => {}
        () = keep_for_ever(ma, pace) => {}
    }
}

async fn keep_for_ever(ma: &MusicAssistant, pace: Pace) {
    let mut conditions = ma.conditions();
    loop {
        if conditions.wait_for(Condition::is_ready).await.is_err() {
            return;
        }
        sleep(pace.first).await;
        let began = Instant::now();
        match read_all(ma, pace).await {
            Ok(()) => {
                let items = ma.library().len();
                tracing::debug!(items, "the library is known: {items} items");
                let lost = async { conditions.wait_for(|condition| !condition.is_ready()).await.is_ok() };
                match timeout(pace.refresh, lost).await {
                    Ok(true) => sleep(pace.again.saturating_sub(began.elapsed())).await,
                    Ok(false) => return,
                    Err(_) => {}
                }
            }
            Err(error) => {
                tracing::debug!("the library could not be read to its end: {error}");
                sleep(pace.retry).await;
            }
        }
    }
}

/// All lists, page by page, one request at a time.
async fn read_all(ma: &MusicAssistant, pace: Pace) -> Result<(), CallError> {
    let library = ma.library();
    library.lock().catalogue.begin();
    let mut full = false;
    for kind in KINDS {
        let command = format!("music/{}/library_items", list_name(kind));
        let mut offset = 0;
        loop {
            let began = Instant::now();
            // In this order new items come last and move no page.
            let args = json!({ "limit": PAGE, "offset": offset, "order_by": "timestamp_added" });
            let page = match ma.call(&command, args, PAGE_LIMIT).await {
                Ok(Value::Array(page)) => page,
                // An old server has no such list, or the token's user may not read it: then it is not looked through.
                Ok(_) => break,
                Err(CallError::Refused(code)) if !code.refuses_token() => break,
                Err(error) => return Err(error),
            };
            let last = page.len() < PAGE;
            offset += page.len();
            {
                let mut state = library.lock();
                for media in page.iter().filter_map(item) {
                    state.catalogue.put(&media);
                }
                full = state.catalogue.is_full();
                if last {
                    state.catalogue.all_read(kind);
                }
            }
            drop(page);
            if last || full {
                break;
            }
            sleep(pace.between_pages.max(3 * began.elapsed())).await;
        }
    }
    let mut state = library.lock();
    state.catalogue.end();
    state.extent = if full { Extent::Full } else { Extent::Whole };
    Ok(())
}

/// An item is about 2 KB of JSON. Larger pages would keep Music Assistant, and this program, from other work for longer.
const PAGE: usize = 100;

/// Nobody waits for it.
const PAGE_LIMIT: Duration = Duration::from_secs(30);
