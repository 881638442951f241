//! Opens the file: checks what it is, creates the tables of a new one, begins the session row.
//!
//! Never guesses: a file that is not ours, damaged, newer or locked is refused with words that say what to do.
//! Runs before the stages start, on the thread that starts them.

use std::path::Path;
use std::time::Duration;

use optiflow_base::clock::Nanos;
use rusqlite::{Connection, TransactionBehavior, params};

use crate::error::{StorageError, Trouble};
use crate::schema::{APPLICATION_ID, SCHEMA, SCHEMA_VERSION};
use crate::session::SessionInfo;

/// The epoch that a session which begins `now` may use: larger than every earlier one in the file, and no less than the
/// time in seconds, so that order ids stay unique even when the file is lost. Creates the file if there is none.
///
/// # Errors
/// When the file cannot be opened or read.
pub fn next_epoch(path: &Path, now: Nanos) -> Result<u32, StorageError> {
    let connection = open(path)?;
    let sql = "SELECT max(coalesce((SELECT max(epoch) FROM sessions), 0) + 1, ?)";
    let seconds = (now.0 / NANOS_OF_SECOND).cast_signed();
    let epoch: i64 = connection
        .query_row(sql, [seconds], |row| row.get(0))
        .map_err(|error| StorageError::sqlite(path, "reading the last epoch of", &error))?;
    let beyond = || StorageError::new(path, "choosing an epoch after", Trouble::Other(format!("{epoch} is too large")));
    u32::try_from(epoch).map_err(|_| beyond())
}

/// Opens or creates the file, ready for one writer.
pub(crate) fn open(path: &Path) -> Result<Connection, StorageError> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    if directory.is_some_and(|directory| !directory.is_dir()) {
        return Err(StorageError::new(path, "opening", Trouble::NoDirectory));
    }
    let fail = |error: rusqlite::Error| StorageError::sqlite(path, "opening", &error);
    let mut connection = Connection::open(path).map_err(fail)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(fail)?;
    check_kind(path, &connection)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(fail)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(fail)?;
    connection.pragma_update(None, "synchronous", "NORMAL").map_err(fail)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    create(path, &mut connection)?;
    Ok(connection)
}

/// Writes the session's row and forces it to the disk: the epoch must survive a power cut.
pub(crate) fn begin_session(path: &Path, connection: &Connection, session: &SessionInfo) -> Result<i64, StorageError> {
    let fail = |error: rusqlite::Error| match error.sqlite_error().map(|error| error.extended_code) {
        Some(rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE) => {
            StorageError::new(path, "beginning a session in", Trouble::EpochUsed(session.epoch))
        }
        Some(_) | None => StorageError::sqlite(path, "beginning a session in", &error),
    };
    let names: Vec<&str> = session.symbols.iter().map(|symbol| symbol.name.as_str()).collect();
    let SessionInfo { epoch, started, mode, venue, margin_asset, config_hash, binary_hash, version, .. } = session;
    let (started, names) = (started.0.cast_signed(), names.join(","));
    connection.pragma_update(None, "synchronous", "FULL").map_err(fail)?;
    let transaction = connection.unchecked_transaction().map_err(fail)?;
    let values = params![epoch, started, mode, venue, names, margin_asset, config_hash, binary_hash, version];
    transaction.execute(INSERT_SESSION, values).map_err(fail)?;
    let id = transaction.last_insert_rowid();
    for symbol in &session.symbols {
        let (price, qty) = (symbol.price_decimals as i64, symbol.qty_decimals as i64);
        let values = params![id, symbol.name.as_str(), price, qty];
        transaction.execute(INSERT_SYMBOL, values).map_err(fail)?;
    }
    transaction.commit().map_err(fail)?;
    connection.pragma_update(None, "synchronous", "NORMAL").map_err(fail)?;
    Ok(id)
}

/// Refuses files that are not ours before anything is written to them.
fn check_kind(path: &Path, connection: &Connection) -> Result<(), StorageError> {
    let read = |sql: &str| {
        let answer: Result<i64, _> = connection.query_row(sql, [], |row| row.get(0));
        answer.map_err(|error| StorageError::sqlite(path, "opening", &error))
    };
    let version = read("PRAGMA user_version")?;
    let application = read("PRAGMA application_id")?;
    let tables = read("SELECT count(*) FROM sqlite_schema")?;
    let refuse = |trouble| Err(StorageError::new(path, "opening", trouble));
    let (found, known) = (version, SCHEMA_VERSION);
    match (application, version, tables) {
        (APPLICATION_ID, ..) if found > known => refuse(Trouble::Newer { found, known }),
        (APPLICATION_ID, ..) | (0, 0, 0) => Ok(()),
        _ => refuse(Trouble::Foreign),
    }
}

/// Creates the tables unless they exist; two programs may try at once, one of them does it.
fn create(path: &Path, connection: &mut Connection) -> Result<(), StorageError> {
    let fail = |error: rusqlite::Error| StorageError::sqlite(path, "creating the tables of", &error);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(fail)?;
    if version == 0 {
        transaction.execute_batch(SCHEMA).map_err(fail)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(fail)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION).map_err(fail)?;
    }
    transaction.commit().map_err(fail)
}

const INSERT_SESSION: &str = "INSERT INTO sessions
    (epoch, started_ns, mode, venue, symbols, margin_asset, config_hash, binary_hash, version)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
const INSERT_SYMBOL: &str =
    "INSERT INTO session_symbols (session_id, symbol, price_decimals, qty_decimals) VALUES (?, ?, ?, ?)";
const NANOS_OF_SECOND: u64 = 1_000_000_000;
/// How long we wait for another program that holds the write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Prepared statements kept: more than there are.
const STATEMENTS_KEPT: usize = 32;
