//! What can be wrong with a file of events, where, and what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Reading, writing or importing events failed.
#[derive(Debug)]
pub struct StoreError {
    /// Which file.
    pub path: PathBuf,
    /// Where in it.
    pub place: Place,
    /// What is wrong.
    pub trouble: Trouble,
}

/// Where in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The file as a whole.
    Whole,
    /// A row, counted from 0 as data frames do.
    Row(u64),
    /// A line, counted from 1 as editors do.
    Line(u64),
    /// A row group and the rows in it.
    Group {
        /// Which, from 0.
        index: usize,
        /// Its first row.
        first: u64,
        /// Its last row.
        last: u64,
    },
}

/// What is wrong.
#[derive(Debug)]
pub enum Trouble {
    /// The operating system refused.
    Io {
        /// What was being done.
        doing: &'static str,
        /// Its words.
        error: io::Error,
    },
    /// It holds no event.
    Empty,
    /// It is not a file of the kind expected; the text says what it is or lacks.
    Foreign(String),
    /// Its bytes are not what was written, or make no sense.
    Corrupt(String),
    /// A line that cannot be read; the text says why.
    Malformed(String),
    /// It stops in the middle.
    Truncated {
        /// Of what.
        what: &'static str,
        /// What can be saved.
        mend: &'static str,
    },
    /// Time goes back.
    Unsorted {
        /// On which clock.
        clock: ClockName,
        /// By how much, ns.
        behind_ns: u64,
        /// What puts it right.
        mend: &'static str,
    },
    /// A value that cannot be stored; the text says which and why.
    Unfit(String),
    /// It holds what another input holds too; the text says what.
    Twice(String),
    /// The request itself makes no sense.
    Request(&'static str),
}

/// Which of the two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockName {
    /// The exchange's.
    Exchange,
    /// The receiver's.
    Local,
}

impl StoreError {
    pub(crate) fn new(path: &Path, place: Place, trouble: Trouble) -> StoreError {
        StoreError { path: path.to_path_buf(), place, trouble }
    }

    pub(crate) fn io(path: &Path, doing: &'static str, error: io::Error) -> StoreError {
        StoreError::new(path, Place::Whole, Trouble::Io { doing, error })
    }

    pub(crate) fn corrupt(path: &Path, place: Place, what: impl fmt::Display) -> StoreError {
        StoreError::new(path, place, Trouble::Corrupt(what.to_string()))
    }

    pub(crate) fn truncated(path: &Path, place: Place, what: &'static str) -> StoreError {
        StoreError::new(
            path,
            place,
            Trouble::Truncated { what, mend: "copy it again, or make it again from its source" },
        )
    }

    /// A request that names no file.
    pub(crate) fn request(what: &'static str) -> StoreError {
        StoreError::new(Path::new(""), Place::Whole, Trouble::Request(what))
    }

    pub(crate) fn foreign(path: &Path, what: impl fmt::Display) -> StoreError {
        StoreError::new(path, Place::Whole, Trouble::Foreign(what.to_string()))
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.as_os_str().is_empty() {
            return write!(f, "{}", self.trouble);
        }
        write!(f, "{}", self.path.display())?;
        match self.place {
            Place::Whole => {}
            Place::Row(row) => write!(f, ", row {row}")?,
            Place::Line(line) => write!(f, ", line {line}")?,
            Place::Group { index, first, last } => write!(f, ", row group {index} (rows {first} to {last})")?,
        }
        write!(f, ": {}", self.trouble)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Io { doing, error } => {
                write!(f, "cannot {doing}: {error}; check the path, its rights and the disk")
            }
            Trouble::Empty => f.write_str("holds no event; leave it out, or record it again"),
            Trouble::Foreign(what) => write!(f, "{what}; give a file of the kind asked for, or import it first"),
            Trouble::Corrupt(what) => {
                write!(f, "is damaged: {what}; copy it again, or make it again from its source")
            }
            Trouble::Malformed(what) => write!(f, "cannot be read: {what}; copy the file again, or delete the line"),
            Trouble::Truncated { what, mend } => write!(f, "is cut off: {what}; {mend}"),
            Trouble::Unsorted { clock, behind_ns, mend } => {
                let name = match clock {
                    ClockName::Exchange => "exchange",
                    ClockName::Local => "local",
                };
                write!(f, "is not sorted: the {name} time goes back by {behind_ns} ns; {mend}")
            }
            Trouble::Unfit(what) => write!(f, "{what}; correct it at the source, or leave the row out"),
            Trouble::Twice(what) => write!(f, "{what}: it would count twice; leave one of them out"),
            Trouble::Request(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.trouble {
            Trouble::Io { error, .. } => Some(error),
            Trouble::Empty
            | Trouble::Foreign(_)
            | Trouble::Corrupt(_)
            | Trouble::Malformed(_)
            | Trouble::Truncated { .. }
            | Trouble::Unsorted { .. }
            | Trouble::Unfit(_)
            | Trouble::Twice(_)
            | Trouble::Request(_) => None,
        }
    }
}
