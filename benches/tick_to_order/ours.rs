//! Ours: the very stages that trade live, in a virtual world behind TLS, driven by the synthetic market.
//!
//! An iteration counts when exactly one frame was waiting and exactly one order left because of it: from before feed's
//! step to after the oms's. The clock that stages stamp with costs what the real one costs.

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use optiflow_backtest::world::{Net, Rooms, World};
use optiflow_base::clock::{Clock, Nanos, RealClock, VirtualClock};
use optiflow_base::control::Milestone;
use optiflow_base::ids::{SymbolId, SymbolName};
use optiflow_base::instrument::Instrument;
use optiflow_base::log::LogEvent;
use optiflow_base::money::{Notional, Qty, Side};
use optiflow_base::order::{OrderChange, OrderEvent, Report, TimeInForce};
use optiflow_base::secret::Secret;
use optiflow_engine::engine::{EngineConfig, EngineSymbol};
use optiflow_engine::strategy::{LimitOrder, Orders, Strategy};
use optiflow_engine::view::View;
use optiflow_feed::{FeedConfig, FeedSymbol, Silence};
use optiflow_oms::binance::sign::ApiKey;
use optiflow_oms::stage::OmsConfig;
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

/// Runs until `wanted` iterations counted.
pub fn measure(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
    key: (&str, &str),
    wanted: u64,
    into: &mut Histogram<u64>,
) {
    let mut world = world(client, server, key);
    let tick = Duration::from_millis(1);
    let mut sent = 0;
    let limit = world.clock.now() + VIRTUAL_TIME_MAX;
    while into.len() < wanted {
        assert!(world.clock.now() < limit, "{} of {wanted} orders in {VIRTUAL_TIME_MAX:?}", into.len());
        world.clock.advance_to(world.clock.now() + tick);
        world.step_exchange();
        let frames = world.far_end.take_delivered();
        let begun = Instant::now();
        world.step_stages();
        let span = begun.elapsed();
        world.step_control();
        let orders = world.log.iter().filter(|event| is_sent(event)).count();
        world.log.clear();
        sent += orders;
        if frames == 1 && orders == 1 && sent > WARM_UP {
            into.saturating_record(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX));
        }
        let failed = world.milestones.iter().any(|said| matches!(said, Milestone::Failed(_)));
        assert!(!failed, "{:?}", world.milestones);
    }
}

fn is_sent(event: &LogEvent) -> bool {
    matches!(event, LogEvent::Report(Report::Order(OrderEvent { change: OrderChange::Sent, .. })))
}

/// Joins the heavier side of the book at every chance, and cancels before it does so again.
struct Join {
    qty: Qty,
}

impl Strategy for Join {
    fn name(&self) -> &'static str {
        "join"
    }

    fn on_update(&mut self, view: &View<'_>, orders: &mut Orders) {
        let Some(reading) = view.reading else { return };
        if let Some(open) = view.orders.live().first() {
            orders.cancel(open);
            return;
        }
        let side = if reading.obi_l1 > 0.0 { Side::Buy } else { Side::Sell };
        let price = match side {
            Side::Buy => view.instrument.offset_ticks(reading.bid.price, -AWAY_TICKS),
            Side::Sell => view.instrument.offset_ticks(reading.ask.price, AWAY_TICKS),
        };
        orders.limit(LimitOrder { side, price, qty: self.qty, time_in_force: TimeInForce::Gtx, reduce_only: false });
    }
}

fn world(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>, key: (&str, &str)) -> World<PacedClock> {
    let start = Nanos::from_millis(1_795_327_200_000);
    let clock = Rc::new(VirtualClock::new(start));
    let source = market::open("synthetic", SEED).unwrap();
    let listings = source.listings().to_vec();
    let secret = || Secret::new(key.1.as_bytes().to_vec());
    let quote = |whole: i128| Notional::from_units(whole * 100_000_000);
    let core = CoreConfig {
        listings,
        wallet: quote(1_000_000),
        leverage: 20,
        maker_fee_ppm: 200,
        taker_fee_ppm: 500,
        speed: 1.0,
        start,
    };
    let keys = Keys {
        api_key: key.0.to_owned(),
        api_secret: secret(),
        ed25519_api_key: format!("{}ed", key.0),
        ed25519_public_key: [0; 32],
    };
    let exchange = Exchange::new(ExchangeConfig { core, keys, seed: SEED }, source);
    let instrument = instrument();
    let endpoint = |path: &str| Endpoint {
        host: "localhost".to_owned(),
        port: 443,
        addresses: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 443))],
        path: path.to_owned(),
        tls: Some(client.clone()),
    };
    let silence = Duration::from_secs(3_600);
    let rooms = Rooms {
        feed: FeedConfig {
            symbols: vec![FeedSymbol { id: instrument.symbol, name: instrument.name }],
            public: endpoint("/"),
            market: endpoint("/"),
            depth_speed: "100ms".to_owned(),
            silence: Silence { depth: silence, top: silence, trade: silence, mark: silence },
            limits: Limits::market(),
            seed: SEED,
        },
        engine: EngineConfig {
            symbols: vec![EngineSymbol { instrument, strategy: Box::new(Join { qty: "0.002".parse().unwrap() }) }],
            epoch: 1,
            sample_every: Duration::from_secs(1),
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
            orders_ten_seconds: 300,
            orders_minute: 1_200,
            weight_minute: 2_400,
            reserve_percent: 10,
            quote_age_max: Duration::from_secs(5),
        },
        oms: OmsConfig {
            instruments: vec![instrument],
            ws_api: endpoint("/ws-fapi/v1"),
            private: endpoint("/"),
            key: Arc::new(ApiKey::hmac(key.0, &secret()).unwrap()),
            time: ExchangeTime::new(),
            margin_asset: "USDT".to_owned(),
            recv_window_ms: 1_000,
            reply_timeout: Duration::from_secs(2),
            stop_timeout: Duration::from_secs(5),
            limits: Limits::orders(),
            seed: SEED,
        },
    };
    let net = Net { dialer: MemoryDialer::new(PipeOptions::default()), tls: Some(server.clone()) };
    let real = RealClock::new();
    let stamp = || PacedClock { time: clock.clone(), real: real.clone() };
    World::new(rooms, exchange, &net, clock.clone(), stamp)
}

/// Shows virtual time, and costs what a reading of the real clock costs.
struct PacedClock {
    time: Rc<VirtualClock>,
    real: RealClock,
}

impl Clock for PacedClock {
    fn now(&self) -> Nanos {
        black_box(self.real.now());
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
/// Orders before anything is recorded.
const WARM_UP: usize = 200;
/// Far enough from the touch that orders rest and never fill.
const AWAY_TICKS: i64 = 50;
const VIRTUAL_TIME_MAX: Duration = Duration::from_secs(3_600);
