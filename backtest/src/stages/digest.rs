//! One number for everything that was decided and reported, in order: equal runs have equal numbers.
//!
//! FNV-1a over 64-bit words, on any machine. The session's epoch is left out: two runs of one session after another are
//! equal if they do the same.

use optiflow_base::clock::Nanos;
use optiflow_base::ids::OrderId;
use optiflow_base::log::LogEvent;
use optiflow_base::money::Side;
use optiflow_base::order::{Action, Intent, NewOrder, OrderChange, OrderEvent, OrderKind, Report, TimeInForce};

/// The running number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digest {
    state: u64,
}

impl Digest {
    pub(super) const fn new() -> Digest {
        Digest { state: OFFSET }
    }

    pub(super) const fn value(&self) -> u64 {
        self.state
    }

    /// Takes in what a room wrote; signals, latencies and notices say nothing about orders.
    pub(super) fn log(&mut self, event: &LogEvent) {
        match event {
            LogEvent::Intent(intent) => self.intent(intent),
            LogEvent::Denied { symbol, order, at, reason } => {
                self.words(&[2, u64::from(symbol.0), id(*order), at.0, *reason as u64]);
            }
            LogEvent::Report(report) => self.report(report),
            LogEvent::Signal(_)
            | LogEvent::Latency { .. }
            | LogEvent::Notice(_)
            | LogEvent::Halted { .. }
            | LogEvent::Lost { .. } => {}
        }
    }

    fn intent(&mut self, intent: &Intent) {
        let Intent { symbol, action, decided: Nanos(decided), .. } = intent;
        match action {
            Action::Place(NewOrder { id: order, side, kind, time_in_force, price, qty, reduce_only }) => {
                let kinds = [side_word(*side), kind_word(*kind), force_word(*time_in_force), u64::from(*reduce_only)];
                self.words(&[1, u64::from(symbol.0), *decided, id(*order)]);
                self.words(&kinds);
                self.words(&[word(price.units()), word(qty.units())]);
            }
            Action::Cancel(order) => self.words(&[3, u64::from(symbol.0), *decided, id(*order)]),
            Action::Modify { order, price, qty } => {
                self.words(&[9, u64::from(symbol.0), *decided, id(*order)]);
                self.words(&[word(price.units()), word(qty.units())]);
            }
        }
    }

    fn report(&mut self, report: &Report) {
        match *report {
            Report::Order(OrderEvent { symbol, order, at, exchange_ms, change }) => {
                self.words(&[4, u64::from(symbol.0), id(order), at.0, exchange_ms]);
                self.change(&change);
            }
            Report::Position { symbol, qty, entry, at } => {
                self.words(&[5, u64::from(symbol.0), word(qty.units()), word(entry.units()), at.0]);
            }
            Report::Wallet { balance, at } => self.words(&[6, word(balance.units_i64()), at.0]),
            Report::Usage(usage) => {
                let count = |count: Option<u32>| count.map_or(0, |count| u64::from(count) + 1);
                let until = |until: Option<Nanos>| until.map_or(0, |until| until.0);
                self.words(&[7, count(usage.weight_minute), count(usage.orders_ten_seconds)]);
                self.words(&[
                    count(usage.orders_minute),
                    until(usage.blocked_until),
                    until(usage.orders_blocked_until),
                ]);
            }
            Report::Gate { open, reason, at } => self.words(&[8, u64::from(open), reason as u64, at.0]),
        }
    }

    fn change(&mut self, change: &OrderChange) {
        match *change {
            OrderChange::Denied(reason) => self.words(&[1, reason as u64]),
            OrderChange::Sent => self.words(&[2]),
            OrderChange::Accepted { exchange_id } => self.words(&[3, exchange_id.0]),
            OrderChange::Refused { code } => self.words(&[4, word(code.into())]),
            OrderChange::Unknown => self.words(&[5]),
            OrderChange::Filled { trade, price, qty, total, maker, fee } => {
                self.words(&[6, trade.0, word(price.units()), word(qty.units())]);
                self.words(&[word(total.units()), u64::from(maker), word(fee)]);
            }
            OrderChange::CancelSent => self.words(&[7]),
            OrderChange::CancelRefused { code } => self.words(&[8, word(code.into())]),
            OrderChange::Done => self.words(&[9]),
            OrderChange::Cancelled => self.words(&[10]),
            OrderChange::Expired => self.words(&[11]),
            OrderChange::ModifySent => self.words(&[12]),
            OrderChange::Modified { price, qty, asked } => {
                self.words(&[13, word(price.units()), word(qty.units()), u64::from(asked)]);
            }
            OrderChange::ModifyRefused { code } => self.words(&[14, word(code.into())]),
        }
    }

    fn words(&mut self, words: &[u64]) {
        for word in words {
            self.state = (self.state ^ word).wrapping_mul(PRIME);
        }
    }
}

fn id(order: OrderId) -> u64 {
    order.counter().into()
}

const fn word(value: i64) -> u64 {
    value.cast_unsigned()
}

const fn side_word(side: Side) -> u64 {
    match side {
        Side::Buy => 1,
        Side::Sell => 2,
    }
}

const fn kind_word(kind: OrderKind) -> u64 {
    match kind {
        OrderKind::Limit => 1,
        OrderKind::Market => 2,
    }
}

const fn force_word(force: TimeInForce) -> u64 {
    match force {
        TimeInForce::Gtc => 1,
        TimeInForce::Ioc => 2,
        TimeInForce::Fok => 3,
        TimeInForce::Gtx => 4,
    }
}

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;
