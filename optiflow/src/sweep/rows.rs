//! The fast replay core as a world: strategies `grid`, `script` and `none` over packed rows of one symbol.
//!
//! The same steps at the same times as `optiflow backtest` takes, so that hashes and figures are the same; instead of
//! tables there is a [`Watch`]. Reads latency tables and scripts, which are small, once for all points that share them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use optiflow_base::ids::SymbolId;
use optiflow_sim::replay::feed::Feed;
use optiflow_sim::replay::grid::{Grid, GridConfig};
use optiflow_sim::replay::local::Local;
use optiflow_sim::replay::orders::{Answer, Funding};
use optiflow_sim::replay::run::{Desk, Replay, Trader};
use optiflow_sim::replay::script::Script;
use optiflow_sim::replay::{ReplayConfig, ReplayError};
use optiflow_store::blocks::Blocks;
use optiflow_store::schema::SymbolInfo;

use super::digest::Hashed;
use super::market::{Market, Packing};
use super::memory::Room;
use super::metrics::{Metrics, Watch};
use super::overrides::Base;
use super::plan::Plan;
use super::world::{Done, Opened, World};
use crate::backtest::command::choose;
use crate::backtest::drive::Nobody;
use crate::backtest::settings::{Settings, Strategy, check_grid, read_script};
use crate::cli::SweepArgs;
use crate::config::backtest::{self, BacktestConfig};
use crate::import::store_problem;
use crate::problem::Problem;
use crate::progress;

/// The world before its market is read.
pub struct Rows<'a> {
    args: &'a SweepArgs,
    base: Base<BacktestConfig>,
    strategy: &'static str,
    stored: Blocks,
    id: SymbolId,
    symbol: SymbolInfo,
    packings: Vec<Packing>,
}

/// The market in every packing that the points need: usually one.
pub struct Packed(Vec<Market>);

/// Settings of one run.
pub struct Job {
    ground: Arc<Ground>,
    player: Player,
}

/// All of a run's settings but those of its strategy.
struct Ground {
    config: ReplayConfig,
    packing: usize,
    script: Option<Arc<Script>>,
    hash: Hashed,
}

/// Who trades.
enum Player {
    Grid(GridConfig),
    Script(Arc<Script>),
    Nobody,
}

impl Rows<'_> {
    /// Opens the data, and reads the configuration that every point starts from.
    pub fn open(args: &SweepArgs) -> Result<Rows<'_>, Problem> {
        let stored = open(args)?;
        let (id, symbol) = choose(&args.backtest, stored.symbols())?;
        let base = Base::read(args.backtest.config.as_deref(), backtest::from_text)?;
        let usual = Settings::over(&args.backtest, base.config()?)?;
        let strategy = usual.strategy.name();
        let (base, packings) = (base.of(strategy), Vec::new());
        Ok(Rows { args, base, strategy: strategy.name(), stored, id, symbol, packings })
    }
}

impl Opened for Rows<'_> {
    type World = Packed;

    fn names(&self) -> (String, String) {
        (self.strategy.to_owned(), self.symbol.name.to_string())
    }

    fn plan(&mut self) -> Result<Plan<Job>, Problem> {
        let Rows { args, base, symbol, packings, .. } = self;
        let mut grounds: BTreeMap<Vec<usize>, Arc<Ground>> = BTreeMap::new();
        let is_shared: Vec<bool> = args.grid.iter().map(|axis| !axis.path.starts_with("strategy.")).collect();
        Plan::read(&args.grid, base, |choice, config| {
            let settings = Settings::over(&args.backtest, config)?;
            let shared: Vec<usize> = choice.iter().zip(&is_shared).map(|(at, is)| if *is { *at } else { 0 }).collect();
            let ground = match grounds.get(&shared) {
                Some(ground) => Arc::clone(ground),
                None => Arc::new(Ground::new(&settings, symbol, packings)?),
            };
            grounds.insert(shared, Arc::clone(&ground));
            let player = player(&settings, &ground)?;
            let hash = ground.hash.clone();
            let number = match &player {
                Player::Grid(grid) => hash.with(grid),
                Player::Script(script) => hash.with(script),
                Player::Nobody => hash,
            };
            Ok((Job { ground, player }, number.word()))
        })
    }

    fn read(self, room: &mut Room) -> Result<Packed, Problem> {
        let mut markets = Vec::with_capacity(self.packings.len());
        let mut stored = Some(self.stored);
        for packing in &self.packings {
            let stored = stored.take().map_or_else(|| open(self.args), Ok)?;
            let bar = progress::events_bar(stored.rows());
            let market = Market::read(stored, (self.id, &self.symbol), *packing, room, &bar);
            bar.finish_and_clear();
            markets.push(market?);
        }
        Ok(Packed(markets))
    }
}

impl World for Packed {
    type Job = Job;

    fn market(&self, job: &Job) -> (u64, u64) {
        let market = &self.0[job.ground.packing];
        (market.rows, market.identity)
    }

    fn run(&self, job: &Job, passed: &AtomicU64) -> Result<Done, Problem> {
        let market = &self.0[job.ground.packing];
        let config = &job.ground.config;
        let ran = match &job.player {
            Player::Grid(grid) => replay(config, market, passed, Grid::new(*grid, config.scale)),
            Player::Script(script) => replay(config, market, passed, Script::clone(script)),
            Player::Nobody => replay(config, market, passed, Nobody),
        };
        let (hash, metrics) = ran.map_err(|error| Problem::Failed(error.to_string()))?;
        Ok(Done { hash, metrics })
    }
}

impl Ground {
    fn new(settings: &Settings, symbol: &SymbolInfo, packings: &mut Vec<Packing>) -> Result<Ground, Problem> {
        let config = settings.replay(symbol)?;
        let packing = Packing { scale: config.scale, compatible: config.compatible };
        let known = packings.iter().position(|other| *other == packing);
        let packing = known.unwrap_or_else(|| {
            packings.push(packing);
            packings.len() - 1
        });
        let script = script(&settings.strategy).map(|path| read_script(path, &config)).transpose()?;
        let hash = Hashed::default().with(&config);
        Ok(Ground { config, packing, script: script.map(Arc::new), hash })
    }
}

const fn script(strategy: &Strategy) -> Option<&PathBuf> {
    if let Strategy::Script(path) = strategy { Some(path) } else { None }
}

fn player(settings: &Settings, ground: &Ground) -> Result<Player, Problem> {
    if let Strategy::Grid(grid) = &settings.strategy {
        check_grid(grid, &ground.config.scale)?;
        return Ok(Player::Grid(*grid));
    }
    if let Some(script) = &ground.script {
        return Ok(Player::Script(Arc::clone(script)));
    }
    if matches!(settings.strategy, Strategy::None) {
        return Ok(Player::Nobody);
    }
    let name = settings.strategy.name().name();
    Err(Problem::Usage(format!("{name} runs in the live stages, the others do not; sweep them apart")))
}

fn open(args: &SweepArgs) -> Result<Blocks, Problem> {
    Blocks::open(&args.backtest.data, args.backtest.symbol).map_err(|error| store_problem(&error))
}

fn replay<T: Trader>(
    config: &ReplayConfig,
    market: &Market,
    passed: &AtomicU64,
    trader: T,
) -> Result<(u64, Metrics), ReplayError> {
    let mut watched = Watched { trader, watch: Watch::default() };
    let mut replay = Replay::new(config, Feed::streamed(market.reader(passed)))?;
    let first_ns = replay.first_ns()?.unwrap_or_default();
    let mut wakes = 0;
    let mut next = watched.trader.start(first_ns);
    let mut sample = after(first_ns);
    let mut row = first_ns;
    loop {
        let at = next.map_or(sample, |next| next.min(sample));
        if !replay.advance(at, &mut watched)? {
            break;
        }
        if next == Some(at) {
            wakes += 1;
            next = watched.trader.wake(&mut replay.desk());
            assert!(next.is_none_or(|next| next > at), "a trader asks for a later time");
        }
        if sample == at {
            if row <= at {
                watched.watch.heard(at);
                row = replay.next_row_ns();
            }
            watched.watch.sample_local(at, replay.local());
            sample = after(at);
        }
    }
    let metrics = watched.watch.end(market.last_ns.unwrap_or(first_ns), replay.local());
    Ok((replay.outcome(wakes).hash, metrics))
}

/// A strategy whose answers are counted.
struct Watched<T> {
    trader: T,
    watch: Watch,
}

impl<T: Trader> Trader for Watched<T> {
    fn start(&mut self, first_ns: i64) -> Option<i64> {
        self.trader.start(first_ns)
    }

    fn wake(&mut self, desk: &mut Desk<'_>) -> Option<i64> {
        self.trader.wake(desk)
    }

    fn answer(&mut self, answer: &Answer, local: &Local) {
        self.watch.answer(answer.local_ns, (SymbolId(0), answer.image.id), answer.tells, answer.image.status);
        self.trader.answer(answer, local);
    }

    fn funding(&mut self, funding: &Funding, local: &Local) {
        self.trader.funding(funding, local);
    }
}

/// The next whole second after `now`.
const fn after(now: i64) -> i64 {
    (now.div_euclid(SAMPLE_NS) + 1) * SAMPLE_NS
}

/// Time between two looks at the equity.
const SAMPLE_NS: i64 = 1_000_000_000;
