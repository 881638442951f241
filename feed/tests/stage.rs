//! The whole stage over memory pipes: connections, snapshots through the REST rings, losses, silence, full rings.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::wildcard_enum_match_arm)]

mod common;

#[path = "common/world.rs"]
mod world;

use std::time::Duration;

use optiflow_base::clock::Clock;
use optiflow_base::ids::SymbolId;
use optiflow_base::market::{BookDoubt, BookLoss};
use optiflow_feed::Silence;
use world::{PATIENT, WATCHFUL, World, depth, mark, snapshot, top, trade};

/// Connected, and the book of BTCUSDT in sequence at id 100.
fn live(silence: Silence) -> World {
    let mut world = World::connected(&["BTCUSDT"], silence);
    world.say("public", &depth("BTCUSDT", 90, 100, 80));
    let call = world.calls.pop().unwrap();
    world.answer(&call, 200, &snapshot(95), None);
    assert_eq!(world.market(), "snapshot0:95 diff0:100");
    assert_eq!(world.notices(), [("book in sequence", 0)]);
    world
}

#[test]
fn each_route_asks_for_its_own_streams() {
    let mut world = World::connected(&["BTCUSDT", "ETHUSDT"], PATIENT);
    world.paths.sort();
    assert_eq!(
        world.paths,
        [
            "/market/stream?streams=btcusdt@aggTrade/btcusdt@markPrice@1s/ethusdt@aggTrade/ethusdt@markPrice@1s",
            "/public/stream?streams=btcusdt@depth@100ms/btcusdt@bookTicker/ethusdt@depth@100ms/ethusdt@bookTicker",
        ]
    );
}

#[test]
fn a_book_comes_from_a_snapshot_that_is_asked_for_when_the_first_diff_has_come() {
    let mut world = World::connected(&["BTCUSDT", "ETHUSDT"], PATIENT);
    world.run(100);
    assert!(world.calls.is_empty());
    world.say("public", &depth("ETHUSDT", 90, 100, 80));
    let call = world.calls.pop().unwrap();
    assert_eq!((call.path, call.query.as_str(), call.weight), ("/fapi/v1/depth", "symbol=ETHUSDT&limit=1000", 20));
    world.say("public", &depth("ETHUSDT", 105, 110, 100));
    assert_eq!(world.market(), "");
    world.answer(&call, 200, &snapshot(100), None);
    assert_eq!(world.market(), "snapshot1:100 diff1:100 diff1:110");
    world.say("public", &depth("ETHUSDT", 111, 120, 110));
    assert_eq!(world.market(), "diff1:120");
    assert!(world.calls.is_empty());
}

#[test]
fn a_snapshot_that_fails_is_asked_for_again_later_and_when_the_exchange_allows() {
    let mut world = World::connected(&["BTCUSDT"], PATIENT);
    world.say("public", &depth("BTCUSDT", 90, 100, 80));
    let call = world.calls.pop().unwrap();
    world.answer(&call, 0, "", None);
    world.run(400);
    assert!(world.calls.is_empty(), "not at once");
    world.run(200);
    let call = world.calls.pop().unwrap();
    let blocked_until = world.clock.now() + Duration::from_secs(10);
    world.answer(&call, 429, r#"{"code":-1003,"msg":"Too many requests."}"#, Some(blocked_until));
    world.run(9_900);
    assert!(world.calls.is_empty(), "not before the exchange allows it");
    world.run(200);
    let call = world.calls.pop().unwrap();
    world.answer(&call, 200, &snapshot(100), None);
    assert_eq!(world.market(), "snapshot0:100 diff0:100");
}

#[test]
fn a_body_that_is_no_snapshot_counts_as_failed() {
    let mut world = World::connected(&["BTCUSDT"], PATIENT);
    world.say("public", &depth("BTCUSDT", 90, 100, 80));
    let call = world.calls.pop().unwrap();
    world.answer(&call, 200, "<html>", None);
    world.run(1_000);
    assert!(world.notices().contains(&("snapshot requests failed", 1)));
    let call = world.calls.pop().unwrap();
    world.answer(&call, 200, &snapshot(80), None);
    world.run(1_100);
    assert!(world.notices().contains(&("snapshots that did not fit the diffs", 1)));
    let call = world.calls.pop().unwrap();
    world.answer(&call, 200, &snapshot(100), None);
    assert_eq!(world.market(), "snapshot0:100 diff0:100");
}

#[test]
fn a_gap_loses_the_book_for_engine_and_risk_and_it_is_fetched_anew() {
    let mut world = live(PATIENT);
    world.say("public", &depth("BTCUSDT", 111, 120, 110));
    assert_eq!(world.market(), "lost0:Gap");
    assert_eq!(world.quotes(), "lost0:Gap");
    assert_eq!(world.notices(), [("book lost: gap in the diffs", 0)]);
    world.run(600);
    let call = world.calls.pop().unwrap();
    world.answer(&call, 200, &snapshot(115), None);
    assert_eq!(world.market(), "snapshot0:115 diff0:120");
}

#[test]
fn a_book_that_the_engine_does_not_believe_is_fetched_anew() {
    let mut world = live(PATIENT);
    world.market();
    let symbol = SymbolId(0);
    for (reason, phrase) in [
        (BookLoss::Disagreed, "book lost: best prices disagree"),
        (BookLoss::Crossed, "book lost: crossed for too long"),
    ] {
        world.doubts.push(BookDoubt { symbol, reason }).unwrap();
        world.run(1);
        assert_eq!(world.market(), format!("lost0:{reason:?}"));
        assert_eq!(world.quotes(), format!("lost0:{reason:?}"));
        assert_eq!(world.notices(), [(phrase, 0)]);
        // A doubt about what is being fetched anyway changes nothing.
        world.doubts.push(BookDoubt { symbol, reason }).unwrap();
        world.run(20_000);
        assert_eq!((world.market(), world.notices()), (String::new(), vec![]));
        world.say("public", &depth("BTCUSDT", 101, 110, 100));
        world.run(1);
        let call = world.calls.pop().unwrap();
        world.answer(&call, 200, &snapshot(105), None);
        assert_eq!(world.market(), "snapshot0:105 diff0:110");
        world.notices();
    }
}

#[test]
fn a_lost_connection_loses_the_book_and_ids_may_begin_anew() {
    let mut world = live(PATIENT);
    world.say("public", &top("BTCUSDT", 50));
    world.say("market", &trade("BTCUSDT", 70));
    assert_eq!(world.market(), "top0:50 trade0:70");
    world.cut("public");
    world.cut("market");
    world.run(1_000);
    assert_eq!(world.market(), "lost0:Disconnected");
    assert_eq!(world.quotes(), "top0:50 lost0:Disconnected");
    let notices = world.notices();
    for expected in ["public streams disconnected", "public streams connected", "market streams connected"] {
        assert!(notices.contains(&(expected, 0)), "{expected}: {notices:?}");
    }
    world.say("public", &top("BTCUSDT", 5));
    world.say("market", &trade("BTCUSDT", 7));
    world.say("public", &depth("BTCUSDT", 1, 10, 0));
    assert_eq!(world.market(), "top0:5 trade0:7");
    let call = world.calls.pop().unwrap();
    world.answer(&call, 200, &snapshot(10), None);
    assert_eq!(world.market(), "snapshot0:10 diff0:10");
}

#[test]
fn an_answer_from_before_the_reconnect_is_not_believed() {
    let mut world = World::connected(&["BTCUSDT"], PATIENT);
    world.say("public", &depth("BTCUSDT", 90, 100, 80));
    let call = world.calls.pop().unwrap();
    world.cut("public");
    world.run(1_000);
    world.say("public", &depth("BTCUSDT", 190, 200, 180));
    world.answer(&call, 200, &snapshot(195), None);
    assert_eq!(world.market(), "lost0:Disconnected");
    let call = world.calls.pop().unwrap();
    world.answer(&call, 200, &snapshot(195), None);
    assert_eq!(world.market(), "snapshot0:195 diff0:200");
}

#[test]
fn prices_and_trades_behind_the_last_one_are_dropped() {
    let mut world = World::connected(&["BTCUSDT"], PATIENT);
    for id in [5, 5, 4, 6] {
        world.say("public", &top("BTCUSDT", id));
        world.say("market", &trade("BTCUSDT", id));
    }
    world.say("market", &mark("BTCUSDT", "83084.30000000"));
    assert_eq!(world.market(), "top0:5 trade0:5 top0:6 trade0:6 mark0:83084.3");
    assert_eq!(world.quotes(), "top0:5 top0:6 mark0:83084.3");
    world.run(1_000);
    let dropped: i64 =
        world.notices().iter().filter(|(what, _)| *what == "old market events dropped").map(|(_, count)| count).sum();
    assert_eq!(dropped, 4);
}

#[test]
fn a_malformed_message_is_counted_and_only_a_malformed_diff_loses_the_book() {
    let mut world = live(PATIENT);
    for text in ["{", "", "[1,2]", r#"{"result":null,"id":1}"#, r#"{"e":"bookTicker","s":"BTCUSDT"}"#] {
        world.say("public", text);
    }
    assert_eq!(world.market(), "");
    world.say("public", r#"{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":"#);
    assert_eq!(world.market(), "lost0:Malformed");
    assert_eq!(world.quotes(), "lost0:Malformed");
    world.run(1_000);
    let notices = world.notices();
    assert_eq!(notices[0], ("book lost: malformed diff", 0));
    let malformed: i64 =
        notices.iter().filter(|(what, _)| *what == "malformed market messages").map(|(_, count)| count).sum();
    assert_eq!(malformed, 4);
    world.say("public", &depth("BTCUSDT", 111, 120, 110));
    let call = world.calls.pop().unwrap();
    world.answer(&call, 200, &snapshot(120), None);
    assert_eq!(world.market(), "snapshot0:120 diff0:120");
}

#[test]
fn streams_that_never_speak_are_noticed_and_the_connection_is_dropped_ever_more_rarely() {
    let mut world = World::connected(&["BTCUSDT"], WATCHFUL);
    let dialled = world.dialer.dialled();
    world.run(2_100);
    assert_eq!(world.market(), "silent0:Depth silent0:Top lost0:Disconnected");
    assert_eq!(world.quotes(), "silent0:Depth silent0:Top lost0:Disconnected");
    assert_eq!(
        world.notices()[..3],
        [
            ("depth stream silent", 0),
            ("best price stream silent", 0),
            ("public streams dropped because of silence or lag", 0)
        ]
    );
    world.run(5_000);
    assert_eq!(world.market(), "silent0:Mark", "trades may be quiet for longer");
    // /public is dropped at 2, 12, 32 s; /market at 5, 15, 35 s.
    world.run(36_000);
    let dropped =
        world.notices().iter().filter(|(what, _)| what.ends_with("dropped because of silence or lag")).count();
    assert_eq!(dropped, 5);
    assert_eq!(world.dialer.dialled() - dialled, 6);
}

#[test]
fn a_stream_that_speaks_again_says_so_on_both_rings() {
    let mut world = live(WATCHFUL);
    world.run(2_100);
    assert_eq!(world.market(), "silent0:Top lost0:Disconnected silent0:Depth", "prices never spoke, diffs did once");
    world.run(500);
    world.say("public", &top("BTCUSDT", 1));
    assert_eq!(world.market(), "top0:1 speaks0:Top");
    assert!(world.quotes().ends_with("top0:1 speaks0:Top"));
    assert!(world.notices().contains(&("best price stream speaks again", 0)));
    world.say("public", &depth("BTCUSDT", 111, 120, 110));
    assert_eq!(world.market(), "speaks0:Depth", "a diff that waits is a sign of life");
}

#[test]
fn repeated_old_prices_are_no_sign_of_life() {
    let mut world = World::connected(&["BTCUSDT"], WATCHFUL);
    for id in 0..21 {
        world.say("public", &top("BTCUSDT", 1));
        world.say("public", &depth("BTCUSDT", id, id, id.saturating_sub(1)));
        world.run(100);
    }
    assert!(world.market().contains("silent0:Top"));
}

#[test]
fn a_full_quotes_ring_drops_prices_but_never_a_loss() {
    let mut world = World::new(&["BTCUSDT"], 2, PATIENT);
    world.run(50);
    for id in 1..=4 {
        world.say("public", &top("BTCUSDT", id));
    }
    world.cut("public");
    world.run(100);
    assert_eq!(world.market(), "top0:1 top0:2 top0:3 top0:4 lost0:Disconnected");
    assert_eq!(world.quotes(), "top0:1 top0:2");
    world.run(100);
    assert_eq!(world.quotes(), "lost0:Disconnected");
    world.run(1_000);
    assert!(world.notices().contains(&("quotes ring full, events dropped", 2)));
}

#[test]
fn a_full_market_ring_loses_the_book_which_is_fetched_anew() {
    let mut world = live(PATIENT);
    let mut last_id = 100;
    // Two events each, and nobody reads.
    for _ in 0..512 {
        world.say("public", &depth("BTCUSDT", last_id + 1, last_id + 1, last_id));
        last_id += 1;
    }
    assert_eq!(world.notices(), []);
    world.say("public", &depth("BTCUSDT", last_id + 1, last_id + 1, last_id));
    assert_eq!(world.notices(), [("book lost: market ring full", 0)]);
    world.say("public", &top("BTCUSDT", 1));
    let seen = world.market();
    assert!(seen.ends_with(&format!("diff0:{last_id}")) && !seen.contains("top"));
    world.run(1_000);
    assert_eq!(world.market(), "lost0:RingFull");
    let call = world.calls.pop().unwrap();
    world.answer(&call, 200, &snapshot(last_id + 1), None);
    assert_eq!(world.market(), format!("snapshot0:{0} diff0:{0}", last_id + 1));
}

#[test]
fn a_refused_connection_is_tried_again_and_loses_no_book_that_never_was() {
    let mut world = World::new(&["BTCUSDT"], 64, PATIENT);
    world.dialer.set_answer(optiflow_wire::transport::memory::Answer::Refuse);
    world.run(1_000);
    assert_eq!(world.market(), "");
    assert!(world.notices().iter().all(|(what, _)| what.ends_with("connecting failed")));
    world.dialer.set_answer(optiflow_wire::transport::memory::Answer::Accept);
    world.run(2_000);
    assert_eq!(world.servers.len(), 2);
}
