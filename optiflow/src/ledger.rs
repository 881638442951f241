//! The audit at the end of a session on the embedded exchange: our database against the exchange's own ledger.
//!
//! Every order that the exchange accepted and every fill must be in both, and equal, as far back as the exchange
//! remembers. Reads; mends nothing.

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
    /// Ended orders that were not compared: the exchange no longer remembers as many.
    pub orders_beyond: u64,
    /// Fills that were not compared: they are older than what the exchange remembers.
    pub fills_beyond: u64,
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
            let Audit { orders, fills, orders_beyond, fills_beyond, .. } = self;
            write!(f, "database and exchange agree: {orders} orders, {fills} fills, none open")?;
            if *orders_beyond > 0 || *fills_beyond > 0 {
                write!(f, "; not compared beyond what the exchange remembers: {orders_beyond} orders, ")?;
                write!(f, "{fills_beyond} fills")?;
            }
            return Ok(());
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
    let mut beyond = 0;
    let may_be_forgotten = |_: &String, order: &StoredOrder| {
        let excused = beyond < ledger.forgotten.orders && ENDS.contains(&order.state.as_str());
        beyond += u64::from(excused);
        excused
    };
    audit.orders = join("order", ours.collect(), theirs.collect(), may_be_forgotten, &mut audit.differences);
    audit.orders_beyond = beyond;
    let mut beyond = 0;
    let is_forgotten = |trade: &u64, _: &StoredFill| {
        let excused = *trade <= ledger.forgotten.last_trade_id;
        beyond += u64::from(excused);
        excused
    };
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
    audit.fills = join("fill", ours.collect(), theirs.collect(), is_forgotten, &mut audit.differences);
    audit.fills_beyond = beyond;
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

/// Counts equal rows and describes the others, but for what only we have and is excused.
fn join<K: Ord + fmt::Display, V: Eq + fmt::Debug>(
    what: &str,
    ours: BTreeMap<K, V>,
    mut theirs: BTreeMap<K, V>,
    mut excused: impl FnMut(&K, &V) -> bool,
    differences: &mut Vec<String>,
) -> usize {
    let mut equal = 0;
    for (key, mine) in ours {
        match theirs.remove(&key) {
            Some(other) if other == mine => equal += 1,
            Some(other) => differences.push(format!("{what} {key}: database {mine:?}, exchange {other:?}")),
            None if excused(&key, &mine) => {}
            None => differences.push(format!("{what} {key}: unknown to the exchange: {mine:?}")),
        }
    }
    differences.extend(theirs.into_iter().map(|(key, other)| format!("{what} {key}: not in the database: {other:?}")));
    equal
}

/// The database's words for an order that has ended.
const ENDS: [&str; 3] = ["filled", "cancelled", "expired"];
const DIFFERENCES_SHOWN: usize = 10;

#[cfg(test)]
mod tests {
    use optiflow_base::money::{Notional, Price};
    use optiflow_sim::core::orders::Forgotten;

    use super::*;
    use crate::exchange::{LedgerFill, LedgerOrder};

    fn qty(units: i64) -> Qty {
        Qty::from_units(units)
    }

    fn ours(orders: u64) -> (Vec<StoredOrder>, Vec<StoredFill>) {
        let (symbol, side, price) = ("BTCUSDT".to_owned(), "buy".to_owned(), Price::from_units(5));
        let order = |id: u64| StoredOrder {
            client_id: format!("id-{id}"),
            symbol: symbol.clone(),
            side: side.clone(),
            price,
            qty: qty(1),
            state: "filled".to_owned(),
            filled: qty(1),
        };
        let fill = |id: u64| StoredFill {
            client_id: format!("id-{id}"),
            trade_id: 100 + id,
            symbol: symbol.clone(),
            side: side.clone(),
            price,
            qty: qty(1),
            fee: 0,
            maker: true,
        };
        ((1..=orders).map(order).collect(), (1..=orders).map(fill).collect())
    }

    /// The exchange remembers orders and fills from `first` to `last`.
    fn theirs(first: u64, last: u64, forgotten: Forgotten) -> Ledger {
        let (symbol, side, price) = ("BTCUSDT".to_owned(), Side::Buy, Price::from_units(5));
        let order = |id: u64| LedgerOrder {
            symbol: symbol.clone(),
            order_id: id,
            client_id: format!("id-{id}"),
            side,
            price,
            qty: qty(1),
            filled: qty(1),
            status: OrderStatus::Filled,
        };
        let fill = |id: u64| LedgerFill {
            symbol: symbol.clone(),
            trade_id: 100 + id,
            order_id: id,
            client_id: format!("id-{id}"),
            side,
            price,
            qty: qty(1),
            fee: Notional::ZERO,
            realized: Notional::ZERO,
            maker: true,
        };
        let (orders, fills) = ((first..=last).map(order).collect(), (first..=last).map(fill).collect());
        Ledger { orders, fills, forgotten, ..Ledger::default() }
    }

    #[test]
    fn what_the_exchange_forgot_is_not_compared_and_not_one_row_more() {
        let audit = |forgotten| {
            let (orders, fills) = ours(5);
            compare(orders, fills, &theirs(3, 5, forgotten))
        };
        let long = audit(Forgotten { orders: 2, fills: 2, last_trade_id: 102 });
        assert!(long.agrees(), "{long}");
        assert_eq!((long.orders, long.fills, long.orders_beyond, long.fills_beyond), (3, 3, 2, 2));
        assert!(long.to_string().ends_with("not compared beyond what the exchange remembers: 2 orders, 2 fills"));
        let short = audit(Forgotten { orders: 1, fills: 1, last_trade_id: 101 });
        assert_eq!(short.differences.len(), 2, "{short}");
        assert_eq!(audit(Forgotten::default()).differences.len(), 4);
    }
}
