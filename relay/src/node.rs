//! The node: everything its tasks share, and what a program does with it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::routing::get;
use macloud_proto::accounts::v1::accounts_client::AccountsClient;
use macloud_proto::bus::v1::command_bus_server::CommandBusServer;
use macloud_proto::bus::v1::events_server::EventsServer;
use macloud_proto::ids::InstanceId;
use macloud_proto::nodes::v1::nodes_server::NodesServer;
use macloud_proto::time::Micros;
use macloud_service_kit::clock::SharedClock;
use macloud_service_kit::places::Places;
use macloud_service_kit::stop::Stop;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tonic::transport::Channel;

use crate::admission::Admission;
use crate::admission::dial_ins::DialIns;
use crate::admission::keys::SigningKeys;
use crate::admission::nonces::Nonces;
use crate::admission::replays::Replays;
use crate::admission::resumption::Resumption;
use crate::admission::revoked::Revoked;
use crate::bus::Bus;
use crate::config::RelayConfig;
use crate::events::{Intake, Reading};
use crate::meters::Meters;
use crate::metrics::Metrics;
use crate::nodes::Nodes;
use crate::peers::{Cluster, Peers};
use crate::presence::Presence;
use crate::sessions::Sessions;
use crate::standing::Standing;
use crate::{CONNECT_PATH, changes, drain, events, handshake, lease, renewal};

/// One relay node. Cheap to clone; all clones are the same node.
#[derive(Debug, Clone)]
pub struct Relay {
    node: Arc<Node>,
}

/// What the node's tasks share.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) config: RelayConfig,
    pub(crate) clock: ClockDebug,
    pub(crate) admission: Admission,
    pub(crate) sessions: Sessions,
    pub(crate) intake: Intake,
    pub(crate) standing: Standing,
    pub(crate) meters: Meters,
    pub(crate) presence: Arc<dyn Presence>,
    /// None for the only node of its cloud.
    pub(crate) peers: Option<Peers>,
    pub(crate) accounts: AccountsClient<Channel>,
    pub(crate) metrics: Metrics,
    pub(crate) handshakes: Arc<Semaphore>,
    /// Which homes the admitted handshakes are of.
    pub(crate) greeting: Arc<Places<InstanceId>>,
    /// Which networks the handshakes come from.
    pub(crate) networks: Arc<Places<IpAddr>>,
    pub(crate) connections: Arc<Semaphore>,
    /// Sessions. They end by themselves, by revocation, by takeover, or by the drain that `run` ends with.
    pub(crate) tasks: TaskTracker,
    /// Calls that have no answer yet.
    pub(crate) calls: TaskTracker,
    /// Told to bus streams; they belong to their callers and end with them.
    pub(crate) leaving: watch::Sender<Leaving>,
    following: AtomicBool,
    started: Instant,
}

/// How far a node is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Leaving {
    Not,
    Draining,
    /// Every session has ended.
    Gone,
}

/// A clock that does not get in the way of `derive(Debug)`.
pub(crate) struct ClockDebug(pub(crate) SharedClock);

impl std::fmt::Debug for ClockDebug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

impl Relay {
    /// The only node of its cloud. It is not running yet: its routes answer, but revocations are only followed by
    /// [`Relay::run`].
    ///
    /// `accounts` reaches the account service; it may connect lazily.
    #[must_use]
    pub fn new(config: RelayConfig, accounts: Channel, clock: SharedClock, presence: Arc<dyn Presence>) -> Self {
        Self::build(config, accounts, clock, presence, None)
    }

    /// One of several that share `presence` and reach each other. Otherwise as [`Relay::new`].
    #[must_use]
    pub fn among_others(
        config: RelayConfig,
        accounts: Channel,
        clock: SharedClock,
        presence: Arc<dyn Presence>,
        cluster: Cluster,
    ) -> Self {
        let peers = Peers::new(&config.node_id, cluster, presence);
        let directory = peers.directory.clone();
        Self::build(config, accounts, clock, directory, Some(peers))
    }

    fn build(
        config: RelayConfig,
        accounts: Channel,
        clock: SharedClock,
        presence: Arc<dyn Presence>,
        peers: Option<Peers>,
    ) -> Self {
        let accounts = AccountsClient::new(accounts);
        let admission = Admission {
            nonces: Nonces::new(clock.clone(), config.nonce_period, config.nonce_key.clone()),
            dial_ins: DialIns::new(config.max_dial_ins_per_minute),
            replays: Replays::new(config.max_remembered_proofs),
            resumption: config.resumption.then(|| Resumption::new(clock.clone(), config.nonce_key.clone())),
            keys: SigningKeys::new(accounts.clone(), config.accounts_timeout, config.key_refresh_interval),
            revoked: Revoked::default(),
            connect_urls: config.connect_urls.clone(),
        };
        let node = Node {
            admission,
            sessions: Sessions::default(),
            intake: Intake::default(),
            standing: Standing::default(),
            meters: Meters::default(),
            presence,
            peers,
            accounts,
            metrics: Metrics::new(),
            handshakes: Arc::new(Semaphore::new(config.max_handshakes)),
            greeting: Arc::default(),
            networks: Arc::default(),
            connections: Arc::new(Semaphore::new(config.max_connections)),
            tasks: TaskTracker::new(),
            calls: TaskTracker::new(),
            leaving: watch::Sender::new(Leaving::Not),
            following: AtomicBool::new(false),
            started: Instant::now(),
            clock: ClockDebug(clock),
            config,
        };
        Self { node: Arc::new(node) }
    }

    /// The route homes dial in on. Serve it with upgrades enabled, over HTTP/1.1.
    pub fn router(&self) -> Router {
        Router::new().route(CONNECT_PATH, get(handshake::connect)).with_state(self.node.clone())
    }

    /// The command bus, to be served to callers that are trusted: it has no authentication of its own.
    #[must_use]
    pub fn bus(&self) -> CommandBusServer<Bus> {
        // A call is a sealed body and little else.
        let max = macloud_proto::MAX_SEALED_BYTES * 2;
        CommandBusServer::new(Bus::new(self.node.clone())).max_decoding_message_size(max)
    }

    /// What other nodes ask of this one, to be served beside the [bus](Self::bus), for the same callers.
    #[must_use]
    pub fn nodes(&self) -> NodesServer<Nodes> {
        NodesServer::new(Nodes::new(self.node.clone()))
    }

    /// The queue of events, to be served to readers beside the [bus](Self::bus), for the same callers.
    #[must_use]
    pub fn events(&self) -> EventsServer<Reading> {
        EventsServer::new(Reading::new(self.node.clone()))
    }

    /// Keep this node's place among the others and follow the account service's changes until a soft stop; then drain, and
    /// return when every session has ended, having told whoever has a stream open.
    /// A hard stop ends the sessions at once. Cancelling this leaves the sessions running and deaf to revocations.
    pub async fn run(&self, stop: Stop) {
        let drained = async {
            stop.soft().await;
            drain::drain(&self.node, &stop).await;
        };
        // None of the others ends by itself. They go on while the node drains: homes can be unlinked and have something to tell
        // then, too.
        tokio::select! {
            () = drained => {}
            () = changes::follow(&self.node) => {}
            () = renewal::watch(&self.node) => {}
            () = lease::keep(&self.node) => {}
            () = events::take(&self.node) => {}
        }
        lease::end(&self.node).await;
        self.node.leaving.send_replace(Leaving::Gone);
    }

    /// Whether this node is in the directory of all nodes, and the directory answers. True for the only node of its cloud.
    #[must_use]
    pub fn is_among_others(&self) -> bool {
        lease::is_held(&self.node)
    }

    /// Homes connected to this node now.
    #[must_use]
    pub fn connected(&self) -> usize {
        self.node.sessions.all().len()
    }

    /// Whether the account service's changes arrive: without them revocations are late. A condition of readiness.
    #[must_use]
    pub fn follows_changes(&self) -> bool {
        self.node.following()
    }
}

impl Node {
    /// This node's monotonic time.
    pub(crate) fn now(&self) -> Micros {
        Micros(self.started.elapsed().as_micros() as u64)
    }

    /// The instant of a time by [`Node::now`], for timers.
    pub(crate) fn instant(&self, at: Micros) -> Instant {
        self.started + at.since(Micros(0))
    }

    pub(crate) fn unix_seconds(&self) -> u64 {
        self.clock.0.unix_seconds()
    }

    pub(crate) fn is_draining(&self) -> bool {
        *self.leaving.borrow() >= Leaving::Draining
    }

    pub(crate) fn following(&self) -> bool {
        self.following.load(Ordering::Relaxed)
    }

    pub(crate) fn set_following(&self, following: bool) {
        self.following.store(following, Ordering::Relaxed);
    }
}
