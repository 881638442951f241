//! What happened, from the exchange's own ledger, compared with what we say and with what may never be.
//!
//! Reads the exchange; changes nothing. Cheap checks run after every step, whole comparisons every second and at the end.

use std::collections::BTreeMap;
use std::fmt;

use optiflow_base::ids::{OrderId, SymbolId, TradeId};
use optiflow_base::money::{Notional, Price, Qty, Side};
use optiflow_sim::core::Core;
use optiflow_sim::words::{Fill, Order};

use super::watch::Watch;

/// More than this may never be held and ordered, at the prices of the moment: the limits of the risk room, and a little
/// for how far prices move under what is held already.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// Value of one symbol's position with everything open on one side filled.
    pub symbol: Notional,
    /// Sum of that over all symbols.
    pub total: Notional,
    /// Orders open at once that may open a position, of all symbols.
    pub entries: usize,
}

/// What a symbol may come to: what is held, and what may still be bought and sold.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stake {
    /// Its position.
    pub held: Qty,
    /// What may still be bought, other than by what only reduces.
    pub buys: Qty,
    /// What may still be sold.
    pub sells: Qty,
    /// By how many orders.
    pub entries: usize,
    /// How many of them are of unknown fate.
    pub unknown: usize,
}

impl Stake {
    /// An order may still trade so much.
    pub fn add(&mut self, side: Side, left: Qty) {
        self.entries += 1;
        match side {
            Side::Buy => self.buys += left,
            Side::Sell => self.sells += left,
        }
    }

    fn worst(&self) -> Qty {
        (self.held + self.buys).abs().max((self.held - self.sells).abs())
    }
}

impl fmt::Display for Stake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stake { held, buys, sells, entries, unknown } = self;
        write!(f, "{held} held, {buys} of buys and {sells} of sells in {entries} orders, {unknown} of unknown fate")
    }
}

impl Bound {
    /// Checks what every symbol may come to, at the prices of now.
    ///
    /// # Errors
    /// What is broken, in words.
    pub fn holds(&self, core: &Core, stakes: &[Stake]) -> Result<(), String> {
        let (mut total, mut entries) = (Notional::ZERO, 0);
        for (symbol, (listing, stake)) in core.listings().iter().zip(stakes).enumerate() {
            let value = core.reference_price(symbol).times(stake.worst());
            if value > self.symbol {
                return Err(format!("I2: {}: {stake}: worth {value}, limit {}", listing.name, self.symbol));
            }
            total += value;
            entries += stake.entries;
            if total > self.total {
                let limit = self.total;
                return Err(format!("I2: {}: {stake}: worth {total} with the other, limit {limit}", listing.name));
            }
        }
        if entries > self.entries {
            return Err(format!("I2: {entries} orders that may open a position, limit {}", self.entries));
        }
        Ok(())
    }
}

/// What a symbol may come to by what the exchange holds for us now.
pub fn open(core: &Core, symbol: usize) -> Stake {
    let mut stake = Stake { held: core.position(symbol).qty, ..Stake::default() };
    for order in core.open_of(symbol).filter(|order| !order.placed.reduce_only) {
        stake.add(order.placed.side, order.placed.qty - order.filled);
    }
    stake
}

/// The orders that were accepted, each of them checked when it comes and when it is modified.
#[derive(Debug, Default)]
pub struct Accepted {
    /// By symbol, in the exchange's order: number, price and quantity that were found right. Who wants something never
    /// unwants it.
    right: Vec<Vec<(u64, Price, Qty)>>,
    /// The exchange's number of an id of ours.
    by_id: BTreeMap<OrderId, u64>,
}

impl Accepted {
    /// No intent was accepted twice, and nothing was accepted that was not wanted.
    ///
    /// # Errors
    /// What is broken, in words.
    pub fn at_most_once(&mut self, core: &Core, lives: &[Watch]) -> Result<(), String> {
        self.right.resize_with(core.listings().len(), Vec::new);
        for (symbol, right) in self.right.iter_mut().enumerate() {
            for (at, order) in core.all_orders(symbol).into_iter().enumerate() {
                let now = (order.id, order.placed.price, order.placed.qty);
                if right.get(at) == Some(&now) {
                    continue;
                }
                let id = wanted(symbol, order, lives)?;
                // One id has one text: who has the same text has the same id.
                let first = *self.by_id.entry(id).or_insert(order.id);
                if first != order.id {
                    return Err(format!("I1: {id} was accepted as {first} and as {}", order.id));
                }
                match right.get_mut(at) {
                    Some(before) => *before = now,
                    None => right.push(now),
                }
            }
        }
        Ok(())
    }
}

/// The id of an order that somebody wanted.
fn wanted(symbol: usize, order: &Order, lives: &[Watch]) -> Result<OrderId, String> {
    let placed = &order.placed;
    let Some(id) = OrderId::parse(placed.client_id.as_bytes()) else {
        return Err(format!("I1: {} is no id of ours", placed.client_id));
    };
    let Some(wanted) = lives.iter().find_map(|life| life.intents.get(&id)) else {
        return Err(format!("I1: {id} is at the exchange, but nobody wanted it"));
    };
    let intent = &wanted.order;
    // The exchange shortens what may only reduce to what there is to reduce.
    let is_right = |(price, qty): (Price, Qty)| {
        price == placed.price && (qty == placed.qty || intent.reduce_only && placed.qty < qty)
    };
    let asked = lives.last().and_then(|life| life.asked.get(&id)).into_iter().flatten().copied();
    let same = intent.side == placed.side && wanted.symbol.index() == symbol;
    let same = same && asked.chain([(intent.price, intent.qty)]).any(is_right);
    if same { Ok(id) } else { Err(format!("I1: wanted {wanted:?}, the exchange has {placed:?}")) }
}

/// The exchange's order of an id of ours, whatever the symbol.
pub fn order_of(core: &Core, id: OrderId) -> Option<&Order> {
    let text = id.text();
    let client = std::str::from_utf8(&text).ok()?;
    (0..core.listings().len()).find_map(|symbol| core.order_of_client(symbol, client))
}

/// What we say the exchange refused, it never had: an end is told on proof.
///
/// # Errors
/// What is broken, in words.
pub fn none_disowned(core: &Core, life: &Watch) -> Result<(), String> {
    for id in &life.refused {
        if let Some(order) = order_of(core, *id) {
            return Err(format!("I7: {id} was told refused, and the exchange has it: {:?}", order.status));
        }
    }
    Ok(())
}

/// Nothing was booked that did not happen: every fill of this life is the exchange's.
///
/// # Errors
/// What is broken, in words.
pub fn nothing_invented(core: &Core, life: &Watch) -> Result<(), String> {
    let theirs = fills(core);
    for ((symbol, trade), told) in &life.fills {
        match theirs.get(*symbol, *trade) {
            None => return Err(format!("I3: trade {} was booked and never happened", trade.0)),
            Some(Fill { client_id, qty, .. }) if client_id.as_bytes() != told.order.text() || *qty != told.qty => {
                return Err(format!("I3: trade {} was {qty} of {client_id}, booked as {told:?}", trade.0));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// We and the exchange agree on everything that this life has ordered.
///
/// # Errors
/// Where we differ, in words.
pub fn agreed(core: &Core, life: &Watch, position: impl Fn(SymbolId) -> Qty) -> Result<(), String> {
    nothing_invented(core, life)?;
    let theirs = fills(core);
    for ((symbol, trade), Fill { client_id, qty, .. }) in &theirs.0 {
        if !life.fills.contains_key(&(*symbol, *trade)) {
            return Err(format!("I3: trade {} of {qty} by {client_id} was never booked", trade.0));
        }
    }
    let open: Vec<String> = core.open_orders(None).iter().map(|order| order.placed.client_id.clone()).collect();
    for (id, told) in life.live() {
        if !open.contains(&id.to_string()) && told.accepted {
            return Err(format!("I4: we hold {id} for open, the exchange does not"));
        }
        if told.unknown {
            return Err(format!("I4: the fate of {id} is still unknown"));
        }
    }
    for client in &open {
        let known = OrderId::parse(client.as_bytes()).and_then(|id| life.orders.get(&id));
        if known.is_none_or(|told| told.ended) {
            return Err(format!("I4: {client} is open at the exchange, and we do not know it"));
        }
    }
    for (symbol, listing) in core.listings().iter().enumerate() {
        let (held, believed) = (core.position(symbol).qty, position(id_of(symbol)));
        if held != believed {
            return Err(format!("I4: {held} of {} held, we believe {believed}", listing.name));
        }
    }
    Ok(())
}

/// How the rooms call a listing.
pub fn id_of(symbol: usize) -> SymbolId {
    SymbolId(u16::try_from(symbol).unwrap_or(u16::MAX))
}

/// The exchange's fills by symbol and trade.
struct Fills<'a>(Vec<((SymbolId, TradeId), &'a Fill)>);

impl Fills<'_> {
    fn get(&self, symbol: SymbolId, trade: TradeId) -> Option<&Fill> {
        let at = self.0.binary_search_by_key(&(symbol, trade), |(key, _)| *key).ok()?;
        Some(self.0[at].1)
    }
}

fn fills(core: &Core) -> Fills<'_> {
    let keyed = core.fills(None).into_iter().map(|fill| ((id_of(fill.symbol), TradeId(fill.trade_id)), fill));
    let mut fills: Vec<_> = keyed.collect();
    fills.sort_unstable_by_key(|(key, _)| *key);
    Fills(fills)
}
