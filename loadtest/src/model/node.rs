//! One relay node, as the model holds it.

use std::collections::BTreeMap;

use macloud_proto::ids::CommandId;
use macloud_proto::time::Micros;
use macloud_relay::route::Tries;

/// A node. What it holds ends with its process; another begins under the same name.
#[derive(Default)]
pub(super) struct Node {
    pub(super) alive: bool,
    /// Which process of this name it is.
    pub(super) generation: u64,
    /// It is there, and does nothing until then.
    pub(super) frozen_until: Micros,
    pub(super) draining: bool,
    /// It does not reach the directory by itself until then.
    pub(super) cut_off_until: Micros,
    /// Nor the other nodes; only callers and homes.
    pub(super) alone_until: Micros,
    /// Each home's newest session here: epoch and link.
    pub(super) sessions: BTreeMap<usize, (u64, usize)>,
    /// Calls that have crossed over to another node, by a number of this node's own.
    pub(super) crossed: BTreeMap<u64, Crossed>,
    pub(super) held_until: Micros,
    pub(super) away_until: Micros,
    pub(super) incomplete: bool,
}

/// A call as one node holds it.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) call: usize,
    pub(super) id: CommandId,
    pub(super) tries: Tries,
    /// Where it is, and in which process.
    pub(super) node: usize,
    pub(super) generation: u64,
    pub(super) deadline: Micros,
    pub(super) from: From,
    /// What is answered when looking further leads nowhere.
    pub(super) lost: Option<Answer>,
}

/// Who asked a node.
#[derive(Debug, Clone, Copy)]
pub(super) enum From {
    Caller,
    Node { node: usize, generation: u64, number: u64 },
}

#[derive(Debug, Clone)]
pub(super) struct Crossed {
    pub(super) pending: Pending,
    pub(super) to: usize,
    pub(super) to_generation: u64,
    /// It has left this process.
    pub(super) given: bool,
}

/// An answer, as it passes between nodes and to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    /// The session that it is of; 0 for none.
    pub(super) epoch: u64,
    pub(super) owner: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Delivered,
    /// The node that was asked does not have the home.
    NotConnected,
    /// And does not know who has.
    Unlocated,
    /// Not sent, for another reason.
    NotSent,
    LinkLost,
    Unknown,
    UnknownLost,
}

impl Outcome {
    pub(super) const fn is_not_sent(self) -> bool {
        matches!(self, Self::NotConnected | Self::Unlocated | Self::NotSent | Self::LinkLost)
    }
}

impl Answer {
    pub(super) const fn of(outcome: Outcome) -> Self {
        Self { outcome, epoch: 0, owner: None }
    }
}

impl Node {
    pub(super) fn vouches(&self, now: Micros) -> bool {
        now < self.held_until || now < self.away_until
    }

    /// The process ends, and all that it held.
    pub(super) fn end(&mut self) -> Self {
        let next = Self { generation: self.generation + 1, ..Self::default() };
        std::mem::replace(self, next)
    }
}
