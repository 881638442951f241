//! The dead-man's switch: a countdown at the exchange, per symbol, that cancels everything open there unless it is wound
//! up again in time.
//!
//! It is wound up only while the way of orders, the user stream and storage are well, so a process that froze, lost its
//! connection or can no longer write down what it does loses its orders within the countdown. No entry leaves before the
//! first winding was confirmed, nor after half a countdown without a confirmation; exits do. It is let down only by an
//! orderly stop, after the exchange has shown that nothing of ours is open.
//! The exchange cancels by symbol: orders that others keep there in the same account go as well, conditional ones stay.
//! Allocates once. Runs on the oms thread.

use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos, nanos_of};
use optiflow_base::ids::SymbolId;
use optiflow_base::rest::RestReply;

use super::calls::{Purpose, symbol_query};
use super::core::Core;
use super::reconcile::{symbol_at, usable};
use crate::binance::truth;

/// How often the switch is wound up, and how long it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Countdown {
    /// From one winding to the next.
    pub heartbeat: Duration,
    /// From the last winding to the cancelling of everything.
    pub span: Duration,
}

impl Countdown {
    /// Request weight that winding up this many symbols costs in a minute.
    pub fn weight_minute(&self, symbols: usize) -> u64 {
        let beats = MINUTE.as_nanos().div_ceil(self.heartbeat.as_nanos().max(1));
        u64::try_from(beats).unwrap_or(u64::MAX).saturating_mul(WEIGHT.into()).saturating_mul(symbols as u64)
    }

    /// What is wrong with it for this many symbols under this limit of weight, in words; `None` when nothing is.
    pub fn fault(&self, symbols: usize, weight_limit: u32) -> Option<String> {
        let weight = self.weight_minute(symbols);
        if self.span < self.heartbeat * HEARTBEATS_LEAST {
            return Some(format!("countdown must be at least {HEARTBEATS_LEAST} times the heartbeat"));
        }
        if weight.saturating_mul(100) > u64::from(weight_limit).saturating_mul(WEIGHT_SHARE_PERCENT) {
            return Some(format!(
                "winding up {symbols} countdowns at this heartbeat costs a weight of {weight} a minute, more than \
                 {WEIGHT_SHARE_PERCENT} % of the {weight_limit} that may be used; lengthen heartbeat and countdown"
            ));
        }
        None
    }
}

impl Default for Countdown {
    /// A weight of 120 a minute for every symbol; five beats may be lost before the switch falls.
    fn default() -> Countdown {
        Countdown { heartbeat: Duration::from_secs(5), span: Duration::from_secs(30) }
    }
}

/// The switches of all symbols.
#[derive(Debug)]
pub struct DeadMan {
    plan: Countdown,
    switches: Vec<Switch>,
    storage_is_ill: bool,
    log_lost: u64,
    log_lost_at: Option<Nanos>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Switch {
    due: Nanos,
    asked: bool,
    /// When the last winding that was confirmed had left us: its countdown ends no sooner than a span after this.
    wound: Option<Nanos>,
    failures: u32,
}

impl DeadMan {
    /// Not wound up.
    pub fn new(plan: Countdown, symbols: usize) -> DeadMan {
        assert!(plan.span >= plan.heartbeat * HEARTBEATS_LEAST, "a countdown outlasts lost beats");
        let switches = vec![Switch::default(); symbols];
        DeadMan { plan, switches, storage_is_ill: false, log_lost: 0, log_lost_at: None }
    }

    /// May an entry of this symbol leave?
    pub fn is_armed(&self, symbol: SymbolId, now: Nanos) -> bool {
        self.switches.get(symbol.index()).is_some_and(|switch| switch.is_armed(now, self.plan.span))
    }

    /// May entries of every symbol leave?
    pub fn is_armed_everywhere(&self, now: Nanos) -> bool {
        self.switches.iter().all(|switch| switch.is_armed(now, self.plan.span))
    }

    /// Symbols in which a countdown may be running.
    pub fn running(&self) -> impl Iterator<Item = SymbolId> {
        let may_run = |switch: &Switch| switch.asked || switch.wound.is_some();
        let running = self.switches.iter().enumerate().filter(move |(_, switch)| may_run(switch));
        running.map(|(index, _)| symbol_at(index))
    }
}

impl Switch {
    fn is_armed(&self, now: Nanos, span: Duration) -> bool {
        self.wound.is_some_and(|at| now < at + span / 2)
    }
}

impl<C: Clock> Core<C> {
    /// Winds up what is due, while all is well; says so when a countdown may have run out.
    pub(super) fn look_after_dead_man(&mut self, now: Nanos) {
        let span = self.dead_man.plan.span;
        for index in 0..self.names.len() {
            let switch = &mut self.dead_man.switches[index];
            if switch.wound.is_some_and(|at| now >= at + span) {
                switch.wound = None;
                let symbol = i64::try_from(index).unwrap_or(-1);
                self.desk.reporter.notice(
                    now,
                    "countdown not renewed: the exchange cancels the symbol's orders",
                    symbol,
                );
                // The user stream may have kept its word or not: everything is compared.
                self.desk.contradicted = true;
            }
        }
        if !self.is_well(now) {
            return;
        }
        for index in 0..self.names.len() {
            let switch = &self.dead_man.switches[index];
            if switch.asked || now < switch.due {
                continue;
            }
            let query = symbol_query(&self.names[index], format_args!("&countdownTime={}", span.as_millis()));
            if !self.calls.ask(now, Purpose::Wind(symbol_at(index)), query) {
                return;
            }
            self.dead_man.switches[index].asked = true;
        }
    }

    /// Whoever froze could not say this.
    fn is_well(&mut self, now: Nanos) -> bool {
        let storage = self.storage_is_well(now);
        storage && self.is_connected() && self.trouble.is_none() && self.stopping.is_none()
    }

    /// Storage shows signs of life and loses nothing of ours.
    fn storage_is_well(&mut self, now: Nanos) -> bool {
        let lost = self.desk.reporter.log_lost();
        if lost > self.dead_man.log_lost {
            (self.dead_man.log_lost, self.dead_man.log_lost_at) = (lost, Some(now));
        }
        let losing = self.dead_man.log_lost_at.is_some_and(|at| now.since(at) < nanos_of(LOG_PAUSE));
        let silent = self.storage.as_ref().is_some_and(|pulse| pulse.age(now) >= nanos_of(STORAGE_SILENCE_MAX));
        let ill = losing || silent;
        if ill && !self.dead_man.storage_is_ill {
            self.desk.reporter.notice(now, "storage is not well: the countdown is no longer renewed", 0);
        }
        self.dead_man.storage_is_ill = ill;
        !ill
    }

    /// The answer to a winding, or the news that there is none.
    pub(super) fn on_wound(&mut self, now: Nanos, symbol: SymbolId, reply: &RestReply) {
        let Countdown { heartbeat, span } = self.dead_man.plan;
        let confirmed = usable(reply, truth::countdown).is_some_and(|millis| u128::from(millis) == span.as_millis());
        let Some(switch) = self.dead_man.switches.get_mut(symbol.index()) else { return };
        switch.asked = false;
        if confirmed {
            switch.wound = Some(reply.sent).max(switch.wound);
            switch.failures = 0;
            switch.due = reply.sent + heartbeat;
            return;
        }
        let pause = RETRY_FIRST * 2u32.pow(switch.failures.min(RETRY_DOUBLINGS_MAX));
        switch.failures = switch.failures.saturating_add(1);
        switch.due = now + pause.min(heartbeat);
        self.desk.reporter.notice(now, "countdown was not renewed; asking again", reply.status.into());
    }

    /// The answer to letting a switch down: does it run no more?
    pub(super) fn on_let_down(&mut self, symbol: SymbolId, reply: &RestReply) -> bool {
        let done = usable(reply, truth::countdown) == Some(0);
        if let Some(switch) = self.dead_man.switches.get_mut(symbol.index()).filter(|_| done) {
            *switch = Switch::default();
        }
        done
    }
}

/// Weight of one winding (fact sheet §3.5).
pub const WEIGHT: u32 = 10;
/// Largest share of the weight limit that winding up may cost.
const WEIGHT_SHARE_PERCENT: u64 = 25;
/// A countdown lasts at least so many heartbeats.
const HEARTBEATS_LEAST: u32 = 3;
/// First pause after a winding without confirmation; doubles up to 2^4 times as much, never beyond a heartbeat.
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_DOUBLINGS_MAX: u32 = 4;
/// Storage that has shown no sign of life for so long counts as dead: commits take milliseconds.
const STORAGE_SILENCE_MAX: Duration = Duration::from_secs(5);
/// How long nothing is wound up after a log event was lost.
const LOG_PAUSE: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_must_survive_lost_beats_and_fit_the_weight() {
        let plan = |heartbeat: u64, span: u64| Countdown {
            heartbeat: Duration::from_secs(heartbeat),
            span: Duration::from_secs(span),
        };
        assert_eq!(Countdown::default().weight_minute(3), 360);
        assert_eq!(Countdown::default().fault(2, 1_200), None);
        assert!(Countdown::default().fault(3, 1_200).unwrap().contains("lengthen"));
        assert_eq!(plan(30, 120).fault(30, 2_400), None, "the exchange's own example");
        assert!(plan(5, 14).fault(1, 2_400).unwrap().contains("3 times"));
        assert_eq!(plan(7, 60).weight_minute(1), 90, "a begun beat counts");
    }
}
