//! A counted window: so many tokens per span, aligned to the clock as exchanges align theirs.
//!
//! Binance counts weight and orders in fixed windows of the UTC clock, not sliding ones (fact sheet §3.1). The count
//! follows our own use and is raised to the exchange's count whenever that is higher; never lowered within a window.

use std::time::Duration;

use crate::clock::{Nanos, nanos_of};

/// Tokens per fixed window of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    limit: u32,
    span_ns: u64,
    index: u64,
    used: u32,
}

impl Window {
    /// `limit` tokens in every window of `span`.
    pub fn new(limit: u32, span: Duration) -> Window {
        let span_ns = nanos_of(span);
        assert!(span_ns > 0, "a window has a length");
        Window { limit, span_ns, index: 0, used: 0 }
    }

    /// Takes `tokens` if `reserve` tokens remain free afterwards; says whether it did.
    pub fn take(&mut self, now: Nanos, tokens: u32, reserve: u32) -> bool {
        self.roll(now);
        let fits = self.used.saturating_add(tokens).saturating_add(reserve) <= self.limit;
        if fits {
            self.used += tokens;
        }
        fits
    }

    /// Adopts the exchange's count where it is higher than ours.
    pub fn raise_to(&mut self, now: Nanos, used: u32) {
        self.roll(now);
        self.used = self.used.max(used);
    }

    /// Tokens used in the window of `now`.
    pub fn used(&mut self, now: Nanos) -> u32 {
        self.roll(now);
        self.used
    }

    /// Tokens a window holds.
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// Replaces the limit by the exchange's own.
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
    }

    fn roll(&mut self, now: Nanos) {
        let index = now.0 / self.span_ns;
        // A clock that was set back by more than a window had been wrong: waiting for the old index could take for ever.
        if index > self.index || index + 1 < self.index {
            self.index = index;
            self.used = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_run_out_and_return_with_the_next_window() {
        let mut window = Window::new(10, Duration::from_secs(60));
        let minute = |n: u64| Nanos(n * 60_000_000_000);
        assert!(window.take(minute(1), 8, 0));
        assert!(!window.take(minute(1), 1, 2), "the reserve is kept");
        assert!(window.take(minute(1), 2, 0), "the reserve can be used by those it is kept for");
        assert!(!window.take(Nanos(minute(2).0 - 1), 1, 0));
        assert!(window.take(minute(2), 10, 0));
    }

    #[test]
    fn a_clock_set_back_a_little_keeps_the_count_and_one_that_was_far_off_starts_anew() {
        let mut window = Window::new(10, Duration::from_secs(60));
        let minute = |n: u64| Nanos(n * 60_000_000_000);
        assert!(window.take(minute(100), 10, 0));
        assert!(!window.take(Nanos(minute(100).0 - 1), 1, 0), "the same tokens are not given twice");
        assert!(window.take(minute(3), 10, 0) && !window.take(minute(3), 1, 0));
        assert!(window.take(minute(4), 1, 0));
    }

    #[test]
    fn the_exchange_count_only_raises_ours() {
        let mut window = Window::new(10, Duration::from_secs(10));
        window.raise_to(Nanos(1), 7);
        window.raise_to(Nanos(2), 3);
        assert_eq!(window.used(Nanos(3)), 7);
    }
}
