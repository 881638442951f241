//! Limits over all symbols together: everything that could still fill counts, wherever it is.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{SYMBOL, World, config, config_of_two, price};
use optiflow_base::ids::SymbolId;
use optiflow_base::money::{Notional, Qty, Side};
use optiflow_base::order::{Action, NewOrder, OrderChange};
use optiflow_risk::RiskConfig;
use proptest::prelude::*;

const OTHER: SymbolId = SymbolId(1);

fn world(notional_max: &str, open_orders_max: u32) -> World {
    World::ready_with_two(config_of_two(notional_max, open_orders_max))
}

fn place_in(world: &mut World, symbol: SymbolId, order: &str) -> String {
    world.symbol = symbol;
    world.place(order)
}

/// What is done in the other symbol, and what then becomes of an order of 900.003 in the first; the limit is 1 800.1.
#[test]
fn what_another_symbol_may_still_have_counts_until_its_end_is_proven() {
    type Before = fn(&mut World) -> Option<NewOrder>;
    let open = |world: &mut World, change: Option<OrderChange>| {
        world.symbol = OTHER;
        let order = world.placed("buy 29999.9 0.033");
        change.into_iter().for_each(|change| world.change(order.id, change));
    };
    let cases: [(&str, Before, &str); 4] = [
        ("nothing", |_| None, "approved"),
        ("a position", |world| (world.symbol = OTHER, world.position("0.033"), None).2, "TotalLimit"),
        ("a short one", |world| (world.symbol = OTHER, world.position("-0.033"), None).2, "TotalLimit"),
        ("a small one", |world| (world.symbol = OTHER, world.position("0.029"), None).2, "approved"),
    ];
    for (what, before, expected) in cases {
        let mut world = world("1800.1", 10);
        before(&mut world);
        assert_eq!(place_in(&mut world, SYMBOL, "buy 29999.9 0.03"), expected, "{what}");
    }
    let changes = [
        (None, "TotalLimit"),
        (Some(OrderChange::Sent), "TotalLimit"),
        (Some(OrderChange::Unknown), "TotalLimit"),
        (Some(OrderChange::CancelSent), "TotalLimit"),
        (Some(OrderChange::Cancelled), "approved"),
        (Some(OrderChange::Expired), "approved"),
        (Some(OrderChange::Refused { code: -2019 }), "approved"),
    ];
    for (change, expected) in changes {
        let mut world = world("1800.1", 10);
        open(&mut world, change);
        assert_eq!(place_in(&mut world, SYMBOL, "sell 30000.1 0.03"), expected, "{change:?}");
    }
}

#[test]
fn a_symbol_counts_by_its_worse_side_and_both_sides_of_one_are_not_added() {
    let mut world = world("1800", 10);
    assert_eq!(place_in(&mut world, SYMBOL, "buy 29999.9 0.03"), "approved");
    assert_eq!(place_in(&mut world, SYMBOL, "sell 30000.1 0.03"), "approved", "only one of them can become position");
    assert_eq!(place_in(&mut world, OTHER, "buy 29999.9 0.02"), "approved");
    assert_eq!(place_in(&mut world, OTHER, "buy 29999.9 0.01"), "TotalLimit", "900.003 + 600.002 + 300.001");
    assert_eq!(place_in(&mut world, OTHER, "sell 30000.1 0.02"), "approved");
    assert_eq!(place_in(&mut world, SYMBOL, "sell 30000.1 0.011"), "TotalLimit", "the sells are the worse side then");
}

#[test]
fn the_symbol_s_own_limit_is_asked_first_and_exits_ask_neither() {
    let mut world = world("100", 1);
    world.position("0.1");
    assert_eq!(world.place("buy 29999.9 0.002"), "PositionLimit");
    assert_eq!(place_in(&mut world, OTHER, "buy 29999.9 0.002"), "TotalLimit");
    assert_eq!(place_in(&mut world, SYMBOL, "sell 30000.1 0.05 reduce"), "approved");
    assert_eq!(place_in(&mut world, SYMBOL, "sell 30000.1 0.05 reduce"), "approved", "beyond the orders as well");
    assert_eq!(place_in(&mut world, OTHER, "buy 29999.9 0.002"), "TotalOpenOrders", "exits count against entries");
}

#[test]
fn open_orders_are_limited_in_total() {
    let mut world = world("100000", 3);
    let first = world.placed("buy 29999.9 0.002");
    world.placed("sell 30000.1 0.002");
    world.symbol = OTHER;
    world.placed("buy 29999.9 0.002");
    assert_eq!(world.place("buy 29999.9 0.002"), "TotalOpenOrders");
    world.symbol = SYMBOL;
    assert_eq!(world.place("buy 29999.9 0.002"), "TotalOpenOrders");
    world.change(first.id, OrderChange::Unknown);
    assert_eq!(world.place("buy 29999.9 0.002"), "TotalOpenOrders", "unknown is open");
    world.change(first.id, OrderChange::Cancelled);
    assert_eq!(world.place("buy 29999.9 0.002"), "approved");
}

/// The other symbol has a position worth 300; its own limit is 3 000. The order is worth 900.
#[test]
fn a_symbol_without_a_fresh_price_counts_as_much_as_it_may_have() {
    for (limit, age_s, expected) in
        [("1300", 0, "approved"), ("1300", 4, "TotalLimit"), ("3850", 4, "TotalLimit"), ("3950", 4, "approved")]
    {
        let mut world = world(limit, 10);
        world.symbol = OTHER;
        world.position("0.01");
        world.step();
        world.wait(Duration::from_secs(age_s));
        world.symbol = SYMBOL;
        world.top("29999.9", "30000.1");
        world.mark("30000");
        assert_eq!(world.place("buy 29999.9 0.03"), expected, "{limit} after {age_s} s");
    }
    let mut unheard = World::ready(config_of_two("100000000", 10));
    unheard.symbol = OTHER;
    unheard.position("0.001");
    unheard.symbol = SYMBOL;
    assert_eq!(unheard.place("buy 29999.9 0.002"), "TotalLimit", "a position whose price nobody knows is boundless");
    unheard.symbol = OTHER;
    unheard.position("0");
    unheard.symbol = SYMBOL;
    assert_eq!(unheard.place("buy 29999.9 0.002"), "approved");
}

#[test]
fn a_price_that_rises_elsewhere_leaves_less_room_here() {
    let mut world = world("1250", 10);
    world.symbol = OTHER;
    world.position("0.01");
    assert_eq!(place_in(&mut world, SYMBOL, "buy 29999.9 0.03"), "approved");
    let moves: [fn(&mut World); 2] = [|world| world.mark("36000"), |world| world.top("35999.9", "36000")];
    for rises in moves {
        let mut world = self::world("1250", 10);
        world.symbol = OTHER;
        world.position("0.01");
        rises(&mut world);
        assert_eq!(place_in(&mut world, SYMBOL, "buy 29999.9 0.03"), "TotalLimit");
    }
}

#[test]
fn a_symbol_without_a_fresh_price_that_holds_more_than_it_may_counts_by_what_it_holds() {
    for (age_s, expected) in [(0, "TotalLimit"), (4, "TotalLimit")] {
        let mut world = world("6800", 10);
        world.symbol = OTHER;
        world.position("0.2");
        world.step();
        world.wait(Duration::from_secs(age_s));
        world.symbol = SYMBOL;
        world.top("29999.9", "30000.1");
        world.mark("30000");
        assert_eq!(world.place("buy 29999.9 0.03"), expected, "after {age_s} s");
    }
}

#[test]
fn a_modify_is_held_to_the_total_by_the_worse_of_both_terms() {
    let mut world = world("1200.1", 10);
    world.symbol = OTHER;
    world.placed("buy 29999.9 0.02");
    world.symbol = SYMBOL;
    let order = world.placed("buy 29999.9 0.01");
    let to = |qty: &str| Action::Modify { order: order.id, price: price("29999.8"), qty: qty.parse().unwrap() };
    assert_eq!(world.ask(to("0.03")), "TotalLimit");
    assert_eq!(world.ask(to("0.02")), "approved");
    assert_eq!(place_in(&mut world, OTHER, "buy 29999.9 0.002"), "TotalLimit", "both terms may be in force");
}

#[test]
#[should_panic(expected = "several symbols have limits together")]
fn several_symbols_without_limits_together_are_refused() {
    World::ready_with_two(RiskConfig { total: None, ..config_of_two("1", 1) });
}

#[test]
fn one_symbol_may_have_a_total_as_well() {
    let total = config_of_two("700", 5).total;
    let mut world = World::ready(RiskConfig { total, ..config() });
    assert_eq!(world.place("buy 29999.9 0.02"), "approved");
    assert_eq!(world.place("buy 29999.9 0.02"), "TotalLimit");
}

#[derive(Clone, Debug)]
enum Act {
    Place { other: bool, buy: bool, milli: i64, reduce: bool },
    Fill { which: usize, milli: i64 },
    End { which: usize, how: u8 },
    Doubt { which: usize },
    Modify { which: usize, milli: i64 },
}

fn act() -> impl Strategy<Value = Act> {
    let place = (any::<bool>(), any::<bool>(), 2i64..34, prop::bool::weighted(0.15));
    prop_oneof![
        5 => place.prop_map(|(other, buy, milli, reduce)| Act::Place { other, buy, milli, reduce }),
        3 => (0usize..12, 1i64..34).prop_map(|(which, milli)| Act::Fill { which, milli }),
        1 => (0usize..12, 0u8..3).prop_map(|(which, how)| Act::End { which, how }),
        1 => (0usize..12).prop_map(|which| Act::Doubt { which }),
        1 => (0usize..12, 2i64..40).prop_map(|(which, milli)| Act::Modify { which, milli }),
    ]
}

/// The test's own ledger: positions by symbol, and open orders with what is left of each, an unanswered modify included.
#[derive(Default)]
struct Ledger {
    position: [i64; 2],
    open: Vec<(SymbolId, NewOrder, i64)>,
}

impl Ledger {
    fn total(&self) -> Notional {
        let worst = |symbol: usize| {
            let side = |side: Side| -> i64 {
                let ours = self.open.iter().filter(|(at, order, _)| at.index() == symbol && order.side == side);
                ours.filter(|(_, order, _)| !order.reduce_only).map(|(.., left)| left).sum()
            };
            let position = self.position[symbol];
            (position + side(Side::Buy)).max(side(Side::Sell) - position).max(position.abs())
        };
        price("30000").times(Qty::from_units(worst(0) + worst(1)))
    }
}

fn play(world: &mut World, ledger: &mut Ledger, act: &Act) {
    let len = ledger.open.len().max(1);
    match *act {
        Act::Place { other, buy, milli, reduce } => {
            world.symbol = if other { OTHER } else { SYMBOL };
            let side = if buy { "buy 29999.9" } else { "sell 30000.1" };
            let order = world.order(&format!("{side} 0.{milli:03} {}", if reduce { "reduce" } else { "" }));
            if world.ask(Action::Place(order)) == "approved" {
                ledger.open.push((world.symbol, order, order.qty.units()));
            }
        }
        Act::Fill { which, milli } => {
            let Some((symbol, order, left)) = ledger.open.get_mut(which % len) else { return };
            let position = &mut ledger.position[symbol.index()];
            let against = -order.side.signed(Qty::from_units(*position)).units();
            let most = if order.reduce_only { (*left).min(against) } else { *left };
            let filled = Qty::from_units((milli * 100_000).min(most));
            if filled <= Qty::ZERO {
                return;
            }
            *left -= filled.units();
            *position += order.side.signed(filled).units();
            world.symbol = *symbol;
            let id = order.id;
            let done = *left == 0;
            world.fill(id, filled, filled);
            if done {
                ledger.open.remove(which % len);
                world.change(id, OrderChange::Done);
            }
        }
        Act::End { which, how } => {
            if ledger.open.is_empty() {
                return;
            }
            let (symbol, order, _) = ledger.open.remove(which % len);
            world.symbol = symbol;
            let ends =
                [OrderChange::Cancelled, OrderChange::Expired, OrderChange::Refused { code: -1 - i32::from(how) }];
            world.change(order.id, ends[usize::from(how)]);
        }
        Act::Doubt { which } => {
            let Some((symbol, order, _)) = ledger.open.get(which % len) else { return };
            world.symbol = *symbol;
            world.change(order.id, OrderChange::Unknown);
        }
        Act::Modify { which, milli } => {
            let Some((symbol, order, left)) = ledger.open.get_mut(which % len) else { return };
            world.symbol = *symbol;
            let qty = Qty::from_units(milli * 100_000);
            if world.ask(Action::Modify { order: order.id, price: order.price, qty }) == "approved" {
                // Never answered: the larger one counts from now on.
                let more = (qty.units() - order.qty.units()).max(0);
                *left += more;
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_asked_for_in_two_symbols_the_total_keeps_its_limits(acts in prop::collection::vec(act(), 1..150)) {
        let mut config = config_of_two("2500", 6);
        config.quote_age_max = Duration::from_secs(3_600);
        let limit: Notional = config.total.unwrap().notional_max;
        let mut world = World::ready_with_two(config);
        let mut ledger = Ledger::default();
        for act in &acts {
            // Fast enough to place a lot, slow enough to be no runaway.
            world.wait(Duration::from_millis(20));
            play(&mut world, &mut ledger, act);
            world.step();
            prop_assert!(ledger.total() <= limit, "{} after {act:?}", ledger.total());
            let entries = ledger.open.iter().filter(|(_, order, _)| !order.reduce_only).count();
            prop_assert!(entries <= 6, "{entries} after {act:?}");
        }
    }
}
