//! `optiflow backtest` and `optiflow import` as programs: against the recorded oracle, over real recordings, on bad input.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use optiflow::config::terms::TermsConfig;
use optiflow_base::clock::Nanos;
use optiflow_base::money::Side;
use optiflow_sim::replay::feed::Feed;
use optiflow_sim::replay::grid::{Grid, GridConfig};
use optiflow_sim::replay::latency::Latency;
use optiflow_sim::replay::queue::QueueModel;
use optiflow_sim::replay::rows::{Kind, MarketRow, arrange};
use optiflow_sim::replay::{ReplayConfig, Scale, run};
use optiflow_store::event::{Flags, Kind as StoredKind, Row};
use optiflow_store::writer::Writer;
use serde_json::Value;
use support::{Folder, Said, optiflow, shared};

/// The peer's bug: a larger modify keeps the old quantity.
const LARGER_MODIFY: &str = "modify_qty_up";

#[test]
fn fills_are_the_oracles_in_compatible_mode() {
    let Some(oracle) = shared("oracle") else { return };
    let folder = Folder::new("oracle");
    let mut compared = 0;
    for line in fs::read_to_string(oracle.join("expected.jsonl")).unwrap().lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let name = case["case"].as_str().unwrap();
        let is_wanted = name.contains("__risk__") || name.starts_with("small_hold__power33");
        if !is_wanted || name.starts_with(LARGER_MODIFY) {
            continue;
        }
        let out = folder.path(name);
        let said = backtest_case(&oracle, &case, &out);
        assert_eq!(said.code, 0, "{name}: {}", said.err);
        let (ours, theirs) = (fills(&out), expected_fills(&case));
        let takes_in_pieces = ours.iter().any(|fill| fill.ends_with("false"));
        if case["exchange"] == "partial" && (!case["abort"].is_null() || takes_in_pieces) {
            // The peer loses executions of partial fills; what it did report must be among ours.
            assert!(theirs.iter().all(|fill| ours.contains(fill)), "{name}: {ours:#?}\n{theirs:#?}");
            continue;
        }
        assert_eq!(ours, theirs, "{name}");
        let position: f64 = ours.iter().map(|fill| signed_qty(fill)).sum();
        assert!((said.json()["position"].as_f64().unwrap() - position).abs() < 1e-9, "{name}: position is Σ fills");
        assert_eq!(said.json()["fills"], ours.len(), "{name}");
        compared += 1;
    }
    assert!(compared >= 40, "{compared} cases were equal");
}

#[test]
fn the_grid_trades_here_as_it_does_in_memory_and_from_either_format() {
    let Some(oracle) = shared("oracle") else { return };
    let (folder, npz) = (Folder::new("grid"), oracle.join("feed/small.npz"));
    let npz = npz.to_str().unwrap();
    let store = folder.path("small.parquet");
    let imported = optiflow(&["import", "hftbacktest", npz, "--out", &store, "--json"]);
    assert_eq!(imported.code, 0, "{}", imported.err);
    let model = ["--queue", "power3:3", "--latency", "5000000:3000000", "--maker-fee", "-0.5bps", "--json"];
    let hash = |data: &[&str], more: &[&str]| {
        let said = optiflow(&[&["backtest", "--data"][..], data, &model, more].concat());
        assert_eq!(said.code, 0, "{}", said.err);
        let summary = said.json();
        assert_eq!(summary["rows"], imported.json()["rows"]);
        assert!(summary["fills"].as_u64().unwrap() > 0, "{summary:#}");
        summary["event_log_hash"].as_str().unwrap().to_owned()
    };
    for compatible in [true, false] {
        let rules = format!("--compatible={compatible}");
        let (a, b) = (folder.path("a"), folder.path("b"));
        let from_npz = hash(&[npz], &["--tick", "0.1", "--lot", "0.001", &rules, "--out", &a]);
        let from_store = hash(&[&store], &[&rules, "--out", &b]);
        assert_eq!(from_npz, from_store, "the store's own tick and lot are the market's");
        for table in ["orders.csv", "fills.csv", "equity.csv"] {
            let read = |folder: &str| fs::read(Path::new(folder).join(table)).unwrap();
            assert!(read(&a) == read(&b), "{table} differs");
        }
        assert_eq!(from_npz, format!("{:016x}", grid_in_memory(&oracle, compatible)), "compatible {compatible}");
    }
}

#[test]
fn a_recording_is_imported_and_traded() {
    let Some(data) = shared("data/usdm") else { return };
    let folder = Folder::new("recording");
    let store = folder.path("eth.parquet");
    let files = ["ethusdt_20240718.gz", "ethusdt_20240719.gz"].map(|name| data.join(name).display().to_string());
    let imported = optiflow(&["import", "collector", &files[0], &files[1], "--out", &store, "--json"]);
    assert_eq!(imported.code, 0, "{}", imported.err);
    let report = imported.json();
    assert_eq!((&report["symbols"][0]["name"], &report["gaps"]), (&"ETHUSDT".into(), &0.into()), "{report:#}");
    let run = |strategy: &str, out: &str| {
        let said =
            optiflow(&["backtest", "--data", &store, "--strategy", strategy, "--out", &folder.path(out), "--json"]);
        assert_eq!(said.code, 0, "{}", said.err);
        said.json()
    };
    let (one, two, idle) = (run("grid", "one"), run("grid", "two"), run("none", "idle"));
    assert_eq!(one["rows"], report["rows"]);
    assert_eq!(one["event_log_hash"], two["event_log_hash"], "equal inputs, equal hashes");
    assert!(one["fills"].as_u64().unwrap() > 0, "{one:#}");
    assert_eq!((&idle["answers"], &idle["fills"]), (&0.into(), &0.into()));
    let equity = fs::read_to_string(folder.path("one/equity.csv")).unwrap();
    assert!((400..600).contains(&equity.lines().count()), "a row a second of 480 s");
    let last: Vec<&str> = equity.lines().last().unwrap().split(',').collect();
    assert_eq!(last[2].parse::<f64>().unwrap(), one["position"].as_f64().unwrap());
    assert!((last[5].parse::<f64>().unwrap() - one["equity"].as_f64().unwrap()).abs() < 1e-6);
}

#[test]
fn bad_data_is_named_with_its_row_and_leaves_nothing_behind() {
    let folder = Folder::new("bad");
    let unsorted = folder.path("unsorted.npy");
    fs::write(&unsorted, array(&[(5, 60.1), (6, 60.1), (4, 60.1)])).unwrap();
    let off_grid = folder.path("off.npy");
    fs::write(&off_grid, array(&[(5, 60.1), (6, 60.15)])).unwrap();
    let cut = folder.path("cut.npy");
    let whole = array(&[(5, 60.1), (6, 60.1)]);
    fs::write(&cut, &whole[..whole.len() - 40]).unwrap();
    let (empty, no_rows) = (folder.path("empty.npz"), folder.path("none.npy"));
    fs::write(&empty, "").unwrap();
    fs::write(&no_rows, array(&[])).unwrap();
    let damaged = damaged_store(&folder);
    let (hole, endless) = (folder.path("hole.npy"), folder.path("endless.npy"));
    fs::write(&hole, array(&[(0, 60.1), (1_700_000_000_000_000_000, 60.1)])).unwrap();
    fs::write(&endless, array(&[(i64::MAX - 1, 60.1)])).unwrap();
    let out = folder.path("out");
    for (path, code, says) in [
        (&unsorted, 1, "row 2: is not sorted"),
        (&off_grid, 1, "row 1 of the data: the price 60.15 is not a multiple of the tick 0.1"),
        (&cut, 1, "cut off"),
        (&empty, 1, "holds no event"),
        (&no_rows, 1, "holds no event"),
        (&hole, 1, "row 1 of the data: it comes 19675 days after the row before it"),
        (&endless, 1, "is beyond the year 2252"),
        (&damaged, 1, "row group 0 (rows 0 to 99)"),
        (&folder.path("missing.npz"), 2, "cannot open"),
    ] {
        let said = optiflow(&["backtest", "--data", path, "--tick", "0.1", "--lot", "0.001", "--out", &out]);
        assert_eq!(said.code, code, "{path}: {}", said.err);
        assert!(said.err.contains(says), "{path}: {}", said.err);
        let left = fs::read_dir(&out).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{path} left something behind");
    }
    let said = optiflow(&["import", "hftbacktest", &unsorted, "--out", &folder.path("x.parquet")]);
    assert!(said.code == 1 && said.err.contains("row 2"), "{}", said.err);
    assert!(!Path::new(&folder.path("x.parquet")).exists());
}

#[test]
fn years_without_a_row_are_passed_over() {
    let folder = Folder::new("years");
    let store = folder.path("years.parquet");
    let second = 1_000_000_000;
    let years = 6 * 365 * 86_400 * second;
    write_store_at(&store, &["AUSDT"], |turn| (1_600_000_000 + turn) * second + if turn < 50 { 0 } else { years });
    let (begun, out) = (Instant::now(), folder.path("out"));
    let grid = ["--strategy", "grid", "--tick", "0.1", "--lot", "0.001", "--out", &out, "--json"];
    let said = optiflow(&[&["backtest", "--data", &store][..], &grid].concat());
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.json()["answers"].as_u64().unwrap() > 0, "orders rest all the while");
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[test]
fn wrong_requests_say_what_to_give() {
    let folder = Folder::new("requests");
    let (plain, several) = (folder.path("plain.npy"), folder.path("several.parquet"));
    fs::write(&plain, array(&[(5, 60.1), (6, 60.2)])).unwrap();
    write_store(&several, &["AUSDT", "BUSDT"]);
    let config = folder.path("c.toml");
    fs::write(&config, "[backtest]\nqueue = \"fast\"\ntik = \"1\"\n").unwrap();
    let scale = ["--tick", "0.1", "--lot", "0.001"];
    for (args, says) in [
        (vec!["--data", &plain], "--tick 0.1"),
        (vec!["--data", &plain, "--tick", "0.1"], "--lot 0.001"),
        (vec!["--data", &several], "AUSDT, BUSDT"),
        (vec!["--data", &several, "--symbol", "CUSDT"], "hold no CUSDT"),
        ([&["--data", &plain, "--strategy", "script"], &scale[..]].concat(), "--script FILE"),
        (vec!["--data", &plain, "--tick", "0.1", "--lot", "1"], "no whole lots"),
        ([&["--data", &plain, "--queue", "fifo"], &scale[..]].concat(), "single orders"),
        ([&["--data", &plain, "--maker-fee", "0.0002"], &scale[..]].concat(), "200ppm"),
        (vec!["--data", &plain, "--config", &config], "tik: unknown key"),
    ] {
        let said = optiflow(&[&["backtest", "--out", &folder.path("out")][..], &args].concat());
        assert_eq!(said.code, 2, "{args:?}: {}", said.err);
        assert!(said.err.contains(says), "{args:?}: {}", said.err);
    }
    let said = optiflow(&["import", "tardis", &plain, "--out", &folder.path("x")]);
    assert!(said.code == 2 && said.err.contains("hftbacktest, collector"), "{}", said.err);
}

#[test]
fn one_symbol_of_several_is_traded_as_the_configuration_says_and_flags_go_before_it() {
    let folder = Folder::new("several");
    let store = folder.path("several.parquet");
    write_store(&store, &["AUSDT", "BUSDT"]);
    let config = folder.path("c.toml");
    let text = "[backtest]\nqueue = \"log\"\nlatency = { entry_ns = 7, response_ns = 8 }\npartial_fills = false\n\
                strategy = \"none\"\nlot = \"0.001\"\nmaker_fee = \"-1bps\"\n[backtest.grid]\nlevels = 3\n";
    fs::write(&config, text).unwrap();
    let out = folder.path("out");
    let base = ["backtest", "--data", &store, "--symbol", "BUSDT", "--config", &config, "--json", "--out", &out];
    let said = optiflow(&[&base[..], &["--queue", "log2", "--taker-fee", "0.04%"]].concat());
    assert_eq!(said.code, 0, "{}", said.err);
    let summary = said.json();
    let on_disk: Value = serde_json::from_slice(&fs::read(Path::new(&out).join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary, on_disk);
    assert_eq!((&summary["rows"], &summary["rows_of_symbol"]), (&200.into(), &100.into()));
    for (field, expected) in [
        ("queue", Value::from("log2")),
        ("strategy", "none".into()),
        ("symbol", "BUSDT".into()),
        ("partial_fills", false.into()),
        ("maker_fee_ppm", (-100).into()),
        ("taker_fee_ppm", 400.into()),
    ] {
        assert_eq!(summary[field], expected, "{field}");
    }
    assert_eq!(summary["latency"]["response_ns"], 8);
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/demo.toml");
    let both = folder.path("both.toml");
    fs::write(&both, fs::read_to_string(demo).unwrap() + "\n" + text).unwrap();
    assert_eq!(optiflow(&["check", &both]).code, 0, "a file may say how to trade and how to test");
    assert!(summary["cpu_seconds"].as_f64().unwrap() > 0.0 && summary["rows_per_cpu_second"].as_f64().unwrap() > 0.0);
}

fn backtest_case(oracle: &Path, case: &Value, out: &str) -> Said {
    let text = |field: &str| case[field].as_str().unwrap().to_owned();
    let file = |name: &str| {
        let inside = |folder: &str| Some(oracle.join(folder).join(name)).filter(|path| path.exists());
        inside("micro").or_else(|| inside("feed")).unwrap().display().to_string()
    };
    let latency = text("latency");
    let latency = latency.strip_prefix("const:").map_or_else(|| file(&latency), str::to_owned);
    let pieces = format!("--partial-fills={}", case["exchange"] == "partial");
    let (feed, actions, queue) = (file(&text("feed")), file(&text("actions")), text("queue"));
    optiflow(&[
        "backtest",
        "--data",
        &feed,
        "--tick",
        "0.1",
        "--lot",
        "0.001",
        "--script",
        &actions,
        "--queue",
        &queue,
        "--latency",
        &latency,
        &pieces,
        "--compatible",
        "--out",
        out,
        "--json",
    ])
}

/// Lines `local,exchange,id,side,price,qty,maker`, sorted.
fn fills(out: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(out).join("fills.csv")).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("local_ts,exch_ts,order_id,side,price,qty,maker,fee,queue_ahead_at_submit"));
    let mut fills: Vec<String> = lines.map(|line| line.split(',').take(7).collect::<Vec<_>>().join(",")).collect();
    fills.sort();
    fills
}

fn expected_fills(case: &Value) -> Vec<String> {
    let line = |fill: &Value| {
        let (price, qty) = (fill["price"].as_f64().unwrap(), fill["qty"].as_f64().unwrap());
        let price = format!("{price:.8}");
        let side = fill["side"].as_str().unwrap();
        format!(
            "{},{},{},{side},{},{},{}",
            fill["local_ts"],
            fill["exch_ts"],
            fill["id"],
            price.trim_end_matches('0').trim_end_matches('.'),
            format!("{qty:.8}").trim_end_matches('0').trim_end_matches('.'),
            fill["maker"]
        )
    };
    let mut fills: Vec<String> = case["fills"].as_array().unwrap().iter().map(line).collect();
    fills.sort();
    fills
}

fn signed_qty(fill: &str) -> f64 {
    let fields: Vec<&str> = fill.split(',').collect();
    let qty: f64 = fields[5].parse().unwrap();
    if fields[3] == "BUY" { qty } else { -qty }
}

/// The same market and grid without files, streams and tables.
fn grid_in_memory(oracle: &Path, compatible: bool) -> u64 {
    let scale = Scale::finest("0.1".parse().unwrap(), "0.001".parse().unwrap());
    let config = ReplayConfig {
        scale,
        queue: QueueModel::Power3(3.0),
        latency: Latency::Constant { entry_ns: 5_000_000, response_ns: 3_000_000 },
        partial_fills: !compatible,
        compatible,
        maker_fee_ppm: -50,
        taker_fee_ppm: 500,
        terms: TermsConfig::default().terms(compatible).unwrap(),
    };
    let text = fs::read_to_string(oracle.join("feed/small.csv")).unwrap();
    let kinds = BTreeMap::from([("depth", Kind::Depth), ("snapshot", Kind::Snapshot), ("trade", Kind::Trade)]);
    let events = text.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        MarketRow {
            kind: kinds[fields[0]],
            side: if fields[1] == "S" { Side::Sell } else { Side::Buy },
            exchange_ns: fields[2].parse().unwrap(),
            local_ns: fields[3].parse().unwrap(),
            tick: scale.nearest_tick(fields[4].parse().unwrap()).unwrap(),
            parts: scale.parts(fields[5].parse().unwrap()),
        }
    });
    let rows = arrange(&events.collect::<Vec<_>>()).unwrap();
    run::run(&config, Feed::memory(&rows), &mut Grid::new(GridConfig::default(), scale)).unwrap().hash
}

/// An array of the peer: depth bids of 1 at (time, price), learned at once.
fn array(rows: &[(i64, f64)]) -> Vec<u8> {
    let depth_bid_both_clocks: u64 = 1 << 31 | 1 << 30 | 1 << 29 | 1;
    let row = |(time, price): &(i64, f64)| {
        [depth_bid_both_clocks, *time as u64, *time as u64, price.to_bits(), 1f64.to_bits()]
    };
    support::array(&rows.iter().map(row).collect::<Vec<_>>())
}

/// A hundred rows of each symbol, in turn.
fn write_store(path: &str, symbols: &[&str]) {
    write_store_at(path, symbols, |turn| 1_000_000_000 + turn);
}

/// The same, each turn at its time, ns.
fn write_store_at(path: &str, symbols: &[&str], at: impl Fn(u64) -> u64) {
    let mut writer = Writer::create(Path::new(path), "test").unwrap();
    for turn in 0..100 {
        for name in symbols {
            let symbol = writer.symbol(name).unwrap();
            let (at, side) = (Nanos(at(turn)), if turn % 2 == 0 { Side::Buy } else { Side::Sell });
            let price = if side == Side::Buy { "100.1" } else { "100.2" }.parse().unwrap();
            let qty = "0.002".parse().unwrap();
            let (kind, flags) = (StoredKind::Depth, Flags::BOTH);
            writer.push(Row { exch: at, local: at, price, qty, id: 0, symbol, kind, side: Some(side), flags }).unwrap();
        }
    }
    writer.finish().unwrap();
}

fn damaged_store(folder: &Folder) -> String {
    let path = PathBuf::from(folder.path("damaged.parquet"));
    write_store(path.to_str().unwrap(), &["AUSDT"]);
    let mut bytes = fs::read(&path).unwrap();
    bytes[40] ^= 1;
    fs::write(&path, bytes).unwrap();
    path.display().to_string()
}
