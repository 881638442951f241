//! A histogram per span, three significant digits, from a nanosecond to a minute.
//!
//! Values beyond a minute count as a minute. Allocated once. Storage thread.

use hdrhistogram::Histogram;
use optiflow_base::log::Span;

use crate::summary::SpanSummary;

/// All spans of a session.
#[derive(Debug)]
pub(crate) struct Latencies {
    spans: [Histogram<u64>; Span::ALL.len()],
    /// Was anything measured since somebody last asked for what is fresh?
    is_fresh: [bool; Span::ALL.len()],
}

impl Latencies {
    pub(crate) fn new() -> Latencies {
        Latencies { spans: Span::ALL.map(|_| empty()), is_fresh: [false; Span::ALL.len()] }
    }

    pub(crate) fn record(&mut self, span: Span, nanos: u64) {
        self.spans[span as usize].saturating_record(nanos);
        self.is_fresh[span as usize] = true;
    }

    /// Spans that were measured, in the order of [`Span::ALL`].
    pub(crate) fn summaries(&self) -> Vec<SpanSummary> {
        let measured = Span::ALL.iter().zip(&self.spans).filter(|(_, histogram)| !histogram.is_empty());
        measured.map(|(span, histogram)| summarise(span.name(), histogram)).collect()
    }

    /// Those of them that were measured since the last call.
    pub(crate) fn fresh(&mut self) -> Vec<SpanSummary> {
        let spans = Span::ALL.iter().zip(&self.spans).zip(&mut self.is_fresh);
        let fresh = spans.filter_map(|(span, is_fresh)| std::mem::take(is_fresh).then_some(span));
        fresh.map(|(span, histogram)| summarise(span.name(), histogram)).collect()
    }

    /// Every bucket that counted something: span, upper end in nanoseconds, count.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = (&'static str, u64, u64)> {
        Span::ALL.iter().zip(&self.spans).flat_map(|(span, histogram)| {
            histogram.iter_recorded().map(|at| (span.name(), at.value_iterated_to(), at.count_since_last_iteration()))
        })
    }
}

fn summarise(span: &'static str, histogram: &Histogram<u64>) -> SpanSummary {
    let at = |quantile: f64| histogram.value_at_quantile(quantile);
    let sum: u128 = histogram.iter_recorded().fold(0, |sum, at| {
        sum + u128::from(histogram.median_equivalent(at.value_iterated_to()))
            * u128::from(at.count_since_last_iteration())
    });
    let mean = sum.checked_div(u128::from(histogram.len())).unwrap_or(0);
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
