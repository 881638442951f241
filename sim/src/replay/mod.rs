//! The fast replay core: one symbol's market, rows in, fills out, on two clocks.
//!
//! What it does: replays packed rows through two books, the exchange's in exchange time and the trader's in local
//! time; carries requests and answers between them with latency; estimates queue positions; fills, and keeps the
//! ledger. `run` drives a [`run::Trader`] and hashes every answer it saw.
//! What it never does: no clock of its own, no threads, no randomness but seeded draws of latency, no files, no floats
//! for money. Floats appear in the queue estimate and the interpolated latency alone, because both are estimates defined
//! in floats.
//! Which thread: whoever calls it; a sweep gives each run its own and shares the rows.
//!
//! Two sets of rules. *Realistic* (the default): traded volume is shared among our own orders, displayed quantity we
//! took stays taken while the level displays it, nothing fills beyond what was displayed or traded; every modification
//! queues again, funding is settled, and the exchange's [`terms::Terms`] hold. *Compatible*: the conventions of
//! hftbacktest, without its bugs, so that results can be matched before they are improved.

pub mod rows;

pub mod feed;
pub mod ladder;
pub mod latency;
pub mod links;
pub mod orders;
pub mod queue;
pub mod terms;

pub mod ledger;
pub mod local;
pub mod venue;

mod digest;
pub mod run;

pub mod grid;
pub mod script;

use std::fmt;

use optiflow_base::money::{Notional, Price, Qty, Side};

use self::latency::Latency;
use self::queue::QueueModel;
use self::terms::Terms;

/// How a symbol's integers become prices and quantities.
///
/// Prices are ticks. Quantities are *parts*: as many to a lot as the data needs to be exact, which is one wherever
/// every quantity is whole lots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// The price of one tick.
    pub tick: Price,
    /// The smallest tradable quantity.
    pub lot: Qty,
    /// Parts to a lot.
    pub parts_per_lot: i64,
}

impl Scale {
    /// Quantities as exact as 10⁻⁸ of the base asset: one part is one unit of [`Qty`].
    pub const fn finest(tick: Price, lot: Qty) -> Scale {
        Scale { tick, lot, parts_per_lot: lot.units() }
    }

    /// Quantities in whole lots.
    pub const fn lots(tick: Price, lot: Qty) -> Scale {
        Scale { tick, lot, parts_per_lot: 1 }
    }

    /// Checks that the integers fit together.
    pub fn check(&self) -> Result<(), ReplayError> {
        let fits = self.tick.units() > 0
            && self.lot.units() > 0
            && self.parts_per_lot > 0
            && self.lot.units() % self.parts_per_lot == 0;
        if fits { Ok(()) } else { Err(ReplayError::Scale { scale: *self }) }
    }

    /// The price at `tick`.
    pub const fn price(&self, tick: i32) -> Price {
        Price::from_units(self.tick.units() * tick as i64)
    }

    /// The tick nearest to `price`.
    pub fn nearest_tick(&self, price: Price) -> Option<i32> {
        let unit = self.tick.units();
        i32::try_from((2 * i128::from(price.units()) + i128::from(unit)).div_euclid(2 * i128::from(unit)))
            .ok()
            .filter(|tick| tick.unsigned_abs() <= TICK_MAX.unsigned_abs())
    }

    /// `parts` as a quantity.
    pub const fn qty(&self, parts: i64) -> Qty {
        Qty::from_units(self.part_units() * parts)
    }

    /// A quantity in parts, rounded to the nearest.
    pub const fn parts(&self, qty: Qty) -> i64 {
        let unit = self.part_units();
        (qty.units() + unit / 2) / unit
    }

    /// What `parts` at `tick` cost.
    pub const fn notional(&self, tick: i32, parts: i64) -> Notional {
        self.price(tick).times(self.qty(parts))
    }

    const fn part_units(&self) -> i64 {
        self.lot.units() / self.parts_per_lot
    }
}

/// What a run is made of.
#[derive(Clone, Debug)]
pub struct ReplayConfig {
    /// The symbol's integers.
    pub scale: Scale,
    /// How our place in a queue is estimated.
    pub queue: QueueModel,
    /// How long requests and answers travel.
    pub latency: Latency,
    /// Does the queue fill a resting order piece by piece (true) or in one piece (false)?
    pub partial_fills: bool,
    /// Follow hftbacktest's conventions instead of the realistic ones?
    pub compatible: bool,
    /// Fee of a maker's fill, parts per million of its value; negative is a rebate.
    pub maker_fee_ppm: i64,
    /// Fee of a taker's fill, parts per million of its value.
    pub taker_fee_ppm: i64,
    /// What the exchange asks besides a match; nothing of it with the peer's conventions.
    pub terms: Terms,
}

/// Why a replay cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayError {
    /// The scale's integers do not fit together.
    Scale {
        /// What was given.
        scale: Scale,
    },
    /// A row cannot be packed.
    Row {
        /// Which one, counted from 0.
        row: usize,
        /// What is wrong, and the mend.
        problem: String,
    },
    /// A latency table cannot be used.
    LatencyTable {
        /// Which row, counted from 0.
        row: usize,
        /// What is wrong, and the mend.
        problem: &'static str,
    },
    /// A script's line cannot be read.
    Script {
        /// Which line, counted from 1.
        line: usize,
        /// What is wrong, and the mend.
        problem: String,
    },
    /// The reader behind a streamed feed failed.
    Feed(String),
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplayError::Scale { scale } => write!(
                f,
                "reading the scale: tick {}, lot {}, {} parts to a lot: all must be positive and the lot a whole number of parts of 10⁻⁸",
                scale.tick, scale.lot, scale.parts_per_lot
            ),
            ReplayError::Row { row, problem } => write!(f, "packing market row {row}: {problem}"),
            ReplayError::LatencyTable { row, problem } => write!(f, "reading latency row {row}: {problem}"),
            ReplayError::Script { line, problem } => write!(f, "reading script line {line}: {problem}"),
            ReplayError::Feed(problem) => write!(f, "reading the feed: {problem}"),
        }
    }
}

impl std::error::Error for ReplayError {}

/// Index of a side in pairs of things: bids 0, asks 1.
pub(crate) const fn index_of(side: Side) -> usize {
    match side {
        Side::Buy => 0,
        Side::Sell => 1,
    }
}

/// A tick as a key of its side: the larger key is the better price, so both sides share one code.
pub(crate) const fn key_of(side: Side, tick: i32) -> i32 {
    match side {
        Side::Buy => tick,
        Side::Sell => -tick,
    }
}

/// No tick may be further from zero: keys of both sides add without overflow.
pub const TICK_MAX: i32 = 1 << 29;
