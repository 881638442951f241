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

    /// Checks of the text of the file at `path` what a command that ends things needs: which exchange, whose keys, which
    /// database. Problems elsewhere, such as a limit that is missing, must not keep anybody from ending; they come with it.
    ///
    /// # Errors
    /// Every problem of what is needed, with line numbers.
    pub fn for_ending(path: &Path, text: &str) -> Result<(Config, Vec<String>), ConfigError> {
        let refused = |problems| ConfigError { path: path.to_owned(), problems };
        let text = text.trim_start_matches('\u{feff}');
        let table = reader::tables(text).map_err(refused)?;
        let needed = Reader::new(text);
        read_needed(&needed.root(table.get_ref()));
        let (problems, _) = needed.finish();
        if !problems.is_empty() {
            return Err(refused(problems));
        }
        let reader = Reader::new(text);
        let config = read(reader.root(table.get_ref()));
        check_together(&reader, &config);
        Ok((config, reader.finish().0))
    }

    /// Checks the text of a file.
    ///
    /// # Errors
    /// Every problem of the text.
    pub fn parse(text: &str) -> Result<Config, Vec<String>> {
        let table = reader::tables(text)?;
        let reader = Reader::new(text);
        let mut config = read(reader.root(table.get_ref()));
        check_together(&reader, &config);
        let (problems, effective) = reader.finish();
        config.effective = effective;
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }
}

/// What a command that ends things reads.
fn read_needed(root: &Section<'_>) {
    let mode = read_mode(root);
    tables::keys(root, mode);
    tables::storage(root.child("storage"));
    if mode == Mode::Sim {
        tables::sim(root.child("sim"));
    }
}

fn read_mode(root: &Section<'_>) -> Mode {
    match root.choice("mode", None, &["sim", "paper", "testnet", "live"]).as_str() {
        "paper" => Mode::Paper,
        "live" => Mode::Live,
        "testnet" => Mode::Testnet,
        _ => Mode::Sim,
    }
}

fn read(root: Section<'_>) -> Config {
    let mode = read_mode(&root);
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
        let field = |name: &str| format!("symbol[{index}].{name}");
        let name = symbol.name.as_str();
        if !name.is_empty() && config.symbols[..index].iter().any(|other| other.name == symbol.name) {
            reader.problem(format!("{}: {name} is configured twice; leave one table out", field("name")));
        }
        let (order, position) = (symbol.order_notional_max, symbol.position_notional_max);
        if order > position {
            let text = format!("{order} exceeds position_notional_max {position}; lower it");
            reader.contradiction(&[&field("order_notional_max"), &field("position_notional_max")], text);
        }
    }
    if config.risk.total.is_none() && config.symbols.len() > 1 {
        let text = "risk: several symbols have limits together; write total_notional_max and total_open_orders_max";
        reader.problem(text.to_owned());
    }
    let RiskSettings { orders_ten_seconds: ten_seconds, orders_minute: minute, weight_minute, .. } = config.risk;
    if let Some(fault) = config.oms.countdown.fault(config.symbols.len(), weight_minute) {
        reader.contradiction(&["oms.heartbeat", "oms.countdown", "risk.weight_minute"], fault);
    }
    if ten_seconds > minute {
        let text = format!("{ten_seconds} exceeds orders_minute {minute}; lower it");
        reader.contradiction(&["risk.orders_ten_seconds", "risk.orders_minute"], text);
    }
}

/// Longest run, s.
const YEAR_S: u64 = 366 * 24 * 3_600;

#[cfg(test)]
mod tests {
    use super::*;

    const DEMO: &str = include_str!("../../../configs/demo.toml");

    #[test]
    fn a_mistake_keeps_nobody_from_ending_unless_it_is_about_where_to_end() {
        let ending = |text: &str| Config::for_ending(Path::new("a.toml"), text);
        assert!(ending(DEMO).unwrap().1.is_empty());
        let broken = DEMO.replace("orders_minute = 600", "orders_minte = 600").replace("\"500\"", "500.5");
        let (config, elsewhere) = ending(&broken).unwrap();
        assert_eq!((config.mode, config.storage.path), (Mode::Sim, PathBuf::from("trading_log.db")));
        assert_eq!(elsewhere, Config::parse(&broken).unwrap_err(), "they are told all the same");
        assert_eq!(elsewhere.len(), 3, "{elsewhere:?}");
        for (from, to, says) in [
            ("mode = \"sim\"", "mode = \"simm\"", "none of sim"),
            ("mode = \"sim\"", "mode = \"live\"", "keys.secret_file: missing"),
            ("path = \"trading_log.db\"", "pfad = \"trading_log.db\"", "storage.pfad: unknown key"),
            ("seed = 7", "seed =", "line "),
        ] {
            assert!(ending(&DEMO.replace(from, to)).unwrap_err().to_string().contains(says), "{to}");
        }
    }

    #[test]
    fn limits_that_contradict_each_other_are_told_with_their_values() {
        let text = DEMO.replace("orders_minute = 600", "orders_minute = 60").replace("\"600\"", "\"60\"");
        let problems = Config::parse(&text).unwrap_err();
        assert_eq!(
            problems,
            [
                "symbol[0].order_notional_max: 500 exceeds position_notional_max 60; lower it",
                "risk.orders_ten_seconds: 100 exceeds orders_minute 60; lower it"
            ]
        );
    }
}
