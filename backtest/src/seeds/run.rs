//! Lives one plan: faults and kills, then peace, then the stop.
//!
//! `Session` moves time and the process; `judge` checks what comes of it, `peace` demands the end.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos, VirtualClock, nanos_of};
use optiflow_base::control::Milestone;
use optiflow_base::log::LogEvent;
use optiflow_sim::binance::exchange::Exchange;

use super::bug::Bug;
use super::compared::Compared;
use super::database::{Database, Opened};
use super::door::Door;
use super::lab::{self, Birth, SeededWorld, Tls};
use super::plan::Plan;
use super::remembered::Remembered;
use super::sight::{Shown, Slip};
use super::stakes::Stakes;
use super::truth::Bound;
use super::watch::Watch;
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
    /// Times that somebody, or the disk, stood still.
    pub stalls: u64,
    /// Times that our process gave up because it could not write.
    pub disks: u64,
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
        Err(what) => {
            let line = |(at, event): &(Nanos, LogEvent)| format!("{:.6} {event:?}", at.since(lab::START) as f64 / 1e9);
            Err(Broken { seed, at: at(), what, trail: session.trail.iter().map(line).collect() })
        }
    }
}

fn words(why: &(dyn std::any::Any + Send)) -> &str {
    let text = why.downcast_ref::<&str>().copied();
    text.or_else(|| why.downcast_ref::<String>().map(String::as_str)).unwrap_or("it does not say why")
}

/// A plan that is being lived.
pub(super) struct Session<'a> {
    pub(super) plan: &'a Plan,
    tls: Option<&'a Tls>,
    pub(super) bug: Option<Bug>,
    pub(super) clock: Rc<VirtualClock>,
    pub(super) exchange: Rc<RefCell<Exchange>>,
    pub(super) world: SeededWorld,
    pub(super) database: Database,
    pub(super) door: Rc<RefCell<Door>>,
    pub(super) lives: Vec<Watch>,
    pub(super) slip: Slip,
    pub(super) shown: Shown,
    /// When the present life began.
    born: Nanos,
    /// Since when this life may open nothing.
    pub(super) halted: Option<Nanos>,
    /// When the process told itself to stop because it cannot write any more.
    giving_up: Option<Nanos>,
    random: fastrand::Rng,
    /// Of storage alone, so that it leaves the turns of the others as they are.
    pauses: fastrand::Rng,
    /// When storage steps next.
    storage_due: Nanos,
    disk_is_full: bool,
    pub(super) compared: Nanos,
    pub(super) trail: VecDeque<(Nanos, LogEvent)>,
    pub(super) tally: Tally,
    pub(super) bound: Bound,
    pub(super) stakes: Stakes,
    pub(super) compared_of: Compared,
    /// Something of ours is under way until then, as far as one can see.
    astir: Nanos,
    first_epoch: u32,
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
        let instruments = lab::instruments(exchange.borrow().core().listings())?;
        let mut database = Database::new(&instruments, bug)?;
        let opened = database.begin(clock.now())?;
        let first_epoch = opened.epoch;
        let birth = Birth { life: 0, opened, clock: &clock, tls, door: door.clone(), slip: slip.clone(), bug };
        let world = lab::process(plan, birth, exchange.clone())?;
        Ok(Session {
            plan,
            tls,
            bug,
            exchange,
            world,
            database,
            door,
            lives: vec![Watch::default()],
            slip,
            shown: Shown::default(),
            born: clock.now(),
            halted: None,
            giving_up: None,
            random: fastrand::Rng::with_seed(plan.seed ^ SCHEDULE_SALT),
            pauses: fastrand::Rng::with_seed(plan.seed ^ STORAGE_SALT),
            storage_due: clock.now(),
            disk_is_full: false,
            compared: clock.now(),
            trail: VecDeque::new(),
            tally: Tally { stalls: (plan.stalls.len() + plan.disk.stalls.len()) as u64, ..Tally::default() },
            bound: lab::bound(plan),
            stakes: Stakes::default(),
            compared_of: Compared::default(),
            astir: clock.now(),
            first_epoch,
            clock,
        })
    }

    fn live(&mut self) -> Result<(), String> {
        let kills = self.plan.kills.iter().map(|at| (*at, true));
        let mut events: Vec<(Duration, bool)> = kills.chain(self.plan.halt.map(|at| (at, false))).collect();
        events.sort_unstable();
        for (at, is_death) in events {
            self.run_until(lab::START + at)?;
            if is_death {
                self.tally.kills += 1;
                self.die()?;
            } else {
                self.halt();
            }
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
        // What was handed to the network arrives, or the network dies with the machine.
        if self.pauses.bool() {
            self.world.step(Who::Exchange);
        }
        self.world.far_end.cut_all();
        self.database.die();
        let remembered = Remembered::read(&self.database)?;
        remembered.invents_nothing(self.watch())?;
        let heir = self.watch().heir(&remembered)?;
        self.begin()?;
        self.lives.push(heir);
        Ok(())
    }

    /// The next process begins, with nothing but what the database tells it.
    fn begin(&mut self) -> Result<(), String> {
        let now = self.clock.now();
        let life = self.database.lives();
        let Opened { mut epoch, mut former, pulse } = self.database.begin(now)?;
        if self.bug == Some(Bug::IdsUsedAgain) {
            epoch = self.first_epoch;
        }
        if self.bug == Some(Bug::LeftoversIgnored) {
            former = optiflow_oms::former::Former { epoch: former.epoch, ..Default::default() };
        }
        self.door = Rc::new(RefCell::new(Door::new(self.bug)));
        self.slip = Slip::default();
        let (door, slip, opened) = (self.door.clone(), self.slip.clone(), Opened { epoch, former, pulse });
        let birth = Birth { life, opened, clock: &self.clock, tls: self.tls, door, slip, bug: self.bug };
        self.world = lab::process(self.plan, birth, self.exchange.clone())?;
        (self.born, self.storage_due) = (now, now);
        (self.halted, self.giving_up, self.disk_is_full) = (None, None, false);
        self.stir();
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

    pub(super) fn run_until(&mut self, end: Nanos) -> Result<(), String> {
        while self.clock.now() < end {
            let longest = self.tick_max();
            let tick = self.random.u64(1..=longest);
            self.clock.advance_to((self.clock.now() + Duration::from_nanos(tick)).min(end));
            self.turn(tick);
            self.store()?;
            self.check()?;
            self.look_after()?;
        }
        Ok(())
    }

    /// The longest that the next turn may take: where nothing is under way, nobody meets anybody in between.
    fn tick_max(&mut self) -> u64 {
        let now = self.clock.now();
        let is_astir = std::mem::take(&mut self.door.borrow_mut().is_astir) || self.stalled(None).is_some();
        if is_astir {
            self.stir();
        }
        nanos_of(if now < self.astir { self.plan.tick_max } else { self.plan.idle_max }).max(1)
    }

    /// Something happened to what is ours.
    pub(super) fn stir(&mut self) {
        self.astir = self.clock.now() + self.plan.tick_max * ASTIR_TURNS;
    }

    /// Everybody may step once, in any order; now and then somebody is not scheduled. Who waited for longer has more to hear.
    fn turn(&mut self, tick: u64) {
        let turns = tick.div_ceil(nanos_of(self.plan.tick_max).max(1));
        let hearing_steps = self.plan.hearing_steps.saturating_mul(u32::try_from(turns).unwrap_or(u32::MAX));
        let mut order = EVERYBODY;
        self.random.shuffle(&mut order);
        for who in order {
            let is_skipped = self.plan.skip_of_256 != 0 && self.random.u8(..) < self.plan.skip_of_256;
            if !is_skipped && self.stalled(Some(who)).is_none() {
                self.world.catch_up(who, hearing_steps);
            }
        }
    }

    /// Is one of the process, or all of it, stopped now? Since when, and until when?
    pub(super) fn stalled(&self, who: Option<Who>) -> Option<(Nanos, Nanos)> {
        if self.plan.stalls.is_empty() || who == Some(Who::Exchange) {
            return None;
        }
        let now = self.clock.now();
        let spans = self.plan.stalls.iter().filter(|stall| stall.who.is_none() || stall.who == who);
        let mut spans = spans.map(|stall| (lab::START + stall.at, lab::START + stall.end()));
        // A process that was started while its forerunner was stopped runs.
        spans.find(|(from, until)| *from <= now && now < *until && self.born < *from)
    }

    /// Storage may step, unless the disk lets it wait.
    fn store(&mut self) -> Result<(), String> {
        let now = self.clock.now();
        let has_room = !self.disk_is_full && self.tally.disks == 0 && now < lab::START + self.plan.span;
        if has_room && self.plan.disk.full.is_some_and(|at| now >= lab::START + at) {
            self.disk_is_full = true;
            self.database.fill_disk(true)?;
        }
        if now < self.storage_due || self.stalled(None).is_some() {
            return Ok(());
        }
        let pause = Duration::from_nanos(self.pauses.u64(0..=nanos_of(self.plan.disk.pause_max)));
        self.storage_due = self.disk_free_at(now).unwrap_or(now + pause);
        if self.storage_due <= now + pause {
            self.database.step(now);
        }
        Ok(())
    }

    /// When a write that would begin now comes back, where the disk lets it wait.
    fn disk_free_at(&self, now: Nanos) -> Option<Nanos> {
        let spans = self.plan.disk.stalls.iter().map(|(at, span)| (lab::START + *at, lab::START + *at + *span));
        spans.filter(|(from, until)| *from <= now && now < *until).map(|(_, until)| until).next()
    }

    /// What the main thread does: a process that cannot write stops in order, says so and ends; it is started again.
    fn look_after(&mut self) -> Result<(), String> {
        let now = self.clock.now();
        if self.stalled(None).is_some() {
            return Ok(());
        }
        let Some(since) = self.giving_up else {
            if self.database.has_failed() {
                self.giving_up = Some(now);
                self.halted = self.halted.or(Some(now));
                self.door.borrow_mut().is_stopping = true;
                self.world.stop();
            }
            return Ok(());
        };
        let has_ended = matches!(self.world.milestones.last(), Some(Milestone::Stopped | Milestone::StopFailed { .. }));
        if has_ended || now >= since + GIVING_UP_MAX {
            self.tally.disks += 1;
            self.die()?;
        }
        Ok(())
    }

    /// Is the process ending because it cannot write?
    pub(super) const fn is_giving_up(&self) -> bool {
        self.giving_up.is_some()
    }

    pub(super) fn watch(&self) -> &Watch {
        // There is a life from the start on.
        &self.lives[self.lives.len() - 1]
    }

    fn tally(&self) -> Tally {
        let exchange = self.exchange.borrow();
        let core = exchange.core();
        let struck = exchange.faults_struck().map(|(fault, count)| (fault.name(), count));
        Tally {
            lived: Duration::from_nanos(self.clock.now().since(lab::START)),
            accepted: (0..core.listings().len()).map(|symbol| core.all_orders(symbol).len() as u64).sum(),
            fills: core.fills(None).len() as u64,
            refused: self.door.borrow().manners.refused,
            faults: struck.filter(|(_, count)| *count > 0).collect(),
            hash: self.lives.iter().fold(0, |hash, life| hash.rotate_left(1) ^ life.hash),
            ..self.tally.clone()
        }
    }
}

const EVERYBODY: [Who; 6] = [Who::Exchange, Who::Feed, Who::Engine, Who::Risk, Who::Oms, Who::Control];
/// Keeps the schedule's draws apart from the plan's, and storage's from the schedule's.
const SCHEDULE_SALT: u64 = 0x7475_726e;
const STORAGE_SALT: u64 = 0x6469_736b;
/// What happens goes on for so many of the longest turns, as far as nothing more is seen of it.
const ASTIR_TURNS: u32 = 4;
/// Trading in peace before the stop.
const PEACE: Duration = Duration::from_secs(5);
/// A process that gives up waits no longer than this for its stop.
const GIVING_UP_MAX: Duration = Duration::from_secs(13);
