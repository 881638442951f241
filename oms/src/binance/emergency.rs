//! The last resort when the oms stage is gone: find our own open orders by REST and cancel them one by one.
//!
//! Blocks; runs on the main thread after the pipeline has failed. Touches only orders that carry our prefix; never
//! trades. Says how many may still be open.

use optiflow_base::clock::Clock;
use optiflow_base::ids::{ORDER_PREFIX, SymbolName};
use optiflow_base::rest::{Auth, Method};
use serde::Deserialize;

use crate::binance::rest::RestClient;
use crate::binance::setup::{call, get, symbol_query};
use crate::error::OmsError;

/// Cancels every open order of ours on `symbols` and looks again; answers how many are still open.
///
/// # Errors
/// When the exchange cannot be asked: then nobody knows how many.
pub fn cancel_ours(client: &mut RestClient, clock: &impl Clock, symbols: &[SymbolName]) -> Result<usize, OmsError> {
    let mut left = 0;
    for symbol in symbols {
        let mut open = ours(client, clock, symbol)?;
        for _ in 0..ROUNDS_MAX {
            for order in &open {
                let mut query = symbol_query(symbol);
                query.push_str("&origClientOrderId=");
                query.push_str(&order.client_order_id);
                // A refusal mostly means that it is gone already: the next look tells.
                client.perform(&call(Method::Delete, ORDER, &query, Auth::Signed, 1), clock);
            }
            open = ours(client, clock, symbol)?;
            if open.is_empty() {
                break;
            }
        }
        left += open.len();
    }
    Ok(left)
}

fn ours(client: &mut RestClient, clock: &impl Clock, symbol: &SymbolName) -> Result<Vec<RawOrder>, OmsError> {
    let mut open: Vec<RawOrder> = get(client, clock, OPEN_ORDERS, &symbol_query(symbol), 1)?;
    open.retain(|order| order.client_order_id.starts_with(ORDER_PREFIX));
    Ok(open)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawOrder {
    client_order_id: String,
}

const ORDER: &str = "/fapi/v1/order";
const OPEN_ORDERS: &str = "/fapi/v1/openOrders";
/// Looks and cancels, per symbol.
const ROUNDS_MAX: usize = 3;
