//! The command `exchange`: starts the exchange, says where it listens, waits for SIGINT or SIGTERM, says what happened.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::{ExchangeError, ExchangeOptions, Ledger, MarketEnd, Running, start};
use crate::cli::ExchangeArgs;

/// Runs the command.
pub fn run(args: &ExchangeArgs) -> ExitCode {
    let options = ExchangeOptions {
        port: args.port,
        market: args.market.clone(),
        seed: args.seed,
        speed: args.speed,
        tls: !args.no_tls,
        folder: args.folder.clone(),
    };
    match serve(options, args.json) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(if is_usage(&error) { 2 } else { 1 })
        }
    }
}

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// When the exchange cannot be started, or ends by itself.
pub fn serve(options: ExchangeOptions, json: bool) -> Result<(), ExchangeError> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, stop.clone()).map_err(ExchangeError::Signals)?;
    }
    let running = start(options)?;
    println!("{}", if json { as_json(&running) } else { as_text(&running) });
    let mut over = false;
    while !stop.load(Ordering::Relaxed) {
        if running.died() {
            return Err(ExchangeError::Died);
        }
        if let Some(end) = running.market_end().filter(|_| !over) {
            over = true;
            match end {
                MarketEnd::Over if json => {}
                MarketEnd::Over => println!("the market is over; the exchange still answers"),
                MarketEnd::Failed(error) => eprintln!("the market failed; the exchange still answers: {error}"),
            }
        }
        std::thread::sleep(WATCH_INTERVAL);
    }
    let ledger = running.stop();
    if !json {
        println!("{}", summary(&ledger));
    }
    Ok(())
}

/// Is it the caller's mistake rather than the machine's?
pub(crate) fn is_usage(error: &ExchangeError) -> bool {
    match error {
        ExchangeError::Market(_) | ExchangeError::Speed(_) => true,
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

/// How often the waiting thread looks up.
const WATCH_INTERVAL: Duration = Duration::from_millis(50);
