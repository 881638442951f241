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

/// A decimal in a string (or a plain integer), exactly; more than `MAX` units either way is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exact<const MAX: i64 = { i64::MAX }>(pub i64);

/// A price, at most what any market could show.
pub type PriceText = Exact<PRICE_MAX>;

/// A quantity, at most what any market could show.
pub type QtyText = Exact<QTY_MAX>;

/// An amount of money, at most what any account could hold.
pub type MoneyText = Exact<MONEY_MAX>;

/// An average price in a string, cut after eight decimals, because it may have more; at most `PRICE_MAX`.
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

impl<'de, const MAX: i64> Deserialize<'de> for Exact<MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let units = from.deserialize_any(Number { read: decimal::parse })?;
        within(units, MAX).map(Exact)
    }
}

impl<'de> Deserialize<'de> for Cut {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Cut, D::Error> {
        let units = from.deserialize_any(Number { read: parse_cut })?;
        within(units, PRICE_MAX).map(Cut)
    }
}

/// What follows adds and multiplies: a number that no market shows stops here.
fn within<E: Error>(units: i64, max: i64) -> Result<i64, E> {
    if units.unsigned_abs() <= max.unsigned_abs() { Ok(units) } else { Err(E::custom("beyond any market")) }
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

/// Highest price, 10⁻⁸: a thousand million of the quote asset.
pub const PRICE_MAX: i64 = 1_000_000_000 * decimal::UNITS;
/// Largest quantity or position, 10⁻⁸: ten thousand million contracts, far beyond any filter.
pub const QTY_MAX: i64 = 10_000_000_000 * decimal::UNITS;
/// Largest balance or fee, 10⁻⁸: ten thousand million of its asset.
pub const MONEY_MAX: i64 = 10_000_000_000 * decimal::UNITS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_beyond_any_market_are_refused_at_the_edge() {
        let reads = |text: &str| {
            let quoted = format!("\"{text}\"");
            let price = serde_json::from_str::<PriceText>(&quoted).is_ok();
            let average = serde_json::from_str::<Cut>(&quoted).is_ok();
            let qty = serde_json::from_str::<QtyText>(&quoted).is_ok();
            (price, average, qty, serde_json::from_str::<MoneyText>(&quoted).is_ok())
        };
        assert_eq!(reads("1000000000"), (true, true, true, true));
        assert_eq!(reads("1000000000.00000001"), (false, false, true, true));
        assert_eq!(reads("-10000000000"), (false, false, true, true));
        assert_eq!(reads("10000000000.00000001"), (false, false, false, false));
        assert_eq!(reads("-92233720368.54775808"), (false, false, false, false));
        assert!(serde_json::from_str::<Exact>("\"92233720368\"").is_ok(), "where nothing is computed");
    }

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
