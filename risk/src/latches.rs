//! May anything new be risked at all? The stop, the kill latch, the gate, the runaway breaker and the audit pause.
//!
//! A latch, once set, is cleared by a restart only: a person has looked. The gate follows the oms; where it is closed
//! for doubt alone, reduce-only orders pass. Cancels always pass: they only take risk away. Risk thread.

use std::time::Duration;

use optiflow_base::clock::{Nanos, nanos_of};
use optiflow_base::ids::SymbolId;
use optiflow_base::order::{DenyReason, GateReason};

/// Everything that can stop new orders as a whole.
#[derive(Debug)]
pub(crate) struct Latches {
    stopping: bool,
    killed: bool,
    gate_open: bool,
    /// The gate lets reduce-only orders pass.
    exits_open: bool,
    /// When each symbol's last intents came.
    recent: Vec<Recent>,
    log_lost: u64,
    log_lost_at: Option<Nanos>,
}

impl Latches {
    /// Not stopped, not killed, gate closed, for `symbols` symbols.
    pub(crate) fn new(symbols: usize) -> Latches {
        Latches {
            stopping: false,
            killed: false,
            gate_open: false,
            exits_open: false,
            recent: vec![Recent { at: [Nanos(0); RECENT_LEN], oldest: 0 }; symbols],
            log_lost: 0,
            log_lost_at: None,
        }
    }

    /// No new order leaves any more.
    pub(crate) fn stop(&mut self) {
        self.stopping = true;
    }

    /// The kill latch, by a person's hand; true when it was not set before.
    pub(crate) fn kill(&mut self) -> bool {
        !std::mem::replace(&mut self.killed, true)
    }

    /// Is the kill latch set?
    pub(crate) const fn is_killed(&self) -> bool {
        self.killed
    }

    /// The oms opens or closes the gate.
    pub(crate) fn set_gate(&mut self, open: bool, reason: GateReason) {
        self.gate_open = open;
        self.exits_open = open || reason.lets_exits_pass();
    }

    /// Counts an intent to place or modify; true when this very intent breaks the runaway breaker and sets the kill latch.
    pub(crate) fn is_runaway(&mut self, now: Nanos, symbol: SymbolId) -> bool {
        self.recent[symbol.index()].is_too_many(now) && self.kill()
    }

    /// What is not logged is not traded: losing log events pauses new risk until storage has kept up for a while.
    pub(crate) fn watch_log(&mut self, now: Nanos, lost_total: u64) {
        assert!(lost_total >= self.log_lost, "a count of losses only grows");
        if lost_total > self.log_lost {
            self.log_lost = lost_total;
            self.log_lost_at = Some(now);
        }
    }

    /// May an order be placed? `exit`: it is reduce-only.
    pub(crate) fn may_place(&self, now: Nanos, exit: bool) -> Result<(), DenyReason> {
        if self.stopping || (self.killed && !exit) {
            return Err(DenyReason::Latched);
        }
        let open = if exit { self.exits_open } else { self.gate_open };
        let paused = !exit && self.log_lost_at.is_some_and(|at| now.since(at) < nanos_of(LOG_PAUSE));
        if open && !paused { Ok(()) } else { Err(DenyReason::GateClosed) }
    }
}

/// When the last intents of a symbol came: a ring, so that no window of the clock gives a second chance.
#[derive(Clone, Copy, Debug)]
struct Recent {
    at: [Nanos; RECENT_LEN],
    oldest: usize,
}

impl Recent {
    /// Counts an intent; true when it is one more than any span may hold.
    fn is_too_many(&mut self, now: Nanos) -> bool {
        let oldest = std::mem::replace(&mut self.at[self.oldest], now);
        let next = self.oldest.wrapping_add(1);
        self.oldest = if next < RECENT_LEN { next } else { 0 };
        oldest > Nanos(0) && now.since(oldest) < nanos_of(RUNAWAY_SPAN)
    }
}

/// Intents of one symbol to place or modify in any [`RUNAWAY_SPAN`]; one more is a strategy gone wild. Denied ones count as
/// well, cancels do not. A thousand a second are noticed after a tenth of one.
pub const RUNAWAY_INTENTS: u32 = 100;
/// Somewhat less than a second: a strategy that keeps to a hundred a second by its own clock is none, however they bunch.
pub const RUNAWAY_SPAN: Duration = Duration::from_millis(900);
const RECENT_LEN: usize = RUNAWAY_INTENTS as usize;
/// How long new risk waits after a log event was lost.
const LOG_PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_kill_gate_and_pause_decide_who_passes() {
        let open = |change: &dyn Fn(&mut Latches)| {
            let mut latches = Latches::new(1);
            latches.set_gate(true, GateReason::Reconciled);
            change(&mut latches);
            [false, true].map(|exit| latches.may_place(Nanos(5), exit).err())
        };
        let (latched, closed) = (Some(DenyReason::Latched), Some(DenyReason::GateClosed));
        assert_eq!(open(&|_| {}), [None, None]);
        assert_eq!(open(&Latches::stop), [latched, latched]);
        assert_eq!(open(&|latches| assert!(latches.kill() && !latches.kill())), [latched, None]);
        assert_eq!(open(&|latches| latches.set_gate(false, GateReason::InDoubt)), [closed, None]);
        assert_eq!(open(&|latches| latches.set_gate(false, GateReason::UserStreamDown)), [closed, None]);
        assert_eq!(open(&|latches| latches.set_gate(false, GateReason::OrderSocketDown)), [closed, None]);
        for shut in [GateReason::Starting, GateReason::AccountTrouble, GateReason::Stopping] {
            assert_eq!(open(&|latches| latches.set_gate(false, shut)), [closed, closed], "{shut:?}");
        }
        assert_eq!(open(&|latches| latches.watch_log(Nanos(5), 1)), [closed, None]);
        assert_eq!(open(&|latches| latches.watch_log(Nanos(5), 0)), [None, None]);
    }

    #[test]
    fn runaway_is_latched() {
        let mut latches = Latches::new(2);
        for _ in 0..RUNAWAY_INTENTS {
            assert!(!latches.is_runaway(Nanos(7), SymbolId(0)));
        }
        assert!(!latches.is_runaway(Nanos(7), SymbolId(1)), "each symbol has its own breaker");
        assert!(latches.is_runaway(Nanos(7), SymbolId(0)));
        assert!(!latches.is_runaway(Nanos(7), SymbolId(0)), "it is told once");
        assert!(latches.killed);
        assert!(!latches.is_runaway(Nanos(7) + RUNAWAY_SPAN, SymbolId(0)));
        assert!(latches.killed, "time does not clear a latch");
    }
}
