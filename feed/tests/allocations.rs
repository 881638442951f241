//! A warmed-up feed allocates nothing: decoding, gate and emission are counted by the allocator itself.

#![allow(unsafe_code, clippy::unwrap_used, clippy::expect_used, clippy::wildcard_enum_match_arm)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use common::{decoder, payloads, shared};
use optiflow_base::clock::Nanos;
use optiflow_base::ids::SymbolId;
use optiflow_base::market::MarketEvent;
use optiflow_base::ring::ring;
use optiflow_feed::binance::{Decoder, Message};
use optiflow_feed::sync::{Admit, Joined, SymbolSync};

struct Counting;

thread_local! {
    /// Of this thread alone: the test runner's own threads allocate as they like.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // The counter may be gone while its thread ends.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call is handed to the system allocator unchanged; counting touches no allocated memory, and the counter
// is a plain cell without destructor, so that counting never allocates.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the memory came from `alloc` above, that is, from the system allocator.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        count();
        // SAFETY: the memory came from `alloc` above, that is, from the system allocator.
        unsafe { System.realloc(memory, layout, len) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations_in(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations_in(|| drop(std::hint::black_box(vec![0u8; 64]))), 1);
}

#[test]
fn a_warm_decoder_gate_and_ring_allocate_nothing() {
    let Some(file) = shared("data/usdm/ethusdt_20240718.gz") else { return };
    let mut lines: Vec<Vec<u8>> = payloads(&file).collect();
    let at = lines.iter().position(|line| line.starts_with(b"{\"lastUpdateId\"")).unwrap();
    let mut body = lines.remove(at);
    let mut decoder = decoder(&["ETHUSDT"]);
    let mut sync = SymbolSync::new(SymbolId(0));
    sync.connected();
    let (mut tx, mut rx) = ring::<MarketEvent>("market", 4_096);
    let (mut applied, mut tops) = (0, 0);
    let mut attempt = None;
    let mut run = |lines: &mut [Vec<u8>], sync: &mut SymbolSync, decoder: &mut Decoder| {
        for (index, line) in lines.iter_mut().enumerate() {
            let now = Nanos(index as u64);
            match decoder.decode(line) {
                Ok(Message::Depth { diff, .. }) => {
                    applied += u64::from(sync.diff(now, &diff, &mut tx) == Admit::Applied);
                    if attempt.is_none() && sync.wants_snapshot(now) {
                        let request = sync.begin_request(now);
                        attempt = Some(request);
                        let snapshot = decoder.snapshot(&mut body).unwrap();
                        assert_eq!(sync.snapshot(now, request, now, &snapshot, &mut tx), Joined::Waiting);
                    }
                }
                Ok(Message::Top(top)) => {
                    tops += 1;
                    assert!(tx.push(MarketEvent { received: now, body: top.body() }).is_ok());
                }
                Ok(Message::Trade(_) | Message::Mark(_) | Message::Other) => {}
                Err(error) => panic!("{error}"),
            }
            while rx.pop().is_some() {}
        }
    };
    let whole = lines.len() - 1;
    let (warm_up, measured) = lines[..whole].split_at_mut(4_000);
    run(warm_up, &mut sync, &mut decoder);
    assert!(sync.is_live());
    let allocations = allocations_in(|| run(measured, &mut sync, &mut decoder));
    assert_eq!(allocations, 0);
    assert!(applied > 1_000 && tops > 5_000, "{applied} diffs, {tops} best prices");
}

#[test]
fn waiting_for_a_snapshot_allocates_nothing() {
    let Some(file) = shared("data/usdm/ethusdt_20240718.gz") else { return };
    let mut lines: Vec<Vec<u8>> = payloads(&file).take(4_000).collect();
    let mut decoder = decoder(&["ETHUSDT"]);
    let mut sync = SymbolSync::new(SymbolId(0));
    sync.connected();
    let (mut tx, _rx) = ring::<MarketEvent>("market", 1_024);
    let mut buffered = 0;
    let (warm_up, measured) = lines.split_at_mut(100);
    assert!(warm_up.iter_mut().all(|line| decoder.decode(line).is_ok()));
    let allocations = allocations_in(|| {
        for line in measured {
            if let Ok(Message::Depth { diff, .. }) = decoder.decode(line) {
                buffered += u64::from(sync.diff(Nanos(1), &diff, &mut tx) == Admit::Buffered);
            }
        }
    });
    assert_eq!(allocations, 0);
    assert!(buffered > 300, "{buffered}");
}
