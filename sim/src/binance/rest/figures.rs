//! What is said of the account in numbers: totals, assets, positions.
//!
//! Every figure is the core's, or exact arithmetic on the core's figures; nothing is computed with floats.

use optiflow_base::money::{Notional, Price, Side};
use serde::Serialize;

use crate::binance::desk::Desk;
use crate::binance::json::{self, amount};
use crate::core::brackets::{maintenance_margin, notional_max};
use crate::words::{Position, SymbolIndex};

/// A position and what it binds.
struct Figures {
    position: Position,
    mark: Price,
    notional: Notional,
    unrealized: Notional,
    maintenance: Notional,
    initial: Notional,
    of_position: Notional,
    bids: Notional,
    asks: Notional,
}

impl Figures {
    fn new(desk: &Desk, symbol: SymbolIndex) -> Figures {
        let core = &desk.core;
        let position = core.position(symbol);
        let mark = core.reference_price(symbol);
        let notional = mark.times(position.qty);
        Figures {
            position,
            mark,
            notional,
            unrealized: core.unrealized(symbol),
            maintenance: if position.qty.is_zero() { Notional::ZERO } else { maintenance_margin(notional) },
            initial: core.initial_margin(symbol),
            of_position: core.position_margin(symbol),
            bids: core.open_notional(symbol, Side::Buy),
            asks: core.open_notional(symbol, Side::Sell),
        }
    }

    /// Zero is written short where no order is open.
    fn order_margin(&self) -> String {
        let margin = self.initial - self.of_position;
        if margin.is_zero() { "0".to_owned() } else { amount(margin) }
    }
}

/// Totals of the account.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    total_initial_margin: String,
    total_maint_margin: String,
    total_wallet_balance: String,
    total_unrealized_profit: String,
    total_margin_balance: String,
    total_position_initial_margin: String,
    total_open_order_initial_margin: String,
    total_cross_wallet_balance: String,
    total_cross_un_pnl: String,
    available_balance: String,
    max_withdraw_amount: String,
}

impl Totals {
    /// As they stand.
    pub fn new(desk: &Desk) -> Totals {
        let asset = AssetRow::new(desk);
        Totals {
            total_initial_margin: asset.initial_margin,
            total_maint_margin: asset.maint_margin,
            total_wallet_balance: asset.wallet_balance,
            total_unrealized_profit: asset.unrealized_profit,
            total_margin_balance: asset.margin_balance,
            total_position_initial_margin: asset.position_initial_margin,
            total_open_order_initial_margin: asset.open_order_initial_margin,
            total_cross_wallet_balance: asset.cross_wallet_balance,
            total_cross_un_pnl: asset.cross_un_pnl,
            available_balance: asset.available_balance,
            max_withdraw_amount: asset.max_withdraw_amount,
        }
    }
}

/// The one asset of the account, in v3.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssetRow {
    asset: &'static str,
    wallet_balance: String,
    unrealized_profit: String,
    margin_balance: String,
    maint_margin: String,
    initial_margin: String,
    position_initial_margin: String,
    open_order_initial_margin: String,
    cross_wallet_balance: String,
    cross_un_pnl: String,
    available_balance: String,
    max_withdraw_amount: String,
    update_time: u64,
}

impl AssetRow {
    /// As it stands.
    pub fn new(desk: &Desk) -> AssetRow {
        let figures: Vec<Figures> = (0..desk.core.listings().len()).map(|symbol| Figures::new(desk, symbol)).collect();
        let sum = |of: fn(&Figures) -> Notional| figures.iter().map(of).sum::<Notional>();
        let (wallet, unrealized) = (desk.core.wallet(), sum(|figures| figures.unrealized));
        let (initial, of_positions) = (sum(|figures| figures.initial), sum(|figures| figures.of_position));
        let available = amount(desk.core.available().max(Notional::ZERO));
        AssetRow {
            asset: "USDT",
            wallet_balance: amount(wallet),
            unrealized_profit: amount(unrealized),
            margin_balance: amount(wallet + unrealized),
            maint_margin: amount(sum(|figures| figures.maintenance)),
            initial_margin: amount(initial),
            position_initial_margin: amount(of_positions),
            open_order_initial_margin: amount(initial - of_positions),
            cross_wallet_balance: amount(wallet),
            cross_un_pnl: amount(unrealized),
            available_balance: available.clone(),
            max_withdraw_amount: available,
            update_time: figures.iter().map(|figures| figures.position.updated.millis()).max().unwrap_or(0),
        }
    }
}

/// The one asset of the account, in v2.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssetRowV2 {
    #[serde(flatten)]
    row: AssetRow,
    margin_available: bool,
}

impl AssetRowV2 {
    /// As it stands.
    pub fn new(desk: &Desk) -> AssetRowV2 {
        AssetRowV2 { row: AssetRow::new(desk), margin_available: true }
    }
}

/// The balance endpoints' row.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BalanceRow {
    account_alias: &'static str,
    asset: &'static str,
    balance: String,
    cross_wallet_balance: String,
    cross_un_pnl: String,
    available_balance: String,
    max_withdraw_amount: String,
    margin_available: bool,
    update_time: u64,
}

impl BalanceRow {
    /// As it stands.
    pub fn new(desk: &Desk) -> BalanceRow {
        let asset = AssetRow::new(desk);
        BalanceRow {
            account_alias: "SgsR",
            asset: asset.asset,
            balance: asset.wallet_balance,
            cross_wallet_balance: asset.cross_wallet_balance,
            cross_un_pnl: asset.cross_un_pnl,
            available_balance: asset.available_balance,
            max_withdraw_amount: asset.max_withdraw_amount,
            margin_available: true,
            update_time: asset.update_time,
        }
    }
}

/// A position in v3/account.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    symbol: String,
    position_side: &'static str,
    position_amt: String,
    unrealized_profit: String,
    isolated_margin: &'static str,
    notional: String,
    isolated_wallet: &'static str,
    initial_margin: String,
    maint_margin: String,
    update_time: u64,
}

impl Held {
    /// As it stands.
    pub fn new(desk: &Desk, symbol: SymbolIndex) -> Held {
        let (figures, listing) = (Figures::new(desk, symbol), desk.listing(symbol));
        Held {
            symbol: listing.name.clone(),
            position_side: "BOTH",
            position_amt: json::qty(figures.position.qty, listing),
            unrealized_profit: amount(figures.unrealized),
            isolated_margin: "0",
            notional: amount(figures.notional),
            isolated_wallet: "0",
            initial_margin: amount(figures.initial),
            maint_margin: amount(figures.maintenance),
            update_time: figures.position.updated.millis(),
        }
    }
}

/// A position in v2/account.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldV2 {
    symbol: String,
    initial_margin: String,
    maint_margin: String,
    unrealized_profit: String,
    position_initial_margin: String,
    open_order_initial_margin: String,
    leverage: String,
    isolated: bool,
    entry_price: String,
    break_even_price: String,
    max_notional: String,
    bid_notional: String,
    ask_notional: String,
    position_side: &'static str,
    position_amt: String,
    update_time: u64,
}

impl HeldV2 {
    /// As it stands.
    pub fn new(desk: &Desk, symbol: SymbolIndex) -> HeldV2 {
        let (figures, listing) = (Figures::new(desk, symbol), desk.listing(symbol));
        let leverage = desk.core.leverage(symbol);
        HeldV2 {
            symbol: listing.name.clone(),
            initial_margin: amount(figures.initial),
            maint_margin: amount(figures.maintenance),
            unrealized_profit: amount(figures.unrealized),
            position_initial_margin: amount(figures.of_position),
            open_order_initial_margin: figures.order_margin(),
            leverage: leverage.to_string(),
            isolated: false,
            entry_price: figures.position.entry.to_string(),
            break_even_price: figures.position.break_even().to_string(),
            max_notional: notional_max(leverage).to_string(),
            bid_notional: figures.bids.to_string(),
            ask_notional: figures.asks.to_string(),
            position_side: "BOTH",
            position_amt: json::qty(figures.position.qty, listing),
            update_time: figures.position.updated.millis(),
        }
    }
}

/// A row of v3/positionRisk.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PositionV3 {
    symbol: String,
    position_side: &'static str,
    position_amt: String,
    entry_price: String,
    break_even_price: String,
    mark_price: String,
    un_realized_profit: String,
    liquidation_price: &'static str,
    isolated_margin: &'static str,
    notional: String,
    margin_asset: &'static str,
    isolated_wallet: &'static str,
    initial_margin: String,
    maint_margin: String,
    position_initial_margin: String,
    open_order_initial_margin: String,
    adl: u32,
    bid_notional: String,
    ask_notional: String,
    update_time: u64,
}

impl PositionV3 {
    /// As it stands.
    pub fn new(desk: &Desk, symbol: SymbolIndex) -> PositionV3 {
        let (figures, listing) = (Figures::new(desk, symbol), desk.listing(symbol));
        PositionV3 {
            symbol: listing.name.clone(),
            position_side: "BOTH",
            position_amt: json::qty(figures.position.qty, listing),
            entry_price: figures.position.entry.to_string(),
            break_even_price: figures.position.break_even().to_string(),
            mark_price: json::decimal(i128::from(figures.mark.units()), 8),
            un_realized_profit: amount(figures.unrealized),
            liquidation_price: "0",
            isolated_margin: "0",
            notional: amount(figures.notional),
            margin_asset: "USDT",
            isolated_wallet: "0",
            initial_margin: amount(figures.initial),
            maint_margin: amount(figures.maintenance),
            position_initial_margin: amount(figures.of_position),
            open_order_initial_margin: figures.order_margin(),
            adl: 0,
            bid_notional: figures.bids.to_string(),
            ask_notional: figures.asks.to_string(),
            update_time: figures.position.updated.millis(),
        }
    }
}

/// A row of v2/positionRisk.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PositionV2 {
    symbol: String,
    position_amt: String,
    entry_price: String,
    break_even_price: String,
    mark_price: String,
    un_realized_profit: String,
    liquidation_price: &'static str,
    leverage: String,
    max_notional_value: String,
    margin_type: &'static str,
    isolated_margin: &'static str,
    is_auto_add_margin: &'static str,
    position_side: &'static str,
    notional: String,
    isolated_wallet: &'static str,
    update_time: u64,
}

impl PositionV2 {
    /// As it stands.
    pub fn new(desk: &Desk, symbol: SymbolIndex) -> PositionV2 {
        let (figures, listing) = (Figures::new(desk, symbol), desk.listing(symbol));
        let leverage = desk.core.leverage(symbol);
        PositionV2 {
            symbol: listing.name.clone(),
            position_amt: json::qty(figures.position.qty, listing),
            entry_price: figures.position.entry.to_string(),
            break_even_price: figures.position.break_even().to_string(),
            mark_price: json::decimal(i128::from(figures.mark.units()), 8),
            un_realized_profit: amount(figures.unrealized),
            liquidation_price: "0",
            leverage: leverage.to_string(),
            max_notional_value: notional_max(leverage).to_string(),
            margin_type: "cross",
            isolated_margin: "0.00000000",
            is_auto_add_margin: "false",
            position_side: "BOTH",
            notional: amount(figures.notional),
            isolated_wallet: "0",
            update_time: figures.position.updated.millis(),
        }
    }
}
