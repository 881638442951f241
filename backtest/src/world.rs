//! A virtual world: stages, rings, connections in memory and the exchange, stepped in a fixed order.
//!
//! Every REST call is answered at once by the exchange itself, after being signed as the control thread would.
//! Same seed, same configuration: same orders, same fills. Single thread.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos, VirtualClock};
use optiflow_base::control::{Command, Milestone};
use optiflow_base::ids::SymbolId;
use optiflow_base::log::LogEvent;
use optiflow_base::order::Usage;
use optiflow_base::rest::{Auth, RestCall, RestReply};
use optiflow_base::stage::Stage;
use optiflow_engine::book::Book;
use optiflow_engine::engine::{Engine, EngineConfig};
use optiflow_feed::{Feed, FeedConfig};
use optiflow_oms::binance::rest::target;
use optiflow_oms::binance::sign::ApiKey;
use optiflow_oms::stage::{Oms, OmsConfig};
use optiflow_oms::time::ExchangeTime;
use optiflow_risk::{Risk, RiskConfig};
use optiflow_sim::binance::exchange::Exchange;
use optiflow_sim::binance::{Request, Response};
use optiflow_wire::transport::memory::MemoryDialer;

use crate::far_end::{FarEnd, LOOPBACK};
use crate::links::{self, Links, Outside};

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
    key: Arc<ApiKey>,
    time: ExchangeTime,
}

impl<C: Clock> World<C> {
    /// Links everything; nothing has been dialled yet. `stamp` makes the clock that a stage stamps with.
    pub fn new(
        rooms: Rooms,
        exchange: Exchange,
        net: &Net,
        clock: Rc<VirtualClock>,
        stamp: impl Fn() -> C,
    ) -> World<C> {
        let dialer = &net.dialer;
        let Links { feed, engine, risk, oms, outside } = Links::new();
        let (key, time) = (rooms.oms.key.clone(), rooms.oms.time.clone());
        let exchange = Rc::new(RefCell::new(exchange));
        World {
            clock,
            far_end: FarEnd::new(exchange.clone(), dialer.clone(), net.tls.clone()),
            exchange,
            milestones: Vec::new(),
            log: Vec::new(),
            feed: Feed::new(rooms.feed, || dialer.clone(), stamp(), feed),
            engine: Engine::new(rooms.engine, stamp(), engine),
            risk: Risk::new(rooms.risk, stamp(), risk),
            oms: Oms::new(rooms.oms, || dialer.clone(), stamp(), oms),
            outside,
            key,
            time,
        }
    }

    /// The engine's book of a symbol.
    pub fn book(&self, symbol: SymbolId) -> Option<&Book> {
        self.engine.book(symbol)
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

    /// The exchange's side of the present instant.
    pub fn step_exchange(&mut self) {
        let now = self.clock.now();
        self.exchange.borrow_mut().advance(now);
        self.far_end.step(now);
    }

    /// Our side of the present instant, in the order in which an event crosses the rooms.
    pub fn step_stages(&mut self) {
        let now = self.clock.now();
        self.feed.step(now);
        self.engine.step(now);
        self.risk.step(now);
        self.oms.step(now);
    }

    /// The cold side: REST calls, logs, milestones.
    pub fn step_control(&mut self) {
        let now = self.clock.now();
        let Outside { feed_rest, oms_rest, logs, milestones, .. } = &mut self.outside;
        for line in [feed_rest, oms_rest] {
            while let Some(call) = line.calls.pop() {
                let reply = answer(&self.exchange, &call, &self.key, self.time.now_ms(now), now);
                assert!(line.replies.push(reply).is_ok(), "a stage drains its replies on every step");
            }
        }
        for log in logs {
            self.log.extend(std::iter::from_fn(|| log.pop()));
        }
        self.milestones.extend(std::iter::from_fn(|| milestones.pop()));
    }
}

fn answer(exchange: &RefCell<Exchange>, call: &RestCall, key: &ApiKey, exchange_ms: u64, now: Nanos) -> RestReply {
    let target = target(call, Some(key), exchange_ms).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let request = Request {
        method: call.method.name().to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        api_key: (call.auth != Auth::Open).then(|| key.id().to_owned()),
        body: Vec::new(),
        peer: LOOPBACK,
    };
    let response = exchange.borrow_mut().rest(now, &request);
    let count = |name: &str| {
        let header = response.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
        header.and_then(|(_, value)| value.parse().ok())
    };
    let usage = Usage {
        weight_minute: count("x-mbx-used-weight-1m"),
        orders_ten_seconds: count("x-mbx-order-count-10s"),
        orders_minute: count("x-mbx-order-count-1m"),
        blocked_until: None,
        orders_blocked_until: None,
    };
    let Response { status, body, .. } = response;
    RestReply { token: call.token, path: call.path, status, body, sent: now, received: now, usage }
}
