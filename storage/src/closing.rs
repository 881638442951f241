//! What is found out about orders of former sessions by a session that does not trade their symbols: booked into their
//! own sessions, before the new one begins.
//!
//! One transaction: all of it or nothing, and once more changes nothing. Never touches an order that has an end. On the
//! thread that starts the stages.

use std::path::Path;

use optiflow_base::clock::Nanos;
use optiflow_base::ids::OrderId;
use optiflow_base::order::OrderChange;
use rusqlite::{Connection, params};

use crate::database;
use crate::error::StorageError;
use crate::rows::change_word;

/// Something that was found out about an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormerFact {
    /// Which order.
    pub order: OrderId,
    /// When it happened at the exchange, ms; 0 where it did not say.
    pub exchange_ms: u64,
    /// What: accepted, filled, done, cancelled, expired or refused. What else there is changes nothing.
    pub change: OrderChange,
}

/// Books `facts`, which were learned at `at`.
///
/// # Errors
/// When the file cannot be written: then nothing was.
pub fn close_former(path: &Path, at: Nanos, facts: &[FormerFact]) -> Result<(), StorageError> {
    let mut connection = database::open(path)?;
    let mut write = || -> rusqlite::Result<()> {
        let transaction = connection.transaction()?;
        for fact in facts {
            book(&transaction, at.0.cast_signed(), fact)?;
        }
        transaction.commit()
    };
    write().map_err(|error| StorageError::sqlite(path, "closing orders of former sessions in", &error))
}

fn book(connection: &Connection, at: i64, fact: &FormerFact) -> rusqlite::Result<()> {
    let (order, ms) = (fact.order.raw().cast_signed(), fact.exchange_ms.cast_signed());
    let changed = match fact.change {
        OrderChange::Accepted { exchange_id } => {
            connection.execute(ACCEPT, params![order, exchange_id.0.cast_signed()])?
        }
        OrderChange::Filled { trade, price, qty, maker, fee, .. } => {
            let trade = trade.0.cast_signed();
            let booked =
                connection.execute(FILL, params![order, trade, at, ms, price.units(), qty.units(), maker, fee])?;
            connection.execute(SUM, [order])?;
            booked
        }
        OrderChange::Done => end(connection, order, at, "filled")?,
        OrderChange::Cancelled => end(connection, order, at, "cancelled")?,
        OrderChange::Expired => end(connection, order, at, "expired")?,
        OrderChange::Refused { .. } => end(connection, order, at, "refused")?,
        OrderChange::Denied(_)
        | OrderChange::Sent
        | OrderChange::Unknown
        | OrderChange::CancelSent
        | OrderChange::CancelRefused { .. }
        | OrderChange::ModifySent
        | OrderChange::Modified { .. }
        | OrderChange::ModifyRefused { .. } => 0,
    };
    if changed > 0 {
        let (what, value) = change_word(&fact.change);
        connection.execute(EVENT, params![order, at, ms, what.name(), value])?;
    }
    Ok(())
}

fn end(connection: &Connection, order: i64, at: i64, state: &str) -> rusqlite::Result<usize> {
    let ended = connection.execute(END, params![order, at, state])?;
    if ended > 0 {
        connection.execute(NOTE, params![order, at])?;
    }
    Ok(ended)
}

const ACCEPT: &str = "UPDATE orders SET exchange_id = ?2 WHERE order_id = ?1 AND exchange_id IS NULL";
const FILL: &str = "INSERT INTO fills
    (order_id, trade_id, session_id, symbol, at_ns, exchange_ms, side, price, qty, maker, fee)
    SELECT order_id, ?2, session_id, symbol, ?3, ?4, side, ?5, ?6, ?7, ?8 FROM orders WHERE order_id = ?1
    ON CONFLICT (order_id, trade_id) DO NOTHING";
const SUM: &str = "UPDATE orders SET filled =
    (SELECT coalesce(sum(qty), 0) FROM fills WHERE fills.order_id = ?1) WHERE order_id = ?1";
const END: &str = "UPDATE orders SET state = ?3, changed_ns = ?2
    WHERE order_id = ?1 AND state IN ('intended', 'sent', 'unknown', 'open')";
const EVENT: &str = "INSERT INTO order_events (session_id, order_id, at_ns, exchange_ms, what, value)
    SELECT session_id, order_id, ?2, ?3, ?4, ?5 FROM orders WHERE order_id = ?1";
const NOTE: &str = "INSERT INTO notices (session_id, at_ns, room, what, value)
    SELECT session_id, ?2, 'control', 'an order was ended by a later session that does not trade its symbol',
    order_id & 0xffffffff FROM orders WHERE order_id = ?1";
