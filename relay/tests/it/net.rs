//! Several nodes in one process: pipes between them that can be cut or fall silent, one directory that can be away, and time
//! that passes for all of them alike.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use macloud_proto::ids::InstanceId;
use macloud_relay::presence::{
    BoxFuture, Claim, Claimed, Held, MemoryPresence, NodeAddress, Notice, Presence, Restored, Unavailable, Whereabouts,
};
use macloud_relay::{Cluster, Connect};
use macloud_service_kit::clock::ManualClock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tonic::transport::server::Router;
use tonic::transport::{Channel, Endpoint};

use super::{FakeAccounts, NOW, accept};

/// Everything that the nodes share.
#[derive(Clone)]
pub(crate) struct Net {
    pub(crate) accounts: FakeAccounts,
    pub(crate) clock: Arc<ManualClock>,
    directory: Arc<dyn Presence>,
    /// The directory is away, for everybody.
    pub(crate) away: Arc<AtomicBool>,
    /// Times that the directory was asked where a home is.
    pub(crate) lookups: Arc<AtomicU64>,
    places: Arc<Mutex<HashMap<String, Place>>>,
}

/// Where a node's bus is served.
struct Place {
    accept: mpsc::UnboundedSender<DuplexStream>,
    wire: Wire,
}

impl Net {
    pub(crate) fn new() -> Self {
        Self::among(|clock| Arc::new(MemoryPresence::new(clock)))
    }

    /// With another directory.
    pub(crate) fn among(directory: impl FnOnce(Arc<ManualClock>) -> Arc<dyn Presence>) -> Self {
        let (accounts, clock) = (FakeAccounts::new(), ManualClock::at(NOW));
        accounts.keep_time_by(&clock);
        tokio::spawn(tick(Arc::downgrade(&clock)));
        let directory = directory(clock.clone());
        let (away, lookups, places) = Default::default();
        Self { accounts, clock, directory, away, lookups, places }
    }

    pub(crate) fn presence(&self, wire: &Wire) -> Arc<dyn Presence> {
        let (net, wire) = (self.clone(), wire.clone());
        Arc::new(Seen { net, wire })
    }

    pub(crate) fn cluster(&self, node_id: &str, wire: &Wire) -> Cluster {
        Cluster { bus: node_id.into(), connect: Arc::new(Others { net: self.clone(), wire: wire.clone() }) }
    }

    pub(crate) fn serve(&self, node_id: &str, wire: &Wire, router: Router) {
        let place = Place { accept: accept(router), wire: wire.clone() };
        self.places.lock().unwrap().insert(node_id.into(), place);
    }

    /// The directory has lost this session.
    pub(crate) async fn forget(&self, home: &super::HomeKey, epoch: u64) {
        assert_eq!(self.directory.release(&home.instance, epoch).await, Ok(true));
    }

    /// Nobody reaches this node's bus any more who has no connection yet.
    pub(crate) fn hide(&self, node_id: &str) {
        self.places.lock().unwrap().remove(node_id);
    }

    /// To this node's bus, for somebody at the end of this wire.
    pub(crate) fn channel(&self, node_id: &str, from: &Wire) -> Channel {
        let (net, node_id, from) = (self.clone(), node_id.to_owned(), from.clone());
        let connect =
            tower::service_fn(move |_: http::Uri| std::future::ready(net.connect(&node_id, &from).map(TokioIo::new)));
        Endpoint::from_static("http://node")
            .http2_keep_alive_interval(Duration::from_secs(1))
            .keep_alive_timeout(Duration::from_secs(2))
            .keep_alive_while_idle(true)
            .connect_with_connector_lazy(connect)
    }

    fn connect(&self, node_id: &str, from: &Wire) -> std::io::Result<DuplexStream> {
        let places = self.places.lock().unwrap();
        let place = places.get(node_id).filter(|place| !place.wire.is_cut() && !from.is_cut());
        let refused = || std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let place = place.ok_or_else(refused)?;
        let (client, server) = tokio::io::duplex(64 * 1024);
        place.accept.send(server).map_err(|_| refused())?;
        Ok(from.lead_to(place.wire.lead_to(client)))
    }
}

/// The clock of all nodes moves with the time that timers know.
async fn tick(clock: std::sync::Weak<ManualClock>) {
    let mut last = tokio::time::Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let Some(clock) = clock.upgrade() else { return };
        let now = tokio::time::Instant::now();
        clock.advance(now - last);
        last = now;
    }
}

#[derive(Clone)]
struct Others {
    net: Net,
    wire: Wire,
}

impl std::fmt::Debug for Others {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Others")
    }
}

impl Connect for Others {
    fn channel(&self, bus: &str) -> Option<Channel> {
        Some(self.net.channel(bus, &self.wire))
    }
}

/// All connections of one place.
#[derive(Clone)]
pub(crate) struct Wire {
    state: Arc<watch::Sender<State>>,
    /// And it does not reach the directory, which answers others.
    cut_off: Arc<AtomicBool>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Nothing passes, and nobody is told.
    Silent,
    Cut,
}

impl Wire {
    pub(crate) fn open() -> Self {
        Self { state: Arc::new(watch::Sender::new(State::Open)), cut_off: Arc::default() }
    }

    pub(crate) fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    pub(crate) fn fall_silent(&self) {
        self.state.send_replace(State::Silent);
    }

    pub(crate) fn speak_again(&self) {
        self.state.send_replace(State::Open);
    }

    /// Whether this one alone does not reach the directory.
    pub(crate) fn cut_off_from_directory(&self, cut_off: bool) {
        self.cut_off.store(cut_off, Ordering::SeqCst);
    }

    fn is_cut(&self) -> bool {
        *self.state.borrow() == State::Cut
    }

    /// The near end of a connection whose far end this is.
    pub(crate) fn lead_to(&self, far: DuplexStream) -> DuplexStream {
        let (near, inner) = tokio::io::duplex(64 * 1024);
        tokio::spawn(pass(inner, far, self.state.subscribe()));
        near
    }
}

async fn pass(near: DuplexStream, far: DuplexStream, state: watch::Receiver<State>) {
    let ((from_near, to_near), (from_far, to_far)) = (tokio::io::split(near), tokio::io::split(far));
    let mut cut = state.clone();
    tokio::select! {
        () = copy(from_near, to_far, state.clone()) => {}
        () = copy(from_far, to_near, state) => {}
        _ = cut.wait_for(|state| *state == State::Cut) => {}
    }
}

async fn copy(mut from: ReadHalf<DuplexStream>, mut to: WriteHalf<DuplexStream>, mut state: watch::Receiver<State>) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if state.wait_for(|state| *state == State::Open).await.is_err() || to.write_all(&bytes[..count]).await.is_err()
        {
            return;
        }
    }
    // An end is not told either while nothing passes.
    let _ = state.wait_for(|state| *state == State::Open).await;
}

/// The directory as one node sees it.
#[derive(Clone)]
struct Seen {
    net: Net,
    wire: Wire,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seen")
    }
}

impl Seen {
    fn ask<'a, T: Send + 'a>(
        &'a self,
        asked: BoxFuture<'a, Result<T, Unavailable>>,
    ) -> BoxFuture<'a, Result<T, Unavailable>> {
        Box::pin(async move {
            let state = *self.wire.state.borrow();
            if state == State::Silent {
                std::future::pending::<()>().await;
            }
            let away = self.net.away.load(Ordering::SeqCst) || self.wire.cut_off.load(Ordering::SeqCst);
            if state == State::Cut || away {
                return Err(Unavailable);
            }
            asked.await
        })
    }
}

impl Presence for Seen {
    fn claim<'a>(&'a self, claim: Claim<'a>) -> BoxFuture<'a, Result<Claimed, Unavailable>> {
        // Made only when it is asked: an in-memory directory answers while the future is made.
        self.ask(Box::pin(async move { self.net.directory.claim(claim).await }))
    }

    fn release<'a>(&'a self, instance: &'a InstanceId, epoch: u64) -> BoxFuture<'a, Result<bool, Unavailable>> {
        self.ask(Box::pin(async move { self.net.directory.release(instance, epoch).await }))
    }

    fn restore<'a>(&'a self, session: Held<'a>) -> BoxFuture<'a, Result<Restored, Unavailable>> {
        self.ask(Box::pin(async move { self.net.directory.restore(session).await }))
    }

    fn locate<'a>(&'a self, instance: &'a InstanceId) -> BoxFuture<'a, Result<Whereabouts, Unavailable>> {
        self.net.lookups.fetch_add(1, Ordering::SeqCst);
        self.ask(Box::pin(async move { self.net.directory.locate(instance).await }))
    }

    fn renew_lease<'a>(&'a self, node: &'a NodeAddress) -> BoxFuture<'a, Result<bool, Unavailable>> {
        self.ask(Box::pin(async move { self.net.directory.renew_lease(node).await }))
    }

    fn end_lease<'a>(&'a self, node: &'a NodeAddress) -> BoxFuture<'a, Result<(), Unavailable>> {
        self.ask(Box::pin(async move { self.net.directory.end_lease(node).await }))
    }

    fn leave_notice<'a>(&'a self, node_id: &'a str, notice: &'a Notice) -> BoxFuture<'a, Result<(), Unavailable>> {
        self.ask(Box::pin(async move { self.net.directory.leave_notice(node_id, notice).await }))
    }

    fn take_notices<'a>(&'a self, node_id: &'a str) -> BoxFuture<'a, Result<Vec<Notice>, Unavailable>> {
        self.ask(Box::pin(async move { self.net.directory.take_notices(node_id).await }))
    }

    fn nodes(&self) -> BoxFuture<'_, Result<Vec<NodeAddress>, Unavailable>> {
        self.ask(Box::pin(async move { self.net.directory.nodes().await }))
    }
}
