//! Every market stream, derived from the ticks of the source in exchange time.
//!
//! What it does: what happens at once (trades, best bid and ask, instant diffs) is published with its tick; what is
//! gathered is published when a boundary of exchange time passes: windows of depth, aggregated trades, klines, marks,
//! tickers. Works the same whoever listens, so that chains do not depend on subscribers.
//! What it never does: it sends to nobody by name; the hub knows who listens.

use optiflow_base::clock::Nanos;
use optiflow_base::market::Level;

use super::depth::{Depth, Update};
use super::frames;
use super::hub::Hub;
use super::topic::{PARTIAL_LEVELS, Pace, Speed, Topic};
use crate::binance::tape::kline::Interval;
use crate::binance::tape::{AggTrade, Tape, Trade};
use crate::core::Core;
use crate::words::{Listing, MarketTick, SymbolIndex, Tick};

/// The market's side of all streams.
#[derive(Debug)]
pub struct MarketStreams {
    listings: Vec<Listing>,
    symbols: Vec<Symbol>,
    tape: Tape,
    /// Milliseconds of the next boundary; nothing before the first call.
    boundary: Option<u64>,
}

#[derive(Debug, Default)]
struct Symbol {
    depth: Depth,
    top: Option<Top>,
    /// The source has best-bid-and-ask of its own, so none is derived from the book.
    source_has_top: bool,
    /// Something traded since klines were pushed last.
    traded: bool,
}

#[derive(Clone, Copy, Debug)]
struct Top {
    update_id: u64,
    bid: Level,
    ask: Level,
    changed: Nanos,
}

impl MarketStreams {
    /// Streams of a market that has not spoken yet.
    pub fn new(listings: &[Listing]) -> MarketStreams {
        MarketStreams {
            listings: listings.to_vec(),
            symbols: listings.iter().map(|_| Symbol::default()).collect(),
            tape: Tape::new(listings.len()),
            boundary: None,
        }
    }

    /// What has been traded.
    pub const fn tape(&self) -> &Tape {
        &self.tape
    }

    /// When the next boundary passes.
    pub fn next_due(&self) -> Option<Nanos> {
        self.boundary.map(Nanos::from_millis)
    }

    /// The market moved.
    pub fn tick(&mut self, tick: &MarketTick, core: &Core, hub: &mut Hub) {
        self.advance(tick.at, core, hub);
        let symbol = tick.symbol;
        match &tick.what {
            Tick::Snapshot { id, bids, asks } => {
                let update = self.symbols[symbol].depth.snapshot(*id, tick.at, bids, asks);
                self.book_changed(symbol, tick.at, *id, update, hub);
            }
            Tick::Depth { first_id, last_id, previous_id, bids, asks } => {
                let update = self.symbols[symbol].depth.diff(Update {
                    first_id: *first_id,
                    last_id: *last_id,
                    previous_id: *previous_id,
                    changed: tick.at,
                    bids: bids.clone(),
                    asks: asks.clone(),
                });
                self.book_changed(symbol, tick.at, *last_id, Some(update), hub);
            }
            Tick::Trade { id, price, qty, taker } => {
                self.traded(symbol, Trade { id: *id, price: *price, qty: *qty, taker: *taker, at: tick.at }, hub);
            }
            Tick::Top { update_id, bid, ask } => {
                self.symbols[symbol].source_has_top = true;
                self.top_changed(symbol, Top { update_id: *update_id, bid: *bid, ask: *ask, changed: tick.at }, hub);
            }
            // Marks are pushed by the clock.
            Tick::Mark { .. } | Tick::Single { .. } => {}
        }
    }

    /// Passes every boundary up to `now`.
    pub fn advance(&mut self, now: Nanos, core: &Core, hub: &mut Hub) {
        let now_ms = now.millis();
        let Some(mut boundary) = self.boundary else {
            self.boundary = Some(next_boundary(now_ms));
            return;
        };
        if now_ms.saturating_sub(boundary) > CATCH_UP_MAX_MS {
            // Nobody was served for so long; the last boundary says all that is still true.
            boundary = now_ms / Speed::Ms500.window_ms() * Speed::Ms500.window_ms();
        }
        while boundary <= now_ms {
            self.pass(boundary, core, hub);
            boundary = next_boundary(boundary);
        }
        self.boundary = Some(boundary);
    }

    fn book_changed(&mut self, symbol: SymbolIndex, at: Nanos, id: u64, update: Option<Update>, hub: &mut Hub) {
        let topic = Topic::Diff(symbol, Speed::Instant);
        if let Some(update) = update.filter(|_| hub.is_wanted(topic)) {
            hub.publish(topic, &frames::depth(at, &self.listings[symbol], &update));
        }
        let known = &self.symbols[symbol];
        if known.source_has_top {
            return;
        }
        if let Some((bid, ask)) = known.depth.best()
            && known.top.is_none_or(|top| (top.bid, top.ask) != (bid, ask))
        {
            self.top_changed(symbol, Top { update_id: id, bid, ask, changed: at }, hub);
        }
    }

    fn top_changed(&mut self, symbol: SymbolIndex, top: Top, hub: &mut Hub) {
        self.symbols[symbol].top = Some(top);
        if hub.is_wanted(Topic::Top(symbol)) {
            hub.publish(Topic::Top(symbol), &top_frame(top.changed, &self.listings[symbol], &top));
        }
    }

    fn traded(&mut self, symbol: SymbolIndex, trade: Trade, hub: &mut Hub) {
        self.symbols[symbol].traded = true;
        if hub.is_wanted(Topic::Trade(symbol)) {
            hub.publish(Topic::Trade(symbol), &frames::trade(&self.listings[symbol], &trade));
        }
        if let Some(ended) = self.tape.trade(symbol, trade) {
            self.aggregated(symbol, trade.at, &ended, hub);
        }
    }

    fn aggregated(&self, symbol: SymbolIndex, event: Nanos, trade: &AggTrade, hub: &mut Hub) {
        if hub.is_wanted(Topic::AggTrade(symbol)) {
            hub.publish(Topic::AggTrade(symbol), &frames::agg_trade(event, &self.listings[symbol], trade));
        }
    }

    /// The boundary at `ms` passes: everything whose period divides it is due.
    fn pass(&mut self, ms: u64, core: &Core, hub: &mut Hub) {
        let at = Nanos::from_millis(ms);
        let due = |period_ms: u64| ms.is_multiple_of(period_ms);
        for speed in Speed::WINDOWED.into_iter().filter(|speed| due(speed.window_ms())) {
            for symbol in 0..self.symbols.len() {
                self.end_window(symbol, speed, at, hub);
            }
        }
        if due(AGGREGATION_MS) {
            for symbol in 0..self.symbols.len() {
                if let Some(ended) = self.tape.end_aggregation(symbol) {
                    self.aggregated(symbol, at, &ended, hub);
                }
            }
        }
        if due(KLINE_MS) {
            self.push_klines(at, hub);
        }
        if due(MINUTE_MS) {
            self.tape.roll(at);
        }
        if due(SECOND_MS) {
            self.push_marks(Pace::Second, at, core, hub);
            self.push_tickers(at, hub);
        }
        if due(3 * SECOND_MS) {
            self.push_marks(Pace::ThreeSeconds, at, core, hub);
        }
        if due(ALL_TOPS_MS) && hub.is_wanted(Topic::AllTops) {
            for (listing, symbol) in self.listings.iter().zip(&self.symbols) {
                if let Some(top) = symbol.top {
                    hub.publish(Topic::AllTops, &top_frame(at, listing, &top));
                }
            }
        }
    }

    fn end_window(&mut self, symbol: SymbolIndex, speed: Speed, at: Nanos, hub: &mut Hub) {
        let listing = &self.listings[symbol];
        let depth = &mut self.symbols[symbol].depth;
        let Some(update) = depth.end_window(speed) else { return };
        let diff = Topic::Diff(symbol, speed);
        if hub.is_wanted(diff) {
            hub.publish(diff, &frames::depth(at, listing, &update));
        }
        for count in PARTIAL_LEVELS {
            let partial = Topic::Partial(symbol, count, speed);
            if hub.is_wanted(partial) {
                let (bids, asks) = depth.top(count);
                let update = Update { bids, asks, ..update };
                hub.publish(partial, &frames::depth(at, listing, &update));
            }
        }
    }

    /// Pushes the klines that ended at `at`, and those that trades have changed.
    fn push_klines(&mut self, at: Nanos, hub: &mut Hub) {
        for (index, symbol) in self.symbols.iter_mut().enumerate() {
            let traded = std::mem::take(&mut symbol.traded);
            for interval in Interval::ALL {
                let topic = Topic::Kline(index, interval);
                if !hub.is_wanted(topic) {
                    continue;
                }
                let Some(kline) = self.tape.klines(index, interval).back() else { continue };
                let closed = kline.close_ms < at.millis();
                if traded || closed {
                    hub.publish(topic, &frames::kline(at, &self.listings[index], interval, kline, closed));
                }
            }
        }
    }

    fn push_marks(&self, pace: Pace, at: Nanos, core: &Core, hub: &mut Hub) {
        let mut all = Vec::with_capacity(self.listings.len());
        for (index, listing) in self.listings.iter().enumerate() {
            let mark = core.mark(index);
            if mark.mark.is_zero() {
                continue;
            }
            let message = frames::mark(at, listing, &mark);
            hub.publish(Topic::Mark(index, pace), &message);
            all.push(message);
        }
        if !all.is_empty() && hub.is_wanted(Topic::AllMarks(pace)) {
            hub.publish(Topic::AllMarks(pace), &frames::array(&all));
        }
    }

    fn push_tickers(&self, at: Nanos, hub: &mut Hub) {
        let (all_tickers, all_minis) = (hub.is_wanted(Topic::AllTickers), hub.is_wanted(Topic::AllMiniTickers));
        let (mut tickers, mut minis) = (Vec::new(), Vec::new());
        for (index, listing) in self.listings.iter().enumerate() {
            let (ticker, mini) = (Topic::Ticker(index), Topic::MiniTicker(index));
            let wanted = all_tickers || all_minis || hub.is_wanted(ticker) || hub.is_wanted(mini);
            let Some(day) = wanted.then(|| self.tape.day(index, at)).flatten() else { continue };
            let message = frames::ticker(at, listing, &day);
            hub.publish(ticker, &message);
            tickers.push(message);
            let message = frames::mini_ticker(at, listing, &day);
            hub.publish(mini, &message);
            minis.push(message);
        }
        if !tickers.is_empty() {
            hub.publish(Topic::AllTickers, &frames::array(&tickers));
            hub.publish(Topic::AllMiniTickers, &frames::array(&minis));
        }
    }
}

fn top_frame(event: Nanos, listing: &Listing, top: &Top) -> String {
    frames::top(event, listing, top.update_id, top.bid, top.ask, top.changed)
}

/// The first boundary after `ms`: every period is a multiple of one of these two.
const fn next_boundary(ms: u64) -> u64 {
    let fast = (ms / Speed::Ms100.window_ms() + 1) * Speed::Ms100.window_ms();
    let slow = (ms / Speed::Ms250.window_ms() + 1) * Speed::Ms250.window_ms();
    if fast < slow { fast } else { slow }
}

/// Trades of one taker side and price within this are one aggregated trade.
const AGGREGATION_MS: u64 = 100;
/// Klines that changed are pushed this often.
const KLINE_MS: u64 = 250;
const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60_000;
/// `!bookTicker` is pushed this often.
const ALL_TOPS_MS: u64 = 5_000;
/// Boundaries further back than this are not made up for.
const CATCH_UP_MAX_MS: u64 = 60 * 60 * 1_000;

#[cfg(test)]
#[path = "market_tests.rs"]
mod tests;
