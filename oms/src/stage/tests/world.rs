//! A small world around the stage: real risk before it, memory pipes to a scripted far end, REST answered by hand,
//! time moved by hand.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use optiflow_base::clock::VirtualClock;
use optiflow_base::ids::{OrderId, OrderIds, SymbolId};
use optiflow_base::log::LogEvent;
use optiflow_base::market::{Level, MarketBody, MarketEvent};
use optiflow_base::money::{Price, Qty, Side};
use optiflow_base::order::{Action, Intent, NewOrder, OrderKind, TimeInForce};
use optiflow_base::rates::RateLimits;
use optiflow_base::ring::ring;
use optiflow_base::secret::Secret;
use optiflow_base::stage::Room;
use optiflow_risk::{Risk, RiskConfig, RiskPorts, RiskSymbol};
use optiflow_wire::transport::memory::{Cut, MemoryDialer, Pipe, PipeOptions};
use serde_json::Value as Json;
use tungstenite::Message;

use super::far::Far;
use super::*;

/// An order as the exchange has it.
#[derive(Clone, Debug)]
pub struct Resting {
    pub id: u64,
    pub symbol: &'static str,
    pub client: String,
    pub status: &'static str,
    pub executed: String,
    pub price: String,
    pub qty: String,
    /// When it last changed, ms.
    pub updated: u64,
}

/// What the far end does with an order request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Takes it and says so.
    Answer,
    /// Takes it and says nothing.
    Mute,
    /// Loses it.
    Lose,
    /// Keeps it for the test to answer.
    Keep,
}

/// How the far end answers the question where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusAnswer {
    /// With an error.
    Useless,
    /// As it is.
    True,
    /// Not at all.
    Mute,
}

pub struct World {
    pub oms: Oms<MemoryDialer, Rc<VirtualClock>>,
    pub risk: Risk<Rc<VirtualClock>>,
    pub clock: Rc<VirtualClock>,
    pub order_net: MemoryDialer,
    pub user_net: MemoryDialer,
    pub spare_net: MemoryDialer,
    pub order_far: Far,
    pub spare_far: Far,
    pub user_far: Far,
    pub rest: Rx<RestCall>,
    pub replies: Tx<RestReply>,
    pub commands: Tx<Command>,
    pub milestones: Rx<Milestone>,
    pub engine: Rx<Report>,
    pub log: Rx<LogEvent>,
    pub intents: Tx<Intent>,
    pub quotes: Tx<MarketEvent>,
    pub approved: Rx<Approved>,
    pub to_oms: Tx<Approved>,
    pub ids: OrderIds,
    /// Reports as the engine saw them.
    pub seen: Vec<Report>,
    pub logged: Vec<LogEvent>,
    pub reached: Vec<Milestone>,
    /// Order requests that arrived.
    pub requests: Vec<Json>,
    /// Those that arrived on the second socket.
    pub spare_requests: Vec<Json>,
    /// Answers go out on the second socket.
    pub via_spare: bool,
    /// REST calls that arrived: method, path, query.
    pub asked: Vec<String>,
    pub manner: Manner,
    /// The user stream tells of orders that are taken and answered.
    pub stream_tells: bool,
    pub orders: BTreeMap<String, Resting>,
    pub trades: Vec<Json>,
    pub position: String,
    pub rest_is_down: bool,
    /// Answers by path, before anything else; an empty body means status 0.
    pub scripted: BTreeMap<&'static str, VecDeque<(u16, String)>>,
    pub next_id: u64,
    pub listen_key: String,
    /// Of the countdown that was asked for last, ms.
    pub countdown_ms: u64,
    /// The far ends of the first order socket and of the user stream neither accept nor read.
    pub deaf: bool,
    pub status_answer: StatusAnswer,
    /// Orders that were asked about on an order socket.
    pub status_asked: Vec<String>,
    /// Orders that no list shows.
    pub unlisted: Vec<String>,
    /// REST calls that wait for the test to answer them, while they are held.
    pub held: Option<Vec<RestCall>>,
}

pub const BTC: SymbolId = SymbolId(0);
pub const START_MS: u64 = 1_795_327_200_000;

pub fn hmac_key() -> Arc<ApiKey> {
    Arc::new(ApiKey::hmac("theApiKey", &Secret::new(b"theSecret".to_vec())).unwrap())
}

pub fn session_key() -> Arc<ApiKey> {
    let mut der = vec![0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    der.extend(0u8..32);
    Arc::new(ApiKey::ed25519("theApiKey", &Secret::new(der)).unwrap())
}

fn endpoint(path: &str) -> Endpoint {
    let addresses = vec!["127.0.0.1:9001".parse().unwrap()];
    Endpoint { host: "localhost".to_owned(), port: 9001, addresses, path: path.to_owned(), tls: None, renewal: None }
}

impl World {
    pub fn new() -> World {
        World::with(hmac_key(), 4096)
    }

    pub fn with(key: Arc<ApiKey>, engine_ring: usize) -> World {
        World::guarded(key, engine_ring, Guards::default())
    }

    pub fn guarded(key: Arc<ApiKey>, engine_ring: usize, guards: Guards) -> World {
        World::built(key, engine_ring, guards, Limits::orders())
    }

    pub fn built(key: Arc<ApiKey>, engine_ring: usize, guards: Guards, limits: Limits) -> World {
        let clock = Rc::new(VirtualClock::new(Nanos::from_millis(START_MS)));
        let [order_net, user_net, spare_net] = [(); 3].map(|()| MemoryDialer::new(PipeOptions::default()));
        let (to_oms, orders) = ring("orders", 256);
        let (to_risk, reports) = ring("to_risk", 4096);
        let (to_engine, engine) = ring("to_engine", engine_ring);
        let (rest_tx, rest) = ring("rest", 64);
        let (replies, replies_rx) = ring("replies", 64);
        let (commands, commands_rx) = ring("commands", 16);
        let (milestones_tx, milestones) = ring("milestones", 4);
        let (log_tx, log) = ring("log", 65_536);
        let instrument = crate::binance::request::btcusdt();
        let config = OmsConfig {
            instruments: vec![instrument],
            ws_api: endpoint("/ws-fapi/v1"),
            private: endpoint("/"),
            key,
            time: ExchangeTime::new(),
            margin_asset: "USDT".to_owned(),
            recv_window_ms: 1_000,
            reply_timeout: Duration::from_secs(2),
            stop_timeout: Duration::from_secs(10),
            limits,
            seed: 1,
            guards,
        };
        let ports = OmsPorts {
            orders,
            to_risk,
            to_engine,
            rest: rest_tx,
            replies: replies_rx,
            commands: commands_rx,
            milestones: milestones_tx,
            log: Log::new(Room::Oms, log_tx),
        };
        let dials = Cell::new(0);
        let nets = [order_net.clone(), user_net.clone(), spare_net.clone()];
        let dial = || nets[dials.replace(dials.get() + 1)].clone();
        let oms = Oms::new(config, dial, Rc::clone(&clock), ports);

        let (intents, intents_rx) = ring("intents", 256);
        let (quotes, quotes_rx) = ring("quotes", 256);
        let (approved_tx, approved) = ring("approved", 256);
        let risk_ports = RiskPorts {
            intents: intents_rx,
            quotes: quotes_rx,
            reports,
            commands: ring("none", 1).1,
            orders: approved_tx,
            denials: ring("denials", 64).0,
            log: Log::new(Room::Risk, ring("risk log", 4096).0),
        };
        let risk_config = RiskConfig {
            symbols: vec![RiskSymbol {
                instrument,
                order_notional_max: "100000".parse().unwrap(),
                position_notional_max: "1000000".parse().unwrap(),
                open_orders_max: 100,
                price_band_ppm: 50_000,
            }],
            total: None,
            is_lasting: crate::binance::outcome::is_lasting,
            rates: RateLimits {
                orders_ten_seconds: 300,
                orders_minute: 1_200,
                weight_minute: 2_400,
                reserve_percent: 10,
            },
            quote_age_max: Duration::from_secs(100_000),
        };
        World {
            oms,
            risk: Risk::new(risk_config, Rc::clone(&clock), risk_ports),
            clock,
            order_net,
            user_net,
            spare_net,
            order_far: Far::default(),
            spare_far: Far::default(),
            user_far: Far::default(),
            rest,
            replies,
            commands,
            milestones,
            engine,
            log,
            intents,
            quotes,
            approved,
            to_oms,
            ids: OrderIds::new(0x68f0_1234),
            seen: Vec::new(),
            logged: Vec::new(),
            reached: Vec::new(),
            requests: Vec::new(),
            spare_requests: Vec::new(),
            via_spare: false,
            asked: Vec::new(),
            manner: Manner::Answer,
            stream_tells: true,
            orders: BTreeMap::new(),
            trades: Vec::new(),
            position: "0".to_owned(),
            rest_is_down: false,
            scripted: BTreeMap::new(),
            next_id: 1_000,
            listen_key: "listenKeyOne".to_owned(),
            countdown_ms: 0,
            deaf: false,
            status_answer: StatusAnswer::Useless,
            status_asked: Vec::new(),
            unlisted: Vec::new(),
            held: None,
        }
    }

    /// A world in which trading has begun.
    pub fn ready() -> World {
        World::new().made_ready()
    }

    pub fn made_ready(mut self) -> World {
        let world = &mut self;
        world.run(100);
        assert_eq!(world.reached, [Milestone::Ready], "{:?}", world.notices());
        world.reached.clear();
        world.quote();
        world.run(1);
        world.seen.clear();
        world.asked.clear();
        self
    }

    pub fn now(&self) -> Nanos {
        self.clock.now()
    }

    /// Lets `millis` pass, a millisecond at a time.
    pub fn run(&mut self, millis: u64) {
        self.run_by(1, millis);
    }

    /// Lets `millis` pass in steps.
    pub fn run_by(&mut self, step: u64, millis: u64) {
        for _ in 0..millis / step {
            self.clock.advance_to(self.now() + Duration::from_millis(step));
            for _ in 0..3 {
                self.turn();
            }
        }
    }

    fn turn(&mut self) {
        let now = self.now();
        self.risk.step(now);
        while let Some(approved) = self.approved.pop() {
            self.to_oms.push(approved).unwrap();
        }
        self.oms.step(now);
        if !self.deaf {
            self.order_far.accept(&self.order_net);
            self.user_far.accept(&self.user_net);
        }
        self.spare_far.accept(&self.spare_net);
        let first = if self.deaf { Vec::new() } else { self.order_far.hear() };
        for text in first {
            let request: Json = serde_json::from_str(&text).unwrap();
            self.on_request(request);
        }
        for text in self.spare_far.hear() {
            let request: Json = serde_json::from_str(&text).unwrap();
            self.via_spare = true;
            self.on_request(request);
            self.via_spare = false;
        }
        if !self.deaf {
            self.user_far.hear();
        }
        while let Some(call) = self.rest.pop() {
            match &mut self.held {
                Some(held) => held.push(call),
                None => self.on_call(&call),
            }
        }
        self.seen.extend(std::iter::from_fn(|| self.engine.pop()));
        self.logged.extend(std::iter::from_fn(|| self.log.pop()));
        self.reached.extend(std::iter::from_fn(|| self.milestones.pop()));
    }

    /// Gives risk something to measure prices against.
    pub fn quote(&mut self) {
        let level = |price: &str| Level { price: price.parse().unwrap(), qty: "1".parse().unwrap() };
        let (bid, ask) = (level("83090.1"), level("83090.2"));
        let top = MarketBody::Top { symbol: BTC, update_id: 1, bid, ask, event_ms: 0 };
        let (mark, index) = (bid.price, bid.price);
        let mark = MarketBody::Mark { symbol: BTC, mark, index, funding_rate: 0, next_funding_ms: 0, event_ms: 0 };
        for body in [top, mark] {
            self.quotes.push(MarketEvent { received: self.now(), body }).unwrap();
        }
    }

    /// A strategy wants a post-only bid of 0.01.
    pub fn place(&mut self) -> OrderId {
        self.place_as(false)
    }

    pub fn place_as(&mut self, reduce_only: bool) -> OrderId {
        let id = self.ids.take();
        let (price, qty): (Price, Qty) = ("83000".parse().unwrap(), "0.01".parse().unwrap());
        let (kind, time_in_force) = (OrderKind::Limit, TimeInForce::Gtx);
        let order = NewOrder { id, side: Side::Buy, kind, time_in_force, price, qty, reduce_only };
        self.intend(Action::Place(order));
        id
    }

    pub fn cancel(&mut self, id: OrderId) {
        self.intend(Action::Cancel(id));
    }

    pub fn modify(&mut self, order: OrderId, price: &str, qty: &str) {
        self.intend(Action::Modify { order, price: price.parse().unwrap(), qty: qty.parse().unwrap() });
    }

    fn intend(&mut self, action: Action) {
        let now = self.now();
        self.intents.push(Intent { symbol: BTC, action, caused: now, decided: now }).unwrap();
    }

    /// The user stream says this.
    pub fn tell(&mut self, event: &Json) {
        self.user_far.say(Message::text(event.to_string()));
    }

    /// The far end of the order socket breaks.
    pub fn cut_orders(&mut self) {
        self.order_far.cut(Cut::Reset);
    }

    pub fn cut_user(&mut self) {
        self.user_far.cut(Cut::Reset);
    }
}

/// An answer without a complete body.
pub fn no_answer() -> (u16, String) {
    (0, String::new())
}

pub type FarPipe = Pipe;
