//! Why a command ended before it did its work: the caller's mistake, or the world's.

use std::fmt;
use std::process::ExitCode;

/// Why a command ended before it did its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A flag, a file or a configuration is not as it must be: exit code 2.
    Usage(String),
    /// Something did not work: exit code 1.
    Failed(String),
}

impl Problem {
    /// The exit code that says which.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Problem::Usage(_) => ExitCode::from(2),
            Problem::Failed(_) => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Usage(text) | Problem::Failed(text) => f.write_str(text.trim_end()),
        }
    }
}

impl std::error::Error for Problem {}
