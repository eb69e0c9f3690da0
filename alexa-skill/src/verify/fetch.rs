//! Fetches certificate chains and remembers those that proved good.
//!
//! Strangers choose the URL, within its rules. So only chains that verified a request are remembered, few fetches run
//! at once, and a fetch is short and small.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use macloud_service_kit::client::client;
use tokio::sync::Semaphore;
use url::Url;

use super::Refused;
use super::cert_url::CertUrl;
use super::chain::{Chain, MAX_PEM_BYTES};

/// Alexa uses one chain at a time, and two around a renewal.
const MOST_REMEMBERED: usize = 16;
const REMEMBERED_FOR_MS: u64 = 3_600_000;
/// A remembered chain that fails is fetched again, but not for each of a flood of bad requests.
const LOOK_AGAIN_AFTER_MS: u64 = 5_000;
const MOST_FETCHES: usize = 8;
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) struct Chains {
    http: reqwest::Client,
    base: Option<Url>,
    fetches: Semaphore,
    remembered: Mutex<HashMap<String, Remembered>>,
}

struct Remembered {
    chain: Arc<Chain>,
    since_ms: u64,
    looked_ms: u64,
}

impl Chains {
    pub(super) fn new(base: Option<Url>) -> Self {
        Self {
            http: client(FETCH_TIMEOUT),
            base,
            fetches: Semaphore::new(MOST_FETCHES),
            remembered: Mutex::new(HashMap::new()),
        }
    }

    /// The chain at `url`, and whether it was remembered rather than fetched.
    pub(super) async fn of(&self, url: &CertUrl, now_ms: u64) -> Result<(Arc<Chain>, bool), Refused> {
        let fresh = |kept: &&Remembered| now_ms.saturating_sub(kept.since_ms) < REMEMBERED_FOR_MS;
        let kept = self.remembered().get(url.path()).filter(fresh).map(|kept| Arc::clone(&kept.chain));
        match kept {
            Some(chain) => Ok((chain, true)),
            None => Ok((self.fetch(url).await?, false)),
        }
    }

    /// This chain verified a request.
    pub(super) fn remember(&self, url: &CertUrl, chain: &Arc<Chain>, now_ms: u64) {
        let mut remembered = self.remembered();
        if remembered.get(url.path()).is_some_and(|kept| Arc::ptr_eq(&kept.chain, chain)) {
            return;
        }
        if remembered.len() >= MOST_REMEMBERED {
            let oldest = remembered.iter().min_by_key(|(_, kept)| kept.since_ms).map(|(path, _)| path.clone());
            oldest.and_then(|path| remembered.remove(&path));
        }
        let kept = Remembered { chain: Arc::clone(chain), since_ms: now_ms, looked_ms: now_ms };
        remembered.insert(url.path().to_owned(), kept);
    }

    /// Whether the remembered chain is due to be fetched again. Says yes once in a while, not to each who asks.
    pub(super) fn may_look_again(&self, url: &CertUrl, now_ms: u64) -> bool {
        let mut remembered = self.remembered();
        let Some(kept) = remembered.get_mut(url.path()) else { return true };
        let is_due = now_ms.saturating_sub(kept.looked_ms) >= LOOK_AGAIN_AFTER_MS;
        if is_due {
            kept.looked_ms = now_ms;
        }
        is_due
    }

    pub(super) async fn fetch(&self, url: &CertUrl) -> Result<Arc<Chain>, Refused> {
        let permit = tokio::time::timeout(FETCH_TIMEOUT, self.fetches.acquire()).await;
        let _permit = permit.map_err(|_| Refused::Fetch("too many fetches at once"))?;
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

    fn remembered(&self) -> MutexGuard<'_, HashMap<String, Remembered>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
