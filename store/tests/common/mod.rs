//! What the tests of the store share: a directory of their own, made-up rows, and the shared recordings.

#![allow(dead_code, missing_docs, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use optiflow_base::clock::Nanos;
use optiflow_base::ids::SymbolId;
use optiflow_base::money::{Price, Qty, Side};
use optiflow_store::blocks::Blocks;
use optiflow_store::error::StoreError;
use optiflow_store::event::{Flags, Kind, Row};
use optiflow_store::import::{self, Format, Options, Report};
use optiflow_store::writer::{Writer, Written};

/// A directory that is removed with this.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(test: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("optiflow-store-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    pub fn names(&self) -> Vec<String> {
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().to_string_lossy().into_owned();
        let mut names: Vec<String> = fs::read_dir(&self.0).unwrap().map(name).collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The shared directory, or `None` after saying aloud that the test is skipped.
pub fn shared(test: &str) -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    let path = std::env::var_os("OPTIFLOW_SHARED").map_or_else(|| PathBuf::from(default), PathBuf::from);
    let found = path.join("data/usdm").is_dir() && path.join("oracle").is_dir();
    if !found {
        eprintln!("skipped: {test} needs recordings and the oracle in {}", path.display());
    }
    found.then_some(path)
}

/// The `number`-th of made-up rows: a diff of two levels, a trade and a best-price pair, in turn, one each millisecond.
pub fn made_up(number: u64) -> Row {
    let at = 1_700_000_000_000_000_000 + number / 2 * 1_000_000;
    let (kind, side) = match number % 6 {
        0 => (Kind::Depth, Some(Side::Buy)),
        1 => (Kind::Depth, Some(Side::Sell)),
        2 | 3 => (Kind::Trade, (number % 4 == 2).then_some(Side::Sell)),
        4 => (Kind::Top, Some(Side::Buy)),
        _ => (Kind::Top, Some(Side::Sell)),
    };
    let wobble = (number.wrapping_mul(6_364_136_223_846_793_005) >> 33) as i64;
    Row {
        exch: Nanos(at),
        local: Nanos(at + 2_000_000 + (number / 2 % 1000) * 100),
        price: Price::from_units(6_000_000_000_000 + wobble % 1000 * 10_000_000),
        qty: Qty::from_units(wobble % 5000 * 100_000),
        id: number / 2,
        symbol: SymbolId(0),
        kind,
        side,
        flags: Flags::BOTH.with_more(matches!(number % 6, 0 | 4)),
    }
}

pub fn write(path: &Path, symbols: &[&str], rows: impl IntoIterator<Item = Row>) -> Result<Written, StoreError> {
    let mut writer = Writer::create(path, "test")?;
    for symbol in symbols {
        writer.symbol(symbol)?;
    }
    for row in rows {
        writer.push(row)?;
    }
    writer.finish()
}

pub fn read(paths: &[PathBuf]) -> Result<Vec<Row>, StoreError> {
    Blocks::open(paths, None)?.into_rows()
}

/// Imports into `out.parquet` beside the first input's name in `scratch`.
pub fn import(scratch: &Scratch, format: Format, inputs: &[PathBuf]) -> Result<(Report, PathBuf), StoreError> {
    let out = scratch.path("out.parquet");
    let report = import::import(format, inputs, &out, &Options::default(), &mut |_| {})?;
    Ok((report, out))
}

/// Panics unless time goes forward on each clock.
pub fn check_order(rows: &[Row]) {
    for (clock, time) in [
        (Row::on_exch as fn(&Row) -> bool, (|row: &Row| row.exch) as fn(&Row) -> Nanos),
        (Row::on_local, |row: &Row| row.local),
    ] {
        let times: Vec<Nanos> = rows.iter().filter(|row| clock(row)).map(time).collect();
        assert!(times.is_sorted());
    }
}
