//! `optiflow sweep` as a program: the same runs as `optiflow backtest`, on any number of threads, resumed, and refused.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::path::Path;

use optiflow_base::clock::Nanos;
use optiflow_base::money::{Price, Qty, Side};
use optiflow_store::event::{Flags, Kind, Row};
use optiflow_store::writer::Writer;
use serde_json::Value;
use support::{Folder, Said, optiflow, shared};

const CONFIG: &str = "[backtest]\nlatency = { entry_ns = 2000000, response_ns = 3000000 }\nmaker_fee = \"-0.5bps\"\n\
                      [backtest.grid]\nlevels = 3\nhalf_spread = 0.0\ninterval = 0.000002\norder_qty = 0.01\n";

const STAGES: &str = r#"mode = "paper"
[risk]
orders_ten_seconds = 100
orders_minute = 600
weight_minute = 1200
quote_age_max = "2s"
[[symbol]]
name = "BTCUSDT"
strategy = "scalping_v1"
order_notional_max = "500"
position_notional_max = "600"
open_orders_max = 4
price_band_bps = 100
[symbol.scalping_v1]
obi_l1_enter = 0.2
"#;

#[test]
fn runs_are_backtests_whatever_the_number_of_threads() {
    let market = Made::new("threads", 10_000);
    let grid =
        ["--grid", "strategy.levels=1..3:1", "--grid", "queue=risk-averse,log,power:2", "--grid", "latency=1000000"];
    let sweep = |out: &str, jobs: &str| {
        let said = market.sweep(out, &[&grid[..], &["--jobs", jobs]].concat());
        assert_eq!(said.code, 0, "{}", said.err);
        said.json()
    };
    let report = sweep("one", "1");
    assert_eq!((&report["runs"], &report["skipped"], &report["jobs"]), (&9.into(), &0.into(), &1.into()));
    assert_eq!(report["packed_bytes"], report["rows"].as_u64().unwrap() * 24);
    assert_eq!(sweep("three", "3")["jobs"], 3);
    let (one, three) = (market.runs("one"), market.runs("three"));
    assert_eq!((one.len(), &one), (9, &three), "rows are the same but for their order and seconds");
    for table in ["best.csv", "heatmap.html"] {
        let read = |out: &str| fs::read_to_string(Path::new(&market.folder.path(out)).join(table)).unwrap();
        assert!(read("one") == read("three"), "{table} differs");
    }
    let hashes: BTreeMap<&str, ()> = one.values().map(|run| (run["event_log_hash"].as_str().unwrap(), ())).collect();
    assert!(hashes.len() >= 6, "settings matter: {hashes:?}");
    assert!(one.values().all(|run| run["fills"].as_u64().unwrap() > 0), "the grid trades: {one:#?}");

    let config = market.folder.path("point.toml");
    fs::write(&config, CONFIG.replace("levels = 3", "levels = 2")).unwrap();
    let out = market.folder.path("point");
    let flags = ["--queue", "power:2", "--latency", "1000000:1000000", "--out", &out, "--json"];
    let said = optiflow(&[&["backtest", "--config", &config, "--data", &market.store][..], &flags].concat());
    assert_eq!(said.code, 0, "{}", said.err);
    let same =
        one.values().find(|run| run["parameters"]["strategy.levels"] == 2 && run["parameters"]["queue"] == "power:2");
    let same = same.unwrap();
    assert_same(same, &said.json());
    assert!(same["max_drawdown"].as_f64().unwrap() > 0.0, "{same}");
    let ratio = same["fill_ratio"].as_f64().unwrap();
    assert!(ratio > 0.0 && ratio <= 1.0, "{same}");
}

#[test]
fn tables_are_sorted_the_best_first_and_the_page_holds_the_runs() {
    let market = Made::new("sorted", 6_000);
    let said =
        market.sweep("out", &["--grid", "strategy.levels=1..4:1", "--grid", "strategy.half_spread=0.00001,0.00005"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let column = |name: &str| {
        let text = fs::read_to_string(Path::new(&market.folder.path("out")).join("best.csv")).unwrap();
        let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
        let at = lines.next().unwrap().iter().position(|field| field == name).unwrap();
        lines.map(|line| line[at].parse::<f64>().unwrap()).collect::<Vec<_>>()
    };
    let equity = column("equity");
    assert_eq!((equity.len(), column("rank")[7]), (8, 8.0));
    assert!(equity.windows(2).all(|pair| pair[0] >= pair[1]), "{equity:?}");
    assert_eq!(said.json()["best"]["equity"], equity[0]);
    let said = market.sweep(
        "out",
        &[
            "--grid",
            "strategy.levels=1..4:1",
            "--grid",
            "strategy.half_spread=0.00001,0.00005",
            "--sort",
            "max_drawdown",
        ],
    );
    assert_eq!(said.json()["skipped"], 8, "another order needs no other runs");
    let drawdown = column("max_drawdown");
    assert!(drawdown.windows(2).all(|pair| pair[0] <= pair[1]), "the least is the best: {drawdown:?}");
    let page = fs::read_to_string(Path::new(&market.folder.path("out")).join("heatmap.html")).unwrap();
    let data =
        page.split("<script id=\"data\" type=\"application/json\">").nth(1).unwrap().split("</script>").next().unwrap();
    let data: Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["axes"][1]["values"], serde_json::json!(["0.00001", "0.00005"]));
    assert_eq!(data["runs"].as_array().unwrap().len(), 8);
}

#[test]
fn a_sweep_that_was_stopped_goes_on_where_it_was() {
    let market = Made::new("resumed", 3_000);
    let path = market.folder.path("out/runs.jsonl");
    let grid = |values: &str| market.sweep("out", &["--grid", &format!("strategy.levels={values}")]);
    assert_eq!(grid("1,2,3").json()["skipped"], 0);
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 40]).unwrap();
    let report = grid("1..5:1").json();
    assert_eq!(
        (&report["runs"], &report["skipped"], &report["dropped_cut_line"]),
        (&5.into(), &2.into(), &true.into())
    );
    let text = fs::read_to_string(&path).unwrap();
    let kept = whole.lines().take(2).collect::<Vec<_>>();
    assert!(text.starts_with(&(kept.join("\n") + "\n")), "rows that were whole stay as they are");
    assert_eq!((text.lines().count(), market.runs("out").len()), (5, 5), "no run twice, no hole");
    let report = grid("1..5:1").json();
    assert_eq!((&report["skipped"], &report["others"]), (&5.into(), &0.into()));
    assert_eq!(fs::read_to_string(&path).unwrap(), text, "nothing was left to do");

    fs::write(&market.config, CONFIG.replace("-0.5bps", "0.5bps")).unwrap();
    let report = grid("1..5:1").json();
    assert_eq!((&report["skipped"], &report["others"]), (&0.into(), &5.into()), "other fees, other runs");
    fs::write(&market.config, CONFIG).unwrap();
    let copied = market.folder.path("copied.parquet");
    fs::rename(&market.store, &copied).unwrap();
    let moved = Made { store: copied, ..market };
    let report = moved.sweep("out", &["--grid", "strategy.levels=1..5:1"]).json();
    assert_eq!((&report["skipped"], &report["others"]), (&5.into(), &5.into()), "the same rows under another name");
    write_market(&moved.store, 3_001);
    let report = moved.sweep("out", &["--grid", "strategy.levels=1..5:1"]).json();
    assert_eq!((&report["skipped"], &report["others"]), (&0.into(), &10.into()), "one row more is another market");
}

#[test]
fn a_damaged_line_and_a_second_writer_are_refused() {
    let market = Made::new("damaged", 500);
    let path = market.folder.path("out/runs.jsonl");
    let grid = ["--grid", "strategy.levels=1,2,3"];
    assert_eq!(market.sweep("out", &grid).code, 0);
    let whole = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    fs::write(&path, format!("{}\n{}\n{}\n", lines[0], &lines[1][..30], lines[2])).unwrap();
    let said = market.sweep("out", &grid);
    assert!(said.code == 1 && said.err.contains("line 2 is no run"), "{}", said.err);
    fs::write(&path, &whole).unwrap();
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    file.lock().unwrap();
    let said = market.sweep("out", &grid);
    assert!(said.code == 1 && said.err.contains("another sweep writes it"), "{}", said.err);
    drop(file);
    assert_eq!(market.sweep("out", &grid).json()["skipped"], 3);
}

#[test]
fn wrong_requests_are_named_before_anything_is_written() {
    let market = Made::new("wrong", 200);
    let grid = |values: &'static str| vec!["--grid", values];
    for (args, says) in [
        (grid("strategy.lvls=1,2"), "strategy.levels, strategy.half_spread, strategy.interval"),
        (grid("speed=1,2"), "there is no such setting"),
        (grid("strategy.levels=1..0:1"), "smaller end first"),
        (grid("strategy.levels=0..2:1"), "0 is outside 1 to 1000"),
        (grid("strategy.levels=two"), "expected an integer"),
        (grid("queue=log,fast"), "queue model \"fast\" is unknown"),
        (grid("strategy.order_qty=0.01,0.0105"), "strategy.order_qty=0.0105: the grid's orders"),
        (grid("strategy.levels=1..500:1,"), "no number"),
        (
            [grid("strategy.levels=1..500:1"), grid("strategy.skew=0.001..0.5:0.001")].concat(),
            "500 × 500 runs are more than",
        ),
        ([grid("queue=log,log2"), vec!["--queue", "power:3"]].concat(), "queue=log and queue=log2 are the same run"),
        (grid("maker_fee=200,2bps"), "maker_fee=200 and maker_fee=2bps are the same run"),
        ([grid("strategy.levels=1,2"), vec!["--strategy", "none"]].concat(), "the strategy none has no settings"),
        ([grid("strategy.levels=1,2"), vec!["--memory", "4kB"]].concat(), "more than the 4.0 kB"),
        ([grid("strategy.levels=1,2"), vec!["--memory", "lots"]].concat(), "512MB, 8GB or 60%"),
        ([grid("strategy.levels=1,2"), vec!["--jobs", "0"]].concat(), "--jobs"),
        ([grid("strategy.levels=1,2"), vec!["--sort", "luck"]].concat(), "fill_ratio"),
        (vec![], "--grid"),
    ] {
        let said = market.sweep("out", &args);
        assert_eq!(said.code, 2, "{args:?}: {}", said.err);
        assert!(said.err.contains(says), "{args:?}: {}", said.err);
        assert!(!Path::new(&market.folder.path("out")).exists(), "{args:?} wrote something");
    }
}

#[test]
fn rules_and_ticks_can_be_swept_too_each_with_its_own_packing() {
    let market = Made::new("rules", 2_000);
    let said = market.sweep("out", &["--grid", "compatible=true,false", "--grid", "strategy=grid,none"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let (report, runs) = (said.json(), market.runs("out"));
    assert_eq!(report["packed_bytes"], 2 * 24 * report["rows"].as_u64().unwrap(), "each kind of rules has its rows");
    for run in runs.values().filter(|run| run["parameters"]["strategy"] == "none") {
        assert_eq!((&run["fills"], &run["fill_ratio"]), (&0.into(), &Value::Null), "{run}");
    }
}

#[test]
fn strategies_of_the_engine_run_through_the_live_stages() {
    let market = Made::new("stages", 4_000);
    fs::write(&market.config, STAGES).unwrap();
    let grid = ["--grid", "strategy.obi_l1_enter=0.1,0.3", "--grid", "latency=1000000,9000000"];
    let runs = |out: &str, jobs: &str| {
        let said = market.sweep(out, &[&grid[..], &["--jobs", jobs]].concat());
        assert_eq!(said.code, 0, "{}", said.err);
        market.runs(out)
    };
    let one = runs("one", "1");
    assert_eq!((one.len(), &one), (4, &runs("two", "2")));
    let hashes: BTreeMap<&str, ()> = one.values().map(|run| (run["event_log_hash"].as_str().unwrap(), ())).collect();
    assert_eq!(hashes.len(), 4, "settings matter: {one:#?}");
    let config = market.folder.path("point.toml");
    fs::write(&config, STAGES.replace("obi_l1_enter = 0.2", "obi_l1_enter = 0.1")).unwrap();
    let out = market.folder.path("point");
    let flags = ["--latency", "9000000:9000000", "--out", &out, "--json"];
    let said = optiflow(&[&["backtest", "--config", &config, "--data", &market.store][..], &flags].concat());
    assert_eq!(said.code, 0, "{}", said.err);
    let is_same =
        |run: &&Value| run["parameters"]["strategy.obi_l1_enter"] == 0.1 && run["parameters"]["latency"] == 9_000_000;
    assert_same(one.values().find(is_same).unwrap(), &said.json());
    for (grid, says) in [
        ("strategy.luck=1,2", "strategy.obi_l1_enter"),
        ("risk.orders_minute=1,2", "exceeds orders_minute"),
        ("compatible=true,false", "compatible is for the strategies grid and script"),
    ] {
        let said = market.sweep("wrong", &["--grid", grid]);
        assert!(said.code == 2 && said.err.contains(says), "{grid}: {}", said.err);
    }
}

#[test]
fn a_recording_is_swept() {
    let Some(data) = shared("data/usdm") else { return };
    let folder = Folder::new("sweep-recording");
    let (store, out) = (folder.path("eth.parquet"), folder.path("out"));
    let files = ["ethusdt_20240718.gz", "ethusdt_20240719.gz"].map(|name| data.join(name).display().to_string());
    let imported = optiflow(&["import", "collector", &files[0], &files[1], "--out", &store, "--json"]);
    assert_eq!(imported.code, 0, "{}", imported.err);
    let grid = ["--grid", "strategy.half_spread=0.0001,0.0002", "--grid", "strategy.order_qty=0.01"];
    let said = optiflow(&[&["sweep", "--data", &store, "--out", &out, "--json"][..], &grid].concat());
    assert_eq!(said.code, 0, "{}", said.err);
    let report = said.json();
    assert_eq!((&report["runs"], &report["best"]["symbol"]), (&2.into(), &"ETHUSDT".into()));
    assert!(report["best"]["fills"].as_u64().unwrap() > 0, "{report:#}");
}

/// Prints how runs per second grow with threads; the machine may be shared, so nothing is asserted but equal work.
#[test]
fn more_threads_make_more_runs_a_second() {
    let market = Made::new("scaling", 10_000);
    let speed = |out: String, jobs: &str| {
        let report = market.sweep(&out, &["--grid", "strategy.levels=1..8:1", "--jobs", jobs]).json();
        assert_eq!(report["skipped"], 0);
        report["runs_per_second"].as_f64().unwrap()
    };
    for round in 0..3 {
        let (one, two) = (speed(format!("one{round}"), "1"), speed(format!("two{round}"), "2"));
        println!("round {round}: {one:.2} runs/s on one thread, {two:.2} on two: x {:.2}", two / one);
    }
}

/// A run of a sweep and the summary of a backtest tell the same.
fn assert_same(run: &Value, summary: &Value) {
    let fields = ["event_log_hash", "equity", "balance", "fees", "turnover", "fills", "position"];
    for field in fields.into_iter().chain(["max_drawdown", "sharpe", "fill_ratio"]) {
        let (ours, theirs) = (&run[field], &summary[field]);
        let close = ours.as_f64().zip(theirs.as_f64()).is_some_and(|(ours, theirs)| (ours - theirs).abs() < 1e-6);
        assert!(ours == theirs || close, "{field}: {ours} here, {theirs} there");
    }
}

/// A market, a configuration and a folder for what comes of them.
struct Made {
    folder: Folder,
    store: String,
    config: String,
}

impl Made {
    fn new(name: &str, turns: u64) -> Made {
        let folder = Folder::new(&format!("sweep-{name}"));
        let (store, config) = (folder.path("market.parquet"), folder.path("c.toml"));
        write_market(&store, turns);
        fs::write(&config, CONFIG).unwrap();
        Made { folder, store, config }
    }

    fn sweep(&self, out: &str, more: &[&str]) -> Said {
        let out = self.folder.path(out);
        let base = ["sweep", "--config", &self.config, "--data", &self.store, "--out", &out, "--json"];
        optiflow(&[&base[..], more].concat())
    }

    /// Rows by key, without their seconds.
    fn runs(&self, out: &str) -> BTreeMap<String, Value> {
        let text = fs::read_to_string(Path::new(&self.folder.path(out)).join("runs.jsonl")).unwrap();
        let run = |line: &str| {
            let mut run: Value = serde_json::from_str(line).unwrap();
            assert!(run.as_object_mut().unwrap().remove("seconds").unwrap().as_f64().unwrap() > 0.0);
            (run["key"].as_str().unwrap().to_owned(), run)
        };
        text.lines().map(run).collect()
    }
}

/// A walk of the best prices, 50 ms a turn, with trades that eat through them now and then.
fn write_market(path: &str, turns: u64) {
    let mut writer = Writer::create(Path::new(path), "test").unwrap();
    let symbol = writer.symbol("BTCUSDT").unwrap();
    let mut random = fastrand::Rng::with_seed(11);
    let mut bid = 600_000_i64;
    for turn in 0..turns {
        let exch = Nanos(1_700_000_000_000_000_000 + turn * 50_000_000);
        let local = Nanos(exch.0 + 1_000_000 + random.u64(0..2_000_000));
        let mut row = |kind, side, tick: i64, lots: i64, more| {
            let (price, qty) = (Price::from_units(tick * 10_000_000), Qty::from_units(lots * 100_000));
            let flags = Flags::BOTH.with_more(more);
            let side = Some(side).filter(|_| kind != Kind::Clear);
            writer.push(Row { exch, local, price, qty, id: turn + 1, symbol, kind, side, flags }).unwrap();
        };
        if turn == 0 {
            row(Kind::Clear, Side::Buy, 0, 0, true);
            for distance in 0..30 {
                row(Kind::Snapshot, Side::Buy, bid - distance, 20, true);
                row(Kind::Snapshot, Side::Sell, bid + 1 + distance, 20, distance < 29);
            }
            continue;
        }
        let moved = [0, 0, 0, 1, -1, 2, -2, 5, -5][random.usize(0..9)];
        for tick in bid + moved + 1..=bid {
            row(Kind::Depth, Side::Buy, tick, 0, true);
        }
        for tick in bid + 1..bid + moved + 1 {
            row(Kind::Depth, Side::Sell, tick, 0, true);
        }
        bid += moved;
        for distance in 0..4 {
            row(Kind::Depth, Side::Buy, bid - distance, random.i64(5..40), true);
            row(Kind::Depth, Side::Sell, bid + 1 + distance, random.i64(5..40), distance < 3);
        }
        row(Kind::Top, Side::Buy, bid, 20, true);
        row(Kind::Top, Side::Sell, bid + 1, 20, false);
        if random.u8(0..4) == 0 {
            let (side, tick) = if random.bool() { (Side::Buy, bid + 1) } else { (Side::Sell, bid) };
            row(Kind::Trade, side, tick, random.i64(1..12), false);
        }
    }
    writer.finish().unwrap();
}
