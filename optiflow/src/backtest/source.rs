//! Stored rows of one symbol → packed rows of the replay core, block by block.
//!
//! Rows that say nothing (trades of no side; with the peer's conventions also best, mark and index prices and funding
//! rates, which it does not read) become rows that change nothing, so that time begins, passes and ends as in the
//! file. `more` needs no heed here: rows of a message share their times, and the core wakes a trader only after all rows of a
//! time. Memory is a few blocks. Never sorts: the store refuses files out of order.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use indicatif::ProgressBar;
use optiflow_base::ids::SymbolId;
use optiflow_base::money::{Price, Side};
use optiflow_sim::replay::feed::Blocks;
use optiflow_sim::replay::rows::{self, Kind, MarketRow, Row, Validity};
use optiflow_sim::replay::{ReplayError, Scale, TICK_MAX};
use optiflow_store::blocks::Blocks as StoredBlocks;
use optiflow_store::event::{Kind as StoredKind, Row as StoredRow};

/// The rows of one symbol, on their way to the core.
pub struct Source {
    stored: StoredBlocks,
    symbol: SymbolId,
    packer: Packer,
    packed: Vec<Row>,
    /// Times of the row before, exchange and ours.
    before: Option<[u64; 2]>,
    passed: Rc<Passed>,
    bar: ProgressBar,
}

/// What has come by so far, shared with whoever reports it.
#[derive(Debug, Default)]
pub struct Passed {
    /// Rows of the files, all symbols.
    pub rows: Cell<u64>,
    /// Rows of the symbol.
    pub rows_of_symbol: Cell<u64>,
    /// Latest time on either clock.
    pub last_ns: Cell<Option<i64>>,
}

impl Source {
    /// The rows of `symbol` out of `stored`.
    pub fn new(stored: StoredBlocks, symbol: SymbolId, scale: Scale, compatible: bool, bar: ProgressBar) -> Source {
        let packer = Packer { scale, tick: scale.tick.units(), per_tick: 1.0 / scale.tick.units() as f64, compatible };
        Source { stored, symbol, packer, packed: Vec::new(), before: None, passed: Rc::default(), bar }
    }

    /// What comes by.
    pub fn passed(&self) -> Rc<Passed> {
        Rc::clone(&self.passed)
    }
}

impl Blocks for Source {
    fn next_block(&mut self) -> Result<Option<Arc<[Row]>>, ReplayError> {
        loop {
            let block = match self.stored.next_block() {
                Ok(Some(block)) => block,
                Ok(None) => return Ok(None),
                Err(error) => return Err(ReplayError::Feed(error.to_string())),
            };
            self.packed.clear();
            let mut count = 0;
            for (row, number) in block.iter().zip(self.passed.rows.get()..) {
                if row.symbol == self.symbol {
                    count += 1;
                    let packed = check_hole(self.before.replace([row.exch.0, row.local.0]), row)
                        .and_then(|()| self.packer.push(row, &mut self.packed));
                    packed.map_err(|problem| ReplayError::Feed(format!("row {number} of the data: {problem}")))?;
                }
            }
            self.passed.note(block.len() as u64, count, &self.packed);
            self.bar.inc(block.len() as u64);
            if !self.packed.is_empty() {
                return Ok(Some(Arc::from(self.packed.as_slice())));
            }
        }
    }
}

impl Passed {
    fn note(&self, rows: u64, rows_of_symbol: u64, packed: &[Row]) {
        self.rows.set(self.rows.get() + rows);
        self.rows_of_symbol.set(self.rows_of_symbol.get() + rows_of_symbol);
        let last = packed.iter().map(|row| row.exchange_ns().max(row.local_ns())).max();
        self.last_ns.set(self.last_ns.get().max(last));
    }
}

/// Stored row → packed row.
struct Packer {
    scale: Scale,
    tick: i64,
    per_tick: f64,
    compatible: bool,
}

impl Packer {
    fn push(&self, row: &StoredRow, into: &mut Vec<Row>) -> Result<(), String> {
        let validity = match (row.on_exch(), row.on_local()) {
            (true, true) => Validity::Both,
            (true, false) => Validity::Exchange,
            (false, true) => Validity::Local,
            (false, false) => return Ok(()),
        };
        let market = self.market_row(row)?;
        rows::push(into, &market, validity).map_err(|error| match error {
            ReplayError::Row { problem, .. } => problem,
            ReplayError::Scale { .. }
            | ReplayError::LatencyTable { .. }
            | ReplayError::Script { .. }
            | ReplayError::Feed(_) => error.to_string(),
        })
    }

    fn market_row(&self, row: &StoredRow) -> Result<MarketRow, String> {
        let (exchange_ns, local_ns) = (time(row.exch.0)?, time(row.local.0)?);
        let kind = match (row.kind, row.side) {
            (StoredKind::Depth, Some(_)) => Kind::Depth,
            (StoredKind::Snapshot, Some(_)) => Kind::Snapshot,
            (StoredKind::Trade, Some(_)) => Kind::Trade,
            (StoredKind::Top, Some(_)) if !self.compatible => Kind::Top,
            (StoredKind::Clear, Some(side)) => {
                let tick = self.clear_tick(row.price, side)?;
                return Ok(MarketRow { kind: Kind::Clear, side, exchange_ns, local_ns, tick, parts: 0 });
            }
            (StoredKind::Clear, None) => {
                let kind = Kind::ClearBoth;
                return Ok(MarketRow { kind, side: Side::Buy, exchange_ns, local_ns, tick: 0, parts: 0 });
            }
            (StoredKind::Mark, _) if !self.compatible => {
                return Ok(MarketRow::mark(exchange_ns, local_ns, row.price));
            }
            (StoredKind::Index, _) if !self.compatible => {
                return Ok(MarketRow::index(exchange_ns, local_ns, row.price));
            }
            (StoredKind::Funding, _) if !self.compatible => {
                let rate = i32::try_from(row.price.units()).map_err(|_| format!("the rate {} is none", row.price))?;
                return Ok(MarketRow::funding(exchange_ns, local_ns, rate, time(row.id)?));
            }
            (
                StoredKind::Depth
                | StoredKind::Snapshot
                | StoredKind::Trade
                | StoredKind::Top
                | StoredKind::Mark
                | StoredKind::Index
                | StoredKind::Funding,
                _,
            ) => return Ok(nothing(exchange_ns, local_ns)),
        };
        let side = row.side.unwrap_or(Side::Buy);
        let tick = self.tick_of(row.price)?;
        Ok(MarketRow { kind, side, exchange_ns, local_ns, tick, parts: self.scale.parts(row.qty) })
    }

    /// The tick of a price that lies on the grid; the peer's conventions round what does not.
    #[inline]
    fn tick_of(&self, price: Price) -> Result<i32, String> {
        let units = price.units();
        // A guess by multiplication, then the exact check: a division takes several times as long. Only prices above
        // zero are guessed right.
        let guess = (units as f64 * self.per_tick + 0.5) as i32;
        if i64::from(guess) * self.tick == units && guess.unsigned_abs() < TICK_MAX.unsigned_abs() {
            return Ok(guess);
        }
        self.tick_slowly(price)
    }

    #[cold]
    fn tick_slowly(&self, price: Price) -> Result<i32, String> {
        let tick = self.scale.tick;
        let nearest = self.scale.nearest_tick(price);
        let nearest = nearest.ok_or_else(|| format!("the price {price} is too many ticks of {tick}; give --tick"))?;
        if self.compatible || self.scale.price(nearest) == price {
            return Ok(nearest);
        }
        Err(format!("the price {price} is not a multiple of the tick {tick}; give a finer --tick"))
    }

    fn clear_tick(&self, price: Price, side: Side) -> Result<i32, String> {
        let whole_side = match side {
            Side::Buy => -TICK_MAX,
            Side::Sell => TICK_MAX,
        };
        if price.is_zero() {
            return Ok(whole_side);
        }
        self.scale.nearest_tick(price).ok_or_else(|| format!("the price {price} is too many ticks; give --tick"))
    }
}

/// A row that changes neither book: the removal of a bid that no market has.
const fn nothing(exchange_ns: i64, local_ns: i64) -> MarketRow {
    MarketRow { kind: Kind::Depth, side: Side::Buy, exchange_ns, local_ns, tick: TICK_MAX, parts: 0 }
}

fn time(nanos: u64) -> Result<i64, String> {
    let time = i64::try_from(nanos).ok().filter(|time| *time <= i64::MAX - HOLE_NS_MAX.cast_signed());
    time.ok_or_else(|| format!("the time {nanos} is beyond the year 2252"))
}

/// A time that is years ahead of the one before is a wrong clock, not a pause of the recording.
fn check_hole(before: Option<[u64; 2]>, row: &StoredRow) -> Result<(), String> {
    let now = [row.exch.0, row.local.0];
    let ahead = before.map_or(0, |before| {
        now.into_iter().zip(before).map(|(now, before)| now.saturating_sub(before)).max().unwrap_or(0)
    });
    if ahead <= HOLE_NS_MAX {
        return Ok(());
    }
    let days = ahead / DAY_NS;
    Err(format!("it comes {days} days after the row before it: one of their times is wrong; leave that row out"))
}

/// Longest time between two rows: ten years.
const HOLE_NS_MAX: u64 = 3_650 * DAY_NS;
const DAY_NS: u64 = 86_400_000_000_000;

#[cfg(test)]
mod tests {
    use optiflow_base::clock::Nanos;
    use optiflow_base::money::Qty;
    use optiflow_store::event::Flags;

    use super::*;

    fn packer(compatible: bool) -> Packer {
        let scale = Scale::finest("0.1".parse().unwrap(), "0.001".parse().unwrap());
        Packer { scale, tick: scale.tick.units(), per_tick: 1.0 / scale.tick.units() as f64, compatible }
    }

    fn told(compatible: bool, kind: StoredKind, side: Option<Side>, price: &str) -> String {
        let (price, qty) = (price.parse().unwrap(), Qty::from_units(7));
        let (exch, local, flags) = (Nanos(5), Nanos(6), Flags::BOTH);
        let row = StoredRow { exch, local, price, qty, id: 0, symbol: SymbolId(0), kind, side, flags };
        let mut rows = Vec::new();
        match packer(compatible).push(&row, &mut rows) {
            Ok(()) => format!("{:?} {:?} {} {}", rows[0].kind(), rows[0].side(), rows[0].tick(), rows[0].parts()),
            Err(problem) => problem,
        }
    }

    #[test]
    fn stored_rows_become_rows_of_the_core_and_the_rest_changes_nothing() {
        let (buy, sell) = (Some(Side::Buy), Some(Side::Sell));
        let nothing = format!("Depth Buy {TICK_MAX} 0");
        let table = [
            (StoredKind::Depth, buy, "60000.1", "Depth Buy 600001 7"),
            (StoredKind::Snapshot, sell, "0.1", "Snapshot Sell 1 7"),
            (StoredKind::Trade, sell, "60000.1", "Trade Sell 600001 7"),
            (StoredKind::Top, sell, "60000.1", "Top Sell 600001 7"),
            (StoredKind::Clear, None, "0", "ClearBoth Buy 0 0"),
            (StoredKind::Clear, buy, "99.9", "Clear Buy 999 0"),
            (StoredKind::Clear, buy, "0", &format!("Clear Buy {} 0", -TICK_MAX)),
            (StoredKind::Clear, sell, "0", &format!("Clear Sell {TICK_MAX} 0")),
            (StoredKind::Trade, None, "60000.1", &nothing),
            (StoredKind::Mark, None, "60000.12345678", "Mark Buy 0 6000012345678"),
            (StoredKind::Index, None, "60000.123", "Index Buy 0 6000012300000"),
            (StoredKind::Funding, None, "-0.0001", "Funding Buy -10000 0"),
            (StoredKind::Funding, None, "100", "the rate 100 is none"),
            (StoredKind::Depth, buy, "60000.15", "the price 60000.15 is not a multiple of the tick 0.1"),
            (StoredKind::Depth, buy, "99999999.9", "is too many ticks of 0.1"),
        ];
        for (kind, side, price, expected) in table {
            let answer = told(false, kind, side, price);
            assert!(answer.contains(expected), "{kind:?} {side:?} {price}: {answer}");
        }
    }

    #[test]
    fn years_between_two_rows_are_a_wrong_clock_and_so_is_the_end_of_time() {
        let row = |nanos: u64| {
            let (exch, local, price, qty) = (Nanos(nanos), Nanos(nanos + 1), "1".parse().unwrap(), Qty::from_units(7));
            let (symbol, kind, side, flags) = (SymbolId(0), StoredKind::Depth, Some(Side::Buy), Flags::BOTH);
            StoredRow { exch, local, price, qty, id: 0, symbol, kind, side, flags }
        };
        let now = 1_700_000_000_000_000_000;
        assert_eq!(check_hole(Some([now, now + 1]), &row(now + HOLE_NS_MAX)), Ok(()));
        assert!(check_hole(Some([0, 1]), &row(now)).unwrap_err().contains("19675 days"));
        let last = packer(false).push(&row(i64::MAX as u64 - 1), &mut Vec::new());
        assert!(last.unwrap_err().contains("2252"));
    }

    #[test]
    fn the_peers_conventions_round_to_the_tick_and_read_no_best_prices() {
        assert_eq!(told(true, StoredKind::Depth, Some(Side::Buy), "60000.16"), "Depth Buy 600002 7");
        for (kind, side) in [(StoredKind::Top, Some(Side::Buy)), (StoredKind::Mark, None), (StoredKind::Funding, None)]
        {
            assert_eq!(told(true, kind, side, "60000.1"), format!("Depth Buy {TICK_MAX} 0"), "{kind:?}");
        }
    }
}
