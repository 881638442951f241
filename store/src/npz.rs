//! hftbacktest's rows of 64 bytes → ours.
//!
//! Each row is complete in itself, as the peer plays them. Prices and quantities become integers of 10⁻⁸ if they are
//! within a billionth of one, an error otherwise. Rows that count on neither clock are passed
//! over, as the peer does. Never reorders. Runs on the thread that reads.

use std::path::{Path, PathBuf};

use optiflow_base::clock::Nanos;
use optiflow_base::decimal::{self, UNITS};
use optiflow_base::ids::SymbolId;
use optiflow_base::money::{Price, Qty, Side};

use crate::error::{Place, StoreError, Trouble};
use crate::event::{Flags, Kind, Row};
use crate::npy::{Array, Field};

/// An array of the peer's rows being read.
pub(crate) struct PeerFile {
    path: PathBuf,
    array: Array,
    symbol: SymbolId,
    records: Vec<u8>,
}

impl PeerFile {
    /// Opens a `.npz` or `.npy`; its rows will carry `symbol`.
    pub fn open(path: &Path, symbol: SymbolId) -> Result<PeerFile, StoreError> {
        let array = Array::open(path, &FIELDS)?;
        if array.record_len() != RECORD_LEN {
            return Err(StoreError::foreign(path, format!("has records of {} bytes, not 64", array.record_len())));
        }
        Ok(PeerFile { path: path.to_path_buf(), array, symbol, records: Vec::new() })
    }

    /// All its rows.
    pub const fn rows(&self) -> u64 {
        self.array.rows()
    }

    /// Number of the next row.
    pub const fn row(&self) -> u64 {
        self.array.row()
    }

    /// Are the bytes those that were packed? For use after a row made no sense; there are no more rows then.
    pub fn is_intact(&mut self) -> bool {
        self.array.is_intact()
    }

    /// Reads up to `count` rows, appends those that count; true when the array is at its end.
    pub fn read(&mut self, count: usize, into: &mut Vec<Row>) -> Result<bool, StoreError> {
        let first = self.array.row();
        self.array.read(count, &mut self.records)?;
        let (records, rest) = self.records.as_chunks::<RECORD_LEN>();
        assert!(rest.is_empty(), "records are read whole");
        for (record, number) in records.iter().zip(first..) {
            let row = row(record, self.symbol);
            let row = row.map_err(|trouble| StoreError::new(&self.path, Place::Row(number), trouble))?;
            into.extend(row);
        }
        Ok(records.is_empty())
    }
}

fn row(record: &[u8; RECORD_LEN], symbol: SymbolId) -> Result<Option<Row>, Trouble> {
    let (words, _) = record.as_chunks::<8>();
    let flags = u64::from_le_bytes(words[0]);
    let clocks = match (flags & EXCH_EVENT != 0, flags & LOCAL_EVENT != 0) {
        (true, true) => Flags::BOTH,
        (true, false) => Flags::EXCH,
        (false, true) => Flags::LOCAL,
        (false, false) => return Ok(None),
    };
    let (kind, side) = kind_and_side(flags)?;
    let needs_side = matches!(kind, Kind::Depth | Kind::Snapshot | Kind::Top);
    if needs_side && side.is_none() {
        return Err(Trouble::Unfit(format!("ev {flags:#x} is a level of neither side")));
    }
    let clears_all = kind == Kind::Clear && side.is_none();
    let price = f64::from_le_bytes(words[3]);
    let price = if clears_all { 0 } else { units(price).ok_or_else(|| unfit("px", price))? };
    let qty = f64::from_le_bytes(words[4]);
    let qty = if kind == Kind::Clear { 0 } else { units(qty).ok_or_else(|| unfit("qty", qty))? };
    // Rates may be negative.
    let is_of_market = needs_side || kind == Kind::Trade;
    for (name, units) in [("px", price), ("qty", qty)] {
        if is_of_market && units < 0 {
            return Err(Trouble::Unfit(format!("{name} {} is negative", decimal::write_trimmed(units))));
        }
    }
    let id = u64::from_le_bytes(words[5]);
    if id > i64::MAX as u64 {
        return Err(Trouble::Unfit(format!("order_id {id} is too large")));
    }
    Ok(Some(Row {
        exch: time("exch_ts", words[1])?,
        local: time("local_ts", words[2])?,
        price: Price::from_units(price),
        qty: Qty::from_units(qty),
        id,
        symbol,
        kind,
        side,
        flags: clocks,
    }))
}

fn kind_and_side(flags: u64) -> Result<(Kind, Option<Side>), Trouble> {
    let side = match (flags & BUY_EVENT != 0, flags & SELL_EVENT != 0) {
        (true, false) => Some(Side::Buy),
        (false, true) => Some(Side::Sell),
        (false, false) => None,
        (true, true) => return Err(Trouble::Unfit(format!("ev {flags:#x} is on both sides"))),
    };
    match flags & 0xff {
        1 => Ok((Kind::Depth, side)),
        2 => Ok((Kind::Trade, side)),
        3 => Ok((Kind::Clear, side)),
        4 => Ok((Kind::Snapshot, side)),
        5 => Ok((Kind::Top, side)),
        // The numbers that the peer's converter for Binance gives to its own rows.
        100 => Ok((Kind::Index, None)),
        101 => Ok((Kind::Mark, None)),
        102 => Ok((Kind::Funding, None)),
        103 => Ok((Kind::Top, Some(Side::Buy))),
        104 => Ok((Kind::Top, Some(Side::Sell))),
        kind @ 10..=13 => Err(Trouble::Unfit(format!("ev {flags:#x} is an order of a full order log (kind {kind})"))),
        kind => Err(Trouble::Unfit(format!("ev {flags:#x} is of no known kind ({kind})"))),
    }
}

fn time(name: &str, bytes: [u8; 8]) -> Result<Nanos, Trouble> {
    let value = i64::from_le_bytes(bytes);
    u64::try_from(value).map(Nanos).map_err(|_| Trouble::Unfit(format!("{name} {value} is negative")))
}

fn unfit(name: &str, value: f64) -> Trouble {
    Trouble::Unfit(format!("{name} {value} is not a multiple of 0.00000001"))
}

/// The integer of 10⁻⁸ that `value` means; `None` when it means none.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
pub(crate) fn units(value: f64) -> Option<i64> {
    let scaled = value * UNITS as f64;
    let units = scaled.round();
    let is_near = (scaled - units).abs() <= units.abs() * RELATIVE_ERROR_MAX;
    (is_near && units.abs() < UNITS_MAX).then_some(units as i64)
}

/// The fields of a row of the peer.
const FIELDS: [Field; 8] = [
    ("ev", "<u8"),
    ("exch_ts", "<i8"),
    ("local_ts", "<i8"),
    ("px", "<f8"),
    ("qty", "<f8"),
    ("order_id", "<u8"),
    ("ival", "<i8"),
    ("fval", "<f8"),
];
const RECORD_LEN: usize = 64;
const EXCH_EVENT: u64 = 1 << 31;
const LOCAL_EVENT: u64 = 1 << 30;
const BUY_EVENT: u64 = 1 << 29;
const SELL_EVENT: u64 = 1 << 28;
/// How far from its multiple of 10⁻⁸ a double may be, as a share of itself.
const RELATIVE_ERROR_MAX: f64 = 1e-9;
/// 2⁶³, beyond which an integer of 10⁻⁸ does not reach.
const UNITS_MAX: f64 = 9.223_372_036_854_775e18;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_become_the_integers_they_mean_or_nothing() {
        let table = [
            (60_000.1, Some(6_000_010_000_000)),
            (0.1 + 0.2, Some(30_000_000)),
            (0.0, Some(0)),
            (-0.000_1, Some(-10_000)),
            (0.000_000_01, Some(1)),
            (123_456_789.0, Some(12_345_678_900_000_000)),
            (0.000_000_015, None),
            (1.000_000_005, None),
            (1e12, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ];
        for (value, expected) in table {
            assert_eq!(units(value), expected, "{value}");
        }
    }

    fn record(flags: u64, exch: i64, price: f64, qty: f64) -> [u8; RECORD_LEN] {
        let words = [flags, exch as u64, 7, price.to_bits(), qty.to_bits(), 3, 0, 0];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.try_into().unwrap()
    }

    #[test]
    fn rows_of_the_peer_become_ours_or_the_reason_why_not() {
        let both = EXCH_EVENT | LOCAL_EVENT;
        let table = [
            (both | BUY_EVENT | 1, 5, 1.5, 2.0, "Depth Some(Buy) 1.5 2"),
            (both | SELL_EVENT | 2, 5, 1.5, 2.0, "Trade Some(Sell) 1.5 2"),
            (both | 2, 5, 1.5, 2.0, "Trade None 1.5 2"),
            (both | BUY_EVENT | 3, 5, 1.5, f64::NAN, "Clear Some(Buy) 1.5 0"),
            (both | 3, 5, f64::NAN, 0.0, "Clear None 0 0"),
            (both | 104, 5, 1.5, 2.0, "Top Some(Sell) 1.5 2"),
            (BUY_EVENT | 1, 5, 1.5, 2.0, "nothing"),
            (both | 1, 5, 1.5, 2.0, "a level of neither side"),
            (both | BUY_EVENT | SELL_EVENT | 1, 5, 1.5, 2.0, "on both sides"),
            (both | BUY_EVENT | 10, 5, 1.5, 2.0, "a full order log (kind 10)"),
            (both | BUY_EVENT | 99, 5, 1.5, 2.0, "of no known kind (99)"),
            (both | BUY_EVENT | 1, -5, 1.5, 2.0, "exch_ts -5 is negative"),
            (both | BUY_EVENT | 1, 5, -1.5, 2.0, "px -1.5 is negative"),
            (both | SELL_EVENT | 4, 5, 1.5, -2.0, "qty -2 is negative"),
            (both | 2, 5, 1.5, -0.001, "qty -0.001 is negative"),
            (both | 103, 5, 1.5, -2.0, "qty -2 is negative"),
            (both | 102, 5, -0.0001, 0.0, "Funding None -0.0001 0"),
            (both | BUY_EVENT | 1, 5, f64::NAN, 2.0, "px NaN is not a multiple"),
        ];
        for (flags, exch, price, qty, expected) in table {
            let answer = match row(&record(flags, exch, price, qty), SymbolId(0)) {
                Ok(Some(row)) => format!("{:?} {:?} {} {}", row.kind, row.side, row.price, row.qty),
                Ok(None) => "nothing".to_owned(),
                Err(trouble) => trouble.to_string(),
            };
            assert!(answer.contains(expected), "{flags:#x}: {answer}");
        }
    }
}
