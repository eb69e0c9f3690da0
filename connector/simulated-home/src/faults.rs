//! Things that go wrong on request.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::wire::Failure;

/// What shall go wrong. The body of the control API's `POST /faults`; fields that are left out change nothing.
///
/// Commands are named as on the wire (`player_queues/play_media`), `*` means every command.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// Extra milliseconds before the reply to a command; 0 takes the delay away.
    pub delay_ms: BTreeMap<String, u64>,
    /// Commands that are executed but never answered. Replaces the earlier list.
    pub never_answer: Option<BTreeSet<String>>,
    /// Errors for the next commands of a name; each is used once.
    pub fail_next: Vec<FailNext>,
    /// Tokens are refused (error 23) while this is on, as for some time after a restart.
    pub refuse_token: Option<bool>,
    /// New connections are dropped before a byte is answered while this is on.
    pub refuse_connections: Option<bool>,
    /// The server stops reading from its sockets while this is on.
    pub stall_reads: Option<bool>,
    /// All connections break now, without a closing handshake.
    pub drop_connections: bool,
    /// All tokens are revoked now; their sockets are closed (1000).
    pub revoke_tokens: bool,
}

/// An error for a coming command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailNext {
    /// The command, or `*`.
    #[serde(default = "any")]
    pub command: String,
    /// Its `error_code`.
    pub code: u16,
    /// Its `details`.
    #[serde(default)]
    pub details: String,
    /// For how many commands; 1 if left out.
    #[serde(default = "once")]
    pub times: usize,
}

fn any() -> String {
    "*".to_owned()
}

fn once() -> usize {
    1
}

/// The faults in force.
#[derive(Debug, Default)]
pub(crate) struct ActiveFaults {
    delays: BTreeMap<String, u64>,
    never_answer: BTreeSet<String>,
    failures: HashMap<String, VecDeque<Failure>>,
    pub(crate) refuse_token: bool,
    pub(crate) refuse_connections: bool,
    pub(crate) stall_reads: bool,
}

impl ActiveFaults {
    /// Adds the lasting parts of `faults`; breaking connections is up to the caller.
    pub(crate) fn add(&mut self, faults: &Faults) {
        for (command, delay) in &faults.delay_ms {
            self.delays.insert(command.clone(), *delay);
        }
        self.delays.retain(|_, delay| *delay > 0);
        if let Some(commands) = &faults.never_answer {
            self.never_answer.clone_from(commands);
        }
        for fail in &faults.fail_next {
            let failure = Failure::new(fail.code, fail.details.clone());
            self.failures.entry(fail.command.clone()).or_default().extend(std::iter::repeat_n(failure, fail.times));
        }
        self.refuse_token = faults.refuse_token.unwrap_or(self.refuse_token);
        self.refuse_connections = faults.refuse_connections.unwrap_or(self.refuse_connections);
        self.stall_reads = faults.stall_reads.unwrap_or(self.stall_reads);
    }

    pub(crate) fn delay(&self, command: &str) -> Duration {
        let delay = self.delays.get(command).or_else(|| self.delays.get("*"));
        Duration::from_millis(delay.copied().unwrap_or(0))
    }

    pub(crate) fn leaves_unanswered(&self, command: &str) -> bool {
        self.never_answer.contains(command) || self.never_answer.contains("*")
    }

    /// The error that this command was promised, if any. It replaces the command.
    pub(crate) fn take_failure(&mut self, command: &str) -> Option<Failure> {
        let take = |failures: &mut HashMap<String, VecDeque<Failure>>, key: &str| failures.get_mut(key)?.pop_front();
        take(&mut self.failures, command).or_else(|| take(&mut self.failures, "*"))
    }

    /// The faults in force, as [`Faults`] would ask for them.
    pub(crate) fn describe(&self) -> Faults {
        let promised = self.failures.iter().flat_map(|(command, failures)| {
            failures.iter().map(|failure| FailNext {
                command: command.clone(),
                code: failure.code,
                details: failure.details.clone(),
                times: 1,
            })
        });
        Faults {
            delay_ms: self.delays.clone(),
            never_answer: Some(self.never_answer.clone()),
            fail_next: promised.collect(),
            refuse_token: Some(self.refuse_token),
            refuse_connections: Some(self.refuse_connections),
            stall_reads: Some(self.stall_reads),
            ..Faults::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promised_errors_are_used_up() {
        let mut active = ActiveFaults::default();
        let fail = FailNext { command: any(), code: 17, details: String::new(), times: 2 };
        active.add(&Faults { fail_next: vec![fail], ..Faults::default() });
        assert_eq!(active.take_failure("players/all").unwrap().code, 17);
        assert_eq!(active.take_failure("music/search").unwrap().code, 17);
        assert_eq!(active.take_failure("music/search"), None);
    }

    #[test]
    fn delays_can_be_taken_away_again() {
        let mut active = ActiveFaults::default();
        let delay = |ms| Faults { delay_ms: BTreeMap::from([("*".to_owned(), ms)]), ..Faults::default() };
        active.add(&delay(80));
        assert_eq!(active.delay("info"), Duration::from_millis(80));
        active.add(&delay(0));
        assert_eq!(active.delay("info"), Duration::ZERO);
    }
}
