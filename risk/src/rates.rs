//! What the exchange's request limits allow: the reason for which an order or a cancel may not leave now.
//!
//! Asks and decides; the counting is [`optiflow_base::rates`]. A block of orders holds reduce-only orders up as well, because
//! the exchange counts them alike, but never a cancel; in a block of everything even cancels wait. Risk thread.

use optiflow_base::clock::Nanos;
use optiflow_base::order::DenyReason;
use optiflow_base::rates::Rates;

/// May an order be placed? `exit` orders may use the reserve.
pub(crate) fn may_place(rates: &mut Rates, now: Nanos, exit: bool) -> Result<(), DenyReason> {
    if rates.is_all_blocked(now) {
        return Err(DenyReason::WeightRate);
    }
    let free = rates.has_room_for_order(now, exit) && !rates.are_orders_blocked(now);
    if free { Ok(()) } else { Err(DenyReason::OrderRate) }
}

/// May a cancel be sent? Cancels may always use the reserve; only a ban or an empty budget stops them.
pub(crate) fn may_cancel(rates: &mut Rates, now: Nanos) -> Result<(), DenyReason> {
    let free = !rates.is_all_blocked(now) && rates.has_room_for_cancel(now);
    if free { Ok(()) } else { Err(DenyReason::WeightRate) }
}

/// Counts an order that was approved.
pub(crate) fn placed(rates: &mut Rates, now: Nanos) {
    assert!(rates.has_room_for_order(now, true), "an order is counted only after its budget was checked");
    rates.order(now);
}

/// Counts a cancel that was approved.
pub(crate) fn cancelled(rates: &mut Rates, now: Nanos) {
    assert!(rates.has_room_for_cancel(now), "a cancel is counted only after its budget was checked");
    rates.cancel(now);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use optiflow_base::order::Usage;
    use optiflow_base::rates::RateLimits;

    use super::*;

    fn rates(orders_ten_seconds: u32, orders_minute: u32, weight_minute: u32) -> Rates {
        Rates::new(RateLimits { orders_ten_seconds, orders_minute, weight_minute, reserve_percent: 20 })
    }

    const NOW: Nanos = Nanos(60_000_000_000);
    const TEN_SECONDS: Duration = Duration::from_secs(10);
    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_reserve_is_kept_for_exits() {
        let mut rates = rates(5, 100, 10);
        for _ in 0..4 {
            assert_eq!(may_place(&mut rates, NOW, false), Ok(()));
            placed(&mut rates, NOW);
        }
        assert_eq!(may_place(&mut rates, NOW, false), Err(DenyReason::OrderRate));
        assert_eq!(may_place(&mut rates, NOW, true), Ok(()));
        placed(&mut rates, NOW);
        assert_eq!(may_place(&mut rates, NOW, true), Err(DenyReason::OrderRate));
        let begun = NOW + TEN_SECONDS + Duration::from_millis(20);
        assert_eq!(may_place(&mut rates, begun, false), Ok(()), "a new window has a new budget");
    }

    #[test]
    fn the_minute_counts_across_ten_second_windows() {
        let mut rates = rates(100, 2, 10);
        placed(&mut rates, NOW);
        placed(&mut rates, NOW + TEN_SECONDS);
        assert_eq!(may_place(&mut rates, NOW + 2 * TEN_SECONDS, true), Err(DenyReason::OrderRate));
    }

    #[test]
    fn the_exchange_count_is_adopted_where_it_is_higher() {
        let (mut rates, now) = (rates(5, 100, 10), NOW + Duration::from_secs(1));
        rates.adopt(now, &Usage { orders_ten_seconds: Some(5), weight_minute: Some(9), ..Usage::default() });
        assert_eq!(may_place(&mut rates, now, true), Err(DenyReason::OrderRate));
        assert_eq!(may_cancel(&mut rates, now), Ok(()));
        cancelled(&mut rates, now);
        assert_eq!(may_cancel(&mut rates, now), Err(DenyReason::WeightRate));
    }

    #[test]
    fn a_block_of_orders_leaves_cancels_alone_and_a_ban_stops_everything() {
        let until = NOW + Duration::from_secs(3);
        let mut rates = rates(5, 100, 10);
        rates.adopt(NOW, &Usage { orders_blocked_until: Some(until), ..Usage::default() });
        assert_eq!(may_place(&mut rates, NOW, false), Err(DenyReason::OrderRate));
        assert_eq!(may_place(&mut rates, NOW, true), Err(DenyReason::OrderRate));
        assert_eq!(may_cancel(&mut rates, NOW), Ok(()));
        assert_eq!(may_place(&mut rates, until, false), Ok(()));
        rates.adopt(NOW, &Usage { orders_blocked_until: Some(NOW), ..Usage::default() });
        rates.adopt(NOW, &Usage::default());
        assert_eq!(
            may_place(&mut rates, NOW, false),
            Err(DenyReason::OrderRate),
            "a later word does not shorten a block"
        );
        let counted = Usage { orders_minute: Some(100), blocked_until: Some(until), ..Usage::default() };
        rates.adopt(NOW, &counted);
        assert_eq!(may_cancel(&mut rates, NOW), Err(DenyReason::WeightRate), "a full count does not soften a ban");
        assert_eq!(may_place(&mut rates, NOW, true), Err(DenyReason::WeightRate));
        assert_eq!(may_cancel(&mut rates, NOW), Err(DenyReason::WeightRate));
        assert_eq!(may_cancel(&mut rates, until), Ok(()));
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
            placed(&mut rates, before);
            cancelled(&mut rates, before);
            let later = NOW + MINUTE + Duration::from_millis(after_our_minute_ms);
            assert_eq!(may_place(&mut rates, later, true).is_ok(), free, "{after_our_minute_ms} ms");
            assert_eq!(may_cancel(&mut rates, later).is_ok(), free, "{after_our_minute_ms} ms");
        }
    }
}
