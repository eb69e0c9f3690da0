//! Admission to the relay: an instance token, a proof of possession with the relay's nonce, and the upgrade. While the token
//! is good, a credential that the relay gave with its last Welcome stands for both.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use macloud_proto::dpop;
use macloud_proto::jose::SigningKey;
use macloud_proto::link::SUBPROTOCOL;
use macloud_proto::link::frame::Hello;
use macloud_proto::link::introduction::{HELLO_HEADER, TAKEN};
use macloud_proto::link::redial::Because;
use macloud_proto::link::resumption::{Credential, PROOF_HEADER};
use macloud_proto::{MAX_FRAME_BYTES, ids::InstanceId};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use url::Url;

use crate::cloud::{Cloud, CloudError, InstanceToken};
use crate::network::{DialError, Dialer, WebSocket, upgrade_request};

/// A token is not used in its last seconds: it would end on the way.
const TOKEN_MARGIN: Duration = Duration::from_secs(30);

/// Upgrades per dial: one that brings the nonce, one with it, one without a credential that is not accepted any more, and two
/// with a fresh token.
const ATTEMPTS: u32 = 5;

/// Takes the skill key set that comes with each token. Whether it is accepted.
pub(crate) type KeySetTaker = Box<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// What it takes to be let in.
pub struct Admission {
    cloud: Cloud,
    dialer: Dialer,
    identity: Arc<SigningKey>,
    instance: InstanceId,
    take_key_set: KeySetTaker,
    known: Mutex<Known>,
}

struct Known {
    relay_url: Url,
    token: Option<(String, u64)>,
    nonce: Option<String>,
    /// From the last Welcome. Of use only while there is a token: whoever needs a new one must show that.
    credential: Option<Credential>,
}

/// What is shown to be let in.
enum Shown {
    Token(String),
    Credential(Credential, String),
}

/// A session's socket.
pub(crate) struct Dialled {
    pub(crate) websocket: WebSocket,
    /// The relay has taken the Hello already.
    pub(super) introduced: bool,
}

/// Why a dial did not lead to a session.
#[derive(Debug)]
pub(crate) enum DialFailure {
    /// No token.
    Cloud(CloudError),
    /// The relay refuses this home.
    Unauthorized,
    /// The relay asks to be left alone for a while.
    RetryAfter(Duration),
    /// No relay there.
    Relay(DialError),
}

/// What a refusal teaches about the next attempt.
enum Lesson {
    /// It wants this nonce in the proof.
    Nonce,
    /// It does not take this token.
    Token,
    /// It does not take this credential, which says nothing about the token.
    Credential,
    /// The same would happen again.
    Nothing,
}

impl From<CloudError> for DialFailure {
    fn from(error: CloudError) -> Self {
        Self::Cloud(error)
    }
}

impl DialFailure {
    pub(crate) fn because_and_explanation(&self) -> (Because, String) {
        const PAIR_AGAIN: &str = "The cloud does not accept this home any more: it was unlinked. Open the cloud's web page under Homes; if the home is gone there, run ma-connector pair again.";
        const MOVED: &str = "This home has moved to other hardware, and this connector is refused since. Stop it here. If you did not move it, open the cloud's web page under Homes and compare the fingerprint; to come back to this machine, run ma-connector pair again and choose that it replaces the home.";
        const SUSPENDED: &str = "The account that this home belongs to is suspended. Whoever runs the cloud can tell you why; here is nothing to repair, and the home connects by itself when the suspension ends.";
        match self {
            Self::Cloud(CloudError::Suspended) => (Because::Unauthorized, SUSPENDED.into()),
            Self::Cloud(CloudError::Unauthorized) | Self::Unauthorized => (Because::Unauthorized, PAIR_AGAIN.into()),
            Self::Cloud(CloudError::Moved) => (Because::Unauthorized, MOVED.into()),
            Self::Cloud(CloudError::RetryAfter(after)) | Self::RetryAfter(after) => {
                (Because::RetryAfter(*after), "The cloud is busy and asked to wait.".into())
            }
            Self::Cloud(error) => (Because::Failed, format!("No access to the relay: {}", error.with_advice())),
            Self::Relay(error) => (
                Because::Failed,
                format!("The relay cannot be reached: {error}. Check that this machine may open connections to it."),
            ),
        }
    }
}

impl Admission {
    pub(crate) fn new(
        cloud: Cloud,
        dialer: Dialer,
        identity: Arc<SigningKey>,
        instance: InstanceId,
        relay_url: Url,
        take_key_set: KeySetTaker,
    ) -> Self {
        let known = Mutex::new(Known { relay_url, token: None, nonce: None, credential: None });
        Self { cloud, dialer, identity, instance, take_key_set, known }
    }

    pub(super) fn unix_millis(&self) -> u64 {
        self.cloud.unix_millis()
    }

    /// Keep the nonce that a relay gave for the next proof.
    pub(crate) fn note_nonce(&self, nonce: &str) {
        if !nonce.is_empty() {
            self.known().nonce = Some(nonce.into());
        }
    }

    /// Keep what the relay gave for the next dial-in. None forgets what an earlier one gave.
    pub(super) fn note_credential(&self, credential: Option<Credential>) {
        self.known().credential = credential;
    }

    /// Get a fresh token, and with it the current skill key set.
    pub(crate) async fn renew(&self) -> Result<String, CloudError> {
        let token = self.cloud.instance_token(&self.identity, &self.instance).await?;
        Ok(self.note_token(token))
    }

    fn note_token(&self, token: InstanceToken) -> String {
        let accepted = token.key_set_bytes().is_none_or(|key_set| (self.take_key_set)(&key_set));
        let ends = self.cloud.unix_seconds().saturating_add(token.expires_in).saturating_sub(TOKEN_MARGIN.as_secs());
        let mut known = self.known();
        // It ends with the token of before: to show it would be a dial in vain.
        known.credential = None;
        // With keys that are refused, a token is for once: the next connection asks anew, and learns when they are right.
        known.token = accepted.then(|| (token.access_token.clone(), ends));
        if let Some(relay_url) = token.relay_url {
            known.relay_url = relay_url;
        }
        token.access_token
    }

    /// Open the socket of a session that says this first; without a Hello nothing comes of it but the knowledge that it can be done.
    pub(crate) async fn dial(&self, hello: Option<Hello>) -> Result<Dialled, DialFailure> {
        let hello = hello.map(Hello::to_header);
        let mut refused_before = false;
        let mut last = DialFailure::Unauthorized;
        for _ in 0..ATTEMPTS {
            let token = match self.current_token() {
                Some(token) => token,
                None => self.renew().await?,
            };
            let (url, nonce, credential) = {
                let known = self.known();
                (known.relay_url.clone(), known.nonce.clone(), known.credential.clone())
            };
            let shown = match (credential, nonce.clone()) {
                (Some(credential), Some(nonce)) => Shown::Credential(credential, nonce),
                _ => Shown::Token(token),
            };
            match self.upgrade(&url, &shown, nonce.as_deref(), hello.as_deref()).await {
                Ok(dialled) => return Ok(dialled),
                Err(DialError::Refused(response)) => match self.learn(response.status(), response.headers())? {
                    Lesson::Credential => {}
                    // A relay that wants another one each time says nothing about this home.
                    Lesson::Nonce => last = DialFailure::Relay(DialError::Refused(response)),
                    Lesson::Token if refused_before => return Err(DialFailure::Unauthorized),
                    Lesson::Token => refused_before = true,
                    Lesson::Nothing => return Err(DialFailure::Relay(DialError::Refused(response))),
                },
                Err(error) => return Err(DialFailure::Relay(error)),
            }
        }
        Err(last)
    }

    fn learn(&self, status: StatusCode, headers: &HeaderMap) -> Result<Lesson, DialFailure> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let had_nonce = self.known().nonce.clone();
        if let Some(nonce) = text("dpop-nonce") {
            self.note_nonce(nonce);
        }
        match status {
            StatusCode::UNAUTHORIZED => {
                let wants_nonce = text("www-authenticate").is_some_and(|value| value.contains("use_dpop_nonce"));
                if wants_nonce && self.known().nonce != had_nonce {
                    return Ok(Lesson::Nonce);
                }
                if self.known().credential.take().is_some() {
                    return Ok(Lesson::Credential);
                }
                // The token may have ended early, or been signed with a key that the relay had not fetched yet. One more
                // decides, also when this one is new.
                self.known().token = None;
                Ok(Lesson::Token)
            }
            StatusCode::FORBIDDEN => Err(DialFailure::Unauthorized),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                match text("retry-after").and_then(|after| after.trim().parse().ok()) {
                    Some(after) => Err(DialFailure::RetryAfter(Duration::from_secs(after))),
                    None => Ok(Lesson::Nothing),
                }
            }
            _ => Ok(Lesson::Nothing),
        }
    }

    async fn upgrade(
        &self,
        url: &Url,
        shown: &Shown,
        nonce: Option<&str>,
        hello: Option<&str>,
    ) -> Result<Dialled, DialError> {
        let htu = proof_url(url);
        let id = macloud_proto::ids::base32(&macloud_service_kit::random::bytes::<16>());
        let request = upgrade_request(url)?.header("Sec-WebSocket-Protocol", SUBPROTOCOL);
        let request = match hello {
            Some(hello) => request.header(HELLO_HEADER, hello),
            None => request,
        };
        let request = match shown {
            Shown::Token(token) => {
                let request_of_proof = dpop::Request { method: "GET", url: &htu, access_token: Some(token) };
                let proof = dpop::prove(&self.identity, request_of_proof, nonce, &id, self.cloud.unix_seconds());
                request.header("Authorization", format!("DPoP {token}")).header("DPoP", proof)
            }
            Shown::Credential(credential, nonce) => request
                .header("Authorization", credential.authorization())
                .header(PROOF_HEADER, credential.prove(&htu, nonce, &id)),
        };
        let request = request.body(()).map_err(|_| DialError::Address("the relay's address is not valid"))?;
        let (websocket, answer) = self.dialer.websocket(url, request, websocket_config()).await?;
        let introduced = answer.headers().get(HELLO_HEADER).is_some_and(|value| value == TAKEN);
        Ok(Dialled { websocket, introduced })
    }

    fn current_token(&self) -> Option<String> {
        let now = self.cloud.unix_seconds();
        self.known().token.as_ref().filter(|(_, ends)| now < *ends).map(|(token, _)| token.clone())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Small buffers: a home's traffic is small, and so is its machine.
fn websocket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(4 << 10)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * MAX_FRAME_BYTES)
        .max_message_size(Some(MAX_FRAME_BYTES))
        .max_frame_size(Some(MAX_FRAME_BYTES))
}

/// The URL as a proof names it: with the scheme of HTTP and without query.
fn proof_url(url: &Url) -> String {
    let text = url.as_str();
    let text = text.split(['?', '#']).next().unwrap_or(text);
    match text.split_once("://") {
        Some(("wss", rest)) => format!("https://{rest}"),
        Some(("ws", rest)) => format!("http://{rest}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_name_the_url_as_http_does() {
        for (dialled, proved) in [
            ("wss://r.example/relay/v1/connect", "https://r.example/relay/v1/connect"),
            ("ws://127.0.0.1:8080/relay/v1/connect?x=1", "http://127.0.0.1:8080/relay/v1/connect"),
        ] {
            assert_eq!(proof_url(&Url::parse(dialled).unwrap()), proved);
        }
    }
}
