//! Time, injected: one timeline of nanoseconds that never jumps backwards.
//!
//! A stage is told the time; it never asks the operating system. The real clock anchors a monotonic counter to Unix
//! time once, at start: later wall-clock steps do not move it, and the offset to the exchange is measured against it.
//! The virtual clock is moved by hand, which makes tests and backtests repeatable.

use std::cell::Cell;
use std::ops::{Add, Sub};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nanoseconds since the Unix epoch on our own monotonic timeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

impl Nanos {
    /// From milliseconds.
    pub const fn from_millis(millis: u64) -> Nanos {
        Nanos(millis * 1_000_000)
    }

    /// Whole milliseconds, as exchanges count.
    pub const fn millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Nanoseconds since `earlier`; zero when `earlier` is later.
    pub const fn since(self, earlier: Nanos) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Nanos {
    type Output = Nanos;
    fn add(self, span: Duration) -> Nanos {
        Nanos(self.0 + nanos_of(span))
    }
}

impl Sub<Duration> for Nanos {
    type Output = Nanos;
    fn sub(self, span: Duration) -> Nanos {
        Nanos(self.0.saturating_sub(nanos_of(span)))
    }
}

/// A span as nanoseconds; spans beyond 584 years saturate.
pub fn nanos_of(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Where time comes from: a seam, so that live runs and virtual worlds share every stage.
pub trait Clock {
    /// The present; never smaller than an earlier answer.
    fn now(&self) -> Nanos;
}

/// The machine's clock: a calibrated counter anchored once to Unix time. About 9 ns a reading.
#[derive(Clone, Debug)]
pub struct RealClock {
    counter: quanta::Clock,
    start: quanta::Instant,
    anchor: Nanos,
}

impl RealClock {
    /// Calibrates (takes up to 0.2 s the first time) and anchors to the wall clock.
    pub fn new() -> RealClock {
        let counter = quanta::Clock::new();
        let start = counter.now();
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        RealClock { counter, start, anchor: Nanos(nanos_of(unix)) }
    }
}

impl Default for RealClock {
    fn default() -> RealClock {
        RealClock::new()
    }
}

impl Clock for RealClock {
    fn now(&self) -> Nanos {
        self.anchor + self.counter.now().saturating_duration_since(self.start)
    }
}

/// A clock that stands still until told to move.
#[derive(Debug, Default)]
pub struct VirtualClock {
    now: Cell<Nanos>,
}

impl VirtualClock {
    /// A clock that shows `start`.
    pub const fn new(start: Nanos) -> VirtualClock {
        VirtualClock { now: Cell::new(start) }
    }

    /// Moves forward to `to`.
    ///
    /// # Panics
    /// If that is the past.
    pub fn advance_to(&self, to: Nanos) {
        assert!(to >= self.now.get(), "a clock never goes back");
        self.now.set(to);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Nanos {
        self.now.get()
    }
}

impl<C: Clock> Clock for &C {
    fn now(&self) -> Nanos {
        (**self).now()
    }
}

impl<C: Clock> Clock for std::rc::Rc<C> {
    fn now(&self) -> Nanos {
        (**self).now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_real_clock_shows_unix_time_and_never_goes_back() {
        let clock = RealClock::new();
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let first = clock.now();
        assert!(first.0.abs_diff(nanos_of(unix)) < 5_000_000_000);
        assert!(clock.now() >= first);
    }

    #[test]
    fn the_virtual_clock_moves_only_when_told() {
        let clock = VirtualClock::new(Nanos::from_millis(5));
        assert_eq!(clock.now().millis(), 5);
        clock.advance_to(Nanos::from_millis(7));
        assert_eq!(clock.now().since(Nanos::from_millis(5)), 2_000_000);
    }

    #[test]
    #[should_panic(expected = "never goes back")]
    fn the_virtual_clock_refuses_the_past() {
        VirtualClock::new(Nanos(2)).advance_to(Nanos(1));
    }
}
