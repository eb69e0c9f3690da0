//! What goes wrong, and when nodes leave.

use macloud_proto::link::GoodbyeReason;
use macloud_proto::link::redial::Because;
use macloud_relay::presence::Presence as _;
use std::time::Duration;

use super::{Call, DRAIN, Event, World};

impl World {
    pub(super) fn mischief(&mut self) {
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
    pub(super) fn leave_alone(&mut self, node: usize) {
        let until = self.now.plus(self.random.millis(10, 20_000));
        (self.nodes[node].cut_off_until, self.nodes[node].alone_until) = (until, until);
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            for (one, to) in [(other, node), (node, other)] {
                let generation = self.nodes[to].generation;
                self.plan(Duration::from_secs(3), Event::Gone { node: one, to, generation });
            }
        }
    }

    pub(super) fn drain(&mut self, node: usize) {
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
    pub(super) fn leave(&mut self, node: usize, generation: u64) {
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
