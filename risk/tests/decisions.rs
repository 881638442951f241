//! Intents in, decisions out: every reason to deny, and who passes when.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{EPOCH, SYMBOL, Sizes, World, config, qty};
use optiflow_base::control::Command;
use optiflow_base::ids::{ExchangeOrderId, OrderId};
use optiflow_base::log::{LogEvent, Span};
use optiflow_base::market::{BookLoss, MarketBody, StreamKind};
use optiflow_base::order::{Action, GateReason, Intent, OrderChange, Report, Usage};
use optiflow_risk::latches::RUNAWAY_INTENTS;

#[test]
fn an_order_alone_is_approved_or_the_limit_it_breaks_is_named() {
    let table = [
        ("buy 29999.9 0.002", "approved"),
        ("sell 30000.1 0.002", "approved"),
        ("buy market 0.002", "approved"),
        // Filters, and what they would have to change.
        ("buy 30000.05 0.002", "OffGrid"),
        ("buy 30000 0.0025", "OffGrid"),
        ("buy 29999 2000", "OffGrid"),
        ("buy 30000 0.0005", "LotSize"),
        ("buy 30000 -0.002", "LotSize"),
        ("buy 30000 90000000000", "LotSize"),
        ("buy 30000 0.001", "MinNotional"),
        ("buy 500 0.2", "PriceFilter"),
        ("buy -30000 0.002", "PriceFilter"),
        ("sell 92233720368 0.002", "PriceFilter"),
        ("buy 31500.1 0.002", "PercentPrice"),
        ("sell 28499.9 0.002", "PercentPrice"),
        // Our own limits: 1 000 an order, 10 % around mid and mark, above and below.
        ("buy 29999.9 0.033", "approved"),
        ("buy 29999.9 0.034", "OrderSize"),
        ("sell 33000 0.002", "approved"),
        ("sell 33000.1 0.002", "PriceBand"),
        ("buy 27000 0.002", "approved"),
        ("buy 26999.9 0.002", "PriceBand"),
        // Flat: nothing to reduce.
        ("sell 30000.1 0.002 reduce", "NotReducing"),
    ];
    for (order, expected) in table {
        assert_eq!(World::ready(config()).place(order), expected, "{order}");
    }
}

#[test]
fn the_band_holds_around_the_mid_as_well_as_the_mark() {
    let mut config = config();
    config.symbols[0].price_band_ppm = 10_000;
    for (mark, expected) in [("30000", "approved"), ("30250", "approved"), ("30400", "PriceBand")] {
        let mut world = World::ready(config.clone());
        world.mark(mark);
        assert_eq!(world.place("buy 29999.9 0.002"), expected, "mark {mark}");
        assert_eq!(world.place("buy market 0.002"), expected, "mark {mark}");
    }
}

#[test]
fn everything_open_counts_as_position_until_its_end_is_proven() {
    let mut world = World::ready(config());
    let first = world.placed("buy 30000 0.03");
    world.placed("buy 30000 0.03");
    world.placed("buy 30000 0.03");
    assert_eq!(world.place("buy 30000 0.02"), "PositionLimit");
    assert_eq!(world.place("sell 30000.1 0.03"), "approved", "the other side has its own room");
    for change in [
        OrderChange::Sent,
        OrderChange::Accepted { exchange_id: ExchangeOrderId(1) },
        OrderChange::Unknown,
        OrderChange::CancelSent,
        OrderChange::CancelRefused { code: -2011 },
    ] {
        world.change(first.id, change);
        assert_eq!(world.place("buy 30000 0.02"), "PositionLimit", "{change:?} proves nothing");
    }
    world.fill(first.id, qty("0.01"), qty("0.01"));
    assert_eq!(world.place("buy 30000 0.02"), "PositionLimit", "a fill moves exposure, it does not free it");
    world.change(first.id, OrderChange::Cancelled);
    assert_eq!(world.place("buy 30000 0.02"), "approved", "0.01 held and 0.06 open leave room for 0.03");
}

#[test]
fn each_end_releases_what_was_left() {
    for end in [OrderChange::Refused { code: -2019 }, OrderChange::Cancelled, OrderChange::Expired, OrderChange::Done] {
        let mut world = World::ready(config());
        let orders: Vec<_> = (0..3).map(|_| world.placed("sell 30000.1 0.033")).collect();
        assert_eq!(world.place("sell 30000.1 0.033"), "PositionLimit");
        world.change(orders[1].id, end);
        assert_eq!(world.place("sell 30000.1 0.033"), "approved", "{end:?}");
    }
}

#[test]
fn open_orders_are_limited_by_ours_and_by_the_exchange() {
    let mut config = config();
    for (ours, theirs) in [(2, 200), (200, 2)] {
        config.symbols[0].open_orders_max = ours;
        config.symbols[0].instrument.open_orders_max = theirs;
        let mut world = World::ready(config.clone());
        world.placed("buy 29999.9 0.002");
        let second = world.placed("sell 30000.1 0.002");
        assert_eq!(world.place("buy 29999.9 0.002"), "OpenOrders");
        world.change(second.id, OrderChange::Expired);
        assert_eq!(world.place("buy 29999.9 0.002"), "approved");
    }
}

#[test]
fn reduce_only_must_reduce_and_needs_no_room() {
    let mut world = World::ready(config());
    world.position("0.2");
    assert_eq!(world.place("buy 30000 0.002"), "PositionLimit", "held beyond the limit already");
    assert_eq!(world.place("buy 30000 0.002 reduce"), "NotReducing");
    let exit = world.placed("sell 30000.1 0.15 reduce");
    assert_eq!(world.place("sell 30000.1 0.051 reduce"), "NotReducing", "two exits share the position");
    assert_eq!(world.place("sell 30000.1 0.05 reduce"), "approved");
    world.change(exit.id, OrderChange::Cancelled);
    assert_eq!(world.place("sell market 0.15 reduce"), "approved");
    world.position("-0.2");
    assert_eq!(world.place("sell 30000.1 0.002 reduce"), "NotReducing");
    assert_eq!(world.place("buy 30000 0.2 reduce"), "approved");
}

/// The limit is 3 000 and a position of 0.09 is worth 2 700; orders are up to 1 000.
#[test]
fn an_order_that_would_turn_a_position_round_is_told_to_leave_it_first() {
    let mut world = World::ready(config());
    world.position("0.09");
    for _ in 0..3 {
        world.placed("sell 30000.1 0.03");
    }
    assert_eq!(world.place("sell 30000.1 0.03"), "ExitFirst", "it would fit if the position were gone already");
    let mut world = World::ready(config());
    world.position("0.01");
    for _ in 0..3 {
        world.placed("sell 30000.1 0.033");
    }
    assert_eq!(world.place("sell 30000.1 0.033"), "PositionLimit", "it would not fit even then");
    assert_eq!(world.place("buy 29999.9 0.033"), "approved");
    // What to do: an exit, and when it has traded, the entry.
    let mut world = World::ready(config());
    world.position("0.09");
    let exit = world.placed("sell 30000.1 0.09 reduce");
    world.fill(exit.id, qty("0.09"), qty("0.09"));
    world.change(exit.id, OrderChange::Done);
    assert_eq!(world.place("sell 30000.1 0.03"), "approved");
}

/// A stage that stood still for a while finds more reports than it hears in one step; the last of them shuts the gate.
#[test]
fn no_order_passes_before_everything_that_was_told_is_heard() {
    let mut world = World::ready(config());
    for _ in 0..600 {
        world.report(Report::Usage(Usage::default()));
    }
    world.gate(false);
    let order = world.order("buy 29999.9 0.002");
    let action = Action::Place(order);
    world.intents.push(Intent { symbol: SYMBOL, action, caused: world.now, decided: world.now }).unwrap();
    for _ in 0..5 {
        world.step();
    }
    assert_eq!(world.orders.pop(), None, "the gate was shut when it was decided");
    assert!(matches!(world.denials.pop(), Some(Report::Order(event)) if event.order == order.id));
}

#[test]
fn latches_and_gate_let_cancels_through() {
    let exit = "sell 30000.1 0.002 reduce";
    let quote = "buy 29999.9 0.002";
    type Event = fn(&mut World);
    let table: [(&str, Event, &str, &str); 5] = [
        ("open", |_| {}, "approved", "approved"),
        ("gate closed", |world| world.gate(false), "GateClosed", "GateClosed"),
        ("in doubt", |world| world.gate_for(GateReason::InDoubt), "GateClosed", "approved"),
        ("stopped", |world| world.commands.push(Command::Stop).unwrap(), "Latched", "Latched"),
        ("killed", run_away, "Latched", "approved"),
    ];
    for (name, event, quoted, exited) in table {
        let mut world = World::ready(config());
        world.position("0.01");
        let open = world.placed(quote);
        event(&mut world);
        assert_eq!(world.place(quote), quoted, "{name}");
        assert_eq!(world.place(exit), exited, "{name}");
        assert_eq!(world.cancel(open.id), "approved", "{name}");
    }
}

/// More intents in a second than any strategy of ours makes.
fn run_away(world: &mut World) {
    for _ in 0..RUNAWAY_INTENTS {
        world.amend_nothing();
    }
    // The next step cancels what rests; that is not what is asked here.
    world.step();
    while world.orders.pop().is_some() {}
}

#[test]
fn runaway_is_latched_with_one_notice_until_restart() {
    let mut world = World::ready(config());
    let mut notices = 0;
    for _ in 0..3 * RUNAWAY_INTENTS {
        world.intents.push(world.amending_nothing()).unwrap();
        world.step();
        world.denials.pop();
        while let Some(event) = world.log.pop() {
            notices += usize::from(matches!(event, LogEvent::Notice(_)));
        }
    }
    assert_eq!(notices, 1);
    world.wait(Duration::from_secs(2));
    assert_eq!(world.place("buy 29999.9 0.002"), "Latched", "time does not clear it");
}

#[test]
fn without_a_fresh_market_nothing_is_placed() {
    type Event = fn(&mut World);
    let table: [(&str, Event, &str); 5] = [
        ("fresh", |world| world.wait(Duration::from_secs(3)), "approved"),
        ("stale", |world| world.wait(Duration::from_millis(3_001)), "NoReference"),
        ("lost", |world| world.quote(MarketBody::BookLost { symbol: SYMBOL, reason: BookLoss::Gap }), "NoReference"),
        (
            "silent",
            |world| world.quote(MarketBody::Silence { symbol: SYMBOL, stream: StreamKind::Top, silent: true }),
            "NoReference",
        ),
        ("crossed", |world| world.top("30000.1", "29999.9"), "NoReference"),
    ];
    for (name, event, expected) in table {
        let mut world = World::ready(config());
        let open = world.placed("buy 29999.9 0.002");
        event(&mut world);
        assert_eq!(world.place("buy 29999.9 0.002"), expected, "{name}");
        assert_eq!(world.cancel(open.id), "approved", "{name}: cancels need no market");
    }
}

#[test]
fn rates_deny_and_keep_a_reserve_for_exits() {
    let mut config = config();
    config.rates.orders_ten_seconds = 4;
    config.rates.reserve_percent = 25;
    config.rates.weight_minute = 2;
    let mut world = World::ready(config);
    world.position("0.01");
    let orders: Vec<_> = (0..3).map(|_| world.placed("buy 29999.9 0.002")).collect();
    assert_eq!(world.place("buy 29999.9 0.002"), "OrderRate");
    assert_eq!(world.place("sell 30000.1 0.002 reduce"), "approved");
    assert_eq!(world.place("sell 30000.1 0.002 reduce"), "OrderRate");
    assert_eq!(world.cancel(orders[0].id), "approved");
    assert_eq!(world.cancel(orders[1].id), "approved");
    assert_eq!(world.cancel(orders[2].id), "WeightRate");
}

#[test]
fn a_block_of_orders_leaves_cancels_alone_and_a_ban_stops_everything_until_it_ends() {
    let mut world = World::ready(config());
    let order = world.placed("buy 29999.9 0.002");
    let until = world.now + Duration::from_secs(2);
    world.reports.push(Report::Usage(Usage { orders_blocked_until: Some(until), ..Usage::default() })).unwrap();
    assert_eq!(world.place("buy 29999.9 0.002"), "OrderRate", "too many orders");
    assert_eq!(world.cancel(order.id), "approved", "a cancel is no order");
    world.reports.push(Report::Usage(Usage { blocked_until: Some(until), ..Usage::default() })).unwrap();
    assert_eq!(world.place("buy 29999.9 0.002"), "WeightRate");
    assert_eq!(world.cancel(order.id), "WeightRate");
    world.wait(Duration::from_secs(2));
    assert_eq!(world.cancel(order.id), "approved");
    assert_eq!(world.place("buy 29999.9 0.002"), "approved");
}

#[test]
fn ids_are_used_once_and_cancels_name_open_orders() {
    let mut world = World::ready(config());
    let order = world.placed("buy 29999.9 0.002");
    assert_eq!(world.ask(Action::Place(order)), "BadOrderId", "used");
    let denied = world.order("buy 29999.95 0.002");
    assert_eq!(world.ask(Action::Place(denied)), "OffGrid");
    assert_eq!(world.ask(Action::Place(denied)), "BadOrderId", "a denied id is used as well");
    let mut stranger = world.order("buy 29999.9 0.002");
    stranger.id = OrderId::new(EPOCH + 1, 99);
    assert_eq!(world.ask(Action::Place(stranger)), "BadOrderId", "another session's");
    assert_eq!(world.cancel(OrderId::new(EPOCH, 77)), "BadOrderId");
    assert_eq!(world.cancel(order.id), "approved");
    world.change(order.id, OrderChange::Cancelled);
    assert_eq!(world.cancel(order.id), "BadOrderId", "already gone");
}

#[test]
fn a_full_order_ring_denies_and_reserves_nothing() {
    let mut config = config();
    config.symbols[0].open_orders_max = 2;
    let mut world = World::silent(config, &Sizes { orders: 1, log: 64 });
    world.gate(true);
    world.top("29999.9", "30000.1");
    world.mark("30000");
    for order in ["buy 29999.9 0.033", "buy 29999.9 0.033", "buy 29999.9 0.033"] {
        let action = Action::Place(world.order(order));
        world.intents.push(Intent { symbol: SYMBOL, action, caused: world.now, decided: world.now }).unwrap();
    }
    world.step();
    assert!(world.orders.pop().is_some() && world.orders.pop().is_none());
    let mut reasons = Vec::new();
    while let Some(event) = world.log.pop() {
        if let LogEvent::Denied { reason, .. } = event {
            reasons.push(format!("{reason:?}"));
        }
    }
    while world.denials.pop().is_some() {}
    assert_eq!(reasons, ["RingFull", "RingFull"]);
    assert_eq!(world.place("buy 29999.9 0.033"), "approved", "two slots, one of them still free");
    assert_eq!(world.place("buy 29999.9 0.033"), "OpenOrders");
}

#[test]
fn a_fill_of_a_stranger_closes_the_symbol_until_the_exchange_states_the_position() {
    let mut world = World::ready(config());
    world.fill(OrderId::new(EPOCH - 1, 3), qty("0.01"), qty("0.01"));
    assert_eq!(world.place("buy 29999.9 0.002"), "GateClosed");
    world.position("0.01");
    assert_eq!(world.place("buy 29999.9 0.002"), "approved");
}

#[test]
fn losing_log_events_pauses_new_risk() {
    let mut world = World::silent(config(), &Sizes { orders: 8, log: 2 });
    world.gate(true);
    world.top("29999.9", "30000.1");
    world.mark("30000");
    let place = |world: &mut World| {
        let action = Action::Place(world.order("buy 29999.9 0.002"));
        world.intents.push(Intent { symbol: SYMBOL, action, caused: world.now, decided: world.now }).unwrap();
        world.step();
        world.orders.pop().is_some()
    };
    assert!((0..3).all(|_| place(&mut world)), "two fill the log, the third loses its event");
    assert!(!place(&mut world));
    while world.log.pop().is_some() {}
    world.wait(Duration::from_secs(1));
    assert!(!place(&mut world), "the denial before was lost too");
    while world.log.pop().is_some() {}
    world.wait(Duration::from_secs(1));
    assert!(place(&mut world), "storage has kept up");
}

#[test]
fn an_approval_measures_the_time_since_the_decision() {
    let mut world = World::ready(config());
    let action = Action::Place(world.order("buy 29999.9 0.002"));
    let decided = world.now - Duration::from_nanos(250);
    world.intents.push(Intent { symbol: SYMBOL, action, caused: decided, decided }).unwrap();
    world.step();
    assert_eq!(world.orders.pop().unwrap().approved_at(), world.now);
    assert_eq!(world.log.pop(), Some(LogEvent::Latency { span: Span::Risk, nanos: 250 }));
}
