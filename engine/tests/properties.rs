//! Whatever the market and the exchange do: one entry at a time, bounded orders, no order where none may be, exits that
//! never exceed the position, and the same decisions for the same events.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::BTreeMap;

use proptest::prelude::*;

use common::SYMBOL;
use common::world::{World, text};
use optiflow_base::clock::Nanos;
use optiflow_base::money::Qty;
use optiflow_base::order::{Action, Intent, NewOrder};
use optiflow_engine::strategies::scalping_v1::config::ScalpingConfig;

/// What the other side does next; numbers choose among what is possible.
#[derive(Clone, Debug)]
enum Turn {
    Wait(u64),
    Book {
        tick: i64,
        bids: u32,
        asks: u32,
    },
    Top {
        tick: i64,
        bids: u32,
        asks: u32,
    },
    Trade(bool),
    Lost,
    Gate(bool),
    Silence(bool),
    /// An answer to one of the live orders: which one, and how it goes.
    Answer(usize, u8),
}

fn turn() -> impl Strategy<Value = Turn> {
    let quantity = || prop_oneof![Just(1u32), 1u32..20];
    let tick = || -8i64..8;
    prop_oneof![
        4 => (1u64..400).prop_map(Turn::Wait),
        4 => (tick(), quantity(), quantity()).prop_map(|(tick, bids, asks)| Turn::Book { tick, bids, asks }),
        6 => (tick(), quantity(), quantity()).prop_map(|(tick, bids, asks)| Turn::Top { tick, bids, asks }),
        2 => any::<bool>().prop_map(Turn::Trade),
        1 => Just(Turn::Lost),
        1 => prop_oneof![3 => Just(true), 1 => Just(false)].prop_map(Turn::Gate),
        1 => prop_oneof![2 => Just(false), 1 => Just(true)].prop_map(Turn::Silence),
        12 => (any::<usize>(), 0u8..12).prop_map(|(which, how)| Turn::Answer(which, how)),
    ]
}

/// The other side's memory of one order.
struct Live {
    order: NewOrder,
    filled: Qty,
    sent: bool,
    cancel: bool,
}

/// Plays the turns, checks the laws at every step, and tells all intents.
fn play(turns: &[Turn]) -> Vec<String> {
    let mut world = World::new(ScalpingConfig::default(), 64);
    let (mut live, mut told, mut placed) = (BTreeMap::<u32, Live>::new(), Vec::new(), Vec::new());
    let (mut gate, mut lost, mut silent) = (true, true, false);
    world.run("gate:open");
    for turn in turns {
        let script = match turn {
            Turn::Wait(ms) => format!("wait:{ms}"),
            Turn::Book { tick, bids, asks } => {
                lost = false;
                format!("book:{}/{bids}/{}/{asks}", price(*tick), price(tick + 1))
            }
            Turn::Top { tick, bids, asks } => format!("top:{}/{bids}/{}/{asks}", price(*tick), price(tick + 1)),
            Turn::Trade(bought) => if *bought { "buy:1" } else { "sell:1" }.to_owned(),
            Turn::Lost => {
                lost = true;
                "lost".to_owned()
            }
            Turn::Gate(open) => {
                gate = *open;
                if *open { "gate:open" } else { "gate:closed" }.to_owned()
            }
            Turn::Silence(on) => {
                silent = *on;
                if *on { "silent:trade" } else { "speaks:trade" }.to_owned()
            }
            Turn::Answer(which, how) => answer(&mut live, *which, *how),
        };
        world.run(&script);
        for intent in world.take_intents() {
            told.push(text(&intent));
            if let Action::Place(order) = intent.action {
                assert!(gate && !lost, "no order through a closed gate or on a lost book: {}", text(&intent));
                assert!(order.reduce_only || !silent, "no entry with a silent stream");
                placed.push(intent.decided);
            }
            take(&mut live, &intent, &world);
        }
        assert!(live.values().filter(|live| !live.order.reduce_only).count() <= 1, "one entry at a time");
        assert!(live.values().filter(|live| live.order.reduce_only).count() <= 1, "one exit at a time");
        check_rate(&placed);
    }
    told
}

fn price(tick: i64) -> String {
    common::btcusdt().offset_ticks("10000".parse().unwrap(), tick).to_string()
}

fn take(live: &mut BTreeMap<u32, Live>, intent: &Intent, world: &World) {
    match intent.action {
        Action::Cancel(id) => {
            let order = live.get_mut(&id.counter()).expect("only a live order is cancelled");
            assert!(order.sent && !order.cancel, "a cancel follows its order and is not repeated");
            order.cancel = true;
        }
        Action::Modify { .. } => panic!("this strategy never modifies"),
        Action::Place(order) => {
            if order.reduce_only {
                let position = world.engine.position(SYMBOL).unwrap();
                assert!(order.qty <= position.qty.abs(), "an exit never exceeds the position");
                assert_eq!(Some(order.side.opposite()), position.side());
            } else {
                assert!(order.price.times(order.qty) >= common::btcusdt().notional_min);
            }
            live.insert(order.id.counter(), Live { order, filled: Qty::ZERO, sent: false, cancel: false });
        }
    }
}

/// The words of an answer to one of the live orders, if there is any.
fn answer(live: &mut BTreeMap<u32, Live>, which: usize, how: u8) -> String {
    let Some(counter) = live.keys().nth(which % live.len().max(1)).copied() else { return String::new() };
    let Some(order) = live.get_mut(&counter) else { return String::new() };
    let part = Qty::from_units(order.order.qty.units() / 2 / 100_000 * 100_000);
    let rest = order.order.qty - order.filled;
    let price = order.order.price;
    let (words, over) = match (order.sent, how) {
        (false, 0) => (format!("denied:{counter}"), true),
        (false, 1) => (format!("refused:{counter}/-5022"), true),
        (false, _) => {
            order.sent = true;
            (format!("ack:{counter}"), false)
        }
        (true, 0..=2) if part > Qty::ZERO && part < rest => {
            order.filled += part;
            (format!("fill:{counter}/{part}/{price}"), false)
        }
        (true, 0..=5) if !price.is_zero() => (format!("fill:{counter}/{rest}/{price} done:{counter}"), true),
        (true, 6) => (format!("expired:{counter}"), true),
        (true, 7) if order.cancel => {
            order.cancel = false;
            (format!("cancelrefused:{counter}"), false)
        }
        (true, _) if order.cancel => (format!("cancelled:{counter}"), true),
        (true, _) => (String::new(), false),
    };
    if over {
        live.remove(&counter);
    }
    words
}

fn check_rate(placed: &[Nanos]) {
    let max = ScalpingConfig::default().orders_per_second_max as usize;
    for (first, last) in placed.iter().zip(placed.iter().skip(max)) {
        assert!(last.since(*first) >= 1_000_000_000, "at most {max} orders in any second");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_laws_hold_and_the_same_events_give_the_same_intents(turns in proptest::collection::vec(turn(), 1..150)) {
        prop_assert_eq!(play(&turns), play(&turns));
    }
}
