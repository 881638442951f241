//! Writes a store: rows in, row groups out, each with a checksum over its bytes.
//!
//! The file grows under a provisional name and takes its own only when it is whole. Holds one row group, whatever the
//! length. Never sorts: rows come in order on each clock. Runs on the caller's thread.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::Crc;
use optiflow_base::clock::Nanos;
use optiflow_base::ids::{SymbolId, SymbolName};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};

use crate::error::{Place, StoreError, Trouble};
use crate::event::{Kind, Row};
use crate::order::Order;
use crate::schema::{self, CLOCKS, GROUP_LEN, Notes, SIDES, SymbolInfo};

/// A store being written.
pub struct Writer {
    path: PathBuf,
    provisional: PathBuf,
    file: SerializedFileWriter<Summed>,
    notes: Notes,
    names: Vec<ByteArray>,
    rows: Vec<Row>,
    order: Order,
    rows_written: u64,
    /// Local times of the first row and the last.
    span: Option<(Nanos, Nanos)>,
    kinds: [u64; Kind::ALL.len()],
    is_whole: bool,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Rows.
    pub rows: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Its symbols and their grids.
    pub symbols: Vec<SymbolInfo>,
    /// Local times of the first row and the last.
    pub span: (Nanos, Nanos),
    /// Rows by kind, in the order of [`Kind::ALL`].
    pub kinds: [u64; Kind::ALL.len()],
}

impl Writer {
    /// Begins the file at `path`; `source` says what the rows are made from.
    ///
    /// # Errors
    /// When the file cannot be created, or another writer has begun it.
    pub fn create(path: &Path, source: &str) -> Result<Writer, StoreError> {
        let provisional = provisional(path);
        let failed = |error: ParquetError| StoreError::io(path, "begin the store", io::Error::other(error));
        let file = File::create_new(&provisional).map_err(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists {
                return StoreError::new(&provisional, Place::Whole, Trouble::Request(PROVISIONAL_EXISTS));
            }
            StoreError::io(path, "create the store", error)
        })?;
        let sink = Summed { file, sum: Crc::new(), bytes: 0, footer: None };
        let columns = schema::columns().map_err(failed)?;
        let mut file = SerializedFileWriter::new(sink, columns, Arc::new(schema::properties())).map_err(failed)?;
        file.flush().map_err(|error| StoreError::io(path, "write the store", error))?;
        file.inner_mut().sum.reset();
        Ok(Writer {
            path: path.to_path_buf(),
            provisional,
            file,
            notes: Notes { source: source.to_owned(), ..Notes::default() },
            names: Vec::new(),
            rows: Vec::with_capacity(GROUP_LEN),
            order: Order::default(),
            rows_written: 0,
            span: None,
            kinds: [0; Kind::ALL.len()],
            is_whole: false,
        })
    }

    /// The number of a symbol, given at its first mention.
    ///
    /// # Errors
    /// When the name is too long, or one too many.
    pub fn symbol(&mut self, name: &str) -> Result<SymbolId, StoreError> {
        let known = self.notes.symbols.iter().position(|info| info.name.as_str() == name);
        let index = known.unwrap_or(self.notes.symbols.len());
        let unfit = |what: String| StoreError::new(&self.path, Place::Whole, Trouble::Unfit(what));
        let number = u16::try_from(index).map_err(|_| unfit(format!("symbol {name} is one too many")))?;
        if known.is_none() {
            let short = SymbolName::from(name).map_err(|_| unfit(format!("symbol name {name:?} is too long")))?;
            self.notes.symbols.push(SymbolInfo::named(short));
            self.names.push(ByteArray::from(name));
        }
        Ok(SymbolId(number))
    }

    /// Notes that local times were moved by `shift_ns`.
    pub const fn note_shift(&mut self, shift_ns: i64) {
        self.notes.shift_ns = shift_ns;
    }

    /// Appends a row.
    ///
    /// # Errors
    /// When a full row group cannot be written.
    ///
    /// # Panics
    /// If the row goes back in time on a clock of its own, or names no symbol of this writer: the caller's bug.
    pub fn push(&mut self, row: Row) -> Result<(), StoreError> {
        assert!(self.order.admits(&row), "rows are written in order on each clock");
        assert!(row.id <= i64::MAX as u64, "an id fits the file");
        let info = &mut self.notes.symbols[row.symbol.index()];
        if row.kind.is_on_grid() {
            info.refine(row.price, row.qty);
        }
        self.kinds[row.kind as usize] += 1;
        let (first, last) = self.span.unwrap_or((row.local, row.local));
        self.span = Some((first.min(row.local), last.max(row.local)));
        self.rows.push(row);
        if self.rows.len() == GROUP_LEN { self.write_group() } else { Ok(()) }
    }

    /// Rows pushed so far.
    pub const fn rows(&self) -> u64 {
        self.rows_written + self.rows.len() as u64
    }

    /// Writes what is left and gives the file its name.
    ///
    /// # Errors
    /// When there was no row, or the file cannot be written.
    pub fn finish(mut self) -> Result<Written, StoreError> {
        if self.rows() == 0 {
            return Err(StoreError::new(&self.path, Place::Whole, Trouble::Empty));
        }
        if !self.rows.is_empty() {
            self.write_group()?;
        }
        for pair in self.notes.write() {
            self.file.append_key_value_metadata(pair);
        }
        self.file.inner_mut().footer = Some(Vec::new());
        self.file.finish().map_err(|error| failed(&self.path, error))?;
        let written = |error| StoreError::io(&self.path, "write the store", error);
        self.file.inner_mut().write_footer().map_err(written)?;
        fs::rename(&self.provisional, &self.path).map_err(written)?;
        self.is_whole = true;
        let symbols = std::mem::take(&mut self.notes.symbols);
        let span = self.span.unwrap_or_default();
        Ok(Written { rows: self.rows_written, bytes: self.file.inner().bytes, symbols, span, kinds: self.kinds })
    }

    fn write_group(&mut self) -> Result<(), StoreError> {
        let mut group = self.file.next_row_group().map_err(|error| failed(&self.path, error))?;
        write_columns(&mut group, &self.rows, &self.names)
            .and_then(|()| group.close())
            .map_err(|error| failed(&self.path, error))?;
        self.file.flush().map_err(|error| StoreError::io(&self.path, "write the store", error))?;
        let sink = self.file.inner_mut();
        self.notes.checksums.push(sink.sum.sum());
        sink.sum.reset();
        self.rows_written += self.rows.len() as u64;
        self.rows.clear();
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.is_whole {
            // Nothing is lost when the remains cannot be removed: they never had the name of a store.
            let _ = fs::remove_file(&self.provisional);
        }
    }
}

/// Where a file grows until it is whole.
fn provisional(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".partial");
    path.with_file_name(name)
}

fn failed(path: &Path, error: ParquetError) -> StoreError {
    StoreError::io(path, "write the store", io::Error::other(error))
}

/// The columns one after the other, in the order of the schema.
fn write_columns<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    rows: &[Row],
    names: &[ByteArray],
) -> Result<(), ParquetError> {
    let kinds = Kind::ALL.map(|kind| ByteArray::from(kind.name()));
    let clocks = CLOCKS.map(|(name, _)| ByteArray::from(name));
    column::<W, Int64Type>(group, rows, |row| row.exch.0 as i64)?;
    column::<W, Int64Type>(group, rows, |row| row.local.0 as i64)?;
    column::<W, ByteArrayType>(group, rows, |row| names[row.symbol.index()].clone())?;
    column::<W, ByteArrayType>(group, rows, |row| kinds[row.kind as usize].clone())?;
    column::<W, Int32Type>(group, rows, side)?;
    column::<W, Int64Type>(group, rows, |row| row.price.units())?;
    column::<W, Int64Type>(group, rows, |row| row.qty.units())?;
    column::<W, Int64Type>(group, rows, |row| row.id as i64)?;
    column::<W, ByteArrayType>(group, rows, |row| clocks[clock(row)].clone())?;
    column::<W, Int32Type>(group, rows, |row| i32::from(row.more()))
}

fn column<W: Write + Send, T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    rows: &[Row],
    value: impl Fn(&Row) -> T::T,
) -> Result<(), ParquetError> {
    let values: Vec<T::T> = rows.iter().map(value).collect();
    let Some(mut column) = group.next_column()? else {
        return Err(ParquetError::General("the schema has too few columns".to_owned()));
    };
    column.typed::<T>().write_batch(&values, None, None)?;
    column.close()
}

fn side(row: &Row) -> i32 {
    SIDES.iter().find(|(_, side)| *side == row.side).map_or(0, |(code, _)| *code)
}

/// Place in [`CLOCKS`].
fn clock(row: &Row) -> usize {
    match (row.on_exch(), row.on_local()) {
        (true, true) | (false, false) => 0,
        (true, false) => 1,
        (false, true) => 2,
    }
}

/// A file whose written bytes are summed, and whose footer is held back until its sum stands before it.
struct Summed {
    file: File,
    sum: Crc,
    bytes: u64,
    footer: Option<Vec<u8>>,
}

impl Summed {
    /// Writes the sum of the footer, where Parquet does not look, and then the footer.
    fn write_footer(&mut self) -> io::Result<()> {
        let footer = self.footer.take().unwrap_or_default();
        let seal = schema::seal(&footer);
        self.write_all(&seal)?;
        self.write_all(&footer)?;
        self.file.sync_all()
    }
}

impl Write for Summed {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if let Some(footer) = &mut self.footer {
            return footer.write(buffer);
        }
        let written = self.file.write(buffer)?;
        self.sum.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

const PROVISIONAL_EXISTS: &str = "is there: another import is writing it, or one was interrupted; wait for it, or remove the file if none is running";
