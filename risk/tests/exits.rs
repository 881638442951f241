//! Exits: what a reduce-only order is spared, and what it is not.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{EPOCH, SYMBOL, World, config, qty};
use optiflow_base::ids::OrderId;
use optiflow_base::market::{BookLoss, MarketBody};
use optiflow_base::order::{GateReason, Report, Usage};

const EXIT: &str = "sell 30000.1 0.002 reduce";
const MARKET_EXIT: &str = "sell market 0.002 reduce";
const ENTRY: &str = "buy 29999.9 0.002";

/// Long 0.2, through an open gate.
fn long() -> World {
    let mut world = World::ready(config());
    world.position("0.2");
    world.step();
    world
}

#[test]
fn exits_pass_a_gate_that_doubt_or_a_lost_socket_closed_and_no_other() {
    let table = [
        (GateReason::UserStreamDown, "approved"),
        (GateReason::OrderSocketDown, "approved"),
        (GateReason::InDoubt, "approved"),
        (GateReason::RestrictedByExchange, "approved"),
        (GateReason::Starting, "GateClosed"),
        (GateReason::AccountTrouble, "GateClosed"),
        (GateReason::Stopping, "GateClosed"),
    ];
    for (reason, expected) in table {
        let mut world = World::ready(config());
        world.position("0.01");
        let open = world.placed(ENTRY);
        world.gate_for(reason);
        assert_eq!(world.place(EXIT), expected, "{reason:?}");
        assert_eq!(world.place(MARKET_EXIT), expected, "{reason:?}");
        assert_eq!(world.place(ENTRY), "GateClosed", "{reason:?}");
        assert_eq!(world.cancel(open.id), "approved", "{reason:?}");
    }
}

#[test]
fn doubt_about_the_position_stops_entries_alone() {
    let mut world = long();
    world.fill(OrderId::new(EPOCH - 1, 3), qty("0.01"), qty("0.01"));
    assert_eq!(world.place(ENTRY), "GateClosed");
    assert_eq!(world.place(EXIT), "approved");
    assert_eq!(world.place("sell market 0.2 reduce"), "NotReducing", "what is believed still bounds it");
}

#[test]
fn open_orders_and_the_price_band_do_not_hold_an_exit_up() {
    let mut config = config();
    config.symbols[0].open_orders_max = 1;
    config.symbols[0].price_band_ppm = 10_000;
    let mut world = World::ready(config);
    world.position("0.1");
    world.placed("sell 30000.1 0.002");
    assert_eq!(world.place("sell 30000.1 0.002"), "OpenOrders");
    assert_eq!(world.place(EXIT), "approved");
    world.mark("31000");
    assert_eq!(world.place("sell 30500 0.002 reduce"), "approved", "the mid and the mark have parted");
    assert_eq!(world.place("sell 29000 0.002 reduce"), "PercentPrice", "what the exchange refuses is still named");
}

#[test]
fn exits_have_a_bounded_table_of_their_own() {
    let mut config = config();
    (config.rates.orders_ten_seconds, config.symbols[0].open_orders_max) = (1_000, 1);
    let mut world = World::ready(config);
    world.position("0.1");
    let approved = (0..100).take_while(|_| world.place("sell 30000.1 0.001 reduce") == "approved").count();
    assert_eq!(approved, 64);
    assert_eq!(world.place("sell 30000.1 0.001 reduce"), "OpenOrders");
}

#[test]
fn however_many_entries_are_open_there_is_room_for_an_exit() {
    let mut config = config();
    (config.rates.orders_ten_seconds, config.symbols[0].open_orders_max) = (1_000, 80);
    config.symbols[0].position_notional_max = "10000".parse().unwrap();
    let mut world = World::ready(config);
    world.position("0.1");
    for _ in 0..80 {
        world.wait(Duration::from_millis(20));
        world.placed("buy 29999.9 0.002");
    }
    assert_eq!(world.place(EXIT), "approved");
}

#[test]
fn an_exit_needs_one_half_of_the_reference_and_a_market_exit_none() {
    type Event = fn(&mut World);
    let lose: Event = |world| world.quote(MarketBody::BookLost { symbol: SYMBOL, reason: BookLoss::Gap });
    let wait: Event = |world| world.wait(Duration::from_millis(3_001));
    let top: Event = |world| world.top("29999.9", "30000.1");
    let mark: Event = |world| world.mark("30000");
    let table: [(&str, &[Event], &str); 5] = [
        ("book lost, mark fresh", &[lose], "approved"),
        ("mark old, top fresh", &[wait, top], "approved"),
        ("top old, mark fresh", &[wait, mark], "approved"),
        ("both old", &[wait], "NoReference"),
        ("book lost, mark old", &[wait, top, lose], "NoReference"),
    ];
    for (name, events, expected) in table {
        let mut world = long();
        events.iter().for_each(|event| event(&mut world));
        assert_eq!(world.place(ENTRY), "NoReference", "{name}");
        assert_eq!(world.place(EXIT), expected, "{name}");
        assert_eq!(world.place(MARKET_EXIT), "approved", "{name}");
        assert_eq!(world.place("sell market 0.0005 reduce"), "LotSize", "{name}");
    }
}

#[test]
fn exits_wait_while_the_exchange_takes_no_orders() {
    let mut world = long();
    let until = world.now + Duration::from_secs(2);
    world.report(Report::Usage(Usage { orders_blocked_until: Some(until), ..Usage::default() }));
    assert_eq!(world.place(EXIT), "OrderRate");
    world.wait(Duration::from_secs(2));
    assert_eq!(world.place(EXIT), "approved");
}

#[test]
fn resting_orders_count_at_their_own_price_where_that_is_worse() {
    let mut config = config();
    config.symbols[0].position_notional_max = "1960".parse().unwrap();
    let mut world = World::ready(config);
    // 0.03 at 33 000 are 990; 0.033 more at 30 000.1 would fit only if those were counted at 30 000.1 as well.
    world.placed("sell 33000 0.03");
    assert_eq!(world.place("sell 30000.1 0.033"), "PositionLimit");
    assert_eq!(world.place("sell 30000.1 0.032"), "approved");
}

#[test]
fn what_orders_are_worth_is_rounded_once() {
    // Each order is worth half a unit more than a whole number of them: rounded apart, two of them lose a whole one.
    for (limit, expected) in [("1999.94020120", "PositionLimit"), ("1999.94020121", "approved")] {
        let mut config = config();
        config.symbols[0].instrument.step_size = "0.00000001".parse().unwrap();
        config.symbols[0].position_notional_max = limit.parse().unwrap();
        config.symbols[0].order_notional_max = "1001".parse().unwrap();
        let mut world = World::ready(config);
        world.mark("30000.30303037");
        world.placed("buy 29999.9 0.03333200");
        assert_eq!(world.place("buy 29999.9 0.03333200"), expected, "{limit}");
    }
}
