//! After a death: what former sessions left behind comes to its end, and every fill is told once, to storage.

use optiflow_base::ids::{ExchangeOrderId, OrderId, TradeId};
use optiflow_base::log::LogEvent;
use optiflow_base::money::Side;
use optiflow_base::order::{Action, NewOrder, OrderChange, OrderKind, TimeInForce};

use super::world::{BTC, World, hmac_key};
use super::*;
use crate::former::{Former, FormerOrder, Since};

const EPOCH: u32 = 0x68f0_1234;

fn id(counter: u32) -> OrderId {
    OrderId::new(EPOCH - 1, counter)
}

fn former_order(counter: u32, exchange_id: Option<u64>, trades: &[(u64, &str)]) -> FormerOrder {
    let order = NewOrder {
        id: id(counter),
        side: Side::Buy,
        kind: OrderKind::Limit,
        time_in_force: TimeInForce::Gtx,
        price: "83000".parse().unwrap(),
        qty: "0.01".parse().unwrap(),
        reduce_only: false,
    };
    let filled = trades.iter().fold(Default::default(), |sum, (_, qty)| sum + qty.parse().unwrap());
    let trades = trades.iter().map(|(trade, _)| TradeId(*trade)).collect();
    let sent = Nanos::from_millis(super::world::START_MS - 100);
    FormerOrder { symbol: BTC, order, sent, exchange_id: exchange_id.map(ExchangeOrderId), trades, filled }
}

/// A world that begins after the death of another, which had written this down.
fn after_death(orders: Vec<FormerOrder>) -> World {
    let since = vec![Since::Order(ExchangeOrderId(1))];
    let former = Former { epoch: EPOCH, orders, ended: vec![id(90)], since, died: true };
    World::guarded(hmac_key(), 4096, Guards { former: Some(former), ..Guards::default() })
}

/// What storage is told of an order, a word each.
#[allow(clippy::wildcard_enum_match_arm, reason = "what is not expected is named by the panic")]
fn told(world: &World, order: OrderId) -> String {
    let words = world.logged.iter().filter_map(|event| match event {
        LogEvent::Intent(intent) if intent.order() == order => match intent.action {
            Action::Place(order) => Some(format!("wanted {} at {}", order.qty, order.price)),
            other => panic!("{other:?}"),
        },
        LogEvent::Report(Report::Order(event)) if event.order == order => Some(match event.change {
            OrderChange::Accepted { exchange_id } => format!("accepted {}", exchange_id.0),
            OrderChange::Filled { trade, qty, total, .. } => format!("trade {} of {qty}, {total} in all", trade.0),
            OrderChange::Refused { code } => format!("refused {code}"),
            OrderChange::Cancelled => "cancelled".to_owned(),
            OrderChange::Done => "done".to_owned(),
            other => panic!("{other:?}"),
        }),
        _ => None,
    });
    words.collect::<Vec<_>>().join("; ")
}

fn is_told_to_strategies(world: &World) -> bool {
    world.seen.iter().any(|report| matches!(report, Report::Order(_)))
}

#[test]
fn without_former_orders_a_death_only_costs_the_time_that_a_request_may_take() {
    let mut world = after_death(Vec::new());
    world.run(1_900);
    assert!(world.reached.is_empty(), "the last requests of the dead may still arrive");
    world.run(300);
    assert_eq!(world.reached, [Milestone::Ready]);
    assert_eq!(world.asked_about("GET /fapi/v1/allOrders symbol=BTCUSDT&orderId=1&limit=1000"), 1);
}

#[test]
fn an_order_that_is_open_is_cancelled_and_its_missing_fills_are_booked_once() {
    let mut world = after_death(vec![former_order(1, Some(1_001), &[(70, "0.002")])]);
    let client = id(1).to_string();
    world.rest_order(&client);
    world.set(&client, "PARTIALLY_FILLED", "0.005");
    world.trade_at_venue(70, 1_001, "0.002");
    world.trade_at_venue(71, 1_001, "0.003");
    world.run(4_000);
    assert_eq!(world.reached, [Milestone::Ready]);
    assert_eq!(told(&world, id(1)), "trade 71 of 0.003, 0.005 in all; cancelled");
    assert_eq!(world.orders[&client].status, "CANCELED");
    assert!(!is_told_to_strategies(&world), "they hear of the position");
    assert_eq!(world.oms.core.desk.positions.qty(BTC).unwrap().to_string(), world.position);
}

#[test]
fn an_order_that_no_list_shows_keeps_the_gate_closed_until_it_is_cancelled_by_name() {
    let mut world = after_death(vec![former_order(1, None, &[])]);
    let client = id(1).to_string();
    world.rest_order(&client);
    world.unlisted.push(client.clone());
    // Nor can it be cancelled at first.
    let refused = || super::far::error(-2011, "Unknown order sent.");
    world.run(50);
    assert_eq!(told(&world, id(1)), "accepted 1001");
    world.scripted.entry("/fapi/v1/order").or_default().push_back(refused());
    world.run(10);
    assert!(world.reached.is_empty());
    world.run(4_000);
    assert_eq!(told(&world, id(1)), "accepted 1001; cancelled");
    assert_eq!((world.orders[&client].status, world.reached.as_slice()), ("CANCELED", &[Milestone::Ready][..]));
}

#[test]
fn an_order_that_never_arrived_is_refused_by_proof() {
    let mut world = after_death(vec![former_order(1, None, &[])]);
    world.run(1_800);
    assert_eq!((told(&world, id(1)).as_str(), world.reached.len()), ("", 0), "it may still arrive");
    world.run(5_000);
    assert_eq!(told(&world, id(1)), "refused -2013");
    assert_eq!(world.reached, [Milestone::Ready]);
}

#[test]
fn orders_that_were_never_written_down_are_found_told_and_ended() {
    let mut world = after_death(Vec::new());
    for (counter, status, executed) in
        [(1, "FILLED", "0.01"), (2, "CANCELED", "0"), (3, "NEW", "0"), (90, "FILLED", "1")]
    {
        world.rest_order(&id(counter).to_string());
        world.set(&id(counter).to_string(), status, executed);
    }
    world.rest_order("web_abc");
    world.rest_order("of-70000000-00000001");
    world.set("of-70000000-00000001", "FILLED", "1");
    world.trade_at_venue(70, 1_001, "0.004");
    world.trade_at_venue(71, 1_001, "0.006");
    world.unlisted.push(id(3).to_string());
    world.run(1_000);
    // It shows only after the first list of what is open.
    world.unlisted.clear();
    world.run(6_000);
    assert_eq!(world.reached, [Milestone::Ready]);
    let wanted = "wanted 0.01 at 83000";
    let filled = "trade 70 of 0.004, 0.004 in all; trade 71 of 0.006, 0.01 in all; done";
    assert_eq!(told(&world, id(1)), format!("{wanted}; accepted 1001; {filled}"));
    assert_eq!(told(&world, id(2)), format!("{wanted}; accepted 1002; cancelled"));
    assert_eq!(told(&world, id(3)), format!("{wanted}; accepted 1003; cancelled"));
    assert_eq!(told(&world, id(90)), "", "its end was written down");
    assert_eq!(world.orders["web_abc"].status, "NEW");
    assert!(!is_told_to_strategies(&world));
}

#[test]
fn one_that_was_found_and_ended_is_not_found_again_when_another_takes_its_place_in_the_table() {
    let mut world = after_death(Vec::new());
    let older = OrderId::new(id(3).epoch() - 1, 3);
    world.rest_order(&older.to_string());
    world.set(&older.to_string(), "CANCELED", "0");
    world.rest_order(&id(3).to_string());
    world.run(6_000);
    assert_eq!(world.reached, [Milestone::Ready]);
    assert_eq!(told(&world, older), "wanted 0.01 at 83000; accepted 1001; cancelled");
    assert_eq!(told(&world, id(3)), "wanted 0.01 at 83000; accepted 1002; cancelled", "open, listed, ended; once");
}

#[test]
fn one_that_was_known_by_name_and_ended_is_not_found_again_when_its_end_is_told_late() {
    // The same counter in two sessions: one takes the other's place in the table.
    let known = [1, 2].map(|session| {
        let mut former = former_order(5, None, &[]);
        former.order.id = OrderId::new(session, 5);
        former
    });
    let mut world = after_death(known.to_vec());
    let both = [1, 2].map(|session| OrderId::new(session, 5));
    for id in both {
        world.rest_order(&id.to_string());
    }
    world.run(10_000);
    assert_eq!(world.reached, [Milestone::Ready; 2], "and again after the second look");
    let before = both.map(|id| told(&world, id));
    for id in both {
        let late = world.order_event(&id.to_string(), "CANCELED", "CANCELED", "0", None);
        world.tell(&late);
    }
    world.run(6_000);
    assert_eq!(both.map(|id| told(&world, id)), before);
    assert!(!world.notices().contains(&"an order of a former session turned up: looking for all of them"));
}

#[test]
fn one_that_turns_up_later_is_found_as_well() {
    let mut world = after_death(Vec::new());
    world.run(3_000);
    assert_eq!(world.reached, [Milestone::Ready]);
    world.seen.clear();
    let client = id(7).to_string();
    world.rest_order(&client);
    world.set(&client, "PARTIALLY_FILLED", "0.004");
    world.trade_at_venue(70, 1_001, "0.004");
    let event = world.order_event(&client, "TRADE", "PARTIALLY_FILLED", "0.004", Some((70, "0.004")));
    world.tell(&event);
    world.run(6_000);
    assert_eq!(told(&world, id(7)), "wanted 0.01 at 83000; accepted 1001; trade 70 of 0.004, 0.004 in all; cancelled");
    assert!(!is_told_to_strategies(&world));
    assert_eq!(world.oms.core.desk.positions.qty(BTC).unwrap().to_string(), world.position);
}

#[test]
fn a_second_death_on_the_way_changes_nothing_about_the_end() {
    for millis in (0..4_000).step_by(230) {
        let mut first = after_death(vec![former_order(1, None, &[])]);
        let client = id(1).to_string();
        first.rest_order(&client);
        first.set(&client, "PARTIALLY_FILLED", "0.005");
        first.trade_at_venue(70, 1_001, "0.005");
        first.run(millis);
        // Nothing of it was written down: the worst case.
        let mut second = after_death(vec![former_order(1, None, &[])]);
        (second.orders, second.trades, second.position) = (first.orders, first.trades, first.position);
        second.run(4_500);
        assert_eq!(second.reached, [Milestone::Ready], "{millis}");
        assert_eq!(told(&second, id(1)), "accepted 1001; trade 70 of 0.005, 0.005 in all; cancelled", "{millis}");
    }
}

#[test]
fn more_former_orders_than_fit_side_by_side_all_come_to_their_end() {
    // The same counter in forty sessions: all look for the same slot.
    let orders = (1..=40).map(|session| {
        let mut former = former_order(5, None, &[]);
        former.order.id = OrderId::new(session, 5);
        former
    });
    let mut world = after_death(orders.collect());
    for session in 1..=40 {
        world.rest_order(&OrderId::new(session, 5).to_string());
    }
    world.run_by(5, 20_000);
    for session in 1..=40 {
        assert!(told(&world, OrderId::new(session, 5)).ends_with("cancelled"), "{session}");
    }
    assert_eq!(world.reached, [Milestone::Ready; 2], "and again after the second look");
}

#[test]
fn one_that_the_list_leaves_out_at_first_is_found_at_a_later_look() {
    // Left out for so long, and found within so much more.
    for (left_out, later) in [(3_000, 8_000), (20_000, 60_000)] {
        let mut world = after_death(Vec::new());
        let client = id(7).to_string();
        world.rest_order(&client);
        world.set(&client, "FILLED", "0.01");
        world.trade_at_venue(70, 1_001, "0.01");
        world.unlisted.push(client.clone());
        world.run(left_out);
        assert_eq!(world.gates().last().map(String::as_str), Some("open Reconciled"), "{left_out}");
        assert_eq!(told(&world, id(7)), "", "nothing tells of it");
        world.unlisted.clear();
        world.run(later);
        assert_eq!(told(&world, id(7)), "wanted 0.01 at 83000; accepted 1001; trade 70 of 0.01, 0.01 in all; done");
        assert_eq!(world.oms.core.desk.positions.qty(BTC).unwrap().to_string(), "0.01");
        assert_eq!(world.gates().last().map(String::as_str), Some("open Reconciled"), "{left_out}");
    }
}
