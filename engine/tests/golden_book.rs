//! The book equals every checkpoint of the shared golden files, on both recordings: levels, counts and hash.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fmt::Write;

use serde_json::Value;
use sha2::{Digest, Sha256};

use common::Kind;
use optiflow_base::market::Level;
use optiflow_base::money::Side;
use optiflow_engine::book::{Applied, Book};

#[test]
fn the_book_of_btcusdt_equals_every_checkpoint() {
    check("btcusdt_20230404-05", &["btcusdt_20230404.dat.gz", "btcusdt_20230405.dat.gz"], "0.1");
}

#[test]
fn the_book_of_ethusdt_equals_every_checkpoint() {
    check("ethusdt_20240718-19", &["ethusdt_20240718.gz", "ethusdt_20240719.gz"], "0.01");
}

fn check(golden: &str, files: &[&str], tick: &str) {
    let Some(shared) = common::shared("golden_book") else { return };
    let usdm = shared.join("data/usdm");
    let text = std::fs::read_to_string(usdm.join(format!("golden_book_{golden}.jsonl"))).unwrap();
    let mut checkpoints = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).peekable();
    let paths: Vec<_> = files.iter().map(|file| usdm.join(file)).collect();
    let mut book = Book::new(tick.parse().unwrap());
    let (mut applied, mut compared) = (0, 0);
    for message in common::recording(&paths) {
        let mut last = Applied::Nothing;
        for event in &message.events {
            last = book.apply(&event.body);
        }
        if matches!(message.kind, Kind::Snapshot | Kind::Diff) {
            assert_eq!(last, Applied::Complete);
        }
        if message.kind == Kind::Diff {
            applied += 1;
            if let Some(checkpoint) = checkpoints.next_if(|checkpoint| checkpoint["applied"] == applied) {
                compare(&book, &checkpoint);
                compared += 1;
            }
        }
    }
    assert!(checkpoints.next().is_none(), "every checkpoint was met");
    assert!(compared > 30);
    assert_eq!(book.forgotten(), 0);
    eprintln!("{golden}: {compared} checkpoints over {applied} diffs");
}

fn compare(book: &Book, checkpoint: &Value) {
    let side = |side| book.stored_levels(side).collect::<Vec<Level>>();
    let (bids, asks) = (side(Side::Buy), side(Side::Sell));
    assert_eq!(book.last_id(), checkpoint["u"].as_u64().unwrap());
    for (levels, side, top, count) in [(&bids, Side::Buy, "bids5", "nb"), (&asks, Side::Sell, "asks5", "na")] {
        let five: Vec<[String; 2]> = levels.iter().take(5).map(|l| [l.price.to_string(), l.qty.to_string()]).collect();
        assert_eq!(serde_json::to_value(five).unwrap(), checkpoint[top], "{checkpoint}");
        assert_eq!(book.stored_len(side) as u64, checkpoint[count].as_u64().unwrap());
        assert_eq!(book.stored_len(side), levels.len());
    }
    let text = format!("B{}|A{}", joined(&bids), joined(&asks));
    let hash = Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    assert_eq!(hash, checkpoint["sha256"].as_str().unwrap(), "at {}", checkpoint["applied"]);
}

fn joined(levels: &[Level]) -> String {
    levels.iter().map(|level| format!("{}:{}", level.price, level.qty)).collect::<Vec<_>>().join(",")
}
