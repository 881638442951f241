//! The end of a world: after the faults everything agrees, then trading stops, and nothing is left open or forgotten.

use std::time::Duration;

use optiflow_base::clock::Clock;
use optiflow_base::control::Milestone;
use optiflow_base::order::GateReason;
use optiflow_sim::binance::faults::Faults;

use super::lab;
use super::remembered::Remembered;
use super::run::Session;
use super::{ledger, truth};
use crate::far_end::LOOPBACK;

impl Session<'_> {
    /// The faults have ended: soon everything agrees, and trading goes on.
    pub(super) fn converge(&mut self) -> Result<(), String> {
        self.exchange.borrow_mut().set_faults(self.clock.now(), &Faults::none(self.plan.seed));
        self.database.fill_disk(false)?;
        while self.is_giving_up() {
            self.run_until(self.clock.now() + CONVERGENCE_STEP)?;
        }
        // A ban, or a minute whose weight a liar used up, is a fault that lasts.
        let silent = self.exchange.borrow_mut().silent_until(self.clock.now(), LOOPBACK);
        // And so is the silence that our REST clients keep after a firewall's 403, and an answer that never comes until
        // the client gives it up: nothing can be agreed on before.
        let silent = silent.max(self.world.silent_until()).max(self.world.answered_at());
        self.run_until(silent.unwrap_or(self.clock.now()).max(self.clock.now()))?;
        self.tally.converged = self.settle()?;
        Ok(())
    }

    /// Lets time pass until we and the exchange agree and trading goes on; says how long that took.
    pub(super) fn settle(&mut self) -> Result<Duration, String> {
        let since = self.clock.now();
        loop {
            // A pause that the exchange asked for runs longer than this, and says so.
            let open = self.watch().gate.is_some_and(|(open, why)| open || why == GateReason::RestrictedByExchange);
            let agreed = self.agree();
            let gone = self.halted.is_none() || self.entries_open() == 0;
            if open && gone && agreed.is_ok() {
                return Ok(Duration::from_nanos(self.clock.now().since(since)));
            }
            if self.clock.now() >= since + CONVERGENCE_MAX {
                let gate = self.watch().gate;
                return Err(match agreed {
                    Err(what) => format!("{what}, and so for {CONVERGENCE_MAX:?} of peace"),
                    Ok(()) if !gone => {
                        format!("I9: killed, and {} entries are still open in peace", self.entries_open())
                    }
                    Ok(()) => format!("I4: the gate is still {gate:?} after {CONVERGENCE_MAX:?} of peace"),
                });
            }
            self.run_until(self.clock.now() + CONVERGENCE_STEP)?;
        }
    }

    fn entries_open(&self) -> usize {
        let exchange = self.exchange.borrow();
        exchange.core().open_orders(None).iter().filter(|order| !order.placed.reduce_only).count()
    }

    /// The session ends in order, and the file that it leaves is the exchange's own ledger.
    pub(super) fn stop(&mut self) -> Result<(), String> {
        self.world.stop();
        self.door.borrow_mut().is_stopping = true;
        let asked = self.clock.now();
        while self.world.milestones.last() != Some(&Milestone::Stopped) {
            if self.clock.now() >= asked + STOP_MAX {
                return Err(format!("I9: not stopped after {STOP_MAX:?}: {:?}", self.world.milestones.last()));
            }
            self.run_until(self.clock.now() + CONVERGENCE_STEP)?;
        }
        let open = self.exchange.borrow().core().open_orders(None).len();
        if open > 0 {
            return Err(format!("I9: stopped with {open} orders open"));
        }
        self.agree()?;
        self.remember()
    }

    fn agree(&self) -> Result<(), String> {
        let position = |symbol| self.world.position(symbol).unwrap_or_default().qty;
        let exchange = self.exchange.borrow();
        truth::agreed(exchange.core(), self.watch(), position)?;
        ledger::adds_up(exchange.core(), lab::WALLET, self.watch())
    }

    /// Storage takes in the last that was said, and what it leaves is all there was.
    fn remember(&mut self) -> Result<(), String> {
        self.world.hear_logs();
        self.hear()?;
        let now = self.clock.now();
        let summary = self.database.finish(now)?;
        let remembered = Remembered::read(&self.database)?;
        if let Some(summary) = &summary {
            remembered.is_complete(self.exchange.borrow().core(), summary)?;
        }
        if self.plan.seed.is_multiple_of(SECRETS_SOUGHT) {
            self.database.keeps_secrets(&lab::SECRET_SPELLINGS)?;
        }
        let left = self.database.former(now)?;
        if left.died || !left.orders.is_empty() {
            return Err(format!("I10: after an orderly stop the next life would be told {left:?}"));
        }
        Ok(())
    }
}

/// Everything agrees so long after the faults ended, and trading goes on.
const CONVERGENCE_MAX: Duration = Duration::from_secs(10);
const CONVERGENCE_STEP: Duration = Duration::from_millis(100);
/// In one world of so many, the file is searched for what must not be said.
const SECRETS_SOUGHT: u64 = 10;
/// An orderly stop takes no longer.
const STOP_MAX: Duration = Duration::from_secs(15);
