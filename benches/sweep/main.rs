//! How a sweep scales: runs per second on one thread, on two, and on every core, the same market in memory.
//!
//! Makes its own market (seeded, a day of depth and trades) and writes it as an event store; then runs the same grid by
//! `optiflow sweep`'s own code with one thread and with more, in turn, round by round, and prints the ratio of each pair.
//! Wall time, so it says the truth only on a machine that does nothing else; beside it the CPU time of a run on one thread
//! and on more, which says what threads cost each other even where others take their cores. Reading the data and writing
//! the tables are not in it.

#[path = "../replay/market.rs"]
mod market;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::thread;

use clap::Parser;
use optiflow::cli::{Cli, Command, SweepArgs};
use optiflow::sweep::command::{Report, sweep};
use optiflow_base::clock::Nanos;
use optiflow_base::money::{Price, Qty, Side};
use optiflow_sim::replay::rows::{Kind, Row};
use optiflow_store::event::{Flags, Kind as StoredKind, Row as StoredRow};
use optiflow_store::writer::Writer;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("optiflow-bench-sweep-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let measured = measure(&folder);
    fs::remove_dir_all(&folder)?;
    measured
}

fn measure(folder: &Path) -> Result<(), Box<dyn Error>> {
    let store = folder.join("BTCUSDT.parquet");
    write(&store, &market::day(SEED)?)?;
    let cores = thread::available_parallelism()?.get();
    let mut counts = vec![2, cores];
    counts.dedup();
    for jobs in counts.into_iter().filter(|jobs| *jobs <= cores && *jobs > 1) {
        let mut ratios = Vec::new();
        for round in 0..ROUNDS {
            let one = run(&store, &folder.join(format!("{jobs}-{round}-one")), 1)?;
            let many = run(&store, &folder.join(format!("{jobs}-{round}-many")), jobs)?;
            let ratio = many.runs_per_second / one.runs_per_second;
            let cpu = |report: &Report| report.cpu_seconds / report.runs as f64;
            println!(
                "round {round}: {:.3} runs/s on 1 thread ({:.1} M rows/s), {:.3} on {jobs} ({:.1} M rows/s): x {ratio:.3}; a run took {:.3} and {:.3} CPU s",
                one.runs_per_second,
                one.rows_per_second / 1e6,
                many.runs_per_second,
                many.rows_per_second / 1e6,
                cpu(&one),
                cpu(&many)
            );
            ratios.push(ratio);
        }
        ratios.sort_by(f64::total_cmp);
        let (least, median, most) = (ratios[0], ratios[ROUNDS / 2], ratios[ROUNDS - 1]);
        println!("{jobs} threads: x {median:.3} ({least:.3} to {most:.3} over {ROUNDS} rounds)");
    }
    Ok(())
}

fn run(store: &Path, out: &Path, jobs: usize) -> Result<Report, Box<dyn Error>> {
    let (store, out, jobs) = (store.display().to_string(), out.display().to_string(), jobs.to_string());
    let sweep_args = ["optiflow", "sweep", "--data", &store, "--out", &out, "--jobs", &jobs, "--grid", GRID];
    let report = sweep(&parsed(&sweep_args)?)?;
    assert_eq!((report.runs, report.skipped), (RUNS, 0), "every run is made");
    Ok(report)
}

fn parsed(words: &[&str]) -> Result<SweepArgs, Box<dyn Error>> {
    match Cli::try_parse_from(words)?.command {
        Some(Command::Sweep(args)) => Ok(args),
        Some(_) | None => Err("no sweep".into()),
    }
}

/// The rows of the market as an event store.
fn write(path: &Path, rows: &[Row]) -> Result<(), Box<dyn Error>> {
    let mut writer = Writer::create(path, "bench")?;
    let symbol = writer.symbol("BTCUSDT")?;
    let scale = market::scale();
    for row in rows {
        let kind = if row.kind() == Kind::Trade { StoredKind::Trade } else { StoredKind::Depth };
        assert!(matches!(row.kind(), Kind::Trade | Kind::Depth), "the market is made of depth and trades");
        let flags = match (row.at_exchange(), row.at_local()) {
            (true, true) => Flags::BOTH,
            (true, false) => Flags::EXCH,
            (false, _) => Flags::LOCAL,
        };
        let (exch, local) = (Nanos(row.exchange_ns().try_into()?), Nanos(row.local_ns().try_into()?));
        let (price, qty, side): (Price, Qty, Option<Side>) =
            (scale.price(row.tick()), scale.qty(row.parts()), Some(row.side()));
        writer.push(StoredRow { exch, local, price, qty, id: 0, symbol, kind, side, flags })?;
    }
    writer.finish()?;
    Ok(())
}

const SEED: u64 = 7;
const ROUNDS: usize = 5;
const RUNS: usize = 8;
const GRID: &str = "strategy.levels=4..18:2";
