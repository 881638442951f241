//! What happened to each order of a session, step by step as the database has it → the moments that a replay needs.
//!
//! Never drops a step without having looked at it: every word that storage writes is matched. Never guesses terms: a
//! modification whose outcome nobody knows is told of as such.

use std::collections::BTreeMap;

use optiflow_base::clock::Nanos;
use optiflow_base::money::{Price, Qty};
use optiflow_base::order::{OrderKind, TimeInForce};
use optiflow_storage::reader::history::{OrderStep, SentOrder};
use optiflow_storage::word::OrderWord;

use super::travel::{Travel, middle_of, moment};

/// What happened to one order.
#[derive(Debug, Default)]
pub struct Life {
    /// When it was sent.
    pub sent: Option<Nanos>,
    /// When the first answer was here.
    pub acknowledged: Option<Nanos>,
    /// The millisecond that the exchange named for its arrival.
    pub arrival_ms: Option<u64>,
    /// Did the exchange have it?
    pub accepted: bool,
    /// When its end was first asked for.
    pub cancel_sent: Option<Nanos>,
    /// When its end was last asked for.
    pub cancel_sent_last: Option<Nanos>,
    /// When it was cancelled or expired, on the exchange's clock.
    pub ended_ms: Option<u64>,
    /// When we learned that.
    pub ended: Option<Nanos>,
    /// The first millisecond that was named of a trade or its end.
    happened_ms: Option<u64>,
    /// The last one.
    last_ms: Option<u64>,
    modifications: Vec<Modified>,
    /// When the modify request that is not answered yet was sent.
    modifying: Option<Nanos>,
}

/// The order's terms were changed.
#[derive(Clone, Copy, Debug)]
struct Modified {
    /// When we asked for that; `None` where we had not, or the answer came after we had given up.
    sent: Option<Nanos>,
    learned: Nanos,
    exchange_ms: u64,
    price: Option<Price>,
    qty: Option<Qty>,
}

/// New terms of an order, and when they reached the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// On the exchange's clock.
    pub at_ns: i64,
    /// Its price.
    pub price: Price,
    /// Its quantity in all.
    pub qty: Qty,
}

/// The lives of the orders, by id.
pub fn lives(sent: &[SentOrder], steps: &[OrderStep]) -> BTreeMap<u64, Life> {
    let mut lives: BTreeMap<u64, Life> = BTreeMap::new();
    for step in steps {
        lives.entry(step.order).or_default().step(step);
    }
    for order in sent.iter().filter(|order| !could_rest(order)) {
        if let Some(life) = lives.get_mut(&order.id) {
            life.arrival_ms = life.arrival_ms.or(life.happened_ms);
        }
    }
    lives
}

/// Can it come to rest? What cannot is over in the moment it arrives.
pub fn could_rest(order: &SentOrder) -> bool {
    order.kind == OrderKind::Limit && matches!(order.time_in_force, TimeInForce::Gtc | TimeInForce::Gtx)
}

impl Life {
    fn step(&mut self, step: &OrderStep) {
        let named = Some(step.exchange_ms).filter(|ms| *ms > 0);
        match step.what {
            OrderWord::Sent => self.sent = self.sent.or(Some(step.at)),
            OrderWord::Accepted => {
                // The first word counts: after a trade, or when asked, the exchange names a later time.
                if !self.accepted {
                    self.arrival_ms = named;
                }
                self.accepted = true;
                self.acknowledged = self.acknowledged.or(Some(step.at));
            }
            OrderWord::Filled | OrderWord::Done => {
                self.accepted = true;
                self.acknowledged = self.acknowledged.or(Some(step.at));
                self.happened(named);
            }
            OrderWord::CancelSent => {
                self.cancel_sent = self.cancel_sent.or(Some(step.at));
                self.cancel_sent_last = Some(step.at);
            }
            OrderWord::Cancelled | OrderWord::Expired => {
                // A post-only order that would have taken never rested.
                if step.what == OrderWord::Expired && !self.accepted {
                    self.arrival_ms = named;
                }
                self.ended = Some(step.at);
                self.ended_ms = named;
                self.acknowledged = self.acknowledged.or(Some(step.at));
                self.happened(named);
            }
            OrderWord::ModifySent => self.modifying = Some(step.at),
            OrderWord::Modified => {
                let (sent, price) = (self.modifying.take(), step.value.map(Price::from_units));
                let (learned, exchange_ms) = (step.at, step.exchange_ms);
                self.modifications.push(Modified { sent, learned, exchange_ms, price, qty: None });
            }
            OrderWord::ModifiedQty => {
                if let Some(modified) = self.modifications.last_mut() {
                    modified.qty = step.value.map(Qty::from_units);
                }
            }
            OrderWord::ModifyRefused => self.modifying = None,
            // What they tell is in the order's state, or changes nothing at the exchange.
            OrderWord::Denied | OrderWord::Refused | OrderWord::Unknown | OrderWord::CancelRefused => {}
        }
    }

    fn happened(&mut self, named: Option<u64>) {
        self.happened_ms = self.happened_ms.or(named);
        self.last_ms = self.last_ms.max(named);
    }

    /// Its changes after `arrival_ns`, each later than the one before; `None` where nobody knows which terms it had.
    pub fn changes(&self, order: &SentOrder, arrival_ns: i64, travel: &Travel) -> Option<Vec<Change>> {
        if let Some(sent) = self.modifying {
            // The exchange ended it, perhaps because of the request: then there is nothing more to know.
            let by_exchange = matches!(order.state.as_str(), "cancelled" | "expired") && self.cancel_sent.is_none();
            let before = self.last_ms.is_some_and(|ms| middle_of(ms) < moment(sent, None, travel).0);
            if !(by_exchange || before && is_over(order)) {
                return None;
            }
        }
        let mut last_ns = arrival_ns;
        let change = |modified: &Modified| {
            let named = Some(modified.exchange_ms).filter(|ms| *ms > 0);
            let at_ns = match (modified.sent, named) {
                (Some(sent), named) => moment(sent, named, travel).0,
                (None, Some(ms)) => middle_of(ms),
                (None, None) => modified.learned.0.cast_signed() + travel.at(modified.learned),
            };
            last_ns = at_ns.max(last_ns + 1);
            Some(Change { at_ns: last_ns, price: modified.price?, qty: modified.qty? })
        };
        self.modifications.iter().map(change).collect()
    }
}

fn is_over(order: &SentOrder) -> bool {
    matches!(order.state.as_str(), "filled" | "cancelled" | "expired")
}
