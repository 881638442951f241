//! Our own orders of one symbol: what we wanted, and what reports have said of it since.
//!
//! Strategies read it and keep no books of their own. An order that ended is remembered for a while, so that a fill
//! that arrives late still finds its side. Bounded; never allocates after `new`; decides nothing. Engine thread.

use std::time::Duration;

use arrayvec::ArrayVec;

use optiflow_base::clock::Nanos;
use optiflow_base::ids::OrderId;
use optiflow_base::money::{Price, Qty, Side};
use optiflow_base::order::{NewOrder, OrderChange, OrderEvent, OrderKind, Terms, TimeInForce};

/// The own orders of one symbol.
#[derive(Debug)]
pub struct OwnOrders {
    live: ArrayVec<OwnOrder, LIVE_ORDERS_MAX>,
    /// A ring of the last orders that ended.
    ended: Vec<OwnOrder>,
    ended_next: usize,
}

/// One of our orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnOrder {
    /// Our id.
    pub id: OrderId,
    /// Buy or sell.
    pub side: Side,
    /// Limit or market.
    pub kind: OrderKind,
    /// How long it lives.
    pub time_in_force: TimeInForce,
    /// Limit price, as last known; zero for a market order.
    pub price: Price,
    /// Quantity wanted in all, as last known.
    pub qty: Qty,
    /// Quantity filled so far.
    pub filled: Qty,
    /// May only shrink the position: an exit. Everything else is an entry.
    pub reduce_only: bool,
    /// How far it has come.
    pub stage: OrderStage,
    /// A cancel is on its way.
    pub cancelling: bool,
    /// When it was decided.
    pub placed: Nanos,
    /// When a cancel was last asked for; zero if never.
    pub cancel_asked: Nanos,
    /// What it may have become: a modify is on its way.
    pub modifying: Option<Terms>,
    /// When a modify was last asked for; zero if never.
    pub modify_asked: Nanos,
}

/// How far an order has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderStage {
    /// Decided; risk or oms may still refuse it.
    Pending,
    /// Handed to the socket: exposure.
    Sent,
    /// The exchange has it.
    Open,
    /// Nobody knows whether the exchange has it: exposure.
    Unknown,
    /// Over.
    Ended,
}

/// Which order an event was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// An order that was live; as it is after the event.
    Live(OwnOrder),
    /// An order that had ended before.
    Ended(OwnOrder),
    /// None that is remembered.
    Unknown,
}

impl OwnOrders {
    /// No orders.
    pub fn new() -> OwnOrders {
        OwnOrders { live: ArrayVec::new(), ended: Vec::with_capacity(ENDED_ORDERS_LEN), ended_next: 0 }
    }

    /// Every order that may still trade, oldest first.
    pub fn live(&self) -> impl Iterator<Item = &OwnOrder> {
        self.live.iter()
    }

    /// Live orders that may open or enlarge a position.
    pub fn entries(&self) -> impl Iterator<Item = &OwnOrder> {
        self.live.iter().filter(|order| !order.reduce_only)
    }

    /// Live orders that may only shrink the position.
    pub fn exits(&self) -> impl Iterator<Item = &OwnOrder> {
        self.live.iter().filter(|order| order.reduce_only)
    }

    /// Is there no room for another order?
    pub fn is_full(&self) -> bool {
        self.live.is_full()
    }

    /// Takes a new order in; `false` when there is no room.
    pub(crate) fn insert(&mut self, order: &NewOrder, at: Nanos) -> bool {
        let own = OwnOrder {
            id: order.id,
            side: order.side,
            kind: order.kind,
            time_in_force: order.time_in_force,
            price: order.price,
            qty: order.qty,
            filled: Qty::ZERO,
            reduce_only: order.reduce_only,
            stage: OrderStage::Pending,
            cancelling: false,
            placed: at,
            cancel_asked: Nanos(0),
            modifying: None,
            modify_asked: Nanos(0),
        };
        self.live.try_push(own).is_ok()
    }

    /// Takes an order out as if it had never been: its intent did not leave.
    pub(crate) fn remove(&mut self, id: OrderId) {
        self.live.retain(|order| order.id != id);
    }

    /// Marks an order as being cancelled. `false` when that makes no sense now: unknown, not yet sent, already being
    /// cancelled, or the last attempt failed a moment ago.
    pub(crate) fn begin_cancel(&mut self, id: OrderId, now: Nanos) -> bool {
        let Some(order) = self.live.iter_mut().find(|order| order.id == id) else { return false };
        let allowed = order.can_cancel(now);
        if allowed {
            (order.cancelling, order.cancel_asked) = (true, now);
        }
        allowed
    }

    /// Undoes `begin_cancel`: the intent did not leave. The pause before the next attempt stays.
    pub(crate) fn undo_cancel(&mut self, id: OrderId) {
        if let Some(order) = self.live.iter_mut().find(|order| order.id == id) {
            order.cancelling = false;
        }
    }

    /// Marks an order as being modified. `false` when that makes no sense now.
    pub(crate) fn begin_modify(&mut self, id: OrderId, terms: Terms, now: Nanos) -> bool {
        let Some(order) = self.live.iter_mut().find(|order| order.id == id) else { return false };
        let allowed = order.can_modify(terms, now);
        if allowed {
            (order.modifying, order.modify_asked) = (Some(terms), now);
        }
        allowed
    }

    /// Undoes `begin_modify`: the intent did not leave. The pause before the next attempt stays.
    pub(crate) fn undo_modify(&mut self, id: OrderId) {
        if let Some(order) = self.live.iter_mut().find(|order| order.id == id) {
            order.modifying = None;
        }
    }

    /// Applies what was reported.
    pub(crate) fn apply(&mut self, event: &OrderEvent) -> Found {
        let Some(index) = self.live.iter().position(|order| order.id == event.order) else {
            let ended = self.ended.iter().find(|order| order.id == event.order);
            return ended.map_or(Found::Unknown, |order| Found::Ended(*order));
        };
        let order = &mut self.live[index];
        order.change(&event.change);
        let order = *order;
        if order.stage == OrderStage::Ended {
            self.live.remove(index);
            self.remember(order);
        }
        Found::Live(order)
    }

    fn remember(&mut self, order: OwnOrder) {
        match self.ended.get_mut(self.ended_next) {
            Some(slot) => *slot = order,
            None => self.ended.push(order),
        }
        self.ended_next = (self.ended_next + 1) % ENDED_ORDERS_LEN;
    }
}

impl Default for OwnOrders {
    fn default() -> OwnOrders {
        OwnOrders::new()
    }
}

impl OwnOrder {
    /// What may still trade.
    pub fn remaining(&self) -> Qty {
        self.qty.saturating_add(-self.filled).max(Qty::ZERO)
    }

    /// How long ago it was decided, ns.
    pub fn age(&self, now: Nanos) -> u64 {
        now.since(self.placed)
    }

    /// May a cancel be asked for now? Not before the order was sent: a cancel must not overtake its order. Not when all
    /// of it has traded.
    pub fn can_cancel(&self, now: Nanos) -> bool {
        let sent = match self.stage {
            OrderStage::Sent | OrderStage::Open | OrderStage::Unknown => true,
            OrderStage::Pending | OrderStage::Ended => false,
        };
        let rested = self.cancel_asked == Nanos(0) || now >= self.cancel_asked + CANCEL_RETRY;
        sent && !self.cancelling && rested && self.remaining() > Qty::ZERO
    }

    /// May this order get those terms now? A limit order that rests at the exchange and that no other request is about;
    /// the terms must differ from what it has, and leave something to trade.
    pub fn can_modify(&self, terms: Terms, now: Nanos) -> bool {
        let rests = match (self.kind, self.time_in_force) {
            (OrderKind::Limit, TimeInForce::Gtc | TimeInForce::Gtx) => self.stage == OrderStage::Open,
            (OrderKind::Limit, TimeInForce::Ioc | TimeInForce::Fok) | (OrderKind::Market, _) => false,
        };
        let rested = self.modify_asked == Nanos(0) || now >= self.modify_asked + MODIFY_RETRY;
        let changes = terms != (Terms { price: self.price, qty: self.qty });
        let idle = !self.cancelling && self.modifying.is_none() && rested;
        rests && idle && changes && terms.qty > self.filled && self.remaining() > Qty::ZERO
    }

    fn change(&mut self, change: &OrderChange) {
        match change {
            // Cancels are asked for only after an order was sent, so a later denial is the denial of a cancel.
            OrderChange::Denied(_) if self.stage == OrderStage::Pending => self.stage = OrderStage::Ended,
            OrderChange::Denied(_) | OrderChange::CancelRefused { .. } => self.cancelling = false,
            OrderChange::Sent if self.stage == OrderStage::Pending => self.stage = OrderStage::Sent,
            OrderChange::Sent => {}
            OrderChange::Accepted { .. } => self.stage = OrderStage::Open,
            OrderChange::Unknown => (self.stage, self.cancelling) = (OrderStage::Unknown, false),
            OrderChange::Filled { qty, total, .. } => {
                self.stage = OrderStage::Open;
                // Never less than before and never more than was wanted, whatever the numbers say.
                let most = self.modifying.map_or(self.qty, |terms| terms.qty.max(self.qty));
                self.filled = self.filled.saturating_add(*qty).max(*total).min(most).max(self.filled);
            }
            OrderChange::CancelSent => self.cancelling = true,
            OrderChange::ModifySent => {}
            OrderChange::Modified { price, qty, asked } => {
                (self.price, self.qty) = (*price, *qty);
                if *asked {
                    (self.modifying, self.modify_asked) = (None, Nanos(0));
                }
            }
            OrderChange::ModifyRefused { .. } => self.modifying = None,
            OrderChange::Refused { .. } | OrderChange::Done | OrderChange::Cancelled | OrderChange::Expired => {
                (self.stage, self.modifying) = (OrderStage::Ended, None);
            }
        }
    }
}

/// Live orders of one symbol; a strategy that wants more is told no.
pub const LIVE_ORDERS_MAX: usize = 32;
/// Ended orders that are remembered for late reports.
const ENDED_ORDERS_LEN: usize = 256;
/// Least time between two cancels of one order.
const CANCEL_RETRY: Duration = Duration::from_millis(500);
/// Least time from a modify that came to nothing to the next of the same order.
const MODIFY_RETRY: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use optiflow_base::ids::{ExchangeOrderId, SymbolId, TradeId};
    use optiflow_base::order::DenyReason;

    use super::*;

    fn order(counter: u32) -> NewOrder {
        NewOrder {
            id: OrderId::new(1, counter),
            side: Side::Buy,
            kind: OrderKind::Limit,
            time_in_force: TimeInForce::Gtx,
            price: Price::from_units(100),
            qty: Qty::from_units(10),
            reduce_only: false,
        }
    }

    fn event(counter: u32, change: OrderChange) -> OrderEvent {
        let order = OrderId::new(1, counter);
        OrderEvent { symbol: SymbolId(0), order, at: Nanos(1), exchange_ms: 0, change }
    }

    fn fill(qty: i64, total: i64) -> OrderChange {
        let (qty, total) = (Qty::from_units(qty), Qty::from_units(total));
        OrderChange::Filled { trade: TradeId(1), price: Price::from_units(100), qty, total, maker: true, fee: 0 }
    }

    #[test]
    fn reports_move_an_order_through_its_stages() {
        let accepted = OrderChange::Accepted { exchange_id: ExchangeOrderId(5) };
        let script: [(&str, &[OrderChange], &str); 9] = [
            ("nothing yet", &[], "Pending 0"),
            ("denied by risk", &[OrderChange::Denied(DenyReason::OrderSize)], "ended"),
            ("sent", &[OrderChange::Sent], "Sent 0"),
            ("refused", &[OrderChange::Sent, OrderChange::Refused { code: -2019 }], "ended"),
            ("accepted", &[OrderChange::Sent, accepted], "Open 0"),
            ("in doubt", &[OrderChange::Sent, OrderChange::Unknown], "Unknown 0"),
            ("filled before it was accepted", &[OrderChange::Sent, fill(4, 4)], "Open 4"),
            ("filled in two parts", &[accepted, fill(4, 4), fill(6, 10), OrderChange::Done], "ended"),
            ("cancelled", &[accepted, OrderChange::CancelSent, OrderChange::Cancelled], "ended"),
        ];
        for (what, changes, expected) in script {
            let mut orders = OwnOrders::new();
            assert!(orders.insert(&order(1), Nanos(1)));
            for change in changes {
                assert!(matches!(orders.apply(&event(1, *change)), Found::Live(_)), "{what}");
            }
            let now = orders
                .live()
                .next()
                .map_or("ended".to_owned(), |order| format!("{:?} {}", order.stage, order.filled.units()));
            assert_eq!(now, expected, "{what}");
        }
    }

    #[test]
    fn a_cancel_waits_for_its_order_and_is_not_repeated_at_once() {
        let mut orders = OwnOrders::new();
        let (id, second) = (OrderId::new(1, 1), 1_000_000_000);
        assert!(orders.insert(&order(1), Nanos(1)));
        assert!(!orders.begin_cancel(id, Nanos(second)), "not yet sent");
        orders.apply(&event(1, OrderChange::Sent));
        assert!(orders.begin_cancel(id, Nanos(second)));
        assert!(!orders.begin_cancel(id, Nanos(2 * second)), "already on its way");
        orders.apply(&event(1, OrderChange::Denied(DenyReason::RingFull)));
        assert!(orders.live().next().is_some_and(|order| !order.cancelling), "the denial was the cancel's");
        assert!(!orders.begin_cancel(id, Nanos(second + 1)), "too soon");
        assert!(orders.begin_cancel(id, Nanos(2 * second)));
    }

    #[test]
    fn a_cancel_whose_order_fell_into_doubt_is_asked_for_again() {
        let mut orders = OwnOrders::new();
        let (id, second) = (OrderId::new(1, 1), 1_000_000_000);
        assert!(orders.insert(&order(1), Nanos(1)));
        orders.apply(&event(1, OrderChange::Sent));
        assert!(orders.begin_cancel(id, Nanos(second)));
        orders.apply(&event(1, OrderChange::Unknown));
        assert!(orders.begin_cancel(id, Nanos(2 * second)));
    }

    #[test]
    fn a_late_report_finds_the_order_that_ended_and_a_stranger_is_named() {
        let mut orders = OwnOrders::new();
        for counter in 1..=2 * ENDED_ORDERS_LEN as u32 {
            assert!(orders.insert(&order(counter), Nanos(1)));
            orders.apply(&event(counter, OrderChange::Expired));
        }
        assert!(matches!(orders.apply(&event(2 * ENDED_ORDERS_LEN as u32, fill(1, 1))), Found::Ended(_)));
        assert_eq!(orders.apply(&event(1, fill(1, 1))), Found::Unknown);
    }

    #[test]
    fn hostile_fills_saturate() {
        let mut orders = OwnOrders::new();
        assert!(orders.insert(&order(1), Nanos(1)));
        for (qty, total, filled) in [(-5, -5, 0), (i64::MIN, i64::MIN, 0), (4, 4, 4), (i64::MAX, i64::MAX, 10)] {
            assert!(matches!(orders.apply(&event(1, fill(qty, total))), Found::Live(_)));
            let own = orders.live().next().unwrap();
            assert_eq!((own.filled.units(), own.remaining().units()), (filled, 10 - filled), "{qty} of {total}");
        }
    }

    #[test]
    fn a_full_table_says_no() {
        let mut orders = OwnOrders::new();
        let taken = (1..=100).filter(|counter| orders.insert(&order(*counter), Nanos(1))).count();
        assert_eq!(taken, LIVE_ORDERS_MAX);
        assert!(orders.is_full());
        orders.remove(OrderId::new(1, 3));
        assert!(!orders.is_full());
    }
}
