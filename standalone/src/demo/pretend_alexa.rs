//! The pretend Alexa: an OAuth client that links an account through the real pages, then sends directives and signed
//! custom requests as Amazon does. Used by the demo, the whole-system tests and the load generator.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use macloud_proto::jose::sha256_base64url;
use macloud_service_kit::clock::SharedClock;
use macloud_service_kit::random;
use ring::hmac;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use url::Url;

use super::browser::{Browser, Landing};

/// What the skill must be told to trust so that the pretend Alexa's custom requests are accepted.
pub const SIGNING_ROOT: &str = include_str!("../../assets/pretend-alexa/root.pem");

/// The chain that [`PretendAlexa`]'s requests name; serve it at [`CHAIN_PATH`] of the certificate base.
pub const SIGNING_CHAIN: &str = include_str!("../../assets/pretend-alexa/chain.pem");

/// The path of the chain.
pub const CHAIN_PATH: &str = "/echo.api/pretend-alexa.pem";

/// The skill id of the pretend Alexa.
pub const SKILL_ID: &str = "amzn1.ask.skill.00000000-0000-4000-8000-000000000000";

const SIGNING_KEY: &[u8] = include_bytes!("../../assets/pretend-alexa/signing-key.pk8");

/// How the pretend Alexa is registered with the account service.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Client id.
    pub client_id: String,
    /// Client secret.
    pub client_secret: String,
    /// One of the registered redirect URIs.
    pub redirect_uri: String,
}

/// An Alexa with one linked account.
pub struct PretendAlexa {
    http: reqwest::Client,
    cloud: Url,
    /// Where the skill is, which in a cluster is not where the accounts are.
    skill: Url,
    registration: Registration,
    signing_key: RsaKeyPair,
    /// What its directives are signed with, as the forwarder's are.
    forwarder_key: Option<hmac::Key>,
    clock: SharedClock,
    tokens: Option<Tokens>,
}

/// What linking gave.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub struct Tokens {
    /// Opaque access token.
    pub access_token: String,
    /// Opaque refresh token.
    pub refresh_token: String,
    /// Life of the access token, in seconds.
    pub expires_in: u64,
}

impl PretendAlexa {
    /// Not linked yet. `cloud` is the public URL.
    ///
    /// # Panics
    /// Never: the built-in key is valid.
    #[must_use]
    pub fn new(cloud: Url, registration: Registration, clock: SharedClock) -> Self {
        let signing_key = RsaKeyPair::from_pkcs8(SIGNING_KEY).expect("the built-in key is a valid RSA key");
        let http = macloud_service_kit::client::client(Duration::from_secs(10));
        Self { http, skill: cloud.clone(), cloud, registration, signing_key, forwarder_key: None, clock, tokens: None }
    }

    /// The Alexa of somebody else, who has not linked yet.
    #[must_use]
    pub fn of_another_person(&self) -> Self {
        let mut other = Self::new(self.cloud.clone(), self.registration.clone(), self.clock.clone());
        other.skill = self.skill.clone();
        other
    }

    /// From now on, talk to the skill at this URL.
    pub fn use_skill(&mut self, url: Url) {
        self.skill = url;
    }

    /// From now on, sign directives as a forwarder with this key does.
    pub fn sign_as_forwarder(&mut self, key: &[u8; 32]) {
        self.forwarder_key = Some(hmac::Key::new(hmac::HMAC_SHA256, key));
    }

    /// Go on with what an earlier linking gave.
    pub fn resume(&mut self, tokens: Tokens) {
        self.tokens = Some(tokens);
    }

    /// Link the account of a person through the real pages: authorize, sign in where asked, consent, redeem the code.
    ///
    /// # Errors
    /// When a page is not as it should be, or the server refuses.
    pub async fn link(&mut self, browser: &mut Browser, email: &str, password: &str) -> anyhow::Result<()> {
        let verifier = URL_SAFE_NO_PAD.encode(random::bytes::<32>());
        let state = URL_SAFE_NO_PAD.encode(random::bytes::<48>());
        let mut authorize = self.endpoint("authorization_endpoint").await?;
        authorize
            .query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.registration.client_id)
            .append_pair("redirect_uri", &self.registration.redirect_uri)
            .append_pair("scope", "music_assistant.read music_assistant.control")
            .append_pair("state", &state)
            .append_pair("code_challenge", &sha256_base64url(verifier.as_bytes()))
            .append_pair("code_challenge_method", "S256");
        let mut page = browser.page(&authorize).await?;
        if let Ok(form) = page.form_with("password") {
            page = browser.submit(&form, &[("email", email), ("password", password)]).await?.page()?;
        }
        let consent = page.form_with("decision").context("the consent page")?;
        let back = match browser.submit(&consent, &[("decision", "allow")]).await? {
            Landing::Elsewhere(url) => url,
            Landing::Page(page) => bail!("after consent the page {:?} (HTTP {}) was shown", page.title(), page.status),
        };
        let parameter =
            |name: &str| back.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        ensure!(parameter("state").as_deref() == Some(&state), "the state came back changed");
        let code = parameter("code")
            .with_context(|| format!("no code came back, but error {:?}", parameter("error").unwrap_or_default()))?;
        let redirect_uri = self.registration.redirect_uri.clone();
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", &redirect_uri),
            ("code_verifier", &verifier),
        ];
        self.tokens = Some(self.token(&form).await?);
        Ok(())
    }

    /// Use the refresh token.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn refresh(&mut self) -> anyhow::Result<()> {
        let refresh_token = self.tokens.as_ref().context("not linked")?.refresh_token.clone();
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str())];
        self.tokens = Some(self.token(&form).await?);
        Ok(())
    }

    /// The tokens, once linked.
    #[must_use]
    pub const fn tokens(&self) -> Option<&Tokens> {
        self.tokens.as_ref()
    }

    async fn token(&self, form: &[(&str, &str)]) -> anyhow::Result<Tokens> {
        let url = self.endpoint("token_endpoint").await?;
        let Registration { client_id, client_secret, .. } = &self.registration;
        let response = self.http.post(url).basic_auth(client_id, Some(client_secret)).form(form).send().await?;
        let status = response.status();
        let body: Value = response.json().await.context("the token endpoint's answer")?;
        ensure!(status.is_success(), "the token endpoint answered {status} {}", body["error"]);
        Ok(serde_json::from_value(body)?)
    }

    async fn endpoint(&self, name: &str) -> anyhow::Result<Url> {
        let url = self.cloud.join("/.well-known/openid-configuration")?;
        let metadata: Value = self.http.get(url).send().await?.error_for_status()?.json().await?;
        let endpoint = metadata[name].as_str().with_context(|| format!("discovery names no {name}"))?;
        Ok(endpoint.parse()?)
    }

    fn access_token(&self) -> &str {
        self.tokens.as_ref().map_or("", |tokens| &tokens.access_token)
    }

    /// A control directive for one endpoint.
    #[must_use]
    pub fn control(&self, namespace: &str, name: &str, endpoint_id: &str, payload: Value) -> Value {
        json!({"directive": {
            "header": header(namespace, name, true),
            "endpoint": {
                "scope": {"type": "BearerToken", "token": self.access_token()},
                "endpointId": endpoint_id,
                "cookie": {},
            },
            "payload": payload,
        }})
    }

    /// `Alexa.Discovery` / `Discover`.
    #[must_use]
    pub fn discover(&self) -> Value {
        json!({"directive": {
            "header": header("Alexa.Discovery", "Discover", false),
            "payload": {"scope": {"type": "BearerToken", "token": self.access_token()}},
        }})
    }

    /// `Alexa.Authorization` / `AcceptGrant`.
    #[must_use]
    pub fn accept_grant(&self) -> Value {
        json!({"directive": {
            "header": header("Alexa.Authorization", "AcceptGrant", false),
            "payload": {
                "grant": {"type": "OAuth2.AuthorizationCode", "code": "pretend-grant-code"},
                "grantee": {"type": "BearerToken", "token": self.access_token()},
            },
        }})
    }

    /// An intent request as the custom skill receives it.
    #[must_use]
    pub fn intent(&self, name: &str, slots: &[(&str, &str)]) -> Value {
        let slots: serde_json::Map<String, Value> = slots
            .iter()
            .map(|(name, value)| {
                ((*name).to_owned(), json!({"name": name, "value": value, "confirmationStatus": "NONE"}))
            })
            .collect();
        let intent = json!({"name": name, "confirmationStatus": "NONE", "slots": slots});
        self.custom(json!({"type": "IntentRequest", "intent": intent, "dialogState": "COMPLETED"}))
    }

    /// "Alexa, open …".
    #[must_use]
    pub fn launch(&self) -> Value {
        self.custom(json!({"type": "LaunchRequest"}))
    }

    fn custom(&self, mut request: Value) -> Value {
        request["requestId"] = format!("amzn1.echo-api.request.{}", uuid()).into();
        request["timestamp"] = timestamp(self.clock.unix_seconds()).into();
        request["locale"] = "en-US".into();
        let mut user = json!({"userId": "amzn1.ask.account.PRETEND"});
        if let Some(tokens) = &self.tokens {
            user["accessToken"] = tokens.access_token.clone().into();
        }
        let application = json!({"applicationId": SKILL_ID});
        json!({
            "version": "1.0",
            "session": {
                "new": true,
                "sessionId": format!("amzn1.echo-api.session.{}", uuid()),
                "application": application,
                "user": user,
                "attributes": {},
            },
            "context": {"System": {
                "application": application,
                "user": user,
                "device": {"deviceId": "amzn1.ask.device.PRETEND", "supportedInterfaces": {}},
                // Without the token for it: nothing that is only pretended goes there.
                "apiEndpoint": "https://api.amazonalexa.com",
            }},
            "request": request,
        })
    }

    /// Send a smart-home directive; the skill's event comes back.
    ///
    /// # Errors
    /// When there is no answer or it is not JSON.
    pub async fn send_directive(&self, directive: &Value) -> anyhow::Result<Value> {
        let url = self.skill.join("/alexa/v1/smart-home")?;
        let body = serde_json::to_vec(directive)?;
        let mut request = self.http.post(url).header("content-type", "application/json");
        if let Some(key) = &self.forwarder_key {
            request = request.header("x-macloud-signature", STANDARD.encode(hmac::sign(key, &body)));
        }
        let response = request.body(body).send().await?;
        let status = response.status();
        let event: Value = response.json().await.context("the skill's event")?;
        ensure!(status.is_success(), "the skill answered {status}");
        Ok(event)
    }

    /// Send a custom request, signed; the skill's response comes back.
    ///
    /// # Errors
    /// When there is no answer, it is not JSON, or the request is refused.
    pub async fn send_custom(&self, request: &Value) -> anyhow::Result<Value> {
        let url = self.skill.join("/alexa/v1/custom")?;
        let body = serde_json::to_vec(request)?;
        let response = self
            .http
            .post(url)
            .header("content-type", "application/json")
            .header("SignatureCertChainUrl", format!("https://s3.amazonaws.com{CHAIN_PATH}"))
            .header("Signature-256", self.sign(&body))
            .body(body)
            .send()
            .await?;
        let status = response.status();
        ensure!(status.is_success(), "the skill refused the request: {status}");
        response.json().await.context("the skill's response")
    }

    fn sign(&self, body: &[u8]) -> String {
        let mut signature = vec![0; self.signing_key.public().modulus_len()];
        let random = ring::rand::SystemRandom::new();
        self.signing_key
            .sign(&RSA_PKCS1_SHA256, &random, body, &mut signature)
            .expect("the buffer has the length of the modulus");
        STANDARD.encode(signature)
    }
}

fn header(namespace: &str, name: &str, correlated: bool) -> Value {
    let mut header = json!({"namespace": namespace, "name": name, "messageId": uuid(), "payloadVersion": "3"});
    if correlated {
        header["correlationToken"] = STANDARD.encode(random::bytes::<96>()).into();
    }
    header
}

/// A random UUID (RFC 9562 version 4).
fn uuid() -> String {
    let mut bytes = random::bytes::<16>();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// ISO 8601 with seconds, as Alexa stamps requests.
fn timestamp(unix_seconds: u64) -> String {
    let at = i64::try_from(unix_seconds).ok().and_then(|at| time::OffsetDateTime::from_unix_timestamp(at).ok());
    let at = at.unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    at.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}
