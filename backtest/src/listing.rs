//! A symbol as the exchange lists it → what the rooms that trade know of it. Plain translation; never decides anything.

use optiflow_base::ids::{SymbolId, SymbolName};
use optiflow_base::instrument::Instrument;
use optiflow_sim::words::Listing;

/// What is charged for a fill, ppm of its value; negative is a rebate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeesPpm {
    /// Of a resting order.
    pub maker: i64,
    /// Of one that takes.
    pub taker: i64,
}

/// The instrument of a listing, as number `symbol` of a session.
///
/// # Errors
/// In words for people, when its name is too long for a symbol's.
pub fn instrument(symbol: SymbolId, listing: &Listing, fees: FeesPpm) -> Result<Instrument, String> {
    let name = SymbolName::from(&listing.name).map_err(|_| format!("{} is no symbol name", listing.name))?;
    Ok(Instrument {
        symbol,
        name,
        tick_size: listing.tick_size,
        price_min: listing.price_min,
        price_max: listing.price_max,
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
        maker_fee_ppm: fees.maker,
        taker_fee_ppm: fees.taker,
    })
}
