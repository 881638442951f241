//! What the worlds of these tests share: one symbol, generous limits, a market to choose.

#![allow(missing_docs, dead_code, clippy::unwrap_used)]

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use optiflow_backtest::usual::{self, Account, START, usdt};
use optiflow_backtest::world::{Net, World};
use optiflow_base::clock::VirtualClock;
use optiflow_engine::strategy::Strategy;
use optiflow_feed::Silence;
use optiflow_sim::market;
use optiflow_wire::transport::memory::{MemoryDialer, PipeOptions};

pub type TestWorld = World<Rc<VirtualClock>>;

/// A world on `market`, traded by `strategy`.
pub fn world(market: &str, seed: u64, depth_speed: &str, strategy: Box<dyn Strategy + Send>) -> TestWorld {
    let clock = Rc::new(VirtualClock::new(START));
    let exchange = usual::exchange(market::open(market, seed).unwrap(), &ACCOUNT, seed, START);
    let mut rooms = usual::rooms(vec![(usual::instrument(&exchange).unwrap(), strategy)], &ACCOUNT, seed).unwrap();
    rooms.feed.depth_speed = depth_speed.to_owned();
    // A recorded market may be quiet.
    rooms.feed.silence = Silence { depth: LONG, top: LONG, trade: LONG, mark: LONG };
    let net = Net { dialer: MemoryDialer::new(PipeOptions::default()), tls: None };
    World::new(rooms, Rc::new(RefCell::new(exchange)), &net, clock.clone(), || clock.clone())
}

/// A file of the shared data; `None`, said aloud, where it is absent.
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var("OPTIFLOW_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared").to_owned());
    let full = PathBuf::from(root).join(path);
    if !full.exists() {
        eprintln!("skipped: {} is absent", full.display());
        return None;
    }
    Some(full)
}

const ACCOUNT: Account = Account { name: "testkey", secret: "testsecret", wallet: usdt(10_000) };
const LONG: Duration = Duration::from_secs(60);
