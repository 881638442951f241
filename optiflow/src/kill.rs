//! `optiflow kill`: ends everything in the account, from another shell, with or without a running engine.
//!
//! A running engine is told first, by signal, so that it opens nothing new; then everything is cancelled by REST, and
//! flattened if asked for, until the exchange shows nothing any more. An engine that keeps sending exits is stopped in
//! order. Exit 0 only when proven. Touches orders of everybody in the account. Main thread; needs no flag for real money,
//! because all it does is end risk.

use std::cell::RefCell;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use optiflow_base::clock::{Clock, RealClock};
use optiflow_base::money::Side;
use optiflow_oms::binance::kill::{self, Deed, End, Wanted};
use optiflow_oms::binance::rest::RestClient;
use optiflow_oms::binance::setup::{self, Asker};
use optiflow_oms::time::ExchangeTime;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::cli::KillArgs;
use crate::config::Config;
use crate::lock::{self, Holder};
use crate::problem::Problem;
use crate::say::{out, say};
use crate::trade;
use crate::venue::Venue;

/// Runs the command.
pub fn run(args: &KillArgs) -> ExitCode {
    match end_everything(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            say(format_args!("optiflow kill: {problem}"));
            problem.exit_code()
        }
    }
}

fn end_everything(args: &KillArgs) -> Result<bool, Problem> {
    let (path, text) = trade::read(args.config.as_deref())?;
    let (mut config, elsewhere) = Config::for_ending(path, &text).map_err(|error| Problem::Usage(error.to_string()))?;
    if let Some(path) = &args.db {
        config.storage.path.clone_from(path);
    }
    let mut teller = Teller { quiet: args.json, deeds: Vec::new() };
    if !elsewhere.is_empty() {
        let (count, path) = (elsewhere.len(), path.display());
        teller.line(&format!("configuration: {count} problems that matter to `trade` alone: `optiflow check {path}`"));
    }
    // The engine is told before the exchange is asked, which may fail.
    let engine = Engine::find(lock::holder(&config.storage.path), &mut teller);
    engine.signal(Signal::USR1, "told to open nothing new (kill latch)", &mut teller);

    let venue = Venue::reach(&config, args.exchange.as_deref())?;
    let (clock, time) = (RealClock::new(), ExchangeTime::new());
    let client = RestClient::new(&venue.rest, &venue.roots, Some(venue.key.clone()), time.clone());
    let mut client = client.map_err(|error| Problem::Failed(error.to_string()))?;
    let mut pause = |wait: &setup::Wait<'_>| {
        thread::sleep(wait.span);
        true
    };
    let mut asker = Asker::new(&mut client, &clock, &time, CLOCK_PATIENCE, clock.now().0, &mut pause);
    if let Err(error) = setup::sync_time(&mut asker) {
        teller.line(&format!("the exchange's clock could not be read, ours is used: {error}"));
    }
    let wanted = Wanted { symbols: args.symbols.clone(), flatten: args.flatten };
    let told = RefCell::new(teller);
    let end = kill::kill(
        &mut client,
        &clock,
        &wanted,
        &mut thread::sleep,
        &mut |deed| told.borrow_mut().deed(&deed),
        &mut || engine.signal(Signal::TERM, "orders keep appearing, told to stop in order", &mut told.borrow_mut()),
    );
    let mut teller = told.into_inner();
    let holds = end.left.as_ref().is_some_and(|left| !left.held.is_empty());
    if let Some(holder) = engine.holder.filter(|_| holds && lock::holder(&config.storage.path) != Ok(None)) {
        let pid = holder.pid;
        teller.line(&format!(
            "engine {pid} still runs and may send exits: kill -TERM {pid} stops it, --flatten leaves none"
        ));
    }
    tell(args, &engine, &end, teller);
    Ok(end.proven)
}

/// The engine that runs, if one does.
struct Engine {
    holder: Option<Holder>,
    trouble: Option<String>,
}

impl Engine {
    fn find(found: Result<Option<Holder>, Problem>, teller: &mut Teller) -> Engine {
        match found {
            Ok(None) => {
                teller.line("engine: none runs with this database");
                Engine { holder: None, trouble: None }
            }
            Ok(Some(holder)) => Engine { holder: Some(holder), trouble: None },
            Err(problem) => {
                teller.line(&format!("engine: {problem}"));
                Engine { holder: None, trouble: Some(problem.to_string()) }
            }
        }
    }

    fn signal(&self, signal: Signal, what: &str, teller: &mut Teller) {
        let Some(holder) = self.holder else { return };
        match send(holder, signal) {
            Ok(()) => teller.line(&format!("engine {}: {what}", holder.pid)),
            Err(problem) => teller.line(&format!("engine {}: could not be told: {problem}", holder.pid)),
        }
    }
}

fn send(holder: Holder, signal: Signal) -> Result<(), String> {
    let pid = i32::try_from(holder.pid).ok().and_then(Pid::from_raw).ok_or("not a process id")?;
    kill_process(pid, signal).map_err(|error| error.to_string())
}

/// Tells the person who watches, and remembers for the JSON.
struct Teller {
    quiet: bool,
    deeds: Vec<Value>,
}

impl Teller {
    fn line(&mut self, text: &str) {
        if !self.quiet {
            out(text);
        }
        self.deeds.push(json!({ "what": "note", "text": text }));
    }

    fn deed(&mut self, deed: &Deed) {
        let (text, value) = words(deed);
        if !self.quiet {
            out(&text);
        }
        self.deeds.push(value);
    }
}

fn words(deed: &Deed) -> (String, Value) {
    match deed {
        Deed::Found(found) => (format!("open      {found}"), json!({ "what": "open", "order": found.to_string() })),
        Deed::Gone(found) => (format!("gone      {found}"), json!({ "what": "gone", "order": found.to_string() })),
        Deed::Held(holding) => {
            (format!("held      {holding}"), json!({ "what": "held", "position": holding.to_string() }))
        }
        Deed::Cancel { what, answer } => {
            (format!("cancel    {what}: {answer}"), json!({ "what": "cancel", "of": what, "answer": answer }))
        }
        Deed::Exit { symbol, side, qty, client, answer } => {
            let side = match side {
                Side::Buy => "buy",
                Side::Sell => "sell",
            };
            let value = json!({
                "what": "exit", "symbol": symbol, "side": side, "qty": qty.to_string(), "client": client,
                "answer": answer,
            });
            (format!("exit      {symbol} {side} {qty} at market, {client}: {answer}"), value)
        }
        Deed::Blind(why) => (format!("blind     {why}"), json!({ "what": "blind", "why": why })),
        Deed::Waiting { span, why } => {
            let seconds = span.as_secs_f64();
            (format!("waiting   {seconds:.1} s: {why}"), json!({ "what": "waiting", "seconds": seconds, "why": why }))
        }
    }
}

fn tell(args: &KillArgs, engine: &Engine, end: &End, teller: Teller) {
    let left = end.left.clone().unwrap_or_default();
    if args.json {
        let text = |all: &[String]| Value::from(all.to_vec());
        let orders: Vec<String> = left.orders.iter().map(ToString::to_string).collect();
        let held: Vec<String> = left.held.iter().map(ToString::to_string).collect();
        let value = json!({
            "proven": end.proven,
            "problem": end.problem,
            "engine": { "pid": engine.holder.map(|holder| holder.pid), "problem": engine.trouble },
            "flattened": args.flatten && end.proven,
            "open_orders": text(&orders),
            "positions": text(&held),
            "deeds": teller.deeds,
        });
        out(&value);
        return;
    }
    for holding in &left.held {
        out(format_args!("left      {holding}"));
    }
    match (&end.problem, end.proven) {
        (_, true) if args.flatten => out("proven: nothing is open and nothing is held"),
        (_, true) => out("proven: nothing is open"),
        (problem, false) => {
            let why = problem.clone().unwrap_or_default();
            let open = left.orders.len();
            out(format_args!("NOT PROVEN: {why}; {open} orders were open at the last look: look at the exchange now"));
        }
    }
}

/// The exchange's clock is asked for so long; without it ours must do.
const CLOCK_PATIENCE: Duration = Duration::from_secs(3);
