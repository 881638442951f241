//! `runs.jsonl`: one line a run, written as runs end, and read back when a sweep goes on.
//!
//! A line that was cut at the end of the file is dropped; a damaged one anywhere else is an error that names it. Rows of
//! other settings and other data stay as they are. One sweep at a time writes a file: it is locked while it is open.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::metrics::Metrics;
use crate::problem::Problem;

/// What a run came to, as a line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Data and settings: two runs of one key are the same run.
    pub key: String,
    /// The swept settings.
    pub parameters: Map<String, Value>,
    /// Who traded.
    pub strategy: String,
    /// What was traded.
    pub symbol: String,
    /// As `optiflow backtest` tells it for the same settings.
    pub event_log_hash: String,
    /// What it came to.
    #[serde(flatten)]
    pub metrics: Metrics,
    /// Rows of the market.
    pub rows: u64,
    /// How long it took, on one core.
    pub seconds: f64,
}

/// The file, open and locked.
pub struct Journal {
    path: PathBuf,
    file: File,
    rows: BTreeMap<String, Row>,
    dropped: bool,
}

impl Journal {
    /// Opens or begins the file in `folder`, and reads what is there.
    pub fn open(folder: &Path) -> Result<Journal, Problem> {
        fs::create_dir_all(folder).map_err(|error| trouble(folder, "make the folder", &error))?;
        let path = folder.join(FILE_NAME);
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = opened.map_err(|error| trouble(&path, "open", &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let path = path.display();
                return Err(Problem::Failed(format!(
                    "{path}: another sweep writes it; wait for it, or give another --out"
                )));
            }
            Err(TryLockError::Error(error)) => return Err(trouble(&path, "lock", &error)),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| trouble(&path, "read", &error))?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let dropped = whole < bytes.len();
        let rows = parse(&path, &bytes[..whole])?;
        if dropped {
            file.set_len(whole as u64).map_err(|error| trouble(&path, "cut the last line of", &error))?;
        }
        file.seek(SeekFrom::Start(whole as u64)).map_err(|error| trouble(&path, "write", &error))?;
        Ok(Journal { path, file, rows, dropped })
    }

    /// The row of a run that was there already, or has been written since.
    pub fn row(&self, key: &str) -> Option<&Row> {
        self.rows.get(key)
    }

    /// Rows in the file.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Was a line dropped that had been cut?
    pub const fn has_dropped(&self) -> bool {
        self.dropped
    }

    /// Writes a run, in one piece. It is kept as it reads, so that tables do not depend on when a run was made.
    pub fn write(&mut self, row: &Row) -> Result<(), Problem> {
        let failed = |error: serde_json::Error| Problem::Failed(format!("writing a run: {error}"));
        let mut line = serde_json::to_string(row).map_err(failed)?;
        let read: Row = serde_json::from_str(&line).map_err(failed)?;
        line.push('\n');
        self.file.write_all(line.as_bytes()).map_err(|error| trouble(&self.path, "write", &error))?;
        self.rows.insert(read.key.clone(), read);
        Ok(())
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<BTreeMap<String, Row>, Problem> {
    let mut rows = BTreeMap::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let row: Row = serde_json::from_slice(line).map_err(|error| {
            let (path, line) = (path.display(), index + 1);
            Problem::Failed(format!("{path}: line {line} is no run ({error}); remove the line, or give another --out"))
        })?;
        rows.insert(row.key.clone(), row);
    }
    Ok(rows)
}

pub fn trouble(path: &Path, doing: &str, error: &io::Error) -> Problem {
    Problem::Failed(format!("{}: cannot {doing}: {error}; check the path, its rights and the disk", path.display()))
}

/// The file of a sweep's runs.
pub const FILE_NAME: &str = "runs.jsonl";
