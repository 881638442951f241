//! When to measure the exchange's clock, and which measurement to believe.
//!
//! Several samples in a row, the one with the shortest round trip decides; again every minute, and at once when the
//! exchange complains about our time. Pure. Runs on the oms thread.

use std::time::Duration;

use arrayvec::ArrayVec;
use optiflow_base::clock::{Nanos, nanos_of};

use crate::time::TimeSample;

/// The schedule of measurements.
#[derive(Debug)]
pub struct ClockSync {
    samples: ArrayVec<TimeSample, SAMPLES_LEN>,
    due: Nanos,
    asked: bool,
    /// A measurement has been completed since the start.
    pub synced: bool,
    /// What the measurement in force says, how far it may be off, and when it was made.
    offset_ns: i64,
    error_ns: u64,
    measured: Nanos,
    /// The exchange has complained since.
    doubted: bool,
    /// It was told that the clock is uncertain.
    alarmed: bool,
}

impl ClockSync {
    /// Due at once.
    pub const fn new() -> ClockSync {
        ClockSync {
            samples: ArrayVec::new_const(),
            due: Nanos(0),
            asked: false,
            synced: false,
            offset_ns: 0,
            error_ns: 0,
            measured: Nanos(0),
            doubted: false,
            alarmed: false,
        }
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
        let best = self.samples.iter().min_by_key(|sample| sample.round_trip()).copied()?;
        self.samples.clear();
        let (offset, error) = (best.offset(), best.round_trip() / 2);
        let adopted = self.doubted || self.says_more(now, offset, error);
        if adopted {
            (self.offset_ns, self.error_ns, self.measured) = (offset, error, now);
            (self.synced, self.doubted) = (true, false);
        }
        self.due = now + if self.is_certain(now) { MEASURE_EVERY } else { RETRY_PAUSE };
        adopted.then_some(offset)
    }

    /// Calls may be slow while orders are quick: a measurement that is less exact than the one in force, and agrees with
    /// it, would only spoil the timestamps of orders.
    fn says_more(&self, now: Nanos, offset: i64, error: u64) -> bool {
        let kept = self.error_by(now);
        !self.synced || error <= kept || offset.abs_diff(self.offset_ns) > error.saturating_add(kept)
    }

    /// How far the measurement in force may be off by now: both clocks drift.
    fn error_by(&self, now: Nanos) -> u64 {
        self.error_ns.saturating_add(now.since(self.measured) / 1_000_000 * DRIFT_MAX_PPM)
    }

    /// Is the exchange's clock known well enough for orders whose time it judges? A measurement is off by half its
    /// round trip at most, and both clocks drift from then on.
    pub fn is_certain(&self, now: Nanos) -> bool {
        self.synced && self.error_by(now) <= nanos_of(UNCERTAINTY_MAX)
    }

    /// Milliseconds by which the clock may be off, when it has just become uncertain.
    pub fn take_alarm(&mut self, now: Nanos) -> Option<u64> {
        let uncertain = self.synced && !self.is_certain(now);
        let news = uncertain && !self.alarmed;
        self.alarmed = uncertain;
        news.then_some(self.error_ns / 1_000_000)
    }

    /// No usable answer: a little later again.
    pub fn failed(&mut self, now: Nanos) {
        self.asked = false;
        self.due = now + RETRY_PAUSE;
    }

    /// The exchange complains: measure now, unless that has just been done.
    pub fn hurry(&mut self, now: Nanos) {
        self.doubted = true;
        self.due = self.due.min(now.max(self.measured + RETRY_PAUSE));
    }
}

/// Samples of one measurement.
const SAMPLES_LEN: usize = 5;
/// From one measurement to the next.
const MEASURE_EVERY: Duration = Duration::from_secs(60);
/// An exchange's clock that may be off by more is no clock: entries wait until it is known better. Timestamps are taken
/// up to a second ahead and a receive window behind.
const UNCERTAINTY_MAX: Duration = Duration::from_millis(500);
/// How fast two clocks drift apart at most, far beyond what quartz does.
const DRIFT_MAX_PPM: u64 = 200;
/// After a failed sample, or a measurement that is too uncertain.
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
        sync.hurry(Nanos::from_millis(1_001));
        assert!(
            !sync.is_due(Nanos::from_millis(1_999)),
            "it has just been measured: complaints do not use the weight up"
        );
        sync.hurry(Nanos::from_millis(2_000));
        assert!(sync.is_due(Nanos::from_millis(2_000)));
        sync.failed(Nanos::from_millis(2_000));
        assert!(!sync.is_due(Nanos::from_millis(2_999)) && sync.is_due(Nanos::from_millis(3_000)));
    }

    #[test]
    fn a_slow_measurement_does_not_replace_an_exact_one_with_which_it_agrees() {
        let mut sync = ClockSync::new();
        let now = Nanos::from_millis(10_000);
        let measure = |sync: &mut ClockSync, at_ms, round_trip| {
            let told = (0..SAMPLES_LEN).map(|_| sync.sampled(Nanos::from_millis(at_ms), sample(at_ms, round_trip)));
            told.last().unwrap()
        };
        let exact = measure(&mut sync, 10_000, 4);
        assert_eq!(exact, Some(sample(10_000, 4).offset()));
        assert_eq!(measure(&mut sync, 70_000, 1_800), None, "off by up to 900 ms: nothing was learned");
        assert!(sync.is_certain(now + MEASURE_EVERY) && sync.is_due(now + MEASURE_EVERY * 2));
        assert!(measure(&mut sync, 130_000, 26).is_some(), "as exact as what is left of the first");
        assert_eq!(measure(&mut sync, 190_000, 1_800), None);
        sync.hurry(Nanos::from_millis(190_000));
        assert!(measure(&mut sync, 191_000, 1_800).is_some(), "the exchange does not accept the exact one");
        measure(&mut sync, 192_000, 4);
        let jumped = TimeSample { server_ms: 205_000, ..sample(193_000, 1_800) };
        let told: Vec<Option<i64>> = (0..SAMPLES_LEN).map(|_| sync.sampled(now, jumped)).collect();
        assert_eq!(told.last(), Some(&Some(jumped.offset())), "its clock was set");
    }

    #[test]
    fn a_clock_that_is_measured_badly_or_too_long_ago_is_uncertain_and_told_once() {
        let mut sync = ClockSync::new();
        let now = Nanos::from_millis(10_000);
        assert!(!sync.is_certain(now) && sync.take_alarm(now).is_none(), "a start is no alarm");
        for _ in 0..SAMPLES_LEN {
            sync.sampled(now, sample(8_000, 1_200));
        }
        assert!(sync.synced && !sync.is_certain(now));
        assert_eq!((sync.take_alarm(now), sync.take_alarm(now)), (Some(600), None));
        assert!(!sync.is_due(now) && sync.is_due(now + RETRY_PAUSE), "measured again soon");
        for _ in 0..SAMPLES_LEN {
            sync.sampled(now, sample(9_900, 100));
        }
        assert!(sync.is_certain(now) && sync.take_alarm(now).is_none());
        let (half, whole) = (Duration::from_secs(1_125), Duration::from_secs(2_251));
        assert!(sync.is_certain(now + half) && !sync.is_certain(now + whole), "both clocks drift");
        assert!(sync.take_alarm(now + whole).is_some());
    }
}
