//! How often a stranger may try, by address and by account, within this process.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard};

use macloud_service_kit::clock::SharedClock;

use crate::config::Rate;
use crate::secrets;

/// What is being tried. Part of the key, so that limits do not share their counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Attempt {
    SignIn,
    WrongPasswordHere,
    WrongPassword,
    /// By a browser that somebody signed in from before.
    WrongPasswordByKnown,
    WrongSecondStep,
    /// By one network to one address.
    MailedCode,
    /// By one network.
    MailedCodeHere,
    /// To one address.
    Mailbox,
    /// To one address. Apart from codes, so that nobody's invitations use those up.
    InvitationMail,
    SignUp,
    WrongPairingCode,
    WrongInvitationCode,
    Invitation,
    Pairing,
    PushedRequest,
    FailedLink,
}

/// Told to come back in this many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany {
    pub(crate) retry_after_seconds: u64,
}

/// Counts attempts (the generic cell rate algorithm: one number per key).
pub(crate) struct RateLimits {
    clock: SharedClock,
    /// By whoever tries, or by texts that they make up. Such are cheap, so these are forgotten when there are too many.
    strangers: Mutex<Counts>,
    /// By an e-mail address that a password was tried on. Apart, so that nothing that is cheaper to try reaches it.
    passwords: Mutex<Counts>,
    /// By accounts that there are, and only after their password, and by browsers that are known there: never forgotten, so that
    /// nothing gives fresh guesses.
    accounts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    /// When each key's allowance will be whole again, in milliseconds. Keys are hashes: no address or name is kept.
    whole_at: HashMap<(Attempt, [u8; 32]), u64>,
    /// When to look again for keys that are whole, in milliseconds.
    next_sweep: u64,
}

impl RateLimits {
    pub(crate) fn new(clock: SharedClock) -> Self {
        Self { clock, strangers: Mutex::default(), passwords: Mutex::default(), accounts: Mutex::default() }
    }

    /// Count an attempt, or refuse it.
    pub(crate) fn count(&self, what: Attempt, who: &str, rate: Rate) -> Result<(), TooMany> {
        if rate == Rate::OFF {
            return Ok(());
        }
        let now = self.clock.monotonic_millis();
        let each = cost_millis(rate);
        let mut counts = self.lock(what);
        counts.make_room(now, !matches!(what, Attempt::WrongSecondStep | Attempt::WrongPasswordByKnown));
        let entry = counts.whole_at.entry((what, secrets::hash(who))).or_insert(now);
        let after = (*entry).max(now) + each;
        wait_millis(after, now, rate).map_or_else(
            || {
                *entry = after;
                Ok(())
            },
            |wait| Err(TooMany { retry_after_seconds: wait.div_ceil(1000) }),
        )
    }

    /// Count one attempt in several ways, or in none of them: who is refused has not tried.
    pub(crate) fn count_all(&self, ways: &[(Attempt, &str, Rate)]) -> Result<(), TooMany> {
        for (at, &(what, who, rate)) in ways.iter().enumerate() {
            if let Err(refusal) = self.count(what, who, rate) {
                self.give_all_back(&ways[..at]);
                return Err(refusal);
            }
        }
        Ok(())
    }

    /// Take back what [`Self::count_all`] counted.
    pub(crate) fn give_all_back(&self, ways: &[(Attempt, &str, Rate)]) {
        for &(what, who, rate) in ways {
            self.give_back(what, who, rate);
        }
    }

    /// Take back a count: the attempt turned out to be a rightful one.
    pub(crate) fn give_back(&self, what: Attempt, who: &str, rate: Rate) {
        if rate != Rate::OFF
            && let Some(whole_at) = self.lock(what).whole_at.get_mut(&(what, secrets::hash(who)))
        {
            *whole_at = whole_at.saturating_sub(cost_millis(rate));
        }
    }

    fn lock(&self, what: Attempt) -> MutexGuard<'_, Counts> {
        let counts = match what {
            Attempt::WrongSecondStep | Attempt::WrongPasswordByKnown => &self.accounts,
            Attempt::WrongPassword => &self.passwords,
            Attempt::SignIn
            | Attempt::Mailbox
            | Attempt::InvitationMail
            | Attempt::WrongPasswordHere
            | Attempt::MailedCode
            | Attempt::MailedCodeHere
            | Attempt::SignUp
            | Attempt::WrongPairingCode
            | Attempt::WrongInvitationCode
            | Attempt::Invitation
            | Attempt::Pairing
            | Attempt::PushedRequest
            | Attempt::FailedLink => &self.strangers,
        };
        counts.lock().expect("no code panics while holding this lock")
    }
}

/// Who an address stands for: IPv6 customers get whole /64 networks.
pub(crate) fn address_key(address: IpAddr) -> String {
    macloud_service_kit::http::network(address).to_string()
}

fn cost_millis(rate: Rate) -> u64 {
    (u64::from(rate.seconds) * 1000 / u64::from(rate.requests)).max(1)
}

fn wait_millis(after: u64, now: u64, rate: Rate) -> Option<u64> {
    let allowance = cost_millis(rate) * u64::from(rate.requests);
    (after - now).checked_sub(allowance).filter(|wait| *wait > 0)
}

impl Counts {
    /// A flood of different keys must not fill the memory: forget whole keys first, then all that may be forgotten. To look
    /// at each takes milliseconds, so that is not done for every attempt of a flood.
    fn make_room(&mut self, now: u64, may_forget: bool) {
        if self.whole_at.len() < MAX_KEYS {
            return;
        }
        if now >= self.next_sweep {
            self.next_sweep = now + SWEEP_MILLIS;
            self.whole_at.retain(|_, at| *at > now);
        }
        if may_forget && self.whole_at.len() >= MAX_KEYS {
            self.whole_at.clear();
        }
    }
}

/// About 10 MiB.
const MAX_KEYS: usize = 100_000;
const SWEEP_MILLIS: u64 = 1000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use macloud_service_kit::clock::ManualClock;

    use super::*;

    #[test]
    fn a_burst_then_an_even_refill() {
        let clock = ManualClock::at(0);
        let limits = RateLimits::new(clock.clone());
        let rate = Rate { requests: 3, seconds: 30 };
        for _ in 0..3 {
            assert_eq!(limits.count(Attempt::SignIn, "a", rate), Ok(()));
        }
        assert_eq!(limits.count(Attempt::SignIn, "a", rate), Err(TooMany { retry_after_seconds: 10 }));
        assert_eq!(limits.count(Attempt::SignIn, "b", rate), Ok(()));
        assert_eq!(limits.count(Attempt::SignUp, "a", rate), Ok(()));
        clock.advance(Duration::from_secs(10));
        assert_eq!(limits.count(Attempt::SignIn, "a", rate), Ok(()));
        assert!(limits.count(Attempt::SignIn, "a", rate).is_err());
        limits.give_back(Attempt::SignIn, "a", rate);
        assert_eq!(limits.count(Attempt::SignIn, "a", rate), Ok(()));
        assert_eq!(limits.count(Attempt::SignIn, "a", Rate::OFF), Ok(()));
    }

    #[test]
    fn a_flood_of_addresses_gives_nobody_fresh_guesses() {
        let limits = RateLimits::new(ManualClock::at(0));
        let rate = Rate { requests: 1, seconds: 900 };
        assert_eq!(limits.count(Attempt::WrongSecondStep, "ann", rate), Ok(()));
        for made_up in [Attempt::MailedCode, Attempt::Mailbox, Attempt::WrongPassword] {
            for number in 0..=MAX_KEYS {
                let _ = limits.count(made_up, &number.to_string(), rate);
            }
            assert!(limits.count(Attempt::WrongSecondStep, "ann", rate).is_err(), "{made_up:?}");
        }
    }

    #[test]
    fn a_refusal_costs_nothing() {
        let limits = RateLimits::new(ManualClock::at(0));
        let (few, many) = (Rate { requests: 1, seconds: 900 }, Rate { requests: 3, seconds: 900 });
        let ways = [(Attempt::WrongPasswordHere, "ann here", many), (Attempt::WrongPassword, "ann", few)];
        assert_eq!(limits.count_all(&ways), Ok(()));
        for _ in 0..10 {
            assert!(limits.count_all(&ways).is_err());
        }
        limits.give_back(Attempt::WrongPassword, "ann", few);
        assert_eq!(limits.count_all(&ways), Ok(()), "the refusals left what she may try here as it was");
    }

    #[test]
    fn a_flood_of_addresses_to_mail_to_gives_nobody_fresh_passwords() {
        let limits = RateLimits::new(ManualClock::at(0));
        let rate = Rate { requests: 1, seconds: 900 };
        assert_eq!(limits.count(Attempt::WrongPassword, "ann", rate), Ok(()));
        for number in 0..=MAX_KEYS {
            let _ = limits.count(Attempt::Mailbox, &number.to_string(), rate);
        }
        assert!(limits.count(Attempt::WrongPassword, "ann", rate).is_err());
    }

    #[test]
    fn an_ipv6_network_is_one_stranger() {
        let key = |text: &str| address_key(text.parse().unwrap());
        assert_eq!(key("2001:db8::1"), key("2001:db8:0:0:ffff::2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
    }
}
