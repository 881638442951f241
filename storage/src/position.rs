//! Position and profit of one symbol from its fills, at average cost, exact.
//!
//! Money inside is counted in 10⁻¹⁶ (price units × quantity units), so that no product is rounded; a partial close
//! takes its share of the cost rounded down, and the last close takes all that is left: from flat to flat nothing is
//! lost. Never a float. Storage thread.

use optiflow_base::decimal::UNITS;
use optiflow_base::money::{Notional, Price, Qty, Side};

/// What a symbol holds and has earned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holding {
    qty: Qty,
    /// What the position cost, 10⁻¹⁶, never negative.
    cost: i128,
    /// Profit of what was closed, before fees, 10⁻¹⁶.
    realised: i128,
    /// Everything traded, 10⁻¹⁶.
    volume: i128,
    fees: i128,
    traded: i128,
}

impl Holding {
    /// Starts from a position that was there before; an entry below zero, which cannot be true, counts as none.
    pub(crate) fn adopt(&mut self, qty: Qty, entry: Price) {
        self.qty = qty;
        self.cost = raw(entry.max(Price::ZERO), qty.abs());
    }

    /// Books a fill: closes what is held the other way, opens the rest.
    pub(crate) fn fill(&mut self, side: Side, price: Price, qty: Qty, fee: i64) {
        assert!(self.cost >= 0, "a cost is never negative");
        self.volume = self.volume.saturating_add(raw(price, qty));
        self.traded = self.traded.saturating_add(i128::from(qty.units()));
        self.fees = self.fees.saturating_add(i128::from(fee));
        let against = side.signed(self.qty) < Qty::ZERO;
        let closing = if against { qty.min(self.qty.abs()) } else { Qty::ZERO };
        if closing > Qty::ZERO {
            self.close(side, price, closing);
        }
        let opening = qty.units().saturating_sub(closing.units());
        self.cost = self.cost.saturating_add(raw(price, Qty::from_units(opening)));
        let opened = side.signed(Qty::from_units(opening)).units();
        self.qty = Qty::from_units(self.qty.units().saturating_add(opened));
        assert!(!self.qty.is_zero() || self.cost == 0, "a flat position costs nothing");
    }

    fn close(&mut self, side: Side, price: Price, closing: Qty) {
        let held = i128::from(self.qty.units()).abs();
        let closed = i128::from(closing.units());
        // cost × closed / held, without the product: it could be too large.
        let released = self.cost / held * closed + self.cost % held * closed / held;
        let proceeds = raw(price, closing);
        self.realised = self.realised.saturating_add(match side {
            Side::Sell => proceeds - released,
            Side::Buy => released - proceeds,
        });
        self.cost -= released;
        self.qty += side.signed(closing);
    }

    /// Signed quantity.
    pub(crate) const fn qty(&self) -> Qty {
        self.qty
    }

    /// Average price of what is held, rounded down; zero when flat.
    pub(crate) fn entry(&self) -> Price {
        let held = i128::from(self.qty.units()).abs();
        let entry = self.cost.checked_div(held).unwrap_or(0);
        Price::from_units(i64::try_from(entry).unwrap_or(i64::MAX))
    }

    /// Profit of what was closed, before fees.
    pub(crate) const fn realised(&self) -> Notional {
        notional(self.realised)
    }

    /// Profit of what is held if it were closed at `price`, before fees.
    pub(crate) fn unrealised(&self, price: Price) -> Notional {
        let worth = raw(price, self.qty.abs());
        notional(if self.qty < Qty::ZERO { self.cost - worth } else { worth - self.cost })
    }

    /// Everything paid in fees; negative when rebates were larger.
    pub(crate) const fn fees(&self) -> Notional {
        Notional::from_units(self.fees)
    }

    /// Price × quantity of every fill.
    pub(crate) const fn volume(&self) -> Notional {
        notional(self.volume)
    }

    /// Quantity of every fill.
    pub(crate) fn traded(&self) -> Qty {
        Qty::from_units(i64::try_from(self.traded).unwrap_or(i64::MAX))
    }
}

const fn raw(price: Price, qty: Qty) -> i128 {
    price.units() as i128 * qty.units() as i128
}

const fn notional(raw: i128) -> Notional {
    Notional::from_units(raw / UNITS as i128)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `buy 0.002@30000` and so on, each with a fee of 0.01; `=0.5@100` starts from a position.
    fn run(trades: &str) -> String {
        let mut holding = Holding::default();
        for trade in trades.split(", ").filter(|trade| !trade.is_empty()) {
            let (head, price) = trade.split_once('@').unwrap();
            let price: Price = price.parse().unwrap();
            if let Some(qty) = head.strip_prefix('=') {
                holding.adopt(qty.parse().unwrap(), price);
                continue;
            }
            let (side, qty) = head.split_once(' ').unwrap();
            let side = if side == "buy" { Side::Buy } else { Side::Sell };
            holding.fill(side, price, qty.parse().unwrap(), 1_000_000);
        }
        let unrealised = holding.unrealised("110".parse().unwrap());
        format!(
            "{} @ {}, realised {}, unrealised at 110 {unrealised}, fees {}, volume {}",
            holding.qty(),
            holding.entry(),
            holding.realised(),
            holding.fees(),
            holding.volume()
        )
    }

    #[test]
    fn fills_become_position_and_profit() {
        let table = [
            ("", "0 @ 0, realised 0, unrealised at 110 0, fees 0, volume 0"),
            ("buy 2@100", "2 @ 100, realised 0, unrealised at 110 20, fees 0.01, volume 200"),
            ("buy 2@100, buy 2@120", "4 @ 110, realised 0, unrealised at 110 0, fees 0.02, volume 440"),
            ("buy 2@100, sell 2@105", "0 @ 0, realised 10, unrealised at 110 0, fees 0.02, volume 410"),
            ("buy 4@100, sell 1@105", "3 @ 100, realised 5, unrealised at 110 30, fees 0.02, volume 505"),
            ("sell 2@100, buy 2@105", "0 @ 0, realised -10, unrealised at 110 0, fees 0.02, volume 410"),
            ("sell 2@120, sell 2@100", "-4 @ 110, realised 0, unrealised at 110 0, fees 0.02, volume 440"),
            ("buy 1@100, sell 3@105", "-2 @ 105, realised 5, unrealised at 110 -10, fees 0.02, volume 415"),
            ("sell 1@100, buy 3@90", "2 @ 90, realised 10, unrealised at 110 40, fees 0.02, volume 370"),
            ("=2@100, sell 2@101", "0 @ 0, realised 2, unrealised at 110 0, fees 0.01, volume 202"),
            ("=-2@100, sell 2@101", "-4 @ 100.5, realised 0, unrealised at 110 -38, fees 0.01, volume 202"),
        ];
        for (trades, expected) in table {
            assert_eq!(run(trades), expected, "{trades}");
        }
    }

    proptest::proptest! {
        #[test]
        fn from_flat_to_flat_profit_is_exactly_what_came_in_less_what_went_out(
            trades in proptest::collection::vec((proptest::bool::ANY, 1i64..5_000, 1i64..700), 1..60),
        ) {
            let mut holding = Holding::default();
            let (mut cash, mut position) = (0i128, 0i64);
            let mut book = |holding: &mut Holding, side: Side, price: i64, qty: i64| {
                let (price, qty) = (Price::from_units(price), Qty::from_units(qty));
                holding.fill(side, price, qty, 0);
                cash -= raw(price, side.signed(qty));
                position += side.signed(qty).units();
                (cash, position)
            };
            let mut end = (0, 0);
            for (buy, price, qty) in trades {
                end = book(&mut holding, if buy { Side::Buy } else { Side::Sell }, price * 7, qty);
                proptest::prop_assert_eq!(holding.qty().units(), end.1);
                let worth = raw(Price::from_units(3_333), holding.qty());
                let held = if holding.qty() < Qty::ZERO { holding.cost + worth } else { worth - holding.cost };
                proptest::prop_assert_eq!(holding.realised + held, end.0 + worth, "at any price, at any time");
            }
            if end.1 != 0 {
                let side = if end.1 > 0 { Side::Sell } else { Side::Buy };
                end = book(&mut holding, side, 1_111, end.1.abs());
            }
            proptest::prop_assert_eq!(holding.realised, end.0);
        }
    }
}
