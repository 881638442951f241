//! An exchange and an engine as processes of their own, with a database between the engine's lives: for tests that kill.

#![allow(dead_code, reason = "each test needs a part of it")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use optiflow_base::clock::RealClock;
use optiflow_base::ids::OrderId;
use optiflow_base::rest::{Auth, Method, RestCall, RestReply};
use optiflow_oms::binance::rest::RestClient;
use serde_json::Value;

use crate::exchange::Exchange;
use crate::support::{Folder, LOOK_EVERY, program, root, until};

/// Trade id → client order id, side, price, quantity.
pub type Fills = BTreeMap<i64, String>;

/// `optiflow exchange` as a process, a client of it, and where the engine keeps its database.
pub struct Pair {
    exchange: Exchange,
    client: RestClient,
    clock: RealClock,
    folder: Folder,
}

/// `optiflow trade` as a process that is gone when the test is.
pub struct Engine {
    pub process: Child,
    /// Just before it was started, Unix nanoseconds.
    pub began: i64,
}

impl Pair {
    pub fn start(name: &str, configuration: &str, faults: Option<&Path>) -> Pair {
        let faults = faults.map(|faults| faults.display().to_string());
        let args = faults.as_ref().map(|faults| ["--faults", faults]);
        Pair::start_with(name, configuration, args.as_ref().map_or(&[], |args| &args[..]))
    }

    /// The same, with such arguments of the exchange.
    pub fn start_with(name: &str, configuration: &str, args: &[&str]) -> Pair {
        let folder = Folder::new(name);
        fs::write(folder.path("engine.toml"), configuration).unwrap();
        let exchange = Exchange::start(&folder, args);
        Pair { client: exchange.client(), exchange, clock: RealClock::new(), folder }
    }

    /// The engine's next life is configured so.
    pub fn configure(&self, configuration: &str) {
        fs::write(self.folder.path("engine.toml"), configuration).unwrap();
    }

    pub fn database(&self) -> String {
        self.folder.path("log.db")
    }

    pub fn trade(&self) -> Engine {
        let error = File::options().create(true).append(true).open(self.folder.path("trade.txt")).unwrap();
        let mut command = Command::new(program());
        command.args(["trade", "--config", &self.folder.path("engine.toml"), "--for", "3600s", "--json"]);
        command.args(["--db", &self.database(), "--exchange"]);
        command.arg(&self.exchange.line).current_dir(root()).stdout(error.try_clone().unwrap()).stderr(error);
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let began = i64::try_from(began).unwrap();
        Engine { process: command.stdin(Stdio::null()).spawn().unwrap(), began }
    }

    /// One number out of the database; `None` while it cannot be read.
    pub fn number(&self, sql: &str, value: i64) -> Option<i64> {
        let connection = rusqlite::Connection::open(self.database()).ok()?;
        connection.busy_timeout(Duration::from_secs(5)).ok()?;
        connection.query_row(sql, [value], |row| row.get(0)).ok()
    }

    pub fn count(&self, sql: &str) -> i64 {
        let connection = rusqlite::Connection::open(self.database()).unwrap();
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// Orders that have not come to their end, by the database.
    pub fn unfinished(&self) -> i64 {
        self.count("SELECT count(*) FROM orders WHERE state IN ('intended', 'sent', 'unknown', 'open')")
    }

    /// Waits until the engine has written down that a session of its own began.
    pub fn wait_for_session(&self, engine: &mut Engine) {
        let sql = "SELECT max(id) FROM sessions WHERE started_ns > ? HAVING max(id) IS NOT NULL";
        assert!(self.wait_for(engine, Duration::from_secs(200), sql), "the engine does not begin: {}", self.said());
    }

    /// Waits until it has had an order accepted; false when that takes longer than `patience`.
    pub fn wait_for_trading(&self, engine: &mut Engine, patience: Duration) -> bool {
        let sql = "SELECT 1 FROM order_events JOIN orders USING (order_id)
                   JOIN sessions ON sessions.id = orders.session_id AND sessions.id = (SELECT max(id) FROM sessions)
                   WHERE what = 'accepted' AND started_ns > ? LIMIT 1";
        self.wait_for(engine, patience, sql)
    }

    fn wait_for(&self, engine: &mut Engine, patience: Duration, sql: &str) -> bool {
        let deadline = Instant::now() + patience;
        while self.number(sql, engine.began).is_none() {
            let ended = engine.process.try_wait().unwrap();
            assert!(ended.is_none(), "the engine ended by itself: {}", self.said());
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        true
    }

    /// A client may use a weight of 2,400 a minute, and an engine that begins does not know what the one before it used.
    pub fn wait_for_weight(&mut self, wanted: u32) {
        until("the exchange never has weight left", Duration::from_secs(200), || {
            let used = self.perform("/fapi/v1/time", "", Auth::Open).usage.weight_minute;
            used.is_none_or(|used| used + wanted < WEIGHT_MINUTE).then_some(())
        });
    }

    /// Open orders, by client id.
    pub fn open(&mut self) -> Vec<String> {
        let rows = self.ask("/fapi/v1/openOrders", "symbol=BTCUSDT");
        rows.as_array().unwrap().iter().map(|row| row["clientOrderId"].as_str().unwrap().to_owned()).collect()
    }

    /// How many orders the exchange has ever accepted.
    pub fn orders(&mut self) -> usize {
        self.all("/fapi/v1/allOrders", "orderId").len()
    }

    /// The account's leverage.
    pub fn leverage(&mut self) -> u64 {
        self.ask("/fapi/v1/symbolConfig", "symbol=BTCUSDT")[0]["leverage"].as_u64().unwrap()
    }

    /// Open orders of sessions before the newest.
    pub fn orphans(&mut self) -> Vec<String> {
        let epoch = self.count("SELECT epoch FROM sessions ORDER BY id DESC LIMIT 1");
        let mut open = self.open();
        open.retain(|client| OrderId::parse(client.as_bytes()).is_none_or(|id| i64::from(id.epoch()) != epoch));
        open
    }

    /// All fills by the exchange's own ledger.
    pub fn fills(&mut self) -> Fills {
        let clients: BTreeMap<i64, String> = self
            .all("/fapi/v1/allOrders", "orderId")
            .iter()
            .map(|row| (row["orderId"].as_i64().unwrap(), row["clientOrderId"].as_str().unwrap().to_owned()))
            .collect();
        let units = |value: &Value| {
            let price: optiflow_base::money::Price = value.as_str().unwrap().parse().unwrap();
            price.units()
        };
        let read = |row: &Value| {
            let client = clients.get(&row["orderId"].as_i64().unwrap()).expect("a fill has an order");
            let side = row["side"].as_str().unwrap().to_lowercase();
            let (price, qty) = (units(&row["price"]), units(&row["qty"]));
            (row["id"].as_i64().unwrap(), format!("{client} {side} {qty} at {price}"))
        };
        self.all("/fapi/v1/userTrades", "fromId").iter().map(read).collect()
    }

    /// All fills by the database.
    pub fn written(&self) -> Fills {
        self.written_in("BTCUSDT")
    }

    /// All fills in a symbol by the database.
    pub fn written_in(&self, symbol: &str) -> Fills {
        let connection = rusqlite::Connection::open(self.database()).unwrap();
        let sql =
            "SELECT trade_id, client_id, fills.side, fills.price, fills.qty FROM fills JOIN orders USING (order_id)
                   WHERE fills.symbol = ?";
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([symbol], |row| {
            let [client, side]: [String; 2] = [row.get(1)?, row.get(2)?];
            let [price, qty]: [i64; 2] = [row.get(3)?, row.get(4)?];
            Ok((row.get(0)?, format!("{client} {side} {qty} at {price}")))
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    fn perform(&mut self, path: &'static str, query: &str, auth: Auth) -> RestReply {
        let mut call = RestCall { token: 0, method: Method::Get, path, query: Default::default(), auth, weight: 1 };
        call.query.push_str(query);
        self.client.perform(&call, &self.clock)
    }

    /// A liar may refuse now and then, and a limit may be used up.
    fn ask(&mut self, path: &'static str, query: &str) -> Value {
        until(&format!("{path} is not answered"), Duration::from_secs(200), || {
            let reply = self.perform(path, query, Auth::Signed);
            serde_json::from_slice(&reply.body).ok().filter(|_| reply.is_ok())
        })
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

    /// The end of what the engines said.
    pub fn said(&self) -> String {
        let said = fs::read_to_string(self.folder.path("trade.txt")).unwrap_or_default();
        let notices = self.notices().unwrap_or_default();
        let tail = said.chars().rev().take(4_000).collect::<String>().chars().rev().collect::<String>();
        format!("{tail}\n{}", notices.join("\n"))
    }

    /// The last notices; an error where the file is no database of ours.
    fn notices(&self) -> rusqlite::Result<Vec<String>> {
        let connection = rusqlite::Connection::open(self.database())?;
        let sql = "SELECT room || ': ' || what || ' ' || value FROM notices ORDER BY id DESC LIMIT 60";
        let mut statement = connection.prepare(sql)?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        rows.collect()
    }
}

impl Engine {
    /// Kills it unless it has ended; was it killed?
    pub fn kill(&mut self) -> bool {
        let alive = self.process.try_wait().unwrap().is_none();
        let _ = self.process.kill();
        self.process.wait().unwrap();
        alive
    }

    /// Tells it to stop in order.
    pub fn terminate(&self) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.process.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An order for every move of the best prices of `symbol`, one tick away: orders are on their way at most instants, and
/// some trade. With these lines in the symbol's table; other tables may follow.
pub fn busy(symbol: &str, lines: &str) -> String {
    format!("{LIMITS}[[symbol]]\nname = \"{symbol}\"\n{lines}\n{SYMBOL}")
}

const LIMITS: &str = r#"
mode = "sim"

[risk]
orders_ten_seconds = 250
orders_minute = 1000
weight_minute = 2000
quote_age_max = "2s"

"#;
const SYMBOL: &str = r#"
strategy = "echo"
order_notional_max = "500"
position_notional_max = "150000"
open_orders_max = 20
price_band_bps = 100

[symbol.echo]
away_ticks = 1
"#;
/// Request weight in a minute.
pub const WEIGHT_MINUTE: u32 = 2_400;
