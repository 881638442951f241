//! Recordings → a store: what `optiflow import` does.
//!
//! hftbacktest's arrays pass row by row; the collector's text is surveyed, converted and put in order on both clocks.
//! Memory is bounded whatever the length. The store appears under its name only when it is whole. Runs on the caller's
//! thread, which `progress` is called on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use optiflow_base::clock::Nanos;
use optiflow_base::ids::SymbolName;

use crate::blocks::BLOCK_LEN;
use crate::chain::Chain;
use crate::collector::convert::Converter;
pub use crate::collector::convert::Heard;
use crate::collector::lines::Lines;
use crate::collector::payload::{self, Spoken, Word};
use crate::collector::survey::{Survey, survey};
use crate::error::{ClockName, Place, StoreError, Trouble};
use crate::event::Row;
pub use crate::reorder::Counts;
use crate::reorder::Reorder;
use crate::schema::{self, SymbolInfo};
use crate::writer::Writer;

/// Imports `inputs`, in time order, into the store `out`.
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
    if inputs.iter().any(|input| input == out) {
        return Err(StoreError::new(out, Place::Whole, Trouble::Request("is also an input; give another `--out`")));
    }
    match format {
        Format::Hftbacktest => import_peer(inputs, out, options, progress),
        Format::Collector => Collector::run(inputs, out, options, progress),
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
    /// By the least that makes no row received before it happened; text is read twice for it. Arrays are not moved.
    #[default]
    Auto,
    /// By so many nanoseconds.
    By(i64),
}

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the inputs read, as they lie on disk; when they are read twice, over both times.
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
    /// By how much local times were moved, ns.
    pub shift_ns: i64,
    /// Messages heard; of text only.
    pub heard: Heard,
    /// Lines that say nothing of the market, such as other streams, error bodies, and last lines that were cut.
    pub lines_passed_over: u64,
    /// Breaks in the sequence of a book.
    pub gaps: u64,
    /// Depth messages dropped because the book was already newer.
    pub stale: u64,
    /// Rows out of order on one clock, and what was done about them.
    pub order: Counts,
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
    let written = writer.finish()?;
    Ok(Report { rows: written.rows, bytes: written.bytes, symbols: written.symbols, shift_ns, ..Report::default() })
}

/// An import of text under way.
struct Collector<'a> {
    writer: Writer,
    reorder: Reorder,
    converters: BTreeMap<String, Converter>,
    shift_ns: i64,
    lines_passed_over: u64,
    /// Bytes of the survey and of the files done.
    bytes_before: u64,
    bytes_total: u64,
    progress: &'a mut dyn FnMut(Progress),
}

impl Collector<'_> {
    fn run(
        inputs: &[PathBuf],
        out: &Path,
        options: &Options,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Report, StoreError> {
        let sizes = sizes(inputs)?;
        let bytes: u64 = sizes.iter().sum();
        let is_twice = options.shift == Shift::Auto;
        let bytes_total = if is_twice { 2 * bytes } else { bytes };
        let mut surveys = Vec::new();
        let mut before = 0;
        for (input, size) in inputs.iter().zip(&sizes) {
            let mut told = |done| progress(Progress { bytes_done: before + done, bytes_total, rows: 0 });
            surveys.push(survey(input, is_twice, &mut told)?);
            before += size;
        }
        let shift_ns = match options.shift {
            Shift::By(nanos) => nanos,
            Shift::Auto => {
                let least = surveys.iter().filter_map(|survey| survey.latency_least_ns).min();
                least.map_or(0, |least| least.saturating_neg().max(0))
            }
        };
        let mut writer = Writer::create(out, "collector")?;
        writer.note_shift(shift_ns);
        let mut collector = Collector {
            writer,
            reorder: Reorder::default(),
            converters: BTreeMap::new(),
            shift_ns,
            lines_passed_over: 0,
            bytes_before: bytes_total - bytes,
            bytes_total,
            progress,
        };
        for ((input, survey), size) in inputs.iter().zip(&surveys).zip(sizes) {
            collector.import_file(input, survey)?;
            collector.bytes_before += size;
        }
        collector.finish()
    }

    fn import_file(&mut self, path: &Path, survey: &Survey) -> Result<(), StoreError> {
        let mut lines = Lines::open(path)?;
        let mut messages = Vec::new();
        let mut has_spoken = false;
        loop {
            let bytes = lines.bytes();
            let Some(line) = lines.read()? else { break };
            let place = Place::Line(line.number);
            if line.number.is_multiple_of(PROGRESS_LINES) {
                let bytes_done = (self.bytes_before + bytes).min(self.bytes_total);
                (self.progress)(Progress { bytes_done, bytes_total: self.bytes_total, rows: self.writer.rows() });
            }
            match payload::parse(line.bytes) {
                Ok(Some(spoken)) => self.hear(path, survey, spoken, &mut messages)?,
                Ok(None) => {
                    self.lines_passed_over += 1;
                    continue;
                }
                Err(_) if line.may_be_cut && has_spoken => {
                    self.lines_passed_over += 1;
                    continue;
                }
                Err(_) if line.number == 1 => {
                    let what = "does not begin as a recording does, with a line `<local time> <JSON>`";
                    return Err(StoreError::foreign(path, what));
                }
                Err(what) => return Err(StoreError::new(path, place, Trouble::Malformed(what))),
            }
            has_spoken = true;
            for message in messages.drain(..) {
                let writer = &mut self.writer;
                match self.reorder.push(message, &mut |row| writer.push(row)) {
                    Ok(written) => written?,
                    Err(behind_ns) => {
                        let trouble = Trouble::Unsorted { clock: ClockName::Local, behind_ns, mend: MEND_TEXT };
                        return Err(StoreError::new(path, place, trouble));
                    }
                }
            }
        }
        if has_spoken { Ok(()) } else { Err(StoreError::new(path, Place::Whole, Trouble::Empty)) }
    }

    /// Turns what a line says into messages with local times moved.
    fn hear(
        &mut self,
        path: &Path,
        survey: &Survey,
        spoken: Spoken,
        messages: &mut Vec<Vec<Row>>,
    ) -> Result<(), StoreError> {
        let name = match (&spoken.symbol, survey.symbols.as_slice()) {
            (Some(symbol), _) => symbol.clone(),
            // A bare snapshot is of the only symbol there is.
            (None, [only]) => only.clone(),
            (None, []) => schema::symbol_of(path)?.to_string(),
            (None, [_, _, ..]) => {
                self.lines_passed_over += 1;
                return Ok(());
            }
        };
        if !self.converters.contains_key(&name) {
            let id = self.writer.symbol(&name)?;
            let has_single_trades = survey.with_single_trades.contains(&name);
            // A snapshot that does not say whose it is helps only a symbol that is alone.
            let a_snapshot_comes = survey.has_snapshot && survey.symbols.len() <= 1;
            self.converters.insert(name.clone(), Converter::new(id, a_snapshot_comes, has_single_trades));
        }
        let Some(converter) = self.converters.get_mut(&name) else { return Ok(()) };
        let is_bare = matches!(spoken.word, Word::Snapshot { .. }) && spoken.symbol.is_none();
        assert!(!is_bare || survey.symbols.len() <= 1, "a bare snapshot has an owner here");
        converter.hear(spoken, messages);
        for row in messages.iter_mut().flatten() {
            row.local = shifted(path, row.local, self.shift_ns)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Report, StoreError> {
        let writer = &mut self.writer;
        let order = self.reorder.finish(&mut |row| writer.push(row))?;
        let written = self.writer.finish()?;
        let mut report = Report {
            rows: written.rows,
            bytes: written.bytes,
            symbols: written.symbols,
            shift_ns: self.shift_ns,
            lines_passed_over: self.lines_passed_over,
            order,
            ..Report::default()
        };
        for converter in self.converters.values() {
            let (gaps, stale) = converter.gaps_and_stale();
            report.gaps += gaps;
            report.stale += stale;
            report.heard.add(&converter.heard);
        }
        Ok(report)
    }
}

fn sizes(inputs: &[PathBuf]) -> Result<Vec<u64>, StoreError> {
    let size = |input: &PathBuf| {
        let len = std::fs::metadata(input).map_err(|error| StoreError::io(input, "open the recording", error))?.len();
        if len == 0 { Err(StoreError::new(input, Place::Whole, Trouble::Empty)) } else { Ok(len) }
    };
    inputs.iter().map(size).collect()
}

fn shifted(path: &Path, local: Nanos, shift_ns: i64) -> Result<Nanos, StoreError> {
    let moved = local.0.checked_add_signed(shift_ns).filter(|moved| *moved <= i64::MAX as u64);
    moved.map(Nanos).ok_or_else(|| {
        let what = format!("the local time {} cannot be moved by {shift_ns} ns", local.0);
        StoreError::new(path, Place::Whole, Trouble::Unfit(what))
    })
}

const MEND_TEXT: &str = "give the files in time order, or sort the lines (`sort -s -n -k1,1`)";
const PROGRESS_LINES: u64 = 4096;
