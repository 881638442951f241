//! Trading on paper and the backtest of the same configuration, market and seed, as programs: the same orders and fills.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs;

use rusqlite::Connection;
use support::{Folder, Said, optiflow, shared};

const CONFIG: &str = r#"
mode = "paper"
run_for = "45s"

[sim]
market = "synthetic:BTCUSDT,ETHUSDT"
seed = 11

[paper]
feed_ns = 4000000
entry_ns = 3000000
response_ns = 2000000

[risk]
orders_ten_seconds = 100
orders_minute = 600
weight_minute = 1200
quote_age_max = "2s"
total_notional_max = "1200"
total_open_orders_max = 8

[[symbol]]
name = "ETHUSDT"
strategy = "scalping_v1"
order_notional_max = "500"
position_notional_max = "600"
open_orders_max = 4
price_band_bps = 100
[symbol.scalping_v1]
obi_l1_enter = 0.3

[[symbol]]
name = "BTCUSDT"
strategy = "scalping_v1"
order_notional_max = "500"
position_notional_max = "600"
open_orders_max = 4
price_band_bps = 100
[symbol.scalping_v1]
obi_l1_enter = 0.3
"#;

fn well(said: Said) -> Said {
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    said
}

/// Every order that reached the exchange and every fill of a database, by the order's place in the session.
fn kept(path: &str) -> (Vec<String>, Vec<String>) {
    let database = Connection::open(path).unwrap();
    let rows = |sql: &str| {
        let mut statement = database.prepare(sql).unwrap();
        let count = statement.column_count();
        let text = |row: &rusqlite::Row<'_>| {
            let cells = (0..count).map(|at| row.get::<_, rusqlite::types::Value>(at).map(|cell| format!("{cell:?}")));
            cells.collect::<Result<Vec<_>, _>>().map(|cells| cells.join(" "))
        };
        statement.query_map([], text).unwrap().collect::<Result<Vec<_>, _>>().unwrap()
    };
    let orders = "select order_id & 4294967295, symbol, side, kind, tif, price, qty, reduce_only, decided_ns, state, filled, \
                  exchange_id, changed_ns from orders order by 1";
    let fills = "select order_id & 4294967295, trade_id, symbol, at_ns, exchange_ms, side, price, qty, maker, fee \
                 from fills order by 2";
    (rows(orders), rows(fills))
}

#[test]
fn paper_trades_what_its_backtest_trades() {
    let folder = Folder::new("paper");
    let config = folder.path("paper.toml");
    fs::write(&config, CONFIG).unwrap();
    let (paper_db, test_db) = (folder.path("paper.db"), folder.path("test.db"));
    let traded = well(optiflow(&["trade", "--config", &config, "--speed", "20", "--db", &paper_db, "--json"]));
    let market = ["--market", "synthetic:BTCUSDT,ETHUSDT"];
    let out = folder.path("out");
    let backtest = ["backtest", "--config", &config, "--out", &out, "--db", &test_db, "--json"];
    let tested = well(optiflow(&[&backtest[..], &market].concat()));
    let (traded, tested) = (traded.json(), tested.json());
    assert_eq!(traded["end"], "the time is up");
    assert_eq!(traded["event_log_hash"], tested["event_log_hash"], "{traded:#}\n{tested:#}");
    assert!(tested["fills"].as_u64().unwrap() > 3, "{tested:#}");
    assert_eq!(tested["symbol"], "ETHUSDT,BTCUSDT");
    assert_eq!(tested["symbols"].as_array().unwrap().len(), 2);

    let (paper, test) = (kept(&paper_db), kept(&test_db));
    assert_eq!(paper, test, "the same orders and fills in both databases");
    assert_eq!(paper.1.len() as u64, tested["fills"].as_u64().unwrap());
    let fills = fs::read_to_string(folder.path("out/fills.csv")).unwrap();
    assert_eq!(fills.lines().count(), paper.1.len() + 1, "and in the table");
    assert!(fills.lines().skip(1).all(|line| line.ends_with("USDT")), "with their symbols: {fills}");
    assert!(
        folder.path("out/report.html").len() > 3 && fs::metadata(folder.path("out/report.html")).unwrap().len() > 1_000
    );
}

#[test]
fn files_of_several_symbols_run_side_by_side() {
    let Some(data) = shared("data/usdm") else { return };
    let folder = Folder::new("side");
    let mut stores = Vec::new();
    for name in ["ethusdt_20240718.gz", "btcusdt_20230404.dat.gz"] {
        let (from, to) = (data.join(name).display().to_string(), folder.path(&format!("{name}.parquet")));
        well(optiflow(&["import", "collector", &from, "--out", &to, "--json"]));
        stores.push(to);
    }
    let run = |out: &str, files: &[&str], more: &[&str]| {
        let out = folder.path(out);
        let common = ["backtest", "--strategy", "scalping_v1", "--out", &out, "--json", "--data"];
        well(optiflow(&[&common[..], files, more].concat())).json()
    };
    let (one, two) = (run("one", &[&stores[0]], &[]), run("two", &[&stores[0]], &[]));
    assert_eq!(one["event_log_hash"], two["event_log_hash"]);
    assert_eq!(one["symbol"], "ETHUSDT");
    assert!(one["answers"].as_u64().unwrap() > 0, "{one:#}");
    // The recordings are a year apart; the second begins when the first is long over.
    let both = run("both", &[&stores[0], &stores[1]], &["--for", "5s"]);
    assert_eq!(both["symbols"].as_array().unwrap().len(), 2, "{both:#}");
}

#[test]
fn a_made_up_market_has_an_exact_queue() {
    let folder = Folder::new("fifo");
    let run = |out: &str, more: &[&str]| {
        let out = folder.path(out);
        let common = ["backtest", "--market", "synthetic:ETHUSDT,BTCUSDT", "--for", "60s", "--out", &out, "--json"];
        well(optiflow(&[&common[..], more].concat())).json()
    };
    let exact = |out| run(out, &["--queue", "fifo"]);
    let (one, two, estimated) = (exact("one"), exact("two"), run("estimated", &[]));
    assert_eq!((&one["event_log_hash"], &one["queue"]), (&two["event_log_hash"], &"fifo".into()));
    assert_ne!(one["event_log_hash"], estimated["event_log_hash"]);
    assert!(one["fills"].as_u64().unwrap() > 0, "{one:#}");
    // One of the two, and the other way round than the market lists them.
    let alone = run("alone", &["--queue", "fifo", "--symbol", "BTCUSDT"]);
    assert_eq!(alone["symbol"], "BTCUSDT");
    for counts in [&one["exchange"], &estimated["exchange"]] {
        assert!(counts["limited"].is_u64() && counts["no_margin"].is_u64(), "{one:#}");
    }
}

#[test]
fn what_the_stages_cannot_do_is_refused_before_anything_runs() {
    let folder = Folder::new("refused");
    let config = folder.path("paper.toml");
    fs::write(&config, CONFIG).unwrap();
    let out = folder.path("out");
    let common = ["backtest", "--out", &out, "--market", "synthetic"];
    let table: [(&[&str], &str); 5] = [
        (&[], "never ends"),
        (&["--for", "1s", "--compatible"], "compatible"),
        (&["--for", "1s", "--strategy", "grid"], "for strategies of the engine"),
        (&["--for", "1s", "--symbol", "XRPUSDT", "--config", &config], "XRPUSDT"),
        (&["--for", "1s", "--config", &config], "has no ETHUSDT"),
    ];
    for (args, part) in table {
        let said = optiflow(&[&common[..], args].concat());
        assert_eq!(said.code, 2, "{args:?}: {}{}", said.out, said.err);
        assert!(said.err.contains(part), "{args:?}: {}", said.err);
    }
    let said = optiflow(&["trade", "--config", &config, "--live"]);
    assert_eq!(said.code, 2);
    assert!(!fs::exists(out).unwrap(), "nothing was written");
}
