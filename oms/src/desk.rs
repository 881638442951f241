//! The desk: where facts about orders become changes of the table, of positions and of what others are told.
//!
//! The one way in for facts, whoever brings them. Never talks to the exchange. Runs on the oms thread.

use std::time::Duration;

use optiflow_base::clock::Nanos;
use optiflow_base::ids::{OrderId, SymbolId};
use optiflow_base::money::Side;
use optiflow_base::order::{OrderChange, Report, Terms};

use crate::order::terms::{Shown, Standing};
use crate::order::{Fact, Fill, Oddity, Order, State};
use crate::positions::Positions;
use crate::report::Reporter;
use crate::table::Table;

/// Orders, positions and the way back.
pub struct Desk {
    /// All orders of the session.
    pub table: Table,
    /// What we hold.
    pub positions: Positions,
    /// The way back.
    pub reporter: Reporter,
    /// Something does not fit: the exchange must be asked for everything.
    pub contradicted: bool,
}

impl Desk {
    /// An empty desk for this many symbols.
    pub fn new(symbols: usize, reporter: Reporter) -> Desk {
        Desk { table: Table::new(symbols), positions: Positions::new(symbols), reporter, contradicted: false }
    }

    /// Lets an order learn a fact and tells everyone what follows. Facts about orders we do not have are ignored.
    pub fn learn(&mut self, now: Nanos, exchange_ms: u64, id: OrderId, fact: Fact) {
        let known = self.table.get(id).map(|order| (order.symbol, order.side, order.former));
        let Some((symbol, side, former)) = known else { return };
        let Some(effects) = self.table.learn(id, fact) else { return };
        for change in effects.changes {
            self.tell(now, exchange_ms, symbol, id, former, change);
            if let OrderChange::Filled { price, qty, .. } = change {
                let report = if effects.counted {
                    // Readers have just counted it once more: they are told what it is.
                    self.positions.restate(now, symbol)
                } else if former {
                    self.positions.foreign_trade(now, exchange_ms, symbol, side.signed(qty), price)
                } else {
                    self.positions.own_trade(now, exchange_ms, symbol, side.signed(qty), price)
                };
                self.adopt_position(report);
            }
        }
        if let Some(odd) = effects.odd {
            self.reporter.notice(now, odd.phrase(), i64::from(id.counter()));
            self.contradicted |= match odd {
                Oddity::DeniedButAlive | Oddity::AliveButRefused | Oddity::EndsDiffer | Oddity::Absurd => true,
                // What traded after its end may not have ended.
                Oddity::LateFill => true,
                Oddity::Overfilled => false,
            };
        }
        self.table.change(id, |order| question(now, order));
    }

    /// Tells everyone who knows the order. What a former session sent is known to storage alone: the others hear of the
    /// position that it leaves.
    fn tell(&mut self, now: Nanos, ms: u64, symbol: SymbolId, id: OrderId, former: bool, change: OrderChange) {
        if former {
            self.reporter.keep_order(now, ms, symbol, id, change);
        } else {
            self.reporter.order(now, ms, symbol, id, change);
        }
    }

    /// A request has no usable answer: whether the order lives must be asked.
    pub fn unanswered(&mut self, now: Nanos, id: OrderId, patience: Duration) {
        self.table.doubt(id, now + patience);
        self.learn(now, 0, id, Fact::Unanswered);
    }

    /// A cancel came to nothing: whoever asked may ask again, and the order is looked up.
    pub fn cancel_refused(&mut self, now: Nanos, id: OrderId, code: i32) {
        let Some(order) = self.table.get(id) else { return };
        let (symbol, ended, former) = (order.symbol, order.state().is_end(), order.former);
        self.table.change(id, |order| order.cancelling = false);
        self.tell(now, 0, symbol, id, former, OrderChange::CancelRefused { code });
        if !ended {
            self.table.doubt(id, now + CANCEL_QUERY);
        }
    }

    /// The exchange shows an order's terms, as they were at `at_ms` of its time.
    pub fn shown(&mut self, now: Nanos, at_ms: u64, id: OrderId, terms: Terms, how: Shown) {
        let Some((symbol, former)) = self.table.get(id).map(|order| (order.symbol, order.former)) else { return };
        let Some(change) = self.table.change(id, |order| order.shown(terms, at_ms, how)).flatten() else { return };
        if let OrderChange::Modified { asked: false, .. } = change {
            self.reporter.notice(now, "order was modified, and nobody here waits for that", i64::from(id.counter()));
        }
        self.tell(now, at_ms, symbol, id, former, change);
    }

    /// A modify request has no answer of use: either terms may be in force until the exchange was asked.
    pub fn amend_stands(&mut self, now: Nanos, id: OrderId, request: u64, standing: Standing, patience: Duration) {
        if self.table.change(id, |order| order.amend_stands(request, standing)) == Some(true) {
            self.table.doubt(id, now + patience);
        }
    }

    /// A modify request came to nothing: the terms stay as they are known.
    pub fn amend_refused(&mut self, now: Nanos, id: OrderId, request: u64, code: i32) {
        let Some(symbol) = self.table.get(id).map(|order| order.symbol) else { return };
        if self.table.change(id, |order| order.amend_refused(request)) == Some(true) {
            self.reporter.order(now, 0, symbol, id, OrderChange::ModifyRefused { code });
        }
    }

    /// A trade in our account, at `at_ms` of the exchange's time, that is none of our orders': it changes the position all
    /// the same, once.
    pub fn foreign_fill(&mut self, now: Nanos, at_ms: u64, symbol: SymbolId, side: Side, fill: &Fill) {
        if !fill.is_possible() {
            self.reporter.notice(now, Oddity::Absurd.phrase(), i64::try_from(fill.trade.0).unwrap_or(i64::MAX));
            self.contradicted = true;
            return;
        }
        if !self.table.book_foreign(symbol, fill.trade) {
            return;
        }
        self.reporter.notice(now, "trade that is not of this session", i64::try_from(fill.trade.0).unwrap_or(i64::MAX));
        let report = self.positions.foreign_trade(now, at_ms, symbol, side.signed(fill.qty), fill.price);
        self.adopt_position(report);
    }

    /// The exchange's word on a position, after asking.
    pub fn adopt_position(&mut self, report: Option<Report>) {
        if let Some(report) = report {
            self.reporter.send(report);
        }
    }
}

/// What an order's new standing means for the question about it.
fn question(now: Nanos, order: &mut Order) {
    if order.misses_fills() {
        order.doubt.get_or_insert(crate::doubt::Doubt::new(now + FILLS_PATIENCE));
    } else if order.state().is_end() {
        order.doubt = None;
    } else if order.state() == State::Unknown {
        order.doubt.get_or_insert(crate::doubt::Doubt::new(now + FIRST_QUERY));
    }
}

/// From a missing answer to the first query: the user stream often brings the truth by then.
pub const FIRST_QUERY: Duration = Duration::from_millis(100);
/// From a lost socket to the first query: after a quick reconnect one list of open orders answers for all.
pub const LOST_QUERY: Duration = Duration::from_secs(1);
/// From a refused cancel to the query: mostly the order's end is already on its way.
const CANCEL_QUERY: Duration = Duration::from_millis(500);
/// How long fills that the exchange counts may stay away before they are fetched.
const FILLS_PATIENCE: Duration = Duration::from_secs(1);
