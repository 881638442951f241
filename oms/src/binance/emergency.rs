//! The last resort when the oms stage is gone or found no end: find our own open orders by REST and cancel them.
//!
//! Blocks; runs on the main thread after the pipeline has failed, for a bounded time. Touches only orders that carry our
//! prefix; never trades. Says how many may still be open.

use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos};
use optiflow_base::ids::{ORDER_PREFIX, SymbolName};
use optiflow_base::rest::{Auth, Method};
use serde::Deserialize;

use crate::binance::rest::RestClient;
use crate::binance::setup::{call, check, symbol_query};
use crate::error::OmsError;

/// Cancels every open order of ours on `symbols` and looks again, for `span` at most, with a `pause` between looks;
/// answers how many were open at the last look.
///
/// # Errors
/// When the exchange could not be asked: then nobody knows how many.
pub fn cancel_ours<C: Clock>(
    client: &mut RestClient,
    clock: &C,
    symbols: &[SymbolName],
    span: Duration,
    pause: &mut dyn FnMut(Duration),
) -> Result<usize, OmsError> {
    let mut hand = Hand { client, clock, end: clock.now() + span };
    let mut open: Vec<Option<usize>> = vec![None; symbols.len()];
    let mut trouble = None;
    for round in 0..ROUNDS_MAX {
        for (symbol, open) in symbols.iter().zip(&mut open).filter(|(_, open)| **open != Some(0)) {
            match hand.look(symbol) {
                Ok(seen) => {
                    *open = Some(seen.ours.len());
                    hand.cancel(symbol, &seen);
                }
                Err(error) => trouble = Some(error),
            }
        }
        if open.iter().all(|open| *open == Some(0)) || hand.is_late() || round + 1 == ROUNDS_MAX {
            break;
        }
        pause(LOOK_AGAIN);
    }
    match trouble.filter(|_| open.iter().any(Option::is_none)) {
        Some(error) => Err(error),
        None => Ok(open.into_iter().flatten().sum()),
    }
}

struct Hand<'a, C: Clock> {
    client: &'a mut RestClient,
    clock: &'a C,
    end: Nanos,
}

/// What is open in a symbol.
struct Seen {
    ours: Vec<String>,
    /// Somebody else has orders there too.
    shared: bool,
}

impl<C: Clock> Hand<'_, C> {
    fn look(&mut self, symbol: &SymbolName) -> Result<Seen, OmsError> {
        let reply = self.perform(Method::Get, OPEN_ORDERS, &symbol_query(symbol));
        check(OPEN_ORDERS, reply.status, &reply.body)?;
        let rows: Vec<RawOrder> = serde_json::from_slice(&reply.body)
            .map_err(|error| OmsError::Answer { path: OPEN_ORDERS, reason: error.to_string() })?;
        let (ours, others): (Vec<_>, Vec<_>) =
            rows.into_iter().map(|row| row.client_order_id).partition(|client| client.starts_with(ORDER_PREFIX));
        Ok(Seen { ours, shared: !others.is_empty() })
    }

    /// A refusal mostly means that it is gone already: the next look tells.
    fn cancel(&mut self, symbol: &SymbolName, seen: &Seen) {
        if !seen.shared && !seen.ours.is_empty() {
            self.perform(Method::Delete, ALL_OPEN_ORDERS, &symbol_query(symbol));
            return;
        }
        for client in &seen.ours {
            if self.is_late() {
                return;
            }
            let mut query = symbol_query(symbol);
            query.push_str("&origClientOrderId=");
            query.push_str(client);
            self.perform(Method::Delete, ORDER, &query);
        }
    }

    fn is_late(&self) -> bool {
        self.clock.now() >= self.end
    }

    /// No call outlasts the end by more than the least that makes sense.
    fn perform(&mut self, method: Method, path: &'static str, query: &str) -> optiflow_base::rest::RestReply {
        let left = Duration::from_nanos(self.end.since(self.clock.now().min(self.end)));
        self.client.limit_calls(left.max(CALL_LEAST));
        self.client.perform(&call(method, path, query, Auth::Signed, 1), self.clock)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawOrder {
    client_order_id: String,
}

const ORDER: &str = "/fapi/v1/order";
const OPEN_ORDERS: &str = "/fapi/v1/openOrders";
const ALL_OPEN_ORDERS: &str = "/fapi/v1/allOpenOrders";
/// Looks in all; time ends them sooner.
const ROUNDS_MAX: usize = 40;
/// From one look to the next.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// A call that gets less cannot be answered.
const CALL_LEAST: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use optiflow_base::clock::VirtualClock;

    use super::*;
    use crate::binance::rest::{answer, client, server};

    /// Five seconds of a clock that only the pauses move.
    fn cancelled(base: &str, symbols: &[&str]) -> Result<usize, OmsError> {
        let clock = VirtualClock::new(Nanos::from_millis(1_000));
        let mut pause = |span| clock.advance_to(clock.now() + span);
        cancel_ours(&mut client(base), &clock, &names(symbols), Duration::from_millis(300), &mut pause)
    }

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
    fn beside_strangers_only_ours_are_cancelled_one_by_one_and_looked_for_again() {
        let done = answer("200 OK", "", "{}");
        let gone = answer("400 Bad Request", "", r#"{"code":-2011,"msg":"Unknown order sent."}"#);
        let answers = vec![
            listed(&["of-00000001-00000001", "web_abc", "of-00000001-00000002"]),
            done.clone(),
            gone,
            listed(&["of-00000001-00000003"]),
            done,
            listed(&["web_abc"]),
            listed(&[]),
        ];
        let (base, heads) = server(answers);
        assert_eq!(cancelled(&base, &["BTCUSDT", "ETHUSDT"]).unwrap(), 0);
        let expected = [
            "GET /fapi/v1/openOrders?symbol=BTCUSDT",
            "DELETE /fapi/v1/order?symbol=BTCUSDT&origClientOrderId=of-00000001-00000001",
            "DELETE /fapi/v1/order?symbol=BTCUSDT&origClientOrderId=of-00000001-00000002",
            "GET /fapi/v1/openOrders?symbol=ETHUSDT",
            "DELETE /fapi/v1/allOpenOrders?symbol=ETHUSDT",
            "GET /fapi/v1/openOrders?symbol=BTCUSDT",
            "GET /fapi/v1/openOrders?symbol=ETHUSDT",
        ];
        assert_eq!(asked(&heads), expected);
    }

    #[test]
    fn what_stays_open_is_counted_when_time_is_up() {
        let stuck = || listed(&["of-00000001-00000001"]);
        let refused = || answer("400 Bad Request", "", r#"{"code":-1000,"msg":"?"}"#);
        let (base, heads) = server((0..ROUNDS_MAX).flat_map(|_| [stuck(), refused()]).collect());
        assert_eq!(cancelled(&base, &["BTCUSDT"]).unwrap(), 1);
        assert_eq!(asked(&heads).len(), 8, "four looks, 100 ms apart");
    }

    #[test]
    fn a_look_that_fails_is_repeated_and_without_any_nobody_knows() {
        let busy = || answer("503 Service Unavailable", "", "Service Unavailable.");
        let (base, _heads) = server(vec![busy(), String::new(), listed(&[])]);
        assert_eq!(cancelled(&base, &["BTCUSDT"]).unwrap(), 0);
        for bad in [busy(), answer("200 OK", "", "<html>")] {
            let (base, _heads) = server(vec![bad; 9]);
            assert!(cancelled(&base, &["BTCUSDT"]).is_err());
        }
    }
}
