//! How Binance writes numbers in JSON, as types that serde can read: decimals in strings, integers sometimes too.
//!
//! Never a float on the way. Pure; any thread.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use arrayvec::ArrayVec;
use optiflow_base::decimal::{self, DECIMALS, DecimalError};
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};

/// A decimal in a string (or a plain integer), exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exact(pub i64);

/// A decimal in a string, cut after eight decimals: for averages, which may have more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut(pub i64);

/// A whole number that is sometimes written in quotes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Whole(pub u64);

/// Text that stays where it lies unless it holds escapes. (serde takes a bare `Cow` inside an `Option` to be owned.)
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text<'a>(pub Cow<'a, str>);

/// The first `LEN` items of a list, and whether there were more.
#[derive(Clone, Debug)]
pub struct Bounded<T, const LEN: usize> {
    /// The items.
    pub items: ArrayVec<T, LEN>,
    /// Some did not fit.
    pub more: bool,
}

impl<T, const LEN: usize> Default for Bounded<T, LEN> {
    fn default() -> Self {
        Bounded { items: ArrayVec::new(), more: false }
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Exact, D::Error> {
        from.deserialize_any(Number { read: decimal::parse }).map(Exact)
    }
}

impl<'de> Deserialize<'de> for Cut {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Cut, D::Error> {
        from.deserialize_any(Number { read: parse_cut }).map(Cut)
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Whole, D::Error> {
        from.deserialize_any(WholeVisitor).map(Whole)
    }
}

impl<'de, T: Deserialize<'de>, const LEN: usize> Deserialize<'de> for Bounded<T, LEN> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(ListVisitor(std::marker::PhantomData))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Text<'a>, D::Error> {
        from.deserialize_str(TextVisitor).map(Text)
    }
}

impl Deref for Text<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

fn parse_cut(text: &[u8]) -> Result<i64, DecimalError> {
    let whole = text.iter().position(|&byte| byte == b'.').map_or(text.len(), |point| point + 1 + DECIMALS);
    decimal::parse(&text[..whole.min(text.len())])
}

struct Number {
    read: fn(&[u8]) -> Result<i64, DecimalError>,
}

impl Visitor<'_> for Number {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a decimal number in a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<i64, E> {
        (self.read)(text.as_bytes()).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<i64, E> {
        i64::try_from(value)
            .ok()
            .and_then(|value| value.checked_mul(decimal::UNITS))
            .ok_or_else(|| E::custom("too large"))
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

struct WholeVisitor;

impl Visitor<'_> for WholeVisitor {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<u64, E> {
        Ok(value)
    }
}

struct ListVisitor<T, const LEN: usize>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>, const LEN: usize> Visitor<'de> for ListVisitor<T, LEN> {
    type Value = Bounded<T, LEN>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut bounded = Bounded::default();
        while bounded.items.len() < LEN {
            match list.next_element()? {
                Some(item) => bounded.items.push(item),
                None => return Ok(bounded),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {
            bounded.more = true;
        }
        Ok(bounded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_are_written() {
        let exact = |text: &str| serde_json::from_str::<Exact>(text).ok().map(|value| value.0);
        assert_eq!(exact(r#""0.020""#), Some(2_000_000));
        assert_eq!(exact("5"), Some(500_000_000));
        for bad in [r#""0.123456789""#, "0.5", r#""""#, "null", "[]", "true", "99999999999999999999", r#""1e5""#] {
            assert_eq!(exact(bad), None, "{bad}");
        }
        let cut = |text: &str| serde_json::from_str::<Cut>(text).ok().map(|value| value.0);
        assert_eq!(cut(r#""84180.158612345678""#), Some(8_418_015_861_234));
        assert_eq!(cut(r#""7""#), Some(700_000_000));
        let whole = |text: &str| serde_json::from_str::<Whole>(text).ok().map(|value| value.0);
        assert_eq!((whole("5"), whole(r#""5""#), whole("-5"), whole("5.5")), (Some(5), Some(5), None, None));
    }

    #[test]
    fn text_stays_where_it_lies_unless_it_holds_escapes() {
        let borrowed: Option<Text<'_>> = serde_json::from_str(r#""plain""#).unwrap();
        assert!(matches!(borrowed.unwrap().0, Cow::Borrowed("plain")));
        let owned: Text<'_> = serde_json::from_str(r#""a\u0062""#).unwrap();
        assert!(matches!(&owned.0, Cow::Owned(text) if text == "ab"));
    }

    #[test]
    fn lists_are_bounded() {
        let list: Bounded<Whole, 2> = serde_json::from_str("[1,2]").unwrap();
        assert!(!list.more && list.items.len() == 2);
        let list: Bounded<Whole, 2> = serde_json::from_str("[1,2,{}]").unwrap();
        assert!(list.more);
    }
}
