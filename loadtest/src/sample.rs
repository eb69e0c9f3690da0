//! What one measurement has found: machine-readable, and the input of every table and plot.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::latencies::Latencies;

/// How a command ended, as its caller saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The home's own reply to this very command came back.
    Done,
    /// It was refused before anything reached the home, for this reason.
    Refused(String),
    /// It may have reached the home, for this reason nobody knows.
    Unknown(String),
    /// The wrong reply, or something that must not happen.
    Wrong(String),
}

/// One measurement of one system.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Sample {
    /// From the first command to the last answer, in seconds.
    pub seconds: f64,
    /// How the commands ended.
    pub outcomes: Outcomes,
    /// Of commands that were done, counted from when each was meant to start.
    pub latency: Latencies,
    /// How late the generator itself was. Empty in a closed loop, which starts when it can.
    pub lateness: Latencies,
    /// Why nothing may be concluded from this, if so.
    pub void: Option<String>,
    /// What the system's processes cost meanwhile.
    pub servers: Vec<Cost>,
    /// Processor time of the generator, which plays the callers and the homes, in milliseconds.
    pub generator_cpu_ms: f64,
    /// Second by second.
    pub timeline: Vec<Second>,
}

/// How many commands ended in which way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcomes {
    /// The home's reply came back.
    pub done: u64,
    /// By reason.
    pub refused: BTreeMap<String, u64>,
    /// By reason.
    pub unknown: BTreeMap<String, u64>,
    /// By what it was. Anything here is a fault.
    pub wrong: BTreeMap<String, u64>,
}

/// What one process of a system has cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Which process.
    pub name: String,
    /// Processor time during the measurement, in milliseconds.
    pub cpu_ms: f64,
    /// Memory at its end, in KiB.
    pub resident_kib: u64,
}

/// What was answered within one second of a measurement.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// Commands that were done.
    pub done: u64,
    /// Commands that were refused, unknown or wrong.
    pub not_done: u64,
    /// Of those that were done, in milliseconds.
    pub p50_ms: f64,
    /// See `p50_ms`.
    pub p99_ms: f64,
    /// See `p50_ms`.
    pub max_ms: f64,
    /// Homes that were connected at its end, where that is watched.
    pub connected: Option<usize>,
}

impl Outcomes {
    /// Count one.
    pub fn count(&mut self, outcome: &Outcome) {
        let (reasons, reason) = match outcome {
            Outcome::Done => {
                self.done += 1;
                return;
            }
            Outcome::Refused(reason) => (&mut self.refused, reason),
            Outcome::Unknown(reason) => (&mut self.unknown, reason),
            Outcome::Wrong(reason) => (&mut self.wrong, reason),
        };
        *reasons.entry(reason.clone()).or_default() += 1;
    }

    /// All that were answered.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.done + self.not_done()
    }

    /// All that were answered otherwise than by the home's reply.
    #[must_use]
    pub fn not_done(&self) -> u64 {
        [&self.refused, &self.unknown, &self.wrong].iter().flat_map(|reasons| reasons.values()).sum()
    }
}

impl Sample {
    /// Commands done in a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.outcomes.done as f64 / self.seconds } else { 0.0 }
    }

    /// Processor time of all the system's processes for one command that was done, in microseconds.
    #[must_use]
    pub fn server_micros(&self) -> f64 {
        let cpu: f64 = self.servers.iter().map(|cost| cost.cpu_ms).sum();
        if self.outcomes.done == 0 { 0.0 } else { cpu * 1000.0 / self.outcomes.done as f64 }
    }

    /// A generator that was late has measured itself: void if its p99 exceeds a tenth of the p99 that it reports.
    pub fn judge_lateness(&mut self) {
        let (late, reported) = (self.lateness.micros_at(0.99), self.latency.micros_at(0.99));
        if late > reported / 10.0 {
            self.void = Some(format!("the generator was late: p99 {late:.0} µs of {reported:.0} µs"));
        }
    }
}

/// Collects answers, second by second.
#[derive(Debug, Default)]
pub struct Recorder {
    outcomes: Outcomes,
    latency: Latencies,
    seconds: Vec<(u64, u64, Latencies)>,
    finished: Vec<Second>,
}

impl Recorder {
    /// One answer: so long after the measurement began, for a command that took so long.
    pub fn record(&mut self, at: Duration, outcome: &Outcome, took: Duration) {
        self.outcomes.count(outcome);
        let second = at.as_secs() as usize;
        // What belongs to seconds long gone is counted in the oldest that is still open: its histogram may be large.
        self.finish_before(second.saturating_sub(OPEN_SECONDS));
        let place = second.saturating_sub(self.finished.len());
        if self.seconds.len() <= place {
            self.seconds.resize_with(place + 1, Default::default);
        }
        let (done, not_done, latency) = &mut self.seconds[place];
        if *outcome == Outcome::Done {
            *done += 1;
            latency.record(took);
            self.latency.record(took);
        } else {
            *not_done += 1;
        }
    }

    /// The sample, but for what only the caller knows.
    #[must_use]
    pub fn into_sample(mut self, elapsed: Duration) -> Sample {
        self.finish_before(usize::MAX);
        Sample {
            seconds: elapsed.as_secs_f64(),
            outcomes: self.outcomes,
            latency: self.latency,
            timeline: self.finished,
            ..Sample::default()
        }
    }

    fn finish_before(&mut self, second: usize) {
        let count = second.saturating_sub(self.finished.len()).min(self.seconds.len());
        for (done, not_done, latency) in self.seconds.drain(..count) {
            let [p50_ms, p99_ms, max_ms] = [0.5, 0.99, 1.0].map(|quantile| latency.millis_at(quantile));
            self.finished.push(Second { done, not_done, p50_ms, p99_ms, max_ms, connected: None });
        }
    }
}

/// An answer may come this long after others of a later second.
const OPEN_SECONDS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn answers_are_counted_in_their_second() {
        let mut recorder = Recorder::default();
        recorder.record(MILLI * 100, &Outcome::Done, MILLI);
        recorder.record(MILLI * 2100, &Outcome::Refused("busy".into()), MILLI * 7);
        recorder.record(MILLI * 900, &Outcome::Done, MILLI * 3);
        let sample = recorder.into_sample(MILLI * 3000);
        let counts: Vec<_> = sample.timeline.iter().map(|second| (second.done, second.not_done)).collect();
        assert_eq!(counts, [(2, 0), (0, 0), (0, 1)]);
        assert_eq!((sample.outcomes.total(), sample.outcomes.refused["busy"], sample.latency.count()), (3, 1, 2));
        assert!((sample.timeline[0].max_ms - 3.0).abs() < 0.01);
    }

    #[test]
    fn a_long_run_keeps_few_histograms() {
        let mut recorder = Recorder::default();
        for second in 0..1000 {
            recorder.record(Duration::from_secs(second), &Outcome::Done, MILLI);
            assert!(recorder.seconds.len() <= OPEN_SECONDS + 1);
        }
        // Far too late: still counted.
        recorder.record(Duration::from_secs(5), &Outcome::Done, MILLI);
        let sample = recorder.into_sample(Duration::from_secs(1000));
        assert_eq!(
            (sample.timeline.len(), sample.timeline.iter().map(|second| second.done).sum::<u64>()),
            (1000, 1001)
        );
    }

    #[test]
    fn a_late_generator_voids_the_run() {
        let mut sample = Sample::default();
        sample.latency.record(MILLI);
        sample.lateness.record(MILLI / 20);
        sample.judge_lateness();
        assert_eq!(sample.void, None);
        sample.lateness.record(MILLI / 2);
        sample.judge_lateness();
        assert!(sample.void.is_some());
    }
}
