//! What was measured, as numbers: medians of rounds, ratios of servers within a round, a table and a JSON document.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::load::Measured;

/// What is told of one load on one server, or the medians of several.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Figures {
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) worst_ms: f64,
    /// Processor time for each, of server and database.
    pub(crate) cpu_ms: f64,
    pub(crate) server_cpu_ms: f64,
    pub(crate) generator_cpu_ms: f64,
    pub(crate) resident_mib: f64,
    pub(crate) proportional_mib: f64,
    pub(crate) failures: f64,
}

/// How each figure is called in the JSON document.
const NAMES: [&str; 10] = [
    "per_second",
    "p50_ms",
    "p99_ms",
    "worst_ms",
    "cpu_ms_per_operation",
    "server_cpu_ms_per_operation",
    "generator_cpu_ms_per_operation",
    "resident_mib",
    "proportional_mib",
    "failures",
];

impl Figures {
    pub(crate) fn of(measured: &Measured) -> Self {
        let cost = &measured.cost;
        let each = |time: std::time::Duration| ratio(time.as_secs_f64() * 1000.0, measured.done as f64);
        Self {
            per_second: ratio(measured.done as f64, measured.elapsed.as_secs_f64()),
            p50_ms: measured.latencies.millis_at(0.5),
            p99_ms: measured.latencies.millis_at(0.99),
            worst_ms: measured.latencies.millis_at(1.0),
            cpu_ms: each(cost.server + cost.database),
            server_cpu_ms: each(cost.server),
            generator_cpu_ms: each(cost.generator),
            resident_mib: cost.resident_kib as f64 / 1024.0,
            proportional_mib: cost.proportional_kib as f64 / 1024.0,
            failures: measured.failures.count as f64,
        }
    }

    const fn all(&self) -> [f64; 10] {
        [
            self.per_second,
            self.p50_ms,
            self.p99_ms,
            self.worst_ms,
            self.cpu_ms,
            self.server_cpu_ms,
            self.generator_cpu_ms,
            self.resident_mib,
            self.proportional_mib,
            self.failures,
        ]
    }

    /// The median of each figure by itself; but failures are added up.
    fn median(rounds: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(rounds.iter().map(figure).collect());
        Self {
            per_second: of(|round| round.per_second),
            p50_ms: of(|round| round.p50_ms),
            p99_ms: of(|round| round.p99_ms),
            worst_ms: of(|round| round.worst_ms),
            cpu_ms: of(|round| round.cpu_ms),
            server_cpu_ms: of(|round| round.server_cpu_ms),
            generator_cpu_ms: of(|round| round.generator_cpu_ms),
            resident_mib: of(|round| round.resident_mib),
            proportional_mib: of(|round| round.proportional_mib),
            failures: rounds.iter().map(|round| round.failures).sum(),
        }
    }

    fn to_json(self) -> Value {
        NAMES.into_iter().zip(self.all().map(rounded)).collect()
    }
}

/// All rounds of everything.
#[derive(Default)]
pub(crate) struct Report {
    /// By load and server, in the order in which they were first measured.
    cells: Vec<(String, &'static str, Vec<Figures>)>,
    /// By load: what the first failure of a server was.
    first_failures: BTreeMap<(String, &'static str), String>,
    /// Whatever else was found out, by name.
    pub(crate) more: BTreeMap<&'static str, Value>,
}

impl Report {
    pub(crate) fn add(&mut self, load: &str, server: &'static str, measured: &Measured) {
        let figures = Figures::of(measured);
        if let Some(first) = &measured.failures.first {
            self.first_failures.entry((load.to_owned(), server)).or_insert_with(|| first.clone());
        }
        match self.cells.iter_mut().find(|(other, by, _)| (other.as_str(), *by) == (load, server)) {
            Some((_, _, rounds)) => rounds.push(figures),
            None => self.cells.push((load.to_owned(), server, vec![figures])),
        }
    }

    /// How many times as many operations a second `server` does as `other`: the median of the rounds' own ratios.
    fn times(&self, load: &str, server: &str, other: &str) -> Option<f64> {
        let rounds = |name: &str| {
            let cell = self.cells.iter().find(|(of, by, _)| of == load && *by == name);
            cell.map(|(_, _, rounds)| rounds)
        };
        let pairs = rounds(server)?.iter().zip(rounds(other)?);
        Some(median(pairs.map(|(mine, its)| ratio(mine.per_second, its.per_second)).collect()))
    }

    fn ratios<'a>(&'a self, server: &'a str, other: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        let loads = self.cells.iter().filter(move |(_, by, _)| *by == server);
        loads.filter_map(move |(load, _, _)| Some((load.as_str(), self.times(load, server, other)?)))
    }

    pub(crate) fn to_json(&self, server: &str, other: &str) -> Value {
        let cells: Vec<Value> = self
            .cells
            .iter()
            .map(|(load, by, rounds)| {
                json!({
                    "load": load,
                    "server": by,
                    "median": Figures::median(rounds).to_json(),
                    "rounds": rounds.iter().map(|round| round.to_json()).collect::<Vec<_>>(),
                    "first_failure": self.first_failures.get(&(load.clone(), *by)),
                })
            })
            .collect();
        let ratios: Value = self.ratios(server, other).map(|(load, times)| (load.to_owned(), rounded(times))).collect();
        json!({ "cells": cells, "times_as_many_per_second": ratios, "more": self.more })
    }

    /// For people.
    pub(crate) fn to_text(&self, server: &str, other: &str) -> String {
        let mut lines = vec![format!(
            "{:<26} {:<19} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8} {:>8} {:>8} {:>8}",
            "medians", "", "ops/s", "p50 ms", "p99 ms", "worst ms", "CPU ms", "server", "client", "PSS MiB", "failed"
        )];
        for (load, by, rounds) in &self.cells {
            let f = Figures::median(rounds);
            lines.push(format!(
                "{load:<26} {by:<19} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>8.2} {:>8.2} {:>8.2} {:>8.0} {:>8}",
                f.per_second,
                f.p50_ms,
                f.p99_ms,
                f.worst_ms,
                f.cpu_ms,
                f.server_cpu_ms,
                f.generator_cpu_ms,
                f.proportional_mib,
                f.failures
            ));
        }
        for (load, times) in self.ratios(server, other) {
            lines.push(format!("{load:<26} {server} does {times:.2} times as many a second as {other}"));
        }
        lines.extend(self.more.iter().map(|(name, value)| format!("{name}: {value}")));
        for ((load, by), failure) in &self.first_failures {
            lines.push(format!("first failure of {by} at {load}: {failure}"));
        }
        lines.join("\n")
    }
}

/// The middle one; of an even number, the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

fn ratio(value: f64, by: f64) -> f64 {
    if by > 0.0 { value / by } else { 0.0 }
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use macloud_loadtest::latencies::Latencies;

    use super::super::load::{Cost, Failures};
    use super::*;

    fn measured(done: u64, millis: u64) -> Measured {
        let mut latencies = Latencies::default();
        latencies.record(Duration::from_millis(millis));
        let cost = Cost {
            server: Duration::from_millis(20),
            database: Duration::from_millis(30),
            generator: Duration::from_millis(10),
            resident_kib: 2048,
            proportional_kib: 1024,
        };
        Measured { elapsed: Duration::from_secs(2), done, latencies, failures: Failures::default(), cost }
    }

    #[test]
    fn figures_are_per_operation_and_second() {
        let figures = Figures::of(&measured(100, 7));
        assert_eq!((figures.per_second, figures.cpu_ms, figures.server_cpu_ms), (50.0, 0.5, 0.2));
        assert_eq!((figures.generator_cpu_ms, figures.resident_mib, figures.proportional_mib), (0.1, 2.0, 1.0));
        assert!((figures.p50_ms - 7.0).abs() < 0.01);
        let none = Figures::of(&measured(0, 1));
        assert_eq!((none.per_second, none.cpu_ms), (0.0, 0.0));
    }

    #[test]
    fn medians() {
        assert_eq!(median(vec![]), 0.0);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn a_ratio_is_that_of_the_middle_round() {
        let mut report = Report::default();
        for (ours, theirs) in [(100, 50), (300, 100), (10, 10)] {
            report.add("refresh, 1 in flight", "ours", &measured(ours, 1));
            report.add("refresh, 1 in flight", "theirs", &measured(theirs, 1));
        }
        report.add("only ours", "ours", &measured(1, 1));
        assert_eq!(report.times("refresh, 1 in flight", "ours", "theirs"), Some(2.0));
        assert_eq!(report.times("only ours", "ours", "theirs"), None);
        let json = report.to_json("ours", "theirs");
        assert_eq!(json["times_as_many_per_second"], json!({"refresh, 1 in flight": 2.0}));
        assert_eq!(json["cells"][0]["median"]["per_second"], 50.0);
        assert_eq!(json["cells"][0]["rounds"].as_array().unwrap().len(), 3);
        assert!(report.to_text("ours", "theirs").contains("ours does 2.00 times as many"));
    }

    #[test]
    fn failures_are_added_up_and_the_first_is_told() {
        let mut report = Report::default();
        for text in ["503", "500"] {
            let mut one = measured(1, 1);
            one.failures.note(&anyhow::anyhow!(text));
            report.add("x", "ours", &one);
        }
        let json = report.to_json("ours", "theirs");
        assert_eq!(json["cells"][0]["median"]["failures"], 2.0);
        assert_eq!(json["cells"][0]["first_failure"], "503");
    }
}
