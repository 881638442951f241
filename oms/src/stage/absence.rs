//! An order that the exchange says it does not know: what must agree before it counts as never accepted, or forgotten.
//!
//! Queries lag, and lie for seconds. So "not found" has to be heard again and again once the request cannot be on its way
//! any more; then the list of open orders must not show the order, and the account's trades none that may be its. Until all
//! agree it stays exposure. Runs on the oms thread.

use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos, nanos_of};
use optiflow_base::ids::OrderId;
use optiflow_base::rest::RestReply;

use super::answers::CLOCK_SLACK;
use super::calls::{Purpose, symbol_query};
use super::core::Core;
use super::question::NO_SUCH_ORDER;
use super::reconcile::{TRADES_PAGE, TRADES_SPAN_MS, usable};
use crate::binance::truth::{self, TradeTruth};
use crate::doubt::Doubt;
use crate::order::{Fact, Order, State};

impl<C: Clock> Core<C> {
    /// The exchange does not know the order: proof only after a while, and only after a long one if it was confirmed.
    pub(super) fn on_not_found(&mut self, now: Nanos, id: OrderId) {
        let window = self.recv_window + CLOCK_SLACK;
        let Some(order) = self.desk.table.get(id) else { return };
        let (state, vouched, expired) = (order.state(), order.vouched, order.sent + window);
        let proven = self.desk.table.change(id, |order| match (state, order.doubt.as_mut()) {
            (_, None) => false,
            (State::Unknown, Some(doubt)) if !vouched => doubt.absent(now, expired),
            (State::Sending, Some(doubt)) => {
                doubt.again(now);
                false
            }
            (_, Some(doubt)) => doubt.forgotten(now),
        });
        let counter = i64::from(id.counter());
        match (state, proven.unwrap_or(false)) {
            (State::Unknown, false) if !vouched => {}
            (State::Sending, _) => {}
            (_, false) => {
                self.desk.reporter.notice(now, "an order that exists is not found; it stays exposure", counter);
            }
            (_, true) => self.ask_whether_listed(now, id),
        }
    }

    /// When this cannot be asked now, the next "not found" asks.
    fn ask_whether_listed(&mut self, now: Nanos, id: OrderId) {
        if let Some(order) = self.desk.table.get(id) {
            let query = symbol_query(&self.names[order.symbol.index()], format_args!(""));
            self.calls.ask(now, Purpose::IsListed(id), query);
        }
    }

    pub(super) fn on_is_listed(&mut self, now: Nanos, id: OrderId, reply: &RestReply) {
        let Some(rows) = usable(reply, truth::orders) else { return };
        if !self.is_missed(now, id) {
            return;
        }
        let counter = i64::from(id.counter());
        match rows.iter().find(|row| OrderId::parse(row.client.as_bytes()) == Some(id)) {
            Some(row) => {
                self.desk.reporter.notice(
                    now,
                    "an order that is not found is listed as open; it stays exposure",
                    counter,
                );
                self.desk.learn(now, 0, id, row.status.fact(row.exchange_id, row.executed));
                self.answer_question(now, id);
            }
            None if self.is_unconfirmed(id) => self.ask_whether_traded(now, id),
            None => {
                self.desk.reporter.notice(now, "an order that existed is forgotten; booked as cancelled", counter);
                self.desk.learn(now, 0, id, Fact::Forgotten);
                // What it traded last, if anything, only the position tells.
                self.desk.contradicted = true;
            }
        }
    }

    /// When this cannot be asked now, the next "not found" asks. What nobody has told for long will not be told: then the
    /// position alone says what is held.
    fn ask_whether_traded(&mut self, now: Nanos, id: OrderId) {
        let Some(order) = self.desk.table.get(id) else { return };
        // After a death the orders that traded meanwhile, and have ended, are as unknown as somebody else's.
        if order.former || order.doubt.is_some_and(|doubt| doubt.absent_for(now) >= nanos_of(SUSPECTED_FOR)) {
            return self.give_up(now, id);
        }
        let earliest = self.time.now_ms(now).saturating_sub(TRADES_SPAN_MS);
        // Nothing earlier is its, however little: what a session before this one traded is unknown here as well.
        let since = self.time.now_ms(order.sent).max(earliest);
        let name = &self.names[order.symbol.index()];
        let query = symbol_query(name, format_args!("&startTime={since}&limit={TRADES_PAGE}"));
        self.calls.ask(now, Purpose::HasTraded(id), query);
    }

    /// The account's trades since the order was sent.
    pub(super) fn on_has_traded(&mut self, now: Nanos, id: OrderId, reply: &RestReply) {
        let Some(rows) = usable(reply, |body| truth::trades(body, &self.margin_asset)) else { return };
        if !(self.is_missed(now, id) && self.is_unconfirmed(id)) {
            return;
        }
        let Some(order) = self.desk.table.get(id) else { return };
        let (symbol, side) = (order.symbol, order.side);
        let may_be_its =
            |row: &TradeTruth| row.side == side && self.desk.table.by_exchange_id(symbol, row.order).is_none();
        if !rows.iter().any(may_be_its) {
            return self.give_up(now, id);
        }
        let counter = i64::from(id.counter());
        self.desk.reporter.notice(now, "an order that is not found may have traded; it stays exposure", counter);
        self.desk.table.change(id, |order| order.doubt.as_mut().map(|doubt| doubt.put_off(now + SUSPECTED_PAUSE)));
    }

    fn give_up(&mut self, now: Nanos, id: OrderId) {
        let counter = i64::from(id.counter());
        self.desk.reporter.notice(now, "an order without an answer is not there; booked as refused", counter);
        self.desk.learn(now, 0, id, Fact::Absent { code: NO_SUCH_ORDER });
    }

    /// Has nothing ever shown the order?
    fn is_unconfirmed(&self, id: OrderId) -> bool {
        self.desk.table.get(id).is_some_and(|order| order.exchange_id().is_none())
    }

    /// Has the order not been found for so long that it may be given up?
    fn is_missed(&self, now: Nanos, id: OrderId) -> bool {
        let missed = |order: &Order| {
            let new = order.state() == State::Unknown && !order.vouched;
            let proven = |doubt: Doubt| if new { doubt.is_absent(now) } else { doubt.is_forgotten(now) };
            !order.state().is_end() && order.doubt.is_some_and(proven)
        };
        self.desk.table.get(id).is_some_and(missed)
    }
}

/// A trade of an order that we do not know keeps an order in doubt for so long from the first "not found" on: it may be
/// somebody else's.
const SUSPECTED_FOR: Duration = Duration::from_secs(30);
/// To the next question meanwhile.
const SUSPECTED_PAUSE: Duration = Duration::from_secs(2);
