//! The core of the simulated exchange: replays a market under the exchange's clock, matches, keeps the ledger.
//!
//! A tick of the market happens at `start + (tick time − first tick time) / speed`. Each tick first changes the market's
//! book, then our clients' resting orders are matched against it; events come out in that order. Requests act on the
//! market as replayed so far: call [`Core::advance`] first.
//! Never reads a clock, never speaks a venue's protocol, never liquidates: a wallet may go below zero. Which thread: whoever drives it, one at a time.

use optiflow_base::clock::Nanos;
use optiflow_base::market::Level;
use optiflow_base::money::{Notional, Price, Qty};

use crate::account::Account;
use crate::book::Book;
use crate::core::orders::Orders;
use crate::market::{Source, SourceError};
use crate::matching::{Hit, Queue, Step};
use crate::words::{CoreEvent, Fill, Listing, MarketTick, Order, OrderKey, Position, SymbolIndex, Tick};

pub mod brackets;
mod checks;
pub mod orders;
mod requests;
mod settle;

/// What a core is made from.
#[derive(Clone, Debug)]
pub struct CoreConfig {
    /// The symbols, as the source has them.
    pub listings: Vec<Listing>,
    /// What the account starts with.
    pub wallet: Notional,
    /// Leverage of every symbol at the start.
    pub leverage: u32,
    /// Maker fee, ppm of the notional; negative is a rebate.
    pub maker_fee_ppm: i64,
    /// Taker fee, ppm of the notional.
    pub taker_fee_ppm: i64,
    /// How many seconds of market pass in one of the exchange's.
    pub speed: f64,
    /// Exchange time of the first tick.
    pub start: Nanos,
}

/// Mark price and funding of a symbol; all zero until known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Mark price.
    pub mark: Price,
    /// Index price.
    pub index: Price,
    /// Funding rate, 10⁻⁸.
    pub funding_rate: i64,
    /// Next funding, ms of the exchange's time.
    pub next_funding_ms: u64,
}

/// The core.
pub struct Core {
    config: CoreConfig,
    source: Box<dyn Source>,
    markets: Vec<Market>,
    account: Account,
    orders: Orders,
    /// The next tick, in the market's own time.
    pending: Option<MarketTick>,
    /// Market time of the first tick; `None` until one was fetched.
    first_at: Option<Nanos>,
    ended: bool,
    /// When marks are derived next for the symbols whose source has none.
    marks_due: Nanos,
    hits: Vec<Hit>,
    steps: Vec<Step>,
}

/// One symbol's market and our queue in it.
#[derive(Debug, Default)]
struct Market {
    book: Book,
    queue: Queue,
    mark: Mark,
    /// The source tells marks: none are derived.
    marked_by_source: bool,
    last_trade: Option<Price>,
}

impl Core {
    /// A core that has replayed nothing yet.
    ///
    /// # Panics
    /// When the listings are not the source's, or the speed is not a positive number: the caller's bug.
    pub fn new(config: CoreConfig, source: Box<dyn Source>) -> Core {
        assert!(config.speed.is_finite() && config.speed > 0.0, "speed {} is not a positive number", config.speed);
        assert!(config.listings.len() == source.listings().len(), "one listing per symbol of the source");
        let symbols = config.listings.len();
        Core {
            markets: (0..symbols).map(|_| Market::default()).collect(),
            account: Account::new(config.wallet, symbols, config.leverage),
            orders: Orders::new(symbols, config.start),
            pending: None,
            first_at: None,
            ended: false,
            marks_due: Nanos(config.start.0.next_multiple_of(MARK_EVERY)),
            hits: Vec::new(),
            steps: Vec::new(),
            config,
            source,
        }
    }

    /// Replays every tick that is due at `now`, and derives the marks that the source does not have.
    ///
    /// # Errors
    /// When the source cannot be read on; the market has then ended, everything else still works.
    pub fn advance(&mut self, now: Nanos, out: &mut Vec<CoreEvent>) -> Result<(), SourceError> {
        loop {
            if self.pending.is_none() && !self.ended {
                self.fetch()?;
            }
            let Some(due) = self.next_due().filter(|&due| due <= now) else { return Ok(()) };
            let tick_due = self.pending.as_ref().map(|tick| self.exchange_time(tick.at));
            match self.pending.take_if(|_| tick_due == Some(due)) {
                Some(tick) => self.replay(due, tick, out),
                None => self.derive_marks(due, out),
            }
        }
    }

    /// When `advance` has something to do next; `None` when the market is over.
    pub fn next_due(&self) -> Option<Nanos> {
        match &self.pending {
            Some(tick) => Some(self.exchange_time(tick.at).min(self.marks_due)),
            None if self.ended => None,
            None => Some(self.config.start),
        }
    }

    /// Has the source told its last tick?
    pub const fn market_ended(&self) -> bool {
        self.ended && self.pending.is_none()
    }

    /// The symbols.
    pub fn listings(&self) -> &[Listing] {
        &self.config.listings
    }

    /// The configuration it runs by.
    pub const fn config(&self) -> &CoreConfig {
        &self.config
    }

    /// The book of a symbol.
    pub fn book(&self, symbol: SymbolIndex) -> &Book {
        &self.markets[symbol].book
    }

    /// Mark price and funding of a symbol.
    pub fn mark(&self, symbol: SymbolIndex) -> Mark {
        self.markets[symbol].mark
    }

    /// Price of the market's last trade.
    pub fn last_trade_price(&self, symbol: SymbolIndex) -> Option<Price> {
        self.markets[symbol].last_trade
    }

    /// The order a client names; by client id the newest one.
    pub fn order(&self, symbol: SymbolIndex, key: &OrderKey) -> Option<&Order> {
        self.orders.find(symbol, key)
    }

    /// Open orders of one symbol or all, oldest first.
    pub fn open_orders(&self, symbol: Option<SymbolIndex>) -> Vec<&Order> {
        let symbols = symbol.map_or(0..self.markets.len(), |symbol| symbol..symbol + 1);
        let mut open: Vec<&Order> = symbols.flat_map(|symbol| self.orders.open(symbol)).collect();
        open.sort_unstable_by_key(|order| order.id);
        open
    }

    /// All remembered orders of a symbol, oldest first.
    pub fn all_orders(&self, symbol: SymbolIndex) -> Vec<&Order> {
        self.orders.all().filter(|order| order.placed.symbol == symbol).collect()
    }

    /// All remembered fills of one symbol or all, oldest first.
    pub fn fills(&self, symbol: Option<SymbolIndex>) -> Vec<&Fill> {
        self.orders.fills().filter(|fill| symbol.is_none_or(|symbol| fill.symbol == symbol)).collect()
    }

    /// Market quantity ahead of an open order at its price.
    pub fn queue_ahead(&self, order: &Order) -> Option<Qty> {
        self.markets[order.placed.symbol].queue.ahead(order.placed.side, order.id)
    }

    /// The position in a symbol.
    pub fn position(&self, symbol: SymbolIndex) -> Position {
        self.account.position(symbol)
    }

    /// The wallet, without unrealised profit.
    pub const fn wallet(&self) -> Notional {
        self.account.wallet()
    }

    /// Profit of a position at the mark.
    pub fn unrealized(&self, symbol: SymbolIndex) -> Notional {
        self.account.unrealized(symbol, self.reference_price(symbol))
    }

    /// Leverage of a symbol.
    pub fn leverage(&self, symbol: SymbolIndex) -> u32 {
        self.account.leverage(symbol)
    }

    /// Sets the leverage of a symbol.
    pub fn set_leverage(&mut self, symbol: SymbolIndex, leverage: u32) {
        self.account.set_leverage(symbol, leverage);
    }

    fn fetch(&mut self) -> Result<(), SourceError> {
        match self.source.next() {
            Ok(Some(tick)) => {
                assert!(tick.symbol < self.markets.len(), "the source tells only of its listings");
                assert!(self.first_at.is_none_or(|first| tick.at >= first), "market time never goes back");
                self.first_at = self.first_at.or(Some(tick.at));
                self.pending = Some(tick);
                Ok(())
            }
            Ok(None) => {
                self.ended = true;
                Ok(())
            }
            Err(error) => {
                self.ended = true;
                Err(error)
            }
        }
    }

    /// Exchange time of a moment of the market.
    fn exchange_time(&self, at: Nanos) -> Nanos {
        let first = self.first_at.unwrap_or(at);
        // Floats are exact enough here: below a quarter of a year whole nanoseconds survive at speed 1.
        let scaled = |nanos: u64| (nanos as f64 / self.config.speed) as u64;
        if at >= first {
            Nanos(self.config.start.0 + scaled(at.since(first)))
        } else {
            Nanos(self.config.start.0.saturating_sub(scaled(first.since(at))))
        }
    }

    fn replay(&mut self, now: Nanos, mut tick: MarketTick, out: &mut Vec<CoreEvent>) {
        let symbol = tick.symbol;
        let market_time = tick.at;
        tick.at = now;
        if let Tick::Mark { mark, index, funding_rate, next_funding_ms } = tick.what {
            self.markets[symbol].marked_by_source = true;
            let next_funding_ms = match next_funding_ms {
                0 => next_calendar_funding(now).millis(),
                ms => self.exchange_time(Nanos::from_millis(ms)).millis(),
            };
            self.set_mark(now, symbol, Mark { mark, index, funding_rate, next_funding_ms }, out);
            return;
        }
        let market = &mut self.markets[symbol];
        let mut hits = std::mem::take(&mut self.hits);
        market.book.apply(now, &tick.what);
        match &mut tick.what {
            Tick::Trade { price, qty, taker, .. } => {
                market.last_trade = Some(*price);
                market.queue.on_trade(market_time, *price, *qty, *taker, &mut hits);
            }
            Tick::Depth { bids, asks, .. } => {
                let (stale_bids, stale_asks) = market.book.uncross(bids, asks);
                replace_stale(bids, stale_bids);
                replace_stale(asks, stale_asks);
                market.queue.on_book(market_time, &market.book, &mut hits);
            }
            Tick::Snapshot { .. } | Tick::Top { .. } => market.queue.on_book(market_time, &market.book, &mut hits),
            Tick::Mark { .. } => {}
        }
        out.push(CoreEvent::Market(tick));
        for hit in hits.drain(..) {
            self.settle_maker(now, symbol, hit, out);
        }
        self.hits = hits;
    }

    /// Gives a mark, taken from the middle of the book, to every symbol whose source has none.
    fn derive_marks(&mut self, now: Nanos, out: &mut Vec<CoreEvent>) {
        assert!(now == self.marks_due, "marks are derived when they are due");
        self.marks_due = Nanos(now.0 + MARK_EVERY);
        for symbol in 0..self.markets.len() {
            let market = &self.markets[symbol];
            let Some(mid) = market.book.mid().filter(|_| !market.marked_by_source) else { continue };
            let next_funding_ms = next_calendar_funding(now).millis();
            let mark = Mark { mark: mid, index: mid, funding_rate: DERIVED_FUNDING_RATE, next_funding_ms };
            self.set_mark(now, symbol, mark, out);
        }
    }

    fn set_mark(&mut self, now: Nanos, symbol: SymbolIndex, mark: Mark, out: &mut Vec<CoreEvent>) {
        let before = std::mem::replace(&mut self.markets[symbol].mark, mark);
        let Mark { mark, index, funding_rate, next_funding_ms } = mark;
        let what = Tick::Mark { mark, index, funding_rate, next_funding_ms };
        out.push(CoreEvent::Market(MarketTick { at: now, symbol, what }));
        let is_due = before.next_funding_ms > 0 && now.millis() >= before.next_funding_ms;
        if is_due && !self.account.position(symbol).qty.is_zero() {
            let amount = self.account.fund(symbol, before.mark, before.funding_rate);
            out.push(CoreEvent::Funding { symbol, amount, wallet: self.account.wallet() });
        }
    }

    /// The mark, or the middle of the book while there is none; zero when there is neither.
    pub fn reference_price(&self, symbol: SymbolIndex) -> Price {
        let market = &self.markets[symbol];
        if market.mark.mark > Price::ZERO { market.mark.mark } else { market.book.mid().unwrap_or(Price::ZERO) }
    }
}

/// The removal of a stale level stands in the diff once, and last.
fn replace_stale(levels: &mut Vec<Level>, stale: Vec<Level>) {
    if !stale.is_empty() {
        levels.retain(|level| stale.iter().all(|stale| stale.price != level.price));
        levels.extend(stale);
    }
}

/// The next 00:00, 08:00 or 16:00 UTC after `now`.
fn next_calendar_funding(now: Nanos) -> Nanos {
    Nanos((now.0 + 1).next_multiple_of(FUNDING_EVERY))
}

/// Marks come every second of exchange time.
const MARK_EVERY: u64 = 1_000_000_000;
/// Funding is paid every eight hours where the source does not say otherwise.
const FUNDING_EVERY: u64 = 8 * 3_600 * 1_000_000_000;
/// Funding rate where the source has none: 0.01 %, the interest part alone.
const DERIVED_FUNDING_RATE: i64 = 10_000;

#[cfg(test)]
mod tests;
