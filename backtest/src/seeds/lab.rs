//! Builds the rooms, the exchange and the network of a seeded world.
//!
//! One or two symbols on the synthetic market, limits tight enough to be met, the dead-man's switch and the spare socket on.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use optiflow_base::clock::VirtualClock;
use optiflow_base::ids::SymbolId;
use optiflow_base::instrument::Instrument;
use optiflow_base::money::{Notional, Price};
use optiflow_risk::TotalLimits;
use optiflow_sim::binance::exchange::Exchange;
use optiflow_sim::market;
use optiflow_sim::words::Listing;
use optiflow_wire::transport::memory::MemoryDialer;

use super::bug::Bug;
use super::database::Opened;
use super::door::Door;
use super::plan::Plan;
use super::restless::Restless;
use super::sight::Slip;
use super::truth::Bound;
use crate::listing;
use crate::usual::{self, Account, FEES, Traded, usdt};
use crate::world::{Net, Rooms, World};

pub use crate::usual::START;

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
    let mut exchange = usual::exchange(source, &ACCOUNT, plan.seed, START);
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
    let seed = plan.seed ^ u64::from(life);
    let traded = |instrument: Instrument| -> Traded {
        let seed = seed.rotate_left(instrument.symbol.0.into());
        let restless = Restless::new(seed, plan.pace, plan.modifies, slip.clone());
        let restless = if plan.market_rate < 1.0 { restless.hasty() } else { restless };
        (instrument, Box::new(restless))
    };
    let mut rooms = usual::rooms(instruments.into_iter().map(traded).collect(), &ACCOUNT, seed)?;
    let Rooms { feed, engine, risk, oms } = &mut rooms;
    for endpoint in [&mut feed.public, &mut feed.market, &mut oms.ws_api, &mut oms.private] {
        endpoint.tls = tls.cloned();
    }
    feed.depth_speed = plan.depth_speed.to_owned();
    engine.rates.reserve_percent = RESERVE_PERCENT;
    risk.rates = engine.rates;
    for symbol in &mut risk.symbols {
        symbol.position_notional_max = usdt(POSITION_MAX);
        symbol.open_orders_max = OPEN_MAX;
    }
    Ok(rooms)
}

/// Without a least or largest price.
fn instrument(index: usize, listing: &Listing) -> Result<Instrument, String> {
    let symbol = SymbolId(u16::try_from(index).map_err(|_| format!("{index} symbols are too many"))?);
    let known = listing::instrument(symbol, listing, FEES)?;
    Ok(Instrument { price_min: Price::ZERO, price_max: Price::ZERO, ..known })
}

/// The key's secret: as it is, in hexadecimal digits, and in base 64.
pub const SECRET_SPELLINGS: [&[u8]; 3] =
    [ACCOUNT.secret.as_bytes(), b"6f662d612d7365656465642d776f726c64", b"b2YtYS1zZWVkZWQtd29ybGQ"];
/// What the account begins with.
pub const WALLET: Notional = usdt(10_000);
const ACCOUNT: Account = Account { name: "seeded", secret: "of-a-seeded-world", wallet: WALLET };
const POSITION_MAX: i128 = 600;
const OPEN_MAX: u32 = 6;
const TOTAL_MAX: i128 = 900;
const OPEN_TOTAL_MAX: u32 = 9;
/// What is traded, by how many there are.
const MARKETS: [&str; 2] = ["synthetic:BTCUSDT", "synthetic:BTCUSDT,ETHUSDT"];
/// The share of every limit that is kept for cancels and exits.
const RESERVE_PERCENT: u32 = 20;
