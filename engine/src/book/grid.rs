//! Prices as whole ticks, and back.
//! Never rounds: a price off the grid has no tick. Used by the book on the engine thread.

use optiflow_base::money::Price;

/// The tick grid of one symbol.
///
/// Division by the tick is a multiplication by a rounded-up reciprocal of 2⁶³, which is exact for every multiple of the
/// tick below 2⁶³: `k·t·⌈2⁶³/t⌉ / 2⁶³ = k + k·e/2⁶³` with `e < t`, and `k·e < k·t < 2⁶³`. For any other price the
/// product check fails, whatever the quotient is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    tick: u64,
    reciprocal: u64,
}

impl Grid {
    /// The grid of `tick_size`.
    ///
    /// # Panics
    /// If the tick is not positive: an instrument has a tick.
    pub(super) fn new(tick_size: Price) -> Grid {
        assert!(tick_size > Price::ZERO, "an instrument has a tick");
        let tick = tick_size.units().unsigned_abs();
        Grid { tick, reciprocal: (1u64 << 63).div_ceil(tick) }
    }

    /// How many ticks `price` is; `None` when it is off the grid, not positive, or absurdly high.
    #[inline]
    pub(super) fn tick_of(&self, price: Price) -> Option<i64> {
        let units = u64::try_from(price.units()).ok()?;
        let ticks = ((u128::from(units) * u128::from(self.reciprocal)) >> 63) as u64;
        let exact = units > 0 && ticks.wrapping_mul(self.tick) == units;
        if exact && ticks <= TICKS_MAX { Some(ticks as i64) } else { None }
    }

    /// The price that is `tick` ticks; `tick` came from [`Grid::tick_of`], so the product fits.
    #[inline]
    pub(super) fn price_of(&self, tick: i64) -> Price {
        Price::from_units(tick * self.tick as i64)
    }
}

/// Highest price in ticks: leaves headroom, so that no distance between two ticks overflows.
const TICKS_MAX: u64 = 1 << 61;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_off_the_grid_have_no_tick() {
        let grid = Grid::new("0.1".parse().unwrap());
        for (price, tick) in
            [("28145.1", Some(281_451)), ("0.1", Some(1)), ("28145.15", None), ("0", None), ("-0.1", None)]
        {
            assert_eq!(grid.tick_of(price.parse().unwrap()), tick, "{price}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_reciprocal_agrees_with_division(tick in 1i64..=10_000_000_000, units in 1i64..=i64::MAX) {
            let grid = Grid::new(Price::from_units(tick));
            let expected = (units % tick == 0 && units / tick <= TICKS_MAX as i64).then_some(units / tick);
            proptest::prop_assert_eq!(grid.tick_of(Price::from_units(units)), expected);
            let on_grid = units / tick * tick;
            if on_grid > 0 && units / tick <= TICKS_MAX as i64 {
                let found = grid.tick_of(Price::from_units(on_grid));
                proptest::prop_assert_eq!(found, Some(units / tick));
                proptest::prop_assert_eq!(grid.price_of(units / tick), Price::from_units(on_grid));
            }
        }
    }
}
