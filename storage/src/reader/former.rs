//! What former sessions left unfinished: for the session that begins after them.
//!
//! Opens the file read-only; once, before the stages start. A fill is in the file before the end of its order is, and an
//! order before any order that was sent after it. So only orders without an end can miss fills, and orders that were
//! never written down are newer at the exchange than those that were.

use std::path::Path;

use optiflow_base::clock::Nanos;
use optiflow_base::ids::OrderId;
use optiflow_base::money::{Price, Qty, Side};
use optiflow_base::order::{NewOrder, OrderKind};
use rusqlite::{Connection, OpenFlags, Row, params};

use super::history::{TIMES_IN_FORCE, word};
use crate::error::StorageError;
use crate::rows::{kind_text, side_text, tif_text};

/// What former sessions of one mode at one exchange left unfinished.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unfinished {
    /// Orders without an end, oldest first.
    pub orders: Vec<UnfinishedOrder>,
    /// What is known of each symbol that was asked for.
    pub symbols: Vec<SymbolTail>,
    /// The newest session did not stop in order.
    pub died: bool,
}

/// An order without an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfinishedOrder {
    /// Venue symbol.
    pub symbol: String,
    /// What was wanted.
    pub order: NewOrder,
    /// When the strategy decided.
    pub decided: Nanos,
    /// The exchange's id, when it was told.
    pub exchange_id: Option<u64>,
    /// Ids of its booked trades.
    pub trades: Vec<u64>,
    /// Their sum.
    pub filled: Qty,
}

/// The newest that is known of a symbol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SymbolTail {
    /// The newest orders that the exchange accepted and whose end is known.
    pub ended: Vec<OrderId>,
    /// The smallest of the exchange's ids among the newest accepted orders.
    pub exchange_id: Option<u64>,
    /// When the first session that traded it began.
    pub first_session: Option<Nanos>,
}

/// What former sessions of `mode` at `venue` left unfinished; `symbols` are those of the session that begins.
///
/// # Errors
/// When the file cannot be read.
pub fn unfinished(path: &Path, mode: &str, venue: &str, symbols: &[&str]) -> Result<Unfinished, StorageError> {
    let read = || -> rusqlite::Result<Unfinished> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let tail = |symbol: &&str| tail(&connection, mode, venue, symbol);
        let outcomes =
            column(&connection, NEWEST_OUTCOME, params![mode, venue], |row| row.get::<_, Option<String>>(0))?;
        Ok(Unfinished {
            orders: orders(&connection, mode, venue)?,
            symbols: symbols.iter().map(tail).collect::<rusqlite::Result<_>>()?,
            died: outcomes.first().is_some_and(|outcome| outcome.as_deref() != Some("stopped")),
        })
    };
    read().map_err(|error| StorageError::sqlite(path, "reading former sessions of", &error))
}

fn orders(connection: &Connection, mode: &str, venue: &str) -> rusqlite::Result<Vec<UnfinishedOrder>> {
    let mut orders = column(connection, WITHOUT_END, params![mode, venue], |row| {
        let exchange_id: Option<i64> = row.get(9)?;
        let decided: i64 = row.get(8)?;
        Ok(UnfinishedOrder {
            order: NewOrder {
                id: id(row)?,
                side: word(row, 2, &[Side::Buy, Side::Sell], side_text)?,
                kind: word(row, 3, &[OrderKind::Limit, OrderKind::Market], kind_text)?,
                time_in_force: word(row, 4, &TIMES_IN_FORCE, tif_text)?,
                price: Price::from_units(row.get(5)?),
                qty: Qty::from_units(row.get(6)?),
                reduce_only: row.get(7)?,
            },
            symbol: row.get(1)?,
            decided: Nanos(decided.cast_unsigned()),
            exchange_id: exchange_id.map(i64::cast_unsigned),
            trades: Vec::new(),
            filled: Qty::ZERO,
        })
    })?;
    for order in &mut orders {
        let raw = order.order.id.raw().cast_signed();
        let trades: Vec<(i64, i64)> =
            column(connection, TRADES_OF, params![raw], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let sum = trades.iter().fold(0i64, |sum, (_, qty)| sum.saturating_add(*qty));
        order.filled = Qty::from_units(sum);
        order.trades = trades.iter().map(|(trade, _)| trade.cast_unsigned()).collect();
    }
    Ok(orders)
}

fn tail(connection: &Connection, mode: &str, venue: &str, symbol: &str) -> rusqlite::Result<SymbolTail> {
    let newest: Vec<(OrderId, i64, String)> =
        column(connection, NEWEST_ACCEPTED, params![mode, venue, symbol], |row| {
            Ok((id(row)?, row.get(1)?, row.get(2)?))
        })?;
    let has_ended = |state: &str| ["refused", "filled", "cancelled", "expired"].contains(&state);
    let started = column(connection, FIRST_SESSION, params![mode, venue, symbol], |row| row.get::<_, Option<i64>>(0))?;
    Ok(SymbolTail {
        ended: newest.iter().filter(|(_, _, state)| has_ended(state)).map(|(id, _, _)| *id).collect(),
        exchange_id: newest.iter().map(|(_, exchange_id, _)| exchange_id.cast_unsigned()).min(),
        first_session: started.first().copied().flatten().map(|at| Nanos(at.cast_unsigned())),
    })
}

fn id(row: &Row<'_>) -> rusqlite::Result<OrderId> {
    let raw: i64 = row.get(0)?;
    let raw = raw.cast_unsigned();
    Ok(OrderId::new((raw >> 32) as u32, raw as u32))
}

fn column<T>(
    connection: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection.prepare(sql)?.query_map(values, read)?.collect()
}

const NEWEST_OUTCOME: &str = "SELECT outcome FROM sessions WHERE mode = ? AND venue = ? ORDER BY id DESC LIMIT 1";
const WITHOUT_END: &str = "SELECT order_id, symbol, side, kind, tif, price, qty, reduce_only, decided_ns, exchange_id
    FROM orders WHERE state IN ('intended', 'sent', 'unknown', 'open') AND side IS NOT NULL
    AND session_id IN (SELECT id FROM sessions WHERE mode = ? AND venue = ?) ORDER BY order_id";
const TRADES_OF: &str = "SELECT trade_id, qty FROM fills WHERE order_id = ?";
/// As many as may have crossed each other on the way to the exchange, and far more.
const NEWEST_ACCEPTED: &str = "SELECT order_id, exchange_id, state FROM orders
    WHERE exchange_id IS NOT NULL AND session_id IN (SELECT id FROM sessions WHERE mode = ? AND venue = ?)
    AND symbol = ? ORDER BY order_id DESC LIMIT 256";
const FIRST_SESSION: &str = "SELECT min(started_ns) FROM sessions JOIN session_symbols ON session_id = id
    WHERE mode = ? AND venue = ? AND symbol = ?";
