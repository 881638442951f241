//! The peer's arrays: equal to the same rows as text, directly and through a store; latency tables likewise.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Scratch, import, read, shared};
use optiflow_base::decimal;
use optiflow_base::money::Side;
use optiflow_store::blocks::Blocks;
use optiflow_store::event::{Kind, Row};
use optiflow_store::import::{Format, Options, Shift};
use optiflow_store::latency::{self, LatencyRow};

/// `kind,side,exch_ts,local_ts,px,qty`, written plainly.
fn text_of(row: &Row) -> String {
    let side = match row.side {
        Some(Side::Buy) => "B",
        Some(Side::Sell) => "S",
        None => "",
    };
    let number = |units: i64| decimal::write_trimmed(units).to_string();
    let (price, qty) = (number(row.price.units()), number(row.qty.units()));
    format!("{},{side},{},{},{price},{qty}", row.kind.name(), row.exch.0, row.local.0)
}

/// The same columns of the oracle's text, its numbers written plainly too.
fn text_of_line(line: &str) -> String {
    let cells: Vec<&str> = line.split(',').collect();
    let number = |text: &str| decimal::write_trimmed(decimal::parse(text.as_bytes()).unwrap()).to_string();
    let qty = if cells[0] == "clear" { "0".to_owned() } else { number(cells[5]) };
    format!("{},{},{},{},{},{qty}", cells[0], cells[1], cells[2], cells[3], number(cells[4]))
}

/// The arrays of market rows among the oracle's files.
fn feeds(oracle: &Path) -> Vec<PathBuf> {
    let mut feeds = Vec::new();
    for folder in ["micro", "feed"] {
        for entry in fs::read_dir(oracle.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let is_feed = path.extension().is_some_and(|extension| extension == "npz")
                && fs::read_to_string(path.with_extension("csv")).unwrap().starts_with("kind,");
            feeds.extend(is_feed.then_some(path));
        }
    }
    feeds.sort();
    feeds
}

#[test]
fn every_array_of_the_oracle_equals_its_text() {
    let Some(shared) = shared("peer") else { return };
    let scratch = Scratch::new("oracle");
    let mut compared = 0;
    for path in feeds(&shared.join("oracle")) {
        let text = fs::read_to_string(path.with_extension("csv")).unwrap();
        let expected: Vec<String> = text.lines().skip(1).map(text_of_line).collect();
        let rows = read(std::slice::from_ref(&path)).unwrap();
        // The text is in local order, each row once; where the clocks disagree the array has a row for each.
        let of = |is_on: fn(&Row) -> bool| rows.iter().filter(|row| is_on(row)).map(text_of).collect::<Vec<_>>();
        assert!(of(Row::on_local) == expected, "{} on the local clock", path.display());
        let exch = |line: &String| line.split(',').nth(2).unwrap().parse::<u64>().unwrap();
        let mut by_exch = expected.clone();
        by_exch.sort_by_key(exch);
        assert!(of(Row::on_exch) == by_exch, "{} on the exchange's clock", path.display());
        assert!(rows.iter().all(|row| row.id == 0 && !row.more()));
        let (report, store) = import(&scratch, Format::Hftbacktest, std::slice::from_ref(&path)).unwrap();
        assert_eq!(report.rows, rows.len() as u64);
        assert!(read(&[store]).unwrap() == rows, "{} through a store", path.display());
        compared += expected.len();
    }
    assert!(compared > 26_000, "{compared} rows were compared");
    eprintln!("{compared} rows of the oracle are equal");
}

#[test]
fn every_latency_table_of_the_oracle_equals_its_text() {
    let Some(shared) = shared("latency") else { return };
    for table in ["micro/lat_intp", "micro/lat_reject", "feed/small_latency"] {
        let path = shared.join("oracle").join(table);
        let rows = latency::read(&path.with_extension("npz")).unwrap();
        assert_eq!(rows, latency::read(&path.with_extension("csv")).unwrap(), "{table}");
        assert!(rows.len() >= 2);
    }
    let rejecting = latency::read(&shared.join("oracle/micro/lat_reject.npz")).unwrap();
    let second = LatencyRow { request: 1_000_025_000_000, exch: 0, response: 1_000_045_000_000 };
    assert_eq!(rejecting[1], second);
}

#[test]
fn an_import_takes_the_symbol_from_the_name_and_moves_times_as_told() {
    let scratch = Scratch::new("shift");
    let record = |flags: u64, at: i64| npy_record([flags, at as u64, at as u64 + 5, 2.5f64.to_bits(), 1f64.to_bits()]);
    let buy = 1 << 31 | 1 << 30 | 1 << 29;
    let records = [record(buy | 1, 10), record(buy | 4, 20), record(1, 15), record(buy | 2, 20)];
    let path = scratch.file("solusdt_20240101.npy", &npy(&PEER_FIELDS, &records));
    let options = Options { shift: Shift::By(-3), ..Options::default() };
    let out = scratch.path("out.parquet");
    let mut told = Vec::new();
    let mut progress = |at: optiflow_store::import::Progress| told.push((at.bytes_done, at.bytes_total, at.rows));
    let report =
        optiflow_store::import::import(Format::Hftbacktest, std::slice::from_ref(&path), &out, &options, &mut progress)
            .unwrap();
    assert_eq!((report.rows, report.shift_ns), (3, -3), "a row on neither clock is passed over");
    assert_eq!(report.symbols[0].name.as_str(), "SOLUSDT");
    assert_eq!(told.last().unwrap().2, 3);
    let rows = Blocks::open(&[out], None).unwrap().into_rows().unwrap();
    let times: Vec<_> = rows.iter().map(|row| (row.kind, row.exch.0, row.local.0)).collect();
    assert_eq!(times, [(Kind::Depth, 10, 12), (Kind::Snapshot, 20, 22), (Kind::Trade, 20, 22)]);
}

#[test]
fn an_array_stored_without_compression_is_read_too_and_its_checksum_kept() {
    let scratch = Scratch::new("stored");
    let buy = 1 << 31 | 1 << 30 | 1 << 29;
    let records: Vec<Vec<u8>> =
        (0..100).map(|at| npy_record([buy | 1, at, at + 5, 2.5f64.to_bits(), 1f64.to_bits()])).collect();
    let array = npy(&PEER_FIELDS, &records);
    let path = scratch.file("a.npz", &stored(&array));
    let rows = read(std::slice::from_ref(&path)).unwrap();
    assert_eq!((rows.len(), rows[99].local.0), (100, 104));
    let mut damaged = fs::read(&path).unwrap();
    let last_qty = 30 + 8 + array.len() - 26;
    damaged[last_qty] ^= 1;
    let error = read(&[scratch.file("a.npz", &damaged)]).unwrap_err().to_string();
    assert!(error.contains("is damaged: the zip entry does not match its checksum"), "{error}");
}

#[test]
fn arrays_of_two_symbols_are_not_taken_for_one() {
    let scratch = Scratch::new("symbols");
    let of = |name: &str, at: u64| {
        let record = npy_record([1 << 31 | 1 << 30 | 1 << 29 | 1, at, at + 5, 2.5f64.to_bits(), 1f64.to_bits()]);
        scratch.file(name, &npy(&PEER_FIELDS, &[record]))
    };
    let paths = [of("btcusdt_1.npy", 10), of("btcusdt_2.npy", 20), of("ethusdt_1.npy", 30)];
    let error = import(&scratch, Format::Hftbacktest, &paths).unwrap_err().to_string();
    assert!(
        error.contains("ethusdt_1.npy: begins with another symbol than the first array; give `--symbol`"),
        "{error}"
    );
    assert_eq!(import(&scratch, Format::Hftbacktest, &paths[..2]).unwrap().0.rows, 2);
}

#[test]
fn headers_that_promise_more_rows_than_there_can_be_are_refused() {
    let scratch = Scratch::new("promise");
    let record = npy_record([1 << 31 | 1 << 30 | 1 << 29 | 1, 10, 15, 2.5f64.to_bits(), 1f64.to_bits()]);
    let whole = npy(&PEER_FIELDS, std::slice::from_ref(&record));
    let text = String::from_utf8_lossy(&whole[10..whole.len() - 64]).replace("(1,)", &format!("({},)", u64::MAX));
    let len = (text.len() as u16).to_le_bytes();
    let array = [b"\x93NUMPY\x01\x00", &len[..], text.as_bytes(), &record].concat();
    let plain = scratch.file("a.npy", &array);
    let packed = scratch.file("a.npz", &stored(&array));
    for paths in [vec![plain.clone(), plain], vec![packed]] {
        let error = read(&paths).unwrap_err().to_string();
        assert!(error.contains(", row 1: is cut off: the array stops here"), "{error}");
    }
    let mut liar = stored(&array);
    let listed = liar.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
    liar[listed + 24..listed + 28].copy_from_slice(&u32::MAX.to_le_bytes().map(|byte| byte - 1));
    let error = read(&[scratch.file("liar.npz", &liar)]).unwrap_err().to_string();
    assert!(error.contains("its zip directory promises more than a file of its size can hold"), "{error}");
}

/// A zip archive of one entry, `data.npy`, as it is.
fn stored(entry: &[u8]) -> Vec<u8> {
    let mut sum = flate2::Crc::new();
    sum.update(entry);
    let (len, name) = (entry.len() as u32, b"data.npy");
    let common = [&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0], &sum.sum().to_le_bytes()[..]].concat();
    let sizes = [len.to_le_bytes(), len.to_le_bytes(), [8, 0, 0, 0]].concat();
    let local = [b"PK\x03\x04", &common[..], &sizes, name, entry].concat();
    let listed = [b"PK\x01\x02", &[20, 0][..], &common, &sizes, &[0; 14], name].concat();
    let (start, size) = (local.len() as u32, listed.len() as u32);
    let end = [b"PK\x05\x06", &[0, 0, 0, 0, 1, 0, 1, 0][..], &size.to_le_bytes(), &start.to_le_bytes(), &[0, 0]];
    [local, listed, end.concat()].concat()
}

const PEER_FIELDS: [(&str, &str); 8] = [
    ("ev", "<u8"),
    ("exch_ts", "<i8"),
    ("local_ts", "<i8"),
    ("px", "<f8"),
    ("qty", "<f8"),
    ("order_id", "<u8"),
    ("ival", "<i8"),
    ("fval", "<f8"),
];

fn npy_record(words: [u64; 5]) -> Vec<u8> {
    words.iter().chain(&[0, 0, 0]).flat_map(|word| word.to_le_bytes()).collect()
}

fn npy(fields: &[(&str, &str)], records: &[Vec<u8>]) -> Vec<u8> {
    let list: Vec<String> = fields.iter().map(|(name, kind)| format!("('{name}', '{kind}')")).collect();
    let shape = records.len();
    let header = format!("{{'descr': [{}], 'fortran_order': False, 'shape': ({shape},), }}\n", list.join(", "));
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(records.concat());
    bytes
}
