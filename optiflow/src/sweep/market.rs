//! The market of a sweep for the fast core: read once, packed, and kept in memory for all runs to share.
//!
//! What the runs read has a number of its own, so that rows of `runs.jsonl` made from other data are known, whatever the
//! files are called.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::ProgressBar;
use optiflow_base::ids::SymbolId;
use optiflow_sim::replay::feed::Blocks;
use optiflow_sim::replay::rows::Row;
use optiflow_sim::replay::{ReplayError, Scale};
use optiflow_store::blocks::Blocks as StoredBlocks;
use optiflow_store::schema::SymbolInfo;

use super::digest::{START, mix_all, mix_bytes};
use super::memory::Room;
use crate::backtest::source::Source;
use crate::problem::Problem;

/// The market, packed in one of the ways that the points need.
pub struct Market {
    blocks: Vec<Arc<[Row]>>,
    /// Packed rows.
    pub rows: u64,
    /// Equal markets have equal numbers.
    pub identity: u64,
    /// Latest time on either clock.
    pub last_ns: Option<i64>,
}

/// What decides how stored rows are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// The symbol's integers.
    pub scale: Scale,
    /// By the peer's conventions?
    pub compatible: bool,
}

impl Market {
    /// Reads `stored` to its end.
    pub fn read(
        stored: StoredBlocks,
        symbol: (SymbolId, &SymbolInfo),
        packing: Packing,
        room: &mut Room,
        bar: &ProgressBar,
    ) -> Result<Market, Problem> {
        if stored.symbols().len() == 1 {
            room.check(stored.rows(), size_of::<Row>())?;
        }
        let mut source = Source::new(stored, symbol.0, packing.scale, packing.compatible, bar.clone());
        let passed = source.passed();
        let mut market = Market { blocks: Vec::new(), rows: 0, identity: seed(symbol.1, packing), last_ns: None };
        while let Some(block) = source.next_block().map_err(|error| Problem::Failed(error.to_string()))? {
            room.take(block.len(), size_of::<Row>())?;
            market.rows += block.len() as u64;
            market.identity = block.iter().fold(market.identity, digest);
            market.blocks.push(block);
        }
        market.last_ns = passed.last_ns.get();
        if market.rows == 0 {
            let name = symbol.1.name;
            return Err(Problem::Failed(format!(
                "the data hold no row of {name}; give other files or another --symbol"
            )));
        }
        Ok(market)
    }

    /// A reader of its own for a run, which counts into `passed` what it hands out.
    pub const fn reader<'a>(&'a self, passed: &'a AtomicU64) -> Shared<'a> {
        Shared { blocks: self.blocks.as_slice(), next: 0, passed }
    }
}

/// One run's way through the rows that all runs share.
pub struct Shared<'a> {
    blocks: &'a [Arc<[Row]>],
    next: usize,
    passed: &'a AtomicU64,
}

impl Blocks for Shared<'_> {
    fn next_block(&mut self) -> Result<Option<Arc<[Row]>>, ReplayError> {
        let Some(block) = self.blocks.get(self.next) else { return Ok(None) };
        self.next += 1;
        self.passed.fetch_add(block.len() as u64, Ordering::Relaxed);
        Ok(Some(Arc::clone(block)))
    }
}

fn seed(symbol: &SymbolInfo, packing: Packing) -> u64 {
    let Scale { tick, lot, parts_per_lot } = packing.scale;
    let numbers = [tick.units(), lot.units(), parts_per_lot, i64::from(packing.compatible)];
    mix_all(mix_bytes(START, symbol.name.as_str().as_bytes()), numbers.map(|number| number as u64))
}

fn digest(state: u64, row: &Row) -> u64 {
    let (side, clocks) = (row.side() as u64, u64::from(row.at_exchange()) << 1 | u64::from(row.at_local()));
    let rest = u64::from(row.tick() as u32) << 32 | (row.kind() as u64) << 16 | side << 8 | clocks;
    mix_all(state, [row.exchange_ns() as u64, row.local_ns() as u64, row.parts() as u64, rest])
}
