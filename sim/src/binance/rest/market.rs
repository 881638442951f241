//! The market, for anybody who asks: books, trades, marks, tickers.
//!
//! Books and marks come from the core, trades from the tape that the streams are made of: an answer and a
//! stream never disagree.

use optiflow_base::clock::Nanos;
use optiflow_base::money::{Price, Side};
use serde::Serialize;

use super::{Answer, DAY_MS, Route, Weight, info, page, window};
use crate::binance::desk::Desk;
use crate::binance::errors::ApiError;
use crate::binance::json::{self, DepthBody};
use crate::binance::params::Params;
use crate::binance::tape::{AggTrade, Trade};
use crate::words::{Listing, SymbolIndex};

/// The endpoints of this file.
pub fn route(method: &str, path: &str) -> Option<Route> {
    use Weight::{Depth, Fixed, Funding, PerSymbol};
    if method != "GET" {
        return None;
    }
    Some(match path {
        "/fapi/v1/ping" => Route::open(Fixed(1), ping),
        "/fapi/v1/time" => Route::open(Fixed(1), time),
        "/fapi/v1/exchangeInfo" => Route::open(Fixed(1), info::exchange_info),
        "/fapi/v1/depth" => Route::open(Depth, depth),
        "/fapi/v1/trades" => Route::open(Fixed(5), trades),
        "/fapi/v1/historicalTrades" => Route::keyed(20, historical_trades),
        "/fapi/v1/aggTrades" => Route::open(Fixed(20), agg_trades),
        "/fapi/v1/premiumIndex" => Route::open(PerSymbol { one: 1, all: 10 }, premium_index),
        "/fapi/v1/fundingRate" => Route::open(Funding, funding_rate),
        "/fapi/v1/fundingInfo" => Route::open(Funding, info::funding_info),
        "/fapi/v1/openInterest" => Route::open(Fixed(1), open_interest),
        "/fapi/v1/symbolAdlRisk" => Route::open(Fixed(1), info::adl_risk),
        "/fapi/v1/ticker/bookTicker" => Route::open(PerSymbol { one: 2, all: 5 }, book_ticker),
        "/fapi/v1/ticker/price" | "/fapi/v2/ticker/price" => Route::open(PerSymbol { one: 1, all: 2 }, price_ticker),
        "/fapi/v1/ticker/24hr" => Route::open(PerSymbol { one: 1, all: 40 }, day_ticker),
        _ => return None,
    })
}

/// GET ping.
pub fn ping(_: &mut Desk, _: Nanos, _: &Params) -> Answer {
    Ok("{}".to_owned())
}

/// GET time.
pub fn time(desk: &mut Desk, now: Nanos, _: &Params) -> Answer {
    Ok(format!("{{\"serverTime\":{}}}", desk.liar.server_time(now).millis()))
}

/// GET depth, `depth`.
pub fn depth(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    let symbol = desk.symbol(params)?;
    let limit = params.integer("limit")?.unwrap_or(500);
    let levels = usize::try_from(limit).ok().filter(|levels| DEPTH_LIMITS.contains(levels));
    let levels = levels.ok_or_else(|| ApiError::new(-4021, format!("{limit} is not valid depth limit")))?;
    let listing = &desk.core.listings()[symbol];
    let book = desk.liar.stale_book(now, symbol).unwrap_or_else(|| desk.core.book(symbol));
    let side = |side| book.levels(side).take(levels).map(|level| json::level(level, listing)).collect();
    json::text(&DepthBody {
        last_id: book.last_id(),
        event_ms: now.millis(),
        match_ms: book.event_at().millis(),
        bids: side(Side::Buy),
        asks: side(Side::Sell),
    })
}

fn trades(desk: &mut Desk, _: Nanos, params: &Params) -> Answer {
    let symbol = desk.symbol(params)?;
    let limit = params.limit(500, 1_000)?;
    trade_rows(desk, symbol, 0, limit)
}

fn historical_trades(desk: &mut Desk, _: Nanos, params: &Params) -> Answer {
    let symbol = desk.symbol(params)?;
    let (from, limit) = (params.integer("fromId")?, params.limit(100, 500)?);
    trade_rows(desk, symbol, from.unwrap_or(0), limit)
}

fn trade_rows(desk: &Desk, symbol: SymbolIndex, from: u64, limit: usize) -> Answer {
    let listing = desk.listing(symbol);
    let wanted = desk.streams.tape().trades(symbol).iter().filter(|trade| trade.id >= from);
    let rows: Vec<TradeRow> = wanted.map(|trade| TradeRow::new(trade, listing)).collect();
    json::text(&page(rows, limit, from > 0))
}

fn agg_trades(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    let symbol = desk.symbol(params)?;
    let (from, limit) = (params.integer("fromId")?, params.limit(500, 1_000)?);
    let (start, end) = window(params, 2)?;
    if start > 0 && start < now.millis().saturating_sub(2 * DAY_MS) {
        return Err(ApiError::new(-4166, "Search window is restricted to recent 2 days only."));
    }
    let listing = desk.listing(symbol);
    let wanted = |trade: &&AggTrade| trade.id >= from.unwrap_or(0) && (start..=end).contains(&trade.at.millis());
    let rows = desk.streams.tape().agg_trades(symbol).iter().filter(wanted);
    let rows: Vec<AggTradeRow> = rows.map(|trade| AggTradeRow::new(trade, listing)).collect();
    json::text(&page(rows, limit, from.is_some() || start > 0))
}

fn premium_index(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    one_or_all(desk, params, |desk, symbol| {
        let mark = desk.core.mark(symbol);
        let full = |price: Price| json::decimal(i128::from(price.units()), 8);
        PremiumIndex {
            symbol: desk.listing(symbol).name.clone(),
            mark_price: full(mark.mark),
            index_price: full(mark.index),
            estimated_settle_price: full(mark.index),
            last_funding_rate: json::decimal(i128::from(mark.funding_rate), 8),
            interest_rate: "0.00010000",
            next_funding_time: mark.next_funding_ms,
            time: now.millis(),
        }
    })
}

fn funding_rate(desk: &mut Desk, _: Nanos, params: &Params) -> Answer {
    let symbol = desk.optional_symbol(params)?;
    let limit = params.limit(100, 1_000)?;
    let (start, end) = (params.integer("startTime")?.unwrap_or(0), params.integer("endTime")?.unwrap_or(u64::MAX));
    let wanted = desk
        .records
        .rates()
        .filter(|row| symbol.is_none_or(|symbol| row.symbol == symbol) && (start..=end).contains(&row.at_ms));
    let rows: Vec<FundingRow> = wanted
        .map(|row| FundingRow {
            symbol: desk.listing(row.symbol).name.clone(),
            funding_rate: json::decimal(i128::from(row.rate), 8),
            funding_time: row.at_ms,
            mark_price: json::decimal(i128::from(row.mark.units()), 8),
            rate_type: "Regular",
        })
        .collect();
    json::text(&page(rows, limit, start > 0))
}

/// The market source knows no open interest: what is open here is the account's own position.
fn open_interest(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    let symbol = desk.symbol(params)?;
    let listing = desk.listing(symbol);
    let open_interest = json::qty(desk.core.position(symbol).qty.abs(), listing);
    json::text(&OpenInterest { open_interest, symbol: listing.name.clone(), time: now.millis() })
}

/// GET ticker/bookTicker, `ticker.book`.
pub fn book_ticker(desk: &mut Desk, _: Nanos, params: &Params) -> Answer {
    one_or_all(desk, params, |desk, symbol| {
        let (book, listing) = (desk.core.book(symbol), desk.listing(symbol));
        let [bid_price, bid_qty] = json::level(book.best(Side::Buy).unwrap_or_default(), listing);
        let [ask_price, ask_qty] = json::level(book.best(Side::Sell).unwrap_or_default(), listing);
        BookTicker {
            symbol: listing.name.clone(),
            bid_price,
            bid_qty,
            ask_price,
            ask_qty,
            time: book.shown_since().millis(),
            last_update_id: book.top().map_or(book.last_id(), |top| top.update_id),
        }
    })
}

/// GET ticker/price, `ticker.price`.
pub fn price_ticker(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    one_or_all(desk, params, |desk, symbol| {
        let listing = desk.listing(symbol);
        let last = desk.core.last_trade_price(symbol).unwrap_or_default();
        PriceTicker { symbol: listing.name.clone(), price: json::price(last, listing), time: now.millis() }
    })
}

fn day_ticker(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    one_or_all(desk, params, |desk, symbol| DayTicker::new(desk, symbol, now))
}

/// One row when a symbol is named, an array of all otherwise.
fn one_or_all<T: Serialize>(desk: &Desk, params: &Params, row: impl Fn(&Desk, SymbolIndex) -> T) -> Answer {
    match desk.optional_symbol(params)? {
        Some(symbol) => json::text(&row(desk, symbol)),
        None => {
            let rows: Vec<T> = (0..desk.core.listings().len()).map(|symbol| row(desk, symbol)).collect();
            json::text(&rows)
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TradeRow {
    id: u64,
    price: String,
    qty: String,
    quote_qty: String,
    time: u64,
    is_buyer_maker: bool,
    #[serde(rename = "isRPITrade")]
    is_rpi_trade: bool,
}

impl TradeRow {
    fn new(trade: &Trade, listing: &Listing) -> TradeRow {
        TradeRow {
            id: trade.id,
            price: json::price(trade.price, listing),
            qty: json::qty(trade.qty, listing),
            quote_qty: json::decimal(trade.price.times(trade.qty).units(), listing.price_precision),
            time: trade.at.millis(),
            is_buyer_maker: trade.taker == Side::Sell,
            is_rpi_trade: false,
        }
    }
}

#[derive(Serialize)]
struct AggTradeRow {
    a: u64,
    p: String,
    q: String,
    nq: String,
    f: u64,
    l: u64,
    #[serde(rename = "T")]
    time: u64,
    m: bool,
}

impl AggTradeRow {
    fn new(trade: &AggTrade, listing: &Listing) -> AggTradeRow {
        let qty = json::qty(trade.qty, listing);
        AggTradeRow {
            a: trade.id,
            p: json::price(trade.price, listing),
            q: qty.clone(),
            nq: qty,
            f: trade.first_id,
            l: trade.last_id,
            time: trade.at.millis(),
            m: trade.taker == Side::Sell,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PremiumIndex {
    symbol: String,
    mark_price: String,
    index_price: String,
    estimated_settle_price: String,
    last_funding_rate: String,
    interest_rate: &'static str,
    next_funding_time: u64,
    time: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FundingRow {
    symbol: String,
    funding_rate: String,
    funding_time: u64,
    mark_price: String,
    rate_type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OpenInterest {
    open_interest: String,
    symbol: String,
    time: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BookTicker {
    symbol: String,
    bid_price: String,
    bid_qty: String,
    ask_price: String,
    ask_qty: String,
    time: u64,
    last_update_id: u64,
}

#[derive(Serialize)]
struct PriceTicker {
    symbol: String,
    price: String,
    time: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DayTicker {
    symbol: String,
    price_change: String,
    price_change_percent: String,
    weighted_avg_price: String,
    last_price: String,
    last_qty: String,
    open_price: String,
    high_price: String,
    low_price: String,
    volume: String,
    quote_volume: String,
    open_time: u64,
    close_time: u64,
    first_id: i64,
    last_id: i64,
    count: u64,
}

impl DayTicker {
    /// All zero while nothing has traded, as for a new listing.
    fn new(desk: &Desk, symbol: SymbolIndex, now: Nanos) -> DayTicker {
        let listing = desk.listing(symbol);
        let day = desk.streams.tape().day(symbol, now);
        let price =
            |of: fn(&crate::binance::tape::Day) -> Price| json::price(day.as_ref().map_or(Price::ZERO, of), listing);
        let id = |of: fn((u64, u64)) -> u64| {
            day.and_then(|day| day.ids).and_then(|ids| i64::try_from(of(ids)).ok()).unwrap_or(NO_TRADE)
        };
        DayTicker {
            symbol: listing.name.clone(),
            price_change: price(|day| day.close - day.open),
            price_change_percent: json::decimal(day.map_or(0, |day| i128::from(day.change_percent_units())), 3),
            weighted_avg_price: price(|day| day.average()),
            last_price: price(|day| day.close),
            last_qty: json::qty(day.map(|day| day.last_qty).unwrap_or_default(), listing),
            open_price: price(|day| day.open),
            high_price: price(|day| day.high),
            low_price: price(|day| day.low),
            volume: json::qty(day.map(|day| day.volume).unwrap_or_default(), listing),
            quote_volume: json::quote(day.map(|day| day.quote).unwrap_or_default(), listing),
            open_time: day.map_or(now.millis(), |day| day.open_ms),
            close_time: now.millis(),
            first_id: id(|ids| ids.0),
            last_id: id(|ids| ids.1),
            count: day.map_or(0, |day| day.count),
        }
    }
}

/// Levels that may be asked for.
const DEPTH_LIMITS: [usize; 7] = [5, 10, 20, 50, 100, 500, 1_000];
/// Trade id where there is none.
const NO_TRADE: i64 = -1;
