//! A real market at full speed against a stub of an exchange: the strategy trades, within its bounds, and a second run
//! decides the same. The stub queues a resting order behind what the book shows at its price and lets trades eat the
//! queue: crude, but enough to count orders; what fills really are is the simulated exchange's business.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::SYMBOL;
use common::world::{World, text};
use optiflow_base::clock::{Clock, Nanos};
use optiflow_base::ids::{ExchangeOrderId, TradeId};
use optiflow_base::market::MarketBody;
use optiflow_base::money::{Price, Qty, Side};
use optiflow_base::order::{Action, NewOrder, OrderChange, TimeInForce};
use optiflow_engine::strategies::scalping_v1::config::ScalpingConfig;

#[derive(Default)]
struct Counts {
    intents: Vec<String>,
    placed_ms: Vec<u64>,
    entry_fills_ms: Vec<u64>,
}

#[test]
fn every_minute_of_a_real_market_gives_orders_and_fills_and_a_second_run_the_same() {
    let Some(shared) = common::shared("recording") else { return };
    let paths = ["btcusdt_20230404.dat.gz", "btcusdt_20230405.dat.gz"].map(|file| shared.join("data/usdm").join(file));
    let messages = common::recording(&paths);
    let config = ScalpingConfig::default();
    let counts = play(&messages, &config);
    let (start, end) = (messages[0].event_ms, messages[messages.len() - 1].event_ms);
    let mut fills = 0;
    for minute in 0..(end - start) / 60_000 {
        let count = |times: &[u64]| times.iter().filter(|at| (*at - start) / 60_000 == minute).count();
        let (orders, filled) = (count(&counts.placed_ms), count(&counts.entry_fills_ms));
        eprintln!("minute {minute}: {orders} orders, {filled} entries filled");
        assert!(orders >= 25, "a margin above the twenty that are asked for");
        fills += filled;
    }
    assert!(fills >= 16, "two a minute on average");
    let max = config.orders_per_second_max as usize;
    for (first, last) in counts.placed_ms.iter().zip(counts.placed_ms.iter().skip(max)) {
        assert!(last - first >= 999, "at most {max} orders in any second");
    }
    assert!(play(&messages, &config).intents == counts.intents, "same events, same intents");
}

/// A resting order and what is queued ahead of it, in 10⁻⁸.
struct Resting {
    order: NewOrder,
    ahead: i64,
}

fn play(messages: &[common::Message], config: &ScalpingConfig) -> Counts {
    let mut world = World::new(config.clone(), 64);
    let (mut counts, mut resting) = (Counts::default(), Vec::<Resting>::new());
    world.gate(true);
    for message in messages {
        let at = Nanos::from_millis(message.event_ms).max(world.clock.now());
        world.clock.advance_to(at);
        for event in &message.events {
            if let MarketBody::Trade { taker, price, qty, .. } = event.body {
                eat(&mut resting, taker, price, qty);
            }
            world.market.push(*event).unwrap();
        }
        world.settle();
        take(&mut world, &mut resting, &mut counts);
        fill(&mut world, &mut resting, &mut counts);
        while world.log.pop().is_some() {}
    }
    counts
}

fn eat(resting: &mut [Resting], taker: Side, price: Price, qty: Qty) {
    for resting in resting.iter_mut().filter(|resting| resting.order.side != taker) {
        if resting.order.price == price {
            resting.ahead -= qty.units();
        } else if resting.order.side.reaches(resting.order.price, price) {
            resting.ahead = -1;
        }
    }
}

fn take(world: &mut World, resting: &mut Vec<Resting>, counts: &mut Counts) {
    for intent in world.take_intents() {
        counts.intents.push(text(&intent));
        let counter = intent.order().counter();
        match intent.action {
            Action::Modify { .. } => panic!("this strategy never modifies"),
            Action::Cancel(id) => {
                let before = resting.len();
                resting.retain(|resting| resting.order.id != id);
                let gone = resting.len() == before;
                let change = if gone { OrderChange::CancelRefused { code: -2011 } } else { OrderChange::Cancelled };
                world.order(counter, change);
            }
            Action::Place(order) => {
                counts.placed_ms.push(world.clock.now().millis());
                world.order(counter, OrderChange::Sent);
                world.order(counter, OrderChange::Accepted { exchange_id: ExchangeOrderId(1) });
                let levels = world.engine.book(SYMBOL).unwrap().levels(order.side);
                let ahead =
                    levels.take(20).find(|level| level.price == order.price).map_or(0, |level| level.qty.units());
                resting.push(Resting { order, ahead });
            }
        }
    }
}

fn fill(world: &mut World, resting: &mut Vec<Resting>, counts: &mut Counts) {
    let Some((bid, ask)) = world.engine.book(SYMBOL).and_then(|book| book.touch().both()) else { return };
    resting.retain(|Resting { order, ahead }| {
        let opposite = if order.side == Side::Buy { ask.price } else { bid.price };
        let reached = order.price.is_zero() || order.side.reaches(order.price, opposite) || *ahead < 0;
        let takes = order.time_in_force == TimeInForce::Ioc;
        let (counter, qty, price) = (order.id.counter(), order.qty, if takes { opposite } else { order.price });
        if reached {
            if !order.reduce_only {
                counts.entry_fills_ms.push(world.clock.now().millis());
            }
            world.order(
                counter,
                OrderChange::Filled { trade: TradeId(1), price, qty, total: qty, maker: !takes, fee: 0 },
            );
            world.order(counter, OrderChange::Done);
        } else if takes {
            world.order(counter, OrderChange::Expired);
        }
        !reached && !takes
    });
    world.settle();
}
