//! What can go wrong with the database file, and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// The database could not be opened, or a write to it failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageError {
    /// Which file.
    pub path: PathBuf,
    /// What was being done.
    pub doing: &'static str,
    /// What went wrong.
    pub trouble: Trouble,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The directory of the file does not exist.
    NoDirectory,
    /// It cannot be opened or created there.
    CannotOpen(String),
    /// The file is no SQLite database.
    NotADatabase,
    /// It is an SQLite database, but not a trading log.
    Foreign,
    /// It is damaged.
    Damaged(String),
    /// Another program kept it locked for longer than we wait.
    Locked,
    /// It, or its directory, may not be written.
    ReadOnly,
    /// The disk is full.
    DiskFull,
    /// A newer version of this program wrote it.
    Newer {
        /// Schema version of the file.
        found: i64,
        /// Newest version that this program knows.
        known: i64,
    },
    /// Another session already uses this epoch.
    EpochUsed(u32),
    /// Anything else, in SQLite's words.
    Other(String),
}

impl StorageError {
    pub(crate) fn new(path: &Path, doing: &'static str, trouble: Trouble) -> StorageError {
        StorageError { path: path.to_path_buf(), doing, trouble }
    }

    /// Sorts SQLite's answer into what a person can act on.
    pub(crate) fn sqlite(path: &Path, doing: &'static str, error: &rusqlite::Error) -> StorageError {
        let code = error.sqlite_error_code();
        let is = |wanted: ErrorCode| code == Some(wanted);
        let words = || error.to_string();
        let trouble = if is(ErrorCode::DatabaseBusy) || is(ErrorCode::DatabaseLocked) {
            Trouble::Locked
        } else if is(ErrorCode::NotADatabase) {
            Trouble::NotADatabase
        } else if is(ErrorCode::DatabaseCorrupt) {
            Trouble::Damaged(words())
        } else if is(ErrorCode::ReadOnly) {
            Trouble::ReadOnly
        } else if is(ErrorCode::DiskFull) {
            Trouble::DiskFull
        } else if is(ErrorCode::CannotOpen) {
            Trouble::CannotOpen(words())
        } else {
            Trouble::Other(words())
        };
        StorageError::new(path, doing, trouble)
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.doing, self.path.display(), self.trouble)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::NoDirectory => f.write_str("its directory does not exist; create it or choose another path"),
            Trouble::CannotOpen(words) => write!(f, "cannot be opened ({words}); check the path and its permissions"),
            Trouble::NotADatabase => f.write_str("is not an SQLite database; choose another path or move it away"),
            Trouble::Foreign => {
                f.write_str("is an SQLite database of another program; choose another path or move it away")
            }
            Trouble::Damaged(words) => {
                write!(f, "is damaged ({words}); move it away and start with a new one, or try `sqlite3 FILE .recover`")
            }
            Trouble::Locked => f.write_str("is locked by another program; close whatever is writing to it"),
            Trouble::ReadOnly => f.write_str("may not be written; check the permissions of the file and its directory"),
            Trouble::DiskFull => f.write_str("the disk is full; make room"),
            Trouble::Newer { found, known } => write!(
                f,
                "has schema {found}, this program knows up to {known}; use the newer program or choose another path"
            ),
            Trouble::EpochUsed(epoch) => {
                write!(f, "epoch {epoch} belongs to another session; is a second program starting? start again")
            }
            Trouble::Other(words) => write!(f, "{words}; look at the disk and at what else uses the file"),
        }
    }
}

impl std::error::Error for StorageError {}
