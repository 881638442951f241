//! Where stored rows come from: files read ahead, one market in memory shared by many runs, or a source of the simulator.
//!
//! A stream is in order on both clocks by itself; nothing here sorts. Memory is a block or two, whatever the length.

use std::sync::Arc;

use optiflow_base::clock::Nanos;
use optiflow_base::ids::SymbolId;
use optiflow_base::market::Level;
use optiflow_base::money::{Price, Qty, Side};
use optiflow_sim::market::Source;
use optiflow_sim::words::{MarketTick, Tick};
use optiflow_store::blocks::{BLOCK_LEN, Blocks};
use optiflow_store::event::{Flags, Kind, Row};

/// A stream of stored rows, in order on each of their two clocks.
pub trait Rows: Send {
    /// The next rows, never none; `None` after the last.
    ///
    /// # Errors
    /// In words for people: what is wrong with the stream, and what mends it.
    fn next_block(&mut self) -> Result<Option<&[Row]>, String>;
}

impl Rows for Blocks {
    fn next_block(&mut self) -> Result<Option<&[Row]>, String> {
        Blocks::next_block(self).map_err(|error| error.to_string())
    }
}

/// Rows in memory, shared with other runs.
#[derive(Clone, Debug)]
pub struct Shared {
    rows: Arc<[Row]>,
    at: usize,
}

impl Shared {
    /// All of `rows`, from the first.
    pub const fn new(rows: Arc<[Row]>) -> Shared {
        Shared { rows, at: 0 }
    }
}

impl Rows for Shared {
    fn next_block(&mut self) -> Result<Option<&[Row]>, String> {
        let from = self.at;
        self.at = self.rows.len().min(from + BLOCK_LEN);
        Ok(Some(&self.rows[from..self.at]).filter(|block| !block.is_empty()))
    }
}

/// A market of the simulator as rows, each received a fixed time after it happened.
pub struct Market {
    source: Box<dyn Source>,
    feed_ns: u64,
    begins: Nanos,
    block: Vec<Row>,
}

impl Market {
    /// The market of `source`; the numbers of its symbols are those of its listings.
    pub fn new(source: Box<dyn Source>, feed_ns: u64) -> Market {
        Market { source, feed_ns, begins: Nanos(0), block: Vec::new() }
    }

    /// The same, with its times counted from `begins`: made-up markets begin at zero.
    #[must_use]
    pub fn from(self, begins: Nanos) -> Market {
        Market { begins, ..self }
    }

    fn push(&mut self, tick: &MarketTick) {
        let symbol = SymbolId(u16::try_from(tick.symbol).unwrap_or(u16::MAX));
        let exch = Nanos(tick.at.0.saturating_add(self.begins.0));
        let local = Nanos(exch.0.saturating_add(self.feed_ns));
        let row = |kind, side, price, qty, id| {
            let flags = Flags::BOTH.with_more(true);
            Row { exch, local, price, qty, id, symbol, kind, side, flags }
        };
        let level = |kind, side, level: &Level, id| row(kind, Some(side), level.price, level.qty, id);
        match &tick.what {
            Tick::Snapshot { id, bids, asks } => {
                self.block.push(row(Kind::Clear, None, Price::ZERO, Qty::ZERO, *id));
                self.block.extend(bids.iter().map(|bid| level(Kind::Snapshot, Side::Buy, bid, *id)));
                self.block.extend(asks.iter().map(|ask| level(Kind::Snapshot, Side::Sell, ask, *id)));
            }
            Tick::Depth { last_id, bids, asks, .. } => {
                self.block.extend(bids.iter().map(|bid| level(Kind::Depth, Side::Buy, bid, *last_id)));
                self.block.extend(asks.iter().map(|ask| level(Kind::Depth, Side::Sell, ask, *last_id)));
            }
            Tick::Trade { id, price, qty, taker } => self.block.push(row(Kind::Trade, Some(*taker), *price, *qty, *id)),
            Tick::Top { update_id, bid, ask } => {
                self.block.push(level(Kind::Top, Side::Buy, bid, *update_id));
                self.block.push(level(Kind::Top, Side::Sell, ask, *update_id));
            }
            Tick::Mark { mark, index, funding_rate, next_funding_ms } => {
                let next_funding_ms = match *next_funding_ms {
                    0 => 0,
                    ms => ms.saturating_add(self.begins.millis()),
                };
                self.block.push(row(Kind::Mark, None, *mark, Qty::ZERO, 0));
                self.block.push(row(Kind::Index, None, *index, Qty::ZERO, 0));
                self.block.push(row(Kind::Funding, None, Price::from_units(*funding_rate), Qty::ZERO, next_funding_ms));
            }
            // Single orders of a market have no rows: nobody receives them.
            Tick::Single { .. } => {}
        }
        if let Some(last) = self.block.last_mut() {
            last.flags = last.flags.with_more(false);
        }
    }
}

impl Rows for Market {
    fn next_block(&mut self) -> Result<Option<&[Row]>, String> {
        self.block.clear();
        for _ in 0..TICKS_PER_BLOCK {
            let Some(tick) = self.source.next().map_err(|error| error.to_string())? else { break };
            self.push(&tick);
        }
        // Ticks that say nothing at all make no rows; a market of nothing else is as good as over.
        Ok(Some(self.block.as_slice()).filter(|block| !block.is_empty()))
    }
}

/// Ticks made at a time: few, so that a market that never ends is not made far ahead.
const TICKS_PER_BLOCK: usize = 64;
