//! A configuration file, checked once: text → [`Config`], or every problem it has.
//!
//! Limits have no defaults: whoever trades has written them down. Unknown keys are refused. Never opens a socket and
//! never reads the content of a key file. Runs on the main thread before anything else.

pub mod backtest;
mod echo;
pub mod paper;
pub(crate) mod reader;
mod scalping;
mod tables;
pub mod terms;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use optiflow_base::ids::SymbolName;
use optiflow_base::money::Notional;
use optiflow_engine::strategies::echo::EchoConfig;
use optiflow_engine::strategies::scalping_v1::config::ScalpingConfig;
use optiflow_oms::binance::setup::WantedSettings;
use optiflow_oms::stage::Countdown;
use optiflow_risk::TotalLimits;
use toml::de::DeTable;

use backtest::BacktestConfig;
use paper::PaperConfig;
use reader::{Reader, Section};

pub use reader::parse_duration;

/// A configuration without problems.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which exchange, and whose money.
    pub mode: Mode,
    /// Stop by itself after this long.
    pub run_for: Option<Duration>,
    /// The embedded exchange (mode `sim`).
    pub sim: SimConfig,
    /// How long things travel (mode `paper`, and its backtests).
    pub paper: PaperConfig,
    /// Key files (modes `testnet` and `live`).
    pub keys: Option<KeyFiles>,
    /// Where everything is written.
    pub storage: StorageConfig,
    /// Market streams.
    pub feed: FeedSettings,
    /// Order handling.
    pub oms: OmsSettings,
    /// Limits of the account.
    pub risk: RiskSettings,
    /// What `optiflow backtest` reads of this file.
    pub backtest: Option<BacktestConfig>,
    /// What is traded, and how.
    pub symbols: Vec<SymbolConfig>,
    /// Every field with its effective value, in file order, defaults included.
    pub effective: Vec<(String, String)>,
}

/// Which exchange, and whose money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The simulated exchange: no keys, no network.
    Sim,
    /// The stages against the simulated exchange without its protocol, as in a backtest, at the wall clock's pace.
    Paper,
    /// Binance's test exchange.
    Testnet,
    /// Binance, with real money; also needs `--live`.
    Live,
}

/// The embedded simulated exchange.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// `synthetic`, or recorded files separated by commas.
    pub market: String,
    /// Seed of everything random.
    pub seed: u64,
    /// How fast recorded or synthetic time passes.
    pub speed: f64,
    /// Encrypt as production does.
    pub tls: bool,
    /// Sign the logon of the order socket with an Ed25519 key instead of every order with HMAC.
    pub ed25519: bool,
    /// Where a stopped exchange leaves its keys and certificate; a fresh temporary folder when absent.
    pub folder: Option<PathBuf>,
}

/// Where the secrets are; their content is read only when trading starts.
#[derive(Clone, Debug)]
pub struct KeyFiles {
    /// File with the API key.
    pub api_key_file: PathBuf,
    /// File with the API secret (HMAC) or the private key in PEM (Ed25519).
    pub secret_file: PathBuf,
}

/// Where everything is written.
#[derive(Clone, Debug)]
pub struct StorageConfig {
    /// The SQLite file.
    pub path: PathBuf,
    /// How often signals are sampled.
    pub signal_every: Duration,
}

/// Market streams.
#[derive(Clone, Debug)]
pub struct FeedSettings {
    /// Speed of the diff stream: `0ms`, `100ms`, `250ms`, `500ms`.
    pub depth: String,
    /// Silence of diffs that counts as trouble.
    pub depth_silence: Duration,
    /// Silence of best bid and ask that counts as trouble.
    pub top_silence: Duration,
    /// Silence of trades that counts as trouble.
    pub trade_silence: Duration,
    /// Silence of the mark price that counts as trouble.
    pub mark_silence: Duration,
    /// Window of the trade-flow signal.
    pub flow_window: Duration,
}

/// Order handling.
#[derive(Clone, Copy, Debug)]
pub struct OmsSettings {
    /// How old a request may be when it reaches the exchange, ms.
    pub recv_window_ms: u32,
    /// How long an answer may take before the outcome counts as unknown.
    pub reply_timeout: Duration,
    /// How long an orderly stop may take.
    pub stop_timeout: Duration,
    /// The dead-man's switch: how often it is wound up, and after how long it cancels everything.
    pub countdown: Countdown,
}

/// Limits of the account.
#[derive(Clone, Copy, Debug)]
pub struct RiskSettings {
    /// Limits over all symbols together; absent with one symbol, if its own are enough.
    pub total: Option<TotalLimits>,
    /// Orders in ten seconds; the exchange's own limit applies where it is lower.
    pub orders_ten_seconds: u32,
    /// Orders in a minute; likewise.
    pub orders_minute: u32,
    /// Request weight in a minute; likewise.
    pub weight_minute: u32,
    /// Share of every rate kept for cancels and exits, percent.
    pub reserve_percent: u32,
    /// Oldest market price against which an order may be measured.
    pub quote_age_max: Duration,
}

/// What is traded, and how.
#[derive(Clone, Debug)]
pub struct SymbolConfig {
    /// Venue name, upper case.
    pub name: SymbolName,
    /// Largest single order.
    pub order_notional_max: Notional,
    /// Largest position, everything open counted as filled.
    pub position_notional_max: Notional,
    /// Open orders at once.
    pub open_orders_max: u32,
    /// How far from mid and mark an order may be priced, ppm.
    pub price_band_ppm: i64,
    /// How the account must be set up for it; paper trading and backtests have no account that could be.
    pub settings: WantedSettings,
    /// The strategy and its settings.
    pub strategy: StrategyConfig,
}

/// A strategy and its settings.
#[derive(Clone, Debug)]
pub enum StrategyConfig {
    /// Post-only scalping on book imbalance.
    ScalpingV1(Box<ScalpingConfig>),
    /// One order for every move of the best prices: a yardstick.
    Echo(EchoConfig),
}

/// Everything that is wrong with a configuration.
#[derive(Debug)]
pub struct ConfigError {
    path: PathBuf,
    problems: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        writeln!(
            f,
            "{}: {count} problem{}; nothing was started",
            self.path.display(),
            if count == 1 { "" } else { "s" }
        )?;
        for problem in &self.problems {
            writeln!(f, "  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl ConfigError {
    /// One line a problem.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Every problem of the file, with line numbers.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
            path: path.to_owned(),
            problems: vec![format!("cannot be read: {error}")],
        })?;
        Config::from_text(path, &text)
    }

    /// Checks the text of the file at `path`.
    ///
    /// # Errors
    /// Every problem of the text, with line numbers.
    pub fn from_text(path: &Path, text: &str) -> Result<Config, ConfigError> {
        let checked = Config::parse(text.trim_start_matches('\u{feff}'));
        checked.map_err(|problems| ConfigError { path: path.to_owned(), problems })
    }

    /// Checks the text of a file.
    ///
    /// # Errors
    /// Every problem of the text.
    pub fn parse(text: &str) -> Result<Config, Vec<String>> {
        let (table, syntax) = DeTable::parse_recoverable(text);
        if !syntax.is_empty() {
            return Err(syntax.iter().map(|error| reader::syntax(text, error)).collect());
        }
        let reader = Reader::new(text);
        let mut config = read(reader.root(table.get_ref()));
        check_together(&reader, &config);
        let (problems, effective) = reader.finish();
        config.effective = effective;
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }
}

fn read(root: Section<'_>) -> Config {
    let mode = match root.choice("mode", None, &["sim", "paper", "testnet", "live"]).as_str() {
        "paper" => Mode::Paper,
        "live" => Mode::Live,
        "testnet" => Mode::Testnet,
        _ => Mode::Sim,
    };
    let run_for = root.has("run_for").then(|| root.span("run_for", None, tables::seconds(1)..=tables::seconds(YEAR_S)));
    let config = Config {
        mode,
        run_for,
        sim: tables::sim(root.child("sim")),
        paper: paper::read(root.child("paper")),
        keys: tables::keys(&root, mode),
        storage: tables::storage(root.child("storage")),
        feed: tables::feed(root.child("feed")),
        oms: tables::oms(root.child("oms")),
        risk: tables::risk(root.child("risk")),
        backtest: root.has("backtest").then(|| backtest::read(root.child("backtest"))),
        symbols: root.children("symbol").into_iter().map(tables::symbol).collect(),
        effective: Vec::new(),
    };
    root.end();
    config
}

fn check_together(reader: &Reader<'_>, config: &Config) {
    if config.symbols.is_empty() {
        reader.problem("symbol: nothing to trade; add a [[symbol]] table".to_owned());
    }
    for (index, symbol) in config.symbols.iter().enumerate() {
        if config.symbols[..index].iter().any(|other| other.name == symbol.name) {
            reader.problem(format!("symbol[{index}].name: {} is configured twice", symbol.name));
        }
        if symbol.order_notional_max > symbol.position_notional_max {
            reader.problem(format!(
                "symbol[{index}].order_notional_max: {} exceeds position_notional_max {}",
                symbol.order_notional_max, symbol.position_notional_max
            ));
        }
    }
    if config.risk.total.is_none() && config.symbols.len() > 1 {
        let text = "risk: several symbols have limits together; write total_notional_max and total_open_orders_max";
        reader.problem(text.to_owned());
    }
    let fault = config.oms.countdown.fault(config.symbols.len(), config.risk.weight_minute);
    if let Some(fault) = fault.filter(|_| config.risk.weight_minute > 0) {
        reader.problem(format!("oms.heartbeat, oms.countdown: {fault}"));
    }
    if config.risk.orders_ten_seconds > config.risk.orders_minute {
        reader.problem("risk.orders_ten_seconds: exceeds orders_minute".to_owned());
    }
}

/// Longest run, s.
const YEAR_S: u64 = 366 * 24 * 3_600;
