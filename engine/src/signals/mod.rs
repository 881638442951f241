//! Short-term signals of one symbol; 0/0 is 0 everywhere.
//!
//! The feature clock is the running maximum of the exchange's event times; windows are `(now − W, now]` on it. A time
//! that is far from it is believed only when others agree, so that one absurd time freezes nothing; after a silence our
//! own clock is such another. Sums are integers, divided once at the end. Never allocates after `new`, never decides anything. Engine thread.

use std::time::Duration;

use optiflow_base::clock::Nanos;
use optiflow_base::market::Level;
use optiflow_base::money::{Qty, Side};

use crate::book::{Book, Touch};
use imbalance::Depth;
use window::{Sliding, Sum};

pub mod imbalance;
pub mod ofi;
pub mod window;

/// Everything that is computed from one symbol's events over time.
#[derive(Debug)]
pub struct Signals {
    clock_ms: u64,
    /// Event times in a row that were far from the clock.
    leaps: u32,
    /// When what is taken in now was received.
    received: Nanos,
    trades: Sliding,
    order_flow: Sliding,
    touch: Option<(Level, Level)>,
}

/// The signals of one instant, as strategies read them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Best bid of the view.
    pub bid: Level,
    /// Best ask of the view.
    pub ask: Level,
    /// Imbalance of the best level, −1 (asks only) to 1 (bids only).
    pub obi_l1: f64,
    /// Imbalance of the best five levels.
    pub obi_l5: f64,
    /// Microprice − mid in basis points of the mid.
    pub micro_bps: f64,
    /// Trade-flow imbalance over the configured window: −1 all sold, 1 all bought.
    pub flow: f64,
    /// Trades in the last second.
    pub trades_per_second: f64,
}

/// Which window: one of the fixed ones, or the configured one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// 100 ms.
    Ms100,
    /// 500 ms.
    Ms500,
    /// 1 s.
    Ms1000,
    /// 5 s.
    Ms5000,
    /// The configured window of the trade flow.
    Flow,
}

impl Signals {
    /// Signals with no history; `flow_window` is the window of [`Reading::flow`].
    pub fn new(flow_window: Duration) -> Signals {
        let [ms100, ms500, ms1000, ms5000] = FIXED_SPANS_MS;
        let flow_ms = u64::try_from(flow_window.as_millis()).unwrap_or(u64::MAX);
        let spans = [ms100, ms500, ms1000, ms5000, flow_ms];
        Signals {
            clock_ms: 0,
            leaps: 0,
            received: Nanos(0),
            trades: Sliding::new(&spans, TRADES_LEN_MAX),
            order_flow: Sliding::new(&spans, TOUCHES_LEN_MAX),
            touch: None,
        }
    }

    /// The feature clock: the latest event time seen, ms.
    pub const fn clock_ms(&self) -> u64 {
        self.clock_ms
    }

    /// What comes next was received then, by our own clock.
    #[inline]
    pub const fn hear(&mut self, received: Nanos) {
        self.received = received;
    }

    /// Moves the feature clock and every window's end with it; the past is ignored, and so is a time that is unsaid (0).
    #[inline]
    pub fn advance(&mut self, event_ms: u64) {
        if event_ms.abs_diff(self.clock_ms) > LEAP_MS && self.clock_ms > 0 {
            self.leap(event_ms);
            return;
        }
        self.leaps = 0;
        if event_ms > self.clock_ms {
            self.clock_ms = event_ms;
            self.trades.roll(event_ms);
            self.order_flow.roll(event_ms);
        }
    }

    /// A time far from the clock: events count at the clock as it stands until enough of them in a row disagree with it.
    /// One that is ahead and about when it was received ends a silence: it counts at once, and what was before is over.
    #[cold]
    fn leap(&mut self, event_ms: u64) {
        if event_ms == 0 {
            return;
        }
        self.leaps += 1;
        let ends_silence = event_ms > self.clock_ms && event_ms.abs_diff(self.received.millis()) <= LEAP_MS;
        if self.leaps < LEAPS_BELIEVED && !ends_silence {
            return;
        }
        self.leaps = 0;
        if event_ms < self.clock_ms {
            // It was the clock that was wrong: what the windows hold is dated by it.
            self.trades.clear();
            self.order_flow.clear();
        }
        self.clock_ms = event_ms;
        self.trades.roll(event_ms);
        self.order_flow.roll(event_ms);
    }

    /// A trade.
    #[inline]
    pub fn on_trade(&mut self, taker: Side, qty: Qty, event_ms: u64) {
        self.advance(event_ms);
        let pair = match taker {
            Side::Buy => [qty.units(), 0],
            Side::Sell => [0, qty.units()],
        };
        self.trades.push(self.clock_ms, pair);
    }

    /// A message that changed the book is complete.
    #[inline]
    pub fn on_book(&mut self, touch: Touch, event_ms: u64) {
        self.advance(event_ms);
        let now = touch.both();
        if let (Some(before), Some(after)) = (self.touch, now) {
            let event = ofi::order_flow(before, after);
            if event != 0 {
                self.order_flow.push(self.clock_ms, [event, event.saturating_abs()]);
            }
        }
        self.touch = now;
    }

    /// The book was lost: what was measured across the gap would be wrong, and the exchange's clock may have restarted.
    pub fn on_loss(&mut self) {
        (self.clock_ms, self.leaps) = (0, 0);
        self.trades.clear();
        self.order_flow.clear();
        self.touch = None;
    }

    /// Volumes and number of trades in a window: first bought, second sold.
    pub fn trades(&self, span: Span) -> Sum {
        self.trades.sum(span.index())
    }

    /// Order-flow events in a window: first their sum, second the sum of their sizes.
    pub fn order_flow(&self, span: Span) -> Sum {
        self.order_flow.sum(span.index())
    }

    /// Trade-flow imbalance `tfi_W`: (bought − sold) / (bought + sold).
    pub fn trade_imbalance(&self, span: Span) -> f64 {
        let sum = self.trades(span);
        ratio(sum.first.wrapping_sub(sum.second), sum.first.wrapping_add(sum.second))
    }

    /// Signed volume `sv_W`: bought − sold, base units.
    pub fn signed_volume(&self, span: Span) -> f64 {
        let sum = self.trades(span);
        units(sum.first.wrapping_sub(sum.second))
    }

    /// Order-flow imbalance `ofi_W`, base units.
    pub fn order_flow_imbalance(&self, span: Span) -> f64 {
        units(self.order_flow(span).first)
    }

    /// Order-flow imbalance over the sum of sizes, `ofin_W`.
    pub fn order_flow_normalised(&self, span: Span) -> f64 {
        let sum = self.order_flow(span);
        ratio(sum.first, sum.second)
    }

    /// Events that a full window ring had to forget before their time: sums were too small meanwhile.
    pub const fn forgotten(&self) -> u64 {
        self.trades.forgotten() + self.order_flow.forgotten()
    }

    /// What a strategy reads; `None` while the book is not tradable.
    #[inline]
    pub fn read(&self, book: &Book) -> Option<Reading> {
        let (bid, ask) = book.touch().both().filter(|(bid, ask)| bid.price < ask.price)?;
        let five = Depth::of(book, 5);
        let obi_l1 = Depth { bids: bid.qty.units(), asks: ask.qty.units() }.imbalance();
        Some(Reading {
            bid,
            ask,
            obi_l1,
            obi_l5: five.imbalance(),
            micro_bps: imbalance::micro_bps(bid, ask),
            flow: self.trade_imbalance(Span::Flow),
            trades_per_second: f64::from(self.trades(Span::Ms1000).count),
        })
    }
}

impl Reading {
    /// Twice the mid, in 10⁻⁸ of the quote asset: an integer even where the mid is half a tick. Saturates at prices that
    /// the feed lets no message have.
    pub fn mid_doubled(&self) -> i64 {
        self.bid.price.units().saturating_add(self.ask.price.units())
    }
}

impl Span {
    const fn index(self) -> usize {
        match self {
            Span::Ms100 => 0,
            Span::Ms500 => 1,
            Span::Ms1000 => 2,
            Span::Ms5000 => 3,
            Span::Flow => 4,
        }
    }
}

/// `part / whole`; 0 when there is nothing.
#[allow(clippy::cast_precision_loss)]
fn ratio(part: i64, whole: i64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// 10⁻⁸ units as whole units.
#[allow(clippy::cast_precision_loss)]
fn units(sum: i64) -> f64 {
    sum as f64 / optiflow_base::decimal::UNITS as f64
}

/// A time further than this from the clock needs others to agree with it.
const LEAP_MS: u64 = 60_000;
/// So many in a row are believed: less than a second of a busy symbol, and more than a burst of nonsense.
const LEAPS_BELIEVED: u32 = 16;
const FIXED_SPANS_MS: [u64; 4] = [100, 500, 1_000, 5_000];
/// Trades remembered; a power of two. 16 Ki over 5 s is 3,200 trades a second, ten times a busy minute of BTCUSDT.
const TRADES_LEN_MAX: usize = 16 * 1024;
/// Changes of the touch remembered; a power of two.
const TOUCHES_LEN_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests;
