//! One look at the account: what is open, what is held.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use optiflow_base::money::Qty;
use optiflow_base::rest::RestReply;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Wanted;
use crate::binance::json::QtyText;
use crate::binance::text::in_query;
use crate::binance::truth;
use crate::error::OmsError;

/// What one look showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Open orders, ordinary and conditional.
    pub orders: Vec<Found>,
    /// Positions that are not flat.
    pub held: Vec<Holding>,
}

/// An open order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Which symbol.
    pub symbol: String,
    /// It waits for a price before it becomes an order.
    pub conditional: bool,
    /// The exchange's id.
    pub id: u64,
    /// Client order id.
    pub client: String,
    /// Side, quantity and price, as the exchange writes them.
    pub terms: String,
}

/// A position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Which symbol.
    pub symbol: String,
    /// Signed quantity.
    pub qty: Qty,
    /// One side of a hedge.
    pub hedged: bool,
}

impl Standing {
    /// Is there nothing left of what is to be ended?
    pub fn is_clear(&self, flatten: bool) -> bool {
        self.orders.is_empty() && (self.held.is_empty() || !flatten)
    }

    /// Symbols with open orders, conditional or ordinary ones.
    pub(super) fn symbols_with(&self, conditional: bool) -> BTreeSet<String> {
        let those = self.orders.iter().filter(|found| found.conditional == conditional);
        those.map(|found| found.symbol.clone()).collect()
    }
}

impl Found {
    /// What tells it from every other.
    pub(super) fn key(&self) -> String {
        format!("{} {} {}", self.symbol, self.conditional, self.id)
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.conditional { "conditional order" } else { "order" };
        let [symbol, client, terms] =
            [&self.symbol, &self.client, &self.terms].map(|text| truth::printable(text.as_bytes()));
        write!(f, "{symbol} {kind} {} ({client}) {terms}", self.id)
    }
}

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let symbol = truth::printable(self.symbol.as_bytes());
        write!(f, "{symbol} position {}{}", self.qty, if self.hedged { " (hedged)" } else { "" })
    }
}

/// What one look weighs.
pub(super) fn weight(wanted: &Wanted) -> u32 {
    POSITIONS_WEIGHT + queries(wanted).iter().map(|(_, weight)| 2 * weight).sum::<u32>()
}

/// The queries for open orders of either kind, and what each of them weighs.
fn queries(wanted: &Wanted) -> Vec<(String, u32)> {
    match wanted.symbols.as_slice() {
        [] => vec![(String::new(), 40)],
        symbols => symbols.iter().map(|symbol| (format!("symbol={}", in_query(symbol)), 1)).collect(),
    }
}

/// Asks for everything; half a look is none.
pub(super) fn look(
    wanted: &Wanted,
    ask: &mut dyn FnMut(&'static str, &str, u32) -> RestReply,
) -> Result<Standing, OmsError> {
    let mut standing = Standing::default();
    for (query, weight) in &queries(wanted) {
        let rows: Vec<RawOrder> = read(ORDERS, &ask(ORDERS, query, *weight))?;
        standing.orders.extend(rows.into_iter().map(RawOrder::found));
        let rows: Vec<RawAlgo> = read(ALGOS, &ask(ALGOS, query, *weight))?;
        standing.orders.extend(rows.into_iter().map(RawAlgo::found));
    }
    let reply = ask(POSITIONS, "", POSITIONS_WEIGHT);
    check(POSITIONS, &reply)?;
    let rows = truth::positions(&reply.body).map_err(|error| senseless(POSITIONS, &error))?;
    let in_scope =
        |symbol: &str| wanted.symbols.is_empty() || wanted.symbols.iter().any(|name| name.as_str() == symbol);
    let held = rows.into_iter().filter(|row| !row.qty.is_zero() && in_scope(&row.symbol));
    standing.held = held.map(|row| Holding { symbol: row.symbol, qty: row.qty, hedged: row.hedged }).collect();
    Ok(standing)
}

/// Largest market order of each symbol, as far as the answer can be read.
pub(super) fn market_limits(body: &[u8]) -> BTreeMap<String, Qty> {
    let Ok(info) = serde_json::from_slice::<RawInfo>(body) else { return BTreeMap::new() };
    let limit = |symbol: RawSymbol| {
        let filter = symbol.filters.into_iter().find(|filter| filter.filter_type == "MARKET_LOT_SIZE")?;
        Some((symbol.symbol, Qty::from_units(filter.max_qty?.0)))
    };
    info.symbols.into_iter().filter_map(limit).collect()
}

fn read<T: DeserializeOwned>(path: &'static str, reply: &RestReply) -> Result<T, OmsError> {
    check(path, reply)?;
    serde_json::from_slice(&reply.body).map_err(|error| senseless(path, &error))
}

pub(super) fn check(path: &'static str, reply: &RestReply) -> Result<(), OmsError> {
    if reply.is_ok() {
        return Ok(());
    }
    let error = truth::error(&reply.body);
    Err(OmsError::Call { path, status: reply.status, code: error.code, text: error.text })
}

fn senseless(path: &'static str, error: &serde_json::Error) -> OmsError {
    OmsError::Answer { path, reason: error.to_string() }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawOrder {
    symbol: String,
    order_id: u64,
    client_order_id: String,
    #[serde(default)]
    side: String,
    #[serde(default)]
    orig_qty: String,
    #[serde(default)]
    price: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawAlgo {
    symbol: String,
    algo_id: u64,
    #[serde(default)]
    client_algo_id: String,
    #[serde(default)]
    side: String,
    #[serde(default)]
    quantity: String,
    #[serde(default)]
    trigger_price: String,
}

#[derive(Deserialize)]
struct RawInfo {
    symbols: Vec<RawSymbol>,
}

#[derive(Deserialize)]
struct RawSymbol {
    symbol: String,
    #[serde(default)]
    filters: Vec<RawFilter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawFilter {
    filter_type: String,
    #[serde(default)]
    max_qty: Option<QtyText>,
}

impl RawOrder {
    fn found(self) -> Found {
        let terms = format!("{} {} @ {}", self.side, self.orig_qty, self.price);
        let (symbol, client) = (self.symbol, self.client_order_id);
        Found { symbol, conditional: false, id: self.order_id, client, terms }
    }
}

impl RawAlgo {
    fn found(self) -> Found {
        let terms = format!("{} {} at {}", self.side, self.quantity, self.trigger_price);
        let (symbol, client) = (self.symbol, self.client_algo_id);
        Found { symbol, conditional: true, id: self.algo_id, client, terms }
    }
}

const ORDERS: &str = "/fapi/v1/openOrders";
const ALGOS: &str = "/fapi/v1/openAlgoOrders";
const POSITIONS: &str = "/fapi/v3/positionRisk";
const POSITIONS_WEIGHT: u32 = 5;
