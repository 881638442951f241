//! Rows between the two clocks: read once, taken message by message by the exchange and, later, by us.
//!
//! Several streams run side by side, each with its own reading place on either clock; the earliest goes first, of equals
//! the first stream. A row waits only until both have taken it, so memory is what lies between the clocks. Rows that go
//! back in time are an error that names the row; nothing is sorted.

use std::collections::VecDeque;

use optiflow_base::clock::Nanos;
use optiflow_base::ids::SymbolId;
use optiflow_store::event::{Kind, Row};

use super::rows::Rows;

/// One stream, and which of its symbols are whose in the session.
pub struct Lane {
    /// The rows.
    pub rows: Box<dyn Rows>,
    /// The session's symbol for each symbol number of the rows; rows of the others are passed over.
    pub symbols: Vec<Option<SymbolId>>,
}

/// Which clock rows are read by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// When they happened.
    Exchange,
    /// When they were received.
    Local,
}

/// All streams.
pub(super) struct Tape {
    reels: Vec<Reel>,
}

/// A stream being read.
struct Reel {
    lane: Lane,
    held: VecDeque<Row>,
    /// Rows of the session's symbols dropped from `held`.
    dropped: u64,
    /// Next place to look at on the exchange's clock and on ours.
    places: [u64; 2],
    /// Latest times read.
    latest: [Nanos; 2],
    rows: u64,
    ended: bool,
    /// Nobody reads it on the exchange's clock: rows wait for us alone.
    is_ours: bool,
}

impl Tape {
    /// Read on both clocks, or on ours alone.
    pub(super) fn new(lanes: Vec<Lane>, is_ours: bool) -> Tape {
        let reel = |lane| Reel {
            lane,
            held: VecDeque::new(),
            dropped: 0,
            places: [0; 2],
            latest: [Nanos(0); 2],
            rows: 0,
            ended: false,
            is_ours,
        };
        Tape { reels: lanes.into_iter().map(reel).collect() }
    }

    /// Rows read so far, all and those of the session's symbols.
    pub(super) fn rows(&self) -> (u64, u64) {
        self.reels.iter().fold((0, 0), |sum, reel| (sum.0 + reel.rows, sum.1 + reel.dropped + reel.held.len() as u64))
    }

    /// When the next message comes on a clock.
    pub(super) fn next_at(&mut self, by: By) -> Result<Option<Nanos>, String> {
        Ok(self.next(by)?.map(|(_, at)| at))
    }

    /// Takes the next message on a clock into `rows`; false when there is none.
    pub(super) fn take(&mut self, by: By, rows: &mut Vec<Row>) -> Result<bool, String> {
        rows.clear();
        let Some((index, _)) = self.next(by)? else { return Ok(false) };
        self.reels[index].take(by, rows)?;
        assert!(!rows.is_empty(), "a message has rows");
        Ok(true)
    }

    fn next(&mut self, by: By) -> Result<Option<(usize, Nanos)>, String> {
        let mut earliest: Option<(usize, Nanos)> = None;
        for (index, reel) in self.reels.iter_mut().enumerate() {
            let Some(row) = reel.peek(by)? else { continue };
            let at = by.time(&row);
            if earliest.is_none_or(|(_, least)| at < least) {
                earliest = Some((index, at));
            }
        }
        Ok(earliest)
    }
}

impl Reel {
    /// The next row on a clock; the reading place moves up to it.
    fn peek(&mut self, by: By) -> Result<Option<Row>, String> {
        loop {
            let place = self.places[by as usize];
            match self.held.get((place - self.dropped) as usize) {
                Some(row) if by.counts(row) => return Ok(Some(*row)),
                Some(_) => self.places[by as usize] += 1,
                None if self.ended => return Ok(None),
                None => self.read()?,
            }
        }
    }

    fn take(&mut self, by: By, rows: &mut Vec<Row>) -> Result<(), String> {
        while let Some(row) = self.peek(by)? {
            let goes_on = rows.last().is_none_or(|last: &Row| last.more() || belongs(last, &row));
            if !goes_on {
                break;
            }
            rows.push(row);
            self.places[by as usize] += 1;
        }
        let [exchange, local] = self.places;
        let passed = if self.is_ours { local } else { exchange.min(local) };
        self.held.drain(..(passed - self.dropped) as usize);
        self.dropped = passed;
        Ok(())
    }

    fn read(&mut self) -> Result<(), String> {
        let Some(block) = self.lane.rows.next_block()? else {
            self.ended = true;
            return Ok(());
        };
        for row in block {
            let number = self.rows;
            self.rows += 1;
            for by in [By::Exchange, By::Local] {
                let latest = &mut self.latest[by as usize];
                if by.counts(row) {
                    if by.time(row) < *latest {
                        let name = by.name();
                        return Err(format!(
                            "row {number} of the market goes back in {name} time; put the rows in order"
                        ));
                    }
                    *latest = by.time(row);
                }
            }
            if let Some(symbol) = self.lane.symbols.get(row.symbol.index()).copied().flatten() {
                self.held.push_back(Row { symbol, ..*row });
            }
        }
        Ok(())
    }
}

impl By {
    const fn counts(self, row: &Row) -> bool {
        match self {
            By::Exchange => row.on_exch(),
            By::Local => row.on_local(),
        }
    }

    const fn time(self, row: &Row) -> Nanos {
        match self {
            By::Exchange => row.exch,
            By::Local => row.local,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            By::Exchange => "exchange",
            By::Local => "local",
        }
    }
}

/// Arrays tell every level as a message of its own. Those of one moment are one message, so that nobody sees half a book.
fn belongs(last: &Row, next: &Row) -> bool {
    let together = (last.symbol, last.exch, last.local) == (next.symbol, next.exch, next.local);
    let levels = |row: &Row| matches!(row.kind, Kind::Depth | Kind::Snapshot | Kind::Clear);
    let pair = last.kind == Kind::Top && next.kind == Kind::Top && last.side != next.side;
    together && !next.more() && ((levels(last) && levels(next)) || pair)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use optiflow_base::money::{Price, Qty, Side};
    use optiflow_store::event::Flags;

    use super::*;
    use crate::stages::rows::Shared;

    fn row(exch: u64, local: u64, symbol: u16, kind: Kind, flags: Flags) -> Row {
        let (price, qty) = (Price::from_units(7), Qty::from_units(1));
        let (exch, local, symbol) = (Nanos(exch), Nanos(local), SymbolId(symbol));
        Row { exch, local, price, qty, id: 0, symbol, kind, side: Some(Side::Buy), flags }
    }

    fn tape(lanes: Vec<(Vec<Row>, Vec<Option<SymbolId>>)>) -> Tape {
        let lane = |(rows, symbols): (Vec<Row>, _)| Lane { rows: Box::new(Shared::new(Arc::from(rows))), symbols };
        Tape::new(lanes.into_iter().map(lane).collect(), false)
    }

    fn times(tape: &mut Tape, by: By) -> Vec<(u64, u16, usize)> {
        let mut rows = Vec::new();
        let mut seen = Vec::new();
        while tape.take(by, &mut rows).unwrap() {
            seen.push((by.time(&rows[0]).0, rows[0].symbol.0, rows.len()));
        }
        seen
    }

    #[test]
    fn each_clock_reads_its_own_rows_in_its_own_order_and_streams_are_merged() {
        let one = vec![
            row(5, 9, 0, Kind::Trade, Flags::BOTH),
            row(7, 30, 0, Kind::Trade, Flags::EXCH),
            row(8, 12, 1, Kind::Trade, Flags::BOTH),
            row(9, 20, 0, Kind::Depth, Flags::BOTH.with_more(true)),
            row(9, 20, 0, Kind::Depth, Flags::BOTH),
            row(7, 30, 0, Kind::Trade, Flags::LOCAL),
        ];
        let two = vec![row(7, 8, 0, Kind::Trade, Flags::BOTH), row(9, 10, 0, Kind::Trade, Flags::BOTH)];
        let lanes = vec![(one, vec![Some(SymbolId(0)), None]), (two, vec![Some(SymbolId(1))])];
        let mut tape = tape(lanes);
        assert_eq!(times(&mut tape, By::Local), [(8, 1, 1), (9, 0, 1), (10, 1, 1), (20, 0, 2), (30, 0, 1)]);
        assert_eq!(times(&mut tape, By::Exchange), [(5, 0, 1), (7, 0, 1), (7, 1, 1), (9, 0, 2), (9, 1, 1)]);
        assert!(tape.reels.iter().all(|reel| reel.held.is_empty()), "nothing waits any more");
        assert_eq!(tape.rows(), (8, 7));
    }

    #[test]
    fn what_we_alone_read_waits_for_nobody_else() {
        let rows = (1..100).map(|at| row(at, at + 1, 0, Kind::Trade, Flags::BOTH)).collect();
        let mut tape = tape(vec![(rows, vec![Some(SymbolId(0))])]);
        tape.reels.iter_mut().for_each(|reel| reel.is_ours = true);
        assert_eq!(times(&mut tape, By::Local).len(), 99);
        assert!(tape.reels[0].held.is_empty(), "nothing waits for the exchange");
        assert_eq!(tape.rows(), (99, 99));
    }

    #[test]
    fn levels_of_one_moment_are_one_message_and_trades_are_not() {
        let kinds = [Kind::Clear, Kind::Snapshot, Kind::Snapshot, Kind::Trade, Kind::Trade];
        let rows = kinds.map(|kind| row(5, 9, 0, kind, Flags::BOTH)).to_vec();
        let mut tape = tape(vec![(rows, vec![Some(SymbolId(0))])]);
        assert_eq!(times(&mut tape, By::Exchange), [(5, 0, 3), (5, 0, 1), (5, 0, 1)]);
    }

    #[test]
    fn rows_that_go_back_are_named() {
        let rows = vec![row(5, 9, 0, Kind::Trade, Flags::BOTH), row(6, 8, 0, Kind::Trade, Flags::BOTH)];
        let problem = tape(vec![(rows, vec![Some(SymbolId(0))])]).next_at(By::Exchange).unwrap_err();
        assert!(problem.contains("row 1") && problem.contains("local"), "{problem}");
    }
}
