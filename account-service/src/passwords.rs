//! Passwords: Argon2id, with a bounded number of hashes at once.
//!
//! A hash costs some 30 ms of a core and 19 MiB. As many run at once as there are cores, on threads that leave everything
//! else the right of way; who would have to wait too long is told to come back, at once if that can be foreseen. So a
//! flood of sign-ins slows sign-ins and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use macloud_service_kit::random;
use tokio::sync::{Semaphore, oneshot};

use crate::metrics::PasswordWork;

mod common;

/// Hashes and verifies.
#[derive(Clone)]
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    line: Arc<Line>,
    wait: Duration,
    work: PasswordWork,
    /// Verified when the account is unknown, so that both cases cost the same.
    decoy: Arc<str>,
}

/// Those who wait or are served, and how long serving one takes.
struct Line {
    cores: u64,
    length: AtomicU64,
    /// The mean of the last ones, as the clock on the wall sees it.
    micros_each: AtomicU64,
}

/// A place in the line; given back when dropped.
struct Place<'a>(&'a Line);

impl Line {
    /// Stand at the end, unless that means to wait longer than `wait`.
    fn join(&self, wait: Duration) -> Option<Place<'_>> {
        let ahead = self.length.fetch_add(1, Ordering::Relaxed);
        let place = Place(self);
        let to_be_served_before = (ahead + 1).saturating_sub(self.cores);
        let micros = to_be_served_before * self.micros_each.load(Ordering::Relaxed) / self.cores;
        (u128::from(micros) <= wait.as_micros()).then_some(place)
    }

    fn note(&self, took: Duration) {
        let mean = self.micros_each.load(Ordering::Relaxed);
        let next = (mean * 7 + took.as_micros() as u64) / 8;
        // Of two at the same moment one may be lost: it is only a mean.
        self.micros_each.store(next, Ordering::Relaxed);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.length.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a password was not hashed or compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PasswordError {
    /// Too many others are signing in.
    #[error("too many sign-ins at once")]
    Busy,
    /// The stored hash cannot be read, or hashing failed.
    #[error("a password hash is unusable")]
    Unusable,
}

/// Why a new password is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordRule {
    /// Below [`MIN_CHARACTERS`].
    #[error("a password needs at least 8 characters")]
    TooShort,
    /// Above [`MAX_BYTES`].
    #[error("a password may have at most 1024 bytes")]
    TooLong,
    /// It is the e-mail address.
    #[error("a password must not be the e-mail address")]
    IsEmail,
    /// Among the first guesses of whoever guesses well.
    #[error("this password is easy to guess")]
    TooCommon,
}

impl PasswordRule {
    /// The message that tells a person.
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::TooShort => "security-password-short",
            Self::TooLong => "security-password-long",
            Self::IsEmail => "security-password-email",
            Self::TooCommon => "identity-password-common",
        }
    }
}

impl Passwords {
    pub(crate) fn new(wait: Duration) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let random: [u8; 24] = random::bytes();
        let begun = Instant::now();
        let decoy = hash_now(&random).expect("hashing with fixed parameters works");
        let micros_each = AtomicU64::new(begun.elapsed().as_micros() as u64);
        let line = Line { cores: cores as u64, length: AtomicU64::new(0), micros_each };
        Self {
            turns: Arc::new(Semaphore::new(cores)),
            line: Arc::new(line),
            wait,
            work: PasswordWork::new(),
            decoy: decoy.into(),
        }
    }

    /// Hash a new password.
    pub(crate) async fn hash(&self, password: &str) -> Result<String, PasswordError> {
        let password = password.to_owned();
        self.in_turn(move || hash_now(password.as_bytes())).await?.ok_or(PasswordError::Unusable)
    }

    /// Whether a stored hash was made with other parameters than today's, so that it is to be made anew when its password
    /// is next at hand. One that cannot be read is not: verifying it fails, and says so.
    pub(crate) fn is_outdated(stored: &str) -> bool {
        let params = PasswordHash::new(stored).ok().and_then(|hash| Params::try_from(&hash).ok());
        let wanted = hasher();
        let wanted = wanted.params();
        params.is_some_and(|params| {
            (params.m_cost(), params.t_cost(), params.p_cost()) != (wanted.m_cost(), wanted.t_cost(), wanted.p_cost())
        })
    }

    /// Whether `password` is the one behind `stored`; without a stored hash, no, after the same work.
    pub(crate) async fn verify(&self, password: &str, stored: Option<&str>) -> Result<bool, PasswordError> {
        let password = password.to_owned();
        // Somebody who signs in otherwise has no password: an empty hash.
        let stored = stored.filter(|stored| !stored.is_empty());
        let known = stored.is_some();
        let stored = stored.unwrap_or(&self.decoy).to_owned();
        let verdict = self
            .in_turn(move || {
                let hash = PasswordHash::new(&stored).ok()?;
                Some(hasher().verify_password(password.as_bytes(), &hash).is_ok())
            })
            .await?;
        Ok(verdict.ok_or(PasswordError::Unusable)? && known)
    }

    /// How many wait for their turn, or have it.
    pub(crate) fn in_line(&self) -> u64 {
        self.line.length.load(Ordering::Relaxed)
    }

    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, PasswordError> {
        let outcome = self.wait_for_turn(work).await;
        self.work.count(match &outcome {
            Ok(_) => "done",
            Err(PasswordError::Busy) => "shed",
            Err(PasswordError::Unusable) => "failed",
        });
        outcome
    }

    async fn wait_for_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let _place = self.line.join(self.wait).ok_or(PasswordError::Busy)?;
        let turn = tokio::time::timeout(self.wait, self.turns.clone().acquire_owned()).await;
        let turn = turn.map_err(|_| PasswordError::Busy)?.expect("the semaphore is never closed");
        let (done, result) = oneshot::channel();
        let line = self.line.clone();
        // A thread of its own, because only those can be given way to. To make one costs a thousandth of a hash.
        let thread = std::thread::Builder::new().name("password".into()).spawn(move || {
            give_way();
            let begun = Instant::now();
            let outcome = work();
            line.note(begun.elapsed());
            // Held by the work itself: a caller that goes away does not free the core it still uses.
            drop(turn);
            let _ = done.send(outcome);
        });
        thread.map_err(|_| PasswordError::Busy)?;
        result.await.map_err(|_| PasswordError::Unusable)
    }
}

/// Let the processor serve other threads first: a hash in a crowd may take its time, a token must not wait for it. Still it
/// gets a quarter of a core that others want too, so that nobody can keep people from signing in by refreshing.
fn give_way() {
    // On Linux this concerns the calling thread alone; elsewhere it might be the whole program.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(5);
}

/// Check a new password that a person chose for themselves.
pub(crate) fn check_new(password: &str, email: &str) -> Result<(), PasswordRule> {
    check_form(password, email)?;
    if common::is_common(password, email) { Err(PasswordRule::TooCommon) } else { Ok(()) }
}

/// Check what every new password must keep to, also one that an operator sets.
pub(crate) fn check_form(password: &str, email: &str) -> Result<(), PasswordRule> {
    if password.chars().count() < MIN_CHARACTERS {
        Err(PasswordRule::TooShort)
    } else if password.len() > MAX_BYTES {
        Err(PasswordRule::TooLong)
    } else if password.eq_ignore_ascii_case(email) {
        Err(PasswordRule::IsEmail)
    } else {
        Ok(())
    }
}

/// As it is stored and compared: trimmed, lower case. `None` when it is no address.
pub(crate) fn normalise_email(text: &str) -> Option<String> {
    let text = text.trim().to_lowercase();
    let (local, domain) = text.rsplit_once('@')?;
    let plain = |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control());
    let ok = text.len() <= 254 && plain(local) && plain(domain) && !domain.starts_with('.') && !domain.ends_with('.');
    // What goes to nobody, or to somebody else than it says, is no address: "a<ann@example.org>" reaches Ann.
    (ok && text.parse::<lettre::Address>().is_ok()).then_some(text)
}

fn hasher() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).expect("the parameters are within Argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash_now(password: &[u8]) -> Option<String> {
    let salt: [u8; 16] = random::bytes();
    let salt = SaltString::encode_b64(&salt).ok()?;
    Some(hasher().hash_password(password, &salt).ok()?.to_string())
}

/// OWASP's minimum for Argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
/// NIST SP 800-63B's minimum.
const MIN_CHARACTERS: usize = 8;
/// Far above any password manager's; bounds the work per request.
pub(crate) const MAX_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn addresses_are_normalised_or_refused() {
        assert_eq!(normalise_email(" Ada@Example.ORG "), Some("ada@example.org".into()));
        for wrong in ["", "@", "a@", "@b", "a b@c", "a@b c", "a@.b", "a@b.", "a\0@b", &format!("{}@b", "a".repeat(254))]
        {
            assert_eq!(normalise_email(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn hashes_of_other_days_are_recognised() {
        let salt = SaltString::encode_b64(b"sixteen bytes ok").unwrap();
        let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8192, 1, 1, None).unwrap());
        let weak = weak.hash_password(b"correct horse", &salt).unwrap().to_string();
        assert!(Passwords::is_outdated(&weak));
        assert!(!Passwords::is_outdated(&hash_now(b"correct horse").unwrap()));
        assert!(!Passwords::is_outdated("garbage"));
    }

    #[tokio::test]
    async fn right_wrong_and_unknown() {
        let passwords = Passwords::new(Duration::from_secs(30));
        let stored = passwords.hash("correct horse").await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(passwords.verify("correct horse", Some(&stored)).await.unwrap());
        assert!(!passwords.verify("wrong horse", Some(&stored)).await.unwrap());
        assert!(!passwords.verify("correct horse", None).await.unwrap());
        assert_eq!(passwords.verify("x", Some("garbage")).await, Err(PasswordError::Unusable));
    }

    #[tokio::test]
    async fn who_comes_to_a_line_that_is_too_long_is_turned_away_at_once() {
        let passwords = Passwords::new(Duration::from_secs(1));
        passwords.line.micros_each.store(50_000, Ordering::Relaxed);
        let all = passwords.turns.available_permits();
        let _held = passwords.turns.clone().acquire_many_owned(all as u32).await.unwrap();
        let mut waiting = Vec::new();
        let refused = loop {
            let mut next = Box::pin(passwords.verify("x", None));
            match (&mut next).now_or_never() {
                Some(refused) => break refused,
                None => waiting.push(next),
            }
        };
        assert_eq!(refused, Err(PasswordError::Busy));
        assert_eq!(waiting.len(), all + 20 * all, "who is served at once, and who is within a second");
        // Whoever gives up makes room.
        waiting.pop();
        assert!(passwords.verify("x", None).now_or_never().is_none());
        drop(waiting);
        assert_eq!(passwords.line.length.load(Ordering::Relaxed), 0);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn hashing_gives_way_and_nothing_else_does() {
        let priority = || rustix::process::getpriority_process(None).unwrap();
        let before = priority();
        let passwords = Passwords::new(Duration::from_secs(30));
        let within = passwords.in_turn(priority).await.unwrap();
        assert!(within > before || before >= 15, "{within} within, {before} outside");
        assert_eq!(priority(), before);
    }

    #[tokio::test]
    async fn who_would_wait_too_long_is_turned_away() {
        let passwords = Passwords::new(Duration::ZERO);
        let all = passwords.turns.available_permits() as u32;
        let _held = passwords.turns.clone().acquire_many_owned(all).await.unwrap();
        assert_eq!(passwords.verify("x", None).await, Err(PasswordError::Busy));
    }
}
