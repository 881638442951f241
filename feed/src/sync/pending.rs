//! Diffs that wait for a snapshot: a bounded, preallocated queue that only holds an unbroken run.
//!
//! Never grows, never reorders. Runs on the feed thread.

use optiflow_base::clock::Nanos;
use optiflow_base::market::Level;

use super::Diff;

/// Diffs in order of arrival, each continuing the one before.
pub(super) struct Pending {
    heads: Vec<Head>,
    levels: Vec<Level>,
    /// Heads before this one have been taken.
    front: usize,
}

/// One waiting diff; its levels stand in the queue's own buffer.
#[derive(Clone, Copy)]
struct Head {
    received: Nanos,
    first_id: u64,
    last_id: u64,
    previous_id: u64,
    event_ms: u64,
    match_ms: u64,
    levels_at: usize,
    bids: usize,
    asks: usize,
}

impl Pending {
    pub(super) fn new() -> Pending {
        Pending {
            heads: Vec::with_capacity(PENDING_DIFFS_MAX),
            levels: Vec::with_capacity(PENDING_LEVELS_MAX),
            front: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        self.heads.clear();
        self.levels.clear();
        self.front = 0;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.front == self.heads.len()
    }

    /// Last id of the newest waiting diff.
    pub(super) fn last_id(&self) -> Option<u64> {
        if self.is_empty() { None } else { self.heads.last().map(|head| head.last_id) }
    }

    /// The oldest waiting diff and when it was received.
    pub(super) fn first(&self) -> Option<(Nanos, Diff<'_>)> {
        let head = self.heads.get(self.front)?;
        let levels = self.levels.get(head.levels_at..head.levels_at + head.bids + head.asks)?;
        let (bids, asks) = levels.split_at(head.bids);
        let &Head { received, first_id, last_id, previous_id, event_ms, match_ms, .. } = head;
        Some((received, Diff { first_id, last_id, previous_id, event_ms, match_ms, bids, asks }))
    }

    /// Takes the oldest waiting diff away.
    pub(super) fn pop(&mut self) {
        assert!(!self.is_empty(), "only what waits can be taken");
        self.front += 1;
        if self.is_empty() {
            self.clear();
        }
    }

    /// Appends a diff; false when it does not fit.
    pub(super) fn push(&mut self, received: Nanos, diff: &Diff<'_>) -> bool {
        assert!(self.last_id().is_none_or(|last_id| last_id == diff.previous_id), "what waits is an unbroken run");
        let len = diff.bids.len() + diff.asks.len();
        if !self.fits(len) {
            self.compact();
            if !self.fits(len) {
                return false;
            }
        }
        let &Diff { first_id, last_id, previous_id, event_ms, match_ms, bids, asks } = diff;
        let (levels_at, bids_len, asks_len) = (self.levels.len(), bids.len(), asks.len());
        self.levels.extend_from_slice(bids);
        self.levels.extend_from_slice(asks);
        self.heads.push(Head {
            received,
            first_id,
            last_id,
            previous_id,
            event_ms,
            match_ms,
            levels_at,
            bids: bids_len,
            asks: asks_len,
        });
        true
    }

    const fn fits(&self, levels: usize) -> bool {
        self.heads.len() < PENDING_DIFFS_MAX && self.levels.len() + levels <= PENDING_LEVELS_MAX
    }

    /// Gives the room of taken diffs back.
    fn compact(&mut self) {
        let unused = self.heads.get(self.front).map_or(self.levels.len(), |head| head.levels_at);
        self.levels.drain(..unused);
        self.heads.drain(..self.front);
        for head in &mut self.heads {
            head.levels_at -= unused;
        }
        self.front = 0;
    }
}

/// Most diffs that wait for a snapshot: 100 s at one every 100 ms.
pub(super) const PENDING_DIFFS_MAX: usize = 1_000;
/// Most levels of waiting diffs.
pub const PENDING_LEVELS_MAX: usize = 32_768;

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(id: u64, bids: &[Level]) -> Diff<'_> {
        Diff { first_id: id, last_id: id, previous_id: id - 1, event_ms: id, match_ms: id, bids, asks: &[] }
    }

    #[test]
    fn diffs_come_out_as_they_went_in_and_room_is_given_back() {
        let levels = vec![Level::default(); PENDING_LEVELS_MAX / 2];
        let mut pending = Pending::new();
        assert!(pending.push(Nanos(1), &diff(1, &levels)));
        assert!(pending.push(Nanos(2), &diff(2, &levels)));
        assert!(!pending.push(Nanos(3), &diff(3, &levels[..1])), "the levels are bounded");
        assert!(pending.push(Nanos(3), &diff(3, &[])));
        pending.pop();
        assert!(pending.push(Nanos(4), &diff(4, &levels)));
        let capacities = (pending.heads.capacity(), pending.levels.capacity());
        for id in 2..=4 {
            let (received, first) = pending.first().unwrap();
            assert_eq!((received, first.last_id), (Nanos(id), id));
            assert_eq!(first.bids.len(), if id == 3 { 0 } else { levels.len() });
            pending.pop();
        }
        assert!(pending.is_empty() && pending.last_id().is_none());
        assert_eq!(capacities, (PENDING_DIFFS_MAX, PENDING_LEVELS_MAX));
    }

    #[test]
    fn the_number_of_diffs_is_bounded() {
        let mut pending = Pending::new();
        let ids = 1..=PENDING_DIFFS_MAX as u64;
        assert!(ids.clone().all(|id| pending.push(Nanos(id), &diff(id, &[]))));
        assert!(!pending.push(Nanos(0), &diff(PENDING_DIFFS_MAX as u64 + 1, &[])));
    }

    #[test]
    #[should_panic(expected = "unbroken run")]
    fn a_hole_never_enters() {
        let mut pending = Pending::new();
        assert!(pending.push(Nanos(1), &diff(1, &[])));
        pending.push(Nanos(3), &diff(3, &[]));
    }
}
