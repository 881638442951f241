//! One `--grid PATH=VALUES`: what is swept, and through which values.
//!
//! Values stay text, exactly as a person would write them: ranges step in integers of the finest decimal place given,
//! so that nothing drifts. What a text means is for the setting to say. Never reads a configuration.

use std::fmt;
use std::str::FromStr;

/// A setting and the values it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Which setting, such as `strategy.levels` or `queue`.
    pub path: String,
    /// Its values, in the order given; never empty, never twice the same.
    pub values: Vec<String>,
}

impl Axis {
    /// Has it one value: is it fixed for the whole sweep?
    pub fn is_fixed(&self) -> bool {
        self.values.len() == 1
    }
}

impl FromStr for Axis {
    type Err = String;

    /// Reads `PATH=A..B:STEP` or `PATH=V1,V2,…`.
    fn from_str(text: &str) -> Result<Axis, String> {
        let Some((path, values)) = text.split_once('=') else {
            return Err(format!("{text:?} has no values; write PATH=A..B:STEP or PATH=V1,V2, such as {EXAMPLE}"));
        };
        let (path, values) = (path.trim(), values.trim());
        let is_path = !path.is_empty()
            && path
                .split('.')
                .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
        if !is_path {
            return Err(format!("{path:?} is no setting; write names joined by dots, such as {EXAMPLE}"));
        }
        let values = match range(values)? {
            Some(values) => values,
            None => list(values)?,
        };
        assert!(!values.is_empty() && values.len() <= VALUES_MAX, "an axis has values, and a bound");
        Ok(Axis { path: path.to_owned(), values })
    }
}

fn list(text: &str) -> Result<Vec<String>, String> {
    let values: Vec<String> = text.split(',').map(|value| value.trim().to_owned()).collect();
    if let Some(at) = values.iter().position(String::is_empty) {
        return Err(format!("value {} of {text:?} is empty; write V1,V2 without a comma too many", at + 1));
    }
    for (at, value) in values.iter().enumerate() {
        if values[..at].contains(value) {
            return Err(format!("{value:?} is given twice; give each value once"));
        }
    }
    if values.len() > VALUES_MAX {
        return Err(too_many(values.len() as i128));
    }
    Ok(values)
}

/// The values of `A..B:STEP`; `None` where the text is a list. A range begins with a number: `../table.csv` is a file.
fn range(text: &str) -> Result<Option<Vec<String>>, String> {
    let Some((first, rest)) = text.split_once("..") else { return Ok(None) };
    if !first.trim_start().starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+') {
        return Ok(None);
    }
    let Some((last, step)) = rest.split_once(':') else {
        return Err(format!("the range {text:?} has no step; write A..B:STEP, such as 5..20:5"));
    };
    let [first, last, step] = [first, last, step].map(str::trim);
    let (first, last, step) = (Number::from_str(first)?, Number::from_str(last)?, Number::from_str(step)?);
    let unit = step.unit.clone();
    if first.unit != unit || last.unit != unit {
        return Err(format!("{first}, {last} and {step} are not of one unit; write it after each number of a range"));
    }
    let decimals = first.decimals.max(last.decimals).max(step.decimals);
    let (from, to, by) = (first.at(decimals), last.at(decimals), step.at(decimals));
    if by <= 0 {
        return Err(format!("the step {step} must be above zero"));
    }
    if to < from {
        return Err(format!("{first} is above {last}; write the smaller end first"));
    }
    let count = (to - from) / by + 1;
    if count > VALUES_MAX as i128 {
        return Err(too_many(count));
    }
    let number = |at: i128| Number { units: from + at * by, decimals, unit: unit.clone() }.to_string();
    Ok(Some((0..count).map(number).collect()))
}

fn too_many(count: i128) -> String {
    format!("{count} values are too many; an axis has at most {VALUES_MAX}, so take a larger step")
}

/// A decimal number and the unit written behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Number {
    units: i128,
    decimals: u32,
    unit: String,
}

impl Number {
    /// In units of 10^-decimals.
    fn at(&self, decimals: u32) -> i128 {
        assert!(decimals >= self.decimals, "never rounded");
        self.units * 10_i128.pow(decimals - self.decimals)
    }
}

impl FromStr for Number {
    type Err = String;

    fn from_str(text: &str) -> Result<Number, String> {
        let wrong = || format!("{text:?} is no number; write it out, such as 20, 0.00005 or 100ms");
        let unsigned = text.trim_start_matches(['-', '+']);
        let digits = unsigned.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let (number, unit) = unsigned.split_at(digits);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let is_unit = unit.len() <= UNIT_MAX && unit.bytes().all(|b| b.is_ascii_alphabetic() || b == b'%');
        let is_number = !whole.is_empty() && !fraction.contains('.') && !number.ends_with('.');
        let is_bounded = text.len() - unsigned.len() <= 1 && number.len() <= DIGITS_MAX;
        if !is_unit || !is_number || !is_bounded {
            return Err(wrong());
        }
        let units: i128 = format!("{whole}{fraction}").parse().map_err(|_| wrong())?;
        let units = if text.starts_with('-') { -units } else { units };
        Ok(Number { units, decimals: fraction.len() as u32, unit: unit.to_owned() })
    }
}

impl fmt::Display for Number {
    /// Without zeros behind the last digit that counts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = 10_u128.pow(self.decimals);
        let size = self.units.unsigned_abs();
        let sign = if self.units < 0 { "-" } else { "" };
        write!(f, "{sign}{}", size / one)?;
        let fraction = format!("{:0width$}", size % one, width = self.decimals as usize);
        let fraction = fraction.trim_end_matches('0');
        if self.decimals > 0 && !fraction.is_empty() {
            write!(f, ".{fraction}")?;
        }
        f.write_str(&self.unit)
    }
}

const EXAMPLE: &str = "strategy.levels=5..20:5";
/// Values of one axis.
pub const VALUES_MAX: usize = 10_000;
/// Digits of a number of a range, its point included: exact in 128 bits with room for the decimals of the others.
const DIGITS_MAX: usize = 18;
const UNIT_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> String {
        text.parse::<Axis>().map_or_else(|problem| format!("! {problem}"), |axis| axis.values.join(" "))
    }

    #[test]
    fn ranges_are_inclusive_and_exact_and_lists_are_taken_as_written() {
        for (text, expected) in [
            ("strategy.levels=5..20:5", "5 10 15 20"),
            ("strategy.levels=5..19:5", "5 10 15"),
            ("a=7..7:1", "7"),
            ("a=0.1..0.5:0.1", "0.1 0.2 0.3 0.4 0.5"),
            ("a=0.00005..0.0002:0.00005", "0.00005 0.0001 0.00015 0.0002"),
            ("a=0.5..2:0.5", "0.5 1 1.5 2"),
            ("a=-1..1:1", "-1 0 1"),
            ("a=-0.5..0.5:0.5", "-0.5 0 0.5"),
            ("a=10..30:10", "10 20 30"),
            ("a=50ms..150ms:50ms", "50ms 100ms 150ms"),
            ("maker_fee=-1bps..0bps:0.5bps", "-1bps -0.5bps 0bps"),
            ("a = 1, 2 ,3", "1 2 3"),
            ("queue=risk-averse,log,power:2", "risk-averse log power:2"),
            ("latency=1000000:1000000,5000000:5000000", "1000000:1000000 5000000:5000000"),
            ("latency=../a.csv,./b.csv", "../a.csv ./b.csv"),
            ("partial_fills=true,false", "true false"),
        ] {
            assert_eq!(values(text), expected, "{text}");
        }
        let thousands = "a=0.0001..1:0.0001".parse::<Axis>().unwrap();
        assert_eq!((thousands.values.len(), thousands.values[2].as_str()), (10_000, "0.0003"));
    }

    #[test]
    fn what_is_no_axis_is_told_why() {
        for (text, says) in [
            ("strategy.levels", "has no values"),
            ("=1,2", "is no setting"),
            ("a..b=1", "is no setting"),
            ("a b=1", "is no setting"),
            ("a=", "is empty"),
            ("a=1,,2", "value 2"),
            ("a=1,2,1", "given twice"),
            ("a=1..5", "has no step"),
            ("a=1..5:0", "above zero"),
            ("a=1..5:-1", "above zero"),
            ("a=5..1:1", "smaller end first"),
            ("a=1..x:1", "\"x\" is no number"),
            ("a=1e-5..1e-4:1e-5", "is no number"),
            ("a=1ms..5s:1ms", "one unit"),
            ("a=0..1000000:1", "1000001 values are too many"),
            ("a=1.2.3..5:1", "is no number"),
        ] {
            let said = values(text);
            assert!(said.starts_with("! ") && said.contains(says), "{text}: {said}");
        }
    }
}
