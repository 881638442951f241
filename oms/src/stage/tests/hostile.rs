//! Whatever the far ends say, the stage neither panics nor loses its mind.

use serde_json::{Value as Json, json};
use tungstenite::Message;

use super::world::{Manner, World};

/// Frames that look right and are not.
fn crooked(choice: u8, number: i64, text: &str) -> Json {
    match choice % 8 {
        0 => json!({"e": "ORDER_TRADE_UPDATE", "E": number.unsigned_abs(), "o": {"s": "BTCUSDT", "c": text, "S": "BUY",
            "x": "TRADE", "X": "FILLED", "i": 1, "l": number.to_string(), "z": "1", "L": "9", "n": "1", "t": 5}}),
        1 => json!({"e": "ACCOUNT_UPDATE", "a": {"P": [{"s": "BTCUSDT", "pa": number.to_string(), "ep": "1"}]}}),
        2 => json!({"id": number, "status": 200, "result": {"orderId": 1, "status": text, "executedQty": "99"}}),
        3 => json!({"id": 1, "status": number.unsigned_abs() % 600, "error": {"code": number, "msg": text}}),
        4 => {
            json!({"id": 1, "status": 429, "error": {"code": -1003, "data": {"retryAfter": number.unsigned_abs() >> 1}}})
        }
        5 => json!({"e": text, "data": {"e": text}}),
        6 => json!({"id": 1, "status": 200, "result": {"orderId": u64::MAX, "status": "FILLED",
            "executedQty": "92233720368.54775807"}}),
        _ => json!({"e": "ORDER_TRADE_UPDATE", "o": {"s": "BTCUSDT", "c": "of-68f01234-00000001", "S": "BUY",
            "x": "TRADE", "X": text, "i": 1, "l": "92233720368.54775807", "z": "92233720368", "L": "1",
            "t": number.unsigned_abs()}}),
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(24))]

    #[test]
    fn crooked_frames_and_noise_do_no_harm(
        frames in proptest::collection::vec((0u8..16, -9_000_000_000i64..9_000_000_000, "[A-Za-z0-9_-]{0,24}"), 1..20),
        noise in proptest::collection::vec(proptest::collection::vec(32u8..127, 0..60), 0..10),
    ) {
        let mut world = World::ready();
        world.manner = Manner::Keep;
        world.place();
        world.run(2);
        for (choice, number, text) in frames {
            let frame = Message::text(crooked(choice, number, &text).to_string());
            let far = if choice < 8 { &mut world.order_far } else { &mut world.user_far };
            if far.is_connected() {
                far.say(frame);
            }
            world.run(1);
        }
        for bytes in noise {
            for far in [&mut world.order_far, &mut world.user_far] {
                if far.is_connected() {
                    far.say(Message::text(String::from_utf8(bytes.clone()).unwrap()));
                }
            }
            world.run(1);
        }
        world.run_by(50, 5_000);
        let counts = world.oms.core.desk.table.counts();
        proptest::prop_assert!(counts.unknown <= counts.live);
    }

    #[test]
    fn hostile_answers_to_calls_do_no_harm(bodies in proptest::collection::vec((0u16..600, ".{0,80}"), 1..12)) {
        let mut world = World::ready();
        world.manner = Manner::Mute;
        world.place();
        let paths = ["/fapi/v1/order", "/fapi/v1/openOrders", "/fapi/v1/userTrades", "/fapi/v3/positionRisk",
            "/fapi/v3/balance", "/fapi/v1/listenKey", "/fapi/v1/time"];
        for (index, (status, body)) in bodies.into_iter().enumerate() {
            world.scripted.entry(paths[index % paths.len()]).or_default().push_back((status, body));
        }
        world.cut_user();
        world.run_by(10, 60_000);
        proptest::prop_assert!(world.oms.core.desk.table.counts().live == 1);
        world.run_by(50, 60_000);
        let gates = world.gates();
        proptest::prop_assert!(gates.last().is_some_and(|gate| gate == "open Reconciled"), "{:?}", gates);
    }
}
