//! Homes that come, go, hang and are replaced while commands keep coming: the whole relay, in virtual time.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use macloud_proto::bus::v1::{Call, Dispatch, ToRelay, answer, call, from_relay, to_relay};
use macloud_proto::ids::CommandId;
use macloud_proto::link::command_memory::{CommandMemory, Verdict};
use macloud_proto::link::frame::{FromConnector, FromRelay, Reply};
use macloud_proto::time::Millis;
use tokio::time::Instant;

use crate::cloud::{Cloud, HomeKey, dispatch};

/// What all sockets of one home share, as in a real connector.
#[derive(Default)]
struct Memory {
    commands: CommandMemory<u64>,
    executions: HashMap<CommandId, u32>,
}

/// Small and seeded.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// One socket after the other, each ended in another way.
async fn unsteady_home(cloud: Arc<Cloud>, key: HomeKey, memory: Arc<Mutex<Memory>>, mut dice: Dice) {
    let started = Instant::now();
    let mut left_hanging = Vec::new();
    for session in 0.. {
        let mut home = cloud.home_with(&key, 1 + dice.below(16) as u32).await;
        let ends_at = Instant::now() + Duration::from_millis(50 + dice.below(5_000));
        loop {
            let Ok(frame) = tokio::time::timeout_at(ends_at, home.next()).await else { break };
            let Some(FromRelay::Command(command)) = frame else {
                if frame.is_none() {
                    break;
                }
                continue;
            };
            let id = command.command_id;
            home.received(id).await;
            let now = Millis(started.elapsed().as_millis() as u64);
            let verdict = memory.lock().unwrap().commands.begin(id, session, now);
            let sealed = match verdict {
                Verdict::Execute => {
                    let mut memory = memory.lock().unwrap();
                    *memory.executions.entry(id).or_default() += 1;
                    let reply = Bytes::copy_from_slice(id.as_bytes());
                    memory.commands.finish(id, reply.clone(), now);
                    reply
                }
                Verdict::Answered(reply) => reply,
                Verdict::InProgress | Verdict::Full => continue,
            };
            // Sometimes executed and never answered.
            if dice.below(10) > 0 {
                home.send(FromConnector::Reply(Reply {
                    command_id: id,
                    sealed,
                    home: Duration::from_micros(1).into(),
                }))
                .await;
            }
            home.send(FromConnector::Credit(1)).await;
        }
        match dice.below(4) {
            0 => drop(home),
            1 => left_hanging.push(home),
            // The next session is up before this one ends.
            2 => drop(tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(500)).await;
                drop(home);
            })),
            _ => {
                drop(home);
                tokio::time::sleep(Duration::from_millis(dice.below(1_000))).await;
            }
        }
    }
}

/// Which home each call was for, its command, and when it has to be answered.
type Asked = Arc<Mutex<HashMap<u64, (u8, CommandId, Instant)>>>;

async fn ask(stream: tokio::sync::mpsc::UnboundedSender<ToRelay>, calls: u64, asked: Asked) {
    let mut dice = Dice(99);
    for correlation in 0..calls {
        let home = dice.below(6) as u8;
        let remaining = Duration::from_millis(100 + dice.below(6_000));
        let mut id = [home; 16];
        id[..8].copy_from_slice(&correlation.to_le_bytes());
        let body = Dispatch { command_id: id.to_vec().into(), sealed: Bytes::new(), class: 0 };
        let body = Some(call::Body::Dispatch(body));
        let call = Call { correlation, body, ..dispatch(&HomeKey::new(home), 0, remaining) };
        asked.lock().unwrap().insert(correlation, (home, CommandId::from_bytes(id), Instant::now() + remaining));
        stream.send(ToRelay { body: Some(to_relay::Body::Call(call)) }).unwrap();
        tokio::time::sleep(Duration::from_millis(dice.below(20))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_homes_do_each_call_has_one_answer_in_time_and_nothing_runs_twice() {
    let cloud = Arc::new(Cloud::start_with(|config| config.bus_credit = 5_000).await);
    let memories: Vec<Arc<Mutex<Memory>>> = (0..6).map(|_| Arc::default()).collect();
    for (number, memory) in memories.iter().enumerate() {
        let home = unsteady_home(cloud.clone(), HomeKey::new(number as u8), memory.clone(), Dice(number as u64));
        tokio::spawn(home);
    }
    let (mut stream, _) = cloud.stream().await;
    let calls = 4_000u64;
    let asked = Asked::default();
    // Beside the reading, so that homes come and go by the same time.
    tokio::spawn(ask(stream.calls.clone(), calls, asked.clone()));
    let mut answered: HashSet<u64> = HashSet::new();
    let (mut delivered, mut unknown, mut not_sent) = (0, 0, 0);
    while (answered.len() as u64) < calls {
        let message = stream.next().await;
        let Some(from_relay::Body::Answer(answer)) = message else { panic!("{message:?}") };
        let correlation = answer.correlation;
        assert!(answered.insert(correlation), "answered twice");
        let (home, id, deadline) = asked.lock().unwrap()[&correlation];
        assert!(Instant::now() <= deadline, "answered too late");
        let executions = memories[usize::from(home)].lock().unwrap().executions.get(&id).copied().unwrap_or(0);
        assert!(executions <= 1, "executed {executions} times");
        match answer.outcome.unwrap() {
            answer::Outcome::Delivered(reply) => {
                assert_eq!(reply.sealed[..], id.as_bytes()[..]);
                delivered += 1;
            }
            answer::Outcome::NotSent(_) => {
                assert_eq!(executions, 0, "said to be not sent, but executed");
                not_sent += 1;
            }
            answer::Outcome::Unknown(_) => unknown += 1,
            answer::Outcome::PreKey(_) => panic!("nobody asked for one"),
        }
    }
    assert!(delivered > 1_000 && unknown > 50 && not_sent > 50, "{delivered} {unknown} {not_sent}");
    for memory in memories {
        assert!(memory.lock().unwrap().executions.values().all(|times| *times == 1));
    }
}
