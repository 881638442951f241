//! What happened and is asked for later: funding rates, funding paid, amendments, klines of the marks.
//!
//! Fills and orders are the core's ledger; here is only what the core does not keep. Every list has a bound and
//! forgets its oldest row. Driven by the desk, in the order of the events.

use std::collections::{BTreeMap, VecDeque};

use optiflow_base::clock::Nanos;
use optiflow_base::money::{Notional, Price, Qty};

use crate::binance::tape::marks::Marks;
use crate::words::{CoreEvent, Order, SymbolIndex, Tick};

/// The lists.
#[derive(Debug, Default)]
pub struct Records {
    rates: VecDeque<FundingRate>,
    paid: VecDeque<FundingPaid>,
    amendments: VecDeque<Amendment>,
    /// How often each open order was amended.
    amended: BTreeMap<u64, usize>,
    running: Vec<(SymbolIndex, FundingRate)>,
    marks: Marks,
    next_id: u64,
}

/// A funding of the market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FundingRate {
    /// Which listing.
    pub symbol: SymbolIndex,
    /// Rate, 10⁻⁸.
    pub rate: i64,
    /// When it was due, ms.
    pub at_ms: u64,
    /// Mark price.
    pub mark: Price,
}

/// Funding that the account paid or received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FundingPaid {
    /// Transaction id.
    pub id: u64,
    /// Which listing.
    pub symbol: SymbolIndex,
    /// Change of the wallet.
    pub amount: Notional,
    /// When.
    pub at: Nanos,
}

/// A modification of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amendment {
    /// Its id.
    pub id: u64,
    /// Which listing.
    pub symbol: SymbolIndex,
    /// The order's exchange id.
    pub order_id: u64,
    /// The order's client id.
    pub client_id: String,
    /// When.
    pub at: Nanos,
    /// Price before and after.
    pub price: (Price, Price),
    /// Quantity before and after.
    pub qty: (Qty, Qty),
    /// How often this order was amended, this time included.
    pub count: usize,
    /// What the client called it.
    pub modify_id: Option<u64>,
}

impl Records {
    /// Takes note of an event.
    pub fn note(&mut self, now: Nanos, event: &CoreEvent) {
        match event {
            CoreEvent::Market(tick) => {
                if let Tick::Mark { mark, index, funding_rate, next_funding_ms } = tick.what {
                    self.marks.mark(tick.at, tick.symbol, mark, index);
                    let row = FundingRate { symbol: tick.symbol, rate: funding_rate, at_ms: next_funding_ms, mark };
                    self.mark(row);
                }
            }
            CoreEvent::Funding { symbol, amount, .. } => {
                self.next_id += 1;
                keep(&mut self.paid, FundingPaid { id: self.next_id, symbol: *symbol, amount: *amount, at: now });
            }
            CoreEvent::Fill { order, .. } | CoreEvent::Ended { order, .. } => {
                if !order.status.is_open() {
                    self.amended.remove(&order.id);
                }
            }
            CoreEvent::New(_) | CoreEvent::Amended(_) | CoreEvent::Liquidation { .. } => {}
        }
    }

    /// Takes note of a modification, the order's `count`th.
    pub fn amended(&mut self, before: &Order, after: &Order, count: usize, modify_id: Option<u64>) {
        self.next_id += 1;
        if after.status.is_open() {
            self.amended.insert(after.id, count);
        }
        let row = Amendment {
            id: self.next_id,
            symbol: after.placed.symbol,
            order_id: after.id,
            client_id: after.placed.client_id.clone(),
            at: after.updated,
            price: (before.placed.price, after.placed.price),
            qty: (before.placed.qty, after.placed.qty),
            count,
            modify_id,
        };
        keep(&mut self.amendments, row);
    }

    /// Klines of the marks.
    pub const fn marks(&mut self) -> &mut Marks {
        &mut self.marks
    }

    /// How often an open order was amended.
    pub fn amendments_of(&self, order: u64) -> usize {
        self.amended.get(&order).copied().unwrap_or(0)
    }

    /// Fundings of the market, oldest first.
    pub fn rates(&self) -> impl Iterator<Item = &FundingRate> {
        self.rates.iter()
    }

    /// Funding of the account, oldest first.
    pub fn paid(&self) -> impl Iterator<Item = &FundingPaid> {
        self.paid.iter()
    }

    /// Modifications, oldest first.
    pub fn amendments(&self) -> impl Iterator<Item = &Amendment> {
        self.amendments.iter()
    }

    /// A mark that announces a later funding says that the one announced before has happened.
    fn mark(&mut self, row: FundingRate) {
        let Some((_, running)) = self.running.iter_mut().find(|(symbol, _)| *symbol == row.symbol) else {
            self.running.push((row.symbol, row));
            return;
        };
        if running.at_ms > 0 && row.at_ms > running.at_ms {
            keep(&mut self.rates, *running);
        }
        *running = row;
    }
}

fn keep<T>(rows: &mut VecDeque<T>, row: T) {
    if rows.len() >= ROWS_MAX {
        rows.pop_front();
    }
    rows.push_back(row);
}

/// Rows kept of each kind.
const ROWS_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::MarketTick;

    fn mark(rate: i64, next_funding_ms: u64) -> CoreEvent {
        let what =
            Tick::Mark { mark: Price::from_units(7), index: Price::from_units(7), funding_rate: rate, next_funding_ms };
        CoreEvent::Market(MarketTick { at: Nanos(0), symbol: 0, what })
    }

    #[test]
    fn a_funding_has_happened_when_a_later_one_is_announced() {
        let mut records = Records::default();
        for (rate, next) in [(1, 0), (5, 100), (6, 100), (9, 200)] {
            records.note(Nanos(0), &mark(rate, next));
        }
        let rates: Vec<(i64, u64)> = records.rates().map(|row| (row.rate, row.at_ms)).collect();
        assert_eq!(rates, [(6, 100)]);
    }
}
