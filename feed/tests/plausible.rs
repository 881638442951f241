//! Messages that can be read but cannot be true: which cost the book, which are dropped, and how it comes back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::wildcard_enum_match_arm)]

mod common;

#[path = "common/world.rs"]
mod world;

use world::{PATIENT, World, depth, depth_of, mark, snapshot, top, trade};

/// Connected, and the book of BTCUSDT (tick 0.1) in sequence at id 100.
fn live() -> World {
    let mut world = World::connected(&["BTCUSDT"], PATIENT);
    world.say("public", &depth("BTCUSDT", 90, 100, 80));
    let call = world.calls.pop().unwrap();
    world.answer(&call, 200, &snapshot(95), None);
    assert_eq!(world.market(), "snapshot0:95 diff0:100");
    world.notices();
    world
}

fn malformed(world: &mut World) -> i64 {
    world.run(1_000);
    let notices = world.notices();
    notices.iter().filter(|(what, _)| *what == "malformed market messages").map(|(_, count)| count).sum()
}

#[test]
fn a_level_that_cannot_be_true_loses_the_book_and_it_is_fetched_anew() {
    let table = [
        ("off the grid", ("1.05", "1")),
        ("off the grid, removed", ("1.05", "0")),
        ("a price of zero", ("0", "1")),
        ("a negative price", ("-1", "1")),
        ("a negative quantity", ("1", "-1")),
        ("a price beyond all markets", ("1000000000.1", "1")),
        ("a quantity beyond all markets", ("1", "10000000001")),
    ];
    for (name, level) in table {
        let mut world = live();
        world.say("public", &depth_of("BTCUSDT", 110, 100, level));
        assert_eq!(world.market(), "lost0:Malformed", "{name}");
        assert_eq!(world.quotes(), "lost0:Malformed", "{name}");
        world.run(1_000);
        let notices = world.notices();
        assert!(notices.contains(&("book lost: malformed diff", 0)), "{name}: {notices:?}");
        assert!(notices.contains(&("malformed market messages", 1)), "{name}: {notices:?}");
        world.say("public", &depth("BTCUSDT", 111, 120, 110));
        let call = world.calls.pop().expect("a snapshot is asked for");
        world.answer(&call, 200, &snapshot(120), None);
        assert_eq!(world.market(), "snapshot0:120 diff0:120", "{name}");
    }
}

#[test]
fn a_symbol_that_leaves_its_grid_for_good_asks_ever_more_rarely() {
    let mut world = World::connected(&["BTCUSDT"], PATIENT);
    let (mut last_id, mut asked) = (100, 0);
    // For 15 s: good and bad diffs in turns, and every snapshot joins.
    for _ in 0..150 {
        world.say("public", &depth("BTCUSDT", last_id + 1, last_id + 1, last_id));
        if let Some(call) = world.calls.pop() {
            asked += 1;
            world.answer(&call, 200, &snapshot(last_id + 1), None);
        }
        world.say("public", &depth_of("BTCUSDT", last_id + 2, last_id + 1, ("1.05", "1")));
        last_id += 2;
        world.run(100);
        world.market();
        world.quotes();
    }
    assert_eq!(asked, 5, "0, .5, 1.5, 3.5, 7.5 s");
}

#[test]
fn a_snapshot_that_cannot_be_true_counts_as_failed_and_is_asked_for_again() {
    let mut world = World::connected(&["BTCUSDT"], PATIENT);
    world.say("public", &depth("BTCUSDT", 90, 100, 80));
    let call = world.calls.pop().unwrap();
    world.answer(&call, 200, &snapshot(95).replace(r#"["3","1"]"#, r#"["3.01","1"]"#), None);
    assert_eq!(world.market(), "");
    world.run(1_000);
    assert!(world.notices().contains(&("snapshot requests failed", 1)));
    let call = world.calls.pop().expect("another one is asked for");
    world.answer(&call, 200, &snapshot(95), None);
    assert_eq!(world.market(), "snapshot0:95 diff0:100");
}

#[test]
fn a_price_trade_or_mark_that_cannot_be_true_is_dropped_and_counted_and_the_book_stays() {
    let mut world = live();
    world.say("public", &top("BTCUSDT", 101).replace(r#""a":"3""#, r#""a":"3.05""#));
    world.say("public", &top("BTCUSDT", 102).replace(r#""b":"1""#, r#""b":"2000000000""#));
    world.say("market", &trade("BTCUSDT", 1).replace(r#""p":"1""#, r#""p":"0""#));
    world.say("market", &mark("BTCUSDT", "0"));
    world.say("market", &mark("BTCUSDT", "2000000000"));
    assert_eq!((world.market(), world.quotes()), (String::new(), String::new()));
    assert_eq!(malformed(&mut world), 5);
    world.say("public", &top("BTCUSDT", 103));
    world.say("public", &depth("BTCUSDT", 101, 110, 100));
    assert_eq!(world.market(), "top0:103 diff0:110");
}
