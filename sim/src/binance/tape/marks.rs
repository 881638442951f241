//! Klines of what is computed and not traded: mark price, index price and the premium between them.
//!
//! Built from the marks as they come, without volumes. Never derives a mark; driven by the desk's records.

use std::collections::{BTreeMap, VecDeque};

use optiflow_base::clock::Nanos;
use optiflow_base::decimal::UNITS;
use optiflow_base::money::{Notional, Price, Qty, Side};

use super::Trade;
use super::kline::{Bars, Interval, Kline};
use crate::words::SymbolIndex;

/// What a kline is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Series {
    /// The mark price.
    Mark,
    /// The index price.
    Index,
    /// How far the mark is above the index, as a share of the index.
    Premium,
}

/// The klines of all symbols.
#[derive(Debug, Default)]
pub struct Marks {
    bars: BTreeMap<(SymbolIndex, Series, Interval), Bars>,
}

impl Marks {
    /// A mark was told.
    pub fn mark(&mut self, at: Nanos, symbol: SymbolIndex, mark: Price, index: Price) {
        self.add(at, symbol, Series::Mark, mark);
        if index > Price::ZERO {
            self.add(at, symbol, Series::Index, index);
            self.add(at, symbol, Series::Premium, premium(mark, index));
        }
    }

    /// Klines up to `now`, oldest first; none while nothing was told.
    pub fn klines(
        &mut self,
        now: Nanos,
        symbol: SymbolIndex,
        series: Series,
        interval: Interval,
    ) -> impl Iterator<Item = &Kline> {
        let bars = self.bars.get_mut(&(symbol, series, interval));
        let klines = bars.map(|bars| {
            bars.roll(now.millis());
            bars.klines()
        });
        klines.into_iter().flat_map(VecDeque::iter)
    }

    fn add(&mut self, at: Nanos, symbol: SymbolIndex, series: Series, price: Price) {
        let told = Trade { id: 0, price, qty: Qty::ZERO, taker: Side::Sell, at };
        for interval in Interval::ALL {
            self.bars
                .entry((symbol, series, interval))
                .or_insert_with(|| Bars::new(interval))
                .trade(&told, Notional::ZERO);
        }
    }
}

fn premium(mark: Price, index: Price) -> Price {
    let above = i128::from(mark.units() - index.units());
    let share = above * i128::from(UNITS) / i128::from(index.units());
    Price::from_units(i64::try_from(share).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_make_klines_without_volume() {
        let mut marks = Marks::default();
        for (second, mark, index) in [(0, "100", "100"), (1, "102", "100"), (2, "99", "100"), (61, "101", "0")] {
            marks.mark(Nanos::from_millis(second * 1_000), 0, mark.parse().unwrap(), index.parse().unwrap());
        }
        let mut text = |series| {
            let now = Nanos::from_millis(61_000);
            let klines = marks.klines(now, 0, series, Interval::M1);
            let rows =
                klines.map(|k| format!("{} {} {} {} v{} n{}", k.open, k.high, k.low, k.close, k.volume, k.count));
            rows.collect::<Vec<_>>().join(", ")
        };
        assert_eq!(text(Series::Mark), "100 102 99 99 v0 n3, 101 101 101 101 v0 n1");
        assert_eq!(text(Series::Index), "100 100 100 100 v0 n3, 100 100 100 100 v0 n0");
        assert_eq!(text(Series::Premium), "0 0.02 -0.01 -0.01 v0 n3, -0.01 -0.01 -0.01 -0.01 v0 n0");
        assert_eq!(marks.klines(Nanos(0), 1, Series::Mark, Interval::M1).count(), 0);
    }
}
