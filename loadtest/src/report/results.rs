//! What a comparison or a scenario has found: written as JSON where it was measured, read where it is reported.

use std::collections::BTreeMap;

use macloud_loadtest::sample::Sample;
use serde::{Deserialize, Serialize};

use super::statistics::Spread;

/// One document.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Results {
    /// Of `loadtest compare`.
    Compare(Compare),
    /// Of `loadtest scenario`.
    Scenario(Box<Scenario>),
}

/// On what it was measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// Processors that the system offers.
    pub(crate) cores: usize,
    /// Load averages over 1, 5 and 15 minutes, as the system tells them.
    pub(crate) load_before: String,
    /// See `load_before`.
    pub(crate) load_after: String,
    /// Of MA Cloud.
    pub(crate) version: String,
}

/// Several systems under the same loads, in rounds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Compare {
    /// On what it was measured.
    pub(crate) machine: Machine,
    /// The systems, in the order in which they are to be shown.
    pub(crate) subjects: Vec<String>,
    /// The loads, such as `closed, 1 in flight`, in the order in which they are to be shown.
    pub(crate) loads: Vec<String>,
    /// Every measurement, in the order in which it was made.
    pub(crate) rounds: Vec<Round>,
    /// What is judged.
    pub(crate) ratios: Vec<Ratio>,
}

/// One measurement of one system under one load.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Round {
    /// Which system.
    pub(crate) subject: String,
    /// Which load.
    pub(crate) load: String,
    /// What was found.
    pub(crate) sample: Sample,
}

/// How one figure relates to another that was measured beside it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ratio {
    /// Of what to what, and under which load.
    pub(crate) name: String,
    /// Which way is better.
    pub(crate) better: Better,
    /// What must be reached.
    pub(crate) gate: Option<f64>,
    /// What we would like to reach.
    pub(crate) goal: Option<f64>,
    /// One for each round that counts.
    pub(crate) values: Vec<f64>,
    /// Of `values`; zero when there are none.
    pub(crate) median: f64,
    /// The lowest of `values`.
    pub(crate) low: f64,
    /// The highest of `values`.
    pub(crate) high: f64,
    /// Whether the median reaches the gate; nothing where there is no gate, or it may not be judged.
    pub(crate) holds: Option<bool>,
}

/// Which way a ratio is better.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Better {
    /// A cost: at most the gate.
    #[default]
    Lower,
    /// A yield: at least the gate.
    Higher,
}

/// One system, to which something happens.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Scenario {
    /// On what it was measured.
    pub(crate) machine: Machine,
    /// What is played.
    pub(crate) name: String,
    /// Whatever must be known to play it again.
    pub(crate) settings: BTreeMap<String, String>,
    /// What the callers saw, from the beginning to the end.
    pub(crate) sample: Sample,
    /// How homes came back, where they were lost.
    pub(crate) recovery: Option<Recovery>,
    /// What was done to the system, and when.
    pub(crate) marks: Vec<Mark>,
    /// What had to hold.
    pub(crate) checks: Vec<Check>,
    /// Seconds since the beginning, and resident memory of the system's processes in KiB.
    pub(crate) memory: Vec<(f64, u64)>,
}

/// How homes come back after a fault.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Recovery {
    /// How many there are.
    pub(crate) homes: usize,
    /// When the fault was, in seconds since the beginning.
    pub(crate) began_s: f64,
    /// Seconds since the fault, and how many homes were connected then.
    pub(crate) points: Vec<(f64, usize)>,
    /// Seconds from the fault until half of the homes were connected again, if they ever were.
    pub(crate) t50_s: Option<f64>,
    /// The same for nine in ten.
    pub(crate) t90_s: Option<f64>,
    /// The same for 99 in a hundred.
    pub(crate) t99_s: Option<f64>,
}

/// Something that happened at a certain time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// Seconds since the beginning.
    pub(crate) at_s: f64,
    /// What it was.
    pub(crate) text: String,
}

/// Something that had to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Check {
    /// What is checked.
    pub(crate) name: String,
    /// What was found, with its unit.
    pub(crate) found: String,
    /// What was demanded, with its unit.
    pub(crate) gate: String,
    /// Whether it holds.
    pub(crate) holds: bool,
}

impl Ratio {
    /// Of one value for each round that counts. Judged if there is a gate and at least one value.
    pub(crate) fn of(name: String, better: Better, gate: Option<f64>, goal: Option<f64>, values: Vec<f64>) -> Self {
        let spread = Spread::of(values.iter().copied());
        let Spread { low, median, high, .. } = spread.unwrap_or_default();
        let holds = gate.filter(|_| spread.is_some()).map(|gate| better.reaches(median, gate));
        Self { name, better, gate, goal, values, median, low, high, holds }
    }
}

impl Better {
    /// Whether `value` is as good as `bound` or better.
    pub(crate) fn reaches(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Lower => value <= bound,
            Self::Higher => value >= bound,
        }
    }

    /// How a bound of it is written.
    pub(crate) const fn sign(self) -> &'static str {
        match self {
            Self::Lower => "≤",
            Self::Higher => "≥",
        }
    }
}

impl Compare {
    /// The systems in their order; those that are only in rounds come last.
    pub(crate) fn all_subjects(&self) -> Vec<&str> {
        listed_first(&self.subjects, self.rounds.iter().map(|round| round.subject.as_str()))
    }

    /// The loads in their order; those that are only in rounds come last.
    pub(crate) fn all_loads(&self) -> Vec<&str> {
        listed_first(&self.loads, self.rounds.iter().map(|round| round.load.as_str()))
    }
}

fn listed_first<'a>(listed: &'a [String], others: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = listed.iter().map(String::as_str).collect();
    for name in others {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Made-up results for tests.
#[cfg(test)]
pub(crate) mod samples {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use macloud_loadtest::sample::{Cost, Sample, Second};

    use super::{Better, Check, Compare, Machine, Mark, Ratio, Recovery, Results, Round, Scenario};

    pub(crate) fn machine() -> Machine {
        Machine {
            cores: 2,
            load_before: "0.1 0.2 0.3".into(),
            load_after: "1.5 0.4 0.3".into(),
            version: "0.1.0".into(),
        }
    }

    /// All commands of it take about so many milliseconds.
    pub(crate) fn sample(millis: u64) -> Sample {
        let mut sample = Sample { seconds: 2.0, generator_cpu_ms: 5.0, ..Sample::default() };
        sample.outcomes.done = 100;
        for extra in 0..100 {
            sample.latency.record(Duration::from_micros(millis * 1000 + extra));
        }
        sample.servers = vec![Cost { name: "relay".into(), cpu_ms: 2.0, resident_kib: 2048 }];
        sample
    }

    pub(crate) fn round(subject: &str, millis: u64) -> Round {
        Round { subject: subject.into(), load: "closed, 1 in flight".into(), sample: sample(millis) }
    }

    pub(crate) fn compared() -> Compare {
        let mut rounds: Vec<Round> =
            [("ours", 2), ("theirs", 4), ("theirs", 90), ("ours", 3), ("ours", 4), ("theirs", 5)]
                .map(|(s, m)| round(s, m))
                .into();
        rounds[2].sample.void = Some("the generator was late".into());
        rounds[5].sample.outcomes.refused.insert("busy".into(), 7);
        let name = "p50, ours ÷ theirs, closed, 1 in flight";
        Compare {
            machine: machine(),
            subjects: vec!["ours".into(), "theirs".into()],
            loads: vec!["closed, 1 in flight".into()],
            rounds,
            ratios: vec![
                Ratio::of(name.into(), Better::Lower, Some(1.25), Some(0.65), vec![0.5, 0.8]),
                Ratio::of("commands/s, ours ÷ theirs".into(), Better::Higher, Some(1.2), None, vec![1.0]),
                Ratio::of("across nodes ÷ within one".into(), Better::Lower, None, None, vec![]),
            ],
        }
    }

    pub(crate) fn comparison() -> Results {
        Results::Compare(compared())
    }

    pub(crate) fn played() -> Scenario {
        let second = |number: usize| {
            let lost = (3..5).contains(&number);
            let (done, not_done) = if lost { (0, 10) } else { (10, 0) };
            let slow = if lost { 0.0 } else { 1.0 };
            Second {
                done,
                not_done,
                p50_ms: slow,
                p99_ms: 3.0 * slow,
                max_ms: 90.0 * slow,
                connected: Some(if lost { 50 } else { 100 }),
            }
        };
        let mut sample = sample(1);
        sample.seconds = 10.0;
        sample.timeline = (0..10).map(second).collect();
        sample.outcomes.unknown.insert("the node went away".into(), 20);
        Scenario {
            machine: machine(),
            name: "a node is killed".into(),
            settings: BTreeMap::from([("homes".into(), "100".into())]),
            sample,
            recovery: Some(Recovery {
                homes: 100,
                began_s: 3.0,
                points: vec![(0.0, 50), (1.0, 50), (2.0, 95), (3.0, 98)],
                t50_s: Some(0.0),
                t90_s: Some(1.9),
                t99_s: None,
            }),
            marks: vec![
                Mark { at_s: 3.0, text: "node b is killed".into() },
                Mark { at_s: 3.1, text: "its address is gone".into() },
            ],
            checks: vec![Check {
                name: "done twice".into(),
                found: "0 commands".into(),
                gate: "0 commands".into(),
                holds: true,
            }],
            memory: vec![(0.0, 48_000), (60.0, 48_010), (120.0, 48_020)],
        }
    }

    pub(crate) fn scenario() -> Results {
        Results::Scenario(Box::new(played()))
    }

    pub(crate) fn nothing_compared() -> Results {
        Results::Compare(Compare::default())
    }

    pub(crate) fn nothing_happened() -> Results {
        let recovery = Some(Recovery::default());
        Results::Scenario(Box::new(Scenario { recovery, memory: vec![(0.0, 0)], ..Scenario::default() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let all =
            [samples::comparison(), samples::scenario(), samples::nothing_compared(), samples::nothing_happened()];
        for results in all {
            let written = serde_json::to_string(&results).unwrap();
            let read: Results = serde_json::from_str(&written).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), written);
        }
        let document = serde_json::to_value(samples::scenario()).unwrap();
        assert_eq!(document["kind"], "scenario");
        assert_eq!(document["memory"][1][1], 48_010);
    }

    #[test]
    fn a_ratio_is_judged_by_its_median() {
        let judged = |better, gate, values: &[f64]| Ratio::of("x".into(), better, gate, None, values.to_vec()).holds;
        assert_eq!(judged(Better::Lower, Some(1.25), &[9.0, 1.25, 1.0]), Some(true));
        assert_eq!(judged(Better::Lower, Some(1.25), &[1.3]), Some(false));
        assert_eq!(judged(Better::Higher, Some(3.0), &[2.9]), Some(false));
        assert_eq!(judged(Better::Higher, Some(3.0), &[2.9, 3.1, 3.0]), Some(true));
        assert_eq!(judged(Better::Lower, None, &[1.0]), None);
        assert_eq!(judged(Better::Lower, Some(1.0), &[]), None);
    }

    #[test]
    fn what_is_not_listed_is_shown_last() {
        let mut found = Compare { subjects: vec!["b".into()], ..Compare::default() };
        found.rounds = ["a", "b", "a"].map(|name| samples::round(name, 1)).into();
        assert_eq!(found.all_subjects(), ["b", "a"]);
        assert_eq!(found.all_loads(), ["closed, 1 in flight"]);
    }
}
