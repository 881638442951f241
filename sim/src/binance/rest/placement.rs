//! The parameters of a new order, read and judged before the core sees them.
//!
//! What only the wire can get wrong is refused here (names, spelling, precision, what does not belong together); what
//! depends on the market or the account is the core's to refuse. Changes nothing but for the client id it may have to make up.

use optiflow_base::clock::Nanos;
use optiflow_base::money::{Price, Side};
use optiflow_base::order::{OrderKind, TimeInForce};

use crate::binance::desk::Desk;
use crate::binance::errors::ApiError;
use crate::binance::params::Params;
use crate::words::{OrderKey, Placement, PriceMatch, SelfTrade, SymbolIndex, Terms};

/// How much of the outcome an order answer shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// That it was accepted.
    Ack,
    /// What became of it, where that is known at once.
    Result,
}

/// Reads the parameters of a new order.
pub fn placement(desk: &mut Desk, now: Nanos, params: &Params) -> Result<(Placement, Show), ApiError> {
    let symbol = desk.symbol(params)?;
    let side = side(params)?;
    let kind = kind(params)?;
    position_side(params)?;
    let (time_in_force, good_till) = time_in_force(now, params, kind)?;
    let qty = params.qty("quantity", desk.listing(symbol).qty_precision)?;
    let (price, price_match) = match kind {
        OrderKind::Limit => price(desk, symbol, side, params)?,
        OrderKind::Market if params.has("price") => return Err(ApiError::not_required("price")),
        OrderKind::Market if price_match(params)? != PriceMatch::None => {
            let msg = "Price match only supports order type: LIMIT, STOP AND TAKE_PROFIT";
            return Err(ApiError::new(-5038, msg));
        }
        OrderKind::Market => (Price::ZERO, PriceMatch::None),
    };
    no_extras(params)?;
    if good_till.is_none() && params.integer("goodTillDate")?.is_some_and(|date| date > 0) {
        return Err(ApiError::not_required("goodTillDate"));
    }
    let reduce_only = params.flag("reduceOnly", ApiError::reduce_only_value())?.unwrap_or(false);
    let self_trade = self_trade(params)?;
    let show = show(params)?;
    let client_id = match params.optional("newClientOrderId")? {
        Some(id) if is_client_id(id) => id.to_owned(),
        Some(_) => return Err(ApiError::client_id()),
        None => desk.client_id(),
    };
    let terms = Terms { good_till, price_match };
    let placed = Placement { symbol, client_id, side, kind, time_in_force, price, qty, reduce_only, self_trade, terms };
    Ok((placed, show))
}

/// `BUY` or `SELL`; -1117 for anything else.
pub fn side(params: &Params) -> Result<Side, ApiError> {
    match params.mandatory("side")? {
        "BUY" => Ok(Side::Buy),
        "SELL" => Ok(Side::Sell),
        _ => Err(ApiError::new(-1117, "Invalid side.")),
    }
}

/// The price of a limit order: as it was sent, or as the book has it where a price match asks for that.
pub fn price(desk: &Desk, symbol: SymbolIndex, side: Side, params: &Params) -> Result<(Price, PriceMatch), ApiError> {
    let price_match = price_match(params)?;
    let (of, place) = match price_match {
        PriceMatch::None => {
            let price = params.price("price", desk.listing(symbol).price_precision)?;
            return Ok((price, PriceMatch::None));
        }
        PriceMatch::Opponent => (side.opposite(), 1),
        PriceMatch::Opponent5 => (side.opposite(), 5),
        PriceMatch::Queue => (side, 1),
        PriceMatch::Queue5 => (side, 5),
        PriceMatch::Queue10 => (side, 10),
        PriceMatch::Queue20 => (side, 20),
    };
    if params.has("price") {
        return Err(ApiError::not_required("price"));
    }
    let level = desk.core.book(symbol).shown(of).nth(place - 1);
    let level = level.ok_or_else(|| ApiError::new(-5041, "No depth matches this BBO order"))?;
    Ok((level.price, price_match))
}

/// The modes that may be asked for; the deeper opponents are switched off.
fn price_match(params: &Params) -> Result<PriceMatch, ApiError> {
    match params.optional("priceMatch")? {
        None | Some("NONE") => Ok(PriceMatch::None),
        Some("OPPONENT") => Ok(PriceMatch::Opponent),
        Some("OPPONENT_5") => Ok(PriceMatch::Opponent5),
        Some("QUEUE") => Ok(PriceMatch::Queue),
        Some("QUEUE_5") => Ok(PriceMatch::Queue5),
        Some("QUEUE_10") => Ok(PriceMatch::Queue10),
        Some("QUEUE_20") => Ok(PriceMatch::Queue20),
        Some(_) => Err(ApiError::new(-5037, "Invalid price match.")),
    }
}

/// How the parameters name an order; the exchange's id goes first.
pub fn order_key(params: &Params) -> Result<OrderKey, ApiError> {
    if let Some(id) = params.integer("orderId")? {
        return Ok(OrderKey::Id(id));
    }
    match params.optional("origClientOrderId")? {
        Some(id) if is_client_id(id) => Ok(OrderKey::Client(id.to_owned())),
        Some(_) => Err(ApiError::illegal_characters("origClientOrderId", CLIENT_ID_LEGAL)),
        None => Err(ApiError::missing_either("origClientOrderId", "orderId")),
    }
}

/// Refuses what only conditional orders carry.
pub fn no_extras(params: &Params) -> Result<(), ApiError> {
    if params.flag("closePosition", ApiError::invalid("closePosition"))? == Some(true) {
        return Err(ApiError::conditional_order());
    }
    for name in ["stopPrice", "activationPrice", "callbackRate"] {
        if params.has(name) {
            return Err(ApiError::not_required(name));
        }
    }
    Ok(())
}

fn kind(params: &Params) -> Result<OrderKind, ApiError> {
    match params.mandatory("type")? {
        "LIMIT" => Ok(OrderKind::Limit),
        "MARKET" => Ok(OrderKind::Market),
        "STOP" | "STOP_MARKET" | "TAKE_PROFIT" | "TAKE_PROFIT_MARKET" | "TRAILING_STOP_MARKET" => {
            Err(ApiError::conditional_order())
        }
        _ => Err(ApiError::new(-1116, "Invalid orderType.")),
    }
}

/// How long the order lives, and its last moment when it has one.
fn time_in_force(now: Nanos, params: &Params, kind: OrderKind) -> Result<(TimeInForce, Option<Nanos>), ApiError> {
    match kind {
        OrderKind::Market if params.has("timeInForce") => return Err(ApiError::not_required("timeInForce")),
        OrderKind::Market => return Ok((TimeInForce::Gtc, None)),
        OrderKind::Limit => {}
    }
    match params.mandatory("timeInForce")? {
        "GTC" => Ok((TimeInForce::Gtc, None)),
        "IOC" => Ok((TimeInForce::Ioc, None)),
        "FOK" => Ok((TimeInForce::Fok, None)),
        "GTX" => Ok((TimeInForce::Gtx, None)),
        "GTD" => Ok((TimeInForce::Gtc, Some(good_till(now, params)?))),
        _ => Err(ApiError::new(-1115, "Invalid timeInForce.")),
    }
}

/// The last moment of a good-till-date order: whole seconds, more than ten minutes away.
fn good_till(now: Nanos, params: &Params) -> Result<Nanos, ApiError> {
    let date = params.mandatory_integer("goodTillDate")?;
    if date <= now.millis() + GOOD_TILL_MIN_MS || date >= GOOD_TILL_MAX_MS {
        let msg = "The goodTillDate timestamp must be greater than the current time plus 600 seconds and smaller than \
                   253402300799000";
        return Err(ApiError::new(-5040, msg));
    }
    // The last dates do not fit into nanoseconds: such an order lives as long as time can be told.
    let latest_ms = u64::MAX / 1_000_000_000 * 1_000;
    Ok(Nanos::from_millis(date.min(latest_ms) / 1_000 * 1_000))
}

/// One-way mode knows `BOTH` alone.
pub fn position_side(params: &Params) -> Result<(), ApiError> {
    match params.optional("positionSide")? {
        None | Some("BOTH") => Ok(()),
        Some("LONG" | "SHORT") => Err(ApiError::new(-4061, "Order's position side does not match user's setting.")),
        Some(_) => Err(ApiError::new(-4060, "Invalid position side.")),
    }
}

/// What happens when it would meet an own order.
pub fn self_trade(params: &Params) -> Result<SelfTrade, ApiError> {
    match params.optional("selfTradePreventionMode")? {
        None | Some("EXPIRE_MAKER") => Ok(SelfTrade::ExpireMaker),
        Some("EXPIRE_TAKER") => Ok(SelfTrade::ExpireTaker),
        Some("EXPIRE_BOTH") => Ok(SelfTrade::ExpireBoth),
        Some("NONE") => Ok(SelfTrade::None),
        Some(_) => Err(ApiError::new(-5039, "Invalid self trade prevention mode.")),
    }
}

fn show(params: &Params) -> Result<Show, ApiError> {
    match params.optional("newOrderRespType")? {
        None | Some("ACK") => Ok(Show::Ack),
        Some("RESULT") => Ok(Show::Result),
        Some(_) => Err(ApiError::new(-1136, "Invalid newOrderRespType")),
    }
}

/// May a client order id look like this?
pub fn is_client_id(id: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'/' | b'_' | b'-');
    (1..=CLIENT_ID_LEN_MAX).contains(&id.len()) && id.bytes().all(legal)
}

/// A good-till-date order lives longer than this.
const GOOD_TILL_MIN_MS: u64 = 600_000;
/// Dates that Binance takes lie before the year 10000.
const GOOD_TILL_MAX_MS: u64 = 253_402_300_799_000;
/// Longest client order id.
const CLIENT_ID_LEN_MAX: usize = 36;
/// What a client order id may look like, as Binance says it.
const CLIENT_ID_LEGAL: &str = r"^[\.A-Z\:/a-z0-9_-]{1,36}$";
