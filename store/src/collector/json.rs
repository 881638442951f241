//! The JSON of market events, loosely: known keys, whatever their type.
//!
//! The same letter means different things in different events (`a` is an id, a price or a side of the book), so a value
//! is kept as it is and asked later. Unknown keys are passed over. Never judges what an event means.

use std::fmt;

use optiflow_base::market::Level;
use optiflow_base::money::{Price, Qty};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The keys that market events use; with a combined-stream wrapper, those of its `data`.
#[derive(Debug)]
pub(crate) struct Fields<'a>([Value<'a>; KEYS.len()]);

/// A JSON value, as far as market events use them.
#[derive(Debug, Default)]
pub(crate) enum Value<'a> {
    /// Not there, or of no use.
    #[default]
    Nothing,
    /// A string without escapes.
    Text(&'a str),
    /// A whole number.
    Number(u64),
    /// True or false.
    Flag(bool),
    /// An array of arrays that begin with two strings.
    Pairs(Vec<[&'a str; 2]>),
}

impl Default for Fields<'_> {
    fn default() -> Self {
        Fields(std::array::from_fn(|_| Value::Nothing))
    }
}

impl<'a> Fields<'a> {
    /// As text.
    pub fn text(&self, key: &str) -> Option<&'a str> {
        match self.value(key) {
            Value::Text(text) => Some(text),
            Value::Nothing | Value::Number(_) | Value::Flag(_) | Value::Pairs(_) => None,
        }
    }

    /// As a whole number, also when it is written as text.
    pub fn number(&self, key: &str) -> Option<u64> {
        match self.value(key) {
            Value::Number(number) => Some(*number),
            Value::Text(text) => text.parse().ok(),
            Value::Nothing | Value::Flag(_) | Value::Pairs(_) => None,
        }
    }

    /// As true or false.
    pub fn flag(&self, key: &str) -> Option<bool> {
        match self.value(key) {
            Value::Flag(flag) => Some(*flag),
            Value::Nothing | Value::Text(_) | Value::Number(_) | Value::Pairs(_) => None,
        }
    }

    /// As an id; the error names the key.
    pub fn id(&self, key: &str) -> Result<u64, String> {
        let id = self.number(key).filter(|id| *id <= i64::MAX as u64);
        id.ok_or_else(|| format!("`{key}` is not an id"))
    }

    /// As a price; the error names the key.
    pub fn price(&self, key: &str) -> Result<Price, String> {
        price(key, self.text(key).ok_or_else(|| format!("`{key}` is not a price"))?)
    }

    /// As a quantity; the error names the key.
    pub fn qty(&self, key: &str) -> Result<Qty, String> {
        qty(key, self.text(key).ok_or_else(|| format!("`{key}` is not a quantity"))?)
    }

    /// As `[["price", "quantity"], …]`, appended to `into`; the error names the key.
    pub fn levels(&self, key: &str) -> Result<Vec<Level>, String> {
        let Value::Pairs(pairs) = self.value(key) else {
            return Err(format!("`{key}` is not an array of prices and quantities"));
        };
        let level = |[a, b]: &[&str; 2]| Ok(Level { price: price(key, a)?, qty: qty(key, b)? });
        pairs.iter().map(level).collect()
    }

    fn value(&self, key: &str) -> &Value<'a> {
        match place(key) {
            Some(place) => &self.0[place],
            None => unreachable!("`{key}` is among the keys that are kept"),
        }
    }
}

fn price(key: &str, text: &str) -> Result<Price, String> {
    let price: Price = text.parse().map_err(|error| format!("the price {text:?} in `{key}` {error}"))?;
    if price > Price::ZERO { Ok(price) } else { Err(format!("the price {text:?} in `{key}` is not positive")) }
}

fn qty(key: &str, text: &str) -> Result<Qty, String> {
    let qty: Qty = text.parse().map_err(|error| format!("the quantity {text:?} in `{key}` {error}"))?;
    if qty >= Qty::ZERO { Ok(qty) } else { Err(format!("the quantity {text:?} in `{key}` is negative")) }
}

fn place(key: &str) -> Option<usize> {
    KEYS.iter().position(|known| *known == key)
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fields<'a>, D::Error> {
        deserializer.deserialize_any(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields<'de>, M::Error> {
        let mut fields = Fields::default();
        while let Some(key) = map.next_key::<&str>()? {
            if key == "data" {
                fields = map.next_value()?;
            } else if let Some(place) = place(key) {
                fields.0[place] = map.next_value()?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(fields)
    }

    /// Arrays of events are of symbols at large, and not of use here.
    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Fields<'de>, S::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Fields::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Fields<'de>, E> {
        Ok(Fields::default())
    }

    fn visit_unit<E>(self) -> Result<Fields<'de>, E> {
        Ok(Fields::default())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value<'a>, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(text))
    }

    fn visit_str<E>(self, _: &str) -> Result<Value<'de>, E> {
        Ok(Value::Nothing)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value<'de>, E> {
        Ok(Value::Number(number))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value<'de>, E> {
        Ok(Value::Flag(flag))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value<'de>, E> {
        Ok(Value::Nothing)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value<'de>, E> {
        Ok(Value::Nothing)
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Nothing)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Value<'de>, M::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Nothing)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Value<'de>, S::Error> {
        let mut pairs = Vec::with_capacity(PAIRS_EXPECTED);
        let mut are_pairs = true;
        while let Some(Pair(pair)) = seq.next_element()? {
            match pair {
                Some(pair) => pairs.push(pair),
                None => are_pairs = false,
            }
        }
        Ok(if are_pairs { Value::Pairs(pairs) } else { Value::Nothing })
    }
}

/// An array that begins with two strings, or something else.
struct Pair<'a>(Option<[&'a str; 2]>);

impl<'de: 'a, 'a> Deserialize<'de> for Pair<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pair<'a>, D::Error> {
        deserializer.deserialize_any(PairVisitor).map(Pair)
    }
}

struct PairVisitor;

impl<'de> Visitor<'de> for PairVisitor {
    type Value = Option<[&'de str; 2]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a price and a quantity")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
        let first: Option<Value<'de>> = seq.next_element()?;
        let second: Option<Value<'de>> = seq.next_element()?;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        match (first, second) {
            (Some(Value::Text(first)), Some(Value::Text(second))) => Ok(Some([first, second])),
            (Some(_) | None, _) => Ok(None),
        }
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// The keys that are kept.
const KEYS: [&str; 21] = [
    "e",
    "E",
    "T",
    "s",
    "U",
    "u",
    "pu",
    "b",
    "a",
    "B",
    "A",
    "p",
    "q",
    "t",
    "m",
    "X",
    "i",
    "r",
    "lastUpdateId",
    "bids",
    "asks",
];
/// Levels for which room is made at once.
const PAIRS_EXPECTED: usize = 16;
