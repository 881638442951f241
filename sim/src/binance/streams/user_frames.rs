//! User data events as Binance writes them: key by key, in the order of the wire; numbers trimmed as they arrive there.
//!
//! Pure: values in, one line of JSON out.

use optiflow_base::clock::Nanos;
use optiflow_base::decimal;
use optiflow_base::money::{Notional, Price, Qty, Side};
use optiflow_base::order::OrderKind;
use serde_json::Value;

use super::frames;
use crate::binance::algo::{Algo, AlgoStatus};
use crate::binance::json;
use crate::binance::tape::average_price;
use crate::words::{Fill, Listing, Order, OrderStatus, Position, SelfTrade};

/// What happened to an order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Execution<'a> {
    /// It was accepted.
    New,
    /// It traded.
    Trade(&'a Fill),
    /// It was amended.
    Amendment,
    /// It ended unfilled, for Binance's reason `er`.
    Ended(u8),
}

/// What the account has open on a symbol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenNotional {
    /// Open buy orders.
    pub bids: Notional,
    /// Open sell orders.
    pub asks: Notional,
}

/// `ORDER_TRADE_UPDATE`
pub fn order(now: Nanos, listing: &Listing, order: &Order, execution: Execution<'_>, open: OpenNotional) -> String {
    let placed = &order.placed;
    let fill = match execution {
        Execution::Trade(fill) => Some(fill),
        Execution::New | Execution::Amendment | Execution::Ended(_) => None,
    };
    let at = fill.map_or(order.updated, |fill| fill.at);
    let average = average_price(order.filled_quote, order.filled).unwrap_or_default();
    let kind = match placed.kind {
        OrderKind::Limit => "LIMIT",
        OrderKind::Market => "MARKET",
    };
    format!(
        r#"{{"e":"ORDER_TRADE_UPDATE","T":{T},"E":{E},"o":{{"s":"{s}","c":{c},"S":"{S}","o":"{kind}","f":"{f}","q":"{q}","p":"{p}","ap":"{average}","sp":"0","x":"{x}","X":"{X}","i":{i},"l":"{l}","z":"{z}","L":"{L}","n":"{n}","N":"{MARGIN_ASSET}","T":{T},"t":{t},"b":"{b}","a":"{a}","m":{m},"R":{R},"wt":"CONTRACT_PRICE","ot":"{kind}","ps":"BOTH","cp":false,"rp":"{rp}","pP":false,"si":0,"ss":0,"V":"{V}","pm":"{pm}","gtd":{gtd},"er":"{er}"}}}}"#,
        T = at.millis(),
        E = now.max(at).millis(),
        s = listing.name,
        c = Value::from(placed.client_id.as_str()),
        S = side_text(placed.side),
        f = json::time_in_force_name(placed),
        q = placed.qty,
        p = placed.price,
        x = execution_text(execution, order),
        X = status_text(order.status),
        i = order.id,
        l = fill.map_or(Qty::ZERO, |fill| fill.qty),
        z = order.filled,
        L = fill.map_or(Price::ZERO, |fill| fill.price),
        n = amount(fill.map_or(Notional::ZERO, |fill| fill.fee)),
        t = fill.map_or(0, |fill| fill.trade_id),
        b = open.bids,
        a = open.asks,
        m = fill.is_some_and(|fill| fill.maker),
        R = placed.reduce_only,
        rp = amount(fill.map_or(Notional::ZERO, |fill| fill.realized)),
        V = self_trade_text(placed.self_trade),
        pm = json::price_match_name(placed.terms.price_match),
        gtd = placed.terms.good_till.map_or(0, Nanos::millis),
        er = match execution {
            Execution::Ended(reason) => reason,
            Execution::New | Execution::Trade(_) | Execution::Amendment => 0,
        },
    )
}

/// `ALGO_UPDATE`
pub fn algo(now: Nanos, listing: &Listing, algo: &Algo, order: Option<&Order>) -> String {
    let placed = &algo.placed;
    let terms = match algo.status {
        AlgoStatus::Canceled => String::new(),
        AlgoStatus::New | AlgoStatus::Triggered | AlgoStatus::Finished | AlgoStatus::Rejected => format!(
            r#""V":"{}","wt":"{}","pm":"{}","cp":{},"pP":{},"#,
            self_trade_text(placed.self_trade),
            algo.condition.watched.name(),
            json::price_match_name(placed.terms.price_match),
            algo.close_position,
            algo.price_protect,
        ),
    };
    let outcome = match algo.status {
        AlgoStatus::New | AlgoStatus::Canceled => String::new(),
        AlgoStatus::Rejected => format!(r#","rm":{}"#, Value::from(algo.refused.as_str())),
        AlgoStatus::Triggered | AlgoStatus::Finished => format!(
            r#","ap":"{}","aq":"{}","act":"{}""#,
            json::average(order, listing),
            json::decimal(i128::from(order.map_or(0, |order| order.filled.units())), ALGO_QTY_DECIMALS),
            if algo.condition.kind.is_market() { "MARKET" } else { "LIMIT" },
        ),
    };
    format!(
        r#"{{"e":"ALGO_UPDATE","T":{T},"E":{E},"o":{{"caid":{caid},"aid":{aid},"at":"CONDITIONAL","o":"{o}","s":"{s}","S":"{S}","ps":"BOTH","f":"{f}","q":"{q}","X":"{X}","ai":"{ai}","tp":"{tp}","p":"{p}",{terms}"R":{R},"tt":{tt},"gtd":0,"ia":false{outcome}}}}}"#,
        T = algo.updated.millis(),
        E = now.max(algo.updated).millis(),
        caid = Value::from(placed.client_id.as_str()),
        aid = algo.id,
        o = algo.condition.kind.name(),
        s = listing.name,
        S = side_text(placed.side),
        f = json::time_in_force_name(placed),
        q = placed.qty,
        X = algo.status.name(),
        ai = algo.order.map(|id| id.to_string()).unwrap_or_default(),
        tp = algo.condition.trigger,
        p = placed.price,
        R = placed.reduce_only,
        tt = algo.triggered.map_or(0, Nanos::millis),
    )
}

/// `TRADE_LITE`
pub fn trade_lite(now: Nanos, listing: &Listing, order: &Order, fill: &Fill) -> String {
    format!(
        r#"{{"e":"TRADE_LITE","E":{},"T":{},"s":"{}","q":"{}","p":"{}","m":{},"c":{},"S":"{}","L":"{}","l":"{}","t":{},"i":{}}}"#,
        now.max(fill.at).millis(),
        fill.at.millis(),
        listing.name,
        frames::qty(listing, order.placed.qty),
        frames::price(listing, order.placed.price),
        fill.maker,
        Value::from(order.placed.client_id.as_str()),
        side_text(fill.side),
        frames::price(listing, fill.price),
        frames::qty(listing, fill.qty),
        fill.trade_id,
        order.id,
    )
}

/// `ACCOUNT_UPDATE` of a fill.
pub fn account_order(now: Nanos, listing: &Listing, wallet: Notional, position: &Position, mark: Price) -> String {
    format!(
        r#"{{"e":"ACCOUNT_UPDATE","T":{0},"E":{1},"a":{{"B":[{{"a":"{MARGIN_ASSET}","wb":"{3}","cw":"{3}","bc":"0"}}],"P":[{{"s":"{2}","pa":"{4}","ep":"{5}","cr":"{6}","up":"{7}","mt":"cross","iw":"0","ps":"BOTH","ma":"{MARGIN_ASSET}","bep":"{8}"}}],"m":"ORDER"}}}}"#,
        position.updated.millis(),
        now.millis(),
        listing.name,
        balance(wallet),
        position.qty,
        position.entry,
        balance(position.realized),
        amount(position.unrealized(mark)),
        position.break_even(),
    )
}

/// `ACCOUNT_UPDATE` of a funding.
pub fn account_funding(now: Nanos, listing: &Listing, change: Notional, wallet: Notional) -> String {
    format!(
        r#"{{"e":"ACCOUNT_UPDATE","T":{0},"E":{0},"a":{{"B":[{{"a":"{MARGIN_ASSET}","wb":"{1}","cw":"{1}","bc":"{2}"}}],"P":[],"m":"FUNDING_FEE","S":"{3}"}}}}"#,
        now.millis(),
        balance(wallet),
        amount(change),
        listing.name,
    )
}

/// `ACCOUNT_CONFIG_UPDATE` of a leverage.
pub fn leverage(now: Nanos, symbol: &str, leverage: u32) -> String {
    format!(r#"{{"e":"ACCOUNT_CONFIG_UPDATE","T":{0},"E":{0},"ac":{{"s":"{symbol}","l":{leverage}}}}}"#, now.millis())
}

/// `listenKeyExpired`
pub fn listen_key_expired(now: Nanos, listen_key: &str) -> String {
    format!(r#"{{"e":"listenKeyExpired","E":{},"listenKey":"{listen_key}"}}"#, now.millis())
}

/// An amount with all eight decimals.
fn balance(amount: Notional) -> decimal::Text {
    decimal::write(amount.units_i64(), decimal::DECIMALS)
}

/// The same, but nothing is a bare zero.
fn amount(amount: Notional) -> decimal::Text {
    if amount.is_zero() { decimal::write(0, 0) } else { balance(amount) }
}

fn execution_text(execution: Execution<'_>, order: &Order) -> &'static str {
    match execution {
        Execution::New => "NEW",
        Execution::Trade(_) if order.liquidates => "CALCULATED",
        Execution::Trade(_) => "TRADE",
        Execution::Amendment => "AMENDMENT",
        Execution::Ended(_) if order.status == OrderStatus::Canceled => "CANCELED",
        Execution::Ended(_) => "EXPIRED",
    }
}

const fn status_text(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::New => "NEW",
        OrderStatus::PartiallyFilled => "PARTIALLY_FILLED",
        OrderStatus::Filled => "FILLED",
        OrderStatus::Canceled => "CANCELED",
        OrderStatus::Expired => "EXPIRED",
        OrderStatus::ExpiredInMatch => "EXPIRED_IN_MATCH",
    }
}

const fn side_text(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}

const fn self_trade_text(mode: SelfTrade) -> &'static str {
    match mode {
        SelfTrade::None => "NONE",
        SelfTrade::ExpireTaker => "EXPIRE_TAKER",
        SelfTrade::ExpireMaker => "EXPIRE_MAKER",
        SelfTrade::ExpireBoth => "EXPIRE_BOTH",
    }
}

/// Decimals of a quantity that a conditional order has traded.
const ALGO_QTY_DECIMALS: usize = 5;
/// The one asset of the account.
const MARGIN_ASSET: &str = "USDT";
