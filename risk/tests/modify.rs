//! Other terms for an open order: held to every limit as if it were placed anew, and to the worse of both.

#![allow(clippy::unwrap_used)]

mod common;

use common::{EPOCH, World, config, qty};
use optiflow_base::control::Command;
use optiflow_base::ids::OrderId;
use optiflow_base::order::{Action, OrderChange};

fn modify(order: OrderId, price: &str, qty: &str) -> Action {
    Action::Modify { order, price: price.parse().unwrap(), qty: qty.parse().unwrap() }
}

#[test]
fn a_modify_passes_every_check_of_an_order_and_the_worse_of_both_counts() {
    let table = [
        ("29999.8", "0.002", "approved"),
        ("29999.9", "0.033", "approved"),
        ("29999.85", "0.002", "OffGrid"),
        ("29999.9", "0.0025", "OffGrid"),
        ("29999.9", "0.001", "MinNotional"),
        ("500", "0.2", "PriceFilter"),
        ("31500.1", "0.002", "PercentPrice"),
        ("26999.9", "0.002", "PriceBand"),
        ("29999.9", "0.034", "OrderSize"),
        ("29999.9", "-0.002", "BadOrderId"),
        ("29999.9", "0.001", "MinNotional"),
    ];
    for (price, qty, expected) in table {
        let mut world = World::ready(config());
        let order = world.placed("buy 29999.9 0.002");
        assert_eq!(world.ask(modify(order.id, price, qty)), expected, "{qty} @ {price}");
        if expected == "approved" {
            assert_eq!(world.ask(modify(order.id, "29999.7", "0.002")), "BadOrderId", "one at a time");
            world.change(order.id, OrderChange::ModifyRefused { code: -4164 });
            assert_eq!(world.ask(modify(order.id, "29999.7", "0.002")), "approved");
        }
    }
    let mut world = World::ready(config());
    assert_eq!(world.ask(modify(OrderId::new(EPOCH, 9_999), "29999.7", "0.002")), "BadOrderId");
    let taker = world.placed("buy market 0.002");
    assert_eq!(world.ask(modify(taker.id, "29999.7", "0.002")), "BadOrderId", "only what rests");
    // A latch stops it.
    let order = world.placed("buy 29999.9 0.002");
    world.commands.push(Command::Stop).unwrap();
    assert_eq!(world.ask(modify(order.id, "29999.8", "0.002")), "Latched");
}

#[test]
fn other_terms_use_up_an_order_and_leave_the_reserve_to_exits() {
    let mut config = config();
    (config.rates.orders_ten_seconds, config.rates.reserve_percent) = (5, 20);
    let mut world = World::ready(config);
    world.position("0.01");
    let order = world.placed("buy 29999.9 0.002").id;
    let exit = world.placed("sell 30000.1 0.002 reduce").id;
    for price in ["29999.8", "29999.7"] {
        assert_eq!(world.ask(modify(order, price, "0.002")), "approved");
        world.change(order, OrderChange::ModifyRefused { code: 7 });
    }
    assert_eq!(world.ask(modify(order, "29999.6", "0.002")), "OrderRate");
    assert_eq!(world.ask(modify(exit, "30000.2", "0.002")), "approved");
    world.change(exit, OrderChange::ModifyRefused { code: 7 });
    assert_eq!(world.ask(modify(exit, "30000.3", "0.002")), "OrderRate");
}

#[test]
fn while_the_position_is_in_doubt_an_exit_may_get_other_terms_and_an_entry_none() {
    let mut world = World::ready(config());
    world.position("0.01");
    let order = world.placed("buy 29999.9 0.002").id;
    let exit = world.placed("sell 30000.1 0.002 reduce").id;
    world.fill(OrderId::new(EPOCH - 1, 3), qty("0.001"), qty("0.001"));
    assert_eq!(world.ask(modify(order, "29999.8", "0.002")), "GateClosed");
    assert_eq!(world.ask(modify(exit, "30000.2", "0.002")), "approved");
}
