//! What can go wrong before an exchange listens.

use std::fmt;
use std::io;
use std::path::PathBuf;

use optiflow_sim::core::SPEEDS;
use optiflow_sim::market::SourceError;

use super::FaultsError;

/// Why no exchange could be started.
#[derive(Debug)]
pub enum ExchangeError {
    /// The market cannot be opened.
    Market(SourceError),
    /// The speed is not a positive number.
    Speed(f64),
    /// The file of faults has problems.
    Faults(FaultsError),
    /// The histograms of reactions cannot be written.
    Reaction {
        /// Where to.
        path: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
    /// The port cannot be listened on.
    Listen {
        /// The port.
        port: u16,
        /// What the operating system said.
        error: io::Error,
    },
    /// Keys or certificates cannot be written.
    Folder {
        /// Where.
        path: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
    /// Certificates or keys cannot be made.
    Certificate(String),
    /// The thread or its runtime cannot be started.
    Thread(io::Error),
    /// The thread cannot be pinned to its core.
    Pin(String),
    /// Signals cannot be caught.
    Signals(io::Error),
    /// The exchange's thread ended by itself.
    Died,
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExchangeError::Market(error) => write!(f, "opening the exchange's market: {error}"),
            ExchangeError::Speed(speed) => write!(f, "speed {speed}: must be within {SPEEDS:?}"),
            ExchangeError::Faults(error) => write!(f, "{error}"),
            ExchangeError::Reaction { path, error } => {
                write!(f, "writing reaction times to {}: {error}; name a file that can be written", path.display())
            }
            ExchangeError::Listen { port, error } => {
                write!(f, "listening on 127.0.0.1:{port}: {error}; choose another port, or 0 for any")
            }
            ExchangeError::Folder { path, error } => {
                write!(f, "writing keys into {}: {error}; name a folder that can be written", path.display())
            }
            ExchangeError::Certificate(error) => write!(f, "making test keys and certificates: {error}"),
            ExchangeError::Thread(error) => write!(f, "starting the exchange's thread: {error}"),
            ExchangeError::Pin(error) => write!(f, "pinning the exchange's thread: {error}"),
            ExchangeError::Signals(error) => write!(f, "listening for signals: {error}"),
            ExchangeError::Died => f.write_str("the exchange's thread ended by itself; its message is above"),
        }
    }
}

impl std::error::Error for ExchangeError {}
