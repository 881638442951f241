//! The file itself: opened, reopened, read while it is written, refused, and lost.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::{EPOCH, START, Scratch, World, accepted, change, fill, place, query, session};
use optiflow_base::clock::Nanos;
use optiflow_base::log::{LogEvent, Span};
use optiflow_base::money::Side;
use optiflow_base::order::OrderChange;
use optiflow_storage::error::Trouble;
use optiflow_storage::schema::SCHEMA_VERSION;
use optiflow_storage::{Storage, StorageError, next_epoch};
use rusqlite::Connection;

fn trouble(path: &Path) -> Trouble {
    let error: StorageError = Storage::open(path, &session(EPOCH)).unwrap_err();
    assert_eq!(error.path, path);
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    error.trouble
}

#[test]
fn files_that_cannot_be_used_are_refused_with_the_reason() {
    let scratch = Scratch::new();
    assert_eq!(trouble(&scratch.path().join("missing/log.db")), Trouble::NoDirectory);
    assert!(matches!(trouble(scratch.path()), Trouble::CannotOpen(_)), "a directory is no file");

    let text = scratch.path().join("text.db");
    std::fs::write(&text, "this is not a database, but it is long enough to be looked at".repeat(40)).unwrap();
    assert_eq!(trouble(&text), Trouble::NotADatabase);

    let foreign = scratch.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE theirs (id)").unwrap();
    assert_eq!(trouble(&foreign), Trouble::Foreign);
    assert_eq!(query(&foreign, "SELECT name FROM sqlite_schema"), ["theirs"], "nothing was written to it");

    let newer = scratch.database();
    next_epoch(&newer, START).unwrap();
    let bump = format!("PRAGMA user_version = {}", SCHEMA_VERSION + 1);
    Connection::open(&newer).unwrap().execute_batch(&bump).unwrap();
    assert_eq!(trouble(&newer), Trouble::Newer { found: SCHEMA_VERSION + 1, known: SCHEMA_VERSION });
}

#[test]
fn epochs_grow_and_are_used_once() {
    let scratch = Scratch::new();
    let path = scratch.database();
    let first = next_epoch(&path, START).unwrap();
    assert_eq!(u64::from(first), START.0 / 1_000_000_000, "at least the time in seconds");
    assert_eq!(next_epoch(&path, START).unwrap(), first);
    drop(Storage::open(&path, &session(first + 1_000)).unwrap());
    for clock in [START, Nanos(0)] {
        assert_eq!(next_epoch(&path, clock).unwrap(), first + 1_001, "wherever the clock has jumped to");
    }
    let again = Storage::open(&path, &session(first + 1_000)).unwrap_err();
    assert_eq!(again.trouble, Trouble::EpochUsed(first + 1_000));
}

#[test]
fn a_reader_sees_whole_batches_while_the_session_runs() {
    let scratch = Scratch::new();
    let path = scratch.database();
    let mut world = World::open(&path, EPOCH);
    assert_eq!(query(&path, "SELECT outcome, ended_ns FROM sessions"), ["- -"]);
    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let count = |connection: &Connection| -> i64 {
        connection.query_row("SELECT count(*) FROM order_events", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(count(&reader), 0);
    world.keep(&[change(1, OrderChange::Sent)]);
    assert_eq!(query(&path, "SELECT what FROM order_events"), [] as [&str; 0], "the batch is young");
    world.later(20);
    assert_eq!(query(&path, "SELECT what FROM order_events"), ["sent"]);
    assert_eq!(query(&path, "SELECT state FROM orders"), ["sent"], "in the same commit");
    assert_eq!(count(&reader), 0, "an older snapshot stays as it is");
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(count(&reader), 1);
}

#[test]
fn a_large_batch_is_committed_at_once() {
    let scratch = Scratch::new();
    let path = scratch.database();
    let mut world = World::open(&path, EPOCH);
    let events: Vec<LogEvent> = (1..=300).map(|counter| change(counter, OrderChange::Sent)).collect();
    world.keep(&events);
    assert_eq!(query(&path, "SELECT count(*) >= 256 FROM order_events"), ["1"]);
}

#[test]
fn an_idle_moment_moves_the_write_ahead_log_into_the_file() {
    let scratch = Scratch::new();
    let path = scratch.database();
    let mut world = World::open(&path, EPOCH);
    let size = || std::fs::metadata(&path).unwrap().len();
    for batch in 0..21u32 {
        let events: Vec<LogEvent> = (1..=1_000).map(|n| change(batch * 1_000 + n, OrderChange::Sent)).collect();
        world.keep(&events);
    }
    let before = size();
    world.later(20);
    assert!(size() > before + 500_000, "{before} bytes before, {} after", size());
}

#[test]
fn a_restart_follows_old_orders_and_counts_their_fills_once() {
    let scratch = Scratch::new();
    let path = scratch.database();
    let mut world = World::open(&path, EPOCH);
    world.keep(&[
        place(1, Side::Buy, "30000", "0.004"),
        change(1, OrderChange::Sent),
        accepted(1),
        fill(1, 71, "30000", "0.001", "0.001"),
    ]);
    world.later(50);
    drop(world);

    let mut world = World::open(&path, EPOCH + 1);
    world.keep(&[
        fill(1, 71, "30000", "0.001", "0.001"),
        fill(1, 72, "30000", "0.001", "0.002"),
        change(1, OrderChange::Cancelled),
    ]);
    let summary = world.storage.finish("completed", world.now).unwrap();
    assert_eq!((summary.fills.fills, summary.fills.duplicates, summary.fills.unbooked), (1, 1, 0));
    assert_eq!(
        summary.symbols[0].position.to_string(),
        "0",
        "it is in the position that the exchange states at the start"
    );
    assert_eq!(query(&path, "SELECT session_id, side, state, filled FROM orders"), ["1 buy cancelled 200000"]);
    assert_eq!(query(&path, "SELECT session_id, trade_id, side FROM fills ORDER BY 2"), ["1 71 buy", "2 72 buy"]);
    assert_eq!(query(&path, "SELECT epoch, outcome FROM sessions ORDER BY id"), ["7 -", "8 completed"]);
}

#[test]
fn a_failing_write_is_told_counted_and_survived() {
    let scratch = Scratch::new();
    let path = scratch.database();
    let mut world = World::open(&path, EPOCH);
    world.keep(&[place(1, Side::Buy, "30000", "0.004"), change(1, OrderChange::Sent)]);
    world.later(50);
    let fault = "CREATE TRIGGER fault BEFORE INSERT ON order_events WHEN NEW.what = 'accepted'
                 BEGIN SELECT RAISE(ABORT, 'no more'); END";
    Connection::open(&path).unwrap().execute_batch(fault).unwrap();
    world.keep(&[change(1, OrderChange::CancelSent), accepted(1), fill(1, 71, "30000", "0.004", "0.004")]);
    world.keep(&[change(1, OrderChange::Done), LogEvent::Latency { span: Span::Risk, nanos: 5 }]);
    world.later(50);
    let failure = world.storage.failed().unwrap().to_string();
    assert!(failure.contains("no more") && failure.contains("writing to"), "{failure}");
    let summary = world.storage.summary();
    assert_eq!((summary.orders.filled, summary.fills.fills, summary.symbols[0].fills), (1, 1, 1), "sums go on");
    assert!(summary.rows_lost >= 5, "{} rows", summary.rows_lost);
    assert_eq!(summary.failure.as_deref(), Some(failure.as_str()));
    assert!(world.storage.finish("failed", world.now).is_err());
    assert_eq!(query(&path, "SELECT what FROM order_events"), ["sent"], "whole batches, or nothing");
}

#[test]
fn a_disk_that_is_full_ends_writing_and_leaves_whole_batches() {
    let scratch = Scratch::new();
    let path = scratch.database();
    let mut world = World::open(&path, EPOCH);
    world.keep(&[change(1, OrderChange::Sent)]);
    world.later(50);
    world.storage.fill_disk(true).unwrap();
    for batch in 1..20 {
        let events: Vec<LogEvent> = (1..=100).map(|n| change(batch * 100 + n, OrderChange::Sent)).collect();
        world.keep(&events);
        world.later(50);
    }
    assert_eq!(world.storage.failed().unwrap().trouble, Trouble::DiskFull);
    assert_eq!(query(&path, "SELECT count(*) % 100 FROM order_events"), ["1"], "whole batches, or nothing");
    assert_eq!(query(&path, "PRAGMA integrity_check"), ["ok"]);
    drop(world);
    World::open(&path, EPOCH + 1).keep(&[change(1, OrderChange::Cancelled)]);
}

#[test]
fn a_lock_that_stays_is_a_failure_and_not_a_panic() {
    let scratch = Scratch::new();
    let path = scratch.database();
    let mut world = World::open(&path, EPOCH);
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    world.keep(&[change(1, OrderChange::Sent)]);
    assert_eq!(world.storage.failed().unwrap().trouble, Trouble::Locked);
    assert!(world.storage.summary().rows_lost >= 1);
}

#[test]
fn the_end_leaves_one_file_without_a_log_beside_it() {
    let scratch = Scratch::new();
    let path = scratch.database();
    let mut world = World::open(&path, EPOCH);
    world.keep(&[change(1, OrderChange::Sent)]);
    world.storage.finish("completed", Nanos(START.0 + 1)).unwrap();
    let wal = scratch.path().join("trading_log.db-wal");
    assert_eq!(std::fs::metadata(wal).map_or(0, |wal| wal.len()), 0);
    assert_eq!(query(&path, "PRAGMA integrity_check"), ["ok"]);
}

#[cfg(unix)]
#[test]
fn a_file_whose_name_is_no_text_is_closed_like_any_other() {
    use std::os::unix::ffi::OsStrExt;
    let scratch = Scratch::new();
    let path = scratch.path().join(std::ffi::OsStr::from_bytes(b"log-\xff.db"));
    let mut world = World::open(&path, EPOCH);
    world.storage.finish("stopped", Nanos(START.0 + 1)).unwrap();
    assert_eq!(query(&path, "SELECT outcome, json_valid(summary) FROM sessions"), ["stopped 1"]);
}

#[test]
fn the_documentation_names_every_table_and_column() {
    let scratch = Scratch::new();
    let path = scratch.database();
    next_epoch(&path, START).unwrap();
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schema.md")).unwrap();
    for table in query(&path, "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')") {
        let line = text.lines().find(|line| line.contains(&format!("`{table}`")));
        assert!(line.is_some(), "docs/schema.md does not name {table}");
        for column in query(&path, &format!("SELECT name FROM pragma_table_info('{table}')")) {
            let row = text.lines().find(|line| line.starts_with(&format!("| `{table}`"))).unwrap_or(&text);
            assert!(row.contains(&format!("`{column}`")), "docs/schema.md does not name {table}.{column}");
        }
    }
}
