//! Reaction time from outside: tick written by the exchange → order read by it, over loopback TLS, for the bare floor program,
//! for ours and, where it is installed, for ccxt.pro; alternating, by the same ruler.
//!
//! Each round starts an `optiflow exchange --market metronome:60ms --reaction …` pinned to the first core and lets the clients
//! react from the last core in short turns, one after the other, so that a noisy minute strikes all of them: sixty
//! milliseconds keep one order a tick within the account's limits. Prints the median over the rounds of each client's p50 and p99, and the ratio to the floor's with its spread. Absolute
//! times are this machine's; quote the ratio. The floor is a thread that spins and does nothing else, so a client can
//! only come near it. Settings by environment: `REACTION_ROUNDS`, `REACTION_ORDERS`, `OPTIFLOW` and `FLOOR` (the binaries to measure).

#![allow(clippy::unwrap_used)] // A bench has nobody to report to.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

fn main() {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        println!("skipped: the exchange and its client spin; they need a core each");
        return;
    }
    let optiflow = optiflow();
    let folder = std::env::temp_dir().join(format!("optiflow-reaction-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let python = python();
    if python.is_none() {
        println!("skipped: ccxt.pro is not installed; scripts/strangers/run.sh installs it");
    }
    let (rounds, orders) = (setting("REACTION_ROUNDS", 5), setting("REACTION_ORDERS", 480));
    let mut table = Table::default();
    for round in 0..rounds {
        let bench = Bench { optiflow: &optiflow, python: python.as_deref(), folder: &folder, orders };
        let row = bench.round(round);
        println!("round {}: {}", round + 1, sketch(&row));
        table.rows.push(row);
    }
    fs::remove_dir_all(&folder).unwrap();
    table.print();
}

/// What is measured and with what.
struct Bench<'a> {
    optiflow: &'a Path,
    python: Option<&'a Path>,
    folder: &'a Path,
    orders: u32,
}

/// A client's name and its p50, p99 and count.
type Row = Vec<(String, f64, f64, u64)>;

impl Bench<'_> {
    /// One exchange and every client on it, in turns first.
    fn round(&self, round: u32) -> Row {
        let file = self.folder.join("exchange.json");
        let mut exchange = self.exchange(&file);
        for turn in 0..TURNS {
            if (round + turn).is_multiple_of(2) {
                self.floor(&file);
                self.ours(&file);
            } else {
                self.ours(&file);
                self.floor(&file);
            }
        }
        self.stranger(&file);
        stop(&mut exchange);
        let said = fs::read_to_string(&file).unwrap();
        let summary: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
        let reactions = summary["reactions"].as_array().unwrap();
        let row = |reaction: &Value| {
            let number = |name: &str| reaction[name].as_f64().unwrap();
            let name = match reaction["client"].as_str().unwrap() {
                "of" => "ours",
                "x" => "ccxt.pro",
                other => other,
            };
            (name.to_owned(), number("p50_us"), number("p99_us"), reaction["reactions"].as_u64().unwrap())
        };
        reactions.iter().map(row).collect()
    }

    fn exchange(&self, file: &Path) -> Child {
        let child = Command::new(self.optiflow)
            .args(["exchange", "--json", "--market", "metronome:60ms", "--reaction"])
            .arg(self.folder.join("reaction.hgrm"))
            .stdout(File::create(file).unwrap())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while !fs::read_to_string(file).unwrap().ends_with('\n') {
            assert!(Instant::now() < deadline, "the exchange does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        child
    }

    fn floor(&self, file: &Path) {
        let orders = (self.orders / TURNS).to_string();
        let floor = std::env::var_os("FLOOR").unwrap_or(env!("CARGO_BIN_EXE_floor").into());
        let done = Command::new(floor).arg(file).arg(orders).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }

    fn ours(&self, file: &Path) {
        let config = self.folder.join("echo.toml");
        fs::write(&config, ECHO).unwrap();
        let (database, seconds) = (self.folder.join("reaction.db"), self.orders / TURNS * 60 / 1_000);
        let done = Command::new(self.optiflow)
            .args(["trade", "--json", "--for", &format!("{seconds}s"), "--config"])
            .arg(&config)
            .arg("--exchange")
            .arg(file)
            .arg("--db")
            .arg(&database)
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        let _ = fs::remove_file(&database);
    }

    fn stranger(&self, file: &Path) {
        let Some(python) = self.python else { return };
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/strangers/ccxt_reaction.py");
        let done = Command::new(python).arg(script).arg(file).arg(self.orders.to_string()).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

/// Ends an exchange as a user would, so that it tells what it measured.
fn stop(exchange: &mut Child) {
    let status = Command::new("kill").args(["-TERM", &exchange.id().to_string()]).stdout(Stdio::null()).status();
    assert!(status.unwrap().success() && exchange.wait().unwrap().success());
}

#[derive(Default)]
struct Table {
    rows: Vec<Row>,
}

impl Table {
    fn print(&self) {
        for name in ["floor", "ours", "ccxt.pro"] {
            let of = |row: &Row| row.iter().find(|client| client.0 == name).cloned();
            let found: Vec<(String, f64, f64, u64)> = self.rows.iter().filter_map(of).collect();
            if found.is_empty() {
                continue;
            }
            let count: u64 = found.iter().map(|client| client.3).sum();
            let (p50, _, _) = spread(found.iter().map(|client| client.1).collect());
            let (p99, _, _) = spread(found.iter().map(|client| client.2).collect());
            println!("{name:<10} p50 {p50:>9.1} µs  p99 {p99:>9.1} µs  n {count}");
            if name == "floor" {
                continue;
            }
            for (quantile, pick) in [("p50", (|c| c.1) as fn(&(String, f64, f64, u64)) -> f64), ("p99", |c| c.2)] {
                let ratio = |row: &Row| Some(pick(&of(row)?) / pick(row.iter().find(|client| client.0 == "floor")?));
                let (median, least, most) = spread(self.rows.iter().filter_map(ratio).collect());
                println!("{name:<10} : floor at {quantile} {median:.2} ({least:.2} to {most:.2})");
            }
        }
    }
}

/// Median, least and most.
fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[0], values[values.len() - 1])
}

fn sketch(row: &Row) -> String {
    let clients = row.iter().map(|(name, p50, p99, count)| format!("{name} {p50:.1}/{p99:.1} µs ({count})"));
    clients.collect::<Vec<_>>().join(", ")
}

/// The binary to measure; built when none is named.
fn optiflow() -> PathBuf {
    if let Some(path) = std::env::var_os("OPTIFLOW") {
        return path.into();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let built = Command::new(env!("CARGO")).current_dir(&root).args(["build", "--release", "-p", "optiflow"]).status();
    assert!(built.unwrap().success());
    // Benches lie in `<target>/release/deps`.
    std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("optiflow")
}

/// Where `scripts/strangers/run.sh` installs ccxt.
fn python() -> Option<PathBuf> {
    let usual = || std::env::temp_dir().join("optiflow-strangers-ccxt-4.5.90");
    let folder = std::env::var_os("OPTIFLOW_STRANGERS_VENV").map_or_else(usual, PathBuf::from);
    Some(folder.join("bin/python")).filter(|python| python.exists())
}

fn setting(name: &str, usual: u32) -> u32 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Turns of each client in a round.
const TURNS: u32 = 4;

/// Ours as a yardstick: an order for every move of the market.
const ECHO: &str = r#"
mode = "sim"
[sim]
key = "ed25519"
[risk]
orders_ten_seconds = 300
orders_minute = 1200
weight_minute = 2400
quote_age_max = "2s"
[[symbol]]
name = "BTCUSDT"
strategy = "echo"
order_notional_max = "500"
position_notional_max = "2000"
open_orders_max = 20
price_band_bps = 100
"#;
