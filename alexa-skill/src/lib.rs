//! The Alexa skill backend of MA Cloud: directives and requests in, sealed commands out.
//!
//! The modules are the steps that a directive takes, and `journey.rs` tells them in order: [`verify`] (with the borders
//! [`directive`] and [`request`]), [`resolve`], [`translate`], [`seal`], [`dispatch`], [`answer`]. [`failure`] is
//! everything that can go wrong on the way.
//!
//! A [`Skill`] needs two gRPC channels, one to the account service and one or more to relays; a program serves its
//! [`Skill::router`] and runs [`Skill::run`] beside it.

pub mod answer;
mod choose;
pub mod config;
pub mod conversation;
pub mod directive;
pub mod dispatch;
mod events;
mod everywhere;
pub mod failure;
mod flights;
pub mod grant;
mod http;
mod journey;
mod metrics;
pub mod package;
pub mod passage;
pub mod progress;
mod report;
pub mod request;
pub mod resolve;
pub mod seal;
pub mod token;
pub mod trace;
pub mod translate;
mod trial;
pub mod verify;

use std::sync::Arc;
use std::time::Duration;

use macloud_e2ee::keys::SkillSigner;
use macloud_service_kit::clock::SharedClock;
use macloud_service_kit::stop::Stop;
use ring::hmac;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tonic::transport::Channel;

pub use config::SkillConfig;
use dispatch::{Bus, BusChannels};
use events::Events;
use grant::Grants;
use journey::Steps;
use metrics::{Condition, Metrics};
use passage::Carrier;
use progress::Progress;
use report::Reports;
use resolve::Resolver;
use seal::Sessions;
use trial::Trials;
use verify::Verifier;

/// A skill backend. Cheap to clone.
#[derive(Clone)]
pub struct Skill(Arc<Inner>);

pub(crate) struct Inner {
    steps: Steps,
    /// While state reports are on.
    events: Option<Events>,
    trials: Trials,
    /// Directives and requests that are being answered.
    working: TaskTracker,
    /// For so many of them.
    room: Semaphore,
    /// For requests that do not arrive in one piece.
    slow: Semaphore,
    /// One of these must have signed a directive, if there are any.
    forwarder_keys: Vec<hmac::Key>,
}

/// What is wrong with a configuration.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConfigError {
    /// An extra root of the request verifier is no certificate.
    #[error("an extra trust root of the request verifier is no certificate")]
    ExtraRoot,
}

impl Inner {
    /// Whether as many are being answered as may be: further ones need not be read.
    fn is_full(&self) -> bool {
        self.room.available_permits() == 0
    }
}

impl Skill {
    /// Over these channels; `signer` is what homes know this deployment by. Nothing is opened before [`Skill::run`].
    ///
    /// # Errors
    /// When the configuration cannot be used.
    pub fn new(
        config: SkillConfig,
        accounts: Channel,
        bus: impl Into<BusChannels>,
        signer: SkillSigner,
        clock: SharedClock,
    ) -> Result<Self, ConfigError> {
        let (bus, signer) = (bus.into(), Arc::new(signer));
        let events = config
            .events
            .clone()
            .map(|events| Events::new(events, bus.0.clone(), accounts.clone(), Arc::clone(&signer), clock.clone()));
        let trials = Trials::new(accounts.clone(), clock.clone());
        let carrier = Carrier {
            sessions: Arc::new(Sessions::new(Arc::clone(&signer), config.most_sessions, clock.clone())),
            bus: Bus::new(bus, config.bus),
            clock: clock.clone(),
        };
        let forwarder_keys = config.forwarder_keys.iter().map(|key| hmac::Key::new(hmac::HMAC_SHA256, key)).collect();
        let steps = Steps {
            verifier: Verifier::new(config.verify, clock.clone()).map_err(|_| ConfigError::ExtraRoot)?,
            resolver: Resolver::new(accounts.clone(), config.resolve, clock.clone()),
            carrier,
            grants: Grants::new(config.events, accounts.clone()),
            reports: Reports::new(accounts, clock.clone()),
            metrics: Metrics::new(),
            progress: Progress::new(config.alexa_api),
            signer,
            observer: config.observer,
            clock,
            deadline: config.deadline,
        };
        let room = Semaphore::new(config.most_requests);
        let slow = Semaphore::new(config.most_requests.div_ceil(4));
        let working = TaskTracker::new();
        let skill = Self(Arc::new(Inner { steps, events, trials, working, room, slow, forwarder_keys }));
        skill.observe();
        Ok(skill)
    }

    /// `/alexa/v1/smart-home` and `/alexa/v1/custom`, and for homes `/alexa/v1/trial`.
    pub fn router(&self) -> axum::Router {
        http::router(Arc::clone(&self.0))
    }

    /// Whether commands could be sent once: a stream to a relay was open. It stays so when the relays or the account
    /// service go away, because then nobody answers better than this process: taken out of service, all replicas at
    /// once, people would hear nothing instead of what is wrong.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.steps.carrier.bus.was_open()
    }

    /// How many streams to relays are open.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.0.steps.carrier.bus.streams()
    }

    /// Whether account changes are followed. While they are not, tokens are looked up anew every few seconds.
    #[must_use]
    pub fn follows_changes(&self) -> bool {
        self.0.steps.resolver.is_watching()
    }

    /// How many sessions with homes are kept.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.0.steps.carrier.sessions.count()
    }

    /// Keep streams to relays open and follow account changes, until `stop`. After a soft stop, what is being answered
    /// still gets its answer, and what was done is reported.
    pub async fn run(&self, stop: Stop) {
        let steps = &self.0.steps;
        let (bus_stop, watch_stop, report_stop) = (Stop::new(), Stop::new(), Stop::new());
        let finish = async {
            stop.soft().await;
            tokio::select! {
                () = stop.hard() => {}
                () = self.answered() => {}
            }
            watch_stop.stop_hard();
            bus_stop.stop_hard();
            report_stop.stop_hard();
        };
        let sessions: &Sessions = &steps.carrier.sessions;
        tokio::join!(
            steps.carrier.bus.run(bus_stop.clone()),
            steps.resolver.watch(sessions, &watch_stop),
            steps.reports.run(&report_stop),
            self.tell(&watch_stop),
            finish
        );
    }

    /// Tell Alexa what homes tell, where that is on.
    async fn tell(&self, stop: &Stop) {
        if let Some(events) = &self.0.events {
            events.run(stop).await;
        }
    }

    /// What operators watch instead of readiness.
    fn observe(&self) {
        let inner = Arc::downgrade(&self.0);
        metrics::observe(move || {
            let skill = Self(inner.upgrade()?);
            Some(Condition {
                streams: skill.streams() as u64,
                follows_changes: skill.follows_changes(),
                sessions: skill.sessions() as u64,
            })
        });
    }

    /// Nothing is being answered any more, or it took longer than any deadline.
    async fn answered(&self) {
        // Requests that the server had accepted when it was told to stop are still on their way here.
        tokio::time::sleep(ARRIVING).await;
        self.0.working.close();
        let _ = tokio::time::timeout(self.0.steps.deadline + ARRIVING, self.0.working.wait()).await;
    }
}

impl std::fmt::Debug for Skill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Skill").field("ready", &self.is_ready()).finish_non_exhaustive()
    }
}

const ARRIVING: Duration = Duration::from_millis(200);
