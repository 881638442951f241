//! Reads a finished session back: its orders and fills, as the file has them.
//!
//! For audits against the exchange's own ledger. Opens the file read-only; never on a hot thread.

use std::path::Path;

use optiflow_base::money::{Price, Qty};
use rusqlite::{Connection, OpenFlags, Row, params};

use crate::error::StorageError;

pub mod former;
pub mod history;

/// An order that reached the exchange, as the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOrder {
    /// Client order id.
    pub client_id: String,
    /// Venue symbol.
    pub symbol: String,
    /// `buy` or `sell`.
    pub side: String,
    /// Limit price; zero for a market order.
    pub price: Price,
    /// Quantity asked for.
    pub qty: Qty,
    /// `open`, `unknown`, `filled`, `cancelled`, `expired` …
    pub state: String,
    /// Filled so far.
    pub filled: Qty,
}

/// A fill, as the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFill {
    /// Client order id.
    pub client_id: String,
    /// The exchange's trade id.
    pub trade_id: u64,
    /// Venue symbol.
    pub symbol: String,
    /// `buy` or `sell`.
    pub side: String,
    /// Price.
    pub price: Price,
    /// Quantity.
    pub qty: Qty,
    /// Fee, 10⁻⁸ of the margin asset.
    pub fee: i64,
    /// Were we the maker?
    pub maker: bool,
}

/// The orders of `session` that the exchange accepted, by client id.
///
/// # Errors
/// When the file cannot be read.
pub fn accepted_orders(path: &Path, session: i64) -> Result<Vec<StoredOrder>, StorageError> {
    let sql = "SELECT client_id, symbol, side, price, qty, state, filled FROM orders
               WHERE session_id = ? AND exchange_id IS NOT NULL ORDER BY client_id";
    query(path, session, sql, |row| {
        Ok(StoredOrder {
            client_id: row.get(0)?,
            symbol: row.get(1)?,
            side: row.get(2)?,
            price: Price::from_units(row.get(3)?),
            qty: Qty::from_units(row.get(4)?),
            state: row.get(5)?,
            filled: Qty::from_units(row.get(6)?),
        })
    })
}

/// The fills of `session`, by trade id.
///
/// # Errors
/// When the file cannot be read.
pub fn fills(path: &Path, session: i64) -> Result<Vec<StoredFill>, StorageError> {
    let sql = "SELECT client_id, trade_id, fills.symbol, fills.side, fills.price, fills.qty, fee, maker
               FROM fills JOIN orders USING (order_id) WHERE fills.session_id = ? ORDER BY trade_id";
    query(path, session, sql, |row| {
        let trade_id: i64 = row.get(1)?;
        Ok(StoredFill {
            client_id: row.get(0)?,
            trade_id: trade_id.cast_unsigned(),
            symbol: row.get(2)?,
            side: row.get(3)?,
            price: Price::from_units(row.get(4)?),
            qty: Qty::from_units(row.get(5)?),
            fee: row.get(6)?,
            maker: row.get(7)?,
        })
    })
}

/// How long requests took to be answered in one session: buckets of (upper end in ns, count), shortest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRoundTrips {
    /// Which session.
    pub session: i64,
    /// Order requests handed to the socket until their answers.
    pub orders: Vec<(u64, u64)>,
    /// Cancel requests likewise; empty where none was sent.
    pub cancels: Vec<(u64, u64)>,
}

/// The round trips of the newest session that measured one of an order; `None` where no session did.
///
/// # Errors
/// When the file cannot be read.
pub fn round_trips(path: &Path) -> Result<Option<StoredRoundTrips>, StorageError> {
    let sql = "SELECT session_id, span, nanos, count FROM latency_buckets
               WHERE session_id = (SELECT MAX(session_id) FROM latency_buckets WHERE span = 'order_ack' AND count > ?)
               AND span IN ('order_ack', 'cancel_ack') ORDER BY nanos";
    let none_counted = 0;
    let rows = query(path, none_counted, sql, |row| {
        let (session, span): (i64, String) = (row.get(0)?, row.get(1)?);
        let (nanos, count): (i64, i64) = (row.get(2)?, row.get(3)?);
        Ok((session, span, (nanos.max(0).cast_unsigned(), count.max(0).cast_unsigned())))
    })?;
    let of = |span: &str| rows.iter().filter(|row| row.1 == span).map(|row| row.2).collect();
    let first = rows.first().map(|row| row.0);
    Ok(first.map(|session| StoredRoundTrips { session, orders: of("order_ack"), cancels: of("cancel_ack") }))
}

fn query<T>(
    path: &Path,
    session: i64,
    sql: &str,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StorageError> {
    let rows = || -> rusqlite::Result<Vec<T>> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let mut statement = connection.prepare(sql)?;
        statement.query_map(params![session], |row| read(row))?.collect()
    };
    rows().map_err(|error| StorageError::sqlite(path, "reading", &error))
}
