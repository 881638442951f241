//! Requests on the order socket: JSON frames and their signatures, from templates, into one reused buffer.
//!
//! What is constant is rendered at start, with the parameters in alphabetical order, so that the frame and the signed
//! payload are each written front to back and the signature starts from a state that has absorbed the beginning.
//! Never allocates after start; never sends. Runs on the oms thread.

use std::sync::Arc;

use optiflow_base::decimal::{self, DECIMALS};
use optiflow_base::ids::{OrderId, SymbolId};
use optiflow_base::instrument::Instrument;
use optiflow_base::money::Side;
use optiflow_base::order::{NewOrder, OrderKind, TimeInForce};

use crate::binance::sign::{ApiKey, Prepared};
use crate::binance::text::Digits;

/// The frames of one account.
pub struct Requests {
    key: Arc<ApiKey>,
    recv_window_ms: u32,
    symbols: Vec<Templates>,
    json: Vec<u8>,
    payload: Vec<u8>,
}

/// Why no frame was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// Price or quantity has digits that the symbol does not allow.
    OffGrid,
    /// No such symbol in this session.
    NoSuchSymbol,
}

impl Requests {
    /// Renders the templates of every instrument.
    pub fn new(key: Arc<ApiKey>, instruments: &[Instrument], recv_window_ms: u32) -> Requests {
        let symbols = instruments.iter().map(|instrument| Templates::new(&key, instrument, recv_window_ms)).collect();
        let (json, payload) = (Vec::with_capacity(FRAME_LEN_MAX), Vec::with_capacity(FRAME_LEN_MAX));
        Requests { key, recv_window_ms, symbols, json, payload }
    }

    /// `order.place`.
    pub fn place(
        &mut self,
        request: u64,
        symbol: SymbolId,
        order: &NewOrder,
        timestamp_ms: u64,
    ) -> Result<&[u8], RequestError> {
        let templates = self.symbols.get(symbol.index()).ok_or(RequestError::NoSuchSymbol)?;
        let qty = templates.qty_text(order.qty.units())?;
        let (id, timestamp) = (order.id.text(), Digits::new(timestamp_ms));
        let template = &templates.places[place_index(order)];
        match order.kind {
            OrderKind::Limit => {
                let price = templates.price_text(order.price.units())?;
                let holes = [&id, price.as_bytes(), qty.as_bytes(), timestamp.as_bytes()];
                template.write(request, &holes, &mut self.json, &mut self.payload);
            }
            OrderKind::Market => {
                let holes = [&id, qty.as_bytes(), timestamp.as_bytes()];
                template.write(request, &holes, &mut self.json, &mut self.payload);
            }
        }
        Ok(&self.json)
    }

    /// `order.cancel`.
    pub fn cancel(
        &mut self,
        request: u64,
        symbol: SymbolId,
        order: OrderId,
        timestamp_ms: u64,
    ) -> Result<&[u8], RequestError> {
        let templates = self.symbols.get(symbol.index()).ok_or(RequestError::NoSuchSymbol)?;
        let (id, timestamp) = (order.text(), Digits::new(timestamp_ms));
        templates.cancel.write(request, &[&id, timestamp.as_bytes()], &mut self.json, &mut self.payload);
        Ok(&self.json)
    }

    /// `session.logon`: signed once, after which requests of an Ed25519 key carry no signature.
    pub fn logon(&mut self, request: u64, timestamp_ms: u64) -> &[u8] {
        let (id, window) = (self.key.id(), self.recv_window_ms);
        let payload = format!("apiKey={id}&recvWindow={window}&timestamp={timestamp_ms}");
        let signature = self.key.sign(payload.as_bytes());
        let frame = format!(
            r#"{{"id":{request},"method":"session.logon","params":{{"apiKey":"{id}","recvWindow":{window},"timestamp":{timestamp_ms},"signature":"{signature}"}}}}"#
        );
        self.json.clear();
        self.json.extend_from_slice(frame.as_bytes());
        &self.json
    }
}

/// The frames of one symbol.
struct Templates {
    price_decimals: usize,
    price_grain: i64,
    qty_decimals: usize,
    qty_grain: i64,
    places: Vec<Template>,
    cancel: Template,
}

impl Templates {
    fn new(key: &ApiKey, instrument: &Instrument, recv_window_ms: u32) -> Templates {
        let mut places = Vec::with_capacity(PLACES_LEN);
        for side in [Side::Buy, Side::Sell] {
            for reduce_only in [false, true] {
                for style in STYLES {
                    places.push(place_template(key, &instrument.name, recv_window_ms, side, reduce_only, style));
                }
            }
        }
        assert!(places.len() == PLACES_LEN, "one template per kind of order");
        let cancel = Template::new(
            key,
            "order.cancel",
            vec![
                ("origClientOrderId", Value::Hole { quoted: true }),
                ("recvWindow", Value::Number(recv_window_ms)),
                ("symbol", Value::Text(&instrument.name)),
                ("timestamp", Value::Hole { quoted: false }),
            ],
        );
        let grain = |decimals: usize| 10i64.pow((DECIMALS - decimals) as u32);
        let (price_decimals, qty_decimals) = (instrument.price_decimals(), instrument.qty_decimals());
        Templates {
            price_decimals,
            price_grain: grain(price_decimals),
            qty_decimals,
            qty_grain: grain(qty_decimals),
            places,
            cancel,
        }
    }

    fn price_text(&self, units: i64) -> Result<decimal::Text, RequestError> {
        exact_text(units, self.price_decimals, self.price_grain)
    }

    fn qty_text(&self, units: i64) -> Result<decimal::Text, RequestError> {
        exact_text(units, self.qty_decimals, self.qty_grain)
    }
}

/// The text of a positive number, refused when a digit would be lost.
fn exact_text(units: i64, decimals: usize, grain: i64) -> Result<decimal::Text, RequestError> {
    if units <= 0 || units % grain != 0 {
        return Err(RequestError::OffGrid);
    }
    Ok(decimal::write(units, decimals))
}

type Style = (&'static str, Option<&'static str>);

fn place_template(key: &ApiKey, symbol: &str, window: u32, side: Side, reduce_only: bool, style: Style) -> Template {
    let side = match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    };
    let (kind, time_in_force) = style;
    let mut params = vec![
        ("newClientOrderId", Value::Hole { quoted: true }),
        ("newOrderRespType", Value::Text("ACK")),
        ("quantity", Value::Hole { quoted: true }),
        ("recvWindow", Value::Number(window)),
        ("selfTradePreventionMode", Value::Text("EXPIRE_MAKER")),
        ("side", Value::Text(side)),
        ("symbol", Value::Text(symbol)),
        ("timestamp", Value::Hole { quoted: false }),
        ("type", Value::Text(kind)),
    ];
    if reduce_only {
        params.push(("reduceOnly", Value::Text("true")));
    }
    if let Some(time_in_force) = time_in_force {
        params.push(("price", Value::Hole { quoted: true }));
        params.push(("timeInForce", Value::Text(time_in_force)));
    }
    Template::new(key, "order.place", params)
}

fn place_index(order: &NewOrder) -> usize {
    let side = match order.side {
        Side::Buy => 0,
        Side::Sell => 1,
    };
    let style = match (order.kind, order.time_in_force) {
        (OrderKind::Limit, TimeInForce::Gtc) => 0,
        (OrderKind::Limit, TimeInForce::Ioc) => 1,
        (OrderKind::Limit, TimeInForce::Fok) => 2,
        (OrderKind::Limit, TimeInForce::Gtx) => 3,
        (OrderKind::Market, _) => 4,
    };
    (side * 2 + usize::from(order.reduce_only)) * STYLES.len() + style
}

/// A frame with holes: the constant pieces of the JSON text and of the payload that is signed.
struct Template {
    json: Vec<Box<[u8]>>,
    payload: Vec<Box<[u8]>>,
    prepared: Option<Prepared>,
}

/// A parameter: constant, or filled in per request.
#[derive(Clone, Copy)]
enum Value<'a> {
    Text(&'a str),
    Number(u32),
    Hole { quoted: bool },
}

impl Template {
    /// Renders the constant pieces; holes are filled in the alphabetical order of their names.
    fn new<'a>(key: &'a ApiKey, method: &str, mut params: Vec<(&'a str, Value<'a>)>) -> Template {
        if !key.has_session() {
            params.push(("apiKey", Value::Text(key.id())));
        }
        params.sort_by_key(|(name, _)| *name);
        let mut json = vec![format!(r#","method":"{method}","params":{{"#)];
        let mut payload = vec![String::new()];
        for (index, (name, value)) in params.into_iter().enumerate() {
            let (comma, and) = if index == 0 { ("", "") } else { (",", "&") };
            let (frame, signed) = (last(&mut json), last(&mut payload));
            match value {
                Value::Text(text) => {
                    *frame += &format!(r#"{comma}"{name}":"{text}""#);
                    *signed += &format!("{and}{name}={text}");
                }
                Value::Number(number) => {
                    *frame += &format!(r#"{comma}"{name}":{number}"#);
                    *signed += &format!("{and}{name}={number}");
                }
                Value::Hole { quoted } => {
                    let quote = if quoted { "\"" } else { "" };
                    *frame += &format!(r#"{comma}"{name}":{quote}"#);
                    *signed += &format!("{and}{name}=");
                    json.push(quote.to_owned());
                    payload.push(String::new());
                }
            }
        }
        let prepared = key.prepare(payload[0].as_bytes());
        *last(&mut json) += if prepared.is_some() { r#","signature":""# } else { "}}" };
        let boxed = |pieces: Vec<String>| pieces.into_iter().map(|piece| piece.into_bytes().into()).collect();
        Template { json: boxed(json), payload: boxed(payload), prepared }
    }

    /// Writes the frame, signed where the key signs every request.
    fn write(&self, request: u64, holes: &[&[u8]], json: &mut Vec<u8>, payload: &mut Vec<u8>) {
        assert!(holes.len() + 1 == self.json.len(), "every hole is filled");
        json.clear();
        json.extend_from_slice(br#"{"id":"#);
        json.extend_from_slice(Digits::new(request).as_bytes());
        fill(&self.json, holes, json);
        if let Some(prepared) = &self.prepared {
            payload.clear();
            // The first piece is absorbed already.
            payload.extend_from_slice(holes[0]);
            fill(&self.payload[1..], &holes[1..], payload);
            json.extend_from_slice(prepared.sign(payload).as_bytes());
            json.extend_from_slice(br#""}}"#);
        }
        assert!(json.len() <= FRAME_LEN_MAX && payload.len() <= FRAME_LEN_MAX, "a frame fits its buffer");
    }
}

fn fill(pieces: &[Box<[u8]>], holes: &[&[u8]], into: &mut Vec<u8>) {
    for (index, piece) in pieces.iter().enumerate() {
        into.extend_from_slice(piece);
        if let Some(hole) = holes.get(index) {
            into.extend_from_slice(hole);
        }
    }
}

fn last(pieces: &mut [String]) -> &mut String {
    let at = pieces.len() - 1;
    &mut pieces[at]
}

/// Order types with their time in force, in the order of `place_index`.
const STYLES: [Style; 5] =
    [("LIMIT", Some("GTC")), ("LIMIT", Some("IOC")), ("LIMIT", Some("FOK")), ("LIMIT", Some("GTX")), ("MARKET", None)];
const PLACES_LEN: usize = 2 * 2 * STYLES.len();
/// Longest frame: a key of 128, a symbol of 24 and every number at its widest need about 600 bytes.
const FRAME_LEN_MAX: usize = 1024;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::btcusdt;
