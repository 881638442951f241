//! A histogram per span, three significant digits, from a nanosecond to a minute.
//!
//! Values beyond a minute count as a minute. Allocated once. Storage thread.

use hdrhistogram::Histogram;
use optiflow_base::log::Span;

use crate::summary::SpanSummary;

/// All spans of a session.
#[derive(Debug)]
pub(crate) struct Latencies {
    spans: [Latency; Span::ALL.len()],
}

impl Latencies {
    pub(crate) fn new() -> Latencies {
        Latencies { spans: Span::ALL.map(|_| Latency { histogram: empty(), sum: 0, is_fresh: false }) }
    }

    pub(crate) fn record(&mut self, span: Span, nanos: u64) {
        let latency = &mut self.spans[span as usize];
        latency.histogram.saturating_record(nanos);
        latency.sum += u128::from(nanos.min(NANOS_MAX));
        latency.is_fresh = true;
    }

    /// Spans that were measured, in the order of [`Span::ALL`].
    pub(crate) fn summaries(&self) -> Vec<SpanSummary> {
        let measured = Span::ALL.iter().zip(&self.spans).filter(|(_, latency)| !latency.histogram.is_empty());
        measured.map(|(span, latency)| latency.summary(span.name())).collect()
    }

    /// Those of them that were measured since the last call.
    pub(crate) fn fresh(&mut self) -> Vec<SpanSummary> {
        let spans = Span::ALL.iter().zip(&mut self.spans);
        let fresh =
            spans.filter_map(|(span, latency)| std::mem::take(&mut latency.is_fresh).then_some((span, latency)));
        fresh.map(|(span, latency)| latency.summary(span.name())).collect()
    }

    /// Every bucket that counted something: span, upper end in nanoseconds, count.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = (&'static str, u64, u64)> {
        Span::ALL.iter().zip(&self.spans).flat_map(|(span, latency)| {
            let buckets = latency.histogram.iter_recorded();
            buckets.map(|at| (span.name(), at.value_iterated_to(), at.count_since_last_iteration()))
        })
    }
}

/// One span.
#[derive(Debug)]
struct Latency {
    histogram: Histogram<u64>,
    /// Of all values, nanoseconds.
    sum: u128,
    /// Was anything measured since somebody last asked for what is fresh?
    is_fresh: bool,
}

impl Latency {
    fn summary(&self, span: &'static str) -> SpanSummary {
        let histogram = &self.histogram;
        let mean = self.sum.checked_div(u128::from(histogram.len())).unwrap_or(0);
        let at = |quantile: f64| histogram.value_at_quantile(quantile);
        SpanSummary {
            span,
            count: histogram.len(),
            mean_ns: u64::try_from(mean).unwrap_or(u64::MAX),
            p50_ns: at(0.50),
            p90_ns: at(0.90),
            p99_ns: at(0.99),
            p999_ns: at(0.999),
            max_ns: histogram.max(),
        }
    }
}

/// The bounds are constants that the library accepts: anything else would be a mistake in this file.
fn empty() -> Histogram<u64> {
    match Histogram::new_with_bounds(1, NANOS_MAX, DIGITS) {
        Ok(histogram) => histogram,
        Err(error) => unreachable!("the bounds of a histogram are constants: {error}"),
    }
}

const NANOS_MAX: u64 = 60_000_000_000;
const DIGITS: u8 = 3;

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
}
