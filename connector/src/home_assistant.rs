//! Finding out who this home's owner is in the Home Assistant beside it.
//!
//! Home Assistant is at home, and a page on the internet cannot ask it. So the person's browser goes there and brings a code
//! to the cloud, and this program, which can reach it, redeems the code, asks who that was, gives the access back at once,
//! and tells the cloud who it was, signed. Nothing of Home Assistant is kept here or there but that answer.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use http::StatusCode;
use macloud_service_kit::clock::SharedClock;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use url::Url;

use crate::cloud::{Cloud, CloudError, HomeAssistantTrip, HomeAssistantUser, lifetime};
use crate::network::request::{HttpRequest, Limits};
use crate::network::{Dialer, WebSocket, upgrade_request};
use crate::state::{StateDir, StateError};

/// Between polls where the service names no interval.
const INTERVAL: Duration = Duration::from_secs(3);

/// Each request, and each answer that is waited for.
const LIMIT: Duration = Duration::from_secs(10);

/// Home Assistant's answers here are a few hundred bytes.
const MOST_BYTES: usize = 64 << 10;

/// Whose Home Assistant, and how to reach it.
pub struct BindOptions {
    /// Where the pairing is kept.
    pub state_dir: PathBuf,
    /// Home Assistant's address, for this program and for the person's browser.
    pub url: Url,
    /// How connections to the cloud are opened.
    pub cloud_dialer: Dialer,
    /// How connections to Home Assistant are opened. It is in this network, and mostly speaks without encryption.
    pub home_dialer: Dialer,
    /// The clock.
    pub clock: SharedClock,
}

/// What to show to the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// To open in a browser that reaches Home Assistant.
    pub url: Url,
    /// How long it is good for.
    pub expires_in: Duration,
}

/// Why it did not succeed. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// Not paired yet.
    #[error("this home is not paired yet: run \"ma-connector pair\" first")]
    NotPaired,
    /// The cloud.
    #[error("the cloud did not help: {}", .0.with_advice())]
    Cloud(#[from] CloudError),
    /// Nobody came back in time.
    #[error("nobody came back from Home Assistant in time. Start again and open the new link.")]
    Expired,
    /// Home Assistant cannot be reached.
    #[error("Home Assistant does not answer at the address given with --url ({0})")]
    Away(String),
    /// It does not take the code, or answers in a way that is not understood.
    #[error(
        "Home Assistant refused ({0}). Check that --url is the address of the one that you signed in to, and start again."
    )]
    Refused(&'static str),
}

/// Find out who the owner is. `on_link` shows the link; the future then waits for the person.
///
/// # Errors
/// [`BindError`]. Nothing is kept then.
pub async fn bind(options: BindOptions, mut on_link: impl FnMut(&Link)) -> Result<HomeAssistantUser, BindError> {
    let state = StateDir::existing(&options.state_dir).ok_or(BindError::NotPaired)?;
    let pairing = state.pairing()?.ok_or(BindError::NotPaired)?;
    let (key, instance) = (state.identity()?, &pairing.instance_id);
    let cloud = Cloud::new(pairing.cloud, options.cloud_dialer, options.clock)?;
    let home = HomeAssistant::at(options.url, options.home_dialer)?;
    let trip = cloud.begin_home_assistant(&key, instance, &home.base).await?;
    let expires_in = lifetime(trip.expires_in);
    on_link(&Link { url: home.link(&trip)?, expires_in });
    let deadline = Instant::now() + expires_in;
    let interval = trip.interval.map_or(INTERVAL, Duration::from_secs).min(expires_in);
    let brought = loop {
        sleep(interval).await;
        if Instant::now() >= deadline {
            return Err(BindError::Expired);
        }
        match cloud.poll_home_assistant(&key, instance, &trip.ticket).await {
            Ok(Some(brought)) => break brought,
            Ok(None) => {}
            Err(CloudError::Refused { code }) if code == "expired_token" => return Err(BindError::Expired),
            // The person is still on the way; a moment without network must not cost them another round.
            Err(error) if error.is_of_the_way() => {}
            Err(CloudError::RetryAfter(after)) => sleep(after.min(expires_in)).await,
            Err(error) => return Err(error.into()),
        }
    };
    let user = home.who_is(&trip, &brought.code).await?;
    let say = async || cloud.state_home_assistant_user(&key, instance, &trip.ticket, &brought.nonce, &user).await;
    until_heard(say, interval, deadline).await?;
    Ok(user)
}

/// Give our word again until the cloud heard it: the code is spent and the access given back, so a moment without network or
/// cloud would cost the person another round. When an answer was lost and the word is wanted no more, it was that one.
async fn until_heard(
    mut say: impl AsyncFnMut() -> Result<(), CloudError>,
    interval: Duration,
    deadline: Instant,
) -> Result<(), CloudError> {
    let mut maybe_heard = false;
    loop {
        let error = match say().await {
            Ok(()) => return Ok(()),
            Err(CloudError::Refused { code }) if code == "expired_token" && maybe_heard => return Ok(()),
            Err(error) => error,
        };
        let wait = match &error {
            error if error.is_of_the_way() => interval,
            CloudError::RetryAfter(after) => interval.max(*after),
            _ => return Err(error),
        };
        if deadline.saturating_duration_since(Instant::now()) <= wait {
            return Err(error);
        }
        maybe_heard = true;
        sleep(wait).await;
    }
}

struct HomeAssistant {
    base: Url,
    dialer: Dialer,
}

#[derive(Deserialize)]
struct Tokens {
    access_token: String,
    refresh_token: String,
}

impl HomeAssistant {
    fn at(url: Url, dialer: Dialer) -> Result<Self, BindError> {
        let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if !plain || !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(BindError::Refused("--url must be an address such as http://homeassistant.local:8123"));
        }
        Ok(Self { base: url, dialer })
    }

    fn path(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url
    }

    /// Where the person's browser goes.
    fn link(&self, trip: &HomeAssistantTrip) -> Result<Url, BindError> {
        let mut url = self.path("/auth/authorize");
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &trip.client_id)
            .append_pair("redirect_uri", &trip.redirect_uri)
            .append_pair("state", &trip.state);
        Ok(url)
    }

    /// Redeem a code, ask whose it was, and give the access back whatever came of it.
    async fn who_is(&self, trip: &HomeAssistantTrip, code: &str) -> Result<HomeAssistantUser, BindError> {
        let form = [("grant_type", "authorization_code"), ("code", code), ("client_id", trip.client_id.as_str())];
        let tokens: Tokens = serde_json::from_slice(&self.post(&form).await?)
            .map_err(|_| BindError::Refused("its answer to the code is not understood"))?;
        let user = timeout(LIMIT, self.current_user(&tokens.access_token)).await;
        let revoked = self.post(&[("action", "revoke"), ("token", tokens.refresh_token.as_str())]).await;
        if revoked.is_err() {
            tracing::warn!(
                "Home Assistant did not take its access back; remove the token of MA Cloud in your profile there"
            );
        }
        user.unwrap_or_else(|_| Err(BindError::Away("no answer in time".into())))
    }

    async fn post(&self, form: &[(&str, &str)]) -> Result<Vec<u8>, BindError> {
        let limits = Limits { time: LIMIT, bytes: MOST_BYTES };
        let asked = self.dialer.ask(HttpRequest::form(&self.path("/auth/token"), form), limits).await;
        let response = asked.map_err(|error| BindError::Away(error.to_string()))?;
        if response.status() != StatusCode::OK {
            return Err(BindError::Refused("it did not accept the code"));
        }
        let body = response.into_body();
        if body.len() > MOST_BYTES { Err(BindError::Refused("its answer is too long")) } else { Ok(body) }
    }

    async fn current_user(&self, token: &str) -> Result<HomeAssistantUser, BindError> {
        const STRANGE: BindError = BindError::Refused("it does not speak as Home Assistant does");
        let mut url = self.path("/api/websocket");
        let scheme = if self.base.scheme() == "https" { "wss" } else { "ws" };
        url.set_scheme(scheme).map_err(|()| STRANGE)?;
        let config = WebSocketConfig::default().max_message_size(Some(MOST_BYTES)).max_frame_size(Some(MOST_BYTES));
        let away = |error: crate::network::DialError| BindError::Away(error.to_string());
        let request = upgrade_request(&url).and_then(|request| {
            request.body(()).map_err(|_| crate::network::DialError::Address("the address cannot be asked for"))
        });
        let (mut socket, _) = self.dialer.websocket(&url, request.map_err(away)?, config).await.map_err(away)?;
        expect(&mut socket, "auth_required").await?;
        say(&mut socket, &json!({ "type": "auth", "access_token": token })).await?;
        expect(&mut socket, "auth_ok").await?;
        say(&mut socket, &json!({ "id": 1, "type": "auth/current_user" })).await?;
        let answer = expect(&mut socket, "result").await?;
        let user: HomeAssistantUser = serde_json::from_value(answer["result"].clone()).map_err(|_| STRANGE)?;
        // Best effort: the answer is here.
        let _ = socket.close(None).await;
        Ok(user)
    }
}

async fn say(socket: &mut WebSocket, message: &Value) -> Result<(), BindError> {
    let sent = socket.send(Message::text(message.to_string())).await;
    sent.map_err(|_| BindError::Away("the connection was lost".into()))
}

/// The next message, which must be of this type.
async fn expect(socket: &mut WebSocket, kind: &str) -> Result<Value, BindError> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                let message: Value = serde_json::from_str(&text).unwrap_or_default();
                let good = message["type"] == kind && message["success"] != false;
                return if good { Ok(message) } else { Err(BindError::Refused("it did not let us ask")) };
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(_) | Err(_)) | None => return Err(BindError::Away("the connection was lost".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Say it with these outcomes; what came of it, and how long it took.
    async fn said(mut outcomes: Vec<Result<(), CloudError>>) -> (Result<(), CloudError>, Duration) {
        outcomes.reverse();
        let began = Instant::now();
        let say = async || outcomes.pop().unwrap();
        let told = until_heard(say, INTERVAL, began + Duration::from_secs(60)).await;
        (told, began.elapsed())
    }

    fn unreachable() -> Result<(), CloudError> {
        Err(CloudError::Unreachable("gone".into()))
    }

    fn expired() -> Result<(), CloudError> {
        Err(CloudError::Refused { code: "expired_token".into() })
    }

    #[tokio::test(start_paused = true)]
    async fn a_word_that_the_cloud_cannot_take_now_is_said_again() {
        let busy = Err(CloudError::RetryAfter(Duration::from_secs(10)));
        let (told, took) = said(vec![busy, unreachable(), Ok(())]).await;
        assert!(told.is_ok());
        assert_eq!(took, Duration::from_secs(13));
    }

    #[tokio::test(start_paused = true)]
    async fn a_word_whose_answer_was_lost_counts() {
        assert!(said(vec![unreachable(), expired()]).await.0.is_ok());
        assert!(matches!(said(vec![expired()]).await.0, Err(CloudError::Refused { .. })), "nothing was lost");
    }

    #[tokio::test(start_paused = true)]
    async fn a_word_is_not_said_for_ever() {
        let (told, took) = said((0..30).map(|_| unreachable()).collect()).await;
        assert!(matches!(told, Err(CloudError::Unreachable(_))));
        assert!(took < Duration::from_secs(60));
    }
}
