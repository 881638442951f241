//! The live stages in a virtual world of events: engine, risk and the oms's order table against the exchange's core.
//!
//! What it does: replays stored rows on two clocks, the exchange's and ours; hands the engine and risk what the feed
//! would; carries orders out and answers home with their latencies; shows an observer everything that happens. The same
//! rows and settings give the same orders, fills and hash, whether they come from files, memory or a made-up market, and
//! however fast the observer lets the run go.
//! What it never does: no sockets, no bytes of the protocol, no threads, no wall clock.
//! Which thread: the caller's; a config can be sent to another first.
//!
//! Not here: silent streams, lost connections and doubt: `world` has those. A refused reduce-only order leads to no
//! reconciliation.

use std::time::Duration;

use optiflow_base::clock::Nanos;
use optiflow_base::money::Notional;
use optiflow_engine::engine::EngineConfig;
use optiflow_risk::RiskConfig;
use optiflow_sim::core::CoreConfig;
use optiflow_sim::replay::latency::Latency;
use optiflow_sim::replay::run::Tally;

pub mod observer;
pub mod rows;

pub use direct::Direct;
pub use heard::Heard;
pub use observer::Observer;
pub use rows::Rows;
pub use tape::Lane;

mod books;
mod counter;
mod counts;
mod digest;
mod direct;
mod ears;
mod gateway;
mod heard;
mod message;
mod playback;
mod post;
mod tape;
mod world;

/// What a run is made from.
pub struct StagesConfig {
    /// Stage 2: what is traded, and by whom.
    pub engine: EngineConfig,
    /// Stage 3: the limits, symbols as in `engine`.
    pub risk: RiskConfig,
    /// The exchange; listings are in the order of the session's symbols, speed and start are the rows'.
    pub core: CoreConfig,
    /// The market that the exchange has first hand, the one of the rows; by the rows where there is none. An exact queue
    /// needs it.
    pub direct: Option<Direct>,
    /// How long requests and answers travel.
    pub latency: Latency,
    /// Stop in order after so long; at the end of the rows otherwise.
    pub run_for: Option<Duration>,
    /// How long an orderly stop may take.
    pub stop_timeout: Duration,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Every decision and report in order, as one number: equal runs have equal ones, whatever their epochs.
    pub hash: u64,
    /// Rows read, those of other symbols included.
    pub rows: u64,
    /// Rows of the session's symbols.
    pub rows_of_symbols: u64,
    /// When the run began.
    pub first: Nanos,
    /// When it ended.
    pub last: Nanos,
    /// Why.
    pub end: End,
    /// Every symbol, as we know it.
    pub symbols: Vec<observer::SymbolStanding>,
    /// What each symbol's strategy had to go by, in the same order.
    pub heard: Vec<Heard>,
    /// The wallet as last told.
    pub wallet: Notional,
    /// The wallet at the start, with everything since, positions at the last mid.
    pub equity: Notional,
    /// Orders of ours that the exchange still has open.
    pub open_orders: u32,
    /// Answers about orders that were seen.
    pub answers: u64,
    /// Requests that were held back here, by risk or by the gate and the table of the oms.
    pub refusals: u64,
    /// What the exchange did besides matching, as it was learnt of; liquidations each time it closed something.
    pub tally: Tally,
    /// Log events that did not fit into their ring.
    pub log_events_lost: u64,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The rows are over.
    MarketOver,
    /// The time is up.
    TimeUp,
    /// The observer asked for it.
    Asked,
}

/// Runs the stages over the rows of `lanes`.
///
/// # Errors
/// In words for people: rows that cannot be read or make no sense, or what the observer could not bear.
///
/// # Panics
/// When engine, risk and listings do not name the same symbols in the same order: the caller's bug.
pub fn run(config: StagesConfig, lanes: Vec<Lane>, observer: &mut impl Observer) -> Result<Outcome, String> {
    world::World::new(config, lanes)?.run(observer)
}
