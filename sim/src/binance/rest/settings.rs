//! What can be set: leverage, modes, and the listen key of the user data stream.
//!
//! This exchange is one-way, single-asset and cross margin: asking for what is so already is answered as Binance does,
//! asking for anything else is refused as unsupported rather than acknowledged and ignored.

use optiflow_base::clock::Nanos;
use optiflow_base::money::{Price, Qty};
use serde::Serialize;

use super::{Answer, Route};
use crate::binance::desk::Desk;
use crate::binance::errors::ApiError;
use crate::binance::json;
use crate::binance::params::Params;
use crate::core::brackets::{LEVERAGE_MAX, notional_max};
use crate::words::SymbolIndex;

/// The endpoints of this file.
pub fn route(method: &str, path: &str) -> Option<Route> {
    Some(match (method, path) {
        ("GET", "/fapi/v1/accountConfig") => Route::signed(5, account_config),
        ("GET", "/fapi/v1/symbolConfig") => Route::signed(5, symbol_config),
        ("POST", "/fapi/v1/leverage") => Route::signed(1, set_leverage),
        ("POST", "/fapi/v1/marginType") => Route::signed(1, set_margin_type),
        ("POST", "/fapi/v1/positionMargin") => Route::signed(1, change_position_margin),
        ("GET", "/fapi/v1/positionMargin/history") => Route::signed(1, position_margin_history),
        ("GET", "/fapi/v1/positionSide/dual") => Route::signed(30, position_mode),
        ("POST", "/fapi/v1/positionSide/dual") => Route::signed(1, set_position_mode),
        ("GET", "/fapi/v1/multiAssetsMargin") => Route::signed(30, assets_mode),
        ("POST", "/fapi/v1/multiAssetsMargin") => Route::signed(1, set_assets_mode),
        ("GET", "/fapi/v1/feeBurn") => Route::signed(30, fee_burn),
        ("POST", "/fapi/v1/feeBurn") => Route::signed(1, set_fee_burn),
        ("POST", "/fapi/v1/listenKey") => Route::keyed(1, start_listen_key),
        ("PUT", "/fapi/v1/listenKey") => Route::keyed(1, keep_listen_key),
        ("DELETE", "/fapi/v1/listenKey") => Route::keyed(1, close_listen_key),
        _ => return None,
    })
}

/// POST listenKey, `userDataStream.start`.
pub fn start_listen_key(desk: &mut Desk, now: Nanos, _: &Params) -> Answer {
    json::text(&ListenKey { listen_key: desk.streams.listen_key_start(now) })
}

/// PUT listenKey, `userDataStream.ping`.
pub fn keep_listen_key(desk: &mut Desk, now: Nanos, _: &Params) -> Answer {
    let listen_key = desk.streams.listen_key_keep(now).ok_or_else(ApiError::no_listen_key)?;
    json::text(&ListenKey { listen_key })
}

/// DELETE listenKey, `userDataStream.stop`.
pub fn close_listen_key(desk: &mut Desk, now: Nanos, _: &Params) -> Answer {
    desk.streams.listen_key_close(now);
    Ok("{}".to_owned())
}

fn account_config(_: &mut Desk, _: Nanos, _: &Params) -> Answer {
    json::text(&AccountConfig {
        fee_tier: 0,
        can_trade: true,
        can_deposit: true,
        can_withdraw: true,
        dual_side_position: false,
        update_time: 0,
        multi_assets_margin: false,
        trade_group_id: -1,
    })
}

fn symbol_config(desk: &mut Desk, _: Nanos, params: &Params) -> Answer {
    let named = desk.optional_symbol(params)?;
    let symbols = (0..desk.core.listings().len()).filter(|symbol| named.is_none_or(|named| named == *symbol));
    let row = |symbol: SymbolIndex| {
        let leverage = desk.core.leverage(symbol);
        SymbolConfig {
            symbol: desk.listing(symbol).name.clone(),
            margin_type: "CROSSED",
            is_auto_add_margin: false,
            leverage,
            max_notional_value: notional_max(leverage).to_string(),
        }
    };
    json::text(&symbols.map(row).collect::<Vec<_>>())
}

fn set_leverage(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    let symbol = desk.symbol(params)?;
    let wanted = params.mandatory_integer("leverage")?;
    let leverage = u32::try_from(wanted).ok().filter(|leverage| (1..=LEVERAGE_MAX).contains(leverage));
    let leverage = leverage.ok_or_else(|| ApiError::new(-4028, format!("Leverage {wanted} is not valid")))?;
    let set = desk.set_leverage(now, symbol, leverage);
    set.map_err(|reject| ApiError::from_reject(&reject, Price::ZERO, Qty::ZERO))?;
    let max_notional_value = notional_max(leverage).to_string();
    json::text(&Leverage { leverage, max_notional_value, symbol: desk.listing(symbol).name.clone() })
}

fn set_margin_type(desk: &mut Desk, _: Nanos, params: &Params) -> Answer {
    desk.symbol(params)?;
    match params.mandatory("marginType")? {
        "CROSSED" => Err(ApiError::new(-4046, "No need to change margin type.")),
        "ISOLATED" => Err(ApiError::unsupported()),
        _ => Err(ApiError::invalid("marginType")),
    }
}

/// Margin is moved to and from isolated positions only, and there is none.
fn change_position_margin(desk: &mut Desk, _: Nanos, params: &Params) -> Answer {
    desk.symbol(params)?;
    params.mandatory("amount")?;
    match params.mandatory("type")? {
        "1" | "2" => Err(ApiError::new(-4049, "Add margin only support for isolated position.")),
        _ => Err(ApiError::invalid("type")),
    }
}

fn position_margin_history(desk: &mut Desk, _: Nanos, params: &Params) -> Answer {
    desk.symbol(params)?;
    Ok("[]".to_owned())
}

fn position_mode(_: &mut Desk, _: Nanos, _: &Params) -> Answer {
    Ok("{\"dualSidePosition\":false}".to_owned())
}

fn set_position_mode(_: &mut Desk, _: Nanos, params: &Params) -> Answer {
    if mandatory_flag(params, "dualSidePosition")? {
        return Err(ApiError::unsupported());
    }
    Err(ApiError::new(-4059, "No need to change position side."))
}

fn assets_mode(_: &mut Desk, _: Nanos, _: &Params) -> Answer {
    Ok("{\"multiAssetsMargin\":false}".to_owned())
}

fn set_assets_mode(_: &mut Desk, _: Nanos, params: &Params) -> Answer {
    if mandatory_flag(params, "multiAssetsMargin")? {
        return Err(ApiError::unsupported());
    }
    let msg = "Adjusted asset mode is currently set and does not need to be adjusted repeatedly.";
    Err(ApiError::new(-4171, msg))
}

/// Fees are paid in USDT here.
fn fee_burn(_: &mut Desk, _: Nanos, _: &Params) -> Answer {
    Ok("{\"feeBurn\":false}".to_owned())
}

fn set_fee_burn(_: &mut Desk, _: Nanos, params: &Params) -> Answer {
    if mandatory_flag(params, "feeBurn")? { Err(ApiError::unsupported()) } else { Ok(json::done("success")) }
}

fn mandatory_flag(params: &Params, name: &str) -> Result<bool, ApiError> {
    params.flag(name, ApiError::missing(name))?.ok_or_else(|| ApiError::missing(name))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListenKey {
    listen_key: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Leverage {
    leverage: u32,
    max_notional_value: String,
    symbol: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AccountConfig {
    fee_tier: u32,
    can_trade: bool,
    can_deposit: bool,
    can_withdraw: bool,
    dual_side_position: bool,
    update_time: u64,
    multi_assets_margin: bool,
    trade_group_id: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SymbolConfig {
    symbol: String,
    margin_type: &'static str,
    is_auto_add_margin: bool,
    leverage: u32,
    max_notional_value: String,
}
