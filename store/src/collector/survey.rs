//! A look at a recording before it is imported: whose it is, which trades it holds, whether a snapshot comes, and how
//! far the recorder's clock ran behind the exchange's.
//!
//! Never writes. Malformed lines are left for the import to judge.

use std::path::Path;

use crate::collector::lines::Lines;
use crate::collector::payload::{self, Word};
use crate::error::StoreError;

/// What is known of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    /// Symbols in the first lines.
    pub symbols: Vec<String>,
    /// Those of them with single trades: their aggregates would count twice.
    pub with_single_trades: Vec<String>,
    /// A snapshot comes within the first lines.
    pub has_snapshot: bool,
    /// Least local minus exchange time over all lines read, ns.
    pub latency_least_ns: Option<i64>,
}

/// Looks at the first lines, or at all of them; `progress` is told the bytes read.
pub(crate) fn survey(path: &Path, all: bool, progress: &mut dyn FnMut(u64)) -> Result<Survey, StoreError> {
    let mut lines = Lines::open(path)?;
    let mut survey = Survey::default();
    loop {
        let bytes = lines.bytes();
        let Some(line) = lines.read()? else { return Ok(survey) };
        let is_among_first = line.number <= LINES_FIRST;
        if !is_among_first && !all {
            return Ok(survey);
        }
        if line.number.is_multiple_of(PROGRESS_LINES) {
            progress(bytes);
        }
        let Ok(Some(spoken)) = payload::parse(line.bytes) else { continue };
        if let Some(exch) = spoken.exch {
            let latency = spoken.local.0 as i64 - exch.0 as i64;
            survey.latency_least_ns = Some(survey.latency_least_ns.map_or(latency, |least| least.min(latency)));
        }
        if !is_among_first {
            continue;
        }
        survey.has_snapshot |= matches!(spoken.word, Word::Snapshot { .. });
        let Some(symbol) = spoken.symbol else { continue };
        if matches!(spoken.word, Word::Trade { is_aggregate: false, .. }) {
            add(&mut survey.with_single_trades, &symbol);
        }
        add(&mut survey.symbols, &symbol);
    }
}

fn add(names: &mut Vec<String>, name: &str) {
    if !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
}

/// Lines looked at in any case: some minutes of a busy symbol.
const LINES_FIRST: u64 = 20_000;
const PROGRESS_LINES: u64 = 4096;
