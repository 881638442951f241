//! The command line: flags are parsed into plain structs here, and each command converts them once.
//!
//! Exit codes: 0 done, 1 failed, 2 usage or configuration.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use optiflow_base::ids::SymbolName;
use optiflow_base::money::{Price, Qty};
use optiflow_store::import::Format;

use crate::config::backtest::{LatencyChoice, Queue, StrategyName, parse_fee};
use crate::config::parse_duration;
use crate::import::{parse_format, parse_shift, parse_symbol};

/// Trades Binance USDⓈ-M futures from market microstructure.
#[derive(Debug, Parser)]
#[command(name = "optiflow", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do; without a command it trades the demo (see `trade`).
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Trade: by default one minute on the embedded simulated exchange, with no keys and no network.
    Trade(TradeArgs),
    /// Serve the simulated exchange on loopback: REST, streams and WebSocket API as Binance speaks them.
    Exchange(ExchangeArgs),
    /// Trade a recorded market in virtual time, with queue positions and latencies, as fast as it can be read.
    Backtest(BacktestArgs),
    /// Turn recordings into an event store, the Parquet file that `backtest` streams.
    Import(ImportArgs),
    /// Check a configuration: list every problem, or show the effective values.
    Check(CheckArgs),
}

/// Flags of `trade`.
#[derive(Args, Clone, Debug, Default)]
pub struct TradeArgs {
    /// Configuration [default: configs/demo.toml, or the demo built in].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Stop after this long, such as 60s or 2h (overrides the configuration).
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    pub run_for: Option<Duration>,
    /// Market of the embedded exchange: `synthetic`, or recorded files separated by commas.
    #[arg(long, value_name = "SOURCE")]
    pub market: Option<String>,
    /// Seed of the embedded exchange.
    #[arg(long)]
    pub seed: Option<u64>,
    /// How fast the embedded exchange's market passes.
    #[arg(long, value_name = "X")]
    pub speed: Option<f64>,
    /// Trade on an `optiflow exchange` that already runs: the file holds the line that its `--json` printed.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["market", "seed", "speed"])]
    pub exchange: Option<PathBuf>,
    /// Database to write (overrides the configuration).
    #[arg(long, value_name = "FILE")]
    pub db: Option<PathBuf>,
    /// Really trade with real money; only together with `mode = "live"` in the configuration.
    #[arg(long)]
    pub live: bool,
    /// Print the result as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Flags of `exchange`.
#[derive(Args, Clone, Debug)]
pub struct ExchangeArgs {
    /// Port on 127.0.0.1; 0 takes any free one.
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Market to replay: `synthetic`, or recorded files separated by commas.
    #[arg(long, value_name = "SOURCE", default_value = "synthetic")]
    pub market: String,
    /// Seed of the synthetic market and of the test keys.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// How fast the market passes.
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    pub speed: f64,
    /// Serve http and ws instead of https and wss.
    #[arg(long)]
    pub no_tls: bool,
    /// Folder for the CA certificate and the test key [default: a fresh temporary folder].
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Print where it listens as one line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// Flags of `backtest`; each overrides the table `[backtest]` of the configuration.
#[derive(Args, Clone, Debug)]
pub struct BacktestArgs {
    /// Configuration of which the table `[backtest]` is read.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Market to replay, in time order: event stores (`.parquet`) or hftbacktest's arrays (`.npz`, `.npy`).
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub data: Vec<PathBuf>,
    /// Which symbol of the files to trade; needed only where they hold several.
    #[arg(long, value_name = "SYMBOL", value_parser = parse_symbol)]
    pub symbol: Option<SymbolName>,
    /// Folder for summary.json, orders.csv, fills.csv and equity.csv.
    #[arg(long, value_name = "DIR", default_value = "backtest-out")]
    pub out: PathBuf,
    /// Who trades [default: script where one is given, else grid].
    #[arg(long, value_name = "NAME")]
    pub strategy: Option<StrategyName>,
    /// Orders to send: CSV with the header t_ns,verb,order_id,side,price,qty,tif,type.
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,
    /// Estimate of queue places: risk-averse, log, log2, power:N, power2:N, power3:N [default: risk-averse].
    #[arg(long, value_name = "MODEL")]
    pub queue: Option<Queue>,
    /// Order latency: constant, or a table with req_ts,exch_ts,resp_ts as CSV or .npz [default: 5000000:5000000].
    #[arg(long, value_name = "ENTRY_NS:RESPONSE_NS | FILE", allow_hyphen_values = true)]
    pub latency: Option<LatencyChoice>,
    /// Fill resting orders piece by piece as the queue model allows [default: true; false with --compatible].
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub partial_fills: Option<bool>,
    /// Follow hftbacktest's conventions, so that results can be compared with its.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub compatible: Option<bool>,
    /// Price of one tick [default: the coarsest grid of the event store's prices].
    #[arg(long, value_name = "PRICE")]
    pub tick: Option<Price>,
    /// Smallest tradable quantity [default: the coarsest grid of the event store's quantities].
    #[arg(long, value_name = "QTY")]
    pub lot: Option<Qty>,
    /// Fee of a maker's fill, such as 200ppm (also just 200), 2bps or 0.02%; negative is a rebate [default: 2bps].
    #[arg(long, value_name = "FEE", value_parser = parse_fee, allow_hyphen_values = true)]
    pub maker_fee: Option<i64>,
    /// Fee of a taker's fill, likewise [default: 5bps].
    #[arg(long, value_name = "FEE", value_parser = parse_fee, allow_hyphen_values = true)]
    pub taker_fee: Option<i64>,
    /// Print the summary as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Flags of `import`.
#[derive(Args, Clone, Debug)]
pub struct ImportArgs {
    /// What the files are: `collector` (`<local time> <JSON>` lines, plain, gz or zst) or `hftbacktest` (.npz, .npy).
    #[arg(value_name = "FORMAT", value_parser = parse_format)]
    pub format: Format,
    /// Recordings, in time order.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Event store to write; an older one is replaced when the new one is whole.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Whose rows arrays hold [default: what the first file's name begins with].
    #[arg(long, value_name = "SYMBOL", value_parser = parse_symbol)]
    pub symbol: Option<SymbolName>,
    /// Move local times by so many ns; `auto`: by the least that makes nothing received before it happened.
    #[arg(long, value_name = "auto | NS", default_value = "auto", value_parser = parse_shift, allow_hyphen_values = true)]
    pub shift: optiflow_store::import::Shift,
    /// Print the result as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Flags of `check`.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// Configuration to check.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print the result as one JSON object.
    #[arg(long)]
    pub json: bool,
}
