//! Other terms for open orders: sent, accepted or refused. Nothing else amends orders here, and no request is in doubt.

use optiflow_base::clock::Nanos;
use optiflow_base::ids::OrderId;
use optiflow_base::log::Span;
use optiflow_base::money::Qty;
use optiflow_base::order::{OrderChange, Terms};
use optiflow_oms::order::Fact;
use optiflow_oms::order::terms::Shown;
use optiflow_oms::stage::LocalCode;

use super::super::observer::{Observer, Status, Tells};
use super::super::post::{Letter, Mail, Request};
use super::{Gateway, PLAIN};

impl Gateway {
    /// Sends other terms of a resting order.
    pub(super) fn modify(&mut self, now: Nanos, id: OrderId, terms: Terms) -> Result<(), LocalCode> {
        let order = *self.desk.table.get(id).filter(|order| order.can_amend()).ok_or(LocalCode::NotLive)?;
        self.may_risk(now, order.reduce_only)?;
        self.post.send(now, Request::Modify(order.symbol, id, order.side, terms));
        // One at a time: the moment of sending tells it from the former ones.
        self.desk.table.change(id, |order| order.amending(now.0, terms, now));
        if let Some(ticket) = self.tickets.get_mut(&id) {
            ticket.modify_sent = now;
        }
        self.desk.reporter.order(now, 0, order.symbol, id, OrderChange::ModifySent);
        Ok(())
    }

    /// Reads what became of it.
    pub(super) fn read_modified(&mut self, letter: &Letter, observer: &mut impl Observer) {
        let &Letter { local: now, exch, says } = letter;
        match says {
            Mail::Amended { order, exchange_id, terms, executed, ahead } => {
                let Some(ticket) = self.tickets.get_mut(&order) else { return };
                (ticket.order.price, ticket.order.qty, ticket.ahead) = (terms.price, terms.qty, ahead);
                ticket.status = if executed > Qty::ZERO { Status::PartiallyFilled } else { Status::New };
                self.desk.reporter.latency(Span::OrderAck, now.since(ticket.modify_sent));
                let how = self.pending(order).map_or(Shown::Event, Shown::Reply);
                self.desk.learn(now, exch.millis(), order, Fact::Exists { exchange_id, executed });
                self.desk.shown(now, exch.millis(), order, terms, how);
                self.show(letter, order, Tells::State, None, PLAIN, observer);
            }
            Mail::ModifyRefused { order, code, reason } => {
                if let Some(request) = self.pending(order) {
                    self.desk.amend_refused(now, order, request, code);
                }
                self.heed(now, code);
                self.show(letter, order, Tells::Rejected, None, (code, reason), observer);
            }
            Mail::Accepted { .. }
            | Mail::Traded { .. }
            | Mail::Ended { .. }
            | Mail::Refused { .. }
            | Mail::CancelRefused { .. }
            | Mail::Usage(_)
            | Mail::Account { .. }
            | Mail::Foreign { .. }
            | Mail::Funding { .. }
            | Mail::Liquidation { .. } => {}
        }
    }

    /// May an order, or another one's new terms, leave?
    pub(super) fn may_risk(&self, now: Nanos, reduce_only: bool) -> Result<(), LocalCode> {
        let (open, reason) = self.wanted_gate(now);
        let may_reduce = reduce_only && reason.lets_exits_pass();
        if !(open || may_reduce) {
            return Err(LocalCode::GateClosed);
        }
        let blocked = now < self.blocked_until.max(self.silent_until);
        if blocked { Err(LocalCode::Blocked) } else { Ok(()) }
    }

    fn pending(&self, id: OrderId) -> Option<u64> {
        self.desk.table.get(id)?.amend().map(|amend| amend.request)
    }
}
