//! Nodes as processes of their own, over TCP and a real Redis: killed, frozen, and without their directory, under load.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use macloud_proto::accounts::v1::accounts_server::AccountsServer;
use macloud_proto::bus::v1::{self as bus, answer, command_bus_client::CommandBusClient, not_sent};
use macloud_service_kit::clock;
use tokio::io::DuplexStream;
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::{Channel, Endpoint, Server};

use crate::cloud::{FakeAccounts, HomeKey, delivered, dial_in, dispatch};
use crate::load::{Door, Doors, Load};
use crate::redis_server::Redis;

const SECOND: Duration = Duration::from_secs(1);

/// The account service of these tests, and what each node is told.
struct World {
    accounts: String,
    redis: Redis,
    /// How the nodes find it.
    found: Vec<String>,
}

struct Node {
    child: Child,
    address: String,
    bus: Channel,
}

impl World {
    async fn new() -> Option<Self> {
        let redis = Redis::start(&[])?;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let accounts = format!("http://{}", listener.local_addr().unwrap());
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        let service = AccountsServer::new(FakeAccounts::new());
        tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
        let found = vec!["--redis".into(), redis.url()];
        Some(Self { accounts, redis, found })
    }

    fn node(&self, name: &str) -> Node {
        let mut command = Command::new(env!("CARGO_BIN_EXE_macloud-relay"));
        let free = "127.0.0.1:0";
        command
            .env_clear()
            .args(["--listen", free, "--bus-listen", free, "--admin-listen", free, "--drain-seconds", "5"])
            .args(["--public-url", "https://cloud.example", "--accounts", &self.accounts])
            .args(["--node-id", name])
            .args(&self.found);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let bus = Endpoint::from_shared(format!("http://{}", line["bus"].as_str().unwrap())).unwrap();
        Node { child, address: line["address"].as_str().unwrap().into(), bus: bus.connect_lazy() }
    }
}

impl Node {
    fn door(&self) -> Door {
        let address = self.address.clone();
        Arc::new(move || connect(address.clone()))
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }

    async fn ask(&self, call: bus::Call) -> bus::Answer {
        CommandBusClient::new(self.bus.clone()).dispatch(call).await.unwrap().into_inner()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The pipe that the helpers speak through, bridged to that address.
pub(crate) fn connect(address: String) -> DuplexStream {
    let (here, mut there) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move {
        let mut tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        tokio::io::copy_bidirectional(&mut there, &mut tcp).await
    });
    here
}

pub(crate) fn now() -> u64 {
    clock::system().unix_seconds()
}

async fn load(nodes: &[Node], homes: u8) -> (Load, Doors) {
    let doors: Doors = Arc::new(Mutex::new(nodes.iter().map(Node::door).collect()));
    let buses = nodes.iter().map(|node| node.bus.clone()).collect();
    (Load::start(&doors, buses, homes, now).await, doors)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_killed_under_load_and_each_command_is_answered_at_once() {
    let Some(world) = World::new().await else { return };
    let nodes = ["a", "b", "c"].map(|name| world.node(name));
    let (load, doors) = load(&nodes, 12).await;
    let killed = async {
        tokio::time::sleep(SECOND).await;
        doors.lock().unwrap().remove(1);
        nodes[1].signal("-KILL");
    };
    let (tally, ()) = tokio::join!(load.run(600, Duration::from_millis(5), SECOND * 6), killed);
    // What was on its way when it happened, and homes that were not back yet.
    assert!(tally.delivered > 450 && tally.no_bus == 0, "{tally:?}");
    assert!(tally.slowest < SECOND * 3, "{tally:?}");
    let after = load.run(60, Duration::from_millis(5), SECOND * 6).await;
    assert_eq!(after.delivered, 60, "{after:?}");
    load.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_dies_under_load_and_comes_back_empty() {
    let Some(world) = World::new().await else { return };
    let nodes = ["a", "b"].map(|name| world.node(name));
    let (load, _doors) = load(&nodes, 8).await;
    let away = async {
        tokio::time::sleep(SECOND / 2).await;
        world.redis.kill();
        tokio::time::sleep(SECOND * 2).await;
        world.redis.run();
    };
    let (tally, ()) = tokio::join!(load.run(800, Duration::from_millis(5), SECOND * 6), away);
    assert_eq!(tally.delivered, 800, "whoever knows where the homes are needs no directory: {tally:?}");
    // A home that comes while it is away is found from everywhere when it is back, without anybody being restarted.
    world.redis.kill();
    let key = HomeKey::new(200);
    let dialled = std::time::Instant::now();
    dial_in(&*nodes[0].door(), &key, now()).await.unwrap().serve();
    assert!(dialled.elapsed() < SECOND * 3, "{:?}", dialled.elapsed());
    assert_eq!(nodes[0].ask(dispatch(&key, 1, SECOND)).await.outcome, Some(delivered(1)));
    world.redis.run();
    let found = async {
        loop {
            match nodes[1].ask(dispatch(&key, 2, SECOND)).await.outcome {
                Some(answer::Outcome::Delivered(_)) => return,
                Some(answer::Outcome::NotSent(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::time::timeout(SECOND * 15, found).await.unwrap();
    load.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_fails_under_load_and_its_replica_goes_on() {
    let Some(mut world) = World::new().await else { return };
    let (Some(replica), Some(sentinel)) = (world.redis.replica(), Redis::sentinel(&world.redis)) else { return };
    world.found = ["--redis", &sentinel.url(), "--redis-sentinel-master", "homes"].map(str::to_owned).into();
    let nodes = ["a", "b"].map(|name| world.node(name));
    let (load, _doors) = load(&nodes, 8).await;
    while !sentinel.tell(&["sentinel", "replicas", "homes"]).contains(&replica.port.to_string()) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let fails = async {
        tokio::time::sleep(SECOND / 2).await;
        world.redis.kill();
    };
    let (tally, ()) = tokio::join!(load.run(800, Duration::from_millis(5), SECOND * 6), fails);
    assert_eq!(tally.delivered, 800, "whoever knows where the homes are needs no directory: {tally:?}");
    // One that comes now is found from the other node as soon as the replica is the master.
    let key = HomeKey::new(200);
    dial_in(&*nodes[0].door(), &key, now()).await.unwrap().serve();
    let found = async {
        while nodes[1].ask(dispatch(&key, 1, SECOND)).await.outcome != Some(delivered(1)) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(SECOND * 15, found).await.unwrap();
    assert!(replica.tell(&["role"]).starts_with("master"));
    load.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_frozen_beyond_its_lease_does_not_answer_for_homes_that_have_moved() {
    let Some(world) = World::new().await else { return };
    let nodes = ["a", "b"].map(|name| world.node(name));
    let key = HomeKey::new(1);
    let stale = dial_in(&*nodes[0].door(), &key, now()).await.unwrap().serve();
    assert_eq!(nodes[1].ask(dispatch(&key, 1, SECOND)).await.outcome, Some(delivered(1)));
    nodes[0].signal("-STOP");
    tokio::time::sleep(SECOND * 11).await;
    let moved = dial_in(&*nodes[1].door(), &key, now()).await.unwrap();
    let epoch = moved.welcome.session_epoch;
    let served = moved.serve();
    // Asked while it sleeps, so that the call is there before anything else when it wakes up.
    let calls: Vec<_> = (2..10)
        .map(|number| {
            let (mut bus, call) = (CommandBusClient::new(nodes[0].bus.clone()), dispatch(&key, number, SECOND * 5));
            tokio::spawn(async move { bus.dispatch(call).await.unwrap().into_inner() })
        })
        .collect();
    tokio::time::sleep(SECOND / 2).await;
    nodes[0].signal("-CONT");
    for (number, call) in (2..).zip(calls) {
        let answer = call.await.unwrap();
        match &answer.outcome {
            Some(answer::Outcome::NotSent(refused)) => {
                assert_ne!(refused.reason(), not_sent::Reason::Busy, "{answer:?}");
            }
            other => assert_eq!((other, answer.session_epoch), (&Some(delivered(number)), epoch)),
        }
    }
    assert_eq!(nodes[0].ask(dispatch(&key, 11, SECOND)).await.outcome, Some(delivered(11)));
    assert_eq!(stale.await.unwrap(), 1, "the session of before has executed nothing since");
    drop(served);
}
