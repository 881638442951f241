//! The displayed book of one symbol: quantity by tick, best first, every update in constant time.
//!
//! Each side is a window of ticks around its best (an array and a bitmap of what is set) and a sorted map for the
//! levels far away. Levels that the other side's best has passed stay stored but hidden, as a feed with gaps needs it:
//! the best is tracked, not recomputed. Never holds our own orders, never loses quantity to them.

use std::collections::BTreeMap;

use optiflow_base::money::Side;

use super::{index_of, key_of};

/// Both sides.
#[derive(Clone, Debug)]
pub struct Ladder {
    sides: [Half; 2],
    compatible: bool,
}

/// One side. Keys run towards the better price: see `key_of`.
#[derive(Clone, Debug)]
struct Half {
    best: i32,
    /// No key below this was set since the side was last empty: the search for the next best ends here.
    floor: i32,
    /// The window's lowest key.
    base: i32,
    /// Fewer parts than this are no level: less than half a lot.
    least: u64,
    marks: Box<[u64; WORDS]>,
    parts: Box<[u64; WINDOW]>,
    far: BTreeMap<i32, u64>,
}

impl Ladder {
    /// An empty book of quantities with `parts_per_lot`.
    pub fn new(parts_per_lot: i64, compatible: bool) -> Ladder {
        assert!(parts_per_lot > 0, "a lot has parts");
        let half = Half::new((parts_per_lot as u64).div_ceil(2));
        Ladder { sides: [half.clone(), half], compatible }
    }

    /// The best tick of `side`.
    #[inline]
    pub fn best(&self, side: Side) -> Option<i32> {
        let best = self.sides[index_of(side)].best;
        (best != NONE).then(|| key_of(side, best))
    }

    /// Displayed parts of `side` at `tick`.
    pub fn parts(&self, side: Side, tick: i32) -> i64 {
        self.parts_at(index_of(side), key_of(side, tick))
    }

    /// The levels of `side`, best first: (tick, parts).
    pub fn levels(&self, side: Side) -> impl Iterator<Item = (i32, i64)> + '_ {
        let half = &self.sides[index_of(side)];
        let first = (half.best != NONE).then_some(half.best);
        std::iter::successors(first, |key| half.stored_below(*key))
            .map(move |key| (key_of(side, key), half.parts_at(key) as i64))
    }

    /// Sets a level; zero removes it. Answers what it was.
    pub fn set(&mut self, side: Side, tick: i32, parts: i64) -> i64 {
        self.set_key(index_of(side), key_of(side, tick), parts)
    }

    /// The ticker's word: `tick` is the best of `side`, everything better is gone.
    pub fn set_top(&mut self, side: Side, tick: i32, parts: i64) {
        self.top_key(index_of(side), key_of(side, tick), parts);
    }

    /// Removes the levels of `side` from its best to `tick`.
    pub fn clear(&mut self, side: Side, tick: i32) {
        let key = key_of(side, tick);
        let half = &mut self.sides[index_of(side)];
        if self.compatible {
            half.remove_between(key, half.best);
            // The peer looks for its next best one tick too far; whoever compares results needs the same book.
            half.best = half.best_below(key - 1);
        } else {
            half.remove_between(key, i32::MAX);
            if half.best >= key {
                half.best = half.best_below(key);
            }
        }
        half.forget_floor_if_empty();
    }

    /// Removes everything.
    pub fn clear_both(&mut self) {
        for half in &mut self.sides {
            *half = Half::new(half.least);
        }
    }

    /// The best key of a side, [`NONE`] when it is empty.
    #[inline]
    pub(super) fn best_key(&self, index: usize) -> i32 {
        self.sides[index].best
    }

    pub(super) fn parts_at(&self, index: usize, key: i32) -> i64 {
        self.sides[index].parts_at(key) as i64
    }

    /// The next level worse than `key`.
    pub(super) fn key_below(&self, index: usize, key: i32) -> Option<i32> {
        self.sides[index].stored_below(key)
    }

    /// Is that many parts a level at all?
    #[inline]
    pub(super) fn is_level(&self, parts: i64) -> bool {
        parts as u64 >= self.sides[0].least
    }

    /// Always inlined: it is half of what a replay does. A raised best is a maximum and not a branch, because no
    /// processor can guess which rows raise it; a best removed, a crossing and a far level are the branches left.
    #[inline(always)]
    pub(super) fn set_key(&mut self, index: usize, key: i32, parts: i64) -> i64 {
        let facing = self.sides[1 - index].best;
        let half = &mut self.sides[index];
        let stored = parts as u64 >= half.least;
        let before = half.store(key, if stored { parts as u64 } else { 0 });
        half.floor = half.floor.min(if stored { key } else { i32::MAX });
        let best = half.best;
        half.best = best.max(if stored { key } else { NONE });
        if !stored & (key == best) {
            half.lose_best();
        }
        if stored & (key > best) & (key.wrapping_add(facing) >= 0) {
            self.hide(1 - index, key);
        }
        before as i64
    }

    /// The facing side at `key` passed the best of this one.
    #[cold]
    fn hide(&mut self, index: usize, key: i32) {
        let half = &mut self.sides[index];
        half.best = half.best_below(-key);
    }

    pub(super) fn top_key(&mut self, index: usize, key: i32, parts: i64) {
        let half = &mut self.sides[index];
        while half.best > key {
            half.store(half.best, 0);
            half.best = half.best_below(half.best);
        }
        self.set_key(index, key, parts);
    }
}

impl Half {
    fn new(least: u64) -> Half {
        Half { best: NONE, floor: i32::MAX, base: NONE, least, marks: boxed(), parts: boxed(), far: BTreeMap::new() }
    }

    #[inline]
    fn in_window(&self, key: i32) -> bool {
        (key.wrapping_sub(self.base) as u32) < WINDOW as u32
    }

    #[inline(always)]
    fn store(&mut self, key: i32, parts: u64) -> u64 {
        if !self.in_window(key) {
            return self.store_far(key, parts);
        }
        let slot = key as u32 as usize % WINDOW;
        let bit = 1u64 << (slot % 64);
        let word = &mut self.marks[slot / 64];
        *word = if parts == 0 { *word & !bit } else { *word | bit };
        std::mem::replace(&mut self.parts[slot], parts)
    }

    #[cold]
    fn store_far(&mut self, key: i32, parts: u64) -> u64 {
        let before = if parts == 0 { self.far.remove(&key) } else { self.far.insert(key, parts) };
        if parts > 0 && key > self.best {
            self.move_window(key);
        }
        before.unwrap_or(0)
    }

    /// The best was removed: the next one is, and the window stays around it.
    #[inline]
    fn lose_best(&mut self) {
        self.best = self.best_below(self.best);
        let behind = self.best.wrapping_sub(self.base);
        if self.best == NONE {
            self.floor = i32::MAX;
        } else if !(BEHIND_LEAST..WINDOW as i32).contains(&behind) {
            self.move_window(self.best);
        }
    }

    #[inline]
    fn parts_at(&self, key: i32) -> u64 {
        if self.in_window(key) {
            self.parts[key as u32 as usize % WINDOW]
        } else {
            self.far.get(&key).copied().unwrap_or(0)
        }
    }

    /// The next best below `key`, as far down as the side has been set.
    #[inline]
    fn best_below(&self, key: i32) -> i32 {
        self.stored_below(key).filter(|found| *found >= self.floor).unwrap_or(NONE)
    }

    #[inline]
    fn stored_below(&self, key: i32) -> Option<i32> {
        let end = self.base.wrapping_add(WINDOW as i32);
        if key <= end && key > self.base {
            if let Some(found) = self.marked_below(key) {
                return Some(found);
            }
            return self.far.range(..self.base).next_back().map(|(found, _)| *found);
        }
        self.stored_below_slowly(key, end)
    }

    /// The highest marked key of the window below `key`, which is in it or right after it.
    #[inline]
    fn marked_below(&self, key: i32) -> Option<i32> {
        let top = key - 1;
        let mut word_key = top & !63;
        let mut word = self.marks[top as u32 as usize % WINDOW / 64] & (u64::MAX >> (63 - (top & 63)));
        loop {
            if word != 0 {
                return Some(word_key + 63 - word.leading_zeros() as i32);
            }
            if word_key <= self.base {
                return None;
            }
            word_key -= 64;
            word = self.marks[word_key as u32 as usize % WINDOW / 64];
        }
    }

    #[cold]
    fn stored_below_slowly(&self, key: i32, end: i32) -> Option<i32> {
        if key > end {
            let above = self.far.range(end..key).next_back().map(|(found, _)| *found);
            return above.or_else(|| self.stored_below(end));
        }
        self.far.range(..key).next_back().map(|(found, _)| *found)
    }

    fn remove_between(&mut self, low: i32, high: i32) {
        let mut at = high.checked_add(1).unwrap_or(high);
        while let Some(key) = self.stored_below(at).filter(|key| *key >= low) {
            self.store(key, 0);
            at = key;
        }
    }

    fn forget_floor_if_empty(&mut self) {
        if self.best == NONE {
            self.floor = i32::MAX;
        }
    }

    /// Places the window around a best at `best`, with most of it for the levels behind.
    #[cold]
    fn move_window(&mut self, best: i32) {
        let base = (best - BEHIND) & !63;
        for word in 0..WORDS {
            while self.marks[word] != 0 {
                let slot = word * 64 + self.marks[word].trailing_zeros() as usize;
                self.marks[word] &= self.marks[word] - 1;
                let above_base = (slot as i32).wrapping_sub(self.base) & (WINDOW as i32 - 1);
                self.far.insert(self.base + above_base, std::mem::take(&mut self.parts[slot]));
            }
        }
        self.base = base;
        let mut near = self.far.split_off(&base);
        let mut beyond = near.split_off(&(base + WINDOW as i32));
        self.far.append(&mut beyond);
        for (key, parts) in near {
            self.store(key, parts);
        }
        assert!(self.in_window(best), "the window holds the best level");
    }
}

fn boxed<const LEN: usize>() -> Box<[u64; LEN]> {
    // Straight to the heap: an array of this size must not pass through the stack.
    vec![0; LEN].into_boxed_slice().try_into().unwrap_or_else(|_| unreachable!("the length is the array's"))
}

/// The key of an empty side: below every tick, and adding any two keys does not overflow.
pub(super) const NONE: i32 = i32::MIN / 2;

/// Ticks of a side held in the array.
const WINDOW: usize = 1 << 14;
const WORDS: usize = WINDOW / 64;
/// Ticks behind the best when the window is placed.
const BEHIND: i32 = WINDOW as i32 / 4 * 3;
/// The window moves before fewer ticks than this are left behind the best.
const BEHIND_LEAST: i32 = WINDOW as i32 / 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn book() -> Ladder {
        let mut book = Ladder::new(1, false);
        for (tick, parts) in [(999, 5), (998, 10), (997, 20)] {
            book.set(Side::Buy, tick, parts);
        }
        for (tick, parts) in [(1_000, 4), (1_001, 3), (1_002, 10)] {
            book.set(Side::Sell, tick, parts);
        }
        book
    }

    #[test]
    fn a_raised_bid_hides_the_asks_it_passes() {
        let mut book = book();
        book.set(Side::Buy, 1_001, 1);
        assert_eq!((book.best(Side::Buy), book.best(Side::Sell)), (Some(1_001), Some(1_002)));
        assert_eq!(book.parts(Side::Sell, 1_000), 4, "hidden, not removed");
        book.set(Side::Buy, 1_001, 0);
        assert_eq!((book.best(Side::Buy), book.best(Side::Sell)), (Some(999), Some(1_002)));
        book.set(Side::Sell, 990, 1);
        assert_eq!((book.best(Side::Buy), book.best(Side::Sell)), (None, Some(990)));
    }

    #[test]
    fn an_emptied_side_forgets_its_hidden_levels() {
        let mut book = Ladder::new(1, false);
        book.set(Side::Buy, 100, 1);
        book.set(Side::Sell, 90, 1);
        assert_eq!(book.best(Side::Buy), None);
        book.set(Side::Buy, 80, 1);
        book.set(Side::Buy, 80, 0);
        assert_eq!((book.best(Side::Buy), book.parts(Side::Buy, 100)), (None, 1));
        book.set(Side::Buy, 105, 1);
        book.set(Side::Buy, 105, 0);
        assert_eq!(book.best(Side::Buy), None, "nothing set since it was empty is left");
    }

    #[test]
    fn the_ticker_removes_what_is_better() {
        let mut book = book();
        book.set_top(Side::Buy, 997, 6);
        assert_eq!(book.levels(Side::Buy).collect::<Vec<_>>(), [(997, 6)]);
        book.set_top(Side::Buy, 1_000, 2);
        assert_eq!((book.best(Side::Buy), book.best(Side::Sell)), (Some(1_000), Some(1_001)));
    }

    #[test]
    fn clearing_keeps_the_next_level_unless_it_copies_the_peer() {
        for (compatible, best) in [(false, Some(997)), (true, None)] {
            let mut book = book();
            book.compatible = compatible;
            book.clear(Side::Buy, 998);
            assert_eq!(book.best(Side::Buy), best, "compatible: {compatible}");
            assert_eq!((book.parts(Side::Buy, 999), book.parts(Side::Buy, 998)), (0, 0));
        }
    }

    #[test]
    fn less_than_half_a_lot_is_no_level() {
        let mut book = Ladder::new(1_000, false);
        book.set(Side::Buy, 5, 499);
        assert_eq!(book.best(Side::Buy), None);
        book.set(Side::Buy, 5, 500);
        assert_eq!((book.best(Side::Buy), book.parts(Side::Buy, 5)), (Some(5), 500));
    }

    #[test]
    fn the_window_agrees_with_a_plain_map_wherever_the_market_goes() {
        let mut random = fastrand::Rng::with_seed(7);
        let (mut book, mut plain) = (Ladder::new(1, false), BTreeMap::new());
        let mut centre = 0i32;
        for step in 0..200_000 {
            if step % 500 == 0 {
                centre += random.i32(-9_000..9_000);
            }
            let spread = if random.u8(..) < 8 { 40_000 } else { 300 };
            let tick = centre - random.i32(0..spread);
            let parts = if random.bool() { random.i64(1..100) } else { 0 };
            let before = book.set(Side::Buy, tick, parts);
            let expected = if parts == 0 { plain.remove(&tick) } else { plain.insert(tick, parts) };
            assert_eq!(before, expected.unwrap_or(0), "step {step}");
            let best = plain.last_key_value().map(|(tick, _)| *tick);
            assert_eq!(book.best(Side::Buy), best, "step {step}");
            if step % 10_000 == 0 {
                let all: Vec<_> = book.levels(Side::Buy).collect();
                assert!(all.into_iter().eq(plain.iter().rev().map(|(tick, parts)| (*tick, *parts))));
            }
        }
    }
}
