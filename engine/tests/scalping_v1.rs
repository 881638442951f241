//! `scalping_v1` behind the engine stage: scripts of market and reports → the intents that leave.
//!

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::Duration;

use common::world::World;
use optiflow_engine::strategies::scalping_v1::config::ScalpingConfig;

const BUY_SIGNAL: &str = "gate:open book:10000/9/10000.1/1";
const SELL_SIGNAL: &str = "gate:open book:10000/1/10000.1/9";
/// An entry of 0.012 filled at 10000, its profit order (2) resting.
const LONG: &str = "gate:open book:10000/9/10000.1/1 ack:1 fill:1/0.012/10000 done:1 ack:2";

/// Spelled out where a script depends on it: demonstration defaults may change.
fn config() -> ScalpingConfig {
    ScalpingConfig {
        order_notional: "120".parse().unwrap(),
        position_notional_max: "500".parse().unwrap(),
        obi_l1_enter: 0.3,
        obi_l1_keep: 0.0,
        obi_l5_enter: 0.0,
        flow_enter: -0.5,
        improve_spread_ticks: 3,
        reprice_ticks: 1,
        quote_life_min: Duration::from_millis(500),
        quote_life_max: Duration::from_secs(10),
        take_profit_ppm: 20,
        take_profit_ticks: 2,
        stop_loss_ppm: 300,
        hold_max: Duration::from_secs(3),
        exit_grace: Duration::from_secs(1),
        cross_ticks: 10,
        cross_attempts_max: 3,
        orders_per_second_max: 5,
        refusal_cooldown: Duration::from_millis(250),
        refusals_max: 5,
        refusal_pause: Duration::from_secs(10),
        stale_after: Duration::from_millis(1_500),
    }
}

fn world() -> World {
    World::new(config(), 64)
}

fn check(table: &[(&str, &str, &str)]) {
    for (what, script, expected) in table {
        assert_eq!(world().told(script), *expected, "{what}: {script}");
    }
}

#[test]
fn it_enters_post_only_when_the_signals_agree() {
    check(&[
        ("bids outweigh", BUY_SIGNAL, "1 buy 0.012 @ 10000 gtx"),
        ("asks outweigh", SELL_SIGNAL, "1 sell 0.011 @ 10000.1 gtx"),
        ("imbalance too weak", "gate:open book:10000/1.2/10000.1/1", ""),
        ("five levels disagree", "gate:open book:10000/9/10000.1/1/1/99", ""),
        ("the trade flow objects", "gate:open sell:5 book:10000/9/10000.1/1", ""),
        ("a wide spread is improved", "gate:open book:10000/9/10000.3/1", "1 buy 0.011 @ 10000.1 gtx"),
        ("a wide spread is improved from above", "gate:open book:10000/1/10000.3/9", "1 sell 0.011 @ 10000.2 gtx"),
        (
            "one entry at a time",
            "gate:open book:10000/9/10000.1/1 top:10000/9/10000.1/1 wait:400",
            "1 buy 0.012 @ 10000 gtx",
        ),
    ]);
}

#[test]
fn it_never_acts_where_it_must_not() {
    check(&[
        ("gate never opened", "book:10000/9/10000.1/1 wait:100", ""),
        ("gate closed", "gate:open gate:closed book:10000/9/10000.1/1 wait:100", ""),
        ("no snapshot", "gate:open top:10000/9/10000.1/1 wait:100", ""),
        ("book lost", "gate:open lost wait:100 top:10000/9/10000.1/1", ""),
        ("crossed", "gate:open book:10000.1/9/10000.1/1 wait:100", ""),
        ("depth silent", "gate:open silent:depth book:10000/9/10000.1/1 wait:100", ""),
        ("trades silent", "gate:open silent:trade book:10000/9/10000.1/1 wait:100", ""),
        ("it speaks again", "gate:open silent:top book:10000/9/10000.1/1 speaks:top", "1 buy 0.012 @ 10000 gtx"),
        ("stale", "book:10000/9/10000.1/1 wait:1501 gate:open wait:100", ""),
    ]);
}

#[test]
fn a_resting_entry_goes_when_its_reason_goes() {
    let buy = "1 buy 0.012 @ 10000 gtx";
    let table = [
        ("signal fades, but the quote is young", "wait:100 top:10000/1/10000.1/9 wait:300", buy),
        ("signal fades", "wait:100 top:10000/1/10000.1/9 wait:500", "1 buy 0.012 @ 10000 gtx; cancel 1"),
        ("signal weakens but holds", "wait:600 top:10000/5/10000.1/5 wait:100", buy),
        ("touch moves away", "wait:600 top:10000.1/9/10000.2/1", "1 buy 0.012 @ 10000 gtx; cancel 1"),
        ("waited in vain", &"wait:1000 top:10000/9/10000.1/1 ".repeat(10), "1 buy 0.012 @ 10000 gtx; cancel 1"),
        ("book lost", "lost", "1 buy 0.012 @ 10000 gtx; cancel 1"),
        ("gate closes", "gate:closed", "1 buy 0.012 @ 10000 gtx; cancel 1"),
        ("trades fall silent", "silent:trade", "1 buy 0.012 @ 10000 gtx; cancel 1"),
        ("book stale", "wait:1600", "1 buy 0.012 @ 10000 gtx; cancel 1"),
        ("book crossed", "top:10000.1/9/10000.1/1", "1 buy 0.012 @ 10000 gtx; cancel 1"),
        (
            "cancel is retried after a refusal",
            "lost cancelrefused:1 wait:600",
            "1 buy 0.012 @ 10000 gtx; cancel 1; cancel 1",
        ),
    ];
    for (what, rest, expected) in table {
        assert_eq!(world().told(&format!("{BUY_SIGNAL} ack:1 {rest}")), expected, "{what}");
    }
    check(&[
        ("a cancel waits until its order was sent", "gate:open book:10000/9/10000.1/1 lost wait:200", buy),
        (
            "and then leaves",
            "gate:open book:10000/9/10000.1/1 lost wait:200 sent:1",
            "1 buy 0.012 @ 10000 gtx; cancel 1",
        ),
    ]);
}

#[test]
fn a_quote_that_became_the_touch_is_not_outbid_by_itself() {
    let mut world = world();
    assert_eq!(world.told("gate:open book:10000/9/10000.9/1 ack:1"), "1 buy 0.011 @ 10000.1 gtx");
    assert_eq!(world.told("wait:600 top:10000.1/9/10000.9/1 wait:600 top:10000.1/8/10000.9/1"), "");
}

#[test]
fn sizes_meet_the_least_notional_exactly() {
    let sized = |order: &str, script: &str| {
        let config = ScalpingConfig { order_notional: order.parse().unwrap(), ..config() };
        World::new(config, 64).told(script)
    };
    assert_eq!(sized("120", BUY_SIGNAL), "1 buy 0.012 @ 10000 gtx");
    assert_eq!(sized("125.9", BUY_SIGNAL), "1 buy 0.012 @ 10000 gtx", "rounded down to the step");
    assert_eq!(sized("1", BUY_SIGNAL), "1 buy 0.005 @ 10000 gtx", "raised to the least notional of 50");
    assert_eq!(sized("1", "gate:open book:9999.9/9/10000/1"), "1 buy 0.006 @ 9999.9 gtx", "49.9995 would be refused");
    assert_eq!(sized("120", "gate:open book:900000/9/900000.1/1"), "", "one step is worth more than the position may");
}

#[test]
fn a_filled_entry_is_followed_by_its_exit() {
    let taken = "1 buy 0.012 @ 10000 gtx; 2 sell 0.012 @ 10000.2 gtx exit";
    let table = [
        ("profit order", "", taken.to_owned()),
        (
            "profit taken: flat, and in again",
            "fill:2/0.012/10000.2 done:2",
            format!("{taken}; 3 buy 0.012 @ 10000 gtx"),
        ),
        ("stop: the resting exit goes first", "wait:100 top:9996.9/1/9997/1", format!("{taken}; cancel 2")),
        (
            "then it takes through the touch",
            "wait:100 top:9996.9/1/9997/1 cancelled:2",
            format!("{taken}; cancel 2; 3 sell 0.012 @ 9995.9 ioc exit"),
        ),
        (
            "time-out: to the touch",
            "wait:1400 top:10000/9/10000.1/1 wait:1400 top:9999/9/9999.1/1 wait:210",
            format!("{taken}; cancel 2"),
        ),
    ];
    for (what, rest, expected) in table {
        assert_eq!(world().told(&format!("{LONG} {rest}")), expected, "{what}");
    }
    let short = "gate:open book:10000/1/10000.1/9 ack:1 fill:1/0.011/10000.1 done:1";
    let expected = "1 sell 0.011 @ 10000.1 gtx; 2 buy 0.011 @ 9999.8 gtx exit";
    assert_eq!(world().told(short), expected, "20 ppm of 10000.1 is 0.200002: rounded away from the market");
}

#[test]
fn an_exit_that_takes_too_long_becomes_a_market_order() {
    let mut world = world();
    world.told(LONG);
    assert_eq!(world.told("wait:100 top:9990/1/9990.1/1"), "cancel 2");
    assert_eq!(world.told("cancelled:2"), "3 sell 0.012 @ 9989 ioc exit");
    assert_eq!(world.told("ack:3 expired:3"), "4 sell 0.012 @ 9989 ioc exit");
    assert_eq!(world.told("ack:4 fill:4/0.002/9990 expired:4"), "5 sell 0.01 @ 9989 ioc exit");
    assert_eq!(world.told("ack:5 expired:5 wait:900 top:9990/1/9990.1/1 wait:100"), "6 sell 0.01 market exit");
    assert_eq!(world.told("ack:6 fill:6/0.01/9980 done:6"), "");
    assert!(world.engine.position(common::SYMBOL).unwrap().is_flat());
}

#[test]
fn a_timed_out_position_leaves_at_the_touch_and_then_by_taking() {
    let mut world = world();
    world.told(LONG);
    let quiet = "wait:1000 top:9999.5/9/9999.6/1";
    assert_eq!(world.told(&format!("{quiet} {quiet} {quiet}")), "cancel 2");
    assert_eq!(world.told("cancelled:2"), "3 sell 0.012 @ 9999.6 gtx exit");
    assert_eq!(world.told("ack:3 wait:900"), "");
    assert_eq!(world.told("wait:150"), "cancel 3");
    assert_eq!(world.told("cancelled:3"), "4 sell 0.012 @ 9998.5 ioc exit");
}

#[test]
fn a_partial_fill_gives_up_the_rest_and_the_exit_grows_with_late_fills() {
    let mut world = world();
    assert_eq!(world.told(&format!("{BUY_SIGNAL} ack:1")), "1 buy 0.012 @ 10000 gtx");
    assert_eq!(world.told("fill:1/0.005/10000"), "cancel 1; 2 sell 0.005 @ 10000.2 gtx exit");
    assert_eq!(world.told("ack:2 fill:1/0.002/10000 cancelled:1 wait:400"), "", "the exit is young");
    assert_eq!(world.told("wait:150 cancelled:2"), "cancel 2; 3 sell 0.007 @ 10000.2 gtx exit");
}

#[test]
fn with_a_silent_trade_stream_a_position_may_still_be_left_but_not_on_a_lost_book() {
    assert_eq!(world().told(&format!("{LONG} silent:trade top:9990/1/9990.1/1")).split("; ").last(), Some("cancel 2"));
    let mut world = world();
    world.told(LONG);
    assert_eq!(world.told("lost wait:5000"), "", "the resting exit stays, nothing new leaves");
}

#[test]
fn through_a_gate_that_doubt_closed_a_position_may_be_left_but_none_entered() {
    let stop = "top:9990/1/9990.1/1";
    for (reason, passes) in [
        ("OrderSocketDown", true),
        ("UserStreamDown", true),
        ("InDoubt", true),
        ("Starting", false),
        ("AccountTrouble", false),
        ("Stopping", false),
    ] {
        let mut world = world();
        world.run(LONG);
        world.take_intents();
        let exit = if passes { "cancel 2; 3 sell 0.012 @ 9989 ioc exit" } else { "" };
        assert_eq!(world.told(&format!("gate:{reason} {stop} cancelled:2")), exit, "{reason}");
        let entry = format!("gate:{reason} book:10000/9/10000.1/1 wait:100");
        assert_eq!(self::world().told(&entry), "", "{reason}");
        let resting = format!("{BUY_SIGNAL} ack:1 gate:{reason} wait:100");
        assert_eq!(self::world().told(&resting), "1 buy 0.012 @ 10000 gtx; cancel 1", "{reason}");
    }
    assert_eq!(
        world().told(&format!("{LONG} lost gate:InDoubt wait:5000")).split("; ").count(),
        2,
        "not on a lost book"
    );
}

#[test]
fn a_missing_mark_does_not_hide_a_silent_book() {
    let inherited = "position:0.5/10000 gate:open mark:0 book:9990/9/9990.1/1";
    assert_eq!(world().told(inherited), "1 sell 0.5 @ 9989 ioc exit", "an exit needs no mark");
    let silent = "silent:depth position:0.5/10000 gate:open mark:0 book:9990/9/9990.1/1 wait:100";
    assert_eq!(world().told(silent), "", "but it needs a book");
}

#[test]
fn a_best_price_without_sense_costs_neither_book_nor_quote() {
    let mut world = world();
    assert_eq!(world.told(&format!("{BUY_SIGNAL} ack:1")), "1 buy 0.012 @ 10000 gtx");
    assert_eq!(world.told("top:10000.05/9/10000.1/1 wait:200"), "");
    assert!(world.engine.book(common::SYMBOL).unwrap().is_tradable());
}

#[test]
fn refusals_of_the_profit_order_do_not_hold_the_stop_up() {
    let config = ScalpingConfig { refusals_max: 1, ..config() };
    let mut world = World::new(config, 64);
    world.run("gate:open book:10000/9/10000.1/1 ack:1 fill:1/0.012/10000 done:1 sent:2 refused:2/-2019");
    world.take_intents();
    assert_eq!(world.told("wait:1000 top:10000/9/10000.1/1"), "", "the profit order pauses for 10 s");
    assert_eq!(world.told("top:9990/1/9990.1/1"), "3 sell 0.012 @ 9989 ioc exit", "the stop does not");
}

#[test]
fn orders_of_profit_use_up_the_rate_but_for_one() {
    let config = ScalpingConfig {
        orders_per_second_max: 3,
        refusal_cooldown: Duration::from_millis(1),
        refusals_max: 100,
        ..config()
    };
    let mut world = World::new(config, 64);
    world.run("gate:open book:10000/9/10000.1/1 ack:1 fill:1/0.012/10000 done:1 sent:2 refused:2/-2019");
    world.take_intents();
    assert_eq!(world.told("wait:100 top:10000/9/10000.1/1"), "", "two in this second");
    assert_eq!(world.told("top:9990/1/9990.1/1"), "3 sell 0.012 @ 9989 ioc exit", "the third takes");
}

#[test]
fn exits_that_take_are_asked_for_again_within_half_a_second_however_often_they_are_refused() {
    let mut world = world();
    world.run(LONG);
    world.run("wait:100 top:9990/1/9990.1/1 cancelled:2");
    world.take_intents();
    for counter in 3..20 {
        world.run(&format!("sent:{counter} refused:{counter}/-2019 top:9990/1/9990.1/1 wait:510"));
        let asked = world.take_intents();
        assert_eq!(asked.len(), 1, "after refusal {}", counter - 2);
    }
    let alarm = "scalping_v1 pauses: the same refusal again and again";
    assert_eq!(world.notices().iter().filter(|notice| *notice == alarm).count(), 1);
}

#[test]
fn refusals_are_answered_by_growing_pauses() {
    let mut world = world();
    let still = "top:10000/9/10000.1/1";
    assert_eq!(world.told(&format!("{BUY_SIGNAL} sent:1 refused:1/-2019")), "1 buy 0.012 @ 10000 gtx");
    assert_eq!(world.told(&format!("wait:240 {still}")), "");
    assert_eq!(world.told(&format!("wait:20 {still} denied:2")), "2 buy 0.012 @ 10000 gtx");
    assert_eq!(world.told(&format!("wait:260 {still} denied:3")), "3 buy 0.012 @ 10000 gtx", "another reason");
    assert_eq!(world.told(&format!("wait:260 {still}")), "", "the same reason twice");
    assert_eq!(world.told(&format!("wait:240 {still} denied:4")), "4 buy 0.012 @ 10000 gtx");
    for (wait, counter) in [(1_000, 5), (2_000, 6)] {
        let told = world.told(&format!("wait:{wait} {still} denied:{counter}"));
        assert_eq!(told, format!("{counter} buy 0.012 @ 10000 gtx"));
    }
    assert_eq!(world.told(&format!("wait:1000 {still} wait:1000 {still} wait:1000 {still} wait:1000 {still}")), "");
    let alarm = "scalping_v1 pauses: the same refusal again and again";
    assert_eq!(world.notices().iter().filter(|notice| *notice == alarm).count(), 1);
}

#[test]
fn orders_in_any_second_are_bounded_with_one_kept_for_exits() {
    let config = ScalpingConfig { refusal_cooldown: Duration::from_millis(1), refusals_max: 100, ..config() };
    let mut world = World::new(config, 64);
    world.run(BUY_SIGNAL);
    for counter in 1..40 {
        world.run(&format!("expired:{counter} wait:10 top:10000/9/10000.1/1"));
    }
    let entries = world.take_intents();
    assert_eq!(entries.len(), 4, "in 390 ms");
}
