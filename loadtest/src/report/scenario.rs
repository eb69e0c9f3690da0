//! What is shown of a scenario: what had to hold, how the commands ended, and everything over time.

use macloud_loadtest::latencies::Latencies;
use macloud_loadtest::sample::{Sample, Second};

use super::axis::{Axis, number};
use super::html::{self, Cell, Figure, Table};
use super::plot::{Chart, Line, Style};
use super::results::{Recovery, Scenario};
use super::statistics::{Spread, Trend};

/// For the page.
pub(super) fn html(found: &Scenario) -> String {
    let mut out = String::new();
    if let Some(reason) = &found.sample.void {
        out += &html::warning(&void(reason));
    }
    let tables = [checks(found), outcomes(&found.sample), latencies(&found.sample), costs(&found.sample)];
    out += &tables.iter().map(Table::html).collect::<String>();
    out += &marks(found).html();
    let times = Times::of(found);
    let figures = [
        times.latency(),
        times.commands(),
        times.homes(),
        found.recovery.as_ref().map(recovery_figure).unwrap_or_default(),
        times.memory(&found.memory),
    ];
    out += &html::figures(true, &figures.concat());
    out + &settings(found).html()
}

/// For a terminal.
pub(super) fn text(found: &Scenario) -> String {
    let recovery = found.recovery.as_ref().map(|recovery| format!("{RECOVERY}: {}", recovery_says(recovery)));
    let memory = (!found.memory.is_empty()).then(|| format!("Memory: {}", memory_says(&in_float(&found.memory))));
    let mut parts = vec![
        found.sample.void.as_deref().map(void).unwrap_or_default(),
        settings(found).text(),
        marks(found).text(),
        outcomes(&found.sample).text(),
        latencies(&found.sample).text(),
        costs(&found.sample).text(),
        recovery.unwrap_or_default(),
        memory.unwrap_or_default(),
        checks(found).text(),
    ];
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

fn void(reason: &str) -> String {
    format!("Nothing may be concluded from this: {reason}")
}

fn checks(found: &Scenario) -> Table {
    let rows = found.checks.iter().map(|check| -> Vec<Cell> {
        let verdict = Cell::Verdict(Some(check.holds));
        vec![check.name.as_str().into(), verdict, check.found.as_str().into(), check.gate.as_str().into()]
    });
    Table::new("What had to hold", &["check", "verdict", "found", "gate"], rows.collect())
}

fn settings(found: &Scenario) -> Table {
    let rows =
        found.settings.iter().map(|(name, value)| -> Vec<Cell> { vec![name.as_str().into(), value.as_str().into()] });
    Table::new("Settings", &["setting", "value"], rows.collect())
}

fn marks(found: &Scenario) -> Table {
    let rows = found.marks.iter().zip(1_usize..).map(|(mark, number)| -> Vec<Cell> {
        vec![number.to_string().into(), Cell::Number(mark.at_s), mark.text.as_str().into()]
    });
    Table::new("What was done to the system: the marks in the plots", &["mark", "seconds", "what"], rows.collect())
}

fn outcomes(sample: &Sample) -> Table {
    let outcomes = &sample.outcomes;
    let mut rows: Vec<Vec<Cell>> = vec![vec!["done".into(), outcomes.done.into(), "".into()]];
    for (kind, reasons) in [("refused", &outcomes.refused), ("unknown", &outcomes.unknown), ("wrong", &outcomes.wrong)]
    {
        if reasons.is_empty() {
            rows.push(vec![kind.into(), 0_u64.into(), "".into()]);
        }
        for (reason, count) in reasons {
            rows.push(vec![kind.into(), (*count).into(), reason.as_str().into()]);
        }
    }
    let caption = format!(
        "Outcomes of {} commands in {} s, {} done a second",
        outcomes.total(),
        number(sample.seconds),
        number(sample.per_second())
    );
    Table::new(&caption, &["outcome", "commands", "reason"], rows)
}

fn latencies(sample: &Sample) -> Table {
    let row = |name: &str, times: &Latencies| {
        let mut row: Vec<Cell> = vec![name.into()];
        row.extend([0.5, 0.9, 0.99, 0.999, 1.0].map(|share| Cell::Number(times.millis_at(share))));
        row.push(times.count().into());
        row
    };
    let all = [("commands that were done", &sample.latency), ("lateness of the generator", &sample.lateness)];
    let rows = all.iter().filter(|(_, times)| times.count() > 0).map(|&(name, times)| row(name, times));
    Table::new("Latency in ms", &["", "p50", "p90", "p99", "p99.9", "max", "count"], rows.collect())
}

fn costs(sample: &Sample) -> Table {
    let each = |cpu_ms: f64| (sample.outcomes.done > 0).then_some(cpu_ms * 1000.0 / sample.outcomes.done as f64);
    let servers = sample.servers.iter().map(|cost| -> Vec<Cell> {
        let mib = cost.resident_kib as f64 / 1024.0;
        vec![cost.name.as_str().into(), cost.cpu_ms.into(), each(cost.cpu_ms).into(), mib.into()]
    });
    let generator: Vec<Cell> =
        vec!["generator".into(), sample.generator_cpu_ms.into(), each(sample.generator_cpu_ms).into(), f64::NAN.into()];
    let head = ["process", "CPU ms", "µs for each command", "MiB at the end"];
    Table::new("What it cost", &head, servers.chain([generator]).collect())
}

/// What is plotted second by second; of a long run, stretch by stretch.
struct Times<'a> {
    found: &'a Scenario,
    stretches: Vec<Stretch>,
    /// How many seconds each of them has; the last may have fewer.
    width: usize,
}

/// Some seconds as one.
#[derive(Debug, Clone, PartialEq)]
struct Stretch {
    /// Which second it begins with.
    begins: usize,
    /// Where its middle is, in seconds since the beginning.
    middle: f64,
    done_per_second: f64,
    not_done_per_second: f64,
    /// The middle one of its seconds; nothing if no command was done.
    p50_ms: Option<f64>,
    /// The highest of its seconds.
    p99_ms: Option<f64>,
    /// The highest of its seconds.
    max_ms: Option<f64>,
    /// The lowest of its seconds.
    connected: Option<f64>,
}

impl Stretch {
    fn of(begins: usize, seconds: &[Second]) -> Self {
        let count = seconds.len() as f64;
        let with_done = |figure: fn(&Second) -> f64| Spread::of(seconds.iter().filter(|s| s.done > 0).map(figure));
        Self {
            begins,
            middle: begins as f64 + count / 2.0,
            done_per_second: seconds.iter().map(|second| second.done).sum::<u64>() as f64 / count,
            not_done_per_second: seconds.iter().map(|second| second.not_done).sum::<u64>() as f64 / count,
            p50_ms: with_done(|second| second.p50_ms).map(|spread| spread.median),
            p99_ms: with_done(|second| second.p99_ms).map(|spread| spread.high),
            max_ms: with_done(|second| second.max_ms).map(|spread| spread.high),
            connected: seconds.iter().filter_map(|second| second.connected).min().map(|homes| homes as f64),
        }
    }
}

impl<'a> Times<'a> {
    fn of(found: &'a Scenario) -> Self {
        let seconds = &found.sample.timeline;
        let width = seconds.len().div_ceil(MOST_POINTS).max(1);
        let stretches =
            seconds.chunks(width).enumerate().map(|(number, chunk)| Stretch::of(number * width, chunk)).collect();
        Self { found, stretches, width }
    }

    /// Percentiles of what was done.
    fn latency(&self) -> String {
        let says = match self.width {
            1 => "p50, p99 and the slowest command of each second; where no command was done there is a gap.".into(),
            width => format!(
                "Of each {width} seconds the median of their p50s, the highest of their p99s and the slowest command; \
                 where no command was done there is a gap."
            ),
        };
        let parts: [Part; 3] =
            [("p50", |stretch| stretch.p50_ms), ("p99", |stretch| stretch.p99_ms), ("max", |stretch| stretch.max_ms)];
        let axis = Axis::fitting(parts.iter().flat_map(|(_, of)| self.stretches.iter().filter_map(of)));
        let head = ["second", "p50 ms", "p99 ms", "max ms"];
        self.figure("Latency over time", says, "ms", axis, &parts, &head)
    }

    fn commands(&self) -> String {
        let says = match self.width {
            1 => "Commands that were answered in each second: done, and refused, unknown or wrong.".into(),
            width => format!(
                "Commands that were answered, a second, in each {width} seconds: done, and refused, unknown or wrong."
            ),
        };
        let parts: [Part; 2] =
            [("done", |stretch| Some(stretch.done_per_second)), ("not", |stretch| Some(stretch.not_done_per_second))];
        let axis = Axis::from_zero(self.highest(&parts));
        self.figure("Commands done and not done", says, "commands/s", axis, &parts, &["second", "done/s", "not done/s"])
    }

    fn homes(&self) -> String {
        let says = match self.width {
            1 => "At the end of each second.".into(),
            width => format!("The fewest within each {width} seconds."),
        };
        let parts: [Part; 1] = [("homes", |stretch| stretch.connected)];
        if self.stretches.iter().all(|stretch| stretch.connected.is_none()) {
            return String::new();
        }
        let axis = Axis::from_zero(self.highest(&parts));
        self.figure("Connected homes", says, "homes", axis, &parts, &["second", "homes"])
    }

    fn highest(&self, parts: &[Part]) -> f64 {
        parts.iter().flat_map(|(_, of)| self.stretches.iter().filter_map(of)).fold(0.0, f64::max)
    }

    /// Nothing where there is no second.
    fn figure(
        &self,
        title: &str,
        mut says: String,
        unit: &str,
        axis: Axis,
        parts: &[Part],
        head: &[&'static str],
    ) -> String {
        if self.stretches.is_empty() {
            return String::new();
        }
        says += self.about_marks();
        let line = |(&(name, of), style): (&Part, Style)| {
            let points = self.stretches.iter().map(|stretch| (stretch.middle, of(stretch))).collect();
            Line { name, style, points }
        };
        let lines = parts.iter().zip(STYLES).map(line).collect();
        let until = self.found.sample.timeline.len() as f64;
        let svg =
            Chart { lines, axis, unit, time: SINCE_BEGINNING, until, marks: self.marks() }.svg(&aloud(title, &says));
        let row = |stretch: &Stretch| {
            let mut row: Vec<Cell> = vec![stretch.begins.to_string().into()];
            row.extend(parts.iter().map(|(_, of)| Cell::from(of(stretch))));
            row
        };
        let caption = match self.width {
            1 => title.to_owned(),
            width => format!("{title}, {width} seconds in each row"),
        };
        let table = Table::new(&caption, head, self.stretches.iter().map(row).collect());
        Figure { title, says: &says, svg: &svg, table: &table, open: false }.html()
    }

    fn marks(&self) -> Vec<(f64, String)> {
        self.found.marks.iter().zip(1_usize..).map(|(mark, number)| (mark.at_s, number.to_string())).collect()
    }

    fn about_marks(&self) -> &'static str {
        if self.found.marks.is_empty() { "" } else { " Dashed lines from top to bottom are the numbered marks." }
    }

    /// Resident memory with its trend. Nothing where it was not watched.
    fn memory(&self, all: &[(f64, u64)]) -> String {
        let points = thinned(&in_float(all));
        let Some(&(until, _)) = points.last() else { return String::new() };
        let mib = |kib: f64| kib / 1024.0;
        // Of all points, also where not all of them are drawn.
        let trend = Trend::of(&in_float(all));
        let measured = points.iter().map(|(at, kib)| (*at, Some(mib(*kib)))).collect();
        let mut lines = vec![Line { name: "RSS", style: Style::First, points: measured }];
        if let Some(trend) = trend {
            let ends = [points[0].0, until].map(|at| (at, Some(mib(trend.at(at)))));
            lines.push(Line { name: "trend", style: Style::Second, points: ends.to_vec() });
        }
        let axis = Axis::around(lines.iter().flat_map(|line| line.points.iter().filter_map(|(_, mib)| *mib)));
        let mut says = format!("Resident memory of the system's processes: {}", memory_says(&in_float(all)));
        if !axis.begins_at_zero() {
            says += " The axis does not begin at zero.";
        }
        says += self.about_marks();
        let title = "Memory";
        let chart = Chart { lines, axis, unit: "MiB", time: SINCE_BEGINNING, until, marks: self.marks() };
        let svg = chart.svg(&aloud(title, &says));
        let row = |(at, kib): &(f64, f64)| -> Vec<Cell> {
            let trend = trend.map(|trend| mib(trend.at(*at)));
            vec![seconds(*at).into(), Cell::Text(exact(mib(*kib))), Cell::Text(trend.map_or_else(|| "–".into(), exact))]
        };
        let table = Table::new(title, &["second", "MiB", "trend MiB"], points.iter().map(row).collect());
        Figure { title, says: &says, svg: &svg, table: &table, open: false }.html()
    }
}

/// How a line is called, and what it shows of each stretch.
type Part = (&'static str, fn(&Stretch) -> Option<f64>);

/// How homes came back. Nothing where nobody has looked.
fn recovery_figure(recovery: &Recovery) -> String {
    let points = thinned(&recovery.points.iter().map(|(at, homes)| (*at, *homes as f64)).collect::<Vec<_>>());
    let Some(&(until, _)) = points.last() else { return String::new() };
    let homes = recovery.homes as f64;
    let ends = |share: f64| vec![(0.0, Some(share * homes)), (until, Some(share * homes))];
    let lines = vec![
        Line {
            name: "homes",
            style: Style::First,
            points: points.iter().map(|(at, count)| (*at, Some(*count))).collect(),
        },
        Line { name: "all", style: Style::Third, points: ends(1.0) },
    ];
    let marks: Vec<(f64, String)> =
        times(recovery).iter().filter_map(|(name, at)| Some(((*at)?, (*name).to_owned()))).collect();
    let axis = Axis::from_zero(points.iter().map(|(_, count)| *count).fold(homes, f64::max));
    let says = format!(
        "Homes that were connected after the fault at {} s. {} Dashed lines from top to bottom are those times.",
        seconds(recovery.began_s),
        recovery_says(recovery)
    );
    let svg = Chart { lines, axis, unit: "homes", time: "seconds since the fault", until, marks }
        .svg(&aloud(RECOVERY, &says));
    let share = |count: f64| if homes > 0.0 { count / homes * 100.0 } else { f64::NAN };
    let row = |(at, count): &(f64, f64)| -> Vec<Cell> {
        vec![seconds(*at).into(), (*count as u64).into(), share(*count).into()]
    };
    let table = Table::new(RECOVERY, &["seconds since the fault", "homes", "%"], points.iter().map(row).collect());
    Figure { title: RECOVERY, says: &says, svg: &svg, table: &table, open: false }.html()
}

fn times(recovery: &Recovery) -> [(&'static str, Option<f64>); 3] {
    [("t50", recovery.t50_s), ("t90", recovery.t90_s), ("t99", recovery.t99_s)]
}

fn recovery_says(recovery: &Recovery) -> String {
    let part = |(name, at): (&str, Option<f64>)| {
        let share = name.trim_start_matches('t');
        at.map_or_else(|| format!("{share} % not reached"), |at| format!("{share} % after {} s ({name})", number(at)))
    };
    format!("Of {} homes {}.", recovery.homes, times(recovery).map(part).join(", "))
}

fn memory_says(points: &[(f64, f64)]) -> String {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return String::new() };
    let ends = format!("from {} to {} MiB", exact(first.1 / 1024.0), exact(last.1 / 1024.0));
    let span = last.0 - first.0;
    match Trend::of(points) {
        Some(Trend { slope, .. }) => {
            let sign = if slope < 0.0 { "−" } else { "+" };
            let minute = number(slope.abs() * 60.0);
            format!("{ends} in {} s; the trend by least squares is {sign}{minute} KiB a minute.", seconds(span))
        }
        None => format!("{ends}; too few points for a trend."),
    }
}

/// Evenly fewer points, where there are too many; the last one stays.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let every = points.len().div_ceil(MOST_POINTS).max(1);
    let mut kept: Vec<_> = points.iter().copied().step_by(every).collect();
    if points.len() % every != 1 && every > 1 {
        kept.extend(points.last());
    }
    kept
}

fn in_float(points: &[(f64, u64)]) -> Vec<(f64, f64)> {
    points.iter().map(|(at, value)| (*at, *value as f64)).collect()
}

/// For those who do not see a plot.
fn aloud(title: &str, says: &str) -> String {
    format!("{title}. {says} The table below has the numbers.")
}

/// Times in tables: hundredths matter, more do not.
fn seconds(value: f64) -> String {
    super::axis::round_number((value * 100.0).round() / 100.0)
}

/// Changes of memory are small beside memory.
fn exact(mib: f64) -> String {
    format!("{mib:.2}")
}

const RECOVERY: &str = "Homes that came back";
const SINCE_BEGINNING: &str = "seconds since the beginning";
const STYLES: [Style; 3] = [Style::First, Style::Second, Style::Third];
/// More cannot be told apart in a plot, nor read in a table.
const MOST_POINTS: usize = 240;

#[cfg(test)]
mod tests {
    use super::super::results::samples;
    use super::*;

    #[test]
    fn seconds_are_shown_one_by_one() {
        let found = samples::played();
        let times = Times::of(&found);
        assert_eq!((times.width, times.stretches.len()), (1, 10));
        assert_eq!((times.stretches[0].middle, times.stretches[0].p99_ms), (0.5, Some(3.0)));
        assert_eq!((times.stretches[3].p50_ms, times.stretches[3].not_done_per_second), (None, 10.0));
        assert_eq!(times.stretches[3].connected, Some(50.0));
        let latency = times.latency();
        html::check(&latency).unwrap();
        assert!(latency.contains(">1, 2</text>"), "marks that are near share a label: {latency}");
        assert!(latency.contains("<th scope=\"row\" class=\"text\">3</th><td>–</td><td>–</td><td>–</td>"), "{latency}");
    }

    #[test]
    fn a_long_run_is_shown_in_stretches() {
        let mut found = samples::played();
        let second = |number: u64| Second {
            done: number % 2,
            not_done: 1,
            p50_ms: number as f64,
            p99_ms: number as f64,
            max_ms: number as f64,
            connected: None,
        };
        found.sample.timeline = (0..600).map(second).collect();
        let times = Times::of(&found);
        assert_eq!((times.width, times.stretches.len()), (3, 200));
        // Seconds 3, 4 and 5; in the 4th nothing was done.
        let expected = Stretch {
            begins: 3,
            middle: 4.5,
            done_per_second: 2.0 / 3.0,
            not_done_per_second: 1.0,
            p50_ms: Some(4.0),
            p99_ms: Some(5.0),
            max_ms: Some(5.0),
            connected: None,
        };
        assert_eq!(times.stretches[1], expected);
        assert!(times.latency().contains("Of each 3 seconds"));
        assert_eq!(times.homes(), "");
    }

    #[test]
    fn the_trend_of_memory_is_told() {
        let points: Vec<_> = [(0.0, 48_000.0), (60.0, 48_010.0), (120.0, 48_020.0)].into();
        let says = "from 46.88 to 46.89 MiB in 120 s; the trend by least squares is +10.0 KiB a minute.";
        assert_eq!(memory_says(&points), says);
        assert_eq!(memory_says(&points[..1]), "from 46.88 to 46.88 MiB; too few points for a trend.");
        let figure = Times::of(&samples::played()).memory(&[(0.0, 48_000), (60.0, 47_000)]);
        html::check(&figure).unwrap();
        assert!(figure.contains("−1000 KiB a minute"), "{figure}");
        assert!(figure.contains("The axis does not begin at zero."));
    }

    #[test]
    fn recovery_tells_what_was_reached() {
        let recovery = samples::played().recovery.unwrap();
        assert_eq!(
            recovery_says(&recovery),
            "Of 100 homes 50 % after 0 s (t50), 90 % after 1.90 s (t90), 99 % not reached."
        );
        let figure = recovery_figure(&recovery);
        html::check(&figure).unwrap();
        assert!(figure.contains(">t50</text>") && figure.contains(">t90</text>") && !figure.contains(">t99</text>"));
        assert!(figure.contains("<th scope=\"row\" class=\"text\">2</th><td>95</td><td>95.0</td>"), "{figure}");
        assert_eq!(recovery_figure(&Recovery::default()), "");
    }

    #[test]
    fn many_points_become_few_and_the_last_stays() {
        let points: Vec<_> = (0..1000).map(|n| (f64::from(n), 0.0)).collect();
        for count in [0, 1, 240, 241, 242, 999, 1000] {
            let kept = thinned(&points[..count]);
            assert!(kept.len() <= MOST_POINTS + 1);
            assert_eq!(kept.last(), points[..count].last());
            assert!(kept.windows(2).all(|pair| pair[0].0 < pair[1].0), "{count}");
        }
    }

    #[test]
    fn a_void_run_says_so_first() {
        let mut found = samples::played();
        found.sample.void = Some("the generator was late".into());
        assert!(text(&found).starts_with("Nothing may be concluded from this: the generator was late\n"));
        assert!(html(&found).starts_with("<p class=\"warning\"><strong>Nothing may be concluded from this:"));
    }

    #[test]
    fn the_text_tells_outcomes_and_checks() {
        let text = text(&samples::played());
        let lines: Vec<String> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        for line in [
            "homes 100",
            "1 3.00 node b is killed",
            "Outcomes of 120 commands in 10.0 s, 10.0 done a second",
            "unknown 20 the node went away",
            "relay 2.00 20.0 2.00",
            "generator 5.00 50.0 –",
            "done twice ✓ holds 0 commands 0 commands",
        ] {
            assert!(lines.iter().any(|found| found == line), "{line}\nis not in\n{text}");
        }
    }
}
