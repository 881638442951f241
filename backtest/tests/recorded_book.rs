//! A recorded market all the way: exchange → protocol bytes → wire → feed → engine's book, equal to the true book at every
//! checkpoint that the engine stops at.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::time::Duration;

use optiflow_base::clock::Clock;
use optiflow_base::ids::SymbolId;
use optiflow_base::money::Side;
use optiflow_engine::book::{Book, BookState};
use optiflow_engine::strategy::{Orders, Strategy};
use optiflow_engine::view::View;
use serde_json::Value;
use sha2::{Digest, Sha256};

#[test]
fn the_bitcoin_book_is_the_true_one() {
    let whole = follow(
        &["data/usdm/btcusdt_20230404.dat.gz", "data/usdm/btcusdt_20230405.dat.gz"],
        "data/usdm/golden_book_btcusdt_20230404-05.jsonl",
    );
    assert!(whole >= 60, "{whole} checkpoints equal to the last level");
}

/// The exchange's book is deeper here than the thousand levels a snapshot shows; nobody can know what lies beyond.
#[test]
fn the_ether_book_is_the_true_one() {
    follow(
        &["data/usdm/ethusdt_20240718.gz", "data/usdm/ethusdt_20240719.gz"],
        "data/usdm/golden_book_ethusdt_20240718-19.jsonl",
    );
}

/// Compares the best five levels at every checkpoint; says at how many the book is equal to the last level.
fn follow(files: &[&str], golden: &str) -> usize {
    let Some(golden) = common::shared(golden) else { return usize::MAX };
    let golden = fs::read_to_string(golden).unwrap();
    let golden: Vec<Value> = golden.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let files: Vec<String> = files.iter().map(|file| common::shared(file).unwrap().to_string_lossy().into()).collect();
    let mut world = common::world(&files.join(","), 1, "0ms", Box::new(Watch));
    let tick = Duration::from_millis(2);
    let (mut compared, mut whole, mut last_id) = (0, 0, 0);
    while !world.exchange.borrow().core().market_ended() {
        let next = world.clock.now() + tick;
        world.run_until(next, tick);
        let book = world.book(SymbolId(0)).unwrap();
        if book.last_id() == last_id || book.state() != BookState::Synced {
            continue;
        }
        last_id = book.last_id();
        if let Some(checkpoint) = golden.iter().find(|checkpoint| checkpoint["u"].as_u64() == Some(last_id)) {
            assert_eq!(best(book, Side::Buy), five(&checkpoint["bids5"]), "at {last_id}");
            assert_eq!(best(book, Side::Sell), five(&checkpoint["asks5"]), "at {last_id}");
            whole += usize::from(fingerprint(book) == checkpoint["sha256"].as_str().unwrap());
            compared += 1;
        }
    }
    println!("{compared} of {} checkpoints, {whole} of them to the last level", golden.len());
    assert!(compared * 2 > golden.len(), "the engine stops at most checkpoints, not at {compared} of {}", golden.len());
    whole
}

fn best(book: &Book, side: Side) -> Vec<(String, String)> {
    book.stored_levels(side).take(5).map(|level| (level.price.to_string(), level.qty.to_string())).collect()
}

fn five(levels: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    levels.as_array().unwrap().iter().map(|level| (text(&level[0]), text(&level[1]))).collect()
}

fn fingerprint(book: &Book) -> String {
    let side = |side| -> String {
        let levels = book.stored_levels(side).map(|level| format!("{}:{}", level.price, level.qty));
        levels.collect::<Vec<_>>().join(",")
    };
    let text = format!("B{}|A{}", side(Side::Buy), side(Side::Sell));
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Watch;

impl Strategy for Watch {
    fn name(&self) -> &'static str {
        "watch"
    }

    fn on_update(&mut self, _view: &View<'_>, _orders: &mut Orders) {}
}
