//! The baseline: the same job with well-known libraries used as their documentation shows, one message at a time.
//!
//! rustls + tungstenite (its read buffer cut to 4 KiB, which is already kind to it) → simd-json into a typed struct →
//! `BTreeMap` book → imbalance → `format!` the parameters → HMAC set up for each, table-driven hex → serde writes the
//! request from a typed struct → tungstenite → rustls. Where libraries differ it is the quicker way that is taken.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use optiflow_benches::{Server, server_frame};
use rustls::{ClientConfig, ClientConnection, ServerConfig, StreamOwned};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, WebSocket};

/// The library stack with its far end.
pub struct Plain {
    socket: WebSocket<StreamOwned<ClientConnection, Bytes>>,
    bytes: Bytes,
    server: Server,
    bids: BTreeMap<u64, f64>,
    asks: BTreeMap<u64, f64>,
    sent: u64,
}

impl Plain {
    /// Connects the stack to a server in memory.
    pub fn new(client: Arc<ClientConfig>, server: Arc<ServerConfig>) -> Plain {
        let mut server = Server::new(server);
        let mut tls = ClientConnection::new(client, "localhost".try_into().unwrap()).unwrap();
        // Once more after the handshake: the server's session tickets must not be read inside a measurement.
        let mut greeted = false;
        while !greeted {
            greeted = !tls.is_handshaking();
            let mut flight = Vec::new();
            while tls.wants_write() {
                tls.write_tls(&mut flight).unwrap();
            }
            server.read(&flight);
            let answer = server.write(b"");
            let mut answer = &answer[..];
            while !answer.is_empty() {
                tls.read_tls(&mut answer).unwrap();
                tls.process_new_packets().unwrap();
            }
        }
        let bytes = Bytes::default();
        let config = WebSocketConfig::default().read_buffer_size(4 * 1024).write_buffer_size(0);
        let socket = WebSocket::from_raw_socket(StreamOwned::new(tls, bytes.clone()), Role::Client, Some(config));
        Plain { socket, bytes, server, bids: BTreeMap::new(), asks: BTreeMap::new(), sent: 0 }
    }

    /// Seals a tick into the record that `tick_to_order` will find.
    pub fn load(&mut self, payload: &str) {
        let sealed = self.server.write(&server_frame(payload));
        self.bytes.0.borrow_mut().inbound.extend(sealed);
    }

    /// One tick to one sealed order record; says how long it took from the decision on.
    pub fn tick_to_order(&mut self, key: &str, secret: &[u8], timestamp: u64) -> Duration {
        let Message::Text(text) = self.socket.read().unwrap() else { panic!("a text frame was loaded") };
        let mut text = text.as_bytes().to_vec();
        let tick: Combined = simd_json::from_slice(&mut text).unwrap();
        let (bid, ask): (f64, f64) = (tick.data.bid.parse().unwrap(), tick.data.ask.parse().unwrap());
        self.bids.insert((bid * 10.0) as u64, tick.data.bid_qty.parse().unwrap());
        self.asks.insert((ask * 10.0) as u64, tick.data.ask_qty.parse().unwrap());
        self.bids.split_off(&((bid * 10.0) as u64 + 1));
        self.asks = self.asks.split_off(&((ask * 10.0) as u64));
        let (best_bid, bid_qty) = self.bids.last_key_value().unwrap();
        let (best_ask, ask_qty) = self.asks.first_key_value().unwrap();
        let imbalance = (bid_qty - ask_qty) / (bid_qty + ask_qty);
        let (side, price) = if imbalance > 0.0 { ("BUY", *best_bid) } else { ("SELL", *best_ask) };
        let decided = Instant::now();
        self.sent += 1;
        let order = order(key, secret, timestamp, self.sent, side, price as f64 / 10.0);
        self.socket.send(Message::text(order)).unwrap();
        decided.elapsed()
    }

    /// Sealed bytes written since the last call; proves that an order left.
    pub fn take_written(&mut self) -> usize {
        std::mem::take(&mut self.bytes.0.borrow_mut().outbound).len()
    }
}

/// The request as its documentation describes it: the parameters in a string, signed, and the same ones as JSON.
fn order(key: &str, secret: &[u8], timestamp: u64, id: u64, side: &str, price: f64) -> String {
    let (client_id, price) = (format!("of-68f01234-{id:08x}"), format!("{price:.2}"));
    let payload = format!(
        "apiKey={key}&newClientOrderId={client_id}&newOrderRespType=ACK&price={price}&quantity=0.002&\
         recvWindow=1000&selfTradePreventionMode=EXPIRE_MAKER&side={side}&symbol=BTCUSDT&timeInForce=GTX&\
         timestamp={timestamp}&type=LIMIT"
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(payload.as_bytes());
    let params = Params {
        api_key: key,
        new_client_order_id: &client_id,
        new_order_resp_type: "ACK",
        price: &price,
        quantity: "0.002",
        recv_window: 1_000,
        self_trade_prevention_mode: "EXPIRE_MAKER",
        side,
        symbol: "BTCUSDT",
        time_in_force: "GTX",
        timestamp,
        kind: "LIMIT",
        signature: HEXLOWER.encode(&mac.finalize().into_bytes()),
    };
    serde_json::to_string(&Request { id, method: "order.place", params }).unwrap()
}

#[derive(Serialize)]
struct Request<'a> {
    id: u64,
    method: &'a str,
    params: Params<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Params<'a> {
    api_key: &'a str,
    new_client_order_id: &'a str,
    new_order_resp_type: &'a str,
    price: &'a str,
    quantity: &'a str,
    recv_window: u64,
    self_trade_prevention_mode: &'a str,
    side: &'a str,
    symbol: &'a str,
    time_in_force: &'a str,
    timestamp: u64,
    #[serde(rename = "type")]
    kind: &'a str,
    signature: String,
}

#[derive(Deserialize)]
struct Combined<'a> {
    #[serde(borrow)]
    data: BookTicker<'a>,
}

#[derive(Deserialize)]
struct BookTicker<'a> {
    #[serde(rename = "b")]
    bid: &'a str,
    #[serde(rename = "B")]
    bid_qty: &'a str,
    #[serde(rename = "a")]
    ask: &'a str,
    #[serde(rename = "A")]
    ask_qty: &'a str,
}

/// Memory that reads and writes like a non-blocking socket.
#[derive(Clone, Default)]
struct Bytes(Rc<RefCell<Lanes>>);

#[derive(Default)]
struct Lanes {
    inbound: VecDeque<u8>,
    outbound: Vec<u8>,
}

impl Read for Bytes {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut lanes = self.0.borrow_mut();
        if lanes.inbound.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        lanes.inbound.read(into)
    }
}

impl Write for Bytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().outbound.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
