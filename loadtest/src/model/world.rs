//! The world around the machines: time, the network, and mischief.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use macloud_proto::ids::{CommandId, InstanceId};
use macloud_proto::link::command_memory::{CommandMemory, Verdict};
use macloud_proto::link::connector_side::{self, ConnectorEvent, ConnectorSettings, ConnectorSide};
use macloud_proto::link::redial::{Because, Redial, RedialSettings};
use macloud_proto::link::relay_side::{
    Outcome as LinkOutcome, Registration, RelayEvent, RelaySettings, RelaySide, Submission,
};
use macloud_proto::link::{GoodbyeReason, Transmit};
use macloud_proto::random::Random;
use macloud_proto::time::{Micros, Millis};
use macloud_relay::presence::{
    BoxFuture, Claim, Held, LEASE, MemoryPresence, NodeAddress, Notice, Presence, Restored, Unavailable,
};
use macloud_relay::route::{Directory, Heard, Tries, Way};
use macloud_service_kit::clock::{Clock as _, ManualClock};

use super::node::{Answer, Crossed, From, Node, Outcome, Pending};

/// How the commands ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) commands: u64,
    pub(crate) delivered: u64,
    pub(crate) not_sent: u64,
    pub(crate) unknown: u64,
    pub(crate) crossed: u64,
    pub(crate) sent_again: u64,
    pub(crate) helped: u64,
    pub(crate) mischief: u64,
}

impl Tally {
    pub(crate) const fn add(&mut self, other: &Self) {
        self.commands += other.commands;
        self.delivered += other.delivered;
        self.not_sent += other.not_sent;
        self.unknown += other.unknown;
        self.crossed += other.crossed;
        self.sent_again += other.sent_again;
        self.helped += other.helped;
        self.mischief += other.mischief;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { commands, delivered, not_sent, unknown, crossed, sent_again, helped, mischief } = self;
        write!(
            f,
            "{commands} commands under {mischief} accidents: {delivered} delivered, {not_sent} not sent, {unknown} unknown; \
             {crossed} crossed over, {sent_again} sent again, the directory asked {helped} times through another node. One answer each, in time; none executed twice"
        )
    }
}

/// Small and seeded.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    fn micros(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_micros(from + self.below(to - from + 1))
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        self.micros(from * 1000, to * 1000)
    }
}

impl Random for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            *byte = self.next() as u8;
        }
    }
}

#[derive(Debug, Clone)]
enum Wire {
    Binary(Bytes),
    Ping,
    Pong,
    Close,
    Eof,
}

/// One connection between a home and a node.
struct Link {
    home: usize,
    node: usize,
    generation: u64,
    relay: RelaySide<Pending>,
    connector: ConnectorSide,
    /// What arrives when, in order in each direction; `true` is to the home.
    pipes: [VecDeque<(Micros, Wire)>; 2],
    black_hole: bool,
    epoch: u64,
    /// The next time it is looked at, if that is planned.
    tick: Option<Micros>,
    relay_over: bool,
    connector_over: bool,
}

struct Home {
    instance: InstanceId,
    memory: CommandMemory<usize>,
    redial: Redial,
    /// The newest connection, and one that is draining beside it.
    current: Option<usize>,
    draining: Option<usize>,
    dialling: bool,
}

struct Call {
    id: CommandId,
    home: usize,
    deadline: Micros,
    /// What the caller had heard of when it asked.
    least_epoch: u64,
    /// Nodes that were asked, the last one now.
    asked: Vec<usize>,
    answer: Option<Outcome>,
}

#[derive(Debug, Clone)]
enum Event {
    Ask,
    Arrive { call: usize, node: usize, generation: u64 },
    GiveUp { call: usize },
    Look(Box<Pending>),
    Cross { node: usize, generation: u64, number: u64 },
    Late { node: usize, generation: u64, number: u64 },
    Back { to: From, node: usize, generation: u64, call: usize, answer: Answer },
    Gone { node: usize, to: usize, generation: u64 },
    Superseded { by: usize, node: usize, home: usize, epoch: u64 },
    Dial { home: usize },
    Dialled { home: usize, node: usize, generation: u64 },
    Tick { link: usize },
    Claim { link: usize },
    Executed { home: usize, id: CommandId },
    Renew { node: usize, generation: u64 },
    Mischief,
    Start { node: usize },
    Leave { node: usize, generation: u64 },
}

pub(crate) struct World {
    now: Micros,
    random: Seeded,
    plan: BTreeMap<(Micros, u64), Event>,
    planned: u64,
    clock: Arc<ManualClock>,
    presence: MemoryPresence,
    directory_away_until: Micros,
    nodes: Vec<Node>,
    homes: Vec<Home>,
    links: BTreeMap<usize, Link>,
    next_link: usize,
    next_number: u64,
    calls: Vec<Call>,
    open: usize,
    /// Where the caller believes each home to be.
    owners: HashMap<usize, (usize, u64)>,
    executions: HashMap<CommandId, u32>,
    /// The newest session of each home that the directory knows, and since when.
    newest: HashMap<usize, (u64, Micros)>,
    to_ask: u64,
    tally: Tally,
    broken: Option<String>,
}

impl World {
    /// Let so many commands be asked under mischief, and everything come to its end.
    pub(crate) fn run(seed: u64, nodes: usize, homes: usize, commands: u64) -> Result<Tally, String> {
        let mut world = Self::new(seed, nodes, homes, commands);
        while world.broken.is_none() && (world.to_ask > 0 || world.open > 0) {
            let Some(((at, _), event)) = world.plan.pop_first() else { break };
            world.pass_to(at);
            world.happen(event);
        }
        let end = world.now.plus(Duration::from_secs(20));
        while let Some(((at, _), event)) = world.plan.pop_first().filter(|((at, _), _)| *at < end) {
            world.pass_to(at);
            if !matches!(event, Event::Mischief) {
                world.happen(event);
            }
        }
        world.judge()
    }

    fn new(seed: u64, nodes: usize, homes: usize, commands: u64) -> Self {
        let clock = ManualClock::at(1_795_000_000);
        let home = |number: usize| Home {
            instance: InstanceId::from_bytes(&[number as u8; 16]),
            memory: CommandMemory::default(),
            redial: Redial::new(RedialSettings::default()),
            current: None,
            draining: None,
            dialling: false,
        };
        let mut world = Self {
            now: Micros(1_000_000),
            random: Seeded(seed),
            plan: BTreeMap::new(),
            planned: 0,
            presence: MemoryPresence::new(clock.clone()),
            clock,
            directory_away_until: Micros(0),
            nodes: (0..nodes).map(|_| Node::default()).collect(),
            homes: (0..homes).map(home).collect(),
            links: BTreeMap::new(),
            next_link: 0,
            next_number: 0,
            calls: Vec::new(),
            open: 0,
            owners: HashMap::new(),
            executions: HashMap::new(),
            newest: HashMap::new(),
            to_ask: commands,
            tally: Tally::default(),
            broken: None,
        };
        for node in 0..nodes {
            world.start(node);
        }
        for home in 0..homes {
            world.redial(home, Because::Started);
        }
        world.plan(Duration::from_secs(3), Event::Ask);
        world.plan(Duration::from_secs(4), Event::Mischief);
        world
    }

    fn judge(self) -> Result<Tally, String> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        for call in &self.calls {
            let executions = self.executions.get(&call.id).copied().unwrap_or(0);
            match call.answer {
                None => return Err(format!("{} was never answered", call.id)),
                Some(answer) if answer.is_not_sent() && executions > 0 => {
                    return Err(format!("{} was said not to be sent ({answer:?}), and executed", call.id));
                }
                Some(Outcome::Delivered) if executions != 1 => {
                    return Err(format!("{} was answered and executed {executions} times", call.id));
                }
                Some(_) if executions > 1 => return Err(format!("{} was executed {executions} times", call.id)),
                Some(_) => {}
            }
        }
        Ok(self.tally)
    }

    fn pass_to(&mut self, at: Micros) {
        let (before, after) = (self.now.0 / 1000, at.0 / 1000);
        self.clock.advance(Duration::from_millis(after - before));
        self.now = at;
    }

    fn millis(&self) -> Millis {
        Millis(self.now.0 / 1000)
    }

    fn plan(&mut self, after: Duration, event: Event) {
        self.plan_at(self.now.plus(after), event);
    }

    fn plan_at(&mut self, at: Micros, event: Event) {
        self.planned += 1;
        self.plan.insert((at.max(self.now), self.planned), event);
    }

    fn happen(&mut self, event: Event) {
        if let Some(until) = self.frozen_until(&event) {
            return self.plan_at(until, event);
        }
        match event {
            Event::Ask => self.ask(),
            Event::Arrive { call, node, generation } => self.arrive(call, node, generation),
            Event::GiveUp { call } => self.give_up(call),
            Event::Look(pending) => self.look(*pending),
            Event::Cross { node, generation, number } => self.cross(node, generation, number),
            Event::Late { node, generation, number } => self.late(node, generation, number),
            Event::Back { to, node, generation, call, answer } => self.back(to, node, generation, call, answer),
            Event::Gone { node, to, generation } => self.peer_gone(node, to, generation),
            Event::Superseded { by, node, home, epoch } => self.supersede(by, node, home, epoch),
            Event::Dial { home } => self.dial(home),
            Event::Dialled { home, node, generation } => self.dialled(home, node, generation),
            Event::Tick { link } => self.tick(link),
            Event::Claim { link } => self.claim(link),
            Event::Executed { home, id } => self.executed(home, id),
            Event::Renew { node, generation } => self.renew(node, generation),
            Event::Mischief => self.mischief(),
            Event::Start { node } => self.start(node),
            Event::Leave { node, generation } => self.leave(node, generation),
        }
    }

    /// What a process would do that does nothing now.
    fn frozen_until(&self, event: &Event) -> Option<Micros> {
        let node = match event {
            Event::Arrive { node, .. }
            | Event::Cross { node, .. }
            | Event::Late { node, .. }
            | Event::Gone { node, .. }
            | Event::Superseded { node, .. }
            | Event::Dialled { node, .. }
            | Event::Renew { node, .. }
            | Event::Back { to: From::Node { node, .. }, .. } => *node,
            Event::Look(pending) => pending.node,
            Event::Claim { link } => self.links.get(link)?.node,
            _ => return None,
        };
        Some(self.nodes[node].frozen_until).filter(|until| *until > self.now)
    }

    fn is_up(&self, node: usize, generation: u64) -> bool {
        self.nodes[node].alive && self.nodes[node].generation == generation
    }

    // --- the caller, as the skill's bus does it ---------------------------------------------------------------------

    fn ask(&mut self) {
        self.to_ask -= 1;
        if self.to_ask > 0 {
            let apart = self.random.micros(100, 40_000);
            self.plan(apart, Event::Ask);
        }
        let home = self.random.below(self.homes.len() as u64) as usize;
        let deadline = self.now.plus(self.random.millis(300, 6_000));
        let (owner, least_epoch) = self.owners.get(&home).map_or((None, 0), |(node, epoch)| (Some(*node), *epoch));
        let call = self.calls.len();
        let id = CommandId::from_bytes(self.random.bytes());
        self.calls.push(Call { id, home, deadline, least_epoch, asked: Vec::new(), answer: None });
        self.open += 1;
        self.tally.commands += 1;
        self.plan_at(deadline.plus(GRACE), Event::GiveUp { call });
        self.send_to(call, owner);
    }

    /// To the node that is named if it takes calls, or to another that was not asked yet.
    fn send_to(&mut self, call: usize, owner: Option<usize>) -> bool {
        let usable = |node: &usize| {
            let Node { alive, draining, .. } = &self.nodes[*node];
            *alive && !draining && !self.calls[call].asked.contains(node)
        };
        let usable: Vec<usize> = (0..self.nodes.len()).filter(usable).collect();
        if usable.is_empty() {
            if self.calls[call].asked.is_empty() {
                self.answered(call, Answer::of(Outcome::NotSent));
            }
            return false;
        }
        // Not everybody has learnt who the owner is.
        let owner = owner.filter(|owner| usable.contains(owner) && !self.random.one_in(4));
        let node = owner.unwrap_or_else(|| usable[self.random.below(usable.len() as u64) as usize]);
        self.calls[call].asked.push(node);
        let (latency, generation) = (self.random.micros(20, 2_000), self.nodes[node].generation);
        self.plan(latency, Event::Arrive { call, node, generation });
        true
    }

    fn give_up(&mut self, call: usize) {
        // The node has not answered at the deadline: it may have sent it.
        if self.calls[call].answer.is_none() {
            self.settle(call, Outcome::Unknown);
        }
    }

    fn callers_streams_end(&mut self, node: usize) {
        let waiting: Vec<usize> = self
            .calls
            .iter()
            .enumerate()
            .filter(|(_, call)| call.answer.is_none() && call.asked.last() == Some(&node))
            .map(|(number, _)| number)
            .collect();
        for call in waiting {
            self.settle(call, Outcome::UnknownLost);
        }
    }

    fn answered(&mut self, call: usize, answer: Answer) {
        let Call { home, deadline, asked, answer: already, .. } = &self.calls[call];
        let (home, asked) = (*home, asked.last().copied());
        if already.is_some() {
            // It was given up; the caller has forgotten it.
            return;
        }
        match answer.owner {
            Some(node) if self.owners.get(&home).is_none_or(|(_, epoch)| *epoch <= answer.epoch) => {
                self.owners.insert(home, (node, answer.epoch));
            }
            None => drop(self.owners.remove(&home)),
            Some(_) => {}
        }
        let elsewhere = match answer.outcome {
            Outcome::Unlocated => true,
            Outcome::LinkLost => answer.owner.is_some() && answer.owner != asked,
            _ => false,
        };
        if elsewhere && self.now < *deadline && self.send_to(call, answer.owner) {
            return;
        }
        self.settle(call, answer.outcome);
    }

    fn settle(&mut self, call: usize, outcome: Outcome) {
        let late = self.now > self.calls[call].deadline.plus(GRACE);
        if self.calls[call].answer.replace(outcome).is_some() || late {
            self.broken = Some(format!("{} was answered twice, or late", self.calls[call].id));
        }
        self.open -= 1;
        match outcome {
            Outcome::Delivered => self.tally.delivered += 1,
            Outcome::Unknown | Outcome::UnknownLost => self.tally.unknown += 1,
            _ => self.tally.not_sent += 1,
        }
    }

    // --- a call on a node, as `dispatch` and `elsewhere` do it ------------------------------------------------------

    fn arrive(&mut self, call: usize, node: usize, generation: u64) {
        if !self.is_up(node, generation) {
            // Its streams have ended with it.
            return;
        }
        let Call { deadline, least_epoch, .. } = self.calls[call];
        let (tries, from) = (Tries::new(false, least_epoch), From::Caller);
        self.dispatch(Pending { call, tries, node, generation, deadline, from, lost: None });
    }

    fn dispatch(&mut self, pending: Pending) {
        let node = &self.nodes[pending.node];
        let here = node.sessions.get(&self.calls[pending.call].home).copied();
        let may_use = here.is_some_and(|(epoch, _)| pending.tries.may_use(epoch));
        match here {
            Some((epoch, link)) if may_use && node.vouches(self.now) => self.give_to(pending, epoch, link),
            _ if pending.tries.crossed && !may_use => self.without_session(pending, Outcome::NotConnected),
            _ => {
                let latency = self.directory_latency(pending.node);
                self.plan(latency, Event::Look(Box::new(pending)));
            }
        }
    }

    fn directory_latency(&mut self, node: usize) -> Duration {
        let away = self.now < self.directory_away_until.max(self.nodes[node].cut_off_until);
        let slow = away && self.random.one_in(2);
        if slow { Duration::from_millis(750) } else { self.random.micros(100, 3_000) }
    }

    fn look(&mut self, mut pending: Pending) {
        let (node, now) = (pending.node, self.now);
        if !self.is_up(node, pending.generation) {
            return;
        }
        if now >= pending.deadline {
            return self.without_session(pending, Outcome::NotSent);
        }
        let home = self.calls[pending.call].home;
        let instance = self.homes[home].instance.clone();
        let located = if now < self.nodes[node].away_until {
            Err(Unavailable)
        } else {
            self.ask_directory(node, |p| p.locate(&instance))
        };
        let here = self.nodes[node].sessions.get(&home).copied();
        let at = |name: &str| name.parse::<usize>().unwrap_or(usize::MAX);
        let directory = match &located {
            Err(Unavailable) => Directory::Unavailable,
            Ok(None) => Directory::Nowhere,
            Ok(Some(location)) if at(&location.node.node_id) == node => Directory::Here { epoch: location.epoch },
            Ok(Some(location)) => Directory::There { epoch: location.epoch },
        };
        match (pending.tries.way(here.map(|(epoch, _)| epoch), directory), here, located) {
            (Way::Here, Some((epoch, link)), _) => self.give_to(pending, epoch, link),
            (Way::There, _, Ok(Some(location))) => {
                pending.tries.go_to(location.epoch);
                self.begin_crossing(pending, at(&location.node.node_id), location.epoch);
            }
            (Way::Again, ..) => {
                pending.tries.miss();
                let pause = pending.tries.pause().unwrap_or_default() + self.directory_latency(node);
                self.plan(pause, Event::Look(Box::new(pending)));
            }
            (Way::Unlocated, ..) => self.without_session(pending, Outcome::Unlocated),
            (Way::Nowhere | Way::Here | Way::There, ..) => self.without_session(pending, Outcome::NotConnected),
        }
    }

    fn begin_crossing(&mut self, pending: Pending, to: usize, epoch: u64) {
        let Node { alive, generation: to_generation, frozen_until, .. } = self.nodes[to];
        let silent = frozen_until > self.now || self.are_parted(pending.node, to);
        if !alive || (silent && self.random.one_in(2)) {
            let answer = Answer { outcome: Outcome::LinkLost, epoch, owner: Some(to) };
            return self.answer_last_or(pending, answer);
        }
        self.tally.crossed += 1;
        self.next_number += 1;
        let (number, node, generation, deadline) =
            (self.next_number, pending.node, pending.generation, pending.deadline);
        if silent {
            // Keep-alives go unanswered.
            self.plan(Duration::from_secs(3), Event::Gone { node, to, generation: to_generation });
        }
        self.nodes[node].crossed.insert(number, Crossed { pending, to, to_generation, given: false });
        self.plan_at(deadline, Event::Late { node, generation, number });
        let latency = self.random.micros(20, 3_000);
        self.plan(latency, Event::Cross { node, generation, number });
    }

    /// The call leaves its node, and arrives at the other.
    fn cross(&mut self, node: usize, generation: u64, number: u64) {
        if !self.is_up(node, generation) {
            return;
        }
        let Some(crossed) = self.nodes[node].crossed.get_mut(&number) else { return };
        crossed.given = true;
        let Crossed { pending, to, to_generation, .. } = crossed.clone();
        if !self.is_up(to, to_generation) || self.are_parted(node, to) {
            return;
        }
        let tries = Tries::new(true, pending.tries.epoch);
        let from = From::Node { node, generation, number };
        let pending = Pending { tries, node: to, generation: to_generation, from, lost: None, ..pending };
        if self.nodes[to].frozen_until > self.now {
            // It has arrived at a process that will look at it later.
            let until = self.nodes[to].frozen_until;
            return self.plan_at(until, Event::Look(Box::new(pending)));
        }
        self.dispatch(pending);
    }

    fn late(&mut self, node: usize, generation: u64, number: u64) {
        if self.is_up(node, generation)
            && let Some(Crossed { pending, given, .. }) = self.nodes[node].crossed.remove(&number)
        {
            let outcome = if given { Outcome::Unknown } else { Outcome::NotSent };
            self.settle_with(pending, Answer::of(outcome), Heard::Final);
        }
    }

    /// A node learns that its stream to another has ended.
    fn peer_gone(&mut self, node: usize, to: usize, generation: u64) {
        let gone = |crossed: &Crossed| crossed.to == to && crossed.to_generation == generation;
        let numbers: Vec<u64> =
            self.nodes[node].crossed.iter().filter(|(_, crossed)| gone(crossed)).map(|(number, _)| *number).collect();
        for number in numbers {
            let Some(Crossed { pending, given, .. }) = self.nodes[node].crossed.remove(&number) else { continue };
            let outcome = if given { Outcome::UnknownLost } else { Outcome::LinkLost };
            self.settle_with(pending, Answer::of(outcome), Heard::Lost { written: given });
        }
    }

    fn give_to(&mut self, mut pending: Pending, epoch: u64, link: usize) {
        pending.tries.go_to(epoch);
        let known = pending.tries.least_epoch;
        if epoch < known {
            // Right only when the newer one never came to the directory and is gone: that still names this one.
            let instance = self.homes[self.calls[pending.call].home].instance.clone();
            let newest = self.ask_directory(pending.node, |presence| presence.locate(&instance));
            if !matches!(newest, Ok(Some(location)) if location.epoch <= epoch) {
                self.broken = Some(format!("session {epoch} was used for a caller who knew of {known}"));
            }
        }
        self.check_that_it_is_not_stale(&pending, epoch);
        let (call, deadline) = (&self.calls[pending.call], pending.deadline);
        let submission = Submission {
            command_id: call.id,
            counts: true,
            sealed: Bytes::from_static(b"sealed"),
            traceparent: String::new(),
            arrived: self.now,
            deadline,
        };
        let Some(held) = self.links.get_mut(&link) else {
            let answer = Answer { outcome: Outcome::LinkLost, epoch, owner: Some(pending.node) };
            return self.settle_with(pending, answer, Heard::Lost { written: false });
        };
        held.relay.submit(pending, submission, self.now);
        self.obey(link);
    }

    /// Whoever holds a home whose newer session has its place in the directory learns that while its lease lasts, or asks for
    /// each call from then on; unless it can ask nobody.
    fn check_that_it_is_not_stale(&mut self, pending: &Pending, epoch: u64) {
        let home = self.calls[pending.call].home;
        let Some((newest, since)) = self.newest.get(&home).copied() else { return };
        let instance = self.homes[home].instance.clone();
        let still = self.presence.locate(&instance).now_or_never().expect("memory answers at once");
        let holds = matches!(still, Ok(Some(location)) if location.epoch == newest);
        let asks_nobody = self.now < self.nodes[pending.node].away_until;
        if epoch < newest && holds && !asks_nobody && self.now > since.plus(LEASE + TOLD_WITHIN) {
            self.broken = Some(format!("session {epoch} was used long after {newest} had taken its place"));
        }
    }

    fn without_session(&mut self, pending: Pending, outcome: Outcome) {
        self.answer_last_or(pending, Answer::of(outcome));
    }

    fn answer_last_or(&mut self, mut pending: Pending, answer: Answer) {
        let answer = pending.lost.take().unwrap_or(answer);
        self.give(&pending, answer);
    }

    fn settle_with(&mut self, mut pending: Pending, answer: Answer, heard: Heard) {
        let in_time = self.now < pending.deadline;
        if in_time && pending.tries.look_again(heard) && !pending.tries.crossed {
            self.tally.sent_again += u64::from(matches!(heard, Heard::Lost { .. }));
            if matches!(heard, Heard::Lost { .. }) {
                pending.lost = Some(answer);
            }
            return self.dispatch(pending);
        }
        self.give(&pending, answer);
    }

    fn give(&mut self, pending: &Pending, mut answer: Answer) {
        if pending.tries.was_written() && answer.outcome.is_not_sent() {
            answer.outcome = Outcome::UnknownLost;
        }
        let latency = self.random.micros(20, 2_000);
        let Pending { from: to, node, generation, call, .. } = *pending;
        self.plan(latency, Event::Back { to, node, generation, call, answer });
    }

    /// An answer arrives where it was asked for, unless its sender has died on the way.
    fn back(&mut self, to: From, node: usize, generation: u64, call: usize, answer: Answer) {
        if !self.is_up(node, generation) {
            return;
        }
        let from = node;
        match to {
            From::Caller => self.answered(call, answer),
            From::Node { node, generation, number } => {
                if !self.is_up(node, generation) || self.are_parted(node, from) {
                    return;
                }
                let Some(Crossed { pending, .. }) = self.nodes[node].crossed.remove(&number) else { return };
                let heard = match answer.outcome {
                    Outcome::NotConnected | Outcome::Unlocated => Heard::NotHere,
                    Outcome::LinkLost => Heard::Lost { written: false },
                    Outcome::UnknownLost => Heard::Lost { written: true },
                    Outcome::Delivered | Outcome::NotSent | Outcome::Unknown => Heard::Final,
                };
                self.settle_with(pending, answer, heard);
            }
        }
    }

    // --- nodes ------------------------------------------------------------------------------------------------------

    fn start(&mut self, node: usize) {
        self.nodes[node].alive = true;
        self.nodes[node].incomplete = true;
        let generation = self.nodes[node].generation;
        self.plan(Duration::ZERO, Event::Renew { node, generation });
    }

    fn address(node: usize) -> NodeAddress {
        NodeAddress { node_id: node.to_string(), bus: String::new() }
    }

    /// As this node asks it: by itself, or through another that is not cut off from it.
    fn ask_directory<'p, T>(
        &'p mut self,
        node: usize,
        ask: impl FnOnce(&'p MemoryPresence) -> BoxFuture<'p, Result<T, Unavailable>>,
    ) -> Result<T, Unavailable> {
        if self.now < self.directory_away_until {
            return Err(Unavailable);
        }
        if self.now < self.nodes[node].cut_off_until {
            let helps = |other: usize| {
                let Node { alive, frozen_until, cut_off_until, .. } = &self.nodes[other];
                let there = *alive && *frozen_until <= self.now && *cut_off_until <= self.now;
                other != node && there && !self.are_parted(node, other)
            };
            if !(0..self.nodes.len()).any(helps) {
                return Err(Unavailable);
            }
            self.tally.helped += 1;
        }
        ask(&self.presence).now_or_never().expect("memory answers at once")
    }

    fn are_parted(&self, one: usize, other: usize) -> bool {
        self.now < self.nodes[one].alone_until.max(self.nodes[other].alone_until)
    }

    fn renew(&mut self, node: usize, generation: u64) {
        if !self.is_up(node, generation) {
            return;
        }
        let own = Self::address(node);
        let now = self.now;
        let renewed = self.ask_directory(node, |presence| presence.renew_lease(&own)).and_then(|counted| {
            for notice in self.ask_directory(node, |presence| presence.take_notices(&own.node_id))? {
                let home = (0..self.homes.len()).find(|home| self.homes[*home].instance == notice.instance);
                if let Some(home) = home {
                    self.superseded(node, home, notice.epoch);
                }
            }
            let all = std::mem::take(&mut self.nodes[node].incomplete) || !counted;
            self.say_who_is_here(node, all)
        });
        let held = &mut self.nodes[node];
        let again = match renewed {
            Ok(()) => {
                (held.held_until, held.away_until) = (now.plus(LEASE), Micros(0));
                Duration::from_millis(LEASE.as_millis() as u64 / 3)
            }
            Err(Unavailable) => {
                held.incomplete = true;
                held.away_until = now.plus(Duration::from_secs(2));
                Duration::from_millis(500)
            }
        };
        self.plan(again, Event::Renew { node, generation });
    }

    fn say_who_is_here(&mut self, node: usize, all: bool) -> Result<(), Unavailable> {
        let sessions: Vec<_> = self.nodes[node].sessions.iter().map(|(home, session)| (*home, *session)).collect();
        for (home, (epoch, link)) in sessions {
            if !all && !self.random.one_in(180) {
                continue;
            }
            let (instance, node_id) = (self.homes[home].instance.clone(), node.to_string());
            let held = Held { instance: &instance, node_id: &node_id, install_id: [0; 16], epoch };
            let restored = self.ask_directory(node, |presence| presence.restore(held))?;
            if let Restored::Newest { before } = &restored {
                self.is_newest(home, epoch);
                let Some(Ok(before)) = before.as_ref().map(|before| before.node_id.parse()) else { continue };
                let latency = self.random.micros(50, 5_000);
                self.plan(latency, Event::Superseded { by: node, node: before, home, epoch });
            }
            if matches!(restored, Restored::Outdated { .. }) {
                self.nodes[node].sessions.remove(&home);
                let (after, now) = (self.random.millis(0, 2_000), self.now);
                if let Some(link) = self.links.get_mut(&link) {
                    link.relay.drain(after, Duration::from_secs(10), now);
                }
                self.obey(link);
            }
        }
        Ok(())
    }

    /// It has its place in the directory from now on, unless it has had it.
    fn is_newest(&mut self, home: usize, epoch: u64) {
        let now = self.now;
        let newest = self.newest.entry(home).or_insert((epoch, now));
        if newest.0 != epoch {
            *newest = (epoch, now);
        }
    }

    /// One node tells the other; now and then that is lost, and then leaves word for it, again and again.
    fn supersede(&mut self, by: usize, node: usize, home: usize, epoch: u64) {
        let lost = !self.nodes[node].alive || self.are_parted(by, node) || self.random.one_in(4);
        if !lost {
            return self.superseded(node, home, epoch);
        }
        let (instance, node_id) = (self.homes[home].instance.clone(), node.to_string());
        let notice = Notice { instance, epoch, other_installation: false, contested: false };
        let left = self.ask_directory(by, |presence| presence.leave_notice(&node_id, &notice));
        if left.is_err() && self.nodes[by].alive {
            self.plan(Duration::from_secs(1), Event::Superseded { by, node, home, epoch });
        }
    }

    fn superseded(&mut self, node: usize, home: usize, epoch: u64) {
        let held = self.nodes[node].sessions.get(&home).copied();
        if let Some((_, link)) = held.filter(|(older, _)| *older < epoch) {
            self.nodes[node].sessions.remove(&home);
            self.close(link);
        }
    }

    fn close(&mut self, link: usize) {
        let now = self.now;
        if let Some(held) = self.links.get_mut(&link) {
            held.relay.close(GoodbyeReason::Replaced, "a newer session took over", now);
        }
        self.obey(link);
    }

    fn kill(&mut self, node: usize) {
        let dead = self.nodes[node].end();
        let generation = dead.generation;
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            let latency = self.random.micros(50, 5_000);
            self.plan(latency, Event::Gone { node: other, to: node, generation });
        }
        self.callers_streams_end(node);
        let links: Vec<usize> =
            self.links.iter().filter(|(_, l)| l.node == node && l.generation == generation).map(|(n, _)| *n).collect();
        for number in links {
            if let Some(link) = self.links.get_mut(&number) {
                link.relay_over = true;
            }
            self.transmit(number, true, Wire::Eof);
            self.plan_tick(number, self.now);
        }
        let later = self.random.millis(100, 8_000);
        self.plan(later, Event::Start { node });
    }

    // --- homes and their links --------------------------------------------------------------------------------------

    fn redial(&mut self, home: usize, because: Because) {
        if self.homes[home].dialling {
            return;
        }
        let now = self.millis();
        self.homes[home].dialling = true;
        let wait = self.homes[home].redial.wait(because, now, &mut self.random);
        self.plan(wait, Event::Dial { home });
    }

    fn dial(&mut self, home: usize) {
        let node = self.random.below(self.nodes.len() as u64) as usize;
        let (Node { alive, draining, generation, frozen_until, .. }, now) = (&self.nodes[node], self.now);
        if !*alive || *draining || *frozen_until > now {
            self.homes[home].dialling = false;
            return self.redial(home, Because::Failed);
        }
        let (generation, latency) = (*generation, self.random.millis(5, 150));
        self.plan(latency, Event::Dialled { home, node, generation });
    }

    fn dialled(&mut self, home: usize, node: usize, generation: u64) {
        self.homes[home].dialling = false;
        if !self.is_up(node, generation) {
            return self.redial(home, Because::Failed);
        }
        let settings = ConnectorSettings { credit: 1 + self.random.below(8) as u32, ..ConnectorSettings::default() };
        let link = Link {
            home,
            node,
            generation,
            relay: RelaySide::new(RelaySettings::default(), self.now, &mut self.random),
            connector: ConnectorSide::new(settings, self.millis()),
            pipes: Default::default(),
            black_hole: false,
            epoch: 0,
            tick: None,
            relay_over: false,
            connector_over: false,
        };
        let number = self.next_link;
        self.next_link += 1;
        self.links.insert(number, link);
        self.homes[home].current = Some(number);
        self.obey(number);
    }

    fn claim(&mut self, number: usize) {
        let Some(Link { home, node, generation, .. }) = self.links.get(&number) else { return };
        let (home, node, generation) = (*home, *node, *generation);
        if !self.is_up(node, generation) {
            return;
        }
        let above = self.nodes[node].sessions.get(&home).map_or(0, |(epoch, _)| *epoch);
        let (instance, node_id) = (self.homes[home].instance.clone(), node.to_string());
        let claim = Claim { instance: &instance, node_id: &node_id, install_id: [0; 16], above };
        let asked = if self.now < self.nodes[node].away_until {
            Err(Unavailable)
        } else {
            self.ask_directory(node, |presence| presence.claim(claim))
        };
        let (epoch, before) = match asked {
            Ok(claimed) => {
                self.is_newest(home, claimed.epoch);
                (claimed.epoch, claimed.before)
            }
            Err(Unavailable) => {
                self.nodes[node].incomplete = true;
                // The node's own clock, which is not quite the directory's.
                let skew = (node as u64 * 700).saturating_sub(500);
                ((self.clock.unix_millis() + skew).max(above + 1), None)
            }
        };
        if let Some(before) = before.and_then(|before| before.node_id.parse().ok()) {
            let latency = self.random.micros(50, 5_000);
            self.plan(latency, Event::Superseded { by: node, node: before, home, epoch });
        }
        let replaced = match self.nodes[node].sessions.get(&home) {
            Some((newer, _)) if *newer > epoch => return self.close(number),
            _ => self.nodes[node].sessions.insert(home, (epoch, number)),
        };
        let reconnect_window = Duration::from_secs(2);
        let registration = Registration { epoch, reconnect_window, ..Registration::default() };
        let draining = self.nodes[node].draining;
        let (after, now) = (self.random.millis(0, 1_000), self.now);
        if let Some(link) = self.links.get_mut(&number) {
            link.epoch = epoch;
            link.relay.welcome(registration);
            if draining {
                link.relay.drain(after, DRAIN, now);
            }
        }
        self.obey(number);
        if let Some((_, old)) = replaced {
            self.close(old);
        }
    }

    fn executed(&mut self, home: usize, id: CommandId) {
        *self.executions.entry(id).or_default() += 1;
        let reply = Bytes::copy_from_slice(id.as_bytes());
        let now = self.millis();
        if let Some(link) = self.homes[home].memory.finish(id, reply.clone(), now) {
            if let Some(held) = self.links.get_mut(&link) {
                let _ = held.connector.reply(id, reply, Duration::from_millis(1));
            }
            self.obey(link);
        }
    }

    fn plan_tick(&mut self, number: usize, at: Micros) {
        let at = at.max(self.now);
        let Some(link) = self.links.get_mut(&number) else { return };
        if link.tick.is_none_or(|tick| at < tick) {
            link.tick = Some(at);
            self.plan_at(at, Event::Tick { link: number });
        }
    }

    fn tick(&mut self, number: usize) {
        let (now, millis) = (self.now, self.millis());
        let Some(link) = self.links.get_mut(&number) else { return };
        if link.tick.is_some_and(|tick| tick > now) {
            // An earlier one came in between, and planned the next.
            return;
        }
        link.tick = None;
        link.connector.handle_timeout(millis);
        let frozen = self.nodes[link.node].frozen_until > now;
        if !frozen && !link.relay_over {
            link.relay.handle_timeout(now, &mut self.random);
        }
        while self.deliver(number, true) {}
        while !frozen && self.deliver(number, false) {}
        self.obey(number);
        if frozen && let Some(node) = self.links.get(&number).map(|link| link.node) {
            let until = self.nodes[node].frozen_until;
            self.plan_tick(number, until);
        }
    }

    /// Whether something was delivered.
    fn deliver(&mut self, number: usize, to_home: bool) -> bool {
        let (now, millis) = (self.now, self.millis());
        let Some(link) = self.links.get_mut(&number) else { return false };
        let Some((_, wire)) = link.pipes[usize::from(to_home)].pop_front_if(|(at, _)| *at <= now) else { return false };
        if to_home {
            match wire {
                Wire::Binary(bytes) => link.connector.handle_message(bytes, millis),
                Wire::Ping => {
                    link.connector.handle_ping(millis);
                    self.transmit(number, false, Wire::Pong);
                }
                Wire::Pong => link.connector.handle_pong(millis),
                Wire::Close => {
                    link.connector.handle_socket_closed();
                    self.transmit(number, false, Wire::Eof);
                }
                Wire::Eof => link.connector.handle_socket_closed(),
            }
        } else if !link.relay_over {
            match wire {
                Wire::Binary(bytes) => link.relay.handle_message(bytes, now),
                Wire::Ping => {
                    link.relay.handle_ping_or_pong(now);
                    self.transmit(number, true, Wire::Pong);
                }
                Wire::Pong => link.relay.handle_ping_or_pong(now),
                Wire::Close => {
                    link.relay.handle_socket_closed();
                    self.transmit(number, true, Wire::Eof);
                }
                Wire::Eof => link.relay.handle_socket_closed(),
            }
        }
        true
    }

    fn transmit(&mut self, number: usize, to_home: bool, wire: Wire) {
        let latency =
            if self.random.one_in(60) { self.random.millis(0, 2_500) } else { self.random.micros(200, 30_000) };
        let at = self.now.plus(latency);
        let Some(link) = self.links.get_mut(&number).filter(|link| !link.black_hole) else { return };
        let pipe = &mut link.pipes[usize::from(to_home)];
        let at = pipe.back().map_or(at, |(last, _)| at.max(*last));
        pipe.push_back((at, wire));
        self.plan_tick(number, at);
    }

    /// Do what the machines of a link say until they say nothing more.
    fn obey(&mut self, number: usize) {
        let (now, millis) = (self.now, self.millis());
        loop {
            let Some(link) = self.links.get_mut(&number) else { return };
            let frozen = self.nodes[link.node].frozen_until > now;
            let mut from_relay = Vec::new();
            let mut from_home = Vec::new();
            let mut out = Vec::new();
            if !frozen && !link.relay_over {
                from_relay.extend(std::iter::from_fn(|| link.relay.poll_event()));
                out.extend(std::iter::from_fn(|| link.relay.poll_transmit(now)).map(|wire| (true, wire)));
                link.relay.handle_flushed();
                // What those frames caused.
                from_relay.extend(std::iter::from_fn(|| link.relay.poll_event()));
            }
            if !link.connector_over {
                from_home.extend(std::iter::from_fn(|| link.connector.poll_event()));
                out.extend(std::iter::from_fn(|| link.connector.poll_transmit(millis)).map(|wire| (false, wire)));
                link.connector.handle_flushed();
            }
            if from_relay.is_empty() && from_home.is_empty() && out.is_empty() {
                break;
            }
            for (to_home, transmit) in out {
                let wire = to_wire(transmit);
                // A reply that arrives twice.
                if !to_home && self.random.one_in(40) {
                    self.transmit(number, to_home, wire.clone());
                }
                self.transmit(number, to_home, wire);
            }
            // The machine keeps what was sent in a map, whose order is nobody's business.
            from_relay.sort_by_key(|event| match event {
                RelayEvent::Answered { token, .. } => (1, token.call),
                RelayEvent::Ended(_) => (2, 0),
                _ => (0, 0),
            });
            if from_relay.iter().any(|event| matches!(event, RelayEvent::Answered { .. })) {
                self.leave_early(number);
            }
            for event in from_relay {
                self.relay_says(number, event);
            }
            for event in from_home {
                self.home_says(number, event);
            }
        }
        let Some(link) = self.links.get(&number) else { return };
        if link.relay_over && link.connector_over {
            self.links.remove(&number);
            return;
        }
        let relay = link.relay.poll_timeout().filter(|_| !link.relay_over);
        let home = link.connector.poll_timeout().filter(|_| !link.connector_over).map(|at| Micros(at.0 * 1000));
        if let Some(at) = relay.into_iter().chain(home).min() {
            // Machines may ask for a time that is over, and those of homes count milliseconds.
            self.plan_tick(number, at.max(now.plus(SHORTEST_TICK)));
        }
    }

    fn leave_early(&mut self, number: usize) {
        let Some(link) = self.links.get(&number) else { return };
        let (node, home) = (link.node, link.home);
        if !link.relay.is_open() && self.nodes[node].sessions.get(&home).is_some_and(|(_, held)| *held == number) {
            self.nodes[node].sessions.remove(&home);
        }
    }

    fn relay_says(&mut self, number: usize, event: RelayEvent<Pending>) {
        match event {
            RelayEvent::Hello(_) => {
                let Some(node) = self.links.get(&number).map(|link| link.node) else { return };
                let latency = self.directory_latency(node);
                self.plan(latency, Event::Claim { link: number });
            }
            RelayEvent::Answered { token, outcome, .. } => {
                let heard = Heard::from_session(&outcome);
                let outcome = match (outcome, heard) {
                    (LinkOutcome::Delivered(_) | LinkOutcome::PreKey(_), _) => Outcome::Delivered,
                    (LinkOutcome::NotSent(_), Heard::Lost { .. }) => Outcome::LinkLost,
                    (LinkOutcome::NotSent(_), _) => Outcome::NotSent,
                    (LinkOutcome::Unknown(_), Heard::Lost { .. }) => Outcome::UnknownLost,
                    (LinkOutcome::Unknown(_), _) => Outcome::Unknown,
                };
                let answer = Answer { outcome, epoch: token.tries.epoch, owner: Some(token.node) };
                self.settle_with(token, answer, heard);
            }
            RelayEvent::HomeEvent(_) | RelayEvent::Dropped(_) => {}
            RelayEvent::Ended(_) => {
                self.leave_early(number);
                let Some(link) = self.links.get_mut(&number) else { return };
                link.relay_over = true;
                let (epoch, home, node) = (link.epoch, link.home, link.node);
                let instance = self.homes[home].instance.clone();
                if epoch > 0 {
                    let _ = self.ask_directory(node, |presence| presence.release(&instance, epoch));
                }
                self.transmit(number, true, Wire::Eof);
            }
        }
    }

    fn home_says(&mut self, number: usize, event: ConnectorEvent) {
        let (now, Some(home)) = (self.millis(), self.links.get(&number).map(|link| link.home)) else { return };
        match event {
            ConnectorEvent::Welcomed(welcome) => {
                self.homes[home].redial.welcomed(welcome.reconnect_window, now);
                if let Some(old) = self.homes[home].draining.take().filter(|old| *old != number) {
                    if let Some(link) = self.links.get_mut(&old) {
                        link.connector.retire(now.plus(Duration::from_secs(5)), now);
                    }
                    self.obey(old);
                }
            }
            ConnectorEvent::Proven => self.homes[home].redial.proven(),
            ConnectorEvent::Command(command) => self.take_command(home, number, command.command_id),
            ConnectorEvent::Draining(drain) => {
                if self.homes[home].current == Some(number) {
                    self.homes[home].draining = self.homes[home].current.take();
                    self.redial(home, Because::Drained(drain.reconnect_after));
                }
            }
            ConnectorEvent::Cancelled(_)
            | ConnectorEvent::Standing(_)
            | ConnectorEvent::PreKeyRequested(_)
            | ConnectorEvent::EventTaken(_) => {}
            ConnectorEvent::Ended(ended) => {
                if let Some(link) = self.links.get_mut(&number) {
                    link.connector_over = true;
                }
                self.transmit(number, false, Wire::Eof);
                self.homes[home].draining.take_if(|draining| *draining == number);
                if self.homes[home].current.take_if(|current| *current == number).is_some() {
                    self.redial(
                        home,
                        match ended {
                            connector_side::Ended::There(goodbye) => Because::Goodbye(goodbye.reason),
                            _ => Because::Lost,
                        },
                    );
                }
            }
        }
    }

    fn take_command(&mut self, home: usize, number: usize, id: CommandId) {
        let now = self.millis();
        match self.homes[home].memory.begin(id, number, now) {
            Verdict::Execute => {
                let takes =
                    if self.random.one_in(20) { self.random.millis(0, 3_000) } else { self.random.millis(0, 40) };
                self.plan(takes, Event::Executed { home, id });
            }
            verdict => {
                let Some(link) = self.links.get_mut(&number) else { return };
                match verdict {
                    Verdict::Answered(reply) => drop(link.connector.reply(id, reply, Duration::ZERO)),
                    _ => link.connector.release(id),
                }
            }
        }
    }

    // --- mischief ---------------------------------------------------------------------------------------------------

    fn mischief(&mut self) {
        let next = self.random.millis(50, 3_000);
        self.plan(next, Event::Mischief);
        self.tally.mischief += 1;
        let node = self.random.below(self.nodes.len() as u64) as usize;
        let numbers: Vec<usize> = self.links.keys().copied().collect();
        let link = (!numbers.is_empty()).then(|| numbers[self.random.below(numbers.len() as u64) as usize]);
        match (self.random.below(12), link) {
            (0, _) if self.nodes[node].alive => self.kill(node),
            (1, _) if self.nodes[node].alive => {
                let until = self.now.plus(self.random.millis(10, 20_000));
                self.nodes[node].frozen_until = until;
                let generation = self.nodes[node].generation;
                for other in (0..self.nodes.len()).filter(|other| *other != node) {
                    self.plan(Duration::from_secs(3), Event::Gone { node: other, to: node, generation });
                }
            }
            (2, _) => self.directory_away_until = self.now.plus(self.random.millis(10, 15_000)),
            (10, _) => self.nodes[node].cut_off_until = self.now.plus(self.random.millis(10, 30_000)),
            (11, _) if self.nodes[node].alive => self.leave_alone(node),
            (3, _) if self.nodes[node].alive => self.drain(node),
            (4 | 5, Some(number)) => {
                if let Some(link) = self.links.get_mut(&number) {
                    link.black_hole = true;
                }
            }
            (6 | 7, Some(number)) => {
                if let Some(link) = self.links.get_mut(&number) {
                    link.relay.handle_socket_closed();
                    link.connector.handle_socket_closed();
                }
                self.obey(number);
            }
            (8, Some(number)) => {
                let now = self.millis();
                if let Some(link) = self.links.get_mut(&number) {
                    link.connector.close(GoodbyeReason::Shutdown, "restart", now);
                }
                self.obey(number);
            }
            (_, _) => {
                // Dialling in anew while the old connection is still there.
                let home = self.random.below(self.homes.len() as u64) as usize;
                if !self.homes[home].dialling && self.homes[home].draining.is_none() {
                    self.homes[home].draining = self.homes[home].current.take();
                    self.redial(home, Because::Drained(Duration::ZERO));
                }
            }
        }
    }

    /// Callers and homes reach it, and nobody else.
    fn leave_alone(&mut self, node: usize) {
        let until = self.now.plus(self.random.millis(10, 20_000));
        (self.nodes[node].cut_off_until, self.nodes[node].alone_until) = (until, until);
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            for (one, to) in [(other, node), (node, other)] {
                let generation = self.nodes[to].generation;
                self.plan(Duration::from_secs(3), Event::Gone { node: one, to, generation });
            }
        }
    }

    fn drain(&mut self, node: usize) {
        self.nodes[node].draining = true;
        let sessions: Vec<usize> = self.nodes[node].sessions.values().map(|(_, link)| *link).collect();
        for number in sessions {
            let (after, now) = (self.random.millis(0, 1_000), self.now);
            if let Some(link) = self.links.get_mut(&number) {
                link.relay.drain(after, DRAIN, now);
            }
            self.obey(number);
        }
        let generation = self.nodes[node].generation;
        self.plan(Duration::from_secs(1), Event::Leave { node, generation });
    }

    /// A draining node ends when nobody waits for it any more.
    fn leave(&mut self, node: usize, generation: u64) {
        if !self.is_up(node, generation) {
            return;
        }
        let asked = |call: &Call| call.answer.is_none() && call.asked.last() == Some(&node);
        if self.nodes[node].sessions.is_empty() && !self.calls.iter().any(asked) {
            let own = Self::address(node);
            let _ = self.ask_directory(node, |presence| presence.end_lease(&own));
            return self.kill(node);
        }
        self.plan(Duration::from_millis(50), Event::Leave { node, generation });
    }
}

fn to_wire(transmit: Transmit) -> Wire {
    match transmit {
        Transmit::Binary(bytes) => Wire::Binary(bytes),
        Transmit::Ping => Wire::Ping,
        Transmit::Close(_) => Wire::Close,
    }
}

/// For the way back; beyond it a caller takes the answer for lost.
const GRACE: Duration = Duration::from_millis(150);
/// Until a word is left for who cannot be told, and then until it is read.
const TOLD_WITHIN: Duration = Duration::from_secs(5);
const SHORTEST_TICK: Duration = Duration::from_millis(1);
const DRAIN: Duration = Duration::from_secs(5);
