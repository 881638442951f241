//! A client that follows the documented rules of the local order book must sync at every speed and stay right, whenever
//! it joins: snapshot and streams are two views of one book.

use std::collections::BTreeMap;
use std::path::PathBuf;

use optiflow_base::clock::Nanos;
use optiflow_base::money::{Price, Qty, Side};
use serde_json::Value;

use super::testing::World;
use crate::core::Core;
use crate::market;

type Book = BTreeMap<(bool, Price), Qty>;

/// A client of its own, written from the rules alone.
struct Client {
    id: u64,
    speed: &'static str,
    joins_ms: u64,
    joined: bool,
    buffer: Vec<Value>,
    book: Book,
    /// `u` of what was applied last; `None` until synced.
    last_id: Option<u64>,
    /// `lastUpdateId` of a snapshot that waits for its bridging event.
    snapshot_id: Option<u64>,
    fetches: u32,
    /// `u` at which the books were last compared.
    compared_id: u64,
    compared: u32,
}

impl Client {
    fn new(id: u64, speed: &'static str, joins_ms: u64) -> Client {
        Client {
            id,
            speed,
            joins_ms,
            joined: false,
            buffer: Vec::new(),
            book: Book::new(),
            last_id: None,
            snapshot_id: None,
            fetches: 0,
            compared_id: 0,
            compared: 0,
        }
    }

    fn fetch(&mut self, core: &Core) {
        self.fetches += 1;
        self.book = book_of(core);
        self.snapshot_id = Some(core.book(0).last_id());
    }

    fn receive(&mut self, frame: &str, core: &Core) {
        self.buffer.push(serde_json::from_str(frame).unwrap());
        if self.last_id.is_none() && self.snapshot_id.is_none() {
            self.fetch(core);
        }
        for event in std::mem::take(&mut self.buffer) {
            self.handle(&event, core);
        }
    }

    fn handle(&mut self, event: &Value, core: &Core) {
        let number = |key: &str| event[key].as_u64().unwrap();
        let (first, last, previous) = (number("U"), number("u"), number("pu"));
        match (self.last_id, self.snapshot_id) {
            (Some(applied), _) => {
                assert_eq!(previous, applied, "client {}: the chain broke at {event}", self.id);
                self.apply(event, last);
            }
            (None, Some(snapshot)) if last < snapshot => {}
            (None, Some(snapshot)) if first <= snapshot => self.apply(event, last),
            // The event that would bridge was missed: a newer snapshot, the same event again.
            (None, _) => {
                self.fetch(core);
                assert!(self.fetches <= 3, "client {} cannot sync", self.id);
                self.handle(event, core);
            }
        }
    }

    fn apply(&mut self, event: &Value, last: u64) {
        for (bids, key) in [(true, "b"), (false, "a")] {
            for level in event[key].as_array().unwrap() {
                let price: Price = level[0].as_str().unwrap().parse().unwrap();
                let qty: Qty = level[1].as_str().unwrap().parse().unwrap();
                if qty.is_zero() {
                    self.book.remove(&(bids, price));
                } else {
                    self.book.insert((bids, price), qty);
                }
            }
        }
        self.last_id = Some(last);
    }

    /// When the exchange's book stands where ours stands, they are the same book.
    fn compare(&mut self, core: &Core) {
        let id = core.book(0).last_id();
        if self.last_id == Some(id) && self.compared_id != id {
            assert_eq!(self.book, book_of(core), "client {} at {id}", self.id);
            self.compared_id = id;
            self.compared += 1;
        }
    }
}

fn book_of(core: &Core) -> Book {
    let side = |side: Side| core.book(0).levels(side).map(move |level| ((side == Side::Buy, level.price), level.qty));
    side(Side::Buy).chain(side(Side::Sell)).collect()
}

/// Lets clients of every speed join one after the other, every other one with a snapshot before its first event.
fn check(spec: &str, run_ms: u64) {
    let start = Nanos::from_millis(1_795_327_200_000);
    let mut world = World::new(market::open(spec, 11).unwrap(), start);
    let name = world.core.listings()[0].name.to_lowercase();
    let client = |id: u64| Client::new(id, SPEEDS[id as usize % SPEEDS.len()], FIRST_JOIN_MS + id * JOIN_EVERY_MS);
    let mut clients: Vec<Client> = (0..CLIENTS).map(client).collect();
    for ms in (STEP_MS..=run_ms).step_by(STEP_MS as usize) {
        world.run_to(start.millis() + ms);
        for client in &mut clients {
            if !client.joined && ms >= client.joins_ms {
                client.joined = true;
                world.open(client.id, &format!("/public/ws/{name}@depth{}", client.speed));
                if (client.id / SPEEDS.len() as u64).is_multiple_of(2) {
                    client.fetch(&world.core);
                }
            }
            for frame in world.texts(client.id) {
                client.receive(&frame, &world.core);
            }
            client.compare(&world.core);
        }
    }
    for client in clients {
        assert!(client.last_id.is_some(), "{spec}: client {} syncs", client.id);
        assert!(client.compared >= 3, "{spec}{}: client {} compared {}", client.speed, client.id, client.compared);
    }
}

fn shared(file: &str) -> PathBuf {
    let root = std::env::var_os("OPTIFLOW_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")), PathBuf::from);
    root.join("data/usdm").join(file)
}

const SPEEDS: [&str; 4] = ["@0ms", "@100ms", "", "@500ms"];
const CLIENTS: u64 = 48;
const STEP_MS: u64 = 10;
const FIRST_JOIN_MS: u64 = 1_000;
/// Not a divisor of any window, so that clients join everywhere within one.
const JOIN_EVERY_MS: u64 = 70;

#[test]
fn a_client_that_follows_the_rules_keeps_the_book_of_the_synthetic_market() {
    check("synthetic", 12_000);
}

#[test]
fn a_client_that_follows_the_rules_keeps_the_book_of_a_recorded_market() {
    for file in ["btcusdt_20230404.dat.gz", "ethusdt_20240718.gz"] {
        let path = shared(file);
        if !path.exists() {
            eprintln!("skipped: {} is not there", path.display());
            return;
        }
        check(&path.display().to_string(), 12_000);
    }
}
