//! Tables of order latency: when a request left, when the exchange had it, when its answer was back.
//!
//! Read whole (they are small): hftbacktest's `.npz` or `.npy`, or CSV with a header. Never interpolates.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::error::{ClockName, Place, StoreError, Trouble};
use crate::npy::{Array, Field, NPY_MAGIC};
use crate::zip::ZIP_MAGIC;

/// One measured request. `exch` is zero or less when it never got there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatencyRow {
    /// When it left, ns.
    pub request: i64,
    /// When the exchange had it, ns.
    pub exch: i64,
    /// When its answer was back, ns.
    pub response: i64,
}

/// Reads a table, in order of request time.
///
/// # Errors
/// When it cannot be read, is empty, is not sorted, or an answer is back before its request left.
pub fn read(path: &Path) -> Result<Vec<LatencyRow>, StoreError> {
    let mut magic = Vec::new();
    File::open(path)
        .and_then(|file| file.take(NPY_MAGIC.len() as u64).read_to_end(&mut magic))
        .map_err(|error| StoreError::io(path, "open the latency table", error))?;
    let is_array = magic.starts_with(&ZIP_MAGIC) || magic == NPY_MAGIC;
    let rows = if is_array { read_array(path) } else { read_csv(path) };
    let rows = match rows {
        Ok(rows) if rows.is_empty() => return Err(empty(path)),
        Err(error) if matches!(error.trouble, Trouble::Empty) => return Err(empty(path)),
        Ok(rows) => rows,
        Err(error) => return Err(error),
    };
    for (index, pair) in (1..).zip(rows.windows(2)) {
        let behind_ns = pair[0].request.saturating_sub(pair[1].request);
        if behind_ns > 0 {
            let mend = "sort the table by its first column";
            let trouble = Trouble::Unsorted { clock: ClockName::Local, behind_ns: behind_ns as u64, mend };
            return Err(StoreError::new(path, Place::Row(index), trouble));
        }
    }
    if let Some(index) = rows.iter().position(|row| row.response < row.request) {
        let trouble = Trouble::Unfit("the answer is back before the request left".to_owned());
        return Err(StoreError::new(path, Place::Row(index as u64), trouble));
    }
    Ok(rows)
}

fn read_array(path: &Path) -> Result<Vec<LatencyRow>, StoreError> {
    let mut array = Array::open(path, &FIELDS)?;
    if array.rows() > ROWS_MAX {
        return Err(too_long(path));
    }
    let mut rows = Vec::new();
    let mut records = Vec::new();
    loop {
        array.read(RECORDS_AT_ONCE, &mut records)?;
        if records.is_empty() {
            return Ok(rows);
        }
        rows.extend(records.chunks_exact(array.record_len()).map(|record| {
            let (words, _) = record.as_chunks::<8>();
            let [request, exch, response] = [words[0], words[1], words[2]].map(i64::from_le_bytes);
            LatencyRow { request, exch, response }
        }));
    }
}

fn read_csv(path: &Path) -> Result<Vec<LatencyRow>, StoreError> {
    let file = File::open(path).map_err(|error| StoreError::io(path, "open the latency table", error))?;
    let mut rows = Vec::new();
    for (line, number) in BufReader::new(file).lines().zip(1..) {
        let line = line.map_err(|error| StoreError::corrupt(path, Place::Line(number), error))?;
        if number == 1 {
            if line.trim() != CSV_HEADER {
                return Err(StoreError::foreign(path, format!("does not begin with `{CSV_HEADER}`")));
            }
            continue;
        }
        let mut cells = line.trim().split(',').map(str::parse);
        let (Some(Ok(request)), Some(Ok(exch)), Some(Ok(response)), None) =
            (cells.next(), cells.next(), cells.next(), cells.next())
        else {
            let trouble = Trouble::Unfit(format!("{line:?} is not three whole numbers"));
            return Err(StoreError::new(path, Place::Line(number), trouble));
        };
        rows.push(LatencyRow { request, exch, response });
        if rows.len() as u64 > ROWS_MAX {
            return Err(too_long(path));
        }
    }
    Ok(rows)
}

fn empty(path: &Path) -> StoreError {
    let what = "tells no latency; give at least one measured request, req_ts,exch_ts,resp_ts in ns, or another latency";
    StoreError::new(path, Place::Whole, Trouble::Request(what))
}

fn too_long(path: &Path) -> StoreError {
    StoreError::foreign(path, format!("has more than {ROWS_MAX} rows"))
}

const FIELDS: [Field; 3] = [("req_ts", "<i8"), ("exch_ts", "<i8"), ("resp_ts", "<i8")];
const CSV_HEADER: &str = "req_ts,exch_ts,resp_ts";
const RECORDS_AT_ONCE: usize = 4096;
/// Longest table: a request a millisecond for more than three hours, some 240 MB.
const ROWS_MAX: u64 = 10_000_000;
