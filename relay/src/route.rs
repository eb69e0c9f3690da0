//! Where a call goes: to the session on this node, across to another node, or nowhere. Pure, so that a simulation can check
//! it against every accident.
//!
//! What it promises:
//! - a call crosses over from a caller's node at most one hop: one that has crossed is never passed on;
//! - what was lost is sent again once, and only to a session that is newer than the one that lost it;
//! - after anything was written, no answer says "not sent".

use std::time::Duration;

use macloud_proto::bus::v1::{self, answer};
use macloud_proto::link::relay_side::{NotSent, Outcome, Unknown};

/// What has become of a call until now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tries {
    /// It comes from another node, which has looked for the home.
    pub crossed: bool,
    /// The caller has heard of this session: an older one is not used before the directory says that it still counts.
    pub least_epoch: u64,
    /// The session that has it now, or had it last; 0 for none.
    pub epoch: u64,
    /// Sessions up to this one have lost it.
    lost_by: u64,
    written_before: bool,
    retried: bool,
    misses: u8,
}

/// What the directory of all nodes says of a home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Directory {
    /// It cannot be asked now.
    Unavailable,
    /// The home is not connected.
    Nowhere,
    /// Its newest session is on this node.
    Here {
        /// The session.
        epoch: u64,
    },
    /// Its newest session is on another.
    There {
        /// The session.
        epoch: u64,
    },
}

/// Where a call goes now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To the session on this node.
    Here,
    /// To the node that the directory names.
    There,
    /// The directory and a node do not agree yet: look again.
    Again,
    /// There is no session to send it to.
    Nowhere,
    /// There is none here, and nobody knows of others.
    Unlocated,
}

/// What an answer means for the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It is the caller's.
    Final,
    /// The other node does not have the home.
    NotHere,
    /// The session ended first.
    Lost {
        /// And had been given the command.
        written: bool,
    },
}

impl Heard {
    /// From a session on this node.
    #[must_use]
    pub const fn from_session(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::NotSent(NotSent::LinkLost) => Self::Lost { written: false },
            Outcome::Unknown(Unknown::LinkLost | Unknown::Unresponsive) => Self::Lost { written: true },
            Outcome::NotSent(_) | Outcome::Unknown(Unknown::Deadline) | Outcome::Delivered(_) | Outcome::PreKey(_) => {
                Self::Final
            }
        }
    }

    /// From another node.
    #[must_use]
    pub fn from_node(answer: &v1::Answer) -> Self {
        use v1::{not_sent, unknown};
        match &answer.outcome {
            Some(answer::Outcome::NotSent(refused)) => match refused.reason() {
                not_sent::Reason::NotConnected | not_sent::Reason::Draining | not_sent::Reason::Unlocated => {
                    Self::NotHere
                }
                not_sent::Reason::LinkLost => Self::Lost { written: false },
                _ => Self::Final,
            },
            Some(answer::Outcome::Unknown(unknown)) => match unknown.reason() {
                unknown::Reason::LinkLost | unknown::Reason::Unresponsive => Self::Lost { written: true },
                _ => Self::Final,
            },
            _ => Self::Final,
        }
    }
}

impl Tries {
    /// A call as it arrives.
    #[must_use]
    pub fn new(crossed: bool, least_epoch: u64) -> Self {
        Self { crossed, least_epoch, ..Self::default() }
    }

    /// Whether this session may have the call without asking the directory, on a node whose lease counts.
    #[must_use]
    pub const fn may_use(&self, epoch: u64) -> bool {
        epoch >= self.least_epoch && epoch > self.lost_by
    }

    /// Whether this session has lost it, or a newer one has.
    #[must_use]
    pub const fn is_lost_by(&self, epoch: u64) -> bool {
        epoch <= self.lost_by
    }

    /// Whether it may go to a node that was right last time, without asking the directory.
    #[must_use]
    pub const fn may_guess(&self) -> bool {
        !self.crossed && !self.retried && self.misses == 0
    }

    /// Where to, when this session is on this node and the directory says that.
    #[must_use]
    pub fn way(&self, here: Option<u64>, directory: Directory) -> Way {
        let here = here.filter(|epoch| *epoch > self.lost_by);
        match (directory, here) {
            // Connected homes keep working while the directory is away, unless the caller knows better.
            (Directory::Unavailable, Some(here)) if here >= self.least_epoch => Way::Here,
            (Directory::Unavailable, _) => Way::Unlocated,
            // It has forgotten the session, or has not been told yet; or a newer one that the caller knows of is over.
            (Directory::Nowhere, Some(here)) if here >= self.least_epoch => Way::Here,
            (Directory::Nowhere, _) => Way::Nowhere,
            (Directory::Here { epoch } | Directory::There { epoch }, Some(here)) if here >= epoch => Way::Here,
            (Directory::Here { epoch } | Directory::There { epoch }, _) if epoch <= self.lost_by => Way::Nowhere,
            // It has claimed its place and is about to take it.
            (Directory::Here { .. }, _) if self.misses < MOST_MISSES => Way::Again,
            (Directory::There { .. }, _) if !self.crossed && self.misses < MOST_MISSES => Way::There,
            (Directory::Here { .. } | Directory::There { .. }, _) => Way::Nowhere,
        }
    }

    /// How long to wait before looking again.
    #[must_use]
    pub const fn pause(&self) -> Option<Duration> {
        // What a node remembered may have been wrong: that is looked up at once.
        if self.misses > 1 { Some(PAUSE) } else { None }
    }

    /// Looking has led nowhere this time.
    pub const fn miss(&mut self) {
        self.misses = self.misses.saturating_add(1);
    }

    /// The call goes to this session.
    pub const fn go_to(&mut self, epoch: u64) {
        self.epoch = epoch;
    }

    /// After this answer: whether to look for another session.
    pub fn look_again(&mut self, heard: Heard) -> bool {
        match heard {
            Heard::Final => false,
            Heard::NotHere => {
                self.miss();
                true
            }
            Heard::Lost { written } => {
                let first = !std::mem::replace(&mut self.retried, true);
                self.written_before |= written && first;
                self.lost_by = self.lost_by.max(self.epoch);
                first
            }
        }
    }

    /// An earlier session was given it: from then on "not sent" would be a lie.
    #[must_use]
    pub const fn was_written(&self) -> bool {
        self.written_before
    }
}

/// A session claims its place a moment before it takes it, and a directory may be a moment behind.
const MOST_MISSES: u8 = 4;
const PAUSE: Duration = Duration::from_millis(25);

#[cfg(test)]
mod tests {
    use super::*;
    use Directory::{Here, Nowhere, There, Unavailable};

    #[test]
    fn the_directory_decides_between_sessions() {
        let fresh = Tries::new(false, 0);
        for (here, directory, way) in [
            (Some(5), Here { epoch: 5 }, Way::Here),
            (Some(5), There { epoch: 6 }, Way::There),
            (Some(6), There { epoch: 5 }, Way::Here),
            (Some(5), Nowhere, Way::Here),
            (Some(5), Unavailable, Way::Here),
            (None, There { epoch: 6 }, Way::There),
            (None, Here { epoch: 6 }, Way::Again),
            (Some(5), Here { epoch: 6 }, Way::Again),
            (None, Nowhere, Way::Nowhere),
            (None, Unavailable, Way::Unlocated),
        ] {
            assert_eq!(fresh.way(here, directory), way, "{here:?} {directory:?}");
        }
    }

    #[test]
    fn what_has_crossed_goes_no_further() {
        let crossed = Tries::new(true, 6);
        assert_eq!(crossed.way(Some(5), There { epoch: 6 }), Way::Nowhere);
        assert_eq!(crossed.way(None, There { epoch: 6 }), Way::Nowhere);
        assert_eq!(crossed.way(Some(6), Here { epoch: 6 }), Way::Here);
        assert!(!crossed.may_use(5) && crossed.may_use(6) && !crossed.may_guess());
    }

    #[test]
    fn what_the_caller_has_heard_of_is_believed_unless_the_directory_knows_better() {
        let call = Tries::new(false, 6);
        assert!(!call.may_use(5));
        assert_eq!(call.way(Some(5), Unavailable), Way::Unlocated);
        assert_eq!(call.way(Some(5), Nowhere), Way::Nowhere);
        assert_eq!(call.way(Some(5), Here { epoch: 5 }), Way::Here, "a directory that was lost numbers anew");
    }

    #[test]
    fn what_was_lost_is_sent_again_once_and_to_a_newer_session_only() {
        for written in [false, true] {
            let mut call = Tries::new(false, 0);
            call.go_to(5);
            assert!(call.look_again(Heard::Lost { written }));
            assert_eq!(call.was_written(), written);
            assert_eq!(call.way(Some(5), Here { epoch: 5 }), Way::Nowhere);
            assert_eq!(call.way(None, There { epoch: 5 }), Way::Nowhere);
            assert_eq!(call.way(None, There { epoch: 6 }), Way::There);
            assert_eq!(call.way(Some(5), Unavailable), Way::Unlocated);
            call.go_to(6);
            assert!(!call.look_again(Heard::Lost { written: true }));
        }
    }

    #[test]
    fn two_that_do_not_agree_are_asked_a_few_times() {
        let mut call = Tries::new(false, 0);
        let mut asked = 0;
        while call.way(None, There { epoch: 6 }) == Way::There {
            call.go_to(6);
            assert!(call.look_again(Heard::NotHere));
            asked += 1;
        }
        assert_eq!((asked, call.way(None, Here { epoch: 7 })), (MOST_MISSES, Way::Nowhere));
        assert!(call.pause().is_some() && Tries::new(false, 0).pause().is_none());
    }
}
