//! What is remembered of orders after their end: a fill may arrive late, and must find its side. Risk thread.

use optiflow_base::ids::OrderId;
use optiflow_base::money::Side;

/// Sides of orders that ended lately: a fill may arrive after the end of its order.
#[derive(Debug)]
pub(super) struct Ended {
    orders: [Option<(OrderId, Side)>; ENDED_LEN],
    next: usize,
}

impl Ended {
    /// An order has ended.
    pub(super) fn remember(&mut self, id: OrderId, side: Side) {
        self.orders[self.next] = Some((id, side));
        self.next = self.next.wrapping_add(1) % ENDED_LEN;
    }

    /// The side of an order, if it is remembered.
    pub(super) fn side(&self, id: OrderId) -> Option<Side> {
        self.orders.iter().flatten().find(|(ended, _)| *ended == id).map(|(_, side)| *side)
    }
}

impl Default for Ended {
    fn default() -> Ended {
        Ended { orders: [None; ENDED_LEN], next: 0 }
    }
}

/// Orders remembered after their end.
const ENDED_LEN: usize = 64;
