//! What must be known and true before the first order: instruments, fees, limits, position mode, leverage, clock.
//!
//! Blocking calls of the control thread at start. Every error names the symbol or the call and says what to do;
//! nothing is assumed that the exchange did not say. Never trades; changes a setting only when it is told to.

use arrayvec::ArrayString;
use optiflow_base::clock::Clock;
use optiflow_base::ids::SymbolName;
use optiflow_base::instrument::Instrument;
use optiflow_base::rest::{Auth, Method, QUERY_LEN_MAX, RestCall};
use serde::Deserialize;

use crate::binance::json::Exact;
use crate::binance::outcome::{Outcome, classify};
use crate::binance::truth;
use crate::error::OmsError;

pub use asker::{Asker, START_PATIENCE, Wait};
pub use exchange_info::rules;
pub use settings::{SettledSettings, SymbolSettings, WantedSettings, settle_settings};
pub use strays::{STRAYS_MAX, Stray, StrayEnd, end_strays};

mod asker;
mod exchange_info;
mod settings;
mod strays;

/// What the exchange allows, for the session's symbols.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The wanted contracts, in the order in which they were asked for; fees are zero until [`fees`] fills them in.
    pub instruments: Vec<Instrument>,
    /// Request weight in a minute.
    pub weight_minute: u32,
    /// Orders in ten seconds and in a minute.
    pub orders: OrderLimits,
}

/// How many orders the account may place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderLimits {
    /// In ten seconds.
    pub ten_seconds: u32,
    /// In a minute.
    pub minute: u32,
}

/// Measures the exchange's clock: the sample with the shortest round trip decides. Signed calls need this first.
pub fn sync_time<C: Clock>(asker: &mut Asker<'_, C>) -> Result<(), OmsError> {
    asker.measure_clock()
}

/// `GET /fapi/v1/exchangeInfo`: the instruments with these names, all trading and settled in `margin_asset`.
pub fn exchange_rules<C: Clock>(
    asker: &mut Asker<'_, C>,
    names: &[SymbolName],
    margin_asset: &str,
) -> Result<Rules, OmsError> {
    let reply = asker.ask(&call(Method::Get, EXCHANGE_INFO, "", Auth::Open, 1))?;
    rules(&reply.body, names, margin_asset)
}

/// `GET /fapi/v1/commissionRate`: fills in what the account pays.
pub fn fees<C: Clock>(asker: &mut Asker<'_, C>, instruments: &mut [Instrument]) -> Result<(), OmsError> {
    for instrument in instruments {
        let raw: RawCommission = asker.get(COMMISSION, &symbol_query(&instrument.name), 20)?;
        instrument.maker_fee_ppm = ppm_up(raw.maker_commission_rate.0);
        instrument.taker_fee_ppm = ppm_up(raw.taker_commission_rate.0);
    }
    Ok(())
}

/// `GET /fapi/v1/positionSide/dual`: the account must be in one-way mode.
pub fn require_one_way<C: Clock>(asker: &mut Asker<'_, C>) -> Result<(), OmsError> {
    let raw: RawDual = asker.get(DUAL, "", 30)?;
    if raw.dual_side_position { Err(OmsError::HedgeMode) } else { Ok(()) }
}

/// `GET /fapi/v1/rateLimit/order`: the account's own limits, which may be higher than the common ones.
pub fn order_limits<C: Clock>(asker: &mut Asker<'_, C>) -> Result<OrderLimits, OmsError> {
    let raw: Vec<RawLimit> = asker.get(ORDER_LIMITS, "", 1)?;
    order_limits_of(ORDER_LIMITS, &raw)
}

pub(super) fn call(method: Method, path: &'static str, query: &str, auth: Auth, weight: u32) -> RestCall {
    let query = ArrayString::from(query).unwrap_or_default();
    RestCall { token: 0, method, path, query, auth, weight }
}

pub(super) fn symbol_query(name: &SymbolName) -> ArrayString<QUERY_LEN_MAX> {
    let mut query = ArrayString::from("symbol=").unwrap_or_default();
    query.push_str(name);
    query
}

/// Turns anything but a yes into an error that shows the exchange's words.
pub(super) fn check(path: &'static str, status: u16, body: &[u8]) -> Result<(), OmsError> {
    if (200..300).contains(&status) {
        return Ok(());
    }
    let error = truth::error(body);
    match classify(status, error.code, &error.text) {
        Outcome::Accepted => Ok(()),
        Outcome::Refused | Outcome::Unknown => Err(OmsError::Call { path, status, code: error.code, text: error.text }),
    }
}

fn answer(path: &'static str, error: &serde_json::Error) -> OmsError {
    OmsError::Answer { path, reason: error.to_string() }
}

/// A share in ppm, rounded up: a fee is never taken to be smaller than it is.
fn ppm_up(units: i64) -> i64 {
    units.div_euclid(UNITS_PER_PPM) + i64::from(units.rem_euclid(UNITS_PER_PPM) != 0)
}

fn order_limits_of(path: &'static str, limits: &[RawLimit]) -> Result<OrderLimits, OmsError> {
    let find = |interval: &str, number: u32| {
        let same =
            |raw: &&RawLimit| raw.rate_limit_type == "ORDERS" && raw.interval == interval && raw.interval_num == number;
        let reason = || OmsError::Answer { path, reason: format!("no ORDERS limit of {number} {interval}") };
        limits.iter().find(same).map(|raw| raw.limit).ok_or_else(reason)
    };
    Ok(OrderLimits { ten_seconds: find("SECOND", 10)?, minute: find("MINUTE", 1)? })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawLimit {
    rate_limit_type: String,
    interval: String,
    interval_num: u32,
    limit: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawCommission {
    maker_commission_rate: Exact,
    taker_commission_rate: Exact,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDual {
    dual_side_position: bool,
}

const TIME: &str = "/fapi/v1/time";
const EXCHANGE_INFO: &str = "/fapi/v1/exchangeInfo";
const COMMISSION: &str = "/fapi/v1/commissionRate";
const DUAL: &str = "/fapi/v1/positionSide/dual";
const ORDER_LIMITS: &str = "/fapi/v1/rateLimit/order";
/// A ratio of 10⁻⁸ in ppm.
const UNITS_PER_PPM: i64 = 100;
