//! The exchange, the rooms and the network of an incident: one symbol, generous limits, short patience for silence.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use optiflow_backtest::usual::{self, Account, usdt};
use optiflow_backtest::world::{Net, Rooms, World};
use optiflow_base::clock::VirtualClock;
use optiflow_base::instrument::Instrument;
use optiflow_engine::strategy::Strategy;
use optiflow_feed::Silence;
use optiflow_oms::binance::sign::ApiKey;
use optiflow_sim::binance::exchange::Exchange;
use optiflow_sim::market;
use optiflow_wire::transport::memory::{MemoryDialer, PipeOptions};

pub use optiflow_backtest::usual::START;

/// A world that stamps with virtual time.
pub type MuseumWorld = World<Rc<VirtualClock>>;

/// The exchange, with nothing wrong yet.
pub fn exchange(market: &str) -> Exchange {
    usual::exchange(market::open(market, 1).unwrap(), &ACCOUNT, 1, START)
}

/// Our process in its `life`-th life, and its network.
pub fn process(
    life: u32,
    exchange: &Rc<RefCell<Exchange>>,
    clock: &Rc<VirtualClock>,
    strategy: Box<dyn Strategy + Send>,
) -> (MuseumWorld, MemoryDialer) {
    let net = Net { dialer: MemoryDialer::new(PipeOptions::default()), tls: None };
    let rooms = rooms(life, usual::instrument(&exchange.borrow()).unwrap(), strategy);
    (World::new(rooms, exchange.clone(), &net, clock.clone(), || clock.clone()), net.dialer)
}

/// The account's key.
pub fn key() -> ApiKey {
    ACCOUNT.key().unwrap()
}

fn rooms(life: u32, instrument: Instrument, strategy: Box<dyn Strategy + Send>) -> Rooms {
    let mut rooms = usual::rooms(vec![(instrument, strategy)], &ACCOUNT, life.into()).unwrap();
    rooms.feed.silence = Silence { trade: LONG, mark: LONG, ..rooms.feed.silence };
    rooms.engine.epoch = FIRST_EPOCH + life;
    rooms.engine.book_age_max = LONG;
    rooms.risk.quote_age_max = LONG;
    for symbol in &mut rooms.risk.symbols {
        symbol.order_notional_max = usdt(1_000_000);
        symbol.position_notional_max = usdt(2_000_000);
        symbol.open_orders_max = 20;
    }
    rooms
}

const ACCOUNT: Account = Account { name: "museum", secret: "of-the-museum", wallet: usdt(1_000_000) };
const FIRST_EPOCH: u32 = 1_000;
/// Longer than any quiet time that is no fault.
const LONG: Duration = Duration::from_secs(60);
