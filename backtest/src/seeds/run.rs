//! Lives one plan: faults and kills, then peace, then the stop; checks as it goes.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos, VirtualClock, nanos_of};
use optiflow_base::control::Milestone;
use optiflow_base::ids::SymbolId;
use optiflow_base::log::LogEvent;
use optiflow_base::order::{GateReason, Report};
use optiflow_sim::binance::exchange::Exchange;
use optiflow_sim::binance::faults::{Fault, Faults};

use super::bug::Bug;
use super::door::Door;
use super::lab::{self, Birth, SeededWorld, Tls};
use super::plan::Plan;
use super::sight::{Shown, Slip};
use super::watch::Watch;
use super::{ledger, truth};
use crate::far_end::LOOPBACK;
use crate::world::Who;

/// What a world came to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Virtual time lived.
    pub lived: Duration,
    /// Orders that the exchange accepted.
    pub accepted: u64,
    /// Trades.
    pub fills: u64,
    /// Times that our process was killed.
    pub kills: u64,
    /// Times that trading was killed by command.
    pub halts: u64,
    /// Requests that were refused for asking too much, all of them by the liar's doing.
    pub refused: u64,
    /// How often our book was compared with the exchange's at the same update.
    pub books: u64,
    /// How often each fault struck, by its name.
    pub faults: BTreeMap<&'static str, u64>,
    /// From the end of the faults until all agreed.
    pub converged: Duration,
    /// Everything that was said, in order, as one number.
    pub hash: u64,
}

/// A rule that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The seed that replays it.
    pub seed: u64,
    /// When, counted from the start.
    pub at: Duration,
    /// What, in words; begins with the number of the rule.
    pub what: String,
    /// The last that our process said before, the latest first.
    pub trail: Vec<String>,
}

/// Lives the plan to its end.
///
/// # Errors
/// The first rule that did not hold.
pub fn run(plan: &Plan, tls: Option<&Tls>) -> Result<Tally, Broken> {
    run_with(plan, tls, None)
}

/// Lives the plan with a bug planted.
///
/// # Errors
/// The first rule that did not hold.
pub fn run_with(plan: &Plan, tls: Option<&Tls>, bug: Option<Bug>) -> Result<Tally, Broken> {
    let clock = Rc::new(VirtualClock::new(lab::START));
    let seed = plan.seed;
    let at = || Duration::from_nanos(clock.now().since(lab::START));
    let unborn = |what| Broken { seed, at: at(), what, trail: Vec::new() };
    let mut session = Session::new(plan, tls, bug, clock.clone()).map_err(unborn)?;
    // A stage that gives up is a rule broken like any other, and the seed that made it is what is wanted.
    let lived = catch_unwind(AssertUnwindSafe(|| session.live()));
    let lived = lived.unwrap_or_else(|why| Err(format!("I8: a stage gave up: {}", words(why.as_ref()))));
    match lived {
        Ok(()) => Ok(session.tally()),
        Err(what) => Err(Broken { seed, at: at(), what, trail: session.trail.into() }),
    }
}

fn words(why: &(dyn std::any::Any + Send)) -> &str {
    let text = why.downcast_ref::<&str>().copied();
    text.or_else(|| why.downcast_ref::<String>().map(String::as_str)).unwrap_or("it does not say why")
}

struct Session<'a> {
    plan: &'a Plan,
    tls: Option<&'a Tls>,
    bug: Option<Bug>,
    clock: Rc<VirtualClock>,
    exchange: Rc<RefCell<Exchange>>,
    world: SeededWorld,
    door: Rc<RefCell<Door>>,
    lives: Vec<Watch>,
    slip: Slip,
    shown: Shown,
    /// Since when this life may open nothing.
    halted: Option<Nanos>,
    random: fastrand::Rng,
    compared: Nanos,
    trail: VecDeque<String>,
    tally: Tally,
}

impl<'a> Session<'a> {
    fn new(
        plan: &'a Plan,
        tls: Option<&'a Tls>,
        bug: Option<Bug>,
        clock: Rc<VirtualClock>,
    ) -> Result<Session<'a>, String> {
        let exchange = Rc::new(RefCell::new(lab::exchange(plan)?));
        let (door, slip) = (Rc::new(RefCell::new(Door::new(bug))), Slip::default());
        let birth = Birth { life: 0, former: None, clock: &clock, tls, door: door.clone(), slip: slip.clone() };
        let world = lab::process(plan, birth, exchange.clone())?;
        Ok(Session {
            plan,
            tls,
            bug,
            exchange,
            world,
            door,
            lives: vec![Watch::default()],
            slip,
            shown: Shown::default(),
            halted: None,
            random: fastrand::Rng::with_seed(plan.seed ^ SCHEDULE_SALT),
            compared: clock.now(),
            trail: VecDeque::new(),
            tally: Tally::default(),
            clock,
        })
    }

    fn live(&mut self) -> Result<(), String> {
        let kills = self.plan.kills.iter().map(|at| (*at, true));
        let mut events: Vec<(Duration, bool)> = kills.chain(self.plan.halt.map(|at| (at, false))).collect();
        events.sort_unstable();
        for (at, is_death) in events {
            self.run_until(lab::START + at)?;
            if is_death { self.die()? } else { self.halt() }
        }
        self.run_until(lab::START + self.plan.span)?;
        self.converge()?;
        self.run_until(self.clock.now() + PEACE)?;
        // Orders are under way: for an instant the two may differ.
        self.settle()?;
        self.stop()
    }

    /// The process dies in the middle of whatever it does, and is started again.
    fn die(&mut self) -> Result<(), String> {
        // Storage had not read the last of its log, but it was said: what left on the strength of it was wanted.
        self.world.hear_logs();
        self.hear()?;
        self.world.far_end.cut_all();
        let lives = u32::try_from(self.lives.len()).unwrap_or(u32::MAX);
        let life = if self.bug == Some(Bug::IdsUsedAgain) { 0 } else { lives };
        self.door = Rc::new(RefCell::new(Door::new(self.bug)));
        self.slip = Slip::default();
        let (door, slip) = (self.door.clone(), self.slip.clone());
        let is_told = self.bug != Some(Bug::LeftoversIgnored);
        let former = is_told.then(|| self.watch().former(lab::epoch(life), lab::START));
        let birth = Birth { life, former, clock: &self.clock, tls: self.tls, door, slip };
        self.world = lab::process(self.plan, birth, self.exchange.clone())?;
        self.lives.push(self.watch().heir());
        self.halted = None;
        self.tally.kills += 1;
        Ok(())
    }

    /// A person kills trading by command.
    fn halt(&mut self) {
        if self.bug != Some(Bug::KillIgnored) {
            self.world.kill();
        }
        self.halted = Some(self.clock.now());
        self.tally.halts += 1;
    }

    /// The faults have ended: soon everything agrees, and trading goes on.
    fn converge(&mut self) -> Result<(), String> {
        self.exchange.borrow_mut().set_faults(self.clock.now(), &Faults::none(self.plan.seed));
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
    fn settle(&mut self) -> Result<Duration, String> {
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

    fn stop(&mut self) -> Result<(), String> {
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
        self.agree()
    }

    fn agree(&self) -> Result<(), String> {
        let position = self.world.position(SymbolId(0)).unwrap_or_default().qty;
        let exchange = self.exchange.borrow();
        truth::agreed(exchange.core(), self.watch(), position)?;
        ledger::adds_up(exchange.core(), lab::WALLET, self.watch())
    }

    fn run_until(&mut self, end: Nanos) -> Result<(), String> {
        while self.clock.now() < end {
            let tick = Duration::from_nanos(self.random.u64(1..=nanos_of(self.plan.tick_max).max(1)));
            self.clock.advance_to((self.clock.now() + tick).min(end));
            self.turn();
            self.check()?;
        }
        Ok(())
    }

    /// Everybody may step once, in any order; now and then somebody is not scheduled.
    fn turn(&mut self) {
        let mut order = EVERYBODY;
        self.random.shuffle(&mut order);
        for who in order {
            if self.plan.skip_of_256 == 0 || self.random.u8(..) >= self.plan.skip_of_256 {
                self.world.catch_up(who, self.plan.hearing_steps);
            }
        }
    }

    /// Takes in what our process said.
    fn hear(&mut self) -> Result<(), String> {
        let Session { world, lives, trail, clock, .. } = self;
        let Some(watch) = lives.last_mut() else { return Ok(()) };
        for event in world.log.drain(..) {
            if is_telling(&event) {
                trail.truncate(TRAIL_LEN - 1);
                trail.push_front(format!("{:.6} {event:?}", clock.now().since(lab::START) as f64 / 1e9));
            }
            watch.hear(&event)?;
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), String> {
        let now = self.clock.now();
        let is_second = now >= self.compared + COMPARE_EVERY;
        if is_second {
            // What was said since somebody last read the logs counts as said.
            self.world.hear_logs();
        }
        self.hear()?;
        let exchange = self.exchange.borrow();
        let core = exchange.core();
        lab::bound().check(core)?;
        ledger::bounded_with_unknowns(core, self.watch(), lab::bound().exposure)?;
        self.shown.look(now, core, &self.slip)?;
        if let Some(book) = self.world.book(SymbolId(0)) {
            self.tally.books += u64::from(ledger::same_book(core, book)?);
        }
        if is_second {
            truth::none_disowned(core, self.watch())?;
            truth::at_most_once(core, &self.lives)?;
            truth::nothing_invented(core, self.watch())?;
            ledger::adds_up(core, lab::WALLET, self.watch())?;
            self.nothing_opened()?;
            self.compared = now;
        }
        let manners = &self.door.borrow().manners;
        manners.check()?;
        // Who has used up our weight, or banned us, refuses us for what we did not do.
        let framed = |(fault, count): (Fault, u64)| LIMITS.contains(&fault) && count > 0;
        if manners.refused > 0 && !exchange.faults_struck().any(framed) {
            return Err(format!("I12: {} requests were refused for asking too much", manners.refused));
        }
        Ok(())
    }

    /// Since the kill by command, and what was on its way then, nothing that opens a position was accepted.
    fn nothing_opened(&self) -> Result<(), String> {
        let Some(halted) = self.halted else { return Ok(()) };
        let exchange = self.exchange.borrow();
        for order in exchange.core().all_orders(0).into_iter().rev() {
            if order.created <= halted + ON_ITS_WAY {
                return Ok(());
            }
            if !order.placed.reduce_only {
                let after = Duration::from_nanos(order.created.since(halted));
                return Err(format!("I9: {} opens a position {after:?} after the kill", order.placed.client_id));
            }
        }
        Ok(())
    }

    fn watch(&self) -> &Watch {
        // There is a life from the start on.
        &self.lives[self.lives.len() - 1]
    }

    fn tally(&self) -> Tally {
        let exchange = self.exchange.borrow();
        let core = exchange.core();
        let struck = exchange.faults_struck().map(|(fault, count)| (fault.name(), count));
        Tally {
            lived: Duration::from_nanos(self.clock.now().since(lab::START)),
            accepted: core.all_orders(0).len() as u64,
            fills: core.fills(None).len() as u64,
            refused: self.door.borrow().manners.refused,
            faults: struck.filter(|(_, count)| *count > 0).collect(),
            hash: self.lives.iter().fold(0, |hash, life| hash.rotate_left(1) ^ life.hash),
            ..self.tally.clone()
        }
    }
}

/// Worth a line of the trail?
const fn is_telling(event: &LogEvent) -> bool {
    !matches!(event, LogEvent::Signal(_) | LogEvent::Latency { .. } | LogEvent::Report(Report::Usage(_)))
}

const EVERYBODY: [Who; 6] = [Who::Exchange, Who::Feed, Who::Engine, Who::Risk, Who::Oms, Who::Control];
/// Faults by which we are refused for what others did.
const LIMITS: [Fault; 3] = [Fault::TooManyRequests, Fault::Banned, Fault::TooManyOrders];
/// Keeps the schedule's draws apart from the plan's.
const SCHEDULE_SALT: u64 = 0x7475_726e;
/// Everything agrees so long after the faults ended, and trading goes on.
const CONVERGENCE_MAX: Duration = Duration::from_secs(10);
const CONVERGENCE_STEP: Duration = Duration::from_millis(100);
/// Trading in peace before the stop.
const PEACE: Duration = Duration::from_secs(5);
/// An orderly stop takes no longer.
const STOP_MAX: Duration = Duration::from_secs(15);
/// What risk had let pass when the kill came has arrived after this.
const ON_ITS_WAY: Duration = Duration::from_secs(1);
/// Events that a broken rule is shown with.
const TRAIL_LEN: usize = 40;
/// Ledgers are compared in full this often.
const COMPARE_EVERY: Duration = Duration::from_secs(1);
