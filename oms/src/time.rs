//! The exchange's clock, measured against ours: one shared offset.
//!
//! Written by whoever measures (setup, then the oms stage), read by everyone who stamps a request.
//! Never reads a clock itself. Any thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use optiflow_base::clock::Nanos;

/// Exchange time − our time, shared between the stage and the REST client.
#[derive(Clone, Debug, Default)]
pub struct ExchangeTime {
    offset_ns: Arc<AtomicI64>,
}

impl ExchangeTime {
    /// An offset of nothing, until measured.
    pub fn new() -> ExchangeTime {
        ExchangeTime::default()
    }

    /// Exchange time − our time, in nanoseconds.
    pub fn offset(&self) -> i64 {
        self.offset_ns.load(Ordering::Relaxed)
    }

    /// Adopts a measured offset.
    pub fn set(&self, offset_ns: i64) {
        self.offset_ns.store(offset_ns, Ordering::Relaxed);
    }

    /// The exchange's time at our `now`.
    pub fn theirs(&self, now: Nanos) -> Nanos {
        Nanos(now.0.saturating_add_signed(self.offset()))
    }

    /// The exchange's time at our `now`, in milliseconds.
    pub fn now_ms(&self, now: Nanos) -> u64 {
        now.0.saturating_add_signed(self.offset()) / 1_000_000
    }

    /// Our time at the exchange's `millis`.
    pub fn ours(&self, millis: u64) -> Nanos {
        let nanos = millis.saturating_mul(1_000_000);
        Nanos(nanos.saturating_add_signed(self.offset().saturating_neg()))
    }
}

/// One question for the exchange's time: when it was asked, what it said, when the answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeSample {
    /// Just before the question.
    pub sent: Nanos,
    /// Just after the answer.
    pub received: Nanos,
    /// The exchange's milliseconds, rounded down by it.
    pub server_ms: u64,
}

impl TimeSample {
    /// How long question and answer took: the smaller, the truer.
    pub const fn round_trip(&self) -> u64 {
        self.received.since(self.sent)
    }

    /// Exchange − ours, taking the exchange's clock to be read halfway and half a millisecond to have been cut off.
    pub fn offset(&self) -> i64 {
        let server = i128::from(self.server_ms) * 1_000_000 + 500_000;
        let halfway = i128::from(self.sent.0) + i128::from(self.round_trip() / 2);
        i64::try_from(server - halfway).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_shifts_both_ways() {
        let time = ExchangeTime::new();
        time.set(-2_500_000);
        assert_eq!(time.now_ms(Nanos::from_millis(1_000)), 997);
        assert_eq!(time.ours(997), Nanos(999_500_000));
    }

    #[test]
    fn a_sample_is_read_halfway_through_its_round_trip() {
        let sample = TimeSample { sent: Nanos(1_000_000_000), received: Nanos(1_010_000_000), server_ms: 2_000 };
        assert_eq!(sample.round_trip(), 10_000_000);
        assert_eq!(sample.offset(), 2_000_500_000 - 1_005_000_000);
        let absurd = TimeSample { sent: Nanos(0), received: Nanos(0), server_ms: u64::MAX };
        assert_eq!(absurd.offset(), 0, "no clock is off by centuries");
    }
}
