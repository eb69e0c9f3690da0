//! A home is tried: a command that does nothing goes to it the whole way, and its answer comes back.
//!
//! The one request here that comes from a home and not from Alexa; see [`macloud_proto::trial`] for what it says. The command takes
//! every step of a directive's from *seal* on, but grants itself no scope: whatever went wrong on the way, no home may carry it out.
//!
//! Promises: a home can only have itself tried; so many trials run at once, and no more; what a stranger sends costs at most one
//! look-up, and tells them nothing, not even whether there is such a home.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use macloud_e2ee::vocabulary::{Command, Refusal, Reply, Scopes};
use macloud_proto::accounts::v1::accounts_client::AccountsClient;
use macloud_proto::accounts::v1::{EventAudienceAnswer, EventAudienceRequest};
use macloud_proto::ids::InstanceId;
use macloud_proto::trial::{self, Hops, Outcome, Statement};
use macloud_service_kit::clock::SharedClock;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tonic::Code;
use tonic::transport::Channel;

use crate::failure::Failure;
use crate::passage::Carrier;
use crate::resolve::Home;
use crate::trace::{Passage, Stopwatch};

/// Tries homes that ask for it.
pub(crate) struct Trials {
    accounts: AccountsClient<Channel>,
    room: Semaphore,
    /// When homes were tried, of those that were within [`BETWEEN`].
    tried: Mutex<HashMap<InstanceId, Instant>>,
    clock: SharedClock,
}

/// Why a home was not tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotTried {
    /// No home of this cloud says so, or not now.
    Refused,
    /// This one was tried a moment ago.
    TooSoon,
    /// Too many are being tried.
    Busy,
    /// The account service does not say whose statement it is.
    AccountsAway,
}

impl Trials {
    pub(crate) fn new(accounts: Channel, clock: SharedClock) -> Self {
        let room = Semaphore::new(MOST_AT_ONCE);
        Self { accounts: AccountsClient::new(accounts), room, tried: Mutex::default(), clock }
    }

    /// Try the home that `statement` is of.
    pub(crate) async fn run(&self, carrier: &Carrier, statement: &str) -> Result<Outcome, NotTried> {
        let _room = self.room.try_acquire().map_err(|_| NotTried::Busy)?;
        let mut watch = Stopwatch::start();
        let home = self.home(statement).await?;
        let resolve = watch.lap();
        let (result, hops) = if home.paused {
            (Failure::HomePaused.label(), Hops::default())
        } else {
            let deadline = Instant::now() + DEADLINE;
            let (result, passage) = carrier.carry(&home, &Command::ListPlayers, Scopes::NONE, deadline).await;
            (word(&result), hops(&passage))
        };
        tracing::info!(instance.id = %home.instance, result, "a home was tried");
        Ok(Outcome { result: result.to_owned(), micros: Hops { resolve: micros(resolve), ..hops } })
    }

    /// Whose statement it is.
    async fn home(&self, statement: &str) -> Result<Home, NotTried> {
        let statement = Statement::parse(statement, self.clock.unix_seconds()).map_err(|_| NotTried::Refused)?;
        let about = self.about(statement.claimed_home()).await?;
        let identity = <[u8; 32]>::try_from(&about.identity_key[..]).map_err(|_| NotTried::Refused)?;
        let instance = statement.verify(&identity).map_err(|_| NotTried::Refused)?;
        // Only now: whoever knows a home's id could keep it from being tried otherwise.
        self.may_try(&instance)?;
        Ok(Home { instance, name: String::new(), identity, paused: about.paused })
    }

    async fn about(&self, home: &InstanceId) -> Result<EventAudienceAnswer, NotTried> {
        let request = EventAudienceRequest { instance_id: home.to_string() };
        match timeout(PATIENCE, self.accounts.clone().event_audience(request)).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) if status.code() == Code::NotFound => Err(NotTried::Refused),
            Ok(Err(_)) | Err(_) => Err(NotTried::AccountsAway),
        }
    }

    fn may_try(&self, home: &InstanceId) -> Result<(), NotTried> {
        let now = Instant::now();
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        tried.retain(|_, at| now.duration_since(*at) < BETWEEN);
        if tried.contains_key(home) {
            return Err(NotTried::TooSoon);
        }
        tried.insert(home.clone(), now);
        Ok(())
    }
}

/// A home that obeys says that it was not granted. One that does it all the same is not to be trusted with scopes.
const fn word(result: &Result<Reply, Failure>) -> &'static str {
    match result {
        Err(Failure::Refused(Refusal::NotGranted)) => trial::OK,
        Err(Failure::Refused(Refusal::Stopped)) => trial::STOPPED,
        Err(failure) => failure.label(),
        Ok(_) => Failure::UnexpectedReply.label(),
    }
}

fn hops(passage: &Passage) -> Hops {
    let (replied, home) = passage.relay.map_or_else(Default::default, |timing| (timing.replied, timing.home));
    Hops {
        resolve: 0,
        seal: micros(passage.seal),
        relay: micros(passage.dispatch.saturating_sub(replied)),
        link: micros(replied.saturating_sub(home)),
        home: micros(home),
        open: micros(passage.open),
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// From one trial of a home to the next, at each process. Far less than what a plan allows, and soon enough for a person who
/// tries again.
pub(crate) const BETWEEN: Duration = Duration::from_secs(2);

/// A trial takes milliseconds; only homes that do not answer take [`DEADLINE`].
const MOST_AT_ONCE: usize = 32;

/// For the command and its answer. A home that does not answer is told so while somebody still looks.
const DEADLINE: Duration = Duration::from_secs(4);

const PATIENCE: Duration = Duration::from_millis(1500);
