//! The report of `optiflow backtest`, over a market small enough to be worked out by hand.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use optiflow::report::collect::Collector;
use optiflow::report::page::{Setup, page};
use optiflow::report::words::{FillLine, Standing};
use optiflow_base::ids::SymbolId;
use optiflow_base::money::{Price, Qty, Side};
use serde_json::Value;
use support::{Folder, Said, optiflow, shared};

const MILLI: i64 = 1_000_000;
/// 2024-07-18 23:59:50 UTC.
const START: i64 = 1_721_347_190_000_000_000;

/// Buys 1 at 100.1 as taker after a second, at a mid of 100.05; the mid rises to 100.25; sells 1 at 100.3 as maker behind 5,
/// filled a second later by a trade beyond; the mid falls to 100.1 after midnight.
const MARKET: &[(i64, Row)] = &[
    (0, Row::Bid(100.0, 5.0)),
    (0, Row::Ask(100.1, 5.0)),
    (2_500, Row::Ask(100.1, 0.0)),
    (2_500, Row::Ask(100.3, 5.0)),
    (2_500, Row::Bid(100.2, 5.0)),
    (4_000, Row::Bought(100.4, 1.0)),
    (12_000, Row::Bid(100.2, 0.0)),
    (12_000, Row::Bid(100.0, 0.0)),
    (12_000, Row::Bid(99.9, 5.0)),
    (400_000, Row::Bid(99.9, 6.0)),
];

const SCRIPT: &[(i64, &str)] = &[(1_000, "submit,1,BUY,100.1,1,IOC,LIMIT"), (3_000, "submit,2,SELL,100.3,1,GTX,LIMIT")];

#[derive(Clone, Copy)]
enum Row {
    Bid(f64, f64),
    Ask(f64, f64),
    Bought(f64, f64),
}

#[test]
fn a_run_worked_out_by_hand_has_these_figures() {
    let folder = Folder::new("report-figures");
    let summary = by_hand(&folder, "market").json();
    let number = |field: &str| summary[field].as_f64().unwrap();
    let near = |field: &str, expected: f64| assert!((number(field) - expected).abs() < 1e-9, "{field}: {summary:#}");
    near("realised", 0.2);
    near("unrealised", 0.0);
    near("fees", 0.05005 + 0.02006);
    near("equity", 0.2 - 0.07011);
    // Sampled each second: 2 s after the start the position of 1 is worth 0.05 less than it cost, and 0.05005 went as fee.
    near("max_drawdown", 0.10005);
    near("fill_ratio", 1.0);
    near("maker_share", 0.5);
    for field in ["sharpe", "sortino", "calmar", "funding"] {
        assert_eq!(summary[field], Value::Null, "{field}: not from 400 s, and no funding is charged");
    }
    let orders = &summary["orders"];
    for (fate, count) in [("placed", 2), ("filled", 2), ("touched", 2), ("cancelled", 0), ("refused", 0), ("open", 0)] {
        assert_eq!(orders[fate], count, "{fate}");
    }
    assert_eq!(
        (&summary["latencies"]["entry_ns"]["n"], summary["latencies"]["response_ns"]["n"].as_u64()),
        (&2.into(), Some(3))
    );
    for (fills, horizon_ns, expected) in [
        ("taker_buy", 0, -0.05 / 100.1),
        ("taker_buy", 10 * MILLI, -0.05 / 100.1),
        ("taker_buy", 100 * MILLI, -0.05 / 100.1),
        ("taker_buy", 1_000 * MILLI, -0.05 / 100.1),
        ("taker_buy", 5_000 * MILLI, 0.15 / 100.1),
        ("taker_buy", 30_000 * MILLI, 0.0),
        ("maker_sell", 0, 0.05 / 100.3),
        ("maker_sell", 10 * MILLI, 0.05 / 100.3),
        ("maker_sell", 5_000 * MILLI, 0.05 / 100.3),
        ("maker_sell", 10_000 * MILLI, 0.2 / 100.3),
        ("maker_sell", 300_000 * MILLI, 0.2 / 100.3),
    ] {
        let mark = markout(&summary, fills, horizon_ns);
        assert_eq!(mark["n"], 1, "{fills} after {horizon_ns}");
        assert!(
            (mark["mean_bps"].as_f64().unwrap() - expected * 1e4).abs() < 1e-6,
            "{fills} after {horizon_ns}: {mark}"
        );
    }
    assert_eq!(markout(&summary, "all", 5_000 * MILLI)["sum"], "0.20");
    assert_eq!(markout(&summary, "maker_buy", 0)["mean_bps"], Value::Null);
}

#[test]
fn the_page_shows_them_exactly_and_needs_nothing_else() {
    let folder = Folder::new("report-page");
    by_hand(&folder, "market");
    let page = fs::read_to_string(folder.path("out/report.html")).unwrap();
    well_formed(&page);
    needs_nothing(&page);
    for shown in [
        "script on MARKET",
        "2024-07-18 23:59:51 to 2024-07-19 00:06:30 UTC",
        "<tr class=\"sum\"><td>Net profit</td>",
        ">0.12989<",
        "<tr><td>2024-07-18</td><td class=\"up\">0.12989</td><td>0.20</td><td>0.07011</td>",
        "<tr><td>2024-07-19</td><td class=\"\">0.00000</td>",
        "the run is shorter than a day",
        "<tr><td>1–10×</td><td>1</td>",
        "995.0 ms",
        "bought, taker",
        "sold, maker",
        "100.3 s 1 m 0.2000",
    ] {
        assert!(page.contains(shown), "the page does not show {shown}");
    }
    assert!(!page.contains("NaN") && !page.contains("inf"), "no silly numbers");
}

#[test]
fn names_from_outside_are_text_and_never_markup() {
    let folder = Folder::new("report-escape");
    let evil = "<img src=x onerror=alert(1)>&\"'";
    by_hand(&folder, evil);
    let page = fs::read_to_string(folder.path("out/report.html")).unwrap();
    assert!(!page.contains("<img") && page.contains("&lt;img src=x onerror=alert(1)&gt;&amp;&quot;&#39;"));
    well_formed(&page);
}

#[test]
fn a_run_in_which_nothing_happens_has_a_page_too() {
    let folder = Folder::new("report-idle");
    let data = folder.path("market.npy");
    fs::write(&data, array(MARKET)).unwrap();
    let said = backtest(&folder, &data, &["--strategy", "none"]);
    let summary = said.json();
    assert_eq!((&summary["fill_ratio"], &summary["max_drawdown"]), (&Value::Null, &0.0.into()), "{summary:#}");
    let page = fs::read_to_string(folder.path("out/report.html")).unwrap();
    well_formed(&page);
    assert!(page.contains("There were no fills.") && page.contains("No order was placed.") && !page.contains("NaN"));
}

#[test]
fn a_recording_is_reported_the_same_each_time() {
    let Some(data) = shared("data/usdm") else { return };
    let folder = Folder::new("report-recording");
    let store = folder.path("eth.parquet");
    let files = ["ethusdt_20240718.gz", "ethusdt_20240719.gz"].map(|name| data.join(name).display().to_string());
    let imported = optiflow(&["import", "collector", &files[0], &files[1], "--out", &store]);
    assert_eq!(imported.code, 0, "{}", imported.err);
    let traded = || {
        let said = optiflow(&["backtest", "--data", &store, "--out", &folder.path("out"), "--json"]);
        assert_eq!(said.code, 0, "{}", said.err);
        (said.json(), fs::read_to_string(folder.path("out/report.html")).unwrap())
    };
    let ((summary, one), (_, two)) = (traded(), traded());
    assert!(one == two, "equal runs have equal reports");
    well_formed(&one);
    needs_nothing(&one);
    // Fates, fills and markouts are counted apart from the tables, and agree with them.
    let lines = |name: &str| fs::read_to_string(folder.path("out/") + name).unwrap().lines().count() as u64 - 1;
    assert_eq!(summary["fills"], lines("fills.csv"));
    let all = |horizon| markout(&summary, "all", horizon)["n"].as_u64().unwrap();
    assert_eq!(all(0), lines("fills.csv"));
    assert!(all(1_000 * MILLI) > 0 && all(1_000 * MILLI) <= all(0));
    let soon = markout(&summary, "all", 10 * MILLI);
    assert_eq!((soon["missed"].as_u64(), soon["n"].as_u64()), (Some(0), Some(all(0))), "each moment is looked at");
    let fate = |name: &str| summary["orders"][name].as_u64().unwrap();
    let ended: u64 = ["filled", "cancelled", "expired", "refused", "open"].map(fate).iter().sum();
    assert_eq!(fate("placed"), ended, "each order has one fate");
    let gap = summary["realised"].as_f64().unwrap() + summary["unrealised"].as_f64().unwrap()
        - summary["fees"].as_f64().unwrap()
        - summary["equity"].as_f64().unwrap();
    assert!(gap.abs() < 1e-6, "profit is realised and unrealised less fees: {gap}");
}

#[test]
fn a_year_without_data_takes_no_time_and_has_no_ratios() {
    let folder = Folder::new("report-gap");
    let data = folder.path("market.npy");
    let year = 365 * 24 * 3_600_000;
    let rows = [
        (0, Row::Bid(100.0, 5.0)),
        (0, Row::Ask(100.1, 5.0)),
        (year, Row::Bid(100.0, 4.0)),
        (year, Row::Ask(100.2, 1.0)),
    ];
    fs::write(&data, array(&rows)).unwrap();
    let script = folder.path("script.csv");
    let line = format!("{},{}\n", START + 1_000 * MILLI, SCRIPT[0].1);
    fs::write(&script, format!("t_ns,verb,order_id,side,price,qty,tif,type\n{line}")).unwrap();
    let summary = backtest(&folder, &data, &["--script", &script]).json();
    assert_eq!((&summary["fills"], &summary["ratio_period"]), (&1.into(), &Value::Null), "{summary:#}");
    assert_eq!((&summary["sharpe"], &summary["calmar"]), (&Value::Null, &Value::Null), "{summary:#}");
    let equity = fs::read_to_string(folder.path("out/equity.csv")).unwrap();
    assert!(equity.lines().count() < 70, "what does not change is not written: {equity}");
}

#[test]
fn a_run_that_is_interrupted_leaves_no_parts() {
    let folder = Folder::new("report-interrupt");
    let (data, out) = (folder.path("long.npy"), folder.path("out"));
    let years = 8 * 365 * 86_400_000;
    fs::write(&data, array(&[MARKET[0], MARKET[1], (years, Row::Bid(99.9, 1.0))])).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_optiflow"))
        .args(["backtest", "--data", &data, "--tick", "0.1", "--lot", "0.001", "--strategy", "none", "--out", &out])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let part = Path::new(&out).join("equity.csv.part");
    for _ in 0..2_000 {
        if part.exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(part.exists() && child.try_wait().unwrap().is_none(), "eight years take a while");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8(ended.stderr).unwrap().contains("stopped"));
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0, "nothing is left");
}

#[test]
fn several_symbols_have_charts_of_their_own_and_one_sum_and_a_week_has_ratios() {
    let mut run = Collector::new(&["A<b>USDT".to_owned(), "BUSDT".to_owned()]);
    let (price, hour) = ("100".parse().unwrap(), 3_600_000_000_000);
    let fill = |symbol, side, at| FillLine {
        symbol: SymbolId(symbol),
        id: 1,
        side,
        price,
        qty: "1".parse().unwrap(),
        maker: true,
        fee: "0.02".parse().unwrap(),
        ahead: Qty::ZERO,
        exchange_ns: at,
        local_ns: at,
        mid: Some(price),
    };
    run.fill(&fill(0, Side::Buy, 0));
    run.fill(&fill(1, Side::Sell, 0));
    for at in 0..=7 * 24 {
        // A rises by one every other hour, and B stands still.
        let mid = |rise: i64| Price::from_units((100 + rise) * 100_000_000);
        let standing = |rise, position: &str, cash: &str| {
            Standing::new(mid(rise), position.parse().unwrap(), cash.parse().unwrap(), "0.02".parse().unwrap(), None)
        };
        run.sample(at * hour, &[Some(standing(at / 2, "1", "-100")), Some(standing(0, "-1", "100"))]);
    }
    assert_eq!(run.equity().unwrap().to_string(), "83.96");
    assert_eq!((run.profit().0.to_string(), run.profit().1.to_string()), ("0".to_owned(), "84".to_owned()));
    let text = page(&run, &Setup::default());
    for shown in ["A&lt;b&gt;USDT, BUSDT", "<h3>BUSDT</h3>", "of profit per 1 hour", "168 periods", ">83.96<"] {
        assert!(text.contains(shown), "no {shown}");
    }
    assert_eq!(text.matches("Mid price and fills</").count(), 0);
    assert_eq!(text.matches("Mid price and fills<span").count(), 2);
    assert!(!text.contains("A<b>"));
    well_formed(&text);
}

fn by_hand(folder: &Folder, name: &str) -> Said {
    let inside = folder.path(name);
    fs::create_dir_all(&inside).unwrap();
    let (data, script) = (format!("{inside}/market.npy"), folder.path("script.csv"));
    fs::write(&data, array(MARKET)).unwrap();
    let lines = SCRIPT.iter().map(|(millis, line)| format!("{},{line}\n", START + millis * MILLI));
    fs::write(&script, format!("t_ns,verb,order_id,side,price,qty,tif,type\n{}", lines.collect::<String>())).unwrap();
    backtest(folder, &data, &["--script", &script])
}

fn backtest(folder: &Folder, data: &str, more: &[&str]) -> Said {
    let out = folder.path("out");
    let usual = ["backtest", "--data", data, "--tick", "0.1", "--lot", "0.001", "--out", &out, "--json"];
    let said = optiflow(&[&usual[..], more].concat());
    assert_eq!(said.code, 0, "{}", said.err);
    said
}

fn markout<'a>(summary: &'a Value, fills: &str, horizon_ns: i64) -> &'a Value {
    let rows = summary["markouts"].as_array().unwrap();
    rows.iter().find(|row| row["fills"] == fills && row["horizon_ns"] == horizon_ns).unwrap()
}

/// An array of the peer, everything received at once.
fn array(rows: &[(i64, Row)]) -> Vec<u8> {
    let (both, buy, sell): (u64, u64, u64) = (1 << 31 | 1 << 30, 1 << 29, 1 << 28);
    let row = |(millis, row): &(i64, Row)| {
        let (event, price, qty) = match *row {
            Row::Bid(price, qty) => (both | buy | 1, price, qty),
            Row::Ask(price, qty) => (both | sell | 1, price, qty),
            Row::Bought(price, qty) => (both | buy | 2, price, qty),
        };
        let at = (START + millis * MILLI) as u64;
        [event, at, at, f64::to_bits(price), f64::to_bits(qty)]
    };
    support::array(&rows.iter().map(row).collect::<Vec<_>>())
}

/// Every element that is opened is closed, in order; attributes are quoted.
fn well_formed(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let end = rest.find('>').expect("a tag ends");
        let tag = &rest[..end];
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        assert!(!tag.contains('<'), "{tag}");
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        rest = &rest[end + 1..];
        if (name == "script" || name == "style") && !tag.starts_with('/') {
            rest = &rest[rest.find("</").unwrap()..];
            assert!(rest[2..].starts_with(name));
            open.push(name);
            continue;
        }
        let void = ["meta", "!DOCTYPE", "br"].contains(&name) || tag.ends_with('/');
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "</{name}> closes what is open");
        } else if !void {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
}

/// Nothing is loaded from anywhere.
fn needs_nothing(page: &str) {
    for load in ["http://", "https://", "src=", "@import", "url(", "<link", "<iframe", "fetch(", "import("] {
        assert!(!page.contains(load), "the page has {load}");
    }
    assert!(page.contains("default-src 'none'"));
}
