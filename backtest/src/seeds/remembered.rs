//! What the database remembers, read as an audit reads it, and held against what was told and what happened.
//!
//! Opens the file read-only, between two lives and after the last. Changes nothing.

use std::collections::BTreeMap;

use optiflow_base::clock::Nanos;
use optiflow_base::ids::{OrderId, SymbolId, TradeId};
use optiflow_base::money::Side;
use optiflow_sim::core::Core;
use optiflow_sim::words::OrderStatus;
use optiflow_storage::reader::former::{UnfinishedOrder, unfinished};
use optiflow_storage::reader::{self, StoredFill, StoredOrder};
use optiflow_storage::{StorageError, Summary};

use super::database::{Database, MODE, VENUE};
use super::watch::{ToldFill, Watch};

/// Orders and fills of all lives, as the file has them.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    /// Orders that the exchange accepted.
    pub orders: BTreeMap<OrderId, StoredOrder>,
    /// Orders without an end.
    pub unfinished: Vec<UnfinishedOrder>,
    /// Every fill.
    pub fills: BTreeMap<(SymbolId, TradeId), StoredFill>,
}

impl Remembered {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read, or has a trade twice.
    pub fn read(database: &Database) -> Result<Remembered, String> {
        let say = |error: StorageError| format!("I10: {error}");
        let path = database.path();
        let names: Vec<&str> = database.symbols().iter().map(|symbol| symbol.name.as_str()).collect();
        let left = unfinished(&path, MODE, VENUE, &names).map_err(say)?;
        let mut remembered = Remembered { unfinished: left.orders, ..Remembered::default() };
        for session in 1..=i64::from(database.lives()) {
            for order in reader::accepted_orders(&path, session).map_err(say)? {
                remembered.orders.insert(id_of(&order.client_id)?, order);
            }
            for fill in reader::fills(&path, session).map_err(say)? {
                let symbol = names.iter().position(|name| *name == fill.symbol).unwrap_or(usize::MAX);
                let key = (SymbolId(u16::try_from(symbol).unwrap_or(u16::MAX)), TradeId(fill.trade_id));
                if let Some(other) = remembered.fills.insert(key, fill) {
                    return Err(format!("I10: the database has trade {} twice: {other:?}", other.trade_id));
                }
            }
        }
        Ok(remembered)
    }

    /// Has it this order at all?
    pub fn knows(&self, id: OrderId) -> bool {
        self.orders.contains_key(&id) || self.unfinished.iter().any(|order| order.order.id == id)
    }

    /// The fills as a life would tell them.
    pub fn told(&self) -> Result<BTreeMap<(SymbolId, TradeId), ToldFill>, String> {
        let told = |(key, fill): (&(SymbolId, TradeId), &StoredFill)| {
            let StoredFill { price, qty, fee, .. } = *fill;
            Ok((*key, ToldFill { order: id_of(&fill.client_id)?, price, qty, fee, at: Nanos(0) }))
        };
        self.fills.iter().map(told).collect()
    }

    /// Nothing is remembered that the life that died did not know.
    ///
    /// # Errors
    /// What it is, in words.
    pub fn invents_nothing(&self, life: &Watch) -> Result<(), String> {
        for (key, fill) in self.told()? {
            let told = life.fills.get(&key).is_some_and(|told| ToldFill { at: told.at, ..fill } == *told);
            if !told {
                return Err(format!("I10: the database has a trade {} that was not told so: {fill:?}", key.1.0));
            }
        }
        for (id, order) in &self.orders {
            if has_ended(order) && !life.orders.get(id).is_some_and(|told| told.ended) {
                return Err(format!("I10: the database has {id} as {}, which was not told", order.state));
            }
        }
        Ok(())
    }

    /// After the last life ended in order: the file is the exchange's own ledger, and nothing in it is without an end.
    ///
    /// # Errors
    /// The first difference, in words.
    pub fn is_complete(&self, core: &Core, summary: &Summary) -> Result<(), String> {
        if let Some(order) = self.unfinished.first() {
            return Err(format!("I10: stopped, and the database has no end of {}: {order:?}", order.order.id));
        }
        self.has_every_order(core)?;
        self.has_every_fill(core)?;
        for (symbol, sums) in summary.symbols.iter().enumerate() {
            let held = core.position(symbol).qty;
            if sums.position != held {
                let (name, ours) = (&sums.name, sums.position);
                return Err(format!("I10: {held} of {name} held, the database comes to {ours}"));
            }
        }
        Ok(())
    }

    fn has_every_order(&self, core: &Core) -> Result<(), String> {
        let mut count = 0;
        for (symbol, listing) in core.listings().iter().enumerate() {
            for order in core.all_orders(symbol) {
                count += 1;
                let client = &order.placed.client_id;
                let Some(stored) = self.orders.get(&id_of(client)?) else {
                    return Err(format!("I10: {client} reached the exchange and is not in the database"));
                };
                let StoredOrder { symbol, side, state, filled, .. } = stored;
                let theirs = (&listing.name, side_word(order.placed.side), state_word(order.status), order.filled);
                if theirs != (symbol, side, state, *filled) {
                    return Err(format!("I10: {client} is {theirs:?} at the exchange, in the database {stored:?}"));
                }
            }
        }
        if self.orders.len() == count {
            return Ok(());
        }
        Err(format!("I10: {} orders in the database were accepted, {count} at the exchange", self.orders.len()))
    }

    fn has_every_fill(&self, core: &Core) -> Result<(), String> {
        let fills = core.fills(None);
        for fill in &fills {
            let symbol = SymbolId(u16::try_from(fill.symbol).unwrap_or(u16::MAX));
            let Some(stored) = self.fills.get(&(symbol, TradeId(fill.trade_id))) else {
                return Err(format!("I10: trade {} is not in the database: {fill:?}", fill.trade_id));
            };
            let theirs = (&fill.client_id, side_word(fill.side), fill.price, fill.qty, fill.maker, fill.fee.units());
            let StoredFill { client_id, side, price, qty, maker, fee, .. } = stored;
            if theirs != (client_id, side, *price, *qty, *maker, i128::from(*fee)) {
                return Err(format!("I10: trade {} is {theirs:?}, in the database {stored:?}", fill.trade_id));
            }
        }
        if self.fills.len() == fills.len() {
            return Ok(());
        }
        Err(format!("I10: {} fills in the database, {} at the exchange", self.fills.len(), fills.len()))
    }
}

/// Has the exchange said how it ended?
pub fn has_ended(order: &StoredOrder) -> bool {
    ENDS.contains(&order.state.as_str())
}

fn id_of(client: &str) -> Result<OrderId, String> {
    OrderId::parse(client.as_bytes()).ok_or_else(|| format!("I10: {client} is no id of ours"))
}

const fn side_word(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

const fn state_word(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::New | OrderStatus::PartiallyFilled => "open",
        OrderStatus::Filled => "filled",
        OrderStatus::Canceled => "cancelled",
        OrderStatus::Expired | OrderStatus::ExpiredInMatch => "expired",
    }
}

/// The database's word for an order whose fate nobody knows.
pub const UNKNOWN: &str = "unknown";
const ENDS: [&str; 4] = ["refused", "filled", "cancelled", "expired"];
