//! What a recording came to, for people and machines. Only counts.

use std::fmt;

use optiflow_base::market::StreamKind;
use serde::Serialize;

use super::tape::Written;

/// What a recording came to; the fields are those of `--json`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Tally {
    /// Lines written, by kind.
    pub lines: Lines,
    /// Bytes of text.
    pub bytes: u64,
    /// Bytes on disk.
    pub bytes_on_disk: u64,
    /// Files closed, by name.
    pub files: Vec<String>,
    /// Connections that were made again.
    pub reconnects: u64,
    /// Breaks in the sequence of a book.
    pub gaps: u64,
    /// Streams that were silent for longer than the configuration allows.
    pub silences: u64,
    /// Snapshots that could not be had at the first try.
    pub snapshots_failed: u64,
    /// Messages that could not be understood; written where it was clear whose they are.
    pub malformed: u64,
    /// Messages of no stream that was asked for; not written.
    pub passed_over: u64,
}

/// Lines by kind.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Lines {
    /// Book diffs.
    pub depth: u64,
    /// Best bid and ask.
    pub top: u64,
    /// Trades.
    pub trade: u64,
    /// Mark prices.
    pub mark: u64,
    /// Book snapshots.
    pub snapshot: u64,
}

impl Lines {
    /// Counts a message.
    pub const fn count(&mut self, kind: StreamKind) {
        match kind {
            StreamKind::Depth => self.depth += 1,
            StreamKind::Top => self.top += 1,
            StreamKind::Trade => self.trade += 1,
            StreamKind::Mark => self.mark += 1,
        }
    }

    /// All of them.
    pub const fn total(&self) -> u64 {
        self.depth + self.top + self.trade + self.mark + self.snapshot
    }
}

impl Tally {
    /// Adds what a tape wrote.
    pub fn add(&mut self, written: &Written) {
        self.bytes += written.bytes;
        self.bytes_on_disk += written.bytes_on_disk;
        self.files.extend(written.files.iter().cloned());
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Lines { depth, top, trade, mark, snapshot } = self.lines;
        write!(
            f,
            "{} lines ({depth} depth, {top} best prices, {trade} trades, {mark} mark prices, {snapshot} snapshots), {} bytes in {} files of {} bytes",
            self.lines.total(),
            self.bytes,
            self.files.len(),
            self.bytes_on_disk
        )?;
        for (count, what) in [
            (self.reconnects, "reconnects"),
            (self.gaps, "gaps"),
            (self.silences, "silences"),
            (self.snapshots_failed, "failed snapshots"),
            (self.malformed, "malformed messages"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}
