//! After its tables are built the stage allocates nothing, whatever it decides.

#![allow(unsafe_code, clippy::unwrap_used)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use common::{SYMBOL, World, config, qty};
use optiflow_base::ids::OrderId;
use optiflow_base::order::{Action, Intent, NewOrder, OrderChange, Report, Usage};
use optiflow_base::stage::Stage;

/// The system's allocator with a count per thread.
struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is handed to the system's allocator unchanged; counting touches only a thread-local integer
// that needs no allocation itself.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`, which is the system allocator's own.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System.alloc` with this `layout`, as the caller guarantees.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn act(world: &mut World, action: Action) -> bool {
    world.intents.push(Intent { symbol: SYMBOL, action, caused: world.now, decided: world.now }).unwrap();
    world.risk.step(world.now);
    while world.log.pop().is_some() {}
    world.denials.pop();
    world.orders.pop().is_some()
}

#[test]
fn a_step_allocates_nothing() {
    let mut world = World::ready(config());
    let template = world.order("buy 29999.9 0.002");
    let order = |counter: u32, qty_text: &str| {
        let (id, qty) = (OrderId::new(common::EPOCH, counter), qty(qty_text));
        NewOrder { id, qty, ..template }
    };
    let before = COUNT.with(Cell::get);
    assert!(before > 0, "building the world was counted");
    let mut approved = 0;
    for round in 1..=2_000u32 {
        world.wait(std::time::Duration::from_millis(500));
        world.top("29999.9", "30000.1");
        world.mark("30000");
        let good = order(2 * round, "0.002");
        approved += u32::from(act(&mut world, Action::Place(good)));
        act(&mut world, Action::Place(order(2 * round + 1, "0.0025")));
        act(&mut world, Action::Cancel(good.id));
        world.change(good.id, OrderChange::Unknown);
        world.fill(good.id, qty("0.001"), qty("0.001"));
        world.change(good.id, OrderChange::Cancelled);
        world.fill(good.id, qty("0.001"), qty("0.002"));
        world.position("0");
        world.reports.push(Report::Usage(Usage { weight_minute: Some(1), ..Usage::default() })).unwrap();
    }
    assert_eq!(COUNT.with(Cell::get) - before, 0);
    assert!(approved > 1_000, "the rounds did what they were meant to: {approved}");
}
