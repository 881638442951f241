//! The book against a plain ordered map: random snapshots, diffs, sweeps and bookTickers, while the price drifts far
//! over the edges of the window in both directions.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::BTreeMap;

use proptest::prelude::*;

use common::SYMBOL;
use optiflow_base::market::{LEVELS_LEN, Level, MarketBody};
use optiflow_base::money::{Price, Qty, Side};
use optiflow_engine::book::{Applied, Book};

const TICK: i64 = 10_000_000;

#[derive(Clone, Debug)]
struct Step {
    /// How far the market moves before the message, ticks.
    drift: i64,
    kind: Kind,
    /// Side, distance from the middle in ticks, quantity.
    levels: Vec<(bool, i64, i64)>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Snapshot,
    Diff,
    /// A diff that first removes every level beyond the middle: a real move of the market.
    Sweep,
    Top,
}

fn step() -> impl Strategy<Value = Step> {
    let drift = prop_oneof![
        4 => -50i64..50,
        1 => -20_000i64..20_000,
        1 => prop_oneof![Just(-70_000i64), Just(70_000)],
    ];
    let distance = prop_oneof![6 => 0i64..30, 2 => 0i64..17_000, 1 => 0i64..60_000];
    let kind = prop_oneof![
        1 => Just(Kind::Snapshot),
        6 => Just(Kind::Diff),
        4 => Just(Kind::Sweep),
        2 => Just(Kind::Top),
    ];
    let levels = proptest::collection::vec((any::<bool>(), distance, 0i64..4), 0..40);
    (drift, kind, levels).prop_map(|(drift, kind, levels)| Step { drift, kind, levels })
}

/// Tick and quantity.
type Pair = (i64, i64);

/// The referee: what the definitions say, in the simplest code.
#[derive(Default)]
struct Referee {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
    last_id: u64,
    top: Option<(u64, Pair, Pair)>,
}

impl Referee {
    fn set(&mut self, side: Side, tick: i64, qty: i64) {
        let map = if side == Side::Buy { &mut self.bids } else { &mut self.asks };
        if qty == 0 {
            map.remove(&tick)
        } else {
            map.insert(tick, qty)
        };
    }

    fn stored(&self, side: Side) -> Vec<Pair> {
        let pair = |(tick, qty): (&i64, &i64)| (*tick, *qty);
        if side == Side::Buy {
            self.bids.iter().rev().map(pair).collect()
        } else {
            self.asks.iter().map(pair).collect()
        }
    }

    fn view(&self, side: Side) -> Vec<Pair> {
        match self.top.filter(|(id, _, _)| *id > self.last_id) {
            None => self.stored(side),
            Some((_, bid, ask)) => {
                let first = if side == Side::Buy { bid } else { ask };
                let beyond = |tick: i64| if side == Side::Buy { tick < first.0 } else { tick > first.0 };
                let rest = self.stored(side).into_iter().filter(|(tick, _)| beyond(*tick));
                std::iter::once(first).chain(rest).collect()
            }
        }
    }
}

fn level(tick: i64, qty: i64) -> Level {
    Level { price: Price::from_units(tick * TICK), qty: Qty::from_units(qty) }
}

fn send_depth(book: &mut Book, snapshot: bool, last_id: u64, levels: &[(Side, i64, i64)]) {
    let empty = levels.is_empty();
    let start = MarketBody::DepthStart { symbol: SYMBOL, snapshot, empty, last_id, event_ms: 1, match_ms: 1 };
    let mut applied = book.apply(&start);
    for (index, (side, tick, qty)) in levels.iter().enumerate() {
        assert_eq!(applied, Applied::Part);
        assert_eq!(book.best(Side::Buy), None, "nothing is readable inside a message");
        let mut chunk = [Level::default(); LEVELS_LEN];
        chunk[0] = level(*tick, *qty);
        let end = index + 1 == levels.len();
        applied = book.apply(&MarketBody::Levels { symbol: SYMBOL, side: *side, count: 1, end, levels: chunk });
    }
    assert_eq!(applied, Applied::Complete);
}

fn compare(book: &Book, referee: &Referee) {
    for side in [Side::Buy, Side::Sell] {
        let ticks = |level: Level| (level.price.units() / TICK, level.qty.units());
        let view: Vec<_> = book.levels(side).map(ticks).collect();
        assert_eq!(view, referee.view(side));
        assert_eq!(book.best(side).map(ticks), view.first().copied());
        let stored: Vec<_> = book.stored_levels(side).map(ticks).collect();
        assert_eq!(stored, referee.stored(side));
        assert_eq!(book.stored_len(side), stored.len());
    }
    let (bid, ask) = (referee.view(Side::Buy).first().copied(), referee.view(Side::Sell).first().copied());
    let tradable = matches!((bid, ask), (Some(bid), Some(ask)) if bid.0 < ask.0);
    assert_eq!(book.is_tradable(), tradable);
    assert_eq!(book.is_crossed(), !tradable && bid.is_some() && ask.is_some());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_book_agrees_with_an_ordered_map(steps in proptest::collection::vec(step(), 1..40)) {
        let mut book = Book::new(Price::from_units(TICK));
        let (mut middle, mut id) = (1_000_000i64, 10u64);
        let mut referee = Referee { last_id: id, ..Referee::default() };
        send_depth(&mut book, true, id, &[]);
        for Step { drift, kind, levels } in steps {
            middle += drift;
            id += 2;
            let place = |(bid, distance, qty): (bool, i64, i64)| {
                if bid { (Side::Buy, middle - 1 - distance, qty) } else { (Side::Sell, middle + distance, qty) }
            };
            let mut sent: Vec<_> = levels.into_iter().map(place).collect();
            match kind {
                Kind::Top => {
                    let qty = sent.len() as i64 + 1;
                    let (bid, ask) = ((middle - 1, qty), (middle, qty));
                    // Odd ids fall between two depth messages; older ones must change nothing.
                    let update_id = if qty % 3 == 0 { id - 3 } else { id + 5 };
                    book.apply(&MarketBody::Top {
                        symbol: SYMBOL,
                        update_id,
                        bid: level(bid.0, bid.1),
                        ask: level(ask.0, ask.1),
                        event_ms: 1,
                    });
                    if referee.top.is_none_or(|(last, _, _)| update_id >= last) {
                        referee.top = Some((update_id, bid, ask));
                    }
                }
                Kind::Snapshot | Kind::Diff | Kind::Sweep => {
                    let snapshot = matches!(kind, Kind::Snapshot);
                    if snapshot {
                        referee.bids.clear();
                        referee.asks.clear();
                    }
                    if matches!(kind, Kind::Sweep) {
                        let bids = referee.bids.range(middle..).map(|(tick, _)| (Side::Buy, *tick, 0));
                        let asks = referee.asks.range(..middle).map(|(tick, _)| (Side::Sell, *tick, 0));
                        let removed: Vec<_> = bids.chain(asks).collect();
                        sent.splice(0..0, removed);
                    }
                    for (side, tick, qty) in &sent {
                        referee.set(*side, *tick, *qty);
                    }
                    referee.last_id = id;
                    send_depth(&mut book, snapshot, id, &sent);
                }
            }
            compare(&book, &referee);
        }
    }
}
