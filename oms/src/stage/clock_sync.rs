//! When to measure the exchange's clock, and which measurement to believe.
//!
//! Several samples in a row, the one with the shortest round trip decides; again every minute, and at once when the
//! exchange complains about our time. Pure. Runs on the oms thread.

use std::time::Duration;

use arrayvec::ArrayVec;
use optiflow_base::clock::Nanos;

use crate::time::TimeSample;

/// The schedule of measurements.
#[derive(Debug)]
pub struct ClockSync {
    samples: ArrayVec<TimeSample, SAMPLES_LEN>,
    due: Nanos,
    asked: bool,
    /// A measurement has been completed since the start.
    pub synced: bool,
}

impl ClockSync {
    /// Due at once.
    pub const fn new() -> ClockSync {
        ClockSync { samples: ArrayVec::new_const(), due: Nanos(0), asked: false, synced: false }
    }

    /// Is it time to ask?
    pub fn is_due(&self, now: Nanos) -> bool {
        !self.asked && now >= self.due
    }

    /// The question is on its way.
    pub const fn asked(&mut self) {
        self.asked = true;
    }

    /// A sample came; with the last one of a row, the offset to adopt.
    pub fn sampled(&mut self, now: Nanos, sample: TimeSample) -> Option<i64> {
        self.asked = false;
        self.samples.push(sample);
        if !self.samples.is_full() {
            return None;
        }
        let best = self.samples.iter().min_by_key(|sample| sample.round_trip()).map(TimeSample::offset);
        self.samples.clear();
        self.due = now + MEASURE_EVERY;
        self.synced = true;
        best
    }

    /// No usable answer: a little later again.
    pub fn failed(&mut self, now: Nanos) {
        self.asked = false;
        self.due = now + RETRY_PAUSE;
    }

    /// The exchange complains: measure now.
    pub fn hurry(&mut self, now: Nanos) {
        self.due = self.due.min(now);
    }
}

/// Samples of one measurement.
const SAMPLES_LEN: usize = 5;
/// From one measurement to the next.
const MEASURE_EVERY: Duration = Duration::from_secs(60);
/// After a failed sample.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_ms: u64, round_trip_ms: u64) -> TimeSample {
        let sent = Nanos::from_millis(at_ms);
        TimeSample { sent, received: sent + Duration::from_millis(round_trip_ms), server_ms: at_ms + 7_000 }
    }

    #[test]
    fn the_quickest_of_five_samples_decides_and_lasts_a_minute() {
        let mut sync = ClockSync::new();
        let now = Nanos::from_millis(1_000);
        for round_trip in [9, 4, 2, 8] {
            assert!(sync.is_due(now));
            sync.asked();
            assert!(!sync.is_due(now), "one at a time");
            assert_eq!(sync.sampled(now, sample(1_000, round_trip)), None);
        }
        assert_eq!(sync.sampled(now, sample(1_000, 5)), Some(sample(1_000, 2).offset()));
        assert!(sync.synced && !sync.is_due(Nanos::from_millis(60_999)) && sync.is_due(Nanos::from_millis(61_000)));
        sync.hurry(Nanos::from_millis(2_000));
        assert!(sync.is_due(Nanos::from_millis(2_000)));
        sync.failed(Nanos::from_millis(2_000));
        assert!(!sync.is_due(Nanos::from_millis(2_999)) && sync.is_due(Nanos::from_millis(3_000)));
    }
}
