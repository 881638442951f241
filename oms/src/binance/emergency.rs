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

#[cfg(test)]
mod tests {
    use optiflow_base::clock::{Nanos, VirtualClock};

    use super::*;
    use crate::binance::rest::{answer, client, server};

    fn names(all: &[&str]) -> Vec<SymbolName> {
        all.iter().map(|name| SymbolName::from(name).unwrap()).collect()
    }

    fn listed(clients: &[&str]) -> String {
        let row = |client: &&str| format!(r#"{{"orderId":1,"clientOrderId":"{client}"}}"#);
        answer("200 OK", "", &format!("[{}]", clients.iter().map(row).collect::<Vec<_>>().join(",")))
    }

    /// Method, path and the query without its signed end.
    fn asked(heads: &std::sync::mpsc::Receiver<String>) -> Vec<String> {
        let line = |head: String| head.split("&recvWindow=").next().unwrap_or_default().to_owned();
        heads.try_iter().map(line).collect()
    }

    #[test]
    fn only_orders_of_ours_are_cancelled_one_by_one_and_looked_for_again() {
        let done = answer("200 OK", "", "{}");
        let gone = answer("400 Bad Request", "", r#"{"code":-2011,"msg":"Unknown order sent."}"#);
        let answers = vec![
            listed(&["of-00000001-00000001", "web_abc", "of-00000001-00000002"]),
            done,
            gone,
            listed(&["web_abc"]),
            listed(&[]),
            listed(&[]),
        ];
        let (base, heads) = server(answers);
        let clock = VirtualClock::new(Nanos::from_millis(1_000));
        let left = cancel_ours(&mut client(&base), &clock, &names(&["BTCUSDT", "ETHUSDT"])).unwrap();
        assert_eq!(left, 0);
        let expected = [
            "GET /fapi/v1/openOrders?symbol=BTCUSDT",
            "DELETE /fapi/v1/order?symbol=BTCUSDT&origClientOrderId=of-00000001-00000001",
            "DELETE /fapi/v1/order?symbol=BTCUSDT&origClientOrderId=of-00000001-00000002",
            "GET /fapi/v1/openOrders?symbol=BTCUSDT",
            "GET /fapi/v1/openOrders?symbol=ETHUSDT",
            "GET /fapi/v1/openOrders?symbol=ETHUSDT",
        ];
        assert_eq!(asked(&heads), expected);
    }

    #[test]
    fn what_stays_open_is_counted_after_a_bounded_number_of_rounds() {
        let stuck = || listed(&["of-00000001-00000001"]);
        let refused = || answer("400 Bad Request", "", r#"{"code":-1000,"msg":"?"}"#);
        let rounds = (0..ROUNDS_MAX).flat_map(|_| [refused(), stuck()]);
        let (base, heads) = server(std::iter::once(stuck()).chain(rounds).collect());
        let clock = VirtualClock::new(Nanos::from_millis(1_000));
        assert_eq!(cancel_ours(&mut client(&base), &clock, &names(&["BTCUSDT"])).unwrap(), 1);
        assert_eq!(asked(&heads).len(), 1 + 2 * ROUNDS_MAX);
    }

    #[test]
    fn when_the_exchange_cannot_be_asked_nobody_knows() {
        for bad in [answer("503 Service Unavailable", "", "Service Unavailable."), answer("200 OK", "", "<html>")] {
            let (base, _heads) = server(vec![bad]);
            let clock = VirtualClock::new(Nanos::from_millis(1_000));
            assert!(cancel_ours(&mut client(&base), &clock, &names(&["BTCUSDT"])).is_err());
        }
    }
}
