//! Integers as text, without allocation; and the text of others as it may stand in a query.

use std::fmt::Write as _;

/// Decimal digits of a number, written from the right.
pub struct Digits {
    bytes: [u8; DIGITS_MAX],
    from: usize,
}

impl Digits {
    /// The digits of `value`.
    pub fn new(value: u64) -> Digits {
        let mut bytes = [b'0'; DIGITS_MAX];
        let mut from = DIGITS_MAX;
        let mut rest = value;
        while rest >= 100 {
            let pair = (rest % 100) as usize;
            rest /= 100;
            from -= 2;
            bytes[from..from + 2].copy_from_slice(&PAIRS[pair]);
        }
        let [tens, units] = PAIRS[rest as usize];
        from -= 1;
        bytes[from] = units;
        if tens != b'0' {
            from -= 1;
            bytes[from] = tens;
        }
        Digits { bytes, from }
    }

    /// As bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.from..]
    }
}

/// A symbol that somebody else has written, as it may stand in a query: there are some outside ASCII.
pub fn in_query(symbol: &str) -> String {
    let mut written = String::new();
    for byte in symbol.bytes().take(SYMBOL_LEN_MAX) {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            written.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(written, "%{byte:02X}");
        }
    }
    written
}

const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut value = 0;
    while value < 100 {
        pairs[value] = [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8];
        value += 1;
    }
    pairs
};

/// Longest symbol written into a query, bytes: twice the longest that is listed.
const SYMBOL_LEN_MAX: usize = 64;
/// Digits of the largest 64-bit number.
const DIGITS_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn the_same_as_the_standard_library(value: u64, shift in 0u32..64) {
            let value = value >> shift;
            let digits = Digits::new(value);
            let expected = value.to_string();
            proptest::prop_assert_eq!(digits.as_bytes(), expected.as_bytes());
        }
    }
}
