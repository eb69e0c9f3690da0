//! The world around the machines: time, the network, and mischief.

mod homes;
mod mischief;
mod nodes;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use macloud_proto::ids::{CommandId, InstanceId};
use macloud_proto::link::Transmit;
use macloud_proto::link::command_memory::CommandMemory;
use macloud_proto::link::connector_side::ConnectorSide;
use macloud_proto::link::redial::{Because, Redial, RedialSettings};
use macloud_proto::link::relay_side::{RelaySide, Submission};
use macloud_proto::random::Random;
use macloud_proto::time::{Micros, Millis};
use macloud_relay::presence::{LEASE, MemoryPresence, Presence, Unavailable, Whereabouts};
use macloud_relay::route::{Directory, Heard, Tries, Way};
use macloud_service_kit::clock::ManualClock;

use super::node::{Answer, Crossed, From, Node, Outcome, Pending};
use super::rule::Rule;

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
    /// When the node knows that it has been replaced, at the latest.
    let_go_by: Option<Micros>,
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
    /// How many of them have answered.
    heard: usize,
    answer: Option<Outcome>,
    executions: u32,
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
    /// Which call each command is of.
    commands: HashMap<CommandId, usize>,
    /// The newest session of each home that the directory knows, and since when.
    newest: HashMap<usize, (u64, Micros)>,
    to_ask: u64,
    tally: Tally,
    without: Option<Rule>,
    broken: Option<String>,
}

impl World {
    /// Let so many commands be asked under mischief, and everything come to its end. One rule may be broken on purpose.
    pub(crate) fn run(
        seed: u64,
        nodes: usize,
        homes: usize,
        commands: u64,
        without: Option<Rule>,
    ) -> Result<Tally, String> {
        let mut world = Self { without, ..Self::new(seed, nodes, homes, commands) };
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
            commands: HashMap::new(),
            newest: HashMap::new(),
            to_ask: commands,
            tally: Tally::default(),
            without: None,
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
            let executions = call.executions;
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

    fn breaks(&self, rule: Rule) -> bool {
        self.without == Some(rule)
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
            // Who wakes up does not renew its lease before all else.
            let asks = if matches!(event, Event::Renew { .. }) { self.random.millis(0, 50) } else { Duration::ZERO };
            return self.plan_at(until.plus(asks), event);
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
        // One of several processes, which may not have spoken with this home yet.
        let known = self.owners.get(&home).copied().filter(|_| !self.random.one_in(4));
        let (owner, least_epoch) = known.map_or((None, 0), |(node, epoch)| (Some(node), epoch));
        let call = self.calls.len();
        let id = CommandId::from_bytes(self.random.bytes());
        self.commands.insert(id, call);
        let (asked, heard, answer, executions) = (Vec::new(), 0, None, 0);
        self.calls.push(Call { id, home, deadline, least_epoch, asked, heard, answer, executions });
        self.open += 1;
        self.tally.commands += 1;
        let grace = if self.breaks(Rule::CallersGiveUp) { GRACE * 2 } else { GRACE };
        self.plan_at(deadline.plus(grace), Event::GiveUp { call });
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
                self.settle(call, Outcome::NotSent);
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
        let Call { id, home, deadline, asked, heard, answer: already, .. } = &mut self.calls[call];
        *heard += 1;
        if *heard > asked.len() {
            self.broken = Some(format!("{id} was answered twice by one node"));
        }
        if already.is_some() {
            // It was given up; the caller has forgotten it.
            return;
        }
        let (home, deadline, asked) = (*home, *deadline, asked.last().copied());
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
        if elsewhere && self.now < deadline && self.send_to(call, answer.owner) {
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
        let Call { id, deadline, least_epoch, .. } = self.calls[call];
        let heard_of = if self.breaks(Rule::CallersAreHeard) { 0 } else { least_epoch };
        let (tries, from) = (Tries::new(false, heard_of), From::Caller);
        self.dispatch(Pending { call, id, tries, node, generation, deadline, from, lost: None });
    }

    fn dispatch(&mut self, pending: Pending) {
        let node = &self.nodes[pending.node];
        let here = node.sessions.get(&self.calls[pending.call].home).copied();
        let may_use = here.is_some_and(|(epoch, _)| pending.tries.may_use(epoch));
        match here {
            Some((epoch, link)) if may_use && (node.vouches(self.now) || self.breaks(Rule::LeasesEnd)) => {
                self.give_to(pending, epoch, link);
            }
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
        if matches!(located, Ok(Whereabouts::Away(_))) {
            self.check_that_none_is_lost(home);
        }
        let here = self.nodes[node].sessions.get(&home).copied();
        let at = |name: &str| name.parse::<usize>().unwrap_or(usize::MAX);
        let directory = match &located {
            Err(Unavailable) => Directory::Unavailable,
            Ok(Whereabouts::Away(_)) => Directory::Nowhere,
            Ok(Whereabouts::At(location)) if at(&location.node.node_id) == node => {
                Directory::Here { epoch: location.epoch }
            }
            Ok(Whereabouts::At(location)) => Directory::There { epoch: location.epoch },
        };
        match (pending.tries.way(here.map(|(epoch, _)| epoch), directory), here, located) {
            (Way::Here, Some((epoch, link)), _) => self.give_to(pending, epoch, link),
            (Way::There, _, Ok(Whereabouts::At(location))) => {
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
            && let Some(Crossed { pending, given, .. }) = self.take_crossed(node, number)
        {
            let outcome = if given { Outcome::Unknown } else { Outcome::NotSent };
            self.settle_with(pending, Answer::of(outcome), Heard::Final);
        }
    }

    /// The call that has crossed over, which is about to be answered.
    fn take_crossed(&mut self, node: usize, number: u64) -> Option<Crossed> {
        let kept = if self.breaks(Rule::AnswersOnce) { self.nodes[node].crossed.get(&number).cloned() } else { None };
        let taken = kept.or_else(|| self.nodes[node].crossed.remove(&number))?;
        let given = taken.given && !self.breaks(Rule::LeftIsRemembered);
        Some(Crossed { given, ..taken })
    }

    /// A node learns that its stream to another has ended.
    fn peer_gone(&mut self, node: usize, to: usize, generation: u64) {
        let gone = |crossed: &Crossed| crossed.to == to && crossed.to_generation == generation;
        let numbers: Vec<u64> =
            self.nodes[node].crossed.iter().filter(|(_, crossed)| gone(crossed)).map(|(number, _)| *number).collect();
        for number in numbers {
            let Some(Crossed { pending, given, .. }) = self.take_crossed(node, number) else { continue };
            let outcome = if given { Outcome::UnknownLost } else { Outcome::LinkLost };
            self.settle_with(pending, Answer::of(outcome), Heard::Lost { written: given });
        }
    }

    fn give_to(&mut self, mut pending: Pending, epoch: u64, link: usize) {
        pending.tries.go_to(epoch);
        let known = match pending.from {
            From::Caller => self.calls[pending.call].least_epoch,
            From::Node { .. } => pending.tries.least_epoch,
        };
        if epoch < known {
            // Right only when the newer one never came to the directory and is gone: that still names this one.
            let instance = self.homes[self.calls[pending.call].home].instance.clone();
            let newest = self.ask_directory(pending.node, |presence| presence.locate(&instance));
            if !matches!(newest, Ok(Whereabouts::At(location)) if location.epoch <= epoch) {
                self.broken = Some(format!("session {epoch} was used for a caller who knew of {known}"));
            }
        }
        self.check_that_it_is_not_stale(&pending, epoch, link);
        let (command_id, deadline) = (pending.id, pending.deadline);
        let submission = Submission {
            command_id,
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
    fn check_that_it_is_not_stale(&mut self, pending: &Pending, epoch: u64, link: usize) {
        let home = self.calls[pending.call].home;
        let instance = self.homes[home].instance.clone();
        let still = self.presence.locate(&instance).now_or_never().expect("memory answers at once");
        let newer =
            still.ok().and_then(Whereabouts::location).map(|location| location.epoch).filter(|newer| epoch < *newer);
        let asks_nobody = self.now < self.nodes[pending.node].away_until;
        let Some(newer) = newer.filter(|_| !asks_nobody) else { return };
        if self.links.get(&link).and_then(|link| link.let_go_by).is_some_and(|by| by < self.now) {
            self.broken = Some(format!("session {epoch} was used by a node that had heard of {newer}"));
        }
        let since = self.newest.get(&home).filter(|(newest, _)| *newest == newer).map(|(_, since)| *since);
        if since.is_some_and(|since| self.now > since.plus(LEASE + TOLD_WITHIN)) {
            self.broken = Some(format!("session {epoch} was used long after {newer} had taken its place"));
        }
    }

    /// For as long as the newest session stands, at a node whose lease counts, the directory knows it.
    fn check_that_none_is_lost(&mut self, home: usize) {
        if let Some((newest, _)) = self.newest.get(&home).copied()
            && self.stands(home, newest)
        {
            self.broken = Some(format!("the directory has lost session {newest}, which stands"));
        }
    }

    /// Whether this session is open, at a process that is there and whose lease counts in the directory, too.
    fn stands(&self, home: usize, epoch: u64) -> bool {
        let open = |link: &&Link| link.home == home && link.epoch == epoch && !link.relay_over && link.relay.is_open();
        self.links.values().find(open).is_some_and(|link| {
            let held_until = self.nodes[link.node].held_until;
            // The directory counts whole milliseconds.
            self.is_up(link.node, link.generation) && self.now.plus(SHORTEST_TICK) < held_until
        })
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
            if self.breaks(Rule::IdsStay) {
                pending.id = CommandId::from_bytes(self.random.bytes());
                self.commands.insert(pending.id, pending.call);
            }
            return self.dispatch(pending);
        }
        self.give(&pending, answer);
    }

    fn give(&mut self, pending: &Pending, mut answer: Answer) {
        if pending.tries.was_written() && answer.outcome.is_not_sent() && !self.breaks(Rule::WrittenIsRemembered) {
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
                let Some(Crossed { pending, .. }) = self.take_crossed(node, number) else { return };
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
