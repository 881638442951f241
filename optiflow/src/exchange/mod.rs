//! The server shell of the simulated exchange: sockets, HTTP, WebSocket, TLS around `optiflow_sim`, on loopback.
//!
//! What it does: one thread of its own runs a tokio runtime that owns the exchange; requests and frames go in, answers
//! and frames come out, and a timer lets time pass. The libraries are well-kept ones and not ours on purpose: our own
//! wire must prove itself against something else.
//! What it never does: it decides nothing about orders or markets, and it listens nowhere but on 127.0.0.1.
//! Which thread: `start` returns at once; the exchange lives on a thread named `exchange` until it is stopped.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use optiflow_sim::binance::faults::Faults;
use tokio::sync::mpsc;

pub(crate) mod certificate;
mod command;
mod doors;
mod error;
mod faults;
mod folder;
mod http;
pub(crate) mod keys;
mod ledger;
mod reins;
mod report;
mod ruler;
mod server;
mod socket;

pub(crate) use command::is_usage;
pub use command::{run, serve};
pub use error::ExchangeError;
pub use faults::{FaultsError, load as load_faults};
pub use ledger::{Ledger, LedgerFill, LedgerOrder, LedgerPosition};
pub use report::{Reaction, Report};

use folder::Folder;
use server::Ask;

/// What an exchange is started with.
#[derive(Clone, Debug, PartialEq)]
pub struct ExchangeOptions {
    /// Port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// `synthetic`, or recorded files separated by commas.
    pub market: String,
    /// Seed of the synthetic market and of the test keys, the CA's among them.
    pub seed: u64,
    /// How many seconds of market pass in one second.
    pub speed: f64,
    /// Serve https and wss; http and ws otherwise.
    pub tls: bool,
    /// Where the CA certificate and the test key are written; a temporary folder, removed at the end, otherwise.
    pub folder: Option<PathBuf>,
    /// What goes wrong.
    pub faults: Faults,
    /// Measure how fast clients react; the exchange's thread then never sleeps.
    pub reaction: bool,
}

/// How a market ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MarketEnd {
    /// It told its last tick.
    Over,
    /// Its source failed; in the source's words.
    Failed(String),
}

/// An exchange that listens. Dropping it stops it.
#[derive(Debug)]
pub struct Running {
    /// Base URL of REST.
    pub rest: String,
    /// Base URL of the streams: `/public`, `/market`, `/private` and unrouted paths follow.
    pub streams: String,
    /// URL of the WebSocket API.
    pub ws_api: String,
    /// Name of the key, for either way of signing.
    pub api_key: String,
    /// Secret of the HMAC key. A test key: it opens nothing else.
    pub api_secret: String,
    /// Private half of the Ed25519 key, PKCS#8 in PEM.
    pub ed25519_key_file: PathBuf,
    /// Certificate of the CA to trust, PEM; none without TLS.
    pub ca_file: Option<PathBuf>,
    /// Bounded by its users: each waits for its answer before it asks again.
    asks: mpsc::UnboundedSender<Ask>,
    market_end: Arc<OnceLock<MarketEnd>>,
    thread: Option<JoinHandle<()>>,
    /// Kept for its end: a temporary folder goes with it.
    _folder: Folder,
}

/// Starts an exchange on a thread of its own; returns when it listens.
///
/// # Errors
/// When the market cannot be opened, the port is taken, or keys and certificates cannot be made or written.
pub fn start(options: ExchangeOptions) -> Result<Running, ExchangeError> {
    start_on(options, None)
}

/// As [`start`], with the thread pinned to a core.
///
/// # Errors
/// As [`start`], and when the core is refused.
pub fn start_on(options: ExchangeOptions, core: Option<usize>) -> Result<Running, ExchangeError> {
    let folder = Folder::open(options.folder.clone())?;
    let test_keys = keys::make(options.seed)?;
    let ed25519_key_file = folder.write("ed25519.pem", &test_keys.ed25519_pem)?;
    // A fresh one of the usual kind: not every client knows the authority's.
    let server_key = || rcgen::KeyPair::generate().map_err(|error| ExchangeError::Certificate(error.to_string()));
    let certified = if options.tls { Some(certificate::make(&test_keys.authority, &server_key()?)?) } else { None };
    let ca_file = certified.as_ref().map(|certified| folder.write("ca.pem", &certified.ca_pem)).transpose()?;

    let market_end = Arc::new(OnceLock::new());
    let tls = certified.map(|certified| certified.server);
    let plan = server::Plan { options, keys: test_keys.to_sim(), tls, core, market_end: market_end.clone() };
    let (address, asks, thread) = server::spawn(plan)?;
    let secure = if ca_file.is_some() { "s" } else { "" };
    Ok(Running {
        rest: format!("http{secure}://{address}"),
        streams: format!("ws{secure}://{address}"),
        ws_api: format!("ws{secure}://{address}/ws-fapi/v1"),
        api_key: test_keys.api_key,
        api_secret: test_keys.api_secret,
        ed25519_key_file,
        ca_file,
        asks,
        market_end,
        thread: Some(thread),
        _folder: folder,
    })
}

impl Running {
    /// Stops the exchange; returns its books as they stood at the end.
    pub fn stop(self) -> Ledger {
        self.finish().0
    }

    /// Stops the exchange; returns its books as they stood at the end, and what else there is to tell.
    pub fn finish(mut self) -> (Ledger, Report) {
        let told = self.ask(Ask::Stop);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
        told
    }

    /// The exchange's books as they stand.
    pub fn ledger(&self) -> Ledger {
        self.ask(Ask::Ledger)
    }

    /// How the market ended, if it has: the exchange still answers.
    pub fn market_end(&self) -> Option<&MarketEnd> {
        self.market_end.get()
    }

    /// Is the exchange's thread gone though nobody stopped it?
    pub fn died(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn ask<T: Default>(&self, ask: fn(std::sync::mpsc::SyncSender<T>) -> Ask) -> T {
        let (answer, told) = std::sync::mpsc::sync_channel(1);
        // An exchange that is gone has no books to show.
        let sent = self.asks.send(ask(answer));
        sent.ok().and_then(|()| told.recv().ok()).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.ask(Ask::Stop);
            let _ = thread.join();
        }
    }
}
