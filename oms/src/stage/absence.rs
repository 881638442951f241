//! An order that the exchange says it does not know: what must agree before it counts as never accepted, or forgotten.
//!
//! Queries lag, and lie for seconds. So "not found" has to be heard again and again once the request cannot be on its way
//! any more; then the list of open orders must not show the order, and the position nothing that it would explain. Until
//! all agree it stays exposure. Runs on the oms thread.

use std::time::Duration;

use arrayvec::ArrayString;
use optiflow_base::clock::{Clock, Nanos, nanos_of};
use optiflow_base::ids::OrderId;
use optiflow_base::money::{Qty, Side};
use optiflow_base::rest::RestReply;

use super::answers::CLOCK_SLACK;
use super::calls::{Purpose, symbol_query};
use super::core::Core;
use super::question::NO_SUCH_ORDER;
use super::reconcile::usable;
use crate::binance::truth::{self, PositionTruth};
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
            None if self.desk.table.get(id).is_some_and(|order| order.exchange_id().is_none()) => {
                // When this cannot be asked now, the next "not found" asks.
                self.calls.ask(now, Purpose::IsHeld(id, self.desk.positions.trades()), ArrayString::new());
            }
            None => {
                self.desk.reporter.notice(now, "an order that existed is forgotten; booked as cancelled", counter);
                self.desk.learn(now, 0, id, Fact::Forgotten);
                // What it traded last, if anything, only the position tells.
                self.desk.contradicted = true;
            }
        }
    }

    /// Positions, asked for when so many trades were counted.
    pub(super) fn on_is_held(&mut self, now: Nanos, id: OrderId, trades: u64, reply: &RestReply) {
        let Some(rows) = usable(reply, truth::positions) else { return };
        // After a trade nobody knows on which side of it the answer is: the next "not found" asks again.
        if !self.is_missed(now, id) || self.desk.positions.trades() != trades {
            return;
        }
        let Some(order) = self.desk.table.get(id) else { return };
        let (counter, believed) = (i64::from(id.counter()), self.desk.positions.qty(order.symbol));
        let held = held(&rows, &self.names[order.symbol.index()]);
        let explains = believed.is_some_and(|believed| would_explain(order, believed, held));
        if explains && now.since(order.sent) < nanos_of(EXPLAINED_FOR) {
            self.desk.reporter.notice(now, "an order that is not found may have traded; it stays exposure", counter);
            self.ask_again(now, id);
            return;
        }
        self.desk.reporter.notice(now, "an order without an answer is not there; booked as refused", counter);
        self.desk.learn(now, 0, id, Fact::Absent { code: NO_SUCH_ORDER });
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

/// What is held of a symbol, in an answer on positions.
pub(super) fn held(rows: &[PositionTruth], name: &str) -> Qty {
    let row = rows.iter().find(|row| row.symbol == name && !row.hedged);
    row.map_or(Qty::ZERO, |row| row.qty)
}

/// Is more held than we believe, on the side of the order? How much says nothing: others may not be found either.
fn would_explain(order: &Order, believed: Qty, held: Qty) -> bool {
    match order.side {
        Side::Buy => held > believed,
        Side::Sell => held < believed,
    }
}

/// A difference that lasts longer is not of this order, or of one whose fate will not be told: the position is adopted.
const EXPLAINED_FOR: Duration = Duration::from_secs(30);
