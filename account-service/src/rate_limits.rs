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
    WrongSecondStep,
    /// By one network to one address.
    MailedCode,
    /// By one network.
    MailedCodeHere,
    /// To one address.
    Mailbox,
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
    /// By whoever tries.
    strangers: Mutex<Counts>,
    /// By what is tried on. Apart, because addresses are cheap: forgetting them must not give anybody fresh guesses.
    accounts: Mutex<Counts>,
}

/// When each key's allowance will be whole again, in milliseconds. Keys are hashes: no address or name is kept.
type Counts = HashMap<(Attempt, [u8; 32]), u64>;

impl RateLimits {
    pub(crate) fn new(clock: SharedClock) -> Self {
        Self { clock, strangers: Mutex::default(), accounts: Mutex::default() }
    }

    /// Count an attempt, or refuse it.
    pub(crate) fn count(&self, what: Attempt, who: &str, rate: Rate) -> Result<(), TooMany> {
        if rate == Rate::OFF {
            return Ok(());
        }
        let now = self.clock.monotonic_millis();
        let each = cost_millis(rate);
        let mut whole_at = self.lock(what);
        make_room(&mut whole_at, now);
        let entry = whole_at.entry((what, secrets::hash(who))).or_insert(now);
        let after = (*entry).max(now) + each;
        wait_millis(after, now, rate).map_or_else(
            || {
                *entry = after;
                Ok(())
            },
            |wait| Err(TooMany { retry_after_seconds: wait.div_ceil(1000) }),
        )
    }

    /// Take back a count: the attempt turned out to be a rightful one.
    pub(crate) fn give_back(&self, what: Attempt, who: &str, rate: Rate) {
        if rate != Rate::OFF
            && let Some(whole_at) = self.lock(what).get_mut(&(what, secrets::hash(who)))
        {
            *whole_at = whole_at.saturating_sub(cost_millis(rate));
        }
    }

    fn lock(&self, what: Attempt) -> MutexGuard<'_, Counts> {
        let counts = match what {
            Attempt::WrongPassword | Attempt::WrongSecondStep | Attempt::Mailbox => &self.accounts,
            Attempt::SignIn
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

/// A flood of different addresses must not fill the memory: forget whole keys first, then everyone.
fn make_room(whole_at: &mut Counts, now: u64) {
    if whole_at.len() >= MAX_KEYS {
        whole_at.retain(|_, at| *at > now);
        if whole_at.len() >= MAX_KEYS {
            whole_at.clear();
        }
    }
}

/// About 10 MiB.
const MAX_KEYS: usize = 100_000;

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
        for number in 0..=MAX_KEYS {
            let _ = limits.count(Attempt::MailedCode, &number.to_string(), rate);
        }
        assert!(limits.count(Attempt::WrongSecondStep, "ann", rate).is_err());
    }

    #[test]
    fn an_ipv6_network_is_one_stranger() {
        let key = |text: &str| address_key(text.parse().unwrap());
        assert_eq!(key("2001:db8::1"), key("2001:db8:0:0:ffff::2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
    }
}
