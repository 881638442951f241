//! The exchange and the rooms of a run at the limits: true limits on both sides, a strategy that wants more.
//!
//! One symbol on the synthetic market, the dead-man's switch and the spare socket on, an account that outlasts the fees.

use optiflow_base::clock::Nanos;
use optiflow_base::rates::RateLimits;
use optiflow_sim::binance::exchange::Exchange;
use optiflow_sim::market;

use super::greedy::Greedy;
use crate::usual::{self, Account, usdt};
use crate::world::Rooms;

/// The exchange of a seed, whose clock shows `start`.
///
/// # Errors
/// In words for people, when the synthetic market cannot be opened.
pub fn exchange(seed: u64, start: Nanos) -> Result<Exchange, String> {
    let source = market::open("synthetic", seed).map_err(|error| error.to_string())?;
    Ok(usual::exchange(source, &ACCOUNT, seed, start))
}

/// Our rooms.
///
/// # Errors
/// In words for people, when the exchange's listing cannot be traded.
pub fn rooms(seed: u64, reserve_percent: u32, exchange: &Exchange) -> Result<Rooms, String> {
    let instrument = usual::instrument(exchange)?;
    let mut rooms = usual::rooms(vec![(instrument, Box::new(Greedy::new(seed)))], &ACCOUNT, seed)?;
    rooms.feed.depth_speed = DEPTH_SPEED.to_owned();
    rooms.engine.epoch = EPOCH;
    rooms.engine.rates = RateLimits { reserve_percent, ..RATES };
    rooms.risk.rates = rooms.engine.rates;
    for symbol in &mut rooms.risk.symbols {
        symbol.order_notional_max = usdt(5_000);
        symbol.position_notional_max = usdt(20_000);
        symbol.open_orders_max = OPEN_ORDERS_MAX;
        symbol.price_band_ppm = 20_000;
    }
    Ok(rooms)
}

/// The true limits, and the share that is kept for cancels and exits.
pub const RATES: RateLimits = usual::RATES;
const ACCOUNT: Account = Account { name: "greedy", secret: "of-a-run-at-the-limits", wallet: usdt(1_000_000) };
const EPOCH: u32 = 1_000;
const DEPTH_SPEED: &str = "500ms";
const OPEN_ORDERS_MAX: u32 = 30;
