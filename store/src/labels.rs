//! A column of few distinct values, read as small numbers: dictionary pages, without a text per row.
//!
//! Parquet codes such a column as indices into a dictionary, in runs and packed bits. Each dictionary entry is turned
//! into our number once, a row then costs about a nanosecond. Never allocates per row. Runs on the reader thread.

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageReader};

/// A dictionary-coded column being read.
pub(crate) struct Labels {
    pages: Box<dyn PageReader>,
    name: &'static str,
    /// Our number of each dictionary entry.
    codes: Vec<u16>,
    indices: Indices,
    /// Rows left in the page.
    left: usize,
}

/// How the entries of a dictionary are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Length, then bytes.
    Text,
    /// Four bytes.
    Int32,
}

impl Labels {
    /// Begins to read; `code` turns the bytes of an entry into our number.
    pub fn open(
        mut pages: Box<dyn PageReader>,
        name: &'static str,
        entry: Entry,
        code: impl Fn(&[u8]) -> Option<u16>,
    ) -> Result<Labels, String> {
        let first = pages.get_next_page().map_err(|error| error.to_string())?;
        let Some(Page::DictionaryPage { buf, num_values, .. }) = first else {
            return Err(format!("the column {name} has no dictionary"));
        };
        let codes = dictionary(&buf, num_values, entry, code)
            .ok_or_else(|| format!("the column {name} has a value that is not known"))?;
        Ok(Labels { pages, name, codes, indices: Indices::default(), left: 0 })
    }

    /// Appends the numbers of the next `count` rows.
    pub fn read(&mut self, count: usize, into: &mut Vec<u16>) -> Result<(), String> {
        let mut wanted = count;
        while wanted > 0 {
            if self.left == 0 {
                self.turn_page()?;
            }
            let now = wanted.min(self.left);
            let taken = self.indices.take(now, &self.codes, into);
            taken.ok_or_else(|| format!("the column {} cannot be decoded", self.name))?;
            self.left -= now;
            wanted -= now;
        }
        Ok(())
    }

    fn turn_page(&mut self) -> Result<(), String> {
        let page = self.pages.get_next_page().map_err(|error| error.to_string())?;
        let (buf, num_values, encoding) = match page {
            Some(Page::DataPage { buf, num_values, encoding, .. }) => (buf, num_values, encoding),
            Some(Page::DataPageV2 { buf, num_values, encoding, .. }) => (buf, num_values, encoding),
            Some(Page::DictionaryPage { .. }) => return Err(format!("the column {} has two dictionaries", self.name)),
            None => return Err(format!("the column {} is shorter than the others", self.name)),
        };
        if !matches!(encoding, Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY) {
            return Err(format!("the column {} is not coded by dictionary", self.name));
        }
        self.left = num_values as usize;
        self.indices = Indices::open(buf).ok_or_else(|| format!("the column {} cannot be decoded", self.name))?;
        Ok(())
    }
}

fn dictionary(mut bytes: &[u8], count: u32, entry: Entry, code: impl Fn(&[u8]) -> Option<u16>) -> Option<Vec<u16>> {
    let mut codes = Vec::new();
    for _ in 0..count {
        let len = match entry {
            Entry::Int32 => 4,
            Entry::Text => {
                let (len, rest) = bytes.split_first_chunk::<4>()?;
                bytes = rest;
                u32::from_le_bytes(*len) as usize
            }
        };
        let (value, rest) = bytes.split_at_checked(len)?;
        bytes = rest;
        codes.push(code(value)?);
    }
    Some(codes)
}

/// The indices of one page: Parquet's hybrid of runs and packed bits.
#[derive(Default)]
struct Indices {
    bytes: Bytes,
    /// Next byte to read.
    at: usize,
    /// Bits of an index.
    width: u32,
    run: Run,
}

#[derive(Clone, Copy)]
enum Run {
    /// The same index again and again.
    Repeated { index: u32, left: usize },
    /// Each on its own; `bit` is where the next one begins, counted from the start of the page.
    Packed { bit: usize, left: usize },
}

impl Default for Run {
    fn default() -> Run {
        Run::Repeated { index: 0, left: 0 }
    }
}

impl Indices {
    fn open(bytes: Bytes) -> Option<Indices> {
        let width = u32::from(*bytes.first()?);
        (width <= WIDTH_MAX).then_some(Indices { bytes, at: 1, width, run: Run::default() })
    }

    /// Appends the codes of the next `count` indices; `None` when the page does not hold them.
    fn take(&mut self, count: usize, codes: &[u16], into: &mut Vec<u16>) -> Option<()> {
        let mut wanted = count;
        while wanted > 0 {
            match &mut self.run {
                Run::Repeated { left: 0, .. } | Run::Packed { left: 0, .. } => self.run = self.next_run()?,
                Run::Repeated { index, left } => {
                    let now = wanted.min(*left);
                    let code = *codes.get(*index as usize)?;
                    into.extend(std::iter::repeat_n(code, now));
                    *left -= now;
                    wanted -= now;
                }
                Run::Packed { bit, left } => {
                    let now = wanted.min(*left);
                    unpack(&self.bytes, *bit, self.width, now, codes, into)?;
                    *bit += now * self.width as usize;
                    *left -= now;
                    wanted -= now;
                }
            }
        }
        Some(())
    }

    fn next_run(&mut self) -> Option<Run> {
        let header = self.varint()?;
        let count = (header >> 1) as usize;
        if header & 1 == 0 {
            let len = self.width.div_ceil(8) as usize;
            let value = self.bytes.get(self.at..self.at + len)?;
            let index = value.iter().rev().fold(0, |index, &byte| index << 8 | u32::from(byte));
            self.at += len;
            return Some(Run::Repeated { index, left: count });
        }
        let bit = self.at * 8;
        self.at = self.at.checked_add(count.checked_mul(self.width as usize)?)?;
        Some(Run::Packed { bit, left: count.checked_mul(8)? })
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

/// Appends `count` codes whose indices begin at `bit`.
fn unpack(bytes: &[u8], bit: usize, width: u32, count: usize, codes: &[u16], into: &mut Vec<u16>) -> Option<()> {
    let mask = (1u32 << width) - 1;
    let mut bit = bit;
    for _ in 0..count {
        let from = bytes.get(bit / 8..)?;
        let word = match from.first_chunk::<4>() {
            Some(word) => u32::from_le_bytes(*word),
            None => from.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte)),
        };
        into.push(*codes.get((word >> (bit % 8) & mask) as usize)?);
        bit += width as usize;
    }
    Some(())
}

/// Widest index: two symbols, eight kinds and the like need far less.
const WIDTH_MAX: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8], count: usize) -> Option<Vec<u16>> {
        let codes: Vec<u16> = (100..108).collect();
        let mut into = Vec::new();
        Indices::open(Bytes::copy_from_slice(bytes))?.take(count, &codes, &mut into).map(|()| into)
    }

    #[test]
    fn runs_and_packed_bits_are_read_and_nonsense_is_refused() {
        // Width 3: the format's own example packs 0 to 7 in three bytes.
        let packed = [3, 0b11, 0b1000_1000, 0b1100_0110, 0b1111_1010];
        assert_eq!(decoded(&packed, 8), Some((100..108).collect()));
        assert_eq!(decoded(&[3, 0b1010, 2], 5), Some(vec![102; 5]), "five times index 2");
        assert_eq!(decoded(&[0, 0b110], 3), Some(vec![100; 3]), "no bits at all: the only entry");
        assert_eq!(decoded(&[3, 0b1010, 9], 5), None, "an index beyond the dictionary");
        assert_eq!(decoded(&[3, 0b1010, 2], 6), None, "more than the page holds");
        assert_eq!(decoded(&[40, 2, 0], 1), None, "too wide");
        assert_eq!(decoded(&[], 1), None, "nothing");
    }
}
