//! Books what matching found: fills into orders, positions and the wallet; ends of orders; events for both.

use optiflow_base::clock::Nanos;
use optiflow_base::money::{Price, Qty};

use crate::core::Core;
use crate::matching::Hit;
use crate::words::{CoreEvent, Fill, Order, OrderStatus, SymbolIndex};

impl Core {
    /// Books a fill of a resting order.
    pub(super) fn settle_maker(&mut self, now: Nanos, symbol: SymbolIndex, hit: Hit, out: &mut Vec<CoreEvent>) {
        self.settle(now, symbol, hit, true, out);
        self.expire_beyond_position(now, symbol, out);
    }

    /// Books a fill of an order that took. The caller looks after reduce-only orders when all its fills are booked.
    pub(super) fn settle_taker(&mut self, now: Nanos, symbol: SymbolIndex, hit: Hit, out: &mut Vec<CoreEvent>) {
        self.settle(now, symbol, hit, false, out);
    }

    /// Ends an open order without a fill; `None` when it is not open (any more).
    pub(super) fn end(
        &mut self,
        now: Nanos,
        id: u64,
        status: OrderStatus,
        reason: u8,
        out: &mut Vec<CoreEvent>,
    ) -> Option<Order> {
        assert!(status.is_cut_short(), "{status:?} is not an end without a fill");
        let order = self.orders.change(id, |order| {
            order.status = status;
            order.updated = now;
        });
        let order = order.cloned()?;
        self.markets[order.placed.symbol].queue.leave(order.placed.side, id);
        out.push(CoreEvent::Ended { order: order.clone(), reason });
        Some(order)
    }

    /// Expires the reduce-only orders that have nothing left to reduce.
    pub(super) fn expire_beyond_position(&mut self, now: Nanos, symbol: SymbolIndex, out: &mut Vec<CoreEvent>) {
        if !self.orders.any_reducing(symbol) {
            return;
        }
        let useless = |order: &&Order| order.placed.reduce_only && self.reducible(order).is_zero();
        let ids: Vec<u64> = self.orders.open(symbol).filter(useless).map(|order| order.id).collect();
        for id in ids {
            self.end(now, id, OrderStatus::Expired, REASON_NOT_REDUCING, out);
        }
    }

    /// How much of the position an order on its side can close.
    pub(super) fn reducible(&self, order: &Order) -> Qty {
        let held = self.account.position(order.placed.symbol).qty;
        if order.placed.side.signed(held) < Qty::ZERO { held.abs() } else { Qty::ZERO }
    }

    fn settle(&mut self, now: Nanos, symbol: SymbolIndex, hit: Hit, maker: bool, out: &mut Vec<CoreEvent>) {
        let Some(order) = self.orders.by_id(hit.order).filter(|order| order.status.is_open()) else { return };
        assert!(order.placed.symbol == symbol, "orders meet their own market");
        let qty = if order.placed.reduce_only { hit.qty.min(self.reducible(order)) } else { hit.qty };
        if qty.is_zero() {
            return;
        }
        let fill = self.book_fill(now, order.clone(), hit.price, qty, maker);
        let Some(order) = self.orders.change(hit.order, |order| add_fill(order, &fill)) else { return };
        let order = order.clone();
        if !order.status.is_open() {
            self.markets[symbol].queue.leave(order.placed.side, order.id);
        }
        self.orders.add_fill(fill.clone());
        let (position, wallet) = (self.account.position(symbol), self.account.wallet());
        out.push(CoreEvent::Fill { order, fill, position, wallet });
    }

    fn book_fill(&mut self, now: Nanos, order: Order, price: Price, qty: Qty, maker: bool) -> Fill {
        let placed = order.placed;
        let taker_fee_ppm = self.config.taker_fee_ppm + self.clearance_fee_ppm(order.id);
        let rate = if maker { self.config.maker_fee_ppm } else { taker_fee_ppm };
        let fee = price.times(qty).share_ppm(rate);
        let realized = self.account.fill(now, placed.symbol, placed.side, price, qty, fee);
        Fill {
            trade_id: self.orders.take_trade_id(),
            order_id: order.id,
            client_id: placed.client_id,
            symbol: placed.symbol,
            side: placed.side,
            price,
            qty,
            maker,
            fee,
            realized,
            at: now,
        }
    }
}

fn add_fill(order: &mut Order, fill: &Fill) {
    order.filled += fill.qty;
    order.filled_quote += fill.price.times(fill.qty);
    order.updated = fill.at;
    assert!(order.filled <= order.placed.qty, "an order never fills beyond its quantity");
    let is_full = order.filled == order.placed.qty;
    order.status = if is_full { OrderStatus::Filled } else { OrderStatus::PartiallyFilled };
}

/// `er` of an order that a higher-priority one left nothing to reduce.
const REASON_NOT_REDUCING: u8 = 4;
