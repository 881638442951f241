//! When a snapshot may be asked for: one at a time, with a growing pause between attempts.
//!
//! A stream that keeps breaking must not turn into a flood of snapshots: the pause is forgotten only after the book has
//! held for a while. Never gives up. Runs on the feed thread.

use std::time::Duration;

use optiflow_base::clock::Nanos;

/// The snapshot requests of one symbol.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// Number of the newest attempt.
    attempt: u32,
    /// When the attempt that is under way was begun.
    begun: Option<Nanos>,
    /// Attempts since the book last held.
    in_row: u32,
    /// No attempt before this.
    next_at: Nanos,
}

impl Requests {
    /// May one be begun now?
    pub(super) fn is_due(&self, now: Nanos) -> bool {
        let waits = self.begun.is_some_and(|begun| now < begun + ANSWER_WAIT_MAX);
        !waits && now >= self.next_at
    }

    /// Begins one; an older one that was never answered is given up.
    pub(super) fn begin(&mut self, now: Nanos) -> u32 {
        assert!(self.is_due(now), "a request is begun when it is due");
        self.attempt = self.attempt.wrapping_add(1);
        self.begun = Some(now);
        self.next_at = now + pause_after(self.in_row);
        self.in_row = self.in_row.saturating_add(1);
        self.attempt
    }

    /// Ends the attempt under way; false when this is the answer to another one.
    pub(super) fn end(&mut self, attempt: u32) -> bool {
        attempt == self.attempt && self.begun.take().is_some()
    }

    /// Drops the attempt under way: its answer will not be wanted.
    pub(super) fn forget(&mut self) {
        self.begun = None;
    }

    /// No attempt before `until`: the exchange asked for it.
    pub(super) fn hold_off(&mut self, until: Nanos) {
        self.next_at = self.next_at.max(until);
    }

    /// The book has been lost after it held for `held_ns`.
    pub(super) fn book_held(&mut self, held_ns: u64) {
        if u128::from(held_ns) >= STABLE_AFTER.as_nanos() {
            self.in_row = 0;
        }
    }
}

/// Pause after the `in_row`-th attempt in a row, counted from 0.
fn pause_after(in_row: u32) -> Duration {
    PAUSE_BASE.saturating_mul(1 << in_row.min(DOUBLINGS_MAX)).min(PAUSE_CAP)
}

/// Pause after the first attempt.
const PAUSE_BASE: Duration = Duration::from_millis(500);
/// Longest pause.
const PAUSE_CAP: Duration = Duration::from_secs(16);
/// Doublings after which the pause is longest.
const DOUBLINGS_MAX: u32 = 5;
/// An answer that has not come by then is not waited for any longer.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(15);
/// A book that held this long was sound: the next loss starts again with the shortest pause.
const STABLE_AFTER: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_cap() {
        let millis: Vec<u128> = (0..8).map(|in_row| pause_after(in_row).as_millis()).collect();
        assert_eq!(millis, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 16_000, 16_000]);
        assert_eq!(pause_after(u32::MAX), PAUSE_CAP);
    }

    #[test]
    fn one_request_at_a_time_and_only_its_own_answer_ends_it() {
        let mut requests = Requests::default();
        let at = Nanos::from_millis;
        assert!(requests.is_due(at(0)));
        let first = requests.begin(at(0));
        assert!(!requests.is_due(at(14_999)));
        assert!(requests.is_due(at(15_000)), "an answer is not waited for forever");
        let second = requests.begin(at(15_000));
        assert!(!requests.end(first));
        assert!(requests.end(second) && !requests.end(second));
        assert!(!requests.is_due(at(15_999)) && requests.is_due(at(16_000)));
        requests.hold_off(at(60_000));
        assert!(!requests.is_due(at(59_999)) && requests.is_due(at(60_000)));
        requests.book_held(1);
        assert_eq!(requests.in_row, 2);
        requests.book_held(30_000_000_000);
        assert_eq!(requests.in_row, 0);
    }
}
