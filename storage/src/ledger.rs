//! The sums of a session, kept in memory as events pass: they survive a disk that does not.
//!
//! Books each fill once. A position that the exchange states before the session's first order is where the profit
//! starts from; later statements are kept beside our own count, never mixed into it. Storage thread.

use std::collections::{BTreeMap, HashSet, VecDeque};

use optiflow_base::clock::Nanos;
use optiflow_base::ids::{OrderId, SymbolId, TradeId};
use optiflow_base::log::SignalSample;
use optiflow_base::money::{Notional, Price, Qty, Side};
use optiflow_base::order::{OrderChange, OrderEvent};

use crate::orders::Orders;
use crate::position::Holding;
use crate::session::SessionInfo;
use crate::summary::{FillCounts, NoticeCount, Profit, SymbolSummary};

/// Everything the closing summary needs, but latencies.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) orders: Orders,
    pub(crate) fills: FillCounts,
    pub(crate) wallet: Option<Notional>,
    pub(crate) log_events_lost: u64,
    epoch: u32,
    books: Vec<Book>,
    booked: Booked,
    notices: BTreeMap<(&'static str, &'static str), u64>,
}

#[derive(Debug, Default)]
struct Book {
    holding: Holding,
    fills: u64,
    last: Price,
    exchange_position: Option<Qty>,
    has_ordered: bool,
    /// When the position was stated that the session begins with.
    began: Nanos,
}

/// A trade as `Report::Order` tells it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fill {
    /// When it happened, by the exchange's clock; what was told without a time has none.
    pub(crate) exchange_ms: u64,
    pub(crate) symbol: SymbolId,
    pub(crate) order: OrderId,
    pub(crate) trade: TradeId,
    pub(crate) price: Price,
    pub(crate) qty: Qty,
    pub(crate) maker: bool,
    pub(crate) fee: i64,
}

impl Ledger {
    pub(crate) fn new(session: &SessionInfo) -> Ledger {
        Ledger {
            orders: Orders::new(session.epoch),
            fills: FillCounts::default(),
            wallet: None,
            log_events_lost: 0,
            epoch: session.epoch,
            books: session.symbols.iter().map(|_| Book::default()).collect(),
            booked: Booked::default(),
            notices: BTreeMap::new(),
        }
    }

    /// Follows an order; its fills are booked apart.
    pub(crate) fn follow(&mut self, event: &OrderEvent) {
        self.orders.report(event);
        if event.change == OrderChange::Sent
            && let Some(book) = self.books.get_mut(event.symbol.index())
        {
            book.has_ordered = true;
        }
    }

    /// Was this fill booked before? Remembers it.
    pub(crate) fn is_repeated(&mut self, fill: &Fill) -> bool {
        !self.booked.insert((fill.order, fill.trade))
    }

    /// Books a fill that was not booked before.
    pub(crate) fn book(&mut self, fill: &Fill, side: Option<Side>) {
        self.fills.fills += 1;
        self.fills.maker += u64::from(fill.maker);
        self.fills.taker += u64::from(!fill.maker);
        let former = fill.order.epoch() != self.epoch;
        match (self.books.get_mut(fill.symbol.index()), side) {
            // It is part of the position that the session begins with, however late it is found.
            (Some(book), Some(_)) if former && (!book.has_ordered || fill.exchange_ms <= book.began.millis()) => {}
            (Some(book), Some(side)) => {
                book.fills += 1;
                book.holding.fill(side, fill.price, fill.qty, fill.fee);
            }
            (_, None) | (None, _) => self.fills.unbooked += 1,
        }
    }

    /// The exchange states a position.
    pub(crate) fn state_position(&mut self, symbol: SymbolId, qty: Qty, entry: Price, at: Nanos) {
        let Some(book) = self.books.get_mut(symbol.index()) else { return };
        book.exchange_position = Some(qty);
        if !book.has_ordered && book.fills == 0 {
            book.holding.adopt(qty, entry);
            book.began = at;
        }
    }

    /// The market moved.
    pub(crate) fn sample(&mut self, sample: &SignalSample) {
        let Some(book) = self.books.get_mut(sample.symbol.index()) else { return };
        let mid = Price::from_units(sample.bid.units().midpoint(sample.ask.units()));
        book.last = if sample.mark.is_zero() { mid } else { sample.mark };
    }

    /// A room noticed something.
    pub(crate) fn notice(&mut self, room: &'static str, what: &'static str) {
        *self.notices.entry((room, what)).or_default() += 1;
    }

    pub(crate) fn notices(&self) -> Vec<NoticeCount> {
        self.notices.iter().map(|(&(room, what), &count)| NoticeCount { room, what, count }).collect()
    }

    pub(crate) fn symbols(&self, session: &SessionInfo) -> Vec<SymbolSummary> {
        session.symbols.iter().zip(&self.books).map(|(symbol, book)| book.summary(symbol.name.as_str())).collect()
    }
}

impl Book {
    fn summary(&self, name: &str) -> SymbolSummary {
        let Book { holding, .. } = self;
        let held = !holding.qty().is_zero() && !self.last.is_zero();
        SymbolSummary {
            name: name.to_owned(),
            position: holding.qty(),
            exchange_position: self.exchange_position,
            entry: holding.entry(),
            last: self.last,
            traded: holding.traded(),
            fills: self.fills,
            profit: Profit {
                volume: holding.volume(),
                fees: holding.fees(),
                realised: holding.realised(),
                net: holding.realised() - holding.fees(),
                unrealised: if held { holding.unrealised(self.last) } else { Notional::ZERO },
            },
        }
    }
}

/// The latest fills, to know one that is told again; older ones are known by the database.
#[derive(Debug, Default)]
struct Booked {
    known: HashSet<(OrderId, TradeId)>,
    oldest_first: VecDeque<(OrderId, TradeId)>,
}

impl Booked {
    /// True when it is new.
    fn insert(&mut self, fill: (OrderId, TradeId)) -> bool {
        if !self.known.insert(fill) {
            return false;
        }
        self.oldest_first.push_back(fill);
        if self.oldest_first.len() > FILLS_KNOWN_MAX
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

/// Fills that are known by heart.
const FILLS_KNOWN_MAX: usize = 16_384;
