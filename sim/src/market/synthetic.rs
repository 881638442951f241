//! A made-up market: seeded order flow against an own price-time book, one flow per symbol.
//!
//! The same seed and listings give the same ticks, on every platform: only integers and exact float arithmetic, no
//! logarithms. It never ends. Which thread: whoever drives the core.

use std::ops::RangeInclusive;

use optiflow_base::clock::Nanos;

use crate::market::synthetic::flow::Flow;
use crate::market::{Source, SourceError};
use crate::words::{Listing, MarketTick, SymbolIndex};

pub mod chance;
pub mod flow;
pub mod ladder;
mod orders;

/// The market of several symbols, merged by time.
pub struct Synthetic {
    listings: Vec<Listing>,
    flows: Vec<Flow>,
}

impl Synthetic {
    /// A market for `listings`, a function of the seed, as busy as usual.
    ///
    /// # Panics
    /// When there is no listing, or the middle of a price range is less than a few hundred ticks: the caller's bug.
    pub fn new(seed: u64, listings: Vec<Listing>) -> Synthetic {
        Synthetic::at_rate(seed, listings, 1.0)
    }

    /// A market where so many times the usual happens in a second. Batches of changed levels and marks keep their times.
    ///
    /// # Panics
    /// As [`Synthetic::new`], and when the rate is not one of [`RATES`]: the caller's bug.
    pub fn at_rate(seed: u64, listings: Vec<Listing>, rate: f64) -> Synthetic {
        assert!(!listings.is_empty(), "a market needs a symbol");
        assert!(RATES.contains(&rate), "rate {rate} is not within {RATES:?}");
        let seeds = (0_u64..).map(|index| seed.wrapping_add(SEED_STRIDE.wrapping_mul(index)));
        let flows = listings.iter().zip(seeds).map(|(listing, seed)| Flow::new(listing, seed, rate)).collect();
        Synthetic { listings, flows }
    }
}

impl Source for Synthetic {
    fn listings(&self) -> &[Listing] {
        &self.listings
    }

    fn next(&mut self) -> Result<Option<MarketTick>, SourceError> {
        let mut earliest: Option<(Nanos, SymbolIndex)> = None;
        for (symbol, flow) in self.flows.iter_mut().enumerate() {
            let at = flow.next_at();
            if earliest.is_none_or(|(least, _)| at < least) {
                earliest = Some((at, symbol));
            }
        }
        let Some((_, symbol)) = earliest else { return Ok(None) };
        Ok(self.flows[symbol].pop().map(|(at, what)| MarketTick { at, symbol, what }))
    }

    fn tell_singles(&mut self) -> bool {
        self.flows.iter_mut().for_each(Flow::tell_singles);
        true
    }
}

/// How busy a market may be: slower, and best prices stand for minutes.
pub const RATES: RangeInclusive<f64> = 0.01..=10.0;
/// Keeps the seeds of the symbols apart.
const SEED_STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests;
