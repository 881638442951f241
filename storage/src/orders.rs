//! What became of every order: a row each, told together from what the rooms report.
//!
//! The rooms' logs are separate rings, so that events of one order may be read out of order: states only move forward
//! and an end is final, whatever comes after. Keeps the latest orders; older ones live in the database alone.
//! Storage thread.

use std::collections::BTreeMap;

use optiflow_base::clock::Nanos;
use optiflow_base::ids::{ExchangeOrderId, OrderId, SymbolId};
use optiflow_base::money::{Qty, Side};
use optiflow_base::order::{Action, DenyReason, Intent, NewOrder, OrderChange, OrderEvent};

use crate::rows::deny_text;
use crate::summary::OrderCounts;

/// The orders of a session, and those of earlier sessions that were met again.
#[derive(Debug)]
pub(crate) struct Orders {
    epoch: u32,
    records: BTreeMap<OrderId, OrderRecord>,
    changed: Vec<OrderId>,
    counts: OrderCounts,
}

/// One order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OrderRecord {
    pub(crate) symbol: SymbolId,
    /// What was wanted; `None` until its intent was read, or when that happened in an earlier session.
    pub(crate) placed: Option<Placed>,
    pub(crate) state: OrderState,
    pub(crate) filled: Qty,
    pub(crate) exchange_id: Option<ExchangeOrderId>,
    pub(crate) changed_at: Nanos,
    sent: bool,
    accepted: bool,
    is_changed: bool,
}

/// What was wanted, when, and why then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    pub(crate) order: NewOrder,
    pub(crate) caused: Nanos,
    pub(crate) decided: Nanos,
}

/// How far an order has come; later ones are further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum OrderState {
    /// Only its denial or intent was read.
    Intended,
    Denied,
    Sent,
    Unknown,
    Open,
    Refused,
    Filled,
    Cancelled,
    Expired,
}

impl OrderState {
    /// As it stands in the database.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            OrderState::Intended => "intended",
            OrderState::Denied => "denied",
            OrderState::Sent => "sent",
            OrderState::Unknown => "unknown",
            OrderState::Open => "open",
            OrderState::Refused => "refused",
            OrderState::Filled => "filled",
            OrderState::Cancelled => "cancelled",
            OrderState::Expired => "expired",
        }
    }

    const fn is_end(self) -> bool {
        match self {
            OrderState::Denied
            | OrderState::Refused
            | OrderState::Filled
            | OrderState::Cancelled
            | OrderState::Expired => true,
            OrderState::Intended | OrderState::Sent | OrderState::Unknown | OrderState::Open => false,
        }
    }
}

impl Orders {
    pub(crate) fn new(epoch: u32) -> Orders {
        Orders { epoch, records: BTreeMap::new(), changed: Vec::new(), counts: OrderCounts::default() }
    }

    /// A strategy wants something.
    pub(crate) fn intend(&mut self, intent: &Intent) {
        match intent.action {
            Action::Place(order) => {
                // What a former session wanted is told again where its own word was lost.
                self.counts.intended += u64::from(order.id.epoch() == self.epoch);
                let record = self.record(order.id, intent.symbol, intent.decided);
                let Intent { caused, decided, .. } = *intent;
                record.placed.get_or_insert(Placed { order, caused, decided });
                self.mark(order.id);
            }
            Action::Cancel(_) => self.counts.cancels_intended += 1,
            // Its outcome is told by the order's events.
            Action::Modify { .. } => {}
        }
    }

    /// Risk refused to place the order or, when it already lives, to cancel or to modify it.
    pub(crate) fn deny(&mut self, at: Nanos, symbol: SymbolId, order: OrderId, reason: DenyReason) {
        self.counts.denied += 1;
        *self.counts.denials.entry(deny_text(reason)).or_default() += 1;
        let record = self.record(order, symbol, at);
        if record.state == OrderState::Intended {
            record.state = OrderState::Denied;
            record.changed_at = at;
            self.mark(order);
        }
    }

    /// The oms, or the exchange, says something about an order.
    pub(crate) fn report(&mut self, event: &OrderEvent) {
        let ours = event.order.epoch() == self.epoch;
        let record = self.record(event.order, event.symbol, event.at);
        let before = *record;
        let next = match event.change {
            OrderChange::Denied(_) => OrderState::Denied,
            OrderChange::Sent => OrderState::Sent,
            OrderChange::Unknown => OrderState::Unknown,
            OrderChange::Accepted { exchange_id } => {
                record.exchange_id = Some(exchange_id);
                OrderState::Open
            }
            OrderChange::Filled { total, .. } => {
                record.filled = record.filled.max(total);
                OrderState::Open
            }
            OrderChange::Refused { .. } => OrderState::Refused,
            OrderChange::Done => OrderState::Filled,
            OrderChange::Cancelled => OrderState::Cancelled,
            OrderChange::Expired => OrderState::Expired,
            OrderChange::CancelSent
            | OrderChange::CancelRefused { .. }
            | OrderChange::ModifySent
            | OrderChange::Modified { .. }
            | OrderChange::ModifyRefused { .. } => before.state,
        };
        record.sent |= next > OrderState::Denied;
        record.accepted |= matches!(next, OrderState::Open | OrderState::Filled);
        if next != before.state && before.may_become(next) {
            record.state = next;
            record.changed_at = event.at;
        }
        let after = *record;
        self.mark(event.order);
        if ours {
            self.count(&before, &after);
        }
    }

    /// Side of an order whose intent was read in this session.
    pub(crate) fn side(&self, order: OrderId) -> Option<Side> {
        self.records.get(&order)?.placed.map(|placed| placed.order.side)
    }

    /// Hands every order that changed since the last call to `write`, and forgets old orders that have ended.
    pub(crate) fn flush(&mut self, mut write: impl FnMut(OrderId, &OrderRecord)) {
        for id in self.changed.drain(..) {
            let Some(record) = self.records.get_mut(&id) else { continue };
            record.is_changed = false;
            if record.is_told() {
                write(id, record);
            }
        }
        if self.records.len() > ORDERS_KEPT_MAX {
            let ended: Vec<OrderId> =
                self.records.iter().filter(|(_, record)| record.state.is_end()).map(|(id, _)| *id).collect();
            for id in &ended[..ended.len() / 2] {
                self.records.remove(id);
            }
        }
    }

    /// Is there an order whose row is older than what is known?
    pub(crate) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Counts so far, with what is open now.
    pub(crate) fn counts(&self) -> OrderCounts {
        let mut counts = self.counts.clone();
        for record in self.records.values().filter(|record| record.sent && !record.state.is_end()) {
            counts.open += 1;
            counts.unknown += u64::from(record.state == OrderState::Unknown);
        }
        counts
    }

    fn count(&mut self, before: &OrderRecord, after: &OrderRecord) {
        let counts = &mut self.counts;
        counts.sent += u64::from(after.sent && !before.sent);
        counts.accepted += u64::from(after.accepted && !before.accepted);
        if after.state == before.state {
            return;
        }
        match after.state {
            OrderState::Unknown => counts.doubted += 1,
            OrderState::Refused => counts.refused += 1,
            OrderState::Filled => counts.filled += 1,
            OrderState::Cancelled => counts.cancelled += 1,
            OrderState::Expired => counts.expired += 1,
            OrderState::Intended | OrderState::Denied | OrderState::Sent | OrderState::Open => {}
        }
    }

    fn record(&mut self, id: OrderId, symbol: SymbolId, at: Nanos) -> &mut OrderRecord {
        self.records.entry(id).or_insert(OrderRecord {
            symbol,
            placed: None,
            state: OrderState::Intended,
            filled: Qty::ZERO,
            exchange_id: None,
            changed_at: at,
            sent: false,
            accepted: false,
            is_changed: false,
        })
    }

    fn mark(&mut self, id: OrderId) {
        if let Some(record) = self.records.get_mut(&id)
            && !record.is_changed
        {
            record.is_changed = true;
            self.changed.push(id);
        }
    }
}

impl OrderRecord {
    /// States move forward only, except that an open order may fall into doubt; a denial that turns out to be that of
    /// a cancel gives way to what the oms knows.
    fn may_become(&self, next: OrderState) -> bool {
        let ended = self.state.is_end() && self.state != OrderState::Denied;
        let doubted = self.state == OrderState::Open && next == OrderState::Unknown;
        !ended && (next > self.state || doubted)
    }

    /// A denial alone may be that of a cancel of an order that never was: such an order gets no row.
    const fn is_told(&self) -> bool {
        self.placed.is_some() || self.sent
    }
}

/// Orders kept in memory before those that have ended are forgotten.
const ORDERS_KEPT_MAX: usize = 8_192;

#[cfg(test)]
mod tests {
    use super::*;
    use optiflow_base::ids::TradeId;
    use optiflow_base::money::Price;
    use optiflow_base::order::{OrderKind, TimeInForce};

    const ID: OrderId = OrderId::new(7, 1);

    fn intent() -> Intent {
        let order = NewOrder {
            id: ID,
            side: Side::Buy,
            kind: OrderKind::Limit,
            time_in_force: TimeInForce::Gtx,
            price: Price::from_units(1),
            qty: Qty::from_units(10),
            reduce_only: false,
        };
        Intent { symbol: SymbolId(0), action: Action::Place(order), caused: Nanos(1), decided: Nanos(2) }
    }

    /// One letter a step: the order's life as the rooms may tell it.
    fn tell(orders: &mut Orders, step: char) {
        let filled = |total: i64| {
            let (price, qty, total) = (Price::from_units(1), Qty::from_units(4), Qty::from_units(total));
            OrderChange::Filled { trade: TradeId(1), price, qty, total, maker: true, fee: 0 }
        };
        let change = match step {
            'i' => return orders.intend(&intent()),
            'd' => return orders.deny(Nanos(3), SymbolId(0), ID, DenyReason::OrderRate),
            's' => OrderChange::Sent,
            'a' => OrderChange::Accepted { exchange_id: ExchangeOrderId(5) },
            'r' => OrderChange::Refused { code: -2019 },
            'u' => OrderChange::Unknown,
            'f' => filled(4),
            'F' => filled(10),
            'D' => OrderChange::Done,
            'c' => OrderChange::Cancelled,
            'x' => OrderChange::Expired,
            'k' => OrderChange::CancelSent,
            other => panic!("no step {other}"),
        };
        let event = OrderEvent { symbol: SymbolId(0), order: ID, at: Nanos(4), exchange_ms: 0, change };
        orders.report(&event);
    }

    fn life(steps: &str) -> String {
        let mut orders = Orders::new(7);
        steps.chars().for_each(|step| tell(&mut orders, step));
        let mut rows = Vec::new();
        orders.flush(|_, record| rows.push(format!("{} {}", record.state.name(), record.filled.units())));
        let counts = orders.counts();
        let sums = [
            ("sent", counts.sent),
            ("accepted", counts.accepted),
            ("refused", counts.refused),
            ("denied", counts.denied),
            ("filled", counts.filled),
            ("cancelled", counts.cancelled),
            ("expired", counts.expired),
            ("doubted", counts.doubted),
            ("open", counts.open),
        ];
        let sums: Vec<&str> = sums.iter().filter(|(_, count)| *count > 0).map(|(name, _)| *name).collect();
        assert!(sums.len() <= 9 && counts.sent <= 1 && counts.accepted <= 1, "each is counted once");
        format!("{}: {}", rows.join(","), sums.join(" "))
    }

    #[test]
    fn lives_are_told_and_counted() {
        let table = [
            ("i", "intended 0: "),
            ("id", "denied 0: denied"),
            ("di", "denied 0: denied"),
            ("is", "sent 0: sent open"),
            ("isa", "open 0: sent accepted open"),
            ("sai", "open 0: sent accepted open"),
            ("isr", "refused 0: sent refused"),
            ("isu", "unknown 0: sent doubted open"),
            ("isua", "open 0: sent accepted doubted open"),
            ("isau", "unknown 0: sent accepted doubted open"),
            ("isur", "refused 0: sent refused doubted"),
            ("isaf", "open 4: sent accepted open"),
            ("isf", "open 4: sent accepted open"),
            ("isafFD", "filled 10: sent accepted filled"),
            ("isakc", "cancelled 0: sent accepted cancelled"),
            ("isax", "expired 0: sent accepted expired"),
            // A denied cancel, before and after the oms spoke, and for an order that never was.
            ("isad", "open 0: sent accepted denied open"),
            ("idsa", "open 0: sent accepted denied open"),
            ("d", ": denied"),
            // An end is final, a late fill is booked.
            ("isacf", "cancelled 4: sent accepted cancelled"),
            ("isacsau", "cancelled 0: sent accepted cancelled"),
            ("isacx", "cancelled 0: sent accepted cancelled"),
        ];
        for (steps, expected) in table {
            assert_eq!(life(steps), expected, "{steps}");
        }
    }

    #[test]
    fn orders_of_earlier_sessions_are_followed_but_not_counted() {
        let mut orders = Orders::new(8);
        tell(&mut orders, 'a');
        assert_eq!((orders.counts().accepted, orders.counts().open), (0, 1));
        tell(&mut orders, 'c');
        assert_eq!((orders.counts().cancelled, orders.counts().open), (0, 0));
    }

    #[test]
    fn memory_is_bounded_by_forgetting_what_has_ended() {
        let mut orders = Orders::new(7);
        tell(&mut orders, 'a');
        for counter in 2..40_000 {
            let order = OrderId::new(7, counter);
            let event =
                OrderEvent { symbol: SymbolId(0), order, at: Nanos(4), exchange_ms: 0, change: OrderChange::Expired };
            orders.report(&event);
            orders.flush(|_, _| {});
        }
        assert!(orders.records.len() <= ORDERS_KEPT_MAX);
        assert_eq!((orders.counts().open, orders.counts().expired), (1, 39_998));
    }
}
