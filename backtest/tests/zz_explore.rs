#![allow(missing_docs, clippy::unwrap_used)]
use optiflow_backtest::seeds::plan::Plan;
use optiflow_backtest::seeds::run::run_with;
use std::time::Duration;
fn env(k: &str, d: u64) -> u64 {
    std::env::var(k).ok().and_then(|t| t.parse().ok()).unwrap_or(d)
}
#[test]
fn explore() {
    let (from, n, secs) = (env("SEED", 0), env("N", 20), env("SECS", 60));
    let (mut bad, mut lived, mut acc, mut fills, mut faults, mut books, mut slow) = (0, 0.0, 0, 0, 0, 0, Duration::ZERO);
    let t0 = std::time::Instant::now();
    for seed in from..from + n {
        match run_with(&Plan::drawn(seed, Duration::from_secs(secs)), None, None) {
            Ok(t) => {
                lived += t.lived.as_secs_f64() / 3600.0;
                acc += t.accepted; fills += t.fills; faults += t.faults.values().sum::<u64>(); books += t.books;
                slow = slow.max(t.converged);
            }
            Err(b) => {
                bad += 1;
                eprintln!("{seed}: at {:?}: {}", b.at, b.what);
                if std::env::var("TRAIL").is_ok() {
                    for l in b.trail.iter().rev() { eprintln!("   {l}"); }
                }
            }
        }
    }
    let el = t0.elapsed().as_secs_f64();
    eprintln!("{n} from {from}: bad {bad} lived {lived:.2} h acc {acc} fills {fills} faults {faults} books {books} slow {slow:?} in {el:.1}s = {:.2} s/h", el / lived);
}
