//! The kill latch: once it is set, nothing that could open or enlarge a position stays on the book.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{SYMBOL, Sizes, World, config, config_of_two};
use optiflow_base::control::Command;
use optiflow_base::ids::SymbolId;
use optiflow_base::log::LogEvent;
use optiflow_base::order::{Action, Intent, OrderChange, Report, Usage};
use optiflow_risk::latches::RUNAWAY_INTENTS;

/// Long 0.01, with two entries (1, 2) and an exit (3) resting.
fn resting() -> World {
    let mut world = World::ready(config());
    world.position("0.01");
    world.placed("buy 29999.9 0.002");
    world.placed("sell 30000.1 0.003");
    world.placed("sell 30000.1 0.002 reduce");
    world
}

/// The orders whose cancels risk has ordered since the last call.
fn cancelled(world: &mut World) -> Vec<u32> {
    let mut cancelled = Vec::new();
    while let Some(approved) = world.orders.pop() {
        let Intent { symbol, action, .. } = *approved.intent();
        let Action::Cancel(order) = action else { panic!("{action:?}") };
        assert_eq!(symbol, SYMBOL);
        cancelled.push(order.counter());
    }
    cancelled
}

fn notices(world: &mut World) -> Vec<(&'static str, i64)> {
    let mut notices = Vec::new();
    while let Some(event) = world.log.pop() {
        if let LogEvent::Notice(notice) = event {
            notices.push((notice.what, notice.value));
        }
    }
    notices
}

#[test]
fn a_runaway_withdraws_every_entry_within_two_steps() {
    let mut world = resting();
    for _ in 0..=RUNAWAY_INTENTS {
        world.intents.push(world.amending_nothing()).unwrap();
    }
    while !world.intents_are_read() {
        assert_eq!(cancelled(&mut world), [] as [u32; 0]);
        world.step();
    }
    world.step();
    assert_eq!(cancelled(&mut world), [1, 2], "the exit stays");
    let told = notices(&mut world);
    assert!(told.contains(&(optiflow_risk::stage::WITHDRAWING, 2)), "{told:?}");
    world.step();
    assert_eq!(cancelled(&mut world), [] as [u32; 0], "ordered once");
}

/// A thousand intents a second, begun at any instant of a second: no window of the clock may give it a second chance.
#[test]
fn a_thousand_intents_a_second_are_latched_within_a_tenth_of_one_whenever_they_begin() {
    for begins_ms in (0..1_000).step_by(37) {
        let mut world = resting();
        world.wait(Duration::from_millis(begins_ms));
        world.top("29999.9", "30000.1");
        world.mark("30000");
        notices(&mut world);
        let began = world.now;
        let mut latched = Vec::new();
        for _ in 0..3_000 {
            let order = world.order("buy 29999.9 0.002");
            let action = Action::Place(order);
            world.intents.push(Intent { symbol: SYMBOL, action, caused: world.now, decided: world.now }).unwrap();
            world.step();
            while world.denials.pop().is_some() {}
            let told = notices(&mut world).iter().filter(|(what, _)| *what == optiflow_risk::stage::RUNAWAY).count();
            latched.extend(std::iter::repeat_n(world.now.since(began), told));
            world.wait(Duration::from_millis(1));
        }
        assert_eq!(latched.len(), 1, "told once, begun at {begins_ms} ms");
        while world.orders.pop().is_some() {}
        assert!(latched[0] <= 100_000_000, "latched after {} ns, begun at {begins_ms} ms", latched[0]);
        assert_eq!(world.place("buy 29999.9 0.002"), "Latched");
    }
}

/// The gate closes or the book is lost: the engine cancels all it has, in one instant, and what has just ended once more.
#[test]
fn a_withdrawal_of_all_open_orders_is_no_runaway() {
    let mut config = config();
    config.symbols[0].open_orders_max = 200;
    config.symbols[0].order_notional_max = "100000".parse().unwrap();
    config.symbols[0].position_notional_max = "1000000".parse().unwrap();
    (config.rates.orders_ten_seconds, config.rates.weight_minute) = (1_000, 2_000);
    let mut world = World::ready(config);
    let mut open = Vec::new();
    for _ in 0..200 {
        world.wait(Duration::from_millis(10));
        world.top("29999.9", "30000.1");
        world.mark("30000");
        open.push(world.placed("buy 29999.9 0.002").id);
    }
    assert!(open.len() > RUNAWAY_INTENTS as usize);
    world.gate(false);
    for order in &open {
        assert_eq!(world.cancel(*order), "approved");
    }
    for order in &open {
        world.change(*order, OrderChange::Done);
        assert_eq!(world.cancel(*order), "BadOrderId", "it had ended");
    }
    world.gate(true);
    assert_eq!(world.place("buy 29999.9 0.002"), "approved", "nothing is latched");
}

#[test]
fn a_hundred_intents_in_any_second_are_no_runaway() {
    let mut world = World::ready(config());
    for _ in 0..1_000 {
        world.wait(Duration::from_millis(10));
        world.amend_nothing();
    }
    assert!(notices(&mut world).is_empty(), "one every ten milliseconds, for ten seconds");
}

#[test]
fn two_symbols_at_their_full_pace_are_no_runaway() {
    let mut world = World::ready_with_two(config_of_two("100000", 100));
    for _ in 0..RUNAWAY_INTENTS {
        for symbol in [SymbolId(0), SymbolId(1)] {
            world.symbol = symbol;
            world.amend_nothing();
        }
    }
    assert!(notices(&mut world).is_empty());
}

#[test]
fn a_kill_by_command_sets_the_same_latch_and_says_so_once() {
    let mut world = resting();
    world.commands.push(Command::Kill).unwrap();
    world.commands.push(Command::Kill).unwrap();
    notices(&mut world);
    world.step();
    assert_eq!(cancelled(&mut world), [1, 2]);
    assert_eq!(notices(&mut world), [(optiflow_risk::stage::KILLED, 0), (optiflow_risk::stage::WITHDRAWING, 2)]);
    assert_eq!(world.place("buy 29999.9 0.002"), "Latched");
    assert_eq!(world.place("sell 30000.1 0.002 reduce"), "approved", "a position may be left");
}

#[test]
fn cancels_wait_for_room_and_for_weight_and_are_ordered_again_until_the_end_is_proven() {
    let mut world = World::silent(config(), &Sizes { orders: 1, log: 1_024 });
    world.gate(true);
    world.top("29999.9", "30000.1");
    world.mark("30000");
    let first = world.placed("buy 29999.9 0.002");
    world.placed("buy 29999.9 0.002");
    let until = world.now + Duration::from_millis(100);
    world.report(Report::Usage(Usage { blocked_until: Some(until), ..Usage::default() }));
    world.commands.push(Command::Kill).unwrap();
    world.step();
    assert_eq!(cancelled(&mut world), [] as [u32; 0], "sending on would make a ban longer");
    world.wait(Duration::from_millis(100));
    world.step();
    world.step();
    assert_eq!(cancelled(&mut world), [1], "one fits the ring");
    world.step();
    assert_eq!(cancelled(&mut world), [2]);
    world.change(first.id, OrderChange::Cancelled);
    world.wait(Duration::from_millis(999));
    world.step();
    assert_eq!(cancelled(&mut world), [] as [u32; 0]);
    world.wait(Duration::from_millis(1));
    world.step();
    assert_eq!(cancelled(&mut world), [2], "its end is not proven");
}

#[test]
fn cancels_that_never_left_weigh_nothing_when_they_come_back() {
    let mut config = config();
    config.rates.weight_minute = 20;
    let mut world = World::ready(config);
    let order = world.placed("buy 29999.9 0.002").id;
    world.commands.push(Command::Kill).unwrap();
    for second in 0..50 {
        world.step();
        assert_eq!(cancelled(&mut world).len(), 1, "second {second}");
        // The order socket is down.
        world.change(order, OrderChange::CancelRefused { code: 1 });
        world.wait(Duration::from_secs(1));
    }
    // It is up again: what leaves counts, whoever refuses it.
    let mut left = 0;
    for _ in 0..50 {
        world.step();
        left += cancelled(&mut world).len();
        world.change(order, OrderChange::CancelSent);
        world.change(order, OrderChange::CancelRefused { code: 403 });
        world.change(order, OrderChange::CancelRefused { code: -2011 });
        world.wait(Duration::from_secs(1));
    }
    assert!((20..=40).contains(&left), "{left} in a minute that may turn once");
}
