//! A warmed-up engine allocates nothing: market events in, book, signals, strategy, intents out, reports back.

#![allow(unsafe_code, clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use common::SYMBOL;
use common::world::World;
use optiflow_base::ids::{ExchangeOrderId, TradeId};
use optiflow_base::market::{LEVELS_LEN, Level, MarketBody};
use optiflow_base::money::{Price, Qty, Side};
use optiflow_base::order::{Action, OrderChange};
use optiflow_engine::strategies::scalping_v1::config::ScalpingConfig;

/// Counts what is asked of the system's allocator while it is told to.
struct Counting;

static COUNTING: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is handed to the system's allocator unchanged; counting touches nothing but an atomic.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if COUNTING.load(Ordering::Relaxed) {
            COUNT.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the caller keeps the contract of `alloc`, which is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` above with this layout, hence from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A market that wanders, with far levels that come and go; seeded, so every run is the same.
struct Market {
    seed: u64,
    middle: i64,
    id: u64,
}

impl Market {
    fn random(&mut self, below: u64) -> i64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.seed >> 33) % below) as i64
    }

    fn level(&mut self, tick: i64) -> Level {
        let qty = self.random(50) * 100_000;
        Level { price: Price::from_units(tick * 10_000_000), qty: Qty::from_units(qty) }
    }

    /// One message: a bookTicker, a trade, a mark, or a depth message of a few levels.
    fn message(&mut self, world: &mut World) {
        self.middle += self.random(5) - 2;
        if self.random(200) == 0 {
            // A leap over the edge of the window: the next messages rebuild the touch far away.
            self.middle += (self.random(2) * 2 - 1) * 20_000;
        }
        self.id += 1;
        let (middle, event_ms) = (self.middle, world.now().millis());
        match self.random(10) {
            0 => {
                let (taker, price) =
                    (if self.random(2) == 0 { Side::Buy } else { Side::Sell }, self.level(middle).price);
                let qty = Qty::from_units(100_000);
                world.send(MarketBody::Trade {
                    symbol: SYMBOL,
                    taker,
                    price,
                    qty,
                    id: self.id,
                    trade_ms: event_ms,
                    event_ms,
                });
            }
            1 => {
                let mark = self.level(middle).price;
                world.send(MarketBody::Mark {
                    symbol: SYMBOL,
                    mark,
                    index: mark,
                    funding_rate: 0,
                    next_funding_ms: 0,
                    event_ms,
                });
            }
            2..=5 => {
                let (mut bid, mut ask) = (self.level(middle - 1), self.level(middle));
                bid.qty += Qty::from_units(1_000);
                ask.qty += Qty::from_units(1_000);
                world.send(MarketBody::Top { symbol: SYMBOL, update_id: self.id, bid, ask, event_ms });
            }
            _ => self.depth(world, event_ms),
        }
    }

    fn depth(&mut self, world: &mut World, event_ms: u64) {
        let snapshot = self.random(500) == 0;
        world.send(MarketBody::DepthStart {
            symbol: SYMBOL,
            snapshot,
            empty: false,
            last_id: self.id,
            event_ms,
            match_ms: event_ms,
        });
        for (index, side) in [Side::Buy, Side::Buy, Side::Sell, Side::Sell].into_iter().enumerate() {
            let mut levels = [Level::default(); LEVELS_LEN];
            for level in &mut levels {
                let reach = if self.random(6) == 0 { 90_000 } else { 40 };
                let distance = self.random(reach);
                let tick = if side == Side::Buy { self.middle - 1 - distance } else { self.middle + distance };
                *level = self.level(tick);
            }
            world.send(MarketBody::Levels { symbol: SYMBOL, side, count: LEVELS_LEN as u8, end: index == 3, levels });
        }
    }
}

/// The exchange: takes everything; fills a third of the entries at once, cancels what it is told to.
fn answer(world: &mut World) -> usize {
    let mut intents = 0;
    while let Some(intent) = world.intents.pop() {
        intents += 1;
        let counter = intent.order().counter();
        match intent.action {
            Action::Cancel(_) => world.order(counter, OrderChange::Cancelled),
            Action::Modify { .. } => panic!("this strategy never modifies"),
            Action::Place(order) => {
                world.order(counter, OrderChange::Sent);
                world.order(counter, OrderChange::Accepted { exchange_id: ExchangeOrderId(1) });
                if order.reduce_only || counter.is_multiple_of(3) {
                    let (qty, price) = (order.qty, order.price);
                    let (trade, total) = (TradeId(1), qty);
                    world.order(counter, OrderChange::Filled { trade, price, qty, total, maker: true, fee: 0 });
                    world.order(counter, OrderChange::Done);
                }
            }
        }
    }
    while world.log.pop().is_some() {}
    intents
}

fn play(world: &mut World, market: &mut Market, messages: usize) -> usize {
    let mut intents = 0;
    for _ in 0..messages {
        market.message(world);
        world.clock.advance_to(world.now() + Duration::from_millis(7));
        world.settle();
        intents += answer(world);
    }
    intents
}

#[test]
fn a_warmed_up_engine_allocates_nothing() {
    let mut world = World::new(ScalpingConfig::default(), 64);
    let mut market = Market { seed: 42, middle: 1_000_000, id: 1_000 };
    world.run("gate:open book:100000/9/100000.1/1");
    play(&mut world, &mut market, 2_000);
    COUNTING.store(true, Ordering::Relaxed);
    let intents = play(&mut world, &mut market, 20_000);
    COUNTING.store(false, Ordering::Relaxed);
    let allocations = COUNT.load(Ordering::Relaxed);
    assert!(intents > 50, "the loop decided things: {intents}");
    assert_eq!(allocations, 0, "over 20,000 messages and {intents} intents");
}
