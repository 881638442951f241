//! Numbers that cannot be true, in market events and reports: nothing panics, and the next sound book is traded again.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::SYMBOL;
use common::world::{EPOCH, World};
use optiflow_base::ids::{ExchangeOrderId, OrderId, TradeId};
use optiflow_base::market::{LEVELS_LEN, Level, MarketBody, StreamKind};
use optiflow_base::money::{Price, Qty, Side};
use optiflow_base::order::{OrderChange, OrderEvent, Report, Usage};
use optiflow_engine::strategies::scalping_v1::config::ScalpingConfig;
use proptest::prelude::*;

/// Numbers of every size and both signs, true ones among them.
fn number() -> impl Strategy<Value = i64> {
    let edges = prop::sample::select(vec![0, 1, -1, i64::MAX, i64::MIN, i64::MAX - 1, i64::MIN + 1, 1 << 61]);
    let near = (-20i64..20).prop_map(|ticks| 1_000_000_000_000 + ticks * 10_000_000);
    let on_grid = (1i64..900_000_000_000).prop_map(|ticks| ticks * 10_000_000);
    prop_oneof![2 => edges, 6 => near, 1 => any::<i64>(), 1 => on_grid, 3 => (-50i64..50).prop_map(|n| n * 100_000)]
}

fn level() -> impl Strategy<Value = Level> {
    (number(), number()).prop_map(|(price, qty)| Level { price: Price::from_units(price), qty: Qty::from_units(qty) })
}

fn change() -> impl Strategy<Value = OrderChange> {
    let exchange_id = ExchangeOrderId(1);
    prop_oneof![
        3 => Just(OrderChange::Sent),
        3 => Just(OrderChange::Accepted { exchange_id }),
        1 => Just(OrderChange::Unknown),
        1 => Just(OrderChange::Cancelled),
        1 => Just(OrderChange::Done),
        1 => any::<i32>().prop_map(|code| OrderChange::Refused { code }),
        4 => (number(), number(), number(), number()).prop_map(|(price, qty, total, fee)| OrderChange::Filled {
            trade: TradeId(1),
            price: Price::from_units(price),
            qty: Qty::from_units(qty),
            total: Qty::from_units(total),
            maker: true,
            fee,
        }),
        2 => (number(), number(), any::<bool>()).prop_map(|(price, qty, asked)| OrderChange::Modified {
            price: Price::from_units(price),
            qty: Qty::from_units(qty),
            asked,
        }),
    ]
}

#[derive(Clone, Debug)]
enum Turn {
    Start { snapshot: bool, last_id: u64, event_ms: u64 },
    Levels { buy: bool, levels: Vec<Level>, end: bool },
    Top { update_id: u64, bid: Level, ask: Level, event_ms: u64 },
    Trade { buy: bool, qty: i64, event_ms: u64 },
    Mark(i64),
    Silence(bool),
    Told { back: u32, change: OrderChange },
    Position { qty: i64, entry: i64 },
    Usage { count: u32, offset: i64 },
    Sound,
    Wait(u64),
}

fn turn() -> impl Strategy<Value = Turn> {
    let id = || prop_oneof![4 => 90u64..200, 1 => any::<u64>()];
    let ms = || prop_oneof![4 => 1_000_000u64..1_010_000, 1 => any::<u64>(), 1 => Just(0)];
    let levels = || prop::collection::vec(level(), 0..LEVELS_LEN);
    prop_oneof![
        3 => (any::<bool>(), id(), ms()).prop_map(|(snapshot, last_id, event_ms)| Turn::Start { snapshot, last_id, event_ms }),
        6 => (any::<bool>(), levels(), any::<bool>()).prop_map(|(buy, levels, end)| Turn::Levels { buy, levels, end }),
        4 => (id(), level(), level(), ms()).prop_map(|(update_id, bid, ask, event_ms)| Turn::Top { update_id, bid, ask, event_ms }),
        3 => (any::<bool>(), number(), ms()).prop_map(|(buy, qty, event_ms)| Turn::Trade { buy, qty, event_ms }),
        2 => number().prop_map(Turn::Mark),
        1 => any::<bool>().prop_map(Turn::Silence),
        6 => (0u32..4, change()).prop_map(|(back, change)| Turn::Told { back, change }),
        2 => (number(), number()).prop_map(|(qty, entry)| Turn::Position { qty, entry }),
        1 => (any::<u32>(), number()).prop_map(|(count, offset)| Turn::Usage { count, offset }),
        4 => Just(Turn::Sound),
        3 => (1u64..2_000).prop_map(Turn::Wait),
    ]
}

fn play(world: &mut World, turn: &Turn, newest: u32) {
    let symbol = SYMBOL;
    let at = world.now();
    let side = |buy: bool| if buy { Side::Buy } else { Side::Sell };
    match turn {
        &Turn::Start { snapshot, last_id, event_ms } => {
            let (empty, match_ms) = (false, event_ms);
            world.send(MarketBody::DepthStart { symbol, snapshot, empty, last_id, event_ms, match_ms });
        }
        Turn::Levels { buy, levels: some, end } => {
            let mut levels = [Level::default(); LEVELS_LEN];
            levels[..some.len()].copy_from_slice(some);
            let (side, count, end) = (side(*buy), some.len() as u8, *end);
            world.send(MarketBody::Levels { symbol, side, count, end, levels });
        }
        &Turn::Top { update_id, bid, ask, event_ms } => {
            world.send(MarketBody::Top { symbol, update_id, bid, ask, event_ms });
        }
        &Turn::Trade { buy, qty, event_ms } => {
            let (taker, price, qty, trade_ms) = (side(buy), Price::from_units(1), Qty::from_units(qty), event_ms);
            world.send(MarketBody::Trade { symbol, taker, price, qty, id: 1, trade_ms, event_ms });
        }
        &Turn::Mark(units) => {
            let mark = Price::from_units(units);
            let (index, funding_rate, next_funding_ms, event_ms) = (mark, 0, 0, 0);
            world.send(MarketBody::Mark { symbol, mark, index, funding_rate, next_funding_ms, event_ms });
        }
        &Turn::Silence(silent) => world.send(MarketBody::Silence { symbol, stream: StreamKind::Trade, silent }),
        &Turn::Told { back, change } => {
            let order = OrderId::new(EPOCH, newest.saturating_sub(back));
            let event = OrderEvent { symbol, order, at, exchange_ms: 0, change };
            world.from_oms.push(Report::Order(event)).unwrap();
        }
        &Turn::Position { qty, entry } => {
            let (qty, entry) = (Qty::from_units(qty), Price::from_units(entry));
            world.from_oms.push(Report::Position { symbol, qty, entry, at }).unwrap();
        }
        &Turn::Usage { count, offset } => {
            let (weight_minute, clock_offset_ns) = (Some(count), Some(offset));
            let usage = Usage { weight_minute, clock_offset_ns, ..Usage::default() };
            world.from_oms.push(Report::Usage(usage)).unwrap();
            let usage = Usage { clock_offset_ns: Some(0), ..Usage::default() };
            world.from_oms.push(Report::Usage(usage)).unwrap();
        }
        Turn::Sound => world.run("mark:10000 book:10000/9/10000.1/1"),
        &Turn::Wait(ms) => world.wait(ms),
    }
    world.settle();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_number_stops_the_stage(turns in prop::collection::vec(turn(), 1..120)) {
        let mut world = World::new(ScalpingConfig::default(), 64);
        world.run("gate:open book:10000/9/10000.1/1");
        let mut newest = 1;
        for turn in &turns {
            play(&mut world, turn, newest);
            newest = world.take_intents().iter().map(|intent| intent.order().counter()).fold(newest, u32::max);
            while world.log.pop().is_some() {}
            while world.doubts.pop().is_some() {}
        }
        world.run("lost book:10000/9/10000.1/1");
        prop_assert!(world.engine.book(SYMBOL).unwrap().is_tradable());
    }
}
