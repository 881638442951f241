//! A configuration with some of its settings replaced by values of a grid.
//!
//! The replaced file goes through the very reader of `optiflow backtest`, so that a sweep knows every setting that a
//! backtest knows, with the same ranges and the same words. Never guesses a type: the first way of writing a value that
//! the reader takes is the one meant.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::axes::Axis;
use crate::config::ConfigError;
use crate::config::backtest::{LatencyChoice, StrategyName};
use crate::problem::Problem;

/// The configuration that every point starts from, and who reads it.
pub struct Base<C> {
    path: PathBuf,
    table: Table,
    read: Read<C>,
    strategy: StrategyName,
}

/// Reads the text of the file at a path.
type Read<C> = fn(&Path, &str) -> Result<C, ConfigError>;

/// A setting of the file, and the values that a sweep gives it, in the order of the axis.
pub struct Change {
    place: Vec<String>,
    values: Vec<Value>,
}

impl<C> Base<C> {
    /// Reads the configuration; without one, everything has its default.
    pub fn read(config: Option<&Path>, read: Read<C>) -> Result<Base<C>, Problem> {
        let Some(path) = config else { return Ok(Base::of_table(Path::new("the grid"), Table::new(), read)) };
        let failed = |what: String| Problem::Usage(format!("{}: {what}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| failed(format!("cannot be read: {error}")))?;
        // What is wrong before anything is swept is told with the lines of the file.
        read(path, &text).map_err(|error| Problem::Usage(error.to_string()))?;
        let table = text.trim_start_matches('\u{feff}').parse().map_err(|error| failed(format!("{error}")))?;
        Ok(Base::of_table(path, table, read))
    }

    /// A configuration that is read already.
    pub fn of_table(path: &Path, mut table: Table, read: Read<C>) -> Base<C> {
        let (key, empty) = section("backtest");
        table.entry(key).or_insert(empty);
        Base { path: path.to_owned(), table, read, strategy: StrategyName::Grid }
    }

    /// For runs of `strategy`: which table `strategy.` means.
    #[must_use]
    pub fn of(self, strategy: StrategyName) -> Base<C> {
        Base { strategy, ..self }
    }

    /// The configuration as it is.
    pub fn config(&self) -> Result<C, Problem> {
        self.with(&[]).map_err(|problems| Problem::Usage(problems.join("\n")))
    }

    /// What `axis` means.
    pub fn change(&self, axis: &Axis) -> Result<Change, Problem> {
        let place = place(&axis.path, self.strategy).ok_or_else(|| {
            let name = self.strategy.name();
            Problem::Usage(format!("--grid {}: the strategy {name} has no settings to sweep", axis.path))
        })?;
        let values = axis.values.iter().map(|text| self.value(axis, &place, text));
        let values = values.collect::<Result<Vec<_>, Problem>>()?;
        Ok(Change { place, values })
    }

    /// The configuration with value `choice[i]` of every change `i`.
    pub fn point(&self, changes: &[Change], choice: &[usize]) -> Result<C, Problem> {
        assert_eq!(changes.len(), choice.len(), "a point chooses on every axis");
        let chosen = changes.iter().zip(choice).map(|(change, at)| (change.place.as_slice(), &change.values[*at]));
        self.with(&chosen.collect::<Vec<_>>()).map_err(|problems| Problem::Usage(problems.join("\n")))
    }

    /// The first way of writing `text` that the reader takes at `place`.
    fn value(&self, axis: &Axis, place: &[String], text: &str) -> Result<Value, Problem> {
        let mut told: Option<String> = None;
        for value in ways_to_write(&axis.path, text)? {
            let Err(problems) = self.with(&[(place, &value)]) else { return Ok(value) };
            let problem = problems.join("; ");
            if problem.contains(UNKNOWN) {
                let there = self.settings();
                return Err(Problem::Usage(format!(
                    "--grid {}: there is no such setting; there are {there}",
                    axis.path
                )));
            }
            // What a wrong type is told matters less than what a right type is told.
            if told.as_ref().is_none_or(|told| told.contains(": expected ")) {
                told = Some(problem);
            }
        }
        Err(Problem::Usage(format!("--grid {}={text}: {}", axis.path, told.unwrap_or_default())))
    }

    /// The names that a grid may use, as the reader itself lists them.
    fn settings(&self) -> String {
        let known = |table: &str| {
            let place = place(&format!("{table}{NO_KEY}"), self.strategy)?;
            let problem = self.with(&[(&place, &Value::Integer(0))]).err()?.join("; ");
            let (_, names) = problem.split_once(UNKNOWN)?;
            let names = names.split("; ").next()?.split(", ").filter(|name| !TABLES.contains(name));
            Some(names.map(|name| format!("{table}{name}")).collect::<Vec<_>>().join(", "))
        };
        let outer = if self.strategy == StrategyName::ScalpingV1 { OUTER } else { &[] };
        let outer = outer.iter().map(|table| known(&format!("{table}.")));
        [known("strategy."), known("")].into_iter().chain(outer).flatten().collect::<Vec<_>>().join(", ")
    }

    fn with(&self, changes: &[(&[String], &Value)]) -> Result<C, Vec<String>> {
        let mut table = self.table.clone();
        for (place, value) in changes {
            set(&mut table, place, value);
        }
        let text = toml::to_string(&table).map_err(|error| vec![error.to_string()])?;
        // The lines are those of a text that nobody wrote.
        let without_line = |problem: &String| match problem.split_once(": ") {
            Some((line, rest)) if line.starts_with("line ") => rest.to_owned(),
            Some(_) | None => problem.clone(),
        };
        (self.read)(&self.path, &text).map_err(|error| error.problems().iter().map(without_line).collect())
    }
}

/// Where `path` lies in the file; `strategy.` is the table of the strategy, in every symbol where it has one there.
fn place(path: &str, strategy: StrategyName) -> Option<Vec<String>> {
    let (table, rest): (&[&str], &str) = match path.split_once('.') {
        Some(("strategy", rest)) => (table_of(strategy)?, rest),
        Some((outer, _)) if strategy == StrategyName::ScalpingV1 && OUTER.contains(&outer) => (&[], path),
        Some(_) | None => (&["backtest"], path),
    };
    Some(table.iter().copied().chain(rest.split('.')).map(str::to_owned).collect())
}

/// The table with the settings of a strategy.
const fn table_of(strategy: StrategyName) -> Option<&'static [&'static str]> {
    match strategy {
        StrategyName::Grid => Some(&["backtest", "grid"]),
        StrategyName::ScalpingV1 => Some(&["symbol", "scalping_v1"]),
        StrategyName::Script | StrategyName::None => None,
    }
}

fn set(table: &mut Table, place: &[String], value: &Value) {
    match place {
        [] => unreachable!("a setting has a name"),
        [key] => {
            table.insert(key.clone(), value.clone());
        }
        [key, rest @ ..] => {
            let (_, empty) = section(key);
            let inner = table.entry(key.clone()).or_insert_with(|| empty.clone());
            if !inner.is_table() && !inner.is_array() {
                *inner = empty;
            }
            match inner {
                Value::Table(inner) => set(inner, rest, value),
                Value::Array(all) => {
                    all.iter_mut().filter_map(Value::as_table_mut).for_each(|inner| set(inner, rest, value));
                }
                Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {
                    unreachable!("made a table above")
                }
            }
        }
    }
}

/// How `text` may be meant, the likeliest first.
fn ways_to_write(path: &str, text: &str) -> Result<Vec<Value>, Problem> {
    if path == "latency" {
        return latency(text)
            .map(|value| vec![value])
            .map_err(|problem| Problem::Usage(format!("--grid {path}={text}: {problem}")));
    }
    let mut ways = Vec::new();
    if let Ok(flag) = text.parse() {
        ways.push(Value::Boolean(flag));
    }
    if let Ok(number) = text.parse() {
        ways.push(Value::Integer(number));
    } else if let Some(number) = text.parse().ok().filter(|number: &f64| number.is_finite()) {
        ways.push(Value::Float(number));
    }
    ways.push(Value::String(text.to_owned()));
    Ok(ways)
}

/// `ENTRY_NS:RESPONSE_NS`, one number for both, or a file.
fn latency(text: &str) -> Result<Value, String> {
    let is_number = text.parse::<i64>().is_ok();
    let choice = if is_number { format!("{text}:{text}").parse()? } else { text.parse::<LatencyChoice>()? };
    let entries = match choice {
        LatencyChoice::Constant { entry_ns, response_ns } => vec![
            ("entry_ns".to_owned(), Value::Integer(entry_ns)),
            ("response_ns".to_owned(), Value::Integer(response_ns)),
        ],
        LatencyChoice::Table(path) => vec![("table".to_owned(), Value::String(path.display().to_string()))],
        LatencyChoice::Session { file, seed } => vec![
            ("session".to_owned(), Value::String(file.display().to_string())),
            (
                "seed".to_owned(),
                Value::Integer(i64::try_from(seed).map_err(|_| format!("the seed {seed} is too large"))?),
            ),
        ],
    };
    Ok(Value::Table(Table::from_iter(entries)))
}

fn section(name: &str) -> (String, Value) {
    (name.to_owned(), Value::Table(Table::new()))
}

/// What the reader says of a key that nobody asked for.
const UNKNOWN: &str = "unknown key; known here: ";
/// A key that no table has: the reader answers with those that it has.
const NO_KEY: &str = "no_such_key";
/// Tables in a file that are no settings themselves.
const TABLES: &[&str] = &["grid", "scalping_v1"];
/// Tables besides [backtest] that count where the live stages run.
const OUTER: &[&str] = &["symbol", "risk", "oms", "feed"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::backtest::{self, BacktestConfig};

    fn base(text: &str) -> Base<BacktestConfig> {
        Base::of_table(Path::new("c.toml"), text.parse().unwrap(), backtest::from_text)
    }

    fn told(grid: &str) -> String {
        let base = base("[backtest]\nqueue = \"log\"\n[backtest.grid]\nlevels = 3\n");
        let axis: Axis = grid.parse().unwrap();
        match base.change(&axis) {
            Ok(_) => "taken".to_owned(),
            Err(problem) => problem.to_string(),
        }
    }

    #[test]
    fn a_point_is_the_file_with_its_values_in_place() {
        let base = base("[backtest]\nqueue = \"log\"\nmaker_fee = \"1bps\"\n[backtest.grid]\nlevels = 3\nskew = 0.5\n");
        let axes = ["strategy.levels=5,6", "queue=log2", "latency=7:8", "maker_fee=-50", "strategy.period=20ms"];
        let changes: Vec<Change> = axes.iter().map(|axis| base.change(&axis.parse().unwrap()).unwrap()).collect();
        let config = base.point(&changes, &[1, 0, 0, 0, 0]).unwrap();
        assert_eq!((config.grid.levels, config.grid.skew, config.grid.period_ns), (6, 0.5, 20_000_000));
        assert_eq!(config.queue.unwrap().text, "log2");
        assert_eq!(config.latency, Some(LatencyChoice::Constant { entry_ns: 7, response_ns: 8 }));
        assert_eq!(config.terms.maker_fee, Some(-50));
    }

    #[test]
    fn every_kind_of_value_is_taken_as_it_is_written() {
        for grid in [
            "strategy.half_spread=0.00005..0.0002:0.00005",
            "strategy.order_qty=1,0.5",
            "latency=1000000..3000000:1000000",
            "latency=5:6,table.csv",
            "partial_fills=true,false",
            "maker_fee=-0.5bps,200,0.02%",
            "tick=0.1,1",
            "queue=risk-averse,log,power:2",
        ] {
            assert_eq!(told(grid), "taken", "{grid}");
        }
    }

    #[test]
    fn a_wrong_setting_or_value_is_named() {
        for (grid, says) in [
            ("strategy.lvls=1,2", "--grid strategy.lvls: there is no such setting"),
            ("strategy.lvls=1,2", "strategy.levels, strategy.half_spread, strategy.interval"),
            ("strategy.lvls=1,2", "queue, latency"),
            ("colour=1,2", "--grid colour: there is no such setting"),
            ("strategy.levels=0..3:1", "--grid strategy.levels=0: backtest.grid.levels: 0 is outside 1 to 1000"),
            ("strategy.levels=few", "expected an integer"),
            ("queue=log,fast", "--grid queue=fast: backtest.queue: queue model \"fast\" is unknown"),
            ("maker_fee=0.0002", "write a fee as 200ppm"),
            ("latency=5:x", "--grid latency=5:x: "),
            ("queue.depth=1", "expected a text"),
        ] {
            let said = told(grid);
            assert!(said.contains(says), "{grid}: {said}");
        }
        let nobody = base("").of(StrategyName::None).change(&"strategy.levels=1,2".parse().unwrap()).err().unwrap();
        assert!(nobody.to_string().contains("the strategy none has no settings"), "{nobody}");
    }

    #[test]
    fn strategies_of_the_engine_are_changed_in_every_symbol() {
        let symbol = |name: &str| {
            format!(
                "[[symbol]]\nname = \"{name}\"\nstrategy = \"scalping_v1\"\norder_notional_max = \"500\"\n\
                 position_notional_max = \"600\"\nopen_orders_max = 4\nprice_band_bps = 100\n[symbol.scalping_v1]\n"
            )
        };
        let text = "mode = \"sim\"\n[risk]\norders_ten_seconds = 100\norders_minute = 600\nweight_minute = 1200\n\
                    quote_age_max = \"2s\"\ntotal_notional_max = \"900\"\ntotal_open_orders_max = 6\n";
        let text = format!("{text}{}{}", symbol("AUSDT"), symbol("BUSDT"));
        let read: Read<Config> = Config::from_text;
        let base = Base::of_table(Path::new("c.toml"), text.parse().unwrap(), read).of(StrategyName::ScalpingV1);
        let axes = [
            "strategy.take_profit_ticks=7",
            "risk.orders_minute=100..300:100",
            "symbol.open_orders_max=2",
            "queue=log",
        ];
        let changes: Vec<Change> =
            axes.iter().map(|axis| base.change(&axis.parse().unwrap())).collect::<Result<_, _>>().unwrap();
        let config = base.point(&changes, &[0, 2, 0, 0]).unwrap();
        assert_eq!((config.risk.orders_minute, config.symbols.len()), (300, 2));
        for symbol in &config.symbols {
            assert_eq!(symbol.open_orders_max, 2);
            assert!(format!("{:?}", symbol.strategy).contains("take_profit_ticks: 7"), "{:?}", symbol.strategy);
        }
        let told = base.change(&"strategy.luck=1".parse().unwrap()).err().unwrap().to_string();
        for name in ["strategy.order_notional", "queue", "symbol.price_band_bps", "risk.quote_age_max"] {
            assert!(told.contains(name), "{name}: {told}");
        }
    }
}
