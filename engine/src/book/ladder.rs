//! One side of the book: a window of quantities by tick around the touch, and a list of the levels beyond it.
//!
//! Keys are ticks on the bid side and negated ticks on the ask side, so that "better" is "higher" on both and there is
//! one code path. The window is placed by the first level and moves when the touch leaves its central half; levels
//! then move between window and list. Never allocates after `new`. Engine thread.

use super::bitmap::{Bitmap, Down, SLOTS};
use super::far::{Far, Slot};

/// The levels of one side.
#[derive(Debug)]
pub(super) struct Ladder {
    /// Key of slot 0; `None` until the first level comes.
    base: Option<i64>,
    near: Box<[i64]>,
    near_len: usize,
    /// Slot of the best level in the window.
    best: Option<usize>,
    occupied: Bitmap,
    far: Far,
}

impl Ladder {
    pub(super) fn new() -> Ladder {
        Ladder {
            base: None,
            near: vec![0; SLOTS].into_boxed_slice(),
            near_len: 0,
            best: None,
            occupied: Bitmap::new(),
            far: Far::new(SLOTS),
        }
    }

    /// Levels held.
    pub(super) const fn len(&self) -> usize {
        self.near_len + self.far.len()
    }

    /// Far levels that were forgotten for lack of room.
    pub(super) const fn forgotten(&self) -> u64 {
        self.far.forgotten()
    }

    /// Forgets every level; costs what is there, not the size of the window.
    pub(super) fn clear(&mut self) {
        self.clear_window();
        self.far.clear();
        self.base = None;
    }

    /// Sets the quantity at `key`; zero removes the level.
    #[inline]
    pub(super) fn set(&mut self, key: i64, qty: i64) {
        assert!(qty >= 0, "the book checked the quantity");
        let base = *self.base.get_or_insert(base_around(key));
        match slot_of(base, key) {
            Some(slot) => self.set_near(slot, qty),
            None => self.far.set(key, qty, centre_of(base)),
        }
    }

    /// Ends a message: moves the window if the best level left its central half. Until then `best` may be wrong.
    pub(super) fn settle(&mut self) {
        let Some(base) = self.base else { return };
        let above = self.far.best_from(centre_of(base));
        let best = match (above, self.best) {
            (Some(key), _) => Some(key),
            (None, Some(slot)) if CENTRAL.contains(&slot) => None,
            (None, Some(slot)) => Some(base + slot as i64),
            (None, None) => self.far.best_from(i64::MIN),
        };
        if let Some(key) = best {
            self.move_window(key);
        }
    }

    /// The best level: its key and quantity.
    #[inline]
    pub(super) fn best(&self) -> Option<(i64, i64)> {
        let (base, slot) = (self.base?, self.best?);
        Some((base + slot as i64, self.near[slot]))
    }

    /// A walk through the levels worse than `key`, best first; all of them when `None`.
    #[inline]
    pub(super) fn walk(&self, worse_than: Option<i64>) -> Walk<'_> {
        let end = match (self.base, worse_than) {
            (None, _) => 0,
            (Some(base), Some(key)) if key < base => 0,
            (Some(base), Some(key)) => slot_of(base, key).unwrap_or(SLOTS),
            (Some(_), None) => SLOTS,
        };
        Walk { ladder: self, down: self.occupied.down_from(end), worse_than, far: None }
    }

    #[inline]
    fn set_near(&mut self, slot: usize, qty: i64) {
        let old = std::mem::replace(&mut self.near[slot], qty);
        if old == 0 && qty != 0 {
            self.occupied.insert(slot);
            self.near_len += 1;
            if self.best.is_none_or(|best| slot > best) {
                self.best = Some(slot);
            }
        } else if old != 0 && qty == 0 {
            self.occupied.remove(slot);
            self.near_len -= 1;
            if self.best == Some(slot) {
                self.best = self.occupied.highest_below(slot);
            }
        }
    }

    /// Centres the window on `key`: pours the window into the list, then takes the new window's levels out of it.
    fn move_window(&mut self, key: i64) {
        let Some(base) = self.base else { return };
        let levels = self.len();
        if self.near_len > 0 {
            let gap = self.far.open_gap(self.far.below(base), self.near_len);
            let mut down = self.occupied.down_from(SLOTS);
            for hole in gap.iter_mut().rev() {
                let Some(slot) = down.next(&self.occupied) else { break };
                *hole = Slot { key: base + slot as i64, qty: self.near[slot] };
            }
        }
        self.clear_window();
        let base = base_around(key);
        self.base = Some(base);
        let forgotten = self.far.forgotten();
        let (near, occupied) = (&mut self.near, &mut self.occupied);
        let (near_len, best) = (&mut self.near_len, &mut self.best);
        self.far.take_range(base, base + SLOTS as i64, centre_of(base), |level| {
            let Some(slot) = slot_of(base, level.key) else { return };
            near[slot] = level.qty;
            occupied.insert(slot);
            *near_len += 1;
            *best = Some(slot);
        });
        let forgotten = (self.far.forgotten() - forgotten) as usize;
        assert!(self.len() + forgotten == levels, "moving the window loses no level");
        assert!(self.best.is_some_and(|slot| CENTRAL.contains(&slot)), "the touch is in the middle of its window");
    }

    fn clear_window(&mut self) {
        let mut down = self.occupied.down_from(SLOTS);
        while let Some(slot) = down.next(&self.occupied) {
            self.near[slot] = 0;
            self.occupied.remove(slot);
        }
        self.near_len = 0;
        self.best = None;
    }
}

/// A walk through the levels of a side, best first.
#[derive(Clone, Debug)]
pub(super) struct Walk<'a> {
    ladder: &'a Ladder,
    down: Down,
    worse_than: Option<i64>,
    /// Far slots not yet visited; `None` while the walk is inside the window.
    far: Option<&'a [Slot]>,
}

impl Iterator for Walk<'_> {
    type Item = (i64, i64);

    #[inline]
    fn next(&mut self) -> Option<(i64, i64)> {
        let ladder = self.ladder;
        let base = ladder.base?;
        if self.far.is_none() {
            if let Some(slot) = self.down.next(&ladder.occupied) {
                return Some((base + slot as i64, ladder.near[slot]));
            }
            let end = self.worse_than.map_or(base, |key| key.min(base));
            self.far = Some(ladder.far.slots_before(ladder.far.below(end)));
        }
        loop {
            let (slot, rest) = self.far?.split_last()?;
            self.far = Some(rest);
            if slot.qty != 0 {
                return Some((slot.key, slot.qty));
            }
        }
    }
}

/// Where the window starts when `key` is to be in its middle.
const fn base_around(key: i64) -> i64 {
    key - SLOTS as i64 / 2
}

const fn centre_of(base: i64) -> i64 {
    base + SLOTS as i64 / 2
}

/// The slot of `key`, if it is inside the window.
#[inline]
fn slot_of(base: i64, key: i64) -> Option<usize> {
    // A key below the base wraps to a huge number: one comparison checks both ends.
    let slot = key.wrapping_sub(base) as u64;
    if slot < SLOTS as u64 { Some(slot as usize) } else { None }
}

/// Where the touch may be without the window moving.
const CENTRAL: std::ops::Range<usize> = SLOTS / 4..SLOTS - SLOTS / 4;
