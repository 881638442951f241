//! The rings between the rooms, made in one place for live threads and virtual worlds alike.
//!
//! ```text
//!            market ring            intent ring         order ring
//!   feed ───────────────▶ engine ───────────────▶ risk ───────────▶ oms ◀──▶ exchange
//!     └── quotes ring (tops and marks) ────────────▲ ▲                │
//!            ▲          ◀──── denials ─────────────┘ └── reports ─────┤
//!            └ REST     ◀──── reports ────────────────────────────────┘
//! ```
//! Every room also has a log ring of its own towards storage; feed and oms ask for REST calls by ring; engine tells feed of
//! books that it does not believe. Allocates once.

use optiflow_base::control::{Command, Milestone};
use optiflow_base::log::{Log, LogEvent};
use optiflow_base::rest::{RestCall, RestReply};
use optiflow_base::ring::{Rx, Tx, ring};
use optiflow_base::stage::Room;
use optiflow_engine::engine::EnginePorts;
use optiflow_feed::FeedPorts;
use optiflow_oms::stage::OmsPorts;
use optiflow_risk::RiskPorts;

/// The ring ends of every room, and the ends that are left for whoever runs them.
pub struct Links {
    /// Stage 1.
    pub feed: FeedPorts,
    /// Stage 2.
    pub engine: EnginePorts,
    /// Stage 3.
    pub risk: RiskPorts,
    /// Stage 4.
    pub oms: OmsPorts,
    /// For the thread that performs REST calls, and for storage.
    pub outside: Outside,
}

/// The ends that belong to no hot room.
pub struct Outside {
    /// The feed's REST calls.
    pub feed_rest: RestLine,
    /// The oms's REST calls.
    pub oms_rest: RestLine,
    /// Every room's log, for storage.
    pub logs: Vec<Rx<LogEvent>>,
    /// What the oms has to say.
    pub milestones: Rx<Milestone>,
    /// Commands to risk and to oms.
    pub commands: [Tx<Command>; 2],
}

/// The performing end of a room's REST calls.
pub struct RestLine {
    /// What is asked.
    pub calls: Rx<RestCall>,
    /// Where answers go.
    pub replies: Tx<RestReply>,
}

impl Links {
    /// Makes every ring.
    pub fn new() -> Links {
        let (market, market_rx) = ring("market", MARKET_RING_LEN);
        let (quotes, quotes_rx) = ring("quotes", QUOTES_RING_LEN);
        let (intents_tx, intents) = ring("intents", INTENT_RING_LEN);
        let (orders_tx, orders) = ring("orders", INTENT_RING_LEN);
        let (doubts_tx, doubts) = ring("doubts", DOUBT_RING_LEN);
        let (denials, from_risk) = ring("denials", REPORT_RING_LEN);
        let (to_engine, from_oms) = ring("reports to engine", REPORT_RING_LEN);
        let (to_risk, reports) = ring("reports to risk", REPORT_RING_LEN);
        let (risk_commands, commands) = ring("commands to risk", COMMAND_RING_LEN);
        let (oms_commands, oms_commands_rx) = ring("commands to oms", COMMAND_RING_LEN);
        let (milestones_tx, milestones) = ring("milestones", COMMAND_RING_LEN);
        let (feed_rest, feed_calls, feed_replies) = RestLine::new("REST of feed");
        let (oms_rest, oms_calls, oms_replies) = RestLine::new("REST of oms");
        let mut logs = Vec::new();
        let mut log = |room| {
            let (tx, rx) = ring("log", LOG_RING_LEN);
            logs.push(rx);
            Log::new(room, tx)
        };
        let feed = FeedPorts { market, quotes, rest: feed_calls, replies: feed_replies, doubts, log: log(Room::Feed) };
        let engine = EnginePorts {
            market: market_rx,
            intents: intents_tx,
            doubts: doubts_tx,
            from_risk,
            from_oms,
            log: log(Room::Engine),
        };
        let risk = RiskPorts {
            intents,
            quotes: quotes_rx,
            reports,
            commands,
            orders: orders_tx,
            denials,
            log: log(Room::Risk),
        };
        let oms = OmsPorts {
            orders,
            to_risk,
            to_engine,
            rest: oms_calls,
            replies: oms_replies,
            commands: oms_commands_rx,
            milestones: milestones_tx,
            log: log(Room::Oms),
        };
        let outside = Outside { feed_rest, oms_rest, logs, milestones, commands: [risk_commands, oms_commands] };
        Links { feed, engine, risk, oms, outside }
    }
}

impl Default for Links {
    fn default() -> Links {
        Links::new()
    }
}

/// Tells risk and oms.
pub fn tell(commands: &mut [Tx<Command>; 2], command: Command) {
    for ring in commands {
        assert!(ring.push(command).is_ok(), "a command ring holds the few commands of a session");
    }
}

impl RestLine {
    fn new(name: &'static str) -> (RestLine, Tx<RestCall>, Rx<RestReply>) {
        let (calls_tx, calls) = ring(name, REST_RING_LEN);
        let (replies, replies_rx) = ring(name, REST_RING_LEN);
        (RestLine { calls, replies }, calls_tx, replies_rx)
    }
}

// Rings are walked from end to end, so a ring larger than the core's cache makes every push a cache miss: each is as
// long as its worst burst needs, and no longer.

/// A snapshot of 1,000 levels a side is 667 events; this holds a dozen of them.
const MARKET_RING_LEN: usize = 8_192;
/// Tops and marks for risk: only the newest matters.
const QUOTES_RING_LEN: usize = 512;
/// Strategies decide a handful of times a second; the engine gives a refused intent back to its strategy.
const INTENT_RING_LEN: usize = 64;
/// The engine holds a doubt back until there is room.
const DOUBT_RING_LEN: usize = 64;
/// Order events and fills of the busiest instant: a sweep through every open order, several times over.
const REPORT_RING_LEN: usize = 1_024;
/// Kill and stop are said once each.
const COMMAND_RING_LEN: usize = 16;
/// Calls wait here while another is being made.
const REST_RING_LEN: usize = 256;
/// A second of everything at eight thousand events a second: longer than any commit that was measured takes.
const LOG_RING_LEN: usize = 8_192;
