//! Lives one plan: faults and kills, then peace, then the stop; checks as it goes.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos, VirtualClock};
use optiflow_base::control::Milestone;
use optiflow_base::ids::SymbolId;
use optiflow_base::log::LogEvent;
use optiflow_base::order::{GateReason, Report};
use optiflow_sim::binance::exchange::Exchange;
use optiflow_sim::binance::faults::Faults;

use super::lab::{self, SeededWorld, Tls};
use super::plan::Plan;
use super::truth;
use super::watch::Watch;
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
    /// The last that our process said before.
    pub trail: Vec<String>,
}

/// Lives the plan to its end.
///
/// # Errors
/// The first rule that did not hold.
pub fn run(plan: &Plan, tls: Option<&Tls>) -> Result<Tally, Broken> {
    let clock = Rc::new(VirtualClock::new(lab::START));
    let seed = plan.seed;
    let at = || Duration::from_nanos(clock.now().since(lab::START));
    let unborn = |what| Broken { seed, at: at(), what, trail: Vec::new() };
    let mut session = Session::new(plan, tls, clock.clone()).map_err(unborn)?;
    match session.live() {
        Ok(()) => Ok(session.tally()),
        Err(what) => Err(Broken { seed, at: at(), what, trail: session.trail.into() }),
    }
}

struct Session<'a> {
    plan: &'a Plan,
    tls: Option<&'a Tls>,
    clock: Rc<VirtualClock>,
    exchange: Rc<RefCell<Exchange>>,
    world: SeededWorld,
    lives: Vec<Watch>,
    random: fastrand::Rng,
    compared: Nanos,
    converged: Duration,
    trail: VecDeque<String>,
}

impl<'a> Session<'a> {
    fn new(plan: &'a Plan, tls: Option<&'a Tls>, clock: Rc<VirtualClock>) -> Result<Session<'a>, String> {
        let exchange = Rc::new(RefCell::new(lab::exchange(plan)?));
        let world = lab::process(plan, 0, exchange.clone(), &clock, tls)?;
        let random = fastrand::Rng::with_seed(plan.seed ^ SCHEDULE_SALT);
        let compared = clock.now();
        let lives = vec![Watch::default()];
        let (converged, trail) = (Duration::ZERO, VecDeque::new());
        Ok(Session { plan, tls, clock, exchange, world, lives, random, compared, converged, trail })
    }

    fn live(&mut self) -> Result<(), String> {
        for kill in &self.plan.kills {
            self.run_until(lab::START + *kill)?;
            self.kill()?;
        }
        self.run_until(lab::START + self.plan.span)?;
        self.converge()?;
        self.run_until(self.clock.now() + PEACE)?;
        // Orders are under way: for an instant the two may differ.
        self.settle()?;
        self.stop()
    }

    /// The process dies in the middle of whatever it does, and is started again.
    fn kill(&mut self) -> Result<(), String> {
        self.world.far_end.cut_all();
        let life = u32::try_from(self.lives.len()).unwrap_or(u32::MAX);
        self.world = lab::process(self.plan, life, self.exchange.clone(), &self.clock, self.tls)?;
        self.lives.push(Watch::default());
        Ok(())
    }

    /// The faults have ended: soon everything agrees, and trading goes on.
    fn converge(&mut self) -> Result<(), String> {
        self.exchange.borrow_mut().set_faults(self.clock.now(), &Faults::none(self.plan.seed));
        // A ban, or a minute whose weight a liar used up, is a fault that lasts.
        let silent = self.exchange.borrow_mut().silent_until(self.clock.now(), LOOPBACK);
        self.run_until(silent.unwrap_or(self.clock.now()).max(self.clock.now()))?;
        self.converged = self.settle()?;
        Ok(())
    }

    /// Lets time pass until we and the exchange agree and trading goes on; says how long that took.
    fn settle(&mut self) -> Result<Duration, String> {
        let since = self.clock.now();
        loop {
            // A pause that the exchange asked for runs longer than this, and says so.
            let open = self.watch().gate.is_some_and(|(open, why)| open || why == GateReason::RestrictedByExchange);
            let agreed = self.agree();
            if open && agreed.is_ok() {
                return Ok(Duration::from_nanos(self.clock.now().since(since)));
            }
            if self.clock.now() >= since + CONVERGENCE_MAX {
                let gate = self.watch().gate;
                return Err(match agreed {
                    Err(what) => format!("{what}, and so for {CONVERGENCE_MAX:?} of peace"),
                    Ok(()) => format!("I4: the gate is still {gate:?} after {CONVERGENCE_MAX:?} of peace"),
                });
            }
            self.run_until(self.clock.now() + CONVERGENCE_STEP)?;
        }
    }

    fn stop(&mut self) -> Result<(), String> {
        self.world.stop();
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
        truth::agreed(self.exchange.borrow().core(), self.watch(), position)
    }

    fn run_until(&mut self, end: Nanos) -> Result<(), String> {
        while self.clock.now() < end {
            let tick =
                Duration::from_nanos(self.random.u64(1..=u64::try_from(self.plan.tick_max.as_nanos()).unwrap_or(1)));
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
                self.world.step(who);
            }
        }
    }

    fn check(&mut self) -> Result<(), String> {
        let Session { world, lives, trail, clock, .. } = self;
        if let Some(watch) = lives.last_mut() {
            for event in world.log.drain(..) {
                if is_telling(&event) {
                    trail.truncate(TRAIL_LEN - 1);
                    trail.push_front(format!("{:.6} {event:?}", clock.now().since(lab::START) as f64 / 1e9));
                }
                watch.hear(&event)?;
            }
        }
        let exchange = self.exchange.borrow();
        let core = exchange.core();
        lab::bound().check(core)?;
        if self.clock.now() >= self.compared + COMPARE_EVERY {
            self.compared = self.clock.now();
            truth::at_most_once(core, &self.lives)?;
            truth::nothing_invented(core, self.watch())?;
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
            kills: self.plan.kills.len() as u64,
            faults: struck.filter(|(_, count)| *count > 0).collect(),
            converged: self.converged,
            hash: self.lives.iter().fold(0, |hash, life| hash.rotate_left(1) ^ life.hash),
        }
    }
}

/// Worth a line of the trail?
const fn is_telling(event: &LogEvent) -> bool {
    !matches!(event, LogEvent::Signal(_) | LogEvent::Latency { .. } | LogEvent::Report(Report::Usage(_)))
}

const EVERYBODY: [Who; 6] = [Who::Exchange, Who::Feed, Who::Engine, Who::Risk, Who::Oms, Who::Control];
/// Keeps the schedule's draws apart from the plan's.
const SCHEDULE_SALT: u64 = 0x7475_726e;
/// Everything agrees so long after the faults ended, and trading goes on.
const CONVERGENCE_MAX: Duration = Duration::from_secs(10);
const CONVERGENCE_STEP: Duration = Duration::from_millis(100);
/// Trading in peace before the stop.
const PEACE: Duration = Duration::from_secs(5);
/// An orderly stop takes no longer.
const STOP_MAX: Duration = Duration::from_secs(15);
/// Events that a broken rule is shown with.
const TRAIL_LEN: usize = 40;
/// Ledgers are compared in full this often.
const COMPARE_EVERY: Duration = Duration::from_secs(1);
