//! The command line: flags are parsed into plain structs here, and each command converts them once.
//!
//! Exit codes: 0 done, 1 failed, 2 usage or configuration.

use std::num::NonZero;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use optiflow_backtest::seeds::shrink::Part;
use optiflow_base::ids::SymbolName;
use optiflow_base::money::{Price, Qty};
use optiflow_store::import::Format;

use crate::config::backtest::{LatencyChoice, Queue, StrategyName};
use crate::config::parse_duration;
use crate::config::terms::TermsConfig;
use crate::import::{parse_format, parse_shift, parse_symbol};
use crate::parity::command::Queues;
use crate::sweep::axes::Axis;
use crate::sweep::memory::MemoryLimit;
use crate::sweep::metrics::Metric;
use crate::world::command::{parse_part, parse_seeds};

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
    /// Run a backtest at every point of a grid of settings, on all cores, over one market in memory.
    Sweep(SweepArgs),
    /// Turn recordings into an event store, the Parquet file that `backtest` streams.
    Import(ImportArgs),
    /// Record the raw market streams into rotating files that `import` and `--market` read; needs no key.
    Record(RecordArgs),
    /// Send a session's own orders again, into the simulator on its captured market, and tell where the fills differ.
    Parity(ParityArgs),
    /// Check a configuration: list every problem, or show the effective values.
    Check(CheckArgs),
    /// End it now, from another shell: latch a running engine, cancel every order in the account, prove that none is open.
    Kill(KillArgs),
    /// Live seeded worlds in virtual time, in which everything goes wrong, and check what must always hold.
    World(WorldArgs),
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
    /// Market of the embedded exchange: `synthetic[:SYMBOL,…[@RATE]]` (`synthetic:BTCUSDT@0.2`: a fifth of the usual happens in
    /// a second; 0.01 to 10), or recorded files separated by commas.
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
    /// Also record the market's raw streams into this folder, by connections of their own; `parity` needs it.
    #[arg(long, value_name = "DIR")]
    pub capture: Option<PathBuf>,
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
    /// Market to replay: `synthetic[:SYMBOL,…[@RATE]]` (`synthetic:BTCUSDT@0.2`: a fifth of the usual happens in a second;
    /// 0.01 to 10), recorded files separated by commas, or `metronome:PERIOD` (such as 60ms), whose best price moves once a
    /// period.
    #[arg(long, value_name = "SOURCE", default_value = "synthetic")]
    pub market: String,
    /// Seed of the synthetic market, of the test keys, and of faults whose file names none.
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
    /// What goes wrong, how often and when: a TOML file as docs/faults.md describes it.
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
    /// Measure each client's reaction time, from the write of a tick to the arrival of an order, and write the histograms
    /// here at the end. Takes a core of its own: the exchange's thread never sleeps.
    #[arg(long, value_name = "FILE.hgrm")]
    pub reaction: Option<PathBuf>,
    /// Print where it listens as one line of JSON, and at the end what happened as another.
    #[arg(long)]
    pub json: bool,
}

/// Flags of `backtest`; each overrides the table `[backtest]` of the configuration.
#[derive(Args, Clone, Debug)]
pub struct BacktestArgs {
    /// Configuration of which the table `[backtest]` is read; one with `[[symbol]]` tables runs their strategies through
    /// engine, risk and order table.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Market to replay, in time order: event stores (`.parquet`) or hftbacktest's arrays (`.npz`, `.npy`).
    #[arg(long, value_name = "FILE", required_unless_present = "market", num_args = 1..)]
    pub data: Vec<PathBuf>,
    /// Instead of files, for strategies of the engine: `synthetic[:SYMBOL,…[@RATE]]` (a RATE of 0.2: a fifth of the usual
    /// happens in a second; 0.01 to 10), or raw captures separated by commas.
    #[arg(long, value_name = "SOURCE", conflicts_with = "data")]
    pub market: Option<String>,
    /// Seed of a synthetic market [default: the configuration's, else 7].
    #[arg(long, requires = "market")]
    pub seed: Option<u64>,
    /// Stop after this much of the market, such as 60s; for strategies of the engine.
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    pub run_for: Option<Duration>,
    /// Database of the session to write, as a live one does; for strategies of the engine.
    #[arg(long, value_name = "FILE")]
    pub db: Option<PathBuf>,
    /// Which symbol of the files to trade; needed only where they hold several.
    #[arg(long, value_name = "SYMBOL", value_parser = parse_symbol)]
    pub symbol: Option<SymbolName>,
    /// Folder for report.html, summary.json, orders.csv, fills.csv and equity.csv.
    #[arg(long, value_name = "DIR", default_value = "backtest-out")]
    pub out: PathBuf,
    /// Who trades [default: script where one is given, else grid].
    #[arg(long, value_name = "NAME")]
    pub strategy: Option<StrategyName>,
    /// Orders to send: CSV with the header `t_ns,verb,order_id,side,price,qty,tif,type[,reduce_only][,stp]`.
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,
    /// Estimate of queue places: risk-averse, log, log2, power:N, power2:N, power3:N; on a synthetic market also fifo
    /// [default: risk-averse].
    #[arg(long, value_name = "MODEL")]
    pub queue: Option<Queue>,
    /// Order latency: constant, a table with req_ts,exch_ts,resp_ts as CSV or .npz, or drawn from what a session measured,
    /// FILE being its trading_log.db [default: 5000000:5000000].
    #[arg(long, value_name = "ENTRY_NS:RESPONSE_NS | FILE | session:FILE[:SEED]", allow_hyphen_values = true)]
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
    /// What the exchange asks and charges.
    #[command(flatten)]
    pub terms: TermsConfig,
    /// Print the summary as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Flags of `sweep`; those of `backtest` hold for every run.
#[derive(Args, Clone, Debug)]
#[command(mut_arg("out", |out| out.default_value("sweep-out").help("Folder for runs.jsonl, best.csv and heatmap.html")))]
#[command(mut_arg("json", |json| json.help("Print the result as one JSON object")))]
#[command(mut_arg("market", |market| market.hide(true)), mut_arg("seed", |seed| seed.hide(true)), mut_arg("db", |db| db.hide(true)))]
pub struct SweepArgs {
    /// What all runs have in common.
    #[command(flatten)]
    pub backtest: BacktestArgs,
    /// A setting and its values: `PATH=A..B:STEP` (both ends included) or `PATH=V1,V2`; once for each setting. PATH is a
    /// field of `[backtest]`, such as `queue`, or `strategy.` and a setting of the strategy, such as `strategy.levels`; a
    /// wrong one is told what there is.
    #[arg(long, value_name = "PATH=VALUES", required = true)]
    pub grid: Vec<Axis>,
    /// Threads [default: one per core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub jobs: Option<u16>,
    /// What the tables are sorted by, the best first.
    #[arg(long, value_name = "METRIC", value_enum, default_value_t = Metric::Equity)]
    pub sort: Metric,
    /// Most memory for the rows that all runs share, such as 8GB, or a share of what is free [default: 60%].
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<MemoryLimit>,
}

/// Flags of `import`.
#[derive(Args, Clone, Debug)]
pub struct ImportArgs {
    /// What the files are: `collector` (`<local time> <JSON>` lines, plain, gz or zst) or `hftbacktest` (.npz, .npy).
    #[arg(value_name = "FORMAT", value_parser = parse_format)]
    pub format: Format,
    /// Recordings: text in any order, arrays in time order.
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

/// Flags of `record`.
#[derive(Args, Clone, Debug)]
pub struct RecordArgs {
    /// Configuration: its mode says which exchange, its symbols and its table `[feed]` say which streams.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Folder for the files, `<symbol>_<UTC date>_<UTC time>.gz`; it is made where it is missing.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Stop after this long, such as 60s or 2h [default: at SIGINT, SIGTERM or a closed terminal].
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    pub run_for: Option<Duration>,
    /// Record an `optiflow exchange` that runs: the file holds the line that its `--json` printed.
    #[arg(long, value_name = "FILE")]
    pub exchange: Option<PathBuf>,
    /// Begin a new file at this size in MiB, besides at every hour [default: 256].
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=65_536))]
    pub file_mb: Option<u64>,
    /// Print the result as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Flags of `parity`.
#[derive(Args, Clone, Debug)]
pub struct ParityArgs {
    /// The session's database.
    #[arg(value_name = "SESSION.db")]
    pub db: PathBuf,
    /// Folder of its capture, as `trade --capture` or `record` wrote it.
    #[arg(long, value_name = "DIR")]
    pub capture: PathBuf,
    /// Which session of the database [default: the last one].
    #[arg(long, value_name = "ID")]
    pub session: Option<i64>,
    /// Folder for parity.csv, parity.html, summary.json and the imported market.
    #[arg(long, value_name = "DIR", default_value = "parity-out")]
    pub out: PathBuf,
    /// Estimate of queue places: risk-averse, log, log2, power:N, power2:N, power3:N, or all of them.
    #[arg(long, value_name = "MODEL | all", default_value = "risk-averse")]
    pub queue: Queues,
    /// Fill resting orders piece by piece as the queue model allows [default: true].
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub partial_fills: Option<bool>,
    /// Let every order and cancel arrive so many ns later, or earlier, up to an hour: how much hangs on latency?
    #[arg(long, value_name = "NS", default_value_t = 0, allow_hyphen_values = true,
        value_parser = clap::value_parser!(i64).range(-DELAY_NS_MAX..=DELAY_NS_MAX))]
    pub delay: i64,
    /// Price of one tick [default: as the session wrote prices].
    #[arg(long, value_name = "PRICE")]
    pub tick: Option<Price>,
    /// Smallest tradable quantity [default: as the session wrote quantities].
    #[arg(long, value_name = "QTY")]
    pub lot: Option<Qty>,
    /// Fee of a maker's fill [default: as the session paid].
    #[arg(long, value_name = "FEE", value_parser = crate::config::backtest::parse_fee, allow_hyphen_values = true)]
    pub maker_fee: Option<i64>,
    /// Fee of a taker's fill [default: as the session paid].
    #[arg(long, value_name = "FEE", value_parser = crate::config::backtest::parse_fee, allow_hyphen_values = true)]
    pub taker_fee: Option<i64>,
    /// Print the summary as one JSON object.
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

/// Flags of `kill`.
#[derive(Args, Clone, Debug)]
pub struct KillArgs {
    /// Configuration: which exchange, whose keys, which database [default: configs/demo.toml, or the demo built in].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A running `optiflow exchange` (mode "sim"): the file holds the line that its `--json` printed.
    #[arg(long, value_name = "FILE")]
    pub exchange: Option<PathBuf>,
    /// Database of the engine, beside which its lock file lies (overrides the configuration).
    #[arg(long, value_name = "FILE")]
    pub db: Option<PathBuf>,
    /// Close every position too, by market orders that can only reduce.
    #[arg(long)]
    pub flatten: bool,
    /// Only this symbol; may be given several times [default: all symbols of the account].
    #[arg(long = "symbol", value_name = "SYMBOL", value_parser = parse_symbol)]
    pub symbols: Vec<SymbolName>,
    /// Print the result as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Flags of `world`.
#[derive(Args, Clone, Debug)]
pub struct WorldArgs {
    /// Which worlds; the end is not included.
    #[arg(long, value_name = "FROM..TO", value_parser = parse_seeds)]
    pub seeds: Range<u64>,
    /// For how many virtual minutes faults strike in each.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub minutes: u64,
    /// Threads [default: one per core].
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZero<u16>>,
    /// Before the line of a world that broke a rule, what its process said last.
    #[arg(long)]
    pub trail: bool,
    /// What to leave out of each: kinds of faults, kills, halt, stalls, disk, modifies, second_symbol, skips, pieces.
    #[arg(long, value_name = "KIND,…", value_delimiter = ',', value_parser = parse_part, conflicts_with = "keep")]
    pub without: Vec<Part>,
    /// Make each world that broke a rule as small as it breaks that rule still, and print the command that lives that.
    #[arg(long)]
    pub shrink: bool,
    /// Append the seeds of worlds that broke a rule to this file, such as backtest/seeds.txt, which the tests live again.
    #[arg(long, value_name = "FILE")]
    pub keep: Option<PathBuf>,
    /// Print the sums as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// How far `parity` may move the arrival of orders: an hour.
const DELAY_NS_MAX: i64 = 3_600_000_000_000;
