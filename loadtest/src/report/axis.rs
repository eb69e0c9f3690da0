//! From values to places on an axis, round numbers to write beside it, and how numbers are written.

/// An axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    /// From tick to tick, where it is linear.
    step: f64,
    pub(super) logarithmic: bool,
}

impl Axis {
    /// For values that all are to be seen: from zero, or logarithmic where the lesser would vanish beside the greater.
    pub(super) fn fitting(values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = ends(values.into_iter().filter(|value| *value > 0.0));
        if low > 0.0 && high > low * TOO_FAR_APART {
            // With some room, so that the lowest does not lie on the edge.
            Self { low: round_below(low * 0.9), high: round_above(high), step: 0.0, logarithmic: true }
        } else {
            Self::from_zero(high)
        }
    }

    /// Linear, to a round number that is not less than this.
    pub(super) fn from_zero(high: f64) -> Self {
        let step = step(high);
        Self { low: 0.0, high: (high / step - ROUNDING).ceil().max(1.0) * step, step, logarithmic: false }
    }

    /// Linear, for values whose changes matter: not from zero where that is far below.
    pub(super) fn around(values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = ends(values.into_iter());
        if low < high / 2.0 || low <= 0.0 {
            return Self::from_zero(high);
        }
        // What stays the same within a thousandth is to look like it.
        let step = step((high - low).max(high / 1000.0));
        let (low, high) = ((low / step + ROUNDING).floor() * step, (high / step - ROUNDING).ceil() * step);
        Self { low, high: if high > low { high } else { low + step }, step, logarithmic: false }
    }

    /// Linear, ending just there.
    pub(super) fn until(high: f64) -> Self {
        let end = if high > 0.0 && high.is_finite() { high } else { 1.0 };
        Self { low: 0.0, high: end, step: step(high), logarithmic: false }
    }

    pub(super) fn begins_at_zero(self) -> bool {
        self.low == 0.0
    }

    /// Where a value is, from 0 to 1; beyond the ends, at the end.
    pub(super) fn place(self, value: f64) -> f64 {
        let share = if self.logarithmic {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// Round numbers along it.
    pub(super) fn ticks(self) -> Vec<f64> {
        if self.logarithmic {
            return self.logarithmic_ticks();
        }
        let first = (self.low / self.step - ROUNDING).ceil() as i64;
        let last = (self.high / self.step + ROUNDING).floor() as i64;
        (first..=last).map(|number| number as f64 * self.step).collect()
    }

    fn logarithmic_ticks(self) -> Vec<f64> {
        let decades = (self.high / self.low).log10();
        let factors: &[f64] = if decades > 2.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let all = (first..=last).flat_map(|power| factors.iter().map(move |factor| factor * 10_f64.powi(power)));
        all.filter(|tick| *tick >= self.low * 0.999 && *tick <= self.high * 1.001).collect()
    }
}

/// The lowest and the highest; zeros where there are none.
fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let values = values.filter(|value| value.is_finite());
    values
        .map(|value| (value, value))
        .reduce(|(low, high), (value, _)| (low.min(value), high.max(value)))
        .unwrap_or_default()
}

/// A round number that goes up to five times into this.
fn step(range: f64) -> f64 {
    if range > 0.0 && range.is_finite() { round_above(range / 5.0) } else { 1.0 }
}

/// 1, 2 or 5 times a power of ten.
fn round_above(value: f64) -> f64 {
    let power = 10_f64.powi(value.log10().floor() as i32);
    let factor = [1.0_f64, 2.0, 5.0].into_iter().find(|factor| factor * power >= value * (1.0 - ROUNDING));
    factor.unwrap_or(10.0) * power
}

/// 1, 2 or 5 times a power of ten.
fn round_below(value: f64) -> f64 {
    let power = 10_f64.powi(value.log10().floor() as i32);
    let factor = [5.0_f64, 2.0].into_iter().find(|factor| factor * power <= value * (1.0 + ROUNDING));
    factor.unwrap_or(1.0) * power
}

/// With about three digits that matter.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if !size.is_finite() => "–".into(),
        0.0 => "0".into(),
        _ if size >= 99.95 => format!("{value:.0}"),
        _ if size >= 9.995 => format!("{value:.1}"),
        _ if size >= 0.9995 => format!("{value:.2}"),
        _ if size >= 0.09995 => format!("{value:.3}"),
        _ if size >= 0.0001 => format!("{value:.4}"),
        _ => format!("{value:.1e}"),
    }
}

/// A round number, without zeros at its end.
pub(super) fn round_number(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').into()
}

/// A bar of a thirtieth of the width can still be seen.
const TOO_FAR_APART: f64 = 30.0;
/// What 0.1 + 0.2 is wrong by, and more.
const ROUNDING: f64 = 1e-9;

#[cfg(test)]
mod tests {
    use super::*;

    fn written(axis: Axis) -> Vec<String> {
        axis.ticks().into_iter().map(round_number).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(written(Axis::from_zero(57.5)), ["0", "20", "40", "60"]);
        assert_eq!(written(Axis::from_zero(0.3)), ["0", "0.1", "0.2", "0.3"]);
        assert_eq!(written(Axis::from_zero(25_000.0)), ["0", "5000", "10000", "15000", "20000", "25000"]);
        assert_eq!(written(Axis::until(12.0)), ["0", "5", "10"]);
        assert_eq!(written(Axis::around([46_580.0, 47_300.0])), ["46400", "46600", "46800", "47000", "47200", "47400"]);
        assert_eq!(written(Axis::around([48_000.0, 48_000.0])), ["48000", "48010"]);
    }

    #[test]
    fn far_apart_is_logarithmic() {
        let axis = Axis::fitting([0.08, 3.0, 0.0, 8.0]);
        assert!(axis.logarithmic);
        assert_eq!(written(axis), ["0.1", "1", "10"]);
        assert_eq!((axis.place(0.05), axis.place(10.0), axis.place(0.0)), (0.0, 1.0, 0.0));
        assert!((axis.place(1.0) - 20_f64.ln() / 200_f64.ln()).abs() < 1e-12);
        assert_eq!(written(Axis::fitting([1.0, 31.0])), ["0.5", "1", "2", "5", "10", "20", "50"]);
        assert!(!Axis::fitting([1.0, 29.0]).logarithmic);
    }

    #[test]
    fn there_is_an_axis_for_nothing() {
        let nothing: [f64; 0] = [];
        for axis in [Axis::fitting(nothing), Axis::around(nothing), Axis::until(0.0), Axis::from_zero(0.0)] {
            assert_eq!(written(axis), ["0", "1"], "{axis:?}");
            assert_eq!((axis.place(0.0), axis.place(f64::NAN), axis.place(f64::INFINITY)), (0.0, 0.0, 0.0));
        }
        assert_eq!(written(Axis::fitting([f64::NAN, f64::INFINITY, 3.0])), ["0", "1", "2", "3"]);
        assert_eq!(written(Axis::from_zero(f64::NAN)), ["0", "1"]);
    }

    #[test]
    fn places_are_shares() {
        let axis = Axis::from_zero(80.0);
        assert_eq!((axis.place(20.0), axis.place(80.0), axis.place(-5.0), axis.place(99.0)), (0.25, 1.0, 0.0, 1.0));
        assert!(axis.begins_at_zero() && !Axis::around([48.0, 49.0]).begins_at_zero());
    }

    #[test]
    fn numbers_have_three_digits() {
        let written =
            [0.0, 0.00004, 0.0812, 0.2104, 0.99999, 9.996, 57.54, 99.96, 15_751.4, -3.21, f64::NAN].map(number);
        assert_eq!(written, ["0", "4.0e-5", "0.0812", "0.210", "1.00", "10.0", "57.5", "100", "15751", "-3.21", "–"]);
    }
}
