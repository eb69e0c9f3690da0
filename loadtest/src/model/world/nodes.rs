//! Nodes, their leases, and the directory that they ask.

use futures_util::FutureExt as _;
use macloud_proto::link::GoodbyeReason;
use macloud_proto::time::Micros;
use macloud_relay::presence::BoxFuture;
use macloud_relay::presence::Held;
use macloud_relay::presence::LEASE;
use macloud_relay::presence::MemoryPresence;
use macloud_relay::presence::NodeAddress;
use macloud_relay::presence::Notice;
use macloud_relay::presence::Presence as _;
use macloud_relay::presence::Restored;
use macloud_relay::presence::Unavailable;
use std::time::Duration;

use super::super::node::Node;
use super::super::rule::Rule;
use super::{Event, Wire, World};

impl World {
    pub(super) fn start(&mut self, node: usize) {
        self.nodes[node].alive = true;
        self.nodes[node].incomplete = true;
        let generation = self.nodes[node].generation;
        self.plan(Duration::ZERO, Event::Renew { node, generation });
    }

    pub(super) fn address(node: usize) -> NodeAddress {
        NodeAddress { node_id: node.to_string(), bus: String::new() }
    }

    /// As this node asks it: by itself, or through another that is not cut off from it.
    pub(super) fn ask_directory<'p, T>(
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

    pub(super) fn are_parted(&self, one: usize, other: usize) -> bool {
        self.now < self.nodes[one].alone_until.max(self.nodes[other].alone_until)
    }

    pub(super) fn renew(&mut self, node: usize, generation: u64) {
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

    pub(super) fn say_who_is_here(&mut self, node: usize, all: bool) -> Result<(), Unavailable> {
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
            let outdated = matches!(restored, Restored::Outdated { .. });
            if outdated && self.breaks(Rule::PlacesCompare) {
                self.is_newest(home, epoch);
            }
            if outdated && !self.breaks(Rule::ReplacedLetGo) {
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
    pub(super) fn is_newest(&mut self, home: usize, epoch: u64) {
        let now = self.now;
        let before = self.newest.get(&home).map_or(0, |(before, _)| *before);
        if epoch < before && self.stands(home, before) {
            self.broken = Some(format!("session {epoch} has taken the place of {before}, although it stands"));
        }
        if before != epoch {
            self.newest.insert(home, (epoch, now));
        }
    }

    /// One node tells the other; now and then that is lost, and then leaves word for it, again and again.
    pub(super) fn supersede(&mut self, by: usize, node: usize, home: usize, epoch: u64) {
        let lost = !self.nodes[node].alive || self.are_parted(by, node) || self.random.one_in(4);
        if !lost {
            self.must_let_go(node, home, epoch, Duration::ZERO);
            return self.superseded(node, home, epoch);
        }
        let (instance, node_id) = (self.homes[home].instance.clone(), node.to_string());
        let notice = Notice { instance, epoch, other_installation: false, contested: false };
        let left = self.ask_directory(by, |presence| presence.leave_notice(&node_id, &notice));
        match left {
            Ok(()) => self.must_let_go(node, home, epoch, LEASE),
            Err(Unavailable) if self.nodes[by].alive => {
                self.plan(Duration::from_secs(1), Event::Superseded { by, node, home, epoch });
            }
            // Nobody tells it: it is found in the rounds in which nodes say who is there.
            Err(Unavailable) => drop(self.newest.remove(&home)),
        }
    }

    /// What the node holds of this home, older than this session, must not be used later than that.
    fn must_let_go(&mut self, node: usize, home: usize, epoch: u64, within: Duration) {
        let by = self.now.plus(within);
        let older = self.nodes[node].sessions.get(&home).filter(|(older, _)| *older < epoch);
        if let Some(link) = older.and_then(|(_, link)| self.links.get_mut(link)) {
            link.let_go_by.get_or_insert(by);
        }
    }

    pub(super) fn superseded(&mut self, node: usize, home: usize, epoch: u64) {
        let held = self.nodes[node].sessions.get(&home).copied().filter(|_| !self.breaks(Rule::ReplacedLetGo));
        if let Some((_, link)) = held.filter(|(older, _)| *older < epoch) {
            self.nodes[node].sessions.remove(&home);
            self.close(link);
        }
    }

    pub(super) fn close(&mut self, link: usize) {
        let now = self.now;
        if let Some(held) = self.links.get_mut(&link) {
            held.relay.close(GoodbyeReason::Replaced, "a newer session took over", now);
        }
        self.obey(link);
    }

    pub(super) fn kill(&mut self, node: usize) {
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
}
