//! Recordings of several files: merged by local time, each judged by itself; and what `--out` may replace.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::path::PathBuf;

use common::{Scratch, check_order, import, read};
use optiflow_store::event::{Kind, Row};
use optiflow_store::import::{Format, Options, Report, Shift};

/// Unix time of the first line, ms.
const BEGUN_MS: u64 = 1_700_000_000_000;

/// A line received at so many ms; it happened 5 ms before.
fn line(at_ms: u64, json: &str) -> String {
    let exch = BEGUN_MS + at_ms - 5;
    format!("{} {}\n", (BEGUN_MS + at_ms) * 1_000_000, json.replace("@", &exch.to_string()))
}

fn trade(symbol: &str, at_ms: u64, is_aggregate: bool) -> String {
    let (event, id) = if is_aggregate { ("aggTrade", "a") } else { ("trade", "t") };
    let json = format!(r#"{{"e":"{event}","E":@,"T":@,"s":"{symbol}","{id}":{at_ms},"p":"1.5","q":"2","m":true}}"#);
    line(at_ms, &json)
}

fn depth(symbol: &str, at_ms: u64, id: u64) -> String {
    let before = id - 1;
    let levels = r#""b":[["1.5","2"]],"a":[]"#;
    let json = format!(r#"{{"e":"depthUpdate","E":@,"T":@,"s":"{symbol}","U":{id},"u":{id},"pu":{before},{levels}}}"#);
    line(at_ms, &json)
}

fn snapshot(at_ms: u64, id: u64) -> String {
    line(at_ms, &format!(r#"{{"lastUpdateId":{id},"E":@,"T":@,"bids":[["1.4","1"]],"asks":[["1.6","1"]]}}"#))
}

fn taken(scratch: &Scratch, files: &[(&str, String)]) -> (Report, Vec<Row>) {
    let paths: Vec<PathBuf> = files.iter().map(|(name, text)| scratch.file(name, text.as_bytes())).collect();
    let (report, store) = import(scratch, Format::Collector, &paths).unwrap();
    let rows = read(&[store]).unwrap();
    check_order(&rows);
    (report, rows)
}

fn refused(scratch: &Scratch, files: &[(&str, String)]) -> String {
    let paths: Vec<PathBuf> = files.iter().map(|(name, text)| scratch.file(name, text.as_bytes())).collect();
    let error = import(scratch, Format::Collector, &paths).unwrap_err().to_string();
    assert!(!scratch.names().iter().any(|name| name.starts_with("out.parquet")), "nothing is left behind");
    error
}

#[test]
fn files_of_two_symbols_at_the_same_time_make_one_store_in_any_order() {
    let scratch = Scratch::new("merged");
    // A minute of each, so that neither fits the window of the other.
    let of = |symbol: &str, odd: u64, from: u64| -> String {
        let snapshot = snapshot(1_000 + odd, from);
        let depths = (1..60).map(|at| depth(symbol, (at + 1) * 1_000 + odd, from + at));
        std::iter::once(snapshot).chain(depths).collect()
    };
    let later = |symbol: &str, id: u64| (60..90).map(|at| depth(symbol, (at + 1) * 1_000, id + at)).collect();
    let files = [
        ("ethusdt_2.txt", later("ETHUSDT", 900)),
        ("ethusdt_1.txt", of("ETHUSDT", 1, 900)),
        ("btcusdt_1.txt", of("BTCUSDT", 0, 50)),
    ];
    let (report, rows) = taken(&scratch, &files);
    assert_eq!((report.heard.depth, report.heard.snapshots), (148, 2));
    assert_eq!((report.gaps, report.stale, report.bare_snapshots, report.order.late), (0, 0, 0, 0));
    assert_eq!((report.lines, report.lines_passed_over), (150, 0));
    let names: Vec<&str> = report.symbols.iter().map(|info| info.name.as_str()).collect();
    assert_eq!(names, ["BTCUSDT", "ETHUSDT"]);
    assert_eq!((report.span.1.0 - report.span.0.0) / 1_000_000, 89_000);
    assert_eq!(report.kinds.iter().sum::<u64>(), report.rows);
    assert_eq!((report.kinds[Kind::Depth as usize], report.kinds[Kind::Snapshot as usize]), (148, 4));
    let symbols: Vec<u16> = rows.iter().filter(|row| row.kind == Kind::Clear).map(|row| row.symbol.0).collect();
    assert_eq!(symbols, [0, 1], "each snapshot is of its file's symbol");
}

#[test]
fn a_snapshot_in_a_file_of_two_symbols_is_dropped_and_counted() {
    let scratch = Scratch::new("bare");
    let text = [snapshot(10, 5), depth("AUSDT", 20, 6), depth("BUSDT", 30, 9)].concat();
    let (report, _) = taken(&scratch, &[("a.txt", text)]);
    assert_eq!((report.bare_snapshots, report.heard.snapshots, report.heard.depth), (1, 0, 2));
}

#[test]
fn single_trades_are_preferred_to_aggregates_file_by_file() {
    let scratch = Scratch::new("trades");
    let aggregates = |from: u64| (from..from + 100).map(|at| trade("AUSDT", at * 10, true)).collect::<String>();
    let both = |from: u64| {
        (from..from + 100)
            .map(|at| trade("AUSDT", at * 10, true) + &trade("AUSDT", at * 10 + 1, false))
            .collect::<String>()
    };
    for (first, second) in [(aggregates(1), both(1_000)), (both(1), aggregates(1_000))] {
        let (report, _) = taken(&scratch, &[("a.txt", first), ("b.txt", second)]);
        assert_eq!((report.heard.trades, report.heard.passed_over), (200, 100));
    }
    let late: String = (1..20_100).map(|at| trade("AUSDT", at * 10, true)).collect::<String>() + &both(30_000);
    let (report, _) = taken(&scratch, &[("a.txt", late.clone())]);
    assert_eq!((report.heard.trades, report.heard.passed_over), (100, 20_199), "the first one is far down");
    let path = scratch.file("a.txt", late.as_bytes());
    let options = Options { shift: Shift::By(0), ..Options::default() };
    let out = scratch.path("out.parquet");
    let report = optiflow_store::import::import(Format::Collector, &[path], &out, &options, &mut |_| {}).unwrap();
    assert_eq!(report.heard.trades, 100, "with a fixed shift too");
}

#[test]
fn the_same_stream_twice_at_the_same_time_is_refused() {
    let scratch = Scratch::new("twice");
    let trades =
        |symbol: &str, from: u64| (from..from + 60).map(|at| trade(symbol, at * 1_000, true)).collect::<String>();
    let files = |from: u64| [("a.txt", trades("AUSDT", 1)), ("b.txt", trades("AUSDT", from))];
    let error = refused(&scratch, &files(31));
    assert!(error.contains("b.txt: holds trades of AUSDT that "), "{error}");
    assert!(error.contains("a.txt holds too, for 29 s: it would count twice; leave one of them out"), "{error}");
    taken(&scratch, &files(55));
    let depths = (1..60).map(|at| depth("AUSDT", at * 1_000, at)).collect();
    let (report, _) = taken(&scratch, &[("a.txt", trades("AUSDT", 1)), ("b.txt", depths)]);
    assert_eq!((report.heard.trades, report.heard.depth), (60, 59), "another stream is no harm");
}

#[test]
fn an_absurd_exchange_time_is_named_and_moves_nothing() {
    let scratch = Scratch::new("absurd");
    let far = BEGUN_MS + 30 * 86_400_000;
    let mut lines: Vec<String> = (1..50).map(|at| trade("AUSDT", at * 10, true)).collect();
    lines[7] = trade("AUSDT", 80, true).replace(&format!("{}", BEGUN_MS + 75), &far.to_string());
    let error = refused(&scratch, &[("a.txt", lines.concat())]);
    assert!(error.contains("a.txt, line 8: cannot be read: the exchange's time is 2591999 s ahead"), "{error}");
    assert!(error.contains("delete the line"), "{error}");
    // A recorder whose clock is an hour behind is another matter.
    let behind: String = (1..50).map(|at| trade("AUSDT", at * 10, true)).collect();
    let behind = behind.replace(&format!("\n{}", BEGUN_MS / 1_000_000), &format!("\n{}", BEGUN_MS / 1_000_000 - 4));
    let behind = behind.split_once('\n').unwrap().1.to_owned();
    let (report, rows) = taken(&scratch, &[("a.txt", behind)]);
    assert_eq!((report.shift_ns, report.rows), (4_000_000_000_000 - 5_000_000, 48));
    assert!(rows.iter().all(|row| row.local >= row.exch));
}

#[test]
fn a_book_goes_on_after_the_exchange_began_its_ids_anew() {
    let scratch = Scratch::new("anew");
    let from = |at_ms: u64, id: u64| -> String {
        let diffs = (0..20).map(|at| depth("AUSDT", at_ms + 2 + at, id + 1 + at));
        std::iter::once(snapshot(at_ms + 1, id)).chain(diffs).collect()
    };
    let (report, rows) = taken(&scratch, &[("ausdt_1.txt", from(10, 5_000)), ("ausdt_2.txt", from(60_000, 100))]);
    assert_eq!((report.gaps, report.stale, report.heard.snapshots), (1, 0, 2));
    let count = |kind: Kind| rows.iter().filter(|row| row.kind == kind).count();
    assert_eq!((count(Kind::Depth), count(Kind::Clear)), (40, 2));
}

#[test]
fn an_input_by_another_name_and_whatever_is_no_store_are_not_replaced() {
    let scratch = Scratch::new("replaced");
    let text = trade("AUSDT", 10, true);
    let path = scratch.file("a.txt", text.as_bytes());
    let link = scratch.path("link.txt");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let run = |input: &PathBuf, out: &PathBuf| {
        let options = Options::default();
        optiflow_store::import::import(Format::Collector, std::slice::from_ref(input), out, &options, &mut |_| {})
    };
    let folder = path.parent().unwrap().file_name().unwrap();
    let roundabout = scratch.path("..").join(folder).join("a.txt");
    for (input, out) in [(&path, &roundabout), (&link, &path), (&path, &link), (&roundabout, &path)] {
        let error = run(input, out).unwrap_err().to_string();
        assert!(error.contains("is also an input"), "{error}");
    }
    let other = scratch.file("notes.txt", b"of years");
    let error = run(&path, &other).unwrap_err().to_string();
    assert!(error.contains("notes.txt: is there and is no Parquet file; give another `--out`"), "{error}");
    assert_eq!(
        (fs::read_to_string(&path).unwrap(), fs::read_to_string(&other).unwrap()),
        (text, "of years".to_owned())
    );
    assert_eq!(scratch.names(), ["a.txt", "link.txt", "notes.txt"]);
    let out = scratch.path("out.parquet");
    run(&path, &out).unwrap();
    run(&path, &out).expect("an older store is replaced");
}

#[test]
fn a_store_that_another_import_is_writing_is_left_to_it() {
    let scratch = Scratch::new("partial");
    let path = scratch.file("a.txt", trade("AUSDT", 10, true).as_bytes());
    let partial = scratch.file("out.parquet.partial", b"half");
    let error = import(&scratch, Format::Collector, &[path]).unwrap_err().to_string();
    assert!(error.contains("out.parquet.partial: is there: another import is writing it"), "{error}");
    assert_eq!(fs::read(partial).unwrap(), b"half");
}
