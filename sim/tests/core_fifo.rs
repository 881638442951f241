//! Exact queues: our order fills exactly when a real order-by-order book with it inserted would fill it.
//!
//! The referee is a plain book of single orders that shares nothing with the core: it hears the market's own orders, lets
//! whole takers walk, and has our order among the others.

#![allow(clippy::unwrap_used)]

mod core_support;

use std::collections::{BTreeMap, VecDeque};

use optiflow_base::clock::Nanos;
use optiflow_base::money::{Price, Qty, Side};
use optiflow_base::order::TimeInForce;
use optiflow_sim::core::{Core, NoSingleOrders, VenueRules};
use optiflow_sim::market::synthetic::Synthetic;
use optiflow_sim::market::{Source, listings};
use optiflow_sim::matching::rules::{MatchingRules, Queueing};
use optiflow_sim::words::{MarketTick, OrderKey, Placement, Tick};

use core_support::{Told, config, limit, listing, ticks};

/// Orders by price, first in first out; ours has no number.
#[derive(Clone, Default)]
struct Book {
    bids: BTreeMap<Price, VecDeque<(Option<u64>, Qty)>>,
    asks: BTreeMap<Price, VecDeque<(Option<u64>, Qty)>>,
    ours: Qty,
}

impl Book {
    fn side(&mut self, side: Side) -> &mut BTreeMap<Price, VecDeque<(Option<u64>, Qty)>> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    /// An order comes: takes what it reaches, and rests with the remainder.
    fn arrive(&mut self, id: Option<u64>, side: Side, price: Price, qty: Qty) {
        let left = self.walk(side, Some(price), qty);
        if !left.is_zero() {
            self.side(side).entry(price).or_default().push_back((id, left));
        }
    }

    fn walk(&mut self, taker: Side, limit: Option<Price>, qty: Qty) -> Qty {
        let mut left = qty;
        while !left.is_zero() {
            let levels = self.side(taker.opposite());
            let best = match taker {
                Side::Buy => levels.first_entry(),
                Side::Sell => levels.last_entry(),
            };
            let Some(mut best) = best.filter(|best| limit.is_none_or(|limit| taker.reaches(limit, *best.key()))) else {
                break;
            };
            let first = best.get_mut().front_mut().unwrap();
            let traded = first.1.min(left);
            first.1 -= traded;
            left -= traded;
            let is_ours = first.0.is_none();
            if first.1.is_zero() {
                best.get_mut().pop_front();
            }
            if best.get().is_empty() {
                best.remove();
            }
            if is_ours {
                self.ours += traded;
            }
        }
        left
    }

    fn cancel(&mut self, id: u64, side: Side, price: Price) {
        if let Some(level) = self.side(side).get_mut(&price) {
            level.retain(|order| order.0 != Some(id));
            if level.is_empty() {
                self.side(side).remove(&price);
            }
        }
    }

    fn ahead_of_ours(&mut self, side: Side, price: Price) -> Qty {
        let level = self.side(side).get(&price).cloned().unwrap_or_default();
        level.iter().take_while(|order| order.0.is_some()).map(|order| order.1).sum()
    }

    /// Everything that happened at one moment.
    fn follow(&mut self, ticks: &[MarketTick]) {
        let mut walkers: BTreeMap<Side, Qty> = BTreeMap::new();
        for tick in ticks {
            match tick.what {
                Tick::Single { id, side, price, change } if change > Qty::ZERO => {
                    self.arrive(Some(id), side, price, change);
                }
                Tick::Single { id, side, price, .. } => self.cancel(id, side, price),
                Tick::Trade { qty, taker, .. } => *walkers.entry(taker).or_default() += qty,
                Tick::Snapshot { .. } | Tick::Depth { .. } | Tick::Top { .. } | Tick::Mark { .. } => {}
            }
        }
        for (taker, qty) in walkers {
            self.walk(taker, None, qty);
        }
    }
}

/// The next moment of a market: its ticks of one time.
fn moment(source: &mut Synthetic, ahead: &mut Option<MarketTick>) -> Vec<MarketTick> {
    let mut ticks = vec![ahead.take().or_else(|| source.next().unwrap()).unwrap()];
    loop {
        let next = source.next().unwrap().unwrap();
        if next.at != ticks[0].at {
            *ahead = Some(next);
            return ticks;
        }
        ticks.push(next);
    }
}

fn fifo() -> VenueRules {
    let matching = MatchingRules { queue: Queueing::Fifo, ..MatchingRules::default() };
    VenueRules { matching, ..VenueRules::default() }
}

/// What came of the orders of a run.
#[derive(Debug, Default)]
struct Tally {
    placed: usize,
    filled: usize,
    in_pieces: usize,
    cancelled: usize,
}

/// Our order, in the core and in the referee's book.
struct Ours {
    id: u64,
    placed: Placement,
    book: Book,
    since: Nanos,
    pieces: usize,
    filled: Qty,
}

/// One order at a time, near the best prices, each watched until it is filled or ten seconds are over.
fn watch(seed: u64, seconds: u64) -> Tally {
    let mut source = Synthetic::new(seed, vec![listings::bitcoin()]);
    assert!(source.tell_singles());
    let mut core =
        Core::new(config(vec![listings::bitcoin()], fifo()), Box::new(Synthetic::new(seed, vec![listings::bitcoin()])));
    let mut chance = fastrand::Rng::with_seed(seed);
    let (mut market, mut ahead, mut tally) = (Book::default(), None, Tally::default());
    let mut ours: Option<Ours> = None;
    let mut out = Vec::new();
    loop {
        let ticks = moment(&mut source, &mut ahead);
        let at = ticks[0].at;
        if at > Nanos(seconds * 1_000_000_000) {
            return tally;
        }
        let now = Nanos(core_support::START.0 + at.0);
        market.follow(&ticks);
        core.advance(now, &mut out).unwrap();
        out.clear();
        if let Some(order) = &mut ours {
            order.book.follow(&ticks);
            compare(&core, order, seed, at);
            if order.filled == order.placed.qty {
                tally.filled += 1;
                tally.in_pieces += usize::from(order.pieces > 1);
                ours = None;
            } else if at.since(order.since) > 10_000_000_000 {
                core.cancel(now, 0, &OrderKey::Id(order.id), &mut out).unwrap();
                tally.cancelled += 1;
                ours = None;
            }
        } else if chance.u8(..) < 20 {
            ours = place(&mut core, &market, now, at, &mut chance);
            tally.placed += usize::from(ours.is_some());
        }
    }
}

/// The core and the referee agree: what is filled, and what is ahead.
fn compare(core: &Core, order: &mut Ours, seed: u64, at: Nanos) {
    let known = core.order(0, &OrderKey::Id(order.id)).unwrap();
    assert_eq!(known.filled, order.book.ours, "seed {seed}, {at:?}: {known:?}");
    let Placement { side, price, qty, .. } = order.placed;
    if known.filled != qty {
        let exact = order.book.ahead_of_ours(side, price);
        assert_eq!(core.queue_ahead(known), Some(exact), "seed {seed}, {at:?}: {known:?}");
    }
    order.pieces += usize::from(known.filled != order.filled);
    order.filled = known.filled;
}

fn place(core: &mut Core, market: &Book, now: Nanos, at: Nanos, chance: &mut fastrand::Rng) -> Option<Ours> {
    let side = if chance.bool() { Side::Buy } else { Side::Sell };
    let best = core.book(0).best(side)?.price;
    let away = Price::from_units(chance.i64(-1..3) * 10_000_000);
    let price = if side == Side::Buy { best - away } else { best + away };
    let qty = Qty::from_units(chance.i64(1..400) * 100_000);
    let name = format!("c{}", now.0);
    let placed = Placement { time_in_force: TimeInForce::Gtx, ..limit(&name, side, price, qty) };
    let order = core.place(now, placed.clone(), &mut Vec::new()).ok()?;
    let mut book = market.clone();
    book.arrive(None, side, price, qty);
    Some(Ours { id: order.id, placed, book, since: at, pieces: 0, filled: Qty::ZERO })
}

#[test]
fn an_exact_queue_fills_as_a_real_book_of_single_orders_does() {
    let mut all = Tally::default();
    for seed in 0..6 {
        let tally = watch(seed, 240);
        all.placed += tally.placed;
        all.filled += tally.filled;
        all.in_pieces += tally.in_pieces;
        all.cancelled += tally.cancelled;
    }
    eprintln!("{all:?}");
    assert!(all.filled > 200 && all.in_pieces > 40 && all.cancelled > 40, "{all:?}");
}

#[test]
fn an_exact_queue_needs_a_market_that_tells_single_orders() {
    let told = Told { listings: vec![listing()], ticks: ticks("0 book 1@99 | 1@101") };
    let refused = Core::open(config(vec![listing()], fifo()), Box::new(told)).err();
    assert_eq!(refused, Some(NoSingleOrders));
    let text = NoSingleOrders.to_string();
    assert!(text.contains("fifo") && text.contains("`synthetic`") && text.contains("risk-averse"), "{text}");
    let synthetic = Synthetic::new(1, vec![listings::bitcoin()]);
    assert!(Core::open(config(vec![listings::bitcoin()], fifo()), Box::new(synthetic)).is_ok());
}

#[test]
fn single_orders_change_nothing_else_that_is_told() {
    let told = |asked: bool| {
        let mut source = Synthetic::new(7, vec![listings::bitcoin()]);
        assert!(!asked || source.tell_singles());
        let ticks = std::iter::from_fn(|| source.next().unwrap());
        let rest = ticks.filter(|tick| !matches!(tick.what, Tick::Single { .. }));
        rest.take(5_000).collect::<Vec<_>>()
    };
    assert_eq!(told(false), told(true));
}
