//! Decimal text ↔ integers of 10⁻⁸. The only place where money text is read or written.
//!
//! Never rounds: text with more than eight significant decimals is an error, not an approximation.
//! Runs on any thread; allocates nothing.

use std::fmt;

use arrayvec::ArrayString;

/// Units per whole: every money integer counts 10⁻⁸.
pub const UNITS: i64 = 100_000_000;
/// Decimals of a money integer.
pub const DECIMALS: usize = 8;

/// Longest text `write` can produce: sign, 11 integer digits, point, 8 decimals.
pub type Text = ArrayString<24>;

/// Why a text is not a decimal of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalError {
    /// No digit at all, or a character that does not belong.
    Malformed,
    /// More than eight decimals that matter.
    TooFine,
    /// Beyond ±92 233 720 368.
    TooLarge,
}

impl fmt::Display for DecimalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DecimalError::Malformed => "not a plain decimal number",
            DecimalError::TooFine => "has more than 8 decimals",
            DecimalError::TooLarge => "is too large",
        })
    }
}

impl std::error::Error for DecimalError {}

/// Reads `[-]digits[.digits]` as an integer of 10⁻⁸. No exponent, no plus sign, no spaces, no bare point.
pub fn parse(text: &[u8]) -> Result<i64, DecimalError> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let (whole, fraction) = match digits.iter().position(|&b| b == b'.') {
        Some(at) => (&digits[..at], Some(&digits[at + 1..])),
        None => (digits, None),
    };
    if whole.is_empty() || fraction.is_some_and(<[u8]>::is_empty) {
        return Err(DecimalError::Malformed);
    }
    let fraction = fraction.unwrap_or(b"");
    let (kept, dropped) = fraction.split_at(fraction.len().min(DECIMALS));
    let mut units: i64 = 0;
    for &byte in whole.iter().chain(kept) {
        units = push_digit(units, byte)?;
    }
    for _ in kept.len()..DECIMALS {
        units = units.checked_mul(10).ok_or(DecimalError::TooLarge)?;
    }
    for &byte in dropped {
        match byte {
            b'0' => {}
            b'1'..=b'9' => return Err(DecimalError::TooFine),
            _ => return Err(DecimalError::Malformed),
        }
    }
    Ok(if negative { -units } else { units })
}

fn push_digit(units: i64, byte: u8) -> Result<i64, DecimalError> {
    if !byte.is_ascii_digit() {
        return Err(DecimalError::Malformed);
    }
    units.checked_mul(10).and_then(|tens| tens.checked_add(i64::from(byte - b'0'))).ok_or(DecimalError::TooLarge)
}

/// Writes `units` with exactly `decimals` decimals (0 to 8).
///
/// # Panics
/// If `decimals` exceeds 8, or if digits that matter would be lost: that is our bug, not the world's.
pub fn write(units: i64, decimals: usize) -> Text {
    assert!(decimals <= DECIMALS, "money has at most 8 decimals");
    let magnitude = units.unsigned_abs();
    let scale = 10u64.pow((DECIMALS - decimals) as u32);
    assert!(magnitude.is_multiple_of(scale), "{units} does not fit {decimals} decimals");
    let mut digits = [b'0'; 20];
    let mut rest = magnitude / scale;
    let mut at = digits.len();
    let mut written = 0;
    while rest > 0 || written <= decimals {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        written += 1;
    }
    let mut text = Text::new();
    if units < 0 {
        text.push('-');
    }
    for (index, &digit) in digits[at..].iter().enumerate() {
        if decimals > 0 && written - index == decimals {
            text.push('.');
        }
        text.push(char::from(digit));
    }
    text
}

/// Writes `units` with as few decimals as it needs.
pub fn write_trimmed(units: i64) -> Text {
    write(units, decimals_of(units))
}

/// Fewest decimals that write `units` exactly: 0.10 needs one, 5 needs none.
pub fn decimals_of(units: i64) -> usize {
    let mut decimals = DECIMALS;
    let mut rest = units;
    while decimals > 0 && rest % 10 == 0 {
        rest /= 10;
        decimals -= 1;
    }
    decimals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_units_or_the_reason_why_not() {
        let table: &[(&str, Result<i64, DecimalError>)] = &[
            ("0", Ok(0)),
            ("28145.10", Ok(2_814_510_000_000)),
            ("0.001", Ok(100_000)),
            ("-0.5", Ok(-50_000_000)),
            ("83084.30000000", Ok(8_308_430_000_000)),
            ("1.123456780000", Ok(112_345_678)),
            ("1.123456789", Err(DecimalError::TooFine)),
            ("92233720368.54775807", Ok(i64::MAX)),
            ("92233720368.54775808", Err(DecimalError::TooLarge)),
            ("99999999999999999999", Err(DecimalError::TooLarge)),
            ("", Err(DecimalError::Malformed)),
            ("-", Err(DecimalError::Malformed)),
            (".5", Err(DecimalError::Malformed)),
            ("5.", Err(DecimalError::Malformed)),
            ("+5", Err(DecimalError::Malformed)),
            ("1e5", Err(DecimalError::Malformed)),
            ("NaN", Err(DecimalError::Malformed)),
            ("1.2.3", Err(DecimalError::Malformed)),
            (" 1", Err(DecimalError::Malformed)),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text.as_bytes()), *expected, "{text:?}");
        }
    }

    #[test]
    fn units_become_text_with_the_decimals_asked_for() {
        for (units, decimals, text) in [
            (2_814_510_000_000, 2, "28145.10"),
            (100_000, 3, "0.001"),
            (0, 0, "0"),
            (0, 3, "0.000"),
            (-50_000_000, 1, "-0.5"),
            (500_000_000, 0, "5"),
            (i64::MIN, 8, "-92233720368.54775808"),
        ] {
            assert_eq!(write(units, decimals).as_str(), text);
        }
        assert_eq!(write_trimmed(2_814_510_000_000).as_str(), "28145.1");
        assert_eq!(write_trimmed(0).as_str(), "0");
    }

    #[test]
    #[should_panic(expected = "does not fit")]
    fn writing_never_loses_a_digit() {
        write(123_456, 3);
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_reads_back(units: i64) {
            let units = units.max(-i64::MAX);
            proptest::prop_assert_eq!(parse(write_trimmed(units).as_bytes()), Ok(units));
            proptest::prop_assert_eq!(parse(write(units, 8).as_bytes()), Ok(units));
        }
    }
}
