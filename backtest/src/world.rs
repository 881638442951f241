//! A virtual world: stages, rings, connections in memory and the exchange, stepped in a fixed order.
//!
//! Every REST call is answered by the exchange itself, after being signed as the control thread would.
//! Same seed, same configuration: same orders, same fills. Single thread.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos, VirtualClock};
use optiflow_base::control::{Command, Milestone};
use optiflow_base::ids::SymbolId;
use optiflow_base::log::LogEvent;
use optiflow_base::stage::{Progress, Stage};
use optiflow_engine::book::Book;
use optiflow_engine::engine::{Engine, EngineConfig};
use optiflow_engine::position::Position;
use optiflow_feed::{Feed, FeedConfig};
use optiflow_oms::peace::Peace;
use optiflow_oms::stage::{Oms, OmsConfig};
use optiflow_risk::{Risk, RiskConfig};
use optiflow_sim::binance::exchange::Exchange;
use optiflow_wire::transport::memory::MemoryDialer;

use crate::control::Caller;
use crate::far_end::FarEnd;
use crate::links::{self, Links, Outside};
use crate::seam::{Relay, SharedSeam};

/// What the rooms are built from.
pub struct Rooms {
    /// Stage 1.
    pub feed: FeedConfig,
    /// Stage 2.
    pub engine: EngineConfig,
    /// Stage 3.
    pub risk: RiskConfig,
    /// Stage 4.
    pub oms: OmsConfig,
}

/// How bytes travel between the rooms and the exchange.
pub struct Net {
    /// Dials connections in memory.
    pub dialer: MemoryDialer,
    /// The exchange's certificate, when connections are encrypted.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

/// The world. `C` is what stages stamp with: the virtual clock itself, or one that also costs what a real one costs.
pub struct World<C: Clock> {
    /// Time: moved by [`World::run_until`] alone.
    pub clock: Rc<VirtualClock>,
    /// The exchange behind the connections.
    pub exchange: Rc<RefCell<Exchange>>,
    /// The exchange's end of every connection.
    pub far_end: FarEnd,
    /// What the oms had to say.
    pub milestones: Vec<Milestone>,
    /// What storage would have been given, in order, room by room.
    pub log: Vec<LogEvent>,
    feed: Feed<MemoryDialer, C>,
    engine: Engine<C>,
    risk: Risk<C>,
    oms: Oms<MemoryDialer, C>,
    outside: Outside,
    callers: [Caller; 2],
    peace: Peace,
    seam: Option<(SharedSeam, Option<Relay>)>,
}

/// Who takes a step in a virtual world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The exchange, and its end of every connection.
    Exchange,
    /// Stage 1.
    Feed,
    /// Stage 2.
    Engine,
    /// Stage 3.
    Risk,
    /// Stage 4.
    Oms,
    /// REST calls, logs, milestones.
    Control,
}

impl<C: Clock> World<C> {
    /// Links everything; nothing has been dialled yet. `stamp` makes the clock that a stage stamps with.
    pub fn new(
        rooms: Rooms,
        exchange: Rc<RefCell<Exchange>>,
        net: &Net,
        clock: Rc<VirtualClock>,
        stamp: impl Fn() -> C,
    ) -> World<C> {
        World::with_seam(rooms, exchange, net, clock, stamp, None)
    }

    /// Links everything by way of a seam.
    pub fn with_seam(
        rooms: Rooms,
        exchange: Rc<RefCell<Exchange>>,
        net: &Net,
        clock: Rc<VirtualClock>,
        stamp: impl Fn() -> C,
        seam: Option<SharedSeam>,
    ) -> World<C> {
        let dialer = &net.dialer;
        let Links { feed, engine, risk, mut oms, outside } = Links::new();
        let OmsConfig { key, time, guards, .. } = &rooms.oms;
        let caller = || Caller::new(exchange.clone(), key.clone(), time.clone(), guards.peace.clone());
        let mut callers = [caller().announcing(), caller()];
        let peace = guards.peace.clone();
        let mut far_end = FarEnd::new(exchange.clone(), dialer.clone(), net.tls.clone());
        let seam = seam.map(|seam| {
            callers.iter_mut().for_each(|caller| caller.set_seam(seam.clone()));
            far_end.set_seam(seam.clone());
            let relay = seam.borrow().is_between_oms_and_risk().then(|| Relay::behind(&mut oms.to_risk));
            (seam, relay)
        });
        World {
            clock,
            far_end,
            exchange,
            milestones: Vec::new(),
            log: Vec::new(),
            feed: Feed::new(rooms.feed, || dialer.clone(), stamp(), feed),
            engine: Engine::new(rooms.engine, stamp(), engine),
            risk: Risk::new(rooms.risk, stamp(), risk),
            oms: Oms::new(rooms.oms, || dialer.clone(), stamp(), oms),
            outside,
            callers,
            peace,
            seam,
        }
    }

    /// The engine's book of a symbol.
    pub fn book(&self, symbol: SymbolId) -> Option<&Book> {
        self.engine.book(symbol)
    }

    /// Our position in a symbol, as the engine believes it.
    pub fn position(&self, symbol: SymbolId) -> Option<Position> {
        self.engine.position(symbol)
    }

    /// Lets time pass until `end` in steps of `tick`.
    pub fn run_until(&mut self, end: Nanos, tick: Duration) {
        while self.clock.now() < end {
            self.clock.advance_to((self.clock.now() + tick).min(end));
            self.step_exchange();
            self.step_stages();
            self.step_control();
        }
    }

    /// Tells risk and oms to stop.
    pub fn stop(&mut self) {
        links::tell(&mut self.outside.commands, Command::Stop);
    }

    /// Tells risk and oms that nothing new may be risked.
    pub fn kill(&mut self) {
        links::tell(&mut self.outside.commands, Command::Kill);
    }

    /// Until when our REST clients keep silent, as far as they were told to.
    pub fn silent_until(&self) -> Option<Nanos> {
        self.peace.block(self.clock.now()).map(|block| block.until)
    }

    /// The exchange's side of the present instant.
    pub fn step_exchange(&mut self) {
        self.step(Who::Exchange);
    }

    /// Our side of the present instant, in the order in which an event crosses the rooms.
    pub fn step_stages(&mut self) {
        [Who::Feed, Who::Engine, Who::Risk, Who::Oms].into_iter().for_each(|who| self.step(who));
    }

    /// The cold side: REST calls, logs, milestones.
    pub fn step_control(&mut self) {
        self.step(Who::Control);
    }

    /// When the last answer comes that our REST clients wait for, or is given up.
    pub fn answered_at(&self) -> Option<Nanos> {
        self.callers.iter().filter_map(Caller::answered_at).max()
    }

    /// Lets one of them step; those that read sockets until they have heard what has come, at most so many times. One step
    /// hears one message or a few pieces of one, and on a core of its own a room makes thousands in a millisecond.
    pub fn catch_up(&mut self, who: Who, steps_max: u32) {
        let now = self.clock.now();
        for _ in 0..steps_max {
            let progress = match who {
                Who::Feed => self.feed.step(now),
                Who::Oms => self.oms.step(now),
                Who::Exchange | Who::Engine | Who::Risk | Who::Control => return self.step(who),
            };
            if progress == Progress::Idle {
                return;
            }
        }
    }

    /// Lets one of them step at the present instant.
    pub fn step(&mut self, who: Who) {
        let now = self.clock.now();
        match who {
            Who::Exchange => {
                self.exchange.borrow_mut().advance(now);
                self.far_end.step(now);
            }
            Who::Feed => {
                self.feed.step(now);
            }
            Who::Engine => {
                self.engine.step(now);
            }
            Who::Risk => {
                if let Some((seam, Some(relay))) = &mut self.seam {
                    relay.carry(&mut *seam.borrow_mut());
                }
                self.risk.step(now);
            }
            Who::Oms => {
                self.oms.step(now);
            }
            Who::Control => self.control(now),
        }
    }

    fn control(&mut self, now: Nanos) {
        let Outside { feed_rest, oms_rest, logs, milestones, .. } = &mut self.outside;
        for (caller, line) in self.callers.iter_mut().zip([feed_rest, oms_rest]) {
            caller.step(now, line);
        }
        for log in logs {
            self.log.extend(std::iter::from_fn(|| log.pop()));
        }
        self.milestones.extend(std::iter::from_fn(|| milestones.pop()));
    }

    /// Takes what the rooms have logged without letting anything else happen.
    pub fn hear_logs(&mut self) {
        for log in &mut self.outside.logs {
            self.log.extend(std::iter::from_fn(|| log.pop()));
        }
    }
}
