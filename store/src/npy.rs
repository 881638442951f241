//! Arrays as numpy writes them: `.npy`, or one inside a `.npz`. Header checked, records streamed.
//!
//! Only records of eight-byte little-endian fields, which is what hftbacktest's are. Never holds more than the caller
//! asks for. Runs on the thread that reads.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use crate::error::{Place, StoreError, Trouble};
use crate::zip::{self, ZIP_MAGIC};

/// An array of records being read.
pub(crate) struct Array {
    path: PathBuf,
    reader: Box<dyn Read + Send>,
    record_len: usize,
    rows: u64,
    row: u64,
}

impl Array {
    /// Opens `path` and checks that its records are `fields`; fields after those are allowed and skipped.
    pub fn open(path: &Path, fields: &[Field]) -> Result<Array, StoreError> {
        let failed = |error| StoreError::io(path, "open the array", error);
        let mut file = File::open(path).map_err(failed)?;
        let mut magic = Vec::new();
        (&mut file).take(4).read_to_end(&mut magic).map_err(failed)?;
        if magic.is_empty() {
            return Err(StoreError::new(path, Place::Whole, Trouble::Empty));
        }
        let (mut reader, bytes): (Box<dyn Read + Send>, u64) = if magic == ZIP_MAGIC {
            let entry = zip::open(path, file, "data.npy")?;
            let bytes = entry.unpacked();
            (Box::new(entry), bytes)
        } else {
            let file = File::open(path).map_err(failed)?;
            let bytes = file.metadata().map_err(failed)?.len();
            (Box::new(BufReader::with_capacity(BUFFER_LEN, file)), bytes)
        };
        let (header, header_len) = header(path, &mut reader)?;
        let (record_len, rows) = check_header(path, &header, fields)?;
        // Before anyone makes room for rows that are not there.
        let rows_there = bytes.saturating_sub(header_len) / record_len as u64;
        if rows > rows_there {
            return Err(StoreError::truncated(path, Place::Row(rows_there), "the array stops here"));
        }
        if rows == 0 {
            return Err(StoreError::new(path, Place::Whole, Trouble::Empty));
        }
        Ok(Array { path: path.to_path_buf(), reader, record_len, rows, row: 0 })
    }

    /// All its rows.
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Number of the next row.
    pub const fn row(&self) -> u64 {
        self.row
    }

    /// Bytes of a record.
    pub const fn record_len(&self) -> usize {
        self.record_len
    }

    /// Reads up to `count` records over what `into` holds; none when the array is at its end.
    pub fn read(&mut self, count: usize, into: &mut Vec<u8>) -> Result<(), StoreError> {
        let now = usize::try_from(self.rows - self.row).map_or(count, |left| left.min(count));
        into.resize(now * self.record_len, 0);
        let mut filled = 0;
        while filled < into.len() {
            let read = self.reader.read(&mut into[filled..]);
            let row = self.row + (filled / self.record_len) as u64;
            match read {
                Ok(0) => return Err(StoreError::truncated(&self.path, Place::Row(row), "the array stops here")),
                Ok(read) => filled += read,
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    return Err(StoreError::truncated(&self.path, Place::Row(row), "the packed array stops here"));
                }
                Err(error) => return Err(StoreError::corrupt(&self.path, Place::Row(row), error)),
            }
        }
        self.row += now as u64;
        Ok(())
    }

    /// Are the bytes those that were packed? Reads to the end, where the archive's checksum is known: for use after a
    /// row made no sense.
    pub fn is_intact(&mut self) -> bool {
        std::io::copy(&mut self.reader, &mut std::io::sink()).is_ok()
    }
}

/// A field of a record: its name and its type as numpy writes it.
pub(crate) type Field = (&'static str, &'static str);

/// The text between the magic and the records, and the bytes up to these.
fn header(path: &Path, reader: &mut dyn Read) -> Result<(String, u64), StoreError> {
    let cut = |_| StoreError::truncated(path, Place::Whole, "the header of the array is not whole");
    let mut start = [0; 8];
    reader.read_exact(&mut start).map_err(cut)?;
    if start[..6] != NPY_MAGIC {
        return Err(StoreError::foreign(path, "is not a numpy array"));
    }
    let (len, before) = if start[6] == 1 {
        let mut len = [0; 2];
        reader.read_exact(&mut len).map_err(cut)?;
        (usize::from(u16::from_le_bytes(len)), start.len() + len.len())
    } else {
        let mut len = [0; 4];
        reader.read_exact(&mut len).map_err(cut)?;
        (u32::from_le_bytes(len) as usize, start.len() + len.len())
    };
    if len > HEADER_LEN_MAX {
        return Err(StoreError::corrupt(path, Place::Whole, "the header of the array is too long"));
    }
    let mut text = vec![0; len];
    reader.read_exact(&mut text).map_err(cut)?;
    let no_text = |_| StoreError::corrupt(path, Place::Whole, "the header of the array is no text");
    Ok((String::from_utf8(text).map_err(no_text)?, (before + len) as u64))
}

/// Length of a record and number of rows.
fn check_header(path: &Path, header: &str, fields: &[Field]) -> Result<(usize, u64), StoreError> {
    let wanted = || fields.iter().map(|(name, kind)| format!("{name} {kind}")).collect::<Vec<_>>().join(", ");
    let foreign = |what: &str| StoreError::foreign(path, format!("{what}; its records should be {}", wanted()));
    if header.contains("'fortran_order': True") {
        return Err(foreign("is an array in Fortran order"));
    }
    let records = header
        .split_once("'descr':")
        .and_then(|(_, rest)| rest.split_once('['))
        .and_then(|(_, rest)| rest.split_once(']'))
        .map(|(list, _)| list)
        .ok_or_else(|| foreign("is an array of something else than records"))?;
    // `('ev', '<u8'), ('px', '<f8')`: what is between the quotes is names and types in turn.
    let words: Vec<&str> = records.split('\'').skip(1).step_by(2).collect();
    let (pairs, rest) = words.as_chunks::<2>();
    let are_eight_bytes = pairs.iter().all(|[_, kind]| matches!(*kind, "<u8" | "<i8" | "<f8"));
    let begin_right = pairs.len() >= fields.len()
        && pairs.iter().zip(fields).all(|([name, kind], (field, wanted))| name == field && kind == wanted);
    if !rest.is_empty() || !are_eight_bytes || !begin_right {
        return Err(foreign(&format!("has other records ({})", words.join(" "))));
    }
    let rows = header
        .split_once("'shape': (")
        .and_then(|(_, rest)| rest.split_once(')'))
        .and_then(|(shape, _)| shape.trim_end_matches(',').trim().parse().ok())
        .ok_or_else(|| foreign("is not an array of one dimension"))?;
    Ok((pairs.len() * 8, rows))
}

/// How a numpy array begins.
pub(crate) const NPY_MAGIC: [u8; 6] = *b"\x93NUMPY";
const HEADER_LEN_MAX: usize = 64 * 1024;
const BUFFER_LEN: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_understood_or_the_difference_is_named() {
        let fields: &[Field] = &[("req_ts", "<i8"), ("exch_ts", "<i8")];
        let table = [
            ("{'descr': [('req_ts', '<i8'), ('exch_ts', '<i8')], 'fortran_order': False, 'shape': (3,), }", "16 3"),
            ("{'descr': [('req_ts', '<i8'), ('exch_ts', '<i8'), ('_padding', '<i8')], 'shape': (4,), }", "24 4"),
            ("{'descr': [('req_ts', '<f8'), ('exch_ts', '<i8')], 'shape': (3,), }", "has other records (req_ts <f8"),
            ("{'descr': [('req_ts', '<i8')], 'shape': (3,), }", "has other records (req_ts <i8)"),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }", "is an array of something else"),
            ("{'descr': [('req_ts', '<i8'), ('exch_ts', '<i8')], 'shape': (3, 2), }", "one dimension"),
        ];
        for (header, expected) in table {
            let answer = match check_header(Path::new("x.npy"), header, fields) {
                Ok((len, rows)) => format!("{len} {rows}"),
                Err(error) => error.to_string(),
            };
            assert!(answer.contains(expected), "{header}: {answer}");
        }
    }
}
