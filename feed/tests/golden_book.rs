//! Real recordings through parser and gate: the book that comes out is the true one at every checkpoint, and a deleted
//! line is noticed and recovered from.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::wildcard_enum_match_arm)]

mod common;

use std::fs;

use common::{PlainBook, decoder, payloads, shared};
use optiflow_base::clock::Nanos;
use optiflow_base::ids::SymbolId;
use optiflow_base::market::{BookLoss, Level, MarketEvent};
use optiflow_base::money::{Price, Qty};
use optiflow_feed::binance::{Decoder, Message, Top};
use optiflow_feed::sync::{Admit, Joined, Snapshot, SymbolSync};
use serde_json::Value;
use sha2::{Digest, Sha256};

const BTC: Recording = Recording {
    symbol: "BTCUSDT",
    files: ["data/usdm/btcusdt_20230404.dat.gz", "data/usdm/btcusdt_20230405.dat.gz"],
    golden: "data/usdm/golden_book_btcusdt_20230404-05.jsonl",
};
const ETH: Recording = Recording {
    symbol: "ETHUSDT",
    files: ["data/usdm/ethusdt_20240718.gz", "data/usdm/ethusdt_20240719.gz"],
    golden: "data/usdm/golden_book_ethusdt_20240718-19.jsonl",
};

struct Recording {
    symbol: &'static str,
    files: [&'static str; 2],
    golden: &'static str,
}

/// A capture on its way through decoder and gate into a plain book.
struct Replay {
    decoder: Decoder,
    sync: SymbolSync,
    out: Vec<MarketEvent>,
    book: PlainBook,
    now: Nanos,
    attempt: Option<u32>,
    /// The recorded snapshot, when the recorder asked earlier than the gate does.
    early: Option<Vec<u8>>,
    top: Option<Top>,
    /// Best prices that were compared with the book at the same update id.
    tops_equal: u64,
}

impl Replay {
    fn new(symbol: &str) -> Replay {
        let mut sync = SymbolSync::new(SymbolId(0));
        sync.connected();
        Replay {
            decoder: decoder(&[symbol]),
            sync,
            out: Vec::new(),
            book: PlainBook::default(),
            now: Nanos::from_millis(1),
            attempt: None,
            early: None,
            top: None,
            tops_equal: 0,
        }
    }

    /// Takes one line; answers what the gate made of it when it was a diff.
    fn line(&mut self, mut payload: Vec<u8>, checkpoint: &mut impl FnMut(&PlainBook)) -> Option<Admit> {
        self.now = Nanos(self.now.0 + 20_000_000);
        let mut admit = None;
        if payload.starts_with(b"{\"lastUpdateId\"") {
            self.early = Some(payload);
        } else {
            match self.decoder.decode(&mut payload) {
                Ok(Message::Depth { diff, .. }) => admit = Some(self.sync.diff(self.now, &diff, &mut self.out)),
                Ok(Message::Top(top)) => self.top = Some(top),
                Ok(Message::Trade(_) | Message::Mark(_) | Message::Other) => {}
                Err(error) => assert!(!payload.ends_with(b"}"), "{error}"),
            }
        }
        self.deliver(checkpoint);
        if self.attempt.is_none() && self.sync.wants_snapshot(self.now) {
            self.attempt = Some(self.sync.begin_request(self.now));
        }
        if self.attempt.is_some()
            && let Some(mut body) = self.early.take()
        {
            let snapshot = self.decoder.snapshot(&mut body).unwrap();
            let attempt = self.attempt.take().unwrap();
            self.sync.snapshot(self.now, attempt, self.now, &snapshot, &mut self.out);
            self.deliver(checkpoint);
        }
        admit
    }

    fn deliver(&mut self, checkpoint: &mut impl FnMut(&PlainBook)) {
        for event in self.out.drain(..) {
            if self.book.apply(&event) {
                checkpoint(&self.book);
            }
        }
        if let Some(top) = self.top.take_if(|top| self.book.good && self.book.last_id >= top.update_id)
            && top.update_id == self.book.last_id
        {
            let best = |side: Option<(&Price, &Qty)>| side.map(|(&price, &qty)| Level { price, qty });
            assert_eq!(best(self.book.bids.last_key_value()), Some(top.bid));
            assert_eq!(best(self.book.asks.first_key_value()), Some(top.ask));
            self.tops_equal += 1;
        }
    }

    /// Answers the request under way with the true book.
    fn answer(&mut self, truth: &PlainBook) -> Joined {
        let side = |levels: &mut dyn Iterator<Item = (&Price, &Qty)>| -> Vec<Level> {
            levels.map(|(&price, &qty)| Level { price, qty }).collect()
        };
        let (bids, asks) = (side(&mut truth.bids.iter().rev()), side(&mut truth.asks.iter()));
        let snapshot = Snapshot { last_id: truth.last_id, event_ms: 0, match_ms: 0, bids: &bids, asks: &asks };
        let attempt = self.attempt.take().unwrap();
        let joined = self.sync.snapshot(self.now, attempt, self.now, &snapshot, &mut self.out);
        self.deliver(&mut |_| {});
        joined
    }
}

fn fingerprint(book: &PlainBook) -> String {
    let side = |levels: &mut dyn Iterator<Item = (&Price, &Qty)>| -> String {
        levels.map(|(price, qty)| format!("{price}:{qty}")).collect::<Vec<_>>().join(",")
    };
    let text = format!("B{}|A{}", side(&mut book.bids.iter().rev()), side(&mut book.asks.iter()));
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn top_of(value: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    value.as_array().unwrap().iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
}

fn compare(book: &PlainBook, golden: &Value) {
    let at = book.diffs;
    let top = |levels: &mut dyn Iterator<Item = (&Price, &Qty)>| -> Vec<(String, String)> {
        levels.take(5).map(|(price, qty)| (price.to_string(), qty.to_string())).collect()
    };
    assert_eq!(book.last_id, golden["u"].as_u64().unwrap(), "after {at} diffs");
    assert_eq!(top(&mut book.bids.iter().rev()), top_of(&golden["bids5"]), "after {at} diffs");
    assert_eq!(top(&mut book.asks.iter()), top_of(&golden["asks5"]), "after {at} diffs");
    assert_eq!(book.bids.len() as u64, golden["nb"].as_u64().unwrap(), "after {at} diffs");
    assert_eq!(book.asks.len() as u64, golden["na"].as_u64().unwrap(), "after {at} diffs");
    assert_eq!(fingerprint(book), golden["sha256"].as_str().unwrap(), "after {at} diffs");
}

fn golden_book(recording: &Recording) {
    let Some(golden) = shared(recording.golden) else { return };
    let golden = fs::read_to_string(golden).unwrap();
    let mut golden = golden.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).peekable();
    let mut replay = Replay::new(recording.symbol);
    let mut compared = 0;
    for file in recording.files {
        for payload in payloads(&shared(file).unwrap()) {
            replay.line(payload, &mut |book| {
                if golden.peek().is_some_and(|next| next["applied"].as_u64() == Some(book.diffs)) {
                    compare(book, &golden.next().unwrap());
                    compared += 1;
                }
            });
        }
    }
    assert!(golden.next().is_none(), "a checkpoint was not reached");
    assert!(compared > 10 && replay.book.good);
    assert_eq!(replay.book.losses, []);
    assert_eq!(replay.decoder.fallbacks(), 0, "the scanner knows every recorded message");
    assert!(replay.tops_equal > 100);
    println!("{}: {compared} checkpoints, {} best prices equal", recording.symbol, replay.tops_equal);
}

#[test]
fn the_bitcoin_book_equals_every_checkpoint() {
    golden_book(&BTC);
}

#[test]
fn the_ether_book_equals_every_checkpoint() {
    golden_book(&ETH);
}

#[test]
fn a_deleted_diff_is_noticed_by_the_next_one_and_recovered_from() {
    let Some(file) = shared(ETH.files[0]) else { return };
    let mut truth = Replay::new(ETH.symbol);
    let mut reader = Replay::new(ETH.symbol);
    let (mut diffs, mut deleted, mut recovered) = (0u64, 0u64, 0u64);
    for payload in payloads(&file) {
        let is_diff = truth.line(payload.clone(), &mut |_| {}).is_some();
        diffs += u64::from(is_diff);
        let delete = is_diff && diffs.is_multiple_of(400);
        if delete && reader.book.good {
            deleted += 1;
            continue;
        }
        let admit = reader.line(payload, &mut |_| {});
        if is_diff && reader.book.losses.len() as u64 == deleted && deleted > 0 && reader.attempt.is_some() {
            assert_ne!(admit, Some(Admit::Applied), "nothing is applied until the snapshot has been joined");
            assert_eq!(reader.answer(&truth.book), Joined::Live);
            assert!(reader.book.good && reader.book.same_levels(&truth.book));
            recovered += 1;
        }
    }
    assert!(deleted >= 5, "{deleted}");
    assert_eq!(recovered, deleted);
    assert_eq!(reader.book.losses, vec![BookLoss::Gap; deleted as usize]);
    assert!(reader.book.same_levels(&truth.book));
}
