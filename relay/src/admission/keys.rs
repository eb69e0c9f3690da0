//! The public keys that sign instance tokens: fetched once, fetched again when a token names a key that is not among
//! them, and never more often than is good for the account service.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use macloud_proto::accounts::v1::SigningKeysRequest;
use macloud_proto::accounts::v1::accounts_client::AccountsClient;
use macloud_proto::instance_token::KeySet;
use tokio::time::Instant;
use tonic::transport::Channel;

/// A fetched set.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) set: KeySet,
    pub(crate) issuer: String,
}

/// None was ever fetched, and the account service does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signing keys are not available")]
pub(crate) struct KeysUnavailable;

#[derive(Debug)]
pub(crate) struct SigningKeys {
    accounts: AccountsClient<Channel>,
    timeout: Duration,
    interval: Duration,
    cached: Mutex<Option<Arc<Keys>>>,
    /// Held over a fetch on purpose: whoever needs newer keys meanwhile waits for that fetch instead of making another.
    /// The number of waiters is bounded by the handshakes in flight.
    fetching: tokio::sync::Mutex<Option<Instant>>,
}

impl SigningKeys {
    pub(crate) fn new(accounts: AccountsClient<Channel>, timeout: Duration, interval: Duration) -> Self {
        Self { accounts, timeout, interval, cached: Mutex::default(), fetching: tokio::sync::Mutex::default() }
    }

    /// What is cached, or fetched now for the first time.
    pub(crate) async fn current(&self) -> Result<Arc<Keys>, KeysUnavailable> {
        match self.cached() {
            Some(keys) => Ok(keys),
            None => self.fetch_unless(|_| true, AFTER_FAILURE).await.ok_or(KeysUnavailable),
        }
    }

    /// Keys newer than `seen`, if there may be any.
    pub(crate) async fn newer_than(&self, seen: &Arc<Keys>) -> Option<Arc<Keys>> {
        self.fetch_unless(|cached| !Arc::ptr_eq(cached, seen), self.interval).await
    }

    async fn fetch_unless(&self, good: impl Fn(&Arc<Keys>) -> bool, interval: Duration) -> Option<Arc<Keys>> {
        let mut last = self.fetching.lock().await;
        if let Some(cached) = self.cached().filter(|cached| good(cached)) {
            return Some(cached);
        }
        if last.is_some_and(|last| last.elapsed() < interval) {
            return None;
        }
        let fetched = self.fetch().await;
        // The end counts, not the start: whoever waited for a fetch that failed must not begin the next one.
        *last = Some(Instant::now());
        let keys = Arc::new(fetched?);
        *self.cached.lock().expect("no code panics while holding this lock") = Some(keys.clone());
        Some(keys)
    }

    async fn fetch(&self) -> Option<Keys> {
        let mut accounts = self.accounts.clone();
        let answer = tokio::time::timeout(self.timeout, accounts.signing_keys(SigningKeysRequest {})).await;
        let answer = match answer {
            Ok(Ok(answer)) => answer.into_inner(),
            Ok(Err(status)) => {
                tracing::warn!(code = ?status.code(), "cannot fetch the signing keys");
                return None;
            }
            Err(_) => {
                tracing::warn!("fetching the signing keys took too long");
                return None;
            }
        };
        match KeySet::parse(&answer.jwk_set) {
            Ok(set) => Some(Keys { set, issuer: answer.issuer }),
            Err(error) => {
                tracing::error!(%error, "the account service's signing keys are not a key set");
                None
            }
        }
    }

    fn cached(&self) -> Option<Arc<Keys>> {
        self.cached.lock().expect("no code panics while holding this lock").clone()
    }
}

/// With no keys at all every dial-in wants them; while the account service is away, one attempt serves many.
const AFTER_FAILURE: Duration = Duration::from_millis(500);
