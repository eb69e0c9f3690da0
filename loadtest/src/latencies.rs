//! Times, as a histogram.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Times from a nanosecond to ten minutes, three digits of each.
#[derive(Debug, Clone, PartialEq)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST, 3).expect("these bounds are good ones"))
    }
}

impl Latencies {
    /// Count one; what is longer than ten minutes counts as ten.
    pub fn record(&mut self, time: Duration) {
        self.0.saturating_record(time.as_nanos() as u64);
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time that this share of them did not exceed, in microseconds; zero when there are none.
    #[must_use]
    pub fn micros_at(&self, quantile: f64) -> f64 {
        if self.0.is_empty() { 0.0 } else { self.0.value_at_quantile(quantile) as f64 / 1000.0 }
    }

    /// The same in milliseconds.
    #[must_use]
    pub fn millis_at(&self, quantile: f64) -> f64 {
        self.micros_at(quantile) / 1000.0
    }

    /// Count what the other one has counted.
    pub fn add(&mut self, other: &Self) {
        // Both have the same bounds.
        let _ = self.0.add(&other.0);
    }
}

/// As pairs of nanoseconds and how often: to be merged with others later, and plotted.
impl Serialize for Latencies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter_recorded().map(|bin| (bin.value_iterated_to(), bin.count_at_value())))
    }
}

impl<'de> Deserialize<'de> for Latencies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut latencies = Self::default();
        for (nanos, count) in Vec::<(u64, u64)>::deserialize(deserializer)? {
            latencies.0.saturating_record_n(nanos, count);
        }
        Ok(latencies)
    }
}

const LONGEST: u64 = 600_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_told_in_micro_and_milliseconds() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.millis_at(0.5), 0.0);
        for millis in 1..=100 {
            latencies.record(Duration::from_millis(millis));
        }
        assert!((latencies.millis_at(0.5) - 50.0).abs() < 0.1);
        assert!((latencies.micros_at(0.99) - 99_000.0).abs() < 200.0);
    }

    #[test]
    fn what_is_written_is_read() {
        let mut latencies = Latencies::default();
        for nanos in [7, 900, 900, 123_456_789] {
            latencies.record(Duration::from_nanos(nanos));
        }
        let text = serde_json::to_string(&latencies).unwrap();
        let read: Latencies = serde_json::from_str(&text).unwrap();
        assert_eq!(read.count(), 4);
        assert_eq!(read.micros_at(0.5), latencies.micros_at(0.5));
        assert_eq!(read.micros_at(1.0), latencies.micros_at(1.0));
    }
}
