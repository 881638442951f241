//! What is written is read back, block by block, in bounded memory, over several files.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::BTreeSet;

use common::{Scratch, made_up, read, write};
use optiflow_base::clock::Nanos;
use optiflow_base::ids::SymbolId;
use optiflow_base::money::{Price, Qty, Side};
use optiflow_store::blocks::{BLOCK_LEN, BLOCKS_MAX, Blocks};
use optiflow_store::event::{Flags, Kind, Row};
use proptest::prelude::*;

fn row() -> impl Strategy<Value = Row> {
    let numbers = (0u64..1 << 40, 0u64..1 << 40, any::<i64>(), any::<i64>(), 0u64..=i64::MAX as u64);
    let labels = (0u16..3, 0usize..8, 0usize..3, 0usize..3, any::<bool>());
    (numbers, labels).prop_map(|((exch, gap, price, qty, id), (symbol, kind, side, clock, more))| Row {
        exch: Nanos(exch),
        local: Nanos(exch + gap),
        price: Price::from_units(price.max(-i64::MAX)),
        qty: Qty::from_units(qty.max(-i64::MAX)),
        id,
        symbol: SymbolId(symbol),
        kind: Kind::ALL[kind],
        side: [Some(Side::Buy), Some(Side::Sell), None][side],
        flags: [Flags::BOTH, Flags::EXCH, Flags::LOCAL][clock].with_more(more),
    })
}

/// Times made to go forward on each clock.
fn in_order(mut rows: Vec<Row>) -> Vec<Row> {
    let (mut exch, mut local) = (0, 0);
    for row in &mut rows {
        (exch, local) = (exch + row.exch.0, local + row.local.0);
        (row.exch, row.local) = (Nanos(exch), Nanos(local));
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_rows_are_read_back_as_they_were(rows in prop::collection::vec(row(), 1..400)) {
        let scratch = Scratch::new("any");
        let (path, rows) = (scratch.path("a.parquet"), in_order(rows));
        let written = write(&path, &["BTCUSDT", "ETHUSDT", "SOLUSDT"], rows.iter().copied()).unwrap();
        prop_assert_eq!(written.rows, rows.len() as u64);
        prop_assert_eq!(written.bytes, std::fs::metadata(&path).unwrap().len());
        prop_assert_eq!(read(&[path]).unwrap(), rows);
    }
}

#[test]
fn a_long_file_passes_through_a_bounded_number_of_blocks() {
    let scratch = Scratch::new("long");
    let path = scratch.path("long.parquet");
    let count = 700_000;
    write(&path, &["BTCUSDT"], (0..count).map(made_up)).unwrap();
    let mut blocks = Blocks::open(&[path], None).unwrap();
    assert_eq!(blocks.rows(), count);
    let (mut places, mut next) = (BTreeSet::new(), 0);
    while let Some(block) = blocks.next_block().unwrap() {
        assert!(block.len() <= BLOCK_LEN);
        places.insert(block.as_ptr() as usize);
        for row in block {
            assert_eq!(*row, made_up(next));
            next += 1;
        }
    }
    assert_eq!(next, count);
    assert!(places.len() <= BLOCKS_MAX, "{} blocks were made", places.len());
}

#[test]
fn files_follow_each_other_and_share_their_symbols() {
    let scratch = Scratch::new("several");
    let (first, second) = (scratch.path("1.parquet"), scratch.path("2.parquet"));
    let eth = |number| Row { symbol: SymbolId(0), ..made_up(number) };
    let btc = |number| Row { symbol: SymbolId(1), ..made_up(number) };
    write(&first, &["BTCUSDT"], (0..10).map(made_up)).unwrap();
    write(&second, &["ETHUSDT", "BTCUSDT"], [eth(10), btc(12)]).unwrap();
    let blocks = Blocks::open(&[first.clone(), second.clone()], None).unwrap();
    let names: Vec<&str> = blocks.symbols().iter().map(|info| info.name.as_str()).collect();
    assert_eq!(names, ["BTCUSDT", "ETHUSDT"]);
    assert_eq!(blocks.symbols()[0].tick.to_string(), "0.1");
    assert_eq!(blocks.symbols()[0].lot.to_string(), "0.001");
    let rows = blocks.into_rows().unwrap();
    let symbols: Vec<u16> = rows[8..].iter().map(|row| row.symbol.0).collect();
    assert_eq!(symbols, [0, 0, 1, 0]);
    let error = read(&[second, first]).unwrap_err().to_string();
    assert!(error.contains("1.parquet, row 0: is not sorted: the exchange time goes back"), "{error}");
    assert!(error.contains("give the files in time order"), "{error}");
}

#[test]
fn a_reader_may_be_dropped_at_any_time() {
    let scratch = Scratch::new("dropped");
    let path = scratch.path("a.parquet");
    write(&path, &["BTCUSDT"], (0..100_000).map(made_up)).unwrap();
    drop(Blocks::open(std::slice::from_ref(&path), None).unwrap());
    let mut blocks = Blocks::open(&[path], None).unwrap();
    assert!(blocks.next_block().unwrap().is_some());
}

#[test]
fn a_store_has_its_name_only_when_it_is_whole() {
    let scratch = Scratch::new("whole");
    let path = scratch.path("a.parquet");
    let error = write(&path, &["BTCUSDT"], []).unwrap_err().to_string();
    assert!(error.contains("holds no event"), "{error}");
    assert!(scratch.names().is_empty());
    write(&path, &["BTCUSDT"], (0..10).map(made_up)).unwrap();
    assert_eq!(scratch.names(), ["a.parquet"]);
}

#[test]
#[should_panic(expected = "in order on each clock")]
fn rows_that_go_back_are_the_writers_callers_bug() {
    let scratch = Scratch::new("back");
    let _ = write(&scratch.path("a.parquet"), &["BTCUSDT"], [made_up(10), made_up(0)]);
}
