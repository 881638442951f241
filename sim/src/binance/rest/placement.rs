//! The parameters of a new order, read and judged before the core sees them.
//!
//! What only the wire can get wrong is refused here (names, spelling, precision, what does not belong together); what
//! depends on the market or the account is the core's to refuse. Pure but for the client id it may have to make up.

use optiflow_base::money::{Price, Side};
use optiflow_base::order::{OrderKind, TimeInForce};

use crate::binance::desk::Desk;
use crate::binance::errors::ApiError;
use crate::binance::params::Params;
use crate::words::{OrderKey, Placement, SelfTrade};

/// How much of the outcome an order answer shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// That it was accepted.
    Ack,
    /// What became of it, where that is known at once.
    Result,
}

/// Reads the parameters of a new order.
pub fn placement(desk: &mut Desk, params: &Params) -> Result<(Placement, Show), ApiError> {
    let symbol = desk.symbol(params)?;
    let side = side(params)?;
    let kind = kind(params)?;
    position_side(params)?;
    let (price_precision, qty_precision) = {
        let listing = desk.listing(symbol);
        (listing.price_precision, listing.qty_precision)
    };
    let time_in_force = time_in_force(params, kind)?;
    let qty = params.qty("quantity", qty_precision)?;
    let price = match kind {
        OrderKind::Limit => params.price("price", price_precision)?,
        OrderKind::Market if params.has("price") => return Err(ApiError::not_required("price")),
        OrderKind::Market => Price::ZERO,
    };
    no_extras(params)?;
    let reduce_only = params.flag("reduceOnly", ApiError::reduce_only_value())?.unwrap_or(false);
    let self_trade = self_trade(params)?;
    let show = show(params)?;
    let client_id = match params.optional("newClientOrderId")? {
        Some(id) if is_client_id(id) => id.to_owned(),
        Some(_) => return Err(ApiError::client_id()),
        None => desk.client_id(),
    };
    Ok((Placement { symbol, client_id, side, kind, time_in_force, price, qty, reduce_only, self_trade }, show))
}

/// `BUY` or `SELL`; -1117 for anything else.
pub fn side(params: &Params) -> Result<Side, ApiError> {
    match params.mandatory("side")? {
        "BUY" => Ok(Side::Buy),
        "SELL" => Ok(Side::Sell),
        _ => Err(ApiError::new(-1117, "Invalid side.")),
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

/// Refuses what a modification or a new order cannot carry here: the market's own prices, conditions, expiry dates.
pub fn no_extras(params: &Params) -> Result<(), ApiError> {
    if params.optional("priceMatch")?.is_some_and(|mode| mode != "NONE") {
        return Err(ApiError::new(-5037, "Invalid price match."));
    }
    if params.flag("closePosition", ApiError::invalid("closePosition"))? == Some(true) {
        return Err(ApiError::conditional_order());
    }
    for name in ["stopPrice", "activationPrice", "callbackRate"] {
        if params.has(name) {
            return Err(ApiError::not_required(name));
        }
    }
    if params.integer("goodTillDate")?.is_some_and(|date| date > 0) {
        return Err(ApiError::not_required("goodTillDate"));
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

fn time_in_force(params: &Params, kind: OrderKind) -> Result<TimeInForce, ApiError> {
    match kind {
        OrderKind::Market if params.has("timeInForce") => return Err(ApiError::not_required("timeInForce")),
        OrderKind::Market => return Ok(TimeInForce::Gtc),
        OrderKind::Limit => {}
    }
    match params.mandatory("timeInForce")? {
        "GTC" => Ok(TimeInForce::Gtc),
        "IOC" => Ok(TimeInForce::Ioc),
        "FOK" => Ok(TimeInForce::Fok),
        "GTX" => Ok(TimeInForce::Gtx),
        _ => Err(ApiError::new(-1115, "Invalid timeInForce.")),
    }
}

/// One-way mode knows `BOTH` alone.
fn position_side(params: &Params) -> Result<(), ApiError> {
    match params.optional("positionSide")? {
        None | Some("BOTH") => Ok(()),
        Some("LONG" | "SHORT") => Err(ApiError::new(-4061, "Order's position side does not match user's setting.")),
        Some(_) => Err(ApiError::new(-4060, "Invalid position side.")),
    }
}

fn self_trade(params: &Params) -> Result<SelfTrade, ApiError> {
    match params.optional("selfTradePreventionMode")? {
        None | Some("EXPIRE_MAKER") => Ok(SelfTrade::ExpireMaker),
        Some("EXPIRE_TAKER") => Ok(SelfTrade::ExpireTaker),
        Some("EXPIRE_BOTH") => Ok(SelfTrade::ExpireBoth),
        Some("NONE") => Ok(SelfTrade::None),
        Some(_) => Err(ApiError::new(-5038, "Invalid self trade prevention mode.")),
    }
}

fn show(params: &Params) -> Result<Show, ApiError> {
    match params.optional("newOrderRespType")? {
        None | Some("ACK") => Ok(Show::Ack),
        Some("RESULT") => Ok(Show::Result),
        Some(_) => Err(ApiError::new(-1136, "Invalid newOrderRespType")),
    }
}

fn is_client_id(id: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'/' | b'_' | b'-');
    (1..=CLIENT_ID_LEN_MAX).contains(&id.len()) && id.bytes().all(legal)
}

/// Longest client order id.
const CLIENT_ID_LEN_MAX: usize = 36;
/// What a client order id may look like, as Binance says it.
const CLIENT_ID_LEGAL: &str = r"^[\.A-Z\:/a-z0-9_-]{1,36}$";
