//! What the worlds of these tests share: one symbol, generous limits, a market to choose.

#![allow(missing_docs, dead_code, clippy::unwrap_used)]

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use optiflow_backtest::world::{Net, Rooms, World};
use optiflow_base::clock::{Nanos, VirtualClock};
use optiflow_base::ids::{SymbolId, SymbolName};
use optiflow_base::instrument::Instrument;
use optiflow_base::money::{Notional, Price, Qty};
use optiflow_base::secret::Secret;
use optiflow_engine::engine::{EngineConfig, EngineSymbol};
use optiflow_engine::rates::RateLimits;
use optiflow_engine::strategy::Strategy;
use optiflow_feed::{FeedConfig, FeedSymbol, Silence};
use optiflow_oms::binance::sign::ApiKey;
use optiflow_oms::stage::{Guards, OmsConfig};
use optiflow_oms::time::ExchangeTime;
use optiflow_risk::{RiskConfig, RiskSymbol};
use optiflow_sim::binance::auth::Keys;
use optiflow_sim::binance::exchange::{Exchange, ExchangeConfig};
use optiflow_sim::core::CoreConfig;
use optiflow_sim::market;
use optiflow_sim::words::Listing;
use optiflow_wire::endpoint::Endpoint;
use optiflow_wire::limits::Limits;
use optiflow_wire::transport::memory::{MemoryDialer, PipeOptions};

pub type TestWorld = World<Rc<VirtualClock>>;

/// A world on `market`, traded by `strategy`.
pub fn world(market: &str, seed: u64, depth_speed: &str, strategy: Box<dyn Strategy + Send>) -> TestWorld {
    let start = Nanos::from_millis(1_795_327_200_000);
    let clock = Rc::new(VirtualClock::new(start));
    let source = market::open(market, seed).unwrap();
    let instrument = instrument(&source.listings()[0]);
    let core = CoreConfig {
        listings: source.listings().to_vec(),
        wallet: quote(10_000),
        leverage: 20,
        maker_fee_ppm: 200,
        taker_fee_ppm: 500,
        speed: 1.0,
        start,
        rules: Default::default(),
    };
    let keys = Keys {
        api_key: "testkey".to_owned(),
        api_secret: Secret::new(b"testsecret".to_vec()),
        ed25519_api_key: "unused".to_owned(),
        ed25519_public_key: [0; 32],
    };
    let exchange = Exchange::new(ExchangeConfig { core, keys, seed }, source);
    let net = Net { dialer: MemoryDialer::new(PipeOptions::default()), tls: None };
    let stamp = || clock.clone();
    let exchange = Rc::new(RefCell::new(exchange));
    World::new(rooms(instrument, seed, depth_speed, strategy), exchange, &net, clock.clone(), stamp)
}

fn rooms(instrument: Instrument, seed: u64, depth_speed: &str, strategy: Box<dyn Strategy + Send>) -> Rooms {
    let silence = Duration::from_secs(60);
    Rooms {
        feed: FeedConfig {
            symbols: vec![FeedSymbol { id: instrument.symbol, name: instrument.name, tick_size: instrument.tick_size }],
            public: endpoint("/"),
            market: endpoint("/"),
            depth_speed: depth_speed.to_owned(),
            silence: Silence { depth: silence, top: silence, trade: silence, mark: silence },
            lag_max: Duration::from_secs(2),
            limits: Limits::market(),
            seed,
        },
        engine: EngineConfig {
            symbols: vec![EngineSymbol { instrument, strategy }],
            epoch: 1,
            rates: RATES,
            sample_every: Duration::from_secs(1),
            book_age_max: Duration::from_secs(2),
            flow_window: Duration::from_secs(1),
        },
        risk: RiskConfig {
            symbols: vec![RiskSymbol {
                instrument,
                order_notional_max: quote(500),
                position_notional_max: quote(600),
                open_orders_max: 4,
                price_band_ppm: 10_000,
            }],
            total: None,
            is_lasting: optiflow_oms::binance::outcome::is_lasting,
            orders_ten_seconds: 100,
            orders_minute: 600,
            weight_minute: 1_200,
            reserve_percent: 10,
            quote_age_max: Duration::from_secs(2),
        },
        oms: OmsConfig {
            instruments: vec![instrument],
            ws_api: endpoint("/ws-fapi/v1"),
            private: endpoint("/"),
            key: Arc::new(ApiKey::hmac("testkey", &Secret::new(b"testsecret".to_vec())).unwrap()),
            time: ExchangeTime::new(),
            margin_asset: "USDT".to_owned(),
            recv_window_ms: 1_000,
            reply_timeout: Duration::from_secs(2),
            stop_timeout: Duration::from_secs(10),
            limits: Limits::orders(),
            seed,
            guards: Guards { spare: true, ..Guards::default() },
        },
    }
}

fn endpoint(path: &str) -> Endpoint {
    let addresses = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 80))];
    Endpoint { host: "localhost".to_owned(), port: 80, addresses, path: path.to_owned(), tls: None, renewal: None }
}

fn instrument(listing: &Listing) -> Instrument {
    let Listing { tick_size, step_size, qty_min, qty_max, notional_min, .. } = listing.clone();
    Instrument {
        symbol: SymbolId(0),
        name: SymbolName::from(&listing.name).unwrap(),
        tick_size,
        price_min: Price::ZERO,
        price_max: Price::ZERO,
        step_size,
        qty_min,
        qty_max,
        market_step_size: step_size,
        market_qty_min: qty_min,
        market_qty_max: Qty::max(qty_min, listing.market_qty_max),
        notional_min,
        percent_up_ppm: 1_050_000,
        percent_down_ppm: 950_000,
        open_orders_max: 200,
        maker_fee_ppm: 200,
        taker_fee_ppm: 500,
    }
}

pub fn quote(whole: i128) -> Notional {
    Notional::from_units(whole * 100_000_000)
}

/// A file of the shared data; `None`, said aloud, where it is absent.
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var("OPTIFLOW_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared").to_owned());
    let full = PathBuf::from(root).join(path);
    if !full.exists() {
        eprintln!("skipped: {} is absent", full.display());
        return None;
    }
    Some(full)
}

/// What strategies see of the limits.
const RATES: RateLimits =
    RateLimits { orders_ten_seconds: 300, orders_minute: 1_200, weight_minute: 2_400, reserve_percent: 20 };
