//! Getting a token of one's own: look who answers, sign in with a name and a password once, and keep only what that gave.
//!
//! The password is used for one request and forgotten. The short session that it opens makes a long-lived token for the connector
//! and is then given back, so that nothing is left at Music Assistant but a token with the connector's name on it.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use url::Url;
use zeroize::Zeroizing;

use super::fields::Fields;
use super::message::{self, ErrorCode, Hello, Incoming, MIN_SCHEMA};
use super::session::websocket_config;
use super::token::Token;
use crate::network::{DialError, Dialer, WebSocket, upgrade_request};

/// What the token is called in Music Assistant's list, for whoever looks there.
pub const TOKEN_NAME: &str = "MA Cloud connector";

/// For all of it. After several wrong passwords Music Assistant lets one wait for longer than this.
const LIMIT: Duration = Duration::from_secs(15);

/// Why there is no token. The texts say what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// Nobody answers.
    #[error("Music Assistant does not answer ({0}). Check that it runs and that its address is right.")]
    Unreachable(String),
    /// Something answers, but it is not Music Assistant.
    #[error("What answers at that address is not Music Assistant.")]
    NotMusicAssistant,
    /// Its API is older than can be served.
    #[error("This Music Assistant is too old (API schema {schema}, at least {MIN_SCHEMA} is needed). Update it.")]
    TooOld {
        /// The schema that it has.
        schema: u64,
    },
    /// Its owner has not finished setting it up.
    #[error("Music Assistant is not set up yet. Open its web page and finish the set-up.")]
    SetUpNeeded,
    /// The name and the password do not go together.
    #[error("Music Assistant does not know this name with this password. After several attempts it makes one wait.")]
    WrongPassword,
    /// The token is not one of its.
    #[error("Music Assistant refuses this token.")]
    WrongToken,
    /// This user cannot have a token.
    #[error("Music Assistant gives this user no token. Sign in as another; a guest cannot have one.")]
    NotAllowed,
    /// It did not go on.
    #[error(
        "Music Assistant did not answer in time. After several wrong passwords it makes one wait: try again in a few minutes."
    )]
    TimedOut,
}

/// Who answers at this address, which is as [`websocket_url`](crate::connector::websocket_url) gives it.
///
/// # Errors
/// [`SignInError`], if it is no Music Assistant that can be used.
pub async fn look(url: &Url, dialer: &Dialer) -> Result<Hello, SignInError> {
    limited(async { Ok(Door::open(url, dialer).await?.hello) }).await
}

/// Whether this token lets in.
///
/// # Errors
/// [`SignInError::WrongToken`] if not; others, if it cannot be told.
pub async fn check(url: &Url, dialer: &Dialer, token: &Token) -> Result<(), SignInError> {
    limited(async {
        let mut door = Door::open(url, dialer).await?;
        match door.ask("auth", json!({ "token": token.reveal() })).await? {
            Ok(_) => Ok(()),
            Err(code) => Err(refused(code, SignInError::WrongToken)),
        }
    })
    .await
}

/// A token for the connector, of the user with this name and password.
///
/// # Errors
/// [`SignInError`]. Nothing is left at Music Assistant then but, at worst, a session that ends by itself.
pub async fn sign_in(
    url: &Url,
    dialer: &Dialer,
    username: &str,
    password: Zeroizing<String>,
) -> Result<Token, SignInError> {
    limited(async {
        let mut door = Door::open(url, dialer).await?;
        // Side by side: within `credentials`, as over HTTP, nobody looks for them here.
        let args = json!({ "provider_id": "builtin", "username": username, "password": *password,
            "device_name": TOKEN_NAME });
        drop(password);
        let answer = door.ask("auth/login", args).await?;
        let answer = answer.map_err(|code| refused(code, SignInError::WrongPassword))?;
        let session = Fields(&answer).some_text(&["access_token", "token"]);
        let session = session.and_then(|text| Token::parse(&text)).ok_or(SignInError::WrongPassword)?;
        let let_in = door.ask("auth", json!({ "token": session.reveal() })).await?;
        let_in.map_err(|code| refused(code, SignInError::WrongPassword))?;
        let made = door.ask("auth/token/create", json!({ "name": TOKEN_NAME })).await?;
        let made = made.map_err(|code| refused(code, SignInError::NotAllowed))?;
        let own = match &made {
            Value::String(text) => Token::parse(text),
            other => Fields(other).some_text(&["token", "access_token"]).and_then(|text| Token::parse(&text)),
        };
        let own = own.ok_or(SignInError::NotAllowed)?;
        if let Some(id) = session.id() {
            // It would end by itself in a month. That the socket is closed with it is as good an answer as any.
            let _ = door.ask("auth/token/revoke", json!({ "token_id": id })).await;
        }
        Ok(own)
    })
    .await
}

async fn limited<T>(asking: impl Future<Output = Result<T, SignInError>>) -> Result<T, SignInError> {
    timeout(LIMIT, Box::pin(asking)).await.unwrap_or(Err(SignInError::TimedOut))
}

fn refused(code: ErrorCode, otherwise: SignInError) -> SignInError {
    match code {
        ErrorCode::SET_UP_REQUIRED => SignInError::SetUpNeeded,
        _ => otherwise,
    }
}

/// A connection on which nobody is signed in yet.
struct Door {
    websocket: WebSocket,
    hello: Hello,
    asked: u64,
}

impl Door {
    async fn open(url: &Url, dialer: &Dialer) -> Result<Self, SignInError> {
        let unreachable = |error: DialError| match error {
            DialError::Refused(_) | DialError::WebSocket(_) => SignInError::NotMusicAssistant,
            error => SignInError::Unreachable(error.to_string()),
        };
        let request = upgrade_request(url).map_err(unreachable)?;
        let request = request.body(()).map_err(|_| SignInError::Unreachable("the address is not valid".into()))?;
        let (websocket, _) = dialer.websocket(url, request, websocket_config()).await.map_err(unreachable)?;
        let mut door = Self { websocket, hello: NOBODY, asked: 0 };
        let Incoming::Hello(hello) = door.next().await.ok_or(SignInError::NotMusicAssistant)? else {
            return Err(SignInError::NotMusicAssistant);
        };
        if hello.schema < MIN_SCHEMA {
            return Err(SignInError::TooOld { schema: hello.schema });
        }
        if !hello.set_up {
            return Err(SignInError::SetUpNeeded);
        }
        door.hello = hello;
        Ok(door)
    }

    /// Ask, and wait for the answer. What else is said meanwhile is not listened to.
    async fn ask(&mut self, command: &str, args: Value) -> Result<Result<Value, ErrorCode>, SignInError> {
        let lost = || SignInError::Unreachable("the connection ended".into());
        self.asked += 1;
        let text = message::request(self.asked, command, &args);
        self.websocket.send(Message::text(text)).await.map_err(|_| lost())?;
        let wanted = self.asked.to_string();
        loop {
            match self.next().await.ok_or_else(lost)? {
                Incoming::Reply { id, result, .. } if id == wanted => return Ok(result),
                _ => {}
            }
        }
    }

    async fn next(&mut self) -> Option<Incoming> {
        loop {
            match self.websocket.next().await? {
                Ok(Message::Text(text)) => return Some(message::decode(&text)),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }
}

/// Until it has said hello.
const NOBODY: Hello =
    Hello { server_id: String::new(), server_version: String::new(), schema: 0, set_up: false, running: false };
