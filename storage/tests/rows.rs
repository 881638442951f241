//! Events in, rows and sums out.

#![allow(clippy::unwrap_used)]

mod common;

use common::{EPOCH, START, SYMBOL, Scratch, World, accepted, change, fill, id, place, price, qty, query};
use optiflow_base::clock::Nanos;
use optiflow_base::ids::{ExchangeOrderId, TradeId};
use optiflow_base::log::{LogEvent, Notice, SignalSample, Span};
use optiflow_base::money::Side;
use optiflow_base::order::{Action, DenyReason, GateReason, Intent, OrderChange, Report, Usage};
use optiflow_base::stage::Room;
use optiflow_storage::closing::{FormerFact, close_former};
use optiflow_storage::reader::former;
use optiflow_storage::report;

fn denied(counter: u32, reason: DenyReason) -> LogEvent {
    LogEvent::Denied { symbol: SYMBOL, order: id(counter), at: START, reason }
}

fn position(qty_text: &str, entry: &str) -> LogEvent {
    LogEvent::Report(Report::Position { symbol: SYMBOL, qty: qty(qty_text), entry: price(entry), at: START })
}

fn notice(room: Room, what: &'static str) -> LogEvent {
    LogEvent::Notice(Notice { room, at: START, what, value: 3 })
}

fn sample(mark: &str) -> LogEvent {
    LogEvent::Signal(signals(mark))
}

fn signals(mark: &str) -> SignalSample {
    SignalSample {
        symbol: SYMBOL,
        at: START,
        bid: price("30009"),
        ask: price("30011"),
        mark: price(mark),
        obi_l1: 0.5,
        obi_l5: -0.25,
        micro_bps: 0.125,
        flow: 1.0,
        trades_per_second: 3.0,
    }
}

/// Two orders that live, one that is denied, and everything else once.
fn story() -> Vec<LogEvent> {
    let cancel = Intent { symbol: SYMBOL, action: Action::Cancel(id(2)), caused: START, decided: START };
    vec![
        LogEvent::Report(Report::Gate { open: true, reason: GateReason::Reconciled, at: START }),
        position("0", "0"),
        LogEvent::Report(Report::Wallet { balance: "10000".parse().unwrap(), at: START }),
        place(1, Side::Buy, "30000", "0.004"),
        place(2, Side::Sell, "30010", "0.002"),
        place(3, Side::Sell, "30010", "0.002"),
        denied(3, DenyReason::OrderRate),
        LogEvent::Latency { span: Span::Risk, nanos: 800 },
        change(1, OrderChange::Sent),
        change(2, OrderChange::Sent),
        accepted(1),
        accepted(2),
        fill(1, 71, "30000", "0.001", "0.001"),
        fill(1, 72, "30000", "0.003", "0.004"),
        fill(1, 72, "30000", "0.003", "0.004"),
        change(1, OrderChange::Done),
        position("0.004", "30000"),
        LogEvent::Intent(cancel),
        change(2, OrderChange::CancelSent),
        change(2, OrderChange::CancelRefused { code: -2011 }),
        fill(2, 73, "30010", "0.002", "0.002"),
        change(2, OrderChange::Done),
        position("0.002", "30000"),
        LogEvent::Report(Report::Usage(Usage { weight_minute: Some(21), ..Usage::default() })),
        sample("30010"),
        notice(Room::Feed, "reconnecting"),
        notice(Room::Risk, "runaway"),
        LogEvent::Lost { room: Room::Engine, count: 4 },
    ]
}

#[test]
fn every_event_has_its_row() {
    let scratch = Scratch::new();
    let path = scratch.database();
    let mut world = World::open(&path, EPOCH);
    world.keep(&story());
    world.later(100);
    world.storage.finish("completed", Nanos(START.0 + 2_000_000_000)).unwrap();
    let table: &[(&str, &[&str])] = &[
        (
            "SELECT epoch, started_ns, ended_ns, mode, venue, symbols, margin_asset, config_hash, binary_hash, version,
             outcome FROM sessions",
            &["7 1680000000000000000 1680000002000000000 sim binance BTCUSDT USDT c0ffee beef 0.1.0 completed"],
        ),
        ("SELECT symbol, price_decimals, qty_decimals FROM session_symbols", &["BTCUSDT 1 3"]),
        (
            "SELECT client_id, symbol, side, kind, tif, price, qty, reduce_only, decided_ns - caused_ns, state, filled,
             exchange_id FROM orders ORDER BY order_id",
            &[
                "of-00000007-00000001 BTCUSDT buy limit gtx 3000000000000 400000 0 5000 filled 400000 8001",
                "of-00000007-00000002 BTCUSDT sell limit gtx 3001000000000 200000 0 5000 filled 200000 8002",
                "of-00000007-00000003 BTCUSDT sell limit gtx 3001000000000 200000 0 5000 denied 0 -",
            ],
        ),
        (
            "SELECT order_id & 0xffffffff, what, value FROM order_events ORDER BY id",
            &[
                "1 sent -",
                "2 sent -",
                "1 accepted 8001",
                "2 accepted 8002",
                "1 filled 71",
                "1 filled 72",
                "1 filled 72",
                "1 done -",
                "2 cancel_sent -",
                "2 cancel_refused -2011",
                "2 filled 73",
                "2 done -",
            ],
        ),
        (
            "SELECT trade_id, symbol, side, price, qty, maker, fee FROM fills ORDER BY trade_id",
            &[
                "71 BTCUSDT buy 3000000000000 100000 1 1200000",
                "72 BTCUSDT buy 3000000000000 300000 1 1200000",
                "73 BTCUSDT sell 3001000000000 200000 1 1200000",
            ],
        ),
        (
            "SELECT symbol, qty, entry FROM positions ORDER BY id",
            &["BTCUSDT 0 0", "BTCUSDT 400000 3000000000000", "BTCUSDT 200000 3000000000000"],
        ),
        ("SELECT balance FROM wallets", &["1000000000000"]),
        ("SELECT weight_minute, orders_minute FROM usage", &["21 -"]),
        (
            "SELECT symbol, bid, ask, mark, obi_l1, obi_l5, micro_bps, flow, trades_per_second FROM signals",
            &["BTCUSDT 3000900000000 3001100000000 3001000000000 0.5 -0.25 0.125 1 3"],
        ),
        (
            "SELECT what, reason, symbol, order_id & 0xffffffff FROM risk_events ORDER BY id",
            &["gate_opened reconciled - -", "denied order_rate BTCUSDT 3", "notice runaway - -"],
        ),
        (
            "SELECT room, what, value FROM notices ORDER BY id",
            &["feed reconnecting 3", "risk runaway 3", "engine log events lost 4"],
        ),
        ("SELECT span, count, mean, p50, p99, max FROM latency", &["risk 1 800 800 800 800"]),
        ("SELECT span, nanos, count FROM latency_buckets", &["risk 800 1"]),
        (
            "SELECT client_id, decided, price, qty, state FROM orders_view WHERE side = 'buy'",
            &["of-00000007-00000001 2023-03-28 10:40:00.000 30000 0.004 filled"],
        ),
        (
            "SELECT client_id, trade_id, side, price, qty, role, fee FROM fills_view ORDER BY trade_id LIMIT 1",
            &["of-00000007-00000001 71 buy 30000 0.001 maker 0.012"],
        ),
    ];
    for (sql, expected) in table {
        assert_eq!(query(&path, sql), *expected, "{sql}");
    }
}

#[test]
fn the_summary_adds_everything_up() {
    let scratch = Scratch::new();
    let mut world = World::open(&scratch.database(), EPOCH);
    world.keep(&story());
    let summary = world.storage.finish("completed", Nanos(START.0 + 2_000_000_000)).unwrap();
    let text = report::text(&summary).replace(scratch.path().to_str().unwrap(), "DIR");
    let expected = "\
session 1 · binance · sim · completed after 2.0 s · version 0.1.0

orders   3 intended · 2 sent · 2 accepted · 2 filled · 0 cancelled · 0 expired · 0 refused · 1 denied · 0 unknown · 0 open
fills    3 fills · 3 maker · 0 taker
         1 duplicates ignored · 0 without a known order
denied   1 order_rate

symbol   position  entry   last  fills  volume  realised   fees     net  unrealised
BTCUSDT     0.002  30000  30010      3  180.02      0.02  0.036  -0.016        0.02

P&L net of fees -0.016 USDT realised, 0.004 USDT with what is held
wallet   10000 USDT

latency  count     p50     p90     p99   p99.9     max
risk         1  800 ns  800 ns  800 ns  800 ns  800 ns

notice   engine: log events lost × 1
notice   feed: reconnecting × 1
notice   risk: runaway × 1
! lost   4 log events · 0 rows
database DIR/trading_log.db
";
    assert_eq!(text, expected);
    let line = "2 sent · 0 open · 1 denied · 3 fills · P&L 0.004 USDT · 0.002 BTCUSDT";
    assert_eq!(report::line(&summary), line);
    let json: serde_json::Value = serde_json::from_str(&report::json(&summary)).unwrap();
    assert_eq!(json["profit"]["net"], "-0.016");
    assert_eq!(json["symbols"][0]["exchange_position"], "0.002");
    assert_eq!(json["orders"]["denials"]["order_rate"], 1);
    assert_eq!(json["latencies"][0]["p99_ns"], 800);
    let stored = query(&scratch.database(), "SELECT summary FROM sessions");
    assert_eq!(stored, [report::json(&summary)]);
}

#[test]
fn profit_starts_from_the_position_that_was_there_and_shows_disagreement() {
    let scratch = Scratch::new();
    let mut world = World::open(&scratch.database(), EPOCH);
    world.keep(&[
        position("0.01", "29000"),
        place(1, Side::Sell, "30000", "0.01"),
        change(1, OrderChange::Sent),
        position("0.005", "29000"),
        fill(1, 1, "30000", "0.005", "0.005"),
        sample("0"),
    ]);
    let symbol = &world.storage.summary().symbols[0];
    assert_eq!((symbol.position, symbol.entry), (qty("0.005"), price("29000")));
    assert_eq!((symbol.profit.realised.to_string(), symbol.last.to_string()), ("5".to_owned(), "30010".to_owned()));
    assert_eq!(symbol.profit.unrealised.to_string(), "5.05");
    world.keep(&[position("0.004", "29000")]);
    let text = report::text(&world.storage.summary());
    assert!(text.contains("! BTCUSDT: the exchange states a position of 0.004"), "{text}");
}

#[test]
fn a_stated_entry_below_zero_does_not_stop_the_stage() {
    let scratch = Scratch::new();
    let mut world = World::open(&scratch.database(), EPOCH);
    world.keep(&[position("0.5", "-29000"), place(1, Side::Buy, "30000", "0.004"), change(1, OrderChange::Sent)]);
    world.keep(&[fill(1, 71, "30000", "0.004", "0.004"), change(1, OrderChange::Done)]);
    let summary = world.storage.finish("stopped", world.now).unwrap();
    assert_eq!((summary.fills.fills, summary.symbols[0].position.to_string().as_str()), (1, "0.504"));
}

#[test]
fn effects_that_are_read_before_their_causes_are_told_the_same() {
    let scratch = Scratch::new();
    let path = scratch.database();
    let mut world = World::open(&path, EPOCH);
    world.keep(&[denied(2, DenyReason::GateClosed), change(1, OrderChange::Sent), accepted(1)]);
    world.later(50);
    let states = "SELECT order_id & 0xffffffff, side, state FROM orders ORDER BY order_id";
    assert_eq!(query(&path, states), ["1 - open"]);
    world.keep(&[place(1, Side::Buy, "30000", "0.004"), place(2, Side::Buy, "30000", "0.004")]);
    world.later(50);
    assert_eq!(query(&path, states), ["1 buy open", "2 buy denied"]);
}

#[test]
fn what_a_session_that_died_left_unfinished_is_told_to_the_next() {
    let scratch = Scratch::new();
    let path = scratch.database();
    let unfinished = |symbols: &[&str]| former::unfinished(&path, "sim", "binance", symbols).unwrap();
    let mut world = World::open(&path, EPOCH);
    assert!(unfinished(&["BTCUSDT"]).died, "a session that has not ended may have died");
    world.keep(&[place(1, Side::Buy, "30000", "0.004"), place(2, Side::Sell, "30010", "0.002")]);
    world.keep(&[place(3, Side::Buy, "30000", "0.004"), place(4, Side::Buy, "29000", "0.004")]);
    world.keep(&[change(1, OrderChange::Sent), accepted(1), fill(1, 71, "30000", "0.001", "0.001")]);
    world.keep(&[accepted(2), fill(2, 72, "30010", "0.002", "0.002"), change(2, OrderChange::Done)]);
    world.keep(&[denied(3, DenyReason::OrderRate)]);
    world.later(100);
    drop(world);

    let left = unfinished(&["BTCUSDT", "ETHUSDT"]);
    let of = |order: &former::UnfinishedOrder| {
        let counter = order.order.id.counter();
        (counter, order.exchange_id, order.trades.clone(), order.filled, order.order.price, order.symbol.clone())
    };
    let expected = [
        (1, Some(8_001), vec![71], qty("0.001"), price("30000"), "BTCUSDT".to_owned()),
        (4, None, vec![], qty("0"), price("29000"), "BTCUSDT".to_owned()),
    ];
    assert_eq!(left.orders.iter().map(of).collect::<Vec<_>>(), expected);
    let tail = former::SymbolTail { ended: vec![id(2)], exchange_id: Some(8_001), first_session: Some(START) };
    assert_eq!(left.symbols, [tail, former::SymbolTail::default()]);
    assert!(left.died);
    let elsewhere = former::unfinished(&path, "live", "binance", &["BTCUSDT"]).unwrap();
    assert_eq!((elsewhere.orders.len(), elsewhere.died), (0, false), "another venue, another account");

    // The next session learns the end of one, and of an order that was never written down.
    let mut world = World::open(&path, EPOCH + 1);
    world.keep(&[fill(1, 71, "30000", "0.001", "0.001"), fill(1, 73, "30000", "0.003", "0.004")]);
    world.keep(&[change(1, OrderChange::Done), place(5, Side::Sell, "30020", "0.002"), accepted(5)]);
    world.keep(&[fill(5, 74, "30020", "0.002", "0.002"), change(5, OrderChange::Done), position("0.002", "30000")]);
    let summary = world.storage.finish("stopped", world.now).unwrap();
    assert_eq!(
        summary.symbols[0].position,
        qty("0.002"),
        "what happened before is in the position that it begins with"
    );
    assert_eq!(summary.orders.intended, 0);
    let rows = query(&path, "SELECT session_id, order_id & 0xff, state, filled FROM orders ORDER BY order_id");
    assert_eq!(rows, ["1 1 filled 400000", "1 2 filled 200000", "1 3 denied 0", "1 4 intended 0", "1 5 filled 200000"]);
    assert_eq!(
        query(&path, "SELECT trade_id, side FROM fills ORDER BY trade_id"),
        ["71 buy", "72 sell", "73 buy", "74 sell"]
    );
    let left = unfinished(&["BTCUSDT"]);
    assert_eq!((left.orders.len(), left.died), (1, false));
}

#[test]
fn an_order_that_a_later_session_does_not_trade_is_closed_in_its_own_session_and_only_once() {
    let scratch = Scratch::new();
    let path = scratch.database();
    let mut world = World::open(&path, EPOCH);
    world.keep(&[place(1, Side::Buy, "30000", "0.004"), place(2, Side::Sell, "30010", "0.002")]);
    world.keep(&[change(1, OrderChange::Sent), accepted(1), fill(1, 71, "30000", "0.001", "0.001")]);
    world.keep(&[place(3, Side::Buy, "30000", "0.002"), accepted(3), change(3, OrderChange::Cancelled)]);
    world.later(100);
    drop(world);
    let fact = |counter: u32, change: OrderChange| FormerFact { order: id(counter), exchange_ms: 5, change };
    let filled = |counter: u32, trade: u64| {
        let (trade, price, qty) = (TradeId(trade), price("30000"), qty("0.001"));
        fact(counter, OrderChange::Filled { trade, price, qty, total: qty, maker: true, fee: 3 })
    };
    let accepted = |counter: u32| fact(counter, OrderChange::Accepted { exchange_id: ExchangeOrderId(9) });
    let facts = [
        accepted(1),
        filled(1, 71),
        filled(1, 72),
        fact(1, OrderChange::Expired),
        fact(2, OrderChange::Refused { code: -2013 }),
        fact(3, OrderChange::Done),
        filled(4, 99),
    ];
    for _ in 0..2 {
        close_former(&path, Nanos(START.0 + 900), &facts).unwrap();
        let orders = query(&path, "SELECT order_id & 0xff, state, filled, exchange_id FROM orders ORDER BY order_id");
        assert_eq!(orders, ["1 expired 200000 8001", "2 refused 0 -", "3 cancelled 0 8003"]);
        let fills = "SELECT order_id & 0xff, trade_id, session_id, symbol, side, qty, fee FROM fills ORDER BY trade_id";
        assert_eq!(query(&path, fills), ["1 71 1 BTCUSDT buy 100000 1200000", "1 72 1 BTCUSDT buy 100000 3"]);
        let events = "SELECT order_id & 0xff, what, value FROM order_events WHERE at_ns > 1680000000000000000 + 800
                      AND at_ns < 1680000000000000000 + 1000 ORDER BY id";
        assert_eq!(query(&path, events), ["1 filled 72", "1 expired -", "2 refused -2013"]);
        assert_eq!(query(&path, "SELECT count(*) FROM notices WHERE room = 'control'"), ["2"]);
    }
    assert!(former::unfinished(&path, "sim", "binance", &[]).unwrap().orders.is_empty());
}

#[test]
fn a_sample_that_is_no_number_is_a_row_that_is_lost_and_ends_nothing() {
    let scratch = Scratch::new();
    let mut world = World::open(&scratch.database(), EPOCH);
    let good = signals("30010");
    world.keep(&[
        LogEvent::Signal(SignalSample { obi_l1: f64::NAN, ..good }),
        LogEvent::Signal(SignalSample { obi_l5: f64::NAN, ..good }),
        LogEvent::Signal(SignalSample { micro_bps: f64::INFINITY, ..good }),
        LogEvent::Signal(SignalSample { flow: f64::NAN, ..good }),
        LogEvent::Signal(SignalSample { trades_per_second: f64::NEG_INFINITY, ..good }),
        LogEvent::Signal(good),
        accepted(1),
    ]);
    let summary = world.storage.finish("stopped", world.now).expect("writing goes on");
    assert_eq!(summary.rows_lost, 5);
    assert_eq!(query(&scratch.database(), "SELECT COUNT(*) FROM signals"), ["1"]);
    assert_eq!(query(&scratch.database(), "SELECT COUNT(*) FROM order_events"), ["1"]);
}

#[test]
fn a_former_fill_that_is_found_late_counts_by_when_it_happened() {
    let scratch = Scratch::new();
    let mut world = World::open(&scratch.database(), EPOCH + 1);
    world.keep(&[position("0.003", "30000"), place(9, Side::Buy, "30000", "0.001"), change(9, OrderChange::Sent)]);
    let before = fill(1, 71, "30000", "0.001", "0.001");
    let mut since = fill(1, 72, "30000", "0.001", "0.002");
    if let LogEvent::Report(Report::Order(event)) = &mut since {
        event.exchange_ms += 5_000;
    }
    world.keep(&[place(1, Side::Buy, "30000", "0.002"), before, since]);
    let summary = world.storage.finish("stopped", world.now).unwrap();
    assert_eq!(summary.symbols[0].position, qty("0.004"), "the first is in what the session began with");
}
