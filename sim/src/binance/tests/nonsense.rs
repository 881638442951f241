//! Whatever is sent, the exchange answers, and its books still balance.

use optiflow_base::money::{Notional, Qty};
use proptest::prelude::*;

use super::*;

const PATHS: [&str; 20] = [
    "*POST /fapi/v1/order",
    "*PUT /fapi/v1/order",
    "*DELETE /fapi/v1/order",
    "*GET /fapi/v1/order",
    "*POST /fapi/v1/order/test",
    "*POST /fapi/v1/batchOrders",
    "*DELETE /fapi/v1/batchOrders",
    "*POST /fapi/v1/countdownCancelAll",
    "*POST /fapi/v1/leverage",
    "*GET /fapi/v1/allOrders",
    "*GET /fapi/v1/userTrades",
    "*GET /fapi/v1/income",
    "*GET /fapi/v1/orderAmendment",
    "*GET /fapi/v3/positionRisk",
    "*GET /fapi/v2/account",
    "GET /fapi/v1/depth",
    "GET /fapi/v1/klines",
    "GET /fapi/v1/aggTrades",
    "GET /fapi/v1/fundingRate",
    "GET /fapi/v1/ticker/24hr",
];

const NAMES: [&str; 18] = [
    "symbol",
    "side",
    "type",
    "timeInForce",
    "quantity",
    "price",
    "orderId",
    "origClientOrderId",
    "newClientOrderId",
    "reduceOnly",
    "limit",
    "startTime",
    "endTime",
    "interval",
    "countdownTime",
    "leverage",
    "fromId",
    "page",
];

const VALUES: [&str; 24] = [
    "BTCUSDT",
    "ETHUSDT",
    "BUY",
    "SELL",
    "LIMIT",
    "MARKET",
    "GTC",
    "IOC",
    "FOK",
    "GTX",
    "true",
    "1m",
    "a",
    "",
    "0",
    "-1",
    "1",
    "5",
    "0.010",
    "83091.70",
    "83000.00",
    "18446744073709551615",
    "92233720368.54775807",
    "99999999999999999999999",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_request_has_an_answer(
        requests in prop::collection::vec(
            (0..PATHS.len(), prop::collection::vec((0..NAMES.len(), 0..VALUES.len()), 0..8), any::<bool>(), 0..2_000u64),
            1..40,
        ),
    ) {
        let mut world = World::new(vec![trade(500, 9, "83000.00", "30", Side::Sell), mark(900, "83050", 1_000)]);
        for (path, pairs, is_order, wait) in requests {
            world.wait(wait);
            let base = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.010&price=83000.00";
            let mut query: Vec<String> = if is_order { base.split('&').map(str::to_owned).collect() } else { Vec::new() };
            for (name, value) in pairs {
                let name = NAMES[name];
                query.retain(|pair| !pair.starts_with(&format!("{name}=")));
                query.push(format!("{name}={}", VALUES[value]));
            }
            let answer = world.ask(&format!("{} {}", PATHS[path], query.join("&")));
            prop_assert!(serde_json::from_str::<serde_json::Value>(&answer[4..]).is_ok(), "{}", answer);
        }
        let core = world.exchange.core();
        let signed: Qty = core.fills(Some(0)).iter().map(|fill| fill.side.signed(fill.qty)).sum();
        prop_assert_eq!(core.position(0).qty, signed);
        let booked: Notional = core.fills(None).iter().map(|fill| fill.realized - fill.fee).sum();
        prop_assert_eq!(core.wallet(), booked + "10000".parse().unwrap(), "no mark after the last funding time: no funding");
    }

    #[test]
    fn every_frame_has_an_answer(text in "[\\x20-\\x7e]{0,60}", method in 0..5usize, params in "[\\x20-\\x7e]{0,40}") {
        let mut world = World::new(Vec::new());
        world.open_ws_api(1);
        let methods = ["order.place", "session.logon", "depth", "order.cancel", "userDataStream.ping"];
        let framed = format!("{{\"id\":1,\"method\":\"{}\",\"params\":{{{params}}}}}", methods[method]);
        for frame in [text, framed] {
            let answer = world.frame(1, &frame);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&answer).is_ok(), "{}", answer);
        }
        prop_assert!(world.exchange.core().all_orders(0).is_empty());
    }
}
