//! What could still become position: positions, and every order whose end is not proven.
//!
//! An order is reserved when it is approved and released only by a report that ends it; in flight, open and unknown
//! are the same here. Fills move exposure from orders into the position. Never trusts a belief over the exchange's
//! word, never allocates after `new`. Risk thread.

use optiflow_base::ids::{OrderId, SymbolId};
use optiflow_base::money::{Price, Qty, Side};
use optiflow_base::order::{NewOrder, OrderChange, OrderEvent, OrderKind, Terms, TimeInForce};

mod cancels;
mod claim;
mod ended;

use cancels::Cancels;
pub(crate) use claim::{Amendable, Claim};
use ended::Ended;

/// Positions and open orders of all symbols.
#[derive(Debug)]
pub(crate) struct Exposure {
    holdings: Vec<Holding>,
    /// Sorted by id: ids only grow, so a new order goes to the end.
    orders: Vec<OpenOrder>,
    ended: Ended,
}

/// What one symbol holds.
#[derive(Clone, Copy, Debug, Default)]
struct Holding {
    position: Qty,
    buys: Open,
    sells: Open,
    orders: u32,
    /// Those of them that are reduce-only.
    exits: u32,
    /// A fill came that belongs to no order of ours: the position is in doubt until the exchange states it.
    adrift: bool,
}

/// Open quantity of one side, in units; wide, so that no sum overflows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Open {
    opening: i128,
    reducing: i128,
}

#[derive(Clone, Copy, Debug)]
struct OpenOrder {
    id: OrderId,
    symbol: SymbolId,
    side: Side,
    /// The terms in force, as last told.
    terms: Terms,
    /// Those it may have instead: approved, and their fate not yet told.
    amended: Option<Terms>,
    filled: Qty,
    reduce_only: bool,
    /// A limit order that stays on the book: its terms may change.
    rests: bool,
    /// It ends rather than take.
    post_only: bool,
    cancels: Cancels,
}

/// A fill that does not fit what we believe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surprise {
    /// It names no order of ours.
    Stranger,
    /// It is larger than what was left of the order.
    Excess,
    /// Its order had ended; the fill is booked all the same.
    Late,
}

impl Exposure {
    /// Flat, with room for `orders_max[i]` open orders of symbol `i`, and for its exits beside them.
    pub(crate) fn new(orders_max: &[u32]) -> Exposure {
        let room =
            orders_max.iter().fold(0usize, |sum, &max| sum.saturating_add(max.saturating_add(EXITS_OPEN_MAX) as usize));
        Exposure {
            holdings: vec![Holding::default(); orders_max.len()],
            orders: Vec::with_capacity(room),
            ended: Ended::default(),
        }
    }

    /// Open orders of the symbol: in flight, open and unknown.
    pub(crate) fn open_orders(&self, symbol: SymbolId) -> u32 {
        self.holdings[symbol.index()].orders
    }

    /// Those of them that are reduce-only.
    pub(crate) fn open_exits(&self, symbol: SymbolId) -> u32 {
        self.holdings[symbol.index()].exits
    }

    /// Is this an order of that symbol whose end is not proven?
    pub(crate) fn is_open(&self, symbol: SymbolId, id: OrderId) -> bool {
        self.find(id).is_ok_and(|at| self.orders[at].symbol == symbol)
    }

    /// Is the position in doubt?
    pub(crate) fn is_adrift(&self, symbol: SymbolId) -> bool {
        self.holdings[symbol.index()].adrift
    }

    /// Units of position on `side` if every order of that side filled. A position on the other side gives no credit: an
    /// exit may have closed it by then. Reduce-only orders count by what they exceed that position: the exchange lets them
    /// fill only against the position that it holds, but a fill told before theirs may have come after it.
    pub(crate) fn worst(&self, symbol: SymbolId, side: Side) -> i128 {
        let holding = &self.holdings[symbol.index()];
        holding.held_at_worst(side).saturating_add(holding.side(side).opening)
    }

    /// Units that a reduce-only order of `side` may still have: the position against it less other reduce-only orders.
    pub(crate) fn reducible(&self, symbol: SymbolId, side: Side) -> i128 {
        let holding = &self.holdings[symbol.index()];
        held(holding.position, side.opposite()).saturating_sub(holding.side(side).reducing)
    }

    /// As [`Exposure::worst`], counted again from the orders themselves: a second opinion for the last assertion.
    pub(crate) fn recount(&self, symbol: SymbolId, side: Side) -> i128 {
        let ours = self.orders.iter().filter(|order| order.symbol == symbol && order.side == side);
        let sum = |sum: i128, order: &OpenOrder| sum.saturating_add(order.remaining().units().into());
        let held = held(self.holdings[symbol.index()].position, side);
        let held = ours.clone().filter(|order| order.reduce_only).fold(held, sum).max(0);
        ours.filter(|order| !order.reduce_only).fold(held, sum)
    }

    /// What [`Exposure::worst`] is worth, in units of price × units of quantity so that nothing is rounded before the end:
    /// each order at its own price where that is above `floor`, the rest at `floor`.
    pub(crate) fn worst_worth(&self, symbol: SymbolId, side: Side, floor: Price) -> i128 {
        let ours = self.orders.iter().filter(|order| order.symbol == symbol && order.side == side);
        let opening = ours.filter(|order| !order.reduce_only);
        let worth = |order: &OpenOrder| {
            i128::from(order.price().max(floor).units()).saturating_mul(i128::from(order.remaining().units()))
        };
        let held = self.holdings[symbol.index()].held_at_worst(side).saturating_mul(i128::from(floor.units()));
        opening.map(worth).fold(held, i128::saturating_add)
    }

    /// What the buys and the sells of every symbol are worth, each as [`Exposure::worst_worth`] at its floor; one pass over
    /// the orders.
    pub(crate) fn worths(&self, floors: &[Price], worths: &mut [[i128; 2]]) {
        for ((worth, holding), floor) in worths.iter_mut().zip(&self.holdings).zip(floors) {
            let held = |side| holding.held_at_worst(side).saturating_mul(i128::from(floor.units()));
            *worth = [held(Side::Buy), held(Side::Sell)];
        }
        for order in self.orders.iter().filter(|order| !order.reduce_only) {
            let at = order.symbol.index();
            let price = i128::from(order.price().max(floors[at]).units());
            let side = &mut worths[at][usize::from(order.side == Side::Sell)];
            *side = side.saturating_add(price.saturating_mul(i128::from(order.remaining().units())));
        }
    }

    /// Has the symbol with this index a position, or an order that may open one?
    pub(crate) fn has_any(&self, index: usize) -> bool {
        let holding = &self.holdings[index];
        !holding.position.is_zero() || holding.buys.opening > 0 || holding.sells.opening > 0
    }

    /// Units of position that an order of `side` would close before it opens one.
    pub(crate) fn held_against(&self, symbol: SymbolId, side: Side) -> i128 {
        held(self.holdings[symbol.index()].position, side.opposite()).max(0)
    }

    /// Open orders of all symbols, exits included.
    pub(crate) fn open_total(&self) -> usize {
        self.orders.len()
    }

    /// Is this an open post-only order of which nothing has traded?
    pub(crate) fn is_untouched_post_only(&self, id: OrderId) -> bool {
        self.find(id).is_ok_and(|at| self.orders[at].post_only && self.orders[at].filled.is_zero())
    }

    /// Counts an order as exposure from now on.
    pub(crate) fn reserve(&mut self, symbol: SymbolId, order: &NewOrder) {
        assert!(self.orders.last().is_none_or(|last| last.id < order.id), "order ids only grow");
        assert!(self.orders.len() < self.orders.capacity(), "open orders are limited before they are reserved");
        assert!(order.qty > Qty::ZERO, "an order has a quantity");
        let NewOrder { id, side, kind, time_in_force, price, qty, reduce_only } = *order;
        let rests = kind == OrderKind::Limit && matches!(time_in_force, TimeInForce::Gtc | TimeInForce::Gtx);
        let post_only = time_in_force == TimeInForce::Gtx;
        let (terms, amended, filled, cancels) = (Terms { price, qty }, None, Qty::ZERO, Cancels::default());
        self.orders.push(OpenOrder {
            id,
            symbol,
            side,
            terms,
            amended,
            filled,
            reduce_only,
            rests,
            post_only,
            cancels,
        });
        let holding = &mut self.holdings[symbol.index()];
        holding.orders = holding.orders.saturating_add(1);
        holding.exits = holding.exits.saturating_add(u32::from(reduce_only));
        holding.shift(side, reduce_only, i128::from(qty.units()));
    }

    /// The order as it would be with other terms, in all its quantity, and how much of that may still trade in the worse
    /// case; `None` when it cannot get them: not ours, not resting, already on its way to others, or traded so far.
    pub(crate) fn amendable(&self, symbol: SymbolId, id: OrderId, terms: Terms) -> Option<Amendable> {
        let order = self.find(id).ok().map(|at| self.orders[at]).filter(|order| order.symbol == symbol)?;
        let possible = order.rests && order.amended.is_none() && terms.qty > order.filled;
        let (kind, time_in_force, Terms { price, qty }) = (OrderKind::Limit, TimeInForce::Gtx, terms);
        let as_new = NewOrder { id, side: order.side, kind, time_in_force, price, qty, reduce_only: order.reduce_only };
        let worse = OpenOrder { amended: Some(terms), ..order };
        possible.then_some(Amendable { as_new, now: order.claim(), worse: worse.claim() })
    }

    /// Counts an order as exposure by the worse of its terms and these, until it is told which are in force.
    pub(crate) fn amend(&mut self, id: OrderId, terms: Terms) {
        self.change(id, |order| order.amended = Some(terms));
    }

    /// Follows an order's fate. Reports about orders of earlier sessions change nothing, except that a fill of theirs
    /// puts the position in doubt.
    pub(crate) fn follow(&mut self, event: &OrderEvent) -> Option<Surprise> {
        match event.change {
            OrderChange::Filled { qty, .. } => self.fill(event, qty),
            OrderChange::Refused { .. } | OrderChange::Done | OrderChange::Cancelled | OrderChange::Expired => {
                self.release(event.order);
                None
            }
            OrderChange::Modified { price, qty, asked } => {
                self.change(event.order, |order| {
                    order.terms = Terms { price, qty };
                    order.amended = order.amended.filter(|_| !asked);
                });
                None
            }
            OrderChange::ModifyRefused { .. } => {
                self.change(event.order, |order| order.amended = None);
                None
            }
            OrderChange::Denied(_)
            | OrderChange::Sent
            | OrderChange::Accepted { .. }
            | OrderChange::Unknown
            | OrderChange::CancelSent
            | OrderChange::CancelRefused { .. }
            | OrderChange::ModifySent => None,
        }
    }

    /// The exchange's word on a position. It must cover exactly the fills that were reported before it.
    pub(crate) fn adopt(&mut self, symbol: SymbolId, position: Qty) {
        let holding = &mut self.holdings[symbol.index()];
        holding.position = position;
        holding.adrift = false;
    }

    /// Everything has been reconciled with the exchange.
    pub(crate) fn reconciled(&mut self) {
        self.holdings.iter_mut().for_each(|holding| holding.adrift = false);
    }

    fn fill(&mut self, event: &OrderEvent, qty: Qty) -> Option<Surprise> {
        let Ok(at) = self.find(event.order) else {
            let holding = &mut self.holdings[event.symbol.index()];
            let Some(side) = self.ended.side(event.order) else {
                holding.adrift = true;
                return Some(Surprise::Stranger);
            };
            holding.book(side, qty);
            return Some(Surprise::Late);
        };
        let order = &mut self.orders[at];
        let holding = &mut self.holdings[order.symbol.index()];
        let moved = qty.min(order.remaining()).max(Qty::ZERO);
        order.filled = order.filled.saturating_add(moved);
        holding.shift(order.side, order.reduce_only, i128::from(moved.units()).saturating_neg());
        holding.book(order.side, qty);
        (moved < qty).then(|| {
            holding.adrift = true;
            Surprise::Excess
        })
    }

    /// Changes what an order claims, and keeps the sums right.
    fn change(&mut self, id: OrderId, how: impl FnOnce(&mut OpenOrder)) {
        let Ok(at) = self.find(id) else { return };
        let order = &mut self.orders[at];
        let before = i128::from(order.remaining().units());
        how(order);
        let more = i128::from(order.remaining().units()).saturating_sub(before);
        self.holdings[order.symbol.index()].shift(order.side, order.reduce_only, more);
    }

    fn release(&mut self, id: OrderId) {
        let Ok(at) = self.find(id) else { return };
        let order = self.orders.remove(at);
        let holding = &mut self.holdings[order.symbol.index()];
        holding.shift(order.side, order.reduce_only, i128::from(order.remaining().units()).saturating_neg());
        assert!(holding.orders > 0, "an open order was counted");
        holding.orders = holding.orders.saturating_sub(1);
        holding.exits = holding.exits.saturating_sub(u32::from(order.reduce_only));
        assert!(holding.orders > 0 || holding.is_idle(), "no order, no open quantity");
        self.ended.remember(id, order.side);
    }

    fn find(&self, id: OrderId) -> Result<usize, usize> {
        self.orders.binary_search_by_key(&id, |order| order.id)
    }
}

impl OpenOrder {
    /// What may still trade: by the larger quantity while it is open which is in force.
    fn remaining(&self) -> Qty {
        let most = self.amended.map_or(self.terms.qty, |terms| terms.qty.max(self.terms.qty));
        Qty::from_units(most.units().saturating_sub(self.filled.units()).max(0))
    }

    /// The price at which it counts: the higher one is the larger claim on either side.
    fn price(&self) -> Price {
        self.amended.map_or(self.terms.price, |terms| terms.price.max(self.terms.price))
    }

    fn claim(&self) -> Claim {
        Claim { price: self.price(), remaining: self.remaining() }
    }
}

impl Holding {
    const fn side(&self, side: Side) -> &Open {
        match side {
            Side::Buy => &self.buys,
            Side::Sell => &self.sells,
        }
    }

    fn shift(&mut self, side: Side, reduce_only: bool, units: i128) {
        let open = match side {
            Side::Buy => &mut self.buys,
            Side::Sell => &mut self.sells,
        };
        let part = if reduce_only { &mut open.reducing } else { &mut open.opening };
        *part = part.saturating_add(units);
        assert!(*part >= 0, "open quantity is never negative");
    }

    fn book(&mut self, side: Side, qty: Qty) {
        let units = self.position.units().saturating_add(side.signed(qty).units());
        self.position = Qty::from_units(units);
    }

    /// Units of position on `side` that there may be before any order opens more.
    fn held_at_worst(&self, side: Side) -> i128 {
        held(self.position, side).saturating_add(self.side(side).reducing).max(0)
    }

    fn is_idle(&self) -> bool {
        self.buys == Open::default() && self.sells == Open::default()
    }
}

/// The position as seen from `side`: positive when it is held that way.
fn held(position: Qty, side: Side) -> i128 {
    let units = i128::from(position.units());
    match side {
        Side::Buy => units,
        Side::Sell => units.saturating_neg(),
    }
}

/// Reduce-only orders of one symbol that may be open beside all others: no limit of ours may leave an exit without room.
pub(crate) const EXITS_OPEN_MAX: u32 = 64;

#[cfg(test)]
mod tests;
