//! The link to the relay: dial, keep a session, dial again.
//!
//! What to send and when to give up is decided by the machines of `macloud_proto::link`; this drives them. A session
//! that is told to drain stays up until the next one is welcomed, and commands outlive the session they came with:
//! their replies are remembered, so that a retry on the next session is answered and not executed again.

pub mod commands;
mod dial;
pub(crate) mod events;
pub mod recent;
mod session;

use std::sync::Arc;
use std::time::Duration;

use macloud_proto::link::GoodbyeReason;
use macloud_proto::link::connector_side::{ConnectorSettings, Ended};
use macloud_proto::link::frame::{Standing, Welcome};
use macloud_proto::link::redial::{Because, Redial, RedialSettings};
use macloud_proto::time::Millis;
use macloud_service_kit::stop::Stop;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::status::LinkState;
use crate::watchdog::Watch;
use commands::Commands;
pub use dial::Admission;
pub(crate) use dial::KeySetTaker;
use dial::{DialFailure, Dialled};
use events::Outbox;
use session::{News, ToSession};

/// After being told to stop, this long for commands that are under way.
const FINISH_LIMIT: Duration = Duration::from_secs(2);

/// A dial takes less in any case: each of its attempts asks for a token and opens a socket, and all of that has limits.
const DIAL_LIMIT: Duration = Duration::from_secs(300);

/// After being told to stop, this long for the replies that are under way.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// A draining node says when it leaves; commands that are still open then are lost with it.
const BEFORE_LEAVING: Duration = Duration::from_millis(500);

/// The link of one home.
pub struct Link {
    admission: Admission,
    commands: Arc<Commands>,
    outbox: Arc<Outbox>,
    settings: ConnectorSettings,
    redial: RedialSettings,
    state: watch::Sender<LinkState>,
    watch: Watch,
}

/// One session's task, as the link holds it.
struct Session {
    say: mpsc::Sender<ToSession>,
    news: mpsc::Receiver<News>,
    state: LinkState,
    leaves_at: Option<Millis>,
}

impl Session {
    /// The home was paused or resumed in the cloud. How it stands now, if the session was up.
    fn stand(&mut self, standing: Standing) -> Option<LinkState> {
        let LinkState::Online { paused, .. } = &mut self.state else { return None };
        *paused = standing.paused;
        Some(self.state.clone())
    }
}

/// What the link waits for.
enum Woke {
    Stop,
    Dial,
    Dialled(Box<Result<Dialled, DialFailure>>),
    News(News),
    OldNews(News),
}

impl Link {
    pub(crate) fn new(
        admission: Admission,
        commands: Arc<Commands>,
        outbox: Arc<Outbox>,
        settings: ConnectorSettings,
        redial: RedialSettings,
        watch: Watch,
    ) -> Self {
        let state = watch::Sender::new(LinkState::Connecting);
        Self { admission, commands, outbox, settings, redial, state, watch }
    }

    /// The time by the cloud's clock as far as known, in milliseconds since 1970.
    pub(crate) fn unix_millis(&self) -> u64 {
        self.admission.unix_millis()
    }

    /// To follow how it stands.
    #[must_use]
    pub fn states(&self) -> watch::Receiver<LinkState> {
        self.state.subscribe()
    }

    /// Keep the home reachable until told to stop. To be run once.
    pub async fn run(&self, stop: Stop) {
        let mut redial = Redial::new(self.redial.clone());
        let mut current: Option<Session> = None;
        let mut draining: Option<Session> = None;
        let mut sessions = JoinSet::new();
        let mut dial_at = Some(Instant::now() + self.wait(&mut redial, Because::Started));
        let mut dialling = None;
        let pulse = self.watch.pulse("link");
        loop {
            match (dial_at, &dialling) {
                (Some(at), _) => pulse.within(at - Instant::now()),
                (None, Some(_)) => pulse.within(DIAL_LIMIT),
                // The session is heard of instead.
                (None, None) => pulse.at_ease(),
            }
            let woke = tokio::select! {
                // Stopping comes before anything that would start something new.
                biased;
                () = stop.soft() => Woke::Stop,
                news = next_news(&mut current) => Woke::News(news),
                news = next_news(&mut draining) => Woke::OldNews(news),
                dialled = dialled(&mut dialling) => Woke::Dialled(Box::new(dialled)),
                () = at(dial_at) => Woke::Dial,
            };
            let failed = match woke {
                Woke::Stop => break,
                Woke::Dial => {
                    dial_at = None;
                    if draining.is_none() {
                        self.set(LinkState::Connecting);
                    }
                    dialling = Some(Box::pin(self.admission.dial(Some(self.settings.hello()))));
                    continue;
                }
                Woke::Dialled(dialled) => {
                    dialling = None;
                    match *dialled {
                        Ok(dialled) => {
                            current = Some(self.begin(dialled, &mut sessions));
                            continue;
                        }
                        Err(failure) => failure.because_and_explanation(),
                    }
                }
                Woke::News(News::Welcomed(welcome)) => {
                    redial.welcomed(welcome.reconnect_window, self.commands.now());
                    self.admission.note_nonce(&welcome.dpop_nonce);
                    self.admission.note_credential(welcome.resumption.clone());
                    tracing::debug!(relay.node = %welcome.node_id, session.epoch = welcome.session_epoch, "online");
                    let Welcome { node_id: node, session_epoch: epoch, paused, contested, .. } = welcome;
                    if contested {
                        tracing::warn!("another connector keeps connecting with this home's key; stop one of the two");
                    }
                    let state = LinkState::Online { node, epoch, paused, contested };
                    if let Some(current) = &mut current {
                        current.state = state.clone();
                    }
                    self.set(state);
                    if let Some(old) = draining.take() {
                        let latest = old.leaves_at.unwrap_or_else(|| self.commands.now().plus(STOP_LIMIT));
                        // It ends by itself; nothing more is wanted from it. If it cannot listen, it has ended.
                        let _ = old.say.try_send(ToSession::Retire(latest));
                    }
                    continue;
                }
                Woke::News(News::Spread(window)) => {
                    redial.spread_over(window);
                    continue;
                }
                Woke::News(News::Proven) => {
                    redial.proven();
                    continue;
                }
                Woke::News(News::Standing(standing)) => {
                    if let Some(state) = current.as_mut().and_then(|current| current.stand(standing)) {
                        self.set(state);
                    }
                    continue;
                }
                Woke::News(News::Draining(drain)) => {
                    tracing::info!("the relay node is leaving; dialling another");
                    let wait = self.wait(&mut redial, Because::Drained(drain.reconnect_after));
                    dial_at = Some(Instant::now() + wait);
                    let leaving_in = drain.leaving_in.saturating_sub(BEFORE_LEAVING);
                    draining = current.take();
                    if let Some(old) = &mut draining {
                        old.leaves_at = Some(self.commands.now().plus(leaving_in));
                    }
                    continue;
                }
                Woke::News(News::Ended(ended)) => {
                    current = None;
                    because_and_explanation(&ended)
                }
                Woke::OldNews(News::Ended(_)) => {
                    // The new one is already on its way; until it is there the home is away.
                    draining = None;
                    self.set(LinkState::Connecting);
                    continue;
                }
                Woke::OldNews(News::Standing(standing)) => {
                    let news = draining.as_mut().and_then(|old| old.stand(standing));
                    // Until the next one is up, this is the session that commands come with.
                    if let Some(state) = news.filter(|_| self.state.borrow().is_online()) {
                        self.set(state);
                    }
                    continue;
                }
                Woke::OldNews(_) => continue,
            };
            let (because, explanation) = failed;
            let wait = self.wait(&mut redial, because);
            dial_at = Some(Instant::now() + wait);
            tracing::debug!(retry_in_ms = wait.as_millis() as u64, "offline: {explanation}");
            match &draining {
                // Still reachable through the node that is leaving.
                Some(old) => self.set(old.state.clone()),
                None => self.set(waiting(because, explanation, wait)),
            }
        }
        self.leave(current, draining, &mut sessions).await;
    }

    fn begin(&self, dialled: Dialled, sessions: &mut JoinSet<()>) -> Session {
        let (say, said) = session::channel();
        let (tell, news) = mpsc::channel(16);
        let running = session::run(
            dialled,
            self.settings.clone(),
            Arc::clone(&self.commands),
            Arc::clone(&self.outbox),
            session::Ends { own: say.clone(), said, tell },
            self.watch.pulse("session"),
        );
        sessions.spawn(running);
        while sessions.try_join_next().is_some() {}
        Session { say, news, state: LinkState::Connecting, leaves_at: None }
    }

    async fn leave(&self, current: Option<Session>, draining: Option<Session>, sessions: &mut JoinSet<()>) {
        // The sessions are still up: whoever waits for a command that was begun gets its answer.
        self.commands.finish(FINISH_LIMIT).await;
        for session in [current, draining].into_iter().flatten() {
            let _ = session.say.try_send(ToSession::Close);
        }
        let all_ended = async { while sessions.join_next().await.is_some() {} };
        // Past the limit the sockets are dropped; the relay then notices by itself.
        let _ = timeout(STOP_LIMIT, all_ended).await;
    }

    fn wait(&self, redial: &mut Redial, because: Because) -> Duration {
        redial.wait(because, self.commands.now(), &mut macloud_service_kit::random::fill)
    }

    fn set(&self, state: LinkState) {
        self.state.send_if_modified(|current| {
            let changed = *current != state;
            *current = state;
            changed
        });
    }
}

async fn next_news(session: &mut Option<Session>) -> News {
    match session {
        // A session whose task is gone without a word has ended.
        Some(session) => session.news.recv().await.unwrap_or(News::Ended(Ended::Lost)),
        None => std::future::pending().await,
    }
}

async fn dialled<F: Future + Unpin>(dialling: &mut Option<F>) -> F::Output {
    match dialling {
        Some(dialling) => dialling.await,
        None => std::future::pending().await,
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn because_and_explanation(ended: &Ended) -> (Because, String) {
    match ended {
        Ended::There(goodbye) => (Because::Goodbye(goodbye.reason), goodbye_explanation(goodbye.reason).into()),
        Ended::Here(GoodbyeReason::Version, _) => {
            (Because::Goodbye(GoodbyeReason::Version), goodbye_explanation(GoodbyeReason::Version).into())
        }
        Ended::Here(_, detail) => (Because::Lost, format!("The link was closed: {detail}.")),
        Ended::Lost => (Because::Lost, "The connection to the relay was lost.".into()),
        Ended::Silent => (Because::Lost, "The relay did not answer any more.".into()),
    }
}

const fn goodbye_explanation(reason: GoodbyeReason) -> &'static str {
    match reason {
        GoodbyeReason::Replaced => {
            "Another connector connected with this home's key. If you moved the connector, stop the old one; if you did not, pair this home again with a new state directory."
        }
        GoodbyeReason::Revoked => {
            "The home was unlinked in the cloud or moved to other hardware, or its account suspended. Open the cloud's web page under Homes; if the home is gone there, run ma-connector pair again."
        }
        GoodbyeReason::Version => "This connector is too old or too new for the relay. Update it.",
        GoodbyeReason::Protocol => "The relay did not understand this connector. Update it if this does not pass.",
        GoodbyeReason::Shutdown | GoodbyeReason::Drained => "The relay is restarting.",
        GoodbyeReason::Unresponsive | GoodbyeReason::Slow => {
            "The relay did not hear from this connector in time. The internet connection may be poor."
        }
        GoodbyeReason::Unspecified => "The relay closed the connection.",
    }
}

fn waiting(because: Because, explanation: String, wait: Duration) -> LinkState {
    let retry_in_seconds = wait.as_secs();
    match because {
        Because::Unauthorized | Because::Goodbye(GoodbyeReason::Revoked) => {
            LinkState::Unauthorized { explanation, retry_in_seconds }
        }
        Because::Goodbye(GoodbyeReason::Replaced) => LinkState::Replaced { explanation, retry_in_seconds },
        _ => LinkState::Waiting { explanation, retry_in_seconds },
    }
}
