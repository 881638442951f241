//! The import of text: files are looked at, merged by local time, converted, put in order on both clocks and stored.
//!
//! Reads every file twice, because what a line means can depend on a later one. Memory is bounded whatever the length.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::collector::convert::Converter;
use crate::collector::merge::{Merge, Told};
use crate::collector::payload::Word;
use crate::collector::survey::{Survey, check_overlaps, survey};
use crate::error::{ClockName, Place, StoreError, Trouble};
use crate::event::Row;
use crate::import::{Options, Progress, Report, Shift, shifted};
use crate::reorder::{Reorder, WINDOW_NS};
use crate::schema;
use crate::writer::Writer;

/// Imports recordings into the store `out`.
pub(crate) fn import(
    inputs: &[PathBuf],
    out: &Path,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, StoreError> {
    let sizes = sizes(inputs)?;
    let bytes: u64 = sizes.iter().sum();
    let bytes_total = 2 * bytes;
    let mut surveys = Vec::new();
    let mut before = 0;
    for (input, size) in inputs.iter().zip(&sizes) {
        let mut told = |done| progress(Progress { bytes_done: before + done, bytes_total, rows: 0 });
        surveys.push(survey(input, &mut told)?);
        before += size;
    }
    check_overlaps(inputs, &surveys)?;
    let (shift_ns, lead_ns) = match options.shift {
        Shift::By(nanos) => (nanos, nanos.saturating_add(WINDOW_NS as i64)),
        Shift::Auto => {
            let greatest_ns = surveys.iter().filter_map(|survey| survey.leads.greatest_ns()).max();
            (greatest_ns.map_or(0, |greatest_ns| greatest_ns.max(0)), 0)
        }
    };
    let mut writer = Writer::create(out, "collector")?;
    writer.note_shift(shift_ns);
    let mut collect = Collect {
        inputs,
        surveys: &surveys,
        writer,
        reorder: Reorder::default(),
        converters: BTreeMap::new(),
        shift_ns,
        bare_snapshots: 0,
    };
    let mut merge = Merge::new(inputs, &surveys, lead_ns);
    let mut messages = Vec::new();
    let mut progress_at = PROGRESS_LINES;
    while let Some(told) = merge.read()? {
        let (file, line) = (told.file, told.line);
        collect.hear(told, &mut messages)?;
        collect.store(file, line, &mut messages)?;
        if merge.counts().all >= progress_at {
            progress_at += PROGRESS_LINES;
            let bytes_done = (bytes + merge.bytes()).min(bytes_total);
            progress(Progress { bytes_done, bytes_total, rows: collect.writer.rows() });
        }
    }
    let lines = merge.counts();
    let report = collect.finish()?;
    Ok(Report { lines: lines.all, lines_passed_over: lines.passed_over, ..report })
}

/// An import of text under way.
struct Collect<'a> {
    inputs: &'a [PathBuf],
    surveys: &'a [Survey],
    writer: Writer,
    reorder: Reorder,
    converters: BTreeMap<String, Converter>,
    shift_ns: i64,
    bare_snapshots: u64,
}

impl Collect<'_> {
    /// Turns what a line says into messages with local times moved.
    fn hear(&mut self, told: Told, messages: &mut Vec<Vec<Row>>) -> Result<(), StoreError> {
        let (path, survey) = (&self.inputs[told.file], &self.surveys[told.file]);
        let mut names = survey.symbols.keys();
        let name = match (&told.spoken.symbol, names.next(), names.next()) {
            (Some(symbol), ..) => symbol.clone(),
            // A bare snapshot is of the only symbol there is.
            (None, Some(only), None) => only.clone(),
            (None, None, _) => schema::symbol_of(path)?.to_string(),
            (None, Some(_), Some(_)) => {
                self.bare_snapshots += u64::from(matches!(told.spoken.word, Word::Snapshot { .. }));
                return Ok(());
            }
        };
        let mentions = survey.symbols.get(&name);
        if !self.converters.contains_key(&name) {
            let id = self.writer.symbol(&name)?;
            // A snapshot that does not say whose it is helps only a symbol that is alone in its file.
            let a_bare_one_comes = survey.has_bare_snapshot && survey.symbols.len() <= 1;
            let a_snapshot_comes = a_bare_one_comes || mentions.is_some_and(|mentions| mentions.has_snapshot);
            self.converters.insert(name.clone(), Converter::new(id, a_snapshot_comes));
        }
        let Some(converter) = self.converters.get_mut(&name) else { return Ok(()) };
        let has_single_trades = mentions.is_some_and(|mentions| mentions.has_single_trades);
        converter.hear(told.spoken, has_single_trades, messages);
        for row in messages.iter_mut().flatten() {
            row.local = shifted(path, row.local, self.shift_ns)?;
        }
        Ok(())
    }

    fn store(&mut self, file: usize, line: u64, messages: &mut Vec<Vec<Row>>) -> Result<(), StoreError> {
        for message in messages.drain(..) {
            let writer = &mut self.writer;
            match self.reorder.push(message, &mut |row| writer.push(row)) {
                Ok(written) => written?,
                Err(behind_ns) => {
                    let trouble = Trouble::Unsorted { clock: ClockName::Local, behind_ns, mend: MEND_TEXT };
                    return Err(StoreError::new(&self.inputs[file], Place::Line(line), trouble));
                }
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Report, StoreError> {
        let writer = &mut self.writer;
        let order = self.reorder.finish(&mut |row| writer.push(row))?;
        let mut report = Report { order, ..Report::of(self.writer.finish()?, self.shift_ns) };
        report.bare_snapshots = self.bare_snapshots;
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

const MEND_TEXT: &str = "sort the lines of the file (`sort -s -n -k1,1`)";
const PROGRESS_LINES: u64 = 4096;
