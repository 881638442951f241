//! Builds the rooms, the exchange and the network of a seeded world.
//!
//! One or two symbols on the synthetic market, limits tight enough to be met, the dead-man's switch and the spare socket on.

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
use optiflow_engine::rates::RateLimits;
use optiflow_feed::{FeedConfig, FeedSymbol, Silence};
use optiflow_oms::binance::sign::ApiKey;
use optiflow_oms::stage::{Guards, OmsConfig};
use optiflow_oms::time::ExchangeTime;
use optiflow_risk::{RiskConfig, RiskSymbol, TotalLimits};
use optiflow_sim::binance::auth::Keys;
use optiflow_sim::binance::exchange::{Exchange, ExchangeConfig};
use optiflow_sim::core::CoreConfig;
use optiflow_sim::market;
use optiflow_sim::words::Listing;
use optiflow_wire::attempts::Attempts;
use optiflow_wire::endpoint::Endpoint;
use optiflow_wire::limits::Limits;
use optiflow_wire::transport::memory::MemoryDialer;

use super::bug::Bug;
use super::database::Opened;
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
    /// How many lived before it.
    pub life: u32,
    /// What the database told it.
    pub opened: Opened,
    /// Time.
    pub clock: &'a Rc<VirtualClock>,
    /// Both ends' TLS.
    pub tls: Option<&'a Tls>,
    /// What it passes on its way to the exchange.
    pub door: Rc<RefCell<Door>>,
    /// Where its strategy notes what it saw.
    pub slip: Slip,
    /// What is wrong with it.
    pub bug: Option<Bug>,
}

/// The exchange of a plan.
///
/// # Errors
/// When the synthetic market cannot be opened.
pub fn exchange(plan: &Plan) -> Result<Exchange, String> {
    let market = format!("{}@{}", MARKETS[usize::from(plan.symbols > 1)], plan.market_rate);
    let source = market::open(&market, plan.seed).map_err(|error| error.to_string())?;
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
    let Birth { life, opened, clock, tls, door, slip, bug } = birth;
    let instruments = instruments(exchange.borrow().core().listings())?;
    let tls = tls.filter(|_| plan.tls);
    let net = Net { dialer: MemoryDialer::new(plan.pipes()), tls: tls.map(|tls| tls.server.clone()) };
    let client = tls.map(|tls| tls.client.clone());
    let mut rooms = rooms(plan, life, instruments, client.as_ref(), &slip)?;
    rooms.engine.epoch = opened.epoch;
    rooms.risk.total = total(plan, bug);
    (rooms.oms.guards.former, rooms.oms.guards.storage) = (Some(opened.former), Some(opened.pulse));
    Ok(World::with_seam(rooms, exchange, &net, clock.clone(), || clock.clone(), Some(door)))
}

/// What is traded.
///
/// # Errors
/// When one of them cannot be traded.
pub fn instruments(listings: &[Listing]) -> Result<Vec<Instrument>, String> {
    listings.iter().enumerate().map(|(index, listing)| instrument(index, listing)).collect()
}

/// What may never be held: the limits of risk, and a little for prices that move.
pub fn bound(plan: &Plan) -> Bound {
    let limit = |whole: i128| usdt(whole * 105 / 100);
    let most = |all: TotalLimits| (limit(TOTAL_MAX), all.open_orders_max);
    let (total, entries) = total(plan, None).map_or((limit(POSITION_MAX), OPEN_MAX), most);
    Bound { symbol: limit(POSITION_MAX), total, entries: entries as usize }
}

/// The limits of two symbols together: less than those of each would let both have.
fn total(plan: &Plan, bug: Option<Bug>) -> Option<TotalLimits> {
    let kept = TotalLimits { notional_max: usdt(TOTAL_MAX), open_orders_max: OPEN_TOTAL_MAX };
    let ignored = TotalLimits { notional_max: usdt(2 * POSITION_MAX), open_orders_max: 2 * OPEN_MAX };
    (plan.symbols > 1).then_some(if bug == Some(Bug::TotalIgnored) { ignored } else { kept })
}

fn rooms(
    plan: &Plan,
    life: u32,
    instruments: Vec<Instrument>,
    tls: Option<&Arc<rustls::ClientConfig>>,
    slip: &Slip,
) -> Result<Rooms, String> {
    let endpoint = |path: &str| Endpoint {
        host: "localhost".to_owned(),
        port: 443,
        addresses: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 443))],
        path: path.to_owned(),
        tls: tls.cloned(),
        renewal: None,
    };
    let seed = plan.seed ^ u64::from(life);
    let attempts = Attempts::new();
    let heard = |one: &Instrument| FeedSymbol { id: one.symbol, name: one.name, tick_size: one.tick_size };
    let feed = FeedConfig {
        symbols: instruments.iter().map(heard).collect(),
        public: endpoint("/"),
        market: endpoint("/"),
        depth_speed: plan.depth_speed.to_owned(),
        silence: Silence { depth: SILENCE, top: SILENCE, trade: TRADE_SILENCE, mark: MARK_SILENCE },
        lag_max: Duration::from_secs(2),
        limits: Limits::market().sharing(&attempts),
        seed,
    };
    let traded = |one: &Instrument| {
        let seed = seed.rotate_left(one.symbol.0.into());
        let restless = Restless::new(seed, plan.pace, plan.modifies, slip.clone());
        let restless = if plan.market_rate < 1.0 { restless.hasty() } else { restless };
        EngineSymbol { instrument: *one, strategy: Box::new(restless) }
    };
    let limited = |one: &Instrument| RiskSymbol {
        instrument: *one,
        order_notional_max: usdt(500),
        position_notional_max: usdt(POSITION_MAX),
        open_orders_max: OPEN_MAX,
        price_band_ppm: 10_000,
    };
    let engine = EngineConfig {
        symbols: instruments.iter().map(traded).collect(),
        // The database knows.
        epoch: 0,
        rates: RATES,
        sample_every: Duration::from_secs(1),
        book_age_max: Duration::from_secs(2),
        flow_window: Duration::from_secs(1),
    };
    let risk = RiskConfig {
        symbols: instruments.iter().map(limited).collect(),
        // The plan says.
        total: None,
        is_lasting: optiflow_oms::binance::outcome::is_lasting,
        orders_ten_seconds: 300,
        orders_minute: 1_200,
        weight_minute: 2_400,
        reserve_percent: 20,
        quote_age_max: Duration::from_secs(2),
    };
    let key = ApiKey::hmac(API_KEY, &secret()).map_err(|error| error.to_string())?;
    let oms = OmsConfig {
        instruments,
        ws_api: endpoint("/ws-fapi/v1"),
        private: endpoint("/"),
        key: Arc::new(key),
        time: ExchangeTime::new(),
        margin_asset: "USDT".to_owned(),
        recv_window_ms: 1_000,
        reply_timeout: Duration::from_secs(2),
        stop_timeout: Duration::from_secs(10),
        limits: Limits::orders().sharing(&attempts),
        seed,
        guards: Guards { spare: true, ..Guards::default() },
    };
    Ok(Rooms { feed, engine, risk, oms })
}

/// Without a least or largest price.
fn instrument(index: usize, listing: &Listing) -> Result<Instrument, String> {
    let symbol = SymbolId(u16::try_from(index).map_err(|_| format!("{index} symbols are too many"))?);
    let known = listing::instrument(symbol, listing, FeesPpm { maker: MAKER_FEE_PPM, taker: TAKER_FEE_PPM })?;
    Ok(Instrument { price_min: Price::ZERO, price_max: Price::ZERO, ..known })
}

fn secret() -> Secret {
    Secret::new(SECRET_SPELLINGS[0].to_vec())
}

const fn usdt(whole: i128) -> Notional {
    Notional::from_units(whole * 100_000_000)
}

/// The key's secret: as it is, in hexadecimal digits, and in base 64.
pub const SECRET_SPELLINGS: [&[u8]; 3] =
    [b"of-a-seeded-world", b"6f662d612d7365656465642d776f726c64", b"b2YtYS1zZWVkZWQtd29ybGQ"];
/// What the account begins with.
pub const WALLET: Notional = usdt(10_000);
/// When every world begins.
pub const START: Nanos = Nanos::from_millis(1_795_327_200_000);
const API_KEY: &str = "seeded";
const MAKER_FEE_PPM: i64 = 200;
const TAKER_FEE_PPM: i64 = 500;
const POSITION_MAX: i128 = 600;
const OPEN_MAX: u32 = 6;
const TOTAL_MAX: i128 = 900;
const OPEN_TOTAL_MAX: u32 = 9;
/// What is traded, by how many there are.
const MARKETS: [&str; 2] = ["synthetic:BTCUSDT", "synthetic:BTCUSDT,ETHUSDT"];
const SILENCE: Duration = Duration::from_secs(3);
const TRADE_SILENCE: Duration = Duration::from_secs(30);
const MARK_SILENCE: Duration = Duration::from_secs(5);
/// What strategies see of the limits.
const RATES: RateLimits =
    RateLimits { orders_ten_seconds: 300, orders_minute: 1_200, weight_minute: 2_400, reserve_percent: 20 };
