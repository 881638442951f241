//! The exchange's book of one symbol, as the market source tells it.
//!
//! Two views are kept apart: the *depth* (snapshot and diffs only, what REST depth and diff streams serve, equal to the
//! recording update by update) and what is *shown* (the depth corrected by a newer best bid and ask, what matching
//! uses). Never holds our clients' orders: their effect on the market is nil by design.
//! Which thread: whoever drives the core.

use std::collections::{BTreeMap, btree_map};
use std::iter::Rev;

use optiflow_base::clock::Nanos;
use optiflow_base::market::Level;
use optiflow_base::money::{Price, Qty, Side};

use crate::words::Tick;

/// The book of one symbol.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Book {
    bids: BTreeMap<Price, Qty>,
    asks: BTreeMap<Price, Qty>,
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

impl Book {
    /// Takes over what the market did at `at`; trades and marks leave the book as it is.
    pub fn apply(&mut self, at: Nanos, tick: &Tick) {
        match tick {
            Tick::Snapshot { id, bids, asks } => {
                self.bids.clear();
                self.asks.clear();
                self.top = None;
                self.last_id = *id;
                self.event_at = at;
                set_levels(&mut self.bids, bids);
                set_levels(&mut self.asks, asks);
            }
            Tick::Depth { last_id, bids, asks, .. } => {
                self.last_id = *last_id;
                self.event_at = at;
                set_levels(&mut self.bids, bids);
                set_levels(&mut self.asks, asks);
                self.top = self.top.filter(|top| top.update_id > *last_id);
            }
            Tick::Top { update_id, bid, ask } => {
                let known = self.top.map_or(self.last_id, |top| top.update_id);
                if *update_id > known {
                    self.top = Some(Top { update_id: *update_id, bid: *bid, ask: *ask });
                    self.top_at = at;
                }
            }
            Tick::Trade { .. } | Tick::Mark { .. } => {}
        }
    }

    /// Removes levels that cross the levels a diff has just set: they can only be remains of a diff that was lost.
    /// Returns what was removed, as levels of quantity zero, so that it can be told to whoever follows the diffs.
    pub fn uncross(&mut self, fresh_bids: &[Level], fresh_asks: &[Level]) -> (Vec<Level>, Vec<Level>) {
        let mut removed = (Vec::new(), Vec::new());
        let set = |levels: &[Level], price: Price| levels.iter().any(|l| l.price == price && !l.qty.is_zero());
        while let (Some((&bid, _)), Some((&ask, _))) = (self.bids.last_key_value(), self.asks.first_key_value()) {
            if bid < ask {
                break;
            }
            let (fresh_bid, fresh_ask) = (set(fresh_bids, bid), set(fresh_asks, ask));
            if !fresh_bid || fresh_ask {
                self.bids.remove(&bid);
                removed.0.push(Level { price: bid, qty: Qty::ZERO });
            }
            if !fresh_ask || fresh_bid {
                self.asks.remove(&ask);
                removed.1.push(Level { price: ask, qty: Qty::ZERO });
            }
        }
        removed
    }

    /// The depth of a side, best first.
    pub fn levels(&self, side: Side) -> Levels<'_> {
        match side {
            Side::Buy => Levels::Bids(self.bids.iter().rev()),
            Side::Sell => Levels::Asks(self.asks.iter()),
        }
    }

    /// Quantity of the depth at a price.
    pub fn qty_at(&self, side: Side, price: Price) -> Qty {
        self.side(side).get(&price).copied().unwrap_or(Qty::ZERO)
    }

    /// How many levels the depth of a side has.
    pub fn len(&self, side: Side) -> usize {
        self.side(side).len()
    }

    /// Has a side no level at all?
    pub fn is_empty(&self, side: Side) -> bool {
        self.side(side).is_empty()
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
        self.shown(side).next()
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

    /// What is shown on a side, best first: the newer best, then the depth behind it.
    pub fn shown(&self, side: Side) -> impl Iterator<Item = Level> + '_ {
        let front = self.newer_best(side);
        let behind = self.levels(side).skip_while(move |level| match front {
            Some(best) => side.reaches(level.price, best.price),
            None => false,
        });
        front.filter(|best| !best.qty.is_zero()).into_iter().chain(behind)
    }

    /// Quantity shown at a price.
    pub fn shown_at(&self, side: Side, price: Price) -> Qty {
        match self.newer_best(side) {
            Some(best) if best.price == price => best.qty,
            Some(best) if side.reaches(price, best.price) => Qty::ZERO,
            Some(_) | None => self.qty_at(side, price),
        }
    }

    fn newer_best(&self, side: Side) -> Option<Level> {
        self.top.map(|top| match side {
            Side::Buy => top.bid,
            Side::Sell => top.ask,
        })
    }

    const fn side(&self, side: Side) -> &BTreeMap<Price, Qty> {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
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
}

impl Iterator for Levels<'_> {
    type Item = Level;
    fn next(&mut self) -> Option<Level> {
        let (&price, &qty) = match self {
            Levels::Bids(levels) => levels.next(),
            Levels::Asks(levels) => levels.next(),
        }?;
        Some(Level { price, qty })
    }
}

fn set_levels(side: &mut BTreeMap<Price, Qty>, levels: &[Level]) {
    for level in levels {
        if level.qty.is_zero() {
            side.remove(&level.price);
        } else {
            side.insert(level.price, level.qty);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(text: &str) -> Level {
        let (qty, price) = text.split_once('@').unwrap();
        Level { price: price.parse().unwrap(), qty: qty.parse().unwrap() }
    }

    fn levels(text: &str) -> Vec<Level> {
        text.split_whitespace().map(level).collect()
    }

    fn text(levels: impl Iterator<Item = Level>) -> String {
        levels.map(|l| format!("{}@{}", l.qty, l.price)).collect::<Vec<_>>().join(" ")
    }

    fn book(bids: &str, asks: &str) -> Book {
        let mut book = Book::default();
        book.apply(Nanos(1), &Tick::Snapshot { id: 10, bids: levels(bids), asks: levels(asks) });
        book
    }

    #[test]
    fn a_diff_replaces_adds_and_removes() {
        let mut book = book("1@99 2@98", "3@101");
        let (bids, asks) = (levels("0@99 5@97 0@50"), levels("4@101 1@100"));
        book.apply(Nanos(2), &Tick::Depth { first_id: 11, last_id: 12, previous_id: 10, bids, asks });
        assert_eq!(text(book.levels(Side::Buy)), "2@98 5@97");
        assert_eq!(text(book.levels(Side::Sell)), "1@100 4@101");
        assert_eq!((book.last_id(), book.event_at(), book.len(Side::Buy)), (12, Nanos(2), 2));
    }

    #[test]
    fn a_newer_top_is_shown_until_the_depth_overtakes_it() {
        let mut book = book("1@99 2@98", "3@101 4@102");
        book.apply(Nanos(2), &Tick::Top { update_id: 12, bid: level("7@98"), ask: level("1@100") });
        assert_eq!(text(book.shown(Side::Buy)), "7@98");
        assert_eq!(text(book.shown(Side::Sell)), "1@100 3@101 4@102");
        assert_eq!(text(book.levels(Side::Buy)), "1@99 2@98");
        assert_eq!(book.shown_at(Side::Buy, level("0@99").price), Qty::ZERO);
        assert_eq!(book.shown_at(Side::Sell, level("0@101").price), level("3@101").qty);
        assert_eq!(book.top().unwrap().update_id, 12);
        assert_eq!((book.shown_since(), book.event_at()), (Nanos(2), Nanos(1)));
        book.apply(Nanos(3), &Tick::Top { update_id: 11, bid: level("9@99"), ask: level("9@101") });
        assert_eq!(book.best(Side::Buy), Some(level("7@98")), "an older top changes nothing");
        let bids = levels("0@99");
        book.apply(Nanos(4), &Tick::Depth { first_id: 12, last_id: 13, previous_id: 10, bids, asks: vec![] });
        assert_eq!((text(book.shown(Side::Buy)), text(book.shown(Side::Sell))), ("2@98".into(), "3@101 4@102".into()));
        assert_eq!(book.shown_since(), Nanos(4));
    }

    #[test]
    fn stale_levels_give_way_to_the_fresh_ones_they_cross() {
        let mut book = book("1@99 2@98", "3@101");
        let asks = levels("5@98 6@97.5");
        book.apply(
            Nanos(2),
            &Tick::Depth { first_id: 11, last_id: 12, previous_id: 9, bids: vec![], asks: asks.clone() },
        );
        let (bids, none) = book.uncross(&[], &asks);
        assert_eq!((text(bids.into_iter()), none.len()), ("0@99 0@98".into(), 0));
        assert_eq!(book.best(Side::Sell), Some(level("6@97.5")));
    }
}
