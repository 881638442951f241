//! Ticks in, frames out: tables of what a scripted market says on every stream.

use serde_json::Value;

use crate::binance::streams::testing::World;

/// Runs a script with one listener on `path` and shows its frames as `E` and the keys asked for.
fn frames(script: &str, path: &str, until_ms: u64, keys: &[&str]) -> Vec<String> {
    let mut world = World::scripted(script);
    world.open(1, path);
    world.run_to(until_ms);
    world.texts(1).iter().map(|frame| sketch(frame, keys)).collect()
}

fn sketch(frame: &str, keys: &[&str]) -> String {
    let message: Value = serde_json::from_str(frame).unwrap();
    let body = message.get("k").unwrap_or(&message);
    let shown = keys.iter().map(|key| body.get(key).unwrap_or(&Value::Null).to_string().replace('"', ""));
    let event = message["E"].to_string();
    std::iter::once(event).chain(shown).collect::<Vec<_>>().join(" ")
}

const BOOK: &str = "
    1000 book 100 10:1 9:1 | 11:1 12:1
    1010 diff 103 105 10:2 | 11:0
    1080 diff 106 110 10:0 |
    1130 diff 112 113 9:5  | 11:4
    1620 diff 115 120      | 11:5
";

#[test]
fn every_speed_of_depth_chains_to_itself() {
    let keys = ["T", "U", "u", "pu", "b", "a"];
    let table: [(&str, &[&str]); 4] = [
        (
            "/public/ws/btcusdt@depth@0ms",
            &[
                "1010 1010 103 105 100 [[10.00,2.000]] [[11.00,0.000]]",
                "1080 1080 106 110 105 [[10.00,0.000]] []",
                "1130 1130 112 113 110 [[9.00,5.000]] [[11.00,4.000]]",
                "1620 1620 115 120 113 [] [[11.00,5.000]]",
            ],
        ),
        (
            "/public/ws/btcusdt@depth@100ms",
            &[
                "1100 1080 103 110 100 [[10.00,0.000]] [[11.00,0.000]]",
                "1200 1130 112 113 110 [[9.00,5.000]] [[11.00,4.000]]",
                "1700 1620 115 120 113 [] [[11.00,5.000]]",
            ],
        ),
        (
            "/public/ws/btcusdt@depth",
            &[
                "1250 1130 103 113 100 [[10.00,0.000],[9.00,5.000]] [[11.00,4.000]]",
                "1750 1620 115 120 113 [] [[11.00,5.000]]",
            ],
        ),
        (
            "/public/ws/btcusdt@depth@500ms",
            &[
                "1500 1130 103 113 100 [[10.00,0.000],[9.00,5.000]] [[11.00,4.000]]",
                "2000 1620 115 120 113 [] [[11.00,5.000]]",
            ],
        ),
    ];
    for (path, expected) in table {
        assert_eq!(frames(BOOK, path, 2_000, &keys), expected, "{path}");
    }
}

#[test]
fn a_change_on_a_boundary_belongs_to_the_window_after_it() {
    let script = "
        1000 book 100 10:1 | 11:1
        1099 diff 101 101 10:2 |
        1100 diff 102 102 10:3 |
    ";
    let seen = frames(script, "/public/ws/btcusdt@depth@100ms", 1_200, &["U", "u", "pu"]);
    assert_eq!(seen, ["1100 101 101 100", "1200 102 102 101"]);
}

#[test]
fn partial_depth_shows_the_whole_top_as_of_its_window() {
    let seen = frames(BOOK, "/public/ws/btcusdt@depth5@100ms", 2_000, &["U", "u", "pu", "b", "a"]);
    assert_eq!(
        seen,
        [
            "1100 103 110 100 [[9.00,1.000]] [[12.00,1.000]]",
            "1200 112 113 110 [[9.00,5.000]] [[11.00,4.000],[12.00,1.000]]",
            "1700 115 120 113 [[9.00,5.000]] [[11.00,5.000],[12.00,1.000]]",
        ]
    );
}

#[test]
fn a_source_without_best_bid_and_ask_has_them_derived_from_its_book() {
    let keys = ["u", "b", "B", "a", "A", "T"];
    assert_eq!(
        frames(BOOK, "/public/ws/btcusdt@bookTicker", 2_000, &keys),
        [
            "1000 100 10.00 1.000 11.00 1.000 1000",
            "1010 105 10.00 2.000 12.00 1.000 1010",
            "1080 110 9.00 1.000 12.00 1.000 1080",
            "1130 113 9.00 5.000 11.00 4.000 1130",
            "1620 120 9.00 5.000 11.00 5.000 1620",
        ]
    );
    let with_tops = "
        1000 book 100 10:1 | 11:1
        1010 top 104 10:3 11:1
        1020 diff 101 108 10:4 |
        1030 top 109 10:5 11:1
    ";
    assert_eq!(
        frames(with_tops, "/public/ws/btcusdt@bookTicker", 1_100, &keys),
        [
            "1000 100 10.00 1.000 11.00 1.000 1000",
            "1010 104 10.00 3.000 11.00 1.000 1010",
            "1030 109 10.00 5.000 11.00 1.000 1030"
        ]
    );
    assert_eq!(
        frames(with_tops, "/public/ws/!bookTicker", 10_000, &keys),
        ["5000 109 10.00 5.000 11.00 1.000 1030", "10000 109 10.00 5.000 11.00 1.000 1030"]
    );
}

const TRADES: &str = "
    1000 book 100 10:1 | 11:1
    1010 trade 7 11 1 buy
    1020 trade 8 11 2 buy
    1030 trade 9 12 1 buy
    1040 trade 10 12 1 sell
    1110 trade 11 12 1 sell
    61500 trade 12 10 1 sell
";

#[test]
fn trades_are_told_at_once_and_aggregated_by_side_price_and_window() {
    assert_eq!(
        frames(TRADES, "/public/ws/btcusdt@trade", 1_200, &["t", "p", "q", "m", "X"]),
        [
            "1010 7 11.00 1.000 false MARKET",
            "1020 8 11.00 2.000 false MARKET",
            "1030 9 12.00 1.000 false MARKET",
            "1040 10 12.00 1.000 true MARKET",
            "1110 11 12.00 1.000 true MARKET",
        ]
    );
    assert_eq!(
        frames(TRADES, "/market/ws/btcusdt@aggTrade", 1_300, &["a", "p", "q", "f", "l", "T", "m"]),
        [
            "1030 1 11.00 3.000 7 8 1010 false",
            "1040 2 12.00 1.000 9 9 1030 false",
            "1100 3 12.00 1.000 10 10 1040 true",
            "1200 4 12.00 1.000 11 11 1110 true",
        ]
    );
}

#[test]
fn a_kline_is_pushed_while_it_changes_and_when_it_closes() {
    assert_eq!(
        frames(TRADES, "/market/ws/btcusdt@kline_1m", 61_800, &["t", "o", "h", "l", "c", "v", "n", "f", "L", "x"]),
        [
            "1250 0 11.00 12.00 11.00 12.00 6.000 5 7 11 false",
            "60000 0 11.00 12.00 11.00 12.00 6.000 5 7 11 true",
            "61750 60000 10.00 10.00 10.00 10.00 1.000 1 12 12 false",
        ]
    );
}

#[test]
fn marks_and_tickers_are_pushed_by_the_clock() {
    let script = "
        1000 book 100 10:1 | 11:1
        1100 mark 10.5
        1200 trade 1 11 2 buy
        2500 mark 10.6
    ";
    let keys = ["p", "ap", "i", "r", "T"];
    assert_eq!(
        frames(script, "/market/ws/btcusdt@markPrice@1s", 3_000, &keys),
        [
            "2000 10.50000000 10.50000000 10.50000000 0.00010000 28800000",
            "3000 10.60000000 10.60000000 10.60000000 0.00010000 28800000",
        ]
    );
    assert_eq!(frames(script, "/market/ws/btcusdt@markPrice", 6_000, &["p"]), ["3000 10.60000000", "6000 10.60000000"]);
    assert_eq!(
        frames(script, "/market/ws/btcusdt@ticker", 3_000, &["c", "v", "n"]),
        ["2000 11.00 2.000 1", "3000 11.00 2.000 1"]
    );
    for (path, event) in [
        ("/market/ws/!markPrice@arr@1s", "markPriceUpdate"),
        ("/market/ws/!ticker@arr", "24hrTicker"),
        ("/market/ws/!miniTicker@arr", "24hrMiniTicker"),
    ] {
        let mut world = World::scripted(script);
        world.open(1, path);
        world.run_to(2_000);
        let frame: Value = serde_json::from_str(&world.texts(1)[0]).unwrap();
        assert_eq!(frame[0]["e"], event, "{path}");
    }
}

#[test]
fn a_stream_on_the_wrong_route_is_silent() {
    for path in
        ["/market/ws/btcusdt@trade", "/public/ws/btcusdt@aggTrade", "/ws/btcusdt@aggTrade", "/private/ws/btcusdt@trade"]
    {
        assert_eq!(frames(TRADES, path, 2_000, &[]), [""; 0], "{path}");
    }
    assert_eq!(frames(TRADES, "/ws/btcusdt@trade", 2_000, &[]).len(), 5);
}

#[test]
fn a_long_pause_is_not_made_up_for_boundary_by_boundary() {
    let mut world = World::scripted(TRADES);
    world.run_to(2_000);
    world.open(1, "/market/ws/btcusdt@kline_1m");
    let mut events = Vec::new();
    let day = optiflow_base::clock::Nanos::from_millis(86_400_000);
    world.core.advance(day, &mut events).unwrap();
    events.clear();
    world.streams.advance(day, &world.core);
    assert_eq!(world.streams.next_due().unwrap().millis(), 86_400_100);
}
