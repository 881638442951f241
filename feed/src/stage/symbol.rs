//! One symbol in the feed stage: its gate, the newest ids of its other streams, and what goes on which ring.
//!
//! Runs on the feed thread.

use optiflow_base::clock::Nanos;
use optiflow_base::ids::{SymbolId, SymbolName};
use optiflow_base::market::{BookLoss, MarketBody, MarketEvent};
use optiflow_base::ring::Tx;

use super::tally::{Count, Tally};
use super::{FeedPorts, FeedSymbol};
use crate::binance::{Mark, Top, Trade};
use crate::plausible::{Plausible, is_price};
use crate::sync::{Admit, Diff, Joined, Snapshot, SymbolSync};

/// A symbol's state.
pub(super) struct Symbol {
    id: SymbolId,
    pub(super) name: SymbolName,
    pub(super) sync: SymbolSync,
    plausible: Plausible,
    top_id: Option<u64>,
    trade_id: Option<u64>,
    /// A loss that the quotes ring was not told yet.
    owed_quotes: Option<(Nanos, BookLoss)>,
}

impl Symbol {
    pub(super) fn new(symbol: &FeedSymbol) -> Symbol {
        let &FeedSymbol { id, name, tick_size } = symbol;
        let (sync, plausible) = (SymbolSync::new(id), Plausible::new(tick_size));
        Symbol { id, name, sync, plausible, top_id: None, trade_id: None, owed_quotes: None }
    }

    /// A diff; false when it says nothing new, or nothing that can be true: then the book is lost.
    pub(super) fn depth(&mut self, received: Nanos, diff: &Diff<'_>, ports: &mut FeedPorts, tally: &mut Tally) -> bool {
        if !(self.plausible.levels(diff.bids) && self.plausible.levels(diff.asks)) {
            tally.add(Count::Malformed);
            self.malformed(received, ports);
            return false;
        }
        let was_live = self.sync.is_live();
        match self.sync.diff(received, diff, &mut ports.market) {
            Admit::Applied => {
                if !was_live {
                    self.say_live(received, ports);
                }
                true
            }
            Admit::Buffered => true,
            Admit::Old => {
                tally.add(Count::Old);
                false
            }
            Admit::Lost(reason) => {
                self.lost(received, was_live, reason, ports);
                if !was_live {
                    tally.add(Count::Restart);
                }
                true
            }
            Admit::Down => false,
        }
    }

    /// A depth message that could not be understood.
    pub(super) fn malformed(&mut self, received: Nanos, ports: &mut FeedPorts) {
        let was_live = self.sync.is_live();
        self.sync.malformed(received, &mut ports.market);
        self.lost(received, was_live, BookLoss::Malformed, ports);
    }

    /// The engine does not believe the book any longer.
    pub(super) fn distrusted(&mut self, now: Nanos, reason: BookLoss, ports: &mut FeedPorts) {
        if self.sync.distrusted(now, reason, &mut ports.market) {
            self.lost(now, true, reason, ports);
        }
    }

    /// Can the answer to a snapshot call be true?
    pub(super) fn is_plausible(&self, snapshot: &Snapshot<'_>) -> bool {
        self.plausible.levels(snapshot.bids) && self.plausible.levels(snapshot.asks)
    }

    /// The answer to a snapshot call.
    pub(super) fn snapshot(
        &mut self,
        now: Nanos,
        attempt: u32,
        received: Nanos,
        snapshot: &Snapshot<'_>,
        ports: &mut FeedPorts,
    ) -> Joined {
        let joined = self.sync.snapshot(now, attempt, received, snapshot, &mut ports.market);
        match joined {
            Joined::Live => self.say_live(now, ports),
            Joined::Lost(reason) => self.lost(now, false, reason, ports),
            Joined::Waiting | Joined::Refetch | Joined::Unasked => {}
        }
        joined
    }

    /// Best prices; false when they are not newer than the last ones, or cannot be true. The book is none of their concern.
    pub(super) fn top(&mut self, received: Nanos, top: &Top, ports: &mut FeedPorts, tally: &mut Tally) -> bool {
        if !(self.plausible.touch(top.bid) && self.plausible.touch(top.ask)) {
            tally.add(Count::Malformed);
            return false;
        }
        let is_new = self.top_id.is_none_or(|known| top.update_id > known);
        if is_new {
            self.top_id = Some(top.update_id);
            let event = MarketEvent { received, body: top.body() };
            offer(&mut ports.market, event, Count::MarketFull, tally);
            offer(&mut ports.quotes, event, Count::QuotesFull, tally);
        } else {
            tally.add(Count::Old);
        }
        is_new
    }

    /// A trade; false when it is not newer than the last one, or cannot be true.
    pub(super) fn trade(&mut self, received: Nanos, trade: &Trade, ports: &mut FeedPorts, tally: &mut Tally) -> bool {
        if !self.plausible.trade(trade.price, trade.qty) {
            tally.add(Count::Malformed);
            return false;
        }
        let is_new = self.trade_id.is_none_or(|known| trade.id > known);
        if is_new {
            self.trade_id = Some(trade.id);
            offer(&mut ports.market, MarketEvent { received, body: trade.body() }, Count::MarketFull, tally);
        } else {
            tally.add(Count::Old);
        }
        is_new
    }

    /// A mark price; false when it cannot be true.
    pub(super) fn mark(&mut self, received: Nanos, mark: &Mark, ports: &mut FeedPorts, tally: &mut Tally) -> bool {
        assert_eq!(mark.symbol, self.id, "a message goes to its own symbol");
        if !is_price(mark.mark) {
            tally.add(Count::Malformed);
            return false;
        }
        let event = MarketEvent { received, body: mark.body() };
        offer(&mut ports.market, event, Count::MarketFull, tally);
        offer(&mut ports.quotes, event, Count::QuotesFull, tally);
        true
    }

    /// The connection of diffs and best prices is gone.
    pub(super) fn public_lost(&mut self, now: Nanos, market: &mut Tx<MarketEvent>) {
        self.top_id = None;
        self.sync.disconnected(now, market);
        self.owed_quotes.get_or_insert((now, BookLoss::Disconnected));
    }

    /// The connection of trades and mark prices is gone.
    pub(super) fn market_lost(&mut self) {
        self.trade_id = None;
    }

    /// Must something be looked after at once?
    pub(super) fn needs_care(&self, now: Nanos) -> bool {
        self.owed_quotes.is_some() || self.sync.wants_snapshot(now)
    }

    /// Says losses that are still owed, as far as there is room.
    pub(super) fn settle(&mut self, ports: &mut FeedPorts) {
        self.sync.settle(&mut ports.market);
        if let Some((received, reason)) = self.owed_quotes {
            let body = MarketBody::BookLost { symbol: self.id, reason };
            if ports.quotes.push(MarketEvent { received, body }).is_ok() {
                self.owed_quotes = None;
            }
        }
    }

    fn say_live(&self, now: Nanos, ports: &mut FeedPorts) {
        ports.log.notice(now, "book in sequence", i64::from(self.id.0));
    }

    fn lost(&mut self, now: Nanos, was_live: bool, reason: BookLoss, ports: &mut FeedPorts) {
        self.owed_quotes.get_or_insert((now, reason));
        if was_live {
            ports.log.notice(now, loss_phrase(reason), i64::from(self.id.0));
        }
    }
}

/// Offers an event to a ring that may be full: the next one of its kind replaces it.
fn offer(ring: &mut Tx<MarketEvent>, event: MarketEvent, full: Count, tally: &mut Tally) {
    if ring.push(event).is_err() {
        tally.add(full);
    }
}

const fn loss_phrase(reason: BookLoss) -> &'static str {
    match reason {
        BookLoss::Gap => "book lost: gap in the diffs",
        BookLoss::Disconnected => "book lost: disconnected",
        BookLoss::Overflow => "book lost: too many diffs waited",
        BookLoss::Malformed => "book lost: malformed diff",
        BookLoss::RingFull => "book lost: market ring full",
        BookLoss::Disagreed => "book lost: best prices disagree",
        BookLoss::Crossed => "book lost: crossed for too long",
        BookLoss::OutOfRange => "book lost: beyond the last snapshot",
    }
}
