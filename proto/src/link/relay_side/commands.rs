//! The commands of one session: those that wait to be written, and those that were written and have no reply yet.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use super::{Dropped, NotSent, RelaySettings, Timing};
use crate::MAX_SEALED_BYTES;
use crate::ids::CommandId;
use crate::link::frame::{Command, Reply};
use crate::time::Micros;

/// A command to be sent.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The same on every retry.
    pub command_id: CommandId,
    /// Whether it counts against the home's plan. Reads do not.
    pub counts: bool,
    /// Opaque here.
    pub sealed: Bytes,
    /// W3C trace context, or empty.
    pub traceparent: String,
    /// When the call arrived, for its timing.
    pub arrived: Micros,
    /// When it must be answered.
    pub deadline: Micros,
}

#[derive(Debug)]
pub(super) struct Commands<T> {
    queue: VecDeque<(T, Submission)>,
    queued_bytes: usize,
    sent: HashMap<CommandId, Sent<T>>,
    credit: u32,
    /// Ids of commands that were answered by their deadline, to tell a late reply from a stray one.
    given_up: VecDeque<CommandId>,
    /// A lower bound of the next time anything here needs attention.
    next_check: Option<Micros>,
}

#[derive(Debug)]
struct Sent<T> {
    token: T,
    deadline: Micros,
    arrived: Micros,
    written: Micros,
    received: Option<Micros>,
    probed: bool,
    cancelled: bool,
}

impl<T> Default for Commands<T> {
    fn default() -> Self {
        Self {
            queue: VecDeque::new(),
            queued_bytes: 0,
            sent: HashMap::new(),
            credit: 0,
            given_up: VecDeque::new(),
            next_check: None,
        }
    }
}

impl<T> Sent<T> {
    fn timing(&self) -> Timing {
        Timing {
            queued: self.written.since(self.arrived),
            received: self.received.map(|at| at.since(self.written)).unwrap_or_default(),
            ..Timing::default()
        }
    }

    fn next_check(&self, confirm_limit: Duration) -> Micros {
        if self.received.is_some() || self.probed {
            self.deadline
        } else {
            self.deadline.min(self.written.plus(confirm_limit))
        }
    }
}

impl<T> Commands<T> {
    pub(super) fn len(&self) -> usize {
        self.queue.len() + self.sent.len()
    }

    pub(super) fn next_check(&self) -> Option<Micros> {
        self.next_check
    }

    /// What a home grants beyond the bound is forgotten, not an error: it only ever costs the home itself. Whether it changed
    /// anything.
    pub(super) fn add_credit(&mut self, commands: u32) -> bool {
        let before = self.credit;
        self.credit = before.saturating_add(commands).min(crate::link::frame::MAX_CREDIT);
        self.credit != before
    }

    pub(super) fn check(&self, submission: &Submission, settings: &RelaySettings, now: Micros) -> Result<(), NotSent> {
        let id = submission.command_id;
        let known = self.sent.contains_key(&id) || self.queue.iter().any(|(_, queued)| queued.command_id == id);
        if known || submission.sealed.len() > MAX_SEALED_BYTES {
            return Err(NotSent::Invalid);
        }
        if submission.deadline <= now {
            return Err(NotSent::Deadline);
        }
        let bytes = self.queued_bytes + submission.sealed.len();
        if self.queue.len() >= settings.queue_commands || bytes > settings.queue_bytes {
            return Err(NotSent::Busy);
        }
        Ok(())
    }

    pub(super) fn enqueue(&mut self, token: T, submission: Submission) {
        self.queued_bytes += submission.sealed.len();
        self.check_by(submission.deadline);
        self.queue.push_back((token, submission));
    }

    /// Hand out the next command, if there is one and the home has room for it.
    pub(super) fn send_next(&mut self, now: Micros, settings: &RelaySettings) -> Option<Command> {
        if self.credit == 0 {
            return None;
        }
        let (token, submission) = self.queue.pop_front()?;
        self.credit -= 1;
        self.queued_bytes -= submission.sealed.len();
        let Submission { command_id, sealed, traceparent, arrived, deadline, counts: _ } = submission;
        let sent = Sent { token, deadline, arrived, written: now, received: None, probed: false, cancelled: false };
        self.check_by(sent.next_check(settings.confirm_limit));
        self.sent.insert(command_id, sent);
        Some(Command { command_id, remaining: deadline.since(now), sealed, traceparent })
    }

    /// Whether that was news.
    pub(super) fn confirm(&mut self, id: CommandId, now: Micros) -> bool {
        let unconfirmed = self.sent.get_mut(&id).filter(|sent| sent.received.is_none());
        unconfirmed.map(|sent| sent.received = Some(now)).is_some()
    }

    pub(super) fn complete(&mut self, reply: &Reply, now: Micros) -> Result<(T, Timing), Dropped> {
        let id = reply.command_id;
        if let Some(sent) = self.sent.remove(&id) {
            let replied = now.since(sent.written);
            let timing = Timing { replied, home: reply.home, ..sent.timing() };
            return Ok((sent.token, timing));
        }
        let late = self.given_up.iter().position(|given_up| *given_up == id);
        late.and_then(|at| self.given_up.remove(at)).map_or(Err(Dropped::StrayReply), |_| Err(Dropped::LateReply))
    }

    pub(super) fn remove_queued(&mut self, id: CommandId) -> Option<T> {
        let at = self.queue.iter().position(|(_, queued)| queued.command_id == id)?;
        let (token, submission) = self.queue.remove(at)?;
        self.queued_bytes -= submission.sealed.len();
        Some(token)
    }

    /// Whether the home must be told: once for each command.
    pub(super) fn mark_cancelled(&mut self, id: CommandId) -> bool {
        self.sent.get_mut(&id).is_some_and(|sent| !std::mem::replace(&mut sent.cancelled, true))
    }

    pub(super) fn expire_queued(&mut self, now: Micros) -> Vec<T> {
        if self.next_check.is_none_or(|check| now < check) {
            return Vec::new();
        }
        let (expired, kept): (VecDeque<_>, _) =
            std::mem::take(&mut self.queue).into_iter().partition(|(_, queued)| queued.deadline <= now);
        self.queue = kept;
        self.queued_bytes = self.queue.iter().map(|(_, queued)| queued.sealed.len()).sum();
        expired.into_iter().map(|(token, _)| token).collect()
    }

    /// Commands past their deadline, each with whether the home has been told to cancel it.
    pub(super) fn expire_sent(&mut self, now: Micros) -> Vec<(CommandId, T, Timing, bool)> {
        let expired: Vec<_> = self.sent.extract_if(|_, sent| sent.deadline <= now).collect();
        for (id, _) in &expired {
            if self.given_up.len() == REMEMBERED_GIVEN_UP {
                self.given_up.pop_front();
            }
            self.given_up.push_back(*id);
        }
        let parts = |(id, sent): (CommandId, Sent<T>)| {
            let timing = sent.timing();
            (id, sent.token, timing, sent.cancelled)
        };
        expired.into_iter().map(parts).collect()
    }

    /// Whether a command has been unconfirmed for too long since the last time this was asked.
    pub(super) fn take_unconfirmed(&mut self, now: Micros, settings: &RelaySettings) -> bool {
        let mut found = false;
        for sent in self.sent.values_mut() {
            if sent.received.is_none() && !sent.probed && now.since(sent.written) >= settings.confirm_limit {
                sent.probed = true;
                found = true;
            }
        }
        if found {
            self.schedule(settings);
        }
        found
    }

    /// Look through everything for the next time to check. Between two such looks the bound may only be too early.
    pub(super) fn schedule(&mut self, settings: &RelaySettings) {
        let queued = self.queue.iter().map(|(_, queued)| queued.deadline);
        let sent = self.sent.values().map(|sent| sent.next_check(settings.confirm_limit));
        self.next_check = queued.chain(sent).min();
    }

    /// Those that wait to be written.
    pub(super) fn take_queued(&mut self) -> Vec<T> {
        self.queued_bytes = 0;
        self.queue.drain(..).map(|(token, _)| token).collect()
    }

    pub(super) fn take_all(&mut self) -> (Vec<T>, Vec<(T, Timing)>) {
        self.queued_bytes = 0;
        self.next_check = None;
        let queued = self.queue.drain(..).map(|(token, _)| token).collect();
        let sent = self.sent.drain().map(|(_, sent)| {
            let timing = sent.timing();
            (sent.token, timing)
        });
        (queued, sent.collect())
    }

    fn check_by(&mut self, at: Micros) {
        self.next_check = Some(self.next_check.map_or(at, |check| check.min(at)));
    }
}

/// Only for counting, so a few are enough.
const REMEMBERED_GIVEN_UP: usize = 32;
