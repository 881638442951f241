//! A session's orders with everything that happened to them: for whoever replays it.
//!
//! Opens the file read-only; never on a hot thread.

use std::path::Path;

use optiflow_base::clock::Nanos;
use optiflow_base::money::{Price, Qty, Side};
use optiflow_base::order::{OrderKind, TimeInForce};
use rusqlite::Row;
use rusqlite::types::{FromSql, Type};

use super::query;
use crate::error::StorageError;
use crate::rows::{kind_text, side_text, tif_text};
use crate::word::OrderWord;

/// A run of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSession {
    /// Its number in the file.
    pub id: i64,
    /// When it began.
    pub started: Nanos,
    /// When it ended; `None` while it runs or when it was killed.
    pub ended: Option<Nanos>,
    /// `sim`, `testnet`, `live`.
    pub mode: String,
    /// How it ended.
    pub outcome: Option<String>,
}

/// A symbol of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSymbol {
    /// Venue name.
    pub name: String,
    /// Decimals of its prices.
    pub price_decimals: u32,
    /// Decimals of its quantities.
    pub qty_decimals: u32,
}

/// An order that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentOrder {
    /// Our id.
    pub id: u64,
    /// Its text.
    pub client_id: String,
    /// Venue symbol.
    pub symbol: String,
    /// Buy or sell.
    pub side: Side,
    /// Limit or market.
    pub kind: OrderKind,
    /// How long it lives.
    pub time_in_force: TimeInForce,
    /// Limit price; zero for a market order.
    pub price: Price,
    /// Quantity asked for.
    pub qty: Qty,
    /// May it only shrink the position?
    pub reduce_only: bool,
    /// When the strategy decided.
    pub decided: Nanos,
    /// `open`, `unknown`, `filled`, `cancelled`, `expired`, `refused` …
    pub state: String,
    /// Filled so far.
    pub filled: Qty,
}

/// Something that happened to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderStep {
    /// Our id of the order.
    pub order: u64,
    /// When we learned it.
    pub at: Nanos,
    /// When it happened at the exchange, ms; 0 where it did not say.
    pub exchange_ms: u64,
    /// What happened.
    pub what: OrderWord,
    /// What belongs to it: exchange id, venue code, trade id, new price or quantity.
    pub value: Option<i64>,
}

/// A trade of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderFill {
    /// Our id of the order.
    pub order: u64,
    /// When it happened at the exchange, ms; 0 where it did not say.
    pub exchange_ms: u64,
    /// When we learned it.
    pub at: Nanos,
    /// Price.
    pub price: Price,
    /// Quantity.
    pub qty: Qty,
    /// Fee, 10⁻⁸ of the margin asset.
    pub fee: i64,
    /// Were we the maker?
    pub maker: bool,
}

/// The sessions of a file, oldest first.
///
/// # Errors
/// When the file cannot be read.
pub fn sessions(path: &Path) -> Result<Vec<StoredSession>, StorageError> {
    let sql = "SELECT id, started_ns, ended_ns, mode, outcome FROM sessions WHERE id >= ? ORDER BY id";
    query(path, 0, sql, |row| {
        let ended: Option<i64> = row.get(2)?;
        Ok(StoredSession {
            id: row.get(0)?,
            started: nanos(row, 1)?,
            ended: ended.map(|ended| Nanos(ended.cast_unsigned())),
            mode: row.get(3)?,
            outcome: row.get(4)?,
        })
    })
}

/// What `session` traded.
///
/// # Errors
/// When the file cannot be read.
pub fn symbols(path: &Path, session: i64) -> Result<Vec<StoredSymbol>, StorageError> {
    let sql = "SELECT symbol, price_decimals, qty_decimals FROM session_symbols WHERE session_id = ? ORDER BY symbol";
    query(path, session, sql, |row| {
        Ok(StoredSymbol { name: row.get(0)?, price_decimals: row.get(1)?, qty_decimals: row.get(2)? })
    })
}

/// The orders that `session` wanted and sent, in the order of their ids.
///
/// # Errors
/// When the file cannot be read.
pub fn sent_orders(path: &Path, session: i64) -> Result<Vec<SentOrder>, StorageError> {
    let sql = "SELECT order_id, client_id, symbol, side, kind, tif, price, qty, reduce_only, decided_ns, state, filled
               FROM orders WHERE session_id = ? AND side IS NOT NULL AND state NOT IN ('intended', 'denied')
               ORDER BY order_id";
    query(path, session, sql, |row| {
        Ok(SentOrder {
            id: unsigned(row, 0)?,
            client_id: row.get(1)?,
            symbol: row.get(2)?,
            side: word(row, 3, &[Side::Buy, Side::Sell], side_text)?,
            kind: word(row, 4, &[OrderKind::Limit, OrderKind::Market], kind_text)?,
            time_in_force: word(row, 5, &TIMES_IN_FORCE, tif_text)?,
            price: Price::from_units(row.get(6)?),
            qty: Qty::from_units(row.get(7)?),
            reduce_only: row.get(8)?,
            decided: nanos(row, 9)?,
            state: row.get(10)?,
            filled: Qty::from_units(row.get(11)?),
        })
    })
}

/// What happened to the orders of `session`, in the order in which it was learned.
///
/// # Errors
/// When the file cannot be read.
pub fn steps(path: &Path, session: i64) -> Result<Vec<OrderStep>, StorageError> {
    let sql = "SELECT order_id, at_ns, exchange_ms, what, value FROM order_events WHERE session_id = ? ORDER BY id";
    query(path, session, sql, |row| {
        Ok(OrderStep {
            order: unsigned(row, 0)?,
            at: nanos(row, 1)?,
            exchange_ms: unsigned(row, 2)?,
            what: word(row, 3, &OrderWord::ALL, OrderWord::name)?,
            value: row.get(4)?,
        })
    })
}

/// The trades of `session`, in exchange time.
///
/// # Errors
/// When the file cannot be read.
pub fn order_fills(path: &Path, session: i64) -> Result<Vec<OrderFill>, StorageError> {
    let sql = "SELECT order_id, exchange_ms, at_ns, price, qty, fee, maker FROM fills WHERE session_id = ?
               ORDER BY exchange_ms, trade_id";
    query(path, session, sql, |row| {
        Ok(OrderFill {
            order: unsigned(row, 0)?,
            exchange_ms: unsigned(row, 1)?,
            at: nanos(row, 2)?,
            price: Price::from_units(row.get(3)?),
            qty: Qty::from_units(row.get(4)?),
            fee: row.get(5)?,
            maker: row.get(6)?,
        })
    })
}

/// The upper end of the bucket in which half of `span`'s latencies of `session` lie; `None` when none was measured.
///
/// # Errors
/// When the file cannot be read.
pub fn latency_median(path: &Path, session: i64, span: &str) -> Result<Option<u64>, StorageError> {
    let sql = "SELECT span, p50 FROM latency WHERE session_id = ? AND count > 0";
    let rows = query(path, session, sql, |row| Ok((row.get::<_, String>(0)?, unsigned(row, 1)?)))?;
    Ok(rows.into_iter().find(|(name, _)| name == span).map(|(_, p50)| p50))
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

fn nanos(row: &Row<'_>, column: usize) -> rusqlite::Result<Nanos> {
    unsigned(row, column).map(Nanos)
}

/// The word of `all` that stands in the column.
pub(super) fn word<T: Copy>(
    row: &Row<'_>,
    column: usize,
    all: &[T],
    text: impl Fn(T) -> &'static str,
) -> rusqlite::Result<T> {
    let value = row.get_ref(column)?;
    let written = String::column_result(value).unwrap_or_default();
    let found = all.iter().find(|known| text(**known) == written).copied();
    let strange = || format!("{written:?} is none of the known words");
    found.ok_or_else(|| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, strange().into()))
}

pub(super) const TIMES_IN_FORCE: [TimeInForce; 4] =
    [TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::Fok, TimeInForce::Gtx];

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::schema::SCHEMA;

    #[test]
    fn a_session_is_read_back_with_what_happened_to_its_orders() {
        let path = std::env::temp_dir().join(format!("optiflow-history-{}.db", std::process::id()));
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        let rows = "
            INSERT INTO sessions VALUES (3, 9, 50, NULL, 'sim', 'v', 'BTCUSDT', 'USDT', 'c', 'b', '1', NULL, NULL);
            INSERT INTO session_symbols VALUES (3, 'BTCUSDT', 1, 3);
            INSERT INTO orders VALUES
                (7, 3, 'of-7', 'BTCUSDT', 'sell', 'limit', 'gtx', 100, 20, 1, 60, 61, 'filled', 20, 5, 90),
                (8, 3, 'of-8', 'BTCUSDT', 'buy', 'market', 'ioc', 0, 20, 0, 60, 61, 'denied', 0, NULL, 62),
                (9, 3, 'of-9', 'BTCUSDT', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'open', 0, 6, 62);
            INSERT INTO order_events VALUES (1, 3, 7, 63, 0, 'sent', NULL), (2, 3, 7, 70, 4, 'accepted', 5);
            INSERT INTO fills VALUES (7, 1, 3, 'BTCUSDT', 80, 5, 'sell', 100, 20, 1, -2);
            INSERT INTO latency VALUES (3, 'order_ack', 1, 6, 6, 6, 6, 6, 6), (3, 'feed', 0, 0, 0, 0, 0, 0, 0);";
        connection.execute_batch(rows).unwrap();
        let session = &sessions(&path).unwrap()[0];
        assert_eq!((session.id, session.started, session.ended), (3, Nanos(50), None));
        assert_eq!(symbols(&path, 3).unwrap()[0].qty_decimals, 3);
        let orders = sent_orders(&path, 3).unwrap();
        assert_eq!(orders.len(), 1, "neither a denied order nor one that we only heard of");
        assert_eq!(
            (orders[0].side, orders[0].time_in_force, orders[0].reduce_only),
            (Side::Sell, TimeInForce::Gtx, true)
        );
        let steps = steps(&path, 3).unwrap();
        assert_eq!((steps[1].what, steps[1].exchange_ms, steps[1].value), (OrderWord::Accepted, 4, Some(5)));
        let fill = order_fills(&path, 3).unwrap()[0];
        assert_eq!((fill.order, fill.exchange_ms, fill.fee, fill.maker), (7, 5, -2, true));
        assert_eq!(latency_median(&path, 3, "order_ack").unwrap(), Some(6));
        assert_eq!(latency_median(&path, 3, "feed").unwrap(), None);
        drop(connection);
        std::fs::remove_file(&path).unwrap();
    }
}
