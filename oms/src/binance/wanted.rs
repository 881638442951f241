//! What an order was meant to be, as the exchange shows it: for one whose intent we have lost.

use optiflow_base::ids::OrderId;
use optiflow_base::money::Side;
use optiflow_base::order::{NewOrder, OrderKind, Terms, TimeInForce};

/// An order's unchanging side of what was wanted, and when it was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Buy or sell.
    pub side: Side,
    /// Limit or market.
    pub kind: OrderKind,
    /// How long it lives.
    pub time_in_force: TimeInForce,
    /// May it only shrink the position?
    pub reduce_only: bool,
    /// When it was accepted, exchange ms.
    pub time_ms: u64,
}

impl Wanted {
    /// Reads the exchange's words; `None` for words that are not ours.
    pub fn read(side: &str, kind: &str, time_in_force: &str, reduce_only: bool, time_ms: u64) -> Option<Wanted> {
        let side = match side {
            "BUY" => Side::Buy,
            "SELL" => Side::Sell,
            _ => return None,
        };
        let kind = match kind {
            "LIMIT" => OrderKind::Limit,
            "MARKET" => OrderKind::Market,
            _ => return None,
        };
        let time_in_force = match time_in_force {
            "GTC" => TimeInForce::Gtc,
            "IOC" => TimeInForce::Ioc,
            "FOK" => TimeInForce::Fok,
            "GTX" => TimeInForce::Gtx,
            _ => return None,
        };
        Some(Wanted { side, kind, time_in_force, reduce_only, time_ms })
    }

    /// As the order that somebody wanted; `None` when its quantity is not shown.
    pub fn order(&self, id: OrderId, terms: Terms) -> Option<NewOrder> {
        let Wanted { side, kind, time_in_force, reduce_only, .. } = *self;
        let Terms { price, qty } = terms;
        (qty.units() > 0).then_some(NewOrder { id, side, kind, time_in_force, price, qty, reduce_only })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use optiflow_base::money::{Price, Qty};

    #[test]
    fn words_that_are_not_ours_make_no_order() {
        let wanted = Wanted::read("SELL", "LIMIT", "GTX", true, 7).unwrap();
        let (price, qty) = (Price::from_units(5), Qty::from_units(3));
        let order = wanted.order(OrderId::new(1, 2), Terms { price, qty }).unwrap();
        assert_eq!((order.side, order.price, order.qty, order.reduce_only), (Side::Sell, price, qty, true));
        assert_eq!(wanted.order(order.id, Terms { price, qty: Qty::ZERO }), None);
        for (side, kind, tif) in [("", "LIMIT", "GTC"), ("BUY", "STOP", "GTC"), ("BUY", "LIMIT", "GTD")] {
            assert_eq!(Wanted::read(side, kind, tif, false, 0), None);
        }
    }
}
