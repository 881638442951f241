//! What can go wrong outside the hot path: keys, REST and start-up checks. Says what was being done and what to do.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// An error of this room.
#[derive(Debug)]
pub enum OmsError {
    /// A key file could not be read.
    KeyFile {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others than its owner may read or write a key file.
    KeyFileExposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A key file does not hold what it should.
    KeyFormat {
        /// Which file; empty when the key did not come from a file.
        path: PathBuf,
        /// What is wrong with it; never a part of it.
        reason: &'static str,
    },
    /// The certificate authorities could not be read.
    Roots {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The base URL cannot be used.
    BaseUrl(String),
    /// A call at start got no usable answer.
    Call {
        /// What was being asked.
        path: &'static str,
        /// HTTP status; 0 when there was no complete answer.
        status: u16,
        /// The exchange's code.
        code: Option<i32>,
        /// The exchange's text, printable and cut.
        text: String,
    },
    /// An answer at start could not be understood.
    Answer {
        /// What was being asked.
        path: &'static str,
        /// What is missing or wrong.
        reason: String,
    },
    /// The exchange does not list a wanted symbol.
    NoSuchSymbol(String),
    /// A wanted symbol is listed but does not trade.
    NotTrading {
        /// Which symbol.
        symbol: String,
        /// Its status.
        status: String,
    },
    /// The account is in hedge mode.
    HedgeMode,
    /// A symbol is set up in another way than the configuration says, and may not be changed.
    Settings {
        /// Which symbol.
        symbol: String,
        /// What the configuration asks for.
        wanted: String,
        /// What the account has.
        found: String,
    },
    /// A symbol was set up anew, and the account does not show it.
    SettingsNotApplied {
        /// Which symbol.
        symbol: String,
        /// What was set.
        wanted: String,
        /// What the account shows.
        found: String,
    },
    /// Former sessions left orders without a proven end in symbols that are not configured any more.
    Strays {
        /// Where.
        symbols: String,
        /// How many.
        orders: usize,
        /// How many of them the exchange shows alive.
        open: usize,
    },
    /// Told to stop while waiting at start.
    Stopped,
    /// A call at start failed in a way that time mends, for longer than is waited.
    OutOfPatience {
        /// How it failed last.
        error: Box<OmsError>,
        /// How often it was asked.
        tries: u32,
        /// How long the start has taken by then.
        spent: Duration,
        /// When the exchange allows the next request, where it said so.
        wait: Option<Duration>,
    },
    /// Told to stop while a call at start was being repeated.
    Interrupted {
        /// What was being asked.
        path: &'static str,
        /// How it failed last.
        error: Box<OmsError>,
    },
}

impl fmt::Display for OmsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OmsError::KeyFile { path, source } => {
                write!(f, "reading key file {}: {source}; check the path in the configuration", path.display())
            }
            OmsError::KeyFileExposed { path, mode } => write!(
                f,
                "key file {} may be read or changed by others (mode {mode:04o}); run: chmod 600 {}",
                path.display(),
                path.display()
            ),
            OmsError::KeyFormat { path, reason } if path.as_os_str().is_empty() => {
                write!(f, "API key: {reason}; create the key again and store it unchanged")
            }
            OmsError::KeyFormat { path, reason } => {
                write!(f, "key file {}: {reason}; create the key again and store it unchanged", path.display())
            }
            OmsError::Roots { path, reason } => {
                write!(f, "reading certificate authorities from {}: {reason}; give a PEM file", path.display())
            }
            OmsError::BaseUrl(url) => {
                write!(f, "REST base {url:?} is not http(s)://host[:port]; correct it in the configuration")
            }
            OmsError::Call { path, status: 0, .. } => {
                write!(
                    f,
                    "asking {path}: no complete answer; check network, address and certificates, then start again"
                )
            }
            OmsError::Call { path, status, code, text } => {
                let advice = advice(*code);
                match code {
                    Some(code) => write!(f, "asking {path}: HTTP {status}, code {code}, {text:?}; {advice}"),
                    None => write!(f, "asking {path}: HTTP {status}, {text:?}; {advice}"),
                }
            }
            OmsError::Answer { path, reason } => {
                write!(
                    f,
                    "asking {path}: the answer makes no sense ({reason}); check that the address is Binance USDⓈ-M"
                )
            }
            OmsError::NoSuchSymbol(symbol) => {
                write!(f, "the exchange does not list {symbol}; correct the symbol in the configuration")
            }
            OmsError::NotTrading { symbol, status } => {
                write!(f, "{symbol} does not trade (status {status}); take it out of the configuration or wait")
            }
            OmsError::HedgeMode => f.write_str(
                "the account is in hedge mode; switch it to one-way mode (no orders or positions may be open)",
            ),
            OmsError::Settings { symbol, wanted, found } => write!(
                f,
                "{symbol}: the configuration asks for {wanted}; the account has {found}; nothing was changed: change it \
                 at the exchange, or write apply_settings = true under [[symbol]] {symbol}, which does so at start"
            ),
            OmsError::SettingsNotApplied { symbol, wanted, found } => write!(
                f,
                "{symbol}: {wanted} was set, and the account shows {found}; change it at the exchange, then start again"
            ),
            OmsError::Strays { symbols, orders, open } => write!(
                f,
                "{orders} orders of former sessions in {symbols}, which the configuration does not name, have no proven \
                 end ({open} are open); if that stays so, add the symbols to the configuration, or run `optiflow kill \
                 --symbol NAME` for each"
            ),
            OmsError::Stopped => f.write_str("told to stop while starting; this session opened nothing"),
            OmsError::OutOfPatience { error, tries, spent, wait } => {
                write!(f, "{error}; {tries} tries in {} s of starting did not help", spent.as_secs())?;
                match wait {
                    Some(wait) => {
                        write!(f, ", and the exchange takes requests again in {} s: start again then", wait.as_secs())
                    }
                    None => f.write_str(": start again when it answers"),
                }
            }
            OmsError::Interrupted { path, error } => {
                write!(f, "told to stop while {path} was being asked again ({error}); this session opened nothing")
            }
        }
    }
}

impl std::error::Error for OmsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OmsError::KeyFile { source, .. } => Some(source),
            OmsError::KeyFileExposed { .. }
            | OmsError::KeyFormat { .. }
            | OmsError::Roots { .. }
            | OmsError::BaseUrl(_)
            | OmsError::Call { .. }
            | OmsError::Answer { .. }
            | OmsError::NoSuchSymbol(_)
            | OmsError::NotTrading { .. }
            | OmsError::HedgeMode
            | OmsError::Settings { .. }
            | OmsError::SettingsNotApplied { .. }
            | OmsError::Strays { .. }
            | OmsError::Stopped => None,
            OmsError::OutOfPatience { error, .. } | OmsError::Interrupted { error, .. } => Some(error),
        }
    }
}

fn advice(code: Option<i32>) -> &'static str {
    use crate::binance::outcome::{Meaning, meaning};
    match code.map_or(Meaning::Plain, meaning) {
        Meaning::Clock => "check this machine's clock",
        Meaning::Key => "check key, secret, permissions and allowed addresses",
        Meaning::Account => "check the account's state and settings",
        Meaning::Limit => "wait before starting again",
        Meaning::HaltIncrease => "the exchange restricts the symbol or the account: look at its announcements",
        Meaning::Plain
        | Meaning::NotFound
        | Meaning::IdTaken
        | Meaning::ListenKey
        | Meaning::Lapsed
        | Meaning::Disagreement => "see the exchange's error codes",
    }
}
