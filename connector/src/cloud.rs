//! Talking to the account service: pairing once, and instance tokens from then on.
//!
//! Every token request proves possession of the home's key (RFC 9449), and after pairing the home authenticates with
//! that key alone (RFC 7523): there is no secret to type or to lose. A wrong clock at home does no harm: proofs are
//! fresh by the server's nonce, and the assertion's times follow the server's `Date` once they were refused.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderName, Response, StatusCode, header};
use macloud_proto::dpop;
use macloud_proto::ids::InstanceId;
use macloud_proto::jose::{Header, SigningKey};
use macloud_proto::trial::{self, Outcome};
use macloud_service_kit::clock::SharedClock;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::network::request::{HttpError, HttpRequest, Limits};
use crate::network::{DialError, Dialer, tls_trouble};

/// Per request, connecting included.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// Where a proof of possession stands.
const DPOP: HeaderName = HeaderName::from_static("dpop");

/// No answer of the account service is longer.
const MAX_BODY: usize = 64 << 10;

/// How long an assertion is good for. Longer than any request, shorter than a clock's drift matters.
const ASSERTION_SECONDS: u64 = 120;

/// Clocks that differ by less are not the reason for a refusal.
const CLOCK_TOLERANCE: i64 = 30;

/// Attempts of one request: the first, one with a nonce, one with the clock put right, and one more nonce.
const ATTEMPTS: u32 = 4;

/// The OAuth client that pairs. Public: the instance key proves more than a shared secret could.
const PAIRING_CLIENT: &str = "ma-connector";

/// Why the account service did not give what was asked. The texts are for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloudError {
    /// No answer.
    #[error("the cloud does not answer ({0})")]
    Unreachable(String),
    /// It answers, but not in a way that can be trusted, or understood as encrypted.
    #[error("the cloud answers, but {0}")]
    Insecure(String),
    /// The proxy that should lead to it does not.
    #[error("the cloud cannot be reached through the proxy: {0}")]
    Proxy(String),
    /// An address that is not to be used.
    #[error("the cloud's address cannot be used: {0}")]
    Address(String),
    /// It asks to be left alone for a while.
    #[error("the cloud is busy; it asks to try again in {} s", .0.as_secs())]
    RetryAfter(Duration),
    /// It does not know this home, or not any more.
    #[error("the cloud does not accept this home any more; it was unlinked, or its account suspended")]
    Unauthorized,
    /// The home has other hardware now.
    #[error("this home has moved to other hardware; this connector is not its connector any more")]
    Moved,
    /// It knows this home well, but its owner's account is suspended.
    #[error("the account that this home belongs to is suspended")]
    Suspended,
    /// It refused for another reason.
    #[error("the cloud refused: {code}")]
    Refused {
        /// The OAuth error code.
        code: String,
    },
    /// What answers is not MA Cloud, or speaks in a way that is not understood.
    #[error("what answers there is not MA Cloud ({0})")]
    NotCloud(&'static str),
}

/// The account service's endpoints, as it describes them itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Metadata {
    /// Its name for itself: the audience of what is signed for it.
    pub issuer: String,
    /// Where tokens are given.
    #[serde(with = "crate::url_text")]
    pub token_endpoint: Url,
    /// Where pairing begins.
    #[serde(with = "crate::url_text")]
    pub device_authorization_endpoint: Url,
    /// Where a home finds out who its owner is in the Home Assistant beside it. Older services have none.
    #[serde(default, with = "crate::url_text::option")]
    pub home_assistant_endpoint: Option<Url>,
    /// Where a home takes leave. Older services have none.
    #[serde(default, with = "crate::url_text::option")]
    pub leave_endpoint: Option<Url>,
    /// Where a home asks for a command that does nothing. Older services have none.
    #[serde(default, with = "crate::url_text::option")]
    pub trial_endpoint: Option<Url>,
}

/// An answer that begins a pairing.
#[derive(Clone, Deserialize)]
pub struct DeviceAuthorization {
    /// For polling. Secret.
    pub device_code: String,
    /// For the person to type.
    pub user_code: String,
    /// Where to type it.
    pub verification_uri: String,
    /// The same with the code inside, for a link or QR code.
    #[serde(default)]
    pub verification_uri_complete: Option<String>,
    /// Seconds until the code ends.
    pub expires_in: u64,
    /// Seconds between polls.
    #[serde(default)]
    pub interval: Option<u64>,
    /// The short form of the key as the service received it.
    #[serde(default)]
    pub fingerprint: Option<String>,
}

/// A token with which the home may dial a relay.
#[derive(Clone, Deserialize)]
pub struct InstanceToken {
    /// The token. Secret.
    pub access_token: String,
    /// Seconds that it lives.
    pub expires_in: u64,
    /// The relay to dial.
    #[serde(default, with = "crate::url_text::option")]
    pub relay_url: Option<Url>,
    /// The current skill key set, base64url.
    #[serde(default)]
    pub skill_key_set: Option<String>,
    /// At pairing: the home's id.
    #[serde(default)]
    pub instance_id: Option<InstanceId>,
    /// At pairing: the home's name.
    #[serde(default)]
    pub home_name: Option<String>,
    /// The owner has paused the home on the cloud's web page.
    #[serde(default)]
    pub paused: bool,
}

/// A way to the Home Assistant beside this home, for its person's browser.
#[derive(Clone, Deserialize)]
pub struct HomeAssistantTrip {
    /// For polling. Secret.
    pub ticket: String,
    /// Comes back with the browser.
    pub state: String,
    /// Who the cloud is to Home Assistant: its address.
    pub client_id: String,
    /// Where the browser comes back to.
    pub redirect_uri: String,
    /// Seconds until it ends.
    pub expires_in: u64,
    /// Seconds between polls.
    #[serde(default)]
    pub interval: Option<u64>,
}

/// How long something is good for of which the cloud says so many seconds. None of it takes longer than an hour, and what it
/// says is not believed blindly.
pub(crate) fn lifetime(seconds: u64) -> Duration {
    Duration::from_secs(seconds.min(3600))
}

/// What the browser brought back.
#[derive(Clone, Deserialize)]
pub struct HomeAssistantCode {
    /// To redeem at Home Assistant. Secret.
    pub code: String,
    /// To be part of what is signed.
    pub nonce: String,
}

/// Who somebody is in Home Assistant, as it tells itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HomeAssistantUser {
    /// Their id, which means something only in this one Home Assistant.
    pub id: String,
    /// As they are called there.
    #[serde(default)]
    pub name: String,
    /// Whether they own it.
    #[serde(default)]
    pub is_owner: bool,
}

impl CloudError {
    /// What happened and what to do, as sentences.
    #[must_use]
    pub fn with_advice(&self) -> String {
        format!("{self}. {}", self.advice()).trim_end().to_owned()
    }

    /// Whether it is about the way there: nobody has decided anything, and the next attempt may get through.
    pub(crate) const fn is_of_the_way(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Insecure(_) | Self::Proxy(_))
    }

    /// What to do, where the text alone does not say it.
    #[must_use]
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => {
                "Check this machine's internet connection, the cloud's address, and that the cloud is running."
            }
            Self::NotCloud(_) => "Check the cloud's address.",
            Self::RetryAfter(_) | Self::Refused { .. } => "Try again in a while.",
            Self::Insecure(_)
            | Self::Proxy(_)
            | Self::Address(_)
            | Self::Unauthorized
            | Self::Moved
            | Self::Suspended => "",
        }
    }
}

impl InstanceToken {
    /// The skill key set's bytes, if there is one and it is readable.
    #[must_use]
    pub fn key_set_bytes(&self) -> Option<Vec<u8>> {
        URL_SAFE_NO_PAD.decode(self.skill_key_set.as_deref()?.trim_end_matches('=')).ok()
    }
}

/// What polling for a pairing brought.
pub enum Poll {
    /// The person has not decided yet.
    Pending,
    /// Poll more slowly.
    SlowDown,
    /// The person refused.
    Denied,
    /// The code has ended.
    Expired,
    /// Paired.
    Paired(Box<InstanceToken>),
}

/// The account service.
pub struct Cloud {
    base: Url,
    dialer: Dialer,
    clock: SharedClock,
    metadata: Mutex<Option<Metadata>>,
    nonce: Mutex<Option<String>>,
    /// Seconds that the server's clock is ahead of this one.
    ahead: AtomicI64,
    /// The same as its last description of itself was dated, whether it is followed or not.
    dated_ahead: Mutex<Option<i64>>,
}

impl Cloud {
    /// At this address.
    ///
    /// # Errors
    /// [`CloudError::Address`] when the address may not be used.
    pub fn new(base: Url, dialer: Dialer, clock: SharedClock) -> Result<Self, CloudError> {
        dialer.check(&base).map_err(|error| CloudError::Address(error.to_string()))?;
        Ok(Self {
            base,
            dialer,
            clock,
            metadata: Mutex::default(),
            nonce: Mutex::default(),
            ahead: AtomicI64::new(0),
            dated_ahead: Mutex::default(),
        })
    }

    /// The time by the server's clock as far as known, in seconds since 1970.
    #[must_use]
    pub fn unix_seconds(&self) -> u64 {
        self.clock.unix_seconds().saturating_add_signed(self.ahead.load(Ordering::Relaxed))
    }

    /// The same in milliseconds.
    pub(crate) fn unix_millis(&self) -> u64 {
        self.clock.unix_millis().saturating_add_signed(self.ahead.load(Ordering::Relaxed).saturating_mul(1000))
    }

    /// How many seconds its clock is ahead of this one, once it has said what time it is.
    pub(crate) fn seconds_ahead(&self) -> Option<i64> {
        *self.dated_ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its endpoints; asked once.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn metadata(&self) -> Result<Metadata, CloudError> {
        if let Some(known) = self.metadata.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            return Ok(known);
        }
        let mut url = self.base.clone();
        let path = format!("{}/.well-known/openid-configuration", url.path().trim_end_matches('/'));
        url.set_path(&path);
        let response = self.ask(HttpRequest::get(&url)).await?;
        if let Some(busy) = asks_to_wait(&response) {
            return Err(busy);
        }
        if response.status().is_server_error() {
            return Err(CloudError::Unreachable(format!("HTTP status {}", response.status().as_u16())));
        }
        if !response.status().is_success() {
            return Err(CloudError::NotCloud("it has no description of its services"));
        }
        let date = response.headers().get("date").and_then(|date| http_date(date.to_str().ok()?));
        *self.dated_ahead.lock().unwrap_or_else(PoisonError::into_inner) = date.map(|date| self.ahead_of_here(date));
        let metadata: Metadata = serde_json::from_slice(&body(response)?)
            .map_err(|_| CloudError::NotCloud("its description of its services is not understood"))?;
        let endpoints = [&metadata.token_endpoint, &metadata.device_authorization_endpoint];
        let newer = [&metadata.home_assistant_endpoint, &metadata.leave_endpoint, &metadata.trial_endpoint];
        let newer = newer.into_iter().flatten();
        for endpoint in endpoints.into_iter().chain(newer) {
            self.dialer.check(endpoint).map_err(|_| CloudError::NotCloud("it names endpoints without encryption"))?;
        }
        *self.metadata.lock().unwrap_or_else(PoisonError::into_inner) = Some(metadata.clone());
        Ok(metadata)
    }

    /// Begin pairing.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn begin_pairing(&self, key: &SigningKey, name: Option<&str>) -> Result<DeviceAuthorization, CloudError> {
        let metadata = self.metadata().await?;
        let public = URL_SAFE_NO_PAD.encode(key.public());
        let claims = json!({ "aud": metadata.issuer, "key": public, "jti": random_id() });
        let proof = key.sign_jws(Header { typ: Some("macloud-pair+jwt".into()), ..Header::default() }, &claims);
        let mut form = vec![
            ("client_id", PAIRING_CLIENT.to_owned()),
            ("scope", "pair".to_owned()),
            ("instance_key", public),
            ("instance_proof", proof),
        ];
        form.extend(name.map(|name| ("instance_name", name.to_owned())));
        let answer = self.answer_to(HttpRequest::form(&metadata.device_authorization_endpoint, &form)).await?;
        match answer.status {
            StatusCode::OK => answer.parse("its answer to pairing is not understood"),
            _ => Err(answer.refusal()),
        }
    }

    /// Ask whether the person has decided.
    ///
    /// # Errors
    /// [`CloudError`]; transient ones are worth polling on.
    pub async fn poll_pairing(&self, key: &SigningKey, device_code: &str) -> Result<Poll, CloudError> {
        let form = |_: &Metadata| {
            vec![
                ("grant_type", "urn:ietf:params:oauth:grant-type:device_code".to_owned()),
                ("device_code", device_code.to_owned()),
                ("client_id", PAIRING_CLIENT.to_owned()),
            ]
        };
        let answer = self.token_request(key, form).await?;
        match (answer.status, answer.error.as_str()) {
            (StatusCode::OK, _) => Ok(Poll::Paired(Box::new(answer.parse("its answer to pairing is not understood")?))),
            (_, "authorization_pending") => Ok(Poll::Pending),
            (_, "slow_down") => Ok(Poll::SlowDown),
            (_, "access_denied") => Ok(Poll::Denied),
            (_, "expired_token") => Ok(Poll::Expired),
            _ => Err(answer.refusal()),
        }
    }

    /// Get a token to dial a relay with.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn instance_token(&self, key: &SigningKey, instance: &InstanceId) -> Result<InstanceToken, CloudError> {
        let form = |metadata: &Metadata| {
            let mut form = self.assertion(key, instance, metadata);
            form.extend([("grant_type", "client_credentials".to_owned()), ("scope", "relay".to_owned())]);
            form
        };
        let answer = self.token_request(key, form).await?;
        match (answer.status, answer.error.as_str()) {
            (StatusCode::OK, _) => answer.parse("its token is not understood"),
            _ if answer.home == "moved" => Err(CloudError::Moved),
            (StatusCode::UNAUTHORIZED, _) | (_, "invalid_client" | "unauthorized_client") => {
                Err(CloudError::Unauthorized)
            }
            (_, "access_denied") => Err(CloudError::Suspended),
            _ => Err(answer.refusal()),
        }
    }

    /// Have this home unlinked, for good.
    ///
    /// # Errors
    /// [`CloudError::Unauthorized`] when it is unlinked already; [`CloudError::Moved`] when it goes on on other hardware.
    pub async fn leave(&self, key: &SigningKey, instance: &InstanceId) -> Result<(), CloudError> {
        let endpoint = self.metadata().await?.leave_endpoint;
        let endpoint = endpoint.ok_or(CloudError::NotCloud("it is too old to let a home take leave"))?;
        let answer = self.proved_request(key, &endpoint, |metadata| self.assertion(key, instance, metadata)).await?;
        match (answer.status, answer.error.as_str()) {
            (StatusCode::OK, _) => Ok(()),
            _ if answer.home == "moved" => Err(CloudError::Moved),
            (StatusCode::UNAUTHORIZED, _) | (_, "invalid_client") => Err(CloudError::Unauthorized),
            _ => Err(answer.refusal()),
        }
    }

    /// Ask for a sealed command that does nothing, and wait for what came of it. None where the cloud sends no such commands.
    ///
    /// # Errors
    /// [`CloudError::RetryAfter`] when this home was tried a moment ago; [`CloudError::Unauthorized`] when it is unlinked, or this
    /// machine's clock is wrong and [`Cloud::instance_token`] was not called to follow the cloud's.
    pub async fn try_home(&self, key: &SigningKey, instance: &InstanceId) -> Result<Option<Outcome>, CloudError> {
        let Some(endpoint) = self.metadata().await?.trial_endpoint else { return Ok(None) };
        let statement = trial::ask(key, instance, self.unix_seconds());
        let answer = self.answer_to(HttpRequest::post(&endpoint, trial::STATEMENT_TYPE, statement)).await?;
        match answer.status {
            StatusCode::OK => answer.parse("its answer to a trial is not understood").map(Some),
            // Where the skill has another address, nobody answers at this one.
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Ok(None),
            StatusCode::UNAUTHORIZED => Err(CloudError::Unauthorized),
            _ => Err(answer.refusal()),
        }
    }

    /// Ask for a way to the Home Assistant at this address, for its person's browser.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn begin_home_assistant(
        &self,
        key: &SigningKey,
        instance: &InstanceId,
        url: &Url,
    ) -> Result<HomeAssistantTrip, CloudError> {
        let step = [("step", "begin".to_owned()), ("url", url.as_str().to_owned())];
        let answer = self.home_assistant_request(key, instance, &step).await?;
        answer.parse("its answer about Home Assistant is not understood")
    }

    /// Ask whether the browser is back. None while it is not.
    ///
    /// # Errors
    /// [`CloudError`]; `expired_token` when it does not come any more.
    pub async fn poll_home_assistant(
        &self,
        key: &SigningKey,
        instance: &InstanceId,
        ticket: &str,
    ) -> Result<Option<HomeAssistantCode>, CloudError> {
        let step = [("step", "poll".to_owned()), ("ticket", ticket.to_owned())];
        match self.home_assistant_request(key, instance, &step).await {
            Ok(answer) => answer.parse("its answer about Home Assistant is not understood").map(Some),
            Err(CloudError::Refused { code }) if code == "authorization_pending" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Give this home's word for who somebody is in its Home Assistant.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn state_home_assistant_user(
        &self,
        key: &SigningKey,
        instance: &InstanceId,
        ticket: &str,
        nonce: &str,
        user: &HomeAssistantUser,
    ) -> Result<(), CloudError> {
        let metadata = self.metadata().await?;
        let claims = json!({
            "iss": instance, "aud": metadata.issuer, "nonce": nonce, "ha_user_id": user.id, "name": user.name,
            "is_owner": user.is_owner,
        });
        let header = Header { typ: Some("macloud-home-assistant+jwt".into()), ..Header::default() };
        let statement = key.sign_jws(header, &claims);
        let step = [("step", "state".to_owned()), ("ticket", ticket.to_owned()), ("statement", statement)];
        self.home_assistant_request(key, instance, &step).await.map(drop)
    }

    async fn home_assistant_request(
        &self,
        key: &SigningKey,
        instance: &InstanceId,
        step: &[(&'static str, String)],
    ) -> Result<Answer, CloudError> {
        let endpoint = self.metadata().await?.home_assistant_endpoint;
        let endpoint = endpoint.ok_or(CloudError::NotCloud("it is too old to know of Home Assistant"))?;
        let form = |metadata: &Metadata| {
            let mut form = self.assertion(key, instance, metadata);
            form.extend(step.iter().cloned());
            form
        };
        let answer = self.proved_request(key, &endpoint, form).await?;
        match (answer.status, answer.error.as_str()) {
            (StatusCode::OK, _) => Ok(answer),
            (StatusCode::UNAUTHORIZED, _) | (_, "invalid_client") => Err(CloudError::Unauthorized),
            _ => Err(answer.refusal()),
        }
    }

    /// How the home proves itself in a form, by its key (RFC 7523).
    fn assertion(&self, key: &SigningKey, instance: &InstanceId, metadata: &Metadata) -> Vec<(&'static str, String)> {
        let now = self.unix_seconds();
        let claims = json!({
            "iss": instance, "sub": instance, "aud": metadata.issuer, "iat": now,
            "exp": now + ASSERTION_SECONDS, "jti": random_id(),
        });
        let header = Header { typ: Some("client-authentication+jwt".into()), ..Header::default() };
        vec![
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned()),
            ("client_assertion", key.sign_jws(header, &claims)),
        ]
    }

    async fn token_request(
        &self,
        key: &SigningKey,
        form: impl Fn(&Metadata) -> Vec<(&'static str, String)>,
    ) -> Result<Answer, CloudError> {
        let endpoint = self.metadata().await?.token_endpoint;
        self.proved_request(key, &endpoint, form).await
    }

    /// A request with fresh proofs until the server's nonce and clock are met.
    async fn proved_request(
        &self,
        key: &SigningKey,
        endpoint: &Url,
        form: impl Fn(&Metadata) -> Vec<(&'static str, String)>,
    ) -> Result<Answer, CloudError> {
        let metadata = self.metadata().await?;
        let url = endpoint.as_str();
        let mut clock_corrected = false;
        let mut attempt = 1;
        loop {
            let nonce = self.nonce.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let request = dpop::Request { method: "POST", url, access_token: None };
            let proof = dpop::prove(key, request, nonce.as_deref(), &random_id(), self.unix_seconds());
            let answer = self.answer_to(HttpRequest::form(endpoint, &form(&metadata)).with(DPOP, proof)).await?;
            if answer.status == StatusCode::NOT_FOUND {
                // The service may have moved its endpoints. The next request asks where they are.
                *self.metadata.lock().unwrap_or_else(PoisonError::into_inner) = None;
            }
            if let Some(nonce) = &answer.nonce {
                *self.nonce.lock().unwrap_or_else(PoisonError::into_inner) = Some(nonce.clone());
            }
            let wants_nonce = answer.error == "use_dpop_nonce" && answer.nonce.is_some();
            let clock_may_be_wrong = !clock_corrected
                && matches!(answer.error.as_str(), "invalid_client" | "invalid_grant" | "invalid_dpop_proof")
                && self.correct_clock(&answer);
            clock_corrected |= clock_may_be_wrong;
            if attempt == ATTEMPTS || !(wants_nonce || clock_may_be_wrong) {
                return Ok(answer);
            }
            attempt += 1;
        }
    }

    async fn answer_to(&self, request: HttpRequest<'_>) -> Result<Answer, CloudError> {
        Answer::read(self.ask(request).await?)
    }

    async fn ask(&self, request: HttpRequest<'_>) -> Result<Response<Vec<u8>>, CloudError> {
        let _held = self.dialer.hold();
        let is_plain = request.url().scheme() == "http";
        let limits = Limits { time: REQUEST_LIMIT, bytes: MAX_BODY };
        self.dialer.ask(request, limits).await.map_err(|error| no_answer(error, is_plain))
    }

    fn ahead_of_here(&self, date: i64) -> i64 {
        date - i64::try_from(self.clock.unix_seconds()).unwrap_or(i64::MAX)
    }

    /// Follow the server's clock if it is far from the one in use. Whether it was.
    fn correct_clock(&self, answer: &Answer) -> bool {
        let Some(date) = answer.date else { return false };
        let ahead = self.ahead_of_here(date);
        if (ahead - self.ahead.load(Ordering::Relaxed)).abs() <= CLOCK_TOLERANCE {
            return false;
        }
        tracing::warn!(ahead_seconds = ahead, "this machine's clock is wrong; following the cloud's");
        self.ahead.store(ahead, Ordering::Relaxed);
        true
    }
}

/// A token endpoint's answer.
struct Answer {
    status: StatusCode,
    error: String,
    /// What the account service says about the home when it refuses it.
    home: String,
    nonce: Option<String>,
    date: Option<i64>,
    body: Vec<u8>,
}

#[derive(Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    error: String,
    #[serde(default)]
    home: String,
}

impl Answer {
    fn read(response: Response<Vec<u8>>) -> Result<Self, CloudError> {
        if let Some(busy) = asks_to_wait(&response) {
            return Err(busy);
        }
        let status = response.status();
        if status.is_server_error() {
            return Err(CloudError::Unreachable(format!("HTTP status {}", status.as_u16())));
        }
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let nonce = header("dpop-nonce");
        let date = header("date").as_deref().and_then(http_date);
        let body = body(response)?;
        let ErrorBody { error, home } = serde_json::from_slice(&body).unwrap_or_default();
        // A code, not a text: anything else in its place is not repeated anywhere.
        let is_code = |c: char| c.is_ascii_lowercase() || c == '_';
        let error = if error.len() <= 40 && error.chars().all(is_code) { error } else { String::new() };
        Ok(Self { status, error, home, nonce, date, body })
    }

    fn parse<T: for<'de> Deserialize<'de>>(&self, otherwise: &'static str) -> Result<T, CloudError> {
        serde_json::from_slice(&self.body).map_err(|_| CloudError::NotCloud(otherwise))
    }

    fn refusal(&self) -> CloudError {
        if self.error.is_empty() {
            return CloudError::NotCloud("its answer is not understood");
        }
        CloudError::Refused { code: self.error.clone() }
    }
}

fn asks_to_wait<B>(response: &Response<B>) -> Option<CloudError> {
    if !matches!(response.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let after = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(CloudError::RetryAfter(Duration::from_secs(after)))
}

fn body(response: Response<Vec<u8>>) -> Result<Vec<u8>, CloudError> {
    let body = response.into_body();
    if body.len() > MAX_BODY { Err(CloudError::NotCloud("its answer is too long")) } else { Ok(body) }
}

/// Why a request was not answered.
fn no_answer(error: HttpError, is_plain: bool) -> CloudError {
    match &error {
        HttpError::Dial(DialError::Tunnel(_) | DialError::Proxy(_)) => return CloudError::Proxy(error.to_string()),
        HttpError::Dial(DialError::TlsBehindProxy(_)) => return CloudError::Insecure(error.to_string()),
        HttpError::Exchange(strange) if strange.is_parse() => {
            let at_tls = if is_plain { "; it may be at https://" } else { "" };
            return CloudError::Insecure(format!("what it says is not HTTP{at_tls}"));
        }
        _ => {}
    }
    tls_trouble(&error).map_or_else(|| CloudError::Unreachable(innermost(&error)), CloudError::Insecure)
}

/// The innermost reason, which is the one that means something.
fn innermost(error: &HttpError) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// `Sun, 22 Nov 2026 01:02:03 GMT` in seconds since 1970.
fn http_date(text: &str) -> Option<i64> {
    let format = time::macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    Some(time::PrimitiveDateTime::parse(text, &format).ok()?.assume_utc().unix_timestamp())
}

fn random_id() -> String {
    URL_SAFE_NO_PAD.encode(macloud_service_kit::random::bytes::<16>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_servers_are_read() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(http_date("yesterday"), None);
    }
}
