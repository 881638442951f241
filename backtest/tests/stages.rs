//! The stages in the world of events: money, time, order and sameness.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::wildcard_enum_match_arm)]

mod stages_common;

use std::time::Duration;

use optiflow_backtest::stages::observer::{Status, Tells};
use optiflow_backtest::stages::{End, Outcome, run};
use optiflow_base::clock::Nanos;
use optiflow_base::log::LogEvent;
use optiflow_base::money::{Notional, Qty, Side};
use optiflow_base::order::{OrderChange, Report, TimeInForce};
use optiflow_sim::replay::latency::{Latency, LatencyRow};
use optiflow_store::event::{Kind, Row};
use stages_common::{
    Act, BEGIN, Notes, START_WALLET, Script, calm, collect, config, constant, go, lane, listing, row, scalping, shared,
    synthetic,
};

const MINUTE: Duration = Duration::from_secs(60);
const ENTRY_NS: i64 = 4_000_000;
const RESPONSE_NS: i64 = 2_000_000;

fn scalped(seed: u64, names: &[&str], span: Duration) -> (Outcome, Notes) {
    let listings: Vec<_> = names.iter().map(|name| listing(name)).collect();
    let rows = collect(synthetic(seed, &listings), span);
    let config = config(listings, constant(ENTRY_NS, RESPONSE_NS), |_| scalping());
    go(config, shared(&rows, names.len()))
}

#[test]
fn money_and_positions_are_the_sums_of_what_happened() {
    let names = ["BTCUSDT", "ETHUSDT"];
    let (outcome, notes) = scalped(7, &names, 3 * MINUTE);
    assert!(notes.fills.len() > 20, "{} fills", notes.fills.len());
    let mut wallet = Notional::from_units(START_WALLET);
    for fill in &notes.fills {
        wallet += fill.realized - fill.fee;
    }
    wallet += notes.payments.iter().map(|payment| payment.amount).sum();
    assert_eq!(outcome.wallet, wallet, "wallet = start + Σ realised − fees + funding");
    for (index, symbol) in outcome.symbols.iter().enumerate() {
        let fills = || notes.fills.iter().filter(|fill| fill.symbol.index() == index);
        assert!(fills().count() > 0, "{} traded", names[index]);
        assert_eq!(symbol.position, fills().map(|fill| fill.order.side.signed(fill.qty)).sum::<Qty>());
        assert_eq!(symbol.fees, fills().map(|fill| fill.fee).sum());
        assert_eq!(symbol.fills, fills().count() as u64);
        let cash = fills().map(|fill| match fill.order.side {
            Side::Buy => -fill.price.times(fill.qty),
            Side::Sell => fill.price.times(fill.qty),
        });
        assert_eq!(symbol.balance, cash.sum());
    }
    assert_eq!(outcome.equity, notes.equity.last().unwrap().1);
    assert_eq!((outcome.open_orders, outcome.log_events_lost), (0, 0));
    assert_eq!((outcome.answers, outcome.end), (notes.answers.len() as u64, End::MarketOver));
}

#[test]
fn nothing_fills_before_it_arrives_and_nothing_is_known_before_it_travelled() {
    let (_, notes) = scalped(11, &["BTCUSDT"], 3 * MINUTE);
    assert!(notes.fills.len() > 10);
    for fill in &notes.fills {
        assert_eq!(fill.arrived, fill.decided + Duration::from_nanos(ENTRY_NS as u64), "{fill:?}");
        assert!(fill.exch >= fill.arrived, "{fill:?}");
        assert!(fill.exch > fill.arrived || !fill.maker, "what fills on arrival takes: {fill:?}");
        assert_eq!(fill.local, fill.exch + Duration::from_nanos(RESPONSE_NS as u64), "{fill:?}");
    }
    assert!(notes.answers.is_sorted_by_key(|answer| answer.local), "answers come in order");
    let seconds: Vec<Nanos> = notes.equity.iter().map(|(at, _)| *at).collect();
    assert!(seconds.is_sorted() && seconds.len() > 170, "a look every second: {}", seconds.len());
}

#[test]
fn equal_inputs_give_equal_runs_from_memory_and_from_a_stream() {
    let listings = || vec![listing("BTCUSDT"), listing("ETHUSDT")];
    let rows = collect(synthetic(5, &listings()), 2 * MINUTE);
    let built = || {
        let mut config = config(listings(), constant(ENTRY_NS, RESPONSE_NS), |_| scalping());
        config.run_for = Some(MINUTE);
        config
    };
    let (one, first) = go(built(), shared(&rows, 2));
    let (two, second) = go(built(), shared(&rows, 2));
    let (three, third) = go(built(), lane(synthetic(5, &listings()), 2));
    assert!(first.fills.len() > 5 && one.end == End::TimeUp, "{} fills", first.fills.len());
    assert_eq!((&one, &first), (&two, &second), "twice the same");
    assert_eq!((one.hash, &first), (three.hash, &third), "streamed or shared");
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (rows, config) = (rows.clone(), built());
            std::thread::spawn(move || run(config, shared(&rows, 2), &mut ()).unwrap().hash)
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), one.hash, "on another thread");
    }
    let (other, _) = scalped(6, &["BTCUSDT", "ETHUSDT"], MINUTE);
    assert_ne!(other.hash, one.hash);
}

#[test]
fn the_epoch_changes_the_ids_and_nothing_else() {
    let rows = collect(synthetic(5, &[listing("BTCUSDT")]), MINUTE);
    let hash = |epoch| {
        let mut config = config(vec![listing("BTCUSDT")], constant(ENTRY_NS, RESPONSE_NS), |_| scalping());
        config.engine.epoch = epoch;
        go(config, shared(&rows, 1)).0.hash
    };
    assert_eq!(hash(1), hash(900));
}

fn buy(behind: i64, qty: &'static str) -> Act {
    Act::Limit { side: Side::Buy, behind, qty, tif: TimeInForce::Gtc }
}

fn scripted(acts: Vec<(u64, Act)>, latency: Latency, seconds: u64) -> (Outcome, Notes) {
    let acts = acts.into_iter().map(|(ms, act)| (Duration::from_millis(ms), act)).collect::<Vec<_>>();
    let config = config(vec![listing("BTCUSDT")], latency, move |_| Script::boxed(acts.clone()));
    let rows = calm(seconds, 10).into();
    go(config, shared(&rows, 1))
}

#[test]
fn funding_is_paid_at_its_time_and_the_wallet_knows() {
    let mut rows = calm(8, 10);
    let funding = |second: u64, next: u64| {
        let mut row = row(second * 1_000, second * 1_000 + 10, Kind::Funding, None, "0.001", "0", false);
        row.id = (BEGIN + Duration::from_secs(next)).millis();
        row
    };
    let at =
        |rows: &[Row], second| rows.iter().position(|row| row.exch >= BEGIN + Duration::from_secs(second)).unwrap();
    let (one, two) = (at(&rows, 2), at(&rows, 6));
    rows.insert(two, funding(6, 28_800));
    rows.insert(one, funding(2, 5));
    let acts = vec![(Duration::from_secs(1), buy(-1, "0.5"))];
    let config = config(vec![listing("BTCUSDT")], constant(1_000_000, 3_000_000), move |_| Script::boxed(acts.clone()));
    let (outcome, notes) = go(config, shared(&rows.into(), 1));
    assert_eq!((notes.fills.len(), notes.payments.len()), (1, 1), "{:?}", notes.payments);
    assert_eq!(notes.payments[0].amount.to_string(), "-30", "60000 × 0.5 × 0.1 %");
    assert_eq!(outcome.symbols[0].funding, notes.payments[0].amount);
    let fill = notes.fills[0];
    assert_eq!(outcome.wallet, Notional::from_units(START_WALLET) - fill.fee + notes.payments[0].amount);
}

fn answered(notes: &Notes) -> Vec<(u64, Tells, Status)> {
    let since = |at: Nanos| at.since(BEGIN) / 1_000_000;
    notes.answers.iter().map(|answer| (since(answer.local), answer.tells, answer.status)).collect()
}

#[test]
fn an_order_lives_as_long_as_its_requests_travel() {
    let acts = vec![(1_000, buy(0, "0.01")), (2_000, Act::CancelAll), (3_000, buy(-1, "0.01"))];
    let (outcome, notes) = scripted(acts, constant(4_000_000, 3_000_000), 6);
    let expected = [
        (1_017, Tells::State, Status::New),
        (2_017, Tells::State, Status::Canceled),
        (3_017, Tells::State, Status::New),
        (3_017, Tells::Fill, Status::Filled),
    ];
    // Decided when the book is heard, 10 ms after it was told.
    assert_eq!(answered(&notes), expected);
    assert_eq!(notes.fills[0].price.to_string(), "60000.1");
    assert!(!notes.fills[0].maker);
    assert_eq!(outcome.symbols[0].position.to_string(), "0.01");
}

#[test]
fn whoever_rests_waits_behind_what_is_displayed() {
    let (_, notes) = scripted(vec![(1_000, buy(0, "0.01"))], constant(4_000_000, 3_000_000), 4);
    assert_eq!(notes.answers.last().unwrap().status, Status::Canceled, "the stop takes it back");
    let mut rows = calm(4, 10);
    let at = rows.iter().position(|row| row.exch >= BEGIN + Duration::from_secs(3)).unwrap();
    let trade = |qty| row(2_500, 2_510, Kind::Trade, Some(Side::Sell), "60000", qty, false);
    rows.splice(at..at, [trade("5"), trade("0.004")]);
    let acts = vec![(Duration::from_secs(1), buy(0, "0.01"))];
    let config = config(vec![listing("BTCUSDT")], constant(4_000_000, 3_000_000), move |_| Script::boxed(acts.clone()));
    let (_, notes) = go(config, shared(&rows.into(), 1));
    let fill = notes.fills[0];
    assert_eq!((fill.ahead.to_string(), fill.qty.to_string(), fill.maker), ("5".to_owned(), "0.004".to_owned(), true));
    assert_eq!(fill.exch, BEGIN + Duration::from_millis(2_500));
}

#[test]
fn lost_requests_never_reach_the_exchange_and_are_learnt_of_later() {
    let (outcome, notes) = scripted(vec![(1_000, buy(-1, "0.01"))], constant(-20_000_000, 3_000_000), 4);
    assert_eq!(answered(&notes), [(1_030, Tells::Rejected, Status::None)]);
    assert!(notes.fills.is_empty() && outcome.symbols[0].position.is_zero());
    let refused = |event: &&LogEvent| matches!(event, LogEvent::Report(Report::Order(event)) if matches!(event.change, OrderChange::Refused { code: 1 }));
    assert_eq!(notes.log.iter().filter(refused).count(), 1, "our code: nothing was sent");
}

#[test]
fn a_lost_cancel_leaves_the_order_where_it_is() {
    let begin = BEGIN.0 as i64;
    let ms = |ms: i64| begin + ms * 1_000_000;
    let row = |at: i64, lost: bool| LatencyRow {
        request_ns: ms(at),
        exchange_ns: if lost { 0 } else { ms(at + 4) },
        response_ns: ms(at + 10),
    };
    let table = vec![row(0, false), row(1_500, false), row(1_600, true), row(2_400, true), row(2_500, false)];
    let acts = vec![(1_000, buy(0, "0.01")), (2_000, Act::CancelAll)];
    let (outcome, notes) = scripted(acts, Latency::table(table).unwrap(), 4);
    let kinds: Vec<_> = answered(&notes).into_iter().map(|(_, tells, status)| (tells, status)).collect();
    let expected = [(Tells::State, Status::New), (Tells::Rejected, Status::New), (Tells::State, Status::Canceled)];
    assert_eq!(kinds, expected, "accepted; the cancel lost; cancelled when the run stops");
    assert_eq!(outcome.open_orders, 0);
}

#[test]
fn a_modified_order_keeps_its_name_travels_like_any_request_and_takes_where_it_then_stands() {
    let modify = |behind, qty| Act::Modify { behind, qty };
    let acts = vec![(1_000, buy(5, "0.01")), (2_000, modify(8, "0.02")), (3_000, modify(-1, "0.03"))];
    let (outcome, notes) = scripted(acts, constant(4_000_000, 3_000_000), 6);
    let seen: Vec<_> = notes
        .answers
        .iter()
        .map(|answer| {
            (answer.local.since(BEGIN) / 1_000_000, answer.order.price.to_string(), answer.leaves.to_string())
        })
        .collect();
    let expected =
        [(1_017, "59999.5", "0.01"), (2_017, "59999.2", "0.02"), (3_017, "60000.1", "0.03"), (3_017, "60000.1", "0")];
    assert_eq!(seen, expected.map(|(at, price, leaves)| (at, price.to_owned(), leaves.to_owned())));
    assert_eq!(outcome.symbols[0].position.to_string(), "0.03");
    let changes = notes.log.iter().filter_map(|event| match event {
        LogEvent::Report(Report::Order(event)) => Some(event.change),
        _ => None,
    });
    let told: Vec<String> = changes.map(|change| format!("{change:?}")).collect();
    let modified = |told: &&String| told.starts_with("Modified") && told.contains("asked: true");
    assert_eq!(told.iter().filter(modified).count(), 2, "{told:?}");
    assert_eq!(told.last().map(String::as_str), Some("Done"));
}

#[test]
fn a_lost_modify_leaves_the_terms_as_they_were() {
    let begin = BEGIN.0 as i64;
    let ms = |ms: i64| begin + ms * 1_000_000;
    let row = |at: i64, lost: bool| LatencyRow {
        request_ns: ms(at),
        exchange_ns: if lost { 0 } else { ms(at + 4) },
        response_ns: ms(at + 10),
    };
    let table = vec![row(0, false), row(1_500, false), row(1_600, true), row(2_400, true), row(2_500, false)];
    let acts = vec![(1_000, buy(5, "0.01")), (2_000, Act::Modify { behind: 8, qty: "0.02" })];
    let (_, notes) = scripted(acts, Latency::table(table).unwrap(), 4);
    let kinds: Vec<_> = notes.answers.iter().map(|answer| (answer.tells, answer.status, answer.code)).collect();
    let lost = (Tells::Rejected, Status::New, 7);
    assert_eq!(kinds, [(Tells::State, Status::New, 0), lost, (Tells::State, Status::Canceled, 0)]);
    assert_eq!(notes.answers[1].order.price.to_string(), "59999.5");
}

#[test]
fn the_exchange_refuses_in_its_own_words() {
    let gtx = |behind| Act::Limit { side: Side::Buy, behind, qty: "0.01", tif: TimeInForce::Gtx };
    let (_, notes) = scripted(vec![(1_000, gtx(-1)), (2_000, buy(0, "2"))], constant(4_000_000, 3_000_000), 4);
    let codes: Vec<i32> = notes.answers.iter().map(|answer| answer.code).collect();
    assert_eq!(codes[0], -5022, "post-only that would take");
    let ends = |event: &&LogEvent| matches!(event, LogEvent::Report(Report::Order(event)) if event.change == OrderChange::Expired);
    assert_eq!(notes.log.iter().filter(ends).count(), 1, "a normal end");
}

#[test]
fn the_exchange_counts_orders_and_risk_is_told() {
    let place_and_cancel = |n: u64| [(10_000 + n * 20, buy(10, "0.002")), (10_010 + n * 20, Act::CancelAll)];
    let acts: Vec<(u64, Act)> = (0..330).flat_map(place_and_cancel).collect();
    let (_, notes) = scripted(acts, constant(1_000_000, 1_000_000), 30);
    let refused: Vec<i32> = notes.answers.iter().map(|answer| answer.code).filter(|code| *code == -1015).collect();
    assert!(!refused.is_empty(), "300 orders in ten seconds are the limit");
    let told = |event: &&LogEvent| matches!(event, LogEvent::Report(Report::Usage(usage)) if usage.orders_blocked_until.is_some());
    assert!(notes.log.iter().any(|event| told(&event)));
    let denied = |event: &&LogEvent| matches!(event, LogEvent::Denied { .. });
    assert!(notes.log.iter().any(|event| denied(&event)), "risk holds the rest back");
}

#[test]
fn whoever_looks_on_can_end_the_run_and_everything_is_cancelled() {
    let rows = calm(60, 10).into();
    let acts = vec![(Duration::from_secs(1), buy(0, "0.01"))];
    let config = config(vec![listing("BTCUSDT")], constant(4_000_000, 3_000_000), move |_| Script::boxed(acts.clone()));
    let mut notes = Notes { stop_at: Some(BEGIN + Duration::from_secs(5)), ..Notes::default() };
    let outcome = run(config, shared(&rows, 1), &mut notes).unwrap();
    assert_eq!((outcome.end, outcome.open_orders), (End::Asked, 0));
    assert_eq!(notes.answers.last().unwrap().status, Status::Canceled);
    assert!(outcome.last < BEGIN + Duration::from_secs(6));
}

#[test]
fn rows_in_disorder_are_an_error_that_names_the_row() {
    let mut rows = calm(4, 10);
    rows.swap(4, 9);
    let config = config(vec![listing("BTCUSDT")], constant(1, 1), |_| scalping());
    let problem = run(config, shared(&rows.into(), 1), &mut ()).unwrap_err();
    assert!(problem.contains("row ") && problem.contains("back"), "{problem}");
}

#[test]
fn a_market_without_a_snapshot_is_traded_from_its_first_levels_on() {
    let mut rows = calm(4, 10);
    rows.retain(|row| row.kind != Kind::Clear);
    rows.iter_mut().filter(|row| row.kind == Kind::Snapshot).for_each(|row| row.kind = Kind::Depth);
    let acts = vec![(Duration::from_secs(1), buy(-1, "0.01"))];
    let config = config(vec![listing("BTCUSDT")], constant(4_000_000, 3_000_000), move |_| Script::boxed(acts.clone()));
    let (outcome, notes) = go(config, shared(&rows.into(), 1));
    assert_eq!((notes.fills.len(), outcome.heard[0].decisions), (1, 1));
    assert!(outcome.heard[0].synced && outcome.heard[0].silence().is_none());
}

#[test]
fn a_market_that_tells_no_levels_says_why_nobody_traded() {
    let mut rows = calm(4, 10);
    rows.retain(|row| row.kind == Kind::Top);
    let acts = vec![(Duration::from_secs(1), buy(-1, "0.01"))];
    let config = config(vec![listing("BTCUSDT")], constant(4_000_000, 3_000_000), move |_| Script::boxed(acts.clone()));
    let (outcome, notes) = go(config, shared(&rows.into(), 1));
    assert_eq!((notes.answers.len(), outcome.heard[0].decisions), (0, 0));
    assert!(outcome.heard[0].silence().is_some_and(|why| why.contains("never in sync")), "{:?}", outcome.heard);
}
