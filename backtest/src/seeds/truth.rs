//! What happened, from the exchange's own ledger, compared with what we say and with what may never be.
//!
//! Reads the exchange; changes nothing. Cheap checks run after every step, whole comparisons every second and at the end.

use std::collections::BTreeMap;

use optiflow_base::ids::{OrderId, SymbolId};
use optiflow_base::money::{Notional, Qty, Side};
use optiflow_sim::core::Core;
use optiflow_sim::words::{Order, OrderKey};

use super::watch::Watch;

/// More than this may never be held and ordered, at the prices of the moment: the limit of the risk room, and a little
/// for how far prices move under what is held already.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// Value of the position with everything open on one side filled.
    pub exposure: Notional,
}

impl Bound {
    /// Checks what the exchange holds for us now.
    ///
    /// # Errors
    /// What is broken, in words.
    pub fn check(&self, core: &Core) -> Result<(), String> {
        for symbol in 0..core.listings().len() {
            let held = core.position(symbol).qty;
            let (mut buys, mut sells) = (Qty::ZERO, Qty::ZERO);
            for order in core.open_orders(Some(symbol)).into_iter().filter(|order| !order.placed.reduce_only) {
                match order.placed.side {
                    Side::Buy => buys += order.placed.qty - order.filled,
                    Side::Sell => sells += order.placed.qty - order.filled,
                }
            }
            let worst = (held + buys).abs().max((held - sells).abs());
            let value = core.reference_price(symbol).times(worst);
            if value > self.exposure {
                return Err(format!(
                    "I2: {held} held, {buys} of buys and {sells} of sells open: worth {value}, limit {}",
                    self.exposure
                ));
            }
        }
        Ok(())
    }
}

/// No intent was accepted twice, and nothing was accepted that was not wanted.
///
/// # Errors
/// What is broken, in words.
pub fn at_most_once(core: &Core, lives: &[Watch]) -> Result<(), String> {
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    for symbol in 0..core.listings().len() {
        for order in core.all_orders(symbol) {
            if let Some(other) = seen.insert(&order.placed.client_id, order.id) {
                return Err(format!("I1: {} was accepted as {other} and as {}", order.placed.client_id, order.id));
            }
            wanted(order, lives)?;
        }
    }
    Ok(())
}

fn wanted(order: &Order, lives: &[Watch]) -> Result<(), String> {
    let placed = &order.placed;
    let Some(id) = OrderId::parse(placed.client_id.as_bytes()) else {
        return Err(format!("I1: {} is no id of ours", placed.client_id));
    };
    let Some(intent) = lives.iter().find_map(|life| life.intents.get(&id)) else {
        return Err(format!("I1: {id} is at the exchange, but nobody wanted it"));
    };
    // The exchange shortens what may only reduce to what there is to reduce.
    let qty = intent.qty == placed.qty || intent.reduce_only && placed.qty < intent.qty;
    let same = intent.side == placed.side && intent.price == placed.price && qty;
    if same { Ok(()) } else { Err(format!("I1: wanted {intent:?}, the exchange has {placed:?}")) }
}

/// What we say the exchange refused, it never had: an end is told on proof.
///
/// # Errors
/// What is broken, in words.
pub fn none_disowned(core: &Core, life: &Watch) -> Result<(), String> {
    for id in &life.refused {
        if let Some(order) = core.order(0, &OrderKey::Client(id.to_string())) {
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
        match theirs.get(&(*symbol, trade.0)) {
            None => return Err(format!("I3: trade {} was booked and never happened", trade.0)),
            Some((client, qty)) if *client != told.order.to_string() || *qty != told.qty => {
                return Err(format!("I3: trade {} was {qty} of {client}, booked as {told:?}", trade.0));
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
pub fn agreed(core: &Core, life: &Watch, position: Qty) -> Result<(), String> {
    nothing_invented(core, life)?;
    let theirs = fills(core);
    for ((symbol, trade), (client, qty)) in &theirs {
        let ours = OrderId::parse(client.as_bytes()).is_some_and(|id| life.intents.contains_key(&id));
        if ours && !life.fills.contains_key(&(*symbol, optiflow_base::ids::TradeId(*trade))) {
            return Err(format!("I3: trade {trade} of {qty} by {client} was never booked"));
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
    let held = core.position(0).qty;
    if held == position { Ok(()) } else { Err(format!("I4: {held} held, we believe {position}")) }
}

fn fills(core: &Core) -> BTreeMap<(SymbolId, u64), (String, Qty)> {
    let symbol = |index: usize| SymbolId(u16::try_from(index).unwrap_or(u16::MAX));
    core.fills(None)
        .into_iter()
        .map(|fill| ((symbol(fill.symbol), fill.trade_id), (fill.client_id.clone(), fill.qty)))
        .collect()
}
