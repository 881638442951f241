//! What the tests of this crate share: recordings, and a plain book that believes every event.

#![allow(dead_code, missing_docs)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use optiflow_base::ids::SymbolName;
use optiflow_base::market::{BookLoss, MarketBody, MarketEvent};
use optiflow_base::money::{Price, Qty, Side};
use optiflow_feed::binance::{Decoder, Symbols};

pub fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var("OPTIFLOW_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared").to_owned());
    let full = Path::new(&root).join(path);
    if !full.exists() {
        eprintln!("skipped: {} is absent", full.display());
        return None;
    }
    Some(full)
}

/// The JSON of every line of a capture; the last line may be cut.
pub fn payloads(path: &Path) -> impl Iterator<Item = Vec<u8>> {
    let reader = BufReader::new(MultiGzDecoder::new(File::open(path).unwrap()));
    reader.split(b'\n').map_while(Result::ok).filter_map(|line| {
        let at = line.iter().position(|&byte| byte == b'{')?;
        Some(line[at..].to_vec())
    })
}

/// Local time and JSON of every line of a capture; a line without either is left out.
pub fn lines(path: &Path) -> impl Iterator<Item = (u64, Vec<u8>)> {
    let reader = BufReader::new(MultiGzDecoder::new(File::open(path).unwrap()));
    reader.split(b'\n').map_while(Result::ok).filter_map(|line| {
        let at = line.iter().position(|&byte| byte == b'{')?;
        let local = std::str::from_utf8(&line[..at]).ok()?.trim().parse().ok()?;
        Some((local, line[at..].to_vec()))
    })
}

pub fn names(names: &[&str]) -> Vec<SymbolName> {
    names.iter().map(|name| SymbolName::from(name).unwrap()).collect()
}

pub fn decoder(symbols: &[&str]) -> Decoder {
    Decoder::new(Symbols::new(&names(symbols)))
}

/// A book in two ordered maps. Checks what the market ring promises: levels only after a start, nothing without `end`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlainBook {
    pub bids: BTreeMap<Price, Qty>,
    pub asks: BTreeMap<Price, Qty>,
    pub last_id: u64,
    /// In sequence and complete.
    pub good: bool,
    pub diffs: u64,
    pub losses: Vec<BookLoss>,
    inside: bool,
    is_diff: bool,
}

impl PlainBook {
    /// True when a message is complete now.
    pub fn apply(&mut self, event: &MarketEvent) -> bool {
        match event.body {
            MarketBody::DepthStart { snapshot, empty, last_id, .. } => {
                assert!(!self.inside, "a message begins inside another");
                if snapshot {
                    (self.bids, self.asks) = Default::default();
                }
                assert!(snapshot || self.good, "a diff for a lost book");
                (self.last_id, self.good, self.inside, self.is_diff) = (last_id, false, true, !snapshot);
                if empty { self.complete() } else { false }
            }
            MarketBody::Levels { side, count, end, levels, .. } => {
                assert!(self.inside, "levels without a start");
                let book = if side == Side::Buy { &mut self.bids } else { &mut self.asks };
                for level in &levels[..usize::from(count)] {
                    if level.qty.is_zero() {
                        book.remove(&level.price);
                    } else {
                        book.insert(level.price, level.qty);
                    }
                }
                if end { self.complete() } else { false }
            }
            MarketBody::BookLost { reason, .. } => {
                assert!(!self.inside, "a loss inside a message");
                self.good = false;
                self.losses.push(reason);
                false
            }
            MarketBody::Top { .. }
            | MarketBody::Trade { .. }
            | MarketBody::Mark { .. }
            | MarketBody::Silence { .. } => false,
        }
    }

    fn complete(&mut self) -> bool {
        self.diffs += u64::from(self.is_diff);
        (self.inside, self.good) = (false, true);
        true
    }

    pub fn same_levels(&self, other: &PlainBook) -> bool {
        self.bids == other.bids && self.asks == other.asks
    }
}
