//! `optiflow trade`: finds the exchange, starts the pipeline, watches it, stops it in order, and says how it went.
//!
//! Exit 0 only when nothing of ours is left open and the database agrees with the exchange's own ledger. Runs on the
//! main thread; decides nothing about trading.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos, RealClock};
use optiflow_base::control::Milestone;
use optiflow_base::ids::SymbolName;
use optiflow_base::placement;
use optiflow_base::stage::Room;
use optiflow_oms::binance::emergency;
use optiflow_oms::binance::rest::RestClient;
use optiflow_oms::binance::setup::START_PATIENCE;
use optiflow_storage::Summary;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};

use crate::cli::TradeArgs;
use crate::config::{Config, Mode};
use crate::exchange::{MarketEnd, Running};
use crate::ledger;
use crate::lock::Lock;
use crate::paper;
use crate::pipeline::{self, Pipeline};
use crate::problem::Problem;
use crate::record::Tally;
use crate::record::aside::Aside;
use crate::rooms;
use crate::say::{out, say};
use crate::status::Status;
use crate::venue::Venue;

/// Runs the command.
pub fn run(args: &TradeArgs) -> ExitCode {
    match load(args.config.as_deref()).and_then(|loaded| trade(args, loaded)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            say(format_args!("optiflow trade: {problem}"));
            problem.exit_code()
        }
    }
}

/// The configuration at `path`, else the demo; and its text.
pub(crate) fn load(path: Option<&Path>) -> Result<(Config, String), Problem> {
    let (path, text) = read(path)?;
    let config = Config::from_text(path, &text).map_err(|error| Problem::Usage(error.to_string()))?;
    Ok((config, text))
}

/// The text of the configuration at `path`, else of the demo; and where it is from.
pub(crate) fn read(path: Option<&Path>) -> Result<(&Path, String), Problem> {
    let shipped = Path::new(DEMO_PATH);
    let (path, text) = match path {
        Some(path) => (path, fs::read_to_string(path)),
        None if shipped.exists() => (shipped, fs::read_to_string(shipped)),
        None => (Path::new("the built-in demo"), Ok(DEMO.to_owned())),
    };
    let text = text.map_err(|error| Problem::Usage(format!("{}: cannot be read: {error}", path.display())))?;
    Ok((path, text))
}

/// Trades until told to stop; says whether everything ended as it should.
fn trade(args: &TradeArgs, (mut config, text): (Config, String)) -> Result<bool, Problem> {
    if let Some(path) = &args.db {
        config.storage.path.clone_from(path);
    }
    let run_for = args.run_for.or(config.run_for);
    let signals = catch_signals()?;
    // Held until this function returns: the epoch is chosen and the account is traded by one engine at a time.
    let _lock = Lock::take(&config.storage.path)?;
    if config.mode == Mode::Paper {
        return paper::trade(args, &config, &text, run_for, &signals);
    }
    // Asked before anything is pinned: afterwards a thread sees only its own core.
    let seats = placement::plan(&placement::usable_cores());
    let clock = RealClock::new();
    let alone_since = clock.now();
    let cold_core = seats.iter().find(|seat| seat.rooms.contains(&Room::Control)).and_then(|seat| seat.core);
    let venue = Venue::open(&config, args, cold_core)?;
    let capture =
        args.capture.as_deref().map(|out| Aside::start(out, &config, &venue, &clock, cold_core)).transpose()?;
    let (rooms, mut last_resort) = rooms::build(&config, &text, &venue, &clock, &signals, alone_since)?;
    capture.iter().for_each(Aside::wait);
    let mut pipeline = pipeline::start(rooms, &seats, &clock)
        .map_err(|error| Problem::Failed(format!("starting a thread: {error}")))?;

    let watch = Watch { clock: &clock, signals: &signals, embedded: venue.embedded.as_ref(), quiet: args.json };
    // Whatever befalls this thread, what is open must still be stopped.
    let end = survive(|| watch.until_end(&mut pipeline, run_for)).unwrap_or_else(End::Trouble);
    let mut stopped = survive(|| watch.stop(&mut pipeline, config.oms.stop_timeout)).and_then(|stopped| stopped);
    // Before anything else that takes time; first the threads, which could send more.
    let halted = pipeline.halt();
    if let Err(problem) = &stopped {
        stopped = Err(last_words(problem, &config, &mut last_resort, &clock));
    }
    let outcome = match (&end, &stopped) {
        (End::Asked(_), Ok(())) => "stopped",
        (End::Trouble(_), _) | (_, Err(_)) => "failed",
    };
    let (summary, unwritten) = pipeline.finish(outcome);
    let failed = halted.or(unwritten);
    // Before the exchange stops: a connection that it closes would be told as trouble.
    let capture = capture.map(Aside::stop);
    let audit = venue.embedded.map(|exchange| ledger::audit(&config.storage.path, &summary, &exchange.stop()));
    let captured = !matches!(capture, Some(Err(_)));
    let result =
        Outcome { summary: &summary, end: &end, stopped: &stopped, failed: &failed, audit: &audit, capture: &capture };
    result.say(args.json);
    let agrees = audit.is_none_or(|audit| audit.is_ok_and(|audit| audit.agrees()));
    Ok(outcome == "stopped" && failed.is_none() && agrees && captured)
}

/// The stop found no proof: REST is tried once more, for a bounded time; says what may still be open, and what to do.
fn last_words(problem: &str, config: &Config, rest: &mut RestClient, clock: &RealClock) -> String {
    let symbols: Vec<SymbolName> = config.symbols.iter().map(|symbol| symbol.name).collect();
    let remedy = format!(
        "run `optiflow kill`, which cancels everything and proves it; the countdown cancels what is left within {} s if \
         the exchange keeps it",
        config.oms.countdown.span.as_secs()
    );
    match emergency::cancel_ours(rest, clock, &symbols, LAST_RESORT, &mut thread::sleep) {
        Ok(0) => format!("{problem}; by REST, nothing of ours is open now"),
        Ok(open) => format!("{problem}; by REST, {open} orders of ours are still open: {remedy}"),
        Err(error) => format!("{problem}; REST could not help either ({error}): {remedy}"),
    }
}

/// Does `work`; a panic on the way is a problem to tell.
fn survive<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    // What a panic leaves half done is only read afterwards: milestones and counts.
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| "the main thread panicked; its message is above".to_owned())
}

/// Why trading ends.
enum End {
    /// As planned: the time is up, a signal came, the recorded market is over.
    Asked(&'static str),
    /// Something broke.
    Trouble(String),
}

/// Signals of the operating system, as they have come so far.
#[derive(Clone, Default)]
pub(crate) struct Signals {
    /// SIGINT, SIGTERM, and SIGHUP of a terminal that was closed: stop.
    pub(crate) stops: Arc<AtomicUsize>,
    /// SIGUSR1: set the kill latch.
    kills: Arc<AtomicUsize>,
}

impl Signals {
    fn add(&self, signal: i32) {
        match signal {
            SIGUSR1 => self.kills.fetch_add(1, Ordering::Relaxed),
            // One terminal that is closed is told by kernel and shell: never a second wish.
            SIGHUP => self.stops.fetch_max(1, Ordering::Relaxed),
            _ => self.stops.fetch_add(1, Ordering::Relaxed),
        };
    }
}

struct Watch<'a> {
    clock: &'a RealClock,
    signals: &'a Signals,
    embedded: Option<&'a Running>,
    quiet: bool,
}

impl Watch<'_> {
    /// Shows the status until there is a reason to stop. The run time counts from readiness, not from start.
    fn until_end(&self, pipeline: &mut Pipeline, run_for: Option<Duration>) -> End {
        let started = self.clock.now();
        let mut ready: Option<Nanos> = None;
        let mut status = Status::new(self.quiet, run_for);
        let mut killed = false;
        loop {
            let now = self.clock.now();
            while let Some(milestone) = pipeline.milestones.pop() {
                match milestone {
                    Milestone::Ready => ready = ready.or(Some(now)),
                    Milestone::Failed(why) => return End::Trouble(why.to_owned()),
                    Milestone::Stopped | Milestone::StopFailed { .. } => {}
                }
            }
            if !killed && self.signals.kills.load(Ordering::Relaxed) > 0 {
                pipeline.kill();
                killed = true;
            }
            if self.signals.stops.load(Ordering::Relaxed) > 0 {
                return End::Asked("asked to stop");
            }
            if let Some(trouble) = pipeline.trouble() {
                return End::Trouble(trouble);
            }
            match self.embedded.and_then(Running::market_end) {
                None => {}
                Some(MarketEnd::Over) => return End::Asked("the recorded market is over"),
                Some(MarketEnd::Failed(error)) => return End::Trouble(format!("the market: {error}")),
            }
            match (ready, run_for) {
                (Some(ready), Some(run_for)) if now >= ready + run_for => return End::Asked("the time is up"),
                (None, _) if now >= started + READY_TIMEOUT => {
                    let seconds = READY_TIMEOUT.as_secs();
                    return End::Trouble(format!("not ready after {seconds} s: see the notices in the database"));
                }
                _ => {}
            }
            status.show(ready.map(|ready| now.since(ready)), pipeline);
            thread::sleep(WATCH_PERIOD);
        }
    }

    /// Stops in order and waits for the proof; a second signal gives up waiting.
    fn stop(&self, pipeline: &mut Pipeline, timeout: Duration) -> Result<(), String> {
        // The first signal of all asks for what goes on already.
        let told = self.signals.stops.load(Ordering::Relaxed).max(1);
        pipeline.stop();
        // The oms gives up by itself first and says how many orders may be open.
        let deadline = self.clock.now() + timeout + STOP_GRACE;
        loop {
            while let Some(milestone) = pipeline.milestones.pop() {
                match milestone {
                    Milestone::Stopped => return Ok(()),
                    Milestone::StopFailed { open_orders } => {
                        return Err(format!("{open_orders} orders may still be open"));
                    }
                    Milestone::Failed(why) => return Err(why.to_owned()),
                    Milestone::Ready => {}
                }
            }
            if pipeline.is_mute() && pipeline.milestones.is_empty() {
                return Err("the thread that handles orders is gone: orders may still be open".to_owned());
            }
            if self.signals.stops.load(Ordering::Relaxed) > told {
                return Err("told twice to stop: orders may still be open".to_owned());
            }
            if self.clock.now() > deadline {
                return Err("no proof that nothing is open".to_owned());
            }
            thread::sleep(WATCH_PERIOD);
        }
    }
}

/// All that is to be said at the end.
struct Outcome<'a> {
    summary: &'a Summary,
    end: &'a End,
    stopped: &'a Result<(), String>,
    failed: &'a Option<String>,
    audit: &'a Option<Result<ledger::Audit, String>>,
    capture: &'a Option<Result<Tally, Problem>>,
}

impl Outcome<'_> {
    fn say(&self, as_json: bool) {
        let why = match self.end {
            End::Asked(why) => (*why).to_owned(),
            End::Trouble(trouble) => format!("trouble: {trouble}"),
        };
        let open = self.stopped.as_ref().err().map_or("nothing left open".to_owned(), Clone::clone);
        let ledger = match self.audit {
            None => "not asked".to_owned(),
            Some(Ok(audit)) => audit.to_string(),
            Some(Err(problem)) => problem.clone(),
        };
        let Outcome { summary, failed, .. } = self;
        if as_json {
            let capture = self.capture.as_ref().map(|capture| match capture {
                Ok(tally) => serde_json::json!(tally),
                Err(problem) => serde_json::json!({ "failed": problem.to_string() }),
            });
            let database = summary.database.display().to_string();
            let value = serde_json::json!({
                "end": why, "stop": open, "failed": failed, "ledger": ledger, "database": database, "summary": summary,
                "capture": capture,
            });
            out(&value);
            return;
        }
        out(optiflow_storage::report::text(summary));
        out(format_args!("end       {why}; {open}"));
        out(format_args!("ledger    {ledger}"));
        match self.capture {
            None => {}
            Some(Ok(tally)) => out(format_args!("capture   {tally}")),
            Some(Err(problem)) => out(format_args!("capture   failed: {problem}")),
        }
        if let Some(failed) = failed {
            out(format_args!("failed    {failed}"));
        }
    }
}

/// Counts signals from now on.
fn catch_signals() -> Result<Signals, Problem> {
    let counts = Signals::default();
    let mut signals = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM, SIGUSR1])
        .map_err(|error| Problem::Failed(format!("listening for signals: {error}")))?;
    let counted = counts.clone();
    let listen = move || {
        for signal in signals.forever() {
            counted.add(signal);
        }
    };
    let thread = thread::Builder::new().name("signals".to_owned()).spawn(listen);
    thread.map_err(|error| Problem::Failed(format!("starting a thread: {error}")))?;
    Ok(counts)
}

/// The configuration that a checkout trades with when none is named.
const DEMO_PATH: &str = "configs/demo.toml";
/// The same, for a program that was carried away from its checkout.
const DEMO: &str = include_str!("../../configs/demo.toml");
/// From start to the first reconciled state: longer than a short ban, like the questions before it.
const READY_TIMEOUT: Duration = START_PATIENCE;
/// How often the main thread looks.
const WATCH_PERIOD: Duration = Duration::from_millis(20);
/// What a stop may take beyond the oms's own limit.
const STOP_GRACE: Duration = Duration::from_secs(1);
/// How long REST is tried when a stop found no proof. With a second for threads, until nothing is sent any more a stop
/// takes `[oms] stop_timeout` + 7 s at most.
const LAST_RESORT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_that_is_closed_is_one_wish_to_stop_however_often_it_is_told() {
        let signals = Signals::default();
        let wishes = |signal| {
            signals.add(signal);
            signals.stops.load(Ordering::Relaxed)
        };
        assert_eq!([SIGUSR1, SIGHUP, SIGHUP, SIGTERM, SIGHUP, SIGINT].map(wishes), [0, 1, 1, 2, 2, 3]);
    }

    #[test]
    fn nobody_waits_for_the_answer_of_a_thread_that_is_gone() {
        let path = std::env::temp_dir().join(format!("optiflow-mute-{}.db", std::process::id()));
        let (mut pipeline, mut milestones) = pipeline::tests::of_seat(&path, || {});
        let (clock, signals) = (RealClock::new(), Signals::default());
        let watch = Watch { clock: &clock, signals: &signals, embedded: None, quiet: true };
        let long = Duration::from_secs(5);
        assert!(watch.stop(&mut pipeline, long).is_err_and(|problem| problem.contains("is gone")));
        // Its last word counts.
        assert!(milestones.push(Milestone::Stopped).is_ok());
        assert_eq!(watch.stop(&mut pipeline, long), Ok(()));
        assert_eq!(pipeline.halt(), None);
        assert_eq!(pipeline.finish("failed").1, None);
        for end in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{end}", path.display()));
        }
    }

    #[test]
    fn a_panic_of_the_main_thread_is_a_trouble_after_which_the_session_is_still_stopped() {
        assert_eq!(survive(|| 1), Ok(1));
        let panics: fn() -> u8 = || panic!("on purpose");
        assert!(survive(panics).is_err_and(|problem| problem.contains("panicked")));
    }
}
