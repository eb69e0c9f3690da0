//! Plots as SVG.
//!
//! Places across are percentages of the width and those down are pixels: a plot is as wide as the page allows, while its text
//! and strokes keep their size. What stands to the left and right of it has its room from the style sheet.

use super::axis::{Axis, number, round_number};
use super::html::escaped;
use super::results::Ratio;
use super::statistics::Spread;

/// How something is drawn: told apart by more than its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// A full line or area.
    First,
    /// A dashed line, a hatched area.
    Second,
    /// A dotted line.
    Third,
}

impl Style {
    fn line(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
            Self::Third => "third",
        }
    }

    fn area(self) -> &'static str {
        match self {
            Self::First => "full",
            Self::Second | Self::Third => "hatched",
        }
    }
}

/// Bars that lie side by side, with whiskers.
pub(super) struct Bars<'a> {
    pub(super) rows: Vec<Row<'a>>,
    /// What the axis shows, with its unit.
    pub(super) measure: &'a str,
}

/// The bars of one subject.
pub(super) struct Row<'a> {
    pub(super) name: &'a str,
    pub(super) bars: Vec<Bar>,
}

/// One bar; where nothing was measured, words say so.
pub(super) struct Bar {
    pub(super) label: &'static str,
    pub(super) style: Style,
    pub(super) spread: Option<Spread>,
}

impl Bars<'_> {
    pub(super) fn axis(&self) -> Axis {
        let spreads = self.rows.iter().flat_map(|row| &row.bars).filter_map(|bar| bar.spread);
        Axis::fitting(spreads.flat_map(|spread| [spread.low, spread.median, spread.high]))
    }

    /// `says` is for those who do not see it.
    pub(super) fn svg(&self, says: &str) -> String {
        let (axis, mut rows, mut y) = (self.axis(), String::new(), 0.0);
        for row in &self.rows {
            y = draw_name(&mut rows, row.name, y);
            for bar in &row.bars {
                rows += &bar.svg(axis, y);
                y += BAR;
            }
            y += BETWEEN_ROWS;
        }
        let scale = scale_below(axis, y, self.measure);
        framed("bars", y + SCALE_BELOW, says, &(scale + &rows))
    }
}

impl Bar {
    fn svg(&self, axis: Axis, y: f64) -> String {
        let middle = y + BAR / 2.0;
        let label = text("-8", middle + TEXT_DOWN, "soft end", self.label);
        let Some(spread) = self.spread else {
            return label + &text("4", middle + TEXT_DOWN, "soft", "not measured");
        };
        let end = percent(axis.place(spread.median));
        // From a place that is not zero a length says nothing: a dot does.
        let body = if axis.logarithmic {
            horizontal(self.style.line(), "0", &end, middle) + &dot(self.style.area(), &end, middle, 5.0)
        } else {
            let (style, top, height) = (self.style.area(), y + 2.0, BAR - 4.0);
            format!("<rect class=\"{style}\" x=\"0\" width=\"{end}\" y=\"{top:.1}\" height=\"{height:.1}\"/>")
        };
        label + &body + &whisker(axis, spread.low, spread.high, middle) + &value(spread.median, middle)
    }
}

/// Ratios with their rounds and goals, each divided by its gate: so all of them have one axis, whatever they are measured in.
/// Those without a gate are left out.
pub(super) fn ratios(ratios: &[Ratio], says: &str) -> String {
    let axis = ratios_axis(ratios);
    let (mut rows, mut y) = (String::new(), 0.0);
    for (ratio, gate) in gated(ratios) {
        let bound = format!("{} {} {gate}", ratio.name, ratio.better.sign());
        y = draw_name(&mut rows, &bound, y);
        rows += &ratio_svg(ratio, gate, axis, y);
        y += BAR + BETWEEN_ROWS;
    }
    let scale = scale_below(axis, y, "value ÷ gate");
    let gates = vertical("gate", &percent(axis.place(1.0)), 0.0, y);
    framed("bars", y + SCALE_BELOW, says, &(scale + &gates + &rows))
}

pub(super) fn ratios_axis(ratios: &[Ratio]) -> Axis {
    let shares = gated(ratios).flat_map(|(ratio, gate)| {
        let values = ratio.values.iter().copied().chain(ratio.goal);
        values.map(move |value| value / gate)
    });
    Axis::fitting(shares.chain([1.0]))
}

/// A gate of nothing cannot be divided by.
pub(super) fn gated(ratios: &[Ratio]) -> impl Iterator<Item = (&Ratio, f64)> {
    ratios.iter().filter_map(|ratio| Some((ratio, ratio.gate.filter(|gate| *gate > 0.0)?)))
}

fn ratio_svg(ratio: &Ratio, gate: f64, axis: Axis, y: f64) -> String {
    let middle = y + BAR / 2.0;
    let place = |value: f64| percent(axis.place(value / gate));
    let mut out = String::new();
    if let Some(goal) = ratio.goal {
        out += &dot("ring", &place(goal), middle, 6.0);
    }
    if ratio.values.is_empty() {
        return out + &text("4", middle + TEXT_DOWN, "soft", "not measured");
    }
    out += &whisker(axis, ratio.low / gate, ratio.high / gate, middle);
    for value in &ratio.values {
        out += &dot("round", &place(*value), middle, 2.5);
    }
    out += &dot("full", &place(ratio.median), middle, 5.0);
    out + &value(ratio.median, middle)
}

/// Lines over time.
pub(super) struct Chart<'a> {
    pub(super) lines: Vec<Line<'a>>,
    pub(super) axis: Axis,
    /// What the axis to the left shows.
    pub(super) unit: &'a str,
    /// What the axis below shows.
    pub(super) time: &'a str,
    /// Where that one ends.
    pub(super) until: f64,
    /// Times that are worth a line from top to bottom, with few letters for each.
    pub(super) marks: Vec<(f64, String)>,
}

/// One line, with gaps where nothing is known.
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    pub(super) style: Style,
    pub(super) points: Vec<(f64, Option<f64>)>,
}

impl Chart<'_> {
    /// `says` is for those who do not see it.
    pub(super) fn svg(&self, says: &str) -> String {
        let time = Axis::until(self.until);
        let paths: String = self.lines.iter().map(|line| self.path(line, time)).collect();
        // Only lines may be stretched, and of them only the way, not the stroke.
        let lines = format!(
            "<svg x=\"0\" y=\"{TOP}\" width=\"100%\" height=\"{HEIGHT}\" viewBox=\"0 0 1000 {HEIGHT}\" \
             preserveAspectRatio=\"none\">{paths}</svg>"
        );
        let drawn = self.scales(time) + &self.marks_svg(time) + &lines + &self.names();
        framed("lines", BOTTOM + SCALE_BELOW, says, &drawn)
    }

    fn down(&self, value: f64) -> f64 {
        HEIGHT * (1.0 - self.axis.place(value))
    }

    fn path(&self, line: &Line<'_>, time: Axis) -> String {
        let (mut way, mut drawing) = (String::new(), false);
        for (at, value) in &line.points {
            let Some(value) = value else {
                drawing = false;
                continue;
            };
            let (x, y) = (time.place(*at) * 1000.0, self.down(*value));
            // A point between two gaps is a line of no length, whose ends are round.
            way += &if drawing { format!("L{x:.1} {y:.1}") } else { format!("M{x:.1} {y:.1}h0") };
            drawing = true;
        }
        format!("<path class=\"{}\" d=\"{way}\"/>", line.style.line())
    }

    fn scales(&self, time: Axis) -> String {
        let mut out = String::new();
        for tick in self.axis.ticks() {
            let y = TOP + self.down(tick);
            out += &horizontal("grid", "0", "100%", y);
            out += &text("-8", y + TEXT_DOWN, "soft end", &round_number(tick));
        }
        for tick in time.ticks() {
            let x = percent(time.place(tick));
            out += &vertical("axis", &x, BOTTOM, BOTTOM + 4.0);
            out += &text(&x, BOTTOM + 17.0, "soft middle", &round_number(tick));
        }
        let logarithmic = if self.axis.logarithmic { ", logarithmic" } else { "" };
        out += &horizontal("axis", "0", "100%", BOTTOM);
        out += &text("-48", 12.0, "soft", &format!("{}{logarithmic}", self.unit));
        out + &text("50%", BOTTOM + 34.0, "soft middle", self.time)
    }

    fn marks_svg(&self, time: Axis) -> String {
        let lines: String =
            self.marks.iter().map(|(at, _)| vertical("mark", &percent(time.place(*at)), TOP - 4.0, BOTTOM)).collect();
        let labels = self.labels(time).into_iter();
        lines
            + &labels.map(|(place, label)| text(&percent(place), TOP - 9.0, "name middle", &label)).collect::<String>()
    }

    /// Labels that would stand on each other become one, at the first one's place.
    fn labels(&self, time: Axis) -> Vec<(f64, String)> {
        let mut marks: Vec<(f64, &str)> =
            self.marks.iter().map(|(at, label)| (time.place(*at), label.as_str())).collect();
        marks.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut groups: Vec<(f64, Vec<&str>)> = Vec::new();
        for (place, label) in marks {
            match groups.last_mut() {
                Some((first, labels)) if place - *first < LABEL => labels.push(label),
                _ => groups.push((place, vec![label])),
            }
        }
        let joined = |labels: Vec<&str>| match labels[..] {
            [first, .., last] if labels.len() > 2 => format!("{first}–{last}"),
            _ => labels.join(", "),
        };
        groups.into_iter().map(|(place, labels)| (place, joined(labels))).collect()
    }

    /// Each line's name at its end, one below the other.
    fn names(&self) -> String {
        let end = |line: &Line<'_>| line.points.iter().rev().find_map(|(_, value)| *value);
        let mut ends: Vec<(f64, &str)> =
            self.lines.iter().filter_map(|line| Some((self.down(end(line)?), line.name))).collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut out, mut free) = (String::new(), f64::NEG_INFINITY);
        for (y, name) in ends {
            let y = y.max(free);
            free = y + TEXT;
            out += &text("100%", TOP + y + TEXT_DOWN, "after", name);
        }
        out
    }
}

/// Write a name over what belongs to it, in as many lines as it takes; returns where it ends.
fn draw_name(out: &mut String, name: &str, mut y: f64) -> f64 {
    for line in wrapped(name) {
        y += TEXT;
        *out += &text("-34", y, "name", &line);
    }
    y + 3.0
}

/// In lines that are not too long for a telephone, where words allow it.
fn wrapped(name: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in name.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= NAME => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Grid lines down to `y`, and below it the numbers and what they are.
fn scale_below(axis: Axis, y: f64, measure: &str) -> String {
    let mut out = String::new();
    for tick in axis.ticks() {
        let x = percent(axis.place(tick));
        out += &vertical("grid", &x, 0.0, y);
        out += &text(&x, y + 15.0, "soft middle", &round_number(tick));
    }
    let logarithmic = if axis.logarithmic { ", logarithmic" } else { "" };
    out += &horizontal("axis", "0", "100%", y);
    out + &text("50%", y + 32.0, "soft middle", &format!("{measure}{logarithmic}"))
}

fn whisker(axis: Axis, low: f64, high: f64, y: f64) -> String {
    let (low, high) = (percent(axis.place(low)), percent(axis.place(high)));
    horizontal("whisker", &low, &high, y)
        + &vertical("whisker", &low, y - 4.0, y + 4.0)
        + &vertical("whisker", &high, y - 4.0, y + 4.0)
}

/// Right of the plot, in line with the others.
fn value(value: f64, y: f64) -> String {
    text("100%", y + TEXT_DOWN, "after", &number(value))
}

fn framed(class: &str, height: f64, says: &str, drawn: &str) -> String {
    let says = escaped(says);
    format!("<svg class=\"{class}\" role=\"img\" aria-label=\"{says}\" height=\"{height:.0}\">{drawn}</svg>")
}

fn text(x: &str, y: f64, class: &str, text: &str) -> String {
    format!("<text class=\"{class}\" x=\"{x}\" y=\"{y:.1}\">{}</text>", escaped(text))
}

fn horizontal(class: &str, from: &str, to: &str, y: f64) -> String {
    format!("<line class=\"{class}\" x1=\"{from}\" x2=\"{to}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>")
}

fn vertical(class: &str, x: &str, from: f64, to: f64) -> String {
    format!("<line class=\"{class}\" x1=\"{x}\" x2=\"{x}\" y1=\"{from:.1}\" y2=\"{to:.1}\"/>")
}

fn dot(class: &str, x: &str, y: f64, radius: f64) -> String {
    format!("<circle class=\"{class}\" cx=\"{x}\" cy=\"{y:.1}\" r=\"{radius}\"/>")
}

fn percent(share: f64) -> String {
    format!("{:.2}%", share * 100.0)
}

/// Pixels of a bar with its distance to the next one.
const BAR: f64 = 16.0;
const BETWEEN_ROWS: f64 = 6.0;
/// Of a line of text, and from the middle of its letters to their foot.
const TEXT: f64 = 15.0;
const TEXT_DOWN: f64 = 4.0;
/// What the numbers below a plot take, with the words below them.
const SCALE_BELOW: f64 = 38.0;
/// Of lines over time: where they begin below the unit and the marks, how high they are, where they end.
const TOP: f64 = 40.0;
const HEIGHT: f64 = 190.0;
const BOTTOM: f64 = TOP + HEIGHT;
/// Letters in a line of a name: what a telephone shows.
const NAME: usize = 38;
/// The share of a plot's width that a mark's label takes on a telephone.
const LABEL: f64 = 0.1;

#[cfg(test)]
mod tests {
    use super::super::html::check;
    use super::super::results::samples;
    use super::*;

    fn bars(values: &[f64]) -> Bars<'static> {
        let bar = |value: &f64| Bar { label: "p50", style: Style::First, spread: Spread::of([*value]) };
        let mut row = Row { name: "ours", bars: values.iter().map(bar).collect() };
        row.bars.push(Bar { label: "p99", style: Style::Second, spread: None });
        Bars { rows: vec![row], measure: "ms" }
    }

    fn chart(points: &[(f64, Option<f64>)], marks: &[f64]) -> Chart<'static> {
        Chart {
            lines: vec![Line { name: "homes", style: Style::First, points: points.to_vec() }],
            axis: Axis::from_zero(10.0),
            unit: "homes",
            time: "seconds",
            until: 100.0,
            marks: marks.iter().zip(1_usize..).map(|(at, number)| (*at, number.to_string())).collect(),
        }
    }

    #[test]
    fn bars_are_in_proportion() {
        let svg = bars(&[20.0, 5.0]).svg("says \"so\"");
        check(&svg).unwrap();
        assert!(svg.contains("aria-label=\"says &quot;so&quot;\""));
        assert!(svg.contains("<rect class=\"full\" x=\"0\" width=\"100.00%\""), "{svg}");
        assert!(svg.contains("<rect class=\"full\" x=\"0\" width=\"25.00%\""), "{svg}");
        assert!(svg.contains(">20.0</text>") && svg.contains(">5.00</text>") && svg.contains(">not measured</text>"));
        assert!(svg.contains(">ms</text>"));
    }

    #[test]
    fn what_is_far_apart_has_dots_on_a_logarithmic_axis() {
        let svg = bars(&[1.0, 100.0]).svg("");
        check(&svg).unwrap();
        assert!(svg.contains(">ms, logarithmic</text>"));
        assert!(!svg.contains("<rect") && svg.contains("<circle class=\"full\" cx=\"100.00%\""), "{svg}");
    }

    #[test]
    fn lines_have_gaps() {
        let svg = chart(&[(0.0, Some(10.0)), (50.0, Some(5.0)), (60.0, None), (100.0, Some(0.0))], &[]).svg("");
        check(&svg).unwrap();
        assert!(svg.contains("d=\"M0.0 0.0h0L500.0 95.0M1000.0 190.0h0\""), "{svg}");
        assert!(svg.contains("<text class=\"after\" x=\"100%\" y=\"234.0\">homes</text>"), "{svg}");
    }

    #[test]
    fn labels_do_not_stand_on_each_other() {
        let labels = |marks: &[f64]| chart(&[], marks).labels(Axis::until(100.0));
        assert_eq!(labels(&[10.0, 50.0]), [(0.1, "1".to_owned()), (0.5, "2".to_owned())]);
        assert_eq!(labels(&[10.0, 12.0, 50.0]), [(0.1, "1, 2".to_owned()), (0.5, "3".to_owned())]);
        assert_eq!(labels(&[10.0, 11.0, 12.0, 13.0]), [(0.1, "1–4".to_owned())]);
        assert!(labels(&[]).is_empty());
    }

    #[test]
    fn names_of_lines_do_not_stand_on_each_other() {
        let mut chart = chart(&[(0.0, Some(5.0))], &[]);
        chart.lines.push(Line { name: "all", style: Style::Second, points: vec![(0.0, Some(5.0))] });
        chart.lines.push(Line { name: "nothing", style: Style::Third, points: vec![] });
        let names = chart.names();
        assert!(names.contains("y=\"139.0\">homes") && names.contains("y=\"154.0\">all"), "{names}");
        assert!(!names.contains("nothing"));
    }

    #[test]
    fn ratios_show_rounds_gate_and_goal() {
        let mut all = samples::compared().ratios;
        let svg = ratios(&all, "");
        check(&svg).unwrap();
        let count = |class: &str| svg.matches(&format!("class=\"{class}\"")).count();
        assert_eq!((count("round"), count("gate"), count("ring"), count("full")), (3, 1, 1, 2));
        assert!(svg.contains("≥ 1.2</text>") && !svg.contains("across nodes"), "{svg}");
        all[0].values.clear();
        assert!(ratios(&all, "").contains("not measured"));
        all[0].gate = Some(0.0);
        assert_eq!(gated(&all).count(), 1);
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        for svg in [
            Bars { rows: vec![], measure: "ms" }.svg(""),
            ratios(&[], ""),
            Chart { until: 0.0, ..chart(&[], &[f64::NAN]) }.svg(""),
        ] {
            check(&svg).unwrap();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }

    #[test]
    fn long_names_are_wrapped() {
        assert_eq!(wrapped("ours, two nodes"), ["ours, two nodes"]);
        assert_eq!(wrapped(&"word ".repeat(10)), ["word word word word word word word", "word word word"]);
        assert!(wrapped(" ").is_empty());
    }
}
