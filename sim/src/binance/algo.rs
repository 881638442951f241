//! Conditional orders: kept until a price touches their trigger, then placed as ordinary orders.
//!
//! What it does: remembers them, says which a price triggers and what became of each. What it never does: it places
//! nothing itself, checks no margin before the trigger, and knows no trailing stops. Driven by the desk.

use std::collections::BTreeMap;

use optiflow_base::clock::Nanos;
use optiflow_base::money::{Price, Side};

use crate::words::{OrderKey, Placement, SymbolIndex};

/// The conditional orders of the account.
#[derive(Debug)]
pub struct Algos {
    all: BTreeMap<u64, Algo>,
    next_id: u64,
}

/// A conditional order.
#[derive(Clone, Debug, PartialEq)]
pub struct Algo {
    /// Its own id.
    pub id: u64,
    /// What it waits for.
    pub condition: Condition,
    /// What is placed then; its client id is the conditional order's.
    pub placed: Placement,
    /// Closes whatever is held when it triggers.
    pub close_position: bool,
    /// Protected against a wide gap of mark and last price; told back, not enforced.
    pub price_protect: bool,
    /// Where it stands.
    pub status: AlgoStatus,
    /// The order it became.
    pub order: Option<u64>,
    /// Why that order was refused.
    pub refused: String,
    /// When it was taken.
    pub created: Nanos,
    /// When it last changed.
    pub updated: Nanos,
    /// When it was triggered.
    pub triggered: Option<Nanos>,
}

/// What a conditional order waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Which kind.
    pub kind: AlgoKind,
    /// The price that triggers.
    pub trigger: Price,
    /// Which price is watched.
    pub watched: Watched,
}

/// Kinds of conditional orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlgoKind {
    /// Becomes a limit order when the price runs away.
    Stop,
    /// Becomes a market order when the price runs away.
    StopMarket,
    /// Becomes a limit order when the price comes.
    TakeProfit,
    /// Becomes a market order when the price comes.
    TakeProfitMarket,
}

/// Which price is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// The last trade's.
    Contract,
    /// The mark.
    Mark,
}

/// Where a conditional order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlgoStatus {
    /// It waits.
    New,
    /// Its order was placed.
    Triggered,
    /// Its order has ended.
    Finished,
    /// It was cancelled.
    Canceled,
    /// Its order was refused.
    Rejected,
}

impl Algos {
    /// None yet, of an exchange started at `start`.
    pub const fn new(start: Nanos) -> Algos {
        Algos { all: BTreeMap::new(), next_id: ID_BASE + start.millis() }
    }

    /// Takes one in; its id is given here.
    pub fn add(&mut self, mut algo: Algo) -> &Algo {
        algo.id = self.next_id;
        self.next_id += 1;
        while self.all.len() >= KEPT_MAX {
            let Some(oldest) = self.all.values().find(|algo| algo.is_over()).map(|algo| algo.id) else { break };
            self.all.remove(&oldest);
        }
        self.all.entry(algo.id).or_insert(algo)
    }

    /// All that are remembered, oldest first.
    pub fn all(&self) -> impl Iterator<Item = &Algo> {
        self.all.values()
    }

    /// Those that wait, oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = &Algo> {
        self.all.values().filter(|algo| algo.status == AlgoStatus::New)
    }

    /// The one a client names; by client id the newest.
    pub fn find(&self, key: &OrderKey) -> Option<&Algo> {
        match key {
            OrderKey::Id(id) => self.all.get(id),
            OrderKey::Client(client_id) => self.all.values().rfind(|algo| algo.placed.client_id == *client_id),
        }
    }

    /// Those that a price triggers, oldest first.
    pub fn triggered_by(&self, symbol: SymbolIndex, watched: Watched, price: Price) -> Vec<u64> {
        let touched = |algo: &&Algo| {
            let condition = algo.condition;
            algo.placed.symbol == symbol && condition.watched == watched && condition.is_met(algo.placed.side, price)
        };
        self.waiting().filter(touched).map(|algo| algo.id).collect()
    }

    /// The one whose order that is, while the order lives.
    pub fn of_order(&self, order: u64) -> Option<u64> {
        let lives = |algo: &&Algo| algo.status == AlgoStatus::Triggered && algo.order == Some(order);
        self.all.values().find(lives).map(|algo| algo.id)
    }

    /// Changes one; `None` when it is not there.
    pub fn change(&mut self, now: Nanos, id: u64, change: impl FnOnce(&mut Algo)) -> Option<&Algo> {
        let algo = self.all.get_mut(&id)?;
        change(algo);
        algo.updated = now;
        Some(algo)
    }
}

impl Algo {
    const fn is_over(&self) -> bool {
        match self.status {
            AlgoStatus::New | AlgoStatus::Triggered => false,
            AlgoStatus::Finished | AlgoStatus::Canceled | AlgoStatus::Rejected => true,
        }
    }
}

impl Condition {
    /// Does a price trigger an order of that side? A stop follows a price that runs away, a take-profit one that comes.
    pub fn is_met(&self, side: Side, price: Price) -> bool {
        let rises = match self.kind {
            AlgoKind::Stop | AlgoKind::StopMarket => side == Side::Buy,
            AlgoKind::TakeProfit | AlgoKind::TakeProfitMarket => side == Side::Sell,
        };
        price > Price::ZERO && if rises { price >= self.trigger } else { price <= self.trigger }
    }
}

impl AlgoKind {
    /// As Binance names it.
    pub const fn name(self) -> &'static str {
        match self {
            AlgoKind::Stop => "STOP",
            AlgoKind::StopMarket => "STOP_MARKET",
            AlgoKind::TakeProfit => "TAKE_PROFIT",
            AlgoKind::TakeProfitMarket => "TAKE_PROFIT_MARKET",
        }
    }

    /// Does it become a market order?
    pub const fn is_market(self) -> bool {
        matches!(self, AlgoKind::StopMarket | AlgoKind::TakeProfitMarket)
    }
}

impl Watched {
    /// As Binance names it.
    pub const fn name(self) -> &'static str {
        match self {
            Watched::Contract => "CONTRACT_PRICE",
            Watched::Mark => "MARK_PRICE",
        }
    }
}

impl AlgoStatus {
    /// As Binance names it.
    pub const fn name(self) -> &'static str {
        match self {
            AlgoStatus::New => "NEW",
            AlgoStatus::Triggered => "TRIGGERED",
            AlgoStatus::Finished => "FINISHED",
            AlgoStatus::Canceled => "CANCELED",
            AlgoStatus::Rejected => "REJECTED",
        }
    }
}

/// Ids of conditional orders lie where no order's id does.
const ID_BASE: u64 = 4_000_000_000_000_000;
/// Conditional orders that are remembered; those that wait are always among them.
const KEPT_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_follow_a_price_that_runs_away_and_take_profits_one_that_comes() {
        let price = |ticks: i64| Price::from_units(ticks);
        for (kind, side, below, at, above) in [
            (AlgoKind::Stop, Side::Buy, false, true, true),
            (AlgoKind::StopMarket, Side::Sell, true, true, false),
            (AlgoKind::TakeProfit, Side::Buy, true, true, false),
            (AlgoKind::TakeProfitMarket, Side::Sell, false, true, true),
        ] {
            let condition = Condition { kind, trigger: price(10), watched: Watched::Mark };
            let met = [9, 10, 11].map(|ticks| condition.is_met(side, price(ticks)));
            assert_eq!(met, [below, at, above], "{kind:?} {side:?}");
            assert!(!condition.is_met(side, Price::ZERO), "no price, no trigger");
        }
    }
}
