//! What commands tell a person: `say` on standard error, `out` on standard output.
//!
//! The only file that writes there. A reader that went away (`| head`, a closed terminal) costs the words and nothing
//! else: the standard macros would panic, and a session that must still stop in order would die of it. Any thread.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

/// A line on standard error.
pub fn say(line: impl Display) {
    // Nobody is left to be told.
    let _ = writeln!(io::stderr(), "{line}");
}

/// A line on standard output. What keeps it from there, but for a reader that had enough, is said on standard error.
pub fn out(line: impl Display) {
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => say(format_args!("standard output: {error}")),
        Ok(()) | Err(_) => {}
    }
}
