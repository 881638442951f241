//! The exchange's book of one symbol, as the market source tells it.
//!
//! Two views are kept apart: the *depth* (snapshot and diffs only, what REST depth and diff streams serve, equal to the
//! recording update by update) and what is *shown* (the depth corrected by newer best bids and asks, what matching
//! uses): nothing better than a told best exists, its quantity stands, and levels of the other side that it reaches are
//! gone, until the level is told again, a newer best is told, or a diff comes that covers the update of the best.
//! Never holds our clients' orders: their effect on the market is nil by design.
//! Which thread: whoever drives the core.

use std::collections::{BTreeMap, btree_map};
use std::iter::{Peekable, Rev};

use optiflow_base::clock::Nanos;
use optiflow_base::market::Level;
use optiflow_base::money::{Price, Qty, Side};

use crate::words::Tick;

/// The book of one symbol.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Book {
    depth: Sides,
    /// Where what is shown differs from the depth, by newer bests: zero is a level that is gone.
    over: Sides,
    last_id: u64,
    event_at: Nanos,
    top: Option<Top>,
    /// When `top` was told.
    top_at: Nanos,
}

/// Best bid and ask as of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Top {
    /// The update.
    pub update_id: u64,
    /// Best bid.
    pub bid: Level,
    /// Best ask.
    pub ask: Level,
}

/// Levels of both sides.
#[derive(Clone, Debug, Default, PartialEq)]
struct Sides {
    bids: BTreeMap<Price, Qty>,
    asks: BTreeMap<Price, Qty>,
}

impl Book {
    /// Takes over what the market did at `at`; trades and marks leave the book as it is. False when it was old news: a
    /// best of an update that is known already.
    pub fn apply(&mut self, at: Nanos, tick: &Tick) -> bool {
        match tick {
            Tick::Snapshot { id, bids, asks } => {
                *self = Book { last_id: *id, event_at: at, ..Book::default() };
                self.depth.set(bids, asks);
            }
            Tick::Depth { first_id, last_id, bids, asks, .. } => {
                self.last_id = *last_id;
                self.event_at = at;
                self.apply_depth(*first_id, bids, asks);
            }
            Tick::Top { update_id, bid, ask } => {
                let known = self.top.map_or(self.last_id, |top| top.update_id);
                if *update_id <= known {
                    return false;
                }
                self.top = Some(Top { update_id: *update_id, bid: *bid, ask: *ask });
                self.top_at = at;
                self.show_best(Side::Buy, *bid);
                self.show_best(Side::Sell, *ask);
            }
            Tick::Trade { .. } | Tick::Mark { .. } | Tick::Single { .. } => {}
        }
        true
    }

    fn apply_depth(&mut self, first_id: u64, bids: &[Level], asks: &[Level]) {
        match self.top {
            Some(top) if top.update_id > self.last_id => {
                let told =
                    bids.iter().map(|level| (Side::Buy, level)).chain(asks.iter().map(|level| (Side::Sell, level)));
                for (side, level) in told {
                    let best = if side == Side::Buy { top.bid.price } else { top.ask.price };
                    let stays = !best.is_zero() && side.reaches(level.price, best);
                    let shown = if stays { self.shown_at(side, level.price) } else { level.qty };
                    set_level(self.depth.side_mut(side), level);
                    self.show(side, Level { qty: shown, ..*level });
                }
                return;
            }
            Some(top) if first_id <= top.update_id => self.over = Sides::default(),
            Some(_) | None => {}
        }
        self.top = None;
        self.depth.set(bids, asks);
        if !self.over.is_empty() {
            for (side, levels) in [(Side::Buy, bids), (Side::Sell, asks)] {
                for level in levels {
                    self.over.side_mut(side).remove(&level.price);
                }
            }
        }
    }

    /// Shows a best: quantity zero empties the side, price zero says nothing of it.
    fn show_best(&mut self, side: Side, best: Level) {
        if best.price.is_zero() {
            return;
        }
        let is_empty = best.qty.is_zero();
        self.hide_while(side, |price| is_empty || (side.reaches(price, best.price) && price != best.price));
        if !is_empty {
            self.show(side, best);
            self.hide_while(side.opposite(), |price| side.reaches(best.price, price));
        }
    }

    /// Hides shown levels from the best on.
    fn hide_while(&mut self, side: Side, gone: impl Fn(Price) -> bool) {
        while let Some(best) = self.best(side).filter(|best| gone(best.price)) {
            self.show(side, Level { qty: Qty::ZERO, ..best });
        }
    }

    fn show(&mut self, side: Side, level: Level) {
        let depth = self.depth.qty_at(side, level.price);
        let over = self.over.side_mut(side);
        if depth == level.qty {
            over.remove(&level.price)
        } else {
            over.insert(level.price, level.qty)
        };
    }

    /// Removes levels that cross the levels a diff has just set: they can only be remains of a diff that was lost.
    /// Returns what was removed, as levels of quantity zero, so that it can be told to whoever follows the diffs.
    pub fn uncross(&mut self, fresh_bids: &[Level], fresh_asks: &[Level]) -> (Vec<Level>, Vec<Level>) {
        let depth = |book: &Book, side| book.levels(side).next();
        let gone = self.uncross_by(fresh_bids, fresh_asks, depth, |book, side, price| {
            book.depth.side_mut(side).remove(&price);
        });
        if !self.over.is_empty() {
            self.uncross_by(fresh_bids, fresh_asks, Book::best, |book, side, price| {
                book.show(side, Level { price, qty: Qty::ZERO });
            });
        }
        gone
    }

    fn uncross_by(
        &mut self,
        fresh_bids: &[Level],
        fresh_asks: &[Level],
        best: impl Fn(&Book, Side) -> Option<Level>,
        remove: impl Fn(&mut Book, Side, Price),
    ) -> (Vec<Level>, Vec<Level>) {
        let mut removed = (Vec::new(), Vec::new());
        let set = |levels: &[Level], price: Price| levels.iter().any(|l| l.price == price && !l.qty.is_zero());
        while let (Some(bid), Some(ask)) = (best(self, Side::Buy), best(self, Side::Sell)) {
            if bid.price < ask.price {
                break;
            }
            let (fresh_bid, fresh_ask) = (set(fresh_bids, bid.price), set(fresh_asks, ask.price));
            if !fresh_bid || fresh_ask {
                remove(self, Side::Buy, bid.price);
                removed.0.push(Level { qty: Qty::ZERO, ..bid });
            }
            if !fresh_ask || fresh_bid {
                remove(self, Side::Sell, ask.price);
                removed.1.push(Level { qty: Qty::ZERO, ..ask });
            }
        }
        removed
    }

    /// The depth of a side, best first.
    pub fn levels(&self, side: Side) -> Levels<'_> {
        self.depth.levels(side)
    }

    /// Quantity of the depth at a price.
    pub fn qty_at(&self, side: Side, price: Price) -> Qty {
        self.depth.qty_at(side, price)
    }

    /// How many levels the depth of a side has.
    pub fn len(&self, side: Side) -> usize {
        self.depth.side(side).len()
    }

    /// Has a side no level at all?
    pub fn is_empty(&self, side: Side) -> bool {
        self.depth.side(side).is_empty()
    }

    /// Last update id of the depth.
    pub const fn last_id(&self) -> u64 {
        self.last_id
    }

    /// Exchange time of the last change of the depth.
    pub const fn event_at(&self) -> Nanos {
        self.event_at
    }

    /// Exchange time of what is shown best: of the newer best bid and ask, else of the depth.
    pub fn shown_since(&self) -> Nanos {
        if self.top.is_some() { self.top_at } else { self.event_at }
    }

    /// Best level of a side as shown: the newer of depth and best-bid-and-ask.
    pub fn best(&self, side: Side) -> Option<Level> {
        // The same, without making an iterator over two maps for nothing.
        if self.over.side(side).is_empty() { self.levels(side).next() } else { self.shown(side).next() }
    }

    /// Both bests as shown, with the update they are of; `None` while a side is empty.
    pub fn top(&self) -> Option<Top> {
        let update_id = self.top.map_or(self.last_id, |top| top.update_id);
        Some(Top { update_id, bid: self.best(Side::Buy)?, ask: self.best(Side::Sell)? })
    }

    /// The middle between the bests as shown, rounded down to 10⁻⁸.
    pub fn mid(&self) -> Option<Price> {
        let top = self.top()?;
        Some(Price::from_units(top.bid.price.units().midpoint(top.ask.price.units())))
    }

    /// What is shown on a side, best first.
    pub fn shown(&self, side: Side) -> Shown<'_> {
        Shown { side, depth: self.depth.levels(side).peekable(), over: self.over.levels(side).peekable() }
    }

    /// Quantity shown at a price.
    pub fn shown_at(&self, side: Side, price: Price) -> Qty {
        self.over.side(side).get(&price).copied().unwrap_or_else(|| self.depth.qty_at(side, price))
    }
}

impl Sides {
    fn set(&mut self, bids: &[Level], asks: &[Level]) {
        bids.iter().for_each(|level| set_level(&mut self.bids, level));
        asks.iter().for_each(|level| set_level(&mut self.asks, level));
    }

    fn is_empty(&self) -> bool {
        self.bids.is_empty() && self.asks.is_empty()
    }

    fn levels(&self, side: Side) -> Levels<'_> {
        match side {
            Side::Buy => Levels::Bids(self.bids.iter().rev()),
            Side::Sell => Levels::Asks(self.asks.iter()),
        }
    }

    fn qty_at(&self, side: Side, price: Price) -> Qty {
        self.side(side).get(&price).copied().unwrap_or(Qty::ZERO)
    }

    const fn side(&self, side: Side) -> &BTreeMap<Price, Qty> {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    const fn side_mut(&mut self, side: Side) -> &mut BTreeMap<Price, Qty> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }
}

/// Levels of a side, best first.
#[derive(Clone, Debug)]
pub enum Levels<'a> {
    /// Descending.
    Bids(Rev<btree_map::Iter<'a, Price, Qty>>),
    /// Ascending.
    Asks(btree_map::Iter<'a, Price, Qty>),
    /// No levels.
    None,
}

impl Iterator for Levels<'_> {
    type Item = Level;
    fn next(&mut self) -> Option<Level> {
        let (&price, &qty) = match self {
            Levels::Bids(levels) => levels.next(),
            Levels::Asks(levels) => levels.next(),
            Levels::None => None,
        }?;
        Some(Level { price, qty })
    }
}

/// Levels of a side as shown, best first: the depth, and where newer bests differ from it.
#[derive(Clone, Debug)]
pub struct Shown<'a> {
    side: Side,
    depth: Peekable<Levels<'a>>,
    over: Peekable<Levels<'a>>,
}

impl<'a> Shown<'a> {
    /// Levels as they are.
    pub(crate) fn plain(side: Side, levels: Levels<'a>) -> Shown<'a> {
        Shown { side, depth: levels.peekable(), over: Levels::None.peekable() }
    }
}

impl Iterator for Shown<'_> {
    type Item = Level;
    fn next(&mut self) -> Option<Level> {
        loop {
            let (Some(over), depth) = (self.over.peek().copied(), self.depth.peek().copied()) else {
                return self.depth.next();
            };
            if depth.is_some_and(|depth| !self.side.reaches(over.price, depth.price)) {
                return self.depth.next();
            }
            self.over.next();
            self.depth.next_if(|depth| depth.price == over.price);
            if !over.qty.is_zero() {
                return Some(over);
            }
        }
    }
}

fn set_level(side: &mut BTreeMap<Price, Qty>, level: &Level) {
    if level.qty.is_zero() {
        side.remove(&level.price);
    } else {
        side.insert(level.price, level.qty);
    }
}

#[cfg(test)]
mod tests;
