//! Integers as text, without allocation; and the text of others as it may stand in a query.

use std::fmt::Write as _;

use optiflow_base::decimal::DECIMALS;

/// Decimal digits of a number, and its decimals if it has some.
pub struct Digits {
    /// Whole digits end at `POINT`; behind it there is room for a point and decimals.
    bytes: [u8; POINT + 1 + DECIMALS],
    from: usize,
    end: usize,
}

impl Digits {
    /// The digits of `value`.
    #[inline]
    pub fn new(value: u64) -> Digits {
        let mut bytes = [b'0'; POINT + 1 + DECIMALS];
        let (mut from, mut rest) = (POINT, value);
        // Ends: 20 digits at most. A zero is written as one digit.
        for at in [16, 8, 0] {
            let eight = eight_digits(rest % EIGHT_DIGITS);
            bytes[at..at + 8].copy_from_slice(&eight);
            rest /= EIGHT_DIGITS;
            if rest == 0 {
                let zeros = (u64::from_le_bytes(eight) ^ ZEROS).trailing_zeros() as usize / 8;
                from = at + zeros.min(7);
                break;
            }
        }
        Digits { bytes, from, end: POINT }
    }

    /// As bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.from..self.end]
    }
}

/// A positive number with a fixed count of decimals, written without a loss or not at all.
#[derive(Clone, Copy, Debug)]
pub struct Decimals {
    count: usize,
    /// 10⁻⁸ in the last digit.
    grain: u64,
}

impl Decimals {
    /// Numbers with `count` decimals.
    pub fn new(count: usize) -> Decimals {
        assert!(count <= DECIMALS, "money has at most 8 decimals");
        Decimals { count, grain: 10u64.pow((DECIMALS - count) as u32) }
    }

    /// The text of `units` of 10⁻⁸; `None` for what is not positive or has finer digits.
    #[inline]
    pub fn text(self, units: i64) -> Option<Digits> {
        let units = u64::try_from(units).ok().filter(|units| *units > 0)?;
        if !units.is_multiple_of(self.grain) {
            return None;
        }
        let mut digits = Digits::new(units / EIGHT_DIGITS);
        if self.count > 0 {
            digits.bytes[POINT] = b'.';
            digits.bytes[POINT + 1..].copy_from_slice(&eight_digits(units % EIGHT_DIGITS));
            digits.end = POINT + 1 + self.count;
        }
        Some(digits)
    }
}

/// The last eight digits of `value`, which has no more, leading zeros included: halved and halved again, all parts of a
/// step in one word.
#[inline]
const fn eight_digits(value: u64) -> [u8; 8] {
    let fours = (value / 10_000) | ((value % 10_000) << 32);
    let hundreds = ((fours * 5_243) >> 19) & 0x0000_007f_0000_007f;
    let twos = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    (ZEROS | tens | ((twos - tens * 10) << 8)).to_le_bytes()
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

/// A whole, and what fits into eight digits.
const EIGHT_DIGITS: u64 = 100_000_000;
/// Eight times the digit 0.
const ZEROS: u64 = u64::from_ne_bytes([b'0'; 8]);
/// Longest symbol written into a query, bytes: twice the longest that is listed.
const SYMBOL_LEN_MAX: usize = 64;
/// Room for the digits of the largest 64-bit number, in steps of eight.
const POINT: usize = 24;
const _: () = assert!(DECIMALS == 8, "the decimals of money are eight digits");

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

        #[test]
        fn decimals_are_what_the_plain_writer_writes_or_nothing(units: i64, shift in 0u32..64, count in 0usize..=8) {
            let grain = 10i64.pow((DECIMALS - count) as u32);
            let units = units >> shift;
            for units in [units, units / grain * grain] {
                let expected = (units > 0 && units % grain == 0).then(|| optiflow_base::decimal::write(units, count));
                let text = Decimals::new(count).text(units);
                proptest::prop_assert_eq!(
                    text.as_ref().map(Digits::as_bytes),
                    expected.as_ref().map(|text| text.as_bytes())
                );
            }
        }
    }
}
