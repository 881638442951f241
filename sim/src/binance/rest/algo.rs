//! Conditional orders: place, cancel, ask.

use optiflow_base::clock::Nanos;
use optiflow_base::money::{Price, Qty};
use optiflow_base::order::{OrderKind, TimeInForce};
use serde::Serialize;

use super::placement::{is_client_id, position_side, self_trade, side};
use super::{Answer, Route, page, week};
use crate::binance::algo::{Algo, AlgoKind, AlgoStatus, Condition, Watched};
use crate::binance::desk::Desk;
use crate::binance::errors::ApiError;
use crate::binance::json;
use crate::binance::params::Params;
use crate::words::{Listing, OrderKey, Placement, Reject, SymbolIndex, Terms};

/// The endpoints of this file.
pub fn route(method: &str, path: &str) -> Option<Route> {
    Some(match (method, path) {
        ("POST", "/fapi/v1/algoOrder") => Route::signed(0, place),
        ("GET", "/fapi/v1/algoOrder") => Route::signed(1, one),
        ("DELETE", "/fapi/v1/algoOrder") => Route::signed(1, cancel),
        ("DELETE", "/fapi/v1/algoOpenOrders") => Route::signed(1, cancel_all),
        ("GET", "/fapi/v1/openAlgoOrders") => Route::signed_per_symbol(1, 40, open),
        ("GET", "/fapi/v1/allAlgoOrders") => Route::signed(5, all),
        _ => return None,
    })
}

/// POST algoOrder.
fn place(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    let algo = read(desk, now, params)?;
    let algo = desk.place_algo(now, algo);
    let row = AlgoRow::new(&algo, desk.listing(algo.placed.symbol));
    json::text(&AlgoRow { activate_price: Some(""), callback_rate: Some(""), ..row })
}

/// `algoOrder.place`: the same without what belongs to trailing stops.
pub fn place_over_frame(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    let algo = read(desk, now, params)?;
    let algo = desk.place_algo(now, algo);
    json::text(&AlgoRow::new(&algo, desk.listing(algo.placed.symbol)))
}

/// DELETE algoOrder, `algoOrder.cancel`.
pub fn cancel(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    let key = key(params)?;
    let waiting = desk.algos().find(&key).filter(|algo| algo.status == AlgoStatus::New);
    let id = waiting.map(|algo| algo.id).ok_or_else(ApiError::unknown_order)?;
    let algo = desk.cancel_algo(now, id).ok_or_else(ApiError::unknown_order)?;
    json::text(&Cancelled { algo_id: id, client_algo_id: algo.placed.client_id, code: "200", msg: "success" })
}

fn cancel_all(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    let symbol = desk.symbol(params)?;
    let waiting = desk.algos().waiting().filter(|algo| algo.placed.symbol == symbol);
    for id in waiting.map(|algo| algo.id).collect::<Vec<_>>() {
        desk.cancel_algo(now, id);
    }
    Ok(json::done("The operation of cancel all open order is done."))
}

fn one(desk: &mut Desk, _: Nanos, params: &Params) -> Answer {
    let algo = desk.algos().find(&key(params)?).ok_or_else(ApiError::no_such_order)?;
    json::text(&row_of_question(desk, algo))
}

fn open(desk: &mut Desk, _: Nanos, params: &Params) -> Answer {
    let symbol = desk.optional_symbol(params)?;
    let wanted = desk.algos().waiting().filter(|algo| symbol.is_none_or(|symbol| algo.placed.symbol == symbol));
    json::text(&wanted.map(|algo| row_of_question(desk, algo)).collect::<Vec<_>>())
}

fn all(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    let symbol = desk.symbol(params)?;
    let (from, limit) = (params.integer("algoId")?, params.limit(500, 1_000)?);
    let (start, end) = week(now, params, 7, from.is_some())?;
    let wanted = desk.algos().all().filter(|algo| {
        let in_time = (start..=end).contains(&algo.created.millis());
        algo.placed.symbol == symbol && algo.id >= from.unwrap_or(0) && in_time
    });
    let rows: Vec<AlgoRow> = wanted.map(|algo| row_of_question(desk, algo)).collect();
    json::text(&page(rows, limit, from.is_some() || params.has("startTime")))
}

/// Reads a new conditional order; what depends on the account is judged when it triggers.
fn read(desk: &mut Desk, now: Nanos, params: &Params) -> Result<Algo, ApiError> {
    if params.mandatory("algoType")? != "CONDITIONAL" {
        return Err(ApiError::invalid("algoType"));
    }
    let symbol = desk.symbol(params)?;
    let side = side(params)?;
    let kind = kind(params)?;
    position_side(params)?;
    let close_position = params.flag("closePosition", ApiError::invalid("closePosition"))?.unwrap_or(false);
    let (price, qty) = price_and_qty(desk, symbol, kind, close_position, params)?;
    let (time_in_force, self_trade) = (time_in_force(params)?, self_trade(params)?);
    let condition = condition(desk, symbol, kind, params)?;
    if condition.is_met(side, desk.watched_price(symbol, condition.watched)) {
        return Err(ApiError::new(-2021, "Order would immediately trigger."));
    }
    let client_id = match params.optional("clientAlgoId")? {
        Some(id) if is_client_id(id) => id.to_owned(),
        Some(_) => return Err(ApiError::client_id()),
        None => desk.client_id(),
    };
    if desk.algos().waiting().any(|algo| algo.placed.client_id == client_id) {
        return Err(ApiError::from_reject(&Reject::DuplicateClientId, price, qty));
    }
    if desk.algos().waiting().count() >= WAITING_MAX {
        return Err(ApiError::new(-4045, "Reach max stop order limit."));
    }
    let reduce_only = params.flag("reduceOnly", ApiError::reduce_only_value())?.unwrap_or(false) || close_position;
    let placed = Placement {
        symbol,
        client_id,
        side,
        kind: if kind.is_market() { OrderKind::Market } else { OrderKind::Limit },
        time_in_force,
        price,
        qty,
        reduce_only,
        self_trade,
        terms: Terms::default(),
    };
    let price_protect = params.flag("priceProtect", ApiError::invalid("priceProtect"))?.unwrap_or(false);
    Ok(Algo {
        id: 0,
        condition,
        placed,
        close_position,
        price_protect,
        status: AlgoStatus::New,
        order: None,
        refused: String::new(),
        created: now,
        updated: now,
        triggered: None,
    })
}

fn kind(params: &Params) -> Result<AlgoKind, ApiError> {
    match params.mandatory("type")? {
        "STOP" => Ok(AlgoKind::Stop),
        "STOP_MARKET" => Ok(AlgoKind::StopMarket),
        "TAKE_PROFIT" => Ok(AlgoKind::TakeProfit),
        "TAKE_PROFIT_MARKET" => Ok(AlgoKind::TakeProfitMarket),
        "TRAILING_STOP_MARKET" => Err(ApiError::unsupported()),
        _ => Err(ApiError::new(-1116, "Invalid orderType.")),
    }
}

fn price_and_qty(
    desk: &Desk,
    symbol: SymbolIndex,
    kind: AlgoKind,
    close_position: bool,
    params: &Params,
) -> Result<(Price, Qty), ApiError> {
    let listing = desk.listing(symbol);
    let price = match kind.is_market() {
        false => params.price("price", listing.price_precision)?,
        true if params.has("price") => return Err(ApiError::not_required("price")),
        true => Price::ZERO,
    };
    if !close_position {
        return Ok((price, params.qty("quantity", listing.qty_precision)?));
    }
    match () {
        () if !kind.is_market() => Err(ApiError::invalid("closePosition")),
        () if params.has("quantity") => Err(ApiError::not_required("quantity")),
        () => Ok((price, Qty::ZERO)),
    }
}

fn condition(desk: &Desk, symbol: SymbolIndex, kind: AlgoKind, params: &Params) -> Result<Condition, ApiError> {
    let listing = desk.listing(symbol);
    let trigger = params.price("triggerPrice", listing.price_precision)?;
    if trigger <= Price::ZERO || trigger.units() % listing.tick_size.units() != 0 {
        let reject = if trigger <= Price::ZERO { Reject::PriceTooLow } else { Reject::PriceOffTick };
        return Err(ApiError::from_reject(&reject, trigger, Qty::ZERO));
    }
    let watched = match params.optional("workingType")? {
        None | Some("CONTRACT_PRICE") => Watched::Contract,
        Some("MARK_PRICE") => Watched::Mark,
        Some(_) => return Err(ApiError::invalid("workingType")),
    };
    Ok(Condition { kind, trigger, watched })
}

/// Good-till-date is not kept for conditional orders here.
fn time_in_force(params: &Params) -> Result<TimeInForce, ApiError> {
    match params.optional("timeInForce")? {
        None | Some("GTC") => Ok(TimeInForce::Gtc),
        Some("IOC") => Ok(TimeInForce::Ioc),
        Some("FOK") => Ok(TimeInForce::Fok),
        Some("GTX") => Ok(TimeInForce::Gtx),
        Some(_) => Err(ApiError::new(-1115, "Invalid timeInForce.")),
    }
}

fn key(params: &Params) -> Result<OrderKey, ApiError> {
    if let Some(id) = params.integer("algoId")? {
        return Ok(OrderKey::Id(id));
    }
    let client_id = params.optional("clientAlgoId")?.map(|id| OrderKey::Client(id.to_owned()));
    client_id.ok_or_else(|| ApiError::missing_either("clientAlgoId", "algoId"))
}

fn row_of_question(desk: &Desk, algo: &Algo) -> AlgoRow {
    let listing = desk.listing(algo.placed.symbol);
    let order = algo.order.and_then(|id| desk.core.order(algo.placed.symbol, &OrderKey::Id(id)));
    AlgoRow {
        actual_order_id: Some(algo.order.map(|id| id.to_string()).unwrap_or_default()),
        actual_price: Some(json::average(order, listing)),
        tp_order_type: Some(""),
        ..AlgoRow::new(algo, listing)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AlgoRow {
    algo_id: u64,
    client_algo_id: String,
    algo_type: &'static str,
    order_type: &'static str,
    symbol: String,
    side: &'static str,
    position_side: &'static str,
    time_in_force: &'static str,
    quantity: String,
    algo_status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    actual_order_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actual_price: Option<String>,
    trigger_price: String,
    price: String,
    iceberg_quantity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tp_order_type: Option<&'static str>,
    self_trade_prevention_mode: &'static str,
    working_type: &'static str,
    price_match: &'static str,
    close_position: bool,
    price_protect: bool,
    reduce_only: bool,
    create_time: u64,
    update_time: u64,
    trigger_time: u64,
    good_till_date: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    activate_price: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    callback_rate: Option<&'static str>,
}

impl AlgoRow {
    fn new(algo: &Algo, listing: &Listing) -> AlgoRow {
        let placed = &algo.placed;
        AlgoRow {
            algo_id: algo.id,
            client_algo_id: placed.client_id.clone(),
            algo_type: "CONDITIONAL",
            order_type: algo.condition.kind.name(),
            symbol: listing.name.clone(),
            side: json::side_name(placed.side),
            position_side: "BOTH",
            time_in_force: json::time_in_force_name(placed),
            quantity: json::qty(placed.qty, listing),
            algo_status: algo.status.name(),
            actual_order_id: None,
            actual_price: None,
            trigger_price: json::price(algo.condition.trigger, listing),
            price: json::price(placed.price, listing),
            iceberg_quantity: None,
            tp_order_type: None,
            self_trade_prevention_mode: json::self_trade_name(placed.self_trade),
            working_type: algo.condition.watched.name(),
            price_match: json::price_match_name(placed.terms.price_match),
            close_position: algo.close_position,
            price_protect: algo.price_protect,
            reduce_only: placed.reduce_only,
            create_time: algo.created.millis(),
            update_time: algo.updated.millis(),
            trigger_time: algo.triggered.map_or(0, Nanos::millis),
            good_till_date: 0,
            activate_price: None,
            callback_rate: None,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cancelled {
    algo_id: u64,
    client_algo_id: String,
    code: &'static str,
    msg: &'static str,
}

/// Conditional orders that may wait, over all symbols.
const WAITING_MAX: usize = 200;
