//! Two ledgers of what was used, minute by minute: ours as the limiter holds it, and the exchange's own; and how long
//! what must always leave was held up.
//!
//! Only listens. Single thread.

use std::collections::{BTreeMap, BTreeSet};

use optiflow_base::clock::Nanos;
use optiflow_base::ids::OrderId;
use optiflow_base::log::LogEvent;
use optiflow_base::order::{Action, DenyReason, Intent, OrderChange, OrderEvent, Report};
use optiflow_oms::stage::LocalCode;

/// Weight and orders of one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Request weight.
    pub weight: u32,
    /// Orders.
    pub orders: u32,
}

/// A minute that is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Minute {
    /// By the limiter's count when the minute ended.
    pub ours: Count,
    /// By the exchange's.
    pub theirs: Count,
}

/// Minutes of one ledger, each as it was seen last.
#[derive(Debug, Default)]
struct Ledger {
    running: Option<(u64, Count)>,
    over: Vec<(u64, Count)>,
}

/// Everything that was listened for.
#[derive(Debug, Default)]
pub struct Tally {
    ours: Ledger,
    theirs: Ledger,
    /// Cancels and exits that were decided and have not left.
    wanted: BTreeMap<OrderId, Nanos>,
    /// From decided to sent, of cancels and exits, ns.
    pub waits: Waits,
    /// Cancels and exits that the limiter turned down.
    pub held_back: u64,
    /// Cancels that found neither an order socket nor REST open.
    pub cut_off: u64,
    /// Entries and amendments that the limiter turned down: the appetite.
    pub turned_down: u64,
    /// Exits whose end is not told.
    exits: BTreeSet<OrderId>,
}

/// How long something took, most of it and at worst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// How many there were.
    pub count: u64,
    /// The longest, ns.
    pub longest: u64,
    /// Those that took longer than a turn.
    pub late: u64,
}

impl Ledger {
    fn see(&mut self, at: Nanos, count: Count) {
        let minute = at.0 / MINUTE_NS;
        // A clock that was measured anew may step back over the edge of a minute: what is over stays over.
        if self.running.is_some_and(|(running, _)| minute < running) {
            return;
        }
        if let Some(over) = self.running.filter(|(running, _)| *running != minute) {
            self.over.push(over);
        }
        self.running = Some((minute, count));
    }
}

impl Tally {
    /// What the limiter holds now, by the exchange's clock as we know it.
    pub fn see_ours(&mut self, at: Nanos, count: Count) {
        self.ours.see(at, count);
    }

    /// What the exchange has counted by now, by its own clock.
    pub fn see_theirs(&mut self, at: Nanos, count: Count) {
        self.theirs.see(at, count);
    }

    /// The minutes that both saw from beginning to end.
    pub fn minutes(&self) -> impl Iterator<Item = (u64, Minute)> {
        let ours: BTreeMap<u64, Count> = self.ours.over.iter().copied().collect();
        let both =
            self.theirs.over.iter().filter_map(move |(at, theirs)| {
                ours.get(at).map(|ours| (*at, Minute { ours: *ours, theirs: *theirs }))
            });
        both.skip(1)
    }

    /// Our process said something.
    pub fn hear(&mut self, event: &LogEvent) {
        match event {
            LogEvent::Intent(intent) => self.intent(intent),
            LogEvent::Denied { order, reason, .. } => self.denied(*order, *reason),
            LogEvent::Report(Report::Order(event)) => self.order(event),
            LogEvent::Report(
                Report::Position { .. } | Report::Wallet { .. } | Report::Usage(_) | Report::Gate { .. },
            )
            | LogEvent::Signal(_)
            | LogEvent::Notice(_)
            | LogEvent::Lost { .. }
            | LogEvent::Latency { .. }
            | LogEvent::Halted { .. } => {}
        }
    }

    fn intent(&mut self, intent: &Intent) {
        let is_exit = match intent.action {
            Action::Place(order) => {
                if order.reduce_only {
                    self.exits.insert(order.id);
                }
                order.reduce_only
            }
            Action::Cancel(_) => true,
            Action::Modify { .. } => false,
        };
        if is_exit {
            self.wanted.entry(intent.order()).or_insert(intent.decided);
        }
    }

    fn denied(&mut self, order: OrderId, reason: DenyReason) {
        if !matches!(reason, DenyReason::OrderRate | DenyReason::WeightRate) {
            return;
        }
        // Only a cancel is turned down for its weight, a ban aside; what is no exit then is an entry or an amendment.
        let must_leave = reason == DenyReason::WeightRate || self.exits.contains(&order);
        let turned_down = if must_leave { &mut self.held_back } else { &mut self.turned_down };
        *turned_down += 1;
    }

    fn order(&mut self, event: &OrderEvent) {
        let is_exit = self.exits.contains(&event.order);
        let is_sent = event.change == OrderChange::CancelSent || (is_exit && event.change == OrderChange::Sent);
        if let Some(wanted) = self.wanted.get(&event.order).filter(|_| is_sent) {
            let wait = event.at.since(*wanted);
            self.waits.count += 1;
            self.waits.longest = self.waits.longest.max(wait);
            self.waits.late += u64::from(wait > LATE_NS);
        }
        // A cancel that the order's own end overtook is wanted no more; one that was turned down or lost still is.
        // One that found no way open is asked for anew: that is no matter of limits.
        let is_down = event.change == OrderChange::CancelRefused { code: LocalCode::NotSent.code() };
        self.cut_off += u64::from(is_down);
        if is_sent || is_down || event.change.is_end() {
            self.wanted.remove(&event.order);
        }
        if event.change.is_end() {
            self.exits.remove(&event.order);
        }
    }
}

const MINUTE_NS: u64 = 60_000_000_000;
/// Longer than it takes from one room to the next.
const LATE_NS: u64 = 100_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_steps_back_over_the_edge_changes_no_minute_that_is_over() {
        let mut tally = Tally::default();
        for (ms, orders) in [(0, 1), (60_000, 7), (119_999, 9), (120_001, 1), (119_999, 0), (120_002, 2), (180_000, 1)]
        {
            tally.see_ours(Nanos::from_millis(ms), Count { weight: 0, orders });
        }
        for (ms, orders) in [(0, 1), (60_000, 9), (120_000, 2), (180_000, 1)] {
            tally.see_theirs(Nanos::from_millis(ms), Count { weight: 0, orders });
        }
        let minutes: Vec<_> = tally.minutes().map(|(_, minute)| (minute.ours.orders, minute.theirs.orders)).collect();
        assert_eq!(minutes, [(9, 9), (2, 2)]);
    }
}
