//! Numbers that stand for rows, settings and programs: equal things have equal ones.
//!
//! For telling runs apart, not for secrets: rows are folded fast, settings by SHA-256.

use std::fmt::{self, Write};

use sha2::{Digest, Sha256};

/// Folds a word into a state: the full product, so that every bit of the word reaches every bit of the state.
pub const fn mix(state: u64, word: u64) -> u64 {
    let product = (state ^ word) as u128 * MULTIPLIER as u128;
    (product as u64 ^ (product >> 64) as u64).wrapping_add(START)
}

/// Folds words.
pub fn mix_all<const N: usize>(state: u64, words: [u64; N]) -> u64 {
    words.iter().fold(state, |state, word| mix(state, *word))
}

/// Folds bytes, eight at a time.
pub fn mix_bytes(state: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let state = words.iter().fold(state, |state, word| mix(state, u64::from_le_bytes(*word)));
    rest.iter().fold(mix(state, bytes.len() as u64), |state, byte| mix(state, u64::from(*byte)))
}

/// Text on its way into a hash.
#[derive(Clone, Default)]
pub struct Hashed(Sha256);

impl Hashed {
    /// Adds what `value` is, as its `Debug` writes it: every field counts.
    #[must_use]
    pub fn with(mut self, value: &impl fmt::Debug) -> Hashed {
        let written = write!(self, "{value:?};");
        assert!(written.is_ok(), "hashing does not fail");
        self
    }

    /// The first eight bytes of the hash.
    pub fn word(self) -> u64 {
        self.0.finalize().iter().take(8).fold(0, |word, byte| word << 8 | u64::from(*byte))
    }
}

impl Write for Hashed {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

/// Before the first word.
pub const START: u64 = 0xcbf2_9ce4_8422_2325;
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_counts_and_so_does_their_order() {
        let different = [
            mix_all(START, []),
            mix_all(START, [0]),
            mix_all(START, [0, 0]),
            mix_all(START, [1, 2]),
            mix_all(START, [2, 1]),
            mix_all(START, [1 << 63, 2]),
            mix_bytes(START, b"abcdefgh"),
            mix_bytes(START, b"abcdefghi"),
            mix_bytes(START, b"abcdefgh\0"),
        ];
        for (at, one) in different.iter().enumerate() {
            assert!(!different[..at].contains(one), "{at}");
        }
        assert_ne!(Hashed::default().with(&1).with(&2).word(), Hashed::default().with(&12).word());
    }
}
