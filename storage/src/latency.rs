//! A histogram per span, three significant digits, from a nanosecond to a minute.
//!
//! Values beyond a minute count as a minute. Keeps the buckets that counted something, and no others: they are walked
//! every second. Storage thread.

use std::collections::BTreeMap;

use optiflow_base::log::Span;

use crate::summary::SpanSummary;

/// All spans of a session.
#[derive(Debug)]
pub(crate) struct Latencies {
    spans: [Histogram; Span::ALL.len()],
}

impl Latencies {
    pub(crate) fn new() -> Latencies {
        Latencies { spans: Span::ALL.map(|_| Histogram::default()) }
    }

    pub(crate) fn record(&mut self, span: Span, nanos: u64) {
        self.spans[span as usize].record(nanos);
    }

    /// Spans that were measured, in the order of [`Span::ALL`].
    pub(crate) fn summaries(&self) -> Vec<SpanSummary> {
        let measured = Span::ALL.iter().zip(&self.spans).filter(|(_, histogram)| histogram.count > 0);
        measured.map(|(span, histogram)| histogram.summary(span.name())).collect()
    }

    /// Those of them that were measured since the last call.
    pub(crate) fn fresh(&mut self) -> Vec<SpanSummary> {
        let spans = Span::ALL.iter().zip(&mut self.spans);
        let fresh =
            spans.filter_map(|(span, histogram)| std::mem::take(&mut histogram.is_fresh).then_some((span, histogram)));
        fresh.map(|(span, histogram)| histogram.summary(span.name())).collect()
    }

    /// Every bucket that counted something: span, upper end in nanoseconds, count.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = (&'static str, u64, u64)> {
        Span::ALL
            .iter()
            .zip(&self.spans)
            .flat_map(|(span, histogram)| histogram.buckets.iter().map(|(upper, count)| (span.name(), *upper, *count)))
    }
}

/// How often what was measured.
#[derive(Clone, Debug, Default)]
struct Histogram {
    /// By their upper ends, those that counted something; at most some thirty thousand.
    buckets: BTreeMap<u64, u64>,
    count: u64,
    /// Sum of the middles of buckets.
    sum: u128,
    /// Was anything measured since somebody last asked for what is fresh?
    is_fresh: bool,
}

impl Histogram {
    fn record(&mut self, nanos: u64) {
        let nanos = nanos.min(NANOS_MAX);
        let width = width(nanos);
        let lower = nanos - nanos % width;
        *self.buckets.entry(lower + width - 1).or_default() += 1;
        self.count += 1;
        self.sum += u128::from(lower + width / 2);
        self.is_fresh = true;
    }

    fn summary(&self, span: &'static str) -> SpanSummary {
        let mean = self.sum.checked_div(self.count.into()).unwrap_or(0);
        // One walk through the buckets for all quantiles.
        let (mut buckets, mut upper, mut counted) = (self.buckets.iter(), 0, 0);
        let mut at = |quantile: f64| {
            let wanted = (quantile * self.count as f64).ceil() as u64;
            while counted < wanted
                && let Some((next, count)) = buckets.next()
            {
                (upper, counted) = (*next, counted + count);
            }
            upper
        };
        let [p50_ns, p90_ns, p99_ns, p999_ns] = [0.50, 0.90, 0.99, 0.999].map(&mut at);
        let max_ns = self.buckets.last_key_value().map_or(0, |(upper, _)| *upper);
        let mean_ns = u64::try_from(mean).unwrap_or(u64::MAX);
        SpanSummary { span, count: self.count, mean_ns, p50_ns, p90_ns, p99_ns, p999_ns, max_ns }
    }
}

/// How many values share the bucket of this one: what differs in the fourth digit.
const fn width(nanos: u64) -> u64 {
    1 << (u64::BITS - nanos.leading_zeros()).saturating_sub(PRECISION_BITS)
}

const NANOS_MAX: u64 = 60_000_000_000;
/// So many leading bits are told apart: enough for three decimal digits.
const PRECISION_BITS: u32 = 11;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_summarised_and_their_buckets_add_up() {
        let mut latencies = Latencies::new();
        assert!(latencies.summaries().is_empty());
        for nanos in 1..=1_000 {
            latencies.record(Span::Risk, nanos);
        }
        latencies.record(Span::OrderAck, u64::MAX);
        let summaries = latencies.summaries();
        let risk = SpanSummary {
            span: "risk",
            count: 1_000,
            mean_ns: 500,
            p50_ns: 500,
            p90_ns: 900,
            p99_ns: 990,
            p999_ns: 999,
            max_ns: 1_000,
        };
        assert_eq!(summaries[0], risk);
        assert_eq!((summaries[1].span, summaries[1].count), ("order_ack", 1));
        assert!(summaries[1].max_ns >= NANOS_MAX, "what is too long counts as the longest");
        assert_eq!(latencies.buckets().map(|(_, _, count)| count).sum::<u64>(), 1_001);
    }

    #[test]
    fn what_is_fresh_is_told_once() {
        let mut latencies = Latencies::new();
        latencies.record(Span::Risk, 7);
        assert_eq!(latencies.fresh(), latencies.summaries());
        assert_eq!(latencies.fresh(), []);
        latencies.record(Span::OrderAck, 9);
        assert_eq!(latencies.fresh(), latencies.summaries()[1..]);
    }

    #[test]
    fn it_says_what_the_library_says() {
        let mut library = hdrhistogram::Histogram::<u64>::new_with_bounds(1, NANOS_MAX, 3).unwrap();
        let mut ours = Histogram::default();
        let mut random = 1_u64;
        for count in 1..=5_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let nanos = (random >> 8) % (10 << (random % 33));
            library.saturating_record(nanos);
            ours.record(nanos);
            if count % 500 != 1 {
                continue;
            }
            let told = ours.summary("");
            let at = |quantile: f64| library.value_at_quantile(quantile);
            let quantiles = [told.p50_ns, told.p90_ns, told.p99_ns, told.p999_ns, told.max_ns, told.count];
            assert_eq!(quantiles, [at(0.50), at(0.90), at(0.99), at(0.999), library.max(), library.len()]);
            let theirs: Vec<(u64, u64)> = library
                .iter_recorded()
                .map(|bucket| (bucket.value_iterated_to(), bucket.count_since_last_iteration()))
                .collect();
            assert_eq!(ours.buckets.iter().map(|(upper, count)| (*upper, *count)).collect::<Vec<_>>(), theirs);
            let middles =
                theirs.iter().map(|(upper, n)| u128::from(library.median_equivalent(*upper)) * u128::from(*n));
            assert_eq!(ours.sum, middles.sum::<u128>());
        }
    }
}
