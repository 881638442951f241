//! Whoever read what the program says went away: it loses its words, and nothing else.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

mod support;

use support::{Folder, until};

#[test]
fn a_session_that_nobody_listens_to_any_more_ends_in_order() {
    let folder = Folder::new("mute-session");
    let path = folder.path("log.db");
    // Longer than it takes to the first status line, which comes every ten seconds.
    let mut session = unheard(&["trade", "--for", "12s", "--db", &path]);
    // 0: stopped, nothing open, and the database agrees with the exchange.
    assert_eq!(session.wait().unwrap().code(), Some(0));
    let connection = rusqlite::Connection::open(&path).unwrap();
    let ask = |sql| connection.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(ask("SELECT outcome FROM sessions"), "stopped");
    assert_eq!(ask("SELECT CAST(COUNT(*) > 0 AS TEXT) FROM order_events"), "1", "it traded");
}

#[test]
fn a_session_whose_terminal_was_closed_ends_in_order() {
    let folder = Folder::new("mute-hangup");
    let path = folder.path("log.db");
    let mut session = unheard(&["trade", "--for", "60s", "--db", &path]);
    until("it does not trade", PATIENCE, || is_trading(&path).then_some(()));
    // The kernel tells it, and then the shell.
    for _ in 0..2 {
        let sent = Command::new("kill").args(["-HUP", &session.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
    assert_eq!(session.wait().unwrap().code(), Some(0));
}

fn is_trading(path: &str) -> bool {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let Ok(connection) = rusqlite::Connection::open_with_flags(path, flags) else { return false };
    connection.query_row("SELECT COUNT(*) > 0 FROM orders", [], |row| row.get(0)).unwrap_or(false)
}

#[test]
fn a_command_whose_reader_had_enough_ends_by_its_outcome() {
    let folder = Folder::new("mute-check");
    assert_eq!(unheard(&["check", "configs/demo.toml"]).wait().unwrap().code(), Some(0));
    assert_eq!(unheard(&["check", &folder.path("none.toml")]).wait().unwrap().code(), Some(2));
}

/// Starts the program with nobody at the other end of its standard output and its standard error.
fn unheard(args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_optiflow"));
    command.args(args).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    child
}

/// A session trades long before this.
const PATIENCE: Duration = Duration::from_secs(60);
