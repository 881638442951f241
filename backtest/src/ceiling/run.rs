//! Lives a session at the limits: who steps when, what is cut, what is counted.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos, VirtualClock, nanos_of};
use optiflow_base::stage::{Progress, Stage};
use optiflow_engine::engine::Engine;
use optiflow_feed::Feed;
use optiflow_oms::stage::{Oms, OmsConfig};
use optiflow_oms::time::ExchangeTime;
use optiflow_risk::Risk;
use optiflow_sim::binance::exchange::Exchange;
use optiflow_wire::transport::memory::{MemoryDialer, PipeOptions};

use super::courier::Courier;
use super::ground;
use super::tally::{Count, Tally};
use super::verdict::Verdict;
use super::weather::{SlowDialer, Weather};
use crate::control::Caller;
use crate::far_end::{FarEnd, LOOPBACK};
use crate::links::{Links, Outside};
use crate::seam::Seam;
use crate::seeds::manners::Manners;
use crate::world::Rooms;

type Time = Rc<VirtualClock>;

/// What distinguishes a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What everything is drawn from.
    pub seed: u64,
    /// Share of each limit that is kept for cancels and exits.
    pub reserve_percent: u32,
    /// We are never told what the exchange has counted: our own count must be right by itself.
    pub is_blind: bool,
}

/// A session at the limits.
pub struct Session {
    clock: Time,
    weather: Weather,
    random: fastrand::Rng,
    exchange: Rc<RefCell<Exchange>>,
    far_end: FarEnd,
    feed: Feed<SlowDialer, Time>,
    engine: Engine<Time>,
    risk: Risk<Time>,
    oms: Oms<SlowDialer, Time>,
    outside: Outside,
    couriers: [Courier; 2],
    time: ExchangeTime,
    door: Rc<RefCell<Door>>,
    next_cut: Nanos,
    next_crash: Nanos,
    tally: Tally,
    /// Connections that were cut, one by one or all at once.
    cuts: u64,
}

/// Sees whether the exchange refuses for asking too much.
struct Door {
    manners: Manners,
    /// The exchange's counts are kept from us.
    is_blind: bool,
}

impl Seam for Door {
    fn frame_out(&mut self, leaves_at: Nanos, text: &Arc<str>) -> Option<Vec<Arc<str>>> {
        self.manners.frame_out(leaves_at, text);
        let (told, _) = text.split_once(",\"rateLimits\":").filter(|_| self.is_blind)?;
        Some(vec![format!("{told}}}").into()])
    }
}

impl Session {
    /// A session in which nothing has been dialled yet.
    ///
    /// # Errors
    /// In words for people, when the synthetic market cannot be opened or traded.
    pub fn new(plan: Plan) -> Result<Session, String> {
        let Plan { seed, reserve_percent, is_blind } = plan;
        let clock = Rc::new(VirtualClock::new(START));
        let weather = Weather::new(clock.clone(), seed);
        let exchange = ground::exchange(seed, weather.theirs(START))?;
        let Rooms { feed, engine, risk, oms } = ground::rooms(seed, reserve_percent, &exchange)?;
        let exchange = Rc::new(RefCell::new(exchange));
        let network = MemoryDialer::new(PipeOptions::default());
        let door = Rc::new(RefCell::new(Door { manners: Manners::default(), is_blind }));
        let mut far_end = FarEnd::new(exchange.clone(), network.clone(), None);
        far_end.set_seam(door.clone());
        let OmsConfig { key, time, guards, .. } = &oms;
        let courier = |announces| {
            let caller = Caller::new(exchange.clone(), key.clone(), time.clone(), guards.peace.clone());
            Courier::new(caller, announces, is_blind)
        };
        let (couriers, time) = ([courier(true), courier(false)], time.clone());
        let dial = || SlowDialer::new(network.clone(), weather.clone());
        let links = Links::new();
        Ok(Session {
            feed: Feed::new(feed, dial, clock.clone(), links.feed),
            engine: Engine::new(engine, clock.clone(), links.engine),
            risk: Risk::new(risk, clock.clone(), links.risk),
            oms: Oms::new(oms, dial, clock.clone(), links.oms),
            outside: links.outside,
            random: fastrand::Rng::with_seed(seed ^ SCHEDULE_SALT),
            next_cut: START + CUT_EVERY,
            next_crash: START + CRASH_EVERY,
            tally: Tally::default(),
            cuts: 0,
            clock,
            weather,
            exchange,
            far_end,
            couriers,
            time,
            door,
        })
    }

    /// Lets so much time pass.
    pub fn live(&mut self, span: Duration) {
        let end = self.clock.now() + span;
        while self.clock.now() < end {
            let tick = Duration::from_nanos(self.random.u64(1..=nanos_of(TICK_MOST)));
            self.clock.advance_to((self.clock.now() + tick).min(end));
            self.turn(self.clock.now());
        }
    }

    /// What it has come to so far.
    pub fn verdict(&self) -> Verdict {
        let by_rest: u64 = self.couriers.iter().map(|courier| courier.refused).sum();
        let floods = self.exchange.borrow().floods();
        Verdict::new(&self.tally, self.door.borrow().manners.refused + by_rest, floods, self.cuts)
    }

    fn turn(&mut self, now: Nanos) {
        self.cut(now);
        let theirs = self.weather.theirs(now);
        self.exchange.borrow_mut().advance(theirs);
        self.far_end.step(theirs);
        let Outside { feed_rest, oms_rest, .. } = &mut self.outside;
        for (courier, line) in self.couriers.iter_mut().zip([feed_rest, oms_rest]) {
            courier.step(now, &self.weather, line);
        }
        self.see(now, theirs);
        until_idle(|| self.feed.step(now));
        until_idle(|| self.engine.step(now));
        until_idle(|| self.risk.step(now));
        until_idle(|| self.oms.step(now));
        self.see(now, theirs);
        for log in &mut self.outside.logs {
            while let Some(event) = log.pop() {
                self.tally.hear(&event);
            }
        }
        while self.outside.milestones.pop().is_some() {}
    }

    fn see(&mut self, now: Nanos, theirs: Nanos) {
        let (weight, _, orders) = self.exchange.borrow_mut().used(theirs, LOOPBACK);
        self.tally.see_theirs(theirs, Count { weight, orders });
        let rates = self.risk.rates();
        let count = Count { weight: rates.weight_minute(now).used, orders: rates.orders_minute(now).used };
        let believed = Nanos(now.0.saturating_add_signed(self.time.offset()));
        self.tally.see_ours(believed, count);
    }

    /// Mild weather: a connection is cut every few minutes, all of them now and then.
    fn cut(&mut self, now: Nanos) {
        if now >= self.next_cut {
            self.weather.cut_one();
            self.next_cut = now + CUT_EVERY.mul_f64(2.0 * self.random.f64());
            self.cuts += 1;
        }
        if now >= self.next_crash {
            self.far_end.cut_all();
            self.next_crash = now + CRASH_EVERY.mul_f64(2.0 * self.random.f64());
            self.cuts += 1;
        }
    }
}

fn until_idle(mut step: impl FnMut() -> Progress) {
    for _ in 0..STEPS_MOST {
        if step() == Progress::Idle {
            return;
        }
    }
}

/// Half a second before a minute turns, at no round hour.
const START: Nanos = Nanos::from_millis(1_795_327_199_500);
/// The longest time between two instants at which anybody steps.
const TICK_MOST: Duration = Duration::from_millis(10);
/// Steps of one room in one turn.
const STEPS_MOST: u32 = 64;
/// Mean time from one cut of a single connection to the next.
const CUT_EVERY: Duration = Duration::from_secs(180);
/// Mean time from one cut of all connections to the next.
const CRASH_EVERY: Duration = Duration::from_secs(1_800);
/// Keeps the schedule's draws apart from all others.
const SCHEDULE_SALT: u64 = 0x7475_726e;
