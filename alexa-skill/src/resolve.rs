//! Resolve: whose token is this, what may it do, and which homes does it reach.
//!
//! Answers of the account service are kept for as long as the token lives, at most five minutes, and thrown away the
//! moment a pushed change touches them. While no pushes can arrive, every directive asks anew, so that what is revoked stays
//! without effect; only when nobody answers that either, the last answer serves for half a minute: a restart of the account service is
//! not heard, and where nobody answers, hardly anybody can revoke. Many directives with one token at once cause one look-up, and no more
//! than so many run at once.
//!
//! Promises: a look-up that began before a revocation is not remembered after it; a fault of the account service is
//! never taken for a bad token.

mod cache;
pub mod watch;

use std::sync::Arc;
use std::time::Duration;

use macloud_e2ee::vocabulary::Scopes;
use macloud_proto::accounts::v1::accounts_client::AccountsClient;
use macloud_proto::accounts::v1::resolve_access_answer::Status;
use macloud_proto::accounts::v1::{self, ResolveAccessAnswer, ResolveAccessRequest};
use macloud_proto::ids::{AccountId, GrantId, InstanceId};
use macloud_proto::{SCOPE_CONTROL, SCOPE_READ};
use macloud_service_kit::clock::SharedClock;
use tonic::Code;
use tonic::transport::Channel;

use crate::failure::{Failure, TokenFault};
use crate::flights::Flights;
use crate::token::AccessToken;
use cache::{Cache, Hash};

/// What a valid token gives access to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Whose it is.
    pub account: AccountId,
    /// Under which authorization.
    pub grant: GrantId,
    /// What it may do.
    pub scopes: Scopes,
    /// Where.
    pub homes: Vec<Home>,
}

/// A home of an account.
#[derive(Clone, PartialEq, Eq)]
pub struct Home {
    /// Its id.
    pub instance: InstanceId,
    /// As its owner named it.
    pub name: String,
    /// What its pre-keys must be signed by.
    pub identity: [u8; 32],
    /// Its owner pressed "stop now".
    pub paused: bool,
}

impl std::fmt::Debug for Home {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Home").field("instance", &self.instance).field("paused", &self.paused).finish_non_exhaustive()
    }
}

/// How long and how many answers are kept.
#[derive(Debug, Clone)]
pub struct ResolveConfig {
    /// At most this many tokens are remembered.
    pub most_tokens: usize,
    /// An answer is trusted at most this long.
    pub longest: Duration,
    /// An answer serves at most this long after pushed changes have ceased to arrive, and only where the account service does not
    /// answer when it is asked.
    pub longest_unanswered: Duration,
    /// One look-up may take this long.
    pub patience: Duration,
    /// At most this many look-ups run at once: strangers can send any number of tokens that look like ours.
    pub most_look_ups: usize,
}

impl Default for ResolveConfig {
    fn default() -> Self {
        Self {
            most_tokens: 100_000,
            longest: Duration::from_secs(300),
            longest_unanswered: Duration::from_secs(30),
            patience: Duration::from_millis(1500),
            most_look_ups: 1024,
        }
    }
}

/// Looks tokens up.
#[derive(Clone)]
pub struct Resolver {
    accounts: AccountsClient<Channel>,
    cache: Arc<Cache>,
    look_ups: Arc<Flights<Hash, Result<Arc<Access>, Failure>>>,
    config: ResolveConfig,
    clock: SharedClock,
}

impl Resolver {
    /// Over this channel to the account service.
    #[must_use]
    pub fn new(accounts: Channel, config: ResolveConfig, clock: SharedClock) -> Self {
        let cache = Arc::new(Cache::new(config.most_tokens, config.longest_unanswered));
        let look_ups = Arc::new(Flights::new(config.most_look_ups));
        Self { accounts: AccountsClient::new(accounts), cache, look_ups, config, clock }
    }

    /// What this token gives access to. Safe to cancel: others who wait for the same look-up go on.
    ///
    /// # Errors
    /// [`Failure::Token`] when it gives none; [`Failure::AccountsAway`] when that cannot be found out now.
    pub async fn resolve(&self, token: &AccessToken) -> Result<Arc<Access>, Failure> {
        let hash = token.hash();
        let now = self.clock.monotonic_millis();
        if let Some(access) = self.cache.find(&hash, now) {
            return Ok(access);
        }
        let looked_up = match self.look_ups.join(&hash, self.clone().look_up(token.clone(), hash)) {
            Some(look_up) => look_up.await,
            None => {
                tracing::warn!("too many tokens are looked up at once: one is not");
                Err(Failure::AccountsAway)
            }
        };
        match looked_up {
            Err(Failure::AccountsAway) => {
                self.cache.last_known(&hash, self.clock.monotonic_millis()).ok_or(Failure::AccountsAway)
            }
            looked_up => looked_up,
        }
    }

    async fn look_up(self, token: AccessToken, hash: [u8; 32]) -> Result<Arc<Access>, Failure> {
        let before = self.cache.generation();
        let answer = self.ask(&token).await?;
        let valid_for = Duration::from_secs(answer.valid_for_seconds.into()).min(self.config.longest);
        let access = Arc::new(interpret(answer).inspect_err(|failure| {
            if matches!(failure, Failure::Token(_)) {
                self.cache.forget_token(&hash);
            }
        })?);
        self.cache.keep(hash, &access, before, self.clock.monotonic_millis(), valid_for);
        Ok(access)
    }

    /// Twice at most: a connection that has just broken is repaired by asking again.
    async fn ask(&self, token: &AccessToken) -> Result<ResolveAccessAnswer, Failure> {
        let mut accounts = self.accounts.clone();
        let asking = async {
            for last in [false, true] {
                let request = ResolveAccessRequest { access_token: token.reveal().to_owned() };
                match accounts.resolve_access(request).await {
                    Ok(answer) => return Ok(answer.into_inner()),
                    Err(status) if last || status.code() != Code::Unavailable => {
                        tracing::warn!(code = ?status.code(), "the account service cannot look a token up");
                        return Err(Failure::AccountsAway);
                    }
                    Err(_) => tokio::time::sleep(PAUSE_BEFORE_SECOND_TRY).await,
                }
            }
            Err(Failure::AccountsAway)
        };
        tokio::time::timeout(self.config.patience, asking).await.unwrap_or(Err(Failure::AccountsAway))
    }
}

const PAUSE_BEFORE_SECOND_TRY: Duration = Duration::from_millis(50);

fn interpret(answer: ResolveAccessAnswer) -> Result<Access, Failure> {
    match answer.status() {
        Status::Active => active(answer),
        Status::Expired => Err(Failure::Token(TokenFault::Expired)),
        Status::Invalid => Err(Failure::Token(TokenFault::Invalid)),
        Status::Suspended => Err(Failure::Token(TokenFault::Suspended)),
        // Of a newer version, or broken: not the fault of the token.
        Status::Unspecified => Err(Failure::AccountsAway),
    }
}

fn active(answer: ResolveAccessAnswer) -> Result<Access, Failure> {
    let (Ok(account), Ok(grant)) = (answer.account_id.parse(), answer.grant_id.parse()) else {
        tracing::error!("the account service answered with malformed ids");
        return Err(Failure::AccountsAway);
    };
    let has = |scope: &str| answer.scopes.iter().any(|granted| granted == scope);
    let scopes = Scopes { read: has(SCOPE_READ), control: has(SCOPE_CONTROL) };
    Ok(Access { account, grant, scopes, homes: answer.homes.into_iter().filter_map(home).collect() })
}

/// A malformed home is left out alone.
fn home(home: v1::Home) -> Option<Home> {
    let parsed = home.instance_id.parse().ok().zip(<[u8; 32]>::try_from(&home.identity_key[..]).ok());
    if parsed.is_none() {
        tracing::error!("the account service answered with a malformed home");
    }
    let (instance, identity) = parsed?;
    Some(Home { instance, name: home.name, identity, paused: home.paused })
}
