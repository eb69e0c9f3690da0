//! Everything that can go wrong on the way of a directive, in one type.
//!
//! The steps return it, and the two answers (an Alexa error type, a spoken sentence) are each one exhaustive match over
//! it: `answer::error` and `answer::speech`. Nothing here carries content, a name or a token, except the names inside a
//! [`Refusal`], which only the spoken answer uses.

use std::collections::HashSet;
use std::time::Duration;

use macloud_e2ee::vocabulary::Refusal;
use macloud_proto::bus::v1::{not_sent, unknown};
use unicode_normalization::UnicodeNormalization as _;

use crate::dispatch::UsedUp;

/// Why a directive or request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The directive is none that our endpoints take, or lacks what it must have. Names the rule.
    InvalidDirective(&'static str),
    /// A number outside what the directive allows.
    OutOfRange {
        /// Smallest allowed.
        minimum: i64,
        /// Largest allowed.
        maximum: i64,
    },
    /// A mode that no endpoint of ours has.
    NoSuchMode,
    /// What an access token turned out to be.
    Token(TokenFault),
    /// The grant does not include the scope that this needs.
    ScopeMissing,
    /// The endpoint belongs to no home of this account, or has no form of ours.
    NoSuchEndpoint,
    /// The account has no home yet.
    NoHome,
    /// The owner pressed "stop now" on the home's page.
    HomePaused,
    /// The account service does not answer.
    AccountsAway,
    /// No relay node can be reached.
    BusAway,
    /// The bus did not send the command.
    NotSent(not_sent::Reason),
    /// The home has not been connected for so long.
    Away(Duration),
    /// Today's commands of the home's plan are used up.
    UsedUp(UsedUp),
    /// The bus sent the command and got no reply.
    Unknown(unknown::Reason),
    /// The whole time for this directive is over.
    TimeUp,
    /// The home's pre-key is not signed by the identity key of its pairing, or cannot be read.
    HomeUntrusted,
    /// The home keeps asking for a new session, or its reply cannot be opened.
    SessionBroken,
    /// The home answered something else than was asked for.
    UnexpectedReply,
    /// Several players have this one name, so no answer could tell which is meant.
    SameName(String),
    /// The home says no.
    Refused(Refusal),
    /// The event gateway's grant could not be exchanged or stored.
    GrantNotAccepted,
}

/// What is wrong with an access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFault {
    /// Past its lifetime.
    Expired,
    /// Unknown, malformed, revoked, or its account is gone.
    Invalid,
    /// Its account is suspended.
    Suspended,
}

impl Failure {
    /// Itself, but that nobody is asked to choose between what is called the same: names that differ in nothing that is heard are
    /// one choice, and one choice is none.
    #[must_use]
    pub(crate) fn told_apart(self) -> Self {
        let Self::Refused(Refusal::WhichPlayer(names)) = self else { return self };
        let several = names.len() > 1;
        let mut heard = HashSet::new();
        let mut apart: Vec<String> = names.into_iter().filter(|name| heard.insert(folded(name))).collect();
        match apart.pop() {
            Some(name) if several && apart.is_empty() => Self::SameName(name),
            last => {
                apart.extend(last);
                Self::Refused(Refusal::WhichPlayer(apart))
            }
        }
    }

    /// A short fixed word for metrics and traces.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::InvalidDirective(_) => "invalid_directive",
            Self::OutOfRange { .. } => "out_of_range",
            Self::NoSuchMode => "no_such_mode",
            Self::Token(TokenFault::Expired) => "token_expired",
            Self::Token(TokenFault::Invalid) => "token_invalid",
            Self::Token(TokenFault::Suspended) => "account_suspended",
            Self::ScopeMissing => "scope_missing",
            Self::NoSuchEndpoint => "no_such_endpoint",
            Self::NoHome => "no_home",
            Self::HomePaused => "home_paused",
            Self::AccountsAway => "accounts_away",
            Self::BusAway => "bus_away",
            Self::NotSent(reason) => not_sent_label(*reason),
            Self::Away(_) => not_sent_label(not_sent::Reason::NotConnected),
            Self::UsedUp(_) => "used_up",
            Self::Unknown(_) => "unknown",
            Self::TimeUp => "time_up",
            Self::HomeUntrusted => "home_untrusted",
            Self::SessionBroken => "session_broken",
            Self::UnexpectedReply => "unexpected_reply",
            Self::SameName(_) => "same_name",
            Self::Refused(_) => "refused",
            Self::GrantNotAccepted => "grant_not_accepted",
        }
    }
}

/// A name as it is heard: without accents, marks and the difference of large and small letters.
pub(crate) fn folded(name: &str) -> String {
    let letters = name.nfkd().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase);
    letters.collect::<String>().replace('ß', "ss")
}

/// The words that the relay counts the same with: some of these are the home's doing, and others ours.
const fn not_sent_label(reason: not_sent::Reason) -> &'static str {
    use not_sent::Reason;
    match reason {
        Reason::Unspecified => "not_sent",
        Reason::NotConnected => "not_sent_not_connected",
        Reason::Busy => "not_sent_busy",
        Reason::Draining => "not_sent_draining",
        Reason::Deadline => "not_sent_deadline",
        Reason::LinkLost => "not_sent_link_lost",
        Reason::Cancelled => "not_sent_cancelled",
        Reason::RateLimited => "not_sent_rate_limited",
        Reason::Invalid => "not_sent_invalid",
        Reason::Paused => "not_sent_paused",
        Reason::UsedUp => "not_sent_used_up",
        Reason::Unlocated => "not_sent_unlocated",
    }
}

/// Whether a result of this word is a failure of the way, and none of the person's, the plan's or the home's.
pub(crate) fn is_ours(result: &str) -> bool {
    match result.strip_prefix("not_sent_") {
        Some(why) => !matches!(why, "not_connected" | "paused" | "used_up"),
        None => matches!(
            result,
            "not_sent" | "unknown" | "time_up" | "accounts_away" | "bus_away" | "session_broken" | "unexpected_reply"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_asked_to_choose_between_two_of_the_same_name() {
        let which = |names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            Failure::Refused(Refusal::WhichPlayer(names))
        };
        for (asked, told) in [
            (which(&["Küche", "Küche"]), Failure::SameName("Küche".into())),
            (which(&["Küche", "KUCHE!"]), Failure::SameName("Küche".into())),
            (which(&["Küche", "Bad", "küche"]), which(&["Küche", "Bad"])),
            (which(&["Küche", "Küche 2"]), which(&["Küche", "Küche 2"])),
            (which(&["Küche"]), which(&["Küche"])),
            (which(&[]), which(&[])),
            (Failure::TimeUp, Failure::TimeUp),
        ] {
            assert_eq!(asked.clone().told_apart(), told, "{asked:?}");
        }
    }

    #[test]
    fn what_is_ours_is_told_from_what_is_the_homes() {
        use not_sent::Reason;
        for ours in [
            Failure::BusAway,
            Failure::TimeUp,
            Failure::Unknown(unknown::Reason::Deadline),
            Failure::NotSent(Reason::Unlocated),
            Failure::NotSent(Reason::LinkLost),
            Failure::NotSent(Reason::Unspecified),
        ] {
            assert!(is_ours(ours.label()), "{ours:?}");
        }
        let away = Failure::Away(Duration::from_hours(3));
        for theirs in [Failure::NoHome, Failure::NotSent(Reason::NotConnected), away, Failure::NotSent(Reason::Paused)]
        {
            assert!(!is_ours(theirs.label()), "{theirs:?}");
        }
        assert!(!is_ours("ok"));
    }
}
