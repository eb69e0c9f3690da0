//! Alexa's event gateway: what it is told, with whose token, and what its refusals mean.
//!
//! Tokens are those of the account's grant (`crate::grant`), renewed at Login with Amazon when they end or are refused. A grant
//! that Amazon does not know any more is forgotten everywhere.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use macloud_proto::accounts::v1::EventGrant;
use macloud_proto::ids::AccountId;
use macloud_service_kit::client::client;
use macloud_service_kit::clock::SharedClock;
use serde_json::Value;
use tonic::transport::Channel;

use crate::grant::{EventTokens, EventsConfig, Exchange, Keeper, Trouble, unseal};

/// The gateway of one region.
pub(super) struct Gateway {
    exchange: Exchange,
    keeper: Keeper,
    http: reqwest::Client,
    current: Mutex<HashMap<AccountId, Current>>,
    clock: SharedClock,
}

/// What is known of an account's tokens beside what is kept.
#[derive(Clone)]
enum Current {
    /// This one, until then (in seconds since 1970).
    Token(String, u64),
    /// The gateway takes none of its tokens: not asked again before then.
    Refused(u64),
}

/// What came of telling an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// The gateway has taken it.
    Taken,
    /// Nobody is to be told, or it would never be taken.
    Nobody,
    /// It may be taken later.
    Later,
}

/// How the gateway answered.
enum Answer {
    Taken,
    TokenRefused,
    /// The customer does not have the skill any more.
    NoCustomer,
    Malformed,
    Later,
}

impl Gateway {
    pub(super) fn new(config: EventsConfig, accounts: Channel, clock: SharedClock) -> Self {
        Self {
            keeper: Keeper::new(&config, accounts),
            exchange: Exchange::new(config),
            http: client(LIMIT),
            current: Mutex::default(),
            clock,
        }
    }

    /// Tell the account of `grant` what `report` makes with its token.
    pub(super) async fn tell(&self, grant: &EventGrant, report: &impl Fn(&str) -> Value) -> Told {
        let config = &self.exchange.config;
        let Ok(account) = grant.account_id.parse::<AccountId>() else { return Told::Nobody };
        if grant.region != config.region.label() {
            return Told::Nobody;
        }
        let Some(kept) = unseal(&config.seal_key, &account, config.region, &grant.sealed) else { return Told::Nobody };
        // The person may have unlinked Alexa since, and still have another app.
        if !kept.authorization.as_ref().is_some_and(|id| grant.authorizations.iter().any(|live| live == id.as_str())) {
            return Told::Nobody;
        }
        let token = match self.token(&account, &kept, grant.stored_at).await {
            Ok(token) => token,
            Err(told) => return told,
        };
        match self.post(&report(&token)).await {
            Answer::TokenRefused => {}
            answer => return self.conclude(&account, answer).await,
        }
        // Once more with a fresh one; the token of another region is refused in the same way, for ever.
        let token = match self.renew(&account, &kept).await {
            Ok(token) => token,
            Err(told) => return told,
        };
        match self.post(&report(&token)).await {
            Answer::TokenRefused => {
                tracing::warn!(account.id = %account, "Alexa's event gateway refuses a fresh token: is the region right?");
                let until = self.clock.unix_seconds() + REFUSED_FOR;
                self.current().insert(account, Current::Refused(until));
                Told::Nobody
            }
            answer => self.conclude(&account, answer).await,
        }
    }

    async fn conclude(&self, account: &AccountId, answer: Answer) -> Told {
        match answer {
            Answer::Taken => Told::Taken,
            Answer::Later => Told::Later,
            Answer::Malformed | Answer::TokenRefused => Told::Nobody,
            Answer::NoCustomer => {
                self.forget(account).await;
                Told::Nobody
            }
        }
    }

    /// A token that should be good.
    async fn token(&self, account: &AccountId, kept: &EventTokens, stored_at: u64) -> Result<String, Told> {
        let now = self.clock.unix_seconds();
        let current = self.current().get(account).cloned();
        match current {
            Some(Current::Token(token, until)) if now < until => return Ok(token),
            Some(Current::Refused(until)) if now < until => return Err(Told::Nobody),
            // Kept by this process or another one since.
            _ if now < ends(stored_at, kept.expires_in) => return Ok(kept.access_token.clone()),
            _ => {}
        }
        self.renew(account, kept).await
    }

    async fn renew(&self, account: &AccountId, kept: &EventTokens) -> Result<String, Told> {
        let fresh = match self.exchange.refresh(&kept.refresh_token).await {
            Ok(fresh) => EventTokens { authorization: kept.authorization.clone(), ..fresh },
            Err(Trouble::Passing) => return Err(Told::Later),
            Err(Trouble::Final) => {
                self.forget(account).await;
                return Err(Told::Nobody);
            }
        };
        let until = ends(self.clock.unix_seconds(), fresh.expires_in);
        self.current().insert(account.clone(), Current::Token(fresh.access_token.clone(), until));
        // If it cannot be kept, the next process renews it for itself.
        let _ = self.keeper.keep(account, &fresh).await;
        Ok(fresh.access_token)
    }

    /// Amazon knows nothing of it any more.
    async fn forget(&self, account: &AccountId) {
        tracing::info!(account.id = %account, "Alexa is not told any more: Amazon does not know the grant");
        self.current().remove(account);
        // If that fails, the next event comes to the same.
        let _ = self.keeper.forget(account).await;
    }

    async fn post(&self, report: &Value) -> Answer {
        let token = report["event"]["endpoint"]["scope"]["token"].as_str().unwrap_or_default();
        let sent = self.http.post(self.exchange.config.gateway.clone()).bearer_auth(token).json(report).send().await;
        let response = match sent {
            Ok(response) => response,
            Err(error) => {
                tracing::debug!(error = %error.without_url(), "Alexa's event gateway does not answer");
                return Answer::Later;
            }
        };
        let status = response.status();
        match status {
            _ if status.is_success() => Answer::Taken,
            StatusCode::UNAUTHORIZED => Answer::TokenRefused,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Answer::Later,
            StatusCode::FORBIDDEN => {
                let body = crate::grant::small_body(response).await.unwrap_or_default();
                let body: Value = serde_json::from_slice(&body).unwrap_or_default();
                let skill_is_off = body["payload"]["code"].as_str().is_some_and(|code| code.starts_with("SKILL_"));
                if skill_is_off { Answer::NoCustomer } else { Answer::Malformed }
            }
            _ if status.is_client_error() => {
                tracing::warn!(status = status.as_u16(), "Alexa's event gateway refuses a change report");
                Answer::Malformed
            }
            _ => Answer::Later,
        }
    }

    fn current(&self) -> MutexGuard<'_, HashMap<AccountId, Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Not used in its last minute: it would end on the way.
const fn ends(begun: u64, expires_in: u64) -> u64 {
    begun.saturating_add(expires_in).saturating_sub(60)
}

const LIMIT: Duration = Duration::from_secs(5);
/// An hour.
const REFUSED_FOR: u64 = 3600;
