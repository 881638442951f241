//! Numbers that cannot be true, in quotes, reports and intents: nothing panics, and what is not understood is denied.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{EPOCH, World, config_of_two};
use optiflow_base::clock::Nanos;
use optiflow_base::ids::{ExchangeOrderId, OrderId, SymbolId, TradeId};
use optiflow_base::market::{BookLoss, Level, MarketBody, StreamKind};
use optiflow_base::money::{Price, Qty, Side};
use optiflow_base::order::{Action, Intent, NewOrder, OrderChange, OrderEvent, OrderKind, Report, TimeInForce, Usage};
use proptest::prelude::*;

/// Numbers of every size and both signs, true ones among them.
fn number() -> impl Strategy<Value = i64> {
    let edges = prop::sample::select(vec![0, 1, -1, i64::MAX, i64::MIN, i64::MAX - 1, i64::MIN + 1, i64::MAX / 4]);
    let steps = (-50i64..50).prop_map(|milli| milli * 100_000);
    prop_oneof![2 => edges, 4 => steps, 1 => any::<i64>(), 4 => Just(3_000_000_000_000), 2 => Just(3_000_010_000_000)]
}

fn change() -> impl Strategy<Value = OrderChange> {
    let exchange_id = ExchangeOrderId(1);
    prop_oneof![
        Just(OrderChange::Sent),
        Just(OrderChange::Accepted { exchange_id }),
        Just(OrderChange::Unknown),
        Just(OrderChange::Cancelled),
        Just(OrderChange::Expired),
        Just(OrderChange::Done),
        any::<i32>().prop_map(|code| OrderChange::Refused { code }),
        any::<i32>().prop_map(|code| OrderChange::ModifyRefused { code }),
        (number(), number(), number(), number()).prop_map(|(price, qty, total, fee)| OrderChange::Filled {
            trade: TradeId(1),
            price: Price::from_units(price),
            qty: Qty::from_units(qty),
            total: Qty::from_units(total),
            maker: true,
            fee,
        }),
        (number(), number(), any::<bool>()).prop_map(|(price, qty, asked)| OrderChange::Modified {
            price: Price::from_units(price),
            qty: Qty::from_units(qty),
            asked,
        }),
    ]
}

#[derive(Clone, Debug)]
enum Act {
    Place { symbol: u16, buy: bool, market: bool, price: i64, qty: i64, reduce: bool },
    Modify { symbol: u16, back: u32, price: i64, qty: i64 },
    Cancel { symbol: u16, back: u32 },
    Told { symbol: u16, back: u32, change: OrderChange },
    Position { symbol: u16, qty: i64 },
    Usage { count: u32, until: u64, offset: i64 },
    Top { symbol: u16, bid: i64, ask: i64 },
    Mark { symbol: u16, mark: i64 },
    Lost { symbol: u16, silent: bool },
    Wait { ns: u64 },
}

fn act() -> impl Strategy<Value = Act> {
    let symbol = || 0u16..2;
    let back = || 0u32..6;
    let span = || prop_oneof![4 => 0u64..100_000_000, 1 => 0u64..100_000_000_000];
    prop_oneof![
        6 => (symbol(), any::<bool>(), prop::bool::weighted(0.2), number(), number(), any::<bool>())
            .prop_map(|(symbol, buy, market, price, qty, reduce)| Act::Place { symbol, buy, market, price, qty, reduce }),
        2 => (symbol(), back(), number(), number()).prop_map(|(symbol, back, price, qty)| Act::Modify { symbol, back, price, qty }),
        1 => (symbol(), back()).prop_map(|(symbol, back)| Act::Cancel { symbol, back }),
        8 => (symbol(), back(), change()).prop_map(|(symbol, back, change)| Act::Told { symbol, back, change }),
        2 => (symbol(), number()).prop_map(|(symbol, qty)| Act::Position { symbol, qty }),
        1 => (any::<u32>(), span(), number()).prop_map(|(count, until, offset)| Act::Usage { count, until, offset }),
        2 => (symbol(), number(), number()).prop_map(|(symbol, bid, ask)| Act::Top { symbol, bid, ask }),
        4 => symbol().prop_map(|symbol| Act::Top { symbol, bid: 2_999_990_000_000, ask: 3_000_010_000_000 }),
        1 => (symbol(), number()).prop_map(|(symbol, mark)| Act::Mark { symbol, mark }),
        4 => symbol().prop_map(|symbol| Act::Mark { symbol, mark: 3_000_000_000_000 }),
        1 => (symbol(), any::<bool>()).prop_map(|(symbol, silent)| Act::Lost { symbol, silent }),
        1 => span().prop_map(|ns| Act::Wait { ns }),
    ]
}

fn play(world: &mut World, act: &Act) {
    let now = world.now;
    let order = |world: &World, back: u32| OrderId::new(EPOCH, world.next_id.saturating_sub(back));
    let (price_of, qty_of) = (Price::from_units, Qty::from_units);
    let intend = |world: &mut World, symbol: u16, action: Action| {
        let intent = Intent { symbol: SymbolId(symbol), action, caused: now, decided: now };
        world.intents.push(intent).unwrap();
    };
    match *act {
        Act::Place { symbol, buy, market, price, qty, reduce } => {
            let (kind, price) = if market { (OrderKind::Market, 0) } else { (OrderKind::Limit, price) };
            let side = if buy { Side::Buy } else { Side::Sell };
            let (id, time_in_force) = (OrderId::new(EPOCH, world.next_id), TimeInForce::Gtx);
            world.next_id += 1;
            let (price, qty, reduce_only) = (price_of(price), qty_of(qty), reduce);
            intend(world, symbol, Action::Place(NewOrder { id, side, kind, time_in_force, price, qty, reduce_only }));
        }
        Act::Modify { symbol, back, price, qty } => {
            let order = order(world, back);
            intend(world, symbol, Action::Modify { order, price: price_of(price), qty: qty_of(qty) });
        }
        Act::Cancel { symbol, back } => intend(world, symbol, Action::Cancel(order(world, back))),
        Act::Told { symbol, back, change } => {
            let (symbol, order) = (SymbolId(symbol), order(world, back));
            world.report(Report::Order(OrderEvent { symbol, order, at: now, exchange_ms: 0, change }));
        }
        Act::Position { symbol, qty } => {
            let (symbol, qty, entry) = (SymbolId(symbol), qty_of(qty), Price::ZERO);
            world.report(Report::Position { symbol, qty, entry, at: now });
        }
        Act::Usage { count, until, offset } => {
            world.report(Report::Usage(Usage {
                weight_minute: Some(count),
                orders_ten_seconds: Some(count % 100),
                orders_minute: Some(count % 2_000),
                blocked_until: Some(now + Duration::from_nanos(until)),
                clock_offset_ns: Some(offset),
                asked: Some(Nanos(until)),
                ..Usage::default()
            }));
            world.report(Report::Usage(Usage { clock_offset_ns: Some(0), ..Usage::default() }));
        }
        Act::Top { symbol, bid, ask } => {
            let level = |price| Level { price: price_of(price), qty: Qty::ZERO };
            let (symbol, bid, ask) = (SymbolId(symbol), level(bid), level(ask));
            world.quote(MarketBody::Top { symbol, update_id: 1, bid, ask, event_ms: 0 });
        }
        Act::Mark { symbol, mark } => {
            let (symbol, mark) = (SymbolId(symbol), price_of(mark));
            let (index, funding_rate, next_funding_ms, event_ms) = (mark, 0, 0, 0);
            world.quote(MarketBody::Mark { symbol, mark, index, funding_rate, next_funding_ms, event_ms });
        }
        Act::Lost { symbol, silent } => {
            let symbol = SymbolId(symbol);
            world.quote(MarketBody::Silence { symbol, stream: StreamKind::Mark, silent });
            world.quote(MarketBody::BookLost { symbol, reason: BookLoss::Gap });
        }
        Act::Wait { ns } => world.wait(Duration::from_nanos(ns)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_number_stops_the_stage(acts in prop::collection::vec(act(), 1..150)) {
        let mut world = World::ready_with_two(config_of_two("4000", 20));
        for act in &acts {
            // Slow enough to be no runaway.
            world.wait(Duration::from_millis(10));
            play(&mut world, act);
            world.step();
            while world.orders.pop().is_some() {}
            while world.denials.pop().is_some() {}
            while world.log.pop().is_some() {}
        }
    }
}
