//! At the account's order limit: nothing is refused for asking too much, and our count is the exchange's.
//!
//! A few virtual minutes here; a week with `OPTIFLOW_LIMIT_HOURS=168 cargo test --release -p optiflow-backtest --test
//! order_limit -- --nocapture --test-threads 1`, which tells what it came to every six virtual hours.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use optiflow_backtest::ceiling::run::{Plan, Session};
use optiflow_backtest::ceiling::verdict::Verdict;

const MINUTE: Duration = Duration::from_secs(60);

fn hours() -> Option<u32> {
    std::env::var("OPTIFLOW_LIMIT_HOURS").ok().map(|hours| hours.parse().unwrap())
}

/// Lives so long, and tells on the way what a long session came to.
fn live(plan: Plan, minutes: u32) -> Verdict {
    let mut session = Session::new(plan).unwrap();
    let mut left = minutes + 1;
    while left > 0 {
        let span = left.min(TOLD_EVERY_MINUTES);
        session.live(MINUTE * span);
        left -= span;
        eprintln!("{plan:?}\n{}\n", session.verdict());
    }
    session.verdict()
}

fn is_polite_and_exact(verdict: &Verdict) {
    assert_eq!(verdict.refused, 0, "429 and 418");
    assert_eq!(verdict.floods, (0, 0), "connections and messages");
    assert!(verdict.weight_off[0] <= 0.05 && verdict.orders_off[0] <= 0.05, "our count is the exchange's");
    let wanted = verdict.turned_down >= TURNED_DOWN_A_MINUTE * verdict.minutes as u64;
    assert!(wanted, "it wants more than it may: {} turned down", verdict.turned_down);
    assert!(verdict.waits.count > 0 && verdict.waits.longest < WAIT_MAX_NS, "cancels and exits leave");
}

#[test]
fn a_greedy_strategy_uses_the_limit_and_is_never_refused() {
    let plan = Plan { seed: 1, reserve_percent: 10, is_blind: false };
    let verdict = live(plan, hours().map_or(MINUTES_USUAL, |hours| hours * 60));
    is_polite_and_exact(&verdict);
    assert!(verdict.orders[2] >= 1_080, "what is not kept for exits is used: {:?}", verdict.orders);
    assert_eq!(verdict.held_back, 0, "no cancel and no exit was turned down");
}

/// Nothing corrects our count here, and no reserve hides that an order too many was let through.
#[test]
fn without_a_reserve_and_without_being_told_it_is_never_refused_either() {
    let plan = Plan { seed: 2, reserve_percent: 0, is_blind: true };
    let verdict = live(plan, hours().map_or(MINUTES_USUAL, |hours| hours * 60));
    is_polite_and_exact(&verdict);
    assert!(verdict.orders[2] >= 1_190, "all of it is used: {:?}", verdict.orders);
}

/// The limiter binds all the time. That it turns down no more has its reason in the engine, which asks for no entry for a
/// tenth of a second after such a denial: some 270 a minute are turned down with that, some 1,400 without.
const TURNED_DOWN_A_MINUTE: u64 = 100;
/// As many as a debug build lives in some ten seconds.
const MINUTES_USUAL: u32 = 5;
const TOLD_EVERY_MINUTES: u32 = 360;
/// No limit holds them up; an answer that is waited for after a cut may.
const WAIT_MAX_NS: u64 = 5_000_000_000;
