//! Homes, and their links to nodes.

use bytes::Bytes;
use macloud_proto::ids::CommandId;
use macloud_proto::link::command_memory::CommandMemory;
use macloud_proto::link::command_memory::Verdict;
use macloud_proto::link::connector_side;
use macloud_proto::link::connector_side::ConnectorEvent;
use macloud_proto::link::connector_side::ConnectorSettings;
use macloud_proto::link::connector_side::ConnectorSide;
use macloud_proto::link::redial::Because;
use macloud_proto::link::relay_side::Outcome as LinkOutcome;
use macloud_proto::link::relay_side::Registration;
use macloud_proto::link::relay_side::RelayEvent;
use macloud_proto::link::relay_side::RelaySettings;
use macloud_proto::link::relay_side::RelaySide;
use macloud_proto::time::Micros;
use macloud_relay::presence::Claim;
use macloud_relay::presence::Presence as _;
use macloud_relay::presence::Unavailable;
use macloud_relay::route::Heard;
use macloud_service_kit::clock::Clock as _;
use std::time::Duration;

use super::super::node::Answer;
use super::super::node::Node;
use super::super::node::Outcome;
use super::super::node::Pending;
use super::super::rule::Rule;
use super::{DRAIN, Event, Link, SHORTEST_TICK, Wire, World, to_wire};

impl World {
    pub(super) fn redial(&mut self, home: usize, because: Because) {
        if self.homes[home].dialling {
            return;
        }
        let now = self.millis();
        self.homes[home].dialling = true;
        let wait = self.homes[home].redial.wait(because, now, &mut self.random);
        self.plan(wait, Event::Dial { home });
    }

    pub(super) fn dial(&mut self, home: usize) {
        let node = self.random.below(self.nodes.len() as u64) as usize;
        let (Node { alive, draining, generation, frozen_until, .. }, now) = (&self.nodes[node], self.now);
        if !*alive || *draining || *frozen_until > now {
            self.homes[home].dialling = false;
            return self.redial(home, Because::Failed);
        }
        let (generation, latency) = (*generation, self.random.millis(5, 150));
        self.plan(latency, Event::Dialled { home, node, generation });
    }

    pub(super) fn dialled(&mut self, home: usize, node: usize, generation: u64) {
        self.homes[home].dialling = false;
        if !self.is_up(node, generation) {
            return self.redial(home, Because::Failed);
        }
        let settings = ConnectorSettings { credit: 1 + self.random.below(8) as u32, ..ConnectorSettings::default() };
        let mut relay = RelaySide::new(RelaySettings::default(), self.now, &mut self.random);
        // Two of three say hello within the upgrade, the third in a frame.
        let introduced = !self.next_link.is_multiple_of(3);
        if introduced {
            relay.introduced(settings.hello(), Duration::ZERO, self.now);
        }
        let begin = if introduced { ConnectorSide::introduced } else { ConnectorSide::new };
        let link = Link {
            home,
            node,
            generation,
            relay,
            connector: begin(settings, self.millis()),
            pipes: Default::default(),
            black_hole: false,
            epoch: 0,
            let_go_by: None,
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

    pub(super) fn claim(&mut self, number: usize) {
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

    pub(super) fn executed(&mut self, home: usize, id: CommandId) {
        if let Some(call) = self.commands.get(&id) {
            self.calls[*call].executions += 1;
        }
        let reply = Bytes::copy_from_slice(id.as_bytes());
        let now = self.millis();
        if let Some(link) = self.homes[home].memory.finish(id, reply.clone(), now) {
            if let Some(held) = self.links.get_mut(&link) {
                let _ = held.connector.reply(id, reply, Duration::from_millis(1));
            }
            self.obey(link);
        }
    }

    pub(super) fn plan_tick(&mut self, number: usize, at: Micros) {
        let at = at.max(self.now);
        let Some(link) = self.links.get_mut(&number) else { return };
        if link.tick.is_none_or(|tick| at < tick) {
            link.tick = Some(at);
            self.plan_at(at, Event::Tick { link: number });
        }
    }

    pub(super) fn tick(&mut self, number: usize) {
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
    pub(super) fn deliver(&mut self, number: usize, to_home: bool) -> bool {
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

    pub(super) fn transmit(&mut self, number: usize, to_home: bool, wire: Wire) {
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
    pub(super) fn obey(&mut self, number: usize) {
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

    pub(super) fn leave_early(&mut self, number: usize) {
        let Some(link) = self.links.get(&number) else { return };
        let (node, home) = (link.node, link.home);
        if !link.relay.is_open() && self.nodes[node].sessions.get(&home).is_some_and(|(_, held)| *held == number) {
            self.nodes[node].sessions.remove(&home);
        }
    }

    pub(super) fn relay_says(&mut self, number: usize, event: RelayEvent<Pending>) {
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
                let anybodys = self.newest.get(&home).filter(|_| self.breaks(Rule::GoodbyesCompare));
                let epoch = anybodys.map_or(epoch, |(newest, _)| *newest);
                if epoch > 0 {
                    let _ = self.ask_directory(node, |presence| presence.release(&instance, epoch));
                }
                self.transmit(number, true, Wire::Eof);
            }
        }
    }

    pub(super) fn home_says(&mut self, number: usize, event: ConnectorEvent) {
        let (now, Some(home)) = (self.millis(), self.links.get(&number).map(|link| link.home)) else { return };
        match event {
            ConnectorEvent::Welcomed(welcome) => {
                self.homes[home].redial.welcomed(welcome.reconnect_window, now);
                let left = self.homes[home].draining.take().filter(|old| *old != number);
                // Now and then it forgets to leave, and its node must find out.
                if let Some(old) = left.filter(|_| !self.random.one_in(4)) {
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
            | ConnectorEvent::Spread(_)
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

    pub(super) fn take_command(&mut self, home: usize, number: usize, id: CommandId) {
        let now = self.millis();
        if self.breaks(Rule::HomesRemember) {
            self.homes[home].memory = CommandMemory::default();
        }
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
}
