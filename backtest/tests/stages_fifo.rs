//! The exact queue of a made-up market in the world of events, and what a run counts.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stages_common;

use std::time::Duration;

use optiflow_backtest::stages::observer::Tells;
use optiflow_backtest::stages::{Direct, Outcome, StagesConfig, run};
use optiflow_base::ids::SymbolId;
use optiflow_base::log::LogEvent;
use optiflow_base::money::{Notional, Side};
use optiflow_base::order::TimeInForce;
use optiflow_sim::market::synthetic::Synthetic;
use optiflow_sim::matching::rules::Queueing;
use optiflow_sim::words::Listing;
use stages_common::{
    Act, BEGIN, FEED_NS, Notes, Script, calm, config, constant, go, lane, listing, scalping, shared, synthetic,
};

const SEED: u64 = 7;

fn traded() -> Vec<Listing> {
    vec![listing("BTCUSDT"), listing("ETHUSDT")]
}

fn built() -> StagesConfig {
    let mut config = config(traded(), constant(4_000_000, 2_000_000), |_| scalping());
    config.run_for = Some(Duration::from_secs(120));
    config
}

/// The market of the rows, as the exchange has it itself.
fn direct() -> Option<Direct> {
    let source = Box::new(Synthetic::new(SEED, traded()));
    let symbols = (0..2).map(|id| Some(SymbolId(id))).collect();
    Some(Direct { source, symbols, feed_ns: FEED_NS, begins: BEGIN })
}

fn exact() -> StagesConfig {
    let mut config = StagesConfig { direct: direct(), ..built() };
    config.core.rules.matching.queue = Queueing::Fifo;
    config
}

fn over_rows(config: StagesConfig) -> (Outcome, Notes) {
    go(config, lane(synthetic(SEED, &traded()), 2))
}

#[test]
fn a_market_at_first_hand_is_the_one_of_its_rows() {
    let (rows, by_rows) = over_rows(built());
    let (direct, at_first_hand) = over_rows(StagesConfig { direct: direct(), ..built() });
    assert!(by_rows.fills.len() > 5, "{} fills", by_rows.fills.len());
    assert_eq!((rows.hash, &by_rows), (direct.hash, &at_first_hand), "estimated alike");
}

#[test]
fn an_exact_queue_runs_is_the_same_twice_and_fills_otherwise_than_an_estimate() {
    let (one, first) = over_rows(exact());
    let (two, second) = over_rows(exact());
    assert!(first.fills.iter().filter(|fill| fill.maker).count() > 5, "resting orders fill");
    assert_eq!((&one, &first), (&two, &second));
    let (estimated, _) = over_rows(built());
    assert_ne!(one.hash, estimated.hash);
    assert_eq!((one.first, one.open_orders), (estimated.first, 0));
}

#[test]
fn rows_alone_have_no_exact_queue() {
    let config = StagesConfig { direct: None, ..exact() };
    let problem = run(config, lane(synthetic(SEED, &traded()), 2), &mut ()).unwrap_err();
    assert!(problem.contains("tells every order"), "{problem}");
}

#[test]
fn what_is_refused_here_and_there_is_counted() {
    let buy = |behind, qty| Act::Limit { side: Side::Buy, behind, qty, tif: TimeInForce::Gtc };
    let place_and_cancel = |n: u64| [(10_000 + n * 20, buy(10, "0.002")), (10_010 + n * 20, Act::CancelAll)];
    let acts =
        (0..330).flat_map(place_and_cancel).map(|(ms, act)| (Duration::from_millis(ms), act)).collect::<Vec<_>>();
    let config = config(vec![listing("BTCUSDT")], constant(1_000_000, 1_000_000), move |_| Script::boxed(acts.clone()));
    let (outcome, notes) = go(config, shared(&calm(30, 10).into(), 1));
    let limited = notes.answers.iter().filter(|answer| answer.code == -1015).count() as u64;
    assert!(limited > 0, "300 orders in ten seconds are the limit");
    assert_eq!(outcome.tally.limited, limited);
    let denied = notes.log.iter().filter(|event| matches!(event, LogEvent::Denied { .. })).count() as u64;
    assert!(denied > 0 && outcome.refusals >= denied, "{} of {denied}", outcome.refusals);
    assert_eq!((outcome.tally.no_margin, outcome.tally.liquidations), (0, 0));
}

#[test]
fn an_order_without_margin_is_counted_as_such() {
    let act = Act::Limit { side: Side::Buy, behind: 0, qty: "1", tif: TimeInForce::Gtc };
    let acts = vec![(Duration::from_secs(1), act)];
    let mut config =
        config(vec![listing("BTCUSDT")], constant(1_000_000, 1_000_000), move |_| Script::boxed(acts.clone()));
    config.core.wallet = Notional::from_units(100 * 100_000_000);
    let (outcome, notes) = go(config, shared(&calm(4, 10).into(), 1));
    assert_eq!(notes.answers.iter().map(|answer| answer.tells).collect::<Vec<_>>(), [Tells::Rejected]);
    assert_eq!((outcome.tally.no_margin, outcome.refusals), (1, 0));
}
