//! The exchange asked through its doors: a scripted market, a signing client, text in and text out.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use optiflow_base::clock::Nanos;
use optiflow_base::market::Level;
use optiflow_base::money::{Notional, Side};
use optiflow_base::secret::Secret;
use ring::hmac;
use ring::signature::{Ed25519KeyPair, KeyPair};

use super::auth::Keys;
use super::exchange::{Exchange, ExchangeConfig};
use super::{ConnId, Outgoing, Request, Response};
use crate::core::CoreConfig;
use crate::market::{Source, SourceError, listings};
use crate::words::{Listing, MarketTick, SymbolIndex, Tick};

mod agreement;
mod algo;
mod countdown;
mod life;
mod limits;
mod nonsense;
mod refusals;
mod samples;
mod ws_api;

/// 2026-11-22T06:00:00Z
pub const START_MS: u64 = 1_795_327_200_000;
pub const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub const API_KEY: &str = "hmacKey";
const API_SECRET: &str = "secret";
pub const ED25519_API_KEY: &str = "ed25519Key";
const ED25519_SEED: [u8; 32] = [7; 32];

/// An exchange and the time.
pub struct World {
    pub exchange: Exchange,
    pub now_ms: u64,
}

impl World {
    /// BTCUSDT between 83091.60 and 83091.70, ETHUSDT without a market; and what the market does later.
    pub fn new(later: Vec<MarketTick>) -> World {
        let known = |name| listings::known(name).unwrap();
        let listings = vec![known("BTCUSDT"), known("ETHUSDT")];
        let mut ticks: VecDeque<MarketTick> = opening().into();
        ticks.extend(later);
        World::of(Box::new(Script { listings, ticks }))
    }

    /// A world with the market of `source`.
    pub fn of(source: Box<dyn Source>) -> World {
        let core = CoreConfig {
            listings: source.listings().to_vec(),
            wallet: "10000".parse().unwrap(),
            leverage: 20,
            maker_fee_ppm: 200,
            taker_fee_ppm: 500,
            speed: 1.0,
            start: Nanos::from_millis(START_MS),
            rules: Default::default(),
        };
        let keys = Keys {
            api_key: API_KEY.to_owned(),
            api_secret: Secret::new(API_SECRET.as_bytes().to_vec()),
            ed25519_api_key: ED25519_API_KEY.to_owned(),
            ed25519_public_key: ed25519().public_key().as_ref().try_into().unwrap(),
        };
        let mut exchange = Exchange::new(ExchangeConfig { core, keys, seed: 1 }, source);
        exchange.advance(Nanos::from_millis(START_MS));
        World { exchange, now_ms: START_MS }
    }

    pub fn now(&self) -> Nanos {
        Nanos::from_millis(self.now_ms)
    }

    /// Lets time pass.
    pub fn wait(&mut self, millis: u64) {
        self.now_ms += millis;
        self.exchange.advance(self.now());
    }

    /// Asks `METHOD path query`; `+` before it adds the key, `*` key, timestamp and signature.
    pub fn response(&mut self, line: &str) -> Response {
        let (sign, line) = match line.as_bytes()[0] {
            mark @ (b'+' | b'*') => (mark, &line[1..]),
            _ => (b' ', line),
        };
        let mut words = line.splitn(3, ' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let mut query = words.next().unwrap_or("").to_owned();
        if sign == b'*' {
            let separator = if query.is_empty() { "" } else { "&" };
            query = format!("{query}{separator}timestamp={}", self.now_ms);
            query = format!("{query}&signature={}", hmac_signature(&query));
        }
        let api_key = (sign != b' ').then(|| API_KEY.to_owned());
        self.raw(method, path, &query, api_key, "")
    }

    /// Asks with everything spelt out.
    pub fn raw(&mut self, method: &str, path: &str, query: &str, api_key: Option<String>, body: &str) -> Response {
        let request = Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            api_key,
            body: body.as_bytes().to_vec(),
            peer: PEER,
        };
        self.exchange.rest(self.now(), &request)
    }

    /// As `response`: the status and the body.
    pub fn ask(&mut self, line: &str) -> String {
        let response = self.response(line);
        format!("{} {}", response.status, String::from_utf8(response.body).unwrap())
    }

    /// As `response`: the body of a request that must succeed.
    pub fn body(&mut self, line: &str) -> String {
        let answer = self.ask(line);
        answer.strip_prefix("200 ").unwrap_or_else(|| panic!("{line}: {answer}")).to_owned()
    }

    /// As `response`: the status and the code of a refusal, or `200`.
    pub fn code(&mut self, line: &str) -> String {
        let response = self.response(line);
        let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
        match body["code"].as_i64() {
            Some(code) if response.status != 200 => format!("{} {code}", response.status),
            Some(_) | None => response.status.to_string(),
        }
    }

    /// Opens a WebSocket API connection.
    pub fn open_ws_api(&mut self, conn: u64) {
        self.exchange.open(self.now(), ConnId(conn), "/ws-fapi/v1", PEER).unwrap();
    }

    /// Sends a frame and returns what comes back on that connection.
    pub fn frame(&mut self, conn: u64, text: &str) -> String {
        self.exchange.text(self.now(), ConnId(conn), text);
        let mut answers = self.outgoing(conn);
        assert_eq!(answers.len(), 1, "{text}: {answers:?}");
        answers.remove(0)
    }

    /// Everything written to a connection; what was written to others is dropped.
    pub fn outgoing(&mut self, conn: u64) -> Vec<String> {
        let mut texts = Vec::new();
        while let Some((to, outgoing)) = self.exchange.take_outgoing() {
            if to != ConnId(conn) {
                continue;
            }
            match outgoing {
                Outgoing::Text(text) => texts.push(text.to_string()),
                Outgoing::Ping(_) => {}
                Outgoing::Close { code, reason } => texts.push(format!("close {code} {reason}")),
                Outgoing::Cut { text, after_bytes } => texts.push(format!("cut {after_bytes} {text}")),
                Outgoing::Dribble { text, pause } => texts.push(format!("dribble {pause:?} {text}")),
            }
        }
        texts
    }
}

/// The value of a header.
pub fn header(response: &Response, name: &str) -> Option<String> {
    response.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
}

/// A frame of the WebSocket API whose parameters are signed with the HMAC key.
pub fn signed_frame(id: &str, method: &str, params: &[(&str, &str)], now_ms: u64) -> String {
    let stamp = now_ms.to_string();
    let mut all: Vec<(&str, &str)> = params.to_vec();
    all.push(("apiKey", API_KEY));
    all.push(("timestamp", &stamp));
    all.sort_unstable();
    let payload: Vec<String> = all.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let signature = hmac_signature(&payload.join("&"));
    let fields: Vec<String> = all.iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
    format!("{{\"id\":{id},\"method\":\"{method}\",\"params\":{{{},\"signature\":\"{signature}\"}}}}", fields.join(","))
}

pub fn hmac_signature(payload: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, API_SECRET.as_bytes());
    hmac::sign(&key, payload.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn ed25519_signature(payload: &str) -> String {
    STANDARD.encode(ed25519().sign(payload.as_bytes()))
}

fn ed25519() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&ED25519_SEED).unwrap()
}

/// The directory of sample messages, where there is one.
pub fn shared_messages() -> Option<PathBuf> {
    let workspace = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let shared = std::env::var_os("OPTIFLOW_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from);
    let messages = workspace.join(shared).join("binance/messages");
    if !messages.is_dir() {
        eprintln!("skipped: no sample messages in {}", messages.display());
        return None;
    }
    Some(messages)
}

pub fn trade(after_ms: u64, id: u64, price: &str, qty: &str, taker: Side) -> MarketTick {
    tick(after_ms, 0, Tick::Trade { id, price: price.parse().unwrap(), qty: qty.parse().unwrap(), taker })
}

pub fn mark(after_ms: u64, price: &str, next_funding_after_ms: u64) -> MarketTick {
    let price = price.parse().unwrap();
    let next_funding_ms = START_MS + next_funding_after_ms;
    tick(after_ms, 0, Tick::Mark { mark: price, index: price, funding_rate: 10_000, next_funding_ms })
}

/// Where the source fails.
pub fn breakage(after_ms: u64) -> MarketTick {
    tick(after_ms, usize::MAX, Tick::Snapshot { id: 0, bids: Vec::new(), asks: Vec::new() })
}

fn opening() -> Vec<MarketTick> {
    let level = |price: &str, qty: &str| Level { price: price.parse().unwrap(), qty: qty.parse().unwrap() };
    let bids = vec![level("83091.60", "4.215"), level("83091.50", "0.200"), level("83090.10", "0.002")];
    let asks = vec![level("83091.70", "3.768"), level("83091.80", "0.002"), level("83100.00", "0.640")];
    vec![
        tick(0, 0, Tick::Snapshot { id: 11_757_092_617_000, bids, asks }),
        mark(0, "83091.70", 7_200_000),
        trade(0, 8_153_634_282, "83091.60", "0.002", Side::Sell),
    ]
}

fn tick(after_ms: u64, symbol: SymbolIndex, what: Tick) -> MarketTick {
    MarketTick { at: Nanos::from_millis(START_MS + after_ms), symbol, what }
}

struct Script {
    listings: Vec<Listing>,
    ticks: VecDeque<MarketTick>,
}

impl Source for Script {
    fn listings(&self) -> &[Listing] {
        &self.listings
    }

    fn next(&mut self) -> Result<Option<MarketTick>, SourceError> {
        match self.ticks.pop_front() {
            Some(tick) if tick.symbol >= self.listings.len() => Err(SourceError::UnknownSymbol("the end".to_owned())),
            tick => Ok(tick),
        }
    }
}
