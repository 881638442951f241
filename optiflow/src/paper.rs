//! `optiflow trade` with `mode = "paper"`: the stages of a backtest at the pace of the wall clock.
//!
//! The market is `[sim]`'s, nothing is connected to, and nothing can be lost. What is traded is what `optiflow backtest`
//! trades on the same configuration, market and seed, order for order and fill for fill: only the waiting differs. Times
//! in the database are the market's. Runs on the main thread.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use indicatif::ProgressBar;
use optiflow_backtest::stages::observer::{Flow, Standing};
use optiflow_backtest::stages::{self, End, Observer, Outcome};
use optiflow_base::clock::{Nanos, nanos_of};
use optiflow_base::log::LogEvent;
use optiflow_sim::core::SPEEDS;
use optiflow_storage::Summary;

use crate::backtest::stages::ground::{self, Ground};
use crate::backtest::stages::keeper::Keeper;
use crate::backtest::stages::market::Market;
use crate::cli::{BacktestArgs, TradeArgs};
use crate::config::Config;
use crate::problem::Problem;
use crate::say::{out, say};
use crate::trade::Signals;

/// Trades until the time is up, the market is over, or a signal comes; says whether everything ended as it should.
pub(crate) fn trade(
    args: &TradeArgs,
    config: &Config,
    text: &str,
    run_for: Option<Duration>,
    signals: &Signals,
) -> Result<bool, Problem> {
    if args.live || args.exchange.is_some() || args.capture.is_some() {
        let text = "mode \"paper\" connects to nothing: leave out --live, --exchange and --capture";
        return Err(Problem::Usage(text.to_owned()));
    }
    let speed = args.speed.unwrap_or(config.sim.speed);
    if !SPEEDS.contains(&speed) {
        return Err(Problem::Usage(format!("--speed {speed}: must be within {SPEEDS:?}")));
    }
    let market = Market::Made {
        spec: args.market.clone().unwrap_or_else(|| config.sim.market.clone()),
        seed: args.seed.unwrap_or(config.sim.seed),
        feed_ns: config.paper.feed_ns,
    };
    let settings = ground::settings(&Flags::none().backtest, config)?;
    let mut ground = Ground::new(config, &settings, market.open(None, &ProgressBar::hidden())?)?;
    ground.stages.run_for = run_for;
    let keeper = Keeper::open(&config.storage.path, config, text, &mut ground)?;
    let Ground { stages, lanes, .. } = ground;
    let mut pace = Pace { keeper, signals, speed, started: None, shown: Instant::now(), quiet: args.json };
    let ran = stages::run(stages, lanes, &mut pace);
    let Pace { keeper, .. } = pace;
    let (outcome, failed) = match ran {
        Ok(outcome) => (Some(outcome), None),
        Err(problem) => (None, Some(problem)),
    };
    let open = outcome.as_ref().map_or(0, |outcome| outcome.open_orders);
    let whole = failed.is_none() && open == 0;
    let last = outcome.as_ref().map_or(Nanos(0), |outcome| outcome.last);
    let summary = keeper.finish(if whole { "stopped" } else { "failed" }, last)?;
    tell(args.json, &summary, outcome.as_ref(), failed.as_deref());
    Ok(whole)
}

/// Holds the run back until the wall clock has come as far as the market has.
struct Pace<'a> {
    keeper: Keeper,
    signals: &'a Signals,
    speed: f64,
    /// The market's first moment, and ours.
    started: Option<(Nanos, Instant)>,
    shown: Instant,
    quiet: bool,
}

impl Pace<'_> {
    fn show(&mut self) {
        if self.quiet || self.shown.elapsed() < SHOW_EVERY {
            return;
        }
        self.shown = Instant::now();
        if let Some(summary) = self.keeper.summary() {
            say(optiflow_storage::report::line(&summary));
        }
    }
}

impl Observer for Pace<'_> {
    fn before(&mut self, at: Nanos) -> Result<Flow, String> {
        let (first, began) = *self.started.get_or_insert_with(|| (at, Instant::now()));
        let due = Duration::from_nanos((at.since(first) as f64 / self.speed) as u64);
        loop {
            if let Some(failure) = self.keeper.failure() {
                return Err(failure.to_owned());
            }
            match self.signals.stops.load(Ordering::Relaxed) {
                0 => {}
                1 => return Ok(Flow::Stop),
                _ => return Err("told twice to stop".to_owned()),
            }
            let left = due.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Ok(Flow::On);
            }
            self.keeper.step(at);
            self.show();
            thread::sleep(left.min(WAIT_MAX));
        }
    }

    fn standing(&mut self, standing: &Standing<'_>) {
        self.keeper.step(standing.at);
        self.show();
    }

    fn log(&mut self, now: Nanos, event: &LogEvent) {
        self.keeper.log(now, event);
    }
}

/// The flags of a backtest, all of them left out.
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    backtest: BacktestArgs,
}

impl Flags {
    fn none() -> Flags {
        Flags::parse_from(["paper", "--market", ""])
    }
}

fn tell(as_json: bool, summary: &Summary, outcome: Option<&Outcome>, failed: Option<&str>) {
    let end = match outcome.map(|outcome| outcome.end) {
        Some(End::MarketOver) => "the recorded market is over",
        Some(End::TimeUp) => "the time is up",
        Some(End::Asked) => "asked to stop",
        None => "trouble",
    };
    let open = match outcome.map_or(0, |outcome| outcome.open_orders) {
        0 => "nothing left open".to_owned(),
        open => format!("{open} orders may still be open"),
    };
    let hash = outcome.map(|outcome| format!("{:016x}", outcome.hash));
    if as_json {
        let database = summary.database.display().to_string();
        let seconds =
            outcome.map(|outcome| nanos_of(Duration::from_nanos(outcome.last.since(outcome.first))) / 1_000_000_000);
        let value = serde_json::json!({
            "end": end, "stop": open, "failed": failed, "database": database, "event_log_hash": hash,
            "market_seconds": seconds, "summary": summary,
        });
        out(&value);
        return;
    }
    out(optiflow_storage::report::text(summary));
    out(format_args!("end       {end}; {open}"));
    if let Some(hash) = hash {
        out(format_args!("hash      {hash}"));
    }
    if let Some(failed) = failed {
        out(format_args!("failed    {failed}"));
    }
}

/// Longest wait between two looks at the signals.
const WAIT_MAX: Duration = Duration::from_millis(20);
/// How often the status is shown.
const SHOW_EVERY: Duration = Duration::from_secs(10);
