//! Integers as text, without allocation; and the text of others as it may stand in a query.

use std::fmt::Write as _;

use optiflow_base::decimal::DECIMALS;

/// Decimal digits of a number, written from the right.
pub struct Digits {
    bytes: [u8; DIGITS_MAX],
    from: usize,
}

impl Digits {
    /// The digits of `value`.
    pub fn new(value: u64) -> Digits {
        let mut bytes = [b'0'; DIGITS_MAX];
        let from = write_before(&mut bytes, DIGITS_MAX, value);
        Digits { bytes, from }
    }

    /// As bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.from..]
    }
}

/// A positive number with a fixed count of decimals, written without a loss or not at all.
#[derive(Clone, Copy, Debug)]
pub struct Decimals {
    count: usize,
    /// 10⁻⁸ in the last digit.
    grain: u64,
    /// Last digits in a whole.
    scale: u64,
}

impl Decimals {
    /// Numbers with `count` decimals.
    pub fn new(count: usize) -> Decimals {
        assert!(count <= DECIMALS, "money has at most 8 decimals");
        Decimals { count, grain: 10u64.pow((DECIMALS - count) as u32), scale: 10u64.pow(count as u32) }
    }

    /// The text of `units` of 10⁻⁸; `None` for what is not positive or has finer digits.
    pub fn text(self, units: i64) -> Option<Digits> {
        let units = u64::try_from(units).ok().filter(|units| *units > 0)?;
        let last = units / self.grain;
        if last * self.grain != units {
            return None;
        }
        if self.count == 0 {
            return Some(Digits::new(last));
        }
        let (whole, mut fraction) = (last / self.scale, last % self.scale);
        let mut bytes = [b'0'; DIGITS_MAX];
        let point = DIGITS_MAX - self.count - 1;
        for digit in bytes[point + 1..].iter_mut().rev() {
            *digit = b'0' + (fraction % 10) as u8;
            fraction /= 10;
        }
        bytes[point] = b'.';
        let from = write_before(&mut bytes, point, whole);
        Some(Digits { bytes, from })
    }
}

/// Writes the digits of `value` so that they end before `end`; says where they begin.
fn write_before(bytes: &mut [u8; DIGITS_MAX], end: usize, value: u64) -> usize {
    let (mut from, mut rest) = (end, value);
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
    from
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
/// Digits of the largest 64-bit number; money has one fewer, and a point.
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
