//! The account: balances, positions, margin, income, and what is true of everybody's account here.
//!
//! One asset, cross margin, one-way mode. The figures themselves are made in `figures`.

use optiflow_base::clock::Nanos;
use optiflow_base::money::Notional;
use serde::Serialize;

use super::figures::{AssetRow, AssetRowV2, BalanceRow, Held, HeldV2, PositionV2, PositionV3, Totals};
use super::{Answer, DAY_MS, Route, page, week};
use crate::binance::desk::Desk;
use crate::binance::json;
use crate::binance::params::Params;
use crate::core::brackets::{BRACKETS, Bracket};
use crate::words::SymbolIndex;

/// The endpoints of this file.
pub fn route(method: &str, path: &str) -> Option<Route> {
    if method != "GET" {
        return None;
    }
    Some(match path {
        "/fapi/v2/account" => Route::signed(5, status_v2),
        "/fapi/v3/account" => Route::signed(5, status_v3),
        "/fapi/v2/balance" | "/fapi/v3/balance" => Route::signed(5, balance),
        "/fapi/v2/positionRisk" => Route::signed(5, positions_v2),
        "/fapi/v3/positionRisk" => Route::signed(5, positions_v3),
        "/fapi/v1/commissionRate" => Route::signed(20, commission_rate),
        "/fapi/v1/apiTradingStatus" => Route::signed_per_symbol(1, 10, trading_status),
        "/fapi/v1/income" => Route::signed(30, income),
        "/fapi/v1/adlQuantile" => Route::signed(5, adl_quantile),
        "/fapi/v1/leverageBracket" => Route::signed(1, leverage_brackets),
        _ => return None,
    })
}

/// GET v2/account, `account.status`.
pub fn status_v2(desk: &mut Desk, _: Nanos, _: &Params) -> Answer {
    let symbols = 0..desk.core.listings().len();
    json::text(&StatusV2 {
        fee_tier: 0,
        fee_burn: false,
        can_trade: true,
        can_deposit: true,
        can_withdraw: true,
        update_time: 0,
        multi_assets_margin: false,
        trade_group_id: -1,
        totals: Totals::new(desk),
        assets: [AssetRowV2::new(desk)],
        positions: symbols.map(|symbol| HeldV2::new(desk, symbol)).collect(),
    })
}

/// GET v3/account, `v2/account.status`.
pub fn status_v3(desk: &mut Desk, _: Nanos, _: &Params) -> Answer {
    let positions = used_symbols(desk).map(|symbol| Held::new(desk, symbol)).collect();
    json::text(&StatusV3 { totals: Totals::new(desk), assets: [AssetRow::new(desk)], positions })
}

/// GET balance, `account.balance`.
pub fn balance(desk: &mut Desk, _: Nanos, _: &Params) -> Answer {
    json::text(&[BalanceRow::new(desk)])
}

/// GET v2/positionRisk, `account.position`: every symbol, or the one that is named.
pub fn positions_v2(desk: &mut Desk, _: Nanos, params: &Params) -> Answer {
    let named = desk.optional_symbol(params)?;
    let symbols = (0..desk.core.listings().len()).filter(|symbol| named.is_none_or(|named| named == *symbol));
    json::text(&symbols.map(|symbol| PositionV2::new(desk, symbol)).collect::<Vec<_>>())
}

/// GET v3/positionRisk, `v2/account.position`: only symbols with a position or open orders.
pub fn positions_v3(desk: &mut Desk, _: Nanos, params: &Params) -> Answer {
    let named = desk.optional_symbol(params)?;
    let symbols = used_symbols(desk).filter(|symbol| named.is_none_or(|named| named == *symbol));
    json::text(&symbols.map(|symbol| PositionV3::new(desk, symbol)).collect::<Vec<_>>())
}

fn commission_rate(desk: &mut Desk, _: Nanos, params: &Params) -> Answer {
    let symbol = desk.symbol(params)?;
    let rate = |ppm: i64| json::decimal(i128::from(ppm) * 100, 6);
    let config = desk.core.config();
    json::text(&CommissionRate {
        symbol: desk.listing(symbol).name.clone(),
        maker_commission_rate: rate(config.maker_fee_ppm),
        taker_commission_rate: rate(config.taker_fee_ppm),
        rpi_commission_rate: rate(config.maker_fee_ppm),
    })
}

/// No indicator is kept here, so every symbol is below its recording threshold and absent.
fn trading_status(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    desk.optional_symbol(params)?;
    Ok(format!("{{\"indicators\":{{}},\"updateTime\":{}}}", now.millis()))
}

fn adl_quantile(desk: &mut Desk, _: Nanos, params: &Params) -> Answer {
    let named = desk.optional_symbol(params)?;
    let held = used_symbols(desk).filter(|symbol| named.is_none_or(|named| named == *symbol));
    let row = |symbol| AdlRow { symbol: desk.listing(symbol).name.clone(), adl_quantile: AdlQuantile::default() };
    json::text(&held.map(row).collect::<Vec<_>>())
}

fn leverage_brackets(desk: &mut Desk, _: Nanos, params: &Params) -> Answer {
    let row = |symbol| Brackets { symbol: desk.listing(symbol).name.clone(), brackets: bracket_rows() };
    match desk.optional_symbol(params)? {
        Some(symbol) => json::text(&[row(symbol)]),
        None => json::text(&(0..desk.core.listings().len()).map(row).collect::<Vec<_>>()),
    }
}

fn income(desk: &mut Desk, now: Nanos, params: &Params) -> Answer {
    let symbol = desk.optional_symbol(params)?;
    let kind = params.optional("incomeType")?;
    let limit = params.limit(100, 1_000)?;
    let number = usize::try_from(params.integer("page")?.unwrap_or(1)).unwrap_or(usize::MAX).max(1);
    let (start, end) = week(now, params, 90, false)?;
    let start = start.max(now.millis().saturating_sub(90 * DAY_MS));
    let mut rows = income_rows(desk, symbol);
    rows.retain(|row| kind.is_none_or(|kind| row.income_type == kind) && (start..=end).contains(&row.time));
    rows.sort_by_key(|row| row.time);
    if params.has("page") {
        rows = rows.into_iter().skip((number - 1).saturating_mul(limit)).collect();
    }
    json::text(&page(rows, limit, params.has("startTime") || params.has("page")))
}

fn income_rows(desk: &Desk, symbol: Option<SymbolIndex>) -> Vec<IncomeRow> {
    let mut rows = Vec::new();
    let mut row = |symbol: SymbolIndex, income_type, income: Notional, id: u64, at: Nanos, of_trade: bool| {
        let trade = if of_trade { id.to_string() } else { String::new() };
        rows.push(IncomeRow {
            symbol: desk.listing(symbol).name.clone(),
            income_type,
            income: json::amount(income),
            asset: "USDT",
            info: if of_trade { trade.clone() } else { income_type.to_owned() },
            time: at.millis(),
            tran_id: id,
            trade_id: trade,
        });
    };
    for fill in desk.core.fills(symbol) {
        row(fill.symbol, "COMMISSION", -fill.fee, fill.trade_id, fill.at, true);
        if !fill.realized.is_zero() {
            row(fill.symbol, "REALIZED_PNL", fill.realized, fill.trade_id, fill.at, true);
        }
    }
    for paid in desk.records.paid().filter(|paid| symbol.is_none_or(|symbol| paid.symbol == symbol)) {
        row(paid.symbol, "FUNDING_FEE", paid.amount, paid.id, paid.at, false);
    }
    rows
}

fn used_symbols(desk: &Desk) -> impl Iterator<Item = SymbolIndex> {
    (0..desk.core.listings().len())
        .filter(|&symbol| !desk.core.position(symbol).qty.is_zero() || !desk.core.open_orders(Some(symbol)).is_empty())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusV2 {
    fee_tier: u32,
    fee_burn: bool,
    can_trade: bool,
    can_deposit: bool,
    can_withdraw: bool,
    update_time: u64,
    multi_assets_margin: bool,
    trade_group_id: i64,
    #[serde(flatten)]
    totals: Totals,
    assets: [AssetRowV2; 1],
    positions: Vec<HeldV2>,
}

#[derive(Serialize)]
struct StatusV3 {
    #[serde(flatten)]
    totals: Totals,
    assets: [AssetRow; 1],
    positions: Vec<Held>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CommissionRate {
    symbol: String,
    maker_commission_rate: String,
    taker_commission_rate: String,
    rpi_commission_rate: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AdlRow {
    symbol: String,
    adl_quantile: AdlQuantile,
}

/// First in no queue: nobody is deleveraged here.
#[derive(Default, Serialize)]
#[serde(rename_all = "UPPERCASE")]
struct AdlQuantile {
    long: u32,
    short: u32,
    both: u32,
}

#[derive(Serialize)]
struct Brackets {
    symbol: String,
    brackets: Vec<BracketRow>,
}

/// A bracket, as `leverageBracket` answers it. Numbers are JSON numbers there, so ratios and sums are floats: they are
/// written, never computed with.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BracketRow {
    bracket: usize,
    initial_leverage: u32,
    notional_cap: u64,
    notional_floor: u64,
    maint_margin_ratio: f64,
    cum: f64,
}

fn bracket_rows() -> Vec<BracketRow> {
    let row = |(index, bracket): (usize, &Bracket)| BracketRow {
        bracket: index + 1,
        initial_leverage: bracket.leverage,
        notional_cap: bracket.cap,
        notional_floor: bracket.floor,
        maint_margin_ratio: bracket.ratio_ppm as f64 / 1e6,
        cum: bracket.cum as f64,
    };
    BRACKETS.iter().enumerate().map(row).collect()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IncomeRow {
    symbol: String,
    income_type: &'static str,
    income: String,
    asset: &'static str,
    info: String,
    time: u64,
    tran_id: u64,
    trade_id: String,
}
