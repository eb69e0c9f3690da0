//! Alexa's event gateways: what they are told, with whose token, how often, and what their refusals mean.
//!
//! Tokens are those of the account's grant (`crate::grant`), renewed at Login with Amazon when they end or are refused. A grant
//! that Amazon does not know any more is forgotten everywhere. Which region an account belongs to is found out: a gateway refuses
//! the tokens of another region like bad ones, and so the others are tried once with a fresh token.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{StatusCode, header};
use macloud_proto::accounts::v1::EventGrant;
use macloud_proto::ids::AccountId;
use macloud_service_kit::client::client;
use macloud_service_kit::clock::SharedClock;
use serde_json::Value;
use tonic::transport::Channel;

use crate::grant::{EventTokens, EventsConfig, Exchange, Keeper, Region, Trouble, unseal};

/// The gateways of all regions.
pub(super) struct Gateway {
    exchange: Exchange,
    keeper: Keeper,
    http: reqwest::Client,
    current: Mutex<HashMap<(AccountId, Region), Current>>,
    paces: Mutex<HashMap<AccountId, Pace>>,
    clock: SharedClock,
}

/// What is known of an account's tokens beside what is kept.
#[derive(Clone)]
enum Current {
    /// This one, until then (in seconds since 1970).
    Token(String, u64),
    /// No gateway takes its tokens: not asked again for a while from then on, but with another grant.
    RefusedAt(u64),
}

/// How much an account is told, by the clock that only goes on.
#[derive(Clone, Copy, Default)]
struct Pace {
    minute_began: u64,
    told: u32,
    /// The gateway wants to be left alone until then.
    not_before: u64,
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

/// How a gateway answered.
enum Answer {
    Taken,
    TokenRefused,
    /// The customer does not have the skill any more.
    NoCustomer,
    Malformed,
    /// And not before so long, if it said that.
    Later(Option<Duration>),
}

/// A grant that is good as far as is known here.
struct Grant {
    account: AccountId,
    region: Region,
    kept: EventTokens,
    stored_at: u64,
}

impl Gateway {
    pub(super) fn new(config: EventsConfig, accounts: Channel, clock: SharedClock) -> Self {
        Self {
            keeper: Keeper::new(&config, accounts),
            exchange: Exchange::new(config),
            http: client(LIMIT),
            current: Mutex::default(),
            paces: Mutex::default(),
            clock,
        }
    }

    /// Tell the account of `grant` what `report` makes with its token.
    pub(super) async fn tell(&self, grant: &EventGrant, report: &impl Fn(&str) -> Value) -> Told {
        let Some(grant) = self.usable(grant) else { return Told::Nobody };
        if !self.has_room(&grant.account) {
            return Told::Later;
        }
        let token = match self.token(&grant).await {
            Ok(token) => token,
            Err(told) => return told,
        };
        match self.post(&grant, grant.region, &token, report).await {
            Answer::TokenRefused => {}
            answer => return self.conclude(&grant, answer).await,
        }
        // Once more with a fresh one, and then as a customer of the other regions.
        let fresh = match self.renew(&grant).await {
            Ok(fresh) => fresh,
            Err(told) => return told,
        };
        let others = Region::ALL.into_iter().filter(|region| *region != grant.region);
        for region in [grant.region].into_iter().chain(others) {
            match self.post(&grant, region, &fresh.access_token, report).await {
                Answer::TokenRefused => {}
                Answer::Taken if region != grant.region => {
                    self.move_to(region, &grant, &fresh).await;
                    return Told::Taken;
                }
                answer => return self.conclude(&grant, answer).await,
            }
        }
        tracing::warn!(account.id = %grant.account, "none of Alexa's event gateways takes a fresh token");
        let now = self.clock.unix_seconds();
        self.current().insert((grant.account, grant.region), Current::RefusedAt(now));
        Told::Nobody
    }

    /// Nothing, if it was sealed for somebody else, or the person has unlinked Alexa since and still has another app.
    fn usable(&self, grant: &EventGrant) -> Option<Grant> {
        let account: AccountId = grant.account_id.parse().ok()?;
        let region = Region::of(&grant.region)?;
        let kept = unseal(&self.exchange.config.seal_key, &account, region, &grant.sealed)?;
        let came_with = kept.authorization.as_ref()?;
        let is_live = grant.authorizations.iter().any(|live| live == came_with.as_str());
        is_live.then_some(Grant { account, region, kept, stored_at: grant.stored_at })
    }

    async fn conclude(&self, grant: &Grant, answer: Answer) -> Told {
        match answer {
            Answer::Taken => Told::Taken,
            Answer::Later(pause) => {
                if let Some(pause) = pause {
                    self.wait(&grant.account, pause);
                }
                Told::Later
            }
            Answer::Malformed | Answer::TokenRefused => Told::Nobody,
            Answer::NoCustomer => {
                self.forget(grant).await;
                Told::Nobody
            }
        }
    }

    /// A token that should be good.
    async fn token(&self, grant: &Grant) -> Result<String, Told> {
        let now = self.clock.unix_seconds();
        let current = self.current().get(&(grant.account.clone(), grant.region)).cloned();
        match current {
            Some(Current::Token(token, until)) if now < until => return Ok(token),
            Some(Current::RefusedAt(at)) if now < at + REFUSED_FOR && grant.stored_at < at + RENEWED => {
                return Err(Told::Nobody);
            }
            // Kept by this process or another one since.
            _ if now < ends(grant.stored_at, grant.kept.expires_in) => return Ok(grant.kept.access_token.clone()),
            _ => {}
        }
        self.renew(grant).await.map(|fresh| fresh.access_token)
    }

    async fn renew(&self, grant: &Grant) -> Result<EventTokens, Told> {
        let fresh = match self.exchange.refresh(&grant.kept.refresh_token).await {
            Ok(fresh) => EventTokens { authorization: grant.kept.authorization.clone(), ..fresh },
            Err(Trouble::Passing) => return Err(Told::Later),
            Err(Trouble::Final) => {
                self.forget(grant).await;
                return Err(Told::Nobody);
            }
        };
        self.keep(&grant.account, grant.region, &fresh).await;
        Ok(fresh)
    }

    async fn keep(&self, account: &AccountId, region: Region, fresh: &EventTokens) {
        let until = ends(self.clock.unix_seconds(), fresh.expires_in);
        self.current().insert((account.clone(), region), Current::Token(fresh.access_token.clone(), until));
        // If it cannot be kept, the next process renews it for itself.
        let _ = self.keeper.keep(account, region, fresh).await;
    }

    /// It is a customer of another region than was thought.
    async fn move_to(&self, region: Region, grant: &Grant, fresh: &EventTokens) {
        tracing::info!(account.id = %grant.account, region = region.label(), "an account belongs to another region of Alexa's");
        self.keep(&grant.account, region, fresh).await;
        self.current().remove(&(grant.account.clone(), grant.region));
        // If that fails, the next event comes to the same.
        let _ = self.keeper.forget(&grant.account, grant.region).await;
    }

    /// Amazon knows nothing of it any more.
    async fn forget(&self, grant: &Grant) {
        tracing::info!(account.id = %grant.account, "Alexa is not told any more: Amazon does not know the grant");
        self.current().remove(&(grant.account.clone(), grant.region));
        // If that fails, the next event comes to the same.
        let _ = self.keeper.forget(&grant.account, grant.region).await;
    }

    async fn post(&self, grant: &Grant, region: Region, token: &str, report: &impl Fn(&str) -> Value) -> Answer {
        if !self.has_room(&grant.account) {
            return Answer::Later(None);
        }
        self.count(&grant.account);
        let gateway = self.exchange.config.gateways.of(region).clone();
        let sent = self.http.post(gateway).bearer_auth(token).json(&report(token)).send().await;
        let response = match sent {
            Ok(response) => response,
            Err(error) => {
                tracing::debug!(error = %error.without_url(), "Alexa's event gateway does not answer");
                return Answer::Later(None);
            }
        };
        let status = response.status();
        match status {
            _ if status.is_success() => Answer::Taken,
            StatusCode::UNAUTHORIZED => Answer::TokenRefused,
            StatusCode::TOO_MANY_REQUESTS => Answer::Later(Some(asked_pause(&response).unwrap_or(PAUSE))),
            StatusCode::REQUEST_TIMEOUT => Answer::Later(None),
            StatusCode::FORBIDDEN => {
                let body = crate::grant::small_body(response).await.unwrap_or_default();
                let body: Value = serde_json::from_slice(&body).unwrap_or_default();
                let skill_is_off = body["payload"]["code"].as_str().is_some_and(|code| code.starts_with("SKILL_"));
                if skill_is_off { Answer::NoCustomer } else { Answer::Malformed }
            }
            _ if status.is_client_error() => {
                tracing::warn!(status = status.as_u16(), "Alexa's event gateway refuses an event");
                Answer::Malformed
            }
            _ => Answer::Later(asked_pause(&response)),
        }
    }

    /// Whether the account may be told something now.
    fn has_room(&self, account: &AccountId) -> bool {
        let now = self.clock.monotonic_millis();
        self.paces().get(account).is_none_or(|pace| {
            now >= pace.not_before && (now >= pace.minute_began + MINUTE_MS || pace.told < MOST_A_MINUTE)
        })
    }

    fn count(&self, account: &AccountId) {
        let now = self.clock.monotonic_millis();
        let mut paces = self.paces();
        if paces.len() >= MOST_PACES && !paces.contains_key(account) {
            paces.retain(|_, pace| now < pace.not_before.max(pace.minute_began + MINUTE_MS));
        }
        let pace = paces.entry(account.clone()).or_default();
        if now >= pace.minute_began + MINUTE_MS || pace.told == 0 {
            (pace.minute_began, pace.told) = (now, 0);
        }
        pace.told += 1;
    }

    fn wait(&self, account: &AccountId, pause: Duration) {
        let until = self.clock.monotonic_millis() + pause.min(LONGEST_PAUSE).as_millis() as u64;
        let mut paces = self.paces();
        let pace = paces.entry(account.clone()).or_default();
        pace.not_before = until.max(pace.not_before);
    }

    fn current(&self) -> MutexGuard<'_, HashMap<(AccountId, Region), Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn paces(&self) -> MutexGuard<'_, HashMap<AccountId, Pace>> {
        self.paces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long the gateway wants to be left alone, if it says so in seconds.
fn asked_pause(response: &reqwest::Response) -> Option<Duration> {
    let seconds = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Not used in its last minute: it would end on the way.
const fn ends(begun: u64, expires_in: u64) -> u64 {
    begun.saturating_add(expires_in).saturating_sub(60)
}

const LIMIT: Duration = Duration::from_secs(5);
/// An hour.
const REFUSED_FOR: u64 = 3600;
/// What was kept less than a minute after a refusal, by the clocks of two services, is what was refused.
const RENEWED: u64 = 60;
const MINUTE_MS: u64 = 60_000;
/// What one account is told in a minute by one process, over all its homes. What is more is told later, as it is then.
const MOST_A_MINUTE: u32 = 60;
/// When the gateway has enough and does not say for how long.
const PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// About 100 bytes each. Those of whom nothing matters any more make room.
const MOST_PACES: usize = 100_000;
