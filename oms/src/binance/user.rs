//! The user data stream: events about our orders, positions and wallet, read into our words.
//!
//! Raw or combined frames; unknown events and fields are tolerated, missing optional ones too. A frame of a known kind
//! that cannot be read is an error, because it may have been a fill. Never panics, whatever the bytes.
//! Allocates nothing for events as the exchange writes them. Runs on the oms thread.

use std::borrow::Cow;

use arrayvec::{ArrayString, ArrayVec};
use optiflow_base::ids::{ExchangeOrderId, TradeId};
use optiflow_base::money::{Notional, Price, Qty, Side};
use optiflow_base::order::Terms;
use serde::Deserialize;

use crate::binance::json::{Bounded, Cut, MoneyText, PriceText, QtyText, Text, Whole};
use crate::binance::truth::Status;
use crate::order::Fill;

/// Something that happened to the account.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "boxing it would allocate for every event")]
pub enum UserEvent<'a> {
    /// To an order.
    Order(OrderUpdate<'a>),
    /// A trade, told early and without its fee: only a sign of life, the full event books it.
    TradeLite {
        /// When it was pushed, exchange ms.
        event_ms: u64,
    },
    /// To wallet and positions.
    Account(AccountUpdate),
    /// The listen key has expired: nothing more will come here.
    ListenKeyExpired,
    /// A setting of the account or of a symbol was changed, by whomever.
    Settings {
        /// New leverage, when that was it.
        leverage: Option<u32>,
    },
    /// Positions are close to liquidation.
    MarginCall,
    /// Anything else.
    Other,
}

/// An order event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderUpdate<'a> {
    /// When it was pushed, exchange ms.
    pub event_ms: u64,
    /// When it happened in the engine, exchange ms.
    pub trade_ms: u64,
    /// Venue symbol.
    pub symbol: Cow<'a, str>,
    /// Client order id: ours, a person's, or the exchange's own for liquidations.
    pub client: Cow<'a, str>,
    /// Buy or sell.
    pub side: Side,
    /// The exchange's id.
    pub exchange_id: ExchangeOrderId,
    /// Its new terms, when it tells of a modification.
    pub amended: Option<Terms>,
    /// Status after the event.
    pub status: Status,
    /// Traded so far.
    pub executed: Qty,
    /// The trade, when it was one. Its fee counts only when `fee_asset` is the margin asset.
    pub fill: Option<Fill>,
    /// In what the fee was paid.
    pub fee_asset: ArrayString<ASSET_LEN_MAX>,
}

/// A wallet and position event. It tells what changed, not everything there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountUpdate {
    /// When it was pushed, exchange ms.
    pub event_ms: u64,
    /// Wallet balances that changed.
    pub wallets: ArrayVec<(ArrayString<ASSET_LEN_MAX>, Notional), WALLETS_MAX>,
    /// Positions that changed.
    pub positions: ArrayVec<PositionUpdate, POSITIONS_MAX>,
    /// More changed than fits here: ask for everything.
    pub more: bool,
}

/// A position after the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositionUpdate {
    /// Venue symbol.
    pub symbol: ArrayString<SYMBOL_LEN_MAX>,
    /// Not `BOTH`: the account is in hedge mode.
    pub hedged: bool,
    /// Signed quantity.
    pub qty: Qty,
    /// Average entry price.
    pub entry: Price,
}

impl UserEvent<'_> {
    /// When it was pushed, exchange ms; 0 where it does not say.
    pub const fn event_ms(&self) -> u64 {
        match self {
            UserEvent::Order(order) => order.event_ms,
            UserEvent::Account(account) => account.event_ms,
            UserEvent::TradeLite { event_ms } => *event_ms,
            UserEvent::ListenKeyExpired | UserEvent::Settings { .. } | UserEvent::MarginCall | UserEvent::Other => 0,
        }
    }
}

/// Reads a frame.
pub fn parse(bytes: &[u8]) -> Result<UserEvent<'_>, serde_json::Error> {
    if bytes.starts_with(ORDER_UPDATE_BEGIN) {
        // As the exchange writes it: no need to find out first what it is.
        return Ok(UserEvent::Order(body::<RawOrderEvent<'_>>(bytes, false)?.read()));
    }
    let head: Head<'_> = serde_json::from_slice(bytes)?;
    let (combined, kind) = match (&head.data, &head.e) {
        (Some(data), _) => (true, data.e.as_deref()),
        (None, kind) => (false, kind.as_deref()),
    };
    Ok(match kind {
        Some("ORDER_TRADE_UPDATE") => UserEvent::Order(body::<RawOrderEvent<'_>>(bytes, combined)?.read()),
        Some("TRADE_LITE") => UserEvent::TradeLite { event_ms: body::<RawTimes>(bytes, combined)?.event_ms.0 },
        Some("ACCOUNT_UPDATE") => UserEvent::Account(body::<RawAccountEvent<'_>>(bytes, combined)?.read()),
        Some("listenKeyExpired") => UserEvent::ListenKeyExpired,
        Some("ACCOUNT_CONFIG_UPDATE") => {
            let raw = body::<RawSettings>(bytes, combined)?;
            UserEvent::Settings { leverage: raw.ac.map(|ac| ac.l) }
        }
        Some("MARGIN_CALL") => UserEvent::MarginCall,
        Some(_) | None => UserEvent::Other,
    })
}

fn body<'a, T: Deserialize<'a>>(bytes: &'a [u8], combined: bool) -> Result<T, serde_json::Error> {
    if combined {
        serde_json::from_slice::<Combined<T>>(bytes).map(|frame| frame.data)
    } else {
        serde_json::from_slice(bytes)
    }
}

#[derive(Deserialize)]
struct Combined<T> {
    data: T,
}

/// Just enough to know what a frame is.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(default, borrow)]
    e: Option<Text<'a>>,
    #[serde(default, borrow)]
    data: Option<DataHead<'a>>,
}

#[derive(Deserialize)]
struct DataHead<'a> {
    #[serde(default, borrow)]
    e: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct RawTimes {
    #[serde(default, rename = "E")]
    event_ms: Whole,
}

#[derive(Deserialize)]
struct RawSettings {
    #[serde(default)]
    ac: Option<RawLeverage>,
}

#[derive(Deserialize)]
struct RawLeverage {
    l: u32,
}

#[derive(Deserialize)]
struct RawOrderEvent<'a> {
    #[serde(default, rename = "E")]
    event_ms: Whole,
    #[serde(borrow)]
    o: RawOrder<'a>,
}

#[derive(Deserialize)]
struct RawOrder<'a> {
    #[serde(borrow)]
    s: Text<'a>,
    #[serde(borrow)]
    c: Text<'a>,
    #[serde(rename = "S")]
    side: RawSide,
    #[serde(borrow)]
    x: Text<'a>,
    #[serde(borrow, rename = "X")]
    status: Text<'a>,
    i: u64,
    #[serde(default)]
    p: PriceText,
    #[serde(default)]
    q: QtyText,
    #[serde(default)]
    l: QtyText,
    #[serde(default)]
    z: QtyText,
    #[serde(default, rename = "L")]
    price: PriceText,
    #[serde(default)]
    n: MoneyText,
    #[serde(default, borrow, rename = "N")]
    asset: Option<Text<'a>>,
    #[serde(default, rename = "T")]
    trade_ms: Whole,
    #[serde(default)]
    t: u64,
    #[serde(default)]
    m: bool,
}

#[derive(Clone, Copy, Deserialize)]
enum RawSide {
    #[serde(rename = "BUY")]
    Buy,
    #[serde(rename = "SELL")]
    Sell,
}

impl<'a> RawOrderEvent<'a> {
    fn read(self) -> OrderUpdate<'a> {
        let raw = self.o;
        // CALCULATED is how liquidations tell their trades.
        let traded = matches!(&*raw.x, "TRADE" | "CALCULATED") && raw.l.0 != 0;
        let fill = Fill {
            trade: TradeId(raw.t),
            price: Price::from_units(raw.price.0),
            qty: Qty::from_units(raw.l.0),
            maker: raw.m,
            fee: raw.n.0,
        };
        OrderUpdate {
            event_ms: self.event_ms.0,
            trade_ms: raw.trade_ms.0,
            symbol: raw.s.0,
            client: raw.c.0,
            side: match raw.side {
                RawSide::Buy => Side::Buy,
                RawSide::Sell => Side::Sell,
            },
            exchange_id: ExchangeOrderId(raw.i),
            amended: (&*raw.x == "AMENDMENT")
                .then(|| Terms { price: Price::from_units(raw.p.0), qty: Qty::from_units(raw.q.0) }),
            status: Status::parse(&raw.status),
            executed: Qty::from_units(raw.z.0),
            fill: traded.then_some(fill),
            fee_asset: short(raw.asset.as_deref().unwrap_or_default()),
        }
    }
}

#[derive(Deserialize)]
struct RawAccountEvent<'a> {
    #[serde(default, rename = "E")]
    event_ms: Whole,
    #[serde(borrow)]
    a: RawAccount<'a>,
}

#[derive(Deserialize)]
struct RawAccount<'a> {
    #[serde(default, borrow, rename = "B")]
    wallets: Bounded<RawWallet<'a>, WALLETS_MAX>,
    #[serde(default, borrow, rename = "P")]
    positions: Bounded<RawPosition<'a>, POSITIONS_MAX>,
}

#[derive(Deserialize)]
struct RawWallet<'a> {
    #[serde(borrow)]
    a: Text<'a>,
    wb: MoneyText,
}

#[derive(Deserialize)]
struct RawPosition<'a> {
    #[serde(borrow)]
    s: Text<'a>,
    pa: QtyText,
    #[serde(default)]
    ep: Cut,
    #[serde(default, borrow)]
    ps: Option<Text<'a>>,
}

impl RawAccountEvent<'_> {
    fn read(self) -> AccountUpdate {
        let wallet = |raw: &RawWallet<'_>| (short(&raw.a), Notional::from_units(i128::from(raw.wb.0)));
        let position = |raw: &RawPosition<'_>| PositionUpdate {
            symbol: short(&raw.s),
            hedged: raw.ps.as_deref().is_some_and(|side| side != "BOTH"),
            qty: Qty::from_units(raw.pa.0),
            entry: Price::from_units(raw.ep.0),
        };
        AccountUpdate {
            event_ms: self.event_ms.0,
            wallets: self.a.wallets.items.iter().map(wallet).collect(),
            positions: self.a.positions.items.iter().map(position).collect(),
            more: self.a.wallets.more || self.a.positions.more,
        }
    }
}

/// A short name; a longer one matches nothing of ours and becomes empty.
fn short<const LEN: usize>(text: &str) -> ArrayString<LEN> {
    ArrayString::from(text).unwrap_or_default()
}

/// How the event that matters most begins.
const ORDER_UPDATE_BEGIN: &[u8] = br#"{"e":"ORDER_TRADE_UPDATE","#;
/// Longest asset name kept.
pub const ASSET_LEN_MAX: usize = 16;
/// Longest symbol kept.
pub const SYMBOL_LEN_MAX: usize = 24;
/// Wallet rows read of one event.
pub const WALLETS_MAX: usize = 4;
/// Position rows read of one event.
pub const POSITIONS_MAX: usize = 8;

#[cfg(test)]
mod tests;
