//! Order-flow imbalance of one book event (Cont, Kukanov, Stoikov), from the touch before and after it.
//! Keeps nothing. Engine thread.

use optiflow_base::market::Level;

/// `1{b≥b′}B − 1{b≤b′}B′ − 1{a≤a′}A + 1{a≥a′}A′` in 10⁻⁸ (prime = before). Saturates rather than overflows.
#[inline]
pub fn order_flow(before: (Level, Level), after: (Level, Level)) -> i64 {
    let ((bid_before, ask_before), (bid, ask)) = (before, after);
    let mut flow: i64 = 0;
    if bid.price >= bid_before.price {
        flow = flow.saturating_add(bid.qty.units());
    }
    if bid.price <= bid_before.price {
        flow = flow.saturating_sub(bid_before.qty.units());
    }
    if ask.price <= ask_before.price {
        flow = flow.saturating_sub(ask.qty.units());
    }
    if ask.price >= ask_before.price {
        flow = flow.saturating_add(ask_before.qty.units());
    }
    flow
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(bid: (i64, i64), ask: (i64, i64)) -> (Level, Level) {
        let level = |(price, qty)| Level {
            price: optiflow_base::money::Price::from_units(price),
            qty: optiflow_base::money::Qty::from_units(qty),
        };
        (level(bid), level(ask))
    }

    #[test]
    fn pressure_is_signed_by_who_gains() {
        let before = touch((10, 5), (11, 7));
        let table = [
            ("nothing changes", touch((10, 5), (11, 7)), 0),
            ("bid grows", touch((10, 8), (11, 7)), 3),
            ("ask grows", touch((10, 5), (11, 9)), -2),
            ("bid steps up", touch((11, 2), (12, 4)), 2 + 7),
            ("bid steps down", touch((9, 6), (11, 7)), -5),
            ("ask steps down", touch((9, 1), (10, 4)), -5 - 4),
        ];
        for (what, after, expected) in table {
            assert_eq!(order_flow(before, after), expected, "{what}");
        }
    }
}
