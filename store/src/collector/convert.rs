//! What a line says → messages of rows.
//!
//! The exchange's time is `T` (`E` where there is none); what names neither (spot's best prices and snapshots) gets the
//! recorder's time less the last known latency. A snapshot is a clear of the whole book and then its levels. Never
//! sorts, never writes.

use optiflow_base::clock::Nanos;
use optiflow_base::ids::SymbolId;
use optiflow_base::market::Level;
use optiflow_base::money::{Price, Qty, Side};

use crate::collector::gate::{Diff, Gate};
use crate::collector::payload::{Spoken, Word};
use crate::event::{Flags, Kind, Row};

/// Makes rows of what one symbol's lines say.
pub(crate) struct Converter {
    symbol: SymbolId,
    gate: Gate,
    /// Local minus exchange time of the last message that says both, ns.
    latency_ns: Option<i64>,
    diffs: Vec<Diff>,
    /// What was heard.
    pub heard: Heard,
}

/// Messages heard, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Depth diffs.
    pub depth: u64,
    /// Trades, single or aggregated.
    pub trades: u64,
    /// Best prices.
    pub tops: u64,
    /// Mark prices.
    pub marks: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// Messages of the market that were not stored: aggregates where single trades are recorded, and those whose
    /// exchange time cannot be told yet.
    pub passed_over: u64,
}

impl Converter {
    /// For `symbol`.
    pub const fn new(symbol: SymbolId, a_snapshot_comes: bool) -> Converter {
        Converter {
            symbol,
            gate: Gate::new(a_snapshot_comes),
            latency_ns: None,
            diffs: Vec::new(),
            heard: Heard { depth: 0, trades: 0, tops: 0, marks: 0, snapshots: 0, passed_over: 0 },
        }
    }

    /// Breaks in the sequence of the book, and messages dropped because the book was already newer.
    pub const fn gaps_and_stale(&self) -> (u64, u64) {
        (self.gate.gaps, self.gate.stale)
    }

    /// Appends the messages that the line gives rise to; each is a set of rows with the same times. Where the file has
    /// single trades, their aggregates are passed over.
    pub fn hear(&mut self, spoken: Spoken, has_single_trades: bool, messages: &mut Vec<Vec<Row>>) {
        let local = spoken.local;
        let Some(exch) = self.exch(&spoken) else {
            self.heard.passed_over += 1;
            return;
        };
        let row = self.blank(exch, local);
        match spoken.word {
            Word::Snapshot { id, bids, asks } => {
                self.heard.snapshots += 1;
                if self.gate.snapshot(id, spoken.exch, local, &mut self.diffs) {
                    let row = Row { id, ..row };
                    messages.push(message(snapshot(row, &bids, &asks)));
                }
                self.tell_diffs(messages);
            }
            Word::Depth { first_id, last_id, previous_id, bids, asks } => {
                self.heard.depth += 1;
                let diff = Diff { first_id, last_id, previous_id, exch, local, bids, asks };
                self.gate.diff(diff, &mut self.diffs);
                self.tell_diffs(messages);
            }
            Word::Trade { is_aggregate: true, .. } if has_single_trades => self.heard.passed_over += 1,
            Word::Trade { id, price, qty, taker, .. } => {
                self.heard.trades += 1;
                messages.push(vec![Row { id, price, qty, kind: Kind::Trade, side: Some(taker), ..row }]);
            }
            Word::Top { update_id, bid, ask } => {
                self.heard.tops += 1;
                let row = Row { id: update_id, kind: Kind::Top, ..row };
                messages.push(message(vec![level(row, Side::Buy, &bid), level(row, Side::Sell, &ask)]));
            }
            Word::Mark { mark, index, rate, next_ms } => {
                self.heard.marks += 1;
                messages.push(message(vec![
                    Row { price: mark, kind: Kind::Mark, ..row },
                    Row { price: index, kind: Kind::Index, ..row },
                    Row { price: Price::from_units(rate), id: next_ms, kind: Kind::Funding, ..row },
                ]));
            }
        }
    }

    /// The exchange's time, told or reckoned.
    fn exch(&mut self, spoken: &Spoken) -> Option<Nanos> {
        let local = spoken.local.0 as i64;
        if let Some(exch) = spoken.exch {
            self.latency_ns = Some(local - exch.0 as i64);
            return Some(exch);
        }
        u64::try_from(local.checked_sub(self.latency_ns?)?).ok().map(Nanos)
    }

    fn tell_diffs(&mut self, messages: &mut Vec<Vec<Row>>) {
        for diff in std::mem::take(&mut self.diffs) {
            let row = Row { id: diff.last_id, ..self.blank(diff.exch, diff.local) };
            let bids = diff.bids.iter().map(|bid| level(row, Side::Buy, bid));
            let asks = diff.asks.iter().map(|ask| level(row, Side::Sell, ask));
            let rows: Vec<Row> = bids.chain(asks).collect();
            if !rows.is_empty() {
                messages.push(message(rows));
            }
        }
    }

    fn blank(&self, exch: Nanos, local: Nanos) -> Row {
        Row {
            exch,
            local,
            price: Price::ZERO,
            qty: Qty::ZERO,
            id: 0,
            symbol: self.symbol,
            kind: Kind::Depth,
            side: None,
            flags: Flags::BOTH,
        }
    }
}

fn snapshot(row: Row, bids: &[Level], asks: &[Level]) -> Vec<Row> {
    let clear = Row { kind: Kind::Clear, ..row };
    let row = Row { kind: Kind::Snapshot, ..row };
    let bids = bids.iter().map(|bid| level(row, Side::Buy, bid));
    let asks = asks.iter().map(|ask| level(row, Side::Sell, ask));
    std::iter::once(clear).chain(bids).chain(asks).collect()
}

fn level(row: Row, side: Side, level: &Level) -> Row {
    Row { price: level.price, qty: level.qty, side: Some(side), ..row }
}

/// Marks all rows but the last as followed by more.
fn message(mut rows: Vec<Row>) -> Vec<Row> {
    if let Some((_, others)) = rows.split_last_mut() {
        others.iter_mut().for_each(|row| row.flags = row.flags.with_more(true));
    }
    rows
}

impl Heard {
    /// Adds what another symbol's lines said.
    pub(crate) const fn add(&mut self, other: &Heard) {
        self.depth += other.depth;
        self.trades += other.trades;
        self.tops += other.tops;
        self.marks += other.marks;
        self.snapshots += other.snapshots;
        self.passed_over += other.passed_over;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(local: u64, exch: Option<u64>) -> Spoken {
        let level = Level { price: Price::from_units(1), qty: Qty::from_units(1) };
        let word = Word::Top { update_id: 1, bid: level, ask: level };
        Spoken { local: Nanos(local), exch: exch.map(Nanos), symbol: None, word }
    }

    #[test]
    fn what_tells_no_exchange_time_gets_the_latency_before_it_or_is_passed_over() {
        let mut converter = Converter::new(SymbolId(0), false);
        let mut messages = Vec::new();
        let furthest = i64::MAX as u64;
        for (local, exch) in [(10, None), (20, Some(15)), (30, None), (40, Some(furthest)), (furthest, None)] {
            converter.hear(told(local, exch), false, &mut messages);
        }
        let times: Vec<u64> = messages.iter().map(|rows| rows[0].exch.0).collect();
        assert_eq!((times, converter.heard.passed_over), (vec![15, 25, furthest], 2));
    }
}
