//! Reads a TOML file field by field and collects every problem instead of stopping at the first.
//!
//! Each field is named, typed and ranged where it is read; what nobody read is an unknown key. The effective value of
//! every field is kept for `optiflow check`. Never opens a socket, never reads a secret's content. Any thread.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use optiflow_base::money::Notional;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The whole file: where problems and effective values gather.
pub struct Reader<'a> {
    text: &'a str,
    problems: RefCell<Vec<String>>,
    effective: RefCell<Vec<(String, String)>>,
}

/// One table of the file; an absent table reads as empty, so that each missing field is named.
pub struct Section<'a> {
    reader: &'a Reader<'a>,
    table: Option<&'a DeTable<'a>>,
    path: String,
    read: RefCell<Vec<&'static str>>,
}

impl<'a> Reader<'a> {
    /// A reader of the file's text.
    pub const fn new(text: &'a str) -> Reader<'a> {
        Reader { text, problems: RefCell::new(Vec::new()), effective: RefCell::new(Vec::new()) }
    }

    /// The top of the file.
    pub fn root(&'a self, table: &'a DeTable<'a>) -> Section<'a> {
        Section { reader: self, table: Some(table), path: String::new(), read: RefCell::default() }
    }

    /// Adds a problem that no single field shows.
    pub fn problem(&self, text: String) {
        self.problems.borrow_mut().push(text);
    }

    /// Adds a problem that `fields` have with each other: the first is named. Where one could not be read, that is told
    /// already, and what stands in for it contradicts nothing.
    pub fn contradiction(&self, fields: &[&str], text: impl Display) {
        let effective = self.effective.borrow();
        if fields.iter().all(|field| effective.iter().any(|(name, _)| name == field)) {
            self.problem(format!("{}: {text}", fields[0]));
        }
    }

    /// Every problem found, in file order as read; and every effective value.
    pub fn finish(self) -> (Vec<String>, Vec<(String, String)>) {
        (self.problems.into_inner(), self.effective.into_inner())
    }

    fn line(&self, offset: usize) -> usize {
        self.text[..offset.min(self.text.len())].bytes().filter(|&byte| byte == b'\n').count() + 1
    }
}

/// Text → tables, or every mistake in the syntax: where and what, without the line itself, in which somebody may have
/// written a key.
///
/// # Errors
/// As it says.
pub fn tables(text: &str) -> Result<Spanned<DeTable<'_>>, Vec<String>> {
    let (tables, mistakes) = DeTable::parse_recoverable(text);
    let told = |error: &toml::de::Error| {
        let line = error.span().map_or(1, |span| Reader::new(text).line(span.start));
        format!("line {line}: {}", error.message())
    };
    if mistakes.is_empty() { Ok(tables) } else { Err(mistakes.iter().map(told).collect()) }
}

impl<'a> Section<'a> {
    /// The table `[key]`.
    pub fn child(&self, key: &'static str) -> Section<'a> {
        let value = self.value(key);
        let table = value.and_then(|(value, _)| value.as_table());
        if let (Some((value, line)), None) = (value, table) {
            self.reader.problem(format!(
                "line {line}: {}: expected a table, found {}",
                self.name(key),
                value.type_str()
            ));
        }
        Section { reader: self.reader, table, path: self.name(key), read: RefCell::default() }
    }

    /// The tables `[[key]]`.
    pub fn children(&self, key: &'static str) -> Vec<Section<'a>> {
        let Some((value, line)) = self.value(key) else { return Vec::new() };
        let Some(array) = value.as_array() else {
            self.reader.problem(format!("line {line}: {}: expected tables [[{key}]]", self.name(key)));
            return Vec::new();
        };
        let tables = array.iter().enumerate().map(|(index, item)| Section {
            reader: self.reader,
            table: item.get_ref().as_table(),
            path: format!("{}[{index}]", self.name(key)),
            read: RefCell::default(),
        });
        tables.collect()
    }

    /// Is the key written in the file?
    pub fn has(&self, key: &'static str) -> bool {
        self.value(key).is_some()
    }

    /// An integer within `range`.
    pub fn int(&self, key: &'static str, default: Option<i64>, range: RangeInclusive<i64>) -> i64 {
        let parsed = self.field(key, default, |value| {
            let digits = value.as_integer().ok_or("expected an integer")?;
            let number = i64::from_str_radix(digits.as_str(), digits.radix()).map_err(|_| "integer too large")?;
            within(number, &range)
        });
        parsed.or(default).unwrap_or(*range.start())
    }

    /// A ratio or threshold for signals; never money.
    pub fn float(&self, key: &'static str, default: Option<f64>, range: RangeInclusive<f64>) -> f64 {
        let parsed = self.field(key, default, |value| {
            let text = value.as_float().map(|float| float.as_str()).or(value.as_integer().map(|int| int.as_str()));
            let number: f64 = text.and_then(|text| text.parse().ok()).ok_or("expected a number")?;
            within(number, &range)
        });
        parsed.or(default).unwrap_or(*range.start())
    }

    /// An amount of the quote asset, written as text or as a whole number so that nothing is rounded.
    pub fn amount(&self, key: &'static str, default: Option<Notional>) -> Notional {
        let parsed = self.field(key, default, |value| {
            let text = value.as_str().or(value.as_integer().map(|int| int.as_str()));
            let text = text.ok_or("write amounts as text, such as \"250.5\"")?;
            let amount: Notional = text.parse().map_err(|error| format!("{text:?} {error}"))?;
            if amount > Notional::ZERO { Ok(amount) } else { Err(format!("{text:?} must be above zero")) }
        });
        parsed.unwrap_or_default()
    }

    /// A span such as `"60s"`, `"500ms"`, `"2m"`.
    pub fn span(&self, key: &'static str, default: Option<Duration>, range: RangeInclusive<Duration>) -> Duration {
        let parsed = self.field(key, default.map(Span), |value| {
            let text = value.as_str().ok_or("expected a duration such as \"60s\"")?;
            let span = parse_duration(text)?;
            if range.contains(&span) {
                return Ok(Span(span));
            }
            Err(format!("{text:?} is outside {:?} to {:?}", range.start(), range.end()))
        });
        parsed.map(|span| span.0).or(default).unwrap_or(*range.start())
    }

    /// A text.
    pub fn text(&self, key: &'static str, default: Option<&str>) -> String {
        let parsed = self.field(key, default.map(str::to_owned), |value| {
            Ok(value.as_str().ok_or("expected a text in quotes")?.to_owned())
        });
        parsed.unwrap_or_default()
    }

    /// The path of a key's file. What looks like the key itself is refused without being shown.
    pub fn key_file(&self, key: &'static str) -> PathBuf {
        let parsed = self.field(key, None::<String>, |value| {
            let text = value.as_str().ok_or("expected the path of a file, in quotes")?;
            let is_key = text.contains("PRIVATE KEY")
                || text.len() >= KEY_LEN_LEAST
                    && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+=_-".contains(&byte));
            if is_key {
                return Err(
                    "this looks like the key itself; write it into a file of mode 0600 and name that".to_owned()
                );
            }
            Ok(text.to_owned())
        });
        parsed.unwrap_or_default().into()
    }

    /// A text that may be absent.
    pub fn maybe_text(&self, key: &'static str) -> Option<String> {
        self.has(key).then(|| self.text(key, None))
    }

    /// True or false.
    pub fn flag(&self, key: &'static str, default: Option<bool>) -> bool {
        self.field(key, default, |value| Ok(value.as_bool().ok_or("expected true or false")?)).unwrap_or_default()
    }

    /// One of a few words.
    pub fn choice(&self, key: &'static str, default: Option<&str>, words: &[&str]) -> String {
        let parsed = self.field(key, default.map(str::to_owned), |value| {
            let word = value.as_str().ok_or("expected a text in quotes")?;
            let known = words.contains(&word);
            if known { Ok(word.to_owned()) } else { Err(format!("{word:?} is none of {}", words.join(", "))) }
        });
        parsed.unwrap_or_default()
    }

    /// Adds a problem of one field.
    pub fn problem(&self, key: &str, text: impl Display) {
        let line = self.table.and_then(|table| table.get(key)).map(|value| self.reader.line(value.span().start));
        let place = line.map_or(String::new(), |line| format!("line {line}: "));
        self.reader.problem(format!("{place}{}: {text}", self.name(key)));
    }

    /// Names every key that nobody asked for. Call when all fields of the table have been read.
    pub fn end(self) {
        let read = self.read.borrow();
        for key in self.table.iter().flat_map(|table| table.keys()) {
            if !read.contains(&key.get_ref().as_ref()) {
                let line = self.reader.line(key.span().start);
                let name = self.name(key.get_ref());
                self.reader.problem(format!("line {line}: {name}: unknown key; known here: {}", read.join(", ")));
            }
        }
    }

    fn field<T: Display>(
        &self,
        key: &'static str,
        default: Option<T>,
        parse: impl Fn(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<T> {
        let parsed = match (self.value(key), default) {
            (Some((value, line)), _) => parse(value).map_err(|what| format!("line {line}: {}: {what}", self.name(key))),
            (None, Some(default)) => Ok(default),
            (None, None) => Err(format!("{}: missing; it has no default", self.name(key))),
        };
        match parsed {
            Ok(value) => {
                self.reader.effective.borrow_mut().push((self.name(key), value.to_string()));
                Some(value)
            }
            Err(problem) => {
                self.reader.problem(problem);
                None
            }
        }
    }

    fn value(&self, key: &'static str) -> Option<(&'a DeValue<'a>, usize)> {
        let mut read = self.read.borrow_mut();
        if !read.contains(&key) {
            read.push(key);
        }
        let value = self.table?.get(key)?;
        Some((value.get_ref(), self.reader.line(value.span().start)))
    }

    fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// Reads `250ms`, `60s`, `2m`, `1h`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let seconds_millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(format!("{text:?} is no duration: write a whole number and ms, s, m or h")),
    };
    let number: u64 = number.parse().map_err(|_| format!("{text:?} is no duration: it needs a whole number first"))?;
    number.checked_mul(seconds_millis).map(Duration::from_millis).ok_or(format!("{text:?} is too long"))
}

struct Span(Duration);

impl Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

fn within<T: PartialOrd + Display>(value: T, range: &RangeInclusive<T>) -> Result<T, String> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(format!("{value} is outside {} to {}", range.start(), range.end()))
}

/// No key is shorter, and no sane file name without a dot or a slash is longer.
const KEY_LEN_LEAST: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str, read: impl Fn(&Section<'_>)) -> Vec<String> {
        let parsed = DeTable::parse(text).unwrap();
        let reader = Reader::new(text);
        let section = reader.root(parsed.get_ref());
        read(&section);
        section.end();
        reader.finish().0
    }

    #[test]
    fn every_problem_is_listed_with_its_line() {
        let text = "a = 11\nb = \"x\"\ntypo = 1\nc = 1.5\n[d]\ne = \"6 s\"\nf = \"1m\"\ng = 0\n";
        let found = problems(text, |root| {
            root.int("a", None, 0..=10);
            root.flag("b", None);
            root.amount("c", None);
            root.int("missing", None, 0..=1);
            let d = root.child("d");
            d.span("e", None, Duration::ZERO..=Duration::from_secs(9));
            d.span("f", None, Duration::ZERO..=Duration::from_secs(9));
            d.amount("g", None);
            d.end();
        });
        let expected = [
            "line 1: a: 11 is outside 0 to 10",
            "line 2: b: expected true or false",
            "line 4: c: write amounts as text, such as \"250.5\"",
            "missing: missing; it has no default",
            "line 6: d.e: \"6 s\" is no duration: write a whole number and ms, s, m or h",
            "line 7: d.f: \"1m\" is outside 0ns to 9s",
            "line 8: d.g: \"0\" must be above zero",
            "line 3: typo: unknown key; known here: a, b, c, missing, d",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn an_absent_table_names_each_missing_field() {
        let found = problems("", |root| {
            root.child("risk").int("orders", None, 0..=1);
        });
        assert_eq!(found, ["risk.orders: missing; it has no default"]);
    }

    #[test]
    fn durations_read_with_their_unit() {
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "s", "5", "-5s", "1.5s", "99999999999999999999h", "9999999999999999h"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
