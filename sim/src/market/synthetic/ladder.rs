//! A price-time book of single orders, in whole ticks and steps: what the made-up market trades on.
//!
//! Never decides who trades; keeps first-in-first-out at every price. Never crossed: an order that would cross is a
//! caller's bug.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use optiflow_base::money::Side;

use crate::market::synthetic::chance::Chance;

/// The book. Prices count ticks, quantities count steps.
#[derive(Clone, Debug, Default)]
pub struct Ladder {
    bids: BTreeMap<i64, Rung>,
    asks: BTreeMap<i64, Rung>,
    /// The first of each side and what is there: asked for far more often than it changes.
    bests: [Option<(i64, i64)>; 2],
    /// Where each order stands. Looked up, never walked.
    places: HashMap<u64, (Side, i64), BuildHasherDefault<Spread>>,
    /// Ids to draw cancels from; the gone ones are dropped when they are met.
    drawable: Vec<u64>,
    next_id: u64,
    /// Orders that came and went by cancels, where somebody wants to know.
    journal: Option<Vec<Single>>,
}

/// An order that came to rest, or was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Single {
    /// Counted up in the order of arrival.
    pub id: u64,
    /// Its side.
    pub side: Side,
    /// Its price in ticks.
    pub tick: i64,
    /// What came, or (negative) what was left when it was cancelled, in steps.
    pub steps: i64,
}

/// The orders at one price, first in first out.
#[derive(Clone, Debug, Default)]
struct Rung {
    orders: VecDeque<(u64, i64)>,
    total: i64,
}

/// Hashes ids that nobody chooses: they count up, so that spreading them is enough.
#[derive(Clone, Copy, Debug, Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = (self.0 ^ id).wrapping_mul(SPREAD).rotate_left(SPREAD_BITS);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A trade between a taker and one resting order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Print {
    /// Price in ticks.
    pub tick: i64,
    /// Quantity in steps.
    pub steps: i64,
}

impl Ladder {
    /// Adds an order at the end of its price's queue.
    pub fn add(&mut self, side: Side, tick: i64, steps: i64) {
        assert!(steps > 0 && tick > 0, "an order has a price and a quantity");
        assert!(
            match side {
                Side::Buy => self.best(Side::Sell).is_none_or(|(ask, _)| tick < ask),
                Side::Sell => self.best(Side::Buy).is_none_or(|(bid, _)| tick > bid),
            },
            "the ladder is never crossed"
        );
        let id = self.next_id;
        self.next_id += 1;
        let rung = self.rungs_mut(side).entry(tick).or_default();
        rung.orders.push_back((id, steps));
        rung.total += steps;
        self.find_best(side);
        self.places.insert(id, (side, tick));
        self.drawable.push(id);
        self.note(Single { id, side, tick, steps });
    }

    /// From now on notes who comes and goes, beginning with who is there.
    pub fn keep_journal(&mut self) {
        let mut there: Vec<Single> = Vec::with_capacity(self.places.len());
        for side in [Side::Buy, Side::Sell] {
            for (&tick, rung) in self.rungs(side) {
                there.extend(rung.orders.iter().map(|&(id, steps)| Single { id, side, tick, steps }));
            }
        }
        there.sort_unstable_by_key(|single| single.id);
        self.journal = Some(there);
    }

    /// Takes what was noted since the last time, oldest first.
    pub fn take_journal(&mut self) -> Vec<Single> {
        self.journal.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn note(&mut self, single: Single) {
        if let Some(journal) = &mut self.journal {
            journal.push(single);
        }
    }

    /// Takes up to `steps` from the side opposite to the taker, best price first, oldest order first.
    pub fn take(&mut self, taker: Side, steps: i64, prints: &mut Vec<Print>) {
        let (side, mut left) = (taker.opposite(), steps);
        while let Some((tick, _)) = self.best(side).filter(|_| left > 0) {
            let Some(rung) = self.rungs_mut(side).get_mut(&tick) else { break };
            let Some((id, resting)) = rung.orders.front_mut() else { break };
            let steps = left.min(*resting);
            *resting -= steps;
            let gone = (*resting == 0).then_some(*id);
            rung.total -= steps;
            left -= steps;
            prints.push(Print { tick, steps });
            if let Some(id) = gone {
                rung.orders.pop_front();
                let is_empty = rung.orders.is_empty();
                self.forget(id, side, tick, is_empty);
            }
            self.find_best(side);
        }
    }

    /// Draws an order at random, every order equally likely; `None` when there is none.
    pub fn draw(&mut self, chance: &mut Chance) -> Option<(u64, Side, i64)> {
        while !self.drawable.is_empty() {
            let index = chance.index(self.drawable.len());
            let id = self.drawable[index];
            match self.places.get(&id) {
                Some(&(side, tick)) => return Some((id, side, tick)),
                None => self.drawable.swap_remove(index),
            };
        }
        None
    }

    /// Removes an order.
    pub fn cancel(&mut self, id: u64) {
        let Some(&(side, tick)) = self.places.get(&id) else { return };
        let Some(rung) = self.rungs_mut(side).get_mut(&tick) else { return };
        let Some(index) = rung.orders.iter().position(|&(order, _)| order == id) else { return };
        let steps = rung.orders.remove(index).map_or(0, |(_, steps)| steps);
        rung.total -= steps;
        let is_empty = rung.orders.is_empty();
        self.forget(id, side, tick, is_empty);
        self.find_best(side);
        self.note(Single { id, side, tick, steps: -steps });
    }

    /// Best price of a side and what is there.
    pub const fn best(&self, side: Side) -> Option<(i64, i64)> {
        self.bests[side as usize]
    }

    fn find_best(&mut self, side: Side) {
        let best = match side {
            Side::Buy => self.bids.last_key_value(),
            Side::Sell => self.asks.first_key_value(),
        };
        self.bests[side as usize] = best.map(|(&tick, rung)| (tick, rung.total));
    }

    /// Prices and quantities of a side, best first.
    pub fn levels(&self, side: Side) -> Box<dyn Iterator<Item = (i64, i64)> + '_> {
        let level = |(&tick, rung): (&i64, &Rung)| (tick, rung.total);
        match side {
            Side::Buy => Box::new(self.bids.iter().rev().map(level)),
            Side::Sell => Box::new(self.asks.iter().map(level)),
        }
    }

    /// Quantity at a price.
    pub fn at(&self, side: Side, tick: i64) -> i64 {
        self.rungs(side).get(&tick).map_or(0, |rung| rung.total)
    }

    /// How many orders stand.
    pub fn orders(&self) -> usize {
        self.places.len()
    }

    /// How many prices of a side are occupied.
    pub fn depth(&self, side: Side) -> usize {
        self.rungs(side).len()
    }

    fn forget(&mut self, id: u64, side: Side, tick: i64, is_empty: bool) {
        self.places.remove(&id);
        if is_empty {
            self.rungs_mut(side).remove(&tick);
        }
        if self.drawable.len() > 2 * self.places.len() + DRAWABLE_SLACK {
            let places = &self.places;
            self.drawable.retain(|id| places.contains_key(id));
        }
    }

    const fn rungs(&self, side: Side) -> &BTreeMap<i64, Rung> {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    const fn rungs_mut(&mut self, side: Side) -> &mut BTreeMap<i64, Rung> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }
}

/// The golden ratio's bits, odd: as good as any other.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
/// Brings the well mixed upper bits to where tables look.
const SPREAD_BITS: u32 = 32;
/// Gone ids that may wait among the drawable ones before they are swept out.
const DRAWABLE_SLACK: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takers_meet_the_best_price_and_the_oldest_order_first() {
        let mut ladder = Ladder::default();
        for (tick, steps) in [(101, 5), (100, 3), (100, 4)] {
            ladder.add(Side::Sell, tick, steps);
        }
        let mut prints = Vec::new();
        ladder.take(Side::Buy, 9, &mut prints);
        let expected = [(100, 3), (100, 4), (101, 2)].map(|(tick, steps)| Print { tick, steps });
        assert_eq!(prints, expected);
        assert_eq!((ladder.best(Side::Sell), ladder.orders()), (Some((101, 3)), 1));
    }

    #[test]
    fn a_cancelled_order_leaves_its_price() {
        let mut ladder = Ladder::default();
        ladder.add(Side::Buy, 99, 5);
        let (id, side, tick) = ladder.draw(&mut Chance::new(1)).unwrap();
        assert_eq!((side, tick), (Side::Buy, 99));
        ladder.cancel(id);
        assert_eq!((ladder.best(Side::Buy), ladder.draw(&mut Chance::new(1))), (None, None));
    }

    #[test]
    fn the_best_that_is_kept_is_the_first_level_whatever_comes_and_goes() {
        let (mut ladder, mut chance, mut prints) = (Ladder::default(), Chance::new(3), Vec::new());
        for _ in 0..5_000 {
            let side = if chance.is(0.5) { Side::Buy } else { Side::Sell };
            match chance.index(4) {
                0 => ladder.take(side, chance.between(1, 30), &mut prints),
                1 => {
                    if let Some((id, ..)) = ladder.draw(&mut chance) {
                        ladder.cancel(id);
                    }
                }
                _ if side == Side::Buy => ladder.add(side, chance.between(80, 99), chance.between(1, 9)),
                _ => ladder.add(side, chance.between(100, 120), chance.between(1, 9)),
            }
            for side in [Side::Buy, Side::Sell] {
                assert_eq!(ladder.best(side), ladder.levels(side).next());
            }
        }
        assert!(ladder.orders() > 0 && !prints.is_empty());
    }
}
