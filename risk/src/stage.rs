//! The stage: hears what happened, then decides intent after intent.
//!
//! Within a step, commands, reports and quotes come before intents, so that a decision stands on the latest word.
//! An intent is taken only when its denial could be told: no decision is ever lost. Once the kill latch is set, the stage
//! itself orders the cancel of every resting order that may open or enlarge a position, until the end of each is proven.
//! Never blocks, never allocates after `new`; the clock serves the latency stamp alone. Risk thread.

use optiflow_base::clock::{Clock, Nanos};
use optiflow_base::control::Command;
use optiflow_base::ids::{OrderId, SymbolId};
use optiflow_base::log::{Log, LogEvent, Span};
use optiflow_base::market::MarketEvent;
use optiflow_base::order::{Action, DenyReason, Intent, NewOrder, OrderChange, OrderEvent, Report, Terms};
use optiflow_base::rates::Rates;
use optiflow_base::ring::{Rx, Tx};
use optiflow_base::stage::{Progress, Stage};

use crate::approved::Approved;
use crate::checks;
use crate::config::{RiskConfig, RiskSymbol};
use crate::exposure::{Exposure, Surprise};
use crate::latches::Latches;
use crate::rates::{cancelled, may_cancel, may_place, placed};
use crate::reference::Reference;
use crate::refusals::{Halt, Refusals, refusal};
use crate::total::Total;

/// Everything the stage reads and writes.
#[derive(Debug)]
pub struct RiskPorts {
    /// From the engine: what strategies want.
    pub intents: Rx<Intent>,
    /// From the feed: tops, marks, and when they cannot be believed.
    pub quotes: Rx<MarketEvent>,
    /// From the oms: what became of orders; positions, usage, gate.
    pub reports: Rx<Report>,
    /// From control.
    pub commands: Rx<Command>,
    /// To the oms: what may be sent.
    pub orders: Tx<Approved>,
    /// To the engine: what was denied.
    pub denials: Tx<Report>,
    /// To storage.
    pub log: Log,
}

/// The risk stage.
#[derive(Debug)]
pub struct Risk<C: Clock> {
    config: RiskConfig,
    clock: C,
    ports: RiskPorts,
    references: Vec<Reference>,
    exposure: Exposure,
    rates: Rates,
    latches: Latches,
    refusals: Refusals,
    total: Option<Total>,
    newest: Option<OrderId>,
}

impl<C: Clock> Risk<C> {
    /// A stage whose gate is closed until the oms reports that it is open, and whose positions are flat until the
    /// oms reports others.
    ///
    /// # Panics
    /// If a limit makes no sense: the reader of the configuration refuses such limits before.
    pub fn new(config: RiskConfig, clock: C, ports: RiskPorts) -> Risk<C> {
        config.assert_sound();
        let orders_max: Vec<u32> = config.symbols.iter().map(RiskSymbol::open_orders).collect();
        Risk {
            references: vec![Reference::default(); config.symbols.len()],
            exposure: Exposure::new(&orders_max),
            rates: Rates::new(config.rates),
            latches: Latches::new(config.symbols.len()),
            refusals: Refusals::new(config.symbols.len(), config.is_lasting),
            total: Total::new(&config),
            newest: None,
            config,
            clock,
            ports,
        }
    }

    /// What the session has used of the exchange's limits.
    pub const fn rates(&self) -> &Rates {
        &self.rates
    }

    fn hear_command(&mut self, now: Nanos, command: Command) {
        match command {
            Command::Stop => self.latches.stop(),
            Command::Kill => {
                if self.latches.kill() {
                    self.say_killed(now, KILLED, 0);
                }
            }
        }
    }

    fn say_killed(&mut self, now: Nanos, what: &'static str, value: i64) {
        self.ports.log.notice(now, what, value);
        let open = self.exposure.open_entries();
        if open > 0 {
            self.ports.log.notice(now, WITHDRAWING, i64::try_from(open).unwrap_or(i64::MAX));
        }
    }

    /// Orders the cancels that the kill latch calls for, as many as the order ring and the weight budget take now.
    fn withdraw(&mut self, now: Nanos) -> bool {
        let mut worked = false;
        while self.ports.orders.free() > 0 && may_cancel(&mut self.rates, now).is_ok() {
            let Some((symbol, order)) = self.exposure.next_to_withdraw(now) else { break };
            let intent = Intent { symbol, action: Action::Cancel(order), caused: now, decided: now };
            let pushed = self.ports.orders.push(Approved::new(intent, self.clock.now()));
            assert!(pushed.is_ok(), "room for the cancel was seen before it was ordered");
            cancelled(&mut self.rates, now);
            self.exposure.cancel_approved(now, order);
            self.ports.log.write(LogEvent::Intent(intent));
            worked = true;
        }
        worked
    }

    fn hear_report(&mut self, now: Nanos, report: Report) {
        match report {
            Report::Order(event) => {
                self.watch(now, &event);
                if let Some(approved) = self.exposure.cancel_came_back(&event) {
                    self.rates.cancel_came_back(now, approved);
                }
                if let Some(surprise) = self.exposure.follow(&event) {
                    self.ports.log.notice(now, phrase(surprise), i64::from(event.order.counter()));
                }
            }
            Report::Position { symbol, qty, .. } => self.exposure.adopt(symbol, qty),
            Report::Usage(usage) => self.rates.adopt(now, &usage),
            Report::Gate { open, reason, .. } => {
                self.latches.set_gate(open, reason);
                if open {
                    self.exposure.reconciled();
                }
            }
            Report::Wallet { .. } => {}
        }
    }

    /// Counts what the exchange refuses, before the order is forgotten.
    fn watch(&mut self, now: Nanos, event: &OrderEvent) {
        if matches!(event.change, OrderChange::Accepted { .. }) {
            self.refusals.accepted(now, event.symbol);
        }
        let Some(refusal) = refusal(event, &self.exposure) else { return };
        if let Some(halt) = self.refusals.count(now, event.symbol, refusal) {
            let Halt { refusal, until } = halt;
            self.ports.log.write(LogEvent::Halted { symbol: event.symbol, at: now, refusal, until });
        }
    }

    fn decide(&mut self, now: Nanos, intent: Intent) {
        assert!(intent.symbol.index() < self.config.symbols.len(), "an intent names a configured symbol");
        self.latches.watch_log(now, self.ports.log.lost_total());
        if asks_for_risk(&intent.action) && self.latches.is_runaway(now, intent.symbol) {
            self.say_killed(now, RUNAWAY, i64::from(intent.symbol.0));
        }
        let decision = match intent.action {
            Action::Place(order) => self.place(now, intent, &order),
            Action::Cancel(order) => self.cancel(now, intent, order),
            Action::Modify { order, price, qty } => self.modify(now, intent, order, Terms { price, qty }),
        };
        if let Err(reason) = decision {
            self.deny(now, &intent, reason);
        }
    }

    fn place(&mut self, now: Nanos, intent: Intent, order: &NewOrder) -> Result<(), DenyReason> {
        let Intent { symbol, .. } = intent;
        self.use_id(order.id)?;
        self.latches.may_place(now, order.reduce_only)?;
        if order.reduce_only {
            self.check_exit(now, symbol, order)?
        } else {
            self.check_entry(now, symbol, order)?
        }
        may_place(&mut self.rates, now, order.reduce_only)?;
        self.release(intent)?;
        self.exposure.reserve(symbol, order);
        placed(&mut self.rates, now);
        if !order.reduce_only {
            self.refusals.opened(now, symbol);
        }
        let open_orders_max = self.config.symbols[symbol.index()].open_orders();
        let kept = self.exposure.open_orders(symbol) <= open_orders_max;
        assert!(order.reduce_only || kept, "open orders keep their limit");
        Ok(())
    }

    fn check_entry(&mut self, now: Nanos, symbol: SymbolId, order: &NewOrder) -> Result<(), DenyReason> {
        self.refusals.may_open(now, symbol)?;
        if self.exposure.is_adrift(symbol) {
            return Err(DenyReason::GateClosed);
        }
        let limits = &self.config.symbols[symbol.index()];
        let fresh = self.references[symbol.index()].fresh(now, self.config.quote_age_max);
        let quote = fresh.ok_or(DenyReason::NoReference)?;
        checks::entry(limits, order, &quote, &self.exposure)?;
        if let Some(total) = &mut self.total {
            total.may_open(&self.exposure)?;
            let notional = checks::exposure_notional(symbol, order, &quote, &self.exposure);
            total.fits(now, (symbol, notional), (&self.config, &self.references, &self.exposure))?;
        }

        // A second opinion, from the running sums: a mistake in one of the two must not reach the market.
        let worst = self.exposure.worst(symbol, order.side);
        assert!(worst == self.exposure.recount(symbol, order.side), "running sums agree with the orders");
        let bounded = checks::least_notional(worst, order, &quote) <= limits.position_notional_max;
        assert!(bounded, "an approved order keeps the position limit");
        Ok(())
    }

    /// Doubt about the position is no reason to keep it: the exchange lets a reduce-only order do nothing else.
    fn check_exit(&self, now: Nanos, symbol: SymbolId, order: &NewOrder) -> Result<(), DenyReason> {
        let reference = self.references[symbol.index()].fresh_for_exit(now, self.config.quote_age_max);
        checks::exit(&self.config.symbols[symbol.index()], order, reference, &self.exposure)
    }

    fn cancel(&mut self, now: Nanos, intent: Intent, order: OrderId) -> Result<(), DenyReason> {
        if !self.exposure.is_open(intent.symbol, order) {
            return Err(DenyReason::BadOrderId);
        }
        may_cancel(&mut self.rates, now)?;
        self.release(intent)?;
        cancelled(&mut self.rates, now);
        self.exposure.cancel_approved(now, order);
        Ok(())
    }

    /// Until it is told which terms are in force, the order is exposure by the worse of both.
    fn modify(&mut self, now: Nanos, intent: Intent, order: OrderId, terms: Terms) -> Result<(), DenyReason> {
        let Intent { symbol, .. } = intent;
        let amendable = self.exposure.amendable(symbol, order, terms).ok_or(DenyReason::BadOrderId)?;
        let NewOrder { side, reduce_only, .. } = amendable.as_new;
        self.latches.may_place(now, reduce_only)?;
        let limits = &self.config.symbols[symbol.index()];
        let reference = &self.references[symbol.index()];
        if reduce_only {
            let reference = reference.fresh_for_exit(now, self.config.quote_age_max);
            checks::amended_exit(limits, &amendable, reference, &self.exposure)?;
        } else if self.exposure.is_adrift(symbol) {
            return Err(DenyReason::GateClosed);
        } else {
            self.refusals.may_open(now, symbol)?;
            let quote = reference.fresh(now, self.config.quote_age_max).ok_or(DenyReason::NoReference)?;
            checks::amended_entry(limits, &amendable, &quote, &self.exposure)?;
            if let Some(total) = &mut self.total {
                let notional = checks::amended_notional(&amendable, &quote, &self.exposure, symbol);
                total.fits(now, (symbol, notional), (&self.config, &self.references, &self.exposure))?;
            }
        }
        may_place(&mut self.rates, now, reduce_only)?;
        self.release(intent)?;
        self.exposure.amend(order, terms);
        placed(&mut self.rates, now);
        let agreed = self.exposure.worst(symbol, side) == self.exposure.recount(symbol, side);
        assert!(agreed, "running sums agree with the orders");
        Ok(())
    }

    /// An id is used by its first intent, even when that is denied: one session, counting up.
    fn use_id(&mut self, id: OrderId) -> Result<(), DenyReason> {
        let grows = self.newest.is_none_or(|newest| id.epoch() == newest.epoch() && id > newest);
        if !grows {
            return Err(DenyReason::BadOrderId);
        }
        self.newest = Some(id);
        Ok(())
    }

    /// Hands the order over; nothing may be reserved when this fails.
    fn release(&mut self, intent: Intent) -> Result<(), DenyReason> {
        let approved = Approved::new(intent, self.clock.now());
        self.ports.orders.push(approved).map_err(|_| DenyReason::RingFull)?;
        self.ports.log.latency(Span::Risk, approved.approved_at().since(intent.decided));
        Ok(())
    }

    fn deny(&mut self, at: Nanos, intent: &Intent, reason: DenyReason) {
        let (symbol, order) = (intent.symbol, intent.order());
        self.ports.log.write(LogEvent::Denied { symbol, order, at, reason });
        let change = match intent.action {
            Action::Place(_) => OrderChange::Denied(reason),
            // The order itself lives on: to the strategy this is a cancel that did not happen.
            Action::Cancel(_) => OrderChange::CancelRefused { code: CANCEL_DENIED_CODE },
            Action::Modify { .. } => OrderChange::ModifyRefused { code: CANCEL_DENIED_CODE },
        };
        let told = self.ports.denials.push(Report::Order(OrderEvent { symbol, order, at, exchange_ms: 0, change }));
        assert!(told.is_ok(), "room for the denial was seen before the intent was taken");
    }

    fn hear_quote(&mut self, event: &MarketEvent) {
        let SymbolId(symbol) = event.body.symbol();
        self.references[usize::from(symbol)].hear(event);
    }
}

impl<C: Clock> Stage for Risk<C> {
    fn step(&mut self, now: Nanos) -> Progress {
        let mut worked = false;
        for _ in 0..COMMANDS_PER_STEP {
            let Some(command) = self.ports.commands.pop() else { break };
            self.hear_command(now, command);
            worked = true;
        }
        let mut reports = 0;
        while reports < REPORTS_PER_STEP
            && let Some(report) = self.ports.reports.pop()
        {
            self.hear_report(now, report);
            reports = reports.saturating_add(1);
        }
        let mut quotes = 0;
        while quotes < QUOTES_PER_STEP
            && let Some(event) = self.ports.quotes.pop()
        {
            self.hear_quote(&event);
            quotes = quotes.saturating_add(1);
        }
        worked |= reports > 0 || quotes > 0;
        if self.latches.is_killed() {
            worked |= self.withdraw(now);
        }
        // What still waits may be the very word that forbids the next intent: it is heard in the next step.
        let behind = reports == REPORTS_PER_STEP || quotes == QUOTES_PER_STEP;
        let intents_max = if behind { 0 } else { INTENTS_PER_STEP };
        for _ in 0..intents_max {
            if self.ports.denials.free() == 0 {
                break;
            }
            let Some(intent) = self.ports.intents.pop() else { break };
            self.decide(now, intent);
            worked = true;
        }
        Progress::from_work(worked)
    }
}

/// Does it count toward the runaway breaker? A cancel takes risk away and passes even when the latch is set, so latching
/// could not stop it: and an honest engine withdraws everything at once when it loses sight of the market. What bounds
/// cancels is the weight budget.
const fn asks_for_risk(action: &Action) -> bool {
    match action {
        Action::Place(_) | Action::Modify { .. } => true,
        Action::Cancel(_) => false,
    }
}

const fn phrase(surprise: Surprise) -> &'static str {
    match surprise {
        Surprise::Stranger => "fill of an unknown order: position in doubt",
        Surprise::Excess => "fill beyond the order: position in doubt",
        Surprise::Late => "fill after the end of its order",
    }
}

/// Notice when the runaway breaker sets the kill latch.
pub const RUNAWAY: &str = "runaway strategy: kill latch set, restart to clear";
/// Notice when control sets the kill latch.
pub const KILLED: &str = "kill latch set by command, restart to clear";
/// Notice of how many orders the kill latch cancels.
pub const WITHDRAWING: &str = "kill latch: resting orders are being cancelled";
/// Code of a refused cancel or modify that risk itself refused: no venue uses zero.
pub const CANCEL_DENIED_CODE: i32 = 0;
const COMMANDS_PER_STEP: usize = 16;
const REPORTS_PER_STEP: usize = 256;
const QUOTES_PER_STEP: usize = 1_024;
const INTENTS_PER_STEP: usize = 64;
