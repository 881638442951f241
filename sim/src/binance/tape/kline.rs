//! Klines of every interval, built from trades; an interval without trades is a flat bar at the last price.
//!
//! A pause longer than all the klines that are kept leaves one flat bar. Knows the calendar only as far as intervals
//! need it: weeks begin on Monday, months on the first, all in UTC.

use std::collections::VecDeque;

use optiflow_base::money::{Notional, Price, Qty, Side};

use super::Trade;

/// One kline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kline {
    /// First millisecond.
    pub open_ms: u64,
    /// Last millisecond.
    pub close_ms: u64,
    /// First price; the close before when nothing traded.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price.
    pub close: Price,
    /// Traded quantity.
    pub volume: Qty,
    /// Traded amount.
    pub quote: Notional,
    /// Number of trades.
    pub count: u64,
    /// Quantity bought by takers.
    pub taker_volume: Qty,
    /// Amount bought by takers.
    pub taker_quote: Notional,
    /// First and last trade id, when anything traded.
    pub ids: Option<(u64, u64)>,
}

impl Kline {
    fn flat((open_ms, next_ms): (u64, u64), price: Price) -> Kline {
        Kline {
            open_ms,
            close_ms: next_ms - 1,
            open: price,
            high: price,
            low: price,
            close: price,
            volume: Qty::ZERO,
            quote: Notional::ZERO,
            count: 0,
            taker_volume: Qty::ZERO,
            taker_quote: Notional::ZERO,
            ids: None,
        }
    }

    /// `quote` is what the trade is worth: the same for every interval.
    fn add(&mut self, trade: &Trade, quote: Notional) {
        if self.count == 0 {
            (self.open, self.high, self.low) = (trade.price, trade.price, trade.price);
        }
        self.high = self.high.max(trade.price);
        self.low = self.low.min(trade.price);
        self.close = trade.price;
        self.volume += trade.qty;
        self.quote += quote;
        self.count += 1;
        if trade.taker == Side::Buy {
            self.taker_volume += trade.qty;
            self.taker_quote += quote;
        }
        self.ids = Some((self.ids.map_or(trade.id, |(first, _)| first), trade.id));
    }
}

macro_rules! intervals {
    ($($name:ident $text:literal,)*) => {
        /// An interval that Binance offers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Interval {
            $(#[doc = $text] $name,)*
        }
        impl Interval {
            /// All of them, shortest first.
            pub const ALL: [Interval; INTERVALS] = [$(Interval::$name,)*];
            /// As Binance writes it.
            pub const fn text(self) -> &'static str {
                match self { $(Interval::$name => $text,)* }
            }
            /// Reads what Binance writes.
            pub fn parse(text: &str) -> Option<Interval> {
                match text { $($text => Some(Interval::$name),)* _ => None }
            }
        }
    };
}

/// How many intervals there are.
pub const INTERVALS: usize = 15;

intervals! {
    M1 "1m", M3 "3m", M5 "5m", M15 "15m", M30 "30m", H1 "1h", H2 "2h", H4 "4h", H6 "6h", H8 "8h", H12 "12h",
    D1 "1d", D3 "3d", W1 "1w", Month "1M",
}

impl Interval {
    /// First millisecond of the interval that `ms` falls into, and of the next one.
    pub fn bounds(self, ms: u64) -> (u64, u64) {
        let every = |length: u64, offset: u64| {
            let open = (ms + offset) / length * length - offset;
            (open, open + length)
        };
        match self {
            Interval::M1 => every(MINUTE, 0),
            Interval::M3 => every(3 * MINUTE, 0),
            Interval::M5 => every(5 * MINUTE, 0),
            Interval::M15 => every(15 * MINUTE, 0),
            Interval::M30 => every(30 * MINUTE, 0),
            Interval::H1 => every(HOUR, 0),
            Interval::H2 => every(2 * HOUR, 0),
            Interval::H4 => every(4 * HOUR, 0),
            Interval::H6 => every(6 * HOUR, 0),
            Interval::H8 => every(8 * HOUR, 0),
            Interval::H12 => every(12 * HOUR, 0),
            Interval::D1 => every(DAY, 0),
            Interval::D3 => every(3 * DAY, 0),
            Interval::W1 if ms < WEEK => (0, 4 * DAY),
            Interval::W1 => every(7 * DAY, WEEK_OFFSET),
            Interval::Month => month_bounds(ms),
        }
    }
}

fn month_bounds(ms: u64) -> (u64, u64) {
    let mut year = 1970;
    let mut open = 0;
    loop {
        let length = if leap(year) { 366 * DAY } else { 365 * DAY };
        if ms < open + length {
            break;
        }
        open += length;
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        let next = open + days * DAY;
        if ms < next {
            return (open, next);
        }
        open = next;
    }
    unreachable!("a year ends with December")
}

const fn leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// The klines of one symbol and interval.
#[derive(Debug)]
pub(super) struct Bars {
    interval: Interval,
    klines: VecDeque<Kline>,
}

impl Bars {
    pub(super) const fn new(interval: Interval) -> Bars {
        Bars { interval, klines: VecDeque::new() }
    }

    pub(super) const fn klines(&self) -> &VecDeque<Kline> {
        &self.klines
    }

    pub(super) fn trade(&mut self, trade: &Trade, quote: Notional) {
        let ms = trade.at.millis();
        if self.klines.is_empty() {
            self.klines.push_back(Kline::flat(self.interval.bounds(ms), trade.price));
        }
        self.roll(ms);
        if let Some(kline) = self.klines.back_mut() {
            kline.add(trade, quote);
        }
    }

    pub(super) fn roll(&mut self, ms: u64) {
        for _ in 0..KLINES_MAX {
            let Some(last) = self.klines.back() else { return };
            if ms <= last.close_ms {
                return;
            }
            let next = Kline::flat(self.interval.bounds(last.close_ms + 1), last.close);
            if self.klines.len() == KLINES_MAX {
                self.klines.pop_front();
            }
            self.klines.push_back(next);
        }
        // A pause longer than everything that is kept: only its end matters.
        if let Some(last) = self.klines.back().copied().filter(|last| ms > last.close_ms) {
            self.klines.clear();
            self.klines.push_back(Kline::flat(self.interval.bounds(ms), last.close));
        }
    }
}

/// Klines kept per symbol and interval: what one request may ask for.
pub const KLINES_MAX: usize = 1_500;
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;
/// 1 January 1970 was a Thursday, three days into its week.
const WEEK_OFFSET: u64 = 3 * DAY;

#[cfg(test)]
mod tests {
    use optiflow_base::clock::Nanos;

    use super::*;

    fn trade(id: u64, price: &str, qty: &str, taker: Side, ms: u64) -> Trade {
        Trade { id, price: price.parse().unwrap(), qty: qty.parse().unwrap(), taker, at: Nanos::from_millis(ms) }
    }

    fn hear(bars: &mut Bars, trade: Trade) {
        bars.trade(&trade, trade.price.times(trade.qty));
    }

    #[test]
    fn an_interval_begins_where_the_calendar_says() {
        // 2026-11-22T06:01:02.003Z, a Sunday.
        let ms = 1_795_327_262_003;
        let table = [
            (Interval::M1, 1_795_327_260_000, 1_795_327_320_000),
            (Interval::H4, 1_795_320_000_000, 1_795_334_400_000),
            (Interval::D1, 1_795_305_600_000, 1_795_392_000_000),
            (Interval::W1, 1_794_787_200_000, 1_795_392_000_000),
            (Interval::Month, 1_793_491_200_000, 1_796_083_200_000),
        ];
        for (interval, open, next) in table {
            assert_eq!(interval.bounds(ms), (open, next), "{}", interval.text());
            assert_eq!(interval.bounds(open), (open, next));
            assert_eq!(interval.bounds(next - 1), (open, next));
            assert_eq!(Interval::parse(interval.text()), Some(interval));
        }
        assert_eq!(Interval::W1.bounds(5), (0, 4 * DAY));
        assert_eq!(Interval::parse("1s"), None);
    }

    #[test]
    fn trades_make_a_kline_and_quiet_intervals_are_flat() {
        let mut bars = Bars::new(Interval::M1);
        hear(&mut bars, trade(7, "100", "1", Side::Buy, 1_000));
        hear(&mut bars, trade(8, "90", "2", Side::Sell, 2_000));
        hear(&mut bars, trade(9, "120", "1", Side::Buy, 59_999));
        hear(&mut bars, trade(10, "130", "1", Side::Buy, 180_000));
        let klines: Vec<Kline> = bars.klines().iter().copied().collect();
        assert_eq!(klines.len(), 4);
        let text = |kline: &Kline| {
            format!(
                "{}-{} {} {} {} {} v{} q{} n{} V{} Q{} {:?}",
                kline.open_ms,
                kline.close_ms,
                kline.open,
                kline.high,
                kline.low,
                kline.close,
                kline.volume,
                kline.quote,
                kline.count,
                kline.taker_volume,
                kline.taker_quote,
                kline.ids
            )
        };
        assert_eq!(text(&klines[0]), "0-59999 100 120 90 120 v4 q400 n3 V2 Q220 Some((7, 9))");
        assert_eq!(text(&klines[1]), "60000-119999 120 120 120 120 v0 q0 n0 V0 Q0 None");
        assert_eq!(text(&klines[3]), "180000-239999 130 130 130 130 v1 q130 n1 V1 Q130 Some((10, 10))");
    }

    #[test]
    fn klines_are_bounded_and_a_long_pause_keeps_only_its_end() {
        let mut bars = Bars::new(Interval::M1);
        hear(&mut bars, trade(1, "100", "1", Side::Buy, 0));
        for minute in 1..KLINES_MAX as u64 + 10 {
            bars.roll(MINUTE * minute);
        }
        assert_eq!(bars.klines().len(), KLINES_MAX);
        bars.roll(MINUTE * 1_000_000);
        assert_eq!(bars.klines().len(), 1);
        assert_eq!(bars.klines()[0].open_ms, MINUTE * 1_000_000);
        assert_eq!(bars.klines()[0].close.to_string(), "100");
    }
}
