//! The client of Music Assistant's WebSocket API.
//!
//! [`MusicAssistant`] keeps one connection, knows the home's players from it ([`directory`]), and carries requests with
//! a time limit each. It is only a client: when it or the cloud fails, music at home plays on.

pub mod directory;
pub mod fields;
pub mod give_back;
pub mod message;
pub mod model;
pub mod sign_in;
pub mod token;

pub(crate) mod asked;
mod session;
mod supervisor;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use macloud_service_kit::clock::SharedClock;
use macloud_service_kit::stop::Stop;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use crate::library::Library;
use crate::network::Dialer;
use crate::watchdog::{Pulse, Watch};
use asked::Waiting;
use directory::Directory;
use message::ErrorCode;
use session::Session;
use token::Token;

/// Reading anything.
pub const READ_LIMIT: Duration = Duration::from_secs(2);

/// Transport, volume and power.
pub const CONTROL_LIMIT: Duration = Duration::from_secs(3);

/// Search and play together.
pub const PLAY_LIMIT: Duration = Duration::from_millis(5500);

/// Where Music Assistant is and how it is asked.
#[derive(Clone)]
pub struct Settings {
    /// Its WebSocket address, such as `ws://192.168.1.5:8095/ws`.
    pub url: Url,
    /// Where its token comes from.
    pub token: TokenSource,
    /// How connections are opened. Plain ones within the home are Music Assistant's normal way.
    pub dialer: Dialer,
    /// For the token's end.
    pub clock: SharedClock,
    /// Waits and patience.
    pub timing: Timing,
}

/// Where the token comes from. A file is read anew at each attempt, so that a new token needs no restart.
#[derive(Debug, Clone)]
pub enum TokenSource {
    /// This one.
    Fixed(Token),
    /// The one in this file.
    File(PathBuf),
    /// The one in the first file, which somebody named; while that holds none, the one in the second, which was kept.
    Named(PathBuf, PathBuf),
}

impl TokenSource {
    fn current(&self) -> Option<Token> {
        match self {
            Self::Fixed(token) => Some(token.clone()),
            Self::File(path) => token_in(path).ok(),
            Self::Named(named, kept) => match token_in(named) {
                Ok(token) => Some(token),
                Err(why) => {
                    let file = named.display();
                    tracing::warn!(%file, %why, "the file that was named has no token for Music Assistant: the kept one is used, if any");
                    token_in(kept).ok()
                }
            },
        }
    }
}

fn token_in(file: &Path) -> std::io::Result<Token> {
    Token::parse(&std::fs::read_to_string(file)?).ok_or_else(|| std::io::Error::other("it is empty, or no token"))
}

/// Waits and patience. The defaults are for homes; tests are quicker.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// First wait before trying again.
    pub first_retry: Duration,
    /// Longest wait in the first minutes: a restart must be noticed within seconds of its end.
    pub restart_retry: Duration,
    /// How long an absence may be a restart.
    pub restart_patience: Duration,
    /// Longest wait after that.
    pub longest_retry: Duration,
    /// Between looks at a server that is starting.
    pub starting_poll: Duration,
    /// After connecting or starting, for this long nothing is taken to be gone.
    pub grace: Duration,
    /// Between the attempts with a token that was refused: right after a restart a good token can be.
    pub token_retry: Duration,
    /// When the token is refused for good, or the server is too old or not set up.
    pub slow_retry: Duration,
    /// Full reload of the lists, in case an event was missed.
    pub reload: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            first_retry: Duration::from_millis(500),
            restart_retry: Duration::from_secs(4),
            restart_patience: Duration::from_secs(600),
            longest_retry: Duration::from_secs(30),
            starting_poll: Duration::from_secs(1),
            grace: Duration::from_secs(30),
            token_retry: Duration::from_secs(20),
            slow_retry: Duration::from_secs(60),
            reload: Duration::from_secs(900),
        }
    }
}

/// How it stands with Music Assistant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// No attempt has ended yet.
    Connecting,
    /// It does not answer.
    Unreachable {
        /// Why, without contents.
        why: String,
    },
    /// Something answers, but it is not Music Assistant.
    NotMusicAssistant,
    /// Its API is older than schema 28.
    TooOld {
        /// The schema that it has.
        schema: u64,
    },
    /// Its owner has not finished setting it up.
    SetUpNeeded,
    /// There is no token for it.
    NoToken,
    /// It answers and is still loading.
    Starting,
    /// It refused the token, which right after a restart may pass.
    TokenDoubted,
    /// It refuses the token.
    TokenRefused,
    /// It works.
    Ready {
        /// Its version, for people.
        version: String,
        /// Its API schema.
        schema: u64,
    },
}

impl Condition {
    /// Whether commands can be carried out.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        matches!(self, Self::Ready { .. })
    }

    /// One word for status files.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Unreachable { .. } => "unreachable",
            Self::NotMusicAssistant => "not_music_assistant",
            Self::TooOld { .. } => "too_old",
            Self::SetUpNeeded => "set_up_needed",
            Self::NoToken => "no_token",
            Self::Starting => "starting",
            Self::TokenDoubted => "token_doubted",
            Self::TokenRefused => "token_refused",
            Self::Ready { .. } => "ready",
        }
    }

    /// What is wrong and what to do, in a sentence or two.
    #[must_use]
    pub fn explanation(&self) -> String {
        match self {
            Self::Connecting => "Connecting to Music Assistant.".into(),
            Self::Unreachable { why } => format!(
                "Music Assistant does not answer ({why}). Check that it runs and that its address is right; set another with --ma-url."
            ),
            Self::NotMusicAssistant => {
                "What answers at that address is not Music Assistant. Set the right address with --ma-url.".into()
            }
            Self::TooOld { schema } => format!(
                "This Music Assistant is too old (API schema {schema}, at least {} is needed). Update Music Assistant.",
                message::MIN_SCHEMA
            ),
            Self::SetUpNeeded => "Music Assistant is not set up yet. Open its web page and finish the set-up.".into(),
            Self::NoToken => format!("There is no token for Music Assistant. {NEW_TOKEN}"),
            Self::Starting => "Music Assistant is starting.".into(),
            Self::TokenDoubted => {
                "Music Assistant refused the token; trying again, because this can pass after a restart.".into()
            }
            Self::TokenRefused => format!("Music Assistant refuses the token. {NEW_TOKEN}"),
            Self::Ready { version, .. } => format!("Connected to Music Assistant {version}."),
        }
    }
}

/// How to give another token. It works beside a connector that runs, as whoever that runs as.
pub(crate) const NEW_TOKEN: &str = "Run `ma-connector sign-in`, or sign in on the connector's page: it asks for your name and password there, or takes a token that you made, with --ma-token-file. A connector that runs uses it within seconds.";

/// Why a request was not answered with a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// There is no connection.
    #[error("Music Assistant is away")]
    Away,
    /// The connection broke before the answer: it may or may not have been carried out.
    #[error("the connection to Music Assistant broke before it answered")]
    Lost,
    /// No answer within the limit: it may or may not have been carried out.
    #[error("Music Assistant did not answer in time")]
    TimedOut,
    /// Too many requests are under way.
    #[error("too many requests to Music Assistant are under way")]
    Busy,
    /// The result is larger than anything that is asked for here.
    #[error("the answer of Music Assistant is too large")]
    TooLarge,
    /// It refused.
    #[error("Music Assistant answered with error {}", .0.0)]
    Refused(ErrorCode),
}

/// The connection to Music Assistant. Cheap to clone.
#[derive(Clone)]
pub struct MusicAssistant(Arc<Shared>);

struct Shared {
    settings: Settings,
    directory: Mutex<Directory>,
    library: Library,
    /// Grows with every change of the directory.
    changes: watch::Sender<u64>,
    /// Grows with every change of the library that is told.
    library_changes: AtomicU64,
    condition: watch::Sender<Condition>,
    /// Since when it cannot be asked.
    away_since: Mutex<Option<Instant>>,
    session: Mutex<Option<Arc<Session>>>,
    /// The token that Music Assistant took last.
    accepted: Mutex<Option<Token>>,
    /// Until then nothing is taken to be gone.
    settling_until: Mutex<Option<Instant>>,
    watch: OnceLock<Watch>,
}

impl MusicAssistant {
    /// Not connected yet: see [`Self::run`].
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Shared {
            settings,
            directory: Mutex::default(),
            library: Library::default(),
            changes: watch::Sender::new(0),
            library_changes: AtomicU64::new(0),
            condition: watch::Sender::new(Condition::Connecting),
            away_since: Mutex::new(Some(Instant::now())),
            session: Mutex::default(),
            accepted: Mutex::default(),
            settling_until: Mutex::default(),
            watch: OnceLock::new(),
        }))
    }

    /// Be watched, from [`Self::run`] on.
    pub(crate) fn watched_by(&self, watch: &Watch) {
        // Once, when the connector is put together.
        let _ = self.0.watch.set(watch.clone());
    }

    /// Requests that wait for an answer.
    #[must_use]
    pub fn waiting(&self) -> usize {
        lock(&self.0.session).as_ref().map_or(0, |session| session.waiting())
    }

    /// Keep the connection until told to stop. To be run once.
    pub async fn run(&self, stop: Stop) {
        tokio::select! {
            () = stop.soft() => {}
            () = supervisor::supervise(&self.0) => {}
        }
        self.0.disconnected();
    }

    /// How it stands.
    #[must_use]
    pub fn condition(&self) -> Condition {
        self.0.condition.borrow().clone()
    }

    /// For how long it could not be asked any more; from the start on, where it never could.
    pub(crate) fn away_for(&self) -> Option<Duration> {
        lock(&self.0.away_since).map(|since| since.elapsed())
    }

    /// To follow how it stands.
    #[must_use]
    pub fn conditions(&self) -> watch::Receiver<Condition> {
        self.0.condition.subscribe()
    }

    /// To follow what is known of the home.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Differs whenever something in the library may have changed.
    pub(crate) fn library_stamp(&self) -> u64 {
        self.0.library_changes.load(Ordering::Relaxed)
    }

    /// The API schema of the server, while there is a connection to one.
    pub(crate) fn schema(&self) -> Option<u64> {
        match *self.0.condition.borrow() {
            Condition::Ready { schema, .. } => Some(schema),
            _ => None,
        }
    }

    /// What is known of the home. Not to be held across an await.
    pub fn directory(&self) -> MutexGuard<'_, Directory> {
        lock(&self.0.directory)
    }

    /// What is known of the home's music. It is read only while [`crate::library::keep`] runs.
    #[must_use]
    pub fn library(&self) -> &Library {
        &self.0.library
    }

    /// Whether Music Assistant came up so recently that what is missing may still come.
    #[must_use]
    pub fn is_settling(&self) -> bool {
        self.0.is_settling()
    }

    /// The token that Music Assistant took last.
    #[must_use]
    pub fn accepted(&self) -> Option<Token> {
        lock(&self.0.accepted).clone()
    }

    /// How long the token still lives, if that is short enough to tell the owner.
    #[must_use]
    pub fn token_ending_soon(&self) -> Option<Duration> {
        self.0.settings.token.current()?.ending_soon(self.0.settings.clock.unix_seconds())
    }

    /// The day on which the token ends, if that is soon enough to tell the owner.
    #[must_use]
    pub fn token_ends_on(&self) -> Option<String> {
        self.token_ending_soon()?;
        self.0.settings.token.current()?.ends_on()
    }

    /// Send one command and wait for its result, at most for `limit`. Dropping the future forgets the answer, not the
    /// command.
    ///
    /// # Errors
    /// Any [`CallError`]. Nothing is retried: next, volume steps and adding to a queue must not happen twice.
    pub async fn call(&self, command: &str, args: Value, limit: Duration) -> Result<Value, CallError> {
        let session = lock(&self.0.session).clone().ok_or(CallError::Away)?;
        let answer = session.request(command, &args)?;
        let _waiting = Waiting::begin();
        timeout(limit, answer).await.map_err(|_| CallError::TimedOut)?
    }

    /// Wait until `done` says so of the directory, at most for `limit`. Whether it did.
    pub async fn wait_until(&self, limit: Duration, mut done: impl FnMut(&Directory) -> bool) -> bool {
        let deadline = Instant::now() + limit;
        let _waiting = Waiting::begin();
        let mut changes = self.0.changes.subscribe();
        loop {
            if done(&self.directory()) {
                return true;
            }
            if !matches!(timeout_at(deadline, changes.changed()).await, Ok(Ok(()))) {
                return false;
            }
        }
    }
}

impl Shared {
    fn is_settling(&self) -> bool {
        lock(&self.settling_until).is_some_and(|until| Instant::now() < until)
    }

    fn set_condition(&self, condition: Condition) {
        let mut away_since = lock(&self.away_since);
        *away_since = if condition.is_ready() { None } else { away_since.or_else(|| Some(Instant::now())) };
        drop(away_since);
        self.condition.send_if_modified(|current| {
            let modified = *current != condition;
            *current = condition;
            modified
        });
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Nothing, where nobody watches.
    fn pulse(&self, name: &'static str) -> Option<Pulse> {
        Some(self.watch.get()?.pulse(name))
    }

    fn disconnected(&self) {
        *lock(&self.session) = None;
        self.changed();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that panics runs under these locks; if it did, the data would still be whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_file_without_a_token_does_not_hide_the_kept_one() {
        let random: [u8; 8] = macloud_service_kit::random::bytes();
        let directory = std::env::temp_dir().join(format!("ma-connector-token-{:016x}", u64::from_be_bytes(random)));
        std::fs::create_dir(&directory).unwrap();
        let (named, kept) = (directory.join("named"), directory.join("kept"));
        let source = TokenSource::Named(named.clone(), kept.clone());
        assert_eq!(source.current(), None);
        std::fs::write(&kept, "kept-token").unwrap();
        assert_eq!(source.current(), Token::parse("kept-token"), "the named one is missing");
        std::fs::write(&named, "\n").unwrap();
        assert_eq!(source.current(), Token::parse("kept-token"), "the named one is empty");
        std::fs::write(&named, "named-token\n").unwrap();
        assert_eq!(source.current(), Token::parse("named-token"));
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
