//! What the exchange says when asked: REST bodies read into our words.
//!
//! Cold: allocates freely, bounded by the body's cap. Unknown fields are ignored, missing optional ones tolerated;
//! anything else is an error, because a reconciliation must not rest on half an answer. Runs on the oms thread.

use optiflow_base::ids::{ExchangeOrderId, TradeId};
use optiflow_base::money::{Notional, Price, Qty, Side};
use optiflow_base::order::Terms;
use serde::Deserialize;

use crate::binance::json::{Cut, MoneyText, PriceText, QtyText, Whole};
use crate::binance::wanted::Wanted;
use crate::order::{End, Fact, Fill};

/// An order as a query shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderTruth {
    /// Venue symbol.
    pub symbol: String,
    /// Client order id.
    pub client: String,
    /// The exchange's id.
    pub exchange_id: ExchangeOrderId,
    /// Its status.
    pub status: Status,
    /// Traded so far.
    pub executed: Qty,
    /// Its terms; zero where they are not shown.
    pub terms: Terms,
    /// The rest of what it was meant to be, where it is shown.
    pub wanted: Option<Wanted>,
    /// When it last changed, exchange ms.
    pub update_ms: u64,
}

/// A trade as a query shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradeTruth {
    /// The order that traded.
    pub order: ExchangeOrderId,
    /// Buy or sell.
    pub side: Side,
    /// The trade.
    pub fill: Fill,
    /// The fee was taken in the margin asset.
    pub fee_in_margin: bool,
    /// When, ms.
    pub trade_ms: u64,
}

/// A position as a query shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionTruth {
    /// Venue symbol.
    pub symbol: String,
    /// Not `BOTH`: the account is in hedge mode.
    pub hedged: bool,
    /// Signed quantity.
    pub qty: Qty,
    /// Average entry price.
    pub entry: Price,
}

/// An error body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorTruth {
    /// The exchange's code, when there is one.
    pub code: Option<i32>,
    /// Its text, printable and cut.
    pub text: String,
}

/// Order status, with everything unheard of in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// On the book.
    New,
    /// On the book, partly traded.
    PartiallyFilled,
    /// Traded completely.
    Filled,
    /// Cancelled.
    Canceled,
    /// Expired, also by self-trade prevention or rejection.
    Expired,
    /// A status we have not heard of: the order is taken to live.
    Other,
}

impl Status {
    /// Reads a status.
    pub fn parse(text: &str) -> Status {
        match text {
            "NEW" => Status::New,
            "PARTIALLY_FILLED" => Status::PartiallyFilled,
            "FILLED" => Status::Filled,
            "CANCELED" => Status::Canceled,
            "EXPIRED" | "EXPIRED_IN_MATCH" | "REJECTED" => Status::Expired,
            _ => Status::Other,
        }
    }

    /// What it says about the order.
    pub const fn fact(self, exchange_id: ExchangeOrderId, executed: Qty) -> Fact {
        let end = match self {
            Status::New | Status::PartiallyFilled | Status::Other => return Fact::Exists { exchange_id, executed },
            Status::Filled => End::Filled,
            Status::Canceled => End::Cancelled,
            Status::Expired => End::Expired,
        };
        Fact::Ended { exchange_id, end, executed }
    }
}

/// One order: `GET /fapi/v1/order`, and what a cancel answers.
pub fn order(body: &[u8]) -> Result<OrderTruth, serde_json::Error> {
    serde_json::from_slice::<RawOrder>(body).map(OrderTruth::from)
}

/// All open orders, of a symbol or of all: `GET /fapi/v1/openOrders`.
pub fn orders(body: &[u8]) -> Result<Vec<OrderTruth>, serde_json::Error> {
    serde_json::from_slice::<Vec<RawOrder>>(body).map(|rows| rows.into_iter().map(OrderTruth::from).collect())
}

/// Trades of the account in a symbol: `GET /fapi/v1/userTrades`.
pub fn trades(body: &[u8], margin_asset: &str) -> Result<Vec<TradeTruth>, serde_json::Error> {
    let rows: Vec<RawTrade> = serde_json::from_slice(body)?;
    Ok(rows.iter().map(|row| row.read(margin_asset)).collect())
}

/// Positions: `GET /fapi/v3/positionRisk`. Symbols without a position are absent.
pub fn positions(body: &[u8]) -> Result<Vec<PositionTruth>, serde_json::Error> {
    let rows: Vec<RawPosition> = serde_json::from_slice(body)?;
    let read = |row: RawPosition| PositionTruth {
        hedged: row.position_side != "BOTH",
        symbol: row.symbol,
        qty: Qty::from_units(row.position_amt.0),
        entry: Price::from_units(row.entry_price.0),
    };
    Ok(rows.into_iter().map(read).collect())
}

/// Wallet balance of `asset`: `GET /fapi/v3/balance`; `None` when the account has none of it.
pub fn balance(body: &[u8], asset: &str) -> Result<Option<Notional>, serde_json::Error> {
    let rows: Vec<RawBalance> = serde_json::from_slice(body)?;
    let found = rows.iter().find(|row| row.asset == asset);
    Ok(found.map(|row| Notional::from_units(i128::from(row.balance.0))))
}

/// `GET /fapi/v1/time`, in milliseconds.
pub fn server_time(body: &[u8]) -> Result<u64, serde_json::Error> {
    serde_json::from_slice::<RawTime>(body).map(|raw| raw.server_time.0)
}

/// `POST /fapi/v1/countdownCancelAll`: the countdown that now runs, in milliseconds; 0 when none does.
pub fn countdown(body: &[u8]) -> Result<u64, serde_json::Error> {
    serde_json::from_slice::<RawCountdown>(body).map(|raw| raw.countdown_time.0)
}

/// `POST /fapi/v1/listenKey`.
pub fn listen_key(body: &[u8]) -> Result<String, serde_json::Error> {
    serde_json::from_slice::<RawListenKey>(body).map(|raw| raw.listen_key)
}

/// An error body; whatever it is, it becomes something printable.
pub fn error(body: &[u8]) -> ErrorTruth {
    match serde_json::from_slice::<RawError>(body) {
        Ok(raw) => ErrorTruth { code: Some(raw.code), text: printable(raw.msg.as_bytes()) },
        Err(_) => ErrorTruth { code: None, text: printable(body) },
    }
}

/// Foreign bytes as text that can be shown to a person: ASCII without control characters, cut.
pub fn printable(bytes: &[u8]) -> String {
    let shown = |&byte: &u8| if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '?' };
    bytes.trim_ascii().iter().take(TEXT_LEN_MAX).map(shown).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawOrder {
    order_id: u64,
    symbol: String,
    client_order_id: String,
    status: String,
    executed_qty: QtyText,
    #[serde(default)]
    price: PriceText,
    #[serde(default)]
    orig_qty: QtyText,
    #[serde(default)]
    side: String,
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    time_in_force: String,
    #[serde(default)]
    reduce_only: bool,
    #[serde(default)]
    time: Whole,
    #[serde(default)]
    update_time: Whole,
}

impl From<RawOrder> for OrderTruth {
    fn from(raw: RawOrder) -> OrderTruth {
        OrderTruth {
            symbol: raw.symbol,
            exchange_id: ExchangeOrderId(raw.order_id),
            status: Status::parse(&raw.status),
            executed: Qty::from_units(raw.executed_qty.0),
            client: raw.client_order_id,
            terms: Terms { price: Price::from_units(raw.price.0), qty: Qty::from_units(raw.orig_qty.0) },
            wanted: Wanted::read(&raw.side, &raw.r#type, &raw.time_in_force, raw.reduce_only, raw.time.0),
            update_ms: raw.update_time.0,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawTrade {
    id: u64,
    order_id: u64,
    price: PriceText,
    qty: QtyText,
    commission: MoneyText,
    commission_asset: String,
    maker: bool,
    buyer: bool,
    time: Whole,
}

impl RawTrade {
    fn read(&self, margin_asset: &str) -> TradeTruth {
        let fee_in_margin = self.commission_asset == margin_asset;
        TradeTruth {
            order: ExchangeOrderId(self.order_id),
            side: if self.buyer { Side::Buy } else { Side::Sell },
            fill: Fill {
                trade: TradeId(self.id),
                price: Price::from_units(self.price.0),
                qty: Qty::from_units(self.qty.0),
                maker: self.maker,
                fee: if fee_in_margin { self.commission.0 } else { 0 },
            },
            fee_in_margin,
            trade_ms: self.time.0,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPosition {
    symbol: String,
    #[serde(default = "both")]
    position_side: String,
    position_amt: QtyText,
    entry_price: Cut,
}

fn both() -> String {
    "BOTH".to_owned()
}

#[derive(Deserialize)]
struct RawBalance {
    asset: String,
    balance: MoneyText,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawTime {
    server_time: Whole,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawCountdown {
    countdown_time: Whole,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawListenKey {
    listen_key: String,
}

#[derive(Deserialize)]
struct RawError {
    code: i32,
    #[serde(default)]
    msg: String,
}

/// Characters of foreign text that are shown.
const TEXT_LEN_MAX: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binance::samples;

    #[test]
    fn answers_are_read_into_our_words() {
        let open = br#"[{"orderId":7,"symbol":"BTCUSDT","status":"PARTIALLY_FILLED","clientOrderId":"of-1","executedQty":"0.004"}]"#;
        let rows = orders(open).unwrap();
        assert_eq!((rows[0].client.as_str(), rows[0].status), ("of-1", Status::PartiallyFilled));
        assert_eq!(rows[0].executed.to_string(), "0.004");
        assert!(orders(br#"[{"orderId":7}]"#).is_err(), "half an answer is none");
        assert_eq!(server_time(br#"{"serverTime":5}"#).unwrap(), 5);
        assert_eq!(listen_key(br#"{"listenKey":"abc"}"#).unwrap(), "abc");
        let held = br#"[{"asset":"BNB","balance":"1"},{"asset":"USDT","balance":"15236.83381980"}]"#;
        assert_eq!(balance(held, "USDT").unwrap().unwrap().to_string(), "15236.8338198");
        assert_eq!(balance(held, "USDC").unwrap(), None);
    }

    #[test]
    fn errors_become_printable_whatever_they_are() {
        assert_eq!(error(br#"{"code":-2013,"msg":"Order does not exist."}"#).code, Some(-2013));
        assert_eq!(error(b"Service Unavailable.\n").text, "Service Unavailable.");
        assert_eq!(error(b"\x1b[31m\xff").text, "?[31m?");
        assert_eq!(error(&[b'x'; 9_999]).text.len(), TEXT_LEN_MAX);
        assert_eq!(error(br#"{"code":-2013.5}"#).code, None);
    }

    #[test]
    fn sample_answers_are_read() {
        let Some(open) = samples::message("rest-openOrders.json") else { return };
        let sample = |name: &str| samples::message(name).unwrap_or_default().into_bytes();
        assert_eq!(orders(open.as_bytes()).unwrap()[0].client, "opti-1-000001");
        assert_eq!(order(&sample("rest-order-query.json")).unwrap().status, Status::PartiallyFilled);
        assert_eq!(order(&sample("rest-order-cancel.json")).unwrap().status, Status::Canceled);
        let trade = trades(&sample("rest-userTrades.json"), "USDT").unwrap()[0];
        assert_eq!((trade.fill.trade, trade.fill.fee, trade.side), (TradeId(8_153_700_044), 9_970_812, Side::Buy));
        assert!(trade.fee_in_margin && trade.fill.maker);
        assert!(!trades(&sample("rest-userTrades.json"), "USDC").unwrap()[0].fee_in_margin);
        let held = positions(&sample("rest-positionRisk-v3.json")).unwrap();
        assert_eq!((held[0].symbol.as_str(), held[0].hedged), ("BTCUSDT", false));
        assert!(positions(&sample("rest-positionRisk-v3.hedge.json")).unwrap().iter().any(|row| row.hedged));
        assert!(balance(&sample("rest-balance-v3.json"), "USDT").unwrap().is_some());
        assert_eq!(server_time(&sample("rest-time.json")).unwrap(), 1_795_327_200_000);
        assert_eq!(listen_key(&sample("rest-listenKey.post.json")).unwrap().len(), 64);
        assert_eq!(error(&sample("rest-error-2013.json")).code, Some(-2013));
    }

    proptest::proptest! {
        #[test]
        fn hostile_bodies_are_refused_quietly(body: Vec<u8>) {
            let _ = (order(&body).is_err(), orders(&body).is_err(), trades(&body, "USDT").is_err());
            let _ = (positions(&body).is_err(), balance(&body, "USDT").is_err(), error(&body));
        }
    }
}
