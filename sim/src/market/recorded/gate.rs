//! The depth of one recorded symbol in sequence: snapshot, bridge, unbroken run; what to do when it breaks.
//!
//! Futures rule: drop `u < lastUpdateId`, first `U <= lastUpdateId <= u`, then `pu == previous u` (spot, which has no
//! `pu`: `U == previous u + 1`). What is told always forms a chain: `previous_id` is the id told before. Where the
//! recording has no snapshot to wait for, diffs are told as they come, from a book seeded by the first best prices;
//! levels that were missed can then be stale, and the core removes those that cross. Where it has no diffs either, the
//! best prices are told as diffs too: a book of one level a side.
//! Never applies levels to a book.

use std::collections::VecDeque;

use optiflow_base::market::Level;
use optiflow_base::money::Qty;

use crate::words::Tick;

/// The gate of one symbol.
#[derive(Debug)]
pub struct Gate {
    state: State,
    /// Id of the last snapshot or diff that was told; 0 before the first.
    told_id: u64,
    held: VecDeque<Diff>,
    /// The best prices told last, as long as they stand in for diffs that are not recorded.
    stand_in: Option<(Level, Level)>,
}

/// A diff as recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Diff {
    /// `U`
    pub first_id: u64,
    /// `u`
    pub last_id: u64,
    /// `pu`; spot has none.
    pub previous_id: Option<u64>,
    /// Changed bids.
    pub bids: Vec<Level>,
    /// Changed asks.
    pub asks: Vec<Level>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Diffs are held until a snapshot comes.
    Waiting,
    /// A snapshot was told; the diff that bridges it is awaited.
    Bridging,
    /// Every diff continues the one before.
    InStep,
    /// No snapshot to be had: diffs are told as they come.
    Loose,
}

impl Gate {
    /// A gate that waits for a snapshot, or one that does without.
    pub const fn new(has_snapshot: bool) -> Gate {
        let state = if has_snapshot { State::Waiting } else { State::Loose };
        Gate { state, told_id: 0, held: VecDeque::new(), stand_in: None }
    }

    /// A gate of a recording that has best prices alone.
    pub fn of_tops() -> Gate {
        Gate { stand_in: Some(Default::default()), ..Gate::new(false) }
    }

    /// A snapshot: told when it is needed and not older than what was told.
    pub fn snapshot(&mut self, id: u64, bids: Vec<Level>, asks: Vec<Level>, told: &mut Vec<Tick>) {
        if self.state == State::InStep || id < self.told_id {
            return;
        }
        self.told_id = id;
        told.push(Tick::Snapshot { id, bids, asks });
        self.state = State::Bridging;
        let held = std::mem::take(&mut self.held);
        for diff in held {
            // A break among held diffs: the recording lost lines before the snapshot came; later ones may still fit.
            if let Err(unfit) = self.diff(diff, told) {
                self.hold(unfit);
            }
        }
    }

    /// A diff: told, held, dropped, or given back because it does not continue what was told. The caller then says
    /// [`Gate::wait`] or [`Gate::carry_on`] and offers it again.
    pub fn diff(&mut self, diff: Diff, told: &mut Vec<Tick>) -> Result<(), Diff> {
        let is_spot = diff.previous_id.is_none();
        self.stand_in = None;
        match self.state {
            State::Waiting => self.hold(diff),
            State::Bridging if diff.last_id < self.told_id + u64::from(is_spot) => {}
            State::Bridging if diff.first_id <= self.told_id + u64::from(is_spot) => {
                self.state = State::InStep;
                self.tell(diff, told);
            }
            State::InStep if diff.last_id <= self.told_id => {}
            State::InStep if diff.previous_id.unwrap_or(diff.first_id - 1) == self.told_id => self.tell(diff, told),
            State::Bridging | State::InStep => return Err(diff),
            State::Loose if diff.last_id <= self.told_id => {}
            State::Loose => {
                if self.told_id == 0 {
                    self.seed(diff.previous_id.unwrap_or(diff.first_id - 1), None, told);
                }
                self.tell(diff, told);
            }
        }
        Ok(())
    }

    /// Best prices: is it their turn to be told? They seed a book that has no snapshot.
    pub fn top(&mut self, update_id: u64, bid: Level, ask: Level, told: &mut Vec<Tick>) {
        match self.state {
            State::Loose if self.told_id == 0 => self.seed(update_id, Some((bid, ask)), told),
            State::Waiting if self.told_id == 0 => {}
            State::Bridging if update_id < self.told_id => {}
            State::Waiting | State::Bridging | State::InStep | State::Loose => {
                self.stand_in_for_diff(update_id, bid, ask, told);
                told.push(Tick::Top { update_id, bid, ask });
            }
        }
    }

    /// After a break: a snapshot will come, wait for it.
    pub fn wait(&mut self) {
        self.state = State::Waiting;
    }

    /// After a break: no snapshot will come, go on with what there is.
    pub fn carry_on(&mut self, told: &mut Vec<Tick>) {
        self.state = State::Loose;
        for diff in std::mem::take(&mut self.held) {
            let refused = self.diff(diff, told).is_err();
            assert!(!refused, "a loose gate takes every diff");
        }
    }

    /// Tells the change of the best prices as a diff, where no diffs are recorded.
    fn stand_in_for_diff(&mut self, update_id: u64, bid: Level, ask: Level, told: &mut Vec<Tick>) {
        let Some((old_bid, old_ask)) = self.stand_in.filter(|_| update_id > self.told_id) else { return };
        self.stand_in = Some((bid, ask));
        let change = |old: Level, new: Level| {
            let gone = Level { qty: Qty::ZERO, ..old };
            if old.price == new.price || old.price.is_zero() { vec![new] } else { vec![gone, new] }
        };
        let (bids, asks) = (change(old_bid, bid), change(old_ask, ask));
        let previous_id = Some(self.told_id);
        self.tell(Diff { first_id: self.told_id + 1, last_id: update_id, previous_id, bids, asks }, told);
    }

    fn seed(&mut self, id: u64, top: Option<(Level, Level)>, told: &mut Vec<Tick>) {
        self.told_id = id;
        self.stand_in = self.stand_in.and(top);
        let (bids, asks) = top.map_or((vec![], vec![]), |(bid, ask)| (vec![bid], vec![ask]));
        told.push(Tick::Snapshot { id, bids, asks });
    }

    fn tell(&mut self, diff: Diff, told: &mut Vec<Tick>) {
        assert!(diff.last_id > self.told_id || self.state == State::InStep, "ids told count up");
        let previous_id = std::mem::replace(&mut self.told_id, diff.last_id);
        let Diff { first_id, last_id, bids, asks, .. } = diff;
        told.push(Tick::Depth { first_id, last_id, previous_id, bids, asks });
    }

    fn hold(&mut self, diff: Diff) {
        if self.held.len() == HELD_DIFFS_MAX {
            self.held.pop_front();
        }
        self.held.push_back(diff);
    }
}

/// Diffs held for a snapshot; the oldest go first.
const HELD_DIFFS_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn run(gate: &mut Gate, script: &str) -> String {
        let mut told = Vec::new();
        for word in script.split_whitespace() {
            let (kind, rest) = word.split_at(1);
            let ids: Vec<u64> = rest.split(',').map(|id| id.parse().unwrap()).collect();
            let level = Level::default();
            match (kind, ids.as_slice()) {
                ("s", [id]) => gate.snapshot(*id, vec![], vec![], &mut told),
                ("t", [id]) => gate.top(*id, level, level, &mut told),
                ("d", [first_id, last_id, rest @ ..]) => {
                    let (first_id, last_id, previous_id) = (*first_id, *last_id, rest.first().copied());
                    let diff = Diff { first_id, last_id, previous_id, bids: vec![], asks: vec![] };
                    if let Err(diff) = gate.diff(diff, &mut told) {
                        gate.carry_on(&mut told);
                        gate.diff(diff, &mut told).unwrap();
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        let text = told.iter().map(|tick| match tick {
            Tick::Snapshot { id, bids, .. } => format!("s{id}{}", if bids.is_empty() { "" } else { "+" }),
            Tick::Depth { first_id, last_id, previous_id, .. } => format!("d{first_id},{last_id},{previous_id}"),
            Tick::Top { update_id, .. } => format!("t{update_id}"),
            Tick::Trade { .. } | Tick::Mark { .. } | Tick::Single { .. } => "?".to_owned(),
        });
        text.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_told_is_a_chain_from_the_snapshot_on() {
        let table = [
            (true, "t5 d5,9,4 d11,14,9 s12 t11 t12 d16,18,14", "s12 d11,14,12 t11 t12 d16,18,14", "held diffs bridge"),
            (true, "s12 d5,11,4 d12,12,11 d14,15,12", "s12 d12,12,12 d14,15,12", "a diff that ends at the snapshot"),
            (true, "s12 d11,14,9 d11,14,9 d16,18,14", "s12 d11,14,12 d16,18,14", "a repeated diff"),
            (true, "s12 d11,14,9 d19,20,17 d22,23,20", "s12 d11,14,12 d19,20,14 d22,23,20", "a break, carried on"),
            (true, "s12 d11,14,9 d19,20,17 s21 d21,23,20", "s12 d11,14,12 d19,20,14 s21 d21,23,21", "a later snapshot"),
            (true, "s12 d14,15,13 d17,18,15", "s12 d14,15,12 d17,18,15", "a snapshot too old to bridge"),
            (true, "s12 d11,14,9 s13 s15", "s12 d11,14,12", "snapshots that are not needed"),
            (false, "t5 d4,7,3 t8 d9,9,7", "s5+ d4,7,5 t8 d9,9,7", "seeded from the best prices"),
            (true, "d11,14,9 d19,20,17 s12 d22,23,20", "s12 d11,14,12 d19,20,14 d22,23,20", "a break among held diffs"),
            (false, "d4,7,3 d9,9,7", "s3 d4,7,3 d9,9,7", "seeded from a diff"),
            (true, "s218 d189,218 d219,224 d225,237 d239,240", "s218 d219,224,218 d225,237,224 d239,240,237", "spot"),
        ];
        for (has_snapshot, script, expected, name) in table {
            assert_eq!(run(&mut Gate::new(has_snapshot), script), expected, "{name}");
        }
    }

    #[test]
    fn best_prices_stand_in_for_diffs_until_there_are_some() {
        assert_eq!(run(&mut Gate::of_tops(), "t5 t8 t8 t9"), "s5+ d6,8,5 t8 t8 d9,9,8 t9");
        assert_eq!(run(&mut Gate::of_tops(), "t5 d4,7,3 t8"), "s5+ d4,7,5 t8");
    }

    #[test]
    fn after_a_break_a_coming_snapshot_is_waited_for() {
        let mut gate = Gate::new(true);
        assert_eq!(run(&mut gate, "s12 d11,14,9"), "s12 d11,14,12");
        let lost = Diff { first_id: 19, last_id: 20, previous_id: Some(17), bids: vec![], asks: vec![] };
        let lost = gate.diff(lost, &mut Vec::new()).unwrap_err();
        gate.wait();
        gate.diff(lost, &mut Vec::new()).unwrap();
        assert_eq!(run(&mut gate, "t21 d22,24,20 s23 d26,27,24"), "t21 s23 d22,24,23 d26,27,24");
    }
}
