//! `scalping_v1` through the stages over a real recording, imported as a user imports it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stages_common;

use std::path::{Path, PathBuf};
use std::time::Duration;

use optiflow_backtest::stages::{End, run};
use optiflow_base::money::{Notional, Qty};
use optiflow_store::blocks::Blocks;
use optiflow_store::import::{Format, Options, import};
use stages_common::{Notes, START_WALLET, config, constant, go, lane, listing, scalping, shared};

/// The shared recordings, which lie outside the repository.
fn recording() -> Option<Vec<PathBuf>> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    let folder = PathBuf::from(std::env::var("OPTIFLOW_SHARED").unwrap_or(default.to_owned())).join("data/usdm");
    if !folder.is_dir() {
        eprintln!("skipped: no {}; set OPTIFLOW_SHARED", folder.display());
        return None;
    }
    Some(["ethusdt_20240718.gz", "ethusdt_20240719.gz"].map(|name| folder.join(name)).to_vec())
}

#[test]
fn a_recording_is_scalped_the_same_from_file_and_from_memory() {
    let Some(files) = recording() else { return };
    let store = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("stages-{}.parquet", std::process::id()));
    import(Format::Collector, &files, &store, &Options::default(), &mut |_| {}).unwrap();
    let built = || {
        let mut config = config(vec![listing("ETHUSDT")], constant(4_000_000, 2_000_000), |_| scalping());
        config.run_for = Some(SPAN);
        config
    };
    let open = || Blocks::open(std::slice::from_ref(&store), None).unwrap();
    let (outcome, notes) = go(built(), lane(Box::new(open()), 1));
    let rows = open().into_rows().unwrap().into();
    std::fs::remove_file(&store).unwrap();

    assert_eq!(run(built(), shared(&rows, 1), &mut Notes::default()).unwrap().hash, outcome.hash);
    assert_eq!((outcome.end, outcome.open_orders), (End::TimeUp, 0));
    assert!(notes.fills.len() > 3, "{} fills of {} answers", notes.fills.len(), notes.answers.len());
    let held: Qty = notes.fills.iter().map(|fill| fill.order.side.signed(fill.qty)).sum();
    let earned: Notional = notes.fills.iter().map(|fill| fill.realized - fill.fee).sum();
    assert_eq!(outcome.symbols[0].position, held);
    assert_eq!(outcome.wallet, Notional::from_units(START_WALLET) + earned);
    assert!(notes.fills.iter().all(|fill| fill.exch >= fill.arrived), "no fill before arrival");
    eprintln!(
        "ETHUSDT: {} rows, {} answers, {} fills, equity {}",
        outcome.rows,
        notes.answers.len(),
        notes.fills.len(),
        outcome.equity
    );
}

/// Of eight minutes: enough trades, and no long wait without optimisation.
const SPAN: Duration = Duration::from_secs(270);
