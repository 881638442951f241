//! Our position in one symbol, as far as fills and the exchange have told us. Engine thread.

use optiflow_base::clock::Nanos;
use optiflow_base::money::{Price, Qty, Side};

/// Signed quantity and average entry price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Long is positive.
    pub qty: Qty,
    /// Average entry price; zero when flat.
    pub entry: Price,
    /// Since when it has not been flat, nor changed sides.
    pub since: Nanos,
}

impl Position {
    /// No position?
    pub const fn is_flat(&self) -> bool {
        self.qty.is_zero()
    }

    /// The side that opened it; `None` when flat.
    pub fn side(&self) -> Option<Side> {
        match self.qty.cmp(&Qty::ZERO) {
            std::cmp::Ordering::Greater => Some(Side::Buy),
            std::cmp::Ordering::Less => Some(Side::Sell),
            std::cmp::Ordering::Equal => None,
        }
    }

    /// Books a fill of ours. The average entry is rounded towards zero to 10⁻⁸; absurd quantities saturate.
    pub fn fill(&mut self, side: Side, qty: Qty, price: Price, at: Nanos) {
        let before = self.side();
        let entry_before = i128::from(self.entry.units()) * i128::from(self.qty.abs().units());
        self.qty = self.qty.saturating_add(side.signed(qty));
        match (before, self.side()) {
            (_, None) => *self = Position { since: at, ..Position::default() },
            (Some(before), Some(after)) if before == after && side == after => {
                let sum = entry_before.saturating_add(i128::from(price.units()) * i128::from(qty.units()));
                let average = sum / i128::from(self.qty.abs().units());
                self.entry = Price::from_units(i64::try_from(average).unwrap_or(i64::MAX));
            }
            (Some(before), Some(after)) if before == after => {}
            (_, Some(_)) => (self.entry, self.since) = (price, at),
        }
    }

    /// Takes the exchange's word.
    pub fn replace(&mut self, qty: Qty, entry: Price, at: Nanos) {
        let before = self.side();
        (self.qty, self.entry) = (qty, entry);
        if self.side() != before {
            self.since = at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_move_quantity_and_average_entry() {
        let table = [
            (Side::Buy, "2", "100", "2 @ 100 since 1"),
            (Side::Buy, "1", "103", "3 @ 101 since 1"),
            (Side::Sell, "1", "110", "2 @ 101 since 1"),
            (Side::Sell, "5", "90", "-3 @ 90 since 4"),
            (Side::Buy, "3", "80", "0 @ 0 since 5"),
            (Side::Sell, "1", "70", "-1 @ 70 since 6"),
        ];
        let mut position = Position::default();
        for (index, (side, qty, price, expected)) in table.into_iter().enumerate() {
            position.fill(side, qty.parse().unwrap(), price.parse().unwrap(), Nanos(index as u64 + 1));
            assert_eq!(format!("{} @ {} since {}", position.qty, position.entry, position.since.0), expected);
        }
    }

    #[test]
    fn hostile_fills_saturate() {
        let (qty, price) = (Qty::from_units(i64::MAX), Price::from_units(i64::MAX));
        for side in [Side::Buy, Side::Sell] {
            let mut position = Position::default();
            for _ in 0..3 {
                position.fill(side, qty, price, Nanos(1));
            }
            assert_eq!((position.qty.abs(), position.side()), (qty, Some(side)));
            position.fill(side.opposite(), qty, price, Nanos(2));
            assert!(position.is_flat());
            position.fill(side, Qty::from_units(i64::MIN), Price::from_units(i64::MIN), Nanos(3));
        }
    }

    #[test]
    fn the_exchange_has_the_last_word() {
        let mut position = Position::default();
        position.fill(Side::Buy, "1".parse().unwrap(), "100".parse().unwrap(), Nanos(1));
        position.replace("2".parse().unwrap(), "99".parse().unwrap(), Nanos(5));
        assert_eq!((position.qty.to_string().as_str(), position.since), ("2", Nanos(1)));
        position.replace(Qty::ZERO, Price::ZERO, Nanos(6));
        assert!(position.is_flat() && position.since == Nanos(6));
    }
}
