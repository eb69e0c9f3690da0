//! When a connector dials again. A thousand homes that lose the same relay together are the normal case.
//!
//! Every wait is drawn continuously from zero to a ceiling ("full jitter"), so that a fleet spreads out by itself. The
//! ceiling doubles from 1 s to 60 s and falls back only when a session has proved itself: a relay that accepts and
//! drops at once must not be hammered. Nothing here ever gives up: a home is unattended.

use std::time::Duration;

use super::GoodbyeReason;
use crate::random::{Random, between};
use crate::time::Millis;

/// How dialling is spread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedialSettings {
    /// Ceiling of the first wait.
    pub first: Duration,
    /// Ceiling of any ordinary wait.
    pub longest: Duration,
    /// A session that stays up this long has proved itself, though nothing was asked of it. A ping of its own would prove the same sooner,
    /// and cost the relay a fifteenth of the whole connect.
    pub stable: Duration,
    /// Bounds of the wait after another session took over: slow, but never for good, since the winner may leave.
    pub replaced: (Duration, Duration),
    /// Bounds of the wait after a refusal that only a person, an operator or an update can lift.
    pub refused: (Duration, Duration),
    /// Bounds of the wait after the relay said that this home was revoked, before the account service is asked.
    pub revoked: (Duration, Duration),
    /// The widest spread or wait a relay may ask for.
    pub longest_asked: Duration,
}

impl Default for RedialSettings {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(60),
            stable: Duration::from_secs(5),
            replaced: (Duration::from_secs(120), Duration::from_secs(300)),
            refused: (Duration::from_secs(840), Duration::from_secs(960)),
            revoked: (Duration::from_secs(5), Duration::from_secs(15)),
            longest_asked: Duration::from_secs(900),
        }
    }
}

/// What happened that makes dialling necessary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// The program has started, or a person asked for it.
    Started,
    /// The dial did not lead to a session: no name, no route, no TLS, an error of the server.
    Failed,
    /// The server is full and asked to be left alone for this long.
    RetryAfter(Duration),
    /// The account service or the relay does not accept this home (401). A state to show, not an error to repeat.
    Unauthorized,
    /// A session ended without a reason.
    Lost,
    /// The relay said goodbye.
    Goodbye(GoodbyeReason),
    /// The relay is leaving and gave this home its place in the queue. The old session is still up.
    Drained(Duration),
}

/// The policy. One per connector, for its whole life.
#[derive(Debug, Clone)]
pub struct Redial {
    settings: RedialSettings,
    failures: u32,
    welcomed: Option<Millis>,
    proven: bool,
    window: Duration,
}

impl Redial {
    /// Nothing dialled yet.
    #[must_use]
    pub const fn new(settings: RedialSettings) -> Self {
        Self { settings, failures: 0, welcomed: None, proven: false, window: Duration::ZERO }
    }

    /// A session is up, and its relay wants the next reconnect spread over this window.
    pub fn welcomed(&mut self, reconnect_window: Duration, now: Millis) {
        self.welcomed = Some(now);
        self.proven = false;
        self.spread_over(reconnect_window);
    }

    /// The session is up still, and the reconnect after it is to be spread over this window.
    pub fn spread_over(&mut self, reconnect_window: Duration) {
        self.window = reconnect_window.min(self.settings.longest_asked);
    }

    /// The session's way there and back works.
    pub fn proven(&mut self) {
        if self.welcomed.is_some() {
            self.proven = true;
        }
    }

    /// How long to wait before dialling.
    pub fn wait(&mut self, because: Because, now: Millis, random: &mut dyn Random) -> Duration {
        let up_since = self.welcomed.take();
        let stable = up_since.is_some_and(|since| now.since(since) >= self.settings.stable);
        let good = std::mem::take(&mut self.proven) || stable;
        if good {
            self.failures = 0;
        }
        match because {
            Because::Drained(after) => {
                // Still up: what it proved must not be forgotten when it ends before the new one is there.
                self.welcomed = up_since;
                self.proven = good;
                after.min(self.settings.longest_asked)
            }
            Because::RetryAfter(asked) => {
                let asked = asked.min(self.settings.longest_asked);
                asked + self.backoff(random)
            }
            // The account service knows whether this is for good: ask it soon, and be slow if it refuses.
            Because::Goodbye(GoodbyeReason::Revoked) => {
                between(self.settings.revoked.0, self.settings.revoked.1, random)
            }
            Because::Unauthorized | Because::Goodbye(GoodbyeReason::Version) => {
                between(self.settings.refused.0, self.settings.refused.1, random)
            }
            Because::Goodbye(GoodbyeReason::Replaced) => {
                between(self.settings.replaced.0, self.settings.replaced.1, random)
            }
            Because::Lost | Because::Goodbye(GoodbyeReason::Shutdown | GoodbyeReason::Drained) if good => {
                self.failures = 1;
                between(Duration::ZERO, self.window.max(self.settings.first), random)
            }
            Because::Started | Because::Failed | Because::Lost | Because::Goodbye(_) => self.backoff(random),
        }
    }

    fn backoff(&mut self, random: &mut dyn Random) -> Duration {
        let doubled = self.settings.first.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        between(Duration::ZERO, doubled.min(self.settings.longest), random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For waits whose length does not matter.
    struct Shortest;
    impl Random for Shortest {
        fn fill(&mut self, out: &mut [u8]) {
            out.fill(0);
        }
    }

    fn spread(because: Because, prepare: impl Fn(&mut Redial)) -> (Duration, Duration) {
        let mut seed = 1u64;
        let mut draw = |out: &mut [u8]| {
            for byte in out {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *byte = (seed >> 56) as u8;
            }
        };
        let waits = (0..2_000).map(|_| {
            let mut redial = Redial::new(RedialSettings::default());
            prepare(&mut redial);
            redial.wait(because, Millis(100_000), &mut draw)
        });
        let waits: Vec<_> = waits.collect();
        (*waits.iter().min().unwrap(), *waits.iter().max().unwrap())
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_first_wait_is_anywhere_below_a_second() {
        let (low, high) = spread(Because::Started, |_| {});
        assert!(low < SECOND / 100 && high > SECOND * 99 / 100 && high <= SECOND, "{low:?} to {high:?}");
    }

    #[test]
    fn waits_double_to_a_minute_and_stay_there() {
        for (failures, ceiling) in [(1, 2), (2, 4), (5, 32), (6, 60), (40, 60)] {
            let (low, high) = spread(Because::Failed, |redial| {
                for _ in 0..failures {
                    redial.wait(Because::Failed, Millis(0), &mut Shortest);
                }
            });
            let ceiling = Duration::from_secs(ceiling);
            assert!(
                low < ceiling / 50 && high > ceiling * 49 / 50 && high <= ceiling,
                "{failures}: {low:?} to {high:?}"
            );
        }
    }

    fn failed_often_then_welcomed(redial: &mut Redial, at: u64) {
        for _ in 0..10 {
            redial.wait(Because::Failed, Millis(0), &mut Shortest);
        }
        redial.welcomed(Duration::from_secs(5), Millis(at));
    }

    #[test]
    fn a_welcome_alone_resets_nothing() {
        let (_, high) = spread(Because::Lost, |redial| failed_often_then_welcomed(redial, 99_000));
        assert!(high > SECOND * 50);
    }

    #[test]
    fn a_proven_or_stable_session_resets_and_its_window_counts() {
        let proven = spread(Because::Lost, |redial| {
            failed_often_then_welcomed(redial, 99_000);
            redial.proven();
        });
        let stable = spread(Because::Lost, |redial| failed_often_then_welcomed(redial, 70_000));
        let told_since = spread(Because::Lost, |redial| {
            redial.welcomed(SECOND, Millis::default());
            redial.proven();
            redial.spread_over(SECOND * 5);
        });
        for (low, high) in [proven, stable, told_since] {
            assert!(low < SECOND / 10 && high > SECOND * 4 && high <= SECOND * 5, "{low:?} to {high:?}");
        }
    }

    #[test]
    fn refusals_are_slow_but_never_final() {
        let refused = [Because::Unauthorized, Because::Goodbye(GoodbyeReason::Version)];
        for because in refused {
            let (low, high) = spread(because, |_| {});
            assert!(low >= SECOND * 840 && high <= SECOND * 960 && high - low > SECOND * 100);
        }
        let (low, high) = spread(Because::Goodbye(GoodbyeReason::Replaced), |_| {});
        assert!(low >= SECOND * 120 && high <= SECOND * 300);
    }

    #[test]
    fn a_drain_hint_is_obeyed_as_it_is() {
        let (low, high) = spread(Because::Drained(Duration::from_millis(1234)), |_| {});
        assert_eq!((low, high), (Duration::from_millis(1234), Duration::from_millis(1234)));
    }

    #[test]
    fn a_full_server_is_left_alone_for_as_long_as_it_asked() {
        let (low, high) = spread(Because::RetryAfter(SECOND * 10), |_| {});
        assert!(low >= SECOND * 10 && high <= SECOND * 11);
    }
}
