//! The filters of well-known symbols, as Binance lists them, and filters inferred where it is not known.
//!
//! Never asks the network. Which thread: whoever opens a market.

use optiflow_base::decimal::{DECIMALS, UNITS};
use optiflow_base::money::{Notional, Price, Qty};

use crate::words::Listing;

/// A well-known symbol, in decimal units of 10⁻⁸.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Symbol.
    pub name: &'static str,
    base_asset: &'static str,
    tick: i64,
    price_min: i64,
    price_max: i64,
    step: i64,
    qty_max: i64,
    market_qty_max: i64,
    notional_min: i64,
    percent_price_ppm: i64,
    price_precision: usize,
    qty_precision: usize,
}

/// BTCUSDT as it is listed.
pub fn bitcoin() -> Listing {
    listing(&KNOWN[0])
}

/// A well-known symbol as it is listed.
pub fn known(name: &str) -> Option<Listing> {
    KNOWN.iter().find(|known| known.name == name).map(listing)
}

/// A listing for a symbol of which only the decimals of its prices and quantities are known.
pub fn inferred(name: &str, price_decimals: usize, qty_decimals: usize) -> Listing {
    let tick = 10_i64.pow((DECIMALS - price_decimals.min(DECIMALS)) as u32);
    let step = 10_i64.pow((DECIMALS - qty_decimals.min(DECIMALS)) as u32);
    let quotes = ["USDT", "USDC", "BUSD", "BTC"];
    let base_asset = quotes.iter().find_map(|quote| name.strip_suffix(quote)).unwrap_or(name);
    Listing {
        name: name.to_owned(),
        base_asset: base_asset.to_owned(),
        tick_size: Price::from_units(tick),
        price_min: Price::from_units(tick),
        price_max: Price::from_units(tick.saturating_mul(INFERRED_PRICE_TICKS_MAX).min(INFERRED_PRICE_MAX)),
        step_size: Qty::from_units(step),
        qty_min: Qty::from_units(step),
        qty_max: Qty::from_units(INFERRED_QTY_MAX - INFERRED_QTY_MAX % step),
        market_qty_max: Qty::from_units(INFERRED_QTY_MAX / 10 - (INFERRED_QTY_MAX / 10) % step),
        notional_min: Notional::from_units(i128::from(5 * UNITS)),
        percent_price_ppm: 100_000,
        open_orders_max: OPEN_ORDERS_MAX,
        price_precision: price_decimals,
        qty_precision: qty_decimals,
    }
}

fn listing(known: &Known) -> Listing {
    Listing {
        name: known.name.to_owned(),
        base_asset: known.base_asset.to_owned(),
        tick_size: Price::from_units(known.tick),
        price_min: Price::from_units(known.price_min),
        price_max: Price::from_units(known.price_max),
        step_size: Qty::from_units(known.step),
        qty_min: Qty::from_units(known.step),
        qty_max: Qty::from_units(known.qty_max),
        market_qty_max: Qty::from_units(known.market_qty_max),
        notional_min: Notional::from_units(i128::from(known.notional_min)),
        percent_price_ppm: known.percent_price_ppm,
        open_orders_max: OPEN_ORDERS_MAX,
        price_precision: known.price_precision,
        qty_precision: known.qty_precision,
    }
}

/// The symbols whose filters are known by heart; the first is the default market.
pub const KNOWN: [Known; 4] = [
    Known {
        name: "BTCUSDT",
        base_asset: "BTC",
        tick: UNITS / 10,
        price_min: 55_680_000_000,
        price_max: 4_529_764 * UNITS,
        step: UNITS / 1_000,
        qty_max: 1_000 * UNITS,
        market_qty_max: 120 * UNITS,
        notional_min: 50 * UNITS,
        percent_price_ppm: 50_000,
        price_precision: 2,
        qty_precision: 3,
    },
    Known {
        name: "ETHUSDT",
        base_asset: "ETH",
        tick: UNITS / 100,
        price_min: 3_986_000_000,
        price_max: 306_177 * UNITS,
        step: UNITS / 1_000,
        qty_max: 10_000 * UNITS,
        market_qty_max: 2_000 * UNITS,
        notional_min: 20 * UNITS,
        percent_price_ppm: 50_000,
        price_precision: 2,
        qty_precision: 3,
    },
    Known {
        name: "SOLUSDT",
        base_asset: "SOL",
        tick: UNITS / 100,
        price_min: 42_000_000,
        price_max: 6_857 * UNITS,
        step: UNITS / 100,
        qty_max: 1_000_000 * UNITS,
        market_qty_max: 80_000 * UNITS,
        notional_min: 5 * UNITS,
        percent_price_ppm: 50_000,
        price_precision: 4,
        qty_precision: 2,
    },
    Known {
        name: "DOGEUSDT",
        base_asset: "DOGE",
        tick: UNITS / 100_000,
        price_min: 244_000,
        price_max: 30 * UNITS,
        step: UNITS,
        qty_max: 50_000_000 * UNITS,
        market_qty_max: 30_000_000 * UNITS,
        notional_min: 5 * UNITS,
        percent_price_ppm: 100_000,
        price_precision: 6,
        qty_precision: 0,
    },
];

/// MAX_NUM_ORDERS of every symbol.
const OPEN_ORDERS_MAX: u32 = 200;
/// Upper price bound of an inferred listing, in ticks.
const INFERRED_PRICE_TICKS_MAX: i64 = 100_000_000;
/// Upper price bound of an inferred listing.
const INFERRED_PRICE_MAX: i64 = 10_000_000 * UNITS;
/// Upper quantity bound of an inferred listing.
const INFERRED_QTY_MAX: i64 = 10_000_000 * UNITS;
