//! Levels too far from the touch for the window, in a sorted list of bounded length.
//!
//! They are touched rarely, so a search and a shift is enough; the list is allocated once, which a tree could not
//! promise. A removed level leaves its slot behind (quantity zero) until room is needed: far levels come and go at the
//! same prices. When the bound is reached the level farthest from the window is forgotten and counted. Engine thread.

/// Far levels of one side, ascending by key.
#[derive(Debug)]
pub(super) struct Far {
    slots: Vec<Slot>,
    live: usize,
    forgotten: u64,
}

/// One price; quantity zero is a removed level.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot {
    pub(super) key: i64,
    pub(super) qty: i64,
}

impl Far {
    /// An empty list with room for `FAR_LEN_MAX` levels and `extra` more that pass through when the window moves.
    pub(super) fn new(extra: usize) -> Far {
        Far { slots: Vec::with_capacity(FAR_LEN_MAX + extra), live: 0, forgotten: 0 }
    }

    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.live = 0;
    }

    /// Levels held.
    pub(super) const fn len(&self) -> usize {
        self.live
    }

    /// Levels that were forgotten because the list was full.
    pub(super) const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Sets the quantity at `key`; `centre` says where the window is.
    pub(super) fn set(&mut self, key: i64, qty: i64, centre: i64) {
        let at = self.below(key);
        if let Some(slot) = self.slots.get_mut(at).filter(|slot| slot.key == key) {
            self.live = self.live + usize::from(qty != 0) - usize::from(slot.qty != 0);
            slot.qty = qty;
        } else if qty != 0 {
            self.slots.insert(at, Slot { key, qty });
            self.live += 1;
            self.trim(centre);
        }
    }

    /// How many slots have a key below `key`.
    pub(super) fn below(&self, key: i64) -> usize {
        self.slots.partition_point(|slot| slot.key < key)
    }

    /// The best key held, if it is at least `from`.
    pub(super) fn best_from(&self, from: i64) -> Option<i64> {
        let mut above = self.slots.iter().rev().take_while(|slot| slot.key >= from);
        above.find(|slot| slot.qty != 0).map(|slot| slot.key)
    }

    /// The slots before `end`: iterate backwards, skip quantity zero.
    pub(super) fn slots_before(&self, end: usize) -> &[Slot] {
        &self.slots[..end]
    }

    /// Opens a gap of `count` slots at `at` for levels whose keys belong there, and gives it to the caller to fill.
    pub(super) fn open_gap(&mut self, at: usize, count: usize) -> &mut [Slot] {
        let len = self.slots.len();
        assert!(len + count <= self.slots.capacity(), "the list has room for a whole window");
        self.slots.resize(len + count, Slot::default());
        self.slots.copy_within(at..len, at + count);
        self.live += count;
        &mut self.slots[at..at + count]
    }

    /// Takes the levels with keys in `from..to` out, handing each to `place`; then forgets what exceeds the bound.
    pub(super) fn take_range(&mut self, from: i64, to: i64, centre: i64, mut place: impl FnMut(Slot)) {
        let range = self.below(from)..self.below(to);
        for slot in self.slots.drain(range).filter(|slot| slot.qty != 0) {
            self.live -= 1;
            place(slot);
        }
        self.trim(centre);
    }

    fn trim(&mut self, centre: i64) {
        if self.slots.len() <= FAR_LEN_MAX {
            return;
        }
        self.slots.retain(|slot| slot.qty != 0);
        let (mut first, mut end) = (0, self.slots.len());
        while end - first > FAR_LEN_MAX {
            let below = self.slots[first].key.abs_diff(centre);
            let above = self.slots[end - 1].key.abs_diff(centre);
            if below > above {
                first += 1
            } else {
                end -= 1
            }
            self.live -= 1;
            self.forgotten += 1;
        }
        self.slots.truncate(end);
        self.slots.drain(..first);
        assert!(self.live == self.slots.len(), "after trimming every slot is a level");
    }
}

/// Levels of one side held outside the window.
pub(super) const FAR_LEN_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_list_forgets_the_farthest_level_and_counts_it() {
        let mut far = Far::new(1);
        let centre = 1_000_000;
        for key in 0..FAR_LEN_MAX as i64 {
            far.set(key, 1, centre);
        }
        assert_eq!((far.len(), far.forgotten()), (FAR_LEN_MAX, 0));
        far.set(1_500_000, 1, centre);
        assert_eq!((far.len(), far.forgotten(), far.below(1)), (FAR_LEN_MAX, 1, 0));
        assert_eq!(far.best_from(0), Some(1_500_000));
    }

    #[test]
    fn a_removed_level_makes_room_before_anything_is_forgotten() {
        let mut far = Far::new(1);
        for key in 0..FAR_LEN_MAX as i64 {
            far.set(key, 1, 0);
        }
        far.set(7, 0, 0);
        far.set(-1, 5, 0);
        assert_eq!((far.len(), far.forgotten(), far.best_from(0)), (FAR_LEN_MAX, 0, Some(FAR_LEN_MAX as i64 - 1)));
    }
}
