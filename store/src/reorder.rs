//! Messages in the order of arrival → rows in order on both clocks.
//!
//! A message that is in its place on both clocks is one set of rows. One that is not is stored twice, once for each
//! clock, at its place on that clock: hftbacktest's convention, so that a reader never sorts. Holds a bounded window of
//! time and rows; what is later than that on the exchange's clock is moved up to it and counted, what is later on the
//! local clock is an error. Runs on the caller's thread.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use optiflow_base::clock::Nanos;

use crate::event::{Flags, Row};

/// The window.
#[derive(Default)]
pub(crate) struct Reorder {
    /// By number, the oldest first; `None` when written.
    messages: VecDeque<Option<Message>>,
    /// Number of the first in `messages`.
    first: u64,
    by_exch: BinaryHeap<Reverse<(Nanos, u64)>>,
    by_local: BinaryHeap<Reverse<(Nanos, u64)>>,
    rows_held: usize,
    newest_local: Nanos,
    exch_written: Nanos,
    local_written: Nanos,
    counts: Counts,
}

/// What had to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows stored twice, once for each clock.
    pub split: u64,
    /// Rows whose exchange time was older than the window and was moved up to it.
    pub late: u64,
}

struct Message {
    rows: Vec<Row>,
    is_exch_written: bool,
}

impl Reorder {
    /// Takes a message, whose rows have the same times, and gives those that are now in their place to `out`.
    /// `Err` says by how many nanoseconds the message is too late on the local clock: nothing was taken.
    pub fn push<E>(&mut self, rows: Vec<Row>, out: &mut dyn FnMut(Row) -> Result<(), E>) -> Result<Result<(), E>, u64> {
        let Some(first) = rows.first() else { return Ok(Ok(())) };
        let (exch, local) = (first.exch, first.local);
        assert!(rows.iter().all(|row| (row.exch, row.local) == (exch, local)), "a message has one time on each clock");
        if local < self.local_written {
            return Err(self.local_written.since(local));
        }
        let mut rows = rows;
        let exch = exch.max(self.exch_written);
        if exch > first_exch(&rows) {
            self.counts.late += rows.len() as u64;
            rows.iter_mut().for_each(|row| row.exch = exch);
        }
        let number = self.first + self.messages.len() as u64;
        self.rows_held += rows.len();
        self.newest_local = self.newest_local.max(local);
        self.messages.push_back(Some(Message { rows, is_exch_written: false }));
        self.by_exch.push(Reverse((exch, number)));
        self.by_local.push(Reverse((local, number)));
        while self.is_beyond_window() {
            if let Err(error) = self.write_one(out) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }

    /// Gives the rest.
    pub fn finish<E>(mut self, out: &mut dyn FnMut(Row) -> Result<(), E>) -> Result<Counts, E> {
        while !self.by_local.is_empty() {
            self.write_one(out)?;
        }
        assert!(self.by_exch.is_empty() && self.rows_held == 0, "every message is written on both clocks");
        Ok(self.counts)
    }

    fn is_beyond_window(&self) -> bool {
        let Some(Reverse((oldest, _))) = self.by_local.peek() else { return false };
        self.rows_held > ROWS_HELD_MAX || self.newest_local.since(*oldest) > WINDOW_NS
    }

    /// Writes the next message, on one clock or both.
    fn write_one<E>(&mut self, out: &mut dyn FnMut(Row) -> Result<(), E>) -> Result<(), E> {
        let Some(Reverse((local, by_local))) = self.by_local.peek().copied() else { return Ok(()) };
        let is_exch_written = self.message(by_local).is_exch_written;
        let clocks = if is_exch_written {
            Flags::LOCAL
        } else {
            // Its turn on the exchange's clock may come later than that of others.
            let Some(Reverse((exch, by_exch))) = self.by_exch.pop() else { return Ok(()) };
            self.exch_written = exch;
            if by_exch != by_local {
                let message = self.message(by_exch);
                message.is_exch_written = true;
                let rows = std::mem::take(&mut message.rows);
                self.counts.split += rows.len() as u64;
                for row in &rows {
                    out(Row { flags: row.flags.on(Flags::EXCH), ..*row })?;
                }
                self.message(by_exch).rows = rows;
                return Ok(());
            }
            Flags::BOTH
        };
        self.by_local.pop();
        self.local_written = local;
        let index = (by_local - self.first) as usize;
        if let Some(message) = self.messages[index].take() {
            self.rows_held -= message.rows.len();
            for row in message.rows {
                out(Row { flags: row.flags.on(clocks), ..row })?;
            }
        }
        while self.messages.front().is_some_and(Option::is_none) {
            self.messages.pop_front();
            self.first += 1;
        }
        Ok(())
    }

    fn message(&mut self, number: u64) -> &mut Message {
        let index = (number - self.first) as usize;
        match &mut self.messages[index] {
            Some(message) => message,
            None => unreachable!("a message stays until it is written on its local clock"),
        }
    }
}

fn first_exch(rows: &[Row]) -> Nanos {
    rows.first().map_or(Nanos(0), |row| row.exch)
}

/// How far apart the two clocks may put the same messages, ns.
pub(crate) const WINDOW_NS: u64 = 10_000_000_000;
/// Rows held, whatever the window: 48 MiB.
const ROWS_HELD_MAX: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Kind;
    use optiflow_base::ids::SymbolId;
    use optiflow_base::money::{Price, Qty};

    fn row(exch: u64, local: u64, id: u64) -> Row {
        let (price, qty) = (Price::ZERO, Qty::ZERO);
        let (kind, symbol, flags) = (Kind::Trade, SymbolId(0), Flags::BOTH);
        Row { exch: Nanos(exch), local: Nanos(local), price, qty, id, symbol, kind, side: None, flags }
    }

    fn ordered(messages: &[(u64, u64)]) -> (String, Counts) {
        let mut rows = Vec::new();
        let mut out = |row: Row| -> Result<(), ()> {
            rows.push(row);
            Ok(())
        };
        let mut reorder = Reorder::default();
        for (&(exch, local), id) in messages.iter().zip(0..) {
            reorder.push(vec![row(exch, local, id)], &mut out).unwrap().unwrap();
        }
        let counts = reorder.finish(&mut out).unwrap();
        let side = |row: &Row| match (row.on_exch(), row.on_local()) {
            (true, true) => "",
            (true, false) => "e",
            (false, true) => "l",
            (false, false) => "?",
        };
        let text: Vec<String> = rows.iter().map(|row| format!("{}{}", row.id, side(row))).collect();
        (text.join(" "), counts)
    }

    #[test]
    fn rows_are_split_only_where_the_clocks_disagree() {
        let table: &[(&[(u64, u64)], &str)] = &[
            (&[(1, 10), (2, 20), (3, 30)], "0 1 2"),
            (&[(2, 10), (1, 20), (3, 30)], "1e 0 1l 2"),
            (&[(1, 10), (1, 10), (1, 10)], "0 1 2"),
            (&[(3, 10), (1, 20), (2, 30)], "1e 2e 0 1l 2l"),
            (&[(1, 20), (2, 10)], "0e 1 0l"),
        ];
        for (messages, expected) in table {
            assert_eq!(ordered(messages).0, *expected, "{messages:?}");
        }
    }

    #[test]
    fn what_is_older_than_the_window_is_moved_up_or_refused() {
        let second = 1_000_000_000;
        let (text, counts) =
            ordered(&[(5, 6), (30 * second, 30 * second), (45 * second, 45 * second), (9, 46 * second)]);
        assert_eq!((text.as_str(), counts), ("0 1 3e 2 3l", Counts { split: 1, late: 1 }));
        let mut reorder = Reorder::default();
        let mut out = |_: Row| -> Result<(), ()> { Ok(()) };
        for at in [1, 20, 40] {
            reorder.push(vec![row(at * second, at * second, 0)], &mut out).unwrap().unwrap();
        }
        assert_eq!(reorder.push(vec![row(0, 5 * second, 0)], &mut out), Err(15 * second));
    }

    #[test]
    fn the_peer_splits_the_same_rows() {
        let shared = std::env::var("OPTIFLOW_SHARED");
        let shared = shared.unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared").to_owned());
        let path = std::path::Path::new(&shared).join("oracle/feed/small.npz");
        if !path.is_file() {
            eprintln!("skipped: the_peer_splits_the_same_rows needs {}", path.display());
            return;
        }
        let theirs = crate::blocks::Blocks::open(&[path], None).unwrap().into_rows().unwrap();
        let mut ours = Vec::new();
        let mut out = |row: Row| -> Result<(), ()> {
            ours.push(row);
            Ok(())
        };
        let mut reorder = Reorder::default();
        for row in theirs.iter().filter(|row| row.on_local()) {
            reorder.push(vec![Row { flags: Flags::BOTH, ..*row }], &mut out).unwrap().unwrap();
        }
        let counts = reorder.finish(&mut out).unwrap();
        assert!(ours == theirs, "the same rows in the same places");
        assert_eq!(counts, Counts { split: 1393, late: 0 });
    }

    proptest::proptest! {
        #[test]
        fn both_clocks_run_forward_and_see_everything(times: Vec<(u16, u16)>) {
            let mut rows = Vec::new();
            let mut out = |row: Row| -> Result<(), ()> { rows.push(row); Ok(()) };
            let mut reorder = Reorder::default();
            for (&(exch, local), id) in times.iter().zip(0..) {
                reorder.push(vec![row(exch.into(), local.into(), id)], &mut out).unwrap().unwrap();
            }
            reorder.finish(&mut out).unwrap();
            let mut order = crate::order::Order::default();
            proptest::prop_assert!(rows.iter().all(|row| order.admits(row)));
            for is_on in [Row::on_exch, Row::on_local] {
                let mut ids: Vec<u64> = rows.iter().filter(|row| is_on(row)).map(|row| row.id).collect();
                ids.sort_unstable();
                proptest::prop_assert_eq!(ids, (0..times.len() as u64).collect::<Vec<_>>());
            }
        }
    }
}
