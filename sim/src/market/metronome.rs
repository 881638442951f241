//! A market that does one thing: once a period the best bid and ask move by a tick, up and down in turns.
//!
//! For measuring how fast a client reacts: every tick is worth reacting to and none looks like the one before. Each has a
//! fresh update id and is told as best bid and ask first, as a diff of the depth after it; now and then, between two
//! ticks, a small trade shows that trades are alive. It never ends. Which thread: whoever drives the core.

use std::collections::VecDeque;
use std::time::Duration;

use optiflow_base::clock::{Nanos, nanos_of};
use optiflow_base::decimal::UNITS;
use optiflow_base::market::Level;
use optiflow_base::money::{Price, Qty, Side};

use crate::market::{Source, SourceError, listings};
use crate::words::{Listing, MarketTick, Tick};

/// The market.
#[derive(Debug)]
pub struct Metronome {
    listings: Vec<Listing>,
    period: Duration,
    /// How many times it has moved.
    moves: u64,
    told: VecDeque<MarketTick>,
}

impl Metronome {
    /// BTCUSDT, moving once every `period`.
    ///
    /// # Panics
    /// When the period is zero: the caller's bug.
    pub fn new(period: Duration) -> Metronome {
        assert!(!period.is_zero(), "a metronome has a period");
        let mut metronome = Metronome { listings: vec![listings::bitcoin()], period, moves: 0, told: VecDeque::new() };
        let (bids, asks) =
            (0..LEVELS).map(|depth| (metronome.level(-depth, QTY), metronome.level(depth + 1, QTY))).unzip();
        metronome.tell(Duration::ZERO, Tick::Snapshot { id: FIRST_ID, bids, asks });
        metronome
    }

    /// Reads what follows `metronome:`, such as `10ms`, `250us` or `1s`.
    ///
    /// # Errors
    /// When it is no period.
    pub fn parse(text: &str) -> Result<Metronome, SourceError> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = match unit {
            "us" => Some(Duration::from_micros(1)),
            "ms" => Some(Duration::from_millis(1)),
            "s" => Some(Duration::from_secs(1)),
            _ => None,
        };
        let period = number.parse().ok().zip(unit).and_then(|(number, unit)| unit.checked_mul(number));
        let period = period.filter(|period| (PERIOD_LEAST..=PERIOD_MOST).contains(period));
        period.map(Metronome::new).ok_or_else(|| SourceError::NoPeriod(text.to_owned()))
    }

    fn step(&mut self) {
        self.moves += 1;
        let at = Duration::from_nanos(nanos_of(self.period).saturating_mul(self.moves));
        let id = FIRST_ID + self.moves;
        let is_up = self.moves % 2 == 1;
        let lift = i64::from(is_up);
        let (bid, ask) = (self.level(lift, QTY), self.level(lift + 1, QTY));
        self.tell(at, Tick::Top { update_id: id, bid, ask });
        // The one level that changes sides.
        let (on, off) = (self.level(1, QTY), self.level(1, Qty::ZERO));
        let (bid, ask) = if is_up { (on, off) } else { (off, on) };
        self.tell(at, Tick::Depth { first_id: id, last_id: id, previous_id: id - 1, bids: vec![bid], asks: vec![ask] });
        let trades_every = (nanos_of(TRADE_EVERY) / nanos_of(self.period)).max(1);
        if self.moves % trades_every == 1 % trades_every {
            let price = self.level(lift, QTY).price;
            let trade = Tick::Trade { id: FIRST_ID + self.moves, price, qty: TRADE_QTY, taker: Side::Sell };
            self.tell(at + self.period / 2, trade);
        }
    }

    fn tell(&mut self, at: Duration, what: Tick) {
        self.told.push_back(MarketTick { at: Nanos(nanos_of(at)), symbol: 0, what });
    }

    /// The level so many ticks above the lower best bid.
    fn level(&self, ticks: i64, qty: Qty) -> Level {
        Level { price: Price::from_units(PRICE + ticks * self.listings[0].tick_size.units()), qty }
    }
}

impl Source for Metronome {
    fn listings(&self) -> &[Listing] {
        &self.listings
    }

    fn next(&mut self) -> Result<Option<MarketTick>, SourceError> {
        if self.told.is_empty() {
            self.step();
        }
        Ok(self.told.pop_front())
    }
}

/// Where the lower best bid stands.
const PRICE: i64 = 60_000 * UNITS;
/// Levels of each side.
const LEVELS: i64 = 100;
/// What stands at every level.
const QTY: Qty = Qty::from_units(5 * UNITS);
const TRADE_QTY: Qty = Qty::from_units(UNITS / 1_000);
/// A trade this often, or with every move where those are rarer.
const TRADE_EVERY: Duration = Duration::from_secs(5);
/// Id of the first book; each move takes the next.
const FIRST_ID: u64 = 11_757_092_617_000;
/// Bounds of a period.
const PERIOD_LEAST: Duration = Duration::from_micros(10);
const PERIOD_MOST: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::Book;

    #[test]
    fn the_top_moves_by_a_tick_once_a_period_with_fresh_ids() {
        let mut metronome = Metronome::parse("10ms").unwrap();
        let mut book = Book::default();
        let (mut tops, mut trades) = (Vec::new(), 0);
        while tops.len() < 1_200 {
            let tick = metronome.next().unwrap().unwrap();
            book.apply(tick.at, &tick.what);
            match tick.what {
                Tick::Top { update_id, bid, ask } => tops.push((tick.at, update_id, bid.price, ask.price)),
                Tick::Depth { last_id, .. } => {
                    let &(at, id, bid, ask) = tops.last().unwrap();
                    assert_eq!((at, id), (tick.at, last_id), "a diff follows its top");
                    let best = |side| book.levels(side).next().unwrap().price;
                    assert_eq!((best(Side::Buy), best(Side::Sell)), (bid, ask), "and says the same");
                }
                Tick::Trade { .. } => {
                    trades += 1;
                    assert_eq!(tick.at.0 % 10_000_000, 5_000_000, "between two ticks");
                }
                Tick::Snapshot { .. } => assert!(tops.is_empty()),
                Tick::Mark { .. } | Tick::Single { .. } => panic!("nothing of the kind"),
            }
        }
        let tick = listings::bitcoin().tick_size;
        for (index, pair) in tops.windows(2).enumerate() {
            assert_eq!((pair[1].0.since(pair[0].0), pair[1].1 - pair[0].1), (10_000_000, 1));
            let lift = pair[1].2 - pair[0].2;
            assert_eq!((lift, pair[1].3 - pair[0].3), (if index % 2 == 0 { -tick } else { tick }, lift));
            assert_eq!(pair[0].3 - pair[0].2, tick);
        }
        assert_eq!(trades, 3, "one every five seconds");
    }

    #[test]
    fn what_is_no_period_is_refused() {
        for text in ["", "ms", "10", "10 ms", "-1ms", "0ms", "1us", "2h", "99999999999s", "1.5ms"] {
            let error = Metronome::parse(text).unwrap_err().to_string();
            assert!(error.contains("10ms"), "{text}: {error}");
        }
        for text in ["10us", "250us", "60ms", "1s", "3600s"] {
            assert!(Metronome::parse(text).is_ok(), "{text}");
        }
    }
}
