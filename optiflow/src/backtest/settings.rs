//! What was asked for, by flags before the configuration, checked against what the files hold.
//!
//! Never opens the market; reads a latency table and a script, which are small.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use optiflow_base::decimal::UNITS;
use optiflow_base::money::{Price, Qty};
use optiflow_sim::replay::grid::GridConfig;
use optiflow_sim::replay::latency::{Histogram, Latency, LatencyRow, RoundTrips};
use optiflow_sim::replay::queue::QueueModel;
use optiflow_sim::replay::script::{OffTick, Script};
use optiflow_sim::replay::terms::Terms;
use optiflow_sim::replay::{ReplayConfig, Scale};
use optiflow_storage::reader::round_trips;
use optiflow_store::schema::SymbolInfo;

use crate::cli::BacktestArgs;
use crate::config::backtest::{self, BacktestConfig, LatencyChoice, Queue, QueueChoice, StrategyName};
use crate::config::terms::Fees;
use crate::import::store_problem;
use crate::problem::Problem;

/// What was asked for, with defaults for the rest.
pub struct Settings {
    /// Who trades.
    pub strategy: Strategy,
    /// How queue places are estimated.
    pub queue: Queue,
    /// How long requests and answers travel.
    pub latency: LatencyChoice,
    /// Fill resting orders piece by piece?
    pub partial_fills: bool,
    /// Follow hftbacktest's conventions?
    pub compatible: bool,
    /// Fee of a maker's fill, ppm.
    pub maker_fee_ppm: i64,
    /// Fee of a taker's fill, ppm.
    pub taker_fee_ppm: i64,
    /// What the exchange asks besides a match; nothing with the peer's conventions.
    pub terms: Terms,
    pub(crate) tick: Option<Price>,
    pub(crate) lot: Option<Qty>,
}

/// Who trades, and with what.
#[derive(Clone)]
pub enum Strategy {
    /// The grid.
    Grid(GridConfig),
    /// A file.
    Script(PathBuf),
    /// Nobody.
    None,
    /// The live stages and their strategy `scalping_v1`.
    ScalpingV1,
}

impl Strategy {
    /// As written on the command line.
    pub const fn name(&self) -> StrategyName {
        match self {
            Strategy::Grid(_) => StrategyName::Grid,
            Strategy::Script(_) => StrategyName::Script,
            Strategy::None => StrategyName::None,
            Strategy::ScalpingV1 => StrategyName::ScalpingV1,
        }
    }
}

impl Settings {
    /// Flags before the configuration before defaults.
    pub fn read(args: &BacktestArgs) -> Result<Settings, Problem> {
        let file = match &args.config {
            Some(path) => backtest::load(path).map_err(|error| Problem::Usage(error.to_string()))?,
            None => BacktestConfig::default(),
        };
        Settings::over(args, file)
    }

    /// Flags before what a file says before defaults.
    pub fn over(args: &BacktestArgs, file: BacktestConfig) -> Result<Settings, Problem> {
        let compatible = args.compatible.or(file.compatible).unwrap_or(false);
        let queue = || Queue { text: "risk-averse".to_owned(), choice: QueueChoice::Estimate(QueueModel::RiskAverse) };
        let terms = args.terms.over(&file.terms);
        let Fees { maker_ppm, taker_ppm } = terms.fees();
        let strategy = strategy(args, &file)?;
        // The live stages know no conventions of a peer, and say so where they read this.
        let is_peers = compatible && strategy.name() != StrategyName::ScalpingV1;
        Ok(Settings {
            strategy,
            queue: args.queue.clone().or(file.queue).unwrap_or_else(queue),
            latency: args.latency.clone().or(file.latency).unwrap_or(LATENCY_USUAL),
            partial_fills: args.partial_fills.or(file.partial_fills).unwrap_or(!compatible),
            compatible,
            maker_fee_ppm: maker_ppm,
            taker_fee_ppm: taker_ppm,
            terms: terms.terms(is_peers).map_err(Problem::Usage)?,
            tick: args.tick.or(file.tick),
            lot: args.lot.or(file.lot),
        })
    }

    /// What the core is to run, for a symbol.
    pub fn replay(&self, symbol: &SymbolInfo) -> Result<ReplayConfig, Problem> {
        Ok(ReplayConfig {
            scale: self.scale(symbol)?,
            queue: self.queue.estimate().map_err(Problem::Usage)?,
            latency: self.latency()?,
            partial_fills: self.partial_fills,
            compatible: self.compatible,
            maker_fee_ppm: self.maker_fee_ppm,
            taker_fee_ppm: self.taker_fee_ppm,
            terms: self.terms,
        })
    }

    fn scale(&self, symbol: &SymbolInfo) -> Result<Scale, Problem> {
        let tick = self.tick.unwrap_or(symbol.tick);
        let lot = self.lot.unwrap_or(symbol.lot);
        for (name, units, asked) in
            [("tick", tick.units(), self.tick.is_some()), ("lot", lot.units(), self.lot.is_some())]
        {
            if units <= 0 {
                let why = if asked { "must be above zero" } else { "is not told by the files" };
                let example = if name == "tick" { "0.1" } else { "0.001" };
                let symbol = symbol.name;
                return Err(Problem::Usage(format!(
                    "the {name} of {symbol} {why}; give it, such as --{name} {example}"
                )));
            }
        }
        // Parts of 10⁻⁸ are exact and need no division. Of coins of which billions are displayed they are too fine; such
        // trade in whole coins.
        let coarse = lot.units() >= UNITS && lot.units() % COARSE_PARTS_PER_LOT == 0;
        Ok(if coarse { Scale { tick, lot, parts_per_lot: COARSE_PARTS_PER_LOT } } else { Scale::finest(tick, lot) })
    }

    /// The latency model.
    pub(crate) fn latency(&self) -> Result<Latency, Problem> {
        match &self.latency {
            LatencyChoice::Constant { entry_ns, response_ns } => {
                Ok(Latency::Constant { entry_ns: *entry_ns, response_ns: *response_ns })
            }
            LatencyChoice::Table(path) => {
                let rows = optiflow_store::latency::read(path).map_err(|error| store_problem(&error))?;
                let row = |row: &optiflow_store::latency::LatencyRow| LatencyRow {
                    request_ns: row.request,
                    exchange_ns: row.exch,
                    response_ns: row.response,
                };
                let table = Latency::table(rows.iter().map(row).collect::<Vec<_>>());
                table.map_err(|error| Problem::Failed(format!("{}: {error}", path.display())))
            }
            LatencyChoice::Session { file, seed } => session_latency(file, *seed),
        }
    }
}

/// The round trips that a session measured; cancels count as orders where it sent none, modifications always do.
fn session_latency(file: &Path, seed: u64) -> Result<Latency, Problem> {
    if !file.exists() {
        return Err(Problem::Usage(format!(
            "{}: there is no such file; give a session's trading_log.db",
            file.display()
        )));
    }
    let mut magic = Vec::new();
    let read = File::open(file).and_then(|file| file.take(SQLITE_MAGIC.len() as u64).read_to_end(&mut magic));
    if read.is_ok() && magic != SQLITE_MAGIC {
        let file = file.display();
        return Err(Problem::Usage(format!(
            "{file}: this is no session database; give the trading_log.db of a session, or --latency ENTRY_NS:RESPONSE_NS"
        )));
    }
    let measured = round_trips(file).map_err(|error| Problem::Failed(error.to_string()))?;
    let new = measured.as_ref().and_then(|measured| Histogram::new(measured.orders.iter().copied()));
    let Some((measured, new)) = measured.zip(new) else {
        let file = file.display();
        return Err(Problem::Failed(format!(
            "{file}: no session in it sent an order and ended in order, so it tells no latency; give another, or --latency ENTRY_NS:RESPONSE_NS"
        )));
    };
    let cancel = Histogram::new(measured.cancels).unwrap_or_else(|| new.clone());
    Ok(Latency::drawn(RoundTrips { modify: new.clone(), new, cancel }, seed))
}

/// A file that names orders and a strategy that has none contradicts itself, unless a flag decides.
pub(crate) fn check_script(args: &BacktestArgs, file: &BacktestConfig) -> Result<(), Problem> {
    let other = file.strategy.filter(|name| *name != StrategyName::Script && file.script.is_some());
    match other.filter(|_| args.strategy.is_none() && args.script.is_none()) {
        None => Ok(()),
        Some(name) => Err(Problem::Usage(format!(
            "[backtest] has strategy = \"{}\" and a script, which is for the strategy script; leave one of them out",
            name.name()
        ))),
    }
}

fn strategy(args: &BacktestArgs, file: &BacktestConfig) -> Result<Strategy, Problem> {
    check_script(args, file)?;
    let script = args.script.clone().or_else(|| file.script.clone());
    let implied = if script.is_some() { StrategyName::Script } else { StrategyName::Grid };
    let flagged = args.strategy.or(args.script.as_ref().map(|_| StrategyName::Script));
    let name = flagged.or(file.strategy).unwrap_or(implied);
    if args.script.is_some() && name != StrategyName::Script {
        let name = name.name();
        return Err(Problem::Usage(format!("--script is for the strategy script, not {name}; leave one of them out")));
    }
    match (name, script) {
        (StrategyName::Grid, _) => Ok(Strategy::Grid(file.grid)),
        (StrategyName::None, _) => Ok(Strategy::None),
        (StrategyName::ScalpingV1, _) => Ok(Strategy::ScalpingV1),
        (StrategyName::Script, Some(path)) => Ok(Strategy::Script(path)),
        (StrategyName::Script, None) => {
            Err(Problem::Usage("the strategy script needs its orders; give them as --script FILE".to_owned()))
        }
    }
}

/// Reads the orders of a script.
pub fn read_script(path: &PathBuf, config: &ReplayConfig) -> Result<Script, Problem> {
    let named = |problem: &dyn std::fmt::Display| Problem::Usage(format!("{}: {problem}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| named(&format!("cannot be read: {error}")))?;
    let off_tick = if config.compatible { OffTick::Rounded } else { OffTick::Refused };
    Script::parse(&text, &config.scale, off_tick).map_err(|error| named(&error))
}

/// Can the grid trade this symbol? Orders are whole lots.
pub fn check_grid(grid: &GridConfig, scale: &Scale) -> Result<(), Problem> {
    let units = (grid.order_qty * UNITS as f64).round() as i64;
    if units > 0 && units % scale.lot.units() == 0 {
        return Ok(());
    }
    let (qty, lot) = (grid.order_qty, scale.lot);
    Err(Problem::Usage(format!(
        "the grid's orders of {qty} are no whole lots of {lot}; set order_qty and max_position in [backtest.grid] of a --config, or --lot"
    )))
}

/// A slow order path: better too slow than too good.
const LATENCY_USUAL: LatencyChoice = LatencyChoice::Constant { entry_ns: 5_000_000, response_ns: 5_000_000 };
const COARSE_PARTS_PER_LOT: i64 = 1_000;
/// The first bytes of every SQLite file.
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";
