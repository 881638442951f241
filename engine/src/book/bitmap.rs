//! Which slots of the window hold a level: one bit a slot, and one bit a word above that.
//! Finds the next level downwards in a few instructions. Never allocates after `new`. Engine thread.

/// Slots of a window.
pub(super) const SLOTS: usize = 32 * 1024;
const BITS: usize = 64;
const WORDS: usize = SLOTS / BITS;
const SUMMARY_WORDS: usize = WORDS / BITS;

/// A set of slots.
#[derive(Debug)]
pub(super) struct Bitmap {
    words: Box<[u64]>,
    summary: [u64; SUMMARY_WORDS],
}

impl Bitmap {
    pub(super) fn new() -> Bitmap {
        Bitmap { words: vec![0; WORDS].into_boxed_slice(), summary: [0; SUMMARY_WORDS] }
    }

    #[inline]
    pub(super) fn insert(&mut self, slot: usize) {
        let word = slot / BITS;
        self.words[word] |= 1 << (slot % BITS);
        self.summary[word / BITS] |= 1 << (word % BITS);
    }

    #[inline]
    pub(super) fn remove(&mut self, slot: usize) {
        let word = slot / BITS;
        self.words[word] &= !(1 << (slot % BITS));
        if self.words[word] == 0 {
            self.summary[word / BITS] &= !(1 << (word % BITS));
        }
    }

    /// The highest member that is below `slot`.
    #[inline]
    pub(super) fn highest_below(&self, slot: usize) -> Option<usize> {
        self.down_from(slot).next(self)
    }

    /// A walk through the members below `slot`, downwards.
    #[inline]
    pub(super) fn down_from(&self, slot: usize) -> Down {
        assert!(slot <= SLOTS, "a walk starts inside the window");
        let word = slot / BITS;
        let bits = if word < WORDS { self.words[word] & ((1 << (slot % BITS)) - 1) } else { 0 };
        Down { word, bits }
    }

    /// The highest word below `word` that has a member.
    #[inline]
    fn word_below(&self, word: usize) -> Option<usize> {
        let mut group = word / BITS;
        let mut bits = if group < SUMMARY_WORDS { self.summary[group] & ((1 << (word % BITS)) - 1) } else { 0 };
        while bits == 0 {
            group = group.checked_sub(1)?;
            bits = self.summary[group];
        }
        Some(group * BITS + highest(bits))
    }
}

/// A position in a walk downwards: the rest of one word is held by value, so the walk never restarts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Down {
    word: usize,
    bits: u64,
}

impl Down {
    /// The next member downwards.
    #[inline]
    pub(super) fn next(&mut self, map: &Bitmap) -> Option<usize> {
        if self.bits == 0 {
            self.word = map.word_below(self.word)?;
            self.bits = map.words[self.word];
        }
        let bit = highest(self.bits);
        self.bits ^= 1 << bit;
        Some(self.word * BITS + bit)
    }
}

#[inline]
fn highest(bits: u64) -> usize {
    assert!(bits != 0, "an empty word has no member");
    BITS - 1 - bits.leading_zeros() as usize
}

const _: () = assert!(SUMMARY_WORDS * BITS * BITS == SLOTS, "the summary covers every word");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    proptest::proptest! {
        #[test]
        fn it_agrees_with_an_ordered_set(
            edits in proptest::collection::vec((0usize..SLOTS, proptest::bool::ANY), 0..200),
            from in 0usize..=SLOTS,
        ) {
            let (mut map, mut set) = (Bitmap::new(), BTreeSet::new());
            for (slot, present) in edits {
                if present { map.insert(slot); set.insert(slot); } else { map.remove(slot); set.remove(&slot); }
            }
            let mut walk = map.down_from(from);
            let found: Vec<usize> = std::iter::from_fn(|| walk.next(&map)).collect();
            let expected: Vec<usize> = set.range(..from).rev().copied().collect();
            proptest::prop_assert_eq!(map.highest_below(from), expected.first().copied());
            proptest::prop_assert_eq!(found, expected);
        }
    }
}
