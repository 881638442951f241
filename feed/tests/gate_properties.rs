//! The gate under a stream that drops, repeats and reorders: a book that is believed is the true one, always.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::wildcard_enum_match_arm)]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::PlainBook;
use optiflow_base::clock::Nanos;
use optiflow_base::ids::SymbolId;
use optiflow_base::market::{BookLoss, Level, MarketEvent};
use optiflow_base::money::{Price, Qty};
use optiflow_base::ring::{Rx, Tx, ring};
use optiflow_feed::sync::{Diff, Sink, Snapshot, SymbolSync};
use proptest::prelude::*;

/// One true diff: ids with holes, a few levels on each side.
#[derive(Clone, Debug)]
struct TrueDiff {
    first_id: u64,
    last_id: u64,
    previous_id: u64,
    bids: Vec<Level>,
    asks: Vec<Level>,
}

/// What happens to a diff, or beside it.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Arrives,
    Dropped,
    Repeated,
    /// Swapped with the next one.
    Late,
    Malformed,
    Reconnect,
    /// The snapshot request under way, if any, is answered with the truth after this diff.
    Answer,
    /// It is answered with what was true so many diffs ago.
    OldAnswer(usize),
    /// It is answered with what will be true so many diffs later: the stream is behind.
    EarlyAnswer(usize),
    /// The reader does not believe its book any longer.
    Doubted,
    Refusal,
}

/// Ids skipped, ids covered, bids, asks, fate.
type Chapter = (u64, u64, Vec<Level>, Vec<Level>, Fate);

fn level() -> impl Strategy<Value = Level> {
    (1i64..12, 0i64..4).prop_map(|(price, qty)| Level { price: Price::from_units(price), qty: Qty::from_units(qty) })
}

fn story() -> impl Strategy<Value = Vec<Chapter>> {
    let fate = prop_oneof![
        12 => Just(Fate::Arrives),
        1 => Just(Fate::Dropped),
        1 => Just(Fate::Repeated),
        1 => Just(Fate::Late),
        1 => Just(Fate::Malformed),
        1 => Just(Fate::Reconnect),
        4 => Just(Fate::Answer),
        1 => (1usize..6).prop_map(Fate::OldAnswer),
        1 => (1usize..6).prop_map(Fate::EarlyAnswer),
        1 => Just(Fate::Doubted),
        1 => Just(Fate::Refusal),
    ];
    let side = || prop::collection::vec(level(), 0..5);
    prop::collection::vec((0u64..3, 1u64..5, side(), side(), fate), 1..120)
}

/// The true stream and the true book after each of its diffs.
struct Truth {
    diffs: Vec<TrueDiff>,
    books: Vec<PlainBook>,
    by_id: BTreeMap<u64, usize>,
}

impl Truth {
    fn tell(story: &[Chapter]) -> Truth {
        let mut truth = Truth { diffs: Vec::new(), books: Vec::new(), by_id: BTreeMap::new() };
        let mut book = PlainBook::default();
        let mut id = 100;
        for (hole, span, bids, asks, _) in story {
            let (first_id, previous_id) = (id + 1 + hole, id);
            id = first_id + span - 1;
            change(&mut book.bids, bids);
            change(&mut book.asks, asks);
            book.last_id = id;
            truth.by_id.insert(id, truth.diffs.len());
            let (bids, asks) = (bids.clone(), asks.clone());
            truth.diffs.push(TrueDiff { first_id, last_id: id, previous_id, bids, asks });
            truth.books.push(book.clone());
        }
        truth
    }
}

fn change(side: &mut BTreeMap<Price, Qty>, levels: &[Level]) {
    for level in levels {
        if level.qty.is_zero() {
            side.remove(&level.price);
        } else {
            side.insert(level.price, level.qty);
        }
    }
}

/// The gate, a ring of a given length that is emptied now and then, and the reader's book behind it.
struct Reader {
    sync: SymbolSync,
    tx: Tx<MarketEvent>,
    rx: Rx<MarketEvent>,
    book: PlainBook,
    now: Nanos,
    attempt: Option<u32>,
    complete: u64,
}

impl Reader {
    fn new(ring_len: usize) -> Reader {
        let (tx, rx) = ring("market", ring_len);
        let mut sync = SymbolSync::new(SymbolId(0));
        sync.connected();
        let (book, now) = (PlainBook::default(), Nanos::from_millis(1));
        Reader { sync, tx, rx, book, now, attempt: None, complete: 0 }
    }

    fn diff(&mut self, diff: &TrueDiff) {
        let &TrueDiff { first_id, last_id, previous_id, ref bids, ref asks } = diff;
        let diff = Diff { first_id, last_id, previous_id, event_ms: 0, match_ms: 0, bids, asks };
        self.sync.diff(self.now, &diff, &mut self.tx);
    }

    fn answer(&mut self, truth: &PlainBook) {
        let Some(attempt) = self.attempt.take() else { return };
        let side = |levels: &BTreeMap<Price, Qty>| -> Vec<Level> {
            levels.iter().map(|(&price, &qty)| Level { price, qty }).collect()
        };
        let (bids, asks) = (side(&truth.bids), side(&truth.asks));
        let snapshot = Snapshot { last_id: truth.last_id, event_ms: 0, match_ms: 0, bids: &bids, asks: &asks };
        self.sync.snapshot(self.now, attempt, self.now, &snapshot, &mut self.tx);
    }

    fn read(&mut self, truth: &Truth) {
        while let Some(event) = self.rx.pop() {
            if self.book.apply(&event) {
                self.complete += 1;
                // The snapshot may stand at any id that was true; diffs end at ids that are.
                let at = truth.by_id[&self.book.last_id];
                assert!(
                    self.book.same_levels(&truth.books[at]),
                    "the book at {} is not the true one",
                    self.book.last_id
                );
            }
        }
    }

    fn next(&mut self) {
        self.now = self.now + Duration::from_millis(400);
        self.sync.settle(&mut self.tx);
        if self.sync.wants_snapshot(self.now) {
            self.attempt = Some(self.sync.begin_request(self.now));
        }
    }
}

fn live_through(story: &[Chapter], ring_len: usize, read_every: usize) -> Reader {
    let truth = Truth::tell(story);
    let mut reader = Reader::new(ring_len);
    let mut late: Option<&TrueDiff> = None;
    for (index, (diff, (.., fate))) in truth.diffs.iter().zip(story).enumerate() {
        let after = late.take();
        match fate {
            Fate::Dropped => {}
            Fate::Late => late = Some(diff),
            Fate::Repeated => {
                reader.diff(diff);
                reader.diff(diff);
            }
            Fate::Malformed => reader.sync.malformed(reader.now, &mut reader.tx),
            Fate::Reconnect => {
                reader.sync.disconnected(reader.now, &mut reader.tx);
                reader.sync.connected();
                reader.attempt = None;
            }
            Fate::Arrives
            | Fate::Answer
            | Fate::OldAnswer(_)
            | Fate::EarlyAnswer(_)
            | Fate::Doubted
            | Fate::Refusal => reader.diff(diff),
        }
        if let Some(after) = after {
            reader.diff(after);
        }
        match *fate {
            Fate::Answer => reader.answer(&truth.books[index]),
            Fate::OldAnswer(ago) => reader.answer(&truth.books[index.saturating_sub(ago)]),
            Fate::EarlyAnswer(later) => reader.answer(&truth.books[(index + later).min(truth.books.len() - 1)]),
            Fate::Doubted => {
                let was_live = reader.sync.is_live();
                assert_eq!(reader.sync.distrusted(reader.now, BookLoss::Disagreed, &mut reader.tx), was_live);
                assert!(!reader.sync.is_live());
            }
            Fate::Refusal => {
                if let Some(attempt) = reader.attempt.take() {
                    reader.sync.request_failed(attempt);
                }
            }
            Fate::Arrives | Fate::Dropped | Fate::Repeated | Fate::Late | Fate::Malformed | Fate::Reconnect => {}
        }
        if index % read_every == 0 {
            reader.read(&truth);
        }
        reader.next();
    }
    reader.read(&truth);
    // Left in peace, the gate recovers: 40 quiet diffs with an answer to every request.
    let mut book = truth.books.last().unwrap().clone();
    let mut quiet = truth;
    for _ in 0..60 {
        let id = book.last_id + 1;
        let diff = TrueDiff { first_id: id, last_id: id, previous_id: id - 1, bids: vec![], asks: vec![] };
        book.last_id = id;
        quiet.by_id.insert(id, quiet.books.len());
        quiet.books.push(book.clone());
        reader.diff(&diff);
        reader.answer(&book);
        reader.read(&quiet);
        reader.next();
    }
    assert!(reader.book.good && reader.sync.is_live(), "the gate did not recover");
    assert_eq!(reader.book.last_id, book.last_id);
    reader
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_believed_book_is_the_true_one(story in story()) {
        live_through(&story, 4_096, 1);
    }

    #[test]
    fn a_full_ring_changes_nothing_about_that(story in story(), ring_len in 12usize..40, read_every in 1usize..12) {
        live_through(&story, ring_len, read_every);
    }
}

#[test]
fn an_undisturbed_stream_is_applied_completely() {
    let story: Vec<_> = (0..100).map(|_| (1, 2, vec![], vec![], Fate::Answer)).collect();
    let reader = live_through(&story, 4_096, 1);
    assert_eq!(reader.book.losses, []);
    assert_eq!(reader.complete, 1 + 159, "one snapshot, and every diff after the first, which it covers");
}

#[test]
fn a_list_is_a_sink_without_bound() {
    let mut list: Vec<MarketEvent> = Vec::new();
    assert_eq!(Sink::free(&list), usize::MAX);
    SymbolSync::new(SymbolId(0)).settle(&mut list);
    assert!(list.is_empty());
}
