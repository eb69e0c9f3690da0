//! Is the home still there? Pings after silence, and at once when something is suspicious.

use std::time::Duration;

use super::RelaySettings;
use crate::random::{Random, between};
use crate::time::Micros;

#[derive(Debug)]
pub(super) struct Liveness {
    last_heard: Micros,
    last_sent: Micros,
    interval: Duration,
    /// A ping is out; the home is dead unless anything arrives before this.
    dead_at: Option<Micros>,
    /// When the last ping went out.
    pinged_at: Micros,
    /// How long the way to the home and back took when that was measured last.
    round_trip: Duration,
}

impl Liveness {
    pub(super) fn new(settings: &RelaySettings, now: Micros, random: &mut dyn Random) -> Self {
        let interval = between(settings.ping_min, settings.ping_max, random);
        Self { last_heard: now, last_sent: now, interval, dead_at: None, pinged_at: now, round_trip: Duration::ZERO }
    }

    /// The home has said hello, and so long the way to it and back took meanwhile.
    pub(super) const fn greeted(&mut self, after: Duration) {
        self.round_trip = after;
    }

    /// A pong has come. Whether anybody waited for it.
    pub(super) fn ponged(&mut self, now: Micros) -> bool {
        let waited = self.dead_at.is_some();
        if waited {
            self.round_trip = now.since(self.pinged_at);
        }
        self.heard(now);
        waited
    }

    pub(super) fn heard(&mut self, now: Micros) {
        self.last_heard = now;
        self.dead_at = None;
    }

    pub(super) fn sent(&mut self, now: Micros) {
        self.last_sent = now;
    }

    /// Silence of either direction counts: a home that only talks must hear something too, or it would redial.
    fn ping_due(&self) -> Micros {
        self.last_heard.min(self.last_sent).plus(self.interval)
    }

    pub(super) fn next_check(&self) -> Micros {
        self.dead_at.unwrap_or_else(|| self.ping_due())
    }

    pub(super) fn is_overdue(&self, now: Micros) -> bool {
        self.dead_at.is_some_and(|at| now >= at)
    }

    /// Whether to ping now because of silence.
    pub(super) fn ping_if_due(&mut self, now: Micros, settings: &RelaySettings, random: &mut dyn Random) -> bool {
        if self.dead_at.is_some() || now < self.ping_due() {
            return false;
        }
        self.interval = between(settings.ping_min, settings.ping_max, random);
        self.dead_at = Some(now.plus(settings.pong_limit));
        self.pinged_at = now;
        true
    }

    /// Something was written and not confirmed within [`RelaySettings::confirm_limit`]: whether to ping now. Shortens the wait for a
    /// ping that is already out.
    pub(super) fn probe(&mut self, now: Micros, settings: &RelaySettings) -> bool {
        let dead_at = now.plus(self.patience(settings));
        let out = self.dead_at.replace(self.dead_at.map_or(dead_at, |at| at.min(dead_at)));
        if out.is_none() {
            self.pinged_at = now;
        }
        out.is_none()
    }

    /// On a slow line, until two round trips have passed since it was written: who is given up there is given up with every command.
    fn patience(&self, settings: &RelaySettings) -> Duration {
        let two_round_trips = (self.round_trip * 2).saturating_sub(settings.confirm_limit);
        two_round_trips.clamp(settings.probe_limit, settings.pong_limit.max(settings.probe_limit))
    }
}
