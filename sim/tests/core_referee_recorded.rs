//! The two cores on a recorded market: the recording is cut into pieces, each told level by level to both, with a maker
//! and a taker in it; fills are equal until a named difference ends the piece.

#![allow(clippy::unwrap_used)]

mod core_support;
mod support;

#[path = "core_support/duel.rs"]
mod duel;

use std::collections::BTreeMap;

use optiflow_base::market::Level;
use optiflow_base::money::Side;
use optiflow_base::order::TimeInForce;
use optiflow_sim::book::Book;
use optiflow_sim::market;
use optiflow_sim::replay::ReplayConfig;
use optiflow_sim::replay::rows::Kind;
use optiflow_sim::words::Tick;

use duel::{Difference, Duel, Event};

fn row(kind: Kind, side: Side, level: &Level) -> Event {
    let (tick, parts) = (level.price.units() / 10_000_000, level.qty.units() / 100_000);
    Event::Row { kind, side, tick, parts }
}

/// A diff level by level: what goes away first, so that the sides do not cross on the way.
fn rows(tick: &Tick) -> Vec<Event> {
    match tick {
        Tick::Depth { bids, asks, .. } => {
            let told =
                |side, levels: &[Level]| levels.iter().map(|level| row(Kind::Depth, side, level)).collect::<Vec<_>>();
            let mut rows = [told(Side::Buy, bids), told(Side::Sell, asks)].concat();
            rows.sort_by_key(|row| matches!(row, Event::Row { parts: 1.., .. }));
            rows
        }
        Tick::Top { bid, ask, .. } => vec![row(Kind::Top, Side::Buy, bid), row(Kind::Top, Side::Sell, ask)],
        Tick::Trade { price, qty, taker, .. } => {
            vec![row(Kind::Trade, *taker, &Level { price: *price, qty: *qty })]
        }
        Tick::Snapshot { .. } | Tick::Mark { .. } | Tick::Single { .. } => Vec::new(),
    }
}

/// What is near the best prices, as rows.
fn near(book: &Book) -> Vec<Event> {
    let side = |side| book.shown(side).take(40).map(move |level| row(Kind::Depth, side, &level)).collect::<Vec<_>>();
    [side(Side::Buy), side(Side::Sell)].concat()
}

/// A request at the best prices or a little away; now and then one that takes, now and then a cancel.
fn request(book: &Book, id: u64, chance: &mut fastrand::Rng) -> Option<Event> {
    let side = if chance.bool() { Side::Buy } else { Side::Sell };
    let away = if side == Side::Buy { -1 } else { 1 };
    let best = |side| book.best(side).map(|level| level.price.units() / 10_000_000);
    let parts = chance.i64(1..30);
    Some(match chance.u8(..) % 16 {
        0 | 2 => Event::Cancel(id.saturating_sub(chance.u64(1..6))),
        1 => Event::Submit { id, side, tick: best(side.opposite()), parts, time_in_force: TimeInForce::Ioc },
        _ => {
            let tick = Some(best(side)? + away * chance.i64(-1..4));
            Event::Submit { id, side, tick, parts, time_in_force: TimeInForce::Gtx }
        }
    })
}

#[test]
fn both_fill_alike_on_the_recorded_market() {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    let root = std::env::var("OPTIFLOW_SHARED").unwrap_or_else(|_| default.to_owned());
    let files = ["04", "05"].map(|day| format!("{root}/data/usdm/btcusdt_202304{day}.dat.gz"));
    if !std::path::Path::new(&files[0]).exists() {
        eprintln!("skipped: no recorded data at {}", files[0]);
        return;
    }
    let mut source = market::open(&files.join(","), 0).unwrap();
    let (mut book, mut chance, mut ids) = (Book::default(), fastrand::Rng::with_seed(3), 0);
    let (mut fills, mut makers, mut ended) = (0, 0, BTreeMap::<Option<Difference>, usize>::new());
    for piece in 0..PIECES {
        let mut events = near(&book);
        let mut moments = 0;
        while let Some(tick) = if moments < MOMENTS { source.next().unwrap() } else { None } {
            moments += 1;
            book.apply(tick.at, &tick.what);
            events.extend(rows(&tick.what));
            if moments % 2 == 0 {
                ids += 1;
                events.extend(request(&book, ids, &mut chance));
            }
        }
        if piece == 0 {
            // The first piece has no book to begin with.
            continue;
        }
        let queue = ["risk-averse", "log", "power:2"][piece % 3].parse().unwrap();
        let config = ReplayConfig { queue, ..support::config() };
        let (ticks, rows) = duel::market(&events);
        let outcome = Duel::new(ticks, &rows, &config, 0).run(&events);
        assert_eq!(outcome.core, outcome.replay, "piece {piece}");
        fills += outcome.core.len();
        makers += outcome.core.iter().filter(|fill| fill.4).count();
        *ended.entry(outcome.stopped).or_default() += 1;
    }
    eprintln!("{fills} fills, {makers} by makers, alike; pieces ended by {ended:?}");
    assert!(fills > 400 && makers > 200, "{fills} fills");
}

/// How many pieces, and how many of the recording's ticks make one.
const PIECES: usize = 700;
const MOMENTS: usize = 100;
