//! A symbol that risk halts leaves a row with its reason and one line for people.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{EPOCH, START, SYMBOL, Scratch, World, query};
use optiflow_base::log::{LogEvent, Refusal};

#[test]
fn a_pause_and_a_latch_are_told_with_symbol_and_reason() {
    let scratch = Scratch::new();
    let mut world = World::open(&scratch.database(), EPOCH);
    let halted = |refusal, ms: Option<u64>| {
        let until = ms.map(|ms| START + Duration::from_millis(ms));
        LogEvent::Halted { symbol: SYMBOL, at: START, refusal, until }
    };
    world.keep(&[
        halted(Refusal::Order(-2019), Some(1_000)),
        halted(Refusal::Modify(-5027), Some(2_000)),
        halted(Refusal::WouldTake, Some(4_000)),
        halted(Refusal::Order(-4120), None),
    ]);
    let summary = world.storage.finish("stopped", world.now).unwrap();
    let rows = query(&scratch.database(), "SELECT what, reason, symbol, order_id IS NULL FROM risk_events ORDER BY id");
    let expected = [
        "paused refused -2019, for 1000 ms BTCUSDT 1",
        "paused modify_refused -5027, for 2000 ms BTCUSDT 1",
        "paused would_take 0, for 4000 ms BTCUSDT 1",
        "latched refused -4120 BTCUSDT 1",
    ];
    assert_eq!(rows, expected);
    let lines = query(&scratch.database(), "SELECT room, value, what LIKE '%restart%' FROM notices ORDER BY id");
    assert_eq!(lines, ["risk -2019 0", "risk -5027 0", "risk 0 0", "risk -4120 1"]);
    let counted: Vec<_> = summary.notices.iter().map(|notice| (notice.room, notice.count)).collect();
    assert_eq!(counted, [("risk", 1), ("risk", 3)]);
}
