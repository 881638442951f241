//! Round trips read back for a backtest: the newest session that measured an order, and nothing of the others.

#![allow(clippy::unwrap_used)]

mod common;

use optiflow_storage::reader::round_trips;
use rusqlite::Connection;

use common::Scratch;

#[test]
fn the_newest_session_that_measured_an_order_counts() {
    let scratch = Scratch::new();
    let path = scratch.database();
    assert!(round_trips(&path).is_err(), "there is no file");
    let database = Connection::open(&path).unwrap();
    let table = "CREATE TABLE latency_buckets (session_id INTEGER, span TEXT, nanos INTEGER, count INTEGER)";
    database.execute(table, []).unwrap();
    assert_eq!(round_trips(&path).unwrap(), None);
    for (session, span, nanos, count) in [
        (1, "order_ack", 900, 3),
        (2, "order_ack", 700, 1),
        (2, "order_ack", 500, 2),
        (2, "cancel_ack", 300, 4),
        (2, "risk", 100, 9),
        (3, "risk", 100, 9),
    ] {
        let sql = "INSERT INTO latency_buckets VALUES (?, ?, ?, ?)";
        database.execute(sql, rusqlite::params![session, span, nanos, count]).unwrap();
    }
    let measured = round_trips(&path).unwrap().unwrap();
    assert_eq!(measured.session, 2);
    assert_eq!((measured.orders, measured.cancels), (vec![(500, 2), (700, 1)], vec![(300, 4)]));
}
