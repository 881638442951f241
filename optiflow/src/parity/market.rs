//! Stored rows of one symbol → rows of the replay core, on the exchange's clock alone.
//!
//! The trader of a parity run acts at exchange times, so its local clock is the exchange's. What happened in the same
//! millisecond is put in the order of a matching engine, trades before the book that they leave: the capture heard them
//! on two connections. A time told in whole milliseconds counts from the middle of its millisecond, as often too late
//! as too early. Memory is a few blocks.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use optiflow_base::money::{Price, Side};
use optiflow_sim::replay::feed::Blocks;
use optiflow_sim::replay::rows::{self, Kind, MarketRow, Row, Validity};
use optiflow_sim::replay::{ReplayError, Scale, TICK_MAX};
use optiflow_store::blocks::Blocks as StoredBlocks;
use optiflow_store::event::{Kind as StoredKind, Row as StoredRow};

use super::travel::MILLI;

/// The market of one symbol, on its way to the core.
pub struct Market {
    stored: StoredBlocks,
    scale: Scale,
    /// Rows of the newest millisecond: more of them may follow in the next block.
    held: Vec<MarketRow>,
    span: Rc<Span>,
    ended: bool,
}

/// From when to when the book is known, exchange ns.
#[derive(Debug, Default)]
pub struct Span {
    /// The first snapshot, or the first change of a book without one.
    pub first: Cell<Option<i64>>,
    /// The last row.
    pub last: Cell<Option<i64>>,
}

impl Market {
    /// The rows of a store of one symbol.
    pub fn new(stored: StoredBlocks, scale: Scale) -> Market {
        Market { stored, scale, held: Vec::new(), span: Rc::default(), ended: false }
    }

    /// What is known when it has passed.
    pub fn span(&self) -> Rc<Span> {
        Rc::clone(&self.span)
    }

    fn pack(&mut self) -> Result<Arc<[Row]>, ReplayError> {
        // Whole milliseconds only, unless nothing follows.
        let last = self.held.last().map(|row| row.exchange_ns);
        let whole =
            if self.ended { self.held.len() } else { self.held.partition_point(|row| Some(row.exchange_ns) < last) };
        let mut packed = Vec::with_capacity(whole);
        let mut ready: Vec<MarketRow> = self.held.drain(..whole).collect();
        // Stable: the rows of a message stay together and in order.
        ready.sort_by_key(|row| (row.exchange_ns, row.kind != Kind::Trade));
        for row in &ready {
            rows::push(&mut packed, row, Validity::Both)?;
        }
        Ok(packed.into())
    }
}

impl Blocks for Market {
    fn next_block(&mut self) -> Result<Option<Arc<[Row]>>, ReplayError> {
        while !self.ended {
            let block = self.stored.next_block().map_err(|error| ReplayError::Feed(error.to_string()))?;
            match block {
                None => self.ended = true,
                Some(block) => {
                    for row in block.iter().filter(|row| row.on_exch()) {
                        if let Some(market) = market_row(row, &self.scale).map_err(ReplayError::Feed)? {
                            let is_book = matches!(market.kind, Kind::Snapshot | Kind::Depth);
                            if is_book && self.span.first.get().is_none() {
                                self.span.first.set(Some(market.exchange_ns));
                            }
                            self.span.last.set(Some(market.exchange_ns));
                            self.held.push(market);
                        }
                    }
                }
            }
            let packed = self.pack()?;
            if !packed.is_empty() {
                return Ok(Some(packed));
            }
        }
        Ok(None)
    }
}

/// What a row says to the book; `None` where that is nothing.
fn market_row(row: &StoredRow, scale: &Scale) -> Result<Option<MarketRow>, String> {
    let whole_side = |side: Side| match side {
        Side::Buy => -TICK_MAX,
        Side::Sell => TICK_MAX,
    };
    let (kind, side) = match (row.kind, row.side) {
        (StoredKind::Depth, Some(side)) => (Kind::Depth, side),
        (StoredKind::Snapshot, Some(side)) => (Kind::Snapshot, side),
        (StoredKind::Trade, Some(side)) => (Kind::Trade, side),
        (StoredKind::Top, Some(side)) => (Kind::Top, side),
        (StoredKind::Clear, Some(side)) => (Kind::Clear, side),
        (StoredKind::Clear, None) => (Kind::ClearBoth, Side::Buy),
        (
            StoredKind::Depth
            | StoredKind::Snapshot
            | StoredKind::Trade
            | StoredKind::Top
            | StoredKind::Mark
            | StoredKind::Index
            | StoredKind::Funding,
            _,
        ) => return Ok(None),
    };
    let tick = match kind {
        Kind::ClearBoth => 0,
        Kind::Clear if row.price.is_zero() => whole_side(side),
        Kind::Clear
        | Kind::Depth
        | Kind::Snapshot
        | Kind::Top
        | Kind::Trade
        | Kind::Mark
        | Kind::Index
        | Kind::Funding => tick_of(row.price, scale)?,
    };
    let time = |nanos: u64| i64::try_from(nanos).map_err(|_| format!("the time {nanos} is beyond the year 2262"));
    let told = time(row.exch.0)?;
    let exchange_ns = if told % MILLI == 0 { told + MILLI / 2 } else { told };
    Ok(Some(MarketRow { kind, side, exchange_ns, local_ns: exchange_ns, tick, parts: scale.parts(row.qty) }))
}

/// The tick of a price on the grid.
pub fn tick_of(price: Price, scale: &Scale) -> Result<i32, String> {
    let tick = scale.nearest_tick(price).filter(|tick| scale.price(*tick) == price);
    tick.ok_or_else(|| format!("the price {price} is not a multiple of the tick {}; give a finer --tick", scale.tick))
}

#[cfg(test)]
mod tests {
    use optiflow_base::clock::Nanos;
    use optiflow_base::ids::SymbolId;
    use optiflow_base::money::Qty;
    use optiflow_store::event::Flags;

    use super::*;

    #[test]
    fn a_row_counts_from_the_middle_of_its_millisecond_and_off_the_grid_it_is_refused() {
        let scale = Scale::finest("0.1".parse().unwrap(), "0.001".parse().unwrap());
        let row = |price: &str, exch: u64| StoredRow {
            exch: Nanos(exch),
            local: Nanos(9),
            price: price.parse().unwrap(),
            qty: Qty::from_units(7),
            id: 0,
            symbol: SymbolId(0),
            kind: StoredKind::Trade,
            side: Some(Side::Sell),
            flags: Flags::BOTH,
        };
        let told = |exch: u64| market_row(&row("60000.1", exch), &scale).unwrap().unwrap();
        assert_eq!((told(3_000_000).exchange_ns, told(3_000_001).exchange_ns), (3_500_000, 3_000_001));
        assert_eq!((told(1).tick, told(1).parts, told(1).kind), (600_001, 7, Kind::Trade));
        assert!(market_row(&row("60000.15", 1), &scale).unwrap_err().contains("0.1"));
        let mark = StoredRow { kind: StoredKind::Mark, side: None, ..row("60000.15", 1) };
        assert_eq!(market_row(&mark, &scale), Ok(None));
    }
}
