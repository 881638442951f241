//! Do the worlds bite? Each bug that a room could have, planted at a seam, is reported by the rule that it breaks; and
//! the very same world without it breaks none.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use optiflow_backtest::seeds::bug::Bug;
use optiflow_backtest::seeds::plan::{Disk, Plan, Stall};
use optiflow_backtest::seeds::run::{run, run_with};
use optiflow_backtest::seeds::shrink::Name;
use optiflow_sim::binance::faults::{Fault, Faults, Rule};

const MINUTE: Duration = Duration::from_secs(60);
/// A bug that so many worlds do not notice is not noticed.
const SEEDS: u64 = 300;

/// Lives worlds from a seed on until one notices; that one is honest without the bug.
///
/// The seeds before `from` do not notice: they are left out to be quick.
fn is_noticed(bug: Bug, from: u64, rules: &[&str]) {
    is_noticed_in(bug, from, rules, |seed| Plan::drawn(seed, MINUTE));
}

fn is_noticed_in(bug: Bug, from: u64, rules: &[&str], plan: impl Fn(u64) -> Plan) {
    let noticed = (from..SEEDS).find_map(|seed| run_with(&plan(seed), None, Some(bug)).err());
    let broken = noticed.expect("some world notices");
    eprintln!("{bug:?}: seed {} at {:?}: {}", broken.seed, broken.at, broken.what);
    assert!(rules.iter().any(|rule| broken.what.starts_with(&format!("{rule}:"))), "{bug:?}: {}", broken.what);
    let honest = run(&plan(broken.seed), None);
    assert!(honest.is_ok(), "without {bug:?}: {honest:?}");
}

#[test]
fn an_order_sent_again_after_a_time_out() {
    // What is traded twice is held twice, and that is looked at more often.
    is_noticed(Bug::OrderResent, 0, &["I1", "I2"]);
}

#[test]
fn an_unknown_outcome_taken_for_a_refusal() {
    is_noticed(Bug::UnknownTakenForRefused, 14, &["I7"]);
}

#[test]
fn a_repeated_fill_booked_again() {
    is_noticed(Bug::RepeatedFillBooked, 0, &["I3"]);
}

/// Where a bug would take one symbol's messages for another's, which is not the bug that is meant.
fn one_symbol(seed: u64) -> Plan {
    Plan { symbols: 1, ..Plan::drawn(seed, MINUTE) }
}

#[test]
fn a_gap_in_the_depth_messages_ignored() {
    is_noticed_in(Bug::GapIgnored, 2, &["I6"], one_symbol);
}

#[test]
fn an_old_snapshot_taken() {
    is_noticed_in(Bug::OldSnapshotTaken, 3, &["I6"], one_symbol);
}

#[test]
fn trades_not_fetched_after_a_reconnect() {
    is_noticed(Bug::TradesNotFetched, 4, &["I3", "I4"]);
}

#[test]
fn leftovers_of_a_former_life_ignored() {
    // What is open and not known of makes risk allow too much, and its fills nobody's.
    is_noticed(Bug::LeftoversIgnored, 1, &["I4", "I2", "I3"]);
}

#[test]
fn a_position_adopted_from_an_old_answer() {
    // Who believes to hold less than he does orders more than he may.
    is_noticed(Bug::OldPositionAdopted, 11, &["I4", "I2"]);
}

#[test]
fn order_ids_used_again_after_a_restart() {
    is_noticed(Bug::IdsUsedAgain, 1, &["I1"]);
}

#[test]
fn a_ban_ignored() {
    // Drawn plans ban in one world of hundreds: these always do, and nothing else happens.
    let bans = |seed| Faults::none(seed).with(Rule::new(Fault::Banned, 20_000)).ending(MINUTE);
    is_noticed_in(Bug::BanIgnored, 0, &["I12"], |seed| Plan { faults: bans(seed), ..Plan::drawn(seed, MINUTE) });
}

#[test]
fn polling_without_a_budget() {
    is_noticed(Bug::PollsWithoutBudget, 0, &["I12"]);
}

#[test]
fn a_kill_command_not_heard() {
    is_noticed(Bug::KillIgnored, 3, &["I9"]);
}

#[test]
fn exposure_released_when_an_outcome_is_unknown() {
    is_noticed(Bug::UnknownReleased, 26, &["I2"]);
}

#[test]
fn exposure_released_when_a_cancel_is_sent() {
    is_noticed(Bug::CancelReleases, 1, &["I2"]);
}

#[test]
fn a_stop_that_looks_at_nothing() {
    is_noticed(Bug::StopsOnItsWord, 0, &["I9"]);
}

#[test]
fn doubts_that_nobody_asks_about() {
    // An order that nobody asks about may have traded.
    is_noticed(Bug::DoubtsForgotten, 1, &["I4", "I3"]);
}

#[test]
fn fees_not_booked() {
    is_noticed(Bug::FeesForgotten, 0, &["I16"]);
}

#[test]
fn a_fill_that_storage_forgets() {
    is_noticed(Bug::FillRowLost, 0, &["I10"]);
}

#[test]
fn a_fill_that_storage_writes_twice_after_a_restart() {
    is_noticed(Bug::FillRowTwice, 1, &["I10", "I3"]);
}

#[test]
fn a_disk_that_is_full_and_nobody_looks() {
    // Drawn plans fill the disk in one world of two dozen: these always do.
    let full = |seed| {
        let plan = Plan::drawn(seed, MINUTE);
        Plan { kills: Vec::new(), disk: Disk { full: Some(MINUTE / 4), ..plan.disk.clone() }, ..plan }
    };
    is_noticed_in(Bug::DiskTroubleIgnored, 0, &["I10"], full);
}

/// The disk, the process and the commands do nothing out of the ordinary.
fn calm(seed: u64) -> Plan {
    let plan = Plan::drawn(seed, MINUTE);
    Plan { kills: Vec::new(), halt: None, stalls: Vec::new(), disk: Disk::default(), ..plan }
}

#[test]
fn a_limit_of_all_symbols_that_nobody_keeps() {
    // Drawn plans trade two symbols in one world of five: these always do.
    let two = |seed| Plan { symbols: 2, ..calm(seed) };
    is_noticed_in(Bug::TotalIgnored, 0, &["I2"], two);
}

#[test]
fn a_countdown_that_was_never_wound() {
    // Frozen for longer than the countdown, with whatever is open then.
    let freeze = Stall { who: None, at: MINUTE / 4, span: MINUTE * 2 / 3 };
    is_noticed_in(Bug::CountdownNeverWound, 0, &["I9"], |seed| Plan { stalls: vec![freeze], ..calm(seed) });
}

#[test]
fn orders_that_leave_long_after_they_were_signed() {
    is_noticed_in(Bug::SignedTooEarly, 0, &["I13"], calm);
}

#[test]
fn a_world_that_a_bug_broke_is_made_small_and_breaks_the_same_rule() {
    let live = |plan: &Plan| run_with(plan, None, Some(Bug::UnknownTakenForRefused));
    let whole = |seed| Name { seed, minutes: 2, without: Vec::new() };
    let (name, broken) =
        (14..SEEDS).map(whole).find_map(|name| live(&name.plan()).err().map(|broken| (name, broken))).unwrap();
    let small = name.shrunk(&broken, live);
    let plan = small.plan();
    eprintln!("{name} → {small}");
    let again = live(&plan).expect_err("it breaks the rule still");
    assert_eq!(again.what.split(':').next(), broken.what.split(':').next());
    // What answers that an outcome is not known is all that it takes.
    assert!(plan.faults.rules().len() <= 2 && small.without.len() > 5, "{small}");
    assert!(small.minutes <= name.minutes && plan.kills.is_empty(), "{small}");
}

#[test]
fn no_bug_is_left_untested() {
    let tests = include_str!("planted.rs");
    for bug in Bug::ALL {
        assert!(tests.contains(&format!("(Bug::{bug:?},")), "{bug:?} has a test");
    }
}
