//! The command line: flags are parsed into plain structs here, and each command converts them once.
//!
//! Exit codes: 0 done, 1 failed, 2 usage or configuration.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::config::parse_duration;

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
