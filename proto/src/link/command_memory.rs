//! Which commands a home has executed lately: the reason why a retry after "unknown" never executes twice.
//!
//! It outlives sessions, since the retry usually arrives on the next one. A finished command is remembered with its
//! sealed reply for [`REMEMBERED_FOR`]; one in progress is remembered until it finishes.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use crate::ids::CommandId;
use crate::time::Millis;

/// How long a reply is kept: several times the longest deadline a caller has.
pub const REMEMBERED_FOR: Duration = Duration::from_secs(60);

/// What to do with a command that has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// New: execute it, then [`CommandMemory::finish`] (or [`CommandMemory::forget`] if it was not begun after all).
    Execute,
    /// It is being executed; its reply will go to whoever asked last.
    InProgress,
    /// It was executed: send this reply.
    Answered(Bytes),
    /// Too many are being executed: refuse it without executing.
    Full,
}

/// The memory. `S` names a session, so that a reply finds the one that asked last.
#[derive(Debug)]
pub struct CommandMemory<S> {
    known: HashMap<CommandId, Entry<S>>,
    /// Finished ones, oldest first.
    finished: VecDeque<(Millis, CommandId)>,
    reply_bytes: usize,
}

#[derive(Debug)]
enum Entry<S> {
    InProgress { asked_by: S },
    Finished { reply: Bytes },
}

impl<S> Default for CommandMemory<S> {
    fn default() -> Self {
        Self { known: HashMap::new(), finished: VecDeque::new(), reply_bytes: 0 }
    }
}

impl<S: Clone> CommandMemory<S> {
    /// A command has arrived on `session`.
    pub fn begin(&mut self, id: CommandId, session: S, now: Millis) -> Verdict {
        self.forget_old(now);
        match self.known.get_mut(&id) {
            Some(Entry::Finished { reply }) => return Verdict::Answered(reply.clone()),
            Some(Entry::InProgress { asked_by }) => {
                *asked_by = session;
                return Verdict::InProgress;
            }
            None => {}
        }
        if self.known.len() - self.finished.len() >= MAX_IN_PROGRESS {
            return Verdict::Full;
        }
        self.known.insert(id, Entry::InProgress { asked_by: session });
        Verdict::Execute
    }

    /// The command was executed and this is its sealed reply. Gives the session that asked for it last.
    pub fn finish(&mut self, id: CommandId, reply: Bytes, now: Millis) -> Option<S> {
        self.forget_old(now);
        let Entry::InProgress { asked_by } = self.known.get(&id)? else { return None };
        let asked_by = asked_by.clone();
        self.reply_bytes += reply.len();
        self.finished.push_back((now, id));
        self.known.insert(id, Entry::Finished { reply });
        self.forget_excess();
        Some(asked_by)
    }

    /// The command was not begun after all: a retry may begin it.
    pub fn forget(&mut self, id: CommandId) {
        if let Some(Entry::InProgress { .. }) = self.known.get(&id) {
            self.known.remove(&id);
        }
    }

    fn forget_old(&mut self, now: Millis) {
        while self.finished.front().is_some_and(|(at, _)| now.since(*at) >= REMEMBERED_FOR) {
            self.forget_oldest();
        }
    }

    /// Beyond the bounds the oldest replies go first: their callers have most likely given up.
    fn forget_excess(&mut self) {
        while self.finished.len() > MAX_FINISHED || self.reply_bytes > MAX_REPLY_BYTES {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((_, id)) = self.finished.pop_front() else { return };
        if let Some(Entry::Finished { reply }) = self.known.remove(&id) {
            self.reply_bytes -= reply.len();
        }
    }
}

/// More cannot be asked by one relay within its credit; a second session doubles it at most.
const MAX_IN_PROGRESS: usize = 2048;
/// A minute of thirty commands a second.
const MAX_FINISHED: usize = 2048;
/// Replies are usually below 1 KiB; large ones are lists.
const MAX_REPLY_BYTES: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const ID: CommandId = CommandId::from_bytes([1; 16]);

    fn executed() -> CommandMemory<&'static str> {
        let mut memory = CommandMemory::default();
        assert_eq!(memory.begin(ID, "first", Millis(0)), Verdict::Execute);
        assert_eq!(memory.begin(ID, "second", Millis(10)), Verdict::InProgress);
        assert_eq!(memory.finish(ID, Bytes::from_static(b"reply"), Millis(20)), Some("second"));
        memory
    }

    #[test]
    fn a_retry_is_answered_from_memory_for_a_minute() {
        let mut memory = executed();
        let answered = Verdict::Answered(Bytes::from_static(b"reply"));
        assert_eq!(memory.begin(ID, "third", Millis(60_019)), answered);
        assert_eq!(memory.begin(ID, "third", Millis(60_020)), Verdict::Execute);
    }

    #[test]
    fn a_second_finish_changes_nothing() {
        let mut memory = executed();
        assert_eq!(memory.finish(ID, Bytes::from_static(b"other"), Millis(30)), None);
        assert_eq!(memory.begin(ID, "x", Millis(40)), Verdict::Answered(Bytes::from_static(b"reply")));
    }

    #[test]
    fn what_was_not_begun_may_begin_later() {
        let mut memory = CommandMemory::default();
        memory.begin(ID, (), Millis(0));
        memory.forget(ID);
        assert_eq!(memory.begin(ID, (), Millis(1)), Verdict::Execute);
        memory.finish(ID, Bytes::new(), Millis(2));
        memory.forget(ID);
        assert_eq!(memory.begin(ID, (), Millis(3)), Verdict::Answered(Bytes::new()));
    }

    #[test]
    fn memory_is_bounded_by_bytes_and_count() {
        let mut memory = CommandMemory::default();
        for n in 0..200u8 {
            let id = CommandId::from_bytes([n; 16]);
            memory.begin(id, (), Millis(0));
            memory.finish(id, Bytes::from(vec![0; 60 * 1024]), Millis(0));
        }
        assert!(memory.reply_bytes <= MAX_REPLY_BYTES);
        assert_eq!(memory.begin(CommandId::from_bytes([0; 16]), (), Millis(1)), Verdict::Execute);
        for n in 0..MAX_IN_PROGRESS as u32 {
            let mut id = [0xEE; 16];
            id[..4].copy_from_slice(&n.to_le_bytes());
            memory.begin(CommandId::from_bytes(id), (), Millis(1));
        }
        assert!(memory.begin(CommandId::from_bytes([0xFA; 16]), (), Millis(1)) == Verdict::Full);
    }
}
