//! All orders of the session in one bounded table, and the trades that were booked.
//!
//! An order sits near the slot that its counter names, so it is found without hashing and inserted without
//! allocation; ended orders stay until their slot is needed, so that a late fill still finds its order. What is looked at
//! on the way of a new order is packed tightly beside the slots: a slot has not been touched for thousands of orders, and
//! waiting for its memory would cost more than sealing the request.
//! Counts what is live, unknown and doubtful as it goes. Runs on the oms thread.

use std::collections::VecDeque;

use optiflow_base::clock::Nanos;
use optiflow_base::ids::{ExchangeOrderId, OrderId, SymbolId, TradeId};
use optiflow_base::order::NewOrder;

use crate::doubt::Doubt;
use crate::fills::Booked;
use crate::former::FormerOrder;
use crate::order::{Effects, Fact, Order, State};

/// The orders of this session.
#[derive(Debug)]
pub struct Table {
    slots: Vec<Option<Order>>,
    /// Of each slot, what a search needs.
    heads: Vec<Option<Head>>,
    /// The highest id that was ever taken in.
    newest: Option<OrderId>,
    booked: Vec<Booked>,
    /// The newest trades that were booked as somebody else's: an order of ours may claim one when it is known better.
    foreign: VecDeque<(SymbolId, TradeId)>,
    counts: Counts,
}

/// Who sits in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    id: OrderId,
    live: bool,
}

/// How many orders are what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Not ended: exposure.
    pub live: u32,
    /// In state `Unknown`.
    pub unknown: u32,
    /// With an open question.
    pub doubtful: u32,
}

impl Table {
    /// An empty table for this many symbols.
    pub fn new(symbols: usize) -> Table {
        Table {
            slots: vec![None; SLOTS_LEN],
            heads: vec![None; SLOTS_LEN],
            newest: None,
            booked: (0..symbols).map(|_| Booked::new()).collect(),
            foreign: VecDeque::with_capacity(FOREIGN_LEN),
            counts: Counts::default(),
        }
    }

    /// How many orders are what.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Is there room for an order with this id? False also when the id has been used.
    pub fn has_room(&self, id: OrderId) -> bool {
        self.room(id).is_some()
    }

    /// Takes an order in whose request has just been handed to the socket; false when there is no room.
    pub fn insert(&mut self, symbol: SymbolId, order: &NewOrder, sent: Nanos) -> bool {
        let Some(at) = self.room(order.id) else { return false };
        // A slot's former order has ended, but its question may still be open: it is given up with it.
        self.count(at, false);
        self.slots[at] = Some(Order::new(symbol, order, sent));
        self.count(at, true);
        true
    }

    /// Follows an order of a former session from now on; false when there is no room.
    pub fn insert_former(&mut self, former: &FormerOrder, now: Nanos) -> bool {
        let id = former.order.id;
        let Some(at) = self.room(id) else { return false };
        for trade in &former.trades {
            self.book(former.symbol, *trade);
        }
        self.count(at, false);
        self.slots[at] = Some(Order::former(former, now));
        self.count(at, true);
        true
    }

    /// The order with this id, ended or not.
    pub fn get(&self, id: OrderId) -> Option<&Order> {
        self.find(id).and_then(|at| self.slots[at].as_ref())
    }

    /// The order with this exchange id. Looks at every slot: for cold paths.
    pub fn by_exchange_id(&self, symbol: SymbolId, exchange_id: ExchangeOrderId) -> Option<OrderId> {
        let matches = |order: &&Order| order.symbol == symbol && order.exchange_id() == Some(exchange_id);
        // An exchange that was started anew gives ids again: then the newest order is meant.
        self.slots.iter().flatten().filter(matches).map(|order| order.id).max()
    }

    /// Live orders, in the order of their slots. Looks at every slot: for cold paths.
    pub fn live(&self) -> impl Iterator<Item = &Order> {
        self.slots.iter().flatten().filter(|order| !order.state().is_end())
    }

    /// Up to `into.len()` orders whose question is due. Looks at every slot up to the last with a question.
    pub fn due(&self, now: Nanos, into: &mut [Option<OrderId>]) {
        into.fill(None);
        if self.counts.doubtful == 0 {
            return;
        }
        let is_due = |order: &&Order| order.doubt.is_some_and(|doubt| doubt.is_due(now));
        let doubtful = self.slots.iter().flatten().filter(|order| order.doubt.is_some());
        let due = doubtful.take(self.counts.doubtful as usize).filter(is_due);
        for (place, order) in into.iter_mut().zip(due) {
            *place = Some(order.id);
        }
    }

    /// Lets an order learn a fact; `None` when we have no such order, or the trade was booked before.
    pub fn learn(&mut self, id: OrderId, fact: Fact) -> Option<Effects> {
        let at = self.find(id)?;
        let symbol = self.slots[at].as_ref()?.symbol;
        let mut counted = false;
        if let Fact::Traded { fill, .. } = fact
            && self.slots[at].as_ref().is_some_and(|order| order.can_book(&fill))
            && !self.book(symbol, fill.trade)
        {
            counted = self.reclaim(symbol, fill.trade);
            if !counted {
                return None;
            }
        }
        self.change(id, |order| Effects { counted, ..order.learn(fact) })
    }

    /// Marks a trade that belongs to none of our orders, as far as we know, as booked; false when it was.
    pub fn book_foreign(&mut self, symbol: SymbolId, trade: TradeId) -> bool {
        if !self.book(symbol, trade) {
            return false;
        }
        if self.foreign.len() == FOREIGN_LEN {
            self.foreign.pop_front();
        }
        self.foreign.push_back((symbol, trade));
        true
    }

    fn book(&mut self, symbol: SymbolId, trade: TradeId) -> bool {
        self.booked.get_mut(symbol.index()).is_some_and(|booked| booked.book(trade))
    }

    /// Was the trade booked as somebody else's? Then it no longer is.
    fn reclaim(&mut self, symbol: SymbolId, trade: TradeId) -> bool {
        let at = self.foreign.iter().position(|known| *known == (symbol, trade));
        at.is_some_and(|at| self.foreign.remove(at).is_some())
    }

    /// The newest booked trade of a symbol.
    pub fn last_trade(&self, symbol: SymbolId) -> Option<TradeId> {
        self.booked.get(symbol.index()).and_then(Booked::last)
    }

    /// Opens a question about an order, due at `due`; an open one stays as it is.
    pub fn doubt(&mut self, id: OrderId, due: Nanos) {
        self.change(id, |order| {
            order.doubt.get_or_insert(Doubt::new(due));
        });
    }

    /// Changes an order by hand, keeping the counts right.
    pub fn change<R>(&mut self, id: OrderId, how: impl FnOnce(&mut Order) -> R) -> Option<R> {
        let at = self.find(id)?;
        self.count(at, false);
        let answer = self.slots[at].as_mut().map(how);
        self.count(at, true);
        answer
    }

    fn find(&self, id: OrderId) -> Option<usize> {
        probe(id).find(|&at| self.heads[at].is_some_and(|head| head.id == id))
    }

    /// Where an order with this id would sit.
    fn room(&self, id: OrderId) -> Option<usize> {
        // Ids rise: mostly this one is newer than all, and there is nothing to search.
        let used = self.newest.is_some_and(|newest| id <= newest) && self.find(id).is_some();
        if used { None } else { self.vacancy(id) }
    }

    fn vacancy(&self, id: OrderId) -> Option<usize> {
        probe(id).find(|&at| self.heads[at].is_none_or(|head| !head.live))
    }

    /// Before and after whatever happens to a slot.
    fn count(&mut self, at: usize, add: bool) {
        let Some(order) = self.slots[at].as_ref() else { return };
        if add {
            self.heads[at] = Some(Head { id: order.id, live: !order.state().is_end() });
            self.newest = self.newest.max(Some(order.id));
        }
        let of = |truth: bool| u32::from(truth);
        let marks = [
            (&mut self.counts.live, of(!order.state().is_end())),
            (&mut self.counts.unknown, of(order.state() == State::Unknown)),
            (&mut self.counts.doubtful, of(order.doubt.is_some())),
        ];
        for (total, one) in marks {
            *total = if add { *total + one } else { *total - one };
        }
        assert!(self.counts.live as usize <= SLOTS_LEN, "no more live orders than slots");
    }
}

fn probe(id: OrderId) -> impl Iterator<Item = usize> {
    let home = id.counter() as usize;
    (0..PROBES_MAX).map(move |step| (home + step) % SLOTS_LEN)
}

/// Orders that are remembered, live and ended.
pub const SLOTS_LEN: usize = 8192;
/// Slots in which an order may sit, from its own onwards; when all hold live orders, a new one is not sent.
const PROBES_MAX: usize = 16;
/// Trades of others that are remembered one by one.
const FOREIGN_LEN: usize = 256;
const _: () = assert!(SLOTS_LEN.is_power_of_two() && PROBES_MAX < SLOTS_LEN, "slots are found by a mask");

#[cfg(test)]
mod tests;
