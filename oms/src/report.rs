//! The way back: every report to risk, engine and storage, in order, each exactly once.
//!
//! A full ring is our fault (rings are sized for it), but a fill must not be lost to it: reports wait in a bounded
//! backlog, the gate stays closed while any waits, and only a full backlog loses one, which is then said for good.
//! Never blocks. Runs on the oms thread.

use std::collections::VecDeque;

use optiflow_base::clock::Nanos;
use optiflow_base::ids::{OrderId, SymbolId};
use optiflow_base::log::{Log, LogEvent, Span};
use optiflow_base::order::{Intent, OrderChange, OrderEvent, Report};
use optiflow_base::ring::Tx;

/// Everything that leaves this room except requests.
pub struct Reporter {
    to_risk: Outlet,
    to_engine: Outlet,
    log: Log,
}

/// A ring and what did not fit into it yet.
struct Outlet {
    ring: Tx<Report>,
    backlog: VecDeque<Report>,
    lost: u64,
}

impl Reporter {
    /// Reports into these rings and this log.
    pub fn new(to_risk: Tx<Report>, to_engine: Tx<Report>, log: Log) -> Reporter {
        Reporter { to_risk: Outlet::new(to_risk), to_engine: Outlet::new(to_engine), log }
    }

    /// Tells everyone.
    pub fn send(&mut self, report: Report) {
        self.log.write(LogEvent::Report(report));
        self.to_risk.push(report);
        self.to_engine.push(report);
    }

    /// Tells everyone what happened to an order; `exchange_ms` is 0 where the exchange did not say.
    pub fn order(&mut self, at: Nanos, exchange_ms: u64, symbol: SymbolId, order: OrderId, change: OrderChange) {
        self.send(Report::Order(OrderEvent { symbol, order, at, exchange_ms, change }));
    }

    /// Keeps what happened to an order that no other room knows: a former session sent it.
    pub fn keep_order(&mut self, at: Nanos, exchange_ms: u64, symbol: SymbolId, order: OrderId, change: OrderChange) {
        self.log.write(LogEvent::Report(Report::Order(OrderEvent { symbol, order, at, exchange_ms, change })));
    }

    /// Keeps what somebody once wanted and did not live to write down.
    pub fn keep_intent(&mut self, intent: Intent) {
        self.log.write(LogEvent::Intent(intent));
    }

    /// Keeps a notice.
    pub fn notice(&mut self, at: Nanos, what: &'static str, value: i64) {
        self.log.notice(at, what, value);
    }

    /// Keeps a latency.
    pub fn latency(&mut self, span: Span, nanos: u64) {
        self.log.latency(span, nanos);
    }

    /// Hands over what waits, as far as there is room; says whether anything was handed over.
    pub fn flush(&mut self) -> bool {
        // Both, always: one full ring must not hold the other back.
        let risk = self.to_risk.flush();
        self.to_engine.flush() || risk
    }

    /// Does a report wait for room?
    pub fn is_backlogged(&self) -> bool {
        !self.to_risk.backlog.is_empty() || !self.to_engine.backlog.is_empty()
    }

    /// Log events that storage did not take.
    pub const fn log_lost(&self) -> u64 {
        self.log.lost_total()
    }

    /// Reports lost for good.
    pub const fn lost(&self) -> u64 {
        self.to_risk.lost + self.to_engine.lost
    }
}

impl Outlet {
    fn new(ring: Tx<Report>) -> Outlet {
        Outlet { ring, backlog: VecDeque::with_capacity(BACKLOG_LEN), lost: 0 }
    }

    fn push(&mut self, report: Report) {
        if self.backlog.is_empty() {
            match self.ring.push(report) {
                Ok(()) => return,
                Err(report) => self.backlog.push_back(report),
            }
        } else if self.backlog.len() < BACKLOG_LEN {
            self.backlog.push_back(report);
        } else {
            self.lost += 1;
        }
        assert!(self.backlog.len() <= BACKLOG_LEN, "a backlog never grows beyond its room");
    }

    fn flush(&mut self) -> bool {
        let mut moved = false;
        while let Some(report) = self.backlog.pop_front() {
            if let Err(report) = self.ring.push(report) {
                self.backlog.push_front(report);
                break;
            }
            moved = true;
        }
        moved
    }
}

/// Reports that wait for room in one ring.
const BACKLOG_LEN: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use optiflow_base::order::Usage;
    use optiflow_base::ring::ring;
    use optiflow_base::stage::Room;

    fn usage(weight: u32) -> Report {
        Report::Usage(Usage { weight_minute: Some(weight), ..Usage::default() })
    }

    #[test]
    fn reports_wait_in_order_for_room_and_are_lost_only_beyond_the_backlog() {
        let (to_risk, mut risk) = ring("risk", 2);
        let (to_engine, mut engine) = ring("engine", 16_384);
        let (log, _storage) = ring("log", 16_384);
        let mut reporter = Reporter::new(to_risk, to_engine, Log::new(Room::Oms, log));
        for weight in 0..BACKLOG_LEN as u32 + 3 {
            reporter.send(usage(weight));
        }
        assert!(reporter.is_backlogged());
        assert_eq!(reporter.lost(), 1, "two in the ring, the backlog full, one too many");
        let mut seen = Vec::new();
        while let Some(report) = risk.pop() {
            seen.push(report);
            reporter.flush();
        }
        assert_eq!(seen, (0..BACKLOG_LEN as u32 + 2).map(usage).collect::<Vec<_>>());
        assert_eq!(engine.len(), BACKLOG_LEN + 3, "one full ring does not hold the other back");
        assert_eq!(engine.pop(), Some(usage(0)));
        assert!(!reporter.is_backlogged() && !reporter.flush());
    }
}
