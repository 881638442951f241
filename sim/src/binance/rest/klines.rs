//! Klines, for anybody who asks: of trades, and of what is computed and not traded.

use optiflow_base::clock::Nanos;
use optiflow_base::money::Price;
use serde::Serialize;

use super::{Answer, Route, Weight, page};
use crate::binance::desk::Desk;
use crate::binance::errors::ApiError;
use crate::binance::json;
use crate::binance::params::Params;
use crate::binance::tape::kline::{Interval, Kline};
use crate::binance::tape::marks::Series;
use crate::words::{Listing, SymbolIndex};

/// The endpoints of this file.
pub fn route(method: &str, path: &str) -> Option<Route> {
    if method != "GET" {
        return None;
    }
    Some(match path {
        "/fapi/v1/klines" => Route::open(Weight::Klines, klines),
        "/fapi/v1/continuousKlines" => Route::open(Weight::Klines, continuous),
        "/fapi/v1/markPriceKlines" => Route::open(Weight::Klines, marks),
        "/fapi/v1/indexPriceKlines" => Route::open(Weight::Klines, indices),
        "/fapi/v1/premiumIndexKlines" => Route::open(Weight::Klines, premiums),
        _ => return None,
    })
}

fn klines(desk: &mut Desk, _: Nanos, params: &Params) -> Answer {
    let symbol = desk.symbol(params)?;
    traded(desk, symbol, params)
}

/// Only perpetual contracts are listed: theirs are the klines of the symbol.
fn continuous(desk: &mut Desk, _: Nanos, params: &Params) -> Answer {
    let symbol = desk.pair(params)?;
    match params.mandatory("contractType")? {
        "PERPETUAL" => traded(desk, symbol, params),
        _ => Err(ApiError::invalid("contractType")),
    }
}

fn marks(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    let symbol = desk.symbol(params)?;
    computed(desk, now, symbol, Series::Mark, params)
}

fn indices(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    let symbol = desk.pair(params)?;
    computed(desk, now, symbol, Series::Index, params)
}

fn premiums(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    let symbol = desk.symbol(params)?;
    computed(desk, now, symbol, Series::Premium, params)
}

fn traded(desk: &Desk, symbol: SymbolIndex, params: &Params) -> Answer {
    let wanted = Wanted::new(params)?;
    let listing = desk.listing(symbol);
    let klines = desk.streams.tape().klines(symbol, wanted.interval).iter();
    wanted.rows(klines, |kline| KlineRow::traded(kline, listing))
}

fn computed(desk: &mut Desk, now: Nanos, symbol: SymbolIndex, series: Series, params: &Params) -> Answer {
    let wanted = Wanted::new(params)?;
    wanted.rows(desk.records.marks().klines(now, symbol, series, wanted.interval), KlineRow::computed)
}

/// Which klines are asked for.
struct Wanted {
    interval: Interval,
    start: Option<u64>,
    end: u64,
    limit: usize,
}

impl Wanted {
    fn new(params: &Params) -> Result<Wanted, ApiError> {
        let interval = Interval::parse(params.mandatory("interval")?);
        let interval = interval.ok_or_else(|| ApiError::new(-1120, "Invalid interval."))?;
        let limit = params.limit(500, 1_500)?;
        let (start, end) = (params.integer("startTime")?, params.integer("endTime")?.unwrap_or(u64::MAX));
        Ok(Wanted { interval, start, end, limit })
    }

    fn rows<'a>(&self, klines: impl Iterator<Item = &'a Kline>, row: impl Fn(&Kline) -> KlineRow) -> Answer {
        let wanted = klines.filter(|kline| (self.start.unwrap_or(0)..=self.end).contains(&kline.open_ms));
        let rows: Vec<KlineRow> = wanted.map(row).collect();
        json::text(&page(rows, self.limit, self.start.is_some()))
    }
}

/// Open time, open, high, low, close, volume, close time, amount, trades, bought volume, bought amount, unused.
#[derive(Serialize)]
struct KlineRow(u64, String, String, String, String, String, u64, String, u64, String, String, &'static str);

impl KlineRow {
    fn traded(kline: &Kline, listing: &Listing) -> KlineRow {
        let price = |price| json::price(price, listing);
        KlineRow(
            kline.open_ms,
            price(kline.open),
            price(kline.high),
            price(kline.low),
            price(kline.close),
            json::qty(kline.volume, listing),
            kline.close_ms,
            json::quote(kline.quote, listing),
            kline.count,
            json::qty(kline.taker_volume, listing),
            json::quote(kline.taker_quote, listing),
            "0",
        )
    }

    /// What is computed has no volume; its count is how often it was told.
    fn computed(kline: &Kline) -> KlineRow {
        let price = |price: Price| json::decimal(i128::from(price.units()), 8);
        let none = || "0".to_owned();
        KlineRow(
            kline.open_ms,
            price(kline.open),
            price(kline.high),
            price(kline.low),
            price(kline.close),
            none(),
            kline.close_ms,
            none(),
            kline.count,
            none(),
            none(),
            "0",
        )
    }
}
