//! Ours: the very stages that trade live, in a virtual world behind TLS, driven by the synthetic market.
//!
//! An iteration counts when exactly one frame was waiting, a `bookTicker`, and exactly one order left because of it: from
//! before feed's step to the moment at which the oms has the sealed record in the socket.

use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use optiflow_backtest::world::{Net, Rooms, Who, World};
use optiflow_base::clock::{Clock, Nanos, VirtualClock};
use optiflow_base::ids::{SymbolId, SymbolName};
use optiflow_base::instrument::Instrument;
use optiflow_base::log::LogEvent;
use optiflow_base::money::{Notional, Qty, Side};
use optiflow_base::order::{OrderChange, OrderEvent, Report, TimeInForce};
use optiflow_base::rates::RateLimits;
use optiflow_base::secret::Secret;
use optiflow_engine::book::Book;
use optiflow_engine::engine::{EngineConfig, EngineSymbol};
use optiflow_engine::strategy::{LimitOrder, Orders, Strategy};
use optiflow_engine::view::View;
use optiflow_feed::{FeedConfig, FeedSymbol, Silence};
use optiflow_oms::binance::sign::ApiKey;
use optiflow_oms::stage::{Guards, OmsConfig};
use optiflow_oms::time::ExchangeTime;
use optiflow_risk::{RiskConfig, RiskSymbol};
use optiflow_sim::binance::auth::Keys;
use optiflow_sim::binance::exchange::{Exchange, ExchangeConfig};
use optiflow_sim::core::CoreConfig;
use optiflow_sim::market;
use optiflow_wire::endpoint::Endpoint;
use optiflow_wire::limits::Limits;
use optiflow_wire::transport::memory::{MemoryDialer, PipeOptions};
use rustls::{ClientConfig, ServerConfig};

/// How our side proves who it is.
pub enum Key {
    /// Signs every order; name and secret.
    Hmac(String, String),
    /// Signs the logon of the socket and no order; name, private key in PKCS#8, public key.
    Ed25519(String, Vec<u8>, [u8; 32]),
}

impl Key {
    /// A fresh key pair.
    pub fn ed25519(name: &str) -> Key {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        Key::Ed25519(name.to_owned(), pair.serialize_der(), pair.public_key_raw().try_into().unwrap())
    }

    fn ours(&self) -> ApiKey {
        match self {
            Key::Hmac(name, secret) => ApiKey::hmac(name, &Secret::new(secret.as_bytes().to_vec())).unwrap(),
            Key::Ed25519(name, private, _) => ApiKey::ed25519(name, &Secret::new(private.clone())).unwrap(),
        }
    }

    /// What the exchange knows of it.
    fn known(&self) -> Keys {
        let (hmac, secret, ed25519, public) = match self {
            Key::Hmac(name, secret) => (name.as_str(), secret.as_str(), "unused", [0; 32]),
            Key::Ed25519(name, _, public) => ("unused", "unused", name.as_str(), *public),
        };
        Keys {
            api_key: hmac.to_owned(),
            api_secret: Secret::new(secret.as_bytes().to_vec()),
            ed25519_api_key: ed25519.to_owned(),
            ed25519_public_key: public,
        }
    }
}

/// What one order took.
#[derive(Clone, Copy)]
pub struct Spans {
    /// Tick to order.
    pub whole: Duration,
    /// From the approved intent, or the decision of the plain stack, to the sealed record.
    pub order: Duration,
}

/// A session of ours in its virtual world.
pub struct Ours {
    world: World<PacedClock>,
    asked: Rc<Cell<Instant>>,
    sent: usize,
}

impl Ours {
    /// A world in which nothing has happened yet.
    pub fn new(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>, key: &Key) -> Ours {
        let asked = Rc::new(Cell::new(Instant::now()));
        Ours { world: world(client, server, key, &asked), asked, sent: 0 }
    }

    /// Lets time pass until an iteration counts, and says how long it took.
    pub fn tick_to_order(&mut self) -> Spans {
        let limit = self.world.clock.now() + VIRTUAL_TIME_MAX;
        loop {
            assert!(self.world.clock.now() < limit, "no order in {VIRTUAL_TIME_MAX:?}: {:?}", self.world.milestones);
            self.exchange();
            if let Some(spans) = self.stages() {
                return spans;
            }
        }
    }

    /// The exchange's side of the next millisecond: whatever is measured after it finds the caches as it left them.
    pub fn exchange(&mut self) {
        self.world.clock.advance_to(self.world.clock.now() + Duration::from_millis(1));
        self.world.step_exchange();
    }

    /// Our side of it; the time it took, if it counts.
    pub fn stages(&mut self) -> Option<Spans> {
        let frames = self.world.far_end.take_delivered();
        let depth_id = last_depth_id(&self.world);
        let begun = Instant::now();
        [Who::Feed, Who::Engine, Who::Risk].into_iter().for_each(|who| self.world.step(who));
        let approved = Instant::now();
        self.world.step(Who::Oms);
        let whole = self.asked.get().saturating_duration_since(begun);
        let order = self.asked.get().saturating_duration_since(approved);
        self.world.step_control();
        let orders = self.world.log.iter().filter(|event| is_sent(event)).count();
        self.world.log.clear();
        self.sent += orders;
        let was_top = last_depth_id(&self.world) == depth_id;
        (frames == 1 && orders == 1 && was_top && self.sent > WARM_UP).then_some(Spans { whole, order })
    }
}

fn last_depth_id(world: &World<PacedClock>) -> Option<u64> {
    world.book(SymbolId(0)).map(Book::last_id)
}

fn is_sent(event: &LogEvent) -> bool {
    matches!(event, LogEvent::Report(Report::Order(OrderEvent { change: OrderChange::Sent, .. })))
}

/// Quotes on the heavier side when a best price has just been read, as often as the account's limits allow; cancels
/// before it does so again.
struct Join {
    qty: Qty,
    next: Nanos,
}

impl Strategy for Join {
    fn name(&self) -> &'static str {
        "join"
    }

    fn on_update(&mut self, view: &View<'_>, orders: &mut Orders) {
        let Some(reading) = view.reading.filter(|_| !view.mark.is_zero()) else { return };
        if let Some(open) = view.orders.live().next() {
            orders.cancel(open);
            return;
        }
        if view.now < self.next || view.book_heard != view.now {
            return;
        }
        self.next = view.now + ORDER_EVERY;
        let side = if reading.obi_l1 > 0.0 { Side::Buy } else { Side::Sell };
        let price = match side {
            Side::Buy => view.instrument.offset_ticks(reading.bid.price, -AWAY_TICKS),
            Side::Sell => view.instrument.offset_ticks(reading.ask.price, AWAY_TICKS),
        };
        orders.limit(LimitOrder { side, price, qty: self.qty, time_in_force: TimeInForce::Gtx, reduce_only: false });
    }
}

fn world(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
    key: &Key,
    asked: &Rc<Cell<Instant>>,
) -> World<PacedClock> {
    let start = Nanos::from_millis(1_795_327_200_000);
    let clock = Rc::new(VirtualClock::new(start));
    let source = market::open("synthetic", SEED).unwrap();
    let listings = source.listings().to_vec();
    let quote = |whole: i128| Notional::from_units(whole * 100_000_000);
    let core = CoreConfig {
        listings,
        wallet: quote(1_000_000),
        leverage: 20,
        maker_fee_ppm: 200,
        taker_fee_ppm: 500,
        speed: 1.0,
        start,
        rules: Default::default(),
    };
    let exchange = Rc::new(RefCell::new(Exchange::new(ExchangeConfig { core, keys: key.known(), seed: SEED }, source)));
    let instrument = instrument();
    let endpoint = |path: &str| Endpoint {
        host: "localhost".to_owned(),
        port: 443,
        addresses: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 443))],
        path: path.to_owned(),
        tls: Some(client.clone()),
        renewal: None,
    };
    let silence = Duration::from_secs(3_600);
    let rooms = Rooms {
        feed: FeedConfig {
            symbols: vec![FeedSymbol { id: instrument.symbol, name: instrument.name, tick_size: instrument.tick_size }],
            public: endpoint("/"),
            market: endpoint("/"),
            depth_speed: "100ms".to_owned(),
            silence: Silence { depth: silence, top: silence, trade: silence, mark: silence },
            lag_max: silence,
            limits: Limits::market(),
            seed: SEED,
        },
        engine: EngineConfig {
            symbols: vec![EngineSymbol {
                instrument,
                strategy: Box::new(Join { qty: "0.002".parse().unwrap(), next: Nanos(0) }),
            }],
            epoch: 1,
            rates: RATES,
            sample_every: Duration::from_secs(1),
            book_age_max: Duration::from_secs(5),
            flow_window: Duration::from_secs(1),
        },
        risk: RiskConfig {
            symbols: vec![RiskSymbol {
                instrument,
                order_notional_max: quote(1_000),
                position_notional_max: quote(1_000_000),
                open_orders_max: 100,
                price_band_ppm: 50_000,
            }],
            total: None,
            is_lasting: optiflow_oms::binance::outcome::is_lasting,
            rates: RATES,
            quote_age_max: Duration::from_secs(5),
        },
        oms: OmsConfig {
            instruments: vec![instrument],
            ws_api: endpoint("/ws-fapi/v1"),
            private: endpoint("/"),
            key: Arc::new(key.ours()),
            time: ExchangeTime::new(),
            margin_asset: "USDT".to_owned(),
            recv_window_ms: 1_000,
            reply_timeout: Duration::from_secs(2),
            stop_timeout: Duration::from_secs(5),
            limits: Limits::orders(),
            seed: SEED,
            guards: Guards::default(),
        },
    };
    let net = Net { dialer: MemoryDialer::new(PipeOptions::default()), tls: Some(server.clone()) };
    let stamp = || PacedClock { time: clock.clone(), asked: asked.clone() };
    World::new(rooms, exchange, &net, clock.clone(), stamp)
}

/// Shows virtual time, costs more than the real clock does, and remembers when it was last asked: the oms asks right
/// after an order has been written, and nobody asks after that.
struct PacedClock {
    time: Rc<VirtualClock>,
    asked: Rc<Cell<Instant>>,
}

impl Clock for PacedClock {
    fn now(&self) -> Nanos {
        self.asked.set(Instant::now());
        self.time.now()
    }
}

fn instrument() -> Instrument {
    let qty = |text: &str| text.parse::<Qty>().unwrap();
    Instrument {
        symbol: SymbolId(0),
        name: SymbolName::from("BTCUSDT").unwrap(),
        tick_size: "0.1".parse().unwrap(),
        price_min: "556.8".parse().unwrap(),
        price_max: "4529764".parse().unwrap(),
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

const SEED: u64 = 7;
/// Keeps below 1,200 orders a minute.
const ORDER_EVERY: Duration = Duration::from_millis(60);
/// Orders before anything is recorded.
const WARM_UP: usize = 200;
/// Far enough from the touch that orders rest and never fill.
const AWAY_TICKS: i64 = 50;
const VIRTUAL_TIME_MAX: Duration = Duration::from_secs(600);
/// What strategies see of the limits.
const RATES: RateLimits =
    RateLimits { orders_ten_seconds: 300, orders_minute: 1_200, weight_minute: 2_400, reserve_percent: 10 };
