//! The columns of the file, what is written beside them, and the table of its symbols.
//!
//! Never reads or writes rows. `docs/store.md` says the same for people.

use std::path::Path;
use std::sync::Arc;

use flate2::Crc;
use optiflow_base::ids::SymbolName;
use optiflow_base::money::{Price, Qty, Side};
use parquet::basic::{Compression, Encoding};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, TypePtr};
use serde::{Deserialize, Serialize};

use crate::error::{Place, StoreError};
use crate::event::Flags;

/// A symbol of a file, and the coarsest grid on which its prices and quantities lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SymbolInfo {
    /// Its name, such as `BTCUSDT`.
    pub name: SymbolName,
    /// Every price is a multiple of it; zero when it is not known.
    pub tick: Price,
    /// Every quantity is a multiple of it; zero when it is not known.
    pub lot: Qty,
}

impl SymbolInfo {
    /// Of which only the name is known.
    pub const fn named(name: SymbolName) -> SymbolInfo {
        SymbolInfo { name, tick: Price::ZERO, lot: Qty::ZERO }
    }

    /// Makes the grid as fine as `price` and `qty` need.
    pub(crate) fn refine(&mut self, price: Price, qty: Qty) {
        self.tick = Price::from_units(greatest_divisor(self.tick.units(), price.units()));
        self.lot = Qty::from_units(greatest_divisor(self.lot.units(), qty.units()));
    }
}

/// Greatest common divisor; zero is divided by everything.
fn greatest_divisor(grid: i64, value: i64) -> i64 {
    if grid != 0 && value % grid == 0 {
        return grid;
    }
    let (mut larger, mut smaller) = (value.abs(), grid.abs());
    while smaller != 0 {
        (larger, smaller) = (smaller, larger % smaller);
    }
    larger
}

/// The symbol that a file name such as `btcusdt_20240808.npz` begins with.
///
/// # Errors
/// When it begins with none.
pub fn symbol_of(path: &Path) -> Result<SymbolName, StoreError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let symbol: String = name.chars().take_while(char::is_ascii_alphanumeric).collect();
    match SymbolName::from(&symbol.to_uppercase()) {
        Ok(symbol) if !symbol.is_empty() => Ok(symbol),
        Ok(_) | Err(_) => Err(StoreError::foreign(path, "has a name that does not begin with a symbol")),
    }
}

/// The columns, in order.
pub(crate) fn columns() -> Result<TypePtr, ParquetError> {
    Ok(Arc::new(parse_message_type(COLUMNS)?))
}

/// How the columns are coded: times and ids as differences, everything else by dictionary, all of it with snappy.
pub(crate) fn properties() -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("optiflow version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true);
    for name in ["exch_ts", "local_ts", "id"] {
        properties = properties
            .set_column_dictionary_enabled(ColumnPath::from(name), false)
            .set_column_encoding(ColumnPath::from(name), Encoding::DELTA_BINARY_PACKED);
    }
    properties.build()
}

/// What is written beside the rows.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// The symbols, in the order of their numbers.
    pub symbols: Vec<SymbolInfo>,
    /// Checksum of the bytes of each row group.
    pub checksums: Vec<u32>,
    /// What the rows were made from.
    pub source: String,
    /// By how much local times were moved, ns.
    pub shift_ns: i64,
}

#[derive(Serialize, Deserialize)]
struct SymbolNote {
    name: String,
    tick: i64,
    lot: i64,
}

impl Notes {
    /// As key and value pairs.
    pub fn write(&self) -> Vec<KeyValue> {
        let note = |info: &SymbolInfo| SymbolNote {
            name: info.name.to_string(),
            tick: info.tick.units(),
            lot: info.lot.units(),
        };
        let symbols: Vec<SymbolNote> = self.symbols.iter().map(note).collect();
        let symbols = serde_json::to_string(&symbols).unwrap_or_default();
        let checksums: String = self.checksums.iter().map(|checksum| format!("{checksum:08x}")).collect();
        [
            (KEY_VERSION, VERSION.to_owned()),
            (KEY_UNITS, UNITS_NOTE.to_owned()),
            (KEY_SYMBOLS, symbols),
            (KEY_SOURCE, self.source.clone()),
            (KEY_SHIFT, self.shift_ns.to_string()),
            (KEY_CHECKSUMS, checksums),
        ]
        .into_iter()
        .map(|(key, value)| KeyValue::new(key.to_owned(), value))
        .collect()
    }

    /// Reads them back, after checking that the file is a store at all.
    pub fn read(path: &Path, metadata: &ParquetMetaData) -> Result<Notes, StoreError> {
        let file = metadata.file_metadata();
        let value = |key: &str| {
            let pairs = file.key_value_metadata()?;
            pairs.iter().find(|pair| pair.key == key).and_then(|pair| pair.value.as_deref())
        };
        let version = value(KEY_VERSION)
            .ok_or_else(|| StoreError::foreign(path, "is a Parquet file, but not one of our event store"))?;
        if version != VERSION {
            let what = format!("is an event store of version {version}, this program reads version {VERSION}");
            return Err(StoreError::foreign(path, what));
        }
        check_columns(path, metadata)?;
        let symbols: Vec<SymbolNote> = value(KEY_SYMBOLS)
            .and_then(|text| serde_json::from_str(text).ok())
            .ok_or_else(|| StoreError::corrupt(path, Place::Whole, "its table of symbols cannot be read"))?;
        let info = |note: SymbolNote| {
            let name = SymbolName::from(&note.name).ok()?;
            Some(SymbolInfo { name, tick: Price::from_units(note.tick), lot: Qty::from_units(note.lot) })
        };
        let symbols: Option<Vec<SymbolInfo>> = symbols.into_iter().map(info).collect();
        let checksums = value(KEY_CHECKSUMS).and_then(read_checksums);
        let checksums = checksums.filter(|checksums| checksums.len() == metadata.num_row_groups());
        match (symbols, checksums) {
            (Some(symbols), Some(checksums)) => Ok(Notes {
                symbols,
                checksums,
                source: value(KEY_SOURCE).unwrap_or_default().to_owned(),
                shift_ns: value(KEY_SHIFT).and_then(|text| text.parse().ok()).unwrap_or_default(),
            }),
            (None, _) => Err(StoreError::corrupt(path, Place::Whole, "a symbol name is too long")),
            (Some(_), None) => Err(StoreError::corrupt(path, Place::Whole, "its checksums do not fit its row groups")),
        }
    }
}

/// What stands before the footer: a mark, and the checksum of all bytes from the footer to the end of the file.
pub(crate) fn seal(footer: &[u8]) -> [u8; SEAL_LEN] {
    let mut sum = Crc::new();
    sum.update(footer);
    let mut seal = [0; SEAL_LEN];
    seal[..4].copy_from_slice(&SEAL_MARK);
    seal[4..].copy_from_slice(&sum.sum().to_le_bytes());
    seal
}

fn read_checksums(text: &str) -> Option<Vec<u32>> {
    let (digits, rest) = text.as_bytes().as_chunks::<8>();
    let checksum = |digits: &[u8; 8]| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    if rest.is_empty() { digits.iter().map(checksum).collect() } else { None }
}

fn check_columns(path: &Path, metadata: &ParquetMetaData) -> Result<(), StoreError> {
    let ours = columns().map_err(|error| StoreError::corrupt(path, Place::Whole, error))?;
    let theirs = metadata.file_metadata().schema_descr();
    let fields = ours.get_fields();
    if theirs.num_columns() != fields.len() {
        let what = format!("has {} columns, an event store has {}", theirs.num_columns(), fields.len());
        return Err(StoreError::foreign(path, what));
    }
    for (field, column) in fields.iter().zip(theirs.columns()) {
        let same = column.name() == field.name()
            && column.physical_type() == field.get_physical_type()
            && column.max_def_level() == 0
            && column.max_rep_level() == 0;
        if !same {
            let what = format!("has a column `{}` where an event store has `{}`", column.name(), field.name());
            return Err(StoreError::foreign(path, what));
        }
    }
    Ok(())
}

/// Place of a column, in the order of [`COLUMNS`].
pub(crate) mod column {
    pub const EXCH: usize = 0;
    pub const LOCAL: usize = 1;
    pub const SYMBOL: usize = 2;
    pub const KIND: usize = 3;
    pub const SIDE: usize = 4;
    pub const PRICE: usize = 5;
    pub const QTY: usize = 6;
    pub const ID: usize = 7;
    pub const CLOCK: usize = 8;
    pub const MORE: usize = 9;
    pub const COUNT: usize = 10;
}

const COLUMNS: &str = "message event {
    required int64 exch_ts;
    required int64 local_ts;
    required binary symbol (STRING);
    required binary kind (STRING);
    required int32 side (INTEGER(8, true));
    required int64 price;
    required int64 qty;
    required int64 id;
    required binary clock (STRING);
    required int32 more (INTEGER(8, false));
}";

/// As written in the column `clock`.
pub(crate) const CLOCKS: [(&str, Flags); 3] =
    [("both", Flags::BOTH), ("exchange", Flags::EXCH), ("local", Flags::LOCAL)];

/// As written in the column `side`.
pub(crate) const SIDES: [(i32, Option<Side>); 3] = [(1, Some(Side::Buy)), (-1, Some(Side::Sell)), (0, None)];

/// Rows of a row group: what is read, checked and held at once.
pub(crate) const GROUP_LEN: usize = 256 * 1024;

/// How a seal begins.
pub(crate) const SEAL_MARK: [u8; 4] = *b"OFES";
/// Mark and checksum.
pub(crate) const SEAL_LEN: usize = 8;

const VERSION: &str = "1";
const UNITS_NOTE: &str = "times: ns since 1970 UTC; price, qty, tick, lot: 1e-8; side: 1 buy, -1 sell, 0 none";
const KEY_VERSION: &str = "optiflow.version";
const KEY_UNITS: &str = "optiflow.units";
const KEY_SYMBOLS: &str = "optiflow.symbols";
const KEY_SOURCE: &str = "optiflow.source";
const KEY_SHIFT: &str = "optiflow.shift_ns";
const KEY_CHECKSUMS: &str = "optiflow.crc32";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_is_the_coarsest_that_holds_every_number() {
        let mut info = SymbolInfo::named(SymbolName::from("BTCUSDT").unwrap());
        for (price, qty, tick, lot) in
            [("100", "2", "100", "2"), ("0", "0", "100", "2"), ("50.5", "0.3", "0.5", "0.1"), ("50", "1", "0.5", "0.1")]
        {
            info.refine(price.parse().unwrap(), qty.parse().unwrap());
            assert_eq!((info.tick.to_string().as_str(), info.lot.to_string().as_str()), (tick, lot), "after {price}");
        }
    }
}
