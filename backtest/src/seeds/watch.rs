//! What we say happened, checked event by event as it is said.
//!
//! Reads the log as storage would: intents, reports, gate. Never looks at the exchange: [`super::truth`] compares the two.

use std::collections::{BTreeMap, BTreeSet};

use optiflow_base::clock::Nanos;
use optiflow_base::ids::{ExchangeOrderId, OrderId, SymbolId, TradeId};
use optiflow_base::log::LogEvent;
use optiflow_base::money::{Price, Qty};
use optiflow_base::order::{Action, GateReason, NewOrder, OrderChange, OrderEvent, Report};
use optiflow_oms::former::{Former, FormerOrder, Since};

/// The orders and fills of one life of the process, as it tells them, and of those before it.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// Everything strategies wanted placed.
    pub intents: BTreeMap<OrderId, NewOrder>,
    /// When.
    decided: BTreeMap<OrderId, Nanos>,
    /// What became of each order that was sent.
    pub orders: BTreeMap<OrderId, Told>,
    /// Those of them that the exchange refused, as we say.
    pub refused: Vec<OrderId>,
    /// Those that risk refused to place, or to cancel.
    denied: BTreeSet<OrderId>,
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
}

/// What is told of an order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// The exchange has it or had it.
    pub accepted: bool,
    /// The exchange's id of it.
    pub exchange_id: Option<ExchangeOrderId>,
    /// It is over.
    pub ended: bool,
    /// Nobody knows whether it lives.
    pub unknown: bool,
    /// Traded so far.
    pub filled: Qty,
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
        match event {
            LogEvent::Intent(intent) => match intent.action {
                Action::Place(order) => {
                    self.decided.insert(order.id, intent.decided);
                    match self.intents.insert(order.id, order) {
                        Some(_) => Err(format!("I1: the id {} was used for two intents", order.id)),
                        None => Ok(()),
                    }
                }
                Action::Cancel(_) | Action::Modify { .. } => Ok(()),
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
            LogEvent::Denied { order, .. } => {
                self.denied.insert(*order);
                Ok(())
            }
            LogEvent::Report(Report::Position { .. } | Report::Wallet { .. } | Report::Usage(_))
            | LogEvent::Signal(_)
            | LogEvent::Latency { .. }
            | LogEvent::Notice(_) => Ok(()),
        }
    }

    /// Orders that may still trade, as far as we say.
    pub fn live(&self) -> impl Iterator<Item = (OrderId, &Told)> {
        self.alive.iter().filter_map(|id| self.orders.get(id).map(|told| (*id, told)))
    }

    /// The watch over the next life of the process: what was told before goes on to hold.
    #[must_use]
    pub fn heir(&self) -> Watch {
        Watch { gate: None, lost: 0, hash: 0, events: 0, ..self.clone() }
    }

    /// What a database that was told all this tells the life of `epoch` that follows a death: one symbol, first traded
    /// at `began`.
    pub fn former(&self, epoch: u32, began: Nanos) -> Former {
        let has_ended = |id: &OrderId| self.orders.get(id).is_some_and(|told| told.ended);
        let never_left = |id: &OrderId| self.denied.contains(id) && !self.orders.contains_key(id);
        let orders = self.intents.iter().filter(|(id, _)| !has_ended(id) && !never_left(id));
        let order = |(id, order): (&OrderId, &NewOrder)| {
            let told = self.orders.get(id).copied().unwrap_or_default();
            let trades = self.fills.iter().filter(|(_, fill)| fill.order == *id).map(|((_, trade), _)| *trade);
            FormerOrder {
                symbol: SymbolId(0),
                order: *order,
                sent: self.decided.get(id).copied().unwrap_or(began),
                exchange_id: told.exchange_id,
                trades: trades.collect(),
                filled: told.filled,
            }
        };
        let known = self.orders.values().filter_map(|told| told.exchange_id).min();
        Former {
            epoch,
            orders: orders.map(order).collect(),
            // In the order of their ids, as it must be.
            ended: self.orders.keys().copied().filter(has_ended).collect(),
            since: vec![known.map_or(Since::Time(began), Since::Order)],
            died: true,
        }
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
            OrderChange::Accepted { exchange_id } => {
                (told.accepted, told.unknown, told.exchange_id) = (true, false, Some(exchange_id));
            }
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
            OrderChange::Denied(_)
            | OrderChange::Sent
            | OrderChange::CancelSent
            | OrderChange::CancelRefused { .. }
            | OrderChange::ModifySent
            | OrderChange::Modified { .. }
            | OrderChange::ModifyRefused { .. } => {}
        }
        // The exchange shortens what may only reduce to what there is to reduce.
        let short = |intent: &NewOrder| !intent.reduce_only && intent.qty > told.filled;
        if event.change == OrderChange::Done && self.intents.get(&id).is_some_and(short) {
            return Err(format!("I7: {id} is done with {} filled", told.filled));
        }
        Ok(())
    }
}

/// Folds an event into a hash: the text of an event says all there is of it. Latencies are zero in virtual time.
fn fold(hash: u64, event: &LogEvent) -> u64 {
    let text = format!("{event:?}");
    text.bytes().fold(hash ^ FNV_OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME))
}

/// FNV-1a, 64 bits.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;
