//! The gate: may strategies open new risk? One rule, derived from what is known, told whenever its answer changes.

use optiflow_base::clock::{Clock, Nanos};
use optiflow_base::control::Milestone;
use optiflow_base::order::{GateReason, Report};

use super::core::Core;

/// What was told last.
#[derive(Debug)]
pub struct Gate {
    told: Option<(bool, GateReason)>,
}

impl Gate {
    /// Nothing told yet; closed.
    pub const fn new() -> Gate {
        Gate { told: None }
    }

    /// Is it open?
    pub const fn is_open(&self) -> bool {
        matches!(self.told, Some((true, _)))
    }
}

impl<C: Clock> Core<C> {
    pub(super) fn look_after_gate(&mut self, now: Nanos) {
        if let Some(off_ms) = self.clock_sync.take_alarm(now) {
            let off_ms = i64::try_from(off_ms).unwrap_or(i64::MAX);
            self.desk.reporter.notice(
                now,
                "exchange clock is uncertain: no new risk until it is measured well, ms",
                off_ms,
            );
        }
        if self.desk.reporter.lost() > 0 {
            self.fail(now, "a report was lost: rings are too small; restart with larger ones");
        }
        let wanted = self.wanted_gate(now);
        if self.gate.told == Some(wanted) {
            return;
        }
        let (open, reason) = wanted;
        self.gate.told = Some(wanted);
        self.desk.reporter.send(Report::Gate { open, reason, at: now });
        if open {
            assert!(self.desk.table.counts().unknown == 0 && self.is_connected(), "the gate opens on proof only");
            if self.reconcile.take_news() {
                self.reach(Milestone::Ready);
            }
        }
    }

    /// The first reason that keeps it closed counts.
    fn wanted_gate(&self, now: Nanos) -> (bool, GateReason) {
        let closed = [
            (self.stopping.is_some(), GateReason::Stopping),
            (self.trouble.is_some(), GateReason::AccountTrouble),
            (!self.reconcile.has_ever_succeeded(), GateReason::Starting),
            (!self.orders_ready, GateReason::OrderSocketDown),
            (!self.user_is_ready(), GateReason::UserStreamDown),
            (!self.reconcile.is_done(), GateReason::InDoubt),
            (!self.clock_sync.is_certain(now), GateReason::InDoubt),
            (self.desk.table.counts().unknown > 0, GateReason::InDoubt),
            (self.desk.contradicted || self.desk.reporter.is_backlogged(), GateReason::InDoubt),
            (now < self.restricted_until, GateReason::RestrictedByExchange),
            (!self.dead_man.is_armed_everywhere(now), GateReason::Unguarded),
        ];
        let first = closed.into_iter().find(|(is_so, _)| *is_so);
        first.map_or((true, GateReason::Reconciled), |(_, reason)| (false, reason))
    }
}
