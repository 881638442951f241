//! The exchange and the rooms of a run at the limits: true limits on both sides, a strategy that wants more.
//!
//! One symbol on the synthetic market, the dead-man's switch and the spare socket on, an account that outlasts the fees.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use optiflow_base::clock::Nanos;
use optiflow_base::ids::SymbolId;
use optiflow_base::instrument::Instrument;
use optiflow_base::money::Notional;
use optiflow_base::secret::Secret;
use optiflow_engine::engine::{EngineConfig, EngineSymbol};
use optiflow_engine::rates::RateLimits;
use optiflow_feed::{FeedConfig, FeedSymbol, Silence};
use optiflow_oms::binance::sign::ApiKey;
use optiflow_oms::stage::{Guards, OmsConfig};
use optiflow_oms::time::ExchangeTime;
use optiflow_risk::{RiskConfig, RiskSymbol};
use optiflow_sim::binance::auth::Keys;
use optiflow_sim::binance::exchange::{Exchange, ExchangeConfig};
use optiflow_sim::core::CoreConfig;
use optiflow_sim::market;
use optiflow_wire::attempts::Attempts;
use optiflow_wire::endpoint::Endpoint;
use optiflow_wire::limits::Limits;

use super::greedy::Greedy;
use crate::listing::{self, FeesPpm};
use crate::world::Rooms;

/// The exchange of a seed, whose clock shows `start`.
///
/// # Errors
/// In words for people, when the synthetic market cannot be opened.
pub fn exchange(seed: u64, start: Nanos) -> Result<Exchange, String> {
    let source = market::open("synthetic", seed).map_err(|error| error.to_string())?;
    let core = CoreConfig {
        listings: source.listings().to_vec(),
        wallet: usdt(1_000_000),
        leverage: 20,
        maker_fee_ppm: FEES.maker,
        taker_fee_ppm: FEES.taker,
        speed: 1.0,
        start,
        rules: Default::default(),
    };
    let keys = Keys {
        api_key: API_KEY.to_owned(),
        api_secret: secret(),
        ed25519_api_key: "unused".to_owned(),
        ed25519_public_key: [0; 32],
    };
    Ok(Exchange::new(ExchangeConfig { core, keys, seed }, source))
}

/// Our rooms.
///
/// # Errors
/// In words for people, when the exchange's listing cannot be traded.
pub fn rooms(seed: u64, reserve_percent: u32, exchange: &Exchange) -> Result<Rooms, String> {
    let instrument = listing::instrument(SymbolId(0), &exchange.core().listings()[0], FEES)?;
    let Instrument { symbol: id, name, tick_size, .. } = instrument;
    let attempts = Attempts::new();
    let feed = FeedConfig {
        symbols: vec![FeedSymbol { id, name, tick_size }],
        public: endpoint("/"),
        market: endpoint("/"),
        depth_speed: DEPTH_SPEED.to_owned(),
        silence: Silence { depth: SILENCE, top: SILENCE, trade: TRADE_SILENCE, mark: MARK_SILENCE },
        lag_max: Duration::from_secs(2),
        limits: Limits::market().sharing(&attempts),
        seed,
    };
    let engine = EngineConfig {
        symbols: vec![EngineSymbol { instrument, strategy: Box::new(Greedy::new(seed)) }],
        epoch: EPOCH,
        rates: RateLimits { reserve_percent, ..RATES },
        sample_every: Duration::from_secs(1),
        book_age_max: Duration::from_secs(2),
        flow_window: Duration::from_secs(1),
    };
    Ok(Rooms { feed, engine, risk: risk(instrument, reserve_percent), oms: oms(instrument, seed, &attempts)? })
}

fn risk(instrument: Instrument, reserve_percent: u32) -> RiskConfig {
    let symbol = RiskSymbol {
        instrument,
        order_notional_max: usdt(5_000),
        position_notional_max: usdt(20_000),
        open_orders_max: OPEN_ORDERS_MAX,
        price_band_ppm: 20_000,
    };
    RiskConfig {
        symbols: vec![symbol],
        total: None,
        is_lasting: optiflow_oms::binance::outcome::is_lasting,
        orders_ten_seconds: RATES.orders_ten_seconds,
        orders_minute: RATES.orders_minute,
        weight_minute: RATES.weight_minute,
        reserve_percent,
        quote_age_max: Duration::from_secs(2),
    }
}

fn oms(instrument: Instrument, seed: u64, attempts: &Attempts) -> Result<OmsConfig, String> {
    let key = ApiKey::hmac(API_KEY, &secret()).map_err(|error| error.to_string())?;
    Ok(OmsConfig {
        instruments: vec![instrument],
        ws_api: endpoint("/ws-fapi/v1"),
        private: endpoint("/"),
        key: Arc::new(key),
        time: ExchangeTime::new(),
        margin_asset: "USDT".to_owned(),
        recv_window_ms: 1_000,
        reply_timeout: Duration::from_secs(2),
        stop_timeout: Duration::from_secs(10),
        limits: Limits::orders().sharing(attempts),
        seed,
        guards: Guards { spare: true, ..Guards::default() },
    })
}

fn endpoint(path: &str) -> Endpoint {
    Endpoint {
        host: "localhost".to_owned(),
        port: 443,
        addresses: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 443))],
        path: path.to_owned(),
        tls: None,
        renewal: None,
    }
}

fn secret() -> Secret {
    Secret::new(b"of-a-run-at-the-limits".to_vec())
}

const fn usdt(whole: i128) -> Notional {
    Notional::from_units(whole * 100_000_000)
}

/// The true limits, and the share that is kept for cancels and exits.
pub const RATES: RateLimits =
    RateLimits { orders_ten_seconds: 300, orders_minute: 1_200, weight_minute: 2_400, reserve_percent: 10 };
const API_KEY: &str = "greedy";
const EPOCH: u32 = 1_000;
const FEES: FeesPpm = FeesPpm { maker: 200, taker: 500 };
const DEPTH_SPEED: &str = "500ms";
const OPEN_ORDERS_MAX: u32 = 30;
const SILENCE: Duration = Duration::from_secs(3);
const TRADE_SILENCE: Duration = Duration::from_secs(30);
const MARK_SILENCE: Duration = Duration::from_secs(5);
