//! The JSON of market events, loosely: known keys, whatever their type.
//!
//! The same letter means different things in different events (`a` is an id, a price or a side of the book), so a value
//! is kept as it is and asked later. Unknown keys are passed over. Never judges what an event means.

use std::borrow::Cow;
use std::fmt;

use optiflow_base::market::Level;
use optiflow_base::money::{Price, Qty};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The keys that market events use; with a combined-stream wrapper, those of its `data`.
#[derive(Debug, Default)]
#[allow(non_snake_case)]
pub struct Fields<'a> {
    /// Event type.
    pub e: Value<'a>,
    /// Event time.
    pub E: Value<'a>,
    /// Transaction time, or next funding time.
    pub T: Value<'a>,
    /// Symbol.
    pub s: Value<'a>,
    /// First update id.
    pub U: Value<'a>,
    /// Last update id.
    pub u: Value<'a>,
    /// Last update id of the event before.
    pub pu: Value<'a>,
    /// Bids, or the best bid price.
    pub b: Value<'a>,
    /// Best bid quantity.
    pub B: Value<'a>,
    /// Asks, the best ask price, or an aggregate trade id.
    pub a: Value<'a>,
    /// Best ask quantity.
    pub A: Value<'a>,
    /// Price.
    pub p: Value<'a>,
    /// Quantity.
    pub q: Value<'a>,
    /// Trade id.
    pub t: Value<'a>,
    /// The buyer was the maker.
    pub m: Value<'a>,
    /// Kind of trade.
    pub X: Value<'a>,
    /// Index price.
    pub i: Value<'a>,
    /// Funding rate.
    pub r: Value<'a>,
    /// `lastUpdateId` of a snapshot.
    pub last_update_id: Value<'a>,
    /// Bids of a snapshot.
    pub bids: Value<'a>,
    /// Asks of a snapshot.
    pub asks: Value<'a>,
}

/// A JSON value, as far as market events use them.
#[derive(Debug, Default)]
pub enum Value<'a> {
    /// Not there, or of no use.
    #[default]
    Nothing,
    /// A string.
    Text(Cow<'a, str>),
    /// A whole number.
    Number(u64),
    /// True or false.
    Flag(bool),
    /// An array.
    List(Vec<Value<'a>>),
}

impl<'a> Value<'a> {
    /// As text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            Value::Nothing | Value::Number(_) | Value::Flag(_) | Value::List(_) => None,
        }
    }

    /// As a whole number, also when it is written as text.
    pub fn number(&self) -> Option<u64> {
        match self {
            Value::Number(number) => Some(*number),
            Value::Text(text) => text.parse().ok(),
            Value::Nothing | Value::Flag(_) | Value::List(_) => None,
        }
    }

    /// As true or false.
    pub const fn flag(&self) -> Option<bool> {
        match self {
            Value::Flag(flag) => Some(*flag),
            Value::Nothing | Value::Text(_) | Value::Number(_) | Value::List(_) => None,
        }
    }

    /// As an id; the error names the key.
    pub fn id(&self, key: &str) -> Result<u64, String> {
        self.number().ok_or_else(|| format!("{key} is not an id"))
    }

    /// As a price; the error names the key.
    pub fn price(&self, key: &str) -> Result<Price, String> {
        let text = self.text().ok_or_else(|| format!("{key} is not a price"))?;
        let price: Price = text.parse().map_err(|error| format!("{key} {text:?} {error}"))?;
        if price > Price::ZERO { Ok(price) } else { Err(format!("{key} {text:?} is not a positive price")) }
    }

    /// As a quantity; the error names the key.
    pub fn qty(&self, key: &str) -> Result<Qty, String> {
        let text = self.text().ok_or_else(|| format!("{key} is not a quantity"))?;
        let qty: Qty = text.parse().map_err(|error| format!("{key} {text:?} {error}"))?;
        if qty >= Qty::ZERO { Ok(qty) } else { Err(format!("{key} {text:?} is a negative quantity")) }
    }

    /// As `[["price", "quantity"], …]`; the error names the key.
    pub fn levels(&self, key: &str) -> Result<Vec<Level>, String> {
        let list = self.list().ok_or_else(|| format!("{key} is not an array"))?;
        list.iter().map(|pair| pair.level(key)).collect()
    }

    fn level(&self, key: &str) -> Result<Level, String> {
        match self.list() {
            Some([price, qty, ..]) => Ok(Level { price: price.price(key)?, qty: qty.qty(key)? }),
            Some([] | [_]) | None => Err(format!("{key} holds something that is not a price and a quantity")),
        }
    }

    fn list(&self) -> Option<&[Value<'a>]> {
        match self {
            Value::List(list) => Some(list),
            Value::Nothing | Value::Text(_) | Value::Number(_) | Value::Flag(_) => None,
        }
    }
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
        while let Some(key) = map.next_key::<Value<'de>>()? {
            let key = key.text().unwrap_or_default();
            if key == "data" {
                fields = map.next_value()?;
            } else if let Some(field) = fields.field(key) {
                *field = map.next_value()?;
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

impl<'a> Fields<'a> {
    fn field(&mut self, key: &str) -> Option<&mut Value<'a>> {
        Some(match key {
            "e" => &mut self.e,
            "E" => &mut self.E,
            "T" => &mut self.T,
            "s" => &mut self.s,
            "U" => &mut self.U,
            "u" => &mut self.u,
            "pu" => &mut self.pu,
            "b" => &mut self.b,
            "B" => &mut self.B,
            "a" => &mut self.a,
            "A" => &mut self.A,
            "p" => &mut self.p,
            "q" => &mut self.q,
            "t" => &mut self.t,
            "m" => &mut self.m,
            "X" => &mut self.X,
            "i" => &mut self.i,
            "r" => &mut self.r,
            "lastUpdateId" => &mut self.last_update_id,
            "bids" => &mut self.bids,
            "asks" => &mut self.asks,
            _ => return None,
        })
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
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
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
        let mut list = Vec::new();
        while let Some(value) = seq.next_element()? {
            list.push(value);
        }
        Ok(Value::List(list))
    }
}
