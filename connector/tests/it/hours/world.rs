//! Everything around a connector, in virtual time: the network, the account service, a relay, Music Assistant, and the clocks.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use macloud_connector::network::Held;
use macloud_e2ee::keys::{KeySetRoot, SkillSigner};
use macloud_proto::dpop;
use macloud_proto::ids::CommandId;
use macloud_proto::jose::Unverified;
use macloud_proto::link::GoodbyeReason;
use macloud_proto::link::frame::{self, Drain, FromConnector, FromRelay, Goodbye, Welcome};
use macloud_service_kit::clock::{Clock, SharedClock};
use macloud_simulated_home::{HomeConfig, RunningHome, SimulatedHome, Timing};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use url::Url;

use crate::cloud::{header, http_date, instance, read_request};
use crate::music_assistant::tempdir;

/// Some day in 2026.
const BEGINNING: u64 = 1_780_000_000_000;

/// The relay gives up who is silent for this long, after a ping every 25 s.
const RELAY_PATIENCE: Duration = Duration::from_secs(60);

const TOKEN_SECONDS: u64 = 900;

/// What the network does to what is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Network {
    /// Nothing comes through, and nobody says so.
    pub cut: bool,
    /// Somebody else answers.
    pub portal: bool,
    /// Connections of another generation are dead.
    pub generation: u64,
}

/// How often was dialled.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    pub relay: u64,
    pub music_assistant: u64,
    pub tokens: u64,
}

/// To the session at the relay.
pub enum Order {
    Command(frame::Command),
    PreKey(oneshot::Sender<Bytes>),
    Drain,
    Replaced,
    /// It is gone without a word.
    Die,
}

#[derive(Clone)]
pub struct Session {
    pub epoch: u64,
    pub say: mpsc::Sender<Order>,
}

struct Cloud {
    identity: [u8; 32],
    root: KeySetRoot,
    version: u64,
    signer: Arc<SkillSigner>,
    tokens: VecDeque<(String, u64)>,
    issued: u64,
    nonce: String,
    refused_until: Option<Instant>,
    epoch: u64,
    session: Option<Session>,
    waiting: HashMap<CommandId, mpsc::UnboundedSender<Bytes>>,
}

pub struct World {
    pub base: Url,
    started: Instant,
    /// While a machine sleeps its monotonic clock does not run.
    slept: AtomicU64,
    /// What the home's clock is ahead.
    wrong: AtomicI64,
    network: watch::Sender<Network>,
    cloud: Mutex<Cloud>,
    home: Mutex<Arc<RunningHome>>,
    token: Mutex<String>,
    token_dir: PathBuf,
    dials: Mutex<VecDeque<(Instant, Dial)>>,
    total: Mutex<Counts>,
    leapt: Mutex<Instant>,
    disturbed: Mutex<(usize, Instant)>,
    /// How many requests to the account service are under way, and what holds the time meanwhile.
    asking: Mutex<(usize, Option<StillTime>)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dial {
    Relay,
    MusicAssistant,
    Token,
}

/// The home's clock. Its wall clock may be wrong.
struct HomeClock(Arc<World>);

impl Clock for HomeClock {
    fn unix_millis(&self) -> u64 {
        self.0.unix_millis().saturating_add_signed(self.0.wrong.load(Ordering::Relaxed))
    }

    fn monotonic_millis(&self) -> u64 {
        self.0.monotonic()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.token_dir);
    }
}

impl World {
    pub async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base: Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let (root, signer) = (KeySetRoot::from_seed(&[1; 32]), SkillSigner::from_seed(&[2; 32]));
        let cloud = Cloud {
            identity: [0; 32],
            root,
            version: 1,
            signer: Arc::new(signer),
            tokens: VecDeque::new(),
            issued: 0,
            nonce: "nonce-0".into(),
            refused_until: None,
            epoch: 0,
            session: None,
            waiting: HashMap::new(),
        };
        let (home, token) = a_home(0).await;
        let world = Arc::new(Self {
            base,
            started: Instant::now(),
            slept: AtomicU64::new(0),
            wrong: AtomicI64::new(0),
            network: watch::Sender::new(Network::default()),
            cloud: Mutex::new(cloud),
            home: Mutex::new(home),
            token: Mutex::new(token),
            token_dir: tempdir("hours-token"),
            dials: Mutex::default(),
            total: Mutex::default(),
            leapt: Mutex::new(Instant::now()),
            disturbed: Mutex::new((0, Instant::now())),
            asking: Mutex::default(),
        });
        world.hand_out_token();
        let serving = Arc::clone(&world);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(account_service(Arc::clone(&serving), stream));
            }
        });
        world
    }

    // Clocks.

    /// Time stands still until what this returns is dropped, or the network turns out to be cut.
    pub fn hold_time(self: &Arc<Self>) -> Held {
        let mut asking = self.asking.lock().unwrap();
        if asking.0 == 0 {
            asking.1 = Some(StillTime::begin());
        }
        asking.0 += 1;
        Box::new(Asking(Arc::clone(self)))
    }

    pub fn home_clock(self: &Arc<Self>) -> SharedClock {
        Arc::new(HomeClock(Arc::clone(self)))
    }

    pub fn monotonic(&self) -> u64 {
        // Nobody's monotonic clock begins with nothing.
        1000 + self.started.elapsed().as_millis() as u64
    }

    fn unix_millis(&self) -> u64 {
        BEGINNING + self.monotonic() + self.slept.load(Ordering::Relaxed)
    }

    pub fn set_wrong(&self, millis: i64) {
        self.wrong.store(millis, Ordering::Relaxed);
    }

    /// The machine sleeps: time passes that its monotonic clock knows nothing of, and what it held is dead afterwards.
    pub fn sleep_through(&self, time: Duration) {
        self.slept.fetch_add(time.as_millis() as u64, Ordering::Relaxed);
        self.other_generation();
        self.lose_session(Order::Die);
    }

    /// Time passes for everybody, but nobody could do anything in it.
    pub async fn leap(&self, time: Duration) {
        tokio::time::advance(time).await;
        *self.leapt.lock().unwrap() = Instant::now();
        self.other_generation();
        self.lose_session(Order::Die);
    }

    pub fn since_leap(&self) -> Duration {
        self.leapt.lock().unwrap().elapsed()
    }

    // The network.

    pub fn edit_network(&self, edit: impl FnOnce(&mut Network)) {
        self.network.send_modify(edit);
    }

    pub fn other_generation(&self) {
        self.edit_network(|network| network.generation += 1);
    }

    /// The way to the cloud is in trouble from now on.
    pub fn disturb(&self) {
        let mut disturbed = self.disturbed.lock().unwrap();
        *disturbed = (disturbed.0 + 1, Instant::now());
    }

    pub fn settle(&self) {
        let mut disturbed = self.disturbed.lock().unwrap();
        *disturbed = (disturbed.0.saturating_sub(1), Instant::now());
    }

    pub fn is_disturbed(&self) -> bool {
        self.disturbed.lock().unwrap().0 > 0
    }

    /// How long the way to the cloud has been without trouble.
    pub fn calm_for(&self) -> Duration {
        let (troubles, since) = *self.disturbed.lock().unwrap();
        if troubles > 0 { Duration::ZERO } else { since.elapsed() }
    }

    fn count(&self, dial: Dial) {
        {
            let mut total = self.total.lock().unwrap();
            match dial {
                Dial::Relay => total.relay += 1,
                Dial::MusicAssistant => total.music_assistant += 1,
                Dial::Token => total.tokens += 1,
            }
        }
        let now = Instant::now();
        let mut dials = self.dials.lock().unwrap();
        while dials.front().is_some_and(|(at, _)| now - *at > Duration::from_secs(3600)) {
            dials.pop_front();
        }
        dials.push_back((now, dial));
    }

    pub fn counts(&self) -> Counts {
        *self.total.lock().unwrap()
    }

    /// In the last hour.
    pub fn most_in_an_hour(&self) -> Counts {
        let dials = self.dials.lock().unwrap();
        let of = |wanted| dials.iter().filter(|(_, dial)| *dial == wanted).count() as u64;
        Counts { relay: of(Dial::Relay), music_assistant: of(Dial::MusicAssistant), tokens: of(Dial::Token) }
    }

    pub fn dial_relay(self: &Arc<Self>) -> io::Result<DuplexStream> {
        self.count(Dial::Relay);
        let network = *self.network.borrow();
        let (near, far) = tokio::io::duplex(64 << 10);
        if network.cut {
            tokio::spawn(swallow(far));
            return Ok(near);
        }
        if network.portal {
            tokio::spawn(be_a_portal(far));
            return Ok(near);
        }
        if self.cloud.lock().unwrap().refused_until.is_some_and(|until| Instant::now() < until) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (there, relay) = tokio::io::duplex(64 << 10);
        tokio::spawn(carry(self.network.subscribe(), true, far, there));
        tokio::spawn(serve_session(Arc::clone(self), relay));
        Ok(near)
    }

    pub fn dial_music_assistant(self: &Arc<Self>) -> io::Result<DuplexStream> {
        self.count(Dial::MusicAssistant);
        let there = self.home().connect()?;
        let (near, far) = tokio::io::duplex(64 << 10);
        tokio::spawn(carry(self.network.subscribe(), false, far, there));
        Ok(near)
    }

    // Music Assistant.

    pub fn home(&self) -> Arc<RunningHome> {
        Arc::clone(&self.home.lock().unwrap())
    }

    /// Its data are gone: another server, with another token, at the same address.
    pub async fn wipe_home(&self) {
        let (home, token) = a_home(self.counts().music_assistant).await;
        let old = std::mem::replace(&mut *self.home.lock().unwrap(), home);
        *self.token.lock().unwrap() = token;
        old.fault(&macloud_simulated_home::Faults { drop_connections: true, ..Default::default() });
    }

    /// The token is revoked, and another one is made, which the connector does not have yet.
    pub fn revoke_token(&self) {
        let token = format!("another-token-{}", self.monotonic());
        let home = self.home();
        home.fault(&macloud_simulated_home::Faults { revoke_tokens: true, ..Default::default() });
        home.accept_token(&token);
        *self.token.lock().unwrap() = token;
    }

    pub fn token(&self) -> String {
        self.token.lock().unwrap().clone()
    }

    pub fn token_file(&self) -> PathBuf {
        self.token_dir.join("token")
    }

    /// The owner puts the token that works where the connector looks for it.
    pub fn hand_out_token(&self) {
        std::fs::write(self.token_file(), self.token()).unwrap();
    }

    pub fn is_heard_by_music_assistant(&self) -> bool {
        let state = self.home().state();
        state.clients > 0 && state.status == "running"
    }

    // The cloud.

    pub fn know(&self, identity: [u8; 32]) {
        self.cloud.lock().unwrap().identity = identity;
    }

    pub fn identity(&self) -> [u8; 32] {
        self.cloud.lock().unwrap().identity
    }

    pub fn relay_url(&self) -> Url {
        let url = self.base.join("relay/v1/connect").unwrap();
        url.as_str().replacen("http", "ws", 1).parse().unwrap()
    }

    pub fn key_set(&self) -> Vec<u8> {
        self.cloud.lock().unwrap().key_set()
    }

    pub fn signer(&self) -> (u64, Arc<SkillSigner>) {
        let cloud = self.cloud.lock().unwrap();
        (cloud.version, Arc::clone(&cloud.signer))
    }

    /// The skill signs with another key from now on, which homes have to hear of first.
    pub fn rotate_skill_key(&self) {
        let mut cloud = self.cloud.lock().unwrap();
        cloud.version += 1;
        cloud.signer = Arc::new(SkillSigner::from_seed(&[cloud.version as u8; 32]));
    }

    pub fn refuse_for(&self, time: Duration) {
        self.cloud.lock().unwrap().refused_until = (!time.is_zero()).then(|| Instant::now() + time);
    }

    pub fn session(&self) -> Option<Session> {
        self.cloud.lock().unwrap().session.clone()
    }

    pub fn lose_session(&self, order: Order) {
        if let Some(session) = self.cloud.lock().unwrap().session.take() {
            let _ = session.say.try_send(order);
        }
    }

    pub fn is_online(&self) -> bool {
        self.session().is_some()
    }

    /// Replies to this command go there.
    pub fn expect(&self, id: CommandId) -> mpsc::UnboundedReceiver<Bytes> {
        let (tell, told) = mpsc::unbounded_channel();
        self.cloud.lock().unwrap().waiting.insert(id, tell);
        told
    }

    pub fn expect_no_more(&self, id: CommandId) {
        self.cloud.lock().unwrap().waiting.remove(&id);
    }

    /// Looks now and then: whatever is waited for lasts longer than that.
    pub async fn until(&self, wanted: impl Fn(&Self) -> bool) {
        while !wanted(self) {
            sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Cloud {
    fn key_set(&self) -> Vec<u8> {
        self.root.sign_key_set(self.version, &[self.signer.public_key(0), self.signer.event_key(0)]).unwrap()
    }
}

async fn a_home(number: u64) -> (Arc<RunningHome>, String) {
    let token = format!("token-of-a-home-{number}");
    let config = HomeConfig {
        timing: Timing::prompt(),
        token: Some(token.clone()),
        server_id: Some(format!("{number:032x}")),
        ..HomeConfig::default()
    };
    (Arc::new(SimulatedHome::start(config).await.unwrap()), token)
}

/// Whoever dials into nothing waits.
async fn swallow(stream: DuplexStream) {
    sleep(Duration::from_secs(60)).await;
    drop(stream);
}

const PORTAL: &[u8] =
    b"HTTP/1.1 302 Found\r\nLocation: http://portal.example/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

const PORTAL_PAGE: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 22\r\nConnection: close\r\n\r\n<html>Sign in!</html>\n";

async fn be_a_portal(mut stream: DuplexStream) {
    let mut request = [0; 4096];
    let _ = stream.read(&mut request).await;
    let page = if request[100] % 2 == 0 { PORTAL } else { PORTAL_PAGE };
    let _ = stream.write_all(page).await;
    sleep(Duration::from_secs(5)).await;
}

/// Both ways, for as long as the network lets it.
async fn carry(network: watch::Receiver<Network>, outside: bool, one: DuplexStream, other: DuplexStream) {
    let generation = network.borrow().generation;
    let (mut one_out, mut one_in) = tokio::io::split(one);
    let (mut other_out, mut other_in) = tokio::io::split(other);
    let carries = move |network: &Network| network.generation == generation && !(outside && network.cut);
    let mut dies = network.clone();
    let mut there = network.clone();
    let mut back = network;
    let copied = async |from: &mut tokio::io::ReadHalf<DuplexStream>,
                        to: &mut tokio::io::WriteHalf<DuplexStream>,
                        network: &mut watch::Receiver<Network>| {
        let mut bytes = vec![0; 4096];
        while let Ok(count @ 1..) = from.read(&mut bytes).await {
            if network.wait_for(carries).await.is_err() || to.write_all(&bytes[..count]).await.is_err() {
                return;
            }
        }
        // The end is carried, too, or is not.
        let _ = network.wait_for(carries).await;
    };
    tokio::select! {
        () = copied(&mut one_out, &mut other_in, &mut there) => {}
        () = copied(&mut other_out, &mut one_in, &mut back) => {}
        // Nobody tells the ends of a connection that is dead. The system does in the end.
        () = async {
            if dies.wait_for(|network| network.generation != generation).await.is_ok() {
                sleep(Duration::from_secs(600)).await;
            }
        } => {}
    }
}

/// While this lives, paused time stands still: tokio does not let it run on while something blocks.
struct StillTime {
    _until_dropped: std::sync::mpsc::Sender<()>,
}

impl StillTime {
    fn begin() -> Self {
        let (until_dropped, dropped) = std::sync::mpsc::channel();
        tokio::task::spawn_blocking(move || dropped.recv());
        Self { _until_dropped: until_dropped }
    }
}

/// A request to the account service that is under way.
struct Asking(Arc<World>);

impl Drop for Asking {
    fn drop(&mut self) {
        let mut asking = self.0.asking.lock().unwrap();
        asking.0 -= 1;
        if asking.0 == 0 {
            asking.1 = None;
        }
    }
}

async fn account_service(world: Arc<World>, mut stream: TcpStream) {
    let Some((head, body)) = read_request(&mut stream).await else { return };
    let network = *world.network.borrow();
    if network.cut {
        // Who asked waits for time to pass.
        world.asking.lock().unwrap().1 = None;
        sleep(Duration::from_secs(60)).await;
        return;
    }
    let answer = if network.portal {
        String::from_utf8_lossy(if head.len() % 2 == 0 { PORTAL } else { PORTAL_PAGE }).into_owned()
    } else {
        respond(&world, &head, &body)
    };
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

fn respond(world: &World, head: &str, body: &str) -> String {
    let path = head.split(' ').nth(1).unwrap_or_default();
    let (status, value) = match path {
        "/.well-known/openid-configuration" => (
            200,
            json!({"issuer": world.base.as_str().trim_end_matches('/'),
                "token_endpoint": world.base.join("oauth/token").unwrap().as_str(),
                "device_authorization_endpoint": world.base.join("oauth/device_authorization").unwrap().as_str()}),
        ),
        "/oauth/token" => token(world, head, body),
        _ => (404, json!({})),
    };
    let nonce = world.cloud.lock().unwrap().nonce.clone();
    let (date, body) = (http_date(world.unix_millis() / 1000), value.to_string());
    format!(
        "HTTP/1.1 {status} X\r\nDate: {date}\r\nDPoP-Nonce: {nonce}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn token(world: &World, head: &str, body: &str) -> (u16, Value) {
    world.count(Dial::Token);
    let now = world.unix_millis() / 1000;
    let url = world.base.join("oauth/token").unwrap();
    let mut cloud = world.cloud.lock().unwrap();
    // Other minutes, other nonces.
    cloud.nonce = format!("nonce-{}", now / 300);
    let request = dpop::Request { method: "POST", url: url.as_str(), access_token: None };
    let proof = match dpop::verify(header(head, "dpop").unwrap(), request, |given| given == cloud.nonce) {
        Ok(proof) => proof,
        Err(dpop::DpopError::Nonce) => return (400, json!({"error": "use_dpop_nonce"})),
        Err(other) => panic!("{other}"),
    };
    assert_eq!(proof.key, cloud.identity, "the identity is the same for ever");
    let form: HashMap<String, String> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let claims: Value = Unverified::parse(&form["client_assertion"]).unwrap().verify(&proof.key).unwrap();
    if claims["iat"].as_u64().unwrap().abs_diff(now) >= 60 {
        return (401, json!({"error": "invalid_client"}));
    }
    cloud.issued += 1;
    let token = format!("token-{}", cloud.issued);
    cloud.tokens.push_back((token.clone(), now + TOKEN_SECONDS));
    cloud.tokens.retain(|(_, ends)| *ends > now);
    let relay = world.relay_url();
    let answer = json!({"access_token": token, "token_type": "DPoP", "expires_in": TOKEN_SECONDS, "scope": "relay",
        "instance_id": instance(), "home_name": "Home", "relay_url": relay.as_str(),
        "skill_key_set": URL_SAFE_NO_PAD.encode(cloud.key_set())});
    (200, answer)
}

#[expect(clippy::result_large_err, reason = "the WebSocket library's signature")]
fn admit(world: &World, request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let now = world.unix_millis() / 1000;
    let mut cloud = world.cloud.lock().unwrap();
    cloud.nonce = format!("nonce-{}", now / 300);
    let refuse = |error: &str| {
        let mut refusal = ErrorResponse::new(None);
        *refusal.status_mut() = 401_u16.try_into().unwrap();
        refusal.headers_mut().insert("www-authenticate", format!("DPoP error=\"{error}\"").parse().unwrap());
        refusal.headers_mut().insert("dpop-nonce", cloud.nonce.parse().unwrap());
        Err(refusal)
    };
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = text("authorization").strip_prefix("DPoP ").unwrap();
    let url = world.base.join("relay/v1/connect").unwrap();
    let proved = dpop::Request { method: "GET", url: url.as_str(), access_token: Some(token) };
    match dpop::verify(text("dpop"), proved, |nonce| nonce == cloud.nonce) {
        Err(dpop::DpopError::Nonce) => return refuse("use_dpop_nonce"),
        other => assert_eq!(other.unwrap().key, cloud.identity),
    }
    if !cloud.tokens.iter().any(|(known, ends)| known == token && *ends > now) {
        return refuse("invalid_token");
    }
    response.headers_mut().insert("sec-websocket-protocol", "macloud.link.v1".parse().unwrap());
    Ok(response)
}

/// The relay's end of a session. The newest one is the home's.
async fn serve_session(world: Arc<World>, stream: DuplexStream) {
    let (say, mut orders) = mpsc::channel(64);
    let epoch = {
        #[expect(clippy::result_large_err, reason = "the WebSocket library's signature")]
        let callback = |request: &Request, response: Response| admit(&world, request, response);
        let accepted = timeout(Duration::from_secs(10), tokio_tungstenite::accept_hdr_async(stream, callback)).await;
        let Ok(Ok(mut socket)) = accepted else { return };
        let hello = timeout(Duration::from_secs(10), socket.next()).await;
        let Ok(Some(Ok(Message::Binary(hello)))) = hello else { return };
        let Ok(FromConnector::Hello(_)) = FromConnector::decode(hello) else { panic!("no hello") };
        let (epoch, welcome) = {
            let mut cloud = world.cloud.lock().unwrap();
            cloud.epoch += 1;
            let session = Session { epoch: cloud.epoch, say: say.clone() };
            if let Some(former) = cloud.session.replace(session) {
                let _ = former.say.try_send(Order::Replaced);
            }
            let welcome = Welcome {
                version: 1,
                session_epoch: cloud.epoch,
                ping_interval: Duration::from_secs(25),
                reconnect_window: Duration::from_secs(2),
                dpop_nonce: cloud.nonce.clone(),
                node_id: "node".into(),
                contested: false,
                paused: false,
                events: true,
                resumption: None,
            };
            (cloud.epoch, welcome)
        };
        if send(&mut socket, FromRelay::Welcome(welcome)).await {
            talk(&world, &mut socket, &mut orders).await;
        }
        epoch
    };
    let mut cloud = world.cloud.lock().unwrap();
    if cloud.session.as_ref().is_some_and(|session| session.epoch == epoch) {
        cloud.session = None;
    }
}

type Socket = tokio_tungstenite::WebSocketStream<DuplexStream>;

async fn send(socket: &mut Socket, frame: FromRelay) -> bool {
    let sent = timeout(Duration::from_secs(10), socket.send(Message::Binary(frame.encode()))).await;
    matches!(sent, Ok(Ok(())))
}

async fn talk(world: &World, socket: &mut Socket, orders: &mut mpsc::Receiver<Order>) {
    let mut ping = interval(Duration::from_secs(25));
    let mut heard = Instant::now();
    let mut pre_keys: VecDeque<oneshot::Sender<Bytes>> = VecDeque::new();
    loop {
        tokio::select! {
            message = socket.next() => {
                heard = Instant::now();
                match message {
                    Some(Ok(Message::Binary(bytes))) => match FromConnector::decode(bytes).unwrap() {
                        FromConnector::Reply(reply) => {
                            let waiting = world.cloud.lock().unwrap().waiting.get(&reply.command_id).cloned();
                            if let Some(waiting) = waiting {
                                let _ = waiting.send(reply.sealed);
                            }
                        }
                        FromConnector::PreKeyAnswer(answer) => {
                            if let Some(waiting) = pre_keys.pop_front() {
                                let _ = waiting.send(answer.signed_pre_key);
                            }
                        }
                        FromConnector::Event(event) if !send(socket, FromRelay::EventTaken(event.event_id)).await => {
                            return;
                        }
                        FromConnector::Goodbye(_) => return,
                        _ => {}
                    },
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => {}
                }
            }
            order = orders.recv() => {
                let frame = match order {
                    Some(Order::Command(command)) => FromRelay::Command(command),
                    Some(Order::PreKey(answer)) => {
                        pre_keys.push_back(answer);
                        FromRelay::PreKeyRequest(7)
                    }
                    Some(Order::Drain) => FromRelay::Drain(Drain {
                        reconnect_after: Duration::from_secs(3),
                        leaving_in: Duration::from_secs(30),
                    }),
                    Some(Order::Replaced) => {
                        let goodbye = Goodbye { reason: GoodbyeReason::Replaced, detail: String::new() };
                        send(socket, FromRelay::Goodbye(goodbye)).await;
                        return;
                    }
                    Some(Order::Die) | None => return,
                };
                if !send(socket, frame).await {
                    return;
                }
            }
            _ = ping.tick() => {
                if heard.elapsed() > RELAY_PATIENCE {
                    return;
                }
                let sent = timeout(Duration::from_secs(10), socket.send(Message::Ping(Bytes::new()))).await;
                if !matches!(sent, Ok(Ok(()))) {
                    return;
                }
            }
        }
    }
}
