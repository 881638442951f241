//! Requests on the order socket: JSON frames and their signatures, from templates that are patched in place.
//!
//! What is constant is rendered at start, with the parameters in alphabetical order. A frame keeps what was written
//! last, so that mostly only numbers are patched, and the signature starts from a state that has absorbed the
//! beginning.
//! Orders and cancels allocate nothing after start; nothing is sent here. Runs on the oms thread.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrayvec::ArrayVec;
use optiflow_base::ids::{OrderId, SymbolId};
use optiflow_base::instrument::Instrument;
use optiflow_base::money::{Price, Qty, Side};
use optiflow_base::order::{NewOrder, OrderKind, Terms, TimeInForce};

use crate::binance::sign::{ApiKey, Prepared};
use crate::binance::text::{Decimals, Digits};

/// The frames of one account.
pub struct Requests {
    key: Arc<ApiKey>,
    recv_window_ms: u32,
    symbols: Vec<Templates>,
    logon: String,
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
        Requests { key, recv_window_ms, symbols, logon: String::new() }
    }

    /// `order.place`.
    pub fn place(
        &mut self,
        request: u64,
        symbol: SymbolId,
        order: &NewOrder,
        timestamp_ms: u64,
    ) -> Result<&[u8], RequestError> {
        let templates = self.symbols.get_mut(symbol.index()).ok_or(RequestError::NoSuchSymbol)?;
        let qty = templates.qty_text(order.qty)?;
        let (id, timestamp) = (order.id.text(), Digits::new(timestamp_ms));
        match order.kind {
            OrderKind::Limit => {
                let price = templates.price_text(order.price)?;
                let holes = [&id, price.as_bytes(), qty.as_bytes(), timestamp.as_bytes()];
                Ok(templates.places[place_index(order)].write(request, &holes))
            }
            OrderKind::Market => {
                let holes = [&id, qty.as_bytes(), timestamp.as_bytes()];
                Ok(templates.places[place_index(order)].write(request, &holes))
            }
        }
    }

    /// `order.cancel`.
    pub fn cancel(
        &mut self,
        request: u64,
        symbol: SymbolId,
        order: OrderId,
        timestamp_ms: u64,
    ) -> Result<&[u8], RequestError> {
        let templates = self.symbols.get_mut(symbol.index()).ok_or(RequestError::NoSuchSymbol)?;
        let (id, timestamp) = (order.text(), Digits::new(timestamp_ms));
        Ok(templates.cancel.write(request, &[&id, timestamp.as_bytes()]))
    }

    /// `order.modify`: all terms are given, changed or not.
    pub fn modify(
        &mut self,
        request: u64,
        symbol: SymbolId,
        (order, side): (OrderId, Side),
        terms: Terms,
        timestamp_ms: u64,
    ) -> Result<&[u8], RequestError> {
        let templates = self.symbols.get_mut(symbol.index()).ok_or(RequestError::NoSuchSymbol)?;
        let (price, qty) = (templates.price_text(terms.price)?, templates.qty_text(terms.qty)?);
        let (id, timestamp) = (order.text(), Digits::new(timestamp_ms));
        let holes = [&id, price.as_bytes(), qty.as_bytes(), timestamp.as_bytes()];
        Ok(templates.modifies[side_index(side)].write(request, &holes))
    }

    /// `order.status`.
    pub fn status(
        &mut self,
        request: u64,
        symbol: SymbolId,
        order: OrderId,
        timestamp_ms: u64,
    ) -> Result<&[u8], RequestError> {
        let templates = self.symbols.get_mut(symbol.index()).ok_or(RequestError::NoSuchSymbol)?;
        let (id, timestamp) = (order.text(), Digits::new(timestamp_ms));
        Ok(templates.status.write(request, &[&id, timestamp.as_bytes()]))
    }

    /// `session.logon`: signed once, after which requests of an Ed25519 key carry no signature.
    pub fn logon(&mut self, request: u64, timestamp_ms: u64) -> &[u8] {
        let (id, window) = (self.key.id(), self.recv_window_ms);
        let payload = format!("apiKey={id}&recvWindow={window}&timestamp={timestamp_ms}");
        let signature = self.key.sign(payload.as_bytes());
        self.logon = format!(
            r#"{{"id":{request},"method":"session.logon","params":{{"apiKey":"{id}","recvWindow":{window},"timestamp":{timestamp_ms},"signature":"{signature}"}}}}"#
        );
        self.logon.as_bytes()
    }
}

/// The frames of one symbol.
struct Templates {
    price: Decimals,
    qty: Decimals,
    places: Vec<Template>,
    modifies: [Template; 2],
    cancel: Template,
    status: Template,
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
        let of_an_order = |method| {
            let params = vec![
                ("origClientOrderId", Value::Hole { quoted: true }),
                ("recvWindow", Value::Number(recv_window_ms)),
                ("symbol", Value::Text(&instrument.name)),
                ("timestamp", Value::Hole { quoted: false }),
            ];
            Template::new(key, method, params)
        };
        Templates {
            price: Decimals::new(instrument.price_decimals()),
            qty: Decimals::new(instrument.qty_decimals()),
            places,
            modifies: [Side::Buy, Side::Sell].map(|side| modify_template(key, &instrument.name, recv_window_ms, side)),
            cancel: of_an_order("order.cancel"),
            status: of_an_order("order.status"),
        }
    }

    fn price_text(&self, price: Price) -> Result<Digits, RequestError> {
        self.price.text(price.units()).ok_or(RequestError::OffGrid)
    }

    fn qty_text(&self, qty: Qty) -> Result<Digits, RequestError> {
        self.qty.text(qty.units()).ok_or(RequestError::OffGrid)
    }
}

type Style = (&'static str, Option<&'static str>);

fn modify_template(key: &ApiKey, symbol: &str, window: u32, side: Side) -> Template {
    let params = vec![
        ("origClientOrderId", Value::Hole { quoted: true }),
        ("price", Value::Hole { quoted: true }),
        ("quantity", Value::Hole { quoted: true }),
        ("recvWindow", Value::Number(window)),
        ("side", Value::Text(side_text(side))),
        ("symbol", Value::Text(symbol)),
        ("timestamp", Value::Hole { quoted: false }),
    ];
    Template::new(key, "order.modify", params)
}

const fn side_text(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}

const fn side_index(side: Side) -> usize {
    match side {
        Side::Buy => 0,
        Side::Sell => 1,
    }
}

fn place_template(key: &ApiKey, symbol: &str, window: u32, side: Side, reduce_only: bool, style: Style) -> Template {
    let side = side_text(side);
    let (kind, time_in_force) = style;
    let mut params = vec![
        ("newClientOrderId", Value::Hole { quoted: true }),
        ("newOrderRespType", Value::Text("ACK")),
        ("quantity", Value::Hole { quoted: true }),
        ("recvWindow", Value::Number(window)),
        ("selfTradePreventionMode", Value::Text(SELF_TRADE)),
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
    (side_index(order.side) * 2 + usize::from(order.reduce_only)) * STYLES.len() + style_index(order)
}

const fn style_index(order: &NewOrder) -> usize {
    match (order.kind, order.time_in_force) {
        (OrderKind::Limit, TimeInForce::Gtc) => 0,
        (OrderKind::Limit, TimeInForce::Ioc) => 1,
        (OrderKind::Limit, TimeInForce::Fok) => 2,
        (OrderKind::Limit, TimeInForce::Gtx) => 3,
        (OrderKind::Market, _) => 4,
    }
}

/// What `order.place` says, as it follows the symbol in the query of `POST /fapi/v1/order`.
#[derive(Clone, Copy, Debug)]
pub struct PlaceQuery<'a>(pub &'a NewOrder);

impl fmt::Display for PlaceQuery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PlaceQuery(order) = self;
        let (kind, time_in_force) = STYLES[style_index(order)];
        let (side, qty) = (side_text(order.side), order.qty);
        write!(f, "&side={side}&type={kind}&quantity={qty}")?;
        if let Some(time_in_force) = time_in_force {
            write!(f, "&price={}&timeInForce={time_in_force}", order.price)?;
        }
        if order.reduce_only {
            f.write_str("&reduceOnly=true")?;
        }
        write!(f, "&newClientOrderId={}&newOrderRespType=ACK&selfTradePreventionMode={SELF_TRADE}", order.id)
    }
}

/// The frames of one method with one set of constants.
struct Template {
    frame: Form,
    payload: Form,
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
        let mut frame = vec![r#"{"id":"#.to_owned(), format!(r#","method":"{method}","params":{{"#)];
        let mut payload = vec![String::new()];
        for (index, (name, value)) in params.into_iter().enumerate() {
            let (comma, and) = if index == 0 { ("", "") } else { (",", "&") };
            let (written, signed) = (last(&mut frame), last(&mut payload));
            match value {
                Value::Text(text) => {
                    *written += &format!(r#"{comma}"{name}":"{text}""#);
                    *signed += &format!("{and}{name}={text}");
                }
                Value::Number(number) => {
                    *written += &format!(r#"{comma}"{name}":{number}"#);
                    *signed += &format!("{and}{name}={number}");
                }
                Value::Hole { quoted } => {
                    let quote = if quoted { "\"" } else { "" };
                    *written += &format!(r#"{comma}"{name}":{quote}"#);
                    *signed += &format!("{and}{name}=");
                    frame.push(quote.to_owned());
                    payload.push(String::new());
                }
            }
        }
        // The first piece of the payload is absorbed here, once.
        let prepared = key.prepare(std::mem::take(&mut payload[0]).as_bytes());
        if prepared.is_some() {
            *last(&mut frame) += r#","signature":""#;
            frame.push(r#""}}"#.to_owned());
        } else {
            *last(&mut frame) += "}}";
        }
        Template { frame: Form::new(frame), payload: Form::new(payload), prepared }
    }

    /// The frame, signed where the key signs every request.
    fn write(&mut self, request: u64, holes: &[&[u8]]) -> &[u8] {
        let request = Digits::new(request);
        let signature = self.prepared.as_ref().map(|prepared| prepared.sign(self.payload.fill(holes)));
        let mut all: [&[u8]; HOLES_MAX] = [b""; HOLES_MAX];
        let (first, rest) = all.split_at_mut(1);
        first[0] = request.as_bytes();
        rest[..holes.len()].copy_from_slice(holes);
        let mut count = 1 + holes.len();
        if let Some(signature) = &signature {
            all[count] = signature;
            count += 1;
        }
        self.frame.fill(&all[..count])
    }
}

/// Text with holes. It keeps what was written last: as long as the holes keep their widths, only they are written.
struct Form {
    pieces: Vec<Box<[u8]>>,
    text: Vec<u8>,
    places: ArrayVec<Range<usize>, HOLES_MAX>,
}

impl Form {
    fn new(pieces: Vec<String>) -> Form {
        assert!(pieces.len() <= HOLES_MAX + 1, "a form has few holes");
        let pieces = pieces.into_iter().map(|piece| piece.into_bytes().into()).collect();
        Form { pieces, text: Vec::with_capacity(FRAME_LEN_MAX), places: ArrayVec::new() }
    }

    fn fill(&mut self, holes: &[&[u8]]) -> &[u8] {
        assert!(holes.len() + 1 == self.pieces.len(), "every hole is filled");
        if self.places.len() != holes.len() {
            return self.render(holes);
        }
        for (place, hole) in self.places.iter().zip(holes) {
            if place.len() != hole.len() {
                return self.render(holes);
            }
            self.text[place.clone()].copy_from_slice(hole);
        }
        &self.text
    }

    fn render(&mut self, holes: &[&[u8]]) -> &[u8] {
        self.text.clear();
        self.places.clear();
        for (index, piece) in self.pieces.iter().enumerate() {
            self.text.extend_from_slice(piece);
            if let Some(hole) = holes.get(index) {
                self.places.push(self.text.len()..self.text.len() + hole.len());
                self.text.extend_from_slice(hole);
            }
        }
        assert!(self.text.len() <= FRAME_LEN_MAX, "a frame fits its buffer");
        &self.text
    }
}

fn last(pieces: &mut [String]) -> &mut String {
    let at = pieces.len() - 1;
    &mut pieces[at]
}

/// Order types with their time in force, in the order of `place_index`.
const STYLES: [Style; 5] =
    [("LIMIT", Some("GTC")), ("LIMIT", Some("IOC")), ("LIMIT", Some("FOK")), ("LIMIT", Some("GTX")), ("MARKET", None)];
/// What becomes of an order that would trade with one of our own: always said.
const SELF_TRADE: &str = "EXPIRE_MAKER";
const PLACES_LEN: usize = 2 * 2 * STYLES.len();
/// Holes of one frame: number, id, price, quantity, timestamp, signature.
const HOLES_MAX: usize = 6;
/// Longest frame: a key of 128, a symbol of 24 and every number at its widest need about 600 bytes.
const FRAME_LEN_MAX: usize = 1024;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::btcusdt;
