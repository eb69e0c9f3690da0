//! Few numbers for many: the middle with its spread, and the trend.

/// The middle of several values, and how far they lie apart.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    /// The middle one; of an even number, the mean of the two in the middle.
    pub(crate) median: f64,
    pub(crate) high: f64,
    /// How many values there are.
    pub(crate) count: usize,
}

impl Spread {
    /// Nothing where there are no values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (count, middle) = (values.len(), values.len() / 2);
        let (low, high) = (*values.first()?, *values.last()?);
        let median = if count % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) };
        Some(Self { low, median, high, count })
    }
}

/// The straight line that is nearest to points, by least squares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Trend {
    /// By how much it rises for each 1 to the right.
    pub(crate) slope: f64,
    /// Its height at zero.
    pub(crate) at_zero: f64,
}

impl Trend {
    /// Nothing where there are no two points side by side.
    pub(crate) fn of(points: &[(f64, f64)]) -> Option<Self> {
        let count = points.len() as f64;
        // From the middle of the points: with times of a long run the squares would else swallow the digits that matter.
        let middle_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
        let middle_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
        let both: f64 = points.iter().map(|(x, y)| (x - middle_x) * (y - middle_y)).sum();
        let squares: f64 = points.iter().map(|(x, _)| (x - middle_x).powi(2)).sum();
        if squares > 0.0 {
            let slope = both / squares;
            Some(Self { slope, at_zero: middle_y - slope * middle_x })
        } else {
            None
        }
    }

    pub(crate) fn at(self, x: f64) -> f64 {
        self.at_zero + self.slope * x
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_ends() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([3.0, 1.0, 2.5]), Some(Spread { low: 1.0, median: 2.5, high: 3.0, count: 3 }));
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).unwrap().median, 2.5);
    }

    #[test]
    fn a_known_line_is_found() {
        let exact: Vec<_> = (0..100).map(|n| (f64::from(n) * 60.0, 48_000.0 + 0.25 * f64::from(n) * 60.0)).collect();
        let trend = Trend::of(&exact).unwrap();
        assert!((trend.slope - 0.25).abs() < 1e-9 && (trend.at_zero - 48_000.0).abs() < 1e-6, "{trend:?}");
        assert!((trend.at(40.0) - 48_010.0).abs() < 1e-6);
        // By hand: of (0, 0), (1, 2), (2, 1) the slope is 1/2 and the line passes through (1, 1).
        let trend = Trend::of(&[(0.0, 0.0), (1.0, 2.0), (2.0, 1.0)]).unwrap();
        assert!((trend.slope - 0.5).abs() < 1e-12 && (trend.at_zero - 0.5).abs() < 1e-12, "{trend:?}");
    }

    #[test]
    fn a_slope_is_found_after_days() {
        let late: Vec<_> = (0..100).map(|n| (1e9 + f64::from(n), 1e6 + 0.001 * f64::from(n))).collect();
        assert!((Trend::of(&late).unwrap().slope - 0.001).abs() < 1e-9);
    }

    #[test]
    fn too_few_points_have_no_trend() {
        assert_eq!(Trend::of(&[]), None);
        assert_eq!(Trend::of(&[(1.0, 1.0)]), None);
        assert_eq!(Trend::of(&[(1.0, 1.0), (1.0, 5.0)]), None);
    }
}
