//! Cancels of open orders: which of them the kill latch calls for, and which came back without having left. Risk thread.

use std::time::Duration;

use optiflow_base::clock::{Nanos, nanos_of};
use optiflow_base::ids::{OrderId, SymbolId};
use optiflow_base::order::{OrderChange, OrderEvent};

use super::{Exposure, OpenOrder};

/// What was ordered about the end of one order.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cancels {
    /// When the kill latch last ordered one.
    withdrawn: Option<Nanos>,
    /// When one was last approved, until it is told whether it left.
    approved: Option<Nanos>,
}

impl Exposure {
    /// An order that may open or enlarge a position and whose cancel was not ordered lately; it is from now on.
    /// Oldest first.
    pub(crate) fn next_to_withdraw(&mut self, now: Nanos) -> Option<(SymbolId, OrderId)> {
        let due = |order: &&mut OpenOrder| {
            let asked = order.cancels.withdrawn.is_some_and(|at| now.since(at) < nanos_of(WITHDRAW_AGAIN_AFTER));
            !order.reduce_only && !asked
        };
        let order = self.orders.iter_mut().find(due)?;
        order.cancels.withdrawn = Some(now);
        Some((order.symbol, order.id))
    }

    /// Open orders of all symbols that may open or enlarge a position.
    pub(crate) fn open_entries(&self) -> usize {
        self.orders.iter().filter(|order| !order.reduce_only).count()
    }

    /// A cancel of this order was approved.
    pub(crate) fn cancel_approved(&mut self, now: Nanos, id: OrderId) {
        let Ok(at) = self.find(id) else { return };
        self.orders[at].cancels.approved = Some(now);
    }

    /// When the cancel was approved that never left, as this report says: one that left is told as sent before it is
    /// refused, and those who refuse it then have codes below zero.
    pub(crate) fn cancel_came_back(&mut self, event: &OrderEvent) -> Option<Nanos> {
        let at = self.find(event.order).ok()?;
        let approved = &mut self.orders[at].cancels.approved;
        if let OrderChange::CancelRefused { code } = event.change {
            return approved.take_if(|_| code > 0);
        }
        if event.change == OrderChange::CancelSent {
            *approved = None;
        }
        None
    }
}

/// A cancel that the kill latch ordered and that came to nothing is ordered again after this.
const WITHDRAW_AGAIN_AFTER: Duration = Duration::from_secs(1);
