//! The seam of strategies: see a view, ask for orders.
//!
//! A strategy is one file in `strategies/`; it keeps no books (the view has them), reads no clock, sends nothing
//! itself, and allocates nothing while running. To add one: implement [`Strategy`] and name it in the configuration.

use arrayvec::ArrayVec;

use optiflow_base::clock::Nanos;
use optiflow_base::ids::{OrderId, OrderIds};
use optiflow_base::money::{Price, Qty, Side};
use optiflow_base::order::{Action, NewOrder, OrderEvent, OrderKind, Terms, TimeInForce};

use crate::orders::OwnOrder;
use crate::view::View;

/// Decides what to do in one symbol.
pub trait Strategy {
    /// Its name in configuration and reports.
    fn name(&self) -> &'static str;

    /// Something changed, or time passed: says what it wants. Called at least every few hundredths of a second.
    fn on_update(&mut self, view: &View<'_>, orders: &mut Orders);

    /// Something happened to one of its orders, shown as it is now. Most strategies need only the view.
    fn on_report(&mut self, order: &OwnOrder, event: &OrderEvent) {
        let _ = (order, event);
    }
}

/// What a strategy wants done, collected during one call.
#[derive(Debug)]
pub struct Orders {
    ids: OrderIds,
    now: Nanos,
    allowed: Allowed,
    actions: ArrayVec<Action, ACTIONS_MAX>,
    notices: ArrayVec<(&'static str, i64), NOTICES_MAX>,
}

/// Which orders the engine lets pass on this view, whatever a strategy wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// Orders that may open or enlarge a position.
    pub(crate) entries: bool,
    /// Orders that may only shrink the position.
    pub(crate) exits: bool,
}

/// A limit order as a strategy describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitOrder {
    /// Buy or sell.
    pub side: Side,
    /// Limit price, on the tick grid.
    pub price: Price,
    /// Quantity, on the step grid.
    pub qty: Qty,
    /// How long it lives.
    pub time_in_force: TimeInForce,
    /// May only shrink the position.
    pub reduce_only: bool,
}

impl Orders {
    /// A sink that takes ids from `ids`.
    pub fn new(ids: OrderIds) -> Orders {
        let (now, allowed) = (Nanos(0), Allowed::default());
        Orders { ids, now, allowed, actions: ArrayVec::new(), notices: ArrayVec::new() }
    }

    /// Asks for a limit order. `None`: not now (no trading on this view, enough was asked for already, or risk has just denied
    /// an entry for a reason that only time heals).
    ///
    /// To turn a position round, ask for a reduce-only exit first and for the entry when the position is flat: until an exit
    /// has traded risk gives the position no credit, and denies a plain order that would need it as `ExitFirst`.
    pub fn limit(&mut self, order: LimitOrder) -> Option<OrderId> {
        let LimitOrder { side, price, qty, time_in_force, reduce_only } = order;
        let kind = OrderKind::Limit;
        self.place(reduce_only, |id| NewOrder { id, side, kind, time_in_force, price, qty, reduce_only })
    }

    /// Asks for a market order that may only shrink the position. `None`: not now.
    pub fn market_exit(&mut self, side: Side, qty: Qty) -> Option<OrderId> {
        let (kind, time_in_force, price) = (OrderKind::Market, TimeInForce::Ioc, Price::ZERO);
        self.place(true, |id| NewOrder { id, side, kind, time_in_force, price, qty, reduce_only: true })
    }

    /// Asks for the end of an order. May be asked for at every update: it leaves when it can, and again if it failed.
    pub fn cancel(&mut self, order: &OwnOrder) {
        if order.can_cancel(self.now) {
            // A full list is no loss: whoever still wants it asks again at the next update.
            let _ = self.actions.try_push(Action::Cancel(order.id));
        }
    }

    /// Asks for another price or total quantity (what has traded counts towards it) of an open limit order that rests;
    /// `false`: not now. Not while another request about that order is on its way, and a moment after a refusal.
    ///
    /// On Binance every change puts the order at the end of the queue of its price, a smaller quantity too: against a
    /// cancel and a new order it saves one request and the moment without an order, not the place. It counts as an order
    /// in the order limits. The exchange cancels the order instead when it is post-only and would take at the new price,
    /// or when as much has traded meanwhile. Until the answer either terms may be in force, and risk reserves the worse;
    /// [`OwnOrder`] shows the new ones once they are known.
    pub fn modify(&mut self, order: &OwnOrder, price: Price, qty: Qty) -> bool {
        let allowed = if order.reduce_only { self.allowed.exits } else { self.allowed.entries };
        let possible = allowed && order.can_modify(Terms { price, qty }, self.now);
        possible && self.actions.try_push(Action::Modify { order: order.id, price, qty }).is_ok()
    }

    /// Tells a person something, by a fixed phrase and a number.
    pub fn notice(&mut self, what: &'static str, value: i64) {
        let _ = self.notices.try_push((what, value));
    }

    /// Begins a call: forgets the last one's wishes.
    pub(crate) fn begin(&mut self, now: Nanos, allowed: Allowed) {
        (self.now, self.allowed) = (now, allowed);
        self.actions.clear();
        self.notices.clear();
    }

    /// What was asked for, in order.
    pub(crate) fn actions(&self) -> &[Action] {
        &self.actions
    }

    /// What a person is told.
    pub(crate) fn notices(&self) -> &[(&'static str, i64)] {
        &self.notices
    }

    fn place(&mut self, reduce_only: bool, order: impl FnOnce(OrderId) -> NewOrder) -> Option<OrderId> {
        let allowed = if reduce_only { self.allowed.exits } else { self.allowed.entries };
        if !allowed || self.actions.is_full() {
            return None;
        }
        let order = order(self.ids.take());
        assert!(order.qty > Qty::ZERO, "an order has a quantity");
        assert!(order.reduce_only == reduce_only, "an exit is not an entry");
        self.actions.push(Action::Place(order));
        Some(order.id)
    }
}

/// Wishes of one call.
const ACTIONS_MAX: usize = 16;
/// Notices of one call.
const NOTICES_MAX: usize = 4;
