//! A counted window: so many tokens per span, aligned to the clock as exchanges align theirs.
//!
//! Binance counts weight and orders in fixed windows of the UTC clock, not sliding ones (fact sheet §3.1). The count
//! follows our own use and is raised to the exchange's count whenever that is higher; never lowered within a window,
//! but by what was not used after all, and never below what was told.
//!
//! The exchange counts what arrives, we what leaves. A window that is counted elsewhere ([`Window::far`]) therefore
//! keeps room for what left shortly before it began, and for what leaves just after its end; and a count that was told
//! belongs to it only when question and answer both fall into it.

use std::time::Duration;

use crate::clock::{Nanos, nanos_of};

/// Tokens per fixed window of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    limit: u32,
    span_ns: u64,
    index: u64,
    used: u32,
    /// The highest count that was told of this window.
    told: u32,
    /// What may have arrived in this window although it left before it began: no use that is known, but no room either.
    carried: u32,
    /// What was taken so shortly before the end of this window that it may be counted in the next one.
    late: u32,
    /// What the window before this one holds.
    before: u32,
    is_far: bool,
}

impl Window {
    /// `limit` tokens in every window of `span`, counted here.
    pub fn new(limit: u32, span: Duration) -> Window {
        let span_ns = nanos_of(span);
        assert!(span_ns > 0, "a window has a length");
        Window { limit, span_ns, index: 0, used: 0, told: 0, carried: 0, late: 0, before: 0, is_far: false }
    }

    /// `limit` tokens in every window of `span`, counted by somebody to whom they must travel, and whose clock we know
    /// but roughly. No token is lost to that unless it is used at the very end of a window.
    pub fn far(limit: u32, span: Duration) -> Window {
        assert!(span > TRAVEL_MAX + CLOCK_ERROR_MAX, "nothing travels for a whole window");
        Window { is_far: true, ..Window::new(limit, span) }
    }

    /// Are `tokens` free, with `reserve` left afterwards?
    pub fn fits(&mut self, now: Nanos, tokens: u32, reserve: u32) -> bool {
        self.roll(now);
        let within = |used: u32| used.saturating_add(tokens).saturating_add(reserve) <= self.limit;
        within(self.used.saturating_add(self.carried)) && (within(self.before) || !self.has_just_begun(now))
    }

    /// Takes `tokens` if `reserve` tokens remain free afterwards; says whether it did.
    pub fn take(&mut self, now: Nanos, tokens: u32, reserve: u32) -> bool {
        let fits = self.fits(now, tokens, reserve);
        if fits {
            self.spend(now, tokens);
        }
        fits
    }

    /// Counts tokens that are used whether they fit or not.
    pub fn spend(&mut self, now: Nanos, tokens: u32) {
        self.roll(now);
        self.used = self.used.saturating_add(tokens);
        if self.has_just_begun(now) {
            self.before = self.before.saturating_add(tokens);
        }
        let end = self.index.saturating_add(1).saturating_mul(self.span_ns);
        if self.is_far && now + (TRAVEL_MAX + CLOCK_ERROR_MAX) >= Nanos(end) {
            self.late = self.late.saturating_add(tokens);
        }
    }

    /// Adopts a count that was told, where it is higher than ours: told in answer to a question that left at `asked`, when
    /// that was in this window. A window may have turned between question and answer; then whose count it is cannot be
    /// known, and the next answer tells.
    pub fn raise_to(&mut self, asked: Nanos, now: Nanos, used: u32) {
        self.roll(now);
        let early = if self.is_far { nanos_of(CLOCK_ERROR_MAX) } else { 0 };
        if asked.0.saturating_sub(early) / self.span_ns == self.index {
            self.used = self.used.max(used);
            self.told = self.told.max(used);
        }
    }

    /// Tokens that were taken at `taken`, and turned out not to be used. What was told stays; so does the room that is kept
    /// for what leaves at the edge of a window.
    pub fn give_back(&mut self, taken: Nanos, now: Nanos, tokens: u32) {
        self.roll(now);
        if taken.0 / self.span_ns == self.index {
            self.used = self.used.saturating_sub(tokens).max(self.told);
        }
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

    /// So shortly that the exchange's clock may still show the window before.
    fn has_just_begun(&self, now: Nanos) -> bool {
        self.is_far && now < Nanos(self.index.saturating_mul(self.span_ns)) + CLOCK_ERROR_MAX
    }

    fn roll(&mut self, now: Nanos) {
        let index = now.0 / self.span_ns;
        if index == self.index + 1 {
            self.before = self.used.saturating_add(self.carried);
            (self.carried, self.used, self.told, self.late, self.index) = (self.late, 0, 0, 0, index);
        }
        // A clock that was set back by more than a window had been wrong: waiting for the old index could take for ever.
        if index > self.index || index + 1 < self.index {
            (self.before, self.carried, self.used, self.told) = (0, 0, 0, 0);
            (self.late, self.index) = (0, index);
        }
    }
}

/// Longer than a request is under way: the exchange refuses what is older than its receive window.
const TRAVEL_MAX: Duration = Duration::from_secs(1);
/// The exchange's clock is known this well: half of the difference between the ways there and back, and some drift.
const CLOCK_ERROR_MAX: Duration = Duration::from_millis(20);

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
        window.raise_to(Nanos(1), Nanos(1), 7);
        window.raise_to(Nanos(2), Nanos(2), 3);
        assert_eq!(window.used(Nanos(3)), 7);
    }

    #[test]
    fn what_is_given_back_is_free_again_in_its_own_window_and_never_below_what_was_told() {
        let mut window = Window::far(10, SPAN);
        assert!(window.take(at(100), 4, 0));
        window.give_back(at(100), at(200), 3);
        assert_eq!(window.used(at(200)), 1);
        window.raise_to(at(300), at(300), 6);
        assert!(window.take(at(400), 2, 0));
        window.give_back(at(400), at(500), 5);
        assert_eq!(window.used(at(500)), 6);
        assert!(window.take(at(10_500), 2, 0));
        window.give_back(at(500), at(10_600), 2);
        assert_eq!(window.used(at(10_600)), 2, "another window's");
        window.give_back(at(10_500), at(10_600), 9);
        assert_eq!(window.used(at(10_600)), 0, "what was told of the last one is over");
    }

    const SPAN: Duration = Duration::from_secs(10);

    fn at(ms: u64) -> Nanos {
        Nanos::from_millis(1_000_000 + ms)
    }

    #[test]
    fn a_count_told_across_the_edge_is_not_taken_for_the_new_window() {
        for (asked_ms, heard_ms, used) in
            [(9_990, 10_010, 0), (10_010, 10_030, 0), (10_020, 10_040, 8), (9_000, 9_020, 0)]
        {
            let mut window = Window::far(10, SPAN);
            window.raise_to(at(asked_ms), at(heard_ms), 8);
            assert_eq!(window.used(at(10_050)), used, "asked at {asked_ms} ms");
        }
    }

    #[test]
    fn what_left_just_before_the_edge_takes_room_on_both_sides() {
        let mut window = Window::far(10, SPAN);
        assert!(window.take(at(8_900), 4, 0) && window.take(at(9_100), 3, 0));
        assert_eq!(window.used(at(9_999)), 7);
        assert_eq!(window.used(at(10_000)), 0, "it left before");
        assert!(!window.take(at(10_500), 8, 0) && window.take(at(10_500), 7, 0), "but may arrive now");
        assert!(window.take(at(20_020), 10, 0), "and no later than that");
        let mut window = Window::far(10, SPAN);
        assert!(window.take(at(9_999), 10, 0));
        assert!(window.take(at(20_020), 10, 0), "a window has passed between");
    }

    #[test]
    fn just_after_the_edge_the_exchange_s_clock_may_still_show_the_full_window() {
        let mut window = Window::far(10, SPAN);
        assert!(window.take(at(5_000), 9, 0));
        assert!(!window.take(at(10_019), 2, 0), "it would be the eleventh");
        assert!(window.take(at(10_019), 1, 0));
        assert!(!window.take(at(10_019), 1, 0));
        assert!(window.take(at(10_020), 9, 0));
    }
}
