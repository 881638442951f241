//! A storage stage over a file of its own, and events to feed it.

#![allow(dead_code, missing_docs, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use optiflow_base::clock::Nanos;
use optiflow_base::ids::{ExchangeOrderId, OrderId, SymbolId, SymbolName, TradeId};
use optiflow_base::log::LogEvent;
use optiflow_base::money::{Price, Qty, Side};
use optiflow_base::order::{Action, Intent, NewOrder, OrderChange, OrderEvent, OrderKind, Report, TimeInForce};
use optiflow_base::ring::{Tx, ring};
use optiflow_base::stage::Stage;
use optiflow_storage::{SessionInfo, SessionSymbol, Storage};
use rusqlite::Connection;
use rusqlite::types::Value;

pub const SYMBOL: SymbolId = SymbolId(0);
pub const EPOCH: u32 = 7;
pub const START: Nanos = Nanos(1_680_000_000_000_000_000);

/// A directory that goes away with the test.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Scratch {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("optiflow-storage-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        Scratch(directory)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn database(&self) -> PathBuf {
        self.0.join("trading_log.db")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn session(epoch: u32) -> SessionInfo {
    SessionInfo {
        epoch,
        started: START,
        mode: "sim".to_owned(),
        venue: "binance".to_owned(),
        margin_asset: "USDT".to_owned(),
        config_hash: "c0ffee".to_owned(),
        binary_hash: "beef".to_owned(),
        version: "0.1.0".to_owned(),
        symbols: vec![SessionSymbol {
            id: SYMBOL,
            name: SymbolName::from("BTCUSDT").unwrap(),
            price_decimals: 1,
            qty_decimals: 3,
        }],
    }
}

/// A stage with one ring whose events arrive a millisecond after each other.
pub struct World {
    pub storage: Storage,
    pub now: Nanos,
    pub log: Tx<LogEvent>,
}

impl World {
    pub fn open(path: &Path, epoch: u32) -> World {
        let mut storage = Storage::open(path, &session(epoch)).unwrap();
        let (log, rx) = ring("log", 4_096);
        storage.attach(vec![rx]);
        World { storage, now: START, log }
    }

    pub fn keep(&mut self, events: &[LogEvent]) {
        for event in events {
            self.log.push(*event).unwrap();
        }
        self.later(1);
    }

    /// Time passes, the stage steps.
    pub fn later(&mut self, millis: u64) {
        self.now = Nanos(self.now.0 + millis * 1_000_000);
        self.storage.step(self.now);
    }
}

pub fn id(counter: u32) -> OrderId {
    OrderId::new(EPOCH, counter)
}

pub fn place(counter: u32, side: Side, price_text: &str, qty_text: &str) -> LogEvent {
    let order = NewOrder {
        id: id(counter),
        side,
        kind: OrderKind::Limit,
        time_in_force: TimeInForce::Gtx,
        price: price(price_text),
        qty: qty(qty_text),
        reduce_only: false,
    };
    let (caused, decided) = (START, Nanos(START.0 + 5_000));
    LogEvent::Intent(Intent { symbol: SYMBOL, action: Action::Place(order), caused, decided })
}

pub fn change(counter: u32, change: OrderChange) -> LogEvent {
    let at = Nanos(START.0 + 10_000);
    let event = OrderEvent { symbol: SYMBOL, order: id(counter), at, exchange_ms: 1_680_000_000_000, change };
    LogEvent::Report(Report::Order(event))
}

pub fn accepted(counter: u32) -> LogEvent {
    change(counter, OrderChange::Accepted { exchange_id: ExchangeOrderId(8_000 + u64::from(counter)) })
}

pub fn fill(counter: u32, trade: u64, price_text: &str, qty_text: &str, total: &str) -> LogEvent {
    let (trade, price, qty_, total) = (TradeId(trade), price(price_text), qty(qty_text), qty(total));
    change(counter, OrderChange::Filled { trade, price, qty: qty_, total, maker: true, fee: 1_200_000 })
}

pub fn price(text: &str) -> Price {
    text.parse().unwrap()
}

pub fn qty(text: &str) -> Qty {
    text.parse().unwrap()
}

/// Rows of a query as text, values separated by spaces, as a reader of the file sees them.
pub fn query(path: &Path, sql: &str) -> Vec<String> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let reader = Connection::open_with_flags(path, flags).unwrap();
    let mut statement = reader.prepare(sql).unwrap();
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        let cell = |index| match row.get::<_, Value>(index).unwrap() {
            Value::Null => "-".to_owned(),
            Value::Integer(value) => value.to_string(),
            Value::Real(value) => value.to_string(),
            Value::Text(value) => value,
            Value::Blob(_) => "blob".to_owned(),
        };
        Ok((0..columns).map(cell).collect::<Vec<_>>().join(" "))
    });
    rows.unwrap().map(Result::unwrap).collect()
}
