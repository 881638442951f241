//! Answers of the order socket, read into one small `Copy` value.
//!
//! Tolerates everything that the exchange may add or leave out; bytes that are no answer are an error, never a panic.
//! Allocates nothing for answers as the exchange writes them. Runs on the oms thread.

use std::fmt;

use optiflow_base::ids::ExchangeOrderId;
use optiflow_base::money::{Price, Qty};
use optiflow_base::order::{Terms, Usage};
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::binance::json::{PriceText, QtyText, Text, Whole};
use crate::binance::outcome::{self, Outcome};
use crate::binance::truth::Status;

/// An answer on the order socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Our request number; `None` when the exchange answers nobody in particular.
    pub id: Option<u64>,
    /// HTTP-like status.
    pub status: u16,
    /// Error code.
    pub code: Option<i32>,
    /// Accepted, refused or unknown.
    pub outcome: Outcome,
    /// The order, where the answer shows one.
    pub order: Option<OrderState>,
    /// What the exchange counts.
    pub usage: Usage,
    /// When a limited request may be tried again, exchange ms.
    pub retry_at_ms: Option<u64>,
    /// How long after the answer was written that is, ms: no clock of ours is needed to understand it.
    pub retry_in_ms: Option<u64>,
}

/// An order as an answer shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderState {
    /// The exchange's id.
    pub exchange_id: ExchangeOrderId,
    /// Its status.
    pub status: Status,
    /// Traded so far.
    pub executed: Qty,
    /// Its terms, where they are shown.
    pub terms: Option<Terms>,
    /// When it last changed, exchange ms.
    pub update_ms: u64,
}

/// Reads an answer.
pub fn parse(bytes: &[u8]) -> Result<Reply, serde_json::Error> {
    let raw: RawReply<'_> = serde_json::from_slice(bytes)?;
    let code = raw.error.as_ref().and_then(|error| error.code);
    let text = raw.error.as_ref().and_then(|error| error.msg.as_deref()).unwrap_or_default();
    let data = raw.error.as_ref().and_then(|error| error.data.as_ref());
    Ok(Reply {
        id: raw.id.0,
        status: raw.status,
        code,
        outcome: outcome::classify(raw.status, code, text),
        order: raw.result.0,
        usage: raw.rate_limits.0,
        retry_at_ms: data.and_then(|data| data.retry_after).map(|at| at.0),
        retry_in_ms: data.and_then(|data| data.retry_after?.0.checked_sub(data.server_time?.0)),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawReply<'a> {
    #[serde(default)]
    id: RequestId,
    status: u16,
    #[serde(default)]
    result: RawResult,
    #[serde(default, borrow)]
    error: Option<RawError<'a>>,
    #[serde(default)]
    rate_limits: Limits,
}

#[derive(Deserialize)]
struct RawError<'a> {
    #[serde(default)]
    code: Option<i32>,
    #[serde(default, borrow)]
    msg: Option<Text<'a>>,
    #[serde(default)]
    data: Option<RawErrorData>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawErrorData {
    #[serde(default)]
    server_time: Option<Whole>,
    #[serde(default)]
    retry_after: Option<Whole>,
}

/// Our numbers; ids of any other shape are nobody's.
#[derive(Default)]
struct RequestId(Option<u64>);

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<RequestId, D::Error> {
        from.deserialize_any(IdVisitor).map(RequestId)
    }
}

struct IdVisitor;

impl Visitor<'_> for IdVisitor {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request id")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Option<u64>, E> {
        Ok(Some(value))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Option<u64>, E> {
        Ok(text.parse().ok())
    }

    fn visit_unit<E: Error>(self) -> Result<Option<u64>, E> {
        Ok(None)
    }
}

/// The order in a result; results of other shapes are ignored.
#[derive(Default)]
struct RawResult(Option<OrderState>);

impl<'de> Deserialize<'de> for RawResult {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<RawResult, D::Error> {
        from.deserialize_any(ResultVisitor).map(RawResult)
    }
}

struct ResultVisitor;

impl<'de> Visitor<'de> for ResultVisitor {
    type Value = Option<OrderState>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a result")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut id, mut status, mut executed, mut update_ms) = (None, None, None, 0);
        let (mut price, mut qty) = (None, None);
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match &*key {
                "orderId" => id = Some(map.next_value::<Whole>()?),
                "status" => status = Some(Status::parse(&map.next_value::<Text<'de>>()?)),
                "executedQty" => executed = Some(map.next_value::<QtyText>()?),
                "price" => price = Some(Price::from_units(map.next_value::<PriceText>()?.0)),
                "origQty" => qty = Some(Qty::from_units(map.next_value::<QtyText>()?.0)),
                "updateTime" => update_ms = map.next_value::<Whole>()?.0,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let (Some(id), Some(status)) = (id, status) else { return Ok(None) };
        let executed = Qty::from_units(executed.unwrap_or_default().0);
        let terms = price.zip(qty).map(|(price, qty)| Terms { price, qty });
        Ok(Some(OrderState { exchange_id: ExchangeOrderId(id.0), status, executed, terms, update_ms }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// `rateLimits` as usage, without a list in between. Counts of −1 say nothing.
#[derive(Default)]
struct Limits(Usage);

impl<'de> Deserialize<'de> for Limits {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Limits, D::Error> {
        from.deserialize_seq(LimitsVisitor).map(Limits)
    }
}

struct LimitsVisitor;

impl<'de> Visitor<'de> for LimitsVisitor {
    type Value = Usage;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of limits")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Usage, A::Error> {
        let mut usage = Usage::default();
        while let Some(limit) = list.next_element::<RawLimit<'de>>()? {
            let count = u32::try_from(limit.count).ok();
            match (&*limit.rate_limit_type, &*limit.interval, limit.interval_num) {
                ("REQUEST_WEIGHT", "MINUTE", 1) => usage.weight_minute = count,
                ("ORDERS", "SECOND", 10) => usage.orders_ten_seconds = count,
                ("ORDERS", "MINUTE", 1) => usage.orders_minute = count,
                _ => {}
            }
        }
        Ok(usage)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawLimit<'a> {
    #[serde(borrow)]
    rate_limit_type: Text<'a>,
    #[serde(borrow)]
    interval: Text<'a>,
    interval_num: i64,
    count: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binance::samples;

    #[test]
    fn answers_as_they_come_are_read() {
        let placed = br#"{"id":7,"status":200,"result":{"orderId":736189971752,"symbol":"BTCUSDT","status":"NEW","clientOrderId":"of-1","executedQty":"0.000","updateTime":1795327200010},"rateLimits":[{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":2400,"count":3},{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":300,"count":1},{"rateLimitType":"ORDERS","interval":"MINUTE","intervalNum":1,"limit":-1,"count":-1}]}"#;
        let reply = parse(placed).unwrap();
        let order = reply.order.unwrap();
        assert_eq!((reply.id, reply.status, reply.outcome), (Some(7), 200, Outcome::Accepted));
        assert_eq!(
            (order.exchange_id.0, order.status, order.update_ms),
            (736_189_971_752, Status::New, 1_795_327_200_010)
        );
        let expected = Usage { weight_minute: Some(3), orders_ten_seconds: Some(1), ..Usage::default() };
        assert_eq!(reply.usage, expected);

        let refused =
            br#"{"id":8,"status":400,"error":{"code":-5022,"msg":"Due to the order could not be executed as maker"}}"#;
        let reply = parse(refused).unwrap();
        assert_eq!((reply.id, reply.code, reply.outcome), (Some(8), Some(-5022), Outcome::Refused));

        let nobody = br#"{"id":null,"status":401,"error":{"code":-2015,"msg":"Invalid API-key"}}"#;
        assert_eq!(parse(nobody).unwrap().id, None);
        assert_eq!(parse(br#"{"id":"abc","status":200,"result":[1,{}]}"#).unwrap().order, None);
        assert_eq!(parse(br#"{"id":"12","status":200,"result":null}"#).unwrap().id, Some(12));
        assert_eq!(parse(br#"{"id":1,"status":200,"result":{"apiKey":null}}"#).unwrap().outcome, Outcome::Accepted);
        for bad in [&b""[..], b"{}", b"[]", b"{\"status\":\"200\"}", b"\xff", b"{\"id\":1,\"status\":99999}"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn sample_answers_are_read() {
        let table = [
            ("wsapi-order.place.response.json", Outcome::Accepted, None, true),
            ("wsapi-order.place.response.legacy-with-avgPrice.json", Outcome::Accepted, None, true),
            ("wsapi-order.cancel.response.json", Outcome::Accepted, None, true),
            ("wsapi-order.status.response.json", Outcome::Accepted, None, true),
            ("wsapi-session.logon.response.json", Outcome::Accepted, None, false),
            ("wsapi-account.position.response.v1.json", Outcome::Accepted, None, false),
            ("wsapi-error-1003-ip-banned.json", Outcome::Refused, Some(-1003), false),
            ("wsapi-error-1003-too-many-requests.json", Outcome::Refused, Some(-1003), false),
            ("wsapi-error-1008-throttled.json", Outcome::Refused, Some(-1008), false),
            ("wsapi-error-1015-too-many-orders.json", Outcome::Refused, Some(-1015), false),
            ("wsapi-error-1021-timestamp.json", Outcome::Refused, Some(-1021), false),
            ("wsapi-error-1022-signature.json", Outcome::Refused, Some(-1022), false),
            ("wsapi-error-1102-missing-param.json", Outcome::Refused, Some(-1102), false),
            ("wsapi-error-2011-cancel-unknown.json", Outcome::Refused, Some(-2011), false),
            ("wsapi-error-2013-no-such-order.json", Outcome::Refused, Some(-2013), false),
            ("wsapi-error-2015-key-revoked.json", Outcome::Refused, Some(-2015), false),
            ("wsapi-error-4400-quant-rule.json", Outcome::Refused, Some(-4400), false),
            ("wsapi-error-5022-gtx-reject.json", Outcome::Refused, Some(-5022), false),
            ("wsapi-error-5027-no-need-to-modify.json", Outcome::Accepted, Some(-5027), false),
        ];
        for (name, outcome, code, has_order) in table {
            let Some(sample) = samples::message(name) else { return };
            let reply = parse(sample.as_bytes()).unwrap();
            assert_eq!((reply.outcome, reply.code, reply.order.is_some()), (outcome, code, has_order), "{name}");
        }
        let limited = samples::message("wsapi-error-1003-too-many-requests.json").unwrap_or_default();
        let limited = parse(limited.as_bytes()).unwrap();
        assert_eq!((limited.retry_at_ms, limited.retry_in_ms), (Some(1_795_327_241_000), Some(41_000)));
    }

    #[test]
    fn recorded_error_frames_are_read() {
        let Some(lines) = samples::bytes("data/payloads/errors.jsonl") else { return };
        let mut frames = 0;
        for line in String::from_utf8(lines).unwrap().lines() {
            let entry: serde_json::Value = serde_json::from_str(line).unwrap();
            let raw = entry["raw"].as_str().unwrap().as_bytes();
            if entry["kind"].as_str().unwrap().starts_with("ws-api") {
                assert_ne!(parse(raw).unwrap().outcome, Outcome::Accepted);
                frames += 1;
            } else {
                let error = crate::binance::truth::error(raw);
                let _ = outcome::classify(400, error.code, &error.text);
            }
        }
        assert_eq!(frames, 8);
    }

    proptest::proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes).is_err();
        }

        #[test]
        fn a_frame_with_any_byte_changed_never_panics(at in 0usize..140, byte: u8) {
            let mut frame = br#"{"id":7,"status":200,"result":{"orderId":73,"status":"NEW","executedQty":"0.000","updateTime":17},"rateLimits":[{"count":-1}],"error":{}}"#.to_vec();
            let at = at % frame.len();
            frame[at] = byte;
            let _ = parse(&frame).is_err();
        }
    }
}
