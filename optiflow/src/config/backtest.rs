//! The table `[backtest]` of a configuration, and the words that it shares with the flags of `optiflow backtest`.
//!
//! Every field may be left out; what a flag says goes before. Never opens the files it names.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use optiflow_base::decimal::{self, UNITS};
use optiflow_base::money::{Price, Qty};
use optiflow_sim::replay::grid::GridConfig;
use optiflow_sim::replay::queue::QueueModel;

use super::ConfigError;
use super::reader::{self, Reader, Section};
use super::terms::TermsConfig;

/// What was asked for, by file or by flags; what is absent has a default where it is used.
#[derive(Clone, Debug, Default)]
pub struct BacktestConfig {
    /// Who trades.
    pub strategy: Option<StrategyName>,
    /// The orders that the strategy `script` sends.
    pub script: Option<PathBuf>,
    /// How queue places are estimated.
    pub queue: Option<Queue>,
    /// How long requests and answers travel.
    pub latency: Option<LatencyChoice>,
    /// Fill resting orders piece by piece?
    pub partial_fills: Option<bool>,
    /// Follow hftbacktest's conventions?
    pub compatible: Option<bool>,
    /// Price of one tick.
    pub tick: Option<Price>,
    /// Smallest tradable quantity.
    pub lot: Option<Qty>,
    /// What the exchange asks and charges.
    pub terms: TermsConfig,
    /// Parameters of the strategy `grid`.
    pub grid: GridConfig,
}

/// Who trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StrategyName {
    /// The symmetric grid market maker, the yardstick for speed.
    Grid,
    /// What a file says, when it says so.
    Script,
    /// Nobody: the market passes.
    None,
    /// The engine's strategy of that name, through engine, risk and order table.
    #[value(name = "scalping_v1")]
    ScalpingV1,
}

impl StrategyName {
    /// As written.
    pub const fn name(self) -> &'static str {
        match self {
            StrategyName::Grid => "grid",
            StrategyName::Script => "script",
            StrategyName::None => "none",
            StrategyName::ScalpingV1 => "scalping_v1",
        }
    }
}

/// How queue places are known, and how that was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Queue {
    /// As written.
    pub text: String,
    /// What it means.
    pub choice: QueueChoice,
}

/// How queue places are known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum QueueChoice {
    /// Estimated, as recorded depth must be.
    Estimate(QueueModel),
    /// First in first out among single orders, which only the synthetic market tells.
    Fifo,
}

impl Queue {
    /// The estimate.
    ///
    /// # Errors
    /// When it is `fifo`: recordings do not tell single orders.
    pub fn estimate(&self) -> Result<QueueModel, String> {
        match self.choice {
            QueueChoice::Estimate(model) => Ok(model),
            QueueChoice::Fifo => {
                Err("the queue fifo needs a market of single orders, and recordings tell only what a \
                level shows; use the synthetic market, or an estimate such as --queue risk-averse"
                    .to_owned())
            }
        }
    }
}

impl FromStr for Queue {
    type Err = String;
    fn from_str(text: &str) -> Result<Queue, String> {
        let choice = match text {
            "fifo" => QueueChoice::Fifo,
            _ => QueueChoice::Estimate(
                text.parse().map_err(|problem| format!("{problem}, or fifo on a synthetic market"))?,
            ),
        };
        Ok(Queue { text: text.to_owned(), choice })
    }
}

/// How long requests and answers travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LatencyChoice {
    /// The same every time.
    Constant {
        /// To the exchange; negative is lost on the way.
        entry_ns: i64,
        /// And back.
        response_ns: i64,
    },
    /// Interpolated between the measured requests of a file.
    Table(PathBuf),
    /// Drawn from the round trips that a session measured.
    Session {
        /// Its `trading_log.db`.
        file: PathBuf,
        /// Of the draws.
        seed: u64,
    },
}

impl FromStr for LatencyChoice {
    type Err = String;
    fn from_str(text: &str) -> Result<LatencyChoice, String> {
        if let Some(session) = text.strip_prefix("session:") {
            let seeded = session.rsplit_once(':').and_then(|(file, seed)| Some((file, seed.parse().ok()?)));
            let (file, seed) = seeded.unwrap_or((session, LATENCY_SEED_USUAL));
            if file.is_empty() {
                return Err(format!("{text:?}: name the session's file, such as session:trading_log.db:1"));
            }
            return Ok(LatencyChoice::Session { file: PathBuf::from(file), seed });
        }
        let numbers = text.split_once(':').map(|(entry, response)| (entry.parse(), response.parse()));
        match numbers {
            Some((Ok(entry_ns), Ok(response_ns))) => constant(entry_ns, response_ns),
            Some((Ok(_), Err(_)) | (Err(_), Ok(_))) => {
                Err(format!("{text:?}: write two whole numbers of ns, such as 5000000:3000000, or the name of a file"))
            }
            Some((Err(_), Err(_))) | None => Ok(LatencyChoice::Table(PathBuf::from(text))),
        }
    }
}

fn constant(entry_ns: i64, response_ns: i64) -> Result<LatencyChoice, String> {
    if entry_ns.abs() > LATENCY_NS_MAX || !(0..=LATENCY_NS_MAX).contains(&response_ns) {
        return Err("a latency is at most an hour, and an answer is not back before it left".to_owned());
    }
    Ok(LatencyChoice::Constant { entry_ns, response_ns })
}

/// Reads a fee in parts per million: `200`, `200ppm`, `2bps` or `0.02%`.
///
/// # Errors
/// When it is none, is not a whole number of ppm, or is beyond 10 %.
pub fn parse_fee(text: &str) -> Result<i64, String> {
    let units = [("ppm", 1), ("bps", 100), ("%", 10_000), ("", 1)];
    let split = units.iter().find_map(|(unit, ppm)| text.strip_suffix(unit).map(|number| (number, *ppm)));
    let (number, ppm) = split.unwrap_or((text, 1));
    let number = decimal::parse(number.trim_end().as_bytes());
    let number = number.map_err(|error| format!("{text:?} {error}; write a fee as 200ppm, 2bps or 0.02%"))?;
    let scaled = i128::from(number) * ppm;
    if scaled % i128::from(UNITS) != 0 {
        return Err(format!("{text:?} is not a whole number of ppm; write a fee as 200ppm, 2bps or 0.02%"));
    }
    let fee = i64::try_from(scaled / i128::from(UNITS)).ok().filter(|fee| fee.abs() <= FEE_PPM_MAX);
    fee.ok_or_else(|| format!("{text:?} is beyond 10 %"))
}

/// Reads the table `[backtest]` of the file at `path`; other tables are left to `optiflow check`.
///
/// # Errors
/// Every problem of the table, with line numbers.
pub fn load(path: &Path) -> Result<BacktestConfig, ConfigError> {
    let failed = |problems| ConfigError { path: path.to_owned(), problems };
    let text = std::fs::read_to_string(path).map_err(|error| failed(vec![format!("cannot be read: {error}")]))?;
    from_text(path, &text)
}

/// Reads the table `[backtest]` of the text of the file at `path`.
///
/// # Errors
/// As [`load`].
pub fn from_text(path: &Path, text: &str) -> Result<BacktestConfig, ConfigError> {
    let failed = |problems| ConfigError { path: path.to_owned(), problems };
    let text = text.trim_start_matches('\u{feff}');
    let table = reader::tables(text).map_err(failed)?;
    let reader = Reader::new(text);
    let root = reader.root(table.get_ref());
    if !root.has("backtest") {
        return Err(failed(vec!["it has no table [backtest]; add one, or leave out --config".to_owned()]));
    }
    let config = read(root.child("backtest"));
    drop(root);
    let (problems, _) = reader.finish();
    if problems.is_empty() { Ok(config) } else { Err(failed(problems)) }
}

/// Reads the table.
pub fn read(section: Section<'_>) -> BacktestConfig {
    let strategy =
        section.has("strategy").then(|| section.choice("strategy", None, &["grid", "script", "none", "scalping_v1"]));
    let config = BacktestConfig {
        strategy: strategy.and_then(|name| StrategyName::from_str(&name, false).ok()),
        script: section.maybe_text("script").map(PathBuf::from),
        queue: parsed(&section, "queue", Queue::from_str),
        latency: read_latency(&section),
        partial_fills: section.has("partial_fills").then(|| section.flag("partial_fills", None)),
        compatible: section.has("compatible").then(|| section.flag("compatible", None)),
        tick: parsed(&section, "tick", |text| positive(text).map(Price::from_units)),
        lot: parsed(&section, "lot", |text| positive(text).map(Qty::from_units)),
        terms: TermsConfig::read(&section),
        grid: read_grid(section.child("grid")),
    };
    section.end();
    config
}

/// A text that `parse` understands.
pub(super) fn parsed<T>(
    section: &Section<'_>,
    key: &'static str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Option<T> {
    let text = section.maybe_text(key).filter(|text| !text.is_empty())?;
    parse(&text).map_err(|problem| section.problem(key, problem)).ok()
}

fn positive(text: &str) -> Result<i64, String> {
    match decimal::parse(text.as_bytes()) {
        Ok(units) if units > 0 => Ok(units),
        Ok(_) => Err(format!("{text:?} must be above zero")),
        Err(error) => Err(format!("{text:?} {error}")),
    }
}

fn read_latency(section: &Section<'_>) -> Option<LatencyChoice> {
    if !section.has("latency") {
        return None;
    }
    let latency = section.child("latency");
    let choice = match (latency.maybe_text("table"), latency.maybe_text("session")) {
        (Some(_), Some(_)) => {
            section.problem("latency", "it has a table and a session; leave one of them out");
            return None;
        }
        (Some(table), None) => LatencyChoice::Table(PathBuf::from(table)),
        (None, Some(file)) => {
            let seed = latency.int("seed", i64::try_from(LATENCY_SEED_USUAL).ok(), 0..=i64::MAX);
            LatencyChoice::Session { file: PathBuf::from(file), seed: seed.unsigned_abs() }
        }
        (None, None) => LatencyChoice::Constant {
            entry_ns: latency.int("entry_ns", None, -LATENCY_NS_MAX..=LATENCY_NS_MAX),
            response_ns: latency.int("response_ns", None, 0..=LATENCY_NS_MAX),
        },
    };
    latency.end();
    Some(choice)
}

fn read_grid(section: Section<'_>) -> GridConfig {
    let usual = GridConfig::default();
    let period = Duration::from_nanos(usual.period_ns.unsigned_abs());
    let period = section.span("period", Some(period), Duration::from_millis(1)..=Duration::from_secs(86_400));
    let levels = section.int("levels", Some(usual.levels as i64), 1..=GRID_LEVELS_MAX);
    let grid = GridConfig {
        half_spread: section.float("half_spread", Some(usual.half_spread), 0.0..=1.0),
        interval: section.float("interval", Some(usual.interval), 0.0..=1.0),
        levels: usize::try_from(levels).unwrap_or(usual.levels),
        skew: section.float("skew", Some(usual.skew), 0.0..=1.0),
        order_qty: section.float("order_qty", Some(usual.order_qty), 0.000_000_01..=1e9),
        max_position: section.float("max_position", Some(usual.max_position), 0.0..=1e9),
        period_ns: i64::try_from(period.as_nanos()).unwrap_or(usual.period_ns),
    };
    section.end();
    grid
}

/// An hour: longer is a slip of the unit.
const LATENCY_NS_MAX: i64 = 3_600_000_000_000;
const LATENCY_SEED_USUAL: u64 = 1;
const FEE_PPM_MAX: i64 = 100_000;
const GRID_LEVELS_MAX: i64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fees_are_read_in_their_unit_or_refused() {
        let table =
            [("200", Ok(200)), ("200ppm", Ok(200)), ("2bps", Ok(200)), ("-0.5bps", Ok(-50)), ("0.02%", Ok(200))];
        for (text, expected) in table {
            assert_eq!(parse_fee(text), expected, "{text}");
        }
        for bad in ["", "0.0002", "bps", "2 bip", "11%"] {
            assert!(parse_fee(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_latency_is_two_numbers_or_a_file() {
        let table = |text: &str| text.parse::<LatencyChoice>();
        assert_eq!(
            table("5000000:3000000"),
            Ok(LatencyChoice::Constant { entry_ns: 5_000_000, response_ns: 3_000_000 })
        );
        assert_eq!(table("a/b.npz"), Ok(LatencyChoice::Table("a/b.npz".into())));
        let session = |file: &str, seed| Ok(LatencyChoice::Session { file: file.into(), seed });
        assert_eq!(table("session:a:b.db"), session("a:b.db", 1));
        assert_eq!(table("session:a.db:42"), session("a.db", 42));
        for bad in ["5:x", "x:5", "5:-1", "9999999999999:1", "session:", "session::3"] {
            assert!(table(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn fifo_is_a_queue_that_recordings_do_not_have() {
        let fifo: Queue = "fifo".parse().unwrap();
        assert_eq!(fifo.choice, QueueChoice::Fifo);
        assert!(fifo.estimate().unwrap_err().contains("synthetic"));
        let log: Queue = "log".parse().unwrap();
        assert_eq!(log.estimate(), Ok(QueueModel::Log));
    }

    #[test]
    fn every_problem_of_the_table_is_listed() {
        let text = "[backtest]\nqueue = \"fast\"\nlatency = { entry_ns = 1 }\ntick = \"0\"\nmaker_fee = \"1\"\nlots = 1\n[backtest.grid]\nlevels = 0\n";
        let table = reader::tables(text).unwrap();
        let reader = Reader::new(text);
        let config = read(reader.root(table.get_ref()).child("backtest"));
        let (problems, _) = reader.finish();
        for part in
            ["queue model \"fast\"", "response_ns: missing", "above zero", "unknown key", "levels: 0 is outside"]
        {
            assert!(problems.iter().any(|problem| problem.contains(part)), "{part}: {problems:?}");
        }
        assert_eq!((problems.len(), config.terms.maker_fee), (5, Some(1)));
    }
}
