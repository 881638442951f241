//! The table `[paper]` of a configuration: how long things travel when a session is traded on paper.
//!
//! What orders and answers take goes for `optiflow backtest` on the same file as well, unless `[backtest]` or a flag says
//! otherwise.

use super::backtest::LatencyChoice;
use super::reader::Section;

/// Trading on paper.
#[derive(Clone, Debug)]
pub struct PaperConfig {
    /// From an event of the market to us, ns.
    pub feed_ns: u64,
    /// Requests out and answers back; absent where the table does not say.
    pub latency: Option<LatencyChoice>,
}

/// Reads the table; every field may be left out.
pub fn read(section: Section<'_>) -> PaperConfig {
    let usual = LATENCY_USUAL_NS;
    let tells = section.has("entry_ns") || section.has("response_ns");
    let entry_ns = section.int("entry_ns", Some(usual), -LATENCY_MAX_NS..=LATENCY_MAX_NS);
    let response_ns = section.int("response_ns", Some(usual), 0..=LATENCY_MAX_NS);
    let paper = PaperConfig {
        feed_ns: section.int("feed_ns", Some(FEED_USUAL_NS), 0..=LATENCY_MAX_NS).unsigned_abs(),
        latency: tells.then_some(LatencyChoice::Constant { entry_ns, response_ns }),
    };
    section.end();
    paper
}

/// A feed across a continent: better too slow than too good.
const FEED_USUAL_NS: i64 = 5_000_000;
/// What `optiflow backtest` takes where nothing is said.
const LATENCY_USUAL_NS: i64 = 5_000_000;
/// A minute: longer is a slip of the unit.
const LATENCY_MAX_NS: i64 = 60_000_000_000;
