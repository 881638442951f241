//! The way of an order allocates nothing after warm-up: approved intent → frame in the pipe, answer and events → reports.
#![allow(unsafe_code, reason = "a counting allocator needs it; it only counts and passes on")]
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use optiflow_base::clock::{Clock, Nanos, VirtualClock};
use optiflow_base::control::Milestone;
use optiflow_base::ids::{OrderIds, SymbolId, SymbolName};
use optiflow_base::instrument::Instrument;
use optiflow_base::log::Log;
use optiflow_base::market::{Level, MarketBody, MarketEvent};
use optiflow_base::money::{Price, Qty, Side};
use optiflow_base::order::{Action, Intent, NewOrder, OrderChange, OrderKind, Report, TimeInForce, Usage};
use optiflow_base::rates::RateLimits;
use optiflow_base::rest::{RestCall, RestReply};
use optiflow_base::ring::{Rx, Tx, ring};
use optiflow_base::secret::Secret;
use optiflow_base::stage::{Room, Stage};
use optiflow_oms::binance::sign::ApiKey;
use optiflow_oms::stage::{Guards, Oms, OmsConfig, OmsPorts};
use optiflow_oms::time::ExchangeTime;
use optiflow_risk::{Approved, Risk, RiskConfig, RiskPorts, RiskSymbol};
use optiflow_wire::endpoint::Endpoint;
use optiflow_wire::limits::Limits;
use optiflow_wire::transport::memory::{MemoryDialer, Pipe, PipeOptions};
use tungstenite::{Message, WebSocket};

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed on unchanged to the system allocator; counting touches a thread-local integer only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `GlobalAlloc::realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> u64 {
    COUNT.with(Cell::get)
}

const START: Nanos = Nanos::from_millis(1_795_327_200_000);

fn instrument() -> Instrument {
    let (price, qty) = (|t: &str| t.parse::<Price>().unwrap(), |t: &str| t.parse::<Qty>().unwrap());
    Instrument {
        symbol: SymbolId(0),
        name: SymbolName::from("BTCUSDT").unwrap(),
        tick_size: price("0.1"),
        price_min: price("556.8"),
        price_max: price("4529764"),
        step_size: qty("0.001"),
        qty_min: qty("0.001"),
        qty_max: qty("1000"),
        market_step_size: qty("0.001"),
        market_qty_min: qty("0.001"),
        market_qty_max: qty("120"),
        notional_min: "50".parse().unwrap(),
        percent_up_ppm: 1_050_000,
        percent_down_ppm: 950_000,
        open_orders_max: 200,
        maker_fee_ppm: 200,
        taker_fee_ppm: 500,
    }
}

fn endpoint() -> Endpoint {
    let addresses = vec!["127.0.0.1:9001".parse().unwrap()];
    Endpoint { host: "localhost".to_owned(), port: 9001, addresses, path: "/".to_owned(), tls: None, renewal: None }
}

struct Rig {
    oms: Oms<MemoryDialer, Rc<VirtualClock>>,
    risk: Risk<Rc<VirtualClock>>,
    clock: Rc<VirtualClock>,
    nets: [MemoryDialer; 2],
    far: [Option<WebSocket<Pipe>>; 2],
    rest: Rx<RestCall>,
    replies: Tx<RestReply>,
    milestones: Rx<Milestone>,
    engine: Rx<Report>,
    intents: Tx<Intent>,
    ids: OrderIds,
}

impl Rig {
    fn new() -> Rig {
        let clock = Rc::new(VirtualClock::new(START));
        let nets = [MemoryDialer::new(PipeOptions::default()), MemoryDialer::new(PipeOptions::default())];
        let (orders_tx, orders): (Tx<Approved>, _) = ring("orders", 256);
        let (to_risk, reports) = ring("to risk", 8192);
        let (to_engine, engine) = ring("to engine", 8192);
        let (rest_tx, rest) = ring("rest", 64);
        let (replies, replies_rx) = ring("replies", 64);
        let (milestones_tx, milestones) = ring("milestones", 8);
        let config = OmsConfig {
            instruments: vec![instrument()],
            ws_api: endpoint(),
            private: endpoint(),
            key: Arc::new(ApiKey::hmac("key", &Secret::new(b"secret".to_vec())).unwrap()),
            time: ExchangeTime::new(),
            margin_asset: "USDT".to_owned(),
            recv_window_ms: 1_000,
            reply_timeout: Duration::from_secs(2),
            stop_timeout: Duration::from_secs(10),
            limits: Limits::orders(),
            seed: 1,
            guards: Guards::default(),
        };
        let ports = OmsPorts {
            orders,
            to_risk,
            to_engine,
            rest: rest_tx,
            replies: replies_rx,
            commands: ring("commands", 1).1,
            milestones: milestones_tx,
            log: Log::new(Room::Oms, ring("log", 65_536).0),
        };
        let dials = Cell::new(0);
        let oms = Oms::new(config, || nets[dials.replace(dials.get() + 1)].clone(), Rc::clone(&clock), ports);
        let (intents, intents_rx) = ring("intents", 64);
        let (mut quotes, quotes_rx) = ring("quotes", 8);
        let level = Level { price: "83000".parse().unwrap(), qty: "1".parse().unwrap() };
        let above = Level { price: "83000.1".parse().unwrap(), ..level };
        let symbol = SymbolId(0);
        let top = MarketBody::Top { symbol, update_id: 1, bid: level, ask: above, event_ms: 0 };
        let (mark, index) = (level.price, level.price);
        let mark = MarketBody::Mark { symbol, mark, index, funding_rate: 0, next_funding_ms: 0, event_ms: 0 };
        for body in [top, mark] {
            quotes.push(MarketEvent { received: START, body }).unwrap();
        }
        let risk_config = RiskConfig {
            symbols: vec![RiskSymbol {
                instrument: instrument(),
                order_notional_max: "100000".parse().unwrap(),
                position_notional_max: "10000000".parse().unwrap(),
                open_orders_max: 200,
                price_band_ppm: 50_000,
            }],
            total: None,
            is_lasting: optiflow_oms::binance::outcome::is_lasting,
            rates: RateLimits {
                orders_ten_seconds: 1_000,
                orders_minute: 1_000,
                weight_minute: 2_400,
                reserve_percent: 10,
            },
            quote_age_max: Duration::from_secs(3_600),
        };
        let risk_ports = RiskPorts {
            intents: intents_rx,
            quotes: quotes_rx,
            reports,
            commands: ring("none", 1).1,
            orders: orders_tx,
            denials: ring("denials", 64).0,
            log: Log::new(Room::Risk, ring("risk log", 65_536).0),
        };
        let risk = Risk::new(risk_config, Rc::clone(&clock), risk_ports);
        let ids = OrderIds::new(1);
        Rig { oms, risk, clock, nets, far: [None, None], rest, replies, milestones, engine, intents, ids }
    }

    /// A millisecond of the world around the stage, and of the stage.
    fn turn(&mut self) {
        self.clock.advance_to(self.clock.now() + Duration::from_millis(1));
        let now = self.clock.now();
        self.risk.step(now);
        self.oms.step(now);
        for (net, far) in self.nets.iter().zip(&mut self.far) {
            if let Some((_, pipe)) = net.accept() {
                // The upgrade request lies in the pipe already, whole.
                *far = Some(tungstenite::accept(pipe).map_err(|error| error.to_string()).unwrap());
            }
        }
        while let Some(call) = self.rest.pop() {
            let body = match call.path {
                "/fapi/v1/time" => format!(r#"{{"serverTime":{}}}"#, now.millis()),
                "/fapi/v1/countdownCancelAll" => r#"{"symbol":"BTCUSDT","countdownTime":"30000"}"#.to_owned(),
                "/fapi/v1/listenKey" => r#"{"listenKey":"abc"}"#.to_owned(),
                _ => "[]".to_owned(),
            };
            let (token, path) = (call.token, call.path);
            let (body, usage) = (body.into(), Usage::default());
            self.replies.push(RestReply { token, path, status: 200, body, sent: now, received: now, usage }).unwrap();
        }
    }

    /// One order from intent to done; allocations of the stage alone are counted.
    fn order(&mut self) -> u64 {
        let now = self.clock.now();
        let id = self.ids.take();
        let order = NewOrder {
            id,
            side: Side::Buy,
            kind: OrderKind::Limit,
            time_in_force: TimeInForce::Gtx,
            price: "83000".parse().unwrap(),
            qty: "0.01".parse().unwrap(),
            reduce_only: false,
        };
        let intent = Intent { symbol: SymbolId(0), action: Action::Place(order), caused: now, decided: now };
        self.intents.push(intent).unwrap();
        self.risk.step(now);
        let mut counted = self.counted_step(now);

        let far = self.far[0].as_mut().unwrap();
        let request: serde_json::Value = serde_json::from_str(far.read().unwrap().to_text().unwrap()).unwrap();
        assert_eq!(request["params"]["newClientOrderId"], id.to_string());
        let (number, trade) = (&request["id"], id.counter());
        far.send(Message::text(format!(
            r#"{{"id":{number},"status":200,"result":{{"orderId":{trade},"status":"NEW","clientOrderId":"{id}","executedQty":"0.000","updateTime":1795327200010}},"rateLimits":[{{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":300,"count":1}}]}}"#
        )))
        .unwrap();
        let far = self.far[1].as_mut().unwrap();
        far.send(Message::text(format!(
            r#"{{"e":"ORDER_TRADE_UPDATE","T":1795327200010,"E":1795327200011,"o":{{"s":"BTCUSDT","c":"{id}","S":"BUY","x":"TRADE","X":"FILLED","i":{trade},"l":"0.01","z":"0.01","L":"83000","n":"0.16","N":"USDT","T":1795327200010,"t":{trade},"m":true}}}}"#
        )))
        .unwrap();
        counted += self.counted_step(now);
        let ended = std::iter::from_fn(|| self.engine.pop())
            .any(|report| matches!(report, Report::Order(event) if event.change == OrderChange::Done));
        assert!(ended, "the order went all the way");
        self.risk.step(now);
        counted
    }

    fn counted_step(&mut self, now: Nanos) -> u64 {
        let before = allocations();
        self.oms.step(now);
        allocations() - before
    }
}

#[test]
fn an_order_allocates_nothing_after_warm_up() {
    let mut rig = Rig::new();
    while rig.milestones.pop() != Some(Milestone::Ready) {
        rig.turn();
        assert!(rig.clock.now() < START + Duration::from_secs(10), "the stage gets ready");
    }
    rig.turn();
    for _ in 0..4 {
        rig.order();
    }
    let counted: u64 = (0..50).map(|_| rig.order()).sum();
    assert_eq!(counted, 0, "allocations on the way of fifty orders");
}
