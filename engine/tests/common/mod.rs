//! Recorded markets for tests: capture lines → market events, by the plain sync rule of the data's index.
//! Decoding here is slow and simple on purpose: it shares nothing with the feed.

#![allow(dead_code, missing_docs)]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use optiflow_base::clock::Nanos;
use optiflow_base::ids::{SymbolId, SymbolName};
use optiflow_base::instrument::Instrument;
use optiflow_base::market::{LEVELS_LEN, Level, MarketBody, MarketEvent};
use optiflow_base::money::Side;

pub mod world;

pub const SYMBOL: SymbolId = SymbolId(0);

/// The shared directory, or `None` after saying aloud that the test is skipped.
pub fn shared(test: &str) -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    let path = std::env::var_os("OPTIFLOW_SHARED").map_or_else(|| PathBuf::from(default), PathBuf::from);
    let found = path.join("data/usdm").is_dir();
    if !found {
        eprintln!("skipped: {test} needs recordings in {}", path.display());
    }
    found.then_some(path)
}

pub fn btcusdt() -> Instrument {
    Instrument {
        symbol: SYMBOL,
        name: SymbolName::from("BTCUSDT").unwrap(),
        tick_size: "0.1".parse().unwrap(),
        price_min: "556.8".parse().unwrap(),
        price_max: "4529764".parse().unwrap(),
        step_size: "0.001".parse().unwrap(),
        qty_min: "0.001".parse().unwrap(),
        qty_max: "1000".parse().unwrap(),
        market_step_size: "0.001".parse().unwrap(),
        market_qty_min: "0.001".parse().unwrap(),
        market_qty_max: "120".parse().unwrap(),
        notional_min: "50".parse().unwrap(),
        percent_up_ppm: 1_050_000,
        percent_down_ppm: 950_000,
        open_orders_max: 200,
        maker_fee_ppm: 200,
        taker_fee_ppm: 500,
    }
}

/// What one line of a capture means to the engine.
pub struct Message {
    /// Exchange event time, ms.
    pub event_ms: u64,
    pub kind: Kind,
    pub events: Vec<MarketEvent>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Snapshot,
    Diff,
    Top,
    Trade,
    Mark,
}

/// Every message of a recording, in file order, with depth in sequence. Event times become receive times.
pub fn recording(paths: &[PathBuf]) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut sync = Sync::default();
    for path in paths {
        let file = std::fs::File::open(path).unwrap();
        for line in BufReader::new(MultiGzDecoder::new(file)).split(b'\n') {
            let line = String::from_utf8(line.unwrap()).unwrap();
            let Some((_, json)) = line.split_once(' ') else { continue };
            // The last line of a capture may be cut.
            let Ok(value) = serde_json::from_str::<Value>(json) else { continue };
            sync.message(value.get("data").unwrap_or(&value), &mut messages);
        }
    }
    messages
}

/// Drop `u < lastUpdateId`; first `U ≤ lastUpdateId ≤ u`; then `pu` = the last `u`.
#[derive(Default)]
struct Sync {
    waiting: Vec<Value>,
    snapshot_id: Option<u64>,
    last: Option<u64>,
}

impl Sync {
    fn message(&mut self, value: &Value, out: &mut Vec<Message>) {
        let kind = value.get("e").and_then(Value::as_str);
        match kind {
            None if value.get("lastUpdateId").is_some() => {
                let id = number(value, "lastUpdateId");
                self.snapshot_id = Some(id);
                out.push(depth(value, Kind::Snapshot, id, ("bids", "asks")));
                for diff in std::mem::take(&mut self.waiting) {
                    self.diff(&diff, out);
                }
            }
            Some("depthUpdate") => self.diff(value, out),
            Some("bookTicker") => out.push(top(value)),
            Some("trade") if value["X"] == "MARKET" => out.push(trade(value)),
            Some("markPriceUpdate") => out.push(mark(value)),
            Some(_) | None => {}
        }
    }

    fn diff(&mut self, value: &Value, out: &mut Vec<Message>) {
        let Some(snapshot_id) = self.snapshot_id else {
            self.waiting.push(value.clone());
            return;
        };
        let (first, last) = (number(value, "U"), number(value, "u"));
        match self.last {
            None if last < snapshot_id => return,
            None => assert!(first <= snapshot_id, "the snapshot is bridged"),
            Some(before) => assert_eq!(number(value, "pu"), before, "no recording has a gap"),
        }
        self.last = Some(last);
        out.push(depth(value, Kind::Diff, last, ("b", "a")));
    }
}

fn depth(value: &Value, kind: Kind, last_id: u64, names: (&str, &str)) -> Message {
    let event_ms = number(value, "E");
    let mut groups = Vec::new();
    for (side, name) in [(Side::Buy, names.0), (Side::Sell, names.1)] {
        let levels: Vec<Level> = value[name].as_array().unwrap().iter().map(|pair| level(&pair[0], &pair[1])).collect();
        groups.extend(levels.chunks(LEVELS_LEN).map(|chunk| (side, chunk.to_vec())));
    }
    let (snapshot, empty) = (kind == Kind::Snapshot, groups.is_empty());
    let (symbol, match_ms) = (SYMBOL, number(value, "T"));
    let mut bodies = vec![MarketBody::DepthStart { symbol, snapshot, empty, last_id, event_ms, match_ms }];
    let groups_len = groups.len();
    for (index, (side, chunk)) in groups.into_iter().enumerate() {
        let mut levels = [Level::default(); LEVELS_LEN];
        levels[..chunk.len()].copy_from_slice(&chunk);
        let (count, end) = (chunk.len() as u8, index + 1 == groups_len);
        bodies.push(MarketBody::Levels { symbol, side, count, end, levels });
    }
    message(event_ms, kind, bodies)
}

fn top(value: &Value) -> Message {
    let event_ms = number(value, "E");
    let (bid, ask) = (level(&value["b"], &value["B"]), level(&value["a"], &value["A"]));
    let update_id = number(value, "u");
    message(event_ms, Kind::Top, vec![MarketBody::Top { symbol: SYMBOL, update_id, bid, ask, event_ms }])
}

fn trade(value: &Value) -> Message {
    let event_ms = number(value, "E");
    let Level { price, qty } = level(&value["p"], &value["q"]);
    let taker = if value["m"] == true { Side::Sell } else { Side::Buy };
    let (id, trade_ms) = (number(value, "t"), number(value, "T"));
    message(
        event_ms,
        Kind::Trade,
        vec![MarketBody::Trade { symbol: SYMBOL, taker, price, qty, id, trade_ms, event_ms }],
    )
}

fn mark(value: &Value) -> Message {
    let event_ms = number(value, "E");
    let price = |name: &str| value[name].as_str().unwrap().parse().unwrap();
    let (mark, index, next_funding_ms) = (price("p"), price("i"), number(value, "T"));
    let body = MarketBody::Mark { symbol: SYMBOL, mark, index, funding_rate: 0, next_funding_ms, event_ms };
    message(event_ms, Kind::Mark, vec![body])
}

fn message(event_ms: u64, kind: Kind, bodies: Vec<MarketBody>) -> Message {
    let received = Nanos::from_millis(event_ms);
    let events = bodies.into_iter().map(|body| MarketEvent { received, body }).collect();
    Message { event_ms, kind, events }
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("{name} is a number in {value}"))
}

fn level(price: &Value, qty: &Value) -> Level {
    Level { price: price.as_str().unwrap().parse().unwrap(), qty: qty.as_str().unwrap().parse().unwrap() }
}
