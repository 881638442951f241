//! Our use of the exchange's request limits: orders in ten seconds and in a minute, weight in a minute, and blocks that the
//! exchange has announced.
//!
//! Adopts the exchange's count where it is higher. Windows are those of the exchange's clock, as far as it has been measured;
//! blocks end by ours. A share of each limit is for cancels and reduce-only orders alone. Never lowers a count within its
//! window, but by what never left; denies nothing; never allocates. Risk counts what it approves, engine shows strategies
//! what has left: each on its own thread with one of its own.

use std::time::Duration;

use crate::clock::Nanos;
use crate::limiter::Window;
use crate::order::{OrderChange, Usage};

/// What may be used: the exchange's limits, or the configuration's where those are lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// New orders and modifications in ten seconds.
    pub orders_ten_seconds: u32,
    /// New orders and modifications in a minute.
    pub orders_minute: u32,
    /// Request weight in a minute.
    pub weight_minute: u32,
    /// Share of each that is kept for cancels and reduce-only orders.
    pub reserve_percent: u32,
}

/// The use of all limits.
#[derive(Debug)]
pub struct Rates {
    ten_seconds: Window,
    minute: Window,
    weight: Window,
    reserve_percent: u32,
    orders_blocked_until: Nanos,
    all_blocked_until: Nanos,
    /// The exchange's clock − ours, ns.
    offset: i64,
}

/// The use of one limit in its running window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Used.
    pub used: u32,
    /// Of so many.
    pub limit: u32,
    /// The last so many of them are for cancels and reduce-only orders alone.
    pub reserve: u32,
}

impl Rate {
    /// What is left for orders that may open a position, or with `exit` for those that only shrink one.
    pub fn left(&self, exit: bool) -> u32 {
        let kept = if exit { 0 } else { self.reserve };
        self.limit.saturating_sub(self.used.saturating_add(kept))
    }
}

impl Rates {
    /// Nothing used yet.
    ///
    /// # Panics
    /// If the reserve leaves nothing to trade with.
    pub fn new(limits: RateLimits) -> Rates {
        assert!(limits.reserve_percent < 100, "a reserve leaves something to trade with");
        Rates {
            ten_seconds: Window::far(limits.orders_ten_seconds, TEN_SECONDS),
            minute: Window::far(limits.orders_minute, MINUTE),
            weight: Window::far(limits.weight_minute, MINUTE),
            reserve_percent: limits.reserve_percent,
            orders_blocked_until: Nanos(0),
            all_blocked_until: Nanos(0),
            offset: 0,
        }
    }

    /// Orders in the running ten seconds.
    pub fn orders_ten_seconds(&self, now: Nanos) -> Rate {
        self.rate(self.ten_seconds, now)
    }

    /// Orders in the running minute.
    pub fn orders_minute(&self, now: Nanos) -> Rate {
        self.rate(self.minute, now)
    }

    /// Request weight in the running minute; what other programs of the same address use is known when the exchange says so.
    pub fn weight_minute(&self, now: Nanos) -> Rate {
        self.rate(self.weight, now)
    }

    /// Orders that may still leave now: what the narrower window has left, none while the exchange has blocked us.
    pub fn orders_left(&self, now: Nanos, exit: bool) -> u32 {
        if self.are_orders_blocked(now) || self.is_all_blocked(now) {
            return 0;
        }
        self.orders_ten_seconds(now).left(exit).min(self.orders_minute(now).left(exit))
    }

    /// Has the exchange asked for no more orders? Reduce-only orders wait as well, because it counts them alike; cancels do
    /// not.
    pub fn are_orders_blocked(&self, now: Nanos) -> bool {
        now < self.orders_blocked_until
    }

    /// Has the exchange asked for silence? Even cancels wait: sending on makes a ban longer.
    pub fn is_all_blocked(&self, now: Nanos) -> bool {
        now < self.all_blocked_until
    }

    /// Is there room for an order wherever it may be counted? `exit` orders may use the reserve.
    pub fn has_room_for_order(&mut self, now: Nanos, exit: bool) -> bool {
        let (at, percent) = (self.theirs(now), if exit { 0 } else { self.reserve_percent });
        let has_room = |window: &mut Window| window.fits(at, 1, share(window.limit(), percent));
        has_room(&mut self.ten_seconds) && has_room(&mut self.minute)
    }

    /// Is there room for a cancel? It may always use the reserve.
    pub fn has_room_for_cancel(&mut self, now: Nanos) -> bool {
        self.weight.fits(self.theirs(now), CANCEL_WEIGHT, 0)
    }

    /// An order leaves.
    pub fn order(&mut self, now: Nanos) {
        let at = self.theirs(now);
        self.ten_seconds.spend(at, 1);
        self.minute.spend(at, 1);
    }

    /// A cancel leaves.
    pub fn cancel(&mut self, now: Nanos) {
        self.weight.spend(self.theirs(now), CANCEL_WEIGHT);
    }

    /// The cancel that was counted then never left.
    pub fn cancel_came_back(&mut self, now: Nanos, counted: Nanos) {
        let (counted, at) = (self.theirs(counted), self.theirs(now));
        self.weight.give_back(counted, at, CANCEL_WEIGHT);
    }

    /// Follows what was handed to the socket.
    pub fn follow(&mut self, now: Nanos, change: &OrderChange) {
        match change {
            OrderChange::Sent | OrderChange::ModifySent => self.order(now),
            OrderChange::CancelSent => self.cancel(now),
            OrderChange::Denied(_)
            | OrderChange::Accepted { .. }
            | OrderChange::Refused { .. }
            | OrderChange::Unknown
            | OrderChange::Filled { .. }
            | OrderChange::CancelRefused { .. }
            | OrderChange::Modified { .. }
            | OrderChange::ModifyRefused { .. }
            | OrderChange::Done
            | OrderChange::Cancelled
            | OrderChange::Expired => {}
        }
    }

    /// Adopts the exchange's count where it is higher, its blocks where they last longer, and its clock.
    pub fn adopt(&mut self, now: Nanos, usage: &Usage) {
        self.offset = usage.clock_offset_ns.unwrap_or(self.offset);
        // What does not say when it was asked for was known just now.
        let (asked, at) = (self.theirs(usage.asked.unwrap_or(now)), self.theirs(now));
        for (window, used) in [
            (&mut self.ten_seconds, usage.orders_ten_seconds),
            (&mut self.minute, usage.orders_minute),
            (&mut self.weight, usage.weight_minute),
        ] {
            window.raise_to(asked, at, used.unwrap_or(0));
        }
        self.orders_blocked_until = usage.orders_blocked_until.unwrap_or_default().max(self.orders_blocked_until);
        self.all_blocked_until = usage.blocked_until.unwrap_or_default().max(self.all_blocked_until);
    }

    fn rate(&self, mut window: Window, now: Nanos) -> Rate {
        let limit = window.limit();
        Rate { used: window.used(self.theirs(now)), limit, reserve: share(limit, self.reserve_percent) }
    }

    /// Our `now` on the exchange's clock: there its windows begin.
    fn theirs(&self, now: Nanos) -> Nanos {
        Nanos(now.0.saturating_add_signed(self.offset))
    }
}

/// `percent` of `limit`, rounded up: a reserve is never rounded away.
fn share(limit: u32, percent: u32) -> u32 {
    let share = u64::from(limit).saturating_mul(u64::from(percent)).div_ceil(100);
    u32::try_from(share).unwrap_or(limit)
}

/// Request weight of a cancel (fact sheet §3.2); an order weighs nothing.
const CANCEL_WEIGHT: u32 = 1;
const TEN_SECONDS: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: RateLimits =
        RateLimits { orders_ten_seconds: 10, orders_minute: 20, weight_minute: 100, reserve_percent: 20 };
    /// A second after the minute began: a count is told for the minute in which it was asked for.
    const NOW: Nanos = Nanos(61_000_000_000);

    #[test]
    fn what_leaves_is_counted_in_its_window_and_the_exchange_raises_the_count() {
        let mut rates = Rates::new(LIMITS);
        for change in [OrderChange::Sent, OrderChange::Sent, OrderChange::ModifySent, OrderChange::CancelSent] {
            rates.follow(NOW, &change);
        }
        rates.follow(NOW, &OrderChange::Cancelled);
        assert_eq!(rates.orders_ten_seconds(NOW), Rate { used: 3, limit: 10, reserve: 2 });
        assert_eq!((rates.orders_minute(NOW).used, rates.weight_minute(NOW).used), (3, 1));
        assert_eq!((rates.orders_left(NOW, false), rates.orders_left(NOW, true)), (5, 7));
        let later = NOW + TEN_SECONDS;
        assert_eq!((rates.orders_ten_seconds(later).used, rates.orders_minute(later).used), (0, 3));
        rates.adopt(later, &Usage { orders_minute: Some(18), weight_minute: Some(90), ..Usage::default() });
        assert_eq!((rates.orders_left(later, false), rates.orders_left(later, true)), (0, 2));
        assert_eq!(rates.weight_minute(later), Rate { used: 90, limit: 100, reserve: 20 });
        rates.adopt(later, &Usage { orders_minute: Some(1), ..Usage::default() });
        assert_eq!(rates.orders_minute(later).used, 18, "a count is never lowered within its window");
    }

    #[test]
    fn a_block_leaves_nothing_and_windows_turn_with_the_exchange_s_clock() {
        let mut rates = Rates::new(LIMITS);
        let until = NOW + Duration::from_secs(1);
        rates.adopt(NOW, &Usage { orders_blocked_until: Some(until), ..Usage::default() });
        assert_eq!((rates.orders_left(NOW, true), rates.orders_left(until, true)), (0, 10));
        rates.adopt(NOW, &Usage { clock_offset_ns: Some(-500_000_000), ..Usage::default() });
        rates.follow(NOW, &OrderChange::Sent);
        assert_eq!(rates.orders_ten_seconds(NOW + Duration::from_millis(9_499)).used, 1);
        assert_eq!(rates.orders_ten_seconds(NOW + Duration::from_millis(9_500)).used, 0);
    }
}
