//! A snapshot that waits for the diff that covers it, in memory of its own.
//!
//! Runs on the feed thread.

use optiflow_base::clock::Nanos;
use optiflow_base::market::Level;

use super::Snapshot;

/// At most one snapshot.
pub(super) struct Held {
    pub(super) head: Option<HeldHead>,
    pub(super) bids: Vec<Level>,
    pub(super) asks: Vec<Level>,
}

/// A held snapshot without its levels.
#[derive(Clone, Copy)]
pub(super) struct HeldHead {
    pub(super) received: Nanos,
    pub(super) last_id: u64,
    pub(super) event_ms: u64,
    pub(super) match_ms: u64,
}

impl Held {
    pub(super) fn new() -> Held {
        let side = || Vec::with_capacity(SNAPSHOT_LEVELS_LEN);
        Held { head: None, bids: side(), asks: side() }
    }

    pub(super) fn hold(&mut self, received: Nanos, snapshot: &Snapshot<'_>) {
        assert!(self.head.is_none(), "one snapshot is held at a time");
        let &Snapshot { last_id, event_ms, match_ms, bids, asks } = snapshot;
        self.bids.clear();
        self.bids.extend_from_slice(bids);
        self.asks.clear();
        self.asks.extend_from_slice(asks);
        self.head = Some(HeldHead { received, last_id, event_ms, match_ms });
    }
}

/// Levels a side that there is room for from the start: what a snapshot is asked for with.
const SNAPSHOT_LEVELS_LEN: usize = 1_000;
