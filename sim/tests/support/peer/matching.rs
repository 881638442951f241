//! What a request meets when it arrives.

use optiflow_base::money::Side;
use optiflow_sim::replay::orders::{OrderKind, TimeInForce};

use super::{Ask, Order, World, better, index, units};

impl World<'_> {
    pub(super) fn arrive(&mut self, now: i64, ask: Ask, order: Order) {
        let at = self.orders.iter().position(|other| other.id == order.id);
        match (ask, at) {
            (Ask::New, _) => self.enter(now, order),
            (Ask::Cancel | Ask::Modify, None) => self.answer(now, &order, true, None),
            (Ask::Cancel, Some(at)) => {
                let gone = Order { status: "canceled", ..self.orders.remove(at) };
                self.answer(now, &gone, false, None);
            }
            (Ask::Modify, Some(at)) => {
                let old = &self.orders[at];
                let executed = old.qty - old.leaves;
                let leaves = order.qty - executed;
                let requeue = order.tick != old.tick || order.qty > old.leaves;
                let status = if executed > 0 { "part" } else { "new" };
                let new = Order {
                    tick: order.tick,
                    qty: order.qty,
                    leaves,
                    status,
                    requested: order.requested,
                    ..old.clone()
                };
                if leaves <= 0 {
                    self.orders.remove(at);
                    self.answer(now, &Order { status: "canceled", leaves: 0, ..new }, false, None);
                } else if requeue {
                    self.orders.remove(at);
                    self.enter(now, new);
                } else {
                    self.orders[at] = new.clone();
                    self.answer(now, &new, false, None);
                }
            }
        }
    }

    fn enter(&mut self, now: i64, mut order: Order) {
        let (side, other) = (index(order.side), 1 - index(order.side));
        let facing = self.book[other].best;
        let crosses = facing.is_some_and(|facing| order.kind == OrderKind::Market || !better(side, facing, order.tick));
        let rests = matches!(order.tif, TimeInForce::Gtc | TimeInForce::Gtx) && order.kind == OrderKind::Limit;
        match facing {
            Some(best) if crosses && order.tif != TimeInForce::Gtx => self.take(now, order, best),
            Some(_) | None if !crosses && rests => {
                order.front = units(self.book[side].levels.get(&order.tick).copied().unwrap_or(0));
                order.traded = 0.0;
                order.status = if order.status == "part" { "part" } else { "new" };
                self.answer(now, &order, false, None);
                self.orders.push(order);
            }
            Some(_) | None => self.answer(now, &Order { status: "expired", ..order }, false, None),
        }
    }

    fn take(&mut self, now: i64, mut order: Order, best: i64) {
        let buy = order.side == Side::Buy;
        if !self.peer.partial {
            let leaves = order.leaves;
            self.execute(now, &mut order, best, leaves);
            return;
        }
        let away = if buy { 1 } else { -1 };
        // Their ranges: a buyer's market order sweeps 100 ticks, a seller's 101; a buyer's limit order leaves its last level
        // to the remainder.
        let gtc = order.kind == OrderKind::Limit && order.tif == TimeInForce::Gtc;
        let ticks = match order.kind {
            OrderKind::Market => 100 + i64::from(!buy),
            OrderKind::Limit => (order.tick - best).abs() + i64::from(!(gtc && buy)),
        };
        let levels: Vec<(i64, i64)> = (0..ticks)
            .map(|step| best + away * step)
            .filter_map(|tick| self.book[1 - index(order.side)].levels.get(&tick).map(|qty| (tick, *qty)))
            .collect();
        let all: i64 = levels.iter().map(|(_, qty)| qty).sum();
        let killed = order.kind == OrderKind::Limit && order.tif == TimeInForce::Fok && all < order.leaves;
        for (tick, qty) in levels {
            if order.leaves > 0 && !killed {
                let qty = qty.min(order.leaves);
                self.execute(now, &mut order, tick, qty);
            }
        }
        if order.leaves > 0 && gtc {
            let (tick, leaves) = (order.tick, order.leaves);
            self.execute(now, &mut order, tick, leaves);
        } else if order.leaves > 0 {
            self.answer(now, &Order { status: "expired", ..order }, false, None);
        }
    }

    fn execute(&mut self, now: i64, order: &mut Order, tick: i64, qty: i64) {
        order.leaves -= qty;
        order.status = if order.leaves == 0 { "filled" } else { "part" };
        self.answer(now, order, false, Some((tick, qty, false)));
    }
}
