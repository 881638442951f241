//! Frames are read back field by field, and their signatures checked with an independent HMAC.

use std::collections::BTreeMap;

use optiflow_base::decimal;
use optiflow_base::ids::SymbolName;
use optiflow_base::money::{Price, Qty};
use optiflow_base::secret::Secret;
use serde_json::Value as Json;

use super::*;
use crate::binance::samples;

const KEY: &str = "optiflowTestKey00000000000000000000000000000000000000000000apike";
const SECRET: &[u8] = b"optiflowTestSecret000000000000000000000000000000000000000000secr";
const NOW: u64 = 1_795_327_200_000;

pub fn btcusdt() -> Instrument {
    let (price, qty) = (|t: &str| t.parse::<Price>().unwrap(), |t: &str| t.parse::<Qty>().unwrap());
    Instrument {
        symbol: SymbolId(0),
        name: SymbolName::from("BTCUSDT").unwrap(),
        tick_size: price("0.1"),
        price_min: price("556.8"),
        price_max: price("4529764"),
        step_size: qty("0.001"),
        qty_min: qty("0.001"),
        qty_max: qty("1000"),
        market_step_size: qty("0.001"),
        market_qty_min: qty("0.001"),
        market_qty_max: qty("120"),
        notional_min: "50".parse().unwrap(),
        percent_up_ppm: 1_050_000,
        percent_down_ppm: 950_000,
        open_orders_max: 200,
        maker_fee_ppm: 200,
        taker_fee_ppm: 500,
    }
}

fn hmac_key() -> Arc<ApiKey> {
    Arc::new(ApiKey::hmac(KEY, &Secret::new(SECRET.to_vec())).unwrap())
}

fn session_key() -> Arc<ApiKey> {
    let mut der = vec![0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    der.extend(0u8..32);
    Arc::new(ApiKey::ed25519(KEY, &Secret::new(der)).unwrap())
}

fn order() -> NewOrder {
    NewOrder {
        id: OrderId::new(0x68f0_1234, 1),
        side: Side::Buy,
        kind: OrderKind::Limit,
        time_in_force: TimeInForce::Gtx,
        price: "83090.1".parse().unwrap(),
        qty: "0.01".parse().unwrap(),
        reduce_only: false,
    }
}

/// What the exchange does: sort the parameters but the signature, join them, sign them with the secret.
fn expected_signature(frame: &Json) -> String {
    let params = frame["params"].as_object().unwrap();
    let sorted: BTreeMap<&str, String> = params
        .iter()
        .filter(|(name, _)| *name != "signature")
        .map(|(name, value)| (name.as_str(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect();
    let payload: Vec<String> = sorted.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET);
    let tag = ring::hmac::sign(&key, payload.join("&").as_bytes());
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_frame_carries_exactly_what_the_sample_carries() {
    let sample: Json = match samples::message("wsapi-order.place.request.hmac.json") {
        Some(sample) => serde_json::from_str(&sample).unwrap(),
        None => return,
    };
    let mut requests = Requests::new(hmac_key(), &[btcusdt()], 1000);
    let frame: Json = serde_json::from_slice(requests.place(7, SymbolId(0), &order(), NOW).unwrap()).unwrap();
    assert_eq!(frame["id"], 7);
    assert_eq!(frame["method"], sample["method"]);
    let (ours, theirs) = (frame["params"].as_object().unwrap(), sample["params"].as_object().unwrap());
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    for (name, value) in theirs {
        match name.as_str() {
            "newClientOrderId" => assert_eq!(ours[name], "of-68f01234-00000001"),
            "signature" => assert_eq!(ours[name], expected_signature(&frame)),
            "price" => assert_eq!(ours[name], "83090.1"),
            "quantity" => assert_eq!(ours[name], "0.010"),
            _ => assert_eq!(&ours[name], value, "{name}"),
        }
    }
}

#[test]
fn every_kind_of_order_is_written_and_signed_right() {
    let mut requests = Requests::new(hmac_key(), &[btcusdt()], 1000);
    let mut count = 0;
    for side in [Side::Buy, Side::Sell] {
        for reduce_only in [false, true] {
            for (kind, time_in_force, name) in [
                (OrderKind::Limit, TimeInForce::Gtc, Some("GTC")),
                (OrderKind::Limit, TimeInForce::Ioc, Some("IOC")),
                (OrderKind::Limit, TimeInForce::Fok, Some("FOK")),
                (OrderKind::Limit, TimeInForce::Gtx, Some("GTX")),
                (OrderKind::Market, TimeInForce::Ioc, None),
            ] {
                let order = NewOrder { side, kind, time_in_force, reduce_only, ..order() };
                let frame = requests.place(u64::MAX, SymbolId(0), &order, NOW).unwrap();
                let frame: Json = serde_json::from_slice(frame).unwrap();
                let params = &frame["params"];
                assert_eq!(params["side"], if side == Side::Buy { "BUY" } else { "SELL" });
                assert_eq!(params["timeInForce"].as_str(), name);
                assert_eq!(params["type"], if name.is_some() { "LIMIT" } else { "MARKET" });
                assert_eq!(params["price"].as_str(), name.map(|_| "83090.1"));
                assert_eq!(params["reduceOnly"].as_str(), reduce_only.then_some("true"));
                assert_eq!(params["signature"], expected_signature(&frame));
                assert_eq!(frame["id"], u64::MAX);
                count += 1;
            }
        }
    }
    assert_eq!(count, PLACES_LEN);
    let frame: Json = serde_json::from_slice(requests.cancel(9, SymbolId(0), order().id, NOW).unwrap()).unwrap();
    assert_eq!(frame["method"], "order.cancel");
    assert_eq!(frame["params"]["origClientOrderId"], "of-68f01234-00000001");
    assert_eq!(frame["params"]["signature"], expected_signature(&frame));
}

#[test]
fn a_session_signs_its_logon_and_nothing_else() {
    let mut requests = Requests::new(session_key(), &[btcusdt()], 1000);
    let place = requests.place(1, SymbolId(0), &order(), NOW).unwrap().to_vec();
    let expected = r#"{"id":1,"method":"order.place","params":{"newClientOrderId":"of-68f01234-00000001","newOrderRespType":"ACK","price":"83090.1","quantity":"0.010","recvWindow":1000,"selfTradePreventionMode":"EXPIRE_MAKER","side":"BUY","symbol":"BTCUSDT","timeInForce":"GTX","timestamp":1795327200000,"type":"LIMIT"}}"#;
    assert_eq!(String::from_utf8(place).unwrap(), expected);
    let cancel = requests.cancel(2, SymbolId(0), order().id, NOW).unwrap().to_vec();
    let expected = r#"{"id":2,"method":"order.cancel","params":{"origClientOrderId":"of-68f01234-00000001","recvWindow":1000,"symbol":"BTCUSDT","timestamp":1795327200000}}"#;
    assert_eq!(String::from_utf8(cancel).unwrap(), expected);
    let logon: Json = serde_json::from_slice(requests.logon(3, NOW)).unwrap();
    assert_eq!(logon["method"], "session.logon");
    let payload = format!("apiKey={KEY}&recvWindow=1000&timestamp={NOW}");
    assert_eq!(logon["params"]["signature"].as_str(), Some(session_key().sign(payload.as_bytes()).as_str()));
}

#[test]
fn a_patched_frame_is_the_same_as_a_fresh_one() {
    for key in [hmac_key(), session_key()] {
        let mut patched = Requests::new(Arc::clone(&key), &[btcusdt()], 1000);
        for (request, counter, price, qty, now) in [
            (9, 1, "83090.1", "0.01", NOW),
            (10, 2, "83090.2", "0.011", NOW + 1),
            (11, 3, "9.1", "120.5", NOW + 2),
            (12, 4, "100000", "0.001", NOW + 3),
            (1_000_000, u32::MAX, "99999.9", "999.999", NOW + 4),
        ] {
            let (price, qty) = (price.parse().unwrap(), qty.parse().unwrap());
            let order = NewOrder { id: OrderId::new(7, counter), price, qty, ..order() };
            let mut fresh = Requests::new(Arc::clone(&key), &[btcusdt()], 1000);
            let expected = fresh.place(request, SymbolId(0), &order, now).unwrap();
            assert_eq!(patched.place(request, SymbolId(0), &order, now).unwrap(), expected);
            let expected = fresh.cancel(request, SymbolId(0), order.id, now).unwrap();
            assert_eq!(patched.cancel(request, SymbolId(0), order.id, now).unwrap(), expected);
        }
    }
}

#[test]
fn what_does_not_fit_the_symbol_makes_no_frame() {
    let mut requests = Requests::new(hmac_key(), &[btcusdt()], 1000);
    let table = [
        ("83090.15", "0.01", RequestError::OffGrid),
        ("83090.1", "0.0105", RequestError::OffGrid),
        ("-1", "0.01", RequestError::OffGrid),
        ("83090.1", "0", RequestError::OffGrid),
    ];
    for (price, qty, error) in table {
        let order = NewOrder { price: price.parse().unwrap(), qty: qty.parse().unwrap(), ..order() };
        assert_eq!(requests.place(1, SymbolId(0), &order, NOW), Err(error), "{price} {qty}");
    }
    assert_eq!(requests.place(1, SymbolId(3), &order(), NOW), Err(RequestError::NoSuchSymbol));
    assert_eq!(requests.cancel(1, SymbolId(3), order().id, NOW), Err(RequestError::NoSuchSymbol));
}

#[test]
fn a_modify_names_order_side_and_all_terms() {
    let mut requests = Requests::new(session_key(), &[btcusdt()], 1_000);
    let terms = |price: &str, qty: &str| Terms { price: price.parse().unwrap(), qty: qty.parse().unwrap() };
    let id = OrderId::new(0x68f0_1234, 1);
    let table = [
        (
            Side::Buy,
            terms("83089.9", "0.01"),
            r#"{"id":7,"method":"order.modify","params":{"origClientOrderId":"of-68f01234-00000001","price":"83089.9","quantity":"0.010","recvWindow":1000,"side":"BUY","symbol":"BTCUSDT","timestamp":1795327200000}}"#,
        ),
        (
            Side::Sell,
            terms("100000", "1.5"),
            r#"{"id":7,"method":"order.modify","params":{"origClientOrderId":"of-68f01234-00000001","price":"100000.0","quantity":"1.500","recvWindow":1000,"side":"SELL","symbol":"BTCUSDT","timestamp":1795327200000}}"#,
        ),
    ];
    for (side, terms, expected) in table {
        let frame = requests.modify(7, SymbolId(0), (id, side), terms, NOW).unwrap();
        assert_eq!(String::from_utf8_lossy(frame), expected);
    }
    for off in [terms("83089.95", "0.01"), terms("83089.9", "0.0105"), terms("83089.9", "0")] {
        assert_eq!(requests.modify(7, SymbolId(0), (id, Side::Buy), off, NOW), Err(RequestError::OffGrid));
    }
    let mut requests = Requests::new(hmac_key(), &[btcusdt()], 1_000);
    let frame = requests.modify(7, SymbolId(0), (id, Side::Buy), terms("83089.9", "0.01"), NOW).unwrap();
    let frame: Json = serde_json::from_slice(frame).unwrap();
    assert_eq!(frame["params"]["signature"], expected_signature(&frame));
}

/// The same request, written the way of a textbook: one parameter after the other, by the standard library.
fn plainly(request: u64, order: &NewOrder, now: u64) -> String {
    let text = |units: i64, decimals| decimal::write(units, decimals);
    let (price, qty) = (text(order.price.units(), 1), text(order.qty.units(), 3));
    let limit = match order.time_in_force {
        _ if order.kind == OrderKind::Market => None,
        TimeInForce::Gtc => Some("GTC"),
        TimeInForce::Ioc => Some("IOC"),
        TimeInForce::Fok => Some("FOK"),
        TimeInForce::Gtx => Some("GTX"),
    };
    let side = if order.side == Side::Buy { "BUY" } else { "SELL" };
    let (id, kind) = (order.id, if limit.is_some() { "LIMIT" } else { "MARKET" });
    let price = limit.map_or_else(String::new, |_| format!(r#""price":"{price}","#));
    let limit = limit.map_or_else(String::new, |limit| format!(r#""timeInForce":"{limit}","#));
    let reduce_only = if order.reduce_only { r#""reduceOnly":"true","# } else { "" };
    format!(
        r#"{{"id":{request},"method":"order.place","params":{{"newClientOrderId":"{id}","newOrderRespType":"ACK",{price}"quantity":"{qty}","recvWindow":1000,{reduce_only}"selfTradePreventionMode":"EXPIRE_MAKER","side":"{side}","symbol":"BTCUSDT",{limit}"timestamp":{now},"type":"{kind}"}}}}"#
    )
}

proptest::proptest! {
    /// Many orders through the same templates, each of another width than the one before: every frame is the one that is
    /// written plainly, and every signature is the one of what the frame says.
    #[test]
    fn patched_frames_say_what_plainly_written_ones_say(
        orders in proptest::collection::vec(
            (0u64..u64::MAX, 0u32..u32::MAX, 0usize..20, 1i64..99_999_999_999, 1i64..99_999_999, 0u64..9_999_999_999_999, 0u32..38),
            1..20,
        )
    ) {
        let kinds = [TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::Fok, TimeInForce::Gtx];
        let mut session = Requests::new(session_key(), &[btcusdt()], 1_000);
        let mut signed = Requests::new(hmac_key(), &[btcusdt()], 1_000);
        for (request, counter, style, ticks, steps, now, shift) in orders {
            let order = NewOrder {
                id: OrderId::new(counter ^ 0x5a5a, counter),
                side: if style % 2 == 0 { Side::Buy } else { Side::Sell },
                kind: if style / 4 == 4 { OrderKind::Market } else { OrderKind::Limit },
                time_in_force: kinds[style / 4 % 4],
                price: Price::from_units((ticks >> shift.min(36)).max(1) * 10_000_000),
                qty: Qty::from_units((steps >> shift.min(26)).max(1) * 100_000),
                reduce_only: style / 2 % 2 == 1,
            };
            let request = request >> shift;
            let frame = session.place(request, SymbolId(0), &order, now).unwrap();
            proptest::prop_assert_eq!(std::str::from_utf8(frame).unwrap(), plainly(request, &order, now));
            let plain: Json = serde_json::from_slice(frame).unwrap();
            let frame: Json = serde_json::from_slice(signed.place(request, SymbolId(0), &order, now).unwrap()).unwrap();
            proptest::prop_assert_eq!(&frame["params"]["signature"], &Json::from(expected_signature(&frame)));
            let mut unsigned = frame;
            let params = unsigned["params"].as_object_mut().unwrap();
            params.remove("signature");
            params.remove("apiKey");
            proptest::prop_assert_eq!(unsigned, plain);
        }
    }
}
