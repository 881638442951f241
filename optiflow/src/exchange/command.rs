//! The command `exchange`: starts the exchange, says where it listens, waits to be told to stop, says what happened.
//!
//! SIGINT, SIGTERM and a closed terminal (SIGHUP) stop it: a temporary folder of keys goes with it.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use optiflow_base::placement;
use optiflow_sim::binance::faults::Faults;
use serde::Serialize;
use serde_json::{Value, json};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::{ExchangeError, ExchangeOptions, Ledger, MarketEnd, Report, Running, faults, start_on};
use crate::cli::ExchangeArgs;
use crate::say::{out, say};

/// Runs the command.
pub fn run(args: &ExchangeArgs) -> ExitCode {
    match options(args).and_then(|options| serve(options, args.reaction.as_deref(), args.json)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("optiflow exchange: {error}"));
            ExitCode::from(if is_usage(&error) { 2 } else { 1 })
        }
    }
}

fn options(args: &ExchangeArgs) -> Result<ExchangeOptions, ExchangeError> {
    let faults = args.faults.as_deref().map(|path| faults::load(path, args.seed)).transpose();
    Ok(ExchangeOptions {
        port: args.port,
        market: args.market.clone(),
        seed: args.seed,
        speed: args.speed,
        tls: !args.no_tls,
        folder: args.folder.clone(),
        faults: faults.map_err(ExchangeError::Faults)?.unwrap_or(Faults::none(args.seed)),
        reaction: args.reaction.is_some(),
    })
}

/// Serves until a signal says stop; writes reaction times to `reaction` where they are measured.
///
/// # Errors
/// When the exchange cannot be started, ends by itself, or what it measured cannot be written.
pub fn serve(options: ExchangeOptions, reaction: Option<&Path>, json: bool) -> Result<(), ExchangeError> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, stop.clone()).map_err(ExchangeError::Signals)?;
    }
    // A file that cannot be written is better known before the measurement than after it.
    if let Some(path) = reaction {
        std::fs::write(path, "").map_err(|error| unwritable(path, error))?;
    }
    // The thread that measures never sleeps: on a core of its own, and not on the last, where clients trade.
    let cores = placement::usable_cores();
    let core = cores.first().copied().filter(|_| options.reaction && cores.len() > 1);
    let running = start_on(options, core)?;
    out(if json { as_json(&running) } else { as_text(&running) });
    let mut over = false;
    while !stop.load(Ordering::Relaxed) {
        if running.died() {
            return Err(ExchangeError::Died);
        }
        if let Some(end) = running.market_end().filter(|_| !over) {
            over = true;
            match end {
                MarketEnd::Over if json => {}
                MarketEnd::Over => out("the market is over; the exchange still answers"),
                MarketEnd::Failed(error) => say(format_args!("the market failed; the exchange still answers: {error}")),
            }
        }
        std::thread::sleep(WATCH_INTERVAL);
    }
    let (ledger, report) = running.finish();
    out(if json { summary_json(&ledger, &report).to_string() } else { summary(&ledger) + &report.text() });
    reaction.map_or(Ok(()), |path| report.write_reactions(path).map_err(|error| unwritable(path, error)))
}

fn unwritable(path: &Path, error: std::io::Error) -> ExchangeError {
    ExchangeError::Reaction { path: path.to_owned(), error }
}

/// Is it the caller's mistake rather than the machine's?
pub(crate) fn is_usage(error: &ExchangeError) -> bool {
    match error {
        ExchangeError::Market(_) | ExchangeError::Speed(_) | ExchangeError::Faults(_) => true,
        ExchangeError::Reaction { .. } => false,
        ExchangeError::Listen { .. }
        | ExchangeError::Folder { .. }
        | ExchangeError::Certificate(_)
        | ExchangeError::Thread(_)
        | ExchangeError::Pin(_)
        | ExchangeError::Signals(_)
        | ExchangeError::Died => false,
    }
}

/// What `--json` prints, in the order of the contract.
#[derive(Serialize)]
struct Announcement<'a> {
    rest: &'a str,
    streams: &'a str,
    ws_api: &'a str,
    api_key: &'a str,
    api_secret: &'a str,
    ed25519_key_file: &'a Path,
    ca_file: Option<&'a Path>,
}

fn as_json(running: &Running) -> String {
    let announcement = Announcement {
        rest: &running.rest,
        streams: &running.streams,
        ws_api: &running.ws_api,
        api_key: &running.api_key,
        api_secret: &running.api_secret,
        ed25519_key_file: &running.ed25519_key_file,
        ca_file: running.ca_file.as_deref(),
    };
    // Text and paths that the user named: a path that is no text cannot be told as JSON.
    serde_json::to_string(&announcement).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
}

fn as_text(running: &Running) -> String {
    let ca = running.ca_file.as_ref().map_or("none: no TLS".to_owned(), |path| path.display().to_string());
    let rows = [
        ("REST", running.rest.clone()),
        ("streams", running.streams.clone()),
        ("WebSocket API", running.ws_api.clone()),
        ("API key", running.api_key.clone()),
        ("secret", running.api_secret.clone()),
        ("or Ed25519 key", running.ed25519_key_file.display().to_string()),
        ("CA certificate", ca),
    ];
    let lines = rows.map(|(name, value)| format!("{name:<16} {value}"));
    format!("The simulated exchange listens. Its keys are test keys.\n{}", lines.join("\n"))
}

fn summary(ledger: &Ledger) -> String {
    let positions: Vec<String> = ledger.positions.iter().map(|held| format!("{} {}", held.symbol, held.qty)).collect();
    format!(
        "{} orders, {} still open, {} fills; position {}; wallet {} USDT",
        ledger.orders.len(),
        ledger.open_orders().count(),
        ledger.fills.len(),
        positions.join(", "),
        ledger.wallet
    )
}

/// What `--json` prints at the end.
fn summary_json(ledger: &Ledger, report: &Report) -> Value {
    let positions = ledger.positions.iter().map(|held| (held.symbol.clone(), held.qty.to_string().into()));
    let mut summary = json!({
        "orders": ledger.orders.len(),
        "open_orders": ledger.open_orders().count(),
        "fills": ledger.fills.len(),
        "positions": Value::Object(positions.collect()),
        "wallet": ledger.wallet.to_string(),
    });
    if let Value::Object(fields) = &mut summary {
        fields.extend(report.json());
    }
    summary
}

/// How often the waiting thread looks up.
const WATCH_INTERVAL: Duration = Duration::from_millis(50);
