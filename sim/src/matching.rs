//! Our clients' orders of one symbol against the replayed market: queue position, fills, taking.
//!
//! A resting order joins behind what is displayed at its price. Trades at the price eat what is ahead, then the order. How
//! the rest of the queue moves is a rule: risk-averse (what is displayed caps what can be ahead; cancellations are taken
//! to be behind us as long as possible), a model's estimate, or exactly, where the source tells single orders. A recording
//! may show the smaller quantity before it tells the trade that caused it: what the book took off the queue ahead is
//! remembered for a moment and spent before a trade moves the queue again, so that one event moves it once, in either
//! order. A trade through the price fills up to what it traded, the opposite side displayed within the price up to what
//! it displays: every volume is used once, by the best price first and then by time. Taking walks what is displayed and
//! remembers it: while a level shrinks, what was taken is what stays; only volume that is displayed anew can be taken.
//! Never alters the market's book, never touches accounts: it says who met whom, the core books it.
//! Times are the market's own. Which thread: whoever drives the core.

use std::collections::BTreeMap;

use optiflow_base::clock::Nanos;
use optiflow_base::money::{Price, Qty, Side};

use crate::book::{Book, Shown};
use crate::matching::resting::Resting;
use crate::matching::rules::{MatchingRules, Queueing};
use crate::matching::singles::Singles;
use crate::words::Tick;

mod resting;
pub mod rules;
mod singles;
mod taking;

pub use singles::Single;
pub use taking::{Step, Take};

/// The resting orders of one symbol and what was taken from its displayed liquidity.
#[derive(Clone, Debug)]
pub struct Queue {
    rules: MatchingRules,
    lot: Qty,
    bids: Vec<Resting>,
    asks: Vec<Resting>,
    /// What we took of displayed levels and the market still displays.
    taken_bids: BTreeMap<Price, Qty>,
    taken_asks: BTreeMap<Price, Qty>,
    singles: Singles,
}

/// A fill of a resting order at its own price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Which order.
    pub order: u64,
    /// Its price.
    pub price: Price,
    /// How much of it.
    pub qty: Qty,
}

impl Queue {
    /// No orders yet; `lot` is the step of quantities.
    pub fn new(rules: MatchingRules, lot: Qty) -> Queue {
        assert!(lot > Qty::ZERO, "quantities have a step");
        Queue {
            rules,
            lot,
            bids: Vec::new(),
            asks: Vec::new(),
            taken_bids: BTreeMap::new(),
            taken_asks: BTreeMap::new(),
            singles: Singles::default(),
        }
    }

    /// A trade of the market: fills resting orders on the side it hit.
    pub fn on_trade(&mut self, at: Nanos, price: Price, qty: Qty, taker: Side, hits: &mut Vec<Hit>) {
        let side = taker.opposite();
        let (rules, lot) = (self.rules, self.lot);
        if rules.queue == Queueing::Fifo {
            self.singles.traded(side, price, qty);
            self.forget_taken(side, price);
        }
        let (mut volume, before) = (qty, hits.len());
        let queue = self.side_mut(side);
        for resting in &mut *queue {
            let reaching = if resting.price == price {
                resting.pass(at, volume, &rules, lot)
            } else if side.reaches(resting.price, price) {
                resting.clear_ahead();
                volume
            } else {
                break;
            };
            let share = reaching.min(resting.wanted());
            volume -= share;
            resting.give(share, &rules, hits);
        }
        if hits.len() > before {
            queue.retain(|resting| !resting.left.is_zero());
        }
    }

    /// The book changed as `told`: moves the queues, fills orders from what the opposite side displays within their
    /// price.
    pub fn on_book(&mut self, at: Nanos, book: &Book, told: &Tick, hits: &mut Vec<Hit>) {
        if self.rules.queue == Queueing::Fifo {
            // Single orders have told it all, and at once.
            return;
        }
        for side in [Side::Buy, Side::Sell] {
            self.taken_mut(side).retain(|&price, taken| {
                *taken = (*taken).min(book.shown_at(side, price));
                !taken.is_zero()
            });
        }
        let rules = self.rules;
        for side in [Side::Buy, Side::Sell] {
            if self.side(side).is_empty() {
                continue;
            }
            let opposite = book.best(side.opposite()).map(|level| level.price);
            let before = hits.len();
            for index in 0..self.side(side).len() {
                let resting = &mut self.side_mut(side)[index];
                let (price, wanted) = (resting.price, resting.wanted());
                resting.see(at, book.shown_at(side, price), || tells_of(told, side, price), &rules);
                if opposite.is_some_and(|best| side.reaches(price, best)) {
                    let volume = self.take_displayed(book, side, price, wanted);
                    self.side_mut(side)[index].give(volume, &rules, hits);
                }
            }
            if hits.len() > before {
                self.side_mut(side).retain(|resting| !resting.left.is_zero());
            }
        }
    }

    /// One of the market's own orders came to rest or was cancelled, `change` as [`Tick::Single`] has it: who comes
    /// within the price of our orders has met them on the way.
    pub fn on_single(&mut self, book: &Book, single: Single, hits: &mut Vec<Hit>) {
        let Single { id, side, price, change } = single;
        self.singles.change(single);
        if change < Qty::ZERO {
            self.forget_taken(side, price);
            for resting in self.side_mut(side).iter_mut().filter(|resting| resting.price == price) {
                resting.other_left(id, change.abs());
            }
            return;
        }
        let (ours, rules, before) = (side.opposite(), self.rules, hits.len());
        let mut index = 0;
        while let Some(resting) = self.side(ours).get(index).filter(|resting| ours.reaches(resting.price, price)) {
            let volume = self.take_displayed(book, ours, resting.price, resting.wanted());
            self.side_mut(ours)[index].give(volume, &rules, hits);
            index += 1;
        }
        if hits.len() > before {
            self.side_mut(ours).retain(|resting| !resting.left.is_zero());
        }
    }

    /// Puts an order at the end of the queue at its price.
    pub fn join(&mut self, book: &Book, order: u64, side: Side, price: Price, left: Qty) {
        let shown = self.level_at(book, side, price);
        let resting = Resting::new(order, price, left, shown, self.rules.queue, self.singles.last());
        let queue = self.side_mut(side);
        let place = queue.partition_point(|resting| side.reaches(resting.price, price));
        queue.insert(place, resting);
    }

    /// Takes an order out of the queue; false when it was not there.
    pub fn leave(&mut self, side: Side, order: u64) -> bool {
        let queue = self.side_mut(side);
        let place = queue.iter().position(|resting| resting.order == order);
        place.map(|place| queue.remove(place)).is_some()
    }

    /// Market quantity ahead of a resting order at its price.
    pub fn ahead(&self, side: Side, order: u64) -> Option<Qty> {
        self.side(side).iter().find(|resting| resting.order == order).map(Resting::ahead)
    }

    /// What the market offers on a side, best first: what it shows, or its single orders where they are told.
    fn levels<'a>(&'a self, book: &'a Book, side: Side) -> Shown<'a> {
        if self.rules.queue == Queueing::Fifo { self.singles.levels(side) } else { book.shown(side) }
    }

    fn level_at(&self, book: &Book, side: Side, price: Price) -> Qty {
        if self.rules.queue == Queueing::Fifo { self.singles.at(side, price) } else { book.shown_at(side, price) }
    }

    /// No more of a single-order level is taken than is there.
    fn forget_taken(&mut self, side: Side, price: Price) {
        let there = self.singles.at(side, price);
        let taken = self.taken_mut(side);
        if there.is_zero() {
            taken.remove(&price);
        } else if let Some(taken) = taken.get_mut(&price) {
            *taken = there.min(*taken);
        }
    }

    const fn side(&self, side: Side) -> &Vec<Resting> {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    const fn side_mut(&mut self, side: Side) -> &mut Vec<Resting> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    const fn taken(&self, side: Side) -> &BTreeMap<Price, Qty> {
        match side {
            Side::Buy => &self.taken_bids,
            Side::Sell => &self.taken_asks,
        }
    }

    const fn taken_mut(&mut self, side: Side) -> &mut BTreeMap<Price, Qty> {
        match side {
            Side::Buy => &mut self.taken_bids,
            Side::Sell => &mut self.taken_asks,
        }
    }
}

/// Does a tick tell the quantity at a price, changed or not?
fn tells_of(told: &Tick, side: Side, price: Price) -> bool {
    match told {
        Tick::Snapshot { .. } => true,
        Tick::Depth { bids, asks, .. } => of(side, bids, asks).iter().any(|level| level.price == price),
        Tick::Top { bid, ask, .. } => {
            let best = of(side, bid, ask).price;
            !best.is_zero() && side.reaches(price, best)
        }
        Tick::Trade { .. } | Tick::Mark { .. } | Tick::Single { .. } => false,
    }
}

fn of<'a, T>(side: Side, bids: &'a T, asks: &'a T) -> &'a T {
    match side {
        Side::Buy => bids,
        Side::Sell => asks,
    }
}

#[cfg(test)]
mod tests;
