//! A relay with everything around it.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, Stream, StreamExt as _};
use hyper_util::rt::{TokioExecutor, TokioIo};
use macloud_proto::accounts::v1::accounts_server::{Accounts, AccountsServer};
use macloud_proto::accounts::v1::{self as accounts, change};
use macloud_proto::bus::v1::command_bus_client::CommandBusClient;
use macloud_proto::bus::v1::events_client::EventsClient;
use macloud_proto::bus::v1::{self as bus, FromRelay as BusFromRelay, ToRelay, answer, call, from_relay, to_relay};
use macloud_proto::dpop;
use macloud_proto::ids::{CommandId, InstanceId};
use macloud_proto::instance_token::{self, Claims, Confirmation, Limits, RELAY_AUDIENCE};
use macloud_proto::jose::{Jwk, SigningKey, thumbprint};
use macloud_proto::link::frame::{FromConnector, FromRelay, Hello, Reply, Welcome};
use macloud_relay::presence::MemoryPresence;
use macloud_relay::{CONNECT_PATH, Relay, RelayConfig};
use macloud_service_kit::clock::{Clock as _, ManualClock};
use macloud_service_kit::corked::Corked;
use macloud_service_kit::http::Handshaken;
use macloud_service_kit::random;
use macloud_service_kit::stop::Stop;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};

use net::{Net, Wire};

#[path = "net.rs"]
pub(crate) mod net;

pub(crate) const NOW: u64 = 1_795_000_000;
pub(crate) const ISSUER: &str = "https://cloud.example";
pub(crate) const URL: &str = "https://cloud.example/relay/v1/connect";

pub(crate) struct Cloud {
    pub(crate) relay: Relay,
    pub(crate) accounts: FakeAccounts,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) stop: Stop,
    pub(crate) run: JoinHandle<()>,
    pub(crate) bus: CommandBusClient<Channel>,
    pub(crate) events: EventsClient<Channel>,
    /// What everybody reaches it by.
    pub(crate) wire: Wire,
}

fn config(node_id: &str, change: impl FnOnce(&mut RelayConfig)) -> RelayConfig {
    let mut config = RelayConfig { node_id: node_id.into(), connect_urls: vec![URL.into()], ..RelayConfig::default() };
    change(&mut config);
    config
}

impl Cloud {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut RelayConfig)) -> Self {
        Self::start_among(FakeAccounts::new(), change).await
    }

    /// With an account service that has a past.
    pub(crate) async fn start_among(accounts: FakeAccounts, change: impl FnOnce(&mut RelayConfig)) -> Self {
        let clock = ManualClock::at(NOW);
        accounts.keep_time_by(&clock);
        let presence = Arc::new(MemoryPresence::new(clock.clone()));
        let relay = Relay::new(config("relay-1", change), accounts.serve(), clock.clone(), presence);
        let bus = in_process(Server::builder().add_service(relay.bus()).add_service(relay.events()));
        Self::run(relay, accounts, clock, bus, Wire::open()).await
    }

    /// One of several nodes.
    pub(crate) async fn start_in(net: &Net, node_id: &str, change: impl FnOnce(&mut RelayConfig)) -> Self {
        let wire = Wire::open();
        let config = RelayConfig { nonce_key: Some(macloud_relay::NonceKey([1; 32])), ..config(node_id, change) };
        let cluster = net.cluster(node_id, &wire);
        let accounts = net.accounts.serve();
        let relay = Relay::among_others(config, accounts, net.clock.clone(), net.presence(&wire), cluster);
        let services = Server::builder().add_service(relay.bus()).add_service(relay.events());
        net.serve(node_id, &wire, services.add_service(relay.nodes()));
        let bus = net.channel(node_id, &Wire::open());
        let node = Self::run(relay, net.accounts.clone(), net.clock.clone(), bus, wire).await;
        until(|| node.relay.is_among_others()).await;
        node
    }

    async fn run(relay: Relay, accounts: FakeAccounts, clock: Arc<ManualClock>, bus: Channel, wire: Wire) -> Self {
        let stop = Stop::new();
        let run = tokio::spawn({
            let (relay, stop) = (relay.clone(), stop.clone());
            async move { relay.run(stop).await }
        });
        let (bus, events) = (CommandBusClient::new(bus.clone()), EventsClient::new(bus));
        let cloud = Self { relay, accounts, clock, stop, run, bus, events, wire };
        until(|| cloud.relay.follows_changes()).await;
        cloud
    }

    /// As kill -9, seen from outside.
    pub(crate) fn kill(&self) {
        self.run.abort();
        self.wire.cut();
    }

    /// A new connection to the relay's web server, as after a TLS handshake.
    pub(crate) fn connection(&self) -> DuplexStream {
        self.connection_with(true)
    }

    /// The same, perhaps behind something that has made the handshake.
    pub(crate) fn connection_with(&self, handshaken: bool) -> DuplexStream {
        let (client, server) = tokio::io::duplex(64 * 1024);
        let server = Corked::new(server);
        let router = self.relay.router();
        let handshaken = handshaken.then(|| Handshaken { round_trip: ROUND_TRIP, cork: server.handle() });
        let service = hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
            if let Some(handshaken) = handshaken.clone() {
                request.extensions_mut().insert(handshaken);
            }
            tower::ServiceExt::oneshot(router.clone(), request)
        });
        tokio::spawn(async move {
            let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            let _ = builder.serve_connection_with_upgrades(TokioIo::new(server), service).await;
        });
        self.wire.lead_to(client)
    }

    /// One dial-in with exactly these credentials.
    pub(crate) async fn dial_with(&self, dial: Dial) -> Result<Socket, Refused> {
        self.reach_with(dial).await.expect("the node is there")
    }

    async fn reach_with(&self, dial: Dial) -> Option<Result<Socket, Refused>> {
        dial_over(self.connection(), dial).await
    }

    /// The nonce a home gets when it has none.
    pub(crate) async fn nonce(&self, home: &HomeKey) -> String {
        let refused = self.dial_with(Dial::of(home, home.token(), None)).await.unwrap_err();
        assert_eq!((refused.status, refused.error.as_str()), (401, "use_dpop_nonce"));
        refused.nonce.unwrap()
    }

    pub(crate) async fn try_dial(&self, home: &HomeKey) -> Result<Socket, Refused> {
        let nonce = self.nonce(home).await;
        self.dial_with(Dial::of(home, home.token(), Some(&nonce))).await
    }

    /// A welcomed home.
    pub(crate) async fn home(&self, home: &HomeKey) -> Home {
        self.home_with(home, 32).await
    }

    pub(crate) async fn home_with(&self, home: &HomeKey, credit: u32) -> Home {
        let socket = self.try_dial(home).await.unwrap();
        Home::greet(socket, credit).await
    }

    /// One command through the unary front.
    pub(crate) async fn command(&self, home: &HomeKey, id: u8, remaining: Duration) -> answer::Outcome {
        self.unary(dispatch(home, id, remaining)).await.unwrap().outcome.unwrap()
    }

    pub(crate) async fn unary(&self, call: bus::Call) -> Result<bus::Answer, Status> {
        self.bus.clone().dispatch(call).await.map(Response::into_inner)
    }

    /// The same in the background.
    pub(crate) fn command_later(&self, home: &HomeKey, id: u8, remaining: Duration) -> JoinHandle<answer::Outcome> {
        let answer = self.answer_later(home, id, remaining);
        tokio::spawn(async move { answer.await.unwrap().outcome.unwrap() })
    }

    /// The whole answer.
    pub(crate) fn answer_later(&self, home: &HomeKey, id: u8, remaining: Duration) -> JoinHandle<bus::Answer> {
        let mut bus = self.bus.clone();
        let call = dispatch(home, id, remaining);
        tokio::spawn(async move { bus.dispatch(call).await.unwrap().into_inner() })
    }

    /// An open stream, with its first message.
    pub(crate) async fn stream(&self) -> (BusStream, bus::Opened) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let answers = self.bus.clone().link(UnboundedReceiverStream::new(receiver)).await.unwrap().into_inner();
        let mut stream = BusStream { calls: sender, answers };
        let Some(from_relay::Body::Opened(opened)) = stream.next().await else { panic!("not opened") };
        (stream, opened)
    }
}

/// To a home and back, as its handshake has shown.
pub(crate) const ROUND_TRIP: Duration = Duration::from_millis(20);

/// One dial-in at a node that may not be there.
async fn dial_over(connection: DuplexStream, dial: Dial) -> Option<Result<Socket, Refused>> {
    // As small as the relay's own, so that measuring both ends says something.
    let config = WebSocketConfig::default().read_buffer_size(2048);
    let dialling = tokio_tungstenite::client_async_with_config(dial.into_request(), connection, Some(config));
    match tokio::time::timeout(Duration::from_secs(5), dialling).await.ok()? {
        Ok((socket, _)) => Some(Ok(socket)),
        Err(WsError::Http(response)) => Some(Err(Refused::from(*response))),
        Err(_) => None,
    }
}

/// A welcomed home, if the node behind these connections is there and lets it in.
pub(crate) async fn dial_in(connect: impl Fn() -> DuplexStream, home: &HomeKey, now: u64) -> Option<Home> {
    let token = home.token_at(now);
    let refused = dial_over(connect(), Dial::of(home, token.clone(), None)).await?.err()?;
    let socket = dial_over(connect(), Dial::of(home, token, Some(&refused.nonce?))).await?.ok()?;
    Home::try_greet(socket, 32, [7; 16]).await
}

pub(crate) type Socket = WebSocketStream<DuplexStream>;

pub(crate) fn dispatch(home: &HomeKey, id: u8, remaining: Duration) -> bus::Call {
    let body = bus::Dispatch { command_id: vec![id; 16].into(), sealed: vec![id; 100].into(), class: 0 };
    call_with(home, remaining, call::Body::Dispatch(body))
}

pub(crate) fn fetch_pre_key(home: &HomeKey, fresh: bool) -> bus::Call {
    call_with(home, Duration::from_secs(5), call::Body::FetchPreKey(bus::FetchPreKey { fresh }))
}

fn call_with(home: &HomeKey, remaining: Duration, body: call::Body) -> bus::Call {
    bus::Call {
        correlation: 0,
        instance_id: home.instance.to_string(),
        remaining_ms: remaining.as_millis() as u32,
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
        body: Some(body),
        ..bus::Call::default()
    }
}

pub(crate) fn not_sent(reason: bus::not_sent::Reason) -> answer::Outcome {
    answer::Outcome::NotSent(bus::NotSent { reason: reason.into(), ..bus::NotSent::default() })
}

/// Not connected for so long.
pub(crate) fn away(away_seconds: u32) -> answer::Outcome {
    let reason = bus::not_sent::Reason::NotConnected.into();
    answer::Outcome::NotSent(bus::NotSent { reason, away_seconds, ..bus::NotSent::default() })
}

pub(crate) fn unknown(reason: bus::unknown::Reason) -> answer::Outcome {
    answer::Outcome::Unknown(bus::Unknown { reason: reason.into() })
}

pub(crate) fn delivered(id: u8) -> answer::Outcome {
    answer::Outcome::Delivered(bus::Delivered { sealed: vec![id ^ 0xff; 50].into() })
}

pub(crate) fn id(byte: u8) -> CommandId {
    CommandId::from_bytes([byte; 16])
}

/// Let everything that can happen without virtual time passing happen, until this holds. Bounded by real time, so that
/// a busy machine only makes it slower.
pub(crate) async fn until(holds: impl Fn() -> bool) {
    let started = std::time::Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(30), "it never held");
        tokio::task::yield_now().await;
    }
}

/// A caller's stream.
pub(crate) struct BusStream {
    pub(crate) calls: mpsc::UnboundedSender<ToRelay>,
    pub(crate) answers: Streaming<BusFromRelay>,
}

impl BusStream {
    pub(crate) fn call(&self, correlation: u64, mut call: bus::Call) {
        call.correlation = correlation;
        self.calls.send(ToRelay { body: Some(to_relay::Body::Call(call)) }).unwrap();
    }

    pub(crate) fn cancel(&self, correlation: u64) {
        self.calls.send(ToRelay { body: Some(to_relay::Body::Cancel(bus::Cancel { correlation })) }).unwrap();
    }

    pub(crate) async fn next(&mut self) -> Option<from_relay::Body> {
        self.answers.message().await.unwrap().map(|message| message.body.unwrap())
    }

    pub(crate) async fn answer(&mut self) -> (u64, answer::Outcome) {
        match self.next().await {
            Some(from_relay::Body::Answer(answer)) => (answer.correlation, answer.outcome.unwrap()),
            other => panic!("{other:?} instead of an answer"),
        }
    }
}

/// A home's identity.
pub(crate) struct HomeKey {
    pub(crate) key: SigningKey,
    pub(crate) instance: InstanceId,
}

impl HomeKey {
    pub(crate) fn new(number: u8) -> Self {
        Self { key: SigningKey::from_seed(&[number; 32]), instance: InstanceId::from_bytes(&[number; 16]) }
    }

    pub(crate) fn claims(&self) -> Claims {
        Claims {
            iss: ISSUER.into(),
            aud: RELAY_AUDIENCE.into(),
            sub: self.instance.clone(),
            client_id: self.instance.clone(),
            iat: NOW - 10,
            exp: NOW + 900,
            jti: "t".into(),
            cnf: Confirmation { jkt: thumbprint(self.key.public()) },
            limits: Limits { commands_per_minute: u32::MAX, day: None },
            paused: false,
        }
    }

    pub(crate) fn token(&self) -> String {
        instance_token::sign(&account_key(1), "k1", &self.claims())
    }

    /// As fresh as that.
    pub(crate) fn token_at(&self, now: u64) -> String {
        let claims = Claims { iat: now - 10, exp: now + 800, ..self.claims() };
        instance_token::sign(&account_key(1), "k1", &claims)
    }
}

/// The account service's signing key of this generation.
pub(crate) fn account_key(generation: u8) -> SigningKey {
    SigningKey::from_seed(&[0xA0 + generation; 32])
}

/// The parts of a dial-in's request, each of which a test may spoil.
#[derive(Clone)]
pub(crate) struct Dial {
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Dial {
    pub(crate) fn of(home: &HomeKey, token: String, nonce: Option<&str>) -> Self {
        Self::with_proof(token.clone(), prove(home, URL, &token, nonce))
    }

    pub(crate) fn with_proof(token: String, proof: String) -> Self {
        let headers = vec![
            ("authorization", format!("DPoP {token}")),
            ("dpop", proof),
            ("host", "cloud.example".into()),
            ("connection", "Upgrade".into()),
            ("upgrade", "websocket".into()),
            ("sec-websocket-version", "13".into()),
            ("sec-websocket-key", generate_key()),
            ("sec-websocket-protocol", "macloud.link.v1".into()),
        ];
        Self { headers }
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(header, _)| *header != name);
        self
    }

    pub(crate) fn set(self, name: &'static str, value: &str) -> Self {
        let mut changed = self.without(name);
        changed.headers.push((name, value.into()));
        changed
    }

    pub(crate) fn into_request(self) -> http::Request<()> {
        let mut request = http::Request::get(format!("ws://cloud.example{CONNECT_PATH}"));
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        request.body(()).unwrap()
    }

    /// As bytes, for requests that no WebSocket client would send.
    pub(crate) fn raw(&self) -> String {
        let lines: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("GET {CONNECT_PATH} HTTP/1.1\r\n{lines}\r\n")
    }
}

pub(crate) fn prove(home: &HomeKey, url: &str, token: &str, nonce: Option<&str>) -> String {
    let request = dpop::Request { method: "GET", url, access_token: Some(token) };
    let jti: String = random::bytes::<12>().iter().map(|byte| format!("{byte:02x}")).collect();
    dpop::prove(&home.key, request, nonce, &jti, 0)
}

#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) error: String,
    pub(crate) nonce: Option<String>,
    pub(crate) challenge: String,
    pub(crate) retry_after: Option<u64>,
}

impl From<http::Response<Option<Vec<u8>>>> for Refused {
    fn from(response: http::Response<Option<Vec<u8>>>) -> Self {
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let body: serde_json::Value = serde_json::from_slice(response.body().as_deref().unwrap()).unwrap();
        Self {
            status: response.status().as_u16(),
            error: body["error"].as_str().unwrap().into(),
            nonce: header("dpop-nonce"),
            challenge: header("www-authenticate").unwrap_or_default(),
            retry_after: header("retry-after").map(|seconds| seconds.parse().unwrap()),
        }
    }
}

/// A home that does what the test says.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) socket: Socket,
    pub(crate) welcome: Welcome,
}

impl Home {
    pub(crate) async fn greet(socket: Socket, credit: u32) -> Self {
        Self::greet_as(socket, credit, [7; 16]).await
    }

    pub(crate) async fn greet_as(socket: Socket, credit: u32, install_id: [u8; 16]) -> Self {
        Self::try_greet(socket, credit, install_id).await.expect("a welcome")
    }

    async fn try_greet(mut socket: Socket, credit: u32, install_id: [u8; 16]) -> Option<Self> {
        let hello = Hello { version_min: 1, version_max: 1, install_id, software: "test".into(), credit };
        socket.send(Message::Binary(FromConnector::Hello(hello).encode())).await.ok()?;
        match tokio::time::timeout(Duration::from_secs(10), next_frame(&mut socket)).await.ok()?? {
            FromRelay::Welcome(welcome) => Some(Self { socket, welcome }),
            FromRelay::Goodbye(_) => None,
            other => panic!("{other:?} instead of a welcome"),
        }
    }

    pub(crate) async fn send(&mut self, frame: FromConnector) {
        self.socket.send(Message::Binary(frame.encode())).await.unwrap();
    }

    /// Unless the relay has hung up.
    pub(crate) async fn try_send(&mut self, frame: FromConnector) -> Option<()> {
        self.socket.send(Message::Binary(frame.encode())).await.ok()
    }

    pub(crate) async fn next(&mut self) -> Option<FromRelay> {
        next_frame(&mut self.socket).await
    }

    /// The id of the next frame, which is a command.
    pub(crate) async fn command(&mut self) -> CommandId {
        match self.next().await {
            Some(FromRelay::Command(command)) => command.command_id,
            other => panic!("{other:?} instead of a command"),
        }
    }

    pub(crate) async fn received(&mut self, id: CommandId) {
        self.send(FromConnector::Received(id)).await;
    }

    /// Reply with the inverse of the id's bytes.
    pub(crate) async fn reply(&mut self, id: CommandId) {
        let sealed = Bytes::from(vec![id.as_bytes()[0] ^ 0xff; 50]);
        self.send(FromConnector::Reply(Reply { command_id: id, sealed, home: Duration::from_micros(77).into() })).await;
    }

    /// Answer every command at once, until the socket ends.
    pub(crate) fn serve(mut self) -> JoinHandle<u32> {
        tokio::spawn(async move {
            let mut served = 0;
            while let Some(frame) = self.next().await {
                if let FromRelay::Command(command) = frame {
                    self.received(command.command_id).await;
                    self.reply(command.command_id).await;
                    self.send(FromConnector::Credit(1)).await;
                    served += 1;
                }
            }
            served
        })
    }
}

/// The next frame, or nothing when the socket has ended.
pub(crate) async fn next_frame(socket: &mut Socket) -> Option<FromRelay> {
    loop {
        match socket.next().await? {
            Ok(Message::Binary(bytes)) => return Some(FromRelay::decode(bytes).unwrap()),
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_)) => {}
            Ok(other) => panic!("{other:?} is not of the protocol"),
            Err(_) => return None,
        }
    }
}

/// The goodbye's reason, after anything else.
pub(crate) async fn goodbye(socket: &mut Socket) -> macloud_proto::link::GoodbyeReason {
    loop {
        match next_frame(socket).await {
            Some(FromRelay::Goodbye(goodbye)) => return goodbye.reason,
            Some(_) => {}
            None => panic!("ended without a goodbye"),
        }
    }
}

/// An account service that knows keys and changes, and nothing else.
#[derive(Clone, Default)]
pub(crate) struct FakeAccounts {
    state: Arc<AccountsState>,
}

#[derive(Default)]
struct AccountsState {
    generations: Mutex<Vec<u8>>,
    key_fetches: AtomicU32,
    watches: AtomicU32,
    sequence: AtomicU64,
    away: AtomicBool,
    gap: AtomicBool,
    last_since: AtomicU64,
    /// Streams stay open, and nothing comes on them.
    hushed: AtomicBool,
    clock: Mutex<Option<Arc<ManualClock>>>,
    history: Mutex<Vec<accounts::Change>>,
    watchers: Mutex<Vec<mpsc::UnboundedSender<Result<accounts::Change, Status>>>>,
}

impl FakeAccounts {
    pub(crate) fn new() -> Self {
        let accounts = Self::default();
        accounts.publish_keys(&[1]);
        accounts
    }

    pub(crate) fn serve(&self) -> Channel {
        in_process(Server::builder().add_service(AccountsServer::new(self.clone())))
    }

    pub(crate) fn publish_keys(&self, generations: &[u8]) {
        *self.state.generations.lock().unwrap() = generations.into();
    }

    pub(crate) fn key_fetches(&self) -> u32 {
        self.state.key_fetches.load(Ordering::SeqCst)
    }

    pub(crate) fn watches(&self) -> u32 {
        self.state.watches.load(Ordering::SeqCst)
    }

    pub(crate) fn last_since(&self) -> u64 {
        self.state.last_since.load(Ordering::SeqCst)
    }

    pub(crate) fn set_away(&self, away: bool) {
        self.state.away.store(away, Ordering::SeqCst);
    }

    pub(crate) fn hush(&self) {
        self.state.hushed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn change(&self, subject: change::Subject) {
        let sequence = self.state.sequence.fetch_add(1, Ordering::SeqCst) + 1;
        let change = accounts::Change { sequence, subject: Some(subject), happened_at: self.now() };
        self.state.watchers.lock().unwrap().retain(|watcher| watcher.send(Ok(change.clone())).is_ok());
    }

    /// Something that happened before anybody watched; told to whoever asks for what happened lately.
    pub(crate) fn happened(&self, subject: change::Subject, seconds_ago: u64) {
        let sequence = self.state.sequence.fetch_add(1, Ordering::SeqCst) + 1;
        let change = accounts::Change { sequence, subject: Some(subject), happened_at: self.now() - seconds_ago };
        self.state.history.lock().unwrap().push(change);
    }

    pub(crate) fn keep_time_by(&self, clock: &Arc<ManualClock>) {
        *self.state.clock.lock().unwrap() = Some(clock.clone());
    }

    fn now(&self) -> u64 {
        self.state.clock.lock().unwrap().as_ref().map_or(NOW, |clock| clock.unix_seconds())
    }

    pub(crate) fn end(&self, home: &HomeKey) {
        self.change(change::Subject::InstanceEnded(home.instance.to_string()));
    }

    pub(crate) fn break_streams(&self, gap_next: bool) {
        self.state.gap.store(gap_next, Ordering::SeqCst);
        self.state.watchers.lock().unwrap().clear();
    }

    fn check(&self) -> Result<(), Status> {
        if self.state.away.load(Ordering::SeqCst) { Err(Status::unavailable("away")) } else { Ok(()) }
    }
}

#[tonic::async_trait]
impl Accounts for FakeAccounts {
    type WatchChangesStream = UnboundedReceiverStream<Result<accounts::Change, Status>>;

    async fn resolve_access(
        &self,
        _: Request<accounts::ResolveAccessRequest>,
    ) -> Result<Response<accounts::ResolveAccessAnswer>, Status> {
        Err(Status::unimplemented("not asked by a relay"))
    }

    async fn store_event_grant(
        &self,
        _: Request<accounts::StoreEventGrantRequest>,
    ) -> Result<Response<accounts::StoreEventGrantAnswer>, Status> {
        Err(Status::unimplemented("not asked by a relay"))
    }

    async fn note_customer(
        &self,
        _: Request<accounts::NoteCustomerRequest>,
    ) -> Result<Response<accounts::NoteCustomerAnswer>, Status> {
        Err(Status::unimplemented("not asked by a relay"))
    }

    async fn customer_left(
        &self,
        _: Request<accounts::CustomerLeftRequest>,
    ) -> Result<Response<accounts::CustomerLeftAnswer>, Status> {
        Err(Status::unimplemented("not asked by a relay"))
    }

    async fn event_audience(
        &self,
        _: Request<accounts::EventAudienceRequest>,
    ) -> Result<Response<accounts::EventAudienceAnswer>, Status> {
        Err(Status::unimplemented("not asked by a relay"))
    }

    async fn report_use(
        &self,
        _: Request<accounts::ReportUseRequest>,
    ) -> Result<Response<accounts::ReportUseAnswer>, Status> {
        Err(Status::unimplemented("not asked by a relay"))
    }

    async fn watch_changes(
        &self,
        request: Request<accounts::WatchChangesRequest>,
    ) -> Result<Response<Self::WatchChangesStream>, Status> {
        self.check()?;
        self.state.watches.fetch_add(1, Ordering::SeqCst);
        let request = request.into_inner();
        self.state.last_since.store(request.since, Ordering::SeqCst);
        let (sender, receiver) = mpsc::unbounded_channel();
        let gap = self.state.gap.load(Ordering::SeqCst);
        let start = change::Subject::Start(accounts::Start { gap });
        let sequence = self.state.sequence.load(Ordering::SeqCst);
        sender.send(Ok(accounts::Change { sequence, subject: Some(start), happened_at: self.now() })).unwrap();
        let oldest = self.now() - u64::from(request.replay_seconds);
        for change in self.state.history.lock().unwrap().iter().filter(|change| change.happened_at >= oldest) {
            if request.since == 0 {
                sender.send(Ok(change.clone())).unwrap();
            }
        }
        tokio::spawn(beat(Arc::clone(&self.state), sender.downgrade()));
        self.state.watchers.lock().unwrap().push(sender);
        Ok(Response::new(UnboundedReceiverStream::new(receiver)))
    }

    async fn signing_keys(
        &self,
        _: Request<accounts::SigningKeysRequest>,
    ) -> Result<Response<accounts::SigningKeysAnswer>, Status> {
        self.check()?;
        self.state.key_fetches.fetch_add(1, Ordering::SeqCst);
        let jwk = |generation: &u8| {
            let kid = Some(format!("k{generation}"));
            Jwk { kid, ..Jwk::ed25519(account_key(*generation).public()) }
        };
        let keys: Vec<_> = self.state.generations.lock().unwrap().iter().map(jwk).collect();
        let jwk_set = serde_json::json!({ "keys": keys }).to_string();
        Ok(Response::new(accounts::SigningKeysAnswer { jwk_set, issuer: ISSUER.into() }))
    }
}

/// As the account service does, so that silence means something.
async fn beat(state: Arc<AccountsState>, watcher: mpsc::WeakUnboundedSender<Result<accounts::Change, Status>>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let Some(watcher) = watcher.upgrade() else { return };
        if !state.hushed.load(Ordering::SeqCst) {
            let subject = Some(change::Subject::Heartbeat(accounts::Heartbeat {}));
            let sequence = state.sequence.load(Ordering::SeqCst);
            let _ = watcher.send(Ok(accounts::Change { sequence, subject, happened_at: 0 }));
        }
    }
}

/// A channel to a gRPC service in this process, without any socket.
fn in_process(router: tonic::transport::server::Router) -> Channel {
    let sender = accept(router);
    let connect = tower::service_fn(move |_: http::Uri| {
        let (client, server) = tokio::io::duplex(1024 * 1024);
        let sent = sender.send(server).map_err(|_| std::io::Error::other("the service has ended"));
        std::future::ready(sent.map(|()| TokioIo::new(client)))
    });
    Endpoint::from_static("http://in-process").connect_with_connector_lazy(connect)
}

/// Serve whatever is sent.
fn accept(router: tonic::transport::server::Router) -> mpsc::UnboundedSender<DuplexStream> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let incoming = UnboundedReceiverStream::new(receiver).map(Ok::<DuplexStream, std::io::Error>);
    tokio::spawn(router.serve_with_incoming(assert_stream(incoming)));
    sender
}

fn assert_stream<S: Stream>(stream: S) -> S {
    stream
}
