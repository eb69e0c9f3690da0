//! Fetches certificate chains and remembers those that proved good.
//!
//! Strangers choose the URL, within its rules. So only chains that verified a request are remembered, few fetches run
//! at once, one for each path, and a fetch is short and small. What strangers ask for never stands in the way of a
//! path that has proved good: its fetches have room of their own, and its chain stays remembered until another is there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use macloud_service_kit::client::client;
use tokio::time::timeout;
use url::Url;

use super::Refused;
use super::cert_url::CertUrl;
use super::chain::{Chain, MAX_PEM_BYTES};
use crate::flights::Flights;

/// Alexa uses one chain at a time, and two around a renewal.
const MOST_REMEMBERED: usize = 16;
/// Amazon replaces a chain behind the same URL now and then.
const DUE_AFTER_MS: u64 = 3_600_000;
/// A remembered chain is fetched again at most this often: not for each of a flood of bad requests, nor, when it is due
/// and cannot be fetched, for each of the good ones.
const LOOK_AGAIN_AFTER_MS: u64 = 5_000;
/// Fetches at once for paths that never proved good.
const MOST_FETCHES: usize = 8;
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) struct Chains {
    fetcher: Fetcher,
    strangers: Flights<String, Fetched>,
    proved: Flights<String, Fetched>,
    remembered: Mutex<HashMap<String, Remembered>>,
}

type Fetched = Result<Arc<Chain>, Refused>;

#[derive(Clone)]
struct Fetcher {
    http: reqwest::Client,
    base: Option<Url>,
}

struct Remembered {
    chain: Arc<Chain>,
    since_ms: u64,
    looked_ms: u64,
}

impl Chains {
    pub(super) fn new(base: Option<Url>) -> Self {
        Self {
            fetcher: Fetcher { http: client(FETCH_TIMEOUT), base },
            strangers: Flights::new(MOST_FETCHES),
            proved: Flights::new(MOST_REMEMBERED),
            remembered: Mutex::new(HashMap::new()),
        }
    }

    /// The chain that proved good at `url`.
    pub(super) fn remembered(&self, url: &CertUrl) -> Option<Arc<Chain>> {
        self.all().get(url.path()).map(|kept| Arc::clone(&kept.chain))
    }

    /// This chain proved good.
    pub(super) fn remember(&self, url: &CertUrl, chain: &Arc<Chain>, now_ms: u64) {
        let mut all = self.all();
        if all.len() >= MOST_REMEMBERED && !all.contains_key(url.path()) {
            let oldest = all.iter().min_by_key(|(_, kept)| kept.since_ms).map(|(path, _)| path.clone());
            oldest.and_then(|path| all.remove(&path));
        }
        let kept = Remembered { chain: Arc::clone(chain), since_ms: now_ms, looked_ms: now_ms };
        all.insert(url.path().to_owned(), kept);
    }

    /// Whether the chain at `url` is due to be fetched again because of its age. Says yes once in a while, not to each
    /// who asks.
    pub(super) fn is_due(&self, url: &CertUrl, now_ms: u64) -> bool {
        let is_old = |kept: &Remembered| now_ms.saturating_sub(kept.since_ms) >= DUE_AFTER_MS;
        self.all().get(url.path()).is_some_and(is_old) && self.may_look_again(url, now_ms)
    }

    /// Whether the remembered chain may be fetched again, as it did not do. Says yes once in a while, not to each who
    /// asks.
    pub(super) fn may_look_again(&self, url: &CertUrl, now_ms: u64) -> bool {
        let mut all = self.all();
        let Some(kept) = all.get_mut(url.path()) else { return true };
        let may = now_ms.saturating_sub(kept.looked_ms) >= LOOK_AGAIN_AFTER_MS;
        if may {
            kept.looked_ms = now_ms;
        }
        may
    }

    /// Fetch the chain at `url`, or wait for who does already.
    pub(super) async fn fetch(&self, url: &CertUrl) -> Fetched {
        let room = if self.all().contains_key(url.path()) { &self.proved } else { &self.strangers };
        let fetching = room.join(&url.path().to_owned(), self.fetcher.clone().fetch(url.clone()));
        let fetching = fetching.ok_or(Refused::Fetch("too many fetches at once"))?;
        timeout(FETCH_TIMEOUT, fetching).await.unwrap_or(Err(Refused::Fetch("no answer in time")))
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Remembered>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fetcher {
    async fn fetch(self, url: CertUrl) -> Fetched {
        let mut response = self.http.get(url.at(self.base.as_ref())).send().await.map_err(|error| {
            tracing::warn!(error = %error.without_url(), "cannot fetch a signing certificate chain");
            Refused::Fetch("no answer")
        })?;
        if !response.status().is_success() {
            return Err(Refused::Fetch("no such chain"));
        }
        let mut pem = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|_| Refused::Fetch("broke off"))? {
            if pem.len() + chunk.len() > MAX_PEM_BYTES {
                return Err(Refused::Fetch("too long"));
            }
            pem.extend_from_slice(&chunk);
        }
        Ok(Arc::new(Chain::parse(&pem)?))
    }
}
