//! Accept a grant for Alexa's event gateway: exchange its code at Login with Amazon, seal the tokens, have them kept.
//!
//! Events are opt-in, because they let the state of players leave a home unasked. While they are off, a grant is
//! accepted without being exchanged or kept: refusing it would make linking fail ("unable to link"), and keeping a
//! token that nobody uses would be a needless risk. While they are on, a grant that cannot be exchanged or kept is refused,
//! because Alexa would otherwise wait for events that never come.
//!
//! Which part of the world an account belongs to, nobody says: a grant is kept for the region that the deployment names, and moved
//! when the event gateway of another one turns out to be its own (`crate::events`).

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use macloud_proto::accounts::v1::accounts_client::AccountsClient;
use macloud_proto::accounts::v1::{CustomerLeftRequest, NoteCustomerRequest, StoreEventGrantRequest};
use macloud_proto::ids::{AccountId, GrantId};
use macloud_service_kit::client::client;
use macloud_service_kit::random;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use tonic::Code;
use tonic::transport::Channel;
use url::Url;

use crate::directive::GrantCode;
use crate::failure::Failure;
use crate::resolve::Access;

/// What events need. Without it they are off.
#[derive(Clone)]
pub struct EventsConfig {
    /// Login with Amazon's token endpoint.
    pub token_url: Url,
    /// From the skill's permissions page; not the client of account linking.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// NA, EU or FE: whose event gateway most of this deployment's customers have.
    pub region: Region,
    /// Alexa's event gateways.
    pub gateways: Gateways,
    /// Seals the tokens, so that the account service and its database cannot use them.
    pub seal_key: [u8; 32],
}

impl std::fmt::Debug for EventsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventsConfig")
            .field("token_url", &self.token_url.as_str())
            .field("client_id", &self.client_id)
            .field("region", &self.region)
            .field("gateways", &self.gateways)
            .finish_non_exhaustive()
    }
}

/// Where Login with Amazon exchanges codes.
pub const LOGIN_WITH_AMAZON: &str = "https://api.amazon.com/auth/o2/token";

/// The parts of the world that Alexa's event gateways serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Region {
    /// North America.
    NorthAmerica,
    /// Europe and India.
    Europe,
    /// The far east and Australia.
    FarEast,
}

impl Region {
    /// NA, EU or FE.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::NorthAmerica => "NA",
            Self::Europe => "EU",
            Self::FarEast => "FE",
        }
    }

    /// All of them.
    pub const ALL: [Self; 3] = [Self::NorthAmerica, Self::Europe, Self::FarEast];

    /// From its [`Self::label`].
    #[must_use]
    pub fn of(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|region| region.label() == label)
    }
}

/// The event gateway of each region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateways([Url; 3]);

impl Gateways {
    /// Amazon's own.
    ///
    /// # Panics
    /// Never: the addresses are fixed.
    #[must_use]
    pub fn amazon() -> Self {
        Self(
            ["api.amazonalexa.com", "api.eu.amazonalexa.com", "api.fe.amazonalexa.com"]
                .map(|host| Url::parse(&format!("https://{host}/v3/events")).expect("a fixed address is a URL")),
        )
    }

    /// From settings: `URL` stands for all three, `na=URL`, `eu=URL` and `fe=URL` for one each. What is not named is Amazon's.
    #[must_use]
    pub fn parse(settings: &[String]) -> Option<Self> {
        let mut gateways = Self::amazon();
        for setting in settings {
            let named = setting.split_once('=').and_then(|(name, url)| Some((Region::of(&name.to_uppercase())?, url)));
            match named {
                Some((region, url)) => gateways.0[region as usize] = url.parse().ok()?,
                None => gateways = Self::all(&setting.parse().ok()?),
            }
        }
        Some(gateways)
    }

    /// One for all.
    #[must_use]
    pub fn all(url: &Url) -> Self {
        Self([url.clone(), url.clone(), url.clone()])
    }

    /// That of `region`.
    #[must_use]
    pub const fn of(&self, region: Region) -> &Url {
        &self.0[region as usize]
    }
}

/// Two tries must fit into the directive's time, with the account service's share.
const EXCHANGE_TIMEOUT: Duration = Duration::from_millis(2300);
const MAX_ANSWER_BYTES: usize = 16 * 1024;

/// Accepts grants.
pub(crate) struct Grants {
    events: Option<(Exchange, Keeper)>,
}

/// Login with Amazon.
pub(crate) struct Exchange {
    pub(crate) config: EventsConfig,
    http: reqwest::Client,
}

/// The account service, as keeper of what is sealed here.
pub(crate) struct Keeper {
    seal_key: [u8; 32],
    accounts: AccountsClient<Channel>,
}

/// What Login with Amazon gave, as it is sealed.
#[derive(Serialize, Deserialize)]
pub struct EventTokens {
    /// For the event gateway.
    pub access_token: String,
    /// For the next one.
    pub refresh_token: String,
    /// Seconds that the access token lives.
    pub expires_in: u64,
    /// The authorization that the grant came with: with its end, this ends too.
    #[serde(default)]
    pub authorization: Option<GrantId>,
}

impl std::fmt::Debug for EventTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventTokens(…)")
    }
}

impl Grants {
    pub(crate) fn new(config: Option<EventsConfig>, accounts: Channel) -> Self {
        Self {
            events: config.map(|config| {
                let keeper = Keeper::new(&config, accounts);
                (Exchange::new(config), keeper)
            }),
        }
    }

    pub(crate) const fn events_are_on(&self) -> bool {
        self.events.is_some()
    }

    /// Repeatable: a later grant of the same account replaces what was kept.
    pub(crate) async fn accept(&self, access: &Access, code: GrantCode) -> Result<(), Failure> {
        let Some((exchange, keeper)) = &self.events else { return Ok(()) };
        let tokens = match exchange.redeem(&code).await {
            Err(Trouble::Passing) => exchange.redeem(&code).await,
            result => result,
        };
        let tokens = tokens.map_err(|_| Failure::GrantNotAccepted)?;
        let tokens = EventTokens { authorization: Some(access.grant.clone()), ..tokens };
        keeper.keep(&access.account, exchange.config.region, &tokens).await
    }

    /// Nothing is told to Alexa any more of this account.
    pub(crate) async fn forget(&self, account: &AccountId) {
        let Some((_, keeper)) = &self.events else { return };
        for region in Region::ALL {
            // If that fails, the gateway refuses the next event, and it is forgotten then.
            let _ = keeper.forget(account, region).await;
        }
    }

    /// From now on it is this account's customer whom Amazon calls `customer`.
    pub(crate) async fn note(&self, customer: &str, account: &AccountId) -> Result<(), NotKept> {
        let Some((_, keeper)) = &self.events else { return Ok(()) };
        let request = NoteCustomerRequest { customer: hashed(customer), account_id: account.to_string() };
        match keeper.accounts.clone().note_customer(request).await {
            Err(status) if status.code() != Code::NotFound => {
                tracing::warn!(code = ?status.code(), "the account service cannot note whose customer it is");
                Err(NotKept)
            }
            // Noted, or of an account that is gone.
            _ => Ok(()),
        }
    }

    /// Whom Amazon calls `customer` has disabled the skill. Whose account that was, if it is known.
    pub(crate) async fn customer_left(&self, customer: &str) -> Result<Option<AccountId>, NotKept> {
        let Some((_, keeper)) = &self.events else { return Ok(None) };
        let request = CustomerLeftRequest { customer: hashed(customer) };
        let answer = keeper.accounts.clone().customer_left(request).await.map_err(|status| {
            tracing::warn!(code = ?status.code(), "the account service cannot forget a customer");
            NotKept
        })?;
        Ok(answer.into_inner().account_id.parse().ok())
    }
}

/// The account service did not take what Amazon said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotKept;

fn hashed(customer: &str) -> Bytes {
    Bytes::copy_from_slice(digest(&SHA256, customer.as_bytes()).as_ref())
}

impl Keeper {
    pub(crate) fn new(config: &EventsConfig, accounts: Channel) -> Self {
        Self { seal_key: config.seal_key, accounts: AccountsClient::new(accounts) }
    }

    pub(crate) async fn keep(&self, account: &AccountId, region: Region, tokens: &EventTokens) -> Result<(), Failure> {
        let sealed = seal(&self.seal_key, account, region, tokens).ok_or(Failure::GrantNotAccepted)?;
        self.store(account, region, sealed).await
    }

    /// Nothing is kept for the account in this region any more.
    pub(crate) async fn forget(&self, account: &AccountId, region: Region) -> Result<(), Failure> {
        self.store(account, region, Vec::new()).await
    }

    async fn store(&self, account: &AccountId, region: Region, sealed: Vec<u8>) -> Result<(), Failure> {
        let request = StoreEventGrantRequest {
            account_id: account.to_string(),
            region: region.label().to_owned(),
            sealed: sealed.into(),
        };
        let stored = self.accounts.clone().store_event_grant(request).await;
        stored.map(|_| ()).map_err(|status| {
            tracing::warn!(code = ?status.code(), "the account service cannot keep an event grant");
            Failure::GrantNotAccepted
        })
    }
}

/// Why no tokens were given.
pub(crate) enum Trouble {
    /// Trying again may help.
    Passing,
    /// It will not.
    Final,
}

impl Exchange {
    pub(crate) fn new(config: EventsConfig) -> Self {
        Self { config, http: client(EXCHANGE_TIMEOUT) }
    }

    async fn redeem(&self, code: &GrantCode) -> Result<EventTokens, Trouble> {
        self.ask(&[("grant_type", "authorization_code"), ("code", &code.0)]).await
    }

    /// Fresh tokens for a grant that was redeemed before.
    pub(crate) async fn refresh(&self, refresh_token: &str) -> Result<EventTokens, Trouble> {
        self.ask(&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
    }

    async fn ask(&self, what: &[(&str, &str)]) -> Result<EventTokens, Trouble> {
        let client = [("client_id", &*self.config.client_id), ("client_secret", &*self.config.client_secret)];
        let form = [what, &client].concat();
        let sent = self.http.post(self.config.token_url.clone()).form(&form).send().await;
        let response = sent.map_err(|error| {
            tracing::warn!(error = %error.without_url(), "Login with Amazon does not answer");
            Trouble::Passing
        })?;
        let status = response.status();
        if !status.is_success() {
            tracing::warn!(status = status.as_u16(), "Login with Amazon gives no tokens");
            let may_pass = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
            return Err(if status.is_client_error() && !may_pass { Trouble::Final } else { Trouble::Passing });
        }
        let body = small_body(response).await?;
        serde_json::from_slice(&body).map_err(|_| Trouble::Final)
    }
}

/// What Amazon answers, if it is no longer than it should be.
pub(crate) async fn small_body(mut response: reqwest::Response) -> Result<Vec<u8>, Trouble> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| Trouble::Passing)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(Trouble::Final);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

const VERSION: u8 = 1;

/// `version, nonce, ciphertext`; bound to the account and region, so that nobody's grant can stand in for another's.
fn seal(key: &[u8; 32], account: &AccountId, region: Region, tokens: &EventTokens) -> Option<Vec<u8>> {
    let mut plain = serde_json::to_vec(tokens).ok()?;
    let nonce: [u8; NONCE_LEN] = random::bytes();
    let aad = Aad::from(bound_to(account, region));
    aead(key)?.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut plain).ok()?;
    let mut sealed = vec![VERSION];
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&plain);
    Some(sealed)
}

/// What a kept grant holds. `None` when it was sealed with another key, for another account or region, or changed.
#[must_use]
pub fn unseal(key: &[u8; 32], account: &AccountId, region: Region, sealed: &[u8]) -> Option<EventTokens> {
    let (&VERSION, rest) = sealed.split_first()? else { return None };
    let (nonce, ciphertext) = rest.split_at_checked(NONCE_LEN)?;
    let mut plain = ciphertext.to_vec();
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let plain = aead(key)?.open_in_place(nonce, Aad::from(bound_to(account, region)), &mut plain).ok()?;
    serde_json::from_slice(plain).ok()
}

fn bound_to(account: &AccountId, region: Region) -> Vec<u8> {
    format!("macloud/event-grant/1\0{account}\0{}", region.label()).into_bytes()
}

fn aead(key: &[u8; 32]) -> Option<LessSafeKey> {
    UnboundKey::new(&CHACHA20_POLY1305, key).ok().map(LessSafeKey::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_grant_opens_for_its_account_and_region_only() {
        let (key, account) = ([7; 32], AccountId::from_bytes(&[1; 16]));
        let tokens =
            EventTokens { access_token: "a".into(), refresh_token: "r".into(), expires_in: 3600, authorization: None };
        let sealed = seal(&key, &account, Region::Europe, &tokens).unwrap();
        let opened = unseal(&key, &account, Region::Europe, &sealed).unwrap();
        assert_eq!((opened.access_token.as_str(), opened.refresh_token.as_str()), ("a", "r"));
        assert!(unseal(&key, &account, Region::FarEast, &sealed).is_none());
        assert!(unseal(&key, &AccountId::from_bytes(&[2; 16]), Region::Europe, &sealed).is_none());
        assert!(unseal(&[8; 32], &account, Region::Europe, &sealed).is_none());
        for cut in 0..sealed.len() {
            assert!(unseal(&key, &account, Region::Europe, &sealed[..cut]).is_none());
        }
    }

    #[test]
    fn gateways_are_amazons_unless_others_are_named() {
        let parse = |settings: &[&str]| Gateways::parse(&settings.iter().map(|&text| text.into()).collect::<Vec<_>>());
        let amazon = parse(&[]).unwrap();
        assert_eq!(amazon.of(Region::NorthAmerica).as_str(), "https://api.amazonalexa.com/v3/events");
        assert_eq!(amazon.of(Region::Europe).as_str(), "https://api.eu.amazonalexa.com/v3/events");
        assert_eq!(amazon.of(Region::FarEast).as_str(), "https://api.fe.amazonalexa.com/v3/events");
        let one = parse(&["http://127.0.0.1:7/e?a=b"]).unwrap();
        assert!(Region::ALL.iter().all(|region| one.of(*region).as_str() == "http://127.0.0.1:7/e?a=b"));
        let europe = parse(&["eu=http://127.0.0.1:7/e"]).unwrap();
        assert_eq!(europe.of(Region::Europe).as_str(), "http://127.0.0.1:7/e");
        assert_eq!(europe.of(Region::FarEast), amazon.of(Region::FarEast));
        assert_eq!(parse(&["eu=nowhere"]), None);
        assert_eq!(parse(&["nowhere"]), None);
    }
}
