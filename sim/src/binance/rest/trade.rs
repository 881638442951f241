//! Orders: place, modify, cancel, one by one and in batches, and the dead-man's switch.
//!
//! Every handler ends in one operation on the desk for each order; an item of a batch fails alone.

use std::time::Duration;

use optiflow_base::clock::Nanos;
use optiflow_base::money::{Notional, Price, Qty};
use optiflow_base::order::TimeInForce;

use super::placement::{Show, no_extras, order_key, placement, price, side};
use super::{Answer, Route};
use crate::binance::desk::{Change, Desk};
use crate::binance::errors::ApiError;
use crate::binance::json::{self, OrderAnswer};
use crate::binance::params::{Params, RawObject};
use crate::words::{Amendment, Order, OrderKey, OrderStatus, Placement, Reject};

/// The endpoints of this file.
pub fn route(method: &str, path: &str) -> Option<Route> {
    Some(match (method, path) {
        ("POST", "/fapi/v1/order") => Route::ordering(0, 1, place),
        ("PUT", "/fapi/v1/order") => Route::ordering(0, 1, modify),
        ("DELETE", "/fapi/v1/order") => Route::signed(1, cancel),
        ("POST", "/fapi/v1/order/test") => Route::signed(1, test),
        ("POST", "/fapi/v1/batchOrders") => Route::ordering(5, BATCH_MAX as u32, place_batch),
        ("PUT", "/fapi/v1/batchOrders") => Route::ordering(5, BATCH_MAX as u32, modify_batch),
        ("DELETE", "/fapi/v1/batchOrders") => Route::signed(1, cancel_batch),
        ("DELETE", "/fapi/v1/allOpenOrders") => Route::signed(1, cancel_all),
        ("POST", "/fapi/v1/countdownCancelAll") => Route::signed(10, countdown),
        _ => return None,
    })
}

/// POST order, `order.place`.
pub fn place(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    json::text(&place_one(desk, now, params)?)
}

/// PUT order.
fn modify(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    json::text(&modify_paired(desk, now, params)?)
}

/// `order.modify`: the same without the pair.
pub fn modify_over_frame(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    json::text(&modify_one(desk, now, params)?)
}

/// DELETE order, `order.cancel`.
pub fn cancel(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    let symbol = desk.symbol(params)?;
    let key = order_key(params)?;
    let order = desk.cancel(now, symbol, &key).map_err(|reject| refusal(&reject, Price::ZERO, Qty::ZERO))?;
    json::text(&OrderAnswer::new(&order, desk.listing(symbol)))
}

/// POST order/test: every check of a new order, and no order.
fn test(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    let (placed, _) = placement(desk, now, params)?;
    let (price, qty) = (placed.price, placed.qty);
    let admitted = desk.core.admit(placed).map_err(|reject| refusal(&reject, price, qty))?;
    let order = accepted(admitted, 0, now);
    json::text(&OrderAnswer::new(&order, desk.listing(order.placed.symbol)))
}

fn place_batch(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    batch(desk, now, params, "Invalid number of batch place orders.", place_one)
}

fn modify_batch(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    batch(desk, now, params, "Invalid number of batch modify orders.", modify_paired)
}

/// DELETE batchOrders: by exchange ids or by client ids.
fn cancel_batch(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    let symbol = desk.symbol(params)?;
    let mut items = Vec::new();
    for key in cancel_keys(params)? {
        let cancelled = desk.cancel(now, symbol, &key).map_err(|reject| refusal(&reject, Price::ZERO, Qty::ZERO));
        let listing = desk.listing(symbol);
        items.push(item(cancelled.map(|order| OrderAnswer::new(&order, listing)))?);
    }
    Ok(array(&items))
}

/// DELETE allOpenOrders.
fn cancel_all(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    let symbol = desk.symbol(params)?;
    desk.cancel_all(now, symbol);
    Ok(json::done("The operation of cancel all open order is done."))
}

/// POST countdownCancelAll.
fn countdown(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    let symbol = desk.symbol(params)?;
    let millis = params.mandatory_integer("countdownTime")?;
    if millis > COUNTDOWN_MAX_MS {
        return Err(ApiError::invalid("countdownTime"));
    }
    desk.set_countdown(now, symbol, Duration::from_millis(millis));
    let name = &desk.listing(symbol).name;
    Ok(format!("{{\"symbol\":\"{name}\",\"countdownTime\":\"{millis}\"}}"))
}

fn place_one(desk: &mut Desk, now: Nanos, params: &Params) -> Result<OrderAnswer, ApiError> {
    let (placed, show) = placement(desk, now, params)?;
    let (price, qty) = (placed.price, placed.qty);
    let order = desk.place(now, placed).map_err(|reject| refusal(&reject, price, qty))?;
    let resting = matches!(order.placed.time_in_force, TimeInForce::Gtc | TimeInForce::Gtx) && !price.is_zero();
    let shown = match show {
        Show::Result if !resting => order,
        Show::Ack | Show::Result => accepted(order.placed, order.id, order.created),
    };
    Ok(OrderAnswer::new(&shown, desk.listing(shown.placed.symbol)))
}

fn modify_paired(desk: &mut Desk, now: Nanos, params: &Params) -> Result<OrderAnswer, ApiError> {
    modify_one(desk, now, params).map(OrderAnswer::paired)
}

fn modify_one(desk: &mut Desk, now: Nanos, params: &Params) -> Result<OrderAnswer, ApiError> {
    let symbol = desk.symbol(params)?;
    let (key, side) = (order_key(params)?, side(params)?);
    let listing = desk.listing(symbol);
    let qty = params.qty("quantity", listing.qty_precision)?;
    let (price, price_match) = price(desk, symbol, side, params)?;
    no_extras(params)?;
    let amendment = Amendment { side, price, price_match, qty };
    let change = Change { symbol, key, amendment, modify_id: params.integer("modifyId")? };
    let order = desk.modify(now, &change).map_err(|reject| {
        if reject == Reject::UnknownOrder { ApiError::no_such_order() } else { refusal(&reject, price, qty) }
    })?;
    Ok(OrderAnswer::new(&order, desk.listing(symbol)).modified(change.modify_id))
}

/// The order as it was at the moment of its acceptance, whatever became of it since.
fn accepted(placed: Placement, id: u64, at: Nanos) -> Order {
    Order {
        id,
        liquidates: false,
        placed,
        status: OrderStatus::New,
        filled: Qty::ZERO,
        filled_quote: Notional::ZERO,
        created: at,
        updated: at,
    }
}

fn refusal(reject: &Reject, price: Price, qty: Qty) -> ApiError {
    ApiError::from_reject(reject, price, qty)
}

fn batch(
    desk: &mut Desk,
    now: Nanos,
    params: &Params,
    wrong_number: &str,
    one: fn(&mut Desk, Nanos, &Params) -> Result<OrderAnswer, ApiError>,
) -> Answer {
    let list: Vec<RawObject> = list(params, "batchOrders")?;
    if list.is_empty() || list.len() > BATCH_MAX {
        return Err(ApiError::new(-4082, wrong_number));
    }
    let mut items = Vec::new();
    for object in &list {
        items.push(item(Params::from_object(object).and_then(|params| one(desk, now, &params)))?);
    }
    Ok(array(&items))
}

fn cancel_keys(params: &Params) -> Result<Vec<OrderKey>, ApiError> {
    let keys: Vec<OrderKey> = if params.has("orderIdList") {
        list::<u64>(params, "orderIdList")?.into_iter().map(OrderKey::Id).collect()
    } else if params.has("origClientOrderIdList") {
        list::<String>(params, "origClientOrderIdList")?.into_iter().map(OrderKey::Client).collect()
    } else {
        return Err(ApiError::missing_either("origClientOrderIdList", "orderIdList"));
    };
    if keys.is_empty() || keys.len() > CANCEL_BATCH_MAX {
        return Err(ApiError::new(-4082, "Invalid number of batch cancel orders."));
    }
    Ok(keys)
}

fn list<T: serde::de::DeserializeOwned>(params: &Params, name: &str) -> Result<Vec<T>, ApiError> {
    serde_json::from_str(params.mandatory(name)?).map_err(|_| ApiError::invalid(name))
}

fn item(outcome: Result<OrderAnswer, ApiError>) -> Answer {
    match outcome {
        Ok(order) => json::text(&order),
        Err(error) => json::text(&error.body()),
    }
}

fn array(items: &[String]) -> String {
    format!("[{}]", items.join(","))
}

/// Orders of a batch.
const BATCH_MAX: usize = 5;
/// Cancels of a batch.
const CANCEL_BATCH_MAX: usize = 10;
/// Longest countdown: thirty days, beyond any use.
const COUNTDOWN_MAX_MS: u64 = 30 * super::DAY_MS;
