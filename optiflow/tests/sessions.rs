//! Whole sessions of the real program over real loopback sockets: trade, recorded market, a killed exchange, bad input.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Output};
use std::time::Duration;

use serde_json::Value;

mod exchange;
mod support;

use exchange::{Exchange, free_port};
use support::{Folder, root, until};

#[test]
fn a_session_ends_with_nothing_open_and_agrees_with_the_exchange() {
    let folder = Folder::new("synthetic");
    let output = optiflow(&["trade", "--for", "30s", "--json", "--db", &folder.path("log.db")]);
    let result = json(&output);
    assert!(output.status.success(), "{result:#}");
    assert!(result["ledger"].as_str().unwrap().starts_with("database and exchange agree"), "{result:#}");
    assert!(count(&result, "orders", "accepted") >= 10, "{result:#}");
    assert!(count(&result, "fills", "fills") >= 1, "{result:#}");
    assert_eq!(count(&result, "orders", "open"), 0, "{result:#}");
    assert_eq!(result["summary"]["log_events_lost"], 0, "{result:#}");
    assert_eq!(result["summary"]["rows_lost"], 0, "{result:#}");
}

#[test]
fn a_key_that_signs_only_the_logon_trades_as_well() {
    let folder = Folder::new("ed25519");
    let demo = fs::read_to_string(root().join("configs/demo.toml")).unwrap();
    fs::write(folder.path("demo.toml"), demo.replace("key = \"hmac\"", "key = \"ed25519\"")).unwrap();
    let output = optiflow(&[
        "trade",
        "--config",
        &folder.path("demo.toml"),
        "--for",
        "8s",
        "--json",
        "--db",
        &folder.path("log.db"),
    ]);
    let result = json(&output);
    assert!(output.status.success(), "{result:#}");
    assert!(count(&result, "orders", "accepted") >= 1, "{result:#}");
}

#[test]
fn a_recorded_market_is_traded_like_any_other() {
    let Some(market) = recording() else { return };
    let folder = Folder::new("recorded");
    let output = optiflow(&["trade", "--for", "20s", "--json", "--market", &market, "--db", &folder.path("log.db")]);
    let result = json(&output);
    assert!(output.status.success(), "{result:#}");
    assert!(count(&result, "orders", "accepted") >= 1, "{result:#}");
}

#[test]
fn an_exchange_that_is_killed_and_started_again_is_traded_on_again() {
    let folder = Folder::new("killed");
    let port = free_port();
    let exchange = Exchange::start(&folder, &["--port", &port]);
    let mut trader = spawn(&folder, &exchange.line);
    let path = folder.path("log.db");
    let some = |least: i64, from: &str| (counted(&path, from) >= least).then_some(());
    until("it does not trade", PATIENCE, || some(5, "order_events WHERE what = 'accepted'"));
    drop(exchange);
    until("it does not notice", PATIENCE, || some(1, "notices WHERE what LIKE '%disconnected%'"));
    let _again = Exchange::start(&folder, &["--port", &port]);
    let status = until("it does not end", PATIENCE, || trader.try_wait().unwrap());
    let said = fs::read_to_string(folder.path("trade.json")).unwrap();
    let result: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert!(status.success(), "{result:#}");
    assert_eq!(count(&result, "orders", "open"), 0, "{result:#}");
    let notices = result["summary"]["notices"].to_string();
    assert!(notices.contains("disconnected"), "{result:#}");
    let (before, after) = accepted_around_the_longest_pause(&folder.path("log.db"));
    assert!(before > 0 && after > 0, "{before} orders before the crash, {after} after it: {result:#}");
}

#[test]
fn a_configuration_with_several_mistakes_lists_them_all() {
    let folder = Folder::new("mistakes");
    let path = folder.path("bad.toml");
    fs::write(&path, "mode = \"simm\"\nrunfor = 5\n[risk]\norders_minute = -1\n[[symbol]]\nname = \"btcusdt\"\n")
        .unwrap();
    for command in [&["check", &path][..], &["trade", "--config", &path]] {
        let output = optiflow(command);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        for part in ["mode", "runfor", "orders_minute", "weight_minute", "btcusdt", "order_notional_max"] {
            assert!(said.contains(part), "{part} is missing in:\n{said}");
        }
    }
}

#[test]
fn live_money_needs_the_flag_and_the_configuration() {
    let folder = Folder::new("live");
    let output = optiflow(&["trade", "--live", "--db", &folder.path("log.db")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("mode is not \"live\""));
}

#[test]
fn a_market_that_fails_on_the_way_is_no_success() {
    let folder = Folder::new("damaged");
    let line = |ms: u64| {
        let bid = 60_000 + ms % 3;
        format!(
            "{ms}000000 {{\"stream\":\"btcusdt@bookTicker\",\"data\":{{\"e\":\"bookTicker\",\"u\":{ms},\"s\":\"BTCUSDT\",\
             \"b\":\"{bid}.00\",\"B\":\"1.000\",\"a\":\"{bid}.10\",\"A\":\"1.000\",\"T\":{ms},\"E\":{ms}}}}}\n"
        )
    };
    let start = 1_700_000_000_000;
    let good: String = (start..start + 8_000).map(line).collect();
    fs::write(folder.path("market.txt"), good + &"1700000008000000000 {\"stream\":\n".repeat(500)).unwrap();
    let output = optiflow(&["trade", "--json", "--market", &folder.path("market.txt"), "--db", &folder.path("log.db")]);
    let result = json(&output);
    assert_eq!(output.status.code(), Some(1), "{result:#}");
    assert!(result["end"].as_str().unwrap().contains("market"), "{result:#}");
}

#[test]
fn the_sql_in_the_readme_works() {
    let folder = Folder::new("readme");
    let path = folder.path("log.db");
    assert!(optiflow(&["trade", "--for", "3s", "--json", "--db", &path]).status.success());
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let queries: Vec<&str> = readme.lines().filter_map(|line| line.strip_prefix("sqlite3 trading_log.db '")).collect();
    assert!(!queries.is_empty());
    let connection = rusqlite::Connection::open(&path).unwrap();
    for query in queries {
        connection.prepare(query.trim_end_matches('\'')).unwrap_or_else(|error| panic!("{query}: {error}"));
    }
}

fn optiflow(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_optiflow")).args(args).current_dir(root()).output().unwrap()
}

fn json(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&said)
        .unwrap_or_else(|error| panic!("{error}: {said}\n{}", String::from_utf8_lossy(&output.stderr)))
}

fn count(result: &Value, group: &str, field: &str) -> u64 {
    result["summary"][group][field].as_u64().unwrap_or_else(|| panic!("no {group}.{field} in {result:#}"))
}

fn spawn(folder: &Folder, exchange: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_optiflow"))
        .args(["trade", "--for", "30s", "--json", "--db", &folder.path("log.db")])
        .arg("--exchange")
        .arg(exchange)
        .current_dir(root())
        .stdout(File::create(folder.path("trade.json")).unwrap())
        .spawn()
        .unwrap()
}

/// Rows of a database that is being written; none before it is there.
fn counted(path: &str, from: &str) -> i64 {
    let open = || rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY);
    let count =
        |file: rusqlite::Connection| file.query_row(&format!("SELECT COUNT(*) FROM {from}"), [], |row| row.get(0));
    open().and_then(count).unwrap_or(0)
}

/// Orders accepted before and after the longest time without any: the crash.
fn accepted_around_the_longest_pause(path: &str) -> (usize, usize) {
    let connection = rusqlite::Connection::open(path).unwrap();
    let mut statement =
        connection.prepare("SELECT at_ns FROM order_events WHERE what = 'accepted' ORDER BY at_ns").unwrap();
    let times: Vec<i64> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let pauses = times.windows(2).map(|pair| pair[1] - pair[0]);
    let Some((longest, _)) = pauses.enumerate().max_by_key(|(_, pause)| *pause) else { return (times.len(), 0) };
    (longest + 1, times.len() - longest - 1)
}

fn recording() -> Option<String> {
    let shared = std::env::var_os("OPTIFLOW_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    let files = ["btcusdt_20230404.dat.gz", "btcusdt_20230405.dat.gz"].map(|name| shared.join("data/usdm").join(name));
    if files.iter().all(|file| file.exists()) {
        return Some(files.map(|file| file.to_string_lossy().into_owned()).join(","));
    }
    eprintln!("skipped: no recordings in {}", shared.display());
    None
}

/// On a slow machine, too, each of these happens long before.
const PATIENCE: Duration = Duration::from_secs(90);
