//! Other OpenID providers that people may sign in with: what an operator sets, and the way of a browser there and back.
//!
//! A provider is told apart by its issuer, a person by issuer and subject; nothing else of what it tells decides who
//! somebody is. Its metadata and keys are kept for an hour, and fetched anew when it signs with a key that is not known
//! (at most once a minute). Only signatures with public keys count: never `none`, never the client's secret as a key.

mod fetch;
mod settings;

use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use macloud_service_kit::clock::SharedClock;
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreClaimName, CoreClaimType, CoreClient,
    CoreClientAuthMethod, CoreGrantType, CoreIdToken, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm, CoreResponseMode, CoreResponseType,
    CoreSubjectIdentifierType, CoreUserInfoClaims,
};
use openidconnect::{
    AccessToken, AdditionalProviderMetadata, AuthType, AuthorizationCode, ClaimsVerificationError, ClientId,
    ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet, EndpointSet, IssuerUrl, Nonce, OAuth2TokenResponse as _,
    PkceCodeChallenge, PkceCodeVerifier, ProviderMetadata, RedirectUrl, Scope, SignatureVerificationError,
    TokenResponse as _,
};
use serde::{Deserialize, Serialize};
use url::Url;

use self::fetch::Fetcher;
pub use self::settings::{IdentityProvider, IdentityProviderArgs, IdentityProviderError};

/// A provider, ready to be used.
pub(crate) struct Provider {
    pub(crate) settings: IdentityProvider,
    redirect: RedirectUrl,
    fetcher: Fetcher,
    clock: SharedClock,
    known: Mutex<Option<Known>>,
}

/// Metadata and keys, and when they were fetched.
#[derive(Clone)]
struct Known {
    metadata: Arc<Metadata>,
    at_millis: u64,
}

/// What we read beside the standard metadata (RFC 9207).
#[derive(Debug, Clone, Deserialize, Serialize)]
struct More {
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}
impl AdditionalProviderMetadata for More {}

type Metadata = ProviderMetadata<
    More,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// What a way to a provider begins with.
pub(crate) struct Begun {
    /// Where to send the browser.
    pub(crate) url: Url,
    pub(crate) nonce: String,
    pub(crate) verifier: String,
}

/// What a browser brought back, and what it left with.
pub(crate) struct Return<'a> {
    pub(crate) code: &'a str,
    /// `iss` of the answer (RFC 9207).
    pub(crate) issuer: Option<&'a str>,
    pub(crate) nonce: &'a str,
    pub(crate) verifier: &'a str,
}

/// Who somebody is at a provider. No `Debug`: it holds an address.
pub(crate) struct Person {
    pub(crate) subject: String,
    pub(crate) email: Option<String>,
    /// The provider says that the address is theirs.
    pub(crate) email_verified: bool,
    /// When they signed in there, in seconds since 1970, if it says so.
    pub(crate) signed_in_at: Option<i64>,
}

/// Why a provider is of no help. Texts carry nothing that it sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProviderError {
    /// It cannot be reached, or answered with an error or with nonsense. Another time may be better.
    #[error("it does not answer as an OpenID provider does")]
    Away,
    /// What came back cannot be believed.
    #[error("its answer cannot be believed: {0}")]
    Unbelievable(&'static str),
}

impl Provider {
    /// `base` is our own origin: where the browser comes back to.
    pub(crate) fn new(
        settings: IdentityProvider,
        base: &str,
        clock: SharedClock,
    ) -> Result<Self, IdentityProviderError> {
        let back = format!("{base}/sign-in/from/{}", settings.id);
        let redirect = RedirectUrl::new(back).map_err(|_| IdentityProviderError::Id(settings.id.clone()))?;
        let fetcher = Fetcher::new(settings.dangerous_allow_private_addresses);
        Ok(Self { settings, redirect, fetcher, clock, known: Mutex::default() })
    }

    /// Begin a way there; with `again`, people are to sign in there anew.
    pub(crate) fn begin<'a>(&'a self, state: &'a str, again: bool) -> BoxFuture<'a, Result<Begun, ProviderError>> {
        Box::pin(self.try_begin(state, again))
    }

    async fn try_begin(&self, state: &str, again: bool) -> Result<Begun, ProviderError> {
        let metadata = self.metadata().await?;
        let client = self.client(&metadata);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let own_state = state.to_owned();
        let mut request = client
            .authorize_url(flow, move || CsrfToken::new(own_state), Nonce::new_random)
            .set_pkce_challenge(challenge);
        for scope in self.settings.scopes.iter().filter(|scope| *scope != "openid") {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        if again {
            request = request.add_prompt(CoreAuthPrompt::Login).set_max_age(std::time::Duration::ZERO);
        }
        let (url, _, nonce) = request.url();
        self.fetcher.check(&url)?;
        Ok(Begun { url, nonce: nonce.secret().clone(), verifier: verifier.secret().clone() })
    }

    /// Redeem what the browser brought back, and check all that is said.
    pub(crate) fn finish<'a>(&'a self, returned: &'a Return<'a>) -> BoxFuture<'a, Result<Person, ProviderError>> {
        Box::pin(self.try_finish(returned))
    }

    async fn try_finish(&self, returned: &Return<'_>) -> Result<Person, ProviderError> {
        let metadata = self.metadata().await?;
        self.check_issuer(&metadata, returned.issuer)?;
        let client = self.client(&metadata);
        let code = AuthorizationCode::new(returned.code.to_owned());
        let verifier = PkceCodeVerifier::new(returned.verifier.to_owned());
        let fetch = self.fetcher.client();
        let request = client.exchange_code(code).map_err(|_| ProviderError::Away)?;
        let tokens =
            request.set_pkce_verifier(verifier).request_async(&fetch).await.map_err(|_| ProviderError::Away)?;
        let id_token = tokens.id_token().ok_or(ProviderError::Unbelievable("there is no id token"))?;
        let nonce = Nonce::new(returned.nonce.to_owned());
        let mut person = match self.believe(&client, id_token, &nonce) {
            Err(Doubt::UnknownKey) => {
                let metadata = self.metadata_with_new_keys(&metadata).await?;
                self.believe(&self.client(&metadata), id_token, &nonce).map_err(Doubt::into_error)?
            }
            other => other.map_err(Doubt::into_error)?,
        };
        if person.email.is_none() {
            self.ask_for_email(&client, tokens.access_token().clone(), &mut person).await;
        }
        Ok(person)
    }

    /// Another provider must not answer in this one's place (mix-up).
    fn check_issuer(&self, metadata: &Metadata, told: Option<&str>) -> Result<(), ProviderError> {
        let must = metadata.additional_metadata().authorization_response_iss_parameter_supported;
        match told {
            Some(issuer) if issuer != self.settings.issuer => {
                Err(ProviderError::Unbelievable("another provider sent it"))
            }
            None if must => Err(ProviderError::Unbelievable("it does not say who sent it")),
            Some(_) | None => Ok(()),
        }
    }

    fn believe(&self, client: &Client, token: &CoreIdToken, nonce: &Nonce) -> Result<Person, Doubt> {
        let now = i64::try_from(self.clock.unix_seconds()).unwrap_or(i64::MAX);
        let now = chrono::DateTime::from_timestamp(now, 0).ok_or(Doubt::Other("our own clock is wrong"))?;
        let verifier = client.id_token_verifier().set_allowed_algs(ALGORITHMS).set_time_fn(move || now);
        let latest = now + chrono::TimeDelta::minutes(AHEAD_MINUTES);
        let on_time = move |issued: chrono::DateTime<chrono::Utc>| {
            (issued <= latest).then_some(()).ok_or_else(|| "it is from the future".to_owned())
        };
        let verifier = verifier.set_issue_time_verifier_fn(on_time);
        let claims = token.claims(&verifier, nonce).map_err(|error| Doubt::of(&error))?;
        if claims.authorized_party().is_some_and(|party| party.as_str() != self.settings.client_id) {
            return Err(Doubt::Other("it was given to somebody else"));
        }
        if !is_subject(claims.subject().as_str()) {
            return Err(Doubt::Other("it names nobody"));
        }
        Ok(Person {
            subject: claims.subject().as_str().to_owned(),
            email: claims.email().map(|email| email.as_str().to_owned()),
            email_verified: claims.email_verified() == Some(true),
            signed_in_at: claims.auth_time().map(|time| time.timestamp()),
        })
    }

    /// Some tell the address only on a second question. Without an answer there is none.
    async fn ask_for_email(&self, client: &Client, token: AccessToken, person: &mut Person) {
        let subject = openidconnect::SubjectIdentifier::new(person.subject.clone());
        let Ok(request) = client.user_info(token, Some(subject)) else { return };
        let fetch = self.fetcher.client();
        let answer: Result<CoreUserInfoClaims, _> = request.request_async(&fetch).await;
        if let Ok(claims) = answer {
            person.email = claims.email().map(|email| email.as_str().to_owned());
            person.email_verified = claims.email_verified() == Some(true);
        }
    }

    fn client(&self, metadata: &Metadata) -> Client {
        let secret = self.settings.client_secret.clone().map(ClientSecret::new);
        let id = ClientId::new(self.settings.client_id.clone());
        let basic = metadata
            .token_endpoint_auth_methods_supported()
            .is_none_or(|methods| methods.contains(&CoreClientAuthMethod::ClientSecretBasic));
        let auth = if basic && secret.is_some() { AuthType::BasicAuth } else { AuthType::RequestBody };
        Client::from_provider_metadata(metadata.clone(), id, secret)
            .set_auth_type(auth)
            .set_redirect_uri(self.redirect.clone())
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, ProviderError> {
        let known = self.lock().clone();
        match known {
            Some(known) if self.age(&known) < KEPT_MILLIS => Ok(known.metadata),
            Some(known) => match self.fetch_metadata().await {
                Ok(metadata) => Ok(metadata),
                // What was true an hour ago is better than nothing; its keys still have to fit.
                Err(_) if self.age(&known) < KEPT_AT_NEED_MILLIS => Ok(known.metadata),
                Err(error) => Err(error),
            },
            None => self.fetch_metadata().await,
        }
    }

    /// After a signature with a key that these do not have.
    async fn metadata_with_new_keys(&self, old: &Arc<Metadata>) -> Result<Arc<Metadata>, ProviderError> {
        let known = self.lock().clone();
        match known {
            // Somebody else was quicker, or it was asked a moment ago: strangers must not make us ask again and again.
            Some(known) if !Arc::ptr_eq(&known.metadata, old) || self.age(&known) < NEW_KEYS_MILLIS => {
                Ok(known.metadata)
            }
            Some(_) | None => self.fetch_metadata().await,
        }
    }

    async fn fetch_metadata(&self) -> Result<Arc<Metadata>, ProviderError> {
        let issuer = IssuerUrl::new(self.settings.issuer.clone()).map_err(|_| ProviderError::Away)?;
        let fetch = self.fetcher.client();
        let metadata = Metadata::discover_async(issuer, &fetch).await.map_err(|_| {
            tracing::warn!(provider = %self.settings.id, "an identity provider's metadata or keys cannot be fetched");
            ProviderError::Away
        })?;
        let metadata = Arc::new(metadata);
        *self.lock() = Some(Known { metadata: metadata.clone(), at_millis: self.clock.monotonic_millis() });
        Ok(metadata)
    }

    fn age(&self, known: &Known) -> u64 {
        self.clock.monotonic_millis().saturating_sub(known.at_millis)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Known>> {
        self.known.lock().expect("no code panics while holding this lock")
    }
}

/// OpenID Connect Core 2: at most 255 characters of ASCII.
fn is_subject(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Why an id token is not believed.
enum Doubt {
    /// Perhaps the provider has a new one.
    UnknownKey,
    Other(&'static str),
}

impl Doubt {
    fn of(error: &ClaimsVerificationError) -> Self {
        use ClaimsVerificationError as Wrong;
        match error {
            Wrong::SignatureVerification(
                SignatureVerificationError::NoMatchingKey | SignatureVerificationError::CryptoError(_),
            ) => Self::UnknownKey,
            Wrong::SignatureVerification(_) => Self::Other("its signature does not count"),
            Wrong::Expired(_) => Self::Other("it is too old"),
            Wrong::InvalidAudience(_) => Self::Other("it is for somebody else"),
            Wrong::InvalidIssuer(_) => Self::Other("it is from somebody else"),
            Wrong::InvalidNonce(_) => Self::Other("it answers another question"),
            _ => Self::Other("its claims are wrong"),
        }
    }

    fn into_error(self) -> ProviderError {
        match self {
            Self::UnknownKey => ProviderError::Unbelievable("its signature does not fit"),
            Self::Other(why) => ProviderError::Unbelievable(why),
        }
    }
}

/// Signatures that only the provider can make.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 6] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
];

/// Clocks differ a little.
const AHEAD_MINUTES: i64 = 5;
const KEPT_MILLIS: u64 = 3_600_000;
/// A provider that is away for a day keeps nobody out whose keys have not changed.
const KEPT_AT_NEED_MILLIS: u64 = 24 * KEPT_MILLIS;
const NEW_KEYS_MILLIS: u64 = 60_000;
