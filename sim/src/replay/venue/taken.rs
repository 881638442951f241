//! What we took of one side's displayed levels and the market still displays: a recording does not know of our orders.
//!
//! While a level shrinks, what was taken is what stays; only what is displayed anew can be taken. What no longer is
//! displayed is forgotten; a level that the other side hides may come back as it was, so it is not. Never looks at a
//! book: it is told what a level shows.

use super::super::ladder::NONE;
use super::own::Marks;

/// Parts taken by key. Few levels have any.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    levels: Vec<(i32, i64)>,
    best: i32,
    marks: Marks,
}

impl Taken {
    pub(super) fn new() -> Taken {
        Taken { levels: Vec::with_capacity(LEVELS_EXPECTED), best: NONE, marks: Marks::new() }
    }

    #[inline]
    pub(super) const fn is_empty(&self) -> bool {
        self.best == NONE
    }

    /// Is there perhaps something taken at `key`? A level for which this is false needs no further word.
    #[inline]
    pub(super) fn may_hold(&self, key: i32) -> bool {
        self.marks.may_hold(key)
    }

    /// What was taken at `key`.
    pub(super) fn at(&self, key: i32) -> i64 {
        self.levels.iter().find(|(at, _)| *at == key).map_or(0, |(_, parts)| *parts)
    }

    /// Takes `parts` more at `key`.
    pub(super) fn add(&mut self, key: i32, parts: i64) {
        match self.levels.iter_mut().find(|(at, _)| *at == key) {
            Some((_, taken)) => *taken += parts,
            None => self.levels.push((key, parts)),
        }
        self.best = self.best.max(key);
        self.marks.set(key);
    }

    /// The level at `key` shows `parts` now.
    pub(super) fn shown(&mut self, key: i32, parts: i64) {
        let Some(at) = self.levels.iter().position(|(at, _)| *at == key) else { return };
        if parts > 0 {
            self.levels[at].1 = self.levels[at].1.min(parts);
        } else {
            self.levels.swap_remove(at);
            self.mark_again();
        }
    }

    /// The levels from `key` on, towards the better price, are gone.
    pub(super) fn forget_from(&mut self, key: i32) {
        if self.best >= key {
            self.levels.retain(|(at, _)| *at < key);
            self.mark_again();
        }
    }

    fn mark_again(&mut self) {
        self.marks = Marks::new();
        self.best = NONE;
        for (key, _) in &self.levels {
            self.marks.set(*key);
            self.best = self.best.max(*key);
        }
    }
}

const LEVELS_EXPECTED: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_a_level_shrinks_what_was_taken_stays_and_what_is_added_is_new() {
        let mut taken = Taken::new();
        taken.add(10, 3);
        taken.add(10, 1);
        let left = |taken: &Taken, shown: i64| shown - taken.at(10);
        let seen: Vec<i64> = [5, 4, 2, 6]
            .map(|shown| {
                taken.shown(10, shown);
                left(&taken, shown)
            })
            .into();
        assert_eq!(seen, [1, 0, 0, 4]);
        taken.shown(10, 0);
        assert!(taken.is_empty() && !taken.may_hold(10), "gone, and forgotten");
    }

    #[test]
    fn levels_that_are_gone_are_forgotten_from_the_best_on() {
        let mut taken = Taken::new();
        [(7, 1), (9, 2), (8, 3)].into_iter().for_each(|(key, parts)| taken.add(key, parts));
        taken.forget_from(10);
        assert_eq!((taken.best, taken.at(9)), (9, 2));
        taken.forget_from(8);
        assert_eq!((taken.best, taken.at(7), taken.at(8), taken.may_hold(9)), (7, 1, 0, false));
        taken.forget_from(NONE);
        assert!(taken.is_empty());
    }
}
