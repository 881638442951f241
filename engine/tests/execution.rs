//! The execution parts in the hands of a second strategy: scripts of market and reports → the intents that leave.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::Duration;

use common::world::World;
use optiflow_base::instrument::{Draft, validate_and_adjust_quantity};
use optiflow_base::money::{Price, Qty, Side};
use optiflow_base::order::{OrderEvent, Report, Usage};
use optiflow_engine::execution::entries::{Entries, QuoteLife, Wanted};
use optiflow_engine::execution::exits::{ExitPolicy, Exits, Leave};
use optiflow_engine::execution::pace::{Breaker, Pace};
use optiflow_engine::execution::{is_near, touch};
use optiflow_engine::orders::OwnOrder;
use optiflow_engine::strategy::{Orders, Strategy};
use optiflow_engine::view::View;

/// Always bids at the touch, leaves one tick above the entry, and by taking when the bid is a unit of price below it. Saves
/// the last few orders of the exchange's limits for its exits.
struct Steady {
    pace: Pace,
    entries: Entries,
    exits: Exits,
}

impl Steady {
    /// Exits that take go so many ticks through the touch.
    fn new(cross_ticks: i64) -> Steady {
        let (cooldown, pause) = (Duration::from_millis(200), Duration::from_secs(5));
        let life = QuoteLife { min: Duration::from_millis(500), max: Duration::from_secs(2) };
        let policy = ExitPolicy {
            life_min: Duration::from_millis(500),
            reprice_ticks: 2,
            cross_ticks,
            cross_attempts_max: 2,
            kept_for_taking: 1,
        };
        Steady {
            pace: Pace::new(10),
            entries: Entries::new(life, Breaker::new(cooldown, pause, 3), 1),
            exits: Exits::new(policy, cooldown, pause, 3),
        }
    }
}

impl Strategy for Steady {
    fn name(&self) -> &'static str {
        "steady"
    }

    fn on_update(&mut self, view: &View<'_>, orders: &mut Orders) {
        let alarms = self.entries.take_alarm().into_iter().chain(self.exits.take_alarms());
        alarms.for_each(|code| orders.notice("steady pauses", code));
        let Some(reading) = view.reading.filter(|_| view.trouble(Duration::from_secs(10)).is_none()) else { return };
        let Steady { pace, entries, exits } = self;
        if view.position.is_flat() {
            exits.rest(view, orders);
            let spare = view.rates.orders_left(view.now, false) > 3;
            let bid = touch(&reading, Side::Buy);
            let wanted = || {
                let qty: Qty =
                    if bid < "1000".parse::<Price>().unwrap() { Qty::from_units(1) } else { "0.01".parse().unwrap() };
                let draft = Draft { side: Side::Buy, price: Some(bid), qty, reduce_only: false };
                let fit = validate_and_adjust_quantity(view.instrument, &draft, bid).ok();
                spare.then_some(Wanted { side: Side::Buy, price: bid, fit })
            };
            entries.seek(view, pace, orders, |order| is_near(view.instrument, order.price, bid, 1), wanted);
        } else {
            view.orders.entries().for_each(|order| orders.cancel(order));
            let is_lost = reading.bid.price < view.position.entry - "1".parse().unwrap();
            let profit = view.instrument.offset_ticks(view.position.entry, 1);
            let leave = if is_lost { Leave::Take } else { Leave::Rest(profit) };
            exits.seek(view, (&reading, reading.bid.price), leave, pace, orders);
        }
    }

    fn on_report(&mut self, order: &OwnOrder, event: &OrderEvent) {
        if order.reduce_only { self.exits.on_report(order, event) } else { self.entries.on_report(order, event) }
    }
}

fn world() -> World {
    World::with(Box::new(Steady::new(5)), 64)
}

const START: &str = "gate:open book:10000/9/10000.1/1";
const BID: &str = "1 buy 0.01 @ 10000 gtx";

#[test]
fn a_quote_is_young_then_kept_then_old() {
    let up = "top:10000.5/9/10000.6/1";
    for (what, script, expected) in [
        ("young: the market may move", format!("ack:1 {up} wait:480"), BID.to_owned()),
        ("then it follows", format!("ack:1 {up} wait:510"), format!("{BID}; cancel 1")),
        ("in its place it stays", "ack:1 wait:1900".to_owned(), BID.to_owned()),
        ("until it is old, filled in part or not", "ack:1 wait:2000".to_owned(), format!("{BID}; cancel 1")),
        (
            "nothing is placed before the cancel is answered",
            format!("ack:1 {up} wait:1000"),
            format!("{BID}; cancel 1"),
        ),
        (
            "and then at once",
            format!("ack:1 {up} wait:510 cancelled:1"),
            format!("{BID}; cancel 1; 2 buy 0.01 @ 10000.5 gtx"),
        ),
        ("an order in doubt is waited for", "sent:1 wait:1000".to_owned(), BID.to_owned()),
    ] {
        assert_eq!(world().told(&format!("{START} {script}")), expected, "{what}");
    }
}

#[test]
fn what_would_take_is_asked_again_after_a_rest_and_no_one_is_told() {
    let mut world = world();
    assert_eq!(world.told(START), BID);
    for counter in 1..20 {
        assert_eq!(world.told(&format!("sent:{counter} expired:{counter} wait:190")), "", "it rests");
        assert_eq!(world.told("wait:20"), format!("{} buy 0.01 @ 10000 gtx", counter + 1));
    }
    assert!(!world.notices().contains(&"steady pauses".to_owned()));
}

#[test]
fn identical_refusals_pause_longer_and_longer_and_a_person_is_told_once() {
    let mut world = world();
    world.told(START);
    for (counter, pause_ms) in [(1, 200), (2, 400), (3, 5_000), (4, 5_000)] {
        let early = format!("sent:{counter} refused:{counter}/-2019 wait:{}", pause_ms - 10);
        assert_eq!(world.told(&early), "", "refusal {counter}");
        assert_eq!(world.told("wait:20 top:10000/9/10000.1/1"), format!("{} buy 0.01 @ 10000 gtx", counter + 1));
    }
    assert_eq!(world.notices().iter().filter(|notice| *notice == "steady pauses").count(), 1);
}

#[test]
fn exits_rest_move_take_and_end_at_the_market() {
    let long = format!("{START} ack:1 fill:1/0.01/10000 done:1");
    let rest = "2 sell 0.01 @ 10000.1 gtx exit";
    for (what, script, expected) in [
        ("it rests at its price", String::new(), format!("{BID}; {rest}")),
        ("it stays while it is right", "ack:2 wait:3000".to_owned(), format!("{BID}; {rest}")),
        ("a stop replaces it at once", "ack:2 top:9998/9/9998.1/1".to_owned(), format!("{BID}; {rest}; cancel 2")),
        (
            "and takes",
            "ack:2 top:9998/9/9998.1/1 cancelled:2".to_owned(),
            format!("{BID}; {rest}; cancel 2; 3 sell 0.01 @ 9997.5 ioc exit"),
        ),
        (
            "twice, then at the market",
            "ack:2 top:9998/9/9998.1/1 cancelled:2 ack:3 expired:3 ack:4 expired:4".to_owned(),
            format!(
                "{BID}; {rest}; cancel 2; 3 sell 0.01 @ 9997.5 ioc exit; 4 sell 0.01 @ 9997.5 ioc exit; 5 sell 0.01 market exit"
            ),
        ),
    ] {
        assert_eq!(world().told(&format!("{long} {script}")), expected, "{what}");
    }
    // Flat by another's hand: the exit has nothing to leave.
    assert_eq!(world().told(&format!("{long} ack:2 position:0/0")).split("; ").nth(2), Some("cancel 2"));
}

#[test]
fn each_position_is_left_by_a_limit_before_the_market() {
    let mut world = world();
    world.run(&format!("{START} ack:1 fill:1/0.01/10000 done:1 ack:2 top:9998/9/9998.1/1 cancelled:2"));
    world.run("ack:3 expired:3 ack:4 expired:4 ack:5 fill:5/0.01/9998 done:5 wait:1000");
    let told = world.told("ack:6 fill:6/0.01/9998 done:6 wait:100 ack:7 top:9996/9/9996.1/1 cancelled:7");
    assert!(told.ends_with("8 sell 0.01 @ 9995.5 ioc exit"), "{told}");
}

#[test]
fn where_no_filter_lets_a_limit_pass_a_stop_is_kept_by_the_market() {
    // Six per cent through the touch: the exchange takes limits within five.
    let mut world = World::with(Box::new(Steady::new(6_000)), 64);
    let told = world.told(&format!("{START} ack:1 fill:1/0.01/10000 done:1 ack:2 top:9998/9/9998.1/1 cancelled:2"));
    assert!(told.ends_with("3 sell 0.01 market exit"), "{told}");
}

#[test]
fn an_order_that_is_accepted_ends_a_row_of_refusals() {
    let mut world = world();
    world.run(&format!("{START} sent:1 refused:1/-2019 wait:300 sent:2 refused:2/-2019 wait:500"));
    world.run("ack:3 cancelled:3 wait:20 sent:4 refused:4/-2019");
    world.take_intents();
    assert_eq!(world.told("wait:220"), "5 buy 0.01 @ 10000 gtx", "the first of a new row");
}

#[test]
fn a_reduce_only_refusal_is_asked_again_within_half_a_second_by_the_position_that_is_known_then() {
    let mut world = world();
    world.told(&format!("{START} ack:1 fill:1/0.01/10000 done:1 ack:2 top:9998/9/9998.1/1 cancelled:2"));
    for counter in 3..20 {
        world.run(&format!("sent:{counter} refused:{counter}/-2022 wait:510"));
        assert_eq!(world.take_intents().len(), 1, "however often: {counter}");
    }
    assert_eq!(world.told("sent:20 refused:20/-2022 position:0.004/10000 wait:510"), "21 sell 0.004 market exit");
    assert_eq!(
        world.told("sent:21 refused:21/-2022 position:0/0 top:9998/9/9998.1/1 wait:3000"),
        "22 buy 0.01 @ 9998 gtx",
        "it was flat"
    );
}

#[test]
fn what_fits_no_filter_is_not_asked_for_at_every_event() {
    let mut world = world();
    world.run("gate:open mark:900 book:900/9/900.1/1");
    for _ in 0..100 {
        world.run("wait:50 top:900/9/900.1/1");
    }
    assert_eq!(world.take_intents().len(), 0);
    assert_eq!(world.notices().iter().filter(|notice| *notice == "steady pauses").count(), 1);
}

#[test]
fn a_strategy_sees_how_many_orders_are_left_and_may_save_them() {
    let mut world = world();
    let used = |world: &mut World, orders: u32| {
        let usage = Usage { orders_minute: Some(orders), ..Usage::default() };
        world.from_oms.push(Report::Usage(usage)).unwrap();
        world.settle();
    };
    // Of 1 200 in a minute, 240 are kept for exits.
    used(&mut world, 957);
    assert_eq!(world.told(START), "", "three are left");
    used(&mut world, 10);
    assert_eq!(world.told("wait:100"), "", "a count is not lowered within its window");
    assert_eq!(world.told("wait:60000 top:10000/9/10000.1/1"), BID, "a new minute");
}

#[test]
fn after_a_denial_that_only_time_heals_entries_wait_a_moment_and_exits_do_not() {
    use optiflow_base::ids::OrderId;
    use optiflow_base::order::{DenyReason, OrderChange};
    /// Asks at every chance, and for an exit too while there is something to leave.
    struct Greedy;
    impl Strategy for Greedy {
        fn name(&self) -> &'static str {
            "greedy"
        }
        fn on_update(&mut self, view: &View<'_>, orders: &mut Orders) {
            if view.orders.live().count() == 0 {
                let (side, price, qty) = (Side::Buy, "10000".parse().unwrap(), "0.01".parse().unwrap());
                let (time_in_force, reduce_only) = (optiflow_base::order::TimeInForce::Gtx, false);
                let order = optiflow_engine::strategy::LimitOrder { side, price, qty, time_in_force, reduce_only };
                let _ = orders.limit(order);
                if !view.position.is_flat() {
                    let _ = orders.market_exit(Side::Sell, qty);
                }
            }
        }
    }
    for (reason, asked) in [
        (DenyReason::RepeatedRefusal, 11),
        (DenyReason::OrderRate, 11),
        (DenyReason::GateClosed, 11),
        (DenyReason::NoReference, 11),
        (DenyReason::PriceBand, 101),
    ] {
        let mut world = World::with(Box::new(Greedy), 64);
        world.run(START);
        let mut entries = 0;
        for _ in 0..100 {
            for intent in world.take_intents() {
                entries += 1;
                let order = OrderId::new(common::world::EPOCH, intent.order().counter());
                let (symbol, at) = (common::SYMBOL, world.now());
                let change = OrderChange::Denied(reason);
                let event = OrderEvent { symbol, order, at, exchange_ms: 0, change };
                world.from_risk.push(Report::Order(event)).unwrap();
            }
            world.wait(10);
        }
        entries += world.take_intents().len();
        assert!(entries <= asked && entries * 2 > asked, "{reason:?}: {entries}");
    }
}
