//! Parameters of a request: from a query, a form body or the `params` of a WebSocket frame, read as what they should be.
//!
//! Values are percent-decoded here; signatures are made over the raw text, which is the business of `auth`.
//! Never panics on input and never guesses: what cannot be read is an error with the parameter's name in it.

use std::collections::BTreeMap;

use optiflow_base::decimal::{DecimalError, decimals_of};
use optiflow_base::money::{Price, Qty};
use serde_json::value::RawValue;

use super::errors::ApiError;

/// A JSON object whose values are kept as they were sent: signatures are made over the sender's spelling of a number.
pub type RawObject = BTreeMap<String, Box<RawValue>>;

/// Names and decoded values, in the order in which they were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    pairs: Vec<(String, String)>,
}

impl Params {
    /// From a query and a form body; a name in the query hides the same name in the body.
    pub fn from_form(query: &str, body: &str) -> Result<Params, ApiError> {
        let mut pairs = form(query)?;
        for (name, value) in form(body)? {
            if !pairs.iter().any(|(known, _)| *known == name) {
                pairs.push((name, value));
            }
        }
        Ok(Params { pairs })
    }

    /// From a JSON object; numbers and booleans are the text they were sent as, nulls are as good as not sent.
    pub fn from_object(object: &RawObject) -> Result<Params, ApiError> {
        let mut pairs = Vec::with_capacity(object.len());
        for (name, value) in object {
            let text = match value.get() {
                "null" => continue,
                text if text.starts_with('"') => serde_json::from_str(text).map_err(|_| ApiError::invalid(name))?,
                nested if nested.starts_with(['[', '{']) => return Err(ApiError::invalid(name)),
                plain => plain.to_owned(),
            };
            pairs.push((name.clone(), text));
        }
        Ok(Params { pairs })
    }

    /// Names and values as they were sent, decoded.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Was it sent with a value?
    pub fn has(&self, name: &str) -> bool {
        self.raw(name).is_some_and(|value| !value.is_empty())
    }

    /// The value; -1105 when it was sent without one.
    pub fn optional(&self, name: &str) -> Result<Option<&str>, ApiError> {
        match self.raw(name) {
            Some("") => Err(ApiError::empty(name)),
            value => Ok(value),
        }
    }

    /// The value; -1102 without it.
    pub fn mandatory(&self, name: &str) -> Result<&str, ApiError> {
        self.raw(name).filter(|value| !value.is_empty()).ok_or_else(|| ApiError::missing(name))
    }

    /// A whole number; -1100 when it is none.
    pub fn integer(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.optional(name)? else { return Ok(None) };
        let digits = text.len() <= INTEGER_LEN_MAX && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits {
            return Err(ApiError::illegal_characters(name, "^[0-9]{1,20}$"));
        }
        text.parse().map(Some).map_err(|_| ApiError::invalid(name))
    }

    /// A whole number that must be there; -1102 when it is missing or none.
    pub fn mandatory_integer(&self, name: &str) -> Result<u64, ApiError> {
        self.mandatory(name)?.parse().map_err(|_| ApiError::missing(name))
    }

    /// How many rows are wanted; -1130 beyond `1..=max`.
    pub fn limit(&self, default: usize, max: usize) -> Result<usize, ApiError> {
        let Some(limit) = self.integer("limit")? else { return Ok(default) };
        match usize::try_from(limit) {
            Ok(limit) if (1..=max).contains(&limit) => Ok(limit),
            Ok(_) | Err(_) => Err(ApiError::invalid("limit")),
        }
    }

    /// `true` or `false`, as Binance wants them: as text.
    pub fn flag(&self, name: &str, otherwise: ApiError) -> Result<Option<bool>, ApiError> {
        match self.optional(name)? {
            None => Ok(None),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(_) => Err(otherwise),
        }
    }

    /// A price that must be there; -1111 with more decimals than `precision`.
    pub fn price(&self, name: &str, precision: usize) -> Result<Price, ApiError> {
        let price = Price::parse(self.mandatory(name)?.as_bytes()).map_err(|error| unreadable(name, error))?;
        if decimals_of(price.units()) > precision { Err(ApiError::precision()) } else { Ok(price) }
    }

    /// A quantity that must be there; -1111 with more decimals than `precision`.
    pub fn qty(&self, name: &str, precision: usize) -> Result<Qty, ApiError> {
        let qty = Qty::parse(self.mandatory(name)?.as_bytes()).map_err(|error| unreadable(name, error))?;
        if decimals_of(qty.units()) > precision { Err(ApiError::precision()) } else { Ok(qty) }
    }

    fn raw(&self, name: &str) -> Option<&str> {
        self.pairs().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

fn unreadable(name: &str, error: DecimalError) -> ApiError {
    match error {
        DecimalError::TooFine => ApiError::precision(),
        DecimalError::Malformed | DecimalError::TooLarge => ApiError::missing(name),
    }
}

fn form(text: &str) -> Result<Vec<(String, String)>, ApiError> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for part in text.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        if pairs.len() >= PARAMETERS_MAX || pairs.iter().any(|(known, _)| *known == name) {
            return Err(ApiError::duplicate_parameter());
        }
        pairs.push((name, value));
    }
    Ok(pairs)
}

/// Percent-decodes form text; a plus is a space, as forms have it.
fn decode(text: &str) -> Result<String, ApiError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let high = rest.next().and_then(|digit| char::from(digit).to_digit(16));
                let low = rest.next().and_then(|digit| char::from(digit).to_digit(16));
                let (Some(high), Some(low)) = (high, low) else { return Err(ApiError::illegal_text()) };
                bytes.push(u8::try_from(high * 16 + low).map_err(|_| ApiError::illegal_text())?);
            }
            plain => bytes.push(plain),
        }
    }
    String::from_utf8(bytes).map_err(|_| ApiError::illegal_text())
}

/// Digits of the longest integer Binance reads.
const INTEGER_LEN_MAX: usize = 20;
/// Parameters of one request: far beyond what any endpoint takes.
const PARAMETERS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_hides_the_body_and_values_are_decoded() {
        let params = Params::from_form("symbol=BTCUSDT&note=a%20b%2Bc+d", "symbol=ETHUSDT&price=1").unwrap();
        let pairs: Vec<(&str, &str)> = params.pairs().collect();
        assert_eq!(pairs, [("symbol", "BTCUSDT"), ("note", "a b+c d"), ("price", "1")]);
    }

    #[test]
    fn text_that_cannot_be_read_is_refused() {
        for (query, code) in
            [("a=%zz", -1100), ("a=%4", -1100), ("a=%ff", -1100), ("a=1&a=2", -1101), ("a=1&%61=2", -1101)]
        {
            assert_eq!(Params::from_form(query, "").unwrap_err().code, code, "{query}");
        }
    }

    #[test]
    fn values_are_read_as_what_they_should_be_or_refused_by_name() {
        let table: &[(&str, &str)] = &[
            ("limit=5", "Ok(5)"),
            ("", "Ok(500)"),
            ("limit=", "-1105 Parameter 'limit' was empty."),
            ("limit=0", "-1130 Data sent for parameter 'limit' is not valid."),
            ("limit=1001", "-1130 Data sent for parameter 'limit' is not valid."),
            ("limit=99999999999999999999", "-1130 Data sent for parameter 'limit' is not valid."),
            ("limit=abc", "-1100 Illegal characters found in parameter 'limit'; legal range is '^[0-9]{1,20}$'."),
            ("limit=-1", "-1100 Illegal characters found in parameter 'limit'; legal range is '^[0-9]{1,20}$'."),
        ];
        for (query, expected) in table {
            let answer = match Params::from_form(query, "").unwrap().limit(500, 1000) {
                Ok(limit) => format!("Ok({limit})"),
                Err(error) => format!("{} {}", error.code, error.msg),
            };
            assert_eq!(answer, *expected, "{query}");
        }
    }

    #[test]
    fn prices_are_refused_by_what_is_wrong_with_them() {
        for (query, expected) in [
            ("price=83090.10", Ok(8_309_010_000_000)),
            ("price=83090.1000000000", Ok(8_309_010_000_000)),
            ("price=-1", Ok(-100_000_000)),
            ("price=83090.123", Err(-1111)),
            ("price=0.000000001", Err(-1111)),
            ("price=1e5", Err(-1102)),
            ("price=", Err(-1102)),
            ("", Err(-1102)),
            ("price=99999999999999", Err(-1102)),
        ] {
            let price = Params::from_form(query, "").unwrap().price("price", 2);
            assert_eq!(price.map(Price::units).map_err(|error| error.code), expected, "{query}");
        }
    }

    #[test]
    fn json_parameters_become_text() {
        let read = |text: &str| Params::from_object(&serde_json::from_str(text).unwrap());
        let params = read(r#"{"a":1,"b":"x\u0079","c":true,"d":null}"#).unwrap();
        assert_eq!(params.pairs().collect::<Vec<_>>(), [("a", "1"), ("b", "xy"), ("c", "true")]);
        assert_eq!(read(r#"{"a":{}}"#).unwrap_err().code, -1130);
        assert_eq!(read(r#"{"a":[]}"#).unwrap_err().code, -1130);
    }

    #[test]
    fn json_numbers_keep_the_spelling_of_the_sender() {
        for number in ["0.010", "83090.10", "1e-2", "1E+5", "100000000000000000000", "-0.0", "0.00000001"] {
            let params = Params::from_object(&serde_json::from_str(&format!("{{\"a\": {number} }}")).unwrap()).unwrap();
            assert_eq!(params.mandatory("a").unwrap(), number);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_the_reader(query in ".{0,80}", body in ".{0,80}") {
            if let Ok(params) = Params::from_form(&query, &body) {
                let _ = (params.integer("a"), params.limit(1, 2), params.price("a", 2), params.qty("a", 3));
            }
        }
    }
}
