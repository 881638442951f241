//! Behind the stage: an exchange that refuses again and again is asked less and less, and exits are never held up.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{LASTING, SYMBOL, World, config, config_of_two, qty};
use optiflow_base::clock::Nanos;
use optiflow_base::ids::{ExchangeOrderId, OrderId, SymbolId};
use optiflow_base::log::{LogEvent, Refusal};
use optiflow_base::order::{Action, OrderChange};
use optiflow_risk::refusals::{DAILY_MAX, IDENTICAL_MAX};

const ENTRY: &str = "buy 29999.9 0.002";
const ACCEPTED: OrderChange = OrderChange::Accepted { exchange_id: ExchangeOrderId(1) };

/// Places an order, if risk lets it, and answers with `change`; was it let through?
fn try_one(world: &mut World, order: &str, change: OrderChange) -> bool {
    let order = world.order(order);
    let approved = world.ask(Action::Place(order)) == "approved";
    if approved {
        world.change(order.id, OrderChange::Sent);
        world.change(order.id, change);
        world.step();
    }
    approved
}

fn halts(world: &mut World) -> Vec<(SymbolId, Refusal, Option<Nanos>)> {
    let mut halts = Vec::new();
    while let Some(event) = world.log.pop() {
        if let LogEvent::Halted { symbol, refusal, until, .. } = event {
            halts.push((symbol, refusal, until));
        }
    }
    halts
}

/// What a restless strategy, wanting an order every 20 ms for a minute, gets to the exchange when it is always refused.
fn restless(world: &mut World, change: OrderChange) -> u32 {
    let mut sent = 0;
    for _ in 0..3_000 {
        world.wait(Duration::from_millis(20));
        world.top("29999.9", "30000.1");
        world.mark("30000");
        sent += u32::from(try_one(world, ENTRY, change));
    }
    sent
}

#[test]
fn a_restless_strategy_whose_orders_are_always_refused_sends_a_handful_a_minute() {
    for code in [-2019, -4164, -2022, -1008] {
        let mut world = World::ready(config());
        // Pauses of 1, 2, 4, 8, 16 s and so on: an order after each.
        assert_eq!(restless(&mut world, OrderChange::Refused { code }), IDENTICAL_MAX + 5, "{code}");
        world.wait(Duration::from_secs(3_600));
        assert!(restless(&mut world, OrderChange::Refused { code }) <= IDENTICAL_MAX + 5, "{code}");
    }
    let mut world = World::ready(config());
    assert_eq!(restless(&mut world, OrderChange::Refused { code: LASTING }), IDENTICAL_MAX, "and none after a latch");
    assert_eq!(restless(&mut world, OrderChange::Refused { code: LASTING }), 0);
}

#[test]
fn post_only_orders_that_would_take_are_let_be_until_there_are_very_many() {
    let mut config = config();
    (config.rates.orders_ten_seconds, config.rates.orders_minute) = (100_000, 100_000);
    let mut world = World::ready(config.clone());
    for _ in 0..DAILY_MAX - 1 {
        world.wait(Duration::from_millis(20));
        world.top("29999.9", "30000.1");
        world.mark("30000");
        assert!(try_one(&mut world, ENTRY, OrderChange::Expired));
    }
    assert_eq!(halts(&mut world), []);
    let mut world = World::ready(config);
    let sent = restless(&mut world, OrderChange::Expired);
    assert!((2 * DAILY_MAX..2_500).contains(&sent), "{sent}: paused, and on it goes");
}

#[test]
fn only_what_the_exchange_refused_and_nothing_else_counts() {
    let mut config = config();
    config.rates.orders_ten_seconds = 100_000;
    let mut world = World::ready(config);
    let fill = |world: &mut World, order: OrderId| world.fill(order, qty("0.001"), qty("0.001"));
    for _ in 0..3 * DAILY_MAX {
        world.wait(Duration::from_millis(250));
        world.top("29999.9", "30000.1");
        world.mark("30000");
        // Codes of our own: the order never left.
        assert!(try_one(&mut world, ENTRY, OrderChange::Refused { code: 1 }));
        // A post-only order that traded and was then cancelled by the exchange did rest.
        let order = world.placed(ENTRY);
        fill(&mut world, order.id);
        world.change(order.id, OrderChange::Expired);
        world.position("0");
        world.step();
    }
    assert_eq!(halts(&mut world), []);
}

#[test]
fn it_is_told_once_a_pause_with_symbol_and_reason_and_exits_and_cancels_go() {
    let mut world = World::ready_with_two(config_of_two("100000", 100));
    let resting = world.placed("sell 30000.1 0.002");
    world.position("0.05");
    world.symbol = SymbolId(1);
    world.position("0.05");
    let refused = |world: &mut World, code| {
        let order = world.placed(ENTRY);
        world.change(order.id, OrderChange::Refused { code });
        world.step();
        order
    };
    for (symbol, code) in [(SYMBOL, -2019), (SymbolId(1), LASTING)] {
        world.symbol = symbol;
        let mut told = Vec::new();
        for _ in 0..IDENTICAL_MAX {
            refused(&mut world, code);
            told.extend(halts(&mut world));
        }
        let until = (code != LASTING).then_some(world.now + Duration::from_secs(1));
        assert_eq!(told, [(symbol, Refusal::Order(code), until)]);
        assert_eq!(world.place(ENTRY), "RepeatedRefusal");
        assert_eq!(world.place("sell 30000.1 0.01 reduce"), "approved");
        assert_eq!(world.place("sell market 0.01 reduce"), "approved");
    }
    world.symbol = SYMBOL;
    let terms = Action::Modify { order: resting.id, price: common::price("30000.2"), qty: qty("0.002") };
    assert_eq!(world.ask(terms), "RepeatedRefusal", "other terms are an entry like any other");
    assert_eq!(world.cancel(resting.id), "approved");
}

#[test]
fn an_exit_that_is_refused_goes_out_again_and_pauses_entries() {
    let mut world = World::ready(config());
    world.position("0.05");
    for _ in 0..4 * IDENTICAL_MAX {
        assert!(try_one(&mut world, "sell 30000.1 0.01 reduce", OrderChange::Refused { code: -2022 }));
    }
    assert_eq!(world.place(ENTRY), "RepeatedRefusal");
}

#[test]
fn an_order_that_is_accepted_after_a_pause_ends_it() {
    let mut world = World::ready(config());
    restless(&mut world, OrderChange::Refused { code: -2019 });
    world.wait(Duration::from_secs(60));
    world.top("29999.9", "30000.1");
    world.mark("30000");
    let probe = world.placed(ENTRY);
    assert_eq!(world.place(ENTRY), "RepeatedRefusal", "one asks, the others wait");
    world.change(probe.id, ACCEPTED);
    assert_eq!(world.place(ENTRY), "approved");
    assert_eq!(world.place(ENTRY), "approved");
}
