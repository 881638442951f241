//! Sudden death: `optiflow trade` is killed again and again at random instants and started again on the same database;
//! in the end the database has every fill of the exchange exactly once, and nothing is open or unfinished.
//!
//! `OPTIFLOW_DEATHS` says how often (5 when it is not set), `OPTIFLOW_DEATHS_SEED` which instants, and
//! `OPTIFLOW_DEATHS_FAULTS` names a faults file for the exchange, `OPTIFLOW_DEATHS_PROGRAM` another build of the program.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use optiflow_base::clock::RealClock;
use optiflow_base::rest::{Auth, Method, RestCall};
use optiflow_base::secret::Secret;
use optiflow_oms::binance::rest::RestClient;
use optiflow_oms::binance::sign::ApiKey;
use optiflow_oms::time::ExchangeTime;
use optiflow_wire::tls::Roots;
use serde_json::Value;

#[test]
fn every_fill_is_in_the_database_once_and_nothing_is_left_after_many_deaths() {
    let folder = Folder::new("deaths");
    let mut exchange = Exchange::start(&folder);
    let mut random = fastrand::Rng::with_seed(number("OPTIFLOW_DEATHS_SEED", 4));
    let deaths = number("OPTIFLOW_DEATHS", 5);
    let mut while_trading = 0;
    for _ in 0..deaths {
        let mut trader = exchange.trade(&folder, "600s");
        // A third dies while it recovers, the others while they trade.
        let millis = if random.u8(..3) == 0 {
            random.u64(..TRADING_AFTER_MS)
        } else {
            wait_for_trading(&folder, &mut trader.0);
            while_trading += 1;
            random.u64(..TRADING_MS)
        };
        std::thread::sleep(Duration::from_millis(millis) + Duration::from_micros(random.u64(..1_000)));
        assert!(trader.0.try_wait().unwrap().is_none(), "the trader ended by itself: {}", said(&folder));
        trader.0.kill().unwrap();
        trader.0.wait().unwrap();
    }
    let mut last = exchange.trade(&folder, "3s");
    let ended = wait(&mut last.0, Duration::from_secs(180));
    assert!(ended, "the last session does not end in order: {}", said(&folder));

    if std::env::var_os(FAULTS).is_some() {
        std::thread::sleep(LIES_LAST);
    }
    let database = folder.path("log.db");
    let theirs = exchange.fills();
    let ours = fills(&database);
    let repeated = count(&database, "SELECT count(*) - count(DISTINCT trade_id) FROM fills");
    let sums = count(
        &database,
        "SELECT count(*) FROM orders WHERE filled <> \
         (SELECT coalesce(sum(qty), 0) FROM fills WHERE fills.order_id = orders.order_id)",
    );
    let found = count(&database, "SELECT count(*) FROM notices WHERE what LIKE '%never written down'");
    let orders = count(&database, "SELECT count(*) FROM orders WHERE exchange_id IS NOT NULL");
    eprintln!(
        "{deaths} deaths, {while_trading} of them while trading; {orders} orders, {} fills; {found} orders were found that \
         the database had not heard of",
        theirs.len()
    );
    assert_eq!(difference(&ours, &theirs), Vec::<String>::new());
    assert_eq!((repeated, sums), (0, 0), "fills are told once and add up to what their orders say");
    assert_eq!(exchange.open(), 0);
    let unfinished = "SELECT count(*) FROM orders WHERE state IN ('intended', 'sent', 'unknown', 'open')";
    assert_eq!(count(&database, unfinished), 0, "every order has come to its end");
    assert!(deaths < 5 || !theirs.is_empty(), "something was traded");
}

/// Trade id → client order id, side, price, quantity.
type Fills = BTreeMap<i64, String>;

fn difference(ours: &Fills, theirs: &Fills) -> Vec<String> {
    let missing = theirs.iter().filter(|(id, row)| ours.get(id) != Some(row));
    let invented = ours.iter().filter(|(id, _)| !theirs.contains_key(id));
    let missing = missing.map(|(id, row)| format!("{id}: exchange {row}, database {:?}", ours.get(id)));
    missing.chain(invented.map(|(id, row)| format!("{id}: database {row}, not at the exchange"))).collect()
}

fn fills(path: &str) -> Fills {
    let connection = rusqlite::Connection::open(path).unwrap();
    let sql = "SELECT trade_id, client_id, fills.side, fills.price, fills.qty FROM fills JOIN orders USING (order_id)";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| {
        let [client, side]: [String; 2] = [row.get(1)?, row.get(2)?];
        let [price, qty]: [i64; 2] = [row.get(3)?, row.get(4)?];
        Ok((row.get(0)?, format!("{client} {side} {qty} at {price}")))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

fn count(path: &str, sql: &str) -> i64 {
    rusqlite::Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Waits until the session that was started last has had an order accepted.
fn wait_for_trading(folder: &Folder, trader: &mut Child) {
    let deadline = Instant::now() + Duration::from_secs(120);
    let sql = "SELECT count(*) FROM order_events JOIN orders USING (order_id)
               WHERE what = 'accepted' AND orders.session_id = (SELECT max(id) FROM sessions)
               AND (SELECT max(id) FROM sessions WHERE ended_ns IS NULL AND started_ns > ?) IS NOT NULL";
    let since =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap() - Duration::from_millis(500);
    let since = i64::try_from(since.as_nanos()).unwrap();
    loop {
        assert!(Instant::now() < deadline, "the trader does not trade: {}", said(folder));
        assert!(trader.try_wait().unwrap().is_none(), "the trader ended by itself: {}", said(folder));
        std::thread::sleep(Duration::from_millis(100));
        let Ok(connection) = rusqlite::Connection::open(folder.path("log.db")) else { continue };
        if connection.query_row(sql, [since], |row| row.get::<_, i64>(0)).is_ok_and(|count| count > 0) {
            return;
        }
    }
}

/// `optiflow exchange` as a process, and a client of it.
struct Exchange {
    process: Child,
    line: PathBuf,
    client: RestClient,
    clock: RealClock,
}

impl Exchange {
    fn start(folder: &Folder) -> Exchange {
        let line = PathBuf::from(folder.path("exchange.json"));
        let mut command = Command::new(program());
        command.args(["exchange", "--json", "--folder", &folder.path("keys")]);
        if let Some(faults) = std::env::var_os(FAULTS) {
            command.arg("--faults").arg(faults);
        }
        let process = command.stdout(File::create(&line).unwrap()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while !fs::read_to_string(&line).unwrap().contains('\n') {
            assert!(Instant::now() < deadline, "the exchange does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        let said: Value = serde_json::from_str(&fs::read_to_string(&line).unwrap()).unwrap();
        let text = |field: &str| said[field].as_str().unwrap().to_owned();
        let key = ApiKey::hmac(&text("api_key"), &Secret::new(text("api_secret").into_bytes())).unwrap();
        let roots = Roots::CaFile(text("ca_file").into());
        let client = RestClient::new(&text("rest"), &roots, Some(Arc::new(key)), ExchangeTime::new()).unwrap();
        Exchange { process, line, client, clock: RealClock::new() }
    }

    fn trade(&self, folder: &Folder, run_for: &str) -> Trader {
        let error = File::options().create(true).append(true).open(folder.path("trade.txt")).unwrap();
        let mut command = Command::new(program());
        fs::write(folder.path("busy.toml"), BUSY).unwrap();
        command.args(["trade", "--config", &folder.path("busy.toml"), "--for", run_for, "--json"]);
        command.args(["--db", &folder.path("log.db"), "--exchange"]);
        command.arg(&self.line).current_dir(root()).stdout(error.try_clone().unwrap()).stderr(error);
        Trader(command.stdin(Stdio::null()).spawn().unwrap())
    }

    fn ask(&mut self, path: &'static str, query: &str) -> Value {
        // A liar may refuse now and then, and a limit may be used up.
        let deadline = Instant::now() + Duration::from_secs(150);
        loop {
            let (method, auth) = (Method::Get, Auth::Signed);
            let mut call = RestCall { token: 0, method, path, query: Default::default(), auth, weight: 5 };
            call.query.push_str(query);
            let reply = self.client.perform(&call, &self.clock);
            if let (true, Ok(value)) = (reply.is_ok(), serde_json::from_slice(&reply.body)) {
                return value;
            }
            let body = String::from_utf8_lossy(&reply.body).into_owned();
            assert!(Instant::now() < deadline, "{path}: {} {body}", reply.status);
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn open(&mut self) -> usize {
        self.ask("/fapi/v1/openOrders", "symbol=BTCUSDT").as_array().unwrap().len()
    }

    /// All fills, by pages.
    fn fills(&mut self) -> Fills {
        let orders = self.all("/fapi/v1/allOrders", "orderId");
        let client = |order: i64| {
            let row = orders.iter().find(|row| row["orderId"] == order).expect("a fill has an order");
            row["clientOrderId"].as_str().unwrap().to_owned()
        };
        let units = |value: &Value| {
            let price: optiflow_base::money::Price = value.as_str().unwrap().parse().unwrap();
            price.units()
        };
        let read = |row: &Value| {
            let side = row["side"].as_str().unwrap().to_lowercase();
            let (price, qty) = (units(&row["price"]), units(&row["qty"]));
            let text = format!("{} {side} {qty} at {price}", client(row["orderId"].as_i64().unwrap()));
            (row["id"].as_i64().unwrap(), text)
        };
        self.all("/fapi/v1/userTrades", "fromId").iter().map(read).collect()
    }

    fn all(&mut self, path: &'static str, cursor: &str) -> Vec<Value> {
        let (mut rows, mut from) = (Vec::new(), 0);
        loop {
            let page = self.ask(path, &format!("symbol=BTCUSDT&{cursor}={from}&limit=1000"));
            let page = page.as_array().unwrap();
            let field = if cursor == "fromId" { "id" } else { cursor };
            rows.extend(page.iter().cloned());
            match page.last() {
                Some(last) if page.len() == 1000 => from = last[field].as_i64().unwrap() + 1,
                _ => return rows,
            }
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `optiflow trade` as a process that is gone when the test is.
struct Trader(Child);

impl Drop for Trader {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Did it end, and well?
fn wait(process: &mut Child, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(status) = process.try_wait().unwrap() {
            return status.success();
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The end of what the traders said.
fn said(folder: &Folder) -> String {
    let said = fs::read_to_string(folder.path("trade.txt")).unwrap_or_default();
    let notices = rusqlite::Connection::open(folder.path("log.db")).ok().map(|connection| {
        let sql = "SELECT room || ': ' || what || ' ' || value FROM notices ORDER BY id DESC LIMIT 60";
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        rows.map(Result::unwrap).collect::<Vec<_>>().join("\n")
    });
    format!(
        "{}\n{}",
        said.chars().rev().take(4_000).collect::<String>().chars().rev().collect::<String>(),
        notices.unwrap_or_default()
    )
}

fn program() -> PathBuf {
    std::env::var_os("OPTIFLOW_DEATHS_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_optiflow").into(), PathBuf::from)
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// A temporary folder, removed at the end unless the test fails.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("optiflow-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept: {}", self.0.display());
        } else {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// Names a faults file for the exchange.
const FAULTS: &str = "OPTIFLOW_DEATHS_FAULTS";
/// What an exchange says of an order is true after so long, by the usual spans of its lies.
const LIES_LAST: Duration = Duration::from_secs(3);
/// An order for every move of the best prices, one tick away: orders are on their way at most instants, and some trade.
const BUSY: &str = r#"
mode = "sim"

[risk]
orders_ten_seconds = 250
orders_minute = 1000
weight_minute = 2000
quote_age_max = "2s"

[[symbol]]
name = "BTCUSDT"
strategy = "echo"
order_notional_max = "500"
position_notional_max = "150000"
open_orders_max = 20
price_band_bps = 100

[symbol.echo]
away_ticks = 1
"#;

/// From start to the first orders it takes about this long.
const TRADING_AFTER_MS: u64 = 5_000;
/// A session that trades is killed within this time.
const TRADING_MS: u64 = 3_000;
