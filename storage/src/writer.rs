//! One connection, one transaction at a time: rows are gathered and committed together.
//!
//! The first failure is kept and ends all writing: from then on rows are counted as lost, nothing panics and nothing
//! is retried, because a disk that failed once cannot be trusted with money. Storage thread.

use std::path::{Path, PathBuf};
use std::time::Duration;

use optiflow_base::clock::{Nanos, nanos_of};
use rusqlite::{Connection, Params};

use crate::error::StorageError;

/// Writes rows in batches.
#[derive(Debug)]
pub(crate) struct Writer {
    path: PathBuf,
    connection: Connection,
    batch: Option<Batch>,
    rows_since_checkpoint: u64,
    rows_lost: u64,
    failed: Option<StorageError>,
}

#[derive(Clone, Copy, Debug)]
struct Batch {
    since: Nanos,
    rows: u64,
}

impl Writer {
    pub(crate) fn new(path: &Path, connection: Connection) -> Writer {
        let path = path.to_path_buf();
        Writer { path, connection, batch: None, rows_since_checkpoint: 0, rows_lost: 0, failed: None }
    }

    /// Writes a row into the running batch; says how many rows changed, `None` when it was lost.
    pub(crate) fn write(&mut self, now: Nanos, sql: &'static str, values: impl Params) -> Option<usize> {
        if self.failed.is_some() {
            self.rows_lost += 1;
            return None;
        }
        let batch = match self.batch {
            Some(batch) => batch,
            None => self.begin(now)?,
        };
        self.batch = Some(Batch { rows: batch.rows + 1, ..batch });
        self.attempt("writing to", |connection| connection.prepare_cached(sql)?.execute(values))
    }

    /// A row cannot be written as it is: counted as lost, and the others go on.
    pub(crate) const fn lose(&mut self) {
        self.rows_lost += 1;
    }

    /// Reads one value, if there is one; trouble counts as none, because nothing depends on it.
    pub(crate) fn read<T: rusqlite::types::FromSql>(&self, sql: &'static str, values: impl Params) -> Option<T> {
        self.connection.prepare_cached(sql).and_then(|mut query| query.query_row(values, |row| row.get(0))).ok()
    }

    /// Is the batch large or old enough to be committed?
    pub(crate) fn is_due(&self, now: Nanos) -> bool {
        let due = |batch: Batch| batch.rows >= BATCH_ROWS || now.since(batch.since) >= nanos_of(BATCH_AGE_MAX);
        self.batch.is_some_and(due)
    }

    /// Commits the running batch.
    pub(crate) fn commit(&mut self) {
        let Some(batch) = self.batch else { return };
        if self.attempt("committing to", |connection| connection.execute_batch("COMMIT")).is_some() {
            self.batch = None;
            self.rows_since_checkpoint += batch.rows;
        }
    }

    /// Copies the write-ahead log into the file when it has grown; when `idle`, already at a moderate size.
    pub(crate) fn checkpoint(&mut self, idle: bool) {
        let bound = if idle { CHECKPOINT_ROWS_IDLE } else { CHECKPOINT_ROWS_BUSY };
        if self.batch.is_none() && self.rows_since_checkpoint >= bound {
            self.rows_since_checkpoint = 0;
            self.wal_checkpoint("PRAGMA wal_checkpoint(PASSIVE)");
        }
    }

    /// Copies all of the write-ahead log into the file and empties it.
    pub(crate) fn truncate(&mut self) {
        assert!(self.batch.is_none() || self.failed.is_some(), "everything was committed before");
        self.wal_checkpoint("PRAGMA wal_checkpoint(TRUNCATE)");
    }

    /// No page is added to the file from now on, or any number again.
    pub(crate) fn fill_disk(&self, is_full: bool) -> Result<(), StorageError> {
        // Less than what is used already cannot be asked for, and is taken for that much.
        let sql = if is_full { "PRAGMA max_page_count = 1" } else { "PRAGMA max_page_count = 1073741823" };
        let limited = self.connection.query_row(sql, [], |_| Ok(()));
        limited.map_err(|error| StorageError::sqlite(&self.path, "limiting", &error))
    }

    /// The failure that ended writing.
    pub(crate) const fn failed(&self) -> Option<&StorageError> {
        self.failed.as_ref()
    }

    /// Rows that did not reach the file.
    pub(crate) const fn rows_lost(&self) -> u64 {
        self.rows_lost
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn begin(&mut self, now: Nanos) -> Option<Batch> {
        let begun = self.attempt("beginning a batch in", |connection| connection.execute_batch("BEGIN IMMEDIATE"));
        self.rows_lost += u64::from(begun.is_none());
        begun.map(|()| Batch { since: now, rows: 0 })
    }

    /// A reader that is in the way is no failure: the next checkpoint does more.
    fn wal_checkpoint(&mut self, sql: &'static str) {
        self.attempt("checkpointing", |connection| connection.query_row(sql, [], |_| Ok(())));
    }

    fn attempt<T>(&mut self, doing: &'static str, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Option<T> {
        if self.failed.is_some() {
            return None;
        }
        match work(&self.connection) {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.fail(StorageError::sqlite(&self.path, doing, &error));
                None
            }
        }
    }

    fn fail(&mut self, error: StorageError) {
        self.rows_lost += self.batch.take().map_or(0, |batch| batch.rows);
        // Failing to roll back what has failed already changes nothing: the batch is lost either way.
        let _ = self.connection.execute_batch("ROLLBACK");
        self.failed = Some(error);
    }
}

/// Rows that are committed together.
const BATCH_ROWS: u64 = 256;
/// The longest a row waits for its commit.
const BATCH_AGE_MAX: Duration = Duration::from_millis(20);
/// Rows after which an idle moment is used for a checkpoint (about 4 MiB of write-ahead log).
const CHECKPOINT_ROWS_IDLE: u64 = 20_000;
/// Rows after which a checkpoint no longer waits for an idle moment.
const CHECKPOINT_ROWS_BUSY: u64 = 200_000;
