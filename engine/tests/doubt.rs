//! When the book itself is doubted: best prices that contradict it, and a crossing that lasts. Nothing is decided on such
//! a book, and it is asked for anew. Never on a real market, whose best prices always agree.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::Duration;

use common::world::World;
use common::{Kind, SYMBOL};
use optiflow_base::clock::{Clock, Nanos};
use optiflow_base::market::{BookDoubt, BookLoss, LEVELS_LEN, Level, MarketBody, StreamKind};
use optiflow_base::money::{Price, Qty, Side};
use optiflow_base::order::TimeInForce;
use optiflow_engine::book::{Applied, Book, BookState};
use optiflow_engine::strategies::scalping_v1::config::ScalpingConfig;
use optiflow_engine::strategy::{LimitOrder, Orders, Strategy};
use optiflow_engine::view::View;

const RECORDINGS: [[&str; 2]; 2] =
    [["btcusdt_20230404.dat.gz", "btcusdt_20230405.dat.gz"], ["ethusdt_20240718.gz", "ethusdt_20240719.gz"]];

fn tick_of(recording: usize) -> Price {
    ["0.1", "0.01"][recording].parse().unwrap()
}

/// Every message of a recording, and how many best prices were at the book's own update id.
fn messages(recording: usize) -> Option<Vec<common::Message>> {
    let shared = common::shared("doubt")?;
    Some(common::recording(&RECORDINGS[recording].map(|file| shared.join("data/usdm").join(file))))
}

#[test]
fn on_the_recorded_days_the_best_prices_never_contradict_the_book() {
    for (recording, files) in RECORDINGS.iter().enumerate() {
        let Some(messages) = messages(recording) else { return };
        let mut book = Book::new(tick_of(recording));
        let (mut compared, mut ticker) = (0, None);
        for message in &messages {
            for event in &message.events {
                let applied = book.apply(&event.body);
                assert!(!matches!(applied, Applied::Lost(_)), "{applied:?} at {}", book.last_id());
                assert!(!book.disagrees() && !book.is_crossed(), "at {}", book.last_id());
                assert!(!book.is_out_of_range(), "at {}: {:?}", book.last_id(), book.touch());
                if let MarketBody::Top { update_id, .. } = event.body {
                    ticker = Some(update_id);
                }
                compared += u32::from(applied == Applied::Complete && ticker == Some(book.last_id()));
            }
        }
        assert_eq!(book.state(), BookState::Synced);
        assert!(compared > 700, "{compared}");
        println!("{}: {compared} best prices compared, all equal", files[0]);
    }
}

/// A bid that should not be there, flipped into the book in silence: ids are in sequence, the book is wrong.
#[test]
fn one_wrong_level_at_the_touch_is_noticed_by_the_best_prices() {
    for (recording, files) in RECORDINGS.iter().enumerate() {
        let Some(messages) = messages(recording) else { return };
        let diffs = messages.iter().filter(|message| message.kind == Kind::Diff).count();
        let mut after_ms: Vec<u64> = Vec::new();
        for strike in 1..=10 {
            let at = diffs * strike / 12;
            after_ms.extend(noticed_after(&messages, tick_of(recording), at));
        }
        after_ms.sort_unstable();
        println!("{}: {after_ms:?} ms", files[0]);
        // One that the next diff sets right has healed; no wrong one stays.
        assert!(after_ms.len() >= 6, "{after_ms:?}");
        assert!(after_ms.iter().all(|&ms| ms < 10_000), "{after_ms:?}");
    }
}

/// Puts a bid where the best ask is behind the book's back, at the `at`-th diff; answers how many milliseconds later that
/// is noticed.
fn noticed_after(messages: &[common::Message], tick: Price, at: usize) -> Option<u64> {
    let mut book = Book::new(tick);
    let (mut diffs, mut struck): (usize, Option<(u64, Level)>) = (0, None);
    for message in messages {
        diffs += usize::from(message.kind == Kind::Diff);
        for event in &message.events {
            book.apply(&event.body);
            if book.disagrees() {
                return struck.map(|(since, _)| message.event_ms.saturating_sub(since));
            }
        }
        if diffs == at && struck.is_none() {
            let best = book.stored_levels(Side::Sell).next()?;
            let wrong = Level { qty: Qty::from_units(best.qty.units() + 1), ..best };
            let (last_id, event_ms) = (book.last_id(), message.event_ms);
            let start = MarketBody::DepthStart {
                symbol: SYMBOL,
                snapshot: false,
                empty: false,
                last_id,
                event_ms,
                match_ms: 0,
            };
            let levels = [wrong; LEVELS_LEN];
            book.apply(&start);
            let body = MarketBody::Levels { symbol: SYMBOL, side: Side::Buy, count: 1, end: true, levels };
            book.apply(&body);
            if book.disagrees() {
                return Some(0);
            }
            struck = Some((event_ms, wrong));
        }
        if let Some((since, wrong)) = struck
            && message.event_ms > since + 30_000
        {
            let healed = !book.stored_levels(Side::Buy).any(|level| level == wrong);
            assert!(healed, "a wrong level that stays at the touch is noticed");
            return None;
        }
    }
    None
}

fn world() -> World {
    let mut world = World::new(ScalpingConfig::default(), 64);
    world.run("gate:open book:9999.9/1/10000/1 mark:10000");
    world.notices();
    world
}

fn top(world: &mut World, update_id: u64, bid: &str, ask: &str) {
    let level = |price: &str| Level { price: price.parse().unwrap(), qty: "1".parse().unwrap() };
    let (bid, ask) = (level(bid), level(ask));
    world.send(MarketBody::Top { symbol: SYMBOL, update_id, bid, ask, event_ms: world.now().millis() });
    world.settle();
}

#[test]
fn a_contradicted_book_is_lost_and_asked_for_anew() {
    let mut world = world();
    let last_id = world.engine.book(SYMBOL).unwrap().last_id();
    top(&mut world, last_id, "9999.9", "10000");
    assert_eq!((world.notices(), world.doubts.pop()), (vec![], None));
    top(&mut world, last_id, "9999.8", "10000");
    assert_eq!(world.engine.book(SYMBOL).unwrap().state(), BookState::Lost(BookLoss::Disagreed));
    assert_eq!(world.notices(), ["book lost: best prices at the same update id are others"]);
    assert_eq!(world.doubts.pop(), Some(BookDoubt { symbol: SYMBOL, reason: BookLoss::Disagreed }));
    world.wait(1_000);
    assert_eq!(world.doubts.pop(), None, "asked once");
}

#[test]
fn a_doubt_that_finds_no_room_is_told_later() {
    let mut world = world();
    for _ in 0..2 {
        let last_id = world.engine.book(SYMBOL).unwrap().last_id();
        top(&mut world, last_id, "9999.8", "10000");
        world.run("book:9999.9/1/10000/1");
    }
    assert!(world.doubts.pop().is_some(), "the ring of the test holds one");
    assert!(world.doubts.pop().is_none());
    world.wait(40);
    assert!(world.doubts.pop().is_some());
}

#[test]
fn a_book_that_stays_crossed_is_lost_after_half_a_second_and_not_before() {
    let mut world = world();
    let mut id = world.engine.book(SYMBOL).unwrap().last_id();
    let mut say = |world: &mut World, bid: &str, ask: &str| {
        id += 1;
        top(world, id, bid, ask);
    };
    for _ in 0..50 {
        say(&mut world, "10000", "10000");
        world.wait(400);
        say(&mut world, "9999.9", "10000");
        world.wait(10);
    }
    assert_eq!(world.doubts.pop(), None, "moments of crossing");
    for _ in 0..6 {
        say(&mut world, "10000.1", "10000");
        assert!(!world.engine.book(SYMBOL).unwrap().is_tradable());
        assert_eq!(world.doubts.pop(), None);
        world.wait(100);
    }
    say(&mut world, "10000.1", "10000");
    assert_eq!(world.doubts.pop(), Some(BookDoubt { symbol: SYMBOL, reason: BookLoss::Crossed }));
    assert_eq!(world.notices(), ["book lost: bid and ask stayed crossed"]);
    world.run("book:10000.1/1/10000/1");
    assert_eq!(world.doubts.pop(), None, "the next book has half a second of its own");
    assert!(world.now() > Nanos(0) && world.clock.now() == world.now());
}

/// Wants an order at every chance.
struct Eager;

impl Strategy for Eager {
    fn name(&self) -> &'static str {
        "eager"
    }

    fn on_update(&mut self, _view: &View<'_>, orders: &mut Orders) {
        let (price, qty) = ("9000".parse().unwrap(), "0.01".parse().unwrap());
        let time_in_force = TimeInForce::Gtx;
        orders.limit(LimitOrder { side: Side::Buy, price, qty, time_in_force, reduce_only: false });
    }
}

#[test]
fn a_thread_that_was_stopped_decides_nothing_until_it_has_seen_the_present() {
    let mut world = World::with(Box::new(Eager), 4_096);
    world.run("gate:open book:9999.9/1/10000/1");
    world.wait(100);
    assert!(!world.take_intents().is_empty(), "while it is awake");
    // Two seconds pass between two steps; the book from before them still looks sound to itself, and is not yet too old.
    let later = world.now() + Duration::from_secs(2);
    world.clock.advance_to(later);
    world.settle();
    world.wait(2_000);
    assert_eq!(world.take_intents(), [], "what is known is from before, however often it decides");
    world.run("book:9999.9/1/10000/1");
    assert!(!world.take_intents().is_empty(), "the present");
}

#[test]
fn no_entry_is_asked_for_on_an_old_book_whatever_the_strategy_thinks() {
    let mut world = World::with(Box::new(Eager), 4_096);
    world.run("book:9999.9/1/10000/1");
    world.wait(4_800);
    world.run("gate:open");
    world.wait(100);
    assert!(!world.take_intents().is_empty(), "a book of less than the bound");
    world.wait(200);
    world.take_intents();
    world.wait(1_000);
    assert_eq!(world.take_intents(), [], "nobody has said that the stream is silent, but it is");
    world.run("book:9999.9/1/10000/1");
    assert!(!world.take_intents().is_empty(), "a fresh book");
}

#[test]
fn what_waits_on_the_ring_is_read_before_time_alone_decides() {
    let mut world = World::with(Box::new(Eager), 4_096);
    world.run("gate:open book:9999.9/1/10000/1");
    world.take_intents();
    let later = world.now() + Duration::from_millis(500);
    world.clock.advance_to(later);
    world.send(MarketBody::Silence { symbol: SYMBOL, stream: StreamKind::Depth, silent: true });
    world.settle();
    assert_eq!(world.take_intents(), [], "the stream was already known to be silent");
}
