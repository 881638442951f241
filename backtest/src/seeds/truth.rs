//! What happened, from the exchange's own ledger, compared with what we say and with what may never be.
//!
//! Reads the exchange; changes nothing. Cheap checks run after every step, whole comparisons every second and at the end.

use optiflow_base::ids::{OrderId, SymbolId, TradeId};
use optiflow_base::money::{Notional, Price, Qty, Side};
use optiflow_sim::core::Core;
use optiflow_sim::words::{Fill, Order};

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
            for order in core.open_of(symbol).filter(|order| !order.placed.reduce_only) {
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
    let mut seen: Vec<(OrderId, u64)> = Vec::new();
    for symbol in 0..core.listings().len() {
        for order in core.all_orders(symbol) {
            seen.push((wanted(order, lives)?, order.id));
        }
    }
    // One id has one text: who has the same text has the same id.
    seen.sort_unstable();
    match seen.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(format!("I1: {} was accepted as {} and as {}", pair[0].0, pair[0].1, pair[1].1)),
        None => Ok(()),
    }
}

/// The id of an order that somebody wanted.
fn wanted(order: &Order, lives: &[Watch]) -> Result<OrderId, String> {
    let placed = &order.placed;
    let Some(id) = OrderId::parse(placed.client_id.as_bytes()) else {
        return Err(format!("I1: {} is no id of ours", placed.client_id));
    };
    let Some(intent) = lives.iter().find_map(|life| life.intents.get(&id)) else {
        return Err(format!("I1: {id} is at the exchange, but nobody wanted it"));
    };
    // The exchange shortens what may only reduce to what there is to reduce.
    let is_right = |(price, qty): (Price, Qty)| {
        price == placed.price && (qty == placed.qty || intent.reduce_only && placed.qty < qty)
    };
    let asked = lives.last().and_then(|life| life.asked.get(&id)).into_iter().flatten().copied();
    let same = intent.side == placed.side && asked.chain([(intent.price, intent.qty)]).any(is_right);
    if same { Ok(id) } else { Err(format!("I1: wanted {intent:?}, the exchange has {placed:?}")) }
}

/// The exchange's order of an id of ours.
pub fn order_of(core: &Core, id: OrderId) -> Option<&Order> {
    std::str::from_utf8(&id.text()).ok().and_then(|client| core.order_of_client(0, client))
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
pub fn agreed(core: &Core, life: &Watch, position: Qty) -> Result<(), String> {
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
    let held = core.position(0).qty;
    if held == position { Ok(()) } else { Err(format!("I4: {held} held, we believe {position}")) }
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
    let symbol = |index: usize| SymbolId(u16::try_from(index).unwrap_or(u16::MAX));
    let keyed = core.fills(None).into_iter().map(|fill| ((symbol(fill.symbol), TradeId(fill.trade_id)), fill));
    let mut fills: Vec<_> = keyed.collect();
    fills.sort_unstable_by_key(|(key, _)| *key);
    Fills(fills)
}
