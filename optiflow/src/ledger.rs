//! The audit at the end of a session on the embedded exchange: our database against the exchange's own ledger.
//!
//! Every order that the exchange accepted and every fill must be in both, and equal. Reads; mends nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use optiflow_base::money::{Qty, Side};
use optiflow_sim::words::OrderStatus;
use optiflow_storage::Summary;
use optiflow_storage::reader::{self, StoredFill, StoredOrder};

use crate::exchange::Ledger;

/// What the comparison came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Orders that agree.
    pub orders: usize,
    /// Fills that agree.
    pub fills: usize,
    /// Orders still open on the exchange.
    pub open: usize,
    /// Every difference, in words.
    pub differences: Vec<String>,
}

impl Audit {
    /// Nothing differs and nothing is open.
    pub fn agrees(&self) -> bool {
        self.differences.is_empty() && self.open == 0
    }
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.agrees() {
            let Audit { orders, fills, .. } = self;
            return write!(f, "database and exchange agree: {orders} orders, {fills} fills, none open");
        }
        write!(f, "{} orders open, {} differences", self.open, self.differences.len())?;
        for difference in self.differences.iter().take(DIFFERENCES_SHOWN) {
            write!(f, "\n          {difference}")?;
        }
        Ok(())
    }
}

/// Compares the session in the database, and the position it came to, with the exchange's ledger.
///
/// # Errors
/// When the database cannot be read.
pub fn audit(path: &Path, summary: &Summary, ledger: &Ledger) -> Result<Audit, String> {
    let orders = reader::accepted_orders(path, summary.session).map_err(|error| error.to_string())?;
    let fills = reader::fills(path, summary.session).map_err(|error| error.to_string())?;
    let mut audit = compare(orders, fills, ledger);
    for position in &ledger.positions {
        let ours = summary.symbols.iter().find(|symbol| symbol.name == position.symbol);
        let ours = ours.map_or(Qty::ZERO, |symbol| symbol.position);
        if ours != position.qty {
            let (name, theirs) = (&position.symbol, position.qty);
            audit.differences.push(format!("position {name}: database {ours}, exchange {theirs}"));
        }
    }
    Ok(audit)
}

fn compare(orders: Vec<StoredOrder>, fills: Vec<StoredFill>, ledger: &Ledger) -> Audit {
    let mut audit = Audit { open: ledger.open_orders().count(), ..Audit::default() };
    let ours = orders.into_iter().map(|order| (order.client_id.clone(), order));
    let theirs = ledger.orders.iter().map(|order| {
        let stored = StoredOrder {
            client_id: order.client_id.clone(),
            symbol: order.symbol.clone(),
            side: side(order.side).to_owned(),
            price: order.price,
            qty: order.qty,
            state: state(order.status).to_owned(),
            filled: order.filled,
        };
        (order.client_id.clone(), stored)
    });
    audit.orders = join("order", ours.collect(), theirs.collect(), &mut audit.differences);
    let ours = fills.into_iter().map(|fill| (fill.trade_id, fill));
    let theirs = ledger.fills.iter().map(|fill| {
        let stored = StoredFill {
            client_id: fill.client_id.clone(),
            trade_id: fill.trade_id,
            symbol: fill.symbol.clone(),
            side: side(fill.side).to_owned(),
            price: fill.price,
            qty: fill.qty,
            fee: fill.fee.units_i64(),
            maker: fill.maker,
        };
        (fill.trade_id, stored)
    });
    audit.fills = join("fill", ours.collect(), theirs.collect(), &mut audit.differences);
    audit
}

/// A side in the database's words.
fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

/// A status in the database's words.
fn state(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::New | OrderStatus::PartiallyFilled => "open",
        OrderStatus::Filled => "filled",
        OrderStatus::Canceled => "cancelled",
        OrderStatus::Expired | OrderStatus::ExpiredInMatch => "expired",
    }
}

/// Counts equal rows and describes the others.
fn join<K: Ord + fmt::Display, V: Eq + fmt::Debug>(
    what: &str,
    ours: BTreeMap<K, V>,
    mut theirs: BTreeMap<K, V>,
    differences: &mut Vec<String>,
) -> usize {
    let mut equal = 0;
    for (key, mine) in ours {
        match theirs.remove(&key) {
            Some(other) if other == mine => equal += 1,
            Some(other) => differences.push(format!("{what} {key}: database {mine:?}, exchange {other:?}")),
            None => differences.push(format!("{what} {key}: unknown to the exchange: {mine:?}")),
        }
    }
    differences.extend(theirs.into_iter().map(|(key, other)| format!("{what} {key}: not in the database: {other:?}")));
    equal
}

const DIFFERENCES_SHOWN: usize = 10;
