//! The shared recordings: everything in them arrives, in order on both clocks, and makes the true book.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::BTreeMap;
use std::fs;

use common::{Scratch, check_order, import, read, shared};
use optiflow_base::decimal::write_trimmed;
use optiflow_base::money::Side;
use optiflow_store::event::{Kind, Row};
use optiflow_store::import::{Format, Heard, Report};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Imports files of `data/usdm` as one recording.
fn imported(scratch: &Scratch, test: &str, files: &[&str]) -> Option<(Report, Vec<Row>)> {
    let usdm = shared(test)?.join("data/usdm");
    let paths: Vec<_> = files.iter().map(|file| usdm.join(file)).collect();
    let (report, store) = import(scratch, Format::Collector, &paths).unwrap();
    eprintln!("{files:?}: {report:?}");
    Some((report, read(&[store]).unwrap()))
}

#[test]
fn the_recording_of_btcusdt_is_stored_whole() {
    let files = ["btcusdt_20230404.dat.gz", "btcusdt_20230405.dat.gz"];
    let scratch = Scratch::new("btcusdt");
    let Some((report, rows)) = imported(&scratch, "btcusdt", &files) else { return };
    // One of the 12,935 trades is with the insurance fund.
    assert_eq!((report.stale, report.lines_passed_over), (0, 1));
    let heard = Heard { depth: 16_110, trades: 12_934, tops: 44_205, marks: 514, snapshots: 1, passed_over: 0 };
    check(&report, &rows, heard, "BTCUSDT 0.1 0.001");
    check_book(&rows, "btcusdt_20230404-05");
}

#[test]
fn the_recording_of_ethusdt_is_stored_whole() {
    let files = ["ethusdt_20240718.gz", "ethusdt_20240719.gz"];
    let scratch = Scratch::new("ethusdt");
    let Some((report, rows)) = imported(&scratch, "ethusdt", &files) else { return };
    let heard = Heard { depth: 8_929, trades: 13_655, tops: 47_328, marks: 0, snapshots: 1, passed_over: 0 };
    assert_eq!((report.stale, report.lines_passed_over), (5, 0));
    assert!((1_270_000_000..1_530_000_000).contains(&report.shift_ns), "the recorder ran behind");
    check(&report, &rows, heard, "ETHUSDT 0.01 0.001");
    check_book(&rows, "ethusdt_20240718-19");
}

#[test]
fn a_recording_without_a_snapshot_is_stored_as_it_is() {
    let scratch = Scratch::new("half");
    let Some((report, rows)) = imported(&scratch, "half", &["btcusdt_20230405.dat.gz"]) else { return };
    assert_eq!((report.heard.depth, report.heard.snapshots, report.gaps, report.stale), (11_788, 0, 0, 0));
    check_order(&rows);
}

#[test]
fn a_recording_of_spot_gets_the_exchange_times_it_lacks() {
    let Some(shared) = shared("spot") else { return };
    let scratch = Scratch::new("spot");
    let path = shared.join("data/spot/spot_btcusdt_20240808.gz");
    let (report, store) = import(&scratch, Format::Collector, &[path]).unwrap();
    eprintln!("{report:?}");
    let heard = report.heard;
    assert_eq!((heard.depth, heard.trades, heard.tops + heard.passed_over), (3_451, 9_757, 28_040));
    assert_eq!((heard.snapshots, report.gaps), (1, 0));
    let rows = read(&[store]).unwrap();
    check_order(&rows);
    assert!(rows.iter().all(|row| row.local >= row.exch));
}

fn check(report: &Report, rows: &[Row], heard: Heard, symbol: &str) {
    assert_eq!(report.heard, heard);
    assert_eq!((report.gaps, report.order.late), (0, 0));
    assert_eq!(report.rows, rows.len() as u64);
    let [info] = report.symbols.as_slice() else { panic!("{:?}", report.symbols) };
    assert_eq!(format!("{} {} {}", info.name, info.tick, info.lot), symbol);
    check_order(rows);
    assert!(rows.iter().all(|row| row.local >= row.exch), "nothing is received before it happens");
    assert!(rows.iter().any(|row| row.local == row.exch), "times are moved no further than needed");
    for is_on in [Row::on_exch as fn(&Row) -> bool, Row::on_local] {
        let count = |kind: Kind| rows.iter().filter(|row| is_on(row) && row.kind == kind).count() as u64;
        assert_eq!(count(Kind::Trade), heard.trades);
        assert_eq!(count(Kind::Top), 2 * heard.tops);
        assert_eq!([Kind::Mark, Kind::Index, Kind::Funding].map(count), [heard.marks; 3]);
        assert_eq!((count(Kind::Clear), count(Kind::Snapshot) > 1000), (heard.snapshots, true));
        let on: Vec<&Row> = rows.iter().filter(|row| is_on(row)).collect();
        let belongs = |pair: &&[&Row]| !pair[0].more() || (pair[0].id, pair[0].exch) == (pair[1].id, pair[1].exch);
        let pairs = on.windows(2).filter(|pair| pair[0].kind != Kind::Index && pair[1].kind != Kind::Funding);
        let (whole, all) = pairs.fold((0, 0), |(whole, all), pair| (whole + usize::from(belongs(&pair)), all + 1));
        assert_eq!(whole, all, "the rows of a message stay together on each clock");
    }
}

/// Plays the rows on each clock into a plain book and compares it with every checkpoint of the golden file.
fn check_book(rows: &[Row], golden: &str) {
    let Some(shared) = shared("golden book") else { return };
    let text = fs::read_to_string(shared.join(format!("data/usdm/golden_book_{golden}.jsonl"))).unwrap();
    for is_on in [Row::on_exch as fn(&Row) -> bool, Row::on_local] {
        let mut checkpoints = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).peekable();
        let mut sides = [BTreeMap::new(), BTreeMap::new()];
        let mut compared = 0;
        for row in rows.iter().filter(|row| is_on(row)) {
            match (row.kind, row.side) {
                (Kind::Clear, None) => sides = [BTreeMap::new(), BTreeMap::new()],
                (Kind::Depth | Kind::Snapshot, Some(side)) if row.qty.is_zero() => {
                    sides[side as usize].remove(&row.price);
                }
                (Kind::Depth | Kind::Snapshot, Some(side)) => {
                    sides[side as usize].insert(row.price, row.qty);
                }
                _ => continue,
            }
            let is_whole = row.kind == Kind::Depth && !row.more();
            if is_whole && let Some(checkpoint) = checkpoints.next_if(|checkpoint| checkpoint["u"] == row.id) {
                let joined = |side: Side| -> String {
                    let level = |(price, qty): (&optiflow_base::money::Price, &optiflow_base::money::Qty)| {
                        format!("{}:{}", write_trimmed(price.units()), write_trimmed(qty.units()))
                    };
                    let levels = sides[side as usize].iter().map(level);
                    let levels: Vec<String> = if side == Side::Buy { levels.rev().collect() } else { levels.collect() };
                    levels.join(",")
                };
                let text = format!("B{}|A{}", joined(Side::Buy), joined(Side::Sell));
                let hash: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(hash, checkpoint["sha256"].as_str().unwrap(), "at {}", checkpoint["applied"]);
                compared += 1;
            }
        }
        assert!(checkpoints.next().is_none(), "every checkpoint was met");
        assert!(compared > 30);
        eprintln!("{golden}: {compared} checkpoints equal");
    }
}
