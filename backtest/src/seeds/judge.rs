//! What is checked while a world is lived: after every step, and in full every second.

use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos};
use optiflow_base::log::LogEvent;
use optiflow_base::order::Report;
use optiflow_sim::binance::faults::Fault;
use optiflow_sim::words::Order;

use super::lab;
use super::run::Session;
use super::{ledger, truth};

impl Session<'_> {
    /// Takes in what our process said, and lets storage have it.
    pub(super) fn hear(&mut self) -> Result<(), String> {
        let Session { world, lives, trail, clock, database, .. } = self;
        let Some(watch) = lives.last_mut() else { return Ok(()) };
        let mut is_told = false;
        for event in world.log.drain(..) {
            if is_telling(&event) {
                is_told = true;
                trail.truncate(TRAIL_LEN - 1);
                trail.push_front((clock.now(), event));
            }
            database.log(&event)?;
            watch.hear(&event)?;
        }
        if is_told {
            self.stir();
        }
        Ok(())
    }

    pub(super) fn check(&mut self) -> Result<(), String> {
        let now = self.clock.now();
        let is_second = now >= self.compared + COMPARE_EVERY;
        if is_second {
            // What was said since somebody last read the logs counts as said.
            self.world.hear_logs();
        }
        self.hear()?;
        if self.bounded().is_err() {
            // What ended may have been told in logs that nobody has read yet.
            self.world.hear_logs();
            self.hear()?;
            self.bounded()?;
        }
        let exchange = self.exchange.borrow();
        let core = exchange.core();
        self.shown.look(now, core, &self.slip)?;
        for symbol in 0..core.listings().len() {
            if let Some(book) = self.world.book(truth::id_of(symbol)) {
                self.tally.books += u64::from(ledger::same_book(core, symbol, book)?);
            }
        }
        if is_second {
            self.compared_of.compare(core, &self.lives)?;
            self.nothing_opened()?;
            self.compared = now;
        }
        self.nothing_outlives_a_freeze()?;
        let manners = &self.door.borrow().manners;
        manners.check()?;
        // Who has used up our weight, or banned us, refuses us for what we did not do.
        let framed = |(fault, count): (Fault, u64)| LIMITS.contains(&fault) && count > 0;
        if manners.refused > 0 && !exchange.faults_struck().any(framed) {
            return Err(format!("I12: {} requests were refused for asking too much", manners.refused));
        }
        let (connections, messages) = exchange.floods();
        if connections + messages > 0 {
            return Err(format!(
                "I12: {connections} connections too many were tried, {messages} ended by their messages"
            ));
        }
        let jumped = |(fault, count): (Fault, u64)| fault == Fault::ClockJump && count > 0;
        if manners.untimely > 0 && self.plan.stalls.is_empty() && !exchange.faults_struck().any(jumped) {
            return Err(format!("I13: {} requests came outside of their time", manners.untimely));
        }
        Ok(())
    }

    /// What is held and ordered keeps its limits, as the exchange has it and as we know it.
    fn bounded(&mut self) -> Result<(), String> {
        let exchange = self.exchange.clone();
        let exchange = exchange.borrow();
        if self.stakes.count(exchange.core(), &self.lives) {
            self.stir();
        }
        self.stakes.keep(&self.bound, exchange.core())
    }

    /// Since the kill by command, and what was on its way then, nothing that opens a position was accepted.
    fn nothing_opened(&self) -> Result<(), String> {
        let Some(halted) = self.halted else { return Ok(()) };
        // Who was stopped when the kill came heard of it when it woke.
        let spans = self.plan.stalls.iter().map(|stall| (lab::START + stall.at, lab::START + stall.end()));
        let heard = spans.filter(|(from, until)| *from <= halted && halted < *until).map(|(_, until)| until).max();
        let halted = heard.unwrap_or(halted);
        let exchange = self.exchange.borrow();
        let core = exchange.core();
        let late = |order: &&Order| order.created > halted + ON_ITS_WAY;
        let mut late = (0..core.listings().len()).flat_map(|symbol| {
            // The newest are the last.
            core.all_orders(symbol).into_iter().rev().take_while(late)
        });
        let Some(order) = late.find(|order| !order.placed.reduce_only) else { return Ok(()) };
        let after = Duration::from_nanos(order.created.since(halted));
        Err(format!("I9: {} opens a position {after:?} after the kill", order.placed.client_id))
    }

    /// A process that is frozen for longer than its countdown has nothing open any more.
    fn nothing_outlives_a_freeze(&self) -> Result<(), String> {
        let now: Nanos = self.clock.now();
        let Some((since, _)) = self.stalled(None) else { return Ok(()) };
        let frozen = Duration::from_nanos(now.since(since));
        if frozen <= COUNTDOWN + ON_ITS_WAY {
            return Ok(());
        }
        match self.exchange.borrow().core().open_orders(None).len() {
            0 => Ok(()),
            open => Err(format!("I9: {open} orders are open, and our process is frozen for {frozen:?}")),
        }
    }
}

/// Worth a line of the trail?
const fn is_telling(event: &LogEvent) -> bool {
    !matches!(event, LogEvent::Signal(_) | LogEvent::Latency { .. } | LogEvent::Report(Report::Usage(_)))
}

/// Faults by which we are refused for what others did.
const LIMITS: [Fault; 3] = [Fault::TooManyRequests, Fault::Banned, Fault::TooManyOrders];
/// What risk had let pass when the kill came has arrived after this.
const ON_ITS_WAY: Duration = Duration::from_secs(1);
/// The countdown of the process, wound up to the last.
const COUNTDOWN: Duration = Duration::from_secs(30);
/// Events that a broken rule is shown with.
const TRAIL_LEN: usize = 40;
/// Ledgers are compared in full this often.
const COMPARE_EVERY: Duration = Duration::from_secs(1);
