//! The sequence of one symbol's book as a recorder heard it: which diffs are worth storing, and after what.
//!
//! A recorder asks for a snapshot after it has begun to listen, so diffs from before the snapshot can be newer than it:
//! they are told again after it. Diffs that the snapshot already covers are dropped. Where a diff does not continue the
//! one before, the gap is counted, and diffs are stored and also kept for the snapshot that mends it. An exchange that
//! was restarted may count anew: a lower id of a later time is a gap, and what came before it is no longer compared.
//! Never waits for a snapshot that is not known to come. Never touches a book.

use std::collections::VecDeque;

use optiflow_base::clock::Nanos;
use optiflow_base::market::Level;

/// A depth message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Diff {
    pub first_id: u64,
    pub last_id: u64,
    pub previous_id: Option<u64>,
    pub exch: Nanos,
    pub local: Nanos,
    pub bids: Vec<Level>,
    pub asks: Vec<Level>,
}

/// The gate of one symbol.
#[derive(Debug)]
pub(crate) struct Gate {
    state: State,
    /// The newest update known, and its time at the exchange.
    newest: Option<(u64, Nanos)>,
    /// Diffs that the next snapshot may need.
    kept: VecDeque<Diff>,
    /// Places where the sequence broke.
    pub gaps: u64,
    /// Messages dropped because the book was already newer.
    pub stale: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A snapshot comes: nothing is stored before it.
    Waiting,
    /// In sequence up to `last_id`; right after a snapshot the next diff may overlap it.
    InSequence { last_id: u64, is_fresh: bool },
    /// Out of sequence, or not known to be in: everything is stored.
    Loose { last_id: Option<u64> },
}

impl Gate {
    /// A gate that waits for a snapshot, or takes diffs as they come because there is none.
    pub const fn new(a_snapshot_comes: bool) -> Gate {
        let state = if a_snapshot_comes { State::Waiting } else { State::Loose { last_id: None } };
        Gate { state, newest: None, kept: VecDeque::new(), gaps: 0, stale: 0 }
    }

    /// Takes a diff; those to be stored now go to `out`.
    pub fn diff(&mut self, diff: Diff, out: &mut Vec<Diff>) {
        if self.begins_anew(diff.last_id, diff.exch) {
            self.forget();
        }
        self.note(diff.last_id, diff.exch);
        self.take(diff, out);
    }

    fn take(&mut self, diff: Diff, out: &mut Vec<Diff>) {
        match self.state {
            State::Waiting => {
                self.keep(diff);
                if self.kept.len() == KEPT_MAX {
                    out.extend(self.kept.drain(..));
                    self.state = State::Loose { last_id: out.last().map(|diff| diff.last_id) };
                }
            }
            State::InSequence { last_id, is_fresh } => {
                let is_old = diff.last_id < last_id || (diff.last_id == last_id && !is_fresh);
                if is_old {
                    self.stale += 1;
                } else if continues(&diff, last_id, is_fresh) {
                    self.state = State::InSequence { last_id: diff.last_id, is_fresh: false };
                    out.push(diff);
                } else {
                    self.gaps += 1;
                    self.state = State::Loose { last_id: Some(diff.last_id) };
                    self.keep(diff.clone());
                    out.push(diff);
                }
            }
            State::Loose { last_id } => {
                self.gaps += u64::from(last_id.is_some_and(|last_id| !continues(&diff, last_id, false)));
                self.state = State::Loose { last_id: Some(diff.last_id) };
                self.keep(diff.clone());
                out.push(diff);
            }
        }
    }

    /// Takes a snapshot heard at `local`; false when the book is already newer. Otherwise the diffs to be stored after
    /// it go to `out`: heard with it, whenever they came. Spot's do not tell the exchange's time.
    pub fn snapshot(&mut self, id: u64, exch: Option<Nanos>, local: Nanos, out: &mut Vec<Diff>) -> bool {
        if let Some(exch) = exch {
            if self.begins_anew(id, exch) {
                self.forget();
            }
            self.note(id, exch);
        }
        if matches!(self.state, State::InSequence { last_id, .. } if id <= last_id) {
            self.stale += 1;
            return false;
        }
        let waited = self.state == State::Waiting;
        self.state = State::InSequence { last_id: id, is_fresh: true };
        for mut diff in std::mem::take(&mut self.kept) {
            diff.local = diff.local.max(local);
            if diff.last_id >= id {
                self.take(diff, out);
            } else if waited {
                self.stale += 1;
            }
        }
        true
    }

    /// Is this of a sequence that was begun after the one known?
    fn begins_anew(&self, id: u64, exch: Nanos) -> bool {
        self.newest.is_some_and(|(newest_id, newest_exch)| id < newest_id && exch > newest_exch)
    }

    /// Everything known is of a sequence that has ended.
    fn forget(&mut self) {
        self.newest = None;
        self.gaps += 1;
        if self.state == State::Waiting {
            self.stale += self.kept.len() as u64;
        } else {
            self.state = State::Loose { last_id: None };
        }
        self.kept.clear();
    }

    fn note(&mut self, id: u64, exch: Nanos) {
        self.newest =
            Some(self.newest.map_or((id, exch), |(newest_id, newest_exch)| (newest_id.max(id), newest_exch.max(exch))));
    }

    fn keep(&mut self, diff: Diff) {
        if self.kept.len() == KEPT_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(diff);
    }
}

/// Futures name the update before; spot counts without a hole. Right after a snapshot a diff may overlap it.
fn continues(diff: &Diff, last_id: u64, is_fresh: bool) -> bool {
    match diff.previous_id {
        Some(previous_id) if !is_fresh => previous_id == last_id,
        Some(_) | None => diff.first_id <= last_id + 1,
    }
}

/// Diffs kept for a snapshot: a minute and more.
const KEPT_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(first_id: u64, last_id: u64, previous_id: u64, exch: u64) -> Diff {
        let (bids, asks) = (Vec::new(), Vec::new());
        Diff { first_id, last_id, previous_id: Some(previous_id), exch: Nanos(exch), local: Nanos(1), bids, asks }
    }

    /// `S5` is a snapshot, `4-6<3` a diff from 4 to 6 that follows 3; `S5:7` and `4-6<3:7` happened at 7, others at 1.
    fn run(a_snapshot_comes: bool, script: &str) -> String {
        let mut gate = Gate::new(a_snapshot_comes);
        let mut told = Vec::new();
        for word in script.split(' ') {
            let mut out = Vec::new();
            let (word, exch) = word.split_once(':').unwrap_or((word, "1"));
            let exch: u64 = exch.parse().unwrap();
            if let Some(id) = word.strip_prefix('S') {
                if gate.snapshot(id.parse().unwrap(), Some(Nanos(exch)), Nanos(9), &mut out) {
                    told.push(word.to_owned());
                }
            } else {
                let numbers: Vec<u64> = word.split(['-', '<']).map(|number| number.parse().unwrap()).collect();
                gate.diff(diff(numbers[0], numbers[1], numbers[2], exch), &mut out);
            }
            told.extend(out.iter().map(|diff| format!("{}@{}", diff.last_id, diff.local.0)));
        }
        format!("{} gaps {} stale {}", told.join(" "), gate.gaps, gate.stale)
    }

    #[test]
    fn diffs_pass_in_sequence_and_snapshots_mend_it() {
        let table = [
            (true, "1-2<0 3-6<2 7-8<6 S5 9-9<8", "S5 6@9 8@9 9@1 gaps 0 stale 1"),
            (true, "S5 1-4<0 4-6<3 7-9<6", "S5 6@1 9@1 gaps 0 stale 1"),
            (true, "S5 5-5<4 6-6<5", "S5 5@1 6@1 gaps 0 stale 0"),
            (true, "S5 8-9<7 10-11<9 S10 12-13<11", "S5 9@1 11@1 S10 11@9 13@1 gaps 1 stale 0"),
            (true, "S5 5-7<4 S6 8-9<7", "S5 7@1 9@1 gaps 0 stale 1"),
            (false, "1-2<0 3-4<2 7-8<6", "2@1 4@1 8@1 gaps 1 stale 0"),
        ];
        for (a_snapshot_comes, script, expected) in table {
            assert_eq!(run(a_snapshot_comes, script), expected, "{script}");
        }
    }

    #[test]
    fn ids_that_begin_anew_are_a_gap_and_not_stale_for_good() {
        let table = [
            // The snapshot is heard before the diffs, after them, and twice with nothing between.
            (true, "S50 51-52<50 S5:7 6-6<5:8 7-7<6:9", "S50 52@1 S5 6@1 7@1 gaps 1 stale 0"),
            (true, "S50 51-52<50 4-4<3:6 5-5<4:7 S4:6 6-6<5:8", "S50 52@1 4@1 5@1 S4 4@9 5@9 6@1 gaps 1 stale 0"),
            (true, "S50 S5:7 6-6<5:8", "S50 S5 6@1 gaps 1 stale 0"),
            // Out of sequence when it happens: what was kept of the old sequence is not told after the snapshot.
            (true, "S50 54-55<53 S5:7 6-6<5:8", "S50 55@1 S5 6@1 gaps 2 stale 0"),
            (true, "60-61<59 4-5<3:7 S4:7", "S4 5@9 gaps 1 stale 1"),
            (false, "60-61<59 4-5<3:7 6-6<5:8", "61@1 5@1 6@1 gaps 1 stale 0"),
            // Older, or of the same time: late, not anew.
            (true, "S50:5 51-52<50:6 S5:6 7-8<6:4 53-53<52:7", "S50 52@1 53@1 gaps 0 stale 2"),
        ];
        for (a_snapshot_comes, script, expected) in table {
            assert_eq!(run(a_snapshot_comes, script), expected, "{script}");
        }
    }

    #[test]
    fn a_snapshot_that_tells_no_time_restarts_nothing_but_a_diff_after_it_does() {
        let mut gate = Gate::new(true);
        let mut out = Vec::new();
        assert!(gate.snapshot(50, None, Nanos(9), &mut out));
        gate.diff(diff(51, 52, 50, 5), &mut out);
        assert!(!gate.snapshot(4, None, Nanos(9), &mut out), "late, as far as is known");
        gate.diff(diff(4, 5, 3, 6), &mut out);
        assert!(gate.snapshot(4, None, Nanos(9), &mut out));
        assert_eq!((out.len(), gate.gaps, gate.stale), (3, 1, 1));
    }

    #[test]
    fn a_snapshot_that_never_comes_is_not_waited_for_without_end() {
        let mut gate = Gate::new(true);
        let mut out = Vec::new();
        for id in 0..KEPT_MAX as u64 + 1 {
            gate.diff(diff(id + 1, id + 1, id, 1), &mut out);
        }
        assert_eq!((out.len(), gate.gaps), (KEPT_MAX + 1, 0));
    }
}
