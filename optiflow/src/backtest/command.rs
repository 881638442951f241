//! The command `backtest`: settings, files, run, reports.
//!
//! Never writes anything before the files are open and every setting fits them. Runs on the main thread; the store
//! reads ahead on one of its own.

use std::process::ExitCode;
use std::time::Duration;

use optiflow_base::ids::SymbolId;
use optiflow_sim::replay::ReplayConfig;
use optiflow_sim::replay::grid::Grid;
use optiflow_sim::replay::run::Trader;
use optiflow_store::blocks::Blocks;
use optiflow_store::schema::SymbolInfo;
use rustix::time::{ClockId, clock_gettime};

use super::drive::{Nobody, Run, drive};
use super::output::Tape;
use super::settings::{Settings, Strategy, check_grid, read_script};
use super::source::Source;
use super::stages;
use super::summary::{Summary, exchange, latency, strategy_settings, terms};
use crate::cli::BacktestArgs;
use crate::import::store_problem;
use crate::problem::Problem;
use crate::progress;
use crate::say::{out, say};

/// Runs the command: exit 0 with reports, 1 when the data or the disk failed, 2 for a wrong request.
pub fn run(args: &BacktestArgs) -> ExitCode {
    match backtest(args) {
        Ok((_, line)) if args.json => out(&line),
        Ok((summary, _)) => out(format_args!("{summary}\n  reports     {}", args.out.display())),
        Err(problem) => {
            say(format_args!("optiflow backtest: {problem}"));
            return problem.exit_code();
        }
    }
    ExitCode::SUCCESS
}

/// Runs, writes the reports, and answers the summary, also as one line of JSON.
fn backtest(args: &BacktestArgs) -> Result<(Summary, String), Problem> {
    // The flag `--market` cannot be required where `--data` excludes it.
    if args.seed.is_some() && args.market.is_none() {
        return Err(Problem::Usage("--seed is for a synthetic --market; recordings have none".to_owned()));
    }
    if stages::is_wanted(args)? {
        return stages::run(args);
    }
    if args.market.is_some() || args.run_for.is_some() || args.db.is_some() {
        let text = "--market, --for and --db are for strategies of the engine, such as --strategy scalping_v1";
        return Err(Problem::Usage(text.to_owned()));
    }
    let settings = Settings::read(args)?;
    let stored = Blocks::open(&args.data, args.symbol).map_err(|error| store_problem(&error))?;
    let (id, symbol) = choose(args, stored.symbols())?;
    let config = settings.replay(&symbol)?;
    let strategy = settings.strategy.clone();
    let session = Session { args, settings, symbol, id, stored, config };
    match strategy {
        Strategy::Grid(grid) => {
            check_grid(&grid, &session.config.scale)?;
            let grid = Grid::new(grid, session.config.scale);
            session.run(grid, |_| 0)
        }
        Strategy::Script(path) => {
            let script = read_script(&path, &session.config)?;
            session.run(script, |script| script.refusals().len() as u64)
        }
        Strategy::None => session.run(Nobody, |_| 0),
        // Runs of the stages have gone another way; only a table [backtest] that names the strategy comes here.
        Strategy::ScalpingV1 => stages::run(args),
    }
}

/// The symbol to trade: the one asked for, or the only one.
pub(crate) fn choose(args: &BacktestArgs, symbols: &[SymbolInfo]) -> Result<(SymbolId, SymbolInfo), Problem> {
    let names = || symbols.iter().map(|info| info.name.as_str()).collect::<Vec<_>>().join(", ");
    let index = match (args.symbol, symbols) {
        (Some(wanted), _) => symbols
            .iter()
            .position(|info| info.name == wanted)
            .ok_or_else(|| Problem::Usage(format!("the data hold no {wanted}; give one of {} as --symbol", names())))?,
        (None, [_]) => 0,
        (None, _) => {
            return Err(Problem::Usage(format!("the data hold several symbols; give one of {} as --symbol", names())));
        }
    };
    let too_many = |_| Problem::Failed("the data hold too many symbols".to_owned());
    Ok((SymbolId(u16::try_from(index).map_err(too_many)?), symbols[index]))
}

/// Everything but the strategy.
struct Session<'a> {
    args: &'a BacktestArgs,
    settings: Settings,
    symbol: SymbolInfo,
    id: SymbolId,
    stored: Blocks,
    config: ReplayConfig,
}

impl Session<'_> {
    fn run<T: Trader>(self, trader: T, refusals: impl Fn(&T) -> u64) -> Result<(Summary, String), Problem> {
        let Session { args, settings, symbol, id, stored, config } = self;
        let bar = progress::events_bar(stored.rows());
        let source = Source::new(stored, id, config.scale, config.compatible, bar.clone());
        let tape = Tape::create(&args.out, vec![symbol.name.to_string()])?;
        let done = drive(&config, source, trader, tape);
        bar.finish_and_clear();
        let done = done?;
        let data = args.data.iter().map(|path| path.display().to_string()).collect();
        let summary = summarise(&settings, &symbol, &config, &done, refusals(&done.trader), data);
        let failed = |error| Problem::Failed(format!("writing the summary: {error}"));
        let page = serde_json::to_string_pretty(&summary).map_err(failed)?;
        let line = serde_json::to_string(&summary).map_err(failed)?;
        done.tape.finish(&page, &summary.setup())?;
        Ok((summary, line))
    }
}

fn summarise<T>(
    settings: &Settings,
    symbol: &SymbolInfo,
    config: &ReplayConfig,
    run: &Run<T>,
    refusals: u64,
    data: Vec<String>,
) -> Summary {
    let (passed, ledger) = (&run.passed, &run.outcome.ledger);
    let (rows, cpu_seconds) = (passed.rows.get(), cpu_time().as_secs_f64());
    Summary {
        rows,
        rows_of_symbol: passed.rows_of_symbol.get(),
        cpu_seconds,
        rows_per_cpu_second: rows as f64 / cpu_seconds.max(f64::MIN_POSITIVE),
        event_log_hash: format!("{:016x}", run.outcome.hash),
        position: ledger.position().as_f64(),
        balance: ledger.cash().as_f64(),
        fees: ledger.fees().as_f64(),
        equity: run.tape.last_equity().map(|equity| equity.as_f64()),
        fills: ledger.fills(),
        turnover: ledger.turnover().as_f64(),
        answers: run.outcome.answers,
        refusals,
        exchange: exchange(&run.outcome.tally),
        measures: run.tape.measures(),
        first_ts: run.first_ns,
        last_ts: passed.last_ns.get(),
        symbol: symbol.name.to_string(),
        tick: config.scale.tick.as_f64(),
        lot: config.scale.lot.as_f64(),
        strategy: settings.strategy.name().name(),
        strategy_settings: strategy_settings(&settings.strategy),
        data,
        queue: settings.queue.text.clone(),
        latency: latency(&settings.latency),
        symbols: Vec::new(),
        partial_fills: settings.partial_fills,
        compatible: settings.compatible,
        maker_fee_ppm: settings.maker_fee_ppm,
        taker_fee_ppm: settings.taker_fee_ppm,
        terms: terms(&settings.terms),
    }
}

/// CPU time of this process so far, all threads, those that ended included.
pub(crate) fn cpu_time() -> Duration {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    let nanos = u32::try_from(spent.tv_nsec).unwrap_or_default();
    Duration::new(u64::try_from(spent.tv_sec).unwrap_or_default(), nanos)
}
