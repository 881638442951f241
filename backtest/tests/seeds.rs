//! Seeded fault worlds: what must always hold, holds.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use optiflow_backtest::seeds::plan::Plan;
use optiflow_backtest::seeds::run::run;

#[test]
fn drawn_worlds_keep_every_rule() {
    let from: u64 = std::env::var("SEED").ok().and_then(|t| t.parse().ok()).unwrap_or(0);
    let n: u64 = std::env::var("N").ok().and_then(|t| t.parse().ok()).unwrap_or(20);
    let mut bad = 0;
    for seed in from..from + n {
        let started = std::time::Instant::now();
        match run(&Plan::drawn(seed, Duration::from_secs(60)), None) {
            Ok(t) => eprintln!(
                "{seed}: ok {:?} accepted {} fills {} kills {} converged {:?} {:x}",
                started.elapsed(),
                t.accepted,
                t.fills,
                t.kills,
                t.converged,
                t.hash
            ),
            Err(b) => {
                bad += 1;
                eprintln!("{seed}: {:?} at {:?}: {}", started.elapsed(), b.at, b.what);
                if std::env::var("TRAIL").is_ok() {
                    for l in b.trail.iter().rev() {
                        eprintln!("   {l}");
                    }
                }
            }
        }
    }
    assert_eq!(bad, 0);
}
