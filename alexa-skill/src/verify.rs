//! Verify: is this request to the custom part really from Alexa, fresh, and for us?
//!
//! A directive of the smart home side carries a bearer token that is its whole authority; a request of the custom part
//! comes from the open internet and is believed only with a signature. Every refusal looks the same from outside
//! (HTTP 400, no body): certification sends bad requests and expects exactly that.
//!
//! The order matters: nothing in the body is looked at before the signature over its exact bytes holds.

pub mod cert_url;
pub mod chain;
mod fetch;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use macloud_service_kit::clock::SharedClock;
use rustls_pki_types::CertificateDer;
use tokio::time::timeout;
use url::Url;

use crate::request::{self, CustomRequest};
use cert_url::CertUrl;
use chain::{Chain, Roots};
use fetch::Chains;

/// What requests are held against.
#[derive(Debug, Clone)]
pub struct VerifyConfig {
    /// The skill's application ids, one for each stage. With none, every request is refused.
    pub application_ids: Vec<String>,
    /// How far a request's timestamp may be from now, both ways.
    pub timestamp_tolerance: Duration,
    /// For tests: what makes requests believed that Alexa did not sign.
    pub dangerous: Dangerous,
}

impl Default for VerifyConfig {
    fn default() -> Self {
        Self {
            application_ids: Vec::new(),
            timestamp_tolerance: Duration::from_secs(150),
            dangerous: Dangerous::default(),
        }
    }
}

/// Anything here other than the default makes forged requests possible. Never set it where strangers can call.
#[derive(Clone, Default)]
pub struct Dangerous {
    /// Fetch certificate chains from here, with the path of the original URL. Its rules still apply to the original.
    pub fetch_base: Option<Url>,
    /// Certification authorities that are believed besides the public ones.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// The clock that certificates and timestamps are held against.
    pub clock: Option<SharedClock>,
}

impl std::fmt::Debug for Dangerous {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dangerous")
            .field("fetch_base", &self.fetch_base.as_ref().map(Url::as_str))
            .field("extra_roots", &self.extra_roots.len())
            .field("clock", &self.clock.is_some())
            .finish()
    }
}

/// Why a request is not believed. For logs; the caller learns nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// `SignatureCertChainUrl` is missing or not where Alexa keeps its certificates.
    #[error("the certificate chain's URL is missing or not Alexa's")]
    CertUrl,
    /// `Signature-256` is missing or not base64. The older `Signature` (SHA-1) is never looked at.
    #[error("there is no readable SHA-256 signature")]
    NoSignature,
    /// The chain could not be fetched.
    #[error("the certificate chain cannot be fetched: {0}")]
    Fetch(&'static str),
    /// The chain is not to be believed.
    #[error(transparent)]
    Chain(#[from] chain::ChainError),
    /// The body is no request.
    #[error(transparent)]
    Malformed(#[from] request::Malformed),
    /// Too old, or from the future.
    #[error("the request was made {0} seconds ago")]
    Timestamp(i64),
    /// Meant for another skill.
    #[error("the request is for another application")]
    Application,
}

/// Verifies requests of the custom part.
pub struct Verifier {
    chains: Chains,
    roots: Roots,
    application_ids: Vec<String>,
    tolerance_seconds: u64,
    /// What certificates and timestamps are held against.
    judge: SharedClock,
    /// What the age of remembered chains is measured by: never the one that tests replace.
    clock: SharedClock,
}

impl Verifier {
    /// With these rules; `clock` unless the dangerous settings replace it.
    ///
    /// # Errors
    /// When an extra root is no certificate.
    pub fn new(config: VerifyConfig, clock: SharedClock) -> Result<Self, chain::ChainError> {
        let VerifyConfig { application_ids, timestamp_tolerance, dangerous } = config;
        Ok(Self {
            chains: Chains::new(dangerous.fetch_base),
            roots: Roots::new(&dangerous.extra_roots)?,
            application_ids,
            tolerance_seconds: timestamp_tolerance.as_secs(),
            judge: dangerous.clock.unwrap_or_else(|| clock.clone()),
            clock,
        })
    }

    /// The request, if Alexa made it just now for us.
    ///
    /// # Errors
    /// [`Refused`]; to be answered with HTTP 400 and nothing else.
    pub async fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Result<CustomRequest, Refused> {
        let url = header(headers, CERT_URL).and_then(CertUrl::parse).ok_or(Refused::CertUrl)?;
        let signature = header(headers, SIGNATURE).and_then(|text| STANDARD.decode(text).ok());
        self.check_signature(&url, &signature.ok_or(Refused::NoSignature)?, body).await?;
        let request = request::parse(body)?;
        self.check_time(&request)?;
        self.check_application(&request)?;
        Ok(request)
    }

    async fn check_signature(&self, url: &CertUrl, signature: &[u8], body: &[u8]) -> Result<(), Refused> {
        let Some(remembered) = self.chains.remembered(url) else {
            let chain = self.chains.fetch(url).await?;
            self.accept(&chain, body, signature)?;
            self.chains.remember(url, &chain, self.age_clock());
            return Ok(());
        };
        if self.chains.is_due(url, self.age_clock()) {
            // When it cannot be had, the remembered one does, for as long as it is trusted.
            let renewed = timeout(PATIENCE_WITH_RENEWAL, self.renew(url)).await;
            if let Ok(Ok(chain)) = renewed {
                return Ok(chain.check_signature(body, signature)?);
            }
        }
        match self.accept(&remembered, body, signature) {
            Err(_) if self.chains.may_look_again(url, self.age_clock()) => {
                Ok(self.renew(url).await?.check_signature(body, signature)?)
            }
            verdict => verdict,
        }
    }

    /// What Alexa publishes at `url` by now. A trusted chain takes the place of the remembered one whatever comes of
    /// the request, so that a stranger's bad request cannot use up the look that the next good one needs.
    async fn renew(&self, url: &CertUrl) -> Result<Arc<Chain>, Refused> {
        let chain = self.chains.fetch(url).await?;
        chain.check_trust(&self.roots, self.judge.unix_seconds())?;
        self.chains.remember(url, &chain, self.age_clock());
        Ok(chain)
    }

    fn accept(&self, chain: &Chain, body: &[u8], signature: &[u8]) -> Result<(), Refused> {
        chain.check_trust(&self.roots, self.judge.unix_seconds())?;
        Ok(chain.check_signature(body, signature)?)
    }

    fn age_clock(&self) -> u64 {
        self.clock.monotonic_millis()
    }

    fn check_time(&self, request: &CustomRequest) -> Result<(), Refused> {
        let age = i64::try_from(self.judge.unix_seconds()).unwrap_or(i64::MAX).saturating_sub(request.made_at);
        let oldest = if request.is_skill_event() { SKILL_EVENT_TOLERANCE_SECONDS } else { self.tolerance_seconds };
        let limit = if age > 0 { oldest } else { self.tolerance_seconds };
        if age.unsigned_abs() <= limit { Ok(()) } else { Err(Refused::Timestamp(age)) }
    }

    fn check_application(&self, request: &CustomRequest) -> Result<(), Refused> {
        let ours = request.application_ids.iter().all(|id| self.application_ids.contains(id));
        if ours { Ok(()) } else { Err(Refused::Application) }
    }
}

/// Somebody waits for an answer, and there is a chain that does.
const PATIENCE_WITH_RENEWAL: Duration = Duration::from_millis(500);

/// Alexa repeats events about the skill itself for up to an hour, with their first timestamp.
const SKILL_EVENT_TOLERANCE_SECONDS: u64 = 3600;

/// Whether the headers are there that make a request worth reading at all.
pub(crate) fn could_be_signed(headers: &HeaderMap) -> bool {
    header(headers, CERT_URL).is_some() && header(headers, SIGNATURE).is_some()
}

const CERT_URL: &str = "signaturecertchainurl";
const SIGNATURE: &str = "signature-256";

/// The value of a header that may stand once only.
fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}
