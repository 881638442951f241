//! One row group, read whole, checked against its checksum, and decoded block by block.
//!
//! Holds the bytes of the group (some megabytes) and one page of each column. Never reads the file again once open.
//! Runs on the reader thread.

use std::io;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use optiflow_base::clock::Nanos;
use optiflow_base::ids::SymbolId;
use optiflow_base::money::{Price, Qty};
use parquet::column::page::PageReader;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::Int64Type;
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;

use crate::event::{Flags, Kind, Row};
use crate::labels::{Entry, Labels};
use crate::schema::{CLOCKS, SIDES, column};

/// A row group being decoded.
pub(crate) struct Group {
    numbers: [ColumnReaderImpl<Int64Type>; NUMBERS.len()],
    labels: [Labels; LABELS.len()],
    scratch: Scratch,
    left: usize,
}

/// Where columns are decoded before they become rows.
#[derive(Default)]
pub(crate) struct Scratch {
    numbers: [Vec<i64>; NUMBERS.len()],
    labels: [Vec<u16>; LABELS.len()],
}

impl Group {
    /// Begins to decode `bytes`, which begin at `base` in the file; `symbols` gives the number of a name.
    pub fn open(
        metadata: &RowGroupMetaData,
        base: u64,
        bytes: Bytes,
        scratch: Scratch,
        symbols: impl Fn(&[u8]) -> Option<u16>,
    ) -> Result<Group, String> {
        let len = usize::try_from(metadata.num_rows()).map_err(|_| "its number of rows is negative".to_owned())?;
        let bytes = Arc::new(Span { base, bytes });
        let pages = |index: usize| -> Result<Box<dyn PageReader>, String> {
            let reader = SerializedPageReader::new(Arc::clone(&bytes), metadata.column(index), len, None);
            Ok(Box::new(reader.map_err(|error| error.to_string())?))
        };
        let number = |index: usize| {
            let descriptor = metadata.column(index).column_descr_ptr();
            pages(index).map(|pages| ColumnReaderImpl::<Int64Type>::new(descriptor, pages))
        };
        let [exch, local, price, qty, id] = NUMBERS;
        let numbers = [number(exch)?, number(local)?, number(price)?, number(qty)?, number(id)?];
        let labels = [
            Labels::open(pages(column::SYMBOL)?, "symbol", Entry::Text, symbols)?,
            Labels::open(pages(column::KIND)?, "kind", Entry::Text, |name| {
                place(&Kind::ALL, |kind| kind.name().as_bytes() == name)
            })?,
            Labels::open(pages(column::SIDE)?, "side", Entry::Int32, |code| {
                place(&SIDES, |(side, _)| side.to_le_bytes() == code)
            })?,
            Labels::open(pages(column::CLOCK)?, "clock", Entry::Text, |name| {
                place(&CLOCKS, |(clock, _)| clock.as_bytes() == name)
            })?,
            Labels::open(pages(column::MORE)?, "more", Entry::Int32, |code| {
                place(&[0i32, 1], |more| more.to_le_bytes() == code)
            })?,
        ];
        Ok(Group { numbers, labels, scratch, left: len })
    }

    /// Rows not yet decoded.
    pub const fn left(&self) -> usize {
        self.left
    }

    /// What the next group may use again.
    pub fn into_scratch(self) -> Scratch {
        self.scratch
    }

    /// Appends the next `count` rows.
    pub fn read(&mut self, count: usize, into: &mut Vec<Row>) -> Result<(), String> {
        assert!(count <= self.left, "no more is asked for than there is");
        for (reader, values) in self.numbers.iter_mut().zip(&mut self.scratch.numbers) {
            values.clear();
            while values.len() < count {
                let missing = count - values.len();
                let (records, ..) =
                    reader.read_records(missing, None, None, values).map_err(|error| error.to_string())?;
                if records == 0 {
                    return Err("a column is shorter than the others".to_owned());
                }
            }
        }
        for (reader, codes) in self.labels.iter_mut().zip(&mut self.scratch.labels) {
            codes.clear();
            reader.read(count, codes)?;
        }
        self.left -= count;
        assemble(&self.scratch, count, into)
    }
}

/// Columns → rows.
fn assemble(scratch: &Scratch, count: usize, into: &mut Vec<Row>) -> Result<(), String> {
    let [exch, local, price, qty, id] = scratch.numbers.each_ref().map(|values| &values[..count]);
    let [symbol, kind, side, clock, more] = scratch.labels.each_ref().map(|codes| &codes[..count]);
    let mut negative = 0;
    into.extend((0..count).map(|row| {
        negative |= exch[row] | local[row] | id[row];
        Row {
            exch: Nanos(exch[row] as u64),
            local: Nanos(local[row] as u64),
            price: Price::from_units(price[row]),
            qty: Qty::from_units(qty[row]),
            id: id[row] as u64,
            symbol: SymbolId(symbol[row]),
            kind: Kind::ALL[usize::from(kind[row])],
            side: SIDES[usize::from(side[row])].1,
            flags: FLAGS[usize::from(clock[row])][usize::from(more[row])],
        }
    }));
    if negative < 0 { Err("a time or an id is negative".to_owned()) } else { Ok(()) }
}

fn place<T>(table: &[T], is_it: impl Fn(&T) -> bool) -> Option<u16> {
    table.iter().position(is_it).and_then(|place| u16::try_from(place).ok())
}

/// A span of the file in memory, addressed as in the file.
struct Span {
    base: u64,
    bytes: Bytes,
}

impl Span {
    fn from(&self, start: u64) -> Result<Bytes, ParquetError> {
        let offset = start.checked_sub(self.base).and_then(|offset| usize::try_from(offset).ok());
        match offset {
            Some(offset) if offset <= self.bytes.len() => Ok(self.bytes.slice(offset..)),
            Some(_) | None => Err(ParquetError::EOF("a page lies outside its row group".to_owned())),
        }
    }
}

impl Length for Span {
    fn len(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }
}

impl ChunkReader for Span {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.from(start)?;
        if length > bytes.len() {
            return Err(ParquetError::External(Box::new(io::Error::from(io::ErrorKind::UnexpectedEof))));
        }
        Ok(bytes.slice(..length))
    }
}

/// The columns of plain numbers.
const NUMBERS: [usize; 5] = [column::EXCH, column::LOCAL, column::PRICE, column::QTY, column::ID];
/// The columns of few distinct values, in the order in which they are decoded.
const LABELS: [usize; 5] = [column::SYMBOL, column::KIND, column::SIDE, column::CLOCK, column::MORE];
/// By place in [`CLOCKS`], then without and with more to come.
const FLAGS: [[Flags; 2]; CLOCKS.len()] = [
    [CLOCKS[0].1, CLOCKS[0].1.with_more(true)],
    [CLOCKS[1].1, CLOCKS[1].1.with_more(true)],
    [CLOCKS[2].1, CLOCKS[2].1.with_more(true)],
];
