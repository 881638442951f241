//! The live stages as a world: strategies of the engine over stored rows, every symbol of the configuration at once.
//!
//! A run is `optiflow backtest`'s with the same configuration: the same settings and rows give the same hash. The rows of
//! all files are in memory as they are stored; a run reads them through lanes of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use optiflow_backtest::stages::observer::{Answer, Standing, SymbolStanding};
use optiflow_backtest::stages::{self, Lane, Observer};
use optiflow_base::clock::Nanos;
use optiflow_base::ids::SymbolId;
use optiflow_base::money::Notional;
use optiflow_store::event::Row;
use toml::Table;

use super::digest::{Hashed, START, mix_all, mix_bytes};
use super::memory::Room;
use super::metrics::{Sums, Watch};
use super::overrides::Base;
use super::plan::Plan;
use super::world::{Done, Opened, World};
use crate::backtest::settings::Settings;
use crate::backtest::stages::ground::{self, Ground};
use crate::backtest::stages::market::{Market, Told};
use crate::cli::SweepArgs;
use crate::config::Config;
use crate::config::backtest::StrategyName;
use crate::problem::Problem;
use crate::progress;

/// The world before its market is read.
pub struct Stages<'a> {
    args: &'a SweepArgs,
    base: Base<Config>,
    names: String,
    told: Vec<Told>,
    lanes: Vec<Lane>,
    rows: u64,
}

/// The market as it is stored.
pub struct Stored {
    told: Vec<Told>,
    streams: Vec<Stream>,
    rows: u64,
    identity: u64,
    run_for: Option<Duration>,
}

/// One stream of rows in memory, and which of its symbols are whose.
struct Stream {
    blocks: Arc<Vec<Vec<Row>>>,
    symbols: Vec<Option<SymbolId>>,
}

/// Settings of one run.
pub struct Job {
    config: Config,
    settings: Settings,
}

impl Stages<'_> {
    /// Opens the data, and reads the configuration that every point starts from.
    pub fn open(args: &SweepArgs) -> Result<Stages<'_>, Problem> {
        let backtest = &args.backtest;
        let (config, text) = ground::config(backtest)?;
        let market = Market::choose(backtest, config.as_ref())?;
        let bar = progress::events_bar(0);
        let opened = market.open(backtest.symbol, &bar)?;
        let path = backtest.config.clone().unwrap_or(PathBuf::from("the grid"));
        let table = table(&path, &text, config.is_some(), || ground::usual_text(&opened.names(backtest.symbol)))?;
        let base = Base::of_table(&path, only(table, backtest.symbol.as_deref()), Config::from_text);
        let base = base.of(StrategyName::ScalpingV1);
        let config = base.config()?;
        let names: Vec<_> = config.symbols.iter().map(|symbol| symbol.name).collect();
        let rows = opened.rows();
        let (told, lanes) = opened.take(&names)?;
        let names = names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(",");
        Ok(Stages { args, base, names, told, lanes, rows })
    }
}

/// The whole configuration: the file's where it has symbols, else the usual one with the file's `[backtest]`.
fn table(path: &Path, text: &str, is_whole: bool, usual: impl Fn() -> String) -> Result<Table, Problem> {
    let parse = |text: &str| text.parse::<Table>();
    let wrong = |error| Problem::Usage(format!("{}: {error}", path.display()));
    let mut file = parse(text).map_err(wrong)?;
    if is_whole {
        return Ok(file);
    }
    let mut table = parse(&usual()).map_err(|error| Problem::Failed(error.to_string()))?;
    table.extend(file.remove_entry("backtest"));
    Ok(table)
}

/// Without the symbols that are not asked for.
fn only(mut table: Table, wanted: Option<&str>) -> Table {
    if let (Some(wanted), Some(symbols)) = (wanted, table.get_mut("symbol").and_then(|symbols| symbols.as_array_mut()))
    {
        symbols.retain(|symbol| symbol.get("name").and_then(|name| name.as_str()) == Some(wanted));
    }
    table
}

impl Opened for Stages<'_> {
    type World = Stored;

    fn names(&self) -> (String, String) {
        (StrategyName::ScalpingV1.name().to_owned(), self.names.clone())
    }

    fn plan(&mut self) -> Result<Plan<Job>, Problem> {
        let args = &self.args.backtest;
        Plan::read(&self.args.grid, &self.base, |_, mut config| {
            let settings = ground::settings(args, &config)?;
            let ground = Ground::over(&config, &settings, &self.told, Vec::new())?;
            // What the file says of a backtest is in the settings by now, flags considered.
            (config.backtest, config.effective) = (None, Vec::new());
            let hash = Hashed::default().with(&ground.stages.core).with(&ground.stages.latency).with(&args.run_for);
            let number = hash.with(&config).word();
            Ok((Job { config, settings }, number))
        })
    }

    fn read(self, room: &mut Room) -> Result<Stored, Problem> {
        room.check(self.rows, size_of::<Row>())?;
        let bar = progress::events_bar(self.rows);
        let run_for = self.args.backtest.run_for;
        let mut stored = Stored { told: self.told, streams: Vec::new(), rows: 0, identity: START, run_for };
        for mut lane in self.lanes {
            let mut blocks = Vec::new();
            let mut identity = mix_bytes(stored.identity, format!("{:?}", lane.symbols).as_bytes());
            while let Some(block) = lane.rows.next_block().map_err(Problem::Failed)? {
                room.take(block.len(), size_of::<Row>())?;
                identity = block.iter().fold(identity, digest);
                bar.inc(block.len() as u64);
                stored.rows += block.len() as u64;
                blocks.push(block.to_vec());
            }
            stored.identity = identity;
            stored.streams.push(Stream { blocks: Arc::new(blocks), symbols: lane.symbols });
        }
        bar.finish_and_clear();
        Ok(stored)
    }
}

impl World for Stored {
    type Job = Job;

    fn market(&self, _job: &Job) -> (u64, u64) {
        (self.rows, self.identity)
    }

    fn run(&self, job: &Job, passed: &AtomicU64) -> Result<Done, Problem> {
        let lane = |stream: &Stream| {
            let rows = Box::new(Shared { blocks: Arc::clone(&stream.blocks), next: 0 });
            Lane { rows, symbols: stream.symbols.clone() }
        };
        let lanes = self.streams.iter().map(lane).collect();
        let mut ground = Ground::over(&job.config, &job.settings, &self.told, lanes)?;
        ground.stages.run_for = self.run_for;
        let mut watched = Watched::default();
        let outcome = stages::run(ground.stages, ground.lanes, &mut watched).map_err(Problem::Failed)?;
        passed.fetch_add(self.rows, Ordering::Relaxed);
        let sums = outcome.symbols.iter().fold(Sums::default(), |sums, symbol| Sums {
            balance: sums.balance + symbol.balance,
            fees: sums.fees + symbol.fees,
            funding: sums.funding + symbol.funding,
            turnover: sums.turnover + symbol.turnover,
            fills: sums.fills + symbol.fills,
            position: sums.position + symbol.position,
        });
        Ok(Done { hash: outcome.hash, metrics: watched.watch.metrics(&sums) })
    }
}

/// Looks on for the metrics.
#[derive(Default)]
struct Watched {
    watch: Watch,
}

impl Observer for Watched {
    fn answer(&mut self, answer: &Answer) {
        let id = (answer.symbol, answer.order.id.counter().into());
        self.watch.answer(time(answer.local), id, answer.tells, answer.status);
    }

    fn standing(&mut self, standing: &Standing<'_>) {
        let known = || standing.symbols.iter().filter(|symbol| symbol.mid.is_some());
        let equity = known().next().map(|_| known().map(SymbolStanding::profit).sum::<Notional>());
        self.watch.heard(time(standing.heard));
        self.watch.sample(time(standing.at), equity);
    }
}

/// One run's way through the rows that all runs share.
struct Shared {
    blocks: Arc<Vec<Vec<Row>>>,
    next: usize,
}

impl stages::Rows for Shared {
    fn next_block(&mut self) -> Result<Option<&[Row]>, String> {
        let block = self.blocks.get(self.next).map(Vec::as_slice);
        self.next += 1;
        Ok(block)
    }
}

fn digest(state: u64, row: &Row) -> u64 {
    let side = row.side.map_or(2, |side| side as u64);
    let clocks = u64::from(row.on_exch()) << 2 | u64::from(row.on_local()) << 1 | u64::from(row.more());
    let rest = u64::from(row.symbol.0) << 32 | (row.kind as u64) << 16 | side << 8 | clocks;
    mix_all(state, [row.exch.0, row.local.0, row.price.units() as u64, row.qty.units() as u64, row.id, rest])
}

fn time(at: Nanos) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}
