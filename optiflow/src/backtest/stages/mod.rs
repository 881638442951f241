//! `optiflow backtest` of strategies of the engine: the live stages over files, captures or a made-up market.
//!
//! `ground` makes the run's settings out of a configuration as `trade` reads it, `market` opens what is replayed, `tape`
//! writes what happens. Trading on paper takes the first two and other onlookers, so that both do the same.

use optiflow_backtest::stages::observer::SymbolStanding;
use optiflow_backtest::stages::{self, Heard, Outcome};
use optiflow_base::clock::Nanos;
use optiflow_base::money::{Notional, Qty};
use optiflow_sim::words::Listing;
use serde_json::{Map, Value};

use super::command::cpu_time;
use super::output::Tape;
use super::settings::Settings;
use super::summary::{Summary, SymbolSummary, exchange, latency, terms};
use crate::cli::BacktestArgs;
use crate::config::Config;
use crate::config::backtest::StrategyName;
use crate::problem::Problem;
use crate::progress;
use ground::Ground;
use keeper::Keeper;
use market::Market;
use tape::Onlooker;

pub(crate) mod ground;
pub(crate) mod keeper;
pub(crate) mod market;

mod tape;

/// Is this run one of the live stages: by the strategy that is named, or by symbols in the configuration where none is?
pub(crate) fn is_wanted(args: &BacktestArgs) -> Result<bool, Problem> {
    let named = args.strategy.or(args.script.as_ref().map(|_| StrategyName::Script));
    if let Some(name) = named {
        return Ok(name == StrategyName::ScalpingV1);
    }
    let Some(path) = &args.config else { return Ok(args.market.is_some()) };
    ground::names_stages(path)
}

/// Runs, writes the reports, and answers the summary, also as one line of JSON.
pub(super) fn run(args: &BacktestArgs) -> Result<(Summary, String), Problem> {
    let (config, text) = ground::config(args)?;
    let market = Market::choose(args, config.as_ref())?;
    let bar = progress::events_bar(0);
    let opened = market.open(args.symbol, &bar)?;
    bar.set_length(opened.rows());
    let config = match config {
        Some(config) => config,
        None => ground::usual(&opened.names(args.symbol))?,
    };
    let settings = ground::settings(args, &config)?;
    let mut ground = Ground::new(&config, &settings, opened)?;
    ground.stages.run_for = market.run_for(args, &config)?;
    let mut keeper = args.db.as_deref().map(|path| Keeper::open(path, &config, &text, &mut ground)).transpose()?;
    let data = market.words();
    let Ground { stages, lanes, listings } = ground;
    let names = listings.iter().map(|listing| listing.name.clone()).collect();
    let mut onlooker = Onlooker::new(Tape::create(&args.out, names)?, keeper.as_mut());
    let outcome = stages::run(stages, lanes, &mut onlooker);
    bar.finish_and_clear();
    let (tape, problem) = onlooker.into_tape();
    // An interrupt, or a disk that is full, is told in its own words.
    let outcome = outcome.map_err(|text| problem.unwrap_or(Problem::Failed(text)))?;
    if let Some(keeper) = keeper {
        keeper.finish("stopped", outcome.last)?;
    }
    let summary = summarise(&config, &settings, &listings, &outcome, &tape, data);
    let failed = |error| Problem::Failed(format!("writing the summary: {error}"));
    let page = serde_json::to_string_pretty(&summary).map_err(failed)?;
    let line = serde_json::to_string(&summary).map_err(failed)?;
    tape.finish(&page, &summary.setup())?;
    Ok((summary, line))
}

fn summarise(
    config: &Config,
    settings: &Settings,
    listings: &[Listing],
    outcome: &Outcome,
    tape: &Tape,
    data: Vec<String>,
) -> Summary {
    let cpu_seconds = cpu_time().as_secs_f64();
    let time = |at: Nanos| i64::try_from(at.0).unwrap_or(i64::MAX);
    let sum = |part: fn(&SymbolStanding) -> Notional| outcome.symbols.iter().map(part).sum::<Notional>().as_f64();
    let parts = listings.iter().zip(outcome.symbols.iter().zip(&outcome.heard));
    let symbols: Vec<SymbolSummary> =
        parts.map(|(listing, (standing, heard))| symbol(&listing.name, standing, heard)).collect();
    Summary {
        rows: outcome.rows,
        rows_of_symbol: outcome.rows_of_symbols,
        cpu_seconds,
        rows_per_cpu_second: outcome.rows as f64 / cpu_seconds.max(f64::MIN_POSITIVE),
        event_log_hash: format!("{:016x}", outcome.hash),
        position: outcome.symbols.iter().map(|symbol| symbol.position).sum::<Qty>().as_f64(),
        balance: sum(|symbol| symbol.balance),
        fees: sum(|symbol| symbol.fees),
        equity: tape.last_equity().map(|equity| equity.as_f64()),
        fills: symbols.iter().map(|symbol| symbol.fills).sum(),
        turnover: sum(|symbol| symbol.turnover),
        answers: outcome.answers,
        refusals: outcome.refusals,
        exchange: exchange(&outcome.tally),
        measures: tape.measures(),
        first_ts: time(outcome.first),
        last_ts: Some(time(outcome.last)),
        symbol: symbols.iter().map(|symbol| symbol.symbol.as_str()).collect::<Vec<_>>().join(","),
        tick: listings.first().map_or(0.0, |listing| listing.tick_size.as_f64()),
        lot: listings.first().map_or(0.0, |listing| listing.step_size.as_f64()),
        strategy: settings.strategy.name().name(),
        strategy_settings: strategy_settings(config),
        data,
        queue: settings.queue.text.clone(),
        latency: latency(&settings.latency),
        symbols,
        partial_fills: settings.partial_fills,
        compatible: false,
        maker_fee_ppm: settings.maker_fee_ppm,
        taker_fee_ppm: settings.taker_fee_ppm,
        terms: terms(&settings.terms),
    }
}

fn symbol(name: &str, standing: &SymbolStanding, heard: &Heard) -> SymbolSummary {
    SymbolSummary {
        symbol: name.to_owned(),
        position: standing.position.as_f64(),
        balance: standing.balance.as_f64(),
        fees: standing.fees.as_f64(),
        funding: standing.funding.as_f64(),
        fills: standing.fills,
        turnover: standing.turnover.as_f64(),
        decisions: heard.decisions,
        silence: heard.silence(),
    }
}

/// The effective settings of every symbol.
fn strategy_settings(config: &Config) -> Value {
    let settings = config.effective.iter().filter(|(name, _)| name.starts_with("symbol"));
    Value::Object(settings.map(|(name, value)| (name.clone(), Value::from(value.clone()))).collect::<Map<_, _>>())
}
