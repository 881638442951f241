//! Modify requests on the order socket, and how doubt about their outcome ends.
//!
//! A refusal leaves the terms as they were. Without an answer either terms may be in force: the order is asked about, new
//! terms prove that the request worked, and old ones that it did not only when it can no longer arrive.

use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos};
use optiflow_base::ids::OrderId;
use optiflow_base::order::{OrderChange, Terms};
use optiflow_wire::connection::Connection;
use optiflow_wire::transport::Dialer;

use super::answers::CLOCK_SLACK;
use super::core::Core;
use super::pending::Asked;
use super::placing::LocalCode;
use crate::binance::outcome::{Meaning, Outcome, meaning};
use crate::binance::reply::Reply;
use crate::desk::FIRST_QUERY;
use crate::doubt::Doubt;
use crate::order::terms::{Shown, Standing};

impl<C: Clock> Core<C> {
    /// Asks for other terms of one of our resting orders.
    pub(super) fn modify<D: Dialer>(
        &mut self,
        now: Nanos,
        id: OrderId,
        terms: Terms,
        socket: &mut Connection<D>,
    ) -> Result<Nanos, LocalCode> {
        let order = *self.desk.table.get(id).filter(|order| order.can_amend()).ok_or(LocalCode::NotLive)?;
        self.may_risk(now, order.symbol, order.reduce_only)?;
        let number = self.ready(now)?;
        let timestamp = self.time.now_ms(now);
        let frame = self.requests.modify(number, order.symbol, (id, order.side), terms, timestamp);
        socket.send_text(now, frame.map_err(|_| LocalCode::OffGrid)?).map_err(|_| LocalCode::NotSent)?;
        let written = self.clock.now();
        self.pending.sent(Asked::Modify(id), self.line, written);
        self.desk.table.change(id, |order| order.amending(number, terms, written));
        self.desk.reporter.order(written, 0, order.symbol, id, OrderChange::ModifySent);
        Ok(written)
    }

    /// The order socket answered a modify request.
    pub(super) fn on_modified(&mut self, now: Nanos, id: OrderId, request: u64, reply: &Reply) {
        match (reply.outcome, reply.order, reply.code) {
            (Outcome::Accepted, Some(order), _) => {
                let fact = order.status.fact(order.exchange_id, order.executed);
                self.desk.learn(now, order.update_ms, id, fact);
                match order.terms {
                    Some(terms) => self.desk.shown(now, order.update_ms, id, terms, Shown::Reply(request)),
                    None => self.desk.amend_stands(now, id, request, Standing::Answered, Duration::ZERO),
                }
            }
            // "Nothing to modify", or an answer without the order: which terms are in force must be asked.
            (Outcome::Accepted, None, _) => {
                self.desk.amend_stands(now, id, request, Standing::Answered, Duration::ZERO);
            }
            (Outcome::Refused, _, code) => {
                let code = code.unwrap_or_else(|| i32::from(reply.status));
                // Gone, or ended by its own terms, or being modified by somebody else.
                let ask = matches!(meaning(code), Meaning::NotFound | Meaning::Lapsed) || code == CONCURRENT;
                self.desk.amend_refused(now, id, request, code);
                if ask && self.desk.table.get(id).is_some_and(|order| !order.state().is_end()) {
                    self.desk.table.doubt(id, now + REFUSED_QUERY);
                }
            }
            (Outcome::Unknown, _, _) => self.desk.amend_stands(now, id, request, Standing::Lost, FIRST_QUERY),
        }
    }

    /// A question was answered, and it does not show the terms of a modify request without an answer. Is the request's
    /// fate still open? It is until old terms were shown again and again after the request could no longer arrive.
    pub(super) fn is_amend_open(&mut self, now: Nanos, id: OrderId) -> bool {
        let Some(order) = self.desk.table.get(id).filter(|order| order.owes_terms()) else { return false };
        let Some(amend) = order.amend() else { return false };
        let expired = amend.sent + self.recv_window + CLOCK_SLACK;
        let absent = |doubt: &mut Option<Doubt>| doubt.get_or_insert(Doubt::new(now)).absent(now, expired);
        let proven = self.desk.table.change(id, |order| absent(&mut order.doubt)).unwrap_or(false);
        if proven {
            self.desk.amend_refused(now, id, amend.request, LocalCode::Unanswered.code());
        }
        !proven
    }
}

/// "The order is being modified already."
const CONCURRENT: i32 = -5043;
/// From a refusal that says the order is elsewhere to the question: mostly its end is already on its way.
const REFUSED_QUERY: Duration = Duration::from_millis(500);
