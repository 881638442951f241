//! An engine between hand-held rings under a virtual clock, driven by scripts: text in, text out.

#![allow(dead_code, missing_docs)]

use std::rc::Rc;
use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos, VirtualClock};
use optiflow_base::ids::{ExchangeOrderId, OrderId, TradeId};
use optiflow_base::log::{Log, LogEvent};
use optiflow_base::market::{BookDoubt, BookLoss, LEVELS_LEN, Level, MarketBody, MarketEvent, StreamKind};
use optiflow_base::money::{Price, Side};
use optiflow_base::order::{
    Action, DenyReason, GateReason, Intent, OrderChange, OrderEvent, OrderKind, Report, TimeInForce,
};
use optiflow_base::rates::RateLimits;
use optiflow_base::ring::{Rx, Tx, ring};
use optiflow_base::stage::{Progress, Room, Stage};
use optiflow_engine::engine::{Engine, EngineConfig, EnginePorts, EngineSymbol};
use optiflow_engine::strategies::scalping_v1::ScalpingV1;
use optiflow_engine::strategies::scalping_v1::config::ScalpingConfig;
use optiflow_engine::strategy::Strategy;

use super::{SYMBOL, btcusdt};

pub const EPOCH: u32 = 7;
const START_MS: u64 = 1_000_000;
/// Longer than the strategies' own patience.
pub const BOOK_AGE_MAX: Duration = Duration::from_secs(5);

pub struct World {
    pub engine: Engine<Rc<VirtualClock>>,
    pub clock: Rc<VirtualClock>,
    pub market: Tx<MarketEvent>,
    pub from_oms: Tx<Report>,
    pub from_risk: Tx<Report>,
    pub intents: Rx<Intent>,
    pub log: Rx<LogEvent>,
    pub doubts: Rx<BookDoubt>,
    update_id: u64,
    filled: std::collections::BTreeMap<u32, optiflow_base::money::Qty>,
}

impl World {
    pub fn new(config: ScalpingConfig, intents_len: usize) -> World {
        World::with(Box::new(ScalpingV1::new(config)), intents_len)
    }

    pub fn with(strategy: Box<dyn Strategy + Send>, intents_len: usize) -> World {
        let clock = Rc::new(VirtualClock::new(Nanos::from_millis(START_MS)));
        let (market, market_rx) = ring("market", 4_096);
        let (from_oms, from_oms_rx) = ring("oms", 1_024);
        let (from_risk, from_risk_rx) = ring("risk", 1_024);
        let (intents_tx, intents) = ring("intents", intents_len);
        let (log_tx, log) = ring("log", 65_536);
        let config = EngineConfig {
            symbols: vec![EngineSymbol { instrument: btcusdt(), strategy }],
            epoch: EPOCH,
            rates: RATES,
            sample_every: Duration::from_secs(1),
            book_age_max: BOOK_AGE_MAX,
            flow_window: Duration::from_secs(1),
        };
        let (doubts_tx, doubts) = ring("doubts", 1);
        let ports = EnginePorts {
            doubts: doubts_tx,
            market: market_rx,
            intents: intents_tx,
            from_risk: from_risk_rx,
            from_oms: from_oms_rx,
            log: Log::new(Room::Engine, log_tx),
        };
        let engine = Engine::new(config, Rc::clone(&clock), ports);
        let (update_id, filled) = (100, std::collections::BTreeMap::new());
        let mut world = World { engine, clock, market, from_oms, from_risk, intents, log, doubts, update_id, filled };
        world.mark("10000");
        world.settle();
        world
    }

    pub fn now(&self) -> Nanos {
        self.clock.now()
    }

    pub fn send(&mut self, body: MarketBody) {
        let received = self.now();
        self.market.push(MarketEvent { received, body }).unwrap();
    }

    pub fn settle(&mut self) {
        while self.engine.step(self.clock.now()) == Progress::Busy {}
    }

    /// Moves the time in steps of 10 ms, as a live loop would.
    pub fn wait(&mut self, ms: u64) {
        let end = self.now() + Duration::from_millis(ms);
        while self.now() < end {
            self.clock.advance_to((self.now() + Duration::from_millis(10)).min(end));
            self.settle();
        }
    }

    pub fn order(&mut self, counter: u32, change: OrderChange) {
        let order = OrderId::new(EPOCH, counter);
        let event = OrderEvent { symbol: SYMBOL, order, at: self.now(), exchange_ms: 0, change };
        self.from_oms.push(Report::Order(event)).unwrap();
    }

    pub fn take_intents(&mut self) -> Vec<Intent> {
        std::iter::from_fn(|| self.intents.pop()).collect()
    }

    pub fn notices(&mut self) -> Vec<String> {
        let events = std::iter::from_fn(|| self.log.pop());
        events
            .filter_map(|event| if let LogEvent::Notice(notice) = event { Some(notice.what.to_owned()) } else { None })
            .collect()
    }

    /// Runs one script; every word is followed by steps until nothing is left to do.
    pub fn run(&mut self, script: &str) {
        for word in script.split_whitespace() {
            self.word(word);
            self.settle();
        }
    }

    /// Runs a script and tells the intents that came of it.
    pub fn told(&mut self, script: &str) -> String {
        self.run(script);
        let intents: Vec<String> = self.take_intents().iter().map(text).collect();
        intents.join("; ")
    }

    fn word(&mut self, word: &str) {
        let (name, rest) = word.split_once(':').unwrap_or((word, ""));
        let parts: Vec<&str> = rest.split('/').collect();
        let counter = || parts[0].parse::<u32>().unwrap();
        match name {
            "wait" => self.wait(rest.parse().unwrap()),
            "gate" => self.gate_for(rest),
            "book" => self.book(&parts),
            "top" => self.top(&parts),
            "mark" => self.mark(parts[0]),
            "buy" | "sell" => self.trade(if name == "buy" { Side::Buy } else { Side::Sell }, rest),
            "lost" => self.send(MarketBody::BookLost { symbol: SYMBOL, reason: BookLoss::Gap }),
            "silent" | "speaks" => {
                let stream = StreamKind::ALL.into_iter().find(|stream| format!("{stream:?}").to_lowercase() == rest);
                let (stream, silent) = (stream.unwrap(), name == "silent");
                self.send(MarketBody::Silence { symbol: SYMBOL, stream, silent });
            }
            "sent" => self.order(counter(), OrderChange::Sent),
            "ack" => {
                self.order(counter(), OrderChange::Sent);
                self.order(counter(), OrderChange::Accepted { exchange_id: ExchangeOrderId(1) });
            }
            "fill" => self.fill(counter(), &parts),
            "done" => self.order(counter(), OrderChange::Done),
            "cancelled" => self.order(counter(), OrderChange::Cancelled),
            "cancelrefused" => self.order(counter(), OrderChange::CancelRefused { code: -2011 }),
            "modifysent" => self.order(counter(), OrderChange::ModifySent),
            "modified" | "restated" => {
                let (price, qty) = (parts[1].parse().unwrap(), parts[2].parse().unwrap());
                self.order(counter(), OrderChange::Modified { price, qty, asked: name == "modified" });
            }
            "modifyrefused" => self.order(counter(), OrderChange::ModifyRefused { code: -4164 }),
            "expired" => self.order(counter(), OrderChange::Expired),
            "refused" => self.order(counter(), OrderChange::Refused { code: parts[1].parse().unwrap() }),
            "denied" => self.order(counter(), OrderChange::Denied(DenyReason::OrderSize)),
            "position" => {
                let (qty, entry) = (parts[0].parse().unwrap(), parts[1].parse().unwrap());
                let at = self.now();
                self.from_oms.push(Report::Position { symbol: SYMBOL, qty, entry, at }).unwrap();
            }
            other => panic!("no such word: {other}"),
        }
    }

    pub fn gate(&mut self, open: bool) {
        self.gate_for(if open { "open" } else { "closed" });
    }

    /// `open`, `closed` (nothing but cancels), or the reason of a gate that is closed.
    fn gate_for(&mut self, word: &str) {
        use GateReason::{AccountTrouble, InDoubt, OrderSocketDown, Reconciled, Starting, Stopping, UserStreamDown};
        let reasons = [Starting, OrderSocketDown, UserStreamDown, InDoubt, AccountTrouble, Stopping];
        let (open, reason) = match word {
            "open" => (true, Reconciled),
            "closed" => (false, Stopping),
            _ => (false, reasons.into_iter().find(|reason| format!("{reason:?}") == word).unwrap()),
        };
        let at = self.now();
        self.from_oms.push(Report::Gate { open, reason, at }).unwrap();
    }

    /// `bid/qty/ask/qty` and, optionally, quantities of a second level one tick behind each.
    pub fn book(&mut self, parts: &[&str]) {
        self.update_id += 10;
        let event_ms = self.now().millis();
        let (symbol, last_id) = (SYMBOL, self.update_id);
        self.send(MarketBody::DepthStart {
            symbol,
            snapshot: true,
            empty: false,
            last_id,
            event_ms,
            match_ms: event_ms,
        });
        for (side, at, end) in [(Side::Buy, 0, false), (Side::Sell, 2, true)] {
            let mut levels = [Level::default(); LEVELS_LEN];
            levels[0] = level(parts[at], parts[at + 1]);
            let mut count = 1;
            if let Some(qty) = parts.get(4 + at / 2) {
                let tick = btcusdt().tick_size;
                let price = if side == Side::Buy { levels[0].price - tick } else { levels[0].price + tick };
                levels[1] = Level { price, qty: qty.parse().unwrap() };
                count = 2;
            }
            self.send(MarketBody::Levels { symbol, side, count, end, levels });
        }
    }

    /// `bid/qty/ask/qty`
    pub fn top(&mut self, parts: &[&str]) {
        self.update_id += 1;
        let (bid, ask) = (level(parts[0], parts[1]), level(parts[2], parts[3]));
        let (update_id, event_ms) = (self.update_id, self.now().millis());
        self.send(MarketBody::Top { symbol: SYMBOL, update_id, bid, ask, event_ms });
    }

    pub fn mark(&mut self, price: &str) {
        let mark: Price = price.parse().unwrap();
        let event_ms = self.now().millis();
        let body =
            MarketBody::Mark { symbol: SYMBOL, mark, index: mark, funding_rate: 0, next_funding_ms: 0, event_ms };
        self.send(body);
    }

    fn trade(&mut self, taker: Side, qty: &str) {
        let (price, qty) = ("10000".parse().unwrap(), qty.parse().unwrap());
        let ms = self.now().millis();
        self.send(MarketBody::Trade { symbol: SYMBOL, taker, price, qty, id: 1, trade_ms: ms, event_ms: ms });
    }

    fn fill(&mut self, counter: u32, parts: &[&str]) {
        let (qty, price) = (parts[1].parse().unwrap(), parts[2].parse().unwrap());
        let total = self.filled.entry(counter).or_default();
        *total += qty;
        let total = *total;
        self.order(counter, OrderChange::Filled { trade: TradeId(1), price, qty, total, maker: true, fee: 0 });
    }
}

pub fn level(price: &str, qty: &str) -> Level {
    Level { price: price.parse().unwrap(), qty: qty.parse().unwrap() }
}

/// An intent in words: `1 buy 0.012 @ 10000 gtx`, `2 sell 0.012 market exit`, `cancel 1`.
pub fn text(intent: &Intent) -> String {
    match intent.action {
        Action::Cancel(id) => format!("cancel {}", id.counter()),
        Action::Modify { order, price, qty } => format!("modify {} to {qty} @ {price}", order.counter()),
        Action::Place(order) => {
            let side = if order.side == Side::Buy { "buy" } else { "sell" };
            let price = match (order.kind, order.time_in_force) {
                (OrderKind::Market, _) => "market".to_owned(),
                (OrderKind::Limit, TimeInForce::Gtx) => format!("@ {} gtx", order.price),
                (OrderKind::Limit, TimeInForce::Ioc) => format!("@ {} ioc", order.price),
                (OrderKind::Limit, other) => format!("@ {} {other:?}", order.price),
            };
            let exit = if order.reduce_only { " exit" } else { "" };
            format!("{} {side} {} {price}{exit}", order.id.counter(), order.qty)
        }
    }
}

/// What strategies see of the limits.
const RATES: RateLimits =
    RateLimits { orders_ten_seconds: 300, orders_minute: 1_200, weight_minute: 2_400, reserve_percent: 20 };
