//! Connecting, waiting, and connecting again: the life of the connection from the outside.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::fields::Fields;
use super::message::{self, ErrorCode, Hello, Incoming, MIN_SCHEMA};
use super::session::{Ended, Session, pump, websocket_config};
use super::token::Token;
use super::{CallError, Condition, READ_LIMIT, Shared, TokenSource, lock};
use crate::network::{DialError, WebSocket, upgrade_request};
use crate::watchdog::Pulse;

/// For the hello after the connection is open.
const HELLO_LIMIT: Duration = Duration::from_secs(5);

/// The two lists.
const PLAYERS: &str = "players/all";
const QUEUES: &str = "player_queues/all";

/// To find the server's addresses, try some of them, and hear its hello.
const DIAL_LIMIT: Duration = Duration::from_secs(60);

/// For each of the two lists: a large home on a small machine takes its time.
const LOAD_LIMIT: Duration = Duration::from_secs(10);

/// Attempts with a token before it counts as refused.
const TOKEN_ATTEMPTS: u32 = 4;

/// How often a refused token's file is looked at for a new one.
const TOKEN_POLL: Duration = Duration::from_secs(2);

/// A connection that held this long shows that the next may be tried at once.
const PROVEN: Duration = Duration::from_secs(10);

/// Why a connection did not come about, or ended.
enum Failure {
    /// Somebody must do something first: try again slowly, or when the token is no longer this one.
    Blocked(Condition, Option<Token>),
    /// Nobody answers, or not as Music Assistant does, which a server behind a proxy does not while it restarts.
    Away(Condition),
}

impl Failure {
    fn unreachable(why: impl Into<String>) -> Self {
        Self::Away(Condition::Unreachable { why: why.into() })
    }
}

/// Never returns; dropping it closes the connection.
pub(super) async fn supervise(shared: &Arc<Shared>) {
    let timing = shared.settings.timing;
    let pulse = shared.pulse("Music Assistant");
    let promise = |time| {
        if let Some(pulse) = &pulse {
            pulse.within(time);
        }
    };
    let mut wait = timing.first_retry;
    let mut away_since = Instant::now();
    loop {
        let began = Instant::now();
        promise(DIAL_LIMIT);
        let failure = connection(shared, pulse.as_ref()).await;
        shared.disconnected();
        if began.elapsed() >= PROVEN {
            wait = timing.first_retry;
            away_since = Instant::now();
        }
        match failure {
            Failure::Away(condition) => {
                if condition != *shared.condition.borrow() {
                    tracing::debug!(
                        condition = condition.word(),
                        "Music Assistant is away: {}",
                        condition.explanation()
                    );
                }
                shared.set_condition(condition);
                promise(wait);
                sleep(jittered(wait)).await;
                let restarting = away_since.elapsed() < timing.restart_patience;
                wait = (wait * 2).min(if restarting { timing.restart_retry } else { timing.longest_retry });
            }
            Failure::Blocked(condition, token) => {
                tracing::debug!(
                    condition = condition.word(),
                    "Music Assistant cannot be used: {}",
                    condition.explanation()
                );
                shared.set_condition(condition);
                promise(timing.slow_retry);
                new_token(&shared.settings.token, token, jittered(timing.slow_retry)).await;
                wait = timing.first_retry;
                away_since = Instant::now();
            }
        }
    }
}

async fn connection(shared: &Arc<Shared>, pulse: Option<&Pulse>) -> Failure {
    let Some(token) = shared.settings.token.current() else { return Failure::Blocked(Condition::NoToken, None) };
    let mut websocket = match dial(shared).await {
        Ok(websocket) => websocket,
        Err(DialError::Refused(_)) => return Failure::Away(Condition::NotMusicAssistant),
        Err(error) => return Failure::unreachable(error.to_string()),
    };
    let hello = match timeout(HELLO_LIMIT, first_frame(&mut websocket)).await {
        Ok(Some(Incoming::Hello(hello))) => hello,
        Ok(Some(_)) | Err(_) => return Failure::Away(Condition::NotMusicAssistant),
        Ok(None) => return Failure::unreachable("it closed the connection"),
    };
    if hello.schema < MIN_SCHEMA {
        return Failure::Blocked(Condition::TooOld { schema: hello.schema }, Some(token));
    }
    let (session, requests) = Session::new();
    let session = Arc::new(session);
    let on_event = |name: &str, object: Option<&str>, data: &Value| {
        let settling = shared.is_settling();
        let changed = {
            let mut directory = lock(&shared.directory);
            directory.note_time(shared.settings.clock.unix_millis() as f64 / 1000.0);
            match name {
                PLAYERS => directory.load_players(data, settling),
                QUEUES => directory.load_queues(data, settling),
                _ => directory.apply(name, object, data, settling),
            }
        };
        if changed {
            shared.changed();
        }
        if ["media_item_added", "media_item_updated", "media_item_deleted"].contains(&name) {
            shared.library_changes.fetch_add(1, Ordering::Relaxed);
        }
        shared.library.apply(name, object, data);
    };
    tokio::select! {
        // Reading comes first: whatever the other arm waits for arrives through it.
        ended = pump(websocket, &session, requests, pulse, on_event) => match ended {
            // Also how a revoked token and an unfinished set-up look. The next attempt tells which.
            Ended::Closed if !hello.set_up => Failure::Blocked(Condition::SetUpNeeded, Some(token)),
            Ended::Closed | Ended::Broken => Failure::unreachable("the connection ended"),
        },
        failure = use_session(shared, &session, &hello, token.clone()) => failure,
    }
}

async fn dial(shared: &Shared) -> Result<WebSocket, DialError> {
    let url = &shared.settings.url;
    let request = upgrade_request(url)?.body(()).map_err(|_| DialError::Address("the address is not valid"))?;
    let (websocket, _) = shared.settings.dialer.websocket(url, request, websocket_config()).await?;
    Ok(websocket)
}

async fn first_frame(websocket: &mut WebSocket) -> Option<Incoming> {
    loop {
        match websocket.next().await? {
            Ok(Message::Text(text)) => return Some(message::decode(&text)),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

/// Authenticate, load, and keep what was loaded fresh. Returns only with a failure.
async fn use_session(shared: &Shared, session: &Arc<Session>, hello: &Hello, token: Token) -> Failure {
    let timing = shared.settings.timing;
    let pulse = shared.pulse("lists of Music Assistant");
    // What is waited for has a limit each; the two lists are loaded in any case.
    let promise = |time: Duration| {
        if let Some(pulse) = &pulse {
            pulse.within(time + 2 * LOAD_LIMIT + READ_LIMIT);
        }
    };
    promise((timing.token_retry + READ_LIMIT * 2) * TOKEN_ATTEMPTS);
    if let Err(failure) = authenticate(shared, session, hello, &token).await {
        return failure;
    }
    *lock(&shared.accepted) = Some(token.clone());
    settle(shared);
    lock(&shared.directory).meet(&hello.server_id);
    shared.library.meet(&hello.server_id);
    let mut hello = hello.clone();
    while !hello.running {
        shared.set_condition(Condition::Starting);
        // What is there already is taken over, so that the list is complete the moment the server runs.
        if load(session).await.is_err() {
            return Failure::unreachable("the connection ended");
        }
        promise(timing.starting_poll);
        sleep(timing.starting_poll).await;
        settle(shared);
        hello.running = is_running(session).await;
    }
    if load(session).await.is_err() {
        return Failure::unreachable("the connection ended");
    }
    *lock(&shared.session) = Some(Arc::clone(session));
    tracing::debug!(schema = hello.schema, version = %hello.server_version, "connected to Music Assistant");
    shared.set_condition(Condition::Ready { version: hello.server_version.clone(), schema: hello.schema });
    promise(timing.grace);
    sleep(timing.grace).await;
    loop {
        *lock(&shared.settling_until) = None;
        if load(session).await.is_err() {
            return Failure::unreachable("the connection ended");
        }
        promise(timing.reload);
        sleep(timing.reload).await;
    }
}

async fn authenticate(shared: &Shared, session: &Session, hello: &Hello, token: &Token) -> Result<(), Failure> {
    for attempt in 1..=TOKEN_ATTEMPTS {
        match ask(session, "auth", json!({ "token": token.reveal() }), READ_LIMIT * 2).await {
            Ok(_) => return Ok(()),
            Err(CallError::Refused(ErrorCode::SET_UP_REQUIRED)) => {
                return Err(Failure::Blocked(Condition::SetUpNeeded, Some(token.clone())));
            }
            Err(CallError::Refused(code)) if code.refuses_token() && !hello.set_up => {
                return Err(Failure::Blocked(Condition::SetUpNeeded, Some(token.clone())));
            }
            Err(CallError::Refused(code)) if code.refuses_token() => {
                if attempt < TOKEN_ATTEMPTS {
                    // One that was refused for good stays so in the owner's eyes while it is tried now and then.
                    if *shared.condition.borrow() != Condition::TokenRefused {
                        shared.set_condition(Condition::TokenDoubted);
                    }
                    let wait = shared.settings.timing.token_retry;
                    if new_token(&shared.settings.token, Some(token.clone()), wait).await {
                        return Err(Failure::unreachable("the connection ended"));
                    }
                }
            }
            Err(_) => return Err(Failure::unreachable("the connection ended")),
        }
    }
    Err(Failure::Blocked(Condition::TokenRefused, Some(token.clone())))
}

async fn load(session: &Session) -> Result<(), CallError> {
    for list in [PLAYERS, QUEUES] {
        let loaded = session.request_in_order(list)?;
        timeout(LOAD_LIMIT, loaded).await.map_err(|_| CallError::TimedOut)??;
    }
    Ok(())
}

async fn is_running(session: &Session) -> bool {
    match ask(session, "info", json!({}), READ_LIMIT).await {
        Ok(info) => message::hello(Fields(&info)).is_none_or(|hello| hello.running),
        // A server that does not answer this cannot tell that it is starting either.
        Err(CallError::Refused(_)) => true,
        Err(_) => false,
    }
}

async fn ask(session: &Session, command: &str, args: Value, limit: Duration) -> Result<Value, CallError> {
    let answer = session.request(command, &args)?;
    timeout(limit, answer).await.map_err(|_| CallError::TimedOut)?
}

fn settle(shared: &Shared) {
    *lock(&shared.settling_until) = Some(Instant::now() + shared.settings.timing.grace);
}

/// Wait, but not longer than until the owner has put another token in place of `refused`. Whether that happened.
async fn new_token(source: &TokenSource, refused: Option<Token>, wait: Duration) -> bool {
    let deadline = Instant::now() + wait;
    while Instant::now() < deadline {
        sleep(TOKEN_POLL.min(deadline - Instant::now())).await;
        if matches!(source, TokenSource::File(_) | TokenSource::Named(..)) {
            let current = source.current();
            if current.is_some() && current != refused {
                return true;
            }
        }
    }
    false
}

/// Between half of `wait` and all of it, so that many who wait do not come back together.
fn jittered(wait: Duration) -> Duration {
    let half = wait / 2;
    half + Duration::from_millis(macloud_service_kit::random::up_to(half.as_millis() as u64))
}
