//! What has been traded, per symbol: recent trades, aggregated trades, klines, the last 24 hours.
//!
//! What it does: turns every trade of the market into the rows that requests ask for and that streams push, so that
//! both always agree. What it never does: no JSON, no clock; the caller says when time passes.
//! Which thread: whoever drives the exchange.

use std::collections::VecDeque;

use optiflow_base::clock::Nanos;
use optiflow_base::money::{Notional, Price, Qty, Side};

use crate::words::SymbolIndex;

pub mod kline;
pub mod marks;

use kline::{Bars, Interval, Kline};

/// The rows of all symbols.
#[derive(Debug)]
pub struct Tape {
    symbols: Vec<SymbolTape>,
}

/// One trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Trade id.
    pub id: u64,
    /// Price.
    pub price: Price,
    /// Quantity.
    pub qty: Qty,
    /// Who crossed the spread.
    pub taker: Side,
    /// Exchange time.
    pub at: Nanos,
}

/// Consecutive trades of one taker side at one price within one aggregation window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AggTrade {
    /// Its own id, counting up by one.
    pub id: u64,
    /// Price.
    pub price: Price,
    /// Quantity of all of them.
    pub qty: Qty,
    /// First trade id.
    pub first_id: u64,
    /// Last trade id.
    pub last_id: u64,
    /// Who crossed the spread.
    pub taker: Side,
    /// Exchange time of the first trade.
    pub at: Nanos,
}

/// The rolling 24 hours of a symbol, from its one-minute klines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// First price.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price.
    pub close: Price,
    /// Quantity of the last trade.
    pub last_qty: Qty,
    /// Traded quantity.
    pub volume: Qty,
    /// Traded amount.
    pub quote: Notional,
    /// Number of trades.
    pub count: u64,
    /// First and last trade id, when anything traded.
    pub ids: Option<(u64, u64)>,
    /// Start of the window, ms.
    pub open_ms: u64,
}

impl Day {
    /// Amount over quantity; the last price when nothing traded.
    pub fn average(&self) -> Price {
        average_price(self.quote, self.volume).unwrap_or(self.close)
    }

    /// Change in percent, as an integer of 10⁻⁸ with three decimals that matter.
    pub fn change_percent_units(&self) -> i64 {
        let change = i128::from(self.close.units() - self.open.units());
        let thousandths = change * 100_000 / i128::from(self.open.units().max(1));
        i64::try_from(thousandths).unwrap_or(0).saturating_mul(100_000)
    }
}

/// `quote` over `qty`, cut to 10⁻⁸; `None` when `qty` is zero.
pub fn average_price(quote: Notional, qty: Qty) -> Option<Price> {
    let units = (quote.units() * 100_000_000).checked_div(i128::from(qty.units()))?;
    i64::try_from(units).ok().map(Price::from_units)
}

impl Tape {
    /// An empty tape for `symbols` symbols.
    pub fn new(symbols: usize) -> Tape {
        Tape { symbols: (0..symbols).map(|_| SymbolTape::new()).collect() }
    }

    /// Records a trade. Returns the aggregated trade that it ended, if it did not continue it.
    pub fn trade(&mut self, symbol: SymbolIndex, trade: Trade) -> Option<AggTrade> {
        self.symbols[symbol].trade(trade)
    }

    /// Ends the aggregated trade in the making: its window is over.
    pub fn end_aggregation(&mut self, symbol: SymbolIndex) -> Option<AggTrade> {
        self.symbols[symbol].end_aggregation()
    }

    /// Opens the klines that `now` falls into, with those in between that saw no trade.
    pub fn roll(&mut self, now: Nanos) {
        for symbol in &mut self.symbols {
            for bars in &mut symbol.bars {
                bars.roll(now.millis());
            }
        }
    }

    /// Recent trades, oldest first.
    pub fn trades(&self, symbol: SymbolIndex) -> &VecDeque<Trade> {
        &self.symbols[symbol].trades
    }

    /// Recent aggregated trades, oldest first; the one in the making is not among them.
    pub fn agg_trades(&self, symbol: SymbolIndex) -> &VecDeque<AggTrade> {
        &self.symbols[symbol].agg_trades
    }

    /// Klines, oldest first; the last one is still open.
    pub fn klines(&self, symbol: SymbolIndex, interval: Interval) -> &VecDeque<Kline> {
        self.symbols[symbol].bars[interval as usize].klines()
    }

    /// The rolling 24 hours; `None` when nothing has ever traded.
    pub fn day(&self, symbol: SymbolIndex, now: Nanos) -> Option<Day> {
        let tape = &self.symbols[symbol];
        let last = tape.trades.back()?;
        let open_ms = now.millis().saturating_sub(DAY_MS);
        let mut minutes = self.klines(symbol, Interval::M1).iter().filter(|kline| kline.close_ms >= open_ms);
        let first = minutes.next()?;
        let mut day = Day {
            open: first.open,
            high: first.high,
            low: first.low,
            close: last.price,
            last_qty: last.qty,
            volume: first.volume,
            quote: first.quote,
            count: first.count,
            ids: first.ids,
            open_ms,
        };
        for minute in minutes {
            day.high = day.high.max(minute.high);
            day.low = day.low.min(minute.low);
            day.volume += minute.volume;
            day.quote += minute.quote;
            day.count += minute.count;
            day.ids = match (day.ids, minute.ids) {
                (Some((first, _)), Some((_, last))) => Some((first, last)),
                (earlier, later) => later.or(earlier),
            };
        }
        Some(day)
    }
}

#[derive(Debug)]
struct SymbolTape {
    trades: VecDeque<Trade>,
    agg_trades: VecDeque<AggTrade>,
    making: Option<AggTrade>,
    next_agg_id: u64,
    bars: Vec<Bars>,
}

impl SymbolTape {
    fn new() -> SymbolTape {
        SymbolTape {
            trades: VecDeque::new(),
            agg_trades: VecDeque::new(),
            making: None,
            next_agg_id: 1,
            bars: Interval::ALL.into_iter().map(Bars::new).collect(),
        }
    }

    fn trade(&mut self, trade: Trade) -> Option<AggTrade> {
        keep(&mut self.trades, trade, TRADES_MAX);
        let quote = trade.price.times(trade.qty);
        for bars in &mut self.bars {
            bars.trade(&trade, quote);
        }
        if let Some(making) = &mut self.making
            && making.price == trade.price
            && making.taker == trade.taker
        {
            making.qty += trade.qty;
            making.last_id = trade.id;
            return None;
        }
        let ended = self.end_aggregation();
        self.making = Some(AggTrade {
            id: self.next_agg_id,
            price: trade.price,
            qty: trade.qty,
            first_id: trade.id,
            last_id: trade.id,
            taker: trade.taker,
            at: trade.at,
        });
        self.next_agg_id += 1;
        ended
    }

    fn end_aggregation(&mut self) -> Option<AggTrade> {
        let ended = self.making.take()?;
        keep(&mut self.agg_trades, ended, TRADES_MAX);
        Some(ended)
    }
}

fn keep<T>(rows: &mut VecDeque<T>, row: T, max: usize) {
    if rows.len() == max {
        rows.pop_front();
    }
    rows.push_back(row);
}

/// Trades, and aggregated trades, kept per symbol.
const TRADES_MAX: usize = 10_000;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn trade(id: u64, price: &str, qty: &str, taker: Side, ms: u64) -> Trade {
        Trade { id, price: price.parse().unwrap(), qty: qty.parse().unwrap(), taker, at: Nanos::from_millis(ms) }
    }

    #[test]
    fn trades_of_one_side_and_price_are_one_aggregated_trade() {
        let mut tape = Tape::new(1);
        assert_eq!(tape.trade(0, trade(10, "100", "1", Side::Buy, 5)), None);
        assert_eq!(tape.trade(0, trade(11, "100", "2", Side::Buy, 6)), None);
        let first = tape.trade(0, trade(12, "101", "1", Side::Buy, 7)).unwrap();
        assert_eq!((first.id, first.first_id, first.last_id, first.at.millis()), (1, 10, 11, 5));
        assert_eq!(first.qty.to_string(), "3");
        let second = tape.trade(0, trade(13, "101", "1", Side::Sell, 8)).unwrap();
        assert_eq!((second.id, second.first_id, second.last_id), (2, 12, 12));
        assert_eq!(tape.end_aggregation(0).unwrap().id, 3);
        assert_eq!(tape.end_aggregation(0), None);
        assert_eq!(tape.agg_trades(0).len(), 3);
        assert_eq!(tape.trades(0).len(), 4);
    }

    #[test]
    fn only_so_many_trades_are_kept() {
        let mut tape = Tape::new(1);
        for id in 0..TRADES_MAX as u64 + 5 {
            tape.trade(0, trade(id, "100", "1", Side::Buy, id));
        }
        assert_eq!(tape.trades(0).len(), TRADES_MAX);
        assert_eq!(tape.trades(0)[0].id, 5);
    }

    #[test]
    fn the_day_is_the_sum_of_its_minutes_and_forgets_older_ones() {
        let mut tape = Tape::new(1);
        assert_eq!(tape.day(0, Nanos::from_millis(0)), None);
        tape.trade(0, trade(1, "50", "9", Side::Buy, 1_000));
        tape.trade(0, trade(2, "100", "1", Side::Buy, 60_000 + DAY_MS));
        tape.trade(0, trade(3, "110", "3", Side::Sell, 120_000 + DAY_MS));
        let day = tape.day(0, Nanos::from_millis(130_000 + DAY_MS)).unwrap();
        assert_eq!(day.ids, Some((2, 3)));
        assert_eq!((day.volume.to_string(), day.high.to_string(), day.count), ("4".into(), "110".into(), 2));
        assert_eq!(day.average().to_string(), "107.5");
    }
}
