//! One array out of a zip archive, as `numpy.savez` writes them: found in the directory, streamed, checksummed.
//!
//! Knows stored and deflated entries and the 64-bit extension, nothing else of zip. Never unpacks into memory or onto
//! disk. Runs on the thread that reads.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Take};
use std::path::Path;

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

use crate::error::{Place, StoreError};

/// The unpacked bytes of an entry.
pub(crate) struct Entry {
    reader: Unpacked,
    sum: Crc,
    /// Bytes still to come, by the directory.
    left: u64,
    expected: u32,
    /// Bytes unpacked, by the directory.
    unpacked: u64,
}

impl Entry {
    /// Bytes it has unpacked, by the directory.
    pub const fn unpacked(&self) -> u64 {
        self.unpacked
    }
}

enum Unpacked {
    Stored(Take<BufReader<File>>),
    Deflated(DeflateDecoder<Take<BufReader<File>>>),
}

/// Opens the entry `name`, or the only one there is.
pub(crate) fn open(path: &Path, mut file: File, name: &str) -> Result<Entry, StoreError> {
    let entries = directory(path, &mut file)?;
    let found = match entries.iter().find(|entry| entry.name == name) {
        Some(entry) => entry,
        None if entries.len() == 1 => &entries[0],
        None => return Err(StoreError::foreign(path, format!("is a zip archive without `{name}`"))),
    };
    let corrupt = |what: &str| StoreError::corrupt(path, Place::Whole, what);
    let file_len = file.metadata().map_err(|error| StoreError::io(path, "measure the archive", error))?.len();
    if found.packed > file_len || found.unpacked > found.packed.saturating_mul(DEFLATE_RATIO_MAX) {
        return Err(corrupt("its zip directory promises more than a file of its size can hold"));
    }
    let mut header = [0; LOCAL_LEN];
    file.seek(SeekFrom::Start(found.offset))
        .and_then(|_| file.read_exact(&mut header))
        .map_err(|_| corrupt("the zip directory points outside the file"))?;
    if u32_at(&header, 0) != Some(LOCAL_MAGIC) {
        return Err(corrupt("the zip directory points at something else"));
    }
    let skipped = u64::from(u16_at(&header, 26).unwrap_or(0)) + u64::from(u16_at(&header, 28).unwrap_or(0));
    let start = found.offset.saturating_add(LOCAL_LEN as u64 + skipped);
    file.seek(SeekFrom::Start(start)).map_err(|error| StoreError::io(path, "read the archive", error))?;
    let packed = BufReader::with_capacity(BUFFER_LEN, file).take(found.packed);
    let reader = match found.method {
        METHOD_STORED => Unpacked::Stored(packed),
        METHOD_DEFLATED => Unpacked::Deflated(DeflateDecoder::new(packed)),
        method => return Err(StoreError::foreign(path, format!("uses zip method {method}, not stored or deflated"))),
    };
    let unpacked = found.unpacked;
    Ok(Entry { reader, sum: Crc::new(), left: unpacked, expected: found.sum, unpacked })
}

impl Read for Entry {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = match &mut self.reader {
            Unpacked::Stored(reader) => reader.read(buffer)?,
            Unpacked::Deflated(reader) => reader.read(buffer)?,
        };
        self.sum.update(&buffer[..read]);
        self.left = self.left.saturating_sub(read as u64);
        if read == 0 && self.left > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the zip entry stops in the middle"));
        }
        let is_done = self.left == 0;
        if is_done && self.sum.sum() != self.expected {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the zip entry does not match its checksum"));
        }
        Ok(read)
    }
}

struct Listed {
    name: String,
    method: u16,
    sum: u32,
    packed: u64,
    unpacked: u64,
    offset: u64,
}

/// The archive's table of contents, from its end.
fn directory(path: &Path, file: &mut File) -> Result<Vec<Listed>, StoreError> {
    let cut = || StoreError::truncated(path, Place::Whole, "the zip directory at its end is missing");
    let failed = |error| StoreError::io(path, "read the archive", error);
    let len = file.metadata().map_err(failed)?.len();
    let tail_len = len.min(TAIL_LEN);
    let tail = bytes_at(file, len - tail_len, tail_len).map_err(failed)?;
    let magic = END_MAGIC.to_le_bytes();
    let end = tail.windows(magic.len()).rposition(|window| window == magic).ok_or_else(cut)?;
    let mut size = u64::from(u32_at(&tail, end + 12).ok_or_else(cut)?);
    let mut start = u64::from(u32_at(&tail, end + 16).ok_or_else(cut)?);
    if size == SATURATED || start == SATURATED {
        // The 64-bit end record is pointed to by a locator just before the end record.
        let locator = end.checked_sub(LOCATOR_LEN).ok_or_else(cut)?;
        let record = u64_at(&tail, locator + 8).ok_or_else(cut)?;
        let record = bytes_at(file, record, END_64_LEN).map_err(|_| cut())?;
        size = u64_at(&record, 40).ok_or_else(cut)?;
        start = u64_at(&record, 48).ok_or_else(cut)?;
    }
    if size > DIRECTORY_LEN_MAX {
        return Err(StoreError::foreign(path, "is a zip archive with too many entries"));
    }
    let bytes = bytes_at(file, start, size).map_err(|_| cut())?;
    let mut entries = Vec::new();
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let (entry, len) =
            listed(rest).ok_or_else(|| StoreError::corrupt(path, Place::Whole, "its zip directory makes no sense"))?;
        entries.push(entry);
        rest = &rest[len..];
    }
    Ok(entries)
}

/// One entry of the directory and its length.
fn listed(bytes: &[u8]) -> Option<(Listed, usize)> {
    if u32_at(bytes, 0)? != LISTED_MAGIC {
        return None;
    }
    let name_len = usize::from(u16_at(bytes, 28)?);
    let extra_len = usize::from(u16_at(bytes, 30)?);
    let comment_len = usize::from(u16_at(bytes, 32)?);
    let name = bytes.get(LISTED_LEN..LISTED_LEN + name_len)?;
    let extra = bytes.get(LISTED_LEN + name_len..LISTED_LEN + name_len + extra_len)?;
    let len = LISTED_LEN + name_len + extra_len + comment_len;
    bytes.get(..len)?;
    let mut wide = wide_fields(extra).unwrap_or_default().chunks_exact(8);
    let mut field = |at: usize| -> Option<u64> {
        let value = u64::from(u32_at(bytes, at)?);
        if value == SATURATED { u64_at(wide.next()?, 0) } else { Some(value) }
    };
    // The 64-bit extension holds, in this order, those fields that are saturated.
    let (unpacked, packed, offset) = (field(24)?, field(20)?, field(42)?);
    let name = String::from_utf8_lossy(name).into_owned();
    Some((Listed { name, method: u16_at(bytes, 10)?, sum: u32_at(bytes, 16)?, packed, unpacked, offset }, len))
}

/// The 64-bit extension among the extra fields.
fn wide_fields(extra: &[u8]) -> Option<&[u8]> {
    let mut rest = extra;
    while !rest.is_empty() {
        let len = usize::from(u16_at(rest, 2)?);
        let value = rest.get(4..4 + len)?;
        if u16_at(rest, 0)? == WIDE_ID {
            return Some(value);
        }
        rest = &rest[4 + len..];
    }
    None
}

fn bytes_at(file: &mut File, start: u64, len: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(len).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == len { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|chunk| u16::from_le_bytes(*chunk))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_le_bytes(*chunk))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

/// How a zip archive begins.
pub(crate) const ZIP_MAGIC: [u8; 4] = *b"PK\x03\x04";
const LOCAL_MAGIC: u32 = 0x0403_4b50;
const LISTED_MAGIC: u32 = 0x0201_4b50;
const END_MAGIC: u32 = 0x0605_4b50;
const LOCAL_LEN: usize = 30;
const LISTED_LEN: usize = 46;
const LOCATOR_LEN: usize = 20;
const END_64_LEN: u64 = 56;
/// End record with the longest comment, and the locator before it.
const TAIL_LEN: u64 = 22 + 65_535 + LOCATOR_LEN as u64;
/// Largest directory that is read: far more than arrays have names.
const DIRECTORY_LEN_MAX: u64 = 1024 * 1024;
const METHOD_STORED: u16 = 0;
const METHOD_DEFLATED: u16 = 8;
const WIDE_ID: u16 = 1;
/// Deflate makes 258 bytes of two bits at best.
const DEFLATE_RATIO_MAX: u64 = 1032;
/// A 32-bit field whose value is in the 64-bit extension.
const SATURATED: u64 = 0xffff_ffff;
const BUFFER_LEN: usize = 128 * 1024;
