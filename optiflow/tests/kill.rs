//! `optiflow kill`, the lock beside the database and the dead-man's switch, with whole programs over loopback.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs::{self, File};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use optiflow_base::clock::RealClock;
use optiflow_base::rest::{Auth, Method, RestCall};
use optiflow_oms::binance::rest::RestClient;
use serde_json::Value;

mod exchange;
mod support;

use support::{Folder, root, until};

#[test]
fn without_an_engine_everything_is_cancelled_flattened_and_proven() {
    let folder = Folder::new("kill-alone");
    let mut exchange = Exchange::start(&folder);
    let mark = exchange.mark();
    let far = |percent: f64| format!("{:.1}", mark * percent);
    // Orders of other hands, a conditional one, and a position.
    exchange.post(
        "/fapi/v1/order",
        &format!("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price={}", far(0.97)),
    );
    exchange.post(
        "/fapi/v1/order",
        &format!("symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.01&price={}", far(1.03)),
    );
    exchange.post("/fapi/v1/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01");
    exchange.post(
        "/fapi/v1/algoOrder",
        &format!(
            "algoType=CONDITIONAL&symbol=BTCUSDT&side=SELL&type=STOP_MARKET&quantity=0.01&triggerPrice={}",
            far(0.95)
        ),
    );
    assert_eq!((exchange.open(), exchange.conditional()), (2, 1));
    assert_ne!(exchange.position(), 0.0);

    let output = exchange.kill(&folder, &["--json"]);
    let said = json(&output);
    assert!(output.status.success() && said["proven"] == true, "{said:#}");
    assert_eq!((exchange.open(), exchange.conditional()), (0, 0));
    assert_ne!(exchange.position(), 0.0, "positions stay unless told otherwise");
    let gone = said["deeds"].as_array().unwrap().iter().filter(|deed| deed["what"] == "gone").count();
    assert_eq!(gone, 3, "order by order: {said:#}");

    let output = exchange.kill(&folder, &["--flatten"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.contains("proven: nothing is open and nothing is held"), "{said}");
    assert_eq!(exchange.position(), 0.0);
    // A limit that is missing keeps `trade` from starting, and nobody from ending.
    let demo = fs::read_to_string(root().join("configs/demo.toml")).unwrap();
    fs::write(folder.path("broken.toml"), demo.replace("orders_minute", "orders_minte")).unwrap();
    let again = exchange.kill(&folder, &["--flatten", "--json", "--config", &folder.path("broken.toml")]);
    assert!(again.status.success(), "a second kill has nothing to do: {}", String::from_utf8_lossy(&again.stderr));
    assert!(String::from_utf8_lossy(&again.stdout).contains("optiflow check"), "the limit is told");
}

#[test]
fn with_a_running_engine_it_is_latched_and_nothing_stays_open() {
    let folder = Folder::new("kill-engine");
    let mut exchange = Exchange::start(&folder);
    let mut trader = exchange.trade(&folder, &[]);
    exchange.wait_for_orders();
    let output = exchange.kill(&folder, &["--flatten", "--json"]);
    let said = json(&output);
    assert!(output.status.success() && said["proven"] == true, "{said:#}");
    assert_eq!(said["engine"]["pid"], trader.0.id(), "{said:#}");
    assert_eq!((exchange.open(), exchange.position()), (0, 0.0));
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!((exchange.open(), exchange.position()), (0, 0.0), "the latch holds");
    if trader.0.try_wait().unwrap().is_none() {
        terminate(&trader.0);
    }
    wait(&mut trader.0);
    let notices = rows(&folder.path("log.db"), "SELECT what FROM notices");
    let killed = notices.iter().filter(|what| what.contains("kill")).count();
    assert!(killed > 0, "{notices:?}");
}

#[test]
fn without_flattening_a_running_engine_is_stopped_if_it_keeps_sending_exits() {
    let folder = Folder::new("kill-exits");
    let mut exchange = Exchange::start(&folder);
    let mut trader = exchange.trade(&folder, &[]);
    until("the engine is never filled", PATIENCE, || (exchange.position() != 0.0).then_some(()));
    let output = exchange.kill(&folder, &["--json"]);
    let said = json(&output);
    assert!(output.status.success() && said["proven"] == true, "{said:#}");
    assert_eq!(said["engine"]["pid"], trader.0.id(), "{said:#}");
    if trader.0.try_wait().unwrap().is_none() {
        terminate(&trader.0);
    }
    wait(&mut trader.0);
    assert_eq!(exchange.open(), 0);
}

#[test]
fn a_second_engine_on_the_same_database_is_refused() {
    let folder = Folder::new("second");
    let mut exchange = Exchange::start(&folder);
    let mut first = exchange.trade(&folder, &[]);
    until("the engine takes no lock", PATIENCE, || {
        fs::read_to_string(folder.path("log.db.lock")).ok().filter(|text| text.contains("started"))
    });
    let second = exchange.command("trade", &folder).args(["--for", "5s", "--json"]).output().unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(2), "{said}");
    assert!(said.contains(&format!("process {} already trades", first.0.id())), "{said}");
    exchange.wait_for_orders();
    first.0.kill().unwrap();
    first.0.wait().unwrap();
    // Death gives the lock back, whatever the file says.
    let third = exchange.command("trade", &folder).args(["--for", "2s", "--json"]).output().unwrap();
    assert!(third.status.success(), "{}", String::from_utf8_lossy(&third.stderr));
    assert_eq!(exchange.open(), 0, "what the dead one left is cancelled");
    let epochs = rows(&folder.path("log.db"), "SELECT CAST(epoch AS TEXT) FROM sessions ORDER BY id");
    assert!(epochs.len() == 2 && epochs[0] < epochs[1], "{epochs:?}");
}

#[test]
fn an_engine_that_freezes_loses_its_orders_within_the_countdown() {
    let folder = Folder::new("frozen");
    let mut exchange = Exchange::start(&folder);
    let demo = fs::read_to_string(root().join("configs/demo.toml")).unwrap();
    let quick = format!("{demo}\n").replace("[risk]", "[oms]\nheartbeat = \"2s\"\ncountdown = \"6s\"\n\n[risk]");
    fs::write(folder.path("quick.toml"), quick).unwrap();
    let mut trader = exchange.trade(&folder, &["--config", &folder.path("quick.toml")]);
    exchange.wait_for_orders();
    signal(&trader.0, "STOP");
    let frozen = Instant::now();
    while exchange.open() > 0 {
        assert!(frozen.elapsed() < Duration::from_secs(10), "the countdown does not fall");
        std::thread::sleep(Duration::from_millis(200));
    }
    signal(&trader.0, "CONT");
    // It trades on before it is told to stop.
    exchange.wait_for_orders();
    terminate(&trader.0);
    wait(&mut trader.0);
    assert_eq!(exchange.open(), 0);
}

#[test]
fn the_embedded_exchange_cannot_be_reached_and_that_is_said() {
    let folder = Folder::new("embedded");
    let output = Command::new(env!("CARGO_BIN_EXE_optiflow"))
        .args(["kill", "--db", &folder.path("log.db")])
        .current_dir(root())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("--exchange"));
}

/// `optiflow exchange` as a process, and a client of it.
struct Exchange {
    process: exchange::Exchange,
    client: RestClient,
    clock: RealClock,
}

impl Exchange {
    fn start(folder: &Folder) -> Exchange {
        let process = exchange::Exchange::start(folder, &[]);
        Exchange { client: process.client(), process, clock: RealClock::new() }
    }

    fn command(&self, what: &str, folder: &Folder) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_optiflow"));
        command
            .arg(what)
            .arg("--exchange")
            .arg(&self.process.line)
            .args(["--db", &folder.path("log.db")])
            .current_dir(root());
        command
    }

    fn trade(&self, folder: &Folder, more: &[&str]) -> Trader {
        let output = File::create(folder.path("trade.json")).unwrap();
        let mut command = self.command("trade", folder);
        Trader(
            command.args(["--for", "120s", "--json"]).args(more).stdout(output).stderr(Stdio::null()).spawn().unwrap(),
        )
    }

    fn kill(&self, folder: &Folder, more: &[&str]) -> Output {
        self.command("kill", folder).args(more).output().unwrap()
    }

    fn ask(&mut self, method: Method, path: &'static str, query: &str) -> Value {
        let mut call = RestCall { token: 0, method, path, query: Default::default(), auth: Auth::Signed, weight: 1 };
        call.query.push_str(query);
        let reply = self.client.perform(&call, &self.clock);
        let body = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(reply.is_ok(), "{path}: {} {body}", reply.status);
        serde_json::from_str(&body).unwrap()
    }

    fn post(&mut self, path: &'static str, query: &str) {
        self.ask(Method::Post, path, query);
    }

    fn open(&mut self) -> usize {
        self.ask(Method::Get, "/fapi/v1/openOrders", "symbol=BTCUSDT").as_array().unwrap().len()
    }

    fn conditional(&mut self) -> usize {
        self.ask(Method::Get, "/fapi/v1/openAlgoOrders", "symbol=BTCUSDT").as_array().unwrap().len()
    }

    fn position(&mut self) -> f64 {
        let rows = self.ask(Method::Get, "/fapi/v3/positionRisk", "");
        let amount = |row: &Value| row["positionAmt"].as_str().unwrap().parse::<f64>().unwrap();
        rows.as_array().unwrap().iter().map(amount).sum()
    }

    fn mark(&mut self) -> f64 {
        let row = self.ask(Method::Get, "/fapi/v1/premiumIndex", "symbol=BTCUSDT");
        row["markPrice"].as_str().unwrap().parse().unwrap()
    }

    fn wait_for_orders(&mut self) {
        until("the engine does not trade", PATIENCE, || (self.open() > 0).then_some(()));
    }
}

/// `optiflow trade` as a process that is gone when the test is, even if it was frozen.
struct Trader(Child);

impl Drop for Trader {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn signal(process: &Child, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &process.id().to_string()]).status().unwrap();
    assert!(status.success());
}

fn terminate(process: &Child) {
    signal(process, "TERM");
}

fn wait(process: &mut Child) {
    until("the engine does not end", PATIENCE, || process.try_wait().unwrap());
}

fn json(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&said)
        .unwrap_or_else(|error| panic!("{error}: {said}\n{}", String::from_utf8_lossy(&output.stderr)))
}

fn rows(path: &str, sql: &str) -> Vec<String> {
    let connection = rusqlite::Connection::open(path).unwrap();
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// On a slow machine, too, what is waited for happens long before.
const PATIENCE: Duration = Duration::from_secs(60);
