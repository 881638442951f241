//! One question about one order, where does it stand: asked on the order socket where that is up, else by REST.
//!
//! Both ways give the same answers, and an answer on the socket that is of no use is asked for again by REST at once.

use optiflow_base::clock::{Clock, Nanos};
use optiflow_base::ids::OrderId;
use optiflow_base::order::Terms;
use optiflow_base::rest::RestReply;
use optiflow_wire::connection::Connection;
use optiflow_wire::transport::Dialer;

use super::calls::{Purpose, symbol_query};
use super::core::Core;
use super::pending::Asked;
use super::reconcile::usable;
use super::weighing::STATUS_WEIGHT;
use crate::binance::outcome::{Outcome, classify};
use crate::binance::reply::Reply;
use crate::binance::truth::{self, Status};
use crate::order::Fact;
use crate::order::terms::Shown;

impl<C: Clock> Core<C> {
    /// Asks on the order socket; false when it takes no requests now.
    pub(super) fn ask_status<D: Dialer>(&mut self, now: Nanos, id: OrderId, socket: &mut Connection<D>) -> bool {
        if self.owes_answers {
            return false;
        }
        let Some(symbol) = self.desk.table.get(id).map(|order| order.symbol) else { return false };
        let Ok(number) = self.ready(now) else { return false };
        let Ok(frame) = self.requests.status(number, symbol, id, self.time.now_ms(now)) else { return false };
        let sent = socket.send_text(now, frame).is_ok();
        if sent {
            self.pending.sent(Asked::Status(id), self.line, now);
            self.weighs(now, STATUS_WEIGHT);
        }
        sent
    }

    /// Asks by REST; false when nothing can be asked now.
    pub(super) fn query(&mut self, now: Nanos, id: OrderId) -> bool {
        let Some(order) = self.desk.table.get(id) else { return false };
        let query = symbol_query(&self.names[order.symbol.index()], format_args!("&origClientOrderId={id}"));
        self.calls.ask(now, Purpose::Query(id), query)
    }

    /// The socket gave no usable answer: the same question by REST, now.
    pub(super) fn query_instead(&mut self, now: Nanos, id: OrderId) {
        let open = self.desk.table.get(id).is_some_and(|order| order.doubt.is_some());
        if open && !self.query(now, id) {
            self.ask_again(now, id);
        }
    }

    /// The order socket answered.
    pub(super) fn on_status(&mut self, now: Nanos, id: OrderId, reply: &Reply) {
        match (reply.outcome, reply.order, reply.code) {
            (Outcome::Accepted, Some(order), _) => {
                let fact = order.status.fact(order.exchange_id, order.executed);
                let terms = order.terms.map(|terms| (terms, order.update_ms));
                self.on_standing(now, id, order.status, fact, terms);
            }
            (Outcome::Refused, _, Some(NO_SUCH_ORDER)) => self.on_not_found(now, id),
            (Outcome::Accepted | Outcome::Refused | Outcome::Unknown, _, _) => self.query_instead(now, id),
        }
    }

    /// REST answered.
    pub(super) fn on_order_query(&mut self, now: Nanos, id: OrderId, reply: &RestReply, error: &truth::ErrorTruth) {
        let refused = classify(reply.status, error.code, &error.text) == Outcome::Refused;
        if let Some(row) = usable(reply, truth::order) {
            let fact = row.status.fact(row.exchange_id, row.executed);
            self.on_standing(now, id, row.status, fact, Some((row.terms, row.update_ms)));
        } else if refused && error.code == Some(NO_SUCH_ORDER) {
            self.on_not_found(now, id);
        } else {
            self.ask_again(now, id);
        }
    }

    fn on_standing(&mut self, now: Nanos, id: OrderId, status: Status, fact: Fact, terms: Option<(Terms, u64)>) {
        self.desk.learn(now, 0, id, fact);
        if let Some((terms, at_ms)) = terms {
            self.desk.shown(now, at_ms, id, terms, Shown::Query);
        }
        if status == Status::Other {
            self.desk.reporter.notice(now, "order status is not known; taken to live", i64::from(id.counter()));
            self.ask_again(now, id);
        } else if !self.is_amend_open(now, id) {
            self.answer_question(now, id);
        }
    }
}

/// "Order does not exist."
pub const NO_SUCH_ORDER: i32 = -2013;
