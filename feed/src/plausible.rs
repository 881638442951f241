//! Which prices and quantities of one symbol can be true: on its tick grid, and within what any market has seen.
//!
//! Every number that passes is safe to add, double and multiply by the stages that follow; one that does not makes its
//! message malformed. Never rounds, never allocates. Runs on the feed thread.

use optiflow_base::decimal::UNITS;
use optiflow_base::market::Level;
use optiflow_base::money::{Price, Qty};

/// What is plausible for one symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plausible {
    /// Inverse of the odd part of the tick, modulo 2⁶⁴.
    inverse: u64,
    /// The tick is its odd part times 2 to this.
    twos: u32,
    /// Most ticks that 64 bits hold.
    ticks_max: u64,
}

impl Plausible {
    /// For a symbol of this tick.
    ///
    /// # Panics
    /// If the tick is not positive: an instrument has a tick.
    pub(crate) fn new(tick_size: Price) -> Plausible {
        assert!(tick_size > Price::ZERO, "an instrument has a tick: {tick_size}");
        let tick = tick_size.units().unsigned_abs();
        let twos = tick.trailing_zeros();
        Plausible { inverse: inverse_of(tick >> twos), twos, ticks_max: u64::MAX / tick }
    }

    /// Levels of a depth message; quantity zero removes one.
    pub(crate) fn levels(&self, levels: &[Level]) -> bool {
        levels.iter().all(|level| self.is_on_grid(level.price) && is_qty(level.qty))
    }

    /// One side of the best prices; one without quantity has no price that counts.
    pub(crate) fn touch(&self, level: Level) -> bool {
        level.qty.is_zero() || (self.is_on_grid(level.price) && is_qty(level.qty))
    }

    /// Price and quantity of a trade.
    pub(crate) fn trade(&self, price: Price, qty: Qty) -> bool {
        self.is_on_grid(price) && is_qty(qty)
    }

    /// Positive, not absurdly high, and a multiple of the tick. The last without a division: a product with the inverse
    /// of the odd part, rotated by the twos, is the quotient for multiples, and larger than any quotient for the rest.
    fn is_on_grid(&self, price: Price) -> bool {
        let quotient = price.units().unsigned_abs().wrapping_mul(self.inverse).rotate_right(self.twos);
        is_price(price) && quotient <= self.ticks_max
    }
}

/// Positive and not absurdly high: all that can be asked of a mark price, which is on no grid.
pub(crate) fn is_price(price: Price) -> bool {
    price > Price::ZERO && price <= PRICE_MAX
}

fn is_qty(qty: Qty) -> bool {
    qty >= Qty::ZERO && qty <= QTY_MAX
}

/// Newton's iteration: every round doubles the bits that are right, and an odd number begins with three.
const fn inverse_of(odd: u64) -> u64 {
    let mut inverse = odd;
    let mut round = 0;
    while round < 5 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse)));
        round += 1;
    }
    inverse
}

/// Highest price, quote units.
const PRICE_MAX: Price = Price::from_units(1_000_000_000 * UNITS);
/// Largest quantity, base units.
const QTY_MAX: Qty = Qty::from_units(10_000_000_000 * UNITS);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_no_market_says_are_named() {
        let plausible = Plausible::new("0.1".parse().unwrap());
        let table = [
            ("28145.1", "1", true),
            ("0.1", "0", true),
            ("28145.15", "1", false),
            ("28145.10000001", "1", false),
            ("0", "1", false),
            ("-0.1", "1", false),
            ("1", "-0.00000001", false),
            ("1000000000", "10000000000", true),
            ("1000000000.1", "1", false),
            ("1", "10000000000.00000001", false),
            ("92233720368.5", "92233720368", false),
        ];
        for (price, qty, expected) in table {
            let level = Level { price: price.parse().unwrap(), qty: qty.parse().unwrap() };
            assert_eq!(plausible.levels(&[level]), expected, "{price} {qty}");
            assert_eq!(plausible.trade(level.price, level.qty), expected, "{price} {qty}");
            assert_eq!(plausible.touch(level), expected || level.qty.is_zero(), "{price} {qty}");
        }
        assert!(plausible.touch(Level::default()), "an empty side");
        assert!(plausible.levels(&[]));
    }

    proptest::proptest! {
        #[test]
        fn the_grid_agrees_with_division(tick in 1i64..=10_000_000_000, units in 1i64..=100_000_000_000_000_000) {
            let plausible = Plausible::new(Price::from_units(tick));
            proptest::prop_assert_eq!(plausible.is_on_grid(Price::from_units(units)), units % tick == 0);
            let near = units - units % tick;
            proptest::prop_assert_eq!(plausible.is_on_grid(Price::from_units(near)), near > 0);
        }
    }
}
