//! What must be known before the first order, asked from the exchange: clock, rules, fees, limits, and an account set up
//! as the session takes it to be.
//!
//! Waits out what time mends, as `oms/src/binance/setup/asker.rs` says, and tells the person who watches; a signal to
//! stop ends it at once. Blocks; runs on the main thread. Trades nothing; changes leverage and margin type of a symbol when
//! the configuration says `apply_settings`, nothing else.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use optiflow_base::clock::{Clock, RealClock};
use optiflow_base::ids::SymbolName;
use optiflow_oms::binance::rest::RestClient;
use optiflow_oms::binance::setup::{self, Asker, Rules, START_PATIENCE, SettledSettings, Wait};
use optiflow_oms::error::OmsError;
use optiflow_oms::peace::Peace;
use optiflow_oms::time::ExchangeTime;
use sha2::{Digest, Sha256};

use crate::config::{Config, SymbolConfig};
use crate::problem::Problem;
use crate::say::say;
use crate::trade::Signals;
use crate::venue::Venue;

/// What is known when a session begins.
pub(crate) struct Known {
    /// What the exchange allows.
    pub(crate) rules: Rules,
    /// The exchange's clock.
    pub(crate) time: ExchangeTime,
    /// What all clients of this address know together.
    pub(crate) peace: Peace,
    /// The client that asked.
    pub(crate) rest: RestClient,
    /// The hash of this program; empty when it cannot be read.
    pub(crate) binary_hash: String,
}

/// Asks everything.
///
/// # Errors
/// Says what was being done and what to do now.
pub(crate) fn ask(
    config: &Config,
    venue: &Venue,
    clock: &RealClock,
    margin_asset: &str,
    signals: &Signals,
) -> Result<Known, Problem> {
    // Reading the whole program takes as long as the questions: both at once.
    let binary = thread::spawn(binary_hash);
    let say = |error: OmsError| Problem::Failed(error.to_string());
    let (time, peace) = (ExchangeTime::new(), Peace::new());
    let mut rest = client(venue, &time, &peace).map_err(say)?;
    let names: Vec<SymbolName> = config.symbols.iter().map(|symbol| symbol.name).collect();
    let mut pause = |wait: &Wait<'_>| sleep_through(wait, signals);
    let mut asker = Asker::new(&mut rest, clock, &time, START_PATIENCE, clock.now().0, &mut pause);
    let rules = questions(&mut asker, &names, margin_asset).map_err(say)?;
    for symbol in &config.symbols {
        tell_settings(symbol, setup::settle_settings(&mut asker, &symbol.name, &symbol.settings).map_err(say)?);
    }
    let binary_hash = binary.join().unwrap_or_default();
    Ok(Known { rules, time, peace, rest, binary_hash })
}

/// A client of the venue that shares what the others know.
pub(crate) fn client(venue: &Venue, time: &ExchangeTime, peace: &Peace) -> Result<RestClient, OmsError> {
    let client = RestClient::new(&venue.rest, &venue.roots, Some(venue.key.clone()), time.clone());
    client.map(|client| client.sharing(peace))
}

fn questions<C: Clock>(asker: &mut Asker<'_, C>, names: &[SymbolName], margin_asset: &str) -> Result<Rules, OmsError> {
    setup::sync_time(asker)?;
    let mut rules = setup::exchange_rules(asker, names, margin_asset)?;
    setup::require_one_way(asker)?;
    setup::fees(asker, &mut rules.instruments)?;
    rules.orders = setup::order_limits(asker)?;
    Ok(rules)
}

/// Says what is in force, and what was changed for it.
fn tell_settings(symbol: &SymbolConfig, settled: SettledSettings) {
    let SettledSettings { found, in_force } = settled;
    let wanted = symbol.settings.leverage.is_some() || symbol.settings.isolated.is_some();
    let why = match (found == in_force, wanted) {
        (false, _) => format!("set and verified; the account had {found}"),
        (true, true) => "as configured".to_owned(),
        (true, false) => "as the account has it".to_owned(),
    };
    say(format_args!("optiflow trade: {}: {in_force} ({why})", symbol.name));
}

/// Waits, and says for what; false as soon as a signal says to stop.
pub(crate) fn sleep_through(wait: &Wait<'_>, signals: &Signals) -> bool {
    say(format_args!("optiflow trade: asking again in {:.1} s: {}", wait.span.as_secs_f64(), wait.error));
    let end = Instant::now() + wait.span;
    while signals.stops.load(Ordering::Relaxed) == 0 {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        thread::sleep(left.min(SIGNAL_PERIOD));
    }
    false
}

/// The hash of this program; empty when it cannot be read.
pub(crate) fn binary_hash() -> String {
    std::env::current_exe().ok().and_then(|path| hash_of_file(&path)).unwrap_or_default()
}

fn hash_of_file(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let (mut hasher, mut block) = (Sha256::new(), vec![0; HASH_BLOCK]);
    loop {
        let read = file.read(&mut block).ok()?;
        if read == 0 {
            return Some(hex(&hasher.finalize()));
        }
        hasher.update(&block[..read]);
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How often a wait looks for a signal.
const SIGNAL_PERIOD: Duration = Duration::from_millis(20);
/// Bytes of the program read at once.
const HASH_BLOCK: usize = 256 * 1024;
