//! The exchange and the rooms of a virtual session, by usual values: who needs another value sets that one.
//!
//! Plain data; never decides anything, never opens a market.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use optiflow_base::clock::Nanos;
use optiflow_base::ids::SymbolId;
use optiflow_base::instrument::Instrument;
use optiflow_base::money::Notional;
use optiflow_base::rates::RateLimits;
use optiflow_base::secret::Secret;
use optiflow_engine::engine::{EngineConfig, EngineSymbol};
use optiflow_engine::strategy::Strategy;
use optiflow_feed::{FeedConfig, FeedSymbol, Silence};
use optiflow_oms::binance::outcome;
use optiflow_oms::binance::sign::ApiKey;
use optiflow_oms::stage::{Guards, OmsConfig};
use optiflow_oms::time::ExchangeTime;
use optiflow_risk::{RiskConfig, RiskSymbol};
use optiflow_sim::binance::auth::Keys;
use optiflow_sim::binance::exchange::{Exchange, ExchangeConfig};
use optiflow_sim::core::CoreConfig;
use optiflow_sim::market::Source;
use optiflow_wire::attempts::Attempts;
use optiflow_wire::endpoint::Endpoint;
use optiflow_wire::limits::Limits;

use crate::listing::{self, FeesPpm};
use crate::world::Rooms;

/// Whose account it is, as both ends know it.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    /// Name of the key.
    pub name: &'static str,
    /// Its secret: a test key, which opens nothing else.
    pub secret: &'static str,
    /// What the account begins with.
    pub wallet: Notional,
}

impl Account {
    /// Its key.
    ///
    /// # Errors
    /// In words for people, when the name is none.
    pub fn key(&self) -> Result<ApiKey, String> {
        ApiKey::hmac(self.name, &self.secret()).map_err(|error| error.to_string())
    }

    fn secret(&self) -> Secret {
        Secret::new(self.secret.as_bytes().to_vec())
    }
}

/// An exchange over a market, with nothing wrong, whose clock shows `start`.
pub fn exchange(source: Box<dyn Source>, account: &Account, seed: u64, start: Nanos) -> Exchange {
    let core = CoreConfig {
        listings: source.listings().to_vec(),
        wallet: account.wallet,
        leverage: 20,
        maker_fee_ppm: FEES.maker,
        taker_fee_ppm: FEES.taker,
        speed: 1.0,
        start,
        rules: Default::default(),
    };
    let keys = Keys {
        api_key: account.name.to_owned(),
        api_secret: account.secret(),
        ed25519_api_key: "unused".to_owned(),
        ed25519_public_key: [0; 32],
    };
    Exchange::new(ExchangeConfig { core, keys, seed }, source)
}

/// The first symbol that the exchange lists.
///
/// # Errors
/// In words for people, when there is none, or its name is none.
pub fn instrument(exchange: &Exchange) -> Result<Instrument, String> {
    let listing = exchange.core().listings().first().ok_or("the exchange lists nothing")?;
    listing::instrument(SymbolId(0), listing, FEES)
}

/// What is traded, and by whom.
pub type Traded = (Instrument, Box<dyn Strategy + Send>);

/// Our rooms.
///
/// # Errors
/// In words for people, when the account's name is none.
pub fn rooms(traded: Vec<Traded>, account: &Account, seed: u64) -> Result<Rooms, String> {
    let attempts = Attempts::new();
    let instruments: Vec<Instrument> = traded.iter().map(|(instrument, _)| *instrument).collect();
    let heard = |one: &Instrument| FeedSymbol { id: one.symbol, name: one.name, tick_size: one.tick_size };
    let feed = FeedConfig {
        symbols: instruments.iter().map(heard).collect(),
        public: endpoint("/"),
        market: endpoint("/"),
        depth_speed: "100ms".to_owned(),
        silence: SILENCE,
        lag_max: AGE_MAX,
        limits: Limits::market().sharing(&attempts),
        seed,
    };
    let engine = EngineConfig {
        symbols: traded.into_iter().map(|(instrument, strategy)| EngineSymbol { instrument, strategy }).collect(),
        epoch: 1,
        rates: RATES,
        sample_every: Duration::from_secs(1),
        book_age_max: AGE_MAX,
        flow_window: Duration::from_secs(1),
    };
    let risk = risk(&instruments);
    let oms = oms(instruments, account, seed, &attempts)?;
    Ok(Rooms { feed, engine, risk, oms })
}

fn risk(instruments: &[Instrument]) -> RiskConfig {
    let limited = |instrument: &Instrument| RiskSymbol {
        instrument: *instrument,
        order_notional_max: usdt(500),
        position_notional_max: usdt(600),
        open_orders_max: 4,
        price_band_ppm: 10_000,
    };
    RiskConfig {
        symbols: instruments.iter().map(limited).collect(),
        total: None,
        is_lasting: outcome::is_lasting,
        rates: RATES,
        quote_age_max: AGE_MAX,
    }
}

fn oms(instruments: Vec<Instrument>, account: &Account, seed: u64, attempts: &Attempts) -> Result<OmsConfig, String> {
    Ok(OmsConfig {
        instruments,
        ws_api: endpoint("/ws-fapi/v1"),
        private: endpoint("/"),
        key: Arc::new(account.key()?),
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
    let addresses = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 443))];
    Endpoint { host: "localhost".to_owned(), port: 443, addresses, path: path.to_owned(), tls: None, renewal: None }
}

/// Whole units of the quote asset.
pub const fn usdt(whole: i128) -> Notional {
    Notional::from_units(whole * 100_000_000)
}

/// The account's true limits, and a share for cancels and exits.
pub const RATES: RateLimits =
    RateLimits { orders_ten_seconds: 300, orders_minute: 1_200, weight_minute: 2_400, reserve_percent: 10 };
/// When there is no reason for another moment.
pub const START: Nanos = Nanos::from_millis(1_795_327_200_000);
/// What the account pays.
pub const FEES: FeesPpm = FeesPpm { maker: 200, taker: 500 };
/// Of market data that may still be traded on.
const AGE_MAX: Duration = Duration::from_secs(2);
/// Of streams, until they are taken for dead.
const SILENCE: Silence = Silence {
    depth: Duration::from_secs(3),
    top: Duration::from_secs(3),
    trade: Duration::from_secs(30),
    mark: Duration::from_secs(5),
};
