//! Recordings → a store: what `optiflow import` does.
//!
//! hftbacktest's arrays pass row by row; the collector's text is surveyed, converted and put in order on both clocks.
//! Memory is bounded whatever the length. The store appears under its name only when it is whole. Runs on the caller's
//! thread, which `progress` is called on.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use optiflow_base::clock::Nanos;
use optiflow_base::ids::SymbolName;

use crate::blocks::BLOCK_LEN;
use crate::chain::Chain;
use crate::collector::collect;
pub use crate::collector::convert::Heard;
use crate::error::{Place, StoreError, Trouble};
use crate::event::{Kind, Row};
use crate::file::PARQUET_MAGIC;
pub use crate::reorder::Counts;
use crate::schema::{self, SymbolInfo};
use crate::writer::{Writer, Written};

/// Imports `inputs` into the store `out`: text is merged by local time, arrays are given in time order.
///
/// # Errors
/// When an input is damaged, cut off, unsorted, empty or of another kind, or the store cannot be written. There is no
/// store then, or the old one is untouched.
pub fn import(
    format: Format,
    inputs: &[PathBuf],
    out: &Path,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, StoreError> {
    if inputs.is_empty() {
        return Err(StoreError::request("give at least one file to import"));
    }
    check_out(inputs, out)?;
    match format {
        Format::Hftbacktest => import_peer(inputs, out, options, progress),
        Format::Collector => collect::import(inputs, out, options, progress),
    }
}

/// What the inputs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// hftbacktest's arrays, `.npz` or `.npy`; event stores are taken too, to join them.
    Hftbacktest,
    /// The raw text of hftbacktest's collector or of our own recorder.
    Collector,
}

/// How to import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whose rows arrays hold; by default what the first one's file name begins with.
    pub symbol: Option<SymbolName>,
    /// How local times are moved.
    pub shift: Shift,
}

/// How local times are moved: a recorder's clock may have run behind the exchange's, and nothing is received before it
/// happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shift {
    /// By the least that makes no row received before it happened. Arrays are not moved.
    #[default]
    Auto,
    /// By so many nanoseconds.
    By(i64),
}

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the inputs read, as they lie on disk; text is read twice, this is over both times.
    pub bytes_done: u64,
    /// Of so many.
    pub bytes_total: u64,
    /// Rows stored.
    pub rows: u64,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Rows stored.
    pub rows: u64,
    /// Bytes of the store.
    pub bytes: u64,
    /// Symbols and their grids.
    pub symbols: Vec<SymbolInfo>,
    /// Local times of the first row and the last.
    pub span: (Nanos, Nanos),
    /// Rows by kind, in the order of [`Kind::ALL`].
    pub kinds: [u64; Kind::ALL.len()],
    /// By how much local times were moved, ns.
    pub shift_ns: i64,
    /// Messages heard; of text only.
    pub heard: Heard,
    /// Lines read; of text only.
    pub lines: u64,
    /// Lines that say nothing of the market, such as other streams, error bodies, and last lines that were cut.
    pub lines_passed_over: u64,
    /// Snapshots dropped because nothing says which symbol of their file they are of.
    pub bare_snapshots: u64,
    /// Breaks in the sequence of a book.
    pub gaps: u64,
    /// Depth messages dropped because the book was already newer.
    pub stale: u64,
    /// Rows out of order on one clock, and what was done about them.
    pub order: Counts,
}

impl Report {
    /// Of what was written; what only text has is left at zero.
    pub(crate) fn of(written: Written, shift_ns: i64) -> Report {
        let Written { rows, bytes, symbols, span, kinds } = written;
        Report { rows, bytes, symbols, span, kinds, shift_ns, ..Report::default() }
    }
}

impl FromStr for Format {
    type Err = StoreError;
    fn from_str(text: &str) -> Result<Format, StoreError> {
        match text {
            "hftbacktest" => Ok(Format::Hftbacktest),
            "collector" => Ok(Format::Collector),
            _ => Err(StoreError::request("the format is one of hftbacktest, collector")),
        }
    }
}

fn import_peer(
    inputs: &[PathBuf],
    out: &Path,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, StoreError> {
    if options.symbol.is_none() {
        check_symbol(inputs)?;
    }
    let mut chain = Chain::open(inputs, options.symbol)?;
    let mut writer = Writer::create(out, "hftbacktest")?;
    for info in chain.symbols() {
        writer.symbol(&info.name)?;
    }
    let shift_ns = match options.shift {
        Shift::Auto => 0,
        Shift::By(nanos) => nanos,
    };
    writer.note_shift(shift_ns);
    let (bytes_total, rows_total) = (chain.bytes(), chain.rows().max(1));
    let mut block = Vec::with_capacity(BLOCK_LEN);
    let mut rows_done = 0;
    loop {
        block.clear();
        chain.read(BLOCK_LEN, &mut block)?;
        if block.is_empty() {
            break;
        }
        for row in &block {
            writer.push(Row { local: shifted(out, row.local, shift_ns)?, ..*row })?;
        }
        rows_done += block.len() as u64;
        let share = u128::from(bytes_total) * u128::from(rows_done) / u128::from(rows_total);
        progress(Progress { bytes_done: share as u64, bytes_total, rows: writer.rows() });
    }
    Ok(Report::of(writer.finish()?, shift_ns))
}

/// Refuses an `out` that is one of the inputs, by whatever name, or anything but an older store.
fn check_out(inputs: &[PathBuf], out: &Path) -> Result<(), StoreError> {
    let refused = |what| Err(StoreError::new(out, Place::Whole, Trouble::Request(what)));
    let Ok(found) = fs::metadata(out) else { return Ok(()) };
    let is_found = |input: &PathBuf| {
        fs::metadata(input).is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == (found.dev(), found.ino()))
    };
    if inputs.iter().any(is_found) {
        return refused("is also an input; give another `--out`");
    }
    let mut magic = Vec::new();
    if found.is_file() {
        File::open(out)
            .and_then(|file| file.take(PARQUET_MAGIC.len() as u64).read_to_end(&mut magic))
            .map_err(|error| StoreError::io(out, "look at what the store would replace", error))?;
    }
    if magic == PARQUET_MAGIC {
        Ok(())
    } else {
        refused("is there and is no Parquet file; give another `--out`, or remove it")
    }
}

/// Arrays do not say whose rows they hold: names that say different things need a word of the caller's.
fn check_symbol(inputs: &[PathBuf]) -> Result<(), StoreError> {
    let is_array = |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "npz" || extension == "npy");
    let mut names = inputs.iter().filter(is_array).filter_map(|path| Some((path, schema::symbol_of(path).ok()?)));
    let Some((_, first)) = names.next() else { return Ok(()) };
    match names.find(|(_, name)| *name != first) {
        Some((path, _)) => Err(StoreError::new(path, Place::Whole, Trouble::Request(SYMBOLS_DIFFER))),
        None => Ok(()),
    }
}

/// A local time moved by the shift.
pub(crate) fn shifted(path: &Path, local: Nanos, shift_ns: i64) -> Result<Nanos, StoreError> {
    let moved = local.0.checked_add_signed(shift_ns).filter(|moved| *moved <= i64::MAX as u64);
    moved.map(Nanos).ok_or_else(|| {
        let what = format!("the local time {} cannot be moved by {shift_ns} ns", local.0);
        StoreError::new(path, Place::Whole, Trouble::Unfit(what))
    })
}

const SYMBOLS_DIFFER: &str = "begins with another symbol than the first array; give `--symbol` if they are of one symbol, or import each symbol by itself";
