//! Many homes in one process. Each dials in over TLS with a proof of its own key, speaks the link protocol through the machines
//! that the connector uses, and dials again by the same rules. Its music server answers at once.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use macloud_e2ee::home::Home;
use macloud_e2ee::keys::{KeySetRoot, PinnedKeySet, SkillSigner};
use macloud_e2ee::vocabulary::{
    Capabilities, Command as HomeCommand, Playback, Player, PlayerKind, PlayerState, Reply, Target,
};
use macloud_loadtest::generator::Draw;
use macloud_proto::dpop;
use macloud_proto::ids::{CommandId, PlayerKey};
use macloud_proto::jose::SigningKey;
use macloud_proto::link::command_memory::{CommandMemory, Verdict};
use macloud_proto::link::connector_side::{ConnectorEvent, ConnectorSettings, ConnectorSide, Ended};
use macloud_proto::link::frame::Command;
use macloud_proto::link::introduction::{HELLO_HEADER, TAKEN};
use macloud_proto::link::redial::{Because, Redial, RedialSettings};
use macloud_proto::link::resumption::{Credential, PROOF_HEADER};
use macloud_proto::link::{SUBPROTOCOL, Transmit};
use macloud_proto::time::Millis;
use macloud_service_kit::corked::Corked;
use macloud_service_kit::{clock, random};
use rustls::client::Resumption;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::accounts::Identity;
use super::nodes::HOST;

/// How the homes are.
#[derive(Clone)]
pub(crate) struct HomesConfig {
    /// PEM of the certificate that the relays show.
    pub(crate) certificate: String,
    /// They open what is sealed and seal what they reply; otherwise the reply is the command.
    pub(crate) sealed: bool,
    /// How long they take for each command.
    pub(crate) delay: Duration,
    /// Which installation it is: two with the same keys displace each other.
    pub(crate) installation: u8,
    /// They use the ticket of their last TLS session.
    pub(crate) resume: bool,
    /// They dial in again with what the relay's last Welcome gave them, as connectors do.
    pub(crate) credentials: bool,
    /// How they dial again.
    pub(crate) redial: RedialSettings,
}

/// All homes of this process, and what they share.
pub(crate) struct Homes {
    shared: Arc<Shared>,
    running: Mutex<HashMap<u64, JoinHandle<()>>>,
}

struct Shared {
    config: HomesConfig,
    roots: Arc<RootCertStore>,
    started: Instant,
    /// Where homes may dial in now, as a balancer in front of the relays would know.
    doors: RwLock<Vec<SocketAddr>>,
    connected: AtomicUsize,
    dials: Dials,
    /// Homes with a number below this stop reading what comes.
    deaf_below: AtomicU64,
    nonce: Mutex<Option<String>>,
    executions: Mutex<Executions>,
    key_set: Vec<u8>,
}

/// How dialling went.
#[derive(Default)]
struct Dials {
    tried: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    /// Why the first one failed.
    first_failure: Mutex<Option<String>>,
}

/// Which commands were executed how often. Only kept when asked for: it grows.
#[derive(Default)]
struct Executions {
    kept: bool,
    of: HashMap<CommandId, u32>,
}

/// How one home dials.
struct Dialler {
    number: u64,
    identity: Identity,
    key: SigningKey,
    tls: Arc<ClientConfig>,
    token: Option<(String, u64)>,
    draw: Draw,
}

/// What all sessions of one home share.
struct Core {
    memory: CommandMemory<u64>,
    sealing: Option<Box<Home>>,
    /// For the next dial-in.
    credential: Option<Credential>,
    /// Sessions that are up: two while the home moves.
    sessions: usize,
}

/// A session's socket, and whether the relay has taken the Hello already.
struct Dialled {
    socket: Socket,
    introduced: bool,
}

type Socket = WebSocketStream<TlsStream<Corked<TcpStream>>>;

/// What a session tells its home.
enum News {
    Welcomed { window: Duration },
    Proven,
    Spread { window: Duration },
    Draining { after: Duration },
    Ended(Because),
}

/// How a dial-in ended without a session.
enum NotIn {
    /// The relay wants the nonce that it sent along, and now has.
    Nonce,
    /// Come back later, by the relay's own word.
    RetryAfter(Duration),
    Unauthorized,
    Failed(String),
}

impl Homes {
    /// None yet.
    pub(crate) fn new(config: HomesConfig, doors: Vec<SocketAddr>) -> anyhow::Result<Arc<Self>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(config.certificate.as_bytes()).context("the relays' certificate")?)?;
        let key_set = KeySetRoot::from_seed(&[0x52; 32]).sign_key_set(1, &[skill_signer().public_key(0)])?;
        let shared = Shared {
            config,
            roots: Arc::new(roots),
            started: Instant::now(),
            doors: RwLock::new(doors),
            connected: AtomicUsize::new(0),
            dials: Dials::default(),
            deaf_below: AtomicU64::new(0),
            nonce: Mutex::new(None),
            executions: Mutex::default(),
            key_set,
        };
        Ok(Arc::new(Self { shared: Arc::new(shared), running: Mutex::default() }))
    }

    /// Homes of these numbers dial in, spread over `within`, and stay. Those that are there begin anew, as after a power cut.
    pub(crate) fn add(&self, numbers: std::ops::Range<u64>, within: Duration) {
        let mut running = self.running.lock().expect("nobody panics with it");
        let count = (numbers.end - numbers.start).max(1) as u32;
        for (place, number) in numbers.enumerate() {
            let (shared, wait) = (self.shared.clone(), within * place as u32 / count);
            let living = tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                live(&shared, number).await;
            });
            if let Some(before) = running.insert(number, living) {
                before.abort();
            }
        }
    }

    /// Wait until so many are connected.
    pub(crate) async fn until_connected(&self, count: usize, within: Duration) -> anyhow::Result<()> {
        let begun = Instant::now();
        while self.connected() < count {
            anyhow::ensure!(
                begun.elapsed() < within,
                "only {} of {count} homes are connected after {within:?}{}",
                self.connected(),
                self.first_failure().map(|why| format!("; the first failure: {why}")).unwrap_or_default()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Welcomed, and not ended.
    pub(crate) fn connected(&self) -> usize {
        self.shared.connected.load(Ordering::Relaxed)
    }

    /// Dials tried, refused by a relay's word, and failed otherwise.
    pub(crate) fn dials(&self) -> [u64; 3] {
        let dials = &self.shared.dials;
        [&dials.tried, &dials.refused, &dials.failed].map(|count| count.load(Ordering::Relaxed))
    }

    /// Why the first dial failed, if one did.
    pub(crate) fn first_failure(&self) -> Option<String> {
        self.shared.dials.first_failure.lock().expect("nobody panics with it").clone()
    }

    /// From now on these are the relays that homes dial.
    pub(crate) fn set_doors(&self, doors: Vec<SocketAddr>) {
        *self.shared.doors.write().expect("nobody panics with it") = doors;
    }

    /// The first so many homes stop reading.
    pub(crate) fn deafen(&self, count: u64) {
        self.shared.deaf_below.store(count, Ordering::Relaxed);
    }

    /// From now on remember how often each command is executed.
    pub(crate) fn watch_executions(&self) {
        self.shared.executions.lock().expect("nobody panics with it").kept = true;
    }

    /// How often this command was executed.
    pub(crate) fn executions(&self, id: CommandId) -> u32 {
        self.shared.executions.lock().expect("nobody panics with it").of.get(&id).copied().unwrap_or(0)
    }

    /// Commands that were executed more than once.
    pub(crate) fn executed_twice(&self) -> usize {
        let executions = self.shared.executions.lock().expect("nobody panics with it");
        executions.of.values().filter(|times| **times > 1).count()
    }
}

/// The key by which callers seal.
pub(crate) fn skill_signer() -> SkillSigner {
    SkillSigner::from_seed(&[0x53; 32])
}

impl Shared {
    fn now(&self) -> Millis {
        Millis(self.started.elapsed().as_millis() as u64)
    }

    /// How the sessions of this home are.
    fn settings(&self, number: u64) -> ConnectorSettings {
        let mut install_id = [self.config.installation; 16];
        install_id[..8].copy_from_slice(&number.to_be_bytes());
        ConnectorSettings { install_id, software: "loadtest".into(), ..ConnectorSettings::default() }
    }

    fn door(&self, draw: &mut Draw) -> Option<SocketAddr> {
        let doors = self.doors.read().expect("nobody panics with it");
        (!doors.is_empty()).then(|| doors[draw.below(doors.len())])
    }
}

/// Dial, serve, dial again, for ever.
async fn live(shared: &Arc<Shared>, number: u64) {
    let mut dialler = Dialler::new(shared, number);
    let core = Arc::new(Mutex::new(Core::new(shared, &dialler.identity)));
    let mut redial = Redial::new(shared.config.redial.clone());
    let alive = watch::Sender::new(());
    for session in 0.. {
        let because = match dialler.dial(shared, &core).await {
            Ok(dialled) => {
                let (tell, news) = mpsc::channel(8);
                // A task of its own: when it drains it goes on while the next one is dialled, make before break.
                let serving = serve(shared.clone(), core.clone(), dialled, (number, session), tell);
                let mut gone = alive.subscribe();
                tokio::spawn(async move {
                    tokio::select! {
                        () = serving => {}
                        // The home has lost its power: the socket ends with it.
                        _ = gone.changed() => {}
                    }
                });
                follow(news, &mut redial, shared).await
            }
            Err(NotIn::Nonce) => continue,
            // It may have been the credential only: once more with token and proof.
            Err(NotIn::Unauthorized) if core.lock().expect("nobody panics with it").credential.take().is_some() => {
                continue;
            }
            Err(NotIn::RetryAfter(after)) => Because::RetryAfter(after),
            Err(NotIn::Unauthorized) => Because::Unauthorized,
            Err(NotIn::Failed(why)) => {
                shared.dials.failed.fetch_add(1, Ordering::Relaxed);
                shared.dials.first_failure.lock().expect("nobody panics with it").get_or_insert(why);
                Because::Failed
            }
        };
        let wait = redial.wait(because, shared.now(), &mut random::fill);
        tokio::time::sleep(wait).await;
    }
}

/// Until it is time to dial again.
async fn follow(mut news: mpsc::Receiver<News>, redial: &mut Redial, shared: &Shared) -> Because {
    while let Some(news) = news.recv().await {
        match news {
            News::Welcomed { window } => redial.welcomed(window, shared.now()),
            News::Proven => redial.proven(),
            News::Spread { window } => redial.spread_over(window),
            News::Draining { after } => return Because::Drained(after),
            News::Ended(because) => return because,
        }
    }
    Because::Lost
}

impl Dialler {
    fn new(shared: &Shared, number: u64) -> Self {
        let mut tls = ClientConfig::builder().with_root_certificates(shared.roots.clone()).with_no_client_auth();
        tls.resumption = if shared.config.resume { Resumption::in_memory_sessions(2) } else { Resumption::disabled() };
        let identity = Identity::new(number);
        let key = identity.key();
        Self { number, identity, key, tls: Arc::new(tls), token: None, draw: Draw(number) }
    }

    async fn dial(&mut self, shared: &Shared, core: &Mutex<Core>) -> Result<Dialled, NotIn> {
        let door = shared.door(&mut self.draw).ok_or_else(|| NotIn::Failed("no relay is there".into()))?;
        shared.dials.tried.fetch_add(1, Ordering::Relaxed);
        let dialling = async {
            let tcp = self.tcp(door).await.map_err(failed)?;
            let name = ServerName::try_from(HOST).expect("a valid name");
            // As connectors do: the last of the handshake leaves with the request.
            let mut tcp = Corked::new(tcp);
            tcp.cork();
            let mut tls = TlsConnector::from(self.tls.clone()).connect(name, tcp).await.map_err(failed)?;
            tls.get_mut().0.uncork();
            // Small, since there are many; what is sent together is one write.
            let config = WebSocketConfig::default().read_buffer_size(2048).write_buffer_size(4096);
            let nonce = shared.nonce.lock().expect("nobody panics with it").clone();
            let credential = core.lock().expect("nobody panics with it").credential.clone();
            let hello = shared.settings(self.number).hello().to_header();
            let request = self.request(nonce.as_deref(), credential.filter(|_| shared.config.credentials), &hello);
            let opened = tokio_tungstenite::client_async_with_config(request, tls, Some(config)).await;
            opened.map_err(|error| match error {
                WsError::Http(response) => refused(shared, &response),
                other => failed(other),
            })
        };
        let dialled = timeout(DIAL_LIMIT, Box::pin(dialling)).await;
        let (socket, answer) = dialled.map_err(|_| NotIn::Failed("dialling took too long".into()))??;
        let introduced = answer.headers().get(HELLO_HEADER).is_some_and(|value| value == TAKEN);
        Ok(Dialled { socket, introduced })
    }

    /// From one of many addresses, as homes do: a server lets only so many wait from one.
    async fn tcp(&self, door: SocketAddr) -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        let [.., high, low] = (self.number / 100 + 2).to_be_bytes();
        socket.bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 1, high, low)), 0))?;
        socket.set_nodelay(true)?;
        socket.connect(door).await
    }

    fn request(&mut self, nonce: Option<&str>, credential: Option<Credential>, hello: &str) -> http::Request<()> {
        let url = format!("https://{HOST}/relay/v1/connect");
        let id = format!("{:032x}", u128::from_be_bytes(random::bytes()));
        let request = http::Request::get(url.replacen("https", "wss", 1))
            .header("host", HOST)
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", generate_key())
            .header("sec-websocket-protocol", SUBPROTOCOL)
            .header(HELLO_HEADER, hello);
        let request = match (credential, nonce) {
            (Some(credential), Some(nonce)) => request
                .header("authorization", credential.authorization())
                .header(PROOF_HEADER, credential.prove(&url, nonce, &id)),
            _ => {
                let (token, proof) = self.token_and_proof(&url, nonce, &id);
                request.header("authorization", format!("DPoP {token}")).header("dpop", proof)
            }
        };
        request.body(()).expect("made of plain text")
    }

    fn token_and_proof(&mut self, url: &str, nonce: Option<&str>, id: &str) -> (String, String) {
        let now = clock::system().unix_seconds();
        if self.token.as_ref().is_none_or(|(_, until)| now + 60 >= *until) {
            self.token = Some(self.identity.token());
        }
        let token = self.token.as_ref().map(|(token, _)| token.clone()).unwrap_or_default();
        let request = dpop::Request { method: "GET", url, access_token: Some(&token) };
        let proof = dpop::prove(&self.key, request, nonce, id, 0);
        (token, proof)
    }
}

fn failed(error: impl std::fmt::Display) -> NotIn {
    NotIn::Failed(error.to_string())
}

/// The relay has answered with something else than an upgrade.
fn refused(shared: &Shared, response: &http::Response<Option<Vec<u8>>>) -> NotIn {
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    shared.dials.refused.fetch_add(1, Ordering::Relaxed);
    if let Some(nonce) = header("dpop-nonce") {
        *shared.nonce.lock().expect("nobody panics with it") = Some(nonce.into());
        if header("www-authenticate").is_some_and(|challenge| challenge.contains("use_dpop_nonce")) {
            return NotIn::Nonce;
        }
    }
    match (response.status().as_u16(), header("retry-after").and_then(|seconds| seconds.parse().ok())) {
        (401, _) => NotIn::Unauthorized,
        (_, Some(seconds)) => NotIn::RetryAfter(Duration::from_secs(seconds)),
        (status, None) => NotIn::Failed(format!("HTTP status {status}")),
    }
}

/// Serve one session to its end.
async fn serve(
    shared: Arc<Shared>,
    core: Arc<Mutex<Core>>,
    Dialled { socket, introduced }: Dialled,
    (number, session): (u64, u64),
    tell: mpsc::Sender<News>,
) {
    let begin = if introduced { ConnectorSide::introduced } else { ConnectorSide::new };
    let timer = Box::pin(tokio::time::sleep(Duration::ZERO));
    let mut link = Link { machine: begin(shared.settings(number), shared.now()), socket, timer, timer_at: None };
    let mut counted = None;
    loop {
        while number < shared.deaf_below.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let news = match link.next(&shared).await {
            ConnectorEvent::Welcomed(welcome) => {
                counted = Some(Counted::new(&shared, &core));
                *shared.nonce.lock().expect("nobody panics with it") = Some(welcome.dpop_nonce);
                core.lock().expect("nobody panics with it").credential = welcome.resumption;
                News::Welcomed { window: welcome.reconnect_window }
            }
            ConnectorEvent::Proven => News::Proven,
            ConnectorEvent::Spread(window) => News::Spread { window },
            ConnectorEvent::Draining(drain) => News::Draining { after: drain.reconnect_after },
            ConnectorEvent::Ended(ended) => {
                drop(counted);
                let because = match ended {
                    Ended::There(goodbye) => Because::Goodbye(goodbye.reason),
                    Ended::Here(..) | Ended::Lost | Ended::Silent => Because::Lost,
                };
                let _ = tell.try_send(News::Ended(because));
                return;
            }
            ConnectorEvent::Command(command) => {
                let id = command.command_id;
                if !shared.config.delay.is_zero() {
                    tokio::time::sleep(shared.config.delay).await;
                }
                let reply = core.lock().expect("nobody panics with it").execute(&shared, &command, session);
                match reply {
                    Some(sealed) => drop(link.machine.reply(id, sealed, Duration::ZERO)),
                    None => link.machine.release(id),
                }
                continue;
            }
            ConnectorEvent::PreKeyRequested(request) => {
                let mut core = core.lock().expect("nobody panics with it");
                if let Some(home) = &mut core.sealing {
                    let signed = home.signed_pre_key(shared.now(), &mut random::fill);
                    link.machine.pre_key(request, signed.into());
                }
                continue;
            }
            _ => continue,
        };
        // Who has moved on does not listen any more.
        let _ = tell.try_send(news);
    }
}

impl Core {
    fn new(shared: &Shared, identity: &Identity) -> Self {
        let sealing = shared.config.sealed.then(|| {
            let keys = PinnedKeySet::pin(&shared.key_set).expect("it was made here");
            let key = Arc::new(identity.key());
            Box::new(Home::new(identity.instance.clone(), key, keys, shared.now(), &mut random::fill))
        });
        Self { memory: CommandMemory::default(), sealing, credential: None, sessions: 0 }
    }

    /// The sealed reply, if there is one to send.
    fn execute(&mut self, shared: &Shared, command: &Command, session: u64) -> Option<Bytes> {
        let (id, now) = (command.command_id, shared.now());
        match self.memory.begin(id, session, now) {
            Verdict::Answered(reply) => return Some(reply),
            Verdict::InProgress | Verdict::Full => return None,
            Verdict::Execute => {}
        }
        let reply: Bytes = match &mut self.sealing {
            None => command.sealed.clone(),
            Some(home) => match home.open(id, &command.sealed, now, &mut random::fill) {
                Ok(opened) => opened.reply.seal(&reply_to(opened.command.ok()?), now).into(),
                // Not carried out: the caller has to set up a session first.
                Err(failure) => return failure.answer.map(Bytes::from),
            },
        };
        let mut executions = shared.executions.lock().expect("nobody panics with it");
        if executions.kept {
            *executions.of.entry(id).or_default() += 1;
        }
        drop(executions);
        self.memory.finish(id, reply.clone(), now);
        Some(reply)
    }
}

/// Done, on the player that was named: so that the caller can tell that it is the reply to this very command. Long texts make
/// both directions about a KiB.
fn reply_to(command: HomeCommand) -> Reply {
    let name = match command {
        HomeCommand::OnPlayer { target: Target::Named(name), .. } => name,
        _ => String::new(),
    };
    let long = || Some("m".repeat(200));
    let state = PlayerState { available: true, powered: true, playback: Playback::Playing, ..PlayerState::default() };
    let can = Capabilities { power: true, volume: true, mute: true, order: true, ..Capabilities::default() };
    let key = PlayerKey::derive("loadtest", "player");
    let player = Player { key, name, kind: PlayerKind::Speaker, manufacturer: long(), model: long(), can, state };
    Reply::Done { player, found: None, learned: false, other: None, used_here: false }
}

/// One home more is connected, for as long as this lives.
struct Counted {
    shared: Arc<Shared>,
    core: Arc<Mutex<Core>>,
}

impl Counted {
    fn new(shared: &Arc<Shared>, core: &Arc<Mutex<Core>>) -> Self {
        let mut of_home = core.lock().expect("nobody panics with it");
        of_home.sessions += 1;
        if of_home.sessions == 1 {
            shared.connected.fetch_add(1, Ordering::Relaxed);
        }
        drop(of_home);
        Self { shared: shared.clone(), core: core.clone() }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut core = self.core.lock().expect("nobody panics with it");
        core.sessions -= 1;
        if core.sessions == 0 {
            self.shared.connected.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A session's machine and socket.
struct Link {
    machine: ConnectorSide,
    socket: Socket,
    timer: Pin<Box<Sleep>>,
    timer_at: Option<Millis>,
}

impl Link {
    /// What the machine reports next; the last is that it has ended.
    async fn next(&mut self, shared: &Shared) -> ConnectorEvent {
        loop {
            if let Some(event) = self.machine.poll_event() {
                return event;
            }
            if self.send(shared.now()).await.is_err() {
                self.machine.handle_socket_closed();
                continue;
            }
            self.set_timer(shared);
            let arrived = tokio::select! {
                biased;
                arrived = self.socket.next() => arrived,
                () = &mut self.timer, if self.timer_at.is_some() => {
                    self.timer_at = None;
                    self.machine.handle_timeout(shared.now());
                    continue;
                }
            };
            let now = shared.now();
            match arrived {
                Some(Ok(Message::Binary(bytes))) => self.machine.handle_message(bytes, now),
                Some(Ok(Message::Ping(_))) => self.machine.handle_ping(now),
                Some(Ok(Message::Pong(_))) => self.machine.handle_pong(now),
                Some(Ok(Message::Text(_))) => self.machine.handle_unreadable(now),
                Some(Ok(Message::Close(_) | Message::Frame(_))) => {}
                Some(Err(_)) | None => self.machine.handle_socket_closed(),
            }
        }
    }

    /// One that is set for earlier stays: re-arming it for every command would cost more than one early wake-up.
    fn set_timer(&mut self, shared: &Shared) {
        let Some(at) = self.machine.poll_timeout() else { return };
        if self.timer_at.is_none_or(|set| at < set) {
            self.timer_at = Some(at);
            self.timer.as_mut().reset(Instant::now() + at.since(shared.now()));
        }
    }

    /// All that is to be sent, in one write.
    async fn send(&mut self, now: Millis) -> Result<(), WsError> {
        let mut sent = false;
        while let Some(transmit) = self.machine.poll_transmit(now) {
            let message = match transmit {
                Transmit::Binary(bytes) => Message::Binary(bytes),
                Transmit::Ping => Message::Ping(Bytes::new()),
                Transmit::Close(code) => Message::Close(Some(CloseFrame { code: code.into(), reason: "".into() })),
            };
            self.socket.feed(message).await?;
            sent = true;
        }
        if sent {
            self.socket.flush().await?;
            self.machine.handle_flushed();
        }
        Ok(())
    }
}

const DIAL_LIMIT: Duration = Duration::from_secs(10);
