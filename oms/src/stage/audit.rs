//! A look at everything although nothing seems wrong: open orders and positions, now and then, while we agree.
//!
//! A user stream that has gone silent while orders rest tells of no fill, and nothing else would say so. What is seen
//! changes nothing; two looks in a row that differ from what we believe mean that the stream cannot be trusted, and then it
//! is connected again and everything is compared. Runs on the oms thread.

use std::time::Duration;

use arrayvec::ArrayString;
use optiflow_base::clock::{Clock, Nanos, nanos_of};
use optiflow_base::ids::{OrderId, SymbolId};
use optiflow_base::money::Qty;
use optiflow_base::rest::RestReply;

use super::calls::{Purpose, symbol_query};
use super::core::Core;
use super::reconcile::{Whose, symbol_at, usable};
use crate::binance::truth::{self, OrderTruth};
use crate::order::Order;

/// When to look, and what the looks showed.
#[derive(Debug)]
pub struct Audit {
    due: Nanos,
    /// Symbols that have been asked about in this look.
    asked: usize,
    /// Trades counted when positions were asked for.
    trades_then: u64,
    /// Something differs in this look; something did in the one before.
    differs: bool,
    differed: bool,
}

impl Audit {
    /// The first look is due a while after `now`.
    pub fn new(now: Nanos) -> Audit {
        Audit { due: now + LOOK_EVERY, asked: 0, trades_then: 0, differs: false, differed: false }
    }
}

impl<C: Clock> Core<C> {
    /// Looks when that is due; every agreement puts it off.
    pub(super) fn look_after_audit(&mut self, now: Nanos) {
        if !self.reconcile.is_done() || !self.is_connected() {
            self.audit = Audit::new(now);
            return;
        }
        if now < self.audit.due {
            return;
        }
        while let Some(name) = self.names.get(self.audit.asked) {
            let symbol = symbol_at(self.audit.asked);
            if !self.calls.ask(now, Purpose::CheckOrders(symbol), symbol_query(name, format_args!(""))) {
                return;
            }
            self.audit.asked += 1;
        }
        if self.calls.ask(now, Purpose::CheckPositions, ArrayString::new()) {
            let (due, trades_then) = (now + LOOK_EVERY, self.desk.positions.trades());
            self.audit = Audit { due, asked: 0, trades_then, ..self.audit };
        }
    }

    /// What is open in a symbol.
    pub(super) fn on_checked_orders(&mut self, now: Nanos, symbol: SymbolId, reply: &RestReply) {
        if let Some(rows) = usable(reply, truth::orders) {
            self.audit.differs |= self.orders_differ(now, symbol, &rows);
        }
    }

    /// Is an order open there that has ended here, has one traded more, or is one missing that nobody asks about?
    fn orders_differ(&self, now: Nanos, symbol: SymbolId, rows: &[OrderTruth]) -> bool {
        let differs = |row: &OrderTruth| match self.whose(row) {
            Whose::Followed(id) => self.desk.table.get(id).is_some_and(|order| row.executed > order.booked()),
            Whose::Leftover => true,
            Whose::Stranger => false,
        };
        let is_listed = |id: OrderId| rows.iter().any(|row| OrderId::parse(row.client.as_bytes()) == Some(id));
        let is_missing = |order: &Order| {
            let old = order.exchange_id().is_some() && now.since(order.sent) >= nanos_of(LISTED_AFTER);
            order.symbol == symbol && old && order.doubt.is_none() && !is_listed(order.id)
        };
        rows.iter().any(differs) || self.desk.table.live().any(is_missing)
    }

    /// What is held; the last answer of a look.
    pub(super) fn on_checked_positions(&mut self, now: Nanos, reply: &RestReply) {
        let Some(rows) = usable(reply, truth::positions) else { return };
        if self.desk.positions.trades() == self.audit.trades_then {
            let held = |name: &str| {
                let row = rows.iter().find(|row| row.symbol == name && !row.hedged);
                row.map_or(Qty::ZERO, |row| row.qty)
            };
            let differs = |(index, name): (usize, &optiflow_base::ids::SymbolName)| {
                self.desk.positions.qty(symbol_at(index)).is_some_and(|believed| believed != held(name))
            };
            self.audit.differs |= self.names.iter().enumerate().any(differs);
        }
        let differs = std::mem::take(&mut self.audit.differs);
        let again = std::mem::replace(&mut self.audit.differed, differs);
        if !differs || self.stopping.is_some() || !self.reconcile.is_done() {
            return;
        }
        if !again {
            // An event may be on its way.
            self.audit.due = now + LOOK_AGAIN;
            return;
        }
        self.desk.reporter.notice(now, "the exchange shows what the user stream did not tell: connecting again", 0);
        self.desk.contradicted = true;
        self.connect_stream_again(now);
    }
}

/// From an agreement, or one look, to the next: its weight is six for one symbol.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// From a look that differs to the one that decides: longer than events are usually late.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// An order that is younger need not be listed yet.
const LISTED_AFTER: Duration = Duration::from_secs(5);
