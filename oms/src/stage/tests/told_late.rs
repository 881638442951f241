//! Trades and orders of which one answer knows before another tells: nothing is counted twice, nothing is believed dead
//! that lives, and silence is noticed.

use optiflow_base::ids::OrderId;
use serde_json::{Value as Json, json};

use super::far::error;
use super::world::{BTC, Manner, START_MS, StatusAnswer, World};

fn held(world: &World) -> String {
    world.oms.core.desk.positions.qty(BTC).unwrap().to_string()
}

fn last_gate(world: &World) -> String {
    world.gates().last().cloned().unwrap_or_default()
}

/// The same event, of something that happened then.
fn at(mut event: Json, ms: u64) -> Json {
    event["o"]["T"] = json!(ms);
    event
}

#[test]
fn a_trade_that_the_first_answer_on_positions_holds_is_counted_once_although_it_is_told_later() {
    for claim_first in [true, false] {
        let mut world = World::new();
        world.trade_at_venue(77, 999, "0.5");
        world.run(100);
        assert_eq!((held(&world).as_str(), last_gate(&world).as_str()), ("0.5", "open Reconciled"));
        // The stream lags behind: both events are of before the answer.
        let trade = at(world.order_event("web_1", "TRADE", "FILLED", "0.5", Some((77, "0.5"))), START_MS + 1);
        let claim = World::account_event("0.5", "9000");
        for event in if claim_first { [&claim, &trade] } else { [&trade, &claim] } {
            world.tell(event);
        }
        world.run(5_000);
        assert_eq!((held(&world).as_str(), last_gate(&world).as_str()), ("0.5", "open Reconciled"), "{claim_first}");
    }
}

#[test]
fn a_fill_that_positions_show_long_before_trades_and_the_stream_is_counted_once() {
    let mut world = World::ready();
    let id = world.place();
    world.run(3);
    world.cut_user();
    world.run(1);
    // Queries of trades lag behind all through the comparison.
    world.set(&id.to_string(), "PARTIALLY_FILLED", "0");
    world.scripted.entry("/fapi/v1/userTrades").or_default().extend((0..4).map(|_| (200, "[]".to_owned())));
    let order = world.orders[&id.to_string()].id;
    world.trade_at_venue(41, order, "0.004");
    let told = world.order_event(&id.to_string(), "TRADE", "PARTIALLY_FILLED", "0.004", Some((41, "0.004")));
    world.run(3_000);
    assert_eq!(
        (held(&world).as_str(), last_gate(&world).as_str()),
        ("0.004", "open Reconciled"),
        "adopted unexplained"
    );
    world.tell(&World::account_event("0.004", "9000"));
    world.tell(&told);
    world.run(5_000);
    assert_eq!((held(&world).as_str(), last_gate(&world).as_str()), ("0.004", "open Reconciled"));
    assert_eq!(world.story(id)[2..], ["Filled 41 0.004/0.004 fee 10000000"]);
}

#[test]
fn trades_that_come_all_the_time_do_not_make_us_ask_all_the_time() {
    let mut world = World::ready();
    world.cut_user();
    world.asked.clear();
    for trade in 1..600 {
        world.run(5);
        if world.user_far.is_connected() {
            let event = world.order_event("web_1", "TRADE", "PARTIALLY_FILLED", "0.001", Some((trade, "0.001")));
            world.trade_at_venue(trade, 999, "0.001");
            world.tell(&event);
        }
        if let Some(calls) = world.held.take() {
            calls.iter().for_each(|call| world.on_call(call));
        }
        world.held = Some(Vec::new());
    }
    assert!(world.asked_about("positionRisk") <= 15, "{}", world.asked_about("positionRisk"));
}

/// An order that was confirmed and that the exchange has forgotten for good, as far as anybody can see.
fn forgotten() -> (World, OrderId) {
    let mut world = World::ready();
    let id = world.place();
    world.run(3);
    let order = world.orders.remove(&id.to_string()).unwrap();
    world.cut_user();
    world.run(30_000);
    assert_eq!(world.story(id), ["Sent", "Accepted", "Cancelled"]);
    assert_eq!(last_gate(&world), "open Reconciled");
    world.orders.insert(id.to_string(), order);
    (world, id)
}

#[test]
fn an_order_that_trades_after_its_end_is_looked_for_and_cancelled() {
    let (mut world, id) = forgotten();
    let order = world.orders[&id.to_string()].id;
    world.set(&id.to_string(), "PARTIALLY_FILLED", "0.004");
    world.trade_at_venue(41, order, "0.004");
    let told = world.order_event(&id.to_string(), "TRADE", "PARTIALLY_FILLED", "0.004", Some((41, "0.004")));
    world.tell(&told);
    world.run(1);
    assert_eq!(last_gate(&world), "InDoubt");
    world.run(3_000);
    assert_eq!(world.orders[&id.to_string()].status, "CANCELED");
    assert_eq!((held(&world).as_str(), last_gate(&world).as_str()), ("0.004", "open Reconciled"));
}

#[test]
fn the_position_is_compared_after_an_order_was_given_up() {
    let mut world = World::ready();
    let id = world.place();
    world.run(3);
    // It trades, nobody tells, and the exchange forgets it.
    world.orders.remove(&id.to_string()).unwrap();
    world.position = "0.01".to_owned();
    world.manner = Manner::Keep;
    world.cancel(id);
    world.run(3);
    let number = world.requests[1]["id"].clone();
    world.reply(super::far::refused(&number, -2011, "Unknown order sent."));
    world.run(20_000);
    assert_eq!(world.story(id)[2..], ["CancelSent", "CancelRefused -2011", "Cancelled"]);
    assert_eq!((held(&world).as_str(), last_gate(&world).as_str()), ("0.01", "open Reconciled"));
}

#[test]
fn an_order_without_an_answer_that_queries_deny_and_the_list_shows_lives() {
    let mut world = World::ready();
    world.manner = Manner::Mute;
    world.stream_tells = false;
    let id = world.place();
    let denied = || error(-2013, "Order does not exist.");
    world.scripted.entry("/fapi/v1/order").or_default().extend((0..20).map(|_| denied()));
    world.run(10_000);
    assert_eq!(world.story(id), ["Sent", "Unknown", "Accepted"]);
    assert!(world.notices().contains(&"an order that is not found is listed as open; it stays exposure"));
}

#[test]
fn an_order_of_more_trades_than_fit_a_page_gets_them_all() {
    let mut world = World::ready();
    let id = world.place();
    world.run(3);
    world.cut_user();
    let order = world.orders[&id.to_string()].id;
    for trade in 1..=2_500 {
        world.trade_at_venue(trade, order, "0.000004");
    }
    world.set(&id.to_string(), "FILLED", "0.01");
    world.run(5_000);
    assert_eq!(world.story(id).last().map(String::as_str), Some("Done"));
    assert_eq!((held(&world).as_str(), last_gate(&world).as_str()), ("0.01", "open Reconciled"));
    let pages = ["limit", "fromId=0&", "fromId=1001&", "fromId=2001&"];
    let asked = pages.map(|page| world.asked_about(&format!("userTrades symbol=BTCUSDT&orderId={order}&{page}")));
    assert_eq!(asked, [1, 1, 1, 0], "the newest come first, and the last page is not needed");
}

#[test]
fn a_stream_whose_key_has_expired_is_connected_again_although_the_key_stays_the_same() {
    let mut world = World::ready();
    let connections = |world: &World| world.notices().iter().filter(|what| **what == "user stream is up").count();
    let before = connections(&world);
    world.tell(&json!({"e": "listenKeyExpired", "E": 1, "listenKey": "listenKeyOne"}));
    world.run(3_000);
    assert_eq!(connections(&world), before + 1, "the old connection stays and is silent");
    assert_eq!(world.gates(), ["UserStreamDown", "InDoubt", "open Reconciled"]);
}

#[test]
fn fills_of_resting_orders_that_a_silent_stream_keeps_to_itself_are_found() {
    let mut world = World::ready();
    let (filled, cancelled) = (world.place(), world.place());
    world.run(10_000);
    // From here on the stream says nothing, and no new order would reveal that.
    let order = world.orders[&filled.to_string()].id;
    world.set(&filled.to_string(), "FILLED", "0.01");
    world.trade_at_venue(41, order, "0.01");
    world.set(&cancelled.to_string(), "CANCELED", "0");
    world.asked.clear();
    world.run_by(10, 40_000);
    assert_eq!(world.story(filled)[2..], ["Filled 41 0.01/0.01 fee 10000000", "Done"]);
    assert_eq!(world.story(cancelled)[2..], ["Cancelled"]);
    assert_eq!(world.gates(), ["UserStreamDown", "InDoubt", "open Reconciled"]);
    assert_eq!(world.asked_about("POST /fapi/v1/listenKey"), 1, "the stream was connected again");
}

#[test]
fn a_look_that_finds_nothing_or_an_event_on_its_way_changes_nothing() {
    let mut world = World::ready();
    let id = world.place();
    world.rest_order("web_1");
    world.run_by(10, 29_000);
    let before = world.asked_about("positionRisk");
    world.run_by(10, 900);
    // Filled just before the look, told just after it.
    let order = world.orders[&id.to_string()].id;
    world.set(&id.to_string(), "FILLED", "0.01");
    world.trade_at_venue(41, order, "0.01");
    for _ in 0..1_000 {
        if world.asked_about("positionRisk") == before {
            world.run(1);
        }
    }
    let told = world.order_event(&id.to_string(), "TRADE", "FILLED", "0.01", Some((41, "0.01")));
    world.tell(&told);
    world.run_by(10, 120_000);
    assert!(world.gates().is_empty(), "{:?}", world.gates());
    assert_eq!(world.asked_about("positionRisk") - before, 5, "one more after two seconds, and one every half minute");
    assert_eq!(world.story(id)[2..], ["Filled 41 0.01/0.01 fee 10000000", "Done"]);
}

#[test]
fn questions_about_many_orders_leave_room_for_countdowns() {
    let mut world = World::ready();
    world.status_answer = StatusAnswer::Mute;
    let ids: Vec<OrderId> = (0..40).map(|_| world.place()).collect();
    world.run(5);
    world.manner = Manner::Mute;
    world.held = Some(Vec::new());
    for id in ids {
        world.cancel(id);
    }
    world.run_by(10, 20_000);
    let held = world.held.take().unwrap();
    let count = |path: &str| held.iter().filter(|call| call.path == path).count();
    assert!(count("/fapi/v1/order") > 10, "{}", count("/fapi/v1/order"));
    assert_eq!(count("/fapi/v1/countdownCancelAll"), 1);
}
