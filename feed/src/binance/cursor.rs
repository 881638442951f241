//! A place in a message, and the few things that can be read there: keys, numbers, strings, levels.
//!
//! Every read is checked against the end of the message and answers `None` on any surprise; the caller then gives up
//! and lets the general parser decide. Numbers are read eight digits at a time with plain integer arithmetic.
//! Never allocates, never unescapes, never accepts what JSON forbids. Runs on the feed thread.

use optiflow_base::decimal::{self, UNITS};
use optiflow_base::market::Level;
use optiflow_base::money::{Price, Qty};

use super::decoder::LEVELS_MAX;

/// What is left of a message.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(rest: &'a [u8]) -> Cursor<'a> {
        Cursor { rest }
    }

    /// Is the message used up?
    pub(super) const fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Steps over exactly this text.
    #[inline(always)]
    pub(super) fn literal(&mut self, text: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    /// Takes the next byte.
    #[inline(always)]
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    /// Steps over `"key":`. A key of one or two bytes becomes those bytes as a number, a longer one [`LONG_KEY`]. A key
    /// that is not known by its number must pass [`is_plain`].
    #[inline(always)]
    pub(super) fn key(&mut self) -> Option<u16> {
        let (key, rest) = match self.rest {
            // A zero byte in front would pass for a shorter key, or for a long one.
            [b'"', a, b'"', b':', rest @ ..] if *a != 0 => (u16::from(*a), rest),
            [b'"', a, b, b'"', b':', rest @ ..] if *a != 0 => (two(*a, *b), rest),
            [b'"', rest @ ..] => {
                let mut long = Cursor { rest };
                long.string()?;
                long.literal(b":")?;
                (LONG_KEY, long.rest)
            }
            _ => return None,
        };
        self.rest = rest;
        Some(key)
    }

    /// An unsigned integer of at most 19 digits, without a leading zero.
    #[inline(always)]
    pub(super) fn integer(&mut self) -> Option<u64> {
        let (high, high_len) = digits(word(self.rest));
        if high_len == 0 || (high & 0xff == 0 && high_len > 1) {
            return None;
        }
        if high_len < 8 {
            self.rest = self.rest.get(high_len..)?;
            return Some(eight(high << (64 - 8 * high_len)));
        }
        let rest = self.rest.get(8..)?;
        let (low, low_len) = digits(word(rest));
        match low_len {
            0 => {
                self.rest = rest;
                Some(eight(high))
            }
            1..8 => {
                self.rest = rest.get(low_len..)?;
                Some(eight(high) * TEN_TO_THE[low_len] + eight(low << (64 - 8 * low_len)))
            }
            _ => self.long_integer(),
        }
    }

    #[cold]
    fn long_integer(&mut self) -> Option<u64> {
        let len = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (text, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        text.iter().try_fold(0u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
    }

    /// The number in a string whose opening quote has been read, in 10⁻⁸; stops before the closing quote, which the
    /// caller must find there.
    #[inline(always)]
    pub(super) fn decimal(&mut self) -> Option<i64> {
        let (whole, whole_len) = digits(word(self.rest));
        if whole_len == 0 || whole_len == 8 {
            return self.unusual_decimal();
        }
        let whole = eight(whole << (64 - 8 * whole_len)) as i64 * UNITS;
        match self.rest.get(whole_len..)? {
            [b'.', rest @ ..] => {
                let (fraction, len) = digits(word(rest));
                if len == 0 || (len == 8 && rest.get(8) != Some(&b'"')) {
                    return self.unusual_decimal();
                }
                self.rest = rest.get(len..)?;
                // What follows the digits becomes zeros: the eight digits are then the fraction in 10⁻⁸.
                Some(whole + eight(fraction & (u64::MAX >> (64 - 8 * len))) as i64)
            }
            rest => {
                self.rest = rest;
                Some(whole)
            }
        }
    }

    /// A sign, eight digits or more before the point, more than eight behind it: by the general reader of decimals.
    #[cold]
    fn unusual_decimal(&mut self) -> Option<i64> {
        let window = self.rest.get(..DECIMAL_LEN_MAX).unwrap_or(self.rest);
        let len = memchr::memchr(b'"', window)?;
        let (text, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        decimal::parse(text).ok()
    }

    /// `"number"` that is not negative.
    #[inline(always)]
    pub(super) fn quoted_amount(&mut self) -> Option<i64> {
        let units = self.quoted_decimal()?;
        if units < 0 { None } else { Some(units) }
    }

    /// `"number"` of either sign.
    #[inline(always)]
    pub(super) fn quoted_decimal(&mut self) -> Option<i64> {
        self.literal(b"\"")?;
        let units = self.decimal()?;
        self.literal(b"\"")?;
        Some(units)
    }

    /// `"text"`, without the quotes.
    #[inline(always)]
    pub(super) fn quoted(&mut self) -> Option<&'a [u8]> {
        self.literal(b"\"")?;
        self.string()
    }

    /// A string whose opening quote has been read, up to and over its closing quote. No escapes, valid UTF-8.
    #[inline(always)]
    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let mut len = 0;
        loop {
            let special = specials(word(self.rest.get(len..)?));
            len += special.trailing_zeros() as usize / 8;
            if special != 0 {
                break;
            }
        }
        match self.rest.get(len)? {
            b'"' => {
                let text = self.rest.get(..len)?;
                self.rest = self.rest.get(len + 1..)?;
                Some(text)
            }
            0x80.. => self.unicode_string(),
            _ => None,
        }
    }

    #[cold]
    fn unicode_string(&mut self) -> Option<&'a [u8]> {
        let (text, rest) = self.rest.split_at_checked(memchr::memchr(b'"', self.rest)?)?;
        let plain = text.iter().all(|&byte| byte >= 0x20 && byte != b'\\');
        if !plain || std::str::from_utf8(text).is_err() {
            return None;
        }
        self.rest = rest.get(1..)?;
        Some(text)
    }

    /// `true` or `false`.
    #[inline(always)]
    pub(super) fn boolean(&mut self) -> Option<bool> {
        match self.rest {
            [b't', b'r', b'u', b'e', rest @ ..] => {
                self.rest = rest;
                Some(true)
            }
            [b'f', b'a', b'l', b's', b'e', rest @ ..] => {
                self.rest = rest;
                Some(false)
            }
            _ => None,
        }
    }

    /// Steps over the value of a key that nobody asked for: a string, an unsigned integer, a boolean or null. Anything
    /// else is a surprise, and so is a short key that is not letters and digits.
    #[inline(always)]
    pub(super) fn skip(&mut self, key: u16) -> Option<()> {
        if !is_plain(key) {
            return None;
        }
        match self.rest.first()? {
            b'"' => self.quoted().map(|_| ()),
            b'0'..=b'9' => self.integer().map(|_| ()),
            b't' | b'f' => self.boolean().map(|_| ()),
            b'n' => self.literal(b"null"),
            _ => None,
        }
    }

    /// `[["price","quantity"],…]` into `levels`, which is emptied first.
    #[inline(always)]
    pub(super) fn levels(&mut self, levels: &mut Vec<Level>) -> Option<()> {
        levels.clear();
        match self.rest {
            [b'[', b']', rest @ ..] => {
                self.rest = rest;
                return Some(());
            }
            [b'[', b'[', b'"', rest @ ..] => self.rest = rest,
            _ => return None,
        }
        while levels.len() < LEVELS_MAX {
            let price = self.decimal()?;
            self.literal(b"\",\"")?;
            let qty = self.decimal()?;
            if price < 0 || qty < 0 {
                return None;
            }
            levels.push(Level { price: Price::from_units(price), qty: Qty::from_units(qty) });
            match self.rest {
                [b'"', b']', b',', b'[', b'"', rest @ ..] => self.rest = rest,
                [b'"', b']', b']', rest @ ..] => {
                    self.rest = rest;
                    return Some(());
                }
                _ => return None,
            }
        }
        None
    }
}

/// A key of two letters as [`Cursor::key`] gives it.
pub(super) const fn two(first: u8, second: u8) -> u16 {
    (first as u16) << 8 | second as u16
}

/// Is it a key of letters and digits, or a long one? Quotes and backslashes would mean that the key ends elsewhere.
#[inline(always)]
const fn is_plain(key: u16) -> bool {
    let [first, second] = key.to_be_bytes();
    (first == 0 || first.is_ascii_alphanumeric()) && (second.is_ascii_alphanumeric() || key == LONG_KEY)
}

/// The next eight bytes, first byte lowest; zeros stand in for what is beyond the end.
#[inline(always)]
fn word(bytes: &[u8]) -> u64 {
    match bytes.first_chunk::<8>() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => last_word(bytes),
    }
}

/// Fewer than eight bytes, in at most three pieces.
fn last_word(bytes: &[u8]) -> u64 {
    let (mut word, mut shift, mut rest) = (0, 0, bytes);
    if let Some((piece, more)) = rest.split_first_chunk::<4>() {
        (word, shift, rest) = (u64::from(u32::from_le_bytes(*piece)), 32, more);
    }
    if let Some((piece, more)) = rest.split_first_chunk::<2>() {
        (word, shift, rest) = (word | u64::from(u16::from_le_bytes(*piece)) << shift, shift + 16, more);
    }
    if let Some(&last) = rest.first() {
        word |= u64::from(last) << shift;
    }
    word
}

/// The bytes as digit values, and how many of them, from the first on, are digits.
#[inline(always)]
const fn digits(word: u64) -> (u64, usize) {
    let values = word ^ (LOW_BITS * b'0' as u64);
    // Adding 0x76 lifts everything above 9 into the top bit; a carry can only spoil bytes behind the first such one.
    let strangers = (values.wrapping_add(LOW_BITS * 0x76) | values) & HIGH_BITS;
    (values, strangers.trailing_zeros() as usize / 8)
}

/// Eight digit values, first digit lowest, as one number.
#[inline(always)]
const fn eight(values: u64) -> u64 {
    let pairs = (values.wrapping_mul(2_561) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(6_553_601) >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(42_949_672_960_001) >> 32
}

/// Marks (top bit of the byte) a quote, a backslash, a control character or a byte beyond ASCII. The lowest mark is
/// exact; marks above it may be spoilt by borrows.
#[inline(always)]
const fn specials(word: u64) -> u64 {
    let quote = word ^ (LOW_BITS * b'"' as u64);
    let backslash = word ^ (LOW_BITS * b'\\' as u64);
    let quotes = quote.wrapping_sub(LOW_BITS) & !quote;
    let backslashes = backslash.wrapping_sub(LOW_BITS) & !backslash;
    let controls = word.wrapping_sub(LOW_BITS * 0x20) & !word;
    (quotes | backslashes | controls | word) & HIGH_BITS
}

/// What [`Cursor::key`] answers for a key of more than two letters: none that is asked for.
pub(super) const LONG_KEY: u16 = 0;
/// Longest text of a decimal that is worth reading: more digits do not fit.
const DECIMAL_LEN_MAX: usize = 40;
const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;
const TEN_TO_THE: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

#[cfg(test)]
mod tests;
