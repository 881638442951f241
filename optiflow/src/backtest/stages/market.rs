//! What a run of the stages replays: stored files side by side, or a market of the simulator.
//!
//! Files that hold the same symbols are one recording, in the order given; files of other symbols run beside them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::ProgressBar;
use optiflow_backtest::stages::rows::Market as Made;
use optiflow_backtest::stages::{Direct, Lane, Rows};
use optiflow_base::clock::Nanos;
use optiflow_base::ids::{SymbolId, SymbolName};
use optiflow_sim::market::{self, SYNTHETIC};
use optiflow_sim::words::Listing;
use optiflow_store::blocks::Blocks;
use optiflow_store::event::Row;
use optiflow_store::schema::SymbolInfo;

use crate::cli::BacktestArgs;
use crate::config::Config;
use crate::import::store_problem;
use crate::problem::Problem;

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Market {
    /// Event stores or arrays.
    Files(Vec<PathBuf>),
    /// A market of the simulator, each event received so long after it happened.
    Made {
        /// `synthetic…`, or raw captures.
        spec: String,
        /// Of what is made up.
        seed: u64,
        /// From an event to us.
        feed_ns: u64,
    },
}

/// A market that can be read.
pub(crate) struct Opened {
    streams: Vec<Stream>,
    rows: u64,
    /// What is made up, to be had a second time: its name, its seed, and how late its rows are.
    made: Option<(String, u64, u64)>,
}

/// One stream and its symbols.
struct Stream {
    rows: Box<dyn Rows>,
    symbols: Vec<Told>,
}

/// What the market itself says of a symbol.
#[derive(Clone)]
pub(crate) enum Told {
    /// The grid on which its values lie.
    Stored(SymbolInfo),
    /// All of its filters.
    Listed(Box<Listing>),
}

impl Told {
    fn name(&self) -> &str {
        match self {
            Told::Stored(info) => &info.name,
            Told::Listed(listing) => &listing.name,
        }
    }
}

impl Market {
    /// By flags before the configuration.
    pub(crate) fn choose(args: &BacktestArgs, config: Option<&Config>) -> Result<Market, Problem> {
        let Some(spec) = &args.market else { return Ok(Market::Files(args.data.clone())) };
        let seed = args.seed.or(config.map(|config| config.sim.seed)).unwrap_or(SEED_USUAL);
        let feed_ns = config.map_or(FEED_USUAL_NS, |config| config.paper.feed_ns);
        Ok(Market::Made { spec: spec.clone(), seed, feed_ns })
    }

    /// Opens it; `bar` counts the rows of files as they are read.
    pub(crate) fn open(&self, symbol: Option<SymbolName>, bar: &ProgressBar) -> Result<Opened, Problem> {
        match self {
            Market::Files(paths) => open_files(paths, symbol, bar),
            Market::Made { spec, seed, feed_ns } => {
                let source = market::open(spec, *seed).map_err(|error| Problem::Usage(error.to_string()))?;
                let told = |listing: &Listing| Told::Listed(Box::new(listing.clone()));
                let symbols = source.listings().iter().map(told).collect();
                let is_made_up = spec.starts_with(SYNTHETIC);
                let begins = if is_made_up { SYNTHETIC_BEGINS } else { Nanos(0) };
                let rows = Box::new(Made::new(source, *feed_ns).from(begins));
                let made = is_made_up.then(|| (spec.clone(), *seed, *feed_ns));
                Ok(Opened { streams: vec![Stream { rows, symbols }], rows: 0, made })
            }
        }
    }

    /// How long to run: a made-up market never ends by itself.
    pub(crate) fn run_for(&self, args: &BacktestArgs, config: &Config) -> Result<Option<Duration>, Problem> {
        match self {
            Market::Files(_) => Ok(args.run_for),
            Market::Made { spec, .. } => {
                let run_for = args.run_for.or(config.run_for);
                if run_for.is_none() && spec.starts_with(SYNTHETIC) {
                    let text = "a synthetic market never ends; say how much of it, such as --for 60s";
                    return Err(Problem::Usage(text.to_owned()));
                }
                Ok(run_for)
            }
        }
    }

    /// For the report.
    pub(crate) fn words(&self) -> Vec<String> {
        match self {
            Market::Files(paths) => paths.iter().map(|path| path.display().to_string()).collect(),
            Market::Made { spec, seed, .. } if spec.starts_with(SYNTHETIC) => vec![format!("{spec}, seed {seed}")],
            Market::Made { spec, .. } => spec.split(',').map(str::to_owned).collect(),
        }
    }
}

impl Opened {
    /// Rows of all streams; 0 where that is not known.
    pub(crate) const fn rows(&self) -> u64 {
        self.rows
    }

    /// The symbols, or the one asked for.
    pub(crate) fn names(&self, wanted: Option<SymbolName>) -> Vec<SymbolName> {
        let all = self.streams.iter().flat_map(|stream| &stream.symbols);
        let names = all.filter_map(|told| SymbolName::from(told.name()).ok());
        names.filter(|name| wanted.is_none_or(|wanted| wanted == *name)).collect()
    }

    /// The market as an exchange that trades `names` has it itself; `None` of recordings, which tell no single orders.
    pub(crate) fn direct(&self, names: &[SymbolName]) -> Result<Option<Direct>, Problem> {
        let Some((spec, seed, feed_ns)) = &self.made else { return Ok(None) };
        let source = market::open(spec, *seed).map_err(|error| Problem::Usage(error.to_string()))?;
        let symbols = source.listings().iter().map(|listing| number(names, &listing.name)).collect();
        Ok(Some(Direct { source, symbols, feed_ns: *feed_ns, begins: SYNTHETIC_BEGINS }))
    }

    /// What the market says of each of `names`, and its streams with the numbers of the session.
    pub(crate) fn take(self, names: &[SymbolName]) -> Result<(Vec<Told>, Vec<Lane>), Problem> {
        let all: Vec<&Told> = self.streams.iter().flat_map(|stream| &stream.symbols).collect();
        let mut told = Vec::new();
        for name in names {
            let mut found = all.iter().filter(|told| told.name() == name.as_str());
            match (found.next(), found.next()) {
                (Some(symbol), None) => told.push(Told::clone(symbol)),
                (None, _) => {
                    let there = all.iter().map(|told| told.name()).collect::<Vec<_>>().join(", ");
                    return Err(Problem::Usage(format!("the market has no {name}; it has {there}")));
                }
                (Some(_), Some(_)) => {
                    let text = format!("{name} is in files of different symbols; give files that hold the same ones");
                    return Err(Problem::Usage(text));
                }
            }
        }
        let numbers = |stream: &Stream| stream.symbols.iter().map(|told| number(names, told.name())).collect();
        let lane = |stream: Stream| Lane { symbols: numbers(&stream), rows: stream.rows };
        Ok((told, self.streams.into_iter().map(lane).collect()))
    }
}

/// The session's number of a symbol; `None` when it is not traded.
fn number(names: &[SymbolName], wanted: &str) -> Option<SymbolId> {
    let at = names.iter().position(|name| name.as_str() == wanted)?;
    u16::try_from(at).ok().map(SymbolId)
}

fn open_files(paths: &[PathBuf], symbol: Option<SymbolName>, bar: &ProgressBar) -> Result<Opened, Problem> {
    let open = |paths: &[PathBuf]| Blocks::open(paths, symbol).map_err(|error| store_problem(&error));
    let mut groups: Vec<(Vec<String>, Vec<PathBuf>)> = Vec::new();
    for path in paths {
        let symbols = names_of(path, symbol, &open)?;
        match groups.iter_mut().find(|(known, _)| *known == symbols) {
            Some((_, paths)) => paths.push(path.clone()),
            None => groups.push((symbols, vec![path.clone()])),
        }
    }
    let mut opened = Opened { streams: Vec::new(), rows: 0, made: None };
    for (_, paths) in groups {
        let blocks = open(&paths)?;
        opened.rows += blocks.rows();
        let symbols = blocks.symbols().iter().map(|info| Told::Stored(*info)).collect();
        opened.streams.push(Stream { rows: Box::new(Counted { blocks, bar: bar.clone() }), symbols });
    }
    Ok(opened)
}

/// The symbols of one file, sorted.
fn names_of(
    path: &Path,
    symbol: Option<SymbolName>,
    open: &impl Fn(&[PathBuf]) -> Result<Blocks, Problem>,
) -> Result<Vec<String>, Problem> {
    let blocks = open(&[path.to_owned()])?;
    let mut names: Vec<String> = blocks.symbols().iter().map(|info| info.name.to_string()).collect();
    // An array names no symbol: when one is given, all are its.
    names.iter_mut().filter(|name| name.is_empty()).for_each(|name| *name = symbol.unwrap_or_default().to_string());
    names.sort();
    Ok(names)
}

/// Stored rows, counted by a bar.
struct Counted {
    blocks: Blocks,
    bar: ProgressBar,
}

impl Rows for Counted {
    fn next_block(&mut self) -> Result<Option<&[Row]>, String> {
        let block = Rows::next_block(&mut self.blocks)?;
        self.bar.inc(block.map_or(0, |block| block.len() as u64));
        Ok(block)
    }
}

/// Made-up markets count from zero; runs of them from 2024-01-01, so that times look like times.
const SYNTHETIC_BEGINS: Nanos = Nanos(1_704_067_200_000_000_000);
/// As in a configuration that does not say.
const SEED_USUAL: u64 = 7;
/// As in a configuration that does not say.
const FEED_USUAL_NS: u64 = 5_000_000;
