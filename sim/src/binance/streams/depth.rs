//! The book of one symbol as its streams tell it: diffs gathered in windows, each speed a chain of its own.
//!
//! What it does: keeps the whole book tick by tick; merges the source's diffs into windows of exchange time (`U` of the
//! first, `u` of the last, `pu` = `u` of the message before at this speed, the last quantity of every level). A book
//! that the source replaces is told as the difference, so that a client's copy stays right without a new snapshot.
//! What it never does: no timers; the caller says when a window is over.
//!
//! Why snapshot and streams agree: a snapshot bears the id of the newest diff applied. That diff lies in the window
//! under way, whose message will cover the id, or it was the last of the window before, whose message ends on it.

use std::collections::BTreeMap;

use optiflow_base::clock::Nanos;
use optiflow_base::market::Level;
use optiflow_base::money::{Price, Qty};

use super::topic::Speed;

/// Book and chains of one symbol.
#[derive(Debug, Default)]
pub struct Depth {
    bids: BTreeMap<Price, Qty>,
    asks: BTreeMap<Price, Qty>,
    /// Has a whole book been known?
    known: bool,
    windows: [Window; Speed::WINDOWED.len()],
    instant_last_id: Option<u64>,
}

/// A book message: a diff of the source, or many of them merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// `U`
    pub first_id: u64,
    /// `u`
    pub last_id: u64,
    /// `pu`
    pub previous_id: u64,
    /// When the newest change happened.
    pub changed: Nanos,
    /// Changed bids.
    pub bids: Vec<Level>,
    /// Changed asks.
    pub asks: Vec<Level>,
}

impl Depth {
    /// A diff of the source. Returns it as the instant stream tells it.
    pub fn diff(&mut self, mut update: Update) -> Update {
        apply(&mut self.bids, &update.bids);
        apply(&mut self.asks, &update.asks);
        for window in &mut self.windows {
            window.add(&update);
        }
        update.previous_id = self.instant_last_id.unwrap_or(update.previous_id);
        self.instant_last_id = Some(update.last_id);
        update
    }

    /// The source replaces the book. Returns the difference as the instant stream tells it; nothing for the first book,
    /// which clients know from their own snapshot.
    pub fn snapshot(&mut self, id: u64, at: Nanos, bids: &[Level], asks: &[Level]) -> Option<Update> {
        if !self.known {
            self.known = true;
            (self.bids, self.asks) = (BTreeMap::new(), BTreeMap::new());
            apply(&mut self.bids, bids);
            apply(&mut self.asks, asks);
            self.instant_last_id = Some(id);
            for window in &mut self.windows {
                *window = Window { previous_id: Some(id), ..Window::default() };
            }
            return None;
        }
        let previous_id = self.instant_last_id.unwrap_or(id);
        let update = Update {
            first_id: id.min(previous_id.saturating_add(1)),
            last_id: id,
            previous_id,
            changed: at,
            bids: difference(&self.bids, bids),
            asks: difference(&self.asks, asks),
        };
        Some(self.diff(update))
    }

    /// Ends the window of `speed`; `None` when nothing changed in it.
    pub fn end_window(&mut self, speed: Speed) -> Option<Update> {
        let index = Speed::WINDOWED.iter().position(|&windowed| windowed == speed)?;
        self.windows[index].end()
    }

    /// The best `count` levels of both sides, best first.
    pub fn top(&self, count: usize) -> (Vec<Level>, Vec<Level>) {
        let level = |(&price, &qty): (&Price, &Qty)| Level { price, qty };
        (self.bids.iter().rev().take(count).map(level).collect(), self.asks.iter().take(count).map(level).collect())
    }

    /// Best bid and ask, when both exist.
    pub fn best(&self) -> Option<(Level, Level)> {
        let (&bid, &bid_qty) = self.bids.last_key_value()?;
        let (&ask, &ask_qty) = self.asks.first_key_value()?;
        Some((Level { price: bid, qty: bid_qty }, Level { price: ask, qty: ask_qty }))
    }
}

#[derive(Debug, Default)]
struct Window {
    gathering: Option<Gathering>,
    previous_id: Option<u64>,
}

#[derive(Debug)]
struct Gathering {
    first_id: u64,
    last_id: u64,
    /// What the source says came before, for the first message of a chain.
    source_previous_id: u64,
    changed: Nanos,
    /// Few levels change in a window: in the order of their prices.
    bids: Vec<Level>,
    asks: Vec<Level>,
}

impl Window {
    fn add(&mut self, update: &Update) {
        let gathering = self.gathering.get_or_insert_with(|| Gathering {
            first_id: update.first_id,
            last_id: update.last_id,
            source_previous_id: update.previous_id,
            changed: update.changed,
            bids: Vec::new(),
            asks: Vec::new(),
        });
        gathering.first_id = gathering.first_id.min(update.first_id);
        gathering.last_id = update.last_id;
        gathering.changed = update.changed;
        update.bids.iter().for_each(|level| put(&mut gathering.bids, *level));
        update.asks.iter().for_each(|level| put(&mut gathering.asks, *level));
    }

    fn end(&mut self) -> Option<Update> {
        let mut gathered = self.gathering.take()?;
        let previous_id = self.previous_id.replace(gathered.last_id).unwrap_or(gathered.source_previous_id);
        gathered.bids.reverse();
        Some(Update {
            first_id: gathered.first_id,
            last_id: gathered.last_id,
            previous_id,
            changed: gathered.changed,
            bids: gathered.bids,
            asks: gathered.asks,
        })
    }
}

fn put(levels: &mut Vec<Level>, level: Level) {
    match levels.binary_search_by_key(&level.price, |known| known.price) {
        Ok(at) => levels[at] = level,
        Err(at) => levels.insert(at, level),
    }
}

fn apply(side: &mut BTreeMap<Price, Qty>, levels: &[Level]) {
    for level in levels {
        if level.qty.is_zero() {
            side.remove(&level.price);
        } else {
            side.insert(level.price, level.qty);
        }
    }
}

/// The levels that turn `side` into `levels`.
fn difference(side: &BTreeMap<Price, Qty>, levels: &[Level]) -> Vec<Level> {
    let target: BTreeMap<Price, Qty> = levels.iter().map(|level| (level.price, level.qty)).collect();
    let gone = side.keys().filter(|price| !target.contains_key(price));
    let gone = gone.map(|&price| Level { price, qty: Qty::ZERO });
    let changed = target.iter().filter(|(price, qty)| side.get(price) != Some(qty));
    gone.chain(changed.map(|(&price, &qty)| Level { price, qty })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binance::streams::testing::levels;

    fn diff(first_id: u64, last_id: u64, previous_id: u64, bids: &str, asks: &str) -> Update {
        let changed = Nanos::from_millis(last_id);
        Update { first_id, last_id, previous_id, changed, bids: levels(bids), asks: levels(asks) }
    }

    #[test]
    fn a_window_merges_its_diffs_and_chains_to_the_window_before() {
        let mut depth = Depth::default();
        assert_eq!(depth.snapshot(100, Nanos(0), &levels("10:1 9:1"), &levels("11:1")), None);
        assert_eq!(depth.end_window(Speed::Ms100), None);
        let instant = depth.diff(diff(103, 110, 100, "10:2 8:5", ""));
        assert_eq!((instant.first_id, instant.last_id, instant.previous_id), (103, 110, 100));
        let instant = depth.diff(diff(112, 120, 110, "10:0", "11:3 12:1"));
        assert_eq!((instant.first_id, instant.last_id, instant.previous_id), (112, 120, 110));
        assert_eq!(depth.end_window(Speed::Ms100), Some(diff(103, 120, 100, "10:0 8:5", "11:3 12:1")));
        depth.diff(diff(125, 126, 120, "", "12:0"));
        assert_eq!(depth.end_window(Speed::Ms100), Some(diff(125, 126, 120, "", "12:0")));
        assert_eq!(depth.end_window(Speed::Ms500), Some(diff(103, 126, 100, "10:0 8:5", "11:3 12:0")));
        assert_eq!(depth.top(5), (levels("9:1 8:5"), levels("11:3")));
        assert_eq!(depth.best(), Some((levels("9:1")[0], levels("11:3")[0])));
    }

    #[test]
    fn a_replaced_book_is_told_as_the_difference_and_the_chain_goes_on() {
        let mut depth = Depth::default();
        depth.snapshot(100, Nanos(0), &levels("10:1 9:1"), &levels("11:1"));
        let told = depth.snapshot(150, Nanos::from_millis(150), &levels("10:1 8:2"), &levels("11:4"));
        assert_eq!(told, Some(diff(101, 150, 100, "9:0 8:2", "11:4")));
        assert_eq!(depth.end_window(Speed::Ms250), Some(diff(101, 150, 100, "9:0 8:2", "11:4")));
        let older = depth.snapshot(120, Nanos::from_millis(120), &levels("10:1"), &levels("11:4"));
        assert_eq!(older, Some(diff(120, 120, 150, "8:0", "")));
    }

    #[test]
    fn a_chain_that_begins_without_a_book_takes_the_word_of_the_source() {
        let mut depth = Depth::default();
        assert_eq!(depth.diff(diff(7, 9, 5, "10:1", "")).previous_id, 5);
        assert_eq!(depth.end_window(Speed::Ms100).unwrap().previous_id, 5);
        assert_eq!(depth.best(), None);
    }
}
