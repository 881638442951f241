//! Seeded fault worlds: what must always hold, holds.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use optiflow_backtest::seeds::plan::Plan;
use optiflow_backtest::seeds::run::{Broken, Tally, run};

const KEPT: &str = include_str!("../seeds.txt");
const MINUTE: Duration = Duration::from_secs(60);

fn live(seed: u64, span: Duration) -> Result<Tally, Broken> {
    run(&Plan::drawn(seed, span), None)
}

fn told(broken: &Broken) -> String {
    let trail: Vec<&str> = broken.trail.iter().rev().map(String::as_str).collect();
    format!("seed {} at {:?}: {}\n{}", broken.seed, broken.at, broken.what, trail.join("\n"))
}

#[test]
fn drawn_worlds_keep_every_rule() {
    let lived: Vec<Tally> =
        (0..SEEDS).map(|seed| live(seed, MINUTE).unwrap_or_else(|b| panic!("{}", told(&b)))).collect();
    let sum = |count: fn(&Tally) -> u64| lived.iter().map(count).sum::<u64>();
    let faults = sum(|tally| tally.faults.values().sum());
    let (orders, fills, books) = (sum(|tally| tally.accepted), sum(|tally| tally.fills), sum(|tally| tally.books));
    eprintln!("{SEEDS} worlds: {orders} orders, {fills} fills, {faults} faults, {books} books compared");
    assert!(orders > 5 * SEEDS && fills > SEEDS && faults > SEEDS && books > 100 * SEEDS, "they are not idle");
    assert!(sum(|tally| tally.kills) > SEEDS / 4 && sum(|tally| tally.halts) > 0);
}

#[test]
fn worlds_that_once_broke_a_rule_keep_them_all() {
    for line in KEPT.lines().filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty()) {
        let (seed, minutes) = line.trim().split_once(' ').unwrap();
        let minutes: u32 = minutes.trim().parse().unwrap();
        let plan = Plan::drawn(seed.parse().unwrap(), MINUTE * minutes);
        // The oldest broke their rules when no world was quiet.
        for plan in [plan.clone().bustling(), plan] {
            run(&plan, None).unwrap_or_else(|broken| panic!("{}", told(&broken)));
        }
    }
}

#[test]
fn the_same_seed_lives_the_same_world() {
    for seed in [3, 8, 13] {
        let [one, two] = [(); 2].map(|()| live(seed, MINUTE).unwrap());
        assert_eq!((one.hash, one.accepted, one.lived), (two.hash, two.accepted, two.lived), "I15: seed {seed}");
        assert!(one.accepted > 0, "seed {seed} is no witness");
    }
    assert_ne!(live(3, MINUTE).unwrap().hash, live(8, MINUTE).unwrap().hash);
}

/// As many as a debug build lives in half a minute.
const SEEDS: u64 = 40;
