//! A home, a relay and a bad network in virtual time. Everything follows from one seed.
//!
//! The relay here does what the real one's router does: the newest session wins, and a command that an ended session
//! did not answer is sent once more, under the same id, to the session that replaced it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use macloud_proto::ids::CommandId;
use macloud_proto::link::command_memory::{CommandMemory, Verdict};
use macloud_proto::link::connector_side::{self, ConnectorEvent, ConnectorSettings, ConnectorSide};
use macloud_proto::link::event_outbox::EventOutbox;
use macloud_proto::link::frame::Event;
use macloud_proto::link::redial::{Because, Redial, RedialSettings};
use macloud_proto::link::relay_side::{
    self, NotSent, Outcome, Registration, RelayEvent, RelaySettings, RelaySide, Submission, Unknown,
};
use macloud_proto::link::{GoodbyeReason, Transmit};
use macloud_proto::random::Random;
use macloud_proto::time::{Micros, Millis};

/// Small and seeded; its quality is enough to spread a test.
#[derive(Debug, Clone)]
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn micros(&mut self, from_ms: u64, to_ms: u64) -> Duration {
        Duration::from_micros(from_ms * 1000 + self.below((to_ms - from_ms) * 1000 + 1))
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

/// One direction of one connection: in order, late, and possibly silent for good.
#[derive(Debug, Default)]
struct Pipe {
    in_flight: VecDeque<(Micros, Wire)>,
    last_arrival: Micros,
}

struct Link {
    relay: RelaySide<Attempt>,
    home: ConnectorSide,
    down: Pipe,
    up: Pipe,
    epoch: u64,
    /// Everything is swallowed, both ways, without anybody being told.
    black_hole: bool,
    stalled_until: Micros,
    replaces: Option<usize>,
}

/// One try of a call.
#[derive(Debug, Clone)]
struct Attempt {
    call: usize,
    submission: Submission,
    written_before: bool,
    epoch: u64,
}

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: CommandId,
    pub(crate) deadline: Micros,
    pub(crate) answers: Vec<(Micros, Outcome)>,
}

#[derive(Debug, Clone, Copy)]
enum Planned {
    Dial { replaces: Option<usize> },
    Executed { id: CommandId },
    Call,
    Event,
    Mischief,
}

pub(crate) struct World {
    pub(crate) now: Micros,
    pub(crate) random: Seeded,
    pub(crate) calls: Vec<Call>,
    pub(crate) executions: HashMap<CommandId, u32>,
    pub(crate) mischief: bool,
    pub(crate) sessions: u64,
    pub(crate) relay_ends: Vec<relay_side::Ended>,
    /// What the home has told, by key and id, in order.
    pub(crate) told: Vec<(u8, [u8; 16])>,
    /// What the cloud has taken, in order, and more than once.
    pub(crate) taken: Vec<[u8; 16]>,
    pub(crate) outbox: EventOutbox,
    links: Vec<Link>,
    current: Option<usize>,
    memory: CommandMemory<usize>,
    redial: Redial,
    dial_planned: bool,
    plan: BTreeMap<(Micros, u64), Planned>,
    planned: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut world = Self {
            now: Micros(1_000_000),
            random: Seeded(seed),
            calls: Vec::new(),
            executions: HashMap::new(),
            mischief: true,
            sessions: 0,
            relay_ends: Vec::new(),
            told: Vec::new(),
            taken: Vec::new(),
            outbox: EventOutbox::default(),
            links: Vec::new(),
            current: None,
            memory: CommandMemory::default(),
            redial: Redial::new(RedialSettings::default()),
            dial_planned: false,
            plan: BTreeMap::new(),
            planned: 0,
        };
        world.redial_because(Because::Started, None);
        world
    }

    pub(crate) fn plan_calls(&mut self, count: usize, within: Duration) {
        for _ in 0..count {
            let at = self.random.micros(0, within.as_millis() as u64);
            self.plan(at, Planned::Call);
        }
    }

    pub(crate) fn plan_events(&mut self, count: usize, within: Duration) {
        for _ in 0..count {
            let at = self.random.micros(0, within.as_millis() as u64);
            self.plan(at, Planned::Event);
        }
    }

    pub(crate) fn plan_mischief(&mut self, count: usize, within: Duration) {
        for _ in 0..count {
            let at = self.random.micros(0, within.as_millis() as u64);
            self.plan(at, Planned::Mischief);
        }
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now.plus(time);
        while let Some(next) = self.next_time().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.step();
        }
        self.now = end;
    }

    fn millis(&self) -> Millis {
        Millis(self.now.0 / 1000)
    }

    fn plan(&mut self, after: Duration, what: Planned) {
        self.planned += 1;
        self.plan.insert((self.now.plus(after), self.planned), what);
    }

    fn next_time(&self) -> Option<Micros> {
        let planned = self.plan.keys().next().map(|(at, _)| *at);
        let links = self.links.iter().flat_map(|link| {
            let first = |pipe: &Pipe| pipe.in_flight.front().map(|(at, _)| *at);
            let home = link.home.poll_timeout().map(|at| Micros(at.0 * 1000));
            let stall = (link.stalled_until > self.now).then_some(link.stalled_until);
            [first(&link.down), first(&link.up), link.relay.poll_timeout(), home, stall]
        });
        links.flatten().chain(planned).min()
    }

    fn step(&mut self) {
        while let Some(((at, _), _)) = self.plan.first_key_value() {
            if *at > self.now {
                break;
            }
            let (_, what) = self.plan.pop_first().unwrap();
            self.carry_out(what);
        }
        for index in 0..self.links.len() {
            self.deliver(index);
            let now = self.now;
            let millis = self.millis();
            let link = &mut self.links[index];
            link.relay.handle_timeout(now, &mut self.random);
            link.home.handle_timeout(millis);
        }
        // Reports cause transmissions on other links and the other way round; a few rounds settle everything.
        for _ in 0..4 {
            for index in 0..self.links.len() {
                self.obey_relay(index);
                self.obey_home(index);
                self.transmit(index);
            }
        }
    }

    fn carry_out(&mut self, what: Planned) {
        match what {
            Planned::Dial { replaces } => self.dial(replaces),
            Planned::Executed { id } => self.executed(id),
            Planned::Call => self.call(),
            Planned::Event => self.tell(),
            Planned::Mischief => self.do_mischief(),
        }
    }

    fn dial(&mut self, replaces: Option<usize>) {
        self.dial_planned = false;
        if self.mischief && self.random.below(5) == 0 {
            return self.redial_because(Because::Failed, replaces);
        }
        let settings = ConnectorSettings { credit: 1 + self.random.below(8) as u32, ..ConnectorSettings::default() };
        let relay = RelaySettings { queue_commands: 16, ..RelaySettings::default() };
        let mut relay = RelaySide::new(relay, self.now, &mut self.random);
        // Some say hello within the upgrade, the others in a frame.
        let introduced = self.random.below(2) == 0;
        if introduced {
            relay.introduced(settings.hello(), Duration::ZERO, self.now);
        }
        let begin = if introduced { ConnectorSide::introduced } else { ConnectorSide::new };
        self.links.push(Link {
            relay,
            home: begin(settings, self.millis()),
            down: Pipe::default(),
            up: Pipe::default(),
            epoch: 0,
            black_hole: false,
            stalled_until: Micros(0),
            replaces,
        });
    }

    fn redial_because(&mut self, because: Because, replaces: Option<usize>) {
        if self.dial_planned {
            return;
        }
        self.dial_planned = true;
        let wait = self.redial.wait(because, self.millis(), &mut self.random);
        self.plan(wait, Planned::Dial { replaces });
    }

    fn call(&mut self) {
        // Without mischief every call has time enough for the longest execution.
        let shortest = if self.mischief { 200 } else { 5000 };
        let deadline = self.now.plus(self.random.micros(shortest, 7000));
        let call = self.calls.len();
        let id = CommandId::from_bytes(self.random.bytes());
        self.calls.push(Call { id, deadline, answers: Vec::new() });
        let size = [10, 1000, 60_000][self.random.below(3) as usize];
        let mut sealed = vec![0; size];
        sealed[..8].copy_from_slice(&id.as_bytes()[..8]);
        let submission = Submission {
            command_id: id,
            counts: true,
            sealed: sealed.into(),
            traceparent: String::new(),
            arrived: self.now,
            deadline,
        };
        self.dispatch(Attempt { call, submission, written_before: false, epoch: 0 });
    }

    fn dispatch(&mut self, mut attempt: Attempt) {
        match self.current {
            Some(index) => {
                let link = &mut self.links[index];
                attempt.epoch = link.epoch;
                link.relay.submit(attempt.clone(), attempt.submission, self.now);
            }
            None => self.answered(attempt, Outcome::NotSent(NotSent::LinkLost), true),
        }
    }

    fn answered(&mut self, mut attempt: Attempt, outcome: Outcome, last: bool) {
        let lost = matches!(
            outcome,
            Outcome::NotSent(NotSent::LinkLost) | Outcome::Unknown(Unknown::LinkLost | Unknown::Unresponsive)
        );
        let newer = self.current.is_some_and(|index| self.links[index].epoch > attempt.epoch);
        if lost && newer && !last && self.now < attempt.submission.deadline {
            attempt.written_before |= matches!(outcome, Outcome::Unknown(_));
            return self.dispatch(attempt);
        }
        let outcome = match outcome {
            Outcome::NotSent(_) if attempt.written_before => Outcome::Unknown(Unknown::LinkLost),
            other => other,
        };
        self.calls[attempt.call].answers.push((self.now, outcome));
    }

    fn executed(&mut self, id: CommandId) {
        *self.executions.entry(id).or_default() += 1;
        let reply = Bytes::copy_from_slice(id.as_bytes());
        if let Some(index) = self.memory.finish(id, reply.clone(), self.millis()) {
            let _ = self.links[index].home.reply(id, reply, Duration::from_millis(1));
        }
    }

    fn tell(&mut self) {
        let (key, event_id) = (self.random.below(5) as u8, self.random.bytes());
        self.told.push((key, event_id));
        let event = Event { event_id, key: vec![key].into(), sealed: Bytes::from_static(b"sealed") };
        self.outbox.put(event).unwrap();
    }

    /// Into the queue, if that is there, and back to whichever session the home has now.
    fn take_event(&mut self, event_id: [u8; 16]) {
        if self.mischief && self.random.below(4) == 0 {
            return;
        }
        self.taken.push(event_id);
        if let Some(index) = self.current {
            self.links[index].relay.event_taken(event_id);
        }
    }

    fn do_mischief(&mut self) {
        let Some(index) = self.links.len().checked_sub(1) else { return };
        let now = self.now;
        let millis = self.millis();
        match self.random.below(6) {
            0 => self.links[index].black_hole = true,
            1 => {
                let link = &mut self.links[index];
                link.relay.handle_socket_closed();
                link.home.handle_socket_closed();
            }
            2 => self.links[index].stalled_until = now.plus(self.random.micros(10, 8000)),
            3 => self.links[index].relay.drain(self.random.micros(0, 2000), Duration::from_secs(10), now),
            4 => self.redial_because(Because::Started, None),
            _ => self.links[index].home.close(GoodbyeReason::Shutdown, "restart", millis),
        }
    }

    fn deliver(&mut self, index: usize) {
        loop {
            let now = self.now;
            let millis = self.millis();
            let link = &mut self.links[index];
            let due = |pipe: &mut Pipe| pipe.in_flight.pop_front_if(|(at, _)| *at <= now).map(|(_, wire)| wire);
            let (down, up) = (due(&mut link.down), due(&mut link.up));
            if down.is_none() && up.is_none() {
                return;
            }
            match down {
                Some(Wire::Binary(bytes)) => link.home.handle_message(bytes, millis),
                Some(Wire::Ping) => {
                    link.home.handle_ping(millis);
                    self.send(index, false, Wire::Pong);
                }
                Some(Wire::Pong) => link.home.handle_pong(millis),
                Some(Wire::Close) => {
                    link.home.handle_socket_closed();
                    self.send(index, false, Wire::Eof);
                }
                Some(Wire::Eof) => link.home.handle_socket_closed(),
                None => {}
            }
            let link = &mut self.links[index];
            match up {
                Some(Wire::Binary(bytes)) => link.relay.handle_message(bytes, now),
                Some(Wire::Ping) => {
                    link.relay.handle_ping_or_pong(now);
                    self.send(index, true, Wire::Pong);
                }
                Some(Wire::Pong) => link.relay.handle_ping_or_pong(now),
                Some(Wire::Close) => {
                    link.relay.handle_socket_closed();
                    self.send(index, true, Wire::Eof);
                }
                Some(Wire::Eof) => link.relay.handle_socket_closed(),
                None => {}
            }
        }
    }

    fn send(&mut self, index: usize, down: bool, wire: Wire) {
        let latency = self.random.micros(0, if self.mischief && self.random.0.is_multiple_of(50) { 2500 } else { 30 });
        let link = &mut self.links[index];
        if link.black_hole {
            return;
        }
        let arrival = self.now.plus(latency).max(Micros(self.now.0 + 1));
        let pipe = if down { &mut link.down } else { &mut link.up };
        pipe.last_arrival = pipe.last_arrival.max(arrival);
        pipe.in_flight.push_back((pipe.last_arrival, wire));
    }

    fn transmit(&mut self, index: usize) {
        let now = self.now;
        let millis = self.millis();
        if self.links[index].stalled_until > now {
            return;
        }
        while let Some(transmit) = self.links[index].relay.poll_transmit(now) {
            self.send(index, true, to_wire(transmit));
        }
        while let Some(transmit) = self.links[index].home.poll_transmit(millis) {
            let wire = to_wire(transmit);
            // A reply that arrives twice: a broken home, not a broken network.
            if let Wire::Binary(bytes) = &wire
                && bytes.first() == Some(&0x2a)
                && self.mischief
                && self.random.below(8) == 0
            {
                self.send(index, false, wire.clone());
            }
            self.send(index, false, wire);
        }
        self.links[index].relay.handle_flushed();
        self.links[index].home.handle_flushed();
    }

    fn obey_relay(&mut self, index: usize) {
        while let Some(event) = self.links[index].relay.poll_event() {
            match event {
                RelayEvent::Hello(_) => self.register(index),
                RelayEvent::Answered { token, outcome, .. } => self.answered(token, outcome, false),
                RelayEvent::HomeEvent(event) => self.take_event(event.event_id),
                RelayEvent::Dropped(_) => {}
                RelayEvent::Ended(ended) => {
                    self.relay_ends.push(ended);
                    self.current.take_if(|current| *current == index);
                    self.send(index, true, Wire::Eof);
                }
            }
        }
    }

    fn register(&mut self, index: usize) {
        self.sessions += 1;
        let replaced = self.current.replace(index);
        let link = &mut self.links[index];
        link.epoch = self.sessions;
        let (epoch, reconnect_window) = (self.sessions, Duration::from_secs(1));
        link.relay.welcome(Registration { epoch, reconnect_window, events: true, ..Registration::default() });
        if let Some(replaced) = replaced {
            let now = self.now;
            self.links[replaced].relay.close(GoodbyeReason::Replaced, "a newer session took over", now);
        }
    }

    fn obey_home(&mut self, index: usize) {
        while let Some(event) = self.links[index].home.poll_event() {
            match event {
                ConnectorEvent::Welcomed(welcome) => {
                    self.redial.welcomed(welcome.reconnect_window, self.millis());
                    if let Some(old) = self.links[index].replaces {
                        let now = self.millis();
                        self.links[old].home.retire(now.plus(Duration::from_secs(5)), now);
                    }
                }
                ConnectorEvent::Proven => self.redial.proven(),
                ConnectorEvent::Command(command) => self.take_command(index, command.command_id),
                ConnectorEvent::Cancelled(_) | ConnectorEvent::Standing(_) | ConnectorEvent::Spread(_) => {}
                ConnectorEvent::PreKeyRequested(id) => {
                    self.links[index].home.pre_key(id, Bytes::from_static(b"pre-key"));
                }
                ConnectorEvent::Draining(drain) => {
                    self.redial_because(Because::Drained(drain.reconnect_after), Some(index));
                }
                ConnectorEvent::EventTaken(event_id) => drop(self.outbox.taken(event_id)),
                ConnectorEvent::Ended(ended) => self.home_ended(index, ended),
            }
        }
        let now = self.millis();
        self.links[index].home.send_events(&mut self.outbox, now);
    }

    fn take_command(&mut self, index: usize, id: CommandId) {
        match self.memory.begin(id, index, self.millis()) {
            Verdict::Execute => {
                let takes = self.random.micros(0, 3000);
                self.plan(takes, Planned::Executed { id });
            }
            Verdict::InProgress => self.links[index].home.release(id),
            Verdict::Answered(reply) => {
                let _ = self.links[index].home.reply(id, reply, Duration::ZERO);
            }
            Verdict::Full => panic!("the credit keeps the memory from filling up"),
        }
    }

    fn home_ended(&mut self, index: usize, ended: connector_side::Ended) {
        self.send(index, false, Wire::Eof);
        // Only the newest session's end makes the home dial: an older one was replaced on purpose.
        if index + 1 != self.links.len() {
            return;
        }
        let because = match ended {
            connector_side::Ended::There(goodbye) => Because::Goodbye(goodbye.reason),
            _ => Because::Lost,
        };
        self.redial_because(because, None);
    }
}

fn to_wire(transmit: Transmit) -> Wire {
    match transmit {
        Transmit::Binary(bytes) => Wire::Binary(bytes),
        Transmit::Ping => Wire::Ping,
        Transmit::Close(_) => Wire::Close,
    }
}
