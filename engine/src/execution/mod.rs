//! Between a signal and an order: what any strategy needs to quote, to leave, and to hold back.
//!
//! A strategy says what it wants now ([`entries::Wanted`], [`exits::Leave`]); these say whether that means an order, a cancel
//! or patience: least and greatest life of a quote, repricing thresholds, one working order at a time, reduce-only exits that
//! end by taking, pauses after refusals, orders in any second. They know no signals. Nothing here allocates after it was built.
//! Engine thread.

pub mod entries;
pub mod exits;
pub mod pace;

use optiflow_base::instrument::Instrument;
use optiflow_base::money::{Price, Side};

use crate::signals::Reading;

/// The best price of the side that an order of `side` would rest on.
pub const fn touch(reading: &Reading, side: Side) -> Price {
    match side {
        Side::Buy => reading.bid.price,
        Side::Sell => reading.ask.price,
    }
}

/// Is `price` less than `ticks` away from `wanted`?
pub fn is_near(instrument: &Instrument, price: Price, wanted: Price, ticks: i64) -> bool {
    let near = instrument.offset_ticks(Price::ZERO, ticks);
    price.units().abs_diff(wanted.units()) < near.units().unsigned_abs()
}
