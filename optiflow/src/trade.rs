//! `optiflow trade`: finds the exchange, starts the pipeline, watches it, stops it in order, and says how it went.
//!
//! Exit 0 only when nothing of ours is left open and the database agrees with the exchange's own ledger. Runs on the
//! main thread; decides nothing about trading.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos, RealClock};
use optiflow_base::control::Milestone;
use optiflow_base::placement;
use optiflow_base::stage::Room;
use optiflow_storage::Summary;

use crate::cli::TradeArgs;
use crate::config::Config;
use crate::exchange::Running;
use crate::ledger;
use crate::pipeline::{self, Pipeline};
use crate::rooms;
use crate::status::Status;
use crate::venue::Venue;

/// Runs the command.
pub fn run(args: &TradeArgs) -> ExitCode {
    let config = match load(args.config.as_deref()) {
        Ok(config) => config,
        Err(problems) => {
            eprint!("{problems}");
            return ExitCode::from(2);
        }
    };
    match trade(args, config) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("optiflow trade: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn load(path: Option<&Path>) -> Result<(Config, String), String> {
    let shipped = Path::new(DEMO_PATH);
    let (path, text) = match path {
        Some(path) => (path, fs::read_to_string(path)),
        None if shipped.exists() => (shipped, fs::read_to_string(shipped)),
        None => (Path::new("the built-in demo"), Ok(DEMO.to_owned())),
    };
    let text = text.map_err(|error| format!("{}: cannot be read: {error}\n", path.display()))?;
    let config = Config::from_text(path, &text).map_err(|error| error.to_string())?;
    Ok((config, text))
}

/// Trades until told to stop; says whether everything ended as it should.
fn trade(args: &TradeArgs, (mut config, text): (Config, String)) -> Result<bool, String> {
    if let Some(path) = &args.db {
        config.storage.path.clone_from(path);
    }
    let run_for = args.run_for.or(config.run_for);
    let signals = catch_signals()?;
    // Asked before anything is pinned: afterwards a thread sees only its own core.
    let seats = placement::plan(&placement::usable_cores());
    let clock = RealClock::new();
    let cold_core = seats.iter().find(|seat| seat.rooms.contains(&Room::Control)).and_then(|seat| seat.core);
    let venue = Venue::open(&config, args, cold_core)?;
    let rooms = rooms::build(&config, &text, &venue, &clock)?;
    let mut pipeline = pipeline::start(rooms, &seats, &clock).map_err(|error| format!("starting a thread: {error}"))?;

    let watch = Watch { clock: &clock, signals: &signals, embedded: venue.embedded.as_ref(), quiet: args.json };
    let end = watch.until_end(&mut pipeline, run_for);
    let stopped = watch.stop(&mut pipeline, config.oms.stop_timeout);
    let outcome = match (&end, &stopped) {
        (End::Asked(_), Ok(())) => "stopped",
        (End::Trouble(_), _) | (_, Err(_)) => "failed",
    };
    let summary = pipeline.finish(outcome)?;
    let audit = venue.embedded.map(|exchange| ledger::audit(&config.storage.path, summary.session, &exchange.stop()));
    say(args, &config, &summary, &end, &stopped, audit.as_ref());
    let agrees = audit.is_none_or(|audit| audit.is_ok_and(|audit| audit.agrees()));
    Ok(outcome == "stopped" && agrees)
}

/// Why trading ends.
enum End {
    /// As planned: the time is up, a signal came, the recorded market is over.
    Asked(&'static str),
    /// Something broke.
    Trouble(String),
}

struct Watch<'a> {
    clock: &'a RealClock,
    signals: &'a Arc<AtomicUsize>,
    embedded: Option<&'a Running>,
    quiet: bool,
}

impl Watch<'_> {
    /// Shows the status until there is a reason to stop. The run time counts from readiness, not from start.
    fn until_end(&self, pipeline: &mut Pipeline, run_for: Option<Duration>) -> End {
        let started = self.clock.now();
        let mut ready: Option<Nanos> = None;
        let mut status = Status::new(self.quiet, run_for);
        loop {
            let now = self.clock.now();
            while let Some(milestone) = pipeline.milestones.pop() {
                match milestone {
                    Milestone::Ready => ready = ready.or(Some(now)),
                    Milestone::Failed(why) => return End::Trouble(why.to_owned()),
                    Milestone::Stopped | Milestone::StopFailed { .. } => {}
                }
            }
            if self.signals.load(Ordering::Relaxed) > 0 {
                return End::Asked("asked to stop");
            }
            if let Some(trouble) = pipeline.trouble() {
                return End::Trouble(trouble);
            }
            if self.embedded.is_some_and(Running::market_ended) {
                return End::Asked("the recorded market is over");
            }
            match (ready, run_for) {
                (Some(ready), Some(run_for)) if now >= ready + run_for => return End::Asked("the time is up"),
                (None, _) if now >= started + READY_TIMEOUT => {
                    return End::Trouble("not ready after 60 s: see the notices in the database".to_owned());
                }
                _ => {}
            }
            status.show(ready.map(|ready| now.since(ready)), pipeline);
            thread::sleep(WATCH_PERIOD);
        }
    }

    /// Stops in order and waits for the proof; a second signal gives up waiting.
    fn stop(&self, pipeline: &mut Pipeline, timeout: Duration) -> Result<(), String> {
        let signals = self.signals.load(Ordering::Relaxed);
        pipeline.stop();
        // The oms gives up by itself first and says how many orders may be open.
        let deadline = self.clock.now() + timeout + STOP_GRACE;
        loop {
            while let Some(milestone) = pipeline.milestones.pop() {
                match milestone {
                    Milestone::Stopped => return Ok(()),
                    Milestone::StopFailed { open_orders } => {
                        return Err(format!("{open_orders} orders may still be open: look at the exchange now"));
                    }
                    Milestone::Failed(why) => return Err(why.to_owned()),
                    Milestone::Ready => {}
                }
            }
            if self.signals.load(Ordering::Relaxed) > signals {
                return Err("told twice to stop: orders may still be open, look at the exchange now".to_owned());
            }
            if self.clock.now() > deadline {
                return Err("no proof that nothing is open: look at the exchange now".to_owned());
            }
            thread::sleep(WATCH_PERIOD);
        }
    }
}

fn say(
    args: &TradeArgs,
    config: &Config,
    summary: &Summary,
    end: &End,
    stopped: &Result<(), String>,
    audit: Option<&Result<ledger::Audit, String>>,
) {
    let why = match end {
        End::Asked(why) => (*why).to_owned(),
        End::Trouble(trouble) => format!("trouble: {trouble}"),
    };
    let open = stopped.as_ref().err().map_or("nothing left open".to_owned(), Clone::clone);
    let ledger = match audit {
        None => "not asked".to_owned(),
        Some(Ok(audit)) => audit.to_string(),
        Some(Err(problem)) => problem.clone(),
    };
    if args.json {
        let database = config.storage.path.display().to_string();
        let value = serde_json::json!({
            "end": why, "stop": open, "ledger": ledger, "database": database, "summary": summary,
        });
        println!("{value}");
        return;
    }
    println!("{}", optiflow_storage::report::text(summary));
    println!("end       {why}; {open}");
    println!("ledger    {ledger}");
    println!("database  {}", config.storage.path.display());
}

/// Counts SIGINT and SIGTERM.
fn catch_signals() -> Result<Arc<AtomicUsize>, String> {
    let count = Arc::new(AtomicUsize::new(0));
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM])
        .map_err(|error| format!("listening for signals: {error}"))?;
    let counter = count.clone();
    let listen = move || {
        for _ in signals.forever() {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    };
    let thread = thread::Builder::new().name("signals".to_owned()).spawn(listen);
    thread.map_err(|error| format!("starting a thread: {error}"))?;
    Ok(count)
}

/// The configuration that a checkout trades with when none is named.
const DEMO_PATH: &str = "configs/demo.toml";
/// The same, for a program that was carried away from its checkout.
const DEMO: &str = include_str!("../../configs/demo.toml");
/// From start to the first reconciled state.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How often the main thread looks.
const WATCH_PERIOD: Duration = Duration::from_millis(20);
/// What a stop may take beyond the oms's own limit.
const STOP_GRACE: Duration = Duration::from_secs(3);
