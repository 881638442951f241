//! Bodies as Binance writes them: field names, their order, decimals as text.
//!
//! What it does: orders, fills and numbers to JSON. What it never does: no decisions, no arithmetic on money beyond
//! rounding for display, and no panic over a digit too many: the market's data is not ours. Plain functions, any thread.

use optiflow_base::clock::Nanos;
use optiflow_base::market::Level;
use optiflow_base::money::{Notional, Price, Qty, Side};
use optiflow_base::order::{OrderKind, TimeInForce};
use serde::Serialize;

use super::errors::ApiError;
use crate::words::{Fill, Listing, Order, OrderStatus, Placement, PriceMatch, SelfTrade};

/// An answer's body.
pub fn text<T: Serialize + ?Sized>(body: &T) -> Result<String, ApiError> {
    serde_json::to_string(body).map_err(|error| ApiError::new(-1000, format!("An unknown error occurred: {error}")))
}

/// An order as POST, PUT and DELETE answer it: without `avgPrice` and `cumQuote`, gone since 2026-07-15.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderAnswer {
    order_id: u64,
    symbol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pair: Option<String>,
    status: &'static str,
    client_order_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    modify_id: Option<u64>,
    price: String,
    orig_qty: String,
    executed_qty: String,
    cum_qty: String,
    time_in_force: &'static str,
    r#type: &'static str,
    reduce_only: bool,
    close_position: bool,
    side: &'static str,
    position_side: &'static str,
    stop_price: String,
    working_type: &'static str,
    price_protect: bool,
    orig_type: &'static str,
    price_match: &'static str,
    self_trade_prevention_mode: &'static str,
    good_till_date: u64,
    update_time: u64,
}

impl OrderAnswer {
    /// The order as it stands.
    pub fn new(order: &Order, listing: &Listing) -> OrderAnswer {
        let placed = &order.placed;
        let kind = kind_name(placed.kind);
        OrderAnswer {
            order_id: order.id,
            symbol: listing.name.clone(),
            pair: None,
            status: status_name(order.status),
            client_order_id: placed.client_id.clone(),
            modify_id: None,
            price: price(placed.price, listing),
            orig_qty: qty(placed.qty, listing),
            executed_qty: qty(order.filled, listing),
            cum_qty: qty(order.filled, listing),
            time_in_force: time_in_force_name(placed),
            r#type: kind,
            reduce_only: placed.reduce_only,
            close_position: false,
            side: side_name(placed.side),
            position_side: "BOTH",
            stop_price: price(Price::ZERO, listing),
            working_type: "CONTRACT_PRICE",
            price_protect: false,
            orig_type: kind,
            price_match: price_match_name(placed.terms.price_match),
            self_trade_prevention_mode: self_trade_name(placed.self_trade),
            good_till_date: placed.terms.good_till.map_or(0, Nanos::millis),
            update_time: order.updated.millis(),
        }
    }

    /// As a modification answers: with the id that the client gave it.
    #[must_use]
    pub fn modified(mut self, modify_id: Option<u64>) -> OrderAnswer {
        self.modify_id = modify_id;
        self
    }

    /// With the pair, which only modifications over REST show.
    #[must_use]
    pub fn paired(mut self) -> OrderAnswer {
        self.pair = Some(self.symbol.clone());
        self
    }
}

/// An order as GET answers it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderRow {
    order_id: u64,
    symbol: String,
    status: &'static str,
    client_order_id: String,
    price: String,
    avg_price: String,
    orig_qty: String,
    executed_qty: String,
    cum_quote: String,
    time_in_force: &'static str,
    r#type: &'static str,
    reduce_only: bool,
    close_position: bool,
    side: &'static str,
    position_side: &'static str,
    stop_price: String,
    working_type: &'static str,
    price_protect: bool,
    orig_type: &'static str,
    price_match: &'static str,
    self_trade_prevention_mode: &'static str,
    good_till_date: u64,
    time: u64,
    update_time: u64,
}

impl OrderRow {
    /// The order as it stands.
    pub fn new(order: &Order, listing: &Listing) -> OrderRow {
        let placed = &order.placed;
        let kind = kind_name(placed.kind);
        let average_units = average_units(order);
        let average = match average_units {
            None => "0.00".to_owned(),
            Some(units) => decimal(units, listing.price_precision + AVERAGE_EXTRA_DECIMALS),
        };
        OrderRow {
            order_id: order.id,
            symbol: listing.name.clone(),
            status: status_name(order.status),
            client_order_id: placed.client_id.clone(),
            price: price(placed.price, listing),
            avg_price: average,
            orig_qty: qty(placed.qty, listing),
            executed_qty: qty(order.filled, listing),
            cum_quote: quote(order.filled_quote, listing),
            time_in_force: time_in_force_name(placed),
            r#type: kind,
            reduce_only: placed.reduce_only,
            close_position: false,
            side: side_name(placed.side),
            position_side: "BOTH",
            stop_price: price(Price::ZERO, listing),
            working_type: "CONTRACT_PRICE",
            price_protect: false,
            orig_type: kind,
            price_match: price_match_name(placed.terms.price_match),
            self_trade_prevention_mode: self_trade_name(placed.self_trade),
            good_till_date: placed.terms.good_till.map_or(0, Nanos::millis),
            time: order.created.millis(),
            update_time: order.updated.millis(),
        }
    }
}

/// A trade of the account.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FillRow {
    buyer: bool,
    commission: String,
    commission_asset: &'static str,
    id: u64,
    maker: bool,
    order_id: u64,
    price: String,
    qty: String,
    quote_qty: String,
    realized_pnl: String,
    side: &'static str,
    position_side: &'static str,
    symbol: String,
    time: u64,
}

impl FillRow {
    /// The fill.
    pub fn new(fill: &Fill, listing: &Listing) -> FillRow {
        FillRow {
            buyer: fill.side == Side::Buy,
            commission: amount(fill.fee),
            commission_asset: "USDT",
            id: fill.trade_id,
            maker: fill.maker,
            order_id: fill.order_id,
            price: price(fill.price, listing),
            qty: qty(fill.qty, listing),
            quote_qty: quote(fill.price.times(fill.qty), listing),
            realized_pnl: if fill.realized.is_zero() { "0".to_owned() } else { amount(fill.realized) },
            side: side_name(fill.side),
            position_side: "BOTH",
            symbol: listing.name.clone(),
            time: fill.at.millis(),
        }
    }
}

/// A book as `depth` answers it.
#[derive(Clone, Debug, Serialize)]
pub struct DepthBody {
    /// Update id of the book.
    #[serde(rename = "lastUpdateId")]
    pub last_id: u64,
    /// When the answer was made.
    #[serde(rename = "E")]
    pub event_ms: u64,
    /// When the book last changed.
    #[serde(rename = "T")]
    pub match_ms: u64,
    /// Best first.
    pub bids: Vec<[String; 2]>,
    /// Best first.
    pub asks: Vec<[String; 2]>,
}

/// `{"code":200,"msg":…}`: done, nothing to show.
pub fn done(msg: &str) -> String {
    format!("{{\"code\":200,\"msg\":\"{msg}\"}}")
}

/// A book level.
pub fn level(level: Level, listing: &Listing) -> [String; 2] {
    [price(level.price, listing), qty(level.qty, listing)]
}

/// Average price of an order's fills with all its decimals; zero while there is none.
pub fn average(order: Option<&Order>, listing: &Listing) -> String {
    decimal(order.and_then(average_units).unwrap_or(0), listing.price_precision + AVERAGE_EXTRA_DECIMALS)
}

fn average_units(order: &Order) -> Option<i128> {
    (order.filled_quote.units() * UNITS).checked_div(i128::from(order.filled.units()))
}

/// A price with the listing's decimals.
pub fn price(price: Price, listing: &Listing) -> String {
    decimal(i128::from(price.units()), listing.price_precision)
}

/// A quantity with the listing's decimals.
pub fn qty(qty: Qty, listing: &Listing) -> String {
    decimal(i128::from(qty.units()), listing.qty_precision)
}

/// Price × quantity with the decimals of both.
pub fn quote(amount: Notional, listing: &Listing) -> String {
    decimal(amount.units(), listing.price_precision + listing.qty_precision)
}

/// An amount of the margin asset: always eight decimals.
pub fn amount(amount: Notional) -> String {
    decimal(amount.units(), DECIMALS)
}

/// `units` of 10⁻⁸ with at most eight `decimals`, cut towards zero.
pub fn decimal(units: i128, decimals: usize) -> String {
    let decimals = decimals.min(DECIMALS);
    let cut = units.unsigned_abs() / 10u128.pow((DECIMALS - decimals) as u32);
    let scale = 10u128.pow(decimals as u32);
    let sign = if units < 0 && cut > 0 { "-" } else { "" };
    let (whole, fraction) = (cut / scale, cut % scale);
    if decimals == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction:0decimals$}") }
}

/// `BUY` or `SELL`
pub const fn side_name(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}

const fn kind_name(kind: OrderKind) -> &'static str {
    match kind {
        OrderKind::Limit => "LIMIT",
        OrderKind::Market => "MARKET",
    }
}

/// As Binance names a price match.
pub(crate) const fn price_match_name(price_match: PriceMatch) -> &'static str {
    match price_match {
        PriceMatch::None => "NONE",
        PriceMatch::Opponent => "OPPONENT",
        PriceMatch::Opponent5 => "OPPONENT_5",
        PriceMatch::Queue => "QUEUE",
        PriceMatch::Queue5 => "QUEUE_5",
        PriceMatch::Queue10 => "QUEUE_10",
        PriceMatch::Queue20 => "QUEUE_20",
    }
}

/// As Binance names how long an order lives.
pub(crate) const fn time_in_force_name(placed: &Placement) -> &'static str {
    match placed.time_in_force {
        TimeInForce::Gtc if placed.terms.good_till.is_some() => "GTD",
        TimeInForce::Gtc => "GTC",
        TimeInForce::Ioc => "IOC",
        TimeInForce::Fok => "FOK",
        TimeInForce::Gtx => "GTX",
    }
}

/// As Binance names self-trade prevention.
pub(crate) const fn self_trade_name(mode: SelfTrade) -> &'static str {
    match mode {
        SelfTrade::None => "NONE",
        SelfTrade::ExpireTaker => "EXPIRE_TAKER",
        SelfTrade::ExpireMaker => "EXPIRE_MAKER",
        SelfTrade::ExpireBoth => "EXPIRE_BOTH",
    }
}

const fn status_name(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::New => "NEW",
        OrderStatus::PartiallyFilled => "PARTIALLY_FILLED",
        OrderStatus::Filled => "FILLED",
        OrderStatus::Canceled => "CANCELED",
        OrderStatus::Expired => "EXPIRED",
        OrderStatus::ExpiredInMatch => "EXPIRED_IN_MATCH",
    }
}

/// Units per whole, wide enough for products.
const UNITS: i128 = 100_000_000;
/// Decimals of an amount.
const DECIMALS: usize = 8;
/// Decimals that an average price has beyond those of a price.
const AVERAGE_EXTRA_DECIMALS: usize = 3;
