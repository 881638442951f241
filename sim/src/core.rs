//! The core of the simulated exchange: replays a market under the exchange's clock, matches, keeps the ledger.
//!
//! A tick of the market happens at `start + (tick time − first tick time) / speed`. Each tick first changes the market's
//! book, then our clients' resting orders are matched against it; events come out in that order. Requests act on the
//! market as replayed so far: call [`Core::advance`] first.
//! Never reads a clock, never speaks a venue's protocol. Which thread: whoever drives it, one at a time.

use std::ops::RangeInclusive;

use optiflow_base::clock::Nanos;
use optiflow_base::market::Level;
use optiflow_base::money::{Notional, Price, Qty};

use crate::account::Account;
use crate::book::Book;
use crate::core::orders::{Forgotten, Orders};
use crate::market::{Source, SourceError};
use crate::matching::rules::{MatchingRules, Queueing};
use crate::matching::{Hit, Queue, Single, Step};
use crate::words::{CoreEvent, Fill, Listing, MarketTick, Order, OrderKey, Position, SymbolIndex, Tick};

pub mod brackets;
mod checks;
mod error;
pub mod liquidation;
mod marks;
pub mod orders;
mod requests;
mod settle;

pub use error::NoSingleOrders;

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
    /// How orders are matched, and what becomes of an account without margin.
    pub rules: VenueRules,
}

/// The rules a core runs by; the default is what the exchange does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VenueRules {
    /// How resting orders queue and fill.
    pub matching: MatchingRules,
    /// Clearance fee of a liquidation, ppm of what is closed, on top of the taker fee; `None` never liquidates.
    pub liquidation_fee_ppm: Option<i64>,
}

impl Default for VenueRules {
    fn default() -> VenueRules {
        VenueRules { matching: MatchingRules::default(), liquidation_fee_ppm: Some(LIQUIDATION_FEE_PPM) }
    }
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
    /// When the market last told anything.
    heard: Nanos,
    /// The order that is closing a position for want of margin.
    liquidating: Option<u64>,
    hits: Vec<Hit>,
    steps: Vec<Step>,
}

/// One symbol's market and our queue in it.
#[derive(Debug)]
struct Market {
    book: Book,
    queue: Queue,
    mark: Mark,
    /// The source tells marks: none are derived.
    marked_by_source: bool,
    last_trade: Option<Price>,
    /// When funding is due next, in exchange time.
    funding_due: Option<Nanos>,
}

impl Market {
    fn new(listing: &Listing, rules: &VenueRules) -> Market {
        Market {
            book: Book::default(),
            queue: Queue::new(rules.matching, listing.step_size),
            mark: Mark::default(),
            marked_by_source: false,
            last_trade: None,
            funding_due: None,
        }
    }
}

impl Core {
    /// A core that has replayed nothing yet.
    ///
    /// # Panics
    /// When the listings are not the source's, the speed is not one of [`SPEEDS`], or the rules need another source: the
    /// caller's bug. [`Core::open`] tells the last kindly.
    pub fn new(config: CoreConfig, source: Box<dyn Source>) -> Core {
        match Core::open(config, source) {
            Ok(core) => core,
            Err(unfit) => panic!("{unfit}"),
        }
    }

    /// A core that has replayed nothing yet, by rules that may have come from outside.
    ///
    /// # Errors
    /// When the queue is to be exact and the source does not know single orders.
    ///
    /// # Panics
    /// When the listings are not the source's, or the speed is not one of [`SPEEDS`]: the caller's bug.
    pub fn open(config: CoreConfig, mut source: Box<dyn Source>) -> Result<Core, NoSingleOrders> {
        assert!(SPEEDS.contains(&config.speed), "speed {} is not within {SPEEDS:?}", config.speed);
        assert!(config.listings.len() == source.listings().len(), "one listing per symbol of the source");
        if config.rules.matching.queue == Queueing::Fifo && !source.tell_singles() {
            return Err(NoSingleOrders);
        }
        let symbols = config.listings.len();
        Ok(Core {
            markets: config.listings.iter().map(|listing| Market::new(listing, &config.rules)).collect(),
            account: Account::new(config.wallet, symbols, config.leverage),
            orders: Orders::new(symbols, config.start),
            pending: None,
            first_at: None,
            ended: false,
            marks_due: Nanos(config.start.0.next_multiple_of(marks::MARK_EVERY)),
            heard: config.start,
            liquidating: None,
            hits: Vec::new(),
            steps: Vec::new(),
            config,
            source,
        })
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
            if self.funding_due() == Some(due) {
                self.pay_funding(due, out);
                continue;
            }
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
            Some(tick) => {
                let tick_or_marks = self.exchange_time(tick.at).min(self.marks_due);
                Some(self.funding_due().map_or(tick_or_marks, |funding| funding.min(tick_or_marks)))
            }
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

    /// The newest order of a client id.
    pub fn order_of_client(&self, symbol: SymbolIndex, client_id: &str) -> Option<&Order> {
        self.orders.of_client(symbol, client_id)
    }

    /// Open orders of one symbol, oldest first.
    pub fn open_of(&self, symbol: SymbolIndex) -> impl Iterator<Item = &Order> {
        self.orders.open(symbol)
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

    /// How often orders and fills changed: as long as it stands, so do they and what is held.
    pub const fn changes(&self) -> u64 {
        self.orders.changes()
    }

    /// How much of the orders and fills is no longer remembered.
    pub const fn forgotten(&self) -> Forgotten {
        self.orders.forgotten()
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
        // Recordings may lie years apart: at speed 1 nothing is rounded. Elsewhere below a quarter of a year nothing is.
        let speed = self.config.speed;
        let scaled = |nanos: u64| if speed == 1.0 { nanos } else { (nanos as f64 / speed) as u64 };
        if at >= first {
            Nanos(self.config.start.0.saturating_add(scaled(at.since(first))))
        } else {
            Nanos(self.config.start.0.saturating_sub(scaled(first.since(at))))
        }
    }

    fn replay(&mut self, now: Nanos, mut tick: MarketTick, out: &mut Vec<CoreEvent>) {
        let symbol = tick.symbol;
        let market_time = tick.at;
        self.wake_marks(now);
        tick.at = now;
        if let Tick::Mark { mark, index, funding_rate, next_funding_ms } = tick.what {
            return self.hear_mark(now, symbol, Mark { mark, index, funding_rate, next_funding_ms }, out);
        }
        let market = &mut self.markets[symbol];
        let mut hits = std::mem::take(&mut self.hits);
        let is_news = market.book.apply(now, &tick.what);
        if let Tick::Depth { bids, asks, .. } = &mut tick.what {
            let (stale_bids, stale_asks) = market.book.uncross(bids, asks);
            replace_stale(bids, stale_bids);
            replace_stale(asks, stale_asks);
        }
        match tick.what {
            Tick::Trade { price, qty, taker, .. } => {
                market.last_trade = Some(price);
                market.queue.on_trade(market_time, price, qty, taker, &mut hits);
            }
            Tick::Depth { .. } | Tick::Snapshot { .. } | Tick::Top { .. } if is_news => {
                market.queue.on_book(market_time, &market.book, &tick.what, &mut hits);
            }
            Tick::Single { id, side, price, change } => {
                market.queue.on_single(&market.book, Single { id, side, price, change }, &mut hits);
            }
            Tick::Depth { .. } | Tick::Snapshot { .. } | Tick::Top { .. } | Tick::Mark { .. } => {}
        }
        if !matches!(tick.what, Tick::Single { .. }) {
            out.push(CoreEvent::Market(tick));
        }
        for hit in hits.drain(..) {
            self.settle_maker(now, symbol, hit, out);
        }
        self.hits = hits;
    }
}

/// The removal of a stale level stands in the diff once, and last.
fn replace_stale(levels: &mut Vec<Level>, stale: Vec<Level>) {
    if !stale.is_empty() {
        levels.retain(|level| stale.iter().all(|stale| stale.price != level.price));
        levels.extend(stale);
    }
}

/// How many seconds of market may pass in one of the exchange's: slower, and a day takes three years.
pub const SPEEDS: RangeInclusive<f64> = 1e-3..=1e6;
/// Clearance fee of a liquidation: `liquidationFee` of BTCUSDT in the exchange's own list, 1.25 %.
pub const LIQUIDATION_FEE_PPM: i64 = 12_500;

#[cfg(test)]
mod tests;
