//! What we say happened, checked event by event as it is said.
//!
//! Reads the log as storage would: intents, reports, gate. Never looks at the exchange: [`super::truth`] compares the two.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

use optiflow_base::clock::Nanos;
use optiflow_base::ids::{OrderId, SymbolId, TradeId};
use optiflow_base::log::LogEvent;
use optiflow_base::money::{Price, Qty};
use optiflow_base::order::{Action, GateReason, NewOrder, OrderChange, OrderEvent, Report};

use super::remembered::{Remembered, UNKNOWN, has_ended};

/// The orders and fills of one life of the process, as it tells them, and of those before it.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// Everything strategies wanted placed.
    pub intents: BTreeMap<OrderId, Wanted>,
    /// What strategies wanted orders to become: price and quantity, in any order.
    pub asked: BTreeMap<OrderId, Vec<(Price, Qty)>>,
    /// What became of each order that was sent.
    pub orders: BTreeMap<OrderId, Told>,
    /// Those of them that the exchange refused, as we say.
    pub refused: Vec<OrderId>,
    /// Those of them that may still trade.
    alive: BTreeSet<OrderId>,
    /// Every trade that was told.
    pub fills: BTreeMap<(SymbolId, TradeId), ToldFill>,
    /// The last word on the gate.
    pub gate: Option<(bool, GateReason)>,
    /// Log events that a full ring lost.
    pub lost: u64,
    /// Every event, in order, as one number.
    pub hash: u64,
    /// How many events.
    pub events: u64,
    /// How many of them were of orders: as long as it stands, so does all that is said of them.
    pub changes: u64,
}

/// An order that a strategy wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Of what.
    pub symbol: SymbolId,
    /// The order.
    pub order: NewOrder,
}

/// What is told of an order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// The exchange has it or had it.
    pub accepted: bool,
    /// It is over.
    pub ended: bool,
    /// Nobody knows whether it lives.
    pub unknown: bool,
    /// Traded so far.
    pub filled: Qty,
    /// A modify of it is on its way, or of unknown fate.
    amending: bool,
}

/// A trade, as told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToldFill {
    /// Whose.
    pub order: OrderId,
    /// Price.
    pub price: Price,
    /// Quantity.
    pub qty: Qty,
    /// Fee, in units of 10⁻⁸ of the margin asset.
    pub fee: i64,
    /// When.
    pub at: Nanos,
}

impl Watch {
    /// Takes in the next event.
    ///
    /// # Errors
    /// What it breaks, in words.
    pub fn hear(&mut self, event: &LogEvent) -> Result<(), String> {
        self.events += 1;
        self.hash = fold(self.hash, event);
        self.changes += u64::from(matches!(event, LogEvent::Intent(_) | LogEvent::Report(Report::Order(_))));
        match event {
            LogEvent::Intent(intent) => match intent.action {
                Action::Place(order) => match self.intents.insert(order.id, Wanted { symbol: intent.symbol, order }) {
                    Some(_) => Err(format!("I1: the id {} was used for two intents", order.id)),
                    None => Ok(()),
                },
                Action::Modify { order, price, qty } => {
                    self.asked.entry(order).or_default().push((price, qty));
                    Ok(())
                }
                Action::Cancel(_) => Ok(()),
            },
            LogEvent::Report(Report::Order(event)) => self.order(event),
            LogEvent::Report(Report::Gate { open, reason, .. }) => {
                self.gate = Some((*open, *reason));
                Ok(())
            }
            LogEvent::Lost { count, room } => {
                self.lost += count;
                Err(format!("I8: {room:?} lost {count} log events to a full ring"))
            }
            LogEvent::Report(Report::Position { .. } | Report::Wallet { .. } | Report::Usage(_))
            | LogEvent::Denied { .. }
            | LogEvent::Signal(_)
            | LogEvent::Latency { .. }
            | LogEvent::Halted { .. }
            | LogEvent::Notice(_) => Ok(()),
        }
    }

    /// Orders that may still trade, as far as we say.
    pub fn live(&self) -> impl Iterator<Item = (OrderId, &Told)> {
        self.alive.iter().filter_map(|id| self.orders.get(id).map(|told| (*id, told)))
    }

    /// What an order has in all at most, when it has this much now: a modify may be on its way, and no other is wanted
    /// before its fate is known.
    pub fn most(&self, id: OrderId, in_force: Qty) -> Qty {
        let amending = self.orders.get(&id).is_some_and(|told| told.amending);
        let asked = self.asked.get(&id).and_then(|asked| asked.last()).filter(|_| amending);
        asked.map_or(in_force, |(_, qty)| in_force.max(*qty))
    }

    /// The watch over the next life of the process, which knows what the database remembers and no more; only what was
    /// told refused stays so, remembered or not.
    ///
    /// # Errors
    /// When the database has what nobody can have written.
    pub fn heir(&self, remembered: &Remembered) -> Result<Watch, String> {
        let mut orders: BTreeMap<OrderId, Told> = BTreeMap::new();
        for (id, row) in &remembered.orders {
            let (ended, unknown) = (has_ended(row), row.state == UNKNOWN);
            orders.insert(*id, Told { accepted: true, ended, unknown, filled: row.filled, ..Told::default() });
        }
        // What never left is the database's to settle, and nothing that may still trade.
        let left = remembered.unfinished.iter().filter(|order| self.orders.contains_key(&order.order.id));
        for order in left {
            let told = orders.entry(order.order.id).or_default();
            told.unknown |= !told.accepted;
        }
        let known = self.intents.iter().filter(|(id, _)| remembered.knows(**id));
        Ok(Watch {
            intents: known.map(|(id, wanted)| (*id, *wanted)).collect(),
            alive: orders.iter().filter(|(_, told)| !told.ended).map(|(id, _)| *id).collect(),
            orders,
            refused: self.refused.clone(),
            asked: self.asked.clone(),
            fills: remembered.told()?,
            ..Watch::default()
        })
    }

    fn order(&mut self, event: &OrderEvent) -> Result<(), String> {
        let id = event.order;
        let told = self.orders.entry(id).or_default();
        if !told.ended && !matches!(event.change, OrderChange::Denied(_)) {
            self.alive.insert(id);
        }
        match event.change {
            OrderChange::Filled { trade, price, qty, total, fee, .. } => {
                told.filled += qty;
                if told.filled != total {
                    return Err(format!("I3: {id} told a total of {total} when its fills sum to {}", told.filled));
                }
                let fill = ToldFill { order: id, price, qty, fee, at: event.at };
                match self.fills.insert((event.symbol, trade), fill) {
                    Some(before) => {
                        return Err(format!("I3: trade {} was booked twice: {before:?}, {fill:?}", trade.0));
                    }
                    None => return Ok(()),
                }
            }
            change @ (OrderChange::Accepted { .. } | OrderChange::Unknown) if told.ended => {
                return Err(format!("I7: {id} was over and then {change:?}"));
            }
            OrderChange::Accepted { .. } => (told.accepted, told.unknown) = (true, false),
            OrderChange::Unknown => told.unknown = true,
            change @ (OrderChange::Done
            | OrderChange::Cancelled
            | OrderChange::Expired
            | OrderChange::Refused { .. }) => {
                if told.ended {
                    return Err(format!("I7: {id} was over and then {change:?}"));
                }
                (told.ended, told.unknown) = (true, false);
                self.alive.remove(&id);
                if matches!(change, OrderChange::Refused { .. }) {
                    self.refused.push(id);
                }
            }
            OrderChange::ModifySent => told.amending = true,
            OrderChange::Modified { asked, .. } => told.amending &= !asked,
            OrderChange::ModifyRefused { .. } => told.amending = false,
            OrderChange::Denied(_)
            | OrderChange::Sent
            | OrderChange::CancelSent
            | OrderChange::CancelRefused { .. } => {}
        }
        // The exchange shortens what may only reduce to what there is to reduce.
        let asked = self.asked.get(&id).map_or(&[][..], Vec::as_slice);
        let least = |qty: Qty| asked.iter().fold(qty, |least, (_, qty)| least.min(*qty));
        let short = |wanted: &Wanted| !wanted.order.reduce_only && least(wanted.order.qty) > told.filled;
        if event.change == OrderChange::Done && self.intents.get(&id).is_some_and(short) {
            return Err(format!("I7: {id} is done with {} filled", told.filled));
        }
        Ok(())
    }
}

/// Folds an event into a hash: the text of an event says all there is of it. Latencies are zero in virtual time.
fn fold(hash: u64, event: &LogEvent) -> u64 {
    let mut folded = Fnv(hash ^ FNV_OFFSET);
    // Folding cannot fail.
    let _ = write!(folded, "{event:?}");
    folded.0
}

/// Folds what is written, without keeping it.
struct Fnv(u64);

impl Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = text.bytes().fold(self.0, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME));
        Ok(())
    }
}

/// FNV-1a, 64 bits.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

#[cfg(test)]
mod tests {
    use optiflow_base::order::Intent;

    use super::*;

    #[test]
    fn an_order_has_as_much_as_a_modify_under_way_may_give_it() {
        let (symbol, order, at) = (SymbolId(1), OrderId::new(1, 1), Nanos(1));
        let qty = Qty::from_units;
        let mut watch = Watch::default();
        let mut tell = |change| {
            let action = Action::Modify { order, price: Price::ZERO, qty: qty(9) };
            let event = match change {
                None => LogEvent::Intent(Intent { symbol, action, caused: at, decided: at }),
                Some(change) => {
                    LogEvent::Report(Report::Order(OrderEvent { symbol, order, at, exchange_ms: 0, change }))
                }
            };
            watch.hear(&event).unwrap();
            (watch.most(order, qty(5)), watch.most(order, qty(10)))
        };
        let modified = |asked| OrderChange::Modified { price: Price::ZERO, qty: qty(9), asked };
        let refused = OrderChange::ModifyRefused { code: -1 };
        assert_eq!(tell(None), (qty(5), qty(10)), "risk may deny it");
        assert_eq!(tell(Some(OrderChange::ModifySent)), (qty(9), qty(10)));
        assert_eq!(tell(Some(modified(false))), (qty(9), qty(10)), "ours may still be on its way");
        assert_eq!(tell(Some(modified(true))), (qty(5), qty(10)));
        assert_eq!(tell(Some(OrderChange::ModifySent)), (qty(9), qty(10)));
        assert_eq!(tell(Some(refused)), (qty(5), qty(10)));
    }
}
