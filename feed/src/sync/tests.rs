//! The gate as tables: diffs and snapshots on the left, what went out on the right.

#![allow(clippy::wildcard_enum_match_arm)]

use super::*;
use optiflow_base::money::{Price, Qty, Side};
use optiflow_base::ring::ring;

/// A gate with a list for a sink, and a clock that moves 1 ms a call.
struct Bench {
    sync: SymbolSync,
    out: Vec<MarketEvent>,
    now: Nanos,
}

impl Bench {
    fn new() -> Bench {
        Bench { sync: SymbolSync::new(SymbolId(3)), out: Vec::new(), now: Nanos::from_millis(1_000) }
    }

    fn up() -> Bench {
        let mut bench = Bench::new();
        bench.sync.connected();
        bench
    }

    fn tick(&mut self) -> Nanos {
        self.now = self.now + Duration::from_millis(1);
        self.now
    }

    /// A diff `U u pu` with one level of price `u`.
    fn diff(&mut self, first_id: u64, last_id: u64, previous_id: u64) -> Admit {
        let now = self.tick();
        let bids = [level(last_id)];
        let diff = Diff { first_id, last_id, previous_id, event_ms: 0, match_ms: 0, bids: &bids, asks: &[] };
        self.sync.diff(now, &diff, &mut self.out)
    }

    fn ask(&mut self) -> u32 {
        assert!(self.sync.wants_snapshot(self.now), "a snapshot is wanted");
        self.sync.begin_request(self.now)
    }

    fn snapshot(&mut self, attempt: u32, last_id: u64) -> Joined {
        let now = self.tick();
        let bids = [level(last_id)];
        let snapshot = Snapshot { last_id, event_ms: 0, match_ms: 0, bids: &bids, asks: &[] };
        self.sync.snapshot(now, attempt, now, &snapshot, &mut self.out)
    }

    /// Live at id 100.
    fn live() -> Bench {
        let mut bench = Bench::up();
        assert_eq!(bench.diff(95, 100, 90), Admit::Buffered);
        let attempt = bench.ask();
        assert_eq!(bench.snapshot(attempt, 98), Joined::Live);
        assert_eq!(bench.take(), "S98 D100");
        bench
    }

    /// What went out since the last call: `S` snapshot, `D` diff (each with its last id), `L` a loss.
    fn take(&mut self) -> String {
        sketch(&std::mem::take(&mut self.out))
    }
}

fn level(price: u64) -> Level {
    Level { price: Price::from_units(i64::try_from(price).unwrap()), qty: Qty::from_units(1) }
}

fn sketch(events: &[MarketEvent]) -> String {
    let mut words = Vec::new();
    for event in events {
        assert_eq!(event.body.symbol(), SymbolId(3));
        match event.body {
            MarketBody::DepthStart { snapshot, last_id, .. } => {
                words.push(format!("{}{last_id}", if snapshot { "S" } else { "D" }));
            }
            MarketBody::Levels { side, end, .. } => assert!(end && side == Side::Buy),
            MarketBody::BookLost { reason, .. } => words.push(format!("L{reason:?}")),
            other => panic!("{other:?}"),
        }
    }
    words.join(" ")
}

#[test]
fn the_documented_scenario_is_followed() {
    let mut bench = Bench::up();
    assert_eq!(bench.diff(1_000_101, 1_000_140, 1_000_100), Admit::Buffered);
    let attempt = bench.ask();
    assert_eq!(bench.diff(1_000_141, 1_000_175, 1_000_140), Admit::Buffered);
    assert_eq!(bench.snapshot(attempt, 1_000_160), Joined::Live);
    assert_eq!(bench.take(), "S1000160 D1000175", "the first diff is dropped, the second one bridges");
    assert_eq!(bench.diff(1_000_180, 1_000_199, 1_000_175), Admit::Applied);
    assert_eq!(bench.take(), "D1000199", "holes between U and the previous u are normal");
    assert_eq!(bench.diff(1_000_230, 1_000_260, 1_000_221), Admit::Lost(BookLoss::Gap));
    assert_eq!(bench.take(), "LGap");
    assert!(!bench.sync.is_live());
    bench.now = bench.now + Duration::from_secs(1);
    let attempt = bench.ask();
    assert_eq!(bench.snapshot(attempt, 1_000_240), Joined::Live);
    assert_eq!(bench.take(), "S1000240 D1000260", "the diff that showed the gap was kept");
}

#[test]
fn the_first_diff_must_cover_the_snapshot_inclusively() {
    // U, u, pu of the only waiting diff; the snapshot's id; the answer; what went out
    let table = [
        (100, 110, 90, 99, Joined::Refetch, ""),
        (100, 110, 90, 100, Joined::Live, "S100 D110"),
        (100, 110, 90, 110, Joined::Live, "S110 D110"),
        (100, 110, 90, 111, Joined::Waiting, ""),
        (100, 110, 99, 99, Joined::Refetch, ""),
    ];
    for (first, last, previous, id, joined, out) in table {
        let mut bench = Bench::up();
        assert_eq!(bench.diff(first, last, previous), Admit::Buffered);
        let attempt = bench.ask();
        assert_eq!(bench.snapshot(attempt, id), joined, "snapshot {id}");
        assert_eq!(bench.take(), out, "snapshot {id}");
    }
}

#[test]
fn a_snapshot_ahead_of_the_diffs_waits_for_the_one_that_covers_it() {
    let mut bench = Bench::up();
    bench.diff(1, 10, 0);
    let attempt = bench.ask();
    assert_eq!(bench.snapshot(attempt, 25), Joined::Waiting);
    assert!(!bench.sync.wants_snapshot(bench.now + Duration::from_secs(60)), "it is held");
    assert_eq!(bench.diff(11, 20, 10), Admit::Buffered);
    assert_eq!(bench.diff(21, 30, 20), Admit::Applied);
    assert_eq!(bench.take(), "S25 D30");
    assert_eq!(bench.diff(31, 40, 30), Admit::Applied);
}

#[test]
fn a_snapshot_that_the_diffs_jump_over_or_never_reach_is_fetched_again() {
    let mut bench = Bench::up();
    bench.diff(1, 10, 0);
    let attempt = bench.ask();
    assert_eq!(bench.snapshot(attempt, 12), Joined::Waiting);
    assert_eq!(bench.diff(15, 20, 10), Admit::Buffered, "12 is in a hole before 15");
    bench.now = bench.now + Duration::from_secs(1);
    let attempt = bench.ask();
    assert_eq!(bench.snapshot(attempt, 1_000_000), Joined::Waiting);
    bench.now = bench.now + Duration::from_secs(6);
    assert_eq!(bench.diff(21, 30, 20), Admit::Buffered, "still far behind after six seconds");
    assert_eq!(bench.diff(31, 40, 30), Admit::Buffered);
    let attempt = bench.ask();
    assert_eq!(bench.snapshot(attempt, 40), Joined::Live);
    assert_eq!(bench.take(), "S40 D40");
}

#[test]
fn a_live_book_is_lost_by_a_gap_and_not_by_a_repetition() {
    let mut bench = Bench::live();
    assert_eq!(bench.diff(95, 100, 90), Admit::Old);
    assert_eq!(bench.diff(80, 90, 70), Admit::Old);
    assert_eq!(bench.diff(101, 110, 100), Admit::Applied);
    assert_eq!(bench.diff(111, 120, 111), Admit::Lost(BookLoss::Gap));
    assert_eq!(bench.take(), "D110 LGap");
    assert_eq!(bench.diff(121, 130, 120), Admit::Buffered, "buffering goes on");
}

#[test]
fn ids_that_begin_anew_are_not_ignored_for_ever() {
    let mut bench = Bench::live();
    let admitted: Vec<Admit> = (1..=20).map(|id| bench.diff(id, id, id - 1)).collect();
    assert!(admitted[..16].iter().all(|&admit| admit == Admit::Old));
    assert_eq!(admitted[16], Admit::Lost(BookLoss::Gap));
    assert!(admitted[17..].iter().all(|&admit| admit == Admit::Buffered));
    assert_eq!(bench.take(), "LGap");
}

#[test]
fn a_break_among_the_waiting_diffs_starts_over_from_the_newest() {
    let mut bench = Bench::up();
    bench.diff(1, 10, 0);
    let attempt = bench.ask();
    assert_eq!(bench.diff(31, 40, 30), Admit::Lost(BookLoss::Gap));
    assert_eq!(bench.diff(21, 30, 20), Admit::Old, "late, and behind the run that waits now");
    assert_eq!(bench.snapshot(attempt, 5), Joined::Refetch, "it cannot be joined across the break");
    bench.now = bench.now + Duration::from_secs(1);
    let attempt = bench.ask();
    assert_eq!(bench.snapshot(attempt, 33), Joined::Live);
    assert_eq!(bench.take(), "LGap S33 D40");
}

#[test]
fn too_many_waiting_diffs_start_over_with_the_newest_one() {
    let mut bench = Bench::up();
    let mut id = 0;
    loop {
        id += 1;
        match bench.diff(id, id, id - 1) {
            Admit::Buffered => assert!(id <= 1_000),
            Admit::Lost(BookLoss::Overflow) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((id, bench.take().as_str()), (1_001, "LOverflow"));
    let attempt = bench.ask();
    assert_eq!(bench.snapshot(attempt, id), Joined::Live);
    assert_eq!(bench.take(), "S1001 D1001");
}

#[test]
fn a_diff_larger_than_the_whole_queue_is_a_loss_and_the_next_one_begins_the_run() {
    let mut bench = Bench::up();
    let many = vec![level(1); PENDING_LEVELS_MAX + 1];
    let diff = Diff { first_id: 1, last_id: 1, previous_id: 0, event_ms: 0, match_ms: 0, bids: &many, asks: &[] };
    let now = bench.tick();
    assert_eq!(bench.sync.diff(now, &diff, &mut bench.out), Admit::Lost(BookLoss::Overflow));
    assert_eq!(bench.diff(2, 2, 1), Admit::Buffered);
}

#[test]
fn a_lost_connection_loses_the_book_the_waiting_diffs_and_the_request() {
    let mut bench = Bench::live();
    let now = bench.tick();
    bench.sync.disconnected(now, &mut bench.out);
    assert_eq!(bench.take(), "LDisconnected");
    assert_eq!(bench.diff(101, 110, 100), Admit::Down);
    bench.sync.connected();
    assert_eq!(bench.diff(201, 210, 200), Admit::Buffered);
    bench.now = bench.now + Duration::from_secs(1);
    let attempt = bench.ask();
    let now = bench.tick();
    bench.sync.disconnected(now, &mut bench.out);
    bench.sync.disconnected(now, &mut bench.out);
    assert_eq!(bench.take(), "LDisconnected", "said once");
    bench.sync.connected();
    assert_eq!(bench.snapshot(attempt, 205), Joined::Unasked, "an answer from before the reconnect");
    assert!(!bench.sync.wants_snapshot(bench.now + Duration::from_secs(60)), "the first diff asks");
}

#[test]
fn a_malformed_diff_loses_what_is_live_and_what_waits() {
    let mut bench = Bench::live();
    let now = bench.tick();
    bench.sync.malformed(now, &mut bench.out);
    assert_eq!(bench.take(), "LMalformed");
    assert_eq!(bench.diff(111, 120, 110), Admit::Buffered);
    bench.sync.malformed(now, &mut bench.out);
    assert!(!bench.sync.wants_snapshot(bench.now + Duration::from_secs(60)));
    let mut down = Bench::new();
    down.sync.malformed(now, &mut down.out);
    assert_eq!(down.take(), "");
}

#[test]
fn failed_requests_are_repeated_with_growing_pauses() {
    let mut bench = Bench::up();
    bench.diff(1, 10, 0);
    let start = bench.now;
    let mut asked_at = Vec::new();
    for millis in 0..40_000 {
        let now = start + Duration::from_millis(millis);
        if bench.sync.wants_snapshot(now) {
            asked_at.push(millis);
            let attempt = bench.sync.begin_request(now);
            bench.sync.request_failed(attempt);
        }
    }
    assert_eq!(asked_at, [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]);
    bench.sync.hold_off(start + Duration::from_secs(100));
    assert!(!bench.sync.wants_snapshot(start + Duration::from_secs(99)));
}

#[test]
fn a_book_that_never_holds_does_not_ask_faster_than_one_that_never_comes() {
    let mut bench = Bench::up();
    let start = bench.now;
    let mut asked = 0;
    // For a minute: every snapshot joins, and the next diff breaks the run.
    for millis in 0..60_000u64 {
        bench.now = start + Duration::from_millis(millis);
        let id = millis * 10 + 10;
        bench.diff(id, id, id - 1);
        if bench.sync.wants_snapshot(bench.now) {
            asked += 1;
            let attempt = bench.ask();
            assert_eq!(bench.snapshot(attempt, id), Joined::Live);
        }
    }
    assert_eq!(asked, 8, "0, .5, 1.5, 3.5, 7.5, 15.5, 31.5, 47.5 s");
}

#[test]
fn a_full_ring_loses_the_book_and_the_loss_is_said_as_soon_as_there_is_room() {
    let (mut tx, mut rx) = ring("market", 4);
    let mut bench = Bench::up();
    bench.diff(1, 10, 0);
    let attempt = bench.ask();
    let bids = [level(5)];
    let snapshot = Snapshot { last_id: 5, event_ms: 0, match_ms: 0, bids: &bids, asks: &[] };
    let now = bench.tick();
    assert_eq!(bench.sync.snapshot(now, attempt, now, &snapshot, &mut tx), Joined::Live);
    assert_eq!(tx.free(), 0);
    let diff = |id: u64, bids| Diff {
        first_id: id,
        last_id: id + 9,
        previous_id: id - 1,
        event_ms: 0,
        match_ms: 0,
        bids,
        asks: &[],
    };
    let now = bench.tick();
    assert_eq!(bench.sync.diff(now, &diff(11, &bids), &mut tx), Admit::Lost(BookLoss::RingFull));
    assert!(!bench.sync.settle(&mut tx), "there is no room to say so");
    assert_eq!(bench.sync.diff(now, &diff(21, &bids), &mut tx), Admit::Buffered);
    let mut taken: Vec<MarketEvent> = std::iter::from_fn(|| rx.pop()).collect();
    assert_eq!(sketch(&taken), "S5 D10");
    assert!(bench.sync.settle(&mut tx));
    taken = std::iter::from_fn(|| rx.pop()).collect();
    assert_eq!(sketch(&taken), "LRingFull");

    // The next snapshot fits, the two waiting diffs do not both: nothing of the second one goes out.
    bench.now = bench.now + Duration::from_secs(1);
    let attempt = bench.ask();
    let now = bench.tick();
    let snapshot = Snapshot { last_id: 15, ..snapshot };
    assert_eq!(bench.sync.snapshot(now, attempt, now, &snapshot, &mut tx), Joined::Lost(BookLoss::RingFull));
    taken = std::iter::from_fn(|| rx.pop()).collect();
    assert_eq!(sketch(&taken), "S15 D20");
    assert!(bench.sync.settle(&mut tx));
    taken = std::iter::from_fn(|| rx.pop()).collect();
    assert_eq!(sketch(&taken), "LRingFull");
}

#[test]
fn events_keep_the_time_at_which_their_bytes_were_read() {
    let mut bench = Bench::up();
    bench.diff(1, 10, 0);
    let diff_read = bench.now;
    bench.now = bench.now + Duration::from_secs(1);
    let attempt = bench.ask();
    bench.snapshot(attempt, 5);
    let received: Vec<Nanos> = bench.out.iter().map(|event| event.received).collect();
    assert_eq!(received, [bench.now, bench.now, diff_read, diff_read]);
}
