//! What is shown of a comparison: latency, processor time and rate of every system under every load, and the ratios.
//!
//! A round that is void counts for none of them; that there was one is said.

use std::collections::BTreeMap;

use macloud_loadtest::sample::Sample;

use super::html::{self, Cell, Figure, Table};
use super::plot::{self, Bar, Bars, Row, Style};
use super::results::{Compare, Ratio};
use super::statistics::Spread;

/// For the page.
pub(super) fn html(found: &Compare) -> String {
    let mut out = String::new();
    if found.rounds.is_empty() {
        out += &html::paragraph(NOTHING);
    }
    if !found.ratios.is_empty() {
        out += &html::heading(3, "Ratios");
        out += &ratios_figure(found);
    }
    for load in found.all_loads() {
        let measured = Measured::under(found, load);
        if measured.is_empty() {
            continue;
        }
        out += &html::heading(3, &format!("Load: {load}"));
        let figures: String = MEASURES.iter().map(|measure| measure.figure(load, &measured)).collect();
        out += &html::figures(false, &figures);
        out += &outcomes_table(load, &measured).html();
        out += &html::list(&remarks(&measured));
    }
    out
}

/// For a terminal.
pub(super) fn text(found: &Compare) -> String {
    let mut parts = Vec::new();
    if found.rounds.is_empty() {
        parts.push(NOTHING.to_owned());
    }
    for load in found.all_loads() {
        let measured = Measured::under(found, load);
        parts.extend(MEASURES.iter().map(|measure| measure.table(load, &measured).text()));
        parts.push(outcomes_table(load, &measured).text());
        parts.push(remarks(&measured).join("\n"));
    }
    parts.push(ratios_table(found).text());
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

/// One system under one load.
struct Measured<'a> {
    subject: &'a str,
    /// Of every round, void ones too.
    all: Vec<&'a Sample>,
}

impl<'a> Measured<'a> {
    /// Every system that was measured under this load.
    fn under(found: &'a Compare, load: &str) -> Vec<Self> {
        let of = |subject: &'a str| {
            let rounds = found.rounds.iter().filter(|round| round.load == load && round.subject == subject);
            Self { subject, all: rounds.map(|round| &round.sample).collect() }
        };
        found.all_subjects().into_iter().map(of).filter(|measured| !measured.all.is_empty()).collect()
    }

    /// Of the rounds that count and where the figure means anything.
    fn spread(&self, figure: Reading) -> Option<Spread> {
        let counted = self.all.iter().filter(|sample| sample.void.is_none());
        Spread::of(counted.filter_map(|sample| figure(sample)))
    }

    fn median(&self, figure: Reading) -> Option<f64> {
        self.spread(figure).map(|spread| spread.median)
    }

    fn void(&self) -> usize {
        self.all.iter().filter(|sample| sample.void.is_some()).count()
    }
}

/// What a sample says, where it says anything.
type Reading = fn(&Sample) -> Option<f64>;

/// Something that is measured of every system.
struct Measure {
    title: &'static str,
    unit: &'static str,
    head: &'static [&'static str],
    /// One bar each: how it is called beside others, and what it shows.
    bars: &'static [(&'static str, Style, Reading)],
}

const MEASURES: [Measure; 3] = [
    Measure {
        title: "Latency",
        unit: "p50 and p99 in ms",
        head: &["system", "p50 ms", "lowest", "highest", "p99 ms", "lowest", "highest", "rounds"],
        bars: &[("p50", Style::First, p50_ms), ("p99", Style::Second, p99_ms)],
    },
    Measure {
        title: "Processor time of the servers for each command",
        unit: "µs for each command",
        head: &["system", "CPU µs", "lowest", "highest", "rounds"],
        bars: &[("", Style::First, server_micros)],
    },
    Measure {
        title: "Commands done",
        unit: "commands/s",
        head: &["system", "per second", "lowest", "highest", "rounds"],
        bars: &[("", Style::First, per_second)],
    },
];

impl Measure {
    fn figure(&self, load: &str, all: &[Measured<'_>]) -> String {
        let row = |measured: &Measured<'_>| -> Vec<Bar> {
            let bar = |&(label, style, figure): &(&'static str, Style, Reading)| Bar {
                label,
                style,
                spread: measured.spread(figure),
            };
            self.bars.iter().map(bar).collect()
        };
        let rows = all.iter().map(|measured| Row { name: measured.subject, bars: row(measured) }).collect();
        let bars = Bars { rows, measure: self.unit };
        let mut says = format!("Median of {}, whiskers from the lowest to the highest.", rounds(all));
        if bars.axis().logarithmic {
            says += " The axis is logarithmic: lengths are not in proportion.";
        }
        let title = format!("{}, {load}", self.title);
        let svg = bars.svg(&format!("{title}. {says} The table below has the numbers."));
        Figure { title: &title, says: &says, svg: &svg, table: &self.table(load, all), open: false }.html()
    }

    fn table(&self, load: &str, all: &[Measured<'_>]) -> Table {
        let row = |measured: &Measured<'_>| {
            let mut row: Vec<Cell> = vec![measured.subject.into()];
            let mut count = 0;
            for (_, _, figure) in self.bars {
                let spread = measured.spread(*figure);
                count = spread.map_or(0, |spread| spread.count);
                let of = |part: fn(Spread) -> f64| Cell::from(spread.map(part));
                row.extend([of(|spread| spread.median), of(|spread| spread.low), of(|spread| spread.high)]);
            }
            row.push(count.into());
            row
        };
        Table::new(&format!("{}, {load}", self.title), self.head, all.iter().map(row).collect())
    }
}

fn p50_ms(sample: &Sample) -> Option<f64> {
    (sample.latency.count() > 0).then(|| sample.latency.millis_at(0.5))
}

fn p99_ms(sample: &Sample) -> Option<f64> {
    (sample.latency.count() > 0).then(|| sample.latency.millis_at(0.99))
}

fn server_micros(sample: &Sample) -> Option<f64> {
    (sample.outcomes.done > 0 && !sample.servers.is_empty()).then(|| sample.server_micros())
}

fn per_second(sample: &Sample) -> Option<f64> {
    Some(sample.per_second())
}

fn generator_micros(sample: &Sample) -> Option<f64> {
    (sample.outcomes.done > 0).then_some(sample.generator_cpu_ms * 1000.0 / sample.outcomes.done as f64)
}

fn lateness_ms(sample: &Sample) -> Option<f64> {
    (sample.lateness.count() > 0).then(|| sample.lateness.millis_at(0.99))
}

fn memory_mib(sample: &Sample) -> Option<f64> {
    let kib: u64 = sample.servers.iter().map(|cost| cost.resident_kib).sum();
    (!sample.servers.is_empty()).then_some(kib as f64 / 1024.0)
}

/// How many rounds count, of the system with the fewest and of that with the most.
fn rounds(all: &[Measured<'_>]) -> String {
    let counts = all.iter().map(|measured| measured.all.len() - measured.void());
    let (fewest, most) = (counts.clone().min().unwrap_or(0), counts.max().unwrap_or(0));
    match (fewest, most) {
        (1, 1) => "1 round".into(),
        _ if fewest == most => format!("{most} rounds"),
        _ => format!("{fewest} to {most} rounds"),
    }
}

/// How the commands of all rounds ended, and what the measurement itself cost.
fn outcomes_table(load: &str, all: &[Measured<'_>]) -> Table {
    let head = [
        "system",
        "done",
        "refused",
        "unknown",
        "wrong",
        "server MiB",
        "generator CPU µs",
        "late p99 ms",
        "rounds",
        "void",
    ];
    let row = |measured: &Measured<'_>| -> Vec<Cell> {
        let sum = |reasons: fn(&Sample) -> u64| measured.all.iter().map(|sample| reasons(sample)).sum::<u64>();
        vec![
            measured.subject.into(),
            sum(|sample| sample.outcomes.done).into(),
            sum(|sample| sample.outcomes.refused.values().sum()).into(),
            sum(|sample| sample.outcomes.unknown.values().sum()).into(),
            sum(|sample| sample.outcomes.wrong.values().sum()).into(),
            measured.median(memory_mib).into(),
            measured.median(generator_micros).into(),
            measured.median(lateness_ms).into(),
            measured.all.len().into(),
            measured.void().into(),
        ]
    };
    let caption = format!("Outcomes of all rounds, with medians of what counts, {load}");
    Table::new(&caption, &head, all.iter().map(row).collect())
}

/// Why commands were not done, and why rounds do not count.
fn remarks(all: &[Measured<'_>]) -> Vec<String> {
    let mut lines = Vec::new();
    for measured in all {
        let mut reasons: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for sample in &measured.all {
            let outcomes = &sample.outcomes;
            for (kind, of) in
                [("refused", &outcomes.refused), ("unknown", &outcomes.unknown), ("wrong", &outcomes.wrong)]
            {
                for (reason, count) in of {
                    *reasons.entry((kind, reason.as_str())).or_default() += count;
                }
            }
        }
        let subject = measured.subject;
        lines.extend(
            reasons.into_iter().map(|((kind, reason), count)| format!("{subject}: {count} × {kind}: {reason}")),
        );
        let void = measured.all.iter().filter_map(|sample| sample.void.as_deref());
        lines.extend(void.map(|reason| format!("{subject}: a round does not count: {reason}")));
    }
    lines
}

fn ratios_table(found: &Compare) -> Table {
    let head = ["ratio", "verdict", "gate", "goal", "median", "lowest", "highest", "rounds"];
    let row = |ratio: &Ratio| -> Vec<Cell> {
        let bound =
            |bound: Option<f64>| bound.map_or_else(|| "–".into(), |bound| bound_text(ratio.better.sign(), bound));
        let known = |value: f64| Cell::from((!ratio.values.is_empty()).then_some(value));
        vec![
            ratio.name.as_str().into(),
            Cell::Verdict(ratio.holds),
            Cell::Text(bound(ratio.gate)),
            Cell::Text(bound(ratio.goal)),
            known(ratio.median),
            known(ratio.low),
            known(ratio.high),
            ratio.values.len().into(),
        ]
    };
    Table::new("Ratios within each round", &head, found.ratios.iter().map(row).collect())
}

/// As it was set: a bound of 1.25 is not rounded to 1.3.
fn bound_text(sign: &str, bound: f64) -> String {
    format!("{sign} {bound}")
}

/// Where there is no gate at all, only the table.
fn ratios_figure(found: &Compare) -> String {
    let table = ratios_table(found);
    if plot::gated(&found.ratios).next().is_none() {
        return table.html();
    }
    let title = "Ratios, their gates and goals";
    let mut says = "Each ratio divided by its gate, which is the thick line. Each small dot is one round, the large one the \
                    median of all; whiskers reach from the lowest to the highest. The ring is the goal. To the right is the \
                    median itself."
        .to_owned();
    if plot::ratios_axis(&found.ratios).logarithmic {
        says += " The axis is logarithmic.";
    }
    let svg = plot::ratios(&found.ratios, &format!("{title}. {says} The table below has the numbers."));
    Figure { title, says: &says, svg: &svg, table: &table, open: true }.html()
}

const NOTHING: &str = "Nothing was measured.";

#[cfg(test)]
mod tests {
    use super::super::results::samples;
    use super::*;

    #[test]
    fn void_rounds_do_not_count() {
        let found = samples::compared();
        let measured = Measured::under(&found, "closed, 1 in flight");
        let theirs = measured.iter().find(|measured| measured.subject == "theirs").unwrap();
        let spread = theirs.spread(p50_ms).unwrap();
        assert_eq!((spread.count, theirs.all.len(), theirs.void()), (2, 3, 1));
        assert!((spread.median - 4.55).abs() < 0.02 && (spread.high - 5.05).abs() < 0.02, "{spread:?}");
        assert_eq!(rounds(&measured), "2 to 3 rounds");
        assert!(Measured::under(&found, "another load").is_empty());
    }

    #[test]
    fn what_was_not_done_has_no_latency() {
        let nothing = Sample { seconds: 1.0, ..Sample::default() };
        assert_eq!((p50_ms(&nothing), p99_ms(&nothing), server_micros(&nothing)), (None, None, None));
        assert_eq!((per_second(&nothing), generator_micros(&nothing), memory_mib(&nothing)), (Some(0.0), None, None));
        let sample = samples::sample(1);
        assert_eq!(
            (server_micros(&sample), per_second(&sample), memory_mib(&sample)),
            (Some(20.0), Some(50.0), Some(2.0))
        );
        assert_eq!((generator_micros(&sample), lateness_ms(&sample)), (Some(50.0), None));
    }

    #[test]
    fn the_text_has_medians_spreads_reasons_and_verdicts() {
        let text = text(&samples::compared());
        let lines: Vec<String> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        for line in [
            "Latency, closed, 1 in flight",
            "system p50 ms lowest highest p99 ms lowest highest rounds",
            "ours 3.05 2.05 4.05 3.10 2.10 4.10 3",
            "theirs 50.0 50.0 50.0 2",
            "theirs 300 7 0 0 2.00 50.0 – 3 1",
            "theirs: 7 × refused: busy",
            "theirs: a round does not count: the generator was late",
            "p50, ours ÷ theirs, closed, 1 in flight ✓ holds ≤ 1.25 ≤ 0.65 0.650 0.500 0.800 2",
            "commands/s, ours ÷ theirs ✗ broken ≥ 1.2 – 1.00 1.00 1.00 1",
            "across nodes ÷ within one not judged – – – – – 0",
        ] {
            assert!(lines.iter().any(|found| found == line), "{line}\nis not in\n{text}");
        }
    }

    #[test]
    fn captions_state_the_spread() {
        let html = html(&samples::compared());
        assert!(html.contains("Median of 2 to 3 rounds, whiskers from the lowest to the highest."), "{html}");
        assert_eq!(html.matches("<figure>").count(), 4);
    }
}
