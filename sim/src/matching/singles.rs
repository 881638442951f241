//! The market's own resting orders, where the source tells them one by one: how much stands at a price, and how many came.
//!
//! Never holds our orders. A source that contradicts itself is a bug and stops the run.

use std::collections::BTreeMap;

use optiflow_base::money::{Price, Qty, Side};

use crate::book::{Levels, Shown};

/// One of the market's own orders came to rest or was cancelled, as [`crate::words::Tick::Single`] tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Single {
    /// Which order; ids count up in the order of arrival.
    pub id: u64,
    /// Its side.
    pub side: Side,
    /// Its price.
    pub price: Price,
    /// What came (positive), or what was left when it was cancelled (negative).
    pub change: Qty,
}

/// What is known of the market's own orders.
#[derive(Clone, Debug, Default)]
pub(super) struct Singles {
    bids: BTreeMap<Price, Qty>,
    asks: BTreeMap<Price, Qty>,
    last: u64,
}

impl Singles {
    /// The last order that came, anywhere.
    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    /// How much rests at a price.
    pub(super) fn at(&self, side: Side, price: Price) -> Qty {
        let levels = match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        };
        levels.get(&price).copied().unwrap_or(Qty::ZERO)
    }

    /// What rests on a side, best first.
    pub(super) fn levels(&self, side: Side) -> Shown<'_> {
        Shown::plain(
            side,
            match side {
                Side::Buy => Levels::Bids(self.bids.iter().rev()),
                Side::Sell => Levels::Asks(self.asks.iter()),
            },
        )
    }

    /// An order came to rest or was cancelled.
    pub(super) fn change(&mut self, single: Single) {
        self.last = self.last.max(single.id);
        self.add(single.side, single.price, single.change);
    }

    /// A trade took `qty` of what rests at the price.
    pub(super) fn traded(&mut self, side: Side, price: Price, qty: Qty) {
        self.add(side, price, -qty);
    }

    fn add(&mut self, side: Side, price: Price, change: Qty) {
        let levels = match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        let level = levels.entry(price).or_default();
        *level += change;
        assert!(*level >= Qty::ZERO, "no more goes away at {price} than came");
        if level.is_zero() {
            levels.remove(&price);
        }
    }
}
