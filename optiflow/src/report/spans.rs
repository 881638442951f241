//! Durations as they came: how many, how long, how long at worst. Percentiles are good to one part in a thousand.

use hdrhistogram::Histogram;

/// Durations seen so far. Negative ones (clocks that disagree) are counted apart.
#[derive(Clone, Debug, Default)]
pub struct Spans {
    /// Made with the first duration: most places where one could be noted never see any.
    histogram: Option<Histogram<u64>>,
    /// The shortest and the longest, exactly: a latency that never changes is shown as it is.
    ends: (u64, u64),
    negative: u64,
}

impl Spans {
    /// One more.
    pub fn add(&mut self, nanos: i64) {
        let Ok(nanos) = u64::try_from(nanos) else {
            self.negative += 1;
            return;
        };
        if self.histogram.is_none() {
            self.histogram = Histogram::new_with_bounds(1, LONGEST_NS, DIGITS).ok();
            self.ends = (nanos, nanos);
        }
        self.ends = (self.ends.0.min(nanos), self.ends.1.max(nanos));
        if let Some(histogram) = &mut self.histogram {
            histogram.saturating_record(nanos);
        }
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.histogram.as_ref().map_or(0, Histogram::len)
    }

    /// How many were negative and are not among the others.
    pub const fn negative(&self) -> u64 {
        self.negative
    }

    /// The duration that `percent` of all do not exceed.
    pub fn percentile(&self, percent: f64) -> Option<u64> {
        let histogram = self.histogram.as_ref()?;
        Some(histogram.value_at_percentile(percent).clamp(self.ends.0, self.ends.1))
    }

    /// The longest.
    pub fn max(&self) -> Option<u64> {
        self.histogram.as_ref().map(|_| self.ends.1)
    }
}

/// A week: longer ones count as one.
const LONGEST_NS: u64 = 604_800_000_000_000;
const DIGITS: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_what_came() {
        let mut spans = Spans::default();
        assert_eq!((spans.count(), spans.percentile(50.0)), (0, None));
        (1..=1000).for_each(|millis| spans.add(millis * 1_000_000));
        spans.add(-5);
        assert_eq!((spans.count(), spans.negative(), spans.max()), (1000, 1, Some(1_000_000_000)));
        let median = spans.percentile(50.0).unwrap() as f64;
        assert!((median / 5e8 - 1.0).abs() < 0.002, "{median}");
        let mut constant = Spans::default();
        (0..9).for_each(|_| constant.add(5_000_000));
        assert_eq!((constant.percentile(50.0), constant.percentile(99.0)), (Some(5_000_000), Some(5_000_000)));
    }
}
