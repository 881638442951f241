//! Request budgets: orders in ten seconds and in a minute, weight in a minute, and blocks the exchange has announced.
//!
//! Counts our own use and adopts the exchange's count where it is higher. Windows are those of the exchange's clock, as far
//! as it has been measured; blocks end by ours. A share of every budget is kept back for cancels and reduce-only orders.
//! Never lowers a count within its window, but by what never left. Risk thread.

use std::time::Duration;

use optiflow_base::clock::Nanos;
use optiflow_base::limiter::Window;
use optiflow_base::order::{DenyReason, Usage};

use crate::config::RiskConfig;

/// The budgets of the session.
#[derive(Debug)]
pub(crate) struct Rates {
    ten_seconds: Budget,
    minute: Budget,
    weight: Budget,
    orders_blocked_until: Nanos,
    all_blocked_until: Nanos,
    /// The exchange's clock − ours, ns.
    offset: i64,
}

/// What has been used in the windows that run, by our count, raised to the exchange's where that was higher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Orders in ten seconds.
    pub orders_ten_seconds: u32,
    /// Orders in the minute.
    pub orders_minute: u32,
    /// Request weight in the minute.
    pub weight_minute: u32,
}

/// One budget and the part of it that only exits may use.
#[derive(Debug)]
struct Budget {
    window: Window,
    reserve: u32,
}

impl Rates {
    pub(crate) fn new(config: &RiskConfig) -> Rates {
        assert!(config.reserve_percent < 100, "a reserve leaves something to trade with");
        let budget = |limit: u32, span: Duration| Budget {
            window: Window::far(limit, span),
            reserve: share(limit, config.reserve_percent),
        };
        Rates {
            ten_seconds: budget(config.orders_ten_seconds, TEN_SECONDS),
            minute: budget(config.orders_minute, MINUTE),
            weight: budget(config.weight_minute, MINUTE),
            orders_blocked_until: Nanos::default(),
            all_blocked_until: Nanos::default(),
            offset: 0,
        }
    }

    /// Our `now` on the exchange's clock: there its windows begin.
    fn theirs(&self, now: Nanos) -> Nanos {
        Nanos(now.0.saturating_add_signed(self.offset))
    }

    /// What has been used.
    pub(crate) fn used(&mut self, now: Nanos) -> Used {
        let theirs = self.theirs(now);
        Used {
            orders_ten_seconds: self.ten_seconds.window.used(theirs),
            orders_minute: self.minute.window.used(theirs),
            weight_minute: self.weight.window.used(theirs),
        }
    }

    /// May an order be placed? `exit` orders may use the reserve.
    pub(crate) fn may_place(&mut self, now: Nanos, exit: bool) -> Result<(), DenyReason> {
        if now < self.all_blocked_until {
            return Err(DenyReason::WeightRate);
        }
        let theirs = self.theirs(now);
        let free = self.ten_seconds.fits(theirs, exit) && self.minute.fits(theirs, exit);
        if free && now >= self.orders_blocked_until { Ok(()) } else { Err(DenyReason::OrderRate) }
    }

    /// May a cancel be sent? Cancels may always use the reserve; only a ban or an empty budget stops them.
    pub(crate) fn may_cancel(&mut self, now: Nanos) -> Result<(), DenyReason> {
        let theirs = self.theirs(now);
        let free = now >= self.all_blocked_until && self.weight.fits(theirs, true);
        if free { Ok(()) } else { Err(DenyReason::WeightRate) }
    }

    /// An order was approved.
    pub(crate) fn placed(&mut self, now: Nanos) {
        let theirs = self.theirs(now);
        let counted = self.ten_seconds.window.take(theirs, 1, 0) & self.minute.window.take(theirs, 1, 0);
        assert!(counted, "an order is counted only after its budget was checked");
    }

    /// A cancel was approved.
    pub(crate) fn cancelled(&mut self, now: Nanos) {
        let theirs = self.theirs(now);
        let counted = self.weight.window.take(theirs, CANCEL_WEIGHT, 0);
        assert!(counted, "a cancel is counted only after its budget was checked");
    }

    /// The cancel that was approved then never left.
    pub(crate) fn cancel_came_back(&mut self, now: Nanos, approved: Nanos) {
        let (approved, theirs) = (self.theirs(approved), self.theirs(now));
        self.weight.window.give_back(approved, theirs, CANCEL_WEIGHT);
    }

    /// Adopts what the exchange says. A block of orders holds reduce-only orders up as well, because the exchange counts
    /// them alike, but never a cancel; in a block of everything even cancels wait: sending on makes a ban longer.
    pub(crate) fn adopt(&mut self, now: Nanos, usage: &Usage) {
        self.offset = usage.clock_offset_ns.unwrap_or(self.offset);
        // What does not say when it was asked for was known just now.
        let (asked, theirs) = (self.theirs(usage.asked.unwrap_or(now)), self.theirs(now));
        for (budget, used) in
            [(&mut self.ten_seconds, usage.orders_ten_seconds), (&mut self.minute, usage.orders_minute)]
        {
            if let Some(used) = used {
                budget.window.raise_to(asked, theirs, used);
            }
        }
        if let Some(used) = usage.weight_minute {
            self.weight.window.raise_to(asked, theirs, used);
        }
        for (blocked, until) in [
            (&mut self.orders_blocked_until, usage.orders_blocked_until),
            (&mut self.all_blocked_until, usage.blocked_until),
        ] {
            *blocked = until.unwrap_or_default().max(*blocked);
        }
    }
}

impl Budget {
    fn fits(&mut self, now: Nanos, exit: bool) -> bool {
        self.window.fits(now, 1, if exit { 0 } else { self.reserve })
    }
}

/// `percent` of `limit`, rounded up: a reserve is never rounded away.
fn share(limit: u32, percent: u32) -> u32 {
    let share = u64::from(limit).saturating_mul(u64::from(percent)).div_ceil(100);
    u32::try_from(share).unwrap_or(limit)
}

/// Request weight of one cancel (fact sheet §3.2); placing an order weighs nothing.
const CANCEL_WEIGHT: u32 = 1;
const TEN_SECONDS: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(ten_seconds: u32, minute: u32, weight: u32) -> Rates {
        Rates::new(&RiskConfig {
            symbols: Vec::new(),
            total: None,
            is_lasting: |_| false,
            orders_ten_seconds: ten_seconds,
            orders_minute: minute,
            weight_minute: weight,
            reserve_percent: 20,
            quote_age_max: Duration::from_secs(1),
        })
    }

    const NOW: Nanos = Nanos(60_000_000_000);

    #[test]
    fn the_reserve_is_kept_for_exits() {
        let mut rates = rates(5, 100, 10);
        for _ in 0..4 {
            assert_eq!(rates.may_place(NOW, false), Ok(()));
            rates.placed(NOW);
        }
        assert_eq!(rates.may_place(NOW, false), Err(DenyReason::OrderRate));
        assert_eq!(rates.may_place(NOW, true), Ok(()));
        rates.placed(NOW);
        assert_eq!(rates.may_place(NOW, true), Err(DenyReason::OrderRate));
        let begun = NOW + TEN_SECONDS + Duration::from_millis(20);
        assert_eq!(rates.may_place(begun, false), Ok(()), "a new window has a new budget");
    }

    #[test]
    fn the_minute_counts_across_ten_second_windows() {
        let mut rates = rates(100, 2, 10);
        rates.placed(NOW);
        rates.placed(NOW + TEN_SECONDS);
        assert_eq!(rates.may_place(NOW + 2 * TEN_SECONDS, true), Err(DenyReason::OrderRate));
    }

    #[test]
    fn the_exchange_count_is_adopted_where_it_is_higher() {
        let (mut rates, now) = (rates(5, 100, 10), NOW + Duration::from_secs(1));
        rates.adopt(now, &Usage { orders_ten_seconds: Some(5), weight_minute: Some(9), ..Usage::default() });
        assert_eq!(rates.may_place(now, true), Err(DenyReason::OrderRate));
        assert_eq!(rates.may_cancel(now), Ok(()));
        rates.cancelled(now);
        assert_eq!(rates.may_cancel(now), Err(DenyReason::WeightRate));
    }

    #[test]
    fn a_block_of_orders_leaves_cancels_alone_and_a_ban_stops_everything() {
        let until = NOW + Duration::from_secs(3);
        let mut rates = rates(5, 100, 10);
        rates.adopt(NOW, &Usage { orders_blocked_until: Some(until), ..Usage::default() });
        assert_eq!(rates.may_place(NOW, false), Err(DenyReason::OrderRate));
        assert_eq!(rates.may_place(NOW, true), Err(DenyReason::OrderRate));
        assert_eq!(rates.may_cancel(NOW), Ok(()));
        assert_eq!(rates.may_place(until, false), Ok(()));
        rates.adopt(NOW, &Usage { orders_blocked_until: Some(NOW), ..Usage::default() });
        rates.adopt(NOW, &Usage::default());
        assert_eq!(rates.may_place(NOW, false), Err(DenyReason::OrderRate), "a later word does not shorten a block");
        let counted = Usage { orders_minute: Some(100), blocked_until: Some(until), ..Usage::default() };
        rates.adopt(NOW, &counted);
        assert_eq!(rates.may_cancel(NOW), Err(DenyReason::WeightRate), "a full count does not soften a ban");
        assert_eq!(rates.may_place(NOW, true), Err(DenyReason::WeightRate));
        assert_eq!(rates.may_cancel(NOW), Err(DenyReason::WeightRate));
        assert_eq!(rates.may_cancel(until), Ok(()));
    }

    #[test]
    fn windows_turn_with_the_exchange_s_clock_once_it_is_measured() {
        // Ours is 300 ms ahead: when our minute begins, the exchange's still has 300 ms to go.
        let measured = Usage { clock_offset_ns: Some(-300_000_000), ..Usage::default() };
        for (usage, after_our_minute_ms, free) in
            [(Usage::default(), 20, true), (measured, 0, false), (measured, 319, false), (measured, 320, true)]
        {
            let mut rates = rates(5, 1, 1);
            // Not so late that it might be counted in the next minute.
            let before = NOW + Duration::from_millis(58_000);
            rates.adopt(before, &usage);
            rates.placed(before);
            rates.cancelled(before);
            let later = NOW + MINUTE + Duration::from_millis(after_our_minute_ms);
            assert_eq!(rates.may_place(later, true).is_ok(), free, "{after_our_minute_ms} ms");
            assert_eq!(rates.may_cancel(later).is_ok(), free, "{after_our_minute_ms} ms");
        }
    }
}
