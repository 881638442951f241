//! Cancels and exits by REST, while no order socket can send: a position must not wait for a connection.
//!
//! Never sends what opens risk, nothing twice and nothing that a socket has taken. An order that leaves here is good as
//! long as one on a socket, however long the calls before it take, so that its absence is proven in the same way; an
//! answer is read by the same table, and without one it is asked about like any other.
//! Runs on the oms thread; the call itself is made by the thread of the REST client.

use optiflow_base::clock::{Clock, Nanos};
use optiflow_base::ids::{OrderId, SymbolId};
use optiflow_base::order::{NewOrder, OrderChange};
use optiflow_base::rest::{NOT_SENT, RestReply};

use super::calls::{Purpose, symbol_query};
use super::core::Core;
use super::placing::LocalCode;
use super::reconcile::usable;
use crate::binance::outcome::{Outcome, classify};
use crate::binance::reply::{OrderState, Reply};
use crate::binance::request::PlaceQuery;
use crate::binance::truth::{self, ErrorTruth, OrderTruth};

impl<C: Clock> Core<C> {
    /// An order did not leave on a socket: by REST, if it reduces and no socket can send; else it is refused.
    #[cold]
    pub(super) fn place_otherwise(&mut self, now: Nanos, symbol: SymbolId, order: &NewOrder, local: LocalCode) {
        let left = if local == LocalCode::NotSent { self.place_by_rest(now, symbol, order) } else { Err(local) };
        let change = left.map_or_else(|local| OrderChange::Refused { code: local.code() }, |()| OrderChange::Sent);
        self.desk.reporter.order(now, 0, symbol, order.id, change);
    }

    /// A cancel did not leave on a socket: by REST, if no socket can send; else it is refused.
    #[cold]
    pub(super) fn cancel_otherwise(&mut self, now: Nanos, symbol: SymbolId, id: OrderId, local: LocalCode) {
        let left = if local == LocalCode::NotSent { self.cancel_by_rest(now, id) } else { Err(local) };
        let refused = |local: LocalCode| OrderChange::CancelRefused { code: local.code() };
        let change = left.map_or_else(refused, |()| OrderChange::CancelSent);
        self.desk.reporter.order(now, 0, symbol, id, change);
    }

    fn place_by_rest(&mut self, now: Nanos, symbol: SymbolId, order: &NewOrder) -> Result<(), LocalCode> {
        if !order.reduce_only {
            return Err(LocalCode::NotSent);
        }
        self.may_call(now)?;
        if !self.desk.table.has_room(order.id) {
            return Err(LocalCode::NoRoom);
        }
        let window_ms = u64::try_from(self.recv_window.as_millis()).unwrap_or(u64::MAX);
        let until_ms = self.time.now_ms(now).saturating_add(window_ms);
        let query = symbol_query(&self.names[symbol.index()], format_args!("{}", PlaceQuery(order)));
        if !self.calls.place(now, order.id, query, until_ms) {
            return Err(LocalCode::NotSent);
        }
        let inserted = self.desk.table.insert(symbol, order, now);
        assert!(inserted, "there was room for it");
        Ok(())
    }

    fn cancel_by_rest(&mut self, now: Nanos, id: OrderId) -> Result<(), LocalCode> {
        let order = self.desk.table.get(id).filter(|order| !order.state().is_end() && !order.cancelling);
        let symbol = order.ok_or(LocalCode::NotLive)?.symbol;
        self.may_call(now)?;
        let query = symbol_query(&self.names[symbol.index()], format_args!("&origClientOrderId={id}"));
        if !self.calls.ask(now, Purpose::Cancel(id), query) {
            return Err(LocalCode::NotSent);
        }
        self.desk.table.change(id, |order| order.cancelling = true);
        Ok(())
    }

    fn may_call(&self, now: Nanos) -> Result<(), LocalCode> {
        // A key that was refused is not shown again and again; a countdown that is no longer renewed ends what rests.
        if self.trouble.is_some() {
            return Err(LocalCode::NotSent);
        }
        if now < self.silent_until { Err(LocalCode::Blocked) } else { Ok(()) }
    }
}

/// The answer, as the order socket would have given it.
pub fn read(reply: &RestReply, error: &ErrorTruth) -> Reply {
    let seen = classify(reply.status, error.code, &error.text);
    // A client that must keep silent answers in the same moment, and nobody is quoted.
    let silent = seen == Outcome::Refused && reply.body.is_empty() && reply.sent == reply.received;
    let never_left = silent || reply.status == NOT_SENT;
    let (outcome, code) =
        if never_left { (Outcome::Refused, Some(LocalCode::NotSent.code())) } else { (seen, error.code) };
    let order = usable(reply, truth::order).map(|row: OrderTruth| OrderState {
        exchange_id: row.exchange_id,
        status: row.status,
        executed: row.executed,
        terms: None,
        update_ms: row.update_ms,
    });
    Reply {
        id: None,
        status: reply.status,
        code,
        outcome,
        order,
        usage: reply.usage,
        retry_at_ms: None,
        retry_in_ms: None,
    }
}
