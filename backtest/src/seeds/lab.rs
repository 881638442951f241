//! Builds the rooms, the exchange and the network of a seeded world.
//!
//! One symbol on the synthetic market, limits tight enough to be met, the dead-man's switch and the spare socket on.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use optiflow_base::clock::{Nanos, VirtualClock};
use optiflow_base::ids::SymbolId;
use optiflow_base::instrument::Instrument;
use optiflow_base::money::{Notional, Price};
use optiflow_base::secret::Secret;
use optiflow_engine::engine::{EngineConfig, EngineSymbol};
use optiflow_feed::{FeedConfig, FeedSymbol, Silence};
use optiflow_oms::binance::sign::ApiKey;
use optiflow_oms::former::Former;
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
use optiflow_wire::transport::memory::MemoryDialer;

use super::door::Door;
use super::plan::Plan;
use super::restless::Restless;
use super::sight::Slip;
use super::truth::Bound;
use crate::listing::{self, FeesPpm};
use crate::world::{Net, Rooms, World};

/// A world that stamps with virtual time.
pub type SeededWorld = World<Rc<VirtualClock>>;

/// Both ends' TLS, for the few worlds that have it.
#[derive(Clone)]
pub struct Tls {
    /// The exchange's.
    pub server: Arc<rustls::ServerConfig>,
    /// Ours.
    pub client: Arc<rustls::ClientConfig>,
}

/// What a process of ours is born with.
pub struct Birth<'a> {
    /// How many lived before it, as far as it knows: its order ids follow from that.
    pub life: u32,
    /// What the lives before it left behind, as a database would tell it.
    pub former: Option<Former>,
    /// Time.
    pub clock: &'a Rc<VirtualClock>,
    /// Both ends' TLS.
    pub tls: Option<&'a Tls>,
    /// What it passes on its way to the exchange.
    pub door: Rc<RefCell<Door>>,
    /// Where its strategy notes what it saw.
    pub slip: Slip,
}

/// The exchange of a plan.
///
/// # Errors
/// When the synthetic market cannot be opened.
pub fn exchange(plan: &Plan) -> Result<Exchange, String> {
    let source = market::open("synthetic", plan.seed).map_err(|error| error.to_string())?;
    let core = CoreConfig {
        listings: source.listings().to_vec(),
        wallet: WALLET,
        leverage: 20,
        maker_fee_ppm: MAKER_FEE_PPM,
        taker_fee_ppm: TAKER_FEE_PPM,
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
    let mut exchange = Exchange::new(ExchangeConfig { core, keys, seed: plan.seed }, source);
    exchange.set_faults(START, &plan.faults);
    Ok(exchange)
}

/// The process of ours in its `life`-th life, linked to the exchange.
///
/// # Errors
/// When the exchange's listing cannot be traded.
pub fn process(plan: &Plan, birth: Birth<'_>, exchange: Rc<RefCell<Exchange>>) -> Result<SeededWorld, String> {
    let Birth { life, former, clock, tls, door, slip } = birth;
    let listing = exchange.borrow().core().listings()[0].clone();
    let tls = tls.filter(|_| plan.tls);
    let net = Net { dialer: MemoryDialer::new(plan.pipes()), tls: tls.map(|tls| tls.server.clone()) };
    let client = tls.map(|tls| tls.client.clone());
    let mut rooms = rooms(plan, life, instrument(&listing)?, client.as_ref(), slip)?;
    rooms.oms.guards.former = former;
    Ok(World::with_seam(rooms, exchange, &net, clock.clone(), || clock.clone(), Some(door)))
}

/// The number of the session that a life is.
pub const fn epoch(life: u32) -> u32 {
    FIRST_EPOCH + life
}

/// What may never be held: the limit of risk, and a little for prices that move.
pub fn bound() -> Bound {
    Bound { exposure: usdt(POSITION_MAX * 105 / 100) }
}

fn rooms(
    plan: &Plan,
    life: u32,
    instrument: Instrument,
    tls: Option<&Arc<rustls::ClientConfig>>,
    slip: Slip,
) -> Result<Rooms, String> {
    let endpoint = |path: &str| Endpoint {
        host: "localhost".to_owned(),
        port: 443,
        addresses: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 443))],
        path: path.to_owned(),
        tls: tls.cloned(),
    };
    let seed = plan.seed ^ u64::from(life);
    let Instrument { symbol: id, name, tick_size, .. } = instrument;
    let feed = FeedConfig {
        symbols: vec![FeedSymbol { id, name, tick_size }],
        public: endpoint("/"),
        market: endpoint("/"),
        depth_speed: plan.depth_speed.to_owned(),
        silence: Silence { depth: SILENCE, top: SILENCE, trade: TRADE_SILENCE, mark: MARK_SILENCE },
        limits: Limits::market(),
        seed,
    };
    let strategy = Box::new(Restless::new(seed, plan.pace, slip));
    let engine = EngineConfig {
        symbols: vec![EngineSymbol { instrument, strategy }],
        epoch: epoch(life),
        sample_every: Duration::from_secs(1),
        flow_window: Duration::from_secs(1),
    };
    let risk = RiskConfig {
        symbols: vec![RiskSymbol {
            instrument,
            order_notional_max: usdt(500),
            position_notional_max: usdt(POSITION_MAX),
            open_orders_max: 6,
            price_band_ppm: 10_000,
        }],
        orders_ten_seconds: 300,
        orders_minute: 1_200,
        weight_minute: 2_400,
        reserve_percent: 20,
        quote_age_max: Duration::from_secs(2),
    };
    let key = ApiKey::hmac(API_KEY, &secret()).map_err(|error| error.to_string())?;
    let oms = OmsConfig {
        instruments: vec![instrument],
        ws_api: endpoint("/ws-fapi/v1"),
        private: endpoint("/"),
        key: Arc::new(key),
        time: ExchangeTime::new(),
        margin_asset: "USDT".to_owned(),
        recv_window_ms: 1_000,
        reply_timeout: Duration::from_secs(2),
        stop_timeout: Duration::from_secs(10),
        limits: Limits::orders(),
        seed,
        guards: Guards { spare: true, ..Guards::default() },
    };
    Ok(Rooms { feed, engine, risk, oms })
}

/// Without a least or largest price.
fn instrument(listing: &Listing) -> Result<Instrument, String> {
    let known = listing::instrument(SymbolId(0), listing, FeesPpm { maker: MAKER_FEE_PPM, taker: TAKER_FEE_PPM })?;
    Ok(Instrument { price_min: Price::ZERO, price_max: Price::ZERO, ..known })
}

fn secret() -> Secret {
    Secret::new(b"of-a-seeded-world".to_vec())
}

const fn usdt(whole: i128) -> Notional {
    Notional::from_units(whole * 100_000_000)
}

/// What the account begins with.
pub const WALLET: Notional = usdt(10_000);
/// When every world begins.
pub const START: Nanos = Nanos::from_millis(1_795_327_200_000);
const FIRST_EPOCH: u32 = 1_000;
const API_KEY: &str = "seeded";
const MAKER_FEE_PPM: i64 = 200;
const TAKER_FEE_PPM: i64 = 500;
const POSITION_MAX: i128 = 600;
const SILENCE: Duration = Duration::from_secs(3);
const TRADE_SILENCE: Duration = Duration::from_secs(30);
const MARK_SILENCE: Duration = Duration::from_secs(5);
