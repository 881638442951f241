//! Numbers that cannot be true, trades of others, and trades whose owner is known late.

use serde_json::json;

use super::far::refused;
use super::world::{BTC, Manner, World};
use super::*;

#[test]
fn a_trade_without_a_price_is_fetched_and_booked() {
    let mut world = World::ready();
    let id = world.place();
    world.run(3);
    let order = world.orders[&id.to_string()].id;
    world.trade_at_venue(11, order, "0.01");
    world.set(&id.to_string(), "FILLED", "0.01");
    let mut event = world.order_event(&id.to_string(), "TRADE", "FILLED", "0.01", Some((11, "0.01")));
    event["o"].as_object_mut().unwrap().remove("L");
    world.tell(&event);
    world.run(5_000);
    assert_eq!(world.story(id)[2..], ["Filled 11 0.01/0.01 fee 10000000", "Done"]);
    assert_eq!(world.gates(), ["InDoubt", "open Reconciled"]);
}

#[test]
fn an_impossible_trade_of_others_is_fetched_and_counted_too() {
    let mut world = World::ready();
    let mut event = world.order_event("web_1", "TRADE", "FILLED", "0.5", Some((77, "0.5")));
    event["o"]["L"] = json!("0");
    world.trade_at_venue(77, 999, "0.5");
    world.tell(&event);
    world.run(5_000);
    assert_eq!(world.positions().last().map(String::as_str), Some("0.5"));
    assert_eq!(world.gates(), ["InDoubt", "open Reconciled"]);
}

#[test]
fn a_trade_of_others_settles_the_claim_that_came_before_it() {
    let mut world = World::ready();
    world.tell(&World::account_event("0.5", "9000"));
    let manual = world.order_event("web_1", "TRADE", "FILLED", "0.5", Some((77, "0.5")));
    world.tell(&manual);
    world.position = "0.5".to_owned();
    world.run(5_000);
    let entries: Vec<String> = world
        .seen
        .iter()
        .filter_map(|report| if let Report::Position { entry, .. } = report { Some(entry.to_string()) } else { None })
        .collect();
    assert_eq!((world.positions(), entries), (vec!["0.5".to_owned()], vec!["83000".to_owned()]));
    assert!(world.gates().is_empty(), "no dispute: {:?}", world.notices());
}

#[test]
fn an_own_trade_that_was_taken_for_somebody_elses_finds_its_order() {
    let mut world = World::ready();
    world.manner = Manner::Keep;
    let id = world.place();
    world.run(3);
    // The trade is told by a query before anything says that the order exists.
    let resting = world.rest_order(&id.to_string());
    world.trade_at_venue(11, resting.id, "0.01");
    let row = serde_json::to_vec(&world.trades).unwrap();
    let row = crate::binance::truth::trades(&row, "USDT").unwrap()[0];
    let now = world.now();
    world.oms.core.on_trade(now, BTC, &row);
    world.run(1);
    assert_eq!(world.positions(), ["0.01"]);
    world.set(&id.to_string(), "FILLED", "0.01");
    let filled = world.order_event(&id.to_string(), "TRADE", "FILLED", "0.01", Some((11, "0.01")));
    world.tell(&filled);
    world.tell(&filled);
    world.run(3);
    assert_eq!(world.story(id), ["Sent", "Accepted", "Filled 11 0.01/0.01 fee 10000000", "Done"]);
    assert_eq!(world.positions(), ["0.01", "0.01"], "those who counted the fill once more are put right");
    assert_eq!(world.oms.core.desk.positions.qty(BTC).unwrap().to_string(), "0.01");
}

#[test]
fn clocks_and_numbers_beyond_reason_do_not_stop_us() {
    let mut world = World::ready();
    world.run(1_000);
    world.oms.core.time.set(i64::MIN);
    let far = || (200, json!({"serverTime": 11_018_699_236_854u64}).to_string());
    world.scripted.entry("/fapi/v1/time").or_default().extend((0..5).map(|_| far()));
    world.reply(json!({"id": 99, "status": 400, "error": {"code": -1021, "msg": "Timestamp"}}));
    world.run(50);
    assert!(world.oms.core.time.offset() > i64::MAX / 1_000_000_000, "{}", world.oms.core.time.offset());
    world.trades.push(json!({"id": u64::MAX, "orderId": 1, "price": "1", "qty": "1", "commission": "0",
        "commissionAsset": "USDT", "maker": true, "buyer": true, "time": 1}));
    for _ in 0..2 {
        world.cut_user();
        world.run(5_000);
    }
    let huge = json!({"e": "ACCOUNT_UPDATE", "a": {"P": [{"s": "BTCUSDT", "pa": "-92233720368", "ep": "1"}]}});
    world.tell(&huge);
    world.run(5_000);
    assert!(world.notices().contains(&"user event cannot be read"));
    assert!(world.oms.core.desk.positions.qty(BTC).unwrap().units() > -crate::binance::json::QTY_MAX);
}

#[test]
fn an_order_that_one_answer_misses_and_another_lists_stays_exposure() {
    let mut world = World::ready();
    let id = world.place();
    world.run(3);
    let missing = || super::far::error(-2013, "Order does not exist.");
    world.scripted.entry("/fapi/v1/order").or_default().extend((0..60).map(|_| missing()));
    world.manner = Manner::Keep;
    world.cancel(id);
    world.run(3);
    let number = world.requests[1]["id"].clone();
    world.reply(refused(&number, -2011, "Unknown order sent."));
    world.run(30_000);
    assert_eq!(world.story(id), ["Sent", "Accepted", "CancelSent", "CancelRefused -2011"]);
    assert!(world.notices().contains(&"an order that is not found is listed as open; it stays exposure"));
    assert_eq!(world.oms.core.desk.table.counts().live, 1);
    assert_eq!(world.oms.core.desk.table.counts().doubtful, 0, "the list has answered the question");
}
