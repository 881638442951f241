//! The answers that reconciliation waits for, and what they make of what we believed.

use optiflow_base::clock::{Clock, Nanos};
use optiflow_base::ids::{ORDER_PREFIX, OrderId, SymbolId};
use optiflow_base::money::{Price, Qty};
use optiflow_base::order::Report;
use optiflow_base::rest::RestReply;

use super::{Asked, LIST_AGAIN, Step, TRADES_PAGE, Whose, symbol_at, usable};
use crate::binance::truth::{self, OrderTruth, TradeTruth};
use crate::order::Fact;
use crate::order::terms::Shown;
use crate::stage::calls::Purpose;
use crate::stage::core::Core;

impl<C: Clock> Core<C> {
    /// An answer to one of the questions above.
    pub(in crate::stage) fn on_reconcile_answer(&mut self, now: Nanos, purpose: Purpose, reply: &RestReply) {
        let usable = match (purpose, self.reconcile.step) {
            (Purpose::OpenOrders(symbol), Step::Listing) => self.on_open_orders(now, symbol, reply),
            (Purpose::AllOpenOrders, Step::Listing) => self.on_all_open_orders(now, reply),
            (Purpose::Catalogue(symbol), Step::Catalogue) => self.on_catalogue(now, symbol, reply),
            (Purpose::Trades(symbol), Step::Trades) => self.on_trades(now, symbol, reply),
            (Purpose::Positions, Step::Account) => self.on_positions(now, reply),
            (Purpose::Balance, Step::Account) => self.on_balance(now, reply),
            (Purpose::CancelOne, Step::Cleaning) => {
                // Whatever it says: the next list tells whether the order is gone.
                self.reconcile.cancels_on_their_way = self.reconcile.cancels_on_their_way.saturating_sub(1);
                true
            }
            _ => return,
        };
        if usable {
            self.reconcile.failures = 0;
        } else {
            self.reconcile.failed(now);
            self.desk.reporter.notice(now, "reconciling: no usable answer, asking again", reply.status.into());
            self.reconcile_again(purpose);
        }
    }

    fn reconcile_again(&mut self, purpose: Purpose) {
        match purpose {
            Purpose::OpenOrders(symbol) | Purpose::Catalogue(symbol) | Purpose::Trades(symbol) => {
                if let Some(asked) = self.reconcile.asked.get_mut(symbol.index()) {
                    *asked = Asked::Todo;
                }
            }
            Purpose::AllOpenOrders => self.reconcile.everywhere = Asked::Todo,
            Purpose::Positions => self.reconcile.positions = Asked::Todo,
            Purpose::Balance => self.reconcile.wallet = Asked::Todo,
            Purpose::Time
            | Purpose::ListenKey
            | Purpose::KeepAlive
            | Purpose::Query(_)
            | Purpose::OrderTrades(..)
            | Purpose::IsListed(_)
            | Purpose::HasTraded(_)
            | Purpose::Place(_)
            | Purpose::Cancel(_)
            | Purpose::CheckOrders(_)
            | Purpose::CheckPositions
            | Purpose::CancelOne
            | Purpose::CancelAll(_)
            | Purpose::Wind(_)
            | Purpose::LetDown(_) => {}
        }
    }

    fn on_open_orders(&mut self, now: Nanos, symbol: SymbolId, reply: &RestReply) -> bool {
        let Some(rows) = usable(reply, truth::orders) else { return false };
        self.take_open_orders(now, rows);
        self.reconcile.asked[symbol.index()] = Asked::Done;
        true
    }

    /// The first list is of all symbols: an earlier session may have left orders in one that is no longer configured.
    /// It is asked for again only until it shows none of those.
    fn on_all_open_orders(&mut self, now: Nanos, reply: &RestReply) -> bool {
        let Some(rows) = usable(reply, truth::orders) else { return false };
        self.take_open_orders(now, rows);
        let abroad = |(symbol, _): &(String, String)| !self.names.iter().any(|name| name.as_str() == symbol);
        let elsewhere = self.reconcile.leftovers.iter().filter(|row| abroad(row)).count();
        if elsewhere > 0 {
            let count = i64::try_from(elsewhere).unwrap_or(i64::MAX);
            self.desk.reporter.notice(now, "leftover orders in symbols that are not configured", count);
        }
        self.reconcile.everywhere = Asked::Done;
        self.reconcile.nothing_elsewhere = elsewhere == 0;
        true
    }

    fn take_open_orders(&mut self, now: Nanos, rows: Vec<OrderTruth>) {
        let mut strangers = 0;
        for row in rows {
            if let Some(symbol) = self.symbol(&row.symbol) {
                // Without room it is a leftover now, and found again in the list of all orders.
                self.adopt_former(now, symbol, &row);
            }
            match self.whose(&row) {
                Whose::Followed(id) => {
                    self.desk.learn(now, 0, id, row.status.fact(row.exchange_id, row.executed));
                    self.desk.shown(now, row.update_ms, id, row.terms, Shown::Query);
                    self.reconcile.listed.push(id);
                    self.answer_question(now, id);
                    if self.desk.table.get(id).is_some_and(|order| order.former) {
                        self.reconcile.leftovers.push_back((row.symbol, row.client));
                    }
                }
                Whose::Leftover => self.reconcile.leftovers.push_back((row.symbol, row.client)),
                Whose::Stranger => strangers += 1,
            }
        }
        if strangers > 0 {
            self.desk.reporter.notice(now, "orders of somebody else are open and left alone", strangers);
        }
    }

    /// Whose is an open order?
    pub(in crate::stage) fn whose(&self, row: &OrderTruth) -> Whose {
        if !row.client.starts_with(ORDER_PREFIX) {
            return Whose::Stranger;
        }
        match OrderId::parse(row.client.as_bytes()) {
            Some(id) if self.desk.table.get(id).is_some_and(|order| !order.state().is_end()) => Whose::Followed(id),
            // Of an earlier session, or one that we take to have ended: it must not stay.
            Some(_) => Whose::Leftover,
            // Our prefix on somebody else's order: not ours to touch.
            None => Whose::Stranger,
        }
    }

    fn on_trades(&mut self, now: Nanos, symbol: SymbolId, reply: &RestReply) -> bool {
        let Some(rows) = usable(reply, |body| truth::trades(body, &self.margin_asset)) else { return false };
        for row in &rows {
            self.on_trade(now, symbol, row);
        }
        let last = rows.iter().map(|row| row.fill.trade).max();
        let known = &mut self.reconcile.trades_known[symbol.index()];
        *known = last.or(*known);
        let more = rows.len() >= TRADES_PAGE && last.is_some();
        self.reconcile.asked[symbol.index()] = if more { Asked::Todo } else { Asked::Done };
        true
    }

    /// A trade that a query shows; booked unless it was.
    pub(in crate::stage) fn on_trade(&mut self, now: Nanos, symbol: SymbolId, row: &TradeTruth) {
        match self.desk.table.by_exchange_id(symbol, row.order) {
            Some(id) => {
                let fact = Fact::Traded { exchange_id: row.order, fill: row.fill };
                if !row.fee_in_margin {
                    self.desk.reporter.notice(now, "fee was taken in another asset and is not counted", 0);
                }
                self.desk.learn(now, row.trade_ms, id, fact);
            }
            None => self.desk.foreign_fill(now, row.trade_ms, symbol, row.side, &row.fill),
        }
    }

    fn on_positions(&mut self, now: Nanos, reply: &RestReply) -> bool {
        let Some(rows) = usable(reply, truth::positions) else { return false };
        let mut held = vec![(Qty::ZERO, Price::ZERO); self.names.len()];
        for row in rows {
            let Some(symbol) = self.symbol(&row.symbol) else { continue };
            if row.hedged && !row.qty.is_zero() {
                self.fail(now, "the account is in hedge mode: switch it to one-way mode");
                return true;
            }
            if !row.hedged {
                held[symbol.index()] = (row.qty, row.entry);
            }
        }
        if self.desk.positions.trades() != self.reconcile.trades_then {
            // A trade came while the answer was on its way: nobody knows on which side of it the answer is. Who trades
            // all the time must not make us ask all the time.
            self.reconcile.positions = Asked::Todo;
            self.reconcile.resume_at = now + LIST_AGAIN;
            return true;
        }
        let believed = |(index, (qty, _)): (usize, &(Qty, Price))| {
            self.desk.positions.qty(symbol_at(index)).is_none_or(|belief| belief == *qty)
        };
        let agrees = held.iter().enumerate().all(believed);
        if !agrees && self.reconcile.doubted.as_ref() != Some(&held) {
            // Queries can lag behind, and a trade may be known there that nobody has told us yet: who adopts its result
            // counts it once more when it comes. A difference counts when it is told twice, and trades asked for in
            // between do not explain it.
            self.reconcile.doubted = Some(held);
            if self.reconcile.has_ever_succeeded() {
                self.reconcile.enter(Step::Trades);
            }
            self.reconcile.positions = Asked::Todo;
            self.reconcile.resume_at = now + LIST_AGAIN;
            return true;
        }
        if !agrees {
            self.desk.reporter.notice(now, "position was not what we believed; the exchange's is adopted", 0);
        }
        for (index, (qty, entry)) in held.into_iter().enumerate() {
            let report = self.desk.positions.adopt(now, symbol_at(index), qty, entry);
            self.desk.adopt_position(report);
        }
        self.desk.positions.answered(self.time.now_ms(reply.received));
        self.reconcile.positions = Asked::Done;
        true
    }

    fn on_balance(&mut self, now: Nanos, reply: &RestReply) -> bool {
        let Some(found) = usable(reply, |body| truth::balance(body, &self.margin_asset)) else { return false };
        if found.is_none() {
            self.desk.reporter.notice(now, "the account holds nothing of the margin asset", 0);
        }
        self.desk.reporter.send(Report::Wallet { balance: found.unwrap_or_default(), at: now });
        self.reconcile.wallet = Asked::Done;
        true
    }
}
