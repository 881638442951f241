//! Rows of one message → what it says: levels, best prices, a trade, a mark.
//!
//! Follows the levels of every book, because rows may remove a range of them and because a market without best prices
//! still has some. Update ids that a source does not tell are counted here. A book begins with what is first told of it,
//! whether or not that is a snapshot: recordings that have none begin with a diff, and their book is what diffs have told
//! since. Never decides anything.

use std::collections::BTreeMap;

use optiflow_base::clock::Nanos;
use optiflow_base::ids::SymbolId;
use optiflow_base::market::Level;
use optiflow_base::money::{Price, Qty, Side};
use optiflow_store::event::{Kind, Row};

/// What a message says, and when.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) symbol: SymbolId,
    pub(super) exch: Nanos,
    pub(super) local: Nanos,
    pub(super) says: Says<'a>,
}

/// What a message says.
#[derive(Debug)]
pub(super) enum Says<'a> {
    /// Levels now have these quantities; `whole` replaces the book.
    Levels { id: u64, whole: bool, bids: &'a [Level], asks: &'a [Level] },
    /// Best bid and ask.
    Top { id: u64, bid: Level, ask: Level },
    /// A trade.
    Trade { id: u64, price: Price, qty: Qty, taker: Side },
    /// The mark and what belongs to it.
    Mark(Mark),
}

/// Mark, index and funding as last told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) mark: Price,
    pub(super) index: Price,
    pub(super) funding_rate: i64,
    pub(super) next_funding_ms: u64,
}

/// Reads messages of all symbols, in the order of one clock.
pub(super) struct Reader {
    symbols: Vec<Known>,
    bids: Vec<Level>,
    asks: Vec<Level>,
}

/// What is known of a symbol.
#[derive(Debug, Default)]
struct Known {
    last_id: u64,
    bids: BTreeMap<Price, Qty>,
    asks: BTreeMap<Price, Qty>,
    top: [Option<Level>; 2],
    has_tops: bool,
    /// Levels were told.
    begun: bool,
    trades: u64,
    mark: Mark,
}

impl Reader {
    pub(super) fn new(symbols: usize) -> Reader {
        Reader { symbols: (0..symbols).map(|_| Known::default()).collect(), bids: Vec::new(), asks: Vec::new() }
    }

    /// Does the market tell best prices of a symbol?
    pub(super) fn has_tops(&self, symbol: SymbolId) -> bool {
        self.symbols[symbol.index()].has_tops
    }

    /// Best bid and ask by the levels alone.
    pub(super) fn touch(&self, symbol: SymbolId) -> Option<(Level, Level)> {
        let known = &self.symbols[symbol.index()];
        let level = |(&price, &qty): (&Price, &Qty)| Level { price, qty };
        Some((level(known.bids.last_key_value()?), level(known.asks.first_key_value()?)))
    }

    /// What the rows of one message say; `None` when that is nothing.
    pub(super) fn read(&mut self, rows: &[Row]) -> Option<Message<'_>> {
        let &Row { symbol, exch, local, kind, id, .. } = rows.first()?;
        let says = match kind {
            Kind::Depth | Kind::Snapshot | Kind::Clear => {
                let whole = self.read_levels(rows);
                let id = self.symbols[symbol.index()].number(id, whole);
                Says::Levels { id, whole, bids: &self.bids, asks: &self.asks }
            }
            Kind::Top => self.read_top(rows)?,
            Kind::Trade => {
                let Row { price, qty, side, .. } = rows[0];
                let taker = side.filter(|_| price > Price::ZERO && qty > Qty::ZERO)?;
                self.symbols[symbol.index()].trades += 1;
                Says::Trade { id, price, qty, taker }
            }
            Kind::Mark | Kind::Index | Kind::Funding => Says::Mark(self.read_mark(rows)?),
        };
        Some(Message { symbol, exch, local, says })
    }

    /// Trades told of a symbol so far.
    pub(super) fn trades(&self, symbol: SymbolId) -> u64 {
        self.symbols[symbol.index()].trades
    }

    /// Gathers the levels; says whether they replace the book, as the first ones do.
    fn read_levels(&mut self, rows: &[Row]) -> bool {
        let Reader { symbols, bids, asks } = self;
        bids.clear();
        asks.clear();
        let mut whole =
            rows.first().is_some_and(|row| !std::mem::replace(&mut symbols[row.symbol.index()].begun, true));
        for row in rows {
            let known = &mut symbols[row.symbol.index()];
            let Some(side) = row.side else {
                if row.kind == Kind::Clear {
                    known.bids.clear();
                    known.asks.clear();
                    bids.clear();
                    asks.clear();
                    whole = true;
                }
                continue;
            };
            let (book, told) = match side {
                Side::Buy => (&mut known.bids, &mut *bids),
                Side::Sell => (&mut known.asks, &mut *asks),
            };
            if row.kind == Kind::Clear {
                let goes = |price: &Price| row.price.is_zero() || side.reaches(*price, row.price);
                let gone = book.keys().copied().filter(goes).map(|price| Level { price, qty: Qty::ZERO });
                told.extend(gone);
                book.retain(|price, _| !goes(price));
                continue;
            }
            if row.qty > Qty::ZERO {
                book.insert(row.price, row.qty);
            } else {
                book.remove(&row.price);
            }
            told.push(Level { price: row.price, qty: row.qty });
        }
        whole
    }

    fn read_top(&mut self, rows: &[Row]) -> Option<Says<'static>> {
        let known = &mut self.symbols[rows[0].symbol.index()];
        for row in rows {
            known.top[row.side? as usize] = Some(Level { price: row.price, qty: row.qty });
        }
        let (bid, ask) = (known.top[0]?, known.top[1]?);
        known.has_tops = true;
        Some(Says::Top { id: known.number(rows[0].id, false), bid, ask })
    }

    fn read_mark(&mut self, rows: &[Row]) -> Option<Mark> {
        let known = &mut self.symbols[rows[0].symbol.index()];
        for row in rows {
            match row.kind {
                Kind::Mark => known.mark.mark = row.price,
                Kind::Index => known.mark.index = row.price,
                Kind::Funding => {
                    known.mark.funding_rate = row.price.units();
                    known.mark.next_funding_ms = row.id;
                }
                Kind::Depth | Kind::Snapshot | Kind::Clear | Kind::Trade | Kind::Top => {}
            }
        }
        (known.mark.mark > Price::ZERO).then_some(known.mark)
    }
}

impl Known {
    /// The id as told, or the next one where none is told.
    fn number(&mut self, id: u64, restarts: bool) -> u64 {
        let id = if id == 0 { self.last_id + 1 } else { id };
        self.last_id = if restarts { id } else { self.last_id.max(id) };
        id
    }
}

#[cfg(test)]
mod tests {
    use optiflow_store::event::Flags;

    use super::*;

    fn row(kind: Kind, side: Option<Side>, price: i64, qty: i64, id: u64) -> Row {
        let (price, qty) = (Price::from_units(price), Qty::from_units(qty));
        let (exch, local, flags) = (Nanos(1), Nanos(2), Flags::BOTH);
        Row { exch, local, price, qty, id, symbol: SymbolId(0), kind, side, flags }
    }

    fn told(reader: &mut Reader, rows: &[Row]) -> String {
        let levels = |levels: &[Level]| {
            let shown = levels.iter().map(|level| format!("{}x{}", level.price.units(), level.qty.units()));
            shown.collect::<Vec<_>>().join(" ")
        };
        match reader.read(rows).map(|message| message.says) {
            None => "nothing".to_owned(),
            Some(Says::Levels { id, whole, bids, asks }) => {
                format!("{id} {} {} | {}", if whole { "whole" } else { "part" }, levels(bids), levels(asks))
            }
            Some(Says::Top { id, bid, ask }) => format!("{id} top {} {}", bid.price.units(), ask.price.units()),
            Some(Says::Trade { id, price, taker, .. }) => format!("{id} trade {taker:?} {}", price.units()),
            Some(Says::Mark(mark)) => format!("mark {} {}", mark.mark.units(), mark.funding_rate),
        }
    }

    #[test]
    fn a_book_begins_with_the_first_levels_told_of_it_be_they_a_snapshot_or_not() {
        let (buy, sell) = (Some(Side::Buy), Some(Side::Sell));
        let mut reader = Reader::new(1);
        assert_eq!(told(&mut reader, &[row(Kind::Trade, sell, 11, 5, 3)]), "3 trade Sell 11");
        assert_eq!(told(&mut reader, &[row(Kind::Depth, buy, 9, 1, 70)]), "70 whole 9x1 | ");
        assert_eq!(told(&mut reader, &[row(Kind::Depth, sell, 10, 2, 71)]), "71 part  | 10x2");
        let mut reader = Reader::new(1);
        assert_eq!(told(&mut reader, &[row(Kind::Snapshot, buy, 9, 1, 0)]), "1 whole 9x1 | ");
    }

    #[test]
    fn messages_are_read_and_ids_that_are_not_told_are_counted() {
        let (buy, sell) = (Some(Side::Buy), Some(Side::Sell));
        let mut reader = Reader::new(1);
        let snapshot = [
            row(Kind::Clear, None, 0, 0, 0),
            row(Kind::Snapshot, buy, 9, 1, 0),
            row(Kind::Snapshot, buy, 8, 2, 0),
            row(Kind::Snapshot, buy, 7, 2, 0),
            row(Kind::Snapshot, sell, 10, 3, 0),
        ];
        assert_eq!(told(&mut reader, &snapshot), "1 whole 9x1 8x2 7x2 | 10x3");
        assert_eq!(
            told(&mut reader, &[row(Kind::Clear, buy, 8, 0, 0), row(Kind::Depth, buy, 8, 5, 0)]),
            "2 part 8x0 9x0 8x5 | "
        );
        assert_eq!(reader.touch(SymbolId(0)).map(|(bid, ask)| (bid.price.units(), ask.price.units())), Some((8, 10)));
        assert_eq!(told(&mut reader, &[row(Kind::Clear, sell, 0, 0, 0)]), "3 part  | 10x0");
        assert_eq!(told(&mut reader, &[row(Kind::Top, buy, 8, 5, 0)]), "nothing", "the other side was never told");
        assert_eq!(told(&mut reader, &[row(Kind::Top, sell, 11, 5, 0)]), "4 top 8 11");
        assert_eq!(told(&mut reader, &[row(Kind::Depth, sell, 11, 5, 90)]), "90 part  | 11x5");
        assert_eq!(told(&mut reader, &[row(Kind::Trade, None, 11, 5, 3)]), "nothing");
        assert_eq!(told(&mut reader, &[row(Kind::Trade, sell, 11, 5, 3)]), "3 trade Sell 11");
        assert_eq!(told(&mut reader, &[row(Kind::Funding, None, 44, 0, 3)]), "nothing", "no mark yet");
        assert_eq!(told(&mut reader, &[row(Kind::Mark, None, 12, 0, 0)]), "mark 12 44");
        assert!(reader.has_tops(SymbolId(0)));
    }
}
