//! The exchange, the rooms and the network of an incident: one symbol, generous limits, short patience for silence.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use optiflow_backtest::world::{Net, Rooms, World};
use optiflow_base::clock::{Nanos, VirtualClock};
use optiflow_base::ids::{SymbolId, SymbolName};
use optiflow_base::instrument::Instrument;
use optiflow_base::money::{Notional, Price};
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
use optiflow_wire::endpoint::Endpoint;
use optiflow_wire::limits::Limits;
use optiflow_wire::transport::memory::{MemoryDialer, PipeOptions};

/// A world that stamps with virtual time.
pub type MuseumWorld = World<Rc<VirtualClock>>;

/// The exchange, with nothing wrong yet.
pub fn exchange(market: &str) -> Exchange {
    let source = market::open(market, 1).unwrap();
    let core = CoreConfig {
        listings: source.listings().to_vec(),
        wallet: usdt(1_000_000),
        leverage: 20,
        maker_fee_ppm: 200,
        taker_fee_ppm: 500,
        speed: 1.0,
        start: START,
        rules: Default::default(),
    };
    let keys = Keys {
        api_key: API_KEY.to_owned(),
        api_secret: secret(),
        ed25519_api_key: "unused".to_owned(),
        ed25519_public_key: [0; 32],
    };
    Exchange::new(ExchangeConfig { core, keys, seed: 1 }, source)
}

/// Our process in its `life`-th life, and its network.
pub fn process(
    life: u32,
    exchange: &Rc<RefCell<Exchange>>,
    clock: &Rc<VirtualClock>,
    strategy: Box<dyn Strategy + Send>,
) -> (MuseumWorld, MemoryDialer) {
    let net = Net { dialer: MemoryDialer::new(PipeOptions::default()), tls: None };
    let rooms = rooms(life, instrument(&exchange.borrow()), strategy);
    (World::new(rooms, exchange.clone(), &net, clock.clone(), || clock.clone()), net.dialer)
}

/// The account's key.
pub fn key() -> ApiKey {
    ApiKey::hmac(API_KEY, &secret()).unwrap()
}

fn rooms(life: u32, instrument: Instrument, strategy: Box<dyn Strategy + Send>) -> Rooms {
    let Instrument { symbol: id, name, tick_size, .. } = instrument;
    let seed = u64::from(life);
    Rooms {
        feed: FeedConfig {
            symbols: vec![FeedSymbol { id, name, tick_size }],
            public: endpoint("/"),
            market: endpoint("/"),
            depth_speed: "100ms".to_owned(),
            silence: Silence { depth: SILENCE, top: SILENCE, trade: LONG, mark: LONG },
            lag_max: Duration::from_secs(2),
            limits: Limits::market(),
            seed,
        },
        engine: EngineConfig {
            symbols: vec![EngineSymbol { instrument, strategy }],
            epoch: FIRST_EPOCH + life,
            rates: RATES,
            sample_every: Duration::from_secs(1),
            book_age_max: LONG,
            flow_window: Duration::from_secs(1),
        },
        risk: RiskConfig {
            symbols: vec![RiskSymbol {
                instrument,
                order_notional_max: usdt(1_000_000),
                position_notional_max: usdt(2_000_000),
                open_orders_max: 20,
                price_band_ppm: 10_000,
            }],
            total: None,
            is_lasting: optiflow_oms::binance::outcome::is_lasting,
            orders_ten_seconds: 300,
            orders_minute: 1_200,
            weight_minute: 2_400,
            reserve_percent: 20,
            quote_age_max: LONG,
        },
        oms: OmsConfig {
            instruments: vec![instrument],
            ws_api: endpoint("/ws-fapi/v1"),
            private: endpoint("/"),
            key: Arc::new(key()),
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

fn instrument(exchange: &Exchange) -> Instrument {
    let listing = exchange.core().listings()[0].clone();
    Instrument {
        symbol: SymbolId(0),
        name: SymbolName::from(&listing.name).unwrap(),
        tick_size: listing.tick_size,
        price_min: Price::ZERO,
        price_max: Price::ZERO,
        step_size: listing.step_size,
        qty_min: listing.qty_min,
        qty_max: listing.qty_max,
        market_step_size: listing.step_size,
        market_qty_min: listing.qty_min,
        market_qty_max: listing.market_qty_max,
        notional_min: listing.notional_min,
        percent_up_ppm: 1_000_000 + listing.percent_price_ppm,
        percent_down_ppm: 1_000_000 - listing.percent_price_ppm,
        open_orders_max: listing.open_orders_max,
        maker_fee_ppm: 200,
        taker_fee_ppm: 500,
    }
}

fn secret() -> Secret {
    Secret::new(b"of-the-museum".to_vec())
}

const fn usdt(whole: i128) -> Notional {
    Notional::from_units(whole * 100_000_000)
}

/// When every incident begins.
pub const START: Nanos = Nanos::from_millis(1_795_327_200_000);
const FIRST_EPOCH: u32 = 1_000;
const API_KEY: &str = "museum";
/// So long a book may be silent.
const SILENCE: Duration = Duration::from_secs(3);
/// Longer than any quiet time that is no fault.
const LONG: Duration = Duration::from_secs(60);
/// What strategies see of the limits.
const RATES: RateLimits =
    RateLimits { orders_ten_seconds: 300, orders_minute: 1_200, weight_minute: 2_400, reserve_percent: 20 };
