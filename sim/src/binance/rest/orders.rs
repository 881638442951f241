//! Questions about orders, fills and modifications of the account.

use optiflow_base::clock::Nanos;
use serde::Serialize;

use super::placement::order_key;
use super::{Answer, DAY_MS, Route, page, week, window};
use crate::binance::desk::Desk;
use crate::binance::errors::ApiError;
use crate::binance::faults::Hidden;
use crate::binance::json::{self, FillRow, OrderRow};
use crate::binance::limits::order_entries;
use crate::binance::params::Params;
use crate::words::{Order, OrderStatus};

/// The endpoints of this file.
pub fn route(method: &str, path: &str) -> Option<Route> {
    if method != "GET" {
        return None;
    }
    Some(match path {
        "/fapi/v1/order" => Route::signed(1, order),
        "/fapi/v1/openOrder" => Route::signed(1, open_order),
        "/fapi/v1/openOrders" => Route::signed_per_symbol(1, 40, open_orders),
        "/fapi/v1/allOrders" => Route::signed(5, all_orders),
        "/fapi/v1/orderAmendment" => Route::signed(1, amendments),
        "/fapi/v1/userTrades" => Route::signed(5, fills),
        "/fapi/v1/forceOrders" => Route::signed_per_symbol(20, 50, forced),
        "/fapi/v1/rateLimit/order" => Route::signed(1, order_limits),
        _ => return None,
    })
}

/// GET order, `order.status`.
pub fn order(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    let symbol = desk.symbol(params)?;
    let order = desk.core.order(symbol, &order_key(params)?);
    let order = order.filter(|order| !is_forgotten(order, now) && !desk.liar.hides(now, Hidden::Query, order.id));
    json::text(&OrderRow::new(order.ok_or_else(ApiError::no_such_order)?, desk.listing(symbol)))
}

fn open_order(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    let symbol = desk.symbol(params)?;
    let order = desk.core.order(symbol, &order_key(params)?);
    let order = order.filter(|order| order.status.is_open() && !desk.liar.hides(now, Hidden::Query, order.id));
    json::text(&OrderRow::new(order.ok_or_else(ApiError::no_such_order)?, desk.listing(symbol)))
}

fn open_orders(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    let symbol = desk.optional_symbol(params)?;
    let mut orders = desk.core.open_orders(symbol);
    orders.retain(|order| !desk.liar.hides(now, Hidden::Listing, order.id));
    json::text(&rows(desk, orders))
}

fn all_orders(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    let symbols = match desk.optional_symbol(params)? {
        Some(symbol) => symbol..symbol + 1,
        None => 0..desk.core.listings().len(),
    };
    let (from, limit) = (params.integer("orderId")?, params.limit(500, 1_000)?);
    let (start, end) = week(now, params, 7, from.is_some())?;
    let wanted = |order: &&Order| {
        let created = order.created.millis();
        let shown = !is_forgotten(order, now) && !desk.liar.hides(now, Hidden::Listing, order.id);
        order.id >= from.unwrap_or(0) && (start..=end).contains(&created) && shown
    };
    let mut orders: Vec<&Order> = symbols.flat_map(|symbol| desk.core.all_orders(symbol)).filter(wanted).collect();
    orders.sort_by_key(|order| order.id);
    json::text(&rows(desk, page(orders, limit, from.is_some() || params.has("startTime"))))
}

fn fills(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    let symbol = desk.symbol(params)?;
    let (order, from, limit) = (params.integer("orderId")?, params.integer("fromId")?, params.limit(500, 1_000)?);
    let (start, end) = week(now, params, 7, order.is_some() || from.is_some())?;
    let wanted = desk.core.fills(Some(symbol)).into_iter().filter(|fill| {
        let of_order = order.is_none_or(|id| fill.order_id == id);
        of_order && fill.trade_id >= from.unwrap_or(0) && (start..=end).contains(&fill.at.millis())
    });
    let listing = desk.listing(symbol);
    let rows: Vec<FillRow> = wanted.map(|fill| FillRow::new(fill, listing)).collect();
    json::text(&page(rows, limit, from.is_some() || params.has("startTime")))
}

/// The account's orders that closed positions for want of margin. No position is ever deleveraged here.
fn forced(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    let symbols = match desk.optional_symbol(params)? {
        Some(symbol) => symbol..symbol + 1,
        None => 0..desk.core.listings().len(),
    };
    let wants_liquidations = params.optional("autoCloseType")?.is_none_or(|kind| kind == "LIQUIDATION");
    let limit = params.limit(50, 100)?;
    let (start, end) = week(now, params, 7, false)?;
    let wanted =
        |order: &&Order| wants_liquidations && order.liquidates && (start..=end).contains(&order.created.millis());
    let mut orders: Vec<&Order> = symbols.flat_map(|symbol| desk.core.all_orders(symbol)).filter(wanted).collect();
    orders.sort_by_key(|order| order.id);
    json::text(&rows(desk, page(orders, limit, params.has("startTime"))))
}

fn order_limits(_: &mut Desk, _: Nanos, _: &Params) -> Answer {
    json::text(&order_entries(None))
}

fn amendments(desk: &mut Desk, _: Nanos, params: &Params) -> Answer {
    let symbol = desk.symbol(params)?;
    let (start, end) = window(params, 7)?;
    let (order, limit) = (params.integer("orderId")?, params.limit(50, 100)?);
    let client = params.optional("origClientOrderId")?;
    let listing = desk.listing(symbol);
    let wanted = desk.records.amendments().filter(|row| {
        let named = order.is_none_or(|id| row.order_id == id) && client.is_none_or(|id| row.client_id == id);
        row.symbol == symbol && named && (start..=end).contains(&row.at.millis())
    });
    let rows: Vec<AmendmentRow> = wanted
        .map(|row| AmendmentRow {
            amendment_id: row.id,
            symbol: listing.name.clone(),
            pair: listing.name.clone(),
            order_id: row.order_id,
            client_order_id: row.client_id.clone(),
            time: row.at.millis(),
            amendment: AmendmentChange {
                price: Values { before: json::price(row.price.0, listing), after: json::price(row.price.1, listing) },
                orig_qty: Values { before: json::qty(row.qty.0, listing), after: json::qty(row.qty.1, listing) },
                count: row.count,
                modify_id: row.modify_id,
            },
        })
        .collect();
    json::text(&page(rows, limit, start > 0))
}

fn rows(desk: &Desk, orders: Vec<&Order>) -> Vec<OrderRow> {
    orders.into_iter().map(|order| OrderRow::new(order, desk.listing(order.placed.symbol))).collect()
}

/// Three days after its end an order without fills is no longer found; ninety days after, none is.
fn is_forgotten(order: &Order, now: Nanos) -> bool {
    let age = now.millis().saturating_sub(order.updated.millis());
    let kept = match order.status {
        OrderStatus::New | OrderStatus::PartiallyFilled => return false,
        OrderStatus::Canceled | OrderStatus::Expired | OrderStatus::ExpiredInMatch if order.filled.is_zero() => 3,
        OrderStatus::Canceled | OrderStatus::Expired | OrderStatus::ExpiredInMatch | OrderStatus::Filled => 90,
    };
    age > kept * DAY_MS
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AmendmentRow {
    amendment_id: u64,
    symbol: String,
    pair: String,
    order_id: u64,
    client_order_id: String,
    time: u64,
    amendment: AmendmentChange,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AmendmentChange {
    price: Values,
    orig_qty: Values,
    count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    modify_id: Option<u64>,
}

#[derive(Serialize)]
struct Values {
    before: String,
    after: String,
}

#[cfg(test)]
mod tests {
    use optiflow_base::money::{Notional, Price, Qty, Side};
    use optiflow_base::order::{OrderKind, TimeInForce};

    use super::*;
    use crate::words::{Placement, SelfTrade, Terms};

    #[test]
    fn ended_orders_are_forgotten_sooner_when_nothing_was_filled() {
        let placed = Placement {
            symbol: 0,
            client_id: "a".to_owned(),
            side: Side::Buy,
            kind: OrderKind::Limit,
            time_in_force: TimeInForce::Gtc,
            price: Price::from_units(1),
            qty: Qty::from_units(2),
            reduce_only: false,
            self_trade: SelfTrade::ExpireMaker,
            terms: Terms::default(),
        };
        let table = [
            (OrderStatus::New, 0, 365, false),
            (OrderStatus::Canceled, 0, 3, false),
            (OrderStatus::Canceled, 0, 4, true),
            (OrderStatus::Expired, 0, 4, true),
            (OrderStatus::Canceled, 1, 4, false),
            (OrderStatus::Canceled, 1, 91, true),
            (OrderStatus::Filled, 2, 90, false),
            (OrderStatus::Filled, 2, 91, true),
        ];
        for (status, filled, days, expected) in table {
            let order = Order {
                id: 1,
                liquidates: false,
                placed: placed.clone(),
                status,
                filled: Qty::from_units(filled),
                filled_quote: Notional::ZERO,
                created: Nanos(0),
                updated: Nanos(0),
            };
            let now = Nanos::from_millis(days * DAY_MS);
            assert_eq!(is_forgotten(&order, now), expected, "{status:?} {filled} {days}");
        }
    }
}
