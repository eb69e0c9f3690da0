//! Nodes, Redis, homes and callers on hosts of their own: hosts that are cut off, packets that are lost without a word, and
//! connections of which one end has vanished. What is promised for a lost host is measured in seconds, and so are these tests.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use hyper_util::rt::TokioIo;
use macloud_connector::network::{DialError, Dialer, WebSocket};
use macloud_proto::accounts::v1::accounts_server::AccountsServer;
use macloud_proto::bus::v1::{self as bus, answer, command_bus_client::CommandBusClient, not_sent, unknown};
use macloud_proto::ids::CommandId;
use macloud_proto::link::Transmit;
use macloud_proto::link::connector_side::{ConnectorEvent, ConnectorSettings, ConnectorSide, Ended};
use macloud_proto::link::frame::FromRelay;
use macloud_proto::link::redial::{Because, Redial, RedialSettings};
use macloud_proto::time::Millis;
use macloud_relay::CONNECT_PATH;
use macloud_relay::presence::LEASE;
use macloud_service_kit::internal::InternalTls;
use macloud_service_kit::random;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tonic::transport::{Channel, Endpoint, Server};

use crate::cloud::{self, Dial, FakeAccounts, HomeKey, Refused, delivered, dial_in, dispatch};
use crate::hosts::{DIR, Hosts, Lan, REDIS, TEST};
use crate::load::{Door, Ledger, Load};
use crate::processes::{connect, now};
use crate::redis_server;

const SECOND: Duration = Duration::from_secs(1);
/// A command that was on its way when a host fell silent is answered within this: the home was busy with it, keep-alives take
/// three seconds, and other tests may want the processor.
const NOTICED: Duration = EXECUTION.saturating_add(Duration::from_millis(3_700));

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_cut_off_is_left_within_seconds_and_does_not_answer_for_homes_that_have_moved() {
    let Some(world) = World::new().await else { return };
    let [a, b] = world.nodes();
    let load = world.load([&a, &b]).await;
    let key = HomeKey::new(200);
    let stale = first_frame(dial_in(&*a.door(), &key, now()).await.unwrap());
    let cut = async {
        sleep(SECOND).await;
        world.hosts.unplug("a");
    };
    let (tally, ()) = tokio::join!(load.run(150, Duration::from_millis(40), SECOND * 6), cut);
    assert!(tally.delivered >= 75 && tally.no_bus == 0 && tally.slowest < NOTICED, "{tally:?}");
    // A connector whose reply nobody acknowledges gives up after fifteen seconds, and comes back within five.
    load.all_answer(SECOND * 25).await;
    load.ask_unknown_again(SECOND * 2).await;
    let moved = dial_in(&*b.door(), &key, now()).await.unwrap();
    let epoch = moved.welcome.session_epoch;
    moved.serve();

    world.hosts.plug("a");
    // Whoever knows of the newer session never gets the older one; nor does anybody, once the node can ask again.
    let known = |number| bus::Call { least_epoch: epoch, ..dispatch(&key, number, SECOND) };
    a.until_delivered(known, epoch).await;
    a.until_delivered(|number| dispatch(&key, number, SECOND), epoch).await;
    let told = stale.await.unwrap();
    assert!(matches!(told, None | Some(FromRelay::Drain(_) | FromRelay::Goodbye(_))), "{told:?}");
    until("both nodes are heard", || load.streams() == 4).await;
    let after = load.run(30, Duration::from_millis(20), SECOND * 6).await;
    assert_eq!(after.delivered, 30, "{after:?}");
    load.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_that_are_lost_without_a_word_cost_no_command_its_answer() {
    let Some(world) = World::new().await else { return };
    let [a, b] = world.nodes();
    let load = world.load([&a, &b]).await;
    until("both nodes are heard", || load.streams() == 4).await;
    // Between the caller and one node: the other one takes the calls across.
    let parted = async {
        sleep(SECOND / 2).await;
        world.hosts.part([TEST, "a"], Lan::Bus);
    };
    let (tally, ()) = tokio::join!(load.run(100, Duration::from_millis(40), SECOND * 6), parted);
    assert!(tally.delivered >= 50 && tally.no_bus == 0 && tally.slowest < NOTICED, "{tally:?}");
    assert_eq!(load.streams(), 2);
    load.ask_unknown_again(SECOND).await;
    let after = load.run(30, Duration::from_millis(20), SECOND * 6).await;
    assert_eq!(after.delivered, 30, "{after:?}");
    world.hosts.rejoin([TEST, "a"], Lan::Bus);
    until("both nodes are heard", || load.streams() == 4).await;

    // Between one node and everybody, while its homes and the directory hear it well.
    let silent = async {
        sleep(SECOND / 2).await;
        world.hosts.silence("a", Lan::Bus);
    };
    let (tally, ()) = tokio::join!(load.run(100, Duration::from_millis(40), SECOND * 6), silent);
    assert!(tally.delivered >= 50 && tally.no_bus == 0 && tally.slowest < NOTICED, "{tally:?}");
    world.hosts.unsilence("a", Lan::Bus);
    until("both nodes are heard", || load.streams() == 4).await;
    load.ask_unknown_again(SECOND).await;
    let after = load.run(30, Duration::from_millis(20), SECOND * 6).await;
    assert_eq!(after.delivered, 30, "{after:?}");
    load.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_home_that_vanishes_without_a_word_is_known_within_three_seconds() {
    let Some(world) = World::new().await else { return };
    let [a, b] = world.nodes();
    let key = HomeKey::new(1);
    let vanishes = dial_in(&*a.door(), &key, now()).await.unwrap().serve();
    assert_eq!(b.ask(dispatch(&key, 1, SECOND)).await.outcome, Some(delivered(1)));
    world.hosts.silence(TEST, Lan::Homes);
    let asked = Instant::now();
    let (here, across) = tokio::join!(a.ask(dispatch(&key, 2, SECOND * 6)), b.ask(dispatch(&key, 3, SECOND * 6)));
    for answer in [here, across] {
        assert_eq!(answer.outcome, Some(cloud::unknown(unknown::Reason::Unresponsive)));
    }
    assert!(asked.elapsed() < SECOND * 3, "{:?}", asked.elapsed());
    // Nobody waits for it again.
    let asked = Instant::now();
    for (number, node) in [(4, &a), (5, &b)] {
        let answer = node.ask(dispatch(&key, number, SECOND * 6)).await;
        assert_eq!(answer.outcome, Some(cloud::not_sent(not_sent::Reason::NotConnected)));
    }
    assert!(asked.elapsed() < SECOND, "{:?}", asked.elapsed());
    world.hosts.unsilence(TEST, Lan::Homes);
    dial_in(&*b.door(), &key, now()).await.unwrap().serve();
    for (number, node) in [(6, &a), (7, &b)] {
        assert_eq!(node.ask(dispatch(&key, number, SECOND)).await.outcome, Some(delivered(number)));
    }
    vanishes.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_has_lost_its_directory_alone_goes_on_through_another() {
    let Some(world) = World::new().await else { return };
    let [a, b] = world.nodes();
    let (stays, moves, comes) = (HomeKey::new(1), HomeKey::new(2), HomeKey::new(3));
    dial_in(&*a.door(), &stays, now()).await.unwrap().serve();
    let old = first_frame(dial_in(&*a.door(), &moves, now()).await.unwrap());
    // Each has heard of the other.
    sleep(LEASE / 2).await;
    world.hosts.silence("a", Lan::Store);
    let silent = Instant::now();
    let dialled = Instant::now();
    dial_in(&*a.door(), &comes, now()).await.unwrap().serve();
    assert!(dialled.elapsed() < SECOND * 3, "new ones are let in: {:?}", dialled.elapsed());
    // Beyond any lease, by whomever they are asked.
    for number in 0.. {
        for node in [&a, &b] {
            let key = if number % 2 == 0 { &stays } else { &comes };
            let asked = Instant::now();
            assert_eq!(node.ask(dispatch(key, number, SECOND * 2)).await.outcome, Some(delivered(number)));
            assert!(asked.elapsed() < SECOND, "connected homes are not kept waiting: {:?}", asked.elapsed());
        }
        if silent.elapsed() > LEASE * 3 / 2 {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    // One that goes elsewhere is there at once, for the node that it has left as well.
    let moved = dial_in(&*b.door(), &moves, now()).await.unwrap();
    let epoch = moved.welcome.session_epoch;
    moved.serve();
    let told = old.await.unwrap();
    assert!(matches!(told, Some(FromRelay::Goodbye(_))), "{told:?}");
    for (number, node) in [(1, &a), (2, &b)] {
        let answer = node.ask(dispatch(&moves, number, SECOND * 2)).await;
        assert_eq!((answer.outcome, answer.session_epoch), (Some(delivered(number)), epoch));
    }
    world.hosts.unsilence("a", Lan::Store);
    sleep(LEASE / 2).await;
    for (number, key) in [(3, &stays), (4, &comes), (5, &moves)] {
        for node in [&a, &b] {
            assert_eq!(node.ask(dispatch(key, number, SECOND * 2)).await.outcome, Some(delivered(number)));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_has_lost_its_directory_and_the_others_keeps_its_homes_and_is_reconciled() {
    let Some(world) = World::new().await else { return };
    let [a, b] = world.nodes();
    let (stays, moves, comes) = (HomeKey::new(1), HomeKey::new(2), HomeKey::new(3));
    dial_in(&*a.door(), &stays, now()).await.unwrap().serve();
    let stale = first_frame(dial_in(&*a.door(), &moves, now()).await.unwrap());
    world.hosts.silence("a", Lan::Store);
    world.hosts.part(["a", "b"], Lan::Bus);
    let silent = Instant::now();

    let dialled = Instant::now();
    dial_in(&*a.door(), &comes, now()).await.unwrap().serve();
    assert!(dialled.elapsed() < SECOND * 3, "new ones are let in: {:?}", dialled.elapsed());
    for number in 0.. {
        let key = if number % 2 == 0 { &stays } else { &comes };
        let asked = Instant::now();
        assert_eq!(a.ask(dispatch(key, number, SECOND)).await.outcome, Some(delivered(number)));
        assert!(asked.elapsed() < SECOND / 2, "connected homes are not kept waiting: {:?}", asked.elapsed());
        if silent.elapsed() > LEASE {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    // A home that goes elsewhere meanwhile is there, and whoever knows it is not served by its old session.
    let moved = dial_in(&*b.door(), &moves, now()).await.unwrap();
    let epoch = moved.welcome.session_epoch;
    moved.serve();
    let known = |number| bus::Call { least_epoch: epoch, ..dispatch(&moves, number, SECOND) };
    let answer = a.ask(known(1)).await;
    assert_eq!(answer.outcome, Some(cloud::not_sent(not_sent::Reason::Unlocated)));
    let answer = b.ask(known(2)).await;
    assert_eq!((answer.outcome, answer.session_epoch), (Some(delivered(2)), epoch));

    world.hosts.unsilence("a", Lan::Store);
    world.hosts.rejoin(["a", "b"], Lan::Bus);
    a.until_delivered(known, epoch).await;
    a.until_delivered(|number| dispatch(&moves, number, SECOND), epoch).await;
    let told = stale.await.unwrap();
    assert!(matches!(told, Some(FromRelay::Drain(_) | FromRelay::Goodbye(_))), "{told:?}");
    for key in [&stays, &comes] {
        b.until_delivered(|number| dispatch(key, number, SECOND), 0).await;
    }
}

/// What these tests share: an account service at the test's own end, Redis, and the certificates of the services.
struct World {
    _redis: Running,
    certificates: Certificates,
    accounts: String,
    hosts: Hosts,
}

struct Node {
    _process: Running,
    address: String,
    bus: Channel,
}

impl World {
    async fn new() -> Option<Self> {
        if redis_server::is_left_out() {
            return None;
        }
        let hosts = Hosts::with_nodes(&["a", "b"])?;
        let listener = TcpListener::bind((hosts.address(TEST, Lan::Bus), 0)).await.unwrap();
        let accounts = format!("http://{}", listener.local_addr().unwrap());
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        let service = AccountsServer::new(FakeAccounts::new());
        tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
        Some(Self { _redis: start_redis(&hosts), certificates: Certificates::new(), accounts, hosts })
    }

    fn nodes(&self) -> [Node; 2] {
        ["a", "b"].map(|name| self.node(name))
    }

    fn node(&self, name: &str) -> Node {
        let (homes, bus) = (self.hosts.address(name, Lan::Homes), self.hosts.address(name, Lan::Bus));
        let mut command = self.hosts.command(name, env!("CARGO_BIN_EXE_macloud-relay"));
        command
            .args(["--listen", &format!("{homes}:0"), "--behind-proxy", "--client-address-header", "X-Forwarded-For"])
            .args(["--bus-listen", &format!("{bus}:0"), "--admin-listen", "127.0.0.1:0"])
            .args(["--public-url", cloud::ISSUER, "--accounts", &self.accounts, "--node-id", name])
            .args(["--redis", &format!("redis://{}:{REDIS_PORT}/", self.hosts.address(REDIS, Lan::Store))])
            .args(["--internal-ca", &Certificates::file("ca.pem")]);
        let [chain, key] = self.certificates.sign(&bus);
        command.args(["--internal-certificate", &chain, "--internal-key", &key]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let bus = self.channel(line["bus"].as_str().unwrap());
        Node { _process: Running(child), address: line["address"].as_str().unwrap().into(), bus }
    }

    /// As a caller of the cloud's own reaches a node.
    fn channel(&self, bus: &str) -> Channel {
        let [chain, key] = self.certificates.sign("caller");
        let internal = InternalTls::load(Certificates::file("ca.pem").as_ref(), chain.as_ref(), key.as_ref()).unwrap();
        let endpoint = Endpoint::from_shared(format!("http://{bus}"))
            .unwrap()
            .connect_timeout(SECOND * 3)
            .http2_keep_alive_interval(SECOND)
            .keep_alive_timeout(SECOND * 2)
            .keep_alive_while_idle(true);
        endpoint.connect_with_connector_lazy(tower::service_fn(move |url: http::Uri| {
            let internal = internal.clone();
            async move {
                let (host, port) = (url.host().unwrap(), url.port_u16().unwrap());
                internal.connect(host, port).await.map(TokioIo::new)
            }
        }))
    }

    async fn load(&self, nodes: [&Node; 2]) -> Load {
        let doors = nodes.map(|node| node.address.clone());
        let buses = nodes.map(|node| node.bus.clone());
        let load = Load::of(buses.into(), 6, |number, ledger| home(number, ledger, doors.clone()));
        load.all_answer(SECOND * 10).await;
        load
    }
}

impl Node {
    fn door(&self) -> Door {
        let address = self.address.clone();
        Arc::new(move || connect(address.clone()))
    }

    async fn try_ask(&self, call: bus::Call) -> Option<bus::Answer> {
        CommandBusClient::new(self.bus.clone()).dispatch(call).await.ok().map(tonic::Response::into_inner)
    }

    async fn ask(&self, call: bus::Call) -> bus::Answer {
        self.try_ask(call).await.expect("the node is there")
    }

    /// Ask until the home's reply comes, which is from that session. Until then nothing is sent to any.
    async fn until_delivered(&self, call: impl Fn(u8) -> bus::Call, epoch: u64) {
        let until = Instant::now() + SECOND * 10;
        for number in (10..250).cycle() {
            assert!(Instant::now() < until, "no answer");
            match self.try_ask(call(number)).await {
                Some(bus::Answer { outcome: Some(answer::Outcome::Delivered(_)), session_epoch, .. }) => {
                    assert!(epoch == 0 || epoch == session_epoch, "answered by session {session_epoch}, not {epoch}");
                    return;
                }
                Some(bus::Answer { outcome: Some(answer::Outcome::NotSent(_)), .. }) | None => {}
                Some(other) => panic!("{other:?}"),
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A process that ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_redis(hosts: &Hosts) -> Running {
    let (address, port) = (hosts.address(REDIS, Lan::Store), REDIS_PORT.to_string());
    let mut command = hosts.command(REDIS, "redis-server");
    command.args(["--bind", &address, "--port", &port, "--protected-mode", "no", "--save", "", "--appendonly", "no"]);
    let redis = Running(command.stdout(Stdio::null()).spawn().unwrap());
    // Nobody but a neighbour of it could tell.
    let answers = || hosts.command(REDIS, "redis-cli").args(["-h", &address, "-p", &port, "ping"]).output().unwrap();
    while !answers().stdout.starts_with(b"PONG") {
        std::thread::sleep(Duration::from_millis(20));
    }
    redis
}

/// The authority of this cloud, and what it has signed, as files.
struct Certificates {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Certificates {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        std::fs::write(Self::file("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: rcgen::Issuer::new(params, key) }
    }

    fn file(name: &str) -> String {
        format!("{DIR}/{name}")
    }

    /// Chain and key for this address or name.
    fn sign(&self, name: &str) -> [String; 2] {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.into()]).unwrap();
        let files = ["pem", "key"].map(|kind| Self::file(&format!("{name}.{kind}")));
        let chain = params.signed_by(&key, &self.issuer).unwrap().pem();
        for (file, text) in files.iter().zip([chain, key.serialize_pem()]) {
            std::fs::write(file, text).unwrap();
        }
        files
    }
}

/// What the relay says first to a home that answers pings and waits.
fn first_frame(mut home: cloud::Home) -> JoinHandle<Option<FromRelay>> {
    tokio::spawn(async move { home.next().await })
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let until = Instant::now() + SECOND * 10;
    while !holds() {
        assert!(Instant::now() < until, "never: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// A home that dials, holds its sessions and gives them up as the connector does, by the same machines and sockets. Each time
/// it dials the next node, as whatever stands before the nodes would have it.
async fn home(number: u8, ledger: Arc<Ledger>, doors: [String; 2]) {
    let (key, dialer) = (HomeKey::new(number), Dialer::new(None, true).unwrap());
    let mut redial = Redial::new(RedialSettings::default());
    let started = Instant::now();
    let clock = || Millis(started.elapsed().as_millis() as u64);
    for session in 0.. {
        let door = &doors[(usize::from(number) + session as usize) % doors.len()];
        let because = match dial(&dialer, door, &key).await {
            Some(socket) => serve(socket, session, &ledger, &mut redial, clock).await,
            None => Because::Failed,
        };
        sleep(redial.wait(because, clock(), &mut random::fill)).await;
    }
}

async fn dial(dialer: &Dialer, door: &str, key: &HomeKey) -> Option<WebSocket> {
    let url = format!("ws://{door}{CONNECT_PATH}").parse().unwrap();
    let token = key.token_at(now());
    let open = async |nonce: Option<&str>| {
        let request = Dial::of(key, token.clone(), nonce).into_request();
        dialer.websocket(&url, request, WebSocketConfig::default()).await
    };
    let Err(DialError::Refused(refused)) = open(None).await else { return None };
    open(Some(&Refused::from(*refused).nonce?)).await.ok().map(|(socket, _)| socket)
}

/// One session. A command is executed when it comes; its reply takes a while, so that one is under way at any time.
async fn serve(
    mut socket: WebSocket,
    session: u64,
    ledger: &Ledger,
    redial: &mut Redial,
    clock: impl Fn() -> Millis,
) -> Because {
    let mut machine = ConnectorSide::new(ConnectorSettings::default(), clock());
    let (executed, mut replies) = mpsc::unbounded_channel::<(CommandId, bytes::Bytes)>();
    loop {
        while let Some(event) = machine.poll_event() {
            match event {
                ConnectorEvent::Welcomed(welcome) => redial.welcomed(welcome.reconnect_window, clock()),
                ConnectorEvent::Proven => redial.proven(),
                ConnectorEvent::Command(command) => {
                    let id = command.command_id;
                    let Some(sealed) = ledger.execute(id, session, clock()) else {
                        machine.release(id);
                        continue;
                    };
                    let executed = executed.clone();
                    tokio::spawn(async move {
                        sleep(EXECUTION).await;
                        executed.send((id, sealed))
                    });
                }
                ConnectorEvent::Ended(Ended::There(goodbye)) => return Because::Goodbye(goodbye.reason),
                ConnectorEvent::Ended(_) => return Because::Lost,
                _ => {}
            }
        }
        while let Some(transmit) = machine.poll_transmit(clock()) {
            match socket.send(message(transmit)).await {
                Ok(()) => machine.handle_flushed(),
                Err(_) => machine.handle_socket_closed(),
            }
        }
        let Some(wake) = machine.poll_timeout() else { continue };
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Binary(bytes))) => machine.handle_message(bytes, clock()),
                Some(Ok(Message::Ping(_))) => machine.handle_ping(clock()),
                Some(Ok(Message::Pong(_))) => machine.handle_pong(clock()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => machine.handle_socket_closed(),
            },
            Some((id, sealed)) = replies.recv() => drop(machine.reply(id, sealed, EXECUTION)),
            () = sleep_until(Instant::now() + wake.since(clock())) => machine.handle_timeout(clock()),
        }
    }
}

fn message(transmit: Transmit) -> Message {
    match transmit {
        Transmit::Binary(bytes) => Message::Binary(bytes),
        Transmit::Ping => Message::Ping(bytes::Bytes::new()),
        Transmit::Close(code) => Message::Close(Some(CloseFrame { code: code.into(), reason: "".into() })),
    }
}

/// Longer than a home of these tests waits for its next command.
const EXECUTION: Duration = Duration::from_millis(280);
const REDIS_PORT: u16 = 6379;
