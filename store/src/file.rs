//! One store file: its footer now, its row groups one after the other.
//!
//! Holds one row group at a time. Never trusts bytes whose checksum differs. Opened on the caller's thread, read on the
//! reader thread.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use flate2::Crc;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};

use crate::error::{Place, StoreError};
use crate::event::Row;
use crate::group::{Group, Scratch};
use crate::schema::{self, GROUP_LEN, Notes, SEAL_LEN, SEAL_MARK, SymbolInfo, column};

/// A store file being read.
pub(crate) struct StoreFile {
    path: PathBuf,
    file: File,
    metadata: ParquetMetaData,
    notes: Notes,
    /// Number, for the reader, of each symbol of the file.
    symbols: Vec<u16>,
    group: Option<Group>,
    scratch: Scratch,
    group_next: usize,
    /// Rows given out.
    row: u64,
}

impl StoreFile {
    /// Reads the footer.
    pub fn open(path: &Path) -> Result<StoreFile, StoreError> {
        let mut file = File::open(path).map_err(|error| StoreError::io(path, "open the store", error))?;
        let footer = footer(path, &mut file)?;
        let metadata = ParquetMetaDataReader::decode_metadata(&footer)
            .map_err(|error| StoreError::corrupt(path, Place::Whole, format!("its footer makes no sense ({error})")))?;
        let notes = Notes::read(path, &metadata)?;
        let file = StoreFile {
            path: path.to_path_buf(),
            file,
            metadata,
            symbols: (0..).take(notes.symbols.len()).collect(),
            notes,
            group: None,
            scratch: Scratch::default(),
            group_next: 0,
            row: 0,
        };
        file.check_groups()?;
        Ok(file)
    }

    /// Its symbols, in the order of their numbers in the file.
    pub fn symbols(&self) -> &[SymbolInfo] {
        &self.notes.symbols
    }

    /// Gives the symbols the numbers that rows shall carry.
    pub fn number_symbols(&mut self, numbers: Vec<u16>) {
        assert_eq!(numbers.len(), self.notes.symbols.len(), "one number a symbol");
        self.symbols = numbers;
    }

    /// All its rows.
    pub fn rows(&self) -> u64 {
        self.metadata.row_groups().iter().map(|group| group.num_rows() as u64).sum()
    }

    /// Number of the next row.
    pub const fn row(&self) -> u64 {
        self.row
    }

    /// Appends up to `count` rows; none when the file is at its end.
    pub fn read(&mut self, count: usize, into: &mut Vec<Row>) -> Result<(), StoreError> {
        if self.group.as_ref().is_none_or(|group| group.left() == 0) && !self.next_group()? {
            return Ok(());
        }
        let Some(group) = &mut self.group else { return Ok(()) };
        let now = count.min(group.left());
        let place = self.place(self.group_next - 1);
        let Some(group) = &mut self.group else { return Ok(()) };
        group.read(now, into).map_err(|what| StoreError::corrupt(&self.path, place, what))?;
        self.row += now as u64;
        Ok(())
    }

    fn next_group(&mut self) -> Result<bool, StoreError> {
        let index = self.group_next;
        if index == self.metadata.num_row_groups() {
            return Ok(false);
        }
        if let Some(spent) = self.group.take() {
            self.scratch = spent.into_scratch();
        }
        let place = self.place(index);
        let corrupt = |what: String| StoreError::corrupt(&self.path, place, what);
        let metadata = self.metadata.row_group(index);
        let (base, len) = span(metadata).ok_or_else(|| corrupt("its place in the file makes no sense".to_owned()))?;
        let mut bytes = vec![0; len];
        self.file
            .seek(SeekFrom::Start(base))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(|error| corrupt(format!("its bytes cannot be read ({error})")))?;
        let mut sum = Crc::new();
        sum.update(&bytes);
        if sum.sum() != self.notes.checksums[index] {
            return Err(corrupt("its bytes do not match their checksum".to_owned()));
        }
        let names = &self.notes.symbols;
        let numbers = &self.symbols;
        let symbol = |name: &[u8]| {
            let place = names.iter().position(|info| info.name.as_bytes() == name)?;
            numbers.get(place).copied()
        };
        let scratch = std::mem::take(&mut self.scratch);
        let group = Group::open(metadata, base, Bytes::from(bytes), scratch, symbol).map_err(corrupt)?;
        self.group = Some(group);
        self.group_next += 1;
        Ok(true)
    }

    /// Every group is one of ours: no longer than we write them, and inside the file.
    fn check_groups(&self) -> Result<(), StoreError> {
        let file_len = self.file.metadata().map_err(|error| StoreError::io(&self.path, "measure the store", error))?;
        for (index, group) in self.metadata.row_groups().iter().enumerate() {
            let fits = (1..=GROUP_LEN as i64).contains(&group.num_rows())
                && group.num_columns() == column::COUNT
                && span(group).is_some_and(|(base, len)| base.saturating_add(len as u64) <= file_len.len());
            if !fits {
                let place = Place::Group { index, first: 0, last: 0 };
                return Err(StoreError::corrupt(&self.path, place, "its footer entry makes no sense"));
            }
        }
        Ok(())
    }

    fn place(&self, index: usize) -> Place {
        let before = self.metadata.row_groups().iter().take(index);
        let first: u64 = before.map(|group| group.num_rows() as u64).sum();
        let len = self.metadata.row_group(index).num_rows() as u64;
        Place::Group { index, first, last: first + len - 1 }
    }
}

/// Where the bytes of a row group begin, and how many they are; `None` when that makes no sense.
fn span(group: &RowGroupMetaData) -> Option<(u64, usize)> {
    let mut spans = Vec::with_capacity(column::COUNT);
    for chunk in group.columns() {
        let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
        let start = u64::try_from(start).ok()?;
        spans.push((start, start.checked_add(u64::try_from(chunk.compressed_size()).ok()?)?));
    }
    let base = spans.iter().map(|(start, _)| *start).min()?;
    let end = spans.iter().map(|(_, end)| *end).max()?;
    let len = usize::try_from(end - base).ok()?;
    (len <= GROUP_BYTES_MAX).then_some((base, len))
}

/// The footer, after its seal has been checked: the decoder must not meet a damaged one.
fn footer(path: &Path, file: &mut File) -> Result<Vec<u8>, StoreError> {
    let failed = |error| StoreError::io(path, "read the store", error);
    let cut = || {
        let what = "the end of the Parquet file, with its table of contents, is missing";
        StoreError::truncated(path, Place::Whole, what)
    };
    let len = file.metadata().map_err(failed)?.len();
    let tail_start = len.checked_sub(TAIL_LEN as u64).ok_or_else(cut)?;
    let mut tail = [0; TAIL_LEN];
    file.seek(SeekFrom::Start(tail_start)).and_then(|_| file.read_exact(&mut tail)).map_err(failed)?;
    let [a, b, c, d, magic @ ..] = tail;
    if magic != PARQUET_MAGIC {
        return Err(cut());
    }
    let footer_len = u64::from(u32::from_le_bytes([a, b, c, d]));
    let foreign =
        || StoreError::foreign(path, "is a Parquet file, but not one of our event store, or its end is damaged");
    let seal_start = tail_start.checked_sub(footer_len + SEAL_LEN as u64).ok_or_else(foreign)?;
    let mut sealed = Vec::new();
    file.seek(SeekFrom::Start(seal_start)).and_then(|_| file.read_to_end(&mut sealed)).map_err(failed)?;
    let (seal, mut footer) = match sealed.split_first_chunk::<SEAL_LEN>() {
        Some((seal, footer)) => (*seal, footer.to_vec()),
        None => return Err(foreign()),
    };
    if !seal.starts_with(&SEAL_MARK) {
        return Err(foreign());
    }
    if seal != schema::seal(&footer) {
        return Err(StoreError::corrupt(path, Place::Whole, "its footer does not match its checksum"));
    }
    footer.truncate(footer_len as usize);
    Ok(footer)
}

/// How a Parquet file begins and ends.
pub(crate) const PARQUET_MAGIC: [u8; 4] = *b"PAR1";
/// Length of the footer, and the magic.
const TAIL_LEN: usize = 8;
/// Largest row group in bytes: what its rows would take uncompressed, several times over.
const GROUP_BYTES_MAX: usize = GROUP_LEN * 256;
