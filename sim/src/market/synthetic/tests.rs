//! Health of the made-up market over simulated minutes.

use std::collections::BTreeMap;

use super::*;
use crate::book::Book;
use crate::market::listings;
use crate::words::Tick;
use optiflow_base::money::{Price, Side};

const SECOND: u64 = 1_000_000_000;

fn market(seed: u64) -> Synthetic {
    Synthetic::new(seed, vec![listings::bitcoin()])
}

fn until(source: &mut Synthetic, seconds: u64, mut visit: impl FnMut(&MarketTick)) {
    loop {
        let tick = source.next().unwrap().unwrap();
        if tick.at >= Nanos(seconds * SECOND) {
            return;
        }
        visit(&tick);
    }
}

/// What ten minutes look like.
#[derive(Debug, Default)]
struct Health {
    counts: BTreeMap<&'static str, u64>,
    trades_by_second: BTreeMap<u64, u64>,
    narrow_ns: u64,
    moves: u64,
    moves_foretold: u64,
    lowest: Option<Price>,
    highest: Option<Price>,
}

impl Health {
    fn observe(source: &mut Synthetic, seconds: u64) -> Health {
        let mut health = Health::default();
        let (mut book, mut chain, mut trade_id, mut at) = (Book::default(), 0, 0, Nanos(0));
        until(source, seconds, |tick| {
            assert!(tick.at >= at, "time never goes back");
            health.follow_top(&book, tick.at.since(at), &tick.what);
            at = tick.at;
            book.apply(tick.at, &tick.what);
            let kind = match tick.what {
                Tick::Snapshot { id, .. } => {
                    chain = id;
                    "snapshot"
                }
                Tick::Depth { first_id, last_id, previous_id, .. } => {
                    assert!(previous_id == chain && previous_id < first_id && first_id <= last_id, "ids chain");
                    chain = last_id;
                    check_depth(&book);
                    "depth"
                }
                Tick::Trade { id, .. } => {
                    assert!(id > trade_id, "trade ids count up");
                    trade_id = id;
                    *health.trades_by_second.entry(at.0 / SECOND).or_default() += 1;
                    "trade"
                }
                Tick::Top { .. } => "top",
                Tick::Mark { .. } => "mark",
                Tick::Single { .. } => panic!("nobody asked for single orders"),
            };
            *health.counts.entry(kind).or_default() += 1;
        });
        health
    }

    fn follow_top(&mut self, book: &Book, ns: u64, what: &Tick) {
        let Some(now) = book.top() else { return };
        assert!(now.bid.price < now.ask.price, "never crossed");
        if (now.ask.price - now.bid.price).units() == 10_000_000 {
            self.narrow_ns += ns;
        }
        let Tick::Top { bid, ask, .. } = what else { return };
        let rises = bid.price + ask.price > now.bid.price + now.ask.price;
        let falls = bid.price + ask.price < now.bid.price + now.ask.price;
        if rises || falls {
            self.moves += 1;
            self.moves_foretold += u64::from(rises == (now.bid.qty > now.ask.qty));
        }
        self.lowest = Some(self.lowest.map_or(bid.price, |lowest| lowest.min(bid.price)));
        self.highest = Some(self.highest.map_or(ask.price, |highest| highest.max(ask.price)));
    }
}

/// The depth agrees with the best prices of the same update, and is deep on both sides.
fn check_depth(book: &Book) {
    for side in [Side::Buy, Side::Sell] {
        assert!(book.len(side) >= 20, "several tens of levels on each side");
        assert_eq!(book.best(side), book.levels(side).next(), "depth and best prices are of one book");
    }
}

#[test]
fn ten_minutes_are_healthy() {
    for seed in 0..4 {
        let health = Health::observe(&mut market(seed), 600);
        let per_second = |kind| health.counts[kind] as f64 / 600.0;
        let (busiest, calmest) =
            (health.trades_by_second.values().max().copied().unwrap(), 600 - health.trades_by_second.len() as u64);
        eprintln!(
            "seed {seed}: {health:?}",
            health = (&health.counts, health.lowest, health.highest, health.moves, busiest)
        );
        assert_eq!((health.counts["snapshot"], health.counts["mark"]), (1, 600));
        assert!((20.0..80.0).contains(&per_second("trade")), "{} trades/s", per_second("trade"));
        assert!((30.0..60.0).contains(&per_second("depth")), "{} diffs/s", per_second("depth"));
        assert!((30.0..200.0).contains(&per_second("top")), "{} tops/s", per_second("top"));
        assert!(busiest > 80 && calmest < 60, "bursts, {busiest} trades in the busiest second, {calmest} without");
        let narrow = health.narrow_ns as f64 / (600.0 * 1e9);
        assert!((0.8..1.0).contains(&narrow), "one tick wide {narrow} of the time");
        let foretold = health.moves_foretold as f64 / health.moves as f64;
        assert!((0.55..0.9).contains(&foretold), "imbalance foretells {foretold} of the moves");
        assert!(health.moves > 600, "{} moves", health.moves);
        let (low, high) = (health.lowest.unwrap(), health.highest.unwrap());
        assert!(high - low > "5".parse().unwrap() && high - low < "1500".parse().unwrap(), "{low} to {high}");
    }
}

#[test]
fn the_same_seed_gives_the_same_ticks_and_another_seed_others() {
    let collect = |seed| {
        let mut ticks = Vec::new();
        until(&mut market(seed), 20, |tick| ticks.push(tick.clone()));
        ticks
    };
    let first = collect(1);
    assert!(first.len() > 1_000);
    assert_eq!(first, collect(1));
    assert_ne!(first, collect(2));
}

#[test]
fn several_symbols_run_side_by_side() {
    let listings: Vec<Listing> = listings::KNOWN.iter().filter_map(|known| listings::known(known.name)).collect();
    let mut source = Synthetic::new(3, listings.clone());
    let (mut books, mut at) = (vec![Book::default(); listings.len()], Nanos(0));
    let mut trades = vec![0; listings.len()];
    until(&mut source, 30, |tick| {
        assert!(tick.at >= at);
        at = tick.at;
        books[tick.symbol].apply(tick.at, &tick.what);
        trades[tick.symbol] += usize::from(matches!(tick.what, Tick::Trade { .. }));
    });
    for ((book, listing), trades) in books.iter().zip(&listings).zip(trades) {
        let top = book.top().unwrap();
        assert!(top.bid.price < top.ask.price && trades > 100, "{}", listing.name);
        for side in [Side::Buy, Side::Sell] {
            for level in book.levels(side) {
                assert_eq!(level.price.units() % listing.tick_size.units(), 0);
                assert_eq!(level.qty.units() % listing.step_size.units(), 0);
            }
        }
    }
}
