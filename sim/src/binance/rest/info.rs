//! What is listed and by which rules: exchangeInfo and its smaller sisters.
//!
//! Only what this exchange really offers is listed: limit and market orders, GTC, IOC, FOK and GTX.

use optiflow_base::clock::Nanos;
use optiflow_base::money::{Price, Qty};
use serde::Serialize;

use super::Answer;
use crate::binance::desk::Desk;
use crate::binance::json;
use crate::binance::limits::{RateLimit, order_entries, weight_entry};
use crate::binance::params::Params;
use crate::words::Listing;

/// GET exchangeInfo; a symbol parameter is ignored, as Binance does.
pub fn exchange_info(desk: &mut Desk, now: Nanos, _: &Params) -> Answer {
    let [ten_seconds, minute] = order_entries(None);
    json::text(&ExchangeInfo {
        timezone: "UTC",
        server_time: now.millis(),
        futures_type: "U_MARGINED",
        rate_limits: vec![weight_entry(None), minute, ten_seconds],
        exchange_filters: [],
        assets: [Asset { asset: "USDT", margin_available: true, auto_asset_exchange: "-10000" }],
        symbols: desk.core.listings().iter().map(Symbol::new).collect(),
    })
}

/// GET fundingInfo.
pub fn funding_info(desk: &mut Desk, _: Nanos, _: &Params) -> Answer {
    let row = |listing: &Listing| FundingInfo {
        symbol: listing.name.clone(),
        adjusted_funding_rate_cap: "0.00300",
        adjusted_funding_rate_floor: "-0.00300",
        funding_interval_hours: 8,
        disclaimer: false,
        update_time: None,
    };
    json::text(&desk.core.listings().iter().map(row).collect::<Vec<_>>())
}

/// GET symbolAdlRisk: nobody is deleveraged here.
pub fn adl_risk(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    let row = |listing: &Listing| AdlRisk { symbol: listing.name.clone(), adl_risk: "low", update_time: now.millis() };
    match desk.optional_symbol(params)? {
        Some(symbol) => json::text(&row(desk.listing(symbol))),
        None => json::text(&desk.core.listings().iter().map(row).collect::<Vec<_>>()),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExchangeInfo {
    timezone: &'static str,
    server_time: u64,
    futures_type: &'static str,
    rate_limits: Vec<RateLimit>,
    exchange_filters: [(); 0],
    assets: [Asset; 1],
    symbols: Vec<Symbol>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Asset {
    asset: &'static str,
    margin_available: bool,
    auto_asset_exchange: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Symbol {
    symbol: String,
    pair: String,
    contract_type: &'static str,
    delivery_date: u64,
    onboard_date: u64,
    status: &'static str,
    maint_margin_percent: &'static str,
    required_margin_percent: &'static str,
    base_asset: String,
    quote_asset: &'static str,
    margin_asset: &'static str,
    price_precision: usize,
    quantity_precision: usize,
    base_asset_precision: usize,
    quote_precision: usize,
    underlying_type: &'static str,
    underlying_sub_type: [&'static str; 1],
    trigger_protect: String,
    liquidation_fee: &'static str,
    market_take_bound: String,
    max_move_order_limit: u32,
    filters: Vec<Filter>,
    order_types: [&'static str; 6],
    time_in_force: [&'static str; 5],
    permission_sets: [&'static str; 1],
}

#[derive(Serialize)]
#[serde(tag = "filterType", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
enum Filter {
    #[serde(rename = "PRICE_FILTER")]
    Price {
        max_price: String,
        tick_size: String,
        min_price: String,
    },
    LotSize {
        step_size: String,
        min_qty: String,
        max_qty: String,
    },
    MarketLotSize {
        min_qty: String,
        max_qty: String,
        step_size: String,
    },
    MaxNumOrders {
        limit: u32,
    },
    MinNotional {
        notional: String,
    },
    PercentPrice {
        multiplier_down: String,
        multiplier_up: String,
        multiplier_decimal: &'static str,
    },
    PositionRiskControl {
        position_control_side: &'static str,
    },
}

impl Symbol {
    fn new(listing: &Listing) -> Symbol {
        let band = |decimals| json::decimal(i128::from(listing.percent_price_ppm) * UNITS_PER_PPM, decimals);
        Symbol {
            symbol: listing.name.clone(),
            pair: listing.name.clone(),
            contract_type: "PERPETUAL",
            delivery_date: NEVER_MS,
            onboard_date: ONBOARD_MS,
            status: "TRADING",
            maint_margin_percent: "2.5000",
            required_margin_percent: "5.0000",
            base_asset: listing.base_asset.clone(),
            quote_asset: "USDT",
            margin_asset: "USDT",
            price_precision: listing.price_precision,
            quantity_precision: listing.qty_precision,
            base_asset_precision: 8,
            quote_precision: 8,
            underlying_type: "COIN",
            underlying_sub_type: ["Crypto"],
            trigger_protect: band(4),
            liquidation_fee: "0.012500",
            market_take_bound: band(2),
            max_move_order_limit: 10_000,
            filters: filters(listing),
            order_types: ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"],
            time_in_force: ["GTC", "IOC", "FOK", "GTX", "GTD"],
            permission_sets: ["GRID"],
        }
    }
}

fn filters(listing: &Listing) -> Vec<Filter> {
    let price = |price: Price| json::price(price, listing);
    let qty = |qty: Qty| json::qty(qty, listing);
    let multiplier = |ppm: i64| json::decimal(i128::from(1_000_000 + ppm) * UNITS_PER_PPM, 4);
    vec![
        Filter::Price {
            max_price: listing.price_max.to_string(),
            tick_size: price(listing.tick_size),
            min_price: price(listing.price_min),
        },
        Filter::LotSize {
            step_size: qty(listing.step_size),
            min_qty: qty(listing.qty_min),
            max_qty: listing.qty_max.to_string(),
        },
        Filter::MarketLotSize {
            min_qty: qty(listing.qty_min),
            max_qty: listing.market_qty_max.to_string(),
            step_size: qty(listing.step_size),
        },
        Filter::MaxNumOrders { limit: listing.open_orders_max },
        Filter::MinNotional { notional: listing.notional_min.to_string() },
        Filter::PercentPrice {
            multiplier_down: multiplier(-listing.percent_price_ppm),
            multiplier_up: multiplier(listing.percent_price_ppm),
            multiplier_decimal: "4",
        },
        Filter::PositionRiskControl { position_control_side: "NONE" },
    ]
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FundingInfo {
    symbol: String,
    adjusted_funding_rate_cap: &'static str,
    adjusted_funding_rate_floor: &'static str,
    funding_interval_hours: u32,
    disclaimer: bool,
    update_time: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AdlRisk {
    symbol: String,
    adl_risk: &'static str,
    update_time: u64,
}

/// 10⁻⁸ units in one part per million.
const UNITS_PER_PPM: i128 = 100;
/// Delivery date of a perpetual contract: 2100-12-25.
const NEVER_MS: u64 = 4_133_404_800_000;
/// Onboard date of every listing: 2019-09-08.
const ONBOARD_MS: u64 = 1_567_965_300_000;
