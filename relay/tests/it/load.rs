//! Homes that behave as real ones do, and callers that ask them all the time: whatever happens to the nodes, each command has
//! one answer in time, and nothing is executed twice or after it was said not to be.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use macloud_alexa_skill::dispatch::{Bus, BusConfig, Outcome};
use macloud_proto::bus::v1::dispatch::Class;
use macloud_proto::ids::CommandId;
use macloud_proto::link::command_memory::{CommandMemory, Verdict};
use macloud_proto::link::frame::{FromConnector, FromRelay, Reply};
use macloud_proto::time::Millis;
use macloud_service_kit::stop::Stop;
use tokio::io::DuplexStream;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::transport::Channel;

use crate::cloud::{Home, HomeKey, dial_in};

/// A new connection to where homes dial in at one node.
pub(crate) type Door = Arc<dyn Fn() -> DuplexStream + Send + Sync>;

/// Homes and their callers.
pub(crate) struct Load {
    homes: Vec<Arc<Ledger>>,
    bus: Bus,
    /// Commands until now: each has an id of its own.
    asked: AtomicU64,
    /// Of which nobody knows whether they were executed: home and number.
    unknown: Mutex<Vec<(u8, u64)>>,
    running: JoinSet<()>,
}

/// Where homes may dial in now, in any order.
pub(crate) type Doors = Arc<Mutex<Vec<Door>>>;

/// What one home has done, over all its sessions.
#[derive(Default)]
pub(crate) struct Ledger {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    memory: CommandMemory<u64>,
    executions: HashMap<CommandId, u32>,
}

/// How the commands ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) delivered: u32,
    pub(crate) not_sent: u32,
    pub(crate) unknown: u32,
    pub(crate) no_bus: u32,
    pub(crate) slowest: Duration,
}

/// Small and seeded.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    pub(crate) fn millis(&mut self, bound: u64) -> Duration {
        Duration::from_millis(self.below(bound))
    }
}

impl Load {
    /// So many homes, all connected; `now` gives seconds since 1970 as the nodes know them.
    pub(crate) async fn start(
        doors: &Doors,
        buses: Vec<Channel>,
        homes: u8,
        now: impl Fn() -> u64 + Clone + Send + 'static,
    ) -> Self {
        let load = Self::of(buses, homes, |number, ledger| {
            steady_home((doors.clone(), HomeKey::new(number), ledger), now.clone(), Dice(number.into()))
        });
        load.all_answer(Duration::from_secs(30)).await;
        load
    }

    /// So many homes that live like this, whether connected or not yet.
    pub(crate) fn of<Life>(buses: Vec<Channel>, homes: u8, life: impl Fn(u8, Arc<Ledger>) -> Life) -> Self
    where
        Life: Future<Output = ()> + Send + 'static,
    {
        let bus = Bus::new(buses, BusConfig::default());
        let mut running = JoinSet::new();
        let calling = bus.clone();
        running.spawn(async move { calling.run(Stop::new()).await });
        let ledgers: Vec<Arc<Ledger>> = (0..homes).map(|_| Arc::default()).collect();
        for (number, ledger) in (0..).zip(&ledgers) {
            running.spawn(life(number, ledger.clone()));
        }
        Self { homes: ledgers, bus, asked: AtomicU64::new(0), unknown: Mutex::default(), running }
    }

    /// Ask each home until it answers.
    pub(crate) async fn all_answer(&self, within: Duration) {
        let deadline = Instant::now() + within;
        let homes = (0..self.homes.len() as u8).map(|home| async move {
            loop {
                let number = self.asked.fetch_add(1, Ordering::Relaxed);
                let asked = command(&self.bus, home, number, Duration::from_secs(2));
                if matches!(asked.await, Some(Outcome::Delivered(_))) {
                    break;
                }
                assert!(Instant::now() < deadline, "home {home} never came");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        join_all(homes).await;
    }

    /// Ask those again of which nobody knew what had become: each is executed by now, and once.
    pub(crate) async fn ask_unknown_again(&self, within: Duration) {
        let unknown = std::mem::take(&mut *self.unknown.lock().unwrap());
        let again = unknown.iter().map(|(home, number)| async move {
            let outcome = command(&self.bus, *home, *number, within).await;
            let executions = self.homes[usize::from(*home)].executions(id(*home, *number));
            assert!(matches!(outcome, Some(Outcome::Delivered(_))), "{outcome:?}");
            assert_eq!(executions, 1, "executions of a command that was sent again");
        });
        join_all(again).await;
    }

    /// How many streams to nodes are open.
    pub(crate) fn streams(&self) -> usize {
        self.bus.streams()
    }

    /// Ask the homes in turn, `count` times, so far apart; whatever `Tally` says of each answer has been checked.
    pub(crate) async fn run(&self, count: u64, apart: Duration, within: Duration) -> Tally {
        let mut calls = JoinSet::new();
        for turn in 0..count {
            let number = self.asked.fetch_add(1, Ordering::Relaxed);
            let (bus, home) = (self.bus.clone(), (turn % self.homes.len() as u64) as u8);
            let ledger = self.homes[usize::from(home)].clone();
            calls.spawn(async move {
                let asked = Instant::now();
                let outcome = command(&bus, home, number, within).await;
                (outcome, asked.elapsed(), ledger, home, number)
            });
            tokio::time::sleep(apart).await;
        }
        let mut tally = Tally::default();
        let mut refused = Vec::new();
        while let Some(call) = calls.join_next().await {
            let (outcome, took, ledger, home, number) = call.unwrap();
            let id = id(home, number);
            assert!(took <= within + LATE, "answered after {took:?}");
            tally.slowest = tally.slowest.max(took);
            let executions = ledger.executions(id);
            assert!(executions <= 1, "executed {executions} times");
            match outcome {
                Some(Outcome::Delivered(sealed)) => {
                    assert_eq!((&sealed[..], executions), (&id.as_bytes()[..], 1));
                    tally.delivered += 1;
                }
                Some(Outcome::NotSent(_)) => {
                    tally.not_sent += 1;
                    refused.push((ledger, id));
                }
                Some(Outcome::Unknown(_)) => {
                    tally.unknown += 1;
                    self.unknown.lock().unwrap().push((home, number));
                }
                None => {
                    tally.no_bus += 1;
                    refused.push((ledger, id));
                }
                Some(other) => panic!("{other:?}"),
            }
        }
        // Long after whatever was on its way has arrived.
        tokio::time::sleep(Duration::from_secs(1)).await;
        for (ledger, id) in refused {
            assert_eq!(ledger.executions(id), 0, "said to be not sent, but executed");
        }
        for ledger in &self.homes {
            assert!(ledger.state.lock().unwrap().executions.values().all(|times| *times == 1));
        }
        assert_eq!(u64::from(tally.delivered + tally.not_sent + tally.unknown + tally.no_bus), count);
        tally
    }

    pub(crate) fn stop(mut self) {
        self.running.abort_all();
    }
}

/// The bus gives up a little later than it promises, in case the relay does not answer at its deadline.
const LATE: Duration = Duration::from_millis(250);

fn id(home: u8, number: u64) -> CommandId {
    let mut id = [home; 16];
    id[..8].copy_from_slice(&number.to_le_bytes());
    CommandId::from_bytes(id)
}

async fn command(bus: &Bus, home: u8, number: u64, within: Duration) -> Option<Outcome> {
    let key = HomeKey::new(home);
    let deadline = Instant::now() + within;
    let answer = bus.dispatch(&key.instance, id(home, number), Class::Command, Bytes::from(vec![1; 64]), deadline);
    answer.await.ok().map(|answer| answer.outcome)
}

impl Ledger {
    fn executions(&self, id: CommandId) -> u32 {
        self.state.lock().unwrap().executions.get(&id).copied().unwrap_or(0)
    }

    /// What the home replies, if it does.
    pub(crate) fn execute(&self, id: CommandId, session: u64, now: Millis) -> Option<Bytes> {
        let mut state = self.state.lock().unwrap();
        match state.memory.begin(id, session, now) {
            Verdict::Execute => {
                *state.executions.entry(id).or_default() += 1;
                let reply = Bytes::copy_from_slice(id.as_bytes());
                state.memory.finish(id, reply.clone(), now);
                Some(reply)
            }
            Verdict::Answered(reply) => Some(reply),
            Verdict::InProgress | Verdict::Full => None,
        }
    }
}

async fn steady_home(
    (doors, key, ledger): (Doors, HomeKey, Arc<Ledger>),
    now: impl Fn() -> u64 + Send,
    mut dice: Dice,
) {
    let started = Instant::now();
    for session in 0.. {
        let door = {
            let doors = doors.lock().unwrap();
            doors[dice.below(doors.len() as u64) as usize].clone()
        };
        let Some(home) = dial_in(&*door, &key, now()).await else {
            tokio::time::sleep(dice.millis(300)).await;
            continue;
        };
        let mut home = home;
        match serve(&mut home, &ledger, session, started).await {
            // The old session is kept until the relay ends it.
            Some(reconnect_after) => {
                let ledger = ledger.clone();
                tokio::spawn(async move { while serve(&mut home, &ledger, session, started).await.is_some() {} });
                tokio::time::sleep(reconnect_after).await;
            }
            None => tokio::time::sleep(dice.millis(300)).await,
        }
    }
}

/// Serve until the session ends, or is asked to move after this long.
async fn serve(home: &mut Home, ledger: &Ledger, session: u64, started: Instant) -> Option<Duration> {
    while let Some(frame) = home.next().await {
        match frame {
            FromRelay::Command(command) => {
                let id = command.command_id;
                let now = Millis(started.elapsed().as_millis() as u64);
                let mut frames = vec![FromConnector::Received(id)];
                if let Some(sealed) = ledger.execute(id, session, now) {
                    frames.push(FromConnector::Reply(Reply {
                        command_id: id,
                        sealed,
                        home: Duration::from_micros(1).into(),
                    }));
                }
                frames.push(FromConnector::Credit(1));
                for frame in frames {
                    home.try_send(frame).await?;
                }
            }
            FromRelay::Drain(drain) => return Some(drain.reconnect_after),
            _ => {}
        }
    }
    None
}
